//! Checked names for the things that every room passes around.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// A name or path that can't be one.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
pub enum IdError {
    /// The workspace name has a character outside the allowed set, or the wrong length.
    #[error(
        "`{name}` is not a workspace name: expected 1 to 64 of `a-z A-Z 0-9 . _ -`, first a letter or digit"
    )]
    WorkspaceName {
        /// What was given.
        name: String,
    },
    /// The path breaks a rule of `/<workspace>/<folders>/<file>`.
    #[error("`{path}` is not a path here: {expected}")]
    Path {
        /// What was given, cut to 200 characters.
        path: String,
        /// The rule that it breaks.
        expected: &'static str,
    },
    /// Not 64 hexadecimal digits.
    #[error("`{text}` is not a version: expected 64 hexadecimal digits")]
    Version {
        /// What was given.
        text: String,
    },
}

/// The name of a workspace, the first segment of each path in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct WorkspaceName(String);

impl WorkspaceName {
    /// Checks a name.
    ///
    /// # Errors
    /// [`IdError::WorkspaceName`] where it is empty, longer than 64, or has another character than `a-z A-Z 0-9 . _ -`.
    pub fn new(name: &str) -> Result<Self, IdError> {
        let first = name.chars().next().is_some_and(|c| c.is_ascii_alphanumeric());
        let rest = name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'));
        if first && rest && name.len() <= 64 {
            Ok(Self(name.to_owned()))
        } else {
            Err(IdError::WorkspaceName { name: name.chars().take(80).collect() })
        }
    }

    /// The nearest valid name for a folder called `text`: other characters become `-`.
    pub fn from_folder(text: &str) -> Self {
        let cleaned: String = text
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' })
            .take(64)
            .collect();
        let cleaned = cleaned.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
        Self(if cleaned.is_empty() { "workspace".to_owned() } else { cleaned.to_owned() })
    }

    /// The name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for WorkspaceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A path inside a workspace, without the workspace and without a leading slash: `drafts/post.md`.
///
/// UTF-8, NFC, `/`-separated; the empty path is the workspace's root.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, schemars::JsonSchema)]
#[serde(transparent)]
pub struct RelPath(String);

impl RelPath {
    /// Checks a path below a workspace's root; `""` and `/` name the root.
    ///
    /// # Errors
    /// [`IdError::Path`] for `.` and `..` segments, empty segments, control characters, back slashes,
    /// names over 255 bytes and paths over 4,096 bytes.
    pub fn new(text: &str) -> Result<Self, IdError> {
        use unicode_normalization::UnicodeNormalization;
        let refuse = |expected| Err(IdError::Path { path: text.chars().take(200).collect(), expected });
        let composed = if text.is_ascii() { Cow::Borrowed(text) } else { Cow::Owned(text.nfc().collect()) };
        let inner = composed.strip_prefix('/').unwrap_or(&composed);
        let inner = inner.strip_suffix('/').unwrap_or(inner);
        if inner.len() > 4096 {
            return refuse("at most 4096 bytes");
        }
        if inner.is_empty() {
            return Ok(Self(String::new()));
        }
        for segment in inner.split('/') {
            match segment {
                "" => return refuse("no empty segment"),
                "." | ".." => return refuse("no `.` or `..` segment"),
                _ if segment.len() > 255 => return refuse("names of at most 255 bytes"),
                _ if segment.contains('\\') => return refuse("`/` as the separator, never `\\`"),
                _ if segment.chars().any(char::is_control) => return refuse("no control character"),
                _ => {}
            }
        }
        Ok(Self(inner.to_owned()))
    }

    /// The workspace's root.
    pub fn root() -> Self {
        Self(String::new())
    }

    /// The path of a name in this folder; the name is one segment of a checked path.
    pub fn join(&self, name: &str) -> Self {
        if self.is_root() { Self(name.to_owned()) } else { Self(format!("{}/{name}", self.0)) }
    }

