use waypost_engine::access::Verb;
use waypost_engine::api::{
    AppendMessages, Error, MemoryFilter, MessageInput, RecallRequest, RememberRequest, Session, ThreadRequest,
};
use waypost_engine::memory::Likeness;

use super::notes::{Home, about, keep, note, texts};
use crate::house::index;

const SEE: &[Verb] = &[Verb::List, Verb::Read];

#[test]
fn nothing_is_remembered_by_default() {
    let home = Home::new();
    let stranger = home.user("agent:stranger", &[]);
    let reader = home.user("agent:reader", &[("/w/**", SEE)]);
    let blind = home.user("agent:blind", &[("/w/memory/blind/**", &[Verb::Write])]);
    for request in [
        note("Something true."),
        RememberRequest { workspace: Some("w".to_owned()), ..note("Something true.") },
        RememberRequest { workspace: Some("nowhere".to_owned()), ..note("Something true.") },
    ] {
        let refused = stranger.remember(&request);
        assert!(matches!(refused, Err(Error::NotFound { what: "memory", .. })), "{refused:?}");
    }
    // The only workspace that it sees is meant.
    let refused = reader.remember(&note("Something true."));
    assert!(matches!(refused, Err(Error::Forbidden { verb: "write", .. })), "{refused:?}");
    let named = RememberRequest { workspace: Some("w".to_owned()), ..note("Something true.") };
    assert!(matches!(reader.remember(&named), Err(Error::Forbidden { verb: "write", .. })));
    // Whoever may write and not read learns nothing of what is there.
    assert!(matches!(blind.remember(&named), Err(Error::NotFound { .. })));
    let said = MessageInput { role: "user".to_owned(), text: "x".to_owned(), tokens: None };
    let append = AppendMessages { messages: vec![said], ..AppendMessages::default() };
    assert!(matches!(stranger.append_messages("t", &append), Err(Error::NotFound { .. })));
}

#[test]
fn a_memory_is_shared_by_a_grant_on_its_path() {
    let home = Home::new();
    let (writer, other) = (home.agent("writer"), home.agent("other"));
    keep(&writer, "The harbour crane lifts 40 tons.");
    index(&home.engine);
    assert!(texts(&other, &about("harbour crane")).is_empty());
    assert!(other.memories_listed(&MemoryFilter::default()).unwrap_or_default().is_empty());
    let asked = RecallRequest { agents: vec!["agent:writer".to_owned()], ..about("harbour crane") };
    assert!(texts(&other, &asked).is_empty());

    let other = home.user("agent:other", &[("/w/memory/writer/**", SEE)]);
    assert_eq!(texts(&other, &asked), ["The harbour crane lifts 40 tons."]);
    // It is known and pointed out, and kept in one's own memory all the same.
    let own = keep(&other, "The harbour crane lifts 40 tons.");
    assert_eq!((own.status, own.similar[0].kind), ("kept", Likeness::Duplicate));
    assert!(own.path.starts_with("/w/memory/other/"));
    let foreign = RememberRequest {
        agent: Some("writer".to_owned()),
        workspace: Some("w".to_owned()),
        ..note("X is y.")
    };
    assert!(matches!(other.remember(&foreign), Err(Error::Forbidden { .. })));
}

/// Everything that one agent is told, without times and random names.
fn told(agent: &Session) -> String {
    let mut out = String::new();
    for text in [
        "The upload limit is 100 MB.",
        "The harbour crane lifts 40 tons.",
        "The kettle is not blue.",
        "Ferries leave on Mondays.",
    ] {
        let reply = agent.remember(&note(text));
        out.push_str(&format!(
            "{:?}\n",
            reply.map(|reply| (reply.path, reply.seq, reply.status, reply.similar))
        ));
    }
    let said =
        MessageInput { role: "user".to_owned(), text: "Which crane lifts most?".to_owned(), tokens: None };
    let append = AppendMessages { messages: vec![said], ..AppendMessages::default() };
    let appended = agent.append_messages("t", &append).unwrap();
    out.push_str(&format!("{:?}\n", (appended.path, appended.seq, appended.first)));
    out
}

fn recalled(agent: &Session) -> String {
    let mut out = String::new();
    for query in ["upload limit", "harbour crane tons", "kettle", "blue ferries on Mondays", "secret quagga"]
    {
        let reply = agent.recall(&about(query)).unwrap();
        for found in reply.results {
            let scores = (found.score.to_bits(), found.relevance.to_bits(), found.recency.to_bits());
            out.push_str(&format!("{query}: {} {} {scores:?}\n", found.citation.path, found.text));
        }
        out.push_str(&format!(
            "{} {} {:?}\n",
            reply.omitted,
            reply.index.pending_files,
            reply.index.seq.is_empty()
        ));
    }
    let listed = agent.memories_listed(&MemoryFilter::default()).unwrap();
    out.push_str(
        &listed.iter().map(|memory| format!("{} {:?}\n", memory.path, memory.messages)).collect::<String>(),
    );
    out.push_str(&format!("{:?}", agent.thread("t", &ThreadRequest::default()).unwrap().left_out));
    out
}

#[test]
fn memories_that_may_not_be_read_change_nothing() {
    let (alone, beside) = (Home::new(), Home::new());
    let agents = [&alone, &beside].map(|home| home.agent("a").with_trace("tr_1"));
    let hidden =
        beside.user("agent:hidden", &[("/w/memory/hidden/**", &[Verb::List, Verb::Read, Verb::Write])]);
    for text in [
        "The upload limit is 100 MB.",
        "The upload limit is 300 MB.",
        "The harbour crane lifts 90 tons.",
        "The kettle is blue.",
        "A secret quagga lives beside the harbour crane.",
        "Ferries leave on Mondays and the crane of the upload kettle is a quagga.",
    ] {
        hidden
            .remember(&RememberRequest { on_conflict: waypost_engine::api::OnConflict::Keep, ..note(text) })
            .unwrap();
    }
    index(&beside.engine);
    let [first, second] = agents;
    let expected = told(&first);
    assert_eq!(told(&second).len(), expected.len());
    index(&alone.engine);
    index(&beside.engine);
    assert_eq!(recalled(&second), recalled(&first));
    // And where they may be read they do change what is told.
    let seeing = beside.user("agent:a", &[("/w/memory/hidden/**", SEE)]);
    assert_ne!(recalled(&seeing), recalled(&first));
}

#[test]
fn what_is_told_of_a_new_note_is_the_same_beside_hidden_ones() {
    let (alone, beside) = (Home::new(), Home::new());
    let hidden = beside.agent("hidden");
    keep(&hidden, "The upload limit is 300 MB.");
    keep(&hidden, "The kettle is blue.");
    let [first, second] = [&alone, &beside].map(|home| told(&home.agent("a").with_trace("tr_1")));
    // Sealed places in the journal are ranks among what may be seen.
    assert_eq!(first, second);
}
