//! JSON: blocks along keys and elements, as deep as they are large.
//!
//! Takes text, gives blocks with the path of keys as headings. Reads by a scanner of its own that knows only
//! brackets and strings, so that broken, commented or very deep JSON costs no more than good JSON.

use super::Structure;
use crate::text::document::BlockKind;
use crate::text::outline::{Mark, clean_heading, lines, tile};

/// Values shorter than this stay in one block.
const SMALL_BYTES: usize = 1200;

/// Deeper keys are not told apart.
const MAX_DEPTH: usize = 4;

/// Blocks of one JSON value.
pub(super) fn read(text: &str) -> Structure {
    let mut marks = vec![Mark::new(0, Vec::new(), BlockKind::Data)];
    descend(text, Place { value: 0, block: 0, depth: 1 }, &mut Vec::new(), &mut marks);
    Structure { blocks: tile(text, marks), title: None, warning: None }
}

/// Blocks of one value a line.
pub(super) fn read_lines(text: &str) -> Structure {
    let marks = lines(text).map(|(at, _)| Mark::new(at, Vec::new(), BlockKind::Data)).collect();
    Structure { blocks: tile(text, marks), title: None, warning: None }
}

/// Where in the text, and in which order of nesting, a value stands.
#[derive(Clone, Copy)]
struct Place {
    /// Where the value begins.
    value: usize,
    /// Where the block of its first member begins: with the value's own key and bracket, for a block of these alone
    /// would be of no use.
    block: usize,
    depth: usize,
}

/// Marks the members of a value, and those of its large members; recurses at most [`MAX_DEPTH`] deep.
fn descend(text: &str, place: Place, path: &mut Vec<String>, marks: &mut Vec<Mark>) {
    for (idx, member) in members(text, place.value).into_iter().enumerate() {
        let key = member.key.map(|key| clean_heading(&text[key.0..key.1])).filter(|key| !key.is_empty());
        let outer = path.len();
        path.extend(key);
        let block = if idx == 0 { place.block } else { member.start };
        marks.push(Mark::new(block, path.clone(), BlockKind::Data));
        if member.end - member.value > SMALL_BYTES && place.depth < MAX_DEPTH {
            descend(text, Place { value: member.value, block, depth: place.depth + 1 }, path, marks);
        }
        path.truncate(outer);
    }
}

struct Member {
    /// The key's bytes without quotes.
    key: Option<(usize, usize)>,
    start: usize,
    value: usize,
    end: usize,
}

/// The members of the object or array that begins at `from`; none for other values.
fn members(text: &str, from: usize) -> Vec<Member> {
    let bytes = text.as_bytes();
    let mut members = Vec::new();
    let mut at = skip_space(bytes, from);
    if !matches!(bytes.get(at), Some(b'{' | b'[')) {
        return members;
    }
    at += 1;
    let (mut depth, mut open) = (1_usize, None::<Member>);
    while at < bytes.len() && depth > 0 {
        let byte = bytes[at];
        let next = if byte == b'"' { string_end(bytes, at) } else { at + 1 };
        match byte {
            _ if byte.is_ascii_whitespace() => {}
            b',' if depth == 1 => close(&mut open, at, &mut members),
            b':' if depth == 1 => {
                if let Some(member) = &mut open {
                    member.key = Some((member.start, member.end));
                    member.value = skip_space(bytes, next);
                }
            }
            b'}' | b']' => depth -= 1,
            _ => {
                let member = open.get_or_insert(Member { key: None, start: at, value: at, end: next });
                if byte == b'"' && depth == 1 && member.start == at {
                    member.end = next;
                }
                depth += usize::from(matches!(byte, b'{' | b'['));
            }
        }
        at = next;
    }
    close(&mut open, at.min(bytes.len()), &mut members);
    members
}

fn close(open: &mut Option<Member>, end: usize, members: &mut Vec<Member>) {
    if let Some(mut member) = open.take() {
        member.end = end;
        member.key = member.key.map(|(start, end)| (start + 1, end.saturating_sub(1).max(start + 1)));
        members.push(member);
    }
}

fn skip_space(bytes: &[u8], mut at: usize) -> usize {
    while bytes.get(at).is_some_and(u8::is_ascii_whitespace) {
        at += 1;
    }
    at
}

/// One past the closing quote of the string that begins at `at`.
fn string_end(bytes: &[u8], at: usize) -> usize {
    let mut next = at + 1;
    while next < bytes.len() {
        match bytes[next] {
            b'\\' => next += 2,
            b'"' => return next + 1,
            _ => next += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let structure = read(text);
        let paths: Vec<String> = structure.blocks.iter().map(|block| block.headings.join(" > ")).collect();
        let quotes = structure.blocks.iter().map(|block| block.span.of(text).unwrap_or_default());
        let found: Vec<(&str, &str)> = paths.iter().map(String::as_str).zip(quotes).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn keys_and_elements_are_blocks() {
        check(
            r#"{"a": 1, "b,\"": {"c": [2, 3]}, "d": "}"}"#,
            &[("a", r#"{"a": 1,"#), ("b,\\\"", r#""b,\"": {"c": [2, 3]},"#), ("d", r#""d": "}"}"#)],
        );
        check("[1, [2, 3],\n{\"a\": 4}]", &[("", "[1,"), ("", "[2, 3],"), ("", "{\"a\": 4}]")]);
        check("3", &[("", "3")]);
    }

    #[test]
    fn large_values_are_cut_further() {
        let text = format!("{{\"a\": {{\"b\": \"{0}\", \"c\": \"{0}\"}}}}", "x".repeat(SMALL_BYTES));
        let paths: Vec<String> = read(&text).blocks.iter().map(|block| block.headings.join(" > ")).collect();
        assert_eq!(paths, ["a > b", "a > c"]);
    }

    #[test]
    fn broken_json_is_read_to_its_end() {
        for text in ["{", "[", "{\"a", "{\"a\":", "{:1}", "]{", "{\"\\", "[[[[", "{a: 'b'}", "{\"é\":1"] {
            let blocks = read(text).blocks;
            assert_eq!(blocks.iter().map(|block| block.span.len()).sum::<usize>(), text.len(), "{text}");
        }
    }
}
