//! What a PDF holds that its reader would not survive.
//!
//! Takes an open document. [`check_streams`] refuses one with a stream that unpacks to too much, before anybody unpacks it;
//! [`cut_loops`] takes out of forms what would draw the form itself again, which is not allowed (PDF 32000-1, 8.10.1).

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::io::Read;

use flate2::read::ZlibDecoder;
use pdf_extract::content::{Content, Operation};
use pdf_extract::{Dictionary, Document, Object, ObjectId, Stream};

use super::mend::{name, value};
use crate::text::extract::unpack::Allowance;
use crate::text::skip::SkipReason;

/// Shorter streams that are packed once unpack to nothing that would do harm.
const MIN_STREAM_BYTES: usize = 64 << 10;

/// Which form draws which.
type Calls = BTreeMap<ObjectId, Vec<ObjectId>>;

/// Looks at how much each stream unpacks to, but for pictures, which nobody unpacks.
///
/// # Errors
/// [`SkipReason::Explodes`].
pub(super) fn check_streams(document: &Document, allowance: &Allowance<'_>) -> Result<(), SkipReason> {
    let streams = document.objects.values().filter_map(|object| object.as_stream().ok());
    let mut read = streams.filter(|stream| name(&stream.dict, b"Subtype") != Some(b"Image"));
    read.try_for_each(|stream| {
        let filters = stream.filters().unwrap_or_default();
        let n_packed = filters.iter().take_while(|filter| **filter == b"FlateDecode").count();
        if n_packed == 0 || (n_packed == 1 && stream.content.len() < MIN_STREAM_BYTES) {
            return Ok(());
        }
        let packed: Box<dyn Read + '_> = Box::new(stream.content.as_slice());
        allowance.check((0..n_packed).fold(packed, |packed, _| Box::new(ZlibDecoder::new(packed))))
    })
}

/// Takes out what draws a form inside of itself, at once or by way of others; whether there was any.
pub(super) fn cut_loops(document: &mut Document) -> bool {
    let mut named: BTreeMap<ObjectId, BTreeMap<Vec<u8>, ObjectId>> = BTreeMap::new();
    for (id, object) in &document.objects {
        let forms = form(object).map(|form| forms_in(document, &form.dict)).unwrap_or_default();
        if !forms.is_empty() {
            named.insert(*id, forms);
        }
    }
    let mut calls = Calls::new();
    for (id, forms) in &named {
        let Some(content) = content(document, *id) else { continue };
        let drawn = content.operations.iter().filter_map(|operation| drawn(operation, forms));
        calls.insert(*id, drawn.collect());
    }
    let loops = loops(&calls);
    for id in loops.iter().map(|(id, _)| *id).collect::<BTreeSet<_>>() {
        let Some(mut content) = content(document, id) else { continue };
        let is_loop = |target: ObjectId| loops.contains(&(id, target));
        content.operations.retain(|operation| !drawn(operation, &named[&id]).is_some_and(is_loop));
        if let (Ok(bytes), Some(Object::Stream(stream))) = (content.encode(), document.objects.get_mut(&id)) {
            stream.set_plain_content(bytes);
        }
    }
    !loops.is_empty()
}

fn form(object: &Object) -> Option<&Stream> {
    object.as_stream().ok().filter(|stream| name(&stream.dict, b"Subtype") == Some(b"Form"))
}

/// The forms that a form may draw, by what it calls them.
fn forms_in(document: &Document, form_dictionary: &Dictionary) -> BTreeMap<Vec<u8>, ObjectId> {
    let resources = value(document, form_dictionary, b"Resources").and_then(|found| found.as_dict().ok());
    let objects = resources.and_then(|found| value(document, found, b"XObject")?.as_dict().ok());
    let entries = objects.into_iter().flat_map(Dictionary::iter);
    let forms = entries.filter_map(|(name, object)| {
        let id = object.as_reference().ok()?;
        document.get_object(id).ok().and_then(form).map(|_| (name.clone(), id))
    });
    forms.collect()
}

fn content(document: &Document, id: ObjectId) -> Option<Content<Vec<Operation>>> {
    let bytes = document.get_object(id).ok()?.as_stream().ok()?.get_plain_content().ok()?;
    Content::decode(&bytes).ok()
}

/// The form that an operation draws.
fn drawn(operation: &Operation, forms: &BTreeMap<Vec<u8>, ObjectId>) -> Option<ObjectId> {
    let name = operation.operands.first().filter(|_| operation.operator == "Do")?.as_name().ok()?;
    forms.get(name).copied()
}

/// The calls that lead back to a form that is being drawn already.
fn loops(calls: &Calls) -> BTreeSet<(ObjectId, ObjectId)> {
    let (mut loops, mut done) = (BTreeSet::new(), HashSet::new());
    for root in calls.keys().copied() {
        let (mut path, mut open) = (Vec::new(), HashSet::new());
        if !done.contains(&root) {
            path.push((root, 0));
            open.insert(root);
        }
        while let Some((form, next)) = path.last_mut() {
            let form = *form;
            let Some(target) = calls.get(&form).and_then(|targets| targets.get(*next)).copied() else {
                path.pop();
                open.remove(&form);
                done.insert(form);
                continue;
            };
            *next += 1;
            if open.contains(&target) {
                loops.insert((form, target));
            } else if !done.contains(&target) {
                open.insert(target);
                path.push((target, 0));
            }
        }
    }
    loops
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn calls_that_lead_back_are_found_and_those_that_meet_are_none() {
        let check = |calls: &[(u32, &[u32])], expected: &[(u32, u32)]| {
            let id = |number: u32| (number, 0);
            let calls =
                calls.iter().map(|(form, targets)| (id(*form), targets.iter().copied().map(id).collect()));
            let found: Vec<(u32, u32)> =
                loops(&calls.collect()).into_iter().map(|(from, to)| (from.0, to.0)).collect();
            assert_eq!(found, expected);
        };
        check(&[(1, &[1])], &[(1, 1)]);
        check(&[(1, &[2, 3]), (2, &[4]), (3, &[4])], &[]);
        check(&[(1, &[2]), (2, &[3, 4]), (3, &[1])], &[(3, 1)]);
    }
}
