//! The APIs at the emulator's address: the KMS API, and the two services that give out temporary credentials.

pub mod actions;
pub mod answer;
pub mod dispatch;
pub mod envelope;
pub mod metadata;
pub mod params;
mod query;
mod sts;
