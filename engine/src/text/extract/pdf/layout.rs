//! Pieces of lines → lines → paragraphs in reading order.
//!
//! Takes glyphs as they are drawn, gives [`Paragraph`]s. Of the [`Piece`]s that [`line`](super::line) makes of them
//! the page is cut along the gutters between columns of running text and along its empty bands, again and again
//! (an XY cut: Nagy, Seth 1984), and what can't be cut is read row by row. Words that are cut at a line's end are joined.

use super::glyphs::Glyph;
use super::line::{Piece, WORD_GAP, pieces};

/// Lines of running text in a column are longer than so many times their size; cells of tables are shorter.
const COLUMN_WIDTH: f64 = 11.0;

/// A gutter between columns is wider than this.
const GUTTER: f64 = 0.9;

/// Lines of one paragraph are not further apart than so many times their size: double spacing.
const MAX_PITCH: f64 = 2.0;

/// Deeper cuts find nothing that a reader would see.
const MAX_CUTS: usize = 24;

/// Some lines that belong together.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Paragraph {
    /// Lines, with `\n` between them.
    pub(super) text: String,
    /// The height of its type, in points, rounded to halves.
    pub(super) size: f64,
}

/// The paragraphs of a page.
pub(super) fn paragraphs(glyphs: Vec<Glyph>) -> Vec<Paragraph> {
    let pieces = pieces(glyphs);
    let mut paragraphs = Vec::new();
    for turn in 0..4 {
        let turned: Vec<Piece> = pieces.iter().filter(|piece| piece.turn == turn).cloned().collect();
        read(turned, 0, &mut paragraphs);
    }
    paragraphs
}

/// Cuts a region until it can be read row by row, and writes it.
fn read(pieces: Vec<Piece>, n_cuts: usize, paragraphs: &mut Vec<Paragraph>) {
    if pieces.is_empty() {
        return;
    }
    let cut = (n_cuts < MAX_CUTS).then(|| cut(&pieces)).flatten();
    match cut {
        Some(is_first) => {
            let (first, second) = pieces.into_iter().partition(is_first);
            read(first, n_cuts + 1, paragraphs);
            read(second, n_cuts + 1, paragraphs);
        }
        None => write(pieces, paragraphs),
    }
}

type Side = Box<dyn FnMut(&Piece) -> bool>;

/// Where a region is best cut: at a gutter that goes through all of it, else at an empty band below or above which there
/// is such a gutter.
fn cut(pieces: &[Piece]) -> Option<Side> {
    if pieces.len() < 4 {
        return None;
    }
    if let Some(at) = gutter(pieces) {
        return Some(Box::new(move |piece| piece.left < at));
    }
    // A title over two columns hides their gutter: with its lines cut off the gutter may go through.
    let mut rows: Vec<f64> = pieces.iter().map(|piece| piece.down).collect();
    rows.sort_by(f64::total_cmp);
    let bands = rows.windows(2).filter(|pair| pair[1] - pair[0] > 1.0).map(|pair| (pair[0] + pair[1]) / 2.0);
    let bands: Vec<f64> = bands.collect();
    let has_gutter = |side: Vec<&Piece>| {
        side.len() >= 6 && gutter(&side.into_iter().cloned().collect::<Vec<_>>()).is_some()
    };
    let step = bands.len().div_ceil(40).max(1);
    let below = bands
        .iter()
        .step_by(step)
        .find(|band| has_gutter(pieces.iter().filter(|piece| piece.down > **band).collect()));
    let above = || {
        bands
            .iter()
            .rev()
            .step_by(step)
            .find(|band| has_gutter(pieces.iter().filter(|piece| piece.down < **band).collect()))
    };
    let band = *below.or_else(above)?;
    Some(Box::new(move |piece| piece.down < band))
}

/// The middle of the widest gutter between columns of running text; none in a table.
fn gutter(pieces: &[Piece]) -> Option<f64> {
    let mut spans: Vec<(f64, f64)> = pieces.iter().map(|piece| (piece.left, piece.right)).collect();
    spans.sort_by(|one, other| one.0.total_cmp(&other.0));
    let size = pieces.iter().map(|piece| piece.size).sum::<f64>() / pieces.len() as f64;
    let (mut reach, mut best) = (spans[0].1, None::<(f64, f64)>);
    for (left, right) in spans {
        let width = left - reach;
        if width > size * GUTTER
            && best.is_none_or(|(widest, _)| width > widest)
            && are_columns(pieces, (reach + left) / 2.0)
        {
            best = Some((width, (reach + left) / 2.0));
        }
        reach = reach.max(right);
    }
    best.map(|(_, at)| at)
}

/// Whether what stands on both sides is running text: a few lines each, most of them long.
fn are_columns(pieces: &[Piece], at: f64) -> bool {
    let is_column = |side: &[&Piece]| {
        let n_long = side.iter().filter(|piece| piece.right - piece.left > piece.size * COLUMN_WIDTH).count();
        side.len() >= 3 && n_long * 2 >= side.len()
    };
    let (left, right): (Vec<&Piece>, Vec<&Piece>) = pieces.iter().partition(|piece| piece.left < at);
    is_column(&left) && is_column(&right)
}

