//! Word and PowerPoint of 1997 to 2003, and mails that Outlook saved → text.
//!
//! Takes OLE compound files, which are small file systems of streams, gives their text. Of these old formats only the
//! text itself is read: paragraphs and tables, without styles. [`ole_marks`](super::ole_marks) knows where a row ends,
//! [`ole_slides`](super::ole_slides) which slide comes when.

use std::io::{Cursor, Read};

use cfb::CompoundFile;

use super::Rendered;
use super::mail::{self, Letter, Words};
use super::ole_marks::Marks;
use super::rendering::Rendering;
use super::unpack::Allowance;
use crate::text::document::BlockKind;
use crate::text::skip::SkipReason;

type File<'a> = CompoundFile<Cursor<&'a [u8]>>;

/// Pieces and records beyond are nonsense.
const MAX_RECORDS: usize = 2_000_000;

/// Stands in the text for the mark of a row; Word uses neither this character nor the next one.
const ROW_END: char = '\u{1d}';

/// Stands for the end of a paragraph in a cell.
const CELL_BREAK: char = '\u{1c}';

/// Attachments of one mail.
const MAX_ATTACHMENTS: usize = 200;

fn open(bytes: &[u8]) -> Result<File<'_>, SkipReason> {
    CompoundFile::open(Cursor::new(bytes)).map_err(SkipReason::damaged)
}

fn stream(file: &mut File<'_>, path: &str, allowance: &Allowance<'_>) -> Result<Option<Vec<u8>>, SkipReason> {
    if !file.is_stream(path) {
        return Ok(None);
    }
    let stream = file.open_stream(path).map_err(SkipReason::damaged)?;
    allowance.read(stream.take(u64::MAX)).map(Some)
}

/// The text of a Word document: all of its stories, the main one first.
///
/// # Errors
/// See [`SkipReason`].
pub(super) fn read_doc(bytes: &[u8], allowance: &Allowance<'_>) -> Result<Rendered, SkipReason> {
    if super::office::is_encrypted(bytes) {
        return Err(SkipReason::Encrypted);
    }
    let mut file = open(bytes)?;
    let too_old = || SkipReason::damaged("it is no document of Word 97 or later");
    let text = stream(&mut file, "/WordDocument", allowance)?.ok_or_else(too_old)?;
    let flags = number(&text, 0x0a, 2).ok_or_else(too_old)?;
    if flags & 0x0100 != 0 {
        return Err(SkipReason::Encrypted);
    }
    let table = if flags & 0x0200 != 0 { "/1Table" } else { "/0Table" };
    let table = stream(&mut file, table, allowance)?.ok_or_else(too_old)?;
    let at = number(&text, 0x01a2, 4).ok_or_else(too_old)?;
    let n_bytes = number(&text, 0x01a6, 4).ok_or_else(too_old)?;
    let pieces = table.get(at..at.saturating_add(n_bytes)).and_then(piece_table);
    let pieces = pieces.ok_or_else(|| SkipReason::damaged("its table of pieces is broken"))?;
    let mut rendering = Rendering::new(allowance.limits().max_text_bytes);
    let marks = Marks::read(&text, &table);
    write_doc(&mut rendering, &doc_text(&text, pieces, &marks), marks.know_no_rows());
    Ok(rendering.finish())
}

