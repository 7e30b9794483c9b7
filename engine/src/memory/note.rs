//! A note: Markdown that people read, with front matter that says where it comes from.

use serde_json::Value;

use super::MemoryError;
use crate::clock::{parse_rfc3339, rfc3339};
use crate::span::Span;

/// Larger notes are files, and belong into the workspace as such.
pub const MAX_NOTE_BYTES: usize = 32 << 10;

/// The first line of the front matter: only what has it is ever forgotten by itself.
const MARK: &str = "waypost: note";
const FENCE: &str = "---";

/// What the front matter says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NoteHead {
    /// Who wrote it.
    pub by: String,
    /// When, in milliseconds since 1970.
    pub at_ms: Option<i64>,
    /// In which trace.
    pub trace: String,
    /// What it is about, as folders.
    pub topic: Option<String>,
    /// Further words.
    pub tags: Vec<String>,
    /// Where it comes from: paths, or `path@version#start-end`.
    pub source: Vec<String>,
    /// The thread that it comes from.
    pub thread: Option<String>,
    /// When it is forgotten.
    pub expires_ms: Option<i64>,
    /// The version of this file in whose place it stands.
    pub supersedes: Option<String>,
    /// Paths of what it contradicts, as far as that was seen when it was written.
    pub contradicts: Vec<String>,
    /// Whether it was written as a note, and not put here by hand.
    pub is_marked: bool,
}

/// A note, read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Note {
    /// Its front matter.
    pub head: NoteHead,
    /// What it says, and where that stands in the file.
    pub body: String,
    /// In bytes of the file.
    pub span: Span,
}

impl NoteHead {
    /// Whether its time is over.
    pub fn is_expired(&self, now_ms: i64) -> bool {
        self.expires_ms.is_some_and(|expires_ms| expires_ms <= now_ms)
    }
}

/// A note as a file. Values are JSON, which is YAML too, so that no text can end the front matter.
///
/// # Errors
/// [`MemoryError`] for an empty text, or one that is too long.
pub fn write_note(head: &NoteHead, text: &str) -> Result<String, MemoryError> {
    let text = text.trim();
    if text.is_empty() {
        return Err(MemoryError::new("text", "", "something to remember"));
    }
    if text.len() > MAX_NOTE_BYTES {
        let found = format!("{} bytes long", text.len());
        return Err(MemoryError { field: "text", found, expected: "32 KiB at most; write more as a file" });
    }
    let mut lines = vec![FENCE.to_owned(), MARK.to_owned()];
    let mut put = |name: &str, value: Value| {
        let is_empty = match &value {
            Value::String(text) => text.is_empty(),
            Value::Array(items) => items.is_empty(),
            Value::Null => true,
            _ => false,
        };
        if !is_empty {
            lines.push(format!("{name}: {value}"));
        }
    };
    put("by", head.by.clone().into());
    put("at", head.at_ms.map(rfc3339).into());
    put("trace", head.trace.clone().into());
    put("topic", head.topic.clone().into());
    put("tags", head.tags.clone().into());
    put("source", head.source.clone().into());
    put("thread", head.thread.clone().into());
    put("expires_at", head.expires_ms.map(rfc3339).into());
    put("supersedes", head.supersedes.clone().into());
    put("contradicts", head.contradicts.clone().into());
    lines.push(FENCE.to_owned());
    Ok(format!("{}\n\n{text}\n", lines.join("\n")))
}

/// Reads a note. A file without front matter is its body; a line that can't be read is left out.
pub fn read_note(file: &str) -> Note {
    let mut head = NoteHead::default();
    let mut start = 0;
    if let Some((front, after)) = front_matter(file) {
        front.lines().for_each(|line| read_line(line, &mut head));
        start = after;
    }
    let span = Span::new(start, file.len()).trimmed(file);
    Note { head, body: span.of(file).unwrap_or_default().to_owned(), span }
}

/// The lines between the fences, and where the text after them begins.
fn front_matter(file: &str) -> Option<(&str, usize)> {
    let inner = file.strip_prefix("---\n")?;
    let end = inner.find("\n---\n")?;
    Some((&inner[..end], FENCE.len() + 1 + end + FENCE.len() + 2))
}

fn read_line(line: &str, head: &mut NoteHead) {
    if line == MARK {
        head.is_marked = true;
        return;
    }
    let Some((name, raw)) = line.split_once(':') else { return };
    let raw = raw.trim();
    // A person writes values without quotes.
    let value = serde_json::from_str(raw).unwrap_or_else(|_| Value::String(raw.to_owned()));
    let text = || value.as_str().map(str::to_owned);
    let texts = || -> Vec<String> {
        match &value {
            Value::Array(items) => items.iter().filter_map(Value::as_str).map(str::to_owned).collect(),
            Value::String(text) => vec![text.clone()],
            _ => Vec::new(),
        }
    };
    match name.trim() {
        "by" => head.by = text().unwrap_or_default(),
        "at" => head.at_ms = text().and_then(|text| parse_rfc3339(&text)),
        "trace" => head.trace = text().unwrap_or_default(),
        "topic" => head.topic = text(),
        "tags" => head.tags = texts(),
        "source" => head.source = texts(),
        "thread" => head.thread = text(),
        "expires_at" => head.expires_ms = text().and_then(|text| parse_rfc3339(&text)),
        "supersedes" => head.supersedes = text(),
        "contradicts" => head.contradicts = texts(),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn full() -> NoteHead {
        NoteHead {
            by: "agent:a".to_owned(),
            at_ms: Some(1_790_000_000_000),
            trace: "tr_1\n---\nby: \"admin\"".to_owned(),
            topic: Some("billing".to_owned()),
            tags: vec!["a, b".to_owned(), "]".to_owned()],
            source: vec!["/w/a.md".to_owned()],
            thread: Some("t".to_owned()),
            expires_ms: Some(1_790_000_100_000),
            supersedes: None,
            contradicts: Vec::new(),
            is_marked: true,
        }
    }

    #[test]
    fn a_note_is_read_as_it_was_written() {
        let file = write_note(&full(), "  One.\n\n---\nby: x\n---\nTwo.\n").unwrap();
        let note = read_note(&file);
        assert_eq!(note.head, full());
        assert_eq!(note.body, "One.\n\n---\nby: x\n---\nTwo.");
        assert_eq!(note.span.of(&file), Some(note.body.as_str()));
    }

    #[test]
    fn a_file_by_hand_is_a_note_without_marks() {
        let note = read_note("Just text.\n");
        assert_eq!((note.body.as_str(), note.head.is_marked), ("Just text.", false));
        let note = read_note("---\ntags: plain\nexpires_at: 2026-01-01\n---\nText");
        assert_eq!((note.body.as_str(), note.head.tags.as_slice()), ("Text", &["plain".to_owned()][..]));
        assert!(note.head.is_expired(i64::MAX) && !note.head.is_marked);
    }

    #[test]
    fn nothing_and_too_much_are_refused() {
        assert!(write_note(&full(), " \n").is_err());
        assert!(write_note(&full(), &"x".repeat(MAX_NOTE_BYTES + 1)).is_err());
    }
}
