//! `make install`: the files that it installs, that the tree can be moved, and that programs can be built with it in every usual way.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Emulator, Installation, PREFIX, Scratch, dist, make, output_of, root, soname, tool};

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Every warning is an error.
const STRICT: &str = "-std=c99 -O1 -Wall -Wextra -pedantic -Werror";

/// The C compilers of Debian.
const COMPILERS: [&str; 2] = ["gcc", "clang"];

/// The ways to link without a build system: a name, and the options after the compiler and the source.
const PKG_CONFIG: [(&str, &str); 3] = [
    ("shared", "$(pkg-config --cflags --libs tckms)"),
    // Only libtckms from its archive, all other libraries shared.
    (
        "archive",
        "$(pkg-config --cflags tckms) -Wl,-Bstatic $(pkg-config --libs tckms) -Wl,-Bdynamic $(pkg-config --static --libs-only-l tckms | sed s/-ltckms//)",
    ),
    ("static", "-static $(pkg-config --static --cflags --libs tckms)"),
];

/// The examples that end by themselves, with their arguments after the key id.
const EXAMPLES: [(&str, &[&str]); 5] =
    [("credentials", &["env"]), ("data_key", &[]), ("error_handling", &[]), ("observe", &[]), ("quickstart", &[])];

/// Maximum sizes in bytes: of the archive without its symbols, and of the installed shared library and tool tckms.
const ARCHIVE_MAX: u64 = 15_000_000;
const SHARED_MAX: u64 = 6_000_000;
const TOOL_MAX: u64 = 7_000_000;

/// C sources in a folder, without their extension.
fn sources(folder: &str) -> Vec<(String, PathBuf)> {
    let files = fs::read_dir(root().join(folder)).unwrap().map(|entry| entry.unwrap().path());
    let sources = files.filter(|file| file.extension().is_some_and(|extension| extension == "c"));
    sources.map(|file| (file.file_stem().unwrap().to_str().unwrap().to_owned(), file)).collect()
}

/// The examples, each with a shell pattern for its sources.
fn examples() -> Vec<(String, PathBuf)> {
    // The stores need other libraries; tests/seal/stores.rs builds them.
    let alone = |(name, _): &(String, PathBuf)| {
        !["branch_store_", "libevent_", "libuv_"].iter().any(|library| name.starts_with(library))
    };
    let mut examples: Vec<_> = sources("examples-c").into_iter().filter(alone).collect();
    examples.push(("tckms-seal".to_owned(), root().join("examples-c/tckms-seal/*.c")));
    examples
}

/// The programs of tests/c that need nothing but the installed library: two call functions that only test builds have.
fn test_programs() -> Vec<(String, PathBuf)> {
    sources("tests/c").into_iter().filter(|(name, _)| !name.ends_with("panic")).collect()
}

/// Every file and link below a folder; a link with its target.
fn tree(folder: &Path) -> BTreeSet<String> {
    let found =
        output_of(Command::new("find").args([".", "!", "-type", "d", "-printf", "%P %l\n"]).current_dir(folder));
    found.lines().map(|line| line.trim_end().to_owned()).collect()
}

/// Compiles with a shell, as a reader of the README does. A warning is a failure.
fn compile(installation: &Installation, command: &str) {
    let output = installation.shell(command).env("LC_ALL", "C").output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr);
    // glibc prints this warning for every program that is linked with -static and resolves names or loads libraries.
    let expected = ["statically linked applications requires at runtime", ": in function `"];
    let warnings: Vec<_> = text.lines().filter(|line| !expected.iter().any(|known| line.contains(known))).collect();
    assert!(output.status.success() && warnings.is_empty(), "{command}\n{text}");
}

/// Runs an example against the emulator. Daemons have other tests; here they only have to start and print their usage.
fn run_example(installation: &Installation, program: &Path, emulator: &Emulator) {
    let name = program.file_name().unwrap();
    let mut command = Command::new(program);
    command.env_clear().env("LD_LIBRARY_PATH", installation.libraries()).envs(emulator.environment());
    if let Some((_, arguments)) = EXAMPLES.iter().find(|(example, _)| *example == name) {
        output_of(command.arg(emulator.key_id("demo")).args(*arguments));
    } else {
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(
            said.starts_with("usage: ") || said.contains("--help lists the options"),
            "{}: {output:?}",
            program.display()
        );
    }
}

