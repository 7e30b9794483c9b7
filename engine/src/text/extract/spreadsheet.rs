//! Spreadsheets → text, row by row.
//!
//! Takes the bytes of an Excel (new, binary or old) or OpenDocument workbook, gives a line per row with cells between
//! ` | `, sheets under their names. A row of names at a sheet's top stands in the headings of all rows below, so that a
//! row found alone can be read. Each row is a place: sheet and cells. Formulas give their last value.

use std::io::Cursor;

use calamine::{
    CellErrorType, Data, DataRef, ExcelDateTime, Reader, Xlsx, XlsxError, open_workbook_auto_from_rs,
};

use super::Rendered;
use super::office;
use super::rendering::Rendering;
use super::tables::line;
use super::unpack::{Allowance, Parts};
use crate::location::{CellRange, Location};
use crate::span::Span;
use crate::text::document::BlockKind;
use crate::text::outline::shortened;
use crate::text::skip::SkipReason;

/// Rows are grouped until a block has so many bytes.
const GROUP_BYTES: usize = 256;

/// Rows of one cell that may stand above the names of columns.
const MAX_ABOVE: usize = 10;

/// Column names beyond are cut; they are stored with every chunk.
const MAX_COLUMNS_CHARS: usize = 400;

/// Cells further apart in a row than this are written as neighbours.
const MAX_GAP: u32 = 16;

/// The text of a workbook.
///
/// # Errors
/// See [`SkipReason`].
pub(super) fn read(bytes: &[u8], allowance: &Allowance<'_>) -> Result<Rendered, SkipReason> {
    if office::is_encrypted(bytes) {
        return Err(SkipReason::Encrypted);
    }
    let mut rendering = Rendering::new(allowance.limits().max_text_bytes);
    if bytes.starts_with(b"PK") {
        let mut parts = Parts::open(bytes, allowance)?;
        if let Some(title) = office::title(&mut parts)? {
            rendering.title(&title);
        }
        if parts.names().iter().any(|name| name == "xl/workbook.xml") {
            read_xlsx(&mut rendering, bytes)?;
            return Ok(rendering.finish());
        }
    }
    read_dense(&mut rendering, bytes)?;
    Ok(rendering.finish())
}

/// Reads only the cells that there are, whatever size a sheet claims to have.
fn read_xlsx(rendering: &mut Rendering, bytes: &[u8]) -> Result<(), SkipReason> {
    let mut workbook = Xlsx::new(Cursor::new(bytes)).map_err(xlsx_reason)?;
    for name in workbook.sheet_names() {
        let Ok(mut cells) = workbook.worksheet_cells_reader(&name) else { continue };
        let mut sheet = Sheet::new(rendering, &name);
        while let Some(cell) = cells.next_cell().map_err(SkipReason::damaged)? {
            sheet.cell(cell.get_position(), shown(cell.get_value()));
            if sheet.rendering.is_full() {
                break;
            }
        }
        sheet.finish();
    }
    Ok(())
}

fn xlsx_reason(error: XlsxError) -> SkipReason {
    match error {
        XlsxError::Password => SkipReason::Encrypted,
        error => SkipReason::damaged(error),
    }
}

fn read_dense(rendering: &mut Rendering, bytes: &[u8]) -> Result<(), SkipReason> {
    let mut workbook = open_workbook_auto_from_rs(Cursor::new(bytes)).map_err(|error| {
        let text = error.to_string();
        if text.to_lowercase().contains("password") {
            SkipReason::Encrypted
        } else {
            SkipReason::damaged(text)
        }
    })?;
    for name in workbook.sheet_names() {
        let Ok(range) = workbook.worksheet_range(&name) else { continue };
        let (row_0, column_0) = range.start().unwrap_or((0, 0));
        let mut sheet = Sheet::new(rendering, &name);
        for (row, column, value) in range.used_cells() {
            sheet.cell((row as u32 + row_0, column as u32 + column_0), shown_owned(value));
            if sheet.rendering.is_full() {
                break;
            }
        }
        sheet.finish();
    }
    Ok(())
}

