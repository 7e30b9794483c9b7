//! One sheet of a workbook → lines of text.
//!
//! Takes cells in the order of their rows, gives a line per row, rows together as blocks, each row as a place; then what
//! is pinned to cells: notes, text boxes, titles of charts. A row of names at the top stands in the headings of all rows
//! below. Knows no format.

use super::rendering::Rendering;
use super::tables::line;
use crate::location::{CellRange, Location};
use crate::span::Span;
use crate::text::document::BlockKind;
use crate::text::outline::shortened;

/// Rows are grouped until a block has so many bytes.
const GROUP_BYTES: usize = 256;

/// Rows of one cell that may stand above the names of columns.
const MAX_ABOVE: usize = 10;

/// Column names beyond are cut; they are stored with every chunk.
const MAX_COLUMNS_CHARS: usize = 400;

/// Cells further apart in a row than this are written as neighbours.
const MAX_GAP: u32 = 16;

/// Something to read that hangs on cells instead of standing in them.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pinned {
    /// The cells.
    pub(super) range: CellRange,
    /// What it is, in the plural: the heading that it stands under.
    pub(super) role: &'static str,
    /// Its words.
    pub(super) text: String,
}

/// One sheet, written as its cells come, row after row.
pub(super) struct Sheet<'a> {
    rendering: &'a mut Rendering,
    name: &'a str,
    row: Option<Row>,
    /// Rows that wait to be written as one block.
    group: Vec<(String, CellRange)>,
    n_bytes: usize,
    /// Rows in which columns may still be named: a title and a date may stand above.
    n_above: usize,
}

/// The cells of one row so far.
struct Row {
    cells: Vec<String>,
    range: CellRange,
}

impl<'a> Sheet<'a> {
    /// Begins a sheet of this name.
    pub(super) fn new(rendering: &'a mut Rendering, name: &'a str) -> Self {
        rendering.enter(1, name);
        Self { rendering, name, row: None, group: Vec::new(), n_bytes: 0, n_above: MAX_ABOVE }
    }

    /// Writes a cell at its row and column, from 0; nothing where it is blank.
    pub(super) fn cell(&mut self, at: (u32, u32), value: String) {
        if value.trim().is_empty() {
            return;
        }
        if self.row.as_ref().is_some_and(|row| row.range.last.0 != at.0) {
            self.end_row();
        }
        let range = CellRange { first: at, last: at };
        let row = self.row.get_or_insert_with(|| Row { cells: Vec::new(), range });
        let gap = at.1.saturating_sub(row.range.last.1);
        if gap > 1 && gap <= MAX_GAP {
            row.cells.extend(std::iter::repeat_n(String::new(), gap as usize - 1));
        }
        row.cells.push(value);
        row.range = row.range.around(&range);
    }

    fn end_row(&mut self) {
        let Some(row) = self.row.take() else { return };
        let text = line(&row.cells);
        let is_wide = row.cells.iter().filter(|cell| !cell.trim().is_empty()).nth(1).is_some();
        let n_above = self.n_above;
        self.n_above = if is_wide { 0 } else { n_above.saturating_sub(1) };
        if n_above > 0
            && let Some(columns) = header(&row.cells)
        {
            self.write(BlockKind::Table);
            self.rendering.enter(2, &columns);
            self.group.push((text, row.range));
            self.write(BlockKind::Heading);
            return;
        }
        self.n_bytes += text.len();
        self.group.push((text, row.range));
        if self.n_bytes >= GROUP_BYTES {
            self.write(BlockKind::Table);
        }
    }

    fn write(&mut self, kind: BlockKind) {
        let group = std::mem::take(&mut self.group);
        self.n_bytes = 0;
        let lines: Vec<&str> = group.iter().map(|(text, _)| text.as_str()).collect();
        let mut at = self.rendering.len();
        let written = self.rendering.put(&lines.join("\n"), kind).to_owned();
        for (line, (_, range)) in written.split('\n').zip(group).filter(|(line, _)| !line.is_empty()) {
            let location = Location::Sheet { sheet: self.name.to_owned(), range };
            self.rendering.locate_span(Span::new(at, at + line.len()), location);
            at += line.len() + 1;
        }
    }

    /// Whether reading on is for nothing.
    pub(super) fn is_full(&self) -> bool {
        self.rendering.is_full()
    }

    /// Says of so many formulas that no value is stored with them.
    pub(super) fn warn_of_formulas(&mut self, n_formulas: usize) {
        if n_formulas > 0 {
            let name = self.name;
            self.rendering.warn(format!(
                "sheet `{name}`: formulas without a stored value are read as formulas: {n_formulas}"
            ));
        }
    }

    /// Ends the sheet with what is pinned to its cells.
    pub(super) fn finish(mut self, pinned: &[Pinned]) {
        self.end_row();
        self.write(BlockKind::Table);
        for pin in pinned {
            self.pin(pin);
        }
        self.rendering.enter(1, "");
    }

    fn pin(&mut self, pin: &Pinned) {
        if pin.text.trim().is_empty() {
            return;
        }
        self.rendering.enter(2, pin.role);
        let start = self.rendering.len();
        self.rendering.block(&format!("{}: {}", pin.range, pin.text.trim()), BlockKind::Prose);
        self.rendering.locate(start, Location::Sheet { sheet: self.name.to_owned(), range: pin.range });
    }
}

/// `columns: a, b, c`, if the row names columns: at least two, and none is a formula or a number but a year beside other
/// years.
fn header(cells: &[String]) -> Option<String> {
    let is_number = |cell: &String| cell.trim_end_matches(['%', ' ', '\u{a0}']).parse::<f64>().is_ok();
    let is_name = |cell: &String| !is_number(cell) && !cell.starts_with('=');
    let is_year = |cell: &String| cell.parse::<u32>().is_ok_and(|year| (1900..=2100).contains(&year));
    let filled: Vec<&String> = cells.iter().filter(|cell| !cell.trim().is_empty()).collect();
    let n_years = filled.iter().filter(|cell| is_year(cell)).count();
    let begins_with_name = filled.first().is_some_and(|cell| is_name(cell));
    let are_names = filled.iter().all(|cell| is_name(cell) || is_year(cell));
    let fits = filled.len() >= 2 && begins_with_name && are_names && n_years != 1;
    let names: Vec<&str> = filled.iter().map(|cell| cell.as_str()).collect();
    fits.then(|| shortened(&format!("columns: {}", names.join(", ")), MAX_COLUMNS_CHARS))
}
