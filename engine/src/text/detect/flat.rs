//! OpenDocument files that look like something else: all parts in one XML file, and drawings, which look like any zip file.
//!
//! OpenDocument 1.3 part 3, 3.1 (`office:mimetype`), and part 2, 3.3 (`mimetype` as the first entry).

use super::FileType;
use crate::text::document::Kind;

/// How far into a file in one piece its type may stand: behind the names of its many namespaces.
const FLAT_HEAD_BYTES: usize = 8192;

/// Types of files in one piece, by the type that the file itself names.
const FLAT_TYPES: &[(&str, &str, Kind)] = &[
    (".spreadsheet", "application/vnd.oasis.opendocument.spreadsheet-flat-xml", Kind::Spreadsheet),
    (".presentation", "application/vnd.oasis.opendocument.presentation-flat-xml", Kind::OpenDocument),
    (".graphics", "application/vnd.oasis.opendocument.graphics-flat-xml", Kind::OpenDocument),
    (".text", "application/vnd.oasis.opendocument.text-flat-xml", Kind::OpenDocument),
];

/// Drawings say so in their first part, as other OpenDocument files do.
const DRAWING: &str = "application/vnd.oasis.opendocument.graphics";

/// What a file that looks like XML or like any zip file turns out to be.
pub(super) fn refined(found: FileType, bytes: &[u8]) -> FileType {
    let as_one =
        || flat_type(bytes).map(|(mime_type, kind)| FileType { mime_type, kind: Some(kind), ..found });
    let first = || bytes.get(30..)?.strip_prefix(b"mimetype");
    let is_drawing = || first().is_some_and(|mime_type| mime_type.starts_with(DRAWING.as_bytes()));
    match found.kind {
        Some(Kind::Xml) => as_one().unwrap_or(found),
        Some(Kind::Archive) if is_drawing() => {
            FileType { mime_type: DRAWING, kind: Some(Kind::OpenDocument), ..found }
        }
        _ => found,
    }
}

/// The media type of a document in one piece, and its reader; `None` for other files.
pub(in crate::text) fn flat_type(bytes: &[u8]) -> Option<(&'static str, Kind)> {
    let head = String::from_utf8_lossy(bytes.get(..bytes.len().min(FLAT_HEAD_BYTES))?);
    let root = head.find("<office:document")?;
    let named = head.get(root..)?.split_once("office:mimetype=")?.1;
    let named = named.get(1..)?.split(['"', '\'']).next()?;
    let part = named.strip_prefix("application/vnd.oasis.opendocument")?;
    let found = FLAT_TYPES.iter().find(|(start, ..)| part.starts_with(start));
    found.map(|(_, mime_type, kind)| (*mime_type, *kind))
}

#[cfg(test)]
mod tests {
    use crate::text::detect::{is_isolated, mime_type};

    #[test]
    fn what_is_in_one_piece_is_known_by_its_bytes_and_kept_apart() {
        let flat = |part: &str| {
            let root = "<office:document xmlns:office=\"urn:oasis:names:tc:opendocument:xmlns:office:1.0\"";
            format!(
                "<?xml version=\"1.0\"?>\n{root} office:mimetype=\"application/vnd.oasis.opendocument.{part}\"/>"
            )
        };
        for (part, name) in
            [("spreadsheet", "a.fods"), ("text", "a.xml"), ("presentation", "a"), ("graphics", "a.fodg")]
        {
            let bytes = flat(part).into_bytes();
            assert!(is_isolated(name, &bytes), "{name}");
            assert_eq!(
                mime_type(name, &bytes),
                format!("application/vnd.oasis.opendocument.{part}-flat-xml")
            );
        }
        assert!(!is_isolated(
            "a.xml",
            b"<?xml version=\"1.0\"?><note>application/vnd.oasis.opendocument.text</note>"
        ));
    }
}
