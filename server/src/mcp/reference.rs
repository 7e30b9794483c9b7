//! Answers under the names of the reference file server, in the form of its answers: the text itself, and `content`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rmcp::model::{CallToolResult, ContentBlock, ResourceContents};
use serde_json::{Value, json};
use waypost_engine::api::{ListEntry, Session};

use super::arguments::{self, AtPath, ListWithSizes, ReadFile, SortBy, Whoami};
use super::bound::{budget_bytes, cost, keep_first};
use super::reading;
use super::resources::uri_of;
use super::tools::Tool;
use crate::problem::Problem;

/// Of a text where nothing else is asked: that server gives all of it, and common clients take so much of one reply.
const TEXT_TOKENS: usize = 25_000;
/// Larger pictures and sounds are refused: common models take no larger ones.
const MAX_MEDIA_BYTES: usize = 5 << 20;
/// Bytes of JSON around what is counted.
const FRAME: usize = 200;

/// Runs one of [`Tool::REFERENCE`].
///
/// # Errors
/// What its arguments or the engine refuse.
pub fn call(session: &Session, tool: Tool, arguments: Value) -> Result<Value, Problem> {
    match tool {
        Tool::ListAllowedDirectories => {
            let _: Whoami = arguments::read(tool, arguments)?;
            workspaces(session)
        }
        Tool::ListDirectoryWithSizes => list_with_sizes(session, &arguments::read(tool, arguments)?),
        Tool::ReadMediaFile => read_media(session, &arguments::read(tool, arguments)?),
        _ => read_text(session, arguments::read(tool, arguments)?),
    }
}

/// As a client of that server reads it.
pub fn shown(tool: Tool, mut value: Value) -> CallToolResult {
    let text = |value: &Value, name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let mut content = Vec::new();
    if tool == Tool::ReadMediaFile {
        let data = value.as_object_mut().and_then(|value| value.remove("data"));
        let data = data.as_ref().and_then(Value::as_str).unwrap_or_default().to_owned();
        let (mime_type, uri) = (text(&value, "mimeType"), uri_of(&text(&value, "path")));
        content.push(match mime_type.split('/').next() {
            Some("image") => ContentBlock::image(data, mime_type),
            Some("audio") => ContentBlock::audio(data, mime_type),
            _ => ContentBlock::resource(ResourceContents::blob(data, uri).with_mime_type(mime_type)),
        });
    } else {
        content.push(ContentBlock::text(text(&value, "content")));
        if let Some(line) = value["next_line"].as_u64() {
            let more = format!("(cut here: `read_file` with `start_line` {line} reads on)");
            content.push(ContentBlock::text(more));
        }
    }
    let mut result = CallToolResult::structured(value);
    result.content = content;
    result
}

fn workspaces(session: &Session) -> Result<Value, Problem> {
    let mut roots: Vec<String> = session.list("/")?.into_iter().map(|entry| entry.path).collect();
    let budget = budget_bytes(Some(TEXT_TOKENS))?.saturating_sub(FRAME);
    let omitted = keep_first(&mut roots, budget);
    let content = format!("Allowed directories:\n{}", roots.join("\n"));
    Ok(with_omitted(json!({"content": content}), omitted))
}

fn list_with_sizes(session: &Session, given: &ListWithSizes) -> Result<Value, Problem> {
    let mut budget = budget_bytes(given.max_tokens)?.saturating_sub(FRAME);
    let mut entries = session.list(&given.path)?;
    if given.sort_by == SortBy::Size {
        entries.sort_by_key(|entry| std::cmp::Reverse(entry.size.unwrap_or_default()));
    }
    let n_files = entries.iter().filter(|entry| entry.size.is_some()).count();
    let total_bytes: u64 = entries.iter().filter_map(|entry| entry.size).sum();
    let total = format!(
        "\nTotal: {n_files} files, {} directories\nCombined size: {total_bytes} B",
        entries.len() - n_files
    );
    budget = budget.saturating_sub(cost(&total));
    let mut lines: Vec<String> = entries.iter().map(line).collect();
    let omitted = keep_first(&mut lines, budget);
    lines.push(total);
    Ok(with_omitted(json!({"content": lines.join("\n")}), omitted))
}

fn line(entry: &ListEntry) -> String {
    match entry.size {
        Some(size) => format!("[FILE] {:<30} {size:>10} B", entry.name),
        None => format!("[DIR] {}", entry.name),
    }
}

fn with_omitted(mut shown: Value, omitted: usize) -> Value {
    if omitted > 0 {
        shown["omitted"] = json!(omitted);
    }
    shown
}

fn read_text(session: &Session, given: ReadFile) -> Result<Value, Problem> {
    let given = ReadFile { max_tokens: given.max_tokens.or(Some(TEXT_TOKENS)), ..given };
    let read = reading::read_file(session, &given)?;
    let mut shown = json!({"content": read["text"], "version": read["version"]});
    for name in ["next_line", "cut"] {
        if !read[name].is_null() {
            shown[name] = read[name].clone();
        }
    }
    Ok(shown)
}

fn read_media(session: &Session, given: &AtPath) -> Result<Value, Problem> {
    let file = session.read_file(&given.path, None, None)?;
    let n_bytes = file.bytes.len();
    if n_bytes > MAX_MEDIA_BYTES {
        let status = axum::http::StatusCode::PAYLOAD_TOO_LARGE;
        let detail = format!("`{}` has {n_bytes} bytes: expected at most {MAX_MEDIA_BYTES}", given.path);
        return Err(Problem::new(status, "too_large", detail));
    }
    Ok(json!({
        "path": reading::canonical(&given.path),
        "mimeType": file.mime_type,
        "size": n_bytes,
        "version": file.version,
        "data": STANDARD.encode(file.bytes),
    }))
}
