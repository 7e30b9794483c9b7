//! Text → token ids, and how many there are.
//!
//! Takes `tokenizer.json` as the model's makers ship it, but for its truncation and padding, which are switched off:
//! ours cuts at the model's limit, keeps the closing special token, and never pads. Special tokens are counted.

use std::path::Path;

use tokenizers::Tokenizer;

use super::EmbedError;

/// A model's tokenizer.
pub(super) struct Tokens {
    tokenizer: Tokenizer,
}

impl Tokens {
    /// Reads `tokenizer.json`.
    ///
    /// # Errors
    /// [`EmbedError::Tokenizer`].
    pub(super) fn open(path: &Path) -> Result<Self, EmbedError> {
        let mut tokenizer = Tokenizer::from_file(path).map_err(|error| EmbedError::Tokenizer {
            reason: format!("can't read `{}`: {error}", path.display()),
        })?;
        tokenizer.with_padding(None);
        tokenizer.with_truncation(None).map_err(refused)?;
        Ok(Self { tokenizer })
    }

    /// Ids of the whole text, uncut. A text that the tokenizer refuses counts its bytes: too many rather than too few.
    pub(super) fn count(&self, text: &str) -> usize {
        self.tokenizer.encode_fast(text, true).map_or(text.len(), |encoding| encoding.len())
    }

    /// The ids of a text, cut to `max_tokens` with the closing special token kept.
    ///
    /// # Errors
    /// [`EmbedError::Tokenizer`].
    pub(super) fn ids_within(&self, text: &str, max_tokens: usize) -> Result<Vec<u32>, EmbedError> {
        let encoding = self.tokenizer.encode_fast(text, true).map_err(refused)?;
        let mut ids = encoding.get_ids().to_vec();
        if ids.len() > max_tokens {
            let closing =
                ids.last().copied().filter(|_| encoding.get_special_tokens_mask().last() == Some(&1));
            ids.truncate(max_tokens);
            if let (Some(closing), Some(last)) = (closing, ids.last_mut()) {
                *last = closing;
            }
        }
        Ok(ids)
    }
}

fn refused(error: tokenizers::Error) -> EmbedError {
    EmbedError::Tokenizer { reason: error.to_string() }
}
