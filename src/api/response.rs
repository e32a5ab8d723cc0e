//! A reply: the service's envelope, or whatever came instead of it.

use std::borrow::Cow;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::encoding::base64_decode_into;
use crate::error::{Error, Result};
use crate::http::exchange::HttpReply;
use crate::sanitize::{quoted_up_to, sanitized};
use crate::secret::Secret;
use crate::status::Status;

/// Longest key id, in a request and in a reply. Those of the service have 36 characters.
pub const KEY_ID_MAX: usize = 128;
/// Longest CiphertextBlob, in a request and in a reply. That of a plaintext of 4096 bytes has about 5600 characters.
pub const CIPHERTEXT_BLOB_MAX: usize = 64 * 1024;

/// Longest part of a service's message that an error repeats.
const MESSAGE_MAX: usize = 512;

#[derive(Deserialize)]
struct Envelope<T> {
    #[serde(rename = "Response")]
    response: T,
}

/// The fields that this library reads in the responses of all actions.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Response<'a> {
    #[serde(borrow)]
    error: Option<ServiceError<'a>>,
    #[serde(borrow)]
    request_id: Option<Text<'a>>,
    #[serde(borrow)]
    key_id: Option<Text<'a>>,
    #[serde(borrow)]
    source_key_id: Option<Text<'a>>,
    #[serde(borrow)]
    plaintext: Option<Text<'a>>,
    #[serde(borrow)]
    ciphertext_blob: Option<Text<'a>>,
}

/// Text that is borrowed from the reply unless it has escapes. serde borrows a `Cow` only as a field itself, not inside an
/// `Option`, and a copy of a plaintext would be in memory that is not wiped.
#[derive(Deserialize)]
#[serde(transparent)]
struct Text<'a>(#[serde(borrow)] Cow<'a, str>);

impl std::ops::Deref for Text<'_> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ServiceError<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
    #[serde(borrow, default)]
    message: Cow<'a, str>,
}

impl HttpReply {
    /// The service's response, or the error that this reply stands for.
    pub fn response(&self) -> Result<Response<'_>> {
        let parsed = self.parse::<Response>();
        match parsed {
            Ok(Envelope { response: Response { error: Some(error), request_id, .. } }) => {
                Err(self.service_error(&error, request_id.as_deref().filter(|id| is_id(id))))
            }
            _ if self.status != 200 => Err(self.http_error()),
            Ok(Envelope { response }) => Ok(response),
            Err(error) => Err(self.parse_error(&error)),
        }
    }

    /// The fields of an answer that [`Response`] does not have.
    pub fn fields<'a, T: Deserialize<'a>>(&'a self) -> Result<T> {
        self.parse::<T>().map(|envelope| envelope.response).map_err(|error| self.parse_error(&error))
    }

    /// The object under `Response`, exactly as the service wrote it.
    pub fn response_json(&self) -> Result<&str> {
        self.parse::<&RawValue>().map(|envelope| envelope.response.get()).map_err(|error| self.parse_error(&error))
    }

    /// Text that is known to be UTF-8 as a whole is not checked again for each of its strings.
    fn parse<'a, T: Deserialize<'a>>(&'a self) -> serde_json::Result<Envelope<T>> {
        let body = self.body.expose();
        std::str::from_utf8(body).map_or_else(|_| serde_json::from_slice(body), serde_json::from_str)
    }

    fn service_error(&self, error: &ServiceError<'_>, request_id: Option<&str>) -> Error {
        let status = Status::from_service_code(&error.code);
        // A code must not add words to a log line.
        let code = printable(&error.code, 128).replace(char::is_whitespace, "_");
        let text = match printable(&error.message, MESSAGE_MAX) {
            silent if silent.trim().is_empty() => status.message().to_string_lossy().into_owned(),
            text => text,
        };
        let message = format!("{text} ({code}, request id {})", request_id.unwrap_or("unknown"));
        let error = Error::new(status, message)
            .with_service(&code, request_id)
            .with_http_status(self.status)
            .with_retry_after(self.retry_after)
            .with_service_time(self.date);
        if status == Status::ServiceInternalError { error.possibly_carried_out() } else { error }
    }

    fn http_error(&self) -> Error {
        let (status, what) = match self.status {
            429 | 502 | 503 | 504 => (Status::HttpUnavailable, "says that the service is unavailable now"),
            300..=399 => (Status::HttpRedirect, "is a redirect, which is never followed"),
            400 if self.wants_tls() => {
                (Status::HttpStatus, "says that the port speaks TLS: the endpoint has to begin with https")
            }
            _ => (Status::HttpStatus, "is not an answer of the service"),
        };
        let error =
            Error::new(status, format!("the reply has HTTP status {} and {what}{}", self.status, self.glimpse()))
                .with_http_status(self.status)
                .with_retry_after(self.retry_after);
        // A gateway that gave up does not know what the service did.
        if matches!(self.status, 500 | 502 | 504) { error.possibly_carried_out() } else { error }
    }

    fn parse_error(&self, error: &serde_json::Error) -> Error {
        let place = format!("line {}, column {}", error.line(), error.column());
        // The text of serde_json may repeat a value, which may be a plaintext. Only the position is safe.
        let (status, message) = if error.is_data() {
            (Status::ResponseMalformed, format!("the reply is JSON without the API's envelope or fields, see {place}"))
        } else {
            let glimpse = self.glimpse();
            (Status::ResponseNotJson, format!("the reply of {} bytes is not JSON at {place}{glimpse}", self.body.len()))
        };
        Error::new(status, message).with_http_status(self.status).possibly_carried_out()
    }

    /// Whether this is what a server says to plain HTTP on its TLS port: nginx, Apache, Go.
    fn wants_tls(&self) -> bool {
        let text = String::from_utf8_lossy(self.body.expose());
        [
            "plain HTTP request was sent to HTTPS port",
            "speaking plain HTTP to an SSL-enabled",
            "HTTP request to an HTTPS",
        ]
        .iter()
        .any(|said| text.contains(said))
    }

    /// The beginning of a reply that is a web page. Anything else may hold a plaintext and is not shown.
    fn glimpse(&self) -> String {
        let text = String::from_utf8_lossy(self.body.expose().get(..200).unwrap_or(self.body.expose()));
        match text.trim_start() {
            page if page.starts_with('<') => format!("; it begins with {}", quoted_up_to(page, 120)),
            _ => String::new(),
        }
    }
}

