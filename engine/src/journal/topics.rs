//! Topics as folders: what is dropped below `events/` of a workspace is published.

/// The folder of a workspace whose names are topics.
const FOLDER: &str = "events/";

/// The topic that a file below a workspace's root publishes on: the folder that holds it, or for a file right in
/// `events/` its name without the ending. `None` for every other file, and for names that begin with a dot.
pub fn topic_of(path: &str) -> Option<&str> {
    let below = path.strip_prefix(FOLDER)?;
    if below.split('/').any(|name| name.starts_with('.')) {
        return None;
    }
    match below.rsplit_once('/') {
        Some((folder, _)) => Some(folder),
        None => Some(below.rsplit_once('.').map_or(below, |(stem, _)| stem)),
    }
}

/// Whether something that was published under a path belongs to a topic: the topic itself, a file that is named so, or
/// anything below it.
pub fn is_on_topic(path: &str, topic: &str) -> bool {
    let Some(rest) = path.strip_prefix(FOLDER).and_then(|below| below.strip_prefix(topic)) else {
        return false;
    };
    match rest.strip_prefix('.') {
        Some(ending) => !ending.contains(['.', '/']),
        None => rest.is_empty() || rest.starts_with('/'),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_publishes_on_its_folder_or_its_name() {
        for (path, topic) in [
            ("events/user-signup.json", Some("user-signup")),
            ("events/user-signup", Some("user-signup")),
            ("events/orders/o-1.json", Some("orders")),
            ("events/orders/eu/o-1.json", Some("orders/eu")),
            ("events/.keep", None),
            ("notes/events/x.json", None),
            ("events", None),
        ] {
            assert_eq!(topic_of(path), topic, "{path}");
            assert!(topic.is_none_or(|topic| is_on_topic(path, topic)), "{path}");
        }
    }

    #[test]
    fn a_longer_name_is_another_topic() {
        for path in ["events/orders", "events/orders.json", "events/orders/eu/1.json"] {
            assert!(is_on_topic(path, "orders"), "{path}");
        }
        for path in ["events/orders2", "events/orders.old.json", "events/order", "orders"] {
            assert!(!is_on_topic(path, "orders"), "{path}");
        }
    }
}
