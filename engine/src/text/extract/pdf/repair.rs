//! A table of objects for a PDF whose own is broken.
//!
//! Takes the bytes, gives them with a table of all objects that stand in them appended, as an update of the file would
//! be: readers take the last table. Objects that are packed into streams are not found.

use std::collections::BTreeMap;
use std::fmt::Write;

/// Objects beyond are nonsense.
const MAX_OBJECTS: usize = 200_000;

/// The bytes with a new table; `None` where they name no root.
pub(super) fn with_new_table(bytes: &[u8]) -> Option<Vec<u8>> {
    let objects = objects(bytes);
    let root = root(bytes, &objects)?;
    let size = objects.keys().next_back()? + 1;
    let mut table = String::from("\nxref\n0 1\n0000000000 65535 f \n");
    for (number, (generation, at)) in &objects {
        let _ = writeln!(table, "{number} 1\n{at:010} {generation:05} n ");
    }
    let _ =
        write!(table, "trailer\n<< /Size {size} /Root {root} >>\nstartxref\n{}\n%%EOF\n", bytes.len() + 1);
    Some([bytes, table.as_bytes()].concat())
}

/// Generation and place of each object by its number; the last one of a number holds.
fn objects(bytes: &[u8]) -> BTreeMap<u32, (u32, usize)> {
    let mut objects = BTreeMap::new();
    for (at, window) in bytes.windows(4).enumerate() {
        if window != b" obj" || objects.len() >= MAX_OBJECTS {
            continue;
        }
        let Some((generation, before)) = number_before(bytes, at) else { continue };
        let Some(space) = before.checked_sub(1).filter(|space| bytes[*space] == b' ') else { continue };
        if let Some((number, start)) = number_before(bytes, space) {
            objects.insert(number, (generation.min(99_999), start));
        }
    }
    objects
}

/// The number whose digits end at `end`, and where they begin.
fn number_before(bytes: &[u8], end: usize) -> Option<(u32, usize)> {
    let n_digits = bytes[..end].iter().rev().take(8).take_while(|byte| byte.is_ascii_digit()).count();
    let text = std::str::from_utf8(&bytes[end - n_digits..end]).ok()?;
    Some((text.parse().ok()?, end - n_digits))
}

/// A reference to the root: what the last trailer says, else the object that is a catalog.
fn root(bytes: &[u8], objects: &BTreeMap<u32, (u32, usize)>) -> Option<String> {
    let text = |at: usize| String::from_utf8_lossy(&bytes[at..bytes.len().min(at + 400)]).into_owned();
    let named = bytes.windows(6).rposition(|window| window == b"/Root ").and_then(|at| {
        let rest = text(at + 6);
        let mut words = rest.split_ascii_whitespace();
        let (number, generation) = (words.next()?.parse::<u32>().ok()?, words.next()?.parse::<u32>().ok()?);
        objects.contains_key(&number).then(|| format!("{number} {generation} R"))
    });
    named.or_else(|| {
        let is_catalog = |at: usize| {
            let head = text(at);
            let head = head.split("endobj").next().unwrap_or_default().replace(char::is_whitespace, "");
            head.contains("/Type/Catalog")
        };
        let (number, (generation, _)) = objects.iter().find(|(_, (_, at))| is_catalog(*at))?;
        Some(format!("{number} {generation} R"))
    })
}
