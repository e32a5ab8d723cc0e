//! The names of credentials providers in the configuration.

use std::path::Path;

use tckms::{Config, Result};

/// All names, for error texts.
pub const NAMES: &str =
    "default, env, profile, profile:NAME, file:PATH, tccli, tccli:PROFILE, cvm-role, cvm-role:NAME or oidc";

/// Sets the provider with this name. `None` if no provider has it.
pub fn set(config: &mut Config, source: &str) -> Option<Result<()>> {
    let (kind, name) = source.split_once(':').map_or((source, None), |(kind, name)| (kind, Some(name)));
    Some(match (kind, name) {
        ("default", None) => config.set_default_credentials(),
        ("env", None) => config.set_env_credentials(),
        ("profile", name) => config.set_default_profile_credentials(name),
        ("file", Some(path)) => {
            config.set_profile_credentials(Path::new(path), None);
            Ok(())
        }
        ("tccli", name) => config.set_default_tccli_credentials(name),
        ("cvm-role", name) => config.set_cvm_role_credentials(name),
        ("oidc", None) => config.set_tke_env_credentials(),
        _ => return None,
    })
}
