use std::sync::Arc;
use std::time::Instant;

use super::error::{Error, Result};
use super::generating::{AskProgress, EXTRACTIVE, Listener, Material};
use super::past::PastIndex;
use super::places::Rounding;
use super::replies::{
    AskReply, AskRequest, IndexStatus, NumberedCitation, SearchFilters, SearchHit, SearchReply,
    SearchRequest, VerifiedCitation,
};
use super::session::Session;
use super::workspace::{Arm, OpenWorkspace};
use crate::access::Verb;
use crate::answer::{self, Answer, AnswerOptions};
use crate::catalog::{FileFilter, FileRow};
use crate::clock::parse_rfc3339;
use crate::id::{FileId, RelPath, Seq, VersionId, WorkspaceId, WorkspaceName, split_path};
use crate::index::FileSet;
use crate::journal::{self, Outcome};
use crate::location::location_of;
use crate::search::citation::Verdict;
use crate::search::{self, Citation, Degraded, Hit, Hits, Mode, ParsedQuery, Source};
use crate::span::Span;
use crate::text::{self, Document};

/// Hits in one reply at most.
const MAX_LIMIT: usize = 1000;
/// Hits in one reply where nothing else is asked.
const DEFAULT_LIMIT: usize = 10;
/// Hits fetched beyond the limit, so that those whose file has changed can be left out.
const SPARE_HITS: usize = 2;
/// The same, where those did not suffice.
const MORE_SPARE_HITS: usize = 50;
/// Said where nothing bears on a question enough.
const NO_ANSWER: &str = "No file that you may read answers this.";

/// One workspace that is asked, with what of it may be seen.
pub(super) struct Asked {
    pub workspace: Arc<OpenWorkspace>,
    pub source: Source,
    /// The state of some time ago, in place of today's files.
    past: Option<Seq>,
    /// Files of then that the asker may read and whose bytes are pruned.
    n_pruned: usize,
    /// Keeps the index of what is no longer so.
    _past_index: Option<Arc<PastIndex>>,
}

impl Asked {
    pub(super) fn live(workspace: Arc<OpenWorkspace>, files: Option<Arc<FileSet>>) -> Self {
        let source = Source { searcher: workspace.index.searcher(), files };
        Self { workspace, source, past: None, n_pruned: 0, _past_index: None }
    }
}

/// The parts that a search and a question share.
#[derive(Clone, Copy, Default)]
pub(super) struct Where<'a> {
    workspaces: Option<&'a [String]>,
    path_prefix: Option<&'a str>,
    filters: Option<&'a SearchFilters>,
    wait_for_seq: Option<&'a str>,
    as_of: Option<&'a str>,
    trust: Option<&'a str>,
    mode: Mode,
}

impl Where<'_> {
    /// As the audit log shows it.
    pub(super) fn shown(&self) -> String {
        match (self.path_prefix, self.workspaces) {
            (Some(prefix), _) if prefix.starts_with('/') => prefix.to_owned(),
            (_, Some(names)) => names.iter().map(|name| format!("/{name}")).collect::<Vec<_>>().join(" "),
            (_, None) => "/".to_owned(),
        }
    }
}

impl Session {
    /// Ranked hits, inside what the principal may read.
    ///
    /// # Errors
    /// [`Error::Invalid`] for values that make no sense, [`Error::NotFound`] for a workspace that is not there,
    /// [`Error::IndexBehind`].
    pub fn search(&self, request: &SearchRequest) -> Result<SearchReply> {
        let begun = Instant::now();
        let limit = check_limit(request.limit, DEFAULT_LIMIT, MAX_LIMIT);
        let limit = self.note_failure("search", Verb::Read, "/", limit)?;
        let place = Where {
            workspaces: request.workspaces.as_deref(),
            path_prefix: request.path_prefix.as_deref(),
            filters: request.filters.as_ref(),
            wait_for_seq: request.wait_for_seq.as_deref(),
            as_of: request.as_of.as_deref(),
            trust: request.trust.as_deref(),
            mode: request.mode,
        };
        let query =
            if request.plain { search::parse_plain(&request.query) } else { search::parse(&request.query) };
        let resolved = self.resolve(&place, &query);
        let asked = self.note_failure("search", Verb::Read, &place.shown(), resolved)?;
        self.record("search", Verb::Read, &place.shown(), "", Outcome::Allowed, "scope")?;
        let mut hits = self.find(&asked, &query, request.mode, limit)?;
        hits.degraded.extend(self.missing_workspaces(&place));
        let index = self.index_status(&asked, &hits.degraded)?;
        let mut results: Vec<SearchHit> =
            hits.hits.into_iter().map(|hit| show_hit(&asked, &query, hit, request.explain)).collect();
        self.say_origins(&mut results.iter_mut().map(|hit| &mut hit.citation).collect::<Vec<_>>())?;
        let n_found = results.len();
        if let Some(max_tokens) = request.max_tokens {
            self.bound(&mut results, max_tokens);
        }
        let omitted = Some(n_found - results.len()).filter(|n_omitted| *n_omitted > 0);
        Ok(SearchReply { results, omitted, index, took_ms: ms_since(begun) })
    }

