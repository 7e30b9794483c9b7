//! Text whose name tells nothing: what its first characters say.
//!
//! Takes bytes that read as text, gives a [`FileType`]. Looks at the head only and prefers plain text when unsure.

use super::FileType;
use crate::text::document::Kind;

/// Bytes that are looked at.
const HEAD_BYTES: usize = 4096;

/// Headers that tell a mail from other texts.
const HEADERS: [&str; 8] =
    ["from:", "to:", "subject:", "date:", "message-id:", "received:", "return-path:", "mime-version:"];

/// Headers that are enough where the name says that it is a mail.
const FURTHER_HEADERS: [&str; 10] = [
    "cc:",
    "bcc:",
    "sender:",
    "reply-to:",
    "delivered-to:",
    "content-",
    "x-",
    "arc-",
    "dkim-signature:",
    "authentication-results:",
];

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
    let (is_mailbox, lines) = header_lines(head)?;
    let n_known = lines.take(41).filter(|line| begins_with(line, &HEADERS)).count();
    match (n_known >= 3, is_mailbox) {
        (false, _) => None,
        (true, true) => Some(FileType::text("application/mbox", Kind::Mailbox)),
        (true, false) => Some(FileType::text("message/rfc822", Kind::Mail)),
    }
}

/// Whether a text that is called a mail, or a mailbox, begins as one.
pub(super) fn is_mail(bytes: &[u8], is_mailbox: bool) -> bool {
    let head = head(bytes);
    let Some((has_mark, lines)) = header_lines(head.trim_start()) else { return false };
    let mut headers = lines.take_while(|line| !line.trim().is_empty());
    let has_known = headers.any(|line| begins_with(line, &HEADERS) || begins_with(line, &FURTHER_HEADERS));
    has_known && (has_mark || !is_mailbox)
}

/// The lines of a text that begins with a header, and whether the line that begins a mail in a mailbox stands before them.
fn header_lines(head: &str) -> Option<(bool, impl Iterator<Item = &str>)> {
    let is_header = |line: &&str| {
        let name = line.split(':').next().unwrap_or_default();
        line.contains(':') && !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_graphic())
    };
    let mut lines = head.lines().peekable();
    let is_mailbox = lines.next_if(|line| line.starts_with("From ")).is_some();
    lines.peek().is_some_and(is_header).then_some((is_mailbox, lines))
}

fn begins_with(line: &str, headers: &[&str]) -> bool {
    let line = line.to_ascii_lowercase();
    headers.iter().any(|header| line.starts_with(header))
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
