//! A CMK that wraps data keys through branch keys: the `tencent-kms-hierarchy` convention of docs/sealing.md.

use std::collections::HashSet;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::call_control;
use crate::client::Client;
use crate::error::{Error, Result};
use crate::seal::cache::IdMaker;
use crate::seal::cache::lru::{Id, LruCache, Peek, Refresh, UsageLimits, Wanted};
use crate::seal::format::branch_id::{BranchId, BranchVersion};
use crate::seal::format::branch_record::BranchRecord;
use crate::seal::format::branch_wrap::{
    self, Binding, BranchForm, BranchKeyName, BranchSecret, BranchWrapped, TENCENT_KMS_HIERARCHY_PROVIDER_ID,
};
use crate::seal::format::wrapped_key::WrappedKey;
use crate::seal::keys::branch::counters::{BranchStats, Reporter};
use crate::seal::keys::branch::known::{Known, REFUSED_MAX, key_id};
use crate::seal::keys::branch::make;
use crate::seal::keys::branch::options::BranchOptions;
use crate::seal::keys::branch::record_source::{RecordSource, Seed};
use crate::seal::keys::branch::request_gate::RequestGate;
use crate::seal::keys::branch::store_source::StoreWait;
use crate::seal::keys::branch_supplier::SuppliedBranch;
use crate::seal::keys::kms::{check_key_id, early_client};
use crate::seal::keys::wrapping_key::{KeyRequest, UnwrapCost, WrappingKey};
use crate::secret::Secret;
use crate::status::{Category, Status};
use crate::sys::clock::Moment;
use crate::sys::per_process::PerProcess;

/// Later than for data keys: there are few branch keys, so a short time is enough to renew them.
const REFRESH: Refresh = Refresh { starts: 0.85, spread: 0.1 };
/// How often it is checked whether a CMK that refused a record works otherwise, if it did not.
const CMK_CHECK_INTERVAL: Duration = Duration::from_secs(1);
/// The maximal number of records of a branch to try if the CMK refuses them.
const RECORDS_TRIED_MAX: usize = 4;

/// One CMK in one region, with the branch keys under it.
pub(in crate::seal) struct BranchKey {
    client: Client,
    early_client: Client,
    key_id: String,
    /// `<region>/<KeyId>`, the name in records and messages.
    cmk: String,
    instance_id: u64,
    options: BranchOptions,
    opens: HashSet<BranchId>,
    seed: Seed,
    reporter: Arc<Reporter>,
    state: PerProcess<ProcessState>,
}

/// The state of one process.
struct ProcessState {
    keys: Arc<LruCache<BranchSecret>>,
    /// Keys without a shared record.
    own_keys: LruCache<LocalKey>,
    source: RecordSource,
    gate: RequestGate,
    /// When the CMK last refused all records.
    refused: Mutex<Option<Moment>>,
}

/// What a branch key is unwrapped for. Opening has limits of its own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Use {
    Seal,
    Open,
}

struct LocalKey {
    known: Arc<Known>,
    key: Arc<BranchSecret>,
}

/// A branch key that wraps a data key.
struct SealingKey {
    known: Arc<Known>,
    key: Arc<BranchSecret>,
    form: BranchForm,
}

impl SealingKey {
    fn name(&self) -> BranchKeyName<'_> {
        let record = &self.known.record;
        BranchKeyName { form: self.form, branch_id: &record.branch_id, version: &record.version, blob: &record.blob }
    }
}

impl BranchKey {
    pub fn new(client: &Client, key_id: &str, options: BranchOptions) -> Result<Self> {
        static NEXT_ID: AtomicU64 = AtomicU64::new(0);
        check_key_id(key_id)?;
        options.check()?;
        let cmk = make::cmk_name(client, key_id);
        let reporter = Arc::new(Reporter::new(client));
        let seed = Seed::new(client, key_id, &cmk, &options, &reporter)?;
        Ok(Self {
            early_client: early_client(client)?,
            client: client.clone(),
            key_id: key_id.to_owned(),
            cmk,
            instance_id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            opens: options.branch_id.iter().chain(&options.also_open).cloned().collect(),
            options,
            seed,
            reporter,
            state: PerProcess::new(),
        })
    }

    pub fn stats(&self) -> BranchStats {
        self.reporter.stats()
    }

