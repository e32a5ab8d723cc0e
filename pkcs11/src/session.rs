//! Sessions and their operations.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use cryptoki_sys::*;

use crate::error::Result;
use crate::mechanism::Request;
use crate::object::{Kind, Object};
use crate::operation::{
    Decryption, Digesting, Encryption, Operations, Output, Signing, Verification, check_capacity, output,
};
use crate::token::Token;

/// The maximal number of sessions of a process.
const SESSIONS_MAX: usize = 65_536;

/// A session.
pub struct Session {
    /// The index of the slot.
    pub slot: usize,
    /// Whether it is a read-write session. Programs read this from the state of the session; nothing can be written.
    pub read_write: bool,
    token: Arc<Token>,
    /// Not locked during requests.
    operations: Mutex<Operations>,
}

/// A kind of operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperationKind {
    /// C_FindObjects.
    Find,
    /// C_Sign.
    Sign,
    /// C_Verify.
    Verify,
    /// C_Encrypt.
    Encrypt,
    /// C_Decrypt.
    Decrypt,
    /// C_Digest.
    Digest,
}

impl Session {
    fn new(slot: usize, token: Arc<Token>, read_write: bool) -> Self {
        Self { slot, read_write, token, operations: Mutex::default() }
    }

    fn inherited(&self, token: Arc<Token>) -> Self {
        let operations = self.operations.try_lock().map_or_else(|_| Operations::default(), |state| state.clone());
        Self { slot: self.slot, read_write: self.read_write, token, operations: Mutex::new(operations) }
    }

    /// The token.
    pub fn token(&self) -> &Arc<Token> {
        &self.token
    }

    fn state(&self) -> MutexGuard<'_, Operations> {
        self.operations.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the active operation of this kind, if there is one.
    pub fn end(&self, kind: OperationKind) {
        let mut state = self.state();
        match kind {
            OperationKind::Find => state.find = None,
            OperationKind::Sign => state.sign = None,
            OperationKind::Verify => state.verify = None,
            OperationKind::Encrypt => state.encrypt = None,
            OperationKind::Decrypt => state.decrypt = None,
            OperationKind::Digest => state.digest = None,
        }
    }

    fn key_object(&self, handle: CK_OBJECT_HANDLE, kind: Kind) -> Result<Arc<Object>> {
        match self.token.object(handle) {
            Ok(object) if object.kind == kind => Ok(object),
            Ok(object) if matches!(object.kind, Kind::Certificate(_)) => Err(CKR_KEY_TYPE_INCONSISTENT),
            Ok(_) => Err(CKR_KEY_FUNCTION_NOT_PERMITTED),
            Err(_) => Err(CKR_KEY_HANDLE_INVALID),
        }
    }

    /// C_FindObjectsInit.
    pub fn find_init(&self, template: &[(CK_ATTRIBUTE_TYPE, Vec<u8>)]) -> Result<()> {
        if self.state().find.is_some() {
            return Err(CKR_OPERATION_ACTIVE);
        }
        let found = self.token.find(template)?;
        begin(&mut self.state().find, found.into())
    }

    /// C_FindObjects: at most `max` handles.
    pub fn find(&self, max: usize) -> Result<Vec<CK_OBJECT_HANDLE>> {
        let mut state = self.state();
        let found = state.find.as_mut().ok_or(CKR_OPERATION_NOT_INITIALIZED)?;
        let count = max.min(found.len());
        Ok(found.drain(..count).collect())
    }

    /// C_FindObjectsFinal.
    pub fn find_final(&self) -> Result<()> {
        self.state().find.take().map(|_| ()).ok_or(CKR_OPERATION_NOT_INITIALIZED)
    }

    /// C_SignInit.
    pub fn sign_init(&self, request: &Request, key: CK_OBJECT_HANDLE) -> Result<()> {
        let mut state = self.state();
        check_idle(&state.sign)?;
        let object = self.key_object(key, Kind::Private)?;
        begin(&mut state.sign, Signing::new(Arc::clone(&object.key), request)?)
    }

    /// C_Sign.
    pub fn sign(&self, data: &[u8], capacity: Option<usize>) -> Result<Output> {
        self.sign_with(capacity, |signing| {
            if signing.has_parts() {
                return Err(CKR_OPERATION_ACTIVE);
            }
            signing.add(data)
        })
    }

    /// C_SignUpdate.
    pub fn sign_update(&self, part: &[u8]) -> Result<()> {
        self.state().sign.as_mut().ok_or(CKR_OPERATION_NOT_INITIALIZED)?.update(part)
    }

