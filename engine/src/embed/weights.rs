//! A weight file, mapped into memory → named f32 matrices of a known shape.
//!
//! Takes `model.safetensors` (f32, f16 or bf16); gives copies of the matrices that get packed, and rows of the token
//! table straight from the map, so that a large vocabulary costs no memory until it is used.

#![expect(unsafe_code, reason = "the weight file is mapped; the proof stands at the call")]

use std::path::{Path, PathBuf};

use candle_core::safetensors::MmapedSafetensors;
use candle_core::{DType, Device};

use super::EmbedError;

/// Prefixes under which the trade's checkpoints keep the encoder.
const PREFIXES: [&str; 4] = ["", "bert.", "roberta.", "model."];

/// The tensor whose name finds the prefix.
const WORDS: &str = "embeddings.word_embeddings.weight";

/// A mapped weight file.
pub(super) struct Weights {
    path: PathBuf,
    prefix: &'static str,
    map: MmapedSafetensors,
}

impl Weights {
    /// Maps a file and finds out under which prefix the encoder lies.
    ///
    /// # Errors
    /// [`EmbedError::Unsupported`] where it isn't a safetensors file with an encoder in it.
    pub(super) fn open(path: &Path) -> Result<Self, EmbedError> {
        let unsupported = |reason: String| EmbedError::Unsupported { path: path.to_owned(), reason };
        // SAFETY: the map is read only, and the file isn't written while it is mapped: a model directory is published
        // by one rename after its files were complete, and a new pull makes new files. Someone who truncates a file
        // in place under a running program ends that program with a bus error; nothing else can be done about it.
        let map = unsafe { MmapedSafetensors::new(path) }.map_err(|error| unsupported(error.to_string()))?;
        let prefix = PREFIXES
            .into_iter()
            .find(|prefix| map.get(&format!("{prefix}{WORDS}")).is_ok())
            .ok_or_else(|| unsupported(format!("no tensor `{WORDS}`")))?;
        Ok(Self { path: path.to_owned(), prefix, map })
    }

    /// A matrix or vector as f32, row-major, after its shape was checked.
    ///
    /// # Errors
    /// [`EmbedError::Unsupported`] with the tensor's name.
    pub(super) fn load(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, EmbedError> {
        self.load_checked(name, &format!("{shape:?}"), |found| found == shape)
    }

    /// A matrix with any number of rows of this width, but at least one.
    ///
    /// # Errors
    /// As [`Weights::load`].
    pub(super) fn load_rows(&self, name: &str, width: usize) -> Result<Vec<f32>, EmbedError> {
        let fits = |found: &[usize]| matches!(found, [n_rows, columns] if *n_rows > 0 && *columns == width);
        self.load_checked(name, &format!("[1 or more, {width}]"), fits)
    }

    fn load_checked(
        &self,
        name: &str,
        expected: &str,
        fits: impl Fn(&[usize]) -> bool,
    ) -> Result<Vec<f32>, EmbedError> {
        let full = format!("{}{name}", self.prefix);
        // Checkpoints converted from TensorFlow call scale and shift of a layer norm gamma and beta.
        let old =
            full.replace("LayerNorm.weight", "LayerNorm.gamma").replace("LayerNorm.bias", "LayerNorm.beta");
        let name = if self.map.get(&full).is_err() && self.map.get(&old).is_ok() { old } else { full };
        let unsupported = |error: candle_core::Error| self.unsupported(&name, error.to_string());
        let tensor = self.map.load(&name, &Device::Cpu).map_err(unsupported)?;
        if !fits(tensor.dims()) {
            return Err(self.unsupported(&name, format!("shape {:?}, expected {expected}", tensor.dims())));
        }
        tensor
            .to_dtype(DType::F32)
            .and_then(|tensor| tensor.flatten_all())
            .and_then(|tensor| tensor.to_vec1())
            .map_err(unsupported)
    }

    /// The token table, `[vocabulary, hidden]`, left in the map where it is f32.
    ///
    /// # Errors
    /// As [`Weights::load`].
    pub(super) fn into_word_table(self, shape: [usize; 2]) -> Result<WordTable, EmbedError> {
        let name = format!("{}{WORDS}", self.prefix);
        let view = self.map.get(&name).map_err(|error| self.unsupported(&name, error.to_string()))?;
        let mapped = view.shape() == shape && view.data().len() == shape[0] * shape[1] * size_of::<f32>();
        let rows = if mapped { Rows::Mapped(self.map, name) } else { Rows::Owned(self.load(WORDS, &shape)?) };
        Ok(WordTable { hidden: shape[1], rows })
    }

    fn unsupported(&self, name: &str, reason: String) -> EmbedError {
        EmbedError::Unsupported { path: self.path.clone(), reason: format!("tensor `{name}`: {reason}") }
    }
}

/// The token table.
pub(super) struct WordTable {
    hidden: usize,
    rows: Rows,
}

enum Rows {
    Mapped(MmapedSafetensors, String),
    Owned(Vec<f32>),
}

impl WordTable {
    /// Copies the rows of `ids` into `out: [ids.len(), hidden]`. An id beyond the table gives a row of zeros.
    pub(super) fn gather(&self, ids: &[u32], out: &mut [f32]) {
        let slots = ids.iter().map(|&id| id as usize).zip(out.chunks_exact_mut(self.hidden));
        match &self.rows {
            Rows::Owned(values) => {
                for (id, slot) in slots {
                    match row(values, id, self.hidden) {
                        Some(row) => slot.copy_from_slice(row),
                        None => slot.fill(0.0),
                    }
                }
            }
            Rows::Mapped(map, name) => {
                let view = map.get(name).expect("the tensor was found when the table was opened");
                for (id, slot) in slots {
                    match row(view.data(), id, self.hidden * size_of::<f32>()) {
                        Some(row) => copy_le(row, slot),
                        None => slot.fill(0.0),
                    }
                }
            }
        }
    }
}

/// Row `idx` of a table, where it has that many.
fn row<T>(table: &[T], idx: usize, width: usize) -> Option<&[T]> {
    table.get(idx * width..)?.get(..width)
}

/// Copies little-endian floats that need not be aligned.
fn copy_le(bytes: &[u8], out: &mut [f32]) {
    for (four, slot) in bytes.as_chunks::<4>().0.iter().zip(out) {
        *slot = f32::from_le_bytes(*four);
    }
}
