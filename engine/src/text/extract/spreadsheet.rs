//! Spreadsheets → text, row by row.
//!
//! Takes the bytes of an Excel (new, binary or old) or OpenDocument workbook, gives a line per row with cells between
//! ` | `, sheets under their names; [`sheet`](super::sheet) writes them. Formulas give their last value, and themselves
//! where none is stored; parts of a hundred are shown as percent where the cell says so. Notes and what is drawn on a
//! sheet come from [`sheet_pins`](super::sheet_pins), OpenDocument from [`open_sheets`](super::open_sheets). A sheet that
//! is hidden is read, and named in a warning.

use std::collections::HashMap;
use std::io::Cursor;

use calamine::{
    CellErrorType, Data, DataRef, ExcelDateTime, Reader, SheetVisible, Xlsx, XlsxCellReader, XlsxError,
    XlsxFormulaMetadata, open_workbook_auto_from_rs,
};

use super::rendering::Rendering;
use super::sheet::Sheet;
use super::unpack::{Allowance, Parts};
use super::xml::decoded;
use super::{Rendered, office, open_document, open_sheets, sheet_pins};
use crate::text::skip::SkipReason;

/// Cells of a sheet that may be shown as percent; further ones are shown as numbers.
const MAX_PERCENTS: usize = 500_000;

/// Decimals beyond are noise.
const MAX_DECIMALS: usize = 6;

type Workbook<'a> = Xlsx<Cursor<&'a [u8]>>;

type Cells<'a, 'b> = XlsxCellReader<'a, Cursor<&'b [u8]>>;

/// The decimals that cells show as percent, by row and column.
type Percents = HashMap<(u32, u32), usize>;

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
        let names = parts.names();
        if names.iter().any(|name| name == "xl/workbook.xml") {
            read_xlsx(&mut rendering, bytes, &mut parts)?;
            return Ok(rendering.finish());
        }
        if names.iter().any(|name| name == "content.xml") {
            open_document::refuse_encrypted(&mut parts)?;
            open_sheets::read(&mut rendering, &decoded(&parts.need("content.xml")?)?)?;
            return Ok(rendering.finish());
        }
    } else if crate::text::detect::flat_type(bytes).is_some() {
        open_sheets::read(&mut rendering, &decoded(bytes)?)?;
        return Ok(rendering.finish());
    }
    read_dense(&mut rendering, bytes)?;
    Ok(rendering.finish())
}

/// Reads only the cells that there are, whatever size a sheet claims to have.
fn read_xlsx(rendering: &mut Rendering, bytes: &[u8], parts: &mut Parts<'_>) -> Result<(), SkipReason> {
    let mut workbook = Xlsx::new(Cursor::new(bytes)).map_err(xlsx_reason)?;
    let targets = sheet_pins::sheets(parts);
    let targets = office::lesser(rendering, "the list of sheets", targets)?;
    for about in workbook.sheets_metadata().to_vec() {
        if rendering.is_full() {
            break;
        }
        say_hidden(rendering, &about.name, about.visible != SheetVisible::Visible);
        let pinned = match targets.get(&about.name) {
            Some(part) => {
                let pinned = sheet_pins::read(parts, part);
                office::lesser(rendering, "what is pinned to cells", pinned)?
            }
            None => Vec::new(),
        };
        let mut sheet = Sheet::new(rendering, &about.name);
        read_cells(&mut workbook, &about.name, &mut sheet)?;
        sheet.finish(&pinned);
    }
    Ok(())
}

/// Names a sheet that its readers do not see.
pub(super) fn say_hidden(rendering: &mut Rendering, name: &str, is_hidden: bool) {
    if is_hidden {
        rendering.warn(format!("sheet `{name}` is hidden in the workbook; its text is read all the same"));
    }
}

/// Writes the cells of a sheet; nothing where it has none, as one that is a chart.
fn read_cells(workbook: &mut Workbook<'_>, name: &str, sheet: &mut Sheet<'_>) -> Result<(), SkipReason> {
    let percents = percents(workbook, name);
    let Ok(mut cells) = workbook.worksheet_cells_reader(name) else { return Ok(()) };
    let (n_read, is_whole) = with_formulas(&mut cells, sheet, &percents);
    drop(cells);
    if is_whole {
        return Ok(());
    }
    // A formula that can't be followed costs the formulas behind it, not the values.
    let Ok(mut cells) = workbook.worksheet_cells_reader(name) else { return Ok(()) };
    let mut idx = 0;
    while let Some(cell) = cells.next_cell().map_err(SkipReason::damaged)? {
        if idx >= n_read {
            sheet.cell(cell.get_position(), shown_at(&percents, cell.get_position(), cell.get_value()));
        }
        idx += 1;
        if sheet.is_full() {
            break;
        }
    }
    Ok(())
}

