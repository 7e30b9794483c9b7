//! Spreadsheets of OpenDocument → rows.
//!
//! Takes the XML of the cells, be it a part or the whole file, gives sheets to [`Sheet`] row by row. A cell shows its value
//! as those of Excel do, percent and text as the file shows them; a formula without a value shows itself. Rows and cells
//! that the file writes once for many are written so many times, within bounds.
//!
//! Elements are those of OpenDocument 1.3 part 3, chapter 9; attributes of cells stand in 19.385 (`office:value`) and what
//! is around it.

use std::collections::HashSet;

use super::rendering::Rendering;
use super::sheet::{Pinned, Sheet};
use super::spreadsheet::{say_hidden, shown_bool, shown_float, shown_percent};
use super::xml::{Element, Events, XmlEvent};
use crate::location::CellRange;
use crate::text::skip::SkipReason;

/// The same cell side by side, or row below row, more often than this is a filling and nothing to read.
const MAX_REPEATED: u32 = 256;

/// Cells that one row may hold, and what may be pinned to a sheet.
const MAX_CELLS: usize = 20_000;

/// Elements that hold nothing to read.
const UNSEEN: &[&str] =
    &["tracked-changes", "font-face-decls", "scripts", "settings", "forms", "binary-data", "object", "meta"];

/// Shapes that may hold words.
const SHAPES: &[&str] = &[
    "frame",
    "custom-shape",
    "rect",
    "ellipse",
    "circle",
    "caption",
    "line",
    "connector",
    "measure",
    "path",
    "polyline",
    "polygon",
    "regular-polygon",
];

/// Of the cells of one row, repeated ones counted as often as they are repeated; what is beyond is left out.
const MAX_ROW_BYTES: usize = 1 << 20;

