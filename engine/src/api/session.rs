use std::sync::Arc;
use std::time::{Duration, Instant};

use super::engine::Engine;
use super::error::{Error, Result};
use super::replies::{
    AskReply, AskRequest, FileContent, IndexStatus, ListEntry, NumberedCitation, SearchFilters, SearchHit,
    SearchReply, SearchRequest, VerifiedCitation, WorkspaceInfo, read_seq, show_seq,
};
use super::workspace::OpenWorkspace;
use crate::access::{Principal, Scope};
use crate::answer::{self, AnswerOptions};
use crate::catalog::FileFilter;
use crate::clock::{parse_rfc3339, rfc3339};
use crate::id::{FileId, RelPath, VersionId, WorkspaceName, join_path, split_path};
use crate::index::FileSet;
use crate::journal;
use crate::search::citation::Verdict;
use crate::search::{self, Citation, Degraded, Hit, Hits, Mode, ParsedQuery, Source};
use crate::span::Span;
use crate::text;

/// Hits in one reply at most.
const MAX_LIMIT: usize = 1000;
/// Hits in one reply where nothing else is asked.
const DEFAULT_LIMIT: usize = 10;
/// Hits fetched beyond the limit, so that those whose file has changed can be left out.
const SPARE_HITS: usize = 10;
/// How long a query waits for `wait_for_seq`.
const PATIENCE: Duration = Duration::from_secs(10);

/// What one principal does with the engine.
#[derive(Clone)]
pub struct Session {
    engine: Arc<Engine>,
    principal: Principal,
}

/// One workspace that is asked, with what of it may be seen.
struct Asked {
    workspace: Arc<OpenWorkspace>,
    source: Source,
}

/// The parts that a search and a question share.
struct Where<'a> {
    workspaces: Option<&'a [String]>,
    path_prefix: Option<&'a str>,
    filters: Option<&'a SearchFilters>,
    wait_for_seq: Option<&'a str>,
}

impl Session {
    pub(super) fn new(engine: Arc<Engine>, principal: Principal) -> Self {
        Self { engine, principal }
    }

    /// Who this is.
    pub fn principal(&self) -> &Principal {
        &self.principal
    }

    /// Ranked hits, inside what the principal may read.
    ///
    /// # Errors
    /// [`Error::Invalid`] for values that make no sense, [`Error::NotFound`] for a workspace that is not there,
    /// [`Error::IndexBehind`].
    pub fn search(&self, request: &SearchRequest) -> Result<SearchReply> {
        let begun = Instant::now();
        let limit = check_limit(request.limit, DEFAULT_LIMIT, MAX_LIMIT)?;
        let place = Where {
            workspaces: request.workspaces.as_deref(),
            path_prefix: request.path_prefix.as_deref(),
            filters: request.filters.as_ref(),
            wait_for_seq: request.wait_for_seq.as_deref(),
        };
        let query =
            if request.plain { search::parse_plain(&request.query) } else { search::parse(&request.query) };
        let asked = self.resolve(&place, &query)?;
        let hits = self.find(&asked, &query, request.mode, limit)?;
        let index = self.index_status(&asked, &hits.degraded)?;
        let mut results: Vec<SearchHit> =
            hits.hits.into_iter().map(|hit| show_hit(&asked, hit, request.explain)).collect();
        if let Some(max_tokens) = request.max_tokens {
            self.bound(&mut results, max_tokens);
        }
        Ok(SearchReply { results, index, took_ms: ms_since(begun) })
    }

