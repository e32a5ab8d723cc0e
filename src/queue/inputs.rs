//! What outstanding calls have of the host, and who runs them.

use std::time::Instant;

use crate::client::Client;
use crate::http::thread::ThreadNumber;
use crate::queue::operation::{Operation, SealOperation};
use crate::sys::lend::{Lender, NeverRunsAgain};

/// What runs a call, and what it borrows for that.
pub(super) enum Runner {
    NetworkThread {
        number: ThreadNumber,
        client: Lender<Client>,
        operation: Lender<Operation>,
    },
    /// The worker may be inside a callback of the host: if the call is canceled, it is done at once.
    Worker {
        deadline: Instant,
        operation: Lender<SealOperation>,
    },
}

/// The inputs of a call that is done. Freeing a client or a keyring may call the host, so that happens on a thread of the host.
#[derive(Default)]
pub(crate) struct Inputs {
    /// Has the plaintext.
    operation: Option<Lender<Operation>>,
    _client: Option<Lender<Client>>,
    _key_phase: Option<Lender<SealOperation>>,
}

impl Runner {
    pub fn is_network_thread(&self, thread: ThreadNumber) -> bool {
        matches!(self, Self::NetworkThread { number, .. } if *number == thread)
    }

    pub fn deadline(&self) -> Option<Instant> {
        match self {
            Self::NetworkThread { .. } => None,
            Self::Worker { deadline, .. } => Some(*deadline),
        }
    }

    pub fn into_inputs(self) -> Inputs {
        match self {
            Self::NetworkThread { client, operation, .. } => Inputs::of_call(client, operation),
            Self::Worker { operation, .. } => Inputs::of_key_phase(operation),
        }
    }

    /// The inputs of a call whose thread never runs again.
    pub fn take_back(&self, proof: &NeverRunsAgain) -> Inputs {
        match self {
            Self::NetworkThread { client, operation, .. } => {
                Inputs::of_call(client.take_back(proof), operation.take_back(proof))
            }
            Self::Worker { operation, .. } => Inputs::of_key_phase(operation.take_back(proof)),
        }
    }
}

impl Inputs {
    fn of_call(client: Lender<Client>, operation: Lender<Operation>) -> Self {
        Self { operation: Some(operation), _client: Some(client), _key_phase: None }
    }

    fn of_key_phase(operation: Lender<SealOperation>) -> Self {
        Self { _key_phase: Some(operation), ..Self::default() }
    }

    pub fn take_operation(&mut self) -> Option<Lender<Operation>> {
        self.operation.take()
    }
}
