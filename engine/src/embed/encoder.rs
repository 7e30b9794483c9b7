//! The BERT encoder: token ids → token rows → one vector a text.
//!
//! Takes a batch as a concatenation of texts, without padding; gives `[hidden]` f32 a text, L2-normalised. All linear
//! layers run over the rows of the whole batch, attention runs text by text. One thread; the caller has several.
//!
//! Source: Devlin et al. 2018, post-norm layers with exact GELU. Queries, keys and values are one product, and the
//! scale of attention and the token type row (always type 0) are folded into weights when they are loaded.

use std::path::Path;

use super::EmbedError;
use super::attention::{AttentionScratch, Heads, attend};
use super::config::EncoderConfig;
use super::kernels::{Activation, Isa, Linear, LinearScratch, Norm, add_layer_norm, layer_norm};
use super::manifest::Pooling;
use super::weights::{Weights, WordTable};

/// Rows that go through the feed-forward layer together: its inner rows, four times as wide, stay in the second cache.
const FEED_ROWS: usize = 48;

/// A loaded encoder.
pub(super) struct Encoder {
    config: EncoderConfig,
    isa: Isa,
    words: WordTable,
    /// `[max_positions, hidden]`, with the row of token type 0 added.
    positions: Vec<f32>,
    embedding_norm: Norm,
    layers: Vec<Layer>,
}

/// One encoder layer.
struct Layer {
    /// hidden → 3 × hidden: queries, keys, values.
    qkv: Linear,
    attention_out: Linear,
    attention_norm: Norm,
    /// hidden → intermediate, then GELU.
    inner: Linear,
    outer: Linear,
    output_norm: Norm,
}

/// Activations that are reused from batch to batch; one for each thread at work.
#[derive(Default)]
pub(super) struct Scratch {
    /// Token rows, the layer's input and output.
    rows: Vec<f32>,
    /// The block's result before it is added to `rows`.
    block: Vec<f32>,
    /// Queries, keys, values; later the feed-forward layer's inner rows.
    wide: Vec<f32>,
    context: Vec<f32>,
    attention: AttentionScratch,
    linear: LinearScratch,
}

impl Encoder {
    /// Loads and packs `model.safetensors` for this processor.
    ///
    /// # Errors
    /// [`EmbedError::Unsupported`] where a tensor lacks or has another shape than `config` says.
    pub(super) fn open(path: &Path, config: EncoderConfig, isa: Isa) -> Result<Self, EmbedError> {
        let weights = Weights::open(path)?;
        let hidden = config.hidden;
        let layers = (0..config.layers)
            .map(|layer_idx| Layer::load(&weights, &config, layer_idx, isa))
            .collect::<Result<Vec<_>, _>>()?;
        Ok(Self {
            positions: load_positions(&weights, &config)?,
            embedding_norm: load_norm(&weights, "embeddings", &config)?,
            words: weights.into_word_table([config.vocabulary, hidden])?,
            layers,
            config,
            isa,
        })
    }

    /// The shape.
    pub(super) fn config(&self) -> &EncoderConfig {
        &self.config
    }

    /// The kernels in use.
    pub(super) fn isa(&self) -> Isa {
        self.isa
    }

    /// Embeds a batch: the ids of its texts, each at most `max_positions` long; a vector `[hidden]` for each.
    ///
    /// A text without tokens gives zeros. Where weights are broken a vector may hold NaN; the caller looks.
    pub(super) fn encode(&self, texts: &[&[u32]], pooling: Pooling, scratch: &mut Scratch) -> Vec<Vec<f32>> {
        self.embed_tokens(texts, scratch);
        for layer in &self.layers {
            self.run_layer(layer, texts, scratch);
        }
        self.pooled(texts, pooling, scratch)
    }

    /// As [`Self::encode`], and for each text the mean of its rows after two thirds of the layers as well, `[hidden]`,
    /// L2-normalised: what a text says there is nearer to its words.
    pub(super) fn encode_twice(
        &self,
        texts: &[&[u32]],
        pooling: Pooling,
        scratch: &mut Scratch,
    ) -> Vec<(Vec<f32>, Vec<f32>)> {
        self.embed_tokens(texts, scratch);
        let (early, late) = self.layers.split_at(self.layers.len() * 2 / 3);
        early.iter().for_each(|layer| self.run_layer(layer, texts, scratch));
        let middle = self.pooled(texts, Pooling::Mean, scratch);
        late.iter().for_each(|layer| self.run_layer(layer, texts, scratch));
        self.pooled(texts, pooling, scratch).into_iter().zip(middle).collect()
    }

