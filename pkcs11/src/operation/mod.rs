//! What a session has under way: each kind of operation at most once.

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
pub use output::{Output, output, without_room};
pub use signing::Signing;
pub use verification::Verification;
