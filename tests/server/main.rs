//! The network face as its clients meet it: a real server on a free port, a temporary home, no model.

#![allow(clippy::unwrap_used, reason = "a test ends where something it stands on fails")]

/// Starting a server and asking it.
mod support;

/// Routes, replies and problems.
mod rest;

/// Both eras of MCP.
mod mcp;

/// Attacks, by the numbers of the attack table.
mod security;

/// The command line, as a person or a script meets it.
mod command;
