//! `tckms credentials`: a service for systemd's `LoadCredential=NAME:/run/tckms/credentials.sock`.
//!
//! systemd connects to the socket before it starts a unit. The address of its end of the connection names unit and credential: the
//! abstract name `RANDOM/unit/UNIT/CREDENTIAL` (systemd.exec(5), LoadCredential=). The reply is the secret, then end of stream.

use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::os::fd::{AsFd, OwnedFd};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use clap::Args;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::sockopt::{socket_acceptconn, socket_peercred};
use tckms::Secret;

use super::stored_secret::{Opener, SecretOptions, Source};
use crate::connection::Global;
use crate::context::ContextOptions;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome, os_text};
use crate::report;
use crate::sys;
use crate::text::{safe, shown};
use crate::values::number;

const FOLDER: &str = "/etc/tckms/credentials";
/// The first descriptor that systemd passes on (sd_listen_fds(3)).
const LISTEN_FDS_START: i32 = 3;
/// The maximal number of concurrent connections. Others wait.
const CONNECTIONS_MAX: usize = 32;
/// The time in which a peer must read its secret.
const WRITE_TIMEOUT: Duration = Duration::from_secs(10);
/// The length of a refusal: more than the 1 MiB that systemd accepts. The protocol has no error reply, and an empty reply would
/// start the unit with an empty credential.
const REFUSAL_LEN: usize = (1 << 20) + (64 << 10);

const HELP: &str = "\
The secret of the credential NAME for the unit UNIT is in FOLDER/UNIT/NAME or FOLDER/UNIT/NAME.sealed; for an instance such as \
web@1.service also in the folder of web@.service. It is a sealed message or a CiphertextBlob. {unit} and {credential} in the \
value of --context stand for the requested names, so that a file cannot be used for another unit.

If a secret cannot be opened, the service sends more than the maximal size of a credential, and systemd does not start the unit.";

#[derive(Args, Debug)]
#[command(after_help = HELP)]
pub struct Options {
    #[command(flatten)]
    secrets: SecretOptions,
    /// The folder with the secrets
    #[arg(long, value_name = "FOLDER", default_value = FOLDER)]
    folder: OsString,
    /// Exit after this many seconds without a connection; systemd starts the service again for the next one
    #[arg(long, value_name = "SECONDS", default_value_t = 30, value_parser = number::<u32>(1, 86_400))]
    idle: u32,
    /// Also serve this user id; default: only root
    #[arg(long, value_name = "UID", value_parser = number::<u32>(0, u32::MAX - 1))]
    allow_uid: Vec<u32>,
    /// Listen at this path instead of the socket passed by systemd, for tests
    #[arg(long, value_name = "PATH")]
    listen: Option<PathBuf>,
}

/// The unit and the credential that a peer requests.
#[derive(Debug, PartialEq, Eq)]
struct Request {
    unit: String,
    credential: String,
}

struct CredentialServer {
    opener: Outcome<Opener>,
    context: ContextOptions,
    folder: PathBuf,
    allowed: Vec<u32>,
}

pub fn run(options: &Options, global: &Global) -> Outcome {
    options.secrets.check()?;
    let listener = listener(options.listen.as_deref())?;
    let mut allowed = options.allow_uid.clone();
    allowed.push(0);
    let service = Arc::new(CredentialServer {
        // Without a client the service still runs and refuses requests, so that no unit waits for it.
        opener: options.secrets.opener(global),
        context: options.secrets.context.clone(),
        folder: PathBuf::from(&options.folder),
        allowed,
    });
    if let Err(failure) = &service.opener {
        report::failure(failure, global.json);
    }
    serve(&listener, &service, options.idle)?;
    Ok(Exit::Done)
}

