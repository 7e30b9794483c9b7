use std::sync::{Arc, Mutex, OnceLock};

use tantivy::index::SegmentId;
use tantivy::postings::BlockSegmentPostings;
use tantivy::query::{EnableScoring, PhraseQuery, Query, TermQuery};
use tantivy::schema::IndexRecordOption;
use tantivy::schema::Value as _;
use tantivy::{DocSet as _, IndexReader, SegmentReader, TERMINATED, TantivyDocument, Term};

use super::Fields;
use super::damage::guarded;
use super::plugin::vector_bytes;
use super::scope::{DocSet, FileSet, SegmentDocs, segment_docs};
use super::scores::{LexicalScores, segment_scores};
use crate::id::FileId;
use crate::index::bm25;
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
struct Segment {
    id: SegmentId,
    file_of_doc: Vec<u64>,
    ord_of_doc: Vec<u64>,
    place_of_doc: Vec<u64>,
    norms: tantivy::fieldnorm::FieldNormReader,
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

/// Where each term of a query stands: per term and segment the documents, with the term's frequency in them.
#[derive(Debug)]
pub struct TermMatches {
    by_term: Vec<Vec<Vec<(u32, u32)>>>,
}

impl TermMatches {
    /// Whether a chunk holds a term.
    pub fn holds(&self, term_idx: usize, chunk: ChunkRef) -> bool {
        let docs = self.by_term.get(term_idx).and_then(|by_segment| by_segment.get(chunk.segment as usize));
        docs.is_some_and(|docs| docs.binary_search_by_key(&chunk.doc, |(doc, _)| *doc).is_ok())
    }

    /// How many chunks hold a term.
    pub fn n_with_term(&self, term_idx: usize) -> u64 {
        self.by_term
            .get(term_idx)
            .map_or(0, |by_segment| by_segment.iter().map(|docs| docs.len() as u64).sum())
    }
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
        let segments = inner.segment_readers().iter().map(open).collect::<Result<_, _>>()?;
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
            let (docs, terms) = segment_docs(reader, &segment.file_of_doc, &segment.norms, files);
            n_chunks += u64::from(docs.n_docs);
            n_vectors += docs.count_in(segment.vectors.present());
            n_terms += terms;
            segments.push(docs);
        }
        DocSet { segments, is_restricted: files.is_some(), n_chunks, n_vectors, n_terms }
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
        Ok(Arc::new(DocSet { segments, is_restricted: true, n_chunks, n_vectors, n_terms: set.n_terms }))
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

    /// Where each term stands inside a set.
    ///
    /// # Errors
    /// [`IndexError`] where the postings can't be read.
    pub fn matches(&self, terms: &[(String, f32)], set: &DocSet) -> Result<TermMatches, IndexError> {
        let mut by_term = Vec::with_capacity(terms.len());
        for (text, _) in terms {
            let term = Term::from_field_text(self.fields.body, text);
            let mut by_segment = Vec::with_capacity(self.segments.len());
            for (reader, docs) in self.inner.segment_readers().iter().zip(&set.segments) {
                by_segment.push(guarded("postings", || {
                    let inverted = reader.inverted_index(self.fields.body)?;
                    let postings = inverted.read_block_postings(&term, IndexRecordOption::WithFreqs)?;
                    Ok(postings.map_or_else(Vec::new, |postings| allowed_postings(postings, docs)))
                })?);
            }
            by_term.push(by_segment);
        }
        Ok(TermMatches { by_term })
    }

    /// BM25 of every allowed chunk that holds a term. `weights` has the idf of each term times its factor, `mean_len` the
    /// terms of a chunk on average, both over everything that is searched.
    pub fn bm25(
        &self,
        matches: &TermMatches,
        weights: &[f32],
        mean_len: f32,
        allowed: &DocSet,
    ) -> LexicalScores {
        let norms = bm25::length_norms(mean_len, tantivy::fieldnorm::FieldNormReader::id_to_fieldnorm);
        let segments = self.segments.iter().zip(&allowed.segments).enumerate();
        let scores = segments.map(|(segment_idx, (segment, allowed))| {
            let matches = matches.by_term.iter().map(|by_segment| by_segment[segment_idx].as_slice());
            let weighted = matches.zip(weights.iter().copied());
            segment_scores(segment.file_of_doc.len(), weighted, |doc, frequency| {
                allowed
                    .allows(doc)
                    .then(|| bm25::saturation(frequency, norms[segment.norms.fieldnorm_id(doc) as usize]))
            })
        });
        LexicalScores::new(scores.collect())
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
        let segment = &self.segments[chunk.segment as usize];
        (segment.place_of_doc[chunk.doc as usize], segment.ord_of_doc[chunk.doc as usize])
    }

    /// The name of a chunk that outlives this generation.
    pub fn key(&self, chunk: ChunkRef) -> ChunkKey {
        let segment = &self.segments[chunk.segment as usize];
        ChunkKey {
            file: FileId(segment.file_of_doc[chunk.doc as usize]),
            ordinal: segment.ord_of_doc[chunk.doc as usize] as u32,
        }
    }

    /// The `n` best chunks that hold a term, best first; ties by [`Self::place`].
    pub fn best(&self, scores: &LexicalScores, n: usize) -> Vec<(ChunkRef, f32)> {
        let order = |a: &(ChunkRef, f32), b: &(ChunkRef, f32)| {
            b.1.total_cmp(&a.1).then_with(|| self.place(a.0).cmp(&self.place(b.0)))
        };
        let mut best = scores.best(n);
        // Thousands may tie, and only so many are asked for.
        if n > 0 && best.len() > n {
            best.select_nth_unstable_by(n - 1, order);
            best.truncate(n);
        }
        best.sort_unstable_by(order);
        best
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
        let samples = Samples::new(place_of_doc.iter().copied().zip(ord_of_doc.iter().copied()));
        Ok(Self {
            id: reader.segment_id(),
            file_of_doc: columns.u64("file")?.values_for_doc_range(reader.max_doc()),
            ord_of_doc,
            place_of_doc,
            norms: reader.get_fieldnorms_reader(fields.body)?,
            vectors,
            samples,
        })
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

/// A term in more than so many documents for each allowed one is looked up under the allowed ones.
const POSTINGS_PER_ALLOWED: u32 = 16;

fn allowed_postings(mut postings: BlockSegmentPostings, docs: &SegmentDocs) -> Vec<(u32, u32)> {
    let mut out = Vec::with_capacity((postings.doc_freq() as usize).min(docs.n_docs as usize));
    if let Some(bits) = &docs.bits
        && docs.n_docs < postings.doc_freq() / POSTINGS_PER_ALLOWED
    {
        for doc in ones(bits) {
            let at = postings.seek(doc);
            if postings.docs().get(at) == Some(&doc) {
                out.push((doc, postings.freq(at)));
            }
        }
        return out;
    }
    while postings.block_len() > 0 {
        for (doc, frequency) in postings.docs().iter().zip(postings.freqs()) {
            if docs.allows(*doc) {
                out.push((*doc, *frequency));
            }
        }
        postings.advance();
    }
    out
}

/// The numbers of the bits that are set, ascending.
fn ones(bits: &[u64]) -> impl Iterator<Item = u32> + '_ {
    (0..).zip(bits).flat_map(|(word_idx, word)| {
        let rests = std::iter::successors(Some(*word), |rest| Some(rest & rest.wrapping_sub(1)));
        rests.take_while(|rest| *rest != 0).map(move |rest| word_idx * 64 + rest.trailing_zeros())
    })
}
