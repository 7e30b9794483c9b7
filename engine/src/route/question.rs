//! What would tell two candidates apart.

use super::{Entry, Ranking, Router};

/// Characters of a description that a question quotes at most.
const MAX_QUOTED: usize = 120;

/// Entries that a question names at most.
const MAX_NAMED: usize = 5;

/// Asks which of those that a ranking does not tell apart is meant, in their own words.
pub fn question(router: &Router, ranking: &Ranking) -> String {
    let rivals = router.rivals(ranking);
    let entries = rivals.iter().take(MAX_NAMED).map(|at| &router.entries()[ranking.scored[*at].entry].entry);
    let told: Vec<String> = entries.map(told).collect();
    match told.split_last() {
        Some((last, before)) if !before.is_empty() => {
            format!("Which do you mean: {}, or {last}?", before.join(", "))
        }
        _ => "Can you say it in other words?".to_owned(),
    }
}

/// Asks which part is meant of an intent whose parts are for different entries: each with the id of its own.
pub fn question_of_parts(parts: &[(&str, &str)]) -> String {
    let told: Vec<String> = parts.iter().map(|(part, id)| format!("\"{part}\" is for {id}")).collect();
    format!("This asks for several things: {}. Which one do you mean, or each by itself?", told.join(", "))
}

fn told(entry: &Entry) -> String {
    let first = entry.description.split(['.', '\n']).next().unwrap_or_default().trim();
    let quoted: String = first.chars().take(MAX_QUOTED).collect();
    if quoted.is_empty() { format!("\"{}\"", entry.name) } else { format!("\"{}\" ({quoted})", entry.name) }
}
