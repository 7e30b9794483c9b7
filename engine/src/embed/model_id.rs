use std::fmt;

use sha2::{Digest, Sha256};

use super::EmbedError;
use super::manifest::{ModelSpec, Pooling, is_sha256};

/// Version of our own computing: raised when the same weights give other vectors than before.
const RECIPE: u32 = 1;

/// Hex digits of the fingerprint that are shown.
const SHOWN_DIGITS: usize = 16;

/// Which vectors these are: a model's name and a fingerprint of all that shapes its vectors.
///
/// Shown as `all-minilm-l6-v2@` and the first hex digits of the fingerprint.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ModelId {
    name: String,
    weights_sha256: String,
    fingerprint: String,
}

impl ModelId {
    /// The id of `spec` with files of these hashes (SHA-256, lower-case hex).
    ///
    /// # Errors
    /// [`EmbedError::Manifest`] where a hash isn't one.
    pub fn new(spec: &ModelSpec, weights_sha256: &str, tokenizer_sha256: &str) -> Result<Self, EmbedError> {
        if let Some(wrong) = [weights_sha256, tokenizer_sha256].into_iter().find(|hash| !is_sha256(hash)) {
            return Err(EmbedError::Manifest {
                reason: format!("`{wrong}` isn't a SHA-256 in lower-case hex"),
            });
        }
        let pooling = match spec.pooling {
            Pooling::Mean => "mean",
            Pooling::Cls => "cls",
        };
        // Lengths keep neighbouring fields apart: no two recipes give the same bytes.
        let (query, document) = (&spec.query_prefix, &spec.document_prefix);
        let recipe = format!(
            "{RECIPE}\n{weights_sha256}\n{tokenizer_sha256}\n{pooling}\n{}\n{}:{query}\n{}:{document}",
            spec.max_tokens,
            query.len(),
            document.len(),
        );
        Ok(Self {
            name: spec.name.clone(),
            weights_sha256: weights_sha256.to_owned(),
            fingerprint: hex(&Sha256::digest(recipe.as_bytes())),
        })
    }

    /// The name in the manifest.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// SHA-256 of the weight file, hex.
    pub fn weights_sha256(&self) -> &str {
        &self.weights_sha256
    }

    /// SHA-256, hex, over the hashes of weights and tokenizer, pooling, token limit, prefixes and our recipe's version.
    pub fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.name, &self.fingerprint[..SHOWN_DIGITS])
    }
}

/// Bytes in lower-case hex.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