/// The socket passed by systemd, or a new one at the path.
fn listener(path: Option<&Path>) -> Outcome<UnixListener> {
    if let Some(path) = path {
        return UnixListener::bind(path).map_err(|error| Failure::wrong_file(shown(path.as_os_str()), os_text(&error)));
    }
    let variable = |name| std::env::var(name).ok();
    let is_ours = variable("LISTEN_PID").is_some_and(|pid| pid == std::process::id().to_string());
    let one = variable("LISTEN_FDS").is_some_and(|count| count == "1");
    let missing = || {
        Failure::usage(
            "systemd passed no socket; start the service through tckms-credentials.socket, or use --listen PATH",
        )
    };
    if !is_ours || !one {
        return Err(missing());
    }
    let socket: OwnedFd = sys::take_inherited(LISTEN_FDS_START).map_err(|_| missing())?;
    match socket_acceptconn(&socket) {
        Ok(true) => Ok(UnixListener::from(socket)),
        _ => Err(Failure::usage("the socket passed by systemd does not listen; it needs Accept=no")),
    }
}

fn serve(listener: &UnixListener, service: &Arc<CredentialServer>, idle: u32) -> Outcome<()> {
    let connections = Arc::new(AtomicUsize::new(0));
    loop {
        let is_busy = connections.load(Ordering::SeqCst) > 0;
        if !has_connection(listener, idle)? {
            if is_busy {
                continue;
            }
            return Ok(());
        }
        let (stream, _) = match listener.accept() {
            Ok(accepted) => accepted,
            Err(error) => {
                report::note("accept", &os_text(&error));
                std::thread::sleep(Duration::from_millis(100));
                continue;
            }
        };
        while connections.load(Ordering::SeqCst) >= CONNECTIONS_MAX {
            std::thread::sleep(Duration::from_millis(10));
        }
        connections.fetch_add(1, Ordering::SeqCst);
        let (of_thread, count) = (Arc::clone(service), Arc::clone(&connections));
        let serve = move || {
            of_thread.reply(&stream);
            count.fetch_sub(1, Ordering::SeqCst);
        };
        if let Err(error) = std::thread::Builder::new().name("tckms-reply".to_owned()).spawn(serve) {
            connections.fetch_sub(1, Ordering::SeqCst);
            report::note("a thread", &os_text(&error));
        }
    }
}

fn has_connection(listener: &UnixListener, seconds: u32) -> Outcome<bool> {
    let timeout = Timespec { tv_sec: i64::from(seconds), tv_nsec: 0 };
    let descriptor = listener.as_fd();
    match poll(&mut [PollFd::new(&descriptor, PollFlags::IN)], Some(&timeout)) {
        Ok(ready) => Ok(ready > 0),
        Err(rustix::io::Errno::INTR) => Ok(false),
        Err(errno) => Err(Failure::failed("the socket", crate::failure::errno_text(errno))),
    }
}

impl CredentialServer {
    /// Sends the secret, or a refusal, with which systemd does not start the unit.
    fn reply(&self, stream: &UnixStream) {
        let _ = stream.set_write_timeout(Some(WRITE_TIMEOUT));
        let mut stream = stream;
        let request = self.check_peer(stream);
        let outcome =
            request.as_ref().map_err(|why| Failure::usage(why.clone())).and_then(|request| self.secret(request));
        let requester = request.map_or_else(
            |_| "a connection".to_owned(),
            |request| format!("{} of {}", request.credential, request.unit),
        );
        let sent = match &outcome {
            Ok(secret) => stream.write_all(secret.expose()),
            Err(failure) => {
                let what = failure.what.as_ref().map(|what| format!("{what}: ")).unwrap_or_default();
                report::note(&requester, &format!("{what}{}", failure.why));
                stream.write_all(&vec![0; REFUSAL_LEN])
            }
        };
        match (outcome, sent) {
            (Ok(_), Ok(())) => report::note(&requester, "sent"),
            (Ok(_), Err(error)) => report::note(&requester, &format!("not sent: {}", os_text(&error))),
            // systemd closes the connection when it has read more than its limit.
            (Err(_), _) => {}
        }
    }

