//! Answers in a model's words: asked of a configured generator, checked against the passages, counted in budgets.

use std::ops::ControlFlow;

use super::asking::{Asked, Where};
use super::error::{Error, Result};
use super::replies::{AskRequest, NumberedCitation};
use super::session::Session;
use crate::access::Verb;
use crate::answer::generation::{Checker, Generator, Passage, Prompt, Sentence};
use crate::answer::{self, HITS_READ};
use crate::budget::{BudgetError, Charge, ChargeKind, Usage};
use crate::journal::Outcome;
use crate::search::Hits;
use crate::span::Span;

/// The generator that needs no model.
pub(super) const EXTRACTIVE: &str = "extractive";
/// How the models of an endpoint are named.
const OPENAI: &str = "openai:";
/// How the models in this process are named.
const GGUF: &str = "gguf:";

/// What is told of an answer before it is whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AskProgress {
    /// The question may be asked, and what bears on it is found.
    Begun,
    /// The next sentence of the answer, with its `[n]` marks. Those of a model that takes back what it wrote stand in no final answer.
    Sentence(String),
}

/// Whoever waits for an answer.
pub(super) struct Listener<'a> {
    /// Whether it is sent as it comes.
    pub is_streamed: bool,
    pub tell: &'a mut dyn FnMut(AskProgress),
}

/// What an answer is made of.
#[derive(Clone, Copy)]
pub(super) struct Material<'a> {
    pub request: &'a AskRequest,
    pub place: &'a Where<'a>,
    pub asked: &'a [Asked],
    pub hits: &'a Hits,
}

/// What is left of a model's answer; without a sentence the answer is quotes.
#[derive(Default)]
pub(super) struct Generated {
    /// With `[n]` marks.
    pub sentences: Vec<String>,
    pub citations: Vec<NumberedCitation>,
    pub n_dropped: usize,
    /// Why it is not all that it could be.
    pub fault: Option<String>,
}

impl Session {
    /// The generator that a request asks for; `None` for the extractive one.
    ///
    /// # Errors
    /// [`Error::Invalid`] for one that is not configured, with the setting.
    pub(super) fn chosen_generator(&self, request: &AskRequest) -> Result<Option<&dyn Generator>> {
        let Some(name) = request.generator.as_deref().filter(|name| *name != EXTRACTIVE) else {
            return Ok(None);
        };
        if let Some(generator) = self.engine.generators.find(name) {
            return Ok(Some(generator));
        }
        let found = format!("`{}`", name.chars().take(80).collect::<String>());
        Err(Error::Invalid { field: "generator", found, expected: self.expected_generator(name) })
    }

    /// What would do in place of a generator that can't be had.
    fn expected_generator(&self, name: &str) -> String {
        let known = |scheme: &str| {
            let names = self.engine.generators.names().filter(|name| name.starts_with(scheme));
            names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
        };
        if name.starts_with(GGUF) && !cfg!(feature = "gguf") {
            return "`extractive` or a model of an endpoint: this program was built without the feature `gguf`, which \
                    `cargo build --features gguf` adds"
                .to_owned();
        }
        if name.starts_with(GGUF) {
            return match known(GGUF) {
                known if known.is_empty() => {
                    "`extractive`: no model file is configured; add one under `[[generate.gguf]]` in `waypost.toml`".to_owned()
                }
                known => {
                    format!("`extractive` or one of {known}, which `[[generate.gguf]]` in `waypost.toml` names")
                }
            };
        }
        if name.starts_with(OPENAI) {
            return match known(OPENAI) {
                known if known.is_empty() => {
                    "`extractive`: no endpoint is configured; set `url` and `models` under `[generate]` in `waypost.toml`".to_owned()
                }
                known => {
                    format!("`extractive` or one of {known}, which `models` under `[generate]` in `waypost.toml` lists")
                }
            };
        }
        "`extractive`, `openai:MODEL` with an endpoint under `[generate]` in `waypost.toml`, or `gguf:NAME` with a model \
         file under `[[generate.gguf]]`"
            .to_owned()
    }