impl Response<'_> {
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref().filter(|id| is_id(id))
    }

    pub fn key_id(&self) -> Result<&str> {
        let key_id = self.required(&self.key_id, "KeyId")?;
        if is_key_id(key_id) { Ok(key_id) } else { Err(self.malformed("KeyId is not a key id")) }
    }

    /// Whether the reply names a CMK.
    pub fn has_key_id(&self) -> bool {
        self.key_id.is_some()
    }

    pub fn source_key_id(&self) -> Option<&str> {
        self.source_key_id.as_deref().filter(|key_id| is_key_id(key_id))
    }

    pub fn ciphertext_blob(&self) -> Result<&str> {
        let blob = self.required(&self.ciphertext_blob, "CiphertextBlob")?;
        if is_blob(blob.as_bytes()) { Ok(blob) } else { Err(self.malformed("CiphertextBlob is not printable")) }
    }

    /// The decoded plaintext.
    pub fn plaintext(&self) -> Result<Secret> {
        self.decoded_plaintext(self.required(&self.plaintext, "Plaintext")?)
    }

    /// The decoded plaintext, which may have no bytes.
    pub fn plaintext_or_empty(&self) -> Result<Secret> {
        let text = self.plaintext.as_deref().ok_or_else(|| self.malformed("Plaintext is missing"))?;
        self.decoded_plaintext(text)
    }

    #[inline(never)]
    fn decoded_plaintext(&self, text: &str) -> Result<Secret> {
        let mut plaintext = Secret::zeroed(text.len().div_ceil(4) * 3)?;
        let len = base64_decode_into(text.as_bytes(), plaintext.expose_mut())
            .map_err(|_| self.malformed("Plaintext is not base64"))?;
        plaintext.truncate(len);
        Ok(plaintext)
    }

    /// The decoded plaintext, if it has the length that was asked for.
    pub fn plaintext_of_len(&self, len: usize) -> Result<Secret> {
        let plaintext = self.plaintext()?;
        if plaintext.len() == len {
            return Ok(plaintext);
        }
        Err(self.malformed(&format!("Plaintext has {} bytes, {len} were asked for", plaintext.len())))
    }

    #[inline(never)]
    fn required<'s>(&self, field: &'s Option<Text<'_>>, name: &str) -> Result<&'s str> {
        field.as_deref().filter(|value| !value.is_empty()).ok_or_else(|| self.malformed(&format!("{name} is missing")))
    }

    #[cold]
    #[inline(never)]
    fn malformed(&self, what: &str) -> Error {
        Error::new(Status::ResponseMalformed, format!("the reply is not what the API promises: {what}"))
            .with_http_status(200)
            .with_request_id(self.request_id())
    }
}

