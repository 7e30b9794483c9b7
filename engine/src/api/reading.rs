//! How far the reading of a file is, and what it came to.

use std::path::Path;

use serde::Serialize;

use super::engine::Engine;
use super::error::{Error, Result};
use super::workspace::OpenWorkspace;
use crate::catalog::{FileRow, UNREAD};
use crate::id::{RelPath, VersionId};
use crate::ingest;
use crate::location::{Location, LocationFields, location_of};
use crate::span::Span;
use crate::text::{self, SkipReason};

/// Text of an explanation at most, in bytes.
const MAX_SHOWN_BYTES: usize = 2000;

/// Whether a file can be found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum FileStatus {
    /// It waits to be read.
    Pending,
    /// Its text is in the index.
    Indexed,
    /// It holds nothing that is indexed.
    Skipped,
    /// It should have given text, and did not; it is tried again once the file or the extractor changes.
    Failed,
}

/// How many files are how far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct StatusCounts {
    /// See [`FileStatus::Pending`].
    pub pending: u64,
    /// See [`FileStatus::Indexed`].
    pub indexed: u64,
    /// See [`FileStatus::Skipped`].
    pub skipped: u64,
    /// See [`FileStatus::Failed`].
    pub failed: u64,
}

/// How far a file of the catalog is.
pub(super) fn status_of(workspace: &OpenWorkspace, row: &FileRow) -> FileStatus {
    match &row.state.skipped {
        Some((code, _)) if SkipReason::is_failure(code) => FileStatus::Failed,
        Some(_) => FileStatus::Skipped,
        None if !workspace.row.intelligence => FileStatus::Skipped,
        None if row.state.extractor == UNREAD || row.seq > workspace.index.position().lexical() => {
            FileStatus::Pending
        }
        None => FileStatus::Indexed,
    }
}

/// Why a file is not indexed, as `code: sentence`.
pub(super) fn reason_of(workspace: &OpenWorkspace, row: &FileRow) -> Option<String> {
    match &row.state.skipped {
        Some((code, reason)) => Some(format!("{code}: {reason}")),
        None if !workspace.row.intelligence => {
            Some("intelligence_off: the workspace's intelligence is switched off".to_owned())
        }
        None => None,
    }
}

/// What a reader, the chunker and the index make of one file, for an operator.
#[derive(Debug, Clone, Serialize)]
pub struct ReadingExplanation {
    /// The file's name.
    pub name: String,
    /// Hash of its bytes.
    pub version: VersionId,
    /// In bytes.
    pub size: u64,
    /// By content.
    pub mime_type: String,
    /// `/<workspace>/<path>`, where the file is one of a workspace.
    pub path: Option<String>,
    /// As its workspace has it; what the reader says where it is in none.
    pub status: FileStatus,
    /// Why it gives no text.
    pub reason: Option<String>,
    /// What follows is missing then.
    pub document: Option<DocumentExplanation>,
}

/// What there is to read in a file.
#[derive(Debug, Clone, Serialize)]
pub struct DocumentExplanation {
    /// How it was read.
    pub kind: &'static str,
    /// Whether the text is the file's own bytes.
    pub verbatim: bool,
    /// Natural or programming language.
    pub language: Option<String>,
    /// What it calls itself.
    pub title: Option<String>,
    /// The beginning of its text.
    pub text: String,
    /// All of its text, in bytes.
    pub text_bytes: usize,
    /// Paragraphs, rows, headings.
    pub blocks: usize,
    /// What is indexed.
    pub chunks: Vec<ChunkExplanation>,
    /// What was lost or guessed.
    pub warnings: Vec<String>,
}

/// One span that is indexed.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub struct ChunkExplanation {
    /// In the text.
    pub span: Span,
    /// First and last line, from 1.
    pub lines: (u32, u32),
    /// In the file.
    #[serde(flatten)]
    #[schemars(with = "LocationFields")]
    pub location: Option<Location>,
    /// Outermost first.
    pub headings: Vec<String>,
    /// As the model counts, or an estimate without one.
    pub tokens: usize,
    /// Whether the index has its vector.
    pub vector: bool,
}

