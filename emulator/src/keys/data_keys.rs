//! All hosted data keys: read from memory, written through to the store.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockWriteGuard};

use crate::clock::Clock;
use crate::error::ApiError;
use crate::keys::cmk::looks_like_key_id;
use crate::keys::data_key::DataKey;
use crate::keys::store::{Store, StoreError};

/// Most data keys of one account in one region. The service's limit depends on what was bought.
pub const DATA_KEY_LIMIT: usize = 200;

/// The registry of data keys. Calls that change it wait for the disk, so they belong on a blocking thread.
pub struct DataKeys {
    /// Locked during each change, so that changes do not overlap.
    store: Arc<Mutex<Store>>,
    by_id: RwLock<HashMap<String, Arc<DataKey>>>,
    clock: Arc<Clock>,
}

impl DataKeys {
    pub fn open(store: Arc<Mutex<Store>>, clock: Arc<Clock>) -> Result<Self, StoreError> {
        let keys = store.lock().unwrap_or_else(PoisonError::into_inner).load_data_keys()?;
        let by_id = keys.into_iter().map(|key| (key.data_key_id.clone(), Arc::new(key))).collect();
        Ok(Self { store, by_id: RwLock::new(by_id), clock })
    }

    /// The key called `data_key_id`.
    pub fn get(&self, data_key_id: &str) -> Result<Arc<DataKey>, ApiError> {
        if !looks_like_key_id(data_key_id) {
            let message = format!("`{data_key_id}` is not a DataKeyId.");
            return Err(ApiError::new("InvalidParameterValue.InvalidDataKeyId", message));
        }
        let key = self.by_id.read().unwrap_or_else(PoisonError::into_inner).get(data_key_id).cloned();
        key.filter(|key| !key.is_gone(self.clock.now())).ok_or_else(|| {
            let message = format!("The data key `{data_key_id}` does not exist.");
            ApiError::new("ResourceUnavailable.DataKeyNotFound", message)
        })
    }

    /// All keys in order of creation.
    pub fn list(&self) -> Vec<Arc<DataKey>> {
        let now = self.clock.now();
        let by_id = self.by_id.read().unwrap_or_else(PoisonError::into_inner);
        let mut keys: Vec<_> = by_id.values().filter(|key| !key.is_gone(now)).cloned().collect();
        keys.sort_unstable_by_key(|key| key.sequence);
        keys
    }

    /// Stores a new key, and sets its position in the order of creation.
    pub fn add(&self, mut key: DataKey) -> Result<(), ApiError> {
        let mut store = self.lock_store();
        let keys = self.list();
        self.require_free_name(&key.name, &key.data_key_id)?;
        if keys.len() >= DATA_KEY_LIMIT {
            let message = format!("There are already {DATA_KEY_LIMIT} data keys.");
            return Err(ApiError::new("LimitExceeded.DataKeyLimitExceeded", message));
        }
        key.sequence = keys.last().map_or(0, |last| last.sequence) + 1;
        store.save_data_keys([&key]).map_err(ApiError::internal)?;
        self.index().insert(key.data_key_id.clone(), Arc::new(key));
        Ok(())
    }

    /// Changes several keys, all or none.
    pub fn update<'a>(
        &self,
        ids: impl IntoIterator<Item = &'a str>,
        change: impl Fn(&mut DataKey) -> Result<(), ApiError>,
    ) -> Result<(), ApiError> {
        let mut store = self.lock_store();
        let changed = ids.into_iter().map(|id| {
            let mut key = DataKey::clone(&*self.get(id)?);
            change(&mut key)?;
            Ok(key)
        });
        let changed = changed.collect::<Result<Vec<_>, ApiError>>()?;
        store.save_data_keys(&changed).map_err(ApiError::internal)?;
        self.index().extend(changed.into_iter().map(|key| (key.data_key_id.clone(), Arc::new(key))));
        Ok(())
    }

    /// Refuses a name that a key other than `owner` has.
    pub fn require_free_name(&self, name: &str, owner: &str) -> Result<(), ApiError> {
        if self.list().iter().any(|key| key.name == name && key.data_key_id != owner) {
            let message = format!("The data key name `{name}` is already in use.");
            return Err(ApiError::new("InvalidParameterValue.DataKeyNameAlreadyExists", message));
        }
        Ok(())
    }

    fn index(&self) -> RwLockWriteGuard<'_, HashMap<String, Arc<DataKey>>> {
        self.by_id.write().unwrap_or_else(PoisonError::into_inner)
    }

    // A panic while the lock was held rolled the transaction back, so the store is consistent.
    fn lock_store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
