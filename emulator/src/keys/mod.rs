//! All CMKs of the emulator: read from memory, written through to the store.

pub mod blob;
pub mod cmk;
pub mod data_key;
pub mod data_keys;
pub mod der;
pub mod import_token;
pub mod key_usage;
pub mod material;
pub mod metadata;
pub mod public_key;
pub mod rsa_decryption;
pub mod rsa_pss;
mod store;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use crate::clock::Clock;
use crate::error::ApiError;
use crate::keys::blob::ContextMarker;
use crate::keys::cmk::{Cmk, KeyState, Tag, Version, looks_like_key_id};
use crate::keys::data_keys::DataKeys;
use crate::keys::import_token::ImportTokens;
use crate::keys::key_usage::KeyUsage;
use crate::keys::material::{Label, Material, SymmetricKey};
use crate::keys::store::{Store, StoreError};
use crate::random;

/// The documented limit of CMKs in one account and region, those pending deletion not counted (docs/kms-service.md,
/// "Values").
pub const CMK_LIMIT: usize = 200;

/// The key registry. Calls that change it wait for the disk, so they belong on a blocking thread.
pub struct Keys {
    /// Locked during each change, so that changes do not overlap.
    store: Arc<Mutex<Store>>,
    index: RwLock<Index>,
    clock: Arc<Clock>,
    /// How many CMKs there may be, those pending deletion not counted.
    pub limit: usize,
    /// Turns encryption contexts into the second part of ciphertext blobs.
    pub marker: ContextMarker,
    /// Makes and reads the tokens of key import.
    pub import_tokens: ImportTokens,
}

#[derive(Default)]
struct Index {
    by_id: HashMap<String, Arc<Cmk>>,
    /// The key and version that the label of a ciphertext blob identifies.
    by_label: HashMap<Label, LabelOwner>,
    last_sequence: i64,
}

/// The key that made blobs with a label, and its version unless the material was deleted.
#[derive(Clone)]
pub struct LabelOwner {
    pub key_id: String,
    pub version: Option<Arc<Version>>,
}

/// The options of a new key.
pub struct NewKey {
    pub alias: String,
    pub description: String,
    pub usage: KeyUsage,
    pub external: bool,
    pub tags: Vec<Tag>,
}

impl Keys {
    /// Opens the store (in memory without a path) and reads all keys.
    pub fn open(path: Option<&Path>, clock: Arc<Clock>, limit: usize) -> Result<Self, StoreError> {
        let mut store = Store::open(path)?;
        let marker = ContextMarker::new(&store.setting("context_key", || random::bytes::<32>().to_vec())?);
        let import_tokens = ImportTokens::new(&store.setting("import_key", || random::bytes::<32>().to_vec())?)?;
        let mut index = Index::default();
        store.load()?.into_iter().for_each(|key| index.put(Arc::new(key)));
        let store = Arc::new(Mutex::new(store));
        Ok(Self { store, index: RwLock::new(index), clock, limit, marker, import_tokens })
    }

    /// The data keys that are kept in the same store.
    pub fn data_keys(&self) -> Result<DataKeys, StoreError> {
        DataKeys::open(Arc::clone(&self.store), Arc::clone(&self.clock))
    }

    /// The key called `key_id`.
    pub fn get(&self, key_id: &str) -> Result<Arc<Cmk>, ApiError> {
        if !looks_like_key_id(key_id) {
            return Err(ApiError::invalid_key_id(key_id));
        }
        let now = self.clock.now();
        self.read(|index| index.by_id.get(key_id).cloned())
            .filter(|key| !key.is_gone(now))
            .map(|key| without_expired_material(key, now))
            .ok_or_else(|| ApiError::key_not_found(key_id))
    }

    /// The key and version that made blobs with this label; None if they are not in this store.
    pub fn find_by_label(&self, label: &Label) -> Option<LabelOwner> {
        self.read(|index| index.by_label.get(label).cloned())
    }

    /// The key with this alias.
    pub fn find_by_alias(&self, alias: &str) -> Option<Arc<Cmk>> {
        self.list().into_iter().find(|key| key.alias == alias)
    }

    /// All keys in order of creation.
    pub fn list(&self) -> Vec<Arc<Cmk>> {
        let now = self.clock.now();
        let mut keys: Vec<_> =
            self.read(|index| index.by_id.values().filter(|key| !key.is_gone(now)).cloned().collect());
        keys = keys.into_iter().map(|key| without_expired_material(key, now)).collect();
        keys.sort_unstable_by_key(|key: &Arc<Cmk>| key.sequence);
        keys
    }

    /// Makes a key. A key with external material has no material yet and is in state PendingImport.
    pub fn create(&self, new: NewKey) -> Result<Arc<Cmk>, ApiError> {
        let versions = if new.external { Vec::new() } else { vec![new_version(1, new.usage)?] };
        let mut store = self.lock_store();
        self.require_free_alias(&new.alias, None)?;
        self.require_below_limit()?;
        let key = Arc::new(Cmk {
            key_id: random::key_id(),
            alias: new.alias,
            description: new.description,
            usage: new.usage,
            state: if new.external { KeyState::PendingImport } else { KeyState::Enabled },
            external: new.external,
            sequence: self.read(|index| index.last_sequence) + 1,
            created: self.clock.now(),
            rotate_days: None,
            rotated: 0,
            valid_to: 0,
            import_label: None,
            bindings: Vec::new(),
            deletion_date: 0,
            tags: new.tags,
            versions,
        });
        store.save([&*key]).map_err(ApiError::internal)?;
        self.put(Arc::clone(&key));
        Ok(key)
    }

