//! Word documents (Office Open XML) → text.
//!
//! Takes the zip file's parts, gives paragraphs under the headings that their styles make, lists, tables row by row,
//! text boxes, what is said in place of pictures, then diagrams, charts, footnotes, endnotes, comments, and what stands at
//! the head and foot of pages. What is deleted in a tracked change is left out. The format knows no pages: where one ends is decided when it is printed.

use std::collections::{BTreeSet, HashMap};

use super::Rendered;
use super::office;
use super::rendering::Rendering;
use super::unpack::{Allowance, Parts};
use super::xml::{Element, Events, XmlEvent, decoded};
use crate::text::document::BlockKind;
use crate::text::skip::SkipReason;

/// The text of a document.
///
/// # Errors
/// See [`SkipReason`].
pub(super) fn read(bytes: &[u8], allowance: &Allowance<'_>) -> Result<Rendered, SkipReason> {
    let mut parts = Parts::open(bytes, allowance)?;
    let relations = office::relations(&mut parts, "")?;
    let main = relations.into_values().find(|(kind, _)| kind == "officeDocument");
    let main = main.map_or_else(|| "word/document.xml".to_owned(), |(_, target)| target);
    let mut rendering = Rendering::new(allowance.limits().max_text_bytes);
    if let Some(title) = office::title(&mut parts)? {
        rendering.title(&title);
    }
    let related = office::relations(&mut parts, &main)?;
    let target =
        |kind: &str| related.values().find(|(found, _)| found == kind).map(|(_, target)| target.clone());
    let styles = match target("styles") {
        Some(part) => parts.read(&part)?.map(|bytes| styles(&bytes)).transpose()?.unwrap_or_default(),
        None => HashMap::new(),
    };
    Body::new(&mut rendering, &styles).read(&decoded(&parts.need(&main)?)?)?;
    office::write_diagrams(&mut rendering, &mut parts, &related)?;
    office::write_charts(&mut rendering, &mut parts, &related)?;
    for (kind, name) in [("footnotes", "Footnotes"), ("endnotes", "Endnotes"), ("comments", "Comments")] {
        let Some(bytes) = target(kind).map(|part| parts.read(&part)).transpose()?.flatten() else { continue };
        rendering.enter(1, name);
        Body::new(&mut rendering, &styles).read(&decoded(&bytes)?)?;
    }
    for (kind, name) in [("header", "Headers"), ("footer", "Footers")] {
        let targets: BTreeSet<&String> =
            related.values().filter(|(found, _)| found == kind).map(|(_, target)| target).collect();
        // A letterhead stands in a part of its own for the first page, for even ones and for each section.
        let mut said = BTreeSet::new();
        for bytes in targets.into_iter().map(|target| parts.read(target)) {
            let Some(bytes) = bytes? else { continue };
            let text = decoded(&bytes)?;
            if said.insert(words_of(&text)?) {
                rendering.enter(1, name);
                Body::new(&mut rendering, &styles).read(&text)?;
            }
        }
    }
    Ok(rendering.finish())
}

/// The letters of a part, without its mark-up.
fn words_of(text: &str) -> Result<String, SkipReason> {
    let (mut events, mut words) = (Events::new(text), String::new());
    while let Some(event) = events.next()? {
        if let XmlEvent::Open(element) = event
            && element.name() == "t"
        {
            words.push_str(events.text()?.trim());
        }
    }
    Ok(words)
}

/// The heading levels of styles, by their ids: by outline level, else by name, own or inherited.
fn styles(bytes: &[u8]) -> Result<HashMap<String, u8>, SkipReason> {
    let text = decoded(bytes)?;
    let mut events = Events::new(&text);
    let mut levels = HashMap::new();
    let mut parents: Vec<(String, String)> = Vec::new();
    let mut id = String::new();
    while let Some(event) = events.next()? {
        let XmlEvent::Open(element) = event else { continue };
        let value = element.attribute("val").unwrap_or_default();
        match element.name().as_str() {
            "style" => id = element.attribute("styleId").unwrap_or_default(),
            "basedOn" => parents.push((id.clone(), value)),
            "name" => levels.extend(named_level(&value).map(|level| (id.clone(), level))),
            "outlineLvl" => levels.extend(outline_level(&value).map(|level| (id.clone(), level))),
            _ => {}
        }
    }
    for _ in 0..4 {
        for (id, parent) in &parents {
            if let (None, Some(level)) = (levels.get(id), levels.get(parent).copied()) {
                levels.insert(id.clone(), level);
            }
        }
    }
    Ok(levels)
}