    /// Sentences that answer a question, each cited, or an honest none.
    ///
    /// # Errors
    /// As [`Self::search`]; [`Error::Invalid`] for a generator that is not there.
    pub fn ask(&self, request: &AskRequest) -> Result<AskReply> {
        self.answer_to(request, &mut Listener { is_streamed: false, tell: &mut |_| {} })
    }

    /// As [`Self::ask`], and tells each sentence as soon as it is known to be one of the answer; a model gets more time for that.
    /// Whoever no longer wants it ends it by [`Stop`](super::Stop).
    ///
    /// # Errors
    /// As [`Self::ask`].
    pub fn ask_telling(&self, request: &AskRequest, tell: &mut dyn FnMut(AskProgress)) -> Result<AskReply> {
        self.answer_to(request, &mut Listener { is_streamed: true, tell })
    }

    fn answer_to(&self, request: &AskRequest, listener: &mut Listener<'_>) -> Result<AskReply> {
        let begun = Instant::now();
        let max_quotes = check_limit(request.limit, 3, 10)?;
        let chosen = self.chosen_generator(request)?;
        let place = Where {
            workspaces: request.workspaces.as_deref(),
            path_prefix: request.path_prefix.as_deref(),
            filters: request.filters.as_ref(),
            wait_for_seq: request.wait_for_seq.as_deref(),
            as_of: request.as_of.as_deref(),
            trust: request.trust.as_deref(),
            mode: request.mode,
        };
        let query = search::parse_plain(&request.question);
        let resolved = self.resolve(&place, &query);
        let asked = self.note_failure("ask", Verb::Read, &place.shown(), resolved)?;
        self.record("ask", Verb::Read, &place.shown(), "", Outcome::Allowed, "scope")?;
        let mut hits = self.find(&asked, &query, request.mode, answer::HITS_READ)?;
        hits.degraded.extend(self.missing_workspaces(&place));
        let answer = self.answer_within(&hits, max_quotes, request.max_tokens);
        let mut degraded = answer.degraded.clone();
        (listener.tell)(AskProgress::Begun);
        // What no file answers is not asked of a model either: it would answer all the same.
        let generated = match chosen.filter(|_| !answer.abstained) {
            Some(chosen) => {
                let material = Material { request, place: &place, asked: &asked, hits: &hits };
                Some((chosen.name(), self.generate(chosen, &material, listener)?))
            }
            None => None,
        };
        let n_dropped = generated.as_ref().map(|(_, generated)| generated.n_dropped);
        let wrote = generated.and_then(|(name, generated)| {
            degraded.extend(generated.fault.map(|reason| Degraded { stage: "generator", reason }));
            (!generated.sentences.is_empty()).then_some((name, generated.sentences, generated.citations))
        });
        let (generator, sentences, mut citations) = match wrote {
            Some(wrote) => wrote,
            None => {
                answer.sentences.iter().for_each(|one| (listener.tell)(AskProgress::Sentence(one.clone())));
                let citations = self.cite_quotes(&answer, &asked, &hits, request.explain);
                (EXTRACTIVE, answer.sentences, citations)
            }
        };
        self.say_origins(&mut citations.iter_mut().map(|one| &mut one.citation).collect::<Vec<_>>())?;
        Ok(AskReply {
            answer: if answer.abstained { NO_ANSWER.to_owned() } else { sentences.join(" ") },
            sentences,
            citations,
            abstained: answer.abstained,
            confidence: answer.confidence,
            generator: generator.to_owned(),
            dropped_sentences: n_dropped,
            index: self.index_status(&asked, &degraded)?,
            took_ms: ms_since(begun),
        })
    }

