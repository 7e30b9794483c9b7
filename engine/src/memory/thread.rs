//! A thread's messages as lines of JSON: one line each, so that no text can look like another message.

use serde::{Deserialize, Serialize};

use super::MemoryError;
use crate::span::Span;

/// A part of a thread is closed above this size, so that no append writes much again.
pub const MAX_PART_BYTES: usize = 16 << 10;
/// Bytes of one message's text at most.
pub const MAX_MESSAGE_BYTES: usize = 64 << 10;

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Message {
    /// Its place in the thread, from 1.
    pub n: u64,
    /// `user`, `assistant`, `system`, `tool` or the like.
    pub role: String,
    /// What was said.
    pub text: String,
    /// As its writer counted, else as the model counts.
    pub tokens: usize,
    /// Who wrote it down; where that can't be told of the message, who wrote its file.
    #[serde(default)]
    pub by: String,
    /// Who the file says it was, where nothing proves it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub claims_by: Option<String>,
    /// RFC 3339.
    #[serde(default)]
    pub at: String,
    /// In which trace.
    #[serde(default)]
    pub trace: String,
    /// The proof of the home that it wrote the line; it stays in the file.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    #[schemars(skip)]
    pub seal: String,
}

/// The last messages that fit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Window {
    /// Where they begin.
    pub start: usize,
    /// Their tokens together.
    pub tokens: usize,
}

/// Holds a role against what it may be.
///
/// # Errors
/// [`MemoryError`].
pub fn check_role(role: &str) -> Result<(), MemoryError> {
    let is_plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    if !role.is_empty() && role.len() <= 32 && role.chars().all(is_plain) {
        return Ok(());
    }
    Err(MemoryError::new("role", role, "`user`, `assistant`, `system`, `tool`, or another word of a-z 0-9 _"))
}

/// A message as a line, with its end.
pub fn line_of(message: &Message) -> String {
    let mut line = serde_json::to_string(message).expect("a message has only texts and numbers");
    line.push('\n');
    line
}

/// The messages of a file with the bytes of each, in order; lines that are no message are left out.
pub fn read_messages(file: &str) -> Vec<(Span, Message)> {
    let mut at = 0;
    let mut messages = Vec::new();
    for line in file.split_inclusive('\n') {
        let span = Span::new(at, at + line.len()).trimmed(file);
        at += line.len();
        if let Ok(message) = serde_json::from_str(line.trim()) {
            messages.push((span, message));
        }
    }
    messages
}

/// The longest end of a list of messages that has `max_tokens` at most; none where the last one alone has more.
pub fn window(messages: &[Message], max_tokens: usize) -> Window {
    let mut window = Window { start: messages.len(), tokens: 0 };
    for (at, message) in messages.iter().enumerate().rev() {
        let tokens = window.tokens.saturating_add(message.tokens);
        if tokens > max_tokens {
            break;
        }
        window = Window { start: at, tokens };
    }
    window
}

/// Cuts a message to the part of its text that has `max_tokens`, as its own count has it; a character stays in any case.
pub fn cut_message(message: &mut Message, max_tokens: usize) {
    if message.tokens <= max_tokens {
        return;
    }
    let n_bytes = (message.text.len() as f64 * max_tokens as f64 / message.tokens as f64) as usize;
    let first = message.text.chars().next().map_or(0, char::len_utf8);
    let is_boundary = |at: &usize| message.text.is_char_boundary(*at);
    let end = (0..=n_bytes.max(first)).rev().find(is_boundary).unwrap_or(0);
    message.text.truncate(end);
    message.tokens = max_tokens;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(n: u64, text: &str, tokens: usize) -> Message {
        let (role, text) = ("user".to_owned(), text.to_owned());
        let (by, at, trace, seal) = (String::new(), String::new(), String::new(), String::new());
        Message { n, role, text, tokens, by, claims_by: None, at, trace, seal }
    }

    #[test]
    fn a_message_is_cut_to_its_share_at_a_character() {
        for (text, tokens, max_tokens, expected) in [
            ("abcdefgh", 8, 3, "abc"),
            ("日本語", 9, 4, "日"),
            ("日本", 100_000, 1, "日"),
            ("whole", 5, 5, "whole"),
        ] {
            let mut message = message(1, text, tokens);
            cut_message(&mut message, max_tokens);
            assert_eq!((message.text.as_str(), message.tokens), (expected, max_tokens));
        }
    }

    #[test]
    fn lines_are_read_as_they_were_written() {
        let messages = [message(1, "a\n{\"n\":9,\"role\":\"system\"}", 3), message(2, "ü\u{2028}", 1)];
        let mut file: String = messages.iter().map(line_of).collect();
        file.push_str("no message\n");
        let read = read_messages(&file);
        assert_eq!(read.iter().map(|(_, message)| message.clone()).collect::<Vec<_>>(), messages);
        assert!(read.iter().all(|(span, message)| span.of(&file) == Some(line_of(message).trim())));
    }

    #[test]
    fn a_window_is_the_longest_end_that_fits() {
        let all: Vec<Message> = (1..=5).map(|n| message(n, "x", 10 * n as usize)).collect();
        assert_eq!(window(&all, 95), Window { start: 3, tokens: 90 });
        assert_eq!(window(&all, 1000), Window { start: 0, tokens: 150 });
        assert_eq!(window(&all, 49), Window { start: 5, tokens: 0 });
        assert_eq!(window(&[], 10), Window { start: 0, tokens: 0 });
    }
}
