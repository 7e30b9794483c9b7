//! What pictures, sound and film say of themselves.

use std::io::Write as _;

use flate2::Compression;
use flate2::write::ZlibEncoder;
use waypost_engine::text::{Document, Limits};

use super::{Desk, best, serve, workers};

fn packed(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A file made of parts, with what stands between a part's name and its contents.
fn joined(parts: &[&[u8]]) -> Vec<u8> {
    parts.concat()
}

fn png(chunks: &[(&[u8], Vec<u8>)]) -> Vec<u8> {
    let chunk = |(kind, body): &(&[u8], Vec<u8>)| {
        joined(&[&(body.len() as u32).to_be_bytes(), kind, body, b"\0\0\0\0"])
    };
    let head = (b"IHDR".as_slice(), b"\0\0\0\x10\0\0\0\x20\x08\x02\0\0\0".to_vec());
    let end = (b"IEND".as_slice(), Vec::new());
    let chunks = [std::slice::from_ref(&head), chunks, std::slice::from_ref(&end)].concat();
    joined(&[b"\x89PNG\r\n\x1a\n", &chunks.iter().flat_map(chunk).collect::<Vec<u8>>()])
}

/// Exif with one text field, a wide one, and a date in a directory of its own.
fn exif(description: &str, title: &str) -> Vec<u8> {
    let wide: Vec<u8> = title.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let date = b"2019:07:14 10:20:30\0";
    let fields_end = 8 + 2 + 3 * 12 + 4;
    let (wide_at, date_at) = (fields_end + description.len(), fields_end + description.len() + wide.len());
    let more_at = date_at + date.len();
    let field = |tag: u16, kind: u16, n: usize, value: usize| {
        joined(&[
            &tag.to_le_bytes(),
            &kind.to_le_bytes(),
            &(n as u32).to_le_bytes(),
            &(value as u32).to_le_bytes(),
        ])
    };
    joined(&[
        b"II*\0\x08\0\0\0\x03\0",
        &field(0x010e, 2, description.len(), fields_end),
        &field(0x8769, 4, 1, more_at),
        &field(0x9c9b, 1, wide.len(), wide_at),
        b"\0\0\0\0",
        description.as_bytes(),
        &wide,
        date,
        b"\x01\0",
        &field(0x9003, 2, date.len(), date_at),
        b"\0\0\0\0",
    ])
}

const XMP: &str = r#"<?xpacket begin="" id="W5M0MpCehiHzreSzNTczkc9d"?><x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="r" xmlns:dc="d" xmlns:photoshop="p"><rdf:Description photoshop:City="Reykjavik"><dc:description><rdf:Alt><rdf:li xml:lang="x-default">A musk ox in the snow</rdf:li></rdf:Alt></dc:description><dc:subject><rdf:Bag><rdf:li>winter</rdf:li><rdf:li>wool</rdf:li></rdf:Bag></dc:subject></rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="w"?>"#;

fn jpeg(segments: &[(u8, Vec<u8>)]) -> Vec<u8> {
    let segment = |(marker, body): &(u8, Vec<u8>)| {
        joined(&[&[0xff, *marker], &(body.len() as u16 + 2).to_be_bytes(), body])
    };
    let frame = (0xc0, b"\x08\0\x05\0\x07\x01\x01\x11\0".to_vec());
    let segments = [segments, &[frame]].concat();
    joined(&[b"\xff\xd8", &segments.iter().flat_map(segment).collect::<Vec<u8>>(), b"\xff\xda\0\x02\xff\xd9"])
}

/// An ID3 tag of version 3 or 4.
fn id3(version: u8, frames: &[(&[u8], Vec<u8>)]) -> Vec<u8> {
    let seven =
        |n: usize| [(n >> 21) as u8 & 127, (n >> 14) as u8 & 127, (n >> 7) as u8 & 127, n as u8 & 127];
    let frame = |(name, body): &(&[u8], Vec<u8>)| {
        let size = if version == 4 { seven(body.len()) } else { (body.len() as u32).to_be_bytes() };
        joined(&[name, &size, b"\0\0", body])
    };
    let frames: Vec<u8> = frames.iter().flat_map(frame).chain([0; 32]).collect();
    joined(&[b"ID3", &[version, 0, 0], &seven(frames.len()), &frames])
}

fn comments(list: &[&str]) -> Vec<u8> {
    let counted = |text: &str| joined(&[&(text.len() as u32).to_le_bytes(), text.as_bytes()]);
    let list_bytes: Vec<u8> = list.iter().flat_map(|text| counted(text)).collect();
    joined(&[&counted("an encoder"), &(list.len() as u32).to_le_bytes(), &list_bytes])
}

fn flac(list: &[&str]) -> Vec<u8> {
    let comments = comments(list);
    let head = [0x84, 0, (comments.len() >> 8) as u8, comments.len() as u8];
    joined(&[b"fLaC\0\0\0\x22", &[0; 34], &head, &comments])
}

/// Pages of Ogg, each with one packet below 255 bytes.
fn ogg(packets: &[Vec<u8>]) -> Vec<u8> {
    let page = |packet: &Vec<u8>| joined(&[b"OggS", &[0; 22], &[1, packet.len() as u8], packet]);
    packets.iter().flat_map(page).collect()
}

fn wav(list: &[u8]) -> Vec<u8> {
    let chunk = |name: &[u8], body: &[u8]| joined(&[name, &(body.len() as u32).to_le_bytes(), body]);
    let format = chunk(b"fmt ", b"\x01\0\x01\0\x40\x1f\0\0\x40\x1f\0\0\x01\0\x08\0");
    let chunks = joined(&[b"WAVE", &format, &chunk(b"LIST", list), &chunk(b"data", &[128; 64])]);
    chunk(b"RIFF", &chunks)
}

/// Sound with an ID3 tag of the first version.
fn id3_at_end(title: &str) -> Vec<u8> {
    let mut tag = [b"TAG".as_slice(), &[0; 125]].concat();
    tag[3..3 + title.len()].copy_from_slice(title.as_bytes());
    // A frame of 128 kbit/s at 44.1 kHz has 417 bytes.
    let frame = joined(&[b"\xff\xfb\x90\x44", &[0; 413]]);
    joined(&[&frame, &frame, &frame, &tag])
}

fn boxed(kind: &[u8; 4], parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    joined(&[&(body.len() as u32 + 8).to_be_bytes(), kind, &body])
}

fn mp4(items: &[(&[u8; 4], &str)]) -> Vec<u8> {
    let item = |(kind, text): &(&[u8; 4], &str)| {
        boxed(kind, &[&boxed(b"data", &[b"\0\0\0\x01\0\0\0\0", text.as_bytes()])])
    };
    let list: Vec<u8> = items.iter().flat_map(item).collect();
    let meta = boxed(b"meta", &[b"\0\0\0\0", &boxed(b"hdlr", &[&[0; 25]]), &boxed(b"ilst", &[&list])]);
    let moov = boxed(b"moov", &[&boxed(b"mvhd", &[&[0; 100]]), &boxed(b"udta", &[&meta])]);
    joined(&[&boxed(b"ftyp", &[b"M4A \0\0\0\0M4A mp42"]), &boxed(b"mdat", &[&[7; 50]]), &moov])
}

#[track_caller]
fn read(name: &str, bytes: &[u8]) -> Document {
    let read = Desk::new(Limits::default(), workers()).read(name, bytes);
    read.unwrap_or_else(|reason| panic!("{name}: {reason}"))
}

#[test]
fn what_a_file_says_of_itself_is_read() {
    let xmp_chunk = joined(&[b"XML:com.adobe.xmp\0\0\0\0\0", XMP.as_bytes()]);
    let packed_chunk = joined(&[b"Comment\0\0", &packed("Über den Bergen".as_bytes())]);
    let exif_segment = joined(&[b"Exif\0\0", &exif("A markhor\0", "Hörner")]);
    let xmp_segment = joined(&[b"http://ns.adobe.com/xap/1.0/\0", XMP.as_bytes()]);
    let opus = ogg(&[b"OpusHead".to_vec(), joined(&[b"OpusTags", &comments(&["title=Dawn", "ARTIST=Ada"])])]);
    let vorbis = ogg(&[
        b"\x01vorbis".to_vec(),
        joined(&[b"\x03vorbis", &comments(&["ALBUM=Dusk"]), &[1]]),
        b"\x05vorbis".to_vec(),
    ]);
    let utf16 = |text: &str| -> Vec<u8> {
        [1, 0xff, 0xfe].into_iter().chain(text.encode_utf16().flat_map(u16::to_le_bytes)).collect()
    };
    let wave = wav(b"INFOINAM\x04\0\0\0Sea\0");
    // A film, with a packet where it likes to stand.
    let film = joined(&[&mp4(&[(b"\xa9nam", "Herds")]), &boxed(b"uuid", &[&[9; 16], XMP.as_bytes()])]);
    let cases: [(&str, Vec<u8>, &[&str]); 13] = [
        (
            "a.png",
            png(&[
                (b"tEXt", b"Description\0A takin".to_vec()),
                (b"zTXt", packed_chunk),
                (b"iTXt", xmp_chunk),
            ]),
            &[
                "16 × 32 pixels",
                "Description: A takin",
                "Comment: Über den Bergen",
                "City: Reykjavik",
                "Description: A musk ox in the snow",
                "Keywords: winter, wool",
            ],
        ),
        (
            "a.jpg",
            jpeg(&[(0xe1, exif_segment), (0xe1, xmp_segment)]),
            &[
                "7 × 5 pixels",
                "Description: A markhor",
                "Title: Hörner",
                "Taken: 2019-07-14 10:20:30",
                "A musk ox in the snow",
            ],
        ),
        ("a.tiff", exif("A scanned letter", "Letters"), &["Description: A scanned letter", "Title: Letters"]),
        (
            "a.mp3",
            id3(
                3,
                &[
                    (b"TIT2", b"\0The saiga".to_vec()),
                    (b"TPE1", utf16("Ólöf")),
                    (b"COMM", b"\0engiTunNORM\0 0001".to_vec()),
                    (b"COMM", b"\0eng\0On the steppe".to_vec()),
                ],
            ),
            &["Title: The saiga", "Artist: Ólöf", "Comment: On the steppe"],
        ),
        (
            "b.mp3",
            id3(4, &[(b"TPE1", "\u{3}Ada\0Bo".into()), (b"TDRC", b"\x032019".to_vec())]),
            &["Artist: Ada, Bo", "Date: 2019"],
        ),
        ("c.mp3", id3_at_end("The kiang"), &["Title: The kiang"]),
        ("a.flac", flac(&["TITLE=Noon", "Artist=Bo"]), &["Title: Noon", "Artist: Bo"]),
        ("a.opus", opus, &["Title: Dawn", "Artist: Ada"]),
        ("a.ogg", vorbis, &["Album: Dusk"]),
        (
            "a.m4a",
            mp4(&[(b"\xa9nam", "Tide"), (b"\xa9ART", "Cy"), (b"desc", "Of the sea")]),
            &["Title: Tide", "Artist: Cy", "Description: Of the sea"],
        ),
        ("a.wav", wave, &["Title: Sea"]),
        ("a.mp4", film, &["Title: Herds", "A musk ox in the snow", "Keywords: winter, wool"]),
        ("none.png", png(&[]), &["16 × 32 pixels"]),
    ];
    for (name, bytes, expected) in cases {
        let document = read(name, &bytes);
        for line in expected {
            assert!(document.text.contains(line), "{name}: `{line}` in {}", document.text);
        }
        assert!(!document.text.contains("0001"), "{name}: {}", document.text);
        let title = expected.iter().find_map(|line| line.strip_prefix("Title: "));
        assert_eq!(document.title.as_deref(), title, "{name}");
        assert_eq!(document.warnings.len(), 1, "{name}: {:?}", document.warnings);
        // What breaks off anywhere is read as far as it goes.
        for end in 12..bytes.len() {
            let cut = waypost_engine::text::extract(name, &bytes[..end], &Limits::default());
            assert!(cut.is_ok(), "{name}, {end} bytes: {cut:?}");
        }
    }
}

#[test]
fn a_picture_is_found_by_what_was_noted_in_it() {
    let photo = jpeg(&[(0xe1, joined(&[b"Exif\0\0", &exif("A markhor\0", "Horns")]))]);
    let server = serve(&[("dsc_0001.jpg", photo), ("a.txt", b"Words.".to_vec())], false);
    assert_eq!(best(&server, "markhor")["path"], "/docs/dsc_0001.jpg");
    let info = server.session_info("/docs/dsc_0001.jpg");
    assert!(info.notes.iter().any(|note| note.contains("only its name and metadata")), "{info:?}");
}

#[test]
fn what_a_file_says_without_end_is_cut() {
    let many: Vec<(&[u8], Vec<u8>)> =
        (0..2000).map(|n| (b"tEXt".as_slice(), format!("Key {n}\0Text {n}").into_bytes())).collect();
    let document = read("a.png", &png(&many));
    assert!(document.text.lines().count() < 80, "{}", document.text.lines().count());
    let long = joined(&[b"Comment\0", &vec![b'a'; 1 << 20]]);
    let document = read("a.png", &png(&[(b"tEXt", long)]));
    assert!((60 << 10..70 << 10).contains(&document.text.len()), "{}", document.text.len());
    // A text that is packed and unpacks to more than that is left out, and the others are not.
    let bomb = joined(&[b"Comment\0\0", &packed(&vec![b'a'; 50 << 20])]);
    let document = read("a.png", &png(&[(b"zTXt", bomb), (b"iTXt", b"Title\0\0\0\0\0A takin".to_vec())]));
    assert!(document.text.len() < 1000, "{}", document.text.len());
    assert_eq!(document.title.as_deref(), Some("A takin"));
    assert!(document.warnings.iter().any(|warning| warning.contains("can't be read")), "{document:?}");
}

#[test]
fn a_file_whose_tags_cannot_be_read_is_found_by_its_name() {
    let photo = jpeg(&[(0xe1, joined(&[b"Exif\0\0", b"no Exif at all"]))]);
    let cases = [
        ("the gerenuk.jpg", photo),
        ("the gerenuk.flac", b"fLaC\x04\0\0\x10 no head of a stream".to_vec()),
        ("the gerenuk.png", png(&[])[..40].to_vec()),
    ];
    for (name, bytes) in cases {
        let document = read(name, &bytes);
        assert!(document.text.contains("gerenuk"), "{name}: {}", document.text);
        let is_told = |warning: &String| warning.starts_with("what is noted in it can't be read");
        assert!(document.warnings.iter().any(is_told), "{name}: {:?}", document.warnings);
    }
}