    fn cite_quotes(
        &self,
        answer: &Answer,
        asked: &[Asked],
        hits: &Hits,
        explain: bool,
    ) -> Vec<NumberedCitation> {
        let cite = |(n, support): (usize, &answer::Support)| {
            let hit = &hits.hits[support.hit];
            NumberedCitation {
                n,
                citation: self.cite(asked, hit, support.span, &support.quote),
                ranks: explain.then_some(hit.ranks),
            }
        };
        (1..).zip(&answer.supports).map(cite).collect()
    }

    /// Checks citations against the bytes that they name, and against the files of today.
    ///
    /// # Errors
    /// Where catalog or blobs can't be read; a citation that does not hold is no error.
    pub fn verify(&self, citations: Vec<Citation>) -> Result<Vec<VerifiedCitation>> {
        citations
            .into_iter()
            .map(|mut citation| {
                let mut verdict = self.verdict(&mut citation)?;
                // What somebody says of a source proves nothing: only what is known here is told.
                match &mut verdict {
                    Verdict::Stale { now: Some(now) } => {
                        self.say_origin(now)?;
                        self.say_origin(&mut citation)?;
                    }
                    Verdict::Invalid { .. } => (citation.source_url, citation.fetched_at) = (None, None),
                    _ => self.say_origin(&mut citation)?,
                }
                self.record("citation.verify", Verb::Read, &citation.path, "", Outcome::Allowed, "scope")?;
                let valid = !matches!(verdict, Verdict::Invalid { .. });
                let stale = matches!(verdict, Verdict::Stale { .. });
                Ok(VerifiedCitation { citation, valid, stale, verdict })
            })
            .collect()
    }

    /// A citation without a quote, such as a hit in few words, is completed by what stands there.
    fn verdict(&self, citation: &mut Citation) -> Result<Verdict> {
        let unknown = || Verdict::Invalid { reason: "there is no such version of this file".to_owned() };
        let Ok((name, path)) = split_path(&citation.path) else { return Ok(unknown()) };
        if citation.workspace.is_empty() {
            citation.workspace = name.to_string();
        }
        let Some(workspace) = self.readable(&name, &path) else { return Ok(unknown()) };
        let today = workspace.tree.read(&path, self.engine.max_file_bytes)?;
        let today = today.map(|(bytes, _)| (VersionId::of(&bytes), bytes));
        let cited = match &today {
            Some((version, bytes)) if *version == citation.version => Some(bytes.clone()),
            _ if self.was_here(&workspace, &path, citation.version)? => {
                self.engine.blobs.get(citation.version)?
            }
            _ => None,
        };
        let Some(bytes) = cited else { return Ok(unknown()) };
        let Some(document) = self.read_text(&path, citation.version, &bytes)? else { return Ok(unknown()) };
        let span = Span::new(citation.start_byte, citation.end_byte.max(citation.start_byte));
        if let Some(quote) = span.of(&document.text).filter(|_| citation.quote.is_empty()) {
            citation.quote = quote.to_owned();
        }
        if !citation.holds_in(&document.text) {
            return Ok(Verdict::Invalid {
                reason: "the bytes of that version say something else there".to_owned(),
            });
        }
        let span = Span::new(citation.start_byte, citation.end_byte);
        let place = location_of(&document.located, span);
        if citation.location.is_some() && citation.location != place {
            let found = place.map_or_else(|| "no such place".to_owned(), |place| place.to_string());
            return Ok(Verdict::Invalid {
                reason: format!("the bytes of that version stand elsewhere: {found}"),
            });
        }
        let here = match today {
            Some((version, _)) if version == citation.version => return Ok(Verdict::Valid),
            Some((version, bytes)) => {
                let today = self.read_text(&path, version, &bytes)?;
                today.and_then(|today| citation.reanchor(version, &today.text, &today.located))
            }
            None => None,
        };
        let now = match here {
            None => self.followed(&workspace, &path, citation)?,
            here => here,
        };
        Ok(Verdict::Stale { now: now.map(Box::new) })
    }

