//! What fuzz targets need and C has not: a reply of the service that comes from nowhere. Only built for fuzzing.

use crate::client::KeyInfo;
use crate::error::Result;
use crate::http::exchange::HttpReply;
use crate::secret::Secret;

/// Parses a reply as all calls do, and returns the lengths of its fields.
pub fn read_reply(status: u16, body: &[u8]) -> Result<[usize; 4]> {
    let reply = HttpReply { status, body: Secret::copy_of(body)?, date: None, retry_after: None };
    let response = reply.response()?;
    let length = |text: &str| text.len();
    Ok([
        reply.response_json()?.len(),
        response.key_id().map_or(0, length),
        response.ciphertext_blob().map_or(0, length),
        response.plaintext().map_or(0, |plaintext| plaintext.len()),
    ])
}

/// Parses the description of a key, and returns the lengths of its texts.
pub fn read_key_info(body: &[u8]) -> Result<usize> {
    let reply = HttpReply { status: 200, body: Secret::copy_of(body)?, date: None, retry_after: None };
    let key: KeyInfo = reply.fields()?;
    key.check()?;
    Ok([key.key_id, key.alias, key.description, key.key_state, key.key_usage].iter().map(String::len).sum())
}
