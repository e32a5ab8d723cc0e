//! Where credentials come from and how they are renewed, through the C API: `tests/c/credentials_*.c` with the emulator
//! as metadata service and STS, and `examples-c/credentials.c` with each kind.
//!
//! Each of these programs logs at the most verbose level, and fails if a secret is in a log line or in an error.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Command;

use support::{CLANG, Compiler, Emulator, Finished, GCC, Invocation, Library, Program, Scratch};

/// A program, its emulator, and a folder for its files.
struct Setting {
    program: Program,
    emulator: Emulator,
    folder: Scratch,
}

impl Setting {
    fn new(name: &str, compiler: Compiler, emulator: Emulator) -> Self {
        let program = compiler.build(format!("tests/c/credentials_{name}.c"), &Library::Shared);
        Self { program, emulator, folder: Scratch::new() }
    }

    /// `part` selects a part of programs that have several.
    fn invocation(&self, part: &str) -> Invocation<'_> {
        let folder = self.folder.path().to_str().expect("its path is UTF-8");
        let run = self.program.with(self.emulator.environment());
        run.variable("TEST_FOLDER", folder).variable("TEST_PART", part).variable("TEST_SLACK_MS", "1000")
    }
}

fn passes(name: &str, part: &str, compiler: Compiler) {
    let setting = Setting::new(name, compiler, Emulator::over_http(&["main"]));
    setting.invocation(part).run().expect_nothing_but_passed_checks();
}

/// For programs that do not measure time.
fn passes_under_valgrind(name: &str, part: &str) {
    let setting = Setting::new(name, GCC, Emulator::over_http(&["main"]));
    setting.invocation(part).under_valgrind(true).run().expect_nothing_but_passed_checks();
}

/// The user that a program with privileges belongs to, and the one that runs it.
const OWNER: u32 = 65534;
const CALLER: u32 = 54321;

/// A program that other users may run, in a folder that they may enter. Only root can give it privileges.
struct Privileged {
    folder: PathBuf,
    program: PathBuf,
}

impl Privileged {
    fn new(name: &str) -> Self {
        let root = Command::new("id").arg("-u").output().expect("id runs").stdout == b"0\n";
        assert!(root, "this test gives a program privileges, which takes root: run it as root");
        // Linked with the archive, because the loader ignores the run path of a program with privileges.
        let built = GCC.build("tests/c/credentials_privileges.c", &Library::Static);
        let folder = std::env::temp_dir().join(format!("tckms-{name}-{}", std::process::id()));
        let program = folder.join("program");
        fs::create_dir_all(&folder).expect("a folder for the program");
        fs::set_permissions(&folder, Permissions::from_mode(0o755)).expect("others may enter it");
        fs::copy(built.path(), &program).expect("the program can be copied");
        fs::set_permissions(&program, Permissions::from_mode(0o755)).expect("others may run it");
        Self { folder, program }
    }

    fn passes(&self, arguments: &[&str]) {
        let mut command = Command::new(&self.program);
        command.args(arguments).env_clear().env("HOME", "/nonexistent/attacker").current_dir("/");
        let output = command.uid(CALLER).gid(CALLER).output().expect("the program runs");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.is_empty(), "{}: {text}", output.status);
    }
}

impl Drop for Privileged {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[test]
fn a_setuid_program_takes_nothing_from_the_environment() {
    let privileged = Privileged::new("setuid");
    privileged.passes(&[]);
    chown(&privileged.program, Some(OWNER), Some(OWNER)).expect("root may give a file away");
    fs::set_permissions(&privileged.program, Permissions::from_mode(0o4755)).expect("a program can be setuid");
    privileged.passes(&["privileged"]);
}

#[test]
fn a_program_with_file_capabilities_takes_nothing_from_the_environment() {
    let privileged = Privileged::new("capabilities");
    let set = Command::new("setcap").arg("cap_net_bind_service=ep").arg(&privileged.program).status();
    let set = set.expect("setcap runs; Debian has it in libcap2-bin");
    assert!(set.success(), "the file system of {} has no file capabilities", privileged.folder.display());
    privileged.passes(&["privileged"]);
}

#[test]
fn the_role_of_the_machine() {
    passes("metadata", "quick", GCC);
}

#[test]
fn renewal() {
    passes("refresh", "quick", CLANG);
}

#[test]
fn renewal_that_is_slow() {
    passes("refresh", "slow", GCC);
}

#[test]
fn children_and_other_roots() {
    passes("processes", "quick", GCC);
}

#[test]
fn roles() {
    passes("roles", "quick", GCC);
}

#[test]
fn roles_over_https() {
    let foreign = Emulator::over_https(&[]);
    let setting = Setting::new("roles", CLANG, Emulator::over_https(&["main"]));
    let run = setting.invocation("quick").variable("TEST_FOREIGN_CA_FILE", foreign.ca_file());
    run.run().expect_nothing_but_passed_checks();
}

#[test]
fn several_places_in_a_row() {
    passes("chain", "quick", GCC);
}

#[test]
fn several_places_in_a_row_under_valgrind() {
    passes_under_valgrind("chain", "quick");
}

#[test]
fn files() {
    passes("files", "quick", CLANG);
}

#[test]
fn callbacks() {
    passes("callback", "quick", CLANG);
}

#[test]
fn callbacks_that_are_slow() {
    passes("callback", "slow", GCC);
}

#[test]
fn callbacks_are_freed_under_valgrind() {
    passes_under_valgrind("callback", "freeing");
}

/// The example with one kind of credentials, and only these variables in its environment.
struct Example {
    program: Program,
    emulator: Emulator,
    folder: Scratch,
}

impl Example {
    fn new() -> Self {
        let program = Compiler { standard: "c99", ..CLANG }.build("examples-c/credentials.c", &Library::Shared);
        Self { program, emulator: Emulator::over_http(&["demo"]), folder: Scratch::new() }
    }

