//! `tckms random`.

use clap::{Args, ValueEnum};
use tckms::Secret;

use super::delivery::{self, OutputOption};
use crate::connection::Global;
use crate::failure::Outcome;
use crate::report::json_text;
use crate::secret_input::encoded;
use crate::values::number;

#[derive(Args, Debug)]
pub struct Options {
    /// The number of bytes, 1 to 1024
    #[arg(value_name = "LENGTH", default_value_t = 32, value_parser = number::<u16>(1, 1024))]
    bytes: u16,
    /// The output format
    #[arg(long, value_enum, default_value_t = Format::Base64)]
    format: Format,
    #[command(flatten)]
    output: OutputOption,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Base64,
    Hex,
    /// The raw bytes
    Raw,
}

pub fn run(options: &Options, global: &Global) -> Outcome {
    let output = options.output.find(true)?;
    let random = global.client()?.generate_random(usize::from(options.bytes))?;
    if global.json {
        let after = format!("\",\"request_id\":{}}}", json_text(&random.request_id));
        return delivery::secret_json(output, "{\"random_base64\":\"", &encoded(random.bytes.expose())?, &after);
    }
    match options.format {
        Format::Base64 => delivery::secret(output, &random.bytes, true),
        Format::Raw => delivery::bytes(output, random.bytes.expose()),
        Format::Hex => delivery::bytes(output, hexadecimal(&random.bytes)?.expose()),
    }
}

fn hexadecimal(bytes: &Secret) -> Outcome<Secret> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut text = Secret::with_capacity(2 * bytes.len() + 1)?;
    for byte in bytes.expose() {
        text.extend_from_slice(&[DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]])?;
    }
    text.extend_from_slice(b"\n")?;
    Ok(text)
}
