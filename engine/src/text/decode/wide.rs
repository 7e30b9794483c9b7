//! Text in units of two or four bytes: whether bytes are such text, and in which order.
//!
//! Takes bytes, or a sample from their start. UTF-32 is told by its mark alone; UTF-16 by its mark or by how its units read:
//! mostly ASCII, or with spaces in the right places, or nearly all in one script of East Asia. Anything that is
//! less clear is no wide text.

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};

use super::{BOM, CONTROL_SHARE, is_binary, is_odd_control, is_readable};

/// Fewer units than this tell nothing.
const MIN_UNITS: usize = 4;

/// Fewer units of East Asian text than this may be anything.
const MIN_EAST_ASIAN_UNITS: usize = 8;

/// One in so many characters of Chinese is one of [`FREQUENT`], at least.
const FREQUENT_ONE_IN: usize = 12;

/// Chinese characters and marks of which some stand in nearly every sentence.
const FREQUENT: &str = "的是不了在人有我他中大上个国为这们到说來個國為這們說。，、！？：；";

/// Whether a text begins with a mark of UTF-32 and is one. The mark of one order is that of UTF-16 and a NUL, too.
pub(super) fn is_utf32(sample: &[u8]) -> bool {
    let Some(unit) = utf32_unit(sample).filter(|_| sample.len() > 4) else { return false };
    let text: Vec<Option<char>> = utf32_chars(sample, unit).collect();
    let odd = text.iter().filter(|ch| ch.is_none_or(is_odd_control)).count();
    odd * CONTROL_SHARE <= text.len()
}

/// UTF-32 with a mark as text; what is no character is `\u{fffd}`.
pub(super) fn utf32(bytes: &[u8]) -> String {
    let Some(unit) = utf32_unit(bytes) else { return String::new() };
    let is_cut = !bytes.len().is_multiple_of(4);
    let chars = utf32_chars(bytes, unit).chain(is_cut.then_some(None));
    let text: String = chars.map(|ch| ch.unwrap_or('\u{fffd}')).collect();
    text.trim_start_matches(BOM).to_owned()
}

fn utf32_unit(bytes: &[u8]) -> Option<fn([u8; 4]) -> u32> {
    match bytes {
        [0xff, 0xfe, 0, 0, ..] => Some(u32::from_le_bytes),
        [0, 0, 0xfe, 0xff, ..] => Some(u32::from_be_bytes),
        _ => None,
    }
}

fn utf32_chars(bytes: &[u8], unit: fn([u8; 4]) -> u32) -> impl Iterator<Item = Option<char>> {
    let units = bytes.chunks_exact(4).map(move |four| unit([four[0], four[1], four[2], four[3]]));
    units.map(char::from_u32)
}

/// UTF-16 by its mark, or by how its units read.
pub(super) fn encoding(sample: &[u8]) -> Option<&'static Encoding> {
    match sample {
        [0xff, 0xfe, 0, 0, ..] => None, // UTF-32, or nothing.
        [0xff, 0xfe, rest @ ..] => reads_as_wide(rest, u16::from_le_bytes, false).then_some(UTF_16LE),
        [0xfe, 0xff, rest @ ..] => reads_as_wide(rest, u16::from_be_bytes, false).then_some(UTF_16BE),
        _ if sample.contains(&0) && reads_as_wide(sample, u16::from_le_bytes, true) => Some(UTF_16LE),
        _ if sample.contains(&0) && reads_as_wide(sample, u16::from_be_bytes, true) => Some(UTF_16BE),
        _ => east_asian(sample),
    }
}

