//! TC3-HMAC-SHA256, the signature of Tencent Cloud API 3.0, as a pure function.
//!
//! Source of every rule here: "Signature v3" in the API 3.0 documentation of Tencent Cloud. The test vectors
//! are that page's own, in its three generations, and those of the official Python SDK.

use std::fmt::Write as _;

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use crate::calendar::{date_of, day};
use crate::encoding::HexDigest;

const ALGORITHM: &str = "TC3-HMAC-SHA256";

/// Everything a signature covers.
pub(crate) struct Signable<'a> {
    pub method: &'a str,
    /// The query string as sent, without `?`; empty for POST.
    pub query: &'a str,
    /// Lower-case names in ascending order with their values; `content-type` and `host` are mandatory.
    pub headers: &'a [(&'a str, &'a str)],
    /// Lower-case hex SHA-256 of the body's bytes, see [`hex_sha256`].
    pub payload_sha256: &'a str,
    /// Seconds since the Unix epoch; the same number goes into `X-TC-Timestamp`.
    pub timestamp: i64,
    /// The product's short name, such as `kms`.
    pub service: &'static str,
}

impl Signable<'_> {
    /// The value of the `Authorization` header. `key` is of the day and the service of this request.
    pub fn authorization(&self, secret_id: &str, key: &SigningKey) -> String {
        let scope = self.scope();
        let signature = self.signature(&scope, key);
        let mut text = String::with_capacity(256 + secret_id.len());
        text.extend([ALGORITHM, " Credential=", secret_id, "/", &scope, ", SignedHeaders="]);
        self.write_signed_headers(&mut text);
        text.extend([", Signature=", &signature]);
        text
    }

    fn signature(&self, scope: &str, key: &SigningKey) -> HexDigest {
        debug_assert!(key.is_for(self.timestamp, self.service), "a key signs for its own day and service");
        let hashed_request = hex_sha256(self.canonical_request().as_bytes());
        let mut string_to_sign = String::with_capacity(160);
        string_to_sign.extend([ALGORITHM, "\n"]);
        let _ = write!(string_to_sign, "{}", self.timestamp);
        string_to_sign.extend(["\n", scope, "\n", &hashed_request]);
        HexDigest::new(&hmac(key.key.as_ref(), string_to_sign.as_bytes()))
    }

    fn canonical_request(&self) -> String {
        let mut request = String::with_capacity(512);
        request.extend([self.method, "\n/\n", self.query, "\n"]);
        for (name, value) in self.headers {
            request.extend([name, ":"]);
            let start = request.len();
            request.push_str(value.trim());
            request[start..].make_ascii_lowercase();
            request.push('\n');
        }
        request.push('\n');
        self.write_signed_headers(&mut request);
        request.extend(["\n", self.payload_sha256]);
        request
    }

    fn write_signed_headers(&self, text: &mut String) {
        for (index, (name, _)) in self.headers.iter().enumerate() {
            if index > 0 {
                text.push(';');
            }
            text.push_str(name);
        }
    }

    fn scope(&self) -> String {
        let mut scope = String::with_capacity(64);
        write_utc_date(&mut scope, self.timestamp);
        scope.extend(["/", self.service, "/tc3_request"]);
        scope
    }
}

/// The last of the keys that are derived from a secret key. It is the same for all requests of one day to one service.
///
/// It contains no pointers: even a copy that a fork took halfway can be dropped.
#[derive(Clone)]
pub(crate) struct SigningKey {
    day: i64,
    service: &'static str,
    /// The key itself, not a prepared HMAC state, whose unused parts contain old stack memory.
    key: Zeroizing<[u8; 32]>,
}

impl SigningKey {
    pub fn derive(secret_key: &[u8], timestamp: i64, service: &'static str) -> Self {
        let seed = Zeroizing::new([b"TC3", secret_key].concat());
        let date_key = hmac(&seed, utc_date(timestamp).as_bytes());
        let service_key = hmac(date_key.as_ref(), service.as_bytes());
        Self { day: day(timestamp), service, key: hmac(service_key.as_ref(), b"tc3_request") }
    }

    pub fn is_for(&self, timestamp: i64, service: &str) -> bool {
        self.day == day(timestamp) && self.service == service
    }
}

/// Lower-case hex SHA-256, for the signature and its headers.
pub(crate) fn hex_sha256(bytes: &[u8]) -> HexDigest {
    HexDigest::new(&Sha256::digest(bytes).into())
}

fn hmac(key: &[u8], message: &[u8]) -> Zeroizing<[u8; 32]> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    Zeroizing::new(mac.finalize().into_bytes().into())
}

/// `YYYY-MM-DD` in UTC.
fn utc_date(timestamp: i64) -> String {
    let mut date = String::with_capacity(16);
    write_utc_date(&mut date, timestamp);
    date
}

