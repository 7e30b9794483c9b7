//! Which pages of a site's section are read, and in which order: breadth first, each once.
//!
//! Takes the first URL, limits, and the links of each page that was read. Gives the next URL. Pure: it asks nobody, and the same
//! links give the same order.

use std::collections::{BTreeSet, VecDeque};

use crate::net::Url;

/// Links that wait at most; a page of a million links costs no more.
const MAX_WAITING: usize = 10_000;

/// How far a walk goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CrawlLimits {
    /// Links from the first page at most; 0: the first page alone.
    pub depth: u32,
    /// Pages at most.
    pub max_pages: usize,
    /// Whether only what lies below the first page's folder is read; else all of its site.
    pub same_prefix: bool,
}

/// A walk.
#[derive(Debug)]
pub struct Crawl {
    first: Url,
    limits: CrawlLimits,
    seen: BTreeSet<String>,
    waiting: VecDeque<Next>,
    n_taken: usize,
    is_cut: bool,
}

/// A page to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next {
    /// Where.
    pub url: Url,
    /// Links from the first page.
    pub depth: u32,
}

impl Crawl {
    /// Begins with a page.
    pub fn new(first: &Url, limits: CrawlLimits) -> Self {
        let first = plain(first);
        let seen = BTreeSet::from([first.to_string()]);
        let waiting = VecDeque::from([Next { url: first.clone(), depth: 0 }]);
        Self { first, limits, seen, waiting, n_taken: 0, is_cut: false }
    }

    /// The path of the section.
    pub fn section(&self) -> &str {
        self.first.path()
    }

    /// The next page; none: the walk is at its end.
    pub fn next_page(&mut self) -> Option<Next> {
        if self.n_taken >= self.limits.max_pages && !self.waiting.is_empty() {
            self.is_cut = true;
            return None;
        }
        let next = self.waiting.pop_front()?;
        self.n_taken += 1;
        Some(next)
    }

    /// Whether pages were left out because of `max_pages`.
    pub fn is_cut(&self) -> bool {
        self.is_cut
    }

    /// Pages taken so far, and those that wait.
    pub fn counts(&self) -> (usize, usize) {
        (self.n_taken, self.waiting.len())
    }

    /// Notes where a page really lies, after redirects. The first page says where the section is. Gives whether the page belongs to
    /// it and was not there before.
    pub fn arrived(&mut self, asked: &Next, at: &Url) -> bool {
        let at = plain(at);
        if asked.depth == 0 {
            self.first = at.clone();
        }
        let is_same = at == asked.url;
        self.holds(&at) && (self.seen.insert(at.to_string()) || is_same || asked.depth == 0)
    }

    /// Takes the links of a page in.
    pub fn found(&mut self, page: &Next, links: &[Url]) {
        if page.depth >= self.limits.depth {
            return;
        }
        for link in links {
            let link = plain(link);
            if !self.holds(&link) || self.seen.contains(link.as_str()) {
                continue;
            }
            if self.waiting.len() >= MAX_WAITING {
                self.is_cut = true;
                return;
            }
            self.seen.insert(link.to_string());
            self.waiting.push_back(Next { url: link, depth: page.depth + 1 });
        }
    }

    /// Whether a URL lies in the section.
    pub fn holds(&self, url: &Url) -> bool {
        if url.origin() != self.first.origin() {
            return false;
        }
        !self.limits.same_prefix || below(self.section(), url.path()).is_some()
    }
}

/// The rest of a path that lies in the section of a page: below `/docs` for `/docs/`, for `/docs/index.html`, and for `/docs`,
/// whose name has no ending. `/docs-old` lies outside of all three.
pub(super) fn below<'a>(section: &str, path: &'a str) -> Option<&'a str> {
    let (above, name) = section.split_at(section.rfind('/').map_or(0, |at| at + 1));
    let folder = if name.contains('.') { above } else { section };
    let rest = path.strip_prefix(folder.trim_end_matches('/'))?;
    if rest.is_empty() { Some(rest) } else { rest.strip_prefix('/') }
}

