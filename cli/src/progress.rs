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
        let seconds = self.started.elapsed().as_secs_f64();
        let megabytes = done as f64 / 1e6;
        let rate = if seconds > 0.0 { megabytes / seconds } else { 0.0 };
        self.draw(done, total, &format!("{megabytes:.1} MB {rate:.1} MB/s"));
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
            let part = (done as f64 / total as f64).min(1.0);
            let filled = "#".repeat((part * BAR_WIDTH as f64) as usize);
            format!("[{filled:<BAR_WIDTH$}] {:3.0}% ", part * 100.0)
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
