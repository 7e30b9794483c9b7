//! Documents as programs of others make them, where a foreign reader misread them once.

use waypost_engine::text::{Limits, SkipReason};

use super::made::{docx, pdf_of, relations, rows, xlsx, zipped};
use super::{Desk, workers};

#[track_caller]
fn text(name: &str, bytes: &[u8]) -> String {
    match Desk::new(Limits::default(), workers()).read(name, bytes) {
        Ok(document) => document.text,
        Err(reason) => panic!("{name}: {reason}"),
    }
}

/// A PDF with one page that draws this in a font, whose description follows.
fn page(drawn: &str, font: &[&str]) -> Vec<u8> {
    let mut objects = vec![
        "<< /Type /Catalog /Pages 2 0 R >>".to_owned(),
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>".to_owned(),
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 5 0 R >> >> /Contents 4 0 R >>"
            .to_owned(),
        format!("<< /Length {} >>\nstream\n{drawn}\nendstream", drawn.len()),
    ];
    objects.extend(font.iter().map(|object| (*object).to_owned()));
    pdf_of(&objects)
}

fn stream(text: &str) -> String {
    format!("<< /Length {} >>\nstream\n{text}\nendstream", text.len())
}

/// A map to Unicode with these entries, as programs write it.
fn cmap(entries: &str) -> String {
    format!(
        "/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n/CMapName /X def\n/CMapType 2 def\n{entries}\nendcmap\n\
         CMapName currentdict /CMap defineresource pop\nend\nend\n"
    )
}

const DESCRIPTOR: &str = "<< /Type /FontDescriptor /FontName /A /Flags 4 >>";

const HELVETICA: &str = "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>";

#[test]
fn lines_that_ghostscript_draws_are_read() {
    let drawn = "BT /F1 12 Tf 14 TL 72 720 Td (One line) Tj (another line) ' 0 0 (a third line) \" ET";
    assert_eq!(text("gs.pdf", &page(drawn, &[HELVETICA])), "One line\nanother line\na third line");
}

#[test]
fn widths_that_browsers_write_as_ranges_are_those_of_the_letters() {
    // Codes are letters less 60; all are 500 wide, by a range, and 0 by default.
    let map = cmap(
        "1 begincodespacerange\n<0000> <ffff>\nendcodespacerange\n1 beginbfrange\n<0005> <003f> <0041>\nendbfrange",
    );
    let code = |letter: char| format!("{:04x}", letter as u32 - 60);
    let word = |word: &str| word.chars().map(code).collect::<String>();
    let drawn = format!("BT /F1 10 Tf 72 720 Td <{}> Tj 25 0 Td <{}> Tj ET", word("Kultu"), word("rbad"));
    let font = "<< /Type /Font /Subtype /Type0 /BaseFont /A /Encoding /Identity-H /DescendantFonts [6 0 R] /ToUnicode 7 0 R >>";
    let descendant = "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /A /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) \
                      /Supplement 0 >> /DW 0 /W [5 63 500] /FontDescriptor 8 0 R >>";
    assert_eq!(
        text("chrome.pdf", &page(&drawn, &[font, descendant, &stream(&map), DESCRIPTOR])),
        "Kulturbad"
    );
}

#[test]
fn an_odd_font_or_colour_costs_no_page() {
    let drawn = "/Cs9 cs 1 sc BT /F1 12 Tf 72 720 Td (Plain words) Tj /F7 12 Tf (lost) Tj /F1 12 Tf 0 -14 Td (and more) Tj ET";
    assert_eq!(text("colours.pdf", &page(drawn, &[HELVETICA])), "Plain words\nand more");

    let standard = "<< /Type /Font /Subtype /Type1 /BaseFont /Times-Roman /Encoding /StandardEncoding /FirstChar 32 /LastChar 126 \
                    /Widths [250 333] >>";
    let drawn = "BT /F1 12 Tf 72 720 Td (It's here) Tj ET";
    assert_eq!(text("standard.pdf", &page(drawn, &[standard])).replace(' ', ""), "It’shere");

    let map = cmap(
        "1 begincodespacerange\n<00> <ff>\nendcodespacerange\n2 beginbfrange\n<41> <42> <0061>\n<43> <43> <006600660069>\nendbfrange\n\
         1 beginbfchar\n<44> <d83c>\nendbfchar",
    );
    let mapped =
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding /ToUnicode 6 0 R >>";
    let drawn = "BT /F1 12 Tf 72 720 Td (ABC) Tj ET";
    assert_eq!(text("ligature.pdf", &page(drawn, &[mapped, &stream(&map)])), "abffi");
}

