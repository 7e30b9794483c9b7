//! Weighs the sentences of the best hits against the question, each with what stands over it: its headings say what it is about.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::{HITS_READ, in_document};
use crate::embed::Embedder;
use crate::index::{self, ChunkRecord};
use crate::search::{Degraded, Hits};
use crate::span::Span;
use crate::text;

/// Sentences that are embedded at most; the rest is weighed by its words.
const MAX_SENTENCES: usize = 48;
/// Shorter ones are list marks, which answer nothing alone.
const MIN_SENTENCE_BYTES: usize = 12;
/// Longer ones are cut by the splitter before; this guards the answer's size.
const MAX_QUOTE_BYTES: usize = 700;

/// The share of meaning in a sentence's weight; the rest is split between words and the hit's own rank.
const MEANING: f32 = 0.5;
const WORDS: f32 = 0.35;
const HIT: f32 = 0.15;
/// What a word of the question counts that stands in the headings alone.
const OVERHEAD: f32 = 0.5;
/// A further sentence is cited only if its weight is at least this share of the best one's.
const KEEP_SHARE: f32 = 0.55;

/// Sentences of fewer words are compared without their heading.
const MIN_WORDS_IN_CONTEXT: usize = 7;
/// Sentences that may all be of an answer; those behind them tell what bears on the question no more than by chance.
const N_FIRST: usize = 3;
/// So many behind them are looked at.
const N_REST: usize = 6;
/// What a sentence weighs that has nothing to do with the question, about.
const BY_CHANCE: f32 = 0.3;

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
    /// The share of the question's words that it holds, by weight; those of its headings count for less.
    pub words: f32,
    /// Cosine of question and sentence, a longer one under its heading, where there is a model.
    pub cosine: Option<f32>,
}

/// Title and headings, outermost first, with their words.
#[derive(Default)]
struct Over {
    names: Vec<String>,
    words: BTreeSet<String>,
}

impl Over {
    fn new(names: Vec<String>) -> Self {
        let words = names.iter().flat_map(|name| index::terms(name)).map(|term| term.text).collect();
        Self { names, words }
    }
}

/// A sentence that is weighed, and what stands over it.
struct Candidate {
    support: Support,
    over: Arc<Over>,
    /// Whether that says all that it says.
    names_only: bool,
}

/// What bears on a question.
pub struct Evidence {
    /// The best sentences, best first.
    pub supports: Vec<Support>,
    /// By how much the best one stands out of those that would come next.
    pub margin: f32,
}

/// The best sentences, at most `max_quotes`.
pub fn best(
    hits: &Hits,
    embedder: Option<&Arc<dyn Embedder>>,
    max_quotes: usize,
    degraded: &mut Vec<Degraded>,
) -> Evidence {
    let asked = Asked::new(&hits.terms);
    let mut all = candidates(hits, &asked);
    all.sort_by(|a, b| rough(&b.support).total_cmp(&rough(&a.support)));
    all.truncate(MAX_SENTENCES);
    weigh_meaning(hits, embedder, &mut all, degraded);
    let mut supports: Vec<Support> = all.into_iter().map(|one| one.support).collect();
    for support in &mut supports {
        let meaning = support.cosine.unwrap_or(support.words);
        support.weight = MEANING * meaning + WORDS * support.words + HIT * hit_share(support.hit);
    }
    supports
        .sort_by(|a, b| b.weight.total_cmp(&a.weight).then_with(|| (a.hit, a.span).cmp(&(b.hit, b.span))));
    let best = supports.first().map_or(0.0, |best| best.weight);
    let margin = best - rest(&supports);
    supports.retain(|support| support.weight >= best * KEEP_SHARE);
    supports.truncate(max_quotes);
    Evidence { supports, margin }
}

/// The mean weight of the sentences behind the first few. Where there are not so many, chance has the places that are left.
fn rest(supports: &[Support]) -> f32 {
    let weights = supports.iter().map(|support| support.weight).skip(N_FIRST);
    weights.chain(std::iter::repeat(BY_CHANCE)).take(N_REST).sum::<f32>() / N_REST as f32
}

/// Before any embedding: words and rank alone.
fn rough(support: &Support) -> f32 {
    support.words + hit_share(support.hit)
}

/// 1 for the first hit, falling with the rank.
fn hit_share(hit_idx: usize) -> f32 {
    1.0 / (1.0 + 0.5 * hit_idx as f32)
}

/// The sentences of the best hits, with the question's words in them. A heading is none, but where a hit has nothing else.
fn candidates(hits: &Hits, asked: &Asked<'_>) -> Vec<Candidate> {
    let mut all = Vec::new();
    for (hit_idx, hit) in hits.hits.iter().take(HITS_READ).enumerate() {
        let (headings, said): (Vec<_>, Vec<_>) =
            read(hit_idx, &hit.record, asked).into_iter().partition(Candidate::is_heading);
        all.extend(if said.is_empty() { headings } else { said });
    }
    all
}

