//! What goes in and what comes out, as every surface shows it. Field names are a promise.

use serde::{Deserialize, Deserializer, Serialize};

use super::reading::FileStatus;
use crate::access::ApprovalState;
use crate::id::VersionId;
use crate::search::citation::Verdict;
use crate::search::{Citation, Degraded, Mode, Ranks};
use crate::store::LockMode;

/// Conditions on files; all hold together.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchFilters {
    /// Exact, or a family such as `text/*`.
    pub mime_type: Option<String>,
    /// Natural or programming language: `en`, `rust`.
    pub language: Option<String>,
    /// The name's ending, without its dot.
    pub extension: Option<String>,
    /// RFC 3339, exclusive.
    pub modified_after: Option<String>,
    /// RFC 3339, exclusive.
    pub modified_before: Option<String>,
}

/// A list of names, or one name.
fn one_or_many<'de, D: Deserializer<'de>>(given: D) -> Result<Option<Vec<String>>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "expected a list of names, or one name")]
    enum Given {
        Many(Vec<String>),
        One(String),
    }
    Ok(Option::<Given>::deserialize(given)?.map(|given| match given {
        Given::Many(names) => names,
        Given::One(name) => vec![name],
    }))
}

/// A search.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SearchRequest {
    /// Words, `"phrases"`, `-exclusions`, `field:value`.
    pub query: String,
    /// Names; all that may be read where it is missing.
    #[serde(default, deserialize_with = "one_or_many")]
    pub workspaces: Option<Vec<String>>,
    /// A folder or file: `/workspace/folder`, or below each of `workspaces`.
    pub path_prefix: Option<String>,
    /// `hybrid`, `lexical` or `semantic`.
    #[serde(default)]
    pub mode: Mode,
    /// 1 to 1,000; 10 where it is missing.
    pub limit: Option<usize>,
    /// Conditions on files.
    pub filters: Option<SearchFilters>,
    /// Waits until this change is visible.
    pub wait_for_seq: Option<String>,
    /// A snapshot's id or a `seq`: answers from the files of then.
    pub as_of: Option<String>,
    /// `approved`: only what passed a gate.
    pub trust: Option<String>,
    /// Shows what each arm says.
    #[serde(default)]
    pub explain: bool,
    /// Bounds the reply, counted as the model counts.
    pub max_tokens: Option<usize>,
    /// Reads the query as plain words: quotes, dashes and colons mean nothing.
    #[serde(default)]
    pub plain: bool,
}

/// A question.
#[derive(Debug, Clone, Default, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AskRequest {
    /// In plain words.
    pub question: String,
    /// See [`SearchRequest`].
    #[serde(default, deserialize_with = "one_or_many")]
    pub workspaces: Option<Vec<String>>,
    /// See [`SearchRequest`].
    pub path_prefix: Option<String>,
    /// See [`SearchRequest`].
    #[serde(default)]
    pub mode: Mode,
    /// Quotes at most; 1 to 10, 3 where it is missing.
    pub limit: Option<usize>,
    /// See [`SearchRequest`].
    pub filters: Option<SearchFilters>,
    /// See [`SearchRequest`].
    pub wait_for_seq: Option<String>,
    /// See [`SearchRequest`].
    pub as_of: Option<String>,
    /// See [`SearchRequest`].
    pub trust: Option<String>,
    /// See [`SearchRequest`].
    #[serde(default)]
    pub explain: bool,
    /// Bounds answer and quotes, counted as the model counts; one sentence is told in any case.
    pub max_tokens: Option<usize>,
    /// `extractive`, which is built in and the default; `openai:MODEL` or `gguf:NAME` where the operator has configured such a model.
    pub generator: Option<String>,
}

/// How far the index is, for the workspaces that were asked.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub struct IndexStatus {
    /// Every change up to here is in the answer.
    pub seq: String,
    /// Files that changed since, or have no vectors yet.
    pub pending_files: u64,
    /// Stages that could not run.
    pub degraded: Vec<Degraded>,
}

/// One hit.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub struct SearchHit {
    /// Where it stands, to be checked later.
    pub citation: Citation,
    /// An excerpt around what matched.
    pub snippet: String,
    /// Where words of the query stand in the snippet: `[start, end)` in bytes of its UTF-8. A client whose strings count other
    /// units (JavaScript, Python, Java) cuts the encoded bytes.
    pub highlights: Vec<[usize; 2]>,
    /// Comparable within one answer.
    pub score: f32,
    /// By content.
    pub mime_type: String,
    /// The document's title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Other paths with the same text.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub copies: Vec<String>,
    /// With `explain`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ranks: Option<Ranks>,
}

/// The hits.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub struct SearchReply {
    /// Best first.
    pub results: Vec<SearchHit>,
    /// Hits that `max_tokens` had no room for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub omitted: Option<usize>,
    /// How far the index is.
    pub index: IndexStatus,
    /// Milliseconds.
    pub took_ms: f64,
}