impl Engine {
    /// Reads a file and tells what comes of it; one of a workspace is looked up there, too. Changes nothing.
    ///
    /// # Errors
    /// [`Error::Folder`] where the file can't be read, [`Error::Reader`] where no worker can be had.
    pub fn explain_reading(&self, file: &Path) -> Result<ReadingExplanation> {
        let in_folder = |source| Error::Folder { path: file.to_owned(), source };
        let bytes = std::fs::read(file).map_err(in_folder)?;
        let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let version = VersionId::of(&bytes);
        let reading = self.reader.read(version, &name, &bytes)?;
        let found = self.find_by_place(file)?;
        let row = found.as_ref().map(|(_, row)| row);
        let has_vectors = match &found {
            Some((workspace, row)) if row.state.version == version => {
                let searcher = workspace.index.searcher();
                searcher
                    .chunks_of(row.id)?
                    .into_iter()
                    .map(|chunk| searcher.vector(chunk).is_some())
                    .collect()
            }
            _ => Vec::new(),
        };
        let status = match (&found, &reading) {
            (Some((workspace, row)), _) => status_of(workspace, row),
            (None, Ok(_)) => FileStatus::Pending,
            (None, Err(reason)) if SkipReason::is_failure(reason.code()) => FileStatus::Failed,
            (None, Err(_)) => FileStatus::Skipped,
        };
        let reason = reading.as_ref().err().map(|reason| format!("{}: {reason}", reason.code()));
        let document = reading.ok().map(|document| self.explain_document(document, &has_vectors));
        Ok(ReadingExplanation {
            version,
            size: bytes.len() as u64,
            mime_type: text::mime_type(&name, &bytes),
            name,
            path: found
                .as_ref()
                .zip(row)
                .map(|((workspace, _), row)| format!("/{}/{}", workspace.row.name, row.path)),
            status,
            reason,
            document,
        })
    }

    fn explain_document(&self, document: text::Document, has_vectors: &[bool]) -> DocumentExplanation {
        let chunks = ingest::chunks_of(&document, self.embedder.as_deref());
        let chunks = chunks.into_iter().enumerate().map(|(ordinal, chunk)| ChunkExplanation {
            span: chunk.span,
            lines: chunk.lines,
            location: location_of(&chunk.located, chunk.span),
            headings: chunk.headings,
            tokens: chunk.n_tokens,
            vector: has_vectors.get(ordinal).copied().unwrap_or(false),
        });
        let shown =
            document.text.char_indices().map(|(at, _)| at).take_while(|at| *at <= MAX_SHOWN_BYTES).last();
        let shown =
            if document.text.len() <= MAX_SHOWN_BYTES { document.text.len() } else { shown.unwrap_or(0) };
        DocumentExplanation {
            kind: document.kind.name(),
            verbatim: document.verbatim,
            language: document.language.clone(),
            title: document.title.clone(),
            text: document.text[..shown].to_owned(),
            text_bytes: document.text.len(),
            blocks: document.blocks.len(),
            chunks: chunks.collect(),
            warnings: document.warnings.clone(),
        }
    }

    /// The workspace in whose folder a file lies, with what the catalog says of it.
    fn find_by_place(&self, file: &Path) -> Result<Option<(std::sync::Arc<OpenWorkspace>, FileRow)>> {
        let Ok(place) = file.canonicalize() else { return Ok(None) };
        for workspace in self.open_workspaces() {
            let below = place.strip_prefix(&workspace.row.root).ok().and_then(Path::to_str);
            let Some(Ok(path)) = below.map(RelPath::new) else { continue };
            if let Some(row) = self.catalog.file(workspace.row.id, &path)? {
                return Ok(Some((workspace, row)));
            }
        }
        Ok(None)
    }

    /// How far the files of a workspace are.
    pub(super) fn status_counts(&self, workspace: &OpenWorkspace) -> Result<StatusCounts> {
        let mut counts = StatusCounts::default();
        for row in self.catalog.files(workspace.row.id)? {
            match status_of(workspace, &row) {
                FileStatus::Pending => counts.pending += 1,
                FileStatus::Indexed => counts.indexed += 1,
                FileStatus::Skipped => counts.skipped += 1,
                FileStatus::Failed => counts.failed += 1,
            }
        }
        Ok(counts)
    }
}
