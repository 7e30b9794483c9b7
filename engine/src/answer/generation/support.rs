//! Which sentences of a draft stand in the passages that they cite.

use std::sync::Arc;

use super::prompt::Passage;
use crate::claims::{self, Claim};
use crate::embed::{EmbedError, Embedder};
use crate::span::Span;
use crate::text;

/// A sentence whose words stand in the passage to this share is supported, if its meaning is near.
const WORDS: f32 = 0.6;
/// With so near a meaning fewer words do.
const NEAR_WORDS: f32 = 0.4;
const NEAR_COSINE: f32 = 0.75;
/// A sentence further from the passage is not supported, whatever words it shares.
const MIN_COSINE: f32 = 0.45;
/// Sentences of a draft that are looked at; the rest counts as dropped.
const MAX_SENTENCES: usize = 24;
/// Sentences of a passage that one sentence of a draft may draw on.
const WINDOW: usize = 2;

/// A sentence that is supported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sentence {
    /// Without its marks.
    pub text: String,
    /// The index of each passage that supports it, and which bytes of it do.
    pub supports: Vec<(usize, Span)>,
}

/// What is left of a draft.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Kept {
    /// In their order.
    pub sentences: Vec<Sentence>,
    /// Sentences without a mark, or whose passages do not say it.
    pub n_dropped: usize,
}

/// Keeps the sentences of a draft that a passage which they cite says: their words, all their numbers, no denial and no
/// contradiction of it, and a meaning that is near by the model at hand.
///
/// # Errors
/// Where that model fails: then nothing is known to be supported.
pub fn keep(
    draft: &str,
    passages: &[Passage<'_>],
    embedder: Option<&Arc<dyn Embedder>>,
) -> Result<Kept, EmbedError> {
    let mut kept = Kept::default();
    for (at, (sentence, marks)) in marked(draft).into_iter().enumerate() {
        let cited: Vec<usize> =
            passages.iter().enumerate().filter(|(_, p)| marks.contains(&p.n)).map(|(idx, _)| idx).collect();
        let mut supports: Vec<(usize, Span)> = Vec::new();
        for idx in cited.into_iter().filter(|_| at < MAX_SENTENCES) {
            supports.extend(support(&sentence, &passages[idx], embedder)?.map(|span| (idx, span)));
        }
        if supports.is_empty() {
            kept.n_dropped += 1;
        } else {
            kept.sentences.push(Sentence { text: sentence, supports });
        }
    }
    Ok(kept)
}

/// The bytes of a passage that say a sentence; the fewest sentences that do.
fn support(
    sentence: &str,
    passage: &Passage<'_>,
    embedder: Option<&Arc<dyn Embedder>>,
) -> Result<Option<Span>, EmbedError> {
    let Some((words, span, quote)) = closest(sentence, passage) else { return Ok(None) };
    let is_supported = match cosine(embedder, sentence, quote)? {
        Some(cosine) => {
            cosine >= MIN_COSINE && (words >= WORDS || words >= NEAR_WORDS && cosine >= NEAR_COSINE)
        }
        None => words >= WORDS,
    };
    Ok(is_supported.then_some(span))
}

/// The sentences of a passage that have most of a sentence's words, with their share and their bytes.
fn closest<'a>(sentence: &str, passage: &Passage<'a>) -> Option<(f32, Span, &'a str)> {
    let claim = Claim::of(sentence);
    if claim.is_empty() || !links_stand_in(sentence, passage.text) {
        return None;
    }
    let spans = text::sentences(passage.text, Span::new(0, passage.text.len()));
    let mut best: Option<(f32, Span)> = None;
    for size in 1..=WINDOW {
        for window in spans.windows(size) {
            let span = Span::new(window[0].start, window[size - 1].end);
            let Some(quote) = span.of(passage.text) else { continue };
            let Some(words) = says(&claim, quote, passage.text, window) else { continue };
            if best.as_ref().is_none_or(|(share, _)| words > share + 0.05) {
                best = Some((words, span));
            }
        }
    }
    let (words, span) = best?;
    Some((words, span, span.of(passage.text)?))
}

/// The share of a claim's words that a quote has, where nothing in it speaks against the claim.
fn says(claim: &Claim, quote: &str, passage: &str, window: &[Span]) -> Option<f32> {
    let whole = Claim::of(quote);
    if !claim.values_stand_in(&whole) {
        return None;
    }
    // A denial is that of the one sentence that is closest, in whichever of its clauses it stands: so a sentence is rather
    // dropped than kept wrongly.
    let single = window.iter().filter_map(|span| span.of(passage)).map(Claim::of);
    let closest = single.max_by(|a, b| claim.coverage_in(a).total_cmp(&claim.coverage_in(b)))?;
    if !claim.agrees_in_denial(&closest)
        || claims::conflict(claim, &closest).is_some_and(|_| window.len() == 1)
    {
        return None;
    }
    Some(claim.coverage_in(&whole))
}

/// Whether every address of a sentence stands in the passage as it is: one that does not leads somewhere nobody named.
fn links_stand_in(sentence: &str, passage: &str) -> bool {
    let words = sentence.split(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '<' | '>' | '"'));
    let links =
        words.filter(|word| word.contains("://") || word.starts_with("www.") || word.starts_with("data:"));
    links.map(|link| link.trim_end_matches(['.', ',', ';'])).all(|link| passage.contains(link))
}

