//! Asymmetric CMKs: the service signs and decrypts, everything else is done locally with the public key.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Client, Decrypted, check_key_id, check_key_if_named, check_named_key};
use crate::api::request::{Fields, Request};
use crate::block_on::block_on;
use crate::call_control;
use crate::encoding::{base64_decode, base64_len};
use crate::error::{Error, Result};
use crate::sign::{
    Digest, DigestContext, KeyPurpose, PublicKey, PublicKeyCache, RsaPadding, SM2_DEFAULT_USER_ID, SignatureAlgorithm,
    check_digest_len,
};
use crate::status::Status;

/// The length of a ciphertext of RSA-2048, the only size that CMKs have.
const RSA_CIPHERTEXT_LEN: usize = 256;
/// Longest ciphertext of AsymmetricSm2Decrypt, before base64.
const SM2_CIPHERTEXT_MAX: usize = 256;
/// Longest message that the service hashes itself (`MessageType` `RAW`), before base64.
const RAW_MESSAGE_MAX: usize = 4096;
/// The length that the service documents for every digest.
const DOCUMENTED_DIGEST: usize = 32;

/// The result of SignByAsymmetricKey.
pub struct Signature {
    /// DER for ECDSA and SM2, 256 bytes for RSA. It was verified with the public key.
    pub bytes: Vec<u8>,
    /// The service's id of the request.
    pub request_id: Option<String>,
}

/// The cache of a client's public keys.
pub(super) struct AsymmetricKeys {
    public_keys: PublicKeyCache,
    /// Set when the service refused a digest of 48 bytes: its documentation allows only 32, also for P-384.
    p384_digest_refused: AtomicBool,
}

