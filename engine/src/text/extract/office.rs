//! What files of Office Open XML have in common: relations between parts, and properties of the whole.

use std::collections::{BTreeSet, HashMap};

use super::rendering::Rendering;
use super::unpack::Parts;
use super::xml::{Events, XmlEvent, decoded};
use crate::text::document::BlockKind;
use crate::text::skip::SkipReason;

/// The relations of a part: type's last word and target, by their id.
pub(super) type Relations = HashMap<String, (String, String)>;

/// What a part refers to. A part without relations has none.
///
/// # Errors
/// Where the zip file is damaged.
pub(super) fn relations(parts: &mut Parts<'_>, part: &str) -> Result<Relations, SkipReason> {
    let (folder, name) = part.rsplit_once('/').unwrap_or(("", part));
    let Some(bytes) = parts.read(&join(folder, &format!("_rels/{name}.rels")))? else {
        return Ok(HashMap::new());
    };
    let text = decoded(&bytes)?;
    let (mut events, mut found) = (Events::new(&text), HashMap::new());
    while let Some(event) = events.next()? {
        if let XmlEvent::Open(element) = event
            && element.name() == "Relationship"
            && let (Some(id), Some(target)) = (element.attribute("Id"), element.attribute("Target"))
        {
            let kind = element.attribute("Type").unwrap_or_default();
            let kind = kind.rsplit('/').next().unwrap_or_default().to_owned();
            found.insert(id, (kind, join(folder, &target)));
        }
    }
    Ok(found)
}

/// The targets of one kind, in order of their names.
pub(super) fn targets(related: &Relations, kind: &str) -> BTreeSet<String> {
    related.values().filter(|(found, _)| found == kind).map(|(_, target)| target.clone()).collect()
}

/// What a part gives that can be done without: where it is damaged, nothing, and a warning.
///
/// # Errors
/// Other reasons than [`SkipReason::Damaged`].
pub(super) fn lesser<T: Default>(
    rendering: &mut Rendering,
    what: &str,
    read: Result<T, SkipReason>,
) -> Result<T, SkipReason> {
    if let Err(SkipReason::Damaged { detail }) = &read {
        rendering.warn(format!("{what} can't be read: {detail}"));
        return Ok(T::default());
    }
    read
}

/// A target as seen from a folder, without `.` and `..`; it can't leave the file.
pub(super) fn join(folder: &str, target: &str) -> String {
    let mut path: Vec<&str> = Vec::new();
    let from = if target.starts_with('/') { "" } else { folder };
    for step in from.split('/').chain(target.split('/')) {
        match step {
            "" | "." => {}
            ".." => drop(path.pop()),
            step => path.push(step),
        }
    }
    path.join("/")
}

/// The title among a file's properties.
///
/// # Errors
/// Where the zip file is damaged.
pub(super) fn title(parts: &mut Parts<'_>) -> Result<Option<String>, SkipReason> {
    let Some(bytes) = parts.read("docProps/core.xml")? else { return Ok(None) };
    let Ok(text) = decoded(&bytes) else { return Ok(None) };
    let mut events = Events::new(&text);
    while let Some(event) = events.next()? {
        if matches!(&event, XmlEvent::Open(element) if element.name() == "title") {
            return events.text().map(|title| Some(title).filter(|title| !title.trim().is_empty()));
        }
    }
    Ok(None)
}

/// What a chart says: its title and names, then names and values as they are stored with it, a line for each series.
///
/// # Errors
/// Where the part is no XML.
pub(super) fn chart(bytes: &[u8]) -> Result<String, SkipReason> {
    let text = decoded(bytes)?;
    let (mut events, mut lines, mut line) = (Events::new(&text), Vec::new(), Vec::new());
    while let Some(event) = events.next()? {
        match event {
            XmlEvent::Open(element) if matches!(element.name().as_str(), "t" | "v") => {
                line.push(events.text()?)
            }
            XmlEvent::Open(element) => lines.extend(chart_kind(&element.name())),
            XmlEvent::Close(name) if matches!(name.as_str(), "title" | "tx" | "cat" | "val" | "ser") => {
                lines.push(super::tables::line(&std::mem::take(&mut line)));
            }
            _ => {}
        }
    }
    lines.push(super::tables::line(&line));
    lines.retain(|line| !line.is_empty());
    Ok(lines.join("\n"))
}

/// `line chart` of `lineChart`.
fn chart_kind(element: &str) -> Option<String> {
    let kind =
        element.strip_suffix("Chart").filter(|kind| kind.chars().all(|ch| ch.is_ascii_alphanumeric()))?;
    (!kind.is_empty()).then(|| format!("{kind} chart"))
}