/// Whether a program needs libtckms.so at run time.
fn needs_shared_library(program: &Path) -> bool {
    output_of(tool("readelf").args(["--wide", "--dynamic"]).arg(program)).contains(&format!("[{}]", soname()))
}

#[test]
fn it_installs_these_files_and_uninstalls_no_other() {
    let stage = Scratch::new();
    let libraries = "usr/lib/x86_64-linux-gnu";
    let before = ["usr/include/other.h", "usr/lib/x86_64-linux-gnu/libother.so", "usr/share/doc/other/README"];
    for file in before {
        let file = stage.path().join(file);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, "").unwrap();
    }
    let there_before = tree(stage.path());

    let variables = ["PREFIX=/usr", &format!("LIBDIR=/{libraries}")];
    make_with(&variables, "install", stage.path());
    let mut expected = there_before.clone();
    for file in [
        "include/tckms.h",
        "include/tckms.hpp",
        "include/tckms_async.hpp",
        "bin/tckms",
        "bin/tckms-emulator",
        "bin/tckms-seal",
        "lib/systemd/system/tckms-credentials.service",
        "lib/systemd/system/tckms-credentials.socket",
        "share/bash-completion/completions/tckms",
        "share/zsh/site-functions/_tckms",
        "share/fish/vendor_completions.d/tckms.fish",
        "share/doc/tckms/LICENSE-MIT",
        "share/doc/tckms/CHANGELOG.md",
    ]
    .into_iter()
    .chain([
        "reference.html",
        "LICENSE-APACHE",
        "THIRD-PARTY-LICENSES.txt",
        "THIRD-PARTY-LICENSES-emulator.txt",
        "THIRD-PARTY-LICENSES-pkcs11.txt",
        "THIRD-PARTY-LICENSES-tools.txt",
        "tckms.cdx.json",
        "tckms-emulator.cdx.json",
        "tckms-pkcs11.cdx.json",
        "tckms-tools.cdx.json",
        "README.md",
    ]) {
        let folder = if file.contains('/') { "usr" } else { "usr/share/doc/tckms" };
        expected.insert(format!("{folder}/{file}"));
    }
    for file in ["libtckms.a", "pkcs11/libtckms-pkcs11.so", "pkgconfig/tckms.pc", "cmake/tckms/tckms-config.cmake"] {
        expected.insert(format!("{libraries}/{file}"));
    }
    expected.insert(format!("{libraries}/cmake/tckms/tckms-config-version.cmake"));
    expected.insert(format!("{libraries}/libtckms.so.{VERSION}"));
    for link in ["libtckms.so".to_owned(), soname()] {
        expected.insert(format!("{libraries}/{link} libtckms.so.{VERSION}"));
    }
    let reference = dist("libtckms.a").ancestors().nth(2).unwrap().join("reference");
    let written = fs::read_dir(root().join("man")).unwrap().map(|section| section.unwrap().path());
    let generated = ["man1", "man3"].map(|section| reference.join(section));
    let pages = written.chain(generated).map(|section| {
        let place = format!("usr/share/man/{}", section.file_name().unwrap().display());
        (section, place)
    });
    for (source, place) in [(root().join("go"), "usr/share/tckms/go".to_owned())].into_iter().chain(pages) {
        let files = fs::read_dir(source).unwrap().map(|file| file.unwrap().file_name());
        expected.extend(files.map(|file| format!("{place}/{}", file.display())));
    }
    for folder in ["docs", "examples-c"] {
        let files = output_of(tool("git").current_dir(root()).args(["ls-files", folder]));
        let files = files.lines().filter(|file| !file.ends_with(".gitignore"));
        expected.extend(files.map(|file| format!("usr/share/doc/tckms/{file}")));
    }
    assert_eq!(tree(stage.path()), expected, "left: installed, right: expected");

    make_with(&variables, "uninstall", stage.path());
    assert_eq!(tree(stage.path()), there_before);
    assert!(
        !stage.path().join("usr/share/doc/tckms").exists()
            && !stage.path().join(libraries).join("cmake/tckms").exists()
    );
}

/// Runs scripts/install.sh with these variables.
fn make_with(variables: &[&str], target: &str, destination: &Path) {
    let script = root().join("scripts/install.sh");
    let mut command = Command::new(script);
    command.arg(target).env("DESTDIR", destination);
    command.env("CARGO_TARGET_DIR", dist("libtckms.a").ancestors().nth(2).unwrap());
    command.envs(variables.iter().map(|variable| variable.split_once('=').unwrap()));
    output_of(&mut command);
}

