use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{CLANG, output_of, root, tool};

const TARGET: &str = "x86_64-unknown-linux-gnu";

/// Builds a crate of the workspace as a shared library, instrumented by the sanitizer together with Rust's standard library and all
/// dependencies. `folder` is the tests' folder for such files. Returns the folder of the library. With RUSTC_BOOTSTRAP=1 the stable
/// toolchain can do this.
pub fn instrumented_library(package: &str, folder: &Path) -> PathBuf {
    let target = folder.join("thread-sanitizer");
    let mut cargo = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo
        .args([
            "rustc",
            "--locked",
            "-p",
            package,
            "--lib",
            "--crate-type",
            "cdylib",
            "-Zbuild-std",
            "--target",
            TARGET,
        ])
        .current_dir(root());
    cargo.env("RUSTC_BOOTSTRAP", "1").env("CARGO_TARGET_DIR", &target);
    cargo.env("RUSTFLAGS", "-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer");
    output_of(&mut cargo);
    target.join(TARGET).join("debug")
}

/// Compiles a C program with the sanitizer and links it with `libraries`. The sanitizer's runtime is the one of Rust, because that of
/// a C compiler may be older than rustc's code needs.
pub fn instrumented_program(source: &str, includes: &[&str], libraries: &[String], program: &Path) {
    let object = program.with_extension("o");
    let mut compile = tool(CLANG.command);
    compile.args(["-std=gnu17", "-O1", "-g", "-fsanitize=thread", "-c", "-o"]).arg(&object);
    compile.args(includes.iter().map(|include| format!("-I{}", root().join(include).display())));
    output_of(compile.arg(root().join(source)));
    let mut link = tool(CLANG.command);
    link.arg(&object).arg("-rdynamic").arg("-Wl,--whole-archive").arg(runtime()).arg("-Wl,--no-whole-archive");
    link.args(libraries).args(["-lstdc++", "-lpthread", "-ldl", "-lm", "-lrt", "-o"]).arg(program);
    output_of(&mut link);
}

fn runtime() -> PathBuf {
    let sysroot = output_of(Command::new("rustc").args(["--print", "sysroot"]));
    let folder = Path::new(sysroot.trim()).join("lib/rustlib").join(TARGET).join("lib");
    let source = Path::new(sysroot.trim()).join("lib/rustlib/src/rust/library/Cargo.lock");
    assert!(source.is_file(), "Rust's library source is missing; run `rustup component add rust-src`");
    let files = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut runtimes = files.map(|file| file.unwrap().path()).filter(|path| {
        let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        name.starts_with("librustc") && name.ends_with("_rt.tsan.a")
    });
    runtimes.next().expect("the toolchain contains the sanitizer's runtime")
}
