//! The environment.

use std::env;

use tckms::host;

/// A variable, unless the program has privileges that its caller does not have: the caller then sets the environment.
pub fn variable(name: &str) -> Option<String> {
    if host::is_privileged() {
        return None;
    }
    env::var(name).ok().filter(|value| !value.is_empty())
}
