//! The program: its options, its line of output, how it stops, and what it stores on disk.

use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;
use std::sync::Mutex;
use std::time::Duration;

use serde_json::json;

use crate::support::{Connection, Emulator, base64, tls_exchange};

fn run(args: &[&str]) -> Output {
    Emulator::command(args).output().expect("the emulator runs")
}

#[test]
fn the_ready_line_has_all_that_a_client_needs() {
    let emulator = Emulator::start(&["--key", "second"]);
    assert!(emulator.text("endpoint").starts_with("http://127.0.0.1:"));
    assert_eq!(emulator.text("secret_id").len(), 36);
    assert_eq!(emulator.text("secret_key").len(), 32);
    assert!(emulator.ready["ca_file"].is_null());
    assert_eq!(emulator.ready["keys"].as_object().unwrap().keys().collect::<Vec<_>>(), ["main", "second"]);
    assert_eq!(emulator.ready.as_object().unwrap().len(), 5);
}

#[test]
fn given_credentials_are_used() {
    let emulator = Emulator::start(&["--secret-id", "AKIDEXAMPLE", "--secret-key", "SECRETKEYEXAMPLE"]);
    assert_eq!((emulator.text("secret_id"), emulator.text("secret_key")), ("AKIDEXAMPLE", "SECRETKEYEXAMPLE"));
    assert_eq!(emulator.client().code("GetRegions", json!({})), "OK");
}

#[test]
fn help_and_version_go_to_stdout() {
    let help = run(&["--help"]);
    assert!(help.status.success() && help.stderr.is_empty());
    let text = String::from_utf8(help.stdout).unwrap();
    for option in ["--listen", "--tls", "--data", "--secret-id", "--key", "--region", "--allow-non-loopback-clients"] {
        assert!(text.contains(option), "{option}");
    }
    assert_eq!(run(&["--version"]).stdout, format!("tckms-emulator {}\n", env!("CARGO_PKG_VERSION")).into_bytes());
}

#[test]
fn usage_errors_exit_with_2_and_print_nothing_on_stdout() {
    for args in [&["--nonsense"][..], &["--listen", "0.0.0.0:0"], &["--secret-id", "x"], &["--key", "kms-x"]] {
        let output = run(args);
        assert_eq!(output.status.code(), Some(2), "{args:?}");
        assert!(output.stdout.is_empty());
        assert!(String::from_utf8(output.stderr).unwrap().contains("--help"));
    }
}

#[test]
fn an_address_in_use_is_an_error_that_names_it() {
    let emulator = Emulator::start(&[]);
    let output = run(&["--listen", emulator.address()]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains(emulator.address()));
}

#[test]
fn sigterm_and_sigint_stop_it_without_further_output() {
    for signal in ["TERM", "INT"] {
        let emulator = Emulator::start(&[]);
        let idle = Connection::open(emulator.address());
        emulator.client().expect("GetRegions", json!({}));
        emulator.signal(signal);
        let (status, out, err) = emulator.wait();
        assert!(status.success(), "{signal}: {status}");
        assert_eq!((out.as_str(), err.as_str()), ("", ""));
        drop(idle);
    }
}

#[test]
fn a_call_in_flight_gets_its_reply_before_the_emulator_stops() {
    let emulator = Emulator::start(&[]);
    let request = emulator.client().call("GenerateRandom", &json!({ "NumberOfBytes": 8 })).bytes();
    let (first, rest) = request.split_at(request.len() - 1);
    let mut connection = Connection::open(emulator.address());
    connection.send(first).unwrap();
    std::thread::sleep(Duration::from_millis(200));
    emulator.signal("TERM");
    std::thread::sleep(Duration::from_millis(200));
    assert!(TcpStream::connect(emulator.address()).is_err(), "no new connections are accepted");
    let reply = connection.exchange(rest).unwrap();
    assert_eq!(reply.json()["Response"]["Plaintext"].as_str().unwrap().len(), 12);
    assert!(emulator.wait().0.success());
}

