//! The record in one SQLite file, `<data>/cityline.db`.
//!
//! One connection writes, others read: with a write-ahead log (WAL) neither waits for the other.
//! `synchronous = FULL`: every commit is synced, so that what was flushed outlives not only `kill -9` (for which
//! NORMAL would do, as the kernel keeps what was written) but also a power cut. Up to [`super::BATCH_MAX`]
//! lines share one sync, so it costs time in the writer, not CPU, and no call waits for it.

mod batch;
mod rows;

use std::collections::{BTreeMap, HashMap};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous};
use sqlx::{ConnectOptions, Connection, Row, SqliteConnection};
use tokio::sync::Mutex;

use super::lock::DataLock;
use super::record::{CallRecord, Fold};
use super::{Appended, Line, RulebookText, StoreError};
use crate::terms::event::Entry;
use crate::terms::ids::CallId;
use crate::terms::outcome::Outcome;

/// The database's file in the data folder.
pub const FILE: &str = "cityline.db";

/// How long the writer waits for a lock that someone else holds (a backup, a person with a shell) before the
/// store counts as away. Short, since what waits meanwhile waits in memory.
const BUSY_MAX: Duration = Duration::from_millis(250);

/// How long a reader waits for a lock.
const READ_BUSY_MAX: Duration = Duration::from_secs(5);

/// Connections for reading.
const READERS_MAX: u32 = 2;

static MIGRATIONS: sqlx::migrate::Migrator = sqlx::migrate!("src/store/migrations/sqlite");

/// A record in SQLite. Clones share its connections.
#[derive(Clone, Debug)]
pub struct Sqlite(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    writer: Mutex<Writer>,
    readers: SqlitePool,
    /// Held for writing; `None` for reading only.
    lock: Option<DataLock>,
}

/// The writing connection and the calls in progress, folded so far.
#[derive(Debug, Default)]
struct Writer {
    connected: Option<Connected>,
    folds: HashMap<CallId, Fold>,
}

#[derive(Debug)]
struct Connected {
    connection: SqliteConnection,
    /// Device and inode of the file, to notice when it is moved away under us.
    file: (u64, u64),
}

impl Sqlite {
    /// Opens the record in the folder `data` for writing and reading; makes it where there is none.
    ///
    /// # Errors
    /// Another server has the folder, it or the database cannot be opened, or its tables cannot be brought up to date.
    pub async fn open(data: &Path) -> Result<Self, StoreError> {
        std::fs::create_dir_all(data).map_err(StoreError::file(data))?;
        let lock = DataLock::take(data)?;
        let path = data.join(FILE);
        let store = Self::with(path.clone(), read_options(&path), Some(lock));
        let connected = store.connect(true).await?;
        store.0.writer.lock().await.connected = Some(connected);
        Ok(store)
    }

    /// Opens the record in the folder `data` for reading; the server may be running or not.
    ///
    /// # Errors
    /// There is none, or it cannot be opened.
    pub async fn read_only(data: &Path) -> Result<Self, StoreError> {
        let path = data.join(FILE);
        if !path.exists() {
            return Err(StoreError::Missing(data.display().to_string()));
        }
        // A reader of a WAL database shares a memory file beside it. Where we may not make that file and no
        // server has, nobody writes, and the database may be read as it stands.
        let options = match read_options(&path).connect().await {
            Ok(connection) => {
                connection.close().await?;
                read_options(&path)
            }
            Err(_) if !path.with_extension("db-wal").exists() => read_options(&path).immutable(true),
            Err(error) => return Err(error.into()),
        };
        Ok(Self::with(path, options, None))
    }

    fn with(path: PathBuf, options: SqliteConnectOptions, lock: Option<DataLock>) -> Self {
        let readers = SqlitePoolOptions::new().max_connections(READERS_MAX).connect_lazy_with(options);
        Self(Arc::new(Inner { path, writer: Mutex::default(), readers, lock }))
    }

