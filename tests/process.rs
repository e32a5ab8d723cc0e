//! Behaviour inside a host process: forks, daemons, signals, threads, unloading, output, secrets and memory.
//!
//! Each program in `tests/c/process_*.c` runs over HTTP and over HTTPS, with gcc and with clang, and must print nothing
//! but the number of its checks.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

use base16ct::lower::encode_string as hex;
use hmac::{EagerHash, Hmac, KeyInit, Mac};
use sha2::{Sha256, Sha512};
use support::{CLANG, Compiler, Emulator, GCC, Library, Program, Scratch, dist, output_of, release, root};
use tckms::Secret;
use tckms::seal::{Context, KeyRequest, Keyring, WrappedKey, WrappingKey};

/// Builds and runs a program against an emulator, with the variables of all these programs.
fn passes(name: &str, compiler: Compiler, emulator: &Emulator) {
    passes_started_by(&[], &format!("process_{name}"), compiler, emulator);
}

/// The same for any program of tests/c, started by another program.
fn passes_started_by(starter: &[&Path], name: &str, compiler: Compiler, emulator: &Emulator) {
    let folder = Scratch::new();
    // One program reads the rounding mode, with a function of libm; the library is named before the source that needs it.
    let options = ["-Wl,--no-as-needed", "-lm"];
    let program = compiler.build_with(&options, format!("tests/c/{name}.c"), &Library::Shared);
    let mut run = program.with(emulator.environment()).started_by(starter);
    for (variable, value) in signing_keys(emulator) {
        run = run.variable(variable, &value);
    }
    for (variable, value) in known_message(&folder) {
        run = run.variable(variable, &value);
    }
    let other_ca = Emulator::over_https(&[]);
    let folder = folder.path().to_str().expect("its path is UTF-8");
    run.variable("TEST_FOREIGN_CA_FILE", other_ca.ca_file())
        .variable("TEST_FOLDER", folder)
        .run()
        .expect_nothing_but_passed_checks();
}

