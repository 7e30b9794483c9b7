//! HTML → the text that a reader sees.
//!
//! Takes HTML, gives text with a block per paragraph, list item, heading, preformatted text and table. Scripts,
//! styles and forms' inner workings are left out; where the page marks its main part or articles, so is all around
//! them. Tables are written row by row, cells between ` | `; tables that only lay out a page are read as text. A picture
//! says what its author wrote in its place.

use scraper::{ElementRef, Html, Node};

use super::html_depth::{depth, without_tags};
use super::html_text::Page;
use super::{Rendered, Structure, plain};
use crate::text::document::{Block, BlockKind};
use crate::text::outline::clean_heading;

/// Deeper pages are machine-made nonsense and are read without a tree.
const MAX_NESTING: usize = 512;

/// Elements that hold nothing to read.
const UNSEEN: &[&str] = &[
    "script", "style", "noscript", "template", "head", "svg", "iframe", "object", "canvas", "audio", "video",
    "select", "datalist", "math",
];

/// Elements around the main part, left out where there is one.
const AROUND: &[&str] = &["nav", "aside", "header", "footer", "dialog"];

/// The same by their roles (WAI-ARIA 1.2, landmarks).
const ROLES_AROUND: &[&str] = &["navigation", "banner", "contentinfo", "search", "complementary"];

const XHTML: &str = "http://www.w3.org/1999/xhtml";

/// Elements that never have an end tag (HTML Standard, 13.1.2).
const VOID: &[&str] =
    &["area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"];

/// Elements that stand on lines of their own.
const BLOCKS: &[&str] = &[
    "p",
    "div",
    "section",
    "article",
    "main",
    "blockquote",
    "ul",
    "ol",
    "dl",
    "figure",
    "figcaption",
    "form",
    "fieldset",
    "legend",
    "address",
    "details",
    "summary",
    "hr",
    "nav",
    "aside",
    "header",
    "footer",
    "caption",
    "table",
    "thead",
    "tbody",
    "tfoot",
    "center",
    "body",
    "menu",
    "dialog",
    "hgroup",
    "search",
    "button",
    "textarea",
];

/// The text, blocks and title of a page.
pub(super) fn read(html: &str) -> Rendered {
    if depth(html) > MAX_NESTING {
        return flat(html);
    }
    let document = parse(html);
    let body = document.root_element();
    let title = first(body, "title").map(|title| clean_heading(&title.text().collect::<String>()));
    let (text, blocks) = main_text(body);
    let headline = || first(body, "h1").map(|heading| clean_heading(&heading.text().collect::<String>()));
    let title = title.filter(|title| !title.is_empty()).or_else(headline).filter(|title| !title.is_empty());
    Rendered { structure: Structure { blocks, title, warning: None }, text, ..Rendered::default() }
}

/// All text of a page that has nothing around its main part, such as a chapter or a mail.
pub(super) fn read_whole(html: &str) -> Rendered {
    if depth(html) > MAX_NESTING {
        return flat(html);
    }
    let document = parse(html);
    let (text, blocks) = render(&[document.root_element()], false);
    Rendered { structure: Structure { blocks, title: None, warning: None }, text, ..Rendered::default() }
}

/// The tree of a page; of one in XHTML by the rules of XML, where an element may end in its own tag.
fn parse(html: &str) -> Html {
    let head: String = html.chars().take(1024).collect();
    if head.trim_start_matches('\u{feff}').trim_start().starts_with("<?xml") || head.contains(XHTML) {
        return Html::parse_document(&with_end_tags(html));
    }
    Html::parse_document(html)
}

/// `<a id="x"/>` becomes `<a id="x"></a>`: as HTML the first one would be left open.
fn with_end_tags(html: &str) -> String {
    let mut out = String::with_capacity(html.len() + html.len() / 16);
    let mut rest = html;
    while let Some(start) = rest.find('<') {
        out.push_str(&rest[..start]);
        rest = &rest[start..];
        // A comment, or a section of characters, may hold what looks like tags.
        let skipped =
            [("<!--", "-->"), ("<![CDATA[", "]]>")].into_iter().find(|(open, _)| rest.starts_with(open));
        if let Some((_, close)) = skipped {
            let end = rest.find(close).map_or(rest.len(), |end| end + close.len());
            out.push_str(&rest[..end]);
            rest = &rest[end..];
            continue;
        }
        let Some(end) = rest.find('>') else { break };
        let tag = &rest[..end];
        let is_name = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | ':');
        let name_end = tag[1..].find(|c| !is_name(c)).map_or(tag.len(), |end| end + 1);
        let name = &tag[1..name_end];
        match tag.strip_suffix('/') {
            Some(open) if !name.is_empty() && !VOID.contains(&name.to_ascii_lowercase().as_str()) => {
                out.push_str(open);
                out.push_str("></");
                out.push_str(name);
                out.push('>');
            }
            _ => out.push_str(&rest[..=end]),
        }
        rest = &rest[end + 1..];
    }
    out.push_str(rest);
    out
}

