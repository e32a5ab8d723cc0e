//! The wrappers around the bodies of all exported functions.

use std::sync::Arc;

use cryptoki_sys::*;
use tckms::host;

use crate::error::Result;
use crate::log;
use crate::module::{self, Module};
use crate::session::{OperationKind, Session};

/// Runs the body of a function. Catches a panic, which is a bug of the module.
pub fn call(name: &str, body: impl FnOnce() -> Result<()>) -> CK_RV {
    match host::catch(body) {
        Ok(Ok(())) => CKR_OK,
        Ok(Err(code)) => code,
        Err(panic) => {
            let text = panic.downcast_ref::<&str>().copied().or(panic.downcast_ref::<String>().map(String::as_str));
            let text = text.unwrap_or("a panic without text");
            log::error(format_args!("{name}: a bug in the module, please report it: {text}"));
            CKR_GENERAL_ERROR
        }
    }
}

/// [`call`] for a function that needs the initialised module.
pub fn call_module(name: &str, body: impl FnOnce(&Arc<Module>) -> Result<()>) -> CK_RV {
    call(name, || body(&module::current()?))
}

/// [`call`] for a function that needs a session.
pub fn call_session(name: &str, handle: CK_SESSION_HANDLE, body: impl FnOnce(&Session) -> Result<()>) -> CK_RV {
    call_module(name, |module| body(&*module.sessions().get(handle)?))
}

/// [`call_session`] for a function of an operation. Every error except CKR_BUFFER_TOO_SMALL ends the operation.
pub fn call_ending(
    name: &str,
    handle: CK_SESSION_HANDLE,
    kind: OperationKind,
    body: impl FnOnce(&Session) -> Result<()>,
) -> CK_RV {
    call_session(name, handle, |session| {
        let outcome = body(session);
        if outcome.is_err_and(|code| code != CKR_BUFFER_TOO_SMALL) {
            session.end(kind);
        }
        outcome
    })
}
