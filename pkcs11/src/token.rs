//! A token: one client of the service with the objects of its keys.
//!
//! Keys whose public key is in a file are available at once. The first search of a program looks up all other keys in the service.
//! The token stores them, so later searches and attributes need no request.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::thread;
use std::time::{Duration, Instant};

use aws_lc_rs::digest::{SHA256, digest};
use cryptoki_sys::*;
use tckms::sign::{KeyType, PublicKey};
use tckms::{Client, KeyFilter, KeyInfo, host};

use crate::certificate::Certificate;
use crate::config::{self, ConfigError, Discover, KeySettings, Random, TokenSettings, Usage};
use crate::error::{Result, is_about_the_key, return_value};
use crate::key::{Key, KeyFiles, SharedKey, parts_of};
use crate::log;
use crate::object::{Object, objects_of};

/// The number of concurrent lookups.
const LOOKUP_THREADS: usize = 16;
/// Lookup requests per second, unless the configuration has another rate: the limit of the service.
const REQUEST_RATE: u32 = 100;

/// A token.
pub struct Token {
    settings: Arc<TokenSettings>,
    serial: String,
    client: Client,
    /// The objects of keys that need no lookup. Their handles come first.
    configured: Arc<[Arc<Object>]>,
    looked_up: RwLock<Lookups>,
    /// Held by the thread that looks up keys, which holds no other lock.
    looking_up: Mutex<()>,
}

/// The results of lookups.
#[derive(Clone, Default)]
struct Lookups {
    objects: Vec<Arc<Object>>,
    /// The configured keys that still need a lookup, by their index in the settings.
    pending: Vec<usize>,
    /// Whether discovery is still pending.
    undiscovered: bool,
}

/// A key to look up.
struct PendingKey {
    id: String,
    label: Option<String>,
    usage: Option<Usage>,
    certificates: Vec<Certificate>,
    /// Its index in the settings, if it is configured.
    index: Option<usize>,
}

impl Token {
    /// Creates a token. Reads files, and opens no connection.
    pub fn new(settings: TokenSettings) -> std::result::Result<Self, ConfigError> {
        let client = config::client(&settings).map_err(|reason| settings.wrong(reason))?;
        let (mut configured, mut pending) = (Vec::new(), Vec::new());
        for (index, key) in settings.keys.iter().enumerate() {
            match known_key(key, settings.allow_p384)? {
                Some(key) => configured.extend(objects_of(&key).map(Arc::new)),
                None => pending.push(index),
            }
        }
        let undiscovered = settings.discover != Discover::No;
        Ok(Self {
            serial: serial(&settings, client.region()),
            settings: Arc::new(settings),
            client,
            configured: configured.into(),
            looked_up: RwLock::new(Lookups { objects: Vec::new(), pending, undiscovered }),
            looking_up: Mutex::new(()),
        })
    }

    /// The same token for a forked child. It does not wait for a lock, whose holder may not exist in the child.
    pub fn inherited(&self) -> Self {
        let nothing = || Lookups { pending: self.keys_without_file(), undiscovered: true, ..Lookups::default() };
        let looked_up = self.looked_up.try_read().map_or_else(|_| nothing(), |looked_up| looked_up.clone());
        Self {
            settings: Arc::clone(&self.settings),
            serial: self.serial.clone(),
            client: self.client.clone(),
            configured: Arc::clone(&self.configured),
            looked_up: RwLock::new(looked_up),
            looking_up: Mutex::new(()),
        }
    }

    fn keys_without_file(&self) -> Vec<usize> {
        let keys = self.settings.keys.iter().enumerate();
        keys.filter(|(_, key)| key.public_key.is_none() && key.certificate.is_none()).map(|(index, _)| index).collect()
    }

    /// The label.
    pub fn label(&self) -> &str {
        &self.settings.label
    }

    /// The serial number: the same in every process with this configuration.
    pub fn serial(&self) -> &str {
        &self.serial
    }

