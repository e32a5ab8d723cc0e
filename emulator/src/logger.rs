//! The log: one line per message on stderr.

use std::io::Write;

use log::{LevelFilter, Log, Metadata, Record};

struct Stderr;

static LOGGER: Stderr = Stderr;

/// Starts logging the emulator's own messages up to `level`. Later calls only change the level.
pub fn start(level: LevelFilter) {
    // An error means that the logger is installed already.
    let _ = log::set_logger(&LOGGER);
    log::set_max_level(level);
}

impl Log for Stderr {
    /// Libraries are left out: they do not know which of the bytes they handle are secret.
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with(env!("CARGO_CRATE_NAME"))
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            // Nobody reads a closed stderr; that is no reason to stop serving.
            let _ = writeln!(std::io::stderr(), "tckms-emulator: {}: {}", record.level(), record.args());
        }
    }

    fn flush(&self) {}
}
