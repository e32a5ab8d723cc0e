//! The installed tool with an emulator and a scratch folder.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use crate::PROGRAM;
use crate::attributes::{ACL, LABEL, access_control_list, try_set_attribute};
use support::{self, Emulator, Scratch, dist, output_of};

/// The program under test. Both have the same options and rules.
#[derive(Clone, Copy, PartialEq, Eq)]
#[allow(dead_code)]
pub enum Program {
    TckmsSeal,
    /// `tckms seal`, `tckms open` and `tckms info`.
    Tckms,
}

/// The exit status for an invalid file or value.
pub const WRONG_INPUT: i32 = match PROGRAM {
    Program::TckmsSeal => 1,
    Program::Tckms => 2,
};

pub struct Tool {
    pub emulator: Emulator,
    pub scratch: Scratch,
}

impl Tool {
    pub fn new() -> Self {
        Self { emulator: Emulator::over_http(&["demo", "other"]), scratch: Scratch::new() }
    }

    pub fn path() -> PathBuf {
        match PROGRAM {
            Program::TckmsSeal => dist("tckms-seal"),
            Program::Tckms => translator(),
        }
    }

    pub fn run(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut command = Command::new(Self::path());
        command.args(arguments).env_clear().envs(self.emulator.environment()).current_dir(self.scratch.path());
        run_with_input(&mut command, input)
    }

    pub fn code(&self, arguments: &[&str], input: &[u8]) -> i32 {
        self.run(arguments, input).status.code().expect("it exits without a signal")
    }

    /// Runs a shell script in the folder. Its functions `seal` and `open` run the tool with the key.
    pub fn shell(&self, script: &str) -> Output {
        run_with_input(&mut self.shell_command("sh", &[], script), b"")
    }

    /// Runs the script in its own mount namespace.
    pub fn shell_with_mounts(&self, script: &str) -> Output {
        self.shell_with_options(&["--mount"], script)
    }

    /// Runs the script with options of unshare(1).
    pub fn shell_with_options(&self, options: &[&str], script: &str) -> Output {
        let unshare = support::tool("unshare").get_program().to_owned();
        run_with_input(&mut self.shell_command(unshare.to_str().unwrap(), &[options, &["sh"]].concat(), script), b"")
    }

    /// Runs the script as an unprivileged user who owns the folder. Only root can do that.
    pub fn shell_as_nobody(&self, script: &str) -> Output {
        let options = ["--reuid=65534", "--regid=65534", "--clear-groups", "sh"];
        std::os::unix::fs::chown(self.scratch.path(), Some(65_534), Some(65_534)).unwrap();
        let program = support::tool("setpriv").get_program().to_owned();
        run_with_input(&mut self.shell_command(program.to_str().unwrap(), &options, script), b"")
    }

    fn shell_command(&self, program: &str, options: &[&str], script: &str) -> Command {
        let functions =
            "seal() { \"$TOOL\" -k \"$KEY\" \"$@\"; }; open() { \"$TOOL\" -d -k \"$KEY\" \"$@\"; }; umask 022\n";
        let mut command = Command::new(program);
        command.args(options).args(["-e", "-u", "-c"]).arg(format!("{functions}{script}")).env_clear();
        command.env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("LC_ALL", "C").env("TOOL", Self::path());
        command.env("KEY", self.key()).envs(self.emulator.environment()).current_dir(self.scratch.path());
        command
    }

    pub fn key(&self) -> &str {
        self.emulator.key_id("demo")
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    pub fn names(&self) -> Vec<String> {
        names_in(self.scratch.path())
    }
}

/// Privileges and features that some machines and users lack.
#[derive(Clone, Copy, Debug)]
pub enum Need {
    /// Changing the owner of files.
    Root,
    /// Becoming an unprivileged user who can access the folder of the test and the tool.
    AnotherUser,
    /// Namespaces for mounts and the host name.
    Mounts,
    /// chattr on the file system of the test's folder.
    Chattr,
    /// Access control lists and SELinux labels on the file system of the test's folder.
    Attributes,
}

impl Tool {
    /// Whether this machine and this user have all of them. If not, prints the name of the test and the missing one.
    pub fn can(&self, test: &str, needs: &[Need]) -> bool {
        let missing = needs.iter().find(|need| !self.has(**need));
        if let Some(need) = missing {
            let line =
                format!("NOT TESTED: tckms-seal, {test}: it needs {need:?}, as root on an ordinary file system.\n");
            // Written directly, since the test runner hides the output of passing tests.
            std::io::stderr().write_all(line.as_bytes()).unwrap();
        }
        missing.is_none()
    }

