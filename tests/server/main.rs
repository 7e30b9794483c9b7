//! The network face as its clients meet it: a real server on a free port, a temporary home, no model.

#![allow(clippy::unwrap_used, reason = "a test ends where something it stands on fails")]

/// Starting a server and asking it.
mod support;

/// Principals, and asking as one of them.
mod users;

/// Routes, replies and problems.
mod rest;

/// What people write in more than one way.
mod forms;

/// What is given in a wrong form, and what a null means.
mod given;

/// The described API: document, keys, compression, limits, TLS.
mod api;

/// The console: its pages, signing in, and what it asks of the API that nobody else did.
mod console;

/// Files put, read, edited, moved and brought back.
mod files;

/// Files followed over their moves, and what is told of those that went, or may not be seen.
mod past;

/// Workspaces, snapshots, locks and pruning.
mod state;

/// Tasks, inboxes and consumer groups.
mod tasks;

/// Who may do what, and what the others are told.
mod access;

/// Tokens: narrowed, run out, revoked.
mod tokens;

/// Traces: named, carried on, and what was spent in them.
mod traces;

/// Gates, and what waits before them.
mod gates;

/// Memory, and answers in a model's words.
mod memory;

/// Budgets, usage, and traces that go in circles.
mod budgets;

/// The audit log as its readers meet it.
mod audit;

/// Both eras of MCP.
mod mcp;

/// MCP over the older pair of routes.
mod pair;

/// Files as resources of MCP, and following them.
mod resources;

/// What a model is told to do next, and what it gets wrong.
mod steps;

/// Prompts, and completing their arguments.
mod prompts;

/// Calls that wait, and ending them.
mod waits;

/// SDKs and programs of others as clients.
mod clients;

/// The official suite of the protocol.
mod conformance;

/// The tools that change files, and those that look back.
mod writing;

/// The names of the reference file server.
mod reference;

/// Attacks from outside, by the numbers of the attack table.
mod routing;
mod security;

/// Paths, names and loads of those who hold a token, by the numbers of the attack table.
mod attacks;

/// What others could learn, by the numbers of the attack table.
mod spying;

/// Somebody who is told of events.
mod receiver;

/// Webhooks, by the numbers of the attack table and beyond it.
mod webhooks;

/// A site on this machine.
mod site;

/// Files fetched from URLs, by the numbers of the attack table and beyond it.
mod imports;

/// Webhooks while the server is killed again and again.
mod outage;

/// A disk that is full for a while.
mod full_disk;

/// Tools of other servers, real ones over both transports, and tools that no server has.
mod upstream;

/// Drop-off, supervisor and bus.
mod patterns;

/// Programs that the operator has started for events.
mod hooks;

/// A home carried away while it is written to, and back.
mod backup;

/// Documents of many formats: places in citations, what becomes of each file, hostile files.
mod formats;

/// The command line, as a person or a script meets it.
mod command;

/// What keeps a server running: the doctor, settings read again, completions, manuals, a bench for one's own folder.
mod operation;

/// Homes that older releases left behind.
mod homes;
