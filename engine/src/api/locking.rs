use super::error::{Error, Result};
use super::keys::fresh_id;
use super::replies::LockInfo;
use super::session::Session;
use crate::access::{self, Verb};
use crate::change::ChangeError;
use crate::clock::rfc3339;
use crate::id::split_path;
use crate::journal::Outcome;
use crate::pattern::Pattern;
use crate::store::{self, Lock, LockMode};

/// A lease's length where nothing else is asked, in milliseconds.
const DEFAULT_TTL_MS: u64 = 60_000;
/// The longest lease, in milliseconds: an hour; who needs more extends it.
const MAX_TTL_MS: u64 = 3_600_000;

impl Session {
    /// Takes a lease on a path or a pattern; the reply has the fence that writes under it show.
    ///
    /// # Errors
    /// [`Error::NotFound`], [`Error::Forbidden`]: it takes `write` on the pattern's base; [`store::StoreError::LockHeld`].
    pub fn lock(&self, pattern: &str, mode: LockMode, ttl_ms: Option<u64>) -> Result<LockInfo> {
        let ttl_ms = check_ttl(ttl_ms)?;
        let checked = Pattern::path(pattern).map_err(crate::access::AccessError::from)?;
        let base = base_of(pattern, &checked);
        let rule = self.authorize("lock.take", Verb::Write, &base, "file")?;
        let there = self.is_somewhere(&base);
        self.note_failure("lock.take", Verb::Write, pattern, there)?;
        let id = fresh_id("lk");
        let now_ms = self.now_ms();
        let taken = self.engine.catalog.write(|tx| -> std::result::Result<Lock, ChangeError> {
            let concerns = |lock: &Lock, place: &Pattern| self.is_concerned_by(lock, place);
            let lock =
                tx.acquire_lock(&id, &checked, mode, &self.actor.principal, now_ms, ttl_ms, &concerns)?;
            self.record_in(tx, "lock.take", Verb::Write, pattern, "", &rule)?;
            Ok(lock)
        });
        let lock = self.note_failure("lock.take", Verb::Write, pattern, taken.map_err(Error::from))?;
        Ok(show(&lock))
    }

    /// A lock in a workspace that is not there keeps nobody from anything.
    fn is_somewhere(&self, base: &str) -> Result<()> {
        match split_path(base) {
            Ok((name, _)) => self.workspace_of(&name).map(drop),
            // A pattern over all workspaces.
            Err(_) => Ok(()),
        }
    }

    /// Whether a lock stands in the way of this principal's, by the place that both are over: where both may write. A lock
    /// over what this principal may not write anyway neither binds it nor is told of; one where its holder may not write
    /// binds nobody.
    pub(super) fn is_concerned_by(&self, lock: &Lock, place: &Pattern) -> bool {
        let theirs = access::writes_of(&self.engine.policy(), &lock.principal);
        self.scope(Verb::Write).shares(&theirs, place)
    }

    /// Moves the end of one's own lease.
    ///
    /// # Errors
    /// [`store::StoreError::LockExpired`] where it ran out, or is another one's.
    pub fn extend_lock(&self, id: &str, ttl_ms: Option<u64>) -> Result<LockInfo> {
        let ttl_ms = check_ttl(ttl_ms)?;
        let now_ms = self.now_ms();
        if !self.reaches(id)? {
            let expired = Error::Store(store::StoreError::LockExpired { lock: id.to_owned() });
            return self.note_failure("lock.extend", Verb::Write, id, Err(expired));
        }
        let lock = self.engine.catalog.write(|tx| -> std::result::Result<Lock, ChangeError> {
            let lock = tx.extend_lock(id, &self.actor.principal, now_ms, ttl_ms)?;
            self.record_in(tx, "lock.extend", Verb::Write, lock.pattern.as_str(), "", "holder")?;
            Ok(lock)
        })?;
        Ok(show(&lock))
    }

    /// Gives one's own lease back; the admin may take anybody's.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub fn unlock(&self, id: &str) -> Result<()> {
        let holder = (!self.is_admin()).then_some(self.actor.principal.as_str());
        let released = self.reaches(id)?
            && self.engine.catalog.write(|tx| -> std::result::Result<bool, ChangeError> {
                let released = tx.release_lock(id, holder)?;
                if released {
                    self.record_in(tx, "lock.release", Verb::Write, id, "", "holder")?;
                }
                Ok(released)
            })?;
        if released {
            return Ok(());
        }
        let absent = Error::NotFound { what: "lock", name: id.chars().take(80).collect() };
        self.note_failure("lock.release", Verb::Write, id, Err(absent))
    }

    /// Whether this token reaches a lock of its principal: a narrowed one only where it may write itself.
    fn reaches(&self, id: &str) -> Result<bool> {
        let all = store::locks(&self.engine.catalog, self.now_ms())?;
        let own = all.iter().find(|lock| lock.id == id && lock.principal == self.actor.principal);
        Ok(own.is_none_or(|lock| {
            self.decide(Verb::Write, &base_of(lock.pattern.as_str(), &lock.pattern)).allowed
        }))
    }

    /// The leases that this principal holds, or whose place it may read.
    ///
    /// # Errors
    /// Where the catalog can't be read.
    pub fn locks(&self) -> Result<Vec<LockInfo>> {
        self.record("lock.list", Verb::List, "/", "", Outcome::Allowed, "scope")?;
        let all = store::locks(&self.engine.catalog, self.now_ms())?;
        let seen = all.into_iter().filter(|lock| {
            let may_read = |path: &str| self.decide(Verb::Read, path).allowed;
            let (text, base) = (lock.pattern.as_str(), lock.pattern.base());
            // A lock says that its workspace is there.
            let in_sight =
                || split_path(&base).map_or(true, |(name, _)| self.seen_workspace(name.as_str()).is_ok());
            lock.principal == self.actor.principal || (may_read(&base) && may_read(text) && in_sight())
        });
        Ok(seen.map(|lock| show(&lock)).collect())
    }
}

/// Where a pattern is decided about: itself for a path, everything below its fixed start for a pattern.
fn base_of(text: &str, pattern: &Pattern) -> String {
    if text.contains(['*', '?']) { pattern.base() } else { text.trim_end_matches('/').to_owned() }
}

pub(super) fn check_ttl(ttl_ms: Option<u64>) -> Result<i64> {
    let ttl_ms = ttl_ms.unwrap_or(DEFAULT_TTL_MS);
    if (1..=MAX_TTL_MS).contains(&ttl_ms) {
        return Ok(ttl_ms as i64);
    }
    Err(Error::Invalid { field: "ttl_ms", found: ttl_ms.to_string(), expected: format!("1 to {MAX_TTL_MS}") })
}

fn show(lock: &Lock) -> LockInfo {
    LockInfo {
        id: lock.id.clone(),
        path: lock.pattern.to_string(),
        mode: lock.mode,
        principal: lock.principal.clone(),
        fence: lock.fence,
        created_at: rfc3339(lock.created_ms),
        expires_at: rfc3339(lock.expires_ms),
    }
}
