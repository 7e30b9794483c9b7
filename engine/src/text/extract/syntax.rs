//! Definitions in source code, by parsing it.
//!
//! Takes text and a [`Grammar`], gives marks where definitions begin, with their leading comments and attributes,
//! and where other statements do. The only file that knows the parser. Gives up, by a count of steps and never by
//! the clock, on input that the parser cannot follow.

use std::ops::ControlFlow;

use tree_sitter::{Language, Node, ParseOptions, Parser};

use super::grammars::{Definition, Grammar, Naming};
use crate::text::document::BlockKind;
use crate::text::outline::{Mark, clean_heading};

/// Definitions nested deeper belong to the one around them; it also bounds the recursion.
const MAX_DEPTH: usize = 8;

/// The parser reports progress every hundred operations. Honest code takes one report for about 200 bytes of it.
const BASE_STEPS: usize = 1_500;

/// Bytes for which one report is granted.
const BYTES_PER_STEP: usize = 100;

/// What a report costs while the parser recovers from errors, which is when it is slow.
const STEPS_IN_ERROR: usize = 3;

/// Nodes that describe what follows them.
const LEADING: &[&str] =
    &["line_comment", "block_comment", "comment", "attribute_item", "decorator", "html_comment"];

/// Marks along the definitions in `text`; `None` where parsing takes too long.
pub(super) fn definitions(text: &str, grammar: &Grammar) -> Option<Vec<Mark>> {
    let mut parser = Parser::new();
    parser.set_language(&language(grammar.language)?).ok()?;
    let mut steps = BASE_STEPS + text.len() / BYTES_PER_STEP;
    let mut progress = |state: &tree_sitter::ParseState| {
        steps = steps.saturating_sub(if state.has_error() { STEPS_IN_ERROR } else { 1 });
        if steps == 0 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let options = ParseOptions::new().progress_callback(&mut progress);
    let bytes = text.as_bytes();
    let tree =
        parser.parse_with_options(&mut |at, _| bytes.get(at..).unwrap_or_default(), None, Some(options))?;
    let mut walk =
        Walk { text, grammar, path: Vec::new(), marks: vec![Mark::new(0, Vec::new(), BlockKind::Code)] };
    walk.children(tree.root_node(), 0);
    Some(walk.marks)
}

fn language(name: &str) -> Option<Language> {
    let language = match name {
        "rust" => tree_sitter_rust::LANGUAGE,
        "python" => tree_sitter_python::LANGUAGE,
        "javascript" => tree_sitter_javascript::LANGUAGE,
        "typescript" => tree_sitter_typescript::LANGUAGE_TYPESCRIPT,
        "tsx" => tree_sitter_typescript::LANGUAGE_TSX,
        "go" => tree_sitter_go::LANGUAGE,
        "java" => tree_sitter_java::LANGUAGE,
        "c" => tree_sitter_c::LANGUAGE,
        _ => return None,
    };
    Some(language.into())
}

struct Walk<'a> {
    text: &'a str,
    grammar: &'a Grammar,
    path: Vec<String>,
    marks: Vec<Mark>,
}

/// What was seen of the siblings before a node.
#[derive(Default)]
struct Siblings {
    /// Where the last one ended.
    end: usize,
    /// Where the comments and attributes directly above begin.
    lead: Option<usize>,
    /// Whether statements that define nothing are being gathered into one block.
    in_run: bool,
}

impl<'a> Walk<'a> {
    fn children(&mut self, parent: Node<'a>, depth: usize) {
        let mut siblings = Siblings { end: parent.start_byte(), ..Siblings::default() };
        self.children_after(parent, depth, &mut siblings);
    }

    fn children_after(&mut self, parent: Node<'a>, depth: usize, siblings: &mut Siblings) {
        let mut cursor = parent.walk();
        for node in parent.named_children(&mut cursor) {
            self.node(node, depth, siblings);
            siblings.end = node.end_byte().max(siblings.end);
        }
    }

