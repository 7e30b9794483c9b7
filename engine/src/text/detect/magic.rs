//! Binary formats by their magic numbers.
//!
//! Takes bytes, gives a media type. Containers (zip, OLE, RIFF, ISO media) are looked into just far enough to name
//! what they carry. Does not know text formats, apart from those that are as opaque as binary ones.

/// Offset, bytes there, media type; the first row that fits counts.
const MAGIC: &[(usize, &[u8], &str)] = &[
    (0, b"\x89PNG\r\n\x1a\n", "image/png"),
    (0, b"\xff\xd8\xff", "image/jpeg"),
    (0, b"GIF87a", "image/gif"),
    (0, b"GIF89a", "image/gif"),
    (0, b"II*\0", "image/tiff"),
    (0, b"MM\0*", "image/tiff"),
    (0, b"\0\0\x01\0", "image/x-icon"),
    (0, b"8BPS", "image/vnd.adobe.photoshop"),
    (0, b"{\\rtf", "application/rtf"),
    (0, b"\x1f\x8b", "application/gzip"),
    (0, b"BZh", "application/x-bzip2"),
    (0, b"\xfd7zXZ\0", "application/x-xz"),
    (0, b"\x28\xb5\x2f\xfd", "application/zstd"),
    (0, b"\x04\x22\x4d\x18", "application/x-lz4"),
    (0, b"7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"),
    (0, b"Rar!\x1a\x07", "application/vnd.rar"),
    (257, b"ustar", "application/x-tar"),
    (0, b"!<arch>\n", "application/x-archive"),
    (0, b"\x7fELF", "application/x-elf"),
    (0, b"\xcf\xfa\xed\xfe", "application/x-mach-binary"),
    (0, b"\xce\xfa\xed\xfe", "application/x-mach-binary"),
    (0, b"\xca\xfe\xba\xbe", "application/java-vm"),
    (0, b"\0asm", "application/wasm"),
    (0, b"SQLite format 3\0", "application/vnd.sqlite3"),
    (0, b"PAR1", "application/vnd.apache.parquet"),
    (0, b"ARROW1", "application/vnd.apache.arrow.file"),
    (0, b"\x89HDF\r\n\x1a\n", "application/x-hdf5"),
    (0, b"\x93NUMPY", "application/x-npy"),
    (0, b"GGUF", "application/x-gguf"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"OggS", "audio/ogg"),
    (0, b"fLaC", "audio/flac"),
    (0, b"MThd", "audio/midi"),
    (0, b"\x1a\x45\xdf\xa3", "video/x-matroska"),
    (0, b"FLV\x01", "video/x-flv"),
    (0, b"\0\0\x01\xba", "video/mpeg"),
    (0, b"wOFF", "font/woff"),
    (0, b"wOF2", "font/woff2"),
    (0, b"\0\x01\0\0\0", "font/ttf"),
    (0, b"OTTO\0", "font/otf"),
    (0, b"-----BEGIN PGP MESSAGE", "application/pgp-encrypted"),
];

/// An Office Open XML file under a password: which of them, nobody can tell.
pub(super) const ENCRYPTED_OPEN_XML: &str = "application/x-ooxml-protected";

/// How far into a file a PDF header may stand.
const PDF_HEADER_WITHIN: usize = 1024;

/// Bytes at either end of a container that are searched for the names of its parts.
const CONTAINER_WINDOW: usize = 64 << 10;

/// Entries of a zip file that are looked at.
const MAX_ENTRY_NAMES: usize = 500;

