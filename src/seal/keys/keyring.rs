//! Which keys wrap the data keys of messages, in order, and how messages are written and read.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use crate::call_control;
use crate::client::Client;
use crate::config;
use crate::error::{Error, Result};
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
use crate::seal::keys::obtain::obtain;
use crate::seal::keys::recent_unwraps::RecentUnwraps;
use crate::seal::keys::request_share::RequestShare;
use crate::seal::keys::rsa::RsaKey;
use crate::seal::keys::unwrap::{KeyringView, unwrap};
use crate::seal::keys::wrapping_key::WrappingKey;
use crate::seal::materials::Materials;
use crate::secret::Secret;
use crate::status::Status;

/// How long all key requests of one call take together, unless another time is set.
const TOTAL_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);
/// How often the requests of one call are repeated, all of them together.
const RETRIES_MAX: u32 = 6;

/// The keys that seal and open, with the rules for both. Clones share keys and cache.
#[derive(Clone)]
pub struct Keyring {
    keys: Vec<Arc<dyn WrappingKey>>,
    /// Those of them that are branch keys.
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

    /// Adds the public half of an RSA key, which seals.
    pub fn add_rsa_public_pem(&mut self, namespace: &str, name: &str, pem: &[u8]) -> Result<()> {
        self.add(Arc::new(RsaKey::public(namespace, name, pem)?));
        Ok(())
    }

    /// Adds the private half of an RSA key, which opens.
    pub fn add_rsa_private_pem(&mut self, namespace: &str, name: &str, pem: &[u8]) -> Result<()> {
        self.add(Arc::new(RsaKey::private(namespace, name, pem)?));
        Ok(())
    }

    /// Adds a CMK that wraps data keys by way of branch keys, so that the number of requests follows branches and time, not
    /// contexts and messages.
    pub fn add_branch(&mut self, client: &Client, key_id: &str, options: BranchOptions) -> Result<()> {
        let key = Arc::new(BranchKey::new(client, key_id, options)?);
        self.branch_keys.push(Arc::clone(&key));
        self.add(key);
        Ok(())
    }

    /// Lets the branch of each message depend on its context, or, with `None`, no longer. What the supplier does not name
    /// is not opened.
    pub fn set_branch_supplier(&mut self, supplier: Option<Arc<dyn BranchSupplier>>) {
        self.identity = IdMaker::new("supplier").part(&self.identity).finish();
        self.branch_supplier = supplier;
    }

    /// What the branch keys of this keyring have done.
    pub fn branch_stats(&self) -> BranchStats {
        let mut stats = BranchStats::default();
        self.branch_keys.iter().for_each(|key| stats += key.stats());
        stats
    }

    /// Adds any other key.
    pub fn add(&mut self, key: Arc<dyn WrappingKey>) {
        self.identity = IdMaker::new("keys").part(&self.identity).part(&key.identity()).finish();
        self.keys.push(key);
    }

    /// Which messages are opened.
    pub fn set_policy(&mut self, policy: CommitmentPolicy) {
        self.policy = policy;
    }

    /// Whether messages are signed, so that who can open them cannot forge them. Default no.
    pub fn set_signing(&mut self, signing: bool) {
        self.suite = if signing { COMMITTING_SIGNED } else { COMMITTING };
    }

    /// How long the frames of new messages are. Default 65536.
    pub fn set_frame_len(&mut self, len: usize) -> Result<()> {
        self.frame_len = checked("frame length", len, FRAME_LEN_MAX)?;
        Ok(())
    }

    /// How many wrapped data keys a message may have. Default 8.
    pub fn set_max_wrapped_keys(&mut self, count: usize) -> Result<()> {
        self.limits.wrapped_keys = checked("number of wrapped data keys", count, WRAPPED_KEYS_MAX)?;
        Ok(())
    }

    /// How long the header of a message may be that is opened. Default 512 KiB.
    pub fn set_max_header_len(&mut self, len: usize) -> Result<()> {
        self.limits.header_len = checked("header length", len, HEADER_LEN_MAX)?;
        Ok(())
    }

