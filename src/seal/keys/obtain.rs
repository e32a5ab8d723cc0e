//! Obtains a data key and its wrapped forms from the keys of a keyring.

use std::borrow::Cow;

use crate::error::{Error, Result};
use crate::seal::format::context::{Context, PUBLIC_KEY};
use crate::seal::format::header;
use crate::seal::format::signature::SigningKey;
use crate::seal::format::suite::Suite;
use crate::seal::keys::branch_supplier::SuppliedBranch;
use crate::seal::keys::wrapping_key::{KeyRequest, WrappingKey};
use crate::seal::materials::Materials;
use crate::status::Status;
use crate::sys::clock::Moment;

/// The first key generates a data key, and the others wrap it. If one fails, sealing fails: a message without its escrow key would
/// be noticed too late.
pub(crate) fn obtain(
    suite: &'static Suite,
    context: &Context,
    keys: &[&dyn WrappingKey],
    branch: &SuppliedBranch,
    early: bool,
) -> Result<Materials> {
    let signing_key = suite.is_signed().then(SigningKey::generate).transpose()?;
    let mut context = Cow::Borrowed(context);
    if let Some(key) = &signing_key {
        context.to_mut().insert(PUBLIC_KEY, key.public());
    }
    // Without a key that needs the JSON, only its length is checked.
    let needs_json = keys.iter().any(|key| !key.is_local()) || !context.is_surely_short();
    let json = if needs_json { context.limited_json()? } else { None };
    let request = KeyRequest {
        context: &context,
        context_json: json.as_deref(),
        data_key_len: suite.key_len,
        early,
        branch,
        begun: Some(Moment::now()),
    };
    let (first, others) = keys.split_first().ok_or_else(no_key)?;
    let (data_key, wrapped) = first.generate(&request)?;
    suite.check_data_key(data_key.expose())?;
    let mut wrapped_keys = vec![wrapped];
    for key in others {
        wrapped_keys.push(key.wrap(&request, &data_key)?);
    }
    let fields = header::fields(&context, &wrapped_keys)?;
    Ok(Materials { suite, data_key, fields, signing_key })
}

pub(super) fn no_key() -> Error {
    Error::new(Status::NoUsableKey, "the keyring has no key that can seal")
}
