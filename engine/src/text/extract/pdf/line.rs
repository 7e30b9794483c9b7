//! Glyphs → pieces of lines.
//!
//! Takes glyphs as they are drawn, gives [`Piece`]s: those that are drawn one after another, in the order in which they are
//! read, with spaces where words end. Text is stored as it looks; what runs from the right is turned, a whole line of it
//! or the words of it in a line that runs from the left.

use super::glyphs::Glyph;

/// A gap in a line that is wider than this share of the type's size parts two words.
pub(super) const WORD_GAP: f64 = 0.16;

/// A wider gap ends a piece of a line: columns, cells of a table.
const PIECE_GAP: f64 = 1.0;

/// Gaps that are nearer to each other than this share of the type's size are alike.
const ALIKE: f64 = 0.05;

/// Fewer gaps tell nothing of how letters are spaced.
const MIN_GAPS: usize = 4;

/// A piece of a line.
#[derive(Debug, Clone)]
pub(super) struct Piece {
    pub(super) text: String,
    /// Where it begins, in points.
    pub(super) left: f64,
    /// Where it ends.
    pub(super) right: f64,
    /// Where its line stands; grows down the page.
    pub(super) down: f64,
    /// The height of its type, in points, rounded to halves.
    pub(super) size: f64,
    /// See [`Glyph::turn`].
    pub(super) turn: u8,
    /// Whether it runs from the right.
    pub(super) is_rtl: bool,
}

/// Joins glyphs to pieces, as long as each follows the one before.
pub(super) fn pieces(glyphs: Vec<Glyph>) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut open: Vec<Glyph> = Vec::new();
    for glyph in glyphs {
        if open.last().is_some_and(|last| !follows(last, &glyph)) {
            pieces.extend(piece(std::mem::take(&mut open)));
        }
        open.push(glyph);
    }
    pieces.extend(piece(open));
    pieces
}

fn follows(last: &Glyph, next: &Glyph) -> bool {
    let size = last.size.max(next.size);
    let gap = if next.along >= last.along { next.along - last.end } else { last.along - next.end };
    last.turn == next.turn
        && (last.down - next.down).abs() < size * 0.45
        && gap < size * PIECE_GAP
        && gap > -size * 2.0
}

fn piece(mut glyphs: Vec<Glyph>) -> Option<Piece> {
    let n_rtl = glyphs.iter().filter(|glyph| glyph.text.chars().any(is_right_to_left)).count();
    let is_rtl =
        n_rtl * 2 > glyphs.iter().filter(|glyph| glyph.text.chars().any(char::is_alphabetic)).count();
    let is_backwards = glyphs.windows(2).any(|pair| pair[1].along < pair[0].along - pair[0].size * 0.3);
    if n_rtl > 0 || is_backwards {
        glyphs.sort_by(|one, other| one.along.total_cmp(&other.along));
    }
    // Bold type is sometimes made by drawing a letter twice.
    glyphs.dedup_by(|next, last| {
        next.text == last.text && (next.along - last.along).abs() < (last.end - last.along) * 0.4
    });
    let first = glyphs.first()?;
    let size = glyphs.iter().map(|glyph| glyph.size).fold(0.0, f64::max);
    let (left, down, turn) = (first.along, first.down, first.turn);
    let right = glyphs.iter().map(|glyph| glyph.end).fold(left, f64::max);
    let looks = spaced(glyphs);
    let text = if is_rtl {
        turned(looks)
    } else if n_rtl > 0 {
        runs_turned(&looks)
    } else {
        looks.concat()
    };
    let is_blank = text.trim().is_empty();
    (!is_blank).then_some(Piece { text, left, right, down, size: (size * 2.0).round() / 2.0, turn, is_rtl })
}

/// What glyphs say from left to right, with spaces between words.
fn spaced(glyphs: Vec<Glyph>) -> Vec<String> {
    let tracking = tracking(&glyphs);
    let mut looks: Vec<String> = Vec::with_capacity(glyphs.len());
    let mut end = f64::INFINITY;
    for glyph in glyphs {
        let is_apart = glyph.along - end > glyph.size * WORD_GAP + tracking;
        if is_apart && looks.last().is_some_and(|last| last != " ") {
            looks.push(" ".to_owned());
        }
        end = glyph.end.max(glyph.along);
        looks.push(glyph.text);
    }
    looks
}

