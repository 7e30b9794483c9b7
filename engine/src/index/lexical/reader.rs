use std::sync::{Arc, Mutex, OnceLock};

use rayon::prelude::*;
use tantivy::index::SegmentId;
use tantivy::query::{EnableScoring, PhraseQuery, Query, TermQuery};
use tantivy::schema::IndexRecordOption;
use tantivy::schema::{Field, Value as _};
use tantivy::{DocSet as _, IndexReader, SegmentReader, TERMINATED, TantivyDocument, Term};

use super::Fields;
use super::damage::guarded;
use super::plugin::vector_bytes;
use super::scope::{DocSet, FileSet, SegmentDocs, segment_docs};
use crate::id::FileId;
use crate::index::nearest::{Samples, SegmentRows};
use crate::index::vector::MappedVectors;
use crate::index::{ChunkKey, ChunkRecord, ChunkRef, IndexError, Position};

/// Scopes kept ready in one generation; more than the principals that usually ask at the same time.
const MAX_CACHED_SCOPES: usize = 32;

/// One immutable generation of a workspace's index.
pub struct Searcher {
    inner: tantivy::Searcher,
    fields: Fields,
    position: Position,
    segments: Vec<Arc<Segment>>,
    everything: OnceLock<Arc<DocSet>>,
    scopes: Mutex<Vec<([u8; 32], Arc<DocSet>)>>,
}

/// What is held of a segment's files. They never change, so one generation takes it over from the one before; what is deleted in it
/// is the generation's own.
pub(super) struct Segment {
    id: SegmentId,
    pub(super) file_of_doc: Vec<u64>,
    ord_of_doc: Vec<u64>,
    place_of_doc: Vec<u64>,
    /// The code of each document's number of terms.
    pub(super) length_of_doc: Vec<u8>,
    vectors: MappedVectors,
    samples: Samples,
}

/// What the lexical arm is asked.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LexicalQuery {
    /// Terms that raise a chunk's score, with a factor each.
    pub terms: Vec<(String, f32)>,
    /// Terms in this order, side by side; a chunk without one of these phrases is no hit of either arm.
    pub required: Vec<Vec<String>>,
    /// A chunk with one of these phrases is no hit of either arm.
    pub excluded: Vec<Vec<String>>,
}

impl Searcher {
    /// Opens what the reader has loaded; segments that are in `before` as well are taken from there.
    pub(super) fn open(
        reader: &IndexReader,
        fields: Fields,
        position: Position,
        before: Option<&Self>,
    ) -> Result<Self, IndexError> {
        let inner = reader.searcher();
        let known = before.map_or(&[][..], |before| before.segments.as_slice());
        let open = |segment: &SegmentReader| match known.iter().find(|one| one.id == segment.segment_id()) {
            Some(one) => Ok(Arc::clone(one)),
            None => Segment::open(segment, fields, position.fingerprint.dim).map(Arc::new),
        };
        let segments = inner.segment_readers().par_iter().map(open).collect::<Result<_, _>>()?;
        Ok(Self {
            inner,
            fields,
            position,
            segments,
            everything: OnceLock::new(),
            scopes: Mutex::new(Vec::new()),
        })
    }

    /// How far this generation has read the journal.
    pub fn position(&self) -> &Position {
        &self.position
    }

    /// Chunks that are alive.
    pub fn n_chunks(&self) -> u64 {
        self.inner.num_docs()
    }

    /// Chunks that are alive and have a vector.
    pub fn n_vectors(&self) -> u64 {
        self.doc_set(None).n_vectors
    }

    pub(super) fn has_dead_chunks(&self) -> bool {
        self.inner.segment_readers().iter().any(SegmentReader::has_deletes)
    }

    /// The chunks of the files in `files` (`None`: of every file) with their statistics. Kept for the generation's life.
    pub fn doc_set(&self, files: Option<&FileSet>) -> Arc<DocSet> {
        let Some(files) = files else {
            return Arc::clone(self.everything.get_or_init(|| Arc::new(self.compile(None))));
        };
        let cached = |scopes: &Vec<([u8; 32], Arc<DocSet>)>| {
            scopes.iter().find(|(name, _)| *name == files.name()).map(|(_, set)| Arc::clone(set))
        };
        if let Some(set) = cached(&self.scopes.lock().unwrap_or_else(|poisoned| poisoned.into_inner())) {
            return set;
        }
        let set = Arc::new(self.compile(Some(files)));
        let mut scopes = self.scopes.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if scopes.len() >= MAX_CACHED_SCOPES {
            scopes.remove(0);
        }
        scopes.push((files.name(), Arc::clone(&set)));
        set
    }

