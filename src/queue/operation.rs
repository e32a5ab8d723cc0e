//! Submitted operations, with copies of all inputs in memory that is wiped.

use std::sync::{Mutex, PoisonError};

use crate::api::request::{check_action, check_json_object};
use crate::client::{
    Client, check_blob, check_context, check_key_id, check_plaintext, check_random_len, check_rsa_ciphertext, of_call,
};
use crate::error::{Error, Result};
use crate::queue::output::{Output, Stream};
use crate::seal::{Context, DetachedOpen, DetachedSeal, Keyring};
use crate::secret::Secret;
use crate::sign::{RsaPadding, SignatureAlgorithm};
use crate::status::Status;

/// The maximal size of a message or plaintext that a queue seals or opens in one call. The thread that takes the completion
/// encrypts or decrypts it, in well under a millisecond.
pub(crate) const QUEUE_MESSAGE_MAX: usize = 256 * 1024;

/// A call of the key service.
pub(crate) enum Operation {
    Encrypt {
        key_id: String,
        plaintext: Secret,
        context: Option<String>,
    },
    Decrypt {
        key_id: Option<String>,
        blob: Secret,
        context: Option<String>,
    },
    Reencrypt {
        key_id: Option<String>,
        blob: Secret,
        source: Option<String>,
        destination: Option<String>,
    },
    GenerateDataKey {
        key_id: String,
        key_len: usize,
        context: Option<String>,
    },
    GenerateRandom {
        len: usize,
    },
    Call {
        action: String,
        request: Secret,
    },
    SignDigest {
        key_id: String,
        algorithm: Option<SignatureAlgorithm>,
        digest: Secret,
    },
    RsaDecrypt {
        key_id: String,
        padding: RsaPadding,
        ciphertext: Secret,
    },
    PublicKey {
        key_id: String,
    },
    #[cfg(feature = "test-hooks")]
    Panic,
}

/// The maximal length of a digest that is copied. The call itself checks the length, which depends on the key.
const DIGEST_MAX: usize = 8 * 1024;

impl Operation {
    pub fn encrypt(key_id: &str, plaintext: &[u8], context: Option<&str>) -> Result<Self> {
        of("Encrypt", Some(key_id), || {
            check_key_id(key_id)?;
            check_plaintext(plaintext)?;
            let context = copied_context(context)?;
            Ok(Self::Encrypt { key_id: key_id.to_owned(), plaintext: Secret::copy_of(plaintext)?, context })
        })
    }

    pub fn decrypt(key_id: Option<&str>, blob: &[u8], context: Option<&str>) -> Result<Self> {
        of("Decrypt", key_id, || {
            let (key_id, blob) = (copied_key_id(key_id)?, copied_blob(blob)?);
            Ok(Self::Decrypt { key_id, blob, context: copied_context(context)? })
        })
    }

    pub fn reencrypt(
        key_id: Option<&str>,
        blob: &[u8],
        source: Option<&str>,
        destination: Option<&str>,
    ) -> Result<Self> {
        of("ReEncrypt", key_id, || {
            let (key_id, blob) = (copied_key_id(key_id)?, copied_blob(blob)?);
            let (source, destination) = (copied_context(source)?, copied_context(destination)?);
            Ok(Self::Reencrypt { key_id, blob, source, destination })
        })
    }

    pub fn generate_data_key(key_id: &str, key_len: usize, context: Option<&str>) -> Result<Self> {
        of("GenerateDataKey", Some(key_id), || {
            check_key_id(key_id)?;
            check_random_len("key length", key_len)?;
            Ok(Self::GenerateDataKey { key_id: key_id.to_owned(), key_len, context: copied_context(context)? })
        })
    }

    pub fn generate_random(len: usize) -> Result<Self> {
        of("GenerateRandom", None, || {
            check_random_len("length", len)?;
            Ok(Self::GenerateRandom { len })
        })
    }

