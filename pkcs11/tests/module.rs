//! Tests of the module in target/dist: C programs call its exported functions, against the emulator.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Emulator, GCC, Library, Scratch, command_from, dist, output_of, release, root, started, tool};

const EC: &str = "ec:ASYMMETRIC_SIGN_VERIFY_ECC";
const RSA: &str = "rsa:ASYMMETRIC_SIGN_VERIFY_RSA_2048";
const DECRYPT: &str = "decrypt:ASYMMETRIC_DECRYPT_RSA_2048";

/// The module in target/dist, linked again if cargo's archive is newer.
fn module() -> PathBuf {
    if std::env::var_os("TCKMS_TEST_DIST").is_some() {
        return dist("libtckms-pkcs11.so");
    }
    static MADE: std::sync::Once = std::sync::Once::new();
    let archive = release("libtckms_pkcs11.a");
    let target = archive.ancestors().nth(2).expect("the archive is in target/release");
    MADE.call_once(|| {
        output_of(Command::new(root().join("scripts/dist-pkcs11.sh")).env("CARGO_TARGET_DIR", target));
    });
    target.join("dist/libtckms-pkcs11.so")
}

/// A compiled C program with its own folder and environment.
struct Program {
    folder: Scratch,
    environment: Vec<(String, String)>,
}

impl Program {
    fn new(source: &str) -> Self {
        Self::with_options(source, &[])
    }

    /// Instrumented by the address and undefined-behaviour sanitizers. The module's memory is the allocator's as well, so that the
    /// sanitizer sees what the module writes past its end or uses too late through the C library's functions.
    fn sanitized(source: &str) -> Self {
        Self::with_options(source, &["-fsanitize=address,undefined", "-fno-sanitize-recover=all"])
            .variable("ASAN_OPTIONS", "detect_leaks=1:detect_stack_use_after_return=1")
    }

    fn with_options(source: &str, options: &[&str]) -> Self {
        let folder = Scratch::new();
        let mut compiler = command_from("TCKMS_TEST_COMPILER").unwrap_or_else(|| tool("gcc"));
        compiler
            .args(["-std=gnu99", "-Wall", "-Wextra", "-Werror", "-O1", "-g", "-o"])
            .arg(folder.path().join("program"));
        compiler.args(options).arg(root().join("pkcs11/tests/c").join(source)).args(["-ldl", "-lpthread"]);
        output_of(&mut compiler);
        let log = folder.path().join("log").display().to_string();
        let environment = vec![
            ("TEST_MODULE".to_owned(), module().display().to_string()),
            ("TCKMS_PKCS11_LOG".to_owned(), log),
            ("HOME".to_owned(), "/nonexistent".to_owned()),
        ];
        Self { folder, environment }
    }

