//! Reads a file's text in parts: the window of lines that was asked for, as far as the bound goes, or what comes after a byte.

use serde_json::{Value, json};
use waypost_engine::api::Session;
use waypost_engine::id::{join_path, split_path};

use super::arguments;
use super::bound::{budget_bytes, cost, cut};
use crate::problem::Problem;

/// Bytes of JSON around a file's text: its version and place.
const FRAME: usize = 300;

/// Runs `read_file`.
pub fn read_file(session: &Session, arguments: &arguments::ReadFile) -> Result<Value, Problem> {
    let budget = budget_bytes(arguments.max_tokens)?;
    let budget = budget.saturating_sub(FRAME + cost(&arguments.path));
    let window = Window::of(arguments)?;
    let file =
        session.read_file(&arguments.path, arguments.version.as_deref(), arguments.as_of.as_deref())?;
    let Ok(text) = String::from_utf8(file.bytes) else {
        let status = axum::http::StatusCode::UNSUPPORTED_MEDIA_TYPE;
        let detail = format!("`{}` is no UTF-8 text but {}", arguments.path, file.mime_type);
        return Err(Problem::new(status, "unsupported_type", detail));
    };
    if let Some(start_byte) = arguments.start_byte {
        let part = from_byte(&text, start_byte, budget)?;
        return Ok(with_file(part, &arguments.path, &file.version.to_string()));
    }
    let lines: Vec<&str> = text.split_inclusive('\n').collect();
    if let Window::From(first) = window
        && first > 0
        && first >= lines.len()
    {
        let (asked, total) = (first + 1, lines.len());
        return Err(Problem::invalid(format!("`start_line` is {asked}: the file has {total} lines")));
    }
    let (first, last) = window.lines(&lines, budget);
    let start_byte: usize = lines[..first].iter().map(|line| line.len()).sum();
    let mut shown_text: String = lines[first..last].concat();
    let whole = shown_text.len();
    cut(&mut shown_text, budget);
    let end_byte = start_byte + shown_text.len();
    let is_cut = shown_text.len() < whole;
    let mut shown = json!({
        "lines": [first + 1, last],
        "total_lines": lines.len(),
        "start_byte": start_byte,
        "end_byte": end_byte,
        "text": shown_text,
    });
    if is_cut {
        shown["cut"] = json!("this line is longer than `max_tokens`");
        shown["next_byte"] = json!(end_byte);
    }
    if last < lines.len() && !matches!(window, Window::Last(_)) {
        shown["next_line"] = json!(last + 1);
    }
    Ok(with_file(shown, &arguments.path, &file.version.to_string()))
}

fn with_file(mut shown: Value, path: &str, version: &str) -> Value {
    shown["path"] = json!(canonical(path));
    shown["version"] = json!(version);
    shown
}

/// As much of a text as fits, from a byte on, whatever lines it has.
fn from_byte(text: &str, start_byte: usize, budget: usize) -> Result<Value, Problem> {
    let Some(rest) = text.get(start_byte..) else {
        let found = if start_byte > text.len() { "lies beyond its end" } else { "is within a character" };
        return Err(Problem::invalid(format!(
            "`start_byte` is {start_byte}, which {found}: the file has {} bytes; expected a `next_byte`",
            text.len()
        )));
    };
    // A character takes no less as JSON than as itself, so this holds all that fits.
    let near = rest.char_indices().map(|(at, _)| at).find(|at| *at > budget).unwrap_or(rest.len());
    let mut part = rest[..near].to_owned();
    cut(&mut part, budget);
    let end_byte = start_byte + part.len();
    let line_of = |byte: usize| 1 + text[..byte].matches('\n').count();
    let last_byte = text[..end_byte].strip_suffix('\n').map_or(end_byte, str::len);
    let mut shown = json!({
        "lines": [line_of(start_byte), line_of(last_byte.max(start_byte))],
        "total_lines": text.split_inclusive('\n').count(),
        "start_byte": start_byte,
        "end_byte": end_byte,
        "text": part,
    });
    if end_byte < text.len() {
        shown["next_byte"] = json!(end_byte);
    }
    Ok(shown)
}

/// A path in its one spelling; what is none stays as it is.
pub fn canonical(path: &str) -> String {
    split_path(path).map_or_else(|_| path.to_owned(), |(workspace, below)| join_path(&workspace, &below))
}

/// Which lines of a file are wanted.
enum Window {
    From(usize),
    First(usize),
    Last(usize),
}

impl Window {
    fn of(arguments: &arguments::ReadFile) -> Result<Self, Problem> {
        let given = [arguments.start_line, arguments.start_byte, arguments.head, arguments.tail];
        if given.iter().flatten().count() > 1 {
            let places = "`start_line`, `start_byte`, `head`, `tail`";
            return Err(Problem::invalid(format!("expected at most one of {places}")));
        }
        match (arguments.start_line, arguments.head, arguments.tail) {
            (Some(line), None, None) if line > 0 => Ok(Self::From(line - 1)),
            (None, Some(head), None) if head > 0 => Ok(Self::First(head)),
            (None, None, Some(tail)) if tail > 0 => Ok(Self::Last(tail)),
            (Some(0), None, None) => Err(Problem::invalid("`start_line` is 0: lines count from 1")),
            (None, Some(0), None) | (None, None, Some(0)) => {
                Err(Problem::invalid("`head` or `tail` is 0: expected how many lines, 1 or more"))
            }
            _ => Ok(Self::From(0)),
        }
    }

    /// The lines `[first, last)` of the window that fit the budget; at least one where the window has any.
    fn lines(&self, lines: &[&str], budget: usize) -> (usize, usize) {
        let fitting = |lines: &mut dyn Iterator<Item = &&str>| {
            let mut spent = 0;
            let fits = lines.take_while(|line| {
                spent += cost(line) - 2;
                spent <= budget
            });
            fits.count().max(1)
        };
        match self {
            Self::From(first) => {
                let first = (*first).min(lines.len());
                let n_lines = fitting(&mut lines[first..].iter());
                (first, (first + n_lines).min(lines.len()))
            }
            Self::First(head) => {
                let head = (*head).min(lines.len());
                (0, fitting(&mut lines[..head].iter()).min(head))
            }
            Self::Last(tail) => {
                let tail = (*tail).min(lines.len());
                let n_lines = fitting(&mut lines[lines.len() - tail..].iter().rev()).min(tail);
                (lines.len() - n_lines, lines.len())
            }
        }
    }
}
