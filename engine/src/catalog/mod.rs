//! Takes small facts, gives them back after any crash: the SQLite file of a home.
//!
//! Nouns: [`Catalog`] (the open file), [`Tx`] (one atomic change), [`FileRow`] (what is known of a file).
//! It holds no index and, but for small blobs that ride in the transaction of their change, no contents; the plain tree
//! is the truth, and this is what was last seen of it.

mod cache;
mod embeddings;
mod error;
mod files;
mod schema;
mod sync;
mod texts;
mod workspaces;

use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

pub use embeddings::EmbeddingCache;
pub use error::CatalogError;
pub use files::{FileFilter, FileRow, FileState, FileStats, ReadingNote, UNREAD};
pub use sync::Unsynced;
pub use texts::TextCache;
pub use workspaces::WorkspaceRow;

use sync::GroupSync;

/// The open catalog of one home: one writing connection, and readers that never wait for it (WAL).
pub struct Catalog {
    path: std::path::PathBuf,
    writer: Mutex<Connection>,
    readers: Mutex<Vec<Connection>>,
    log: GroupSync,
    listeners: Mutex<Vec<OnNews>>,
    n_revocations: AtomicU64,
}

/// One atomic change of the catalog.
pub struct Tx<'a> {
    inner: rusqlite::Transaction<'a>,
    is_news: std::cell::Cell<bool>,
    revokes: std::cell::Cell<bool>,
}

/// Told that the journal has grown.
type OnNews = Box<dyn Fn() + Send + Sync>;

impl Tx<'_> {
    fn commit(self) -> Result<(), CatalogError> {
        Ok(self.inner.commit()?)
    }

    /// Notes that this change is something that others wait for.
    pub(crate) fn mark_news(&self) {
        self.is_news.set(true);
    }

    /// Notes that this change takes a token from somebody.
    pub(crate) fn mark_revocation(&self) {
        self.revokes.set(true);
    }

    /// Remembers a setting of the home.
    fn set_meta(&self, key: &str, value: &str) -> Result<(), CatalogError> {
        self.inner.execute(
            "INSERT INTO meta (key, value) VALUES (?1, ?2) ON CONFLICT (key) DO UPDATE SET value = ?2",
            [key, value],
        )?;
        Ok(())
    }

    /// The SQL of other rooms runs inside the same transaction.
    pub(crate) fn sql(&self) -> &Connection {
        &self.inner
    }
}

impl Catalog {
    /// Opens or makes the catalog file and brings its format up to date.
    ///
    /// # Errors
    /// [`CatalogError`] where the file can't be opened, is damaged, or is of a newer format.
    pub fn open(path: &Path) -> Result<Self, CatalogError> {
        let mut writer = Connection::open(path)?;
        configure(&writer)?;
        schema::migrate(&mut writer)?;
        files::fill_keys(&writer)?;
        let log = GroupSync::new(path);
        Ok(Self {
            path: path.to_owned(),
            writer: Mutex::new(writer),
            readers: Mutex::new(Vec::new()),
            log,
            listeners: Mutex::default(),
            n_revocations: AtomicU64::new(0),
        })
    }

    /// Runs `change` in one transaction and commits it when it gives `Ok`; durable once this returns.
    ///
    /// # Errors
    /// What `change` gives, [`CatalogError::Sqlite`], or [`CatalogError::Sync`].
    pub fn write<T, E: From<CatalogError>>(
        &self,
        change: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let (value, unsynced) = self.write_unsynced(change)?;
        self.sync(unsynced)?;
        Ok(value)
    }

