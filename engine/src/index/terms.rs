//! Takes text, gives the terms under which it is found.
//!
//! A word becomes its English stem (Porter 2). An identifier such as `parseHttpHeader` or `max_open_files` becomes
//! itself, whole and lower-cased, and the stems of its parts. Text of scripts that put no space between words (Chinese,
//! Japanese, Korean, Thai, Lao, Khmer, Burmese) becomes characters and overlapping pairs of them, each with its vowel
//! signs and tone marks; a Chinese, Japanese or Korean character makes a pair with a digit or letter beside it too, as in
//! `2012年`. A letter is one with the marks that follow it, and text gives the same terms composed (`ä`) and decomposed
//! (`a` and a mark). Latin letters lose their accents, Arabic and Hebrew ones their points; vowel signs of India stay.
//! Documents and queries go through the same function; it knows no stop words, those are a query's business.

mod scripts;

use std::borrow::Cow;

use frostem::{Algorithm, Stemmer};
use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use scripts::{
    ZERO_WIDTH_NON_JOINER, decomposed, ends_with_virama, goes_on, is_cjk, is_left_out, is_southeast_asian,
    is_word,
};

/// Bumped when the same text gives other terms: an index of an older number is rebuilt.
pub const ANALYZER_VERSION: u32 = 4;

/// Longer words are cut: nobody asks for them, and they would fill the dictionary.
const MAX_WORD_CHARS: usize = 80;

/// One term of a text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Term {
    /// What is looked up.
    pub text: String,
    /// Place in the order of words; an identifier shares the place of its first part.
    pub position: usize,
    /// Bytes of the text that it stands for, `[start, end)`.
    pub start: usize,
    /// See `start`.
    pub end: usize,
    /// Whether it stands beside the terms that follow each other: an identifier beside its parts, a character beside pairs,
    /// a pair of two scripts.
    pub whole: bool,
}

/// All terms of a text, in order.
pub fn terms(text: &str) -> Vec<Term> {
    let mut out = Vec::with_capacity(text.len() / 5);
    each_term(text, |term| out.push(term));
    out
}

/// Calls `emit` for each term of a text, in the order of their starts.
pub fn each_term(text: &str, emit: impl FnMut(Term)) {
    each_term_from(text, |_| true, emit);
}

/// As [`each_term`], for the terms alone whose first letter `wants` takes. A stem begins as its word does, so the others
/// need not be stemmed to know that they are none of them.
pub fn each_term_from(text: &str, wants: impl Fn(char) -> bool, mut emit: impl FnMut(Term)) {
    let stemmer = Stemmer::new(Algorithm::English);
    let mut emit = |term: Term| {
        if term.text.chars().next().is_some_and(&wants) {
            emit(term);
        }
    };
    let mut position = 0;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        emit_edge(text, at, c, position, &mut emit);
        if is_word(c) && !goes_on(c) {
            let end = run_end(text, at, is_word);
            position = emit_word(text, at, end, position, (&stemmer, &wants), &mut emit);
            at = end;
        } else if is_cjk(c) || is_southeast_asian(c) {
            let end =
                if is_cjk(c) { run_end(text, at, is_cjk) } else { run_end(text, at, is_southeast_asian) };
            position = emit_pairs(text, at, end, position, &mut emit);
            at = end;
        } else {
            at += c.len_utf8();
        }
    }
}

fn run_end(text: &str, start: usize, belongs: impl Fn(char) -> bool) -> usize {
    let ends = |c: char| !belongs(c) && !goes_on(c);
    text[start..].char_indices().find(|(_, c)| ends(*c)).map_or(text.len(), |(at, _)| start + at)
}

/// Where a CJK run meets a word without a space, the two characters side by side are a term.
fn emit_edge(text: &str, at: usize, c: char, position: usize, emit: &mut impl FnMut(Term)) {
    let Some(last) = text[..at].chars().next_back() else { return };
    let begins_run = |c: char| (is_cjk(c) || is_word(c)) && !goes_on(c);
    if last.is_ascii() && c.is_ascii() || !begins_run(c) {
        return;
    }
    let Some((start, before)) = text[..at].char_indices().rev().find(|(_, c)| !goes_on(*c)) else { return };
    let meets = |cjk, word| is_cjk(cjk) && is_word(word);
    if meets(before, c) || meets(c, before) {
        let end = run_end(text, at + c.len_utf8(), |_| false);
        emit(Term { text: fold(&text[start..end]).into_owned(), position, start, end, whole: true });
    }
}

