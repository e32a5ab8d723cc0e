//! scripts/setup.sh on minimal machines: Debian 12 and 13 with only git, ca-certificates, make and Rust.

use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use support::{Scratch, root};

/// Runs a script in a fresh system. Returns its output on both streams.
fn in_a_clean_root(options: &[&str], suite: &str, script: &str) -> (Output, String) {
    let target = Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in the target folder");
    let mut command = Command::new(root().join("scripts/clean-root.sh"));
    command.args(options).arg(suite).args(["sh", "-c", script]).env("CARGO_TARGET_DIR", target);
    let output = command.output().expect("the script can be started");
    let said = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned()).concat();
    (output, said)
}

/// Only root can create a system. The message is written directly, since the test runner hides the output of passing tests.
fn is_root() -> bool {
    // SAFETY: it only returns a number.
    let is_root = unsafe { libc::geteuid() } == 0;
    if !is_root {
        let text = "NOT TESTED: set-up in a clean Debian; only root can create one. Run tests/setup.rs as root.\n";
        std::io::stderr().write_all(text.as_bytes()).unwrap();
    }
    is_root
}

/// All levels in one run, and a second run that has nothing to do. The probes of scripts/setup.sh check that every tool works:
/// `--check` runs them again after the installation.
fn set_up_brings_all_tools(suite: &str) {
    if !is_root() {
        return;
    }
    let script = "scripts/setup.sh test && echo '# again' && scripts/setup.sh test && scripts/setup.sh --check test && \
                  echo '# portability' && scripts/setup.sh portability && scripts/setup.sh --check portability";
    let (output, said) = in_a_clean_root(&[], suite, script);
    assert!(output.status.success() && said.contains("# again\n# portability\n"), "{said}");
}

/// The functions of a script hide programs from `command -v`; `type -P` looks for programs only.
#[test]
fn no_probe_takes_a_function_for_a_program() {
    let script = std::fs::read_to_string(root().join("scripts/setup.sh")).unwrap();
    let functions: Vec<&str> = script.lines().filter_map(|line| Some(line.split_once("() {")?.0)).collect();
    assert!(functions.contains(&"stunnel") && functions.len() > 50, "{functions:?}");
    for (asked, _) in script.match_indices("command -v ") {
        let rest = &script[asked + "command -v ".len()..];
        let name = rest.split(|c: char| !c.is_alphanumeric() && !"-_$\"".contains(c)).next().unwrap_or_default();
        assert!(!functions.contains(&name), "command -v {name} finds the function of scripts/setup.sh");
    }
}

#[test]
fn set_up_brings_all_tools_to_debian_12() {
    set_up_brings_all_tools("bookworm");
}

#[test]
#[ignore = "takes minutes; `make dist-check` runs it"]
fn set_up_brings_all_tools_to_debian_13() {
    set_up_brings_all_tools("trixie");
}

/// apt fails at once when another installation holds its lock, unless it is told to wait.
#[test]
fn set_up_has_apt_wait_for_another_installation() {
    let scratch = Scratch::new();
    let script = |name: &str, text: &str| {
        let path = scratch.write(name, &format!("#!/bin/sh\n{text}\n"));
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
    };
    script("codespell", "[ -e \"$(dirname \"$0\")/installed\" ]");
    script("sudo", "exec \"$@\"");
    script(
        "apt-get",
        "case \"$*\" in *DPkg::Lock::Timeout=*) ;; *) echo 'E: Could not get lock' >&2; exit 100 ;; esac
        case \"$*\" in *install*) touch \"$(dirname \"$0\")/installed\" ;; esac",
    );
    let path = format!("{}:{}", scratch.path().display(), std::env::var("PATH").unwrap());
    let output = Command::new(root().join("scripts/setup.sh")).arg("spelling").env("PATH", path).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    assert!(String::from_utf8_lossy(&output.stdout).contains("all that 'spelling' needs is here"), "{output:?}");
}

#[test]
fn without_root_and_sudo_all_that_is_missing_is_named_in_one_round() {
    if !is_root() {
        return;
    }
    // A cargo and a rustc that are older than needed.
    let old = "mkdir -p /tmp/old && printf '#!/bin/sh\\necho rustc 1.60.0\\n' >/tmp/old/rustc && \
               chmod +x /tmp/old/rustc && PATH=/tmp/old:$PATH";
    for (script, expected) in [
        ("make build", "run as root: apt-get install --no-install-recommends binutils gcc libc6-dev python3"),
        (
            "make test",
            "abigail-tools binutils clang cmake debootstrap dpkg-dev fish g++ gcc golang-github-gomodule-redigo-dev \
             golang-github-lib-pq-dev golang-go libc6-dbg libc6-dev",
        ),
        ("make dist", "binutils binutils-aarch64-linux-gnu dpkg-dev gcc libc6-dev python3 python3-venv rpm"),
        (&format!("{old} make build"), "Rust 1.95 or later; this is 1.60.0 (/tmp/old/rustc): run 'rustup update'"),
        (&format!("{old} make build"), "apt-get install --no-install-recommends binutils gcc libc6-dev python3"),
        ("PATH=/usr/bin:/bin make build", "Rust 1.95 or later: install it as https://rustup.rs says"),
    ] {
        let (output, said) = in_a_clean_root(&["--user"], "bookworm", script);
        assert!(!output.status.success() && said.contains(expected), "{script}: {said}");
        assert!(!said.contains("Compiling"), "{said}");
    }
}
