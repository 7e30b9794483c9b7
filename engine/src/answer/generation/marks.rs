//! Takes a draft as it comes, gives its sentences without marks and markup, each with the numbers that it cites.

use crate::span::Span;
use crate::text;

/// What models write before they answer, where they think aloud.
const THINKS: &str = "<think>";
const THOUGHT: &str = "</think>";
/// A mark is no longer than this; what is open for longer is none.
const MAX_MARK_BYTES: usize = 40;
const BRACKETS: [(char, char); 2] = [('[', ']'), ('【', '】')];

/// A draft is no longer than this; the tokens that are asked for have a small part of it.
const MAX_DRAFT_BYTES: usize = 256 << 10;

/// How a sentence begins that only names its passage.
const OPENERS: [&str; 9] = [
    "according to",
    "as stated in",
    "as described in",
    "as mentioned in",
    "as noted in",
    "as per",
    "based on",
    "from",
    "in",
];
const PASSAGES: [&str; 6] = ["passage", "passages", "excerpt", "excerpts", "source", "sources"];
const SAYS: [&str; 8] = ["states", "state", "says", "say", "mentions", "mention", "notes", "note"];

/// A sentence and what it cites.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Marked {
    /// Without marks, bullet and emphasis.
    pub said: String,
    /// As they were written.
    pub marks: Vec<usize>,
}

/// What a piece of a draft completes.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub sentences: Vec<Marked>,
    /// Whether all that came before was only thought.
    pub begins_anew: bool,
}

/// The part of a draft that is not told yet.
#[derive(Debug, Default)]
pub(super) struct Marks {
    pending: String,
    n_bytes: usize,
    /// Items of a numbered list so far.
    n_listed: usize,
}

impl Marks {
    /// Takes the next piece; what goes beyond the bound is not read.
    pub(super) fn push(&mut self, piece: &str) -> Read {
        self.n_bytes = self.n_bytes.saturating_add(piece.len());
        if self.n_bytes > MAX_DRAFT_BYTES {
            return Read::default();
        }
        self.pending.push_str(piece);
        let thought = self.pending.rfind(THOUGHT);
        if let Some(at) = thought {
            self.pending.drain(..at + THOUGHT.len());
            self.n_listed = 0;
        }
        let sentences = if self.thinks() { Vec::new() } else { self.take(false) };
        Read { sentences, begins_anew: thought.is_some() }
    }

    /// What is left at the end.
    pub(super) fn finish(&mut self) -> Vec<Marked> {
        if self.thinks() { Vec::new() } else { self.take(true) }
    }

    fn thinks(&self) -> bool {
        self.pending.trim_start().starts_with(THINKS)
    }

    /// Takes the sentences that nothing that follows can change: each one before the last, for a mark may stand behind the end
    /// of its sentence.
    fn take(&mut self, is_whole: bool) -> Vec<Marked> {
        let visible = if is_whole { self.pending.len() } else { before_open_mark(&self.pending) };
        let mut items: Vec<Item> = Vec::new();
        for span in text::sentences(&self.pending[..visible], Span::new(0, visible)) {
            let raw = span.of(&self.pending).unwrap_or_default();
            let (numbers, length) = leading_marks(raw);
            let mut item = Item { span, behind: Vec::new() };
            if let Some(before) =
                items.last_mut().filter(|before| !numbers.is_empty() && before.lacks_marks(&self.pending))
            {
                before.behind = numbers;
                item.span.start += length;
            }
            let rest = item.span.of(&self.pending).unwrap_or_default();
            if take_marks(rest).0.chars().any(char::is_alphanumeric) {
                items.push(item);
            }
        }
        let n_settled = match items.last() {
            _ if is_whole => items.len(),
            // A first word that may go on does not tell yet whether it begins a sentence.
            Some(last) if !last.has_whole_word(&self.pending) => items.len().saturating_sub(2),
            _ => items.len().saturating_sub(1),
        };
        let rest = if is_whole {
            self.pending.len()
        } else {
            items.get(n_settled).map_or(0, |item| item.span.start)
        };
        let settled: Vec<(String, Vec<usize>)> = items
            .drain(..n_settled)
            .map(|item| (item.span.of(&self.pending).unwrap_or_default().to_owned(), item.behind))
            .collect();
        self.pending.drain(..rest);
        settled.into_iter().filter_map(|(raw, behind)| self.clean(&raw, behind)).collect()
    }

