use ignore::gitignore::{Gitignore, GitignoreBuilder};

use super::error::{Error, Result};
use super::lineage::Lived;
use super::places::Rounding;
use super::reading::{reason_of, status_of};
use super::replies::{FileContent, FileInfo, FindRequest, ListEntry, TreeEntry, VersionInfo};
use super::session::Session;
use crate::access::{Scope, Verb};
use crate::clock::{parse_rfc3339, rfc3339};
use crate::id::{RelPath, Seq, VersionId, WorkspaceName, join_path, split_path};
use crate::journal::{self, Outcome};
use crate::text;

/// Folders of one tree below each other at most.
const MAX_TREE_DEPTH: usize = 32;
/// Entries of one tree at most.
const MAX_TREE_ENTRIES: usize = 5000;

impl Session {
    /// A file's bytes: today's, those of an older version, or those of some time ago.
    ///
    /// # Errors
    /// [`Error::NotFound`], also for what may not be read; [`Error::Id`] for a path that can't be one.
    pub fn read_file(&self, path: &str, version: Option<&str>, as_of: Option<&str>) -> Result<FileContent> {
        self.read_within(path, version, as_of, u64::MAX)
    }

    /// As [`Self::read_file`]; today's bytes only where they are not more than the limit.
    pub(super) fn read_within(
        &self,
        path: &str,
        version: Option<&str>,
        as_of: Option<&str>,
        limit_bytes: u64,
    ) -> Result<FileContent> {
        let (name, below) = self.split(path, "file")?;
        let absent = || self.absent(path, "file");
        let rule = self.authorize("file.read", Verb::Read, path, "file")?;
        let workspace = self.engine.workspace(&name).ok_or_else(absent)?;
        let bytes = match (version, as_of) {
            (None, None) => workspace.tree.read(&below, limit_bytes)?.map(|(bytes, _)| bytes),
            (Some(_), Some(_)) => {
                return Err(Error::Invalid {
                    field: "version",
                    found: "given beside `as_of`".to_owned(),
                    expected: "one of both".to_owned(),
                });
            }
            (Some(version), None) => {
                let parsed = VersionId::parse(version).map_err(Error::from);
                let version = self.note_failure("file.read", Verb::Read, path, parsed)?;
                if self.had_version(&workspace, &below, version)? {
                    self.engine.blobs.get(version)?
                } else {
                    None
                }
            }
            (None, Some(as_of)) => {
                let seq = self.read_as_of(as_of)?;
                let states = journal::history(&self.engine.catalog, workspace.row.id, &below)?;
                let state = states.into_iter().find(|past| past.seq <= seq);
                match state.and_then(|past| past.version) {
                    Some(version) => self.engine.blobs.get(version)?,
                    None => None,
                }
            }
        };
        let missing = || match version {
            Some(version) => Error::NotFound { what: "version", name: format!("{version}` of `{path}") },
            None => absent(),
        };
        let bytes = self.note_failure("file.read", Verb::Read, path, bytes.ok_or_else(missing))?;
        let version = VersionId::of(&bytes);
        self.record("file.read", Verb::Read, path, &version.to_string(), Outcome::Allowed, &rule)?;
        Ok(FileContent { version, mime_type: text::mime_type(below.file_name(), &bytes), bytes })
    }

