//! The state that all connections share.

use std::sync::Arc;

use crate::behaviour::Behaviour;
use crate::clock::Clock;
use crate::faults::script::{Entry, Faults};
use crate::identity::host_check::HostCheck;
use crate::identity::issuer::Issuer;
use crate::identity::{Credentials, Identities};
use crate::keys::Keys;
use crate::keys::data_keys::DataKeys;
use crate::request_log::RequestLog;

/// One emulated account in one region.
pub struct Emulator {
    pub region: String,
    /// Whether connections begin with a TLS handshake.
    pub tls: bool,
    /// Whether only this machine can reach it. Otherwise the services without authentication are
    /// disabled: the admin API, STS and the metadata service.
    pub loopback: bool,
    /// The requests that may use the services without authentication.
    pub host_check: HostCheck,
    pub clock: Arc<Clock>,
    pub identities: Identities,
    pub issuer: Issuer,
    pub keys: Keys,
    pub data_keys: DataKeys,
    pub behaviour: Behaviour,
    pub faults: Faults,
    pub request_log: RequestLog,
}

impl Emulator {
    /// Appends faults.
    pub fn add_faults(&self, entries: Vec<Entry>) -> Result<(), String> {
        if let Some(seconds) = self.faults.append(entries)? {
            self.clock.set_shift(seconds);
        }
        Ok(())
    }

    /// Replaces all faults.
    pub fn set_faults(&self, entries: Vec<Entry>) -> Result<(), String> {
        self.clear_faults();
        self.add_faults(entries)
    }

    /// Removes all faults, including active ones.
    pub fn clear_faults(&self) {
        self.faults.clear();
        self.clock.set_shift(0);
    }

    /// Issues credentials with a lifetime of `lifetime` seconds, unless the settings override it.
    pub fn issue_credentials(&self, lifetime: i64) -> Credentials {
        let credentials = Credentials::generate(self.clock.now() + self.issuer.lifetime(lifetime));
        self.identities.add_temporary(&credentials);
        credentials
    }
}