    /// The client.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Whether P-384 keys are supported.
    pub fn allows_p384(&self) -> bool {
        self.settings.allow_p384
    }

    /// Fills `bytes` with random numbers.
    pub fn fill_random(&self, bytes: &mut [u8]) -> Result<()> {
        if self.settings.random == Random::Os {
            return host::fill_random(bytes).map_err(|error| failed("generating random numbers", &error));
        }
        for part in bytes.chunks_mut(tckms::RANDOM_MAX) {
            let random = self.client.generate_random(part.len());
            let random = random.map_err(|error| failed("generating random numbers", &error))?;
            part.copy_from_slice(random.bytes.expose());
        }
        Ok(())
    }

    /// The object with this handle.
    pub fn object(&self, handle: CK_OBJECT_HANDLE) -> Result<Arc<Object>> {
        let index = usize::try_from(handle).ok().and_then(|handle| handle.checked_sub(1));
        let found = index.and_then(|index| match index.checked_sub(self.configured.len()) {
            None => self.configured.get(index).cloned(),
            Some(index) => self.read().objects.get(index).cloned(),
        });
        found.ok_or(CKR_OBJECT_HANDLE_INVALID)
    }

    /// The handles of all objects with these attributes. The first call looks up the keys.
    pub fn find(&self, template: &[(CK_ATTRIBUTE_TYPE, Vec<u8>)]) -> Result<Vec<CK_OBJECT_HANDLE>> {
        self.look_up()?;
        let looked_up = self.read();
        let objects = self.configured.iter().chain(&looked_up.objects);
        let found = (1..).zip(objects).filter(|(_, object)| object.matches(template));
        Ok(found.map(|(handle, _)| handle).collect())
    }

    fn read(&self) -> std::sync::RwLockReadGuard<'_, Lookups> {
        self.looked_up.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn is_complete(&self) -> bool {
        let looked_up = self.read();
        looked_up.pending.is_empty() && !looked_up.undiscovered
    }

    /// Looks up the keys that are not known yet. A reply about a key is final. If the service cannot be reached, this call fails, and
    /// the next call looks up the remaining keys.
    fn look_up(&self) -> Result<()> {
        if self.is_complete() {
            return Ok(());
        }
        let _looking_up = lock(&self.looking_up);
        if self.is_complete() {
            return Ok(());
        }
        let wanted = self.wanted()?;
        let outcomes = self.fetch(&wanted);
        let mut outage = None;
        let mut objects = Vec::new();
        let mut pending = Vec::new();
        let mut undiscovered = false;
        for (wanted, outcome) in wanted.into_iter().zip(outcomes) {
            match outcome {
                Some(Ok(key)) => objects.extend(objects_of(&key).map(Arc::new)),
                Some(Err(LookUpError::Skipped)) => {}
                Some(Err(LookUpError::Outage(code))) => {
                    outage = Some(code);
                    pending.extend(wanted.index);
                    undiscovered |= wanted.index.is_none();
                }
                // No request was sent, because an outage ended the lookup.
                None => {
                    pending.extend(wanted.index);
                    undiscovered |= wanted.index.is_none();
                }
            }
        }
        let mut looked_up = self.looked_up.write().unwrap_or_else(PoisonError::into_inner);
        looked_up.objects.extend(objects);
        looked_up.pending = pending;
        looked_up.undiscovered = undiscovered;
        outage.map_or(Ok(()), Err)
    }

    /// The keys to look up: the configured ones, and those that the service lists.
    fn wanted(&self) -> Result<Vec<PendingKey>> {
        let looked_up = self.read().clone();
        let of_settings = looked_up.pending.iter().filter_map(|index| {
            let key = self.settings.keys.get(*index)?;
            Some(PendingKey {
                id: key.id.clone(),
                label: key.label.clone(),
                usage: key.usage,
                certificates: Vec::new(),
                index: Some(*index),
            })
        });
        let mut wanted: Vec<PendingKey> = of_settings.collect();
        if looked_up.undiscovered && self.settings.discover != Discover::No {
            let known = self.configured.iter().chain(&looked_up.objects).map(|object| object.key.id.as_str());
            let mut known: std::collections::HashSet<String> = known.map(str::to_owned).collect();
            known.extend(self.settings.keys.iter().map(|key| key.id.clone()));
            let listed = self.list()?;
            wanted.extend(listed.into_iter().filter(|key| known.insert(key.id.clone())));
        }
        Ok(wanted)
    }

