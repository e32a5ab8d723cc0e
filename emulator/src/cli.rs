//! The command line.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use lexopt::{Arg, Parser, ValueExt};
use log::LevelFilter;

use crate::api::dispatch::is_region;
use crate::behaviour::Switches;
use crate::identity::KeyPair;
use crate::keys::CMK_LIMIT;
use crate::keys::cmk::is_valid_alias;
use crate::keys::key_usage::KeyUsage;

/// The largest number for `--max-keys`.
const MAX_KEYS: usize = 100_000;

/// The text of `--help`.
pub const HELP: &str = "\
A local Tencent Cloud KMS for tests and first steps.

Usage: tckms-emulator [OPTIONS]

When it accepts calls it prints one line of JSON on stdout: its endpoint, the credentials to sign with, the file
of its CA, and the KeyIds of the requested keys. It stops on SIGTERM or SIGINT.

Options:
      --listen ADDR:PORT     Where to listen [default: 127.0.0.1:0, a free port]
      --tls                  Serve HTTPS with a certificate of a fresh CA
      --tls-name NAME        A further name of this host, for the certificate and in Host headers (repeatable)
      --ca-file FILE         Write the CA's certificate to this file [default: a temporary one]
      --data FILE            Keep the keys in this SQLite file [default: in memory]
      --key ALIAS[:USAGE]    Create this key if it does not exist, ENCRYPT_DECRYPT without a usage (repeatable)
      --max-keys N           How many CMKs there may be, 1 to 100000 [default: 200, as in the service]
      --secret-id ID         The SecretId that callers sign with [default: random]
      --secret-key KEY       The SecretKey that goes with it
      --faults FILE          Begin with this JSON script of faults
      --region REGION        The region of the emulator [default: ap-guangzhou]
      --behaviour NAME       strict-digests, list-key-types or private-cloud, where the service's behaviour is
                             not known (repeatable)
      --export               Run in the background and print shell lines for `eval \"$(...)\"`;
                             stop it with `kill $TCKMS_EMULATOR_PID`
      --log-level LEVEL      off, error, warn, info or debug, on stderr [default: warn]
      --log-file FILE        Append log messages to this file instead
      --allow-non-loopback-clients
                             Permit --listen on an address that other machines can reach
  -h, --help                 Print this help
  -V, --version              Print the version
";

/// The command of a command line.
pub enum Command {
    Help,
    Version,
    Serve(Options),
    /// Serve from a background process, and print what a shell needs to use it.
    Export(Options),
}

/// How to serve.
pub struct Options {
    pub listen: SocketAddr,
    pub tls: bool,
    pub tls_names: Vec<String>,
    pub ca_file: Option<PathBuf>,
    pub data: Option<PathBuf>,
    pub faults: Option<PathBuf>,
    pub keys: Vec<WantedKey>,
    pub max_keys: usize,
    pub credentials: KeyPair,
    pub region: String,
    pub log_level: LevelFilter,
    pub log_file: Option<PathBuf>,
    pub switches: Switches,
}

/// Reads the arguments after the program's name; an error is a message for the user.
pub fn parse(args: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    read(Parser::from_args(args)).map_err(|error| error.to_string())
}

