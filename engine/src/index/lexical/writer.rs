use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, RwLock};

use tantivy::directory::error::OpenReadError;
use tantivy::indexer::LogMergePolicy;
use tantivy::{Index, IndexReader, IndexWriter, ReloadPolicy, TantivyDocument, Term};

use super::damage::{guarded, verify};
use super::reader::Searcher;
use super::{Fields, open_or_create};
use crate::id::FileId;
use crate::index::graph::GRAPH_MIN_ROWS;
use crate::index::{Fingerprint, IndexError, NewChunk, Position};

/// Memory for chunks on their way to disk.
const WRITER_MEMORY_BYTES: usize = 96 << 20;
/// A segment with more dead chunks than this share is rewritten.
const DEAD_SHARE_BEFORE_MERGE: f32 = 0.25;

/// The open index of one workspace: one writer, and the newest generation for readers.
pub struct WorkspaceIndex {
    folder: PathBuf,
    fields: Fields,
    writer: Mutex<IndexWriter>,
    reader: IndexReader,
    current: RwLock<Arc<Searcher>>,
}

/// What became of an index that is not what would be built now, and why it is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stale {
    /// An empty one has its place.
    Replaced(String),
    /// It is as it was.
    Left(String),
}

impl WorkspaceIndex {
    /// Opens the index in `folder`; one that was built with another fingerprint, or is damaged, is thrown away
    /// and an empty one takes its place. The second value says why, when that happened.
    ///
    /// # Errors
    /// [`IndexError`] where the folder can't be used.
    pub fn open(folder: &Path, fingerprint: &Fingerprint) -> Result<(Self, Option<String>), IndexError> {
        let (index, stale) = Self::open_or_leave(folder, fingerprint, false)?;
        Ok((index, stale.map(|(Stale::Replaced(why) | Stale::Left(why))| why)))
    }

