//! Answers in a model's words: asked of the configured endpoint, checked against the passages, counted in budgets.

use super::asking::{Asked, Where};
use super::error::{Error, Result};
use super::replies::{AskRequest, NumberedCitation};
use super::session::Session;
use crate::access::Verb;
use crate::answer::generation::{self, Generator, Passage};
use crate::answer::{self, HITS_READ};
use crate::budget::{Charge, ChargeKind, Usage};
use crate::journal::Outcome;
use crate::search::Hits;
use crate::span::Span;

/// How a generator is named, before its model.
const SCHEME: &str = "openai:";
/// The generator that needs no model.
pub(super) const EXTRACTIVE: &str = "extractive";

/// A model that was asked for, and may be.
pub(super) struct Chosen<'a> {
    generator: &'a Generator,
    model: &'a str,
    /// As it was asked for.
    name: &'a str,
}

/// An answer in a model's words.
pub(super) struct Generated {
    /// With `[n]` marks.
    pub sentences: Vec<String>,
    pub citations: Vec<NumberedCitation>,
    pub n_dropped: usize,
    pub generator: String,
}

/// Why it is the extractive answer in the end.
pub(super) struct NotGenerated {
    pub reason: String,
    pub n_dropped: usize,
}

impl Session {
    /// The generator that a request asks for; `None` for the extractive one.
    ///
    /// # Errors
    /// [`Error::Invalid`] for one that is not configured, with the setting.
    pub(super) fn chosen_generator<'a>(&'a self, request: &'a AskRequest) -> Result<Option<Chosen<'a>>> {
        let Some(name) = request.generator.as_deref().filter(|name| *name != EXTRACTIVE) else {
            return Ok(None);
        };
        let invalid = |expected: String| {
            let found = format!("`{}`", name.chars().take(80).collect::<String>());
            Err(Error::Invalid { field: "generator", found, expected })
        };
        let Some(model) = name.strip_prefix(SCHEME) else {
            return invalid(
                "`extractive`, or `openai:MODEL` with an endpoint under `[generate]` in `waypost.toml`"
                    .to_owned(),
            );
        };
        let Some(generator) = &self.engine.generator else {
            return invalid(
                "`extractive`: no endpoint is configured; set `url` and `models` under `[generate]` in `waypost.toml`".to_owned(),
            );
        };
        if !generator.has_model(model) {
            let known: Vec<String> =
                generator.models().iter().map(|model| format!("`{SCHEME}{model}`")).collect();
            return invalid(format!(
                "`extractive` or one of {}, which `models` under `[generate]` in `waypost.toml` lists",
                known.join(", ")
            ));
        }
        Ok(Some(Chosen { generator, model, name }))
    }

    /// Lets a model answer from the best hits, and keeps what they support.
    ///
    /// # Errors
    /// Budgets that have no room, and where audit or ledger can't be written; that there is no answer is none.
    pub(super) fn generate(
        &self,
        chosen: &Chosen<'_>,
        request: &AskRequest,
        place: &Where<'_>,
        asked: &[Asked],
        hits: &Hits,
    ) -> Result<std::result::Result<Generated, NotGenerated>> {
        let passages: Vec<Passage<'_>> = (1..)
            .zip(hits.hits.iter().take(HITS_READ))
            .map(|(n, hit)| Passage { n, headings: &hit.record.headings, text: &hit.record.text })
            .collect();
        let max_tokens = chosen.generator.max_tokens();
        let estimate = generation::estimate_tokens(&request.question, &passages, max_tokens);
        let charge = Charge::new(ChargeKind::Ask, chosen.name).estimate(Usage::call().tokens(estimate));
        let reserved = self.reserve(&charge);
        let reservation = self.note_failure("ask.generate", Verb::Read, &place.shown(), reserved)?;
        let draft = chosen.generator.draft(chosen.model, &request.question, &passages);
        let tokens = draft.as_ref().map_or(0, |draft| draft.tokens.unwrap_or(estimate));
        self.settle(reservation, Usage::call().tokens(tokens), draft.is_ok())?;
        let outcome = if draft.is_ok() { Outcome::Allowed } else { Outcome::Failed };
        self.record("ask.generate", Verb::Read, &place.shown(), "", outcome, chosen.name)?;
        let draft = match draft {
            Ok(draft) => draft,
            Err(error) => return Ok(Err(NotGenerated { reason: error.to_string(), n_dropped: 0 })),
        };
        let mut kept = match generation::keep(&draft.text, &passages, self.engine.embedder()) {
            Ok(kept) => kept,
            Err(error) => {
                let reason =
                    format!("what `{}` wrote could not be checked ({error}); these are quotes", chosen.name);
                return Ok(Err(NotGenerated { reason, n_dropped: 0 }));
            }
        };
        if kept.sentences.is_empty() {
            let n_dropped = kept.n_dropped;
            let reason = format!(
                "nothing of what `{}` wrote is supported by what it cites ({n_dropped} sentences dropped); these are quotes",
                chosen.name
            );
            return Ok(Err(NotGenerated { reason, n_dropped }));
        }
        if let Some(max_tokens) = request.max_tokens {
            let n_fitting = self.n_fitting(&kept, hits, max_tokens);
            kept.sentences.truncate(n_fitting);
        }
        Ok(Ok(self.shown_answer(chosen, kept, (asked, hits), request.explain)))
    }

    /// How many sentences fit with their quotes; one in any case.
    fn n_fitting(&self, kept: &generation::Kept, hits: &Hits, max_tokens: usize) -> usize {
        let quote = |(hit, span): &(usize, Span)| span.of(&hits.hits[*hit].record.text).unwrap_or_default();
        let mut left = max_tokens;
        let fits = kept.sentences.iter().take_while(|sentence| {
            let quotes = sentence.supports.iter().map(|support| self.count_tokens(quote(support)));
            let cost = self.count_tokens(&sentence.text) + quotes.sum::<usize>();
            let fits = cost <= left;
            left = left.saturating_sub(cost);
            fits
        });
        fits.count().max(1)
    }

    fn shown_answer(
        &self,
        chosen: &Chosen<'_>,
        kept: generation::Kept,
        (asked, hits): (&[Asked], &Hits),
        explain: bool,
    ) -> Generated {
        let mut cited: Vec<(usize, Span)> = Vec::new();
        let mut sentences = Vec::with_capacity(kept.sentences.len());
        for sentence in kept.sentences {
            let mut marks = String::new();
            for support in sentence.supports {
                let at = cited.iter().position(|known| *known == support).unwrap_or_else(|| {
                    cited.push(support);
                    cited.len() - 1
                });
                marks.push_str(&format!("[{}]", at + 1));
            }
            sentences.push(format!("{} {marks}", answer::one_line(&sentence.text)));
        }
        let cite = |(n, (hit, span)): (usize, (usize, Span))| {
            let hit = &hits.hits[hit];
            let quote = span.of(&hit.record.text).unwrap_or_default();
            let span = answer::in_document(hit.record.span, span);
            let ranks = explain.then_some(hit.ranks);
            NumberedCitation { n, citation: self.cite(asked, hit, span, quote), ranks }
        };
        Generated {
            sentences,
            citations: (1..).zip(cited).map(cite).collect(),
            n_dropped: kept.n_dropped,
            generator: chosen.name.to_owned(),
        }
    }
}