#[test]
fn installed_files_are_world_readable() {
    let stage = Scratch::new();
    make("install", stage.path(), &[]);
    let closed = output_of(Command::new("find").arg(stage.path().join("opt")).args(["!", "-perm", "-o+r"]));
    assert_eq!(closed, "");
    let not_to_be_entered = ["-type", "d", "!", "-perm", "-o+x"];
    assert_eq!(output_of(Command::new("find").arg(stage.path().join("opt")).args(not_to_be_entered)), "");
}

#[test]
fn nothing_in_it_names_the_folder_that_it_was_built_or_installed_in() {
    let installation = Installation::moved();
    for file in ["lib/pkgconfig/tckms.pc", "lib/cmake/tckms/tckms-config.cmake"] {
        let text = fs::read_to_string(installation.prefix().join(file)).unwrap();
        for folder in [PREFIX, root().to_str().unwrap()] {
            assert!(!text.contains(folder), "{file} names {folder}:\n{text}");
        }
        assert!(!text.contains('@'), "{file} has a placeholder that was not replaced:\n{text}");
    }
}

#[test]
fn pkg_config_describes_the_installation() {
    let installation = Installation::moved();
    let ask = |what: &str| output_of(&mut installation.shell(&format!("pkg-config {what} tckms"))).trim().to_owned();
    assert_eq!(ask("--modversion"), VERSION);
    assert_eq!(ask("--libs-only-l"), "-ltckms");
    assert_eq!(ask("--static --libs-only-l"), "-ltckms -lpthread -ldl -lm");
    // A package for /usr has no options for the compilers' default folders.
    let stage = Scratch::new();
    make_with(&["PREFIX=/usr", "LIBDIR=/usr/lib/x86_64-linux-gnu"], "install", stage.path());
    let folder = stage.path().join("usr/lib/x86_64-linux-gnu/pkgconfig");
    let mut command = tool("pkg-config");
    command.args(["--cflags", "--libs", "tckms"]).env("PKG_CONFIG_LIBDIR", folder).env_remove("PKG_CONFIG_PATH");
    assert_eq!(output_of(&mut command).trim(), "-ltckms");
}

/// Runs scripts/install.sh with a variable set. Returns whether it succeeded, and its output.
fn install_with(stage: &Scratch, variable: &str, value: &str) -> (bool, String) {
    let target = dist("libtckms.a").ancestors().nth(2).unwrap().to_owned();
    let mut install = Command::new(root().join("scripts/install.sh"));
    install.arg("install").env("CARGO_TARGET_DIR", target).env("DESTDIR", stage.path()).env("PREFIX", PREFIX);
    let output = install.env(variable, value).output().unwrap();
    (
        output.status.success(),
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr),
    )
}

#[test]
fn no_character_of_a_path_is_a_command() {
    let mark = Scratch::new();
    let pwned = mark.path().join("pwned");
    let touch = format!("touch {}", pwned.display());
    for variable in ["PREFIX", "LIBDIR", "INCLUDEDIR", "BINDIR", "MANDIR", "DOCDIR", "GODIR"] {
        // Commands of sed, of the shell, and of make.
        for value in [
            format!("/opt/x|e;{touch};#"),
            format!("/opt/x|e\n{touch}\n"),
            format!("/opt/$({touch})"),
            format!("/opt/`{touch}`"),
            format!("/opt/x\"; {touch}; \""),
            format!("/opt/x'; {touch}; '"),
            "/opt/x\\".to_owned(),
        ] {
            let stage = Scratch::new();
            let (succeeded, said) = install_with(&stage, variable, &value);
            assert!(!succeeded && said.contains(&format!("install: {variable} has a character")), "{value}: {said}");
            assert_eq!(tree(stage.path()), BTreeSet::new(), "{variable}={value}");
            assert!(!pwned.exists(), "{variable}={value} ran a command");
        }
        // Characters with a meaning for sed and the shell, which are allowed here.
        let stage = Scratch::new();
        let (succeeded, said) = install_with(&stage, variable, "/opt/a b&c|d*e@f(g)/h");
        assert!(succeeded && stage.path().join("opt/a b&c|d*e@f(g)/h").exists(), "{variable}: {said}");
    }
    for value in ["lib", "./lib", ""] {
        let (succeeded, said) = install_with(&Scratch::new(), "LIBDIR", value);
        assert!(succeeded == value.is_empty(), "{value:?}: {said}");
    }
}