impl AsymmetricKeys {
    pub fn new() -> Self {
        Self { public_keys: PublicKeyCache::new(), p384_digest_refused: AtomicBool::new(false) }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct PublicKeyFields {
    public_key: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct SignatureFields {
    signature: String,
}

/// The input of a signature.
#[derive(Clone, Copy)]
struct Input<'a> {
    digest: &'a [u8],
    /// The message itself, if it is available.
    message: Option<&'a [u8]>,
}

impl<'a> Input<'a> {
    /// Another request for the same signature on P-384, for a service that accepts only digests of 32 bytes: the
    /// message, for the service to hash, or the digest without its leading zeros, which do not change the number that
    /// ECDSA signs.
    fn without_long_digest(&self) -> Option<(&'static str, &'a [u8])> {
        let message = self.message.filter(|message| message.len() <= RAW_MESSAGE_MAX).map(|message| ("RAW", message));
        message.or_else(|| {
            let (zeros, digest) = self.digest.split_at_checked(self.digest.len().saturating_sub(DOCUMENTED_DIGEST))?;
            zeros.iter().all(|byte| *byte == 0).then_some(("DIGEST", digest))
        })
    }
}

/// The advice in the error if a digest of 48 bytes is refused.
const P384_ADVICE: &str = " (a service that takes digests of 32 bytes only, as documented, signs messages of up to 4096 bytes \
                           with a P-384 key, given to tckms_sign() or a signer, and no digest of SHA-384)";

impl Client {
    /// The public key of an asymmetric CMK. It is fetched once and cached, because it never changes.
    pub fn public_key(&self, key_id: &str) -> Result<Arc<PublicKey>> {
        block_on(pin!(self.public_key_async(key_id)))
    }

    pub(crate) async fn public_key_async(&self, key_id: &str) -> Result<Arc<PublicKey>> {
        self.counted_as_one("GetPublicKey", key_id, pin!(self.cached_public_key(key_id))).await
    }

    /// As [`Client::public_key`], for a key that signs or decrypts. One for the other purpose is
    /// [`Status::InvalidKeyUsage`]. This also needs the usage of the CMK, which is fetched once and cached. An identity
    /// that may not read it gets the key unchecked.
    pub fn public_key_for(&self, key_id: &str, purpose: KeyPurpose) -> Result<Arc<PublicKey>> {
        block_on(pin!(self.counted_locally(
            key_id,
            pin!(async {
                let key = self.cached_public_key(key_id).await?;
                self.check_purpose(key_id, &key, purpose).await?;
                Ok(key)
            })
        )))
    }

    /// The digest that SM2 signs for a signer with this id, or the default one.
    pub fn sm2_digest(&self, key_id: &str, user_id: Option<&[u8]>, message: &[u8]) -> Result<Digest> {
        block_on(pin!(self.counted_locally(
            key_id,
            pin!(async {
                let key = self.cached_public_key(key_id).await?;
                let algorithm = key.algorithm(Some(SignatureAlgorithm::Sm2Sm3))?;
                let mut digest = key.digest(algorithm, user_id.unwrap_or(SM2_DEFAULT_USER_ID))?;
                self.check_purpose(key_id, &key, KeyPurpose::Sign).await?;
                digest.update(message);
                Ok(digest.finish())
            })
        )))
    }

    /// Signs a message of any size. It is hashed locally, and only its digest is sent. The default algorithm is the
    /// key's: PSS for RSA.
    pub fn sign(&self, key_id: &str, algorithm: Option<SignatureAlgorithm>, message: &[u8]) -> Result<Signature> {
        block_on(pin!(self.counted_as_one(
            "SignByAsymmetricKey",
            key_id,
            pin!(async {
                let key = self.cached_public_key(key_id).await?;
                let algorithm = key.algorithm(algorithm)?;
                let mut digest = key.digest(algorithm, SM2_DEFAULT_USER_ID)?;
                digest.update(message);
                let digest = digest.finish();
                self.signature(key_id, &key, algorithm, Input { digest: digest.as_ref(), message: Some(message) }).await
            }),
        )))
    }

    /// Signs a digest that the caller computed. For SM2, use [`PublicKey::digest`].
    pub fn sign_digest(&self, key_id: &str, algorithm: Option<SignatureAlgorithm>, digest: &[u8]) -> Result<Signature> {
        block_on(pin!(self.sign_digest_async(key_id, algorithm, digest)))
    }

    pub(crate) async fn sign_digest_async(
        &self,
        key_id: &str,
        algorithm: Option<SignatureAlgorithm>,
        digest: &[u8],
    ) -> Result<Signature> {
        self.counted_as_one(
            "SignByAsymmetricKey",
            key_id,
            pin!(async {
                let key = self.cached_public_key(key_id).await?;
                let algorithm = key.algorithm(algorithm)?;
                self.signature(key_id, &key, algorithm, Input { digest, message: None }).await
            }),
        )
        .await
    }

    /// As [`Client::sign_digest`], with the public key as an argument: it is not fetched.
    pub fn sign_digest_with(
        &self,
        key_id: &str,
        public_key: &PublicKey,
        algorithm: Option<SignatureAlgorithm>,
        digest: &[u8],
    ) -> Result<Signature> {
        block_on(pin!(self.counted(
            "SignByAsymmetricKey",
            Some(key_id),
            pin!(async {
                check_key_id(key_id)?;
                let algorithm = public_key.algorithm(algorithm)?;
                self.signature(key_id, public_key, algorithm, Input { digest, message: None }).await
            }),
        )))
    }

    /// A signer for a message that is passed in several chunks. `sm2_user_id` applies to SM2 only.
    pub fn signer(
        &self,
        key_id: &str,
        algorithm: Option<SignatureAlgorithm>,
        sm2_user_id: Option<&[u8]>,
    ) -> Result<Signer> {
        block_on(pin!(self.counted_as_one(
            "SignByAsymmetricKey",
            key_id,
            pin!(async {
                let key = self.cached_public_key(key_id).await?;
                let algorithm = key.algorithm(algorithm)?;
                let digest = key.digest(algorithm, sm2_user_id.unwrap_or(SM2_DEFAULT_USER_ID))?;
                self.check_purpose(key_id, &key, KeyPurpose::Sign).await?;
                let message = (algorithm == SignatureAlgorithm::EcdsaP384Sha384)
                    .then(|| Zeroizing::new(Vec::with_capacity(RAW_MESSAGE_MAX)));
                Ok(Signer { client: self.clone(), key_id: key_id.to_owned(), algorithm, digest, message })
            }),
        )))
    }

    /// Verifies the signature of a message with the public key, without a request once that is known.
    pub fn verify(
        &self,
        key_id: &str,
        algorithm: Option<SignatureAlgorithm>,
        message: &[u8],
        signature: &[u8],
    ) -> Result<()> {
        block_on(pin!(self.counted_locally(
            key_id,
            pin!(async {
                let key = self.cached_public_key(key_id).await?;
                let algorithm = key.algorithm(algorithm)?;
                self.check_purpose(key_id, &key, KeyPurpose::Sign).await?;
                let mut digest = key.digest(algorithm, SM2_DEFAULT_USER_ID)?;
                digest.update(message);
                key.verify_digest(algorithm, digest.finish().as_ref(), signature)
            }),
        )))
    }

    /// Verifies the signature of a digest, see [`Client::sign_digest`].
    pub fn verify_digest(
        &self,
        key_id: &str,
        algorithm: Option<SignatureAlgorithm>,
        digest: &[u8],
        signature: &[u8],
    ) -> Result<()> {
        block_on(pin!(self.counted_locally(
            key_id,
            pin!(async {
                let key = self.cached_public_key(key_id).await?;
                let algorithm = key.algorithm(algorithm)?;
                check_digest_len(algorithm, digest)?;
                self.check_purpose(key_id, &key, KeyPurpose::Sign).await?;
                key.verify_digest(algorithm, digest, signature)
            }),
        )))
    }

    /// Encrypts under an RSA key, locally, with its public key.
    pub fn rsa_encrypt(&self, key_id: &str, padding: RsaPadding, plaintext: &[u8]) -> Result<Vec<u8>> {
        block_on(pin!(self.counted_locally(
            key_id,
            pin!(async {
                let key = self.cached_public_key(key_id).await?;
                // First, because it refuses arguments without a request.
                let ciphertext = key.rsa_encrypt(padding, plaintext)?;
                self.check_purpose(key_id, &key, KeyPurpose::Decrypt).await?;
                Ok(ciphertext)
            }),
        )))
    }

    /// Decrypts a ciphertext of an RSA key. Every failure to decrypt has the same status,
    /// [`Status::DecryptionFailed`].
    pub fn rsa_decrypt(&self, key_id: &str, padding: RsaPadding, ciphertext: &[u8]) -> Result<Decrypted> {
        block_on(pin!(self.rsa_decrypt_async(key_id, padding, ciphertext)))
    }

    pub(crate) async fn rsa_decrypt_async(
        &self,
        key_id: &str,
        padding: RsaPadding,
        ciphertext: &[u8],
    ) -> Result<Decrypted> {
        self.counted(
            "AsymmetricRsaDecrypt",
            Some(key_id),
            pin!(async {
                check_key_id(key_id)?;
                check_rsa_ciphertext(ciphertext)?;
                let fields =
                    Fields::with_capacity(base64_len(ciphertext.len()) + key_id.len())?.string("KeyId", key_id)?;
                let fields = fields.base64("Ciphertext", ciphertext)?.string("Algorithm", padding.service_name())?;
                self.asymmetric_decrypt(key_id, &Request::new("AsymmetricRsaDecrypt", fields)?).await
            }),
        )
        .await
    }

    /// Decrypts a ciphertext of an SM2 key: C1 C3 C2 in ASN.1 (GB/T 35276).
    pub fn sm2_decrypt(&self, key_id: &str, ciphertext: &[u8]) -> Result<Decrypted> {
        block_on(pin!(self.counted(
            "AsymmetricSm2Decrypt",
            Some(key_id),
            pin!(async {
                check_key_id(key_id)?;
                check_ciphertext_len(ciphertext, 1, SM2_CIPHERTEXT_MAX)?;
                let fields =
                    Fields::with_capacity(base64_len(ciphertext.len()) + key_id.len())?.string("KeyId", key_id)?;
                let fields = fields.base64("Ciphertext", ciphertext)?;
                self.asymmetric_decrypt(key_id, &Request::new("AsymmetricSm2Decrypt", fields)?).await
            }),
        )))
    }

    async fn asymmetric_decrypt(&self, key_id: &str, request: &Request<'_>) -> Result<Decrypted> {
        self.execute(request, |response| {
            check_named_key(key_id, response)?;
            Ok(Decrypted {
                plaintext: response.plaintext_or_empty()?,
                key_id: response.key_id()?.to_owned(),
                request_id: response.request_id().map(str::to_owned),
            })
        })
        .await
    }

    /// For a call that may have to wait for the public key, from the service or from another thread, before its own request.
    async fn counted_as_one<T>(&self, action: &str, key_id: &str, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.counted_together(Some(action), key_id, pin!(call)).await
    }

    /// For local work: a failure names a request only if it was the one for the public key.
    async fn counted_locally<T>(&self, key_id: &str, call: impl Future<Output = Result<T>>) -> Result<T> {
        self.counted_together(None, key_id, pin!(call)).await
    }

    async fn counted_together<T>(
        &self,
        action: Option<&str>,
        key_id: &str,
        call: impl Future<Output = Result<T>>,
    ) -> Result<T> {
        let call = pin!(call);
        let call = pin!(call_control::under_timeout(self.total_timeout(), call));
        self.counted(action, Some(key_id), pin!(call_control::under_token(&self.cancel, call))).await
    }

    async fn cached_public_key(&self, key_id: &str) -> Result<Arc<PublicKey>> {
        check_key_id(key_id)?;
        self.asymmetric.public_keys.get(key_id, pin!(self.fetch_public_key(key_id))).await
    }

    /// For local work with a public key: nothing but the CMK's usage shows that the other half could not do its part. The
    /// service itself refuses a request for which a key is not made.
    async fn check_purpose(&self, key_id: &str, key: &PublicKey, purpose: KeyPurpose) -> Result<()> {
        let fetch = pin!(self.fetch_purpose(key_id, key));
        purpose.check(self.asymmetric.public_keys.purpose(key_id, fetch).await?)
    }

    /// An identity may be allowed to use a key and not to describe it.
    async fn fetch_purpose(&self, key_id: &str, key: &PublicKey) -> Result<Option<KeyPurpose>> {
        match self.fetch_key_info(key_id).await {
            Ok(info) => KeyPurpose::of_usage(&info.key_usage, key),
            Err(error) if is_denied(&error) => Ok(None),
            Err(error) => Err(error),
        }
        .map_err(|error| error.in_action("DescribeKey"))
    }

    /// `PublicKeyPem` is ignored: published samples have it in three forms, two of which are not PEM.
    async fn fetch_public_key(&self, key_id: &str) -> Result<PublicKey> {
        let fields = Fields::with_capacity(key_id.len())?.string("KeyId", key_id)?;
        let request = Request::new("GetPublicKey", fields)?;
        let fetched = self.send(&request, |response, reply| {
            check_named_key(key_id, response)?;
            let PublicKeyFields { public_key } = reply.fields()?;
            let spki = base64_decode(&public_key)
                .map_err(|_| Error::new(Status::ResponseMalformed, "PublicKey is not base64"))?;
            PublicKey::from_spki(&spki)
        });
        fetched.await.map_err(|error| error.in_action("GetPublicKey"))
    }

    async fn signature(
        &self,
        key_id: &str,
        key: &PublicKey,
        algorithm: SignatureAlgorithm,
        input: Input<'_>,
    ) -> Result<Signature> {
        check_digest_len(algorithm, input.digest)?;
        let digest = ("DIGEST", input.digest);
        if algorithm != SignatureAlgorithm::EcdsaP384Sha384 {
            return self.request_signature(key_id, key, algorithm, input.digest, digest).await;
        }
        let refused = &self.asymmetric.p384_digest_refused;
        match input.without_long_digest() {
            Some(other) if refused.load(Ordering::Relaxed) => {
                self.request_signature(key_id, key, algorithm, input.digest, other).await
            }
            Some(other) => match self.request_signature(key_id, key, algorithm, input.digest, digest).await {
                Err(error) if is_invalid_parameter(&error) => self
                    .request_signature(key_id, key, algorithm, input.digest, other)
                    .await
                    .inspect(|_| refused.store(true, Ordering::Relaxed)),
                outcome => outcome,
            },
            None => self
                .request_signature(key_id, key, algorithm, input.digest, digest)
                .await
                .map_err(|error| if is_invalid_parameter(&error) { error.with_addition(P384_ADVICE) } else { error }),
        }
    }

    /// The service's signature is verified before it is returned: this detects a wrong algorithm, key or salt, and a
    /// corrupted reply.
    async fn request_signature(
        &self,
        key_id: &str,
        key: &PublicKey,
        algorithm: SignatureAlgorithm,
        digest: &[u8],
        (message_type, message): (&str, &[u8]),
    ) -> Result<Signature> {
        let fields = Fields::with_capacity(base64_len(message.len()) + key_id.len())?.string("KeyId", key_id)?;
        let fields = fields.string("Algorithm", algorithm.service_name())?.base64("Message", message)?;
        let request = Request::new("SignByAsymmetricKey", fields.string("MessageType", message_type)?)?;
        self.send(&request, |response, reply| {
            check_key_if_named(key_id, response)?;
            let SignatureFields { signature } = reply.fields()?;
            let signature = base64_decode(&signature)
                .map_err(|_| Error::new(Status::ResponseMalformed, "Signature is not base64"))?;
            let bytes = key.verified(algorithm, digest, &signature).map_err(wrong_signature)?;
            Ok(Signature { bytes, request_id: response.request_id().map(str::to_owned) })
        })
        .await
    }
}

/// A streaming signer, for a message that is passed in several chunks.
#[derive(Clone)]
pub struct Signer {
    client: Client,
    key_id: String,
    algorithm: SignatureAlgorithm,
    digest: DigestContext,
    /// The message itself, while it is short enough for the service to hash: see [`Input::without_long_digest`].
    message: Option<Zeroizing<Vec<u8>>>,
}

impl Signer {
    /// Adds the next bytes of the message.
    pub fn update(&mut self, bytes: &[u8]) {
        self.digest.update(bytes);
        match &mut self.message {
            Some(message) if message.len() + bytes.len() <= RAW_MESSAGE_MAX => message.extend_from_slice(bytes),
            _ => self.message = None,
        }
    }

    /// Signs all bytes added.
    pub fn finish(self) -> Result<Signature> {
        let Self { client, key_id, algorithm, digest, message } = self;
        let digest = digest.finish();
        block_on(pin!(client.counted_as_one(
            "SignByAsymmetricKey",
            &key_id,
            pin!(async {
                let key = client.cached_public_key(&key_id).await?;
                let input =
                    Input { digest: digest.as_ref(), message: message.as_ref().map(|message| message.as_slice()) };
                client.signature(&key_id, &key, algorithm, input).await
            }),
        )))
    }
}

/// Whether the identity lacks the permission for an action, and nothing else is wrong. Access management has codes below
/// these.
fn is_denied(error: &Error) -> bool {
    let is_denial = |part: &str| matches!(part, "UnauthorizedOperation" | "NotRoleOperation");
    error.service_code().is_some_and(|code| code.split('.').any(is_denial))
        || (error.status() == Status::HttpStatus && error.http_status() == Some(403))
}

fn is_invalid_parameter(error: &Error) -> bool {
    matches!(error.status(), Status::InvalidParameter | Status::InvalidParameterValue)
}

fn wrong_signature(error: Error) -> Error {
    let message = format!("the service's signature does not verify with the key's public key: {}", error.message());
    Error::new(Status::SignatureInvalid, message)
}

pub(crate) fn check_rsa_ciphertext(ciphertext: &[u8]) -> Result<()> {
    check_ciphertext_len(ciphertext, RSA_CIPHERTEXT_LEN, RSA_CIPHERTEXT_LEN)
}

fn check_ciphertext_len(ciphertext: &[u8], min: usize, max: usize) -> Result<()> {
    let len = ciphertext.len();
    if (min..=max).contains(&len) {
        return Ok(());
    }
    let allowed = if min == max { format!("{max}") } else { format!("{min} to {max}") };
    Err(Error::new(Status::InvalidLength, format!("the ciphertext has {len} bytes, {allowed} are allowed")))
}
