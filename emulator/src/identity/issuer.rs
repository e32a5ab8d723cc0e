//! Settings for temporary credentials: the role of the machine, and the lifetime.

use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

/// Default lifetime of credentials, in seconds (docs/kms-service.md, "STS").
pub const DEFAULT_LIFETIME: i64 = 7200;

/// The settings.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The role bound to the machine, whose credentials the metadata service returns.
    role: Option<String>,
    /// The lifetime of credentials in seconds, which overrides the requested one.
    lifetime_seconds: Option<u32>,
}

impl Settings {
    /// Returns the reason if these settings are invalid.
    pub fn validate(&self) -> Result<(), String> {
        match self.role.as_deref() {
            Some(role) if !is_name(role) => Err(format!("`{role}` is not a role name")),
            _ => Ok(()),
        }
    }
}

/// A name of a role or a session: word characters and `+=,.@-` (docs/kms-service.md, "STS").
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

    /// The lifetime of credentials for which `requested` seconds were requested.
    pub fn lifetime(&self, requested: i64) -> i64 {
        self.lock().lifetime_seconds.map_or(requested, i64::from)
    }

    fn lock(&self) -> MutexGuard<'_, Settings> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
