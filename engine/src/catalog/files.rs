use rusqlite::{Connection, OptionalExtension, Row, params};

use super::{Catalog, CatalogError, Tx};
use crate::id::{FileId, RelPath, Seq, VersionId, WorkspaceId};

/// What was last seen of a file in the plain tree.
#[derive(Debug, Clone, PartialEq)]
pub struct FileRow {
    /// Its number.
    pub id: FileId,
    /// Below the workspace's root.
    pub path: RelPath,
    /// Its bytes, its type, and whether it is indexed.
    pub state: FileState,
    /// The change that made it so.
    pub seq: Seq,
}

/// The state of a file's bytes.
#[derive(Debug, Clone, PartialEq)]
pub struct FileState {
    /// Hash of the bytes.
    pub version: VersionId,
    /// Length in bytes.
    pub size_bytes: u64,
    /// Modification time as the file system gives it, in nanoseconds since 1970.
    pub mtime_ns: i64,
    /// By content, such as `text/markdown`.
    pub mime_type: String,
    /// Natural or programming language, where it could be told.
    pub language: Option<String>,
    /// Why the file is not indexed: a stable code and a sentence.
    pub skipped: Option<(String, String)>,
    /// What was lost or guessed while it was read, a line each.
    pub notes: String,
    /// Version of the extractor that read it; [`UNREAD`] where none did yet.
    pub extractor: u32,
    /// Whether it was last written through Waypost: then it is kept even where an ignore file names it.
    pub explicit: bool,
    /// Who let these bytes through a gate; `None` where they passed none.
    pub approved_by: Option<String>,
}

/// The extractor of files that wait to be read.
pub const UNREAD: u32 = 0;

/// What reading a file came to, for [`Tx::note_reading`].
#[derive(Debug, Clone, PartialEq)]
pub struct ReadingNote {
    /// The file.
    pub file: FileId,
    /// The bytes that were read.
    pub version: VersionId,
    /// See [`FileState::mime_type`].
    pub mime_type: String,
    /// See [`FileState::language`].
    pub language: Option<String>,
    /// See [`FileState::skipped`].
    pub skipped: Option<(String, String)>,
    /// See [`FileState::notes`].
    pub notes: String,
    /// See [`FileState::extractor`].
    pub extractor: u32,
}

/// Which files of a workspace; all conditions hold together.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct FileFilter {
    /// The file itself, or a folder above it.
    pub path_prefix: Option<RelPath>,
    /// Exact, or a family such as `text/*`.
    pub mime_type: Option<String>,
    /// Exact.
    pub language: Option<String>,
    /// The name's ending, without its dot.
    pub extension: Option<String>,
    /// A part of the path, any case.
    pub path_contains: Option<String>,
    /// Milliseconds since 1970, exclusive.
    pub modified_after_ms: Option<i64>,
    /// Milliseconds since 1970, exclusive.
    pub modified_before_ms: Option<i64>,
    /// Only what passed a gate.
    pub approved: bool,
}

impl FileFilter {
    /// Whether every file passes.
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Whether a file passes; the same conditions as the catalog's own query has.
    pub fn matches(&self, row: &FileRow) -> bool {
        let state = &row.state;
        let path = row.path.as_str().to_lowercase();
        let is_mime = |wanted: &String| match wanted.strip_suffix("/*") {
            Some(family) => state.mime_type.split('/').next() == Some(family),
            None => state.mime_type == *wanted,
        };
        self.path_prefix.as_ref().is_none_or(|prefix| row.path.is_below(prefix))
            && self.mime_type.as_ref().is_none_or(is_mime)
            && self.language.as_ref().is_none_or(|language| state.language.as_ref() == Some(language))
            && self.extension.as_ref().is_none_or(|end| path.ends_with(&format!(".{}", end.to_lowercase())))
            && self.path_contains.as_ref().is_none_or(|part| path.contains(&part.to_lowercase()))
            && self.modified_after_ms.is_none_or(|ms| state.mtime_ns > ms.saturating_mul(1_000_000))
            && self.modified_before_ms.is_none_or(|ms| state.mtime_ns < ms.saturating_mul(1_000_000))
            && (!self.approved || state.approved_by.is_some())
    }
}

/// How many files a workspace holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct FileStats {
    /// Files whose text is indexed.
    pub indexed: u64,
    /// Files that are skipped with a reason.
    pub skipped: u64,
    /// Bytes of all files.
    pub size_bytes: u64,
}

const COLUMNS: &str = "id, path, version, size_bytes, mtime_ns, mime_type, language, skip_code, skip_reason, seq, explicit, approved_by, notes, extractor";

