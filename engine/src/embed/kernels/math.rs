//! Element-wise passes: GELU, softmax, layer norm.
//!
//! Written as plain loops over slices and compiled once per instruction set, so that the compiler vectorises them.
//! Where a sum is taken, it is taken in [`LANES`] partial sums in a fixed order: the same on every processor.
//!
//! `exp` follows Cephes (`expf`: reduction by ln 2 in two parts, polynomial of degree 6), relative error below 2e-7
//! on [-87, 88]. `erf` is the rational approximation of Eigen (`generic_fast_erf_float`: odd polynomial of degree 13
//! over an even one of degree 8 on [-4, 4]), absolute error below 5e-7; the tests hold both against f64.

#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "calls code compiled for instructions that an `Isa` vouches for")
)]

use super::Isa;
use super::isa::Kind;
#[cfg(target_arch = "x86_64")]
use super::tile::{Avx2, Avx512};
use super::tile::{Portable, Tile};

/// Partial sums in a reduction.
const LANES: usize = 16;

/// Scale, shift and epsilon of a layer norm.
#[derive(Debug)]
pub(in crate::embed) struct Norm {
    /// `[width]`.
    pub(in crate::embed) weight: Vec<f32>,
    /// `[width]`.
    pub(in crate::embed) bias: Vec<f32>,
    /// Added to the variance.
    pub(in crate::embed) eps: f32,
}

/// `a * b + c`, fused where that is one instruction.
#[inline(always)]
fn fma<T: Tile>(a: f32, b: f32, c: f32) -> f32 {
    if T::FMA { a.mul_add(b, c) } else { a * b + c }
}

/// `e^x` for `x` up to 88; 0 or nearly 0 below -87.
#[inline(always)]
fn exp<T: Tile>(x: f32) -> f32 {
    /// Adding it rounds to an integer and leaves that in the low bits.
    const ROUND: f32 = 12_582_912.0;
    const LN2_HIGH: f32 = 0.693_359_4; // 355 / 512, exactly.
    const LN2_LOW: f32 = -2.121_944_4e-4;
    let x = if x < -87.0 { -87.0 } else { x };
    let rounded = fma::<T>(x, std::f32::consts::LOG2_E, ROUND);
    let n = rounded - ROUND;
    let r = fma::<T>(n, -LN2_LOW, fma::<T>(n, -LN2_HIGH, x));
    let mut p = 1.987_569_1e-4;
    p = fma::<T>(p, r, 1.398_2e-3);
    p = fma::<T>(p, r, 8.333_452e-3);
    p = fma::<T>(p, r, 4.166_579_6e-2);
    p = fma::<T>(p, r, 0.166_666_66);
    p = fma::<T>(p, r, 0.5);
    let y = fma::<T>(p, r * r, r + 1.0);
    f32::from_bits(y.to_bits().wrapping_add(rounded.to_bits() << 23))
}

/// The error function.
#[inline(always)]
fn erf<T: Tile>(x: f32) -> f32 {
    let x = if x < -4.0 { -4.0 } else { x };
    let x = if x > 4.0 { 4.0 } else { x };
    let s = x * x;
    let mut p = -2.726_142_3e-10;
    p = fma::<T>(p, s, 2.770_681_4e-8);
    p = fma::<T>(p, s, -2.101_024e-6);
    p = fma::<T>(p, s, -5.692_506_3e-5);
    p = fma::<T>(p, s, -7.349_906_3e-4);
    p = fma::<T>(p, s, -2.954_6e-3);
    p = fma::<T>(p, s, -1.609_603_3e-2);
    let mut q = -1.456_607_2e-5;
    q = fma::<T>(q, s, -2.133_740_6e-4);
    q = fma::<T>(q, s, -1.682_827e-3);
    q = fma::<T>(q, s, -7.373_329e-3);
    q = fma::<T>(q, s, -1.426_473_9e-2);
    x * p / q
}

