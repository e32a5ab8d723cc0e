//! Temporary credentials: issued to whoever the metadata service or STS gives them, valid for a while.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::emulator::Emulator;
use crate::identity::KeyPair;
use crate::random;

/// How long credentials live if nobody says otherwise, in seconds (kms-api §5.4, DurationSeconds default).
pub const DEFAULT_LIFETIME: i64 = 7200;

/// Length of a token. Real ones are longer still, up to 4096 bytes (kms-api §5.4).
const TOKEN_LEN: usize = 256;

/// What a test can set.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The role bound to the machine, whose credentials the metadata service gives out; None if none is.
    role: Option<String>,
    /// How long credentials live, in seconds, whatever their taker asks for.
    lifetime_seconds: Option<u32>,
}

impl Settings {
    /// Says why these settings cannot be.
    pub fn validate(&self) -> Result<(), String> {
        match self.role.as_deref() {
            Some(role) if !is_name(role) => Err(format!("`{role}` is not a role name")),
            _ => Ok(()),
        }
    }
}

/// A name of a role or a session: word characters and `+=,.@-` (kms-api §5.4).
pub fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_+=,.@-".contains(&byte))
}

/// The settings in force.
#[derive(Default)]
pub struct Issuer(Mutex<Settings>);

impl Issuer {
    pub fn settings(&self) -> Settings {
        self.lock().clone()
    }

    pub fn set(&self, settings: Settings) {
        *self.lock() = settings;
    }

    /// The role bound to the machine.
    pub fn role(&self) -> Option<String> {
        self.lock().role.clone()
    }

    fn lifetime(&self, asked: i64) -> i64 {
        self.lock().lifetime_seconds.map_or(asked, i64::from)
    }

    fn lock(&self) -> MutexGuard<'_, Settings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Credentials as their owner gets them.
#[derive(Serialize)]
pub struct Credentials {
    #[serde(flatten)]
    pub pair: KeyPair,
    pub token: String,
    /// When they expire, in Unix seconds.
    pub expired_time: i64,
}

impl Emulator {
    /// Makes credentials that live for `lifetime` seconds, unless the settings say otherwise.
    pub fn issue_credentials(&self, lifetime: i64) -> Credentials {
        let credentials = Credentials {
            pair: KeyPair::generate(),
            token: random::alphanumeric(TOKEN_LEN),
            expired_time: self.clock.now() + self.issuer.lifetime(lifetime),
        };
        self.identities.add_temporary(&credentials);
        credentials
    }
}
