//! What wraps and unwraps data keys: a CMK, an RSA key, or a program's own scheme.

use std::fmt;

use crate::error::Result;
use crate::seal::format::context::Context;
use crate::seal::format::wrapped_key::WrappedKey;
use crate::seal::keys::branch_supplier::SuppliedBranch;
use crate::secret::Secret;
use crate::sys::random;

/// What a data key is wanted for.
#[derive(Clone, Copy)]
pub struct KeyRequest<'a> {
    /// All pairs of the message's context, the public key of a signed message among them.
    pub context: &'a Context,
    /// The same as canonical JSON; nothing when there are no pairs.
    pub context_json: Option<&'a str>,
    /// The data key's length in bytes.
    pub data_key_len: usize,
    /// The request renews a key that still works: it had better fail than wait.
    pub early: bool,
    /// The branch that the keyring's supplier names.
    pub(in crate::seal) branch: &'a SuppliedBranch,
}

/// What it takes to unwrap a data key, by which a message is kept from causing too much of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnwrapCost {
    /// A request to a service. Keys with the same number ask the same one, with the same credentials.
    Request(u64),
    /// An RSA operation, which takes milliseconds of a core.
    PrivateKeyOperation,
    /// Whatever a program's callback does.
    Callback,
}

/// One way to wrap data keys, as a keyring holds it.
pub trait WrappingKey: Send + Sync {
    /// The identity of this key; two keys with the same identity unwrap the same data keys.
    fn identity(&self) -> Vec<u8>;

    /// Whether it takes part in sealing.
    fn can_wrap(&self) -> bool;

    /// Whether it mostly wraps and unwraps without a request: then it costs nothing to give each message a data key of its
    /// own, and caching data keys saves nothing.
    fn is_local(&self) -> bool {
        false
    }

    /// Makes a data key and wraps it. Random bytes of this process, unless the scheme has better ones.
    fn generate(&self, request: &KeyRequest<'_>) -> Result<(Secret, WrappedKey)> {
        let mut data_key = Secret::zeroed(request.data_key_len)?;
        random::fill(data_key.expose_mut())?;
        let wrapped = self.wrap(request, &data_key)?;
        Ok((data_key, wrapped))
    }

    /// Wraps a data key that another key of the keyring made.
    fn wrap(&self, request: &KeyRequest<'_>, data_key: &Secret) -> Result<WrappedKey>;

    /// Whether a wrapped key claims to be of this key. Only those are unwrapped.
    fn claims(&self, wrapped: &WrappedKey) -> bool;

    /// What, instead of its context, tells the messages of a wrapped key's kind from others, where requests are limited
    /// because messages did not open.
    fn request_group(&self, wrapped: &WrappedKey) -> Option<String> {
        let _ = wrapped;
        None
    }

    /// Runs a wait before a request. What cancels the request cancels the wait.
    fn cancelable(&self, wait: &mut dyn FnMut()) {
        wait();
    }

    /// Writes a warning into the log of the service's client, if there is one. No lock is held.
    fn warn(&self, message: fmt::Arguments<'_>) {
        let _ = message;
    }

    /// What [`unwrap`](Self::unwrap) takes.
    fn unwrap_cost(&self) -> UnwrapCost {
        UnwrapCost::Callback
    }

    /// Gets the data key back, if that takes no more than what is in memory already. Otherwise
    /// [`unwrap`](Self::unwrap) is asked.
    fn unwrap_locally(&self, request: &KeyRequest<'_>, wrapped: &WrappedKey) -> Option<Result<Secret>> {
        let _ = (request, wrapped);
        None
    }

    /// Gets the data key back.
    fn unwrap(&self, request: &KeyRequest<'_>, wrapped: &WrappedKey) -> Result<Secret>;
}
