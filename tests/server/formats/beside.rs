//! What stands beside the running text of a document: notes, comments, boxes, heads and feet, values of forms; and what a
//! reader would pass over without a word.

use std::io::Write as _;

use waypost_engine::text::{BlockKind, Document, Limits, SkipReason};
use zip::CompressionMethod;
use zip::unstable::write::FileOptionsExt;
use zip::write::SimpleFileOptions;

use super::made::{docx, eml, paragraph, pdf, pdf_of, relations, zipped};
use super::{Desk, workers};

fn desk() -> Desk {
    Desk::new(Limits { archives: true, ..Limits::default() }, workers())
}

#[track_caller]
fn read(name: &str, bytes: &[u8]) -> Document {
    desk().read(name, bytes).unwrap_or_else(|reason| panic!("{name}: {reason}"))
}

/// Whether a document says this in this order, whatever stands between.
#[track_caller]
fn check_order(document: &Document, words: &[&str]) {
    let mut rest = document.text.as_str();
    for word in words {
        let at = rest.find(word).unwrap_or_else(|| panic!("{word:?} in {:?}", document.text));
        rest = &rest[at + word.len()..];
    }
}

/// The places of the text that holds these words, as a person would name them.
#[track_caller]
pub(super) fn place(document: &Document, words: &str) -> String {
    let at = document.text.find(words).unwrap_or_else(|| panic!("{words:?} in {:?}", document.text));
    let entry = document.located.iter().find(|entry| entry.span.start <= at && at < entry.span.end);
    entry.map(|entry| entry.location.to_string()).unwrap_or_default()
}

/// The headings over the block that holds these words.
#[track_caller]
pub(super) fn headings(document: &Document, words: &str) -> String {
    let at = document.text.find(words).unwrap_or_else(|| panic!("{words:?} in {:?}", document.text));
    let block = document.blocks.iter().find(|block| block.span.start <= at && at < block.span.end);
    block.map(|block| block.headings.join(" > ")).unwrap_or_default()
}

/// Notes of two cells.
const NOTES: &str = r#"<comments><commentList><comment ref="A2" authorId="0"><text><r><t>Ask </t></r><r><t>Ada.</t></r></text></comment><comment ref="B2" authorId="0"><text><t>Your version of Excel</t></text></comment></commentList></comments>"#;

/// A workbook with two sheets, the second of which is hidden; formats, a note, an answered comment, a box and a chart.
fn workbook() -> Vec<u8> {
    workbook_with(NOTES)
}