/// `None` without a model.
fn cosine(embedder: Option<&Arc<dyn Embedder>>, one: &str, other: &str) -> Result<Option<f32>, EmbedError> {
    let vectors = embedder.map(|embedder| embedder.embed_documents(&[one, other])).transpose()?;
    let Some([a, b]) = vectors.as_deref() else { return Ok(None) };
    Ok(Some(a.iter().zip(b).map(|(a, b)| a * b).sum()))
}

/// The sentences of a draft without their marks, each with the numbers that it cites.
fn marked(draft: &str) -> Vec<(String, Vec<usize>)> {
    let mut out: Vec<(String, Vec<usize>)> = Vec::new();
    for span in text::sentences(draft, Span::new(0, draft.len())) {
        let (mut said, mut marks) = take_marks(span.of(draft).unwrap_or_default());
        // `Yes. [1]`: the mark stands behind the end of its sentence, and before the next one.
        let raw = span.of(draft).unwrap_or_default().trim_start();
        if raw.starts_with('[')
            && let Some((_, before)) = out.last_mut()
            && before.is_empty()
        {
            let n_leading = leading_marks(raw);
            before.extend(marks.drain(..n_leading.min(marks.len())));
        }
        said = said.trim_start_matches(['-', '*', '#', ' ']).trim().to_owned();
        if said.chars().any(char::is_alphanumeric) {
            out.push((said, marks));
        }
    }
    out
}

/// How many numbers stand in marks before the first word.
fn leading_marks(text: &str) -> usize {
    let mut n_marks = 0;
    let mut rest = text.trim_start();
    while let Some((numbers, after)) = rest.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        let Some(numbers) = read_numbers(numbers) else { break };
        n_marks += numbers.len();
        rest = after.trim_start();
    }
    n_marks
}

fn read_numbers(text: &str) -> Option<Vec<usize>> {
    text.split(',').map(|number| number.trim().trim_start_matches('^').parse().ok()).collect()
}

fn take_marks(sentence: &str) -> (String, Vec<usize>) {
    let (mut said, mut marks) = (String::new(), Vec::new());
    let mut rest = sentence;
    while let Some(at) = rest.find('[') {
        let (before, from) = rest.split_at(at);
        let numbers =
            from[1..].split_once(']').and_then(|(inner, after)| Some((read_numbers(inner)?, after)));
        match numbers {
            Some((numbers, after)) => {
                said.push_str(before.trim_end());
                marks.extend(numbers);
                rest = after;
            }
            None => {
                said.push_str(&rest[..at + 1]);
                rest = &rest[at + 1..];
            }
        }
    }
    said.push_str(rest);
    (said.trim().to_owned(), marks)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSAGE: &str = "Invoices are kept for ten years. Receipts of travel are kept for six years, and are not sent abroad.";

    fn kept(draft: &str) -> (Vec<String>, usize) {
        let passages = [
            Passage { n: 1, headings: &[], text: PASSAGE },
            Passage { n: 2, headings: &[], text: "The office opens at nine." },
        ];
        let kept = keep(draft, &passages, None).unwrap();
        (kept.sentences.into_iter().map(|sentence| sentence.text).collect(), kept.n_dropped)
    }

    #[test]
    fn marks_are_found_wherever_they_stand() {
        let marks = |draft| {
            marked(draft).into_iter().map(|(said, marks)| format!("{said}{marks:?}")).collect::<Vec<_>>()
        };
        assert_eq!(marks("One is kept [1]. Two is kept. [2][3]"), ["One is kept.[1]", "Two is kept.[2, 3]"]);
        assert_eq!(marks("One is kept. [1] Two is kept. [2, 3]"), ["One is kept.[1]", "Two is kept.[2, 3]"]);
        assert_eq!(
            marks("- A list item here [1]\n- Another item here [x]"),
            ["A list item here[1]", "Another item here [x][]"]
        );
    }

    #[test]
    fn only_what_the_passage_says_is_kept() {
        for draft in [
            "Invoices are kept for 10 years [1].",
            "Invoices are kept for ten years. [1]",
            "Receipts of travel are not sent abroad [1].",
        ] {
            assert_eq!(kept(draft).1, 0, "{draft}");
        }
        for draft in [
            "Invoices are kept for eleven years [1].",
            "Invoices are kept for ten years [2].",
            "Invoices are kept for ten years [7].",
            "Invoices are kept for ten years.",
            "Invoices are not kept for ten years [1].",
            // A denial anywhere in the sentence counts: rather too strict than too lax.
            "Receipts of travel are kept for six years [1].",
            "Invoices are kept for ten years at https://evil.example/x [1].",
            "The chief executive likes sailing [1].",
            "NONE",
        ] {
            assert_eq!(kept(draft), (Vec::new(), 1), "{draft}");
        }
    }

    #[test]
    fn the_quote_is_the_sentence_that_says_it() {
        let passages = [Passage { n: 1, headings: &[], text: PASSAGE }];
        let kept = keep("Receipts of travel are not sent abroad [1].", &passages, None).unwrap();
        let (_, span) = kept.sentences[0].supports[0];
        assert!(span.of(PASSAGE).unwrap().starts_with("Receipts of travel"));
    }
}