    fn given(&self, name: &str) -> String {
        let variables = self.emulator.environment();
        variables.into_iter().find(|(variable, _)| variable == name).expect("the emulator printed it").1
    }

    /// A profile file with the emulator's own identity.
    fn profile(&self, section: &str) -> String {
        let (id, key) = (self.given("TENCENTCLOUD_SECRET_ID"), self.given("TENCENTCLOUD_SECRET_KEY"));
        let path = self.folder.write("profile", &format!("[{section}]\nsecret_id = {id}\nsecret_key = {key}\n"));
        path.to_str().expect("its path is UTF-8").to_owned()
    }

    /// Binds a role by the emulator's admin API.
    fn bind_role(&self, role: &str) {
        let endpoint = self.given("TCKMS_ENDPOINT");
        let address = endpoint.strip_prefix("http://").expect("the emulator speaks HTTP");
        let mut connection = TcpStream::connect(address).expect("the emulator listens");
        let body = format!(r#"{{"role":"{role}"}}"#);
        let head = "PUT /_admin/credentials HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
                    Content-Type: application/json";
        write!(connection, "{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).expect("a request can be sent");
        let mut reply = String::new();
        connection.read_to_string(&mut reply).expect("the reply is text");
        assert!(reply.starts_with("HTTP/1.1 200 "), "{reply}");
    }

    fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Finished {
        let endpoint = self.given("TCKMS_ENDPOINT");
        let mut run = self.program.with(Vec::new());
        for name in ["TCKMS_ENDPOINT", "TCKMS_STS_ENDPOINT", "METADATA_ENDPOINT"] {
            run = run.variable(name, &endpoint);
        }
        run = run.variable("HOME", "/nonexistent").variable("TENCENTCLOUD_REGION", "ap-guangzhou");
        for (name, value) in variables {
            run = run.variable(name, value);
        }
        run.arguments(&[&[self.emulator.key_id("demo")], arguments].concat()).run()
    }

    fn succeeds(&self, arguments: &[&str], variables: &[(&str, &str)]) {
        let finished = self.run(arguments, variables);
        let line = finished.expect_success();
        assert!(line.starts_with(&format!("Encrypted with the credentials of \"{}\"", arguments[0])), "{finished}");
    }

    /// Ends with an error that begins with this text and contains the reason.
    fn fails(&self, arguments: &[&str], variables: &[(&str, &str)], beginning: &str, reason: &str) {
        let finished = self.run(arguments, variables);
        assert_eq!((finished.status.code(), finished.stdout.as_str()), (Some(1), ""), "{finished}");
        assert!(finished.stderr.starts_with(beginning) && finished.stderr.contains(reason), "{finished}");
    }
}

#[test]
fn the_example_has_each_kind() {
    let example = Example::new();
    let (id, key) = (example.given("TENCENTCLOUD_SECRET_ID"), example.given("TENCENTCLOUD_SECRET_KEY"));
    let environment = [("TENCENTCLOUD_SECRET_ID", id.as_str()), ("TENCENTCLOUD_SECRET_KEY", key.as_str())];
    let vault = [("VAULT_SECRET_ID", id.as_str()), ("VAULT_SECRET_KEY", key.as_str())];
    let role = "qcs::cam::uin/100000000001:roleName/backup";

    example.succeeds(&["default"], &environment);
    example.succeeds(&["default"], &[("TENCENTCLOUD_CREDENTIALS_FILE", &example.profile("default"))]);
    example.succeeds(&["env"], &environment);
    example.succeeds(&["profile", &example.profile("default")], &[]);
    example.succeeds(&["profile", &example.profile("work"), "work"], &[]);
    example.succeeds(&["assume-role", role], &environment);
    example.succeeds(&["callback"], &vault);
    example.bind_role("my-role");
    example.succeeds(&["cvm-role"], &[]);
    example.succeeds(&["cvm-role", "my-role"], &[]);
    example.succeeds(&["default"], &[]);
}

#[test]
fn the_example_reports_what_is_missing() {
    let example = Example::new();
    let missing = "cannot encrypt: TCKMS_ERR_NO_CREDENTIALS: Encrypt: no credentials: environment: ";
    example.fails(&["default"], &[], missing, "CVM role: no role is bound");
    example.fails(&["env"], &[], "cannot configure: TCKMS_ERR_NO_CREDENTIALS: ", "TENCENTCLOUD_SECRET_ID is not set");
    let profile = "cannot create a client: TCKMS_ERR_NO_CREDENTIALS: ";
    example.fails(&["profile", "/nonexistent/file"], &[], profile, "/nonexistent/file");
    example.fails(&["cvm-role"], &[], "cannot encrypt: TCKMS_ERR_NO_CREDENTIALS: ", "no role is bound");
    example.fails(
        &["callback"],
        &[],
        "cannot encrypt: TCKMS_ERR_CREDENTIALS_CALLBACK_FAILED: ",
        "supplied no credentials",
    );
    example.fails(&[], &[], "usage: ", "KEY_ID");
}
