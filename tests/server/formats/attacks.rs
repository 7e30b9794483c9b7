//! Rows 23 to 25 of the attack table, and workers that misbehave.

use std::io::Write as _;
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use waypost_engine::text::{Limits, SkipReason};

use super::made::{docx, docx_of, paragraph, pdf, pdf_of, rows, xlsx, zipped};
use super::{Desk, best, instead, serve, workers};

/// Bounds that hold for a file, whatever is in it.
const PATIENCE: Duration = Duration::from_secs(12);

fn desk() -> Desk {
    Desk::new(Limits { archives: true, ..Limits::default() }, workers())
}

/// Reads a hostile file and then an honest one: the first costs itself alone.
#[track_caller]
fn check(desk: &Desk, name: &str, bytes: &[u8]) -> Result<String, SkipReason> {
    let begun = Instant::now();
    let reading = desk.read(name, bytes);
    assert!(begun.elapsed() < PATIENCE, "{name} took {:?}", begun.elapsed());
    let honest = desk.read("honest.pdf", &pdf(&["An honest page."])).unwrap();
    assert_eq!(honest.text, "An honest page.");
    assert!(desk.reader.peak_worker_bytes() < 512 << 20, "{name}: {}", desk.reader.peak_worker_bytes());
    reading.map(|document| document.text)
}

#[test]
fn row_23_a_bomb_is_stopped_by_its_ratio() {
    let bomb = vec![b'a'; 300 << 20];
    let reading = check(&desk(), "a.docx", &docx_of(std::str::from_utf8(&bomb).unwrap()));
    assert!(matches!(reading, Err(SkipReason::Explodes { .. })), "{reading:?}");
    let reading = check(&desk(), "a.zip", &zipped(&[("a.txt", &bomb)]));
    assert!(matches!(reading, Err(SkipReason::Explodes { .. })), "{reading:?}");
}

#[test]
fn row_23_zip_in_zip_is_stopped_by_its_depth() {
    let nest = |depth: usize| {
        (0..depth).fold(b"The innermost words.".to_vec(), |inner, level| {
            zipped(&[(if level == 0 { "a.txt" } else { "a.zip" }, &inner)])
        })
    };
    let reading = check(&desk(), "a.zip", &nest(3));
    assert!(reading.as_ref().is_ok_and(|text| text.contains("innermost")), "{reading:?}");
    let reading = check(&desk(), "a.zip", &nest(9));
    assert!(matches!(reading, Err(SkipReason::Explodes { .. })), "{reading:?}");
}

#[test]
fn row_23_too_many_entries_are_stopped_by_their_number() {
    let names: Vec<String> = (0..60_000).map(|number| format!("{number}")).collect();
    let parts: Vec<(&str, &[u8])> = names.iter().map(|name| (name.as_str(), b"".as_slice())).collect();
    let mut many = zipped(&parts);
    let reading = check(&desk(), "a.zip", &many);
    assert!(matches!(reading, Err(SkipReason::Explodes { .. })), "{reading:?}");
    // One that says it has a million, and has none.
    let end = many.len() - 22;
    many[end + 8..end + 12].copy_from_slice(&[0xff; 4]);
    let reading = check(&desk(), "a.docx", &many);
    assert!(matches!(reading, Err(SkipReason::Explodes { .. })), "{reading:?}");
}

#[test]
fn row_24_a_pdf_nested_a_hundred_thousand_deep_costs_itself_alone() {
    for (open, close) in [("[", "]"), ("<< /A ", ">>")] {
        let deep = open.repeat(100_000) + &close.repeat(100_000);
        let objects =
            ["<< /Type /Catalog /Pages 2 0 R /A 3 0 R >>", "<< /Type /Pages /Kids [] /Count 0 >>", &deep];
        let reading = check(&desk(), "a.pdf", &pdf_of(&objects.map(str::to_owned)));
        assert!(reading.is_err(), "{reading:?}");
    }
}

