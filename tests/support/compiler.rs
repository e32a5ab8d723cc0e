use std::ffi::OsStr;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{Scratch, command_from, dist, root, soname, tool};

/// A C compiler and the standard that it checks.
#[derive(Clone, Copy)]
pub struct Compiler {
    pub command: &'static str,
    pub standard: &'static str,
}

pub const GCC: Compiler = Compiler { command: "gcc", standard: "c99" };
pub const CLANG: Compiler = Compiler { command: "clang", standard: "c17" };

/// Every warning is an error.
const STRICT: [&str; 4] = ["-Wall", "-Wextra", "-pedantic", "-Werror"];

/// The folders of headers: the library's, and those of the tests.
const INCLUDE: [&str; 2] = ["include", "tests/c"];

/// The library that a program is linked with.
pub enum Library {
    /// The shared library as it is installed.
    Shared,
    /// The archive as it is installed.
    Static,
    /// A shared library from another folder.
    SharedIn(PathBuf),
}

/// A compiled program and its folder.
pub struct Program {
    pub(crate) path: PathBuf,
    /// Kept as long as the program is used.
    pub(crate) _folder: Scratch,
}

impl Compiler {
    /// Compiles and links a source file of this repository, or fails with the output of the compiler.
    pub fn build(self, source: impl AsRef<Path>, library: &Library) -> Program {
        self.build_with(&[], source, library)
    }

    /// The same with additional options or sources.
    pub fn build_with(self, options: &[&str], source: impl AsRef<Path>, library: &Library) -> Program {
        let folder = Scratch::new();
        library.install(folder.path());
        let path = folder.path().join("program");
        let mut command = self.strict();
        // With -O1 gcc reports more warnings, and valgrind can still report the line.
        command.args(["-O1", "-g"]).args(options).arg(root().join(source)).arg("-o").arg(&path);
        command.arg("-L").arg(folder.path()).arg("-ltckms").args(library.needs());
        // Some programs load libraries; before glibc 2.34 this needs libdl.
        command.args(["-pthread", "-ldl"]).arg(rpath(folder.path()));
        run(&mut command);
        Program { path, _folder: folder }
    }

    /// Checks whether a source compiles. `language` is the argument of `-x`: "c" or "c++". Code is generated, because gcc detects
    /// unused results only then.
    pub fn check(self, language: &str, source: &Path) -> Result<(), String> {
        self.check_with(&[], language, source)
    }

    /// The same with additional options.
    pub fn check_with(self, options: &[&str], language: &str, source: &Path) -> Result<(), String> {
        let folder = Scratch::new();
        let object = folder.path().join("object");
        let output = self.strict().args(options).args(["-c", "-x", language, "-o"]).arg(object).arg(source).output();
        let output = output.unwrap_or_else(|error| panic!("{}: {error}", self.command));
        if output.status.success() { Ok(()) } else { Err(String::from_utf8_lossy(&output.stderr).into_owned()) }
    }

    /// The compiler's command. If the tests run for another system, it is that system's compiler.
    fn program(self) -> Command {
        command_from("TCKMS_TEST_COMPILER").unwrap_or_else(|| tool(self.command))
    }

    fn strict(self) -> Command {
        let mut command = self.program();
        command.arg(format!("-std={}", self.standard)).args(STRICT);
        for folder in INCLUDE {
            command.arg("-I").arg(root().join(folder));
        }
        command.env("LC_ALL", "C");
        command
    }
}

impl Library {
    /// Copies the library to a folder under the names that linkers and loaders search for.
    pub fn install(&self, folder: &Path) {
        let names = match self {
            Self::Static => vec![("libtckms.a".to_owned(), dist("libtckms.a"))],
            Self::Shared => shared_names(&dist("libtckms.so")),
            Self::SharedIn(other) => shared_names(&other.join("libtckms.so")),
        };
        for (name, file) in names {
            symlink(&file, folder.join(&name)).unwrap_or_else(|error| panic!("{name}: {error}"));
        }
    }

    /// The options of docs/building.md for linking.
    fn needs(&self) -> &'static [&'static str] {
        match self {
            Self::Static => &["-lpthread", "-ldl", "-lm"],
            Self::Shared | Self::SharedIn(_) => &[],
        }
    }
}

fn shared_names(file: &Path) -> Vec<(String, PathBuf)> {
    ["libtckms.so".to_owned(), soname()].map(|name| (name, file.to_owned())).to_vec()
}

fn rpath(folder: &Path) -> impl AsRef<OsStr> {
    format!("-Wl,-rpath,{}", folder.display())
}

fn run(command: &mut Command) {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?} failed:\n{}", String::from_utf8_lossy(&output.stderr));
    // A warning of the linker is not an error, but users should not see any.
    assert!(output.stderr.is_empty(), "{command:?} warned:\n{}", String::from_utf8_lossy(&output.stderr));
}
