//! The front door: everything that a command, a route or a tool can ask of the engine.
//!
//! Nouns: [`Engine`] (an open home), [`Session`] (what one principal does with it), requests and replies.
//! An action authorizes, acts, and answers; nothing here knows HTTP, MCP or a terminal.

mod abilities;
mod approvals;
mod asking;
mod audit;
mod auditor;
mod backup;
mod budgets;
mod carrying;
mod changing;
mod check;
mod closing;
mod compacting;
mod comparing;
mod consuming;
mod crawling;
mod engine;
mod error;
mod events;
mod files;
mod folders;
mod following;
mod generating;
mod governing;
mod home;
mod importing;
mod indexed;
mod indexer;
mod keys;
mod lineage;
mod locking;
mod memory;
mod opening;
mod parting;
mod past;
mod places;
mod questions;
mod reading;
mod repeating;
mod replies;
mod requesting;
mod restoring;
mod routing;
mod scribe;
mod session;
mod sites;
mod snapshots;
mod spending;
mod stopping;
mod tasks;
mod texts;
mod tools;
mod traces;
mod visible;
mod webhooks;
mod workspace;
mod workspaces;

pub use crate::answer::generation::{GenerateError, GenerateSettings, ModelFile};
pub use crate::budget::{
    Budget, BudgetError, Charge, ChargeKind, Exceeded, GroupBy, Limits as BudgetLimits, Period, Priority,
    TargetPattern, Usage, UsageReport,
};
pub use crate::delivery::{Courier, DeliveryState, Format, Schedule};
pub use crate::ingest::BackgroundSettings;
pub use crate::journal::{EventFilter, KeptReply};
pub use crate::net::{Lookup, Reach};
pub use crate::reader::{Isolation, Workers};
pub use crate::registry::{ToolId, ToolSettings, ToolSpec, ToolState, Trust, UpstreamTool};
pub use crate::tasks::TaskState;
pub use crate::trace::{Limits as HopLimits, TraceError, TraceState, Verdict};
pub use audit::AuditFilter;
pub use backup::{BackedUpWorkspace, Backup, BackupReport};
pub use budgets::{BudgetInfo, BudgetState, Reservation};
pub use changing::WriteOptions;
pub use check::{CheckReport, Finding};
pub use consuming::{ConsumeOptions, Consumed, ConsumedEvent, GroupInfo, Start, UnfinishedEvent};
pub use engine::{DEFAULT_JOURNAL_DAYS, Engine, EngineOptions, IndexReport};
pub use error::{Error, ErrorKind, Result};
pub use events::{EventInfo, EventsPage};
pub use generating::AskProgress;
pub use governing::{Explanation, PrincipalInfo, TokenInfo};
pub use importing::{
    ImportFailure, ImportProgress, ImportReply, ImportRequest, ImportStatus, ImportedFile, ImportedSection,
    MAX_IMPORT_BYTES, OnImport, Recursive,
};
pub use indexed::{IndexState, IndexedFile};
pub use indexer::Indexer;
pub use memory::{
    AppendMessages, AppendReply, MemoryFilter, MemoryInfo, MessageInput, OnConflict, RecallReply,
    RecallRequest, Recalled, RememberReply, RememberRequest, SimilarNote, Sources, ThreadReply,
    ThreadRequest,
};
pub use reading::{ChunkExplanation, DocumentExplanation, FileStatus, ReadingExplanation, StatusCounts};
pub use replies::{
    ApprovalInfo, AskReply, AskRequest, CloneReport, EditReply, FileContent, FileInfo, FindRequest,
    IndexStatus, ListEntry, LockInfo, NumberedCitation, PruneReport, RestoreReport, SearchFilters, SearchHit,
    SearchReply, SearchRequest, SnapshotDiff, SnapshotInfo, TextEdit, TreeEntry, VerifiedCitation,
    VersionInfo, WorkspaceInfo, WriteReply,
};
pub use restoring::{RestoredHome, restore_home};
pub use routing::{
    AgentInfo, DispatchReply, DispatchRequest, ExplainReply, ExplainRequest, Feedback, Figures, Lesson,
    LintReply, RouteCandidate, RouteOutcome, RoutePart, RouteReply, RouteRequest, Standing,
};
pub use scribe::CommandHook;
pub use session::{Principal, Session};
pub use snapshots::Retention;
pub use spending::{UsageInfo, UsageReply, UsageRequest};
pub use stopping::Stop;
pub use tasks::{
    Artifact, ClaimRequest, Completion, Failure, InboxEntry, NewTask, Supervisor, TaskInfo, TasksFilter,
};
pub use texts::{FileText, TextPlace};
pub use tools::{
    CallOptions, CallOutcome, CallReply, CallUsage, PendingCall, ServerHealth, ServerInfo, ServerState,
    TakenTools, ToolArgument, ToolDeclaration, ToolDocument, ToolHealth, ToolInfo, ToolOverride, ToolServer,
    ToolsFilter,
};
pub use traces::{Handover, HopInfo, Recorded, TraceInfo};
pub use webhooks::{
    AttemptInfo, DeliveriesPage, DeliveryInfo, NewWebhook, Replay, WebhookChange, WebhookInfo,
};
