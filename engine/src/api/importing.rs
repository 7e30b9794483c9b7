//! Files made of what is behind a URL, without passing through whoever asks.
//!
//! The rights are asked before the network is: what may not be written is not fetched. Others than the home's owner may name only
//! hosts that the operator listed, and are led by redirects to no other ones, as it is with webhooks. What fails is an event
//! that is told where its path may be read, and stands in the audit log.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::changing::WriteOptions;
use super::error::{Error, Result};
use super::session::Session;
use super::sites::{absent_file, check_new_name};
use super::workspace::OpenWorkspace;
use crate::access::Verb;
use crate::budget::{Charge, ChargeKind, Usage};
use crate::catalog::FileRow;
use crate::change::{ChangeError, Expected};
use crate::clock::rfc3339;
use crate::id::{RelPath, VersionId, join_path, split_path};
use crate::import::{self, Accept, Fetched, ImportError, Page, Validators, Wanted, Watch};
use crate::journal::{EventKind, NewEvent};
use crate::net::{NetError, Url};
use crate::search::Citation;
use crate::store::{self, Origin};

/// What is done, in the audit log.
pub(super) const ACTION: &str = "file.import";
/// Bytes of one file at most: they are held in memory while they are written.
pub const MAX_IMPORT_BYTES: u64 = 64 << 20;
/// Seconds of an import where nothing else is asked: of a file, of a section, and at most.
const FILE_SECONDS: u64 = 120;
const SECTION_SECONDS: u64 = 300;
const MAX_SECONDS: u64 = 600;

/// What is to be fetched.
#[derive(Debug, Clone)]
pub struct ImportRequest {
    /// Where from. Share links of Google Drive, Dropbox, GitHub and its gists are turned into direct ones.
    pub url: String,
    /// The file that it will be; of a section, the folder.
    pub path: String,
    /// Follows the links of a page within its section.
    pub recursive: Option<Recursive>,
    /// Asks only for what has changed since the last import; else for all of it anew.
    pub refresh: bool,
    /// Of one file; the limit for files that are indexed where it is missing.
    pub max_bytes: Option<u64>,
    /// Media types that are wanted, exact or a family such as `text/*`; none: any.
    pub accept: Vec<String>,
    /// For all of it; 1 to 600.
    pub timeout_seconds: Option<u64>,
}

/// How far links are followed.
#[derive(Debug, Clone, Copy, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Recursive {
    /// Links from the first page at most, 0 to 10; 3 where it is missing.
    #[serde(default)]
    pub depth: Option<u32>,
    /// Pages at most, 1 to 1,000; 100 where it is missing.
    #[serde(default)]
    pub max_pages: Option<usize>,
    /// Whether only what lies below the first page's folder is read, and not all of its site.
    #[serde(default = "yes")]
    pub same_prefix: bool,
}

fn yes() -> bool {
    true
}

impl Default for Recursive {
    fn default() -> Self {
        Self { depth: None, max_pages: None, same_prefix: true }
    }
}

impl ImportRequest {
    /// One file, with everything else as usual.
    pub fn new(url: impl Into<String>, path: impl Into<String>) -> Self {
        Self {
            url: url.into(),
            path: path.into(),
            recursive: None,
            refresh: true,
            max_bytes: None,
            accept: Vec::new(),
            timeout_seconds: None,
        }
    }
}

/// What an import did to a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum ImportStatus {
    /// The path was new, as far as the asker may know.
    Created,
    /// It has other bytes now.
    Updated,
    /// It has had these bytes already.
    Unchanged,
}

/// A file that was imported.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub struct ImportedFile {
    /// `/<workspace>/<path>`.
    pub path: String,
    /// What stands there now.
    pub version: VersionId,
    /// In bytes.
    pub size: u64,
    /// By content.
    pub mime_type: String,
    /// Give it as `wait_for_seq` to find the file.
    pub seq: String,
    /// Where the bytes came from, after redirects.
    pub url: String,
    /// `created`, `updated` or `unchanged`.
    pub status: ImportStatus,
    /// RFC 3339: when these bytes were fetched.
    pub fetched_at: String,
}

/// A page that could not be imported.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub struct ImportFailure {
    /// Where it was looked for.
    pub url: String,
    /// The file that it would have been.
    pub path: String,
    /// Stable, for programs.
    pub code: String,
    /// For people.
    pub detail: String,
}

/// A section that was imported.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub struct ImportedSection {
    /// The folder.
    pub path: String,
    /// The first page, after redirects.
    pub url: String,
    /// In the order in which they were read.
    pub items: Vec<ImportedFile>,
    /// Pages that could not be imported.
    pub failures: Vec<ImportFailure>,
    /// Why pages were left out: `max_pages` or `timeout`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut: Option<&'static str>,
}

