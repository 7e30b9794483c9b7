//! What is asked for, without the words that only say that something is asked for.
//!
//! «find me somebody who reviews contracts» asks for «reviews contracts», and «payment tools» for «payment»: the rest is
//! about routing and would speak for whatever entry talks of people or tools.

/// Beginnings of a request for somebody or something.
const SEEKING: [&[&str]; 14] = [
    &["i", "am", "looking", "for"],
    &["i'm", "looking", "for"],
    &["we", "are", "looking", "for"],
    &["looking", "for"],
    &["is", "there"],
    &["are", "there"],
    &["do", "we", "have"],
    &["i", "need"],
    &["we", "need"],
    &["find"],
    &["get"],
    &["give"],
    &["show"],
    &["recommend"],
];
/// Whom or what one looks for.
const SOUGHT: [&str; 14] = [
    "agent",
    "agents",
    "anybody",
    "anyone",
    "colleague",
    "expert",
    "helper",
    "people",
    "person",
    "somebody",
    "someone",
    "specialist",
    "tool",
    "tools",
];
/// Questions for somebody or something.
const WHO: [&[&str]; 5] =
    [&["who"], &["which", "agent"], &["which", "tool"], &["what", "tool"], &["what", "agent"]];
const ARTICLES: [&str; 5] = ["a", "an", "any", "some", "the"];
const LINKS: [&str; 5] = ["for", "that", "to", "which", "who"];
const ABILITIES: [&str; 5] = ["can", "could", "knows", "should", "would"];

/// The part of an intent that says what is to be done; all of it where it says nothing else.
pub fn asked(intent: &str) -> &str {
    let words: Vec<(usize, String)> = words(intent);
    let (first, end) = deed(&words);
    let Some((start, _)) = words.get(first).filter(|_| first < end) else { return intent };
    let end = words.get(end).map_or(intent.len(), |(end, _)| *end);
    intent[*start..end].trim()
}

/// Words with their places, in small letters, without marks at their ends.
fn words(text: &str) -> Vec<(usize, String)> {
    let mut words = Vec::new();
    for word in text.split_whitespace() {
        let start = word.as_ptr() as usize - text.as_ptr() as usize;
        let bare = word.trim_end_matches(|c: char| !c.is_alphanumeric());
        if !bare.is_empty() {
            words.push((start, bare.to_lowercase()));
        }
    }
    words
}

/// The words that say what is to be done, from and up to; all where there would be none.
fn deed(words: &[(usize, String)]) -> (usize, usize) {
    let at = |place: usize| words.get(place).map_or("", |(_, word)| word.as_str());
    let follows =
        |place: usize, phrase: &[&str]| phrase.iter().enumerate().all(|(n, word)| at(place + n) == *word);
    let skip = |place: usize, any: &[&str]| place + usize::from(any.contains(&at(place)));
    let able = |place: usize| match at(place) {
        "knows" => skip(skip(place + 1, &["how"]), &["to"]),
        _ => skip(place, &ABILITIES),
    };
    let start = skip(0, &["please"]);
    let question = WHO.iter().find(|phrase| follows(start, phrase)).map(|phrase| start + phrase.len());
    let seeking = SEEKING.iter().find(|phrase| follows(start, phrase)).map_or(0, |phrase| phrase.len());
    let place = skip(skip(start + seeking, &["me", "us"]), &ARTICLES);
    let last = words.len().saturating_sub(1);
    let (first, end) = match question.filter(|place| ABILITIES.contains(&at(*place))) {
        Some(place) => (able(place), words.len()),
        None if SOUGHT.contains(&at(place)) && LINKS.contains(&at(place + 1)) => {
            (able(place + 2), words.len())
        }
        None if SOUGHT.contains(&at(last)) => (place, last),
        None => (start, words.len()),
    };
    if first < end { (first, end) } else { (0, words.len()) }
}

#[cfg(test)]
mod tests {
    use super::asked;

    #[test]
    fn only_what_is_to_be_done_is_left() {
        for (intent, core) in [
            ("find me somebody who reviews contracts", "reviews contracts"),
            ("Please find an agent that can translate German.", "translate German."),
            ("Who can check this invoice?", "check this invoice?"),
            ("which tool knows how to book a room", "book a room"),
            ("I need someone to look at the logs", "look at the logs"),
            ("payment tools", "payment"),
            ("find me payment tools", "payment"),
            // These say something else.
            ("who approved the refund?", "who approved the refund?"),
            ("find the invoice of May", "find the invoice of May"),
            ("find somebody", "find somebody"),
            ("tools", "tools"),
            ("please book a room", "book a room"),
            ("", ""),
            ("…", "…"),
        ] {
            assert_eq!(asked(intent), core, "{intent}");
        }
    }
}
