//! Reads evaluation sets: JSON lines and judgements, plain or gzipped.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};
use flate2::read::MultiGzDecoder;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use serde_json::Value;

use crate::output;

/// A document of a corpus.
#[derive(Debug, Clone, Deserialize)]
pub struct Document {
    pub id: String,
    #[serde(default)]
    pub title: String,
    /// None at all where it is null, and another thing than a line without one.
    #[serde(deserialize_with = "text_or_null")]
    pub text: String,
}

fn text_or_null<'de, D: Deserializer<'de>>(given: D) -> Result<String, D::Error> {
    Ok(Option::deserialize(given)?.unwrap_or_default())
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

fn open(path: &Path) -> Result<Box<dyn BufRead>> {
    let file = File::open(path).with_context(|| format!("can't open `{}`", path.display()))?;
    let is_gzip = path.extension().is_some_and(|ending| ending == "gz");
    let reader: Box<dyn Read> = if is_gzip { Box::new(MultiGzDecoder::new(file)) } else { Box::new(file) };
    Ok(Box::new(BufReader::new(reader)))
}

/// The lines of a file that are not blank, each with its number from 1.
fn written_lines(path: &Path) -> Result<impl Iterator<Item = Result<(usize, String)>> + '_> {
    let lines = (1..).zip(open(path)?.lines()).map(|(number, line)| {
        let line = line.with_context(|| place(path, number))?;
        // Some programs begin a file with a byte order mark.
        Ok((number, line.trim_start_matches('\u{feff}').to_owned()))
    });
    Ok(lines.filter(|line| !line.as_ref().is_ok_and(|(_, line)| line.trim().is_empty())))
}

/// A line of a file, as an error names it.
pub fn place(path: &Path, number: usize) -> String {
    format!("`{}`, line {number}", path.display())
}

/// Every line of a file as one value.
pub fn read_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>> {
    Ok(read_numbered(path)?.into_iter().map(|(_, value)| value).collect())
}

/// As [`read_lines`], each value with the number of its line. Ids may be numbers, and be called `_id`.
pub fn read_numbered<T: DeserializeOwned>(path: &Path) -> Result<Vec<(usize, T)>> {
    let mut values = Vec::new();
    for line in written_lines(path)? {
        let (number, line) = line?;
        let mut value: Value = serde_json::from_str(&line).with_context(|| place(path, number))?;
        if let Some(fields) = value.as_object_mut() {
            tidy(fields);
        }
        values.push((number, serde_json::from_value(value).with_context(|| place(path, number))?));
    }
    Ok(values)
}

fn tidy(fields: &mut serde_json::Map<String, Value>) {
    // What is null is missing; of a route and of a text it says something.
    fields.retain(|name, value| !value.is_null() || ["route", "text"].contains(&name.as_str()));
    if let Some(id) = fields.remove("_id") {
        fields.entry("id").or_insert(id);
    }
    for key in ["id", "doc_id"] {
        if let Some(id) = fields.get_mut(key).filter(|id| id.is_number()) {
            *id = Value::String(id.to_string());
        }
    }
}

/// As [`read_lines`], of a file that must hold something.
pub fn read_some<T: DeserializeOwned>(path: &Path, what: &str) -> Result<Vec<T>> {
    Ok(read_some_numbered(path, what)?.into_iter().map(|(_, value)| value).collect())
}

/// As [`read_numbered`], of a file that must hold something.
pub fn read_some_numbered<T: DeserializeOwned>(path: &Path, what: &str) -> Result<Vec<(usize, T)>> {
    let values = read_numbered(path)?;
    if values.is_empty() {
        bail!("`{}` has no {what}: expected one a line", path.display());
    }
    Ok(values)
}