    /// As [`Self::open`], for who does not fill it: an index that can be read stays, whatever it was built with.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_as_it_is(
        folder: &Path,
        fingerprint: &Fingerprint,
    ) -> Result<(Self, Option<Stale>), IndexError> {
        Self::open_or_leave(folder, fingerprint, true)
    }

    fn open_or_leave(
        folder: &Path,
        fingerprint: &Fingerprint,
        leaves: bool,
    ) -> Result<(Self, Option<Stale>), IndexError> {
        let in_folder = |source| IndexError::Folder { path: folder.to_owned(), source };
        std::fs::create_dir_all(folder).map_err(in_folder)?;
        let reason = match guarded("index", || Self::open_existing(folder, fingerprint)) {
            Ok(index) if index.position().fingerprint.does_for(fingerprint) => return Ok((index, None)),
            Ok(index) => {
                let found = index.position().fingerprint;
                let is_new = found == Fingerprint { format: 0, ..found.clone() };
                if leaves && !is_new {
                    return Ok((index, Some(Stale::Left(difference(&found, fingerprint)))));
                }
                (!is_new).then(|| difference(&found, fingerprint))
            }
            Err(error) => Some(error.to_string()),
        };
        std::fs::remove_dir_all(folder).map_err(in_folder)?;
        std::fs::create_dir_all(folder).map_err(in_folder)?;
        let index = Self::open_existing(folder, fingerprint)?;
        index.commit(Position {
            generation: 1,
            lexical_seq: 0,
            semantic_seq: 0,
            fingerprint: fingerprint.clone(),
        })?;
        Ok((index, reason.map(Stale::Replaced)))
    }

    fn open_existing(folder: &Path, fingerprint: &Fingerprint) -> Result<Self, IndexError> {
        let (index, fields) = open_or_create(folder, fingerprint.dim)?;
        let position = read_position(&index)?;
        verify(&index)?;
        let writer: IndexWriter = index.writer_with_num_threads(1, WRITER_MEMORY_BYTES)?;
        let mut merging = LogMergePolicy::default();
        merging.set_del_docs_ratio_before_merge(DEAD_SHARE_BEFORE_MERGE);
        // What has no graph yet is merged with its like, whatever their sizes: until then each of its rows is looked at.
        merging.set_min_layer_size(GRAPH_MIN_ROWS as u32);
        writer.set_merge_policy(Box::new(merging));
        let reader = index.reader_builder().reload_policy(ReloadPolicy::Manual).try_into()?;
        let searcher = newest(&reader, fields, &position, None)?;
        Ok(Self {
            folder: folder.to_owned(),
            fields,
            writer: Mutex::new(writer),
            reader,
            current: RwLock::new(Arc::new(searcher)),
        })
    }

    /// The newest published generation.
    pub fn searcher(&self) -> Arc<Searcher> {
        Arc::clone(&self.current.read().unwrap_or_else(|poisoned| poisoned.into_inner()))
    }

    /// How far the newest generation has read the journal.
    pub fn position(&self) -> Position {
        self.searcher().position().clone()
    }

    /// Where the files are.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Replaces all chunks of each file by the ones given; a file with none is gone. Visible after [`Self::commit`].
    ///
    /// # Errors
    /// [`IndexError`] for a vector of the wrong length or a refusal of the disk.
    pub fn replace(&self, file: FileId, chunks: Vec<NewChunk>) -> Result<(), IndexError> {
        let dim = self.position().fingerprint.dim;
        let mut documents = Vec::with_capacity(chunks.len());
        for chunk in chunks {
            documents.push(self.document(chunk, dim)?);
        }
        let writer = self.writer.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        writer.delete_term(Term::from_field_u64(self.fields.file, file.0));
        for document in documents {
            writer.add_document(document)?;
        }
        Ok(())
    }

    fn document(&self, chunk: NewChunk, dim: usize) -> Result<TantivyDocument, IndexError> {
        let mut document = TantivyDocument::new();
        document.add_u64(self.fields.file, chunk.file.0);
        document.add_u64(self.fields.ord, u64::from(chunk.ordinal));
        document.add_u64(self.fields.place, place_of(&chunk.record.path));
        document.add_text(self.fields.body, &chunk.indexed_text);
        let record =
            serde_json::to_vec(&chunk.record).map_err(|error| IndexError::Engine(Box::new(error)))?;
        document.add_bytes(self.fields.record, &record);
        if let Some(vector) = chunk.vector {
            if vector.len() != dim {
                return Err(IndexError::Dimension { expected: dim, found: vector.len() });
            }
            let bytes: Vec<u8> = vector.iter().flat_map(|value| value.to_le_bytes()).collect();
            document.add_custom(self.fields.vector, &bytes);
        }
        Ok(document)
    }

    /// Publishes everything since the last commit as one generation, both arms at once, and makes it durable.
    ///
    /// # Errors
    /// [`IndexError`] where the disk refuses; the old generation stays.
    pub fn commit(&self, position: Position) -> Result<(), IndexError> {
        let mut writer = self.writer.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let payload =
            serde_json::to_string(&position).map_err(|error| IndexError::Engine(Box::new(error)))?;
        let mut prepared = writer.prepare_commit()?;
        prepared.set_payload(&payload);
        prepared.commit()?;
        drop(writer);
        self.sync_folder()?;
        self.refresh_as(position)
    }

    /// tantivy renames `meta.json` into place without syncing the folder afterwards; we do.
    fn sync_folder(&self) -> Result<(), IndexError> {
        let in_folder = |source| IndexError::Folder { path: self.folder.clone(), source };
        std::fs::File::open(&self.folder).and_then(|folder| folder.sync_all()).map_err(in_folder)
    }

    /// Takes up what background merges have rewritten; changes nothing that a query can see.
    ///
    /// # Errors
    /// [`IndexError`] where the files can't be read.
    pub fn refresh(&self) -> Result<(), IndexError> {
        self.refresh_as(self.position())
    }

    fn refresh_as(&self, position: Position) -> Result<(), IndexError> {
        self.reader.reload()?;
        let searcher = Arc::new(newest(&self.reader, self.fields, &position, Some(&self.searcher()))?);
        *self.current.write().unwrap_or_else(|poisoned| poisoned.into_inner()) = searcher;
        Ok(())
    }

    /// Rewrites all segments as one, without the dead chunks.
    ///
    /// # Errors
    /// [`IndexError`] where the disk refuses; nothing is lost then.
    pub fn optimize(&self) -> Result<(), IndexError> {
        let mut writer = self.writer.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let mut tries = 0;
        loop {
            let segments = writer.index().searchable_segment_ids()?;
            if segments.len() < 2 && !self.searcher().has_dead_chunks() {
                break;
            }
            match writer.merge(&segments).wait() {
                Ok(_) => break,
                // A merge of the background took some of them away first.
                Err(tantivy::TantivyError::InvalidArgument(_)) if tries < MAX_MERGE_TRIES => tries += 1,
                Err(error) => return Err(error.into()),
            }
        }
        drop(writer);
        self.refresh()
    }

    /// Waits for the background merges and ends the writer.
    ///
    /// # Errors
    /// [`IndexError`] where a merge failed; the committed generation stays.
    pub fn close(self) -> Result<(), IndexError> {
        let writer = self.writer.into_inner().unwrap_or_else(|poisoned| poisoned.into_inner());
        Ok(writer.wait_merging_threads()?)
    }

    /// The files whose checksums don't hold.
    ///
    /// # Errors
    /// [`IndexError`] where they can't be read at all.
    pub fn damaged_files(&self) -> Result<Vec<String>, IndexError> {
        let damaged = self.reader.searcher().index().validate_checksum()?;
        Ok(damaged.into_iter().map(|path| path.display().to_string()).collect())
    }
}

