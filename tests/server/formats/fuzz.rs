//! Files with a few bytes changed, through a worker: nothing of what happens there gets out.
//!
//! `WAYPOST_FUZZ_SECONDS=3600` makes it the long form; `WAYPOST_FUZZ_SEED` another walk.

use std::time::{Duration, Instant};

use waypost_engine::text::{ChunkOptions, Limits, WordEstimate, chunk};

use super::made::{docx, eml, epub, paragraph, pdf, pptx, rows, xlsx, zipped};
use super::{Desk, sets, workers};

/// Files of the short form.
const N_FILES: usize = 400;

/// Larger files of a set tell nothing that smaller ones don't, and take their time.
const MAX_SEED_BYTES: usize = 200 << 10;

/// Numbers for the walk; the same on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % sides.max(1)
    }
}

fn seeds() -> Vec<(String, Vec<u8>)> {
    let body = paragraph("H1", "Head") + &paragraph("", "Some words.");
    let mut seeds: Vec<(String, Vec<u8>)> = [
        ("a.pdf", pdf(&["A page.", "Another page."])),
        ("a.docx", docx(&body)),
        ("a.xlsx", xlsx("S", "A1:B2", &rows(&[&["a", "b"], &["c", "d"]]))),
        ("a.pptx", pptx(&[("Title", "Text", "Notes")])),
        ("a.epub", epub(&[("One", "Words."), ("Two", "More words.")])),
        ("a.eml", eml("Subject", "Words", ("a.txt", "attached"))),
        ("a.zip", zipped(&[("a.md", b"# Words"), ("b.zip", &zipped(&[("c.txt", b"inner")]))])),
        (
            "a.rtf",
            br"{\rtf1\ansi {\fonttbl{\f0 X;}}Words\par \u8364? \'e9 \trowd a\cell b\cell\row}".to_vec(),
        ),
    ]
    .map(|(name, bytes)| (name.to_owned(), bytes))
    .into();
    if let Some((folder, entries)) = sets::entries() {
        for entry in entries {
            let bytes = std::fs::read(folder.join(&entry.path)).unwrap();
            if bytes.len() <= MAX_SEED_BYTES {
                seeds.push((entry.path, bytes));
            }
        }
    }
    seeds
}

/// A few bytes changed, cut, doubled, or taken from another file.
fn mutated(dice: &mut Dice, seed: &[u8], other: &[u8]) -> Vec<u8> {
    let mut bytes = seed.to_vec();
    for _ in 0..=dice.roll(6) {
        let at = dice.roll(bytes.len());
        let end = (at + 1 + dice.roll(64)).min(bytes.len());
        match dice.roll(7) {
            0 => bytes.truncate(at),
            1 => drop(bytes.drain(at..end)),
            2 => bytes[at..end].fill([0, 0xff, b'9', b'<'][dice.roll(4)]),
            3 => {
                let part = bytes[at..end].to_vec();
                bytes.splice(at..at, part);
            }
            4 if !other.is_empty() => {
                let from = dice.roll(other.len());
                bytes.splice(at..end, other[from..(from + 64).min(other.len())].iter().copied());
            }
            _ if at < bytes.len() => bytes[at] ^= 1 << dice.roll(8),
            _ => {}
        }
        if bytes.is_empty() {
            break;
        }
    }
    bytes
}

#[test]
fn nothing_gets_out_of_a_worker() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
    let until = number("WAYPOST_FUZZ_SECONDS").map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let mut dice = Dice(number("WAYPOST_FUZZ_SEED").unwrap_or(7));
    let seeds = seeds();
    let desk = Desk::new(Limits { archives: true, ..Limits::default() }, workers());
    let mut outcomes = std::collections::BTreeMap::<&str, usize>::new();
    for n_files in 0.. {
        if until.map_or(n_files >= N_FILES, |until| Instant::now() >= until) {
            break;
        }
        let (name, seed) = &seeds[n_files % seeds.len()];
        let other = &seeds[dice.roll(seeds.len())].1;
        let bytes = mutated(&mut dice, seed, other);
        let begun = Instant::now();
        let reading = desk.read(name, &bytes);
        assert!(
            begun.elapsed() < Duration::from_secs(12),
            "file {n_files}, made of {name}: {:?}",
            begun.elapsed()
        );
        if let Ok(document) = &reading {
            check_laws(name, document);
        }
        *outcomes.entry(reading.as_ref().map_or_else(SkipReason::code, |_| "read")).or_default() += 1;
    }
    println!("{outcomes:?}, peak {} MiB", desk.reader.peak_worker_bytes() >> 20);
    assert_eq!(desk.read("honest.pdf", &pdf(&["An honest page."])).unwrap().text, "An honest page.");
    assert!(desk.reader.peak_worker_bytes() < 512 << 20);
}

use waypost_engine::text::{Document, SkipReason};

/// Blocks, chunks and places fit the text, in order.
#[track_caller]
fn check_laws(name: &str, document: &Document) {
    let chunks = chunk(document, &WordEstimate, &ChunkOptions::new(60));
    let blocks: Vec<_> = document.blocks.iter().map(|block| block.span).collect();
    let places: Vec<_> = document.located.iter().map(|entry| entry.span).collect();
    for spans in [blocks, chunks.iter().map(|chunk| chunk.span).collect(), places] {
        let mut at = 0;
        for span in spans {
            assert!(
                span.start >= at && !span.is_empty() && span.of(&document.text).is_some(),
                "{name}: {span:?}"
            );
            at = span.end;
        }
    }
    for chunk in &chunks {
        let mut places = chunk.located.iter().map(|entry| &entry.location);
        let first = places.next();
        assert!(places.all(|place| first.is_some_and(|first| first.is_same_unit(place))), "{name}");
    }
}
