//! Takes `Range`, `If-Range` and a length, gives the bytes that are wanted (RFC 9110, section 14).
//!
//! Only one range is served; what can't be read as one is ignored, as the RFC allows.

use std::ops::Range;

/// What part of a file to send.
#[derive(Debug, PartialEq, Eq)]
pub enum Part {
    /// All of it.
    Whole,
    /// One range of bytes.
    Some(Range<usize>),
    /// A range outside the file.
    Unsatisfiable,
}

/// Reads a `Range` header for a file of `len` bytes.
pub fn part(header: Option<&str>, len: usize) -> Part {
    let Some(spec) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else {
        return Part::Whole;
    };
    let Some((first, last)) = spec.trim().split_once('-').filter(|_| !spec.contains(',')) else {
        return Part::Whole;
    };
    let number = |text: &str| {
        text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse::<usize>().ok()).flatten()
    };
    let range = match (first, last) {
        ("", suffix) => number(suffix).map(|suffix| len.saturating_sub(suffix)..len),
        (first, "") => number(first).map(|first| first..len),
        (first, last) => match (number(first), number(last)) {
            (Some(first), Some(last)) if first <= last => Some(first..last.saturating_add(1).min(len)),
            _ => None,
        },
    };
    match range {
        None => Part::Whole,
        Some(range) if range.start >= len || range.is_empty() => Part::Unsatisfiable,
        Some(range) => Part::Some(range),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_range_is_read_and_others_are_ignored() {
        for (header, expected) in [
            ("bytes=0-4", Part::Some(0..5)),
            ("bytes=5-", Part::Some(5..10)),
            ("bytes=-3", Part::Some(7..10)),
            ("bytes=-30", Part::Some(0..10)),
            ("bytes=8-99", Part::Some(8..10)),
            ("bytes=10-", Part::Unsatisfiable),
            ("bytes=-0", Part::Unsatisfiable),
            ("bytes=4-2", Part::Whole),
            ("bytes=0-1,3-4", Part::Whole),
            ("bytes=+1-2", Part::Whole),
            ("lines=0-4", Part::Whole),
            ("bytes=", Part::Whole),
        ] {
            assert_eq!(part(Some(header), 10), expected, "{header}");
        }
        assert_eq!(part(None, 10), Part::Whole);
        assert_eq!(part(Some("bytes=0-0"), 0), Part::Unsatisfiable);
    }
}
