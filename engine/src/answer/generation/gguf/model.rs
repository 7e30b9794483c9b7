//! The model itself: its weights, its tokenizer, and one word after the other.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};

use candle_core::quantized::gguf_file::Content;
use candle_core::{Device, Tensor};
use candle_transformers::models::{quantized_llama, quantized_qwen2, quantized_qwen3};
use tokenizers::Tokenizer;

use super::super::GenerateError;
use super::super::running::Event;
use super::template::{self, Template};
use super::{Job, unusable};

/// Tokens of question and answer at most; a llama has places for no more.
const MAX_CONTEXT: usize = quantized_llama::MAX_SEQ_LEN;
/// Tokens of a question that are read at once; between two such parts it is looked at whether somebody still waits.
const MAX_PART: usize = 128;

/// A model that is loaded.
pub(super) struct Model {
    path: PathBuf,
    weights: Weights,
    tokenizer: Tokenizer,
    template: Template,
    /// What begins every text.
    begin: Option<u32>,
    /// What ends an answer.
    ends: Vec<u32>,
    max_context: usize,
}

/// By architecture.
enum Weights {
    Llama(quantized_llama::ModelWeights),
    Qwen2(quantized_qwen2::ModelWeights),
    Qwen3(quantized_qwen3::ModelWeights),
}

impl Model {
    /// Reads the whole model into memory.
    ///
    /// # Errors
    /// [`GenerateError::Model`].
    pub(super) fn load(path: &Path, tokenizer_path: &Path) -> Result<Self, GenerateError> {
        let in_tokenizer = |error: tokenizers::Error| unusable(tokenizer_path, error);
        let mut tokenizer = Tokenizer::from_file(tokenizer_path).map_err(in_tokenizer)?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(in_tokenizer)?;
        tokenizer.set_encode_special_tokens(true);
        let mut reader = BufReader::new(File::open(path).map_err(|error| unusable(path, error))?);
        let content = Content::read(&mut reader).map_err(|error| unusable(path, error))?;
        let text = |key: &str| content.metadata.get(key).and_then(|value| value.to_string().ok()).cloned();
        let number = |key: &str| content.metadata.get(key).and_then(|value| value.to_u32().ok());
        let architecture = text("general.architecture").unwrap_or_default();
        let max_context =
            number(&format!("{architecture}.context_length")).map_or(MAX_CONTEXT, |n| n as usize);
        let template = Template::of(&text("tokenizer.chat_template").unwrap_or_default(), &tokenizer);
        let begin = number("tokenizer.ggml.bos_token_id");
        let mut ends = template::ends(&tokenizer);
        ends.extend(number("tokenizer.ggml.eos_token_id"));
        let weights =
            Weights::load(&architecture, content, &mut reader).map_err(|error| unusable(path, error))?;
        let max_context = max_context.min(MAX_CONTEXT);
        Ok(Self { path: path.to_owned(), weights, tokenizer, template, begin, ends, max_context })
    }

    /// Writes the answer to a job; gives how many tokens it took with its question.
    ///
    /// # Errors
    /// [`GenerateError`].
    pub(super) fn write(&mut self, job: &Job) -> Result<Option<u64>, GenerateError> {
        let question = self.encode(job)?;
        let unusable = |error: candle_core::Error| unusable(&self.path, error);
        self.weights.forget();
        let mut word = None;
        let mut place = 0;
        while place < question.len() {
            job.check()?;
            let part = &question[place..place + part_length(question.len() - place)];
            word = Some(self.weights.next_word(part, place).map_err(unusable)?);
            place += part.len();
            job.tell(Event::Alive)?;
        }
        let mut text = self.tokenizer.decode_stream(true);
        let mut n_words = 0;
        while let Some(next) = word.filter(|next| !self.ends.contains(next)) {
            n_words += 1;
            let piece = text.step(next).map_err(|error| super::unusable(&self.path, error))?;
            job.tell(piece.map_or(Event::Alive, Event::Text))?;
            if n_words >= job.max_tokens || place >= self.max_context {
                break;
            }
            job.check()?;
            word = Some(self.weights.next_word(&[next], place).map_err(unusable)?);
            place += 1;
        }
        self.weights.forget();
        Ok(Some((question.len() + n_words) as u64))
    }

    /// The question with as many passages as the model takes.
    fn encode(&self, job: &Job) -> Result<Vec<u32>, GenerateError> {
        let max_question = self.max_context - job.max_tokens.min(self.max_context / 2);
        let mut n_tokens = 0;
        for user in &job.users {
            let ids = self.template.encode(&self.tokenizer, self.begin, job.system, user);
            let ids = ids.map_err(|error| unusable(&self.path, error))?;
            if (1..=max_question).contains(&ids.len()) {
                return Ok(ids);
            }
            n_tokens = ids.len();
        }
        let why =
            format!("it takes {max_question} tokens, and the question has {n_tokens} with one passage alone");
        Err(unusable(&self.path, why))
    }
}

impl Weights {
    fn load(architecture: &str, content: Content, reader: &mut BufReader<File>) -> candle_core::Result<Self> {
        let device = &Device::Cpu;
        Ok(match architecture {
            "llama" => Self::Llama(quantized_llama::ModelWeights::from_gguf(content, reader, device)?),
            "qwen2" => Self::Qwen2(quantized_qwen2::ModelWeights::from_gguf(content, reader, device)?),
            "qwen3" => Self::Qwen3(quantized_qwen3::ModelWeights::from_gguf(content, reader, device)?),
            other => {
                candle_core::bail!("its architecture is `{other}`, expected `llama`, `qwen2` or `qwen3`")
            }
        })
    }

    /// The likeliest word after these tokens, the first of which has this place in the text.
    fn next_word(&mut self, tokens: &[u32], place: usize) -> candle_core::Result<u32> {
        let tokens = Tensor::new(tokens, &Device::Cpu)?.unsqueeze(0)?;
        let likelihoods = match self {
            Self::Llama(weights) => weights.forward(&tokens, place),
            Self::Qwen2(weights) => weights.forward(&tokens, place),
            Self::Qwen3(weights) => weights.forward(&tokens, place),
        }?;
        likelihoods.flatten_all()?.argmax(0)?.to_scalar()
    }

    /// Forgets the text before.
    fn forget(&mut self) {
        match self {
            Self::Llama(weights) => weights.clear_kv_cache(),
            Self::Qwen2(weights) => weights.clear_kv_cache(),
            Self::Qwen3(weights) => weights.clear_kv_cache(),
        }
    }
}

/// How much of what is left is read at once: a power of two, because a model keeps a mask for each length at each place.
fn part_length(n_left: usize) -> usize {
    MAX_PART.min(1 << n_left.ilog2())
}
