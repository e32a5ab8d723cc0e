//! Which keys wrap the data keys of messages, in order, and how messages are written and read.

use std::sync::Arc;

use crate::client::Client;
use crate::error::{Error, Result};
use crate::seal::cache::lru::Id;
use crate::seal::cache::{Cache, IdMaker};
use crate::seal::format::context::Context;
use crate::seal::format::header::{Header, ReadPolicy};
use crate::seal::format::limits::{
    FRAME_LEN_DEFAULT, FRAME_LEN_MAX, HEADER_LEN_MAX, Limits, UNFRAMED_LEN_MAX, WRAPPED_KEYS_MAX, checked,
};
use crate::seal::format::suite::{COMMITTING, COMMITTING_SIGNED, Policy, Suite};
use crate::seal::keys::kms::KmsKey;
use crate::seal::keys::materials::Materials;
use crate::seal::keys::rsa::RsaKey;
use crate::seal::keys::wrapping_key::{KeyRequest, WrappingKey};
use crate::secret::Secret;
use crate::status::{Category, Status};

/// The keys that seal and open, with the rules for both. Clones share keys and cache.
#[derive(Clone)]
pub struct Keyring {
    keys: Vec<Arc<dyn WrappingKey>>,
    /// A digest of all keys in order, for the ids of the cache.
    identity: Id,
    policy: Policy,
    suite: &'static Suite,
    frame_len: usize,
    limits: Limits,
    reproduced: Context,
    cache: Option<Arc<Cache>>,
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
            identity: [0; 32],
            policy: Policy::default(),
            suite: COMMITTING,
            frame_len: FRAME_LEN_DEFAULT,
            limits: Limits::default(),
            reproduced: Context::default(),
            cache: None,
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

    /// Adds any other key.
    pub fn add(&mut self, key: Arc<dyn WrappingKey>) {
        self.identity = IdMaker::new("keys").part(&self.identity).part(&key.identity()).finish();
        self.keys.push(key);
    }

    /// Which messages are opened.
    pub fn set_policy(&mut self, policy: Policy) {
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
        let fetch = |early| Materials::obtain(self.suite, context, &self.wrapping_keys()?, early);
        let materials = match (&self.cache, size) {
            (Some(cache), Some(size)) => cache.sealing(&self.sealing_id(context)?, size, fetch)?,
            _ => Arc::new(fetch(false)?),
        };
        // What a shared cache returns is not trusted to be of this keyring's making.
        self.policy.check(materials.suite)?;
        if materials.suite == self.suite { Ok(materials) } else { Err(internal("the cache returned another suite")) }
    }

    /// The data key of a message whose full context is `context`.
    pub(crate) fn data_key(&self, header: &Header, context: &Context) -> Result<Arc<Secret>> {
        let fetch = |early| self.unwrap(header, context, early);
        let data_key = match &self.cache {
            Some(cache) if header.suite.derives() => cache.opening(&self.opening_id(header, context)?, fetch)?,
            _ => Arc::new(fetch(false)?),
        };
        header.suite.check_data_key(data_key.expose())?;
        Ok(data_key)
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

    /// Asks the keys in the keyring's order, not in the message's, and only for what claims to be theirs.
    fn unwrap(&self, header: &Header, context: &Context, early: bool) -> Result<Secret> {
        let json = context.canonical_json();
        let request = KeyRequest { context, context_json: json.as_deref(), data_key_len: header.suite.key_len, early };
        let mut failures = Vec::new();
        for key in &self.keys {
            for wrapped in header.wrapped_keys.iter().filter(|wrapped| key.claims(wrapped)) {
                let unwrapped = key.unwrap(&request, wrapped).and_then(|data_key| {
                    header.suite.check_data_key(data_key.expose())?;
                    Ok(data_key)
                });
                match unwrapped {
                    Ok(data_key) => return Ok(data_key),
                    Err(error) => failures.push(error),
                }
            }
        }
        Err(most_telling(failures).unwrap_or_else(|| self.no_match(header)))
    }

    fn no_match(&self, header: &Header) -> Error {
        if self.keys.is_empty() {
            return Error::new(Status::NoUsableKey, "the keyring has no key");
        }
        let named = header.wrapped_keys.iter().map(|key| {
            let info = String::from_utf8_lossy(&key.provider_info);
            format!("{} of {}", beginning_of(&info), beginning_of(&key.provider_id))
        });
        let named = named.take(8).collect::<Vec<_>>().join(", ");
        let message = format!("the message claims to be wrapped by none of the keyring's keys, but by {named}");
        Error::new(Status::NoMatchingKey, message)
    }

    fn sealing_id(&self, context: &Context) -> Result<Id> {
        let mut pairs = Vec::with_capacity(256);
        context.write(&mut pairs)?;
        Ok(self.id("seal", self.suite).part(&pairs).finish())
    }

    fn opening_id(&self, header: &Header, context: &Context) -> Result<Id> {
        let mut keys: Vec<_> = header.wrapped_keys.iter().collect();
        keys.sort_by(|a, b| {
            (&a.provider_id, &a.provider_info, &a.blob).cmp(&(&b.provider_id, &b.provider_info, &b.blob))
        });
        let mut pairs = Vec::with_capacity(256);
        context.write(&mut pairs)?;
        let id = keys.into_iter().fold(self.id("open", header.suite), |id, key| {
            id.part(key.provider_id.as_bytes()).part(&key.provider_info).part(&key.blob)
        });
        Ok(id.part(&pairs).finish())
    }

    fn id(&self, purpose: &str, suite: &Suite) -> IdMaker {
        IdMaker::new(purpose).part(&self.identity).part(&[self.policy as u8]).part(&suite.id.to_be_bytes())
    }
}

/// A text of a header that nobody has authenticated, as far as it helps.
fn beginning_of(text: &str) -> String {
    const SHOWN: usize = 100;
    match text.char_indices().nth(SHOWN) {
        None => format!("{text:?}"),
        Some((end, _)) => format!("{:?}…", &text[..end]),
    }
}

/// Of several failures the one that says most: neither an outage nor a key that is disabled must look like a message that
/// cannot be opened.
fn most_telling(mut failures: Vec<Error>) -> Option<Error> {
    let rank = |error: &Error| match error.status().category() {
        _ if error.is_retryable() => 0,
        _ if error.is_outage() => 1,
        Category::Identity => 2,
        Category::Integrity => 4,
        _ => 3,
    };
    let best = failures.iter().enumerate().min_by_key(|(place, error)| (rank(error), *place))?.0;
    Some(failures.swap_remove(best))
}

fn internal(message: &str) -> Error {
    Error::new(Status::Internal, message)
}
