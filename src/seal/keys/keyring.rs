//! The keyring: an ordered list of wrapping keys, with the rules for writing and reading messages.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use crate::call_control;
use crate::client::Client;
use crate::config;
use crate::error::{Error, Result};
use crate::seal::cache::id_memo::IdMemo;
use crate::seal::cache::lru::Id;
use crate::seal::cache::{Cache, IdMaker};
use crate::seal::format::context::Context;
use crate::seal::format::header::{Header, ReadPolicy};
use crate::seal::format::limits::{
    FRAME_LEN_DEFAULT, FRAME_LEN_MAX, HEADER_LEN_MAX, Limits, UNFRAMED_LEN_MAX, WRAPPED_KEYS_MAX, checked,
};
use crate::seal::format::suite::{COMMITTING, COMMITTING_SIGNED, CommitmentPolicy, Suite};
use crate::seal::format::wrapped_key::WrappedKey;
use crate::seal::keys::branch::counters::BranchStats;
use crate::seal::keys::branch::options::BranchOptions;
use crate::seal::keys::branch::wrapping::BranchKey;
use crate::seal::keys::branch_supplier::{BranchSupplier, SuppliedBranch};
use crate::seal::keys::kms::KmsKey;
use crate::seal::keys::obtain::{no_key, obtain};
use crate::seal::keys::recent_unwraps::RecentUnwraps;
use crate::seal::keys::request_share::RequestShare;
use crate::seal::keys::rsa::RsaKey;
use crate::seal::keys::unwrap::{KeyringView, unwrap};
use crate::seal::keys::wrapping_key::WrappingKey;
use crate::seal::materials::Materials;
use crate::secret::Secret;
use crate::status::Status;

/// The default total timeout of all key requests of one call.
const TOTAL_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// The maximal number of retries of all requests of one call.
const RETRIES_MAX: u32 = 6;

/// The keys that seal and open, with the rules for both. Clones share keys and cache.
#[derive(Clone)]
pub struct Keyring {
    keys: Vec<Arc<dyn WrappingKey>>,
    /// The branch keys among them.
    branch_keys: Vec<Arc<BranchKey>>,
    branch_supplier: Option<Arc<dyn BranchSupplier>>,
    /// A digest of all keys in order, for the ids of the cache.
    identity: Id,
    policy: CommitmentPolicy,
    suite: &'static Suite,
    frame_len: usize,
    limits: Limits,
    reproduced: Context,
    cache: Option<Arc<Cache>>,
    opening_ids: IdMemo,
    total_timeout: Duration,
    recent_unwraps: Arc<RecentUnwraps>,
    request_share: Arc<RequestShare>,
}

impl Default for Keyring {
    fn default() -> Self {
        Self::new()
    }
}

impl Keyring {
    /// A keyring without keys.
    pub fn new() -> Self {
        Self {
            keys: Vec::new(),
            branch_keys: Vec::new(),
            branch_supplier: None,
            identity: [0; 32],
            policy: CommitmentPolicy::default(),
            suite: COMMITTING,
            frame_len: FRAME_LEN_DEFAULT,
            limits: Limits::default(),
            reproduced: Context::default(),
            cache: None,
            opening_ids: IdMemo::default(),
            total_timeout: TOTAL_TIMEOUT_DEFAULT,
            recent_unwraps: Arc::default(),
            request_share: Arc::default(),
        }
    }

    /// Adds a CMK, named by its key id, in the region of the client.
    pub fn add_kms(&mut self, client: &Client, key_id: &str) -> Result<()> {
        self.add(Arc::new(KmsKey::new(client, key_id)?));
        Ok(())
    }

    /// Adds a public RSA key, which seals.
    pub fn add_rsa_public_pem(&mut self, namespace: &str, name: &str, pem: &[u8]) -> Result<()> {
        self.add(Arc::new(RsaKey::public(namespace, name, pem)?));
        Ok(())
    }

    /// Adds a private RSA key, which opens.
    pub fn add_rsa_private_pem(&mut self, namespace: &str, name: &str, pem: &[u8]) -> Result<()> {
        self.add(Arc::new(RsaKey::private(namespace, name, pem)?));
        Ok(())
    }

    /// Adds a CMK that wraps data keys through branch keys, so that the number of requests depends on branches and time instead of
    /// contexts and messages.
    pub fn add_branch(&mut self, client: &Client, key_id: &str, options: BranchOptions) -> Result<()> {
        let key = Arc::new(BranchKey::new(client, key_id, options)?);
        self.branch_keys.push(Arc::clone(&key));
        self.add(key);
        Ok(())
    }