/// Levels are counted from 0; 9 is body text.
fn outline_level(value: &str) -> Option<u8> {
    value.parse::<u8>().ok().filter(|level| *level < 9).map(|level| level + 1)
}

fn named_level(name: &str) -> Option<u8> {
    let name = name.to_lowercase();
    match name.strip_prefix("heading") {
        Some(level) => level.trim().parse().ok().filter(|level| (1..=9).contains(level)),
        None => (name == "title").then_some(1),
    }
}

/// A paragraph or cell under construction.
#[derive(Default)]
struct Draft {
    text: String,
    level: Option<u8>,
    is_list: bool,
}

/// Reads one part with paragraphs.
struct Body<'a> {
    rendering: &'a mut Rendering,
    styles: &'a HashMap<String, u8>,
    /// Open paragraphs: a text box stands inside of one.
    open: Vec<Draft>,
    /// Rows of the outermost open table, and how deep tables are nested.
    rows: Vec<Vec<String>>,
    tables: usize,
}

impl<'a> Body<'a> {
    fn new(rendering: &'a mut Rendering, styles: &'a HashMap<String, u8>) -> Self {
        Self { rendering, styles, open: Vec::new(), rows: Vec::new(), tables: 0 }
    }

    fn read(mut self, text: &str) -> Result<(), SkipReason> {
        let mut events = Events::new(text);
        while let Some(event) = events.next()? {
            match event {
                XmlEvent::Open(element) => self.open(&element, &mut events)?,
                XmlEvent::Close(name) => self.close(&name),
                XmlEvent::Text(_) => {}
            }
        }
        events.lost().into_iter().for_each(|lost| self.rendering.warn(lost));
        Ok(())
    }

    fn open(&mut self, element: &Element<'_>, events: &mut Events<'_>) -> Result<(), SkipReason> {
        match element.name().as_str() {
            // The same content once more, for older programs.
            "Fallback" | "del" | "moveFrom" | "instrText" | "delText" => events.skip()?,
            "t" => {
                let text = events.text()?;
                self.push(&text);
            }
            "tab" if !self.open.is_empty() => self.push("\t"),
            "br" | "cr" => self.push("\n"),
            "noBreakHyphen" => self.push("-"),
            "docPr" => {
                let text = element.attribute("descr").unwrap_or_default();
                self.paragraph(&Draft { text, ..Draft::default() });
            }
            "p" => self.open.push(Draft::default()),
            "pStyle" => {
                let id = element.attribute("val").unwrap_or_default();
                // Where the styles are missing, the ids are those that Word itself gives.
                let named =
                    || id.strip_prefix("Heading")?.parse::<u8>().ok().filter(|level| (1..=9).contains(level));
                let level = if self.styles.is_empty() { named() } else { self.styles.get(&id).copied() };
                if let Some(draft) = self.open.last_mut() {
                    draft.level = draft.level.or(level);
                }
            }
            "outlineLvl" => {
                let level = element.attribute("val").and_then(|level| outline_level(&level));
                if let Some(draft) = self.open.last_mut() {
                    draft.level = level.or(draft.level);
                }
            }
            "numPr" => {
                if let Some(draft) = self.open.last_mut() {
                    draft.is_list = true;
                }
            }
            "tbl" => self.tables += 1,
            "tr" if self.tables == 1 => self.rows.push(Vec::new()),
            "tc" if self.tables == 1 => drop(self.rows.last_mut().map(|row| row.push(String::new()))),
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, name: &str) {
        match name {
            "p" => drop(self.open.pop().map(|draft| self.paragraph(&draft))),
            "tbl" => {
                self.tables = self.tables.saturating_sub(1);
                if self.tables == 0 {
                    let rows = std::mem::take(&mut self.rows);
                    super::tables::write(self.rendering, &rows);
                }
            }
            _ => {}
        }
    }

    fn push(&mut self, text: &str) {
        if let Some(draft) = self.open.last_mut() {
            draft.text.push_str(text);
        }
    }

    fn paragraph(&mut self, draft: &Draft) {
        if self.tables > 0 {
            let cell = self.rows.last_mut().and_then(|row| row.last_mut());
            if let Some(cell) = cell.filter(|_| !draft.text.trim().is_empty()) {
                if !cell.is_empty() {
                    cell.push(' ');
                }
                cell.push_str(draft.text.trim());
            }
            return;
        }
        match draft.level {
            Some(level) => {
                if level == 1 {
                    self.rendering.title(&draft.text);
                }
                self.rendering.heading(level, &draft.text);
            }
            None if draft.is_list => {
                self.rendering.block(&format!("- {}", draft.text.trim()), BlockKind::List)
            }
            None => self.rendering.block(&draft.text, BlockKind::Prose),
        }
    }
}