    fn state(&self) -> &ProcessState {
        self.state.get_or_init(|| {
            let limits =
                UsageLimits { max_age: self.options.ttl, messages: u64::MAX, bytes: u64::MAX, refresh: REFRESH };
            let keys = Arc::new(LruCache::new(limits, self.options.max_keys));
            let source = RecordSource::new(&self.seed, &self.cmk, &self.options, &self.reporter, &keys);
            ProcessState {
                keys,
                own_keys: LruCache::new(limits, self.options.max_keys),
                source,
                gate: RequestGate::default(),
                refused: Mutex::default(),
            }
        })
    }

    /// The branch for sealing a message.
    fn branch_to_seal<'a>(&'a self, request: &'a KeyRequest<'_>) -> Result<&'a BranchId> {
        match (request.branch, &self.options.branch_id) {
            (SuppliedBranch::Named(named), _) => Ok(named),
            (SuppliedBranch::Failed(error), _) => Err(error.clone()),
            (SuppliedBranch::NotAsked, Some(branch_id)) => Ok(branch_id),
            (SuppliedBranch::NotAsked, None) => {
                let message = "a branch key has no branch id, and the keyring has no callback that names branches";
                Err(Error::new(Status::NoUsableKey, message))
            }
        }
    }

    fn key_to_seal(&self, request: &KeyRequest<'_>) -> Result<SealingKey> {
        self.sealing_key(request, self.branch_to_seal(request)?)
    }

    fn binding<'a>(&'a self, request: &KeyRequest<'a>) -> Binding<'a> {
        Binding { provider_info: self.cmk.as_bytes(), context: request.context }
    }

    fn wrapped(&self, blob: Vec<u8>) -> WrappedKey {
        self.reporter.counters.wraps.add(1);
        WrappedKey {
            provider_id: TENCENT_KMS_HIERARCHY_PROVIDER_ID.to_owned(),
            provider_info: self.cmk.clone().into_bytes(),
            blob,
        }
    }

    /// Refuses a branch that the keyring does not allow for the message.
    fn check_allowed(&self, request: &KeyRequest<'_>, branch_id: &BranchId) -> Result<()> {
        let is_allowed = match request.branch {
            SuppliedBranch::Named(named) => named == branch_id,
            SuppliedBranch::Failed(error) => return Err(error.clone()),
            SuppliedBranch::NotAsked => self.options.open_any || self.opens.contains(branch_id),
        };
        if is_allowed {
            return Ok(());
        }
        let message = format!("the message belongs to branch {branch_id}, which the keyring does not allow for it");
        Err(Error::new(Status::BranchNotAllowed, message))
    }

    /// The current branch key for sealing. If the CMK refuses a record, the next one is tried.
    fn sealing_key(&self, request: &KeyRequest<'_>, branch_id: &BranchId) -> Result<SealingKey> {
        let (state, early) = (self.state(), request.early);
        // Others are not tried anyway.
        for _ in 0..=REFUSED_MAX {
            let Some(known) = self.current(state, request, branch_id)? else { break };
            match self.key_of(state, &known, Use::Seal, early) {
                Ok(key) => return Ok(SealingKey { known, key, form: self.options.form }),
                Err(error) if is_caused_by_record(&error) || self.has_better_key(state, &known, &error, early) => {
                    self.refuse(state, &known, &error);
                }
                Err(error) => return Err(error),
            }
        }
        self.local_key(state, branch_id, early)
    }

    /// Whether the CMK works although it refused a record. The record may then be of another CMK, which does not work. If the CMK
    /// unwraps an older record or, without one, generates a key, sealing continues with that.
    fn has_better_key(&self, state: &ProcessState, refused: &Known, error: &Error, early: bool) -> bool {
        let category = error.status().category();
        if error.is_outage() || !matches!(category, Category::Identity | Category::Request) {
            return false;
        }
        if lock(&state.refused).is_some_and(|refused| Moment::now().since(refused) < CMK_CHECK_INTERVAL) {
            return false;
        }
        let works = self.unwraps_or_generates(state, refused, category, early);
        if !works {
            *lock(&state.refused) = Some(Moment::now());
        }
        works
    }

    /// Whether the CMK unwraps an older record or generates a key.
    fn unwraps_or_generates(&self, state: &ProcessState, refused: &Known, category: Category, early: bool) -> bool {
        let branch_id = &refused.record.branch_id;
        let mut order = refused.age_order();
        for _ in 0..RECORDS_TRIED_MAX {
            let Some(older) = state.source.newest_of(branch_id, &|known| known.age_order() < order) else { break };
            let BranchRecord { version, blob, .. } = &older.record;
            // Not from the cache, which may have the key of a CMK that was disabled meanwhile.
            if self.unwrap_record(branch_id, version, blob.as_bytes(), early).is_ok() {
                return true;
            }
            order = older.age_order();
        }
        let has_fallback = state.source.is_store() && self.options.form == BranchForm::Embedded;
        // Being allowed to generate a key does not include being allowed to unwrap one.
        has_fallback && category == Category::Request && self.own_key(state, branch_id, early).is_ok()
    }

    /// The current record for sealing, or `None` if a local key is used.
    fn current(
        &self,
        state: &ProcessState,
        request: &KeyRequest<'_>,
        branch_id: &BranchId,
    ) -> Result<Option<Arc<Known>>> {
        let current = state.source.current(branch_id, &|| self.store_wait(state, request, branch_id))?;
        if current.is_none() && !state.source.is_own() && !state.source.is_store() {
            let message = format!("branch {branch_id} has no usable record under CMK {}", self.cmk);
            return Err(state.source.explain(Error::new(Status::NoUsableKey, message)));
        }
        Ok(current)
    }

    /// How long sealing waits for the store: a local key needs time too. All keys of a message wait at the same time.
    fn store_wait(&self, state: &ProcessState, request: &KeyRequest<'_>, branch_id: &BranchId) -> StoreWait {
        let now = Moment::now();
        let begun = request.begun.unwrap_or(now);
        let limit = self.client.total_timeout();
        let left = call_control::time_left(limit);
        let has_fallback = self.options.form == BranchForm::Embedded;
        StoreWait {
            for_store: if has_fallback { begun + (now.since(begun) + left).min(limit) / 2 } else { now + left },
            for_service: now + left,
            has_own_key: has_fallback && !matches!(state.own_keys.peek(&own_key_id(branch_id)), Peek::Nothing),
        }
    }

    /// A branch key that only this process seals with. Its messages contain it, because otherwise they could not be
    /// opened.
    fn local_key(&self, state: &ProcessState, branch_id: &BranchId, early: bool) -> Result<SealingKey> {
        if self.options.form == BranchForm::ByReference {
            let none = || Error::new(Status::BranchStoreFailed, "it has none that can be used");
            let reason = state.source.failure(branch_id).unwrap_or_else(none);
            return Err(reason.in_step("a message by reference needs a record of the store"));
        }
        let own = self.own_key(state, branch_id, early)?;
        if !state.source.is_own() {
            self.reporter.counters.own_key_wraps.add(1);
        }
        Ok(SealingKey { known: Arc::clone(&own.known), key: Arc::clone(&own.key), form: BranchForm::Embedded })
    }

    fn own_key(&self, state: &ProcessState, branch_id: &BranchId, early: bool) -> Result<Arc<LocalKey>> {
        state.keys.sweep();
        let id = own_key_id(branch_id);
        let wanted = Wanted { ids: &[id], flight: id, bytes: 0 };
        let fetch = |renewal| {
            let early = early || renewal;
            let request = || make::generate(self.client(early), &self.key_id, branch_id);
            let (record, key) = if early { request() } else { state.gate.send(&id, &self.client, request) }?;
            self.reporter.counters.keys_made.add(1);
            Ok((id, Arc::new(LocalKey { known: Known::new(record), key: BranchSecret::new(&key) })))
        };
        state.own_keys.get(&wanted, |_| Ok(()), fetch)
    }

    /// The branch key of a record, from the cache or from the CMK.
    fn key_of(&self, state: &ProcessState, known: &Known, purpose: Use, early: bool) -> Result<Arc<BranchSecret>> {
        let BranchRecord { branch_id, version, blob, .. } = &known.record;
        let key = self.cached_key(state, known.id, (purpose, early), branch_id, version, blob.as_bytes())?;
        known.set_works();
        Ok(key)
    }

    fn cached_key(
        &self,
        state: &ProcessState,
        id: Id,
        (purpose, early): (Use, bool),
        branch_id: &BranchId,
        version: &BranchVersion,
        blob: &[u8],
    ) -> Result<Arc<BranchSecret>> {
        state.own_keys.sweep();
        let wanted = Wanted { ids: &[id], flight: id, bytes: 0 };
        let fetch = |renewal| {
            let early = early || renewal;
            let request = || self.unwrap_record(branch_id, version, blob, early);
            let is_gated = purpose == Use::Seal && !early;
            let key = if is_gated { state.gate.send(&id, &self.client, request) } else { request() }?;
            Ok((id, BranchSecret::new(&key)))
        };
        state.keys.get(&wanted, |_| Ok(()), fetch)
    }

    fn unwrap_record(&self, branch_id: &BranchId, version: &BranchVersion, blob: &[u8], early: bool) -> Result<Secret> {
        let key = make::unwrap(self.client(early), &self.key_id, branch_id, version, blob)?;
        self.reporter.counters.keys_unwrapped.add(1);
        Ok(key)
    }

    fn client(&self, early: bool) -> &Client {
        if early { &self.early_client } else { &self.client }
    }

    fn refuse(&self, state: &ProcessState, known: &Known, error: &Error) {
        state.source.refuse(known, error);
        self.reporter.counters.records_refused.add(1);
        self.reporter.warn(format_args!(
            "the CMK refused the record of branch {} and version {}: {}",
            known.record.branch_id,
            known.record.version,
            error.message()
        ));
    }

    fn find_or_load(
        &self,
        state: &ProcessState,
        request: &KeyRequest<'_>,
        branch_id: &BranchId,
        wrapped: &BranchWrapped<'_>,
    ) -> Result<Arc<Known>> {
        state.source.find_or_load(branch_id, &wrapped.version, request.begun.unwrap_or_else(Moment::now))
    }

    fn open_with(
        &self,
        request: &KeyRequest<'_>,
        wrapped: &BranchWrapped<'_>,
        branch_key: &BranchSecret,
    ) -> Result<Secret> {
        let data_key = wrapped.unwrap(branch_key, self.binding(request))?;
        self.reporter.counters.unwraps.add(1);
        Ok(data_key)
    }

    /// Parses a wrapped key and checks its branch.
    fn parse<'a>(&self, request: &KeyRequest<'_>, wrapped: &'a WrappedKey) -> Result<(BranchWrapped<'a>, BranchId)> {
        let parsed = BranchWrapped::parse(&wrapped.blob)?;
        let branch_id = BranchId::new(parsed.branch_id)?;
        self.check_allowed(request, &branch_id)?;
        Ok((parsed, branch_id))
    }

    fn try_locally(&self, request: &KeyRequest<'_>, wrapped: &WrappedKey) -> Result<Option<Secret>> {
        let (parsed, branch_id) = self.parse(request, wrapped)?;
        let state = self.state();
        state.own_keys.sweep();
        let id = match parsed.form {
            BranchForm::Embedded => key_id(&branch_id, &parsed.version, parsed.blob),
            BranchForm::ByReference => {
                let begun = request.begun.unwrap_or_else(Moment::now);
                match state.source.find(&branch_id, &parsed.version) {
                    Some(known) => known.id,
                    None if state.source.is_store() => return Ok(None),
                    None => return Err(state.source.missing(&branch_id, &parsed.version, begun)),
                }
            }
        };
        let key = match state.keys.peek(&id) {
            Peek::Value(key) => key,
            Peek::RefreshDue => self.key_for_opening(state, request, &parsed, &branch_id)?,
            Peek::Nothing => return Ok(None),
        };
        self.open_with(request, &parsed, &key).map(Some)
    }

    fn key_for_opening(
        &self,
        state: &ProcessState,
        request: &KeyRequest<'_>,
        parsed: &BranchWrapped<'_>,
        branch_id: &BranchId,
    ) -> Result<Arc<BranchSecret>> {
        match parsed.form {
            BranchForm::Embedded => {
                let id = key_id(branch_id, &parsed.version, parsed.blob);
                self.cached_key(state, id, (Use::Open, request.early), branch_id, &parsed.version, parsed.blob)
            }
            BranchForm::ByReference => {
                for _ in 0..RECORDS_TRIED_MAX {
                    let known = self.find_or_load(state, request, branch_id, parsed)?;
                    match self.key_of(state, &known, Use::Open, request.early) {
                        Err(error) if is_caused_by_record(&error) => self.refuse(state, &known, &error),
                        outcome => return outcome,
                    }
                }
                Err(state.source.missing(branch_id, &parsed.version, Moment::now()))
            }
        }
    }
}