    fn has(&self, need: Need) -> bool {
        // SAFETY: it has no arguments and no effect.
        let is_root = unsafe { libc::geteuid() } == 0;
        let does = |output: Output| output.status.success();
        let mounts = "mount -t tmpfs none /mnt; hostname probe 2>/dev/null || echo probe >/proc/sys/kernel/hostname";
        is_root
            && match need {
                Need::Root => true,
                Need::AnotherUser => {
                    does(self.shell_as_nobody("test -x \"$TOOL\"; test -d \"$PWD\"; : >probe; rm probe"))
                }
                Need::Mounts => does(self.shell_with_options(&["--mount", "--uts"], mounts)),
                Need::Chattr => {
                    does(self.shell(
                        ": >probe; for flag in a i; do chattr +$flag probe; chattr -$flag probe; done; rm probe",
                    ))
                }
                Need::Attributes => {
                    let file = self.scratch.write("probe", "");
                    let list = access_control_list(6, &[(1000, 4)], 4, 4, 0);
                    let can = try_set_attribute(&file, ACL, &list) && try_set_attribute(&file, LABEL, b"a:b:c:s0\0");
                    fs::remove_file(file).unwrap();
                    can
                }
            }
    }
}

pub fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn run_with_input(command: &mut Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // The tool reads nothing if it refuses its arguments.
        scope.spawn(move || stdin.write_all(input).ok());
        child.wait_with_output().unwrap()
    })
}

/// The output as text, with the program name that the tests expect before each message.
pub fn text(bytes: &[u8]) -> String {
    let text = String::from_utf8(bytes.to_vec()).expect("it is text");
    match PROGRAM {
        Program::TckmsSeal => text,
        Program::Tckms => text.replace("tckms: ", "tckms-seal: "),
    }
}

/// A script that translates the command line of tckms-seal and runs tckms.
fn translator() -> PathBuf {
    static MADE: std::sync::OnceLock<PathBuf> = std::sync::OnceLock::new();
    let make = || {
        let folder = support::target().join("tckms-as-tckms-seal");
        fs::create_dir_all(&folder).unwrap();
        let (path, unfinished) = (folder.join("tckms-seal"), folder.join(format!("new.{}", std::process::id())));
        fs::write(&unfinished, TRANSLATOR.replace("@TCKMS@", support::release("tckms").to_str().unwrap())).unwrap();
        fs::set_permissions(&unfinished, fs::Permissions::from_mode(0o755)).unwrap();
        fs::rename(&unfinished, &path).unwrap();
        path
    };
    MADE.get_or_init(make).clone()
}

const TRANSLATOR: &str = r#"#!/bin/sh
command=seal
value=
left=$#
while [ "$left" -gt 0 ]; do
  word=$1
  shift
  left=$((left - 1))
  if [ -n "$value" ]; then
    value=
    set -- "$@" "$word"
    continue
  fi
  case $word in
    --)
      set -- "$@" --
      while [ "$left" -gt 0 ]; do
        set -- "$@" "$1"
        shift
        left=$((left - 1))
      done
      ;;
    --info) command=info ;;
    --help | --version)
      command=
      set -- "$@" "$word"
      ;;
    -d) command=open ;;
    *)
      case $word in
        --proxy | --branch | --branch-file | -[kecot]) value=1 ;;
        -d*)
          command=open
          word=-${word#-d}
          case $word in *[kecot]) value=1 ;; esac
          ;;
      esac
      set -- "$@" "$word"
      ;;
  esac
done
exec "@TCKMS@" $command "$@"
"#;

/// The output of a script that must succeed.
pub fn printed(output: &Output) -> String {
    assert!(output.status.success(), "{}\n{}{}", output.status, text(&output.stdout), text(&output.stderr));
    text(&output.stdout)
}

/// An RSA key in two files.
pub fn key_pair(folder: &Scratch) {
    let private = openssl(&["genpkey", "-quiet", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]);
    let private = folder.write("private.pem", &private);
    let public = openssl(&["pkey", "-pubout", "-in", private.to_str().unwrap()]);
    folder.write("public.pem", &public);
}

fn openssl(arguments: &[&str]) -> String {
    output_of(support::tool("openssl").args(arguments))
}

pub fn wait_until(happened: impl Fn() -> bool) {
    let began = Instant::now();
    while !happened() {
        assert!(began.elapsed() < Duration::from_secs(30), "timed out");
        std::thread::sleep(Duration::from_millis(5));
    }
}
