//! Pictures, sound and film → their names and what is noted in them.
//!
//! Takes name, bytes and type, gives a line to be found by: the name in words, the type, a picture's size; then what the file
//! says of itself ([`Said`]), as libraries find it: the texts of PNG ([`pictures`]), [`exif`] and [`xmp`], and the tags of
//! recordings ([`sound`]). What a picture shows and what is said in a recording is not read, and a warning says so.

mod exif;
mod pictures;
mod sound;
mod xmp;

use std::fmt::Display;

use super::Rendered;
use super::rendering::Rendering;
use crate::text::document::BlockKind;
use crate::text::outline::clean_heading;
use crate::text::words::char_floor;

/// What a file says of itself, beyond which it is cut: lyrics are longer than titles, and books stand nowhere there.
const MAX_TEXT_BYTES: usize = 64 << 10;

/// Lines of it.
const MAX_LINES: usize = 64;

/// What a file says of itself: a name and a text each; and why some of it could not be read.
#[derive(Debug, Default)]
struct Said {
    lines: Vec<(String, String)>,
    n_bytes: usize,
    failure: Option<String>,
}

impl Said {
    /// Notes a text, unless it is blank or was said already, as pictures do in Exif and XMP.
    fn add(&mut self, label: &str, text: &str) {
        let text = text.trim_matches(|ch: char| ch.is_whitespace() || ch == '\0');
        let text = &text[..char_floor(text, MAX_TEXT_BYTES - self.n_bytes)];
        let is_known = self.lines.iter().any(|(_, known)| known == text);
        if !text.is_empty() && !is_known && self.lines.len() < MAX_LINES {
            self.n_bytes += text.len();
            self.lines.push((clean_heading(label), text.to_owned()));
        }
    }

    /// Notes that something is not read; the first reason is told.
    fn fail(&mut self, reason: &dyn Display) {
        self.failure.get_or_insert_with(|| reason.to_string());
    }
}

/// Text of an old format, up to the first NUL: UTF-8 where it is that, else as Windows writes.
fn plain_text(bytes: &[u8]) -> String {
    let text = &bytes[..bytes.len().min(MAX_TEXT_BYTES)];
    let text = text.split(|byte| *byte == 0).next().unwrap_or_default();
    match std::str::from_utf8(text) {
        Ok(text) => text.to_owned(),
        Err(error) if text.len() == MAX_TEXT_BYTES && error.error_len().is_none() => {
            String::from_utf8_lossy(&text[..error.valid_up_to()]).into_owned()
        }
        Err(_) => encoding_rs::WINDOWS_1252.decode_without_bom_handling(text).0.into_owned(),
    }
}

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
    if family == "image"
        && let Some((width, height)) = pictures::dimensions(bytes)
    {
        facts.push_str(&format!(", {width} × {height} pixels"));
    }
    let mut lines = vec![name.to_owned(), facts];
    if words.len() > 1 {
        lines.insert(1, words.join(" "));
    }
    let said = said(bytes, mime_type);
    if let Some((_, title)) = said.lines.iter().find(|(label, _)| label == "Title") {
        rendering.title(title);
    }
    lines.extend(said.lines.iter().map(|(label, text)| format!("{label}: {text}")));
    rendering.block(&lines.join("\n"), BlockKind::Data);
    rendering.warn("only its name and metadata are indexed; what it shows or says is not read".to_owned());
    if let Some(reason) = said.failure {
        rendering.warn(format!("what is noted in it can't be read, or not all of it: {reason}"));
    }
    rendering.finish()
}

fn said(bytes: &[u8], mime_type: &str) -> Said {
    let mut said = Said::default();
    if mime_type == "image/png" {
        pictures::png(bytes, &mut said);
    }
    match mime_type {
        "image/png" | "image/jpeg" | "image/tiff" | "image/webp" | "image/heic" | "image/avif" => {
            exif::read(bytes, &mut said);
        }
        _ if mime_type.starts_with("image/") => {}
        _ => sound::read(bytes, mime_type, &mut said),
    }
    xmp::find(bytes, &mut said);
    said
}