/// Without what no server sees.
fn plain(url: &Url) -> Url {
    let mut plain = url.clone();
    plain.set_fragment(None);
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(path: &str) -> Url {
        Url::parse("https://x.example").unwrap().join(path).unwrap()
    }

    /// Walks a site given as pages with their links, and gives the pages in order.
    fn walk(first: &str, limits: CrawlLimits, site: &[(&str, &[&str])]) -> Vec<String> {
        let mut crawl = Crawl::new(&url(first), limits);
        let mut order = Vec::new();
        while let Some(next) = crawl.next_page() {
            assert!(crawl.arrived(&next, &next.url.clone()), "{next:?}");
            order.push(next.url.path().to_owned());
            let links =
                site.iter().find(|(page, _)| *page == next.url.path()).map_or(&[][..], |(_, links)| *links);
            crawl.found(&next, &links.iter().map(|link| next.url.join(link).unwrap()).collect::<Vec<_>>());
        }
        order
    }

    const LIMITS: CrawlLimits = CrawlLimits { depth: 9, max_pages: 99, same_prefix: true };

    #[test]
    fn cycles_end_and_each_page_is_read_once() {
        let site: &[(&str, &[&str])] = &[
            ("/docs/", &["a", "b#x", "b#y", "/docs/", "../secret", "https://y.example/docs/z", "mailto:a@b"]),
            ("/docs/a", &["b", "a", "./"]),
            ("/docs/b", &["a", "deep/c"]),
            ("/docs/deep/c", &["../a"]),
        ];
        assert_eq!(walk("/docs/", LIMITS, site), ["/docs/", "/docs/a", "/docs/b", "/docs/deep/c"]);
        assert_eq!(walk("/docs/", CrawlLimits { depth: 0, ..LIMITS }, site), ["/docs/"]);
        assert_eq!(
            walk("/docs/", CrawlLimits { depth: 1, ..LIMITS }, site),
            ["/docs/", "/docs/a", "/docs/b"]
        );
        assert_eq!(walk("/docs/", CrawlLimits { max_pages: 2, ..LIMITS }, site), ["/docs/", "/docs/a"]);
        let whole = walk("/docs/", CrawlLimits { same_prefix: false, ..LIMITS }, site);
        assert!(whole.contains(&"/secret".to_owned()), "{whole:?}");
    }

    #[test]
    fn a_redirect_of_the_first_page_moves_the_section_and_one_of_another_ends_there() {
        let mut crawl = Crawl::new(&url("/docs"), LIMITS);
        let first = crawl.next_page().unwrap();
        assert!(crawl.arrived(&first, &url("/v2/docs/")));
        crawl.found(&first, &[url("/docs/a"), url("/v2/docs/a"), url("/v2/docs/b")]);
        let (a, b) = (crawl.next_page().unwrap(), crawl.next_page().unwrap());
        assert_eq!((a.url.path(), b.url.path()), ("/v2/docs/a", "/v2/docs/b"));
        assert!(crawl.arrived(&a, &url("/v2/docs/a")));
        assert!(!crawl.arrived(&b, &url("/v2/docs/a")), "the same page by another name");
        assert!(!crawl.arrived(&b, &url("/elsewhere")));
    }

    #[test]
    fn a_section_is_named_by_its_folder_its_index_or_its_name() {
        for section in ["/docs/", "/docs/index.html", "/docs"] {
            let rest = |path: &'static str| below(section, path);
            assert_eq!(rest("/docs/"), Some(""), "{section}");
            assert_eq!(rest("/docs"), Some(""), "{section}");
            assert_eq!(rest("/docs/a/b"), Some("a/b"), "{section}");
            assert_eq!(rest("/docs-old/a"), None, "{section}");
            assert_eq!(rest("/"), None, "{section}");
        }
        assert_eq!(below("/", "/a"), Some("a"));
        assert_eq!(below("/index.html", "/a"), Some("a"));
    }
}
