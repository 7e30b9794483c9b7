//! What a site lets programs read: its `robots.txt`, by RFC 9309.
//!
//! Takes the file's text, gives whether a URL may be read and how long to wait between two. Groups that name us hold, or else
//! those for `*`; the longest rule that fits decides, and allowing wins a tie. `crawl-delay` is no part of the RFC; it is kept all
//! the same. Written here because the crates for it stand still or ask for a newer compiler than this project.

use std::time::Duration;

use url::Url;

/// The name by which groups address us.
const PRODUCT: &str = "waypost";
/// Rules of one file at most.
const MAX_RULES: usize = 10_000;
/// A longer `crawl-delay` is cut to this one: the walk's own deadline ends it before.
const MAX_DELAY: Duration = Duration::from_secs(60);

/// What one site asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Robots {
    rules: Vec<(bool, String)>,
    delay: Option<Duration>,
}

/// Where a site's file is.
pub fn robots_of(site: &Url) -> Url {
    let mut url = site.clone();
    url.set_path("/robots.txt");
    url.set_query(None);
    url.set_fragment(None);
    url
}

impl Robots {
    /// Everything may be read: there is no file (RFC 9309, section 2.3.1.3).
    pub fn everything() -> Self {
        Self::default()
    }

    /// Nothing may be read: the file can't be had now (RFC 9309, section 2.3.1.4).
    pub fn nothing() -> Self {
        Self { rules: vec![(false, "/".to_owned())], delay: None }
    }

    /// Reads a file.
    pub fn read(text: &str) -> Self {
        let (mut ours, mut anybodys) = (None::<Self>, None::<Self>);
        let (mut names, mut is_naming) = (Vec::<String>::new(), false);
        for line in text.lines() {
            let line = line.split('#').next().unwrap_or_default().trim_start_matches('\u{feff}');
            let Some((key, value)) = line.split_once(':') else { continue };
            let (key, value) = (key.trim().to_ascii_lowercase(), value.trim());
            if key == "user-agent" {
                if !is_naming {
                    names.clear();
                }
                is_naming = true;
                names.push(value.to_ascii_lowercase());
                // A group without rules counts as well: it allows everything.
                for group in groups(&names, &mut ours, &mut anybodys) {
                    group.get_or_insert_default();
                }
                continue;
            }
            if !matches!(key.as_str(), "allow" | "disallow" | "crawl-delay") {
                continue;
            }
            is_naming = false;
            for group in groups(&names, &mut ours, &mut anybodys) {
                group.get_or_insert_default().add(&key, value);
            }
        }
        ours.or(anybodys).unwrap_or_default()
    }

    fn add(&mut self, key: &str, value: &str) {
        if key == "crawl-delay" {
            let seconds =
                value.parse::<f64>().ok().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            self.delay = seconds.map(|delay| delay.min(MAX_DELAY)).or(self.delay);
        } else if !value.is_empty() && self.rules.len() < MAX_RULES {
            self.rules.push((key == "allow", plain(value)));
        }
    }

    /// How long to wait between two requests, where it asks for that.
    pub fn delay(&self) -> Option<Duration> {
        self.delay
    }

    /// Whether a URL of the site may be read.
    pub fn allows(&self, url: &Url) -> bool {
        let path = plain(&match url.query() {
            Some(query) => format!("{}?{query}", url.path()),
            None => url.path().to_owned(),
        });
        let fitting = self.rules.iter().filter(|(_, pattern)| fits(pattern, &path));
        fitting.max_by_key(|(allows, pattern)| (pattern.len(), *allows)).is_none_or(|(allows, _)| *allows)
    }
}

/// The groups, ours and that of `*`, that the names address.
fn groups<'a>(
    names: &[String],
    ours: &'a mut Option<Robots>,
    anybodys: &'a mut Option<Robots>,
) -> impl Iterator<Item = &'a mut Option<Robots>> {
    let is_us = names.iter().any(|name| name.split(['/', ' ']).next() == Some(PRODUCT));
    let is_any = names.iter().any(|name| name == "*");
    is_us.then_some(ours).into_iter().chain(is_any.then_some(anybodys))
}

