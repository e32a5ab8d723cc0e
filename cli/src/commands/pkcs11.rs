//! `tckms pkcs11`: writes the public key files of the PKCS#11 module (docs/pkcs11.md).

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;
use tckms::{Client, Config};

use crate::connection::{Global, variable};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::files::input::Input;
use crate::files::output::Output;
use crate::module_config::ini::{self, Section};
use crate::module_config::{MACHINE_FILE, config_file, provider};
use crate::report;
use crate::table;
use crate::text::shown;

/// The maximal size of a public key file.
const FILE_MAX: usize = 1 << 20;

#[derive(Subcommand, Debug)]
pub enum Command {
    /// Write the public key files that a configuration names, so that the module lists keys without a request
    Sync(SyncOptions),
}

#[derive(Args, Debug)]
pub struct SyncOptions {
    /// The configuration; default: TCKMS_PKCS11_CONFIG, the user's file, or /etc/tckms/pkcs11.conf
    #[arg(long, value_name = "FILE")]
    config: Option<OsString>,
    /// Write nothing; end with status 1 if a file is missing or differs
    #[arg(long)]
    check: bool,
}

/// A key of the configuration, with the settings of its token.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Key {
    label: String,
    id: String,
    token: Token,
    public_key: Option<PathBuf>,
}

/// The settings of a token that requests depend on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Token {
    label: String,
    region: Option<String>,
    endpoint: Option<String>,
    sts_endpoint: Option<String>,
    credentials: Option<String>,
    ca_bundle: Option<PathBuf>,
    proxy: Option<String>,
    insecure_http: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum FileState {
    UpToDate,
    Written,
    Differs,
}

#[derive(Serialize)]
struct Synced {
    label: String,
    key_id: String,
    file: String,
    fate: FileState,
}

pub fn run(command: &Command, global: &Global) -> Outcome {
    let Command::Sync(options) = command;
    sync(options, global)
}

fn sync(options: &SyncOptions, global: &Global) -> Outcome {
    let path = config_path(options)?;
    let keys = read_config(&path)?;
    if keys.is_empty() {
        return Err(Failure::wrong_file(
            shown(&path),
            "it has no key; a key is a section [key \"web\"] with id = KEYID",
        ));
    }
    // Before the first request: if the configuration is invalid, nothing is written.
    let files = keys.iter().map(file_of).collect::<Outcome<Vec<_>>>()?;
    let mut changes = Vec::new();
    for (key, file) in keys.iter().zip(files) {
        changes.push(Change::of(key, file, global)?);
    }
    // All outputs are checked before the first one is written.
    let outputs = changes.iter().map(|change| change.output(options.check)).collect::<Outcome<Vec<_>>>()?;
    let synced = changes.into_iter().zip(outputs).map(|(change, output)| change.write(output));
    let synced = synced.collect::<Outcome<Vec<_>>>()?;
    report::result(&synced, |synced| {
        let fate = |fate| match fate {
            FileState::UpToDate => "up to date",
            FileState::Written => "written",
            FileState::Differs => "missing or different",
        };
        let row =
            |one: &Synced| vec![one.label.clone(), one.key_id.clone(), one.file.clone(), fate(one.fate).to_owned()];
        table::print(&["LABEL", "KEY ID", "FILE", "PUBLIC KEY"], &synced.iter().map(row).collect::<Vec<_>>());
    });
    Ok(if synced.iter().any(|one| one.fate == FileState::Differs) { Exit::Failed } else { Exit::Done })
}

/// The keys of a configuration.
pub fn read_config(path: &OsStr) -> Outcome<Vec<Key>> {
    let text = Input::open(Some(path))?.read_all(ini::FILE_MAX as usize)?;
    let text = std::str::from_utf8(text.expose()).map_err(|_| Failure::wrong_file(shown(path), "it is not UTF-8"))?;
    parse(text, Path::new(path)).map_err(Failure::usage)
}