/// What came of an import.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
#[serde(untagged)]
pub enum ImportReply {
    /// Of one file.
    File(ImportedFile),
    /// With `recursive`.
    Section(ImportedSection),
}

/// How far an import is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ImportProgress {
    /// Of the file that comes now.
    pub bytes: u64,
    /// Its length, where the host says it.
    pub total_bytes: Option<u64>,
    /// Pages that were read.
    pub pages: u64,
    /// Pages that are known and wait.
    pub waiting_pages: u64,
}

/// Told how far it is.
pub type OnImport<'a> = &'a mut dyn FnMut(&ImportProgress);

/// What one import may use, whoever it is for.
pub(super) struct Terms {
    pub accept: Accept,
    pub max_bytes: u64,
    pub deadline: Instant,
    pub seconds: u64,
    pub refresh: bool,
    pub only_listed: bool,
}

/// A path that may be written.
pub(super) struct Target {
    pub workspace: Arc<OpenWorkspace>,
    pub below: RelPath,
    pub full: String,
    pub may_read: bool,
}

impl Session {
    /// Fetches a URL into a path, or the pages of a section into a folder.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`] before anything is asked for; [`Error::Import`]; as
    /// [`Session::write_file`](Self::write_file) for the change itself. Of a section only the first page's failure is one; the others
    /// stand in the reply.
    pub fn import(
        &self,
        request: &ImportRequest,
        options: &WriteOptions,
        told: OnImport<'_>,
    ) -> Result<ImportReply> {
        match &request.recursive {
            Some(recursive) => {
                self.import_section(request, recursive, options, told).map(ImportReply::Section)
            }
            None => self.import_file(request, options, told).map(ImportReply::File),
        }
    }

    fn import_file(
        &self,
        request: &ImportRequest,
        options: &WriteOptions,
        told: OnImport<'_>,
    ) -> Result<ImportedFile> {
        let target = self.import_target(&request.path, options)?;
        let mut imported = || -> Result<ImportedFile> {
            let terms = self.terms(request, FILE_SECONDS)?;
            let url = self.import_url(&request.url, &terms)?;
            let known = self.known_bytes(&target, &url, &terms)?;
            let known = known.as_ref().map(|(origin, _)| validators(origin));
            let name = target.below.file_name();
            let fetched = self.fetch(&url, known.as_ref(), name, &terms, &mut |bytes, total_bytes| {
                told(&ImportProgress { bytes, total_bytes, ..ImportProgress::default() });
            })?;
            self.take_page(&target, &url, fetched, options)
        };
        let imported = imported();
        self.tell_failure(&target, &request.url, imported)
    }

    /// A path that this principal may write, and that stands as it is expected to: asked before any network is.
    pub(super) fn import_target(&self, path: &str, options: &WriteOptions) -> Result<Target> {
        let (name, below) = self.split(path, "file")?;
        if below.is_root() {
            return Err(absent_file(path));
        }
        self.authorize(ACTION, Verb::Write, path, "file")?;
        check_new_name(&below)?;
        let workspace = self.note_failure(ACTION, Verb::Write, path, self.workspace_of(&name))?;
        self.check_precondition(Verb::Write, path, options)?;
        let full = join_path(&name, &below);
        let may_read = self.decide(Verb::Read, &full).allowed;
        let target = Target { workspace, below, full, may_read };
        self.note_failure(ACTION, Verb::Write, path, self.check_expected(&target, options))?;
        Ok(target)
    }

    /// Nobody is asked for bytes that could not be written in the end. The change itself checks it again.
    fn check_expected(&self, target: &Target, options: &WriteOptions) -> Result<()> {
        if options.expected == Expected::Any {
            return Ok(());
        }
        let found = self.version_at(&target.full)?;
        let fits = match &options.expected {
            Expected::Any => true,
            Expected::Absent => found.is_none(),
            Expected::Present => found.is_some(),
            Expected::OneOf(versions) => found.is_some_and(|found| versions.contains(&found)),
        };
        if fits {
            return Ok(());
        }
        Err(Error::Change(ChangeError::VersionConflict {
            path: target.full.clone(),
            expected: "what the request stands on".to_owned(),
            found: found.map_or_else(|| "no file".to_owned(), |found| format!("version `{found}`")),
        }))
    }

