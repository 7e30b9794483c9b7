//! What a page holds without drawing it: remarks that readers pinned to it, and what they filled into its form.
//!
//! Takes a page, gives its remarks and its fields with their values, each once. Links and the windows of remarks hold
//! nothing of their own; what is typed into a field for passwords is left out.
//!
//! Source: ISO 32000-1, 12.5.6 (annotations) and 12.7.3 (fields).

use std::collections::BTreeSet;

use pdf_extract::{Dictionary, Document, Object, ObjectId};

use super::text_string;
use crate::text::outline::shortened;

/// Of one page; further ones are left out.
const MAX_NOTES: usize = 5_000;

/// Of the notes of one page.
const MAX_BYTES: usize = 1 << 20;

/// Of what a field is called, and of each field around it.
const MAX_NAME_CHARS: usize = 120;

/// A field may take its value from a field around it, and that from another one.
const MAX_PARENTS: usize = 16;

/// The flag of a field for passwords.
const IS_PASSWORD: i64 = 1 << 13;

/// What there is beside the drawn text of one page.
#[derive(Debug, Default)]
pub(super) struct Notes {
    /// Remarks, each a paragraph.
    pub(super) remarks: Vec<String>,
    /// Fields, each a line: `name: value`.
    pub(super) fields: Vec<String>,
}

impl Notes {
    /// Those of one page, in the order in which they are stored.
    pub(super) fn of_page(document: &Document, page: ObjectId) -> Self {
        let (mut notes, mut seen, mut room) = (Self::default(), BTreeSet::new(), MAX_BYTES);
        for annotation in annotations(document, page) {
            let name =
                annotation.get_deref(b"Subtype", document).and_then(Object::as_name).unwrap_or_default();
            let (list, text) = match name {
                b"Popup" | b"Link" => continue,
                b"Widget" => (&mut notes.fields, field(document, annotation)),
                _ => (&mut notes.remarks, string(document, annotation, b"Contents")),
            };
            let Some(text) = text.filter(|text| !seen.contains(text)) else { continue };
            let Some(left) = room.checked_sub(text.len()) else { break };
            room = left;
            seen.insert(text.clone());
            list.push(text);
        }
        notes
    }
}

fn annotations(document: &Document, page: ObjectId) -> Vec<&Dictionary> {
    let list = document.get_dictionary(page).and_then(|page| page.get_deref(b"Annots", document));
    let list = list.and_then(Object::as_array).map(Vec::as_slice).unwrap_or_default();
    let annotation = |entry| document.dereference(entry).ok()?.1.as_dict().ok();
    list.iter().take(MAX_NOTES).filter_map(annotation).collect()
}

/// A text that stands in a dictionary; nothing where it is blank.
fn string(document: &Document, dictionary: &Dictionary, key: &[u8]) -> Option<String> {
    let text = text_string(dictionary.get_deref(key, document).ok()?.as_str().ok()?);
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

/// A field with its value, by what it calls itself for people, else by its full name.
fn field(document: &Document, widget: &Dictionary) -> Option<String> {
    let (mut value, mut flags, mut label, mut names) = (None, None, None, Vec::new());
    let mut at = Some(widget);
    for _ in 0..MAX_PARENTS {
        let Some(part) = at else { break };
        value = value.or_else(|| part.get_deref(b"V", document).ok());
        flags = flags.or_else(|| part.get_deref(b"Ff", document).and_then(Object::as_i64).ok());
        let name = |key: &[u8]| string(document, part, key).map(|name| shortened(&name, MAX_NAME_CHARS));
        label = label.or_else(|| name(b"TU"));
        names.extend(name(b"T"));
        at = part.get_deref(b"Parent", document).and_then(Object::as_dict).ok();
    }
    if flags.unwrap_or(0) & IS_PASSWORD != 0 {
        return None;
    }
    let value = shown(document, value?)?;
    names.reverse();
    let label = label.unwrap_or_else(|| names.join("."));
    Some(if label.is_empty() { value } else { format!("{label}: {value}") })
}

/// A value as text: what is typed in, the choices that are taken, or the name of a box that is ticked.
fn shown(document: &Document, value: &Object) -> Option<String> {
    let one = |object: &Object| match document.dereference(object).ok()?.1 {
        Object::String(bytes, _) => Some(text_string(bytes)),
        Object::Name(name) if name != b"Off" => Some(String::from_utf8_lossy(name).into_owned()),
        _ => None,
    };
    let text = match value {
        Object::Array(choices) => choices.iter().filter_map(one).collect::<Vec<_>>().join(", "),
        value => one(value)?,
    };
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}