    /// The path as text, `""` for the root.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether this is the workspace's root.
    pub fn is_root(&self) -> bool {
        self.0.is_empty()
    }

    /// The last segment.
    pub fn file_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or(&self.0)
    }

    /// Whether the path names something that no workspace shows, or lies in it; see [`is_private_name`].
    pub fn is_hidden(&self) -> bool {
        self.0.split('/').any(is_private_name)
    }

    /// The folder that holds it; `None` for the root.
    pub fn parent(&self) -> Option<Self> {
        if self.is_root() {
            return None;
        }
        Some(Self(self.0.rsplit_once('/').map_or("", |(folder, _)| folder).to_owned()))
    }

    /// Whether `folder` is this path, or a folder above it.
    pub fn is_below(&self, folder: &Self) -> bool {
        folder.is_root()
            || self == folder
            || self.0.strip_prefix(folder.as_str()).is_some_and(|rest| rest.starts_with('/'))
    }

    /// Whether one of its names is one that a home may have; see [`is_home_name`].
    pub fn names_home(&self) -> bool {
        self.0.split('/').any(is_home_name)
    }

    /// The same name for every spelling that differs only in case or form: two files never share one.
    pub fn key(&self) -> String {
        fold(&self.0)
    }
}

/// Names of Waypost's own folder, of files on their way into the tree, and of git's database, in any case: nothing
/// that agents share, and what is written there could run as a program.
pub fn is_private_name(name: &str) -> bool {
    let name = name.trim_end_matches(['.', ' ']);
    name.eq_ignore_ascii_case(".git")
        || name.get(..8).is_some_and(|start| {
            start.eq_ignore_ascii_case(".waypost") && !name[8..].eq_ignore_ascii_case("ignore")
        })
}

/// Names that belong to a home where they stand beside its `.waypost`, in any case: the settings, which say what programs
/// are started, and the folder of workspaces, whose files have paths of their own. No workspace that holds a home shows them.
pub fn is_home_name(name: &str) -> bool {
    let name = name.trim_end_matches(['.', ' ']);
    name.starts_with(['w', 'W']) && matches!(fold(name).as_str(), "waypost.toml" | "workspaces")
}

/// Names of files that say what to leave out, or hold secrets of programs: they can be read, and are not indexed.
pub fn is_unsearched_name(name: &str) -> bool {
    is_ignore_name(name) || is_secrets_name(name)
}

/// Names of files that say what to leave out.
pub fn is_ignore_name(name: &str) -> bool {
    matches!(name, ".gitignore" | ".ignore" | ".waypostignore")
}

/// Names of files that hold secrets of programs.
pub fn is_secrets_name(name: &str) -> bool {
    matches!(name, ".env" | ".envrc") || name.starts_with(".env.")
}

/// Text without case and in composed form (NFC), for comparing names. Each character is folded alone (simple case folding,
/// Unicode, section 5.18), so that a part of a name folds as it does within the whole: `ß` stays one letter, `Σ`, `σ`
/// and `ς` are the same anywhere.
pub fn fold(text: &str) -> String {
    use unicode_normalization::UnicodeNormalization;
    text.nfc().map(fold_char).nfc().collect()
}