fn config_path(options: &SyncOptions) -> Outcome<OsString> {
    if let Some(path) = &options.config {
        return Ok(path.clone());
    }
    config_file()?.map(PathBuf::into_os_string).ok_or_else(|| {
        let why = "the module has no configuration; use --config, or create";
        Failure::usage(match variable("TCKMS_PKCS11_KEYS") {
            Ok(Some(_)) => {
                format!("TCKMS_PKCS11_KEYS cannot name public key files; use --config, or create {MACHINE_FILE}")
            }
            _ => format!("{why} {MACHINE_FILE}"),
        })
    })
}

fn file_of(key: &Key) -> Outcome<&Path> {
    key.public_key.as_deref().ok_or_else(|| {
        let why = format!("the key has no public_key; add a line such as public_key = {}.pem", key.label);
        Failure::wrong_file(format!("[key \"{}\"]", key.label), why)
    })
}

/// A public key, and whether its file has it.
struct Change<'a> {
    key: &'a Key,
    path: OsString,
    pem: String,
    is_present: bool,
}

impl<'a> Change<'a> {
    fn of(key: &'a Key, file: &Path, global: &Global) -> Outcome<Self> {
        let path = file.as_os_str().to_owned();
        let pem = client_of(&key.token, global)?.public_key(&key.id)?.pem();
        let is_present = std::fs::metadata(&path).is_ok() && is_same(&path, pem.as_bytes())?;
        Ok(Self { key, path, pem, is_present })
    }

    /// The file to write, if it is to be written.
    fn output(&self, check: bool) -> Outcome<Option<Output>> {
        if self.is_present || check { Ok(None) } else { Output::find(Some(&self.path), false).map(Some) }
    }

    fn write(self, output: Option<Output>) -> Outcome<Synced> {
        let fate = match output {
            Some(output) => {
                output.deliver(self.pem.as_bytes())?;
                FileState::Written
            }
            None if self.is_present => FileState::UpToDate,
            None => FileState::Differs,
        };
        Ok(Synced { label: self.key.label.clone(), key_id: self.key.id.clone(), file: shown(&self.path), fate })
    }
}

fn is_same(path: &OsString, pem: &[u8]) -> Outcome<bool> {
    Ok(Input::open(Some(path))?.read_all(FILE_MAX)?.expose() == pem)
}

/// A client with the settings of the token. An option of the command line takes precedence, and the environment comes last.
fn client_of(token: &Token, global: &Global) -> Outcome<Client> {
    let with_token = Global {
        region: global.region.clone().or_else(|| token.region.clone()),
        endpoint: global.endpoint.clone().or_else(|| token.endpoint.clone()),
        ca_file: global.ca_file.clone().or_else(|| token.ca_bundle.clone()),
        ..global.clone()
    };
    let mut config = with_token.config_without_credentials()?;
    if let (None, Some(url)) = (&global.proxy, &token.proxy) {
        config.set_proxy(url)?;
    }
    if let Some(url) = &token.sts_endpoint {
        config.set_sts_endpoint(url)?;
    }
    if token.insecure_http {
        config.set_insecure_http_allowed(true);
    }
    match (&global.profile, &token.credentials) {
        (Some(profile), _) => config.set_default_profile_credentials(Some(profile))?,
        (None, None) => config.set_default_credentials()?,
        (None, Some(source)) => set_credentials(&mut config, source)?,
    }
    Ok(Client::new(&config)?)
}

fn set_credentials(config: &mut Config, source: &str) -> Outcome<()> {
    match provider::set(config, source) {
        Some(set) => Ok(set?),
        None => Err(Failure::usage(format!("credentials is \"{source}\"; it can be {}", provider::NAMES))),
    }
}

/// Parses the parts that this command uses, by the syntax of the module. The module checks the rest.
fn parse(text: &str, file: &Path) -> Result<Vec<Key>, String> {
    let sections = ini::parse(text, file).map_err(|error| error.to_string())?;
    let of_kind = |kind| sections.iter().filter(move |section| section.kind == kind);
    let tokens: Vec<_> = of_kind("token").map(|section| token(section, file)).collect();
    of_kind("key").map(|section| key(section, &tokens, file)).collect()
}