fn read(mut parser: Parser) -> Result<Command, lexopt::Error> {
    let mut listen = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut tls = false;
    let (mut data, mut faults, mut log_file, mut ca_file) = (None, None, None, None);
    let (mut keys, mut tls_names) = (Vec::new(), Vec::new());
    let mut max_keys = CMK_LIMIT;
    let (mut secret_id, mut secret_key) = (None, None);
    let mut region = "ap-guangzhou".to_owned();
    let mut log_level = LevelFilter::Warn;
    let mut non_loopback = false;
    let mut export = false;
    let mut switches = Switches::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("listen") => listen = address(&parser.value()?.string()?)?,
            Arg::Long("tls") => tls = true,
            Arg::Long("tls-name") => tls_names.push(host_name(parser.value()?.string()?)?),
            Arg::Long("ca-file") => ca_file = Some(PathBuf::from(parser.value()?)),
            Arg::Long("data") => data = Some(PathBuf::from(parser.value()?)),
            Arg::Long("faults") => faults = Some(PathBuf::from(parser.value()?)),
            Arg::Long("key") => keys.push(wanted_key(&parser.value()?.string()?)?),
            Arg::Long("max-keys") => max_keys = key_limit(&parser.value()?.string()?)?,
            Arg::Long("secret-id") => secret_id = Some(credential("--secret-id", parser.value()?.string()?)?),
            Arg::Long("secret-key") => secret_key = Some(credential("--secret-key", parser.value()?.string()?)?),
            Arg::Long("region") => region = valid_region(parser.value()?.string()?)?,
            Arg::Long("log-level") => log_level = level(&parser.value()?.string()?)?,
            Arg::Long("log-file") => log_file = Some(PathBuf::from(parser.value()?)),
            Arg::Long("behaviour") => turn_on(&mut switches, &parser.value()?.string()?)?,
            Arg::Long("export") => export = true,
            Arg::Long("allow-non-loopback-clients") => non_loopback = true,
            Arg::Short('h') | Arg::Long("help") => return Ok(Command::Help),
            Arg::Short('V') | Arg::Long("version") => return Ok(Command::Version),
            other => return Err(other.unexpected()),
        }
    }
    if !listen.ip().is_loopback() && !non_loopback {
        return Err(non_loopback_refused(listen));
    }
    if ca_file.is_some() && !tls {
        return Err("--ca-file needs --tls".into());
    }
    let credentials = credentials(secret_id, secret_key)?;
    let options = Options {
        listen,
        tls,
        tls_names,
        ca_file,
        data,
        faults,
        keys,
        max_keys,
        credentials,
        region,
        log_level,
        log_file,
        switches,
    };
    Ok(if export { Command::Export(options) } else { Command::Serve(options) })
}

fn address(text: &str) -> Result<SocketAddr, lexopt::Error> {
    let mut addresses = text.to_socket_addrs().map_err(|error| format!("--listen {text}: {error}"))?;
    addresses.next().ok_or_else(|| format!("--listen {text}: no such address").into())
}

/// A key to create if it does not exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedKey {
    pub alias: String,
    pub usage: KeyUsage,
}

fn wanted_key(text: &str) -> Result<WantedKey, lexopt::Error> {
    let (alias, usage) = text.split_once(':').unwrap_or((text, KeyUsage::EncryptDecrypt.name()));
    if !is_valid_alias(alias) {
        return Err(format!("--key {text}: not a valid alias").into());
    }
    let usage = KeyUsage::from_name(usage).ok_or_else(|| format!("--key {text}: not a usage of the service"))?;
    Ok(WantedKey { alias: alias.to_owned(), usage })
}

fn key_limit(text: &str) -> Result<usize, lexopt::Error> {
    let limit = text.parse().ok().filter(|limit| (1..=MAX_KEYS).contains(limit));
    limit.ok_or_else(|| format!("--max-keys {text}: not a number from 1 to {MAX_KEYS}").into())
}

fn valid_region(text: String) -> Result<String, lexopt::Error> {
    if is_region(&text) { Ok(text) } else { Err(format!("--region {text}: not a region").into()) }
}

/// A name or address without a port, as in certificates and Host headers.
fn host_name(text: String) -> Result<String, lexopt::Error> {
    let is_label = |label: &str| {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        (1..=63).contains(&label.len()) && label.bytes().all(allowed)
    };
    let is_name = text.len() <= 253 && text.split('.').all(is_label);
    if is_name || text.parse::<IpAddr>().is_ok() {
        return Ok(text);
    }
    Err(format!("--tls-name {text}: not the name or address of a host").into())
}