    /// `1. **Invoices** are kept [1].` → `Invoices are kept.` and its mark.
    fn clean(&mut self, raw: &str, behind: Vec<usize>) -> Option<Marked> {
        let plain = without_emphasis(raw);
        let plain = self.without_number(plain.trim_start_matches(['-', '*', '#', '>', '•', '–', ' ']));
        let mut marks = Vec::new();
        let (said, more) = take_marks(&without_lead_in(plain, &mut marks));
        marks.extend(more);
        marks.extend(behind);
        said.chars().any(char::is_alphanumeric).then_some(Marked { said, marks })
    }

    /// A line without the number that it has in a list. Only the number that follows the last one is taken for that: any other
    /// may be a part of what is said, such as a day.
    fn without_number<'a>(&mut self, said: &'a str) -> &'a str {
        let rest = said.trim_start_matches(|c: char| c.is_ascii_digit());
        let number = said[..said.len() - rest.len()].parse::<usize>().ok();
        let Some(rest) = rest.strip_prefix(['.', ')']) else { return said };
        if number != Some(self.n_listed + 1) || !(rest.is_empty() || rest.starts_with(char::is_whitespace)) {
            return said;
        }
        self.n_listed += 1;
        rest.trim_start()
    }
}

/// A sentence, and the marks that stand behind its end.
struct Item {
    span: Span,
    behind: Vec<usize>,
}

impl Item {
    fn lacks_marks(&self, draft: &str) -> bool {
        self.behind.is_empty() && take_marks(self.span.of(draft).unwrap_or_default()).1.is_empty()
    }

    fn has_whole_word(&self, draft: &str) -> bool {
        self.span.of(draft).unwrap_or_default().trim_start().contains(char::is_whitespace)
    }
}

/// Where a mark begins that is not closed yet; the end of the text without one.
fn before_open_mark(text: &str) -> usize {
    let open = BRACKETS.iter().filter_map(|(open, close)| {
        let at = text.rfind(*open)?;
        (!text[at..].contains(*close) && text.len() - at <= MAX_MARK_BYTES).then_some(at)
    });
    open.min().unwrap_or(text.len())
}

/// The numbers in marks before the first word, and how many bytes they take.
fn leading_marks(text: &str) -> (Vec<usize>, usize) {
    let mut numbers = Vec::new();
    let mut rest = text;
    while let Some((more, after)) = read_mark(rest.trim_start()) {
        numbers.extend(more);
        rest = after;
    }
    (numbers, text.len() - rest.len())
}

/// The numbers of the mark that a text begins with, and what follows it: `[1]`, `[2, 3]`, `[^1]`, `[passage 1]`, `【1】`, `【1†source】`.
fn read_mark(text: &str) -> Option<(Vec<usize>, &str)> {
    let (_, close) = BRACKETS.iter().find(|(open, _)| text.starts_with(*open))?;
    let inner = &text[text.chars().next()?.len_utf8()..];
    let (inner, after) = inner.split_once(*close)?;
    let read = |number: &str| {
        let number = number.split('†').next().unwrap_or_default().trim();
        let word = PASSAGES.iter().find_map(|word| after_words(number, word));
        word.unwrap_or(number).trim_start_matches('^').parse().ok()
    };
    let numbers: Option<Vec<usize>> = inner.split([',', ';']).map(read).collect();
    Some((numbers?, after))
}