fn value<'a>(section: &Section<'a>, name: &str) -> Option<&'a str> {
    section.entries.iter().find(|entry| entry.name == name).map(|entry| entry.value)
}

fn path(section: &Section<'_>, name: &str, file: &Path) -> Option<PathBuf> {
    let folder = file.parent().unwrap_or_else(|| Path::new(""));
    value(section, name).filter(|path| !path.is_empty()).map(|path| folder.join(path))
}

fn token(section: &Section<'_>, file: &Path) -> Token {
    let text = |name| value(section, name).map(str::to_owned);
    Token {
        label: section.name.unwrap_or_default().to_owned(),
        region: text("region"),
        endpoint: text("endpoint"),
        sts_endpoint: text("sts_endpoint"),
        credentials: text("credentials"),
        ca_bundle: path(section, "ca_bundle", file),
        proxy: text("proxy"),
        insecure_http: matches!(value(section, "insecure_http"), Some("yes" | "true" | "1")),
    }
}

fn key(section: &Section<'_>, tokens: &[Token], file: &Path) -> Result<Key, String> {
    let here = |message: String| format!("{}:{}: {message}", file.display(), section.line);
    let label = value(section, "label").or(section.name).unwrap_or_default().to_owned();
    let id = value(section, "id").filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| here(format!("the key \"{label}\" has no id")))?.to_owned();
    let token = match (value(section, "token"), tokens) {
        (Some(name), tokens) => tokens
            .iter()
            .find(|token| token.label == name)
            .ok_or_else(|| here(format!("there is no token \"{name}\"")))?,
        (None, [only]) => only,
        (None, []) => return Err(here("the key has no token: there is no [token] section".to_owned())),
        (None, _) => return Err(here("there are several tokens; set `token = LABEL`".to_owned())),
    };
    Ok(Key { label, id, token: token.clone(), public_key: path(section, "public_key", file) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_their_tokens_and_files() {
        let text = "\u{feff}# comment\n[token \"prod\"]\nregion = \"ap-guangzhou\"\nca_bundle = ca.pem\ninsecure_http = yes\n\
                    [token \"test\"]\ncredentials = profile:test\n\n\
                    [key \"web\"]\ntoken = prod\nid = 1234\npublic_key = \"web.pem\"\n\
                    [key \"two\"]\ntoken = test\nid = 5678\n";
        let keys = parse(text, Path::new("/etc/x/pkcs11.conf")).unwrap();
        let prod = Token {
            label: "prod".into(),
            region: Some("ap-guangzhou".into()),
            ca_bundle: Some("/etc/x/ca.pem".into()),
            insecure_http: true,
            ..Token::default()
        };
        let web =
            Key { label: "web".into(), id: "1234".into(), token: prod, public_key: Some("/etc/x/web.pem".into()) };
        assert_eq!(keys[0], web);
        assert_eq!((keys[1].token.credentials.as_deref(), &keys[1].public_key), (Some("profile:test"), &None));
        let one = "[token \"prod\"]\n";
        for (bad, line) in [
            ("[key \"web\"".to_owned(), "f:1: "),
            ("[key \"web\"]\nid\n".to_owned(), "f:2: "),
            (format!("{one}[key \"web\"]\n"), "f:2: "),
            ("[key \"web\"]\nid = 1\n".to_owned(), "f:1: "),
            (format!("{one}[token \"two\"]\n[key \"web\"]\nid = 1\n"), "f:3: "),
            (format!("{one}[key \"web\"]\nid = 1\ntoken = other\n"), "f:2: "),
        ] {
            let error = parse(&bad, Path::new("f")).unwrap_err();
            assert!(error.starts_with(line), "{bad}: {error}");
        }
    }

    #[test]
    fn providers_have_the_names_of_the_module() {
        for good in ["default", "profile:a", "file:/a", "tccli:a", "cvm-role", "cvm-role:a"] {
            assert!(set_credentials(&mut Config::new(), good).is_ok(), "{good}");
        }
        for bad in ["", "file", "env:x", "role", "default:"] {
            assert!(set_credentials(&mut Config::new(), bad).is_err(), "{bad}");
        }
    }
}
