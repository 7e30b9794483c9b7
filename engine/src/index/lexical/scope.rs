use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tantivy::SegmentReader;
use tantivy::fieldnorm::FieldNormReader;

use crate::id::FileId;

/// The files that a scope allows, with a name by which what it allows in a generation is found again.
#[derive(Debug, PartialEq, Eq)]
pub struct FileSet {
    ids: Vec<FileId>,
    name: [u8; 32],
}

impl FileSet {
    /// Of these files, in any order. Costs a hash over all of them: make it once, not for every query.
    pub fn new(mut ids: Vec<FileId>) -> Self {
        ids.sort_unstable();
        ids.dedup();
        let mut hasher = blake3::Hasher::new();
        let mut bytes = Vec::with_capacity(HASHED_AT_ONCE * 8);
        for ids in ids.chunks(HASHED_AT_ONCE) {
            bytes.clear();
            bytes.extend(ids.iter().flat_map(|id| id.0.to_le_bytes()));
            hasher.update(&bytes);
        }
        Self { ids, name: *hasher.finalize().as_bytes() }
    }

    /// Ascending.
    pub fn ids(&self) -> &[FileId] {
        &self.ids
    }

    /// Whether a file is one of them.
    pub fn contains(&self, file: FileId) -> bool {
        self.ids.binary_search(&file).is_ok()
    }

    /// The same for the same files, another for others: BLAKE3 of their numbers.
    pub fn name(&self) -> [u8; 32] {
        self.name
    }
}

/// Numbers that are handed to the hash together: it is many times as quick over long pieces.
const HASHED_AT_ONCE: usize = 2048;

/// What a scope allows in one generation, and the BM25 statistics of exactly that.
#[derive(Debug)]
pub struct DocSet {
    pub(super) segments: Vec<SegmentDocs>,
    /// Whether a scope or a condition was named, even if it allows everything that is there.
    pub is_restricted: bool,
    /// Allowed chunks.
    pub n_chunks: u64,
    /// Allowed chunks that have a vector.
    pub n_vectors: u64,
    /// Terms in them, as the length codes round them.
    pub n_terms: u64,
    /// How many of the chunks hold a term, of terms that take long to count.
    counts: Mutex<HashMap<String, u64>>,
}

/// Terms whose counts are kept with a set; when there are more, counting begins anew.
const MAX_COUNTS: usize = 1024;

/// The allowed documents of one segment.
#[derive(Debug, Clone)]
pub(super) struct SegmentDocs {
    /// One bit per document, little end first; `None` allows all.
    pub bits: Option<Arc<Vec<u64>>>,
    pub n_docs: u32,
}

impl SegmentDocs {
    /// How many allowed documents have a bit in `words`, one bit per document.
    pub fn count_in(&self, words: &[u64]) -> u64 {
        let ones =
            |words: &mut dyn Iterator<Item = u64>| words.map(|word| u64::from(word.count_ones())).sum();
        match &self.bits {
            None => ones(&mut words.iter().copied()),
            Some(bits) => ones(&mut words.iter().zip(bits.iter()).map(|(word, own)| word & own)),
        }
    }

    /// Whether a document is allowed.
    #[inline]
    pub fn allows(&self, doc: u32) -> bool {
        match &self.bits {
            None => doc < self.n_docs,
            Some(bits) => bits[doc as usize / 64] >> (doc % 64) & 1 == 1,
        }
    }
}

impl DocSet {
    /// Of these documents, with the numbers of chunks, of vectors and of terms in them.
    pub(super) fn new(
        segments: Vec<SegmentDocs>,
        is_restricted: bool,
        (n_chunks, n_vectors, n_terms): (u64, u64, u64),
    ) -> Self {
        Self { segments, is_restricted, n_chunks, n_vectors, n_terms, counts: Mutex::default() }
    }

    /// Whether a chunk is allowed.
    pub fn allows(&self, chunk: super::super::ChunkRef) -> bool {
        self.segments.get(chunk.segment as usize).is_some_and(|segment| segment.allows(chunk.doc))
    }

    /// How many of the chunks hold a term, if it was counted before.
    pub(super) fn known_count(&self, term: &str) -> Option<u64> {
        self.counts.lock().unwrap_or_else(PoisonError::into_inner).get(term).copied()
    }

    /// Keeps how many of the chunks hold a term.
    pub(super) fn keep_count(&self, term: &str, n: u64) {
        let mut counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner);
        if counts.len() >= MAX_COUNTS {
            counts.clear();
        }
        counts.insert(term.to_owned(), n);
    }
}

/// The live documents of one segment whose file is in `files` (`None`: every file), and their terms.
pub(super) fn segment_docs(
    reader: &SegmentReader,
    file_of_doc: &[u64],
    length_of_doc: &[u8],
    files: Option<&FileSet>,
) -> (SegmentDocs, u64) {
    let terms_in = |code| u64::from(FieldNormReader::id_to_fieldnorm(code));
    if files.is_none() && !reader.has_deletes() {
        let n_terms = length_of_doc.iter().map(|code| terms_in(*code)).sum();
        return (SegmentDocs { bits: None, n_docs: reader.max_doc() }, n_terms);
    }
    let mut bits = vec![0u64; (reader.max_doc() as usize).div_ceil(64)];
    let (mut n_docs, mut n_terms) = (0, 0);
    let mut last = (u64::MAX, false);
    for doc in 0..reader.max_doc() {
        if reader.is_deleted(doc) {
            continue;
        }
        // A file's chunks stand side by side, so most documents ask the same question as the one before.
        let file = file_of_doc[doc as usize];
        if file != last.0 {
            last = (file, files.is_none_or(|files| files.contains(FileId(file))));
        }
        if last.1 {
            bits[doc as usize / 64] |= 1 << (doc % 64);
            n_docs += 1;
            n_terms += terms_in(length_of_doc[doc as usize]);
        }
    }
    // Where all are allowed there is nothing to look up.
    let bits = (n_docs < reader.max_doc()).then(|| Arc::new(bits));
    (SegmentDocs { bits, n_docs }, n_terms)
}