fn fold_char(c: char) -> char {
    if c.is_ascii() {
        return c.to_ascii_lowercase();
    }
    let mut upper = c.to_uppercase();
    let upper = if upper.len() == 1 { upper.next().unwrap_or(c) } else { c };
    let mut lower = upper.to_lowercase();
    if lower.len() == 1 { lower.next().unwrap_or(c) } else { c }
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Splits `/<workspace>/<rest>` into its checked halves.
///
/// # Errors
/// [`IdError`] where either half breaks its rules.
pub fn split_path(path: &str) -> Result<(WorkspaceName, RelPath), IdError> {
    let inner = path.strip_prefix('/').unwrap_or(path);
    let (workspace, rest) = inner.split_once('/').unwrap_or((inner, ""));
    if rest.starts_with('/') {
        return Err(IdError::Path { path: path.chars().take(200).collect(), expected: "no empty segment" });
    }
    let name = WorkspaceName::new(workspace)?;
    let below = RelPath::new(rest).map_err(|error| match error {
        // Told as it was given, with its workspace.
        IdError::Path { expected, .. } => IdError::Path { path: path.chars().take(200).collect(), expected },
        error => error,
    })?;
    Ok((name, below))
}

/// `/<workspace>/<path>`, for the root `/<workspace>`.
pub fn join_path(workspace: &WorkspaceName, path: &RelPath) -> String {
    if path.is_root() { format!("/{workspace}") } else { format!("/{workspace}/{path}") }
}

/// The catalog's number of a workspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkspaceId(pub i64);

impl fmt::Display for WorkspaceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ws_{:06}", self.0)
    }
}

/// The catalog's number of a file; stable over edits, new for each new path.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FileId(pub u64);

/// The BLAKE3 hash of a file's bytes.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VersionId([u8; 32]);

impl VersionId {
    /// Hashes bytes.
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// Of bytes that could not be read; no bytes have it.
    pub const UNKNOWN: Self = Self([0; 32]);

    /// Reads 64 hexadecimal digits.
    ///
    /// # Errors
    /// [`IdError::Version`] for anything else.
    pub fn parse(text: &str) -> Result<Self, IdError> {
        blake3::Hash::from_hex(text)
            .map(|hash| Self(*hash.as_bytes()))
            .map_err(|_| IdError::Version { text: text.chars().take(80).collect() })
    }

    /// From the 32 bytes of a hash.
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }
}

impl fmt::Display for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&blake3::Hash::from_bytes(self.0).to_hex())
    }
}

impl fmt::Debug for VersionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl Serialize for VersionId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl JsonSchema for VersionId {
    fn schema_name() -> Cow<'static, str> {
        "VersionId".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "pattern": "^[0-9a-f]{64}$", "description": "the BLAKE3 hash of a file's bytes"})
    }
}

impl<'de> Deserialize<'de> for VersionId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// The place of a change in the journal, counted from 1; 0 is before the first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Seq(pub u64);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_that_escape_or_hide_are_refused() {
        for bad in ["..", "a/../b", "./a", "a//b", "a\\b", "a\u{0}b", "a\nb", &"x".repeat(256)] {
            assert!(RelPath::new(bad).is_err(), "{bad:?} was accepted");
        }
        for good in ["", "/", "a", "/a/b/", "ä/ö.md", "...", ".hidden"] {
            assert!(RelPath::new(good).is_ok(), "{good:?} was refused");
        }
    }

    #[test]
    fn names_of_a_home_are_known_however_they_are_written() {
        for name in
            ["waypost.toml", "Waypost.TOML", "waypost.toml.", "workspaces", "WORKSPACES", "work\u{17f}paces"]
        {
            assert!(is_home_name(name), "{name:?}");
        }
        for name in ["waypost.md", "workspaces.md", "workspace", "my-workspaces"] {
            assert!(!is_home_name(name), "{name:?}");
        }
    }

    #[test]
    fn files_with_secrets_and_files_that_say_what_to_leave_out_are_not_searched() {
        for name in [".env", ".env.local", ".envrc", ".gitignore", ".ignore", ".waypostignore"] {
            assert!(is_unsearched_name(name), "{name:?}");
        }
        for name in [".envoy.yaml", ".environment", "env", "a.env", "gitignore"] {
            assert!(!is_unsearched_name(name), "{name:?}");
        }
    }

    #[test]
    fn composed_and_decomposed_names_are_one_path() {
        assert_eq!(RelPath::new("caf\u{e9}.md"), RelPath::new("cafe\u{301}.md"));
    }
}
