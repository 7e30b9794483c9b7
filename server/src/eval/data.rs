//! Reads evaluation sets: JSON lines, plain or gzipped, with the split before the ending.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use flate2::read::MultiGzDecoder;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// A document of a corpus.
#[derive(Debug, Clone, Deserialize)]
pub struct Document {
    pub id: String,
    #[serde(default)]
    pub title: String,
    #[serde(default)]
    pub text: String,
}

/// A query of a retrieval set.
#[derive(Debug, Clone, Deserialize)]
pub struct Query {
    pub id: String,
    pub text: String,
}

/// A question of an answers set; no answers: the corpus holds none.
#[derive(Debug, Clone, Deserialize)]
pub struct Question {
    pub question: String,
    pub doc_id: Option<String>,
    #[serde(default)]
    pub answers: Vec<Gold>,
}

/// An answer as it stands in the document; `start` and `end` count code points.
#[derive(Debug, Clone, Deserialize)]
pub struct Gold {
    pub text: String,
    pub start: Option<usize>,
    pub end: Option<usize>,
}

/// Relevance by query and document.
pub type Qrels = BTreeMap<String, BTreeMap<String, f64>>;

/// Which of several files of one kind: `queries.test.jsonl`, `corpus.en.jsonl.gz`, or the bare `corpus.jsonl`.
pub fn find(folder: &Path, kind: &str, endings: &[&str], split: Option<&str>) -> Result<PathBuf> {
    let mut tried = Vec::new();
    let splits: Vec<Option<&str>> = match split {
        Some(split) => vec![Some(split), None],
        None => vec![Some("test"), None],
    };
    for split in splits {
        for ending in endings {
            let name = match split {
                Some(split) => format!("{kind}.{split}.{ending}"),
                None => format!("{kind}.{ending}"),
            };
            let path = folder.join(&name);
            if path.is_file() {
                return Ok(path);
            }
            tried.push(name);
        }
    }
    bail!("`{}` has no file for `{kind}`: looked for {}", folder.display(), tried.join(", "))
}

/// The endings of JSON lines.
pub const JSONL: &[&str] = &["jsonl", "jsonl.gz"];
/// The endings of relevance judgements.
pub const TSV: &[&str] = &["tsv", "tsv.gz"];

fn open(path: &Path) -> Result<Box<dyn BufRead>> {
    let file = File::open(path).with_context(|| format!("can't open `{}`", path.display()))?;
    let is_gzip = path.extension().is_some_and(|ending| ending == "gz");
    let reader: Box<dyn Read> = if is_gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    Ok(Box::new(BufReader::new(reader)))
}

/// Every line of a file as one value; ids may be numbers.
pub fn read_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    let mut values = Vec::new();
    for (line_idx, line) in open(path)?.lines().enumerate() {
        let place = || format!("`{}`, line {}", path.display(), line_idx + 1);
        let line = line.with_context(place)?;
        // Some programs begin a file with a byte order mark.
        let line = line.trim_start_matches('\u{feff}');
        if line.trim().is_empty() {
            continue;
        }
        let mut value: serde_json::Value = serde_json::from_str(line).with_context(place)?;
        // What is null is missing.
        if let Some(fields) = value.as_object_mut() {
            fields.retain(|name, value| !value.is_null() || name == "route");
        }
        for key in ["id", "doc_id"] {
            if let Some(number) = value.get(key).filter(|id| id.is_number()).map(ToString::to_string) {
                value[key] = serde_json::Value::String(number);
            }
        }
        values.push(serde_json::from_value(value).with_context(place)?);
    }
    Ok(values)
}

/// Query, document, relevance by tabs, with a header line or without; judgements of 0 are left out.
pub fn read_qrels(path: &Path) -> Result<Qrels> {
    let mut qrels = Qrels::new();
    for (line_idx, line) in open(path)?.lines().enumerate() {
        let line = line?;
        let mut columns: Vec<&str> = line.split('\t').map(str::trim).collect();
        if columns.len() == 4 {
            columns.remove(1);
        }
        let [query, document, relevance] = columns[..] else {
            if line.trim().is_empty() {
                continue;
            }
            bail!("`{}`, line {}: expected query, document, relevance", path.display(), line_idx + 1);
        };
        match relevance.parse::<f64>() {
            Ok(relevance) if relevance > 0.0 => {
                qrels.entry(query.to_owned()).or_default().insert(document.to_owned(), relevance);
            }
            Ok(_) => {}
            Err(_) if line_idx == 0 => {}
            Err(_) => bail!("`{}`, line {}: `{relevance}` is no number", path.display(), line_idx + 1),
        }
    }
    Ok(qrels)
}
