//! An intent's parts: where a sentence asks for several things one after the other.

/// Words that join two things that are to be done.
const JOINTS: [&str; 7] = ["; ", ", ", " as well as ", " and ", " then ", " also ", " plus "];
/// Shorter parts name no deed of their own, in words.
const MIN_WORDS: usize = 2;
/// Parts at most; what comes after them is left out.
const MAX_PARTS: usize = 6;

/// The parts of an intent that ask for something each; none where it asks for one thing.
pub fn parts(intent: &str) -> Vec<&str> {
    let mut parts = vec![intent];
    for joint in JOINTS {
        parts = parts.into_iter().flat_map(|part| part.split(joint)).collect();
    }
    let sentences = parts.into_iter().flat_map(|part| part.split_inclusive(['.', '?', '!', '\n']));
    let trim = |part: &str| part.trim().trim_end_matches(['.', '?', '!', ',']).len();
    let kept: Vec<&str> = sentences
        .map(|part| {
            let part = part.trim();
            &part[..trim(part)]
        })
        .filter(|part| part.split_whitespace().count() >= MIN_WORDS)
        .take(MAX_PARTS)
        .collect();
    if kept.len() > 1 { kept } else { Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::parts;

    #[test]
    fn several_deeds_are_told_apart() {
        let found = parts("Translate the contract into German, then send it to the client. Book me a room?");
        assert_eq!(
            found,
            ["Translate the contract into German", "then send it to the client", "Book me a room"]
        );
        assert_eq!(parts("review the contract"), Vec::<&str>::new());
        assert_eq!(parts("salt and pepper"), Vec::<&str>::new());
        assert_eq!(parts(""), Vec::<&str>::new());
    }
}