    /// C_SignFinal.
    pub fn sign_final(&self, capacity: Option<usize>) -> Result<Output> {
        self.sign_with(capacity, |_| Ok(()))
    }

    fn sign_with(&self, capacity: Option<usize>, complete: impl FnOnce(&mut Signing) -> Result<()>) -> Result<Output> {
        let mut state = self.state();
        let signing = state.sign.as_ref().ok_or(CKR_OPERATION_NOT_INITIALIZED)?;
        if let Some(unfinished) = check_capacity(capacity, signing.signature_len()) {
            return Ok(unfinished);
        }
        let mut signing = state.sign.take().ok_or(CKR_OPERATION_NOT_INITIALIZED)?;
        drop(state);
        complete(&mut signing)?;
        output(&signing.finish(self.token.client())?)
    }

    /// C_VerifyInit.
    pub fn verify_init(&self, request: &Request, key: CK_OBJECT_HANDLE) -> Result<()> {
        let mut state = self.state();
        check_idle(&state.verify)?;
        let object = self.key_object(key, Kind::Public)?;
        begin(&mut state.verify, Verification::new(Arc::clone(&object.key), request)?)
    }

    /// C_Verify.
    pub fn verify(&self, data: &[u8], signature: &[u8]) -> Result<()> {
        let mut verification = self.state().verify.take().ok_or(CKR_OPERATION_NOT_INITIALIZED)?;
        if verification.has_parts() {
            return Err(CKR_OPERATION_ACTIVE);
        }
        verification.add(data)?;
        verification.finish(signature)
    }

    /// C_VerifyUpdate.
    pub fn verify_update(&self, part: &[u8]) -> Result<()> {
        self.state().verify.as_mut().ok_or(CKR_OPERATION_NOT_INITIALIZED)?.update(part)
    }

    /// C_VerifyFinal.
    pub fn verify_final(&self, signature: &[u8]) -> Result<()> {
        self.state().verify.take().ok_or(CKR_OPERATION_NOT_INITIALIZED)?.finish(signature)
    }

    /// C_EncryptInit.
    pub fn encrypt_init(&self, request: &Request, key: CK_OBJECT_HANDLE) -> Result<()> {
        let mut state = self.state();
        check_idle(&state.encrypt)?;
        let object = self.key_object(key, Kind::Public)?;
        begin(&mut state.encrypt, Encryption::new(Arc::clone(&object.key), request)?)
    }

    /// C_Encrypt.
    pub fn encrypt(&self, plaintext: &[u8], capacity: Option<usize>) -> Result<Output> {
        let mut state = self.state();
        let encryption = state.encrypt.as_ref().ok_or(CKR_OPERATION_NOT_INITIALIZED)?;
        if let Some(unfinished) = check_capacity(capacity, encryption.ciphertext_len()) {
            return Ok(unfinished);
        }
        let encryption = state.encrypt.take().ok_or(CKR_OPERATION_NOT_INITIALIZED)?;
        drop(state);
        output(&encryption.finish(plaintext)?)
    }

    /// C_DecryptInit.
    pub fn decrypt_init(&self, request: &Request, key: CK_OBJECT_HANDLE) -> Result<()> {
        let mut state = self.state();
        check_idle(&state.decrypt)?;
        let object = self.key_object(key, Kind::Private)?;
        begin(&mut state.decrypt, Decryption::new(Arc::clone(&object.key), request)?)
    }

    /// C_Decrypt. The length of the plaintext is known only after the request. If the program's buffer is too small, the plaintext is
    /// kept, and a second call sends no request.
    pub fn decrypt(&self, ciphertext: &[u8], capacity: Option<usize>) -> Result<Output> {
        let mut state = self.state();
        let decryption = state.decrypt.as_ref().ok_or(CKR_OPERATION_NOT_INITIALIZED)?;
        let Some(capacity) = capacity else { return Ok(Output::Size(decryption.plaintext_max())) };
        let mut decryption = state.decrypt.take().ok_or(CKR_OPERATION_NOT_INITIALIZED)?;
        drop(state);
        let plaintext = decryption.plaintext(self.token.client(), ciphertext)?;
        if plaintext.len() > capacity {
            self.state().decrypt = Some(decryption);
            return Ok(Output::TooSmall(plaintext.len()));
        }
        output(plaintext.expose())
    }

    /// C_DigestInit.
    pub fn digest_init(&self, request: &Request) -> Result<()> {
        let mut state = self.state();
        check_idle(&state.digest)?;
        begin(&mut state.digest, Digesting::new(request)?)
    }

