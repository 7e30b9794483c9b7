//! Rich Text Format → text.
//!
//! Takes bytes, gives paragraphs and rows of tables. Fonts, styles, pictures and other destinations that nobody reads
//! are left out. Characters come in the code page that the file or the font names, or as numbers of UTF-16.

use std::collections::BTreeMap;

use encoding_rs::Encoding;

use super::Rendered;
use super::rendering::Rendering;
use super::unpack::Allowance;
use crate::text::document::BlockKind;
use crate::text::skip::SkipReason;

/// Groups whose text is not the document's.
const UNSEEN: &[&str] = &[
    "fonttbl",
    "colortbl",
    "stylesheet",
    "listtable",
    "listoverridetable",
    "revtbl",
    "rsidtbl",
    "generator",
    "pict",
    "object",
    "objdata",
    "themedata",
    "colorschememapping",
    "datastore",
    "latentstyles",
    "fldinst",
    "xmlnstbl",
    "filetbl",
    "operator",
    "author",
    "company",
    "creatim",
    "revtim",
    "printim",
    "doccomm",
    "keywords",
    "subject",
    "category",
    "manager",
    "hlinkbase",
    "nonshppict",
    "bkmkstart",
    "bkmkend",
    "pntext",
    "listtext",
    "mmathPr",
];

/// Deeper groups are machine-made nonsense.
const MAX_NESTING: usize = 1000;

/// The text of a document.
///
/// # Errors
/// [`SkipReason::Damaged`].
pub(super) fn read(bytes: &[u8], allowance: &Allowance<'_>) -> Result<Rendered, SkipReason> {
    let mut reader = Reader {
        rendering: Rendering::new(allowance.limits().max_text_bytes),
        encoding: encoding_rs::WINDOWS_1252,
        groups: vec![Group::OUTERMOST],
        fonts: BTreeMap::new(),
        font: None,
        pending: Vec::new(),
        text: String::new(),
        title: String::new(),
        row: Vec::new(),
        skip: 0,
        wide: None,
    };
    let mut at = 0;
    while at < bytes.len() {
        at = reader.token(bytes, at)?;
    }
    reader.paragraph();
    Ok(reader.rendering.finish())
}

/// The encoding behind a number of `\\fcharset` (RTF 1.9.1, font table).
fn of_charset(number: i64) -> Option<&'static Encoding> {
    Some(match number {
        77 => encoding_rs::MACINTOSH,
        128 => encoding_rs::SHIFT_JIS,
        129 => encoding_rs::EUC_KR,
        134 => encoding_rs::GBK,
        136 => encoding_rs::BIG5,
        161 => encoding_rs::WINDOWS_1253,
        162 => encoding_rs::WINDOWS_1254,
        163 => encoding_rs::WINDOWS_1258,
        177 => encoding_rs::WINDOWS_1255,
        178 => encoding_rs::WINDOWS_1256,
        186 => encoding_rs::WINDOWS_1257,
        204 => encoding_rs::WINDOWS_1251,
        222 => encoding_rs::WINDOWS_874,
        238 => encoding_rs::WINDOWS_1250,
        _ => return None,
    })
}

#[derive(Clone, Copy)]
struct Group {
    is_seen: bool,
    is_title: bool,
    /// How many characters stand in for one that is given by number.
    n_fallback: usize,
    /// Of the font, where that has one of its own.
    encoding: Option<&'static Encoding>,
}

impl Group {
    const OUTERMOST: Self = Self { is_seen: true, is_title: false, n_fallback: 1, encoding: None };
}

struct Reader {
    rendering: Rendering,
    encoding: &'static Encoding,
    groups: Vec<Group>,
    /// The encodings of fonts that have one of their own, by number.
    fonts: BTreeMap<i64, &'static Encoding>,
    /// The font that is chosen or, in the table, described.
    font: Option<i64>,
    /// Bytes that are not decoded yet.
    pending: Vec<u8>,
    text: String,
    title: String,
    row: Vec<String>,
    /// Characters to pass over, for they stand in for one that was given by number.
    skip: usize,
    /// The first half of a surrogate pair.
    wide: Option<u16>,
}

impl Reader {
    /// Reads what begins at `at`, gives where the next thing begins.
    fn token(&mut self, bytes: &[u8], at: usize) -> Result<usize, SkipReason> {
        match bytes[at] {
            b'{' => {
                if self.groups.len() >= MAX_NESTING {
                    return Err(SkipReason::damaged(format!("groups nested more than {MAX_NESTING} deep")));
                }
                self.flush();
                let open = self.group();
                self.groups.push(open);
            }
            b'}' => {
                self.flush();
                if self.groups.len() > 1 {
                    let closed = self.groups.pop();
                    if closed.is_some_and(|group| group.is_title) && !self.group().is_title {
                        let title = std::mem::take(&mut self.title);
                        self.rendering.title(&title);
                    }
                }
            }
            b'\\' => return Ok(self.control(bytes, at + 1)),
            b'\r' | b'\n' => {}
            byte => self.byte(byte),
        }
        Ok(at + 1)
    }