    /// Sets the supplier that selects the branch of each message by its context, or removes it with `None`. A message of another
    /// branch is not opened.
    pub fn set_branch_supplier(&mut self, supplier: Option<Arc<dyn BranchSupplier>>) {
        self.identity = IdMaker::new("supplier").part(&self.identity).finish();
        self.branch_supplier = supplier;
    }

    /// The statistics of the branch keys.
    pub fn branch_stats(&self) -> BranchStats {
        let mut stats = BranchStats::default();
        self.branch_keys.iter().for_each(|key| stats += key.stats());
        stats
    }

    /// Adds a wrapping key of any kind.
    pub fn add(&mut self, key: Arc<dyn WrappingKey>) {
        self.identity = IdMaker::new("keys").part(&self.identity).part(&key.identity()).finish();
        self.keys.push(key);
    }

    /// Sets which messages are opened.
    pub fn set_policy(&mut self, policy: CommitmentPolicy) {
        self.policy = policy;
    }

    /// Sets whether messages are signed, so that those who can open them cannot forge them. Default no.
    pub fn set_signing(&mut self, signing: bool) {
        self.suite = if signing { COMMITTING_SIGNED } else { COMMITTING };
    }

    /// Sets the frame length of new messages. Default 65536.
    pub fn set_frame_len(&mut self, len: usize) -> Result<()> {
        self.frame_len = checked("frame length", len, FRAME_LEN_MAX)?;
        Ok(())
    }

    /// Sets the maximal number of wrapped data keys of a message. Default 8.
    pub fn set_max_wrapped_keys(&mut self, count: usize) -> Result<()> {
        self.limits.wrapped_keys = checked("number of wrapped data keys", count, WRAPPED_KEYS_MAX)?;
        Ok(())
    }

    /// Sets the maximal header length when opening. Default 512 KiB.
    pub fn set_max_header_len(&mut self, len: usize) -> Result<()> {
        self.limits.header_len = checked("header length", len, HEADER_LEN_MAX)?;
        Ok(())
    }

    /// Sets the maximal frame length when opening. Default 16 MiB.
    pub fn set_max_frame_len(&mut self, len: usize) -> Result<()> {
        self.limits.frame_len = checked("frame length", len, FRAME_LEN_MAX)?;
        Ok(())
    }

    /// Sets the maximal length of an unframed body when opening. Default 64 MiB.
    pub fn set_max_unframed_len(&mut self, len: usize) -> Result<()> {
        self.limits.unframed_len = checked("unframed length", len, UNFRAMED_LEN_MAX)?;
        Ok(())
    }

    /// Sets pairs that messages of other writers are bound to but do not contain.
    pub fn set_reproduced_context(&mut self, context: Context) {
        self.reproduced = context;
    }

    /// Sets the cache, with which a data key serves more than one message, or removes it with `None`.
    pub fn set_cache(&mut self, cache: Option<Arc<Cache>>) {
        self.cache = cache;
    }

    /// Sets the total timeout of all key requests of one call. Default 30 seconds.
    pub fn set_total_timeout(&mut self, timeout: Duration) -> Result<()> {
        self.total_timeout = config::checked_timeout("total timeout", timeout)?;
        Ok(())
    }

    /// Sets the maximal number of RSA operations for one message. Default 2.
    pub fn set_max_private_key_operations(&mut self, count: usize) -> Result<()> {
        self.limits.private_key_operations = checked("number of RSA operations", count, WRAPPED_KEYS_MAX)?;
        Ok(())
    }

