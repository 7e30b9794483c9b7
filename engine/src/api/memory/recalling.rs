use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::super::asking::{Asked, check_limit, citation_of, ms_since};
use super::super::error::{Error, Result};
use super::super::places::Rounding;
use super::super::session::Session;
use super::super::workspace::{Arm, OpenWorkspace};
use super::replies::{RecallReply, RecallRequest, Recalled};
use super::shelf::{KeptNote, Shelved, Written, is_topic};
use crate::access::Verb;
use crate::clock::{parse_rfc3339, rfc3339};
use crate::index::{FileSet, each_term};
use crate::journal::Outcome;
use crate::memory::{
    self, Kind, Message, agent_name, check_thread, read_messages, recency, relevance, topic_slug, weighed,
};
use crate::search::{self, Citation, Hit, Hits, Mode};
use crate::span::{LineIndex, Span};

const ACTION: &str = "memory.recall";
const DEFAULT_LIMIT: usize = 10;
const MAX_LIMIT: usize = 100;
/// How long is waited for the words of what was remembered; what takes longer is told as pending.
const MOMENT: Duration = Duration::from_secs(1);
/// Hits for each memory that is wanted, and as many again: a thread's hit is several messages, a long note several hits.
const HITS_PER_MEMORY: usize = 3;
const MORE_HITS: usize = 20;
/// Messages of one hit that are weighed.
const MAX_MESSAGES: usize = 12;
/// Tokens of a memory beside its text.
const FRAME_TOKENS: usize = 30;
/// A memory without a word of the query and with less of its meaning is left out: with the default model a made-up word beside a
/// short note reached about .26.
const MIN_COSINE: f32 = 0.35;

/// Which memories are asked, as the request says.
struct Wanted {
    agents: BTreeSet<String>,
    topic: Option<String>,
    tags: Vec<String>,
    thread: Option<String>,
    include_expired: bool,
}

/// What lies under the paths of one workspace that are asked.
type Files = HashMap<String, (Shelved, Option<Arc<KeptNote>>)>;

/// A memory that a hit leads to.
struct Candidate {
    recalled: Recalled,
    /// What is embedded.
    text: String,
    /// Place of its hit, from 0.
    rank: usize,
    at_ms: Option<i64>,
}

impl Session {
    /// What is remembered that bears on a query, among the memories that may be read, best first. One search path: the same scope,
    /// statistics and freshness as [`Session::search`].
    ///
    /// # Errors
    /// [`Error::Invalid`]; [`Error::NotFound`] for a workspace that is not there; [`Error::IndexBehind`].
    pub fn recall(&self, request: &RecallRequest) -> Result<RecallReply> {
        let begun = Instant::now();
        let shown =
            request.workspace.as_deref().map_or("/".to_owned(), |name| format!("/{name}/{}", memory::FOLDER));
        let checked = check_limit(request.limit, DEFAULT_LIMIT, MAX_LIMIT)
            .and_then(|limit| Ok((limit, wanted(request)?)));
        let (limit, wanted) = self.note_failure(ACTION, Verb::Read, &shown, checked)?;
        let asked = self.memories(request, &wanted);
        let asked = self.note_failure(ACTION, Verb::Read, &shown, asked)?;
        self.record(ACTION, Verb::Read, &shown, "", Outcome::Allowed, "scope")?;
        let (asked, files): (Vec<Asked>, Vec<Files>) = asked.into_iter().unzip();
        let query = search::parse_plain(&request.query);
        let hits = self.find(&asked, &query, request.mode, limit * HITS_PER_MEMORY + MORE_HITS)?;
        let mut candidates = Vec::new();
        for (rank, hit) in hits.hits.iter().enumerate() {
            if let Some((shelved, note)) = files[hit.source].get(&hit.record.path) {
                self.take(&asked, (rank, hit), shelved, note.as_deref(), &mut candidates)?;
            }
        }
        let mut results = self.ranked(&hits, candidates);
        results.truncate(limit);
        let omitted =
            request.max_tokens.map_or(0, |max_tokens| self.bound_memories(&mut results, max_tokens));
        let index = self.index_status(&asked, &hits.degraded)?;
        Ok(RecallReply { results, omitted, index, took_ms: ms_since(begun) })
    }

    /// The workspaces that are asked, each with its files that are wanted.
    fn memories(&self, request: &RecallRequest, wanted: &Wanted) -> Result<Vec<(Asked, Files)>> {
        let workspaces = match &request.workspace {
            Some(name) => vec![self.seen_workspace(name)?],
            None => self.seen_workspaces()?,
        };
        let seq = request
            .wait_for_seq
            .as_deref()
            .map(|text| self.read_seq("wait_for_seq", text, Rounding::Up))
            .transpose()?;
        let has_vectors = self.engine.embedder.is_some() && request.mode != Mode::Lexical;
        let arm = if has_vectors { Arm::Both } else { Arm::Lexical };
        let mut out = Vec::with_capacity(workspaces.len());
        for workspace in workspaces {
            if let Some(seq) = seq {
                self.wait(&workspace, seq, request.wait_for_seq.as_deref().unwrap_or_default(), arm)?;
            }
            let files = self.wanted_files(&workspace, wanted)?;
            // Who has just remembered something asks for it: its words are in the index in a moment.
            let newest = files.values().map(|(shelved, _)| shelved.row.seq).max();
            if let Some(newest) = newest.filter(|_| workspace.row.intelligence) {
                workspace.wait_for(newest, Arm::Lexical, MOMENT)?;
            }
            let ids = FileSet::new(files.values().map(|(shelved, _)| shelved.row.id).collect());
            out.push((Asked::live(workspace, Some(Arc::new(ids))), files));
        }
        Ok(out)
    }