#[test]
fn a_prefix_may_have_a_blank_and_an_ampersand() {
    let prefix = Scratch::new();
    let place = prefix.path().join("some where & else");
    let (succeeded, said) = install_with(&Scratch::new(), "PREFIX", place.to_str().unwrap());
    assert!(succeeded, "{said}");
    let target = dist("libtckms.a").ancestors().nth(2).unwrap().to_owned();
    let mut install = Command::new(root().join("scripts/install.sh"));
    output_of(install.arg("install").env("CARGO_TARGET_DIR", target).env("PREFIX", &place).env_remove("DESTDIR"));
    // pkg-config escapes its output, so the shell has to evaluate it again.
    let program = prefix.path().join("program");
    let source = root().join("examples-c/quickstart.c");
    let script =
        format!("eval cc {STRICT} {} $(pkg-config --cflags --libs tckms) -o {}", source.display(), program.display());
    let mut shell = Command::new("sh");
    shell.args(["-e", "-u", "-c", &script]).env("PKG_CONFIG_LIBDIR", place.join("lib/pkgconfig"));
    output_of(shell.env_remove("PKG_CONFIG_PATH"));
    assert!(needs_shared_library(&program));
    let build = Scratch::new();
    let mut configure = tool("cmake");
    configure.arg("-S").arg(root().join("examples-c")).arg("-B").arg(build.path());
    output_of(configure.arg(format!("-DCMAKE_PREFIX_PATH={}", place.display())));
    output_of(tool("cmake").arg("--build").arg(build.path()));
}

#[test]
fn examples_are_built_with_pkg_config_and_run() {
    let installation = Installation::moved();
    let emulator = Emulator::over_https(&["demo"]);
    let folder = Scratch::new();
    for compiler in COMPILERS {
        tool(compiler);
        for (way, options) in PKG_CONFIG {
            for (name, source) in examples() {
                let program = folder.path().join(&name);
                let command = format!("{compiler} {STRICT} {} {options} -o {}", source.display(), program.display());
                compile(&installation, &command);
                assert_eq!(needs_shared_library(&program), way == "shared", "{command}");
                run_example(&installation, &program, &emulator);
            }
        }
    }
}

/// As a user runs it: with the stripped library, and without additional suppressions.
#[test]
fn valgrind_reports_nothing_for_the_installed_quickstart() {
    let installation = Installation::moved();
    let folder = Scratch::new();
    let program = folder.path().join("quickstart");
    let source = root().join("examples-c/quickstart.c");
    for (way, options) in [PKG_CONFIG[0], PKG_CONFIG[1]] {
        compile(&installation, &format!("gcc {STRICT} {} {options} -o {}", source.display(), program.display()));
        for emulator in [Emulator::over_http(&["demo"]), Emulator::over_https(&["demo"])] {
            let mut valgrind = tool("valgrind");
            valgrind.args(["--leak-check=full", "--error-exitcode=9"]).arg(&program).arg(emulator.key_id("demo"));
            valgrind.env_clear().env("PATH", std::env::var_os("PATH").unwrap());
            let output =
                valgrind.env("LD_LIBRARY_PATH", installation.libraries()).envs(emulator.environment()).output();
            let output = output.unwrap();
            let said = String::from_utf8_lossy(&output.stderr);
            assert!(output.status.success() && said.contains("ERROR SUMMARY: 0 errors"), "{way}: {said}");
        }
    }
}

#[test]
fn test_programs_are_built_with_pkg_config() {
    let installation = Installation::moved();
    let folder = Scratch::new();
    let include = root().join("tests/c");
    for compiler in COMPILERS {
        for (_, options) in [PKG_CONFIG[0], PKG_CONFIG[2]] {
            for (name, source) in test_programs() {
                // It replaces malloc(), which a static C library defines too.
                if name == "memory_torture" && options.starts_with("-static") {
                    continue;
                }
                let program = folder.path().join(&name);
                let what = format!("-I{} {} -pthread -ldl -lm", include.display(), source.display());
                compile(&installation, &format!("{compiler} {STRICT} {what} {options} -o {}", program.display()));
            }
        }
    }
}

