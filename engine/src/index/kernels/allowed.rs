//! Which rows a caller may see.

/// Rows of one word of a bitset.
pub(super) const WORD_ROWS: usize = 64;

/// The rows that a caller may see.
#[derive(Debug, Clone, Copy)]
pub enum Allowed<'a> {
    /// All of them.
    All,
    /// One bit a row, little end first; rows beyond the last word are not allowed.
    Bits(&'a [u64]),
    /// Row numbers, ascending and distinct; those beyond the last row are ignored.
    Ids(&'a [u32]),
}

impl Allowed<'_> {
    /// Whether a row is allowed.
    #[cfg(test)]
    pub fn contains(&self, row: u32) -> bool {
        match self {
            Self::All => true,
            Self::Bits(words) => {
                words.get(row as usize / WORD_ROWS).is_some_and(|word| word >> (row % 64) & 1 == 1)
            }
            Self::Ids(ids) => ids.binary_search(&row).is_ok(),
        }
    }

    /// How many of the rows `0..n_rows` are allowed.
    pub fn count(&self, n_rows: usize) -> usize {
        match self {
            Self::All => n_rows,
            Self::Bits(words) => {
                let n_words = n_rows.div_ceil(WORD_ROWS).min(words.len());
                let ones = |word_idx: usize| {
                    (words[word_idx] & rows_of_word(word_idx, n_rows)).count_ones() as usize
                };
                (0..n_words).map(ones).sum()
            }
            Self::Ids(ids) => ids.partition_point(|id| (*id as usize) < n_rows),
        }
    }
}

/// The bits of a word that stand for rows below `n_rows`.
pub(super) fn rows_of_word(word_idx: usize, n_rows: usize) -> u64 {
    match n_rows.saturating_sub(word_idx * WORD_ROWS) {
        0 => 0,
        n @ 1..64 => (1 << n) - 1,
        _ => u64::MAX,
    }
}