/// How often all is merged anew because a merge of the background came in between.
const MAX_MERGE_TRIES: usize = 10;

/// How often a generation is loaded anew because a merge has taken its files away meanwhile.
const MAX_RELOADS: usize = 20;

/// Opens what the reader has loaded. A merge that ends between the loading and the opening of a segment's vectors removes
/// them; the generation after it has the same chunks.
fn newest(
    reader: &IndexReader,
    fields: Fields,
    position: &Position,
    before: Option<&Searcher>,
) -> Result<Searcher, IndexError> {
    let mut reloads = 0;
    loop {
        match guarded("segment", || Searcher::open(reader, fields, position.clone(), before)) {
            Err(error) if is_file_gone(&error) && reloads < MAX_RELOADS => {
                reloads += 1;
                reader.reload()?;
            }
            opened => return opened,
        }
    }
}

fn is_file_gone(error: &IndexError) -> bool {
    let IndexError::Engine(cause) = error else { return false };
    matches!(
        cause.downcast_ref::<tantivy::TantivyError>(),
        Some(tantivy::TantivyError::OpenReadError(OpenReadError::FileDoesNotExist(_)))
    )
}

/// What an index was built with that is no more, and what holds instead, in words.
fn difference(found: &Fingerprint, now: &Fingerprint) -> String {
    let number = |name: &str, found: u32, now: u32| {
        (found != now).then(|| (format!("{name} {found}"), format!("{name} {now}")))
    };
    let model = |print: &Fingerprint| match &print.model {
        Some(model) => format!("the model {model} ({} numbers in a vector)", print.dim),
        None => "no model".to_owned(),
    };
    let is_model_other = (&found.model, found.dim) != (&now.model, now.dim);
    let parts = [
        number("index format", found.format, now.format),
        number("analyzer", found.analyzer, now.analyzer),
        number("extractor", found.extractor, now.extractor),
        number("chunker", found.chunker, now.chunker),
        is_model_other.then(|| (model(found), model(now))),
    ];
    let (before, after): (Vec<String>, Vec<String>) = parts.into_iter().flatten().unzip();
    format!("it was built with {}; now it is built with {}", before.join(" and "), after.join(" and "))
}

/// A number that a path has in every home and at every time, unlike the number that the catalog gave its file.
fn place_of(path: &str) -> u64 {
    let hash = blake3::hash(path.as_bytes());
    let mut first = [0; 8];
    first.copy_from_slice(&hash.as_bytes()[..8]);
    u64::from_le_bytes(first)
}

/// What the last commit says of itself; a fresh index has a fingerprint that equals no real one.
pub(super) fn read_position(index: &Index) -> Result<Position, IndexError> {
    let empty = Position {
        generation: 0,
        lexical_seq: 0,
        semantic_seq: 0,
        fingerprint: Fingerprint { format: 0, analyzer: 0, extractor: 0, chunker: 0, model: None, dim: 0 },
    };
    match index.load_metas()?.payload {
        None => Ok(empty),
        Some(payload) => serde_json::from_str(&payload).map_err(|error| IndexError::Damaged {
            file: "meta.json".to_owned(),
            what: format!("has a payload that can't be read: {error}"),
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn why_an_index_is_built_anew_is_said_in_words() {
        let found = Fingerprint { format: 3, analyzer: 2, extractor: 5, chunker: 3, model: None, dim: 0 };
        let newer = Fingerprint { analyzer: 3, chunker: 4, ..found.clone() };
        assert_eq!(
            difference(&found, &newer),
            "it was built with analyzer 2 and chunker 3; now it is built with analyzer 3 and chunker 4"
        );
        let modelled = Fingerprint { model: Some("mini@1a2b".to_owned()), dim: 384, ..found.clone() };
        assert_eq!(
            difference(&found, &modelled),
            "it was built with no model; now it is built with the model mini@1a2b (384 numbers in a vector)"
        );
    }
}
