//! The configuration file of the PKCS#11 module: its path, its syntax, and the names of credentials providers in it.

use std::path::{Path, PathBuf};

use crate::connection::variable;
use crate::failure::Outcome;

#[path = "../../pkcs11/src/config/error.rs"]
#[allow(dead_code)]
mod error;
/// The module's own parser.
#[path = "../../pkcs11/src/config/ini.rs"]
#[allow(dead_code)]
pub mod ini;
/// The module's own names.
#[path = "../../pkcs11/src/config/provider.rs"]
pub mod provider;

pub const MACHINE_FILE: &str = "/etc/tckms/pkcs11.conf";

/// The file that the module reads: that of TCKMS_PKCS11_CONFIG, which need not exist, that of the user, or that of the machine.
/// `None` if there is none, or if TCKMS_PKCS11_KEYS replaces it.
pub fn config_file() -> Outcome<Option<PathBuf>> {
    if let Some(path) = variable("TCKMS_PKCS11_CONFIG")? {
        return Ok(Some(path.into()));
    }
    if variable("TCKMS_PKCS11_KEYS")?.is_some() {
        return Ok(None);
    }
    let folder = match variable("XDG_CONFIG_HOME")? {
        Some(folder) => Some(PathBuf::from(folder)),
        None => variable("HOME")?.map(|home| Path::new(&home).join(".config")),
    };
    let of_user = folder.filter(|folder| folder.is_absolute()).map(|folder| folder.join("tckms").join("pkcs11.conf"));
    Ok([of_user, Some(MACHINE_FILE.into())].into_iter().flatten().find(|path| path.exists()))
}
