//! Multinomial logistic regression over dense and sparse features, fitted by L-BFGS.
//!
//! Minimises `sum over rows of -weight · ln p(class | row) + |W|² / (2 C)` over weights `W` and free intercepts, which is convex: there is one best `W`, and it does not
//! depend on the order of rows but for rounding. The work is split into blocks of fixed size, and their sums are taken in
//! one order, so that the same rows give the same bits.
//!
//! Source: Nocedal, Wright, «Numerical Optimization», 2006, algorithms 7.4 and 7.5, with backtracking (3.1).

use std::collections::VecDeque;

use nalgebra::{DMatrix, DMatrixView, DMatrixViewMut};
use rayon::prelude::*;

use super::lexicon::Sparse;

/// What the weights' size costs; larger is looser. Chosen on validation splits together with the features' scales.
const C: f32 = 30.0;
/// Steps at most: the last ones change nothing that counts.
const MAX_STEPS: usize = 30;
/// Steps that the next one is shaped by.
const MEMORY: usize = 8;
/// Sufficient decrease (Armijo).
const DECREASE: f64 = 1e-4;
/// Halvings of one step at most.
const MAX_HALVINGS: usize = 20;
/// Done when the gradient is so short beside the first one.
const TOLERANCE: f64 = 1e-3;
/// The length of the first step, when nothing is known of the curvature.
const FIRST_STEP: f64 = 10.0;
/// Rows, or features, whose work is one piece.
const BLOCK: usize = 512;

/// Rows of a training set.
#[derive(Default)]
pub(super) struct Rows {
    /// `[n, dim]` one after the other; the last number of each row is 1 and stands for the intercept.
    pub dense: Vec<f32>,
    /// One for each row.
    pub sparse: Vec<Sparse>,
    /// The class of each row.
    pub classes: Vec<usize>,
    /// How much each row counts.
    pub weights: Vec<f32>,
}

/// Fitted weights.
pub(super) struct Logistic {
    n_classes: usize,
    /// `[n_classes, dim]`, column-major: the weights of one feature stand together.
    dense: DMatrix<f32>,
    /// `[n_classes, n_sparse]`, the same way.
    sparse: DMatrix<f32>,
}

impl Logistic {
    /// Fits weights for `n_classes` classes over `dim` dense and `n_sparse` sparse features.
    pub(super) fn fit(rows: &Rows, dim: usize, n_sparse: usize, n_classes: usize) -> Self {
        let problem = Problem::new(rows, dim, n_sparse, n_classes);
        let weights = minimise(&problem, vec![0.0; n_classes * (dim + n_sparse)]);
        let (dense, sparse) = weights.split_at(n_classes * dim);
        Self {
            n_classes,
            dense: DMatrix::from_column_slice(n_classes, dim, dense),
            sparse: DMatrix::from_column_slice(n_classes, n_sparse, sparse),
        }
    }

    /// The logit of each class, before any softmax.
    pub(super) fn logits(&self, dense: &[f32], sparse: &[(u32, f32)]) -> Vec<f32> {
        let mut logits = vec![0.0; self.n_classes];
        for (weights, x) in self.dense.column_iter().zip(dense) {
            add_scaled(&mut logits, weights.as_slice(), *x);
        }
        for (feature, x) in sparse {
            add_scaled(&mut logits, self.sparse.column(*feature as usize).as_slice(), *x);
        }
        logits
    }
}

struct Problem<'a> {
    rows: &'a Rows,
    dim: usize,
    n_classes: usize,
    n_weights: usize,
    /// `[dim, n]`: a row of the set is a column.
    by_row: DMatrixView<'a, f32>,
    /// `[n, dim]`.
    by_feature: DMatrix<f32>,
}

impl<'a> Problem<'a> {
    fn new(rows: &'a Rows, dim: usize, n_sparse: usize, n_classes: usize) -> Self {
        let by_row = DMatrixView::from_slice(&rows.dense, dim, rows.classes.len());
        let by_feature = by_row.transpose();
        Self { rows, dim, n_classes, n_weights: n_classes * (dim + n_sparse), by_row, by_feature }
    }

    /// The loss at these weights; its gradient goes to `gradient`.
    fn loss(&self, weights: &[f32], gradient: &mut [f32]) -> f64 {
        let mut residuals = vec![0.0; self.n_classes * self.rows.classes.len()];
        let loss = self.residuals(weights, &mut residuals);
        self.gradient(weights, &residuals, gradient);
        let (bound, _) = self.split(weights);
        loss + bound.iter().map(|weights| dot(weights, weights)).sum::<f64>() / (2.0 * f64::from(C))
    }