/// Whether units of two bytes are readable text. Without a mark mostly ASCII is asked for, or a text that is long
/// enough for its spaces to stand in the right places.
fn reads_as_wide(bytes: &[u8], unit: fn([u8; 2]) -> u16, unmarked: bool) -> bool {
    let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]])).collect();
    if unmarked && units.len() < MIN_UNITS {
        return false;
    }
    // Latin text in units of two bytes is half of it NULs; a log with a few of them is no such text.
    if unmarked && n_printable(bytes) * 5 > bytes.len() * 4 {
        return false;
    }
    let text: String = char::decode_utf16(units.iter().copied()).map(|unit| unit.unwrap_or('\0')).collect();
    let all = text.chars().count().max(1);
    let odd = text.chars().filter(|ch| is_odd_control(*ch)).count();
    let ascii = text.chars().filter(char::is_ascii).count();
    let spaced = text.chars().any(|ch| ch == ' ' || ch == '\n') && all >= 32;
    odd * CONTROL_SHARE <= all && (!unmarked || ascii * 2 > all || (odd == 0 && spaced && is_readable(&text)))
}

fn n_printable(bytes: &[u8]) -> usize {
    bytes.iter().filter(|byte| matches!(byte, 0x20..=0x7e | b'\n' | b'\r' | b'\t')).count()
}

/// Reads one unit of UTF-16.
type Unit = fn([u8; 2]) -> u16;

/// UTF-16 without a mark that is Japanese, Korean or Chinese beyond doubt. Japanese goes first, for in the wrong order
/// its syllables are ideographs; the others may be the bytes of an older encoding, unless these would be no text.
fn east_asian(sample: &[u8]) -> Option<&'static Encoding> {
    if !sample.len().is_multiple_of(2)
        || n_printable(sample) * 10 > sample.len() * 9
        || std::str::from_utf8(sample).is_ok_and(|text| !text.contains('\0'))
    {
        return None;
    }
    let orders: [(Unit, &'static Encoding); 2] =
        [(u16::from_le_bytes, UTF_16LE), (u16::from_be_bytes, UTF_16BE)];
    let found = |wanted: &[Script]| {
        let fits = |unit| script(sample, unit).is_some_and(|script| wanted.contains(&script));
        orders.iter().find(|(unit, _)| fits(*unit)).map(|(_, encoding)| *encoding)
    };
    found(&[Script::Japanese])
        .or_else(|| if is_binary(sample) { found(&[Script::Korean, Script::Chinese]) } else { None })
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Script {
    Japanese,
    Korean,
    Chinese,
}

/// The script of a text in units of two bytes; `None` where much of it is in no script of East Asia.
fn script(bytes: &[u8], unit: Unit) -> Option<Script> {
    let units = bytes.chunks_exact(2).map(|pair| unit([pair[0], pair[1]]));
    let text: String = char::decode_utf16(units).collect::<Result<_, _>>().ok()?;
    let count = |fits: fn(&char) -> bool| text.chars().filter(fits).count();
    let all = count(|_| true);
    if all < MIN_EAST_ASIAN_UNITS || text.chars().any(is_odd_control) {
        return None;
    }
    let kana = count(|ch| matches!(ch, '\u{3041}'..='\u{30ff}'));
    let hangul = count(|ch| matches!(ch, '\u{ac00}'..='\u{d7a3}'));
    let han = count(|ch| matches!(ch, '\u{4e00}'..='\u{9fff}'));
    let marks =
        count(|ch| matches!(ch, '\u{3000}'..='\u{301f}' | '\u{ff01}'..='\u{ff9f}' | '\n' | '\r' | ' '..='~'));
    let letters = kana + hangul + han;
    if (letters + marks) * 10 < all * 9 || letters * 2 < all {
        return None;
    }
    if kana * 5 >= letters && hangul * 10 <= letters {
        Some(Script::Japanese)
    } else if hangul * 10 >= letters * 9 && text.contains([' ', '\n']) {
        Some(Script::Korean)
    } else {
        let frequent = text.chars().filter(|ch| FREQUENT.contains(*ch)).count();
        (han * 10 >= letters * 9 && frequent * FREQUENT_ONE_IN >= all).then_some(Script::Chinese)
    }
}
