//! `waypost bench DIR`: what indexing and searching a folder costs on this machine, and whether sentences lead back to
//! the files that they are from. The folder is left as it is; the index is made aside and thrown away.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Serialize;
use waypost_engine::api::{Engine, Error, IndexState, SearchHit, SearchRequest, Session};
use waypost_engine::id::WorkspaceName;
use waypost_engine::search::Mode;

use super::{Globals, NOTHING, Outcome};
use crate::config;
use crate::models;
use crate::output::{self, Bar, FAINT, STRONG};

/// Words of a query that is taken from a file.
const QUERY_WORDS: usize = 10;
/// A line with fewer letters says too little to be asked for.
const MIN_LINE_CHARS: usize = 40;
const HITS: usize = 10;
/// Queries that warm what a server has warm.
const WARM_UP: usize = 5;

/// Said below the flags.
const EXAMPLES: &str = "Examples:\n  waypost bench ~/notes\n  waypost bench ~/notes --queries 50 --no-model";

#[derive(Args)]
#[command(after_help = EXAMPLES)]
pub struct BenchArgs {
    /// The folder
    dir: PathBuf,
    /// Sentences that are asked for
    #[arg(long, default_value_t = 200)]
    queries: usize,
    /// Without a model: lexical search alone
    #[arg(long)]
    no_model: bool,
}

/// What came out. Times are those of the engine, without a network.
#[derive(Debug, Serialize)]
struct Report {
    folder: PathBuf,
    model: Option<String>,
    threads: usize,
    indexing: Indexing,
    searching: Vec<Searching>,
    /// Hybrid queries a second with a thread for each core.
    queries_per_second: f64,
}

#[derive(Debug, Serialize)]
struct Indexing {
    files: u64,
    left_out: u64,
    chunks: u64,
    seconds: f64,
    chunks_per_second: f64,
    /// Of the index on disk.
    index_bytes: u64,
    /// A second run, in which nothing has changed.
    again_seconds: f64,
    /// Until the home is open and ready to be asked.
    open_ms: f64,
    /// Most memory that the process has had, where the system tells.
    #[serde(skip_serializing_if = "Option::is_none")]
    peak_memory_bytes: Option<u64>,
}

#[derive(Debug, Serialize)]
struct Searching {
    mode: &'static str,
    queries: usize,
    /// The share of sentences whose file came first.
    first: f64,
    /// The share of sentences whose file was among the first ten.
    found: f64,
    p50_ms: f64,
    p95_ms: f64,
    p99_ms: f64,
}

/// A sentence, and the file that it is from.
struct Known {
    query: String,
    path: String,
}

pub fn run(globals: &Globals, args: &BenchArgs) -> Outcome {
    let folder =
        args.dir.canonicalize().map_err(|source| Error::Folder { path: args.dir.clone(), source })?;
    let config = config::load(&folder, globals)?;
    let embedder = if args.no_model { None } else { Some(models::require(&config)?) };
    let home = tempfile::tempdir()?;
    let open = || {
        Engine::open(config.engine_options(home.path())?.embedder(embedder.clone()))
            .map_err(anyhow::Error::from)
    };
    let name = WorkspaceName::from_folder(&folder.file_name().unwrap_or_default().to_string_lossy());
    let engine = open()?;
    engine.attach(&name, &folder)?;
    let mut indexing = index(&engine, &name, home.path())?;
    drop(engine);
    let begun = Instant::now();
    let engine = Arc::new(open()?);
    indexing.open_ms = begun.elapsed().as_secs_f64() * 1e3;

    let session = engine.owner_session();
    let known = known_items(&session, &engine, &name, &folder, args.queries)?;
    if known.is_empty() {
        err!("{FAINT}no file of `{}` has a line to ask for{FAINT:#}", folder.display());
        return Ok(NOTHING);
    }
    let modes: &[(&str, Mode)] = match &embedder {
        Some(_) => &[("lexical", Mode::Lexical), ("semantic", Mode::Semantic), ("hybrid", Mode::Hybrid)],
        None => &[("lexical", Mode::Lexical)],
    };
    let searching =
        modes.iter().map(|(name, mode)| search(&session, &known, name, *mode)).collect::<Result<_, _>>()?;
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let report = Report {
        folder,
        model: embedder.as_ref().map(|embedder| embedder.id().to_string()),
        threads,
        queries_per_second: throughput(&session, &known, threads, modes[modes.len() - 1].1)?,
        indexing: Indexing { peak_memory_bytes: peak_memory_bytes(), ..indexing },
        searching,
    };
    output::one(globals.json, &report, print)?;
    Ok(0)
}

fn index(engine: &Engine, name: &WorkspaceName, home: &Path) -> anyhow::Result<Indexing> {
    let begun = Instant::now();
    let mut bar = Bar::new();
    let report = engine.index(name, &AtomicBool::new(false), &mut |progress| bar.show(progress))?;
    bar.finish();
    let seconds = begun.elapsed().as_secs_f64();
    let begun = Instant::now();
    engine.index(name, &AtomicBool::new(false), &mut |_| {})?;
    Ok(Indexing {
        files: report.files_indexed,
        left_out: report.statuses.skipped + report.statuses.failed,
        chunks: report.chunks,
        seconds,
        chunks_per_second: report.chunks as f64 / seconds.max(f64::EPSILON),
        index_bytes: bytes_below(&home.join(".waypost").join("index")),
        again_seconds: begun.elapsed().as_secs_f64(),
        open_ms: 0.0,
        peak_memory_bytes: None,
    })
}