fn emit_pairs(
    text: &str,
    start: usize,
    end: usize,
    mut position: usize,
    emit: &mut impl FnMut(Term),
) -> usize {
    let bounds = [unit_starts(text, start, end), vec![end]].concat();
    let mut put = |from: usize, to: usize, position, whole| {
        emit(Term { text: plain(&text[from..to]), position, start: from, end: to, whole });
    };
    let [first, .., last] = bounds.as_slice() else { return position };
    if bounds.len() == 2 {
        put(*first, *last, position, false);
        return position + 1;
    }
    for unit in bounds.windows(3) {
        put(unit[0], unit[1], position, true);
        put(unit[0], unit[2], position, false);
        position += 1;
    }
    put(bounds[bounds.len() - 2], *last, position - 1, true);
    position
}

/// Where each character of a run begins, with what is written around it: signs, and letters that are stacked under it.
fn unit_starts(text: &str, start: usize, end: usize) -> Vec<usize> {
    let mut starts = Vec::new();
    let mut is_stacking = false;
    for (at, c) in text[start..end].char_indices() {
        if starts.is_empty() || !(is_stacking || goes_on(c)) {
            starts.push(start + at);
        }
        is_stacking = matches!(c, '\u{1039}' | '\u{17D2}');
    }
    starts
}

/// Characters as they are looked up: what is written alike is the same, however it was typed.
fn plain(text: &str) -> String {
    let is_composed =
        |c| matches!(c, '\u{3041}'..='\u{3096}' | '\u{30A0}'..='\u{9FFF}' | '\u{AC00}'..='\u{D7A3}');
    if text.chars().all(is_composed) {
        return text.to_owned();
    }
    match text.starts_with(is_southeast_asian) {
        true => text.nfkd().filter(|c| !is_left_out(*c)).take(MAX_WORD_CHARS).collect(),
        false => text.nfc().filter(|c| !is_left_out(*c)).take(MAX_WORD_CHARS).collect(),
    }
}

fn emit_word(
    text: &str,
    start: usize,
    end: usize,
    position: usize,
    (stemmer, wants): (&Stemmer, &impl Fn(char) -> bool),
    emit: &mut impl FnMut(Term),
) -> usize {
    let emit_part = |position, start: usize, end: usize, emit: &mut dyn FnMut(Term)| {
        let part = &text[start..end];
        // The first letter of what has to be folded by table is known afterwards.
        let first = part.bytes().next().map(|byte| char::from(byte.to_ascii_lowercase()));
        if part.is_ascii() && !first.is_some_and(wants) {
            return;
        }
        let text = stemmer.stem(&fold(part)).into_owned();
        emit(Term { text, position, start, end, whole: false });
    };
    if is_one_part(&text[start..end]) {
        emit_part(position, start, end, emit);
        return position + 1;
    }
    let parts = identifier_parts(text, start, end);
    if parts.len() > 1 {
        let whole = fold(text[start..end].trim_matches('_')).into_owned();
        emit(Term { text: whole, position, start, end, whole: true });
    }
    for (part_idx, (part_start, part_end)) in parts.iter().enumerate() {
        emit_part(position + part_idx, *part_start, *part_end, emit);
    }
    position + parts.len()
}

/// Whether a word is one at a glance: small letters of ASCII, perhaps after a capital.
fn is_one_part(word: &str) -> bool {
    let bytes = word.as_bytes();
    bytes.first().is_some_and(u8::is_ascii_alphabetic) && bytes[1..].iter().all(u8::is_ascii_lowercase)
}

/// Cuts at `_`, between lower and upper case, before the last capital of `HTTPServer`, between letters and digits, and
/// between the parts of a Persian word.
fn identifier_parts(text: &str, start: usize, end: usize) -> Vec<(usize, usize)> {
    let mut chars = letters(text, start, end).peekable();
    let mut parts = Vec::new();
    let (mut part_start, mut before) = (None, '_');
    while let Some((at, c)) = chars.next() {
        let last = std::mem::replace(&mut before, c);
        if matches!(c, '_' | ZERO_WIDTH_NON_JOINER) {
            parts.extend(part_start.take().map(|from| (from, at)));
            continue;
        }
        let Some(from) = part_start else {
            part_start = Some(at);
            continue;
        };
        let hump = last.is_lowercase() && c.is_uppercase();
        let acronym_end = last.is_uppercase()
            && c.is_uppercase()
            && chars.peek().is_some_and(|(_, after)| after.is_lowercase());
        let digit_edge = last.is_numeric() != c.is_numeric();
        if hump || acronym_end || digit_edge {
            parts.push((from, at));
            part_start = Some(at);
        }
    }
    parts.extend(part_start.map(|from| (from, end)));
    parts
}

