//! OpenDocument texts, presentations and drawings → text.
//!
//! Takes the zip file's parts, or all of them in one XML file, gives paragraphs under their headings, lists and tables; of
//! a presentation each page is a slide with its notes, of a drawing a page. Notes at the foot of a page and comments follow
//! the paragraph that they belong to; what stands at the head and foot of pages comes last. What is deleted in a tracked
//! change is left out.
//!
//! Elements are those of OpenDocument 1.3 part 3, attributes too.

use super::Rendered;
use super::rendering::Rendering;
use super::unpack::{Allowance, Parts};
use super::xml::{Element, Events, XmlEvent, decoded};
use crate::location::Location;
use crate::text::detect::flat_type;
use crate::text::document::BlockKind;
use crate::text::skip::SkipReason;

/// Spaces that one element may stand for.
const MAX_SPACES: usize = 64;

/// Elements that hold nothing to read, or the same once more as bytes.
const UNSEEN: &[&str] = &[
    "tracked-changes",
    "automatic-styles",
    "styles",
    "font-face-decls",
    "scripts",
    "settings",
    "annotation-end",
    "note-citation",
    "binary-data",
    // A document of its own: a chart, a formula.
    "object",
];

/// Headers and footers of a sort of page (16.10 and what follows).
const LETTERHEADS: &[(&str, &str)] = &[
    ("header", "Headers"),
    ("header-first", "Headers"),
    ("header-left", "Headers"),
    ("footer", "Footers"),
    ("footer-first", "Footers"),
    ("footer-left", "Footers"),
];

/// # Errors
/// [`SkipReason::Encrypted`] where the parts need a password.
pub(super) fn refuse_encrypted(parts: &mut Parts<'_>) -> Result<(), SkipReason> {
    let manifest = parts.read("META-INF/manifest.xml")?.unwrap_or_default();
    let is_encrypted = String::from_utf8_lossy(&manifest).contains("encryption-data");
    if is_encrypted { Err(SkipReason::Encrypted) } else { Ok(()) }
}

/// The text of a document.
///
/// # Errors
/// See [`SkipReason`].
pub(super) fn read(bytes: &[u8], allowance: &Allowance<'_>) -> Result<Rendered, SkipReason> {
    let mut reader = Reader::new(Rendering::new(allowance.limits().max_text_bytes));
    if flat_type(bytes).is_some() {
        reader.read(&decoded(bytes)?)?;
        return Ok(reader.finish());
    }
    let mut parts = Parts::open(bytes, allowance)?;
    refuse_encrypted(&mut parts)?;
    if let Some(meta) = parts.read("meta.xml")? {
        reader.read(&decoded(&meta)?)?;
    }
    reader.read(&decoded(&parts.need("content.xml")?)?)?;
    if let Some(styles) = parts.read("styles.xml")? {
        let read = decoded(&styles).and_then(|styles| reader.read(&styles));
        super::office::lesser(&mut reader.rendering, "what stands at the head and foot of pages", read)?;
    }
    Ok(reader.finish())
}

/// A paragraph or heading under construction.
struct Draft {
    text: String,
    level: Option<u8>,
}

/// Where in the document the reader is.
#[derive(Clone, Copy, PartialEq)]
enum Part {
    /// Anywhere else.
    Outside,
    Meta,
    Body,
    /// Among the sorts of pages.
    Master,
    /// In what stands at the head or foot of a sort of page, under this heading.
    Letterhead(&'static str),
}

struct Reader {
    rendering: Rendering,
    part: Part,
    /// Pages of a drawing are pages, those of a presentation are slides.
    is_drawing: bool,
    n_pages: u32,
    page_start: usize,
    in_notes: bool,
    /// What the open shape of a page is for, such as `title`.
    role: String,
    title: String,
    /// Open items of lists, and whether their mark is written.
    items: Vec<bool>,
    open: Vec<Draft>,
    rows: Vec<Vec<String>>,
    tables: usize,
    /// Notes and comments that are open, each by the number of paragraphs around it.
    asides: Vec<usize>,
    /// Their paragraphs, which wait for the end of the one that they belong to.
    waiting: Vec<String>,
    letterheads: Vec<(&'static str, String)>,
}

impl Reader {
    fn new(rendering: Rendering) -> Self {
        Self {
            rendering,
            part: Part::Outside,
            is_drawing: false,
            n_pages: 0,
            page_start: 0,
            in_notes: false,
            role: String::new(),
            title: String::new(),
            items: Vec::new(),
            open: Vec::new(),
            rows: Vec::new(),
            tables: 0,
            asides: Vec::new(),
            waiting: Vec::new(),
            letterheads: Vec::new(),
        }
    }