    /// What is known of a file or folder.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn info(&self, path: &str) -> Result<FileInfo> {
        let (name, below) = self.split(path, "file")?;
        let absent = || self.absent(path, "file or folder");
        if self.is_folder_seen(&name, &below)? {
            self.record("file.info", Verb::List, path, "", Outcome::Allowed, "scope")?;
            return Ok(FileInfo { kind: "folder", ..FileInfo::of(join_path(&name, &below)) });
        }
        let rule = self.authorize("file.info", Verb::Read, path, "file or folder")?;
        let found = match self.engine.workspace(&name) {
            Some(workspace) => workspace.tree.entry(&below)?.map(|entry| (workspace, entry)),
            None => None,
        };
        let (workspace, entry) =
            self.note_failure("file.info", Verb::Read, path, found.ok_or_else(absent))?;
        self.record("file.info", Verb::Read, path, "", Outcome::Allowed, &rule)?;
        let mut info = FileInfo {
            kind: "file",
            size: Some(entry.size_bytes),
            modified_at: Some(rfc3339(entry.mtime_ns / 1_000_000)),
            ..FileInfo::of(join_path(&name, &below))
        };
        // A file that only an ignore file keeps out has no row.
        if let Some(row) = self.engine.catalog.file(workspace.row.id, &below)? {
            info.status = Some(status_of(&workspace, &row));
            info.reason = reason_of(&workspace, &row);
            info.notes = row.state.notes.lines().map(str::to_owned).collect();
            if let Some(origin) = self.origin_of(&workspace, &below, row.state.version)? {
                info.fetched_at = Some(rfc3339(origin.fetched_ms));
                info.source_etag = origin.etag;
                info.source_url = Some(origin.url);
            }
            info.version = Some(row.state.version);
            info.mime_type = Some(row.state.mime_type);
            info.language = row.state.language;
            info.approved_by = row.state.approved_by;
            info.seq = Some(self.show_seq(row.seq)?);
            info.skipped = row.state.skipped.map(|(_, reason)| reason);
        }
        Ok(info)
    }

    /// What a folder holds, folders first; `/` lists the workspaces.
    ///
    /// # Errors
    /// As [`Self::info`].
    pub fn list(&self, path: &str) -> Result<Vec<ListEntry>> {
        let entries = self.entries(path);
        let entries = self.note_failure("file.list", Verb::List, path, entries)?;
        self.record("file.list", Verb::List, path, "", Outcome::Allowed, "scope")?;
        Ok(entries)
    }

    fn entries(&self, path: &str) -> Result<Vec<ListEntry>> {
        if path.is_empty() || path == "/" {
            let seen = self.seen_workspaces()?.into_iter();
            let names = seen.map(|workspace| workspace.row.name.clone());
            return Ok(names.map(|name| entry(name.to_string(), format!("/{name}"), true, 0)).collect());
        }
        let (name, below) = self.split(path, "folder")?;
        let absent = || self.absent(path, "folder");
        if !self.is_folder_seen(&name, &below)? {
            return Err(absent());
        }
        let workspace = self.engine.workspace(&name).ok_or_else(absent)?;
        let names = workspace.tree.list(&below)?.ok_or_else(absent)?;
        let base = join_path(&name, &below);
        let base = base.trim_end_matches('/');
        let scope = self.scope(Verb::List);
        let below_rows =
            if scope.is_everything() { Vec::new() } else { self.rows_in(&scope, &workspace, &below)? };
        let is_shown = |named: &crate::store::Named, full: &str| {
            scope.allows(full)
                || named.is_folder
                    && below_rows.iter().any(|row| {
                        let shown = join_path(&name, &row.path);
                        shown.strip_prefix(full).is_some_and(|rest| rest.starts_with('/'))
                    })
        };
        let readable = self.scope(Verb::Read);
        names
            .into_iter()
            .map(|named| (format!("{base}/{}", named.name), named))
            .filter(|(full, named)| is_shown(named, full))
            .map(|(full, named)| {
                let row = if !named.is_folder && readable.allows(&full) {
                    self.engine.catalog.file(workspace.row.id, &below.join(&named.name))?
                } else {
                    None
                };
                Ok(ListEntry {
                    status: row.as_ref().map(|row| status_of(&workspace, row)),
                    reason: row.as_ref().and_then(|row| reason_of(&workspace, row)),
                    ..entry(named.name, full, named.is_folder, named.size_bytes)
                })
            })
            .collect()
    }

    /// Whether a folder is there that may be listed: by a grant on itself, or on anything in it.
    pub(super) fn is_folder_seen(&self, name: &WorkspaceName, below: &RelPath) -> Result<bool> {
        let Some(workspace) = self.engine.workspace(name) else { return Ok(false) };
        if !workspace.tree.is_folder(below)? {
            return Ok(false);
        }
        if below.is_root() {
            return self.sees(&workspace);
        }
        let scope = self.scope(Verb::List);
        Ok(scope.allows(&join_path(name, below))
            || (!scope.is_nothing() && !self.rows_in(&scope, &workspace, below)?.is_empty()))
    }

    /// A folder with everything in it that is not excluded, `depth` folders deep; cut at 5,000 entries.
    ///
    /// # Errors
    /// As [`Self::list`]; [`Error::Invalid`] for a broken pattern.
    pub fn tree(&self, path: &str, depth: usize, exclude: &[String]) -> Result<(Vec<TreeEntry>, bool)> {
        let depth = depth.min(MAX_TREE_DEPTH);
        let excluded = exclusion(exclude)?;
        let mut left = MAX_TREE_ENTRIES + 1;
        let entries = self.subtree(path, depth, &excluded, &mut left);
        let entries = self.note_failure("file.list", Verb::List, path, entries)?;
        self.record("file.list", Verb::List, path, "", Outcome::Allowed, "scope")?;
        Ok((entries, left == 0))
    }

    fn subtree(
        &self,
        path: &str,
        depth: usize,
        excluded: &Gitignore,
        left: &mut usize,
    ) -> Result<Vec<TreeEntry>> {
        let mut tree = Vec::new();
        for entry in self.entries(path)? {
            // Its folders were asked about before it.
            let below = entry.path.trim_start_matches('/').split_once('/').map_or("", |(_, below)| below);
            if !below.is_empty() && excluded.matched(below, entry.kind == "folder").is_ignore() {
                continue;
            }
            if *left == 0 {
                break;
            }
            *left -= 1;
            let children = if entry.kind == "folder" && depth > 1 {
                Some(self.subtree(&entry.path, depth - 1, excluded, left)?)
            } else {
                None
            };
            tree.push(TreeEntry { name: entry.name, kind: entry.kind, size: entry.size, children });
        }
        Ok(tree)
    }

    /// Files whose path matches a glob (`*` within a name, `**` across folders) or holds the text, any case; by workspace and
    /// path. A pattern that begins with `/` is about whole paths, `/workspace/…`, any other one about those below a workspace.
    ///
    /// # Errors
    /// [`Error::Invalid`] for a broken pattern; as [`Self::list`] for the folder.
    pub fn find_files(&self, wanted: &FindRequest<'_>) -> Result<Vec<String>> {
        let glob = globset(wanted.pattern)?;
        let excluded = exclusion(wanted.exclude)?;
        let after = wanted.after.map(split_path).transpose()?;
        let scope = self.scope(Verb::List);
        let (workspaces, folder) = match wanted.below {
            "" | "/" => (self.seen_workspaces()?, RelPath::root()),
            below => {
                let (name, folder) = split_path(below)?;
                (vec![self.seen_workspace(name.as_str())?], folder)
            }
        };
        self.record("file.find", Verb::List, wanted.below, "", Outcome::Allowed, "scope")?;
        let part = wanted.pattern.to_lowercase();
        let is_whole = part.starts_with('/');
        let mut found = Vec::new();
        for workspace in workspaces {
            let name = &workspace.row.name;
            let matching = self.rows_in(&scope, &workspace, &folder)?.into_iter().filter(|row| {
                let path = row.path.as_str();
                let full = join_path(name, &row.path);
                let shown = if is_whole { full.as_str() } else { path };
                let is_meant = match &glob {
                    Some(glob) => glob.matched(shown.trim_start_matches('/'), false).is_whitelist(),
                    None => shown.to_lowercase().contains(&part),
                };
                is_meant
                    && !excluded.matched_path_or_any_parents(path, false).is_ignore()
                    && after.as_ref().is_none_or(|(of, last)| (name, &row.path) > (of, last))
            });
            let room = wanted.limit - found.len();
            found.extend(matching.take(room).map(|row| join_path(name, &row.path)));
            if found.len() >= wanted.limit {
                break;
            }
        }
        Ok(found)
    }

    /// A path's history, newest first, with that of the files that were moved there.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the path never had a version, or may not be read.
    pub fn versions(&self, path: &str) -> Result<Vec<VersionInfo>> {
        let (name, below) = self.split(path, "file")?;
        let absent = || self.absent(path, "file");
        let rule = self.authorize("file.versions", Verb::Read, path, "file")?;
        let workspace = self.engine.workspace(&name).ok_or_else(absent)?;
        let history = self.lineage(&workspace, &below)?;
        if history.is_empty() {
            return self.note_failure("file.versions", Verb::Read, path, Err(absent()));
        }
        self.record("file.versions", Verb::Read, path, "", Outcome::Allowed, &rule)?;
        let (scope, here) = (self.scope(Verb::Read), join_path(&name, &below));
        let show = |(idx, (at, past)): (usize, Lived)| -> Result<VersionInfo> {
            let path = (at != here).then_some(at);
            Ok(VersionInfo { path, ..self.show_past(&scope, idx == 0, past)? })
        };
        history.into_iter().enumerate().map(show).collect()
    }

    fn show_past(&self, scope: &Scope, is_newest: bool, past: journal::Past) -> Result<VersionInfo> {
        let available = match past.version {
            Some(version) => self.engine.blobs.has(version)?,
            None => false,
        };
        // The other end of a move is told to those who may read it; to others the file simply came.
        let other_path = past.other_path.filter(|other| scope.allows(other));
        let is_arrival = past.kind == "file.moved" && other_path.is_none();
        Ok(VersionInfo {
            event: if is_arrival { "file.created".to_owned() } else { past.kind },
            current: is_newest && past.version.is_some(),
            version: past.version,
            path: None,
            size: past.version.map(|_| past.size_bytes),
            available,
            actor: past.actor,
            approved_by: past.approved_by,
            other_path,
            at: rfc3339(past.occurred_ms),
            seq: self.show_seq(past.seq)?,
        })
    }

    /// What changed between two versions of a file, as a unified diff; without `to` up to today's bytes.
    ///
    /// # Errors
    /// As [`Self::read_file`]; [`Error::Invalid`] where one of them is no text.
    pub fn diff(&self, path: &str, from: &str, to: Option<&str>) -> Result<String> {
        let from = self.read_file(path, Some(from), None)?;
        let to = self.read_file(path, to, None)?;
        let text = |file: FileContent| {
            String::from_utf8(file.bytes).map_err(|_| Error::Invalid {
                field: "path",
                found: format!("`{path}`, which is {}", file.mime_type),
                expected: "a text file".to_owned(),
            })
        };
        Ok(unified_diff(&text(from)?, &text(to)?, path))
    }

    /// A snapshot's id or name, a time, or a `seq`.
    pub(super) fn read_as_of(&self, text: &str) -> Result<Seq> {
        if text.starts_with("sn_") {
            let seen = self.seen_snapshot(text, None);
            return Ok(self.note_failure("snapshot.read", Verb::Read, text, seen)?.seq);
        }
        let (seq, has_gap) = match parse_rfc3339(text) {
            Some(at_ms) => (self.seq_at(at_ms)?, self.has_gap_before(Some(at_ms))?),
            None if text.starts_with("sq_") => {
                (self.read_seq("as_of", text, Rounding::Up)?, self.has_gap(Some(text))?)
            }
            None => match self.snapshot_named(text)? {
                Some(seq) => (seq, false),
                None => {
                    return Err(Error::Invalid {
                        field: "as_of",
                        found: format!("`{}`", text.chars().take(60).collect::<String>()),
                        expected:
                            "a `seq`, a snapshot's id or name, or a time such as `2026-12-31T08:00:00Z`"
                                .to_owned(),
                    });
                }
            },
        };
        if has_gap {
            return Err(Error::Invalid {
                field: "as_of",
                found: format!("`{text}`, which lies before what the journal still knows in full"),
                expected: "a newer `seq`, or a snapshot: their states are kept".to_owned(),
            });
        }
        Ok(seq)
    }
}