/// Reads a region row by row.
fn write(mut pieces: Vec<Piece>, paragraphs: &mut Vec<Paragraph>) {
    pieces.sort_by(|one, other| one.down.total_cmp(&other.down));
    let mut rows: Vec<Vec<Piece>> = Vec::new();
    for piece in pieces {
        match rows.last_mut() {
            Some(row) if (row[0].down - piece.down).abs() < row[0].size.max(piece.size) * 0.45 => {
                row.push(piece)
            }
            _ => rows.push(vec![piece]),
        }
    }
    let lines: Vec<Piece> = rows.into_iter().filter_map(joined).collect();
    let pitch = pitch(&lines);
    let mut open: Vec<Piece> = Vec::new();
    for line in lines {
        let ends = open.last().is_some_and(|last| {
            let usual = pitch.clamp(last.size, last.size * MAX_PITCH);
            let is_apart = line.down - last.down > usual * 1.35;
            is_apart || (line.size - last.size).abs() > last.size * 0.12
        });
        if ends {
            paragraphs.extend(paragraph(std::mem::take(&mut open)));
        }
        open.push(line);
    }
    paragraphs.extend(paragraph(open));
}

/// One line of the pieces of a row.
fn joined(mut row: Vec<Piece>) -> Option<Piece> {
    let n_rtl = row.iter().filter(|piece| piece.is_rtl).count();
    let n_words = row.iter().filter(|piece| piece.text.chars().any(char::is_alphabetic)).count();
    row.sort_by(|one, other| one.left.total_cmp(&other.left));
    if n_rtl * 2 > n_words {
        row.reverse();
    }
    let mut pieces = row.into_iter();
    let mut line = pieces.next()?;
    for piece in pieces {
        let gap = (piece.left - line.right).max(line.left - piece.right);
        if gap > piece.size * WORD_GAP {
            line.text.push(' ');
        }
        line.text.push_str(&piece.text);
        (line.left, line.right) = (line.left.min(piece.left), line.right.max(piece.right));
        line.size = line.size.max(piece.size);
    }
    Some(line)
}

/// The usual distance of two lines; infinite where there is but one.
fn pitch(lines: &[Piece]) -> f64 {
    let mut gaps: Vec<f64> = lines.windows(2).map(|pair| pair[1].down - pair[0].down).collect();
    gaps.sort_by(f64::total_cmp);
    // Below the middle: distances of paragraphs are among them.
    gaps.get(gaps.len() * 2 / 5).copied().unwrap_or(f64::INFINITY)
}

fn paragraph(lines: Vec<Piece>) -> Option<Paragraph> {
    let size = lines.first()?.size;
    let mut text = String::new();
    for line in &lines {
        let line = line.text.trim();
        let begins_low = line.starts_with(char::is_lowercase);
        let is_cut = text.strip_suffix('-').is_some_and(|before| before.ends_with(char::is_alphabetic));
        if is_cut && begins_low {
            text.pop();
        } else if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(line);
    }
    Some(Paragraph { text, size })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Words as glyphs of size 10 with a width of 5 each, starting at `left`, on the line `down`.
    fn line(text: &str, left: f64, down: f64) -> Vec<Glyph> {
        let glyph = |(idx, ch): (usize, char)| {
            let along = left + 5.0 * idx as f64;
            Glyph { text: ch.to_string(), along, end: along + 5.0, down, size: 10.0, turn: 0 }
        };
        text.chars().enumerate().filter(|(_, ch)| *ch != ' ').map(glyph).collect()
    }

    #[track_caller]
    fn check(glyphs: Vec<Vec<Glyph>>, expected: &[&str]) {
        let found = paragraphs(glyphs.concat());
        assert_eq!(found.iter().map(|one| one.text.as_str()).collect::<Vec<_>>(), expected);
    }

    #[test]
    fn two_columns_are_read_one_after_the_other() {
        let mut drawn = vec![line("a title that goes over both of the columns of this page here", 0.0, 0.0)];
        for row in 0..4 {
            drawn.push(line(&format!("left {row} with some more words"), 0.0, 30.0 + 12.0 * f64::from(row)));
            drawn.push(line(
                &format!("right {row} with some more words"),
                200.0,
                30.0 + 12.0 * f64::from(row),
            ));
        }
        let column = |side: &str| {
            (0..4).map(|row| format!("{side} {row} with some more words")).collect::<Vec<_>>().join("\n")
        };
        check(
            drawn,
            &[
                "a title that goes over both of the columns of this page here",
                &column("left"),
                &column("right"),
            ],
        );
    }

    #[test]
    fn rows_of_a_table_stay_rows() {
        let drawn = (0..4).flat_map(|row| {
            let down = 12.0 * f64::from(row);
            [line("tea", 0.0, down), line("4.50", 100.0, down), line("cup", 200.0, down)]
        });
        check(drawn.collect(), &["tea 4.50 cup\ntea 4.50 cup\ntea 4.50 cup\ntea 4.50 cup"]);
    }

    #[test]
    fn words_cut_at_a_line_end_are_joined() {
        check(vec![line("an exam-", 0.0, 0.0), line("ple of it", 0.0, 12.0)], &["an example of it"]);
        check(vec![line("the north-", 0.0, 0.0), line("South line", 0.0, 12.0)], &["the north-\nSouth line"]);
    }

    #[test]
    fn right_to_left_lines_are_turned() {
        // As it looks: the first letter stands at the right.
        check(vec![line("42 םולש", 0.0, 0.0)], &["שלום 42"]);
    }

    #[test]
    fn order_on_the_page_counts_and_not_order_of_drawing() {
        check(vec![line("second", 0.0, 40.0), line("first", 0.0, 0.0)], &["first", "second"]);
    }
}
