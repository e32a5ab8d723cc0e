//! What all connections share.

use crate::clock::Clock;
use crate::identity::Identities;
use crate::keys::Keys;

/// One emulated account in one region.
pub struct Emulator {
    pub region: String,
    pub clock: Clock,
    pub identities: Identities,
    pub keys: Keys,
}
