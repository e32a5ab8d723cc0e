//! The client: each KMS call as one function.

mod asymmetric;
mod key_info;
mod key_listing;
mod keys;
mod parameters;

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::api::caller::ApiCaller;
use crate::api::limits::CallLimits;
use crate::api::request::{Fields, Request};
use crate::api::response::{CIPHERTEXT_BLOB_MAX, KEY_ID_MAX, Response, is_blob, is_key_id};
use crate::block_on::block_on;
use crate::call_control::{self, CancelToken};
use crate::client_builder;
use crate::config::Config;
use crate::encoding::base64_len;
use crate::encryption_context;
use crate::error::{Error, Result};
use crate::http::exchange::HttpReply;
use crate::http::transport::Transport;
use crate::last_request;
use crate::log::{LogContext, LogLevel};
use crate::sanitize::quoted;
use crate::secret::Secret;
use crate::stats::Stats;
use crate::status::Status;

use self::asymmetric::AsymmetricKeys;
pub(crate) use self::asymmetric::check_rsa_ciphertext;
pub use self::asymmetric::{Signature, Signer};
pub use self::key_info::KeyInfo;
pub use self::key_listing::KeyFilter;
pub use self::keys::{CreatedKey, NewKey};

/// Maximum length of a plaintext of Encrypt, in bytes ("up to 4 KB" on the Encrypt page).
pub const PLAINTEXT_MAX: usize = 4096;
/// Maximum number of bytes of GenerateDataKey and GenerateRandom (their pages: 1 to 1024).
pub const RANDOM_MAX: usize = 1024;

/// A client of Tencent Cloud KMS.
///
/// It never changes, any number of threads may use it at once, and clones share everything. Creating one opens no
/// connection and starts no thread.
#[derive(Clone)]
pub struct Client {
    caller: Arc<ApiCaller>,
    limits: CallLimits,
    cancel: CancelToken,
    asymmetric: Arc<AsymmetricKeys>,
}

/// The result of Encrypt and ReEncrypt.
pub struct Encrypted {
    /// Opaque text; store it unchanged.
    pub ciphertext_blob: String,
    /// The CMK that the plaintext is encrypted under now.
    pub key_id: String,
    /// The CMK that it was encrypted under before, for ReEncrypt.
    pub source_key_id: Option<String>,
    /// The service's id of the request.
    pub request_id: Option<String>,
}

/// The result of Decrypt.
pub struct Decrypted {
    /// The plaintext.
    pub plaintext: Secret,
    /// The CMK it was encrypted under.
    pub key_id: String,
    /// The service's id of the request.
    pub request_id: Option<String>,
}

/// The result of GenerateDataKey.
pub struct DataKey {
    /// The key to encrypt with; wipe it after use.
    pub plaintext: Secret,
    /// The same key under the CMK; store it with the data.
    pub ciphertext_blob: String,
    /// The CMK that wraps the key.
    pub key_id: String,
    /// The service's id of the request.
    pub request_id: Option<String>,
}

/// The result of GenerateRandom.
pub struct Random {
    /// The bytes.
    pub bytes: Secret,
    /// The service's id of the request.
    pub request_id: Option<String>,
}

/// The result of any action.
pub struct RawResponse {
    /// The JSON object under `Response`, exactly as the service wrote it.
    pub json: Secret,
    /// The service's id of the request.
    pub request_id: Option<String>,
    /// The `Date` of the reply.
    pub service_time: Option<SystemTime>,
}

impl Client {
    /// Creates a client. The configuration is copied.
    pub fn new(config: &Config) -> Result<Self> {
        Ok(Self {
            caller: Arc::new(client_builder::kms_caller(config)?),
            limits: config.limits.clone(),
            cancel: CancelToken::default(),
            asymmetric: Arc::new(AsymmetricKeys::new()),
        })
    }

    /// Creates a client from the environment, see [`Config::from_env`].
    pub fn from_env() -> Result<Self> {
        Self::new(&Config::from_env()?)
    }

