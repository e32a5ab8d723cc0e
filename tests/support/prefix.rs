use std::collections::hash_map::DefaultHasher;
use std::fs;
use std::hash::{Hash, Hasher};
use std::path::PathBuf;
use std::process::Command;

use super::{Library, release, root, target, tool};

/// A folder like that of an installation: include/, lib/, and a description that pkg-config finds.
pub struct Prefix(PathBuf);

impl Prefix {
    /// Creates it again under the same name, because Go's build cache depends on the folder's name.
    pub fn named(name: &str, library: &Library) -> Self {
        let path = target().join("tmp").join(name);
        let _ = fs::remove_dir_all(&path);
        for name in ["include", "lib/pkgconfig"] {
            fs::create_dir_all(path.join(name)).unwrap();
        }
        fs::copy(root().join("include/tckms.h"), path.join("include/tckms.h")).unwrap();
        library.install(&path.join("lib"));
        let prefix = path.display();
        let description = format!(
            "Name: tckms\nDescription: test\nVersion: {}\nCflags: -I{prefix}/include\nLibs: -L{prefix}/lib -ltckms\n\
             Libs.private: -lpthread -ldl -lm\n",
            env!("CARGO_PKG_VERSION"),
        );
        fs::write(path.join("lib/pkgconfig/tckms.pc"), description).unwrap();
        Self(path)
    }

    pub fn library_folder(&self) -> PathBuf {
        self.0.join("lib")
    }

    /// A command of Go in the package's folder that finds only this installation, and downloads nothing.
    pub fn go(&self, arguments: &[&str]) -> Command {
        tool("gcc");
        tool("pkg-config");
        let mut command = tool("go");
        command.args(arguments).current_dir(root().join("go"));
        command.env("CGO_ENABLED", "1").env("GOFLAGS", "").env("GOPROXY", "off").env("GOTOOLCHAIN", "local");
        // Go does not detect changes of a header outside of the package, but it detects changes of options.
        let mut header = DefaultHasher::new();
        fs::read(self.0.join("include/tckms.h")).unwrap().hash(&mut header);
        command.env("CGO_CFLAGS", format!("-O2 -g -DTCKMS_TESTED_HEADER={}", header.finish()));
        command.env("PKG_CONFIG_LIBDIR", self.library_folder().join("pkgconfig")).env_remove("PKG_CONFIG_PATH");
        command.env("TCKMS_EMULATOR", release("tckms-emulator"));
        command
    }
}
