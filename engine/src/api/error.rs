use std::path::PathBuf;

use thiserror::Error;

use crate::access::AccessError;
use crate::answer::generation::GenerateError;
use crate::budget::BudgetError;
use crate::cards::CardError;
use crate::catalog::CatalogError;
use crate::change::ChangeError;
use crate::delivery::DeliveryError;
use crate::id::IdError;
use crate::import::ImportError;
use crate::index::IndexError;
use crate::ingest::IngestError;
use crate::journal::FilterError;
use crate::memory::MemoryError;
use crate::net::NetError;
use crate::reader::ReaderError;
use crate::registry::RegistryError;
use crate::route::RouteError;
use crate::search::SearchError;
use crate::store::StoreError;
use crate::tasks::TaskError;
use crate::text::SkipReason;
use crate::trace::TraceError;

/// Everything that the engine can refuse, for any surface.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// A name or path that can't be one.
    #[error(transparent)]
    Id(#[from] IdError),
    /// Nothing there, or nothing that the asker may see: both answer alike.
    #[error("there is no {what} `{name}`")]
    NotFound {
        /// `workspace`, `file`, `folder`, `version`, `task` and so on.
        what: &'static str,
        /// As it was asked for.
        name: String,
    },
    /// A value of a request that makes no sense.
    #[error("`{field}` is {found}: expected {expected}")]
    Invalid {
        /// Of the request.
        field: &'static str,
        /// As far as it can be shown.
        found: String,
        /// What would do.
        expected: String,
    },
    /// Something that may be seen, and that this principal may not do.
    #[error("{principal} has no `{verb}` on `{path}`")]
    Forbidden {
        /// Who.
        principal: String,
        /// What it takes.
        verb: &'static str,
        /// On what.
        path: String,
    },
    /// A person has to let it through first; then it happens by itself.
    #[error("`{path}` lies behind a gate: approval `{approval}` is pending")]
    ApprovalRequired {
        /// The gated path.
        path: String,
        /// What waits.
        approval: String,
    },
    /// A gate stands before one of many files that were to change as one, which waits for nobody. Change them one by one.
    #[error(
        "`{path}` lies behind the gate {gate}, where a change of many files at once does not wait: change them file by file, \
         each of which asks for an approval"
    )]
    CrossesGate {
        /// The first gated path.
        path: String,
        /// Which gate.
        gate: String,
    },
    /// Decided already, run out, or no longer about what was shown.
    #[error("approval `{approval}` is {state} and can't be decided")]
    ApprovalClosed {
        /// Which.
        approval: String,
        /// Where it stands.
        state: &'static str,
    },
    /// The exact text is not there, or more than once.
    #[error("edit {edit} does not fit: the old text stands in `{path}` {found} times, expected once")]
    EditMismatch {
        /// Which file.
        path: String,
        /// From 1.
        edit: usize,
        /// How often.
        found: usize,
    },
    /// A file that can be stored and not be read as text. Its bytes can be had.
    #[error("`{path}` gives no text: {reason}")]
    NoText {
        /// The file.
        path: String,
        /// Why.
        reason: SkipReason,
    },
    /// What was to be written elsewhere could not be.
    #[error("can't write {what}: {source}")]
    Output {
        /// What was written.
        what: &'static str,
        /// Why.
        source: std::io::Error,
    },
    /// A file that is no whole backup. Nothing was restored.
    #[error("the backup can't be used: {why}")]
    Backup {
        /// What is wrong with it.
        why: String,
    },
    /// One's own request is for others to decide.
    #[error("`{approval}` is your own request: somebody else with `approve` has to decide about it")]
    OwnRequest {
        /// Which.
        approval: String,
    },
    /// Acts can't be written down, and nothing is done unrecorded.
    #[error("the audit log can't be written; free the disk and try again")]
    AuditFull,
    /// The token is unknown, revoked, or has run out.
    #[error("the token is not known here, was revoked, or has run out")]
    Unauthorized,
    /// Another process works on this home.
    #[error("`{home}` is in use by another waypost process; end it, or talk to its server")]
    HomeInUse {
        /// The home.
        home: PathBuf,
    },
    /// The home may be read and not written, and nothing is done unrecorded. Let this user write there, or take a copy.
    #[error(
        "the home `{home}` is read-only: {source}; its lock, index and audit log are kept in `{home}/.waypost`: let this user \
         write there, work on a copy, or name another home with `--home`"
    )]
    ReadOnlyHome {
        /// The home.
        home: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The index has not read that far within the time that was given.
    #[error(
        "the index has not caught up with `{seq}` within {waited_ms} ms; ask again, or without `wait_for_seq`"
    )]
    IndexBehind {
        /// What was waited for.
        seq: String,
        /// How long.
        waited_ms: u64,
    },
    /// Somebody still reads or indexes a workspace that is to be let go. Nothing was changed; try again.
    #[error(
        "workspace `{name}` is in use: a search or its indexing did not end in time; nothing was changed, try again"
    )]
    WorkspaceBusy {
        /// Which.
        name: String,
    },
    /// The folder can't be used as a home or as a workspace.
    #[error("can't use `{path}`: {source}")]
    Folder {
        /// Which folder.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// Nobody that may be asked can do it.
    #[error("nobody here is known to do this: \"{intent}\"")]
    NoRoute {
        /// Its beginning.
        intent: String,
    },
    /// Who can do it takes nothing now.
    #[error("{} can do this and can't take it now: {reason}", quoted(agents))]
    RouteUnavailable {
        /// Who.
        agents: Vec<String>,
        /// Why the first of them can't.
        reason: String,
    },
    /// Some could do it and are not the same, or each a part of it.
    #[error("{question}")]
    AmbiguousRoute {
        /// What would tell them apart.
        question: String,
        /// Their ids.
        candidates: Vec<String>,
    },
    /// See [`CardError`].
    #[error(transparent)]
    Card(#[from] CardError),
    /// See [`RouteError`].
    #[error(transparent)]
    Route(#[from] RouteError),
    /// Arguments that a tool's schema does not take. Nothing was called.
    #[error("arguments of `{tool}`: {}{expected}", at(argument))]
    InvalidArguments {
        /// Which tool.
        tool: String,
        /// Which argument, such as `to/amount`; empty for all of them together.
        argument: String,
        /// What is wrong with it, in words.
        expected: String,
    },
    /// The tool's server can't be reached at the moment. Nothing was called.
    #[error("tool `{tool}` can't be called now: {reason}")]
    ToolUnavailable {
        /// Which tool.
        tool: String,
        /// Why.
        reason: &'static str,
    },
    /// The tool was declared, and no server here has it. Nothing was called.
    #[error(
        "tool `{tool}` is declared without a server, so nothing here can call it: a server that lists it is named under \
         `[[upstream]]` in `waypost.toml`"
    )]
    ToolDeclared {
        /// Which tool.
        tool: String,
    },
    /// The tool has changed, or is new, and nobody has approved it. Nothing was called.
    #[error("tool `{tool}` is quarantined: {reason}")]
    ToolQuarantined {
        /// Which tool.
        tool: String,
        /// Why.
        reason: String,
    },
    /// The tool did not answer in time; whether it did something is not known.
    #[error("tool `{tool}` did not answer within {seconds} s; its server was told to stop")]
    ToolTimeout {
        /// Which tool.
        tool: String,
        /// How long it had.
        seconds: u64,
    },
    /// The tool's server refused the call, broke off, or answered something that is no answer.
    #[error("the server of tool `{tool}` failed: {message}")]
    ToolFailed {
        /// Which tool.
        tool: String,
        /// In the server's words, cut.
        message: String,
    },
    /// Who called does not want the answer any more.
    #[error("the call of `{tool}` was cancelled")]
    ToolCancelled {
        /// Which tool.
        tool: String,
    },
    /// See [`RegistryError`].
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// See [`AccessError`].
    #[error(transparent)]
    Access(#[from] AccessError),
    /// See [`ChangeError`].
    #[error(transparent)]
    Change(#[from] ChangeError),
    /// See [`CatalogError`].
    #[error(transparent)]
    Catalog(#[from] CatalogError),
    /// See [`StoreError`].
    #[error(transparent)]
    Store(#[from] StoreError),
    /// See [`IndexError`].
    #[error(transparent)]
    Index(#[from] IndexError),
    /// See [`IngestError`].
    #[error(transparent)]
    Ingest(#[from] IngestError),
    /// No worker can be started that reads files, or the cache of texts can't be used.
    #[error(transparent)]
    Reader(#[from] ReaderError),
    /// See [`SearchError`].
    #[error(transparent)]
    Search(#[from] SearchError),
    /// See [`DeliveryError`].
    #[error(transparent)]
    Delivery(#[from] DeliveryError),
    /// See [`NetError`].
    #[error(transparent)]
    Net(#[from] NetError),
    /// See [`ImportError`].
    #[error(transparent)]
    Import(#[from] ImportError),
    /// See [`TaskError`].
    #[error(transparent)]
    Task(#[from] TaskError),
    /// See [`BudgetError`].
    #[error(transparent)]
    Budget(#[from] BudgetError),
    /// See [`GenerateError`]; only where a home is opened: a question falls back to quotes.
    #[error(transparent)]
    Generate(#[from] GenerateError),
    /// See [`TraceError`].
    #[error(transparent)]
    Trace(#[from] TraceError),
}

fn quoted(names: &[String]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

fn at(argument: &str) -> String {
    if argument.is_empty() { String::new() } else { format!("`{argument}`: ") }
}

impl From<MemoryError> for Error {
    fn from(error: MemoryError) -> Self {
        let MemoryError { field, found, expected } = error;
        Self::Invalid { field, found, expected: expected.to_owned() }
    }
}

impl From<FilterError> for Error {
    fn from(error: FilterError) -> Self {
        match error {
            FilterError::Pattern(error) => Self::Access(AccessError::Pattern(error)),
            FilterError::Kind { kind, known } => Self::Invalid {
                field: "kinds",
                found: format!("`{kind}`"),
                expected: format!("some of {known}"),
            },
        }
    }
}

/// The few kinds of error, from which each surface takes its status.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ErrorKind {
    /// The request makes no sense.
    Invalid,
    /// Nothing there.
    NotFound,
    /// Who asks is not known.
    Unauthorized,
    /// Who asks may not.
    Denied,
    /// Something else stands there, or holds it.
    Conflict,
    /// What the request stands on is not so any more.
    Precondition,
    /// Too much of something.
    Exhausted,
    /// Not now; trying again may help.
    Unavailable,
    /// Stored data is damaged.
    Corrupt,
    /// A defect of ours, or of the machine.
    Internal,
}

impl Error {
    /// For arguments of what is no call of a tool.
    pub fn invalid_call_arguments() -> Self {
        let expected = "the verb `call` on a tool beside them".to_owned();
        Self::Invalid { field: "arguments", found: "given".to_owned(), expected }
    }

    /// Whether the disk has no room left, wherever that was noticed.
    fn is_disk_full(&self) -> bool {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(self);
        while let Some(error) = cause {
            let is_full = match error.downcast_ref::<std::io::Error>() {
                Some(io) => io.kind() == std::io::ErrorKind::StorageFull,
                None => error.downcast_ref::<CatalogError>().is_some_and(CatalogError::is_disk_full),
            };
            if is_full {
                return true;
            }
            cause = error.source();
        }
        // Transparent wrappers hide their inner error from `source`.
        match self {
            Self::Catalog(error)
            | Self::Route(RouteError::Catalog(error))
            | Self::Budget(BudgetError::Catalog(error))
            | Self::Trace(TraceError::Catalog(error))
            | Self::Delivery(DeliveryError::Catalog(error))
            | Self::Change(ChangeError::Catalog(error) | ChangeError::Access(AccessError::Catalog(error)))
            | Self::Access(AccessError::Catalog(error))
            | Self::Registry(RegistryError::Catalog(error))
            | Self::Store(StoreError::Catalog(error))
            | Self::Change(ChangeError::Store(StoreError::Catalog(error))) => error.is_disk_full(),
            _ => false,
        }
    }

    /// The kind.
    pub fn kind(&self) -> ErrorKind {
        if self.is_disk_full() {
            return ErrorKind::Unavailable;
        }
        match self {
            Self::Id(_)
            | Self::Invalid { .. }
            | Self::Folder { .. }
            | Self::Card(_)
            | Self::InvalidArguments { .. }
            | Self::NoText { .. }
            | Self::Registry(RegistryError::Id { .. } | RegistryError::Spec { .. })
            | Self::Net(_)
            | Self::Generate(_)
            | Self::Delivery(DeliveryError::Secret) => ErrorKind::Invalid,
            Self::Delivery(DeliveryError::TooMany { .. } | DeliveryError::Overlap { .. }) => {
                ErrorKind::Conflict
            }
            Self::NotFound { .. } | Self::NoRoute { .. } => ErrorKind::NotFound,
            Self::Unauthorized => ErrorKind::Unauthorized,
            Self::Forbidden { .. }
            | Self::ApprovalRequired { .. }
            | Self::CrossesGate { .. }
            | Self::OwnRequest { .. } => ErrorKind::Denied,
            Self::ApprovalClosed { .. }
            | Self::EditMismatch { .. }
            | Self::AmbiguousRoute { .. }
            | Self::ToolDeclared { .. }
            | Self::ToolQuarantined { .. }
            | Self::ToolCancelled { .. } => ErrorKind::Conflict,
            Self::HomeInUse { .. }
            | Self::ReadOnlyHome { .. }
            | Self::IndexBehind { .. }
            | Self::WorkspaceBusy { .. }
            | Self::AuditFull
            | Self::Output { .. }
            | Self::RouteUnavailable { .. }
            | Self::ToolUnavailable { .. }
            | Self::ToolTimeout { .. }
            | Self::ToolFailed { .. } => ErrorKind::Unavailable,
            Self::Access(error) | Self::Change(ChangeError::Access(error)) => access_kind(error),
            Self::Change(ChangeError::VersionConflict { .. }) => ErrorKind::Precondition,
            Self::Change(ChangeError::Missing { .. }) => ErrorKind::NotFound,
            Self::Change(ChangeError::Refused) => ErrorKind::Conflict,
            Self::Change(
                ChangeError::Exists { .. }
                | ChangeError::NameConflict { .. }
                | ChangeError::NotAFile { .. }
                | ChangeError::Taken { .. },
            ) => ErrorKind::Conflict,
            Self::Store(error)
            | Self::Change(ChangeError::Store(error))
            | Self::Ingest(IngestError::Store(error) | IngestError::Change(ChangeError::Store(error))) => {
                store_kind(error)
            }
            Self::Reader(ReaderError::Start { .. })
            | Self::Ingest(IngestError::Reader(ReaderError::Start { .. })) => ErrorKind::Unavailable,
            Self::Index(IndexError::Damaged { .. })
            | Self::Search(SearchError::Index(IndexError::Damaged { .. }))
            | Self::Ingest(IngestError::Index(IndexError::Damaged { .. }))
            | Self::Backup { .. } => ErrorKind::Corrupt,
            Self::Task(TaskError::WrongState { .. }) => ErrorKind::Conflict,
            Self::Task(TaskError::OwnWork { .. }) => ErrorKind::Denied,
            Self::Task(TaskError::Busy { .. }) => ErrorKind::Unavailable,
            Self::Budget(error) => budget_kind(error),
            Self::Import(error) => import_kind(error),
            Self::Trace(TraceError::Loop { .. } | TraceError::HopLimit { .. }) => ErrorKind::Conflict,
            _ => ErrorKind::Internal,
        }
    }

    /// Stable, for programs; never reused for something else.
    pub fn code(&self) -> &'static str {
        if self.is_disk_full() {
            return "disk_full";
        }
        match self {
            Self::Id(IdError::Version { .. }) => "invalid_version",
            Self::Id(_) => "invalid_path",
            Self::NotFound { .. } => "not_found",
            Self::Invalid { .. } => "invalid_request",
            Self::Unauthorized => "unauthorized",
            Self::Forbidden { .. } => "forbidden",
            Self::ApprovalRequired { .. } => "approval_required",
            Self::CrossesGate { .. } => "crosses_gate",
            Self::ApprovalClosed { .. } => "approval_closed",
            Self::OwnRequest { .. } => "own_request",
            Self::Output { .. } => "output_failed",
            Self::Backup { .. } => "damaged_backup",
            Self::EditMismatch { .. } => "edit_mismatch",
            Self::NoRoute { .. } => "no_route",
            Self::RouteUnavailable { .. } => "route_unavailable",
            Self::NoText { .. } => "unsupported_type",
            Self::AmbiguousRoute { .. } => "ambiguous_route",
            Self::Card(_) => "invalid_card",
            Self::InvalidArguments { .. } => "invalid_arguments",
            Self::ToolDeclared { .. } => "tool_declared",
            Self::ToolUnavailable { .. } => "tool_unavailable",
            Self::ToolQuarantined { .. } => "tool_quarantined",
            Self::ToolTimeout { .. } => "tool_timeout",
            Self::ToolFailed { .. } => "tool_failed",
            Self::ToolCancelled { .. } => "cancelled",
            Self::Registry(RegistryError::Id { .. } | RegistryError::Spec { .. }) => "invalid_tool",
            Self::AuditFull => "audit_unavailable",
            Self::HomeInUse { .. } => "home_in_use",
            Self::ReadOnlyHome { .. } => "home_read_only",
            Self::IndexBehind { .. } => "index_behind",
            Self::WorkspaceBusy { .. } => "workspace_busy",
            Self::Folder { .. } => "invalid_folder",
            Self::Access(error) | Self::Change(ChangeError::Access(error)) => access_code(error),
            Self::Change(ChangeError::VersionConflict { .. }) => "version_conflict",
            Self::Change(ChangeError::Missing { .. }) => "not_found",
            Self::Change(ChangeError::Refused) => "refused",
            Self::Change(ChangeError::Exists { .. }) => "already_exists",
            Self::Change(ChangeError::NameConflict { .. }) => "name_conflict",
            Self::Change(ChangeError::NotAFile { .. }) => "not_a_file",
            Self::Change(ChangeError::Taken { .. }) => "name_taken",
            Self::Store(error)
            | Self::Change(ChangeError::Store(error))
            | Self::Ingest(IngestError::Store(error) | IngestError::Change(ChangeError::Store(error))) => {
                store_code(error)
            }
            Self::Reader(ReaderError::Start { .. })
            | Self::Ingest(IngestError::Reader(ReaderError::Start { .. })) => "reader_unavailable",
            Self::Index(IndexError::Damaged { .. })
            | Self::Search(SearchError::Index(IndexError::Damaged { .. }))
            | Self::Ingest(IngestError::Index(IndexError::Damaged { .. })) => "damaged_index",
            Self::Net(NetError::Refused { .. }) => "address_refused",
            Self::Net(_) => "invalid_url",
            Self::Generate(_) => "invalid_request",
            Self::Delivery(DeliveryError::Secret) => "invalid_secret",
            Self::Delivery(DeliveryError::TooMany { .. }) => "too_many_webhooks",
            Self::Delivery(DeliveryError::Overlap { .. }) => "overlap_running",
            Self::Ingest(IngestError::Cancelled) => "cancelled",
            Self::Task(TaskError::WrongState { .. }) => "wrong_state",
            Self::Task(TaskError::OwnWork { .. }) => "own_work",
            Self::Task(TaskError::Busy { .. }) => "task_busy",
            Self::Budget(error) => budget_code(error),
            Self::Import(error) => error.code(),
            Self::Trace(TraceError::Loop { .. }) => "loop_detected",
            Self::Trace(TraceError::HopLimit { .. }) => "hop_limit",
            _ => "internal",
        }
    }
}

fn access_kind(error: &AccessError) -> ErrorKind {
    match error {
        AccessError::Pattern(_) | AccessError::Invalid { .. } | AccessError::Document(_) => {
            ErrorKind::Invalid
        }
        AccessError::NotFound { .. } => ErrorKind::NotFound,
        AccessError::NameConflict { .. } => ErrorKind::Conflict,
        AccessError::Catalog(_) => ErrorKind::Internal,
    }
}

fn access_code(error: &AccessError) -> &'static str {
    match error {
        AccessError::Pattern(_) => "invalid_pattern",
        AccessError::Invalid { .. } => "invalid_request",
        AccessError::Document(_) => "invalid_policy",
        AccessError::NotFound { .. } => "not_found",
        AccessError::NameConflict { .. } => "name_conflict",
        AccessError::Catalog(_) => "internal",
    }
}

fn budget_kind(error: &BudgetError) -> ErrorKind {
    match error {
        BudgetError::Exceeded(_) => ErrorKind::Exhausted,
        BudgetError::Invalid { .. } | BudgetError::Pattern(_) => ErrorKind::Invalid,
        BudgetError::NotFound { .. } => ErrorKind::NotFound,
        BudgetError::TooMany { .. } => ErrorKind::Conflict,
        BudgetError::Catalog(_) => ErrorKind::Internal,
    }
}

fn budget_code(error: &BudgetError) -> &'static str {
    match error {
        BudgetError::Exceeded(_) => "budget_exceeded",
        BudgetError::Invalid { .. } => "invalid_request",
        BudgetError::Pattern(_) => "invalid_pattern",
        BudgetError::NotFound { .. } => "not_found",
        BudgetError::TooMany { .. } => "too_many_budgets",
        BudgetError::Catalog(_) => "internal",
    }
}

fn import_kind(error: &ImportError) -> ErrorKind {
    match error.code() {
        "too_large" => ErrorKind::Exhausted,
        "robots_refused" => ErrorKind::Denied,
        "cancelled" => ErrorKind::Conflict,
        "fetch_failed" | "fetch_timeout" => ErrorKind::Unavailable,
        "internal" => ErrorKind::Internal,
        _ => ErrorKind::Invalid,
    }
}

fn store_kind(error: &StoreError) -> ErrorKind {
    match error {
        StoreError::TooLarge { .. } => ErrorKind::Exhausted,
        StoreError::DamagedBlob { .. } => ErrorKind::Corrupt,
        StoreError::LockHeld { .. } | StoreError::LockExpired { .. } => ErrorKind::Conflict,
        StoreError::Moved => ErrorKind::Unavailable,
        _ => ErrorKind::Internal,
    }
}

fn store_code(error: &StoreError) -> &'static str {
    match error {
        StoreError::TooLarge { .. } => "too_large",
        StoreError::DamagedBlob { .. } => "damaged_blob",
        StoreError::LockHeld { .. } => "lock_held",
        StoreError::LockExpired { .. } => "lock_expired",
        StoreError::Moved => "workspace_moved",
        _ => "internal",
    }
}

/// What the api gives.
pub type Result<T> = std::result::Result<T, Error>;
