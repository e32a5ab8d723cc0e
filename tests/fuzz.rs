//! Whatever comes in, nothing breaks: the fuzz targets of `fuzz/`, built with AddressSanitizer. Each goes over its
//! corpus, which has to lead it where it is meant to get, and then searches on for FUZZ_SECONDS.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use support::{Scratch, output_of, root};

const SECONDS: &str = "25";
/// The whole corpus, in bytes.
const CORPUS_MAX: u64 = 200_000;

/// The folder of the built targets. The stable toolchain builds them when it is told to be a nightly one.
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
    /// How many inputs of the corpus get to the target's goal: a message that is opened, a text that is understood.
    goals: usize,
    /// Places in the code that the corpus reaches, with the instrumentation of libFuzzer: half of what it was.
    coverage: usize,
}

impl Target {
    fn passes(&self) {
        let corpus = root().join("fuzz/corpus").join(self.name);
        let replayed = self.run(&["-runs=0"], &[&corpus]);
        let goals = replayed.lines().filter(|line| line.starts_with("goal: ")).count();
        assert!(goals >= self.goals, "{}: {goals} inputs get to the goal, {} should", self.name, self.goals);

        let seconds = std::env::var("FUZZ_SECONDS").unwrap_or_else(|_| SECONDS.to_owned());
        let found = Scratch::new();
        let searched = self.run(&[&format!("-max_total_time={seconds}")], &[found.path(), &corpus]);
        let coverage = coverage(&searched);
        assert!(coverage >= self.coverage, "{}: {coverage} places are reached, {} should", self.name, self.coverage);
    }

    /// Runs the target, which fails for a crash, a failed assertion, a leak, a minute for one input, or a block of
    /// memory that no input should need. The input is then in a file, which the output names.
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
    last.and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("no coverage is told:\n{said}"))
}

#[test]
fn any_bytes_may_be_a_header() {
    Target { name: "message_header", goals: 27, coverage: 450 }.passes();
}

#[test]
fn any_bytes_may_be_a_message_in_any_pieces() {
    Target { name: "stream_decoder", goals: 108, coverage: 1000 }.passes();
}

#[test]
fn any_text_may_be_a_context() {
    Target { name: "context_json", goals: 4, coverage: 350 }.passes();
}

#[test]
fn any_bytes_may_be_a_key_or_a_signature() {
    Target { name: "asymmetric", goals: 9, coverage: 300 }.passes();
}

#[test]
fn any_bytes_may_be_records_or_a_wrapped_key_of_a_branch() {
    Target { name: "branches", goals: 4, coverage: 150 }.passes();
}

#[test]
fn any_calls_may_reach_the_pkcs11_module() {
    Target { name: "pkcs11", goals: 14, coverage: 1400 }.passes();
}

#[test]
fn any_bytes_may_be_a_reply_of_the_service() {
    Target { name: "service_reply", goals: 3, coverage: 350 }.passes();
}

#[test]
fn any_request_may_reach_the_emulator() {
    Target { name: "emulator", goals: 40, coverage: 7000 }.passes();
}

#[test]
fn the_corpus_is_small() {
    let folders = fs::read_dir(root().join("fuzz/corpus")).unwrap();
    let files = folders.flat_map(|folder| fs::read_dir(folder.unwrap().path()).unwrap());
    let size: u64 = files.map(|file| file.unwrap().metadata().unwrap().len()).sum();
    assert!((1..=CORPUS_MAX).contains(&size), "the corpus has {size} bytes");
}
