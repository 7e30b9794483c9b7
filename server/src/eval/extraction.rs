//! Reading documents: how many words are found that a set lists for its files, and how fast.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use serde::Deserialize;
use waypost_engine::api::Isolation;
use waypost_engine::id::VersionId;
use waypost_engine::location::Location;
use waypost_engine::reader::Reader;
use waypost_engine::text::{Document, Limits};

use super::data::read_lines;
use super::metrics::Metrics;
use super::{Results, Speed};

/// A line of the set's manifest.
#[derive(Debug, Deserialize)]
struct Entry {
    path: String,
    format: String,
    #[serde(default)]
    words: Vec<String>,
}

/// What was found in the files of one format.
#[derive(Debug, Default)]
struct Sum {
    n_files: usize,
    n_words: usize,
    n_found: usize,
    n_pages: usize,
    n_bytes: usize,
    seconds: f64,
}

/// Reads every file that has words to find, as a server would, and sums up by format.
pub fn run(folder: &Path, only: Option<&str>, isolation: Isolation) -> Result<(Results, Speed)> {
    let cache = tempfile::tempdir()?;
    let reader = Reader::open(&cache.path().join("texts.db"), Limits::default(), isolation)?;
    let entries: Vec<Entry> = read_lines(&folder.join("manifest.jsonl"))?;
    let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
    // The first worker is started before time is taken.
    reader.read(VersionId::of(b"{\\rtf1 x}"), "x.rtf", b"{\\rtf1 x}")?.ok();
    for entry in entries.iter().filter(|entry| !entry.words.is_empty()) {
        if only.is_some_and(|only| only != entry.format) {
            continue;
        }
        let path = folder.join(&entry.path);
        let bytes = std::fs::read(&path).with_context(|| format!("can't read `{}`", path.display()))?;
        let begun = Instant::now();
        let document = reader.read(VersionId::of(&bytes), &entry.path, &bytes)?.ok();
        let seconds = begun.elapsed().as_secs_f64();
        let sum = sums.entry(entry.format.clone()).or_default();
        sum.n_files += 1;
        sum.n_words += entry.words.len();
        sum.n_bytes += bytes.len();
        sum.seconds += seconds;
        if let Some(document) = document {
            let text = document.text.to_lowercase();
            sum.n_found += entry.words.iter().filter(|word| text.contains(&word.to_lowercase())).count();
            sum.n_pages += n_pages(&document);
        }
    }
    if let (Some(only), true) = (only, sums.is_empty()) {
        let formats: BTreeSet<&str> = entries.iter().map(|entry| entry.format.as_str()).collect();
        let formats: Vec<&str> = formats.into_iter().collect();
        bail!("`{}` has no format `{only}`: it has {}", folder.display(), formats.join(", "));
    }
    let speed =
        Speed::from([("peak worker MiB".to_owned(), reader.peak_worker_bytes() as f64 / f64::from(1 << 20))]);
    Ok((sums.into_iter().map(|(format, sum)| (format, metrics(&sum))).collect(), speed))
}

fn metrics(sum: &Sum) -> Metrics {
    let seconds = sum.seconds.max(1e-9);
    Metrics::from([
        ("files".to_owned(), Some(sum.n_files as f64)),
        ("words found".to_owned(), Some(sum.n_found as f64 / sum.n_words.max(1) as f64)),
        ("pages/s".to_owned(), Some(sum.n_pages as f64 / seconds)),
        ("MB/s".to_owned(), Some(sum.n_bytes as f64 / 1e6 / seconds)),
    ])
}

/// Pages with text; 0 for formats without pages.
fn n_pages(document: &Document) -> usize {
    let pages: BTreeSet<u32> = document
        .located
        .iter()
        .filter_map(|entry| match entry.location {
            Location::Page { page } => Some(page),
            _ => None,
        })
        .collect();
    pages.len()
}
