//! OpenDocument texts and presentations → text.
//!
//! Takes the zip file's parts, gives paragraphs under their headings, lists and tables; of a presentation each page is
//! a slide, with its notes. What is deleted in a tracked change is left out.

use super::Rendered;
use super::rendering::Rendering;
use super::unpack::{Allowance, Parts};
use super::xml::{Element, Events, XmlEvent, decoded};
use crate::location::Location;
use crate::text::document::BlockKind;
use crate::text::skip::SkipReason;

/// Spaces that one element may stand for.
const MAX_SPACES: usize = 64;

/// The text of a document.
///
/// # Errors
/// See [`SkipReason`].
pub(super) fn read(bytes: &[u8], allowance: &Allowance<'_>) -> Result<Rendered, SkipReason> {
    let mut parts = Parts::open(bytes, allowance)?;
    let manifest = parts.read("META-INF/manifest.xml")?.unwrap_or_default();
    if String::from_utf8_lossy(&manifest).contains("encryption-data") {
        return Err(SkipReason::Encrypted);
    }
    let mut rendering = Rendering::new(allowance.limits().max_text_bytes);
    if let Some(meta) = parts.read("meta.xml")? {
        let text = decoded(&meta)?;
        let mut events = Events::new(&text);
        while let Some(event) = events.next()? {
            if matches!(&event, XmlEvent::Open(element) if element.name() == "title") {
                rendering.title(&events.text()?);
            }
        }
    }
    let mut reader = Reader {
        rendering,
        slide: 0,
        slide_start: 0,
        lists: 0,
        open: Vec::new(),
        rows: Vec::new(),
        tables: 0,
    };
    let content = decoded(&parts.need("content.xml")?)?;
    let mut events = Events::new(&content);
    while let Some(event) = events.next()? {
        match event {
            XmlEvent::Open(element) => reader.open(&element, &mut events)?,
            XmlEvent::Close(name) => reader.close(&name),
            XmlEvent::Text(text) => reader.text(&text),
        }
    }
    Ok(reader.rendering.finish())
}

/// A paragraph or heading under construction.
struct Draft {
    text: String,
    level: Option<u8>,
}

struct Reader {
    rendering: Rendering,
    slide: u32,
    slide_start: usize,
    lists: usize,
    open: Vec<Draft>,
    rows: Vec<Vec<String>>,
    tables: usize,
}

impl Reader {
    fn open(&mut self, element: &Element<'_>, events: &mut Events<'_>) -> Result<(), SkipReason> {
        match element.name().as_str() {
            "tracked-changes" | "automatic-styles" | "annotation-end" => events.skip()?,
            "page" => {
                self.slide += 1;
                self.slide_start = self.rendering.len();
                self.rendering.enter(1, &element.attribute("name").unwrap_or_default());
            }
            "notes" => self.rendering.enter(2, "Notes"),
            "p" => self.open.push(Draft { text: String::new(), level: None }),
            "h" => {
                let level = element.attribute("outline-level").and_then(|level| level.parse().ok());
                self.open.push(Draft { text: String::new(), level: Some(level.unwrap_or(1)) });
            }
            "s" => {
                let n_spaces = element.attribute("c").and_then(|count| count.parse().ok()).unwrap_or(1);
                self.text(&" ".repeat(MAX_SPACES.min(n_spaces)));
            }
            "tab" => self.text("\t"),
            "line-break" => self.text("\n"),
            "list" => self.lists += 1,
            "table" => self.tables += 1,
            "table-row" if self.tables == 1 => self.rows.push(Vec::new()),
            "table-cell" if self.tables == 1 => drop(self.rows.last_mut().map(|row| row.push(String::new()))),
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, name: &str) {
        match name {
            "p" | "h" => drop(self.open.pop().map(|draft| self.paragraph(&draft))),
            "list" => self.lists = self.lists.saturating_sub(1),
            "table" => {
                self.tables = self.tables.saturating_sub(1);
                if self.tables == 0 {
                    let rows = std::mem::take(&mut self.rows);
                    super::tables::write(&mut self.rendering, &rows);
                }
            }
            "page" => {
                self.rendering.locate(self.slide_start, Location::Slide { slide: self.slide });
                self.rendering.enter(1, "");
            }
            _ => {}
        }
    }

    fn text(&mut self, text: &str) {
        if let Some(draft) = self.open.last_mut() {
            draft.text.push_str(text);
        }
    }

    fn paragraph(&mut self, draft: &Draft) {
        let text = draft.text.trim();
        if text.is_empty() {
            return;
        }
        if self.tables > 0 {
            if let Some(cell) = self.rows.last_mut().and_then(|row| row.last_mut()) {
                cell.push_str(if cell.is_empty() { "" } else { " " });
                cell.push_str(text);
            }
            return;
        }
        match draft.level {
            Some(level) => {
                if level == 1 {
                    self.rendering.title(text);
                }
                self.rendering.heading(level, text);
            }
            None if self.lists > 0 => self.rendering.block(&format!("- {text}"), BlockKind::List),
            None => self.rendering.block(text, BlockKind::Prose),
        }
    }
}
