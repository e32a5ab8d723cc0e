//! Credentials (a secret id, a secret key and, if temporary, a token), their renewal and their signature.

mod cached;
mod provider;
pub(crate) mod tc3;

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

pub(crate) use cached::CachedCredentials;
pub(crate) use provider::{ExpiringCredentials, Provider, check_expiry};

use crate::error::{Error, Result};
use crate::secret::Secret;
use crate::status::Status;
use tc3::SigningKey;

/// Longest secret id and secret key (STS: "at most 1024 bytes").
const KEY_MAX: usize = 1024;
/// Longest session token (STS: "at most 4096 bytes").
const TOKEN_MAX: usize = 4096;

/// A secret id, a secret key and possibly a token, which always belong together.
pub struct Credentials {
    secret_id: String,
    secret_key: Secret,
    token: Option<Secret>,
    signing_key: Mutex<Option<SigningKey>>,
    accepted: AtomicBool,
}

impl Credentials {
    /// Checks the parts: printable ASCII without blanks around them. An error names the part, never its value.
    pub fn new(secret_id: &str, secret_key: &str, token: Option<&str>) -> Result<Self> {
        check("secret id", secret_id, KEY_MAX)?;
        check("secret key", secret_key, KEY_MAX)?;
        if let Some(token) = token {
            check("session token", token, TOKEN_MAX)?;
        }
        Ok(Self {
            secret_id: secret_id.to_owned(),
            secret_key: Secret::copy_of(secret_key.as_bytes())?,
            token: token.map(|token| Secret::copy_of(token.as_bytes())).transpose()?,
            signing_key: Mutex::default(),
            accepted: AtomicBool::new(false),
        })
    }

    pub(crate) fn secret_id(&self) -> &str {
        &self.secret_id
    }

    /// The key that signs requests to `service` at `timestamp`. The last one is cached: its derivation is most of
    /// the work of a signature.
    pub(crate) fn signing_key(&self, timestamp: i64, service: &'static str) -> SigningKey {
        let derive = || SigningKey::derive(self.secret_key.expose(), timestamp, service);
        // Never blocks: a fork may have copied the lock while another thread held it.
        let Ok(mut kept) = self.signing_key.try_lock() else { return derive() };
        match &*kept {
            Some(key) if key.is_for(timestamp, service) => key.clone(),
            _ => kept.insert(derive()).clone(),
        }
    }

    /// Whether the service has accepted a request signed with these credentials.
    pub(crate) fn were_accepted(&self) -> bool {
        self.accepted.load(Ordering::Relaxed)
    }

    pub(crate) fn set_accepted(&self) {
        if !self.were_accepted() {
            self.accepted.store(true, Ordering::Relaxed);
        }
    }

    pub(crate) fn are_same_as(&self, other: &Self) -> bool {
        self.secret_id == other.secret_id
            && self.secret_key.expose() == other.secret_key.expose()
            && self.token.as_ref().map(Secret::expose) == other.token.as_ref().map(Secret::expose)
    }

    pub(crate) fn token(&self) -> Option<&Secret> {
        self.token.as_ref()
    }
}

fn check(part: &str, value: &str, max: usize) -> Result<()> {
    let reason = if value.is_empty() {
        "is empty"
    } else if value.len() > max {
        "is too long"
    } else if value.trim().len() != value.len() {
        "has blanks around it"
    } else if !value.bytes().all(|byte| byte.is_ascii_graphic()) {
        "has a character that is not printable ASCII"
    } else {
        return Ok(());
    };
    let message = format!("the {part} {reason}; 1 to {max} printable ASCII characters without blanks are allowed");
    Err(Error::new(Status::MalformedCredentials, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_and_odd_characters_are_refused_without_showing_the_value() {
        for bad in ["", " s3cret", "s3cret\n", "s3\tcret", "s3cret密", "s3 cret"] {
            for (id, key, token) in [(bad, "key", None), ("id", bad, None), ("id", "key", Some(bad))] {
                let error = Credentials::new(id, key, token).err().unwrap();
                assert_eq!(error.status(), Status::MalformedCredentials);
                assert!(!error.message().contains("cret密") && !error.message().contains("s3"), "{error}");
            }
        }
    }

    #[test]
    fn the_three_parts_are_kept() {
        let credentials = Credentials::new("id", "key", Some("token")).unwrap();
        assert_eq!(credentials.secret_id(), "id");
        assert_eq!(credentials.secret_key.expose(), b"key");
        assert_eq!(credentials.token().unwrap().expose(), b"token");
    }
}