    /// The weights whose size costs something, before and after the intercepts, and where those stand.
    fn split<'w>(&self, weights: &'w [f32]) -> ([&'w [f32]; 2], std::ops::Range<usize>) {
        let end = self.n_classes * self.dim;
        let start = end - self.n_classes;
        ([&weights[..start], &weights[end..]], start..end)
    }

    /// Sets `weight · (p - y)` of each row, `[n_classes, n]` column-major; gives the rows' loss.
    fn residuals(&self, weights: &[f32], residuals: &mut [f32]) -> f64 {
        let (dense, sparse) = weights.split_at(self.n_classes * self.dim);
        let dense = DMatrixView::from_slice(dense, self.n_classes, self.dim);
        let blocks = residuals.par_chunks_mut(self.n_classes * BLOCK).enumerate();
        let losses: Vec<f64> = blocks
            .map(|(block_idx, block)| {
                let first = block_idx * BLOCK;
                let n_rows = block.len() / self.n_classes;
                let mut logits = DMatrixViewMut::from_slice(block, self.n_classes, n_rows);
                logits.gemm(1.0, &dense, &self.by_row.columns(first, n_rows), 0.0);
                let columns = block.chunks_exact_mut(self.n_classes).enumerate();
                columns.map(|(at, logits)| self.settle(first + at, sparse, logits)).sum()
            })
            .collect();
        losses.into_iter().sum()
    }

    /// Turns one row's logits into `weight · (p - y)`; gives its loss.
    fn settle(&self, row: usize, sparse: &[f32], logits: &mut [f32]) -> f64 {
        for (feature, x) in &self.rows.sparse[row] {
            add_scaled(logits, &sparse[*feature as usize * self.n_classes..][..self.n_classes], *x);
        }
        let class = self.rows.classes[row];
        let own = logits[class];
        let largest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        logits.iter_mut().for_each(|logit| *logit = (*logit - largest).exp());
        let sum: f32 = logits.iter().sum();
        let weight = self.rows.weights[row];
        logits.iter_mut().for_each(|p| *p *= weight / sum);
        logits[class] -= weight;
        f64::from(weight * (sum.ln() + largest - own))
    }

    fn gradient(&self, weights: &[f32], residuals: &[f32], gradient: &mut [f32]) {
        let n_rows = self.rows.classes.len();
        let all = DMatrixView::from_slice(residuals, self.n_classes, n_rows);
        let (dense, sparse) = gradient.split_at_mut(self.n_classes * self.dim);
        dense.par_chunks_mut(self.n_classes * BLOCK / 4).enumerate().for_each(|(block_idx, block)| {
            let n_features = block.len() / self.n_classes;
            let features = self.by_feature.columns(block_idx * (BLOCK / 4), n_features);
            DMatrixViewMut::from_slice(block, self.n_classes, n_features).gemm(1.0, &all, &features, 0.0);
        });
        sparse.fill(0.0);
        for (features, residual) in self.rows.sparse.iter().zip(residuals.chunks_exact(self.n_classes)) {
            for (feature, x) in features {
                add_scaled(&mut sparse[*feature as usize * self.n_classes..][..self.n_classes], residual, *x);
            }
        }
        let (_, intercepts) = self.split(weights);
        let (before, after) = (intercepts.start, intercepts.end);
        add_scaled(&mut gradient[..before], &weights[..before], 1.0 / C);
        add_scaled(&mut gradient[after..], &weights[after..], 1.0 / C);
    }
}

/// A step that was taken, and what it did to the gradient.
struct Step {
    moved: Vec<f32>,
    turned: Vec<f32>,
    curvature: f64,
}

fn minimise(problem: &Problem<'_>, mut weights: Vec<f32>) -> Vec<f32> {
    let mut gradient = vec![0.0; problem.n_weights];
    let mut loss = problem.loss(&weights, &mut gradient);
    let mut steps: VecDeque<Step> = VecDeque::new();
    let short = TOLERANCE * dot(&gradient, &gradient).sqrt();
    for _ in 0..MAX_STEPS {
        if dot(&gradient, &gradient).sqrt() <= short {
            break;
        }
        let way = direction(&gradient, &steps);
        let Some((next, next_loss, next_gradient)) = descend(problem, &weights, loss, &gradient, &way) else {
            break;
        };
        let difference = |new: &[f32], old: &[f32]| new.iter().zip(old).map(|(new, old)| new - old).collect();
        let (moved, turned): (Vec<f32>, Vec<f32>) =
            (difference(&next, &weights), difference(&next_gradient, &gradient));
        let curvature = dot(&moved, &turned);
        if curvature > 0.0 {
            if steps.len() == MEMORY {
                steps.pop_front();
            }
            steps.push_back(Step { moved, turned, curvature });
        }
        (weights, loss, gradient) = (next, next_loss, next_gradient);
    }
    weights
}

