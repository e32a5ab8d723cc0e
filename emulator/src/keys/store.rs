//! The CMKs on disk: one SQLite file, or a database in memory.
//!
//! A change is written and synced before it is acknowledged, so no acknowledged change is lost if the process is
//! killed. The file is read once, at start.

use std::fs::{self, Metadata, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, named_params, params};

use crate::keys::cmk::{Cmk, KeyState, Version};
use crate::keys::data_key::DataKey;
use crate::keys::key_usage::KeyUsage;
use crate::keys::material::Material;

/// Why the store cannot be opened, read or written, in words for the log.
pub type StoreError = Box<dyn std::error::Error + Send + Sync>;

/// How long another process may take to release the file.
const LOCK_TIMEOUT: Duration = Duration::from_secs(1);

const ROOT: u32 = 0;

/// Bits of a file's mode.
const WRITE_BY_GROUP: u32 = 0o020;
const WRITE_BY_OTHERS: u32 = 0o002;
const STICKY: u32 = 0o1000;

const SCHEMA_VERSION: i64 = 2;

const SCHEMA: &str = "
    CREATE TABLE cmk (
        sequence      INTEGER PRIMARY KEY,
        key_id        TEXT NOT NULL UNIQUE,
        alias         TEXT NOT NULL,
        description   TEXT NOT NULL,
        usage         TEXT NOT NULL,
        state         TEXT NOT NULL,
        external      INTEGER NOT NULL,
        created       INTEGER NOT NULL,
        rotate_days   INTEGER,
        rotated       INTEGER NOT NULL,
        deletion_date INTEGER NOT NULL,
        tags          TEXT NOT NULL,
        valid_to      INTEGER NOT NULL DEFAULT 0,
        import_label  BLOB,
        bindings      TEXT NOT NULL DEFAULT '[]'
    ) STRICT;
    CREATE TABLE version (
        key_id   TEXT NOT NULL REFERENCES cmk (key_id),
        number   INTEGER NOT NULL,
        material BLOB NOT NULL,
        PRIMARY KEY (key_id, number)
    ) STRICT;
    CREATE TABLE setting (
        name  TEXT PRIMARY KEY,
        value BLOB NOT NULL
    ) STRICT;
    CREATE TABLE data_key (
        data_key_id TEXT PRIMARY KEY,
        fields      TEXT NOT NULL
    ) STRICT;
    PRAGMA user_version = 2;
";

/// From version 1, which had neither imported material nor data keys.
const UPGRADE: &str = "
    ALTER TABLE cmk ADD COLUMN valid_to INTEGER NOT NULL DEFAULT 0;
    ALTER TABLE cmk ADD COLUMN import_label BLOB;
    ALTER TABLE cmk ADD COLUMN bindings TEXT NOT NULL DEFAULT '[]';
    CREATE TABLE data_key (
        data_key_id TEXT PRIMARY KEY,
        fields      TEXT NOT NULL
    ) STRICT;
    PRAGMA user_version = 2;
";

const UPSERT_CMK: &str = "
    INSERT INTO cmk VALUES (:sequence, :key_id, :alias, :description, :usage, :state, :external, :created,
                            :rotate_days, :rotated, :deletion_date, :tags, :valid_to, :import_label, :bindings)
    ON CONFLICT (key_id) DO UPDATE SET
        alias = :alias, description = :description, state = :state,
        rotate_days = :rotate_days, rotated = :rotated, deletion_date = :deletion_date,
        valid_to = :valid_to, import_label = :import_label, bindings = :bindings";

/// The open database.
pub struct Store {
    connection: Connection,
}

impl Store {
    /// Opens `path`, creating it if it does not exist, or a new database in memory.
    pub fn open(path: Option<&Path>) -> Result<Self, StoreError> {
        let connection = match path {
            None => Connection::open_in_memory()?,
            Some(path) => open_file(path).map_err(|error| format!("{}: {error}", path.display()))?,
        };
        let mut store = Self { connection };
        store.prepare_schema()?;
        Ok(store)
    }

