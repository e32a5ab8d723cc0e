//! `tckms doctor` names the cause of every fault of the emulator.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;
use support::{Emulator, release, root};

use crate::tool::Cli;

/// A fault, its action, and the expected cause; `None` if no problem is expected.
const FAULTS: &[(&str, &str, Option<&str>)] = &[
    (r#"{"kind":"pass"}"#, "*", None),
    (r#"{"kind":"chunked","bytes":16}"#, "*", None),
    (r#"{"kind":"pad","bytes":100000}"#, "*", None),
    (r#"{"kind":"public_key_pem","flaw":"double_base64"}"#, "*", None),
    (r#"{"kind":"delay","ms":700}"#, "GenerateRandom", Some("slow")),
    (r#"{"kind":"delay_body","ms":700}"#, "GenerateRandom", Some("slow")),
    (r#"{"kind":"drip","bytes":4,"every_ms":20}"#, "GenerateRandom", Some("slow")),
    (r#"{"kind":"delay","ms":60000}"#, "Encrypt", Some("timeout")),
    (r#"{"kind":"gzip"}"#, "*", Some("response_not_json")),
    (r#"{"kind":"pad","bytes":2097152}"#, "*", Some("response_too_large")),
    (r#"{"kind":"close_before_reading"}"#, "*", Some("connection_lost")),
    (r#"{"kind":"reset_request","after_bytes":1}"#, "Encrypt", Some("connection_lost")),
    (r#"{"kind":"close_after_reading"}"#, "*", Some("connection_lost")),
    (r#"{"kind":"reset_reply","after_bytes":10}"#, "Encrypt", Some("connection_lost")),
    (r#"{"kind":"truncate_body","keep_bytes":10}"#, "Encrypt", Some("connection_lost")),
    (r#"{"kind":"content_length","value":5}"#, "Encrypt", Some("response_not_json")),
    (r#"{"kind":"content_length","value":3000000}"#, "Encrypt", Some("response_too_large")),
    (r#"{"kind":"error","code":"InternalError"}"#, "*", Some("service_error")),
    (r#"{"kind":"error","code":"ServiceUnavailable"}"#, "*", Some("service_unavailable")),
    (r#"{"kind":"error","code":"RequestLimitExceeded"}"#, "Encrypt", Some("throttled")),
    (r#"{"kind":"error","code":"UnauthorizedOperation"}"#, "*", Some("permission")),
    (r#"{"kind":"error","code":"AuthFailure.SecretIdNotFound"}"#, "*", Some("secret_id_unknown")),
    (r#"{"kind":"error","code":"AuthFailure.SignatureFailure"}"#, "*", Some("secret_key_wrong")),
    (r#"{"kind":"error","code":"ResourceUnavailable.CmkDisabled"}"#, "Encrypt", Some("key_disabled")),
    (r#"{"kind":"error","code":"ResourceUnavailable.NotPurchased"}"#, "*", Some("not_purchased")),
    (r#"{"kind":"status","status":503}"#, "*", Some("gateway")),
    (r#"{"kind":"status","status":404}"#, "*", Some("http_status")),
    (r#"{"kind":"status","status":302,"headers":{"Location":"http://portal.example"}}"#, "*", Some("redirect")),
    (r#"{"kind":"bad_gateway"}"#, "*", Some("gateway")),
    (r#"{"kind":"garbage","body":"<html>Please log in</html>"}"#, "*", Some("response_not_json")),
    (r#"{"kind":"no_response"}"#, "*", Some("response_malformed")),
    (r#"{"kind":"replace_fields","fields":{"KeyId":"another-key"}}"#, "Encrypt", Some("wrong_key_answered")),
    (r#"{"kind":"replace_fields","fields":{"Plaintext":"AAAA"}}"#, "Decrypt", Some("plaintext_differs")),
    (r#"{"kind":"truncate_field","field":"CiphertextBlob","keep":9}"#, "Encrypt", Some("ciphertext_refused")),
    (r#"{"kind":"signature","flaw":"other_key"}"#, "SignByAsymmetricKey", Some("signature_invalid")),
    (r#"{"kind":"expire_token"}"#, "*", Some("token_wrong")),
    (r#"{"kind":"close_connection"}"#, "*", Some("connection_lost")),
    (r#"{"kind":"throttle","per_second":1}"#, "*", Some("throttled")),
    (r#"{"kind":"clock_shift","seconds":-3600}"#, "*", Some("clock_off")),
];

/// Faults of TLS, with the expected cause.
const TLS_FAULTS: &[(&str, &str)] = &[
    (r#"{"kind":"cut_handshake"}"#, "tls_cut"),
    (r#"{"kind":"certificate","flaw":"expired"}"#, "certificate_expired"),
    (r#"{"kind":"certificate","flaw":"wrong_host"}"#, "certificate_wrong_name"),
    (r#"{"kind":"certificate","flaw":"unknown_ca"}"#, "certificate_untrusted"),
];

fn script(fault: &str, action: &str, times: u32) -> String {
    format!(r#"[{{"action":"{action}","fault":{fault},"times":{times}}}]"#)
}

fn diagnose(cli: &Cli, arguments: &[&str]) -> (Value, i32) {
    let output = cli.run(&[&["doctor", "--json", "--timeout", "2s"], arguments].concat(), b"");
    let report = serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
    (report, output.status.code().unwrap())
}

/// The checks with a failure or a warning.
fn problems(report: &Value) -> Vec<&Value> {
    let checks = report["checks"].as_array().unwrap();
    checks.iter().filter(|check| ["failed", "warning"].contains(&check["verdict"].as_str().unwrap())).collect()
}

fn assert_cause(report: &Value, cause: &str, fault: &str) {
    let problems = problems(report);
    let found = problems.iter().find(|check| check["cause"] == cause);
    let found = found.unwrap_or_else(|| panic!("{fault} is not diagnosed as {cause}: {problems:#?}"));
    assert!(found["advice"].as_str().is_some_and(|advice| advice.len() > 10), "{found}");
    assert!(!found["found"].as_str().unwrap().is_empty(), "{found}");
}

#[test]
fn every_fault_of_the_emulator_is_diagnosed() {
    let cli = Cli::new();
    let signing = cli.new_key("ASYMMETRIC_SIGN_VERIFY_ECC");
    for (fault, action, cause) in FAULTS {
        let key = if *action == "SignByAsymmetricKey" { &signing } else { cli.key() };
        cli.emulator.set_faults(&script(fault, action, 1000));
        let (report, code) = diagnose(&cli, &["--key", key]);
        cli.emulator.set_faults("[]");
        match cause {
            Some(cause) => assert_cause(&report, cause, fault),
            None => assert_eq!((problems(&report), code), (Vec::new(), 0), "{fault}"),
        }
    }
}

#[test]
fn every_fault_of_tls_is_diagnosed() {
    let cli = Cli::with(Emulator::over_https(&["demo"]));
    let (report, code) = diagnose(&cli, &["--key", cli.key()]);
    assert_eq!((problems(&report), code), (Vec::new(), 0));
    let tls = report["checks"].as_array().unwrap().iter().find(|check| check["check"] == "TLS").unwrap();
    let found = tls["found"].as_str().unwrap();
    assert!(found.contains("TLS") && found.contains("127.0.0.1") && found.contains("valid from 20"), "{found}");
    for (fault, cause) in TLS_FAULTS {
        cli.emulator.set_faults(&script(fault, "*", 1000));
        let (report, code) = diagnose(&cli, &[]);
        cli.emulator.set_faults("[]");
        assert_cause(&report, cause, fault);
        assert_eq!(code, 4, "{fault}");
    }
}

/// An identity often has few permissions: the advice names the missing one.
#[test]
fn the_advice_names_the_missing_permission() {
    let cli = Cli::new();
    for (action, permission) in [
        ("Encrypt", "kms:Encrypt on this key"),
        ("Decrypt", "kms:Decrypt on this key"),
        ("GenerateDataKey", "kms:GenerateDataKey on this key"),
        ("DescribeKey", "kms:DescribeKey on this key"),
        ("GenerateRandom", "kms:GenerateRandom; only"),
        ("GetCallerIdentity", "sts:GetCallerIdentity; only"),
    ] {
        cli.emulator.set_faults(&script(r#"{"kind":"error","code":"UnauthorizedOperation"}"#, action, 1000));
        let (report, _) = diagnose(&cli, &["--key", cli.key()]);
        cli.emulator.set_faults("[]");
        let problems = problems(&report);
        assert_eq!(problems.len(), 1, "{action}: {problems:#?}");
        assert!(problems[0]["advice"].as_str().unwrap().contains(permission), "{action}: {}", problems[0]);
    }
}

/// A setting without which there is no client is one problem, and not one of the credentials.
#[test]
fn an_invalid_setting_is_one_problem() {
    let cli = Cli::new();
    for (arguments, cause) in [
        (["--ca-file", "/nonexistent"], "ca_file_invalid"),
        (["--proxy", "http://192.0.2.1:3128"], "endpoint_invalid"),
        (["--endpoint", "nowhere"], "endpoint_invalid"),
        (["--region", "no region"], "region_invalid"),
    ] {
        let (report, code) = diagnose(&cli, &arguments);
        let problems = problems(&report);
        assert_eq!((problems.len(), code), (1, 2), "{arguments:?}: {problems:#?}");
        assert_eq!((&problems[0]["check"], &problems[0]["cause"]), (&"configuration".into(), &cause.into()));
        assert!(!report.to_string().contains("there are no credentials"), "{report}");
    }
}

/// `doctor` runs pkg-config, which needs no credentials.
#[test]
fn no_other_program_gets_the_credentials() {
    let cli = Cli::new();
    fs::write(cli.file("pkg-config"), "#!/bin/sh\nenv >seen\necho 1.2.3\n").unwrap();
    fs::set_permissions(cli.file("pkg-config"), fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = cli.command(&["doctor", "--json"]);
    let path = format!("{}:/usr/bin:/bin", cli.scratch.path().display());
    command.env("PATH", path).env("TENCENTCLOUD_SESSION_TOKEN", "hunter2");
    let output = command.output().unwrap();
    assert!(String::from_utf8_lossy(&output.stdout).contains("pkg-config finds tckms 1.2.3"));
    let seen = String::from_utf8(cli.read("seen")).unwrap();
    assert!(seen.contains("HOME=") && !seen.contains("hunter2") && !seen.contains("TENCENTCLOUD_SECRET"), "{seen}");
}

/// A temporary fault is reported although the retry succeeded.
#[test]
fn a_temporary_failure_is_a_warning() {
    let cli = Cli::new();
    cli.emulator.set_faults(&script(r#"{"kind":"error","code":"InternalError"}"#, "Encrypt", 1));
    let (report, code) = diagnose(&cli, &["--key", cli.key()]);
    assert_eq!(code, 0);
    assert_cause(&report, "service_error", "once");
    assert!(problems(&report)[0]["found"].as_str().unwrap().starts_with("it succeeded when it was repeated"));
}

#[test]
fn the_table_contains_every_fault() {
    let readme = fs::read_to_string(root().join("emulator/README.md")).unwrap();
    let kind = |text: &str| text.split("\"kind\"").nth(1)?.split('"').nth(1).map(str::to_owned);
    let documented: BTreeSet<_> =
        readme.lines().filter(|line| line.starts_with("| `{\"kind\"")).filter_map(kind).collect();
    let tested: BTreeSet<_> =
        FAULTS.iter().map(|row| row.0).chain(TLS_FAULTS.iter().map(|row| row.0)).filter_map(kind).collect();
    assert!(documented.len() > 20, "{documented:?}");
    assert_eq!(documented.difference(&tested).collect::<Vec<_>>(), Vec::<&String>::new());
}

#[test]
fn problems_of_this_machine_are_diagnosed() {
    let cli = Cli::new();
    let diagnosed = |variables: &[(&str, &str)], cause: &str, code: i32| {
        let mut command = cli.command(&["doctor", "--json", "--timeout", "1s"]);
        for (name, value) in variables {
            if value.is_empty() {
                command.env_remove(name)
            } else {
                command.env(name, value)
            };
        }
        let output = command.output().unwrap();
        let report: Value = serde_json::from_slice(&output.stdout).unwrap();
        assert_cause(&report, cause, cause);
        assert_eq!(output.status.code(), Some(code), "{cause}");
        let text = String::from_utf8(output.stdout).unwrap();
        assert!(!text.contains("hunter2"), "{text}");
    };
    diagnosed(&[("TENCENTCLOUD_REGION", "")], "region_missing", 2);
    diagnosed(&[("TENCENTCLOUD_REGION", "ap-nowhere")], "region_unknown", 0);
    diagnosed(&[("TENCENTCLOUD_SECRET_KEY", "hunter2")], "secret_key_wrong", 5);
    diagnosed(&[("TENCENTCLOUD_SECRET_ID", "")], "credentials_missing", 5);
    diagnosed(&[("TENCENTCLOUD_SESSION_TOKEN", "hunter2")], "token_wrong", 5);
    diagnosed(&[("TCKMS_ENDPOINT", "http://127.0.0.1:9")], "connect", 4);
    diagnosed(&[("TCKMS_ENDPOINT", "https://nowhere.invalid")], "dns", 4);
    let https = cli.emulator.endpoint().replace("http:", "https:");
    diagnosed(&[("TCKMS_ENDPOINT", &https)], "not_tls", 4);
    diagnosed(&[("TCKMS_CA_FILE", "/nonexistent"), ("TCKMS_ENDPOINT", &https)], "ca_file_invalid", 2);
    diagnosed(&[("TCKMS_PROXY", "http://127.0.0.1:9")], "proxy_unreachable", 4);
    let (report, code) = diagnose(&cli, &["--profile", "nope"]);
    assert_cause(&report, "profile_missing", "--profile");
    assert_eq!(code, 5);
    let proxy = support::Proxy::start();
    diagnosed(&[("TCKMS_PROXY", &proxy.url_for("user:hunter2"))], "proxy_refused", 4);
}

/// The module reads a file of the user and a variable with keys as well as the machine's file.
#[test]
fn the_configuration_of_the_module_is_found_where_the_module_looks() {
    let cli = Cli::new();
    // The loader finds the module by its name, and any library serves.
    fs::copy(release("libtckms.so"), cli.file("libtckms-pkcs11.so")).unwrap();
    let found = |variables: &[(&str, &str)]| {
        let mut command = cli.command(&["doctor", "--json", "--timeout", "2s"]);
        command.env("LD_LIBRARY_PATH", cli.scratch.path()).envs(variables.iter().copied());
        let report: Value = serde_json::from_slice(&command.output().unwrap().stdout).unwrap();
        let checks = report["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["check"] == "pkcs11").unwrap();
        (check["verdict"].as_str().unwrap().to_owned(), check["found"].as_str().unwrap().to_owned())
    };
    let is = |(verdict, text): (String, String), expected: &str, part: &str| {
        assert!(verdict == expected && text.contains(part), "{verdict}: {text}");
    };
    is(found(&[]), "warning", "/etc/tckms/pkcs11.conf does not exist");
    is(found(&[("TCKMS_PKCS11_KEYS", cli.key())]), "ok", "those of TCKMS_PKCS11_KEYS");
    is(found(&[("TCKMS_PKCS11_CONFIG", "/nonexistent/x")]), "warning", "/nonexistent/x does not exist");
    fs::create_dir_all(cli.file(".config/tckms")).unwrap();
    fs::write(cli.file(".config/tckms/pkcs11.conf"), "").unwrap();
    is(found(&[]), "ok", ".config/tckms/pkcs11.conf");
    fs::write(cli.file(".config/tckms/pkcs11.conf"), "[key \"web\"]\nid\n").unwrap();
    is(found(&[]), "warning", ".config/tckms/pkcs11.conf:2: ");
}

#[test]
fn the_text_has_one_line_for_each_check() {
    let cli = Cli::new();
    let printed = cli.text(&["doctor", "-k", cli.key()], b"");
    let checks = [
        "version",
        "system",
        "clock",
        "credentials",
        "region",
        "endpoint",
        "DNS",
        "TCP",
        "proxy",
        "HTTP",
        "signature",
        "identity",
        "key",
        "Encrypt",
        "Decrypt",
        "GenerateDataKey",
        "latency",
        "rate limit",
        "library",
        "pkg-config",
        "pkcs11",
    ];
    let mut rest = printed.as_str();
    for check in checks {
        let line = format!("  {check}  ");
        let at = rest.find(&line).unwrap_or_else(|| panic!("{check} is missing or out of order: {printed}"));
        rest = &rest[at..];
    }
    assert!(!printed.contains('\x1b'), "{printed}");
}
