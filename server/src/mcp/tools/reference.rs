//! Names of the reference file server (`@modelcontextprotocol/server-filesystem`) that our own tools do not have, with its
//! arguments and the form of its answers, for clients that were written for it.

use serde_json::json;

use super::schema::{max_tokens, number, text};
use super::{Effect, Family, Spec, lists, reads};

/// The workspaces.
pub const LIST_ALLOWED_DIRECTORIES: Spec = Spec {
    name: "list_allowed_directories",
    family: Family::FilesReference,
    needs: lists,
    effect: Effect::Reads,
    title: "List the workspaces",
    description: "List the roots of the workspaces that you may see; as list_directory of `/`.",
    input: || json!({"properties": {}}),
    output: || json!({"properties": {"content": text()}, "required": ["content"]}),
};

/// What a folder holds.
pub const LIST_DIRECTORY_WITH_SIZES: Spec = Spec {
    name: "list_directory_with_sizes",
    family: Family::FilesReference,
    needs: lists,
    effect: Effect::Reads,
    title: "List a folder with sizes",
    description: "List a folder's names, each file with its size in bytes.",
    input: || {
        json!({
            "properties": {"path": text(), "sortBy": {"enum": ["name", "size"]}, "max_tokens": max_tokens()},
            "required": ["path"],
        })
    },
    output: || json!({"properties": {"content": text(), "omitted": number()}, "required": ["content"]}),
};

/// Pictures and sound.
pub const READ_MEDIA_FILE: Spec = Spec {
    name: "read_media_file",
    family: Family::FilesReference,
    needs: reads,
    effect: Effect::Reads,
    title: "Read a picture or sound",
    description: "Read a picture or a sound as it is. For what documents say use read_file or search.",
    input: || json!({"properties": {"path": text()}, "required": ["path"]}),
    output: || {
        json!({
            "properties": {"path": text(), "mimeType": text(), "size": number(), "version": text()},
            "required": ["path", "mimeType"],
        })
    },
};

/// A file's text.
pub const READ_TEXT_FILE: Spec = Spec {
    name: "read_text_file",
    family: Family::FilesReference,
    needs: reads,
    effect: Effect::Reads,
    title: "Read a text file",
    description: "Read a text file, or its first/last N lines (`head`/`tail`). read_file reads on from any line.",
    input: || {
        json!({
            "properties": {
                "path": text(),
                "head": number(),
                "tail": number(),
                "max_tokens": {"type": "integer", "description": "bound on the reply, default 25000"},
            },
            "required": ["path"],
        })
    },
    output: || {
        json!({
            "properties": {"content": text(), "version": text(), "next_line": number()},
            "required": ["content"],
        })
    },
};
