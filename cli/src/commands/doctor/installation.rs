//! Checks the installed C library and the PKCS#11 module.

use std::process::{Command, Stdio};

use super::finding::Finding;
use crate::commands::exec::CREDENTIALS;
use crate::commands::pkcs11;
use crate::connection::variable;
use crate::module_config::{MACHINE_FILE, config_file};
use crate::sys;
use crate::text::shown;

const MODULE: &str = "libtckms-pkcs11.so";
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
    let mut command = Command::new("pkg-config");
    command.args(["--modversion", "tckms"]).stdin(Stdio::null());
    for name in CREDENTIALS.iter().chain(&["TCKMS_PROXY"]) {
        command.env_remove(name);
    }
    match command.output() {
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

/// Checks that the module can be loaded by name, and that it finds a configuration.
fn module() -> Finding {
    if !sys::can_load(MODULE) {
        return Finding::skipped("pkcs11", "the loader does not find the module; programs can load it by its path");
    }
    let keys = variable("TCKMS_PKCS11_KEYS");
    let file = config_file();
    match (&file, &keys) {
        (Ok(Some(path)), _) if path.is_file() => match pkcs11::read_config(path.as_os_str()) {
            Ok(_) => Finding::ok(
                "pkcs11",
                format!("the loader finds {MODULE}, and its configuration is {}", shown(path.as_os_str())),
            ),
            Err(failure) => {
                let failed = Finding::failed("pkcs11", failure);
                let advice = "correct the file; `man tckms-pkcs11.conf` describes it";
                Finding::warning("pkcs11", "module_config_invalid", failed.found, advice)
            }
        },
        (Ok(None), Ok(Some(_))) => {
            Finding::ok("pkcs11", format!("the loader finds {MODULE}, and its keys are those of TCKMS_PKCS11_KEYS"))
        }
        _ => {
            let path = file.ok().flatten().unwrap_or_else(|| MACHINE_FILE.into());
            Finding::warning(
                "pkcs11",
                "module_not_configured",
                format!("the loader finds {MODULE}, but its configuration {} does not exist", shown(path.as_os_str())),
                "create it, or set TCKMS_PKCS11_CONFIG or TCKMS_PKCS11_KEYS",
            )
        }
    }
}
