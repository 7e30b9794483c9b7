//! Presentations (Office Open XML) → text, slide by slide.
//!
//! Takes the zip file's parts, gives each slide's title as a heading, its paragraphs, tables, diagrams and charts, then its
//! notes and comments, in the order in which they are shown. Each slide is a place of its own.

use super::Rendered;
use super::office::{self, Relations};
use super::rendering::Rendering;
use super::unpack::{Allowance, Parts};
use super::xml::{Element, Events, XmlEvent, decoded};
use crate::location::Location;
use crate::text::document::BlockKind;
use crate::text::skip::SkipReason;

/// The text of a presentation.
///
/// # Errors
/// See [`SkipReason`].
pub(super) fn read(bytes: &[u8], allowance: &Allowance<'_>) -> Result<Rendered, SkipReason> {
    let mut parts = Parts::open(bytes, allowance)?;
    let relations = office::relations(&mut parts, "")?;
    let main = relations.into_values().find(|(kind, _)| kind == "officeDocument");
    let main = main.map_or_else(|| "ppt/presentation.xml".to_owned(), |(_, target)| target);
    let related = office::relations(&mut parts, &main)?;
    let order = order(&decoded(&parts.need(&main)?)?, &related)?;
    let mut rendering = Rendering::new(allowance.limits().max_text_bytes);
    if let Some(title) = office::title(&mut parts)? {
        rendering.title(&title);
    }
    for (idx, part) in order.iter().enumerate() {
        if rendering.is_full() {
            break;
        }
        let Some(bytes) = parts.read(part)? else { continue };
        let start = rendering.len();
        Shapes::read(&mut rendering, &decoded(&bytes)?, false)?;
        let related = office::relations(&mut parts, part)?;
        office::write_diagrams(&mut rendering, &mut parts, &related)?;
        office::write_charts(&mut rendering, &mut parts, &related)?;
        let comments = comments(&mut parts, &related);
        let comments = office::lesser(&mut rendering, "the comments of a slide", comments)?;
        let notes = related.into_values().find(|(kind, _)| kind == "notesSlide");
        if let Some(bytes) = notes.map(|(_, part)| parts.read(&part)).transpose()?.flatten() {
            rendering.enter(2, "Notes");
            Shapes::read(&mut rendering, &decoded(&bytes)?, true)?;
        }
        if !comments.is_empty() {
            rendering.enter(2, "Comments");
            comments.iter().for_each(|comment| rendering.block(comment, BlockKind::Prose));
        }
        rendering.locate(start, Location::Slide { slide: idx as u32 + 1 });
    }
    Ok(rendering.finish())
}

/// What people remarked on a slide, in comments of either kind.
fn comments(parts: &mut Parts<'_>, related: &Relations) -> Result<Vec<String>, SkipReason> {
    let mut comments = Vec::new();
    for part in office::targets(related, "comments") {
        if let Some(bytes) = parts.read(&part)? {
            comments.extend(office::paragraphs(&bytes)?);
        }
    }
    Ok(comments)
}

/// The slides' parts in the order in which they are shown.
fn order(presentation: &str, related: &Relations) -> Result<Vec<String>, SkipReason> {
    let (mut events, mut order) = (Events::new(presentation), Vec::new());
    while let Some(event) = events.next()? {
        if let XmlEvent::Open(element) = event
            && element.name() == "sldId"
            && let Some((_, target)) = element.prefixed_attribute("id").and_then(|id| related.get(&id))
        {
            order.push(target.clone());
        }
    }
    Ok(order)
}

/// Reads the shapes of one slide.
struct Shapes<'a> {
    rendering: &'a mut Rendering,
    is_notes: bool,
    /// What the open shape is a placeholder for.
    role: String,
    paragraph: String,
    /// The open shape's title so far.
    title: String,
    rows: Vec<Vec<String>>,
    in_table: bool,
}

impl<'a> Shapes<'a> {
    fn read(rendering: &'a mut Rendering, text: &str, is_notes: bool) -> Result<(), SkipReason> {
        if !is_notes {
            // The heading of the slide before does not stand over this one.
            rendering.enter(1, "");
        }
        let mut shapes = Self {
            rendering,
            is_notes,
            role: String::new(),
            paragraph: String::new(),
            title: String::new(),
            rows: Vec::new(),
            in_table: false,
        };
        let mut events = Events::new(text);
        while let Some(event) = events.next()? {
            match event {
                XmlEvent::Open(element) => shapes.open(&element, &mut events)?,
                XmlEvent::Close(name) => shapes.close(&name),
                XmlEvent::Text(_) => {}
            }
        }
        events.lost().into_iter().for_each(|lost| shapes.rendering.warn(lost));
        Ok(())
    }

    fn open(&mut self, element: &Element<'_>, events: &mut Events<'_>) -> Result<(), SkipReason> {
        match element.name().as_str() {
            "Fallback" => events.skip()?,
            "sp" | "graphicFrame" => self.role.clear(),
            "ph" => self.role = element.attribute("type").unwrap_or_else(|| "body".to_owned()),
            "t" => {
                let text = events.text()?;
                self.paragraph.push_str(&text);
            }
            "br" => self.paragraph.push('\n'),
            "tab" => self.paragraph.push('\t'),
            "tbl" => self.in_table = true,
            "tr" if self.in_table => self.rows.push(Vec::new()),
            "tc" => drop(self.rows.last_mut().map(|row| row.push(String::new()))),
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, name: &str) {
        match name {
            "p" => self.end_paragraph(),
            "sp" => {
                let title = std::mem::take(&mut self.title);
                self.rendering.heading(1, &title);
                self.rendering.title(&title);
                self.role.clear();
            }
            "tbl" => {
                self.in_table = false;
                super::tables::write(self.rendering, &std::mem::take(&mut self.rows));
            }
            _ => {}
        }
    }

    fn end_paragraph(&mut self) {
        let text = std::mem::take(&mut self.paragraph);
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        if let Some(cell) = self.rows.last_mut().and_then(|row| row.last_mut()).filter(|_| self.in_table) {
            cell.push_str(if cell.is_empty() { "" } else { " " });
            cell.push_str(text);
            return;
        }
        match self.role.as_str() {
            // On every slide, and nothing that anybody looks for.
            "sldNum" | "hdr" | "ftr" | "dt" | "sldImg" if self.is_notes || self.role != "ftr" => {}
            "title" | "ctrTitle" if !self.is_notes => {
                self.title.push_str(if self.title.is_empty() { "" } else { " " });
                self.title.push_str(text);
            }
            _ => self.rendering.block(text, BlockKind::Prose),
        }
    }
}
