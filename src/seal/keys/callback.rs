//! A wrapping key that calls the program's callbacks.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::{Error, Result};
use crate::seal::format::wrapped_key::WrappedKey;
use crate::seal::keys::names;
use crate::seal::keys::wrapping_key::{KeyRequest, WrappingKey};
use crate::secret::Secret;
use crate::status::Status;
use crate::sys::random;

/// The callbacks of a custom key.
pub(crate) trait KeyCallbacks: Send + Sync {
    fn can_generate(&self) -> bool;
    fn can_wrap(&self) -> bool;
    fn can_unwrap(&self) -> bool;

    /// Fills `data_key`, and returns provider info and blob.
    fn generate(&self, context_json: &str, data_key: &mut [u8]) -> Result<(Vec<u8>, Vec<u8>)>;

    /// Returns provider info and blob.
    fn wrap(&self, context_json: &str, data_key: &[u8]) -> Result<(Vec<u8>, Vec<u8>)>;

    /// Fills `data_key`.
    fn unwrap(&self, wrapped: &WrappedKey, context_json: &str, data_key: &mut [u8]) -> Result<()>;
}

/// A custom key.
pub(crate) struct CallbackKey<C> {
    callbacks: C,
    /// Without a provider id the key does not seal, and is tried for every wrapped key.
    provider_id: Option<String>,
    /// Unique: two keys are never considered equal.
    instance_id: u64,
}

impl<C: KeyCallbacks> CallbackKey<C> {
    pub fn new(provider_id: Option<&str>, callbacks: C) -> Self {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        let instance_id = NEXT_ID.fetch_add(1, Ordering::Relaxed);
        Self { callbacks, provider_id: provider_id.map(str::to_owned), instance_id }
    }

    fn wrapped(&self, (provider_info, blob): (Vec<u8>, Vec<u8>)) -> Result<WrappedKey> {
        let provider_id = self.provider_id.clone().filter(|_| !blob.is_empty());
        let provider_id = provider_id
            .ok_or_else(|| Error::new(Status::CustomKeyFailed, "a callback of a custom key set no wrapped data key"))?;
        Ok(WrappedKey { provider_id, provider_info, blob })
    }
}

impl<C: KeyCallbacks> WrappingKey for CallbackKey<C> {
    fn identity(&self) -> Vec<u8> {
        format!("custom/{}", self.instance_id).into_bytes()
    }

    fn can_wrap(&self) -> bool {
        self.provider_id.is_some() && self.callbacks.can_wrap()
    }

    fn generate(&self, request: &KeyRequest<'_>) -> Result<(Secret, WrappedKey)> {
        let mut data_key = Secret::zeroed(request.data_key_len)?;
        if !self.callbacks.can_generate() {
            random::fill(data_key.expose_mut())?;
            let wrapped = self.wrap(request, &data_key)?;
            return Ok((data_key, wrapped));
        }
        let wrapped = self.callbacks.generate(context_of(request), data_key.expose_mut())?;
        // A callback may forget to write the data key. A key of zeros must not be used.
        if data_key.expose().iter().all(|byte| *byte == 0) {
            return Err(Error::new(
                Status::CustomKeyFailed,
                "a callback of a custom key generated a data key of zeros",
            ));
        }
        Ok((data_key, self.wrapped(wrapped)?))
    }

    fn wrap(&self, request: &KeyRequest<'_>, data_key: &Secret) -> Result<WrappedKey> {
        self.wrapped(self.callbacks.wrap(context_of(request), data_key.expose())?)
    }

    fn claims(&self, wrapped: &WrappedKey) -> bool {
        self.callbacks.can_unwrap() && self.provider_id.as_ref().is_none_or(|id| *id == wrapped.provider_id)
    }

    fn unwrap(&self, request: &KeyRequest<'_>, wrapped: &WrappedKey) -> Result<Secret> {
        let mut data_key = Secret::zeroed(request.data_key_len)?;
        self.callbacks.unwrap(wrapped, context_of(request), data_key.expose_mut())?;
        Ok(data_key)
    }
}

/// Refuses a provider id that is not allowed in messages.
pub(crate) fn check_provider_id(id: &str) -> Result<()> {
    if names::is_provider_id(id) {
        return Ok(());
    }
    let message = format!(
        "a provider id is 1 to {} ASCII characters that do not begin with {}",
        names::NAME_MAX,
        names::RESERVED_PREFIX
    );
    Err(Error::new(Status::InvalidKeyName, message))
}

/// "{}" for no pairs.
fn context_of<'a>(request: &KeyRequest<'a>) -> &'a str {
    request.context_json.unwrap_or("{}")
}