/// With these notes.
fn workbook_with(notes: &str) -> Vec<u8> {
    let workbook = r#"<workbook xmlns:r="r"><sheets><sheet name="Shares" sheetId="1" r:id="r1"/><sheet name="Old" sheetId="2" state="hidden" r:id="r2"/></sheets></workbook>"#;
    let styles = r#"<styleSheet><numFmts count="1"><numFmt numFmtId="164" formatCode="0.0%"/></numFmts><cellXfs count="3"><xf numFmtId="0"/><xf numFmtId="9"/><xf numFmtId="164"/></cellXfs></styleSheet>"#;
    let text = |at: &str, text: &str| format!(r#"<c r="{at}" t="inlineStr"><is><t>{text}</t></is></c>"#);
    let sheet = |rows: &str| format!("<worksheet><sheetData>{rows}</sheetData></worksheet>");
    let shares = format!(
        r#"<row r="1">{}{}{}</row><row r="2">{}<c r="B2" s="1"><v>0.15</v></c><c r="C2"><f>B2*2</f></c></row><row r="3">{}<c r="B3" s="2"><f>B2/2</f><v>0.075</v></c></row>"#,
        text("A1", "Branch"),
        text("B1", "Share"),
        text("C1", "Twice"),
        text("A2", "North"),
        text("A3", "South"),
    );
    let threads = r#"<ThreadedComments><threadedComment ref="B2" id="1"><text>Is it net?</text></threadedComment><threadedComment ref="B2" id="2" parentId="1"><text>It is.</text></threadedComment></ThreadedComments>"#;
    let corner = |name: &str, at: u32| {
        format!("<xdr:{name}><xdr:col>{at}</xdr:col><xdr:row>{at}</xdr:row></xdr:{name}>")
    };
    let anchor = |inner: &str| {
        format!("<xdr:twoCellAnchor>{}{}{inner}</xdr:twoCellAnchor>", corner("from", 4), corner("to", 6))
    };
    let drawing = format!(
        r#"<xdr:wsDr xmlns:r="r">{}{}</xdr:wsDr>"#,
        anchor(
            "<xdr:sp><xdr:txBody><a:p><a:r><a:t>Provisional figures</a:t></a:r></a:p></xdr:txBody></xdr:sp>"
        ),
        anchor(r#"<xdr:graphicFrame><c:chart r:id="c1"/></xdr:graphicFrame>"#),
    );
    let chart = "<c:chartSpace><c:chart><c:title><c:tx><c:rich><a:p><a:r><a:t>Shares by branch</a:t></a:r></a:p></c:rich></c:tx></c:title><c:plotArea><c:barChart><c:ser><c:val><c:numRef><c:numCache><c:pt><c:v>0.15</c:v></c:pt></c:numCache></c:numRef></c:val></c:ser></c:barChart></c:plotArea></c:chart></c:chartSpace>";
    let parts = [
        ("_rels/.rels", relations(&[("r1", "officeDocument", "xl/workbook.xml")])),
        (
            "xl/_rels/workbook.xml.rels",
            relations(&[
                ("r1", "worksheet", "worksheets/sheet1.xml"),
                ("r2", "worksheet", "worksheets/sheet2.xml"),
                ("r3", "styles", "styles.xml"),
            ]),
        ),
        ("xl/workbook.xml", workbook.to_owned()),
        ("xl/styles.xml", styles.to_owned()),
        ("xl/worksheets/sheet1.xml", sheet(&shares)),
        (
            "xl/worksheets/sheet2.xml",
            sheet(&format!(r#"<row r="1">{}</row>"#, text("A1", "Forgotten words"))),
        ),
        (
            "xl/worksheets/_rels/sheet1.xml.rels",
            relations(&[
                ("n1", "comments", "../comments1.xml"),
                ("n2", "threadedComment", "../threadedComments/threadedComment1.xml"),
                ("d1", "drawing", "../drawings/drawing1.xml"),
            ]),
        ),
        ("xl/comments1.xml", notes.to_owned()),
        ("xl/threadedComments/threadedComment1.xml", threads.to_owned()),
        ("xl/drawings/drawing1.xml", drawing),
        ("xl/drawings/_rels/drawing1.xml.rels", relations(&[("c1", "chart", "../charts/chart1.xml")])),
        ("xl/charts/chart1.xml", chart.to_owned()),
    ];
    let parts: Vec<(&str, &[u8])> = parts.iter().map(|(name, text)| (*name, text.as_bytes())).collect();
    zipped(&parts)
}

#[test]
fn a_workbook_shows_percent_and_formulas_without_values_and_names_hidden_sheets() {
    let document = read("shares.xlsx", &workbook());
    check_order(&document, &["North | 15% | =B2*2", "South | 7.5%", "Forgotten words"]);
    let warnings = document.warnings.join("\n");
    assert!(warnings.contains("sheet `Shares`: formulas without a stored value"), "{warnings}");
    assert!(warnings.contains("sheet `Old` is hidden"), "{warnings}");
    assert_eq!(headings(&document, "North"), "Shares > columns: Branch, Share, Twice");
}

#[test]
fn what_is_pinned_to_the_cells_of_a_workbook_is_read_with_its_cells() {
    let document = read("shares.xlsx", &workbook());
    for (words, at) in [
        ("Ask Ada.", "sheet Shares, A2"),
        ("Is it net?", "sheet Shares, B2"),
        ("It is.", "sheet Shares, B2"),
        ("Provisional figures", "sheet Shares, E5:G7"),
        ("bar chart | Shares by branch", "sheet Shares, E5:G7"),
    ] {
        assert_eq!(place(&document, words), at, "{words}");
    }
    assert!(!document.text.contains("Your version of Excel"), "{}", document.text);
    assert_eq!(headings(&document, "Ask Ada."), "Shares > Notes");
    // A part that is broken costs itself alone.
    let broken = read("shares.xlsx", &workbook_with("<comments><commentList><comment ref=\"A2\"><text"));
    assert!(broken.text.contains("North") && !broken.text.contains("Ask Ada."), "{}", broken.text);
    assert!(broken.warnings.join("\n").contains("can't be read"), "{:?}", broken.warnings);
}

#[test]
fn footnotes_tables_and_boxes_of_rtf_stand_in_their_places() {
    let rtf = br"{\rtf1\ansi{\stylesheet{\s1\intbl Normal;}}
{\header\pard Larkweir Ltd\par}
\pard The first line{\super\chftn}{\footnote\pard {\super\chftn} A note on it.} goes on{\*\annotation\pard Is that so?}.\par
\trowd\cellx1000\cellx2000\pard\intbl Name\par and more\cell Sum\cell\row
\trowd\cellx1000\cellx2000\pard\intbl \cell 12\cell\row
\pard After{\shp{\*\shpinst\shpleft0{\sp{\sn shapeType}{\sv 202}}{\shptxt\pard Words in a box.\par}}{\shprslt{\*\do{\dptxbxtext\pard Words in a box.\par}}}} the table.\par
{\header\pard Larkweir Ltd\par}}";
    let document = read("letter.rtf", rtf);
    let expected = [
        "The first line goes on.",
        "A note on it.",
        "Is that so?",
        "Name and more | Sum\n | 12",
        "After the table.",
        "Words in a box.",
        "Larkweir Ltd",
    ];
    assert_eq!(document.text, expected.join("\n\n"));
    let kinds: Vec<BlockKind> = document.blocks.iter().map(|block| block.kind).collect();
    assert_eq!(kinds[3], BlockKind::Table);
    assert_eq!(headings(&document, "Larkweir"), "Headers");
}

/// An OpenDocument file, with its type first and as it is, as the standard demands.
fn open_document(kind: &str, parts: &[(&str, &str)]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let stored = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    writer.start_file("mimetype", stored).unwrap();
    write!(writer, "application/vnd.oasis.opendocument.{kind}").unwrap();
    for (name, text) in parts {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(text.as_bytes()).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// The same document as parts and in one piece.
fn open_documents(kind: &str, master: &str, body: &str) -> [Vec<u8>; 2] {
    let content =
        format!("<office:document-content><office:body>{body}</office:body></office:document-content>");
    let styles = format!(
        "<office:document-styles><office:master-styles>{master}</office:master-styles></office:document-styles>"
    );
    let flat = format!(
        r#"<?xml version="1.0" encoding="UTF-8"?>
<office:document xmlns:office="urn:oasis:names:tc:opendocument:xmlns:office:1.0" office:mimetype="application/vnd.oasis.opendocument.{kind}"><office:meta/><office:master-styles>{master}</office:master-styles><office:body>{body}</office:body></office:document>"#
    );
    [open_document(kind, &[("content.xml", &content), ("styles.xml", &styles)]), flat.into_bytes()]
}

#[test]
fn notes_comments_lists_heads_and_feet_of_open_text_are_read_in_order() {
    let master = r#"<style:master-page><style:header><text:p>Larkweir Ltd</text:p></style:header><style:header-first><text:p>Larkweir Ltd</text:p></style:header-first><style:footer style:display="false"><text:p>never shown</text:p></style:footer></style:master-page>"#;
    let body = r#"<office:text><text:h text:outline-level="1">Report</text:h><text:p>Larks sing<text:note text:note-class="footnote"><text:note-citation>1</text:note-citation><text:note-body><text:p>Since 1901.</text:p></text:note-body></text:note> at dawn<office:annotation><dc:creator>Ada</dc:creator><dc:date>2026-01-01</dc:date><text:p>Is that so?</text:p></office:annotation>.</text:p><text:list><text:list-item><text:p>Bring seed</text:p><text:p>and water</text:p></text:list-item><text:list-item><text:p>Wait</text:p></text:list-item></text:list></office:text>"#;
    let expected = "Report\n\nLarks sing at dawn.\n\nSince 1901.\n\nIs that so?\n\n- Bring seed\nand water\n- Wait\nLarkweir Ltd";
    for (name, bytes) in ["a.odt", "a.fodt"].iter().zip(open_documents("text", master, body)) {
        let document = read(name, &bytes);
        assert_eq!(document.text, expected, "{name}");
        assert_eq!(headings(&document, "Since 1901."), "Report");
    }
}

#[test]
fn slides_and_drawings_of_open_document_are_places_with_titles_and_notes() {
    let page = |title: &str, text: &str, notes: &str| {
        format!(
            r#"<draw:page draw:name="page1"><draw:frame presentation:class="title"><draw:text-box><text:p>{title}</text:p></draw:text-box></draw:frame><draw:custom-shape><text:p>{text}</text:p></draw:custom-shape><presentation:notes><draw:frame presentation:class="notes"><draw:text-box><text:p>{notes}</text:p></draw:text-box></draw:frame><draw:frame presentation:class="page-number"><draw:text-box><text:p>99</text:p></draw:text-box></draw:frame></presentation:notes></draw:page>"#
        )
    };
    let pages = page("Plans", "We buy a lighthouse.", "Ask the captain.") + &page("Costs", "The budget.", "");
    let body = format!("<office:presentation>{pages}</office:presentation>");
    for (name, bytes) in ["a.odp", "a.fodp"].iter().zip(open_documents("presentation", "", &body)) {
        let document = read(name, &bytes);
        check_order(
            &document,
            &["Plans", "We buy a lighthouse.", "Ask the captain.", "Costs", "The budget."],
        );
        assert_eq!(place(&document, "captain"), "slide 1", "{name}");
        assert_eq!(headings(&document, "captain"), "Plans > Notes", "{name}");
        assert_eq!(place(&document, "budget"), "slide 2", "{name}");
        assert!(!document.text.contains("99"), "{name}: {}", document.text);
    }
    let body = r#"<office:drawing><draw:page draw:name="Plan"><draw:custom-shape><text:p>The pump room</text:p></draw:custom-shape></draw:page></office:drawing>"#;
    for (name, bytes) in ["a.odg", "a.fodg"].iter().zip(open_documents("graphics", "", body)) {
        let document = read(name, &bytes);
        assert_eq!(document.text, "The pump room", "{name}");
        assert_eq!(place(&document, "pump"), "page 1", "{name}");
        assert!(document.mime_type.starts_with("application/vnd.oasis.opendocument.graphics"), "{name}");
    }
}

#[test]
fn sheets_of_open_document_show_what_people_see() {
    let body = r#"<office:spreadsheet><table:table table:name="Shares"><table:table-row><table:table-cell office:value-type="string"><text:p>Branch</text:p></table:table-cell><table:table-cell office:value-type="string"><text:p>Share</text:p></table:table-cell></table:table-row><table:table-row table:number-rows-repeated="2"><table:table-cell office:value-type="string"><text:p>North</text:p><office:annotation><dc:creator>Ada</dc:creator><text:p>Ask Bo.</text:p></office:annotation></table:table-cell><table:table-cell office:value-type="percentage" office:value="0.15"><text:p>15%</text:p></table:table-cell><table:table-cell table:formula="of:=[.B2]*2"/><table:table-cell office:value-type="date" office:date-value="2026-01-31T00:00:00"><text:p>31.1.26</text:p></table:table-cell></table:table-row><table:table-row table:number-rows-repeated="1048000"><table:table-cell table:number-columns-repeated="16384"/></table:table-row></table:table></office:spreadsheet>"#;
    for (name, bytes) in ["a.ods", "a.fods"].iter().zip(open_documents("spreadsheet", "", body)) {
        let document = read(name, &bytes);
        let row = "North | 15% | =B2*2 | 2026-01-31";
        check_order(&document, &["Branch | Share", row, row, "A2: Ask Bo."]);
        assert_eq!(place(&document, row), "sheet Shares, A2:D2", "{name}");
        assert_eq!(place(&document, "Ask Bo."), "sheet Shares, A2", "{name}");
        assert!(document.warnings.join("\n").contains("formulas without a stored value"), "{name}");
    }
}

/// A mail with a text and a page that say the same, or should.
fn alternatives(plain: &str, page: &str) -> Vec<u8> {
    format!(
        "From: a@example.com\r\nTo: b@example.com\r\nSubject: x\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/alternative; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n{plain}\r\n\
         --b\r\nContent-Type: text/html\r\n\r\n{page}\r\n--b--\r\n"
    )
    .into_bytes()
}

#[test]
fn a_stub_beside_a_page_gives_way_to_it() {
    let page =
        "<html><body><p>The rhubarb is ripe, so come on Sunday and bring a basket for it.</p></body></html>";
    for stub in [
        "Your mail client does not support HTML messages.",
        "",
        "View it: https://example.com/a/long/address",
    ] {
        let document = read("a.eml", &alternatives(stub, page));
        assert!(document.text.contains("rhubarb"), "{stub}: {}", document.text);
    }
    let document = read("a.eml", &alternatives("The rhubarb is ripe. Come on Sunday.", page));
    assert!(
        document.text.contains("Come on Sunday.") && !document.text.contains("basket"),
        "{}",
        document.text
    );
}

#[test]
fn what_came_in_an_archive_keeps_its_pages_and_cells() {
    let report = pdf(&["A harbour of lanterns.", "", "The gondola sleeps."]);
    let inner = zipped(&[("deep/report.pdf", &report)]);
    let document = read("a.zip", &zipped(&[("inner.zip", &inner), ("shares.xlsx", &workbook())]));
    assert_eq!(place(&document, "lanterns"), "entry inner.zip/deep/report.pdf, page 1");
    assert_eq!(place(&document, "gondola"), "entry inner.zip/deep/report.pdf, page 3");
    assert_eq!(place(&document, "North"), "entry shares.xlsx, sheet Shares, A2:C2");
    assert_eq!(headings(&document, "gondola"), "inner.zip > deep/report.pdf");
    let warnings = document.warnings.join("\n");
    let page = "entry `inner.zip`: entry `deep/report.pdf`: page 2 holds no text, perhaps a scan";
    assert!(warnings.contains(page), "{warnings}");
    let document = read("a.zip", &zipped(&[("a.eml", &eml("Lunch", "Bring it.", ("list.txt", "Quinces.")))]));
    assert!(headings(&document, "Quinces").starts_with("a.eml > "), "{}", headings(&document, "Quinces"));
}

#[test]
fn archives_under_a_password_say_so() {
    let locked = |plain: &[(&str, &str)]| {
        let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        writer
            .start_file(
                "secret.txt",
                SimpleFileOptions::default().with_deprecated_encryption(b"sesame").unwrap(),
            )
            .unwrap();
        writer.write_all(b"The vault is open.").unwrap();
        for (name, text) in plain {
            writer.start_file(*name, SimpleFileOptions::default()).unwrap();
            writer.write_all(text.as_bytes()).unwrap();
        }
        writer.finish().unwrap().into_inner()
    };
    assert_eq!(desk().read("a.zip", &locked(&[])), Err(SkipReason::Encrypted));
    let document = read("a.zip", &locked(&[("plain.txt", "Plain words.")]));
    assert!(document.text.contains("Plain words."), "{}", document.text);
    assert!(document.warnings.join("\n").contains("1 entries are encrypted"), "{:?}", document.warnings);
}

#[test]
fn remarks_and_values_of_forms_in_a_pdf_are_read_on_their_page() {
    let objects = [
        "<< /Type /Catalog /Pages 2 0 R /AcroForm << /Fields [6 0 R 7 0 R 8 0 R] >> >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 5 0 R >> >> /Contents 4 0 R \
         /Annots [6 0 R 7 0 R 8 0 R 9 0 R << /Type /Annot /Subtype /Text /Rect [0 0 9 9] /Contents (Please check.) >>] >>",
        "<< /Length 43 >>\nstream\nBT /F1 12 Tf 72 720 Td (Request form) Tj ET\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>",
        "<< /Type /Annot /Subtype /Widget /Rect [0 0 9 9] /FT /Tx /T (name) /TU (Your name) /V <FEFF004100640061> >>",
        "<< /Type /Annot /Subtype /Widget /Rect [0 0 9 9] /FT /Btn /T (agreed) /V /Yes >>",
        "<< /Type /Annot /Subtype /Widget /Rect [0 0 9 9] /FT /Tx /Ff 8192 /T (code) /V (hidden1) >>",
        "<< /Type /Annot /Subtype /FreeText /Rect [0 0 9 9] /Contents (Typed over the page) >>",
    ];
    let document = read("form.pdf", &pdf_of(&objects.map(str::to_owned)));
    let expected = ["Request form", "Typed over the page", "Please check.", "Your name: Ada\nagreed: Yes"];
    assert_eq!(document.text, expected.join("\n\n"));
    assert_eq!(place(&document, "Ada"), "page 1");
}

#[test]
fn heads_that_run_through_a_pdf_are_read_once() {
    let texts: Vec<String> =
        (1..=6).map(|page| format!("Larkweir Ltd\n\n\n\n\nChapter text {page}{page}.")).collect();
    let pages: Vec<&str> = texts.iter().map(String::as_str).collect();
    let document = read("report.pdf", &pdf(&pages));
    assert_eq!(document.text.matches("Larkweir Ltd").count(), 1, "{}", document.text);
    assert_eq!(document.text.matches("Chapter text").count(), 6, "{}", document.text);
}

/// The data of a diagram with these points.
fn diagram(points: &[&str]) -> String {
    let point = |text: &&str| {
        format!(r#"<dgm:pt><dgm:t><a:bodyPr/><a:p><a:r><a:t>{text}</a:t></a:r></a:p></dgm:t></dgm:pt>"#)
    };
    format!(
        "<dgm:dataModel><dgm:ptLst>{}</dgm:ptLst></dgm:dataModel>",
        points.iter().map(point).collect::<String>()
    )
}

#[test]
fn headings_of_a_word_document_without_styles_are_told_by_their_ids() {
    let body = format!("{}{}", paragraph("Heading1", "Terms"), paragraph("Normal", "Thirty days."));
    let main = format!(r#"<w:document xmlns:w="w"><w:body>{body}</w:body></w:document>"#);
    let bare = zipped(&[("word/document.xml", main.as_bytes())]);
    assert_eq!(headings(&read("bare.docx", &bare), "Thirty days."), "Terms");
}

#[test]
fn diagrams_boxes_and_comments_of_open_xml_are_read() {
    let body = r#"<w:p><w:r><w:t>Before</w:t></w:r><w:r><mc:AlternateContent><mc:Choice><w:txbxContent><w:p><w:r><w:t>In a box</w:t></w:r></w:p></w:txbxContent></mc:Choice><mc:Fallback><w:txbxContent><w:p><w:r><w:t>In a box</w:t></w:r></w:p></w:txbxContent></mc:Fallback></mc:AlternateContent></w:r></w:p>"#;
    assert_eq!(read("box.docx", &docx(body)).text, "In a box\n\nBefore");
    assert_eq!(read("plain.docx", &docx(&paragraph("H1", "Head"))).text, "Head");

    let data = diagram(&["Collect", "Sort"]);
    let document = r#"<w:document><w:body><w:p><w:r><w:t>Steps</w:t></w:r></w:p></w:body></w:document>"#;
    let bytes = zipped(&[
        ("_rels/.rels", relations(&[("r1", "officeDocument", "word/document.xml")]).as_bytes()),
        (
            "word/_rels/document.xml.rels",
            relations(&[("r1", "diagramData", "diagrams/data1.xml")]).as_bytes(),
        ),
        ("word/document.xml", document.as_bytes()),
        ("word/diagrams/data1.xml", data.as_bytes()),
    ]);
    assert_eq!(read("steps.docx", &bytes).text, "Steps\n\n- Collect\n- Sort");

    let slide = "<p:sld><p:sp><p:txBody><a:p><a:r><a:t>Steps</a:t></a:r></a:p></p:txBody></p:sp></p:sld>";
    let links =
        relations(&[("d", "diagramData", "../diagrams/data1.xml"), ("c", "comments", "../comments/c1.xml")]);
    let comments = "<p:cmLst><p:cm><p:text>Too short?</p:text></p:cm></p:cmLst>";
    let bytes = zipped(&[
        ("_rels/.rels", relations(&[("r1", "officeDocument", "ppt/presentation.xml")]).as_bytes()),
        ("ppt/_rels/presentation.xml.rels", relations(&[("r1", "slide", "slides/slide1.xml")]).as_bytes()),
        (
            "ppt/presentation.xml",
            br#"<p:presentation xmlns:r="r"><p:sldIdLst><p:sldId id="256" r:id="r1"/></p:sldIdLst></p:presentation>"#,
        ),
        ("ppt/slides/slide1.xml", slide.as_bytes()),
        ("ppt/slides/_rels/slide1.xml.rels", links.as_bytes()),
        ("ppt/diagrams/data1.xml", data.as_bytes()),
        ("ppt/comments/c1.xml", comments.as_bytes()),
    ]);
    let document = read("steps.pptx", &bytes);
    check_order(&document, &["Steps", "- Collect", "- Sort", "Too short?"]);
    assert_eq!(place(&document, "Sort"), "slide 1");
    assert_eq!(headings(&document, "Too short?"), "Comments");
}
