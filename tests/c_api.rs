//! The C API from C programs: `tests/c` and `examples-c`, compiled with gcc and clang, and run again under valgrind.
//!
//! Each program must print only the number of its checks. Any other output would come from the library, which must not write to
//! stdout or stderr.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use tckms::sign::{RsaPadding, SignatureAlgorithm};
use tckms::{Client, Config, NewKey};

use support::{CLANG, Compiler, Emulator, Finished, GCC, Library, Proxy, Scratch, output_of, root, tool};

/// Defines a module of three tests from a function that builds a program with a compiler and runs it.
macro_rules! in_three_ways {
    ($($(#[$about:meta])* $name:ident($compiler:ident, $valgrind:ident) $body:block)*) => {$(
        $(#[$about])*
        mod $name {
            use super::*;

            fn run($compiler: Compiler, $valgrind: bool) -> Finished $body

            #[test]
            fn compiled_with_gcc() {
                run(GCC, false).expect_nothing_but_passed_checks();
            }

            #[test]
            fn compiled_with_clang() {
                run(CLANG, false).expect_nothing_but_passed_checks();
            }

            #[test]
            fn under_valgrind() {
                run(GCC, true).expect_nothing_but_passed_checks();
            }
        }
    )*};
}

/// The program replaces clock_gettime().
#[test]
fn branch_keys_while_the_clock_jumps() {
    let emulator = Emulator::over_http(&["main"]);
    let program = GCC.build("tests/c/branch_clock.c", &Library::Shared);
    program.with(emulator.environment()).run().expect_nothing_but_passed_checks();
}

in_three_ways! {
    core_calls_over_http(compiler, valgrind) {
        let emulator = Emulator::over_http(&["main", "other"]);
        let program = compiler.build("tests/c/core_calls.c", &Library::Shared);
        program.with(emulator.environment()).under_valgrind(valgrind).run()
    }

    core_calls_over_https(compiler, valgrind) {
        let emulator = Emulator::over_https(&["main", "other"]);
        let foreign = Emulator::over_https(&[]);
        let program = compiler.build("tests/c/core_calls.c", &Library::Shared);
        let run = program.with(emulator.environment()).variable("TEST_FOREIGN_CA_FILE", foreign.ca_file());
        run.under_valgrind(valgrind).run()
    }

    forged_messages(compiler, valgrind) {
        let emulator = Emulator::over_http(&["main"]);
        let program = compiler.build("tests/c/forgeries.c", &Library::Shared);
        let run = program.with(emulator.environment());
        let run = if valgrind { run.variable("TEST_SLACK_MS", "20000") } else { run };
        run.under_valgrind(valgrind).run()
    }

    branch_keys(compiler, valgrind) {
        let emulator = Emulator::over_http(&["main"]);
        let program = compiler.build("tests/c/branches.c", &Library::Shared);
        let run = program.with(emulator.environment());
        let run = if valgrind { run.variable("TEST_SANITIZED", "1") } else { run };
        run.under_valgrind(valgrind).run()
    }

    asymmetric_keys(compiler, valgrind) {
        let emulator = Emulator::over_http(&["main"]);
        let program = compiler.build("tests/c/asymmetric.c", &Library::Shared);
        program.with(emulator.environment()).under_valgrind(valgrind).run()
    }

    key_usages(compiler, valgrind) {
        let emulator = Emulator::over_http(&[]);
        let program = compiler.build("tests/c/key_usage.c", &Library::Shared);
        program.with(emulator.environment()).under_valgrind(valgrind).run()
    }

    key_replies(compiler, valgrind) {
        let emulator = Emulator::over_http(&["main", "other"]);
        let program = compiler.build("tests/c/key_replies.c", &Library::Shared);
        program.with(emulator.environment()).under_valgrind(valgrind).run()
    }

    signing_threads(compiler, valgrind) {
        let emulator = Emulator::over_https(&[]);
        let program = compiler.build("tests/c/signing_threads.c", &Library::Shared);
        program.with(emulator.environment()).under_valgrind(valgrind).run()
    }

    asymmetric_faults(compiler, valgrind) {
        let emulator = Emulator::over_http(&[]);
        let program = compiler.build("tests/c/asymmetric_faults.c", &Library::Shared);
        program.with(emulator.environment()).under_valgrind(valgrind).run()
    }

    key_management(compiler, valgrind) {
        let emulator = Emulator::over_http_with(&["--max-keys", "1000"], &["main"]);
        let program = compiler.build("tests/c/keys.c", &Library::Shared);
        program.with(emulator.environment()).under_valgrind(valgrind).run()
    }

    bad_input(compiler, valgrind) {
        let program = compiler.build("tests/c/bad_input.c", &Library::Shared);
        program.with(Vec::new()).under_valgrind(valgrind).run()
    }

    structures(compiler, valgrind) {
        compiler.build("tests/c/structures.c", &Library::Shared).with(Vec::new()).under_valgrind(valgrind).run()
    }

    errors(compiler, valgrind) {
        let emulator = Emulator::over_http(&["main", "disabled", "archived"]);
        let program = compiler.build("tests/c/errors.c", &Library::Shared);
        program.with(emulator.environment()).under_valgrind(valgrind).run()
    }

    first_program(compiler, valgrind) {
        let emulator = Emulator::over_http(&["main", "other"]);
        let program = compiler.build("tests/c/first_program.c", &Library::Shared);
        program.with(emulator.environment()).under_valgrind(valgrind).run()
    }

    traps(compiler, valgrind) {
        let emulator = Emulator::over_http(&["main"]);
        compiler.build("tests/c/traps.c", &Library::Shared).with(emulator.environment()).under_valgrind(valgrind).run()
    }

    sharing(compiler, valgrind) {
        let emulator = Emulator::over_http(&["main"]);
        let program = compiler.build("tests/c/sharing.c", &Library::Shared);
        let run = program.with(emulator.environment());
        // A child never frees memory that its parent's threads hold, and valgrind would report it.
        let run = if valgrind { run.variable("TEST_SANITIZED", "1") } else { run };
        run.under_valgrind(valgrind).run()
    }

    queues_over_http(compiler, valgrind) {
        let emulator = Emulator::over_http(&["main", "other"]);
        let program = compiler.build("tests/c/queue.c", &Library::Shared);
        let run = program.with(emulator.environment());
        // A child never frees memory that its parent's threads hold, and valgrind would report it.
        let run = if valgrind { run.variable("TEST_SANITIZED", "1") } else { run };
        run.under_valgrind(valgrind).run()
    }

    queues_over_https(compiler, valgrind) {
        let emulator = Emulator::over_https(&["main", "other"]);
        let program = compiler.build("tests/c/queue.c", &Library::Shared);
        let run = program.with(emulator.environment());
        let run = if valgrind { run.variable("TEST_SANITIZED", "1") } else { run };
        run.under_valgrind(valgrind).run()
    }

    queue_stages_over_http(compiler, valgrind) {
        queue_stages(&Emulator::over_http(&["main", "other"]), compiler, valgrind)
    }

    queue_stages_over_https(compiler, valgrind) {
        queue_stages(&Emulator::over_https(&["main", "other"]), compiler, valgrind)
    }

    lifetimes(compiler, valgrind) {
        let emulator = Emulator::over_http(&["main"]);
        let program = compiler.build("tests/c/lifetimes.c", &Library::Shared);
        program.with(emulator.environment()).under_valgrind(valgrind).run()
    }

    logging(compiler, valgrind) {
        let emulator = Emulator::over_http(&["main"]);
        let program = compiler.build("tests/c/logging.c", &Library::Shared);
        program.with(emulator.environment()).under_valgrind(valgrind).run()
    }

    proxy_to_http(compiler, valgrind) {
        through_a_proxy(&Emulator::over_http(&["main"]), &Proxy::start(), compiler, valgrind)
    }

    proxy_to_https(compiler, valgrind) {
        through_a_proxy(&Emulator::over_https(&["main"]), &Proxy::start(), compiler, valgrind)
    }

    /// TLS to the proxy, and inside it TLS to the service. The bundle has both certificates.
    proxy_under_tls(compiler, valgrind) {
        let folder = Scratch::new();
        let certificate = folder.path().join("proxy.pem");
        let proxy = Proxy::start_under_tls(&certificate);
        let emulator = Emulator::over_https(&["main"]);
        let both = [emulator.ca_file().as_ref(), certificate.as_path()].map(|file| std::fs::read_to_string(file).unwrap());
        let bundle = folder.write("both.pem", &both.concat());
        through_a_proxy_with(&emulator, &proxy, compiler, valgrind, bundle.to_str())
    }

    proxy_answers(compiler, valgrind) {
        let program = compiler.build("tests/c/proxy_answers.c", &Library::Shared);
        let run = program.with(Vec::new()).variable("TEST_SLACK_MS", if valgrind { "20000" } else { "3000" });
        run.under_valgrind(valgrind).run()
    }

    replies(compiler, valgrind) {
        let program = compiler.build("tests/c/replies.c", &Library::Shared);
        program.with(Vec::new()).under_valgrind(valgrind).run()
    }

    /// In an environment with misleading values: code that uses one of these variables fails or writes a file.
    environment(compiler, valgrind) {
        let emulator = Emulator::over_https(&["main"]);
        let foreign = Emulator::over_https(&[]);
        let folder = Scratch::new();
        let (key_log, profile) = (folder.path().join("keys.log"), folder.path().join("profile"));
        let program = compiler.build("tests/c/environment.c", &Library::Shared);
        let mut run = program.with(emulator.environment()).variable("TEST_FOREIGN_CA_FILE", foreign.ca_file());
        for (name, value) in [
            ("HTTPS_PROXY", "http://127.0.0.1:1"),
            ("HTTP_PROXY", "http://127.0.0.1:1"),
            ("ALL_PROXY", "http://127.0.0.1:1"),
            ("SSL_CERT_FILE", foreign.ca_file()),
            ("SSL_CERT_DIR", "/nonexistent"),
            ("SSLKEYLOGFILE", key_log.to_str().unwrap()),
            ("RUST_LOG", "trace"),
            ("RUST_BACKTRACE", "full"),
            ("TEST_PROFILE_FILE", profile.to_str().unwrap()),
        ] {
            run = run.variable(name, value);
        }
        run.under_valgrind(valgrind).run()
    }
}

/// Defines a module of tests from the groups of calls of tests/c/memory_torture.c. Not under valgrind, which replaces the
/// allocator.
macro_rules! with_an_allocator_that_fails {
    ($($name:ident($emulator:expr, $group:literal))*) => {
        mod an_allocator_that_fails_ends_in_statuses {
            use super::*;
            $(
                #[test]
                fn $name() {
                    torture(&$emulator, $group);
                }
            )*
        }
    };
}

with_an_allocator_that_fails! {
    for_constants_and_errors(Emulator::over_http(&["main", "other"]), "constants")
    for_configurations(Emulator::over_http(&["main", "other"]), "config")
    for_local_credentials(Emulator::over_http(&["main", "other"]), "credentials")
    for_oidc_credentials(Emulator::over_http(&["main", "other"]), "oidc")
    for_cvm_role_credentials(Emulator::over_http(&["main", "other"]), "cvm-role")
    for_assumed_roles(Emulator::over_http(&["main", "other"]), "assume-role")
    for_core_calls_over_http(Emulator::over_http(&["main", "other"]), "core")
    for_core_calls_over_https(Emulator::over_https(&["main", "other"]), "core")
    for_asymmetric_keys(Emulator::over_http(&["main", "other"]), "sign")
    for_key_management(Emulator::over_http(&["main", "other"]), "keys")
    for_sealing_over_https(Emulator::over_https(&["main", "other"]), "seal")
    for_queues_over_https(Emulator::over_https(&["main", "other"]), "queue")
    for_branch_keys(Emulator::over_http(&["main", "other"]), "branches")
    for_large_headers(Emulator::over_http(&["main", "other"]), "header")
}

fn torture(emulator: &Emulator, group: &str) {
    let folder = Scratch::new();
    let [private, public] = ["private.pem", "public.pem"].map(|name| folder.path().join(name));
    output_of(tool("openssl").args(["genrsa", "-out"]).arg(&private).arg("2048"));
    output_of(tool("openssl").args(["rsa", "-pubout", "-in"]).arg(&private).arg("-out").arg(&public));
    let program = Compiler { standard: "gnu11", ..GCC }.build("tests/c/memory_torture.c", &Library::Shared);
    let mut run = program.with(emulator.environment());
    for (name, path) in [("TEST_FOLDER", folder.path()), ("TEST_PRIVATE_PEM", &private), ("TEST_PUBLIC_PEM", &public)] {
        run = run.variable(name, path.to_str().unwrap());
    }
    let stride = std::env::var("TEST_TORTURE_STRIDE").unwrap_or_default();
    let arguments = [group, &stride];
    run = match &*stride {
        "" => run.arguments(&arguments[..1]),
        _ => run.arguments(&arguments).within(Duration::from_secs(1800)),
    };
    run.run().expect_nothing_but_passed_checks();
}

fn queue_stages(emulator: &Emulator, compiler: Compiler, valgrind: bool) -> Finished {
    let program = compiler.build("tests/c/queue_stages.c", &Library::Shared);
    let mut run = program.with(emulator.environment());
    if valgrind {
        // A child never frees memory that its parent's threads hold, and valgrind would report it.
        run = run.variable("TEST_SANITIZED", "1").variable("TEST_SLACK_MS", "20000");
    }
    run.under_valgrind(valgrind).run()
}

fn through_a_proxy(emulator: &Emulator, proxy: &Proxy, compiler: Compiler, valgrind: bool) -> Finished {
    through_a_proxy_with(emulator, proxy, compiler, valgrind, None)
}

fn through_a_proxy_with(
    emulator: &Emulator,
    proxy: &Proxy,
    compiler: Compiler,
    valgrind: bool,
    ca_file: Option<&str>,
) -> Finished {
    let program = compiler.build("tests/c/proxy.c", &Library::Shared);
    let mut run = program.with(emulator.environment()).variable("TEST_PROXY", &proxy.url_for(Proxy::USER));
    if let Some(ca_file) = ca_file {
        run = run.variable("TCKMS_CA_FILE", ca_file);
    }
    let finished =
        run.variable("TEST_PROXY_WITH_ANOTHER_PASSWORD", &proxy.url_for("user:assword")).under_valgrind(valgrind).run();
    let (_, service) = emulator.endpoint().split_once("://").expect("an endpoint is a URL");
    let expected = [service, service, "127.0.0.1:1"].map(|address| format!("CONNECT {address} HTTP/1.1"));
    assert_eq!(proxy.requests(), expected, "one tunnel for all calls, one that is refused, one to nowhere");
    finished
}

/// Runs an example as a user does: with credentials in the environment, and a key id as its argument.
fn run_example(name: &str, compiler: Compiler, emulator: &Emulator, arguments: &[&str]) -> Finished {
    let program = compiler.build(Path::new("examples-c").join(name), &Library::Shared);
    program.with(emulator.environment()).arguments(arguments).run()
}

/// Both compilers, or only gcc in `make check`, each over HTTP and HTTPS.
fn in_every_setting(test: impl Fn(Compiler, &Emulator)) {
    for emulator in [Emulator::over_http(&["demo"]), Emulator::over_https(&["demo"])] {
        test(GCC, &emulator);
        if std::env::var_os("TCKMS_CHECK").is_none() {
            test(Compiler { standard: "c99", ..CLANG }, &emulator);
        }
    }
}

#[test]
fn the_quickstart_encrypts_and_decrypts() {
    in_every_setting(|compiler, emulator| {
        let key_id = emulator.key_id("demo");
        for arguments in [&[key_id][..], &[key_id, "你好"], &[key_id, "hello", r#"{"purpose":"test"}"#]] {
            let finished = run_example("quickstart.c", compiler, emulator, arguments);
            let lines: Vec<_> = finished.expect_success().lines().collect();
            let [ciphertext, key, request, verdict] = lines[..] else { panic!("{finished}") };
            assert!(ciphertext.starts_with("ciphertext: ") && ciphertext.contains("-k-"), "{finished}");
            assert_eq!(key, format!("key id:     {key_id}"));
            assert_eq!(request.strip_prefix("request id: ").map(str::len), Some(36), "{finished}");
            assert_eq!(verdict, "The decrypted text equals the original.");
        }
    });
}

#[test]
fn the_quickstart_prints_the_error() {
    let emulator = Emulator::over_http(&["demo"]);
    let finished = run_example("quickstart.c", GCC, &emulator, &["00000000-0000-0000-0000-000000000000"]);
    assert_eq!(finished.status.code(), Some(1), "{finished}");
    assert_eq!(finished.stdout, "");
    assert!(finished.stderr.starts_with("cannot encrypt: TCKMS_ERR_CMK_NOT_FOUND: Encrypt: "), "{finished}");

    let finished = run_example("quickstart.c", GCC, &emulator, &[]);
    assert_eq!(finished.status.code(), Some(1), "{finished}");
    assert!(finished.stderr.starts_with("usage: "), "{finished}");
}

/// The lines of C in the README, inside a complete program.
#[test]
fn the_lines_in_the_readme_encrypt() {
    let readme = std::fs::read_to_string(root().join("README.md")).unwrap();
    let (_, lines) = readme.split_once("```c\n").expect("the README shows C");
    let (lines, _) = lines.split_once("```").expect("the listing ends");
    let source = Scratch::new();
    let program = format!(
        "#include <stdio.h>\n#include <tckms.h>\nint main(int argc, char **argv) {{\n\
         const char *key_id = argc > 1 ? argv[1] : \"\";\n{lines}return 0;\n}}\n"
    );
    let emulator = Emulator::over_http(&["main"]);
    let program = GCC.build(source.write("readme.c", &program), &Library::Shared);
    let finished = program.with(emulator.environment()).arguments(&[emulator.key_id("main")]).run();
    assert!(finished.expect_success().contains("-k-"), "{finished}");
}

/// A client in Rust, to prepare keys.
fn client_of(emulator: &Emulator) -> Client {
    let environment: BTreeMap<_, _> = emulator.environment().into_iter().collect();
    let mut config = Config::new();
    config.set_region(&environment["TENCENTCLOUD_REGION"]).unwrap();
    config.set_endpoint(emulator.endpoint()).unwrap();
    let [id, key] = ["TENCENTCLOUD_SECRET_ID", "TENCENTCLOUD_SECRET_KEY"].map(|name| environment[name].as_str());
    config.set_credentials(id, key, None).unwrap();
    Client::new(&config).unwrap()
}

/// OpenSSL's options to verify a signature over a file, by the usage of the key that made it.
const OPENSSL_VERIFIES: [(&str, &[&str]); 4] = [
    ("ASYMMETRIC_SIGN_VERIFY_ECC", &["-sha256"]),
    ("ASYMMETRIC_SIGN_VERIFY_ECDSA384", &["-sha384"]),
    (
        "ASYMMETRIC_SIGN_VERIFY_RSA_2048",
        &["-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32"],
    ),
    ("ASYMMETRIC_SIGN_VERIFY_SM2", &["-sm3", "-sigopt", "distid:1234567812345678"]),
];

#[test]
fn what_the_sign_example_signs_openssl_verifies() {
    let emulator = Emulator::over_http(&[]);
    let client = client_of(&emulator);
    let folder = Scratch::new();
    let file = folder.write("message", "what is signed");
    let [signature, public_key] = ["signature", "public.pem"].map(|name| folder.path().join(name));
    for (usage, options) in OPENSSL_VERIFIES {
        let alias = usage.replace('_', "-");
        let key = client.create_key(&NewKey { alias: &alias, usage: Some(usage), ..NewKey::default() }).unwrap();
        let arguments = [&file, &signature, &public_key].map(|path| path.to_str().unwrap());
        let finished = run_example("sign.c", GCC, &emulator, &[&[key.key_id.as_str()][..], &arguments[..]].concat());
        assert_eq!(finished.expect_success(), "");
        let mut openssl = tool("openssl");
        openssl
            .args(["dgst"])
            .args(options)
            .arg("-verify")
            .arg(&public_key)
            .arg("-signature")
            .arg(&signature)
            .arg(&file);
        assert_eq!(output_of(&mut openssl), "Verified OK\n", "{usage}");
    }
}

/// With each algorithm, a message at once and in chunks, and with an SM2 user id other than the default.
#[test]
fn what_is_signed_with_each_algorithm_openssl_verifies() {
    use SignatureAlgorithm::*;
    const DEFAULT_ID: &str = "distid:1234567812345678";
    let emulator = Emulator::over_http(&[]);
    let client = client_of(&emulator);
    let folder = Scratch::new();
    let message = "what is signed ".repeat(1000);
    let file = folder.write("message", &message);
    /// Usage, algorithm, SM2 user id, and OpenSSL's options.
    type Case<'a> = (&'a str, SignatureAlgorithm, Option<&'a [u8]>, &'a [&'a str]);
    let cases: [Case<'_>; 6] = [
        ("ECC", EcdsaP256Sha256, None, &["-sha256"]),
        ("ECDSA384", EcdsaP384Sha384, None, &["-sha384"]),
        ("RSA_2048", RsaPssSha256, None, OPENSSL_VERIFIES[2].1),
        ("RSA_2048", RsaPkcs1Sha256, None, &["-sha256"]),
        ("SM2", Sm2Sm3, None, &["-sm3", "-sigopt", DEFAULT_ID]),
        ("SM2", Sm2Sm3, Some(b"alice@example.com"), &["-sm3", "-sigopt", "distid:alice@example.com"]),
    ];
    for (number, (kind, algorithm, user_id, options)) in cases.into_iter().enumerate() {
        let (alias, usage) = (format!("signs-{number}"), format!("ASYMMETRIC_SIGN_VERIFY_{kind}"));
        let new = NewKey { alias: &alias, usage: Some(&usage), ..NewKey::default() };
        let key_id = client.create_key(&new).unwrap().key_id;
        let public_key = folder.write("public.pem", &client.public_key(&key_id).unwrap().pem());
        let mut signer = client.signer(&key_id, Some(algorithm), user_id).unwrap();
        message.as_bytes().chunks(999).for_each(|piece| signer.update(piece));
        let mut signatures = vec![signer.finish().unwrap().bytes];
        if user_id.is_none() {
            signatures.push(client.sign(&key_id, Some(algorithm), message.as_bytes()).unwrap().bytes);
        }
        for signature in signatures {
            let path = folder.path().join("signature");
            std::fs::write(&path, signature).unwrap();
            let mut openssl = tool("openssl");
            openssl.arg("dgst").args(options).arg("-verify").arg(&public_key).arg("-signature").arg(path).arg(&file);
            assert_eq!(output_of(&mut openssl), "Verified OK\n", "{algorithm:?}");
        }
    }
}

/// The CMK decrypts what OpenSSL encrypts under its public key.
#[test]
fn what_openssl_encrypts_a_key_decrypts() {
    let emulator = Emulator::over_http(&[]);
    let client = client_of(&emulator);
    let folder = Scratch::new();
    let plaintext = folder.write("plaintext", "a small secret");
    let encrypt = |usage, options: &[&str]| {
        let alias = format!("{usage}-{}", options.len()).replace('_', "-");
        let key = client.create_key(&NewKey { alias: &alias, usage: Some(usage), ..NewKey::default() }).unwrap();
        let pem = folder.write("public.pem", &client.public_key(&key.key_id).unwrap().pem());
        let ciphertext = folder.path().join("ciphertext");
        let mut openssl = tool("openssl");
        openssl.args(["pkeyutl", "-encrypt", "-pubin", "-inkey"]).arg(pem).args(options);
        output_of(openssl.arg("-in").arg(&plaintext).arg("-out").arg(&ciphertext));
        (key.key_id, std::fs::read(ciphertext).unwrap())
    };
    let oaep = |hash| format!("rsa_oaep_md:{hash}");
    for (padding, hash) in [(RsaPadding::OaepSha256, oaep("sha256")), (RsaPadding::OaepSha1, oaep("sha1"))] {
        let mgf1 = hash.replace("oaep", "mgf1");
        let mut options = vec!["-pkeyopt", "rsa_padding_mode:oaep", "-pkeyopt", &hash, "-pkeyopt", &mgf1];
        if padding == RsaPadding::OaepSha1 {
            options.truncate(2);
        }
        let (key_id, ciphertext) = encrypt("ASYMMETRIC_DECRYPT_RSA_2048", &options);
        assert_eq!(client.rsa_decrypt(&key_id, padding, &ciphertext).unwrap().plaintext.expose(), b"a small secret");
    }
    let (key_id, ciphertext) = encrypt("ASYMMETRIC_DECRYPT_RSA_2048", &[]);
    let decrypted = client.rsa_decrypt(&key_id, RsaPadding::Pkcs1V15, &ciphertext).unwrap();
    assert_eq!(decrypted.plaintext.expose(), b"a small secret");
    let (key_id, ciphertext) = encrypt("ASYMMETRIC_DECRYPT_SM2", &[]);
    assert_eq!(client.sm2_decrypt(&key_id, &ciphertext).unwrap().plaintext.expose(), b"a small secret");
}

#[test]
fn the_quickstart_fits_on_a_screen() {
    let text = std::fs::read_to_string(root().join("examples-c/quickstart.c")).unwrap();
    assert!(text.lines().count() <= 61, "quickstart.c has {} lines", text.lines().count());
}

#[test]
fn the_error_example_advises_on_each_kind_of_error() {
    in_every_setting(|compiler, emulator| {
        let finished = run_example("error_handling.c", compiler, emulator, &[emulator.key_id("demo")]);
        let reports: Vec<_> = finished.expect_success().split_terminator("\n\n").collect();
        let expected = [
            ("TCKMS_ERR_CMK_NOT_FOUND", "ResourceUnavailable.CmkNotFound", "attempts:     1", "Check the key"),
            ("TCKMS_ERR_PLAINTEXT_TOO_LARGE", "", "attempts:     0", "correct the call"),
            (
                "TCKMS_ERR_INVALID_CIPHERTEXT",
                "InvalidParameterValue.InvalidCiphertext",
                "attempts:     1",
                "the context",
            ),
            ("TCKMS_ERR_CONNECT_FAILED", "", "attempts:     2", "try again later"),
        ];
        assert_eq!(reports.len(), expected.len(), "{finished}");
        for (report, (status, code, attempts, advice)) in reports.iter().zip(expected) {
            assert!(report.contains(&format!("status:       {status}\n")), "{report}");
            assert!(report.contains(&format!("service code: {code}\n")), "{report}");
            assert!(report.contains(attempts) && report.contains(advice), "{report}");
        }
    });
}

#[test]
fn the_data_key_example_keeps_only_the_wrapped_key() {
    in_every_setting(|compiler, emulator| {
        let key_id = emulator.key_id("demo");
        let finished = run_example("data_key.c", compiler, emulator, &[key_id]);
        let lines: Vec<_> = finished.expect_success().lines().collect();
        let [wrapped, unwrapped] = lines[..] else { panic!("{finished}") };
        assert!(wrapped.starts_with("wrapped key: ") && wrapped.contains("-k-"), "{finished}");
        assert_eq!(unwrapped, format!("Unwrapped a key of 32 bytes under {key_id}."));
    });
}

/// A folder like that of an installation.
fn installed() -> Scratch {
    let folder = Scratch::new();
    for name in ["include", "lib", "examples"] {
        std::fs::create_dir(folder.path().join(name)).unwrap();
    }
    std::fs::copy(root().join("include/tckms.h"), folder.path().join("include/tckms.h")).unwrap();
    Library::Shared.install(&folder.path().join("lib"));
    let copy = "cp -r *.c tckms-seal Makefile \"$0\"";
    let mut shell = Command::new("sh");
    output_of(shell.args(["-c", copy]).arg(folder.path().join("examples")).current_dir(root().join("examples-c")));
    folder
}

fn make_in(folder: &Path) -> Command {
    let mut make = tool("make");
    make.arg("-C").arg(folder).env_remove("MAKEFLAGS").env_remove("TCKMS_DIR");
    make
}

fn expect_built(folder: &Path) {
    let programs = ["quickstart", "error_handling", "data_key", "observe", "credentials", "epoll_server"];
    for program in programs.into_iter().chain(["decrypting_proxy"]) {
        let finished = Command::new(folder.join(program)).output().unwrap();
        assert!(String::from_utf8_lossy(&finished.stderr).starts_with("usage: "), "{program}: {finished:?}");
    }
    let version = output_of(Command::new(folder.join("tckms-seal/tckms-seal")).arg("--version"));
    assert_eq!(version, format!("tckms-seal {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_examples_makefile_takes_the_library_from_a_folder() {
    let folder = installed();
    let elsewhere = Scratch::new();
    // A name with characters that have a meaning for a shell and a linker.
    let prefix = elsewhere.path().join("with a blank, and $(more)");
    std::fs::rename(folder.path(), &prefix).unwrap();
    std::fs::create_dir(folder.path()).unwrap();
    let examples = prefix.join("examples");
    // make reads `$$` as one dollar sign.
    let directory = format!("TCKMS_DIR={}", prefix.display()).replace('$', "$$");
    output_of(make_in(&examples).arg(directory).env("PKG_CONFIG_LIBDIR", "/nonexistent").env_remove("PKG_CONFIG_PATH"));
    expect_built(&examples);
}

/// The pkg-config description of a library that does not exist shows which one was used.
#[test]
fn the_examples_makefile_prefers_the_folder_that_it_is_given() {
    let folder = installed();
    let examples = folder.path().join("examples");
    let description = "Name: tckms\nDescription: test\nVersion: 9\nCflags: -I/nonexistent\nLibs: -lnonexistent\n";
    folder.write("tckms.pc", description);
    let directory = format!("TCKMS_DIR={}", folder.path().display());
    output_of(make_in(&examples).arg(directory).env("PKG_CONFIG_PATH", folder.path()));
    expect_built(&examples);
}

#[test]
fn the_examples_makefile_asks_pkg_config() {
    tool("pkg-config");
    let folder = installed();
    let examples = folder.path().join("examples");
    let prefix = folder.path().display();
    let description = format!(
        "Name: tckms\nDescription: test\nVersion: {}\nCflags: -I{prefix}/include\nLibs: -L{prefix}/lib -Wl,-rpath,{prefix}/lib -ltckms\n",
        env!("CARGO_PKG_VERSION"),
    );
    folder.write("tckms.pc", &description);
    output_of(make_in(&examples).env("PKG_CONFIG_PATH", folder.path()));
    expect_built(&examples);
    output_of(make_in(&examples).arg("event-loops").env("PKG_CONFIG_PATH", folder.path()));
    for program in ["libevent_client", "libuv_client"] {
        let finished = Command::new(examples.join(program)).output().unwrap();
        assert!(String::from_utf8_lossy(&finished.stderr).starts_with("usage: "), "{program}: {finished:?}");
    }
}

/// gcc's sanitizers detect writes beyond the program's buffers, double frees and leaks.
#[test]
fn programs_hold_under_the_sanitizers() {
    let emulator = Emulator::over_http(&["main", "other", "disabled", "archived"]);
    for source in ["core_calls.c", "bad_input.c", "errors.c", "logging.c", "replies.c"] {
        let options = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
        let program = GCC.build_with(&options, Path::new("tests/c").join(source), &Library::Shared);
        program.with(emulator.environment()).run().expect_nothing_but_passed_checks();
    }
}