/// A sentence without its marks, and their numbers.
fn take_marks(sentence: &str) -> (String, Vec<usize>) {
    let (mut said, mut marks) = (String::new(), Vec::new());
    let mut rest = sentence;
    while let Some(at) = rest.find(BRACKETS.map(|(open, _)| open)) {
        let (before, from) = rest.split_at(at);
        match read_mark(from) {
            Some((numbers, after)) => {
                said.push_str(before.trim_end());
                marks.extend(numbers);
                rest = after;
            }
            None => {
                let end = at + from.chars().next().map_or(1, char::len_utf8);
                said.push_str(&rest[..end]);
                rest = &rest[end..];
            }
        }
    }
    said.push_str(rest);
    (said.trim().to_owned(), marks)
}

/// A text without the signs of emphasis that stand around words in pairs; those inside of a word, of code or of a sum stay.
fn without_emphasis(text: &str) -> String {
    let mut runs: Vec<(usize, &str)> = Vec::new();
    let mut paired: Vec<(usize, usize)> = Vec::new();
    let mut in_code = false;
    let mut at = 0;
    while let Some(sign) = text[at..].chars().next() {
        let is_sign = matches!(sign, '*' | '_');
        let length = if is_sign {
            text[at..].bytes().take_while(|byte| char::from(*byte) == sign).count()
        } else {
            sign.len_utf8()
        };
        in_code ^= sign == '`';
        if is_sign && !in_code {
            let run = &text[at..at + length];
            let is_word = |c: Option<char>| c.is_some_and(char::is_alphanumeric);
            let is_space = |c: Option<char>| c.is_none_or(char::is_whitespace);
            let (before, after) = (text[..at].chars().next_back(), text[at + length..].chars().next());
            let opened = runs.iter().rposition(|(_, open)| *open == run);
            if let Some(opened) = opened.filter(|_| !is_space(before) && !is_word(after)) {
                paired.extend([(runs[opened].0, length), (at, length)]);
                runs.truncate(opened);
            } else if !is_word(before) && !is_space(after) {
                runs.push((at, run));
            }
        }
        at += length;
    }
    paired.sort_unstable();
    let mut plain = String::with_capacity(text.len());
    let mut from = 0;
    for (start, length) in paired {
        plain.push_str(&text[from..start]);
        from = start + length;
    }
    plain.push_str(&text[from..]);
    plain
}

/// A sentence without a beginning that only names its passage, whose number is a mark then: `According to passage [1], invoices
/// are kept` and `Passage 1 states that invoices are kept` → `Invoices are kept`.
fn without_lead_in(said: &str, marks: &mut Vec<usize>) -> String {
    lead_in(said).map_or_else(
        || said.to_owned(),
        |(numbers, rest)| {
            marks.extend(numbers);
            let mut chars = rest.chars();
            chars.next().into_iter().flat_map(char::to_uppercase).chain(chars).collect()
        },
    )
}

/// The numbers in such a beginning, and what follows it. A source without a number may be one that the text itself tells of.
fn lead_in(said: &str) -> Option<(Vec<usize>, &str)> {
    let opener = OPENERS.iter().find_map(|opener| after_words(said, opener));
    let named = opener.unwrap_or(said);
    let named = after_words(named, "the").unwrap_or(named);
    let (word, rest) = PASSAGES.iter().find_map(|word| Some((*word, after_words(named, word)?)))?;
    let (numbers, rest) = leading_numbers(rest);
    if numbers.is_empty() && (opener.is_none() || word.starts_with("source")) {
        return None;
    }
    let rest = match opener {
        Some(_) => rest.strip_prefix(',')?,
        None => {
            let rest = SAYS.iter().find_map(|says| after_words(rest, says))?;
            after_words(rest, "that").unwrap_or(rest)
        }
    };
    Some((numbers, rest.trim_start()))
}

/// Numbers and marks at the beginning of a text, with what stands between them.
fn leading_numbers(text: &str) -> (Vec<usize>, &str) {
    let mut numbers = Vec::new();
    let mut rest = text.trim_start();
    loop {
        let next = after_words(rest, "and").or_else(|| rest.strip_prefix(',')).unwrap_or(rest).trim_start();
        if let Some((more, after)) = read_mark(next) {
            numbers.extend(more);
            rest = after.trim_start();
            continue;
        }
        // Behind a comma a number may be the sentence's own.
        let digits = if rest.starts_with(',') { rest } else { next };
        let after = digits.trim_start_matches(|c: char| c.is_ascii_digit());
        match digits[..digits.len() - after.len()].parse() {
            Ok(number) if !after.starts_with(char::is_alphanumeric) => numbers.push(number),
            _ => return (numbers, rest),
        }
        rest = after.trim_start();
    }
}