/// A PDF with one page and this font, whose table of objects has to be found.
fn page_of(resources: &str, content: &[u8], more: &[u8]) -> Vec<u8> {
    let page = format!(
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Contents 4 0 R /Resources << {resources} >> >>"
    );
    let objects: [&[u8]; 5] = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        page.as_bytes(),
        content,
        more,
    ];
    let object = |(idx, object): (usize, &&[u8])| {
        [format!("{} 0 obj\n", idx + 1).as_bytes(), *object, b"\nendobj\n"].concat()
    };
    let objects: Vec<u8> = objects.iter().enumerate().flat_map(object).collect();
    [b"%PDF-1.4\n", objects.as_slice(), b"trailer\n<< /Root 1 0 R >>\n"].concat()
}

const FONT: &[u8] = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>";

#[test]
fn row_23_a_stream_of_a_pdf_is_stopped_by_its_ratio() {
    let mut packed = ZlibEncoder::new(Vec::new(), Compression::default());
    packed.write_all(b"BT /F1 12 Tf 72 700 Td (x) Tj ET ").unwrap();
    (0..400).for_each(|_| packed.write_all(&vec![b' '; 1 << 20]).unwrap());
    let packed = packed.finish().unwrap();
    let head = format!("<< /Length {} /Filter /FlateDecode >>\nstream\n", packed.len());
    let content = [head.as_bytes(), &packed, b"\nendstream"].concat();
    let reading = check(&desk(), "a.pdf", &page_of("/Font << /F1 5 0 R >>", &content, FONT));
    assert!(matches!(reading, Err(SkipReason::Explodes { .. })), "{reading:?}");
}

#[test]
fn row_24_a_form_that_draws_itself_is_drawn_once() {
    let stream = |head: &str, drawn: &str| {
        format!("<< {head} /Length {} >>\nstream\n{drawn}\nendstream", drawn.len()).into_bytes()
    };
    let head = "/Type /XObject /Subtype /Form /BBox [0 0 9 9] /Resources << /XObject << /X 5 0 R >> >>";
    let form = stream(head, "/X Do");
    let reading = check(&desk(), "a.pdf", &page_of("/XObject << /X 5 0 R >>", &stream("", "/X Do"), &form));
    let detail = "what its pages draw calls itself without end".to_owned();
    assert_eq!(reading, Err(SkipReason::Damaged { detail }));
    // What the page says beside it is read.
    let fonts =
        "/Font << /F1 << /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >> >>";
    let drawn = stream("", "BT /F1 12 Tf 72 700 Td (A kept page) Tj ET /X Do");
    let bytes = page_of(&format!("{fonts} /XObject << /X 5 0 R >>"), &drawn, &form);
    let document = desk().read("a.pdf", &bytes).unwrap();
    assert_eq!(document.text, "A kept page");
    assert!(document.warnings.join("\n").contains("draws itself"), "{:?}", document.warnings);
}

#[test]
fn row_24_entities_that_a_document_declares_are_not_put_in() {
    let mut entities = String::from("<!ENTITY e0 \"lol\">");
    for level in 1..30 {
        entities += &format!("<!ENTITY e{level} \"{}\">", format!("&e{};", level - 1).repeat(10));
    }
    let main = format!(
        r#"<!DOCTYPE d [{entities}<!ENTITY f SYSTEM "file:///etc/passwd">]><w:document xmlns:w="x"><w:body>{}{}</w:body></w:document>"#,
        paragraph("", "before &e29; after"),
        paragraph("", "and &f; too"),
    );
    let text = check(&desk(), "a.docx", &docx_of(&main)).unwrap();
    assert!(text.contains("before") && text.contains("after") && !text.contains("lol"), "{text}");
    assert!(!text.contains("root:"), "{text}");
    let warnings = desk().read("a.docx", &docx_of(&main)).unwrap().warnings.join("\n");
    assert!(warnings.contains("an entity that the document declares itself"), "{warnings}");
}

