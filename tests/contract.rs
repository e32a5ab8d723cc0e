//! The emulator and the shared library against Tencent's own Python SDK, whose tests are in `contract/`, and the one for
//! Node.js.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Value, json};
use support::{Emulator, dist, node_modules, output_of, release, root, tool};
use tckms::sign::{RsaPadding, SM2_DEFAULT_USER_ID, SignatureAlgorithm};
use tckms::{Client, Config, NewKey};

#[test]
fn the_official_sdk_the_emulator_and_the_library_understand_each_other() {
    let run = Command::new(root().join("tests/contract/run.sh"))
        .arg(concat!(env!("CARGO_TARGET_TMPDIR"), "/contract-venv"))
        .env("TCKMS_LIBRARY", dist("libtckms.so"))
        .env("TCKMS_EMULATOR", release("tckms-emulator"))
        .output()
        .expect("tests/contract/run.sh can be started");
    let said = [run.stdout, run.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat();

    assert!(run.status.success(), "{said}\ntests/contract/run.sh: {}", run.status);
    // Neither "OK (skipped=1)" nor a run without tests is a success.
    assert!(said.ends_with("\nOK\n") && !said.contains("\nRan 0 tests"), "{said}");
}

/// The suite of `make live-test` against the emulator: every question is answered, as documented.
#[test]
fn the_emulator_answers_as_the_service_is_documented() {
    let emulator = Emulator::over_http(&[]);
    // The emulator throttles only if a fault says so.
    let throttle = json!([{"action": "GetServiceStatus", "fault": {"kind": "throttle", "per_second": 100}}]);
    emulator.set_faults(&throttle.to_string());
    let report = live_test(&emulator, &["--allow-changes", "--allow-burst", "--unlimited"]);
    let counts = report.lines().last().expect("the report ends with a summary");
    assert!(counts.contains(" 0 different, 0 not allowed, 0 failed;"), "{report}");
    assert!(!counts.contains(" 0 same"), "{report}");
}

/// Without permission nothing is changed, and the report gives the reason for each question that was not asked.
#[test]
fn without_permission_the_suite_reads_only() {
    let emulator = Emulator::over_http(&["main"]);
    let report = live_test(&emulator, &["--unlimited"]);
    assert!(report.contains("| it needs --allow-changes | not allowed |"), "{report}");
    assert!(report.contains("| it needs --key-id or --allow-changes | not allowed |"), "{report}");
    assert!(report.contains("| it needs --allow-burst | not allowed |"), "{report}");
    assert!(report.contains(" 0 different, "), "{report}");
    let reads_only = ["Get", "List", "Describe", "Generate", "Encrypt"];
    let actions = emulator.actions_seen();
    assert!(actions.len() > 5, "{actions:?}");
    assert!(actions.iter().all(|action| reads_only.iter().any(|prefix| action.starts_with(prefix))), "{actions:?}");
    let with_key = live_test(&emulator, &["--unlimited", "--key-id", emulator.key_id("main")]);
    assert!(!with_key.contains("it needs --key-id") && with_key.contains(" 0 different, "), "{with_key}");
}

/// The answer is a number, not just that the guess was wrong.
#[test]
fn the_suite_finds_out_how_long_a_salt_is() {
    let emulator = Emulator::over_http(&[]);
    for (flaw, answer) in [("pss_no_salt", "0 bytes"), ("pss_longest_salt", "222 bytes")] {
        let fault =
            json!([{"action": "SignByAsymmetricKey", "fault": {"kind": "signature", "flaw": flaw}, "times": 100}]);
        emulator.set_faults(&fault.to_string());
        let (status, report) = live_test_status(&emulator, &["--allow-changes", "--unlimited"]);
        let row = format!("| The salt of a PSS signature | 32 bytes (a guess) | {answer} | different |");
        assert!(report.contains(&row) && report.contains(" 1 different, "), "{report}");
        assert_eq!(status, Some(1));
    }
}

/// A question that got no answer failed; it is not one that the service answers in another way.
#[test]
fn a_failure_is_no_answer_and_every_attempt_is_counted() {
    let emulator = Emulator::over_http(&[]);
    for code in ["AuthFailure.SignatureFailure", "UnauthorizedOperation"] {
        emulator.set_faults(&json!([{"fault": {"kind": "error", "code": code}, "times": 1000}]).to_string());
        let (status, report) = live_test_status(&emulator, &["--allow-changes", "--unlimited"]);
        assert!(report.contains(" 0 same, 0 different, 1 not allowed, "), "{report}");
        assert_eq!(status, Some(1));
    }
    let requests = || emulator.actions_seen().len();
    emulator.set_faults(&json!([{"fault": {"kind": "error", "code": "InternalError"}, "times": 1000}]).to_string());
    let before = requests();
    let (_, report) = live_test_status(&emulator, &["--allow-changes", "--unlimited"]);
    let summary = report.trim_end().rsplit('\n').next().unwrap();
    let numbers: Vec<usize> = summary.split(' ').filter_map(|word| word.parse().ok()).collect();
    let (questions, counted, sent) = (numbers[0], numbers[numbers.len() - 1], requests() - before);
    // Each question fails at its first request, and those that may be repeated are.
    assert!(sent > questions && sent <= counted, "{sent} requests: {summary}");
}

/// The emulator's table of guesses names the questions that settle them.
#[test]
fn every_guess_has_a_question() {
    let readme = std::fs::read_to_string(root().join("emulator/README.md")).unwrap();
    let cases = std::fs::read_to_string(root().join("live-test/src/cases.rs")).unwrap();
    let guesses: Vec<_> = cases.split("\n    guess(").skip(1).map(|case| case.split('"').nth(1).unwrap()).collect();
    assert!(guesses.len() > 20, "{guesses:?}");
    let (_, table) = readme.split_once("\n## Guesses\n").expect("there is a table of guesses");
    let rows: Vec<_> = table.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    assert!(rows.len() > 20, "{} guesses", rows.len());
    for guess in guesses {
        assert!(table.contains(guess), "{guess}");
    }
    for row in rows {
        let questions = row.trim_end_matches(" |").rsplit(" | ").next().unwrap();
        if !questions.starts_with("not tested: ") {
            questions
                .split("; ")
                .for_each(|question| assert!(cases.contains(&format!("\"{question}\"")), "{question}"));
        }
    }
}

/// The report of a run.
fn live_test(emulator: &Emulator, options: &[&str]) -> String {
    let mut suite = Command::new(env!("CARGO"));
    suite.args(["run", "--quiet", "--locked", "-p", "tckms-live-test", "--"]).args(options);
    output_of(suite.current_dir(root()).envs(emulator.environment()))
}

/// The exit status and the report of a run.
fn live_test_status(emulator: &Emulator, options: &[&str]) -> (Option<i32>, String) {
    let mut suite = Command::new(env!("CARGO"));
    suite.args(["run", "--quiet", "--locked", "-p", "tckms-live-test", "--"]).args(options);
    let output = suite.current_dir(root()).envs(emulator.environment()).output().unwrap();
    (output.status.code(), String::from_utf8(output.stdout).unwrap())
}

/// A client of the emulator.
pub fn client_of(emulator: &Emulator) -> Client {
    let environment: BTreeMap<_, _> = emulator.environment().into_iter().collect();
    let mut config = Config::new();
    config.set_region(&environment["TENCENTCLOUD_REGION"]).unwrap();
    config.set_endpoint(emulator.endpoint()).unwrap();
    let [id, key] = ["TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY"].map(|name| environment[name].as_str());
    config.set_credentials(id, key, None).unwrap();
    Client::new(&config).unwrap()
}

pub fn new_key(client: &Client, usage: &str) -> String {
    let alias = usage.replace('_', "-");
    client.create_key(&NewKey { alias: &alias, usage: Some(usage), ..NewKey::default() }).unwrap().key_id
}

/// Runs the jobs with Tencent's SDK for Node.js.
fn node_does(emulator: &Emulator, jobs: &[Value]) -> Vec<Value> {
    let mut node = tool("node");
    node.arg(root().join("tests/interop/sign.js")).env("NODE_PATH", node_modules()).envs(emulator.environment());
    let mut child = node.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(json!(jobs).to_string().as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

fn bytes(value: &Value) -> Vec<u8> {
    BASE64.decode(value.as_str().unwrap()).unwrap()
}

#[test]
fn the_node_sdk_and_the_library_verify_each_others_signatures() {
    use SignatureAlgorithm::*;
    let emulator = Emulator::over_http(&[]);
    let client = client_of(&emulator);
    let keys: BTreeMap<_, _> = ["ECC", "ECDSA384", "RSA_2048", "SM2"]
        .map(|kind| (kind, new_key(&client, &format!("ASYMMETRIC_SIGN_VERIFY_{kind}"))))
        .into();
    let message = b"what is signed";
    let algorithms = [
        (EcdsaP256Sha256, "ECC", "ECC_P256_R1"),
        (EcdsaP384Sha384, "ECDSA384", "ECC_P384_R1"),
        (RsaPssSha256, "RSA_2048", "RSA_PSS_SHA_256"),
        (RsaPkcs1Sha256, "RSA_2048", "RSA_PKCS1_SHA_256"),
        (Sm2Sm3, "SM2", "SM2DSA"),
    ];
    let jobs = algorithms.map(|(algorithm, kind, name)| {
        let mut digest = client.public_key(&keys[kind]).unwrap().digest(algorithm, SM2_DEFAULT_USER_ID).unwrap();
        digest.update(message);
        let signature = client.sign(&keys[kind], Some(algorithm), message).unwrap().bytes;
        json!({"key": keys[kind], "algorithm": name, "digest": BASE64.encode(digest.finish().as_ref()),
            "signature": BASE64.encode(signature)})
    });
    let results = node_does(&emulator, &jobs);
    assert_eq!(results.len(), algorithms.len());
    for ((algorithm, kind, name), result) in algorithms.into_iter().zip(&results) {
        assert_eq!(result["valid"], true, "{name}");
        client.verify(&keys[kind], Some(algorithm), message, &bytes(&result["signature"])).unwrap();
    }
}

#[test]
fn the_node_sdk_and_the_library_decrypt_each_others_rsa_ciphertexts() {
    let emulator = Emulator::over_http(&[]);
    let client = client_of(&emulator);
    let key = new_key(&client, "ASYMMETRIC_DECRYPT_RSA_2048");
    let paddings = [
        (RsaPadding::OaepSha256, "RSAES_OAEP_SHA_256"),
        (RsaPadding::OaepSha1, "RSAES_OAEP_SHA_1"),
        (RsaPadding::Pkcs1V15, "RSAES_PKCS1_V1_5"),
    ];
    let plaintext = b"a small secret";
    let jobs = paddings.map(|(padding, name)| {
        let ciphertext = client.rsa_encrypt(&key, padding, plaintext).unwrap();
        json!({"key": key, "algorithm": name, "ciphertext": BASE64.encode(ciphertext), "plaintext": BASE64.encode(plaintext)})
    });
    let results = node_does(&emulator, &jobs);
    assert_eq!(results.len(), paddings.len());
    for ((padding, name), result) in paddings.into_iter().zip(&results) {
        assert_eq!(bytes(&result["plaintext"]), plaintext, "{name}");
        let decrypted = client.rsa_decrypt(&key, padding, &bytes(&result["ciphertext"])).unwrap();
        assert_eq!(decrypted.plaintext.expose(), plaintext, "{name}");
    }
}
