//! The public set of documents in many formats, where it is there.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use serde::Deserialize;
use unicode_normalization::UnicodeNormalization;
use waypost_engine::text::{Limits, SkipReason};

use super::{Desk, workers};

#[derive(Deserialize)]
pub struct Entry {
    pub path: String,
    pub format: String,
    pub expect: String,
    #[serde(default)]
    pub words: Vec<String>,
}

/// Folder and entries of the set; `None` where it is not there, which is said.
pub fn entries() -> Option<(PathBuf, Vec<Entry>)> {
    let folder = std::env::var_os("WAYPOST_DATASETS").map(|folder| PathBuf::from(folder).join("formats"));
    let Some(folder) = folder.filter(|folder| folder.join("manifest.jsonl").is_file()) else {
        println!("skipped: no `formats` in the folder that WAYPOST_DATASETS names");
        return None;
    };
    let text = std::fs::read_to_string(folder.join("manifest.jsonl")).unwrap();
    let entries = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    Some((folder, entries))
}

fn folded(text: &str) -> String {
    text.nfkc().collect::<String>().to_lowercase()
}

/// At least 97 % of the files give nine tenths of their words, 95 % of each format's words are found; what is encrypted
/// says so, and what is broken ends in time and within its memory.
#[test]
fn every_file_does_what_the_set_says_of_it() {
    let Some((folder, entries)) = entries() else { return };
    let desk = Desk::new(Limits::default(), workers());
    let mut formats: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    let (mut n_files, mut n_good, mut lines) = (0, 0, Vec::new());
    for entry in entries {
        let bytes = std::fs::read(folder.join(&entry.path)).unwrap();
        let begun = Instant::now();
        let reading = desk.read(&entry.path, &bytes);
        assert!(begun.elapsed() < Duration::from_secs(10), "{} took {:?}", entry.path, begun.elapsed());
        match entry.expect.as_str() {
            "encrypted" => assert_eq!(reading, Err(SkipReason::Encrypted), "{}", entry.path),
            "text" => {
                let text = folded(&reading.map(|document| document.text).unwrap_or_default());
                let missing: Vec<&String> =
                    entry.words.iter().filter(|word| !text.contains(&folded(word))).collect();
                let counts = formats.entry(entry.format.clone()).or_default();
                *counts = (counts.0 + entry.words.len(), counts.1 + entry.words.len() - missing.len());
                n_files += 1;
                n_good += usize::from(missing.len() * 10 <= entry.words.len());
                if !missing.is_empty() {
                    lines.push(format!("{}: {missing:?}", entry.path));
                }
            }
            _ => {}
        }
    }
    println!("{n_good} of {n_files} files, peak {} MiB", desk.reader.peak_worker_bytes() >> 20);
    for (format, (n_words, n_found)) in &formats {
        println!("{format}: {n_found} of {n_words} words");
        assert!(n_found * 100 >= n_words * 95, "{format}: {n_found} of {n_words}; {lines:#?}");
    }
    assert!(n_good * 100 >= n_files * 97, "{n_good} of {n_files}; {lines:#?}");
    assert!(desk.reader.peak_worker_bytes() < 512 << 20);
}
