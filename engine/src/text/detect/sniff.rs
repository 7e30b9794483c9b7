//! Text whose name tells nothing: what its first characters say.
//!
//! Takes bytes that read as text, gives a [`FileType`]. Looks at the head only and prefers plain text when unsure.

use super::FileType;
use crate::text::document::Kind;

/// Bytes that are looked at.
const HEAD_BYTES: usize = 4096;

/// The type of a text by its head.
pub(super) fn by_text(bytes: &[u8]) -> FileType {
    let head = head(bytes);
    let head = head.trim_start();
    if is_html(head) {
        FileType::text("text/html", Kind::Html)
    } else if head.starts_with("<?xml") {
        FileType::text("application/xml", Kind::Xml)
    } else if let Some(line) = head.strip_prefix("#!") {
        script(line.lines().next().unwrap_or_default())
    } else if head.starts_with('{') || head.starts_with('[') {
        json(head)
    } else if let Some(mail) = mail(head) {
        mail
    } else if head.starts_with("%YAML") || head.starts_with("--- !") {
        FileType::text("application/yaml", Kind::Yaml)
    } else {
        FileType::text("text/plain", Kind::Plain)
    }
}

/// Whether the text begins with an XML declaration.
pub(super) fn is_xml(bytes: &[u8]) -> bool {
    head(bytes).trim_start().starts_with("<?xml")
}

fn head(bytes: &[u8]) -> String {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    String::from_utf8_lossy(&bytes[..bytes.len().min(HEAD_BYTES)]).into_owned()
}

fn is_html(head: &str) -> bool {
    let start: String = head.chars().take(64).collect::<String>().to_ascii_lowercase();
    ["<!doctype html", "<html", "<head", "<body"].iter().any(|tag| start.starts_with(tag))
}

/// A mail begins with headers, and a mailbox with a line before them.
fn mail(head: &str) -> Option<FileType> {
    const HEADERS: [&str; 8] =
        ["from:", "to:", "subject:", "date:", "message-id:", "received:", "return-path:", "mime-version:"];
    let is_header = |line: &str| {
        let name = line.split(':').next().unwrap_or_default();
        line.contains(':') && !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let mut lines = head.lines();
    let first = lines.next()?;
    let is_mailbox = first.starts_with("From ");
    let first = if is_mailbox { lines.next()? } else { first };
    if !is_header(first) {
        return None;
    }
    let known = std::iter::once(first).chain(lines.take(40)).filter(|line| {
        let line = line.to_ascii_lowercase();
        HEADERS.iter().any(|header| line.starts_with(header))
    });
    match (known.count() >= 3, is_mailbox) {
        (false, _) => None,
        (true, true) => Some(FileType::text("application/mbox", Kind::Mailbox)),
        (true, false) => Some(FileType::text("message/rfc822", Kind::Mail)),
    }
}

fn script(interpreter: &str) -> FileType {
    let runs = |name: &str| interpreter.contains(name);
    if runs("python") {
        FileType::code("text/x-python", "python")
    } else if runs("node") || runs("deno") || runs("bun") {
        FileType::code("text/javascript", "javascript")
    } else if runs("ruby") {
        FileType::code("text/x-ruby", "ruby")
    } else if runs("perl") {
        FileType::code("text/x-perl", "perl")
    } else {
        FileType::code("text/x-shellscript", "shell")
    }
}

/// A JSON value begins with a quote, a bracket or a plain value; `[section]` and `{{template}}` do not.
fn json(head: &str) -> FileType {
    let inner = head[1..].trim_start();
    let is_object = head.starts_with('{');
    let starts_value = inner.starts_with(['"', '[', '{', '-', 't', 'f', 'n'])
        || inner.starts_with(|ch: char| ch.is_ascii_digit());
    let fits = if is_object { inner.starts_with(['"', '}']) } else { starts_value || inner.starts_with(']') };
    let lines: Vec<&str> = head.lines().take(2).map(str::trim_end).collect();
    let is_record = |line: &&str| line.starts_with(['{', '[']) && line.ends_with(['}', ']']);
    if !fits || (!is_object && inner.starts_with(|ch: char| ch.is_ascii_alphabetic()) && !head.contains(','))
    {
        FileType::text("text/plain", Kind::Plain)
    } else if lines.len() == 2 && lines[0].ends_with(['}', ']']) && is_record(&lines[1]) {
        FileType::text("application/x-ndjson", Kind::JsonLines)
    } else {
        FileType::text("application/json", Kind::Json)
    }
}
