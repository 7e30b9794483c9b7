//! An answer in a model's words, of which only what the passages support is kept.
//!
//! Takes a question and numbered passages, and lets a [`Generator`] write over them: a model of the one endpoint that the operator
//! configured (`endpoint`: OpenAI's chat completions, as Ollama, LM Studio, llama.cpp and vLLM speak them), or one that runs in this
//! process (`gguf`, a feature). Passages go as data, fenced. A [`Checker`] reads the draft as it comes and gives the sentences whose
//! `[n]` hold, each with the words of the passage that support it, and how many were dropped. It searches nothing, chooses no
//! generator and retries nothing.

mod checking;
mod completion;
mod endpoint;
mod error;
#[cfg(feature = "gguf")]
mod gguf;
mod marks;
mod prompt;
mod running;
mod settings;
mod support;

use std::fmt;

pub use checking::{Checker, Kept, Sentence, keep};
pub use error::GenerateError;
pub use prompt::{Passage, Prompt};
pub use running::{Limits, Running};
pub use settings::{GenerateSettings, Generators, MAX_TIMEOUT, MAX_UNSTREAMED, ModelFile};

/// Whatever writes answers.
pub trait Generator: fmt::Debug + Send + Sync {
    /// As it is asked for, such as `openai:llama3.2`.
    fn name(&self) -> &str;

    /// Begins a draft; it is written while the caller reads it.
    ///
    /// # Errors
    /// [`GenerateError::Busy`], and where no thread can be had.
    fn start(&self, prompt: &Prompt<'_>, limits: &Limits) -> Result<Running, GenerateError>;
}