    pub fn call(action: &str, request_json: &str) -> Result<Self> {
        of(action, None, || {
            check_action(action)?;
            check_json_object(request_json)?;
            Ok(Self::Call { action: action.to_owned(), request: Secret::copy_of(request_json.as_bytes())? })
        })
    }

    pub fn sign_digest(key_id: &str, algorithm: Option<SignatureAlgorithm>, digest: &[u8]) -> Result<Self> {
        of("SignByAsymmetricKey", Some(key_id), || {
            check_key_id(key_id)?;
            Ok(Self::SignDigest { key_id: key_id.to_owned(), algorithm, digest: copied_digest(digest)? })
        })
    }

    pub fn rsa_decrypt(key_id: &str, padding: RsaPadding, ciphertext: &[u8]) -> Result<Self> {
        of("AsymmetricRsaDecrypt", Some(key_id), || {
            check_key_id(key_id)?;
            check_rsa_ciphertext(ciphertext)?;
            Ok(Self::RsaDecrypt { key_id: key_id.to_owned(), padding, ciphertext: Secret::copy_of(ciphertext)? })
        })
    }

    pub fn public_key(key_id: &str) -> Result<Self> {
        of("GetPublicKey", Some(key_id), || {
            check_key_id(key_id)?;
            Ok(Self::PublicKey { key_id: key_id.to_owned() })
        })
    }

    /// Runs the call.
    pub(super) async fn run(&self, client: &Client) -> Result<Output> {
        match self {
            Self::Encrypt { key_id, plaintext, context } => {
                let encrypted = Box::pin(client.encrypt_async(key_id, plaintext.expose(), context.as_deref())).await?;
                Ok(Output::Public(encrypted.ciphertext_blob.into_bytes()))
            }
            Self::Decrypt { key_id, blob, context } => {
                let call = client.decrypt_async(key_id.as_deref(), blob.expose(), context.as_deref());
                Ok(Output::Bytes(Box::pin(call).await?.plaintext))
            }
            Self::Reencrypt { key_id, blob, source, destination } => {
                let (source, destination) = (source.as_deref(), destination.as_deref());
                let call = client.reencrypt_async(key_id.as_deref(), blob.expose(), source, destination);
                Ok(Output::Public(Box::pin(call).await?.ciphertext_blob.into_bytes()))
            }
            Self::GenerateDataKey { key_id, key_len, context } => {
                let call = client.generate_data_key_async(key_id, *key_len, context.as_deref());
                let key = Box::pin(call).await?;
                Ok(Output::DataKey { plaintext: key.plaintext, ciphertext_blob: key.ciphertext_blob })
            }
            Self::GenerateRandom { len } => {
                Ok(Output::Bytes(Box::pin(client.generate_random_async(*len)).await?.bytes))
            }
            Self::Call { action, request } => {
                let request = std::str::from_utf8(request.expose())
                    .map_err(|_| Error::new(Status::InvalidUtf8, "the request is not valid UTF-8"))?;
                Ok(Output::Bytes(Box::pin(client.call_async(action, request)).await?.json))
            }
            Self::SignDigest { key_id, algorithm, digest } => {
                let call = client.sign_digest_async(key_id, *algorithm, digest.expose());
                Ok(Output::Public(Box::pin(call).await?.bytes))
            }
            Self::RsaDecrypt { key_id, padding, ciphertext } => {
                let call = client.rsa_decrypt_async(key_id, *padding, ciphertext.expose());
                Ok(Output::Bytes(Box::pin(call).await?.plaintext))
            }
            Self::PublicKey { key_id } => {
                Ok(Output::Public(Box::pin(client.public_key_async(key_id)).await?.spki().to_vec()))
            }
            #[cfg(feature = "test-hooks")]
            Self::Panic => panic!("tckms_test_submit_panic was called"),
        }
    }
}

/// The key phase of sealing or opening, with its input.
pub(crate) enum SealOperation {
    Seal { keyring: Keyring, plaintext: Input<Secret>, context: Context },
    Open { keyring: Keyring, message: Input<Secret>, expected: Context },
    BeginSeal(Input<Stream>),
    BeginOpen(Input<Stream>, Secret),
}