    fn check_peer(&self, stream: &UnixStream) -> Result<Request, String> {
        let peer = socket_peercred(stream).map_err(|_| "the user of the peer is unknown".to_owned())?;
        if !self.allowed.contains(&peer.uid.as_raw()) {
            return Err(format!("refused: the peer is user {}; only root is allowed", peer.uid.as_raw()));
        }
        let address = stream.peer_addr().map_err(|_| "the address of the peer is unknown".to_owned())?;
        let name = address.as_abstract_name().ok_or("the peer has no abstract address, so it is not systemd")?;
        parse_address(name)
    }

    fn secret(&self, request: &Request) -> Outcome<Secret> {
        let opener = self.opener.as_ref().map_err(|failure| Failure::new(failure.exit, failure.why.clone()))?;
        let path = self.file_of(request)?;
        let context = self.context(request);
        opener.open(&Source::File(path.into_os_string()), &context.for_message()?, context.json()?.as_deref())
    }

    fn file_of(&self, request: &Request) -> Outcome<PathBuf> {
        let folders = [Some(request.unit.clone()), template_of(&request.unit)];
        let names = [request.credential.clone(), format!("{}.sealed", request.credential)];
        let candidates = folders.iter().flatten().flat_map(|folder| names.iter().map(move |name| (folder, name)));
        let mut paths = candidates.map(|(folder, name)| self.folder.join(folder).join(name));
        paths.find(|path| path.is_file()).ok_or_else(|| {
            let path = self.folder.join(&request.unit).join(&request.credential);
            Failure::wrong_file(shown(path.as_os_str()), "neither this file nor one with the suffix .sealed exists")
        })
    }

    /// The expected context of the secret.
    fn context(&self, request: &Request) -> ContextOptions {
        self.context
            .with_values(|value| value.replace("{unit}", &request.unit).replace("{credential}", &request.credential))
    }
}

/// `RANDOM/unit/UNIT/CREDENTIAL`.
fn parse_address(name: &[u8]) -> Result<Request, String> {
    let wrong = || {
        format!("the peer's address \"{}\" is not RANDOM/unit/UNIT/CREDENTIAL", safe(&shown(OsStr::from_bytes(name))))
    };
    let text = std::str::from_utf8(name).map_err(|_| wrong())?;
    let parts: Vec<_> = text.split('/').collect();
    match parts.as_slice() {
        [_, "unit", unit, credential] if is_file_name(unit) && is_file_name(credential) => {
            Ok(Request { unit: (*unit).to_owned(), credential: (*credential).to_owned() })
        }
        _ => Err(wrong()),
    }
}

/// Whether the name is that of a file within the folder.
fn is_file_name(name: &str) -> bool {
    !matches!(name, "" | "." | "..")
        && name.len() <= 255
        && !name.contains(|character: char| character.is_control() || character == '/')
}

/// `web@.service` for `web@1.service`.
fn template_of(unit: &str) -> Option<String> {
    let (name, rest) = unit.split_once('@')?;
    let (_, kind) = rest.rsplit_once('.')?;
    Some(format!("{name}@.{kind}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_names_unit_and_credential() {
        let request = parse_address(b"4f2a9c/unit/web@1.service/db-password").unwrap();
        assert_eq!(request, Request { unit: "web@1.service".into(), credential: "db-password".into() });
        assert_eq!(template_of(&request.unit).as_deref(), Some("web@.service"));
        for bad in [
            &b""[..],
            b"x",
            b"4f/unit/web.service",
            b"4f/unit/web.service/a/b",
            b"4f/unit/../a",
            b"4f/unit/web.service/..",
            b"4f/unit//a",
            b"4f/user/web.service/a",
            b"4f/unit/web.service/a\n",
            b"4f/unit/web.service/\xff",
        ] {
            assert!(parse_address(bad).is_err(), "{bad:?}");
        }
    }
}
