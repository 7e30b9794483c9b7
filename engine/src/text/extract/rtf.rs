//! Rich Text Format → text.
//!
//! Takes bytes, gives paragraphs and tables. Footnotes, comments and text boxes follow the paragraph or the table that they
//! hang on; what stands at the head and foot of pages comes last, each once. Fonts, styles, pictures and other destinations
//! that nobody reads are left out. Characters come in the code page that the file or the font names, or as numbers of UTF-16.
//!
//! Source: Rich Text Format Specification, version 1.9.1.

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
    // The same once more, for older programs.
    "shprslt",
    "nonesttables",
];

/// Groups with a text of their own: name, and what it is.
const STORIES: &[(&str, Role)] = &[
    ("footnote", Role::Aside),
    ("annotation", Role::Aside),
    ("shptxt", Role::Aside),
    ("dptxbxtext", Role::Aside),
    ("header", Role::Letterhead("Headers")),
    ("headerl", Role::Letterhead("Headers")),
    ("headerr", Role::Letterhead("Headers")),
    ("headerf", Role::Letterhead("Headers")),
    ("footer", Role::Letterhead("Footers")),
    ("footerl", Role::Letterhead("Footers")),
    ("footerr", Role::Letterhead("Footers")),
    ("footerf", Role::Letterhead("Footers")),
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
        story: Story::default(),
        around: Vec::new(),
        letterheads: Vec::new(),
        title: String::new(),
        skip: 0,
        wide: None,
    };
    let mut at = 0;
    while at < bytes.len() {
        at = reader.token(bytes, at)?;
    }
    Ok(reader.finish())
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