/// What follows a text's first words, where they are these.
fn after_words<'a>(text: &'a str, words: &str) -> Option<&'a str> {
    let head = text.get(..words.len())?;
    let rest = &text[words.len()..];
    let is_whole = !rest.starts_with(char::is_alphanumeric);
    (head.eq_ignore_ascii_case(words) && is_whole).then(|| rest.trim_start())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn marks(draft: &str) -> Vec<String> {
        let mut reader = Marks::default();
        let mut read = reader.push(draft).sentences;
        read.extend(reader.finish());
        read.into_iter().map(|Marked { said, marks }| format!("{said}{marks:?}")).collect()
    }

    #[test]
    fn marks_are_found_wherever_they_stand() {
        assert_eq!(marks("One is kept [1]. Two is kept. [2][3]"), ["One is kept.[1]", "Two is kept.[2, 3]"]);
        assert_eq!(marks("One is kept. [1] Two is kept. [2, 3]"), ["One is kept.[1]", "Two is kept.[2, 3]"]);
        assert_eq!(
            marks("- A list item here [1]\n- Another item here [x]"),
            ["A list item here[1]", "Another item here [x][]"]
        );
        assert_eq!(
            marks("One is kept 【1】. Two is kept. 【2†source】"),
            ["One is kept.[1]", "Two is kept.[2]"]
        );
        assert_eq!(marks("One is kept [passage 1; passage 2]."), ["One is kept.[1, 2]"]);
    }

    #[test]
    fn the_numbers_of_a_list_are_none_of_what_it_says() {
        assert_eq!(
            marks("1. Refunds are approved by Holt [1].\n2) Bills are paid in May [2]."),
            ["Refunds are approved by Holt.[1]", "Bills are paid in May.[2]"]
        );
        assert_eq!(marks("31. December is free [1]."), ["31. December is free.[1]"]);
        assert_eq!(marks("2.5 hours are paid [1]."), ["2.5 hours are paid.[1]"]);
    }

    #[test]
    fn emphasis_goes_and_names_stay() {
        for (draft, said) in [
            ("**Refunds are approved by Holt** [1].", "Refunds are approved by Holt."),
            ("*Refunds* are approved by __Holt__ [1].", "Refunds are approved by Holt."),
            ("Set max_file_bytes to 2 * 3 * 4 [1].", "Set max_file_bytes to 2 * 3 * 4."),
            ("Call `__init__` in *.rs files [1].", "Call `__init__` in *.rs files."),
        ] {
            assert_eq!(marks(draft), [format!("{said}[1]")], "{draft}");
        }
    }

    #[test]
    fn a_beginning_that_only_names_a_passage_is_none_of_the_answer() {
        for (draft, said) in [
            ("According to passage [1], refunds are approved by Holt.", "Refunds are approved by Holt.[1]"),
            ("According to the passages [1] and [2], refunds wait.", "Refunds wait.[1, 2]"),
            ("As stated in passage 2, refunds wait.", "Refunds wait.[2]"),
            ("Passage [1] states that refunds wait.", "Refunds wait.[1]"),
            ("In May, refunds wait [1].", "In May, refunds wait.[1]"),
            ("Source code is kept in Git [1].", "Source code is kept in Git.[1]"),
            ("According to Holt, refunds wait [1].", "According to Holt, refunds wait.[1]"),
            ("According to the passage, 5 refunds wait [1].", "5 refunds wait.[1]"),
            ("Sources say that refunds wait [1].", "Sources say that refunds wait.[1]"),
        ] {
            assert_eq!(marks(draft), [said], "{draft}");
        }
    }
}
