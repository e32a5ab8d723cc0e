//! One call of the service with all its attempts.

pub(crate) mod caller;
mod clock;
pub(crate) mod limits;
pub(crate) mod rate_limiter;
pub(crate) mod request;
pub(crate) mod response;
mod retry;
