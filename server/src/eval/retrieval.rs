//! Retrieval quality: every query through each mode, a document's score being that of its best chunk.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Result;
use waypost_engine::api::SearchRequest;
use waypost_engine::search::Mode;

use super::corpus::Corpus;
use super::data::{Qrels, Query};
use super::metrics::{ndcg, recall, reciprocal_rank};
use super::{Results, Speed};
use crate::output;

/// Hits fetched per query: several chunks of one document may stand before the next document.
const HITS: usize = 400;

/// Metrics by mode, and speed. Without a model there is the lexical mode alone.
pub fn run(corpus: &Corpus, queries: &[Query], qrels: &Qrels) -> Result<(Results, Speed)> {
    let judged: Vec<(&Query, &BTreeMap<String, f64>)> =
        queries.iter().filter_map(|query| Some((query, qrels.get(&query.id)?))).collect();
    let mut results = Results::new();
    let mut speed = Speed::new();
    speed
        .insert("documents_per_second".to_owned(), corpus.n_documents as f64 / corpus.indexing.as_secs_f64());
    speed.insert("indexing_seconds".to_owned(), corpus.indexing.as_secs_f64());
    let modes: &[(&str, Mode)] = if corpus.has_model {
        &[("lexical", Mode::Lexical), ("semantic", Mode::Semantic), ("hybrid", Mode::Hybrid)]
    } else {
        output::note("without a model `lexical` is all there is to measure");
        &[("lexical", Mode::Lexical)]
    };
    for (name, mode) in modes {
        let mut sums: BTreeMap<&str, f64> = BTreeMap::new();
        for (query, relevant) in &judged {
            let ranked = documents(corpus, &query.text, *mode, HITS)?;
            *sums.entry("ndcg@10").or_default() += ndcg(&ranked, relevant, 10);
            *sums.entry("recall@10").or_default() += recall(&ranked, relevant, 10);
            *sums.entry("recall@100").or_default() += recall(&ranked, relevant, 100);
            *sums.entry("mrr@10").or_default() += reciprocal_rank(&ranked, relevant, 10);
        }
        let n = judged.len().max(1) as f64;
        results.insert(
            (*name).to_owned(),
            sums.into_iter().map(|(metric, sum)| (metric.to_owned(), Some(sum / n))).collect(),
        );
    }
    let usual = if corpus.has_model { Mode::Hybrid } else { Mode::Lexical };
    let begun = Instant::now();
    for (query, _) in &judged {
        documents(corpus, &query.text, usual, 10)?;
    }
    speed.insert("queries_per_second".to_owned(), judged.len() as f64 / begun.elapsed().as_secs_f64());
    speed.insert("queries".to_owned(), judged.len() as f64);
    Ok((results, speed))
}

/// Documents, best first, each once.
fn documents(corpus: &Corpus, query: &str, mode: Mode, limit: usize) -> Result<Vec<String>> {
    let request = SearchRequest {
        query: query.to_owned(),
        mode,
        limit: Some(limit),
        plain: true,
        ..SearchRequest::default()
    };
    let reply = corpus.session().search(&request)?;
    let mut ranked: Vec<String> = Vec::new();
    for hit in &reply.results {
        for path in std::iter::once(&hit.citation.path).chain(&hit.copies) {
            if let Some(id) = corpus.id(path)
                && !ranked.iter().any(|other| other == id)
            {
                ranked.push(id.to_owned());
            }
        }
    }
    Ok(ranked)
}