    pub(crate) fn frame_len(&self) -> usize {
        self.frame_len
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    pub(crate) fn read_policy(&self, signed_allowed: bool) -> ReadPolicy {
        ReadPolicy { policy: self.policy, signed_allowed, limits: self.limits }
    }

    pub(crate) fn reproduced(&self) -> &Context {
        &self.reproduced
    }

    /// The materials to seal one message of `size` bytes. Without a size no cached key is used, because its usage could not be
    /// counted.
    pub(crate) fn materials(&self, context: &Context, size: Option<u64>) -> Result<Arc<Materials>> {
        context.check_writable()?;
        let keys = self.wrapping_keys()?;
        let fetch = |early| obtain(self.suite, context, &keys, &self.branch_of(context), early);
        let caching_helps = keys.iter().any(|key| !key.is_local());
        let materials = self.within_limits(|| match (&self.cache, size) {
            (Some(cache), Some(size)) if caching_helps => cache.sealing(self.sealing_id(context), size, fetch),
            _ => fetch(false).map(Arc::new),
        })?;
        // The cache may be shared: another keyring may have put the entry there.
        self.policy.check(materials.suite)?;
        if materials.suite == self.suite { Ok(materials) } else { Err(internal("the cache returned another suite")) }
    }

    /// Unwraps the data key of a message with the complete context `context`, and authenticates the header with it. Returns the
    /// result of `authenticate`. Only a data key that authenticates its header is cached. The context has the
    /// pairs that the caller expects.
    pub(crate) fn unlock<T>(
        &self,
        header: &Header,
        context: &Context,
        expected: &Context,
        authenticate: impl Fn(&Secret) -> Result<T>,
    ) -> Result<T> {
        let proven = Cell::new(None);
        let accept = |data_key: &Secret| {
            proven.set(Some(authenticate(data_key)?));
            Ok(())
        };
        let branch = if self.is_claimed(header, true) { self.branch_of(context) } else { SuppliedBranch::NotAsked };
        // Branch keys unwrap locally, and each message has its own data key, so caching would save nothing.
        let cache = self.cache.as_ref().filter(|_| self.branch_keys.is_empty() || self.is_claimed(header, false));
        let fetch = |early| {
            let view = KeyringView {
                keys: self.keys.iter().map(AsRef::as_ref).collect(),
                total_timeout: self.total_timeout,
                max_private_key_operations: self.limits.private_key_operations,
                recent_unwraps: &self.recent_unwraps,
                request_share: &self.request_share,
                expected,
                branch: &branch,
                open_max_age: cache.map(|cache| cache.open_max_age()),
                id_of: &|wrapped| self.wrapped_key_id(header, context, wrapped),
            };
            let unwrapped = unwrap(&view, header, context, early)?;
            if !early && let Err(error) = accept(&unwrapped.data_key) {
                unwrapped.refuse();
                return Err(error);
            }
            Ok(unwrapped.accept())
        };
        self.within_limits(|| match cache {
            Some(cache) if header.suite.derives() => cache.opening(&self.opening_ids(header, context), accept, fetch),
            _ => fetch(false).map(|(_, data_key)| data_key),
        })?;
        proven.take().ok_or_else(|| internal("a header was not authenticated"))
    }

    /// Limits all key requests of one call.
    fn within_limits<T>(&self, call: impl FnOnce() -> Result<T>) -> Result<T> {
        Error::check_memory()?;
        call_control::with_timeout(self.total_timeout, || call_control::with_retries(RETRIES_MAX, call))
    }

    fn branch_of(&self, context: &Context) -> SuppliedBranch {
        match &self.branch_supplier {
            Some(supplier) if !self.branch_keys.is_empty() => SuppliedBranch::ask(&**supplier, context),
            _ => SuppliedBranch::NotAsked,
        }
    }

    /// Whether a message claims to be wrapped by keys of the keyring that unwrap locally, or by others.
    fn is_claimed(&self, header: &Header, locally: bool) -> bool {
        let mut keys = self.keys.iter().filter(|key| key.is_local() == locally);
        keys.any(|key| header.wrapped_keys.iter().any(|wrapped| key.claims(wrapped)))
    }

    fn wrapping_keys(&self) -> Result<Vec<&dyn WrappingKey>> {
        let keys: Vec<_> = self.keys.iter().map(AsRef::as_ref).filter(|key| key.can_wrap()).collect();
        if keys.is_empty() {
            return Err(no_key());
        }
        if keys.len() > self.limits.wrapped_keys {
            let message = format!("{} keys can seal; the keyring allows {}", keys.len(), self.limits.wrapped_keys);
            return Err(Error::new(Status::OutOfRange, message));
        }
        Ok(keys)
    }

    fn sealing_id(&self, context: &Context) -> Id {
        self.id("seal", self.suite).context(context).finish()
    }

    /// The cache ids of the data keys of a message, one for each wrapped key.
    fn opening_ids(&self, header: &Header, context: &Context) -> Vec<Id> {
        let settings = (self.identity, self.policy as u8, header.suite.id);
        self.opening_ids.get(settings, context, &header.wrapped_keys, || {
            header.wrapped_keys.iter().map(|wrapped| self.wrapped_key_id(header, context, wrapped)).collect()
        })
    }

    /// The cache id of an unwrapped data key. It depends on the wrapped key and the context.
    fn wrapped_key_id(&self, header: &Header, context: &Context, wrapped: &WrappedKey) -> Id {
        let id = self.id("open", header.suite).part(wrapped.provider_id.as_bytes()).part(&wrapped.provider_info);
        id.part(&wrapped.blob).context(context).finish()
    }

    fn id(&self, purpose: &str, suite: &Suite) -> IdMaker {
        let [high, low] = suite.id.to_be_bytes();
        IdMaker::new(purpose).part(&self.identity).part(&[self.policy as u8, high, low])
    }
}

fn internal(message: &str) -> Error {
    Error::new(Status::Internal, message)
}
