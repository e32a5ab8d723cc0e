//! The settings of a configuration file, validated.

use std::path::{Path, PathBuf};
use std::time::Duration;

use tckms::LogLevel;

use super::error::ConfigError;
use super::ini::{self, Entry, Section, shown};
use crate::log::Destination;

/// The maximal length of a token's label, whose field in CK_TOKEN_INFO has 32 bytes.
pub const TOKEN_LABEL_MAX: usize = 32;
/// The maximal length of a key's label.
pub const KEY_LABEL_MAX: usize = 255;
/// The maximal number of keys of a token.
pub const KEYS_MAX: usize = 100_000;

/// All settings.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settings {
    /// The log.
    pub log: LogSettings,
    /// The tokens, which become slots in this order.
    pub tokens: Vec<TokenSettings>,
}

/// The log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogSettings {
    /// Where log lines are written.
    pub destination: Destination,
    /// The most verbose level that is logged.
    pub level: LogLevel,
}

impl Default for LogSettings {
    fn default() -> Self {
        Self { destination: Destination::Syslog, level: LogLevel::Warn }
    }
}

/// One token: a region with credentials, and keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TokenSettings {
    /// The label in CK_TOKEN_INFO.
    pub label: String,
    /// The file and line that define it, for error texts.
    pub location: Option<(PathBuf, usize)>,
    /// The region; `None` for that of the environment.
    pub region: Option<String>,
    /// The endpoint of the service.
    pub endpoint: Option<String>,
    /// The endpoint of STS.
    pub sts_endpoint: Option<String>,
    /// The credentials provider, as spelled in the file.
    pub credentials: Option<String>,
    /// The CA bundle.
    pub ca_bundle: Option<PathBuf>,
    /// The proxy.
    pub proxy: Option<String>,
    /// Whether plain HTTP to other machines is allowed.
    pub insecure_http: bool,
    /// The total timeout of a call with all its attempts.
    pub timeout: Option<Duration>,
    /// Lookup requests per second.
    pub request_rate: Option<u32>,
    /// Which keys are looked up in addition to the configured ones.
    pub discover: Discover,
    /// The source of random numbers.
    pub random: Random,
    /// Whether P-384 keys are supported.
    pub allow_p384: bool,
    /// The configured keys.
    pub keys: Vec<KeySettings>,
}

/// Which keys a token discovers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Discover {
    /// None.
    #[default]
    No,
    /// All asymmetric keys of the account in the region.
    All,
    /// Those with a tag.
    Tag(String, String),
}

/// The source of random numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Random {
    /// The operating system.
    #[default]
    Os,
    /// GenerateRandom of the service.
    Kms,
}

/// The usage of a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// Signing.
    Sign,
    /// Decryption.
    Decrypt,
}

/// One key.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeySettings {
    /// The label; `None` for the key's alias.
    pub label: Option<String>,
    /// The KeyId.
    pub id: String,
    /// Its usage, if it is set.
    pub usage: Option<Usage>,
    /// The file of its public key, in PEM.
    pub public_key: Option<PathBuf>,
    /// The file of its certificate, in PEM, followed by those of its issuers.
    pub certificate: Option<PathBuf>,
    /// The file and line that define it, for error texts.
    pub location: Option<(PathBuf, usize)>,
}

impl KeySettings {
    /// An error about this key.
    pub fn wrong(&self, message: impl Into<String>) -> ConfigError {
        match &self.location {
            Some((file, line)) => ConfigError::at(file, *line, message),
            None => ConfigError::new(message),
        }
    }
}

impl TokenSettings {
    /// An error about this token.
    pub fn wrong(&self, message: impl Into<String>) -> ConfigError {
        match &self.location {
            Some((file, line)) => ConfigError::at(file, *line, message),
            None => ConfigError::new(message),
        }
    }
}

impl Settings {
    /// Parses the text of a file. Paths in it are relative to the folder of the file.
    pub fn from_text(text: &str, file: &Path) -> Result<Self, ConfigError> {
        let sections = ini::parse(text, file)?;
        let reader = Reader { file };
        let mut settings = Self::default();
        let mut defaults = TokenSettings::default();
        for section in sections.iter().filter(|section| section.kind == "global") {
            reader.global(section, &mut settings.log, &mut defaults)?;
        }
        for section in &sections {
            match section.kind {
                "global" => {}
                "token" => {
                    let token = reader.token(section, defaults.clone())?;
                    if settings.tokens.iter().any(|other| other.label == token.label) {
                        return Err(token.wrong(format!("the token {} already exists", shown(&token.label))));
                    }
                    settings.tokens.push(token);
                }
                "key" => {}
                kind => {
                    let message = format!("the section is {}; it can be global, token or key", shown(kind));
                    return Err(ConfigError::at(file, section.line, message));
                }
            }
        }
        for section in sections.iter().filter(|section| section.kind == "key") {
            reader.key(section, &mut settings.tokens)?;
        }
        for token in &settings.tokens {
            check_unique(token)?;
        }
        Ok(settings)
    }

