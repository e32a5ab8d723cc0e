//! Switches for behaviour of the service that is not known, or differs between deployments.

use std::sync::{PoisonError, RwLock};

use serde::{Deserialize, Serialize};

/// The switches, all off at first.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Switches {
    /// A digest has 32 bytes for every algorithm, as documented, so also for P-384.
    pub strict_digests: bool,
    /// ListAlgorithms names key types, as the published sample does, and not signature schemes.
    pub list_key_types: bool,
    /// SM2 also has the two algorithm names of private deployments.
    pub private_cloud: bool,
}

impl Switches {
    /// The names of all switches on the command line.
    pub const NAMES: [&str; 3] = ["strict-digests", "list-key-types", "private-cloud"];

    /// Turns on the switch called `name`, if there is one.
    pub fn turn_on(&mut self, name: &str) -> bool {
        match name {
            "strict-digests" => self.strict_digests = true,
            "list-key-types" => self.list_key_types = true,
            "private-cloud" => self.private_cloud = true,
            _ => return false,
        }
        true
    }
}

/// The switches in force.
#[derive(Default)]
pub struct Behaviour(RwLock<Switches>);

impl Behaviour {
    pub fn new(switches: Switches) -> Self {
        Self(RwLock::new(switches))
    }

    pub fn switches(&self) -> Switches {
        *self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn set(&self, switches: Switches) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = switches;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_switch_has_a_name() {
        let mut switches = Switches::default();
        assert!(Switches::NAMES.into_iter().all(|name| switches.turn_on(name)));
        let json = serde_json::to_value(switches).unwrap();
        let fields = json.as_object().unwrap();
        assert!(fields.len() == Switches::NAMES.len() && fields.values().all(|value| value == true), "{json}");
        assert!(!switches.turn_on("other"));
    }
}