/// The keys that TC3 derives from the secret key for today, which are secrets too.
fn signing_keys(emulator: &Emulator) -> [(&'static str, String); 3] {
    let environment = emulator.environment();
    let (_, secret_key) = environment.iter().find(|(name, _)| name == "TENCENTCLOUD_SECRET_KEY").expect("it has a key");
    let today = iso_date(&httpdate::fmt_http_date(SystemTime::now()));
    let date_key = hmac::<Sha256>(format!("TC3{secret_key}").as_bytes(), today.as_bytes());
    let service_key = hmac::<Sha256>(&date_key, b"kms");
    let signing_key = hmac::<Sha256>(&service_key, b"tc3_request");
    [
        ("TEST_DATE_KEY", hex(&date_key)),
        ("TEST_SERVICE_KEY", hex(&service_key)),
        ("TEST_SIGNING_KEY", hex(&signing_key)),
    ]
}

/// A sealed message in a file, its data key, and the results of the two steps of HKDF (suite 0478).
fn known_message(folder: &Scratch) -> [(&'static str, String); 4] {
    let data_key = hmac::<Sha256>(b"for this test", b"a data key");
    let message = sealed_under(&data_key, b"known");
    let file = folder.path().join("message");
    std::fs::write(&file, &message).expect("the folder is writable");
    let message_id = &message[3..35];
    let extracted = hmac::<Sha512>(message_id, &data_key);
    let content_key = hmac::<Sha512>(&extracted, b"\x04\x78DERIVEKEY\x01");
    [
        ("TEST_SEALED_MESSAGE", file.to_str().expect("its path is UTF-8").to_owned()),
        ("TEST_SEALED_DATA_KEY", hex(&data_key)),
        ("TEST_SEALED_EXTRACTED_KEY", hex(&extracted)),
        ("TEST_SEALED_CONTENT_KEY", hex(&content_key[..32])),
    ]
}

/// A message sealed under a data key that is known.
fn sealed_under(data_key: &[u8], plaintext: &[u8]) -> Vec<u8> {
    let mut keyring = Keyring::new();
    keyring.add(Arc::new(KnownKey(data_key.to_vec())));
    let prepared = keyring.prepare_seal(plaintext, &Context::default()).expect("it can be sealed");
    let mut message = vec![0; prepared.message_len()];
    prepared.write(&mut message).expect("it can be sealed");
    message
}

/// Its data key is not random, and the wrapped key does not contain it.
struct KnownKey(Vec<u8>);

impl WrappingKey for KnownKey {
    fn identity(&self) -> Vec<u8> {
        Vec::new()
    }

    fn can_wrap(&self) -> bool {
        true
    }

    fn generate(&self, request: &KeyRequest<'_>) -> tckms::Result<(Secret, WrappedKey)> {
        let data_key = Secret::copy_of(&self.0)?;
        let wrapped = self.wrap(request, &data_key)?;
        Ok((data_key, wrapped))
    }

    fn wrap(&self, _: &KeyRequest<'_>, _: &Secret) -> tckms::Result<WrappedKey> {
        Ok(WrappedKey { provider_id: "known".to_owned(), provider_info: Vec::new(), blob: vec![0] })
    }

    fn claims(&self, _: &WrappedKey) -> bool {
        true
    }

    fn unwrap(&self, _: &KeyRequest<'_>, _: &WrappedKey) -> tckms::Result<Secret> {
        Secret::copy_of(&self.0)
    }
}

/// "Tue, 24 Nov 2026 08:00:00 GMT" as 2026-11-24.
fn iso_date(http_date: &str) -> String {
    const MONTHS: [&str; 12] = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let words: Vec<_> = http_date.split(' ').collect();
    let month = 1 + MONTHS.iter().position(|name| *name == words[2]).expect("a month has its English name");
    format!("{}-{month:02}-{}", words[3], words[1])
}

fn hmac<Hash: EagerHash>(key: &[u8], message: &[u8]) -> Vec<u8> {
    let mut mac = Hmac::<Hash>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().to_vec()
}

/// Two tests for each program: gcc over HTTP, clang over HTTPS.
macro_rules! over_http_and_https {
    ($($name:ident: $program:literal;)*) => {$(
        mod $name {
            use super::*;

            #[test]
            fn over_http() {
                passes($program, GCC, &Emulator::over_http(&["main", "other"]));
            }

            #[test]
            fn over_https() {
                passes($program, CLANG, &Emulator::over_https(&["main", "other"]));
            }
        }
    )*};
}

over_http_and_https! {
    forks: "fork";
    daemons: "daemon";
    signals: "signals";
    the_hosts_own_state: "state";
    threads: "threads";
    memory_that_runs_out: "memory";
    secrets_after_use: "secrets";
    secrets_after_sealing: "sealing";
    secrets_after_queued_calls: "queue_secrets";
}

const SIGNING: &str = "signing:ASYMMETRIC_SIGN_VERIFY_ECC";

/// tckms-seal under a filter, with a file of many frames.
fn seals_and_opens(filter: &Program, kind: &str, emulator: &Emulator) {
    let folder = Scratch::new();
    let plain = folder.write("plain", &"a line\n".repeat(500_000));
    let (sealed, opened) = (folder.path().join("sealed"), folder.path().join("opened"));
    for (options, from, to) in [(&[][..], &plain, &sealed), (&["-d"], &sealed, &opened)] {
        let mut command = Command::new(filter.path());
        command.arg(kind).arg(dist("tckms-seal")).args(options).args(["-k", emulator.key_id("main"), "-o"]);
        output_of(command.arg(to).arg(from).env_clear().envs(emulator.environment()));
    }
    assert!(std::fs::read(opened).unwrap() == std::fs::read(plain).unwrap());
}

/// The tool `tckms` under a filter: a small secret, a file of many frames, and a signature.
fn the_tool_works(filter: &Program, kind: &str, emulator: &Emulator) {
    let folder = Scratch::new();
    let plain = "a line\n".repeat(500_000);
    std::fs::write(folder.path().join("plain"), &plain).unwrap();
    let tckms = |arguments: &[&str]| {
        let mut command = Command::new(filter.path());
        command.arg(kind).arg(release("tckms")).args(arguments).current_dir(folder.path());
        command.env_clear().env("HOME", folder.path()).envs(emulator.environment());
        output_of(&mut command)
    };
    let (main, signing) = (emulator.key_id("main"), emulator.key_id("signing"));
    std::fs::write(folder.path().join("secret"), "secret").unwrap();
    tckms(&["encrypt", "-k", main, "-o", "blob", "secret"]);
    assert_eq!(tckms(&["decrypt", "blob"]), "secret");
    tckms(&["seal", "-k", main, "-o", "sealed", "plain"]);
    tckms(&["open", "-k", main, "-o", "opened", "sealed"]);
    assert!(std::fs::read_to_string(folder.path().join("opened")).unwrap() == plain);
    tckms(&["sign", "-k", signing, "-o", "signature", "plain"]);
    tckms(&["verify", "-k", signing, "--signature", "signature", "plain"]);
}

/// Under a seccomp filter that leaves out what is newer than Linux 3.10.
mod on_an_old_kernel {
    use super::*;

    fn passes(name: &str) {
        let filter = GCC.build("tests/c/with_filter.c", &Library::Shared);
        let starter = [filter.path(), Path::new("old")];
        passes_started_by(&starter, name, GCC, &Emulator::over_https(&["main", "other"]));
    }

    #[test]
    fn core_calls() {
        passes("core_calls");
    }

    /// They include a host that reuses the numbers of closed descriptors for its files and pipes. No random number may be read from
    /// these.
    #[test]
    fn daemons() {
        passes("process_daemon");
    }

    #[test]
    fn descriptors() {
        passes("process_state");
    }

    #[test]
    fn forks() {
        passes("process_fork");
    }

    #[test]
    fn queues() {
        passes("queue");
    }

    #[test]
    fn signals() {
        passes("process_signals");
    }

    /// Without process_sealing.c, which itself uses memfd_create.
    #[test]
    fn sealing() {
        let emulator = Emulator::over_https(&["main"]);
        let filter = GCC.build("tests/c/with_filter.c", &Library::Shared);
        seals_and_opens(&filter, "old", &emulator);
    }

    #[test]
    fn the_tool() {
        let filter = GCC.build("tests/c/with_filter.c", &Library::Shared);
        the_tool_works(&filter, "old", &Emulator::over_https(&["main", SIGNING]));
    }

    #[test]
    fn the_emulator() {
        let filter = GCC.build("tests/c/with_filter.c", &Library::Shared);
        let mut command = Command::new(filter.path());
        command.arg("old").arg(release("tckms-emulator"));
        let emulator = Emulator::over_http_by(command, &["main", "other"]);
        passes_started_by(&[], "core_calls", GCC, &emulator);
    }

    /// Linux 3.10 has no memory files.
    #[test]
    fn secrets_on_descriptors() {
        let emulator = Emulator::over_https(&["main"]);
        let filter = GCC.build("tests/c/with_filter.c", &Library::Shared);
        let folder = Scratch::new();
        let tckms = |arguments: &[&str]| {
            let mut command = Command::new(filter.path());
            command.arg("old").arg(release("tckms")).args(arguments).current_dir(folder.path());
            output_of(command.env_clear().env("HOME", folder.path()).envs(emulator.environment()))
        };
        folder.write("plain", "secret");
        tckms(&["seal", "-k", emulator.key_id("main"), "-o", "sealed", "plain"]);
        let script = "/bin/cat <&5; /bin/cat \"$A\" \"$A\"; /bin/ls -l /proc/self/fd; { echo x >&5; } 2>/dev/null || echo refused";
        let exec = ["exec", "-k", emulator.key_id("main"), "--fd", "5=sealed", "--file", "A=sealed"];
        let said = tckms(&[&exec[..], &["--", "/bin/sh", "-c", script]].concat());
        assert!(said.starts_with("secretsecretsecret") && said.ends_with("refused\n"), "{said}");
        assert_eq!(said.matches("-> /dev/shm/tckms.").count(), 2, "{said}");
        assert_eq!(said.matches(" (deleted)").count(), 2, "{said}");
    }

    #[test]
    fn threads() {
        passes("process_threads");
    }
}

/// On a kernel, or an emulation of one, that accepts the request to wipe a page in a child but does not do it.
#[test]
fn a_fork_is_recognized_where_advice_is_accepted_and_not_followed() {
    let filter = GCC.build("tests/c/with_filter.c", &Library::Shared);
    for program in ["process_fork", "branches", "queue"] {
        let emulator = Emulator::over_http(&["main", "other"]);
        passes_started_by(&[filter.path(), Path::new("accepting")], program, GCC, &emulator);
    }
}

/// In a sandbox that ends the process for any system call that docs/portability.md does not list.
#[test]
fn the_system_calls_of_the_documents_are_enough() {
    let filter = GCC.build("tests/c/with_filter.c", &Library::Shared);
    let list = output_of(Command::new(filter.path()).arg("list"));
    let document = std::fs::read_to_string(root().join("docs/portability.md")).unwrap();
    let listed = document.split("<!-- system calls -->").nth(1).expect("docs/portability.md lists the system calls");
    let listed: BTreeSet<_> = listed.split('`').skip(1).step_by(2).collect();
    assert_eq!(list.lines().collect::<BTreeSet<_>>(), listed, "left: allowed here, right: listed");

    let emulator = Emulator::over_https(&["main", "other", SIGNING]);
    let quickstart = GCC.build("examples-c/quickstart.c", &Library::Shared);
    let sandboxed = |program: &Path, arguments: &[&Path]| {
        let mut command = Command::new(filter.path());
        command.arg("sandbox").arg(program).args(arguments).env_clear().envs(emulator.environment());
        output_of(&mut command)
    };
    let key = Path::new(emulator.key_id("main"));
    assert!(sandboxed(quickstart.path(), &[key]).ends_with("equals the original.\n"));
    seals_and_opens(&filter, "sandbox", &emulator);
    the_tool_works(&filter, "sandbox", &emulator);
    let queues = GCC.build("tests/c/queue.c", &Library::Shared);
    // Without the children that the program forks.
    let queues = queues.with(emulator.environment()).variable("TEST_SANITIZED", "1");
    queues.started_by(&[filter.path(), Path::new("sandbox")]).run().expect_nothing_but_passed_checks();
    // The filter works: it ends a program that makes another system call.
    let mut other = Command::new(filter.path());
    assert!(!other.args(["sandbox", "/bin/mkdir", "/tmp/never"]).status().unwrap().success());
}

/// The program is not linked with the library: it loads it, a thousand times.
#[test]
fn the_library_can_be_loaded_and_closed_repeatedly() {
    let emulator = Emulator::over_http(&["main"]);
    let program = GCC.build_with(&["-Wl,--as-needed"], "tests/c/process_unload.c", &Library::Shared);
    let library = dist("libtckms.so");
    let run = program.with(emulator.environment()).variable("TEST_LIBRARY", library.to_str().expect("UTF-8"));
    run.run().expect_nothing_but_passed_checks();
}

#[test]
fn the_date_of_a_signature_is_that_of_the_clock() {
    assert_eq!(iso_date(&httpdate::fmt_http_date(UNIX_EPOCH)), "1970-01-01");
}
