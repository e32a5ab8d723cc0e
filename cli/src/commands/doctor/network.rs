//! Checks the connection to the service: clock, DNS, TCP, proxy, TLS.

use std::time::{Duration, SystemTime};

use tckms::Config;
use tckms::diagnosis::Reachability;

use super::certificate;
use super::finding::{Finding, Verdict};

/// The service refuses signatures of this age.
const CLOCK_LIMIT: Duration = Duration::from_secs(300);
/// A clock that is off by more is a warning.
const CLOCK_NOTICE: Duration = Duration::from_secs(5);

pub type Connection = tckms::Result<Reachability>;

/// Whether the service replied.
pub fn is_open(connection: &Connection) -> bool {
    connection.as_ref().is_ok_and(|connection| matches!(connection.answered, Some(Ok(_))))
}

pub fn clock(connection: &Connection) -> Finding {
    let reply = match connection {
        Ok(Reachability { answered: Some(Ok(reply)), .. }) => reply,
        _ => return Finding::skipped("clock", "not compared: the service was not reached"),
    };
    let Some(date) = reply.date else {
        return Finding::skipped("clock", "not compared: the reply has no Date header");
    };
    let (off, direction) = difference(reply.received, date);
    let found = match off {
        off if off < CLOCK_NOTICE => return Finding::ok("clock", "within 5 s of the clock of the service"),
        off => format!("{} s {direction} the clock of the service", off.as_secs()),
    };
    let advice = "correct the clock of this machine (timedatectl set-ntp true)";
    if off >= CLOCK_LIMIT {
        return Finding::new("clock", Verdict::Failed, found).with_cause(
            "clock_off",
            format!("{advice}: the service refuses signatures whose time is off by 5 minutes"),
        );
    }
    Finding::warning("clock", "clock_off", found, advice)
}

fn difference(ours: SystemTime, theirs: SystemTime) -> (Duration, &'static str) {
    match ours.duration_since(theirs) {
        Ok(ahead) => (ahead, "ahead of"),
        Err(behind) => (behind.duration(), "behind"),
    }
}

/// Each step of the connection, up to the one that failed.
pub fn connection(config: &Config, connection: &Connection, has_proxy: bool) -> Vec<Finding> {
    // With a proxy, the first connection is to the proxy.
    let first_hop = |check, error: &tckms::Error| match has_proxy {
        true => Finding::error(check, error)
            .with_cause("proxy_unreachable", "this is the proxy: correct TCKMS_PROXY or --proxy, or start the proxy"),
        false => Finding::error(check, error),
    };
    let mut findings = vec![endpoint(config)];
    let connection = match connection {
        Ok(connection) => connection,
        Err(error) => {
            findings.push(Finding::error("network", error));
            return findings;
        }
    };
    if let Some(resolved) = &connection.resolved {
        findings.push(match resolved {
            Ok(addresses) => {
                let addresses: Vec<_> = addresses.iter().map(|address| address.ip().to_string()).collect();
                Finding::ok("DNS", format!("{} is {}", connection.first_hop, addresses.join(", ")))
            }
            Err(error) => first_hop("DNS", error),
        });
    }
    if let Some(connected) = &connection.connected {
        findings.push(match connected {
            Ok((address, elapsed)) => {
                Finding::ok("TCP", format!("connected to {address} in {} ms", elapsed.as_millis()))
            }
            Err(error) => first_hop("TCP", error),
        });
    }
    if let Some(tunneled) = &connection.tunneled {
        findings.push(match tunneled {
            Ok(()) => Finding::ok("proxy", format!("{} opened a tunnel to the service", connection.first_hop)),
            Err(error) => Finding::error("proxy", error),
        });
    } else if matches!(connection.connected, Some(Ok(_))) {
        findings.push(Finding::skipped("proxy", "none is configured"));
    }
    findings.extend(tls(connection));
    if let Some(answered) = &connection.answered {
        findings.push(match answered {
            Ok(reply) => Finding::ok(
                "HTTP",
                format!("replied with HTTP status {} in {} ms", reply.http_status, reply.elapsed.as_millis()),
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

fn tls(connection: &Reachability) -> Option<Finding> {
    let certificate = connection.certificates.first().map(|der| certificate::describe(der));
    Some(match connection.tls.as_ref()? {
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
                    "the server closed the connection during the handshake: a firewall filters by name, or the server does not support TLS 1.2",
                );
            }
            finding
        }
    })
}
