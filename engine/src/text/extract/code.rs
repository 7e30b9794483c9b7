//! Source code → blocks along definitions.
//!
//! Takes text and the language's name. Where a grammar is at hand, [`syntax`](super::syntax) finds functions,
//! methods and types; otherwise, and for files too large to parse, blocks end at blank lines before an unindented
//! line, which keeps most definitions whole. The text stays as it is.

use super::{Structure, syntax};
use crate::text::document::{BlockKind, Limits};
use crate::text::outline::{Mark, lines, tile};

/// Blocks of a source file.
pub(super) fn read(text: &str, language: &str, limits: &Limits) -> Structure {
    let Some(grammar) = super::grammars::grammar(language) else { return by_blank_lines(text) };
    if text.len() > limits.max_syntax_bytes {
        let warning = format!("not parsed: more than {} bytes of source code", limits.max_syntax_bytes);
        return Structure { warning: Some(warning), ..by_blank_lines(text) };
    }
    match syntax::definitions(text, grammar) {
        Some(marks) => Structure { blocks: tile(text, marks), ..Structure::default() },
        None => Structure {
            warning: Some("not parsed: the syntax is too tangled".to_owned()),
            ..by_blank_lines(text)
        },
    }
}

fn by_blank_lines(text: &str) -> Structure {
    let mut marks = vec![Mark::new(0, Vec::new(), BlockKind::Code)];
    let mut after_blank = false;
    for (at, line) in lines(text) {
        let closes = line.starts_with(['}', ')', ']']);
        if after_blank && !closes && line.starts_with(|ch: char| !ch.is_whitespace()) {
            marks.push(Mark::new(at, Vec::new(), BlockKind::Code));
        }
        after_blank = line.trim().is_empty();
    }
    Structure { blocks: tile(text, marks), ..Structure::default() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(language: &str, text: &str, expected: &[(&str, &str)]) {
        let structure = read(text, language, &Limits::default());
        let paths: Vec<String> = structure.blocks.iter().map(|block| block.headings.join(" > ")).collect();
        let quotes = structure.blocks.iter().map(|block| block.span.of(text).unwrap_or_default());
        let found: Vec<(&str, &str)> = paths.iter().map(String::as_str).zip(quotes).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn rust() {
        let text = "//! Head.\n\nuse a;\nuse b;\n\n/// Doc.\n#[derive(X)]\npub struct S { a: u8 } // tail\n\n\
                    impl<T> Tr for S<T> {\n    /// One.\n    fn one(&self) {}\n    const A: u8 = 1;\n    fn two() { fn inner() {} }\n}\nfn f() {}\n";
        check(
            "rust",
            text,
            &[
                ("", "//! Head."),
                ("", "use a;\nuse b;"),
                ("struct S", "/// Doc.\n#[derive(X)]\npub struct S { a: u8 } // tail"),
                ("impl Tr for S<T>", "impl<T> Tr for S<T> {"),
                ("impl Tr for S<T> > fn one", "/// One.\n    fn one(&self) {}"),
                ("impl Tr for S<T>", "const A: u8 = 1;"),
                ("impl Tr for S<T> > fn two", "fn two() { fn inner() {} }\n}"),
                ("fn f", "fn f() {}"),
            ],
        );
    }

    #[test]
    fn python() {
        let text = "import a\n\n@deco\nclass A(B):\n    \"\"\"Doc.\"\"\"\n\n    @prop\n    def x(self):\n        pass\n\nasync def f():\n    pass\nx = 1\n";
        check(
            "python",
            text,
            &[
                ("", "import a"),
                ("class A", "@deco\nclass A(B):"),
                ("class A", "\"\"\"Doc.\"\"\""),
                ("class A > def x", "@prop\n    def x(self):\n        pass"),
                ("def f", "async def f():\n    pass"),
                ("", "x = 1"),
            ],
        );
    }

    #[test]
    fn typescript_and_javascript() {
        let text = "import x from 'y';\n/** Doc. */\nexport class A {\n  b(): void {}\n}\nexport const f = () => {\n};\nexport interface I { a: string }\n";
        check(
            "typescript",
            text,
            &[
                ("", "import x from 'y';"),
                ("class A", "/** Doc. */\nexport class A {"),
                ("class A > b", "b(): void {}\n}"),
                ("const f", "export const f = () => {\n};"),
                ("interface I", "export interface I { a: string }"),
            ],
        );
        check(
            "javascript",
            "function f() {}\nlet a = 1;\n",
            &[("function f", "function f() {}"), ("", "let a = 1;")],
        );
    }

    #[test]
    fn go_java_and_c() {
        check(
            "go",
            "package p\n\n// F does.\nfunc F() {}\n\nfunc (s *S) M() {}\n\ntype T struct{}\n",
            &[
                ("", "package p"),
                ("func F", "// F does.\nfunc F() {}"),
                ("func (s *S) M", "func (s *S) M() {}"),
                ("type T", "type T struct{}"),
            ],
        );
        check(
            "java",
            "package p;\n/** D. */\npublic class A {\n  int x;\n  void m() {}\n}\n",
            &[
                ("", "package p;"),
                ("class A", "/** D. */\npublic class A {"),
                ("class A", "int x;"),
                ("class A > m", "void m() {}\n}"),
            ],
        );
        check(
            "c",
            "#ifndef A\n#define A\nstruct s { int a; };\n/* f */\nstatic int *f(void) { return 0; }\n#endif\n",
            &[
                ("", "#ifndef A\n#define A"),
                ("struct s", "struct s { int a; };"),
                ("f", "/* f */\nstatic int *f(void) { return 0; }\n#endif"),
            ],
        );
    }

    #[test]
    fn other_languages_are_cut_at_blank_lines_outside_of_definitions() {
        let text = "a() {\n  b\n\n  c\n}\n\nd() {\n\n}\n";
        check("shell", text, &[("", "a() {\n  b\n\n  c\n}"), ("", "d() {\n\n}")]);
    }

    #[test]
    fn source_too_large_to_parse_is_still_cut() {
        let limits = Limits { max_syntax_bytes: 10, ..Limits::default() };
        let structure = read("fn a() {}\n\nfn b() {}\n", "rust", &limits);
        assert_eq!(structure.blocks.len(), 2);
        assert!(structure.warning.is_some());
    }
}
