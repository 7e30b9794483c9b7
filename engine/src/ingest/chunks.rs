use std::borrow::Cow;

use rayon::prelude::*;

use super::{Context, IngestError};
use crate::catalog::{FileRow, ReadingNote};
use crate::embed::Embedder;
use crate::id::{FileId, is_unsearched_name};
use crate::index::{ChunkRecord, NewChunk};
use crate::reader::Reading;
use crate::text::{self, Chunk, ChunkOptions, Document, TokenCounter, WordEstimate};

/// A file's chunks, ready for the index but for the vectors that are missing.
pub struct Prepared {
    /// The file.
    pub file: FileId,
    /// Its chunks; those whose vector is known already carry it.
    pub chunks: Vec<NewChunk>,
    /// For each chunk the text that the model reads.
    pub embedded_texts: Vec<String>,
    /// What the catalog is to say of the file from now on, where that is something new.
    pub note: Option<ReadingNote>,
}

impl Prepared {
    fn nothing(file: FileId) -> Self {
        Self { file, chunks: Vec::new(), embedded_texts: Vec::new(), note: None }
    }
}

/// Reads, cuts and prepares files, several at a time; a file that is gone or skipped has no chunks.
///
/// # Errors
/// [`IngestError`] where blobs or catalog can't be read.
pub fn prepare(context: &Context<'_>, files: &[FileId]) -> Result<Vec<Prepared>, IngestError> {
    let prepared: Vec<Prepared> =
        files.par_iter().map(|file| prepare_one(context, *file)).collect::<Result<_, _>>()?;
    let notes: Vec<&ReadingNote> = prepared.iter().filter_map(|file| file.note.as_ref()).collect();
    if !notes.is_empty() {
        context.place.catalog.write(|tx| notes.iter().try_for_each(|note| tx.note_reading(note)))?;
    }
    Ok(prepared)
}

fn prepare_one(context: &Context<'_>, file: FileId) -> Result<Prepared, IngestError> {
    let nothing = Prepared::nothing(file);
    context.go_on()?;
    let Some(row) = context.place.catalog.file_by_id(file)? else { return Ok(nothing) };
    if !is_worth_reading(context, &row) {
        return Ok(nothing);
    }
    // A blob that is gone or damaged is taken from the tree again, as long as that still holds the same bytes.
    let bytes = match context.place.blobs.get(row.state.version) {
        Ok(Some(bytes)) => bytes,
        _ => match context.place.tree.read(&row.path, context.place.max_file_bytes)? {
            Some((bytes, _)) if crate::id::VersionId::of(&bytes) == row.state.version => bytes,
            _ => return Ok(nothing),
        },
    };
    prepare_bytes(context, &row, &bytes)
}

/// Whether a file may give text: one that gave none is tried again by another extractor, and once archives are allowed. What no walk
/// finds is not indexed either where Waypost wrote it.
fn is_worth_reading(context: &Context<'_>, row: &FileRow) -> bool {
    if is_unsearched_name(row.path.file_name()) {
        return false;
    }
    match &row.state.skipped {
        None => true,
        Some((code, _)) if code == "too_large" || code == "unreadable" => false,
        Some((code, _)) => {
            let is_allowed_now = code == "archive_not_allowed" && context.place.reader.limits().archives;
            row.state.extractor != text::EXTRACTOR_VERSION || is_allowed_now
        }
    }
}

/// Cuts a file's bytes; without chunks where they have no text.
///
/// # Errors
/// [`IngestError`] where the cache of vectors can't be read.
pub fn prepare_bytes(context: &Context<'_>, row: &FileRow, bytes: &[u8]) -> Result<Prepared, IngestError> {
    let reading = context.place.reader.read(row.state.version, row.path.file_name(), bytes)?;
    let note = new_note(row, bytes, &reading);
    let Ok(document) = reading else { return Ok(Prepared { note, ..Prepared::nothing(row.id) }) };
    let mut prepared = cut(row, &document, context.semantic.map(|semantic| semantic.embedder));
    prepared.note = note;
    if let Some(semantic) = context.semantic {
        for (chunk, text) in prepared.chunks.iter_mut().zip(&prepared.embedded_texts) {
            chunk.vector = semantic.cache.get(&text_hash(text))?;
        }
    }
    Ok(prepared)
}

