use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use super::{Program, Scratch, command_from, tool};

/// Longer than a program takes that says nothing else, also under valgrind on a busy machine.
const RUN_TIMEOUT: Duration = Duration::from_secs(240);

/// valgrind's exit status for errors, which no test program uses.
const VALGRIND_ERROR: &str = "99";

/// How to run a program.
pub struct Invocation<'a> {
    program: &'a Program,
    arguments: Vec<String>,
    environment: Vec<(String, String)>,
    valgrind: bool,
    wrapper: Vec<PathBuf>,
    timeout: Duration,
}

/// The exit status of a program, and the output of the program and its libraries.
pub struct Finished {
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
}

impl Program {
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Runs the program in an environment with only the variables that are added.
    pub fn with(&self, environment: Vec<(String, String)>) -> Invocation<'_> {
        Invocation {
            program: self,
            arguments: Vec::new(),
            environment,
            valgrind: false,
            wrapper: Vec::new(),
            timeout: RUN_TIMEOUT,
        }
    }
}

impl Invocation<'_> {
    pub fn arguments(mut self, arguments: &[&str]) -> Self {
        self.arguments = arguments.iter().map(ToString::to_string).collect();
        self
    }

    pub fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Fails for every error that valgrind reports and for every leak, including "possibly lost" memory, but not for "still reachable"
    /// memory, such as tables that live as long as the process.
    pub fn under_valgrind(mut self, wanted: bool) -> Self {
        self.valgrind = wanted;
        self
    }

    /// Runs another command, which then runs this program: its words come before the program's path.
    pub fn started_by(mut self, words: &[&Path]) -> Self {
        self.wrapper = words.iter().map(|word| word.to_path_buf()).collect();
        self
    }

    /// Allows the program more time than the others have.
    pub fn within(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs the program to its end. The output is written to files, so that it is complete even if the program crashes.
    pub fn run(self) -> Finished {
        // Unique to this run: a program may run several times at once.
        let folder = Scratch::new();
        let file = |name: &str| folder.path().join(name);
        let log = file("valgrind.log");
        let mut words = self.wrapper;
        words.push(self.program.path.clone());
        // valgrind can only run programs of this machine's system.
        let (checked, mut command) = match command_from("TCKMS_TEST_RUNNER") {
            Some(runner) => (false, runner),
            None if self.valgrind => (true, valgrind(&log)),
            None => (false, Command::new(words.remove(0))),
        };
        command.args(words);
        command.args(&self.arguments).env_clear().envs(self.environment.iter().cloned());
        command.stdout(File::create(file("stdout")).unwrap()).stderr(File::create(file("stderr")).unwrap());
        let child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
        let status = wait(child, self.timeout);
        let read = |name: &str| String::from_utf8_lossy(&fs::read(file(name)).unwrap()).into_owned();
        let finished = Finished { status, stdout: read("stdout"), stderr: read("stderr") };
        if checked {
            let log = fs::read_to_string(&log).unwrap_or_default();
            assert!(finished.status.success(), "{finished}valgrind reports:\n{log}");
        }
        finished
    }
}

impl Finished {
    /// For programs that use check.h: all checks passed, and neither the program nor the library printed anything else.
    pub fn expect_nothing_but_passed_checks(&self) {
        let count = self.stdout.strip_prefix("ok ").and_then(|rest| rest.strip_suffix(" checks\n"));
        let passed = count.and_then(|count| count.parse::<u32>().ok()).is_some_and(|count| count > 0);
        assert!(self.status.success() && passed && self.stderr.is_empty(), "{self}");
    }

    /// For programs that print: success, and nothing on stderr.
    pub fn expect_success(&self) -> &str {
        assert!(self.status.success() && self.stderr.is_empty(), "{self}");
        &self.stdout
    }
}

impl std::fmt::Display for Finished {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        writeln!(formatter, "{}", self.status)?;
        writeln!(formatter, "--- stdout ---\n{}--- stderr ---\n{}", self.stdout, self.stderr)
    }
}

fn valgrind(log: &Path) -> Command {
    let mut command = tool("valgrind");
    command
        .args(["--quiet", "--num-callers=40"])
        .arg(format!("--error-exitcode={VALGRIND_ERROR}"))
        .arg("--leak-check=full")
        .arg("--show-leak-kinds=definite,indirect,possible")
        .arg("--errors-for-leak-kinds=definite,indirect,possible");
    // Not to stderr, which must contain only output of the program and the library.
    command.arg(format!("--log-file={}", log.display()));
    command
}

fn wait(mut child: Child, timeout: Duration) -> ExitStatus {
    let started = Instant::now();
    loop {
        if let Some(status) = child.try_wait().expect("a child can be waited for") {
            return status;
        }
        if started.elapsed() > timeout {
            child.kill().expect("a child can be killed");
            panic!("the program was still running after {} s", timeout.as_secs());
        }
        thread::sleep(Duration::from_millis(5));
    }
}
