//! Random bytes, identifiers and credentials.

use std::time::{SystemTime, UNIX_EPOCH};

use uuid::{Builder, Timestamp, Uuid};

const ALPHANUMERIC: &[u8; 62] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";

/// Fills an array from the system's cryptographic generator.
///
/// # Panics
/// If the system returns no random bytes: otherwise keys would be predictable.
pub fn bytes<const N: usize>() -> [u8; N] {
    let mut buffer = [0; N];
    fill(&mut buffer);
    buffer
}

/// Fills `buffer` from the system's cryptographic generator; panics as [`bytes`] does.
pub fn fill(buffer: &mut [u8]) {
    aws_lc_rs::rand::fill(buffer).expect("the system's random generator works");
}

/// A random string of `length` ASCII letters and digits.
pub fn alphanumeric(length: usize) -> String {
    let mut text = String::with_capacity(length);
    while text.len() < length {
        // Bytes above the last multiple of 62 would favour the first letters.
        let usable = bytes::<32>().into_iter().filter(|&byte| byte < 248);
        text.extend(usable.map(|byte| char::from(ALPHANUMERIC[usize::from(byte % 62)])).take(length - text.len()));
    }
    text
}

/// A random UUID, as in every reply's `RequestId`.
pub fn request_id() -> String {
    Builder::from_random_bytes(bytes()).into_uuid().to_string()
}

/// A time-based UUID: the shape of every KeyId in the service's samples (docs/kms-service.md, "Values").
pub fn key_id() -> String {
    let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let [high, low, node @ ..] = bytes::<8>();
    let sequence = u16::from_be_bytes([high, low]);
    let moment = Timestamp::from_unix_time(elapsed.as_secs(), elapsed.subsec_nanos(), sequence.into(), 14);
    Uuid::new_v1(moment, &node).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_have_the_requested_length_and_alphabet() {
        for length in [0, 1, 32, 100] {
            let text = alphanumeric(length);
            assert_eq!(text.len(), length);
            assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric()));
        }
    }

    #[test]
    fn key_ids_are_distinct_lower_case_version_1_uuids() {
        let ids: std::collections::HashSet<_> = (0..1000).map(|_| key_id()).collect();
        assert_eq!(ids.len(), 1000);
        assert!(ids.iter().all(|id| id.len() == 36 && id.as_bytes()[14] == b'1' && *id == id.to_lowercase()));
    }
}
