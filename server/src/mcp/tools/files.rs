//! Of names and bytes.

use serde_json::json;
use waypost_engine::access::Verb;
use waypost_engine::api::Session;

use super::schema::{expected, fence, flag, folder, list, max_tokens, number, text, texts};
use super::{Effect, Family, Spec, lists, reads, writes};

/// Bytes under a second path.
pub const COPY_FILE: Spec = Spec {
    name: "copy_file",
    family: Family::Files,
    needs: |session| session.may_somewhere(Verb::Read) && session.may_somewhere(Verb::Write),
    effect: Effect::Adds,
    title: "Copy a file or folder",
    description: "Copy a file or folder to a path where nothing is yet.",
    input: || {
        json!({
            "properties": {"source": text(), "destination": text(), "expected_version": expected(), "fence": fence()},
            "required": ["source", "destination"],
        })
    },
    output: || json!({"properties": {"path": text(), "version": text(), "seq": text()}}),
};

/// A new folder.
pub const CREATE_DIRECTORY: Spec = Spec {
    name: "create_directory",
    family: Family::Files,
    needs: writes,
    effect: Effect::AddsOnce,
    title: "Make a folder",
    description: "Make a folder with those above it. Not needed before write_file.",
    input: || json!({"properties": {"path": text()}, "required": ["path"]}),
    output: || json!({"properties": {"path": text(), "version": text(), "seq": text()}}),
};

/// A file goes.
pub const DELETE_FILE: Spec = Spec {
    name: "delete_file",
    family: Family::Files,
    needs: |session| session.may_somewhere(Verb::Delete),
    effect: Effect::Replaces,
    title: "Delete a file or folder",
    description: "Delete a file, or with `recursive` a folder. Old versions stay: restore_version brings a file back.",
    input: || {
        json!({
            "properties": {"path": text(), "recursive": flag(), "expected_version": expected(), "fence": fence()},
            "required": ["path"],
        })
    },
    output: || json!({"properties": {"path": text(), "version": text(), "seq": text()}}),
};

/// A folder with everything in it.
pub const DIRECTORY_TREE: Spec = Spec {
    name: "directory_tree",
    family: Family::Files,
    needs: lists,
    effect: Effect::Reads,
    title: "Show a folder tree",
    description: "Show a folder with everything in it, `depth` folders deep. For one folder use list_directory.",
    input: || {
        json!({
            "properties": {"path": text(), "depth": number(), "excludePatterns": texts(), "max_tokens": number()},
            "required": ["path"],
        })
    },
    output: || json!({"properties": {"entries": list()}, "required": ["entries"]}),
};

/// Exact replacements.
pub const EDIT_FILE: Spec = Spec {
    name: "edit_file",
    family: Family::Files,
    needs: Session::may_edit,
    effect: Effect::Replaces,
    title: "Edit a file",
    description: "Replace exact texts in a file; each `oldText` must stand there exactly once. Gives the diff. Prefer it to write_file for small changes.",
    input: || {
        json!({
            "properties": {
                "path": text(),
                "edits": {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "properties": {"oldText": text(), "newText": text()},
                        "required": ["oldText", "newText"],
                    },
                },
                "dryRun": flag(),
                "expected_version": expected(),
                "fence": fence(),
            },
            "required": ["path", "edits"],
        })
    },
    output: || json!({"properties": {"path": text(), "version": text(), "seq": text()}}),
};

/// What is known of a file.
pub const GET_FILE_INFO: Spec = Spec {
    name: "get_file_info",
    family: Family::Files,
    needs: reads,
    effect: Effect::Reads,
    title: "Look at a file",
    description: "Tell size, type, version, time and approval of a file.",
    input: || json!({"properties": {"path": text()}, "required": ["path"]}),
    output: || json!({"properties": {"path": text(), "version": text(), "seq": text()}}),
};

