//! XML of office files, one event after another.
//!
//! Takes a part's bytes, gives elements by their local names, and text with its references resolved. Entities that a
//! document declares itself are not: what would be put in their place could be anything, and of any size.

use std::borrow::Cow;

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use crate::text::decode::decode;
use crate::text::skip::SkipReason;

/// Deeper parts are machine-made nonsense.
const MAX_NESTING: usize = 512;

/// What comes next in a part.
#[derive(Debug)]
pub(super) enum XmlEvent<'a> {
    /// An element begins.
    Open(Element<'a>),
    /// An element of this local name ends; one without content ends right after it begins.
    Close(String),
    /// Text.
    Text(Cow<'a, str>),
}

/// The beginning of an element.
#[derive(Debug)]
pub(super) struct Element<'a>(BytesStart<'a>);

impl Element<'_> {
    /// Its name without prefix.
    pub(super) fn name(&self) -> String {
        self.0.local_name().into_inner().to_owned()
    }

    /// Whether its name has this prefix, where two names differ in it alone.
    pub(super) fn has_prefix(&self, prefix: &str) -> bool {
        self.0.name().into_inner().split_once(':').is_some_and(|(found, _)| found == prefix)
    }

    /// The value of an attribute, by its name without prefix.
    pub(super) fn attribute(&self, name: &str) -> Option<String> {
        self.attribute_where(|key| key.rsplit(':').next() == Some(name))
    }

    /// The value of an attribute that has some prefix, such as `r:id`.
    pub(super) fn prefixed_attribute(&self, name: &str) -> Option<String> {
        self.attribute_where(|key| key.split_once(':').is_some_and(|(_, local)| local == name))
    }

    fn attribute_where(&self, fits: impl Fn(&str) -> bool) -> Option<String> {
        let mut attributes = self.0.attributes();
        attributes.with_checks(false);
        let found = attributes.flatten().find(|attribute| fits(attribute.key.into_inner()))?;
        found.normalized_value(XmlVersion::Implicit1_0).ok().map(Cow::into_owned)
    }
}

/// The text of a part, decoded.
///
/// # Errors
/// [`SkipReason::Damaged`].
pub(super) fn decoded(bytes: &[u8]) -> Result<String, SkipReason> {
    decode(bytes).map(|decoded| decoded.text).map_err(SkipReason::damaged)
}

/// A part, read from its beginning.
pub(super) struct Events<'a> {
    reader: Reader<&'a [u8]>,
    depth: usize,
    has_entities: bool,
}

impl<'a> Events<'a> {
    /// Of a decoded part.
    pub(super) fn new(text: &'a str) -> Self {
        let mut reader = Reader::from_str(text.trim_start_matches('\u{feff}'));
        let config = reader.config_mut();
        config.expand_empty_elements = true;
        config.check_end_names = false;
        config.allow_dangling_amp = true;
        config.allow_unmatched_ends = true;
        Self { reader, depth: 0, has_entities: false }
    }

    /// What comes next; `None` at the end.
    ///
    /// # Errors
    /// [`SkipReason::Damaged`] where it is no XML, or nested without end.
    pub(super) fn next(&mut self) -> Result<Option<XmlEvent<'a>>, SkipReason> {
        loop {
            let event = match self.reader.read_event().map_err(SkipReason::damaged)? {
                Event::Start(start) => {
                    self.depth += 1;
                    if self.depth > MAX_NESTING {
                        return Err(SkipReason::damaged(format!(
                            "elements nested more than {MAX_NESTING} deep"
                        )));
                    }
                    XmlEvent::Open(Element(start))
                }
                Event::Empty(start) => XmlEvent::Open(Element(start)),
                Event::End(end) => {
                    self.depth = self.depth.saturating_sub(1);
                    XmlEvent::Close(end.local_name().into_inner().to_owned())
                }
                Event::Text(text) => XmlEvent::Text(text.into_inner()),
                Event::CData(text) => XmlEvent::Text(text.into_inner()),
                Event::GeneralRef(reference) => match resolved(&reference) {
                    Some(text) => XmlEvent::Text(text),
                    None => {
                        self.has_entities = true;
                        continue;
                    }
                },
                Event::Eof => return Ok(None),
                _ => continue,
            };
            return Ok(Some(event));
        }
    }

    /// What was lost of the part so far, where something was.
    pub(super) fn lost(&self) -> Option<String> {
        let lost = || "what stands for an entity that the document declares itself is left out".to_owned();
        self.has_entities.then(lost)
    }

    /// Passes over the rest of an element that has just begun.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub(super) fn skip(&mut self) -> Result<(), SkipReason> {
        let outside = self.depth.saturating_sub(1);
        while self.depth > outside {
            if self.next()?.is_none() {
                break;
            }
        }
        Ok(())
    }

    /// All text up to the end of an element that has just begun.
    ///
    /// # Errors
    /// As [`Self::next`].
    pub(super) fn text(&mut self) -> Result<String, SkipReason> {
        let outside = self.depth.saturating_sub(1);
        let mut text = String::new();
        while self.depth > outside {
            match self.next()? {
                Some(XmlEvent::Text(part)) => text.push_str(&part),
                Some(_) => {}
                None => break,
            }
        }
        Ok(text)
    }
}

fn resolved<'a>(reference: &quick_xml::events::BytesRef<'_>) -> Option<Cow<'a, str>> {
    if let Ok(Some(ch)) = reference.resolve_char_ref() {
        return Some(ch.to_string().into());
    }
    let name = reference.borrow().into_inner().into_owned();
    quick_xml::escape::resolve_predefined_entity(&name).map(|text| text.to_owned().into())
}
