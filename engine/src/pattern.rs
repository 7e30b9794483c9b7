//! Patterns over names: `*` and `?` stay within one segment, `**` crosses `/`, and `/a/**` means `/a` itself too.
//!
//! Names are compared without case and in composed form, so that a rule in one spelling holds for every other.

use std::borrow::Cow;
use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Serialize, Serializer};
use thiserror::Error;

use crate::id::fold;

/// A pattern that can't be one.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[error("`{pattern}` is not a pattern: expected {expected}")]
pub struct PatternError {
    /// As it was given, cut to 200 characters.
    pub pattern: String,
    /// What would do.
    pub expected: &'static str,
}

/// Longer patterns are refused, in bytes.
const MAX_BYTES: usize = 1024;
/// Pieces of a path at most that a pattern names.
const MAX_SEGMENTS: usize = 64;

/// A name that no rule spells out.
const SAMPLE: &str = "~any~name~";
/// Segments up to which a pattern is held against what another one names.
const SAMPLE_DEPTH: usize = 3;

/// A checked pattern.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pattern {
    text: String,
    segments: Vec<Segment>,
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Segment {
    /// `**`: any number of segments, none too.
    Any,
    /// Within one segment.
    One(Vec<Piece>),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
enum Piece {
    Char(char),
    AnyChar,
    AnyText,
}

impl Segment {
    fn is_any(&self) -> bool {
        *self == Self::Any
    }

    fn text(&self) -> String {
        match self {
            Self::Any => "**".to_owned(),
            Self::One(pieces) => pieces.iter().map(|piece| piece.char()).collect(),
        }
    }
}

impl Piece {
    fn is_text(&self) -> bool {
        *self == Self::AnyText
    }

    /// Whether one character can be both; neither is any text.
    fn meets(&self, other: &Self) -> bool {
        *self == Self::AnyChar || *other == Self::AnyChar || self == other
    }

    fn char(self) -> char {
        match self {
            Self::Char(c) => c,
            Self::AnyChar => '?',
            Self::AnyText => '*',
        }
    }
}

impl Pattern {
    /// Reads a pattern over paths, such as `/contracts/drafts/**`.
    ///
    /// # Errors
    /// [`PatternError`] where it does not start with `/`, has an empty, `.` or `..` segment, or is too long.
    pub fn path(text: &str) -> Result<Self, PatternError> {
        let refuse = |expected| PatternError { pattern: text.chars().take(200).collect(), expected };
        let inner = text.strip_prefix('/').ok_or_else(|| refuse("a leading `/`, such as `/workspace/**`"))?;
        Self::read(text, inner.strip_suffix('/').unwrap_or(inner))
    }

    /// Reads a pattern over the names of tools or agents, such as `payments.*`.
    ///
    /// # Errors
    /// As [`Self::path`], but for the `/`.
    pub fn name(text: &str) -> Result<Self, PatternError> {
        Self::read(text, text)
    }

    /// The pattern of exactly one path and, where `and_below`, of everything in it.
    pub fn literal(path: &str, and_below: bool) -> Self {
        let mut segments: Vec<Segment> = split(&fold(path)).map(|name| Segment::One(chars(name))).collect();
        let mut text = path.to_owned();
        if and_below {
            segments.push(Segment::Any);
            text = format!("{}/**", path.trim_end_matches('/'));
        }
        Self { text, segments }
    }

    fn read(text: &str, inner: &str) -> Result<Self, PatternError> {
        let refuse = |expected| Err(PatternError { pattern: text.chars().take(200).collect(), expected });
        if inner.len() > MAX_BYTES {
            return refuse("at most 1024 bytes");
        }
        if inner.chars().any(|c| c.is_control() || c == '\\') {
            return refuse("no control character and no `\\`");
        }
        let folded = fold(inner);
        let mut segments = Vec::new();
        for name in folded.split('/').filter(|_| !folded.is_empty()) {
            match name {
                "" | "." | ".." => return refuse("no empty, `.` or `..` segment"),
                "**" if segments.last() == Some(&Segment::Any) => {}
                "**" => segments.push(Segment::Any),
                _ if name.contains("**") => return refuse("`**` alone between two `/`"),
                _ => segments.push(Segment::One(pieces(name))),
            }
        }
        if segments.len() > MAX_SEGMENTS {
            return refuse("at most 64 segments");
        }
        Ok(Self { text: text.to_owned(), segments })
    }

    /// As it was written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Whether a name matches; it must be folded already (see [`fold`]), a leading `/` does not matter.
    pub fn matches(&self, folded: &str) -> bool {
        let names: Vec<&str> = split(folded).collect();
        // `reached[n]`: the segments read so far match the first `n` names.
        let mut reached = vec![false; names.len() + 1];
        reached[0] = true;
        for segment in &self.segments {
            match segment {
                Segment::Any => {
                    for n in 1..reached.len() {
                        reached[n] |= reached[n - 1];
                    }
                }
                Segment::One(pieces) => {
                    for n in (1..reached.len()).rev() {
                        reached[n] = reached[n - 1] && piece_match(pieces, names[n - 1]);
                    }
                    reached[0] = false;
                }
            }
        }
        reached[names.len()]
    }

    /// Whether some name matches both.
    pub fn overlaps(&self, other: &Self) -> bool {
        let meet = |a: &Segment, b: &Segment| match (a, b) {
            (Segment::One(a), Segment::One(b)) => intersect(a, b, Piece::is_text, Piece::meets)[0][0],
            _ => true,
        };
        intersect(&self.segments, &other.segments, Segment::is_any, meet)[0][0]
    }

    /// Names that match both, as one pattern: all of them, but where several patterns would be needed; `None` where there
    /// is none.
    pub fn meet(&self, other: &Self) -> Option<Self> {
        let meet = |a: &Segment, b: &Segment| match (a, b) {
            (Segment::One(a), Segment::One(b)) => common(
                a,
                b,
                Piece::is_text,
                |a, b| Some(*if *a == Piece::AnyChar { b } else { a }),
                Piece::meets,
            )
            .map(Segment::One),
            (Segment::Any, one) | (one, Segment::Any) => Some(one.clone()),
        };
        let segments =
            common(&self.segments, &other.segments, Segment::is_any, meet, |a, b| meet(a, b).is_some())?;
        let names: Vec<String> = segments.iter().map(Segment::text).collect();
        Some(Self { text: format!("/{}", names.join("/")), segments })
    }

    /// Whether it takes every name that another one matches, but for those that are spelled out somewhere.
    pub fn covers(&self, other: &Self) -> bool {
        (1..=SAMPLE_DEPTH).all(|depth| self.matches(&other.sample(depth)))
    }

    /// A name that matches, with a word for each wildcard that nobody spells out; `**` is so many of them.
    fn sample(&self, depth: usize) -> String {
        let mut sample = String::new();
        for segment in &self.segments {
            match segment {
                Segment::Any => sample.push_str(&format!("/{SAMPLE}").repeat(depth)),
                Segment::One(pieces) => {
                    sample.push('/');
                    for piece in pieces {
                        match piece {
                            Piece::Char(c) => sample.push(*c),
                            Piece::AnyChar => sample.push('~'),
                            Piece::AnyText => sample.push_str(SAMPLE),
                        }
                    }
                }
            }
        }
        sample
    }

    /// The segments before the first wildcard, as a path with a leading `/`: everything that matches lies below.
    pub fn base(&self) -> String {
        let mut base = String::new();
        for segment in &self.segments {
            let Segment::One(pieces) = segment else { break };
            let literal: Option<String> =
                pieces.iter().map(|piece| if let Piece::Char(c) = piece { Some(*c) } else { None }).collect();
            let Some(literal) = literal else { break };
            base.push('/');
            base.push_str(&literal);
        }
        if base.is_empty() { "/".to_owned() } else { base }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl Serialize for Pattern {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl JsonSchema for Pattern {
    fn schema_name() -> Cow<'static, str> {
        "Pattern".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({"type": "string", "description": "`*` stays within one name, `**` does not"})
    }
}

fn split(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|name| !name.is_empty())
}

fn chars(name: &str) -> Vec<Piece> {
    name.chars().map(Piece::Char).collect()
}

fn pieces(name: &str) -> Vec<Piece> {
    let piece = |c| match c {
        '*' => Piece::AnyText,
        '?' => Piece::AnyChar,
        other => Piece::Char(other),
    };
    name.chars().map(piece).collect()
}

fn piece_match(pieces: &[Piece], name: &str) -> bool {
    let name: Vec<char> = name.chars().collect();
    let mut reached = vec![false; name.len() + 1];
    reached[0] = true;
    for piece in pieces {
        match piece {
            Piece::AnyText => {
                for n in 1..reached.len() {
                    reached[n] |= reached[n - 1];
                }
            }
            Piece::AnyChar | Piece::Char(_) => {
                for n in (1..reached.len()).rev() {
                    reached[n] =
                        reached[n - 1] && (*piece == Piece::AnyChar || *piece == Piece::Char(name[n - 1]));
                }
                reached[0] = false;
            }
        }
    }
    reached[name.len()]
}

/// Whether two sequences with wildcards for any number of items can name the same one: at `[i][j]`, whether `a[i..]` and
/// `b[j..]` can.
fn intersect<T>(
    a: &[T],
    b: &[T],
    is_any: impl Fn(&T) -> bool,
    meet: impl Fn(&T, &T) -> bool,
) -> Vec<Vec<bool>> {
    let (rows, columns) = (a.len() + 1, b.len() + 1);
    let mut can = vec![vec![false; columns]; rows];
    for i in (0..rows).rev() {
        for j in (0..columns).rev() {
            let (left, right) = (a.get(i), b.get(j));
            can[i][j] = match (left, right) {
                (None, None) => true,
                (Some(left), _) if is_any(left) => can[i + 1][j] || (j + 1 < columns && can[i][j + 1]),
                (_, Some(right)) if is_any(right) => can[i][j + 1] || (i + 1 < rows && can[i + 1][j]),
                (Some(left), Some(right)) => meet(left, right) && can[i + 1][j + 1],
                _ => false,
            };
        }
    }
    can
}

/// A sequence of which every reading is one of both; `None` where there is none. Wildcards stay open for as long as they
/// can.
fn common<T: Clone + PartialEq>(
    a: &[T],
    b: &[T],
    is_any: impl Fn(&T) -> bool,
    meet: impl Fn(&T, &T) -> Option<T>,
    meets: impl Fn(&T, &T) -> bool,
) -> Option<Vec<T>> {
    let can = intersect(a, b, &is_any, meets);
    if !can[0][0] {
        return None;
    }
    let (mut i, mut j, mut found) = (0, 0, Vec::new());
    loop {
        match (a.get(i), b.get(j)) {
            (None, None) => return Some(found),
            (Some(left), Some(right)) if is_any(left) && is_any(right) => {
                if found.last() != Some(left) {
                    found.push(left.clone());
                }
                if can[i][j + 1] { j += 1 } else { i += 1 }
            }
            (Some(left), Some(right)) if is_any(left) && can[i][j + 1] => {
                found.push(right.clone());
                j += 1;
            }
            (Some(left), _) if is_any(left) => i += 1,
            (Some(left), Some(right)) if is_any(right) && can[i + 1][j] => {
                found.push(left.clone());
                i += 1;
            }
            (_, Some(right)) if is_any(right) => j += 1,
            (Some(left), Some(right)) => {
                found.push(meet(left, right)?);
                (i, j) = (i + 1, j + 1);
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, matching: &[&str], others: &[&str]) {
        let pattern = Pattern::path(pattern).unwrap();
        for path in matching {
            assert!(pattern.matches(&fold(path)), "{pattern} should match {path}");
        }
        for path in others {
            assert!(!pattern.matches(&fold(path)), "{pattern} should not match {path}");
        }
    }

    #[test]
    fn a_star_stays_within_a_segment_and_two_cross() {
        check("/a/**", &["/a", "/a/b", "/a/b/c", "/A/B"], &["/", "/ab", "/b/a"]);
        check("/a/*", &["/a/b"], &["/a", "/a/b/c"]);
        check("/a/*.md", &["/a/x.md", "/a/.md", "/a/X.MD"], &["/a/x.txt", "/a/b/x.md"]);
        check("/**/secret/**", &["/secret", "/w/secret/x", "/w/a/secret"], &["/w/secrets/x"]);
        check("/**", &["/", "/a/b"], &[]);
        check("/a/b?c", &["/a/bxc"], &["/a/bc", "/a/b/c"]);
        check("/caf\u{e9}/**", &["/cafe\u{301}/x", "/CAF\u{c9}/x"], &["/cafe/x"]);
        check("/", &["/"], &["/a"]);
        check(
            "/w/\u{39f}\u{394}\u{39f}\u{3a3}*",
            &[
                "/w/\u{39f}\u{394}\u{39f}\u{3a3}.txt",
                "/w/\u{3bf}\u{3b4}\u{3bf}\u{3c2}.txt",
                "/w/\u{3bf}\u{3b4}\u{3bf}\u{3c3}a",
            ],
            &["/w/\u{3bf}"],
        );
        check("/w/stra?e.md", &["/w/stra\u{df}e.md", "/w/STRA\u{1e9e}E.md"], &["/w/strasse.md"]);
    }

    #[test]
    fn names_of_tools_match_within_their_one_segment() {
        let pattern = Pattern::name("payments.*").unwrap();
        assert!(pattern.matches("payments.release") && !pattern.matches("payment.release"));
    }

    #[test]
    fn broken_patterns_are_refused() {
        for bad in ["a/**", "/a//b", "/a/../b", "/a**b", "/a\\b", "/a\nb"] {
            assert!(Pattern::path(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn overlap_is_found_where_a_name_matches_both() {
        for (a, b, expected) in [
            ("/w/a/**", "/w/a/b.md", true),
            ("/w/*/x", "/w/a/*", true),
            ("/w/a*", "/w/*b", true),
            ("/w/a/**", "/w/b/**", false),
            ("/w/*.md", "/w/*.txt", false),
            ("/**/x", "/w/y/**", true),
            ("/w/a", "/w/a/b", false),
        ] {
            let (a, b) = (Pattern::path(a).unwrap(), Pattern::path(b).unwrap());
            assert_eq!(a.overlaps(&b), expected, "{a} and {b}");
            assert_eq!(b.overlaps(&a), expected, "{b} and {a}");
        }
    }

    #[test]
    fn where_two_patterns_meet_is_a_pattern() {
        for (a, b, expected) in [
            ("/w/**", "/w/pub/a.md", Some("/w/pub/a.md")),
            ("/w/**", "/w/pub/**", Some("/w/pub/**")),
            ("/w/**", "/w/**", Some("/w/**")),
            ("/w/*/x", "/w/a/*", Some("/w/a/x")),
            ("/w/a*", "/w/*b", Some("/w/a*b")),
            ("/w/?b", "/w/a?", Some("/w/ab")),
            ("/**/x", "/w/y/**", Some("/w/y/**/x")),
            ("/**/x", "/w/**", Some("/w/**/x")),
            ("/w/*.md", "/**", Some("/w/*.md")),
            ("/w/a/**", "/w/b/**", None),
            ("/w/a", "/w/a/b", None),
        ] {
            let (a, b) = (Pattern::path(a).unwrap(), Pattern::path(b).unwrap());
            for met in [a.meet(&b), b.meet(&a)] {
                assert_eq!(met.as_ref().map(Pattern::as_str), expected, "{a} and {b}");
                if let Some(met) = met {
                    assert_eq!(met.segments, Pattern::path(met.as_str()).unwrap().segments);
                }
            }
        }
    }

    #[test]
    fn a_pattern_covers_what_it_leaves_nothing_of() {
        for (a, b, expected) in [
            ("/w/**", "/w/events/*/**", true),
            ("/w/events/**", "/w/events/*/**", true),
            ("/**", "/w", true),
            ("/w/events/orders", "/w/events/*/**", false),
            ("/w/events/*", "/w/events/*/**", false),
            ("/w/tasks/pending/*.json", "/w/tasks/pending/*", false),
            ("/w/tasks/**", "/w/events/*/**", false),
        ] {
            let (a, b) = (Pattern::path(a).unwrap(), Pattern::path(b).unwrap());
            assert_eq!(a.covers(&b), expected, "{a} and {b}");
        }
    }

    #[test]
    fn the_base_ends_before_the_first_wildcard() {
        for (pattern, base) in [("/w/a/**", "/w/a"), ("/w/a*/b", "/w"), ("/**", "/"), ("/w/x.md", "/w/x.md")]
        {
            assert_eq!(Pattern::path(pattern).unwrap().base(), base);
        }
    }
}