/// Writes all sheets.
///
/// # Errors
/// Where the text is no XML.
pub(super) fn read(rendering: &mut Rendering, content: &str) -> Result<(), SkipReason> {
    let (mut events, mut hidden) = (Events::new(content), HashSet::new());
    let mut style = None;
    while let Some(event) = events.next()? {
        let XmlEvent::Open(element) = event else { continue };
        match element.name().as_str() {
            name if UNSEEN.contains(&name) => events.skip()?,
            "style" => style = element.attribute("name"),
            "table-properties" if element.attribute("display").is_some_and(|shown| shown == "false") => {
                hidden.extend(style.take());
            }
            "table" => {
                let name = element.attribute("name").unwrap_or_default();
                let is_hidden = element.attribute("style-name").is_some_and(|style| hidden.contains(&style));
                say_hidden(rendering, &name, is_hidden);
                let mut table = Table::new(Sheet::new(rendering, &name));
                table.read(&mut events)?;
                table.sheet.finish(&table.pinned);
                if rendering.is_full() {
                    break;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// A cell under construction.
#[derive(Default)]
struct Cell {
    n_times: u32,
    kind: String,
    value: Option<String>,
    formula: Option<String>,
    /// Its paragraphs, as they are shown.
    text: String,
    note: String,
    boxes: String,
}

/// One sheet under construction.
struct Table<'a> {
    sheet: Sheet<'a>,
    pinned: Vec<Pinned>,
    /// Row and column of the next cell.
    at: (u32, u32),
    n_times: u32,
    cells: Vec<(u32, String)>,
    /// Bytes of these cells.
    row_bytes: usize,
    cell: Cell,
    /// Open paragraphs, notes, shapes, and tables in a cell.
    paragraphs: usize,
    notes: usize,
    shapes: usize,
    tables: usize,
    n_formulas: usize,
}

impl<'a> Table<'a> {
    fn new(sheet: Sheet<'a>) -> Self {
        Self {
            sheet,
            pinned: Vec::new(),
            at: (0, 0),
            n_times: 1,
            cells: Vec::new(),
            row_bytes: 0,
            cell: Cell::default(),
            paragraphs: 0,
            notes: 0,
            shapes: 0,
            tables: 0,
            n_formulas: 0,
        }
    }

    /// Reads up to the end of the table, which has just begun.
    fn read(&mut self, events: &mut Events<'_>) -> Result<(), SkipReason> {
        while let Some(event) = events.next()? {
            match event {
                XmlEvent::Open(element) => self.open(&element, events)?,
                XmlEvent::Close(name) if name == "table" && self.tables == 0 => break,
                XmlEvent::Close(name) => self.close(&name),
                XmlEvent::Text(text) if self.paragraphs > 0 => self.words().push_str(&text),
                XmlEvent::Text(_) => {}
            }
        }
        // Words in shapes that lie beside all cells.
        self.end_cell();
        self.sheet.warn_of_formulas(self.n_formulas);
        Ok(())
    }

    fn open(&mut self, element: &Element<'_>, events: &mut Events<'_>) -> Result<(), SkipReason> {
        let n_times = |name: &str| element.attribute(name).and_then(|number| number.parse::<u32>().ok());
        match element.name().as_str() {
            name if UNSEEN.contains(&name) => events.skip()?,
            "creator" | "date" | "date-string" if self.notes > 0 && self.paragraphs == 0 => events.skip()?,
            "table" => self.tables += 1,
            "table-row" if self.tables == 0 => {
                self.n_times = n_times("number-rows-repeated").unwrap_or(1).max(1);
            }
            "table-cell" | "covered-table-cell" if self.tables == 0 => {
                self.end_cell();
                self.cell = Cell {
                    n_times: n_times("number-columns-repeated").unwrap_or(1).max(1),
                    kind: element.attribute("value-type").unwrap_or_default(),
                    value: value(element),
                    formula: element.attribute("formula"),
                    ..Cell::default()
                };
            }
            "p" => self.paragraphs += 1,
            "annotation" => self.notes += 1,
            "s" | "tab" if self.paragraphs > 0 => self.words().push(' '),
            "line-break" if self.paragraphs > 0 => self.words().push('\n'),
            name if SHAPES.contains(&name) => self.shapes += 1,
            _ => {}
        }
        Ok(())
    }

    fn close(&mut self, name: &str) {
        match name {
            "table" => self.tables -= 1,
            "table-row" if self.tables == 0 => self.end_row(),
            "table-cell" | "covered-table-cell" if self.tables == 0 => self.end_cell(),
            "p" => {
                self.words().push('\n');
                self.paragraphs = self.paragraphs.saturating_sub(1);
            }
            "annotation" => self.notes = self.notes.saturating_sub(1),
            name if SHAPES.contains(&name) => self.shapes = self.shapes.saturating_sub(1),
            _ => {}
        }
    }

    /// Where words belong.
    fn words(&mut self) -> &mut String {
        if self.notes > 0 {
            &mut self.cell.note
        } else if self.shapes > 0 {
            &mut self.cell.boxes
        } else {
            &mut self.cell.text
        }
    }

    fn end_cell(&mut self) {
        let cell = std::mem::take(&mut self.cell);
        let range = CellRange { first: self.at, last: self.at };
        for (role, text) in [("Notes", &cell.note), ("Text boxes", &cell.boxes)] {
            if !text.trim().is_empty() && self.pinned.len() < MAX_CELLS {
                self.pinned.push(Pinned { range, role, text: text.clone() });
            }
        }
        let shown = cell.shown();
        let is_bare = cell.kind.is_empty() && cell.value.is_none() && cell.text.trim().is_empty();
        self.n_formulas += usize::from(cell.formula.is_some() && is_bare);
        if !shown.is_empty() {
            for idx in 0..cell.n_times.min(MAX_REPEATED) {
                if self.cells.len() < MAX_CELLS && self.row_bytes + shown.len() <= MAX_ROW_BYTES {
                    self.row_bytes += shown.len();
                    self.cells.push((self.at.1.saturating_add(idx), shown.clone()));
                }
            }
        }
        self.at.1 = self.at.1.saturating_add(cell.n_times);
    }

    fn end_row(&mut self) {
        let cells = std::mem::take(&mut self.cells);
        self.row_bytes = 0;
        let n_times = if cells.is_empty() { 0 } else { self.n_times.min(MAX_REPEATED) };
        for idx in 0..n_times {
            for (column, text) in &cells {
                if self.sheet.is_full() {
                    return;
                }
                self.sheet.cell((self.at.0.saturating_add(idx), *column), text.clone());
            }
        }
        self.at = (self.at.0.saturating_add(self.n_times), 0);
    }
}

impl Cell {
    /// What a reader of the sheet sees, in the way in which other workbooks are shown.
    fn shown(&self) -> String {
        let text = self.text.trim();
        let value = self.value.as_deref().unwrap_or_default();
        let number = value.parse::<f64>().ok();
        match (self.kind.as_str(), number) {
            ("float" | "currency", Some(number)) => shown_float(number),
            ("percentage", Some(number)) if text.is_empty() => shown_percent(number, 2),
            ("boolean", _) => shown_bool(value == "true").to_owned(),
            ("date", _) => value.strip_suffix("T00:00:00").unwrap_or(value).replacen('T', " ", 1),
            _ if !text.is_empty() => text.to_owned(),
            _ if !value.is_empty() => value.to_owned(),
            // A cell with a type has a value, be it an empty text.
            _ if self.kind.is_empty() => self.formula.as_deref().map(shown_formula).unwrap_or_default(),
            _ => String::new(),
        }
    }
}

/// `=B2*C2` of `of:=[.B2]*[.C2]`.
fn shown_formula(formula: &str) -> String {
    let start = formula.find('=').unwrap_or(0);
    formula[start..].replace("[.", "").replace(":.", ":").replace(']', "")
}

/// The value of a cell, which stands in an attribute of its type's own.
fn value(element: &Element<'_>) -> Option<String> {
    let names = ["value", "date-value", "time-value", "boolean-value", "string-value"];
    names.iter().find_map(|name| element.attribute(name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_formula_is_shown_where_nothing_was_stored_alone() {
        let check = |kind: &str, value: Option<&str>, expected: &str| {
            let cell = Cell {
                kind: kind.to_owned(),
                value: value.map(str::to_owned),
                formula: Some("of:=IF([.A1]=1;\"\";2)".to_owned()),
                ..Cell::default()
            };
            assert_eq!(cell.shown(), expected, "{kind} {value:?}");
        };
        check("", None, "=IF(A1=1;\"\";2)");
        check("string", Some(""), "");
        check("float", Some("2"), "2");
    }
}
