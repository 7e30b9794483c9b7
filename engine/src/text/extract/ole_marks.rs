//! What the marks at the ends of a Word document's paragraphs mean in tables.
//!
//! Takes the document's streams, tells of a mark whether its paragraph stands in a table, and whether it ends a row: in the
//! text itself the mark of a row is that of an empty cell.
//!
//! Source: MS-DOC, 2.8.6 (`PlcBtePapx`), 2.9.178 (`PapxFkp`), 2.6.2 (properties of paragraphs).

use super::ole::number;

/// Paragraphs beyond are nonsense.
const MAX_PARAGRAPHS: usize = 2_000_000;

/// A page of properties.
const PAGE_BYTES: usize = 512;

/// Where the first block says where the pages of properties are listed.
const LIST_AT: usize = 0x0102;

const IN_TABLE: usize = 0x2416;
const ENDS_ROW: usize = 0x2417;
/// Properties that stand elsewhere, for they are many: those of wide rows.
const ELSEWHERE: [usize; 2] = [0x6645, 0x6646];
/// Properties whose length has a form of its own.
const TABLE: usize = 0xd608;

/// One paragraph of the text's bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Paragraph {
    from: usize,
    to: usize,
    /// Whether it stands in a cell.
    pub(super) is_in_table: bool,
    /// Whether it is the mark of a row.
    pub(super) ends_row: bool,
}

/// The paragraphs of a document, in the order of their bytes.
#[derive(Debug, Default)]
pub(super) struct Marks(Vec<Paragraph>);

impl Marks {
    /// Those that the streams tell of; none where they are broken.
    pub(super) fn read(text: &[u8], table: &[u8]) -> Self {
        let mut paragraphs = Vec::new();
        for page in pages(text, table).unwrap_or_default() {
            if paragraphs.len() >= MAX_PARAGRAPHS {
                break;
            }
            read_page(page, &mut paragraphs);
        }
        paragraphs.sort_by_key(|paragraph| paragraph.from);
        Self(paragraphs)
    }

    /// Whether nothing is known of rows.
    pub(super) fn know_no_rows(&self) -> bool {
        !self.0.iter().any(|paragraph| paragraph.ends_row)
    }

    /// The paragraph that the byte at `at` belongs to.
    pub(super) fn paragraph(&self, at: usize) -> Option<&Paragraph> {
        let next = self.0.partition_point(|paragraph| paragraph.from <= at);
        self.0[..next].last().filter(|paragraph| at < paragraph.to)
    }
}

/// The pages of properties: behind `n + 1` places, `n` numbers of pages.
fn pages<'a>(text: &'a [u8], table: &[u8]) -> Option<Vec<&'a [u8]>> {
    let (at, n_bytes) = (number(text, LIST_AT, 4)?, number(text, LIST_AT + 4, 4)?);
    let list = table.get(at..at.checked_add(n_bytes)?)?;
    let n_pages = list.len().saturating_sub(4) / 8;
    let page = |idx: usize| {
        let start = (number(list, (n_pages + 1) * 4 + idx * 4, 4)? & 0x3f_ffff) * PAGE_BYTES;
        text.get(start..start + PAGE_BYTES)
    };
    // There are no more pages than the stream has room for, however often one is listed.
    Some((0..n_pages.min(text.len() / PAGE_BYTES + 1)).filter_map(page).collect())
}

/// A page has `n + 1` places, then 13 bytes for each paragraph, the first of which says where its properties begin.
fn read_page(page: &[u8], paragraphs: &mut Vec<Paragraph>) {
    let n_paragraphs = page.last().copied().map_or(0, usize::from);
    for idx in 0..n_paragraphs {
        let (Some(from), Some(to)) = (number(page, idx * 4, 4), number(page, idx * 4 + 4, 4)) else { return };
        let Some(at) = number(page, (n_paragraphs + 1) * 4 + idx * 13, 1) else { return };
        let mut paragraph = Paragraph { from, to, is_in_table: false, ends_row: false };
        if let Some(properties) = properties(page, at * 2).filter(|_| at > 0) {
            read_properties(properties, &mut paragraph);
        }
        if paragraph.is_in_table || paragraph.ends_row {
            paragraphs.push(paragraph);
        }
    }
}

/// The properties behind their length, which counts pairs of bytes, and behind the number of a style.
fn properties(page: &[u8], at: usize) -> Option<&[u8]> {
    let (start, n_bytes) = match number(page, at, 1)? {
        0 => (at + 2, number(page, at + 1, 1)? * 2),
        n_pairs => (at + 1, n_pairs * 2 - 1),
    };
    page.get(start..start + n_bytes)?.get(2..)
}

fn read_properties(mut rest: &[u8], paragraph: &mut Paragraph) {
    while let (Some(name), Some(value)) = (number(rest, 0, 2), number(rest, 2, 1)) {
        match name {
            IN_TABLE => paragraph.is_in_table = value != 0,
            ENDS_ROW => paragraph.ends_row = value != 0,
            // Of one character, in one byte or two, it is a mark alone.
            name if ELSEWHERE.contains(&name) => {
                paragraph.ends_row |= paragraph.to.saturating_sub(paragraph.from) <= 2
            }
            _ => {}
        }
        // The upper three bits say how long a value is.
        let n_bytes = match name >> 13 {
            0 | 1 => 1,
            2 | 4 | 5 => 2,
            3 => 4,
            7 => 3,
            _ if name == TABLE => number(rest, 2, 2).unwrap_or(0) + 1,
            _ => value + 1,
        };
        rest = rest.get(2 + n_bytes..).unwrap_or_default();
    }
}

/// A page of properties: a paragraph between each two places, with a list of properties.
#[cfg(test)]
pub(super) fn made_page(places: &[u32], paragraphs: &[&[u8]]) -> Vec<u8> {
    let mut head: Vec<u8> = places.iter().flat_map(|place| place.to_le_bytes()).collect();
    let (mut page, mut at) = (vec![0; PAGE_BYTES], PAGE_BYTES - 12);
    for properties in paragraphs {
        // Of its length, of the number of a style, and of the properties; the length counts pairs, and one byte less.
        let n_pairs = properties.len() / 2 + 2;
        at -= 2 * n_pairs;
        page[at] = n_pairs as u8;
        page[at + 3..at + 3 + properties.len()].copy_from_slice(properties);
        head.push((at / 2) as u8);
        head.extend([0; 12]);
    }
    page[..head.len()].copy_from_slice(&head);
    page[PAGE_BYTES - 1] = paragraphs.len() as u8;
    page
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn marks_of_rows_are_told_from_those_of_cells() {
        let cell: &[u8] = &[0x16, 0x24, 1];
        let row: &[u8] = &[0x16, 0x24, 1, 0x17, 0x24, 1];
        let mut paragraphs = Vec::new();
        read_page(&made_page(&[0, 1, 2, 3], &[&[], cell, row]), &mut paragraphs);
        let marks = Marks(paragraphs);
        assert_eq!(marks.paragraph(0), None);
        assert!(marks.paragraph(1).is_some_and(|paragraph| paragraph.is_in_table && !paragraph.ends_row));
        assert!(marks.paragraph(2).is_some_and(|paragraph| paragraph.ends_row));
        assert_eq!(marks.paragraph(3), None);
        assert!(!marks.know_no_rows());
    }

    #[test]
    fn broken_pages_tell_nothing() {
        assert!(Marks::read(&[0xff; 2048], &[0xff; 64]).know_no_rows());
        assert!(Marks::read(&[], &[]).know_no_rows());
    }
}