    /// A client with other timeouts or retries that shares connections, credentials and everything else.
    pub fn derive(&self, config: &Config) -> Result<Self> {
        config.check_derivable()?;
        Ok(Self {
            caller: Arc::clone(&self.caller),
            limits: config.limits.over(&self.limits),
            cancel: self.cancel.child(),
            asymmetric: Arc::clone(&self.asymmetric),
        })
    }

    /// Ends the running calls of this client and of those derived from it, and refuses all later ones, with
    /// [`Status::Canceled`]. Its parent client is not affected.
    pub fn cancel(&self) {
        self.cancel.cancel();
    }

    /// Encrypts 1 to 4096 bytes under a CMK.
    pub fn encrypt(&self, key_id: &str, plaintext: &[u8], context: Option<&str>) -> Result<Encrypted> {
        block_on(pin!(self.encrypt_async(key_id, plaintext, context)))
    }

    pub(crate) async fn encrypt_async(
        &self,
        key_id: &str,
        plaintext: &[u8],
        context: Option<&str>,
    ) -> Result<Encrypted> {
        let encrypt = async {
            check_key_id(key_id)?;
            check_plaintext(plaintext)?;
            check_context(context)?;
            let fields = Fields::with_capacity(base64_len(plaintext.len()) + 2 * context.map_or(0, str::len))?;
            let fields = fields.string("KeyId", key_id)?.base64("Plaintext", plaintext)?;
            let fields = fields.optional_string("EncryptionContext", context)?;
            self.execute(&Request::new("Encrypt", fields)?, |response| encrypted(Some(key_id), response)).await
        };
        self.counted("Encrypt", Some(key_id), pin!(encrypt)).await
    }

    /// Decrypts a CiphertextBlob. With a `key_id`, only a reply that names this CMK is accepted.
    pub fn decrypt(&self, key_id: Option<&str>, blob: impl AsRef<[u8]>, context: Option<&str>) -> Result<Decrypted> {
        block_on(pin!(self.decrypt_async(key_id, blob, context)))
    }

    pub(crate) async fn decrypt_async(
        &self,
        key_id: Option<&str>,
        blob: impl AsRef<[u8]>,
        context: Option<&str>,
    ) -> Result<Decrypted> {
        let decrypt = async {
            key_id.map_or(Ok(()), check_key_id)?;
            let blob = check_blob(blob.as_ref())?;
            check_context(context)?;
            let fields = Fields::with_capacity(blob.len() + 2 * context.map_or(0, str::len))?;
            let fields = fields.string("CiphertextBlob", blob)?.optional_string("EncryptionContext", context)?;
            self.execute(&Request::new("Decrypt", fields)?, |response| {
                check_same_key(key_id, response)?;
                Ok(Decrypted {
                    plaintext: response.plaintext()?,
                    key_id: response.key_id()?.to_owned(),
                    request_id: response.request_id().map(str::to_owned),
                })
            })
            .await
        };
        self.counted("Decrypt", key_id, pin!(decrypt)).await
    }

    /// Re-encrypts a CiphertextBlob, under another CMK or, without a `key_id`, under the same. The plaintext stays
    /// inside the service.
    pub fn reencrypt(
        &self,
        key_id: Option<&str>,
        blob: impl AsRef<[u8]>,
        source_context: Option<&str>,
        destination_context: Option<&str>,
    ) -> Result<Encrypted> {
        block_on(pin!(self.reencrypt_async(key_id, blob, source_context, destination_context)))
    }

