//! Stock AWS Encryption SDKs, with the providers of docs/interop, and this library read each other.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Mutex, PoisonError};

use serde_json::{Value, json};

use super::api::{Client, Keyring};
use support::{Emulator, Scratch, node_modules, root, tool};
use tckms::ffi::tckms_branch_options;

const FRAME_LENS: [usize; 3] = [128, 4096, 65_536];

/// Lengths around multiples of the frame length, and another one.
fn lengths(frame_len: usize) -> [usize; 7] {
    [0, 1, frame_len - 1, frame_len, frame_len + 1, 10 * frame_len, 1_000_003]
}

fn contexts() -> [Value; 4] {
    [
        json!({}),
        json!({"a": "1"}),
        json!({"b": "\"\\\n\u{7f}", "a": "", "c": "3"}),
        json!({"用途": "备份", "\u{ff5e}": "~", "\u{1d11e}": "𝄞"}),
    ]
}

fn plaintext(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + at / 251) as u8).collect()
}

struct Job {
    plaintext: Vec<u8>,
    context: Value,
    frame_len: usize,
    signed: bool,
}

fn jobs() -> Vec<Job> {
    let mut jobs = Vec::new();
    for frame_len in FRAME_LENS {
        for (at, len) in lengths(frame_len).into_iter().enumerate() {
            // A million bytes in short frames would take long and test nothing more.
            if len > 500_000 && frame_len < 4096 {
                continue;
            }
            for (number, context) in contexts().into_iter().enumerate() {
                jobs.push(Job { plaintext: plaintext(len), context, frame_len, signed: (at + number) % 2 == 1 });
            }
        }
    }
    jobs
}

/// Runs `peer` twice: it opens what the library sealed, and the library opens what it sealed.
fn both_ways(name: &str, peer: Command) {
    both_ways_with(name, peer, |keyring, client, key_id| keyring.add_kms(client, key_id).unwrap(), jobs(), &json!({}));
}

/// The same with branch keys, in both forms.
fn both_ways_with_branches(name: &str, peer: &dyn Fn() -> Command) {
    for by_reference in [0, 1] {
        let emulator = Emulator::over_http(&["one", "two"]);
        let client = Client::new(&emulator.environment(), "ap-guangzhou");
        let records: String =
            ["one", "two"].map(|key| client.new_branch_record(emulator.key_id(key), "orders")).concat();
        let text = std::ffi::CString::new(records.clone()).unwrap();
        let options = tckms_branch_options {
            branch_id: c"orders".as_ptr(),
            records: text.as_ptr(),
            by_reference,
            ..super::branch_store::no_options()
        };
        let jobs: Vec<_> = jobs().into_iter().filter(|job| job.frame_len == 4096).collect();
        let add =
            |keyring: &Keyring, client: &Client, key_id: &str| keyring.add_branch(client, key_id, &options).unwrap();
        let branch = json!({"id": "orders", "records": records, "by_reference": by_reference == 1});
        both_ways_on(&emulator, &client, name, peer(), add, &jobs, &branch);
    }
}

fn both_ways_with(name: &str, peer: Command, add: impl Fn(&Keyring, &Client, &str), jobs: Vec<Job>, branch: &Value) {
    let emulator = Emulator::over_http(&["one", "two"]);
    let client = Client::new(&emulator.environment(), "ap-guangzhou");
    both_ways_on(&emulator, &client, name, peer, add, &jobs, branch);
}

fn both_ways_on(
    emulator: &Emulator,
    client: &Client,
    name: &str,
    mut peer: Command,
    add: impl Fn(&Keyring, &Client, &str),
    jobs: &[Job],
    branch: &Value,
) {
    let keys = [emulator.key_id("one"), emulator.key_id("two")];
    let keyring = Keyring::new();
    keys.iter().for_each(|key| add(&keyring, client, key));
    let scratch = Scratch::new();
    let path = |kind: &str, number: usize| scratch.path().join(format!("{kind}-{number}"));
    let mut list = Vec::new();
    for (number, job) in jobs.iter().enumerate() {
        keyring.set_frame_len(job.frame_len).unwrap();
        keyring.set_signing(job.signed);
        fs::write(path("ours", number), keyring.seal(&job.plaintext, &job.context.to_string()).unwrap()).unwrap();
        fs::write(path("plain", number), &job.plaintext).unwrap();
        let (context, frame_len, signed) = (&job.context, job.frame_len, job.signed);
        // The other program opens with only the second CMK.
        list.push(json!({"do": "open", "in": path("ours", number), "out": path("opened", number), "keys": [keys[1]], "context": context, "branch": branch}));
        list.push(json!({"do": "seal", "in": path("plain", number), "out": path("theirs", number), "keys": keys,
            "context": context, "frame_len": frame_len, "signed": signed, "branch": branch}));
    }
    peer.envs(emulator.environment());
    run(name, peer, &Value::from(list));
    for (number, job) in jobs.iter().enumerate() {
        let what = format!("{name}: {} bytes in frames of {}", job.plaintext.len(), job.frame_len);
        assert!(fs::read(path("opened", number)).unwrap() == job.plaintext, "{what}");
        let theirs = fs::read(path("theirs", number)).unwrap();
        assert!(keyring.open(&theirs, &job.context.to_string()).unwrap() == job.plaintext, "{what}");
    }
}

fn run(name: &str, mut peer: Command, jobs: &Value) {
    let mut child = peer.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let input = child.stdin.take().unwrap();
    serde_json::to_writer(input, jobs).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{name}: {}", String::from_utf8_lossy(&output.stderr));
}

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(name)
}

