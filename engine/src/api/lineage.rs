//! A file's history over its moves.

use std::collections::BTreeMap;

use super::error::Result;
use super::session::Session;
use super::workspace::OpenWorkspace;
use crate::access::Verb;
use crate::id::{RelPath, Seq, VersionId, join_path, split_path};
use crate::journal::{self, Past};

/// Something that happened to a file, and the path that it had then.
pub(super) type Lived = (String, Past);

impl Session {
    /// What happened to a path, and to the files that were moved there, under the names that they had before; newest first.
    /// A name that may not be read tells nothing: to its asker the history begins where the file came from there.
    pub(super) fn lineage(&self, workspace: &OpenWorkspace, path: &RelPath) -> Result<Vec<Lived>> {
        let catalog = &self.engine.catalog;
        let scope = self.scope(Verb::Read);
        let here = join_path(&workspace.row.name, path);
        let own = journal::history(catalog, workspace.row.id, path)?;
        let mut waiting: Vec<Lived> = own.into_iter().map(|past| (here.clone(), past)).collect();
        let mut found: BTreeMap<Seq, Lived> = BTreeMap::new();
        while let Some((at, past)) = waiting.pop() {
            let (seq, came) = (past.seq, past.version.is_some());
            let from = past.other_path.clone().filter(|from| came && *from != here && scope.allows(from));
            // Names that a file had twice lead to each other.
            if found.insert(seq, (at, past)).is_some() {
                continue;
            }
            let Some(from) = from else { continue };
            let (name, below) = split_path(&from)?;
            if let Some(source) = self.engine.workspace(&name) {
                let life = journal::life_before(catalog, source.row.id, &below, seq)?;
                waiting.extend(life.into_iter().map(|past| (from.clone(), past)));
            }
        }
        Ok(found.into_values().rev().collect())
    }

    /// Whether a path, or the file there under a name that it had before and that may be read, ever had these bytes.
    pub(super) fn had_version(
        &self,
        workspace: &OpenWorkspace,
        path: &RelPath,
        version: VersionId,
    ) -> Result<bool> {
        let had = |(_, past): &Lived| past.version == Some(version);
        Ok(self.was_here(workspace, path, version)? || self.lineage(workspace, path)?.iter().any(had))
    }
}
