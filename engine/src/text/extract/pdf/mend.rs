//! Rewrites what the foreign reader of PDFs misreads, or breaks down over, as something that says the same.
//!
//! Takes an open document. [`fonts`] looks at every font once: widths of CID fonts that are given as ranges (PDF 32000-1,
//! 9.7.4.3), encodings that have a name which the reader does not know, maps to Unicode with odd targets (9.10.3), lists of
//! widths of another length than the font's. [`page`] looks at what a page draws: `'` and `"` (9.4.3) become the operators
//! that they stand for, what sets a colour space goes, for nobody reads colours, and so does text in a font that is not there.

use std::collections::BTreeMap;

use pdf_extract::content::{Content, Operation};
use pdf_extract::{Dictionary, Document, Object, ObjectId, Stream};

/// Codes of a range at most: a font has no more.
const MAX_RANGE: i64 = 65_536;
/// Pairs of one map to Unicode at most.
const MAX_PAIRS: usize = 70_000;
/// Pairs between one `beginbfchar` and its end.
const PAIRS_A_BLOCK: usize = 100;

/// Mends every font, and every form that pages draw.
pub(super) fn fonts(document: &mut Document) {
    let ids: Vec<ObjectId> = document.objects.keys().copied().collect();
    for id in ids {
        match document.objects.get(&id) {
            Some(Object::Dictionary(dictionary)) => {
                if let Some(mended) = mended_font(document, dictionary) {
                    document.objects.insert(id, Object::Dictionary(mended));
                }
            }
            Some(Object::Stream(stream)) if name(&stream.dict, b"Subtype") == Some(b"Form") => {
                let mended = stream.get_plain_content().ok().and_then(|bytes| plain(&bytes, None));
                if let (Some(mended), Some(Object::Stream(stream))) = (mended, document.objects.get_mut(&id))
                {
                    stream.set_plain_content(mended);
                }
            }
            _ => {}
        }
    }
}

/// Mends what a page draws.
pub(super) fn page(document: &mut Document, id: ObjectId) {
    let Ok(bytes) = document.get_page_content(id) else { return };
    let known: Vec<Vec<u8>> =
        document.get_page_fonts(id).map(|fonts| fonts.into_keys().collect()).unwrap_or_default();
    // Where no font is found at all, they are somewhere that we do not look.
    if let Some(mended) = plain(&bytes, (!known.is_empty()).then_some(&known)) {
        // A page whose contents can't be put is read as it is.
        let _ = document.change_page_content(id, mended);
    }
}

/// The same drawing in words that the reader knows; `None` where it has no others.
fn plain(bytes: &[u8], known_fonts: Option<&[Vec<u8>]>) -> Option<Vec<u8>> {
    let content = Content::decode(bytes).ok()?;
    let (mut out, mut has_changed, mut is_lost) =
        (Vec::with_capacity(content.operations.len()), false, false);
    for operation in content.operations {
        let Operation { operator, mut operands } = operation;
        let n_before = out.len();
        match operator.as_str() {
            "cs" | "CS" | "sc" | "SC" | "scn" | "SCN" | "sh" => has_changed = true,
            "Tf" => {
                let font = operands.first().and_then(|font| font.as_name().ok());
                is_lost = known_fonts
                    .is_some_and(|known| !font.is_some_and(|font| known.iter().any(|one| one == font)));
                if is_lost {
                    has_changed = true;
                } else {
                    out.push(Operation { operator, operands });
                }
            }
            "Tj" | "TJ" | "'" | "\"" if is_lost => has_changed = true,
            "'" => out.extend([Operation::new("T*", Vec::new()), Operation::new("Tj", operands)]),
            "\"" if operands.len() == 3 => {
                let text = operands.split_off(2);
                let spacing = operands.split_off(1);
                out.extend([
                    Operation::new("Tw", operands),
                    Operation::new("Tc", spacing),
                    Operation::new("T*", Vec::new()),
                    Operation::new("Tj", text),
                ]);
            }
            _ => out.push(Operation { operator, operands }),
        }
        has_changed |= out.len() > n_before + 1;
    }
    if has_changed { Content { operations: out }.encode().ok() } else { None }
}

/// The name that a key stands for.
pub(super) fn name<'a>(dictionary: &'a Dictionary, key: &[u8]) -> Option<&'a [u8]> {
    dictionary.get(key).ok()?.as_name().ok()
}

/// What a key stands for, behind its reference where it has one.
pub(super) fn value<'a>(
    document: &'a Document,
    dictionary: &'a Dictionary,
    key: &[u8],
) -> Option<&'a Object> {
    Some(document.dereference(dictionary.get(key).ok()?).ok()?.1)
}

