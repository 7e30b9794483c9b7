//! Answers by a model in this process: a tiny llama with random weights, which can say nothing that is true.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{Device, Tensor};
use serde_json::json;
use tempfile::TempDir;
use waypost_engine::api::{AskReply, AskRequest, Engine, EngineOptions, GenerateSettings, ModelFile};
use waypost_engine::embed::Embedder;

use crate::house::{WordTable, files, index, name, write};

const FILES: &str = "
//- invoices.md
Invoices are kept for ten years in the archive.
";
const WORDS: usize = 64;
const WIDTH: usize = 32;
const INNER: usize = 64;
const HEADS: usize = 2;

/// Numbers that look random and are the same each time.
struct Seed(u32);

impl Seed {
    fn tensor(&mut self, shape: &[usize]) -> QTensor {
        let numbers: Vec<f32> = (0..shape.iter().product::<usize>())
            .map(|_| {
                self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (self.0 >> 8) as f32 / (1u32 << 24) as f32 - 0.5
            })
            .collect();
        let tensor = Tensor::from_vec(numbers, shape, &Device::Cpu).unwrap();
        QTensor::quantize(&tensor, GgmlDType::F32).unwrap()
    }
}

/// Writes a llama of one layer, under another architecture's name where one is given.
fn write_model(path: &Path, architecture: &str) {
    let mut seed = Seed(7);
    let tensors: Vec<(&str, QTensor)> = [
        ("token_embd.weight", vec![WORDS, WIDTH]),
        ("output_norm.weight", vec![WIDTH]),
        ("output.weight", vec![WORDS, WIDTH]),
        ("blk.0.attn_q.weight", vec![WIDTH, WIDTH]),
        ("blk.0.attn_k.weight", vec![WIDTH, WIDTH]),
        ("blk.0.attn_v.weight", vec![WIDTH, WIDTH]),
        ("blk.0.attn_output.weight", vec![WIDTH, WIDTH]),
        ("blk.0.attn_norm.weight", vec![WIDTH]),
        ("blk.0.ffn_norm.weight", vec![WIDTH]),
        ("blk.0.ffn_gate.weight", vec![INNER, WIDTH]),
        ("blk.0.ffn_up.weight", vec![INNER, WIDTH]),
        ("blk.0.ffn_down.weight", vec![WIDTH, INNER]),
    ]
    .into_iter()
    .map(|(name, shape)| (name, seed.tensor(&shape)))
    .collect();
    let number = |n: usize| Value::U32(n as u32);
    let metadata = BTreeMap::from([
        ("general.architecture", Value::String(architecture.to_owned())),
        ("llama.attention.head_count", number(HEADS)),
        ("llama.attention.head_count_kv", number(HEADS)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
        ("llama.block_count", number(1)),
        ("llama.context_length", number(2048)),
        ("llama.embedding_length", number(WIDTH)),
        ("llama.feed_forward_length", number(INNER)),
        ("llama.rope.dimension_count", number(WIDTH / HEADS)),
    ]);
    let metadata: Vec<(&str, &Value)> = metadata.iter().map(|(name, value)| (*name, value)).collect();
    let tensors: Vec<(&str, &QTensor)> = tensors.iter().map(|(name, tensor)| (*name, tensor)).collect();
    gguf_file::write(&mut File::create(path).unwrap(), &metadata, &tensors).unwrap();
}

/// Words that stand in no file; every other one is unknown.
fn write_tokenizer(path: &Path) {
    let words = (1..WORDS).map(|n| (format!("zz{n}"), n)).chain([("[UNK]".to_owned(), 0)]);
    let tokenizer = json!({
        "version": "1.0", "truncation": null, "padding": null, "added_tokens": [], "normalizer": null,
        "pre_tokenizer": {"type": "Whitespace"}, "post_processor": null, "decoder": null,
        "model": {"type": "WordLevel", "vocab": words.collect::<BTreeMap<String, usize>>(), "unk_token": "[UNK]"},
    });
    std::fs::write(path, tokenizer.to_string()).unwrap();
}

struct Asking {
    folder: TempDir,
}

impl Asking {
    /// With a model's files beside the home.
    fn new(architecture: &str) -> Self {
        let folder = TempDir::new().unwrap();
        write_model(&folder.path().join("tiny.gguf"), architecture);
        write_tokenizer(&folder.path().join("tokenizer.json"));
        for (path, text) in files(FILES) {
            write(&folder.path().join("home/workspaces/w"), &path, text.as_bytes());
        }
        Self { folder }
    }

    fn open(&self, max_tokens: u32, timeout: Duration) -> Result<Arc<Engine>, waypost_engine::api::Error> {
        let file = ModelFile {
            name: "tiny".to_owned(),
            model: self.folder.path().join("tiny.gguf"),
            tokenizer: None,
        };
        let settings =
            GenerateSettings { files: vec![file], max_tokens, timeout, ..GenerateSettings::default() };
        let options = EngineOptions::new(self.folder.path().join("home"))
            .embedder(Some(Arc::new(WordTable::new()) as Arc<dyn Embedder>))
            .generate(Some(settings));
        Engine::open(options).map(Arc::new)
    }

    /// The answer of a home that has just been opened.
    fn ask(&self, max_tokens: u32, timeout: Duration) -> AskReply {
        let engine = self.open(max_tokens, timeout).unwrap();
        engine.create_workspace(&name()).unwrap();
        index(&engine);
        ask(&engine)
    }
}

fn ask(engine: &Arc<Engine>) -> AskReply {
    let request = AskRequest {
        question: "How long are invoices kept in the archive?".to_owned(),
        generator: Some("gguf:tiny".to_owned()),
        ..AskRequest::default()
    };
    engine.owner_session().ask(&request).unwrap()
}

/// That an answer is quotes in the end, and says why.
#[track_caller]
fn fell_back(reply: &AskReply, why: &str) {
    assert_eq!(reply.generator, "extractive", "{reply:?}");
    assert!(reply.answer.contains("Invoices are kept for ten years"), "{reply:?}");
    let degraded = reply.index.degraded.iter().find(|degraded| degraded.stage == "generator").unwrap();
    assert!(degraded.reason.contains(why), "{}", degraded.reason);
}

const LONG: Duration = Duration::from_secs(20);

#[test]
fn what_a_model_makes_up_is_dropped_and_the_answer_is_quotes() {
    let asking = Asking::new("llama");
    let engine = asking.open(24, LONG).unwrap();
    engine.create_workspace(&name()).unwrap();
    index(&engine);
    for _ in 0..2 {
        let begun = Instant::now();
        let reply = ask(&engine);
        assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
        fell_back(&reply, "nothing of what `gguf:tiny` wrote is supported");
        assert!(reply.dropped_sentences.is_some_and(|n_dropped| n_dropped > 0), "{reply:?}");
    }
    let usage = engine.owner_session().usage(&waypost_engine::api::UsageRequest::default()).unwrap();
    assert!(usage.total.used.of(waypost_engine::budget::Unit::Tokens) > 48, "{usage:?}");
}

#[test]
fn a_draft_ends_at_its_deadline() {
    let reply = Asking::new("llama").ask(8192, Duration::from_millis(1));
    fell_back(&reply, "no complete answer within 1ms");
}

#[test]
fn a_wrong_file_is_told() {
    let reply = Asking::new("mamba").ask(24, LONG);
    fell_back(&reply, "the model file `tiny.gguf` can't be used: its architecture is `mamba`");

    let asking = Asking::new("llama");
    let model = asking.folder.path().join("tiny.gguf");
    let whole = std::fs::read(&model).unwrap();
    std::fs::write(&model, &whole[..whole.len() / 2]).unwrap();
    fell_back(&asking.ask(24, LONG), "the model file `tiny.gguf` can't be used");
    let refused = |asking: &Asking| asking.open(24, LONG).map(drop).unwrap_err().to_string();
    std::fs::write(&model, "no model").unwrap();
    assert!(refused(&asking).contains("expected the path of a GGUF file as `model`"), "{}", refused(&asking));
    std::fs::write(&model, &whole).unwrap();
    std::fs::remove_file(asking.folder.path().join("tokenizer.json")).unwrap();
    assert!(refused(&asking).contains("`tokenizer.json` beside it"), "{}", refused(&asking));
}
