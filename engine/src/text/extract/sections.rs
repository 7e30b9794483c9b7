//! YAML, TOML and INI: blocks along top-level keys and `[tables]`.
//!
//! Takes text, gives blocks with the key or table as their heading. Works by line and never fails on bad syntax.

use super::Structure;
use crate::text::document::BlockKind;
use crate::text::outline::{Mark, lines, tile};

/// Blocks of YAML: top-level keys, top-level items, documents.
pub(super) fn read_yaml(text: &str) -> Structure {
    let mut marks = Vec::new();
    let mut comment = None;
    for (at, line) in lines(text) {
        if line.starts_with('#') {
            comment = comment.or(Some(at));
        } else if line.starts_with("---") || line.starts_with("- ") {
            marks.push(Mark::new(comment.take().unwrap_or(at), Vec::new(), BlockKind::Data));
        } else if let Some(key) = yaml_key(line) {
            marks.push(Mark::new(comment.take().unwrap_or(at), vec![key.to_owned()], BlockKind::Data));
        } else {
            comment = None;
        }
    }
    structure(text, marks)
}

/// Blocks of TOML or INI: tables, and paragraphs before the first one.
pub(super) fn read_tables(text: &str) -> Structure {
    let mut marks = Vec::new();
    let mut path: Vec<String> = Vec::new();
    let (mut comment, mut blank) = (None, true);
    for (at, line) in lines(text) {
        let line = line.trim();
        if line.starts_with(['#', ';']) {
            comment = comment.or(Some(at));
        } else if let Some(name) = table_name(line) {
            path = vec![name.to_owned()];
            marks.push(Mark::new(comment.take().unwrap_or(at), path.clone(), BlockKind::Data));
            blank = false;
        } else if blank && !line.is_empty() {
            marks.push(Mark::new(comment.take().unwrap_or(at), path.clone(), BlockKind::Data));
            blank = false;
        } else {
            blank |= line.is_empty();
            comment = None;
        }
    }
    structure(text, marks)
}

fn structure(text: &str, mut marks: Vec<Mark>) -> Structure {
    marks.insert(0, Mark::new(0, Vec::new(), BlockKind::Data));
    Structure { blocks: tile(text, marks), title: None, warning: None }
}

/// The key of a line that begins at the margin, such as `key:` or `"key": value`.
fn yaml_key(line: &str) -> Option<&str> {
    let (key, rest) = line.split_once(':')?;
    let starts = |ch: char| ch.is_alphanumeric() || matches!(ch, '"' | '\'' | '_' | '.' | '/' | '$' | '<');
    let fits =
        key.len() <= 80 && key.starts_with(starts) && (rest.is_empty() || rest.starts_with([' ', '\t']));
    fits.then(|| key.trim().trim_matches(['"', '\'']))
}

/// The name in `[name]` or `[[name]]`; an array that stands alone is no table.
fn table_name(line: &str) -> Option<&str> {
    let inner = line.strip_prefix('[')?;
    let (name, rest) = inner.trim_start_matches('[').split_once(']')?;
    let rest = rest.trim_start_matches(']').trim_start();
    let fits =
        !name.trim().is_empty() && name.len() <= 120 && (rest.is_empty() || rest.starts_with(['#', ';']));
    fits.then(|| name.trim())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(structure: Structure, text: &str, expected: &[(&str, &str)]) {
        let paths: Vec<String> = structure.blocks.iter().map(|block| block.headings.join(" > ")).collect();
        let quotes = structure.blocks.iter().map(|block| block.span.of(text).unwrap_or_default());
        let found: Vec<(&str, &str)> = paths.iter().map(String::as_str).zip(quotes).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn yaml_is_cut_at_its_keys() {
        let text = "# head\n\n# about a\na: 1\nb:\n  - c: 2\n---\n- d\n- e\n";
        check(
            read_yaml(text),
            text,
            &[
                ("", "# head"),
                ("a", "# about a\na: 1"),
                ("b", "b:\n  - c: 2"),
                ("", "---"),
                ("", "- d"),
                ("", "- e"),
            ],
        );
    }

    #[test]
    fn toml_is_cut_at_its_tables() {
        let text =
            "a = 1\n\n# the package\n[package]\nname = \"x\"\n\nedition = 1\n[[bin]] # one\nb = [\n[1],\n]";
        check(
            read_tables(text),
            text,
            &[
                ("", "a = 1"),
                ("package", "# the package\n[package]\nname = \"x\""),
                ("package", "edition = 1"),
                ("bin", "[[bin]] # one\nb = [\n[1],\n]"),
            ],
        );
    }
}
