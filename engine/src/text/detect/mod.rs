//! What a file is: by content first, then by name.
//!
//! Takes a name and bytes, gives a [`FileType`]: media type, the way to read it, the programming language.
//! [`magic`] knows binary formats, [`names`] knows endings, [`sniff`] looks at text whose name tells nothing.
//! Does not read the file; a type found here may still turn out to be damaged.

mod flat;
mod magic;
mod names;
mod sniff;

pub(super) use flat::flat_type;

use super::decode;
use super::document::Kind;

/// What a file is and how to read it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FileType {
    /// The media type.
    pub(super) mime_type: &'static str,
    /// How to read it; `None` where nothing here reads it.
    pub(super) kind: Option<Kind>,
    /// The programming language of code.
    pub(super) language: Option<&'static str>,
}

impl FileType {
    const fn text(mime_type: &'static str, kind: Kind) -> Self {
        Self { mime_type, kind: Some(kind), language: None }
    }

    const fn code(mime_type: &'static str, language: &'static str) -> Self {
        Self { mime_type, kind: Some(Kind::Code), language: Some(language) }
    }

    /// A type that is known by its bytes, with its reader where there is one.
    fn binary(mime_type: &'static str) -> Self {
        Self { mime_type, kind: binary_kind(mime_type), language: None }
    }
}

/// How files of a binary type are read.
fn binary_kind(mime_type: &str) -> Option<Kind> {
    const OPEN_XML: &str = "application/vnd.openxmlformats-officedocument.";
    const OPEN_DOCUMENT: &str = "application/vnd.oasis.opendocument.";
    if let Some(part) = mime_type.strip_prefix(OPEN_XML) {
        return match part.split('.').next() {
            Some("wordprocessingml") => Some(Kind::Docx),
            Some("presentationml") => Some(Kind::Pptx),
            _ => Some(Kind::Spreadsheet),
        };
    }
    if let Some(part) = mime_type.strip_prefix(OPEN_DOCUMENT) {
        return Some(if part == "spreadsheet" { Kind::Spreadsheet } else { Kind::OpenDocument });
    }
    match mime_type {
        "application/pdf" => Some(Kind::Pdf),
        magic::ENCRYPTED_OPEN_XML => Some(Kind::Docx),
        "application/rtf" => Some(Kind::Rtf),
        "application/epub+zip" => Some(Kind::Epub),
        "application/msword" => Some(Kind::Doc),
        "application/vnd.ms-excel" => Some(Kind::Spreadsheet),
        "application/vnd.ms-powerpoint" => Some(Kind::Ppt),
        "application/vnd.ms-outlook" => Some(Kind::OutlookMail),
        "application/zip" | "application/x-tar" | "application/gzip" => Some(Kind::Archive),
        _ if ["image/", "audio/", "video/"].iter().any(|family| mime_type.starts_with(family)) => {
            Some(Kind::Media)
        }
        _ => None,
    }
}

/// Whether a file's reader is one of those that are kept apart, see [`Kind::is_isolated`].
pub fn is_isolated(name: &str, bytes: &[u8]) -> bool {
    file_type(name, bytes).kind.is_some_and(Kind::is_isolated)
}

/// The type of bytes that are nothing known.
pub(super) const UNKNOWN: &str = "application/octet-stream";

/// The media type of a file, by content first, then by name.
///
/// ```
/// # use waypost_engine::text::mime_type;
/// assert_eq!(mime_type("notes.md", b"# Notes"), "text/markdown");
/// assert_eq!(mime_type("notes.md", b"\x89PNG\r\n\x1a\n"), "image/png");
/// ```
pub fn mime_type(name: &str, bytes: &[u8]) -> String {
    file_type(name, bytes).mime_type.to_owned()
}

/// The media type that a file's name promises, where it promises one.
///
/// ```
/// # use waypost_engine::text::named_type;
/// assert_eq!(named_type("report.pdf"), Some("application/pdf"));
/// assert_eq!(named_type("report"), None);
/// ```
pub fn named_type(name: &str) -> Option<&'static str> {
    names::by_name(name).map(|named| named.mime_type)
}

/// Whether a programming language has such a name, or its files such an ending.
pub(super) fn is_programming_language(name: &str) -> bool {
    names::is_code(name)
}

/// The type of a file, by content first, then by name.
pub(super) fn file_type(name: &str, bytes: &[u8]) -> FileType {
    flat::refined(at_a_glance(name, bytes), bytes)
}