impl Catalog {
    /// The files below a folder, by path.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn files_below(
        &self,
        workspace: WorkspaceId,
        folder: &RelPath,
    ) -> Result<Vec<FileRow>, CatalogError> {
        if folder.is_root() {
            return self.files(workspace);
        }
        self.read(|sql| {
            // `0` is the character after `/`.
            let query = format!(
                "SELECT {COLUMNS} FROM files WHERE workspace = ?1 AND path > ?2 || '/' AND path < ?2 || '0'
                 ORDER BY path"
            );
            let mut statement = sql.prepare_cached(&query)?;
            let rows = statement.query_map(params![workspace.0, folder.as_str()], read_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// The files that hold these bytes today, by path.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn files_of_version(
        &self,
        workspace: WorkspaceId,
        version: VersionId,
    ) -> Result<Vec<FileRow>, CatalogError> {
        self.read(|sql| {
            let query =
                format!("SELECT {COLUMNS} FROM files WHERE workspace = ?1 AND version = ?2 ORDER BY path");
            let mut statement = sql.prepare_cached(&query)?;
            let rows = statement.query_map(params![workspace.0, &version.as_bytes()[..]], read_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Whether there is a file below a folder.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn has_files_below(&self, workspace: WorkspaceId, folder: &RelPath) -> Result<bool, CatalogError> {
        self.read(|sql| {
            let mut statement = sql.prepare_cached(
                "SELECT EXISTS (SELECT 1 FROM files
                 WHERE workspace = ?1 AND path > ?2 || '/' AND path < ?2 || '0')",
            )?;
            Ok(statement.query_row(params![workspace.0, folder.as_str()], |row| row.get(0))?)
        })
    }

    /// Number and path of each file whose number is above `after`, ascending: files are numbered as they come, and a
    /// number keeps its path.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn paths_after(
        &self,
        workspace: WorkspaceId,
        after: FileId,
    ) -> Result<Vec<(FileId, String)>, CatalogError> {
        self.read(|sql| {
            let mut statement = sql
                .prepare_cached("SELECT id, path FROM files WHERE workspace = ?1 AND id > ?2 ORDER BY id")?;
            let rows = statement.query_map(params![workspace.0, after.0 as i64], |row| {
                Ok((FileId(row.get::<_, i64>(0)? as u64), row.get(1)?))
            })?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// All files of a workspace, by path.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn files(&self, workspace: WorkspaceId) -> Result<Vec<FileRow>, CatalogError> {
        self.read(|sql| {
            let query = format!("SELECT {COLUMNS} FROM files WHERE workspace = ?1 ORDER BY path");
            let mut statement = sql.prepare_cached(&query)?;
            let rows = statement.query_map([workspace.0], read_row)?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// The file at a path.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn file(&self, workspace: WorkspaceId, path: &RelPath) -> Result<Option<FileRow>, CatalogError> {
        self.read(|sql| find(sql, workspace, path))
    }

    /// As [`Self::file`] for each of several paths, in their order.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn files_at(&self, wanted: &[(WorkspaceId, RelPath)]) -> Result<Vec<Option<FileRow>>, CatalogError> {
        self.read_at_once(|sql| wanted.iter().map(|(workspace, path)| find(sql, *workspace, path)).collect())
    }

    /// The file of a number.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn file_by_id(&self, file: FileId) -> Result<Option<FileRow>, CatalogError> {
        self.read(|sql| {
            let query = format!("SELECT {COLUMNS} FROM files WHERE id = ?1");
            Ok(sql.prepare_cached(&query)?.query_row([file.0 as i64], read_row).optional()?)
        })
    }

    /// The numbers of the files that pass a filter, ascending.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn file_ids(&self, workspace: WorkspaceId, filter: &FileFilter) -> Result<Vec<FileId>, CatalogError> {
        let prefix = filter.path_prefix.as_ref().map(|prefix| prefix.as_str().to_owned()).unwrap_or_default();
        let (mime, mime_family) = match filter.mime_type.as_deref() {
            Some(text) => match text.strip_suffix("/*") {
                Some(family) => (None, Some(format!("{family}/"))),
                None => (Some(text.to_owned()), None),
            },
            None => (None, None),
        };
        self.read(|sql| {
            let mut statement = sql.prepare_cached(
                "SELECT id FROM files WHERE workspace = ?1
                 AND (?2 = '' OR path = ?2 OR substr(path, 1, length(?2) + 1) = ?2 || '/')
                 AND (?3 IS NULL OR mime_type = ?3)
                 AND (?4 IS NULL OR substr(mime_type, 1, length(?4)) = ?4)
                 AND (?5 IS NULL OR language = ?5)
                 AND (?6 IS NULL OR lower(substr(path, -length(?6) - 1)) = '.' || lower(?6))
                 AND (?7 IS NULL OR instr(lower(path), lower(?7)) > 0)
                 AND (?8 IS NULL OR mtime_ns > ?8)
                 AND (?9 IS NULL OR mtime_ns < ?9)
                 AND (NOT ?10 OR approved_by IS NOT NULL)
                 ORDER BY id",
            )?;
            let to_ns = |ms: i64| ms.saturating_mul(1_000_000);
            let rows = statement.query_map(
                params![
                    workspace.0,
                    prefix,
                    mime,
                    mime_family,
                    filter.language,
                    filter.extension,
                    filter.path_contains,
                    filter.modified_after_ms.map(to_ns),
                    filter.modified_before_ms.map(to_ns),
                    filter.approved,
                ],
                |row| Ok(FileId(row.get::<_, i64>(0)? as u64)),
            )?;
            Ok(rows.collect::<Result<_, _>>()?)
        })
    }

    /// Counts over a workspace.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn file_stats(&self, workspace: WorkspaceId) -> Result<FileStats, CatalogError> {
        self.read(|sql| {
            Ok(sql.query_row(
                "SELECT count(*) FILTER (WHERE skip_code IS NULL), count(*) FILTER (WHERE skip_code IS NOT NULL),
                        coalesce(sum(size_bytes), 0) FROM files WHERE workspace = ?1",
                [workspace.0],
                |row| {
                    Ok(FileStats {
                        indexed: row.get::<_, i64>(0)? as u64,
                        skipped: row.get::<_, i64>(1)? as u64,
                        size_bytes: row.get::<_, i64>(2)? as u64,
                    })
                },
            )?)
        })
    }
}

impl Tx<'_> {
    /// The file at a path, as this transaction sees it.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn file(&self, workspace: WorkspaceId, path: &RelPath) -> Result<Option<FileRow>, CatalogError> {
        find(self.sql(), workspace, path)
    }

    /// A file of the workspace whose path, or that of a folder above it, differs from this one only in case or form.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn name_clash(
        &self,
        workspace: WorkspaceId,
        path: &RelPath,
    ) -> Result<Option<FileRow>, CatalogError> {
        let query = clash_query();
        let params = params![workspace.0, path.key(), path.as_str()];
        Ok(self.sql().prepare_cached(&query)?.query_row(params, read_row).optional()?)
    }

    /// Notes the state of a path's file, and gives the number that the path has or gets.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn put_file(
        &self,
        workspace: WorkspaceId,
        path: &RelPath,
        state: &FileState,
        seq: Seq,
    ) -> Result<FileId, CatalogError> {
        let (skip_code, skip_reason) = match &state.skipped {
            Some((code, reason)) => (Some(code), Some(reason)),
            None => (None, None),
        };
        let id: i64 = self
            .sql()
            .prepare_cached(
                "INSERT INTO files (workspace, path, version, size_bytes, mtime_ns, mime_type, language,
                                    skip_code, skip_reason, seq, explicit, approved_by, key, notes, extractor)
                 VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14, ?15)
                 ON CONFLICT (workspace, path) DO UPDATE SET version = ?3, size_bytes = ?4, mtime_ns = ?5,
                     mime_type = ?6, language = ?7, skip_code = ?8, skip_reason = ?9, seq = ?10,
                     explicit = ?11, approved_by = ?12, notes = ?14, extractor = ?15
                 RETURNING id",
            )?
            .query_row(
                params![
                    workspace.0,
                    path.as_str(),
                    &state.version.as_bytes()[..],
                    state.size_bytes as i64,
                    state.mtime_ns,
                    state.mime_type,
                    state.language,
                    skip_code,
                    skip_reason,
                    seq.0 as i64,
                    state.explicit,
                    state.approved_by,
                    path.key(),
                    state.notes,
                    state.extractor,
                ],
                |row| row.get(0),
            )?;
        Ok(FileId(id as u64))
    }

    /// Notes a new modification time of unchanged bytes: no event, no re-indexing.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn touch_file(&self, file: FileId, mtime_ns: i64) -> Result<(), CatalogError> {
        self.sql()
            .prepare_cached("UPDATE files SET mtime_ns = ?2 WHERE id = ?1")?
            .execute(params![file.0 as i64, mtime_ns])?;
        Ok(())
    }

    /// Notes what reading a file came to, if it still has the bytes that were read: no event, for nothing has changed.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn note_reading(&self, note: &ReadingNote) -> Result<(), CatalogError> {
        let (skip_code, skip_reason) = note.skipped.clone().unzip();
        self.sql()
            .prepare_cached(
                "UPDATE files SET mime_type = ?3, language = ?4, skip_code = ?5, skip_reason = ?6, notes = ?7,
                     extractor = ?8 WHERE id = ?1 AND version = ?2",
            )?
            .execute(params![
                note.file.0 as i64,
                &note.version.as_bytes()[..],
                note.mime_type,
                note.language,
                skip_code,
                skip_reason,
                note.notes,
                note.extractor,
            ])?;
        Ok(())
    }

    /// Forgets a file that is gone.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn remove_file(&self, file: FileId) -> Result<(), CatalogError> {
        self.sql().prepare_cached("DELETE FROM files WHERE id = ?1")?.execute([file.0 as i64])?;
        Ok(())
    }
}

