//! The bytes of a message, and their encryption and authentication.

pub(super) mod branch_id;
pub(super) mod branch_record;
pub(super) mod branch_wrap;
pub(super) mod content_key;
pub(super) mod context;
pub(super) mod frame;
pub(super) mod header;
mod length_prefix;
pub(super) mod limits;
pub(super) mod message_id;
pub(super) mod signature;
pub(super) mod suite;
pub(super) mod wrapped_key;