/// A font as the reader understands it; `None` where it does already.
fn mended_font(document: &Document, font: &Dictionary) -> Option<Dictionary> {
    let kind = name(font, b"Subtype")?;
    let mut mended = font.clone();
    let mut has_changed = false;
    let mut set = |key: &str, value: Option<Object>| {
        if let Some(value) = value {
            mended.set(key, value);
            has_changed = true;
        }
    };
    match kind {
        b"CIDFontType0" | b"CIDFontType2" => set("W", ranges_spelled_out(document, font)),
        b"Type0" => {
            let encoding = value(document, font, b"Encoding").and_then(|encoding| encoding.as_name().ok());
            if encoding.is_some_and(is_utf16) {
                set("Encoding", Some(Object::Name(b"Identity-H".to_vec())));
                set("ToUnicode", Some(Object::Stream(identity())));
            } else {
                set("ToUnicode", clean_map(document, font));
            }
        }
        b"Type1" | b"MMType1" | b"TrueType" | b"Type3" => {
            set("Encoding", known_encoding(document, font));
            set("Widths", widths_of_all(document, font));
            set("ToUnicode", clean_map(document, font));
        }
        _ => return None,
    }
    has_changed.then_some(mended)
}

/// `first last width` becomes `first [width width …]`, which says the same.
fn ranges_spelled_out(document: &Document, font: &Dictionary) -> Option<Object> {
    let widths = value(document, font, b"W")?.as_array().ok()?;
    let resolved = |object: &Object| document.dereference(object).map(|(_, object)| object.clone()).ok();
    let (mut plain, mut at, mut has_ranges) = (Vec::with_capacity(widths.len()), 0, false);
    while at + 1 < widths.len() {
        let (first, second) = (resolved(&widths[at])?, resolved(&widths[at + 1])?);
        if second.as_array().is_ok() {
            plain.extend([first, second]);
            at += 2;
            continue;
        }
        let (from, to) = (first.as_i64().ok()?, second.as_i64().ok()?);
        let width = resolved(widths.get(at + 2)?)?;
        let n_codes = (to - from + 1).clamp(0, MAX_RANGE) as usize;
        plain.extend([Object::Integer(from), Object::Array(vec![width; n_codes])]);
        has_ranges = true;
        at += 3;
    }
    has_ranges.then_some(Object::Array(plain))
}

/// Whether the codes of a predefined map are UTF-16 themselves (Adobe's CMaps `Uni…-UCS2-…` and `Uni…-UTF16-…`).
fn is_utf16(encoding: &[u8]) -> bool {
    let name = String::from_utf8_lossy(encoding);
    name.starts_with("Uni") && (name.contains("-UCS2-") || name.contains("-UTF16-"))
}

/// Every code is the character that it says.
fn identity() -> Stream {
    // A range may not go over the last byte's end.
    let ranges: Vec<String> = (0u32..256)
        .filter(|high| !(0xd8..=0xdf).contains(high))
        .map(|high| format!("<{high:02x}00> <{high:02x}ff> <{high:02x}00>"))
        .collect();
    let blocks = ranges
        .chunks(PAIRS_A_BLOCK)
        .map(|block| format!("{} beginbfrange\n{}\nendbfrange\n", block.len(), block.join("\n")));
    cmap(&blocks.collect::<String>())
}

fn cmap(blocks: &str) -> Stream {
    let text = format!(
        "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n/CMapName /Mended def\n/CMapType 2 def\n\
         1 begincodespacerange\n<0000> <ffff>\nendcodespacerange\n{blocks}endcmap\nend\nend\n"
    );
    Stream::new(Dictionary::new(), text.into_bytes())
}

/// `StandardEncoding` as the encoding that it differs from in two quotation marks.
fn known_encoding(document: &Document, font: &Dictionary) -> Option<Object> {
    let win = || Object::Name(b"WinAnsiEncoding".to_vec());
    match value(document, font, b"Encoding")? {
        Object::Name(name) if name == b"StandardEncoding" => {
            let quotes = vec![
                Object::Integer(39),
                Object::Name(b"quoteright".to_vec()),
                Object::Integer(96),
                Object::Name(b"quoteleft".to_vec()),
            ];
            let mut encoding = Dictionary::new();
            encoding.set("Type", Object::Name(b"Encoding".to_vec()));
            encoding.set("BaseEncoding", win());
            encoding.set("Differences", Object::Array(quotes));
            Some(Object::Dictionary(encoding))
        }
        Object::Dictionary(encoding) if name(encoding, b"BaseEncoding") == Some(b"StandardEncoding") => {
            let mut encoding = encoding.clone();
            encoding.set("BaseEncoding", win());
            Some(Object::Dictionary(encoding))
        }
        _ => None,
    }
}

