//! The artefacts of `make dist` in target/release-artifacts. `make dist-check` runs these tests; `make test` does not, since the
//! artefacts need several builds.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Emulator, GCC, Library, Scratch, output_of, tool};

const NEEDED: [&str; 6] =
    ["libc.so.6", "libpthread.so.0", "libdl.so.2", "libm.so.6", "ld-linux-x86-64.so.2", "ld-linux-aarch64.so.1"];

/// Functions that the Rust runtime and AWS-LC use only if they exist, and hooks that a program may define.
const OPTIONAL: [&str; 15] = [
    "OPENSSL_memory_alloc",
    "OPENSSL_memory_free",
    "OPENSSL_memory_get_size",
    "OPENSSL_memory_realloc",
    "__cxa_thread_atexit_impl",
    "__gmon_start__",
    "gettid",
    "gnu_get_libc_version",
    "pidfd_getpid",
    "pidfd_spawnp",
    "posix_spawn_file_actions_addchdir",
    "posix_spawn_file_actions_addchdir_np",
    "sdallocx",
    "statx",
    "copy_file_range",
];

const SHARED_MAX: u64 = 6_000_000;

fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it is in the target folder").to_owned()
}

fn artifact(end: &str) -> PathBuf {
    let folder = target().join("release-artifacts");
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}; run `make dist`", folder.display()));
    let found = files.map(|file| file.unwrap().path()).find(|file| file.to_str().unwrap().ends_with(end));
    found.unwrap_or_else(|| panic!("there is no …{end} in {}", folder.display()))
}

/// Unpacks a tarball and returns the folder that it contains.
fn unpacked(end: &str) -> (Scratch, PathBuf) {
    let scratch = Scratch::new();
    output_of(Command::new("tar").arg("-xzf").arg(artifact(end)).arg("-C").arg(scratch.path()));
    let folder = fs::read_dir(scratch.path()).unwrap().next().unwrap().unwrap().path();
    (scratch, folder)
}

/// The dynamic ELF files below a folder.
fn elf_files(folder: &Path) -> Vec<PathBuf> {
    let files = output_of(Command::new("find").arg(folder).args(["-type", "f"]));
    let is_elf = |file: &PathBuf| fs::read(file).is_ok_and(|bytes| bytes.starts_with(b"\x7fELF"));
    files.lines().map(PathBuf::from).filter(is_elf).collect()
}

/// The emulator's Rust runtime uses getrandom if it exists; otherwise it makes the system call itself or reads /dev/urandom. In the
/// other products, every random number comes from the library's own code.
fn is_optional(symbol: &str, file: &Path) -> bool {
    OPTIONAL.contains(&symbol) || (symbol == "getrandom" && file.ends_with("bin/tckms-emulator"))
}

fn version(text: &str) -> Vec<u32> {
    text.split('.').map(|number| number.parse().unwrap()).collect()
}

fn needs_nothing_newer_than_the_floor(tarball: &str) {
    let (_scratch, folder) = unpacked(tarball);
    let files = elf_files(&folder);
    let names: BTreeSet<_> = files.iter().map(|file| file.file_name().unwrap().to_str().unwrap().to_owned()).collect();
    let library = format!("libtckms.so.{}", env!("CARGO_PKG_VERSION"));
    let expected = [&*library, "libtckms-pkcs11.so", "tckms", "tckms-emulator", "tckms-seal", "tckms-selftest"];
    assert_eq!(names, expected.map(str::to_owned).into());
    for file in files {
        let name = file.display();
        let mut nm = tool("nm");
        let symbols = output_of(nm.args(["--dynamic", "--undefined-only", "--with-symbol-versions"]).arg(&file));
        for line in symbols.lines() {
            let mut words = line.split_whitespace();
            let (kind, symbol) = (words.next().unwrap(), words.next().unwrap());
            match symbol.split_once("@GLIBC_") {
                Some((_, needed)) => assert!(version(needed) <= version("2.17"), "{name} needs {symbol}"),
                None => assert!(kind != "U" && is_optional(symbol, &file), "{name}: {kind} {symbol} has no version"),
            }
        }
        let dynamic = output_of(tool("readelf").args(["--wide", "--dynamic"]).arg(&file));
        for line in dynamic.lines().filter(|line| line.contains("(NEEDED)")) {
            let library = line.split(['[', ']']).nth(1).unwrap();
            assert!(NEEDED.contains(&library), "{name} needs {library}");
        }
        assert!(!dynamic.contains("TEXTREL") && !dynamic.contains("PATH"), "{name}: {dynamic}");
        let header = output_of(tool("readelf").args(["--file-header"]).arg(&file));
        assert!(header.contains("DYN ("), "{name} is not position-independent: {header}");
    }
}

