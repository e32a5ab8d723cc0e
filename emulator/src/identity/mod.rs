//! Identities: long-term key pairs, and temporary ones with a token.

pub mod auth;
pub mod host_check;
pub mod issuer;

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use serde::Serialize;

use crate::error::ApiError;
use crate::random;

/// Length of the random part of a SecretId, and of a SecretKey.
const CREDENTIAL_LEN: usize = 32;

/// Length of a token. Tokens of the service have up to 4096 bytes (docs/kms-service.md, "STS").
const TOKEN_LEN: usize = 256;

/// A long-term key pair.
#[derive(Clone, Serialize)]
pub struct KeyPair {
    pub secret_id: String,
    pub secret_key: String,
}

impl KeyPair {
    /// A random pair in the format of the service's key pairs.
    pub fn generate() -> Self {
        Self {
            secret_id: format!("AKID{}", random::alphanumeric(CREDENTIAL_LEN)),
            secret_key: random::alphanumeric(CREDENTIAL_LEN),
        }
    }
}

/// Temporary credentials.
#[derive(Serialize)]
pub struct Credentials {
    #[serde(flatten)]
    pub pair: KeyPair,
    pub token: String,
    /// When they expire, in Unix seconds.
    pub expired_time: i64,
}

impl Credentials {
    /// Random credentials that expire at `expired_time`.
    pub fn generate(expired_time: i64) -> Self {
        Self { pair: KeyPair::generate(), token: random::alphanumeric(TOKEN_LEN), expired_time }
    }
}

/// The stored data of one identity.
pub struct Identity {
    pub secret_key: String,
    /// None for a long-term identity.
    token: Option<Token>,
}

struct Token {
    value: String,
    expires: i64,
}

/// All identities by their SecretId.
#[derive(Default)]
pub struct Identities {
    by_secret_id: RwLock<HashMap<String, Arc<Identity>>>,
}

impl Identities {
    /// Adds a long-term identity, which needs no token.
    pub fn add_long_term(&self, pair: KeyPair) {
        self.put(pair.secret_id, Identity { secret_key: pair.secret_key, token: None });
    }

    /// Adds a temporary identity, which needs its token and expires.
    pub fn add_temporary(&self, credentials: &Credentials) {
        let token = Token { value: credentials.token.clone(), expires: credentials.expired_time };
        let KeyPair { secret_id, secret_key } = credentials.pair.clone();
        self.put(secret_id, Identity { secret_key, token: Some(token) });
    }

    /// Lets the token of a temporary identity expire at once. A long-term identity does not change.
    pub fn expire(&self, secret_id: &str) {
        let Some(identity) = self.find(secret_id) else { return };
        if let Some(token) = &identity.token {
            let token = Token { value: token.value.clone(), expires: i64::MIN };
            self.put(secret_id.to_owned(), Identity { secret_key: identity.secret_key.clone(), token: Some(token) });
        }
    }

    pub fn find(&self, secret_id: &str) -> Option<Arc<Identity>> {
        self.by_secret_id.read().unwrap_or_else(PoisonError::into_inner).get(secret_id).cloned()
    }

    fn put(&self, secret_id: String, identity: Identity) {
        self.by_secret_id.write().unwrap_or_else(PoisonError::into_inner).insert(secret_id, Arc::new(identity));
    }
}

impl Identity {
    /// Checks the token of a request: required and unexpired for a temporary identity, absent for a long-term one.
    pub fn check_token(&self, given: Option<&str>, now: i64) -> Result<(), ApiError> {
        let given = given.unwrap_or_default();
        match &self.token {
            None if given.is_empty() => Ok(()),
            Some(token) if token.is(given) && now < token.expires => Ok(()),
            _ => Err(ApiError::token_failure()),
        }
    }
}

impl Token {
    fn is(&self, given: &str) -> bool {
        verify_slices_are_equal(self.value.as_bytes(), given.as_bytes()).is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identity(token: Option<(&str, i64)>) -> Identity {
        let token = token.map(|(value, expires)| Token { value: value.to_owned(), expires });
        Identity { secret_key: "SECRETKEYEXAMPLE".to_owned(), token }
    }

    #[test]
    fn a_long_term_identity_takes_no_token() {
        assert!(identity(None).check_token(None, 0).is_ok());
        assert!(identity(None).check_token(Some(""), 0).is_ok());
        assert!(identity(None).check_token(Some("TOKEN"), 0).is_err());
    }

    #[test]
    fn a_temporary_identity_needs_its_token_before_it_expires() {
        let temporary = identity(Some(("TOKEN", 100)));
        assert!(temporary.check_token(Some("TOKEN"), 99).is_ok());
        for (given, now) in [(Some("TOKEN"), 100), (Some("OTHER"), 99), (Some("TOKE"), 99), (None, 99)] {
            assert_eq!(temporary.check_token(given, now).unwrap_err().code, "AuthFailure.TokenFailure");
        }
    }
}