impl SearchReply {
    /// As JSON. It is written here because the engine is built to be fast, and what stands around it to be built soon.
    ///
    /// # Errors
    /// None in practice: all of it can be written as JSON.
    pub fn to_json(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }
}

/// A citation with its mark in the answer.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub struct NumberedCitation {
    /// The mark.
    pub n: usize,
    /// Where it stands.
    #[serde(flatten)]
    pub citation: Citation,
    /// With `explain`: what each arm says of the passage.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ranks: Option<Ranks>,
}

/// The answer.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub struct AskReply {
    /// Sentences with `[n]` marks; where abstained, a sentence that says so.
    pub answer: String,
    /// In the marks' order.
    pub citations: Vec<NumberedCitation>,
    /// Whether the evidence was too weak.
    pub abstained: bool,
    /// That the cited sentences answer the question, in `[0, 1]`.
    pub confidence: f32,
    /// Who wrote it: `extractive`, or the model that was asked for. Where it had to be `extractive` instead, `index.degraded` says why.
    pub generator: String,
    /// How many of the model's sentences were dropped because what they cite does not say it; only where one was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped_sentences: Option<usize>,
    /// The sentences of the answer, one by one; none where abstained.
    #[serde(skip)]
    pub sentences: Vec<String>,
    /// How far the index is.
    pub index: IndexStatus,
    /// Milliseconds.
    pub took_ms: f64,
}

/// A citation, checked.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub struct VerifiedCitation {
    /// As it was given.
    pub citation: Citation,
    /// Whether the bytes of that version say it.
    pub valid: bool,
    /// Whether the file has moved on since.
    pub stale: bool,
    /// `valid`, `stale` or `invalid`, with today's place or the reason.
    #[serde(flatten)]
    pub verdict: Verdict,
}

/// A workspace, as it is listed.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub struct WorkspaceInfo {
    /// `ws_…`.
    pub id: String,
    /// First segment of its paths.
    pub name: String,
    /// Whether it is an attached folder.
    pub attached: bool,
    /// Whether its files are indexed.
    pub intelligence: bool,
    /// RFC 3339.
    pub created_at: String,
    /// Files whose text is indexed.
    pub indexed_files: u64,
    /// Files that are skipped with a reason.
    pub skipped_files: u64,
    /// Of all files.
    pub size_bytes: u64,
    /// In the index.
    pub chunks: u64,
    /// How far the index is.
    pub index: IndexStatus,
}

/// A name in a folder.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub struct ListEntry {
    /// Last segment.
    pub name: String,
    /// `/<workspace>/<path>`.
    pub path: String,
    /// `file` or `folder`.
    pub kind: &'static str,
    /// Of a file, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Whether a file can be found by search; told to those who may read it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<FileStatus>,
    /// Why a file was skipped or failed: a stable code, a colon, and a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A file's bytes.
#[derive(Debug, Clone)]
pub struct FileContent {
    /// The bytes of that version.
    pub bytes: Vec<u8>,
    /// Their hash.
    pub version: VersionId,
    /// By content.
    pub mime_type: String,
}

/// What is known of a file or folder.
#[derive(Debug, Clone, Default, Serialize, schemars::JsonSchema)]
pub struct FileInfo {
    /// `/<workspace>/<path>`.
    pub path: String,
    /// `file` or `folder`.
    pub kind: &'static str,
    /// In bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Hash of the bytes that were last seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<VersionId>,
    /// By content.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mime_type: Option<String>,
    /// Natural or programming language.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub modified_at: Option<String>,
    /// Who let these bytes through a gate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// Whether it can be found by search; missing for a file that only an ignore file keeps out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<FileStatus>,
    /// Why it was skipped or failed: a stable code, a colon, and a sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// What was lost or guessed while it was read.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// Why it is not indexed, without the code.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub skipped: Option<String>,
    /// Where these bytes were imported from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_url: Option<String>,
    /// RFC 3339: when.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fetched_at: Option<String>,
    /// What their host called them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_etag: Option<String>,
    /// The change that made it so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seq: Option<String>,
}

impl FileInfo {
    pub(super) fn of(path: String) -> Self {
        Self { path, ..Self::default() }
    }
}

/// A name in a tree of folders.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub struct TreeEntry {
    /// Last segment.
    pub name: String,
    /// `file` or `folder`.
    pub kind: &'static str,
    /// Of a file, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// Of a folder; missing below the depth that was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub children: Option<Vec<TreeEntry>>,
}

