//! Signing: the module hashes, the service signs a digest.

use aws_lc_rs::digest::Context;
use cryptoki_sys::*;
use tckms::sign::{SignatureAlgorithm, raw_from_der};
use tckms::{Client, Status};

use crate::error::Result;
use crate::key::{PublicParts, SharedKey};
use crate::mechanism::{Request, Scheme, SignatureRequest};
use crate::token::failed;
use crate::{advice, log};

/// The maximal length of a hash for ECDSA.
const HASH_LEN_MAX: usize = 64;
/// The maximal input of a mechanism without a hash: RSA-2048 with PKCS#1 padding takes 245 bytes, and a DigestInfo of SHA-512
/// has 83.
const DIGEST_INPUT_MAX: usize = 245;
/// The lengths of hashes that are broken and refused.
const SHA1_LEN: usize = 20;
const MD5_SHA1_LEN: usize = 36;

/// The bytes before the hash in a DigestInfo (RFC 8017, 9.2, note 1).
const SHA256_PREFIX: &[u8] =
    &[0x30, 0x31, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x01, 0x05, 0x00, 0x04, 0x20];
/// The prefixes of hashes that the service does not support, with their names for the log.
const OTHER_PREFIXES: &[(&[u8], &str)] = &[
    (&[0x30, 0x21, 0x30, 0x09, 0x06, 0x05, 0x2b, 0x0e, 0x03, 0x02, 0x1a], "SHA-1"),
    (&[0x30, 0x2d, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x04], "SHA-224"),
    (&[0x30, 0x41, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x02], "SHA-384"),
    (&[0x30, 0x51, 0x30, 0x0d, 0x06, 0x09, 0x60, 0x86, 0x48, 0x01, 0x65, 0x03, 0x04, 0x02, 0x03], "SHA-512"),
];

/// An active signing or verification operation.
#[derive(Clone)]
pub struct Signing {
    key: SharedKey,
    request: SignatureRequest,
    input: Input,
    /// Whether a part was added: C_Sign cannot end such an operation.
    has_parts: bool,
}

#[derive(Clone)]
enum Input {
    /// The digest or DigestInfo that the program passes.
    Digest(Vec<u8>),
    /// The hash that the module computes.
    Message(Context),
}

impl Signing {
    /// Begins. Fails if the key does not support the mechanism.
    pub fn new(key: SharedKey, request: &Request) -> Result<Self> {
        let request = request.signature(&key)?;
        let input = match request.hash {
            Some(hash) => Input::Message(Context::new(hash)),
            None => Input::Digest(Vec::new()),
        };
        Ok(Self { key, request, input, has_parts: false })
    }

    /// The length of the signature.
    pub fn signature_len(&self) -> usize {
        self.key.output_len()
    }

    /// The key.
    pub fn key(&self) -> &SharedKey {
        &self.key
    }

    /// The service's algorithm.
    pub fn algorithm(&self) -> SignatureAlgorithm {
        self.request.algorithm
    }

    /// Whether a part was added.
    pub fn has_parts(&self) -> bool {
        self.has_parts
    }

    /// Adds a part of the data.
    pub fn update(&mut self, part: &[u8]) -> Result<()> {
        self.has_parts = true;
        self.add(part)
    }

    /// Adds the data.
    pub fn add(&mut self, data: &[u8]) -> Result<()> {
        match &mut self.input {
            Input::Message(context) => context.update(data),
            Input::Digest(digest) if digest.len() + data.len() > DIGEST_INPUT_MAX => {
                self.refuse(format_args!("a signature without a hash over more than {DIGEST_INPUT_MAX} bytes"));
                return Err(CKR_DATA_LEN_RANGE);
            }
            Input::Digest(digest) => digest.extend_from_slice(data),
        }
        Ok(())
    }

