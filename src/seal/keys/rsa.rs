//! An RSA key as a wrapping key: an escrow key that works without the service. The format is that of the raw RSA keyring of the AWS
//! Encryption SDK with OAEP, SHA-256 and MGF1 with SHA-256.

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::rsa::{
    OAEP_SHA256_MGF1SHA256, OaepPrivateDecryptingKey, OaepPublicEncryptingKey, PrivateDecryptingKey,
    PublicEncryptingKey,
};
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{PrivateKeyDer, SubjectPublicKeyInfoDer};
use zeroize::Zeroizing;

use crate::encoding::{explain_pem, without_byte_order_mark};
use crate::error::{Error, Result};
use crate::sanitize::quoted;
use crate::seal::format::wrapped_key::WrappedKey;
use crate::seal::keys::names::{self, NAME_MAX, RESERVED_PREFIX};
use crate::seal::keys::wrapping_key::{KeyRequest, UnwrapCost, WrappingKey};
use crate::secret::Secret;
use crate::status::Status;
use crate::sys::aws_lc;

/// One RSA key: a public key seals, a private key opens.
pub(crate) struct RsaKey {
    namespace: String,
    name: String,
    identity: Vec<u8>,
    part: RsaKeyPart,
}

enum RsaKeyPart {
    Public(OaepPublicEncryptingKey),
    Private(OaepPrivateDecryptingKey),
}

impl RsaKey {
    /// From a PEM text with a `PUBLIC KEY`.
    pub fn public(namespace: &str, name: &str, pem: &[u8]) -> Result<Self> {
        check_names(namespace, name)?;
        let der = section::<SubjectPublicKeyInfoDer<'_>>(pem).map_err(|reason| invalid("PUBLIC KEY", reason))?;
        let key = PublicEncryptingKey::from_der(&der).map_err(|_| invalid("PUBLIC KEY", ANOTHER_KEY))?;
        Self::new(namespace, name, &key, OaepPublicEncryptingKey::new(key.clone()).map(RsaKeyPart::Public))
    }

    /// From a PEM text with a `PRIVATE KEY` or an `RSA PRIVATE KEY`, not encrypted.
    pub fn private(namespace: &str, name: &str, pem: &[u8]) -> Result<Self> {
        check_names(namespace, name)?;
        let der = section::<PrivateKeyDer<'_>>(pem).map_err(|reason| invalid("PRIVATE KEY", reason))?;
        let pkcs8 = match &der {
            PrivateKeyDer::Pkcs8(key) => Zeroizing::new(key.secret_pkcs8_der().to_vec()),
            PrivateKeyDer::Pkcs1(key) => pkcs8_of(key.secret_pkcs1_der()),
            _ => return Err(invalid("PRIVATE KEY", ANOTHER_KEY)),
        };
        let key = PrivateDecryptingKey::from_pkcs8(&pkcs8).map_err(|_| invalid("PRIVATE KEY", ANOTHER_KEY))?;
        let public = key.public_key();
        Self::new(namespace, name, &public, OaepPrivateDecryptingKey::new(key).map(RsaKeyPart::Private))
    }

    fn new(
        namespace: &str,
        name: &str,
        public: &PublicEncryptingKey,
        part: std::result::Result<RsaKeyPart, aws_lc_rs::error::Unspecified>,
    ) -> Result<Self> {
        let invalid = |_| invalid("key", ANOTHER_KEY);
        let (der, part) = (public.as_der().map_err(invalid)?, part.map_err(invalid)?);
        // The identity distinguishes the halves, as one seals and the other opens.
        let kind = if matches!(part, RsaKeyPart::Public(_)) { "public" } else { "private" };
        let names = format!("rsa/{kind}/{namespace}/{name}/");
        let identity = [names.as_bytes(), digest(&SHA256, der.as_ref()).as_ref()].concat();
        Ok(Self { namespace: namespace.to_owned(), name: name.to_owned(), identity, part })
    }
}

impl WrappingKey for RsaKey {
    fn identity(&self) -> Vec<u8> {
        self.identity.clone()
    }

    fn can_wrap(&self) -> bool {
        matches!(self.part, RsaKeyPart::Public(_))
    }

    fn wrap(&self, _: &KeyRequest<'_>, data_key: &Secret) -> Result<WrappedKey> {
        Error::check_memory()?;
        let failed = || Error::new(Status::Internal, "the RSA key did not wrap the data key");
        let RsaKeyPart::Public(key) = &self.part else { return Err(failed()) };
        let mut blob = vec![0; key.ciphertext_size()];
        aws_lc::run(|| {
            key.encrypt(&OAEP_SHA256_MGF1SHA256, data_key.expose(), &mut blob, None).map(|_| ()).map_err(|_| failed())
        })??;
        Ok(WrappedKey { provider_id: self.namespace.clone(), provider_info: self.name.clone().into_bytes(), blob })
    }

