//! `tckms doctor`: checks configuration, network, credentials and keys, and advises on each problem.
//!
//! Each check is a function that returns findings. The checks run from this machine to the service, and
//! later checks get the results that they need: the reachability of the service, and the client.

mod advice;
mod certificate;
mod finding;
mod installation;
mod machine;
mod network;
mod service;

use std::time::Duration;

use clap::Args;
use serde::Serialize;
use tckms::Config;

use self::finding::{Finding, Verdict};
use crate::connection::Global;
use crate::exit::Exit;
use crate::failure::{Failure, Outcome};
use crate::report;
use crate::text::safe;

/// The timeout of each step of the connection, unless --timeout sets another.
const STEP_TIMEOUT: Duration = Duration::from_secs(5);

#[derive(Args, Debug)]
pub struct Options {
    /// The key id of a CMK to try
    #[arg(short, long, value_name = "KEYID")]
    key: Option<String>,
}

/// The output with --json.
#[derive(Serialize)]
struct Report {
    verdict: Verdict,
    version: &'static str,
    checks: Vec<Finding>,
}

pub fn run(options: &Options, global: &Global) -> Outcome {
    let mut shown = Shown { json: global.json, findings: Vec::new() };
    check(options, global, &mut shown)?;
    let verdict = shown.findings.iter().map(|finding| finding.verdict).max().unwrap_or(Verdict::Ok);
    let failed = shown.findings.iter().find(|finding| finding.verdict == Verdict::Failed);
    let exit = failed.map_or(Exit::Done, |finding| finding.exit);
    let report = Report { verdict, version: env!("CARGO_PKG_VERSION"), checks: shown.findings };
    report::result(&report, |report| report::line(summary(report)));
    Ok(exit)
}

fn summary(report: &Report) -> &'static str {
    match report.verdict {
        Verdict::Ok | Verdict::Skipped => "\nNo problem was found.",
        Verdict::Warning => "\nNo check failed; see the warnings.",
        Verdict::Failed => "\nA check failed; see the first failure.",
    }
}

fn check(options: &Options, global: &Global, shown: &mut Shown) -> Outcome<()> {
    let timeout = global.timeout.unwrap_or(STEP_TIMEOUT);
    shown.add(machine::version())?;
    shown.add(machine::system())?;
    // Without a region there is no client. The connection does not depend on the region, so any region serves to check it.
    let with_region =
        Global { region: Some(global.region()?.unwrap_or_else(|| "ap-guangzhou".to_owned())), ..global.clone() };
    let config = match with_region.config().and_then(checked) {
        Ok(config) => config,
        Err(failure) => {
            shown.add(Finding::failed("configuration", failure))?;
            return shown.add_all(installation::check());
        }
    };
    let connection = config.reach(timeout);
    shown.add(network::clock(&connection))?;
    shown.add_all(service::credentials(&config, global, timeout))?;
    let client = service::Client::new(&with_region, timeout);
    shown.add(service::region(global, &connection, client.as_ref()))?;
    let has_proxy = global.proxy()?.is_some();
    shown.add_all(network::connection(&config, &connection, has_proxy))?;
    match &client {
        Some(client) => shown.add_all(client.check(&config, options.key.as_deref(), &connection))?,
        None => shown.add(Finding::skipped("signature", "there are no credentials"))?,
    }
    shown.add_all(installation::check())
}

/// Fails if no client can have this configuration. The check of the credentials reports what is wrong with those.
fn checked(config: Config) -> Outcome<Config> {
    match tckms::Client::new(&config).map_err(Failure::from) {
        Err(failure) if failure.exit == Exit::Usage => Err(failure),
        _ => Ok(config),
    }
}

/// The findings so far. Text output shows each one at once.
struct Shown {
    json: bool,
    findings: Vec<Finding>,
}

impl Shown {
    fn add(&mut self, finding: Finding) -> Outcome<()> {
        if !self.json {
            finding.print();
            report::flush()?;
        }
        self.findings.push(finding);
        Ok(())
    }

    fn add_all(&mut self, findings: Vec<Finding>) -> Outcome<()> {
        findings.into_iter().try_for_each(|finding| self.add(finding))
    }
}

impl Finding {
    fn print(&self) {
        let (mark, colour) = match self.verdict {
            Verdict::Ok => ("ok", "32"),
            Verdict::Warning => ("warning", "33"),
            Verdict::Failed => ("FAILED", "31;1"),
            Verdict::Skipped => ("skipped", "2"),
        };
        let mark =
            if report::stdout_has_colours() { format!("\x1b[{colour}m{mark:<7}\x1b[0m") } else { format!("{mark:<7}") };
        report::line(&format!("{mark}  {:<15}  {}", self.check, safe(&self.found)));
        if let Some(advice) = &self.advice {
            report::line(&format!("{:<26}→ {}", "", safe(advice)));
        }
    }
}