#[test]
#[ignore = "needs `make dist`; `make dist-check` runs it"]
fn nothing_for_x86_64_is_newer_than_glibc_2_17() {
    needs_nothing_newer_than_the_floor("-linux-x86_64.tar.gz");
}

#[test]
#[ignore = "needs `make dist`; `make dist-check` runs it"]
fn nothing_for_arm64_is_newer_than_glibc_2_17() {
    needs_nothing_newer_than_the_floor("-linux-aarch64.tar.gz");
}

#[test]
#[ignore = "needs `make dist`; `make dist-check` runs it"]
fn the_sums_are_right_and_complete() {
    let folder = artifact("SHA256SUMS").parent().unwrap().to_owned();
    output_of(Command::new("sha256sum").args(["--check", "--strict", "SHA256SUMS"]).current_dir(&folder));
    let sums = fs::read_to_string(folder.join("SHA256SUMS")).unwrap();
    let listed: BTreeSet<_> = sums.lines().map(|line| line.split("  ").nth(1).unwrap().to_owned()).collect();
    let files = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
    assert_eq!(listed, files.filter(|name| name != "SHA256SUMS").collect());
}

/// As small as the one that `make build` makes, though the unwinder is in it.
#[test]
#[ignore = "needs `make dist`; `make dist-check` runs it"]
fn the_shared_library_for_x86_64_is_small() {
    let (_scratch, folder) = unpacked("-linux-x86_64.tar.gz");
    let size = fs::metadata(folder.join("lib/libtckms.so")).unwrap().len();
    assert!(size <= SHARED_MAX, "libtckms.so has {size} bytes, more than {SHARED_MAX}");
}

/// The commands that README.install names, in the folder where they are to be run.
#[test]
#[ignore = "needs `make dist`; `make dist-check` runs it"]
fn the_commands_of_the_readme_work() {
    let (_scratch, folder) = unpacked("-linux-x86_64.tar.gz");
    let readme = fs::read_to_string(folder.join("README.install")).unwrap();
    let commands: Vec<_> = readme.lines().filter_map(|line| line.strip_prefix("    ")).collect();
    assert!(commands.iter().any(|command| command.starts_with("cc ")), "{readme}");
    let emulator = Emulator::over_http(&["demo"]);
    for command in &commands {
        let path = folder.join(command.split_whitespace().next().unwrap());
        assert!(path.exists() || command.starts_with("export ") || command.starts_with("cc "), "{command}");
    }
    // What stands after the commands says what they are.
    let runnable = commands.iter().filter(|command| !command.starts_with("lib/"));
    let script: String = runnable.map(|command| format!("{}\n", command.split("   ").next().unwrap())).collect();
    let mut shell = Command::new("sh");
    shell.args(["-e", "-c", &format!("{script}./quickstart {}", emulator.key_id("demo"))]).current_dir(&folder);
    assert!(output_of(shell.envs(emulator.environment())).ends_with("equals the original.\n"));
}