/// Longer is not looked for a small difference; a larger one that is right as well is shown then.
const DIFF_PATIENCE: std::time::Duration = std::time::Duration::from_secs(2);

/// The difference of two texts, with three lines around each change.
pub fn unified_diff(before: &str, after: &str, path: &str) -> String {
    let diff = similar::TextDiff::configure().timeout(DIFF_PATIENCE).diff_lines(before, after);
    diff.unified_diff().context_radius(3).header(path, path).to_string()
}

fn entry(name: String, path: String, is_folder: bool, size: u64) -> ListEntry {
    let kind = if is_folder { "folder" } else { "file" };
    ListEntry { name, path, kind, size: (!is_folder).then_some(size), status: None, reason: None }
}

/// What is left out, in lines as `.gitignore` has them; any case.
fn exclusion(lines: &[String]) -> Result<Gitignore> {
    let invalid = |line: &str, error: ignore::Error| Error::Invalid {
        field: "excludePatterns",
        found: format!("`{line}`"),
        expected: format!("lines as in a .gitignore, such as `*.log` or `build` ({error})"),
    };
    let mut builder = GitignoreBuilder::new("");
    let every = lines.join(" ");
    builder.case_insensitive(true).map_err(|error| invalid(&every, error))?;
    for line in lines {
        builder.add_line(None, line).map_err(|error| invalid(line, error))?;
    }
    builder.build().map_err(|error| invalid(&every, error))
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
