//! What hangs on the cells of an Excel workbook instead of standing in them.
//!
//! Takes the part of a sheet, gives its notes and comments, the words of its text boxes, and the titles of its charts, each
//! with the cells that it belongs to. The numbers of a chart stand in a sheet anyway.

use std::collections::{HashMap, HashSet};

use super::office::{self, Relations};
use super::sheet::Pinned;
use super::unpack::Parts;
use super::xml::{Element, Events, XmlEvent, decoded};
use crate::location::CellRange;
use crate::text::skip::SkipReason;

/// Of one sheet; further ones are left out.
const MAX_PINNED: usize = 10_000;

/// The parts of sheets by their names (ECMA-376 part 1, 18.2.19).
///
/// # Errors
/// Where the zip file is damaged.
pub(super) fn sheets(parts: &mut Parts<'_>) -> Result<HashMap<String, String>, SkipReason> {
    const WORKBOOK: &str = "xl/workbook.xml";
    let related = office::relations(parts, WORKBOOK)?;
    let text = decoded(&parts.need(WORKBOOK)?)?;
    let (mut events, mut sheets) = (Events::new(&text), HashMap::new());
    while let Some(event) = events.next()? {
        if let XmlEvent::Open(element) = event
            && element.name() == "sheet"
            && let Some(name) = element.attribute("name")
            && let Some((_, part)) = element.prefixed_attribute("id").and_then(|id| related.get(&id))
        {
            sheets.insert(name, part.clone());
        }
    }
    Ok(sheets)
}

/// What is pinned to the cells of a sheet: notes first, then what is drawn.
///
/// # Errors
/// Where the zip file is damaged.
pub(super) fn read(parts: &mut Parts<'_>, sheet: &str) -> Result<Vec<Pinned>, SkipReason> {
    let related = office::relations(parts, sheet)?;
    let mut pinned = notes(parts, &related)?;
    for part in office::targets(&related, "drawing") {
        pinned.extend(drawn(parts, &part)?);
    }
    pinned.truncate(MAX_PINNED);
    Ok(pinned)
}

/// Notes of old, and comments that answer each other. Of the latter the file holds a note, too, with a sentence about
/// older programs in it.
fn notes(parts: &mut Parts<'_>, related: &Relations) -> Result<Vec<Pinned>, SkipReason> {
    let mut of_kind = |kind: &str, words: &str| {
        let mut list = Vec::new();
        for part in office::targets(related, kind) {
            if let Some(bytes) = parts.read(&part)? {
                list.extend(read_notes(&decoded(&bytes)?, words)?);
            }
        }
        Ok::<_, SkipReason>(list)
    };
    let mut threads = of_kind("threadedComment", "text")?;
    let mut notes = of_kind("comments", "t")?;
    let answered: HashSet<CellRange> = threads.iter().map(|thread| thread.range).collect();
    notes.retain(|note| !answered.contains(&note.range));
    notes.append(&mut threads);
    Ok(notes)
}

/// The notes of one part; their words stand in elements of the name `words`.
fn read_notes(text: &str, words: &str) -> Result<Vec<Pinned>, SkipReason> {
    let (mut events, mut notes, mut is_open) = (Events::new(text), Vec::<Pinned>::new(), false);
    while let Some(event) = events.next()? {
        let XmlEvent::Open(element) = event else { continue };
        match element.name().as_str() {
            "comment" | "threadedComment" => {
                let range = element.attribute("ref").and_then(|range| range.parse().ok());
                let range = range.filter(|_| notes.len() < MAX_PINNED);
                is_open = range.is_some();
                notes.extend(range.map(|range| Pinned { range, role: "Notes", text: String::new() }));
            }
            name if name == words => {
                let said = events.text()?;
                if let Some(note) = notes.last_mut().filter(|_| is_open) {
                    note.text.push_str(&said);
                }
            }
            _ => {}
        }
    }
    Ok(notes)
}

/// Text boxes and charts of one drawing.
fn drawn(parts: &mut Parts<'_>, part: &str) -> Result<Vec<Pinned>, SkipReason> {
    let Some(bytes) = parts.read(part)? else { return Ok(Vec::new()) };
    let related = office::relations(parts, part)?;
    let mut pinned = Vec::new();
    for anchor in anchors(&decoded(&bytes)?)? {
        let range = anchor.range();
        pinned.push(Pinned { range, role: "Text boxes", text: anchor.text });
        let chart = anchor.chart.and_then(|id| related.get(&id));
        if let Some(bytes) = chart.map(|(_, part)| parts.read(part)).transpose()?.flatten() {
            pinned.push(Pinned { range, role: "Charts", text: office::chart_titles(&bytes)? });
        }
    }
    Ok(pinned)
}

/// Something drawn, and the cells that it lies over (ECMA-376 part 1, 20.5.2.33).
#[derive(Default)]
struct Anchor {
    column: u32,
    /// Row and column of the upper left corner and, where it is told, of the lower right one.
    corners: Vec<(u32, u32)>,
    text: String,
    chart: Option<String>,
}

impl Anchor {
    fn range(&self) -> CellRange {
        let first = self.corners.first().copied().unwrap_or((0, 0));
        let last = self.corners.get(1).copied().unwrap_or(first);
        CellRange { first, last: first }.around(&CellRange { first: last, last })
    }

    fn open(&mut self, element: &Element<'_>, events: &mut Events<'_>) -> Result<(), SkipReason> {
        match element.name().as_str() {
            "Fallback" => events.skip()?,
            "col" => self.column = number(events)?,
            "row" if self.corners.len() < 2 => {
                let row = number(events)?;
                self.corners.push((row, self.column));
            }
            "t" => self.text.push_str(&events.text()?),
            "chart" => self.chart = element.prefixed_attribute("id"),
            _ => {}
        }
        Ok(())
    }
}

fn number(events: &mut Events<'_>) -> Result<u32, SkipReason> {
    Ok(events.text()?.trim().parse().unwrap_or(0))
}

fn anchors(text: &str) -> Result<Vec<Anchor>, SkipReason> {
    let (mut events, mut anchors, mut anchor) = (Events::new(text), Vec::new(), Anchor::default());
    while let Some(event) = events.next()? {
        match event {
            XmlEvent::Open(element) if element.name().ends_with("Anchor") => anchor = Anchor::default(),
            XmlEvent::Open(element) => anchor.open(&element, &mut events)?,
            XmlEvent::Close(name) if name.ends_with("Anchor") && anchors.len() < MAX_PINNED => {
                anchors.push(std::mem::take(&mut anchor));
            }
            XmlEvent::Close(name) if name == "p" => anchor.text.push('\n'),
            _ => {}
        }
    }
    Ok(anchors)
}