/// What the page is about: its main part, else its articles where they hold most of it, else what does not stand around.
fn main_text(body: ElementRef<'_>) -> Written {
    let main =
        outermost(body, |element| element.value().name() == "main" || element.attr("role") == Some("main"));
    let main = render(&main, true);
    if !main.1.is_empty() {
        return main;
    }
    let whole = render(&[body], false);
    let inner = render(&[body], true);
    let articles = render(&outermost(body, |element| element.value().name() == "article"), true);
    // Teasers of other pages are articles, too; and a page may have nothing but a header.
    let holds = |part: &Written, one_in: usize, all: &Written| {
        !part.1.is_empty() && part.0.len() * one_in >= all.0.len()
    };
    if holds(&articles, 2, &inner) {
        articles
    } else if holds(&inner, 5, &whole) {
        inner
    } else {
        whole
    }
}

/// A page without its tags, for want of a tree.
fn flat(html: &str) -> Rendered {
    let text = without_tags(html);
    let warning = Some(format!("nested more than {MAX_NESTING} elements deep, read without structure"));
    Rendered { structure: Structure { warning, ..plain::read(&text) }, text, ..Rendered::default() }
}

fn first<'a>(root: ElementRef<'a>, name: &str) -> Option<ElementRef<'a>> {
    root.descendants().filter_map(ElementRef::wrap).find(|element| element.value().name() == name)
}

/// The elements that fit, and that stand in no other that does.
fn outermost(root: ElementRef<'_>, fits: fn(&ElementRef<'_>) -> bool) -> Vec<ElementRef<'_>> {
    let inside =
        |element: &ElementRef<'_>| element.ancestors().filter_map(ElementRef::wrap).any(|outer| fits(&outer));
    let elements = root.descendants().filter_map(ElementRef::wrap);
    elements.filter(|element| fits(element) && !inside(element)).collect()
}

/// Text and its blocks.
type Written = (String, Vec<Block>);