/// What a folder holds.
pub const LIST_DIRECTORY: Spec = Spec {
    name: "list_directory",
    family: Family::Files,
    needs: lists,
    effect: Effect::Reads,
    title: "List a folder",
    description: "List a folder's names, folders first; `/` lists the workspaces. Use to get oriented; to find a file \
                 by name use search_files. Pass `next_cursor` as `cursor` for more.",
    input: || {
        json!({
            "properties": {
                "path": {"type": "string", "description": "default /"},
                "limit": {"type": "integer"},
                "cursor": {"type": "string"},
                "max_tokens": max_tokens(),
            },
        })
    },
    output: || {
        json!({
            "properties": {"entries": list(), "next_cursor": text()},
            "required": ["entries"],
        })
    },
};

/// Another path.
pub const MOVE_FILE: Spec = Spec {
    name: "move_file",
    family: Family::Files,
    needs: Session::may_move,
    effect: Effect::Replaces,
    title: "Move or rename",
    description: "Move or rename a file or folder, in one step; nothing may stand at the destination. Of two movers one wins.",
    input: || {
        json!({
            "properties": {"source": text(), "destination": text(), "expected_version": expected(), "fence": fence()},
            "required": ["source", "destination"],
        })
    },
    output: || json!({"properties": {"path": text(), "version": text(), "seq": text()}}),
};

/// A file's text.
pub const READ_FILE: Spec = Spec {
    name: "read_file",
    family: Family::Files,
    needs: reads,
    effect: Effect::Reads,
    title: "Read a file",
    description: "Read a text file's lines, from the start, from `start_line`, or the first/last N (`head`/`tail`). \
                 Use after search, with a hit's path and lines. Read on from `next_line`; in a long line from \
                 `next_byte` as `start_byte`.",
    input: || {
        json!({
            "properties": {
                "path": {"type": "string"},
                "start_line": {"type": "integer", "description": "from 1"},
                "start_byte": number(),
                "head": {"type": "integer"},
                "tail": {"type": "integer"},
                "version": {"type": "string", "description": "an older version"},
                "as_of": {"type": "string", "description": "a snapshot or seq"},
                "max_tokens": max_tokens(),
            },
            "required": ["path"],
        })
    },
    output: || {
        json!({
            "properties": {
                "text": text(), "lines": list(), "total_lines": number(), "next_line": number(), "next_byte": number(),
                "version": text(),
            },
            "required": ["text", "version"],
        })
    },
};

/// Several files' texts.
pub const READ_MULTIPLE_FILES: Spec = Spec {
    name: "read_multiple_files",
    family: Family::Files,
    needs: reads,
    effect: Effect::Reads,
    title: "Read several files",
    description: "Read the beginnings of several text files at once. A file that can't be read has an `error` instead.",
    input: || {
        json!({
            "properties": {"paths": {"type": "array", "items": text()}, "max_tokens": number()},
            "required": ["paths"],
        })
    },
    output: || json!({"properties": {"files": list()}, "required": ["files"]}),
};

/// Paths by name.
pub const SEARCH_FILES: Spec = Spec {
    name: "search_files",
    family: Family::Files,
    needs: lists,
    effect: Effect::Reads,
    title: "Find files by name",
    description: "Find file paths by glob (`**/*.md`) or part of the path. Not for what files say (search).",
    input: || {
        json!({
            "properties": {
                "pattern": {"type": "string"},
                "path": folder(),
                "excludePatterns": texts(),
                "limit": {"type": "integer"},
                "max_tokens": max_tokens(),
            },
            "required": ["pattern"],
        })
    },
    output: || {
        json!({
            "properties": {"paths": list(), "more": {"type": "boolean"}},
            "required": ["paths"],
        })
    },
};

/// New bytes.
pub const WRITE_FILE: Spec = Spec {
    name: "write_file",
    family: Family::Files,
    needs: writes,
    effect: Effect::ReplacesOnce,
    title: "Write a file",
    description: "Write a whole text file, new or over the old one. Give `expected_version` from your last read so that nobody's newer change is lost.",
    input: || {
        json!({
            "properties": {"path": text(), "content": text(), "expected_version": expected(), "fence": fence()},
            "required": ["path", "content"],
        })
    },
    output: || json!({"properties": {"path": text(), "version": text(), "seq": text()}}),
};
