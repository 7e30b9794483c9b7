//! The vectors of one segment: a flat, checksummed, memory-mapped file, and the scan over it.
//!
//! Layout, little-endian, each part padded to 64 bytes:
//!
//! ```text
//! header   64 B   magic "WPVEC\0\0\1" · dim u32 · n_rows u32 · BLAKE3 of all that follows (32 B) · zeros
//! scales   n_rows f32            0: the row has no vector
//! codes    n_rows × dim i8       row ≈ codes × scale
//! rows     n_rows × dim f32      L2-normalised
//! graph    the rest              see `graph`; empty below its size
//! ```

use std::io::{self, Write};
use std::ops::Deref;

use super::IndexError;
use super::graph::{self, Graph};
use super::{hnsw, kernels};

const MAGIC: [u8; 8] = *b"WPVEC\0\0\x01";
const HEADER_BYTES: usize = 64;
const ALIGNMENT: usize = 64;

/// Collects the rows of a segment that is being written.
pub struct VectorFileBuilder {
    dim: usize,
    scales: Vec<f32>,
    codes: Vec<i8>,
    rows: Vec<f32>,
}

impl VectorFileBuilder {
    /// For rows of `dim` numbers.
    pub fn new(dim: usize) -> Self {
        Self { dim, scales: Vec::new(), codes: Vec::new(), rows: Vec::new() }
    }

    /// Adds the next document's vector, `[dim] f32`; a missing, mis-sized or non-finite one leaves an empty row.
    pub fn push(&mut self, row: Option<&[f32]>) {
        let start = self.codes.len();
        self.codes.resize(start + self.dim, 0);
        match row {
            Some(row) if row.len() == self.dim && row.iter().all(|value| value.is_finite()) => {
                self.scales.push(kernels::quantize(row, &mut self.codes[start..]));
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
        self.scales.len() * 4 + self.codes.len() + self.rows.len() * 4
    }

    /// Writes the file; builds the graph where there are rows enough.
    ///
    /// # Errors
    /// What the writer gives.
    pub fn finish(self, out: &mut impl Write) -> io::Result<()> {
        let mut body = Vec::with_capacity(self.mem_usage() + 4 * ALIGNMENT);
        append(&mut body, bytemuck::cast_slice(&self.scales));
        append(&mut body, bytemuck::cast_slice(&self.codes));
        append(&mut body, bytemuck::cast_slice(&self.rows));
        if self.scales.len() >= graph::GRAPH_MIN_ROWS && self.dim > 0 {
            let graph = hnsw::build(&self.rows, &self.scales, self.dim);
            body.extend_from_slice(&graph);
        }
        let mut header = Vec::with_capacity(HEADER_BYTES);
        header.extend_from_slice(&MAGIC);
        header.extend_from_slice(&(self.dim as u32).to_le_bytes());
        header.extend_from_slice(&(self.scales.len() as u32).to_le_bytes());
        header.extend_from_slice(blake3::hash(&body).as_bytes());
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
        let number = |at: usize| u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]]) as usize;
        let (dim, n_rows) = (number(8), number(12));
        let n_values = n_rows.checked_mul(dim).ok_or_else(|| damaged("has impossible sizes"))?;
        let mut rest = body;
        let mut take = |n_bytes: usize| {
            let (part, after) = rest.split_at_checked(n_bytes.next_multiple_of(ALIGNMENT))?;
            rest = after;
            part.get(..n_bytes)
        };
        let parts = (|| Some((take(n_rows * 4)?, take(n_values)?, take(n_values * 4)?)))();
        let (scales, codes, rows) = parts.ok_or_else(|| damaged("is cut off"))?;
        let unaligned = |_| damaged("is not aligned in memory");
        Ok(Self {
            dim,
            scales: bytemuck::try_cast_slice(scales).map_err(unaligned)?,
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
    if blake3::hash(body).as_bytes()[..] == header[16..48] { Ok(()) } else { Err(damaged("does not fit its checksum")) }
}

fn damaged(what: &str) -> IndexError {
    IndexError::Damaged { file: "vectors".to_owned(), what: what.to_owned() }
}

/// An open vector file.
pub struct MappedVectors {
    bytes: Box<dyn Deref<Target = [u8]> + Send + Sync>,
    dim: usize,
    n_rows: usize,
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
            Graph::open(file.graph).map_err(|error| damaged(&error.to_string()))?;
        }
        Ok(Self { bytes, dim, n_rows })
    }

    fn file(&self) -> VectorFile<'_> {
        VectorFile::parse(&self.bytes).expect("the file was parsed when it was opened, and is immutable")
    }

    /// Rows, with a vector or without.
    pub fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Whether a row has a vector.
    pub fn has(&self, row: u32) -> bool {
        self.file().scales.get(row as usize).is_some_and(|scale| *scale > 0.0)
    }

    /// The vector of a row, `[dim] f32`.
    pub fn row(&self, row: u32) -> Option<&[f32]> {
        self.file().row(row)
    }

    /// Cosine of a query with every row that `allowed` names (one bit per row, little end first; `None`: all), from the
    /// 8-bit codes; `NEG_INFINITY` elsewhere. `sum` takes up each score.
    pub fn scan(&self, query: &[f32], allowed: Option<&[u64]>, sum: &mut ScoreSum) -> Vec<f32> {
        let mut out = vec![f32::NEG_INFINITY; self.n_rows];
        let file = self.file();
        for row in 0..self.n_rows {
            let is_allowed = allowed.is_none_or(|bits| bits[row / 64] >> (row % 64) & 1 == 1);
            if is_allowed && file.scales[row] > 0.0 {
                out[row] = kernels::dot_f32(query, &file.rows[row * self.dim..(row + 1) * self.dim]);
                sum.add(out[row]);
            }
        }
        out
    }

    /// The exact cosine of a query with a row; both are unit vectors.
    pub fn cosine(&self, query: &[f32], row: u32) -> Option<f32> {
        (query.len() == self.dim).then(|| self.row(row)).flatten().map(|row| kernels::dot_f32(query, row))
    }
}

/// Mean and deviation of scores, the same in whatever order and segments the rows stand: sums of whole numbers.
#[derive(Debug, Default)]
pub struct ScoreSum {
    n: u64,
    sum: i64,
    squares: i128,
}

/// Scores are summed in steps of 2^-20.
const STEPS: f32 = (1 << 20) as f32;

impl ScoreSum {
    /// Takes up one score, of less than 1,000 either way.
    #[inline]
    pub fn add(&mut self, score: f32) {
        let step = (score * STEPS) as i64;
        self.n += 1;
        self.sum += step;
        self.squares += i128::from(step * step);
    }

    /// Raises the count to `n`, as if the missing scores were 0.
    pub fn add_zeros(&mut self, n: u64) {
        self.n = self.n.max(n);
    }

    /// How many, their mean, and their standard deviation.
    pub fn finish(&self) -> (u64, f32, f32) {
        if self.n == 0 {
            return (0, 0.0, 0.0);
        }
        let n = self.n as f64;
        let mean = self.sum as f64 / n;
        let variance = (self.squares as f64 / n - mean * mean).max(0.0);
        let step = f64::from(STEPS);
        (self.n, (mean / step) as f32, (variance.sqrt() / step) as f32)
    }
}
