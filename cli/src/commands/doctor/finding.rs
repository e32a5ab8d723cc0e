//! The result of a check.

use serde::Serialize;

use super::advice;
use crate::exit::Exit;
use crate::failure::{Failure, exit_of};

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    Skipped,
    Ok,
    Warning,
    Failed,
}

/// One line of the report.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    pub check: &'static str,
    pub verdict: Verdict,
    pub found: String,
    /// The advice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub advice: Option<String>,
    /// A stable name of the cause, such as `clock_off`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service_code: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    /// The exit status of the program when this is the first check that failed.
    #[serde(skip)]
    pub exit: Exit,
}

impl Finding {
    pub fn new(check: &'static str, verdict: Verdict, found: impl Into<String>) -> Self {
        Self {
            check,
            verdict,
            found: found.into(),
            advice: None,
            cause: None,
            status: None,
            service_code: None,
            request_id: None,
            exit: Exit::Failed,
        }
    }

    pub fn ok(check: &'static str, found: impl Into<String>) -> Self {
        Self::new(check, Verdict::Ok, found)
    }

    pub fn skipped(check: &'static str, found: impl Into<String>) -> Self {
        Self::new(check, Verdict::Skipped, found)
    }

    pub fn warning(
        check: &'static str,
        cause: &'static str,
        found: impl Into<String>,
        advice: impl Into<String>,
    ) -> Self {
        let finding = Self::new(check, Verdict::Warning, found);
        Self { cause: Some(cause), advice: Some(advice.into()), ..finding }
    }

    pub fn failed(check: &'static str, failure: Failure) -> Self {
        match &failure.error {
            Some(error) => Self::error(check, error),
            None => {
                let found = failure.what.map_or(failure.why.clone(), |what| format!("{what}: {}", failure.why));
                let finding = Self::new(check, Verdict::Failed, found);
                Self { cause: Some("configuration"), advice: failure.advice, exit: failure.exit, ..finding }
            }
        }
    }

    /// An error of the library, with cause and advice for its status.
    pub fn error(check: &'static str, error: &tckms::Error) -> Self {
        let diagnosis = advice::of(error);
        Self {
            advice: Some(diagnosis.advice),
            cause: Some(diagnosis.cause),
            status: Some(error.status().name().to_string_lossy().into_owned()),
            service_code: error.service_code().map(str::to_owned),
            request_id: error.request_id().map(str::to_owned),
            exit: exit_of(error.status()),
            ..Self::new(check, Verdict::Failed, error.message())
        }
    }

    pub fn with_cause(mut self, cause: &'static str, advice: impl Into<String>) -> Self {
        (self.cause, self.advice) = (Some(cause), Some(advice.into()));
        self
    }

    /// Whether the identity was refused, or there are no credentials.
    pub fn is_about_identity(&self) -> bool {
        self.exit == Exit::Refused
    }

    /// Marks a check that failed at first and succeeded when repeated.
    pub fn was_repeated(mut self) -> Self {
        self.verdict = Verdict::Warning;
        self.found = format!("it succeeded when it was repeated; at first: {}", self.found);
        self
    }
}