    /// Sentences that answer a question, each cited, or an honest none.
    ///
    /// # Errors
    /// As [`Self::search`]; [`Error::Invalid`] for a generator that is not there.
    pub fn ask(&self, request: &AskRequest) -> Result<AskReply> {
        let begun = Instant::now();
        let max_quotes = check_limit(request.limit, 3, 10)?;
        if let Some(generator) = &request.generator
            && generator != "extractive"
        {
            return Err(Error::Invalid {
                field: "generator",
                found: format!("`{generator}`"),
                expected: "`extractive`".to_owned(),
            });
        }
        let place = Where {
            workspaces: request.workspaces.as_deref(),
            path_prefix: request.path_prefix.as_deref(),
            filters: request.filters.as_ref(),
            wait_for_seq: request.wait_for_seq.as_deref(),
        };
        let query = search::parse_plain(&request.question);
        let asked = self.resolve(&place, &query)?;
        let hits = self.find(&asked, &query, request.mode, answer::HITS_READ)?;
        let options = AnswerOptions { max_quotes, ..AnswerOptions::default() };
        let answer = answer::answer(&hits, self.engine.embedder(), &options);
        let citations = answer
            .supports
            .iter()
            .enumerate()
            .map(|(idx, support)| {
                let hit = &hits.hits[support.hit];
                NumberedCitation {
                    n: idx + 1,
                    citation: self.cite(&asked, hit, support.span, &support.quote),
                }
            })
            .collect();
        let text =
            if answer.abstained { "No file that you may read answers this.".to_owned() } else { answer.text };
        Ok(AskReply {
            answer: text,
            citations,
            abstained: answer.abstained,
            confidence: answer.confidence,
            generator: "extractive".to_owned(),
            index: self.index_status(&asked, &answer.degraded)?,
            took_ms: ms_since(begun),
        })
    }

    /// Checks citations against the bytes that they name, and against the files of today.
    ///
    /// # Errors
    /// Where catalog or blobs can't be read; a citation that does not hold is no error.
    pub fn verify(&self, citations: Vec<Citation>) -> Result<Vec<VerifiedCitation>> {
        citations
            .into_iter()
            .map(|citation| {
                let verdict = self.verdict(&citation)?;
                let valid = !matches!(verdict, Verdict::Invalid { .. });
                let stale = matches!(verdict, Verdict::Stale { .. });
                Ok(VerifiedCitation { citation, valid, stale, verdict })
            })
            .collect()
    }

    fn verdict(&self, citation: &Citation) -> Result<Verdict> {
        let unknown = || Verdict::Invalid { reason: "there is no such version of this file".to_owned() };
        let Ok((name, path)) = split_path(&citation.path) else { return Ok(unknown()) };
        let Some(workspace) = self.visible(&name, &path) else { return Ok(unknown()) };
        let today = workspace.tree.read(&path, self.engine.max_file_bytes).ok().flatten();
        let today = today.map(|(bytes, _)| (VersionId::of(&bytes), bytes));
        let cited = match &today {
            Some((version, bytes)) if *version == citation.version => Some(bytes.clone()),
            _ if self.was_here(&workspace, &path, citation.version)? => {
                self.engine.blobs.get(citation.version)?
            }
            _ => None,
        };
        let Some(cited_text) = cited.and_then(|bytes| self.text_of(&path, &bytes)) else {
            return Ok(unknown());
        };
        if !citation.holds_in(&cited_text) {
            return Ok(Verdict::Invalid {
                reason: "the bytes of that version say something else there".to_owned(),
            });
        }
        match today {
            Some((version, _)) if version == citation.version => Ok(Verdict::Valid),
            Some((version, bytes)) => {
                let now = self.text_of(&path, &bytes).and_then(|text| citation.reanchor(version, &text));
                Ok(Verdict::Stale { now })
            }
            None => Ok(Verdict::Stale { now: None }),
        }
    }

    /// Whether a path ever had these bytes: a version alone is no key to other paths' contents.
    fn was_here(&self, workspace: &OpenWorkspace, path: &RelPath, version: VersionId) -> Result<bool> {
        Ok(journal::had_version(&self.engine.catalog, workspace.row.id, path.as_str(), version)?)
    }

