//! Checks credentials, identity, and the operations that the service allows this identity with a key.

use std::time::{Duration, Instant};

use tckms::diagnosis::CredentialsPlace;
use tckms::sign::RsaPadding;
use tckms::{Client as Kms, Config, KeyInfo, Status};

use super::finding::{Finding, Verdict};
use super::network::{self, Connection};
use crate::connection::Global;

/// A context that marks the ciphertexts of this command.
const CONTEXT: &str = r#"{"tckms":"doctor"}"#;
/// Why the checks after a refused signature are skipped.
const NOT_ACCEPTED: &str = "the signature is not accepted";
/// The number of calls that measure the latency.
const CALLS: u32 = 5;
/// A longer median latency is a warning.
const SLOW: Duration = Duration::from_millis(500);

/// Each provider of the chain, and whether any has credentials.
pub fn credentials(config: &Config, global: &Global, timeout: Duration) -> Vec<Finding> {
    let places = match config.look_for_credentials(timeout) {
        Ok(places) => places,
        Err(error) => return vec![Finding::error("credentials", &error)],
    };
    let chosen = places.iter().position(|place| place.outcome.is_ok());
    let mut findings: Vec<_> =
        places.iter().enumerate().map(|(at, place)| place_finding(place, chosen == Some(at))).collect();
    if chosen.is_none() {
        let error = places.iter().filter_map(|place| place.outcome.as_ref().err()).find(|error| !is_absence(error));
        findings.push(match error {
            Some(error) => Finding::error("credentials", error),
            None => {
                let none = Finding::new("credentials", Verdict::Failed, "no provider has credentials");
                let mut none = match &global.profile {
                    Some(profile) => none.with_cause(
                        "profile_missing",
                        format!("write the section [{profile}] to ~/.tencentcloud/credentials, or omit --profile"),
                    ),
                    None => none.with_cause(
                        "credentials_missing",
                        "set TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY, write ~/.tencentcloud/credentials, or bind a role to this machine",
                    ),
                };
                none.exit = crate::exit::Exit::Refused;
                none
            }
        });
    }
    findings
}

fn is_absence(error: &tckms::Error) -> bool {
    matches!(error.status(), Status::NoCredentials | Status::MetadataUnavailable)
}

fn place_finding(place: &CredentialsPlace, is_chosen: bool) -> Finding {
    let name = place.name;
    match &place.outcome {
        Ok(found) => {
            let kind = if found.has_token { "temporary credentials" } else { "a secret id and a secret key" };
            let lifetime = found.lifetime.map(|lifetime| format!(", valid for {} s", lifetime.as_secs()));
            let used =
                if is_chosen { "; these are used" } else { "; not used, because an earlier provider has credentials" };
            Finding::ok(
                "credentials",
                format!("{name}: {kind}{}{}{used}", in_place(&place.place), lifetime.unwrap_or_default()),
            )
        }
        Err(error) if is_absence(error) => Finding::skipped("credentials", format!("{name}: {}", error.message())),
        Err(error) => {
            let mut finding = Finding::error("credentials", error);
            finding.found = format!("{name}: {}", finding.found);
            finding.verdict = Verdict::Warning;
            finding
        }
    }
}

fn in_place(place: &str) -> String {
    if place.is_empty() { String::new() } else { format!(" in {place}") }
}

/// Clients for the checks: one without retries, so that temporary failures are reported, and one with retries.
pub struct Client {
    once: Kms,
    again: Kms,
}

/// Checks that the service knows the region.
pub fn region(global: &Global, connection: &Connection, client: Option<&Client>) -> Finding {
    let region = match global.region() {
        Ok(Some(region)) => region,
        Ok(None) => {
            let mut missing = Finding::new("region", Verdict::Failed, "no region is configured")
                .with_cause("region_missing", "set TENCENTCLOUD_REGION or --region to a region such as ap-guangzhou");
            missing.exit = crate::exit::Exit::Usage;
            return missing;
        }
        Err(failure) => return Finding::failed("region", failure),
    };
    let Some(client) = client.filter(|_| network::is_open(connection)) else {
        return Finding::skipped("region", format!("{region}; not compared with the regions of the service"));
    };
    match client.once.call("GetRegions", "{}").or_else(|_| client.again.call("GetRegions", "{}")) {
        Ok(reply) => {
            let text = String::from_utf8_lossy(reply.json.expose()).into_owned();
            if text.contains(&format!("\"{region}\"")) {
                Finding::ok("region", format!("{region}, which the service knows"))
            } else {
                Finding::warning(
                    "region",
                    "region_unknown",
                    format!("{region}, which is not among the regions of the service"),
                    "`tckms call GetRegions` lists them",
                )
            }
        }
        // Later checks report the failure.
        Err(_) => Finding::ok("region", format!("{region}; the regions of the service are unknown")),
    }
}

