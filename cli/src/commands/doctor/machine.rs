//! Checks the version of the tool and of the operating system.

use super::finding::{Finding, Verdict};
use crate::sys;

/// The oldest version that is tested, see docs/portability.md.
const GLIBC_FLOOR: (u32, u32) = (2, 17);
const KERNEL_FLOOR: (u32, u32) = (3, 10);

pub fn version() -> Finding {
    Finding::ok("version", format!("tckms {}", env!("CARGO_PKG_VERSION")))
}

pub fn system() -> Finding {
    let uname = rustix::system::uname();
    let kernel = uname.release().to_string_lossy().into_owned();
    let glibc = sys::glibc_version();
    let found = format!(
        "{} {kernel} on {}, {}",
        uname.sysname().to_string_lossy(),
        uname.machine().to_string_lossy(),
        glibc.as_ref().map_or("not glibc".to_owned(), |version| format!("glibc {version}"))
    );
    let too_old = [(Some(kernel.as_str()), KERNEL_FLOOR, "kernel"), (glibc.as_deref(), GLIBC_FLOOR, "glibc")]
        .into_iter()
        .find(|(version, floor, _)| version.and_then(numbers).is_some_and(|version| version < *floor));
    match too_old {
        None => Finding::ok("system", found),
        Some((_, (major, minor), what)) => Finding::new("system", Verdict::Warning, found)
            .with_cause("system_old", format!("{what} {major}.{minor} is the oldest tested version")),
    }
}

/// The major and minor number of a version.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.split(|character: char| !character.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::numbers;

    #[test]
    fn versions_have_at_least_two_numbers() {
        assert_eq!(numbers("6.1.0-18-amd64"), Some((6, 1)));
        assert_eq!(numbers("2.36"), Some((2, 36)));
        assert_eq!(numbers("5"), None);
        assert!(numbers("3.2.1").unwrap() < (3, 10));
    }
}