    fn pooled(&self, texts: &[&[u32]], pooling: Pooling, scratch: &Scratch) -> Vec<Vec<f32>> {
        let mut first = 0;
        let each = texts.iter().map(|text| {
            let rows = &scratch.rows[first * self.config.hidden..][..text.len() * self.config.hidden];
            first += text.len();
            normalised(pool(rows, self.config.hidden, pooling))
        });
        each.collect()
    }

    /// Floating-point operations of a text with so many tokens: products only, a multiply-add counts two.
    pub(super) fn flops(&self, n_tokens: usize) -> u64 {
        let (tokens, hidden, inner) =
            (n_tokens as u64, self.config.hidden as u64, self.config.intermediate as u64);
        let linear = 2 * tokens * (4 * hidden * hidden + 2 * hidden * inner);
        let attention = 4 * tokens * tokens * hidden;
        self.config.layers as u64 * (linear + attention)
    }

    fn embed_tokens(&self, texts: &[&[u32]], scratch: &mut Scratch) {
        let hidden = self.config.hidden;
        let n_tokens: usize = texts.iter().map(|text| text.len()).sum();
        scratch.resize(n_tokens, &self.config);
        let mut rest = &mut scratch.rows[..];
        for text in texts {
            let (rows, after) = rest.split_at_mut(text.len() * hidden);
            self.words.gather(text, rows);
            rows.iter_mut().zip(&self.positions).for_each(|(x, position)| *x += position);
            rest = after;
        }
        layer_norm(self.isa, &mut scratch.rows, &self.embedding_norm);
    }

    fn run_layer(&self, layer: &Layer, texts: &[&[u32]], scratch: &mut Scratch) {
        let hidden = self.config.hidden;
        let n_tokens = scratch.rows.len() / hidden;
        let heads = Heads { n: self.config.heads, dim: self.config.head_dim() };

        let qkv = &mut scratch.wide[..n_tokens * layer.qkv.n_out()];
        layer.qkv.apply(&scratch.rows, qkv, Activation::None, &mut scratch.linear);
        let (mut qkv, mut context) = (&qkv[..], &mut scratch.context[..]);
        for text in texts {
            let (text_qkv, qkv_after) = qkv.split_at(text.len() * 3 * hidden);
            let (text_context, context_after) = context.split_at_mut(text.len() * hidden);
            attend(self.isa, heads, text_qkv, text_context, &mut scratch.attention);
            (qkv, context) = (qkv_after, context_after);
        }
        let block = &mut scratch.block[..];
        layer.attention_out.apply(&scratch.context, block, Activation::None, &mut scratch.linear);
        add_layer_norm(self.isa, &mut scratch.rows, &scratch.block, &layer.attention_norm);

        let blocks =
            scratch.rows.chunks(FEED_ROWS * hidden).zip(scratch.block.chunks_mut(FEED_ROWS * hidden));
        for (rows, block) in blocks {
            let inner = &mut scratch.wide[..rows.len() / hidden * layer.inner.n_out()];
            layer.inner.apply(rows, inner, Activation::Gelu, &mut scratch.linear);
            layer.outer.apply(inner, block, Activation::None, &mut scratch.linear);
        }
        add_layer_norm(self.isa, &mut scratch.rows, &scratch.block, &layer.output_norm);
    }
}

impl Scratch {
    fn resize(&mut self, n_tokens: usize, config: &EncoderConfig) {
        self.rows.resize(n_tokens * config.hidden, 0.0);
        self.block.resize(n_tokens * config.hidden, 0.0);
        self.context.resize(n_tokens * config.hidden, 0.0);
        let feed = n_tokens.min(FEED_ROWS) * config.intermediate;
        self.wide.resize(feed.max(n_tokens * 3 * config.hidden), 0.0);
    }
}

