//! `waypost eval`: quality on a data set, through the same door that users come in by.

mod answers;
mod corpus;
mod data;
mod extraction;
mod files;
mod metrics;
mod retrieval;
mod routing;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use anyhow::{Result, ensure};
use serde::{Serialize, Serializer};
use waypost_engine::embed::Embedder;

use corpus::Corpus;
use data::{Document, Query, read_once, read_qrels};
use files::{CORPUS, Files, QA, QRELS, QUERIES, ROUTES};
use metrics::Metrics;

/// Metrics by mode.
pub type Results = BTreeMap<String, Metrics>;
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
    /// `None`: the set is in one piece.
    split: Option<String>,
    model: Option<String>,
    #[serde(serialize_with = "measured")]
    results: Results,
    speed: Speed,
}

/// The figures that there are.
fn measured<S: Serializer>(results: &Results, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(results.iter().map(|(mode, metrics)| {
        let figures = metrics.iter().filter_map(|(name, value)| Some((name, (*value)?)));
        (mode, figures.collect::<BTreeMap<&String, f64>>())
    }))
}

/// What one kind of measurement gives: its results, its speed, and the split that they are over.
type Measured = (Results, Speed, Option<String>);

/// Takes the set in and asks its questions.
///
/// # Errors
/// Where the set does not say what to ask, or asking fails.
pub fn run(kind: Kind, set: &Set<'_>, embedder: Option<Arc<dyn Embedder>>) -> Result<Report> {
    ensure!(
        set.shots.is_none() || kind == Kind::Routing,
        "`--shots` says how many examples of each route are used: expected it with `routing` alone"
    );
    let model = embedder.as_ref().map(|embedder| embedder.id().to_string());
    let (kind, (results, speed, split)) = match kind {
        Kind::Retrieval => ("retrieval", measure_retrieval(set, embedder)?),
        Kind::Answers => ("answers", measure_answers(set, embedder)?),
        Kind::Routing => ("routing", measure_routing(set, embedder.as_ref())?),
        Kind::Extraction => ("extraction", measure_extraction(set)?),
    };
    let dataset = set.folder.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
    Ok(Report { kind, dataset, split, model, results, speed })
}

fn measure_retrieval(set: &Set<'_>, embedder: Option<Arc<dyn Embedder>>) -> Result<Measured> {
    let files = Files::choose(set.folder, &[CORPUS, QUERIES, QRELS], set.split)?;
    let documents = read_documents(&files)?;
    let (queries_path, qrels_path) = (files.find(QUERIES)?, files.find(QRELS)?);
    let queries = read_once(&queries_path, "query", |query: &Query| &query.id)?;
    let qrels = read_qrels(&qrels_path)?;
    ensure!(
        queries.iter().any(|query| qrels.contains_key(&query.id)),
        "`{}` judges no query of `{}`: expected a relevance above 0 for one of them",
        qrels_path.display(),
        queries_path.display()
    );
    let corpus = Corpus::build(&documents, embedder, set.keep)?;
    let (results, speed) = retrieval::run(&corpus, &queries, &qrels)?;
    Ok((results, speed, files.split))
}

fn measure_answers(set: &Set<'_>, embedder: Option<Arc<dyn Embedder>>) -> Result<Measured> {
    let files = Files::choose(set.folder, &[CORPUS, QA], set.split)?;
    let documents = read_documents(&files)?;
    let questions = answers::read_questions(&files.find(QA)?, &documents)?;
    let corpus = Corpus::build(&documents, embedder, set.keep)?;
    let (results, speed) = answers::run(&corpus, &documents, &questions)?;
    Ok((results, speed, files.split))
}

fn measure_routing(set: &Set<'_>, embedder: Option<&Arc<dyn Embedder>>) -> Result<Measured> {
    let files = Files::choose(set.folder, &[ROUTES, QUERIES], set.split)?;
    let routes = routing::read_routes(&files.find(ROUTES)?)?;
    let queries = routing::read_queries(&files.find(QUERIES)?, &routes)?;
    let (results, speed) = routing::run(&routes, &queries, set.shots, embedder)?;
    Ok((results, speed, files.split))
}

fn measure_extraction(set: &Set<'_>) -> Result<Measured> {
    let (results, speed) = extraction::run(set.folder, set.split, crate::config::isolation())?;
    Ok((results, speed, set.split.map(str::to_owned)))
}

fn read_documents(files: &Files<'_>) -> Result<Vec<Document>> {
    read_once(&files.find(CORPUS)?, "document", |document: &Document| &document.id)
}

impl Report {
    /// A table for a person.
    pub fn table(&self) -> String {
        let split = self.split.as_ref().map_or_else(String::new, |split| format!(" · split {split}"));
        let mut lines = vec![format!("{} · {}{split}", self.kind, self.dataset)];
        let metrics: BTreeSet<&String> = self.results.values().flat_map(BTreeMap::keys).collect();
        lines.push(format!(
            "{:12}{}",
            "",
            metrics.iter().map(|name| format!("{name:>22}")).collect::<String>()
        ));
        for (mode, values) in &self.results {
            let cell = |name: &&String| match values.get(*name).copied().flatten() {
                Some(value) => format!("{value:>22.4}"),
                None => format!("{:>22}", "–"),
            };
            lines.push(format!("{mode:12}{}", metrics.iter().map(cell).collect::<String>()));
        }
        for (name, value) in &self.speed {
            lines.push(format!("{name:24}{value:>10.1}"));
        }
        lines.join("\n")
    }
}
