//! A model's files from the hub.
//!
//! The client has no limit of its own for a silent server, so it runs on a thread that reports its progress; when
//! nothing comes for too long we stop waiting. That thread then ends by itself, at the latest with the process, and
//! what it still writes lies in a folder that is thrown away.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, SyncSender, sync_channel};
use std::time::Duration;

use hf_hub::api::Progress as HubProgress;
use hf_hub::api::sync::{ApiBuilder, ApiError};
use hf_hub::{Repo, RepoType};

use super::Progress;
use super::error::FetchError;
use super::manifest::ModelSpec;

/// Set to something other than 0, it forbids the hub; the hub's own convention.
const OFFLINE_VARIABLE: &str = "HF_HUB_OFFLINE";

/// Where the hub's client keeps its own cache, inside the folder for this download.
const CLIENT_FOLDER: &str = "hub";

/// Messages that may wait before the download waits for us.
const CHANNEL_LENGTH: usize = 64;

/// Bytes between two reports.
const REPORT_BYTES: u64 = 1 << 20;

/// Fetches all files of `spec` into `folder`.
///
/// # Errors
/// [`FetchError::Forbidden`], [`FetchError::Hub`], [`FetchError::TimedOut`] after `silence`, [`FetchError::Io`].
pub(super) fn fetch(
    spec: &ModelSpec,
    folder: &Path,
    silence: Duration,
    progress: &mut dyn FnMut(Progress),
) -> Result<(), FetchError> {
    if let Some(value) = std::env::var(OFFLINE_VARIABLE).ok().filter(|value| forbids(value)) {
        return Err(FetchError::Forbidden { setting: format!("`{OFFLINE_VARIABLE}` is `{value}`") });
    }
    let (sender, receiver) = sync_channel(CHANNEL_LENGTH);
    let job = Job {
        hub: spec.hub.clone(),
        revision: spec.revision.clone(),
        files: spec.files.iter().map(|file| file.name.clone()).collect(),
        folder: folder.to_owned(),
    };
    std::thread::Builder::new()
        .name("model-download".to_owned())
        .spawn(move || {
            let outcome = job.run(&sender);
            // Nobody listens any more when we were too slow.
            sender.send(Message::Done(outcome)).ok();
        })
        .map_err(|source| FetchError::io("start a thread for", folder, source))?;
    loop {
        match receiver.recv_timeout(silence) {
            Ok(Message::Progress(step)) => progress(step),
            Ok(Message::Done(outcome)) => return outcome,
            Err(RecvTimeoutError::Timeout) => return Err(FetchError::TimedOut { limit: silence }),
            Err(RecvTimeoutError::Disconnected) => {
                return Err(FetchError::Hub { reason: "the download ended without a word".to_owned() });
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
    Done(Result<(), FetchError>),
}

/// All that the download thread needs.
struct Job {
    hub: String,
    revision: String,
    files: Vec<String>,
    folder: PathBuf,
}

impl Job {
    fn run(&self, sender: &SyncSender<Message>) -> Result<(), FetchError> {
        let client = ApiBuilder::from_env()
            .with_cache_dir(self.folder.join(CLIENT_FOLDER))
            .with_progress(false)
            .build()
            .map_err(failed)?;
        let repo = client.repo(Repo::with_revision(self.hub.clone(), RepoType::Model, self.revision.clone()));
        for name in &self.files {
            let reporter = Reporter { sender: sender.clone(), file: name.clone(), done: 0, reported: 0, total: 0 };
            let link = repo.download_with_progress(name, reporter).map_err(failed)?;
            // The client's cache holds links to blobs; the blob itself is what we keep.
            let blob = fs::canonicalize(&link).map_err(|source| FetchError::io("find", &link, source))?;
            fs::rename(&blob, self.folder.join(name)).map_err(|source| FetchError::io("move", &blob, source))?;
        }
        Ok(())
    }
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