/// Fills in the keys of rows that an older format wrote without one.
pub(super) fn fill_keys(sql: &Connection) -> Result<(), CatalogError> {
    let mut bare = sql.prepare("SELECT id, path FROM files WHERE key = ''")?;
    let rows: Vec<(i64, String)> =
        bare.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<Result<_, _>>()?;
    let mut fill = sql.prepare("UPDATE files SET key = ?2 WHERE id = ?1")?;
    for (id, path) in rows {
        fill.execute(params![id, crate::id::fold(&path)])?;
    }
    Ok(())
}

/// Two questions, for one with an `OR` in it looks at all files of the workspace.
fn clash_query() -> String {
    format!(
        "SELECT {COLUMNS} FROM files WHERE workspace = ?1 AND key = ?2 AND path <> ?3
         UNION ALL
         SELECT {COLUMNS} FROM files WHERE workspace = ?1 AND key > ?2 || '/' AND key < ?2 || '0' AND path <> ?3
         LIMIT 1"
    )
}

fn find(sql: &Connection, workspace: WorkspaceId, path: &RelPath) -> Result<Option<FileRow>, CatalogError> {
    let query = format!("SELECT {COLUMNS} FROM files WHERE workspace = ?1 AND path = ?2");
    Ok(sql.prepare_cached(&query)?.query_row(params![workspace.0, path.as_str()], read_row).optional()?)
}