/// The titles of a chart and of its axes, behind what sort of chart it is.
///
/// # Errors
/// Where the part is no XML.
pub(super) fn chart_titles(bytes: &[u8]) -> Result<String, SkipReason> {
    let text = decoded(bytes)?;
    let (mut events, mut kinds, mut titles) = (Events::new(&text), Vec::new(), Vec::<String>::new());
    let mut n_open: usize = 0;
    while let Some(event) = events.next()? {
        match event {
            XmlEvent::Open(element) => match element.name().as_str() {
                "title" => {
                    n_open += 1;
                    titles.push(String::new());
                }
                "t" | "v" if n_open > 0 => {
                    let words = events.text()?;
                    if let Some(title) = titles.last_mut() {
                        title.push_str(&words);
                    }
                }
                name => kinds.extend(chart_kind(name)),
            },
            XmlEvent::Close(name) if name == "title" => n_open = n_open.saturating_sub(1),
            XmlEvent::Close(_) | XmlEvent::Text(_) => {}
        }
    }
    titles.retain(|title| !title.trim().is_empty());
    kinds.truncate(1);
    let has_titles = !titles.is_empty();
    kinds.append(&mut titles);
    Ok(if has_titles { super::tables::line(&kinds) } else { String::new() })
}

/// Writes the words of the diagrams (SmartArt) that a part refers to, a point a line (ECMA-376 part 1, 21.4.2.20).
///
/// # Errors
/// Where the zip file is damaged.
pub(super) fn write_diagrams(
    rendering: &mut Rendering,
    parts: &mut Parts<'_>,
    related: &Relations,
) -> Result<(), SkipReason> {
    for part in targets(related, "diagramData") {
        let points =
            parts.read(&part).and_then(|bytes| bytes.map_or(Ok(Vec::new()), |bytes| paragraphs(&bytes)));
        for point in lesser(rendering, "a diagram", points)? {
            rendering.block(&format!("- {point}"), BlockKind::List);
        }
    }
    Ok(())
}

/// The paragraphs of a part that hold words: runs of text in `p`, and old comments, which stand in `text`.
///
/// # Errors
/// Where the part is no XML.
pub(super) fn paragraphs(bytes: &[u8]) -> Result<Vec<String>, SkipReason> {
    let text = decoded(bytes)?;
    let (mut events, mut paragraphs, mut open) = (Events::new(&text), Vec::new(), Vec::<String>::new());
    while let Some(event) = events.next()? {
        match event {
            XmlEvent::Open(element) => match element.name().as_str() {
                "p" => open.push(String::new()),
                "text" => paragraphs.push(events.text()?),
                // The text of a point is an element `t` around paragraphs.
                "t" if !open.is_empty() => {
                    let words = events.text()?;
                    if let Some(paragraph) = open.last_mut() {
                        paragraph.push_str(&words);
                    }
                }
                "br" => drop(open.last_mut().map(|paragraph| paragraph.push(' '))),
                _ => {}
            },
            XmlEvent::Close(name) if name == "p" => paragraphs.extend(open.pop()),
            XmlEvent::Close(_) | XmlEvent::Text(_) => {}
        }
    }
    let trimmed = paragraphs.iter().map(|paragraph| paragraph.trim().to_owned());
    Ok(trimmed.filter(|paragraph| !paragraph.is_empty()).collect())
}

/// Writes the charts that a part refers to.
///
/// # Errors
/// Where the zip file is damaged.
pub(super) fn write_charts(
    rendering: &mut Rendering,
    parts: &mut Parts<'_>,
    related: &Relations,
) -> Result<(), SkipReason> {
    let charts = related.values().filter(|(kind, _)| kind == "chart").map(|(_, part)| part);
    let mut charts: Vec<&String> = charts.collect();
    charts.sort();
    for part in charts {
        if let Some(bytes) = parts.read(part)? {
            rendering.block(&chart(&bytes)?, BlockKind::Table);
        }
    }
    Ok(())
}

/// Whether an OLE file is an encrypted Office Open XML file: it then holds its parts in one stream.
pub(super) fn is_encrypted(bytes: &[u8]) -> bool {
    let name: Vec<u8> = "EncryptedPackage".encode_utf16().flat_map(u16::to_le_bytes).collect();
    bytes.starts_with(&[0xd0, 0xcf, 0x11, 0xe0]) && memmem(bytes, &name)
}

fn memmem(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}