    fn prepare_schema(&mut self) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        match transaction.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0))? {
            0 => transaction.execute_batch(SCHEMA)?,
            1 => transaction.execute_batch(UPGRADE)?,
            SCHEMA_VERSION => {}
            other => return Err(format!("the data file has schema version {other}, not {SCHEMA_VERSION}").into()),
        }
        Ok(transaction.commit()?)
    }

    /// All keys in order of creation.
    pub fn load(&self) -> Result<Vec<Cmk>, StoreError> {
        let mut statement = self.connection.prepare("SELECT * FROM cmk ORDER BY sequence")?;
        let mut rows = statement.query([])?;
        let mut keys = Vec::new();
        while let Some(row) = rows.next()? {
            let mut key = key_from_row(row)?;
            key.versions = self.load_versions(&key)?;
            keys.push(key);
        }
        Ok(keys)
    }

    fn load_versions(&self, key: &Cmk) -> Result<Vec<Arc<Version>>, StoreError> {
        let mut statement =
            self.connection.prepare_cached("SELECT number, material FROM version WHERE key_id = ? ORDER BY number")?;
        let mut rows = statement.query([&key.key_id])?;
        let mut versions = Vec::new();
        while let Some(row) = rows.next()? {
            let material = Material::decode(key.usage, row.get_ref("material")?.as_blob()?)?;
            versions.push(Arc::new(Version { number: row.get("number")?, material }));
        }
        Ok(versions)
    }

    /// Writes new and changed keys, all or none.
    pub fn save<'a>(&mut self, keys: impl IntoIterator<Item = &'a Cmk>) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        for key in keys {
            save_key(&transaction, key)?;
        }
        Ok(transaction.commit()?)
    }

    /// All hosted data keys.
    pub fn load_data_keys(&self) -> Result<Vec<DataKey>, StoreError> {
        let mut statement = self.connection.prepare("SELECT fields FROM data_key")?;
        let fields = statement.query_map([], |row| row.get::<_, String>(0))?;
        fields.map(|fields| Ok(serde_json::from_str(&fields?)?)).collect()
    }

    /// Writes new and changed data keys, all or none.
    pub fn save_data_keys<'a>(&mut self, keys: impl IntoIterator<Item = &'a DataKey>) -> Result<(), StoreError> {
        let transaction = self.connection.transaction()?;
        for key in keys {
            let fields = serde_json::to_string(key)?;
            transaction.execute("INSERT OR REPLACE INTO data_key VALUES (?, ?)", params![key.data_key_id, fields])?;
        }
        Ok(transaction.commit()?)
    }

    /// The setting called `name`. If it does not exist, `make` makes it and it is stored.
    pub fn setting(&mut self, name: &str, make: impl FnOnce() -> Vec<u8>) -> Result<Vec<u8>, StoreError> {
        let transaction = self.connection.transaction()?;
        let found =
            transaction.query_row("SELECT value FROM setting WHERE name = ?", [name], |row| row.get(0)).optional()?;
        if let Some(value) = found {
            return Ok(value);
        }
        let value = make();
        transaction.execute("INSERT INTO setting VALUES (?, ?)", params![name, value])?;
        transaction.commit()?;
        Ok(value)
    }
}

/// A user who can write or replace the file can choose the keys.
fn refuse_writable_by_others(path: &Path) -> Result<(), StoreError> {
    let user = fs::metadata("/proc/self").map(|process| process.uid()).ok();
    let is_ours = |file: &Metadata| user.is_none_or(|user| [user, ROOT].contains(&file.uid()));
    // A link may lead into another directory, where the file itself could be replaced.
    for path in [path, &fs::canonicalize(path).unwrap_or_else(|_| path.to_owned())] {
        let directory = path.parent().filter(|directory| !directory.as_os_str().is_empty()).unwrap_or(Path::new("."));
        if fs::metadata(directory)?.mode() & (WRITE_BY_OTHERS | STICKY) == WRITE_BY_OTHERS {
            return Err("other users may write to its directory".into());
        }
    }
    for suffix in ["", "-wal", "-shm", "-journal"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        if fs::symlink_metadata(&name).is_ok_and(|entry| !is_ours(&entry)) {
            return Err(format!("other users may replace {}", name.display()).into());
        }
        let Ok(file) = fs::metadata(&name) else { continue };
        if !is_ours(&file) || file.mode() & (WRITE_BY_GROUP | WRITE_BY_OTHERS) != 0 {
            return Err(format!("other users may write {}", name.display()).into());
        }
    }
    Ok(())
}

