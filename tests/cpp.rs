//! `tckms.hpp` and `tckms_async.hpp` with g++ and clang++, with and without exceptions, every warning an error.

use std::fs;

use support::{Compiler, Emulator, Finished, Header, Library, Scratch, output_of, root, tool};

use super::contract::{client_of, new_key};

const GXX_17: Compiler = Compiler { command: "g++", standard: "c++17" };
const GXX_20: Compiler = Compiler { command: "g++", standard: "c++20" };
const CLANGXX_17: Compiler = Compiler { command: "clang++", standard: "c++17" };
const GXX_23: Compiler = Compiler { command: "g++", standard: "c++2b" };
const CLANGXX_20: Compiler = Compiler { command: "clang++", standard: "c++20" };
const CLANGXX_23: Compiler = Compiler { command: "clang++", standard: "c++2b" };

/// Compiles tests/cpp/api.cpp together with another unit and runs it.
fn api(compiler: Compiler, options: &[&str], emulator: &Emulator, valgrind: bool) -> Finished {
    let second = root().join("tests/cpp/second_unit.cpp");
    let mut options = options.to_vec();
    options.push(second.to_str().expect("the path is UTF-8"));
    let program = compiler.build_with(&options, "tests/cpp/api.cpp", &Library::Shared);
    program.with(emulator.environment()).under_valgrind(valgrind).run()
}

#[test]
fn with_gxx() {
    let emulator = Emulator::over_http(&["main", "other"]);
    api(GXX_17, &[], &emulator, false).expect_nothing_but_passed_checks();
    api(GXX_20, &[], &emulator, false).expect_nothing_but_passed_checks();
}

#[test]
fn with_clangxx() {
    let emulator = Emulator::over_https(&["main", "other"]);
    api(CLANGXX_17, &[], &emulator, false).expect_nothing_but_passed_checks();
    api(CLANGXX_20, &[], &emulator, false).expect_nothing_but_passed_checks();
}

/// At once and in chunks, with each algorithm.
#[test]
fn openssl_verifies_what_is_signed() {
    let emulator = Emulator::over_http(&[]);
    let client = client_of(&emulator);
    let program = GXX_17.build("tests/cpp/sign.cpp", &Library::Shared);
    let (folder, message) = (Scratch::new(), "a message that is signed");
    let file = folder.write("message", message);
    let keys =
        ["ECC", "ECDSA384", "RSA_2048", "SM2"].map(|kind| new_key(&client, &format!("ASYMMETRIC_SIGN_VERIFY_{kind}")));
    let pss = &["-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32"];
    let cases: [(&String, &str, &[&str]); 5] = [
        (&keys[0], "1", &["-sha256"]),
        (&keys[1], "2", &["-sha384"]),
        (&keys[2], "3", pss),
        (&keys[2], "4", &["-sha256"]),
        (&keys[3], "5", &["-sm3", "-sigopt", "distid:1234567812345678"]),
    ];
    for (key, algorithm, options) in cases {
        let arguments = [key, algorithm, message, folder.path().to_str().expect("the path is UTF-8")];
        program.with(emulator.environment()).arguments(&arguments).run().expect_success();
        for signature in ["whole", "pieces"] {
            let mut openssl = tool("openssl");
            openssl.arg("dgst").args(options).arg("-verify").arg(folder.path().join("public.pem"));
            openssl.arg("-signature").arg(folder.path().join(signature)).arg(&file);
            assert_eq!(output_of(&mut openssl), "Verified OK\n", "{algorithm}, {signature}");
        }
    }
}