    fn variable(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Configures a token with keys of the emulator, in the environment.
    fn with_keys(mut self, emulator: &Emulator, aliases: &[&str]) -> Self {
        let keys: Vec<_> = aliases.iter().map(|alias| format!("{alias}={}", emulator.key_id(alias))).collect();
        self.environment.extend(emulator.environment());
        self.variable("TCKMS_PKCS11_KEYS", &keys.join(","))
    }

    /// Configures a token in a file.
    fn with_file(mut self, emulator: &Emulator, text: &str) -> Self {
        let file = self.folder.write("pkcs11.conf", text);
        self.environment.extend(emulator.environment());
        self.variable("TCKMS_PKCS11_CONFIG", &file.display().to_string())
    }

    fn command(&self, valgrind: bool) -> Command {
        let program = self.folder.path().join("program");
        let mut command = if valgrind {
            let mut command = tool("valgrind");
            command.args(["--quiet", "--error-exitcode=99", "--leak-check=full", "--trace-children=no"]);
            command.arg(program);
            command
        } else {
            started(&program)
        };
        command.env_clear().envs(self.environment.iter().cloned());
        command
    }

    /// Runs the program and returns its output. Neither the program nor the module may write to stderr.
    fn run(&self, arguments: &[&str]) -> String {
        self.finish(self.command(false).args(arguments))
    }

    fn finish(&self, command: &mut Command) -> String {
        let output = command.output().unwrap();
        let (stdout, stderr) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(output.status.success() && stderr.is_empty(), "{}\n{stdout}{stderr}{}", output.status, self.log());
        stdout.into_owned()
    }

    fn expect_passed_checks(&self, valgrind: bool) {
        let said = self.finish(&mut self.command(valgrind));
        assert!(said.starts_with("ok ") && said.ends_with(" checks\n"), "{said}");
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

fn path(file: &Path) -> String {
    file.display().to_string()
}

#[test]
fn every_function_conforms_to_the_standard() {
    let emulator = Emulator::over_http(&[EC, RSA, DECRYPT]);
    let program = Program::new("core.c").with_keys(&emulator, &["ec", "rsa", "decrypt"]);
    program.expect_passed_checks(false);
    let log = program.log();
    for advice in ["RSA with SHA-512", "ECDSA with SHA-1", "MD5 and SHA-1", "to use SHA-256, or use a P-256 key"] {
        assert!(log.contains(advice), "{advice}: {log}");
    }
}

/// No error and no leak. Forked children, which forget what their parent had, are the sanitizers' part.
#[test]
fn every_function_is_clean_under_valgrind() {
    let emulator = Emulator::over_http(&[EC, RSA, DECRYPT]);
    Program::new("core.c").with_keys(&emulator, &["ec", "rsa", "decrypt"]).expect_passed_checks(true);
    let threads = Program::new("threads.c").with_keys(&emulator, &["ec"]);
    threads.variable("TEST_THREADS", "8").variable("TEST_SIGNATURES", "4").expect_passed_checks(true);
}

#[test]
fn every_function_is_clean_under_the_sanitizers() {
    let emulator = Emulator::over_http(&[EC, RSA, DECRYPT]);
    Program::sanitized("core.c").with_keys(&emulator, &["ec", "rsa", "decrypt"]).expect_passed_checks(false);
    Program::sanitized("traces.c").with_keys(&emulator, &["ec", "rsa", "decrypt"]).expect_passed_checks(false);
    Program::sanitized("fork.c").with_keys(&emulator, &["ec"]).expect_passed_checks(false);
    let threads = Program::sanitized("threads.c").with_keys(&emulator, &["ec"]);
    threads.variable("TEST_THREADS", "16").variable("TEST_SIGNATURES", "20").expect_passed_checks(false);
}

/// What programs call, as it was recorded. Each signature is one request, and the keys are asked for once in each of the six.
#[test]
fn recorded_calls_of_programs_succeed() {
    let emulator = Emulator::over_http(&[EC, RSA, DECRYPT]);
    let program = Program::new("traces.c").with_keys(&emulator, &["ec", "rsa", "decrypt"]);
    program.expect_passed_checks(false);
    let count = |wanted: &str| emulator.actions_seen().iter().filter(|action| *action == wanted).count();
    assert_eq!((count("SignByAsymmetricKey"), count("GetPublicKey"), count("DescribeKey")), (14, 18, 12));
}

#[test]
fn a_decrypted_secret_is_gone_when_its_operation_ends() {
    let emulator = Emulator::over_http(&[DECRYPT]);
    let environment: std::collections::HashMap<_, _> = emulator.environment().into_iter().collect();
    let secret = &environment["TENCENTCLOUD_SECRET_KEY"];
    let folder = Scratch::new();
    let profile = format!("[default]\nsecret_id = {}\nsecret_key = {secret}\n", environment["TENCENTCLOUD_SECRET_ID"]);
    let profile = folder.write("credentials", &profile);
    output_of(Command::new("chmod").arg("600").arg(&profile));
    let text = format!(
        "[token \"t\"]\nregion = ap-guangzhou\nendpoint = {}\ncredentials = file:{}\n[key \"decrypt\"]\nid = {}\n",
        environment["TCKMS_ENDPOINT"],
        path(&profile),
        emulator.key_id("decrypt")
    );
    let masked = secret.bytes().take(16).fold(String::new(), |text, byte| format!("{text}{:02x}", byte ^ 0x5a));
    let mut program = Program::new("secrets.c").with_file(&emulator, &text).variable("TEST_SECRET_MASKED", &masked);
    // The environment is memory of the process as well.
    program.environment.retain(|(name, _)| !name.starts_with("TENCENTCLOUD_"));
    program.expect_passed_checks(false);
}

/// A certificate authority, one below it, and a certificate of a key in KMS: the chain as a file for the configuration, and each
/// certificate in DER.
fn chain(emulator: &Emulator, alias: &str, folder: &Scratch) -> (PathBuf, Vec<PathBuf>) {
    let public = folder.write("key.pub", &public_key(emulator, alias));
    let script = "exec 2>&1; set -e; export OPENSSL_CONF=/etc/ssl/openssl.cnf
        ec='-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes'
        openssl req -x509 $ec -subj /CN=root -keyout root.key -out root.pem
        printf 'basicConstraints=critical,CA:TRUE\n' >ca
        openssl req -new $ec -subj /CN=between -keyout between.key -out between.csr
        openssl x509 -req -in between.csr -CA root.pem -CAkey root.key -CAcreateserial -extfile ca -out between.pem
        openssl req -new -key root.key -subj /CN=leaf -out leaf.csr
        openssl x509 -req -in leaf.csr -force_pubkey \"$1\" -CA between.pem -CAkey between.key -CAcreateserial -out leaf.pem
        cat leaf.pem between.pem root.pem >chain.pem
        for name in leaf between root; do openssl x509 -in $name.pem -outform DER -out $name.der; done";
    output_of(Command::new("bash").args(["-c", script, "bash"]).arg(public).current_dir(folder.path()));
    let der = ["leaf.der", "between.der", "root.der"].map(|name| folder.path().join(name));
    (folder.path().join("chain.pem"), der.to_vec())
}

/// With a certificate a program starts without a request, and finds the whole chain.
#[test]
fn a_certificate_comes_with_those_of_its_issuers() {
    let emulator = Emulator::over_http(&[EC]);
    let folder = Scratch::new();
    let (pem, der) = chain(&emulator, "ec", &folder);
    let key = format!("[token \"t\"]\nregion = ap-guangzhou\n[key \"ec\"]\nid = {}\n", emulator.key_id("ec"));
    let program = Program::new("certificates.c").with_file(&emulator, &format!("{key}certificate = {}\n", path(&pem)));
    let before = emulator.actions_seen().len();
    let files: Vec<String> = der.iter().map(|file| path(file)).collect();
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let said = program.run(&files);
    assert!(said.starts_with("ok "), "{said}");
    assert_eq!(emulator.actions_seen().len(), before);
    let listed = Program::new("steps.c").with_file(&emulator, &format!("{key}certificate = {}\n", path(&pem)));
    let said = listed.run(&["init", "find", "sign"]);
    let expected = "private ec\npublic ec\ncertificate ec\ncertificate ec issuer 1\ncertificate ec issuer 2\nsign 0\n";
    assert!(said.ends_with(expected), "{said}");
}

/// The log that programs have without a configuration.
#[test]
fn mistakes_are_told_to_syslog() {
    let emulator = Emulator::over_http(&[]);
    let mut program = Program::new("syslog.c").with_file(&emulator, "[global]\ncolour = red\n");
    program.environment.retain(|(name, _)| name != "TCKMS_PKCS11_LOG");
    let said = program.run(&[]);
    if said == "not possible\n" {
        use std::io::Write;
        let text = "NOT TESTED: the module's lines in syslog; there are no mount namespaces. Run pkcs11/tests/module.rs as root.\n";
        std::io::stderr().write_all(text.as_bytes()).unwrap();
        return;
    }
    let (head, message) = said.trim_end().split_once(": tckms-pkcs11: error: ").unwrap_or_else(|| panic!("{said}"));
    // Facility daemon, severity error.
    assert!(head.starts_with("<27>program[") && head.ends_with(']'), "{said}");
    assert!(message.contains("pkcs11.conf:2: \"colour\""), "{said}");
}

/// With privileges that its caller does not have, a program takes neither keys nor files nor a log from the environment.
#[test]
fn a_program_with_privileges_reads_no_variable() {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;

    const CALLER: u32 = 54321;
    let is_root = output_of(Command::new("id").arg("-u")).trim() == "0";
    if !is_root {
        use std::io::Write;
        let text = "NOT TESTED: the module in a program with privileges; run pkcs11/tests/module.rs as root.\n";
        std::io::stderr().write_all(text.as_bytes()).unwrap();
        return;
    }
    let emulator = Emulator::over_http(&[EC]);
    let program = Program::new("steps.c").with_keys(&emulator, &["ec"]);
    let folder = std::env::temp_dir().join(format!("tckms-pkcs11-privileged-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let open = |path: &Path, mode: u32| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    open(&folder, 0o777);
    let (tool, library) = (folder.join("program"), folder.join("module.so"));
    fs::copy(program.folder.path().join("program"), &tool).unwrap();
    fs::copy(module(), &library).unwrap();
    open(&library, 0o755);
    let run = |mode: u32| {
        open(&tool, mode);
        let mut command = Command::new(&tool);
        command.args(["init", "find"]).env_clear().envs(program.environment.iter().cloned());
        command.env("TEST_MODULE", &library).env("TCKMS_PKCS11_LOG", folder.join("log")).uid(CALLER).gid(CALLER);
        output_of(&mut command)
    };
    assert_eq!(run(0o755), "init 0\nfind 0\nprivate ec\npublic ec\n");
    let _ = fs::remove_file(folder.join("log"));
    // There is no slot, since there is no configuration.
    assert_eq!(run(0o4755), "init 0\nfind 0x3\n");
    assert!(!folder.join("log").exists());
    fs::remove_dir_all(folder).unwrap();
}

#[test]
fn forked_children_continue_or_initialise_again() {
    let emulator = Emulator::over_http(&[EC]);
    Program::new("fork.c").with_keys(&emulator, &["ec"]).expect_passed_checks(false);
}

#[test]
fn threads_sign_concurrently() {
    let emulator = Emulator::over_http(&[EC]);
    let program = Program::new("threads.c").with_keys(&emulator, &["ec"]).variable("TEST_THREADS", "16");
    program.expect_passed_checks(false);
}

/// Under a filter without the system calls that are newer than Linux 3.10.
#[test]
fn it_works_on_an_old_kernel() {
    passes_under_a_filter("old", &["core.c", "fork.c", "threads.c"]);
}

/// Under a filter with only those that docs/portability.md lists. A program has no children there.
#[test]
fn the_system_calls_of_the_documents_are_enough() {
    passes_under_a_filter("sandbox", &["core.c", "threads.c"]);
}

fn passes_under_a_filter(kind: &str, sources: &[&str]) {
    let emulator = Emulator::over_https(&[EC, RSA, DECRYPT]);
    let filter = GCC.build("tests/c/with_filter.c", &Library::Shared);
    for source in sources {
        let program = Program::new(source).with_keys(&emulator, &["ec", "rsa", "decrypt"]);
        let mut command = started(filter.path());
        command.arg(kind).arg(program.folder.path().join("program"));
        command.env_clear().envs(program.environment.iter().cloned());
        let said = program.finish(&mut command);
        assert!(said.starts_with("ok ") && said.ends_with(" checks\n"), "{source}: {said}");
    }
}

/// A signature sends one request. Sizes, attributes and a second search send none.
#[test]
fn a_signature_is_one_request() {
    let emulator = Emulator::over_http(&[EC, RSA]);
    let program = Program::new("steps.c").with_keys(&emulator, &["ec", "rsa"]);
    program.run(&["init"]);
    assert_eq!(emulator.actions_seen(), Vec::<String>::new(), "C_Initialize sends no request");
    program.run(&["init", "find", "find", "read", "size", "sign", "sign", "find", "sign"]);
    let mut seen = emulator.actions_seen();
    seen.sort();
    // The usage of an RSA key is known only to the service.
    let expected = ["DescribeKey", "GetPublicKey", "GetPublicKey"].into_iter().chain(["SignByAsymmetricKey"; 3]);
    assert_eq!(seen, expected.collect::<Vec<_>>());
}

/// With the public key in a file, a program starts without the service, and a signature is still one request.
#[test]
fn a_public_key_in_a_file_needs_no_request() {
    let emulator = Emulator::over_http(&[EC]);
    let maker = Program::new("steps.c").with_keys(&emulator, &["ec"]);
    let pem = public_key(&emulator, "ec");
    let file = maker.folder.write("ec.pem", &pem);
    let text = format!(
        "[token \"prod\"]\nregion = ap-guangzhou\n[key \"ec\"]\nid = {}\npublic_key = {}\n",
        emulator.key_id("ec"),
        path(&file)
    );
    let program = Program::new("steps.c").with_file(&emulator, &text);
    let before = emulator.actions_seen().len();
    assert!(program.run(&["init", "find", "read", "size"]).contains("private ec"));
    assert_eq!(emulator.actions_seen().len(), before);
    assert!(program.run(&["init", "find", "sign"]).contains("sign 0\n"));
    assert_eq!(emulator.actions_seen()[before..], ["SignByAsymmetricKey"]);
}

fn public_key(emulator: &Emulator, alias: &str) -> String {
    client(emulator).public_key(emulator.key_id(alias)).unwrap().pem()
}

fn client(emulator: &Emulator) -> tckms::Client {
    let mut config = tckms::Config::new();
    let environment: std::collections::HashMap<_, _> = emulator.environment().into_iter().collect();
    config.set_region("ap-guangzhou").unwrap();
    config.set_endpoint(&environment["TCKMS_ENDPOINT"]).unwrap();
    let (id, key) = (&environment["TENCENTCLOUD_SECRET_ID"], &environment["TENCENTCLOUD_SECRET_KEY"]);
    config.set_credentials(id, key, None).unwrap();
    tckms::Client::new(&config).unwrap()
}

#[test]
fn discovery_skips_keys_that_cannot_be_used() {
    let emulator = Emulator::over_http(&[EC, RSA, DECRYPT, "symmetric", "sm2:ASYMMETRIC_SIGN_VERIFY_SM2"]);
    let text = "[token \"all\"]\nregion = ap-guangzhou\ndiscover = all\n";
    let said = Program::new("steps.c").with_file(&emulator, text).run(&["init", "find", "sign"]);
    let private: BTreeSet<_> = said.lines().filter_map(|line| line.strip_prefix("private ")).collect();
    assert_eq!(private, BTreeSet::from(["decrypt", "ec", "rsa"]));
    assert!(said.ends_with("sign 0\n"), "{said}");
}

#[test]
fn keys_are_discovered_by_a_tag() {
    let emulator = Emulator::over_http(&[EC]);
    for (alias, value) in [("tagged", "web"), ("other", "mail")] {
        let key = tckms::NewKey {
            alias,
            usage: Some("ASYMMETRIC_SIGN_VERIFY_ECC"),
            tags: &[("service", value)],
            ..tckms::NewKey::default()
        };
        assert_eq!(client(&emulator).create_key(&key).unwrap().tag_failure, None);
    }
    for (discover, expected) in [("tag:service=web", "private tagged\npublic tagged\n"), ("tag:service=none", "")] {
        let text = format!("[token \"t\"]\nregion = ap-guangzhou\ndiscover = {discover}\n");
        let said = Program::new("steps.c").with_file(&emulator, &text).run(&["init", "find", "find"]);
        assert_eq!(said, format!("init 0\nfind 0\n{expected}find 0\n{expected}"));
    }
}

/// Each mistake is logged in one line with file and line number, and C_Initialize fails.
#[test]
fn mistakes_in_the_configuration_are_reported() {
    let emulator = Emulator::over_http(&[EC, RSA]);
    let id = emulator.key_id("ec");
    let other = Scratch::new().path().join("missing.pem");
    let certificate = foreign_certificate();
    let key = format!("[token \"t\"]\nregion = ap-guangzhou\n[key \"ec\"]\nid = {id}\n");
    let wrong_key = Scratch::new();
    let pem = wrong_key.write("public.pem", &public_key(&emulator, "ec"));
    let crt = wrong_key.write("certificate.pem", &certificate);
    let nothing = wrong_key.write("nothing.pem", "nothing\n");
    for (text, line, part) in [
        (format!("{key}colour = red\n"), 5, "colour"),
        (format!("{key}public_key = {}\n", path(&other)), 3, "cannot be read"),
        (format!("{key}certificate = {}\n", path(&other)), 3, "cannot be read"),
        (format!("{key}public_key = {0}\ncertificate = {0}\n", path(&pem)), 3, "certificate"),
        (format!("{key}public_key = {}\ncertificate = {}\n", path(&pem), path(&crt)), 3, "another key"),
        (format!("{key}[key \"ec\"]\nid = {}\n", emulator.key_id("rsa")), 5, "already"),
        (format!("{key}[key \"twice\"]\nid = {id}\n"), 5, "another key"),
        (format!("{key}certificate = {}\n", path(&nothing)), 3, "no certificate"),
        (format!("{key}public_key = {}\n", path(&nothing)), 3, "no PUBLIC KEY"),
        (format!("{key}public_key = {}\n", path(wrong_key.path())), 3, "cannot be read"),
        ("[token \"t\"]\nregion = nowhere at all\n".to_owned(), 1, "region"),
        ("[token \"t\"]\nregion = x\ncredentials = magic\n".to_owned(), 1, "credentials"),
    ] {
        let program = Program::new("steps.c").with_file(&emulator, &text);
        assert_eq!(program.run(&["init", "find"]), "init 0x5\nfind 0x190\n", "{text}");
        let log = program.log();
        assert!(log.contains(&format!("pkcs11.conf:{line}: ")) && log.contains(part), "{text}: {log}");
        assert_eq!(log.lines().count(), 1, "{log}");
    }
    // What a file is, not what it says. Only root can give a file away.
    let is_root = output_of(Command::new("id").arg("-u")).trim() == "0";
    for (command, part) in [
        ("chmod 666 \"$1\"", "every user may write"),
        ("rm \"$1\"", "cannot be read"),
        ("rm \"$1\" && mkdir \"$1\"", "cannot be read"),
        ("rm \"$1\" && mkfifo \"$1\"", "cannot be read"),
        ("printf '\\377' > \"$1\"", "not UTF-8"),
        ("head -c 5000000 /dev/zero > \"$1\"", "longer than"),
        (if is_root { "chown 54321 \"$1\"" } else { "chmod 666 \"$1\"" }, if is_root { "belongs to" } else { "every" }),
    ] {
        let program = Program::new("steps.c").with_file(&emulator, &key);
        let file = program.folder.path().join("pkcs11.conf");
        output_of(Command::new("sh").args(["-c", command, "sh"]).arg(&file));
        assert_eq!(program.run(&["init"]), "init 0x5\n", "{command}");
        let log = program.log();
        assert!(log.contains(&path(&file)) && log.contains(part) && log.lines().count() == 1, "{command}: {log}");
    }
}

/// Without a request at the start, it shows with the first signature, which is not given out.
#[test]
fn a_file_of_another_key_is_reported_with_the_first_signature() {
    let emulator = Emulator::over_http(&[EC]);
    let folder = Scratch::new();
    let crt = folder.write("certificate.pem", &foreign_certificate());
    let key = format!("[token \"t\"]\nregion = ap-guangzhou\n[key \"ec\"]\nid = {}\n", emulator.key_id("ec"));
    let program = Program::new("steps.c").with_file(&emulator, &format!("{key}certificate = {}\n", path(&crt)));
    assert!(program.run(&["init", "find", "sign"]).ends_with("sign 0x30\n"));
    let log = program.log();
    assert!(log.contains("pkcs11.conf:3: ") && log.contains("is of another key than"), "{log}");
}

/// A self-signed certificate of a new key.
fn foreign_certificate() -> String {
    let folder = Scratch::new();
    let (key, certificate) = (folder.path().join("key"), folder.path().join("certificate"));
    let mut openssl = tool("openssl");
    openssl.args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=x"]);
    output_of(openssl.arg("-keyout").arg(key).arg("-out").arg(&certificate));
    fs::read_to_string(certificate).unwrap()
}

#[test]
fn a_key_that_the_service_does_not_know_is_skipped() {
    let emulator = Emulator::over_http(&[EC]);
    let program = Program::new("steps.c").with_keys(&emulator, &["ec"]);
    let unknown = "93866e69-9755-11ef-8e65-52540089bc41";
    let keys = format!("ec={},gone={unknown}", emulator.key_id("ec"));
    let program = program.variable("TCKMS_PKCS11_KEYS", &keys);
    let said = program.run(&["init", "find", "sign"]);
    assert_eq!(said, "init 0\nfind 0\nprivate ec\npublic ec\nsign 0\n");
    assert!(program.log().contains(&format!("key {unknown} is skipped")), "{}", program.log());
}

const DEVICE: &str = "0x30";

/// What may go wrong with the request of a signature or a decryption, and the return value.
fn faults_of_requests() -> Vec<(String, &'static str)> {
    const REJECTED: &str = "0x200";
    const NOT_PERMITTED: &str = "0x68";
    let mut faults = Vec::new();
    for (fault, number) in [
        (r#"{"kind":"pass"}"#, "0"),
        (r#"{"kind":"gzip"}"#, DEVICE),
        (r#"{"kind":"chunked","bytes":16}"#, "0"),
        (r#"{"kind":"drip","bytes":64,"every_ms":1}"#, "0"),
        (r#"{"kind":"pad","bytes":100}"#, "0"),
        (r#"{"kind":"pad","bytes":2097152}"#, DEVICE),
        (r#"{"kind":"delay","ms":2000}"#, DEVICE),
        (r#"{"kind":"delay_body","ms":2000}"#, DEVICE),
        (r#"{"kind":"close_before_reading"}"#, DEVICE),
        (r#"{"kind":"close_after_reading"}"#, DEVICE),
        (r#"{"kind":"reset_request","after_bytes":10}"#, DEVICE),
        (r#"{"kind":"reset_reply","after_bytes":100}"#, DEVICE),
        (r#"{"kind":"truncate_body","keep_bytes":10}"#, DEVICE),
        (r#"{"kind":"content_length","value":5}"#, DEVICE),
        (r#"{"kind":"content_length","value":100000}"#, DEVICE),
        (r#"{"kind":"bad_gateway"}"#, DEVICE),
        (r#"{"kind":"status","status":302,"headers":{"Location":"/"}}"#, DEVICE),
        (r#"{"kind":"status","status":503}"#, DEVICE),
        (r#"{"kind":"garbage"}"#, DEVICE),
        (r#"{"kind":"no_response"}"#, DEVICE),
        (r#"{"kind":"replace_fields","fields":{"RequestId":null}}"#, "0"),
        (r#"{"kind":"expire_token"}"#, REJECTED),
        (r#"{"kind":"throttle","per_second":0}"#, DEVICE),
    ] {
        faults.push((fault.to_owned(), number));
    }
    for (code, number) in [
        ("InternalError", DEVICE),
        ("FailedOperation", DEVICE),
        ("RequestLimitExceeded", DEVICE),
        ("UnauthorizedOperation", REJECTED),
        ("AuthFailure.SecretIdNotFound", REJECTED),
        ("AuthFailure.SignatureFailure", REJECTED),
        ("ResourceUnavailable.CmkDisabled", NOT_PERMITTED),
        ("ResourceUnavailable.CmkArchived", NOT_PERMITTED),
        ("ResourceUnavailable.CmkStateNotSupport", NOT_PERMITTED),
        ("ResourceUnavailable.KeyPendingDelete", NOT_PERMITTED),
        ("InvalidParameterValue.InvalidKeyUsage", NOT_PERMITTED),
        ("ResourceUnavailable.CmkNotFound", "0x60"),
        ("InvalidParameterValue.InvalidKeyId", "0x60"),
        ("InvalidParameter", "0x5"),
    ] {
        faults.push((format!(r#"{{"kind":"error","code":"{code}"}}"#), number));
    }
    faults
}

/// The kinds of faults that a text names.
fn kinds_of_faults(text: &str) -> BTreeSet<&str> {
    let values = text.split("\"kind\":").skip(1).filter_map(|rest| rest.trim_start().strip_prefix('"'));
    values.filter_map(|value| value.split('"').next()).collect()
}

/// Failures of the network and of the service, with the return value of each: every fault that the emulator has, with signatures and
/// decryptions. No operation remains active. The keys are in files, so that nothing but these requests meets a fault.
#[test]
fn every_fault_has_its_return_value() {
    let mut tried = String::new();
    let (http, https) = (Emulator::over_http(&[EC, RSA, DECRYPT]), Emulator::over_https(&[EC, RSA, DECRYPT]));
    let program = |emulator: &Emulator| {
        let program = Program::new("steps.c");
        let mut text = "[token \"t\"]\nregion = ap-guangzhou\ntimeout_ms = 700\n".to_owned();
        for alias in ["ec", "rsa", "decrypt"] {
            // The emulators have different keys.
            let by_tool = output_of(
                Command::new(release("tckms"))
                    .args(["public-key", "--key", emulator.key_id(alias)])
                    .envs(emulator.environment()),
            );
            let file = program.folder.write(&format!("{alias}.pem"), &by_tool);
            text += &format!("[key \"{alias}\"]\nid = {}\npublic_key = {}\n", emulator.key_id(alias), path(&file));
        }
        program.with_file(emulator, &(text + "usage = decrypt\n"))
    };
    let (over_http, over_https) = (program(&http), program(&https));
    let mut expect = |emulator: &Emulator, action: &str, fault: &str, step: &str, number: &str| {
        let times = if fault.contains("throttle") || fault.contains("clock_shift") { "" } else { r#","times":50"# };
        emulator.set_faults(&format!(r#"[{{"action":"{action}","fault":{fault}{times}}}]"#));
        let program = if std::ptr::eq(emulator, &http) { &over_http } else { &over_https };
        let said = program.run(&["init", "find", step, step]);
        let expected = format!("{step} {number}\n").repeat(2);
        assert!(said.ends_with(&expected), "{fault}, {expected}: {said}{}", program.log());
        tried += fault;
    };
    for (fault, number) in faults_of_requests() {
        expect(&http, "SignByAsymmetricKey", &fault, "sign", number);
        // The data of the decryption is invalid.
        let number = if number == "0" { "0x40" } else { number };
        expect(&http, "AsymmetricRsaDecrypt", &fault, "decrypt", number);
    }
    for (fault, step, number) in [
        (r#"{"kind":"replace_fields","fields":{"Signature":"!"}}"#, "sign", DEVICE),
        (r#"{"kind":"replace_fields","fields":{"Signature":null}}"#, "sign", DEVICE),
        (r#"{"kind":"truncate_field","field":"Signature","keep":5}"#, "sign", DEVICE),
        (r#"{"kind":"signature","flaw":"raw"}"#, "sign", "0"),
        (r#"{"kind":"signature","flaw":"other_key"}"#, "sign", DEVICE),
        (r#"{"kind":"signature","flaw":"raw"}"#, "pss", "0"),
        (r#"{"kind":"signature","flaw":"other_key"}"#, "pss", DEVICE),
        (r#"{"kind":"signature","flaw":"pss_no_salt"}"#, "pss", DEVICE),
        (r#"{"kind":"signature","flaw":"pss_longest_salt"}"#, "pss", DEVICE),
    ] {
        expect(&http, "SignByAsymmetricKey", fault, step, number);
    }
    expect(&http, "*", r#"{"kind":"close_connection"}"#, "sign", DEVICE);
    expect(&http, "*", r#"{"kind":"clock_shift","seconds":-3600}"#, "sign", "0");
    expect(&https, "*", r#"{"kind":"pass"}"#, "sign", "0");
    expect(&https, "*", r#"{"kind":"cut_handshake"}"#, "sign", DEVICE);
    for flaw in ["expired", "wrong_host", "unknown_ca"] {
        expect(&https, "*", &format!(r#"{{"kind":"certificate","flaw":"{flaw}"}}"#), "sign", DEVICE);
    }

    // The first search.
    let emulator = Emulator::over_http(&[EC]);
    let searching = Program::new("steps.c").with_keys(&emulator, &["ec"]);
    for (fault, said) in [
        (r#"{"kind":"error","code":"InternalError"}"#, "init 0\nfind 0x30\n"),
        (r#"{"kind":"public_key_pem","flaw":"double_base64"}"#, "init 0\nfind 0\nprivate ec\npublic ec\n"),
        (r#"{"kind":"public_key_pem","flaw":"escaped_line_ends"}"#, "init 0\nfind 0\nprivate ec\npublic ec\n"),
    ] {
        emulator.set_faults(&format!(r#"[{{"action":"GetPublicKey","fault":{fault},"times":50}}]"#));
        assert_eq!(searching.run(&["init", "find"]), said, "{fault}");
        tried += fault;
    }
    let document = fs::read_to_string(root().join("emulator/README.md")).unwrap();
    let known = kinds_of_faults(&document);
    assert!(known.len() > 20 && kinds_of_faults(&tried) == known, "{known:?}");
}

#[test]
fn the_log_contains_no_secret_and_no_digest() {
    let emulator = Emulator::over_http(&[EC]);
    let program = Program::new("steps.c").with_keys(&emulator, &["ec"]).variable("TCKMS_PKCS11_LOG_LEVEL", "debug");
    emulator.set_faults(r#"[{"action":"SignByAsymmetricKey","fault":{"kind":"error","code":"InternalError"}}]"#);
    program.run(&["init", "find", "sign"]);
    let log = program.log();
    assert!(log.contains("SignByAsymmetricKey"), "{log}");
    let secret = emulator.environment().into_iter().find(|(name, _)| name == "TENCENTCLOUD_SECRET_KEY").unwrap().1;
    assert!(!log.contains(&secret) && !log.contains("AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="), "{log}");
}

/// The function table, the exported symbols and the list in docs/pkcs11.md are the same.
#[test]
fn exports_table_and_document_agree() {
    let listed: BTreeSet<&str> = tckms_pkcs11::ffi::FUNCTIONS.iter().copied().collect();
    let symbols = output_of(tool("nm").args(["--dynamic", "--defined-only"]).arg(module()));
    let exported: BTreeSet<&str> = symbols.lines().filter_map(|line| line.split_whitespace().nth(2)).collect();
    assert_eq!(exported, listed);
    let document = fs::read_to_string(root().join("docs/pkcs11.md")).unwrap();
    let table = document.split("## Functions").nth(1).unwrap().split("\n## ").next().unwrap();
    let words = table.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| word.starts_with("C_"));
    assert_eq!(words.collect::<BTreeSet<_>>(), listed);
}

#[test]
fn the_module_needs_what_the_library_needs() {
    let needed = output_of(tool("readelf").args(["--wide", "--dynamic"]).arg(module()));
    let libraries: BTreeSet<&str> = needed
        .lines()
        .filter(|line| line.contains("(NEEDED)"))
        .filter_map(|line| line.split(['[', ']']).nth(1))
        .collect();
    for library in &libraries {
        assert!(
            library.starts_with("libc.so") || library.starts_with("libgcc_s") || library.starts_with("ld-linux"),
            "{library}"
        );
    }
    assert!(needed.contains("NODELETE") && needed.contains("SYMBOLIC"), "{needed}");
}