/// Configures and builds a project with CMake against the installation.
fn cmake(installation: &Installation, compiler: &str, project: &Path, build: &Path, options: &[&str]) {
    let mut configure = tool("cmake");
    configure.arg("-S").arg(project).arg("-B").arg(build).args(options);
    configure.arg(format!("-DCMAKE_C_COMPILER={compiler}")).arg("-DCMAKE_C_FLAGS=-Werror");
    configure.arg(format!("-DCMAKE_PREFIX_PATH={}", installation.prefix().display()));
    output_of(configure.args(["-Wno-dev", "-DCMAKE_FIND_USE_PACKAGE_REGISTRY=OFF"]));
    output_of(tool("cmake").arg("--build").arg(build));
}

#[test]
fn examples_are_built_with_cmake_and_run() {
    let installation = Installation::moved();
    let emulator = Emulator::over_http(&["demo"]);
    for compiler in COMPILERS {
        for (way, options) in [("shared", "-DTCKMS_STATIC=OFF"), ("static", "-DTCKMS_STATIC=ON")] {
            let build = Scratch::new();
            cmake(&installation, compiler, &root().join("examples-c"), build.path(), &[options]);
            for (name, _) in examples() {
                let program = build.path().join(name);
                assert_eq!(needs_shared_library(&program), way == "shared", "{}", program.display());
                run_example(&installation, &program, &emulator);
            }
        }
    }
}

#[test]
fn test_programs_are_built_with_cmake() {
    let installation = Installation::moved();
    let project = Scratch::new();
    let mut text = "cmake_minimum_required(VERSION 3.16)\nproject(tests C)\nset(CMAKE_C_STANDARD 99)\n".to_owned();
    text += &format!("find_package(tckms {VERSION} REQUIRED)\ninclude_directories({}/tests/c)\n", root().display());
    // Libraries that the programs themselves need.
    text += "find_package(Threads REQUIRED)\nlink_libraries(Threads::Threads ${CMAKE_DL_LIBS} m)\n";
    for (name, source) in test_programs() {
        for (suffix, library) in [("shared", "tckms::tckms"), ("static", "tckms::tckms_static")] {
            text += &format!("add_executable({name}_{suffix} {})\n", source.display());
            text += &format!("target_link_libraries({name}_{suffix} PRIVATE {library})\n");
        }
    }
    project.write("CMakeLists.txt", &text);
    for compiler in COMPILERS {
        cmake(&installation, compiler, project.path(), Scratch::new().path(), &[]);
    }
}

/// A host that does not use libtckms, and a plug-in that is built in each way of docs/installing.md.
#[test]
fn a_plug_in_can_be_loaded_and_closed_repeatedly() {
    let installation = Installation::moved();
    let emulator = Emulator::over_http(&["main"]);
    let folder = Scratch::new();
    let source = |name: &str| root().join("tests/install").join(name);
    fs::copy(source("plugin.c"), folder.path().join("plugin.c")).unwrap();
    let host = folder.path().join("host");
    let options = format!("{STRICT} {} -pthread -ldl -o {}", source("plugin_host.c").display(), host.display());
    compile(&installation, &format!("gcc {options}"));
    let rounds = |plugin: &Path| {
        let mut command = Command::new(&host);
        command.arg(plugin).arg("2000").env_clear().envs(emulator.environment());
        assert_eq!(output_of(command.env("LD_LIBRARY_PATH", installation.libraries())), "2000 rounds\n");
    };

    let document = fs::read_to_string(root().join("docs/installing.md")).unwrap();
    let commands: Vec<_> = document.lines().filter(|line| line.starts_with("    cc -shared")).collect();
    assert_eq!(commands.len(), 2);
    for command in commands {
        for compiler in COMPILERS {
            let command = command.replacen("    cc", &format!("cd {}; {compiler} -Werror", folder.path().display()), 1);
            compile(&installation, &command);
            rounds(&folder.path().join("plugin.so"));
        }
    }

    let library = document.split("```cmake\n").find(|text| text.starts_with("add_library(plugin")).unwrap();
    let library = library.split("```").next().unwrap();
    let project = "cmake_minimum_required(VERSION 3.16)\nproject(p C)\nfind_package(tckms 0.1 REQUIRED)\n";
    // Also if the plug-in links the archive through a static library.
    let indirect = "add_library(part STATIC plugin.c)\nset_target_properties(part PROPERTIES POSITION_INDEPENDENT_CODE ON)\n\
                    target_link_libraries(part PRIVATE tckms::tckms_static)\nfile(WRITE empty.c \"extern int plugin_use(int);\nint (*keep)(int) = plugin_use;\n\")\n\
                    add_library(plugin MODULE empty.c)\ntarget_link_libraries(plugin PRIVATE part)\n";
    for library in [library.to_owned(), library.replace("tckms::tckms_static", "tckms::tckms"), indirect.to_owned()] {
        folder.write(
            "CMakeLists.txt",
            &format!("{project}{library}set_target_properties(plugin PROPERTIES PREFIX \"\")\n"),
        );
        let build = Scratch::new();
        cmake(&installation, "gcc", folder.path(), build.path(), &[]);
        rounds(&build.path().join("plugin.so"));
    }
    // The option has no effect on a program.
    let program = folder.path().join("program");
    compile(
        &installation,
        &format!(
            "gcc {} -static $(pkg-config --static --cflags --libs tckms) -o {}",
            root().join("examples-c/quickstart.c").display(),
            program.display()
        ),
    );
    assert!(!output_of(tool("readelf").args(["--wide", "--dynamic"]).arg(&program)).contains("NODELETE"));
}

