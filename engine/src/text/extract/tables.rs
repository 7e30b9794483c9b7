//! Tables as text: a line per row, cells between ` | `.

use super::rendering::Rendering;
use crate::text::document::BlockKind;

/// Writes a table as one block. A table of one cell only lays out a page; its text is prose.
pub(super) fn write(rendering: &mut Rendering, rows: &[Vec<String>]) {
    let lines: Vec<String> = rows.iter().map(|row| line(row)).filter(|line| !line.is_empty()).collect();
    let is_layout = rows.len() == 1 && rows[0].len() == 1;
    rendering.block(&lines.join("\n"), if is_layout { BlockKind::Prose } else { BlockKind::Table });
}

/// One row as a line; empty cells at its end are left out.
pub(super) fn line(row: &[String]) -> String {
    let filled = row.iter().rposition(|cell| !cell.trim().is_empty()).map_or(0, |last| last + 1);
    let cells = row[..filled].iter().map(|cell| cell.split_whitespace().collect::<Vec<_>>().join(" "));
    cells.collect::<Vec<_>>().join(" | ")
}
