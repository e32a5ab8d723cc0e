//! The progress of long operations on a terminal.

use std::io::{IsTerminal, Write};
use std::time::Instant;

const BAR_WIDTH: usize = 30;

/// A line on standard error that is redrawn.
pub struct Progress {
    wanted: bool,
    shown: bool,
    started: Instant,
}

impl Progress {
    /// Shows nothing if `quiet` is set or standard error is not a terminal.
    pub fn new(quiet: bool) -> Self {
        Self { wanted: !quiet && std::io::stderr().is_terminal(), shown: false, started: Instant::now() }
    }

    /// Shows the bytes done and the total.
    pub fn show(&mut self, done: u64, total: Option<u64>) {
        let milliseconds = self.started.elapsed().as_millis().max(1);
        let rate = u128::from(done) / milliseconds * 1000;
        self.draw(done, total, &format!("{} MB {} MB/s", megabytes(done.into()), megabytes(rate)));
    }

    /// Shows the items done and the total.
    pub fn show_count(&mut self, done: u64, total: u64, what: &str) {
        self.draw(done, Some(total), &format!("{done} of {total} {what}"));
    }

    fn draw(&mut self, done: u64, total: Option<u64>, rest: &str) {
        if !self.wanted {
            return;
        }
        self.shown = true;
        let bar = total.filter(|total| *total > 0).map(|total| {
            let part = |of: usize| (u128::from(done.min(total)) * of as u128 / u128::from(total)) as usize;
            format!("[{:<BAR_WIDTH$}] {:3}% ", "#".repeat(part(BAR_WIDTH)), part(100))
        });
        let line = format!("\r{}{rest}   ", bar.unwrap_or_default());
        let _ = std::io::stderr().write_all(line.as_bytes());
    }

    /// Keeps the last state and starts a new line.
    pub fn end(&mut self) {
        if std::mem::take(&mut self.shown) {
            let _ = std::io::stderr().write_all(b"\n");
        }
    }
}

/// With one digit after the decimal point. Floating-point numbers would add 20 kB to the tool.
fn megabytes(bytes: u128) -> String {
    let tenths = bytes / 100_000;
    format!("{}.{}", tenths / 10, tenths % 10)
}