#[test]
fn tls_uses_a_new_ca_whose_file_is_removed_at_the_end() {
    let emulator = Emulator::start(&["--tls"]);
    assert!(emulator.text("endpoint").starts_with("https://127.0.0.1:"));
    let ca_file = emulator.text("ca_file").to_owned();
    assert_eq!(mode(Path::new(&ca_file)), 0o600);
    assert_eq!(mode(Path::new(&ca_file).parent().unwrap()), 0o700);

    for name in ["127.0.0.1", "::1", "localhost"] {
        let request = emulator.client().call("GetRegions", &json!({})).bytes();
        let reply = tls_exchange(&ca_file, emulator.address(), name, &request).unwrap();
        assert_eq!(reply.json()["Response"]["Regions"], json!(["ap-guangzhou"]));
    }
    let ca = Path::new(&ca_file).parent().unwrap().to_owned();
    assert!(emulator.stop().0.success());
    assert!(!ca.exists());
}

fn mode(path: &Path) -> u32 {
    path.metadata().unwrap().permissions().mode() & 0o777
}

#[test]
fn keys_and_states_in_a_data_file_persist_and_ciphertexts_still_decrypt() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("kms.db").to_str().unwrap().to_owned();
    let first = Emulator::start(&["--data", &data]);
    assert_eq!(mode(Path::new(&data)), 0o600);
    let client = first.client();
    let key_id = first.key_id().to_owned();
    let blob =
        client.expect("Encrypt", json!({ "KeyId": key_id, "Plaintext": base64("kept") }))["CiphertextBlob"].clone();
    let signer = client.expect("CreateKey", json!({ "Alias": "s", "KeyUsage": "ASYMMETRIC_SIGN_VERIFY_RSA_2048" }));
    let public_key = client.expect("GetPublicKey", json!({ "KeyId": signer["KeyId"] }))["PublicKey"].clone();
    client.expect("UpdateKeyDescription", json!({ "KeyId": key_id, "Description": "described" }));
    client.expect("EnableKeyRotation", json!({ "KeyId": key_id, "RotateDays": 77 }));
    let archived = client.expect("CreateKey", json!({ "Alias": "archived" }))["KeyId"].clone();
    client.expect("ArchiveKey", json!({ "KeyId": archived }));
    first.stop();

    let second = Emulator::start(&["--data", &data]);
    let client = second.client();
    assert_eq!(second.key_id(), key_id);
    assert_eq!(client.expect("Decrypt", json!({ "CiphertextBlob": blob }))["Plaintext"], base64("kept"));
    assert_eq!(client.expect("GetPublicKey", json!({ "KeyId": signer["KeyId"] }))["PublicKey"], public_key);
    let found = client.expect("DescribeKey", json!({ "KeyId": key_id }))["KeyMetadata"].clone();
    assert_eq!((&found["Description"], &found["RotateDays"]), (&json!("described"), &json!(77)));
    let found = client.expect("DescribeKey", json!({ "KeyId": archived }))["KeyMetadata"].clone();
    assert_eq!(found["KeyState"], "Archived");
    assert_eq!(client.expect("ListKeyDetail", json!({ "KeyUsage": "ALL" }))["TotalCount"], 3);
}

#[test]
fn a_second_emulator_cannot_open_the_data_file() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("kms.db").to_str().unwrap().to_owned();
    let _first = Emulator::start(&["--data", &data]);
    let output = run(&["--data", &data]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8(output.stderr).unwrap().contains(&data));
}

#[test]
fn a_data_file_that_others_may_write_is_refused() {
    use std::fs;
    use std::os::unix::fs::{chown, lchown};

    const OTHER_USER: u32 = 65_534;
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("kms.db");
    let wal = directory.path().join("kms.db-wal");
    drop(Emulator::start(&["--data", data.to_str().unwrap()]));
    let refused = || {
        let output = run(&["--data", data.to_str().unwrap()]);
        let message = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.code() == Some(1) && message.contains("other users may "), "{message}");
    };
    let set_mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    for mode in [0o602, 0o620, 0o666] {
        set_mode(&data, mode);
        refused();
    }
    set_mode(&data, 0o644);
    fs::write(&wal, "").unwrap();
    set_mode(&wal, 0o666);
    refused();
    fs::remove_file(&wal).unwrap();
    set_mode(directory.path(), 0o777);
    refused();
    let link = tempfile::tempdir().unwrap();
    std::os::unix::fs::symlink(&data, link.path().join("link.db")).unwrap();
    let output = run(&["--data", link.path().join("link.db").to_str().unwrap()]);
    assert_eq!(output.status.code(), Some(1), "a link into a directory that others may write");
    // In a sticky directory no other user can replace the file.
    set_mode(directory.path(), 0o1777);
    drop(Emulator::start(&["--data", data.to_str().unwrap()]));
    // Only root can give a file away.
    if chown(&data, Some(OTHER_USER), None).is_ok() {
        refused();
        // Another user's link may lead to another file later.
        let own = directory.path().join("own.db");
        fs::rename(&data, &own).unwrap();
        chown(&own, Some(0), None).unwrap();
        std::os::unix::fs::symlink(&own, &data).unwrap();
        drop(Emulator::start(&["--data", data.to_str().unwrap()]));
        lchown(&data, Some(OTHER_USER), None).unwrap();
        refused();
    }
}