/// `x · Φ(x)` in place, the exact GELU (Hendrycks and Gimpel 2016), not its tanh form.
#[inline(always)]
pub(super) fn gelu_row<T: Tile>(row: &mut [f32]) {
    for x in row {
        let half = 0.5 * *x;
        *x = fma::<T>(half, erf::<T>(*x * std::f32::consts::FRAC_1_SQRT_2), half);
    }
}

/// Sum over a slice of `f(x)`, in [`LANES`] partial sums.
#[inline(always)]
pub(super) fn lane_sum(row: &[f32], mut f: impl FnMut(f32) -> f32) -> f32 {
    let mut lanes = [0.0f32; LANES];
    let mut chunks = row.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane += f(x);
        }
    }
    let rest: f32 = chunks.remainder().iter().map(|&x| f(x)).sum();
    lanes.iter().sum::<f32>() + rest
}

/// The largest value, or negative infinity.
#[inline(always)]
fn lane_max(row: &[f32]) -> f32 {
    let larger = |a: f32, b: f32| if b > a { b } else { a };
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let mut chunks = row.chunks_exact(LANES);
    for chunk in &mut chunks {
        for (lane, &x) in lanes.iter_mut().zip(chunk) {
            *lane = larger(*lane, x);
        }
    }
    let rest = chunks.remainder().iter().fold(f32::NEG_INFINITY, |a, &b| larger(a, b));
    lanes.iter().fold(rest, |a, &b| larger(a, b))
}

#[inline(always)]
fn softmax_rows_impl<T: Tile>(scores: &mut [f32], stride: usize, columns: usize) {
    for row in scores.chunks_exact_mut(stride) {
        let row = &mut row[..columns];
        let max = lane_max(row);
        for x in row.iter_mut() {
            *x = exp::<T>(*x - max);
        }
        let scale = 1.0 / lane_sum(row, |x| x);
        for x in row.iter_mut() {
            *x *= scale;
        }
    }
}

#[inline(always)]
fn layer_norm_impl<T: Tile>(x: &mut [f32], norm: &Norm) {
    let width = norm.weight.len();
    for row in x.chunks_exact_mut(width) {
        let mean = lane_sum(row, |x| x) / width as f32;
        let variance = lane_sum(row, |x| (x - mean) * (x - mean)) / width as f32;
        let scale = 1.0 / (variance + norm.eps).sqrt();
        for ((x, &weight), &bias) in row.iter_mut().zip(&norm.weight).zip(&norm.bias) {
            *x = fma::<T>((*x - mean) * scale, weight, bias);
        }
    }
}

#[inline(always)]
fn add_layer_norm_impl<T: Tile>(x: &mut [f32], residual: &[f32], norm: &Norm) {
    let width = norm.weight.len();
    for (row, residual) in x.chunks_exact_mut(width).zip(residual.chunks_exact(width)) {
        for (x, &r) in row.iter_mut().zip(residual) {
            *x += r;
        }
        layer_norm_impl::<T>(row, norm);
    }
}