/// How far the letters of a piece are set apart, in points: the gap that most of them have and hardly any goes below. 0 where
/// there are few gaps, or few letters: digits that stand apart may be the cells of a row.
fn tracking(glyphs: &[Glyph]) -> f64 {
    let mut gaps: Vec<f64> = glyphs.windows(2).map(|pair| pair[1].along - pair[0].end).collect();
    if gaps.len() < MIN_GAPS {
        return 0.0;
    }
    gaps.sort_by(f64::total_cmp);
    let (usual, least) = (gaps[gaps.len() / 2], gaps[gaps.len() / 10]);
    let near = glyphs[0].size * ALIKE;
    let n_alike = gaps.iter().filter(|gap| (*gap - usual).abs() < near).count();
    let is_word = |glyph: &&Glyph| glyph.text.chars().all(|ch| ch.is_alphabetic() || ch == ' ');
    let n_words = glyphs.iter().filter(is_word).count();
    let is_even = n_alike * 3 >= gaps.len() * 2 && least > usual - 2.0 * near;
    if is_even && n_words * 3 >= glyphs.len() * 2 { usual.max(0.0) } else { 0.0 }
}

/// Whether a letter runs from the right; digits never do.
fn is_right_to_left(ch: char) -> bool {
    matches!(ch, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefc}')
        && !ch.is_numeric()
}

/// A line as it is read: letters from the right, numbers and Latin words in it from the left.
fn turned(looks: Vec<String>) -> String {
    let mut read: Vec<String> = looks.into_iter().rev().collect();
    let is_ltr = |text: &String| text.chars().any(|ch| ch.is_alphanumeric() && !is_right_to_left(ch));
    let mut at = 0;
    while at < read.len() {
        if !is_ltr(&read[at]) {
            at += 1;
            continue;
        }
        let joins = |text: &String| text.chars().all(|ch| ".,:/-%@_".contains(ch));
        let mut end = at + 1;
        while end < read.len()
            && (is_ltr(&read[end]) || (joins(&read[end]) && read.get(end + 1).is_some_and(is_ltr)))
        {
            end += 1;
        }
        read[at..end].reverse();
        at = end;
    }
    read.concat()
}

/// A line that runs from the left, with each run of words in it that run from the right turned by itself. Numbers and marks
/// at the ends of a run stay where they are: whether they belong to it can't be seen.
fn runs_turned(looks: &[String]) -> String {
    let is_rtl = |text: &String| text.chars().any(is_right_to_left);
    let is_ltr = |text: &String| text.chars().any(|ch| ch.is_alphabetic() && !is_right_to_left(ch));
    let mut read = String::new();
    let mut rest = looks;
    while let Some(start) = rest.iter().position(is_rtl) {
        let n_looks = rest[start..].iter().take_while(|text| !is_ltr(text)).count();
        let run = &rest[start..start + n_looks];
        let n_run = run.iter().rposition(is_rtl).map_or(1, |last| last + 1);
        read.push_str(&rest[..start].concat());
        read.push_str(&turned(rest[start..start + n_run].to_vec()));
        rest = &rest[start + n_run..];
    }
    read + &rest.concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Characters as glyphs of size 10 and of 5 points each, so far apart; `_` is left out.
    fn tracked(text: &str, gap: f64) -> Vec<Glyph> {
        let glyph = |(idx, ch): (usize, char)| {
            let along = (5.0 + gap) * idx as f64;
            Glyph { text: ch.to_string(), along, end: along + 5.0, down: 0.0, size: 10.0, turn: 0 }
        };
        text.chars().enumerate().filter(|(_, ch)| *ch != '_').map(glyph).collect()
    }

    #[track_caller]
    fn check(glyphs: Vec<Glyph>, expected: &str) {
        let found: Vec<String> = pieces(glyphs).into_iter().map(|piece| piece.text).collect();
        assert_eq!(found, [expected]);
    }

    #[test]
    fn words_from_the_right_are_turned_inside_of_a_line_from_the_left() {
        check(tracked("English then תירבע then more", 0.0), "English then עברית then more");
        check(tracked("the words םולש תירבע, and more of it", 0.0), "the words עברית שלום, and more of it");
        // A number inside of a run keeps its order, and the words around it run on.
        check(tracked("it says הנש 2026 תנשב in the end", 0.0), "it says בשנת 2026 שנה in the end");
        check(tracked("in Arabic: ابحرم means hello", 0.0), "in Arabic: مرحبا means hello");
    }

    #[test]
    fn digits_of_arabic_run_from_the_left() {
        check(tracked("٢٠٢٦ ماع", 0.0), "عام ٢٠٢٦");
    }

    #[test]
    fn letters_that_are_set_apart_are_no_words() {
        for gap in [0.0, 0.8, 1.7, 2.5, 3.5] {
            check(tracked("tracked words here", gap), "tracked words here");
        }
        // Without a character for the space its place tells: the gap is wider there.
        check(tracked("tracked_words_here", 1.8), "tracked words here");
        check(tracked("CONTENTS", 4.0), "CONTENTS");
    }

    #[test]
    fn what_stands_apart_and_is_no_word_stays_apart() {
        check(tracked("1234567", 3.0), "1 2 3 4 5 6 7");
        check(tracked("a_b_cd_e_f", 0.0), "a b cd e f");
    }
}