    /// Lets a model answer from the best hits, keeps what they support, and tells it as it comes.
    ///
    /// # Errors
    /// Where audit or ledger can't be written. That there is no answer is none, nor is a budget without room: quotes cost nothing.
    pub(super) fn generate(
        &self,
        generator: &dyn Generator,
        material: &Material<'_>,
        listener: &mut Listener<'_>,
    ) -> Result<Generated> {
        let passages: Vec<Passage<'_>> = (1..)
            .zip(material.hits.hits.iter().take(HITS_READ))
            .map(|(n, hit)| Passage { n, headings: &hit.record.headings, text: &hit.record.text })
            .collect();
        let (generators, name) = (&self.engine.generators, generator.name());
        let question = &material.request.question;
        let prompt = Prompt { question, passages: &passages, max_tokens: generators.max_tokens() };
        let estimate = prompt.estimate_tokens();
        let charge = Charge::new(ChargeKind::Ask, name).estimate(Usage::call().tokens(estimate));
        let shown = material.place.shown();
        let reservation = match self.note_failure("ask.generate", Verb::Read, &shown, self.reserve(&charge)) {
            Ok(reservation) => reservation,
            Err(Error::Budget(BudgetError::Exceeded(exceeded))) => {
                let fault = format!("`{name}` was not asked, these are quotes: {exceeded}");
                return Ok(Generated { fault: Some(fault), ..Generated::default() });
            }
            Err(error) => return Err(error),
        };
        let limits = generators.limits(listener.is_streamed);
        let mut draft = Draft {
            checker: Checker::new(&passages, self.engine.embedder()),
            told: Written::new(self, material),
            has_begun: false,
            fault: None,
        };
        let end = generator.start(&prompt, &limits).and_then(|running| {
            let mut on_text = |text: &str| draft.take(Some(text), listener);
            running.read(&limits, &|| self.stop.is_asked(), &mut on_text)
        });
        let tokens = match &end {
            Ok(tokens) => tokens.unwrap_or(estimate),
            Err(_) if draft.has_begun => estimate,
            Err(_) => 0,
        };
        self.settle(reservation, Usage::call().tokens(tokens), end.is_ok())?;
        let outcome = if end.is_ok() { Outcome::Allowed } else { Outcome::Failed };
        self.record("ask.generate", Verb::Read, &shown, "", outcome, name)?;
        if let Err(error) = end {
            draft.fault = Some(error.to_string());
        } else if draft.fault.is_none() {
            let _ = draft.take(None, listener);
        }
        let kept = draft.checker.kept();
        let mut written = Written::new(self, material);
        kept.sentences.iter().for_each(|sentence| drop(written.take(sentence)));
        let fault = match draft.fault {
            Some(why) if kept.sentences.is_empty() => Some(format!("{why}; these are quotes")),
            Some(why) => Some(format!("`{name}` did not finish, this is what came before: {why}")),
            None if !kept.sentences.is_empty() => None,
            None if kept.found_nothing => {
                Some(format!("`{name}` found no answer in the passages; these are quotes"))
            }
            None => Some(format!(
                "nothing of what `{name}` wrote is supported by what it cites ({} sentences dropped); these are quotes",
                kept.n_dropped
            )),
        };
        Ok(Generated {
            n_dropped: kept.n_dropped,
            citations: written.citations(),
            sentences: written.sentences,
            fault,
        })
    }
}

/// A draft while it is written.
struct Draft<'a> {
    checker: Checker<'a>,
    told: Written<'a>,
    has_begun: bool,
    /// Why it can't be checked any more.
    fault: Option<String>,
}

impl Draft<'_> {
    /// Takes the next piece, or the end, and tells what is supported of it.
    fn take(&mut self, piece: Option<&str>, listener: &mut Listener<'_>) -> ControlFlow<()> {
        self.has_begun = true;
        let checked = match piece {
            Some(piece) => self.checker.push(piece),
            None => self.checker.finish(),
        };
        match checked {
            Ok(supported) => {
                for sentence in supported {
                    if let Some(shown) = self.told.take(sentence) {
                        (listener.tell)(AskProgress::Sentence(shown));
                    }
                }
                ControlFlow::Continue(())
            }
            Err(error) => {
                self.fault = Some(format!("what it wrote could not be checked ({error})"));
                ControlFlow::Break(())
            }
        }
    }
}

/// Sentences as they are shown, as far as there is room for them.
struct Written<'a> {
    session: &'a Session,
    material: &'a Material<'a>,
    /// Tokens; without a bound where none was asked for.
    left: Option<usize>,
    is_full: bool,
    cited: Vec<(usize, Span)>,
    sentences: Vec<String>,
}

impl<'a> Written<'a> {
    fn new(session: &'a Session, material: &'a Material<'a>) -> Self {
        let left = material.request.max_tokens;
        Self { session, material, left, is_full: false, cited: Vec::new(), sentences: Vec::new() }
    }

    /// Takes a sentence in and gives it with its marks; none where there is no room. The first one is taken in any case.
    fn take(&mut self, sentence: &Sentence) -> Option<String> {
        let cost = self.left.map(|_| self.cost(sentence)).unwrap_or_default();
        let fits = self.left.is_none_or(|left| cost <= left);
        if self.is_full || !(fits || self.sentences.is_empty()) {
            self.is_full = true;
            return None;
        }
        self.left = self.left.map(|left| left.saturating_sub(cost));
        let mut marks = String::new();
        for support in &sentence.supports {
            let at = self.cited.iter().position(|known| known == support).unwrap_or_else(|| {
                self.cited.push(*support);
                self.cited.len() - 1
            });
            marks.push_str(&format!("[{}]", at + 1));
        }
        let shown = format!("{} {marks}", answer::one_line(&sentence.text));
        self.sentences.push(shown.clone());
        Some(shown)
    }

    fn cost(&self, sentence: &Sentence) -> usize {
        let quotes = sentence.supports.iter().map(|support| self.session.count_tokens(self.quote(*support)));
        self.session.count_tokens(&sentence.text) + quotes.sum::<usize>()
    }

    fn quote(&self, (hit, span): (usize, Span)) -> &str {
        span.of(&self.material.hits.hits[hit].record.text).unwrap_or_default()
    }

    fn citations(&self) -> Vec<NumberedCitation> {
        let Material { request, asked, hits, .. } = *self.material;
        let cite = |(n, support): (usize, &(usize, Span))| {
            let hit = &hits.hits[support.0];
            let span = answer::in_document(hit.record.span, support.1);
            let citation = self.session.cite(asked, hit, span, self.quote(*support));
            NumberedCitation { n, citation, ranks: request.explain.then_some(hit.ranks) }
        };
        (1..).zip(&self.cited).map(cite).collect()
    }
}
