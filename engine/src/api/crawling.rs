//! The pages of a site's section as files of a folder.
//!
//! A page is read only where `robots.txt` lets it, with a gap between two, and each once. Every file is authorized, fetched and
//! written alone, as if it had been asked for by itself.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::changing::WriteOptions;
use super::error::{Error, Result};
use super::importing::{
    ACTION, ImportFailure, ImportProgress, ImportRequest, ImportedFile, ImportedSection, OnImport, Recursive,
    Target, Terms, validators,
};
use super::session::Session;
use crate::access::Verb;
use crate::change::Expected;
use crate::id::{WorkspaceName, join_path};
use crate::import::{Accept, Crawl, CrawlLimits, Fetched, ImportError, Next, Robots, path_of, robots_of};
use crate::net::Url;
use crate::store::Origin;
use crate::text;

const DEFAULT_DEPTH: u32 = 3;
const MAX_DEPTH: u32 = 10;
const DEFAULT_PAGES: usize = 100;
const MAX_PAGES: usize = 1000;
/// Between two looks whether somebody still waits.
const STEP: Duration = Duration::from_millis(20);
/// Of a `robots.txt`; RFC 9309, section 2.5, asks for 500 KiB at least.
const MAX_ROBOTS_BYTES: u64 = 512 << 10;

/// A walk under way.
struct Walk<'a> {
    crawl: Crawl,
    robots: BTreeMap<String, Robots>,
    folder: &'a str,
    /// What is fetched: what is wanted, and the pages that lead to it.
    terms: Terms,
    wanted: Accept,
}

/// What became of one page.
enum Visited {
    Kept(ImportedFile),
    /// The same page by another name, or one that only leads to others.
    Passed,
}

impl Session {
    pub(super) fn import_section(
        &self,
        request: &ImportRequest,
        recursive: &Recursive,
        options: &WriteOptions,
        told: OnImport<'_>,
    ) -> Result<ImportedSection> {
        let folder = request.path.trim_end_matches('/');
        let (name, below) = self.split(folder, "folder")?;
        self.authorize(ACTION, Verb::Write, folder, "folder")?;
        let absent = || Error::NotFound { what: "folder", name: folder.to_owned() };
        let workspace = self.engine.workspace(&name).ok_or_else(absent);
        let workspace = self.note_failure(ACTION, Verb::Write, folder, workspace)?;
        let full = join_path(&name, &below);
        let may_read = self.decide(Verb::Read, &full).allowed;
        let target = Target { workspace, below, full, may_read };
        let walked = self.walk(request, recursive, options, &target, told);
        self.tell_failure(&target, &request.url, walked)
    }

    fn walk(
        &self,
        request: &ImportRequest,
        recursive: &Recursive,
        options: &WriteOptions,
        target: &Target,
        told: OnImport<'_>,
    ) -> Result<ImportedSection> {
        let (mut walk, first) = self.begin_walk(request, recursive, options, &target.full)?;
        let mut section = ImportedSection {
            path: target.full.clone(),
            url: first.to_string(),
            items: Vec::new(),
            failures: Vec::new(),
            cut: None,
        };
        while let Some(next) = walk.crawl.next_page() {
            match self.visit(&mut walk, &next, options, told) {
                Ok(Visited::Kept(file)) => {
                    if next.depth == 0 {
                        section.url.clone_from(&file.url);
                    }
                    section.items.push(file);
                }
                Ok(Visited::Passed) => {}
                Err(Error::Import(ImportError::Cancelled)) => return Err(ImportError::Cancelled.into()),
                Err(error) if next.depth == 0 => return Err(error),
                Err(Error::Import(ImportError::TooLong { .. })) => {
                    section.cut = Some("timeout");
                    return Ok(section);
                }
                Err(error) => section.failures.push(self.note_page(&walk, &next, error)?),
            }
        }
        section.cut = walk.crawl.is_cut().then_some("max_pages");
        Ok(section)
    }

