//! `tckms open`.

use clap::Args;

use super::keyring::{KeyOptions, Purpose};
use super::seal::{TransferOptions, Work};
use crate::connection::Global;
use crate::context::ContextOptions;
use crate::failure::Outcome;

#[derive(Args, Debug)]
pub struct Options {
    #[command(flatten)]
    keys: KeyOptions,
    #[command(flatten)]
    context: ContextOptions,
    /// Release parts of a signed message before its signature, which comes last, is checked
    #[arg(short = 's', long)]
    signed: bool,
    #[command(flatten)]
    transfer: TransferOptions,
}

/// The pairs of the context are those that the message must have.
pub fn run(options: &Options, global: &Global) -> Outcome {
    options.keys.check(Purpose::Open)?;
    let expected = options.context.for_message()?;
    options.transfer.run(Work::Open { signed_allowed: options.signed }, global, |global| {
        Ok((options.keys.opening_keyring(global)?, expected))
    })
}