    /// C_Digest.
    pub fn digest(&self, data: &[u8], capacity: Option<usize>) -> Result<Output> {
        let mut state = self.state();
        let digesting = state.digest.as_ref().ok_or(CKR_OPERATION_NOT_INITIALIZED)?;
        if digesting.has_parts() {
            return Err(CKR_OPERATION_ACTIVE);
        }
        if let Some(unfinished) = check_capacity(capacity, digesting.digest_len()) {
            return Ok(unfinished);
        }
        let mut digesting = state.digest.take().ok_or(CKR_OPERATION_NOT_INITIALIZED)?;
        digesting.update(data);
        output(&digesting.finish())
    }

    /// C_DigestUpdate.
    pub fn digest_update(&self, part: &[u8]) -> Result<()> {
        self.state().digest.as_mut().ok_or(CKR_OPERATION_NOT_INITIALIZED)?.update(part);
        Ok(())
    }

    /// C_DigestFinal.
    pub fn digest_final(&self, capacity: Option<usize>) -> Result<Output> {
        let mut state = self.state();
        let digesting = state.digest.as_ref().ok_or(CKR_OPERATION_NOT_INITIALIZED)?;
        if let Some(unfinished) = check_capacity(capacity, digesting.digest_len()) {
            return Ok(unfinished);
        }
        let digesting = state.digest.take().ok_or(CKR_OPERATION_NOT_INITIALIZED)?;
        output(&digesting.finish())
    }
}

fn check_idle<T>(operation: &Option<T>) -> Result<()> {
    if operation.is_some() { Err(CKR_OPERATION_ACTIVE) } else { Ok(()) }
}

fn begin<T>(slot: &mut Option<T>, operation: T) -> Result<()> {
    check_idle(slot)?;
    *slot = Some(operation);
    Ok(())
}

/// The sessions of a process.
#[derive(Default)]
pub struct Sessions {
    open: RwLock<HashMap<CK_SESSION_HANDLE, Arc<Session>>>,
    last: AtomicU64,
}

impl Sessions {
    /// The sessions of the parent, for a forked child. If another thread held the lock during the fork, there are none: the child
    /// cannot wait for it.
    pub fn inherited(&self, tokens: &[Arc<Token>]) -> Self {
        let mut open = HashMap::new();
        if let Ok(of_parent) = self.open.try_read() {
            let here = |session: &Session| tokens.get(session.slot).map(|token| session.inherited(Arc::clone(token)));
            open.extend(of_parent.iter().filter_map(|(handle, session)| Some((*handle, Arc::new(here(session)?)))));
        }
        Self { open: RwLock::new(open), last: AtomicU64::new(self.last.load(Ordering::Relaxed)) }
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<CK_SESSION_HANDLE, Arc<Session>>> {
        self.open.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<CK_SESSION_HANDLE, Arc<Session>>> {
        self.open.write().unwrap_or_else(PoisonError::into_inner)
    }

    /// Opens a session.
    pub fn open(&self, slot: usize, token: Arc<Token>, read_write: bool) -> Result<CK_SESSION_HANDLE> {
        let mut open = self.write();
        if open.len() >= SESSIONS_MAX {
            return Err(CKR_SESSION_COUNT);
        }
        let handle = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        let handle = CK_SESSION_HANDLE::try_from(handle).map_err(|_| CKR_SESSION_COUNT)?;
        open.insert(handle, Arc::new(Session::new(slot, token, read_write)));
        Ok(handle)
    }

    /// The session with this handle.
    pub fn get(&self, handle: CK_SESSION_HANDLE) -> Result<Arc<Session>> {
        self.read().get(&handle).cloned().ok_or(CKR_SESSION_HANDLE_INVALID)
    }

    /// Closes a session, and returns its slot.
    pub fn close(&self, handle: CK_SESSION_HANDLE) -> Result<usize> {
        self.write().remove(&handle).map(|session| session.slot).ok_or(CKR_SESSION_HANDLE_INVALID)
    }

    /// Closes all sessions of a slot.
    pub fn close_all(&self, slot: usize) {
        self.write().retain(|_, session| session.slot != slot);
    }

    /// The number of sessions of a slot, and of its read-write sessions.
    pub fn count(&self, slot: usize) -> (usize, usize) {
        let open = self.read();
        let of_slot = || open.values().filter(|session| session.slot == slot);
        (of_slot().count(), of_slot().filter(|session| session.read_write).count())
    }
}