/// The media type of a known binary format.
pub(super) fn binary_type(bytes: &[u8]) -> Option<&'static str> {
    let starts = |at: usize, magic: &[u8]| bytes.get(at..).is_some_and(|rest| rest.starts_with(magic));
    if let Some((_, _, mime_type)) = MAGIC.iter().find(|(at, magic, _)| starts(*at, magic)) {
        return Some(mime_type);
    }
    match bytes {
        [b'P', b'K', 3, 4, ..] | [b'P', b'K', 5, 6, ..] => Some(zip_type(bytes)),
        [0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1, ..] => Some(ole_type(bytes)),
        [b'R', b'I', b'F', b'F', _, _, _, _, form @ ..] => Some(riff_type(form)),
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => Some(iso_media_type(brand)),
        [b'M', b'Z', ..] if bytes.len() > 64 && bytes[..64].contains(&0) => Some("application/x-msdownload"),
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => Some("image/bmp"),
        [0xff, second, third, ..] if is_mpeg_frame(*second, *third) => Some("audio/mpeg"),
        _ if is_pdf(bytes) => Some("application/pdf"),
        _ => None,
    }
}

/// Readers accept some junk before the header; a text that only speaks of `%PDF-` is not one.
fn is_pdf(bytes: &[u8]) -> bool {
    let head = &bytes[..bytes.len().min(PDF_HEADER_WITHIN)];
    let junk = head.windows(5).position(|window| window == b"%PDF-");
    junk.is_some_and(|at| at == 0 || head[..at].ends_with(b"\n") && contains(bytes, b"endobj"))
}

/// Layer III at a real bit rate; the byte order mark of UTF-16 is not a frame.
fn is_mpeg_frame(second: u8, third: u8) -> bool {
    matches!(second, 0xfb | 0xf3 | 0xf2) && third & 0xf0 != 0xf0 && third & 0xf0 != 0 && third & 0x0c != 0x0c
}

fn zip_type(bytes: &[u8]) -> &'static str {
    const STORED: &[(&[u8], &str)] = &[
        (b"application/epub+zip", "application/epub+zip"),
        (b"application/vnd.oasis.opendocument.text", "application/vnd.oasis.opendocument.text"),
        (b"application/vnd.oasis.opendocument.spreadsheet", "application/vnd.oasis.opendocument.spreadsheet"),
        (
            b"application/vnd.oasis.opendocument.presentation",
            "application/vnd.oasis.opendocument.presentation",
        ),
    ];
    const PARTS: &[(&[u8], &str)] = &[
        (b"word/document", "application/vnd.openxmlformats-officedocument.wordprocessingml.document"),
        (b"xl/workbook", "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"),
        (b"ppt/presentation", "application/vnd.openxmlformats-officedocument.presentationml.presentation"),
        (b"META-INF/container.xml", "application/epub+zip"),
        (b"META-INF/MANIFEST.MF", "application/java-archive"),
        (b"AndroidManifest.xml", "application/vnd.android.package-archive"),
    ];
    let stored = bytes.get(30..).filter(|name| name.starts_with(b"mimetype")).map(|name| &name[8..]);
    let stored = stored.and_then(|content| STORED.iter().find(|(mime, _)| content.starts_with(mime)));
    let listed = || {
        let names = entry_names(bytes);
        match names.is_empty() {
            // Without a directory there is nothing but the bytes, which may be those of a file inside.
            true => part_type(bytes, PARTS),
            false => PARTS.iter().find(|(part, _)| names.iter().any(|name| name.starts_with(part))),
        }
    };
    stored.or_else(listed).map_or("application/zip", |(_, mime_type)| mime_type)
}

/// The names of a zip file's first entries, by its directory: the bytes of an entry may hold names of others.
fn entry_names(bytes: &[u8]) -> Vec<&[u8]> {
    let number = |at: usize, n: usize| -> Option<usize> {
        let field = bytes.get(at..at.checked_add(n)?)?;
        Some(field.iter().rev().fold(0, |sum, byte| sum << 8 | usize::from(*byte)))
    };
    let tail_at = bytes.len().saturating_sub(CONTAINER_WINDOW + 22);
    let end = bytes[tail_at..].windows(4).rposition(|window| window == b"PK\x05\x06");
    let mut at = end.and_then(|end| number(tail_at + end + 16, 4)).unwrap_or(usize::MAX);
    let mut names = Vec::new();
    while names.len() < MAX_ENTRY_NAMES && bytes.get(at..).is_some_and(|rest| rest.starts_with(b"PK\x01\x02"))
    {
        let lengths = [28, 30, 32].map(|field| number(at + field, 2).unwrap_or(0));
        names.extend(bytes.get(at + 46..at + 46 + lengths[0]));
        at += 46 + lengths.iter().sum::<usize>();
    }
    names
}