    fn text_of(&self, path: &RelPath, bytes: &[u8]) -> Option<String> {
        let limits =
            text::Limits { max_bytes: self.engine.max_file_bytes as usize, ..text::Limits::default() };
        text::extract(path.file_name(), bytes, &limits).ok().map(|document| document.text)
    }

    /// A file's bytes, today's or those of an older version.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for what may not be read; [`Error::Id`] for a path that can't be one.
    pub fn read_file(&self, path: &str, version: Option<&str>) -> Result<FileContent> {
        let (name, below) = split_path(path)?;
        let absent = || Error::NotFound { what: "file", name: path.to_owned() };
        let workspace = self.visible(&name, &below).ok_or_else(absent)?;
        let bytes = match version {
            None => workspace.tree.read(&below, u64::MAX - 1)?.map(|(bytes, _)| bytes),
            Some(version) => {
                let version = VersionId::parse(version)?;
                if self.was_here(&workspace, &below, version)? {
                    self.engine.blobs.get(version)?
                } else {
                    None
                }
            }
        };
        let bytes = bytes.ok_or_else(absent)?;
        let mime_type = text::mime_type(below.file_name(), &bytes);
        Ok(FileContent { version: VersionId::of(&bytes), mime_type, bytes })
    }

    /// What a folder holds, folders first; `/` lists the workspaces.
    ///
    /// # Errors
    /// As [`Self::read_file`].
    pub fn list(&self, path: &str) -> Result<Vec<ListEntry>> {
        if path.is_empty() || path == "/" {
            let names = self.engine.workspace_names().into_iter();
            let visible = names.filter(|name| self.principal.scope() == Scope::Everything || self.sees(name));
            return Ok(visible.map(|name| entry(name.to_string(), format!("/{name}"), true, 0)).collect());
        }
        let (name, below) = split_path(path)?;
        let absent = || Error::NotFound { what: "folder", name: path.to_owned() };
        let workspace = self.visible(&name, &below).ok_or_else(absent)?;
        let names = workspace.tree.list(&below).map_err(|_| absent())?;
        let base = join_path(&name, &below);
        let base = base.trim_end_matches('/');
        Ok(names
            .into_iter()
            .map(|(name, folder, size)| entry(name.clone(), format!("{base}/{name}"), folder, size))
            .collect())
    }

    /// Files whose path matches a glob (`*` within a name, `**` across folders) or holds the text, any case.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a broken pattern; as [`Self::list`] for the folder.
    pub fn find_files(&self, below: &str, pattern: &str, limit: usize) -> Result<Vec<String>> {
        let glob = globset(pattern)?;
        let place = Where { workspaces: None, path_prefix: Some(below), filters: None, wait_for_seq: None };
        let mut found = Vec::new();
        for asked in self.resolve(&place, &ParsedQuery::default())? {
            let name = &asked.workspace.row.name;
            let files = self.engine.catalog.files(asked.workspace.row.id)?;
            let visible = |id: &FileId| asked.source.files.as_ref().is_none_or(|files| files.contains(*id));
            let wanted = pattern.to_lowercase();
            let matching = files.into_iter().filter(|row| {
                let path = row.path.as_str();
                visible(&row.id)
                    && match &glob {
                        Some(glob) => glob.matched(path, false).is_whitelist(),
                        None => path.to_lowercase().contains(&wanted),
                    }
            });
            found.extend(matching.take(limit - found.len()).map(|row| join_path(name, &row.path)));
            if found.len() >= limit {
                break;
            }
        }
        Ok(found)
    }

    /// All workspaces that may be seen, by name.
    ///
    /// # Errors
    /// Where the catalog can't be read.
    pub fn workspaces(&self) -> Result<Vec<WorkspaceInfo>> {
        let open = self.engine.open_workspaces();
        open.into_iter()
            .filter(|workspace| self.sees(&workspace.row.name))
            .map(|workspace| self.info(workspace))
            .collect()
    }

