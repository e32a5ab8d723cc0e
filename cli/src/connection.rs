//! The options of every command, and the client that they configure.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args};
use tckms::{Client, Config, LogEvent, LogLevel, Site, host};

use crate::failure::{Failure, Outcome};
use crate::report;

const HEADING: &str = "Options of every command";

#[derive(Args, Clone, Debug, Default)]
pub struct Global {
    /// Use the credentials in this section of ~/.tencentcloud/credentials instead of the default chain
    #[arg(long, global = true, value_name = "NAME", help_heading = HEADING)]
    pub profile: Option<String>,

    /// The region, such as ap-guangzhou; default: TENCENTCLOUD_REGION
    #[arg(long, global = true, value_name = "REGION", help_heading = HEADING)]
    pub region: Option<String>,

    /// The endpoint of the service; default: TCKMS_ENDPOINT, or that of the site
    #[arg(long, global = true, value_name = "URL", help_heading = HEADING)]
    pub endpoint: Option<String>,

    /// Use the site tencentcloud.com instead of cloud.tencent.com
    #[arg(long, global = true, help_heading = HEADING)]
    pub international: bool,

    /// Use this HTTP proxy; default: TCKMS_PROXY, which alone may have a password
    #[arg(long, global = true, value_name = "URL", help_heading = HEADING)]
    pub proxy: Option<String>,

    /// Trust the certificates in this PEM file instead of those of the system; default: TCKMS_CA_FILE
    #[arg(long, global = true, value_name = "FILE", help_heading = HEADING)]
    pub ca_file: Option<PathBuf>,

    /// The total timeout of a call with all its attempts: seconds, or a number with ms, s or m; default: 30
    #[arg(long, global = true, value_name = "TIME", value_parser = parse_time, help_heading = HEADING)]
    pub timeout: Option<Duration>,

    /// Print results, notes and failures as JSON
    #[arg(long, global = true, help_heading = HEADING)]
    pub json: bool,

    /// Log each attempt on standard error, without secrets; given twice: also log the waits
    #[arg(short, long, global = true, action = ArgAction::Count, help_heading = HEADING)]
    pub verbose: u8,
}

impl Global {
    pub fn client(&self) -> Outcome<Client> {
        Ok(Client::new(&self.config()?)?)
    }

    /// The configuration of the client.
    pub fn config(&self) -> Outcome<Config> {
        let mut config = self.config_without_credentials()?;
        match &self.profile {
            Some(profile) => config.set_default_profile_credentials(Some(profile))?,
            None => config.set_default_credentials()?,
        }
        Ok(config)
    }

    /// The configuration without credentials. An option takes precedence over its variable.
    pub fn config_without_credentials(&self) -> Outcome<Config> {
        let mut config = Config::new();
        let region = self.region()?.ok_or_else(no_region)?;
        config.set_region(&region)?;
        if self.international {
            config.set_site(Site::International);
        }
        if let Some(url) = self.endpoint()? {
            config.set_endpoint(&url)?;
        }
        if let Some(url) = variable("TCKMS_STS_ENDPOINT")? {
            config.set_sts_endpoint(&url)?;
        }
        if let Some(url) = variable("TCKMS_METADATA_ENDPOINT")? {
            config.set_metadata_endpoint(&url)?;
        }
        if let Some(url) = self.proxy()? {
            config.set_proxy(&url)?;
        }
        config.set_insecure_http_allowed(insecure_http_allowed()?);
        if let Some(path) = self.ca_file()? {
            config.set_ca_file(&path);
        }
        if let Some(timeout) = self.timeout {
            config.set_total_timeout(timeout)?;
            config.set_try_timeout(timeout.min(Duration::from_secs(10)))?;
        }
        config.set_user_agent_suffix(concat!("tckms ", env!("CARGO_PKG_VERSION")))?;
        self.set_log(&mut config);
        Ok(config)
    }

    pub fn region(&self) -> Outcome<Option<String>> {
        option_or(self.region.as_deref(), "TENCENTCLOUD_REGION")
    }

    pub fn endpoint(&self) -> Outcome<Option<String>> {
        option_or(self.endpoint.as_deref(), "TCKMS_ENDPOINT")
    }

    pub fn proxy(&self) -> Outcome<Option<String>> {
        if self.proxy.as_deref().is_some_and(has_password) {
            return Err(Failure::usage(
                "--proxy takes no password, because other users can read a command line; put the URL into TCKMS_PROXY",
            ));
        }
        option_or(self.proxy.as_deref(), "TCKMS_PROXY")
    }

    pub fn ca_file(&self) -> Outcome<Option<PathBuf>> {
        match &self.ca_file {
            Some(path) => Ok(Some(path.clone())),
            None => Ok(set_variable("TCKMS_CA_FILE").map(PathBuf::from)),
        }
    }

    fn set_log(&self, config: &mut Config) {
        let level = match self.verbose {
            0 => return,
            1 => LogLevel::Info,
            _ => LogLevel::Debug,
        };
        let json = self.json;
        config.set_log(level, Box::new(move |event| log(event, json)));
    }
}