    /// Reads one part, or the file that holds all of them.
    fn read(&mut self, text: &str) -> Result<(), SkipReason> {
        self.part = Part::Outside;
        self.open.clear();
        let mut events = Events::new(text);
        while let Some(event) = events.next()? {
            match event {
                XmlEvent::Open(element) => self.open(&element, &mut events)?,
                XmlEvent::Close(name) => self.close(&name),
                XmlEvent::Text(text) => self.text(&text),
            }
        }
        events.lost().into_iter().for_each(|lost| self.rendering.warn(lost));
        Ok(())
    }

    fn open(&mut self, element: &Element<'_>, events: &mut Events<'_>) -> Result<(), SkipReason> {
        let name = element.name();
        if UNSEEN.contains(&name.as_str()) {
            return events.skip();
        }
        match self.part {
            Part::Outside => self.enter(&name),
            Part::Meta if name == "title" => self.rendering.title(&events.text()?),
            Part::Meta => {}
            Part::Master => self.open_letterhead(&name, element, events)?,
            Part::Letterhead(_) => self.open_words(&name, element),
            Part::Body => self.open_body(&name, element, events)?,
        }
        Ok(())
    }

    fn enter(&mut self, name: &str) {
        self.part = match name {
            "meta" => Part::Meta,
            "body" => Part::Body,
            "master-styles" => Part::Master,
            _ => Part::Outside,
        };
    }

    fn open_letterhead(
        &mut self,
        name: &str,
        element: &Element<'_>,
        events: &mut Events<'_>,
    ) -> Result<(), SkipReason> {
        let heading = LETTERHEADS.iter().find(|(known, _)| *known == name).map(|(_, heading)| *heading);
        match heading.filter(|_| element.has_prefix("style")) {
            Some(_) if element.attribute("display").is_some_and(|shown| shown == "false") => events.skip()?,
            Some(heading) => self.part = Part::Letterhead(heading),
            None => {}
        }
        Ok(())
    }

    /// Elements of running text.
    fn open_words(&mut self, name: &str, element: &Element<'_>) {
        let number = |name: &str| element.attribute(name).and_then(|number| number.parse::<usize>().ok());
        match name {
            "p" => self.open.push(Draft { text: String::new(), level: None }),
            "h" => {
                let level = number("outline-level").unwrap_or(1).clamp(1, 10) as u8;
                self.open.push(Draft { text: String::new(), level: Some(level) });
            }
            "s" => self.text(&" ".repeat(MAX_SPACES.min(number("c").unwrap_or(1)))),
            "tab" => self.text("\t"),
            "line-break" => self.text("\n"),
            _ => {}
        }
    }

    fn open_body(
        &mut self,
        name: &str,
        element: &Element<'_>,
        events: &mut Events<'_>,
    ) -> Result<(), SkipReason> {
        let is_beside = self.asides.last().is_some_and(|around| *around == self.open.len());
        match name {
            // Who wrote a comment and when; fields of these names stand in paragraphs.
            "creator" | "date" | "date-string" | "sender-initials" if is_beside => events.skip()?,
            "title" | "desc" if element.has_prefix("svg") => self.waiting.push(events.text()?),
            "drawing" => self.is_drawing = true,
            "page" => self.open_page(element),
            "notes" => {
                self.in_notes = true;
                self.rendering.enter(2, "Notes");
            }
            "frame" | "custom-shape" => self.role = element.attribute("class").unwrap_or_default(),
            "note" | "annotation" => self.asides.push(self.open.len()),
            "list-item" => self.items.push(false),
            "list-header" => self.items.push(true),
            "table" => self.tables += 1,
            "table-row" if self.tables == 1 => self.rows.push(Vec::new()),
            "table-cell" if self.tables == 1 => drop(self.rows.last_mut().map(|row| row.push(String::new()))),
            name => self.open_words(name, element),
        }
        Ok(())
    }

    fn open_page(&mut self, element: &Element<'_>) {
        self.n_pages += 1;
        self.page_start = self.rendering.len();
        self.in_notes = false;
        self.rendering.enter(1, &element.attribute("name").unwrap_or_default());
    }

