//! Our forward pass against the plain one, for every kind of kernel that this processor has.

use tempfile::TempDir;

use super::tiny::{self, MAX_TOKENS, Variant};
use super::{largest_difference, plain};
use crate::embed::kernels::Isa;
use crate::embed::{Bert, EmbedError, Embedder, Pooling, Sources, resolve};

/// Both passes round f32 in other orders; values are at most 1.
const TOLERANCE: f32 = 1e-5;

/// Linear layers in fixed point are off by some 1e-4 of a row's length each where rows are as short as here (`kernels/fixed.rs`).
const FIXED_TOLERANCE: f32 = 2e-4;

const TEXTS: [&str; 5] =
    ["blue boats", "", "harbour tide rope", "boat boat boat unknown rope tide tide blue blue boats", "tide"];

/// The ids of [`TEXTS`]: `[CLS]` is 2, `[SEP]` 3.
const IDS: [&[u32]; 5] =
    [&[2, 4, 5, 8, 3], &[2, 3], &[2, 6, 7, 9, 3], &[2, 5, 5, 5, 1, 9, 7, 7, 4, 4, 5, 8, 3], &[2, 7, 3]];

fn open(folder: &TempDir, variant: Variant, kernels: &str) -> Result<Bert, EmbedError> {
    let sources = Sources::new("unused").folder(folder.path());
    Bert::open_with_kernels(&resolve(&tiny::spec(variant), &sources, &mut |_| ())?, kernels)
}

#[test]
fn every_kernel_gives_what_the_plain_pass_gives() {
    let check = |variant: Variant| {
        let folder = TempDir::new().unwrap();
        let tensors = tiny::write(folder.path(), variant);
        for isa in Isa::available() {
            let model = open(&folder, variant, isa.name()).unwrap();
            let vectors = model.embed_documents(&TEXTS).unwrap();
            for (vector, ids) in vectors.iter().zip(IDS) {
                let difference = largest_difference(vector, &plain::embed(&tensors, variant, ids));
                let tolerance = if isa.name().ends_with("+i16") { FIXED_TOLERANCE } else { TOLERANCE };
                assert!(difference < tolerance, "{}: {ids:?} differs by {difference}", isa.name());
            }
        }
    };
    check(Variant::PLAIN);
    check(Variant { pooling: Pooling::Cls, ..Variant::PLAIN });
    check(Variant { prefix: "bert.", norm_names: ["gamma", "beta"], ..Variant::PLAIN });
    check(Variant { prefix: "roberta.", model_type: "xlm-roberta", ..Variant::PLAIN });
}

#[test]
fn a_vector_does_not_depend_on_its_batch() {
    let folder = TempDir::new().unwrap();
    tiny::write(folder.path(), Variant::PLAIN);
    let model = open(&folder, Variant::PLAIN, Isa::detect().name()).unwrap();
    let together = model.embed_documents(&TEXTS).unwrap();
    for (text, vector) in TEXTS.iter().zip(together) {
        let alone = &model.embed_documents(&[text]).unwrap()[0];
        assert!(largest_difference(alone, &vector) < TOLERANCE, "{text}");
    }
    assert!(model.embed_documents(&[]).unwrap().is_empty());
}

#[test]
fn a_query_has_its_prefix() {
    let folder = TempDir::new().unwrap();
    tiny::write(folder.path(), Variant::PLAIN);
    let model = open(&folder, Variant::PLAIN, Isa::detect().name()).unwrap();
    let query = model.embed_query("tide").unwrap();
    let document = &model.embed_documents(&["boat tide"]).unwrap()[0];
    assert!(largest_difference(&query, document) < TOLERANCE);
}

#[test]
fn the_tokenizer_s_own_cutting_and_padding_are_off() {
    let folder = TempDir::new().unwrap();
    let tensors = tiny::write(folder.path(), Variant::PLAIN);
    let model = open(&folder, Variant::PLAIN, Isa::detect().name()).unwrap();
    let long = "boat ".repeat(40);
    assert_eq!(model.count_tokens_batch(&["boat", &long]), [3, 42]);
    assert_eq!(model.max_tokens(), MAX_TOKENS);
    let mut ids = vec![5; MAX_TOKENS];
    (ids[0], ids[MAX_TOKENS - 1]) = (2, 3);
    let expected = plain::embed(&tensors, Variant::PLAIN, &ids);
    assert!(largest_difference(&model.embed_documents(&[&long]).unwrap()[0], &expected) < FIXED_TOLERANCE);
}

#[test]
fn broken_weights_are_an_error_and_not_a_vector() {
    let folder = TempDir::new().unwrap();
    let mut tensors = tiny::write(folder.path(), Variant::PLAIN);
    let bias = tensors.get_mut("encoder.layer.1.output.dense.bias").unwrap();
    *bias = (bias.clone() * f64::NAN).unwrap();
    candle_core::safetensors::save(&tensors, folder.path().join("model.safetensors")).unwrap();
    let model = open(&folder, Variant::PLAIN, Isa::detect().name()).unwrap();
    let error = model.embed_documents(&TEXTS).unwrap_err();
    assert!(matches!(error, EmbedError::NotFinite { .. }), "{error}");
}

#[test]
fn what_is_not_computed_is_refused_with_its_name() {
    let check = |file: &str, from: &str, to: &str, expected: &str| {
        let folder = TempDir::new().unwrap();
        tiny::write(folder.path(), Variant::PLAIN);
        let path = folder.path().join(file);
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.contains(from), "`{from}` is not in `{file}`");
        std::fs::write(&path, text.replace(from, to)).unwrap();
        let message =
            open(&folder, Variant::PLAIN, "portable").err().expect("it must be refused").to_string();
        assert!(message.contains(expected), "`{message}` lacks `{expected}`");
    };
    check("config.json", "\"bert\"", "\"t5\"", "model type `t5`");
    check("config.json", "\"gelu\"", "\"relu\"", "activation `relu`");
    check("config.json", "\"hidden_size\":32", "\"hidden_size\":30", "heads don't divide");
    check("config.json", "\"hidden_size\":32", "\"hidden_size\":64", "the manifest says 32");
    check("config.json", "\"num_hidden_layers\":2", "\"num_hidden_layers\":3", "encoder.layer.2.");
    check("config.json", "\"intermediate_size\":56", "\"intermediate_size\":48", "expected [48, 32]");
    check("tokenizer.json", "WordPiece", "Nothing", "tokenizer");
}
