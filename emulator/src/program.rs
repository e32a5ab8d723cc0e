//! The program: command line, start, the line that it prints when it is ready, stop.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use log::Level;
use serde::Serialize;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use crate::background;
use crate::behaviour::Behaviour;
use crate::cli::{self, Command, Options, WantedKey};
use crate::clock::Clock;
use crate::emulator::Emulator;
use crate::faults::script::{self, Entry, Faults};
use crate::identity::host_check::HostCheck;
use crate::identity::issuer::Issuer;
use crate::identity::{Identities, KeyPair};
use crate::keys::{Keys, NewKey};
use crate::logger;
use crate::request_log::RequestLog;
use crate::server::Server;
use crate::server::tls::Tls;

/// Exit status for a wrong command line.
const USAGE_ERROR: u8 = 2;

type Error = Box<dyn std::error::Error + Send + Sync>;

/// Runs the program.
pub fn main() -> ExitCode {
    let args = || std::env::args_os().skip(1);
    let code = match cli::parse(args()) {
        Ok(Command::Help) => return print(cli::HELP),
        Ok(Command::Version) => return print(concat!("tckms-emulator ", env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Command::Serve(options)) => return run(options),
        Ok(Command::Export(options)) => match background::start(args(), &options) {
            Ok(code) => code,
            Err(error) => fail(&error.to_string(), ExitCode::FAILURE),
        },
        Err(message) => fail(&format!("{message}; try `tckms-emulator --help`"), USAGE_ERROR.into()),
    };
    if code != ExitCode::SUCCESS && args().any(|arg| arg == background::OPTION) {
        print(background::FAILURE);
    }
    code
}

fn print(text: &str) -> ExitCode {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Reports on stderr, independently of the log, why the program ends.
fn fail(message: &str, code: ExitCode) -> ExitCode {
    logger::write_to_stderr(Level::Error, message);
    code
}

fn run(options: Options) -> ExitCode {
    if let Err(message) = logger::start(options.log_level, options.log_file.as_deref()) {
        return fail(&message, ExitCode::FAILURE);
    }
    // One thread serves all calls: a call takes microseconds, and a test machine's other cores are for the client.
    // Disk access and RSA run on the runtime's blocking threads.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    match runtime.map_err(Error::from).and_then(|runtime| runtime.block_on(serve(options))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(&error.to_string(), ExitCode::FAILURE),
    }
}

async fn serve(options: Options) -> Result<(), Error> {
    // First, because the default action of a signal would leave files behind.
    let stop = stop_signal()?;
    let clock = Arc::new(Clock::default());
    let keys = Keys::open(options.data.as_deref(), Arc::clone(&clock), options.max_keys)?;
    let key_ids = options.keys.iter().map(|wanted| Ok((wanted.alias.clone(), key_id(&keys, wanted)?)));
    let key_ids = key_ids.collect::<Result<_, Error>>()?;
    let script = options.faults.as_deref().map(|path| read_script(path, options.tls)).transpose()?;
    let tls = options.tls.then(|| Tls::new(&options.tls_names, options.ca_file.as_deref()));
    let tls = tls.transpose()?.map(Arc::new);
    let listener = TcpListener::bind(options.listen).await.map_err(|error| format!("{}: {error}", options.listen))?;
    let ready = Ready {
        endpoint: format!("{}://{}", if options.tls { "https" } else { "http" }, listener.local_addr()?),
        credentials: options.credentials.clone(),
        ca_file: tls.as_ref().map(|tls| tls.ca_file.clone()),
        keys: key_ids,
    };
    let emulator = Emulator {
        region: options.region,
        tls: options.tls,
        loopback: options.listen.ip().is_loopback(),
        host_check: HostCheck::new(options.tls_names),
        clock,
        identities: Identities::default(),
        issuer: Issuer::default(),
        data_keys: keys.data_keys()?,
        keys,
        behaviour: Behaviour::new(options.switches),
        faults: Faults::default(),
        request_log: RequestLog::default(),
    };
    emulator.identities.add_long_term(options.credentials);
    emulator.add_faults(script.unwrap_or_default())?;
    announce(&ready)?;
    Server::new(Arc::new(emulator), tls).run(listener, stop).await;
    Ok(())
}

fn read_script(path: &Path, tls: bool) -> Result<Vec<Entry>, Error> {
    let named = |error: &dyn std::fmt::Display| format!("--faults {}: {error}", path.display());
    let script = std::fs::read(path).map_err(|error| named(&error))?;
    script::parse(&script, tls).map_err(|error| named(&error).into())
}

/// Resolves at the first SIGTERM or SIGINT.
fn stop_signal() -> std::io::Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// The KeyId of the key with this alias. The key is created if it does not exist.
fn key_id(keys: &Keys, WantedKey { alias, usage }: &WantedKey) -> Result<String, Error> {
    if let Some(key) = keys.find_by_alias(alias) {
        return Ok(key.key_id.clone());
    }
    let new =
        NewKey { alias: alias.clone(), description: String::new(), usage: *usage, external: false, tags: Vec::new() };
    let key = keys.create(new).map_err(|error| format!("--key {alias}: {}", error.message))?;
    Ok(key.key_id.clone())
}

/// The one line on stdout, with the data that a client needs.
#[derive(Serialize)]
struct Ready {
    endpoint: String,
    #[serde(flatten)]
    credentials: KeyPair,
    ca_file: Option<PathBuf>,
    keys: BTreeMap<String, String>,
}

fn announce(ready: &Ready) -> Result<(), Error> {
    let line = serde_json::to_string(ready)? + "\n";
    std::io::stdout().write_all(line.as_bytes()).map_err(|error| format!("cannot write to stdout: {error}").into())
}
