//! Slides of PowerPoint 97 to 2003 → text, slide by slide.
//!
//! Takes the records of a presentation, gives each slide's text and notes in the order in which they are shown, each slide as
//! a place. A file keeps what its older versions were; only what the last one refers to is read. Where the order can't be
//! found, all text is given as it is stored.
//!
//! Source: MS-PPT, 2.1.2 (reading order), 2.3 (edits and persistent objects), 2.4.14.3 (list of slides).

use std::collections::{HashMap, HashSet};

use super::ole::{number, wide};
use super::rendering::Rendering;
use crate::location::Location;
use crate::text::document::BlockKind;

/// Records and objects that are looked at beyond are nonsense: a file may refer to one of them again and again.
const MAX_STEPS: usize = 2_000_000;

/// A long text is as much work as many short ones.
const BYTES_A_STEP: usize = 32;

/// Kinds of records.
mod kind {
    pub(super) const DOCUMENT: usize = 0x03e8;
    pub(super) const SLIDE: usize = 0x03ee;
    pub(super) const NOTES: usize = 0x03f0;
    pub(super) const NOTES_OF: usize = 0x03f1;
    pub(super) const REFERENCE: usize = 0x03f3;
    pub(super) const MASTER: usize = 0x03f8;
    pub(super) const TEXT_ROLE: usize = 0x0f9f;
    pub(super) const TEXT: usize = 0x0fa0;
    pub(super) const NARROW_TEXT: usize = 0x0fa8;
    pub(super) const HANDOUT: usize = 0x0fc9;
    pub(super) const LIST: usize = 0x0ff0;
    pub(super) const EDIT: usize = 0x0ff5;
    pub(super) const DIRECTORY: usize = 0x1772;
}

/// Writes a presentation; `user` is the stream that tells where its last version begins.
pub(super) fn write(rendering: &mut Rendering, records: &[u8], user: &[u8]) {
    let slides = slides(records, user).unwrap_or_default();
    if slides.iter().all(|slide| slide.texts.is_empty() && slide.notes.is_empty()) {
        let mut seen = HashSet::new();
        for text in texts(records, &mut { MAX_STEPS }) {
            // A title stands on its slide and in the outline.
            if !rendering.is_full() && seen.insert(text.words.clone()) {
                rendering.block(&text.words, BlockKind::Prose);
            }
        }
        return;
    }
    for (idx, slide) in slides.iter().enumerate() {
        let start = rendering.len();
        slide.write(rendering);
        rendering.locate(start, Location::Slide { slide: idx as u32 + 1 });
    }
}

/// One text of a slide.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Text {
    words: String,
    is_title: bool,
}

/// What one slide says.
#[derive(Debug, Default)]
struct Slide {
    id: usize,
    texts: Vec<Text>,
    notes: Vec<Text>,
}

impl Slide {
    fn write(&self, rendering: &mut Rendering) {
        rendering.enter(1, "");
        let mut seen = HashSet::new();
        for text in self.texts.iter().filter(|text| seen.insert(&text.words)) {
            if text.is_title {
                rendering.title(&text.words);
                rendering.heading(1, &text.words);
            } else {
                rendering.block(&text.words, BlockKind::Prose);
            }
        }
        if !self.notes.is_empty() {
            rendering.enter(2, "Notes");
            self.notes.iter().for_each(|note| rendering.block(&note.words, BlockKind::Prose));
        }
    }
}

/// A record: what it is, and what is in it.
struct Record<'a> {
    kind: usize,
    instance: usize,
    is_container: bool,
    body: &'a [u8],
    /// Where the next one begins.
    end: usize,
}

/// The record at a place; of one that is cut off what there is.
fn record(records: &[u8], at: usize) -> Option<Record<'_>> {
    let (head, kind, n_bytes) =
        (number(records, at, 2)?, number(records, at + 2, 2)?, number(records, at + 4, 4)?);
    let end = (at + 8).saturating_add(n_bytes);
    let body = records.get(at + 8..end.min(records.len()))?;
    Some(Record { kind, instance: head >> 4, is_container: head & 0xf == 0xf, body, end })
}

/// The records that stand in a container, without those in them.
fn children(body: &[u8]) -> impl Iterator<Item = Record<'_>> {
    let mut at = 0;
    let next = move || {
        let found = record(body, at)?;
        at = found.end;
        Some(found)
    };
    std::iter::from_fn(next).take(MAX_STEPS)
}

