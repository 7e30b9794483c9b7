//! Word and PowerPoint of 1997 to 2003, and mails that Outlook saved → text.
//!
//! Takes OLE compound files, which are small file systems of streams, gives their text. Of these old formats only the
//! text itself is read: paragraphs, without styles.

use std::io::{Cursor, Read};

use cfb::CompoundFile;

use super::Rendered;
use super::mail::{self, Letter};
use super::rendering::Rendering;
use super::unpack::Allowance;
use crate::text::document::BlockKind;
use crate::text::skip::SkipReason;

type File<'a> = CompoundFile<Cursor<&'a [u8]>>;

/// Pieces and records beyond are nonsense.
const MAX_RECORDS: usize = 2_000_000;

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
    write_doc(&mut rendering, &doc_text(&text, pieces));
    Ok(rendering.finish())
}

fn number(bytes: &[u8], at: usize, n: usize) -> Option<usize> {
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
fn doc_text(stream: &[u8], table: &[u8]) -> String {
    let n_pieces = table.len().saturating_sub(4) / 12;
    let mut text = String::new();
    for piece in 0..n_pieces.min(MAX_RECORDS) {
        let (Some(from), Some(to)) = (number(table, piece * 4, 4), number(table, piece * 4 + 4, 4)) else {
            break;
        };
        let Some(place) = number(table, (n_pieces + 1) * 4 + piece * 8 + 2, 4) else { break };
        let n_chars = to.saturating_sub(from).min(stream.len());
        let (at, is_narrow) = ((place & 0x3fff_ffff), place & 0x4000_0000 != 0);
        if is_narrow {
            let bytes = stream.get(at / 2..(at / 2 + n_chars).min(stream.len())).unwrap_or_default();
            text.push_str(&encoding_rs::WINDOWS_1252.decode_without_bom_handling(bytes).0);
        } else {
            let bytes = stream.get(at..(at + n_chars * 2).min(stream.len())).unwrap_or_default();
            text.push_str(&wide(bytes));
        }
    }
    text
}

fn wide(bytes: &[u8]) -> String {
    encoding_rs::UTF_16LE.decode_without_bom_handling(bytes).0.into_owned()
}

/// Marks in the text end paragraphs and cells, and enclose fields, whose instructions nobody reads.
fn write_doc(rendering: &mut Rendering, text: &str) {
    let (mut paragraph, mut row) = (String::new(), Vec::new());
    let mut fields: Vec<bool> = Vec::new();
    for ch in text.chars() {
        match ch {
            '\u{13}' => fields.push(true),
            '\u{14}' => drop(fields.last_mut().map(|instruction| *instruction = false)),
            '\u{15}' => drop(fields.pop()),
            _ if fields.iter().any(|instruction| *instruction) => {}
            // The mark of a row is that of a cell without text.
            '\u{7}' if paragraph.trim().is_empty() && !row.is_empty() => {
                rendering.block(&super::tables::line(&std::mem::take(&mut row)), BlockKind::Table);
            }
            '\u{7}' => row.push(std::mem::take(&mut paragraph)),
            '\r' | '\u{c}' => {
                rendering.block(&std::mem::take(&mut paragraph), BlockKind::Prose);
            }
            '\u{1e}' => paragraph.push('-'),
            '\u{a0}' => paragraph.push(' '),
            ch => paragraph.push(ch),
        }
    }
    rendering.block(&paragraph, BlockKind::Prose);
}

/// The text of a presentation, in the order in which it is stored.
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
    let mut rendering = Rendering::new(allowance.limits().max_text_bytes);
    let mut seen = std::collections::HashSet::new();
    let (mut at, mut n_records) = (0, 0);
    while let (Some(head), Some(kind), Some(n_bytes)) =
        (number(&records, at, 2), number(&records, at + 2, 2), number(&records, at + 4, 4))
    {
        n_records += 1;
        let is_container = head & 0xf == 0xf;
        let body =
            records.get(at + 8..(at + 8).saturating_add(n_bytes).min(records.len())).unwrap_or_default();
        let text = match kind {
            0x0fa0 => wide(body),
            0x0fa8 => encoding_rs::WINDOWS_1252.decode_without_bom_handling(body).0.into_owned(),
            _ => String::new(),
        };
        // A title stands on its slide and in the outline.
        if !text.trim().is_empty() && seen.insert(text.clone()) {
            rendering.block(&text, BlockKind::Prose);
        }
        if n_records > MAX_RECORDS || rendering.is_full() {
            break;
        }
        // What is in a container follows its head.
        // Masters say what to click on.
        let is_master = matches!(kind, 0x03f8 | 0x0fc9);
        at += if is_container && !is_master { 8 } else { 8_usize.saturating_add(n_bytes) };
    }
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
    letter.text = field(&mut file, "1000")?.unwrap_or_default();
    if letter.text.trim().is_empty() {
        letter.html = stream(&mut file, "/__substg1.0_10130102", allowance)?
            .map(|bytes| super::xml::decoded(&bytes).unwrap_or_default());
    }
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