/// A sentence of each of up to `limit` files that lie evenly among all.
fn known_items(
    session: &Session,
    engine: &Engine,
    name: &WorkspaceName,
    folder: &Path,
    limit: usize,
) -> anyhow::Result<Vec<Known>> {
    let files = session.indexed_files(&format!("/{name}"), Some(IndexState::Indexed))?;
    let step = files.len().div_ceil(limit.max(1)).max(1);
    let mut known = Vec::new();
    for file in files.iter().step_by(step) {
        let Some(below) = file.path.strip_prefix(&format!("/{name}/")) else { continue };
        let reading = engine.explain_reading(&folder.join(below))?;
        let text = reading.document.map(|document| document.text).unwrap_or_default();
        if let Some(query) = sentence(&text) {
            known.push(Known { query, path: file.path.clone() });
        }
    }
    Ok(known)
}

/// The beginning of the middle one of the lines that say something.
fn sentence(text: &str) -> Option<String> {
    let says_something = |line: &&str| line.chars().filter(|c| c.is_alphabetic()).count() >= MIN_LINE_CHARS;
    let lines: Vec<&str> = text.lines().filter(says_something).collect();
    let words = lines.get(lines.len() / 2)?.split_whitespace().take(QUERY_WORDS);
    Some(words.collect::<Vec<_>>().join(" "))
}

fn request(known: &Known, mode: Mode) -> SearchRequest {
    SearchRequest {
        query: known.query.clone(),
        mode,
        limit: Some(HITS),
        plain: true,
        ..SearchRequest::default()
    }
}

fn search(session: &Session, known: &[Known], name: &'static str, mode: Mode) -> anyhow::Result<Searching> {
    for known in known.iter().take(WARM_UP) {
        session.search(&request(known, mode))?;
    }
    let (mut first, mut found, mut times) = (0, 0, Vec::with_capacity(known.len()));
    for known in known {
        let begun = Instant::now();
        let reply = session.search(&request(known, mode))?;
        times.push(begun.elapsed());
        let is_there = |hit: &SearchHit| hit.citation.path == known.path || hit.copies.contains(&known.path);
        let rank = reply.results.iter().position(is_there);
        first += usize::from(rank == Some(0));
        found += usize::from(rank.is_some());
    }
    times.sort();
    let quantile = |share: f64| {
        let time_idx = (share * times.len() as f64).ceil() as usize;
        times.get(time_idx.saturating_sub(1)).map_or(0.0, |time: &Duration| time.as_secs_f64() * 1e3)
    };
    let share = |count: usize| count as f64 / known.len() as f64;
    Ok(Searching {
        mode: name,
        queries: known.len(),
        first: share(first),
        found: share(found),
        p50_ms: quantile(0.5),
        p95_ms: quantile(0.95),
        p99_ms: quantile(0.99),
    })
}

/// Queries a second, a thread for each core asking all of them.
fn throughput(session: &Session, known: &[Known], threads: usize, mode: Mode) -> anyhow::Result<f64> {
    let begun = Instant::now();
    let ask_all = || known.iter().try_for_each(|known| session.search(&request(known, mode)).map(drop));
    std::thread::scope(|scope| {
        let asking: Vec<_> = (0..threads).map(|_| scope.spawn(ask_all)).collect();
        asking
            .into_iter()
            .try_for_each(|asking| asking.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)))
    })?;
    Ok((threads * known.len()) as f64 / begun.elapsed().as_secs_f64())
}

fn bytes_below(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => bytes_below(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}

/// `VmHWM` of `proc(5)`.
fn peak_memory_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.trim().strip_suffix(" kB")?.parse::<u64>().ok().map(|kib| kib * 1024)
}

fn print(report: &Report) {
    let indexing = &report.indexing;
    let mib = |bytes: u64| bytes as f64 / f64::from(1 << 20);
    out!(
        "{STRONG}{}{STRONG:#}  {} files, {} left out, {} chunks",
        output::safe(&report.folder.display().to_string()),
        indexing.files,
        indexing.left_out,
        indexing.chunks
    );
    out!("model              {}", report.model.as_deref().unwrap_or("none"));
    out!(
        "indexed in         {:.1} s, {:.0} chunks a second; again, with nothing changed: {:.2} s",
        indexing.seconds,
        indexing.chunks_per_second,
        indexing.again_seconds
    );
    out!("index              {:.1} MiB, opened in {:.0} ms", mib(indexing.index_bytes), indexing.open_ms);
    if let Some(bytes) = indexing.peak_memory_bytes {
        out!("memory at most     {:.0} MiB", mib(bytes));
    }
    out!(
        "\n{FAINT}{:10}{:>10}{:>10}{:>10}{:>10}{:>10}{FAINT:#}",
        "",
        "first",
        "in ten",
        "p50 ms",
        "p95 ms",
        "p99 ms"
    );
    for row in &report.searching {
        out!(
            "{:10}{:>10.3}{:>10.3}{:>10.2}{:>10.2}{:>10.2}",
            row.mode,
            row.first,
            row.found,
            row.p50_ms,
            row.p95_ms,
            row.p99_ms
        );
    }
    out!(
        "{FAINT}{} sentences of these files, each looked for; {:.0} queries a second on {} threads{FAINT:#}",
        report.searching.first().map_or(0, |row| row.queries),
        report.queries_per_second,
        report.threads
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_middle_line_that_says_something_is_asked_for() {
        let text = "# Title\n\nThe first line has enough letters to be asked for, too.\nshort\n\
                    The second one has more than ten words, of which only ten are taken here.\n";
        assert_eq!(sentence(text).unwrap(), "The second one has more than ten words, of which");
        assert_eq!(sentence("too short\n12345678901234567890123456789012345678901234567890"), None);
    }
}