/// Compiles one pass for every instruction set and picks at run time.
macro_rules! per_isa {
    ($(#[$doc:meta])* $name:ident = $body:ident($($arg:ident: $type:ty),*)) => {
        $(#[$doc])*
        pub(in crate::embed) fn $name(isa: Isa, $($arg: $type),*) {
            /// # Safety
            /// The processor has AVX2 and FMA.
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx2,fma")]
            unsafe fn avx2($($arg: $type),*) {
                $body::<Avx2>($($arg),*);
            }
            /// # Safety
            /// The processor has AVX-512F.
            #[cfg(target_arch = "x86_64")]
            #[target_feature(enable = "avx512f")]
            unsafe fn avx512($($arg: $type),*) {
                $body::<Avx512>($($arg),*);
            }
            match isa.kind() {
                Kind::Portable => $body::<Portable>($($arg),*),
                // SAFETY: an `Isa` of this kind exists only where the processor was seen to have it.
                #[cfg(target_arch = "x86_64")]
                Kind::Avx2 => unsafe { avx2($($arg),*) },
                // SAFETY: as above.
                #[cfg(target_arch = "x86_64")]
                Kind::Avx512 => unsafe { avx512($($arg),*) },
            }
        }
    };
}

per_isa! {
    /// Softmax over the first `columns` of each row, in place; `scores: [rows, stride]`.
    ///
    /// The row's maximum is taken off first, so no finite score overflows.
    softmax_rows = softmax_rows_impl(scores: &mut [f32], stride: usize, columns: usize)
}

per_isa! {
    /// Layer norm of each row, in place (Ba, Kiros, Hinton 2016); the variance is the biased one.
    layer_norm = layer_norm_impl(x: &mut [f32], norm: &Norm)
}

per_isa! {
    /// `x = layer_norm(x + residual)` for each row, in place.
    add_layer_norm = add_layer_norm_impl(x: &mut [f32], residual: &[f32], norm: &Norm)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The error function in f64, by its Maclaurin series: exact enough where it is used, up to 4.
    fn erf_f64(x: f64) -> f64 {
        let mut term = x;
        let mut sum = x;
        for n in 1..120 {
            term *= -x * x / f64::from(n);
            sum += term / f64::from(2 * n + 1);
        }
        sum * 2.0 / std::f64::consts::PI.sqrt()
    }

    fn steps(from: f32, to: f32) -> impl Iterator<Item = f32> {
        (0..=20_000).map(move |i| from + (to - from) * i as f32 / 20_000.0)
    }

    #[test]
    fn exp_is_within_2e7_of_f64() {
        for x in steps(-87.0, 88.0) {
            let exact = f64::from(x).exp();
            let error = (f64::from(exp::<Portable>(x)) - exact).abs() / exact;
            assert!(error < 2e-7, "exp({x}) is off by {error}");
        }
        assert_eq!(exp::<Portable>(0.0), 1.0);
        assert!(exp::<Portable>(f32::NEG_INFINITY) < 1e-37);
        assert!(exp::<Portable>(f32::NAN).is_nan());
    }

    #[test]
    fn erf_is_within_5e7_of_f64() {
        for x in steps(-4.0, 4.0) {
            let error = (f64::from(erf::<Portable>(x)) - erf_f64(f64::from(x))).abs();
            assert!(error < 5e-7, "erf({x}) is off by {error}");
        }
        assert!((erf::<Portable>(f32::INFINITY) - 1.0).abs() < 5e-7);
        assert!((erf::<Portable>(-30.0) + 1.0).abs() < 5e-7);
        assert!(erf::<Portable>(f32::NAN).is_nan());
    }

    #[test]
    fn softmax_gives_shares_even_for_large_scores() {
        for isa in Isa::available() {
            let mut scores: Vec<f32> = (0..2 * 40).map(|i| (i % 40) as f32 * 100.0 - 500.0).collect();
            scores[39] = 9.0; // Beyond the columns: left alone.
            softmax_rows(isa, &mut scores, 40, 39);
            let sum: f32 = scores[..39].iter().sum();
            assert!((sum - 1.0).abs() < 1e-6 && scores[38] > 0.999 && scores[39] == 9.0, "{}", isa.name());
        }
    }

    #[test]
    fn layer_norm_of_a_row_has_mean_bias_and_deviation_weight() {
        for isa in Isa::available() {
            let norm = Norm { weight: vec![2.0; 37], bias: vec![0.5; 37], eps: 0.0 };
            let mut x: Vec<f32> = (0..37).map(|i| (i * i) as f32).collect();
            layer_norm(isa, &mut x, &norm);
            let mean = x.iter().sum::<f32>() / 37.0;
            let variance = x.iter().map(|x| (x - mean) * (x - mean)).sum::<f32>() / 37.0;
            assert!((mean - 0.5).abs() < 1e-5 && (variance - 4.0).abs() < 1e-4, "{}", isa.name());
        }
    }
}
