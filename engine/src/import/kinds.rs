//! Whether bytes are what they were said to be, and what somebody wants.
//!
//! Takes a declared media type, a name and bytes. Gives the refusal, or nothing. A declaration is believed only as far as the
//! bytes bear it out: a page that says "sign in" is no PDF, whatever its header says.

use super::ImportError;
use crate::text;

/// Media types that are wanted: exact, or a family such as `text/*`. None: any.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Accept(Vec<String>);

impl Accept {
    /// Reads the types; parameters such as `charset` don't count.
    pub fn new(types: &[String]) -> Self {
        Self(types.iter().map(|text| essence(text)).filter(|text| !text.is_empty()).collect())
    }

    /// Whether a type is wanted.
    pub fn allows(&self, mime_type: &str) -> bool {
        let found = essence(mime_type);
        self.0.is_empty()
            || self.0.iter().any(|wanted| match wanted.strip_suffix("/*") {
                Some("*") => true,
                Some(family) => found.split('/').next() == Some(family),
                None => *wanted == found,
            })
    }

    /// These types and one more.
    #[must_use]
    pub fn and(&self, mime_type: &str) -> Self {
        let mut types = self.0.clone();
        if !types.is_empty() {
            types.push(essence(mime_type));
        }
        Self(types)
    }

    /// As a header says it.
    pub(super) fn header(&self) -> String {
        if self.0.is_empty() { "*/*".to_owned() } else { self.0.join(", ") }
    }

    /// Refuses a declared type that can't be what is wanted, before its body is read.
    pub(super) fn check_declared(&self, host: &str, declared: Option<&str>) -> Result<(), ImportError> {
        let Some(declared) = declared.map(essence).filter(|declared| class(declared) != Class::Unknown)
        else {
            return Ok(());
        };
        // One text type is often declared as another; the name decides between them later.
        let may_turn_out =
            class(&declared) == Class::Text && self.0.iter().any(|wanted| class(wanted) == Class::Text);
        if self.allows(&declared) || may_turn_out {
            return Ok(());
        }
        Err(refusal(host, format!("declared as {declared}"), self.0.join(" or ")))
    }

    /// Refuses bytes that are not what was declared, what the file's name says, or what is wanted.
    pub(super) fn check(
        &self,
        host: &str,
        declared: Option<&str>,
        name: &str,
        bytes: &[u8],
    ) -> Result<(), ImportError> {
        let (found, by_bytes) = (text::mime_type(name, bytes), text::mime_type("", bytes));
        let declared = declared.map(essence);
        let contradicts = |said: &str| {
            let (said, found) = (class(said), class(&by_bytes));
            said != Class::Unknown && said != found && !(found == Class::Unknown && said != Class::Text)
        };
        if let Some(declared) = declared.as_deref().filter(|declared| contradicts(declared)) {
            return Err(refusal(
                host,
                format!("{by_bytes} by its bytes"),
                format!("{declared}, as it is declared"),
            ));
        }
        if let Some(named) = text::named_type(name).filter(|named| contradicts(named)) {
            return Err(refusal(
                host,
                format!("{by_bytes} by its bytes"),
                format!("{named}, as `{name}` says"),
            ));
        }
        let declared = declared.filter(|declared| class(declared) == class(&found));
        if self.allows(&found) || declared.is_some_and(|declared| self.allows(&declared)) {
            return Ok(());
        }
        Err(refusal(host, found, self.0.join(" or ")))
    }
}

fn refusal(host: &str, found: String, expected: String) -> ImportError {
    ImportError::Type { host: host.to_owned(), found, expected }
}

/// Without parameters, in lower case.
fn essence(mime_type: &str) -> String {
    mime_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// What can be told apart by a look at the bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Text,
    Pdf,
    Image,
    Sound,
    Packed,
    Unknown,
}

fn class(mime_type: &str) -> Class {
    const TEXTS: [&str; 6] = ["json", "xml", "yaml", "javascript", "x-ndjson", "toml"];
    let family = mime_type.split('/').next().unwrap_or_default();
    let kind = mime_type.rsplit(['/', '+']).next().unwrap_or_default();
    match (family, kind) {
        ("text", "rtf") => Class::Unknown,
        ("text", _) => Class::Text,
        _ if TEXTS.contains(&kind) => Class::Text,
        ("image", _) => Class::Image,
        ("audio" | "video", _) => Class::Sound,
        (_, "pdf") => Class::Pdf,
        (_, "zip" | "gzip" | "x-gzip" | "x-tar") => Class::Packed,
        _ if mime_type.starts_with("application/vnd.openxmlformats-") => Class::Packed,
        _ => Class::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Wanted, declared, name, bytes, whether they pass.
    type Case = (&'static [&'static str], Option<&'static str>, &'static str, &'static [u8], bool);

    const HTML: &[u8] = b"<!doctype html><title>Sign in</title>";

    #[test]
    fn bytes_must_be_what_was_declared_named_and_wanted() {
        let cases: [Case; 16] = [
            (&[], None, "a.bin", b"\x00\x01\x02", true),
            (&[], Some("text/plain; charset=utf-8"), "a.md", b"# Hi", true),
            (&[], Some("application/octet-stream"), "a.pdf", b"%PDF-1.7\n", true),
            (&[], Some("application/pdf"), "a", HTML, false),
            (&[], Some("text/html"), "report.pdf", HTML, false),
            (&[], Some("text/html"), "a", b"%PDF-1.7\n", false),
            (&[], Some("image/png"), "a", b"\x89PNG\r\n\x1a\n", true),
            (&[], Some("image/svg+xml"), "a.svg", b"<?xml version=\"1.0\"?><svg/>", true),
            (&[], Some("text/plain"), "a", b"\x00\x01\x02\x03", false),
            (&["application/pdf"], None, "a", HTML, false),
            (&["application/pdf"], None, "a", b"%PDF-1.7\n", true),
            (&["text/*"], Some("text/html"), "a", HTML, true),
            (&["text/html"], Some("text/html"), "page.md", HTML, true),
            (&["text/html"], Some("text/plain"), "a.txt", b"plain", false),
            (&["*/*"], None, "a", HTML, true),
            (&["text/markdown"], Some("text/plain"), "a.md", b"# Hi", true),
        ];
        for (wanted, declared, name, bytes, passes) in cases {
            let accept = Accept::new(&wanted.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>());
            let checked = accept.check("x.example", declared, name, bytes);
            assert_eq!(checked.is_ok(), passes, "{wanted:?} {declared:?} {name}: {checked:?}");
        }
    }

    #[test]
    fn what_is_declared_as_something_else_is_not_even_read() {
        let accept = Accept::new(&["application/pdf".to_owned()]);
        assert!(accept.check_declared("x", Some("text/html; charset=utf-8")).is_err());
        assert!(accept.check_declared("x", Some("application/octet-stream")).is_ok());
        assert!(accept.check_declared("x", None).is_ok());
        let accept = Accept::new(&["text/markdown".to_owned()]);
        assert!(accept.check_declared("x", Some("text/plain")).is_ok());
    }
}
