//! Answer quality: is the gold answer inside the quotes, does each citation verify, is a none honest.

use std::collections::BTreeMap;
use std::time::Instant;

use anyhow::Result;
use waypost_engine::api::{AskReply, AskRequest, NumberedCitation};

use super::corpus::Corpus;
use super::data::{Document, Gold, Question};
use super::metrics::measured;
use super::{Results, Speed};

#[derive(Default)]
struct Tally {
    answerable: f64,
    cited_first: f64,
    cited_top3: f64,
    answer_in_quotes: f64,
    citations: f64,
    verified: f64,
    quote_chars: f64,
    quotes: f64,
    answered: f64,
    abstained: f64,
    abstained_rightly: f64,
    unanswerable: f64,
}

/// Metrics of the one mode that answers, and speed.
pub fn run(corpus: &Corpus, documents: &[Document], questions: &[Question]) -> Result<(Results, Speed)> {
    let texts: BTreeMap<&str, &str> =
        documents.iter().map(|doc| (doc.id.as_str(), doc.text.as_str())).collect();
    let mut tally = Tally::default();
    let begun = Instant::now();
    for question in questions {
        let request = AskRequest { question: question.question.clone(), ..AskRequest::default() };
        let reply = corpus.session().ask(&request)?;
        count(corpus, &texts, question, &reply, &mut tally)?;
    }
    let seconds = begun.elapsed().as_secs_f64();
    let speed = Speed::from([
        ("documents_per_second".to_owned(), corpus.n_documents as f64 / corpus.indexing.as_secs_f64()),
        ("questions_per_second".to_owned(), questions.len() as f64 / seconds),
        ("questions".to_owned(), questions.len() as f64),
    ]);
    Ok((Results::from([("ask".to_owned(), tally.metrics())]), speed))
}

impl Tally {
    /// A share of nothing would read as perfect, or as none, so it is left out.
    fn metrics(&self) -> BTreeMap<String, f64> {
        let n_abstentions = if self.unanswerable > 0.0 { self.abstained } else { 0.0 };
        let shares = [
            ("gold_doc_first", self.cited_first, self.answerable),
            ("gold_doc_top3", self.cited_top3, self.answerable),
            ("answer_in_quotes", self.answer_in_quotes, self.answerable),
            ("citations_verified", self.verified, self.citations),
            ("quotes_per_answer", self.quotes, self.answered),
            ("quote_chars", self.quote_chars, self.answered),
            ("abstention_recall", self.abstained_rightly, self.unanswerable),
            ("abstention_precision", self.abstained_rightly, n_abstentions),
            ("abstained", self.abstained, 1.0),
        ];
        measured(shares)
    }
}

fn count(
    corpus: &Corpus,
    texts: &BTreeMap<&str, &str>,
    question: &Question,
    reply: &AskReply,
    tally: &mut Tally,
) -> Result<()> {
    tally.abstained += f64::from(u8::from(reply.abstained));
    tally.answered += f64::from(u8::from(!reply.abstained));
    tally.quotes += reply.citations.len() as f64;
    tally.quote_chars +=
        reply.citations.iter().map(|cited| cited.citation.quote.chars().count() as f64).sum::<f64>();
    let cited = reply.citations.iter().map(|cited| cited.citation.clone()).collect();
    for verified in corpus.session().verify(cited)? {
        tally.citations += 1.0;
        tally.verified += f64::from(u8::from(verified.valid));
    }
    if question.answers.is_empty() {
        tally.unanswerable += 1.0;
        tally.abstained_rightly += f64::from(u8::from(reply.abstained));
        return Ok(());
    }
    tally.answerable += 1.0;
    let Some(gold) = question.doc_id.as_deref() else { return Ok(()) };
    let is_gold = |cited: &NumberedCitation| corpus.id(&cited.citation.path) == Some(gold);
    tally.cited_first += f64::from(u8::from(reply.citations.first().is_some_and(is_gold)));
    tally.cited_top3 += f64::from(u8::from(reply.citations.iter().take(3).any(is_gold)));
    let text = texts.get(gold).copied().unwrap_or_default();
    let inside = reply
        .citations
        .iter()
        .take(3)
        .filter(|cited| is_gold(cited))
        .any(|cited| question.answers.iter().any(|answer| covers(corpus, gold, text, cited, answer)));
    tally.answer_in_quotes += f64::from(u8::from(inside));
    Ok(())
}

/// Whether the quote spans the answer; without offsets, whether it holds the answer's words.
fn covers(corpus: &Corpus, id: &str, text: &str, cited: &NumberedCitation, answer: &Gold) -> bool {
    let (Some(start), Some(end)) = (answer.start, answer.end) else {
        return cited.citation.quote.contains(&answer.text);
    };
    let byte = |chars: usize| {
        text.char_indices().nth(chars).map_or(text.len(), |(at, _)| at) + corpus.text_start(id)
    };
    cited.citation.start_byte <= byte(start) && byte(end) <= cited.citation.end_byte
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_not_measured_is_left_out() {
        let names = |tally: Tally| tally.metrics().into_keys().collect::<Vec<String>>();
        assert_eq!(names(Tally::default()), ["abstained"]);
        let never_right = Tally { abstained: 1.0, answerable: 1.0, ..Tally::default() };
        assert_eq!(names(never_right), ["abstained", "answer_in_quotes", "gold_doc_first", "gold_doc_top3"]);
    }
}