impl Client {
    pub fn new(global: &Global, timeout: Duration) -> Option<Self> {
        let client = |attempts| -> Option<Kms> {
            let mut config = global.config().ok()?;
            config.set_max_attempts(attempts).ok()?;
            config.set_total_timeout(timeout).ok()?;
            config.set_try_timeout(timeout).ok()?;
            Kms::new(&config).ok()
        };
        Some(Self { once: client(1)?, again: client(4)? })
    }

    /// Runs a call without retries and, if it fails, again with retries.
    fn try_twice<T>(
        &self,
        check: &'static str,
        call: impl Fn(&Kms) -> tckms::Result<T>,
    ) -> Result<(T, Option<Finding>), Box<Finding>> {
        let first = match call(&self.once) {
            Ok(value) => return Ok((value, None)),
            Err(error) => Finding::error(check, &error),
        };
        match call(&self.again) {
            Ok(value) => Ok((value, Some(first.was_repeated()))),
            // The first failure may be temporary, unlike this one.
            Err(error) => Err(Box::new(Finding::error(check, &error))),
        }
    }

    fn checked(&self, check: &'static str, found: &str, call: impl Fn(&Kms) -> tckms::Result<()>) -> Finding {
        let started = Instant::now();
        match self.try_twice(check, call) {
            Ok((_, None)) => Finding::ok(check, format!("{found}, in {} ms", started.elapsed().as_millis())),
            Ok((_, Some(warning))) => warning,
            Err(failed) => *failed,
        }
    }

    /// All checks that need a signed request. Skips those that would repeat a failure.
    pub fn check(&self, config: &Config, key_id: Option<&str>, connection: &Connection) -> Vec<Finding> {
        const REST: [&str; 3] = ["identity", "key", "latency"];
        let skip = |checks: &[&'static str], why: &str| -> Vec<_> {
            checks.iter().map(|check| Finding::skipped(check, why)).collect()
        };
        if !network::is_open(connection) {
            return skip(&[&["signature"], &REST[..]].concat(), "the service was not reached");
        }
        let signature = self.signature();
        if signature.verdict == Verdict::Failed {
            let why = if signature.is_about_identity() { NOT_ACCEPTED } else { "the calls fail" };
            return [vec![signature], skip(&REST, why)].concat();
        }
        [vec![signature, self.identity(config)], self.key(key_id), self.latency()].concat()
    }

    fn signature(&self) -> Finding {
        let accepted = |outcome: tckms::Result<_>| match outcome {
            // An identity without permission for this action has a valid signature.
            Err(error) if matches!(error.status(), Status::UnauthorizedOperation | Status::CamDenied) => Ok(()),
            other => other.map(|_| ()),
        };
        self.checked("signature", "accepted by the service", |kms| accepted(kms.call("GetServiceStatus", "{}")))
    }

    fn identity(&self, config: &Config) -> Finding {
        match config.caller_identity(Duration::from_secs(10)) {
            Ok(identity) => Finding::ok(
                "identity",
                format!("{} {} of account {}", identity.kind, identity.arn, identity.account_id),
            ),
            Err(error) => {
                let mut finding = Finding::error("identity", &error);
                // KMS does not need STS.
                finding.verdict = Verdict::Warning;
                finding
            }
        }
    }

    fn key(&self, key_id: Option<&str>) -> Vec<Finding> {
        let Some(key_id) = key_id else {
            return vec![Finding::skipped("key", "not checked; --key KEYID checks one")];
        };
        let mut findings = Vec::new();
        let usage = match self.try_twice("key", |kms| kms.describe_key(key_id)) {
            Ok((info, warning)) => {
                findings.extend(warning);
                findings.push(describe(&info));
                Some(info.key_usage)
            }
            Err(failed) => {
                let is_not_permitted = matches!(failed.cause, Some("permission"));
                findings.push(*failed);
                // An identity that may not describe a key may still be allowed to use it.
                is_not_permitted.then(|| "ENCRYPT_DECRYPT".to_owned())
            }
        };
        match usage.as_deref() {
            Some("ENCRYPT_DECRYPT") => findings.extend(self.encryption(key_id)),
            Some(usage) if usage.starts_with("ASYMMETRIC_SIGN_VERIFY") => findings.push(self.signing(key_id)),
            Some(usage) if usage.starts_with("ASYMMETRIC_DECRYPT_RSA") => findings.push(self.rsa(key_id)),
            _ => {}
        }
        findings
    }

