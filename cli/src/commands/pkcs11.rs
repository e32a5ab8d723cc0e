//! `tckms pkcs11`: writes the public key files of the PKCS#11 module (docs/pkcs11.md).

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use clap::{Args, Subcommand};
use serde::Serialize;

use crate::connection::{Global, variable};
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::files::input::Input;
use crate::files::output::Output;
use crate::report;
use crate::table;
use crate::text::shown;

const MACHINE_FILE: &str = "/etc/tckms/pkcs11.conf";
/// The maximal size of a configuration and of a public key file.
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

/// A key of the configuration.
#[derive(Debug, Default, PartialEq, Eq)]
struct Key {
    label: String,
    id: String,
    token: Option<String>,
    public_key: Option<PathBuf>,
}

/// The parts of a configuration that this command uses.
#[derive(Debug, Default)]
struct Settings {
    keys: Vec<Key>,
    /// The region and the endpoint of each token.
    tokens: BTreeMap<String, (Option<String>, Option<String>)>,
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
    let text = Input::open(Some(&path))?.read_all(FILE_MAX)?;
    let text = std::str::from_utf8(text.expose()).map_err(|_| Failure::wrong_file(shown(&path), "it is not UTF-8"))?;
    let settings = parse(text).map_err(|why| Failure::wrong_file(shown(&path), why))?;
    if settings.keys.is_empty() {
        return Err(Failure::wrong_file(
            shown(&path),
            "it has no key; a key is a section [key \"web\"] with id = KEYID",
        ));
    }
    let folder = Path::new(&path).parent().unwrap_or(Path::new("."));
    let mut synced = Vec::new();
    for key in &settings.keys {
        synced.push(sync_key(key, &settings, folder, options.check, global)?);
    }
    report::answer(&synced, |synced| {
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

fn config_path(options: &SyncOptions) -> Outcome<OsString> {
    if let Some(path) = &options.config {
        return Ok(path.clone());
    }
    if let Some(path) = variable("TCKMS_PKCS11_CONFIG")? {
        return Ok(path.into());
    }
    let of_user = variable("XDG_CONFIG_HOME")?
        .map(PathBuf::from)
        .or(variable("HOME")?.map(|home| Path::new(&home).join(".config")))
        .map(|folder| folder.join("tckms").join("pkcs11.conf"));
    let found = of_user.into_iter().chain([PathBuf::from(MACHINE_FILE)]).find(|path| path.exists());
    found.map(PathBuf::into_os_string).ok_or_else(|| {
        Failure::usage(format!("the module has no configuration; use --config, or create {MACHINE_FILE}"))
    })
}

fn sync_key(key: &Key, settings: &Settings, folder: &Path, check: bool, global: &Global) -> Outcome<Synced> {
    let Some(file) = &key.public_key else {
        let why = format!("the key has no public_key; add a line such as public_key = {}.pem", key.label);
        return Err(Failure::wrong_file(format!("[key \"{}\"]", key.label), why));
    };
    let path = folder.join(file).into_os_string();
    let pem = global_of(key, settings, global).client()?.public_key(&key.id)?.pem();
    let present = std::fs::metadata(&path).is_ok() && is_same(&path, pem.as_bytes())?;
    let fate = match (present, check) {
        (true, _) => FileState::UpToDate,
        (false, true) => FileState::Differs,
        (false, false) => {
            Output::find(Some(&path), false)?.deliver(pem.as_bytes())?;
            FileState::Written
        }
    };
    Ok(Synced { label: key.label.clone(), key_id: key.id.clone(), file: shown(&path), fate })
}

fn is_same(path: &OsString, pem: &[u8]) -> Outcome<bool> {
    Ok(Input::open(Some(path))?.read_all(FILE_MAX)?.expose() == pem)
}

/// The options of the command line, completed with those of the key's token.
fn global_of(key: &Key, settings: &Settings, global: &Global) -> Global {
    let only = settings.tokens.values().next().filter(|_| settings.tokens.len() == 1);
    let token = key.token.as_ref().and_then(|token| settings.tokens.get(token)).or(only);
    let (region, endpoint) = token.cloned().unwrap_or_default();
    Global {
        region: global.region.clone().or(region),
        endpoint: global.endpoint.clone().or(endpoint),
        ..global.clone()
    }
}

/// Parses the parts that this command uses. The module checks the rest.
fn parse(text: &str) -> Result<Settings, String> {
    let mut settings = Settings::default();
    let mut section = (String::new(), String::new());
    for (line, number) in text.lines().zip(1..) {
        let line = line.trim();
        if line.is_empty() || line.starts_with(['#', ';']) {
            continue;
        }
        if let Some(head) = line.strip_prefix('[') {
            let head =
                head.strip_suffix(']').ok_or_else(|| format!("line {number}: the ] of the section is missing"))?;
            let (kind, name) = head.split_once(char::is_whitespace).unwrap_or((head, ""));
            section = (kind.to_owned(), name.trim().trim_matches('"').to_owned());
            match kind {
                "key" => settings.keys.push(Key { label: section.1.clone(), ..Key::default() }),
                "token" => drop(settings.tokens.insert(section.1.clone(), (None, None))),
                _ => {}
            }
            continue;
        }
        let (name, value) =
            line.split_once('=').ok_or_else(|| format!("line {number}: an entry has the form NAME = VALUE"))?;
        let (name, value) = (name.trim(), value.trim().to_owned());
        match (section.0.as_str(), name, settings.keys.last_mut()) {
            ("key", "id", Some(key)) => key.id = value,
            ("key", "label", Some(key)) => key.label = value,
            ("key", "token", Some(key)) => key.token = Some(value),
            ("key", "public_key", Some(key)) => key.public_key = Some(value.into()),
            ("token", "region", _) => settings.tokens.entry(section.1.clone()).or_default().0 = Some(value),
            ("token", "endpoint", _) => settings.tokens.entry(section.1.clone()).or_default().1 = Some(value),
            _ => {}
        }
    }
    match settings.keys.iter().find(|key| key.id.is_empty()) {
        Some(key) => Err(format!("[key \"{}\"] has no id", key.label)),
        None => Ok(settings),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_their_tokens_and_files() {
        let text = "# comment\n[token \"prod\"]\nregion = ap-guangzhou\n\n[key \"web\"]\ntoken = prod\nid = 1234\npublic_key = web.pem\n";
        let settings = parse(text).unwrap();
        let expected = Key {
            label: "web".into(),
            id: "1234".into(),
            token: Some("prod".into()),
            public_key: Some("web.pem".into()),
        };
        assert_eq!(settings.keys, [expected]);
        assert_eq!(settings.tokens["prod"], (Some("ap-guangzhou".to_owned()), None));
        for bad in ["[key \"web\"", "[key \"web\"]\nid\n", "[key \"web\"]\n"] {
            assert!(parse(bad).is_err(), "{bad}");
        }
    }
}