/// One spelling for a path: `%` and two digits in upper case.
fn plain(path: &str) -> String {
    let mut parts = path.split('%');
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (code, rest) = part.split_at(part.char_indices().nth(2).map_or(part.len(), |(at, _)| at));
        text.push('%');
        text.push_str(&code.to_ascii_uppercase());
        text.push_str(rest);
    }
    text
}

/// Whether a pattern fits from the path's start: `*` is any text, `$` at its end the end.
fn fits(pattern: &str, path: &str) -> bool {
    let (pattern, to_end) = match pattern.strip_suffix('$') {
        Some(inner) => (inner, true),
        None => (pattern, false),
    };
    let mut pieces = pattern.split('*');
    let Some(mut rest) = path.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    let pieces: Vec<&str> = pieces.collect();
    let Some((last, between)) = pieces.split_last() else { return !to_end || rest.is_empty() };
    // The earliest place of each piece leaves the most for those after it.
    for piece in between {
        match rest.find(piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return false,
        }
    }
    if to_end { rest.ends_with(last) } else { rest.contains(last) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, path: &str, expected: bool) {
        let url = Url::parse(&format!("https://x.example{path}")).unwrap();
        assert_eq!(Robots::read(text).allows(&url), expected, "{path} in {text:?}");
    }

    #[test]
    fn the_longest_rule_of_our_group_decides() {
        check("", "/a", true);
        check("User-agent: *\nDisallow: /", "/a", false);
        check("User-agent: *\nDisallow:", "/a", true);
        check("User-agent: *\nDisallow: /a\nAllow: /a/b", "/a/b/c", true);
        check("User-agent: *\nDisallow: /a\nAllow: /a/b", "/a/c", false);
        check("User-agent: *\nAllow: /a\nDisallow: /a", "/a", true);
        check("User-agent: *\nAllow: /a\nDisallow: /a/b", "/a/b/c", false);
        check("user-agent: other\ndisallow: /", "/a", true);
        check("User-agent: *\nDisallow: /\n\nUser-agent: Waypost/1.0\nDisallow: /b", "/a", true);
        check("User-agent: *\nDisallow: /\n\nUser-agent: Waypost/1.0\nDisallow: /b", "/b", false);
        check("User-agent: other\nUser-agent: waypost\nDisallow: /x # why\n", "/x/y", false);
        check("User-agent: waypost\n\nUser-agent: *\nDisallow: /", "/a", false);
        check("User-agent: waypost\nAllow: /\nUser-agent: *\nDisallow: /", "/a", true);
        check("Disallow: /", "/a", true);
    }

    #[test]
    fn wildcards_ends_and_escapes_are_read() {
        check("User-agent: *\nDisallow: /*.pdf$", "/a/b.pdf", false);
        check("User-agent: *\nDisallow: /*.pdf$", "/a/b.pdf?x", true);
        check("User-agent: *\nDisallow: /a/*/c", "/a/b/b/c/d", false);
        check("User-agent: *\nDisallow: /*?", "/a?b", false);
        check("User-agent: *\nDisallow: /*?", "/a", true);
        check("User-agent: *\nDisallow: /%c3%a4", "/%C3%A4/b", false);
        check("User-agent: *\nDisallow: /a$", "/ab", true);
        check("User-agent: *\nDisallow: /%", "/a", true);
    }

    #[test]
    fn a_delay_is_kept_and_nonsense_is_not() {
        let delay = |text: &str| Robots::read(text).delay();
        assert_eq!(delay("User-agent: *\nCrawl-delay: 2.5"), Some(Duration::from_millis(2500)));
        assert_eq!(delay("User-agent: *\nCrawl-delay: 99999999"), Some(MAX_DELAY));
        assert_eq!(delay("User-agent: *\nCrawl-delay: soon"), None);
        assert_eq!(delay("User-agent: *\nCrawl-delay: -1"), None);
        assert!(!Robots::nothing().allows(&Url::parse("https://x.example/").unwrap()));
    }
}
