//! Answer quality: is the gold answer inside the quotes, does each citation verify, is a none honest.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Instant;

use anyhow::{Result, bail};
use waypost_engine::api::{AskReply, AskRequest, NumberedCitation};

use super::corpus::Corpus;
use super::data::{Document, Gold, Question, place, read_some_numbered};
use super::metrics::{Metrics, shares};
use super::{Results, Speed};
use crate::output;

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

/// The questions of a set with these documents. A gold answer that is not where it is said to stand counts by its text alone.
///
/// # Errors
/// Where there is none, or one names no document of these.
pub fn read_questions(path: &Path, documents: &[Document]) -> Result<Vec<Question>> {
    let texts: BTreeMap<&str, &str> =
        documents.iter().map(|doc| (doc.id.as_str(), doc.text.as_str())).collect();
    let mut questions: Vec<(usize, Question)> = read_some_numbered(path, "question")?;
    let mut misplaced: Vec<String> = Vec::new();
    for (number, question) in questions.iter_mut().filter(|(_, question)| !question.answers.is_empty()) {
        let place = place(path, *number);
        let Some(id) = &question.doc_id else {
            bail!(
                "{place}: the question has answers and no `doc_id`: expected the document that they stand in"
            );
        };
        let Some(text) = texts.get(id.as_str()) else {
            bail!("{place}: the corpus has no document `{id}`: expected the `doc_id` of one");
        };
        for answer in question.answers.iter_mut().filter(|answer| !stands(answer, text)) {
            (answer.start, answer.end) = (None, None);
            misplaced.push(place.clone());
        }
    }
    if let Some(first) = misplaced.first() {
        output::note(&format!(
            "answers that do not stand where it is said: {}, the first in {first}; they count by their text alone",
            misplaced.len()
        ));
    }
    Ok(questions.into_iter().map(|(_, question)| question).collect())
}

/// Whether an answer is what stands at its place in code points; one without a place stands anywhere.
fn stands(answer: &Gold, text: &str) -> bool {
    match (answer.start, answer.end) {
        (None, None) => true,
        (Some(start), Some(end)) if start <= end => {
            text.chars().skip(start).take(end - start).eq(answer.text.chars())
        }
        _ => false,
    }
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
    fn metrics(&self) -> Metrics {
        let n_abstentions = if self.unanswerable > 0.0 { self.abstained } else { 0.0 };
        shares([
            ("gold_doc_first", self.cited_first, self.answerable),
            ("gold_doc_top3", self.cited_top3, self.answerable),
            ("answer_in_quotes", self.answer_in_quotes, self.answerable),
            ("citations_verified", self.verified, self.citations),
            ("quotes_per_answer", self.quotes, self.answered),
            ("quote_chars", self.quote_chars, self.answered),
            ("abstention_recall", self.abstained_rightly, self.unanswerable),
            ("abstention_precision", self.abstained_rightly, n_abstentions),
            ("abstained", self.abstained, 1.0),
        ])
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
    fn what_was_not_measured_has_its_name_and_no_figure() {
        let measured = |tally: &Tally| -> Vec<String> {
            tally.metrics().into_iter().filter_map(|(name, value)| value.map(|_| name)).collect()
        };
        assert_eq!(measured(&Tally::default()), ["abstained"]);
        let never_right = Tally { abstained: 1.0, answerable: 1.0, ..Tally::default() };
        let expected = ["abstained", "answer_in_quotes", "gold_doc_first", "gold_doc_top3"];
        assert_eq!(measured(&never_right), expected);
        assert!(never_right.metrics().keys().eq(Tally::default().metrics().keys()));
    }

    #[test]
    fn a_gold_answer_is_what_stands_there() {
        let gold = |text: &str, start, end| Gold { text: text.to_owned(), start, end };
        let text = "Zwölf Käse wurden 1889 gegessen.";
        for answer in
            [gold("Käse", Some(6), Some(10)), gold("1889", Some(18), Some(22)), gold("all", None, None)]
        {
            assert!(stands(&answer, text), "{answer:?}");
        }
        for answer in [
            gold("1889", Some(19), Some(23)),
            gold("1889", Some(900), Some(904)),
            gold("1889", Some(22), Some(18)),
            gold("1889", Some(18), None),
        ] {
            assert!(!stands(&answer, text), "{answer:?}");
        }
    }
}