    fn compile(&self, files: Option<&FileSet>) -> DocSet {
        let (mut segments, mut n_chunks, mut n_vectors, mut n_terms) = (Vec::new(), 0, 0, 0);
        for (segment, reader) in self.segments.iter().zip(self.inner.segment_readers()) {
            let (docs, terms) = segment_docs(reader, &segment.file_of_doc, &segment.length_of_doc, files);
            n_chunks += u64::from(docs.n_docs);
            n_vectors += docs.count_in(segment.vectors.present());
            n_terms += terms;
            segments.push(docs);
        }
        DocSet::new(segments, files.is_some(), (n_chunks, n_vectors, n_terms))
    }

    /// Narrows a set to the chunks that hold every required phrase and no excluded one. The statistics stay those of
    /// the wider set.
    ///
    /// # Errors
    /// [`IndexError`] where the postings can't be read.
    pub fn narrow(&self, set: &Arc<DocSet>, query: &LexicalQuery) -> Result<Arc<DocSet>, IndexError> {
        if query.required.is_empty() && query.excluded.is_empty() {
            return Ok(Arc::clone(set));
        }
        let mut segments = Vec::with_capacity(self.segments.len());
        let (mut n_chunks, mut n_vectors) = (0, 0);
        let readers = self.segments.iter().zip(self.inner.segment_readers());
        for ((segment, reader), docs) in readers.zip(&set.segments) {
            let mut bits = match &docs.bits {
                Some(bits) => bits.as_ref().clone(),
                None => all_bits(reader.max_doc()),
            };
            for phrase in &query.required {
                let with = guarded("postings", || self.phrase_bits(reader, phrase))?;
                bits.iter_mut().zip(&with).for_each(|(word, other)| *word &= other);
            }
            for phrase in &query.excluded {
                let with = guarded("postings", || self.phrase_bits(reader, phrase))?;
                bits.iter_mut().zip(&with).for_each(|(word, other)| *word &= !other);
            }
            let n_docs = bits.iter().map(|word| word.count_ones()).sum();
            n_chunks += u64::from(n_docs);
            let docs = SegmentDocs { bits: Some(Arc::new(bits)), n_docs };
            n_vectors += docs.count_in(segment.vectors.present());
            segments.push(docs);
        }
        Ok(Arc::new(DocSet::new(segments, true, (n_chunks, n_vectors, set.n_terms))))
    }

    fn phrase_bits(&self, reader: &SegmentReader, phrase: &[String]) -> Result<Vec<u64>, IndexError> {
        let mut bits = vec![0u64; (reader.max_doc() as usize).div_ceil(64)];
        let terms: Vec<Term> =
            phrase.iter().map(|text| Term::from_field_text(self.fields.body, text)).collect();
        let query: Box<dyn Query> = match <[Term; 1]>::try_from(terms) {
            Ok([term]) => Box::new(TermQuery::new(term, IndexRecordOption::Basic)),
            Err(terms) if terms.is_empty() => return Ok(bits),
            Err(terms) => Box::new(PhraseQuery::new(terms)),
        };
        let weight = query.weight(EnableScoring::disabled_from_searcher(&self.inner))?;
        let mut matches = weight.scorer(reader, 1.0)?;
        while matches.doc() != TERMINATED {
            bits[matches.doc() as usize / 64] |= 1 << (matches.doc() % 64);
            matches.advance();
        }
        Ok(bits)
    }

    /// The segments, and how tantivy reads each.
    pub(super) fn readers(&self) -> impl Iterator<Item = (&Segment, &SegmentReader)> {
        self.segments.iter().map(Arc::as_ref).zip(self.inner.segment_readers())
    }

    /// The field that has the terms.
    pub(super) fn body(&self) -> Field {
        self.fields.body
    }