    /// One workspace.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn workspace(&self, name: &str) -> Result<WorkspaceInfo> {
        let absent = || Error::NotFound { what: "workspace", name: name.to_owned() };
        let known = WorkspaceName::new(name).ok().filter(|name| self.sees(name));
        self.info(known.and_then(|name| self.engine.workspace(&name)).ok_or_else(absent)?)
    }

    fn info(&self, workspace: Arc<OpenWorkspace>) -> Result<WorkspaceInfo> {
        let row = workspace.row.clone();
        let stats = self.engine.catalog.file_stats(row.id)?;
        let searcher = workspace.index.searcher();
        let chunks = searcher.n_chunks();
        let asked = [Asked { workspace, source: Source { searcher, files: None } }];
        Ok(WorkspaceInfo {
            id: row.id.to_string(),
            name: row.name.to_string(),
            attached: row.attached,
            intelligence: row.intelligence,
            created_at: rfc3339(row.created_ms),
            indexed_files: stats.indexed,
            skipped_files: stats.skipped,
            size_bytes: stats.size_bytes,
            chunks,
            index: self.index_status(&asked, &[])?,
        })
    }

    fn sees(&self, name: &WorkspaceName) -> bool {
        match self.principal.scope() {
            Scope::Everything => true,
            Scope::Prefixes(prefixes) => prefixes.iter().any(|(workspace, _)| workspace == name),
        }
    }

    fn visible(&self, name: &WorkspaceName, path: &RelPath) -> Option<Arc<OpenWorkspace>> {
        let allowed = !path.is_hidden() && self.principal.scope().allows(name, path);
        allowed.then(|| self.engine.workspace(name)).flatten()
    }

    /// Which workspaces are asked, and which of their files may be seen and pass the conditions.
    fn resolve(&self, place: &Where<'_>, query: &ParsedQuery) -> Result<Vec<Asked>> {
        let (only, prefix) = self.read_prefix(place)?;
        let mut filter = read_filters(place.filters, query)?;
        if filter.path_prefix.is_none() {
            filter.path_prefix = prefix;
        }
        let names = match (only, place.workspaces) {
            (Some(name), _) => vec![name],
            (None, Some(names)) => {
                names.iter().map(|name| WorkspaceName::new(name)).collect::<std::result::Result<_, _>>()?
            }
            (None, None) => {
                self.engine.workspace_names().into_iter().filter(|name| self.sees(name)).collect()
            }
        };
        let seq = match place.wait_for_seq {
            None => None,
            Some(text) => Some(read_seq(text).ok_or_else(|| Error::Invalid {
                field: "wait_for_seq",
                found: format!("`{}`", text.chars().take(40).collect::<String>()),
                expected: "a `seq` that a write or an answer gave".to_owned(),
            })?),
        };
        let mut asked = Vec::with_capacity(names.len());
        for name in names {
            let absent = || Error::NotFound { what: "workspace", name: name.to_string() };
            let workspace = Some(&name)
                .filter(|name| self.sees(name))
                .and_then(|name| self.engine.workspace(name))
                .ok_or_else(absent)?;
            if let Some(seq) = seq {
                self.wait(&workspace, seq, place.wait_for_seq.unwrap_or_default())?;
            }
            let searcher = workspace.index.searcher();
            let files = self.visible_files(&workspace, &filter)?;
            asked.push(Asked { workspace, source: Source { searcher, files } });
        }
        Ok(asked)
    }

    fn wait(&self, workspace: &OpenWorkspace, seq: crate::id::Seq, shown: &str) -> Result<()> {
        // A change of another workspace needs no waiting here.
        let last = journal::last_seq(&self.engine.catalog, workspace.row.id)?;
        if workspace.wait_for(seq.min(last), PATIENCE)? {
            return Ok(());
        }
        Err(Error::IndexBehind { seq: shown.to_owned(), waited_ms: PATIENCE.as_millis() as u64 })
    }

    /// `None` where every file of the workspace may be seen and passes.
    fn visible_files(&self, workspace: &OpenWorkspace, filter: &FileFilter) -> Result<Option<Arc<FileSet>>> {
        let scope = self.principal.scope();
        if scope == Scope::Everything && filter.is_everything() {
            return Ok(None);
        }
        let mut files = self.engine.catalog.file_ids(workspace.row.id, filter)?;
        if scope != Scope::Everything {
            let rows = self.engine.catalog.files(workspace.row.id)?;
            let seen = rows.iter().filter(|row| scope.allows(&workspace.row.name, &row.path));
            let seen = FileSet::new(seen.map(|row| row.id).collect());
            files.retain(|file| seen.contains(*file));
        }
        Ok(Some(Arc::new(FileSet::new(files))))
    }

    fn read_prefix(&self, place: &Where<'_>) -> Result<(Option<WorkspaceName>, Option<RelPath>)> {
        let Some(text) = place.path_prefix.filter(|text| !text.is_empty() && *text != "/") else {
            return Ok((None, None));
        };
        if text.starts_with('/') {
            let (name, below) = split_path(text)?;
            return Ok((Some(name), Some(below).filter(|below| !below.is_root())));
        }
        Ok((None, Some(RelPath::new(text)?)))
    }

    fn find(&self, asked: &[Asked], query: &ParsedQuery, mode: Mode, limit: usize) -> Result<Hits> {
        let sources: Vec<Source> = asked
            .iter()
            .map(|asked| Source {
                searcher: Arc::clone(&asked.source.searcher),
                files: asked.source.files.clone(),
            })
            .collect();
        let request = search::SearchRequest { query, mode, limit: limit + SPARE_HITS };
        let mut hits = search::search(
            &sources,
            self.engine.embedder.as_ref(),
            self.engine.reranker.as_deref(),
            &request,
        )?;
        let mut fresh = Vec::with_capacity(limit);
        for hit in hits.hits.drain(..) {
            if fresh.len() >= limit {
                break;
            }
            if self.is_current(&asked[hit.source].workspace, &hit)? {
                fresh.push(hit);
            }
        }
        hits.hits = fresh;
        Ok(hits)
    }

    /// Whether the file still is what the chunk was cut from: a file gone or changed since is never served.
    fn is_current(&self, workspace: &OpenWorkspace, hit: &Hit) -> Result<bool> {
        let Ok(path) = RelPath::new(&hit.record.path) else { return Ok(false) };
        let Some(row) = self.engine.catalog.file(workspace.row.id, &path)? else { return Ok(false) };
        if row.state.version != hit.record.version {
            return Ok(false);
        }
        let now = workspace.tree.entry(&path)?;
        Ok(now
            .is_some_and(|now| now.size_bytes == row.state.size_bytes && now.mtime_ns == row.state.mtime_ns))
    }

    fn index_status(&self, asked: &[Asked], degraded: &[Degraded]) -> Result<IndexStatus> {
        let mut status =
            IndexStatus { seq: show_seq(crate::id::Seq(0)), pending_files: 0, degraded: degraded.to_vec() };
        let mut reached = crate::id::Seq(0);
        for asked in asked {
            let position = asked.source.searcher.position();
            reached = reached.max(position.lexical());
            let behind =
                if self.engine.embedder.is_some() { position.semantic() } else { position.lexical() };
            status.pending_files +=
                journal::files_after(&self.engine.catalog, asked.workspace.row.id, behind)?;
        }
        status.seq = show_seq(reached);
        Ok(status)
    }

    fn cite(&self, asked: &[Asked], hit: &Hit, span: Span, quote: &str) -> Citation {
        let mut citation = cite(&asked[hit.source], hit);
        let lines_before = quote_lines(&hit.record.text, span.start - hit.record.span.start);
        let first = hit.record.lines.0 + lines_before;
        citation.start_byte = span.start;
        citation.end_byte = span.end;
        citation.lines = Some((first, first + quote.matches('\n').count() as u32));
        citation.quote = quote.to_owned();
        citation
    }

    /// Drops the last hits until the rest fits; a bound below the first hit's size leaves none.
    fn bound(&self, results: &mut Vec<SearchHit>, max_tokens: usize) {
        let count = |text: &str| match &self.engine.embedder {
            Some(embedder) => embedder.count_tokens(text),
            None => text.len().div_ceil(4),
        };
        let mut left = max_tokens;
        let fits = results.iter().take_while(|hit| {
            let cost = count(&hit.citation.quote) + count(&hit.snippet) + 40;
            let fits = cost <= left;
            left = left.saturating_sub(cost);
            fits
        });
        let n_fit = fits.count();
        results.truncate(n_fit);
    }
}

