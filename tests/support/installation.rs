use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Once;

use super::{Scratch, output_of, release, root, tool};

/// The prefix of an installation. Tests move the installation to another folder.
pub const PREFIX: &str = "/opt/tckms";

/// A file of target/dist. It is built again if cargo's archive is newer. TCKMS_TEST_DIST names another folder, such as that of an
/// unpacked release.
pub fn dist(name: &str) -> PathBuf {
    if let Some(folder) = std::env::var_os("TCKMS_TEST_DIST") {
        return Path::new(&folder).join(name);
    }
    static MADE: Once = Once::new();
    let archive = release("libtckms.a");
    let target = archive.parent().and_then(Path::parent).expect("the archive is in target/release");
    MADE.call_once(|| {
        output_of(Command::new(root().join("scripts/dist.sh")).env("CARGO_TARGET_DIR", target));
    });
    target.join("dist").join(name)
}

/// An installation by `make install` that was moved to another folder afterwards.
pub struct Installation(Scratch);

impl Installation {
    pub fn moved() -> Self {
        let stage = Scratch::new();
        make("install", stage.path(), &[]);
        let destination = Scratch::new();
        fs::rename(stage.path().join(&PREFIX[1..]), destination.path().join("moved")).expect("the tree can be moved");
        Self(destination)
    }

    pub fn prefix(&self) -> PathBuf {
        self.0.path().join("moved")
    }

    pub fn libraries(&self) -> PathBuf {
        self.prefix().join("lib")
    }

    /// A shell in which pkg-config finds only this installation, and the loader finds its library.
    pub fn shell(&self, script: &str) -> Command {
        tool("pkg-config");
        let mut shell = Command::new("sh");
        shell.args(["-e", "-u", "-c", script]).env("PKG_CONFIG_LIBDIR", self.libraries().join("pkgconfig"));
        shell.env_remove("PKG_CONFIG_PATH").env("LD_LIBRARY_PATH", self.libraries());
        shell
    }
}

/// Runs `make install` or `make uninstall` on a machine that has no cargo.
pub fn make(target: &str, destination: &Path, variables: &[&str]) -> String {
    let libraries = dist("libtckms.a");
    let tools = Scratch::new();
    let cargo = tools.write("cargo", "#!/bin/sh\necho 'cargo was called' >&2\nexit 1\n");
    output_of(Command::new("chmod").arg("+x").arg(&cargo));
    let path = std::env::var("PATH").expect("there is a PATH");
    let path: Vec<_> = path.split(':').filter(|folder| !Path::new(folder).join("cargo").exists()).collect();

    let mut command = tool("make");
    command.current_dir(root()).arg("--silent").arg(target).args(variables);
    command.arg(format!("PREFIX={PREFIX}")).arg(format!("DESTDIR={}", destination.display()));
    command.env_clear().env("PATH", format!("{}:{}", tools.path().display(), path.join(":")));
    command.env("CARGO_TARGET_DIR", libraries.ancestors().nth(2).expect("it is in target/dist"));
    output_of(&mut command)
}
