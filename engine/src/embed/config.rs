//! `config.json` → the shape of an encoder.
//!
//! Takes the file that lies beside the weights; gives a checked [`EncoderConfig`]. Refuses what the forward pass
//! doesn't compute (relative positions, other activations), rather than computing something near it.

use std::path::Path;

use serde::Deserialize;

use super::EmbedError;

/// The shape of a BERT-family encoder.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct EncoderConfig {
    /// Width of a token row.
    pub(super) hidden: usize,
    /// Encoder layers.
    pub(super) layers: usize,
    /// Attention heads; divides `hidden`.
    pub(super) heads: usize,
    /// Width of the feed-forward layer.
    pub(super) intermediate: usize,
    /// Rows of the token table.
    pub(super) vocabulary: usize,
    /// Tokens that have a position: rows of the position table less `position_offset`.
    pub(super) max_positions: usize,
    /// Row of the position table that the first token takes: 0, or pad id + 1 in the RoBERTa line.
    pub(super) position_offset: usize,
    /// Added to the variance in each layer norm.
    pub(super) norm_eps: f32,
}

impl EncoderConfig {
    /// Floats in one head's row.
    pub(super) fn head_dim(&self) -> usize {
        self.hidden / self.heads
    }

    /// Reads and checks `config.json`.
    ///
    /// # Errors
    /// [`EmbedError::Io`], or [`EmbedError::Unsupported`] with the setting that isn't computed here.
    pub(super) fn read(path: &Path) -> Result<Self, EmbedError> {
        let bytes = std::fs::read(path).map_err(|source| EmbedError::io("read", path, source))?;
        let unsupported = |reason: String| EmbedError::Unsupported { path: path.to_owned(), reason };
        let raw: Raw = serde_json::from_slice(&bytes).map_err(|error| unsupported(error.to_string()))?;
        raw.check().map_err(unsupported)
    }
}

/// The fields of `config.json` that matter.
#[derive(Deserialize)]
struct Raw {
    hidden_size: usize,
    num_hidden_layers: usize,
    num_attention_heads: usize,
    intermediate_size: usize,
    vocab_size: usize,
    max_position_embeddings: usize,
    layer_norm_eps: f32,
    #[serde(default)]
    hidden_act: Option<String>,
    #[serde(default)]
    model_type: Option<String>,
    #[serde(default)]
    position_embedding_type: Option<String>,
    #[serde(default)]
    pad_token_id: Option<usize>,
}

impl Raw {
    fn check(self) -> Result<EncoderConfig, String> {
        let model_type = self.model_type.as_deref().unwrap_or("bert");
        let position_offset = match model_type {
            "bert" => 0,
            "roberta" | "xlm-roberta" | "camembert" => self.pad_token_id.unwrap_or(1) + 1,
            other => {
                return Err(format!(
                    "model type `{other}`; supported are bert, roberta, xlm-roberta, camembert"
                ));
            }
        };
        match self.hidden_act.as_deref() {
            None | Some("gelu") => {}
            Some(other) => return Err(format!("activation `{other}`; supported is gelu")),
        }
        match self.position_embedding_type.as_deref() {
            None | Some("absolute") => {}
            Some(other) => return Err(format!("position embeddings `{other}`; supported are absolute ones")),
        }
        let sizes = [self.hidden_size, self.num_attention_heads, self.intermediate_size, self.vocab_size];
        if sizes.contains(&0) || self.max_position_embeddings <= position_offset {
            return Err("a size is zero".to_owned());
        }
        if !self.hidden_size.is_multiple_of(self.num_attention_heads) {
            return Err(format!(
                "{} heads don't divide {} columns",
                self.num_attention_heads, self.hidden_size
            ));
        }
        Ok(EncoderConfig {
            hidden: self.hidden_size,
            layers: self.num_hidden_layers,
            heads: self.num_attention_heads,
            intermediate: self.intermediate_size,
            vocabulary: self.vocab_size,
            max_positions: self.max_position_embeddings - position_offset,
            position_offset,
            norm_eps: self.layer_norm_eps,
        })
    }
}
