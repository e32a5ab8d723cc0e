//! `tckms seal`, and the code that it shares with `tckms open`.

use std::ffi::OsString;

use clap::Args;
use tckms::Status;
use tckms::seal::{Context, DescriptorJob, Keyring};

use super::delivery::{self, OutputOption};
use super::keyring::{KeyOptions, Purpose};
use crate::connection::Global;
use crate::context::ContextOptions;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::files::input::Input;
use crate::files::output::Output;
use crate::files::screen::Screen;
use crate::interrupt;
use crate::progress::Progress;
use crate::values::number;

#[derive(Args, Debug)]
pub struct Options {
    #[command(flatten)]
    keys: KeyOptions,
    #[command(flatten)]
    context: ContextOptions,
    /// Sign the message, so that those who can open it cannot forge it
    #[arg(short, long)]
    sign: bool,
    /// Leave the branch key out of the message, which then opens only with --branch-file
    #[arg(long, requires_all = ["branch", "branch_file"])]
    by_reference: bool,
    #[command(flatten)]
    transfer: TransferOptions,
}

/// The options that sealing and opening have in common.
#[derive(Args, Debug)]
pub struct TransferOptions {
    #[command(flatten)]
    pub output: OutputOption,
    /// The number of threads, 1 to 256; default: all cores
    #[arg(short, long, value_name = "THREADS", allow_hyphen_values = true, value_parser = number::<u32>(1, 256))]
    threads: Option<u32>,
    /// Show no progress, even on a terminal
    #[arg(short, long)]
    quiet: bool,
    /// Allow -o to name the input itself
    #[arg(long)]
    overwrite_input: bool,
    /// The input; "-" or none for standard input
    #[arg(value_name = "FILE")]
    file: Option<OsString>,
}

pub fn run(options: &Options, global: &Global) -> Outcome {
    options.keys.check(Purpose::Seal)?;
    let context = options.context.for_message()?;
    let transfer = &options.transfer;
    if transfer.output.output.is_none() && rustix::termios::isatty(rustix::stdio::stdout()) {
        return Err(Failure::usage("a sealed message is not written to a terminal; use -o FILE"));
    }
    transfer.run(Direction::Seal, global, |global| {
        let mut keyring = options.keys.sealing_keyring(options.by_reference, global)?;
        keyring.set_signing(options.sign);
        Ok((keyring, context))
    })
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    Seal,
    /// Whether parts of a signed message may be released before its signature is verified.
    Open {
        signed_allowed: bool,
    },
}

impl TransferOptions {
    pub fn run(
        &self,
        direction: Direction,
        global: &Global,
        keys: impl FnOnce(&Global) -> Outcome<(Keyring, Context)>,
    ) -> Outcome {
        interrupt::catch();
        let mut output = Output::find(self.output.output.as_deref(), direction != Direction::Seal)?;
        let input = Input::open(self.file.as_deref())?;
        let (keyring, context) = keys(global)?;
        if output.is_input(&input) && !(self.overwrite_input && output.is_atomic()) {
            return Err(Failure::wrong_file(
                output.name(),
                if output.is_atomic() {
                    "this is the input file; use --overwrite-input to replace it"
                } else {
                    "the input file is the output file"
                },
            ));
        }
        output.open()?;
        self.transfer(direction, &keyring, &context, &input, &output)?;
        output.finish()?;
        Ok(Exit::Done)
    }

    fn transfer(
        &self,
        direction: Direction,
        keyring: &Keyring,
        context: &Context,
        input: &Input,
        output: &Output,
    ) -> Outcome<()> {
        // A bar on the terminal that shows the data would overwrite them.
        let mut progress = Progress::new(self.quiet || output.is_terminal());
        let screen = match direction {
            Direction::Open { .. } => output.screen()?,
            Direction::Seal => None,
        };
        let has_stopped = || screen.as_ref().is_some_and(Screen::has_stopped);
        let limit = if direction == Direction::Seal { input.size() } else { None };
        let mut over_limit = false;
        let mut show = |done: u64, total: Option<u64>| {
            progress.show(done, total);
            over_limit = limit.is_some_and(|limit| done > limit);
            !over_limit && !interrupt::received() && !has_stopped()
        };
        let mut job = DescriptorJob {
            threads: self.threads.unwrap_or(0),
            signed_allowed: output.is_atomic() || direction == (Direction::Open { signed_allowed: true }),
            progress: Some(&mut show),
        };
        let (from, to) = (input.number(), screen.as_ref().map_or(output.number(), Screen::number));
        let outcome = match direction {
            Direction::Seal => keyring.seal_descriptor(context, from, to, &mut job),
            Direction::Open { .. } => keyring.open_descriptor(context, from, to, &mut job),
        };
        progress.end();
        if let Some(screen) = screen
            && !screen.finish(output.name())?
        {
            return Err(delivery::binary_at_terminal("use -o FILE"));
        }
        outcome.map_err(|error| explain(direction, input, output, error, over_limit))?;
        // Opened data is authentic in any case. A sealed file that changed may mix old and new content.
        if direction == Direction::Seal { input.check_unchanged() } else { Ok(()) }
    }
}

/// The failure: the error of the library, unless the progress callback stopped the transfer.
fn explain(direction: Direction, input: &Input, output: &Output, error: tckms::Error, over_limit: bool) -> Failure {
    if error.status() == Status::Canceled && interrupt::received() {
        let why = if output.is_atomic() { interrupt::text() } else { "interrupted; it is incomplete" };
        return Failure::failed(output.name(), why);
    }
    if error.status() == Status::Canceled && over_limit {
        return Failure::failed(input.name(), "the file grew while it was read");
    }
    let verb = if direction == Direction::Seal { "seal" } else { "open" };
    let status = error.status();
    let failure = Failure::from(error).about(format!("cannot {verb} {} to {}", input.name(), output.name()));
    if status == Status::SignedNotAllowed {
        return failure.with_advice(
            "for a signed message, use -o FILE, which writes nothing before the signature is verified, or -s, which does",
        );
    }
    failure
}