/// As [`read_some`]; of several with one id the first counts, and it is said that there are others.
pub fn read_once<T: DeserializeOwned>(
    path: &Path,
    what: &str,
    id_of: impl Fn(&T) -> &String,
) -> Result<Vec<T>> {
    let mut values: Vec<T> = read_some(path, what)?;
    let (mut seen, mut repeated) = (BTreeSet::new(), BTreeSet::new());
    values.retain(|value| {
        let is_first = seen.insert(id_of(value).clone());
        if !is_first {
            repeated.insert(id_of(value).clone());
        }
        is_first
    });
    if let Some(id) = repeated.first() {
        let (path, n) = (path.display(), repeated.len());
        output::note(&format!(
            "ids of more than one {what} in `{path}`: {n}, such as `{id}`; the first counts"
        ));
    }
    Ok(values)
}

/// Query, document, relevance by tabs or blanks, with a header line or without; judgements of 0 are left out.
pub fn read_qrels(path: &Path) -> Result<Qrels> {
    let mut qrels = Qrels::new();
    for (line_idx, line) in written_lines(path)?.enumerate() {
        let (number, line) = line?;
        let mut columns = columns(&line);
        if columns.len() == 4 {
            columns.remove(1);
        }
        let [query, document, relevance] = columns[..] else {
            bail!("{}: expected query, document, relevance", place(path, number));
        };
        match relevance.parse::<f64>().ok().filter(|relevance| relevance.is_finite()) {
            Some(relevance) if relevance > 0.0 => {
                qrels.entry(query.to_owned()).or_default().insert(document.to_owned(), relevance);
            }
            Some(_) => {}
            None if line_idx == 0 => {}
            None => bail!("{}: `{relevance}` is no number", place(path, number)),
        }
    }
    Ok(qrels)
}

/// Ids may hold blanks where tabs stand between them.
fn columns(line: &str) -> Vec<&str> {
    match line.trim().contains('\t') {
        true => line.trim().split('\t').map(str::trim).collect(),
        false => line.split_whitespace().collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(name: &str, text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn judgements_are_read_by_tabs_or_blanks_with_a_header_or_without() {
        for text in [
            "q1\td 1\t2\nq1\td2\t0\n",
            "\n\nquery-id\tcorpus-id\tscore\nq1\td 1\t2\n",
            "\u{feff}query-id\tcorpus-id\tscore\r\n\r\nq1\td 1\t2\r\n",
            "q1\t0\td 1\t2\n",
        ] {
            let (_folder, path) = written("qrels.tsv", text);
            let relevant = BTreeMap::from([("d 1".to_owned(), 2.0)]);
            assert_eq!(read_qrels(&path).unwrap(), Qrels::from([("q1".to_owned(), relevant)]), "{text:?}");
        }
        let (_folder, path) = written("qrels.tsv", "q1 0 d1 1\n q2  d2 1\n");
        assert_eq!(read_qrels(&path).unwrap().keys().collect::<Vec<_>>(), ["q1", "q2"]);
        for wrong in ["q1\td1\n", "q1\td1\t1\nq1\td2\tgood\n", "q1\td1\t1\nq1\td2\tinf\n"] {
            let (_folder, path) = written("qrels.tsv", wrong);
            assert!(read_qrels(&path).unwrap_err().to_string().contains("line"), "{wrong:?}");
        }
    }

    #[test]
    fn an_id_may_be_a_number_and_be_called_otherwise_and_counts_once() {
        let text = "{\"_id\": 7, \"title\": null, \"text\": \"a\"}\n\n{\"_id\": \"x\", \"id\": \"8\", \"text\": null}\n{\"id\": 7, \"text\": \"b\"}\n";
        let (_folder, path) = written("corpus.jsonl", text);
        let documents = read_once(&path, "document", |document: &Document| &document.id).unwrap();
        let read: Vec<(&str, &str)> =
            documents.iter().map(|document| (document.id.as_str(), document.text.as_str())).collect();
        assert_eq!(read, [("7", "a"), ("8", "")]);
        let (_folder, path) =
            written("corpus.jsonl", "{\"id\": 1, \"text\": \"a\"}\n{\"id\": 2, \"txt\": \"b\"}\n");
        let refused = format!("{:#}", read_lines::<Document>(&path).unwrap_err());
        assert!(refused.contains("line 2") && refused.contains("`text`"), "{refused}");
    }
}