/// With each padding, and with SM2.
#[test]
fn a_key_decrypts_what_openssl_encrypts() {
    let emulator = Emulator::over_http(&[]);
    let client = client_of(&emulator);
    let program = GXX_17.build("tests/cpp/decrypt.cpp", &Library::Shared);
    let folder = Scratch::new();
    let plaintext = folder.write("plaintext", "a small secret");
    let [rsa, sm2] = ["RSA_2048", "SM2"].map(|kind| new_key(&client, &format!("ASYMMETRIC_DECRYPT_{kind}")));
    let oaep_sha1 = ["-pkeyopt", "rsa_padding_mode:oaep"];
    let sha256 = ["-pkeyopt", "rsa_oaep_md:sha256", "-pkeyopt", "rsa_mgf1_md:sha256"];
    let oaep_sha256 = [&oaep_sha1[..], &sha256].concat();
    let cases: [(&String, &str, &[&str]); 4] =
        [(&rsa, "1", &oaep_sha256), (&rsa, "2", &oaep_sha1), (&rsa, "3", &[]), (&sm2, "0", &[])];
    for (key, padding, options) in cases {
        let pem = folder.write("public.pem", &client.public_key(key).unwrap().pem());
        let ciphertext = folder.path().join("ciphertext");
        let mut openssl = tool("openssl");
        openssl.args(["pkeyutl", "-encrypt", "-pubin", "-inkey"]).arg(pem).args(options);
        output_of(openssl.arg("-in").arg(&plaintext).arg("-out").arg(&ciphertext));
        let arguments = [key, padding, ciphertext.to_str().expect("the path is UTF-8")];
        let finished = program.with(emulator.environment()).arguments(&arguments).run();
        assert_eq!(finished.expect_success(), "a small secret\n", "{padding}");
    }
}

#[test]
fn without_exceptions() {
    for emulator in [Emulator::over_http(&["main", "other"]), Emulator::over_https(&["main", "other"])] {
        for compiler in [GXX_20, CLANGXX_17] {
            api(compiler, &["-fno-exceptions"], &emulator, false).expect_nothing_but_passed_checks();
        }
    }
}

#[test]
fn under_valgrind() {
    let emulator = Emulator::over_https(&["main", "other"]);
    api(GXX_17, &[], &emulator, true).expect_nothing_but_passed_checks();
}

/// Compiles tests/cpp/async.cpp and runs it.
fn coroutines(compiler: Compiler, options: &[&str], emulator: &Emulator, valgrind: bool) {
    let program = compiler.build_with(options, "tests/cpp/async.cpp", &Library::Shared);
    let run = program.with(emulator.environment());
    // A child never frees memory that its parent's threads hold, and valgrind would report it.
    let run = if valgrind { run.variable("TEST_SANITIZED", "1") } else { run };
    run.under_valgrind(valgrind).run().expect_nothing_but_passed_checks();
}

#[test]
fn coroutines_await_calls() {
    coroutines(GXX_20, &[], &Emulator::over_http(&["main", "other"]), false);
    coroutines(CLANGXX_20, &[], &Emulator::over_https(&["main", "other"]), false);
}

#[test]
fn coroutines_await_calls_without_exceptions() {
    coroutines(GXX_20, &["-fno-exceptions"], &Emulator::over_http(&["main", "other"]), false);
    coroutines(CLANGXX_20, &["-fno-exceptions"], &Emulator::over_http(&["main", "other"]), false);
}

#[test]
fn coroutines_await_calls_under_valgrind() {
    coroutines(GXX_20, &[], &Emulator::over_http(&["main", "other"]), true);
}

/// An exception must not leave a callback. It cannot pass through the library: the process ends, even if the program would catch
/// it.
#[test]
fn an_exception_out_of_a_callback_ends_the_process() {
    use std::os::unix::process::ExitStatusExt;
    const SIGABRT: i32 = 6;
    for compiler in [GXX_17, CLANGXX_20] {
        let program = compiler.build("tests/cpp/throwing_callback.cpp", &Library::Shared);
        let finished = program.with(Vec::new()).run();
        assert_eq!(finished.status.signal(), Some(SIGABRT), "{finished}");
        assert!(finished.stdout.is_empty() && finished.stderr.contains("foreign exception"), "{finished}");
    }
}

/// A header is compiled with the warnings of its user, so it has to compile with more warnings than a program.
#[test]
fn the_headers_are_clean_in_all_settings() {
    let folder = Scratch::new();
    let cases = [
        ("tckms.hpp", &[GXX_17, GXX_20, CLANGXX_17, CLANGXX_20][..]),
        ("tckms_async.hpp", &[GXX_20, CLANGXX_20, GXX_23, CLANGXX_23]),
    ];
    for (header, compilers) in cases {
        let unit = folder.write("alone.cpp", &format!("#include <{header}>\n#include <{header}>\n"));
        for compiler in compilers {
            for options in [&[][..], &["-fno-exceptions", "-fno-rtti"]] {
                let options = [options, &["-Wshadow", "-Wconversion"]].concat();
                let verdict = compiler.check_with(&options, "c++", &unit);
                let which = format!("{header}, {} {} {options:?}", compiler.command, compiler.standard);
                assert!(verdict.is_ok(), "{which}:\n{}", verdict.unwrap_err());
            }
        }
    }
}