    fn claims(&self, wrapped: &WrappedKey) -> bool {
        matches!(self.part, RsaKeyPart::Private(_))
            && wrapped.provider_id == self.namespace
            && wrapped.provider_info == self.name.as_bytes()
    }

    fn unwrap_cost(&self) -> UnwrapCost {
        UnwrapCost::PrivateKeyOperation
    }

    fn unwrap(&self, _: &KeyRequest<'_>, wrapped: &WrappedKey) -> Result<Secret> {
        Error::check_memory()?;
        let failed = || {
            let message = format!("the RSA key {} does not unwrap the data key", quoted(&self.name));
            Error::new(Status::NoMatchingKey, message)
        };
        let RsaKeyPart::Private(key) = &self.part else { return Err(failed()) };
        if wrapped.blob.len() != key.key_size_bytes() {
            return Err(failed());
        }
        let mut data_key = Secret::zeroed(key.min_output_size())?;
        let len = aws_lc::run(|| {
            let opened = key.decrypt(&OAEP_SHA256_MGF1SHA256, &wrapped.blob, data_key.expose_mut(), None);
            opened.map(|data_key| data_key.len()).map_err(|_| failed())
        })??;
        data_key.truncate(len);
        Ok(data_key)
    }
}

/// Wraps PKCS #1 as PKCS #8 (RFC 5208): version 0, algorithm rsaEncryption, octets.
fn pkcs8_of(pkcs1: &[u8]) -> Zeroizing<Vec<u8>> {
    const VERSION_AND_ALGORITHM: [u8; 18] =
        [0x02, 0x01, 0x00, 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
    const LONG_LEN: usize = 5;
    let mut der = Zeroizing::new(Vec::with_capacity(pkcs1.len() + VERSION_AND_ALGORITHM.len() + 2 * LONG_LEN));
    push_der_head(&mut der, 0x30, VERSION_AND_ALGORITHM.len() + 4 + pkcs1.len());
    der.extend_from_slice(&VERSION_AND_ALGORITHM);
    push_der_head(&mut der, 0x04, pkcs1.len());
    der.extend_from_slice(pkcs1);
    der
}

/// A tag and a length of 256 to 65535, which DER encodes in three bytes.
fn push_der_head(der: &mut Vec<u8>, tag: u8, len: usize) {
    der.extend_from_slice(&[tag, 0x82, (len >> 8) as u8, len as u8]);
}

/// Checks namespace and name, which are part of every message: a reader finds the key by them.
fn check_names(namespace: &str, name: &str) -> Result<()> {
    if !names::is_provider_id(namespace) || name.is_empty() || name.len() > NAME_MAX {
        let message = format!(
            "a namespace is 1 to {NAME_MAX} ASCII characters that do not begin with {RESERVED_PREFIX}, \
             a key name 1 to {NAME_MAX} bytes"
        );
        return Err(Error::new(Status::InvalidKeyName, message));
    }
    Ok(())
}

/// The first section of this kind, or the reason why there is none.
fn section<T: PemObject>(pem: &[u8]) -> std::result::Result<T, &'static str> {
    let pem = without_byte_order_mark(pem);
    T::from_pem_slice(pem).map_err(|error| match error {
        pem::Error::NoItemsFound => what_it_is(pem),
        _ => explain_pem(&error, pem),
    })
}

/// Describes a text that does not contain the expected key.
fn what_it_is(text: &[u8]) -> &'static str {
    let has = |part: &[u8]| text.windows(part.len()).any(|window| window == part);
    match text {
        [] => "it is empty",
        // The beginning of a sequence in DER.
        [0x30, 0x82, ..] => "it is probably DER, not PEM",
        _ if has(b"ENCRYPTED PRIVATE KEY-----") => "it contains an encrypted private key; `openssl pkey` decrypts it",
        _ if has(b"RSA PUBLIC KEY-----") => {
            "it contains a public key in the form of PKCS #1; `openssl rsa` converts it"
        }
        _ if has(b"PRIVATE KEY-----") => "it contains a private key",
        _ if has(b"PUBLIC KEY-----") => "it contains a public key",
        _ if has(b"CERTIFICATE-----") => "it contains a certificate",
        _ if has(b"-----BEGIN ") => "it contains another kind of PEM",
        _ => "it has no -----BEGIN line",
    }
}

const ANOTHER_KEY: &str = "it contains a key of another type or size";

/// The message does not quote the text, which may be a private key.
fn invalid(kind: &str, reason: &str) -> Error {
    let message = format!("the PEM text contains no unencrypted RSA {kind} of 2048 to 8192 bits: {reason}");
    Error::new(Status::InvalidPem, message)
}
