//! What all connections share.

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
    /// Whether no other machine can reach it. Only then is there what asks no one who they are: the admin API and
    /// credentials for the asking.
    pub loopback: bool,
    /// Which requests may use what needs no signature, on top of that.
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
    /// Adds faults behind those that are there.
    pub fn add_faults(&self, entries: Vec<Entry>) -> Result<(), String> {
        if let Some(seconds) = self.faults.append(entries)? {
            self.clock.set_shift(seconds);
        }
        Ok(())
    }

    /// Sets faults in place of those that are there.
    pub fn set_faults(&self, entries: Vec<Entry>) -> Result<(), String> {
        self.clear_faults();
        self.add_faults(entries)
    }

    /// Ends all faults, those in force too.
    pub fn clear_faults(&self) {
        self.faults.clear();
        self.clock.set_shift(0);
    }

    /// Makes credentials that live for `lifetime` seconds, unless the settings say otherwise.
    pub fn issue_credentials(&self, lifetime: i64) -> Credentials {
        let credentials = Credentials::generate(self.clock.now() + self.issuer.lifetime(lifetime));
        self.identities.add_temporary(&credentials);
        credentials
    }
}
