//! Words that end in a dot without ending a sentence.
//!
//! Takes the word before a dot and what follows it, says whether the sentence goes on. Lists for English, German,
//! French and Spanish, in lower case and without the last dot.

/// Always followed by more of the sentence: titles, and what introduces something.
const INTRODUCING: &[&str] = &[
    "mr", "mrs", "ms", "dr", "prof", "rev", "hon", "st", "gen", "col", "lt", "sgt", "capt", "cmdr", "gov",
    "sen", "rep", "pres", "messrs", "mme", "mlle", "hr", "fr", "sr", "sra", "srta", "dra", "dipl", "ing",
    "e.g", "i.e", "eg", "ie", "cf", "vs", "viz", "ca", "approx", "resp", "bzw", "vgl", "z.b", "d.h", "u.a",
    "u.u", "s.o", "s.u", "i.d.r", "o.ä", "z.t", "ggf", "evtl", "bspw", "sog", "inkl", "zzgl", "p.ex",
    "par ex", "p.ej", "mt", "ft", "av", "esp", "incl", "excl", "w.r.t", "a.k.a", "einschl", "bzgl",
];

/// Followed by a number or a name: the sentence goes on before a digit.
const COUNTING: &[&str] = &[
    "no", "nos", "nr", "vol", "vols", "p", "pp", "fig", "figs", "sec", "ch", "chap", "art", "para", "eq",
    "eqs", "ex", "ed", "eds", "abs", "bd", "s", "jan", "feb", "mar", "apr", "jun", "jul", "aug", "sep",
    "sept", "oct", "nov", "dec", "núm", "pág", "tab", "ref", "refs", "app", "ver", "v", "rev", "cap", "c",
    "b", "r", "kap", "ziff", "tel", "jän", "mär", "mrz", "okt", "dez",
];

/// May end a sentence too; it does where the next word could not go on.
const EITHER: &[&str] = &[
    "inc", "ltd", "co", "corp", "llc", "bros", "jr", "sr", "etc", "al", "dept", "univ", "assn", "est", "ave",
    "blvd", "rd", "a.m", "p.m", "ph.d", "m.d", "b.a", "m.a", "b.sc", "m.sc", "usw", "gmbh", "u.s", "u.k",
    "u.n", "d.c", "e.u", "mio", "mrd", "tsd",
];

/// Words that begin sentences far more often than names.
const OPENERS: &[&str] = &[
    "the", "a", "an", "this", "that", "these", "those", "it", "its", "he", "she", "they", "we", "you", "i",
    "in", "on", "at", "as", "if", "when", "while", "but", "and", "or", "so", "for", "from", "to", "by",
    "with", "there", "here", "what", "who", "how", "why", "where", "which", "his", "her", "their", "our",
    "my", "your", "not", "no", "yes", "all", "some", "each", "both", "after", "before", "since", "however",
    "then", "thus", "also", "der", "die", "das", "ein", "eine", "es", "er", "sie", "wir", "ich", "wenn",
    "aber", "und", "im", "am", "bei", "mit", "nach", "nur", "auch", "bitte", "danach", "dann", "dabei",
    "dazu", "diese", "dieser", "dieses", "alle", "heute", "jetzt", "wer", "was", "wie", "wo", "le", "la",
    "les", "un", "une", "il", "elle", "el", "los", "las", "una", "en",
];

/// Whether the sentence goes on behind the dot after `word`, before `next`.
pub(super) fn goes_on(word: &str, next: &str) -> bool {
    let lower = word.trim_matches(|ch: char| !ch.is_alphanumeric()).to_lowercase();
    let lower = lower.as_str();
    if INTRODUCING.contains(&lower) || parts(word, next) {
        return true;
    }
    if COUNTING.contains(&lower) && next.starts_with(|ch: char| ch.is_numeric()) {
        return true;
    }
    if EITHER.contains(&lower) && lower != "etc" && lower != "usw" {
        return !opens(next);
    }
    is_initials(word) && !opens(next)
}

/// Whether what follows begins as sentences do.
pub(super) fn opens(next: &str) -> bool {
    OPENERS.contains(&first_word(next).as_str())
}

/// The first word, or as much of it as the lists need, in small letters.
pub(super) fn first_word(text: &str) -> String {
    text.chars().take_while(|ch| ch.is_alphanumeric()).take(12).flat_map(char::to_lowercase).collect()
}

/// `z.` before `B.`, and `d.` before `R.`: an abbreviation of more words, written with spaces.
fn parts(word: &str, next: &str) -> bool {
    let mut letters = word.chars();
    let is_small = letters.next().is_some_and(char::is_lowercase) && letters.next().is_none();
    let mut next = next.chars();
    is_small && next.next().is_some_and(char::is_alphabetic) && next.next() == Some('.')
}

/// `J`, `J.R`, `U.S.A`: single capitals with dots between them.
fn is_initials(word: &str) -> bool {
    let word = word.trim_matches(|ch: char| !ch.is_alphanumeric());
    let is_capital = |part: &str| part.chars().count() == 1 && part.chars().all(char::is_uppercase);
    !word.is_empty() && word.split(['.', '-']).all(is_capital)
}