    /// Whether a path ever had these bytes: a version alone is no key to other paths' contents.
    pub(super) fn was_here(
        &self,
        workspace: &OpenWorkspace,
        path: &RelPath,
        version: VersionId,
    ) -> Result<bool> {
        Ok(journal::had_version(&self.engine.catalog, workspace.row.id, path.as_str(), version)?)
    }

    /// What a version says; `None` where it gives no text.
    pub(super) fn read_text(
        &self,
        path: &RelPath,
        version: VersionId,
        bytes: &[u8],
    ) -> Result<Option<Document>> {
        Ok(self.engine.reader.read(version, path.file_name(), bytes)?.ok())
    }

    /// Which workspaces are asked, and which of their files may be seen and pass the conditions.
    fn resolve(&self, place: &Where<'_>, query: &ParsedQuery) -> Result<Vec<Asked>> {
        let (only, prefix) = self.read_prefix(place)?;
        let mut filter = read_filters(place.filters, query)?;
        let is_apart = narrow(&mut filter.path_prefix, prefix);
        if let Some(trust) = place.trust {
            if trust != "approved" {
                let found = format!("`{}`", trust.chars().take(40).collect::<String>());
                return Err(Error::Invalid { field: "trust", found, expected: "`approved`".to_owned() });
            }
            filter.approved = true;
        }
        let mut workspaces: Vec<_> = match (place.workspaces, &only) {
            (Some(names), _) => names.iter().map(|name| self.seen_workspace(name)).collect::<Result<_>>()?,
            (None, Some(name)) => vec![self.seen_workspace(name.as_str())?],
            (None, None) => self.seen_workspaces()?,
        };
        // All conditions hold together; of those that exclude each other none is passed over.
        let is_asked = |name: &WorkspaceName| !is_apart && only.as_ref().is_none_or(|only| only == name);
        workspaces.retain(|workspace| is_asked(&workspace.row.name));
        let seq =
            place.wait_for_seq.map(|text| self.read_seq("wait_for_seq", text, Rounding::Up)).transpose()?;
        let as_of = place.as_of.map(|text| self.read_as_of(text)).transpose()?;
        let scope = self.scope(Verb::Read);
        let mut asked = Vec::with_capacity(workspaces.len());
        for workspace in workspaces {
            if let Some(seq) = seq {
                let has_model = self.engine.embedder.is_some();
                let arm = if has_model && place.mode != Mode::Lexical { Arm::Both } else { Arm::Lexical };
                self.wait(&workspace, seq, place.wait_for_seq.unwrap_or_default(), arm)?;
            }
            match as_of {
                Some(seq) => asked.extend(self.asked_past(workspace, seq, &filter)?),
                None => {
                    let visible = self.files_in(&scope, &workspace)?;
                    let files = match (visible, filter.is_everything()) {
                        (None, true) => None,
                        (Some(visible), true) => Some(visible),
                        (visible, false) => {
                            let mut files = self.engine.catalog.file_ids(workspace.row.id, &filter)?;
                            if let Some(visible) = visible {
                                files.retain(|file| visible.contains(*file));
                            }
                            Some(Arc::new(FileSet::new(files)))
                        }
                    };
                    asked.push(Asked::live(workspace, files));
                }
            }
        }
        Ok(asked)
    }

    /// Workspaces that would have been asked, and whose folder can't be opened now.
    fn missing_workspaces(&self, place: &Where<'_>) -> Vec<Degraded> {
        if place.workspaces.is_some() || place.path_prefix.is_some() {
            return Vec::new();
        }
        let missing = self.engine.unavailable().into_iter();
        let seen = missing.filter(|(name, _)| self.decide(Verb::Read, &format!("/{name}")).allowed);
        seen.map(|(name, _)| Degraded {
            stage: "workspace",
            reason: format!("workspace `{name}` is not available; its folder can't be opened"),
        })
        .collect()
    }