/// As many widths as the font has codes.
fn widths_of_all(document: &Document, font: &Dictionary) -> Option<Object> {
    let widths = value(document, font, b"Widths")?.as_array().ok()?;
    let code = |key: &[u8]| value(document, font, key).and_then(|code| code.as_i64().ok());
    let n_codes = usize::try_from(code(b"LastChar")? - code(b"FirstChar")? + 1).ok()?;
    if widths.len() == n_codes || n_codes > 256 {
        return None;
    }
    let mut widths = widths.clone();
    widths.resize(n_codes, Object::Integer(0));
    Some(Object::Array(widths))
}

/// A map to Unicode whose targets are whole characters, each code by itself; `None` where it is so already.
fn clean_map(document: &Document, font: &Dictionary) -> Option<Object> {
    let stream = value(document, font, b"ToUnicode")?.as_stream().ok()?;
    let text = stream.get_plain_content().ok()?;
    let tokens = tokens(&text);
    let (pairs, is_odd) = pairs(&tokens)?;
    if !is_odd {
        return None;
    }
    let lines: Vec<String> = pairs
        .iter()
        .map(|((code, n_digits), target)| {
            let units: String = target.encode_utf16().map(|unit| format!("{unit:04x}")).collect();
            format!("<{code:0n_digits$x}> <{units}>")
        })
        .collect();
    let blocks = lines
        .chunks(PAIRS_A_BLOCK)
        .map(|block| format!("{} beginbfchar\n{}\nendbfchar\n", block.len(), block.join("\n")));
    Some(Object::Stream(cmap(&blocks.collect::<String>())))
}

/// A code with the number of its digits, which say how many bytes it has.
type Code = (u32, usize);

#[derive(Debug, PartialEq)]
enum Token {
    Hex(String),
    Word(String),
    Open,
    Close,
}

fn tokens(text: &[u8]) -> Vec<Token> {
    let text = String::from_utf8_lossy(text);
    let (mut out, mut rest) = (Vec::new(), text.trim_start());
    while let Some(first) = rest.chars().next() {
        let end = match first {
            '<' if !rest.starts_with("<<") => {
                let end = rest.find('>').unwrap_or(rest.len());
                out.push(Token::Hex(rest[1..end].chars().filter(char::is_ascii_hexdigit).collect()));
                (end + 1).min(rest.len())
            }
            '[' => {
                out.push(Token::Open);
                1
            }
            ']' => {
                out.push(Token::Close);
                1
            }
            '%' => rest.find(['\r', '\n']).unwrap_or(rest.len()),
            _ => {
                let is_end = |c: char| c.is_whitespace() || matches!(c, '<' | '[' | ']' | '%');
                let skipped = first.len_utf8();
                let end = rest[skipped..].find(is_end).map_or(rest.len(), |end| end + skipped);
                out.push(Token::Word(rest[..end].to_owned()));
                end
            }
        };
        rest = rest[end..].trim_start();
    }
    out
}

/// Every code with its text, and whether the reader would break down over one of them.
fn pairs(tokens: &[Token]) -> Option<(BTreeMap<Code, String>, bool)> {
    let (mut pairs, mut is_odd, mut at) = (BTreeMap::new(), false, 0);
    let is_word = |at: usize, word: &str| matches!(tokens.get(at), Some(Token::Word(found)) if found == word);
    let hex = |at: usize| match tokens.get(at) {
        Some(Token::Hex(hex)) => Some(hex.as_str()),
        _ => None,
    };
    while at < tokens.len() {
        if is_word(at, "beginbfchar") {
            at += 1;
            while let (Some(code), Some(target)) = (hex(at), hex(at + 1)) {
                let (text, is_whole) = characters(target);
                is_odd |= !is_whole;
                put(&mut pairs, code, 0, text)?;
                at += 2;
            }
        } else if is_word(at, "beginbfrange") {
            at += 1;
            while let (Some(first), Some(last)) = (hex(at), hex(at + 1)) {
                let (from, to) = (number(first)?, number(last)?);
                let n_codes = to.checked_sub(from)?.min(MAX_RANGE as u32) + 1;
                at += 2;
                if let Some(target) = hex(at) {
                    at += 1;
                    let (text, is_whole) = characters(target);
                    is_odd |= !is_whole || !matches!(target.len(), 4 | 8);
                    for step in 0..n_codes {
                        put(&mut pairs, first, step, last_raised(&text, step))?;
                    }
                } else if tokens.get(at) == Some(&Token::Open) {
                    at += 1;
                    let mut step = 0;
                    while let Some(target) = hex(at) {
                        let (text, is_whole) = characters(target);
                        is_odd |= !is_whole;
                        put(&mut pairs, first, step, text)?;
                        (step, at) = (step + 1, at + 1);
                    }
                    at += usize::from(tokens.get(at) == Some(&Token::Close));
                } else {
                    break;
                }
            }
        } else {
            at += 1;
        }
    }
    Some((pairs, is_odd))
}