#[test]
fn old_asian_fonts_say_what_their_codes_are() {
    let font = "<< /Type /Font /Subtype /Type0 /BaseFont /HeiseiMin-W3 /Encoding /UniJIS-UCS2-H /DescendantFonts [6 0 R] >>";
    let descendant = "<< /Type /Font /Subtype /CIDFontType0 /BaseFont /HeiseiMin-W3 /CIDSystemInfo << /Registry (Adobe) \
                      /Ordering (Japan1) /Supplement 2 >> /DW 1000 /FontDescriptor 7 0 R >>";
    let drawn = "BT /F1 12 Tf 72 720 Td <67714eac3067> Tj ET";
    assert_eq!(text("cid.pdf", &page(drawn, &[font, descendant, DESCRIPTOR])), "東京で");
}

#[test]
fn hebrew_in_an_english_line_is_read_as_it_is_said() {
    let map = cmap(
        "1 begincodespacerange\n<0000> <ffff>\nendcodespacerange\n2 beginbfrange\n<0020> <007e> <0020>\n<05d0> <05ea> <05d0>\nendbfrange",
    );
    let font = "<< /Type /Font /Subtype /Type0 /BaseFont /A /Encoding /Identity-H /DescendantFonts [6 0 R] /ToUnicode 7 0 R >>";
    let descendant = "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /A /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) \
                      /Supplement 0 >> /DW 500 /FontDescriptor 8 0 R >>";
    let codes: String =
        "English then תירבע then more".encode_utf16().map(|unit| format!("{unit:04x}")).collect();
    let drawn = format!("BT /F1 10 Tf 72 720 Td <{codes}> Tj ET");
    assert_eq!(
        text("shaped.pdf", &page(&drawn, &[font, descendant, &stream(&map), DESCRIPTOR])),
        "English then עברית then more"
    );
}

#[test]
fn letters_that_are_set_apart_in_a_pdf_are_words() {
    for points in ["0", "1", "2", "3", "5"] {
        let drawn = format!("BT /F1 12 Tf {points} Tc 72 720 Td (A harbour of lanterns) Tj ET");
        assert_eq!(text("tracked.pdf", &page(&drawn, &[HELVETICA])), "A harbour of lanterns", "{points}");
    }
}

#[test]
fn a_head_that_is_set_larger_than_the_text_is_no_heading() {
    let mut objects =
        vec!["<< /Type /Catalog /Pages 2 0 R >>".to_owned(), String::new(), HELVETICA.to_owned()];
    for number in 1..=3 {
        let line =
            |size: u32, down: u32, text: &str| format!("BT /F1 {size} Tf 56 {down} Td ({text}) Tj ET\n");
        let body =
            format!("The committee considered matter {number} at length and resolved to go on with it.");
        let drawn = [
            line(12, 760, "Annual report"),
            if number == 1 { line(18, 730, "First part") } else { String::new() },
            line(10, 700, &body),
            line(12, 28, &format!("Draft {number} of Ada")),
        ];
        objects.push(stream(&drawn.concat()));
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> /Contents {} 0 R >>",
            objects.len()
        ));
    }
    objects[1] = "<< /Type /Pages /Kids [5 0 R 7 0 R 9 0 R] /Count 3 >>".to_owned();
    let document = Desk::new(Limits::default(), workers()).read("report.pdf", &pdf_of(&objects)).unwrap();
    let bodies: Vec<_> = document.blocks.iter().skip(2).collect();
    assert!(bodies.iter().all(|block| block.headings == ["First part"]), "{:?}", document.blocks);
    assert_eq!(document.text.matches("Annual report").count(), 3, "{}", document.text);
}

#[test]
fn a_pdf_of_which_no_page_can_be_read_says_so() {
    let broken =
        "<< /Type /Font /Subtype /Type0 /BaseFont /X /Encoding /90ms-RKSJ-H /DescendantFonts [6 0 R] >>";
    let descendant = "<< /Type /Font /Subtype /CIDFontType0 /BaseFont /X >>";
    let reading = Desk::new(Limits::default(), workers())
        .read("odd.pdf", &page("BT /F1 12 Tf 72 720 Td <8b638d73> Tj ET", &[broken, descendant]));
    let reason = reading.map(|document| document.text).unwrap_err();
    assert!(matches!(&reason, SkipReason::Damaged { .. }), "{reason:?}");
    assert!(reason.to_string().contains("1 of its 1 pages"), "{reason}");
}

