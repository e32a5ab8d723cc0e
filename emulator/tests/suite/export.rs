//! `--export`: an emulator in the background, and the lines that a shell evaluates to use it.

use std::fs;
use std::io::Write;
use std::process::{Command, Output, Stdio};

use serde_json::json;

use crate::support::Client;

/// Runs a script after `eval "$(tckms-emulator --export …)"`. A trap stops the emulator when the script ends.
fn run_shell(shell: &str, options: &str, script: &str) -> Output {
    let program = env!("CARGO_BIN_EXE_tckms-emulator");
    let script =
        format!("set -e\neval \"$('{program}' --export {options})\"\ntrap 'kill $TCKMS_EMULATOR_PID' EXIT\n{script}");
    let mut child = Command::new(shell)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .env("TENCENTCLOUD_TOKEN", "of another identity")
        .spawn()
        .unwrap_or_else(|error| panic!("{shell}: {error}"));
    child.stdin.take().expect("a pipe").write_all(script.as_bytes()).expect("the shell reads");
    child.wait_with_output().expect("the shell ends")
}

fn stdout_of(output: Output) -> String {
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).expect("text")
}

/// Whether a process exists and is not a zombie.
fn is_running(process_id: &str) -> bool {
    let status = fs::read_to_string(format!("/proc/{process_id}/stat"));
    status.is_ok_and(|status| !status.contains(") Z "))
}

#[test]
fn eval_starts_a_usable_emulator_in_every_shell() {
    const REPORT: &str = r#"
        kill -0 "$TCKMS_EMULATOR_PID"
        sh -c 'echo "$TCKMS_ENDPOINT|$TENCENTCLOUD_SECRET_ID|$TENCENTCLOUD_SECRET_KEY|$TCKMS_KEY_ID|$TCKMS_KEY_ID_b_2|$TENCENTCLOUD_REGION|$TCKMS_EMULATOR_PID|${TENCENTCLOUD_TOKEN-unset}"'
    "#;
    for shell in ["sh", "bash", "dash"] {
        let program = env!("CARGO_BIN_EXE_tckms-emulator");
        let script = format!("eval \"$('{program}' --export --key demo --key b-2 --region ap-singapore)\"\n{REPORT}");
        let output = Command::new(shell).args(["-e", "-c", &script]).env("TENCENTCLOUD_TOKEN", "another").output();
        let text = stdout_of(output.expect("the shell runs"));
        let values: Vec<_> = text.trim().split('|').collect();
        let [endpoint, secret_id, secret_key, first, second, region, process_id, token] = values[..] else {
            panic!("{text}")
        };
        // The shell that started the emulator has ended, and the emulator has not.
        let client = Client::new(endpoint.strip_prefix("http://").expect("a URL"), secret_id, secret_key);
        for key_id in [first, second] {
            client.expect("Encrypt", json!({ "KeyId": key_id, "Plaintext": "eA==" }));
        }
        assert_eq!((region, token), ("ap-singapore", "unset"), "{shell}");
        assert!(is_running(process_id));
        assert!(Command::new("kill").arg(process_id).status().expect("kill runs").success());
        wait_until(|| !is_running(process_id));
    }
}

fn wait_until(condition: impl Fn() -> bool) {
    for _ in 0..500 {
        if condition() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    panic!("the condition did not hold within ten seconds");
}

#[test]
fn a_trap_at_the_end_of_a_script_stops_the_emulator() {
    let process_id = stdout_of(run_shell("sh", "", "echo $TCKMS_EMULATOR_PID"));
    wait_until(|| !is_running(process_id.trim()));
}

#[test]
fn with_tls_the_ca_file_is_exported_and_without_tls_it_is_unset() {
    let ca_file = stdout_of(run_shell("sh", "--tls", "grep -l 'BEGIN CERTIFICATE' \"$TCKMS_CA_FILE\""));
    assert!(ca_file.trim().ends_with(".pem"), "{ca_file}");
    let plain = stdout_of(run_shell("sh", "", "echo ${TCKMS_CA_FILE-unset}"));
    assert_eq!(plain, "unset\n");
}

#[test]
fn values_are_quoted_for_the_shell() {
    let secret_key = r#"a'b"c$d`e\f"#;
    let script = "printf %s \"$TENCENTCLOUD_SECRET_KEY\"";
    let escaped: String = secret_key.chars().flat_map(|letter| ['\\', letter]).collect();
    let options = format!("--secret-id id --secret-key {escaped}");
    assert_eq!(stdout_of(run_shell("sh", &options, script)), secret_key);
}

#[test]
fn a_failure_makes_the_eval_fail_and_is_reported() {
    for options in ["--nonsense", "--data /nowhere/kms.db"] {
        let output = run_shell("sh", options, "echo not reached");
        assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
        let message = String::from_utf8(output.stderr).expect("text");
        assert!(message.contains("nonsense") || message.contains("/nowhere/kms.db"), "{message}");
    }
}

#[test]
fn the_background_process_keeps_no_pipe_of_the_shell_open() {
    // If the emulator kept stderr open, which is the same pipe here, `$(…)` would wait for its end.
    let script = "trap - EXIT; kill $TCKMS_EMULATOR_PID; echo done";
    assert_eq!(stdout_of(run_shell("sh", "2>&1", script)), "done\n");
}

#[test]
fn the_background_process_logs_to_the_log_file() {
    let directory = tempfile::tempdir().expect("a folder");
    let log_file = directory.path().join("emulator.log");
    let options = format!("--log-level info --log-file {}", log_file.display());
    // Sends a request that is refused. bash can open connections itself.
    let script = r#"address=${TCKMS_ENDPOINT#http://}
        exec 3<>"/dev/tcp/${address%:*}/${address#*:}"
        printf 'POST / HTTP/1.1\r\nHost: %s\r\nContent-Length: 0\r\n\r\n' "$address" >&3
        read -r status <&3; echo "$status""#;
    assert!(stdout_of(run_shell("bash", &options, script)).starts_with("HTTP/1.1 200"));
    let log = fs::read_to_string(&log_file).expect("a log");
    assert!(log.contains("MissingParameter"), "{log}");
}
