//! Verification of TC3-HMAC-SHA256 signatures (docs/kms-service.md, "Signing"), in every variant that the official SDKs
//! send ("What the SDKs send").

use aws_lc_rs::{constant_time, digest, hmac};
use axum::http::HeaderMap;
use axum::http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use base16ct::lower;

use crate::clock::utc_date;
use crate::error::ApiError;
use crate::http::{header, without_port};
use crate::identity::{Identities, Identity};

const ALGORITHM: &str = "TC3-HMAC-SHA256";
const SCOPE_END: &str = "tc3_request";

/// How far a timestamp may be from the service's clock, in seconds (docs/kms-service.md, "Signing").
const CLOCK_TOLERANCE: i64 = 300;

/// The value of X-TC-Content-SHA256 for a body that is not part of the signature (docs/kms-service.md, "Signing").
const UNSIGNED_PAYLOAD: &str = "UNSIGNED-PAYLOAD";

/// The content type of forms. Signature version 1 signs their fields.
const FORM: &str = "application/x-www-form-urlencoded";

/// The parts of a request that a signature covers.
#[derive(Clone, Copy)]
pub struct Signed<'a> {
    pub method: &'a str,
    /// As sent, without the `?`.
    pub query: &'a str,
    pub headers: &'a HeaderMap,
    pub body: &'a [u8],
}

/// The parsed Authorization header.
#[derive(Debug, PartialEq)]
pub struct Authorization<'a> {
    pub secret_id: &'a str,
    date: &'a str,
    service: &'a str,
    pub signed_headers: &'a str,
    signature: &'a str,
}

/// Verifies the signature of a request for `service` at about `now`, and returns its identity.
pub fn authenticate(identities: &Identities, service: &str, request: Signed<'_>, now: i64) -> Result<(), ApiError> {
    let authorization = Authorization::from_headers(request.headers).ok_or_else(invalid_authorization)?;
    let timestamp = timestamp(request.headers)?;
    if (timestamp - now).abs() > CLOCK_TOLERANCE {
        return Err(expired_signature(timestamp, now));
    }
    let identity = identities.find(authorization.secret_id).ok_or_else(secret_id_not_found)?;
    verify(&authorization, &identity, service, request, timestamp)?;
    identity.check_token(header(request.headers, "x-tc-token"), now)
}

fn verify(
    authorization: &Authorization<'_>,
    identity: &Identity,
    service: &str,
    request: Signed<'_>,
    timestamp: i64,
) -> Result<(), ApiError> {
    let host = header(request.headers, HOST.as_str()).unwrap_or_default();
    let scope_is_right = utc_date(timestamp).as_deref() == Some(authorization.date)
        && (authorization.service == service || is_from_endpoint(authorization.service, host));
    let signature = decode_signature(authorization.signature).ok_or_else(invalid_authorization)?;
    let matches = |canonical: String| {
        let string_to_sign = string_to_sign(authorization, timestamp, &canonical);
        let expected = sign(&identity.secret_key, authorization.date, authorization.service, &string_to_sign);
        log::debug!("expected a signature of {string_to_sign:?}");
        constant_time::verify_slices_are_equal(expected.as_ref(), &signature).is_ok()
    };
    if scope_is_right && canonical_requests(authorization, request, host).any(matches) {
        Ok(())
    } else {
        Err(signature_failure())
    }
}

impl<'a> Authorization<'a> {
    /// Reads the Authorization header.
    pub fn from_headers(headers: &'a HeaderMap) -> Option<Self> {
        Self::parse(header(headers, "authorization")?)
    }

