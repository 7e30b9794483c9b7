use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::chunks::{Prepared, prepare, prepare_bytes, text_hash};
use super::{Context, IngestError, OnProgress, Progress, Semantic, Stage};
use crate::catalog::FileRow;
use crate::change::Place;
use crate::id::{FileId, Seq};
use crate::index::Position;
use crate::journal;

/// Changes read from the journal at once.
const CHANGES_PER_COMMIT: usize = 512;
/// Files read between two looks at the time.
const FILES_PER_LOOK: usize = 32;
/// What is ready is published after this long, although more of the same batch is to come.
const PATIENCE: Duration = Duration::from_secs(1);
/// Chunks embedded between two commits: about ten seconds of work that a kill can cost.
const CHUNKS_PER_COMMIT: usize = 256;
/// Chunks embedded between two looks at progress and cancellation.
pub const CHUNKS_PER_SLICE: usize = 64;

/// Reads the journal from where the lexical arm stands to where it ends now: whoever writes faster than this reads keeps it from
/// nothing else.
///
/// # Errors
/// [`IngestError`] where the home can't be read or written; what is committed stays.
pub fn catch_up_lexical(context: &Context<'_>, on_progress: &mut OnProgress<'_>) -> Result<u64, IngestError> {
    let Place { catalog, workspace, .. } = context.place;
    let end = journal::last_seq(catalog, workspace.id)?;
    let total = journal::files_after(catalog, workspace.id, context.index.position().lexical())?;
    let mut done = 0;
    while context.index.position().lexical() < end {
        let position = context.index.position();
        let Some((files, last)) = next_files(context, position.lexical())? else { break };
        let mut published = Instant::now();
        for group in files.chunks(FILES_PER_LOOK) {
            for prepared in prepare(context, group)? {
                context.index.replace(prepared.file, prepared.chunks)?;
            }
            // A file that takes its reader seconds does not hold up those that were ready before it.
            if published.elapsed() > PATIENCE {
                let position = context.index.position();
                context.index.commit(Position { generation: position.generation + 1, ..position })?;
                published = Instant::now();
            }
        }
        let position = context.index.position();
        done += files.len() as u64;
        context.index.commit(Position {
            generation: position.generation + 1,
            lexical_seq: last.0,
            ..position
        })?;
        if context.semantic.is_none() {
            tell(context, &files, last)?;
        }
        on_progress(Progress { stage: Stage::Reading, done, total: total.max(done) });
    }
    Ok(done)
}

/// Reads the journal from where the semantic arm stands up to the lexical arm, and adds what vectors are missing.
/// Without a model it does nothing.
///
/// # Errors
/// [`IngestError`] where the home can't be read or written, or the model fails; what is committed stays.
pub fn catch_up_semantic(
    context: &Context<'_>,
    on_progress: &mut OnProgress<'_>,
) -> Result<u64, IngestError> {
    let Some(semantic) = context.semantic else { return Ok(0) };
    let searcher = context.index.searcher();
    let total = searcher.n_chunks().saturating_sub(searcher.n_vectors());
    let mut done = 0;
    loop {
        let position = context.index.position();
        if position.semantic_seq >= position.lexical_seq {
            return Ok(done);
        }
        let Some((files, last)) = next_files(context, position.semantic())? else { return Ok(done) };
        let bare = files_without_vectors(context, &files)?;
        let mut waiting: Vec<Prepared> = Vec::new();
        // Few at a time: what is prepared and not embedded when a turn ends is prepared again in the next one.
        for group in bare.chunks(rayon::current_num_threads()) {
            for prepared in prepare(context, group)? {
                waiting.push(prepared);
                if waiting.iter().map(n_missing).sum::<usize>() >= CHUNKS_PER_COMMIT {
                    done += embed_and_replace(context, semantic, &mut waiting, done, total, on_progress)?;
                    let position = context.index.position();
                    context.index.commit(Position { generation: position.generation + 1, ..position })?;
                }
            }
        }
        done += embed_and_replace(context, semantic, &mut waiting, done, total, on_progress)?;
        let position = context.index.position();
        let reached = last.min(position.lexical());
        context.index.commit(Position {
            generation: position.generation + 1,
            semantic_seq: reached.0,
            ..position
        })?;
        tell(context, &files, reached)?;
        // Vectors that are known already make no slices, and whoever waits wants to be heard all the same.
        on_progress(Progress { stage: Stage::Embedding, done, total: total.max(done) });
    }
}