/// A number of `n` bytes, the lowest one first.
pub(super) fn number(bytes: &[u8], at: usize, n: usize) -> Option<usize> {
    let field = bytes.get(at..at.checked_add(n)?)?;
    Some(field.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
}

/// The table of pieces behind the formatting that may stand before it.
fn piece_table(clx: &[u8]) -> Option<&[u8]> {
    let mut rest = clx;
    loop {
        match rest.first()? {
            1 => rest = rest.get(3 + number(rest, 1, 2)?..)?,
            2 => return rest.get(5..5 + number(rest, 1, 4)?),
            _ => return None,
        }
    }
}

/// Characters of all pieces: places in the text, then eight bytes for each piece that say where its bytes are.
fn doc_text(stream: &[u8], table: &[u8], marks: &Marks) -> String {
    let n_pieces = table.len().saturating_sub(4) / 12;
    let mut text = String::new();
    for piece in 0..n_pieces.min(MAX_RECORDS) {
        let (Some(from), Some(to)) = (number(table, piece * 4, 4), number(table, piece * 4 + 4, 4)) else {
            break;
        };
        let Some(place) = number(table, (n_pieces + 1) * 4 + piece * 8 + 2, 4) else { break };
        let n_chars = to.saturating_sub(from).min(stream.len());
        let (at, is_narrow) = ((place & 0x3fff_ffff), place & 0x4000_0000 != 0);
        let (at, width) = if is_narrow { (at / 2, 1) } else { (at, 2) };
        let bytes = stream.get(at..(at + n_chars * width).min(stream.len())).unwrap_or_default();
        push_piece(bytes, at, width, marks, &mut text);
    }
    text
}

/// The characters of one piece, of `width` bytes each; marks that mean more in a table become what is meant.
fn push_piece(bytes: &[u8], at: usize, width: usize, marks: &Marks, text: &mut String) {
    let decoded = |bytes: &[u8]| match width {
        1 => encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0.into_owned(),
        _ => wide(bytes),
    };
    let mut start = 0;
    for (idx, unit) in bytes.chunks_exact(width).enumerate() {
        let is_mark = matches!(unit, [7 | 13] | [7 | 13, 0]);
        let Some(paragraph) = is_mark.then(|| marks.paragraph(at + idx * width)).flatten() else { continue };
        let meant = match unit[0] {
            7 if paragraph.ends_row => ROW_END,
            13 if paragraph.is_in_table => CELL_BREAK,
            _ => continue,
        };
        text.push_str(&decoded(&bytes[start..idx * width]));
        text.push(meant);
        start = (idx + 1) * width;
    }
    text.push_str(&decoded(&bytes[start..]));
}

/// UTF-16, the lower byte first.
pub(super) fn wide(bytes: &[u8]) -> String {
    encoding_rs::UTF_16LE.decode_without_bom_handling(bytes).0.into_owned()
}

/// Marks in the text end paragraphs, cells and rows, and enclose fields, whose instructions nobody reads. Where nothing is
/// known of rows, `is_guessing`, the mark of a cell without text is that of a row.
fn write_doc(rendering: &mut Rendering, text: &str, is_guessing: bool) {
    let (mut paragraph, mut row, mut rows) = (String::new(), Vec::new(), Vec::new());
    let mut fields: Vec<bool> = Vec::new();
    for ch in text.chars() {
        match ch {
            '\u{13}' => fields.push(true),
            '\u{14}' => drop(fields.last_mut().map(|instruction| *instruction = false)),
            '\u{15}' => drop(fields.pop()),
            _ if fields.iter().any(|instruction| *instruction) => {}
            ROW_END => rows.push(std::mem::take(&mut row)),
            '\u{7}' if is_guessing && paragraph.trim().is_empty() && !row.is_empty() => {
                rows.push(std::mem::take(&mut row));
            }
            '\u{7}' => row.push(std::mem::take(&mut paragraph)),
            CELL_BREAK => paragraph.push(' '),
            '\r' | '\u{c}' => {
                write_table(rendering, &mut row, &mut rows);
                rendering.block(&std::mem::take(&mut paragraph), BlockKind::Prose);
            }
            '\u{1e}' => paragraph.push('-'),
            '\u{a0}' => paragraph.push(' '),
            ch => paragraph.push(ch),
        }
    }
    write_table(rendering, &mut row, &mut rows);
    rendering.block(&paragraph, BlockKind::Prose);
}

/// Writes the rows that there are, the last of which may have no end.
fn write_table(rendering: &mut Rendering, row: &mut Vec<String>, rows: &mut Vec<Vec<String>>) {
    if !row.is_empty() {
        rows.push(std::mem::take(row));
    }
    super::tables::write(rendering, &std::mem::take(rows));
}

/// The text of a presentation, slide by slide.
///
/// # Errors
/// See [`SkipReason`].
pub(super) fn read_ppt(bytes: &[u8], allowance: &Allowance<'_>) -> Result<Rendered, SkipReason> {
    if super::office::is_encrypted(bytes) {
        return Err(SkipReason::Encrypted);
    }
    let mut file = open(bytes)?;
    let records = stream(&mut file, "/PowerPoint Document", allowance)?;
    let records = records.ok_or_else(|| SkipReason::damaged("it holds no presentation"))?;
    let user = stream(&mut file, "/Current User", allowance)?.unwrap_or_default();
    let mut rendering = Rendering::new(allowance.limits().max_text_bytes);
    super::ole_slides::write(&mut rendering, &records, &user);
    Ok(rendering.finish())
}

/// The text of a mail, with what came with it.
///
/// # Errors
/// See [`SkipReason`].
pub(super) fn read_msg(bytes: &[u8], allowance: &Allowance<'_>) -> Result<Rendered, SkipReason> {
    let mut file = open(bytes)?;
    let mut rendering = Rendering::new(allowance.limits().max_text_bytes);
    let field = |file: &mut File<'_>, tag: &str| property(file, "", tag, allowance);
    let mut letter = Letter { subject: field(&mut file, "0037")?.unwrap_or_default(), ..Letter::default() };
    let sender = [field(&mut file, "0C1A")?, field(&mut file, "5D01")?.or(field(&mut file, "0C1F")?)];
    let sender: Vec<String> = sender.into_iter().flatten().filter(|name| !name.is_empty()).collect();
    letter.headers.push(("From", sender.join(" ")));
    letter.headers.push(("To", field(&mut file, "0E04")?.unwrap_or_default()));
    letter.headers.push(("Cc", field(&mut file, "0E03")?.unwrap_or_default()));
    let text = field(&mut file, "1000")?.filter(|text| !text.trim().is_empty()).map(Words::Plain);
    let page = match stream(&mut file, "/__substg1.0_10130102", allowance) {
        // The text does without it.
        Err(SkipReason::Damaged { .. }) if text.is_some() => None,
        page => page?,
    };
    let page = page.map(|bytes| Words::Page(super::xml::decoded(&bytes).unwrap_or_default()));
    letter.body = mail::chosen(text.into_iter().collect(), page.into_iter().collect());
    let names: Vec<String> = file
        .walk()
        .filter(|entry| entry.is_storage())
        .map(|entry| entry.path().display().to_string())
        .collect();
    for storage in names
        .iter()
        .filter(|name| name.starts_with("/__attach") && name.matches('/').count() == 1)
        .take(MAX_ATTACHMENTS)
    {
        let name = property(&mut file, storage, "3707", allowance)?
            .or(property(&mut file, storage, "3704", allowance)?);
        let bytes = stream(&mut file, &format!("{storage}/__substg1.0_37010102"), allowance)?;
        letter
            .attachments
            .extend(bytes.map(|bytes| (name.unwrap_or_else(|| "attachment".to_owned()), bytes)));
    }
    mail::write(&mut rendering, &letter, 1, allowance)?;
    Ok(rendering.finish())
}

/// A text property of a mail or of an attachment.
fn property(
    file: &mut File<'_>,
    storage: &str,
    tag: &str,
    allowance: &Allowance<'_>,
) -> Result<Option<String>, SkipReason> {
    let path = |kind: &str| format!("{storage}/__substg1.0_{tag}{kind}");
    if let Some(bytes) = stream(file, &path("001F"), allowance)? {
        return Ok(Some(wide(&bytes).trim_end_matches('\0').to_owned()));
    }
    let bytes = stream(file, &path("001E"), allowance)?;
    Ok(bytes.map(|bytes| super::xml::decoded(&bytes).unwrap_or_default().trim_end_matches('\0').to_owned()))
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::io::Write;

    use super::*;
    use crate::text::document::Limits;

    /// A Word document of one narrow piece; each paragraph ends with its mark and has these properties.
    fn doc(paragraphs: &[(&str, &[u8])]) -> Vec<u8> {
        const TEXT_AT: usize = 1024;
        let text: String = paragraphs.iter().map(|(text, _)| *text).collect();
        let mut places = vec![TEXT_AT as u32];
        places.extend(paragraphs.iter().scan(TEXT_AT as u32, |at, (text, _)| {
            *at += text.len() as u32;
            Some(*at)
        }));
        let properties: Vec<&[u8]> = paragraphs.iter().map(|(_, properties)| *properties).collect();
        let page = super::super::ole_marks::made_page(&places, &properties);
        let place = (TEXT_AT as u32 * 2) | 0x4000_0000;
        let numbers = |numbers: &[u32]| numbers.iter().flat_map(|n| n.to_le_bytes()).collect::<Vec<u8>>();
        let pieces = [numbers(&[0, text.len() as u32]), vec![0, 0], numbers(&[place]), vec![0, 0]].concat();
        let clx = [vec![2], numbers(&[pieces.len() as u32]), pieces].concat();
        let list = numbers(&[places[0], places[places.len() - 1], 1]);
        let mut first = vec![0; TEXT_AT];
        first[0x0b] = 0x02;
        first[0x0102..0x010a].copy_from_slice(&numbers(&[clx.len() as u32, list.len() as u32]));
        first[0x01a2..0x01aa].copy_from_slice(&numbers(&[0, clx.len() as u32]));
        first[512..].copy_from_slice(&page);
        first.extend(text.as_bytes());
        let mut file = CompoundFile::create(Cursor::new(Vec::new())).unwrap();
        file.create_stream("/WordDocument").unwrap().write_all(&first).unwrap();
        file.create_stream("/1Table").unwrap().write_all(&[clx, list].concat()).unwrap();
        file.into_inner().into_inner()
    }

    #[track_caller]
    fn check(paragraphs: &[(&str, &[u8])], expected: &str) {
        let (bytes, limits) = (doc(paragraphs), Limits::default());
        let left = Cell::new(Allowance::of(&limits, bytes.len()));
        assert_eq!(read_doc(&bytes, &Allowance::new(&limits, &left)).unwrap().text, expected);
    }

    #[test]
    fn empty_cells_of_a_word_table_stay_where_they_are() {
        const CELL: &[u8] = &[0x16, 0x24, 1];
        const ROW: &[u8] = &[0x16, 0x24, 1, 0x17, 0x24, 1];
        check(
            &[
                ("Before\r", &[]),
                ("a\r", CELL),
                ("b\u{7}", CELL),
                ("\u{7}", CELL),
                ("c\u{7}", CELL),
                ("\u{7}", ROW),
                ("\u{7}", CELL),
                ("d\u{7}", CELL),
                ("e\u{7}", CELL),
                ("\u{7}", ROW),
                ("After\r", &[]),
            ],
            "Before\n\na b |  | c\n | d | e\n\nAfter",
        );
        // Where the file tells nothing of rows, an empty cell ends one.
        check(&[("a\u{7}b\u{7}\u{7}c\u{7}\u{7}\r", &[])], "a | b\nc");
    }
}
