//! Asks the keys of a keyring for what it takes to seal.

use std::borrow::Cow;

use crate::error::Result;
use crate::seal::format::context::{Context, PUBLIC_KEY};
use crate::seal::format::header;
use crate::seal::format::signature::SigningKey;
use crate::seal::format::suite::Suite;
use crate::seal::keys::branch_supplier::SuppliedBranch;
use crate::seal::keys::wrapping_key::{KeyRequest, WrappingKey};
use crate::seal::materials::Materials;

/// Lets the first key make a data key and every further one wrap it. One that fails fails all: a message without
/// its escrow key would be found out about too late.
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
    // What needs no JSON is only checked against its limit.
    let needs_json = keys.iter().any(|key| !key.is_local()) || !context.is_surely_short();
    let json = if needs_json { context.limited_json()? } else { None };
    let request =
        KeyRequest { context: &context, context_json: json.as_deref(), data_key_len: suite.key_len, early, branch };
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

fn no_key() -> crate::error::Error {
    crate::error::Error::new(crate::status::Status::NoUsableKey, "the keyring has no key that seals")
}
