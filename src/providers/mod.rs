//! The credentials providers.

mod assume_role;
mod callback;
mod chain;
mod cvm_role;
mod file;
mod oidc;
mod profile;
mod source;
mod sts;
mod tccli;

pub use assume_role::Role;
pub use callback::{CredentialsCallback, SuppliedCredentials};
pub(crate) use cvm_role::check_role_name;
pub(crate) use profile::DEFAULT_PROFILE;
pub(crate) use source::{ProviderContext, Source};
pub(crate) use sts::DURATION_MAX;
