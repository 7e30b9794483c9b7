//! What comes with mails, and what is only called one.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;
use waypost_engine::text::{Document, Kind, Limits};

use super::beside::{headings, place};
use super::made::{eml, pdf, zipped};
use super::{Desk, best, check_verifies, serve, workers};

#[track_caller]
fn read(name: &str, bytes: &[u8]) -> Document {
    let read = Desk::new(Limits::default(), workers()).read(name, bytes);
    read.unwrap_or_else(|reason| panic!("{name}: {reason}"))
}

/// A mail whose one attachment has these headers and this body.
fn with_part(headers: &str, body: &str) -> Vec<u8> {
    format!(
        "From: bo@example.com\r\nTo: cy@example.com\r\nSubject: Fwd\r\nMIME-Version: 1.0\r\n\
         Content-Type: multipart/mixed; boundary=outer\r\n\r\n--outer\r\nContent-Type: text/plain\r\n\r\nSee below.\r\n\
         --outer\r\n{headers}\r\n\r\n{body}\r\n--outer--\r\n"
    )
    .into_bytes()
}

#[test]
fn what_came_with_a_mail_in_a_mail_is_named_by_the_way_to_it() {
    let inner =
        String::from_utf8(eml("Lunch", "Bring the rhubarb.", ("list.txt", "Also the quinces."))).unwrap();
    let headers = "Content-Type: message/rfc822\r\nContent-Disposition: attachment; filename=\"lunch.eml\"";
    let document = read("fwd.eml", &with_part(headers, &inner));
    assert_eq!(place(&document, "See below"), "message 1");
    assert_eq!(place(&document, "rhubarb"), "message 1, lunch.eml");
    assert_eq!(place(&document, "quinces"), "message 1, lunch.eml/list.txt");
    assert_eq!(headings(&document, "quinces"), "Fwd > lunch.eml > Lunch > list.txt");
}

#[test]
fn the_pages_of_what_came_with_a_mail_are_told_apart() {
    let report = pdf(&["A harbour of lanterns.", "The gondola sleeps.", ""]);
    let headers = "Content-Type: application/pdf; name=\"ok.pdf\"\r\nContent-Transfer-Encoding: base64\r\n\
                   Content-Disposition: attachment; filename=\"ok.pdf\"";
    let mail = with_part(headers, &STANDARD.encode(report));
    let document = read("a.eml", &mail);
    assert_eq!(place(&document, "lanterns"), "message 1, ok.pdf, page 1");
    assert_eq!(place(&document, "gondola"), "message 1, ok.pdf, page 2");
    let warning = "attachment `ok.pdf`: page 3 holds no text, perhaps a scan";
    assert!(document.warnings.iter().any(|found| found == warning), "{:?}", document.warnings);
    let server = serve(&[("a.eml", mail)], false);
    let citation = best(&server, "gondola");
    let place = ["message", "attachment", "page"].map(|field| citation[field].clone());
    assert_eq!(place, [json!(1), json!("ok.pdf"), json!(2)], "{citation}");
    assert!(!citation["quote"].as_str().unwrap().contains("lanterns"), "{citation}");
    check_verifies(&server, &citation);
}

#[test]
fn an_archive_that_came_with_a_mail_is_known_by_the_names_in_it() {
    let things = zipped(&[("deep/velocipede.txt", b"It waits."), ("photo.png", b"\x89PNG")]);
    let headers = "Content-Type: application/zip; name=\"things.zip\"\r\nContent-Transfer-Encoding: base64\r\n\
                   Content-Disposition: attachment; filename=\"things.zip\"";
    let document = read("a.eml", &with_part(headers, &STANDARD.encode(things)));
    assert!(document.text.contains("deep/velocipede.txt\nphoto.png"), "{}", document.text);
    assert_eq!(place(&document, "velocipede"), "message 1, things.zip");
    assert!(document.warnings.join("\n").contains("attachment `things.zip`"), "{:?}", document.warnings);
    assert!(!document.text.contains("It waits."), "{}", document.text);
}

#[test]
fn a_text_that_is_only_called_a_mail_is_read_as_a_text() {
    for name in ["notes.eml", "notes.mbox"] {
        let document = read(name, b"The velocipede waits.\n\nNote: buy milk.\n");
        assert_eq!(document.kind, Kind::Plain, "{name}");
        assert!(document.verbatim && document.text.contains("velocipede"), "{name}: {}", document.text);
    }
    assert_eq!(read("a.eml", &eml("Lunch", "Words.", ("a.txt", "More."))).kind, Kind::Mail);
}
