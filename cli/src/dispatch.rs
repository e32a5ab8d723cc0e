//! Runs the command of the command line.

use clap::CommandFactory;

use crate::cli::{Cli, Command};
use crate::commands::*;
use crate::failure::Outcome;
use crate::interrupt;

pub fn run(cli: &Cli) -> Outcome {
    interrupt::ignore_write_signals();
    let global = &cli.global;
    match &cli.command {
        Command::Encrypt(options) => encrypt::run(options, global),
        Command::Decrypt(options) => decrypt::run(options, global),
        Command::Reencrypt(options) => reencrypt::run(options, global),
        Command::DataKey(options) => data_key::run(options, global),
        Command::Random(options) => random::run(options, global),
        Command::Seal(options) => seal::run(options, global),
        Command::Open(options) => open::run(options, global),
        Command::Info(options) => info::run(options),
        Command::Reseal(options) => reseal::run(options, global),
        Command::Sign(options) => sign::run(options, global),
        Command::Verify(options) => verify::run(options, global),
        Command::PublicKey(options) => public_key::run(options, global),
        Command::Certificate(command) => certificate::run(command, global),
        Command::RsaEncrypt(options) => rsa::encrypt(options, global),
        Command::RsaDecrypt(options) => rsa::decrypt(options, global),
        Command::Keys(command) => keys::run(command, global),
        Command::Branch(command) => branch::run(command, global),
        Command::Call(options) => call::run(options, global),
        Command::Pkcs11(command) => pkcs11::run(command, global),
        Command::Exec(options) => exec::run(options, global),
        Command::Credentials(options) => credentials::run(options, global),
        Command::Doctor(options) => doctor::run(options, global),
        Command::Completions(options) => completions::run(options, &Cli::command()),
        Command::ManPages(options) => completions::write_man_pages(options, Cli::command()),
    }
}
