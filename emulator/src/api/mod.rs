//! The APIs at the emulator's address: the KMS API, and the two services that issue temporary credentials.

pub mod actions;
pub mod answer;
pub mod dispatch;
pub mod envelope;
pub mod metadata;
pub mod params;
mod query;
mod sts;
