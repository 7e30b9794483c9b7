//! Why two sentences about the same thing can't both hold.

use std::collections::BTreeSet;

use super::values::Value;
use super::{Claim, jaccard};

/// What tells them apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Conflict {
    /// Another number, date or time.
    Value,
    /// One denies what the other says.
    Negation,
    /// The opposite state.
    State,
    /// Another name or word in the same place.
    Name,
}

/// Subjects below this share of words in common are not the same.
const SAME_SUBJECT: f32 = 0.5;
/// Sentences below this share of words in common only deny each other by accident.
const SAME_WORDS: f32 = 0.45;
/// Words that differ on each side, where one stands in the place of the other.
const MAX_SWAPPED: usize = 2;

/// Why two sentences that are about the same thing contradict each other, if they seem to. Whether they are about the
/// same thing is for the caller to know; here only their words are looked at.
pub fn conflict(one: &Claim, other: &Claim) -> Option<Conflict> {
    if !same_subject(one, other) {
        return None;
    }
    let overlap = one.overlap(other);
    if values_conflict(one, other) {
        return Some(Conflict::Value);
    }
    let opposite = states_conflict(one, other);
    // `not open` and `closed` say the same.
    if overlap >= SAME_WORDS && opposite != (one.denies != other.denies) && !one.differs_in_values(other) {
        return Some(if opposite { Conflict::State } else { Conflict::Negation });
    }
    if opposite && one.denies == other.denies && overlap >= SAME_WORDS / 2.0 {
        return Some(Conflict::State);
    }
    swapped(one, other).then_some(Conflict::Name)
}

/// Whether both speak of the same thing, as far as what is before the verb tells.
fn same_subject(one: &Claim, other: &Claim) -> bool {
    let (Some(a), Some(b)) = (one.verb, other.verb) else { return true };
    let (first, second) = (one.content_in(0..a), other.content_in(0..b));
    if first.is_empty() || second.is_empty() {
        return true;
    }
    let labels = |claim: &Claim, end: usize| -> BTreeSet<String> {
        claim.values_in(0..end).iter().map(|value| format!("{value:?}")).collect()
    };
    let names = |claim: &Claim, end: usize| -> BTreeSet<String> {
        let named = claim.words[..end].iter().filter(|word| word.is_name);
        named.map(|word| word.stem.clone()).collect()
    };
    if !labels(one, a).is_subset(&labels(other, b)) && !labels(other, b).is_subset(&labels(one, a)) {
        return false;
    }
    if !names(one, a).is_subset(&names(other, b)) && !names(other, b).is_subset(&names(one, a)) {
        return false;
    }
    // The same words may stand on the other side of the verb: `we keep invoices`, `invoices are kept`.
    let within = |part: &BTreeSet<&str>, whole: &BTreeSet<&str>| {
        part.iter().filter(|stem| whole.contains(*stem)).count() as f32 / part.len() as f32
    };
    jaccard(&first, &second) >= SAME_SUBJECT
        || within(&first, &other.content()) >= 0.99
        || within(&second, &one.content()) >= 0.99
}

/// Whether a number, date or time is another one in the other sentence.
fn values_conflict(one: &Claim, other: &Claim) -> bool {
    let (first, second) = (one.values(), other.values());
    let only = |of: &[&Value], than: &[&Value]| -> Vec<Value> {
        let differs = |value: &&&Value| !than.iter().any(|found| found.same_amount(value));
        of.iter().filter(differs).map(|value| (*value).clone()).collect()
    };
    let (first, second) = (only(&first, &second), only(&second, &first));
    // A label that differs means another thing.
    if first.iter().chain(&second).any(|value| value.is_label) {
        return false;
    }
    first.iter().any(|value| second.iter().any(|found| found.kind == value.kind))
}

/// Whether a word of one is the opposite of a word of the other.
fn states_conflict(one: &Claim, other: &Claim) -> bool {
    let plain =
        |claim: &Claim| -> BTreeSet<String> { claim.words.iter().map(|word| word.plain.clone()).collect() };
    let (first, second) = (plain(one), plain(other));
    let (only_first, only_second) =
        (first.difference(&second), second.difference(&first).collect::<Vec<_>>());
    only_first.into_iter().any(|a| only_second.iter().any(|b| are_opposites(a, b)))
}

fn are_opposites(one: &str, other: &str) -> bool {
    let negated = |plain: &str, base: &str| {
        ["un", "in", "dis", "non", "im", "off", "ir"]
            .iter()
            .any(|prefix| plain.strip_prefix(prefix).is_some_and(|rest| rest == base && base.len() > 3))
    };
    let sides = |left: &[&str], right: &[&str]| left.contains(&one) && right.contains(&other);
    negated(one, other)
        || negated(other, one)
        || OPPOSITES.iter().any(|(left, right)| sides(left, right) || sides(right, left))
}

/// Whether both are built alike, and one word after the verb stands in the place of another.
fn swapped(one: &Claim, other: &Claim) -> bool {
    let (Some(a), Some(b)) = (one.verb, other.verb) else { return false };
    let (first, second) = (one.content(), other.content());
    let only = |claim: &Claim, verb: usize, than: &BTreeSet<&str>| -> Option<(usize, bool)> {
        let mut n_swapped = 0;
        let mut has_name = false;
        for (at, word) in claim.words.iter().enumerate() {
            if word.is_content() && !than.contains(word.stem.as_str()) {
                if at < verb {
                    return None;
                }
                n_swapped += 1;
                has_name |= word.is_name;
            }
        }
        Some((n_swapped, has_name))
    };
    let (Some((n_first, named)), Some((n_second, also_named))) =
        (only(one, a, &second), only(other, b, &first))
    else {
        return false;
    };
    let range = 1..=MAX_SWAPPED;
    let is_swap = range.contains(&n_first) && range.contains(&n_second);
    let same_verb = one.words[a].stem == other.words[b].stem;
    is_swap
        && same_verb
        && one.denies == other.denies
        && (named && also_named || n_first == 1 && n_second == 1)
}

