//! `waypost eval`: quality on a data set, through the same door that users come in by.

mod answers;
mod corpus;
mod data;
mod metrics;
mod retrieval;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use serde::Serialize;
use waypost_engine::embed::Embedder;

use corpus::Corpus;
use data::{Document, JSONL, Query, Question, TSV, find, read_lines, read_qrels};

/// Metrics by mode.
pub type Results = BTreeMap<String, BTreeMap<String, f64>>;
/// Speeds by name.
pub type Speed = BTreeMap<String, f64>;

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Kind {
    /// Ranking of documents against judgements.
    Retrieval,
    /// Extractive answers against gold answers.
    Answers,
}

/// What came out.
#[derive(Debug, Serialize)]
pub struct Report {
    kind: &'static str,
    dataset: String,
    split: String,
    model: Option<String>,
    results: Results,
    speed: Speed,
}

/// Indexes the set's corpus and asks its questions.
pub fn run(
    kind: Kind,
    folder: &Path,
    split: Option<&str>,
    embedder: Option<Arc<dyn Embedder>>,
    keep: Option<&Path>,
) -> Result<Report> {
    let documents: Vec<Document> = read_lines(&find(folder, "corpus", JSONL, split)?)?;
    let model = embedder.as_ref().map(|embedder| embedder.id().to_string());
    let (kind, results, speed) = match kind {
        Kind::Retrieval => {
            let queries: Vec<Query> = read_lines(&find(folder, "queries", JSONL, split)?)?;
            let qrels = read_qrels(&find(folder, "qrels", TSV, split)?)?;
            let corpus = Corpus::build(&documents, embedder, keep)?;
            let (results, speed) = retrieval::run(&corpus, &queries, &qrels)?;
            ("retrieval", results, speed)
        }
        Kind::Answers => {
            let questions: Vec<Question> = read_lines(&find(folder, "qa", JSONL, split)?)?;
            let corpus = Corpus::build(&documents, embedder, keep)?;
            let (results, speed) = answers::run(&corpus, &documents, &questions)?;
            ("answers", results, speed)
        }
    };
    let dataset = folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    Ok(Report { kind, dataset, split: split.unwrap_or("test").to_owned(), model, results, speed })
}

impl Report {
    /// A table for a person.
    pub fn table(&self) -> String {
        let mut lines = vec![format!("{} · {} · split {}", self.kind, self.dataset, self.split)];
        let metrics: Vec<&String> =
            self.results.values().next().map(|m| m.keys().collect()).unwrap_or_default();
        lines.push(format!(
            "{:12}{}",
            "",
            metrics.iter().map(|name| format!("{name:>22}")).collect::<String>()
        ));
        for (mode, values) in &self.results {
            let row: String = metrics
                .iter()
                .map(|name| format!("{:>22.4}", values.get(*name).copied().unwrap_or(0.0)))
                .collect();
            lines.push(format!("{mode:12}{row}"));
        }
        for (name, value) in &self.speed {
            lines.push(format!("{name:24}{value:>10.1}"));
        }
        lines.join("\n")
    }
}