fn quote_lines(text: &str, end: usize) -> u32 {
    text.get(..end).map_or(0, |before| before.matches('\n').count() as u32)
}

fn cite(asked: &Asked, hit: &Hit) -> Citation {
    let name = &asked.workspace.row.name;
    Citation {
        workspace: name.to_string(),
        path: format!("/{name}/{}", hit.record.path),
        version: hit.record.version,
        start_byte: hit.record.span.start,
        end_byte: hit.record.span.end,
        lines: Some(hit.record.lines),
        headings: hit.record.headings.clone(),
        quote: hit.record.text.clone(),
    }
}

fn show_hit(asked: &[Asked], hit: Hit, explain: bool) -> SearchHit {
    let copies = hit
        .copies
        .iter()
        .map(|(source, path)| format!("/{}/{path}", asked[*source].workspace.row.name))
        .collect();
    SearchHit {
        citation: cite(&asked[hit.source], &hit),
        snippet: hit.snippet,
        highlights: hit.highlights.into_iter().map(|(from, to)| [from, to]).collect(),
        score: hit.score,
        mime_type: hit.record.mime_type,
        title: hit.record.title,
        copies,
        ranks: explain.then_some(hit.ranks),
    }
}

fn entry(name: String, path: String, is_folder: bool, size: u64) -> ListEntry {
    let kind = if is_folder { "folder" } else { "file" };
    ListEntry { name, path, kind, size: (!is_folder).then_some(size) }
}