    /// Reads `TC3-HMAC-SHA256 Credential=…/date/service/tc3_request, SignedHeaders=…, Signature=…`.
    fn parse(text: &'a str) -> Option<Self> {
        let mut fields = text.strip_prefix(ALGORITHM)?.strip_prefix(' ')?.split(',').map(str::trim);
        let credential = fields.next()?.strip_prefix("Credential=")?;
        let signed_headers = fields.next()?.strip_prefix("SignedHeaders=")?;
        let signature = fields.next()?.strip_prefix("Signature=")?;
        let mut scope = credential.split('/');
        let (secret_id, date, service) = (scope.next()?, scope.next()?, scope.next()?);
        let complete = scope.eq([SCOPE_END]) && fields.next().is_none() && !secret_id.is_empty();
        let mandatory = [CONTENT_TYPE, HOST].iter().all(|name| signed_headers.split(';').any(|signed| signed == name));
        (complete && mandatory).then_some(Self { secret_id, date, service, signed_headers, signature })
    }
}

/// The canonical requests that a signer may have used: the host as sent, or without its port as Node signs it; header
/// values in lower case as the documents say, or as sent as the SDKs do.
fn canonical_requests(
    authorization: &Authorization<'_>,
    request: Signed<'_>,
    host: &str,
) -> impl Iterator<Item = String> {
    let payload_hash = payload_hash(request);
    [host, without_port(host)]
        .into_iter()
        .flat_map(|host| [(host, HeaderCase::Lower), (host, HeaderCase::AsSent)])
        .filter_map(move |(host, case)| canonical_request(authorization, request, host, case, &payload_hash))
        .collect::<Vec<_>>()
        .into_iter()
}

#[derive(Clone, Copy)]
enum HeaderCase {
    Lower,
    AsSent,
}

/// None if a header that the signature names is absent.
fn canonical_request(
    authorization: &Authorization<'_>,
    request: Signed<'_>,
    host: &str,
    case: HeaderCase,
    payload_hash: &str,
) -> Option<String> {
    let mut names: Vec<_> = authorization.signed_headers.split(';').collect();
    names.sort_unstable();
    let mut text = format!("{}\n/\n{}\n", request.method, request.query);
    for name in names {
        let value = if name == HOST { host } else { header(request.headers, name)?.trim() };
        text.push_str(name);
        text.push(':');
        match case {
            HeaderCase::Lower => text.push_str(&value.to_lowercase()),
            HeaderCase::AsSent => text.push_str(value),
        }
        text.push('\n');
    }
    Some(text + "\n" + authorization.signed_headers + "\n" + payload_hash)
}

fn payload_hash(request: Signed<'_>) -> String {
    if header(request.headers, "x-tc-content-sha256") == Some(UNSIGNED_PAYLOAD) {
        hex_sha256(UNSIGNED_PAYLOAD.as_bytes())
    } else {
        hex_sha256(request.body)
    }
}

fn string_to_sign(authorization: &Authorization<'_>, timestamp: i64, canonical_request: &str) -> String {
    let Authorization { date, service, .. } = authorization;
    let hash = hex_sha256(canonical_request.as_bytes());
    format!("{ALGORITHM}\n{timestamp}\n{date}/{service}/{SCOPE_END}\n{hash}")
}

pub(crate) fn sign(secret_key: &str, date: &str, service: &str, string_to_sign: &str) -> hmac::Tag {
    let date_key = hmac_sha256(format!("TC3{secret_key}").as_bytes(), date);
    let service_key = hmac_sha256(date_key.as_ref(), service);
    let signing_key = hmac_sha256(service_key.as_ref(), SCOPE_END);
    hmac_sha256(signing_key.as_ref(), string_to_sign)
}

/// The SHA-256 of `data` in lower-case hexadecimal.
pub(crate) fn hex_sha256(data: &[u8]) -> String {
    lower::encode_string(digest::digest(&digest::SHA256, data).as_ref())
}

fn hmac_sha256(key: &[u8], message: &str) -> hmac::Tag {
    hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message.as_bytes())
}

fn timestamp(headers: &HeaderMap) -> Result<i64, ApiError> {
    header(headers, "x-tc-timestamp")
        .ok_or_else(|| ApiError::missing_parameter("X-TC-Timestamp"))?
        .parse::<u32>()
        .map(i64::from)
        .map_err(|_| ApiError::invalid_parameter("`X-TC-Timestamp` is not a time in Unix seconds."))
}

