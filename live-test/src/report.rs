//! Compares the observed answers with the documented ones.

use std::fmt::{self, Write as _};
use std::{fs, io};

use crate::cases::Case;
use crate::cli::Options;
use crate::session::{Answer, Session};

/// The result of comparing an answer with the documented one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Same,
    Different,
    NotAllowed,
    Failed,
}

impl fmt::Display for Verdict {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.pad(match self {
            Self::Same => "same",
            Self::Different => "different",
            Self::NotAllowed => "not allowed",
            Self::Failed => "failed",
        })
    }
}

/// The answers to all questions.
#[derive(Default)]
pub struct Report {
    rows: Vec<(&'static Case, Verdict, String)>,
}

impl Report {
    pub fn add(&mut self, case: &'static Case, answer: Answer) -> Verdict {
        let (verdict, text) = match answer {
            Answer::Observed(text) if text == case.expected => (Verdict::Same, text),
            Answer::Observed(text) => (Verdict::Different, text),
            Answer::NotAllowed(reason) => (Verdict::NotAllowed, reason),
            Answer::Failed(reason) => (Verdict::Failed, reason),
        };
        self.rows.push((case, verdict, text));
        verdict
    }

    pub fn has(&self, verdict: Verdict) -> bool {
        self.rows.iter().any(|(_, other, _)| *other == verdict)
    }

    /// Prints the report, and writes it where the options say.
    pub fn write(&self, options: &Options, session: &Session) -> io::Result<()> {
        let text = self.markdown(session.requests());
        print!("{text}");
        options.report.as_ref().map_or(Ok(()), |file| fs::write(file, &text))
    }

    fn markdown(&self, requests: u32) -> String {
        let mut text =
            String::from("# Answers of KMS\n\n| question | documented | observed | verdict |\n|---|---|---|---|\n");
        for (case, verdict, seen) in &self.rows {
            let guess = if case.is_guess { " (a guess)" } else { "" };
            let _ = writeln!(text, "| {} | {}{guess} | {} | {verdict} |", case.name, case.expected, one_line(seen));
        }
        let count = |verdict| self.rows.iter().filter(|(_, other, _)| *other == verdict).count();
        let _ = writeln!(
            text,
            "\n{} questions: {} same, {} different, {} not allowed, {} failed; {requests} requests.",
            self.rows.len(),
            count(Verdict::Same),
            count(Verdict::Different),
            count(Verdict::NotAllowed),
            count(Verdict::Failed),
        );
        text
    }
}

/// Text of the service as one cell of a table.
fn one_line(text: &str) -> String {
    text.replace('|', "\\|").chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}
