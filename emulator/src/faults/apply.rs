//! Applies a fault to a reply: replaces it, changes it, or disturbs its transmission.

use std::io::Write;
use std::time::Duration;

use axum::http::header::{CONTENT_ENCODING, HeaderName};
use axum::http::{HeaderValue, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Map, Value};

use crate::error::ApiError;
use crate::faults::script::{Fault, PemFlaw};
use crate::faults::scripted_stream::Step;
use crate::http::{Framing, Reply};

/// Time for the client to read the bytes before a reset: its system may discard unread bytes when the reset arrives.
const BEFORE_RESET: Duration = Duration::from_millis(20);

/// Truncated JSON.
const GARBAGE: &str = r#"{"Response": {"RequestId": "#;

/// JSON of another API.
const NO_RESPONSE: &str = r#"{"code": 0, "message": "", "data": {}}"#;

/// The reply of a reverse proxy whose server is down.
const BAD_GATEWAY: &str = "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n\
    <center><h1>502 Bad Gateway</h1></center>\r\n<hr><center>nginx</center>\r\n</body>\r\n</html>\r\n";

/// The service error of a fault.
pub fn refusal(fault: &Fault) -> Option<ApiError> {
    match fault {
        Fault::Error { code, message } => Some(ApiError::new(code.clone(), message)),
        Fault::ExpireToken {} => Some(ApiError::token_failure()),
        Fault::Throttle { per_second } => {
            let message = format!("There were more than {per_second} calls of this action in a second.");
            Some(ApiError::new("RequestLimitExceeded", message))
        }
        _ => None,
    }
}