/// OLE compound files name their streams in UTF-16.
fn ole_type(bytes: &[u8]) -> &'static str {
    const PARTS: &[(&[u8], &str)] = &[
        (b"W\0o\0r\0d\0D\0o\0c\0u\0m\0e\0n\0t\0", "application/msword"),
        (b"W\0o\0r\0k\0b\0o\0o\0k\0", "application/vnd.ms-excel"),
        (b"P\0o\0w\0e\0r\0P\0o\0i\0n\0t\0", "application/vnd.ms-powerpoint"),
        (b"_\0_\0s\0u\0b\0s\0t\0g\0", "application/vnd.ms-outlook"),
        (b"E\0n\0c\0r\0y\0p\0t\0e\0d\0P\0a\0c\0k\0a\0g\0e\0", ENCRYPTED_OPEN_XML),
    ];
    // The directory may stand anywhere, so all of it is searched.
    let found = PARTS.iter().find(|(part, _)| contains(bytes, part));
    found.map_or("application/x-ole-storage", |(_, mime_type)| mime_type)
}

/// The part names stand in the first entries and in the directory at the end.
fn part_type(
    bytes: &[u8],
    parts: &'static [(&[u8], &str)],
) -> Option<&'static (&'static [u8], &'static str)> {
    let head = &bytes[..bytes.len().min(CONTAINER_WINDOW)];
    let tail = &bytes[bytes.len().saturating_sub(CONTAINER_WINDOW)..];
    parts.iter().find(|(part, _)| contains(head, part) || contains(tail, part))
}

fn riff_type(form: &[u8]) -> &'static str {
    match form.get(..4) {
        Some(b"WAVE") => "audio/wav",
        Some(b"WEBP") => "image/webp",
        Some(b"AVI ") => "video/x-msvideo",
        _ => super::UNKNOWN,
    }
}

fn iso_media_type(brand: &[u8]) -> &'static str {
    match brand.get(..3) {
        Some(b"hei" | b"mif") => "image/heic",
        Some(b"avi") => "image/avif",
        Some(b"M4A") => "audio/mp4",
        Some(b"qt ") => "video/quicktime",
        _ => "video/mp4",
    }
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    let Some(first) = part.first() else { return true };
    let mut rest = bytes;
    while let Some(at) = rest.iter().position(|byte| byte == first) {
        if rest[at..].starts_with(part) {
            return true;
        }
        rest = &rest[at + 1..];
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_say_what_they_carry() {
        let epub = [b"PK\x03\x04".as_slice(), &[0; 26], b"mimetypeapplication/epub+zip"].concat();
        let ole =
            [b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1".as_slice(), &[0; 600], b"W\0o\0r\0k\0b\0o\0o\0k\0"].concat();
        let cases: [(&[u8], Option<&str>); 10] = [
            (&epub, Some("application/epub+zip")),
            (&ole, Some("application/vnd.ms-excel")),
            (b"RIFF\0\0\0\0WAVEfmt ", Some("audio/wav")),
            (b"RIFF\0\0\0\0WEBP", Some("image/webp")),
            (b"\0\0\0\x18ftypisom", Some("video/mp4")),
            (b"\xff\xfb\x90\x44", Some("audio/mpeg")),
            (b"\xff\xfea\0b\0", None),
            (b"BMW is a car maker", None),
            (b"MZ is how it starts", None),
            (b"a file with %PDF- in it", None),
        ];
        for (bytes, expected) in cases {
            assert_eq!(binary_type(bytes), expected, "{:?}", String::from_utf8_lossy(bytes));
        }
    }
}