    /// A workspace's state of some time ago: what still stands in today's index, and an index of the rest.
    fn asked_past(&self, workspace: Arc<OpenWorkspace>, seq: Seq, filter: &FileFilter) -> Result<Vec<Asked>> {
        let scope = self.scope(Verb::Read);
        let past = self.engine.past(&workspace, seq)?;
        let name = &workspace.row.name;
        let shown =
            |row: &&FileRow| filter.matches(row) && scope.allows(&crate::id::join_path(name, &row.path));
        let still: Vec<FileId> = past.still.iter().filter(shown).map(|row| row.id).collect();
        let gone: Vec<FileId> = past.index.rows.iter().filter(shown).map(|row| row.id).collect();
        let is_lost = |path: &&RelPath| scope.allows(&crate::id::join_path(name, path));
        let n_pruned = past.index.pruned.iter().filter(is_lost).count();
        let searcher = past.index.searcher();
        let live = Asked {
            past: Some(seq),
            ..Asked::live(Arc::clone(&workspace), Some(Arc::new(FileSet::new(still))))
        };
        let source = Source { searcher, files: Some(Arc::new(FileSet::new(gone))) };
        Ok(vec![live, Asked { workspace, source, past: Some(seq), n_pruned, _past_index: Some(past.index) }])
    }

    fn read_prefix(&self, place: &Where<'_>) -> Result<(Option<WorkspaceName>, Option<RelPath>)> {
        let Some(text) = place.path_prefix.filter(|text| !text.is_empty() && *text != "/") else {
            return Ok((None, None));
        };
        let of_workspace = || {
            let (name, below) = split_path(text)?;
            Ok((Some(name), Some(below).filter(|below| !below.is_root())))
        };
        if text.starts_with('/') {
            return of_workspace();
        }
        // Without a slash before it: a folder of every workspace asked, unless it begins with the name of one.
        let first = text.split('/').next().unwrap_or_default();
        let is_named = match place.workspaces {
            Some(names) => names.iter().any(|name| name == first),
            None => self.seen_workspace(first).is_ok(),
        };
        if is_named { of_workspace() } else { Ok((None, Some(RelPath::new(text)?))) }
    }

    pub(super) fn find(
        &self,
        asked: &[Asked],
        query: &ParsedQuery,
        mode: Mode,
        limit: usize,
    ) -> Result<Hits> {
        let sources: Vec<Source> = asked
            .iter()
            .map(|asked| Source {
                searcher: Arc::clone(&asked.source.searcher),
                files: asked.source.files.clone(),
            })
            .collect();
        let (questions, principal) = (&self.engine.questions, &self.actor.principal);
        let mut vector = if mode == Mode::Lexical { None } else { questions.vector(principal, &query.text) };
        let is_known = vector.is_some();
        let mut spare = SPARE_HITS;
        loop {
            let request = search::SearchRequest { query, mode, limit: limit + spare, vector };
            let mut hits = search::search(
                &sources,
                self.engine.embedder.as_ref(),
                self.engine.reranker.as_deref(),
                &request,
            )?;
            let has_more = hits.hits.len() == limit + spare;
            hits.hits = self.current(asked, hits.hits, limit)?;
            if hits.hits.len() < limit && has_more && spare < MORE_SPARE_HITS {
                (spare, vector) = (MORE_SPARE_HITS, hits.vector);
                continue;
            }
            if let Some(vector) = hits.vector.as_ref().filter(|_| !is_known) {
                questions.keep(principal, &query.text, vector);
            }
            return Ok(hits);
        }
    }

    /// Those hits whose file is still what was indexed, `limit` at most.
    fn current(&self, asked: &[Asked], hits: Vec<Hit>, limit: usize) -> Result<Vec<Hit>> {
        // A path that can't be one is no file's.
        let placed = hits.into_iter().filter_map(|hit| {
            let path = RelPath::new(&hit.record.path).ok()?;
            Some(((asked[hit.source].workspace.row.id, path), hit))
        });
        let (places, hits): (Vec<(WorkspaceId, RelPath)>, Vec<Hit>) = placed.unzip();
        let rows = self.engine.catalog.files_at(&places)?;
        let mut current = Vec::with_capacity(limit);
        for ((hit, row), (_, path)) in hits.into_iter().zip(rows).zip(&places) {
            if current.len() >= limit {
                break;
            }
            let asked = &asked[hit.source];
            if asked.past.is_some() || is_current(&asked.workspace, path, row.as_ref(), &hit)? {
                current.push(hit);
            }
        }
        Ok(current)
    }

