//! A tiny encoder with weights from a fixed seed, written to a folder as a real one is.

use std::collections::HashMap;
use std::fs;
use std::path::Path;

use candle_core::{Device, Tensor};

use crate::embed::{Manifest, ModelSpec, Pooling};

pub(super) const HIDDEN: usize = 32;
pub(super) const LAYERS: usize = 2;
pub(super) const HEADS: usize = 4;
pub(super) const INTERMEDIATE: usize = 56;
pub(super) const POSITIONS: usize = 24;
pub(super) const MAX_TOKENS: usize = 16;
pub(super) const EPS: f64 = 1e-12;
pub(super) const WORDS: [&str; 10] =
    ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "blue", "boat", "harbour", "tide", "##s", "rope"];

/// How a variant of the tiny model differs from the plain one.
#[derive(Clone, Copy)]
pub(super) struct Variant {
    pub(super) pooling: Pooling,
    /// Put before each tensor's name.
    pub(super) prefix: &'static str,
    pub(super) model_type: &'static str,
    /// Names of a layer norm's tensors.
    pub(super) norm_names: [&'static str; 2],
}

impl Variant {
    pub(super) const PLAIN: Self =
        Self { pooling: Pooling::Mean, prefix: "", model_type: "bert", norm_names: ["weight", "bias"] };

    /// Rows of the position table that no token takes.
    pub(super) fn position_offset(self) -> usize {
        if self.model_type == "bert" { 0 } else { 2 }
    }
}

/// The tensors, under their names without prefix.
pub(super) type Tensors = HashMap<String, Tensor>;

/// Writes the model into `folder`; gives its tensors.
pub(super) fn write(folder: &Path, variant: Variant) -> Tensors {
    let tensors = tensors(variant);
    let [weight, bias] = variant.norm_names;
    let named: HashMap<String, Tensor> = tensors
        .iter()
        .map(|(name, tensor)| {
            let name = name.replace("LayerNorm.weight", &format!("LayerNorm.{weight}"));
            let name = name.replace("LayerNorm.bias", &format!("LayerNorm.{bias}"));
            (format!("{}{name}", variant.prefix), tensor.clone())
        })
        .collect();
    fs::create_dir_all(folder).unwrap();
    candle_core::safetensors::save(&named, folder.join("model.safetensors")).unwrap();
    let config = serde_json::json!({
        "model_type": variant.model_type, "hidden_size": HIDDEN, "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS, "intermediate_size": INTERMEDIATE, "vocab_size": WORDS.len(),
        "max_position_embeddings": POSITIONS + variant.position_offset(), "layer_norm_eps": EPS,
        "hidden_act": "gelu", "pad_token_id": 1,
    });
    fs::write(folder.join("config.json"), config.to_string()).unwrap();
    fs::write(folder.join("tokenizer.json"), tokenizer().to_string()).unwrap();
    tensors
}

/// The manifest's entry for it, with nothing pinned.
pub(super) fn spec(variant: Variant) -> ModelSpec {
    let pooling = match variant.pooling {
        Pooling::Mean => "mean",
        Pooling::Cls => "cls",
    };
    let manifest = format!(
        r#"
        [[model]]
        name = "tiny"
        default = true
        hub = "nobody/tiny"
        revision = "main"
        license = "CC0-1.0"
        languages = ["en"]
        dim = {HIDDEN}
        pooling = "{pooling}"
        max_tokens = {MAX_TOKENS}
        query_prefix = "boat "
        document_prefix = ""
        files = [{{ name = "config.json" }}, {{ name = "tokenizer.json" }}, {{ name = "model.safetensors" }}]
        "#
    );
    Manifest::parse(&manifest).unwrap().default_model().clone()
}

fn tensors(variant: Variant) -> Tensors {
    let mut seed = Seed(7);
    let mut tensors = Tensors::new();
    let mut add = |name: String, shape: &[usize], scale: f32, shift: f32| {
        let values: Vec<f32> = (0..shape.iter().product()).map(|_| shift + scale * seed.next()).collect();
        tensors.insert(name, Tensor::from_vec(values, shape, &Device::Cpu).unwrap());
    };
    let rows = [
        ("word", WORDS.len()),
        ("position", POSITIONS + variant.position_offset()),
        ("token_type", if variant.model_type == "bert" { 2 } else { 1 }),
    ];
    for (kind, n_rows) in rows {
        add(format!("embeddings.{kind}_embeddings.weight"), &[n_rows, HIDDEN], 1.0, 0.0);
    }
    let linears = [
        ("attention.self.query", HIDDEN, HIDDEN),
        ("attention.self.key", HIDDEN, HIDDEN),
        ("attention.self.value", HIDDEN, HIDDEN),
        ("attention.output.dense", HIDDEN, HIDDEN),
        ("intermediate.dense", HIDDEN, INTERMEDIATE),
        ("output.dense", INTERMEDIATE, HIDDEN),
    ];
    let mut norms = vec!["embeddings".to_owned()];
    for layer in 0..LAYERS {
        for (part, n_in, n_out) in linears {
            add(format!("encoder.layer.{layer}.{part}.weight"), &[n_out, n_in], 0.4, 0.0);
            add(format!("encoder.layer.{layer}.{part}.bias"), &[n_out], 0.1, 0.0);
        }
        norms.extend(["attention.output", "output"].map(|part| format!("encoder.layer.{layer}.{part}")));
    }
    for norm in norms {
        add(format!("{norm}.LayerNorm.weight"), &[HIDDEN], 0.2, 1.0);
        add(format!("{norm}.LayerNorm.bias"), &[HIDDEN], 0.1, 0.0);
    }
    tensors
}

/// A tokenizer of whole words and `##s`; it asks for cutting and padding to 8, which must not happen.
fn tokenizer() -> serde_json::Value {
    let vocabulary: serde_json::Map<String, serde_json::Value> =
        WORDS.iter().enumerate().map(|(id, word)| ((*word).to_owned(), id.into())).collect();
    let special = |id: usize| {
        serde_json::json!({ "id": id, "content": WORDS[id], "special": true, "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false })
    };
    let mark = |id: usize| serde_json::json!({ "SpecialToken": { "id": WORDS[id], "type_id": 0 } });
    let described = |id: usize| serde_json::json!({ "id": WORDS[id], "ids": [id], "tokens": [WORDS[id]] });
    serde_json::json!({
        "version": "1.0",
        "truncation": { "max_length": 8, "strategy": "LongestFirst", "stride": 0, "direction": "Right" },
        "padding": { "strategy": { "Fixed": 8 }, "direction": "Right", "pad_to_multiple_of": null, "pad_id": 0,
            "pad_type_id": 0, "pad_token": "[PAD]" },
        "added_tokens": [special(0), special(1), special(2), special(3)],
        "normalizer": null,
        "pre_tokenizer": { "type": "Whitespace" },
        "post_processor": { "type": "TemplateProcessing",
            "single": [mark(2), { "Sequence": { "id": "A", "type_id": 0 } }, mark(3)],
            "pair": [mark(2), { "Sequence": { "id": "A", "type_id": 0 } }, mark(3),
                { "Sequence": { "id": "B", "type_id": 1 } }, mark(3)],
            "special_tokens": { "[CLS]": described(2), "[SEP]": described(3) } },
        "decoder": null,
        "model": { "type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100, "vocab": vocabulary }
    })
}

/// Numbers in [-1, 1) by a linear congruential generator (Knuth's MMIX constants).
struct Seed(u64);

impl Seed {
    fn next(&mut self) -> f32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }
}