    fn begin_walk<'a>(
        &self,
        request: &ImportRequest,
        recursive: &Recursive,
        options: &WriteOptions,
        folder: &'a str,
    ) -> Result<(Walk<'a>, Url)> {
        if options.expected != Expected::Any {
            return Err(Error::Invalid {
                field: "expected_version",
                found: "given for a section".to_owned(),
                expected: "none: it is the version of one file".to_owned(),
            });
        }
        let mut terms = self.section_terms(request)?;
        let wanted = terms.accept.clone();
        terms.accept = wanted.and("text/html");
        let first = self.import_url(&request.url, &terms)?;
        let crawl = Crawl::new(&first, limits(recursive)?);
        Ok((Walk { crawl, robots: BTreeMap::new(), folder, terms, wanted }, first))
    }

    /// Reads one page, keeps it where it is wanted, and takes its links in.
    fn visit(
        &self,
        walk: &mut Walk<'_>,
        next: &Next,
        options: &WriteOptions,
        told: OnImport<'_>,
    ) -> Result<Visited> {
        self.ask_robots(walk, &next.url)?;
        self.pause(walk, &next.url)?;
        let (known, page_name) = self.known_page(walk, next)?;
        let (pages, waiting_pages) = walk.crawl.counts();
        let known_validators = known.as_ref().map(|(_, origin)| validators(origin));
        let fetched = self.fetch(
            &next.url,
            known_validators.as_ref(),
            &page_name,
            &walk.terms,
            &mut |bytes, total_bytes| {
                let (pages, waiting_pages) = (pages as u64, waiting_pages as u64);
                told(&ImportProgress { bytes, total_bytes, pages, waiting_pages });
            },
        )?;
        let at = match &fetched {
            Fetched::Page(page) => page.url.clone(),
            Fetched::Unchanged { url } => url.clone(),
        };
        if !walk.crawl.arrived(next, &at) {
            if walk.crawl.holds(&at) {
                return Ok(Visited::Passed);
            }
            return Err(ImportError::Outside { host: at.host_str().unwrap_or_default().to_owned() }.into());
        }
        self.ask_robots(walk, &at)?;
        let (bytes, mime_type) =
            self.page_content(&fetched, known.as_ref().map(|(target, _)| target), &page_name)?;
        if mime_type == "text/html" {
            walk.crawl.found(next, &links(&at, &bytes));
        }
        drop(bytes);
        if !walk.wanted.allows(&mime_type) {
            return Ok(Visited::Passed);
        }
        let target = match known {
            Some((target, _)) if matches!(fetched, Fetched::Unchanged { .. }) => target,
            _ => {
                let path = format!("{}/{}", walk.folder, path_of(&at, walk.crawl.section(), &mime_type));
                self.import_target(&path, options)?
            }
        };
        self.take_page(&target, &next.url, fetched, options).map(Visited::Kept)
    }

    /// The file that this page was the last time, with its origin; and the name by which its type is told.
    fn known_page(&self, walk: &Walk<'_>, next: &Next) -> Result<(Option<(Target, Origin)>, String)> {
        let plain = path_of(&next.url, walk.crawl.section(), "");
        for path in [path_of(&next.url, walk.crawl.section(), "text/html"), plain.clone()] {
            let full = format!("{}/{path}", walk.folder);
            if !self.decide(Verb::Write, &full).allowed {
                continue;
            }
            let target = self.import_target(&full, &WriteOptions::default())?;
            if let Some((origin, _)) = self.known_bytes(&target, &next.url, &walk.terms)? {
                return Ok((Some((target, origin)), name_of(&path)));
            }
        }
        Ok((None, name_of(&plain)))
    }

    /// The bytes and their type: of a page that has not changed, what stands in its file.
    fn page_content(
        &self,
        fetched: &Fetched,
        known: Option<&Target>,
        name: &str,
    ) -> Result<(Vec<u8>, String)> {
        let bytes = match (fetched, known) {
            (Fetched::Page(page), _) => page.bytes.clone(),
            (Fetched::Unchanged { .. }, Some(target)) => {
                let read = target.workspace.tree.read(&target.below, u64::MAX)?;
                read.map(|(bytes, _)| bytes).unwrap_or_default()
            }
            (Fetched::Unchanged { .. }, None) => Vec::new(),
        };
        let mime_type = text::mime_type(name, &bytes);
        Ok((bytes, mime_type))
    }

    /// Refuses what a site asks programs not to read; asks it once.
    fn ask_robots(&self, walk: &mut Walk<'_>, url: &Url) -> Result<()> {
        let site = url.origin().ascii_serialization();
        if !walk.robots.contains_key(&site) {
            let robots = self.fetch_robots(walk, url)?;
            walk.robots.insert(site.clone(), robots);
        }
        if walk.robots[&site].allows(url) {
            return Ok(());
        }
        Err(ImportError::Robots { host: url.host_str().unwrap_or_default().to_owned() }.into())
    }

    fn fetch_robots(&self, walk: &Walk<'_>, url: &Url) -> Result<Robots> {
        self.pause(walk, url)?;
        let terms = Terms {
            accept: Accept::default(),
            max_bytes: MAX_ROBOTS_BYTES,
            deadline: walk.terms.deadline,
            seconds: walk.terms.seconds,
            refresh: false,
            only_listed: walk.terms.only_listed,
        };
        match self.fetch(&robots_of(url), None, "robots.txt", &terms, &mut |_, _| {}) {
            Ok(Fetched::Page(page)) => Ok(Robots::read(&String::from_utf8_lossy(&page.bytes))),
            // A site that has none answers so, or with a page that says so.
            Err(Error::Import(ImportError::Status { status: 400..=499, .. } | ImportError::Type { .. })) => {
                Ok(Robots::everything())
            }
            Err(Error::Import(ImportError::Status { .. } | ImportError::TooLarge { .. })) | Ok(_) => {
                Ok(Robots::nothing())
            }
            Err(error) => Err(error),
        }
    }

    /// Waits for the next place at a host, as long as somebody waits for us.
    fn pause(&self, walk: &Walk<'_>, url: &Url) -> Result<()> {
        let site = url.origin().ascii_serialization();
        let gap = walk.robots.get(&site).and_then(Robots::delay);
        let begun = Instant::now();
        let until = begun + self.engine.pace.take(url.host_str().unwrap_or_default(), gap, begun);
        loop {
            if self.stop.is_asked() {
                return Err(ImportError::Cancelled.into());
            }
            let now = Instant::now();
            if now >= walk.terms.deadline {
                return Err(ImportError::TooLong { seconds: walk.terms.seconds }.into());
            }
            if now >= until {
                return Ok(());
            }
            std::thread::sleep((until - now).min(STEP));
        }
    }

    /// A page that failed, as the reply tells it; what a site asks us to leave alone is no failure of anybody.
    fn note_page(&self, walk: &Walk<'_>, next: &Next, error: Error) -> Result<ImportFailure> {
        let path = format!("{}/{}", walk.folder, path_of(&next.url, walk.crawl.section(), "text/html"));
        let failure = ImportFailure {
            url: next.url.to_string(),
            path: path.clone(),
            code: error.code().to_owned(),
            detail: error.to_string(),
        };
        if matches!(error, Error::Import(ImportError::Robots { .. }))
            || !self.decide(Verb::Write, &path).allowed
        {
            return Ok(failure);
        }
        let (name, below): (WorkspaceName, _) = self.split(&path, "file")?;
        if let Some(workspace) = self.engine.workspace(&name) {
            let target = Target { workspace, below, full: path, may_read: false };
            let told: Result<()> = self.tell_failure(&target, next.url.as_str(), Err(error));
            drop(told);
        }
        Ok(failure)
    }
}

