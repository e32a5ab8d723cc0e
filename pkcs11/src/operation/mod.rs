//! The operations of a session: at most one of each kind is active.

mod decryption;
mod digesting;
mod encryption;
mod operations;
mod output;
mod signing;
mod verification;

pub use decryption::Decryption;
pub use digesting::Digesting;
pub use encryption::Encryption;
pub use operations::Operations;
pub use output::{Output, check_capacity, output};
pub use signing::Signing;
pub use verification::Verification;