fn put(pairs: &mut BTreeMap<Code, String>, first: &str, step: u32, text: String) -> Option<()> {
    pairs.insert((number(first)?.checked_add(step)?, first.len().clamp(2, 8)), text);
    (pairs.len() <= MAX_PAIRS).then_some(())
}

fn number(hex: &str) -> Option<u32> {
    u32::from_str_radix(hex, 16).ok()
}

/// UTF-16BE in hexadecimal digits as text; whether all of it is whole characters.
fn characters(hex: &str) -> (String, bool) {
    let digits = hex.as_bytes();
    let unit =
        |digits: &[u8]| std::str::from_utf8(digits).ok().and_then(|hex| u16::from_str_radix(hex, 16).ok());
    let units: Vec<u16> = digits.chunks(4).filter_map(unit).collect();
    let text: String = char::decode_utf16(units.iter().copied()).flatten().collect();
    (text.clone(), digits.len().is_multiple_of(4) && text.encode_utf16().count() == units.len())
}

/// The text whose last character stands so many further.
fn last_raised(text: &str, step: u32) -> String {
    let mut characters: Vec<char> = text.chars().collect();
    if let Some(last) = characters.last_mut() {
        *last = char::from_u32(*last as u32 + step).unwrap_or(*last);
    }
    characters.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn operators_that_draw_lines_are_spelled_out() {
        let drawn = b"BT /F1 12 Tf (a) Tj (b) ' 1 2 (c) \" /Cs1 cs 0 sc ET";
        let mended = String::from_utf8(plain(drawn, None).unwrap()).unwrap();
        let words: Vec<&str> = mended.split_whitespace().collect();
        assert_eq!(words.join(" "), "BT /F1 12 Tf (a) Tj T* (b) Tj 1 Tw 2 Tc T* (c) Tj ET");
        assert_eq!(plain(b"BT /F1 12 Tf (a) Tj ET", None), None, "nothing to mend");
        let lost = plain(b"BT /F9 12 Tf (a) Tj /F1 12 Tf (b) Tj ET", Some(&[b"F1".to_vec()])).unwrap();
        let lost = String::from_utf8(lost).unwrap();
        assert!(!lost.contains("(a)") && lost.contains("(b)"), "{lost}");
    }

    #[test]
    fn widths_of_a_range_are_those_of_each_code() {
        let mut font = Dictionary::new();
        let list =
            |numbers: &[i64]| numbers.iter().map(|number| Object::Integer(*number)).collect::<Vec<_>>();
        let mut widths = list(&[3, 5, 400, 9]);
        widths.push(Object::Array(list(&[100, 200])));
        font.set("W", Object::Array(widths));
        let mended = ranges_spelled_out(&Document::new(), &font).unwrap();
        let expected = vec![
            Object::Integer(3),
            Object::Array(list(&[400, 400, 400])),
            Object::Integer(9),
            Object::Array(list(&[100, 200])),
        ];
        assert_eq!(mended, Object::Array(expected));
    }

    #[test]
    fn maps_with_odd_targets_are_read_and_others_left() {
        let read = |text: &str| pairs(&tokens(text.as_bytes())).unwrap();
        let (found, is_odd) =
            read("1 beginbfrange <0001> <0003> <0041> endbfrange 1 beginbfchar <05><D83C> endbfchar");
        assert!(is_odd, "half a character");
        assert_eq!(found[&(2, 4)], "B");
        assert_eq!(found[&(5, 2)], "");
        let (found, is_odd) = read("1 beginbfrange<07><07><006600660069>endbfrange");
        assert_eq!((found[&(7, 2)].as_str(), is_odd), ("ffi", true));
        assert!(!read("2 beginbfchar <01> <0041> <02> <D83DDE00> endbfchar").1);
        assert!(!read("1 beginbfrange <01> <02> [<0041> <0042>] endbfrange").1);
    }
}
