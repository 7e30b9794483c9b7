//! Where the text of a citation stands once it no longer stands under its path.

use super::error::Result;
use super::session::Session;
use super::workspace::OpenWorkspace;
use crate::id::{RelPath, Seq, VersionId, WorkspaceName, join_path, split_path};
use crate::journal;
use crate::search::Citation;
use crate::store::StoreError;

/// Other files of the same bytes that are read, at most.
const MAX_COPIES: usize = 16;
/// Moves of a file that are followed, at most.
const MAX_MOVES: usize = 32;

impl Session {
    /// Where a text stands today, of what the asker may read: where its file was moved to, or else another file of the same
    /// bytes in its workspace. What may not be read changes nothing.
    pub(super) fn followed(
        &self,
        workspace: &OpenWorkspace,
        path: &RelPath,
        citation: &Citation,
    ) -> Result<Option<Citation>> {
        if let Some((name, path)) = self.moved_to(workspace, path, citation.version)?
            && let Some(found) = self.found_in(&name, &path, citation)?
        {
            return Ok(Some(found));
        }
        let name = &workspace.row.name;
        let copies = self.engine.catalog.files_of_version(workspace.row.id, citation.version)?;
        let copies = copies.into_iter().filter(|row| self.readable(name, &row.path).is_some());
        for row in copies.take(MAX_COPIES) {
            if let Some(found) = self.found_in(name, &row.path, citation)? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }

    /// Where a file lies that had a version at a path; `None` where it did not move, is gone, or came by a path that may not be
    /// read.
    fn moved_to(
        &self,
        workspace: &OpenWorkspace,
        path: &RelPath,
        version: VersionId,
    ) -> Result<Option<(WorkspaceName, RelPath)>> {
        let catalog = &self.engine.catalog;
        let mut past = journal::history(catalog, workspace.row.id, path)?;
        let had_it = past.iter().find(|entry| entry.version == Some(version));
        let mut since = had_it.map_or(Seq(0), |entry| entry.seq);
        let mut found = None;
        for _ in 0..MAX_MOVES {
            let is_end = |entry: &&journal::Past| entry.seq > since && entry.version.is_none();
            let Some(end) = past.iter().rev().find(is_end) else { return Ok(found) };
            let Some(to) = &end.other_path else { return Ok(None) };
            let Ok((name, path)) = split_path(to) else { return Ok(None) };
            let Some(next) = self.readable(&name, &path) else { return Ok(None) };
            since = end.seq;
            past = journal::history(catalog, next.row.id, &path)?;
            found = Some((name, path));
        }
        Ok(found)
    }

    /// The place of a citation's text in another file, where it may be read and says it.
    fn found_in(
        &self,
        name: &WorkspaceName,
        path: &RelPath,
        citation: &Citation,
    ) -> Result<Option<Citation>> {
        let Some(workspace) = self.readable(name, path) else { return Ok(None) };
        let read = match workspace.tree.read(path, self.engine.max_file_bytes) {
            // It has other bytes by now.
            Err(StoreError::TooLarge { .. }) => None,
            read => read?,
        };
        let Some((bytes, _)) = read else { return Ok(None) };
        let version = VersionId::of(&bytes);
        let document = self.read_text(path, version, &bytes)?;
        let now = document.and_then(|document| citation.reanchor(version, &document.text, &document.located));
        Ok(now.map(|now| Citation { workspace: name.to_string(), path: join_path(name, path), ..now }))
    }
}
