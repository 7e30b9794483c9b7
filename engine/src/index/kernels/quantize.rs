//! Numbers of 8 bits in place of `f32`: rows, and the query.

/// Largest code in absolute value. -128 is left out so that negation stays in range.
const CODE_MAX: f32 = 127.0;

/// Writes a row's 8-bit codes, gives their scale: `row[i] ≈ out[i] as f32 * scale`, `out[i]` in [-127, 127].
///
/// Symmetric, one scale a row: the largest absolute value becomes 127. The scale is 0 where the row is all zero or has
/// a number that is not finite; then all codes are 0 too.
///
/// # Panics
/// Where the two lengths differ.
pub fn quantize(row: &[f32], out: &mut [i8]) -> f32 {
    assert_eq!(row.len(), out.len(), "a row and its codes have the same length");
    let largest = row.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
    let scale = largest / CODE_MAX;
    if !scale.is_normal() || row.iter().any(|value| !value.is_finite()) {
        out.fill(0);
        return 0.0;
    }
    for (code, value) in out.iter_mut().zip(row) {
        *code = (value / scale).round().clamp(-CODE_MAX, CODE_MAX) as i8;
    }
    scale
}

/// A query's 8-bit codes, their scale and their sum.
#[derive(Debug, Clone)]
pub struct QuantizedQuery {
    pub(super) codes: Vec<i8>,
    pub(super) scale: f32,
    pub(super) sum: i32,
}

impl QuantizedQuery {
    /// Of `query: [dim] f32`. One that is zero or not finite scores 0 with every row.
    pub fn new(query: &[f32]) -> Self {
        let mut codes = vec![0; query.len()];
        let scale = quantize(query, &mut codes);
        Self::from_codes(codes, scale)
    }

    /// Of codes that exist already, such as those of a stored row.
    pub fn from_codes(codes: Vec<i8>, scale: f32) -> Self {
        let sum = sum_i8(&codes);
        Self { codes, scale, sum }
    }

    /// Numbers in the query.
    pub fn dim(&self) -> usize {
        self.codes.len()
    }
}

/// Quantised rows, whose lengths fit each other.
#[derive(Debug, Clone, Copy)]
pub struct Rows<'a> {
    pub(super) codes: &'a [i8],
    pub(super) scales: &'a [f32],
    pub(super) dim: usize,
}

impl<'a> Rows<'a> {
    /// `codes: [n, dim] i8`, `scales: [n] f32`.
    ///
    /// # Panics
    /// Where `codes` has another length than `n × dim`.
    pub fn new(codes: &'a [i8], scales: &'a [f32], dim: usize) -> Self {
        assert_eq!(
            Some(codes.len()),
            scales.len().checked_mul(dim),
            "each row has one scale and `dim` codes"
        );
        Self { codes, scales, dim }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.scales.len()
    }

    /// Whether a row has a vector.
    #[inline]
    pub fn has(&self, row: u32) -> bool {
        self.scales[row as usize] > 0.0
    }

    /// All scales.
    pub fn scales(&self) -> &'a [f32] {
        self.scales
    }

    /// The codes of a row.
    #[inline(always)]
    pub fn codes_of(&self, row: usize) -> &'a [i8] {
        &self.codes[row * self.dim..(row + 1) * self.dim]
    }

    pub(super) fn slice(&self, start: usize, n: usize) -> Self {
        Self {
            codes: &self.codes[start * self.dim..(start + n) * self.dim],
            scales: &self.scales[start..start + n],
            dim: self.dim,
        }
    }
}

pub(super) fn sum_i8(codes: &[i8]) -> i32 {
    codes.iter().map(|code| i32::from(*code)).sum()
}