/// One sheet, written as its cells come, row after row.
struct Sheet<'a> {
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
    fn new(rendering: &'a mut Rendering, name: &'a str) -> Self {
        rendering.enter(1, name);
        Self { rendering, name, row: None, group: Vec::new(), n_bytes: 0, n_above: MAX_ABOVE }
    }

    fn cell(&mut self, at: (u32, u32), value: String) {
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

    fn finish(mut self) {
        self.end_row();
        self.write(BlockKind::Table);
        self.rendering.enter(1, "");
    }
}

/// `columns: a, b, c`, if the row names columns: at least two, and none is a number but a year beside other years.
fn header(cells: &[String]) -> Option<String> {
    let is_name = |cell: &String| cell.parse::<f64>().is_err();
    let is_year = |cell: &String| cell.parse::<u32>().is_ok_and(|year| (1900..=2100).contains(&year));
    let filled: Vec<&String> = cells.iter().filter(|cell| !cell.trim().is_empty()).collect();
    let n_years = filled.iter().filter(|cell| is_year(cell)).count();
    let begins_with_name = filled.first().is_some_and(|cell| is_name(cell));
    let are_names = filled.iter().all(|cell| is_name(cell) || is_year(cell));
    let fits = filled.len() >= 2 && begins_with_name && are_names && n_years != 1;
    let names: Vec<&str> = filled.iter().map(|cell| cell.as_str()).collect();
    fits.then(|| shortened(&format!("columns: {}", names.join(", ")), MAX_COLUMNS_CHARS))
}

fn shown(value: &DataRef<'_>) -> String {
    match value {
        DataRef::Int(number) => number.to_string(),
        DataRef::Float(number) => shown_float(*number),
        DataRef::String(text) => text.clone(),
        DataRef::SharedString(text) => (*text).to_owned(),
        DataRef::Bool(value) => shown_bool(*value).to_owned(),
        DataRef::DateTime(time) => shown_time(time),
        DataRef::DateTimeIso(text) | DataRef::DurationIso(text) => text.clone(),
        DataRef::Error(error) => shown_error(error),
        DataRef::Empty => String::new(),
    }
}

fn shown_owned(value: &Data) -> String {
    match value {
        Data::Int(number) => number.to_string(),
        Data::Float(number) => shown_float(*number),
        Data::String(text) | Data::DateTimeIso(text) | Data::DurationIso(text) => text.clone(),
        Data::Bool(value) => shown_bool(*value).to_owned(),
        Data::DateTime(time) => shown_time(time),
        Data::Error(error) => shown_error(error),
        Data::Empty => String::new(),
    }
}

/// As a sheet shows numbers: without the noise of binary fractions.
fn shown_float(number: f64) -> String {
    let rounded = (number * 1e9).round() / 1e9;
    if rounded.is_finite() && rounded.abs() < 1e15 { rounded.to_string() } else { number.to_string() }
}

fn shown_bool(value: bool) -> &'static str {
    if value { "TRUE" } else { "FALSE" }
}

fn shown_error(error: &CellErrorType) -> String {
    error.to_string()
}

/// `2024-01-31`, with the time of day where there is one.
fn shown_time(time: &ExcelDateTime) -> String {
    let days = time.as_f64();
    // A date before the first one is a time of day.
    if time.is_duration() || (0.0..1.0).contains(&days) {
        let seconds = (days * 86_400.0).round() as i64;
        return format!("{:02}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    }
    let (year, month, day, hour, minute, second, _) = time.to_ymd_hms_milli();
    let date = format!("{year:04}-{month:02}-{day:02}");
    if (hour, minute, second) == (0, 0, 0) {
        date
    } else {
        format!("{date} {hour:02}:{minute:02}:{second:02}")
    }
}
