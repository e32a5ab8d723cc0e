//! The string that a program can pass to C_Initialize in `pReserved`: a path, or settings without a file.
//!
//! pkcs11-provider sets it from `pkcs11-module-init-args`, libp11 from `INIT_ARGS`, and p11-kit from `x-init-reserved`.

use std::path::{Path, PathBuf};

use super::error::ConfigError;
use super::ini::shown;
use super::key_list::{DEFAULT_LABEL, listed_keys};
use super::settings::Settings;

/// The parsed string.
#[derive(Debug, PartialEq, Eq)]
pub enum InitString {
    /// Empty.
    Empty,
    /// The path of a configuration file.
    File(PathBuf),
    /// Settings of one token, and of the log.
    Settings(Box<Settings>),
}

/// Parses the string. Settings are separated by blanks or `;`, as in `region=ap-guangzhou;keys=93866e69-…,b1946ac9-…`.
pub fn parse(text: &str) -> Result<InitString, ConfigError> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(InitString::Empty);
    }
    if text.starts_with('/') {
        return Ok(InitString::File(text.into()));
    }
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c == ';').filter(|word| !word.is_empty()).collect();
    let pairs = words.iter().map(|word| {
        word.split_once('=').ok_or_else(|| {
            ConfigError::new(format!("the initialisation string contains {}, which is not NAME=VALUE", shown(word)))
        })
    });
    let pairs = pairs.collect::<Result<Vec<_>, _>>()?;
    if let [("config", path)] = pairs[..] {
        return Ok(InitString::File(path.into()));
    }
    settings(&pairs).map(|settings| InitString::Settings(Box::new(settings)))
}

fn settings(pairs: &[(&str, &str)]) -> Result<Settings, ConfigError> {
    let (mut global, mut token, mut keys) = (String::new(), String::new(), "");
    for (name, value) in pairs {
        match *name {
            "keys" if !keys.is_empty() => {
                return Err(ConfigError::new("the initialisation string contains keys twice"));
            }
            "keys" => keys = value,
            "log" | "log_level" => global += &format!("{name}={value}\n"),
            _ => token += &format!("{name}={value}\n"),
        }
    }
    let text = format!("[global]\n{global}[token \"{}\"]\n{token}", DEFAULT_LABEL);
    let mut settings = Settings::from_text(&text, Path::new(""))
        .map_err(|error| ConfigError::new(format!("the initialisation string is invalid: {}", error.message)))?;
    settings.tokens[0].location = None;
    settings.tokens[0].keys = listed_keys(keys)?;
    Ok(settings)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_and_settings_are_distinguished() {
        assert_eq!(parse("  "), Ok(InitString::Empty));
        assert_eq!(parse("/etc/x.conf"), Ok(InitString::File("/etc/x.conf".into())));
        assert_eq!(parse("config=x.conf"), Ok(InitString::File("x.conf".into())));
        let text = "region=ap-guangzhou; log=none keys=web=93866e69-9755-11ef-8e65-52540089bc41";
        let Ok(InitString::Settings(settings)) = parse(text) else { panic!() };
        assert_eq!(settings.tokens[0].region.as_deref(), Some("ap-guangzhou"));
        assert_eq!(settings.tokens[0].keys[0].label.as_deref(), Some("web"));
        let twice = format!("{text} keys=b1946ac9-9755-11ef-8e65-52540089bc41");
        for wrong in ["region", "configdir='/x' certPrefix=''", "keys=x", "colour=red", "log=none log=none", &twice] {
            assert!(parse(wrong).is_err(), "{wrong}");
        }
    }
}
