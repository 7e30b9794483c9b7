//! Takes a character, tells what it is in writing: of which kind of script, part of the one before it, or left out at times.

use unicode_normalization::char::{canonical_combining_class, decompose_canonical, is_combining_mark};

/// Stands between the parts of a Persian word; after a virama, in scripts of India, it parts nothing.
pub(super) const ZERO_WIDTH_NON_JOINER: char = '\u{200C}';
/// The combining class of the sign that takes a letter its vowel.
const VIRAMA: u8 = 9;

/// Letters and digits of scripts that put spaces between words.
pub(super) fn is_word(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_alphanumeric() || c == '_';
    }
    c.is_alphanumeric() && !is_cjk(c) && !is_southeast_asian(c)
}

/// Whether it is part of the character before it: a mark, a later letter of a Korean syllable, or what joins and parts
/// letters without being seen.
pub(super) fn goes_on(c: char) -> bool {
    !c.is_ascii() && (is_joiner(c) || is_later_jamo(c) || is_combining_mark(c))
}

/// The zero-width ones, the word joiner, and the soft hyphen.
fn is_joiner(c: char) -> bool {
    matches!(c, ZERO_WIDTH_NON_JOINER | '\u{200D}' | '\u{2060}' | '\u{AD}')
}

/// Vowels and finals of a Korean syllable that is written in its letters.
fn is_later_jamo(c: char) -> bool {
    matches!(c as u32, 0x1160..=0x11FF | 0xD7B0..=0xD7FF)
}

pub(super) fn is_cjk(c: char) -> bool {
    matches!(c as u32,
        0x1100..=0x11FF | 0x3040..=0x3098 | 0x309B..=0x30FF | 0x3400..=0x4DBF | 0x4E00..=0x9FFF | 0xA960..=0xA97F
        | 0xAC00..=0xD7FF | 0xF900..=0xFAFF | 0x20000..=0x3134F)
}

/// Letters and signs of Thai, Lao, Burmese and Khmer; digits and punctuation are none of them.
pub(super) fn is_southeast_asian(c: char) -> bool {
    matches!(c as u32,
        0xE01..=0xE3A | 0xE40..=0xE4E
        | 0xE81..=0xEBD | 0xEC0..=0xECE | 0xEDC..=0xEDF
        | 0x1000..=0x103F | 0x1050..=0x108F | 0x109A..=0x109D | 0xA9E0..=0xA9EF | 0xA9FA..=0xA9FE | 0xAA60..=0xAA7F
        | 0x1780..=0x17D3 | 0x17D7 | 0x17DC..=0x17DD)
}

/// Whether the last letter has a virama, among what other marks it may have.
pub(super) fn ends_with_virama(text: &str) -> bool {
    for c in text.chars().rev() {
        if canonical_combining_class(decomposed(c).1) == VIRAMA {
            return true;
        }
        if !goes_on(c) || is_joiner(c) {
            return false;
        }
    }
    false
}

/// The first and the last that a character is composed of: its letter, and a mark where it has one.
pub(super) fn decomposed(c: char) -> (char, char) {
    let (mut first, mut last) = (None, c);
    decompose_canonical(c, |part| {
        first.get_or_insert(part);
        last = part;
    });
    (first.unwrap_or(c), last)
}

/// What is written at times and at times not: accents that make no letter of their own, the points of Hebrew, the short
/// vowels and the stretching of Arabic, joiners, and how an ideograph or sign is drawn.
pub(super) fn is_left_out(c: char) -> bool {
    matches!(c as u32,
        0x300..=0x36F | 0x483..=0x489 | 0x1AB0..=0x1AFF | 0x1DC0..=0x1DFF | 0x20D0..=0x20FF | 0xFE20..=0xFE2F
        | 0x591..=0x5BD | 0x5BF | 0x5C1..=0x5C2 | 0x5C4..=0x5C5 | 0x5C7
        | 0x610..=0x61A | 0x640 | 0x64B..=0x65F | 0x670 | 0x6D6..=0x6DC | 0x6DF..=0x6E4 | 0x6E7..=0x6E8
        | 0x6EA..=0x6ED | 0x897..=0x89F | 0x8CA..=0x8E1 | 0x8E3..=0x8FF
        | 0xFE00..=0xFE0F | 0xE0100..=0xE01EF)
        || is_joiner(c)
}