/// Whether an SDK with this host as its endpoint would sign for `service`. The SDKs for Node, PHP, Java, .NET, Ruby and
/// C++ take the endpoint up to its first dot, with a port that comes before that dot (docs/kms-service.md, "What the
/// SDKs send"). Node's HTTP layer sends the host in lower case and without the scheme's default port.
fn is_from_endpoint(service: &str, host: &str) -> bool {
    let has_port = without_port(host) != host;
    let endpoints = ["", ":80", ":443"].map(|port| format!("{host}{port}"));
    let endpoints = endpoints.iter().take(if has_port { 1 } else { 3 });
    endpoints.filter_map(|endpoint| endpoint.split('.').next()).any(|label| service.eq_ignore_ascii_case(label))
}

/// Refuses a request with a signature of version 1 in its query or form. The error names the supported version.
pub fn refuse_version_1(request: Signed<'_>) -> Result<(), ApiError> {
    if request.headers.contains_key(AUTHORIZATION) {
        return Ok(());
    }
    let is_form = header(request.headers, CONTENT_TYPE.as_str()).is_some_and(|value| value.starts_with(FORM));
    let fields = [request.query.as_bytes(), if is_form { request.body } else { b"" }];
    let mut fields = fields.into_iter().flat_map(form_urlencoded::parse);
    if fields.any(|(name, _)| ["Signature", "SignatureMethod"].contains(&&*name)) {
        return Err(ApiError::new(
            "AuthFailure.InvalidAuthorization",
            "The request is signed by version 1 (HmacSHA1 or HmacSHA256 in query or form), which the emulator does not \
             verify. Set the SDK's signature method to TC3-HMAC-SHA256.",
        ));
    }
    Ok(())
}

/// The 32 bytes of a signature written in lower-case hexadecimal.
fn decode_signature(text: &str) -> Option<[u8; 32]> {
    lower::decode_vec(text).ok()?.try_into().ok()
}

fn invalid_authorization() -> ApiError {
    ApiError::new(
        "AuthFailure.InvalidAuthorization",
        "The `Authorization` header is missing, or is not one of TC3-HMAC-SHA256.",
    )
}

fn secret_id_not_found() -> ApiError {
    ApiError::new("AuthFailure.SecretIdNotFound", "The SecretId is not found. Check that it is correct.")
}

/// The only documented text of this family (docs/kms-service.md, "Replies").
fn signature_failure() -> ApiError {
    ApiError::new(
        "AuthFailure.SignatureFailure",
        "The provided credentials could not be validated. Please check your signature is correct.",
    )
}