fn check_limit(limit: Option<usize>, default: usize, max: usize) -> Result<usize> {
    match limit {
        None => Ok(default),
        Some(limit) if (1..=max).contains(&limit) => Ok(limit),
        Some(limit) => {
            Err(Error::Invalid { field: "limit", found: limit.to_string(), expected: format!("1 to {max}") })
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
    filter.mime_type = given.mime_type.clone().or(filter.mime_type);
    filter.language = given.language.clone().or(filter.language);
    filter.extension = given.extension.clone().or(filter.extension);
    filter.modified_after_ms =
        time("filters.modified_after", &given.modified_after)?.or(filter.modified_after_ms);
    filter.modified_before_ms =
        time("filters.modified_before", &given.modified_before)?.or(filter.modified_before_ms);
    Ok(filter)
}

/// A pattern with `*`, `?` or `[` as gitignore reads it; `None` for plain text.
fn globset(pattern: &str) -> Result<Option<ignore::overrides::Override>> {
    if !pattern.contains(['*', '?', '[']) {
        return Ok(None);
    }
    let invalid = |error: ignore::Error| Error::Invalid {
        field: "pattern",
        found: format!("`{pattern}`"),
        expected: format!("a glob such as `**/*.md` ({error})"),
    };
    let mut builder = ignore::overrides::OverrideBuilder::new("");
    builder.case_insensitive(true).map_err(invalid)?;
    builder.add(pattern).map_err(invalid)?;
    builder.build().map(Some).map_err(invalid)
}

fn ms_since(begun: Instant) -> f64 {
    (begun.elapsed().as_secs_f64() * 1e6).round() / 1e3
}
