//! What holds for every document and every chunking of it, tried over many inputs.

use super::*;
use crate::span::Span;

/// Checks every law for one file and a few limits.
#[track_caller]
fn check(name: &str, bytes: &[u8]) {
    let Ok(document) = extract(name, bytes, &Limits::default()) else { return };
    if document.verbatim {
        assert_eq!(document.text.as_bytes(), bytes, "{name}: verbatim");
    }
    check_cover(name, &document.text, document.blocks.iter().map(|block| block.span));
    for max_tokens in [1, 5, 30, 220] {
        let chunks = chunk(&document, &WordEstimate, &ChunkOptions::new(max_tokens));
        check_cover(name, &document.text, chunks.iter().map(|chunk| chunk.span));
        for chunk in &chunks {
            let quote = chunk.span.of(&document.text).expect(name);
            assert_eq!(chunk.n_tokens, WordEstimate.count(quote), "{name}: {quote:?}");
            let is_one_char = quote.chars().nth(1).is_none();
            assert!(
                chunk.n_tokens <= max_tokens || is_one_char,
                "{name}: {} tokens, limit {max_tokens}",
                chunk.n_tokens
            );
            assert!(quote.len() < (max_tokens + 1) * 24 || is_one_char, "{name}: {} bytes", quote.len());
            assert!(chunk.lines.0 >= 1 && chunk.lines.1 >= chunk.lines.0, "{name}");
        }
        assert_eq!(
            chunks,
            chunk(&document, &WordEstimate, &ChunkOptions::new(max_tokens)),
            "{name}: repeatable"
        );
    }
    let all = Span::new(0, document.text.len());
    check_cover(name, &document.text, sentences(&document.text, all).into_iter());
    check_cover(name, &document.text, document_sentences(&document, all).into_iter());
}

/// Spans are in order, trimmed, not empty, and hold everything but white space.
#[track_caller]
fn check_cover(name: &str, text: &str, spans: impl Iterator<Item = Span>) {
    let mut at = 0;
    for span in spans {
        let between = text.get(at..span.start).unwrap_or_else(|| panic!("{name}: {span:?} overlaps or cuts"));
        assert!(between.trim_matches(decode::BOM).trim().is_empty(), "{name}: lost {between:?}");
        let quote = span.of(text).unwrap_or_else(|| panic!("{name}: {span:?} cuts a character"));
        assert!(!quote.is_empty() && quote.trim() == quote, "{name}: {quote:?} is not trimmed");
        at = span.end;
    }
    assert!(text[at..].trim_matches(decode::BOM).trim().is_empty(), "{name}: lost {:?}", &text[at..]);
}

/// Names that lead to every reader.
const NAMES: &[&str] = &[
    "a.md", "a.txt", "a.html", "a.xml", "a.json", "a.jsonl", "a.yaml", "a.toml", "a.csv", "a.tsv", "a.ipynb",
    "a.rs", "a.py", "a.js", "a.ts", "a.tsx", "a.go", "a.java", "a.c", "a.sh", "a", "a.adoc", "a.tex",
    "a.srt", "a.eml", "a.mbox",
];

/// A little of everything, for every reader to stumble over.
const SCRAPS: &[&str] = &[
    "# Head",
    "## Sub\n",
    "\n\n",
    "\r\n",
    " ",
    "word",
    "Two words. And a sentence! ",
    "- item\n",
    "1. item\n",
    "| a | b |\n|---|---|\n| 1 | 2 |\n",
    "```\ncode\n```\n",
    "> quote\n",
    "---\n",
    "===\n",
    "fn f() {\n",
    "}\n",
    "impl A for B {",
    "class A:\n",
    "    def x(self):\n",
    "/// doc\n",
    "// note",
    "#[attr]\n",
    "{\"a\": [1, 2",
    "]}",
    "\"",
    "'",
    "<p>",
    "</p>",
    "<table><tr><td>",
    "<li>",
    "<pre>",
    "&amp;",
    "a,b,c\n",
    "key: value\n",
    "[table]\n",
    "é",
    "你好。",
    "👩‍👩‍👧",
    "e\u{301}",
    "\u{feff}",
    "\u{a0}",
    "\t",
    "e.g. ",
    "U.S. ",
    "...",
    "\\",
    "[^1]: note\n",
    "$x$",
    "#!/bin/sh\n",
    "func (a *B) C() {}\n",
    "package a;\n",
    "export const f = () => {};\n",
    "#ifndef A\n",
    "@deco\n",
    "[ref]: http://x\n",
];

/// Numbers for the fuzz loops; the same on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (self.0 >> 33) as usize % sides
    }
}

#[test]
fn laws_hold_for_scraps_in_any_order() {
    let mut dice = Dice(1);
    for round in 0..1500 {
        let n_scraps = dice.roll(40);
        let content: String = (0..n_scraps).map(|_| SCRAPS[dice.roll(SCRAPS.len())]).collect();
        check(NAMES[round % NAMES.len()], content.as_bytes());
    }
}

#[test]
fn laws_hold_for_random_bytes() {
    let mut dice = Dice(2);
    for round in 0..1500 {
        let n_bytes = dice.roll(200);
        let sides = [256, 128, 96][round % 3];
        let bytes: Vec<u8> =
            (0..n_bytes).map(|_| (dice.roll(sides) + if sides == 96 { 32 } else { 0 }) as u8).collect();
        check(NAMES[round % NAMES.len()], &bytes);
    }
}

#[test]
fn laws_hold_for_scraps_in_other_encodings() {
    let mut dice = Dice(3);
    for _ in 0..200 {
        let content: String = (0..20).map(|_| SCRAPS[dice.roll(SCRAPS.len())]).collect();
        let wide: Vec<u8> = content.encode_utf16().flat_map(u16::to_le_bytes).collect();
        check("a.md", &wide);
        let damaged: Vec<u8> = content.bytes().filter(|byte| *byte != 0xa9 && *byte != 0x9f).collect();
        check("a.txt", &damaged);
    }
}