/// An input that becomes part of the output.
pub(crate) struct Input<T>(Mutex<Option<T>>);

impl<T> From<T> for Input<T> {
    fn from(value: T) -> Self {
        Self(Mutex::new(Some(value)))
    }
}

impl<T> Input<T> {
    fn take(&self) -> Result<T> {
        let taken = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        taken.ok_or_else(|| Error::new(Status::Internal, "a call ran twice"))
    }
}

impl SealOperation {
    pub fn seal(keyring: &Keyring, plaintext: &[u8], context: Context) -> Result<Self> {
        Ok(Self::Seal { keyring: keyring.clone(), plaintext: copied_message("plaintext", plaintext)?.into(), context })
    }

    pub fn open(keyring: &Keyring, message: &[u8], expected: Context) -> Result<Self> {
        Ok(Self::Open { keyring: keyring.clone(), message: copied_message("message", message)?.into(), expected })
    }

    /// Runs the key phase, on a thread that may block.
    pub(super) fn run(&self) -> Result<Output> {
        match self {
            Self::Seal { keyring, plaintext, context } => {
                DetachedSeal::prepare(keyring, plaintext.take()?, context).map(Output::Seal)
            }
            Self::Open { keyring, message, expected } => {
                DetachedOpen::prepare(keyring, message.take()?, expected).map(Output::Open)
            }
            Self::BeginSeal(stream) => {
                let mut stream = stream.take()?;
                stream.begin(&[])?;
                Ok(Output::Stream(stream, 0))
            }
            Self::BeginOpen(stream, header) => {
                let mut stream = stream.take()?;
                let consumed = stream.begin(header.expose())?;
                Ok(Output::Stream(stream, consumed))
            }
        }
    }
}

impl Stream {
    /// Runs the key requests. Returns the number of bytes of the header that were consumed.
    fn begin(&mut self, header: &[u8]) -> Result<usize> {
        match self {
            Self::Seal(sealer) => sealer.output_len(0).map(|_| 0),
            Self::Open(opener) => {
                let consumed = opener.update(header, &mut [])?.consumed;
                if !opener.is_unlocked() {
                    let message = "the bytes are not the complete header of a message";
                    return Err(Error::new(Status::Truncated, message));
                }
                Ok(consumed)
            }
        }
    }
}

/// An operation whose refusal says the action and the CMK, as the error of the call would.
fn of(action: &str, key_id: Option<&str>, operation: impl FnOnce() -> Result<Operation>) -> Result<Operation> {
    operation().map_err(|error| of_call(error, Some(action), key_id))
}

fn copied_key_id(key_id: Option<&str>) -> Result<Option<String>> {
    key_id.map_or(Ok(()), check_key_id)?;
    Ok(key_id.map(str::to_owned))
}

fn copied_blob(blob: &[u8]) -> Result<Secret> {
    Secret::copy_of(check_blob(blob)?.as_bytes())
}

fn copied_context(context: Option<&str>) -> Result<Option<String>> {
    check_context(context)?;
    Ok(context.map(str::to_owned))
}

fn copied_digest(digest: &[u8]) -> Result<Secret> {
    if digest.len() > DIGEST_MAX {
        return Err(Error::new(
            Status::InvalidLength,
            format!("the digest has {} bytes, which no algorithm has", digest.len()),
        ));
    }
    Secret::copy_of(digest)
}

fn copied_message(what: &str, bytes: &[u8]) -> Result<Secret> {
    if bytes.len() > QUEUE_MESSAGE_MAX {
        let message = format!(
            "the {what} has {} bytes; a queue takes at most {QUEUE_MESSAGE_MAX}, and a stream takes any size",
            bytes.len()
        );
        return Err(Error::new(Status::PlaintextTooLarge, message));
    }
    Secret::copy_of(bytes)
}