/// The letters of a word without their marks, and what parts them.
fn letters(text: &str, start: usize, end: usize) -> impl Iterator<Item = (usize, char)> {
    text[start..end].char_indices().map(move |(at, c)| (start + at, c)).filter_map(|(at, c)| match c {
        ZERO_WIDTH_NON_JOINER if !ends_with_virama(&text[..at]) => Some((at, c)),
        _ if goes_on(c) => None,
        _ => Some((at, decomposed(c).0)),
    })
}

/// Lower case, compatibility forms made plain, accents of Latin letters dropped and what [`is_left_out`], cut to
/// `MAX_WORD_CHARS`.
fn fold(word: &str) -> Cow<'_, str> {
    if word.is_ascii() {
        let cut = &word[..word.len().min(MAX_WORD_CHARS)];
        let has_capital = cut.bytes().any(|byte| byte.is_ascii_uppercase());
        return if has_capital { Cow::Owned(cut.to_ascii_lowercase()) } else { Cow::Borrowed(cut) };
    }
    let mut out = String::with_capacity(word.len());
    let mut after_latin = false;
    for c in word.nfkd().take(MAX_WORD_CHARS * 2) {
        if after_latin && is_combining_mark(c) {
            continue;
        }
        after_latin = c.is_ascii_alphanumeric();
        match c {
            'ß' => out.push_str("ss"),
            _ => out.extend(c.to_lowercase()),
        }
    }
    // What is left of an accent after composing belongs to no letter, as the stress in `за́мок`.
    Cow::Owned(out.nfc().filter(|c| !is_left_out(*c)).take(MAX_WORD_CHARS).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn texts(text: &str) -> Vec<String> {
        terms(text).into_iter().map(|term| term.text).collect()
    }

    #[test]
    fn words_and_identifiers_are_found_whole_and_in_parts() {
        let cases: &[(&str, &[&str])] = &[
            ("Running fast", &["run", "fast"]),
            ("parseHttpHeader", &["parsehttpheader", "pars", "http", "header"]),
            ("HTTPServer", &["httpserver", "http", "server"]),
            ("max_open_files", &["max_open_files", "max", "open", "file"]),
            ("__init__", &["init"]),
            ("sha256", &["sha256", "sha", "256"]),
            ("café Ärger", &["cafe", "arger"]),
            ("中文搜索", &["中", "中文", "文", "文搜", "搜", "搜索", "索"]),
            ("中", &["中"]),
            ("2012年在AI", &["2012", "2年", "年", "年在", "在", "在a", "ai"]),
            ("第3 章", &["第", "第3", "3", "章"]),
            ("กรุงเทพ", &["ก", "กรุ", "รุ", "รุง", "ง", "งเ", "เ", "เท", "ท", "ทพ", "พ"]),
            ("ปี", &["ปี"]),
            ("ພາສາ", &["ພ", "ພາ", "າ", "າສ", "ສ", "ສາ", "າ"]),
            ("ខ្មែរ", &["ខ្មែ", "ខ្មែរ", "រ"]),
            ("မြန်မာ", &["မြ", "မြန်", "န်", "န်မာ", "မာ"]),
            ("ราคา25บาท", &["ร", "รา", "า", "าค", "ค", "คา", "า", "25", "บ", "บา", "า", "าท", "ท"]),
            ("_", &[]),
            ("", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(texts(text), *expected, "of {text:?}");
        }
    }

    #[test]
    fn a_letter_is_one_with_its_marks() {
        let cases: &[(&str, &[&str])] = &[
            ("Ka\u{308}ufer zahlt in Zu\u{308}rich", &["kaufer", "zahlt", "in", "zurich"]),
            ("fooE\u{301}tat", &["fooetat", "foo", "etat"]),
            ("Do\u{ad}nau", &["donau"]),
            ("विश्वविद्यालय", &["विश्वविद्यालय"]),
            ("தமிழ்நாடு", &["தமிழ்நாடு"]),
            ("क्\u{200d}ष क्\u{200c}ष", &["क्ष", "क्ष"]),
            ("مُحَمَّد محمـــد", &["محمد", "محمد"]),
            ("שָׁלוֹם שלום", &["שלום", "שלום"]),
            ("می\u{200c}خواهم", &["میخواهم", "می", "خواهم"]),
            ("за\u{301}мок мой", &["замок", "мой"]),
            ("か\u{3099}年A", &["が", "が年", "年", "年a", "a"]),
            ("葛\u{e0100}城", &["葛", "葛城", "城"]),
            ("1\u{fe0f}\u{20e3} \u{301}x", &["1", "x"]),
            ("\u{301}\u{64e} ـ", &[]),
        ];
        for (text, expected) in cases {
            assert_eq!(texts(text), *expected, "of {text:?}");
        }
    }

    /// Letters of many scripts with their marks, those that are composed of others, and what stands between them.
    const LETTERS: &str = "abXY09_ .äßÅé\u{212b}ǅﬁёйѓΆᾼᾳ\u{301}\u{308}\u{345}क़विश्ऩதொழ்ේකൊബאָבּשׁاَبُأؤـ가각힣ガぱ\u{3099}年\u{f900}กุแม่နဦုខ្មែ\u{200c}\u{200d}\u{fe0f}";

    proptest! {
        #[test]
        fn text_gives_the_same_terms_composed_and_decomposed(
            text in prop::collection::vec(prop::sample::select(LETTERS.chars().collect::<Vec<_>>()), 0..16),
        ) {
            let text: String = text.into_iter().collect();
            let (composed, decomposed) = (text.nfc().collect::<String>(), text.nfd().collect::<String>());
            prop_assert_eq!(texts(&composed), texts(&decomposed));
            let places = |text: &str| terms(text).into_iter().map(|term| term.position).collect::<Vec<_>>();
            prop_assert_eq!(places(&composed), places(&decomposed));
            for text in [&text, &composed, &decomposed] {
                prop_assert!(terms(text).is_sorted_by_key(|term| term.start), "{:?}", terms(text));
                for term in terms(text) {
                    prop_assert!(text.get(term.start..term.end).is_some_and(|said| !said.is_empty()), "{term:?}");
                }
            }
        }
    }

    proptest! {
        #[test]
        fn what_begins_otherwise_is_all_that_is_left_out(
            text in "([a-z]{1,9}(ing|ed|ies|s|ly|ational)?|[A-Z][a-z]{0,4}[A-Z]{0,3}[a-z0-9_]{0,5}|[çéßÄǅ中文กุรa-zA-Z_0-9\u{301}\u{64e}\u{200c}אक्]{1,6}|[ .,'-]){0,12}",
            wanted in prop::collection::vec(any::<char>(), 0..2),
        ) {
            // Letters of the text, and letters of none.
            let firsts: Vec<char> = terms(&text).iter().step_by(2).filter_map(|term| term.text.chars().next()).collect();
            let wants = |c: char| firsts.contains(&c) || wanted.contains(&c);
            let mut found = Vec::new();
            each_term_from(&text, wants, |term| found.push(term));
            let expected: Vec<Term> =
                terms(&text).into_iter().filter(|term| term.text.chars().next().is_some_and(wants)).collect();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn a_word_is_found_inside_a_phrase_without_spaces() {
        let cases = [
            ("การประชุมจะจัดขึ้นที่กรุงเทพในวันพรุ่งนี้", "กรุงเทพ"),
            ("ນະຄອນຫຼວງວຽງຈັນ", "ວຽງຈັນ"),
            ("រាជធានីភ្នំពេញ", "ភ្នំពេញ"),
            ("ရန်ကုန်မြို့တော်", "ရန်ကုန်"),
        ];
        for (phrase, word) in cases {
            let (phrase, word) = (texts(phrase), texts(word));
            assert!(
                word.len() > 1 && phrase.windows(word.len()).any(|part| part == word),
                "{word:?} in {phrase:?}"
            );
        }
    }

    #[test]
    fn each_term_stands_on_the_bytes_that_it_names() {
        let text = "Ünïcode fooBar 中文字 x_y กรุงเทพ";
        for term in terms(text) {
            assert!(text.get(term.start..term.end).is_some_and(|cut| !cut.is_empty()), "{term:?}");
        }
        let text = "Der Ka\u{308}ufer zahlt";
        let said: Vec<&str> = terms(text).iter().map(|term| &text[term.start..term.end]).collect();
        assert_eq!(said, ["Der", "Ka\u{308}ufer", "zahlt"]);
    }

    #[test]
    fn a_whole_identifier_shares_the_place_of_its_first_part() {
        let places: Vec<(String, usize)> =
            terms("a fooBar b").into_iter().map(|t| (t.text, t.position)).collect();
        let expected = [("a", 0), ("foobar", 1), ("foo", 1), ("bar", 2), ("b", 3)];
        assert_eq!(places, expected.map(|(text, position)| (text.to_owned(), position)));
    }
}