fn open_file(path: &Path) -> Result<Connection, StoreError> {
    refuse_writable_by_others(path)?;
    // The file contains unencrypted keys. SQLite would create it readable for all users.
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
    let connection = Connection::open(path)?;
    // One process at a time: two would serve different keys from their caches.
    connection.busy_timeout(LOCK_TIMEOUT)?;
    connection.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    connection.pragma_update(None, "journal_mode", "WAL")?;
    connection.pragma_update(None, "synchronous", "FULL")?;
    Ok(connection)
}

fn save_key(transaction: &Transaction<'_>, key: &Cmk) -> Result<(), StoreError> {
    transaction.prepare_cached(UPSERT_CMK)?.execute(named_params! {
        ":sequence": key.sequence,
        ":key_id": key.key_id,
        ":alias": key.alias,
        ":description": key.description,
        ":usage": key.usage.name(),
        ":state": key.state.name(),
        ":external": key.external,
        ":created": key.created,
        ":rotate_days": key.rotate_days,
        ":rotated": key.rotated,
        ":deletion_date": key.deletion_date,
        ":tags": serde_json::to_string(&key.tags)?,
        ":valid_to": key.valid_to,
        ":import_label": key.import_label,
        ":bindings": serde_json::to_string(&key.bindings)?,
    })?;
    if key.versions.is_empty() {
        transaction.execute("DELETE FROM version WHERE key_id = ?", [&key.key_id])?;
    }
    let mut insert = transaction.prepare_cached("INSERT OR IGNORE INTO version VALUES (?, ?, ?)")?;
    for version in &key.versions {
        insert.execute(params![key.key_id, version.number, version.material.encode()?])?;
    }
    Ok(())
}

/// The key in a row of `cmk`, without its versions.
fn key_from_row(row: &Row<'_>) -> Result<Cmk, StoreError> {
    let text = |column| row.get::<_, String>(column);
    Ok(Cmk {
        key_id: text("key_id")?,
        alias: text("alias")?,
        description: text("description")?,
        usage: KeyUsage::from_name(&text("usage")?).ok_or("the data file contains an unknown key usage")?,
        state: KeyState::from_name(&text("state")?).ok_or("the data file contains an unknown key state")?,
        external: row.get("external")?,
        sequence: row.get("sequence")?,
        created: row.get("created")?,
        rotate_days: row.get("rotate_days")?,
        rotated: row.get("rotated")?,
        deletion_date: row.get("deletion_date")?,
        tags: serde_json::from_str(&text("tags")?)?,
        valid_to: row.get("valid_to")?,
        import_label: row.get("import_label")?,
        bindings: serde_json::from_str(&text("bindings")?)?,
        versions: Vec::new(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The tables of schema version 1, with a key in state PendingImport.
    const VERSION_1: &str = "
        CREATE TABLE cmk (
            sequence INTEGER PRIMARY KEY, key_id TEXT NOT NULL UNIQUE, alias TEXT NOT NULL, description TEXT NOT NULL,
            usage TEXT NOT NULL, state TEXT NOT NULL, external INTEGER NOT NULL, created INTEGER NOT NULL,
            rotate_days INTEGER, rotated INTEGER NOT NULL, deletion_date INTEGER NOT NULL, tags TEXT NOT NULL
        ) STRICT;
        CREATE TABLE version (
            key_id TEXT NOT NULL REFERENCES cmk (key_id), number INTEGER NOT NULL, material BLOB NOT NULL,
            PRIMARY KEY (key_id, number)
        ) STRICT;
        CREATE TABLE setting (name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT;
        INSERT INTO cmk VALUES (1, 'id', 'alias', '', 'ENCRYPT_DECRYPT', 'PendingImport', 1, 100, NULL, 0, 0, '[]');
        PRAGMA user_version = 1;
    ";

    #[test]
    fn a_file_of_the_first_version_is_upgraded() {
        let mut store = Store { connection: Connection::open_in_memory().unwrap() };
        store.connection.execute_batch(VERSION_1).unwrap();
        store.prepare_schema().unwrap();
        let mut keys = store.load().unwrap();
        assert_eq!((keys.len(), keys[0].valid_to, keys[0].import_label), (1, 0, None));
        keys[0].valid_to = 7;
        store.save(&keys).unwrap();
        assert_eq!(store.load().unwrap()[0].valid_to, 7);
        assert!(store.load_data_keys().unwrap().is_empty());
        store.prepare_schema().unwrap();
    }
}
