//! Pieces → groups that become chunks, decided by counts alone.
//!
//! Takes pieces, gives ranges of them in order. A section's pieces are spread evenly over as few groups as they
//! need; small sections join their neighbours under the same parent; headings stay with what follows them.

use std::ops::Range;

use super::ChunkOptions;
use super::pieces::Piece;

/// The groups of `pieces`, in order.
pub(super) fn groups(pieces: &[Piece<'_>], options: &ChunkOptions) -> Vec<Range<usize>> {
    let mut drafts = Vec::new();
    for section in sections(pieces) {
        pack(pieces, section, options.max_tokens, &mut drafts);
    }
    join_small(pieces, drafts, options)
}

/// The headings that all pieces of a group share.
pub(super) fn common_headings<'a>(pieces: &[Piece<'a>]) -> &'a [String] {
    let Some(first) = pieces.first() else { return &[] };
    // Headings alone at the front belong to the path of what follows them.
    let last = pieces.iter().rposition(|piece| !piece.is_heading).map_or(first, |idx| &pieces[idx]);
    let body = pieces.iter().filter(|piece| !piece.is_heading || last.is_heading);
    let shared = body.map(|piece| shared(piece.headings, last.headings)).min().unwrap_or(last.headings.len());
    &last.headings[..shared]
}

/// Where to cut a group in two, so that no heading ends the front.
pub(super) fn middle(pieces: &[Piece<'_>]) -> usize {
    let half = (pieces.len() / 2).max(1);
    let fits = |cut: &usize| !pieces[cut - 1].is_heading;
    (1..=half).rev().find(fits).or_else(|| (half..pieces.len()).find(fits)).unwrap_or(half)
}

/// Runs of pieces under one path; a section of headings alone opens the one below it.
fn sections(pieces: &[Piece<'_>]) -> Vec<Range<usize>> {
    let mut sections: Vec<Range<usize>> = Vec::new();
    let mut only_headings = false;
    for (idx, piece) in pieces.iter().enumerate() {
        if let Some(last) = sections.last_mut() {
            let path = pieces[idx - 1].headings;
            let is_below = only_headings && shared(path, piece.headings) == path.len();
            if path == piece.headings || is_below {
                last.end = idx + 1;
                only_headings &= piece.is_heading;
                continue;
            }
        }
        sections.push(idx..idx + 1);
        only_headings = piece.is_heading;
    }
    sections
}

/// Spreads a section over as few groups as hold it; each takes its share of what is left.
fn pack(pieces: &[Piece<'_>], section: Range<usize>, max_tokens: usize, groups: &mut Vec<Range<usize>>) {
    let share = |left: usize| left.div_ceil(left.div_ceil(max_tokens).max(1));
    let mut left = tokens(&pieces[section.clone()]);
    let mut target = share(left);
    let (mut start, mut held) = (section.start, 0);
    for idx in section.clone() {
        let n_tokens = pieces[idx].n_tokens;
        let full = held + n_tokens > max_tokens || held + n_tokens / 2 > target;
        let end = before_headings(pieces, start, idx);
        if full && end > start {
            groups.push(start..end);
            let carried = tokens(&pieces[end..idx]);
            left -= held - carried;
            target = share(left);
            (start, held) = (end, carried);
        }
        held += n_tokens;
    }
    groups.push(start..section.end);
}

/// `end` without the headings before it, unless nothing else is there.
fn before_headings(pieces: &[Piece<'_>], start: usize, end: usize) -> usize {
    let headings = pieces[start..end].iter().rev().take_while(|piece| piece.is_heading).count();
    if headings < end - start { end - headings } else { end }
}

/// Joins neighbours of which one is small, as long as they fit and have a parent in common.
fn join_small(pieces: &[Piece<'_>], drafts: Vec<Range<usize>>, options: &ChunkOptions) -> Vec<Range<usize>> {
    let mut joined: Vec<Draft> = Vec::with_capacity(drafts.len());
    for range in drafts {
        let n_tokens = tokens(&pieces[range.clone()]);
        let draft = Draft { depth: pieces[range.end - 1].headings.len(), range, n_tokens };
        match joined.last_mut() {
            Some(last) if joins(pieces, last, &draft, options) => last.take_in(pieces, &draft),
            _ => joined.push(draft),
        }
    }
    joined.into_iter().map(|draft| draft.range).collect()
}

/// A group that may still grow.
struct Draft {
    range: Range<usize>,
    n_tokens: usize,
    /// How many headings all of it shares.
    depth: usize,
}

impl Draft {
    fn take_in(&mut self, pieces: &[Piece<'_>], next: &Draft) {
        let (path, next_path) = (path(pieces, self), path(pieces, next));
        self.depth = shared(path, next_path);
        self.range.end = next.range.end;
        self.n_tokens += next.n_tokens;
    }
}

fn path<'a>(pieces: &[Piece<'a>], draft: &Draft) -> &'a [String] {
    let headings = pieces[draft.range.end - 1].headings;
    &headings[..draft.depth.min(headings.len())]
}

fn joins(pieces: &[Piece<'_>], last: &Draft, next: &Draft, options: &ChunkOptions) -> bool {
    let (path, next_path) = (path(pieces, last), path(pieces, next));
    let is_small = last.n_tokens < options.min_tokens || next.n_tokens < options.min_tokens;
    let ends_in_heading = pieces[last.range.end - 1].is_heading;
    // One step up at most: siblings, or a parent's own words and its first child.
    let is_near = shared(path, next_path) + 1 >= path.len().min(next_path.len());
    (is_small || ends_in_heading) && is_near && last.n_tokens + next.n_tokens <= options.max_tokens
}

fn shared(one: &[String], other: &[String]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

fn tokens(pieces: &[Piece<'_>]) -> usize {
    pieces.iter().map(|piece| piece.n_tokens).sum()
}
