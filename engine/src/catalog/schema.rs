//! The catalog's tables, and the steps from each older format to today's.

use rusqlite::Connection;

use super::CatalogError;

/// One step per format; a home at format `n` runs the steps after the `n`th. Never edit a step that was released.
const STEPS: &[&str] = &[
    "
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
CREATE TABLE workspaces (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL UNIQUE,
    root TEXT NOT NULL,
    attached INTEGER NOT NULL,
    intelligence INTEGER NOT NULL DEFAULT 1,
    created_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE files (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    workspace INTEGER NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    path TEXT NOT NULL,
    version BLOB NOT NULL,
    size_bytes INTEGER NOT NULL,
    mtime_ns INTEGER NOT NULL,
    mime_type TEXT NOT NULL DEFAULT '',
    language TEXT,
    skip_code TEXT,
    skip_reason TEXT,
    seq INTEGER NOT NULL,
    UNIQUE (workspace, path)
) STRICT;
CREATE TABLE journal (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    workspace INTEGER NOT NULL,
    file INTEGER NOT NULL,
    path TEXT NOT NULL,
    version BLOB,
    size_bytes INTEGER NOT NULL,
    actor TEXT NOT NULL,
    occurred_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX journal_workspace ON journal (workspace, seq);
CREATE INDEX journal_path ON journal (workspace, path);
CREATE TABLE tokens (
    id TEXT PRIMARY KEY,
    hash BLOB NOT NULL,
    principal TEXT NOT NULL,
    admin INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    revoked_ms INTEGER
) STRICT;
",
    "
ALTER TABLE files ADD COLUMN key TEXT NOT NULL DEFAULT '';
ALTER TABLE files ADD COLUMN explicit INTEGER NOT NULL DEFAULT 0;
ALTER TABLE files ADD COLUMN approved_by TEXT;
CREATE INDEX files_key ON files (workspace, key);
ALTER TABLE journal ADD COLUMN mime_type TEXT NOT NULL DEFAULT '';
ALTER TABLE journal ADD COLUMN other_path TEXT;
ALTER TABLE journal ADD COLUMN approved_by TEXT;
ALTER TABLE journal ADD COLUMN trace TEXT;
ALTER TABLE journal ADD COLUMN data TEXT;
CREATE TABLE blobs (version BLOB PRIMARY KEY, stored BLOB NOT NULL) STRICT;
ALTER TABLE tokens ADD COLUMN name TEXT NOT NULL DEFAULT '';
ALTER TABLE tokens ADD COLUMN expires_ms INTEGER;
ALTER TABLE tokens ADD COLUMN last_used_ms INTEGER;
ALTER TABLE tokens ADD COLUMN verbs TEXT;
ALTER TABLE tokens ADD COLUMN paths TEXT;
CREATE TABLE principals (
    id TEXT PRIMARY KEY,
    name TEXT NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE members (
    team TEXT NOT NULL,
    principal TEXT NOT NULL,
    PRIMARY KEY (team, principal)
) STRICT;
CREATE TABLE grants (
    id TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    target TEXT NOT NULL,
    patterns TEXT NOT NULL,
    verbs TEXT NOT NULL,
    effect TEXT NOT NULL,
    note TEXT NOT NULL
) STRICT;
CREATE TABLE gates (
    id TEXT PRIMARY KEY,
    pattern TEXT NOT NULL,
    verbs TEXT NOT NULL,
    note TEXT NOT NULL
) STRICT;
CREATE TABLE approvals (
    id TEXT PRIMARY KEY,
    state TEXT NOT NULL,
    requester TEXT NOT NULL,
    gate TEXT NOT NULL,
    path TEXT NOT NULL,
    act TEXT NOT NULL,
    act_hash BLOB NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL,
    decided_ms INTEGER,
    decided_by TEXT,
    reason TEXT
) STRICT;
CREATE INDEX approvals_open ON approvals (act_hash) WHERE state = 'pending';
CREATE TABLE locks (
    id TEXT PRIMARY KEY,
    pattern TEXT NOT NULL,
    mode TEXT NOT NULL,
    principal TEXT NOT NULL,
    fence INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    expires_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE fences (pattern TEXT PRIMARY KEY, fence INTEGER NOT NULL, used_ms INTEGER NOT NULL) STRICT;
CREATE TABLE snapshots (
    id TEXT PRIMARY KEY,
    workspace INTEGER NOT NULL,
    name TEXT NOT NULL,
    seq INTEGER NOT NULL,
    actor TEXT NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE audit (
    number INTEGER PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    principal TEXT NOT NULL,
    token TEXT NOT NULL,
    action TEXT NOT NULL,
    verb TEXT NOT NULL,
    path TEXT NOT NULL,
    version TEXT NOT NULL,
    outcome TEXT NOT NULL,
    rule TEXT NOT NULL,
    trace TEXT NOT NULL,
    hash BLOB NOT NULL
) STRICT;
",
    "
CREATE TABLE webhooks (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    verbs TEXT,
    within TEXT,
    name TEXT NOT NULL,
    sink TEXT NOT NULL,
    paths TEXT NOT NULL,
    kinds TEXT NOT NULL,
    format TEXT NOT NULL,
    secret BLOB NOT NULL,
    former BLOB,
    former_until_ms INTEGER,
    state TEXT NOT NULL,
    reason TEXT NOT NULL,
    failing_since_ms INTEGER,
    cursor INTEGER NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE deliveries (
    webhook TEXT NOT NULL REFERENCES webhooks (id) ON DELETE CASCADE,
    seq INTEGER NOT NULL,
    path TEXT NOT NULL,
    state TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    due_ms INTEGER NOT NULL,
    log TEXT NOT NULL,
    updated_ms INTEGER NOT NULL,
    PRIMARY KEY (seq, webhook)
) STRICT, WITHOUT ROWID;
CREATE INDEX deliveries_pending ON deliveries (webhook, path, seq) WHERE state = 'pending';
CREATE INDEX deliveries_dead ON deliveries (webhook, seq) WHERE state = 'dead';
",
    "
ALTER TABLE locks ADD COLUMN base TEXT NOT NULL DEFAULT '';
ALTER TABLE fences ADD COLUMN base TEXT NOT NULL DEFAULT '';
CREATE INDEX locks_base ON locks (base);
CREATE INDEX fences_base ON fences (base);
CREATE INDEX fences_used ON fences (used_ms);
CREATE INDEX journal_topics ON journal (workspace, seq) WHERE kind = 'topic.published';
CREATE TABLE tasks (
    id TEXT PRIMARY KEY,
    workspace INTEGER NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    path TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    addressee TEXT,
    priority INTEGER NOT NULL,
    due_ms INTEGER NOT NULL,
    spec TEXT NOT NULL,
    creator TEXT NOT NULL,
    attempts INTEGER NOT NULL,
    troubles INTEGER NOT NULL,
    lease TEXT,
    lease_ms INTEGER,
    worker TEXT,
    not_before_ms INTEGER NOT NULL,
    approval TEXT,
    last_error TEXT,
    history TEXT NOT NULL,
    artifacts TEXT NOT NULL,
    version BLOB NOT NULL,
    size_bytes INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    revision INTEGER NOT NULL,
    UNIQUE (workspace, path)
) STRICT;
CREATE INDEX tasks_order ON tasks (state, priority DESC, due_ms, created_ms, id);
CREATE INDEX tasks_name ON tasks (workspace, name);
CREATE TABLE consumer_groups (
    workspace INTEGER NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    topic TEXT NOT NULL,
    name TEXT NOT NULL,
    cursor INTEGER NOT NULL,
    created_ms INTEGER NOT NULL,
    PRIMARY KEY (workspace, topic, name)
) STRICT;
CREATE TABLE consumer_pending (
    workspace INTEGER NOT NULL,
    topic TEXT NOT NULL,
    name TEXT NOT NULL,
    seq INTEGER NOT NULL,
    event TEXT NOT NULL,
    member TEXT NOT NULL,
    lease_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    parked INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (workspace, topic, name, seq),
    FOREIGN KEY (workspace, topic, name) REFERENCES consumer_groups (workspace, topic, name) ON DELETE CASCADE
) STRICT;
",
    // These two were JSON strings, with their quotation marks.
    "
UPDATE webhooks SET state = trim(state, '\"'), format = trim(format, '\"');
",
    "
CREATE TABLE agents (
    id TEXT PRIMARY KEY,
    card TEXT NOT NULL,
    source TEXT,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL
) STRICT;
CREATE TABLE route_entries (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    kind TEXT NOT NULL,
    id TEXT NOT NULL,
    hash BLOB NOT NULL,
    body TEXT NOT NULL,
    since_ms INTEGER NOT NULL,
    until_ms INTEGER
) STRICT;
CREATE UNIQUE INDEX route_entries_now ON route_entries (kind, id) WHERE until_ms IS NULL;
CREATE TABLE route_books (hash BLOB PRIMARY KEY, revisions BLOB NOT NULL) STRICT, WITHOUT ROWID;
CREATE TABLE route_decisions (
    id TEXT PRIMARY KEY,
    at_ms INTEGER NOT NULL,
    principal TEXT NOT NULL,
    intent TEXT NOT NULL,
    question TEXT NOT NULL,
    book BLOB NOT NULL,
    answer TEXT NOT NULL
) STRICT;
CREATE INDEX route_decisions_at ON route_decisions (at_ms);
CREATE INDEX route_decisions_book ON route_decisions (book);
CREATE TABLE dispatches (
    task TEXT PRIMARY KEY,
    agent TEXT NOT NULL,
    decision TEXT,
    principal TEXT NOT NULL,
    intent TEXT NOT NULL,
    at_ms INTEGER NOT NULL,
    outcome TEXT,
    ended_ms INTEGER
) STRICT;
CREATE INDEX dispatches_agent ON dispatches (agent, at_ms);
CREATE INDEX dispatches_open ON dispatches (task) WHERE outcome IS NULL;
",
    "
CREATE TABLE budgets (
    id TEXT PRIMARY KEY,
    holder TEXT NOT NULL,
    target_kind TEXT,
    pattern TEXT,
    period TEXT NOT NULL,
    usd INTEGER,
    tokens INTEGER,
    calls INTEGER,
    bytes INTEGER,
    note TEXT NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX budgets_holder ON budgets (holder, id);
CREATE TABLE budget_use (
    budget TEXT NOT NULL,
    who TEXT NOT NULL,
    period TEXT NOT NULL,
    used_usd INTEGER NOT NULL DEFAULT 0,
    used_tokens INTEGER NOT NULL DEFAULT 0,
    used_calls INTEGER NOT NULL DEFAULT 0,
    used_bytes INTEGER NOT NULL DEFAULT 0,
    reserved_usd INTEGER NOT NULL DEFAULT 0,
    reserved_tokens INTEGER NOT NULL DEFAULT 0,
    reserved_calls INTEGER NOT NULL DEFAULT 0,
    reserved_bytes INTEGER NOT NULL DEFAULT 0,
    told INTEGER NOT NULL DEFAULT 0,
    updated_ms INTEGER NOT NULL,
    PRIMARY KEY (budget, who, period)
) STRICT, WITHOUT ROWID;
CREATE INDEX budget_use_updated ON budget_use (updated_ms);
CREATE TABLE reservations (
    id TEXT PRIMARY KEY,
    principal TEXT NOT NULL,
    kind TEXT NOT NULL,
    target TEXT NOT NULL,
    priority TEXT NOT NULL,
    trace TEXT NOT NULL,
    usd INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    counters TEXT NOT NULL,
    day INTEGER NOT NULL,
    spent INTEGER NOT NULL DEFAULT 0,
    state TEXT NOT NULL DEFAULT 'open',
    deadline_ms INTEGER NOT NULL,
    created_ms INTEGER NOT NULL
) STRICT;
CREATE INDEX reservations_due ON reservations (state, deadline_ms);
CREATE TABLE usage_ledger (
    principal TEXT NOT NULL,
    day INTEGER NOT NULL,
    kind TEXT NOT NULL,
    target TEXT NOT NULL,
    usd INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    failures INTEGER NOT NULL,
    PRIMARY KEY (principal, day, kind, target)
) STRICT, WITHOUT ROWID;
CREATE INDEX usage_ledger_day ON usage_ledger (day);
ALTER TABLE tasks ADD COLUMN reservation TEXT;
CREATE TABLE traces (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL,
    root TEXT NOT NULL,
    state TEXT NOT NULL DEFAULT 'open',
    since INTEGER NOT NULL DEFAULT 0,
    approval TEXT,
    reason TEXT NOT NULL DEFAULT '',
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    UNIQUE (id, root)
) STRICT;
CREATE INDEX traces_updated ON traces (updated_ms);
CREATE TABLE hops (
    trace INTEGER NOT NULL REFERENCES traces (number) ON DELETE CASCADE,
    number INTEGER NOT NULL,
    parent INTEGER,
    depth INTEGER NOT NULL,
    sender TEXT NOT NULL,
    addressee TEXT NOT NULL,
    text TEXT NOT NULL,
    text_hash BLOB NOT NULL,
    artifacts TEXT NOT NULL,
    embedding BLOB,
    is_new INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    PRIMARY KEY (trace, number)
) STRICT, WITHOUT ROWID;
CREATE INDEX hops_addressee ON hops (addressee, trace);
",
    // Tools of other servers, and grants that ask something of a call's arguments.
    "
ALTER TABLE grants ADD COLUMN arguments TEXT NOT NULL DEFAULT '{}';
CREATE TABLE tool_servers (name TEXT PRIMARY KEY, first_ms INTEGER NOT NULL) STRICT;
CREATE TABLE tools (
    id TEXT PRIMARY KEY,
    server TEXT NOT NULL,
    name TEXT NOT NULL,
    state TEXT NOT NULL,
    approved TEXT,
    proposed TEXT,
    refused TEXT,
    reason TEXT NOT NULL,
    settings TEXT NOT NULL,
    first_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    approved_ms INTEGER,
    approved_by TEXT
) STRICT;
CREATE INDEX tools_server ON tools (server);
",
    // Replies to requests that came with a key of their own.
    "
CREATE TABLE kept_replies (
    number INTEGER PRIMARY KEY,
    principal TEXT NOT NULL,
    key TEXT NOT NULL,
    request BLOB NOT NULL,
    status INTEGER NOT NULL,
    mime_type TEXT NOT NULL,
    etag TEXT NOT NULL,
    body BLOB,
    kept_ms INTEGER NOT NULL,
    UNIQUE (principal, key)
) STRICT;
CREATE INDEX kept_replies_age ON kept_replies (kept_ms);
CREATE INDEX kept_replies_principal ON kept_replies (principal, kept_ms);
",
    // Where the bytes of imported files came from.
    "
CREATE TABLE origins (
    workspace INTEGER NOT NULL REFERENCES workspaces (id) ON DELETE CASCADE,
    path TEXT NOT NULL,
    version BLOB NOT NULL,
    url TEXT NOT NULL,
    etag TEXT,
    last_modified TEXT,
    fetched_ms INTEGER NOT NULL,
    PRIMARY KEY (workspace, path)
) STRICT, WITHOUT ROWID;
",
    // By whom a file was read, and what was lost. What was known before this step was read by the first extractor.
    "
ALTER TABLE files ADD COLUMN extractor INTEGER NOT NULL DEFAULT 1;
ALTER TABLE files ADD COLUMN notes TEXT NOT NULL DEFAULT '';
",
    // Which bytes a deletion took away; what the journal tells of a path afterwards is still that it has none. And the
    // changes of files apart: what a search has to count is not told from a thousand other entries.
    "
ALTER TABLE journal ADD COLUMN gone BLOB;
CREATE INDEX journal_files ON journal (workspace, seq) WHERE file > 0;
",
    // Whose child is what others do about an entry, and what was spent on each handover.
    "
ALTER TABLE journal ADD COLUMN traceparent TEXT;
ALTER TABLE hops ADD COLUMN reservation TEXT;
CREATE TABLE handover_use (
    reservation TEXT PRIMARY KEY,
    usd INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    calls INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX handover_use_updated ON handover_use (updated_ms);
",
    // What else than its path a delivery keeps its order with; where bytes lie; and that in a home that is new, whatever lies among
    // its folders is taken in.
    "
ALTER TABLE deliveries ADD COLUMN also TEXT;
CREATE INDEX deliveries_also ON deliveries (webhook, also, seq) WHERE state = 'pending' AND also IS NOT NULL;
CREATE INDEX files_version ON files (workspace, version);
INSERT OR IGNORE INTO meta (key, value) SELECT 'takes_in', '1' WHERE NOT EXISTS (SELECT 1 FROM workspaces);
",
];

/// Brings the file to the newest format, each step in a transaction of its own.
pub fn migrate(connection: &mut Connection) -> Result<(), CatalogError> {
    let known = STEPS.len() as u32;
    let found: u32 = connection.pragma_query_value(None, "user_version", |row| row.get(0))?;
    if found > known {
        return Err(CatalogError::TooNew { found, known });
    }
    for (step_idx, step) in STEPS.iter().enumerate().skip(found as usize) {
        let tx = connection.transaction()?;
        tx.execute_batch(step)?;
        tx.pragma_update(None, "user_version", step_idx as u32 + 1)?;
        tx.commit()?;
    }
    Ok(())
}