/// Unpacks a tarball into a new folder and compiles a program with it. Its self-test succeeds.
#[test]
#[ignore = "needs `make dist`; `make dist-check` runs it"]
fn a_tarball_works_where_it_is_unpacked() {
    let (_scratch, folder) = unpacked("-linux-x86_64.tar.gz");
    let said = output_of(&mut Command::new(folder.join("tckms-selftest")));
    assert!(said.contains(" runs on this machine ") && said.lines().count() == 1, "{said}");
    let program = folder.join("quickstart");
    let script = format!(
        "cc {} $(pkg-config --define-prefix --cflags --libs tckms) -o {}",
        folder.join("share/doc/tckms/examples-c/quickstart.c").display(),
        program.display()
    );
    let mut shell = Command::new("sh");
    output_of(shell.args(["-e", "-c", &script]).env("PKG_CONFIG_LIBDIR", folder.join("lib/pkgconfig")));
    let mut configure = tool("cmake");
    configure.arg("-S").arg(folder.join("share/doc/tckms/examples-c")).arg("-B").arg(folder.join("cmake-build"));
    output_of(configure.arg(format!("-DCMAKE_PREFIX_PATH={}", folder.display())));
    output_of(tool("cmake").arg("--build").arg(folder.join("cmake-build")));
}

/// The tool and the emulator of a tarball work with each other.
#[test]
#[ignore = "needs `make dist`; `make dist-check` runs it"]
fn the_programs_of_a_tarball_work() {
    let (_scratch, folder) = unpacked("-linux-x86_64.tar.gz");
    let emulator = Emulator::over_http_by(Command::new(folder.join("bin/tckms-emulator")), &["demo"]);
    let tckms = |arguments: &[&str]| {
        let mut command = Command::new(folder.join("bin/tckms"));
        command.args(arguments).current_dir(&folder).env_clear().env("HOME", &folder);
        output_of(command.envs(emulator.environment()))
    };
    fs::write(folder.join("plain"), "a secret").unwrap();
    tckms(&["encrypt", "-k", emulator.key_id("demo"), "-o", "blob", "plain"]);
    assert_eq!(tckms(&["decrypt", "blob"]), "a secret");
}

/// A system that is too old, simulated by a library that needs a version of the C library that does not exist.
#[test]
#[ignore = "needs `make dist`; `make dist-check` runs it"]
fn the_self_test_names_what_is_missing() {
    let (_scratch, folder) = unpacked("-linux-x86_64.tar.gz");
    let library = fs::canonicalize(folder.join("lib/libtckms.so")).unwrap();
    let mut bytes = fs::read(&library).unwrap();
    let at = bytes.windows(11).position(|window| window == b"GLIBC_2.17\0").expect("it needs 2.17");
    bytes[at + 6] = b'9';
    fs::remove_file(&library).unwrap();
    fs::write(&library, bytes).unwrap();
    let output = Command::new(folder.join("tckms-selftest")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.code() == Some(1) && output.stderr.is_empty(), "{output:?}");
    assert!(said.contains("too old") && said.contains("GLIBC_9.17") && said.lines().count() == 1, "{said}");
}

/// A file that is not there is not called an old system.
#[test]
#[ignore = "needs `make dist`; `make dist-check` runs it"]
fn the_self_test_without_its_library_says_so() {
    let (_scratch, folder) = unpacked("-linux-x86_64.tar.gz");
    fs::remove_file(folder.join("lib/libtckms.so")).unwrap();
    let output = Command::new(folder.join("tckms-selftest")).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.code() == Some(1) && output.stderr.is_empty(), "{output:?}");
    assert!(
        said.starts_with("tckms-selftest: FAILED: the library cannot be loaded: ") && said.lines().count() == 1,
        "{said}"
    );
}

/// An older kernel: one that does not know a system call.
#[test]
#[ignore = "needs `make dist`; `make dist-check` runs it"]
fn the_self_test_names_a_system_call_that_is_missing() {
    let (_scratch, folder) = unpacked("-linux-x86_64.tar.gz");
    let filter = GCC.build("tests/c/with_filter.c", &Library::Shared);
    for call in ["eventfd2", "epoll_create1", "pipe2"] {
        let mut filtered = Command::new(filter.path());
        let output = filtered.args(["without", call]).arg(folder.join("tckms-selftest")).output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let expected = format!("tckms-selftest: FAILED: the kernel lacks a system call: {call}\n");
        assert!(output.status.code() == Some(1) && output.stderr.is_empty() && said == expected, "{output:?}");
    }
}