#[test]
fn cmake_finds_only_a_version_that_serves() {
    let installation = Installation::moved();
    let finds = |version: &str| {
        let project = Scratch::new();
        let text =
            format!("cmake_minimum_required(VERSION 3.16)\nproject(p C)\nfind_package(tckms {version} REQUIRED)\n");
        project.write("CMakeLists.txt", &text);
        let mut configure = tool("cmake");
        configure.arg("-S").arg(project.path()).arg("-B").arg(project.path().join("build"));
        configure.arg(format!("-DCMAKE_PREFIX_PATH={}", installation.prefix().display()));
        configure.output().unwrap().status.success()
    };
    for version in ["", "0.1", VERSION, &format!("{VERSION} EXACT")] {
        assert!(finds(version), "find_package(tckms {version}) fails");
    }
    for version in ["0.9", "1.0", "0.0.1 EXACT"] {
        assert!(!finds(version), "find_package(tckms {version}) succeeds");
    }
}

#[test]
fn the_examples_makefile_builds_with_the_installation() {
    let installation = Installation::moved();
    let folder = Scratch::new();
    let copy = "cp -r *.c tckms-seal Makefile \"$0\"";
    let mut shell = Command::new("sh");
    output_of(shell.args(["-c", copy]).arg(folder.path()).current_dir(root().join("examples-c")));
    output_of(installation.shell("make -s").current_dir(folder.path()).env_remove("MAKEFLAGS"));
    let emulator = Emulator::over_http(&["demo"]);
    run_example(&installation, &folder.path().join("quickstart"), &emulator);
}

#[test]
fn the_archive_defines_the_api_and_nothing_else() {
    let archive = dist("libtckms.a");
    let symbols = output_of(tool("nm").args(["--extern-only", "--defined-only"]).arg(&archive));
    let defined: BTreeSet<_> =
        symbols.lines().filter_map(|line| line.split_once(" T ")).map(|(_, name)| name).collect();
    let others: Vec<_> = symbols.lines().filter(|line| line.contains(' ') && !line.contains(" T tckms_")).collect();
    assert_eq!(others, [""; 0]);
    let list = output_of(Command::new(root().join("scripts/symbols.sh")).arg("list"));
    assert_eq!(defined, list.lines().collect());
    let size = fs::metadata(&archive).unwrap().len();
    assert!(size <= ARCHIVE_MAX, "libtckms.a has {size} bytes, more than {ARCHIVE_MAX}");
}

#[test]
fn the_shared_library_is_small() {
    let size = fs::metadata(dist("libtckms.so")).unwrap().len();
    assert!(size <= SHARED_MAX, "libtckms.so has {size} bytes, more than {SHARED_MAX}");
    let symbols = Command::new("nm").arg(dist("libtckms.so")).output().unwrap();
    assert!(String::from_utf8_lossy(&symbols.stderr).contains("no symbols"), "libtckms.so is not stripped");
}

#[test]
fn the_tool_is_small() {
    let stage = Scratch::new();
    make_with(&["PREFIX=/usr"], "install", stage.path());
    let tool = stage.path().join("usr/bin/tckms");
    let size = fs::metadata(&tool).unwrap().len();
    assert!(size <= TOOL_MAX, "tckms has {size} bytes, more than {TOOL_MAX}");
    let symbols = Command::new("nm").arg(tool).output().unwrap();
    assert!(String::from_utf8_lossy(&symbols.stderr).contains("no symbols"), "tckms is not stripped");
}

