//! Text → vectors.
//!
//! Takes texts, gives embeddings: `[dim]` f32, L2-normalised, so that a dot product is the cosine. Nouns: a
//! [`Manifest`] of known models, [`resolve()`] which finds or fetches one's files, and the [`Embedder`] opened from
//! them, [`Bert`] today. [`bench()`] tells how near to the processor's limit it runs.
//!
//! The forward pass is our own: texts of a batch stand one after the other without padding, weights are packed once
//! for the processor's vector instructions (picked at run time), and every thread takes its own batch.
//!
//! Does not chunk, cache vectors, index or search, and never falls back to another model: what can't be had is an
//! error that says what was tried.

mod attention;
mod batch;
mod bench;
mod bert;
mod cache;
mod config;
mod encoder;
mod error;
mod hub;
mod kernels;
mod manifest;
mod model_id;
mod package;
mod resolve;
mod tokens;
mod weights;

#[cfg(test)]
mod tests;

pub use bench::{BenchReport, bench};
pub use bert::Bert;
pub use error::{Attempt, EmbedError, FetchError};
pub use kernels::peak_gflops;
pub use manifest::{FileSpec, Manifest, ModelSpec, PackageSpec, Pooling};
pub use model_id::ModelId;
pub use resolve::{Progress, Resolved, Source, Sources, resolve};

/// Two views of a short text.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    /// The embedding, `[dim]` f32, L2-normalised.
    pub embedding: Vec<f32>,
    /// From an earlier layer of the same pass, `[dim]` f32, L2-normalised; `None` where the model has no such thing.
    pub middle: Option<Vec<f32>>,
}

/// Something that turns texts into vectors.
///
/// Vectors of one [`ModelId`] can be compared with each other, and with no others.
pub trait Embedder: Send + Sync {
    /// Name and fingerprint of the model: what makes stored vectors stale when it changes.
    fn id(&self) -> &ModelId;

    /// Length of a vector.
    fn dim(&self) -> usize;

    /// Tokens of a text that are read, special tokens included; what comes after them is cut.
    fn max_tokens(&self) -> usize;

    /// One vector `[dim]` for each text, in the order of `texts`, L2-normalised.
    ///
    /// Runs to its end; a caller that wants progress or to stop early passes slices of some dozens of texts. A vector
    /// doesn't depend on what else is in the call, but for rounding (below 1e-5).
    ///
    /// # Errors
    /// [`EmbedError::Tokenizer`] or [`EmbedError::NotFinite`]; then no vector is given.
    fn embed_documents(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError>;

    /// The vector `[dim]` of a query, L2-normalised; some models want a query marked as one.
    ///
    /// # Errors
    /// As [`Embedder::embed_documents`].
    fn embed_query(&self, text: &str) -> Result<Vec<f32>, EmbedError>;

    /// Both views of each text, which is read as a query: what decides between short sentences. They compare with each
    /// other, view by view.
    ///
    /// # Errors
    /// As [`Embedder::embed_documents`].
    fn embed_intents(&self, texts: &[&str]) -> Result<Vec<Features>, EmbedError> {
        let embed = |text: &&str| Ok(Features { embedding: self.embed_query(text)?, middle: None });
        texts.iter().map(embed).collect()
    }

    /// Tokens of the whole text, uncut, special tokens included, without the model's prefix.
    fn count_tokens(&self, text: &str) -> usize;

    /// [`Embedder::count_tokens`] for many texts, in their order.
    fn count_tokens_batch(&self, texts: &[&str]) -> Vec<usize> {
        texts.iter().map(|text| self.count_tokens(text)).collect()
    }
}
