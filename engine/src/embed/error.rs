use std::io;
use std::path::PathBuf;
use std::time::Duration;

use thiserror::Error;

/// What can go wrong between a model's name and its vectors.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum EmbedError {
    /// The name isn't in the manifest; take one that is, or give a model's folder.
    #[error("unknown model `{name}`; known are {known}", known = .known.join(", "))]
    UnknownModel {
        /// What was asked for.
        name: String,
        /// What could be asked for.
        known: Vec<String>,
    },
    /// The manifest in the program, or given to it, can't be read; its author can mend it.
    #[error("the model manifest is wrong: {reason}")]
    Manifest {
        /// What is wrong with it.
        reason: String,
    },
    /// No source could give the model. The attempts say why; usually: connect once, or give a model's folder.
    #[error(
        "model `{model}` is not on this machine and could not be fetched:{attempts}\n  next: connect and pull it once, \
         or copy a folder with {files} here and name it in the setting `model_dir`",
        attempts = .attempts.iter().map(|attempt| format!("\n  {attempt}")).collect::<String>(),
        files = .files.join(", ")
    )]
    Unavailable {
        /// The model's name in the manifest.
        model: String,
        /// Each source that was asked, in order, and its answer.
        attempts: Vec<Attempt>,
        /// The files that a folder needs.
        files: Vec<String>,
    },
    /// A file of the model isn't there; pull the model again, or complete the folder.
    #[error("model file `{path}` is missing; pull the model again")]
    MissingFile {
        /// The file.
        path: PathBuf,
    },
    /// A file of the model has changed since it was checked; pull the model again.
    #[error("model file `{path}` is damaged: expected {expected}, found {found}; pull the model again")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Size or hash that it should have.
        expected: String,
        /// Size or hash that it has.
        found: String,
    },
    /// The file system refused.
    #[error("can't {act} `{path}`: {source}")]
    Io {
        /// What was tried.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The model is of a kind, or has a setting, that this engine doesn't compute; take another model.
    #[error("`{path}` can't be used: {reason}")]
    Unsupported {
        /// The configuration or weight file.
        path: PathBuf,
        /// What isn't supported, and what is.
        reason: String,
    },
    /// This processor has no kernels of this name; take one of those it has.
    #[error("no kernels `{name}` on this processor; it has {available}", available = .available.join(", "))]
    UnknownKernels {
        /// What was asked for.
        name: String,
        /// What could be asked for.
        available: Vec<&'static str>,
    },
    /// The tokenizer file can't be read, or refused a text.
    #[error("tokenizer: {reason}")]
    Tokenizer {
        /// The tokenizer's own words.
        reason: String,
    },
    /// A vector came out with NaN or infinity: the weights are broken; pull the model again.
    #[error(
        "text {text_idx} gave a vector that isn't finite; the weights of `{model}` are broken, pull the model again"
    )]
    NotFinite {
        /// Which text of the call.
        text_idx: usize,
        /// The model.
        model: String,
    },
}

impl EmbedError {
    /// Wraps an error of the file system with what was tried on what.
    pub fn io(act: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io { act, path: path.into(), source }
    }
}

/// One source that was asked for a model and could not give it.
#[derive(Debug, Error)]
#[error("{source_name}: {failure}")]
pub struct Attempt {
    /// Which source, with its address or package.
    pub source_name: String,
    /// Why not.
    #[source]
    pub failure: FetchError,
}

/// Why one source could not give a model.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FetchError {
    /// The user or the environment forbids it; the text names the setting.
    #[error("not tried, since {setting}")]
    Forbidden {
        /// The setting and its value.
        setting: String,
    },
    /// The hub answered with an error, or could not be reached; may be tried again.
    #[error("{reason}")]
    Hub {
        /// The client's own words.
        reason: String,
    },
    /// The package client failed; may be tried again.
    #[error("`{command}` failed with {status}:\n{output}")]
    Package {
        /// What was run.
        command: String,
        /// Its exit status.
        status: String,
        /// The last lines that it printed.
        output: String,
    },
    /// The package client isn't there; install Python 3 with pip, or use the hub.
    #[error("can't run `{command}`: {source}; python 3 with pip is needed")]
    NoPackageClient {
        /// What was to be run.
        command: String,
        /// Why it did not start.
        source: io::Error,
    },
    /// Nothing came for this long; may be tried again with a longer limit.
    #[error("no answer within {} s", limit.as_secs_f32())]
    TimedOut {
        /// The limit.
        limit: Duration,
    },
    /// The source gave other bytes than the manifest names; never used.
    #[error("`{file}` is not what the manifest names: expected {expected}, found {found}")]
    WrongBytes {
        /// The file.
        file: String,
        /// Size or SHA-256 by the manifest.
        expected: String,
        /// Size or SHA-256 of what came.
        found: String,
    },
    /// The package lacks a file that the manifest names.
    #[error("`{file}` is not in the package: {reason}")]
    Archive {
        /// The file.
        file: String,
        /// The archive reader's own words.
        reason: String,
    },
    /// Writing what came failed.
    #[error("can't {act} `{path}`: {source}")]
    Io {
        /// What was tried.
        act: &'static str,
        /// On what.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl FetchError {
    /// Wraps an error of the file system with what was tried on what.
    pub(super) fn io(act: &'static str, path: impl Into<PathBuf>, source: io::Error) -> Self {
        Self::Io { act, path: path.into(), source }
    }
}