impl Drop for BranchKey {
    /// In a forked child nothing drops the states of its ancestors.
    fn drop(&mut self) {
        self.state.for_each_inherited(|state, proof| state.source.give_back(proof));
    }
}

impl WrappingKey for BranchKey {
    fn identity(&self) -> Vec<u8> {
        format!("{TENCENT_KMS_HIERARCHY_PROVIDER_ID}/{}", self.instance_id).into_bytes()
    }

    fn can_wrap(&self) -> bool {
        true
    }

    fn is_local(&self) -> bool {
        true
    }

    fn generate(&self, request: &KeyRequest<'_>) -> Result<(Secret, WrappedKey)> {
        let key = self.key_to_seal(request)?;
        let (data_key, blob) = branch_wrap::wrap_new(&key.name(), &key.key, self.binding(request))?;
        Ok((data_key, self.wrapped(blob)))
    }

    fn wrap(&self, request: &KeyRequest<'_>, data_key: &Secret) -> Result<WrappedKey> {
        let key = self.key_to_seal(request)?;
        Ok(self.wrapped(branch_wrap::wrap(&key.name(), &key.key, self.binding(request), data_key)?))
    }

    fn claims(&self, wrapped: &WrappedKey) -> bool {
        wrapped.provider_id == TENCENT_KMS_HIERARCHY_PROVIDER_ID && wrapped.provider_info == self.cmk.as_bytes()
    }