/// What is to be noted of a reading; `None` where the catalog says so already.
fn new_note(row: &FileRow, bytes: &[u8], reading: &Reading) -> Option<ReadingNote> {
    let document = reading.as_ref().ok();
    let reason = reading.as_ref().err();
    let note = ReadingNote {
        file: row.id,
        version: row.state.version,
        mime_type: document
            .map_or_else(|| text::mime_type(row.path.file_name(), bytes), |found| found.mime_type.clone()),
        language: document.and_then(|document| document.language.clone()),
        skipped: reason.map(|reason| (reason.code().to_owned(), reason.to_string())),
        notes: document.map(text::notes).unwrap_or_default(),
        extractor: text::EXTRACTOR_VERSION,
    };
    let state = &row.state;
    let is_known = (&state.mime_type, &state.language, &state.skipped, &state.notes, state.extractor)
        == (&note.mime_type, &note.language, &note.skipped, &note.notes, note.extractor);
    (!is_known).then_some(note)
}

/// The name of an embedded text in the cache.
pub fn text_hash(text: &str) -> [u8; 32] {
    *blake3::hash(text.as_bytes()).as_bytes()
}

struct ModelTokens<'a>(&'a dyn Embedder);

impl TokenCounter for ModelTokens<'_> {
    fn count(&self, text: &str) -> usize {
        // Two of them mark the start and the end of a whole input, not of this text.
        self.0.count_tokens(text).saturating_sub(2)
    }
}

/// What of a document is indexed, and how long each part is; counted by the model where there is one.
pub fn chunks_of(document: &Document, embedder: Option<&dyn Embedder>) -> Vec<Chunk> {
    let options = chunk_options(document, embedder);
    match embedder {
        Some(embedder) => text::chunk(document, &ModelTokens(embedder), &options),
        None => text::chunk(document, &WordEstimate, &options),
    }
}

fn cut(row: &FileRow, document: &Document, embedder: Option<&dyn Embedder>) -> Prepared {
    let chunks = chunks_of(document, embedder);
    let mut prepared = Prepared::nothing(row.id);
    let is_json = document.mime_type.contains("json");
    for (ordinal, chunk) in chunks.into_iter().enumerate() {
        let Some(text) = chunk.span.of(&document.text) else { continue };
        let context = context_line(document.title.as_deref(), &chunk.headings, text);
        let said = if is_json { text::unescaped(text) } else { Cow::Borrowed(text) };
        let stem = row.path.file_name().rsplit_once('.').map_or(row.path.file_name(), |(stem, _)| stem);
        prepared.embedded_texts.push(join(&context, &said));
        prepared.chunks.push(NewChunk {
            file: row.id,
            ordinal: ordinal as u32,
            indexed_text: format!("{stem}\n{}", join(&context, &said)),
            vector: None,
            record: ChunkRecord {
                path: row.path.as_str().to_owned(),
                version: row.state.version,
                span: chunk.span,
                lines: chunk.lines,
                headings: chunk.headings,
                sections: chunk.sections,
                title: document.title.clone(),
                located: chunk.located,
                mime_type: document.mime_type.clone(),
                language: document.language.clone(),
                text: text.to_owned(),
            },
        });
    }
    prepared
}

/// Titles longer than this are cut off in the room that they get.
const MAX_TITLE_TOKENS: usize = 48;
/// Room for headings, where the document has any.
const HEADING_TOKENS: usize = 16;

/// Tokens of a chunk with what is put before it, where the model reads that many: each arm alone finds as much as with
/// the model's full length (`benches/README.md`), and quotes stay short.
const TARGET_TOKENS: usize = 220;

/// As much as the target or the model allows, less what is put before each chunk.
fn chunk_options(document: &Document, embedder: Option<&dyn Embedder>) -> ChunkOptions {
    let mut options = ChunkOptions::default();
    if let Some(embedder) = embedder {
        let title =
            document.title.as_deref().map_or(0, |title| embedder.count_tokens(title).min(MAX_TITLE_TOKENS));
        let has_headings = document.blocks.iter().any(|block| !block.headings.is_empty());
        let headings = if has_headings { HEADING_TOKENS } else { 0 };
        let room = TARGET_TOKENS.min(embedder.max_tokens().saturating_sub(2));
        options.max_tokens = room.saturating_sub(title + headings).max(64);
    }
    options
}

/// Title and headings that the chunk's own text does not show: a chunk from the middle of a document must still
/// say what it is about.
fn context_line(title: Option<&str>, headings: &[String], text: &str) -> String {
    let start: String = text.chars().take(400).collect();
    let mut parts: Vec<&str> = Vec::new();
    for part in title.into_iter().chain(headings.iter().map(String::as_str)) {
        if !part.is_empty() && !start.contains(part) && !parts.contains(&part) {
            parts.push(part);
        }
    }
    parts.join(" > ")
}

fn join(context: &str, text: &str) -> String {
    if context.is_empty() { text.to_owned() } else { format!("{context}\n{text}") }
}