/// All texts in some records, but those of masters, which say what to click on; takes so many steps at most as are left.
fn texts(records: &[u8], n_left: &mut usize) -> Vec<Text> {
    let (mut found, mut at, mut is_title) = (Vec::new(), 0, false);
    while *n_left > 0 {
        let Some(record) = record(records, at) else { break };
        let n_steps = if record.is_container { 1 } else { 1 + record.body.len() / BYTES_A_STEP };
        *n_left = n_left.saturating_sub(n_steps);
        // Titles are of the kinds 0 and 6.
        match record.kind {
            kind::TEXT_ROLE => is_title = matches!(number(record.body, 0, 4), Some(0 | 6)),
            _ => found.extend(text(&record, is_title)),
        }
        let is_master = matches!(record.kind, kind::MASTER | kind::HANDOUT);
        at = if record.is_container && !is_master { at + 8 } else { record.end };
    }
    found
}

/// The text that a record holds; a `*` stands for the number of the slide.
fn text(record: &Record<'_>, is_title: bool) -> Option<Text> {
    let words = match record.kind {
        kind::TEXT => wide(record.body),
        kind::NARROW_TEXT => {
            encoding_rs::WINDOWS_1252.decode_without_bom_handling(record.body).0.into_owned()
        }
        _ => return None,
    };
    Some(Text { words, is_title }).filter(|text| !matches!(text.words.trim(), "" | "*"))
}

/// The slides of the last version, in order; `None` where the way to them is broken.
fn slides(records: &[u8], user: &[u8]) -> Option<Vec<Slide>> {
    let mut n_left = MAX_STEPS;
    let (objects, document) = objects(records, number(user, 16, 4)?, &mut n_left)?;
    let object = |id: &usize, kind: usize| {
        let found = record(records, *objects.get(id)?)?;
        (found.kind == kind).then_some(found)
    };
    let document = object(&document, kind::DOCUMENT)?;
    let (mut slides, mut read) = (Vec::new(), HashSet::new());
    for list in children(document.body).filter(|list| list.kind == kind::LIST && list.instance == 0) {
        for (id, mut slide) in listed(list.body) {
            let found = object(&id, kind::SLIDE).filter(|_| read.insert(id));
            slide.texts.extend(found.map(|found| texts(found.body, &mut n_left)).unwrap_or_default());
            slides.push(slide);
        }
    }
    let of_slide: HashMap<usize, usize> =
        slides.iter().enumerate().map(|(idx, slide)| (slide.id, idx)).collect();
    for list in children(document.body).filter(|list| list.kind == kind::LIST && list.instance == 2) {
        for (id, _) in listed(list.body) {
            let Some(notes) = object(&id, kind::NOTES).filter(|_| read.insert(id)) else { continue };
            let about = children(notes.body).find(|child| child.kind == kind::NOTES_OF);
            let idx = about.and_then(|about| of_slide.get(&number(about.body, 0, 4)?));
            if let Some(slide) = idx.and_then(|idx| slides.get_mut(*idx)) {
                slide.notes.extend(texts(notes.body, &mut n_left));
            }
        }
    }
    Some(slides)
}

/// What a list of slides or notes refers to, by the numbers of the objects, with the texts that stand in the list itself.
fn listed(list: &[u8]) -> Vec<(usize, Slide)> {
    let (mut slides, mut is_title) = (Vec::<(usize, Slide)>::new(), false);
    for child in children(list) {
        match child.kind {
            kind::REFERENCE => {
                let id = number(child.body, 12, 4).unwrap_or(0);
                slides.push((number(child.body, 0, 4).unwrap_or(0), Slide { id, ..Slide::default() }));
            }
            kind::TEXT_ROLE => is_title = matches!(number(child.body, 0, 4), Some(0 | 6)),
            _ => {
                if let Some((_, slide)) = slides.last_mut() {
                    slide.texts.extend(text(&child, is_title));
                }
            }
        }
    }
    slides
}

/// Where the objects of the last version stand, by their numbers, and the number of the document itself.
fn objects(records: &[u8], last_edit: usize, n_left: &mut usize) -> Option<(HashMap<usize, usize>, usize)> {
    let (mut objects, mut document, mut at) = (HashMap::new(), None, last_edit);
    while *n_left > 0 {
        let edit = record(records, at).filter(|edit| edit.kind == kind::EDIT)?;
        document = document.or(number(edit.body, 16, 4));
        let directory = record(records, number(edit.body, 12, 4)?);
        let directory = directory.filter(|directory| directory.kind == kind::DIRECTORY)?;
        for (id, place) in listed_objects(directory.body).take(*n_left) {
            *n_left -= 1;
            // Newer versions come first.
            objects.entry(id).or_insert(place);
        }
        let before = number(edit.body, 8, 4)?;
        // An edit stands behind the one before it.
        if before == 0 || before >= at {
            break;
        }
        at = before;
    }
    Some((objects, document?))
}