    fn close(&mut self, name: &str) {
        match (self.part, name) {
            (Part::Meta, "meta") | (Part::Body, "body") | (Part::Master, "master-styles") => {
                self.part = Part::Outside;
            }
            (Part::Letterhead(heading), "p" | "h") => {
                let draft = self.open.pop();
                self.letterheads.extend(draft.map(|draft| (heading, draft.text.trim().to_owned())));
            }
            // A field of this name stands in a paragraph.
            (Part::Letterhead(_), name)
                if self.open.is_empty() && LETTERHEADS.iter().any(|(known, _)| *known == name) =>
            {
                self.part = Part::Master;
            }
            (Part::Body, name) => self.close_body(name),
            _ => {}
        }
    }

    fn close_body(&mut self, name: &str) {
        match name {
            "p" | "h" => drop(self.open.pop().map(|draft| self.paragraph(&draft))),
            "note" | "annotation" => drop(self.asides.pop()),
            "list-item" | "list-header" => drop(self.items.pop()),
            "frame" | "custom-shape" => self.close_shape(),
            "table" => {
                self.tables = self.tables.saturating_sub(1);
                if self.tables == 0 {
                    let rows = std::mem::take(&mut self.rows);
                    super::tables::write(&mut self.rendering, &rows);
                }
            }
            "notes" => self.in_notes = false,
            "page" => self.close_page(),
            _ => {}
        }
        if self.open.is_empty() && self.tables == 0 && self.asides.is_empty() {
            self.write_waiting();
        }
    }

    fn close_shape(&mut self) {
        self.role.clear();
        let title = std::mem::take(&mut self.title);
        if !title.is_empty() {
            self.rendering.title(&title);
            self.rendering.heading(1, &title);
        }
    }

    fn close_page(&mut self) {
        self.write_waiting();
        let page = self.n_pages;
        let location =
            if self.is_drawing { Location::Page { page } } else { Location::Slide { slide: page } };
        self.rendering.locate(self.page_start, location);
        // A page in a page is damage; places do not overlap even so.
        self.page_start = self.rendering.len();
        self.rendering.enter(1, "");
    }

    fn text(&mut self, text: &str) {
        if let Some(draft) = self.open.last_mut() {
            draft.text.push_str(text);
        }
    }

    fn write_waiting(&mut self) {
        for text in std::mem::take(&mut self.waiting) {
            self.rendering.block(&text, BlockKind::Prose);
        }
    }

    fn paragraph(&mut self, draft: &Draft) {
        let text = draft.text.trim();
        if text.is_empty() || (self.in_notes && is_of_every_page(&self.role)) {
            return;
        }
        if !self.asides.is_empty() {
            self.waiting.push(text.to_owned());
        } else if self.tables > 0 {
            if let Some(cell) = self.rows.last_mut().and_then(|row| row.last_mut()) {
                cell.push_str(if cell.is_empty() { "" } else { " " });
                cell.push_str(text);
            }
        } else if self.role == "title" && !self.in_notes {
            self.title.push_str(if self.title.is_empty() { "" } else { " " });
            self.title.push_str(text);
        } else {
            self.write(text, draft.level);
        }
    }

    fn write(&mut self, text: &str, level: Option<u8>) {
        match (level, self.items.last_mut()) {
            (Some(level), _) => {
                if level == 1 {
                    self.rendering.title(text);
                }
                self.rendering.heading(level, text);
            }
            (None, Some(is_marked)) => {
                // Further paragraphs of an item have no mark.
                let mark = if std::mem::replace(is_marked, true) { "" } else { "- " };
                self.rendering.block(&format!("{mark}{text}"), BlockKind::List);
            }
            (None, None) => self.rendering.block(text, BlockKind::Prose),
        }
    }

    /// Ends with what stands at the head and foot of pages, each once.
    fn finish(mut self) -> Rendered {
        self.write_waiting();
        let mut written = std::collections::HashSet::new();
        for wanted in ["Headers", "Footers"] {
            for (heading, text) in &self.letterheads {
                if *heading == wanted && !text.is_empty() && written.insert(text) {
                    self.rendering.enter(1, heading);
                    self.rendering.block(text, BlockKind::Prose);
                }
            }
        }
        self.rendering.finish()
    }
}

/// Whether a shape of a page of notes says what stands on each of them.
fn is_of_every_page(role: &str) -> bool {
    matches!(role, "page-number" | "header" | "footer" | "date-time" | "page")
}
