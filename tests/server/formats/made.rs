//! Documents, made as programs make them, and as nobody should.

use std::fmt::Write as _;
use std::io::Write as _;

use zip::write::SimpleFileOptions;

/// A zip file of these parts.
pub fn zipped(parts: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in parts {
        writer.start_file(*name, SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

/// A PDF with a page for each text, a line for each line of it; an empty text draws nothing.
pub fn pdf(pages: &[&str]) -> Vec<u8> {
    let mut objects = vec!["<< /Type /Catalog /Pages 2 0 R >>".to_owned(), String::new()];
    objects
        .push("<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica /Encoding /WinAnsiEncoding >>".to_owned());
    let mut kids = String::new();
    for text in pages {
        let mut drawn = String::from("BT /F1 12 Tf 14 TL 72 720 Td\n");
        for line in text.lines() {
            let _ = writeln!(
                drawn,
                "({}) Tj T*",
                line.replace('\\', "\\\\").replace('(', "\\(").replace(')', "\\)")
            );
        }
        drawn.push_str("ET");
        objects.push(format!("<< /Length {} >>\nstream\n{drawn}\nendstream", drawn.len()));
        objects.push(format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 612 792] /Resources << /Font << /F1 3 0 R >> >> /Contents {} 0 R >>",
            objects.len()
        ));
        let _ = write!(kids, "{} 0 R ", objects.len());
    }
    objects[1] = format!("<< /Type /Pages /Kids [{kids}] /Count {} >>", pages.len());
    pdf_of(&objects)
}

/// A PDF of these objects, the first of which is its root.
pub fn pdf_of(objects: &[String]) -> Vec<u8> {
    let mut text = String::from("%PDF-1.4\n");
    let mut places = Vec::new();
    for (idx, object) in objects.iter().enumerate() {
        places.push(text.len());
        let _ = write!(text, "{} 0 obj\n{object}\nendobj\n", idx + 1);
    }
    let table = text.len();
    let _ = write!(text, "xref\n0 {}\n0000000000 65535 f \n", objects.len() + 1);
    for place in places {
        let _ = writeln!(text, "{place:010} 00000 n ");
    }
    let _ =
        write!(text, "trailer\n<< /Size {} /Root 1 0 R >>\nstartxref\n{table}\n%%EOF\n", objects.len() + 1);
    text.into_bytes()
}

const TYPES: &[u8] = br#"<?xml version="1.0"?><Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"><Default Extension="xml" ContentType="application/xml"/></Types>"#;

/// What a part of an office file points at: id, kind, target.
pub fn relations(list: &[(&str, &str, &str)]) -> String {
    let mut text = String::from(
        r#"<?xml version="1.0"?><Relationships xmlns="http://schemas.openxmlformats.org/package/2006/relationships">"#,
    );
    for (id, kind, target) in list {
        let _ = write!(
            text,
            r#"<Relationship Id="{id}" Type="http://schemas.openxmlformats.org/officeDocument/2006/relationships/{kind}" Target="{target}"/>"#
        );
    }
    text + "</Relationships>"
}

/// A Word document whose body is this XML.
pub fn docx(body: &str) -> Vec<u8> {
    docx_of(&format!(
        r#"<?xml version="1.0"?><w:document xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main"><w:body>{body}</w:body></w:document>"#
    ))
}

/// A Word document whose main part is this text.
pub fn docx_of(main: &str) -> Vec<u8> {
    let styles =
        r#"<w:styles xmlns:w="x"><w:style w:styleId="H1"><w:name w:val="heading 1"/></w:style></w:styles>"#;
    zipped(&[
        ("[Content_Types].xml", TYPES),
        ("_rels/.rels", relations(&[("r1", "officeDocument", "word/document.xml")]).as_bytes()),
        ("word/_rels/document.xml.rels", relations(&[("r1", "styles", "styles.xml")]).as_bytes()),
        ("word/styles.xml", styles.as_bytes()),
        ("word/document.xml", main.as_bytes()),
    ])
}

/// A paragraph of a Word document; a heading where `style` is `H1`.
pub fn paragraph(style: &str, text: &str) -> String {
    format!(r#"<w:p><w:pPr><w:pStyle w:val="{style}"/></w:pPr><w:r><w:t>{text}</w:t></w:r></w:p>"#)
}

/// A workbook with one sheet of this name and these cells, as XML.
pub fn xlsx(sheet: &str, dimension: &str, rows: &str) -> Vec<u8> {
    let workbook = format!(
        r#"<workbook xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main" xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"><sheets><sheet name="{sheet}" sheetId="1" r:id="r1"/></sheets></workbook>"#
    );
    let cells = format!(
        r#"<worksheet xmlns="http://schemas.openxmlformats.org/spreadsheetml/2006/main"><dimension ref="{dimension}"/><sheetData>{rows}</sheetData></worksheet>"#
    );
    zipped(&[
        ("[Content_Types].xml", TYPES),
        ("_rels/.rels", relations(&[("r1", "officeDocument", "xl/workbook.xml")]).as_bytes()),
        ("xl/_rels/workbook.xml.rels", relations(&[("r1", "worksheet", "worksheets/sheet1.xml")]).as_bytes()),
        ("xl/workbook.xml", workbook.as_bytes()),
        ("xl/worksheets/sheet1.xml", cells.as_bytes()),
    ])
}

/// Rows of text cells, from the first row and column on.
pub fn rows(rows: &[&[&str]]) -> String {
    let mut text = String::new();
    for (row, cells) in rows.iter().enumerate() {
        let _ = write!(text, r#"<row r="{}">"#, row + 1);
        for (column, cell) in cells.iter().enumerate() {
            let name = char::from(b'A' + column as u8);
            let _ = write!(text, r#"<c r="{name}{}" t="inlineStr"><is><t>{cell}</t></is></c>"#, row + 1);
        }
        text.push_str("</row>");
    }
    text
}

/// A presentation with a title, a text and notes on each slide.
pub fn pptx(slides: &[(&str, &str, &str)]) -> Vec<u8> {
    let mut parts: Vec<(String, String)> = vec![
        ("[Content_Types].xml".to_owned(), String::from_utf8_lossy(TYPES).into_owned()),
        ("_rels/.rels".to_owned(), relations(&[("r1", "officeDocument", "ppt/presentation.xml")])),
    ];
    let (mut list, mut targets) = (String::new(), Vec::new());
    for (idx, (title, text, notes)) in slides.iter().enumerate() {
        let number = idx + 1;
        let _ = write!(list, r#"<p:sldId id="{}" r:id="r{number}"/>"#, 255 + number);
        targets.push((format!("r{number}"), format!("slides/slide{number}.xml")));
        let shape = |role: &str, text: &str| {
            format!(
                r#"<p:sp><p:nvSpPr><p:nvPr><p:ph{role}/></p:nvPr></p:nvSpPr><p:txBody><a:p><a:r><a:t>{text}</a:t></a:r></a:p></p:txBody></p:sp>"#
            )
        };
        let slide = format!("<p:sld>{}{}</p:sld>", shape(r#" type="title""#, title), shape("", text));
        parts.push((format!("ppt/slides/slide{number}.xml"), slide));
        parts.push((
            format!("ppt/slides/_rels/slide{number}.xml.rels"),
            relations(&[("n", "notesSlide", &format!("../notesSlides/notes{number}.xml"))]),
        ));
        parts.push((
            format!("ppt/notesSlides/notes{number}.xml"),
            format!("<p:notes>{}</p:notes>", shape(r#" type="body""#, notes)),
        ));
    }
    let targets: Vec<(&str, &str, &str)> =
        targets.iter().map(|(id, target)| (id.as_str(), "slide", target.as_str())).collect();
    parts.push(("ppt/_rels/presentation.xml.rels".to_owned(), relations(&targets)));
    parts.push((
        "ppt/presentation.xml".to_owned(),
        format!("<p:presentation><p:sldIdLst>{list}</p:sldIdLst></p:presentation>"),
    ));
    let parts: Vec<(&str, &[u8])> =
        parts.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
    zipped(&parts)
}

/// A book with these chapters.
pub fn epub(chapters: &[(&str, &str)]) -> Vec<u8> {
    let (mut items, mut spine) = (String::new(), String::new());
    let mut parts: Vec<(String, String)> = vec![("mimetype".to_owned(), "application/epub+zip".to_owned())];
    for (idx, (title, text)) in chapters.iter().enumerate() {
        let _ = write!(items, r#"<item id="c{idx}" href="c{idx}.xhtml"/>"#);
        let _ = write!(spine, r#"<itemref idref="c{idx}"/>"#);
        parts.push((
            format!("OPS/c{idx}.xhtml"),
            format!("<html><body><h1>{title}</h1><p>{text}</p></body></html>"),
        ));
    }
    parts.push((
        "META-INF/container.xml".to_owned(),
        r#"<container><rootfiles><rootfile full-path="OPS/p.opf"/></rootfiles></container>"#.to_owned(),
    ));
    parts.push((
        "OPS/p.opf".to_owned(),
        format!("<package><metadata/><manifest>{items}</manifest><spine>{spine}</spine></package>"),
    ));
    let parts: Vec<(&str, &[u8])> =
        parts.iter().map(|(name, text)| (name.as_str(), text.as_bytes())).collect();
    zipped(&parts)
}

/// A mail with one attachment.
pub fn eml(subject: &str, text: &str, attached: (&str, &str)) -> Vec<u8> {
    let (name, content) = attached;
    format!(
        "From: Ada <ada@example.com>\r\nTo: bo@example.com\r\nSubject: {subject}\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\n{text}\r\n\
         --b\r\nContent-Type: text/plain; name=\"{name}\"\r\nContent-Disposition: attachment; filename=\"{name}\"\r\n\r\n\
         {content}\r\n--b--\r\n"
    )
    .into_bytes()
}
