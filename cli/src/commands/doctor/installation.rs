//! The library for programs in C, and the module for PKCS#11.

use std::process::{Command, Stdio};

use super::finding::Finding;
use crate::sys;

const LIBRARY: &str = "libtckms.so.0";

pub fn check() -> Vec<Finding> {
    vec![library(), pkg_config(), module()]
}

fn library() -> Finding {
    match sys::library_version(LIBRARY) {
        Ok(version) if version == env!("CARGO_PKG_VERSION") => {
            Finding::ok("library", format!("the loader finds {LIBRARY}, version {version}"))
        }
        Ok(version) => Finding::warning(
            "library",
            "library_version",
            format!("the loader finds {LIBRARY}, version {version}; this tool is {}", env!("CARGO_PKG_VERSION")),
            "remove the one that is not wanted, and run ldconfig",
        ),
        Err(why) => Finding::skipped("library", format!("the loader does not find it: {why}")).with_cause(
            "library_not_found",
            "only programs in C and Go need it: install libtckms0, or name its folder in /etc/ld.so.conf.d and run ldconfig",
        ),
    }
}

fn pkg_config() -> Finding {
    let output = Command::new("pkg-config").args(["--modversion", "tckms"]).stdin(Stdio::null()).output();
    match output {
        Ok(output) if output.status.success() => {
            Finding::ok("pkg-config", format!("finds tckms {}", String::from_utf8_lossy(&output.stdout).trim()))
        }
        Ok(_) => Finding::skipped("pkg-config", "pkg-config does not find tckms").with_cause(
            "pkg_config_not_found",
            "only needed to compile: install libtckms-dev, or name its folder in PKG_CONFIG_PATH",
        ),
        Err(_) => Finding::skipped("pkg-config", "pkg-config is not installed; only needed to compile"),
    }
}

fn module() -> Finding {
    Finding::skipped("pkcs11", "the module is not installed")
}