    pub(crate) async fn reencrypt_async(
        &self,
        key_id: Option<&str>,
        blob: impl AsRef<[u8]>,
        source_context: Option<&str>,
        destination_context: Option<&str>,
    ) -> Result<Encrypted> {
        let reencrypt = async {
            key_id.map_or(Ok(()), check_key_id)?;
            let blob = check_blob(blob.as_ref())?;
            check_context(source_context)?;
            check_context(destination_context)?;
            let contexts = source_context.map_or(0, str::len) + destination_context.map_or(0, str::len);
            let fields = Fields::with_capacity(blob.len() + 2 * contexts)?.string("CiphertextBlob", blob)?;
            let fields = fields.optional_string("DestinationKeyId", key_id)?;
            let fields = fields.optional_string("SourceEncryptionContext", source_context)?;
            let fields = fields.optional_string("DestinationEncryptionContext", destination_context)?;
            self.execute(&Request::new("ReEncrypt", fields)?, |response| encrypted(key_id, response)).await
        };
        self.counted("ReEncrypt", key_id, pin!(reencrypt)).await
    }

    /// Generates a data key of 1 to 1024 bytes, in clear and wrapped by a CMK.
    pub fn generate_data_key(&self, key_id: &str, key_len: usize, context: Option<&str>) -> Result<DataKey> {
        block_on(pin!(self.generate_data_key_async(key_id, key_len, context)))
    }

    pub(crate) async fn generate_data_key_async(
        &self,
        key_id: &str,
        key_len: usize,
        context: Option<&str>,
    ) -> Result<DataKey> {
        let generate = async {
            check_key_id(key_id)?;
            check_random_len("key length", key_len)?;
            check_context(context)?;
            let fields = Fields::with_capacity(2 * context.map_or(0, str::len))?;
            let fields = fields.string("KeyId", key_id)?.number("NumberOfBytes", key_len)?;
            let fields = fields.optional_string("EncryptionContext", context)?;
            self.execute(&Request::new("GenerateDataKey", fields)?, |response| {
                check_named_key(key_id, response)?;
                Ok(DataKey {
                    plaintext: response.plaintext_of_len(key_len)?,
                    ciphertext_blob: response.ciphertext_blob()?.to_owned(),
                    key_id: response.key_id()?.to_owned(),
                    request_id: response.request_id().map(str::to_owned),
                })
            })
            .await
        };
        self.counted("GenerateDataKey", Some(key_id), pin!(generate)).await
    }

    /// Gets 1 to 1024 random bytes from the service.
    pub fn generate_random(&self, len: usize) -> Result<Random> {
        block_on(pin!(self.generate_random_async(len)))
    }

    pub(crate) async fn generate_random_async(&self, len: usize) -> Result<Random> {
        let generate = async {
            check_random_len("length", len)?;
            let fields = Fields::with_capacity(0)?.number("NumberOfBytes", len)?;
            self.execute(&Request::new("GenerateRandom", fields)?, |response| {
                Ok(Random {
                    bytes: response.plaintext_of_len(len)?,
                    request_id: response.request_id().map(str::to_owned),
                })
            })
            .await
        };
        self.counted("GenerateRandom", None, pin!(generate)).await
    }

    /// Sends any KMS action with a JSON object of its parameters.
    ///
    /// An action that creates something is not sent again if it may have been executed, see
    /// [`Config::set_retry_unsafe_actions`].
    pub fn call(&self, action: &str, request_json: &str) -> Result<RawResponse> {
        block_on(pin!(self.call_async(action, request_json)))
    }

    pub(crate) async fn call_async(&self, action: &str, request_json: &str) -> Result<RawResponse> {
        let call = async {
            let mut request = Request::raw(action, request_json)?;
            request.repeatable |= self.limits.retry_unsafe.unwrap_or(false);
            self.send(&request, |response, reply| {
                Ok(RawResponse {
                    json: Secret::copy_of(reply.response_json()?.as_bytes())?,
                    request_id: response.request_id().map(str::to_owned),
                    service_time: reply.date,
                })
            })
            .await
        };
        self.counted(action, None, pin!(call)).await
    }

    /// The region of requests.
    pub fn region(&self) -> &str {
        self.caller.region()
    }

    /// Distinguishes this client and those derived from it, which share its credentials and its endpoint, from all
    /// others.
    pub(crate) fn instance_id(&self) -> u64 {
        self.caller.instance_id()
    }

