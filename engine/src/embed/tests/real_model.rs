//! The default model against vectors that onnxruntime made from the same weights.
//!
//! `WAYPOST_MODELS` names the cache; where it doesn't hold the model the tests say so and do nothing.

use serde::Deserialize;

use super::{cosine, largest_difference};
use crate::embed::kernels::Isa;
use crate::embed::{Bert, Embedder, Manifest, Resolved, Sources, resolve};

/// Made by `benches/peers/reference_vectors.py`.
const REFERENCE: &str = include_str!("../fixtures/reference.json");

/// Rounding of f32 in another order, and the fixture's six digits.
const LEAST_COSINE: f64 = 0.999_99;

#[derive(Deserialize)]
struct Reference {
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    text: String,
    n_tokens: usize,
    vector: Vec<f32>,
}

fn reference() -> Vec<Case> {
    serde_json::from_str::<Reference>(REFERENCE).unwrap().cases
}

/// The default model, or none where it isn't here.
fn model() -> Option<Resolved> {
    let resolved = std::env::var_os("WAYPOST_MODELS").and_then(|cache| {
        resolve(Manifest::built_in().default_model(), &Sources::new(cache), &mut |_| ()).ok()
    });
    if resolved.is_none() {
        println!("skipped: the default model is not in the cache named by WAYPOST_MODELS");
    }
    resolved
}

#[test]
fn every_kernel_agrees_with_onnxruntime() {
    let Some(resolved) = model() else { return };
    for isa in Isa::available() {
        let model = Bert::open_with_kernels(&resolved, isa.name()).unwrap();
        for case in reference() {
            let vector = model.embed_query(&case.text).unwrap();
            let cosine = cosine(&vector, &case.vector);
            assert!(cosine > LEAST_COSINE, "{}: cosine {cosine} for {:?}", isa.name(), case.text);
            assert_eq!(
                model.count_tokens(&case.text).min(model.max_tokens()),
                case.n_tokens,
                "{:?}",
                case.text
            );
        }
    }
}

#[test]
fn a_batch_gives_what_single_texts_give() {
    let Some(resolved) = model() else { return };
    let model = Bert::open(&resolved).unwrap();
    let cases = reference();
    let texts: Vec<&str> = cases.iter().map(|case| case.text.as_str()).collect();
    for (text, vector) in texts.iter().zip(model.embed_documents(&texts).unwrap()) {
        let difference = largest_difference(&vector, &model.embed_query(text).unwrap());
        assert!(difference < 1e-5, "{text:?} differs by {difference}");
    }
}
