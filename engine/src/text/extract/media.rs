//! Pictures, sound and film → their names and what their heads say.
//!
//! Takes name, bytes and type, gives a line to be found by: the name in words, the type, a picture's size. What a picture
//! shows and what is said in a recording is not read, and a warning says so.

use super::Rendered;
use super::rendering::Rendering;
use crate::text::document::BlockKind;

/// The text that stands for a file.
pub(super) fn read(name: &str, bytes: &[u8], mime_type: &str) -> Rendered {
    let mut rendering = Rendering::new(usize::MAX);
    let name = name.rsplit(['/', '\\']).next().unwrap_or(name);
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    let words: Vec<&str> = stem.split(['_', '-', '.', ' ']).filter(|word| !word.is_empty()).collect();
    let family = match mime_type.split('/').next() {
        Some("audio") => "sound",
        Some("video") => "video",
        _ => "image",
    };
    let mut facts = format!("{family}, {mime_type}");
    if let Some((width, height)) = dimensions(bytes) {
        facts.push_str(&format!(", {width} × {height} pixels"));
    }
    let mut lines = vec![name.to_owned(), facts];
    if words.len() > 1 {
        lines.insert(1, words.join(" "));
    }
    rendering.block(&lines.join("\n"), BlockKind::Data);
    rendering.warn("only its name and metadata are indexed; what it shows or says is not read".to_owned());
    rendering.finish()
}

/// Width and height of a picture, in pixels, of the formats that say so at a known place.
fn dimensions(bytes: &[u8]) -> Option<(u32, u32)> {
    let big = |at: usize| Some(u32::from_be_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let little = |at: usize| Some(u32::from(u16::from_le_bytes(bytes.get(at..at + 2)?.try_into().ok()?)));
    if bytes.starts_with(b"\x89PNG\r\n\x1a\n") {
        return big(16).zip(big(20));
    }
    if bytes.starts_with(b"GIF8") {
        return little(6).zip(little(8));
    }
    if bytes.starts_with(b"\xff\xd8") { jpeg_dimensions(bytes) } else { None }
}

/// Of the first frame's head.
fn jpeg_dimensions(bytes: &[u8]) -> Option<(u32, u32)> {
    let number = |at: usize| Some(u32::from(u16::from_be_bytes(bytes.get(at..at + 2)?.try_into().ok()?)));
    let mut at = 2;
    while *bytes.get(at)? == 0xff {
        let marker = *bytes.get(at + 1)?;
        if matches!(marker, 0xc0..=0xcf) && !matches!(marker, 0xc4 | 0xc8 | 0xcc) {
            return number(at + 7).zip(number(at + 5));
        }
        at += 2 + number(at + 2)? as usize;
    }
    None
}
