//! An answer in a model's words, of which only what the passages support is kept.
//!
//! Takes a question and numbered passages; sends them, fenced as data, to the one endpoint that the operator configured; gives the
//! sentences whose `[n]` hold, each with the words of the passage that support it, and how many were dropped. It speaks OpenAI's chat
//! completions, as Ollama, LM Studio, llama.cpp and vLLM do. It searches nothing, chooses no endpoint and retries nothing.

mod endpoint;
mod prompt;
mod support;

pub use endpoint::{Draft, GenerateError, GenerateSettings, Generator, MAX_TIMEOUT};
pub use prompt::{Passage, estimate_tokens};
pub use support::{Kept, Sentence, keep};
