//! `tckms open`.

use clap::Args;

use super::keyring::{KeyOptions, Purpose};
use super::seal::{Direction, TransferOptions};
use crate::connection::Global;
use crate::context::ContextOptions;
use crate::failure::Outcome;

#[derive(Args, Debug)]
pub struct Options {
    #[command(flatten)]
    keys: KeyOptions,
    #[command(flatten)]
    context: ContextOptions,
    /// Write parts of a signed message before its signature, at the end, is verified
    #[arg(short = 's', long)]
    signed: bool,
    #[command(flatten)]
    transfer: TransferOptions,
}

/// The pairs of the context are the expected ones.
pub fn run(options: &Options, global: &Global) -> Outcome {
    options.keys.check(Purpose::Open)?;
    let expected = options.context.for_message()?;
    options.transfer.run(Direction::Open { signed_allowed: options.signed }, global, |global| {
        Ok((options.keys.opening_keyring(global)?, expected))
    })
}
