//! How scores are distributed, in sums that no order of adding changes.

/// Scores are summed in whole steps of 2^-20, so that neither order nor threads nor segments change a sum.
const STEPS: f32 = (1 << 20) as f32;

/// Scores count up to this size in a sum; cosines are at most 1.
const SUM_CLAMP: f32 = 1024.0;

/// How the scores of some rows are distributed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScanStats {
    /// Rows scored.
    pub n: u64,
    /// Their mean, 0 without rows.
    pub mean: f64,
    /// Their standard deviation (population), 0 without rows.
    pub std: f64,
    /// Their largest, `NEG_INFINITY` without rows.
    pub max: f32,
    sums: Sums,
}

impl ScanStats {
    /// Of these scores; `NEG_INFINITY` and NaN stand for rows without one.
    pub fn of(scores: &[f32]) -> Self {
        let mut sums = Sums::default();
        scores.iter().for_each(|score| sums.add(*score));
        sums.finish()
    }

    /// Of both sets of rows, such as two segments; exact, in whatever order sets are merged.
    pub fn merge(self, other: Self) -> Self {
        self.sums.merge(other.sums).finish()
    }
}

/// Whole-number sums of scores.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Sums {
    n: u64,
    sum: i64,
    squares: u128,
    max: f32,
}

impl Default for Sums {
    fn default() -> Self {
        Self { n: 0, sum: 0, squares: 0, max: f32::NEG_INFINITY }
    }
}

impl Sums {
    #[inline(always)]
    fn add(&mut self, score: f32) {
        if score > f32::NEG_INFINITY {
            let step = (score.clamp(-SUM_CLAMP, SUM_CLAMP) * STEPS) as i64;
            self.n += 1;
            self.sum += step;
            self.squares += u128::from((step * step).unsigned_abs());
            self.max = self.max.max(score);
        }
    }

    fn merge(self, other: Self) -> Self {
        Self {
            n: self.n + other.n,
            sum: self.sum + other.sum,
            squares: self.squares + other.squares,
            max: self.max.max(other.max),
        }
    }

    fn finish(self) -> ScanStats {
        if self.n == 0 {
            return ScanStats { n: 0, mean: 0.0, std: 0.0, max: self.max, sums: self };
        }
        let (n, step) = (self.n as f64, f64::from(STEPS));
        let mean = self.sum as f64 / n;
        let variance = (self.squares as f64 / n - mean * mean).max(0.0);
        ScanStats { n: self.n, mean: mean / step, std: variance.sqrt() / step, max: self.max, sums: self }
    }
}