/// The events of the library contain no secret and no terminal control character.
fn log(event: &LogEvent<'_>, json: bool) {
    let context = &event.context;
    let milliseconds = context.elapsed.map(|elapsed| elapsed.as_millis() as u64);
    if json {
        let value = serde_json::json!({
            "log": event.message, "action": context.action, "attempt": context.attempt, "ms": milliseconds,
            "status": context.status.map(|status| status.name().to_string_lossy()), "request_id": context.request_id,
        });
        return report::to_stderr(&report::json_text(&value));
    }
    let mut line = format!("tckms: {}", event.message);
    if let Some(request_id) = context.request_id.filter(|request_id| !event.message.contains(*request_id)) {
        line += &format!(" (request {request_id})");
    }
    report::to_stderr(&line);
}

/// Whether a URL has a password, or something that may be one.
fn has_password(url: &str) -> bool {
    let authority = url.split_once("://").map_or(url, |(_, rest)| rest);
    authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
}

fn no_region() -> Failure {
    Failure::usage(if host::is_privileged() {
        "no region is configured; use --region, such as ap-guangzhou: this program has privileges that its caller does not \
         have (setuid, setgid or file capabilities), so it reads no environment variable"
    } else {
        "no region is configured; set TENCENTCLOUD_REGION or use --region, such as ap-guangzhou"
    })
}

fn option_or(option: Option<&str>, name: &str) -> Outcome<Option<String>> {
    option.map_or_else(|| variable(name), |option| Ok(Some(option.to_owned())))
}

/// A variable that is set but empty counts as not set. In a program with privileges that its caller does not have, no
/// variable is set, as in the library: otherwise the caller could choose where the program's credentials are used.
fn set_variable(name: &str) -> Option<OsString> {
    if host::is_privileged() {
        return None;
    }
    std::env::var_os(name).filter(|value| !value.is_empty())
}

pub fn variable(name: &str) -> Outcome<Option<String>> {
    let value = set_variable(name).map(OsString::into_string).transpose();
    value.map_err(|_| Failure::usage(format!("the environment variable {name} is not valid UTF-8")))
}

fn insecure_http_allowed() -> Outcome<bool> {
    match variable("TCKMS_INSECURE_HTTP_ALLOWED")?.as_deref() {
        None | Some("0") => Ok(false),
        Some("1") => Ok(true),
        Some(_) => Err(Failure::usage("the environment variable TCKMS_INSECURE_HTTP_ALLOWED must be 0 or 1")),
    }
}

/// `30`, `1.5`, `500ms`, `30s` or `2m`.
fn parse_time(text: &str) -> Result<Duration, String> {
    const SECOND: u128 = 1_000_000_000;
    let (number, unit) = match text {
        _ if text.ends_with("ms") => (&text[..text.len() - 2], 1_000_000),
        _ if text.ends_with('s') => (&text[..text.len() - 1], SECOND),
        _ if text.ends_with('m') => (&text[..text.len() - 1], 60 * SECOND),
        _ => (text, SECOND),
    };
    let time = parse_decimal(number).and_then(|billionths| Some(billionths.checked_mul(unit)? / SECOND));
    let allowed = |nanoseconds: &u128| (1_000_000..=tckms::TIMEOUT_MAX.as_nanos()).contains(nanoseconds);
    match time.filter(allowed) {
        Some(nanoseconds) => Ok(Duration::from_nanos(nanoseconds as u64)),
        None => Err("a time is a number of seconds, or a number with ms, s or m, from 1ms to 60m".to_owned()),
    }
}

/// A decimal number in billionths; further digits are ignored. Floating-point numbers would add 20 kB to the tool.
fn parse_decimal(text: &str) -> Option<u128> {
    const DIGITS: usize = 9;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() + fraction.len() == 0 || !is_number(whole) || !is_number(fraction) {
        return None;
    }
    format!("{whole}{fraction:0<DIGITS$.DIGITS$}").parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_in_a_url_are_detected() {
        for url in ["http://a:b@proxy:3128", "a:b@proxy", "http://a:@proxy", "http://:b@proxy/", "http://a:b@c@proxy"] {
            assert!(has_password(url), "{url}");
        }
        for url in ["http://proxy:3128", "http://a@proxy:3128", "proxy", "", "http://[::1]:3128"] {
            assert!(!has_password(url), "{url}");
        }
    }

    #[test]
    fn times_have_units() {
        let times = [("30", 30_000), ("1.5", 1500), ("500ms", 500), ("30s", 30_000), ("2m", 120_000), ("0.05m", 3000)];
        let odd = [(".5", 500), ("2.", 2000), ("00060m", 3_600_000), ("1.0000000000000000000000000000000000001ms", 1)];
        for (text, milliseconds) in times.into_iter().chain(odd) {
            assert_eq!(parse_time(text), Ok(Duration::from_millis(milliseconds)), "{text}");
        }
        for text in
            ["", "0", "-1", "1h", "61m", "s", "ms", "1e3", "inf", "NaN", ".", "1 s", "1.2.3", "60.001m", "0.999ms"]
        {
            assert!(parse_time(text).is_err(), "{text}");
        }
    }
}