fn render(parts: &[ElementRef<'_>], main_only: bool) -> Written {
    let mut writer = Writer { main_only, ..Writer::default() };
    for part in parts {
        writer.part(*part);
    }
    writer.page.finish()
}

/// Walks a tree in reading order, with a loop instead of recursion.
#[derive(Default)]
struct Writer {
    page: Page,
    main_only: bool,
    /// Open data tables; inside of one, everything is a cell.
    tables: usize,
    /// Whether the open row has a cell already.
    in_row: bool,
    /// Open lists: the next number, or `None` for bullets.
    lists: Vec<Option<usize>>,
    preformatted: usize,
}

impl Writer {
    fn part(&mut self, root: ElementRef<'_>) {
        let mut node = *root;
        loop {
            let entered = self.enter(node.value(), ElementRef::wrap(node));
            if entered && let Some(child) = node.first_child() {
                node = child;
                continue;
            }
            if entered {
                self.leave(ElementRef::wrap(node));
            }
            loop {
                if node.id() == root.id() {
                    self.page.block(None);
                    return;
                }
                if let Some(next) = node.next_sibling() {
                    node = next;
                    break;
                }
                let Some(parent) = node.parent() else { return };
                node = parent;
                self.leave(ElementRef::wrap(node));
            }
        }
    }

    /// Whether the node's children are to be read.
    fn enter(&mut self, node: &Node, element: Option<ElementRef<'_>>) -> bool {
        if let Node::Text(text) = node {
            self.text(text);
        }
        let Some(element) = element.filter(|element| !self.skips(*element)) else { return false };
        let name = element.value().name();
        match name {
            "img" => self.picture(element.attr("alt").unwrap_or_default()),
            "table" if self.tables > 0 || !is_layout(element) => {
                self.page.block(Some(BlockKind::Table));
                self.tables += 1;
            }
            "tr" if self.tables > 0 => {
                self.page.line();
                self.in_row = false;
            }
            "td" | "th" if self.tables > 0 => {
                self.page.words(if self.in_row { " | " } else { "" });
                self.in_row = true;
            }
            "caption" if self.tables > 0 => self.page.line(),
            _ if self.tables > 0 => self.page.words(if is_block(name) || name == "br" { " " } else { "" }),
            "br" if self.preformatted > 0 => self.page.verbatim("\n"),
            "br" => self.page.line(),
            "pre" => {
                self.page.block(Some(BlockKind::Code));
                self.preformatted += 1;
            }
            "ul" | "menu" => self.lists.push(None),
            "ol" => self.lists.push(Some(element.attr("start").and_then(|n| n.parse().ok()).unwrap_or(1))),
            "li" => self.list_item(),
            "dt" => self.page.block(None),
            "dd" => self.page.line(),
            _ if is_block(name) && !self.lists.is_empty() && heading_level(name).is_none() => {
                self.page.line()
            }
            _ if is_block(name) => self.page.block(None),
            _ => {}
        }
        true
    }

    fn leave(&mut self, element: Option<ElementRef<'_>>) {
        let Some(element) = element else { return };
        let name = element.value().name();
        match name {
            "table" if self.tables > 0 => {
                self.tables -= 1;
                self.page.block(None);
            }
            _ if self.tables > 0 => self.page.words(if is_block(name) { " " } else { "" }),
            "pre" => {
                self.preformatted = self.preformatted.saturating_sub(1);
                self.page.block(None);
            }
            "ul" | "ol" | "menu" => {
                self.lists.pop();
                self.page.block((!self.lists.is_empty()).then_some(BlockKind::List));
            }
            "dd" | "dt" => self.page.line(),
            _ => match heading_level(name) {
                Some(level) => self.page.heading(level),
                None if is_block(name) && self.lists.is_empty() => self.page.block(None),
                None => {}
            },
        }
    }

    fn text(&mut self, text: &str) {
        if self.preformatted > 0 && self.tables == 0 {
            self.page.verbatim(text);
        } else {
            self.page.words(text);
        }
    }

    /// The words in place of a picture; one without any is an ornament (HTML Standard, 4.8.4.4).
    fn picture(&mut self, words: &str) {
        if !words.trim().is_empty() {
            self.page.words(&format!(" {words} "));
        }
    }

    fn list_item(&mut self) {
        self.page.block(Some(BlockKind::List));
        let marker = match self.lists.last_mut() {
            Some(Some(number)) => {
                *number = number.saturating_add(1);
                format!("{}. ", *number - 1)
            }
            _ => "- ".to_owned(),
        };
        self.page.lead(marker);
    }

    fn skips(&self, element: ElementRef<'_>) -> bool {
        let name = element.value().name();
        let has_role = |roles: &[&str]| element.attr("role").is_some_and(|role| roles.contains(&role));
        UNSEEN.contains(&name)
            || (self.main_only && (AROUND.contains(&name) || has_role(ROLES_AROUND)))
            || element.attr("hidden").is_some()
            || element.attr("aria-hidden") == Some("true")
            || element.attr("style").is_some_and(hides)
    }
}

/// Whether a style shows nothing.
fn hides(style: &str) -> bool {
    let style: String = style.chars().filter(|c| !c.is_whitespace()).collect::<String>().to_ascii_lowercase();
    style.contains("display:none") || style.contains("visibility:hidden")
}

fn is_block(name: &str) -> bool {
    BLOCKS.contains(&name)
        || matches!(name, "li" | "tr" | "td" | "th" | "pre" | "dt" | "dd")
        || heading_level(name).is_some()
}

fn heading_level(name: &str) -> Option<u8> {
    match name.as_bytes() {
        [b'h', level @ b'1'..=b'6'] => Some(level - b'0'),
        _ => None,
    }
}

/// A table that holds headings or other tables arranges a page; its cells are not data.
fn is_layout(table: ElementRef<'_>) -> bool {
    let inner = table.descendants().skip(1).filter_map(ElementRef::wrap);
    let mut names = inner.map(|element| element.value().name());
    table.attr("role") == Some("presentation")
        || names.any(|name| name == "table" || heading_level(name).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(html: &str, expected: &[(&str, &str)]) {
        let Rendered { text, structure, .. } = read(html);
        let paths: Vec<String> = structure.blocks.iter().map(|block| block.headings.join(" > ")).collect();
        let quotes = structure.blocks.iter().map(|block| block.span.of(&text).unwrap_or_default());
        let found: Vec<(&str, &str)> = paths.iter().map(String::as_str).zip(quotes).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn elements_become_blocks() {
        check(
            "<h1>A&amp;B</h1><p>One\n  <b>bold</b>,two.<p>x<br>y<h2>C</h2>tail",
            &[
                ("A&B", "A&B"),
                ("A&B", "One bold,two."),
                ("A&B", "x\ny"),
                ("A&B > C", "C"),
                ("A&B > C", "tail"),
            ],
        );
    }

    #[test]
    fn lists_keep_their_markers() {
        check(
            "<ul><li><p>a</p><ul><li>b</li></ul><li>c</ul><ol start=3><li>d<li>e</ol>",
            &[("", "- a"), ("", "- b"), ("", "- c"), ("", "3. d"), ("", "4. e")],
        );
    }

    #[test]
    fn tables_are_rows_and_preformatted_text_is_kept() {
        check(
            "<table><tr><th>n<th>m<tr><td><p>1</p><td>2<br>3</table><pre>a\n  b</pre>z",
            &[("", "n | m\n1 | 2 3"), ("", "a\n  b"), ("", "z")],
        );
        check("<table><tr><td><h1>T</h1><td>x</table>", &[("T", "T"), ("T", "x")]);
    }

    #[test]
    fn what_stands_around_the_main_part_is_left_out() {
        check(
            "<nav>n</nav><header>h</header><main><p>m</p><aside>s</aside></main><script>1</script>",
            &[("", "m")],
        );
        check(
            "<nav>n</nav><article>a</article><footer>f</footer><article>b</article>",
            &[("", "a"), ("", "b")],
        );
        check("<nav>n</nav><p>p</p><main></main>", &[("", "p")]);
        check("<header>only a header here</header>", &[("", "only a header here")]);
        check(
            "<div role=navigation>n</div><p style='Display: none'>x</p><p aria-hidden=true>y</p><p>p</p>",
            &[("", "p")],
        );
        check(
            "<article>one</article><div><p>What the page is about in many more words.</p></div><article>two</article>",
            &[("", "one"), ("", "What the page is about in many more words."), ("", "two")],
        );
    }

    #[test]
    fn pictures_are_read_by_the_words_in_their_place() {
        check(
            "<h1>Pier</h1><p>See<img src=a.png alt='A  lantern' title='A lantern'>here.<img alt=''><img src=b.png></p>",
            &[("Pier", "Pier"), ("Pier", "See A lantern here.")],
        );
        check("<main><pre>code</pre><img alt=Map></main>", &[("", "code"), ("", "Map")]);
        check("<table><tr><td>1<td><img alt='In stock'></table>", &[("", "1 | In stock")]);
        check("<p>words <img alt=spacer aria-hidden=true></p>", &[("", "words")]);
    }

    #[test]
    fn elements_of_xhtml_may_end_in_their_own_tag() {
        let head =
            "<?xml version=\"1.0\"?><html xmlns=\"http://www.w3.org/1999/xhtml\"><head><title/></head><body>";
        check(
            &format!(
                "{head}<p><a id=\"x\"/>one<br/>two</p><script src=\"a.js\"/><div/><p>three</p></body></html>"
            ),
            &[("", "one\ntwo"), ("", "three")],
        );
    }

    #[test]
    fn the_title_is_that_of_the_page_or_its_headline() {
        let cases = [("<title> A\nb</title><h1>C</h1>", Some("A b")), ("<h1>C</h1>", Some("C")), ("x", None)];
        for (html, expected) in cases {
            assert_eq!(read(html).structure.title.as_deref(), expected, "{html}");
        }
    }

    #[test]
    fn endless_nesting_is_read_without_a_tree() {
        let rendered = read(&"<div>x".repeat(100_000));
        assert!(rendered.structure.warning.is_some());
        assert_eq!(rendered.text.len(), 200_000);
    }
}