/// Whether this can be the id or an alias of a CMK.
pub(crate) fn is_key_id(text: &str) -> bool {
    // From '-' to ':' are '.', '/' and the digits.
    let allowed = |byte: u8| matches!(byte, b'-'..=b':' | b'A'..=b'Z' | b'_' | b'a'..=b'z');
    (1..=KEY_ID_MAX).contains(&text.len()) && text.bytes().fold(true, |all, byte| all & allowed(byte))
}

/// Whether this can be a CiphertextBlob. Programs print it, so it has only characters that no terminal interprets.
pub(crate) fn is_blob(blob: &[u8]) -> bool {
    (1..=CIPHERTEXT_BLOB_MAX).contains(&blob.len()) && is_graphic(blob)
}

/// Whether this can be an id. It goes into log lines, so it must not add words or lines to them.
fn is_id(text: &str) -> bool {
    text.len() <= 128 && is_graphic(text.as_bytes())
}

/// Looks at all bytes, as the compiler then compares several at once.
fn is_graphic(bytes: &[u8]) -> bool {
    bytes.iter().fold(true, |graphic, byte| graphic & byte.is_ascii_graphic())
}

/// The first `max` characters of text from the service, safe for a log line.
fn printable(text: &str, max: usize) -> String {
    let beginning: String = text.chars().take(max).collect();
    sanitized(&beginning).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reply(status: u16, body: &str) -> HttpReply {
        HttpReply { status, body: Secret::copy_of(body.as_bytes()).unwrap(), date: None, retry_after: None }
    }

    fn error(status: u16, body: &str) -> Error {
        reply(status, body).response().err().unwrap()
    }

    #[test]
    fn the_documented_example_is_understood() {
        let body = r#"{"Response":{"CiphertextBlob":"a==-k-b==-k-c","KeyId":"93866e69-9755-11ef-8e65-52540089bc41",
                      "RequestId":"017f4b2a-4ae8-4d2c-a0d2-ec15e07d3deb"}}"#;
        let reply = reply(200, body);
        let response = reply.response().unwrap();
        assert_eq!(response.ciphertext_blob().unwrap(), "a==-k-b==-k-c");
        assert_eq!(response.key_id().unwrap(), "93866e69-9755-11ef-8e65-52540089bc41");
        assert_eq!(response.request_id(), Some("017f4b2a-4ae8-4d2c-a0d2-ec15e07d3deb"));
    }

    #[test]
    fn a_ciphertext_blob_is_short_and_printable() {
        for (blob, is_valid) in [
            ("a==-k-b", true),
            (&*"x".repeat(CIPHERTEXT_BLOB_MAX), true),
            (&*"x".repeat(CIPHERTEXT_BLOB_MAX + 1), false),
            ("a b", false),
            ("a\\u001b[2J", false),
            ("a\\u009b2J", false),
            ("\u{202e}", false),
        ] {
            let reply = reply(200, &format!(r#"{{"Response":{{"CiphertextBlob":"{blob}"}}}}"#));
            assert_eq!(reply.response().unwrap().ciphertext_blob().is_ok(), is_valid, "{blob:.20}");
        }
    }

    #[test]
    fn a_plaintext_is_read_where_it_is() {
        let reply = reply(200, r#"{"Response":{"Plaintext":"c2VjcmV0","RequestId":"r"}}"#);
        let plaintext = reply.response().unwrap().plaintext.unwrap();
        assert!(matches!(plaintext.0, Cow::Borrowed("c2VjcmV0")));
    }

    #[test]
    fn every_error_code_is_one_word() {
        let error = error(200, r#"{"Response":{"Error":{"Code":"A b\nstatus=TCKMS_OK","Message":"m"}}}"#);
        assert_eq!(error.service_code(), Some("A_b_status=TCKMS_OK"));
    }

    #[test]
    fn an_error_of_the_service_keeps_its_code_and_request_id() {
        let body = r#"{"Response":{"Error":{"Code":"ResourceUnavailable.CmkDisabled","Message":"The CMK is disabled."},
                      "RequestId":"r-1"}}"#;
        for status in [200, 500] {
            let error = error(status, body);
            assert_eq!(error.status(), Status::CmkDisabled);
            assert_eq!(error.service_code(), Some("ResourceUnavailable.CmkDisabled"));
            assert_eq!(error.request_id(), Some("r-1"));
            assert!(!error.is_retryable());
        }
    }

    #[test]
    fn only_what_the_service_calls_transient_is_retryable() {
        let retryable = |code: &str| {
            let body = format!(r#"{{"Response":{{"Error":{{"Code":"{code}","Message":""}},"RequestId":"r"}}}}"#);
            error(200, &body).is_retryable()
        };
        for code in [
            "RequestLimitExceeded",
            "RequestLimitExceeded.IPLimitExceeded",
            "InternalError",
            "ServiceUnavailable",
            "UnsupportedOperation.ServiceTemporaryUnavailable",
        ] {
            assert!(retryable(code), "{code}");
        }
        for code in [
            "ResourceUnavailable.CmkDisabled",
            "ResourceUnavailable",
            "UnsupportedOperation",
            "LimitExceeded",
            "AuthFailure.SignatureFailure",
            "ResourceInsufficient",
        ] {
            assert!(!retryable(code), "{code}");
        }
    }

    #[test]
    fn replies_of_other_servers_have_specific_errors() {
        let cases = [
            (200, "<html>", Status::ResponseNotJson),
            (200, "", Status::ResponseNotJson),
            (200, r#"{"Response":{"KeyId":"#, Status::ResponseNotJson),
            (200, "{}", Status::ResponseMalformed),
            (200, r#"{"Response":1}"#, Status::ResponseMalformed),
            (200, r#"{"Response":{"KeyId":1}}"#, Status::ResponseMalformed),
            (301, "", Status::HttpRedirect),
            (404, "{}", Status::HttpStatus),
            (500, "oops", Status::HttpStatus),
            (502, "<html><title>Bad Gateway</title>", Status::HttpUnavailable),
            (429, "", Status::HttpUnavailable),
        ];
        for (status, body, expected) in cases {
            let error = error(status, body);
            assert_eq!((error.status(), error.http_status()), (expected, Some(status)), "{status} {body}");
        }
    }

    #[test]
    fn a_web_page_is_shown_and_a_broken_answer_is_not() {
        assert!(error(502, "<html><title>Bad Gateway</title>").message().contains("Bad Gateway"));
        let broken = error(200, r#"{"Response":{"Plaintext":"c2VjcmV0""#);
        assert!(!broken.message().contains("c2VjcmV0"), "{broken}");
        let wrong_type = error(200, r#"{"Response":{"KeyId":123456}}"#);
        assert!(!wrong_type.message().contains("123456"), "{wrong_type}");
    }

    #[test]
    fn a_missing_or_broken_field_is_named() {
        let reply = reply(200, r#"{"Response":{"Plaintext":"%%%","RequestId":"r-2"}}"#);
        let response = reply.response().unwrap();
        for error in [response.key_id().err().unwrap(), response.plaintext().err().unwrap()] {
            assert_eq!((error.status(), error.request_id()), (Status::ResponseMalformed, Some("r-2")));
            assert!(error.message().contains("KeyId") || error.message().contains("Plaintext"), "{error}");
        }
    }

    #[test]
    fn control_characters_of_the_other_side_do_not_reach_a_log() {
        let body = r#"{"Response":{"Error":{"Code":"X","Message":"a\nb\u001bc\u009bd"},"RequestId":"r"}}"#;
        assert!(error(200, body).message().starts_with("a b\\u{1b}c\\u{9b}d (X"));
    }

    #[test]
    fn a_request_id_that_could_forge_a_log_line_is_none() {
        for id in ["one\\ntwo", "one two", "\\u001b[31m", "密", &"x".repeat(129)] {
            let answer = reply(200, &format!(r#"{{"Response":{{"RequestId":"{id}"}}}}"#));
            assert_eq!(answer.response().unwrap().request_id(), None, "{id}");
            let refusal = format!(r#"{{"Response":{{"Error":{{"Code":"X"}},"RequestId":"{id}"}}}}"#);
            assert_eq!(error(200, &refusal).request_id(), None, "{id}");
        }
    }

    #[test]
    fn the_response_object_is_passed_on_as_it_is() {
        let reply = reply(200, r#"{"Response": {"A" : [1, 2.50],"RequestId":"r"} }"#);
        assert_eq!(reply.response_json().unwrap(), r#"{"A" : [1, 2.50],"RequestId":"r"}"#);
    }
}
