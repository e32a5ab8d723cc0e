//! Selects the branch of a message.

use crate::error::{Error, Result};
use crate::seal::format::branch_id::BranchId;
use crate::seal::format::context::Context;

/// Names the branch of a context, for sealing and for opening: one branch for each tenant or table.
pub trait BranchSupplier: Send + Sync {
    /// The branch of messages with this context. It is called for each message, and must always return the same branch
    /// for a context.
    fn branch_of(&self, context: &Context) -> Result<BranchId>;
}

/// The result of the keyring's supplier for a message.
pub(in crate::seal) enum SuppliedBranch {
    /// The keyring has no supplier, or no branch keys.
    NotAsked,
    Named(BranchId),
    Failed(Error),
}

impl SuppliedBranch {
    /// Calls the supplier with the context of the writer, without the public key of a signed message, which does not exist yet when
    /// the branch is selected for sealing.
    pub fn ask(supplier: &dyn BranchSupplier, context: &Context) -> Self {
        match supplier.branch_of(&context.without_reserved()) {
            Ok(branch_id) => Self::Named(branch_id),
            Err(error) => Self::Failed(error),
        }
    }
}