    pub(super) async fn append(&self, lines: &[Line]) -> Result<Appended, StoreError> {
        let mut writer = self.0.writer.lock().await;
        // The connection is taken out while it is in use: if this is cancelled or fails, it is gone, and with it
        // the transaction; the next time begins with a new one and what the database says.
        let mut connected = match writer.connected.take() {
            Some(connected) => connected,
            None => {
                writer.folds.clear();
                self.connect(false).await?
            }
        };
        if identity(&self.0.path) != Some(connected.file) {
            return Err(StoreError::Moved(self.0.path.display().to_string()));
        }
        let appended = batch::append(&mut connected.connection, &mut writer.folds, lines).await?;
        writer.connected = Some(connected);
        Ok(appended)
    }

    async fn connect(&self, create: bool) -> Result<Connected, StoreError> {
        let path = &self.0.path;
        if self.0.lock.is_none() {
            return Err(StoreError::ReadOnly);
        }
        let mut connection = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(create)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .busy_timeout(BUSY_MAX)
            .foreign_keys(false)
            // The calls in progress touch pages of their own: keep them in memory (16 MiB), and copy the log into the
            // database after 4,000 pages rather than 1,000, as most of them change again soon.
            .pragma("cache_size", "-16384")
            .pragma("wal_autocheckpoint", "4000")
            .disable_statement_logging()
            .connect()
            .await?;
        MIGRATIONS.run_direct(None, &mut connection, false).await?;
        let file = identity(path).ok_or_else(|| StoreError::Moved(path.display().to_string()))?;
        Ok(Connected { connection, file })
    }

    pub(super) async fn call(&self, call: CallId) -> Result<Option<CallRecord>, StoreError> {
        let query = sqlx::query("SELECT * FROM call WHERE call = $1").bind(call.to_string());
        let Some(row) = query.fetch_optional(&self.0.readers).await? else { return Ok(None) };
        self.as_it_stands(rows::record(&row)?).await.map(Some)
    }

    pub(super) async fn calls(&self, last: u32) -> Result<Vec<CallRecord>, StoreError> {
        let query = sqlx::query("SELECT * FROM call ORDER BY call DESC LIMIT $1").bind(last);
        let mut calls = Vec::new();
        for row in query.fetch_all(&self.0.readers).await? {
            calls.push(self.as_it_stands(rows::record(&row)?).await?);
        }
        Ok(calls)
    }

    /// The row of a call in progress is as its arrival left it: its events say more.
    async fn as_it_stands(&self, record: CallRecord) -> Result<CallRecord, StoreError> {
        if record.ended() {
            return Ok(record);
        }
        let events = self.events(record.call).await?;
        Ok(CallRecord::fold(&events).unwrap_or(record))
    }

    pub(super) async fn beginning_with(&self, prefix: &str, limit: u32) -> Result<Vec<CallId>, StoreError> {
        // `~` comes after every sign of an id.
        let query = sqlx::query("SELECT call FROM call WHERE call >= $1 AND call < $2 ORDER BY call DESC LIMIT $3")
            .bind(prefix)
            .bind(format!("{prefix}~"))
            .bind(limit);
        query.fetch_all(&self.0.readers).await?.iter().map(rows::call).collect()
    }

    pub(super) async fn events(&self, call: CallId) -> Result<Vec<Entry>, StoreError> {
        let mut connection = self.0.readers.acquire().await?;
        batch::events(&mut connection, call).await
    }

    pub(super) async fn unended(&self, limit: u32) -> Result<Vec<CallId>, StoreError> {
        let query = sqlx::query("SELECT call FROM call WHERE outcome IS NULL ORDER BY call LIMIT $1").bind(limit);
        query.fetch_all(&self.0.readers).await?.iter().map(rows::call).collect()
    }

    pub(super) async fn tally(&self) -> Result<BTreeMap<Option<Outcome>, u64>, StoreError> {
        let query = sqlx::query("SELECT outcome, count(*) AS calls FROM call GROUP BY outcome");
        query.fetch_all(&self.0.readers).await?.iter().map(rows::tally).collect()
    }