    /// The digest that is signed.
    pub fn digest(&self) -> Result<Vec<u8>> {
        match (&self.input, self.request.scheme) {
            (Input::Message(context), Scheme::Ecdsa) => Ok(self.integer(context.clone().finish().as_ref())),
            (Input::Message(context), _) => Ok(context.clone().finish().as_ref().to_vec()),
            (Input::Digest(input), Scheme::Pkcs1) => self.digest_of_info(input),
            (Input::Digest(input), Scheme::Pss) => {
                if input.len() != 32 {
                    self.refuse(format_args!("RSA-PSS with a digest of {} bytes", input.len()));
                    return Err(CKR_DATA_LEN_RANGE);
                }
                Ok(input.clone())
            }
            (Input::Digest(input), Scheme::Ecdsa) => self.hash_for_ecdsa(input),
        }
    }

    /// Extracts the hash from a DigestInfo.
    fn digest_of_info(&self, input: &[u8]) -> Result<Vec<u8>> {
        if let Some(digest) = input.strip_prefix(SHA256_PREFIX).filter(|digest| digest.len() == 32) {
            return Ok(digest.to_vec());
        }
        let named = OTHER_PREFIXES.iter().find(|(prefix, _)| input.starts_with(prefix));
        match named {
            Some((_, hash)) => self.refuse(format_args!("RSA with {hash}")),
            None if input.len() == MD5_SHA1_LEN => self.refuse(format_args!("RSA with MD5 and SHA-1, as TLS 1.1 does")),
            None => self.refuse(format_args!("RSA over {} bytes that are not a DigestInfo of SHA-256", input.len())),
        }
        Err(CKR_DATA_INVALID)
    }

    fn hash_for_ecdsa(&self, input: &[u8]) -> Result<Vec<u8>> {
        match input.len() {
            SHA1_LEN => {
                self.refuse(format_args!("ECDSA with SHA-1"));
                Err(CKR_DATA_INVALID)
            }
            1..=HASH_LEN_MAX => Ok(self.integer(input)),
            len => {
                self.refuse(format_args!("ECDSA over {len} bytes instead of a hash of 1 to {HASH_LEN_MAX}"));
                Err(CKR_DATA_LEN_RANGE)
            }
        }
    }

    /// The integer that ECDSA derives from a hash of any kind (FIPS 186-5, 6.4.1), in the length that the service takes: a longer
    /// hash is truncated to its leftmost bytes, a shorter one is padded with leading zeros.
    fn integer(&self, hash: &[u8]) -> Vec<u8> {
        let len = self.request.algorithm.digest_len();
        let hash = &hash[..hash.len().min(len)];
        let mut integer = vec![0; len];
        integer[len - hash.len()..].copy_from_slice(hash);
        integer
    }

    fn refuse(&self, what: std::fmt::Arguments<'_>) {
        log::warn(format_args!(
            "key {:?}: the program requested {what}, which KMS does not support; {}",
            self.key.label,
            advice::for_this_program()
        ));
    }

    /// Logs that the file of the public key or certificate is of another key. If no key needs a lookup, the first signature is the
    /// first request, so this cannot be detected earlier.
    fn explain_mismatch(&self, client: &Client) {
        let Some(mismatch) = &self.key.mismatch else { return };
        if client.public_key(&self.key.id).is_ok_and(|public| public.spki() != self.key.public.spki()) {
            log::error(format_args!("{mismatch}"));
        }
    }

    /// Signs with one request.
    pub fn finish(&self, client: &Client) -> Result<Vec<u8>> {
        let digest = self.digest()?;
        let algorithm = self.request.algorithm;
        let signed = client.sign_digest_with(&self.key.id, &self.key.public, Some(algorithm), &digest);
        let signature = signed.map_err(|error| {
            if error.status() == Status::SignatureInvalid {
                self.explain_mismatch(client);
            }
            failed(&format!("signing with key {:?} ({})", self.key.label, self.key.id), &error)
        })?;
        match &self.key.parts {
            PublicParts::Rsa { .. } => Ok(signature.bytes),
            PublicParts::Ec { scalar_len, .. } => {
                raw_from_der(&signature.bytes, 2 * scalar_len).map_err(|error| failed("encoding a signature", &error))
            }
        }
    }
}
