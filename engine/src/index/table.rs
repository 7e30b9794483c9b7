//! Vectors in memory, for a set that changes as a whole.

use super::kernels::{self, QuantizedQuery, QuerySketch, Rows, Sketches};

/// From so many rows on sketches spare the scan; below, scoring all is as fast (see `nearest`).
const SKETCH_MIN_ROWS: usize = 20_000;
/// Rows that are scored after the sketches, at least.
const MIN_RESCORED: usize = 1024;

/// Rows as 8-bit codes and sketches: an eighth of the room, and about 0.01 of error in a cosine.
#[derive(Debug, Clone, Default)]
pub struct VectorTable {
    dim: usize,
    codes: Vec<i8>,
    scales: Vec<f32>,
    sketches: Vec<u64>,
}

impl VectorTable {
    /// Of these rows, `[dim] f32` each, L2-normalised.
    ///
    /// # Panics
    /// Where a row has another length.
    pub fn new<'a>(dim: usize, rows: impl Iterator<Item = &'a [f32]>) -> Self {
        let mut table = Self { dim, ..Self::default() };
        let (mut codes, mut words) = (vec![0; dim], vec![0; kernels::sketch_words(dim)]);
        for row in rows {
            assert_eq!(row.len(), dim, "every row has the table's dimension");
            table.scales.push(kernels::quantize(row, &mut codes));
            kernels::sketch(row, &mut words);
            table.codes.extend(&codes);
            table.sketches.extend(&words);
        }
        table
    }

    /// The rows that are nearest to a query, `[dim] f32`, L2-normalised: row and cosine within about 0.01, best first, ties
    /// by row. In large tables some of many that are equally near may be passed over.
    pub fn nearest(&self, query: &[f32], n_best: usize) -> Vec<(u32, f32)> {
        if self.scales.is_empty() || query.len() != self.dim {
            return Vec::new();
        }
        let rows = Rows::new(&self.codes, &self.scales, self.dim);
        let codes = QuantizedQuery::new(query);
        if self.scales.len() < SKETCH_MIN_ROWS {
            let mut scores = vec![0.0; self.scales.len()];
            kernels::scan_i8(&codes, rows, &mut scores);
            return kernels::top_k(&scores, n_best);
        }
        let ids = self.near_by_sketch(query, MIN_RESCORED.max(5 * n_best));
        let mut scores = vec![0.0; ids.len()];
        kernels::score_listed(&codes, rows, &ids, &mut scores);
        let mut best: Vec<(u32, f32)> = ids.into_iter().zip(scores).collect();
        best.sort_unstable_by(kernels::best_first);
        best.truncate(n_best);
        best
    }

    /// The rows within the smallest distance that holds `n`, ascending.
    fn near_by_sketch(&self, query: &[f32], n: usize) -> Vec<u32> {
        let query = QuerySketch::new(query);
        let all: Vec<u32> = (0..self.scales.len() as u32).collect();
        let mut distances = vec![0; all.len()];
        kernels::distances(&query, Sketches::new(&self.sketches, self.dim), &all, &mut distances);
        let mut counts = vec![0usize; query.max_distance() + 1];
        distances.iter().for_each(|distance| counts[*distance as usize] += 1);
        let mut n_within = 0;
        let cut = counts.iter().position(|count| {
            n_within += count;
            n_within >= n
        });
        let cut = cut.unwrap_or(counts.len()) as u32;
        all.into_iter().filter(|row| distances[*row as usize] <= cut).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rows that differ, without a pattern.
    fn rows(n: usize, dim: usize) -> Vec<Vec<f32>> {
        let mut state = 1u64;
        let mut next = || {
            state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            (state >> 33) as f32 / (1u64 << 30) as f32 - 1.0
        };
        let row = |_| {
            let row: Vec<f32> = (0..dim).map(|_| next()).collect();
            let norm = row.iter().map(|x| x * x).sum::<f32>().sqrt();
            row.into_iter().map(|x| x / norm).collect()
        };
        (0..n).map(row).collect()
    }

    fn recall(n_rows: usize) -> f64 {
        let rows = rows(n_rows, 64);
        let table = VectorTable::new(64, rows.iter().map(Vec::as_slice));
        let mut n_found = 0;
        for query in rows.iter().step_by(n_rows / 20).take(20) {
            let mut exact: Vec<(u32, f32)> =
                (0..).zip(rows.iter().map(|row| kernels::dot_f32(query, row))).collect();
            exact.sort_by(kernels::best_first);
            let found = table.nearest(query, 10);
            assert_eq!(found[0].0, exact[0].0);
            n_found +=
                exact[..10].iter().filter(|(row, _)| found.iter().any(|(other, _)| other == row)).count();
        }
        n_found as f64 / 200.0
    }

    #[test]
    fn the_nearest_are_found_in_small_and_in_large_tables() {
        assert!(recall(500) > 0.97, "{}", recall(500));
        assert!(recall(SKETCH_MIN_ROWS + 1000) > 0.9, "{}", recall(SKETCH_MIN_ROWS + 1000));
    }

    #[test]
    fn an_empty_table_and_a_strange_query_give_nothing() {
        assert!(VectorTable::default().nearest(&[1.0], 3).is_empty());
        let rows = rows(3, 8);
        assert!(VectorTable::new(8, rows.iter().map(Vec::as_slice)).nearest(&[1.0], 3).is_empty());
    }
}