    fn control(&mut self, bytes: &[u8], at: usize) -> usize {
        match bytes.get(at) {
            Some(b'\'') => {
                let hex = bytes.get(at + 1..at + 3).and_then(|hex| std::str::from_utf8(hex).ok());
                if let Some(byte) = hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
                    self.byte(byte);
                }
                at + 3
            }
            Some(b'*') => {
                self.hide();
                at + 1
            }
            Some(byte) if byte.is_ascii_alphabetic() => self.word(bytes, at),
            Some(b'~') => {
                self.push(' ');
                at + 1
            }
            Some(b'_') => {
                self.push('-');
                at + 1
            }
            Some(byte @ (b'\\' | b'{' | b'}')) => {
                self.byte(*byte);
                at + 1
            }
            Some(b'\r' | b'\n') => {
                self.paragraph();
                at + 1
            }
            _ => at + 1,
        }
    }

    fn word(&mut self, bytes: &[u8], at: usize) -> usize {
        let is_letter = |byte: &u8| byte.is_ascii_alphabetic();
        let end = at + bytes[at..].iter().take(40).take_while(|byte| is_letter(byte)).count();
        let name = String::from_utf8_lossy(&bytes[at..end]).into_owned();
        let sign = usize::from(bytes.get(end) == Some(&b'-'));
        let digits =
            bytes[(end + sign).min(bytes.len())..].iter().take(10).take_while(|byte| byte.is_ascii_digit());
        let number_end = end + sign + digits.count();
        let has_number = number_end > end + sign;
        let end = if has_number { number_end } else { end };
        let number =
            std::str::from_utf8(&bytes[at + name.len()..end]).ok().and_then(|text| text.parse::<i64>().ok());
        let end = end + usize::from(bytes.get(end) == Some(&b' '));
        if name == "bin" {
            let n_bytes = usize::try_from(number.unwrap_or(0)).unwrap_or(0);
            return end.saturating_add(n_bytes).min(bytes.len());
        }
        self.act(&name, number);
        end
    }

    fn act(&mut self, name: &str, number: Option<i64>) {
        match name {
            "line" => self.push('\n'),
            "par" | "sect" | "page" => self.paragraph(),
            "cell" | "nestcell" => {
                self.flush();
                if self.group().is_seen {
                    self.row.push(std::mem::take(&mut self.text));
                }
            }
            "row" | "nestrow" => {
                let row = std::mem::take(&mut self.row);
                self.rendering.block(&super::tables::line(&row), BlockKind::Table);
            }
            "tab" => self.push('\t'),
            "emdash" => self.push('—'),
            "endash" => self.push('–'),
            "bullet" => self.push('•'),
            "lquote" => self.push('‘'),
            "rquote" => self.push('’'),
            "ldblquote" => self.push('“'),
            "rdblquote" => self.push('”'),
            "u" => self.unicode(number.unwrap_or(0)),
            "uc" => {
                if let Some(group) = self.groups.last_mut() {
                    group.n_fallback = usize::try_from(number.unwrap_or(1)).unwrap_or(1).min(16);
                }
            }
            "ansicpg" => {
                let label = format!("windows-{}", number.unwrap_or(1252));
                self.encoding = Encoding::for_label(label.as_bytes()).unwrap_or(self.encoding);
            }
            "mac" => self.encoding = encoding_rs::MACINTOSH,
            "f" => self.choose_font(number),
            "plain" => self.choose_font(None),
            "fcharset" => {
                if let (Some(font), Some(encoding)) = (self.font, number.and_then(of_charset)) {
                    self.fonts.insert(font, encoding);
                }
            }
            "deleted" | "v" if number != Some(0) => self.hide(),
            "title" => {
                if let Some(group) = self.groups.last_mut() {
                    group.is_title = true;
                }
            }
            name if UNSEEN.contains(&name) => self.hide(),
            _ => {}
        }
    }

    fn choose_font(&mut self, number: Option<i64>) {
        self.flush();
        self.font = number;
        let encoding = number.and_then(|number| self.fonts.get(&number).copied());
        if let Some(group) = self.groups.last_mut() {
            group.encoding = encoding;
        }
    }

    fn hide(&mut self) {
        self.flush();
        if let Some(group) = self.groups.last_mut() {
            group.is_seen = false;
        }
    }

    fn group(&self) -> Group {
        self.groups.last().copied().unwrap_or(Group::OUTERMOST)
    }

    fn byte(&mut self, byte: u8) {
        if self.skip > 0 {
            self.skip -= 1;
        } else {
            self.pending.push(byte);
        }
    }

    fn unicode(&mut self, number: i64) {
        self.flush();
        let unit = (number & 0xffff) as u16;
        match (self.wide.take(), unit) {
            (_, 0xd800..=0xdbff) => self.wide = Some(unit),
            (Some(high), 0xdc00..=0xdfff) => {
                char::decode_utf16([high, unit]).flatten().for_each(|ch| self.push(ch));
            }
            _ => char::decode_utf16([unit]).flatten().for_each(|ch| self.push(ch)),
        }
        self.skip = self.group().n_fallback;
    }

    fn push(&mut self, ch: char) {
        self.flush();
        let group = self.group();
        if group.is_title {
            self.title.push(ch);
        } else if group.is_seen {
            self.text.push(ch);
        }
    }

    fn flush(&mut self) {
        let bytes = std::mem::take(&mut self.pending);
        if bytes.is_empty() {
            return;
        }
        let group = self.group();
        let (text, _) = group.encoding.unwrap_or(self.encoding).decode_without_bom_handling(&bytes);
        if group.is_title {
            self.title.push_str(&text);
        } else if group.is_seen {
            self.text.push_str(&text);
        }
    }

    fn paragraph(&mut self) {
        self.flush();
        // A cell may hold several paragraphs; it ends by itself.
        let text = std::mem::take(&mut self.text);
        if self.row.is_empty() {
            self.rendering.block(&text, BlockKind::Prose);
        } else {
            self.text = text;
            self.text.push(' ');
        }
    }
}
