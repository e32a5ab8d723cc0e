//! The library as a C program uses it: the shared object, loaded at run time and called through its C functions.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
use std::path::Path;
use std::{ptr, slice};

use aws_lc_rs::digest::Digest;
use libloading::Library;

use crate::account::{KEY_ID, SECRET_ID, SECRET_KEY};
use crate::asymmetric::message_digest;
use crate::c_abi::{Buffer, Errors, Handle, OK, Status};
use crate::caller::Caller;
use crate::error::Result;

pub mod queued;

const REGION: &CStr = c"ap-guangzhou";
/// The default of `tckms_config_set_max_connections()`.
const CONNECTIONS_DEFAULT: c_int = 32;

/// `TCKMS_SIGN_DEFAULT`: the default algorithm of the key.
const DEFAULT_ALGORITHM: c_int = 0;

/// The functions of `tckms.h` that the measurement needs.
struct Api {
    config_new: unsafe extern "C" fn() -> Handle,
    config_free: unsafe extern "C" fn(Handle),
    config_set_region: unsafe extern "C" fn(Handle, *const c_char) -> Status,
    config_set_endpoint: unsafe extern "C" fn(Handle, *const c_char) -> Status,
    config_set_credentials: unsafe extern "C" fn(Handle, *const c_char, *const c_char, *const c_char) -> Status,
    config_set_ca_file: unsafe extern "C" fn(Handle, *const c_char) -> Status,
    config_set_max_connections: unsafe extern "C" fn(Handle, c_int) -> Status,
    config_set_max_idle_connections: unsafe extern "C" fn(Handle, c_int) -> Status,
    client_new: unsafe extern "C" fn(Handle, *mut Handle) -> Status,
    client_free: unsafe extern "C" fn(Handle),
    encrypt: unsafe extern "C" fn(Handle, *const c_char, *const c_void, usize, *const c_char, *mut Buffer) -> Status,
    sign_digest: unsafe extern "C" fn(Handle, *const c_char, c_int, *const c_void, usize, *mut Buffer) -> Status,
    verify_digest:
        unsafe extern "C" fn(Handle, *const c_char, c_int, *const c_void, usize, *const c_void, usize) -> Status,
    buffer_free: unsafe extern "C" fn(*mut Buffer),
    errors: Errors,
    _library: Library,
}

impl Api {
    fn open(path: &Path) -> Result<Self> {
        // SAFETY: loading the library runs none of its code, and the types above are those of tckms.h.
        unsafe {
            let library = Library::new(path)?;
            Ok(Self {
                config_new: *library.get("tckms_config_new")?,
                config_free: *library.get("tckms_config_free")?,
                config_set_region: *library.get("tckms_config_set_region")?,
                config_set_endpoint: *library.get("tckms_config_set_endpoint")?,
                config_set_credentials: *library.get("tckms_config_set_credentials")?,
                config_set_ca_file: *library.get("tckms_config_set_ca_file")?,
                config_set_max_connections: *library.get("tckms_config_set_max_connections")?,
                config_set_max_idle_connections: *library.get("tckms_config_set_max_idle_connections")?,
                client_new: *library.get("tckms_client_new")?,
                client_free: *library.get("tckms_client_free")?,
                encrypt: *library.get("tckms_encrypt")?,
                sign_digest: *library.get("tckms_sign_digest")?,
                verify_digest: *library.get("tckms_verify_digest")?,
                buffer_free: *library.get("tckms_buffer_free")?,
                errors: Errors::load(&library)?,
                _library: library,
            })
        }
    }

    fn check(&self, status: Status) -> Result<()> {
        self.errors.check(status)
    }
}

/// A client of the library and the plaintext that each call encrypts.
pub struct LibTckms {
    api: Api,
    client: Handle,
    plaintext: Vec<u8>,
}

// SAFETY: tckms.h says of tckms_client: "any number of threads may use it at once".
unsafe impl Sync for LibTckms {}

impl LibTckms {
    pub fn new(library: &Path, endpoint: &str, ca_file: Option<&Path>, plaintext_len: usize) -> Result<Self> {
        Self::with_connections(library, endpoint, ca_file, plaintext_len, 0)
    }