    /// Encrypts and decrypts a random value.
    fn encryption(&self, key_id: &str) -> Vec<Finding> {
        let value = random_value();
        let (blob, encrypt) = match self.try_twice("Encrypt", |kms| kms.encrypt(key_id, &value, Some(CONTEXT))) {
            Ok((encrypted, None)) => {
                (Some(encrypted.ciphertext_blob), Finding::ok("Encrypt", "allowed; a random value was encrypted"))
            }
            Ok((encrypted, Some(warning))) => (Some(encrypted.ciphertext_blob), warning),
            Err(failed) => (None, *failed),
        };
        let decrypt = match &blob {
            None => Finding::skipped("Decrypt", "there is nothing to decrypt"),
            Some(blob) => match self.try_twice("Decrypt", |kms| kms.decrypt(Some(key_id), blob, Some(CONTEXT))) {
                Ok((decrypted, _)) if decrypted.plaintext.expose() != value => {
                    Finding::new("Decrypt", Verdict::Failed, "the plaintext differs from the one that was encrypted").with_cause(
                        "plaintext_differs",
                        "another server replies instead of the service, or a proxy changes the replies; check the endpoint and the proxy",
                    )
                }
                Ok((_, None)) => Finding::ok("Decrypt", "allowed; the value is the same"),
                Ok((_, Some(warning))) => warning,
                Err(failed) => *failed,
            },
        };
        let data_key = self
            .checked("GenerateDataKey", "allowed", |kms| kms.generate_data_key(key_id, 32, Some(CONTEXT)).map(|_| ()));
        vec![encrypt, decrypt, data_key]
    }

    fn signing(&self, key_id: &str) -> Finding {
        let value = random_value();
        self.checked("Sign", "allowed; the signature verifies", |kms| {
            let signature = kms.sign(key_id, None, &value)?;
            kms.verify(key_id, None, &value, &signature.bytes)
        })
    }

    fn rsa(&self, key_id: &str) -> Finding {
        let value = random_value();
        self.checked("RsaDecrypt", "allowed; the value is the same", |kms| {
            let ciphertext = kms.rsa_encrypt(key_id, RsaPadding::OaepSha256, &value)?;
            kms.rsa_decrypt(key_id, RsaPadding::OaepSha256, &ciphertext).map(|_| ())
        })
    }

    /// Measures the latency of calls, and checks whether the account is at its rate limit.
    fn latency(&self) -> Vec<Finding> {
        let (mut times, mut failures) = (Vec::new(), Vec::new());
        for _ in 0..CALLS {
            let started = Instant::now();
            match self.once.generate_random(16) {
                Ok(_) => times.push(started.elapsed()),
                Err(error) => failures.push(Finding::error("rate limit", &error)),
            }
        }
        vec![latency_finding(times), rate_finding(failures)]
    }
}

fn latency_finding(mut times: Vec<Duration>) -> Finding {
    times.sort_unstable();
    let Some(median) = times.get(times.len() / 2) else {
        return Finding::skipped("latency", "no call succeeded");
    };
    let milliseconds = |time: Option<&Duration>| time.map_or(0, Duration::as_millis);
    let found = format!(
        "{} ms to {} ms, median {} ms",
        milliseconds(times.first()),
        milliseconds(times.last()),
        median.as_millis()
    );
    if times.last().is_some_and(|slowest| *slowest > SLOW) {
        let advice = "the service or the network is slow; the endpoint of a nearer region may be faster";
        return Finding::warning("latency", "slow", found, advice);
    }
    Finding::ok("latency", found)
}

fn rate_finding(mut failures: Vec<Finding>) -> Finding {
    let failed = failures.len();
    match failures.pop() {
        None => Finding::ok("rate limit", format!("{CALLS} consecutive calls succeeded")),
        Some(mut failure) => {
            failure.found = format!("{failed} of {CALLS} consecutive calls failed: {}", failure.found);
            failure.verdict = Verdict::Warning;
            failure
        }
    }
}

fn describe(info: &KeyInfo) -> Finding {
    let found = format!("{} ({}), {}, {}", info.key_id, info.alias, info.key_state, info.key_usage);
    match info.key_state.as_str() {
        "Enabled" => Finding::ok("key", found),
        "Disabled" => Finding::warning("key", "key_disabled", found, format!("`tckms keys enable {}`", info.key_id)),
        "PendingDelete" => Finding::warning(
            "key",
            "key_pending_deletion",
            found,
            format!("`tckms keys cancel-deletion {0}`, then `tckms keys enable {0}`", info.key_id),
        ),
        "PendingImport" => {
            Finding::warning("key", "key_pending_import", found, format!("`tckms keys import --key {}`", info.key_id))
        }
        "Archived" => Finding::warning(
            "key",
            "key_archived",
            found,
            "an archived key can only decrypt; cancel the archiving in the console",
        ),
        _ => Finding::warning("key", "key_state", found, "this version does not know the state"),
    }
}

fn random_value() -> [u8; 16] {
    let mut value = [0; 16];
    // It need not be unpredictable.
    for (target, byte) in value.iter_mut().zip(Instant::now().elapsed().as_nanos().to_le_bytes()) {
        *target = byte ^ std::process::id() as u8;
    }
    let _ = tckms::host::fill_random(&mut value);
    value
}