/// One program with two archives from rustc, each with a copy of Rust's standard library, and with OpenSSL's libraries.
#[test]
fn the_archive_links_with_another_rust_archive_and_with_openssl() {
    let neighbour = Path::new(env!("CARGO_TARGET_TMPDIR")).join("neighbour");
    let mut cargo = Command::new(env!("CARGO"));
    cargo.current_dir(root().join("tests/install/neighbour")).args([
        "build",
        "--release",
        "--locked",
        "--offline",
        "--quiet",
    ]);
    output_of(cargo.arg("--target-dir").arg(&neighbour));

    let installation = Installation::moved();
    let emulator = Emulator::over_https(&["main"]);
    let folder = Scratch::new();
    let (tckms, other) = (installation.libraries().join("libtckms.a"), neighbour.join("release/libneighbour.a"));
    let source = root().join("tests/install/three_in_one.c");
    let orders =
        [[&tckms, &other], [&other, &tckms]].map(|order| order.map(|file| file.display().to_string()).join(" "));
    // With OpenSSL's shared libraries, and with its archives and their dependencies, which differ between systems. The archives need
    // threads and dlopen.
    let archives_of_openssl = output_of(tool("pkg-config").args(["--static", "--libs-only-l", "openssl"]));
    let archives_of_openssl = archives_of_openssl.replace("-ldl", "").replace("-lpthread", "");
    for openssl in ["-lssl -lcrypto", &format!("-Wl,-Bstatic {} -Wl,-Bdynamic", archives_of_openssl.trim())] {
        for (compiler, archives) in COMPILERS.into_iter().zip(&orders) {
            let program = folder.path().join("program");
            let include = format!("-I{} $(pkg-config --cflags tckms)", root().join("tests/c").display());
            let libraries = format!("{archives} {openssl} -lpthread -ldl -lm -o {}", program.display());
            compile(&installation, &format!("{compiler} {STRICT} {include} {} {libraries}", source.display()));
            let mut command = Command::new(&program);
            let printed = output_of(command.env_clear().envs(emulator.environment()));
            assert_eq!(printed, "ok 9 checks\n");
        }
    }
}

/// Each function has the version that packaging/tckms.map gives it.
#[test]
fn every_export_has_a_version() {
    let list = output_of(Command::new(root().join("scripts/symbols.sh")).arg("versions"));
    let expected: BTreeMap<_, _> = list.lines().filter_map(|line| line.split_once(' ')).collect();
    let symbols =
        output_of(tool("nm").args(["--dynamic", "--defined-only", "--with-symbol-versions"]).arg(dist("libtckms.so")));
    let functions = symbols.lines().filter_map(|line| line.split_once(" T ")).map(|(_, symbol)| symbol);
    let found: BTreeMap<_, _> = functions.map(|symbol| symbol.split_once("@@").unwrap_or((symbol, "none"))).collect();
    assert_eq!(found, expected, "left: libtckms.so, right: packaging/tckms.map");
}

/// "2.34" as numbers that can be compared.
fn glibc(version: &str) -> Vec<u32> {
    version.split('.').map(|number| number.parse().unwrap_or_else(|_| panic!("{version} is no version"))).collect()
}

/// The newest version of the C library's symbols that a file needs.
fn glibc_needed_by(file: &Path) -> Vec<u32> {
    let mut nm = tool("nm");
    let symbols = output_of(nm.args(["--dynamic", "--undefined-only", "--with-symbol-versions"]).arg(file));
    let versions = symbols.lines().filter_map(|line| line.rsplit_once("@GLIBC_"));
    versions.map(|(_, version)| glibc(version)).max().expect("it uses the C library")
}

/// The required version depends on the machine that links the library, so `make install` finds and prints it.
#[test]
fn it_prints_the_required_glibc() {
    let stage = Scratch::new();
    let said = make("install", stage.path(), &[]);
    let told = said.split("it needs glibc ").nth(1).unwrap_or_else(|| panic!("no version of glibc: {said}"));
    let told = glibc(told.split(' ').next().unwrap());
    let prefix = stage.path().join(&PREFIX[1..]);
    let files =
        ["lib/libtckms.so", "bin/tckms-seal", "bin/tckms-emulator"].map(|file| glibc_needed_by(&prefix.join(file)));
    assert_eq!(Some(told), files.into_iter().max());
}