    fn wanted_files(&self, workspace: &OpenWorkspace, wanted: &Wanted) -> Result<Files> {
        let now_ms = self.now_ms();
        let scope = self.scope(Verb::Read);
        let mut files = Files::new();
        for shelved in self.shelf(&scope, workspace, None)? {
            if !wanted.agents.is_empty() && !wanted.agents.contains(&shelved.place.agent) {
                continue;
            }
            let only_notes = wanted.topic.is_some() || !wanted.tags.is_empty();
            let note = match (shelved.place.kind, &wanted.thread) {
                (Kind::Thread, Some(thread)) if *thread == shelved.place.name => None,
                (Kind::Thread, None) if !only_notes => None,
                (Kind::Note, None) if is_topic(&shelved.place, wanted.topic.as_deref()) => {
                    let Some(note) = self.note_of(workspace, &shelved.row)? else { continue };
                    let head = &note.note.head;
                    let is_over = head.is_expired(now_ms) && !wanted.include_expired;
                    if is_over || !wanted.tags.iter().all(|tag| head.tags.contains(tag)) {
                        continue;
                    }
                    Some(note)
                }
                _ => continue,
            };
            files.insert(shelved.row.path.as_str().to_owned(), (shelved, note));
        }
        Ok(files)
    }

    /// The memories that a hit stands in.
    fn take(
        &self,
        asked: &[Asked],
        (rank, hit): (usize, &Hit),
        shelved: &Shelved,
        note: Option<&KeptNote>,
        candidates: &mut Vec<Candidate>,
    ) -> Result<()> {
        let asked = &asked[hit.source];
        if let Some(note) = note {
            // A note is told once, by its best passage.
            let is_told = candidates.iter().any(|told| told.recalled.citation.path == shelved.full);
            if !is_told {
                let written = self.written(&shelved.row)?;
                if let Some(recalled) = self.recalled_note(asked, hit, (shelved, &written), note) {
                    let (text, at_ms) = (recalled.text.clone(), Some(written.moment(note.note.head.at_ms)));
                    candidates.push(Candidate { recalled, text, rank, at_ms });
                }
            }
            return Ok(());
        }
        let Some(text) = self.text_of_row(&asked.workspace, &shelved.row)? else { return Ok(()) };
        let written = self.written(&shelved.row)?;
        let lines = LineIndex::new(&text);
        let inside = |span: &Span| span.start < hit.record.span.end && span.end > hit.record.span.start;
        let messages = read_messages(&text).into_iter().filter(|(span, _)| inside(span));
        for (span, message) in messages.take(MAX_MESSAGES) {
            let is_told = candidates.iter().any(|told| {
                told.recalled.citation.path == shelved.full && told.recalled.n == Some(message.n)
            });
            if is_told {
                continue;
            }
            let quote = span.of(&text).unwrap_or_default().to_owned();
            let citation = Citation {
                start_byte: span.start,
                end_byte: span.end,
                lines: Some(lines.lines(span)),
                quote,
                ..citation_of(asked, hit)
            };
            let message = self.told(&asked.workspace, &shelved.place, &written, message);
            let at_ms = parse_rfc3339(&message.at);
            let (said, recalled) = (message.text.clone(), recalled_message(shelved, message, citation));
            candidates.push(Candidate { recalled, text: said, rank, at_ms });
        }
        Ok(())
    }

    fn recalled_note(
        &self,
        asked: &Asked,
        hit: &Hit,
        (shelved, written): (&Shelved, &Written),
        note: &KeptNote,
    ) -> Option<Recalled> {
        let body = note.note.span;
        let chunk = hit.record.span;
        // The front matter is no part of what was remembered.
        let span = Span::new(chunk.start.max(body.start), chunk.end.min(body.end).max(body.start));
        let from = span.start.checked_sub(chunk.start)?;
        let quote = hit.record.text.get(from..from + span.len()).filter(|quote| !quote.is_empty());
        // Only the front matter matched: then the note is told from its beginning.
        let (span, quote) = match quote {
            Some(quote) => (span, quote.to_owned()),
            None => (body, note.note.body.clone()),
        };
        let first = hit.record.lines.0
            + hit.record.text.get(..from).map_or(0, |text| text.matches('\n').count() as u32);
        let citation = Citation {
            start_byte: span.start,
            end_byte: span.end,
            lines: Some((first, first + quote.matches('\n').count() as u32)),
            quote: quote.clone(),
            ..citation_of(asked, hit)
        };
        let head = &note.note.head;
        Some(Recalled {
            text: quote,
            topic: Some(shelved.place.name.clone()).filter(|topic| !topic.is_empty()),
            tags: head.tags.clone(),
            source: head.source.clone(),
            by: written.by.clone(),
            claims_by: written.other(&head.by),
            at: Some(rfc3339(written.moment(head.at_ms))),
            expires_at: head.expires_ms.map(rfc3339),
            expired: head.is_expired(self.now_ms()),
            ..bare("note", shelved, citation)
        })
    }

