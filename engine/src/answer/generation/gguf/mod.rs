//! A model in the GGUF format that runs in this process, on the processor.
//!
//! Takes the files that the operator named. It is loaded at the first question, on a thread of its own that writes one answer at a
//! time; a few more may wait. It always writes the likeliest word, so the same passages give the same draft. Nothing here
//! touches the network.

mod model;
mod template;

use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use self::model::Model;
use super::prompt::Prompt;
use super::running::{Event, Limits, Running, Teller};
use super::settings::invalid;
use super::{GenerateError, Generator, ModelFile};

/// How such a model is named, before its own name.
const SCHEME: &str = "gguf:";
/// The first bytes of every such file.
const MAGIC: [u8; 4] = *b"GGUF";
/// Questions that wait while one is answered.
const MAX_WAITING: usize = 2;
/// Where a model's tokenizer lies, beside it.
const TOKENIZER: &str = "tokenizer.json";

/// One model.
pub(super) struct LocalModel {
    name: String,
    files: Files,
    worker: Mutex<Option<Worker>>,
}

/// Where a model lies.
#[derive(Debug, Clone)]
struct Files {
    model: PathBuf,
    tokenizer: PathBuf,
}

/// The thread that has the model.
struct Worker {
    jobs: SyncSender<Job>,
    thread: JoinHandle<()>,
}

/// A draft that somebody waits for.
struct Job {
    system: &'static str,
    /// What is asked, with all passages and with fewer and fewer, for a model that takes no more.
    users: Vec<String>,
    max_tokens: usize,
    until: Instant,
    whole: Duration,
    is_cancelled: Arc<AtomicBool>,
    teller: Teller,
}

impl LocalModel {
    /// Looks whether the files are there; they are read once somebody asks.
    ///
    /// # Errors
    /// [`GenerateError::Setting`].
    pub(super) fn open(file: ModelFile) -> Result<Self, GenerateError> {
        if file.name.is_empty() || !file.name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        {
            let expected = "a `name` of letters, digits, `-`, `_` and `.` for each";
            return Err(invalid("gguf", format!("named `{}`", file.name), expected));
        }
        let mut magic = [0; 4];
        if File::open(&file.model).and_then(|mut model| model.read_exact(&mut magic)).is_err()
            || magic != MAGIC
        {
            let found = format!("`{}`, which is none or can't be read", file.model.display());
            return Err(invalid("gguf", found, "the path of a GGUF file as `model`"));
        }
        let tokenizer = file.tokenizer.unwrap_or_else(|| file.model.with_file_name(TOKENIZER));
        if !tokenizer.is_file() {
            let found = format!("without `{}`", tokenizer.display());
            return Err(invalid(
                "gguf",
                found,
                "the model's `tokenizer.json` beside it, or its path as `tokenizer`",
            ));
        }
        let files = Files { model: file.model, tokenizer };
        Ok(Self { name: format!("{SCHEME}{}", file.name), files, worker: Mutex::default() })
    }

    /// Gives a job to the thread, which is started where there is none, or where it broke down.
    fn hand_over(&self, job: Job) -> Result<(), GenerateError> {
        let mut worker = self.worker.lock().unwrap_or_else(PoisonError::into_inner);
        if worker.as_ref().is_none_or(|worker| worker.thread.is_finished()) {
            let (jobs, waiting) = sync_channel(MAX_WAITING);
            let files = self.files.clone();
            let work = move || work(&files, &waiting);
            let thread = thread::Builder::new().name("generate".to_owned()).spawn(work);
            *worker = Some(Worker { jobs, thread: thread.map_err(GenerateError::Thread)? });
        }
        let Some(worker) = worker.as_ref() else { return Ok(()) };
        worker.jobs.try_send(job).map_err(|refused| match refused {
            TrySendError::Full(_) => GenerateError::Busy { max: MAX_WAITING + 1 },
            TrySendError::Disconnected(_) => {
                GenerateError::Thread(std::io::Error::other("it ended before the question"))
            }
        })
    }
}

impl Generator for LocalModel {
    fn name(&self) -> &str {
        &self.name
    }

    fn start(&self, prompt: &Prompt<'_>, limits: &Limits) -> Result<Running, GenerateError> {
        let is_cancelled = Arc::new(AtomicBool::new(false));
        let (teller, running) = Running::new({
            let is_cancelled = Arc::clone(&is_cancelled);
            move || is_cancelled.store(true, Ordering::Release)
        });
        let with_first = |n: usize| Prompt { passages: &prompt.passages[..n], ..*prompt }.user();
        self.hand_over(Job {
            system: prompt.system(),
            users: (1..=prompt.passages.len()).rev().map(with_first).collect(),
            max_tokens: prompt.max_tokens as usize,
            until: Instant::now() + limits.whole,
            whole: limits.whole,
            is_cancelled,
            teller,
        })?;
        Ok(running)
    }
}

impl fmt::Debug for LocalModel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalModel").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Job {
    /// Whether it is worth to go on.
    ///
    /// # Errors
    /// [`GenerateError::Cancelled`], [`GenerateError::Late`].
    fn check(&self) -> Result<(), GenerateError> {
        if self.is_cancelled.load(Ordering::Acquire) {
            return Err(GenerateError::Cancelled);
        }
        if Instant::now() >= self.until {
            return Err(GenerateError::Late { after: self.whole });
        }
        Ok(())
    }

    fn tell(&self, event: Event) -> Result<(), GenerateError> {
        self.teller.send(event).map_err(|_| GenerateError::Cancelled)
    }
}

/// Answers one job after the other until nobody can give one any more.
fn work(files: &Files, jobs: &Receiver<Job>) {
    let mut loaded: Option<Model> = None;
    for job in jobs {
        let end = job.check().and_then(|()| {
            if loaded.is_none() {
                loaded = Some(load(files)?);
            }
            loaded.as_mut().map_or(Ok(None), |model| model.write(&job))
        });
        // Nobody reads any longer: nobody misses it.
        let _ = job.teller.send(Event::End(end));
    }
}

fn load(files: &Files) -> Result<Model, GenerateError> {
    let begun = Instant::now();
    let loaded = Model::load(&files.model, &files.tokenizer);
    let model = files.model.display();
    match &loaded {
        Ok(_) => tracing::info!(%model, took_ms = begun.elapsed().as_millis() as u64, "a model is loaded"),
        Err(error) => tracing::warn!(%model, %error, "a model can't be loaded"),
    }
    loaded
}

/// That a file can't be used, with its name alone.
fn unusable(path: &Path, why: impl fmt::Display) -> GenerateError {
    let file = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    // Its makers' errors may have a backtrace below.
    let why = why.to_string().lines().next().unwrap_or_default().to_owned();
    GenerateError::Model { file, why }
}