    /// Where the calls of a queue are carried out.
    pub(crate) fn transport(&self) -> &Transport {
        self.caller.transport()
    }

    /// The total timeout of a call with all its attempts.
    pub(crate) fn total_timeout(&self) -> Duration {
        self.limits.total_timeout()
    }

    /// Counters of this client and all clients that share its connections, since it was created.
    pub fn stats(&self) -> Stats {
        self.caller.stats()
    }

    /// Runs a part of a call that canceling this client ends too.
    pub(crate) fn cancelable<T>(&self, part: impl FnOnce() -> T) -> T {
        call_control::with_token(&self.cancel, part)
    }

    /// Writes into the log that the client was configured with.
    pub(crate) fn log(&self, level: LogLevel, message: std::fmt::Arguments<'_>) {
        self.caller.log(level, LogContext::default(), message);
    }

    /// Counts a call and says in its error which action failed, and for which CMK.
    async fn counted<'a, T>(
        &self,
        action: impl Into<Option<&'a str>>,
        key_id: Option<&str>,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let action = action.into();
        self.caller.counters().call();
        // Some calls send more than one request.
        let outcome = call_control::under_timeout(self.total_timeout(), pin!(call)).await.map_err(|error| {
            self.caller.counters().failed_call(&error);
            of_call(error, action, key_id)
        });
        last_request::record_key(outcome.as_ref().map_or_else(Error::key_id, |_| key_id));
        outcome
    }

    /// Runs a call that may send several requests: the total timeout applies to the call, and canceling also ends
    /// its waits in between.
    fn as_one_call<T>(&self, call: impl FnOnce() -> Result<T>) -> Result<T> {
        call_control::with_token(&self.cancel, || call_control::with_timeout(self.total_timeout(), call))
    }

    async fn execute<T: Send>(
        &self,
        request: &Request<'_>,
        extract: impl Fn(&Response<'_>) -> Result<T> + Send + Sync,
    ) -> Result<T> {
        self.send(request, |response, _| extract(response)).await
    }

    async fn send<T: Send>(
        &self,
        request: &Request<'_>,
        extract: impl Fn(&Response<'_>, &HttpReply) -> Result<T> + Send + Sync,
    ) -> Result<T> {
        Error::check_memory()?;
        let call = pin!(self.caller.call(request, &self.limits, extract));
        call_control::under_token(&self.cancel, call).await
    }
}

fn encrypted(requested: Option<&str>, response: &Response<'_>) -> Result<Encrypted> {
    requested.map_or(Ok(()), |key_id| check_named_key(key_id, response))?;
    Ok(Encrypted {
        ciphertext_blob: response.ciphertext_blob()?.to_owned(),
        key_id: response.key_id()?.to_owned(),
        source_key_id: response.source_key_id().map(str::to_owned),
        request_id: response.request_id().map(str::to_owned),
    })
}

/// Decrypt takes no key id, so the expected CMK can only be compared with the reply.
fn check_same_key(expected: Option<&str>, response: &Response<'_>) -> Result<()> {
    let named = response.key_id()?;
    match expected {
        Some(expected) if expected != named => Err(key_mismatch(expected, named, response)),
        _ => Ok(()),
    }
}

/// Only the KeyId identifies the CMK of a reply. If the request named a CMK by its id, a reply about another one
/// does not belong to this request; an alias can refer to any id.
#[inline(never)]
fn check_named_key(requested: &str, response: &Response<'_>) -> Result<()> {
    check_about_key(requested, response.key_id()?, response)
}

/// As [`check_named_key`], for a reply that may have no KeyId.
fn check_key_if_named(requested: &str, response: &Response<'_>) -> Result<()> {
    if response.has_key_id() { check_named_key(requested, response) } else { Ok(()) }
}

/// As [`check_named_key`], for the id in a part of the reply.
fn check_about_key(requested: &str, named: &str, response: &Response<'_>) -> Result<()> {
    if named.eq_ignore_ascii_case(requested) || !is_id_of_key(requested) {
        return Ok(());
    }
    Err(key_mismatch(requested, named, response))
}

/// Whether this has the form of a key id, such as `93866e69-9755-11ef-8e65-52540089bc41`.
fn is_id_of_key(text: &str) -> bool {
    let parts = text.split('-').map(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(part.len()));
    parts.eq([8, 4, 4, 4, 12].map(Some))
}

#[cold]
#[inline(never)]
fn key_mismatch(expected: &str, named: &str, response: &Response<'_>) -> Error {
    let message = format!("the reply is about CMK {}, {} was expected", quoted(named), quoted(expected));
    let told = Error::new(Status::KeyMismatch, message).with_key_id(named).with_http_status(200);
    told.with_request_id(response.request_id())
}

/// The error of a call, which says the action and the CMK that the call named.
pub(crate) fn of_call(error: Error, action: Option<&str>, key_id: Option<&str>) -> Error {
    let error = action.into_iter().fold(error, Error::in_action);
    match key_id.filter(|key_id| error.key_id().is_none() && check_key_id(key_id).is_ok()) {
        Some(key_id) => error.with_key_id(key_id),
        None => error,
    }
}

pub(crate) fn check_key_id(key_id: &str) -> Result<()> {
    if is_key_id(key_id) {
        return Ok(());
    }
    let message = format!("the key id is not 1 to {KEY_ID_MAX} letters, digits and characters of -_/:.");
    Err(Error::new(Status::MalformedKeyId, message))
}

pub(crate) fn check_plaintext(plaintext: &[u8]) -> Result<()> {
    match plaintext.len() {
        0 => Err(Error::new(
            Status::EmptyPlaintext,
            format!("the plaintext is empty, 1 to {PLAINTEXT_MAX} bytes are allowed"),
        )),
        len if len > PLAINTEXT_MAX => {
            let message = format!(
                "the plaintext has {len} bytes, 1 to {PLAINTEXT_MAX} are allowed; tckms_seal takes data of any size"
            );
            Err(Error::new(Status::PlaintextTooLarge, message))
        }
        _ => Ok(()),
    }
}

/// The length comes first: nothing beyond the limit is even read.
pub(crate) fn check_blob(blob: &[u8]) -> Result<&str> {
    let text = if is_blob(blob) { std::str::from_utf8(blob).ok() } else { None };
    text.ok_or_else(|| {
        // The memory of a blob that is too long may not be readable.
        let is_line = blob.len() <= CIPHERTEXT_BLOB_MAX && matches!(blob, [.., b'\r' | b'\n']);
        let line_end = if is_line { "; it ends with a newline, which is not a part of it" } else { "" };
        let message = format!(
            "the CiphertextBlob of {} bytes is not 1 to {CIPHERTEXT_BLOB_MAX} printable ASCII characters as Encrypt returns \
             them{line_end}",
            blob.len()
        );
        Error::new(Status::MalformedBlob, message)
    })
}

pub(crate) fn check_context(context: Option<&str>) -> Result<()> {
    context.map_or(Ok(()), encryption_context::check)
}

pub(crate) fn check_random_len(what: &str, len: usize) -> Result<()> {
    if (1..=RANDOM_MAX).contains(&len) {
        return Ok(());
    }
    Err(Error::new(Status::InvalidLength, format!("the {what} is {len}, 1 to {RANDOM_MAX} bytes are allowed")))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// It is on the stack of a caller, who may have little.
    #[test]
    fn the_future_of_a_call_is_small() {
        let mut config = Config::new();
        config.set_region("ap-guangzhou").unwrap();
        config.set_credentials("id", "key", None).unwrap();
        let client = Client::new(&config).unwrap();
        assert!(size_of_val(&client.encrypt_async("key", b"plaintext", None)) < 3 * 1024);
        assert!(size_of_val(&client.sign_digest_async("key", None, &[0; 32])) < 3 * 1024);
    }
}