    /// As [`Self::write`], but durable only after [`Self::sync`]: until then a loss of power may undo it, as a whole.
    /// Others see it at once.
    ///
    /// # Errors
    /// What `change` gives, or [`CatalogError::Sqlite`].
    pub fn write_unsynced<T, E: From<CatalogError>>(
        &self,
        change: impl FnOnce(&Tx<'_>) -> Result<T, E>,
    ) -> Result<(T, Unsynced), E> {
        let mut writer = self.writer.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let inner =
            writer.transaction_with_behavior(TransactionBehavior::Immediate).map_err(CatalogError::from)?;
        let tx = Tx { inner, is_news: std::cell::Cell::new(false), revokes: std::cell::Cell::new(false) };
        let value = change(&tx)?;
        let (is_news, revokes) = (tx.is_news.get(), tx.revokes.get());
        let done = tx.commit();
        // Also where the commit says that it failed: nobody knows what of it stands.
        if revokes {
            self.n_revocations.fetch_add(1, Ordering::Release);
        }
        done?;
        Ok((value, self.log.written(is_news)))
    }

    /// How many changes took a token from somebody since the catalog was opened. What was known of tokens at another
    /// count may have changed.
    pub fn n_revocations(&self) -> u64 {
        self.n_revocations.load(Ordering::Acquire)
    }

    /// Makes a change durable, with every other one that waits for the same: they share one sync of the disk.
    ///
    /// # Errors
    /// [`CatalogError::Sync`] where the disk refuses.
    pub fn sync(&self, unsynced: Unsynced) -> Result<(), CatalogError> {
        self.log.sync(unsynced)?;
        if unsynced.is_news() {
            let listeners = self.listeners.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            listeners.iter().for_each(|tell| tell());
        }
        Ok(())
    }

    /// Calls `tell` after each durable change of the journal; it must be quick.
    pub fn on_news(&self, tell: impl Fn() + Send + Sync + 'static) {
        self.listeners.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).push(Box::new(tell));
    }

    /// Runs `look` on a connection of its own, on one consistent snapshot of the catalog.
    ///
    /// # Errors
    /// What `look` gives, or [`CatalogError::Sqlite`].
    pub fn read<T, E: From<CatalogError>>(
        &self,
        look: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        let pooled = self.readers.lock().unwrap_or_else(|poisoned| poisoned.into_inner()).pop();
        let connection = match pooled {
            Some(connection) => connection,
            None => open_reader(&self.path)?,
        };
        let value = look(&connection);
        let mut readers = self.readers.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        if readers.len() < MAX_POOLED_READERS {
            readers.push(connection);
        }
        value
    }

    /// As [`Self::read`], with everything that `look` asks as it stood at one instant; several questions cost one lock.
    ///
    /// # Errors
    /// As [`Self::read`].
    pub fn read_at_once<T, E: From<CatalogError>>(
        &self,
        look: impl FnOnce(&Connection) -> Result<T, E>,
    ) -> Result<T, E> {
        self.read(|sql| {
            let instant = sql.unchecked_transaction().map_err(CatalogError::from)?;
            look(&instant)
        })
    }

    /// SQLite's own check of the file's structure; empty when it is sound.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`] where even the check can't run.
    pub fn integrity(&self) -> Result<Vec<String>, CatalogError> {
        self.read(|sql| {
            let mut statement = sql.prepare("PRAGMA integrity_check")?;
            let rows = statement.query_map([], |row| row.get::<_, String>(0))?;
            let lines: Vec<String> = rows.collect::<Result<_, _>>()?;
            Ok(lines.into_iter().filter(|line| line != "ok").collect())
        })
    }

    /// Writes one state of the whole catalog into a new file, while others read and write.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`], also where the file is there already.
    pub fn copy_to(&self, path: &Path) -> Result<(), CatalogError> {
        // A connection of its own: it reads one state for as long as it takes, and holds up neither readers nor the writer.
        let connection = open_reader(&self.path)?;
        connection.execute("VACUUM INTO ?1", [path.to_string_lossy()])?;
        Ok(())
    }

    /// A remembered setting of the home.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn meta(&self, key: &str) -> Result<Option<String>, CatalogError> {
        use rusqlite::OptionalExtension;
        self.read(|sql| {
            Ok(sql.query_row("SELECT value FROM meta WHERE key = ?1", [key], |row| row.get(0)).optional()?)
        })
    }

    /// Remembers a setting of the home.
    ///
    /// # Errors
    /// [`CatalogError::Sqlite`].
    pub fn set_meta(&self, key: &str, value: &str) -> Result<(), CatalogError> {
        self.write(|tx| tx.set_meta(key, value))
    }
}

/// Readers kept open between calls; a few more than the threads that usually ask.
const MAX_POOLED_READERS: usize = 8;

fn open_reader(path: &Path) -> Result<Connection, CatalogError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(connection)
}

fn configure(connection: &Connection) -> Result<(), CatalogError> {
    connection.busy_timeout(std::time::Duration::from_secs(5))?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // `FULL` would sync the log inside of each commit, one after the other. `NORMAL` leaves that to `GroupSync`, which
    // does it before a write returns, for all that wait at once; checkpoints are synced by SQLite either way.
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    connection.set_prepared_statement_cache_capacity(64);
    Ok(())
}