/// What a text beside the main one is.
#[derive(Clone, Copy)]
enum Role {
    /// It belongs to a place in the text around it.
    Aside,
    /// It stands at the head or foot of pages, under this heading.
    Letterhead(&'static str),
}

/// The main text, or one beside it, under construction.
#[derive(Default)]
struct Story {
    text: String,
    /// Whether the paragraph is one of a cell.
    in_table: bool,
    row: Vec<String>,
    rows: Vec<Vec<String>>,
    /// What is written of a text beside the main one; the main one goes into the rendering at once.
    written: Vec<String>,
    /// Paragraphs of other texts that wait for the end of this one's paragraph.
    waiting: Vec<String>,
    /// As `waiting`, for the end of the table.
    waiting_for_table: Vec<String>,
}

impl Story {
    /// Not every program says that a paragraph is in a table.
    fn is_in_table(&self) -> bool {
        self.in_table || !self.row.is_empty()
    }
}

#[derive(Clone, Copy)]
struct Group {
    is_seen: bool,
    /// Whether nothing in it is ever seen, also no text of its own.
    is_shut: bool,
    is_title: bool,
    /// Whether it is one with a text of its own.
    story: Option<Role>,
    /// How many characters stand in for one that is given by number.
    n_fallback: usize,
    /// Of the font, where that has one of its own.
    encoding: Option<&'static Encoding>,
}

impl Group {
    const OUTERMOST: Self =
        Self { is_seen: true, is_shut: false, is_title: false, story: None, n_fallback: 1, encoding: None };
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
    story: Story,
    /// The texts around the open one, the main one first.
    around: Vec<Story>,
    letterheads: Vec<(&'static str, String)>,
    title: String,
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
                let open = Group { story: None, ..self.group() };
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
                    if let Some(role) = closed.and_then(|group| group.story) {
                        self.end_story(role);
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
                self.hide(false);
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
            "par" | "sect" | "page" if self.group().is_seen => self.paragraph(),
            "trowd" | "intbl" | "pard" => {
                // Styles speak of tables, too.
                if self.group().is_seen {
                    self.story.in_table = name != "pard";
                }
            }
            "cell" => {
                self.flush();
                if self.group().is_seen {
                    self.story.row.push(std::mem::take(&mut self.story.text));
                }
            }
            "row" => self.end_row(),
            // A table in a cell is read as words of that cell.
            "nestcell" | "nestrow" => self.push(' '),
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
            "deleted" | "v" if number != Some(0) => self.hide(true),
            "title" => {
                if let Some(group) = self.groups.last_mut() {
                    group.is_title = true;
                }
            }
            name if UNSEEN.contains(&name) => self.hide(true),
            name => {
                if let Some((_, role)) = STORIES.iter().find(|(known, _)| *known == name) {
                    self.begin_story(*role);
                }
            }
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

    /// Hides the rest of the group: `for_good`, or but for what is known in it.
    fn hide(&mut self, for_good: bool) {
        self.flush();
        if let Some(group) = self.groups.last_mut() {
            group.is_seen = false;
            group.is_shut |= for_good;
        }
    }

    /// Begins a text of its own, as the group says in which the reader is; it may stand in one that is passed over.
    fn begin_story(&mut self, role: Role) {
        self.flush();
        let Some(group) = self.groups.last_mut().filter(|group| !group.is_shut && group.story.is_none())
        else {
            return;
        };
        group.is_seen = true;
        group.story = Some(role);
        self.around.push(std::mem::take(&mut self.story));
    }

    /// Ends a text of its own, and gives it to the one around it.
    fn end_story(&mut self, role: Role) {
        self.end_paragraph();
        self.end_table();
        let Some(around) = self.around.pop() else { return };
        let inner = std::mem::replace(&mut self.story, around);
        match role {
            Role::Aside if self.story.is_in_table() => self.story.waiting_for_table.extend(inner.written),
            Role::Aside => self.story.waiting.extend(inner.written),
            Role::Letterhead(heading) => {
                self.letterheads.extend(inner.written.into_iter().map(|text| (heading, text)));
            }
        }
    }

    /// The rest of the text, then what stands at the head and foot of pages.
    fn finish(mut self) -> Rendered {
        self.flush();
        // The file may end in the middle of a group.
        while let Some(group) = self.groups.pop() {
            if let Some(role) = group.story {
                self.end_story(role);
            }
        }
        self.end_paragraph();
        self.end_table();
        let mut said = std::collections::HashSet::new();
        for wanted in ["Headers", "Footers"] {
            for (heading, text) in &self.letterheads {
                if *heading == wanted && said.insert(text) {
                    self.rendering.enter(1, heading);
                    self.rendering.block(text, BlockKind::Prose);
                }
            }
        }
        self.rendering.finish()
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
            self.story.text.push(ch);
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
            self.story.text.push_str(&text);
        }
    }

    fn paragraph(&mut self) {
        self.flush();
        // A cell may hold several paragraphs; it ends by itself.
        if self.story.is_in_table() {
            self.story.text.push(' ');
        } else {
            self.end_paragraph();
        }
    }

    fn end_paragraph(&mut self) {
        self.flush();
        let text = std::mem::take(&mut self.story.text);
        let waiting = std::mem::take(&mut self.story.waiting);
        if text.trim().is_empty() && waiting.is_empty() {
            return;
        }
        self.end_table();
        self.write(&text);
        waiting.iter().for_each(|text| self.write(text));
    }

    fn end_row(&mut self) {
        self.flush();
        self.story.in_table = false;
        let left = std::mem::take(&mut self.story.text);
        if !left.trim().is_empty() {
            self.story.row.push(left);
        }
        let row = std::mem::take(&mut self.story.row);
        if row.iter().any(|cell| !cell.trim().is_empty()) {
            self.story.rows.push(row);
        }
    }

    /// Writes the rows that there are as one table.
    fn end_table(&mut self) {
        if !self.story.row.is_empty() {
            self.end_row();
        }
        let rows = std::mem::take(&mut self.story.rows);
        if rows.is_empty() && self.story.waiting_for_table.is_empty() {
            return;
        }
        if self.around.is_empty() {
            super::tables::write(&mut self.rendering, &rows);
        } else {
            let lines: Vec<String> = rows.iter().map(|row| super::tables::line(row)).collect();
            self.write(&lines.join("\n"));
        }
        for text in std::mem::take(&mut self.story.waiting_for_table) {
            self.write(&text);
        }
    }

    /// Writes a paragraph of the open text; nothing where it is blank.
    fn write(&mut self, text: &str) {
        if self.around.is_empty() {
            self.rendering.block(text, BlockKind::Prose);
        } else if !text.trim().is_empty() {
            self.story.written.push(text.trim().to_owned());
        }
    }
}