/// rpmlint reports no error, except missing signatures, which a release adds later, and one distribution's rules about names.
#[test]
#[ignore = "needs `make dist`; `make dist-check` runs it"]
fn rpmlint_finds_no_error() {
    const LEFT: [&str; 4] = [
        "no-signature",
        "static-library-without-debuginfo",
        "non-versioned-file-in-library-package",
        "lib-package-without-%mklibname",
    ];
    for architecture in ["x86_64", "aarch64"] {
        let mut rpmlint = tool("rpmlint");
        let spec = target().join(format!("{architecture}-unknown-linux-gnu/rpm/tckms.spec"));
        rpmlint.args(rpm_packages(architecture)).arg(spec);
        let output = rpmlint.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        let errors = said.lines().filter(|line| line.contains(": E: ") && !LEFT.iter().any(|left| line.contains(left)));
        assert_eq!(errors.collect::<Vec<_>>(), [""; 0], "{said}");
        assert!(said.contains("5 packages and 1 specfiles checked"), "{said}");
    }
}

const RPM_PACKAGES: [&str; 5] = ["libs", "devel", "pkcs11", "tools", "emulator"];

fn rpm_packages(architecture: &str) -> Vec<PathBuf> {
    let file = |name| artifact(&format!("tckms-{name}-{}-1.{architecture}.rpm", env!("CARGO_PKG_VERSION")));
    RPM_PACKAGES.map(file).to_vec()
}

/// rpm installs, queries and removes the packages in a separate root.
#[test]
#[ignore = "needs `make dist`; `make dist-check` runs it"]
fn rpm_packages_are_installed_used_and_removed() {
    let scratch = Scratch::new();
    let rpm = |arguments: &[&str]| {
        let mut command = tool("rpm");
        command.arg("--root").arg(scratch.path()).args(arguments);
        command
    };
    output_of(&mut rpm(&["--initdb"]));
    // Debian's rpm database lacks the packages that these depend on.
    output_of(rpm(&["--install", "--nodeps", "--noscripts"]).args(rpm_packages("x86_64")));
    let library = scratch.path().join("usr/lib64/libtckms.so.0");
    assert!(library.exists() && scratch.path().join("usr/share/doc/tckms/README.md").exists());
    for product in ["", "-tools", "-pkcs11", "-emulator"] {
        for list in [format!("THIRD-PARTY-LICENSES{product}.txt"), format!("tckms{product}.cdx.json")] {
            assert!(scratch.path().join("usr/share/doc/tckms").join(&list).exists(), "{list} is missing");
        }
    }
    let program = scratch.path().join("quickstart");
    let mut cc = tool("gcc");
    cc.arg(scratch.path().join("usr/share/doc/tckms/examples-c/quickstart.c"))
        .arg("-I")
        .arg(scratch.path().join("usr/include"));
    output_of(cc.arg("-L").arg(scratch.path().join("usr/lib64")).arg("-ltckms").arg("-o").arg(&program));
    for name in ["tckms", "tckms-seal", "tckms-emulator"] {
        let said = output_of(Command::new(scratch.path().join("usr/bin").join(name)).arg("--version"));
        assert!(said.contains(env!("CARGO_PKG_VERSION")), "{name}: {said}");
    }
    assert!(scratch.path().join("usr/lib64/pkcs11/libtckms-pkcs11.so").exists());
    let names = RPM_PACKAGES.map(|name| format!("tckms-{name}"));
    output_of(rpm(&["--erase", "--nodeps", "--noscripts"]).args(names));
    let left = output_of(Command::new("find").arg(scratch.path()).args(["-name", "*tckms*"]));
    assert_eq!(left, "");
}
