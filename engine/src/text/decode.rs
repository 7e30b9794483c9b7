//! Bytes → UTF-8, or the reason why not.
//!
//! Takes bytes without a known magic number, gives [`Decoded`] text: UTF-8 as it stands, UTF-16 with or without a
//! mark and UTF-32 with one ([`wide`] tells them), else the legacy encoding that fits best. Keeps line ends and a byte order mark of UTF-8, so that offsets
//! stay those of the file. Does not look at names or at structure.

mod wide;

use chardetng::{EncodingDetector, Iso2022JpDetection, Utf8Detection};
use encoding_rs::{Encoding, ISO_2022_JP, UTF_8, X_MAC_CYRILLIC};

use super::skip::SkipReason;

/// The byte order mark, as it stands in UTF-8 text.
pub(super) const BOM: char = '\u{feff}';

/// Bytes that decide whether something is text and in which encoding.
const SAMPLE_BYTES: usize = 256 << 10;

/// One control character in so many means binary.
const CONTROL_SHARE: usize = 50;

/// One broken sequence in so many bytes is a damaged UTF-8 file rather than another encoding.
const DAMAGE_SHARE: usize = 200;

/// A text and where it came from.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Decoded {
    /// The text, UTF-8.
    pub(super) text: String,
    /// Whether the text is the bytes themselves.
    pub(super) verbatim: bool,
    /// What was guessed or lost.
    pub(super) warning: Option<String>,
}

/// Whether the bytes read as text in some encoding.
pub(super) fn is_text(bytes: &[u8]) -> bool {
    let sample = &bytes[..bytes.len().min(SAMPLE_BYTES)];
    wide::is_utf32(sample) || wide::encoding(sample).is_some() || !is_binary(sample)
}

/// The text of `bytes`.
///
/// # Errors
/// `Empty`, `Binary` or `Undecodable`.
pub(super) fn decode(bytes: &[u8]) -> Result<Decoded, SkipReason> {
    let decoded = decode_any(bytes)?;
    let blank = decoded.text.trim_start_matches(BOM).trim().is_empty();
    if blank { Err(SkipReason::Empty) } else { Ok(decoded) }
}

fn decode_any(bytes: &[u8]) -> Result<Decoded, SkipReason> {
    let sample = &bytes[..bytes.len().min(SAMPLE_BYTES)];
    if wide::is_utf32(sample) {
        return Ok(from_utf32(bytes));
    }
    if let Some(encoding) = wide::encoding(sample) {
        return Ok(from_encoding(bytes, encoding));
    }
    if is_binary(sample) {
        return Err(SkipReason::Binary);
    }
    if is_iso_2022_jp(sample) {
        return Ok(from_encoding(bytes, ISO_2022_JP));
    }
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Decoded { text: text.to_owned(), verbatim: true, warning: None }),
        Err(_) if is_damaged_utf8(bytes) => Ok(from_encoding(bytes, UTF_8)),
        Err(_) => from_legacy(bytes, sample),
    }
}

fn from_encoding(bytes: &[u8], encoding: &'static Encoding) -> Decoded {
    let (text, used, damaged) = encoding.decode(bytes);
    let loss = if damaged { ", broken sequences are shown as `\u{fffd}`" } else { "" };
    let warning = (damaged || used != UTF_8).then(|| format!("read as {}{loss}", used.name()));
    Decoded { text: text.trim_start_matches(BOM).to_owned(), verbatim: false, warning }
}

fn from_utf32(bytes: &[u8]) -> Decoded {
    let text = wide::utf32(bytes);
    let loss = if text.contains('\u{fffd}') { ", broken sequences are shown as `\u{fffd}`" } else { "" };
    Decoded { text, verbatim: false, warning: Some(format!("read as UTF-32{loss}")) }
}

/// Japanese in seven bits: escapes switch between sets of characters (RFC 1468).
fn is_iso_2022_jp(sample: &[u8]) -> bool {
    let opens = |three: &[u8]| matches!(three, b"\x1b$B" | b"\x1b$@");
    sample.is_ascii() && sample.contains(&0x1b) && sample.windows(3).any(opens)
}

/// What a page or an XML file says of itself.
fn declared(sample: &[u8]) -> Option<&'static Encoding> {
    let head = String::from_utf8_lossy(&sample[..sample.len().min(1024)]).to_ascii_lowercase();
    if !head.trim_start().starts_with('<') {
        return None;
    }
    let at = ["charset=", "encoding="].iter().find_map(|key| Some(head.find(key)? + key.len()))?;
    let label: String = head[at..]
        .trim_start_matches(['"', '\''])
        .chars()
        .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':'))
        .collect();
    Encoding::for_label(label.as_bytes()).filter(|encoding| *encoding != UTF_8)
}

