//! The way to the service: clock, name, connection, proxy, TLS.

use std::time::{Duration, SystemTime};

use tckms::Config;
use tckms::diagnosis::Reachability;

use super::certificate;
use super::finding::{Finding, Verdict};

/// The service refuses a signature that is this old or older.
const CLOCK_LIMIT: Duration = Duration::from_secs(300);
/// A clock that is this far off is told.
const CLOCK_NOTICE: Duration = Duration::from_secs(5);

pub type Way = tckms::Result<Reachability>;

/// Whether the service was reached, as far as its first answer.
pub fn is_open(way: &Way) -> bool {
    way.as_ref().is_ok_and(|way| matches!(way.answered, Some(Ok(_))))
}

pub fn clock(way: &Way) -> Finding {
    let answer = match way {
        Ok(Reachability { answered: Some(Ok(answer)), .. }) => answer,
        _ => return Finding::skipped("clock", "not compared: the service was not reached"),
    };
    let Some(date) = answer.date else {
        return Finding::skipped("clock", "not compared: the answer has no Date");
    };
    let (off, direction) = difference(answer.received, date);
    let found = match off {
        off if off < CLOCK_NOTICE => return Finding::ok("clock", "within 5 s of the service's"),
        off => format!("{} s {direction} the service's clock", off.as_secs()),
    };
    let advice = "set this machine's clock (timedatectl set-ntp true)";
    if off >= CLOCK_LIMIT {
        return Finding::new("clock", Verdict::Failed, found)
            .with_cause("clock_off", format!("{advice}: the service refuses signatures that are 5 minutes off"));
    }
    Finding::warning("clock", "clock_off", found, advice)
}

fn difference(ours: SystemTime, theirs: SystemTime) -> (Duration, &'static str) {
    match ours.duration_since(theirs) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    }
}

/// Each step that was gone, up to the one that failed.
pub fn way(config: &Config, way: &Way) -> Vec<Finding> {
    let mut findings = vec![endpoint(config)];
    let way = match way {
        Ok(way) => way,
        Err(error) => {
            findings.push(Finding::error("network", error));
            return findings;
        }
    };
    if let Some(resolved) = &way.resolved {
        findings.push(match resolved {
            Ok(addresses) => {
                let addresses: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
                Finding::ok("DNS", format!("{} is {}", way.first_hop, addresses.join(", ")))
            }
            Err(error) => Finding::error("DNS", error),
        });
    }
    if let Some(connected) = &way.connected {
        findings.push(match connected {
            Ok((address, elapsed)) => {
                Finding::ok("TCP", format!("connected to {address} in {} ms", elapsed.as_millis()))
            }
            Err(error) => Finding::error("TCP", error),
        });
    }
    if let Some(tunneled) = &way.tunneled {
        findings.push(match tunneled {
            Ok(()) => Finding::ok("proxy", format!("{} opened a tunnel to the service", way.first_hop)),
            Err(error) => Finding::error("proxy", error),
        });
    } else if matches!(way.connected, Some(Ok(_))) {
        findings.push(Finding::skipped("proxy", "none is configured"));
    }
    findings.extend(tls(way));
    if let Some(answered) = &way.answered {
        findings.push(match answered {
            Ok(answer) => Finding::ok(
                "HTTP",
                format!("answered with status {} in {} ms", answer.http_status, answer.elapsed.as_millis()),
            ),
            Err(error) => Finding::error("HTTP", error),
        });
    }
    findings
}

fn endpoint(config: &Config) -> Finding {
    match config.service_url() {
        Ok(url) => Finding::ok("endpoint", url),
        Err(error) => Finding::error("endpoint", &error),
    }
}

fn tls(way: &Reachability) -> Option<Finding> {
    let certificate = way.certificates.first().map(|der| certificate::describe(der));
    Some(match way.tls.as_ref()? {
        Ok(version) => {
            let certificate = certificate.map(|certificate| certificate.text).unwrap_or_default();
            Finding::ok("TLS", format!("{version}; {certificate}"))
        }
        Err(error) => {
            let mut finding = Finding::error("TLS", error);
            if let Some(certificate) = certificate {
                finding.found = format!("{}; {}", finding.found, certificate.text);
                if let Some((cause, advice)) = certificate.problem(error.message()) {
                    finding = finding.with_cause(cause, advice);
                }
            } else if error.status() == tckms::Status::TlsFailed && error.message().contains("does not speak TLS") {
                finding = finding.with_cause(
                    "not_tls",
                    "the port does not speak TLS; check the endpoint, and whether a proxy is needed",
                );
            } else if error.status() == tckms::Status::TlsFailed {
                finding = finding.with_cause(
                    "tls_cut",
                    "the server closed the connection within the handshake: a firewall that filters by name, or no TLS 1.2 at the other end",
                );
            }
            finding
        }
    })
}