    fn node(&mut self, node: Node<'a>, depth: usize, siblings: &mut Siblings) {
        let gap = self.text.get(siblings.end..node.start_byte()).unwrap_or_default();
        let on_new_line =
            gap.contains('\n') || siblings.end == 0 || self.text[..siblings.end].ends_with('\n');
        let apart = gap.matches('\n').count() + usize::from(self.text[..siblings.end].ends_with('\n')) > 1;
        if apart && let Some(lead) = siblings.lead.take() {
            self.mark(lead, BlockKind::Code); // A comment of its own, such as a licence.
            siblings.in_run = false;
        }
        if LEADING.contains(&node.kind()) {
            if on_new_line {
                siblings.lead = siblings.lead.or(Some(node.start_byte()));
            }
        } else if self.grammar.transparent.contains(&node.kind()) && depth < MAX_DEPTH {
            self.statement(node, apart, siblings);
            siblings.end = node.start_byte();
            let mut inner = Siblings { end: node.start_byte(), in_run: true, ..Siblings::default() };
            self.children_after(node, depth + 1, &mut inner);
            siblings.in_run = inner.in_run;
        } else if let Some((definition, inner)) = self.definition(node) {
            let start = siblings.lead.take().unwrap_or(node.start_byte());
            siblings.in_run = false;
            self.define(definition, inner, start, depth);
        } else {
            self.statement(node, apart, siblings);
        }
    }

    fn statement(&mut self, node: Node<'a>, apart: bool, siblings: &mut Siblings) {
        let start = siblings.lead.take().unwrap_or(node.start_byte());
        if apart || !siblings.in_run {
            self.mark(start, BlockKind::Code);
        }
        siblings.in_run = true;
    }

    fn define(&mut self, definition: &Definition, node: Node<'a>, start: usize, depth: usize) {
        self.path.push(label(self.text, definition, node));
        let body = node.child_by_field_name("body").filter(|_| definition.is_container && depth < MAX_DEPTH);
        if let Some(body) = body {
            let head = self.text.get(start..body.start_byte()).unwrap_or_default().trim_end();
            let names_only = start >= node.start_byte() && !head.contains('\n');
            self.mark(start, if names_only { BlockKind::Heading } else { BlockKind::Code });
            self.children(body, depth + 1);
        } else {
            self.mark(start, BlockKind::Code);
        }
        self.path.pop();
    }

    /// The definition that a node is or carries, and the node that names it.
    fn definition(&self, node: Node<'a>) -> Option<(&'a Definition, Node<'a>)> {
        let mut node = node;
        for _ in 0..4 {
            let found = self.grammar.definitions.iter().find(|definition| definition.node == node.kind());
            if let Some(found) = found {
                let counts = found.naming != Naming::FunctionValue || holds_function(node);
                return counts.then_some((found, node));
            }
            if !self.grammar.wrappers.contains(&node.kind()) {
                return None;
            }
            let fields = ["definition", "declaration"];
            let last = node.named_child_count().checked_sub(1).and_then(|last| node.named_child(last as _));
            node = fields.iter().find_map(|field| node.child_by_field_name(field)).or(last)?;
        }
        None
    }

    fn mark(&mut self, at: usize, kind: BlockKind) {
        self.marks.push(Mark::new(at, self.path.clone(), kind));
    }
}

/// The heading of a definition, such as `fn parse` or `impl Display for Span`.
fn label(text: &str, definition: &Definition, node: Node<'_>) -> String {
    let of = |node: Node<'_>| text.get(node.byte_range()).unwrap_or_default();
    let field = |node: Node<'_>, name: &str| node.child_by_field_name(name).map(of);
    let name = match definition.naming {
        Naming::Field => field(node, "name").unwrap_or_default().to_owned(),
        Naming::Declarator => of(innermost_declarator(node)).to_owned(),
        Naming::Impl => {
            let of_trait = field(node, "trait").map(|name| format!("{name} for ")).unwrap_or_default();
            of_trait + field(node, "type").unwrap_or_default()
        }
        Naming::Child | Naming::FunctionValue => {
            named_child(node).and_then(|child| field(child, "name")).unwrap_or_default().to_owned()
        }
        Naming::Method => {
            format!(
                "{} {}",
                field(node, "receiver").unwrap_or_default(),
                field(node, "name").unwrap_or_default()
            )
        }
    };
    clean_heading(&format!("{}{name}", definition.prefix))
}

fn named_child(node: Node<'_>) -> Option<Node<'_>> {
    let mut cursor = node.walk();
    node.named_children(&mut cursor).find(|child| child.child_by_field_name("name").is_some())
}

/// Whether a `const x = …` holds a function or a class.
fn holds_function(node: Node<'_>) -> bool {
    let value = named_child(node).and_then(|child| child.child_by_field_name("value"));
    value.is_some_and(|value| {
        matches!(value.kind(), "arrow_function" | "function_expression" | "generator_function" | "class")
    })
}

/// `f` in `int *f(void)`; the chain is short in honest code.
fn innermost_declarator(node: Node<'_>) -> Node<'_> {
    let mut inner = node;
    for _ in 0..16 {
        match inner.child_by_field_name("declarator") {
            Some(next) => inner = next,
            None => break,
        }
    }
    inner
}