#[test]
fn asian_mail_and_fonts_of_rtf_are_read_in_their_encodings() {
    let mail = b"From: a@example.com\r\nSubject: x\r\nMIME-Version: 1.0\r\nContent-Type: text/plain; charset=ISO-2022-JP\r\n\r\n\
                 \x1b$B2q5D\x1b(B\r\n";
    assert!(text("ja.eml", mail).contains("会議"), "{}", text("ja.eml", mail));
    // A mailbox without an ending, as Thunderbird keeps them.
    let inbox = [b"From - Mon Jan 1 00:00:00 2026\r\nTo: b@example.com\r\n".as_slice(), mail].concat();
    assert!(text("Inbox", &inbox).contains("会議"));

    let rtf = br"{\rtf1\ansi\ansicpg1252{\fonttbl{\f0\fcharset0 Arial;}{\f1\fcharset204 Arial;}{\f2\fcharset128 MS;}}
\f0 plain {\f1 \'cf\'f0\'e8\'e2\'e5\'f2} {\f2 \'89\'ef\'8b\'63}{\deleted gone} end\par}";
    assert_eq!(text("charset.rtf", rtf), "plain Привет 会議 end");
}

#[test]
fn pictures_of_word_are_read_by_the_words_in_their_place() {
    let picture = |words: &str| {
        format!(
            r#"<w:r><w:drawing><wp:inline><wp:docPr id="1" name="Picture 1" descr="{words}"/><pic:cNvPr descr="{words}"/></wp:inline></w:drawing></w:r>"#
        )
    };
    let body = format!(
        "<w:p>{}<w:r><w:t>The pier</w:t></w:r></w:p><w:p>{}</w:p><w:tbl><w:tr><w:tc><w:p>{}</w:p></w:tc></w:tr></w:tbl>",
        picture("A lantern &amp; a boat"),
        picture(""),
        picture("In stock"),
    );
    assert_eq!(text("pier.docx", &docx(&body)), "A lantern & a boat\n\nThe pier\n\nIn stock");
}

#[test]
fn letterheads_of_word_are_read_once() {
    let part = |kind: &str, text: &str| {
        format!(r#"<w:{kind} xmlns:w="x"><w:p><w:r><w:t>{text}</w:t></w:r></w:p></w:{kind}>"#)
    };
    let links = relations(&[
        ("r1", "header", "header1.xml"),
        ("r2", "header", "header2.xml"),
        ("r3", "footer", "footer1.xml"),
    ]);
    let bytes = zipped(&[
        ("_rels/.rels", relations(&[("r1", "officeDocument", "word/document.xml")]).as_bytes()),
        ("word/_rels/document.xml.rels", links.as_bytes()),
        ("word/document.xml", part("document", "Dear Ada,").as_bytes()),
        ("word/header1.xml", part("hdr", "File AZ-4711").as_bytes()),
        ("word/header2.xml", part("hdr", "File AZ-4711").as_bytes()),
        ("word/footer1.xml", part("ftr", "Larkweir Ltd").as_bytes()),
    ]);
    let found = text("letter.docx", &bytes);
    assert_eq!(found.matches("AZ-4711").count(), 1, "{found}");
    assert!(found.contains("Dear Ada,") && found.contains("Larkweir Ltd"), "{found}");
}

#[test]
fn columns_are_named_below_a_title_and_by_years() {
    let sheet = rows(&[
        &["Turnover of all branches"],
        &["as of May"],
        &["Region", "2021", "2022"],
        &["North", "250", "500"],
    ]);
    let document =
        Desk::new(Limits::default(), workers()).read("years.xlsx", &xlsx("Sums", "A1:C4", &sheet)).unwrap();
    let last = document.blocks.last().unwrap();
    assert_eq!(last.headings, ["Sums", "columns: Region, 2021, 2022"], "{:?}", document.blocks);
    assert!(last.span.of(&document.text).unwrap().contains("North | 250 | 500"));
}
