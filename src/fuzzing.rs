//! What fuzz targets need and C has not: a reply of the service that comes from nowhere. Only built for fuzzing.

use crate::client::KeyInfo;
use crate::error::Result;
use crate::http::exchange::HttpReply;
use crate::seal::Context;
use crate::seal::{Binding, BranchSecret, BranchWrapped};
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

/// Parses a data key that is wrapped under a branch key, and unwraps it with the branch key of the vectors in
/// docs/sealing.md. Returns the branch id, and whether the data key is authentic.
pub fn read_branch_wrapped(bytes: &[u8]) -> Result<(String, bool)> {
    let key: Vec<u8> = (0..32).collect();
    let key = BranchSecret::new(&Secret::copy_of(&key)?);
    let context = Context::from_pairs([("tenant", "t1")]);
    let cmk = b"ap-guangzhou/93866e69-9755-11ef-8e65-52540089bc41";
    let wrapped = BranchWrapped::parse(bytes)?;
    let data_key = wrapped.unwrap(&key, Binding { provider_info: cmk, context: &context });
    Ok((wrapped.branch_id.to_owned(), data_key.is_ok()))
}
