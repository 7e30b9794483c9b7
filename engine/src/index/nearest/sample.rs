//! Which rows stand for all in the distribution of cosines: chosen by a hash of each row's own place, so that a row is
//! in the sample or not whatever else the index holds.

/// Samples go down to one row in `2^LEVELS`.
const LEVELS: u32 = 8;

/// The samples of one segment: about every second row, of these about every second, and so on.
pub struct Samples {
    /// One bit a row, little end first; `levels[i]` has about one row in `2^(i + 1)`.
    levels: Vec<Vec<u64>>,
}

impl Samples {
    /// Of rows with these places: a hash of the file's path, and the chunk's number in the file.
    pub fn new(places: impl ExactSizeIterator<Item = (u64, u64)>) -> Self {
        let mut levels = vec![vec![0u64; places.len().div_ceil(64)]; LEVELS as usize];
        for (row, (path, ordinal)) in places.enumerate() {
            for level in levels.iter_mut().take(mix(path, ordinal).leading_zeros() as usize) {
                level[row / 64] |= 1 << (row % 64);
            }
        }
        Self { levels }
    }

    /// The rows of the sample of about one row in `2^level`; `None`: all rows.
    pub fn rows(&self, level: u32) -> Option<&[u64]> {
        let idx = level.min(LEVELS).checked_sub(1)?;
        self.levels.get(idx as usize).map(Vec::as_slice)
    }
}

/// The level at which a sample of `n_rows` has at least `n_wanted`, and less than twice as many while levels last.
pub fn level(n_rows: u64, n_wanted: u64) -> u32 {
    (n_rows / n_wanted.max(1)).checked_ilog2().unwrap_or(0).min(LEVELS)
}

/// Source: the finaliser of SplitMix64 (Steele, Lea, Flood, OOPSLA 2014).
fn mix(path: u64, ordinal: u64) -> u64 {
    let mut bits = path ^ ordinal.wrapping_mul(0x9E37_79B9_7F4A_7C15);
    bits = (bits ^ bits >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    bits = (bits ^ bits >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    bits ^ bits >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_level_halves_the_one_above_and_lies_in_it() {
        let places = (0..64_000u64).map(|row| (row / 4 * 7_919, row % 4));
        let samples = Samples::new(places.collect::<Vec<_>>().into_iter());
        let count = |level| -> u32 {
            samples.rows(level).map_or(64_000, |words| words.iter().map(|word| word.count_ones()).sum())
        };
        for level in 1..=LEVELS {
            let (wider, narrower) = (count(level - 1), count(level));
            let expected = 64_000 >> level;
            assert!(narrower < wider && narrower.abs_diff(expected) < expected / 4, "{level}: {narrower}");
        }
        assert_eq!(count(LEVELS + 5), count(LEVELS));
        assert!(samples.rows(0).is_none());
    }

    #[test]
    fn a_level_keeps_as_many_rows_as_wanted() {
        assert_eq!(
            [level(0, 10), level(10, 10), level(19, 10), level(20, 10), level(79, 10)],
            [0, 0, 0, 1, 2]
        );
        assert_eq!((level(u64::MAX, 1), level(5, 0)), (LEVELS, 2));
    }
}
