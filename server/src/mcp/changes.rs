use serde_json::{Value, json};
use waypost_engine::api::{
    Error, EventFilter, EventInfo, Session, TreeEntry, VersionInfo, WriteOptions, WriteReply,
};
use waypost_engine::change::Expected;
use waypost_engine::id::VersionId;

use super::arguments::{self, ReadFile};
use super::bound::{budget_bytes, cost, cut, keep_first, page_within};
use super::reading;
use super::tools::Tool;
use crate::paging::PageParams;
use crate::problem::Problem;
use crate::times::patience;

/// Folders of a tree where nothing else is asked.
const DEFAULT_DEPTH: usize = 3;
/// Versions of one reply where nothing else is asked.
const DEFAULT_VERSIONS: usize = 20;
/// Seconds of a wait, and events of one reply, where nothing else is asked.
const DEFAULT_WAIT_SECONDS: u64 = 20;
const DEFAULT_EVENTS: usize = 20;
/// Files of one call at most.
const MAX_FILES: usize = 50;
/// Bytes of JSON around what is counted.
const FRAME: usize = 120;
/// Of a difference; a model that wants all of it reads the file.
const MAX_DIFF_BYTES: usize = 6000;

/// Runs a tool that changes something, or looks back.
pub fn call(session: &Session, tool: Tool, arguments: Value) -> Result<Value, Problem> {
    match tool {
        Tool::CopyFile | Tool::MoveFile => carry(session, tool, arguments::read(tool, arguments)?),
        Tool::CreateDirectory => {
            let arguments: arguments::AtPath = arguments::read(tool, arguments)?;
            session.create_folder(&arguments.path)?;
            Ok(json!({"path": reading::canonical(&arguments.path)}))
        }
        Tool::CreateSnapshot => {
            let arguments: arguments::CreateSnapshot = arguments::read(tool, arguments)?;
            let taken = session.take_snapshot(Some(&arguments.workspace), &arguments.name)?;
            Ok(json!({"id": taken.first().map(|snapshot| snapshot.id.clone())}))
        }
        Tool::DeleteFile => {
            let arguments: arguments::DeleteFile = arguments::read(tool, arguments)?;
            let options = options(arguments.expected_version, arguments.fence);
            Ok(terse(&session.delete(&arguments.path, &options, arguments.recursive)?))
        }
        Tool::DirectoryTree => tree(session, &arguments::read(tool, arguments)?),
        Tool::EditFile => edit(session, arguments::read(tool, arguments)?),
        Tool::GetFileInfo => {
            let arguments: arguments::AtPath = arguments::read(tool, arguments)?;
            Ok(json!(session.info(&arguments.path)?))
        }
        Tool::ListVersions => versions(session, arguments::read(tool, arguments)?),
        Tool::PublishEvent => {
            let arguments: arguments::PublishEvent = arguments::read(tool, arguments)?;
            let event = session.publish(&arguments.workspace, &arguments.topic, &arguments.data)?;
            Ok(json!({"id": event.id, "seq": event.seq}))
        }
        Tool::WaitForEvents => wait(session, &arguments::read(tool, arguments)?),
        Tool::ReadMultipleFiles => read_several(session, arguments::read(tool, arguments)?),
        Tool::RestoreVersion => {
            let arguments: arguments::RestoreVersion = arguments::read(tool, arguments)?;
            let options = options(arguments.expected_version, None);
            Ok(terse(&session.restore_version(&arguments.path, &arguments.version, &options)?))
        }
        _ => {
            let arguments: arguments::WriteFile = arguments::read(tool, arguments)?;
            let options = options(arguments.expected_version, arguments.fence);
            Ok(terse(&session.write_file(&arguments.path, arguments.content.as_bytes(), &options)?))
        }
    }
}

fn options(version: Option<VersionId>, fence: Option<u64>) -> WriteOptions {
    WriteOptions { expected: version.map_or(Expected::Any, |version| Expected::OneOf(vec![version])), fence }
}

fn terse(reply: &WriteReply) -> Value {
    let mut shown = json!({"path": reply.path, "seq": reply.seq});
    if let Some(version) = reply.version {
        shown["version"] = json!(version);
    }
    shown
}

fn carry(session: &Session, tool: Tool, arguments: arguments::Carry) -> Result<Value, Problem> {
    let options = options(arguments.expected_version, arguments.fence);
    let (from, to) = (&arguments.source, &arguments.destination);
    let reply = if tool == Tool::MoveFile {
        session.move_path(from, to, &options)?
    } else {
        session.copy_path(from, to, &options)?
    };
    Ok(terse(&reply))
}

fn edit(session: &Session, arguments: arguments::EditFile) -> Result<Value, Problem> {
    let options = options(arguments.expected_version, arguments.fence);
    let reply = session.edit_file(&arguments.path, &arguments.edits, &options, arguments.dry_run)?;
    let mut diff = reply.diff;
    let whole = diff.len();
    cut(&mut diff, MAX_DIFF_BYTES);
    let mut shown =
        reply.written.as_ref().map_or_else(|| json!({"path": reading::canonical(&arguments.path)}), terse);
    if diff.len() < whole {
        shown["cut"] = json!(true);
    }
    shown["diff"] = json!(diff);
    Ok(shown)
}

