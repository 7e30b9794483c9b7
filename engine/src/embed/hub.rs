//! A model's files from the hub.
//!
//! The client has no limit of its own for a silent server, so it runs on a thread that reports its progress; when
//! nothing comes for too long we stop waiting. That thread then ends by itself, at the latest with the process, and
//! what it still writes lies in a folder that is thrown away.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use hf_hub::api::Progress as HubProgress;
use hf_hub::api::sync::{ApiBuilder, ApiError};
use hf_hub::{Repo, RepoType};

use super::Progress;
use super::error::FetchError;
use super::manifest::ModelSpec;

/// Set to something other than 0, it forbids the hub; the hub's own convention.
const OFFLINE_VARIABLE: &str = "HF_HUB_OFFLINE";

/// The hub's address, where it isn't the usual one; the hub's own convention.
const ENDPOINT_VARIABLE: &str = "HF_ENDPOINT";

/// Where the hub's client keeps its own cache, inside the folder for this download.
const CLIENT_FOLDER: &str = "hub";

/// Messages that may wait before the download waits for us.
const CHANNEL_LENGTH: usize = 64;

/// Bytes between two reports.
const REPORT_BYTES: u64 = 1 << 20;

/// How the hub is asked.
pub(super) struct Client {
    /// Its address; else `HF_ENDPOINT`, else the client's own.
    pub(super) endpoint: Option<String>,
    /// How long it may be silent.
    pub(super) silence: Duration,
}

impl Client {
    /// Fetches all files of `spec` into `folder`; gives the commit that they are of.
    ///
    /// # Errors
    /// [`FetchError::Forbidden`], [`FetchError::Hub`], [`FetchError::TimedOut`], [`FetchError::Io`].
    pub(super) fn fetch(
        self,
        spec: &ModelSpec,
        folder: &Path,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<String, FetchError> {
        if let Some(value) = std::env::var(OFFLINE_VARIABLE).ok().filter(|value| forbids(value)) {
            return Err(FetchError::Forbidden { setting: format!("`{OFFLINE_VARIABLE}` is `{value}`") });
        }
        let endpoint = self.endpoint.or_else(|| std::env::var(ENDPOINT_VARIABLE).ok());
        // Nothing but the connection vouches for bytes that no hash pins.
        if let Some(endpoint) = endpoint.as_ref().filter(|endpoint| !endpoint.starts_with("https://"))
            && !spec.is_pinned()
        {
            let setting =
                format!("the hub's address `{endpoint}` isn't https and the manifest pins no hashes");
            return Err(FetchError::Forbidden { setting });
        }
        let job = Job {
            endpoint,
            hub: spec.hub.clone(),
            revision: spec.revision.clone(),
            files: spec.files.iter().map(|file| file.name.clone()).collect(),
            folder: folder.to_owned(),
        };
        let receiver = job.start()?;
        loop {
            match receiver.recv_timeout(self.silence) {
                Ok(Message::Progress(step)) => progress(step),
                Ok(Message::Done(outcome)) => return outcome,
                Err(RecvTimeoutError::Timeout) => return Err(FetchError::TimedOut { limit: self.silence }),
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(FetchError::Hub { reason: "the download ended without a word".to_owned() });
                }
            }
        }
    }
}

/// Whether a value of [`OFFLINE_VARIABLE`] switches the hub off.
fn forbids(value: &str) -> bool {
    !matches!(value.to_ascii_lowercase().as_str(), "" | "0" | "false" | "no" | "off")
}

enum Message {
    Progress(Progress),
    Done(Result<String, FetchError>),
}

/// All that the download thread needs.
struct Job {
    endpoint: Option<String>,
    hub: String,
    revision: String,
    files: Vec<String>,
    folder: PathBuf,
}

impl Job {
    fn start(self) -> Result<Receiver<Message>, FetchError> {
        let (sender, receiver) = sync_channel(CHANNEL_LENGTH);
        let folder = self.folder.clone();
        std::thread::Builder::new()
            .name("model-download".to_owned())
            .spawn(move || {
                let outcome = self.run(&sender);
                // Nobody listens any more when the hub was silent for too long.
                sender.send(Message::Done(outcome)).ok();
            })
            .map_err(|source| FetchError::io("start a thread for", folder, source))?;
        Ok(receiver)
    }

    fn run(&self, sender: &SyncSender<Message>) -> Result<String, FetchError> {
        let mut builder =
            ApiBuilder::from_env().with_cache_dir(self.folder.join(CLIENT_FOLDER)).with_progress(false);
        if let Some(endpoint) = &self.endpoint {
            builder = builder.with_endpoint(endpoint.clone());
        }
        let client = builder.build().map_err(failed)?;
        let mut commit = self.revision.clone();
        for (file_idx, name) in self.files.iter().enumerate() {
            // A branch may move while we fetch: after the first file the rest is taken from its commit.
            let repo = client.repo(Repo::with_revision(self.hub.clone(), RepoType::Model, commit.clone()));
            let reporter =
                Reporter { sender: sender.clone(), file: name.clone(), done: 0, reported: 0, total: 0 };
            let link = repo.download_with_progress(name, reporter).map_err(failed)?;
            if file_idx == 0 {
                commit = commit_of(&link).unwrap_or(commit);
            }
            // The client's cache holds links to blobs; the blob itself is what we keep.
            let blob = fs::canonicalize(&link).map_err(|source| FetchError::io("find", &link, source))?;
            fs::rename(&blob, self.folder.join(name))
                .map_err(|source| FetchError::io("move", &blob, source))?;
        }
        Ok(commit)
    }
}

/// The commit in a path of the client's cache, `…/snapshots/COMMIT/FILE`.
fn commit_of(link: &Path) -> Option<String> {
    Some(link.parent()?.file_name()?.to_str()?.to_owned())
}

fn failed(error: ApiError) -> FetchError {
    FetchError::Hub { reason: error.to_string() }
}

/// Sends the client's progress on.
struct Reporter {
    sender: SyncSender<Message>,
    file: String,
    done: u64,
    reported: u64,
    total: u64,
}

impl Reporter {
    fn report(&mut self) {
        self.reported = self.done;
        let step = Progress::Fetching {
            file: self.file.clone(),
            done_bytes: self.done,
            total_bytes: Some(self.total).filter(|&total| total > 0),
        };
        self.sender.send(Message::Progress(step)).ok();
    }
}

impl HubProgress for Reporter {
    fn init(&mut self, size: usize, _filename: &str) {
        self.total = size as u64;
        self.report();
    }

    fn update(&mut self, size: usize) {
        self.done += size as u64;
        if self.done - self.reported >= REPORT_BYTES {
            self.report();
        }
    }

    fn finish(&mut self) {
        self.report();
    }
}

#[cfg(test)]
mod tests {
    use super::forbids;

    #[test]
    fn the_offline_variable_reads_as_a_switch() {
        assert!(["1", "true", "ON", "yes"].into_iter().all(forbids));
        assert!(!["", "0", "false", "No", "off"].into_iter().any(forbids));
    }
}
