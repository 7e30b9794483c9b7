//! Links that people share → links to the bytes themselves.
//!
//! Takes a URL, gives the direct one where the host is known and the link is one of a single file. Asks nobody: the forms are
//! those that the hosts document, and a form that is not known stays as it is.

use url::Url;

/// The link to the bytes behind a share link of Google Drive, Dropbox, GitHub or its gists; any other URL as it is.
/// A fragment means nothing to a server and goes.
///
/// ```
/// # use waypost_engine::import::direct;
/// # use waypost_engine::net::Url;
/// let shared = Url::parse("https://github.com/o/r/blob/main/docs/a.md#L3").unwrap();
/// assert_eq!(direct(&shared).as_str(), "https://raw.githubusercontent.com/o/r/main/docs/a.md");
/// ```
pub fn direct(url: &Url) -> Url {
    let mut plain = url.clone();
    plain.set_fragment(None);
    let host = plain.host_str().unwrap_or_default().trim_start_matches("www.").to_owned();
    let found = match host.as_str() {
        "drive.google.com" => drive(&plain),
        "dropbox.com" => dropbox(&plain),
        "github.com" => github(&plain),
        "gist.github.com" => gist(&plain),
        _ => None,
    };
    found.unwrap_or(plain)
}

fn segments(url: &Url) -> Vec<&str> {
    url.path_segments().map(|segments| segments.filter(|name| !name.is_empty()).collect()).unwrap_or_default()
}

/// `/file/d/ID/view`, `/open?id=ID`, `/uc?id=ID`.
fn drive(url: &Url) -> Option<Url> {
    let id = match segments(url)[..] {
        ["file", "d", id, ..] => id.to_owned(),
        ["open" | "uc"] => url.query_pairs().find(|(name, _)| name == "id")?.1.into_owned(),
        _ => return None,
    };
    let mut direct = Url::parse("https://drive.google.com/uc").ok()?;
    direct.query_pairs_mut().append_pair("export", "download").append_pair("id", &id);
    Some(direct)
}

/// `dl=1` gives the file, `dl=0` a page around it.
fn dropbox(url: &Url) -> Option<Url> {
    if !matches!(segments(url)[..], ["s" | "scl" | "sh", ..]) {
        return None;
    }
    let kept: Vec<(String, String)> = url
        .query_pairs()
        .filter(|(name, _)| name != "dl")
        .map(|(name, value)| (name.into(), value.into()))
        .collect();
    let mut direct = url.clone();
    direct.query_pairs_mut().clear().extend_pairs(kept).append_pair("dl", "1");
    Some(direct)
}

/// `/OWNER/REPO/blob/REF/PATH`.
fn github(url: &Url) -> Option<Url> {
    let [owner, repository, "blob", rest @ ..] = &segments(url)[..] else { return None };
    if rest.len() < 2 {
        return None;
    }
    Url::parse(&format!("https://raw.githubusercontent.com/{owner}/{repository}/{}", rest.join("/"))).ok()
}

/// `/OWNER/ID` and `/OWNER/ID/REVISION`: the first file.
fn gist(url: &Url) -> Option<Url> {
    let is_hash = |text: &str| text.len() >= 20 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let below = match segments(url)[..] {
        [owner, id] if is_hash(id) => format!("{owner}/{id}/raw"),
        [owner, id, revision] if is_hash(id) && is_hash(revision) => format!("{owner}/{id}/raw/{revision}"),
        _ => return None,
    };
    Url::parse(&format!("https://gist.githubusercontent.com/{below}")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn share_links_become_direct_ones_and_others_stay() {
        let id = "0123456789abcdef0123456789abcdef";
        let cases = [
            (
                "https://drive.google.com/file/d/1AbC_d-9/view?usp=sharing".to_owned(),
                "https://drive.google.com/uc?export=download&id=1AbC_d-9".to_owned(),
            ),
            (
                "https://drive.google.com/open?id=1AbC".to_owned(),
                "https://drive.google.com/uc?export=download&id=1AbC".to_owned(),
            ),
            (
                "https://drive.google.com/drive/folders/1AbC".to_owned(),
                "https://drive.google.com/drive/folders/1AbC".to_owned(),
            ),
            (
                "https://www.dropbox.com/scl/fi/x/a.pdf?rlkey=k%201&dl=0".to_owned(),
                "https://www.dropbox.com/scl/fi/x/a.pdf?rlkey=k+1&dl=1".to_owned(),
            ),
            (
                "https://www.dropbox.com/s/x/a.pdf".to_owned(),
                "https://www.dropbox.com/s/x/a.pdf?dl=1".to_owned(),
            ),
            ("https://www.dropbox.com/home".to_owned(), "https://www.dropbox.com/home".to_owned()),
            (
                "https://github.com/o/r/blob/main/a%20b/c.md#L1-L3".to_owned(),
                "https://raw.githubusercontent.com/o/r/main/a%20b/c.md".to_owned(),
            ),
            (
                "https://github.com/o/r/tree/main/a".to_owned(),
                "https://github.com/o/r/tree/main/a".to_owned(),
            ),
            ("https://github.com/o/r/blob/main".to_owned(), "https://github.com/o/r/blob/main".to_owned()),
            (
                format!("https://gist.github.com/o/{id}"),
                format!("https://gist.githubusercontent.com/o/{id}/raw"),
            ),
            (
                format!("https://gist.github.com/o/{id}/{id}"),
                format!("https://gist.githubusercontent.com/o/{id}/raw/{id}"),
            ),
            // A host that only looks like one.
            (
                "https://github.com.evil.example/o/r/blob/main/a".to_owned(),
                "https://github.com.evil.example/o/r/blob/main/a".to_owned(),
            ),
            ("https://x.example/a?b=c#d".to_owned(), "https://x.example/a?b=c".to_owned()),
        ];
        for (shared, expected) in cases {
            assert_eq!(direct(&Url::parse(&shared).unwrap()).as_str(), expected, "{shared}");
        }
    }
}
