//! CSV and its relatives: rows grouped into blocks, columns named in the headings.
//!
//! Takes text, gives blocks of whole rows. A quoted field may hold delimiters and line breaks. The header row is a
//! block of its own, once; its names are in every block's headings, so that a row found alone can be read.

use super::Structure;
use crate::text::document::BlockKind;
use crate::text::outline::{Mark, shortened, tile};

/// Rows are grouped until a block has so many bytes, for a count per row would cost more than it tells.
const GROUP_BYTES: usize = 256;

/// Column names beyond are cut; they are stored with every chunk.
const MAX_COLUMNS_CHARS: usize = 400;

/// Rows that vote on the delimiter.
const SNIFFED_ROWS: usize = 20;

/// Blocks of a delimited text.
pub(super) fn read(text: &str) -> Structure {
    let delimiter = delimiter(text);
    let rows = rows(text);
    let first = rows.iter().copied().find(|(start, end)| !text[*start..*end].trim().is_empty());
    let header = first.and_then(|(start, end)| header(&text[start..end], delimiter));
    let headings: Vec<String> = header.into_iter().collect();
    let mut marks = Vec::new();
    let mut group_end = 0;
    for (start, end) in rows {
        if first == Some((start, end)) && !headings.is_empty() {
            marks.push(Mark::new(start, headings.clone(), BlockKind::Heading));
            group_end = end;
        } else if start >= group_end {
            marks.push(Mark::new(start, headings.clone(), BlockKind::Table));
            group_end = start + GROUP_BYTES;
        }
    }
    Structure { blocks: tile(text, marks), title: None, warning: None }
}

/// Byte ranges of the rows; an open quote carries a row over line breaks.
fn rows(text: &str) -> Vec<(usize, usize)> {
    let mut rows = Vec::new();
    let (mut start, mut quoted) = (0, false);
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'"' => quoted = !quoted,
            b'\n' if !quoted => {
                rows.push((start, at + 1));
                start = at + 1;
            }
            _ => {}
        }
    }
    if quoted {
        return lines(text); // A stray quote would make one row of all the rest.
    }
    if start < text.len() {
        rows.push((start, text.len()));
    }
    rows
}

fn lines(text: &str) -> Vec<(usize, usize)> {
    crate::text::outline::lines(text).map(|(start, line)| (start, start + line.len())).collect()
}

/// The sign that cuts the first rows most evenly; a comma where none does.
fn delimiter(text: &str) -> char {
    let counts = |sign: char| -> Vec<usize> {
        let rows = text.lines().filter(|line| !line.trim().is_empty()).take(SNIFFED_ROWS);
        rows.map(|row| fields(row, sign).len() - 1).collect()
    };
    let evenness = |sign: &char| {
        let counts = counts(*sign);
        let first = counts.first().copied().unwrap_or(0);
        if first == 0 {
            0
        } else {
            counts.iter().filter(|count| **count == first).count() * 100 + first.min(99)
        }
    };
    [',', ';', '\t', '|'].into_iter().rev().max_by_key(evenness).unwrap_or(',')
}

/// The fields of one row, without quotes and outer spaces.
fn fields(row: &str, delimiter: char) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut quoted = false;
    for ch in row.chars() {
        if ch == '"' {
            quoted = !quoted;
        } else if ch == delimiter && !quoted {
            fields.push(String::new());
        } else if let Some(field) = fields.last_mut() {
            field.push(ch);
        }
    }
    fields.into_iter().map(|field| field.trim().to_owned()).collect()
}

/// `columns: a, b, c`, if the row names columns: every field is filled and none is a number.
fn header(row: &str, delimiter: char) -> Option<String> {
    let fields = fields(row, delimiter);
    let is_name = |field: &String| !field.is_empty() && field.parse::<f64>().is_err();
    let named = fields.iter().filter(|field| is_name(field)).count();
    let fits = named == fields.len()
        || (named >= 2 && fields.iter().all(|field| field.is_empty() || is_name(field)));
    fits.then(|| shortened(&format!("columns: {}", fields.join(", ")), MAX_COLUMNS_CHARS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_named_whatever_the_delimiter() {
        let cases = [
            ("name,age\nAnn,3\n", "columns: name, age"),
            ("name;age\nAnn;3,5\n", "columns: name, age"),
            ("name\tage\nAnn\t3\n", "columns: name, age"),
            ("name|age\nAnn|3\n", "columns: name, age"),
            ("\"a, b\",c\n1,2\n", "columns: a, b, c"),
            ("name\nAnn\n", "columns: name"),
        ];
        for (text, expected) in cases {
            let blocks = read(text).blocks;
            assert!(blocks.iter().all(|block| block.headings == [expected]), "{text:?} {blocks:?}");
            assert_eq!(blocks[0].kind, BlockKind::Heading);
            assert_eq!(blocks.len(), 2);
        }
    }

    #[test]
    fn numbers_are_no_header() {
        assert!(read("1,2\n3,4\n").blocks.iter().all(|block| block.headings.is_empty()));
    }

    #[test]
    fn a_quoted_line_break_stays_in_its_row() {
        assert_eq!(rows("a,\"x\ny\"\nb,c"), [(0, 8), (8, 11)]);
        assert_eq!(rows("a,\"x\ny\nb,c").len(), 3);
    }
}