    /// Weighs meaning, words and age, and orders; ties by path and place.
    fn ranked(&self, hits: &Hits, candidates: Vec<Candidate>) -> Vec<Recalled> {
        let texts: Vec<&str> = candidates.iter().map(|candidate| candidate.text.as_str()).collect();
        let vectors = match &hits.vector {
            Some(_) => self.engine.vectors_of(&texts),
            None => vec![None; texts.len()],
        };
        let now_ms = self.now_ms();
        let mut ranked: Vec<Recalled> = Vec::with_capacity(candidates.len());
        for (candidate, vector) in candidates.into_iter().zip(vectors) {
            let words = word_share(hits, &candidate.text);
            let cosine = hits.vector.as_ref().zip(vector.as_ref()).map(|(a, b)| dot(&a.values, b));
            if words <= 0.0 && cosine.is_none_or(|cosine| cosine < MIN_COSINE) {
                continue;
            }
            let relevance = relevance(words, cosine, candidate.rank);
            let recency = recency(now_ms - candidate.at_ms.unwrap_or(0));
            let score = weighed(relevance, recency);
            ranked.push(Recalled { score, relevance, recency, ..candidate.recalled });
        }
        ranked.sort_by(|a, b| {
            let place = |one: &Recalled| (one.citation.path.clone(), one.citation.start_byte);
            b.score.total_cmp(&a.score).then_with(|| place(a).cmp(&place(b)))
        });
        ranked
    }

    /// Keeps the first memories that fit; gives how many went.
    fn bound_memories(&self, results: &mut Vec<Recalled>, max_tokens: usize) -> usize {
        let mut left = max_tokens;
        let fits = results.iter().take_while(|recalled| {
            let cost = self.count_tokens(&recalled.text) + FRAME_TOKENS;
            let fits = cost <= left;
            left = left.saturating_sub(cost);
            fits
        });
        let n_fit = fits.count();
        let omitted = results.len() - n_fit;
        results.truncate(n_fit);
        omitted
    }
}

fn wanted(request: &RecallRequest) -> Result<Wanted> {
    if request.query.trim().is_empty() {
        let expected = "what to remember of, in plain words".to_owned();
        return Err(Error::Invalid { field: "query", found: "empty".to_owned(), expected });
    }
    let agents = request.agents.iter().map(|agent| Ok(agent_name(agent)?.to_owned()));
    request.thread.as_deref().map(check_thread).transpose()?;
    Ok(Wanted {
        agents: agents.collect::<Result<_>>()?,
        topic: request.topic.as_deref().map(topic_slug).transpose()?,
        tags: request.tags.clone(),
        thread: request.thread.clone(),
        include_expired: request.include_expired,
    })
}

fn recalled_message(shelved: &Shelved, message: Message, citation: Citation) -> Recalled {
    Recalled {
        text: message.text,
        thread: Some(shelved.place.name.clone()),
        n: Some(message.n),
        role: Some(message.role),
        by: message.by,
        claims_by: message.claims_by,
        at: Some(message.at).filter(|at| !at.is_empty()),
        ..bare("message", shelved, citation)
    }
}

fn bare(kind: &'static str, shelved: &Shelved, citation: Citation) -> Recalled {
    Recalled {
        kind,
        agent: shelved.place.agent.clone(),
        text: String::new(),
        topic: None,
        tags: Vec::new(),
        source: Vec::new(),
        thread: None,
        n: None,
        role: None,
        by: String::new(),
        claims_by: None,
        at: None,
        expires_at: None,
        expired: false,
        score: 0.0,
        relevance: 0.0,
        recency: 0.0,
        citation,
    }
}

/// The share of the query's words that a text holds, by their weight in the scope, in `[0, 1]`.
fn word_share(hits: &Hits, text: &str) -> f32 {
    let total: f32 = hits.terms.iter().map(|(_, weight)| weight).sum();
    let mut found = BTreeSet::new();
    each_term(text, |term| {
        found.insert(term.text);
    });
    let sum: f32 = hits.terms.iter().filter(|(term, _)| found.contains(term)).map(|(_, weight)| weight).sum();
    if total > 0.0 { sum / total } else { 0.0 }
}

fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_query_and_a_strange_agent_are_refused() {
        let request = |query: &str, agent: &str| RecallRequest {
            query: query.to_owned(),
            agents: vec![agent.to_owned()],
            ..RecallRequest::default()
        };
        assert!(wanted(&request(" ", "a")).is_err() && wanted(&request("x", "../a")).is_err());
        assert!(wanted(&request("x", "agent:a")).unwrap().agents.contains("a"));
    }
}
