//! Finds, fetches and opens the embedding model that the settings name.

use std::sync::Arc;

use anyhow::{Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use thiserror::Error;
use waypost_engine::embed::{
    Bert, EmbedError, Embedder, Manifest, ModelSpec, Progress, Resolved, Sources, resolve,
};

use crate::config::Config;

/// There is no model, and the command can't do without.
#[derive(Debug, Error)]
#[error("no embedding model: {0}")]
pub struct NoModel(#[from] pub EmbedError);

/// The model that the settings name.
///
/// # Errors
/// [`EmbedError::UnknownModel`].
pub fn spec(manifest: &Manifest, config: &Config) -> Result<ModelSpec, EmbedError> {
    match &config.model.value {
        Some(name) => manifest.get(name).cloned(),
        None => Ok(manifest.default_model().clone()),
    }
}

/// Refuses settings that name no model there could be: no network and no waiting would help.
///
/// # Errors
/// [`EmbedError::UnknownModel`], or for a model's folder that is none.
pub fn check(config: &Config) -> Result<()> {
    spec(&Manifest::built_in(), config)?;
    match &config.model_dir.value {
        Some(folder) if !folder.is_dir() => {
            bail!(
                "there is no folder `{}`: expected one with a model's files as `model_dir`",
                folder.display()
            )
        }
        _ => Ok(()),
    }
}

/// Where the settings allow a model to come from.
pub fn sources(config: &Config, may_fetch: bool) -> Sources {
    let sources = Sources::new(&config.models.value).network(may_fetch && !config.offline.value);
    match &config.model_dir.value {
        Some(folder) => sources.folder(folder),
        None => sources,
    }
}

/// Opens the model; fetches it first where that is allowed and needed.
///
/// # Errors
/// [`EmbedError`], which says what was tried and what to do.
pub fn open(config: &Config, may_fetch: bool) -> Result<Arc<dyn Embedder>, EmbedError> {
    Ok(Arc::new(open_bert(config, may_fetch, None)?))
}

/// As [`open`], for what only this kind of model can tell; with the kernels of this name, or the fastest.
///
/// # Errors
/// As [`open`].
pub fn open_bert(config: &Config, may_fetch: bool, kernels: Option<&str>) -> Result<Bert, EmbedError> {
    let spec = spec(&Manifest::built_in(), config)?;
    let resolved = fetch(&spec, &sources(config, may_fetch))?;
    kernels.map_or_else(|| Bert::open(&resolved), |name| Bert::open_with_kernels(&resolved, name))
}

/// As [`open`] with fetching, for a command that can't do without a model.
///
/// # Errors
/// [`NoModel`], or as [`check`].
pub fn require(config: &Config) -> Result<Arc<dyn Embedder>> {
    check(config)?;
    Ok(open(config, true).map_err(NoModel)?)
}

/// Finds or fetches a model, with a bar.
///
/// # Errors
/// As [`resolve`].
pub fn fetch(spec: &ModelSpec, sources: &Sources) -> Result<Resolved, EmbedError> {
    let bar = ProgressBar::no_length();
    let style = ProgressStyle::with_template("{spinner} {msg} {bytes} of {total_bytes}");
    bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_spinner()));
    let resolved = resolve(spec, sources, &mut |progress| match progress {
        Progress::Asking { source } => bar.println(format!("model {}: asking {source}", spec.name)),
        Progress::Failed { source, reason } => {
            bar.println(format!("model {}: {source} can't serve: {reason}", spec.name))
        }
        Progress::Fetching { file, done_bytes, total_bytes } => {
            bar.set_message(file);
            bar.set_position(done_bytes);
            if let Some(total_bytes) = total_bytes {
                bar.set_length(total_bytes);
            }
        }
        Progress::Checking { file } => bar.set_message(format!("checking {file}")),
        _ => {}
    });
    bar.finish_and_clear();
    resolved
}
