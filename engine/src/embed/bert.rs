//! [`Embedder`] by a BERT-family encoder on the processor.

use std::path::Path;
use std::sync::Mutex;

use rayon::prelude::*;

use super::batch;
use super::config::EncoderConfig;
use super::encoder::{Encoder, Scratch};
use super::kernels::Isa;
use super::manifest::{CONFIG_FILE, ModelSpec, Pooling, TOKENIZER_FILE, WEIGHTS_FILE};
use super::resolve::Resolved;
use super::tokens::Tokens;
use super::{EmbedError, Embedder, Features, ModelId};

/// A BERT-family model, open for embedding.
///
/// Batches run on the rayon pool of the calling thread, one batch a thread; a single text runs on the calling thread.
pub struct Bert {
    id: ModelId,
    spec: ModelSpec,
    tokens: Tokens,
    encoder: Encoder,
    max_tokens: usize,
    /// Activations of batches that are done, for the next ones.
    scratch: Mutex<Vec<Scratch>>,
}

impl Bert {
    /// Opens a resolved model: maps its weights and packs them for this processor.
    ///
    /// # Errors
    /// [`EmbedError::Unsupported`] where the files aren't a model that this engine computes,
    /// [`EmbedError::Tokenizer`], [`EmbedError::Io`].
    pub fn open(resolved: &Resolved) -> Result<Self, EmbedError> {
        Self::open_with(resolved, Isa::detect())
    }

    /// As [`Bert::open`], with the kernels of this name (`avx2+i16`, `avx2`, `portable`…): for comparing them.
    ///
    /// # Errors
    /// As [`Bert::open`]; [`EmbedError::UnknownKernels`] where this processor has no such kernels.
    pub fn open_with_kernels(resolved: &Resolved, kernels: &str) -> Result<Self, EmbedError> {
        let available = Isa::available();
        let isa =
            available.iter().find(|isa| isa.name() == kernels).ok_or_else(|| EmbedError::UnknownKernels {
                name: kernels.to_owned(),
                available: available.iter().map(|isa| isa.name()).collect(),
            })?;
        Self::open_with(resolved, *isa)
    }

    fn open_with(resolved: &Resolved, isa: Isa) -> Result<Self, EmbedError> {
        let (folder, spec) = (&resolved.folder, resolved.spec.clone());
        let config_path = folder.join(CONFIG_FILE);
        let config = EncoderConfig::read(&config_path)?;
        check_dim(&config_path, &spec, &config)?;
        let max_tokens = spec.max_tokens.min(config.max_positions);
        let tokens = Tokens::open(&folder.join(TOKENIZER_FILE))?;
        let encoder = Encoder::open(&folder.join(WEIGHTS_FILE), config, isa)?;
        tracing::debug!(model = %resolved.id, kernels = isa.name(), "embedding model opened");
        Ok(Self { id: resolved.id.clone(), spec, tokens, encoder, max_tokens, scratch: Mutex::default() })
    }

    /// The kernels in use, such as `avx2+i16`: what the products of attention take, and whether linear layers are in fixed point.
    pub fn kernels(&self) -> &'static str {
        self.encoder.isa().name()
    }

    /// Floating-point operations for a text with so many tokens: products only, a multiply-add counts two.
    pub fn flops(&self, n_tokens: usize) -> u64 {
        self.encoder.flops(n_tokens.min(self.max_tokens))
    }

    fn ids(&self, prefix: &str, text: &str) -> Result<Vec<u32>, EmbedError> {
        match prefix {
            "" => self.tokens.ids_within(text, self.max_tokens),
            prefix => self.tokens.ids_within(&format!("{prefix}{text}"), self.max_tokens),
        }
    }

    fn encode<T>(
        &self,
        texts: &[&[u32]],
        encode: impl Fn(&Encoder, &[&[u32]], Pooling, &mut Scratch) -> T,
    ) -> T {
        let mut scratch = self.pool().pop().unwrap_or_default();
        let encoded = encode(&self.encoder, texts, self.spec.pooling, &mut scratch);
        self.pool().push(scratch);
        encoded
    }

    /// Encodes many texts, in batches of like lengths, one batch a thread; gives what comes out in the order of `texts`.
    fn encode_all<T: Clone + Default + Send>(
        &self,
        prefix: &str,
        texts: &[&str],
        encode: impl Fn(&Encoder, &[&[u32]], Pooling, &mut Scratch) -> Vec<T> + Sync,
    ) -> Result<Vec<T>, EmbedError> {
        let ids: Vec<Vec<u32>> =
            texts.par_iter().map(|text| self.ids(prefix, text)).collect::<Result<_, _>>()?;
        let lengths: Vec<usize> = ids.iter().map(Vec::len).collect();
        let batches = batch::plan(&lengths, rayon::current_num_threads());
        let encoded: Vec<Vec<T>> = batches
            .par_iter()
            .with_max_len(1)
            .map(|batch| {
                let batch: Vec<&[u32]> = batch.iter().map(|&text_idx| &ids[text_idx][..]).collect();
                self.encode(&batch, &encode)
            })
            .collect();
        let mut all = vec![T::default(); texts.len()];
        for (text_idx, one) in batches.into_iter().flatten().zip(encoded.into_iter().flatten()) {
            all[text_idx] = one;
        }
        Ok(all)
    }

    fn pool(&self) -> std::sync::MutexGuard<'_, Vec<Scratch>> {
        self.scratch.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn checked(&self, text_idx: usize, vector: Vec<f32>) -> Result<Vec<f32>, EmbedError> {
        if vector.iter().all(|x| x.is_finite()) {
            return Ok(vector);
        }
        Err(EmbedError::NotFinite { text_idx, model: self.id.to_string() })
    }
}

impl Embedder for Bert {
    fn id(&self) -> &ModelId {
        &self.id
    }

    fn dim(&self) -> usize {
        self.encoder.config().hidden
    }

    fn max_tokens(&self) -> usize {
        self.max_tokens
    }

    fn embed_documents(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, EmbedError> {
        let vectors = self.encode_all(&self.spec.document_prefix, texts, Encoder::encode)?;
        vectors.into_iter().enumerate().map(|(text_idx, vector)| self.checked(text_idx, vector)).collect()
    }

    fn embed_intents(&self, texts: &[&str]) -> Result<Vec<Features>, EmbedError> {
        let encoded = self.encode_all(&self.spec.query_prefix, texts, Encoder::encode_twice)?;
        let check = |(text_idx, (embedding, middle))| {
            let embedding = self.checked(text_idx, embedding)?;
            Ok(Features { embedding, middle: Some(self.checked(text_idx, middle)?) })
        };
        encoded.into_iter().enumerate().map(check).collect()
    }

    fn embed_query(&self, text: &str) -> Result<Vec<f32>, EmbedError> {
        let ids = self.ids(&self.spec.query_prefix, text)?;
        let vector = self.encode(&[&ids], Encoder::encode).pop().unwrap_or_default();
        self.checked(0, vector)
    }

    fn count_tokens(&self, text: &str) -> usize {
        self.tokens.count(text)
    }

    fn count_tokens_batch(&self, texts: &[&str]) -> Vec<usize> {
        texts.par_iter().map(|text| self.tokens.count(text)).collect()
    }
}

fn check_dim(path: &Path, spec: &ModelSpec, config: &EncoderConfig) -> Result<(), EmbedError> {
    if spec.dim == config.hidden {
        return Ok(());
    }
    let reason = format!("vectors have {} values, the manifest says {}", config.hidden, spec.dim);
    Err(EmbedError::Unsupported { path: path.to_owned(), reason })
}
