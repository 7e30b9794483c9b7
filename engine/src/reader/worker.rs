//! The worker's side: a process that reads one file after another, and can do nothing else.
//!
//! Before it looks at the first byte it takes rights from itself, which no process gets back: memory, files, time. It
//! can't open anything any more, neither a file nor a socket, for it may have no further descriptor. It ends once its
//! standard input closes, and also while it reads a file, once its parent is gone.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, getppid, getrlimit, setrlimit};

use super::wire::{self, Reply, Request};
use crate::text::{self, SkipReason};

/// Address space of a worker: the program itself, the file, and what is made of it.
pub const MAX_MEMORY_BYTES: u64 = 512 << 20;

/// Bytes of a file.
const MAX_FILE_BYTES: u64 = 256 << 20;

/// For the reader's recursion.
const STACK_BYTES: usize = 48 << 20;

/// How often a worker looks whether its parent is still there.
const LOOK: Duration = Duration::from_millis(250);

thread_local! {
    static PANIC: RefCell<String> = const { RefCell::new(String::new()) };
}

/// Works until standard input closes; for the program that the engine starts as a worker, which ends with the
/// code that this gives. Prints replies on standard output and nothing else.
pub fn work() -> u8 {
    let peak = File::open("/proc/self/status").ok();
    let parent = getppid();
    std::thread::spawn(move || {
        while getppid() == parent {
            std::thread::sleep(LOOK);
        }
        std::process::exit(3);
    });
    // Only the thread that works may panic with something to say.
    std::panic::set_hook(Box::new(|info| {
        let text = info.payload().downcast_ref::<String>().map(String::as_str);
        let message =
            text.or_else(|| info.payload().downcast_ref::<&str>().copied()).unwrap_or("it panicked");
        let place = info.location().map(|place| format!(" ({}:{})", file_name(place.file()), place.line()));
        PANIC.with_borrow_mut(|kept| *kept = format!("{message}{}", place.unwrap_or_default()));
    }));
    let worker = std::thread::Builder::new().stack_size(STACK_BYTES).spawn(move || {
        limit_memory_and_files()?;
        read_all(peak)
    });
    match worker.map(std::thread::JoinHandle::join) {
        Ok(Ok(Ok(()))) => 0,
        _ => 1,
    }
}

fn file_name(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

fn limit_memory_and_files() -> io::Result<()> {
    lower(Resource::As, MAX_MEMORY_BYTES)?;
    lower(Resource::Core, 0)?;
    lower(Resource::Fsize, 0)?;
    lower(Resource::Nofile, 0)
}

/// Lowers a limit for good; one that is lower already stays.
fn lower(resource: Resource, value: u64) -> io::Result<()> {
    let value = getrlimit(resource).maximum.map_or(value, |found| found.min(value));
    Ok(setrlimit(resource, Rlimit { current: Some(value), maximum: Some(value) })?)
}

/// So many more seconds of processor time; past them the system ends the process. `spent` is the time of all files before,
/// of which the processor had no more than that.
fn limit_cpu(spent: Duration, seconds: u64) -> io::Result<()> {
    let until = spent.as_secs().saturating_add(seconds).saturating_add(2);
    let maximum = getrlimit(Resource::Cpu).maximum;
    let current = Some(maximum.map_or(until, |found| found.min(until)));
    Ok(setrlimit(Resource::Cpu, Rlimit { current, maximum })?)
}

fn read_all(mut peak: Option<File>) -> io::Result<()> {
    let (mut stdin, mut stdout) = (io::stdin().lock(), io::stdout().lock());
    let mut spent = Duration::ZERO;
    while let Some((request, bytes)) = wire::receive(&mut stdin, MAX_FILE_BYTES)? {
        limit_cpu(spent, request.cpu_seconds)?;
        let begun = Instant::now();
        let (reading, is_spent) = read(&request, &bytes);
        drop(bytes);
        spent += begun.elapsed();
        wire::answer(&mut stdout, &Reply { reading, is_spent, peak_bytes: peak_bytes(peak.as_mut()) })?;
    }
    Ok(())
}

fn read(request: &Request, bytes: &[u8]) -> (super::Reading, bool) {
    let read = || text::extract(&request.name, bytes, &request.limits);
    match catch_unwind(AssertUnwindSafe(read)) {
        Ok(reading) => (reading, false),
        Err(_) => {
            let detail = PANIC.with_borrow_mut(std::mem::take).chars().take(200).collect();
            (Err(SkipReason::Crashed { detail }), true)
        }
    }
}

/// What the system says of the most memory that this process ever had.
fn peak_bytes(status: Option<&mut File>) -> u64 {
    let mut text = String::new();
    let read = status.map(|file| file.rewind().and_then(|()| file.read_to_string(&mut text)));
    if !matches!(read, Some(Ok(_))) {
        return 0;
    }
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
