//! BERT's forward pass as the paper has it: one text at a time, one plain tensor operation after another.

use candle_core::{D, Device, Result, Tensor};

use super::tiny::{EPS, HEADS, HIDDEN, LAYERS, Tensors, Variant};
use crate::embed::Pooling;

/// The vector of one text, `[HIDDEN]`, L2-normalised.
pub(super) fn embed(tensors: &Tensors, variant: Variant, ids: &[u32]) -> Vec<f32> {
    let vector = forward(tensors, variant, ids).unwrap();
    let norm = vector.iter().map(|x| x * x).sum::<f32>().sqrt();
    vector.into_iter().map(|x| x / norm).collect()
}

fn forward(tensors: &Tensors, variant: Variant, ids: &[u32]) -> Result<Vec<f32>> {
    let linear = |x: &Tensor, name: &str| {
        x.matmul(&tensors[&format!("{name}.weight")].t()?)?.broadcast_add(&tensors[&format!("{name}.bias")])
    };
    let norm = |x: &Tensor, name: &str| {
        let centred = x.broadcast_sub(&x.mean_keepdim(D::Minus1)?)?;
        let variance = centred.sqr()?.mean_keepdim(D::Minus1)?;
        centred
            .broadcast_div(&(variance + EPS)?.sqrt()?)?
            .broadcast_mul(&tensors[&format!("{name}.LayerNorm.weight")])?
            .broadcast_add(&tensors[&format!("{name}.LayerNorm.bias")])
    };
    let words =
        tensors["embeddings.word_embeddings.weight"].index_select(&Tensor::new(ids, &Device::Cpu)?, 0)?;
    let positions =
        tensors["embeddings.position_embeddings.weight"].narrow(0, variant.position_offset(), ids.len())?;
    let types = tensors["embeddings.token_type_embeddings.weight"].narrow(0, 0, 1)?;
    let mut x = norm(&(words + positions)?.broadcast_add(&types)?, "embeddings")?;
    for layer in 0..LAYERS {
        let name = |part: &str| format!("encoder.layer.{layer}.{part}");
        let heads = |part: &str| {
            linear(&x, &name(part))?
                .reshape((ids.len(), HEADS, HIDDEN / HEADS))?
                .transpose(0, 1)?
                .contiguous()
        };
        let (query, key) = (heads("attention.self.query")?, heads("attention.self.key")?);
        let scores = (query.matmul(&key.t()?.contiguous()?)? / ((HIDDEN / HEADS) as f64).sqrt())?;
        let exps = scores.broadcast_sub(&scores.max_keepdim(D::Minus1)?)?.exp()?;
        let shares = exps.broadcast_div(&exps.sum_keepdim(D::Minus1)?)?;
        let context =
            shares.matmul(&heads("attention.self.value")?)?.transpose(0, 1)?.reshape((ids.len(), HIDDEN))?;
        x = norm(&(linear(&context, &name("attention.output.dense"))? + &x)?, &name("attention.output"))?;
        let inner = linear(&x, &name("intermediate.dense"))?.gelu_erf()?;
        x = norm(&(linear(&inner, &name("output.dense"))? + &x)?, &name("output"))?;
    }
    match variant.pooling {
        Pooling::Mean => x.mean(0)?.to_vec1(),
        Pooling::Cls => x.get(0)?.to_vec1(),
    }
}