    pub(super) async fn rulebook(&self, hash: &str) -> Result<Option<RulebookText>, StoreError> {
        let query = sqlx::query("SELECT first_seen_unix_ms, files FROM rulebook WHERE hash = $1").bind(hash);
        let Some(row) = query.fetch_optional(&self.0.readers).await? else { return Ok(None) };
        let files = serde_json::from_str(row.try_get("files")?);
        Ok(Some(RulebookText {
            hash: hash.to_owned(),
            first_seen_unix_ms: rows::number(&row, "first_seen_unix_ms")?,
            files: files.map_err(|error| StoreError::Unreadable(error.to_string()))?,
        }))
    }
}

fn read_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(path).read_only(true).busy_timeout(READ_BUSY_MAX).disable_statement_logging()
}

/// Device and inode of a file.
fn identity(path: &Path) -> Option<(u64, u64)> {
    std::fs::metadata(path).ok().map(|file| (file.dev(), file.ino()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::examples::every_event;
    use crate::store::record::Flaw;
    use crate::terms::event::Event;

    const PAGE: &str = include_str!("../../docs/record.md");

    /// The first cells of the table under the heading that begins with `heading`.
    fn documented(heading: &str) -> Vec<&'static str> {
        let section = PAGE.split("\n## ").find(|section| section.starts_with(heading)).unwrap();
        section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect()
    }

    #[tokio::test]
    async fn the_page_on_the_record_names_every_table_and_column_in_order() {
        let folder = tempfile::tempdir().unwrap();
        let store = Sqlite::open(folder.path()).await.unwrap();
        let tables =
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE '\\_%' ESCAPE '\\' ORDER BY 1";
        let tables: Vec<String> = sqlx::query_scalar(tables).fetch_all(&store.0.readers).await.unwrap();
        assert_eq!(tables, ["call", "event", "rulebook"]);
        for table in tables {
            let columns = sqlx::query_scalar("SELECT name FROM pragma_table_info($1) ORDER BY cid").bind(&table);
            let columns: Vec<String> = columns.fetch_all(&store.0.readers).await.unwrap();
            assert_eq!(documented(&format!("Table `{table}`")), columns);
        }
        assert_eq!(documented("Table `call`"), rows::CALL_COLUMNS);
    }

    #[test]
    fn the_page_on_the_record_names_every_event_and_flaw() {
        let mut words: Vec<&str> = every_event().iter().map(Event::word).collect();
        words.dedup();
        assert_eq!(documented("Event words"), words);
        assert_eq!(documented("Flaws"), Flaw::ALL.iter().map(|flaw| flaw.as_str()).collect::<Vec<_>>());
        assert_eq!(documented("Outcomes"), Outcome::ALL.iter().map(|outcome| outcome.as_str()).collect::<Vec<_>>());
    }

    #[tokio::test]
    async fn every_field_of_every_event_is_on_the_page() {
        let section = PAGE.split("\n## ").find(|section| section.starts_with("Event words")).unwrap();
        for event in every_event() {
            let row = section.lines().find(|line| line.starts_with(&format!("| `{}` |", event.word()))).unwrap();
            let fields: serde_json::Value = serde_json::from_str(&crate::store::detail::of(&event).unwrap()).unwrap();
            for field in fields.as_object().unwrap().keys() {
                assert!(row.contains(&format!("`{field}`")), "{field} of {}", event.word());
            }
        }
    }

    #[tokio::test]
    async fn a_record_is_read_while_it_is_written_and_after() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(Sqlite::read_only(folder.path()).await, Err(StoreError::Missing(_))));
        let store = Sqlite::open(folder.path()).await.unwrap();
        let entries = crate::store::examples::pothole();
        store.append(&crate::store::examples::lines(&entries[..5])).await.unwrap();
        let reader = Sqlite::read_only(folder.path()).await.unwrap();
        assert_eq!(reader.events(entries[0].call).await.unwrap().len(), 5);
        store.append(&crate::store::examples::lines(&entries[5..])).await.unwrap();
        assert_eq!(reader.events(entries[0].call).await.unwrap(), entries);
        assert!(matches!(reader.append(&[]).await, Err(StoreError::ReadOnly)));
        drop((store, reader));
        let later = Sqlite::read_only(folder.path()).await.unwrap();
        assert_eq!(later.events(entries[0].call).await.unwrap(), entries);
    }
}