fn from_legacy(bytes: &[u8], sample: &[u8]) -> Result<Decoded, SkipReason> {
    if let Some(encoding) = declared(sample) {
        let decoded = from_encoding(bytes, encoding);
        if !decoded.text.contains('\u{fffd}') {
            return Ok(decoded);
        }
    }
    let mut detector = EncodingDetector::new(Iso2022JpDetection::Allow);
    detector.feed(sample, true);
    let encoding = detector.guess(None, Utf8Detection::Deny);
    let decoded = from_encoding(bytes, encoding);
    if is_readable(&decoded.text) && !is_implausible(&decoded.text) {
        return Ok(decoded);
    }
    // The detector does not know the Cyrillic of old Macintoshes and takes it for a Western encoding.
    let cyrillic = from_encoding(bytes, X_MAC_CYRILLIC);
    if is_cyrillic(&cyrillic.text) {
        Ok(cyrillic)
    } else {
        Err(SkipReason::Undecodable { encoding: encoding.name().to_owned() })
    }
}

/// Latin text whose letters are mostly accented was written in another encoding.
fn is_implausible(text: &str) -> bool {
    let letters = || text.chars().take(SAMPLE_BYTES).filter(|ch| ch.is_alphabetic());
    let accented = letters().filter(|ch| matches!(ch, '\u{80}'..='\u{24f}')).count();
    accented * 2 > letters().count()
}

/// Mostly small Cyrillic letters, as words have them.
fn is_cyrillic(text: &str) -> bool {
    let letters = || text.chars().take(SAMPLE_BYTES).filter(|ch| ch.is_alphabetic());
    let small = letters().filter(|ch| matches!(ch, 'а'..='я')).count();
    small * 4 > letters().count() * 3 && is_readable(text)
}

/// Letters, digits and spaces outweigh everything else by far, and almost nothing is broken.
fn is_readable(text: &str) -> bool {
    let (mut all, mut plain, mut broken) = (0_usize, 0_usize, 0_usize);
    for ch in text.chars().take(SAMPLE_BYTES) {
        all += 1;
        plain += usize::from(ch.is_alphanumeric() || ch.is_whitespace() || ch.is_ascii_punctuation());
        broken +=
            usize::from(ch == '\u{fffd}' || is_odd_control(ch) || matches!(ch, '\u{e000}'..='\u{f8ff}'));
    }
    plain * 4 >= all * 3 && broken * CONTROL_SHARE <= all
}

fn is_odd_control(ch: char) -> bool {
    ch.is_control() && !matches!(ch, '\t' | '\n' | '\r' | '\u{c}' | '\u{8}' | '\u{1b}' | '\u{85}')
}

/// NUL bytes, or too many other control bytes.
fn is_binary(sample: &[u8]) -> bool {
    let odd = sample.iter().filter(|byte| byte.is_ascii_control() && is_odd_control(**byte as char)).count();
    sample.contains(&0) || odd * CONTROL_SHARE > sample.len()
}

