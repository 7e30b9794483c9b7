//! `waypost eval`: quality on a data set, through the same door that users come in by.

mod answers;
mod corpus;
mod data;
mod extraction;
mod metrics;
mod retrieval;
mod routing;

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
    /// Intents against the routes that they are for.
    Routing,
    /// Reading documents: words found by format, pages and bytes a second; `--split` names one format.
    Extraction,
}

/// What is measured over.
#[derive(Debug, Clone, Copy)]
pub struct Set<'a> {
    /// With the data set's files.
    pub folder: &'a Path,
    /// Split or language in the files' names.
    pub split: Option<&'a str>,
    /// Of each route, so many examples.
    pub shots: Option<usize>,
    /// Where the indexed corpus is kept.
    pub keep: Option<&'a Path>,
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

/// Takes the set in and asks its questions.
pub fn run(kind: Kind, set: &Set<'_>, embedder: Option<Arc<dyn Embedder>>) -> Result<Report> {
    let model = embedder.as_ref().map(|embedder| embedder.id().to_string());
    let lines = |name| find(set.folder, name, JSONL, set.split);
    let corpus = |documents: &[Document]| Corpus::build(documents, embedder.clone(), set.keep);
    let (kind, (results, speed)) = match kind {
        Kind::Retrieval => {
            let documents: Vec<Document> = read_lines(&lines("corpus")?)?;
            let queries: Vec<Query> = read_lines(&lines("queries")?)?;
            let qrels = read_qrels(&find(set.folder, "qrels", TSV, set.split)?)?;
            ("retrieval", retrieval::run(&corpus(&documents)?, &queries, &qrels)?)
        }
        Kind::Answers => {
            let documents: Vec<Document> = read_lines(&lines("corpus")?)?;
            let questions: Vec<Question> = read_lines(&lines("qa")?)?;
            ("answers", answers::run(&corpus(&documents)?, &documents, &questions)?)
        }
        Kind::Routing => {
            let (routes, queries) = (read_lines(&lines("routes")?)?, read_lines(&lines("queries")?)?);
            ("routing", routing::run(&routes, &queries, set.shots, embedder.as_ref())?)
        }
        Kind::Extraction => {
            ("extraction", extraction::run(set.folder, set.split, crate::config::isolation())?)
        }
    };
    let dataset = set.folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    Ok(Report { kind, dataset, split: set.split.unwrap_or("test").to_owned(), model, results, speed })
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