    /// Each segment's rows, with what a set allows of them.
    pub(in crate::index) fn segment_rows<'a>(
        &'a self,
        set: &'a DocSet,
    ) -> impl Iterator<Item = SegmentRows<'a>> {
        self.segments.iter().zip(&set.segments).map(|(segment, docs)| SegmentRows {
            vectors: &segment.vectors,
            samples: &segment.samples,
            allowed: docs.bits.as_ref().map(|bits| bits.as_slice()),
        })
    }

    /// The exact cosine of one chunk, where it has a vector.
    pub fn cosine(&self, query: &[f32], chunk: ChunkRef) -> Option<f32> {
        self.segments.get(chunk.segment as usize)?.vectors.cosine(query, chunk.doc)
    }

    /// The vector of one chunk, `[dim] f32`.
    pub fn vector(&self, chunk: ChunkRef) -> Option<&[f32]> {
        self.segments.get(chunk.segment as usize)?.vectors.row(chunk.doc)
    }

    /// What decides between equal scores: a hash of the path, then the place in the file; the same in every home.
    pub fn place(&self, chunk: ChunkRef) -> (u64, u64) {
        self.segments[chunk.segment as usize].place(chunk.doc)
    }

    /// The name of a chunk that outlives this generation.
    pub fn key(&self, chunk: ChunkRef) -> ChunkKey {
        let segment = &self.segments[chunk.segment as usize];
        ChunkKey {
            file: FileId(segment.file_of_doc[chunk.doc as usize]),
            ordinal: segment.ord_of_doc[chunk.doc as usize] as u32,
        }
    }

    /// What is stored with a chunk.
    ///
    /// # Errors
    /// [`IndexError`] where the store can't be read.
    pub fn record(&self, chunk: ChunkRef) -> Result<ChunkRecord, IndexError> {
        let address = tantivy::DocAddress { segment_ord: chunk.segment, doc_id: chunk.doc };
        let document: TantivyDocument = guarded("store", || Ok(self.inner.doc(address)?))?;
        let bytes =
            document.get_first(self.fields.record).and_then(|value| value.as_bytes()).unwrap_or_default();
        serde_json::from_slice(bytes).map_err(|error| IndexError::Damaged {
            file: "store".to_owned(),
            what: format!("has a record that can't be read: {error}"),
        })
    }

    /// Every live file number with its chunks' count, ascending.
    pub fn files(&self) -> Vec<(FileId, u32)> {
        let mut counts = std::collections::BTreeMap::new();
        for (segment, reader) in self.segments.iter().zip(self.inner.segment_readers()) {
            for doc in reader.doc_ids_alive() {
                *counts.entry(FileId(segment.file_of_doc[doc as usize])).or_insert(0) += 1;
            }
        }
        counts.into_iter().collect()
    }

    /// The live chunks of one file, by their place in it.
    ///
    /// # Errors
    /// [`IndexError`] where the postings can't be read.
    pub fn chunks_of(&self, file: FileId) -> Result<Vec<ChunkRef>, IndexError> {
        guarded("postings", || self.find_chunks(file))
    }

    fn find_chunks(&self, file: FileId) -> Result<Vec<ChunkRef>, IndexError> {
        let term = Term::from_field_u64(self.fields.file, file.0);
        let mut chunks = Vec::new();
        for (segment_idx, reader) in self.inner.segment_readers().iter().enumerate() {
            let inverted = reader.inverted_index(self.fields.file)?;
            let Some(mut postings) = inverted.read_postings(&term, IndexRecordOption::Basic)? else {
                continue;
            };
            while postings.doc() != TERMINATED {
                if !reader.is_deleted(postings.doc()) {
                    chunks.push(ChunkRef { segment: segment_idx as u32, doc: postings.doc() });
                }
                postings.advance();
            }
        }
        chunks.sort_by_key(|chunk| self.key(*chunk));
        Ok(chunks)
    }
}

impl Segment {
    fn open(reader: &SegmentReader, fields: Fields, dim: usize) -> Result<Self, IndexError> {
        let columns = reader.fast_fields();
        let vectors = MappedVectors::open(Box::new(vector_bytes(reader)?), dim)?;
        if vectors.n_rows() != reader.max_doc() as usize {
            return Err(IndexError::Damaged {
                file: format!("{}.vec", reader.segment_id().uuid_string()),
                what: format!("has {} rows for {} chunks", vectors.n_rows(), reader.max_doc()),
            });
        }
        let ord_of_doc = columns.u64("ord")?.values_for_doc_range(reader.max_doc());
        let place_of_doc = columns.u64("place")?.values_for_doc_range(reader.max_doc());
        let lengths = reader.get_fieldnorms_reader(fields.body)?;
        let samples = Samples::new(place_of_doc.iter().copied().zip(ord_of_doc.iter().copied()));
        Ok(Self {
            id: reader.segment_id(),
            file_of_doc: columns.u64("file")?.values_for_doc_range(reader.max_doc()),
            ord_of_doc,
            place_of_doc,
            length_of_doc: (0..reader.max_doc()).map(|doc| lengths.fieldnorm_id(doc)).collect(),
            vectors,
            samples,
        })
    }

    /// See [`Searcher::place`].
    pub(super) fn place(&self, doc: u32) -> (u64, u64) {
        (self.place_of_doc[doc as usize], self.ord_of_doc[doc as usize])
    }
}

/// Reads a whole column of one value per document.
trait ReadColumn {
    fn values_for_doc_range(&self, n_docs: u32) -> Vec<u64>;
}

impl ReadColumn for tantivy::fastfield::Column<u64> {
    fn values_for_doc_range(&self, n_docs: u32) -> Vec<u64> {
        (0..n_docs).map(|doc| self.first(doc).unwrap_or(u64::MAX)).collect()
    }
}

fn all_bits(n_docs: u32) -> Vec<u64> {
    let mut bits = vec![u64::MAX; (n_docs as usize).div_ceil(64)];
    if let Some(last) = bits.last_mut()
        && !n_docs.is_multiple_of(64)
    {
        *last = (1 << (n_docs % 64)) - 1;
    }
    bits
}
