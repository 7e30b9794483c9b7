//! Of versions and snapshots.

use serde_json::json;
use waypost_engine::api::Session;

use super::schema::{expected, list, number, text};
use super::{Effect, Family, Spec, reads};

/// A name for a state.
pub const CREATE_SNAPSHOT: Spec = Spec {
    name: "create_snapshot",
    family: Family::History,
    needs: Session::may_take_snapshots,
    effect: Effect::Adds,
    title: "Take a snapshot",
    description: "Name the state of a workspace, cheaply, before a risky change. Give its id as `as_of` to read_file or search.",
    input: || {
        json!({
            "properties": {"workspace": text(), "name": text()},
            "required": ["workspace"],
        })
    },
    output: || json!({"properties": {"id": text()}, "required": ["id"]}),
};

/// A file's history.
pub const LIST_VERSIONS: Spec = Spec {
    name: "list_versions",
    family: Family::History,
    needs: reads,
    effect: Effect::Reads,
    title: "List a file's versions",
    description: "List a file's versions, newest first, also of a deleted file: who changed it, and when.",
    input: || {
        json!({
            "properties": {"path": text(), "limit": number(), "cursor": text(), "max_tokens": number()},
            "required": ["path"],
        })
    },
    output: || json!({"properties": {"versions": list(), "next_cursor": text()}, "required": ["versions"]}),
};

/// An older version again.
pub const RESTORE_VERSION: Spec = Spec {
    name: "restore_version",
    family: Family::History,
    needs: Session::may_edit,
    effect: Effect::ReplacesOnce,
    title: "Restore a version",
    description: "Make an older version of a file the newest one. It can be undone the same way.",
    input: || {
        json!({
            "properties": {"path": text(), "version": text(), "expected_version": expected()},
            "required": ["path", "version"],
        })
    },
    output: || json!({"properties": {"path": text(), "version": text(), "seq": text()}}),
};
