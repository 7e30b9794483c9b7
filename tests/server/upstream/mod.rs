/// Servers that the tests steer, and where the real ones are.
mod fixture;
pub use fixture::test_tools;

/// Finding, calling, and what comes back.
mod calls;

/// Who may call what, with which arguments.
mod access;

/// Tools that change after they were approved.
mod quarantine;

/// Servers that die, hang, or outlive us.
mod processes;

/// The command line and standard input and output.
mod command;

/// Intents that go to tools.
mod routing;

/// Tools that are declared without a server.
mod declared;

/// Reference servers of others.
mod peers;