impl Layer {
    fn load(
        weights: &Weights,
        config: &EncoderConfig,
        layer_idx: usize,
        isa: Isa,
    ) -> Result<Self, EmbedError> {
        let (hidden, inner) = (config.hidden, config.intermediate);
        let name = |part: &str| format!("encoder.layer.{layer_idx}.{part}");
        let linear = |part: &str, n_in: usize, n_out: usize| -> Result<Linear, EmbedError> {
            let (weight, bias) = load_linear(weights, &name(part), n_in, n_out)?;
            Ok(Linear::new(isa, &weight, &bias))
        };
        Ok(Self {
            qkv: load_qkv(weights, config, layer_idx, isa)?,
            attention_out: linear("attention.output.dense", hidden, hidden)?,
            attention_norm: load_norm(weights, &name("attention.output"), config)?,
            inner: linear("intermediate.dense", hidden, inner)?,
            outer: linear("output.dense", inner, hidden)?,
            output_norm: load_norm(weights, &name("output"), config)?,
        })
    }
}

/// One linear layer from three, with the scale of attention in the queries.
fn load_qkv(
    weights: &Weights,
    config: &EncoderConfig,
    layer_idx: usize,
    isa: Isa,
) -> Result<Linear, EmbedError> {
    let (mut weight, mut bias) = (Vec::new(), Vec::new());
    for (part, scale) in [("query", 1.0 / (config.head_dim() as f32).sqrt()), ("key", 1.0), ("value", 1.0)] {
        let name = format!("encoder.layer.{layer_idx}.attention.self.{part}");
        let (part_weight, part_bias) = load_linear(weights, &name, config.hidden, config.hidden)?;
        weight.extend(part_weight.into_iter().map(|x| x * scale));
        bias.extend(part_bias.into_iter().map(|x| x * scale));
    }
    Ok(Linear::new(isa, &weight, &bias))
}

fn load_linear(
    weights: &Weights,
    name: &str,
    n_in: usize,
    n_out: usize,
) -> Result<(Vec<f32>, Vec<f32>), EmbedError> {
    Ok((
        weights.load(&format!("{name}.weight"), &[n_out, n_in])?,
        weights.load(&format!("{name}.bias"), &[n_out])?,
    ))
}

fn load_norm(weights: &Weights, name: &str, config: &EncoderConfig) -> Result<Norm, EmbedError> {
    Ok(Norm {
        weight: weights.load(&format!("{name}.LayerNorm.weight"), &[config.hidden])?,
        bias: weights.load(&format!("{name}.LayerNorm.bias"), &[config.hidden])?,
        eps: config.norm_eps,
    })
}

/// Position rows from the first that a token takes, with the row of token type 0 added.
fn load_positions(weights: &Weights, config: &EncoderConfig) -> Result<Vec<f32>, EmbedError> {
    let n_rows = config.position_offset + config.max_positions;
    let table = weights.load("embeddings.position_embeddings.weight", &[n_rows, config.hidden])?;
    let types = weights.load_rows("embeddings.token_type_embeddings.weight", config.hidden)?;
    let mut rows = table[config.position_offset * config.hidden..].to_vec();
    for row in rows.chunks_exact_mut(config.hidden) {
        row.iter_mut().zip(&types).for_each(|(x, t)| *x += t);
    }
    Ok(rows)
}

/// One row from the rows of a text; zeros where there are none.
fn pool(rows: &[f32], hidden: usize, pooling: Pooling) -> Vec<f32> {
    let mut pooled = vec![0.0; hidden];
    match pooling {
        Pooling::Cls => pooled.iter_mut().zip(rows).for_each(|(x, row)| *x = *row),
        Pooling::Mean => {
            for row in rows.chunks_exact(hidden) {
                pooled.iter_mut().zip(row).for_each(|(x, row)| *x += row);
            }
            let n_rows = (rows.len() / hidden).max(1) as f32;
            pooled.iter_mut().for_each(|x| *x /= n_rows);
        }
    }
    pooled
}

/// The vector at length 1; zeros stay zeros.
fn normalised(mut vector: Vec<f32>) -> Vec<f32> {
    let norm = vector.iter().map(|x| f64::from(*x) * f64::from(*x)).sum::<f64>().sqrt() as f32;
    if norm > 0.0 {
        vector.iter_mut().for_each(|x| *x /= norm);
    }
    vector
}
