//! The second baseline: the bare loop with the work of a client for each call. It encodes the plaintext, writes the JSON,
//! signs it, and parses the reply.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use base16ct::lower::encode_string as hex;
use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use sha2::{Digest, Sha256};

use crate::account::{KEY_ID, SECRET_ID, SECRET_KEY};
use crate::bare::BareLoop;
use crate::caller::Caller;
use crate::error::Result;
use crate::http::RawRequest;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Reply {
    response: Encrypted,
}

/// Owned strings, because a client returns them to its caller.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Encrypted {
    ciphertext_blob: String,
    key_id: String,
    request_id: String,
}

/// A bare loop that builds and signs each request.
pub struct SigningLoop {
    bare: BareLoop,
    host: String,
    plaintext: Vec<u8>,
}

impl SigningLoop {
    pub fn new(endpoint: &str, ca_file: Option<&Path>, recorded: &RawRequest, plaintext_len: usize) -> Result<Self> {
        let host = endpoint.split("://").nth(1).ok_or("the endpoint has no scheme")?.to_owned();
        Ok(Self { bare: BareLoop::new(endpoint, ca_file, recorded)?, host, plaintext: vec![b'x'; plaintext_len] })
    }

    fn authorization(&self, body: &str, timestamp: u64) -> String {
        // The server does not check the date, and every date has the same length.
        let scope = "2026-01-01/kms/tc3_request";
        let canonical = format!(
            "POST\n/\n\ncontent-type:application/json\nhost:{}\n\ncontent-type;host\n{}",
            self.host,
            hex(&Sha256::digest(body))
        );
        let text = format!("TC3-HMAC-SHA256\n{timestamp}\n{scope}\n{}", hex(&Sha256::digest(canonical)));
        let secret_key = SECRET_KEY.to_string_lossy();
        let date_key = hmac(format!("TC3{secret_key}").as_bytes(), b"2026-01-01");
        let signing_key = hmac(&hmac(&date_key, b"kms"), b"tc3_request");
        let signature = hex(&hmac(&signing_key, text.as_bytes()));
        let secret_id = SECRET_ID.to_string_lossy();
        format!(
            "TC3-HMAC-SHA256 Credential={secret_id}/{scope}, SignedHeaders=content-type;host, Signature={signature}"
        )
    }
}

impl Caller for SigningLoop {
    fn call(&self) -> Result<()> {
        let timestamp = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        let plaintext = BASE64.encode(&self.plaintext);
        let body = format!(r#"{{"KeyId":"{}","Plaintext":"{plaintext}"}}"#, KEY_ID.to_string_lossy());
        let authorization = self.authorization(&body, timestamp);
        let reply = self.bare.send(body.into(), |headers| {
            headers.insert("authorization", authorization.parse()?);
            headers.insert("x-tc-timestamp", timestamp.into());
            Ok(())
        })?;
        let Reply { response } = serde_json::from_slice(&reply)?;
        let complete =
            [response.ciphertext_blob, response.key_id, response.request_id].iter().all(|text| !text.is_empty());
        if complete { Ok(()) } else { Err("the reply has an empty field".into()) }
    }
}

fn hmac(key: &[u8], message: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes a key of any length");
    mac.update(message);
    mac.finalize().into_bytes().into()
}