/// Installs packages with the language's package manager, which does nothing if all are installed.
fn install(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Held while a folder that several tests use is filled.
static INSTALLING: Mutex<()> = Mutex::new(());

/// Returns the Python of a virtual environment with the packages of tests/interop/requirements-NAME.txt.
fn python_with(name: &str) -> PathBuf {
    let _alone = INSTALLING.lock().unwrap_or_else(PoisonError::into_inner);
    let environment = folder(&format!("interop-python-{name}"));
    let python = environment.join("bin/python");
    if !python.exists() {
        install(tool("python3").args(["-m", "venv", "--clear"]).arg(&environment));
    }
    let requirements = root().join(format!("tests/interop/requirements-{name}.txt"));
    install(pip_install(&python).arg("-r").arg(requirements));
    python
}

fn pip_install(python: &Path) -> Command {
    let mut pip = Command::new(python);
    pip.args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]);
    pip
}

fn python(version: u32) -> Command {
    let python = python_with(&version.to_string());
    let mut peer = Command::new(python);
    peer.arg(root().join("tests/interop/peer.py")).env("INTEROP_PROVIDER", root().join("docs/interop/python"));
    peer.env("PYTHONDONTWRITEBYTECODE", "1");
    for proxy in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
        peer.env_remove(proxy);
    }
    peer
}

#[test]
fn the_newest_python_sdk_and_the_library_read_each_other() {
    both_ways("aws-encryption-sdk 4", python(4));
}

#[test]
fn python_and_the_library_read_each_others_branch_keys() {
    both_ways_with_branches("aws-encryption-sdk 4", &|| python(4));
}

#[test]
fn another_program_computes_the_same_vectors() {
    let mut python = Command::new(python_with("4"));
    let output = python.arg(root().join("tests/interop/branch_vectors.py")).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let vectors: Value = serde_json::from_slice(&output.stdout).unwrap();
    let read = |path: &str| fs::read_to_string(root().join(path)).unwrap();
    let (documentation, tested) = (read("docs/sealing.md"), read("src/seal/format/branch_wrap.rs"));
    for name in ["derived", "embedded", "by reference"] {
        assert!(documentation.contains(vectors[name].as_str().unwrap()), "docs/sealing.md: {name}");
    }
    for name in ["embedded", "by reference"] {
        assert!(tested.contains(vectors[name].as_str().unwrap()), "the unit test: {name}");
    }
    // The value of AWS's specification for its own label shows that the derivation is the same.
    assert_eq!(vectors["aws derived"], "ef7f31b6648b60d6441fe90d34f6786df63e1a6732cd1261a9117413c3165cb6");
}

#[test]
fn the_old_python_sdk_and_the_library_read_each_other() {
    both_ways("aws-encryption-sdk 3", python(3));
}

/// docs/sealing.md has the commands.
#[test]
fn the_aws_command_line_tool_and_the_library_read_each_other() {
    let (python, scratch) = (python_with("cli"), Scratch::new());
    // pip writes to the source folder.
    for file in ["pyproject.toml", "tencent_kms.py", "tencent_kms_branch.py"] {
        fs::copy(root().join("docs/interop/python").join(file), scratch.path().join(file)).unwrap();
    }
    install(pip_install(&python).args(["--no-deps", "--force-reinstall"]).arg(scratch.path()));
    let emulator = Emulator::over_http(&["main"]);
    let client = Client::new(&emulator.environment(), "ap-guangzhou");
    let keyring = Keyring::new();
    keyring.add_kms(&client, emulator.key_id("main")).unwrap();
    let (plain, context) = (plaintext(100_000), json!({"purpose": "test"}).to_string());
    let cli = |action: &str, input: &Path, output: &str| {
        let mut cli = Command::new(python.with_file_name("aws-encryption-cli"));
        cli.arg(action).args(["--suppress-metadata", "--encryption-context", "purpose=test", "--wrapping-keys"]);
        cli.args(["provider=tencent-kms", &format!("key=ap-guangzhou/{}", emulator.key_id("main"))]);
        cli.arg("--input").arg(input).arg("--output").arg(scratch.path().join(output)).envs(emulator.environment());
        for proxy in ["http_proxy", "https_proxy", "all_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"] {
            cli.env_remove(proxy);
        }
        install(&mut cli);
        fs::read(scratch.path().join(output)).unwrap()
    };
    let input = scratch.write("plain", "");
    fs::write(&input, &plain).unwrap();
    let theirs = cli("--encrypt", &input, "theirs");
    assert!(keyring.open(&theirs, &context).unwrap() == plain);
    for signed in [false, true] {
        keyring.set_signing(signed);
        let ours = scratch.write("ours", "");
        fs::write(&ours, keyring.seal(&plain, &context).unwrap()).unwrap();
        assert!(cli("--decrypt", &ours, &format!("opened-{signed}")) == plain, "signed: {signed}");
    }
}

#[test]
fn the_javascript_sdk_and_the_library_read_each_other() {
    let mut peer = tool("node");
    peer.arg(root().join("tests/interop/peer.js")).env("NODE_PATH", node_modules());
    peer.env("INTEROP_PROVIDER", root().join("docs/interop/node"));
    both_ways("client-node", peer);
}

#[test]
fn javascript_and_the_library_read_each_others_branch_keys() {
    both_ways_with_branches("client-node", &|| {
        let mut peer = tool("node");
        peer.arg(root().join("tests/interop/peer.js")).env("NODE_PATH", node_modules());
        peer.env("INTEROP_PROVIDER", root().join("docs/interop/node"));
        peer
    });
}
