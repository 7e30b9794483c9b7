//! The vectors of one segment: a flat, checksummed, memory-mapped file, and the scan over it.
//!
//! Layout, little-endian, each part padded to 64 bytes:
//!
//! ```text
//! header   64 B   magic "WPVEC\0\0\2" · dim u32 · n_rows u32 · BLAKE3 of all that follows (32 B) · zeros
//! scales   n_rows f32            0: the row has no vector
//! sketches n_rows × words u64    see `kernels::sketch`; words = dim / 64, rounded up
//! codes    n_rows × dim i8       row ≈ codes × scale
//! rows     n_rows × dim f32      L2-normalised
//! graph    the rest              see `graph`; empty below its size
//! ```

use std::io::{self, Write};
use std::ops::Deref;

use super::IndexError;
use super::graph::{self, Graph};
use super::hnsw;
use super::kernels::{self, QuantizedQuery, Rows, Sketches, sketch_words};

const MAGIC: [u8; 8] = *b"WPVEC\0\0\x02";
const HEADER_BYTES: usize = 64;
const ALIGNMENT: usize = 64;

/// Collects the rows of a segment that is being written.
pub struct VectorFileBuilder {
    dim: usize,
    scales: Vec<f32>,
    sketches: Vec<u64>,
    codes: Vec<i8>,
    rows: Vec<f32>,
}

impl VectorFileBuilder {
    /// For rows of `dim` numbers.
    pub fn new(dim: usize) -> Self {
        Self { dim, scales: Vec::new(), sketches: Vec::new(), codes: Vec::new(), rows: Vec::new() }
    }

    /// Adds the next document's vector, `[dim] f32`; a missing, mis-sized or non-finite one leaves an empty row.
    pub fn push(&mut self, row: Option<&[f32]>) {
        let (start, sketch_start) = (self.codes.len(), self.sketches.len());
        self.codes.resize(start + self.dim, 0);
        self.sketches.resize(sketch_start + sketch_words(self.dim), 0);
        match row {
            Some(row) if row.len() == self.dim && row.iter().all(|value| value.is_finite()) => {
                self.scales.push(kernels::quantize(row, &mut self.codes[start..]));
                kernels::sketch(row, &mut self.sketches[sketch_start..]);
                self.rows.extend_from_slice(row);
            }
            _ => {
                self.scales.push(0.0);
                self.rows.resize(start + self.dim, 0.0);
            }
        }
    }

    /// Bytes held so far.
    pub fn mem_usage(&self) -> usize {
        self.scales.len() * 4 + self.sketches.len() * 8 + self.codes.len() + self.rows.len() * 4
    }

    /// Writes the file; builds the graph where there are rows enough.
    ///
    /// # Errors
    /// What the writer gives.
    pub fn finish(self, out: &mut impl Write) -> io::Result<()> {
        let mut body = Vec::with_capacity(self.mem_usage() + 5 * ALIGNMENT);
        append(&mut body, bytemuck::cast_slice(&self.scales));
        append(&mut body, bytemuck::cast_slice(&self.sketches));
        append(&mut body, bytemuck::cast_slice(&self.codes));
        append(&mut body, bytemuck::cast_slice(&self.rows));
        if self.scales.len() >= graph::GRAPH_MIN_ROWS && self.dim > 0 {
            let graph = hnsw::build(Rows::new(&self.codes, &self.scales, self.dim));
            body.extend_from_slice(&graph);
        }
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(&MAGIC);
        header.extend_from_slice(&(self.dim as u32).to_le_bytes());
        header.extend_from_slice(&(self.scales.len() as u32).to_le_bytes());
        header.extend_from_slice(checksum(&body).as_bytes());
        header.resize(HEADER_BYTES, 0);
        out.write_all(&header)?;
        out.write_all(&body)
    }
}

fn append(body: &mut Vec<u8>, part: &[u8]) {
    body.extend_from_slice(part);
    body.resize(body.len().next_multiple_of(ALIGNMENT), 0);
}

/// The parts of a vector file, borrowed from its bytes.
#[derive(Clone, Copy)]
pub struct VectorFile<'a> {
    dim: usize,
    scales: &'a [f32],
    sketches: &'a [u64],
    codes: &'a [i8],
    rows: &'a [f32],
    graph: &'a [u8],
}

