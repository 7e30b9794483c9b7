//! Books (EPUB) → text, chapter by chapter.
//!
//! Takes the zip file's parts, gives the chapters in reading order, each read as the web page that it is. A chapter is
//! called what the table of contents calls it, else by its first heading, else by its number.

use std::collections::HashMap;

use super::office::join;
use super::rendering::Rendering;
use super::unpack::{Allowance, Parts};
use super::xml::{Events, XmlEvent, decoded};
use super::{Rendered, html};
use crate::location::Location;
use crate::text::outline::clean_heading;
use crate::text::skip::SkipReason;

/// The text of a book.
///
/// # Errors
/// See [`SkipReason`].
pub(super) fn read(bytes: &[u8], allowance: &Allowance<'_>) -> Result<Rendered, SkipReason> {
    let mut parts = Parts::open(bytes, allowance)?;
    if parts.names().iter().any(|name| name == "META-INF/rights.xml") {
        return Err(SkipReason::Encrypted);
    }
    let package_at = package(&decoded(&parts.need("META-INF/container.xml")?)?)?;
    let folder = package_at.rsplit_once('/').map_or("", |(folder, _)| folder);
    let package = Package::read(&decoded(&parts.need(&package_at)?)?)?;
    let mut rendering = Rendering::new(allowance.limits().max_text_bytes);
    rendering.title(&package.title);
    let names = match package.contents() {
        Some(href) => {
            let at = join(folder, href);
            parts.read(&at)?.map(|bytes| chapter_names(&bytes, &at)).transpose()?.unwrap_or_default()
        }
        None => HashMap::new(),
    };
    for (idx, href) in package.spine().enumerate() {
        if rendering.is_full() {
            break;
        }
        let at = join(folder, &unescaped(href));
        let Some(bytes) = parts.read(&at)? else { continue };
        let page = html::read_whole(&decoded(&bytes)?);
        let headings = page.structure.blocks.iter().find_map(|block| block.headings.first().cloned());
        let name = names.get(&at).cloned().or_else(|| headings.clone());
        let name = name.unwrap_or_else(|| format!("{}", idx + 1));
        let start = rendering.len();
        rendering.enter(1, if headings.is_some() { "" } else { &name });
        rendering.append_rendered(page);
        rendering.locate(start, Location::Chapter { chapter: name });
    }
    Ok(rendering.finish())
}

fn package(container: &str) -> Result<String, SkipReason> {
    let mut events = Events::new(container);
    while let Some(event) = events.next()? {
        if let XmlEvent::Open(element) = event
            && let Some(path) = element.attribute("full-path").filter(|_| element.name() == "rootfile")
        {
            return Ok(join("", &path));
        }
    }
    Err(SkipReason::damaged("it names no package"))
}

/// What the package document says.
#[derive(Default)]
struct Package {
    title: String,
    /// Target and properties by id.
    items: HashMap<String, (String, String)>,
    order: Vec<String>,
    toc: Option<String>,
}

impl Package {
    fn read(text: &str) -> Result<Self, SkipReason> {
        let (mut events, mut package) = (Events::new(text), Self::default());
        while let Some(event) = events.next()? {
            let XmlEvent::Open(element) = event else { continue };
            match element.name().as_str() {
                "title" if package.title.is_empty() => package.title = events.text()?,
                "item" => {
                    let id = element.attribute("id").unwrap_or_default();
                    let href = element.attribute("href").unwrap_or_default();
                    package.items.insert(id, (href, element.attribute("properties").unwrap_or_default()));
                }
                "itemref" => package.order.extend(element.attribute("idref")),
                "spine" => package.toc = element.attribute("toc"),
                _ => {}
            }
        }
        Ok(package)
    }

    fn spine(&self) -> impl Iterator<Item = &str> {
        self.order.iter().filter_map(|id| self.items.get(id)).map(|(href, _)| href.as_str())
    }

    /// The table of contents: of EPUB 3, else that of EPUB 2.
    fn contents(&self) -> Option<&str> {
        let nav = self.items.values().find(|(_, properties)| properties.split(' ').any(|word| word == "nav"));
        let ncx = || self.items.get(self.toc.as_ref()?);
        nav.or_else(ncx).map(|(href, _)| href.as_str())
    }
}

/// The names of chapters by their parts; the first name of a part holds.
fn chapter_names(bytes: &[u8], at: &str) -> Result<HashMap<String, String>, SkipReason> {
    let folder = at.rsplit_once('/').map_or("", |(folder, _)| folder);
    let text = decoded(bytes)?;
    let (mut events, mut names, mut label) = (Events::new(&text), HashMap::new(), String::new());
    let mut put = |target: &str, name: &str| {
        let name = clean_heading(name);
        if !name.is_empty() {
            let target = target.split('#').next().unwrap_or_default();
            names.entry(join(folder, &unescaped(target))).or_insert(name);
        }
    };
    while let Some(event) = events.next()? {
        let XmlEvent::Open(element) = event else { continue };
        match element.name().as_str() {
            "a" => {
                let target = element.attribute("href").unwrap_or_default();
                put(&target, &events.text()?);
            }
            "navLabel" => label = events.text()?,
            "content" => put(&element.attribute("src").unwrap_or_default(), &label),
            _ => {}
        }
    }
    Ok(names)
}

/// A target as a part's name: `%20` is a space there.
fn unescaped(target: &str) -> String {
    let mut bytes = Vec::with_capacity(target.len());
    let mut rest = target.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| *first == b'%').and_then(|two| std::str::from_utf8(two).ok());
        match hex.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(*first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}
