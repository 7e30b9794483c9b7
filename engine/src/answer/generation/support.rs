//! Which sentences of a draft stand in the passages that they cite.

use std::sync::Arc;

use super::prompt::Passage;
use crate::claims::Claim;
use crate::embed::{EmbedError, Embedder};
use crate::span::Span;
use crate::text;

/// A sentence further from the passage is not supported, whatever words it shares.
const MIN_COSINE: f32 = 0.45;

/// The bytes of the first sentence of a passage that says a sentence of a draft, as [`Claim::stands_in`] has it, and whose meaning
/// is near by the model at hand. It drops a true sentence in other words rather than keep a false one in the same: who asked then
/// gets quotes.
///
/// # Errors
/// Where that model fails: then nothing is known to be supported.
pub(super) fn support(
    sentence: &str,
    passage: &Passage<'_>,
    embedder: Option<&Arc<dyn Embedder>>,
) -> Result<Option<Span>, EmbedError> {
    if !links_stand_in(sentence, passage.text) {
        return Ok(None);
    }
    let claim = Claim::of(sentence);
    let quotes = text::sentences(passage.text, Span::new(0, passage.text.len()));
    let mut quotes = quotes.into_iter().filter_map(|span| Some((span, span.of(passage.text)?)));
    let says = |span: Span, quote: &str| {
        let is_free = |lead: &str| !Claim::of(lead).is_hedged();
        claim.stands_in(&Claim::of(quote)) && lead_of(passage.text, span).is_none_or(is_free)
    };
    let Some((span, quote)) = quotes.find(|(span, quote)| says(*span, quote)) else {
        return Ok(None);
    };
    let is_near = cosine(embedder, sentence, quote)?.is_none_or(|cosine| cosine >= MIN_COSINE);
    Ok(is_near.then_some(span))
}

/// The line that a list with this item begins with, such as `Never do this:`.
fn lead_of(passage: &str, item: Span) -> Option<&str> {
    let start = passage[..item.start].rfind('\n').map_or(0, |at| at + 1);
    if !is_item(&passage[start..]) {
        return None;
    }
    let is_inside = |line: &&str| line.trim().is_empty() || line.starts_with([' ', '\t']) || is_item(line);
    let before = passage[..start].lines().rev().find(|line| !is_inside(line));
    before.filter(|line| line.trim_end().ends_with(':'))
}

fn is_item(line: &str) -> bool {
    let line = line.trim_start();
    let after_number = line.trim_start_matches(|c: char| c.is_ascii_digit());
    line.starts_with(['-', '*', '+', '•'])
        || after_number.len() < line.len() && after_number.starts_with(['.', ')'])
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

#[cfg(test)]
mod tests {
    use super::super::checking::keep;
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
    fn only_what_the_passage_says_is_kept() {
        for draft in [
            "Invoices are kept for 10 years [1].",
            "Invoices are kept for ten years. [1]",
            "Receipts of travel are kept for six years, and are not sent abroad [1].",
            "The office opens at 9 [2].",
        ] {
            assert_eq!(kept(draft).1, 0, "{draft}");
        }
        for draft in [
            "Invoices are kept for eleven years [1].",
            "Invoices are kept for ten years [2].",
            "Invoices are kept for ten years [7].",
            "Invoices are kept for ten years.",
            "Invoices are not kept for ten years [1].",
            // A denial anywhere in the sentence counts, and so does what stands between two words: rather too strict than too lax.
            "Receipts of travel are kept for six years [1].",
            "Receipts of travel are not sent abroad [1].",
            "Invoices are kept for six years [1].",
            "Invoices are kept for ten years at https://evil.example/x [1].",
            "The chief executive likes sailing [1].",
        ] {
            assert_eq!(kept(draft), (Vec::new(), 1), "{draft}");
        }
    }

    #[test]
    fn an_item_of_a_list_is_not_said_by_itself_where_its_lead_denies_it() {
        let kept = |text: &str, draft: &str| {
            let passages = [Passage { n: 1, headings: &[], text }];
            keep(draft, &passages, None).unwrap().sentences.len()
        };
        let list = "\n\n- Restart the gateway.\n- Empty the queue.\n";
        for (lead, expected) in
            [("Never do this:", 0), ("Only at night:", 0), ("Every morning:", 1), ("Not here.", 1)]
        {
            assert_eq!(kept(&format!("{lead}{list}"), "Empty the queue [1]."), expected, "{lead}");
        }
    }

    #[test]
    fn the_quote_is_the_sentence_that_says_it() {
        let passages = [Passage { n: 1, headings: &[], text: PASSAGE }];
        let draft = "Receipts of travel are kept for six years, and are not sent abroad [1].";
        let kept = keep(draft, &passages, None).unwrap();
        let (_, span) = kept.sentences[0].supports[0];
        assert!(span.of(PASSAGE).unwrap().starts_with("Receipts of travel"));
    }
}
