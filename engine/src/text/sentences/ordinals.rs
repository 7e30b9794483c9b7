//! Numbers whose dot says that they count in order, as in `31. Oktober` and `auf dem 2. Platz`.
//!
//! Takes the word before a dot, what stands before that word and what follows, says whether the sentence goes on. The lists are
//! German: the other languages that write so begin months and nouns with a small letter, before which no sentence ends.

use super::abbreviations::{first_word, opens};

const MONTHS: &[&str] = &[
    "januar",
    "jänner",
    "februar",
    "feber",
    "märz",
    "april",
    "mai",
    "juni",
    "juli",
    "august",
    "september",
    "oktober",
    "november",
    "dezember",
    "jan",
    "jän",
    "feb",
    "mär",
    "mrz",
    "apr",
    "jun",
    "jul",
    "aug",
    "sep",
    "sept",
    "okt",
    "nov",
    "dez",
];

/// What a number in order comes after: articles and prepositions.
const BEFORE: &[&str] = &[
    "am", "vom", "bis", "zum", "zur", "den", "dem", "der", "des", "das", "die", "im", "ins", "beim", "ab",
    "seit", "nach", "vor",
];

/// Whether the sentence goes on behind the dot after `word`, which stands after `before` and before `next`.
pub(super) fn goes_on(before: &str, word: &str, next: &str) -> bool {
    let is_digits = |text: &str, length: usize| {
        (1..=length).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit())
    };
    // Of `9.–20` the last one; of other words that end in digits, such as names, none.
    let number = word.rsplit(['-', '–']).next().unwrap_or(word);
    if !is_digits(number, 3) || !word.chars().all(|ch| ch.is_ascii_digit() || matches!(ch, '.' | '-' | '–'))
    {
        return false;
    }
    let begins_with_digit = |text: &str| text.starts_with(|ch: char| ch.is_ascii_digit());
    if next.strip_prefix(['-', '–']).map(str::trim_start).is_some_and(begins_with_digit) {
        return true;
    }
    let last = before.split_whitespace().next_back().unwrap_or_default();
    // `5. 3. 2024`: day and month, month and year.
    let is_in_order = |word: &str| word.strip_suffix('.').is_some_and(|number| is_digits(number, 2));
    if is_in_order(next.split_whitespace().next().unwrap_or_default())
        || is_in_order(last) && begins_with_digit(next)
    {
        return number.len() <= 2;
    }
    if MONTHS.contains(&first_word(next).as_str()) {
        return number.len() <= 2;
    }
    awaits(before) && !opens(next)
}

/// Whether a line that begins with a number in order carries on the line before it, as `31. Oktober` does after `bis zum`.
pub(super) fn carries_on(before: &str, line: &str) -> bool {
    awaits(before) && line.split_once(". ").is_some_and(|(word, next)| goes_on(before, word, next))
}

/// Whether a number in order is likely after this.
fn awaits(before: &str) -> bool {
    let mut words = before.split_whitespace().rev();
    let last = words.next().unwrap_or_default();
    // `I am 31.` is no German.
    let is_english = last == "am" && words.next() == Some("I");
    BEFORE.contains(&last.to_lowercase().as_str()) && !is_english
}
