//! Answers from memory, for Miri, which runs neither AWS-LC nor a network. Part of no build but Miri's.

use std::time::UNIX_EPOCH;

use crate::error::{Error, Result};
use crate::http::exchange::{HttpReply, HttpRequest};
use crate::secret::Secret;
use crate::status::Status;

/// The only CMK.
pub(crate) const KEY_ID: &str = "3f0b8c4e-0000-4000-8000-4b65794f6e65";

/// The reply to each action. It ignores the parameters.
pub(crate) fn answer(request: &HttpRequest) -> Result<HttpReply> {
    let action = request.headers().get("x-tc-action").and_then(|action| action.to_str().ok());
    let answer = match action {
        Some("Encrypt") => format!(r#""KeyId":"{KEY_ID}","CiphertextBlob":"YQ==-k-Yg==-k-Yw==""#),
        Some("Decrypt") => format!(r#""KeyId":"{KEY_ID}","Plaintext":"eA==""#),
        Some("ReEncrypt") => {
            format!(r#""KeyId":"{KEY_ID}","SourceKeyId":"{KEY_ID}","CiphertextBlob":"YQ==-k-Yg==-k-ZA==""#)
        }
        Some("GenerateDataKey") => {
            let key = crate::encoding::base64_encode(&[7; 32]);
            format!(r#""KeyId":"{KEY_ID}","Plaintext":"{key}","CiphertextBlob":"YQ==-k-Yg==-k-Yw==""#)
        }
        Some("GenerateRandom") => r#""Plaintext":"AAECAwQFBgcICQoLDA0ODw==""#.to_owned(),
        Some("ListKeys") => r#""Keys":[],"TotalCount":0"#.to_owned(),
        Some(_) => r#""Error":{"Code":"ResourceUnavailable.CmkNotFound","Message":"no such key"}"#.to_owned(),
        None => return Err(Error::new(Status::ConnectFailed, "only the key service is mocked")),
    };
    let body = format!(r#"{{"Response":{{{answer},"RequestId":"r-1"}}}}"#);
    Ok(HttpReply { status: 200, body: Secret::copy_of(body.as_bytes())?, date: Some(UNIX_EPOCH), retry_after: None })
}
