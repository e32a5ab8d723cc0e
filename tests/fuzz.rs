//! Runs the fuzz targets of `fuzz/`, built with AddressSanitizer. Each target first runs its corpus, which has to reach the code
//! that the target tests, and then searches for FUZZ_SECONDS.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use support::{Scratch, output_of, root};

const SECONDS: &str = "15";
/// The whole corpus, in bytes.
const CORPUS_MAX: u64 = 200_000;

/// The folder of the built targets. With RUSTC_BOOTSTRAP=1 the stable toolchain builds them.
fn built() -> &'static Path {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    BUILT.get_or_init(|| {
        expect_lock_file_to_be_current();
        let target = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz");
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args(["fuzz", "build", "--target-dir"]).arg(&target).current_dir(root()).env("RUSTC_BOOTSTRAP", "1");
        output_of(&mut cargo);
        target.join("x86_64-unknown-linux-gnu/release")
    })
}

/// cargo-fuzz would rewrite it silently.
fn expect_lock_file_to_be_current() {
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--locked", "--format-version", "1", "--manifest-path", "fuzz/Cargo.toml"]);
    let current = cargo.current_dir(root()).output().expect("cargo can be run").status.success();
    assert!(current, "fuzz/Cargo.lock is stale; run `cargo metadata --manifest-path fuzz/Cargo.toml >/dev/null`");
}

struct Target {
    name: &'static str,
    /// The minimum number of corpus inputs that pass all checks of the code: a message that is opened, a text that is accepted.
    accepted: usize,
    /// The minimum coverage by libFuzzer's count: half of what was measured.
    coverage: usize,
}

impl Target {
    fn passes(&self) {
        let corpus = root().join("fuzz/corpus").join(self.name);
        let replayed = self.run(&["-runs=0"], &[&corpus]);
        let accepted = replayed.lines().filter(|line| line.starts_with("reached: ")).count();
        assert!(accepted >= self.accepted, "{}: {accepted} inputs are accepted, not {}", self.name, self.accepted);

        let seconds = std::env::var("FUZZ_SECONDS").unwrap_or_else(|_| SECONDS.to_owned());
        let found = Scratch::new();
        let searched = self.run(&[&format!("-max_total_time={seconds}")], &[found.path(), &corpus]);
        let coverage = coverage(&searched);
        assert!(coverage >= self.coverage, "{}: the coverage is {coverage}, less than {}", self.name, self.coverage);
    }

    /// Runs the target. It fails for a crash, a failed assertion, a leak, an input that takes a minute, or an allocation that no input
    /// should need. It then writes the input to a file, which the output names.
    fn run(&self, options: &[&str], folders: &[&Path]) -> String {
        let artifacts = Path::new(env!("CARGO_TARGET_TMPDIR")).join("fuzz-artifacts");
        fs::create_dir_all(&artifacts).unwrap();
        let mut target = Command::new(built().join(self.name));
        target.args(["-timeout=60", "-malloc_limit_mb=64", "-rss_limit_mb=1024", "-max_len=16384"]).args(options);
        target.arg(format!("-artifact_prefix={}/{}-", artifacts.display(), self.name)).args(folders);
        target.env_clear().env("TCKMS_FUZZ_REPORT", "1");
        let output = target.output().unwrap_or_else(|error| panic!("{target:?}: {error}"));
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{target:?}: {}\n{said}", output.status);
        said
    }
}

/// The last of "cov: NUMBER" in libFuzzer's output.
fn coverage(said: &str) -> usize {
    let last = said.rsplit("cov: ").next().and_then(|rest| rest.split(' ').next());
    last.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("the output has no coverage:\n{said}"))
}

#[test]
fn any_bytes_may_be_a_header() {
    Target { name: "message_header", accepted: 27, coverage: 450 }.passes();
}

#[test]
fn any_bytes_may_be_a_message_in_any_pieces() {
    Target { name: "stream_decoder", accepted: 108, coverage: 1000 }.passes();
}

#[test]
fn any_text_may_be_a_context() {
    Target { name: "context_json", accepted: 4, coverage: 350 }.passes();
}

#[test]
fn any_bytes_may_be_a_key_or_a_signature() {
    Target { name: "asymmetric", accepted: 9, coverage: 300 }.passes();
}

#[test]
fn any_bytes_may_be_records_or_a_wrapped_key_of_a_branch() {
    Target { name: "branches", accepted: 4, coverage: 150 }.passes();
}

#[test]
fn any_calls_may_reach_the_pkcs11_module() {
    Target { name: "pkcs11", accepted: 14, coverage: 1400 }.passes();
}

#[test]
fn any_bytes_may_be_a_reply_of_the_service() {
    Target { name: "service_reply", accepted: 3, coverage: 350 }.passes();
}

#[test]
fn any_request_may_reach_the_emulator() {
    Target { name: "emulator", accepted: 40, coverage: 7000 }.passes();
}

#[test]
fn the_corpus_is_small() {
    let folders = fs::read_dir(root().join("fuzz/corpus")).unwrap();
    let files = folders.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap());
    let size: u64 = files.map(|file| file.unwrap().metadata().unwrap().len()).sum();
    assert!((1..=CORPUS_MAX).contains(&size), "the corpus has {size} bytes");
}
