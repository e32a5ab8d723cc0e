//! The sources of the configuration, in this order: the argument of C_Initialize, the environment, the user's file, the machine's
//! file.

use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use tckms::host;

use super::error::ConfigError;
use super::ini::FILE_MAX;
use super::init_string::{self, InitString};
use super::key_list::{DEFAULT_LABEL, listed_keys};
use super::settings::{self, LogSettings, Settings, TokenSettings};
use super::variable::variable;

/// The configuration file of the machine.
const MACHINE_FILE: &str = "/etc/tckms/pkcs11.conf";

/// The result of loading the configuration. The log settings are there even if the rest of the file is invalid.
pub struct Loaded {
    /// The log.
    pub log: LogSettings,
    /// The settings.
    pub settings: Result<Settings, ConfigError>,
}

/// Reads the configuration. `init_string` is the argument of C_Initialize.
pub fn load(init_string: Option<&str>) -> Loaded {
    let mut log = LogSettings::default();
    let outcome = read(init_string, &mut log);
    if let Some(destination) =
        variable("TCKMS_PKCS11_LOG").and_then(|value| settings::destination(&value, Path::new("")))
    {
        log.destination = destination;
    }
    if let Some(level) = variable("TCKMS_PKCS11_LOG_LEVEL").and_then(|value| settings::log_level(&value)) {
        log.level = level;
    }
    Loaded { log, settings: outcome }
}

fn read(init_string: Option<&str>, log: &mut LogSettings) -> Result<Settings, ConfigError> {
    match init_string::parse(init_string.unwrap_or_default())? {
        InitString::File(path) => return file(&path, log),
        InitString::Settings(settings) => {
            *log = settings.log.clone();
            return Ok(*settings);
        }
        InitString::Empty => {}
    }
    if let Some(path) = variable("TCKMS_PKCS11_CONFIG") {
        return file(Path::new(&path), log);
    }
    if let Some(keys) = variable("TCKMS_PKCS11_KEYS") {
        return from_environment(&keys);
    }
    match [user_file(), Some(MACHINE_FILE.into())].into_iter().flatten().find(|path| path.exists()) {
        Some(path) => file(&path, log),
        None if variable("TENCENTCLOUD_REGION").is_some() => from_environment(""),
        None => Ok(Settings::default()),
    }
}

/// One token, with the region and credentials of the environment.
fn from_environment(keys: &str) -> Result<Settings, ConfigError> {
    let keys = listed_keys(keys)?;
    let token = TokenSettings { label: DEFAULT_LABEL.to_owned(), keys, ..TokenSettings::default() };
    Ok(Settings { tokens: vec![token], ..Settings::default() })
}

fn file(path: &Path, log: &mut LogSettings) -> Result<Settings, ConfigError> {
    let text = read_file(path)?;
    if let Some(wanted) = Settings::log_of_text(&text, path) {
        *log = wanted;
    }
    Settings::from_text(&text, path)
}

fn read_file(path: &Path) -> Result<String, ConfigError> {
    let wrong = |message: String| ConfigError::at(path, 0, message);
    let mut file = host::open_file(path).map_err(|error| wrong(format!("the file cannot be read: {error}")))?;
    let metadata = file.metadata().map_err(|error| wrong(format!("the file cannot be read: {error}")))?;
    check_owner(metadata.uid(), metadata.mode()).map_err(wrong)?;
    let mut text = Vec::new();
    let read = (&mut file).take(FILE_MAX + 1).read_to_end(&mut text);
    read.map_err(|error| wrong(format!("the file cannot be read: {error}")))?;
    if text.len() as u64 > FILE_MAX {
        return Err(wrong(format!("the file is longer than {FILE_MAX} bytes")));
    }
    String::from_utf8(text).map_err(|_| wrong("the file is not UTF-8".to_owned()))
}

/// A user who may write the file decides which keys the program uses and where its requests are sent.
fn check_owner(owner: u32, mode: u32) -> Result<(), String> {
    if mode & 0o002 != 0 {
        return Err(format!("every user may write the file (mode {:03o}); run chmod o-w on it", mode & 0o777));
    }
    if owner != 0 && owner != host::effective_user() {
        return Err(format!("the file belongs to user {owner}; it must belong to root or to the user of this program"));
    }
    Ok(())
}

fn user_file() -> Option<PathBuf> {
    let folder = variable("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .or_else(|| variable("HOME").map(|home| Path::new(&home).join(".config")));
    folder.filter(|folder| folder.is_absolute()).map(|folder| folder.join("tckms").join("pkcs11.conf"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_others_can_write_is_refused() {
        let me = host::effective_user();
        assert!(check_owner(me, 0o100644).is_ok());
        assert!(check_owner(0, 0o100600).is_ok());
        assert!(check_owner(me, 0o100646).unwrap_err().contains("646"));
        assert!(check_owner(me + 1, 0o100644).is_err());
    }
}