fn write_utc_date(text: &mut String, timestamp: i64) {
    let (year, month, date) = date_of(day(timestamp));
    let _ = write!(text, "{year:04}-");
    text.extend([two_digits(month), "-", two_digits(date)]);
}

/// The number of a month or a day.
fn two_digits(number: i64) -> &'static str {
    const NUMBERS: &str = "00010203040506070809101112131415161718192021222324252627282930313233";
    usize::try_from(number).ok().and_then(|number| NUMBERS.get(2 * number..2 * number + 2)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// "DescribeInstances" of the documentation: its body has exactly 86 bytes, with literal `\u` escapes.
    const CVM_BODY: &str =
        concat!(r#"{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "#, r#""Name": "instance-name"}]}"#);
    const CVM_HOST: &[(&str, &str)] =
        &[("content-type", "application/json; charset=utf-8"), ("host", "cvm.tencentcloudapi.com")];
    const CVM_HOST_AND_ACTION: &[(&str, &str)] = &[
        ("content-type", "application/json; charset=utf-8"),
        ("host", "cvm.tencentcloudapi.com"),
        ("x-tc-action", "DescribeInstances"),
    ];
    fn key(signable: &Signable<'_>, secret_key: &[u8]) -> SigningKey {
        SigningKey::derive(secret_key, signable.timestamp, signable.service)
    }
    fn signature(signable: &Signable<'_>, secret_key: &[u8]) -> String {
        signable.signature(&signable.scope(), &key(signable, secret_key)).to_owned()
    }

    const SECRET_ID: &str = "AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE";

    fn cvm<'a>(headers: &'a [(&'a str, &'a str)], payload_sha256: &'a str) -> Signable<'a> {
        Signable { method: "POST", query: "", headers, payload_sha256, timestamp: 1_551_113_065, service: "cvm" }
    }

    #[test]
    fn the_documented_body_hash_and_scope_come_out() {
        assert_eq!(CVM_BODY.len(), 86);
        let body_hash = hex_sha256(CVM_BODY.as_bytes());
        assert_eq!(&*body_hash, "35e9c5b0e3ae67532d3c9f17ead6c90222632e5b1ff7f6e89887f1398934f064");
        assert_eq!(cvm(CVM_HOST, &body_hash).scope(), "2019-02-25/cvm/tc3_request");
    }

    #[test]
    fn the_oldest_documented_example_comes_out() {
        let body_hash = hex_sha256(CVM_BODY.as_bytes());
        let signable = cvm(CVM_HOST, &body_hash);
        assert_eq!(
            &*hex_sha256(signable.canonical_request().as_bytes()),
            "5ffe6a04c0664d6b969fab9a13bdab201d63ee709638e2749d62a09ca18d7031"
        );
        assert_eq!(
            signable.authorization(SECRET_ID, &key(&signable, b"Gu5t9xGARNpq86cd98joQYCN3EXAMPLE")),
            "TC3-HMAC-SHA256 Credential=AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE/2019-02-25/cvm/tc3_request, \
             SignedHeaders=content-type;host, \
             Signature=72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168"
        );
    }

    #[test]
    fn the_middle_documented_example_comes_out() {
        let body_hash = hex_sha256(CVM_BODY.as_bytes());
        assert_eq!(
            signature(&cvm(CVM_HOST, &body_hash), b"Gu5t9xGARNpq86cd98joQYCN3*******"),
            "2230eefd229f582d8b1b891af7107b91597240707d778ab3738f756258d7652c"
        );
    }

    #[test]
    fn the_current_documented_example_comes_out_with_its_derived_keys() {
        let body_hash = hex_sha256(CVM_BODY.as_bytes());
        let signable = cvm(CVM_HOST_AND_ACTION, &body_hash);
        let secret_key = [b'*'; 32];
        assert_eq!(
            &*hex_sha256(signable.canonical_request().as_bytes()),
            "7019a55be8395899b900fb5564e4200d984910f34794a27cb3fb7d10ff6a1e84"
        );
        assert_eq!(
            &*HexDigest::new(&key(&signable, &secret_key).key),
            "b596b923aad85185e2d1f6659d2a062e0a86731226e021e61bfe06f7ed05f5af"
        );
        assert_eq!(
            signature(&signable, &secret_key),
            "10b1a37a7301a02ca19a647ad722d5e43b4b3cff309d421d85b46093f6ab6c4f"
        );
    }

    #[test]
    fn the_example_key_with_three_headers_comes_out() {
        let body_hash = hex_sha256(CVM_BODY.as_bytes());
        assert_eq!(
            signature(&cvm(CVM_HOST_AND_ACTION, &body_hash), b"Gu5t9xGARNpq86cd98joQYCN3EXAMPLE"),
            "644be983de9a8a3f00db8eadaba61467c3b429e2215758ba897b738ca469fd26"
        );
    }

    #[test]
    fn a_get_request_is_signed_over_its_query() {
        let empty = hex_sha256(b"");
        let signable = Signable {
            method: "GET",
            query: "Limit=10&Offset=0",
            headers: &[("content-type", "application/x-www-form-urlencoded"), ("host", "cvm.tencentcloudapi.com")],
            payload_sha256: &empty,
            timestamp: 1_551_113_065,
            service: "cvm",
        };
        assert_eq!(
            &*hex_sha256(signable.canonical_request().as_bytes()),
            "91c9c192c14460df6c1ffc69e34e6c5e90708de2a6d282cccf957dbf1aa7f3a7"
        );
        assert_eq!(
            signature(&signable, b"Gu5t9xGARNpq86cd98joQYCN3EXAMPLE"),
            "9867b291561db17491c01f0d7f06be3ccd45e91ecd3ce5434330e00ece036f64"
        );
    }

    const SPACED: &str = r#"{"KeyId": "23e80852-1e38-11e9-b129-5cb9019b4b01", "Plaintext": "dGVzdAo="}"#;
    const COMPACT: &str = r#"{"KeyId":"23e80852-1e38-11e9-b129-5cb9019b4b01","Plaintext":"dGVzdAo="}"#;

    /// The KMS vectors: Encrypt under `AKIDEXAMPLE` with the clock stopped at 1700000000.
    fn kms_signature(content_type: &str, host: &str, payload: &[u8]) -> String {
        let signable = Signable {
            method: "POST",
            query: "",
            headers: &[("content-type", content_type), ("host", host)],
            payload_sha256: &hex_sha256(payload),
            timestamp: 1_700_000_000,
            service: "kms",
        };
        signature(&signable, b"SECRETKEYEXAMPLE")
    }

    #[test]
    fn kms_requests_are_signed_as_the_python_sdk_signs_them() {
        let host = "kms.tencentcloudapi.com";
        let json = "application/json";
        let json_utf8 = "application/json; charset=utf-8";
        let cases = [
            (json, host, SPACED, "9a4211e3a89693dc4804c008581fcd5d2facb68d8f95af34af614b08d4f0c84e"),
            (json, host, COMPACT, "01dc8a9683eb8f6ce6c198e9c3bafb72c6b28427385eda83ca11f78519cbc561"),
            (json_utf8, host, COMPACT, "07145367169e76a4adffc4faf8723af0fb17b6453d2197ab7f7adc4b38c3e410"),
            (json_utf8, host, SPACED, "c6a3cae0272e5f65b1a441566bde1c348ebd7fc503032d804e6107bcee395788"),
            (json, host, "UNSIGNED-PAYLOAD", "742a638f1e52fa7b8850d3596753261ae81ac3a0b76dbbe5b44f0b69c7ab6ae6"),
            (json, "127.0.0.1:8443", SPACED, "5a9f8ec26d5e72ce434d0945a33cb7f7d8a5a5a1883852d05b76937307a05e69"),
        ];
        for (content_type, host, payload, expected) in cases {
            assert_eq!(
                kms_signature(content_type, host, payload.as_bytes()),
                expected,
                "{content_type} {host} {payload}"
            );
        }
    }

    #[test]
    fn a_kms_get_request_is_signed_as_the_python_sdk_signs_it() {
        let empty = hex_sha256(b"");
        let signable = Signable {
            method: "GET",
            query: "KeyId=23e80852-1e38-11e9-b129-5cb9019b4b01&Plaintext=dGVzdAo%3D",
            headers: &[("content-type", "application/x-www-form-urlencoded"), ("host", "kms.tencentcloudapi.com")],
            payload_sha256: &empty,
            timestamp: 1_700_000_000,
            service: "kms",
        };
        assert_eq!(
            signature(&signable, b"SECRETKEYEXAMPLE"),
            "4686eec05bca8b71a137b4e7306143798de14c8c35546338bc059fb2e4f94179"
        );
    }

    #[test]
    fn a_key_is_for_one_day_in_utc_and_one_service() {
        let key = SigningKey::derive(b"SECRETKEYEXAMPLE", 1_700_000_000, "kms");
        let (first, last) = (1_699_920_000, 1_700_006_399);
        for (timestamp, service, fits) in [
            (first, "kms", true),
            (last, "kms", true),
            (first - 1, "kms", false),
            (last + 1, "kms", false),
            (first, "sts", false),
        ] {
            assert_eq!(key.is_for(timestamp, service), fits, "{timestamp} {service}");
        }
    }

    #[test]
    fn dates_are_right_around_leap_days_and_the_epoch() {
        let cases = [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (951_782_400, "2000-02-29"),
            (1_709_164_800, "2024-02-29"),
            (1_709_251_200, "2024-03-01"),
            (4_107_542_399, "2100-02-28"),
            (4_107_542_400, "2100-03-01"),
        ];
        for (timestamp, date) in cases {
            assert_eq!(utc_date(timestamp), date);
        }
    }
}