    pub(super) fn terms(&self, request: &ImportRequest, usual_seconds: u64) -> Result<Terms> {
        let invalid = |field, found: u64, expected: String| Error::Invalid {
            field,
            found: found.to_string(),
            expected,
        };
        let usual_bytes = self.engine.max_file_bytes.min(MAX_IMPORT_BYTES);
        let max_bytes = request.max_bytes.unwrap_or(usual_bytes);
        if !(1..=MAX_IMPORT_BYTES).contains(&max_bytes) {
            return Err(invalid("max_bytes", max_bytes, format!("1 to {MAX_IMPORT_BYTES}")));
        }
        let seconds = request.timeout_seconds.unwrap_or(usual_seconds);
        if !(1..=MAX_SECONDS).contains(&seconds) {
            return Err(invalid("timeout_seconds", seconds, format!("1 to {MAX_SECONDS}")));
        }
        Ok(Terms {
            accept: Accept::new(&request.accept),
            max_bytes,
            deadline: Instant::now() + Duration::from_secs(seconds),
            seconds,
            refresh: request.refresh,
            only_listed: !self.is_admin(),
        })
    }

    /// For a section.
    pub(super) fn section_terms(&self, request: &ImportRequest) -> Result<Terms> {
        self.terms(request, SECTION_SECONDS)
    }

    /// The direct URL, judged as far as a URL shows it.
    pub(super) fn import_url(&self, text: &str, terms: &Terms) -> Result<Url> {
        let unreadable = |error: &dyn std::fmt::Display| NetError::InvalidUrl { why: error.to_string() };
        let shared = Url::parse(text.trim()).map_err(|error| ImportError::Net(unreadable(&error)))?;
        let direct = import::direct(&shared);
        let client = &self.engine.client;
        let judged = if terms.only_listed {
            client.check_listed(direct.as_str())
        } else {
            client.check(direct.as_str())
        };
        Ok(judged.map_err(ImportError::Net)?)
    }

    /// Where the bytes that stand there came from, if it was this URL.
    pub(super) fn known_bytes(
        &self,
        target: &Target,
        url: &Url,
        terms: &Terms,
    ) -> Result<Option<(Origin, FileRow)>> {
        // Who may not read is not told whether anything stands there, so nothing is asked that depends on it.
        if !terms.refresh || !target.may_read {
            return Ok(None);
        }
        let workspace = target.workspace.row.id;
        let origin = store::origin(&self.engine.catalog, workspace, &target.below)?;
        let Some(origin) = origin.filter(|origin| origin.url == url.as_str()) else { return Ok(None) };
        if self.version_at(&target.full)? != Some(origin.version) || validators(&origin).is_empty() {
            return Ok(None);
        }
        let row = self.engine.catalog.file(workspace, &target.below)?;
        Ok(row.filter(|row| row.state.version == origin.version).map(|row| (origin, row)))
    }

    /// Fetches, within the budgets that bind this principal.
    pub(super) fn fetch(
        &self,
        url: &Url,
        known: Option<&Validators>,
        name: &str,
        terms: &Terms,
        told: &mut dyn FnMut(u64, Option<u64>),
    ) -> Result<Fetched> {
        let host = url.host_str().unwrap_or_default();
        let charge = Charge::new(ChargeKind::Import, host).estimate(Usage::call().bytes(1));
        let reservation = self.reserve(&charge)?;
        let mut n_bytes = 0;
        let wanted = Wanted {
            url,
            known,
            accept: &terms.accept,
            name,
            max_bytes: terms.max_bytes,
            deadline: terms.deadline,
            only_listed: terms.only_listed,
            folder: &self.engine.layout.private(),
        };
        let mut watch = Watch {
            is_stopped: &|| self.stop.is_asked(),
            told: &mut |bytes, total| {
                n_bytes = bytes;
                told(bytes, total);
            },
        };
        let fetched = import::fetch(&self.engine.client, &wanted, &mut watch);
        self.settle(reservation, Usage::call().bytes(n_bytes), fetched.is_ok())?;
        match fetched {
            Err(ImportError::Net(NetError::Timeout { .. })) => {
                Err(ImportError::TooLong { seconds: terms.seconds }.into())
            }
            fetched => Ok(fetched?),
        }
    }

    /// Makes a path's file of what was fetched.
    pub(super) fn take_page(
        &self,
        target: &Target,
        asked: &Url,
        fetched: Fetched,
        options: &WriteOptions,
    ) -> Result<ImportedFile> {
        let page = match fetched {
            Fetched::Page(page) => *page,
            Fetched::Unchanged { url } => return self.unchanged(target, &url),
        };
        let origin = Origin {
            version: VersionId::of(&page.bytes),
            url: asked.to_string(),
            etag: page.validators.etag.clone(),
            last_modified: page.validators.last_modified.clone(),
            fetched_ms: self.now_ms(),
        };
        if target.may_read && self.version_at(&target.full)? == Some(origin.version) {
            self.engine.catalog.write(|tx| -> std::result::Result<(), ChangeError> {
                tx.put_origin(target.workspace.row.id, &target.below, &origin)?;
                self.record_in(
                    tx,
                    ACTION,
                    Verb::Write,
                    &target.full,
                    &origin.version.to_string(),
                    "unchanged",
                )
            })?;
            return self.unchanged(target, &page.url);
        }
        self.put_page(target, &page, &origin, options)
    }

