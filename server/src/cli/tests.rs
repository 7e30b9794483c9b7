//! Every command says how it is used, and what it says can be used as it stands.

use clap::{Arg, Command, CommandFactory};

use super::Cli;

/// Help is told no wider than this; a longer line would be broken, and could not be pasted.
const WIDTH: usize = 100;
/// What a shell does something with where it is not quoted.
const SPECIAL: &str = "*?$;&!()[]{}<`\\#";

/// Every command that is shown, after those above it, with the words that lead to it.
fn commands() -> Vec<(Vec<String>, Command)> {
    let mut found = vec![(vec!["waypost".to_owned()], Cli::command())];
    let mut command_idx = 0;
    while command_idx < found.len() {
        let (words, command) = found[command_idx].clone();
        for below in command.get_subcommands().filter(|below| !below.is_hide_set()) {
            let words = [&words[..], &[below.get_name().to_owned()]].concat();
            found.push((words, below.clone()));
        }
        command_idx += 1;
    }
    found
}

/// What stands after `Example: `, or indented below `Examples:`.
fn examples(command: &Command) -> Vec<String> {
    let said = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    let example = |line: &str| {
        let example = line.strip_prefix("Example: ").or_else(|| line.strip_prefix("  "))?;
        assert!(line.chars().count() <= WIDTH, "too wide: {line}");
        Some(example.to_owned())
    };
    said.lines().filter_map(example).collect()
}

/// As a shell splits a line, up to where its output goes elsewhere.
fn split(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote) = (Vec::new(), None::<String>, None);
    for c in line.chars() {
        match quote {
            Some(open) if c == open => quote = None,
            None if c == '\'' || c == '"' => {
                quote = Some(c);
                word.get_or_insert_default();
            }
            None if c == '>' || c == '|' => break,
            None if c == ' ' => words.extend(word.take()),
            _ => {
                assert!(quote.is_some() || !SPECIAL.contains(c), "`{c}` is not quoted: {line}");
                word.get_or_insert_default().push(c);
            }
        }
    }
    assert_eq!(quote, None, "a quote stays open: {line}");
    words.extend(word);
    words
}

/// The arguments of an example. A variable before it counts as the flag that may be given in its place.
fn arguments(line: &str, command: &Command) -> Vec<String> {
    let mut words = split(line);
    let n_variables = words.iter().take_while(|word| word.contains('=')).count();
    let variables: Vec<String> = words.drain(..n_variables).collect();
    for (name, value) in variables.iter().filter_map(|variable| variable.split_once('=')) {
        let flag = command.get_arguments().find(|arg| arg.get_env().is_some_and(|env| env == name));
        words.extend(flag.and_then(Arg::get_long).map(|flag| format!("--{flag}={value}")));
    }
    words
}

#[test]
fn every_command_has_examples_that_it_understands() {
    let commands = commands();
    assert!(commands.len() > 120, "{} commands", commands.len());
    for (path, mut command) in commands {
        let help = command.render_long_help().to_string();
        assert!(help.contains("Example"), "no example of `{}`:\n{help}", path.join(" "));
        let examples = examples(&command);
        assert!(!examples.is_empty(), "no example of `{}`:\n{help}", path.join(" "));
        for line in examples {
            let words = arguments(&line, &command);
            assert!(words.starts_with(&path), "an example of `{}`: {line}", path.join(" "));
            let read = Cli::command().try_get_matches_from(&words);
            assert!(read.is_ok(), "{line}\n{}", read.unwrap_err());
        }
    }
}

#[test]
fn an_example_is_split_as_by_a_shell() {
    let check = |line: &str, expected: &[&str]| assert_eq!(split(line), expected, "{line}");
    check("a  b", &["a", "b"]);
    check("search '\"two words\" -x' -n 3", &["search", "\"two words\" -x", "-n", "3"]);
    check("a '' b='c d' > file", &["a", "", "b=c d"]);
}