/// One entry of a path's history.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub struct VersionInfo {
    /// What stood there afterwards; null where the path was gone.
    pub version: Option<VersionId>,
    /// `/<workspace>/<path>` that the file had then, where it has moved since.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// `file.created`, `file.updated`, `file.deleted` or `file.moved`.
    pub event: String,
    /// In bytes.
    pub size: Option<u64>,
    /// Whether it is today's.
    pub current: bool,
    /// Whether its bytes are still kept.
    pub available: bool,
    /// Who did it; `external` for other programs.
    pub actor: String,
    /// Who let it through a gate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub approved_by: Option<String>,
    /// The other end of a move.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other_path: Option<String>,
    /// RFC 3339.
    pub at: String,
    /// Its place.
    pub seq: String,
}

/// What a change did.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub struct WriteReply {
    /// `/<workspace>/<path>`.
    pub path: String,
    /// `folder`; missing for a file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    /// What stands there now; null: nothing, or a folder.
    pub version: Option<VersionId>,
    /// In bytes; missing for a folder.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub size: Option<u64>,
    /// By content; missing for a folder.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub mime_type: String,
    /// Give it as `wait_for_seq` to find the change.
    pub seq: String,
    /// Whether the path was new, as far as the asker may know.
    pub created: bool,
    /// What stood there before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub previous: Option<VersionId>,
}

/// Which files are looked for by name.
#[derive(Debug, Clone, Copy, Default)]
pub struct FindRequest<'a> {
    /// The folder; empty or `/`: everywhere.
    pub below: &'a str,
    /// A glob, or a part of the path.
    pub pattern: &'a str,
    /// What is left out with everything below it, in lines as `.gitignore` has them.
    pub exclude: &'a [String],
    /// Only what comes after this path.
    pub after: Option<&'a str>,
    /// Paths at most.
    pub limit: usize,
}

/// An exact replacement.
#[derive(Debug, Clone, Deserialize, schemars::JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TextEdit {
    /// Must stand in the file exactly once.
    #[serde(alias = "oldText")]
    pub old_text: String,
    /// Takes its place.
    #[serde(alias = "newText")]
    pub new_text: String,
}

/// What an edit did.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub struct EditReply {
    /// `/<workspace>/<path>`, where `written` does not say it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Unified.
    pub diff: String,
    /// Missing for a dry run, and where nothing changed.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub written: Option<WriteReply>,
}

/// An act at a gate.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub struct ApprovalInfo {
    /// `ap_…`.
    pub id: String,
    /// `pending`, `granted`, `denied` or `stale`.
    pub state: ApprovalState,
    /// Who wants it.
    pub requester: String,
    /// Which gate; empty for what somebody asked of their own accord.
    pub gate: String,
    /// Where.
    pub path: String,
    /// What, with the versions that were shown.
    pub act: serde_json::Value,
    /// What would change, for texts that are not too long.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub diff: Option<String>,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub expires_at: String,
    /// RFC 3339.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<String>,
    /// By whom.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<String>,
    /// In whose words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// A snapshot, as it is listed.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub struct SnapshotInfo {
    /// `sn_…`; also what `as_of` takes.
    pub id: String,
    /// Of which workspace.
    pub workspace: String,
    /// For people.
    pub name: String,
    /// Everything up to here is in it.
    pub seq: String,
    /// Who took it.
    pub actor: String,
    /// RFC 3339.
    pub created_at: String,
}

/// What differs between two states.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct SnapshotDiff {
    /// Paths that came.
    pub added: Vec<String>,
    /// Paths that went.
    pub removed: Vec<String>,
    /// Paths with other bytes.
    pub changed: Vec<String>,
}

/// What a restore did.
#[derive(Debug, Clone, Default, Serialize, schemars::JsonSchema)]
pub struct RestoreReport {
    /// Files with their bytes of then.
    pub restored: u64,
    /// Files that were not there then.
    pub removed: u64,
    /// Files whose bytes of then are pruned.
    pub pruned: Vec<String>,
    /// A snapshot of the state before.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub before: String,
    /// The last change.
    pub seq: String,
}

/// What a clone made.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub struct CloneReport {
    /// `ws_…`, of the new workspace.
    pub id: String,
    /// Its name.
    pub name: String,
    /// What lies in it.
    #[serde(flatten)]
    pub files: RestoreReport,
}

/// What pruning freed, or would.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub struct PruneReport {
    /// Versions forgotten.
    pub versions: u64,
    /// On disk.
    pub bytes: u64,
    /// Whether it only counted.
    pub dry_run: bool,
}

/// A lease.
#[derive(Debug, Clone, Serialize, schemars::JsonSchema)]
pub struct LockInfo {
    /// `lk_…`.
    pub id: String,
    /// Path or pattern.
    pub path: String,
    /// `exclusive` or `shared`.
    pub mode: LockMode,
    /// Whose.
    pub principal: String,
    /// Larger than that of every lease before over the same paths; writes under the lease show it.
    pub fence: u64,
    /// RFC 3339.
    pub created_at: String,
    /// RFC 3339.
    pub expires_at: String,
}