fn at_a_glance(name: &str, bytes: &[u8]) -> FileType {
    let named = names::by_name(name);
    if let Some(mime_type) = magic::binary_type(bytes) {
        let found = FileType::binary(mime_type);
        return named.map_or(found, |named| weighed(found, named));
    }
    if !decode::is_text(bytes) {
        return named
            .filter(|named| named.kind.is_none_or(Kind::reads_bytes))
            .unwrap_or(FileType::binary(UNKNOWN));
    }
    text_type(named, bytes)
}

/// Content against name, where each says something.
fn weighed(found: FileType, named: FileType) -> FileType {
    let is_container = matches!(found.mime_type, "application/zip" | "application/x-ole-storage");
    match (found.kind, named.kind) {
        // A picture that is called a text was meant to be one: its name says nothing of what it shows.
        (Some(Kind::Media), Some(kind)) if kind.reads_text() => FileType { kind: None, ..found },
        // A container that does not show what it carries is what it is called, or a damaged one of these.
        (_, Some(kind)) if is_container && is_packed(kind) => named,
        _ => found,
    }
}

/// Formats that are parts in a zip file or streams in an OLE file.
fn is_packed(kind: Kind) -> bool {
    let is_zip = matches!(kind, Kind::Docx | Kind::Pptx | Kind::OpenDocument | Kind::Epub);
    is_zip || matches!(kind, Kind::Spreadsheet | Kind::Doc | Kind::Ppt | Kind::OutlookMail)
}

fn text_type(named: Option<FileType>, bytes: &[u8]) -> FileType {
    let is_what_it_is_called = |kind: Kind| match kind {
        // `.ts` is also the ending of translation files, which are XML.
        Kind::Code => !sniff::is_xml(bytes),
        Kind::Mail => sniff::is_mail(bytes, false),
        Kind::Mailbox => sniff::is_mail(bytes, true),
        kind => kind.reads_text(),
    };
    let named = named.filter(|named| named.kind.is_some_and(is_what_it_is_called));
    named.unwrap_or_else(|| sniff::by_text(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_decides_before_the_name() {
        let cases: [(&str, &[u8], &str); 29] = [
            ("notes.md", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "image/png"),
            ("foo.bin", b"just some text", "text/plain"),
            ("photo.png", b"just some text", "text/plain"),
            ("song.mp3", b"\x01\x02\x03\x00\x05", "audio/mpeg"),
            ("x.md", b"\x01\x02\x03\x00\x05", "application/octet-stream"),
            ("a.rs", b"fn main() {}", "text/x-rust"),
            ("A.RS", b"fn main() {}", "text/x-rust"),
            ("/w/dir/Makefile", b"all:\n\techo", "text/x-makefile"),
            ("page", b"<!DOCTYPE html><p>x", "text/html"),
            ("tool", b"#!/usr/bin/env python3\nprint(1)", "text/x-python"),
            ("data", b"{\"a\": 1}\n", "application/json"),
            ("data", b"{\"a\": 1}\n{\"a\": 2}\n", "application/x-ndjson"),
            ("nb.ipynb", b"{\"cells\": []}", "application/x-ipynb+json"),
            ("doc.pdf", b"%PDF-1.7\n", "application/pdf"),
            ("x.ts", b"let x: number = 1", "text/x-typescript"),
            ("x.ts", b"<?xml version=\"1.0\"?><TS></TS>", "application/xml"),
            ("x", b"<?xml version=\"1.0\"?><a/>", "application/xml"),
            ("x.tar.gz", b"\x1f\x8b\x08\0", "application/gzip"),
            ("", b"", "text/plain"),
            (
                "x.docx",
                b"PK\x03\x04\x14\0\0\0\x08\0[Content_Types].xml word/document.xml",
                "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
            ),
            ("x.zip", b"PK\x03\x04\x14\0\0\0\x08\0abc", "application/zip"),
            ("x.txt", "\u{feff}text".as_bytes(), "text/plain"),
            ("x.eml", b"just some text", "text/plain"),
            ("x.eml", b"Note: buy milk\n\nand bread", "text/plain"),
            ("x.eml", b"X-Sent: no\nSubject: tea\n\nAt four.", "message/rfc822"),
            ("x.mht", b"From: Ada\n\nx", "message/rfc822"),
            ("x.mbox", b"From here on it rains.\nAll day.", "text/plain"),
            ("x.mbox", b"From - Mon Jan 1 00:00:00 2026\nTo: b@example.com\n\nx", "application/mbox"),
            ("x.mbox", b"<html><p>x", "text/html"),
        ];
        for (name, bytes, expected) in cases {
            assert_eq!(mime_type(name, bytes), expected, "{name} {:?}", String::from_utf8_lossy(bytes));
        }
    }
}
