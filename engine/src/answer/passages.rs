//! Weighs the sentences of the best hits against the question.

use std::collections::HashMap;
use std::sync::Arc;

use super::{HITS_READ, in_document};
use crate::embed::Embedder;
use crate::index::each_term;
use crate::search::{Degraded, Hits};
use crate::span::Span;
use crate::text;

/// Sentences that are embedded at most; the rest is weighed by its words.
const MAX_SENTENCES: usize = 48;
/// Shorter ones are headings and list marks, which answer nothing alone.
const MIN_SENTENCE_BYTES: usize = 12;
/// Longer ones are cut by the splitter before; this guards the answer's size.
const MAX_QUOTE_BYTES: usize = 700;

/// The share of meaning in a sentence's weight; the rest is split between words and the hit's own rank.
const MEANING: f32 = 0.5;
const WORDS: f32 = 0.35;
const HIT: f32 = 0.15;
/// A further sentence is cited only if its weight is at least this share of the best one's.
const KEEP_SHARE: f32 = 0.55;

/// A sentence that bears on the question.
#[derive(Debug, Clone)]
pub struct Support {
    /// Index into the hits.
    pub hit: usize,
    /// In the document's extracted text.
    pub span: Span,
    /// The text under `span`.
    pub quote: String,
    /// How well it bears on the question, about `[0, 1]`.
    pub weight: f32,
    /// The share of the question's words that it holds, by weight.
    pub words: f32,
    /// Cosine of question and sentence, where there is a model.
    pub cosine: Option<f32>,
}

/// The best sentences, best first, at most `max_quotes`.
pub fn best(
    hits: &Hits,
    embedder: Option<&Arc<dyn Embedder>>,
    max_quotes: usize,
    degraded: &mut Vec<Degraded>,
) -> Vec<Support> {
    let mut all = sentences(hits);
    weigh_words(hits, &mut all);
    all.sort_by(|a, b| rough(b).total_cmp(&rough(a)));
    all.truncate(MAX_SENTENCES);
    weigh_meaning(hits, embedder, &mut all, degraded);
    for support in &mut all {
        let meaning = support.cosine.unwrap_or(support.words);
        support.weight = MEANING * meaning + WORDS * support.words + HIT * hit_share(support.hit);
    }
    all.sort_by(|a, b| b.weight.total_cmp(&a.weight).then_with(|| (a.hit, a.span).cmp(&(b.hit, b.span))));
    let floor = all.first().map_or(0.0, |best| best.weight * KEEP_SHARE);
    all.retain(|support| support.weight >= floor);
    all.truncate(max_quotes);
    all
}

/// Before any embedding: words and rank alone.
fn rough(support: &Support) -> f32 {
    support.words + hit_share(support.hit)
}

/// 1 for the first hit, falling with the rank.
fn hit_share(hit_idx: usize) -> f32 {
    1.0 / (1.0 + 0.5 * hit_idx as f32)
}

fn sentences(hits: &Hits) -> Vec<Support> {
    let mut all = Vec::new();
    for (hit_idx, hit) in hits.hits.iter().take(HITS_READ).enumerate() {
        let chunk = &hit.record.text;
        for span in text::sentences(chunk, Span::new(0, chunk.len())) {
            let Some(quote) = span.of(chunk) else { continue };
            // A Markdown heading names a subject and says nothing of it.
            let is_heading = quote.starts_with('#');
            if is_heading || quote.len() < MIN_SENTENCE_BYTES || quote.len() > MAX_QUOTE_BYTES {
                continue;
            }
            all.push(Support {
                hit: hit_idx,
                span: in_document(hit.record.span, span),
                quote: quote.to_owned(),
                weight: 0.0,
                words: 0.0,
                cosine: None,
            });
        }
    }
    all
}

fn weigh_words(hits: &Hits, all: &mut [Support]) {
    let weights: HashMap<&str, f32> =
        hits.terms.iter().map(|(text, weight)| (text.as_str(), *weight)).collect();
    let total: f32 = weights.values().sum();
    if total <= 0.0 {
        return;
    }
    for support in all {
        let mut found: Vec<String> = Vec::new();
        let mut sum = 0.0;
        each_term(&support.quote, |term| {
            if let Some(weight) = weights.get(term.text.as_str())
                && !found.contains(&term.text)
            {
                sum += weight;
                found.push(term.text);
            }
        });
        support.words = sum / total;
    }
}

fn weigh_meaning(
    hits: &Hits,
    embedder: Option<&Arc<dyn Embedder>>,
    all: &mut [Support],
    degraded: &mut Vec<Degraded>,
) {
    let (Some(embedder), Some(question)) = (embedder, &hits.vector) else { return };
    let texts: Vec<&str> = all.iter().map(|support| support.quote.as_str()).collect();
    match embedder.embed_documents(&texts) {
        Ok(vectors) => {
            for (support, vector) in all.iter_mut().zip(vectors) {
                support.cosine = Some(vector.iter().zip(question).map(|(a, b)| a * b).sum());
            }
        }
        Err(error) => degraded.push(Degraded { stage: "semantic", reason: error.to_string() }),
    }
}