    /// Each message may have its own context, and one request serves all messages of a branch key.
    fn request_group(&self, wrapped: &WrappedKey) -> Option<String> {
        BranchWrapped::parse(&wrapped.blob).ok().map(|parsed| parsed.branch_id.to_owned())
    }

    fn cancelable(&self, wait: &mut dyn FnMut()) {
        self.client.cancelable(wait);
    }

    fn warn(&self, message: fmt::Arguments<'_>) {
        self.reporter.warn(message);
    }

    fn waits(&self, wrapped: &WrappedKey) -> bool {
        let source = &self.state().source;
        if !source.is_store() {
            return false;
        }
        let parsed = BranchWrapped::parse(&wrapped.blob).ok().filter(|parsed| parsed.form == BranchForm::ByReference);
        parsed.is_some_and(|parsed| {
            BranchId::new(parsed.branch_id).is_ok_and(|branch_id| source.waits(&branch_id, &parsed.version))
        })
    }

    fn unwrap_cost(&self) -> UnwrapCost {
        UnwrapCost::Request(self.client.instance_id())
    }

    fn unwrap_locally(&self, request: &KeyRequest<'_>, wrapped: &WrappedKey) -> Option<Result<Secret>> {
        self.try_locally(request, wrapped).transpose()
    }

    /// Loads the record from the store.
    fn prepare(&self, request: &KeyRequest<'_>, wrapped: &WrappedKey) -> Result<()> {
        let (parsed, branch_id) = self.parse(request, wrapped)?;
        match parsed.form {
            BranchForm::Embedded => Ok(()),
            BranchForm::ByReference => self.find_or_load(self.state(), request, &branch_id, &parsed).map(drop),
        }
    }

    fn unwrap(&self, request: &KeyRequest<'_>, wrapped: &WrappedKey) -> Result<Secret> {
        let (parsed, branch_id) = self.parse(request, wrapped)?;
        let key = self.key_for_opening(self.state(), request, &parsed, &branch_id)?;
        self.open_with(request, &parsed, &key)
    }
}

fn lock<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

fn own_key_id(branch_id: &BranchId) -> Id {
    IdMaker::new("own branch key").part(branch_id.as_str().as_bytes()).finish()
}

/// Whether the failure is about the record itself, not about the CMK or the connection.
fn is_caused_by_record(error: &Error) -> bool {
    error.status() == Status::InvalidCiphertext || error.status().category() == Category::Integrity
}
