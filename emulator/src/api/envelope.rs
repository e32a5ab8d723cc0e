//! The JSON around the result of every action (docs/kms-service.md, "Replies").

use serde_json::{Value, json};

use crate::api::answer::Answer;
use crate::error::ApiError;

/// Wraps a result: `{"Response":{…,"RequestId":"…"}}`.
pub fn wrap(answer: Answer, request_id: &str) -> Vec<u8> {
    let mut response = answer.unwrap_or_else(|error| describe(&error));
    response["RequestId"] = request_id.into();
    json!({ "Response": response }).to_string().into_bytes()
}

fn describe(error: &ApiError) -> Value {
    json!({ "Error": { "Code": error.code, "Message": error.message } })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(answer: Answer) -> Value {
        serde_json::from_slice(&wrap(answer, "id")).unwrap()
    }

    #[test]
    fn every_reply_has_a_request_id_and_only_a_failure_has_an_error() {
        assert_eq!(parsed(Ok(json!({ "KeyId": "k" }))), json!({ "Response": { "KeyId": "k", "RequestId": "id" } }));
        assert_eq!(
            parsed(Err(ApiError::new("InvalidAction", "no"))),
            json!({ "Response": { "Error": { "Code": "InvalidAction", "Message": "no" }, "RequestId": "id" } })
        );
    }
}