#[test]
fn tls_names_are_in_the_certificate_and_all_users_can_read_a_ca_file() {
    let directory = tempfile::tempdir().unwrap();
    let ca_file = directory.path().join("ca.pem");
    std::fs::write(&ca_file, "of an earlier run").unwrap();
    let ca = ca_file.to_str().unwrap();
    let emulator = Emulator::start(&["--tls", "--tls-name", "kms", "--tls-name", "kms.test", "--ca-file", ca]);
    assert_eq!(emulator.text("ca_file"), ca);
    assert_eq!(mode(&ca_file), 0o644);
    let request = emulator.client().call("GetRegions", &json!({})).bytes();
    for name in ["kms", "kms.test", "localhost"] {
        assert_eq!(tls_exchange(ca, emulator.address(), name, &request).unwrap().status, 200);
    }
    assert!(tls_exchange(ca, emulator.address(), "other.test", &request).is_err());
    emulator.stop();
    assert!(ca_file.exists());
}

#[test]
fn sigkill_loses_no_key_that_was_acknowledged() {
    let directory = tempfile::tempdir().unwrap();
    let data = directory.path().join("kms.db").to_str().unwrap().to_owned();
    for round in 0..3 {
        let emulator = Emulator::start(&["--data", &data]);
        let acknowledged = create_keys_until_killed(&emulator, round);
        drop(emulator);

        let again = Emulator::start(&["--data", &data]);
        for key_id in acknowledged {
            let answer = again.client().invoke("Encrypt", json!({ "KeyId": key_id, "Plaintext": "eA==" }));
            assert!(answer.is_ok(), "round {round}: {key_id} is lost");
        }
    }
}

/// Kills the emulator during a series of CreateKey calls, and returns the KeyIds of the replies.
fn create_keys_until_killed(emulator: &Emulator, round: u32) -> Vec<String> {
    const ENOUGH: usize = 20;
    let client = emulator.client();
    let acknowledged = Mutex::new(Vec::new());
    let write = || {
        let mut connection = Connection::open(emulator.address());
        for number in 0.. {
            let call = client.call("CreateKey", &json!({ "Alias": format!("r{round}n{number}") }));
            let Ok(reply) = connection.exchange(&call.bytes()) else { break };
            let key_id = reply.json()["Response"]["KeyId"].as_str().expect("a KeyId").to_owned();
            acknowledged.lock().unwrap().push(key_id);
        }
    };
    std::thread::scope(|scope| {
        let writer = scope.spawn(write);
        while acknowledged.lock().unwrap().len() < ENOUGH && !writer.is_finished() {
            std::thread::sleep(Duration::from_millis(1));
        }
        emulator.signal("KILL");
    });
    let acknowledged = acknowledged.into_inner().unwrap();
    assert!(acknowledged.len() >= ENOUGH);
    acknowledged
}

#[test]
fn logs_contain_no_secrets_and_no_plaintexts() {
    let emulator = Emulator::start(&["--log-level", "debug"]);
    let client = emulator.client();
    let secret_key = client.secret_key.clone();
    let plaintext = base64("a very secret plaintext");
    let body = json!({ "KeyId": emulator.key_id(), "Plaintext": plaintext });
    client.expect("Encrypt", body.clone());
    client.code("Encrypt", json!({ "KeyId": "x", "Plaintext": plaintext }));
    let mut forged = client.call("Encrypt", &body);
    forged.client.secret_key = "another secret key".to_owned();
    let signature = forged.authorization().rsplit_once('=').unwrap().1.to_owned();
    forged.reply();
    let (_, _, log) = emulator.stop();
    assert!(log.contains("AuthFailure.SignatureFailure"), "{log}");
    for secret in [secret_key.as_str(), &plaintext, "a very secret", &signature] {
        assert!(!log.contains(secret), "{secret} in {log}");
    }
}
