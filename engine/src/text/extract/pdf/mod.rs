//! PDF → text, page by page.
//!
//! Takes bytes, gives paragraphs in reading order, headings where the type is larger, then remarks and the values of forms,
//! each page as a place. A page that draws no text is named in a warning: it may be a scan. [`glyphs`] asks the foreign
//! reader for characters with their places, [`line`] makes pieces of lines of them, [`layout`] lines and paragraphs,
//! [`running`] leaves out what each page says again, [`notes`] finds what is pinned to a page, [`mend`] rewrites what that
//! reader misreads, [`dangers`] finds what it would not survive, [`repair`] the objects of a file whose table is broken.
//! A page over which the reader breaks down costs itself alone.

mod dangers;
mod glyphs;
mod layout;
mod line;
mod mend;
mod notes;
mod repair;
mod running;

use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use pdf_extract::{Document, Error, Object};

use self::glyphs::Glyphs;
use self::layout::Paragraph;
use self::notes::Notes;
use super::Rendered;
use super::rendering::Rendering;
use super::unpack::Allowance;
use crate::location::Location;
use crate::text::document::BlockKind;
use crate::text::skip::SkipReason;

/// Pages beyond are left out, with a warning.
const MAX_PAGES: usize = 5000;

/// Type this much larger than that of most of the text makes a heading.
const HEADING_RATIO: f64 = 1.15;

/// A heading is shorter than a paragraph.
const MAX_HEADING_CHARS: usize = 160;

/// The text of a document.
///
/// # Errors
/// See [`SkipReason`].
pub(super) fn read(bytes: &[u8], allowance: &Allowance<'_>) -> Result<Rendered, SkipReason> {
    let mut document = open(bytes)?;
    let mut rendering = Rendering::new(allowance.limits().max_text_bytes);
    let ids = document.get_pages();
    let page_numbers: Vec<u32> = ids.keys().copied().collect();
    if page_numbers.is_empty() {
        return Err(SkipReason::damaged("it has no pages"));
    }
    dangers::check_streams(&document, allowance)?;
    let has_loops = catch_unwind(AssertUnwindSafe(|| dangers::cut_loops(&mut document))).unwrap_or(false);
    if has_loops {
        rendering.warn("a form that draws itself is read once".to_owned());
    }
    // What can't be mended is read as it is.
    let _ = catch_unwind(AssertUnwindSafe(|| mend::fonts(&mut document)));
    let mut pages: Vec<(u32, Vec<Paragraph>)> = Vec::new();
    let (mut n_bytes, mut n_bare, mut broken) = (0, 0, Vec::new());
    for (&page, &id) in ids.iter().take(MAX_PAGES) {
        let _ = catch_unwind(AssertUnwindSafe(|| mend::page(&mut document, id)));
        let detail = match catch_unwind(AssertUnwindSafe(|| Glyphs::of_page(&document, page))) {
            Ok(Ok(glyphs)) => {
                pages.push((page, layout::paragraphs(glyphs)));
                None
            }
            Ok(Err(detail)) => Some(detail),
            Err(_) => Some("its reader broke down".to_owned()),
        };
        if let Some(detail) = detail {
            rendering.warn(format!("page {page} can't be read: {detail}"));
            broken.push(detail);
        }
        n_bytes +=
            pages.last().map_or(0, |(_, paragraphs)| paragraphs.iter().map(|one| one.text.len()).sum());
        if n_bytes > allowance.limits().max_text_bytes {
            break;
        }
    }
    if page_numbers.len() > MAX_PAGES {
        rendering.warn(format!("only the first {MAX_PAGES} pages are read"));
    }
    if let Some(title) = title(&document) {
        rendering.title(&title);
    }
    let sizes = Sizes::of(&pages).without(running::heads(&pages));
    running::drop_repeated(&mut pages, |paragraph| sizes.heading_level(paragraph).is_some());
    for (page, paragraphs) in &pages {
        let start = rendering.len();
        for paragraph in paragraphs {
            match sizes.heading_level(paragraph) {
                Some(level) => rendering.heading(level, &paragraph.text.replace('\n', " ")),
                None => rendering.block(&paragraph.text, BlockKind::Prose),
            }
        }
        if rendering.len() == start && !rendering.is_full() {
            n_bare += 1;
            rendering.warn(format!("page {page} holds no text, perhaps a scan"));
        }
        // What no longer fits is not looked for: many pages may name the same notes.
        let id = ids.get(page).filter(|_| !rendering.is_full());
        let notes = id.map(|id| Notes::of_page(&document, *id)).unwrap_or_default();
        notes.remarks.iter().for_each(|remark| rendering.block(remark, BlockKind::Prose));
        rendering.block(&notes.fields.join("\n"), BlockKind::Data);
        rendering.locate(start, Location::Page { page: *page });
    }
    if n_bare > 0 && rendering.len() == 0 && n_bare == pages.len() && has_images(&document) {
        return Err(SkipReason::Scanned { pages: n_bare });
    }
    if rendering.len() == 0 && has_loops {
        return Err(SkipReason::damaged("what its pages draw calls itself without end"));
    }
    if rendering.len() == 0
        && let Some(detail) = broken.first()
    {
        let (n_broken, n_pages) = (broken.len(), page_numbers.len());
        return Err(SkipReason::damaged(format!(
            "{n_broken} of its {n_pages} pages can't be read: {detail}"
        )));
    }
    Ok(rendering.finish())
}