/// Real multi-byte sequences, and few broken ones among them.
fn is_damaged_utf8(bytes: &[u8]) -> bool {
    let (mut whole, mut broken) = (0_usize, 0_usize);
    for part in bytes.utf8_chunks() {
        whole += part.valid().chars().filter(|ch| !ch.is_ascii()).count();
        broken += usize::from(!part.invalid().is_empty());
    }
    whole > 4 * broken && broken * DAMAGE_SHARE <= bytes.len().max(DAMAGE_SHARE)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wide(text: &str, to_bytes: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(to_bytes).collect()
    }

    #[track_caller]
    fn check(bytes: &[u8], expected: Result<(&str, bool), &str>) {
        let found = decode(bytes).map(|decoded| (decoded.text, decoded.verbatim));
        let found =
            found.as_ref().map(|(text, verbatim)| (text.as_str(), *verbatim)).map_err(SkipReason::code);
        assert_eq!(found, expected);
    }

    #[test]
    fn utf8_stays_as_it_is() {
        check("grüße\r\n你好".as_bytes(), Ok(("grüße\r\n你好", true)));
        check("\u{feff}a".as_bytes(), Ok(("\u{feff}a", true)));
    }

    #[test]
    fn utf16_is_found_with_and_without_a_mark() {
        let text = "Ein Satz mit Ümlaut.\nNoch einer.";
        let marked = format!("\u{feff}{text}");
        check(&wide(&marked, u16::to_le_bytes), Ok((text, false)));
        check(&wide(&marked, u16::to_be_bytes), Ok((text, false)));
        check(&wide(text, u16::to_le_bytes), Ok((text, false)));
        check(&wide(text, u16::to_be_bytes), Ok((text, false)));
        let russian = "Семантический индекс находит смысл, а не слова. Он работает на одной машине.";
        check(&wide(russian, u16::to_le_bytes), Ok((russian, false)));
    }

    #[test]
    fn utf32_is_found_by_its_mark() {
        let text = "Grüße, 你好 😀.\n";
        let wide = |to_bytes: fn(u32) -> [u8; 4]| {
            std::iter::once(BOM).chain(text.chars()).flat_map(|ch| to_bytes(ch.into())).collect::<Vec<u8>>()
        };
        check(&wide(u32::to_le_bytes), Ok((text, false)));
        check(&wide(u32::to_be_bytes), Ok((text, false)));
        assert!(is_text(&wide(u32::to_le_bytes)));
        // What is no text behind a mark stays what it is.
        check(&[0xff, 0xfe, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8], Err("binary"));
        check(&[0xff, 0xfe, 0, 0], Err("binary"));
    }

    #[test]
    fn short_texts_of_east_asia_are_found_without_a_mark() {
        for text in [
            "これは日本語の文章です。今日の会議は十時です。\n",
            "会議は十時に始まります",
            "회의는 열 시에 시작합니다.\n",
            "会议在十点开始，请大家准时参加。\n",
        ] {
            check(&wide(text, u16::to_le_bytes), Ok((text, false)));
            check(&wide(text, u16::to_be_bytes), Ok((text, false)));
        }
    }

    #[test]
    fn what_only_looks_like_east_asia_is_no_wide_text() {
        // Pairs of small letters are ideographs in UTF-16.
        check(b"bush hid the facts", Ok(("bush hid the facts", true)));
        check(b"abcdefghijklmnopqrstuvwxyz/fabcdef\0\0", Err("binary"));
        let numbers: Vec<u8> = (0x4e00_u16..0x4f00).step_by(8).flat_map(u16::to_le_bytes).collect();
        check(&numbers, Err("binary"));
        let (bytes, _, _) = encoding_rs::EUC_KR.encode("회의는 열 시에 시작합니다. 모두 제시간에 오세요.");
        assert!(wide::encoding(&bytes).is_none());
    }

    #[test]
    fn legacy_encodings_are_guessed() {
        let bytes = b"Le caf\xe9 est ferm\xe9 apr\xe8s l'\xe9t\xe9, \xe0 cause de la gr\xe8ve.";
        check(bytes, Ok(("Le café est fermé après l'été, à cause de la grève.", false)));
    }

    #[test]
    fn what_a_page_says_of_itself_is_believed_and_escapes_are_followed() {
        let (bytes, _, _) =
            encoding_rs::EUC_JP.encode("<html><meta charset=\"euc-jp\"><p>会議を開きます</p>");
        check(&bytes, Ok(("<html><meta charset=\"euc-jp\"><p>会議を開きます</p>", false)));
        check(b"\x1b$B2q5D\x1b(B at ten", Ok(("会議 at ten", false)));
        check(&[b"A line of a log that was cut off.\n".repeat(3), vec![0]].concat(), Err("binary"));
    }

    #[test]
    fn accents_without_plain_letters_are_another_encoding() {
        assert!(is_implausible("þòî ïðîñòîé òåêñò"));
        assert!(!is_implausible("déjà vu à la fête"));
        assert!(is_cyrillic("это простой текст"));
        assert!(!is_cyrillic("РТПУФПК ФЕЛУФ"));
    }

    #[test]
    fn a_cut_character_does_not_make_utf8_legacy() {
        let bytes = "naïve façade, déjà vu: ça coûte cher à la fête".as_bytes();
        let cut = [bytes, &[0xc3]].concat();
        check(&cut, Ok(("naïve façade, déjà vu: ça coûte cher à la fête\u{fffd}", false)));
    }

    #[test]
    fn what_is_not_text_says_so() {
        check(b"", Err("empty"));
        check(b" \r\n\t", Err("empty"));
        check("\u{feff}\n".as_bytes(), Err("empty"));
        check(&[0, 1, 2, 3, 4, 5, 200], Err("binary"));
        check(b"abc\0def", Err("binary"));
        check(&[1, 2, 3, 4, 5, 6, 7, 14, 15], Err("binary"));
        check(b"\xc8\x85\x93\x93\x96\x40\xa6\x96\x99\x93\x84\xc1\xc2", Err("undecodable")); // EBCDIC
    }
}