    pub(super) fn index_status(&self, asked: &[Asked], degraded: &[Degraded]) -> Result<IndexStatus> {
        let mut status = IndexStatus { seq: String::new(), pending_files: 0, degraded: degraded.to_vec() };
        let scope = self.scope(Verb::Read);
        let mut reached = Seq(0);
        for asked in asked {
            let row = &asked.workspace.row;
            if !row.intelligence {
                status.degraded.push(Degraded {
                    stage: "index",
                    reason: format!(
                        "workspace `{}` has its intelligence switched off; nothing of it is found",
                        row.name
                    ),
                });
                continue;
            }
            if let Some(seq) = asked.past {
                reached = reached.max(seq);
                if asked.n_pruned > 0 {
                    let reason =
                        format!("{} files of that state are pruned and can't be searched", asked.n_pruned);
                    status.degraded.push(Degraded { stage: "past", reason });
                }
                continue;
            }
            let position = asked.source.searcher.position();
            let behind =
                if self.engine.embedder.is_some() { position.semantic() } else { position.lexical() };
            if scope.is_everything() {
                reached = reached.max(position.lexical());
                status.pending_files += journal::files_after(&self.engine.catalog, row.id, behind)?;
            } else {
                let (last, pending) = self.with_journal(&scope, |visible| {
                    Ok((visible.last_before(row.id, position.lexical()), visible.files_after(row.id, behind)))
                })?;
                reached = reached.max(last);
                status.pending_files += pending;
            }
        }
        if status.pending_files > 0
            && let Some(reason) = self.engine.rests()
        {
            status.degraded.push(Degraded { stage: "index", reason });
        }
        status.seq = self.show_seq(reached)?;
        Ok(status)
    }

    pub(super) fn cite(&self, asked: &[Asked], hit: &Hit, span: Span, quote: &str) -> Citation {
        let mut citation = citation_of(&asked[hit.source], hit);
        let lines_before = quote_lines(&hit.record.text, span.start - hit.record.span.start);
        let first = hit.record.lines.0 + lines_before;
        citation.start_byte = span.start;
        citation.end_byte = span.end;
        citation.lines = Some((first, first + quote.matches('\n').count() as u32));
        citation.location = location_of(&hit.record.located, span);
        citation.headings = hit.record.headings_at(span.start).to_vec();
        citation.quote = quote.to_owned();
        citation
    }

    /// An answer of so many quotes at most, and of fewer where they would be too many tokens.
    fn answer_within(&self, hits: &Hits, max_quotes: usize, max_tokens: Option<usize>) -> Answer {
        let answer_of = |max_quotes| {
            let options = AnswerOptions { max_quotes, ..AnswerOptions::default() };
            answer::answer(hits, self.engine.embedder(), &options)
        };
        let mut answer = answer_of(max_quotes);
        let cost = |answer: &Answer| {
            let quotes = answer.supports.iter().map(|support| self.count_tokens(&support.quote));
            self.count_tokens(&answer.sentences.join(" ")) + quotes.sum::<usize>()
        };
        while let Some(max_tokens) = max_tokens
            && answer.supports.len() > 1
            && cost(&answer) > max_tokens
        {
            answer = answer_of(answer.supports.len() - 1);
        }
        answer
    }

    /// Drops the last hits until the rest fits; a bound below the first hit's size leaves none.
    fn bound(&self, results: &mut Vec<SearchHit>, max_tokens: usize) {
        let mut left = max_tokens;
        let fits = results.iter().take_while(|hit| {
            let cost = self.count_tokens(&hit.citation.quote) + self.count_tokens(&hit.snippet) + 40;
            let fits = cost <= left;
            left = left.saturating_sub(cost);
            fits
        });
        let n_fit = fits.count();
        results.truncate(n_fit);
    }
}

/// Whether the file still is what the chunk was cut from: a file gone or changed since is never served.
fn is_current(workspace: &OpenWorkspace, path: &RelPath, row: Option<&FileRow>, hit: &Hit) -> Result<bool> {
    let Some(row) = row.filter(|row| row.state.version == hit.record.version) else { return Ok(false) };
    let now = workspace.tree.entry(path)?;
    Ok(now.is_some_and(|now| now.size_bytes == row.state.size_bytes && now.mtime_ns == row.state.mtime_ns))
}

fn quote_lines(text: &str, end: usize) -> u32 {
    text.get(..end).map_or(0, |before| before.matches('\n').count() as u32)
}