impl<'a> VectorFile<'a> {
    /// Finds the parts; checks the sizes, not the checksum.
    ///
    /// # Errors
    /// [`IndexError::Damaged`] where the bytes are no vector file.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, IndexError> {
        let (header, body) = bytes.split_at_checked(HEADER_BYTES).ok_or_else(|| damaged("is cut off"))?;
        if header[..8] != MAGIC {
            return Err(damaged("is of another format"));
        }
        let number = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]) as usize
        };
        let (dim, n_rows) = (number(8), number(12));
        let n_values = n_rows.checked_mul(dim).ok_or_else(|| damaged("has impossible sizes"))?;
        let n_words = n_rows * sketch_words(dim);
        let mut rest = body;
        let mut take = |n_bytes: usize| {
            let (part, after) = rest.split_at_checked(n_bytes.next_multiple_of(ALIGNMENT))?;
            rest = after;
            part.get(..n_bytes)
        };
        let parts =
            (|| Some((take(n_rows * 4)?, take(n_words * 8)?, take(n_values)?, take(n_values * 4)?)))();
        let (scales, sketches, codes, rows) = parts.ok_or_else(|| damaged("is cut off"))?;
        let unaligned = |_| damaged("is not aligned in memory");
        Ok(Self {
            dim,
            scales: bytemuck::try_cast_slice(scales).map_err(unaligned)?,
            sketches: bytemuck::try_cast_slice(sketches).map_err(unaligned)?,
            codes: bytemuck::try_cast_slice(codes).map_err(unaligned)?,
            rows: bytemuck::try_cast_slice(rows).map_err(unaligned)?,
            graph: rest,
        })
    }

    /// The vector of a row, where it has one.
    pub fn row(&self, row: u32) -> Option<&'a [f32]> {
        let start = row as usize * self.dim;
        let is_there = *self.scales.get(row as usize)? > 0.0;
        is_there.then(|| self.rows.get(start..start + self.dim)).flatten()
    }
}

/// Checks the whole file against its checksum.
fn verify(bytes: &[u8]) -> Result<(), IndexError> {
    let (header, body) = bytes.split_at_checked(HEADER_BYTES).ok_or_else(|| damaged("is cut off"))?;
    if checksum(body).as_bytes()[..] == header[16..48] {
        Ok(())
    } else {
        Err(damaged("does not fit its checksum"))
    }
}

/// By all threads: this is most of what opening a large index takes.
fn checksum(body: &[u8]) -> blake3::Hash {
    blake3::Hasher::new().update_rayon(body).finalize()
}

fn damaged(what: &str) -> IndexError {
    IndexError::Damaged { file: "vectors".to_owned(), what: what.to_owned() }
}

/// An open vector file.
pub struct MappedVectors {
    bytes: Box<dyn Deref<Target = [u8]> + Send + Sync>,
    dim: usize,
    n_rows: usize,
    /// One bit a row, little end first.
    present: Vec<u64>,
}

impl MappedVectors {
    /// Opens a file, and checks all of it.
    ///
    /// # Errors
    /// [`IndexError::Damaged`] where it is no vector file, or of another dimension, or does not fit its checksum.
    pub fn open(bytes: Box<dyn Deref<Target = [u8]> + Send + Sync>, dim: usize) -> Result<Self, IndexError> {
        verify(&bytes)?;
        let file = VectorFile::parse(&bytes)?;
        let (found, n_rows) = (file.dim, file.scales.len());
        if found != dim {
            return Err(IndexError::Dimension { expected: dim, found });
        }
        if !file.graph.is_empty() {
            let graph = Graph::open(file.graph).map_err(|error| damaged(&error.to_string()))?;
            if graph.n_rows() != n_rows {
                return Err(damaged("has a graph over other rows"));
            }
        }
        let bits = |scales: &[f32]| {
            scales.iter().rev().fold(0, |word: u64, scale| word << 1 | u64::from(*scale > 0.0))
        };
        let present = file.scales.chunks(64).map(bits).collect();
        Ok(Self { bytes, dim, n_rows, present })
    }