    /// How long the frames of a message may be that is opened. Default 16 MiB.
    pub fn set_max_frame_len(&mut self, len: usize) -> Result<()> {
        self.limits.frame_len = checked("frame length", len, FRAME_LEN_MAX)?;
        Ok(())
    }

    /// How long an unframed body may be that is opened. Default 64 MiB.
    pub fn set_max_unframed_len(&mut self, len: usize) -> Result<()> {
        self.limits.unframed_len = checked("unframed length", len, UNFRAMED_LEN_MAX)?;
        Ok(())
    }

    /// Pairs that messages of other writers are bound to without holding them.
    pub fn set_reproduced_context(&mut self, context: Context) {
        self.reproduced = context;
    }

    /// Lets data keys serve more than one message, or, with `None`, no longer.
    pub fn set_cache(&mut self, cache: Option<Arc<Cache>>) {
        self.cache = cache;
    }

    /// How long all key requests of one call may take together. Default 30 seconds.
    pub fn set_total_timeout(&mut self, timeout: Duration) -> Result<()> {
        self.total_timeout = config::checked_timeout("total timeout", timeout)?;
        Ok(())
    }

    /// How many RSA operations a message may cause. Default 2.
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

    /// What seals one message of `size` bytes. Without a size no cached key is used, as none could be charged for it.
    pub(crate) fn materials(&self, context: &Context, size: Option<u64>) -> Result<Arc<Materials>> {
        context.check_writable()?;
        let keys = self.wrapping_keys()?;
        let fetch = |early| obtain(self.suite, context, &keys, &self.branch_of(context), early);
        let caching_helps = keys.iter().any(|key| !key.is_local());
        let materials = self.within_limits(|| match (&self.cache, size) {
            (Some(cache), Some(size)) if caching_helps => cache.sealing(self.sealing_id(context), size, fetch),
            _ => fetch(false).map(Arc::new),
        })?;
        // What a shared cache returns is not trusted to be of this keyring's making.
        self.policy.check(materials.suite)?;
        if materials.suite == self.suite { Ok(materials) } else { Err(internal("the cache returned another suite")) }
    }

    /// Gets the data key of a message whose full context is `context`, and authenticates the message's header with it: what
    /// `authenticate` makes of the data key is the result. Only a data key that does that is cached. The context has the
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
        // What only branch keys wrap is unwrapped here, and has a data key that no other message has.
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
            Some(cache) if header.suite.derives() => {
                let ids = header.wrapped_keys.iter().map(|wrapped| self.wrapped_key_id(header, context, wrapped));
                cache.opening(&ids.collect::<Vec<_>>(), accept, fetch)
            }
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
            return Err(Error::new(Status::NoUsableKey, "the keyring has no key that seals"));
        }
        if keys.len() > self.limits.wrapped_keys {
            let message = format!("{} keys seal, the keyring allows {}", keys.len(), self.limits.wrapped_keys);
            return Err(Error::new(Status::OutOfRange, message));
        }
        Ok(keys)
    }

    fn sealing_id(&self, context: &Context) -> Id {
        self.id("seal", self.suite).context(context).finish()
    }

    /// Tells a data key from all others: it depends on which wrapped key it comes from, and for which context.
    fn wrapped_key_id(&self, header: &Header, context: &Context, wrapped: &WrappedKey) -> Id {
        let id = self.id("open", header.suite).part(wrapped.provider_id.as_bytes()).part(&wrapped.provider_info);
        id.part(&wrapped.blob).context(context).finish()
    }

    fn id(&self, purpose: &str, suite: &Suite) -> IdMaker {
        IdMaker::new(purpose).part(&self.identity).part(&[self.policy as u8]).part(&suite.id.to_be_bytes())
    }
}

fn internal(message: &str) -> Error {
    Error::new(Status::Internal, message)
}