fn expired_signature(timestamp: i64, now: i64) -> ApiError {
    ApiError::new(
        "AuthFailure.SignatureExpire",
        format!("Signature expired: the timestamp {timestamp} is more than {CLOCK_TOLERANCE} s from {now}."),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::identity::{Credentials, KeyPair};

    /// One request with its signature (docs/kms-service.md, "Signing test values").
    struct Vector {
        secret_id: &'static str,
        secret_key: &'static str,
        timestamp: i64,
        date: &'static str,
        service: &'static str,
        method: &'static str,
        query: &'static str,
        headers: Vec<(&'static str, &'static str)>,
        signed_headers: &'static str,
        body: &'static str,
        signature: &'static str,
    }

    impl Vector {
        fn check_at(&self, now: i64) -> Result<(), ApiError> {
            let identities = Identities::default();
            let (secret_id, secret_key) = (self.secret_id.to_owned(), self.secret_key.to_owned());
            identities.add_long_term(KeyPair { secret_id, secret_key });
            self.check_with(&identities, now)
        }

        fn check_with(&self, identities: &Identities, now: i64) -> Result<(), ApiError> {
            let headers = self.header_map();
            let request =
                Signed { method: self.method, query: self.query, headers: &headers, body: self.body.as_bytes() };
            authenticate(identities, self.service, request, now)
        }

        fn header_map(&self) -> HeaderMap {
            let Self { secret_id, date, service, signed_headers, signature, .. } = self;
            let authorization = format!(
                "TC3-HMAC-SHA256 Credential={secret_id}/{date}/{service}/tc3_request, \
                 SignedHeaders={signed_headers}, Signature={signature}"
            );
            let mut headers = HeaderMap::new();
            headers.insert("authorization", authorization.parse().unwrap());
            headers.insert("x-tc-timestamp", self.timestamp.into());
            for (name, value) in &self.headers {
                headers.insert(*name, value.parse().unwrap());
            }
            headers
        }

        fn canonical_request(&self) -> String {
            let headers = self.header_map();
            let authorization = Authorization::from_headers(&headers).unwrap();
            let request =
                Signed { method: self.method, query: self.query, headers: &headers, body: self.body.as_bytes() };
            let host = header(&headers, "host").unwrap();
            canonical_request(&authorization, request, host, HeaderCase::Lower, &payload_hash(request)).unwrap()
        }
    }

    const SPACED: &str = r#"{"KeyId": "23e80852-1e38-11e9-b129-5cb9019b4b01", "Plaintext": "dGVzdAo="}"#;
    const COMPACT: &str = r#"{"KeyId":"23e80852-1e38-11e9-b129-5cb9019b4b01","Plaintext":"dGVzdAo="}"#;
    const JSON: (&str, &str) = ("content-type", "application/json");
    const JSON_UTF8: (&str, &str) = ("content-type", "application/json; charset=utf-8");
    const KMS: (&str, &str) = ("host", "kms.tencentcloudapi.com");
    const NOW: i64 = 1_700_000_000;

    fn encrypt_vector(
        body: &'static str,
        headers: Vec<(&'static str, &'static str)>,
        signature: &'static str,
    ) -> Vector {
        Vector {
            secret_id: "AKIDEXAMPLE",
            secret_key: "SECRETKEYEXAMPLE",
            timestamp: NOW,
            date: "2023-11-14",
            service: "kms",
            method: "POST",
            query: "",
            headers,
            signed_headers: "content-type;host",
            body,
            signature,
        }
    }

    fn python_default() -> Vector {
        encrypt_vector(SPACED, vec![JSON, KMS], "9a4211e3a89693dc4804c008581fcd5d2facb68d8f95af34af614b08d4f0c84e")
    }

    fn python_get() -> Vector {
        Vector {
            method: "GET",
            query: "KeyId=23e80852-1e38-11e9-b129-5cb9019b4b01&Plaintext=dGVzdAo%3D",
            ..encrypt_vector(
                "",
                vec![("content-type", "application/x-www-form-urlencoded"), KMS],
                "4686eec05bca8b71a137b4e7306143798de14c8c35546338bc059fb2e4f94179",
            )
        }
    }

    fn cvm_vector(secret_key: &'static str, signed_headers: &'static str, signature: &'static str) -> Vector {
        Vector {
            secret_id: "AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE",
            secret_key,
            timestamp: 1_551_113_065,
            date: "2019-02-25",
            service: "cvm",
            method: "POST",
            query: "",
            headers: vec![JSON_UTF8, ("host", "cvm.tencentcloudapi.com"), ("x-tc-action", "DescribeInstances")],
            signed_headers,
            body: r#"{"Limit": 1, "Filters": [{"Values": ["\u672a\u547d\u540d"], "Name": "instance-name"}]}"#,
            signature,
        }
    }

    fn cvm_get() -> Vector {
        Vector {
            method: "GET",
            query: "Limit=10&Offset=0",
            headers: vec![("content-type", "application/x-www-form-urlencoded"), ("host", "cvm.tencentcloudapi.com")],
            body: "",
            ..cvm_vector(
                EXAMPLE_KEY,
                "content-type;host",
                "9867b291561db17491c01f0d7f06be3ccd45e91ecd3ce5434330e00ece036f64",
            )
        }
    }

    const EXAMPLE_KEY: &str = "Gu5t9xGARNpq86cd98joQYCN3EXAMPLE";
    const MASKED_KEY: &str = "Gu5t9xGARNpq86cd98joQYCN3*******";
    const ASTERISKS: &str = "********************************";

    #[test]
    fn golden_vectors_of_the_documents_verify() {
        let vectors = [
            cvm_vector(
                EXAMPLE_KEY,
                "content-type;host",
                "72e494ea809ad7a8c8f7a4507b9bddcbaa8e581f516e8da2f66e2c5a96525168",
            ),
            cvm_vector(
                MASKED_KEY,
                "content-type;host",
                "2230eefd229f582d8b1b891af7107b91597240707d778ab3738f756258d7652c",
            ),
            cvm_vector(
                ASTERISKS,
                "content-type;host;x-tc-action",
                "10b1a37a7301a02ca19a647ad722d5e43b4b3cff309d421d85b46093f6ab6c4f",
            ),
            cvm_vector(
                EXAMPLE_KEY,
                "content-type;host;x-tc-action",
                "644be983de9a8a3f00db8eadaba61467c3b429e2215758ba897b738ca469fd26",
            ),
            cvm_get(),
        ];
        for vector in vectors {
            vector.check_at(vector.timestamp).unwrap_or_else(|error| panic!("{}: {error:?}", vector.signature));
        }
    }

    #[test]
    fn golden_vectors_of_the_python_sdk_verify() {
        let unsigned = ("x-tc-content-sha256", "UNSIGNED-PAYLOAD");
        let with_port = ("host", "127.0.0.1:8443");
        let vectors = [
            python_default(),
            encrypt_vector(
                COMPACT,
                vec![JSON, KMS],
                "01dc8a9683eb8f6ce6c198e9c3bafb72c6b28427385eda83ca11f78519cbc561",
            ),
            encrypt_vector(
                COMPACT,
                vec![JSON_UTF8, KMS],
                "07145367169e76a4adffc4faf8723af0fb17b6453d2197ab7f7adc4b38c3e410",
            ),
            encrypt_vector(
                SPACED,
                vec![JSON_UTF8, KMS],
                "c6a3cae0272e5f65b1a441566bde1c348ebd7fc503032d804e6107bcee395788",
            ),
            encrypt_vector(
                SPACED,
                vec![JSON, KMS, unsigned],
                "742a638f1e52fa7b8850d3596753261ae81ac3a0b76dbbe5b44f0b69c7ab6ae6",
            ),
            encrypt_vector(
                SPACED,
                vec![JSON, with_port],
                "5a9f8ec26d5e72ce434d0945a33cb7f7d8a5a5a1883852d05b76937307a05e69",
            ),
            python_get(),
        ];
        for vector in vectors {
            vector.check_at(NOW).unwrap_or_else(|error| panic!("{}: {error:?}", vector.signature));
        }
    }

    #[test]
    fn a_token_is_not_part_of_the_signature() {
        let mut vector = python_default();
        vector.headers.push(("x-tc-token", "TOKENEXAMPLE"));
        let identities = Identities::default();
        identities.add_temporary(&Credentials {
            pair: KeyPair { secret_id: "AKIDEXAMPLE".to_owned(), secret_key: "SECRETKEYEXAMPLE".to_owned() },
            token: "TOKENEXAMPLE".to_owned(),
            expired_time: NOW + 1,
        });
        vector.check_with(&identities, NOW).unwrap();
        assert_eq!(vector.check_with(&identities, NOW + 1).unwrap_err().code, "AuthFailure.TokenFailure");
        assert_eq!(vector.check_at(NOW).unwrap_err().code, "AuthFailure.TokenFailure");
    }

    #[test]
    fn intermediate_hashes_are_those_of_the_documents() {
        let canonical_hash = |vector: Vector| hex_sha256(vector.canonical_request().as_bytes());
        let signed = |headers| cvm_vector(EXAMPLE_KEY, headers, "");
        assert_eq!(
            hex_sha256(signed("content-type;host").body.as_bytes()),
            "35e9c5b0e3ae67532d3c9f17ead6c90222632e5b1ff7f6e89887f1398934f064"
        );
        assert_eq!(
            canonical_hash(signed("content-type;host")),
            "5ffe6a04c0664d6b969fab9a13bdab201d63ee709638e2749d62a09ca18d7031"
        );
        assert_eq!(
            canonical_hash(signed("content-type;host;x-tc-action")),
            "7019a55be8395899b900fb5564e4200d984910f34794a27cb3fb7d10ff6a1e84"
        );
        assert_eq!(canonical_hash(cvm_get()), "91c9c192c14460df6c1ffc69e34e6c5e90708de2a6d282cccf957dbf1aa7f3a7");
        assert_eq!(hex_sha256(COMPACT.as_bytes()), "eeb5db0ca0ca12cafe73d1f0913a903046441c2da184749dfa5bfdf4dda53c0a");
        assert_eq!(hex_sha256(SPACED.as_bytes()), "01c3ba85945ec2d1b3dc7cb06251c28eee5b99aed330a3650109cda50e389569");
    }

    #[test]
    fn derived_keys_are_those_of_the_documents() {
        let date_key = hmac_sha256(format!("TC3{ASTERISKS}").as_bytes(), "2019-02-25");
        let service_key = hmac_sha256(date_key.as_ref(), "cvm");
        let signing_key = hmac_sha256(service_key.as_ref(), "tc3_request");
        let expected = [
            "da98fb70dcf6b112dc21038d1eeeb3a95c74b4dcb12c1131f864f6066bd02be0",
            "8d70cbefb03939f929db64d32dc2ba89b1095620119fe3e050e2b18c5bd2752f",
            "b596b923aad85185e2d1f6659d2a062e0a86731226e021e61bfe06f7ed05f5af",
        ];
        for (key, expected) in [date_key, service_key, signing_key].iter().zip(expected) {
            assert_eq!(key.as_ref(), decode_signature(expected).unwrap());
        }
    }

    #[test]
    fn a_timestamp_may_differ_by_300_seconds_in_both_directions() {
        for now in [NOW - 300, NOW + 300] {
            python_default().check_at(now).unwrap();
        }
        for now in [NOW - 301, NOW + 301] {
            assert_eq!(python_default().check_at(now).unwrap_err().code, "AuthFailure.SignatureExpire");
        }
    }

    #[test]
    fn any_change_to_a_signed_part_is_a_signature_failure() {
        let changed = [
            Vector { body: COMPACT, ..python_default() },
            Vector { method: "GET", ..python_default() },
            Vector { query: "a=b", ..python_default() },
            Vector { secret_key: "OTHER", ..python_default() },
            Vector { date: "2023-11-15", ..python_default() },
            Vector { timestamp: NOW + 1, ..python_default() },
            Vector { headers: vec![JSON_UTF8, KMS], ..python_default() },
            Vector { headers: vec![JSON, ("host", "sts.tencentcloudapi.com")], ..python_default() },
            Vector { signed_headers: "content-type;host;x-tc-action", ..python_default() },
        ];
        for vector in changed {
            assert_eq!(vector.check_at(NOW).unwrap_err().code, "AuthFailure.SignatureFailure");
        }
    }

    #[test]
    fn a_host_may_be_signed_without_its_port() {
        Vector { headers: vec![JSON, ("host", "kms.tencentcloudapi.com:8443")], ..python_default() }
            .check_at(NOW)
            .unwrap();
    }

    #[test]
    fn a_malformed_authorization_header_is_invalid_authorization() {
        let good =
            "TC3-HMAC-SHA256 Credential=ID/2023-11-14/kms/tc3_request, SignedHeaders=content-type;host, Signature=00";
        assert!(Authorization::parse(good).is_some());
        for (from, to) in [
            ("TC3-", "TC4-"),
            ("Credential=ID/", "Credential=/"),
            ("/tc3_request", "/tc4_request"),
            ("/tc3_request", "/tc3_request/more"),
            ("content-type;host", "host"),
            ("content-type;host", "content-type"),
            (", Signature=00", ""),
            ("Signature=00", "Signature=00, More=1"),
        ] {
            assert_eq!(Authorization::parse(&good.replace(from, to)), None, "{from} to {to}");
        }
        let short = Vector { signature: "00", ..python_default() };
        assert_eq!(short.check_at(NOW).unwrap_err().code, "AuthFailure.InvalidAuthorization");
    }
}
