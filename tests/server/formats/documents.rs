use serde_json::{Value, json};

use super::made::{docx, eml, epub, paragraph, pdf, pptx, rows, xlsx, zipped};
use super::{best, check_verifies, serve};
use crate::support::Server;

fn office() -> Server {
    let body = paragraph("H1", "Kettles") + &paragraph("", "The copper kettle whistles at dawn.");
    let sheet = rows(&[&["Item", "Price"], &["teapot", "12"], &["saucer", "3"], &["strainer", "5"]]);
    serve(
        &[
            ("two.pdf", pdf(&["A harbour of lanterns.", "The gondola sleeps under the bridge."])),
            ("a.docx", docx(&body)),
            ("a.xlsx", xlsx("Stock", "A1:B4", &sheet)),
            (
                "a.pptx",
                pptx(&[
                    ("Plans", "We buy a lighthouse.", "Ask the zeppelin captain."),
                    ("Costs", "The marmalade budget.", ""),
                ]),
            ),
            ("a.epub", epub(&[("Morning", "The rooster complains."), ("Evening", "The nightjar replies.")])),
            ("a.eml", eml("Lunch", "Bring the rhubarb.", ("list.txt", "Also the quinces."))),
        ],
        false,
    )
}

#[test]
fn citations_name_the_place_that_a_person_would_turn_to() {
    let server = office();
    let cases: [(&str, &str, Value); 9] = [
        ("gondola", "/docs/two.pdf", json!({"page": 2})),
        ("lanterns", "/docs/two.pdf", json!({"page": 1})),
        ("kettle whistles", "/docs/a.docx", json!({"headings": ["Kettles"]})),
        ("saucer", "/docs/a.xlsx", json!({"sheet": "Stock"})),
        ("lighthouse", "/docs/a.pptx", json!({"slide": 1})),
        ("zeppelin", "/docs/a.pptx", json!({"slide": 1})),
        ("marmalade", "/docs/a.pptx", json!({"slide": 2})),
        ("nightjar", "/docs/a.epub", json!({"chapter": "Evening"})),
        ("quinces", "/docs/a.eml", json!({"message": 1, "attachment": "list.txt"})),
    ];
    for (query, path, place) in cases {
        let citation = best(&server, query);
        assert_eq!(citation["path"], path, "{query}: {citation}");
        for (field, value) in place.as_object().unwrap() {
            assert_eq!(citation[field], *value, "{query}: {citation}");
        }
        check_verifies(&server, &citation);
    }
    let plain = best(&server, "kettle whistles");
    for field in ["page", "slide", "sheet", "range", "chapter", "message"] {
        assert!(plain.get(field).is_none(), "{plain}");
    }
}

#[test]
fn rows_are_cited_by_their_cells_and_carry_the_names_of_their_columns() {
    let server = office();
    let whole = best(&server, "saucer");
    assert_eq!(whole["range"], "A1:B4", "{whole}");
    assert!(whole["headings"].to_string().contains("columns: Item, Price"), "{whole}");
    let quote = "saucer | 3";
    let at = whole["quote"].as_str().unwrap().find(quote).unwrap() as u64;
    let mut row = whole.clone();
    let start = whole["start_byte"].as_u64().unwrap() + at;
    (row["start_byte"], row["end_byte"]) = (start.into(), (start + quote.len() as u64).into());
    (row["quote"], row["range"]) = (quote.into(), "A3:B3".into());
    check_verifies(&server, &row);
}

#[test]
fn a_citation_is_found_again_on_its_new_page() {
    let server = serve(&[("a.pdf", pdf(&["The gondola sleeps."]))], false);
    let citation = best(&server, "gondola");
    std::fs::write(server.folder.path().join("docs/a.pdf"), pdf(&["A preface.", "The gondola sleeps."]))
        .unwrap();
    let answer = server.post("/v1/citations/verify", &json!({"citations": [citation]})).text();
    assert!(answer.contains(r#""stale""#) && answer.contains(r#""page":2"#), "{answer}");
}

#[test]
fn what_became_of_each_file_is_told_to_those_who_may_read_it() {
    let server = serve(
        &[
            ("a.txt", b"Plain words.".to_vec()),
            ("broken.docx", zipped(&[("word/other.xml", b"<x/>")])),
            ("photo.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x10\0\0\0\x20".to_vec()),
            ("things.zip", zipped(&[("inner.txt", b"Inner words.")])),
            ("scan.pdf", pdf(&["A page with words.", ""])),
        ],
        false,
    );
    let listed = server.get("/v1/list/docs").json();
    let of = |name: &str| {
        let items = listed["items"].as_array().unwrap();
        items.iter().find(|item| item["name"] == name).unwrap_or_else(|| panic!("{listed}")).clone()
    };
    for (name, status, reason) in [
        ("a.txt", "indexed", ""),
        ("broken.docx", "failed", "damaged"),
        ("photo.png", "indexed", ""),
        ("things.zip", "skipped", "archive_not_allowed"),
        ("scan.pdf", "indexed", ""),
    ] {
        let item = of(name);
        assert_eq!(item["status"], status, "{item}");
        assert!(item["reason"].as_str().unwrap_or_default().starts_with(reason), "{item}");
    }
    let info = server.session_info("/docs/scan.pdf");
    assert!(info.notes.iter().any(|note| note == "page 2 holds no text, perhaps a scan"), "{info:?}");
    let info = server.session_info("/docs/photo.png");
    assert!(info.notes.iter().any(|note| note.contains("only its name and metadata")), "{info:?}");
    assert_eq!(best(&server, "photo")["path"], "/docs/photo.png");
}

#[test]
fn archives_are_read_where_the_operator_allows() {
    let inner = zipped(&[("deep/inner.txt", b"The velocipede waits."), ("photo.bin", b"\0\x01\x02\x03")]);
    let server = serve(&[("a.txt", b"words".to_vec()), ("things.zip", inner)], true);
    let citation = best(&server, "velocipede");
    assert_eq!(
        (&citation["path"], &citation["entry"]),
        (&json!("/docs/things.zip"), &json!("deep/inner.txt"))
    );
    check_verifies(&server, &citation);
}
