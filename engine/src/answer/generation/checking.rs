//! Holds a draft against its passages, sentence by sentence, while it is still being written.

use std::sync::Arc;

use super::marks::{Marked, Marks};
use super::prompt::Passage;
use super::support;
use crate::embed::{EmbedError, Embedder};
use crate::span::Span;

/// Sentences of a draft that are looked at; the rest counts as dropped.
const MAX_SENTENCES: usize = 24;
/// What a model is told to write where the passages do not answer.
const NONE: &str = "none";

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
    /// Whether the model said that the passages do not answer, and nothing else.
    pub found_nothing: bool,
}

/// Reads a draft as it comes, and keeps the sentences that a passage which they cite says word for word.
pub struct Checker<'a> {
    passages: &'a [Passage<'a>],
    embedder: Option<&'a Arc<dyn Embedder>>,
    marks: Marks,
    n_seen: usize,
    kept: Kept,
}

impl<'a> Checker<'a> {
    /// For a draft over these passages.
    pub fn new(passages: &'a [Passage<'a>], embedder: Option<&'a Arc<dyn Embedder>>) -> Self {
        Self { passages, embedder, marks: Marks::default(), n_seen: 0, kept: Kept::default() }
    }

    /// Takes the next piece of the draft and gives the sentences that it completes and that are kept.
    ///
    /// # Errors
    /// Where the embedding model fails: then nothing more is known to be supported.
    pub fn push(&mut self, piece: &str) -> Result<&[Sentence], EmbedError> {
        let read = self.marks.push(piece);
        if read.begins_anew {
            (self.kept, self.n_seen) = (Kept::default(), 0);
        }
        self.check(read.sentences)
    }

    /// The draft is whole: gives what of its end is kept.
    ///
    /// # Errors
    /// As [`Self::push`].
    pub fn finish(&mut self) -> Result<&[Sentence], EmbedError> {
        let rest = self.marks.finish();
        self.check(rest)
    }

    /// What was kept so far. A sentence that is not complete is neither kept nor dropped.
    pub fn kept(&self) -> &Kept {
        &self.kept
    }

    fn check(&mut self, sentences: Vec<Marked>) -> Result<&[Sentence], EmbedError> {
        let n_before = self.kept.sentences.len();
        for Marked { said, marks } in sentences {
            let is_none = says_none(&said);
            self.kept.found_nothing |= is_none && self.n_seen == 0;
            if is_none || self.kept.found_nothing {
                continue;
            }
            self.n_seen += 1;
            let supports =
                if self.n_seen > MAX_SENTENCES { Vec::new() } else { self.supports(&said, &marks)? };
            if supports.is_empty() {
                self.kept.n_dropped += 1;
            } else {
                self.kept.sentences.push(Sentence { text: said, supports });
            }
        }
        Ok(&self.kept.sentences[n_before..])
    }

    fn supports(&self, said: &str, marks: &[usize]) -> Result<Vec<(usize, Span)>, EmbedError> {
        let mut supports = Vec::new();
        for (idx, passage) in self.passages.iter().enumerate().filter(|(_, p)| marks.contains(&p.n)) {
            supports.extend(support::support(said, passage, self.embedder)?.map(|span| (idx, span)));
        }
        Ok(supports)
    }
}

/// Keeps what is supported of a draft that is whole already.
///
/// # Errors
/// As [`Checker::push`].
pub fn keep(
    draft: &str,
    passages: &[Passage<'_>],
    embedder: Option<&Arc<dyn Embedder>>,
) -> Result<Kept, EmbedError> {
    let mut checker = Checker::new(passages, embedder);
    checker.push(draft)?;
    checker.finish()?;
    Ok(checker.kept)
}

fn says_none(said: &str) -> bool {
    said.trim_matches(|c: char| !c.is_alphanumeric()).eq_ignore_ascii_case(NONE)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSAGE: &str = "Invoices are kept for ten years. The office opens at nine.";

    fn passages() -> [Passage<'static>; 1] {
        [Passage { n: 1, headings: &[], text: PASSAGE }]
    }

    #[test]
    fn a_sentence_is_told_once_it_has_ended_and_its_mark_is_read() {
        let passages = passages();
        let mut checker = Checker::new(&passages, None);
        let mut push =
            |piece| checker.push(piece).unwrap().iter().map(|one| one.text.clone()).collect::<Vec<_>>();
        let nothing: [&str; 0] = [];
        assert_eq!(push("Invoices are kept for ten years. ["), nothing);
        assert_eq!(push("1] The"), nothing);
        assert_eq!(push(" office"), ["Invoices are kept for ten years."]);
        assert_eq!(push(" opens at nine [1]."), nothing);
        assert_eq!(checker.finish().unwrap()[0].text, "The office opens at nine.");
        assert_eq!((checker.kept().sentences.len(), checker.kept().n_dropped), (2, 0));
    }

    #[test]
    fn pieces_of_any_length_keep_what_the_whole_keeps() {
        let passages = passages();
        for draft in [
            "1. Invoices are kept for ten years [1].\n2. The office opens at nine [1].\n3. The mayor sails [1].",
            "<think>Invoices are kept for ten years [1]. Hm.</think>The office opens at nine. [1] It is red [1].",
            "Invoices are kept for ten years. [1]\n\n**The office opens at nine** [1].",
        ] {
            let whole = keep(draft, &passages, None).unwrap();
            assert!(!whole.sentences.is_empty(), "{draft}");
            for n_chars in [1, 3, 10] {
                let mut checker = Checker::new(&passages, None);
                let chars: Vec<char> = draft.chars().collect();
                for piece in chars.chunks(n_chars) {
                    checker.push(&piece.iter().collect::<String>()).unwrap();
                }
                checker.finish().unwrap();
                assert_eq!(*checker.kept(), whole, "{n_chars} {draft}");
            }
        }
    }

    #[test]
    fn a_model_that_finds_no_answer_is_believed() {
        for draft in
            ["NONE", "None.", "**NONE**", "NONE. The passages are about invoices.", "<think>?</think>\nNONE"]
        {
            let kept = keep(draft, &passages(), None).unwrap();
            assert_eq!(kept, Kept { found_nothing: true, ..Kept::default() }, "{draft}");
        }
        let kept = keep("The mayor sails [1]. NONE", &passages(), None).unwrap();
        assert_eq!((kept.n_dropped, kept.found_nothing), (1, false));
    }
}
