//! Exif: what was noted of a picture when it was taken or worked on.
//!
//! Takes the bytes of a picture, tells the fields that hold words (CIPA DC-008; those without a name are of Windows).

use std::io::Cursor;

use encoding_rs::{UTF_16BE, UTF_16LE};
use exif::{Context, Error, In, Reader, Tag, Value};

use super::{MAX_LINES, MAX_TEXT_BYTES, Said, plain_text};

/// Fields that hold a text.
const FIELDS: &[(Tag, &str)] = &[
    (Tag(Context::Tiff, 0x9c9b), "Title"),
    (Tag(Context::Tiff, 0x9c9f), "Subject"),
    (Tag(Context::Tiff, 0x9c9d), "Author"),
    (Tag(Context::Tiff, 0x9c9e), "Keywords"),
    (Tag(Context::Tiff, 0x9c9c), "Comment"),
    (Tag::ImageDescription, "Description"),
    (Tag::UserComment, "Comment"),
    (Tag::Artist, "Artist"),
    (Tag::Copyright, "Copyright"),
    (Tag::DateTimeOriginal, "Taken"),
    (Tag::Make, "Camera maker"),
    (Tag::Model, "Camera"),
];

/// Tells what stands there; a picture without Exif says nothing.
pub(super) fn read(bytes: &[u8], said: &mut Said) {
    let mut reader = Reader::new();
    reader.continue_on_error(true);
    let read = reader.read_from_container(&mut Cursor::new(bytes));
    let exif = match read.or_else(|error| error.distill_partial_result(|_| ())) {
        Ok(exif) => exif,
        Err(Error::NotFound(_)) => return,
        Err(error) => return said.fail(&error),
    };
    for (tag, label) in FIELDS {
        if let Some(field) = exif.get_field(*tag, In::PRIMARY) {
            let text = text(&field.value, exif.little_endian());
            // Dates are written 2019:07:14.
            said.add(label, &if *label == "Taken" { text.replacen(':', "-", 2) } else { text });
        }
    }
}

fn text(value: &Value, is_little: bool) -> String {
    match value {
        Value::Ascii(parts) => {
            parts.iter().take(MAX_LINES).map(|part| plain_text(part)).collect::<Vec<_>>().join(", ")
        }
        // As Windows writes.
        Value::Byte(wide) => decoded(UTF_16LE, wide),
        // A remark, behind eight bytes that tell how it is written.
        Value::Undefined(remark, _) => match remark.split_at_checked(8) {
            Some((b"UNICODE\0", wide)) => decoded(if is_little { UTF_16LE } else { UTF_16BE }, wide),
            Some((_, text)) => plain_text(text),
            None => String::new(),
        },
        _ => String::new(),
    }
}

fn decoded(encoding: &'static encoding_rs::Encoding, bytes: &[u8]) -> String {
    let bytes = &bytes[..bytes.len().min(MAX_TEXT_BYTES)];
    encoding.decode_with_bom_removal(bytes).0.into_owned()
}