/// Numbers and places of objects, in runs: the first number in 20 bits, how many in 12, then where each stands.
fn listed_objects(directory: &[u8]) -> impl Iterator<Item = (usize, usize)> {
    let (mut at, mut id, mut n_run) = (0, 0, 0);
    std::iter::from_fn(move || {
        while n_run == 0 {
            let run = number(directory, at, 4)?;
            (id, n_run, at) = (run & 0xf_ffff, run >> 20, at + 4);
        }
        let found = (id, number(directory, at, 4)?);
        (id, n_run, at) = (id + 1, n_run - 1, at + 4);
        Some(found)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(head: u16, kind: usize, body: &[u8]) -> Vec<u8> {
        let n_bytes = body.len() as u32;
        [&head.to_le_bytes()[..], &(kind as u16).to_le_bytes(), &n_bytes.to_le_bytes(), body].concat()
    }

    fn numbers(numbers: &[u32]) -> Vec<u8> {
        numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
    }

    fn texts_of(role: u32, text: &str) -> Vec<u8> {
        [made(0, kind::TEXT_ROLE, &numbers(&[role])), made(0, kind::NARROW_TEXT, text.as_bytes())].concat()
    }

    /// A presentation that stores its second slide first, and a slide that it no longer has.
    fn presentation() -> (Vec<u8>, Vec<u8>) {
        let mut records = Vec::new();
        let mut places = Vec::new();
        let mut put = |record: Vec<u8>| {
            places.push(records.len() as u32);
            records.extend(record);
        };
        put(made(0xf, kind::SLIDE, &texts_of(4, "The second body.")));
        put(made(0xf, kind::SLIDE, &texts_of(4, "The first body.")));
        put(made(0xf, kind::SLIDE, &texts_of(4, "A deleted body.")));
        let about = made(0, kind::NOTES_OF, &numbers(&[257, 0]));
        put(made(0xf, kind::NOTES, &[about, texts_of(2, "Say it slowly."), texts_of(4, "*")].concat()));
        let reference = |object: u32, id: u32| made(0, kind::REFERENCE, &numbers(&[object, 0, 0, id, 0]));
        let list =
            [reference(2, 256), texts_of(0, "Opening"), reference(1, 257), texts_of(0, "Closing")].concat();
        let of_notes = made(0x2f, kind::LIST, &reference(4, 256));
        put(made(0xf, kind::DOCUMENT, &[made(0xf, kind::LIST, &list), of_notes].concat()));
        let directory = records.len() as u32;
        let run = [&[5 << 20 | 1][..], &places].concat();
        records.extend(made(0, kind::DIRECTORY, &numbers(&run)));
        let edit = records.len() as u32;
        records.extend(made(0, kind::EDIT, &numbers(&[256, 0, 0, directory, 5, 0])));
        (records, numbers(&[0, 0, 20, 0, edit]))
    }

    fn read(records: &[u8], user: &[u8]) -> Vec<(String, String)> {
        let mut rendering = Rendering::new(1 << 20);
        write(&mut rendering, records, user);
        let rendered = rendering.finish();
        let place = |located: &crate::location::Located| {
            (located.location.to_string(), located.span.of(&rendered.text).unwrap_or_default().to_owned())
        };
        rendered.located.iter().map(place).collect()
    }

    #[test]
    fn slides_come_in_the_order_in_which_they_are_shown() {
        let (records, user) = presentation();
        let expected = [
            ("slide 1".to_owned(), "Opening\n\nThe first body.".to_owned()),
            ("slide 2".to_owned(), "Closing\n\nThe second body.\n\nSay it slowly.".to_owned()),
        ];
        assert_eq!(read(&records, &user), expected);
    }

    #[test]
    fn without_a_way_to_the_slides_all_text_is_read() {
        let (records, _) = presentation();
        let mut rendering = Rendering::new(1 << 20);
        write(&mut rendering, &records, &[]);
        let text = rendering.finish().text;
        for words in ["Opening", "The first body.", "A deleted body.", "Say it slowly."] {
            assert!(text.contains(words), "{text}");
        }
    }
}