fn read(hit_idx: usize, record: &ChunkRecord, asked: &Asked<'_>) -> Vec<Candidate> {
    let is_first = record.span.start == 0 && record.mime_type == "text/markdown";
    let body = if is_first { front_matter(&record.text) } else { 0 };
    let mut over = Arc::new(Over::default());
    let mut found = Vec::new();
    for span in text::sentences(&record.text, Span::new(body, record.text.len())) {
        let Some(quote) = span.of(&record.text) else { continue };
        if quote.len() < MIN_SENTENCE_BYTES || quote.len() > MAX_QUOTE_BYTES {
            continue;
        }
        let span = in_document(record.span, span);
        let names = || record.title.iter().chain(record.headings_at(span.start));
        if !names().eq(&over.names) {
            over = Arc::new(Over::new(names().cloned().collect()));
        }
        let (words, names_only) = asked.share(quote, &over.words);
        let support =
            Support { hit: hit_idx, span, quote: quote.to_owned(), weight: 0.0, words, cosine: None };
        found.push(Candidate { support, over: Arc::clone(&over), names_only });
    }
    found
}

/// Bytes of the settings that a Markdown file begins with, between lines of `---` or `+++`: they are about the file.
fn front_matter(text: &str) -> usize {
    let mut lines = text.split_inclusive('\n');
    let (Some(fence), Some(first)) = (lines.next(), lines.next()) else { return 0 };
    let sets = match fence.trim_end() {
        "---" => ':',
        "+++" => '=',
        _ => return 0,
    };
    if !first.contains(sets) {
        return 0;
    }
    let mut end = fence.len() + first.len();
    for line in lines {
        end += line.len();
        if line.trim_end() == fence.trim_end() {
            return end;
        }
    }
    0
}

/// The question's words, each with its weight.
struct Asked<'a> {
    weights: HashMap<&'a str, f32>,
    total: f32,
}

impl<'a> Asked<'a> {
    fn new(terms: &'a [(String, f32)]) -> Self {
        let weights = terms.iter().map(|(text, weight)| (text.as_str(), *weight)).collect();
        Self { weights, total: terms.iter().map(|(_, weight)| weight).sum() }
    }

    /// The share that a sentence holds, where what only its headings hold counts for less, and whether they say all that it says.
    fn share(&self, quote: &str, over: &BTreeSet<String>) -> (f32, bool) {
        let mut said: Vec<&str> = Vec::new();
        let mut names_only = true;
        index::each_term(quote, |term| {
            names_only &= over.contains(&term.text);
            if let Some((word, _)) = self.weights.get_key_value(term.text.as_str())
                && !said.contains(word)
            {
                said.push(word);
            }
        });
        let weight = |word: &str| self.weights.get(word).copied().unwrap_or_default();
        let own: f32 = said.iter().map(|word| weight(word)).sum();
        let others = over.iter().filter(|word| !said.contains(&word.as_str()));
        let overhead: f32 = others.map(|word| weight(word)).sum();
        let held = own + OVERHEAD * overhead;
        (if self.total > 0.0 { held / self.total } else { 0.0 }, names_only)
    }
}

fn weigh_meaning(
    hits: &Hits,
    embedder: Option<&Arc<dyn Embedder>>,
    all: &mut [Candidate],
    degraded: &mut Vec<Degraded>,
) {
    let (Some(embedder), Some(question)) = (embedder, &hits.vector) else { return };
    let texts: Vec<String> = all.iter().map(Candidate::in_context).collect();
    let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
    match embedder.embed_documents(&texts) {
        Ok(vectors) => {
            for (one, vector) in all.iter_mut().zip(vectors) {
                one.support.cosine = Some(vector.iter().zip(&question.values).map(|(a, b)| a * b).sum());
            }
        }
        Err(error) => degraded.push(Degraded { stage: "semantic", reason: error.to_string() }),
    }
}

impl Candidate {
    /// A heading names a subject and says nothing of it.
    fn is_heading(&self) -> bool {
        self.names_only || self.support.quote.starts_with('#')
    }

    /// The sentence below its innermost heading. Of a few words it stands alone: it would be mostly its heading.
    fn in_context(&self) -> String {
        let quote = &self.support.quote;
        match self.over.names.last().filter(|_| text::words(quote).nth(MIN_WORDS_IN_CONTEXT - 1).is_some()) {
            Some(heading) => format!("{heading}. {quote}"),
            None => quote.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn front_matter_is_settings_between_two_fences() {
        for (text, expected) in [
            ("---\ntitle: A\n---\nB", 17),
            ("---\r\ntitle: A\r\n---\r\nB", 20),
            ("+++\ntitle = 'A'\n+++\n", 20),
            ("---\n\nA rule, and below it\n\n---\n", 0),
            ("---\ntitle: A\n", 0),
            ("Text\n---\n", 0),
            ("", 0),
        ] {
            assert_eq!(front_matter(text), expected, "{text:?}");
        }
    }
}