fn turn_on(switches: &mut Switches, name: &str) -> Result<(), lexopt::Error> {
    if switches.turn_on(name) {
        return Ok(());
    }
    Err(format!("--behaviour {name}: not one of {}", Switches::NAMES.join(", ")).into())
}

fn level(text: &str) -> Result<LevelFilter, lexopt::Error> {
    text.parse().map_err(|_| format!("--log-level {text}: not a level").into())
}

/// Refuses characters that an Authorization header cannot have. The message must not repeat a secret.
fn credential(option: &str, text: String) -> Result<String, lexopt::Error> {
    let allowed = |byte: u8| byte.is_ascii_graphic() && !b"/,;".contains(&byte);
    if !text.is_empty() && text.bytes().all(allowed) {
        return Ok(text);
    }
    Err(format!("{option}: must be printable ASCII without blanks, `/`, `,` and `;`").into())
}

fn credentials(secret_id: Option<String>, secret_key: Option<String>) -> Result<KeyPair, lexopt::Error> {
    match (secret_id, secret_key) {
        (Some(secret_id), Some(secret_key)) => Ok(KeyPair { secret_id, secret_key }),
        (None, None) => Ok(KeyPair::generate()),
        _ => Err("--secret-id and --secret-key must be given together".into()),
    }
}

fn non_loopback_refused(listen: SocketAddr) -> lexopt::Error {
    format!(
        "--listen {listen}: other machines can reach this address, and the emulator does not protect its keys; \
         pass --allow-non-loopback-clients to permit it"
    )
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(args: &[&str]) -> Result<Options, String> {
        match parse(args.iter().map(OsString::from))? {
            Command::Serve(options) | Command::Export(options) => Ok(options),
            Command::Help | Command::Version => Err("not a command to serve".to_owned()),
        }
    }

    #[test]
    fn without_arguments_it_serves_on_a_free_loopback_port_with_random_credentials() {
        let options = options(&[]).unwrap();
        assert_eq!(options.listen.to_string(), "127.0.0.1:0");
        assert_eq!(options.region, "ap-guangzhou");
        assert!(options.credentials.secret_id.starts_with("AKID") && options.credentials.secret_id.len() == 36);
        assert_eq!(options.credentials.secret_key.len(), 32);
    }

    #[test]
    fn a_non_loopback_address_needs_allow_non_loopback_clients() {
        assert!(options(&["--listen", "0.0.0.0:0"]).is_err_and(|error| error.contains("--allow-non-loopback-clients")));
        assert!(options(&["--listen", "0.0.0.0:0", "--allow-non-loopback-clients"]).is_ok());
        assert!(options(&["--listen", "[::1]:0"]).is_ok());
    }

    #[test]
    fn a_usage_error_names_the_option_and_never_a_secret() {
        let error = |args: &[&str]| options(args).err().unwrap();
        assert!(error(&["--secret-id", "only"]).contains("--secret-key"));
        assert!(!error(&["--secret-id", "a", "--secret-key", "top secret"]).contains("top secret"));
        assert!(error(&["--key", "kms-x"]).contains("--key kms-x"));
        assert!(error(&["--key", "x:SIGN"]).contains("not a usage"));
        for limit in ["", "0", "-1", "100001", "many"] {
            assert!(error(&["--max-keys", limit]).contains("1 to 100000"), "{limit}");
        }
        assert!(error(&["--region", "x"]).contains("--region"));
        assert!(error(&["--listen", "nowhere"]).contains("--listen"));
        for name in ["", "a b", "http://a", "a:80", "a..b", "*.a"] {
            assert!(error(&["--tls-name", name]).contains("--tls-name"), "{name}");
        }
        assert!(error(&["--ca-file", "x"]).contains("--tls"));
        assert!(error(&["--frobnicate"]).contains("--frobnicate"));
        assert!(error(&["stray"]).contains("stray"));
    }
}
