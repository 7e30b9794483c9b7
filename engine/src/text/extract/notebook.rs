//! Jupyter notebooks → the text of their cells.
//!
//! Takes JSON, gives Markdown cells as they are written, code cells, and the beginning of what they printed.
//! Images, HTML outputs and metadata are left out. `None` where the JSON is not a notebook.

use serde_json::Value;

use super::{Rendered, Structure, markdown};
use crate::span::Span;
use crate::text::document::{Block, BlockKind};
use crate::text::outline::Outline;
use crate::text::words::char_floor;

/// Longer outputs are cut; they are logs more often than findings.
const MAX_OUTPUT_BYTES: usize = 1000;

/// The text of a notebook's cells.
pub(super) fn read(json: &str) -> Option<Rendered> {
    let notebook: Value = serde_json::from_str(json).ok()?;
    let cells = notebook.get("cells").or_else(|| notebook.pointer("/worksheets/0/cells"))?.as_array()?;
    let mut page = Page::default();
    for cell in cells {
        page.cell(cell);
    }
    let language = ["/metadata/language_info/name", "/metadata/kernelspec/language"];
    let language = language.iter().find_map(|at| notebook.pointer(at)?.as_str()).map(str::to_lowercase);
    let title = notebook.pointer("/metadata/title").and_then(Value::as_str).map(str::to_owned).or(page.title);
    let structure = Structure { blocks: page.blocks, title, warning: None };
    Some(Rendered { text: page.text, structure, language, ..Rendered::default() })
}

#[derive(Default)]
struct Page {
    text: String,
    blocks: Vec<Block>,
    outline: Outline,
    title: Option<String>,
}

impl Page {
    fn cell(&mut self, cell: &Value) {
        let source = joined(cell.get("source").or_else(|| cell.get("input")));
        match cell.get("cell_type").and_then(Value::as_str) {
            Some("markdown" | "heading") => self.markdown(&source),
            Some("code") => {
                self.block(&source, BlockKind::Code);
                let outputs = cell.get("outputs").and_then(Value::as_array);
                outputs.into_iter().flatten().for_each(|output| self.output(output));
            }
            _ => self.block(&source, BlockKind::Prose),
        }
    }

    fn markdown(&mut self, source: &str) {
        let structure = markdown::read_into(source, &mut self.outline);
        self.title = self.title.take().or(structure.title);
        let base = self.text.len();
        self.blocks.extend(
            structure.blocks.into_iter().map(|block| Block {
                span: Span::new(block.span.start + base, block.span.end + base),
                ..block
            }),
        );
        self.text.push_str(source);
        self.text.push_str("\n\n");
    }

    fn output(&mut self, output: &Value) {
        let printed = output.get("text").or_else(|| output.pointer("/data/text~1plain"));
        let printed = joined(printed.or_else(|| output.get("evalue")));
        let end = char_floor(&printed, MAX_OUTPUT_BYTES);
        self.block(&printed[..end], BlockKind::Code);
    }

    fn block(&mut self, source: &str, kind: BlockKind) {
        let source = source.trim();
        if source.is_empty() {
            return;
        }
        let start = self.text.len();
        self.text.push_str(source);
        let span = Span::new(start, self.text.len());
        self.blocks.push(Block { span, headings: self.outline.path(), kind });
        self.text.push_str("\n\n");
    }
}

/// Notebooks write text as one string or as a list of lines.
fn joined(value: Option<&Value>) -> String {
    match value {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(lines)) => lines.iter().filter_map(Value::as_str).collect(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cells_become_text_under_their_headings() {
        let json = r###"{"metadata": {"kernelspec": {"language": "python"}}, "cells": [
            {"cell_type": "markdown", "source": ["# Sales\n", "Per year."]},
            {"cell_type": "code", "source": "df.sum()", "outputs": [
                {"output_type": "execute_result", "data": {"text/plain": ["42"], "image/png": "AAAA"}},
                {"output_type": "stream", "text": "done\n"}]},
            {"cell_type": "markdown", "source": "## Next"}]}"###;
        let rendered = read(json).unwrap();
        let found: Vec<(String, &str)> = rendered
            .structure
            .blocks
            .iter()
            .map(|block| (block.headings.join(" > "), block.span.of(&rendered.text).unwrap()))
            .collect();
        let expected = [
            ("Sales", "# Sales"),
            ("Sales", "Per year."),
            ("Sales", "df.sum()"),
            ("Sales", "42"),
            ("Sales", "done"),
            ("Sales > Next", "## Next"),
        ];
        assert_eq!(found, expected.map(|(path, quote)| (path.to_owned(), quote)));
        assert_eq!(
            (rendered.language.as_deref(), rendered.structure.title.as_deref()),
            (Some("python"), Some("Sales"))
        );
    }

    #[test]
    fn other_json_is_no_notebook() {
        for json in ["{}", "[]", "{\"cells\": 3}", "{"] {
            assert!(read(json).is_none(), "{json}");
        }
    }
}