/// Where to go: the gradient turned by what the last steps told of the curvature.
fn direction(gradient: &[f32], steps: &VecDeque<Step>) -> Vec<f32> {
    let mut way: Vec<f32> = gradient.to_vec();
    let mut shares = Vec::with_capacity(steps.len());
    for step in steps.iter().rev() {
        let share = dot(&step.moved, &way) / step.curvature;
        add_scaled(&mut way, &step.turned, -share as f32);
        shares.push(share);
    }
    let scale = match steps.back() {
        Some(step) => step.curvature / dot(&step.turned, &step.turned),
        None => FIRST_STEP / dot(gradient, gradient).sqrt().max(1.0),
    };
    way.iter_mut().for_each(|x| *x *= scale as f32);
    for (step, share) in steps.iter().zip(shares.into_iter().rev()) {
        let other = dot(&step.turned, &way) / step.curvature;
        add_scaled(&mut way, &step.moved, (share - other) as f32);
    }
    way.iter_mut().for_each(|x| *x = -*x);
    way
}

/// A step along `way` that lowers the loss enough; `None` where none does.
fn descend(
    problem: &Problem<'_>,
    weights: &[f32],
    loss: f64,
    gradient: &[f32],
    way: &[f32],
) -> Option<(Vec<f32>, f64, Vec<f32>)> {
    let slope = dot(gradient, way);
    if slope >= 0.0 {
        return None;
    }
    let mut next_gradient = vec![0.0; problem.n_weights];
    let mut length = 1.0f32;
    for _ in 0..MAX_HALVINGS {
        let mut next = weights.to_vec();
        add_scaled(&mut next, way, length);
        let next_loss = problem.loss(&next, &mut next_gradient);
        if next_loss <= loss + DECREASE * f64::from(length) * slope {
            return Some((next, next_loss, next_gradient));
        }
        length /= 2.0;
    }
    None
}

fn add_scaled(to: &mut [f32], from: &[f32], by: f32) {
    to.iter_mut().zip(from).for_each(|(to, from)| *to += by * from);
}

fn dot(a: &[f32], b: &[f32]) -> f64 {
    // Lanes of their own, so that the compiler adds several at once; the order is fixed all the same.
    let mut lanes = [0.0f64; 8];
    let (a_eights, b_eights) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a_eights
        .remainder()
        .iter()
        .zip(b_eights.remainder())
        .map(|(a, b)| f64::from(*a) * f64::from(*b))
        .sum();
    for (a, b) in a_eights.zip(b_eights) {
        for lane in 0..8 {
            lanes[lane] += f64::from(a[lane]) * f64::from(b[lane]);
        }
    }
    lanes.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two clouds on a line, and a word that only one of them has.
    fn rows() -> Rows {
        let mut rows = Rows::default();
        for at in 0..40 {
            let class = at % 2;
            let side = if class == 0 { 1.0 } else { -1.0 };
            rows.dense.extend([side + (at as f32 * 0.7).sin(), 1.0]);
            rows.sparse.push(if class == 1 { vec![(0, 1.0)] } else { Vec::new() });
            rows.classes.push(class);
            rows.weights.push(if at < 20 { 1.0 } else { 0.5 });
        }
        rows
    }

    #[test]
    fn the_gradient_is_that_of_the_loss() {
        let rows = rows();
        let problem = Problem::new(&rows, 2, 1, 2);
        let weights: Vec<f32> = (0..6).map(|idx| (idx as f32 - 2.5) / 4.0).collect();
        let (mut gradient, mut ignored) = (vec![0.0; 6], vec![0.0; 6]);
        problem.loss(&weights, &mut gradient);
        for idx in 0..6 {
            let moved = |by: f32| {
                let mut moved = weights.clone();
                moved[idx] += by;
                moved
            };
            let (up, down) =
                (problem.loss(&moved(1e-2), &mut ignored), problem.loss(&moved(-1e-2), &mut ignored));
            let slope = (up - down) / 2e-2;
            assert!((slope - f64::from(gradient[idx])).abs() < 2e-2, "{idx}: {slope} and {}", gradient[idx]);
        }
    }

    #[test]
    fn the_best_weights_are_flat_and_tell_the_classes_apart() {
        let rows = rows();
        let problem = Problem::new(&rows, 2, 1, 2);
        let weights = minimise(&problem, vec![0.0; 6]);
        let mut gradient = vec![0.0; 6];
        problem.loss(&weights, &mut gradient);
        assert!(dot(&gradient, &gradient).sqrt() < 0.05, "{gradient:?}");
        let fitted = Logistic::fit(&rows, 2, 1, 2);
        for (row, class) in rows.classes.iter().enumerate() {
            let logits = fitted.logits(&rows.dense[2 * row..][..2], &rows.sparse[row]);
            assert_eq!(usize::from(logits[1] > logits[0]), *class);
        }
    }

    #[test]
    fn equal_rows_give_equal_bits() {
        let (a, b) = (Logistic::fit(&rows(), 2, 1, 2), Logistic::fit(&rows(), 2, 1, 2));
        assert_eq!(a.dense, b.dense);
        assert_eq!(a.sparse, b.sparse);
    }
}
