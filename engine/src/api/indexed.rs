//! What the index has of each file: state by state, with the reason where a file is left out.

use serde::{Deserialize, Serialize};

use super::error::Result;
use super::session::Session;
use super::workspace::OpenWorkspace;
use crate::access::Verb;
use crate::catalog::FileRow;
use crate::id::{RelPath, join_path};
use crate::journal::Outcome;
use crate::store::Skipped;

/// Where a file stands in the index.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum IndexState {
    /// Both arms find it, or the one that there is.
    Indexed,
    /// Its words are found; its vectors are on their way.
    WordsOnly,
    /// Its last change is on its way.
    Pending,
    /// It is left out, for a reason.
    Skipped,
    /// Its workspace is not indexed.
    Off,
}

/// A file, as the index has it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct IndexedFile {
    /// `/<workspace>/<path>`.
    pub path: String,
    /// Where it stands.
    pub state: IndexState,
    /// Why it is left out: a stable code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The same as a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// In bytes.
    pub size: u64,
    /// By content.
    pub mime_type: String,
    /// Natural or programming language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

impl Session {
    /// What the index has of a file, or of every file in a folder and below it, by path, with what can't be a file there; of
    /// one state where that is asked.
    ///
    /// # Errors
    /// As [`Self::info`].
    pub fn indexed_files(&self, path: &str, only: Option<IndexState>) -> Result<Vec<IndexedFile>> {
        let (name, below) = self.split(path, "file or folder")?;
        let workspace = self.seen_workspace(name.as_str())?;
        // A path that is not there, or may not be seen, answers as it does everywhere.
        let is_file = !below.is_root() && self.info(path)?.kind == "file";
        let rows = if is_file {
            self.engine.catalog.file(workspace.row.id, &below)?.into_iter().collect()
        } else {
            self.rows_in(&self.scope(Verb::Read), &workspace, &below)?
        };
        let position = workspace.index.position();
        let has_vectors = self.engine.embedder.is_some();
        let state_of = |row: &FileRow| match &row.state.skipped {
            _ if !workspace.row.intelligence => IndexState::Off,
            Some(_) => IndexState::Skipped,
            None if row.seq > position.lexical() => IndexState::Pending,
            None if has_vectors && row.seq > position.semantic() => IndexState::WordsOnly,
            None => IndexState::Indexed,
        };
        let mut files = Vec::new();
        if !is_file && only.is_none_or(|only| only == IndexState::Skipped) {
            files.extend(self.left_out_of(&workspace, &below).into_iter().map(|skipped| IndexedFile {
                path: format!("/{name}/{}", skipped.path),
                state: IndexState::Skipped,
                code: Some(skipped.code.to_owned()),
                reason: Some(skipped.reason),
                size: 0,
                mime_type: String::new(),
                language: None,
            }));
        }
        for row in rows {
            let state = state_of(&row);
            if only.is_some_and(|only| only != state) {
                continue;
            }
            let (code, reason) = row.state.skipped.unzip();
            files.push(IndexedFile {
                path: join_path(&name, &row.path),
                state,
                code,
                reason,
                size: row.state.size_bytes,
                mime_type: row.state.mime_type,
                language: row.state.language,
            });
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        self.record("file.index", Verb::Read, path, "", Outcome::Allowed, "scope")?;
        Ok(files)
    }

    /// What stands in a folder and below it and can't be a file here: links, pipes, names that can't be shown as they are.
    pub(super) fn left_out_of(&self, workspace: &OpenWorkspace, folder: &RelPath) -> Vec<Skipped> {
        let scope = self.scope(Verb::Read);
        let is_in = |skipped: &&Skipped| {
            let rest = skipped.path.strip_prefix(folder.as_str());
            let is_below = folder.is_root() || rest.is_some_and(|rest| rest.starts_with('/'));
            // What could not even be named is told in the log alone: its reason names places of this machine.
            is_below
                && !skipped.path.is_empty()
                && scope.allows(&format!("/{}/{}", workspace.row.name, skipped.path))
        };
        workspace.left_out().iter().filter(is_in).cloned().collect()
    }
}
