//! The names of branches and the ids of their versions.

use std::fmt;

use crate::encoding::hex;
use crate::error::{Error, Result};
use crate::sanitize::excerpt;
use crate::status::Status;
use crate::sys::random;

/// Longest branch id.
pub const BRANCH_ID_MAX: usize = 64;

/// The name of a branch: 1 to 64 letters, digits and characters of `._-`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct BranchId(Box<str>);

impl BranchId {
    /// Refuses an invalid branch id.
    pub fn new(id: &str) -> Result<Self> {
        if Self::is_valid(id.as_bytes()) {
            return Ok(Self(id.into()));
        }
        let message = format!(
            "{} is not a branch id, which has 1 to {BRANCH_ID_MAX} letters, digits and characters of ._-",
            excerpt(id)
        );
        Err(Error::new(Status::InvalidBranchId, message))
    }

    pub(crate) fn is_valid(id: &[u8]) -> bool {
        let allowed = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
        (1..=BRANCH_ID_MAX).contains(&id.len()) && id.iter().all(allowed)
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for BranchId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The version of a branch's key: a UUID.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BranchVersion([u8; Self::LEN]);

impl BranchVersion {
    pub(crate) const LEN: usize = 16;

    pub(crate) fn from_bytes(bytes: [u8; Self::LEN]) -> Self {
        Self(bytes)
    }

    pub(crate) fn bytes(&self) -> &[u8; Self::LEN] {
        &self.0
    }

    /// A UUID of version 4 (RFC 9562, 5.4).
    pub(crate) fn random() -> Result<Self> {
        let mut bytes = [0; Self::LEN];
        random::fill(&mut bytes)?;
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        Ok(Self(bytes))
    }

    /// Reads the text form: lower-case hexadecimal digits in groups of 8, 4, 4, 4 and 12.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let groups = text.split('-').map(str::len);
        if !groups.eq([8, 4, 4, 4, 12]) {
            return None;
        }
        let mut digits = text.bytes().filter(|byte| *byte != b'-').map(|byte| match byte {
            b'0'..=b'9' => Some(byte - b'0'),
            b'a'..=b'f' => Some(byte - b'a' + 10),
            _ => None,
        });
        let mut bytes = [0; Self::LEN];
        for byte in &mut bytes {
            *byte = digits.next()?? << 4 | digits.next()??;
        }
        Some(Self(bytes))
    }
}

impl fmt::Display for BranchVersion {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits = hex(&self.0);
        let (a, b, c, d, e) = (&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]);
        write!(formatter, "{a}-{b}-{c}-{d}-{e}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_short_and_of_few_characters() {
        for good in ["a", "orders", "tenant-7_eu.west", &"x".repeat(64)] {
            assert_eq!(BranchId::new(good).unwrap().as_str(), good);
        }
        for bad in ["", " ", "a b", "a/b", "用", "a\n", "a\"", &"x".repeat(65)] {
            assert_eq!(BranchId::new(bad).err().unwrap().status(), Status::InvalidBranchId, "{bad:?}");
        }
    }

    #[test]
    fn a_version_has_one_text() {
        let text = "83eec007-5659-4554-bf11-699b90f41ac6";
        assert_eq!(BranchVersion::parse(text).unwrap().to_string(), text);
        for bad in [
            "",
            "83eec00756594554bf11699b90f41ac6",
            "83EEC007-5659-4554-bf11-699b90f41ac6",
            "83eec007-5659-4554-bf11-699b90f41ac",
            "83eec007-5659-4554-bf11-699b90f41acg",
            "83eec007-56594-554-bf11-699b90f41ac6",
        ] {
            assert!(BranchVersion::parse(bad).is_none(), "{bad}");
        }
        let random = BranchVersion::random().unwrap();
        assert_ne!(random, BranchVersion::random().unwrap());
        assert_eq!((random.bytes()[6] >> 4, random.bytes()[8] >> 6), (4, 2));
    }
}