    /// The log settings of a file, if they are valid. An error in another part of the file is then logged where the file says.
    pub fn log_of_text(text: &str, file: &Path) -> Option<LogSettings> {
        let sections = ini::parse(text, file).ok()?;
        let global = sections.iter().find(|section| section.kind == "global")?;
        let mut log = LogSettings::default();
        for entry in &global.entries {
            let _ = Reader { file }.log_entry(entry, &mut log);
        }
        Some(log)
    }
}

/// Labels and ids must be unique within a token: programs find keys by them.
fn check_unique(token: &TokenSettings) -> Result<(), ConfigError> {
    let (mut labels, mut ids) = (std::collections::HashSet::new(), std::collections::HashSet::new());
    for key in &token.keys {
        if let Some(label) = &key.label
            && !labels.insert(label)
        {
            return Err(key.wrong(format!("another key already has the label {}", shown(label))));
        }
        if !ids.insert(&key.id) {
            return Err(key.wrong(format!("another key already has the id {}", shown(&key.id))));
        }
    }
    Ok(())
}

/// Whether the text has the form of a KeyId.
pub fn is_key_id(text: &str) -> bool {
    let parts = text.split('-').map(|part| part.bytes().all(|byte| byte.is_ascii_hexdigit()).then_some(part.len()));
    parts.eq([8, 4, 4, 4, 12].map(Some))
}

struct Reader<'a> {
    file: &'a Path,
}

