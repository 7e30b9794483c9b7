//! What would tell two candidates apart.

use super::{Entry, Ranking, Router};

/// Characters of a description that a question quotes at most.
const MAX_QUOTED: usize = 120;

/// Asks which of the first two is meant, in their own words.
pub fn question(router: &Router, ranking: &Ranking) -> String {
    let told: Vec<String> =
        ranking.scored.iter().take(2).map(|scored| told(&router.entries()[scored.entry].entry)).collect();
    match told.as_slice() {
        [first, second] => format!("Which do you mean: {first}, or {second}?"),
        _ => "Can you say it in other words?".to_owned(),
    }
}

fn told(entry: &Entry) -> String {
    let first = entry.description.split(['.', '\n']).next().unwrap_or_default().trim();
    let quoted: String = first.chars().take(MAX_QUOTED).collect();
    if quoted.is_empty() { format!("\"{}\"", entry.name) } else { format!("\"{}\" ({quoted})", entry.name) }
}
