//! `tckms call`.

use std::ffi::OsString;

use clap::Args;
use tckms::REQUEST_JSON_MAX;

use super::delivery::{self, OutputOption};
use crate::connection::Global;
use crate::failure::{Failure, Outcome};
use crate::files::input::Input;
use crate::text::safe_json;

#[derive(Args, Debug)]
pub struct Options {
    /// The action, such as DescribeKey
    #[arg(value_name = "ACTION")]
    action: String,
    /// The parameters as a JSON object; "-" reads it from standard input. Other users can read arguments: pass secrets with --file
    /// or "-"
    #[arg(value_name = "JSON", default_value = "{}")]
    parameters: String,
    /// Read the parameters from FILE
    #[arg(long, value_name = "FILE", conflicts_with = "parameters")]
    file: Option<OsString>,
    #[command(flatten)]
    output: OutputOption,
}

/// Prints the reply of the service unchanged, in one line, except that terminal control characters are escaped.
pub fn run(options: &Options, global: &Global) -> Outcome {
    let output = options.output.find(true)?;
    let client = global.client()?;
    let from = match (&options.file, options.parameters.as_str()) {
        (Some(file), _) => Some(Some(file.as_os_str())),
        (None, "-") => Some(None),
        _ => None,
    };
    let reply = match from {
        Some(path) => {
            let content = Input::open(path)?.read_all(REQUEST_JSON_MAX)?;
            let json = std::str::from_utf8(content.expose())
                .map_err(|_| Failure::usage("the parameters are not valid UTF-8; a JSON object is expected"))?;
            client.call(&options.action, json)?
        }
        None => client.call(&options.action, &options.parameters)?,
    };
    let text = std::str::from_utf8(reply.json.expose()).unwrap_or_default();
    match safe_json(text) {
        std::borrow::Cow::Borrowed(_) => delivery::secret_json(output, "", &reply.json, ""),
        std::borrow::Cow::Owned(safe) => {
            let safe = zeroize::Zeroizing::new(safe);
            delivery::text(output, &safe)
        }
    }
}