impl Reader<'_> {
    fn wrong(&self, entry: &Entry<'_>, allowed: &str) -> ConfigError {
        let (name, value) = (entry.name, shown(entry.value));
        ConfigError::at(self.file, entry.line, format!("{name} is {value}; it can be {allowed}"))
    }

    fn unknown(&self, entry: &Entry<'_>, section: &str) -> ConfigError {
        let message = format!("{} is not a setting of a [{section}] section", shown(entry.name));
        ConfigError::at(self.file, entry.line, message)
    }

    fn global(
        &self,
        section: &Section<'_>,
        log: &mut LogSettings,
        defaults: &mut TokenSettings,
    ) -> Result<(), ConfigError> {
        if section.name.is_some() {
            return Err(ConfigError::at(self.file, section.line, "the section [global] takes no label"));
        }
        for entry in &section.entries {
            if !self.log_entry(entry, log)? && !self.default_entry(entry, defaults)? {
                return Err(self.unknown(entry, "global"));
            }
        }
        Ok(())
    }

    /// Applies an entry about the log. Returns whether it is one.
    fn log_entry(&self, entry: &Entry<'_>, log: &mut LogSettings) -> Result<bool, ConfigError> {
        match entry.name {
            "log" => {
                log.destination = destination(entry.value, self.file)
                    .ok_or_else(|| self.wrong(entry, "syslog, stderr, none or the path of a file"))?;
            }
            "log_level" => {
                log.level =
                    log_level(entry.value).ok_or_else(|| self.wrong(entry, "off, error, warn, info or debug"))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Applies an entry that [global] and a token have in common. Returns whether it is one.
    fn default_entry(&self, entry: &Entry<'_>, token: &mut TokenSettings) -> Result<bool, ConfigError> {
        match entry.name {
            "timeout_ms" => {
                token.timeout = Some(Duration::from_millis(self.number(entry, 1, 3_600_000)?));
            }
            "request_rate" => token.request_rate = Some(self.number(entry, 1, 10_000)? as u32),
            "random" => {
                token.random = match entry.value {
                    "os" => Random::Os,
                    "kms" => Random::Kms,
                    _ => return Err(self.wrong(entry, "os or kms")),
                };
            }
            "allow_p384" => token.allow_p384 = self.switch(entry)?,
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn token(&self, section: &Section<'_>, defaults: TokenSettings) -> Result<TokenSettings, ConfigError> {
        let label = section
            .name
            .ok_or_else(|| ConfigError::at(self.file, section.line, "a token needs a label, as in [token \"prod\"]"))?;
        if label.len() > TOKEN_LABEL_MAX {
            let message = format!("the label has {} bytes; at most {TOKEN_LABEL_MAX} are allowed", label.len());
            return Err(ConfigError::at(self.file, section.line, message));
        }
        let location = Some((self.file.to_owned(), section.line));
        let mut token = TokenSettings { label: label.to_owned(), location, ..defaults };
        for entry in &section.entries {
            if !self.token_entry(entry, &mut token)? && !self.default_entry(entry, &mut token)? {
                return Err(self.unknown(entry, "token"));
            }
        }
        Ok(token)
    }

    fn token_entry(&self, entry: &Entry<'_>, token: &mut TokenSettings) -> Result<bool, ConfigError> {
        let text = || Some(entry.value.to_owned());
        match entry.name {
            "region" => token.region = text(),
            "endpoint" => token.endpoint = text(),
            "sts_endpoint" => token.sts_endpoint = text(),
            "credentials" => token.credentials = text(),
            "ca_bundle" => token.ca_bundle = Some(self.path(entry)?),
            "proxy" => token.proxy = text(),
            "insecure_http" => token.insecure_http = self.switch(entry)?,
            "discover" => {
                token.discover = discover(entry.value).ok_or_else(|| self.wrong(entry, "no, all or tag:NAME=VALUE"))?;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    fn key(&self, section: &Section<'_>, tokens: &mut [TokenSettings]) -> Result<(), ConfigError> {
        let here = |message: String| ConfigError::at(self.file, section.line, message);
        let label = section.name.ok_or_else(|| here("a key needs a label, as in [key \"web\"]".to_owned()))?;
        let location = Some((self.file.to_owned(), section.line));
        let mut key = KeySettings { label: Some(label.to_owned()), location, ..KeySettings::default() };
        let mut token = None;
        for entry in &section.entries {
            match entry.name {
                "token" => token = Some(entry),
                "id" if is_key_id(entry.value) => key.id = entry.value.to_owned(),
                "id" => return Err(self.wrong(entry, "a KeyId such as 93866e69-9755-11ef-8e65-52540089bc41")),
                "label" => key.label = Some(entry.value.to_owned()),
                "usage" => {
                    key.usage = Some(match entry.value {
                        "sign" => Usage::Sign,
                        "decrypt" => Usage::Decrypt,
                        _ => return Err(self.wrong(entry, "sign or decrypt")),
                    });
                }
                "public_key" => key.public_key = Some(self.path(entry)?),
                "certificate" => key.certificate = Some(self.path(entry)?),
                _ => return Err(self.unknown(entry, "key")),
            }
        }
        if key.id.is_empty() {
            return Err(here(format!("the key {} has no id", shown(label))));
        }
        if key.label.as_ref().is_some_and(|label| label.is_empty() || label.len() > KEY_LABEL_MAX) {
            return Err(here(format!("the label of a key must have 1 to {KEY_LABEL_MAX} bytes")));
        }
        let owner = match (token, &mut *tokens) {
            (Some(entry), tokens) => tokens.iter_mut().find(|token| token.label == entry.value).ok_or_else(|| {
                ConfigError::at(self.file, entry.line, format!("there is no token {}", shown(entry.value)))
            })?,
            (None, [only]) => only,
            (None, []) => return Err(here("the key has no token: there is no [token] section".to_owned())),
            (None, _) => return Err(here("there are several tokens; set `token = LABEL`".to_owned())),
        };
        if owner.keys.len() >= KEYS_MAX {
            return Err(here(format!("the token has more than {KEYS_MAX} keys")));
        }
        owner.keys.push(key);
        Ok(())
    }

    fn number(&self, entry: &Entry<'_>, min: u64, max: u64) -> Result<u64, ConfigError> {
        let number = entry.value.parse().ok().filter(|number| (min..=max).contains(number));
        number.ok_or_else(|| self.wrong(entry, &format!("a number from {min} to {max}")))
    }

    fn switch(&self, entry: &Entry<'_>) -> Result<bool, ConfigError> {
        match entry.value {
            "yes" | "true" | "1" => Ok(true),
            "no" | "false" | "0" => Ok(false),
            _ => Err(self.wrong(entry, "yes or no")),
        }
    }

    fn path(&self, entry: &Entry<'_>) -> Result<PathBuf, ConfigError> {
        if entry.value.is_empty() {
            return Err(self.wrong(entry, "the path of a file"));
        }
        Ok(relative_to_file(self.file, entry.value))
    }
}

/// The path relative to the folder of the configuration file.
fn relative_to_file(file: &Path, path: &str) -> PathBuf {
    file.parent().unwrap_or_else(|| Path::new("")).join(path)
}

/// Parses a log destination.
pub fn destination(value: &str, file: &Path) -> Option<Destination> {
    Some(match value {
        "" => return None,
        "syslog" => Destination::Syslog,
        "stderr" => Destination::Stderr,
        "none" => Destination::None,
        path => Destination::File(relative_to_file(file, path)),
    })
}

/// Parses a log level.
pub fn log_level(value: &str) -> Option<LogLevel> {
    Some(match value {
        "off" => LogLevel::Off,
        "error" => LogLevel::Error,
        "warn" | "warning" => LogLevel::Warn,
        "info" => LogLevel::Info,
        "debug" => LogLevel::Debug,
        _ => return None,
    })
}

/// Parses a discovery setting.
pub fn discover(value: &str) -> Option<Discover> {
    Some(match value {
        "no" => Discover::No,
        "all" => Discover::All,
        other => {
            let (name, value) = other.strip_prefix("tag:")?.split_once('=')?;
            if name.is_empty() {
                return None;
            }
            Discover::Tag(name.to_owned(), value.to_owned())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "93866e69-9755-11ef-8e65-52540089bc41";
    const OTHER: &str = "93866e69-9755-11ef-8e65-52540089bc42";

    fn read(text: &str) -> Result<Settings, String> {
        Settings::from_text(text, Path::new("/etc/tckms/pkcs11.conf")).map_err(|error| error.to_string())
    }

    #[test]
    fn a_complete_file_is_parsed() {
        let text = format!(
            "[global]\nlog = log/module\nlog_level=info\ntimeout_ms = 1500\n[key \"web\"]\ntoken=prod\nid={ID}\nusage = sign\n\
             public_key = web.pem\ncertificate = /etc/ssl/web.pem\n[token \"prod\"]\nregion = ap-guangzhou\n\
             credentials = cvm-role\ndiscover = tag:service=web\nallow_p384 = yes\n[token \"other\"]\ntimeout_ms = 20\n"
        );
        let settings = read(&text).unwrap();
        assert_eq!(settings.log.destination, Destination::File("/etc/tckms/log/module".into()));
        let [prod, other] = &settings.tokens[..] else { panic!() };
        assert_eq!(prod.timeout, Some(Duration::from_millis(1500)));
        assert_eq!(other.timeout, Some(Duration::from_millis(20)));
        assert_eq!(prod.discover, Discover::Tag("service".into(), "web".into()));
        assert!(prod.allow_p384 && !other.allow_p384);
        let key = &prod.keys[0];
        assert_eq!(key.label.as_deref(), Some("web"));
        assert_eq!(key.public_key, Some("/etc/tckms/web.pem".into()));
        assert_eq!(key.certificate, Some("/etc/ssl/web.pem".into()));
        assert_eq!(key.location, Some(("/etc/tckms/pkcs11.conf".into(), 5)));
    }

    #[test]
    fn every_mistake_is_reported_with_its_line() {
        let token = "[token \"t\"]\nregion=x\n";
        let key = |label: &str, id: &str| format!("[key \"{label}\"]\nid = {id}\n");
        for (text, line, part) in [
            ("[globl]\n".to_owned(), 1, "global, token or key"),
            ("[global]\nlogg = x\n".to_owned(), 2, "not a setting"),
            ("[global]\nlog_level = loud\n".to_owned(), 2, "off, error, warn"),
            ("[global]\ntimeout_ms = 0\n".to_owned(), 2, "a number from 1"),
            ("[token]\n".to_owned(), 1, "needs a label"),
            (format!("[token \"{}\"]\n", "x".repeat(33)), 1, "33 bytes"),
            (format!("{token}{token}"), 3, "already"),
            (format!("{token}discover = maybe\n"), 3, "tag:NAME=VALUE"),
            (format!("{token}secret_key = x\n"), 3, "not a setting"),
            (key("a", ID), 1, "no [token] section"),
            (format!("{token}[token \"u\"]\n{}", key("a", ID)), 4, "several tokens"),
            (format!("{token}{}", key("a", "x")), 4, "a KeyId"),
            (format!("{token}[key \"a\"]\n"), 3, "has no id"),
            (format!("{token}{}usage = both\n", key("a", ID)), 5, "sign or decrypt"),
            (format!("{token}{}token = unknown\n", key("a", ID)), 5, "no token"),
            (format!("{token}{}{}", key("a", ID), key("a", OTHER)), 5, "already has the label \"a\""),
            (format!("{token}{}{}", key("a", ID), key("b", ID)), 5, "already has the id"),
        ] {
            let error = read(&text).unwrap_err();
            assert!(error.starts_with(&format!("/etc/tckms/pkcs11.conf:{line}: ")), "{text}: {error}");
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn the_log_settings_are_parsed_even_if_the_rest_is_invalid() {
        let log = Settings::log_of_text("[global]\nlog = none\nlgo = x\n", Path::new("f")).unwrap();
        assert_eq!(log.destination, Destination::None);
    }
}