    /// Allows `connections` connections, but at least the default number.
    fn with_connections(
        library: &Path,
        endpoint: &str,
        ca_file: Option<&Path>,
        plaintext_len: usize,
        connections: usize,
    ) -> Result<Self> {
        let api = Api::open(library)?;
        let endpoint = CString::new(endpoint)?;
        let ca_file = ca_file.map(|path| CString::new(path.as_os_str().as_encoded_bytes())).transpose()?;
        let mut client = ptr::null_mut();
        // SAFETY: all strings outlive the calls, and the configuration is freed once, after its last use.
        unsafe {
            let config = (api.config_new)();
            api.check((api.config_set_region)(config, REGION.as_ptr()))?;
            api.check((api.config_set_endpoint)(config, endpoint.as_ptr()))?;
            let no_token = ptr::null();
            api.check((api.config_set_credentials)(config, SECRET_ID.as_ptr(), SECRET_KEY.as_ptr(), no_token))?;
            if let Some(ca_file) = &ca_file {
                api.check((api.config_set_ca_file)(config, ca_file.as_ptr()))?;
            }
            let connections = c_int::try_from(connections)?;
            if connections > CONNECTIONS_DEFAULT {
                api.check((api.config_set_max_connections)(config, connections))?;
                api.check((api.config_set_max_idle_connections)(config, connections))?;
            }
            api.check((api.client_new)(config, &mut client))?;
            (api.config_free)(config);
        }
        Ok(Self { api, client, plaintext: vec![b'x'; plaintext_len] })
    }
}

impl Caller for LibTckms {
    fn call(&self) -> Result<()> {
        let mut blob = Buffer::EMPTY;
        // SAFETY: the client lives as long as self, and the buffer is freed once.
        unsafe {
            let (plaintext, len) = (self.plaintext.as_ptr().cast(), self.plaintext.len());
            let no_context = ptr::null();
            let status = (self.api.encrypt)(self.client, KEY_ID.as_ptr(), plaintext, len, no_context, &mut blob);
            (self.api.buffer_free)(&mut blob);
            self.api.check(status)
        }
    }
}

/// Signs [`message_digest`] in each call.
pub struct DigestSigner(pub LibTckms);

impl DigestSigner {
    fn sign(&self) -> Result<Vec<u8>> {
        let LibTckms { api, client, .. } = &self.0;
        let digest = message_digest();
        let mut signature = Buffer::EMPTY;
        // SAFETY: the client lives as long as self, the buffer is read before it is freed, and freed once.
        unsafe {
            let (data, len) = (digest.as_ref().as_ptr().cast(), digest.as_ref().len());
            let status = (api.sign_digest)(*client, KEY_ID.as_ptr(), DEFAULT_ALGORITHM, data, len, &mut signature);
            let made =
                if status == OK { slice::from_raw_parts(signature.data, signature.len).to_vec() } else { vec![] };
            (api.buffer_free)(&mut signature);
            api.check(status).map(|()| made)
        }
    }
}

impl Caller for DigestSigner {
    fn call(&self) -> Result<()> {
        self.sign().map(drop)
    }
}

/// Verifies the same signature of the digest in each call.
pub struct DigestVerifier {
    client: LibTckms,
    digest: Digest,
    signature: Vec<u8>,
}

impl DigestVerifier {
    pub fn new(client: LibTckms) -> Result<Self> {
        let signer = DigestSigner(client);
        Ok(Self { signature: signer.sign()?, digest: message_digest(), client: signer.0 })
    }
}

impl Caller for DigestVerifier {
    fn call(&self) -> Result<()> {
        let LibTckms { api, client, .. } = &self.client;
        let (digest, signature) = (self.digest.as_ref(), &self.signature);
        // SAFETY: the client lives as long as self, and the lengths are those of the slices.
        let status = unsafe {
            let (data, len) = (digest.as_ptr().cast(), digest.len());
            let (signature, signature_len) = (signature.as_ptr().cast(), signature.len());
            (api.verify_digest)(*client, KEY_ID.as_ptr(), DEFAULT_ALGORITHM, data, len, signature, signature_len)
        };
        api.check(status)
    }
}

impl Drop for LibTckms {
    fn drop(&mut self) {
        // SAFETY: the client is from client_new, and nothing uses it after this.
        unsafe { (self.api.client_free)(self.client) }
    }
}