/// Opens a document, without a password where that does; one whose table of objects is broken is tried again with a
/// table made anew.
fn open(bytes: &[u8]) -> Result<Document, SkipReason> {
    let load = |bytes: &[u8]| match catch_unwind(|| Document::load_mem(bytes)) {
        Ok(Ok(mut document)) if document.is_encrypted() => match document.decrypt("") {
            Ok(()) => Ok(document),
            Err(_) => Err(SkipReason::Encrypted),
        },
        Ok(Ok(document)) => Ok(document),
        Ok(Err(error)) => Err(reason(&error)),
        Err(_) => Err(SkipReason::damaged("its reader broke down")),
    };
    let usable = |document: &Document| !document.get_pages().is_empty();
    match load(bytes) {
        Ok(document) if usable(&document) => Ok(document),
        Err(SkipReason::Encrypted) => Err(SkipReason::Encrypted),
        first => match repair::with_new_table(bytes).map(|repaired| load(&repaired)) {
            Some(Ok(document)) => Ok(document),
            Some(Err(SkipReason::Encrypted)) => Err(SkipReason::Encrypted),
            _ => first,
        },
    }
}

fn reason(error: &Error) -> SkipReason {
    match error {
        Error::Decryption(_) | Error::InvalidPassword => SkipReason::Encrypted,
        error => SkipReason::damaged(error),
    }
}

/// What the document's own properties call it.
fn title(document: &Document) -> Option<String> {
    let info = document.trailer.get(b"Info").ok()?;
    let info = document.dereference(info).ok()?.1.as_dict().ok()?;
    let bytes = document.dereference(info.get(b"Title").ok()?).ok()?.1.as_str().ok()?;
    let title = text_string(bytes);
    // Programs that print write the name of their own file there.
    let is_file = [".doc", ".docx", ".dvi", ".tex", ".indd", ".pdf", ".qxd", ".ps"]
        .iter()
        .any(|end| title.ends_with(end));
    let names_of_nothing = ["untitled", "(anonymous)", "unknown title", "powerpoint presentation", "slide 1"];
    let is_nothing = names_of_nothing.iter().any(|nothing| title.eq_ignore_ascii_case(nothing));
    let is_junk = is_file || is_nothing || title.starts_with("Microsoft ");
    (!is_junk).then_some(title)
}

/// A text string (ISO 32000-2, 7.9.2.2); where it has no mark, as Windows writes, which is nearly the same.
fn text_string(bytes: &[u8]) -> String {
    let (encoding, bytes) = match bytes {
        [0xfe, 0xff, wide @ ..] => (encoding_rs::UTF_16BE, wide),
        [0xef, 0xbb, 0xbf, utf8 @ ..] => (encoding_rs::UTF_8, utf8),
        bytes => (encoding_rs::WINDOWS_1252, bytes),
    };
    encoding.decode_without_bom_handling(bytes).0.into_owned()
}

fn has_images(document: &Document) -> bool {
    let is_image = |object: &Object| {
        let stream = object.as_stream().ok();
        stream
            .and_then(|stream| stream.dict.get(b"Subtype").ok()?.as_name().ok())
            .is_some_and(|name| name == b"Image")
    };
    document.objects.values().any(is_image)
}

/// The sizes of type in a document, in points rounded to halves.
struct Sizes {
    body: f64,
    /// Sizes of headings, largest first.
    headings: Vec<f64>,
    /// What runs through the pages.
    heads: HashSet<String>,
}

impl Sizes {
    fn of(pages: &[(u32, Vec<Paragraph>)]) -> Self {
        let mut by_size: Vec<(f64, usize)> = Vec::new();
        for paragraph in pages.iter().flat_map(|(_, paragraphs)| paragraphs) {
            match by_size.iter_mut().find(|(size, _)| *size == paragraph.size) {
                Some((_, n_chars)) => *n_chars += paragraph.text.len(),
                None => by_size.push((paragraph.size, paragraph.text.len())),
            }
        }
        let body = by_size.iter().max_by_key(|(_, n_chars)| *n_chars).map_or(0.0, |(size, _)| *size);
        let mut headings: Vec<f64> = by_size.iter().map(|(size, _)| *size).collect();
        headings.retain(|size| *size > body * HEADING_RATIO);
        headings.sort_by(|one, other| other.total_cmp(one));
        Self { body, headings, heads: HashSet::new() }
    }

    /// With what runs through the pages, which is no heading where something larger is one: else it may be the title of
    /// each page.
    fn without(self, heads: HashSet<String>) -> Self {
        Self { heads, ..self }
    }

    fn is_head(&self, paragraph: &Paragraph) -> bool {
        let is_largest = self.headings.first().is_none_or(|largest| paragraph.size >= *largest);
        !is_largest && self.heads.contains(&paragraph.text)
    }

    fn heading_level(&self, paragraph: &Paragraph) -> Option<u8> {
        let is_short = paragraph.text.chars().count() <= MAX_HEADING_CHARS;
        let has_words = paragraph.text.chars().filter(|ch| ch.is_alphabetic()).count() >= 3;
        if !is_short || !has_words || paragraph.size <= self.body * HEADING_RATIO || self.is_head(paragraph) {
            return None;
        }
        let rank = self.headings.iter().position(|size| *size == paragraph.size)?;
        Some(rank.min(5) as u8 + 1)
    }
}
