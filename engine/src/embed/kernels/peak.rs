//! What the processor could do at most: the measure for the encoder's speed.
//!
//! Gives giga floating-point operations a second of a loop that does nothing but fused multiply-adds in registers.
//! A product can't be faster. The number follows the clock and the neighbours: measure it in the same run.

#![cfg_attr(
    target_arch = "x86_64",
    expect(unsafe_code, reason = "calls code compiled for instructions that an `Isa` vouches for")
)]

use std::hint::black_box;
use std::time::{Duration, Instant};

use super::Isa;
use super::isa::Kind;

/// Multiply-add chains that run side by side: enough to hide latency 5 at two a cycle, and fit in registers.
const CHAINS: usize = 12;

/// Rounds between two looks at the clock.
const ROUNDS: usize = 100_000;

/// Measured peak of `n_threads` threads together, in GFLOP/s (a multiply-add counts two), over `duration`.
pub fn peak_gflops(n_threads: usize, duration: Duration) -> f64 {
    let isa = Isa::detect();
    std::thread::scope(|scope| {
        let threads: Vec<_> =
            (0..n_threads.max(1)).map(|_| scope.spawn(move || one_thread(isa, duration))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap_or(0.0)).sum()
    })
}

/// The best rate seen by this thread: a short quiet moment is nearer to the peak than an average among neighbours.
fn one_thread(isa: Isa, duration: Duration) -> f64 {
    let started = Instant::now();
    let mut best = 0.0f64;
    while started.elapsed() < duration {
        let round = Instant::now();
        let lanes = burst(isa);
        let flops = (2 * lanes * CHAINS * ROUNDS) as f64;
        best = best.max(flops / round.elapsed().as_secs_f64() / 1e9);
    }
    best
}

/// Runs the loop once; gives the lanes of one multiply-add.
fn burst(isa: Isa) -> usize {
    // SAFETY: an `Isa` of a kind exists only where the processor was seen to have it.
    match isa.kind() {
        Kind::Portable => portable(),
        #[cfg(target_arch = "x86_64")]
        Kind::Avx2 => unsafe { avx2() },
        #[cfg(target_arch = "x86_64")]
        Kind::Avx512 => unsafe { avx512() },
    }
}

fn portable() -> usize {
    const LANES: usize = 4;
    let mut sums = [[1.0f32; LANES]; CHAINS];
    let (a, b) = (black_box(0.999_999f32), black_box(1e-6f32));
    for _ in 0..ROUNDS {
        for sum in sums.iter_mut().flatten() {
            *sum = if cfg!(target_arch = "aarch64") { sum.mul_add(a, b) } else { *sum * a + b };
        }
    }
    black_box(sums);
    LANES
}

/// # Safety
/// The processor has AVX2 and FMA.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2,fma")]
unsafe fn avx2() -> usize {
    use std::arch::x86_64::*;
    let (a, b) = (_mm256_set1_ps(black_box(0.999_999)), _mm256_set1_ps(black_box(1e-6)));
    let mut sums = [b; CHAINS];
    for _ in 0..ROUNDS {
        for sum in &mut sums {
            *sum = _mm256_fmadd_ps(*sum, a, b);
        }
    }
    black_box(sums);
    8
}

/// # Safety
/// The processor has AVX-512F.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx512f")]
unsafe fn avx512() -> usize {
    use std::arch::x86_64::*;
    let (a, b) = (_mm512_set1_ps(black_box(0.999_999)), _mm512_set1_ps(black_box(1e-6)));
    let mut sums = [b; CHAINS];
    for _ in 0..ROUNDS {
        for sum in &mut sums {
            *sum = _mm512_fmadd_ps(*sum, a, b);
        }
    }
    black_box(sums);
    16
}