fn tree(session: &Session, arguments: &arguments::DirectoryTree) -> Result<Value, Problem> {
    let budget = budget_bytes(arguments.max_tokens)?.saturating_sub(FRAME);
    let depth = arguments.depth.unwrap_or(DEFAULT_DEPTH).max(1);
    let (mut entries, mut is_cut) = session.tree(&arguments.path, depth, &arguments.exclude)?;
    // What does not fit loses its deepest level first, then its last names.
    let mut deepest = depth;
    while cost(&entries) > budget && deepest > 1 {
        deepest -= 1;
        prune(&mut entries, deepest);
        is_cut = true;
    }
    while cost(&entries) > budget && entries.len() > 1 {
        entries.truncate(entries.len() * 3 / 4);
        is_cut = true;
    }
    let mut shown = json!({"entries": entries});
    if is_cut {
        shown["cut"] = json!(true);
    }
    Ok(shown)
}

fn prune(entries: &mut [TreeEntry], depth: usize) {
    for entry in entries {
        if depth <= 1 {
            entry.children = None;
        } else if let Some(children) = &mut entry.children {
            prune(children, depth - 1);
        }
    }
}

fn versions(session: &Session, arguments: arguments::ListVersions) -> Result<Value, Problem> {
    let budget = budget_bytes(arguments.max_tokens)?.saturating_sub(FRAME);
    let versions = session.versions(&arguments.path)?;
    let limit = Some(arguments.limit.unwrap_or(DEFAULT_VERSIONS));
    page_within(budget, "versions", &versions, PageParams { limit, cursor: arguments.cursor }, terse_version)
}

fn terse_version(past: &VersionInfo) -> Value {
    let mut shown = json!({"version": past.version, "event": past.event, "actor": past.actor, "at": past.at});
    if let Some(approver) = &past.approved_by {
        shown["approved_by"] = json!(approver);
    }
    if let Some(path) = &past.path {
        shown["path"] = json!(path);
    }
    if past.version.is_some() && !past.available {
        shown["pruned"] = json!(true);
    }
    shown
}

fn wait(session: &Session, arguments: &arguments::WaitForEvents) -> Result<Value, Problem> {
    let filter = EventFilter::new(&arguments.paths, &arguments.kinds).map_err(Error::from)?;
    let patience = patience(arguments.timeout_seconds.unwrap_or(DEFAULT_WAIT_SECONDS), "timeout_seconds")?;
    let limit = arguments.limit.unwrap_or(DEFAULT_EVENTS);
    let budget = budget_bytes(arguments.max_tokens)?.saturating_sub(2 * FRAME);
    let page = session.wait_for_events(arguments.after.as_deref(), &filter, limit, patience)?;
    let mut events: Vec<Value> = page.items.iter().map(terse_event).collect();
    let omitted = keep_first(&mut events, budget);
    if let [only] = events.as_mut_slice()
        && cost(only) > budget
        && only.get("data").is_some()
    {
        // What was published with it is had over REST.
        only["data"] = json!({"cut": "longer than `max_tokens`"});
    }
    // Those that did not fit come with the next call.
    let next = match events.len().checked_sub(1).filter(|_| omitted > 0) {
        Some(last) => &page.items[last].seq,
        None => &page.next,
    };
    let mut told = json!({"events": events, "next": next});
    if page.gap {
        told["gap"] = json!("older changes may have been forgotten; list the files to see how they stand");
    }
    Ok(told)
}

fn terse_event(event: &EventInfo) -> Value {
    let mut shown = json!({
        "event": event.event, "path": event.path, "mimeType": event.mime_type, "size": event.size,
        "workspaceId": event.workspace_id, "actor": event.actor, "id": event.id,
    });
    if let Some(from) = &event.from {
        shown["from"] = json!(from);
    }
    if let Some(data) = &event.data {
        shown["data"] = data.clone();
    }
    shown
}

fn read_several(session: &Session, arguments: arguments::ReadMultipleFiles) -> Result<Value, Problem> {
    let n_files = arguments.paths.len();
    if !(1..=MAX_FILES).contains(&n_files) {
        return Err(Problem::invalid(format!("`paths` has {n_files} items: expected 1 to {MAX_FILES}")));
    }
    budget_bytes(arguments.max_tokens)?;
    let max_tokens = arguments.max_tokens.map(|whole| (whole / n_files).max(200));
    let files: Vec<Value> = arguments
        .paths
        .into_iter()
        .map(|path| {
            let one = ReadFile {
                path: path.clone(),
                start_line: None,
                start_byte: None,
                head: None,
                tail: None,
                version: None,
                as_of: None,
                max_tokens: max_tokens.or(Some((2000 / n_files).max(200))),
            };
            reading::read_file(session, &one)
                .unwrap_or_else(|problem| json!({"path": path, "error": problem.code}))
        })
        .collect();
    Ok(json!({"files": files}))
}
