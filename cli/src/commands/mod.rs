//! The commands, one file each.

pub mod branch;
pub mod call;
pub mod certificate;
pub mod completions;
pub mod credentials;
pub mod data_key;
pub mod decrypt;
pub mod doctor;
pub mod encrypt;
pub mod exec;
pub mod info;
pub mod keys;
pub mod open;
pub mod pkcs11;
pub mod public_key;
pub mod random;
pub mod reencrypt;
pub mod reseal;
pub mod rsa;
pub mod seal;
pub mod sign;
pub mod verify;

mod algorithm;
mod delivery;
mod keyring;
mod stored_secret;
