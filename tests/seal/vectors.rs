//! Official messages: 187 of the AWS Encryption SDK for C, of all suites, and 46 about commitment by four writers.

use std::fs;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::Deserialize;
use sha2::{Digest, Sha256};
use tckms::Status;
use tckms::ffi::{TCKMS_COMMITMENT_NOT_REQUIRED_TO_OPEN, tckms_fd_options};

use super::api::{Keyring, Stream, info};
use super::key::TestKey;

/// The folder named by TCKMS_ESDK_VECTORS. If it does not exist, the test reports that it did not run.
fn vectors(test: &str) -> Option<PathBuf> {
    let default = || concat!(env!("CARGO_MANIFEST_DIR"), "/../shared/reference/esdk-vectors").into();
    let folder = std::env::var_os("TCKMS_ESDK_VECTORS").map_or_else(default, PathBuf::from);
    if folder.is_dir() {
        return Some(folder);
    }
    let said = format!(
        "SKIPPED {test}: no official messages in {}; TCKMS_ESDK_VECTORS names their folder\n",
        folder.display()
    );
    // Written directly, since the test harness hides the output of passing tests.
    std::io::stderr().write_all(said.as_bytes()).unwrap();
    None
}

fn read<T: serde::de::DeserializeOwned>(folder: &std::path::Path, name: &str) -> T {
    serde_json::from_slice(&fs::read(folder.join(name)).unwrap()).unwrap()
}

fn opened_by_a_stream(keyring: &Keyring, message: &[u8]) -> Result<Vec<u8>, Status> {
    let stream = Stream::opening(keyring, "{}").unwrap().allow_signed();
    let (plaintext, result) = stream.run(message, &[1000, 1, 77], &[777, 0, 5000]);
    result.map(|()| plaintext)
}

fn opened_between_descriptors(keyring: &Keyring, message: &std::path::Path) -> Vec<u8> {
    let (mut reader, writer) = std::io::pipe().unwrap();
    let message = fs::File::open(message).unwrap();
    let reading = std::thread::spawn(move || {
        let mut plaintext = Vec::new();
        std::io::Read::read_to_end(&mut reader, &mut plaintext).unwrap();
        plaintext
    });
    let options = tckms_fd_options { threads: 2, signed_allowed: 1, progress: None, userdata: std::ptr::null_mut() };
    keyring.between(true, message.as_raw_fd(), writer.as_raw_fd(), &options).unwrap();
    drop(writer);
    reading.join().unwrap()
}

#[derive(Deserialize)]
struct Decryptions {
    tests: Vec<Decryption>,
}

#[derive(Deserialize)]
struct Decryption {
    suite: String,
    message: String,
    data_key: String,
    reproduced_context: serde_json::Value,
    plaintext_len: usize,
    plaintext_sha256: String,
}

#[test]
fn messages_of_all_eleven_suites_are_opened() {
    let Some(folder) = vectors("messages_of_all_eleven_suites_are_opened") else { return };
    let Decryptions { tests } = read(&folder, "from-dafny.json");
    assert_eq!(tests.len(), 187);
    for test in tests {
        let message = fs::read(folder.join(&test.message)).unwrap();
        let keyring = TestKey::keyring_with_data_key(&base16ct::mixed::decode_vec(&test.data_key).unwrap());
        keyring.set_reproduced_context(&test.reproduced_context.to_string());
        let claims = info(&message).unwrap();
        assert_eq!(claims["suite"], test.suite.as_str());
        if claims["version"] == 1 {
            assert_eq!(keyring.open(&message, ""), Err(Status::SuiteNotAllowed), "{}", test.message);
        }
        keyring.set_policy(TCKMS_COMMITMENT_NOT_REQUIRED_TO_OPEN).unwrap();
        let plaintext = keyring.open(&message, "").unwrap_or_else(|status| panic!("{}: {status:?}", test.message));
        assert_eq!(plaintext.len(), test.plaintext_len);
        let digest: String = Sha256::digest(&plaintext).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(digest, test.plaintext_sha256, "{}", test.message);
        assert!(opened_by_a_stream(&keyring, &message).unwrap() == plaintext, "{}", test.message);
        assert!(opened_between_descriptors(&keyring, &folder.join(&test.message)) == plaintext, "{}", test.message);
    }
}

#[derive(Deserialize)]
struct Commitments {
    tests: Vec<Commitment>,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Commitment {
    ciphertext: String,
    decrypted_dek: String,
    #[serde(default)]
    plaintext_frames: Vec<String>,
    status: bool,
    comment: String,
    encryption_context: serde_json::Value,
}

#[test]
fn commitments_are_checked() {
    let Some(folder) = vectors("commitments_are_checked") else { return };
    let Commitments { tests } = read(&folder, "commitment-test-vectors.json");
    assert_eq!(tests.len(), 46);
    assert_eq!(tests.iter().filter(|test| !test.status).count(), 5);
    for test in tests {
        let message = BASE64.decode(&test.ciphertext).unwrap();
        let keyring = TestKey::keyring_with_data_key(&BASE64.decode(&test.decrypted_dek).unwrap());
        let expected =
            if test.status { Ok(test.plaintext_frames.concat().into_bytes()) } else { Err(Status::CommitmentMismatch) };
        let context = test.encryption_context.to_string();
        assert_eq!(keyring.open(&message, &context), expected, "{}", test.comment);
        assert_eq!(opened_by_a_stream(&keyring, &message), expected, "{}", test.comment);
        assert_eq!(keyring.open(test.ciphertext.as_bytes(), ""), Err(Status::MessageIsBase64), "{}", test.comment);
    }
}