fn limits(recursive: &Recursive) -> Result<CrawlLimits> {
    let depth = recursive.depth.unwrap_or(DEFAULT_DEPTH);
    let max_pages = recursive.max_pages.unwrap_or(DEFAULT_PAGES);
    if depth > MAX_DEPTH {
        let expected = format!("0 to {MAX_DEPTH}");
        return Err(Error::Invalid { field: "recursive.depth", found: depth.to_string(), expected });
    }
    if !(1..=MAX_PAGES).contains(&max_pages) {
        let expected = format!("1 to {MAX_PAGES}");
        return Err(Error::Invalid { field: "recursive.max_pages", found: max_pages.to_string(), expected });
    }
    Ok(CrawlLimits { depth, max_pages, same_prefix: recursive.same_prefix })
}

/// The links of a page as URLs; what is none, or leads to no web page, is left out.
fn links(at: &Url, html: &[u8]) -> Vec<Url> {
    let page = text::page_links(&String::from_utf8_lossy(html));
    let base = page.base.and_then(|base| at.join(&base).ok()).unwrap_or_else(|| at.clone());
    let urls = page.links.iter().filter_map(|link| base.join(link).ok());
    urls.filter(|url| matches!(url.scheme(), "http" | "https")).collect()
}

fn name_of(path: &str) -> String {
    path.rsplit('/').next().unwrap_or(path).to_owned()
}