#[test]
fn row_24_a_sheet_as_large_as_can_be_is_read_by_the_cells_it_has() {
    let cell = |name: &str, text: &str| format!(r#"<c r="{name}" t="inlineStr"><is><t>{text}</t></is></c>"#);
    let far = format!(
        r#"<row r="1">{}</row><row r="1048576">{}</row>"#,
        cell("A1", "near"),
        cell("XFD1048576", "far")
    );
    let book = xlsx("S", "A1:XFD1048576", &far);
    let document = desk().read("a.xlsx", &book).unwrap();
    assert_eq!(document.text, "near\nfar");
    assert_eq!(document.located[1].location.to_string(), "sheet S, XFD1048576");
    let text = check(&desk(), "a.xlsx", &xlsx("S", "A1:XFD1048576", &rows(&[&["one"]]))).unwrap();
    assert_eq!(text, "one");
}

#[test]
fn row_25_a_reader_that_aborts_hangs_or_talks_nonsense_costs_one_file() {
    let cases = [
        ("kill -ABRT $$", "crashed"),
        ("kill -SEGV $$", "crashed"),
        ("exit 7", "crashed"),
        ("kill -XCPU $$", "timed_out"),
        ("exec sleep 600", "timed_out"),
        ("exec cat /dev/zero", "crashed"),
        ("head -c 100000 /dev/urandom", "crashed"),
        ("printf '\\377\\377\\377\\377\\377\\377\\377\\177'; exec sleep 600", "crashed"),
        ("printf '\\005\\000\\000\\000\\000\\000\\000\\000{\"a\"}'; exec sleep 600", "crashed"),
    ];
    for (script, code) in cases {
        let desk = Desk::new(Limits::default(), instead(script, Duration::from_millis(700)));
        let begun = Instant::now();
        let reading = desk.read("a.pdf", &pdf(&["A page."]));
        assert_eq!(reading.as_ref().unwrap_err().code(), code, "{script}: {reading:?}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{script}");
        // What is not read apart is read all the same.
        assert_eq!(desk.read("a.txt", b"words").unwrap().text, "words");
    }
}

#[test]
fn row_25_a_file_that_failed_is_not_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let tries = folder.path().join("tries");
    let desk =
        Desk::new(Limits::default(), instead(&format!("echo x >> {}; exit 1", tries.display()), PATIENCE));
    for _ in 0..3 {
        assert_eq!(desk.read("a.pdf", &pdf(&["A page."])).unwrap_err().code(), "crashed");
    }
    assert_eq!(std::fs::read_to_string(&tries).unwrap(), "x\n");
    desk.read("a.pdf", &pdf(&["Another page."])).unwrap_err();
    assert_eq!(std::fs::read_to_string(&tries).unwrap(), "x\nx\n");
}

#[test]
fn row_25_the_next_file_is_indexed() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let objects = ["<< /Type /Catalog /Pages 2 0 R >>".to_owned(), deep];
    let server = serve(
        &[
            ("a.pdf", pdf_of(&objects)),
            ("b.docx", docx(&paragraph("", "The unharmed okapi."))),
            ("c.md", b"Words.".to_vec()),
        ],
        false,
    );
    assert_eq!(best(&server, "okapi")["path"], "/docs/b.docx");
    let info = server.session_info("/docs/a.pdf");
    assert_eq!(serde_json::to_value(info.status).unwrap(), "failed", "{info:?}");
}

#[test]
fn what_a_worker_makes_is_what_would_be_made_here() {
    let inputs = [
        ("a.pdf", pdf(&["A page.", "Another page."])),
        ("a.docx", docx(&paragraph("H1", "Head"))),
        ("a.xlsx", xlsx("S", "A1:B2", &rows(&[&["a", "b"], &["c", "d"]]))),
    ];
    let desk = desk();
    for (name, bytes) in inputs {
        let here = waypost_engine::text::extract(name, &bytes, desk.reader.limits());
        assert_eq!(desk.read(name, &bytes), here, "{name}");
        // From the cache, too.
        assert_eq!(desk.read(name, &bytes), here, "{name}");
    }
}