    fn file(&self) -> VectorFile<'_> {
        VectorFile::parse(&self.bytes).expect("the file was parsed when it was opened, and is immutable")
    }

    /// Numbers in a row.
    pub fn dim(&self) -> usize {
        self.dim
    }

    /// Rows, with a vector or without.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// The rows that have a vector: one bit a row, little end first.
    pub fn present(&self) -> &[u64] {
        &self.present
    }

    /// The vector of a row, `[dim] f32`.
    pub fn row(&self, row: u32) -> Option<&[f32]> {
        self.file().row(row)
    }

    /// All rows' codes.
    pub fn rows(&self) -> Rows<'_> {
        let file = self.file();
        Rows::new(file.codes, file.scales, self.dim)
    }

    /// All rows' sketches.
    pub fn sketches(&self) -> Sketches<'_> {
        Sketches::new(self.file().sketches, self.dim)
    }

    /// The `n_best` rows nearest to a query by a walk through the graph, with their cosines from the 8-bit codes;
    /// `None` where there is no graph. What is found depends on all rows.
    pub fn walk(&self, query: &QuantizedQuery, n_best: usize) -> Option<Vec<(u32, f32)>> {
        let graph = Graph::parse(self.file().graph).ok()?;
        Some(graph.search(query, self.rows(), n_best.max(graph::EF_SEARCH), n_best))
    }

    /// The exact cosine of a query with a row; both are unit vectors.
    pub fn cosine(&self, query: &[f32], row: u32) -> Option<f32> {
        (query.len() == self.dim).then(|| self.row(row)).flatten().map(|row| kernels::dot_f32(query, row))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::index::kernels::{QuerySketch, distances};

    /// In memory as a mapped file lies there: at a multiple of its alignment.
    fn written(rows: &[Option<Vec<f32>>], dim: usize) -> Vec<u64> {
        let mut builder = VectorFileBuilder::new(dim);
        rows.iter().for_each(|row| builder.push(row.as_deref()));
        let mut bytes = Vec::new();
        builder.finish(&mut bytes).unwrap();
        bytes.as_chunks::<8>().0.iter().map(|word| u64::from_ne_bytes(*word)).collect()
    }

    fn mapped(words: Vec<u64>, dim: usize) -> Result<MappedVectors, IndexError> {
        struct Bytes(Vec<u64>);
        impl Deref for Bytes {
            type Target = [u8];
            fn deref(&self) -> &[u8] {
                bytemuck::cast_slice(&self.0)
            }
        }
        MappedVectors::open(Box::new(Bytes(words)), dim)
    }

    #[test]
    fn all_parts_of_a_row_are_found_again() {
        for dim in [0, 1, 64, 70] {
            let row =
                |seed: usize| (0..dim).map(|i| ((i * 7 + seed * 13) % 17) as f32 - 8.5).collect::<Vec<f32>>();
            let rows: Vec<Option<Vec<f32>>> =
                (0..130).map(|idx| (idx % 5 != 3 && dim > 0).then(|| row(idx))).collect();
            let vectors = mapped(written(&rows, dim), dim).unwrap();
            assert_eq!((vectors.n_rows(), vectors.dim()), (130, dim));
            for (idx, row) in (0u32..).zip(&rows) {
                let is_present = vectors.present()[idx as usize / 64] >> (idx % 64) & 1 == 1;
                assert_eq!(vectors.row(idx), row.as_deref());
                assert_eq!(is_present, row.is_some());
                let Some(row) = row else { continue };
                let (mut alone, mut stored) = ([0], [0]);
                let mut sketch = vec![0; sketch_words(dim)];
                kernels::sketch(row, &mut sketch);
                let query = QuerySketch::new(&rows[0].clone().unwrap());
                distances(&query, Sketches::new(&sketch, dim), &[0], &mut alone);
                distances(&query, vectors.sketches(), &[idx], &mut stored);
                assert_eq!(alone, stored);
            }
        }
    }

    #[test]
    fn files_of_the_layout_without_sketches_are_refused() {
        let mut words = written(&[Some(vec![1.0, 0.0])], 2);
        words[0] = u64::from_ne_bytes(*b"WPVEC\0\0\x01");
        let error = mapped(words, 2).err().unwrap();
        assert!(matches!(error, IndexError::Damaged { .. }), "{error}");
    }
}
