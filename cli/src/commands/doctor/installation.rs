//! Checks the installed C library and the PKCS#11 module.

use std::process::{Command, Stdio};

use super::finding::Finding;
use crate::sys;

const MODULE: &str = "libtckms-pkcs11.so";
const MODULE_CONFIG: &str = "/etc/tckms/pkcs11.conf";
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
            "remove one of the two, and run ldconfig",
        ),
        Err(why) => Finding::skipped("library", format!("the loader does not find it: {why}")).with_cause(
            "library_not_found",
            "only C, C++ and Go programs need it: install libtckms0, or add its folder to /etc/ld.so.conf.d and run ldconfig",
        ),
    }
}

fn pkg_config() -> Finding {
    let output = Command::new("pkg-config").args(["--modversion", "tckms"]).stdin(Stdio::null()).output();
    match output {
        Ok(output) if output.status.success() => Finding::ok(
            "pkg-config",
            format!("pkg-config finds tckms {}", String::from_utf8_lossy(&output.stdout).trim()),
        ),
        Ok(_) => Finding::skipped("pkg-config", "pkg-config does not find tckms").with_cause(
            "pkg_config_not_found",
            "only needed to compile: install libtckms-dev, or add its folder to PKG_CONFIG_PATH",
        ),
        Err(_) => Finding::skipped("pkg-config", "pkg-config is not installed; only needed to compile"),
    }
}

/// Checks that the module can be loaded by name, and that its configuration exists.
fn module() -> Finding {
    let config = ["TCKMS_PKCS11_CONFIG"].iter().find_map(std::env::var_os).unwrap_or_else(|| MODULE_CONFIG.into());
    let has_config = std::path::Path::new(&config).is_file();
    let shown = crate::text::shown(&config);
    match (sys::can_load(MODULE), has_config) {
        (true, true) => Finding::ok("pkcs11", format!("the loader finds {MODULE}, and its configuration is {shown}")),
        (true, false) => Finding::warning(
            "pkcs11",
            "module_not_configured",
            format!("the loader finds {MODULE}, but its configuration {shown} does not exist"),
            "create it, or set TCKMS_PKCS11_CONFIG",
        ),
        (false, _) => {
            Finding::skipped("pkcs11", "the loader does not find the module; programs can load it by its path")
        }
    }
}
