//! Compares sealing with the bare cipher of the same crypto library, and with OpenSSL.
//!
//! All candidates are in one process and alternate, so that other load on the machine affects all of them. The library is the
//! shared object that is installed, called through its C functions.

mod cipher;
mod evp;
mod files;
mod large;
mod library;
mod memory;
mod messages;
mod turns;

pub mod figures;

use std::fs;
use std::path::Path;

use crate::affinity::{self, Role};
use crate::error::{Error, Result};
use evp::OpenSsl;
use figures::{Report, Section};
use library::Library;

/// The default frame length of messages.
const FRAME_LEN: usize = 65_536;

/// How much is measured.
struct Effort {
    /// Bytes of the large message.
    large: usize,
    large_rounds: usize,
    /// Messages of 1 KiB in each turn.
    messages: usize,
    message_rounds: usize,
}

const FULL: Effort = Effort { large: 1 << 30, large_rounds: 11, messages: 20_000, message_rounds: 31 };
const QUICK: Effort = Effort { large: 64 << 20, large_rounds: 5, messages: 2_000, message_rounds: 9 };

/// Measures everything, and prints the current part on standard error.
pub fn run(shared_library: &Path, quick: bool) -> Result<Report> {
    let effort = if quick { QUICK } else { FULL };
    let library = Library::open(shared_library)?;
    let openssl = OpenSsl::open()?;
    let load_before = load_average();
    let mut sections = on_one_core(|| {
        let mut sections = large::measure(&library, &openssl, &effort)?;
        sections.push(messages::measure(&library, &effort)?);
        Ok(sections)
    })?;
    sections.push(files::measure(&library, &effort)?);
    let load = format!("{load_before} before, {} after", load_average());
    Ok(Report { openssl: openssl.version().to_owned(), load, sections })
}

/// Runs `work` on a new thread: a thread stays bound to its CPU, and later measurements need more than one.
fn on_one_core(work: impl FnOnce() -> Result<Vec<Section>> + Send) -> Result<Vec<Section>> {
    let bound = || {
        affinity::bind(Role::Client);
        work()
    };
    std::thread::scope(|scope| scope.spawn(bound).join()).map_err(|_| Error::from("the measurement panicked"))?
}

/// The number of threads that run or wait for a processor, averaged over the last minute.
fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().filter(|load| !load.is_empty()).unwrap_or("unknown").to_owned()
}