/// Tells that what a batch changed can be found now, by every arm that there is. A file that has changed once more, beyond
/// what the index has reached, is told of later. A kill before this costs the news alone.
fn tell(context: &Context<'_>, files: &[FileId], reached: Seq) -> Result<(), IngestError> {
    let Place { catalog, workspace, clock, .. } = context.place;
    let mut found = Vec::with_capacity(files.len());
    for file in files {
        let row = catalog.file_by_id(*file)?;
        found.extend(row.filter(|row| row.state.skipped.is_none() && row.seq <= reached));
    }
    let now_ms = clock.now_ms();
    Ok(catalog.write(|tx| found.iter().try_for_each(|row| tx.append_indexed(workspace.id, row, now_ms)))?)
}

/// Puts one file's bytes into an index that follows no journal, with the vectors that the home knows or that one file may
/// cost. Visible after [`publish`].
///
/// # Errors
/// [`IngestError`].
pub fn index_bytes(context: &Context<'_>, row: &FileRow, bytes: &[u8]) -> Result<(), IngestError> {
    let prepared = prepare_bytes(context, row, bytes)?;
    match context.semantic {
        Some(semantic) => {
            embed_and_replace(context, semantic, &mut vec![prepared], 0, 0, &mut |_| {})?;
        }
        None => context.index.replace(prepared.file, prepared.chunks)?,
    }
    Ok(())
}

/// Publishes what [`index_bytes`] put in.
///
/// # Errors
/// [`IngestError::Index`].
pub fn publish(context: &Context<'_>) -> Result<(), IngestError> {
    let position = context.index.position();
    context.index.commit(Position { generation: position.generation + 1, ..position })?;
    Ok(())
}

/// The files of the next changes after a cursor, each once, and the last of these changes.
fn next_files(context: &Context<'_>, cursor: Seq) -> Result<Option<(Vec<FileId>, Seq)>, IngestError> {
    context.go_on()?;
    let changes = journal::changes_after(
        context.place.catalog,
        context.place.workspace.id,
        cursor,
        CHANGES_PER_COMMIT,
    )?;
    let Some(last) = changes.last() else { return Ok(None) };
    let files: BTreeSet<FileId> = changes.iter().map(|change| change.file).collect();
    Ok(Some((files.into_iter().collect(), last.seq)))
}

fn files_without_vectors(context: &Context<'_>, files: &[FileId]) -> Result<Vec<FileId>, IngestError> {
    let searcher = context.index.searcher();
    let mut bare = Vec::new();
    for file in files {
        if searcher.chunks_of(*file)?.iter().any(|chunk| searcher.vector(*chunk).is_none()) {
            bare.push(*file);
        }
    }
    Ok(bare)
}

fn n_missing(prepared: &Prepared) -> usize {
    prepared.chunks.iter().filter(|chunk| chunk.vector.is_none()).count()
}

fn embed_and_replace(
    context: &Context<'_>,
    semantic: Semantic<'_>,
    waiting: &mut Vec<Prepared>,
    done_before: u64,
    total: u64,
    on_progress: &mut OnProgress<'_>,
) -> Result<u64, IngestError> {
    let missing: Vec<(usize, usize)> = waiting
        .iter()
        .enumerate()
        .flat_map(|(file_idx, prepared)| {
            let bare = prepared.chunks.iter().enumerate().filter(|(_, chunk)| chunk.vector.is_none());
            bare.map(move |(chunk_idx, _)| (file_idx, chunk_idx))
        })
        .collect();
    let mut done = 0;
    for slice in missing.chunks(CHUNKS_PER_SLICE) {
        context.go_on()?;
        let texts: Vec<&str> = slice.iter().map(|(f, c)| waiting[*f].embedded_texts[*c].as_str()).collect();
        let vectors = semantic.embedder.embed_documents(&texts)?;
        let rows: Vec<([u8; 32], Vec<f32>)> =
            texts.iter().map(|text| text_hash(text)).zip(vectors.iter().cloned()).collect();
        semantic.cache.put(&rows)?;
        for ((file_idx, chunk_idx), vector) in slice.iter().zip(vectors) {
            waiting[*file_idx].chunks[*chunk_idx].vector = Some(vector);
        }
        done += slice.len() as u64;
        on_progress(Progress {
            stage: Stage::Embedding,
            done: done_before + done,
            total: total.max(done_before + done),
        });
    }
    for prepared in waiting.drain(..) {
        context.index.replace(prepared.file, prepared.chunks)?;
    }
    Ok(done)
}