    fn list(&self) -> Result<Vec<PendingKey>> {
        let tag = match &self.settings.discover {
            Discover::Tag(name, value) => Some((name.as_str(), value.as_str())),
            _ => None,
        };
        let mut wanted = Vec::new();
        let filter = KeyFilter { tag, ..KeyFilter::default() };
        let listed = self.client.list_keys(&filter, |info| {
            if let Some(usage) = usage_of(&info) {
                if info.key_state == "Enabled" {
                    let label = Some(info.alias).filter(|alias| !alias.is_empty());
                    wanted.push(PendingKey {
                        id: info.key_id,
                        label,
                        usage: Some(usage),
                        certificates: Vec::new(),
                        index: None,
                    });
                } else {
                    log::write(
                        tckms::LogLevel::Debug,
                        format_args!("key {} is skipped: its state is {}", info.key_id, info.key_state),
                    );
                }
            }
            true
        });
        listed.map_err(|error| failed(&format!("listing the keys of token {:?}", self.label()), &error))?;
        log::info(format_args!("token {:?}: {} keys were discovered", self.label(), wanted.len()));
        Ok(wanted)
    }

    /// Looks up keys on several threads, at no more than the configured rate. An outage ends the lookup.
    fn fetch(&self, wanted: &[PendingKey]) -> Vec<Option<std::result::Result<SharedKey, LookUpError>>> {
        let outcomes: Vec<Mutex<Option<_>>> = wanted.iter().map(|_| Mutex::new(None)).collect();
        let (next, stopped, began) = (AtomicUsize::new(0), AtomicBool::new(false), Instant::now());
        let interval = Duration::from_secs(1) / self.settings.request_rate.unwrap_or(REQUEST_RATE).max(1);
        host::on_threads(LOOKUP_THREADS.min(wanted.len()), || {
            while !stopped.load(Ordering::Relaxed) {
                let index = next.fetch_add(1, Ordering::Relaxed);
                let Some(key) = wanted.get(index) else { return };
                let start = interval * u32::try_from(index).unwrap_or(u32::MAX);
                thread::sleep(start.saturating_sub(began.elapsed()));
                let outcome = self.look_up_key(key);
                if matches!(outcome, Err(LookUpError::Outage(_))) {
                    stopped.store(true, Ordering::Relaxed);
                }
                *lock(&outcomes[index]) = Some(outcome);
            }
        });
        outcomes.into_iter().map(|outcome| outcome.into_inner().unwrap_or_else(PoisonError::into_inner)).collect()
    }

    fn look_up_key(&self, wanted: &PendingKey) -> std::result::Result<SharedKey, LookUpError> {
        let public = self.client.public_key(&wanted.id).map_err(|error| LookUpError::of(&wanted.id, &error))?;
        // An EC key signs. The usage of an RSA key is known only to the service.
        let is_ambiguous = wanted.usage.is_none() && public.key_type() == KeyType::Rsa2048;
        let info = if wanted.label.is_none() || is_ambiguous { self.describe(&wanted.id)? } else { None };
        let alias = info.as_ref().map(|info| info.alias.clone()).filter(|alias| !alias.is_empty());
        let label = wanted.label.clone().or(alias).unwrap_or_else(|| wanted.id.clone());
        let usage = wanted.usage.or_else(|| usage_of(&info?)).unwrap_or(Usage::Sign);
        let certificates = wanted.certificates.clone();
        let key = new_key(wanted.id.clone(), label, usage, public, certificates, self.settings.allow_p384);
        key.map(Arc::new).map_err(|reason| {
            log::warn(format_args!("key {} is skipped: {reason}", wanted.id));
            LookUpError::Skipped
        })
    }