fn read_row(row: &Row<'_>) -> Result<FileRow, rusqlite::Error> {
    use rusqlite::types::Type;
    let path: String = row.get(1)?;
    let path = RelPath::new(&path)
        .map_err(|error| rusqlite::Error::FromSqlConversionFailure(1, Type::Text, Box::new(error)))?;
    let code: Option<String> = row.get(7)?;
    let reason: Option<String> = row.get(8)?;
    Ok(FileRow {
        id: FileId(row.get::<_, i64>(0)? as u64),
        path,
        state: FileState {
            version: read_version(row, 2)?,
            size_bytes: row.get::<_, i64>(3)? as u64,
            mtime_ns: row.get(4)?,
            mime_type: row.get(5)?,
            language: row.get(6)?,
            skipped: code.map(|code| (code, reason.unwrap_or_default())),
            explicit: row.get(10)?,
            approved_by: row.get(11)?,
            notes: row.get(12)?,
            extractor: row.get(13)?,
        },
        seq: Seq(row.get::<_, i64>(9)? as u64),
    })
}

fn read_version(row: &Row<'_>, column: usize) -> Result<VersionId, rusqlite::Error> {
    let bytes: [u8; 32] = row.get(column)?;
    Ok(VersionId::from_bytes(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whether_a_name_is_taken_is_not_asked_of_all_files() {
        let folder = tempfile::tempdir().unwrap();
        let catalog = Catalog::open(&folder.path().join("catalog.db")).unwrap();
        let steps = catalog
            .read(|sql| {
                let mut plan = sql.prepare(&format!("EXPLAIN QUERY PLAN {}", clash_query()))?;
                let steps = plan.query_map(params![1, "k", "p"], |row| row.get::<_, String>(3))?;
                Ok::<_, CatalogError>(steps.collect::<Result<Vec<_>, _>>()?)
            })
            .unwrap();
        let looks: Vec<&String> =
            steps.iter().filter(|step| step.contains("SEARCH") || step.contains("SCAN")).collect();
        assert!(
            looks.len() == 2 && looks.iter().all(|look| look.contains("workspace=? AND key")),
            "{steps:?}"
        );
    }
}
