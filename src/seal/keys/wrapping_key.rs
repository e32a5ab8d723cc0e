//! The trait of keys that wrap and unwrap data keys: CMKs, RSA keys, branch keys and custom keys.

use std::fmt;

use crate::error::Result;
use crate::seal::format::context::Context;
use crate::seal::format::wrapped_key::WrappedKey;
use crate::seal::keys::branch_supplier::SuppliedBranch;
use crate::secret::Secret;
use crate::sys::clock::Moment;
use crate::sys::random;

/// The message that a data key is for.
#[derive(Clone, Copy)]
pub struct KeyRequest<'a> {
    /// All pairs of the message's context, including the public key of a signed message.
    pub context: &'a Context,
    /// The context as canonical JSON; `None` without pairs.
    pub context_json: Option<&'a str>,
    /// The length of the data key in bytes.
    pub data_key_len: usize,
    /// Whether this renews a key that still works, so that failing is better than waiting.
    pub early: bool,
    /// The branch that the keyring's supplier names.
    pub(in crate::seal) branch: &'a SuppliedBranch,
    /// When sealing, or a request to open it, began.
    pub(in crate::seal) begun: Option<Moment>,
}

/// The cost of unwrapping a data key, which is bounded for each message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnwrapCost {
    /// A request to a service. Keys with the same number use the same service and credentials.
    Request(u64),
    /// An RSA operation, which takes milliseconds of a core.
    PrivateKeyOperation,
    /// A callback of the program.
    Callback,
}

/// A key of a keyring, which wraps data keys.
pub trait WrappingKey: Send + Sync {
    /// The identity of this key; two keys with the same identity unwrap the same data keys.
    fn identity(&self) -> Vec<u8>;

    /// Whether it can seal.
    fn can_wrap(&self) -> bool;

    /// Whether it usually wraps and unwraps without a request. Then each message can have its own data key, and caching data keys
    /// saves nothing.
    fn is_local(&self) -> bool {
        false
    }

    /// Generates a data key and wraps it. The default uses random bytes of this process.
    fn generate(&self, request: &KeyRequest<'_>) -> Result<(Secret, WrappedKey)> {
        let mut data_key = Secret::zeroed(request.data_key_len)?;
        random::fill(data_key.expose_mut())?;
        let wrapped = self.wrap(request, &data_key)?;
        Ok((data_key, wrapped))
    }

    /// Wraps a data key that another key of the keyring generated.
    fn wrap(&self, request: &KeyRequest<'_>, data_key: &Secret) -> Result<WrappedKey>;

    /// Whether a wrapped key names this key. Only such keys are unwrapped.
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

    /// Whether unwrapping would probably wait in vain, so that the other keys of a keyring are tried first.
    fn waits(&self, wrapped: &WrappedKey) -> bool {
        let _ = wrapped;
        false
    }

    /// The cost of [`unwrap`](Self::unwrap).
    fn unwrap_cost(&self) -> UnwrapCost {
        UnwrapCost::Callback
    }

    /// Unwraps the data key if that is possible with data in memory. Otherwise [`unwrap`](Self::unwrap) is called.
    fn unwrap_locally(&self, request: &KeyRequest<'_>, wrapped: &WrappedKey) -> Option<Result<Secret>> {
        let _ = (request, wrapped);
        None
    }

    /// Gets what a request needs from elsewhere than the service, so that a failure says nothing about the service.
    fn prepare(&self, request: &KeyRequest<'_>, wrapped: &WrappedKey) -> Result<()> {
        let _ = (request, wrapped);
        Ok(())
    }

    /// Unwraps the data key.
    fn unwrap(&self, request: &KeyRequest<'_>, wrapped: &WrappedKey) -> Result<Secret>;
}