    /// Changes one key.
    pub fn update(
        &self,
        key_id: &str,
        change: impl Fn(&mut Cmk) -> Result<(), ApiError>,
    ) -> Result<Arc<Cmk>, ApiError> {
        self.update_all([key_id], change).map(|mut changed| changed.remove(0))
    }

    /// Changes several keys, all or none.
    pub fn update_all<'a>(
        &self,
        key_ids: impl IntoIterator<Item = &'a str>,
        change: impl Fn(&mut Cmk) -> Result<(), ApiError>,
    ) -> Result<Vec<Arc<Cmk>>, ApiError> {
        let mut store = self.lock_store();
        let changed = key_ids
            .into_iter()
            .map(|key_id| {
                let mut key = Cmk::clone(&*self.get(key_id)?);
                change(&mut key)?;
                Ok(Arc::new(key))
            })
            .collect::<Result<Vec<_>, ApiError>>()?;
        store.save(changed.iter().map(|key| &**key)).map_err(ApiError::internal)?;
        changed.iter().for_each(|key| self.put(Arc::clone(key)));
        Ok(changed)
    }

    /// Changes the alias of a key.
    pub fn rename(&self, key_id: &str, alias: &str) -> Result<(), ApiError> {
        self.update(key_id, |key| {
            self.require_free_alias(alias, Some(key_id))?;
            alias.clone_into(&mut key.alias);
            Ok(())
        })
        .map(drop)
    }

    /// Adds a new version of a key's material, if `check` allows it. Old versions still decrypt.
    pub fn rotate(&self, key_id: &str, check: impl Fn(&Cmk) -> Result<(), ApiError>) -> Result<(), ApiError> {
        self.update(key_id, |key| {
            key.require_state(&[KeyState::Enabled])?;
            check(key)?;
            key.versions.push(new_version(key.current()?.number + 1, key.usage)?);
            key.rotated = self.clock.now();
            Ok(())
        })
        .map(drop)
    }

    /// Sets the material of an external key, which expires at `valid_to` (0: never).
    pub fn import(&self, key_id: &str, material: [u8; 32], valid_to: i64) -> Result<(), ApiError> {
        let material = SymmetricKey::new(material).map_err(ApiError::internal)?;
        let label = material.label;
        let version = Arc::new(Version { number: 1, material: Material::Symmetric(material) });
        self.update(key_id, |key| {
            key.require_external()?;
            key.require_state(&[KeyState::Enabled, KeyState::PendingImport])?;
            if key.import_label.is_some_and(|first| first != label) {
                let message = format!("The material is not the one that the CMK `{key_id}` had before.");
                return Err(ApiError::new("InvalidParameterValue.MaterialNotMatch", message));
            }
            key.import_label = Some(label);
            key.versions = vec![Arc::clone(&version)];
            key.state = KeyState::Enabled;
            key.valid_to = valid_to;
            Ok(())
        })
        .map(drop)
    }

    fn require_free_alias(&self, alias: &str, owner: Option<&str>) -> Result<(), ApiError> {
        match self.find_by_alias(alias) {
            Some(key) if Some(key.key_id.as_str()) != owner => Err(ApiError::new(
                "InvalidParameterValue.AliasAlreadyExists",
                format!("The alias `{alias}` is already in use."),
            )),
            _ => Ok(()),
        }
    }

    fn require_below_limit(&self) -> Result<(), ApiError> {
        let counted = self.list().iter().filter(|key| key.state != KeyState::PendingDelete).count();
        if counted < self.limit {
            return Ok(());
        }
        Err(ApiError::new(
            "LimitExceeded.CmkLimitExceeded",
            format!("There are already {} CMKs, the maximum for an account in a region.", self.limit),
        ))
    }

    fn put(&self, key: Arc<Cmk>) {
        self.index.write().unwrap_or_else(PoisonError::into_inner).put(key);
    }

    fn read<T>(&self, lookup: impl FnOnce(&Index) -> T) -> T {
        lookup(&self.index.read().unwrap_or_else(PoisonError::into_inner))
    }

    // A panic while the lock was held rolled the transaction back, so the store is consistent.
    fn lock_store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index {
    fn put(&mut self, key: Arc<Cmk>) {
        let owner =
            |version: Option<&Arc<Version>>| LabelOwner { key_id: key.key_id.clone(), version: version.cloned() };
        if let Some(label) = key.import_label {
            self.by_label.insert(label, owner(None));
        }
        for version in &key.versions {
            if let Material::Symmetric(SymmetricKey { label, .. }) = &version.material {
                self.by_label.insert(*label, owner(Some(version)));
            }
        }
        self.last_sequence = self.last_sequence.max(key.sequence);
        self.by_id.insert(key.key_id.clone(), key);
    }
}

/// The key without its imported material, if that has expired. The store is updated with the key's next change.
fn without_expired_material(key: Arc<Cmk>, now: i64) -> Arc<Cmk> {
    if !key.has_expired_material(now) {
        return key;
    }
    let mut key = Cmk::clone(&key);
    key.delete_material();
    Arc::new(key)
}

/// Generates material for version `number` of a key.
fn new_version(number: u32, usage: KeyUsage) -> Result<Arc<Version>, ApiError> {
    let material = Material::generate(usage).map_err(ApiError::internal)?;
    Ok(Arc::new(Version { number, material }))
}
