//! XMP (ISO 16684-1): what people and their programs say of a picture or film, as XML inside of it.
//!
//! Takes the bytes of a file, for a packet may be found in one of any format, and tells what its well-known properties hold. A
//! property stands as an element, perhaps with a list in it, or as an attribute; both count.

use memchr::memmem;

use super::Said;
use crate::text::extract::xml::{Events, XmlEvent, decoded};

/// A longer packet carries pictures.
pub(super) const MAX_PACKET_BYTES: usize = 1 << 20;

/// Properties by their names without prefix.
const PROPERTIES: &[(&str, &str)] = &[
    ("title", "Title"),
    ("Headline", "Headline"),
    ("description", "Description"),
    ("AltTextAccessibility", "Description"),
    ("ExtDescrAccessibility", "Description"),
    ("subject", "Keywords"),
    ("creator", "Creator"),
    ("rights", "Copyright"),
    ("Location", "Location"),
    ("City", "City"),
    ("Country", "Country"),
];

/// How a packet begins and ends.
const PACKET: (&[u8], &[u8]) = (b"<x:xmpmeta", b"</x:xmpmeta");

/// Tells what the first packet says; one without an end is none.
pub(super) fn find(bytes: &[u8], said: &mut Said) {
    let Some(start) = memmem::find(bytes, PACKET.0) else { return };
    let packet = &bytes[start..bytes.len().min(start + MAX_PACKET_BYTES)];
    if let Some(end) = memmem::find(packet, PACKET.1) {
        read(&packet[..end], said);
    }
}

/// What a packet says behind a broken place is left out.
fn read(packet: &[u8], said: &mut Said) {
    let Ok(text) = decoded(packet) else { return };
    let mut events = Events::new(&text);
    // The open property, and its parts: one for each item of a list.
    let mut open: Option<(&str, Vec<String>)> = None;
    while let Ok(Some(event)) = events.next() {
        match event {
            XmlEvent::Open(element) => {
                let name = element.name();
                if name == "Description" {
                    let attribute =
                        |(name, label): &(&str, &'static str)| Some((*label, element.attribute(name)?));
                    let found: Vec<_> = PROPERTIES.iter().filter_map(attribute).collect();
                    found.iter().for_each(|(label, value)| said.add(label, value));
                }
                match &mut open {
                    None => open = label(&name).map(|label| (label, vec![String::new()])),
                    Some((_, parts)) if name == "li" => parts.push(String::new()),
                    Some(_) => {}
                }
            }
            XmlEvent::Text(text) => {
                if let Some(part) = open.as_mut().and_then(|(_, parts)| parts.last_mut()) {
                    part.push_str(&text);
                }
            }
            XmlEvent::Close(name) => {
                if let Some((label, parts)) = open.take_if(|(open, _)| label(&name) == Some(*open)) {
                    let parts: Vec<&str> =
                        parts.iter().map(|part| part.trim()).filter(|part| !part.is_empty()).collect();
                    said.add(label, &parts.join(", "));
                }
            }
        }
    }
}

fn label(name: &str) -> Option<&'static str> {
    PROPERTIES.iter().find(|(property, _)| *property == name).map(|(_, label)| *label)
}