/// Words that exclude each other.
const OPPOSITES: &[(&[&str], &[&str])] = &[
    (
        &["on", "enabled", "enable", "enables", "active", "activated"],
        &["off", "disabled", "disable", "disables", "inactive", "deactivated"],
    ),
    (&["open", "opened", "opens"], &["closed", "close", "closes", "shut"]),
    (&["up", "online", "running", "available"], &["down", "offline", "stopped", "unavailable"]),
    (
        &["allowed", "permitted", "allow", "allows", "permits"],
        &["forbidden", "denied", "prohibited", "banned", "deny", "denies", "blocked", "blocks", "forbids"],
    ),
    (
        &["accepted", "approved", "accepts", "approves", "granted"],
        &["rejected", "refused", "declined", "denied", "rejects"],
    ),
    (
        &["start", "starts", "started", "begin", "begins", "began"],
        &["stop", "stops", "stopped", "end", "ends", "ended", "finished"],
    ),
    (
        &["increase", "increased", "increases", "rose", "grew", "rises", "grows"],
        &["decrease", "decreased", "decreases", "fell", "shrank", "falls", "shrinks", "dropped"],
    ),
    (&["before", "earlier"], &["after", "later"]),
    (&["over", "above", "exceeding"], &["under", "below"]),
    (&["more", "longer", "larger"], &["less", "fewer", "shorter", "smaller"]),
    (&["always"], &["never", "sometimes", "rarely"]),
    (&["all", "every", "everybody", "everyone"], &["none", "no", "nobody"]),
    (&["minimum", "least"], &["maximum", "most"]),
    (&["required", "mandatory", "compulsory"], &["optional", "voluntary"]),
    (&["public"], &["private", "confidential", "secret"]),
    (&["internal"], &["external"]),
    (&["true", "yes", "correct"], &["false", "no", "wrong"]),
    (&["pass", "passed", "passes", "succeeded", "succeeds", "successful"], &["fail", "failed", "fails"]),
    (&["included", "includes", "include", "including"], &["excluded", "excludes", "exclude", "excluding"]),
    (
        &["keep", "kept", "keeps", "retained", "stored"],
        &["delete", "deleted", "deletes", "discarded", "removed", "erased"],
    ),
    (&["add", "added", "adds"], &["remove", "removed", "removes"]),
    (&["manual", "manually", "hand"], &["automatic", "automatically"]),
    (&["free"], &["paid", "charged"]),
    (&["cheap", "cheaper", "cheapest"], &["expensive", "dearer", "dearest"]),
    (&["fast", "faster", "fastest", "quick"], &["slow", "slower", "slowest"]),
    (&["high", "higher", "highest"], &["low", "lower", "lowest"]),
    (&["early"], &["late"]),
    (&["hot", "warm"], &["cold", "cool"]),
    (&["left"], &["right"]),
    (&["north", "northern"], &["south", "southern"]),
    (&["east", "eastern"], &["west", "western"]),
    (&["morning"], &["evening", "afternoon", "night"]),
    (
        &["likes", "like", "loves", "love", "enjoys", "prefers"],
        &["dislikes", "dislike", "hates", "hate", "avoids"],
    ),
    (&["safe"], &["unsafe", "dangerous"]),
    (&["alive"], &["dead"]),
    (&["full"], &["empty"]),
    (&["visible", "shown"], &["hidden", "invisible"]),
    (&["encrypted"], &["unencrypted", "plaintext", "plain"]),
    (&["synchronous"], &["asynchronous"]),
    (&["married"], &["single", "divorced", "unmarried"]),
    (&["remote", "remotely"], &["office", "onsite"]),
    (&["signed"], &["unsigned"]),
    (
        &["done", "complete", "completed", "finished"],
        &["pending", "unfinished", "incomplete", "outstanding", "open"],
    ),
    (&["buy", "buys", "bought"], &["sell", "sells", "sold"]),
    (&["vegetarian", "vegan"], &["meat"]),
    (&["locked"], &["unlocked"]),
    (&["read", "readonly"], &["writable"]),
    (&["valid"], &["invalid", "expired"]),
    (&["empty"], &["occupied"]),
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(one: &str, other: &str) -> Option<Conflict> {
        let (one, other) = (Claim::of(one), Claim::of(other));
        assert_eq!(conflict(&one, &other), conflict(&other, &one), "it is the same from both sides");
        conflict(&one, &other)
    }

    #[test]
    fn each_kind_is_told_from_what_only_looks_like_it() {
        let limit = "The upload limit is 100 MB.";
        assert_eq!(check(limit, "The upload limit is 200 MB."), Some(Conflict::Value));
        assert_eq!(check(limit, "The upload limit is 100 MB per day."), None);
        assert_eq!(check("The gate is open.", "The gate is closed."), Some(Conflict::State));
        assert_eq!(check("The gate is not open.", "The gate is closed."), None);
        assert_eq!(
            check("Refunds need a receipt.", "Refunds do not need a receipt."),
            Some(Conflict::Negation)
        );
        assert_eq!(check("Billing belongs to Anna.", "Billing belongs to Bob."), Some(Conflict::Name));
        assert_eq!(check("Invoice 17 was paid.", "Invoice 18 was paid."), None);
        assert_eq!(check("Anna likes tea.", "Bob likes tea."), None);
    }
}
