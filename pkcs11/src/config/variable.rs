//! Reads the environment.

use std::env;

use tckms::host;

/// A variable. `None` if the program has privileges that its caller lacks (setuid): the caller controls the environment.
pub fn variable(name: &str) -> Option<String> {
    if host::is_privileged() {
        return None;
    }
    env::var(name).ok().filter(|value| !value.is_empty())
}