pub(super) fn citation_of(asked: &Asked, hit: &Hit) -> Citation {
    let name = &asked.workspace.row.name;
    Citation {
        workspace: name.to_string(),
        path: format!("/{name}/{}", hit.record.path),
        version: hit.record.version,
        start_byte: hit.record.span.start,
        end_byte: hit.record.span.end,
        lines: Some(hit.record.lines),
        location: location_of(&hit.record.located, hit.record.span),
        headings: hit.record.headings.clone(),
        quote: hit.record.text.clone(),
        source_url: None,
        fetched_at: None,
    }
}

fn show_hit(asked: &[Asked], query: &ParsedQuery, hit: Hit, explain: bool) -> SearchHit {
    let snippet = search::snippet(&hit.record.text, query);
    let mut citation = citation_of(&asked[hit.source], &hit);
    if let Some(at) = snippet.matched_at {
        citation.headings = hit.record.headings_at(hit.record.span.start + at).to_vec();
    }
    let copies = hit
        .copies
        .iter()
        .map(|(source, path)| format!("/{}/{path}", asked[*source].workspace.row.name))
        .collect();
    SearchHit {
        citation,
        snippet: snippet.text,
        highlights: snippet.highlights.into_iter().map(|(from, to)| [from, to]).collect(),
        score: hit.score,
        mime_type: hit.record.mime_type,
        title: hit.record.title,
        copies,
        ranks: explain.then_some(hit.ranks),
    }
}

pub(super) fn check_limit(limit: Option<usize>, default: usize, max: usize) -> Result<usize> {
    match limit {
        None => Ok(default),
        Some(limit) if (1..=max).contains(&limit) => Ok(limit),
        Some(limit) => {
            Err(Error::Invalid { field: "limit", found: limit.to_string(), expected: format!("1 to {max}") })
        }
    }
}

/// Leaves what lies below both; whether nothing can.
fn narrow(one: &mut Option<RelPath>, other: Option<RelPath>) -> bool {
    match (&*one, other) {
        (Some(one), Some(other)) if one.is_below(&other) => false,
        (Some(one), Some(other)) if !other.is_below(one) => true,
        (_, None) => false,
        (_, other) => {
            *one = other;
            false
        }
    }
}

/// The request's conditions over those in the query itself.
fn read_filters(filters: Option<&SearchFilters>, query: &ParsedQuery) -> Result<FileFilter> {
    let mut filter = query.filter.clone();
    let Some(given) = filters else { return Ok(filter) };
    let time = |field, text: &Option<String>| match text {
        None => Ok(None),
        Some(text) => parse_rfc3339(text).map(Some).ok_or_else(|| Error::Invalid {
            field,
            found: format!("`{text}`"),
            expected: "a time such as `2026-01-31T00:00:00Z`, or a date".to_owned(),
        }),
    };
    let named = |field, text: &Option<String>, is_one: &dyn Fn(&str) -> bool, expected: &str| match text {
        None => Ok(None),
        Some(text) if is_one(&text.to_lowercase()) => Ok(Some(text.to_lowercase())),
        Some(text) => {
            let found = format!("`{}`", text.chars().take(40).collect::<String>());
            Err(Error::Invalid { field, found, expected: expected.to_owned() })
        }
    };
    let is_type = |text: &str| {
        text.split_once('/').is_some_and(|(family, kind)| !family.is_empty() && !kind.is_empty())
    };
    let mime_type = named(
        "filters.mime_type",
        &given.mime_type,
        &is_type,
        "a type such as `text/markdown`, or a family such as `text/*`",
    )?;
    let language = named(
        "filters.language",
        &given.language,
        &text::is_language,
        "a code such as `en`, or a programming language such as `rust`",
    )?;
    // `.md` is what `md` is.
    let extension = given.extension.as_ref().map(|end| end.trim_start_matches('.').to_owned());
    filter.mime_type = mime_type.or(filter.mime_type);
    filter.language = language.or(filter.language);
    filter.extension = extension.filter(|end| !end.is_empty()).or(filter.extension);
    filter.modified_after_ms =
        time("filters.modified_after", &given.modified_after)?.or(filter.modified_after_ms);
    filter.modified_before_ms =
        time("filters.modified_before", &given.modified_before)?.or(filter.modified_before_ms);
    Ok(filter)
}

pub(super) fn ms_since(begun: Instant) -> f64 {
    (begun.elapsed().as_secs_f64() * 1e6).round() / 1e3
}
