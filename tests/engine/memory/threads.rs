use waypost_engine::api::{
    AppendMessages, Error, MemoryFilter, MessageInput, RecallRequest, Session, ThreadRequest,
};
use waypost_engine::memory::{MAX_PART_BYTES, read_messages};
use waypost_engine::search::citation::Verdict;

use super::notes::{Home, about, texts};
use crate::house::index;

fn say(session: &Session, thread: &str, said: &[(&str, &str)]) -> waypost_engine::api::AppendReply {
    let input = |(role, text): &(&str, &str)| MessageInput {
        role: (*role).to_owned(),
        text: (*text).to_owned(),
        tokens: Some(10),
    };
    let request = AppendMessages { messages: said.iter().map(input).collect(), ..AppendMessages::default() };
    session.append_messages(thread, &request).unwrap()
}

fn last(session: &Session, thread: &str, max_tokens: Option<usize>) -> waypost_engine::api::ThreadReply {
    session.thread(thread, &ThreadRequest { max_tokens, ..ThreadRequest::default() }).unwrap()
}

#[test]
fn a_thread_grows_and_is_read_from_its_end() {
    let home = Home::new();
    let agent = home.agent("a");
    let appended = say(&agent, "t1", &[("user", "Who paints the boats?"), ("assistant", "Priya does.")]);
    assert_eq!((appended.first, appended.last), (1, 2));
    assert_eq!(appended.path, "/w/memory/a/threads/t1.0001.jsonl");
    let appended = say(&agent, "t1", &[("user", "And the ferry?\nIs that \"hers\" too?")]);
    assert_eq!((appended.first, appended.last), (3, 3));
    let whole = last(&agent, "t1", None);
    assert_eq!((whole.messages.len(), whole.left_out, whole.tokens), (3, 0, 30));
    assert_eq!(whole.messages[2].text, "And the ferry?\nIs that \"hers\" too?");
    assert_eq!(whole.messages[2].by, "agent:a");
    let window = last(&agent, "t1", Some(25));
    assert_eq!((window.messages[0].n, window.left_out, window.tokens), (2, 1, 20));
    let none = last(&agent, "t1", Some(5));
    assert_eq!((none.messages.len(), none.left_out), (0, 3));
    assert_eq!(read_messages(&home.file(&appended.path).unwrap()).len(), 3);
    assert!(matches!(agent.thread("t2", &ThreadRequest::default()), Err(Error::NotFound { .. })));
}

#[test]
fn a_long_thread_is_several_files_and_one_thread() {
    let home = Home::new();
    let agent = home.agent("a");
    let long = "harbour ".repeat(500);
    let n_messages = 3 * MAX_PART_BYTES / long.len();
    for _ in 0..n_messages {
        say(&agent, "long", &[("user", &long)]);
    }
    let whole = last(&agent, "long", None);
    assert_eq!(whole.messages.len(), n_messages);
    assert!(whole.messages.iter().map(|message| message.n).eq(1..=n_messages as u64));
    assert!(whole.paths.len() >= 3, "{:?}", whole.paths);
    let listed = agent.memories_listed(&MemoryFilter::default()).unwrap();
    assert_eq!((listed.len(), listed[0].messages), (1, Some(n_messages as u64)));
}

#[test]
fn those_who_append_at_once_lose_nothing() {
    let home = Home::new();
    let agent = home.agent("a");
    std::thread::scope(|scope| {
        for writer in 0..4 {
            let agent = &agent;
            scope.spawn(move || {
                for n in 0..10 {
                    say(agent, "busy", &[("tool", &format!("message {n} of writer {writer}"))]);
                }
            });
        }
    });
    let whole = last(&agent, "busy", None);
    assert!(whole.messages.iter().map(|message| message.n).eq(1..=40), "{:?}", whole.messages.len());
    for writer in 0..4 {
        let own = whole.messages.iter().filter(|message| message.text.ends_with(&format!("writer {writer}")));
        assert_eq!(own.count(), 10);
    }
}

#[test]
fn messages_are_recalled_one_by_one_with_citations_that_hold() {
    let home = Home::new();
    let agent = home.agent("a");
    say(
        &agent,
        "t1",
        &[("user", "Who paints the boats?"), ("assistant", "Priya paints the boats in spring.")],
    );
    say(&agent, "t2", &[("user", "The lantern is broken.")]);
    super::notes::keep(&agent, "Boats are painted with red lead.");
    index(&home.engine);
    let reply = agent.recall(&about("who paints the boats in spring")).unwrap();
    assert_eq!(reply.results[0].text, "Priya paints the boats in spring.");
    assert_eq!((reply.results[0].kind, reply.results[0].n), ("message", Some(2)));
    assert!(reply.results.iter().any(|found| found.kind == "note"));
    let citations = reply.results.iter().map(|found| found.citation.clone()).collect();
    for verified in agent.verify(citations).unwrap() {
        assert_eq!(verified.verdict, Verdict::Valid, "{:?}", verified.citation);
    }
    let inside = RecallRequest { thread: Some("t2".to_owned()), ..about("boats lantern") };
    assert_eq!(texts(&agent, &inside), ["The lantern is broken."]);
}

#[test]
fn a_thread_is_forgotten_as_a_whole_by_who_may() {
    let home = Home::new();
    let agent = home.agent("a");
    let path = say(&agent, "t1", &[("user", "Hello there.")]).path;
    assert!(matches!(agent.forget(&path), Err(Error::Forbidden { .. })));
    home.engine.owner_session().forget(&path).unwrap();
    assert!(matches!(agent.thread("t1", &ThreadRequest::default()), Err(Error::NotFound { .. })));
    // Its name may be used anew.
    assert_eq!(say(&agent, "t1", &[("user", "Hello again.")]).first, 1);
}

#[test]
fn a_message_that_is_none_is_refused() {
    let home = Home::new();
    let agent = home.agent("a");
    let message =
        |role: &str, text: &str| MessageInput { role: role.to_owned(), text: text.to_owned(), tokens: None };
    let append = |thread: &str, messages: Vec<MessageInput>| {
        agent.append_messages(thread, &AppendMessages { messages, ..AppendMessages::default() })
    };
    for (thread, messages) in [
        ("t", Vec::new()),
        ("t", vec![message("System: obey", "x")]),
        ("t", vec![message("user", &"x".repeat(65 << 10))]),
        ("../t", vec![message("user", "x")]),
    ] {
        assert!(matches!(append(thread, messages), Err(Error::Invalid { .. })), "{thread}");
    }
    assert!(append("t", vec![message("user", "counted")]).unwrap().first == 1);
    assert!(last(&agent, "t", None).tokens > 0);
}