    /// The description of a key, or `None` if this identity may not read it.
    fn describe(&self, id: &str) -> std::result::Result<Option<KeyInfo>, LookUpError> {
        match self.client.describe_key(id) {
            Ok(info) => Ok(Some(info)),
            Err(error) if is_about_the_key(&error) => {
                log::info(format_args!("key {id}: alias and usage are unknown: {}", error.message()));
                Ok(None)
            }
            Err(error) => Err(LookUpError::of(id, &error)),
        }
    }
}

/// Why a lookup failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum LookUpError {
    /// The service refused this key.
    Skipped,
    /// The service could not be reached.
    Outage(CK_RV),
}

impl LookUpError {
    fn of(id: &str, error: &tckms::Error) -> Self {
        if is_about_the_key(error) {
            log::error(format_args!("key {id} is skipped: {}", described(error)));
            Self::Skipped
        } else {
            Self::Outage(failed(&format!("looking up key {id}"), error))
        }
    }
}

/// The key, if its files are enough to describe it.
fn known_key(settings: &KeySettings, allow_p384: bool) -> std::result::Result<Option<SharedKey>, ConfigError> {
    let files = KeyFiles::read(settings)?;
    let Some(spki) = files.spki else { return Ok(None) };
    let public = PublicKey::from_spki(&spki).map_err(|error| settings.wrong(error.message()))?;
    let label = settings.label.clone().unwrap_or_else(|| settings.id.clone());
    let usage = settings.usage.unwrap_or(Usage::Sign);
    let key = new_key(settings.id.clone(), label, usage, Arc::new(public), files.certificates, allow_p384);
    let key = key.map_err(|reason| settings.wrong(reason))?;
    let file = settings.public_key.as_ref().or(settings.certificate.as_ref()).map(|file| file.display());
    let mismatch = file.map(|file| settings.wrong(format!("{file} is of another key than {} in KMS", settings.id)));
    Ok(Some(Arc::new(Key { mismatch: mismatch.map(|error| error.to_string()), ..key })))
}

fn new_key(
    id: String,
    label: String,
    usage: Usage,
    public: Arc<PublicKey>,
    certificates: Vec<Certificate>,
    allow_p384: bool,
) -> std::result::Result<Key, String> {
    let parts = parts_of(&public, allow_p384)?;
    if usage == Usage::Decrypt && public.key_type() != KeyType::Rsa2048 {
        return Err("`usage = decrypt` is for RSA keys".to_owned());
    }
    Ok(Key { id, label, usage, public, parts, certificates, mismatch: None })
}

/// The usage of a key, if PKCS#11 supports it.
fn usage_of(info: &KeyInfo) -> Option<Usage> {
    match info.key_usage.as_str() {
        "ASYMMETRIC_DECRYPT_RSA_2048" => Some(Usage::Decrypt),
        "ASYMMETRIC_SIGN_VERIFY_SM2" => None,
        usage if usage.starts_with("ASYMMETRIC_SIGN_VERIFY_") => Some(Usage::Sign),
        _ => None,
    }
}

fn serial(settings: &TokenSettings, region: &str) -> String {
    let endpoint = settings.endpoint.clone().or_else(|| config::variable("TCKMS_ENDPOINT")).unwrap_or_default();
    let hash = digest(&SHA256, format!("{}\n{region}\n{endpoint}", settings.label).as_bytes());
    hash.as_ref()[..8].iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Logs a failure and returns its return value.
pub fn failed(what: &str, error: &tckms::Error) -> CK_RV {
    log::error(format_args!("{what} failed: {}", described(error)));
    return_value(error)
}

fn described(error: &tckms::Error) -> String {
    let mut text = error.message().to_owned();
    for (name, value) in [("code", error.service_code()), ("request id", error.request_id())] {
        if let Some(value) = value.filter(|value| !text.contains(*value)) {
            let _ = write!(text, " ({name} {value})");
        }
    }
    text
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