#[test]
fn an_ignored_result_is_a_warning() {
    let folder = Scratch::new();
    let careless = "#include <tckms.hpp>\nvoid careless() { tckms::config().set_region(\"ap-guangzhou\"); }\n";
    let unit = folder.write("careless.cpp", careless);
    for compiler in [GXX_17, CLANGXX_17] {
        let verdict = compiler.check("c++", &unit);
        assert!(verdict.as_ref().is_err_and(|text| text.contains("nodiscard")), "{}: {verdict:?}", compiler.command);
    }
}

#[test]
fn older_standards_stop_with_an_explanation() {
    let folder = Scratch::new();
    let unit = folder.write("old.cpp", "#include <tckms.hpp>\n");
    for command in ["g++", "clang++"] {
        for standard in ["c++98", "c++11", "c++14"] {
            let verdict = Compiler { command, standard }.check("c++", &unit);
            let complaint = verdict.expect_err("the header needs C++17");
            assert!(complaint.contains("tckms.hpp needs C++17 or later"), "{command} {standard}: {complaint}");
            // Only that message.
            assert_eq!(complaint.matches("error:").count(), 1, "{command} {standard}: {complaint}");
        }
    }
}

#[test]
fn coroutines_need_their_standard() {
    let folder = Scratch::new();
    let unit = folder.write("old.cpp", "#include <tckms_async.hpp>\n");
    for compiler in [GXX_17, CLANGXX_17] {
        let complaint = compiler.check("c++", &unit).expect_err("the header needs C++20");
        assert!(complaint.contains("tckms_async.hpp needs coroutines"), "{}: {complaint}", compiler.command);
        assert_eq!(complaint.matches("error:").count(), 1, "{}: {complaint}", compiler.command);
    }
}

/// Runs the programs of the chapter unchanged.
#[test]
fn the_programs_of_the_chapter_run() {
    let chapter = fs::read_to_string(root().join("docs/cpp.md")).unwrap();
    let listings = chapter.split("```cpp\n").skip(1).filter_map(|rest| rest.split("```").next());
    let programs: Vec<_> = listings.filter(|listing| listing.contains("int main(")).collect();
    let [blocking, coroutines] = programs[..] else { panic!("{programs:?}") };
    let cases = [(blocking, [GXX_17, CLANGXX_20]), (coroutines, [GXX_20, CLANGXX_20])];
    let folder = Scratch::new();
    let emulator = Emulator::over_http(&["demo"]);
    for (program, compilers) in cases {
        let source = folder.write("chapter.cpp", program);
        for compiler in compilers {
            let program = compiler.build(&source, &Library::Shared);
            let finished = program.with(emulator.environment()).arguments(&[emulator.key_id("demo")]).run();
            let lines: Vec<_> = finished.expect_success().lines().collect();
            let [ciphertext, plaintext] = lines[..] else { panic!("{finished}") };
            assert!(ciphertext.starts_with("ciphertext: ") && ciphertext.contains("-k-"), "{finished}");
            assert_eq!(plaintext, "plaintext:  a small secret");
        }
    }
}

/// The wrapper lacks no function of the C API.
#[test]
fn every_function_is_wrapped() {
    let wrapper = fs::read_to_string(root().join("include/tckms.hpp")).unwrap();
    let words: Vec<&str> = wrapper.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').collect();
    // The wrapper always takes errors (tckms_last_error_take), and the status and category of one are members of tckms::error.
    let without = ["tckms_last_error", "tckms_error_status", "tckms_error_category"];
    for function in Header::committed().functions() {
        let name = function.name.as_str();
        assert_eq!(words.contains(&name), !without.contains(&name), "{name} in tckms.hpp");
    }
}