    fn put_page(
        &self,
        target: &Target,
        page: &Page,
        origin: &Origin,
        options: &WriteOptions,
    ) -> Result<ImportedFile> {
        let workspace = target.workspace.row.id;
        let written = self.put_also(ACTION, &target.full, &page.bytes, options, &mut |tx, _| {
            Ok(tx.put_origin(workspace, &target.below, origin)?)
        })?;
        Ok(ImportedFile {
            path: written.path,
            version: origin.version,
            size: written.size.unwrap_or_default(),
            mime_type: written.mime_type,
            seq: written.seq,
            url: page.url.to_string(),
            status: if written.created { ImportStatus::Created } else { ImportStatus::Updated },
            fetched_at: rfc3339(origin.fetched_ms),
        })
    }

    fn unchanged(&self, target: &Target, url: &Url) -> Result<ImportedFile> {
        let workspace = target.workspace.row.id;
        let absent = || absent_file(&target.full);
        // A file that another program wrote may not have been looked at yet.
        if self.engine.catalog.file(workspace, &target.below)?.is_none() {
            self.engine.take_in(&target.workspace)?;
        }
        let row = self.engine.catalog.file(workspace, &target.below)?.ok_or_else(absent)?;
        let origin = store::origin(&self.engine.catalog, workspace, &target.below)?.ok_or_else(absent)?;
        Ok(ImportedFile {
            path: target.full.clone(),
            version: origin.version,
            size: row.state.size_bytes,
            mime_type: row.state.mime_type,
            seq: self.show_seq(row.seq)?,
            url: url.to_string(),
            status: ImportStatus::Unchanged,
            fetched_at: rfc3339(origin.fetched_ms),
        })
    }

    /// A failure is told to whoever may read the path, and written down.
    pub(super) fn tell_failure<T>(&self, target: &Target, url: &str, result: Result<T>) -> Result<T> {
        if let Err(error) = &result
            && !matches!(error, Error::Forbidden { .. } | Error::ApprovalRequired { .. })
        {
            let data = json!({"url": without_query(url), "code": error.code(), "reason": error.to_string()});
            let data = data.to_string();
            let event = NewEvent {
                kind: EventKind::ImportFailed,
                workspace: target.workspace.row.id,
                path: target.below.as_str(),
                data: Some(&data),
                actor: &self.actor.principal,
                trace: Some(self.cause()),
                occurred_ms: self.now_ms(),
            };
            self.engine.catalog.write(|tx| tx.append_event(&event).map(drop))?;
        }
        // What was refused by the change itself stands in the log already.
        match &result {
            Err(Error::Import(_) | Error::Budget(_) | Error::Invalid { .. }) => {
                self.note_failure(ACTION, Verb::Write, &target.full, result)
            }
            _ => result,
        }
    }

    /// Where a path's bytes were imported from, while they still are these bytes.
    pub(super) fn origin_of(
        &self,
        workspace: &OpenWorkspace,
        path: &RelPath,
        version: VersionId,
    ) -> Result<Option<Origin>> {
        let origin = store::origin(&self.engine.catalog, workspace.row.id, path)?;
        Ok(origin.filter(|origin| origin.version == version))
    }

    /// Says in a citation where its bytes were imported from, and nothing where they were not, whatever stood there. Who is told of
    /// the citation may read its path.
    pub(super) fn say_origin(&self, citation: &mut Citation) -> Result<()> {
        self.say_origins(&mut [citation])
    }

    /// As [`Self::say_origin`], for several.
    pub(super) fn say_origins(&self, citations: &mut [&mut Citation]) -> Result<()> {
        let place = |citation: &Citation| {
            let (name, path) = split_path(&citation.path).ok()?;
            Some((self.engine.workspace(&name)?.row.id, path))
        };
        let (mut named, mut places) = (Vec::new(), Vec::new());
        for citation in citations {
            (citation.source_url, citation.fetched_at) = (None, None);
            if let Some(place) = place(citation) {
                places.push(place);
                named.push(citation);
            }
        }
        for (citation, origin) in named.into_iter().zip(store::origins(&self.engine.catalog, &places)?) {
            if let Some(origin) = origin.filter(|origin| origin.version == citation.version) {
                citation.fetched_at = Some(rfc3339(origin.fetched_ms));
                citation.source_url = Some(origin.url);
            }
        }
        Ok(())
    }
}

pub(super) fn validators(origin: &Origin) -> Validators {
    Validators { etag: origin.etag.clone(), last_modified: origin.last_modified.clone() }
}

/// For events and the log: what stands after `?` may be a secret.
pub(super) fn without_query(url: &str) -> String {
    url.split(['?', '#']).next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(500).collect()
}