/// Writes cells until the end, or until a formula can't be followed. Gives how many there were, and whether that is all.
fn with_formulas(cells: &mut Cells<'_, '_>, sheet: &mut Sheet<'_>, percents: &Percents) -> (usize, bool) {
    let (mut n_read, mut n_bare) = (0, 0);
    let is_whole = loop {
        match cells.next_cell_with_formula_metadata() {
            Ok(Some(cell)) => {
                n_read += 1;
                match &cell.formula {
                    Some(formula) if matches!(cell.value, DataRef::Empty) => {
                        n_bare += 1;
                        sheet.cell(cell.pos, shown_formula(formula));
                    }
                    _ => sheet.cell(cell.pos, shown_at(percents, cell.pos, &cell.value)),
                }
                if sheet.is_full() {
                    break true;
                }
            }
            Ok(None) => break true,
            Err(_) => break false,
        }
    };
    sheet.warn_of_formulas(n_bare);
    (n_read, is_whole)
}

/// As one types it in; nothing where it is that of another cell, moved.
fn shown_formula(formula: &XlsxFormulaMetadata) -> String {
    match formula {
        XlsxFormulaMetadata::Normal { formula } | XlsxFormulaMetadata::Shared { formula, .. }
            if !formula.trim().is_empty() =>
        {
            format!("={formula}")
        }
        _ => String::new(),
    }
}

/// The cells of a sheet that show percent.
fn percents(workbook: &mut Workbook<'_>, name: &str) -> Percents {
    let mut percents = Percents::new();
    let Ok(mut cells) = workbook.worksheet_cells_reader(name) else { return percents };
    let formats = cells.styles().iter().map(|style| style.number_format.as_ref());
    let decimals: Vec<Option<usize>> =
        formats.map(|format| format.and_then(|format| percent_decimals(&format.format_code))).collect();
    if decimals.iter().all(Option::is_none) {
        return percents;
    }
    // What can't be followed here is met again, and told, where the values are read.
    while let Ok(Some((row, column, style))) = cells.next_style_id() {
        if let Some(Some(decimals)) = decimals.get(style) {
            percents.insert((row, column), *decimals);
        }
        if percents.len() >= MAX_PERCENTS {
            break;
        }
    }
    percents
}

/// The decimals of a format that shows percent, such as 1 of `0.0%`; `None` where it shows none. Of several sections the
/// first one counts (ECMA-376 part 1, 18.8.31).
fn percent_decimals(code: &str) -> Option<usize> {
    let (mut decimals, mut is_behind_point, mut is_percent) = (0, false, false);
    let mut chars = code.chars();
    while let Some(ch) = chars.next() {
        match ch {
            ';' => break,
            '\\' | '_' | '*' => drop(chars.next()),
            '"' => drop(chars.find(|ch| *ch == '"')),
            '[' => drop(chars.find(|ch| *ch == ']')),
            '%' => is_percent = true,
            '.' => is_behind_point = true,
            '0' | '#' | '?' if is_behind_point => decimals += 1,
            _ => {}
        }
    }
    is_percent.then_some(decimals)
}

fn shown_at(percents: &Percents, at: (u32, u32), value: &DataRef<'_>) -> String {
    let number = match value {
        DataRef::Float(number) => Some(*number),
        DataRef::Int(number) => Some(*number as f64),
        _ => None,
    };
    match number.zip(percents.get(&at)) {
        Some((number, decimals)) => shown_percent(number, *decimals),
        None => shown(value),
    }
}

/// `15%` of 0.15, rounded half up as sheets do.
pub(super) fn shown_percent(number: f64, decimals: usize) -> String {
    let decimals = decimals.min(MAX_DECIMALS);
    let scale = 10_f64.powi(decimals as i32);
    // Without the noise of binary fractions, which would round 0.145 down.
    let hundredths = (number * 100.0 * 1e9).round() / 1e9;
    // Nothing below zero is left of what is rounded to it.
    format!("{:.decimals$}%", (hundredths * scale).round() / scale + 0.0)
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
    for about in workbook.sheets_metadata().to_vec() {
        let Ok(range) = workbook.worksheet_range(&about.name) else { continue };
        let (row_0, column_0) = range.start().unwrap_or((0, 0));
        say_hidden(rendering, &about.name, about.visible != SheetVisible::Visible);
        let mut sheet = Sheet::new(rendering, &about.name);
        for (row, column, value) in range.used_cells() {
            sheet.cell((row as u32 + row_0, column as u32 + column_0), shown_owned(value));
            if sheet.is_full() {
                break;
            }
        }
        sheet.finish(&[]);
    }
    Ok(())
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
pub(super) fn shown_float(number: f64) -> String {
    let rounded = (number * 1e9).round() / 1e9;
    if rounded.is_finite() && rounded.abs() < 1e15 { rounded.to_string() } else { number.to_string() }
}

pub(super) fn shown_bool(value: bool) -> &'static str {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formats_say_whether_they_show_percent() {
        let cases = [
            ("0%", Some(0)),
            ("0.00%", Some(2)),
            ("#,##0.0 %;[Red]-0.0%", Some(1)),
            ("General", None),
            ("0.00\"%\"", None),
            ("0\\%", None),
            ("0;0%", None),
        ];
        for (code, decimals) in cases {
            assert_eq!(percent_decimals(code), decimals, "{code}");
        }
        for (number, decimals, shown) in
            [(0.15, 0, "15%"), (0.145, 0, "15%"), (1.5, 2, "150.00%"), (-0.001, 0, "0%")]
        {
            assert_eq!(shown_percent(number, decimals), shown);
        }
    }
}