/// The reply of a fault that replaces the service's.
pub fn replacement(fault: &Fault) -> Option<Reply> {
    match fault {
        Fault::Status { status, headers, body } => {
            let status = StatusCode::from_u16(*status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            let mut reply = Reply::new(status, "text/plain", body.clone());
            let headers = headers.iter().filter_map(|(name, value)| {
                Some((name.parse::<HeaderName>().ok()?, HeaderValue::from_str(value).ok()?))
            });
            headers.for_each(|(name, value)| drop(reply.headers.insert(name, value)));
            Some(reply)
        }
        Fault::BadGateway {} => Some(Reply::new(StatusCode::BAD_GATEWAY, "text/html", BAD_GATEWAY)),
        Fault::Garbage { body } => Some(Reply::json(body.clone().unwrap_or_else(|| GARBAGE.to_owned()))),
        Fault::NoResponse {} => Some(Reply::json(NO_RESPONSE)),
        _ => None,
    }
}

/// Changes the content of a reply.
pub fn alter(fault: &Fault, mut reply: Reply) -> Reply {
    match fault {
        Fault::ReplaceFields { fields } => edit(&mut reply, |response| replace(response, fields)),
        Fault::TruncateField { field, keep } => edit(&mut reply, |response| truncate(response, field, *keep)),
        Fault::Pad { bytes } => {
            let missing = bytes.saturating_sub(reply.body.len());
            edit(&mut reply, |response| drop(response.insert("Padding".to_owned(), "x".repeat(missing).into())));
        }
        Fault::PublicKeyPem { flaw } => edit(&mut reply, |response| change_pem(response, *flaw)),
        Fault::Gzip {} => {
            reply.body = gzip(&reply.body);
            reply.headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        }
        _ => {}
    }
    reply
}

/// How a connection ends for a fault that does not read the complete request.
pub fn abrupt_end(fault: &Fault) -> Step {
    if matches!(fault, Fault::ResetRequest { .. }) { Step::Reset } else { Step::Close }
}

/// The steps that send a reply for a fault of its transmission; None for any other fault.
pub fn script(fault: &Fault, reply: &Reply) -> Option<Vec<Step>> {
    let body = &reply.body;
    let head = || reply.head(Framing::Length(body.len()));
    Some(match fault {
        Fault::CloseAfterReading {} => vec![Step::Close],
        Fault::ResetReply { after_bytes } => {
            let sent = first(&Bytes::from([head(), body.clone()].concat()), *after_bytes);
            vec![Step::Send(sent), Step::Wait(BEFORE_RESET), Step::Reset]
        }
        Fault::TruncateBody { keep_bytes } => {
            vec![Step::Send(head()), Step::Send(first(body, *keep_bytes)), Step::Close]
        }
        Fault::DelayBody { ms, after_bytes } => {
            let sent = first(body, after_bytes.unwrap_or(body.len() / 2));
            let rest = body.slice(sent.len()..);
            vec![Step::Send(head()), Step::Send(sent), Step::Wait(Duration::from_millis(*ms)), Step::Send(rest)]
        }
        Fault::Drip { bytes, every_ms } => {
            let pause = Duration::from_millis(*every_ms);
            let drops = parts(body, bytes.get()).flat_map(|part| [Step::Wait(pause), Step::Send(part)]);
            std::iter::once(Step::Send(head())).chain(drops).collect()
        }
        Fault::ContentLength { value } => {
            let mut steps = vec![Step::Send(reply.head(Framing::Length(*value))), Step::Send(body.clone())];
            // With too large a value the client would wait for more bytes. With too small a value it reads the rest of
            // this body as the next reply.
            if *value > body.len() {
                steps.push(Step::Close);
            }
            steps
        }
        Fault::Chunked { bytes } => {
            let mut steps = vec![Step::Send(reply.head(Framing::Chunked))];
            steps.extend(parts(body, bytes.get()).map(|part| Step::Send(chunk(&part))));
            steps.push(Step::Send(chunk(b"")));
            steps
        }
        _ => return None,
    })
}

/// Edits the JSON fields of a reply: those of `Response` or, without one, the outermost. Other replies stay as they
/// are.
fn edit(reply: &mut Reply, change: impl FnOnce(&mut Map<String, Value>)) {
    let Ok(mut json) = serde_json::from_slice::<Value>(&reply.body) else { return };
    let fields = if json["Response"].is_object() { &mut json["Response"] } else { &mut json };
    if let Some(fields) = fields.as_object_mut() {
        change(fields);
        reply.body = json.to_string().into();
    }
}

/// Sets fields; null removes one.
fn replace(response: &mut Map<String, Value>, fields: &Map<String, Value>) {
    response.extend(fields.clone());
    response.retain(|_, value| !value.is_null());
}

fn truncate(response: &mut Map<String, Value>, field: &str, keep: usize) {
    if let Some(Value::String(text)) = response.get_mut(field) {
        *text = text.chars().take(keep).collect();
    }
}

/// Changes the PEM of a public key to a malformed form that the service was observed to send.
fn change_pem(response: &mut Map<String, Value>, flaw: PemFlaw) {
    let Some(Value::String(pem)) = response.get("PublicKeyPem") else { return };
    let pem = match flaw {
        PemFlaw::EscapedLineEnds => pem.replace('\n', "\\n"),
        PemFlaw::DoubleBase64 => {
            let lines: Vec<_> = pem.lines().collect();
            let [begin, body @ .., end] = lines.as_slice() else { return };
            format!("{begin}\n{}\n{end}\n", STANDARD.encode(body.concat()))
        }
    };
    response.insert("PublicKeyPem".to_owned(), pem.into());
}

fn gzip(body: &[u8]) -> Bytes {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(body).and_then(|()| encoder.finish()).expect("writing to a Vec does not fail").into()
}

fn first(bytes: &Bytes, count: usize) -> Bytes {
    bytes.slice(..count.min(bytes.len()))
}

fn parts(bytes: &Bytes, size: usize) -> impl Iterator<Item = Bytes> {
    (0..bytes.len()).step_by(size).map(move |start| bytes.slice(start..bytes.len().min(start + size)))
}

fn chunk(bytes: &[u8]) -> Bytes {
    [format!("{:x}\r\n", bytes.len()).as_bytes(), bytes, b"\r\n"].concat().into()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn reply() -> Reply {
        Reply::json(r#"{"Response":{"KeyId":"one","RequestId":"two"}}"#)
    }

    fn altered(fault: Value) -> Value {
        let fault = serde_json::from_value(fault).unwrap();
        serde_json::from_slice(&alter(&fault, reply()).body).unwrap()
    }

    fn sent(fault: Value) -> String {
        let fault = serde_json::from_value(fault).unwrap();
        let steps = script(&fault, &reply()).unwrap();
        let bytes = steps.iter().filter_map(|step| match step {
            Step::Send(bytes) => Some(bytes.to_vec()),
            _ => None,
        });
        String::from_utf8(bytes.flatten().collect()).unwrap()
    }

    #[test]
    fn fields_are_replaced_added_removed_and_truncated() {
        let fields = json!({ "KeyId": "other", "More": 1, "RequestId": null });
        let replaced = altered(json!({ "kind": "replace_fields", "fields": fields }));
        assert_eq!(replaced, json!({ "Response": { "KeyId": "other", "More": 1 } }));
        let truncated = altered(json!({ "kind": "truncate_field", "field": "KeyId", "keep": 2 }));
        assert_eq!(truncated["Response"]["KeyId"], "on");
    }

    #[test]
    fn padding_makes_a_valid_reply_of_at_least_the_requested_size() {
        let fault = serde_json::from_value(json!({ "kind": "pad", "bytes": 5000 })).unwrap();
        let body = alter(&fault, reply()).body;
        assert!((5000..5100).contains(&body.len()));
        assert_eq!(serde_json::from_slice::<Value>(&body).unwrap()["Response"]["KeyId"], "one");
    }

    #[test]
    fn scripts_send_the_complete_reply_or_the_requested_part() {
        let body = String::from_utf8(reply().body.to_vec()).unwrap();
        let complete = sent(json!({ "kind": "drip", "bytes": 7, "every_ms": 1 }));
        assert!(complete.starts_with("HTTP/1.1 200 OK\r\n") && complete.ends_with(&format!("\r\n\r\n{body}")));
        assert_eq!(sent(json!({ "kind": "delay_body", "ms": 1 })), complete);
        assert_eq!(sent(json!({ "kind": "reset_reply", "after_bytes": 8 })), "HTTP/1.1");
        assert_eq!(sent(json!({ "kind": "reset_reply", "after_bytes": 1_000_000 })), complete);
        let truncated = sent(json!({ "kind": "truncate_body", "keep_bytes": 3 }));
        assert!(truncated.ends_with("\r\n\r\n{\"R"));
        assert!(truncated.contains(&format!("content-length: {}\r\n", body.len())));
        assert!(sent(json!({ "kind": "content_length", "value": 5 })).contains("content-length: 5\r\n"));
    }

    #[test]
    fn chunks_contain_the_complete_body() {
        let text = sent(json!({ "kind": "chunked", "bytes": 40 }));
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert!(head.contains("transfer-encoding: chunked") && !head.contains("content-length"));
        let expected = "28\r\n{\"Response\":{\"KeyId\":\"one\",\"RequestId\":\"\r\n6\r\ntwo\"}}\r\n0\r\n\r\n";
        assert_eq!(body, expected);
    }
}
