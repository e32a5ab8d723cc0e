//! What sealing costs beside the bare cipher of the same crypto library, and beside OpenSSL.
//!
//! All are in one process and take turns, so that what else the machine does befalls them alike. The library is the
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

use crate::error::{Error, Result};
use crate::placement::{self, Place};
use evp::OpenSsl;
use figures::{Report, Section};
use library::Library;

/// The frame length that messages have unless another is set.
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

/// Measures everything, saying on stderr what is under way.
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

/// On a thread of its own, since a thread keeps its place and what follows needs more than one core.
fn on_one_core(work: impl FnOnce() -> Result<Vec<Section>> + Send) -> Result<Vec<Section>> {
    let pinned = || {
        placement::take(Place::Clients);
        work()
    };
    std::thread::scope(|scope| scope.spawn(pinned).join()).map_err(|_| Error::from("the measurement panicked"))?
}

/// How busy the machine is: what waits for a processor, over the last minute.
fn load_average() -> String {
    let text = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split(' ').next().filter(|load| !load.is_empty()).unwrap_or("unknown").to_owned()
}
