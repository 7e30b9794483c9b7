//! A page's URL → the path of its file below the folder of a walk.
//!
//! Takes the URL, the section's own path and the media type. Gives a relative path that is one on every system: no segment leads
//! up, is hidden, is a device or is too long. Two URLs that differ give two paths, but for what differs in case alone.

use super::crawl;
use crate::id::is_private_name;
use crate::net::Url;

/// Bytes of one name at most; longer ones are cut, with a hash in place of the rest.
const MAX_NAME_BYTES: usize = 120;
/// Segments at most; what lies deeper is put together under a hash.
const MAX_SEGMENTS: usize = 24;

/// Where a page of a section is kept, below the walk's folder. `mime_type` gives pages without an ending their `.html`.
///
/// ```
/// # use waypost_engine::import::path_of;
/// # use waypost_engine::net::Url;
/// let path = |url: &str| path_of(&Url::parse(url).unwrap(), "/docs/", "text/html");
/// assert_eq!(path("https://x.example/docs/"), "index.html");
/// assert_eq!(path("https://x.example/docs/guide/start"), "guide/start.html");
/// ```
pub fn path_of(url: &Url, section: &str, mime_type: &str) -> String {
    let below = crawl::below(section, url.path()).unwrap_or(url.path()).trim_start_matches('/');
    let mut names: Vec<String> = below.split('/').filter(|name| !name.is_empty()).map(safe).collect();
    if below.is_empty() || below.ends_with('/') {
        names.push("index".to_owned());
    }
    if names.len() > MAX_SEGMENTS {
        let deep = names.split_off(MAX_SEGMENTS - 1).join("/");
        names.push(with_hash(&deep[deep.len().saturating_sub(40)..], &deep));
    }
    if let Some(last) = names.last_mut() {
        if let Some(query) = url.query().filter(|query| !query.is_empty()) {
            *last = put_before_ending(last, &format!("-{}", short_hash(query)));
        }
        let is_page = matches!(mime_type, "text/html" | "application/xhtml+xml");
        if is_page && ending(last).is_none() {
            last.push_str(".html");
        }
    }
    names.join("/")
}

/// A name that is one on every system.
fn safe(segment: &str) -> String {
    let decoded = decode(segment);
    let clean: String =
        decoded.chars().map(|c| if c.is_control() || "/\\:*?\"<>|".contains(c) { '_' } else { c }).collect();
    let trimmed = clean.trim_matches(|c: char| c.is_whitespace()).trim_end_matches(['.', ' ']);
    let mut name = if trimmed.is_empty() { short_hash(segment) } else { trimmed.to_owned() };
    let stem = name.split('.').next().unwrap_or_default().to_ascii_lowercase();
    let is_device = matches!(stem.as_str(), "con" | "prn" | "aux" | "nul")
        || ((stem.starts_with("com") || stem.starts_with("lpt")) && stem.len() == 4);
    if name.starts_with('.') || is_private_name(&name) || is_device {
        name.insert(0, '_');
    }
    if name.len() > MAX_NAME_BYTES { with_hash(&name, segment) } else { name }
}

/// `%20` as a space; what is no UTF-8 stays as it is written.
fn decode(segment: &str) -> String {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.as_bytes();
    while let Some((first, tail)) = rest.split_first() {
        let code = tail.get(..2).filter(|_| *first == b'%').and_then(|code| std::str::from_utf8(code).ok());
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &tail[2..];
            }
            None => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    String::from_utf8(bytes).unwrap_or_else(|_| segment.to_owned())
}

/// A name's beginning and the hash of what it stands for, with its ending kept.
fn with_hash(name: &str, whole: &str) -> String {
    let ending = ending(name).map(|ending| format!(".{ending}")).unwrap_or_default();
    let room = MAX_NAME_BYTES - ending.len() - 9;
    let cut = (0..=room.min(name.len())).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0);
    let stem = name[..cut].trim_end_matches(['.', ' ']).replace('/', "_");
    format!("{stem}-{}{ending}", short_hash(whole))
}

fn put_before_ending(name: &str, more: &str) -> String {
    match ending(name) {
        Some(ending) => format!("{}{more}.{ending}", &name[..name.len() - ending.len() - 1]),
        None => format!("{name}{more}"),
    }
}

/// Letters and digits after the last dot, up to eight.
fn ending(name: &str) -> Option<&str> {
    let (stem, ending) = name.rsplit_once('.')?;
    let is_one = (1..=8).contains(&ending.len()) && ending.bytes().all(|byte| byte.is_ascii_alphanumeric());
    // `v1.2` is a name with a dot in it.
    (is_one && !stem.is_empty() && !ending.bytes().all(|byte| byte.is_ascii_digit())).then_some(ending)
}

fn short_hash(text: &str) -> String {
    blake3::hash(text.as_bytes()).to_hex()[..8].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::RelPath;

    #[test]
    fn every_path_is_a_safe_one_below_the_folder() {
        let hostile = [
            "/docs/../../etc/passwd",
            "/docs/%2e%2e/%2e%2e/x",
            "/docs/..%2f..%2fx",
            "/docs/a%5c..%5cb",
            "/docs/.git/config",
            "/docs/.waypost/keys",
            "/docs/CON.txt",
            "/docs/a%00b%0a",
            "/docs/%20/%20.",
            "/docs/%ff%fe",
            "/docs/...",
            &format!("/docs/{}", "x/".repeat(200)),
            &format!("/docs/{}.pdf", "ä".repeat(200)),
        ];
        for path in hostile {
            let url = Url::parse(&format!("https://x.example{path}")).unwrap();
            let kept = path_of(&url, "/docs/", "text/html");
            let checked = RelPath::new(&kept).unwrap_or_else(|error| panic!("{path} → {kept}: {error}"));
            assert!(!checked.is_hidden() && !checked.is_root(), "{path} → {kept}");
            assert_eq!(checked.as_str(), unicode_nfc(&kept), "{path}");
            assert!(
                kept.split('/').all(|name| !name.starts_with('.') && !name.ends_with(['.', ' '])),
                "{kept}"
            );
        }
    }

    fn unicode_nfc(text: &str) -> String {
        use unicode_normalization::UnicodeNormalization;
        text.nfc().collect()
    }

    #[test]
    fn names_are_those_that_a_reader_would_expect() {
        let cases = [
            ("/docs/", "text/html", "index.html"),
            ("/docs", "text/html", "index.html"),
            ("/docs/a.html", "text/html", "a.html"),
            ("/docs/a", "text/html", "a.html"),
            ("/docs/a", "application/json", "a"),
            ("/docs/v1.2", "text/html", "v1.2.html"),
            ("/docs/a/b/", "text/html", "a/b/index.html"),
            ("/docs/a%20b.pdf", "application/pdf", "a b.pdf"),
            ("/other/x.css", "text/css", "other/x.css"),
        ];
        for (path, mime_type, expected) in cases {
            let url = Url::parse(&format!("https://x.example{path}")).unwrap();
            assert_eq!(path_of(&url, "/docs/", mime_type), expected, "{path}");
        }
        let with_query = |query: &str| {
            path_of(
                &Url::parse(&format!("https://x.example/docs/a.html{query}")).unwrap(),
                "/docs/",
                "text/html",
            )
        };
        assert_ne!(with_query("?p=1"), with_query("?p=2"));
        assert!(with_query("?p=1").starts_with("a-") && with_query("?p=1").ends_with(".html"));
    }
}
