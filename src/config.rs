//! The settings of a client.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::api::limits::CallLimits;
use crate::api::rate_limiter::RateLimiter;
use crate::credentials::Credentials;
use crate::error::{Error, Result};
use crate::http::endpoint::{self, Endpoint};
use crate::http::proxy::Proxy;
use crate::http::settings::PoolLimits;
use crate::http::tls::{CA_PEM_MAX, CaBundle};
use crate::log::{Log, LogCallback, LogLevel};
use crate::providers::{CredentialsCallback, DEFAULT_PROFILE, Role, Source, check_role_name};
use crate::site::Site;
use crate::status::Status;

/// Longest time any timeout can be set to: one hour.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(3600);
/// Most attempts a call can be allowed.
pub const MAX_ATTEMPTS_MAX: u32 = 20;
/// Most connections a client can be allowed at the same time.
pub const MAX_CONNECTIONS_MAX: u32 = 1024;
/// Highest rate and burst a client can be limited to, per second.
pub const RATE_MAX: u32 = 1_000_000;
/// Longest user-agent suffix (the official SDKs' limit for a custom client name).
pub const USER_AGENT_SUFFIX_MAX: usize = 128;

/// A builder: every setter checks its value, and every setting has a safe default.
#[derive(Clone, Default)]
pub struct Config {
    pub(crate) region: Option<String>,
    pub(crate) endpoint: Option<Endpoint>,
    pub(crate) site: Option<Site>,
    pub(crate) insecure_http_allowed: bool,
    pub(crate) credentials: Option<Source>,
    pub(crate) metadata_endpoint: Option<Endpoint>,
    pub(crate) sts_endpoint: Option<Endpoint>,
    pub(crate) ca_bundle: Option<CaBundle>,
    pub(crate) proxy: Option<Proxy>,
    pub(crate) connect_timeout: Option<Duration>,
    pub(crate) max_connections: Option<u32>,
    pub(crate) max_idle_connections: Option<u32>,
    pub(crate) idle_timeout: Option<Duration>,
    pub(crate) rate_limiter: Option<Arc<RateLimiter>>,
    pub(crate) user_agent_suffix: Option<String>,
    pub(crate) language: Option<String>,
    pub(crate) log: Option<Arc<Log>>,
    pub(crate) limits: CallLimits,
}

impl Config {
    /// An empty configuration.
    pub fn new() -> Self {
        Self::default()
    }

    /// The region that requests name in `X-TC-Region`, such as `ap-guangzhou`.
    pub fn set_region(&mut self, region: &str) -> Result<()> {
        endpoint::check_region(region)?;
        self.region = Some(region.to_owned());
        Ok(())
    }

    /// The service's address, `https://host[:port]`.
    pub fn set_endpoint(&mut self, url: &str) -> Result<()> {
        self.endpoint = Some(Endpoint::parse(url)?);
        Ok(())
    }

    /// The site, which selects the endpoints of KMS and STS. An endpoint that is set takes precedence.
    pub fn set_site(&mut self, site: Site) {
        self.site = Some(site);
    }

    /// Whether an `http` endpoint may be an address other than loopback. Everyone on the network path can then read
    /// plaintexts and data keys.
    pub fn set_insecure_http_allowed(&mut self, allowed: bool) {
        self.insecure_http_allowed = allowed;
    }

    /// Fixed credentials; temporary ones have a `token`.
    pub fn set_credentials(&mut self, secret_id: &str, secret_key: &str, token: Option<&str>) -> Result<()> {
        let credentials = Credentials::new(secret_id, secret_key, token)?;
        self.credentials = Some(Source::Fixed(Arc::new(credentials)));
        Ok(())
    }

    /// A profile file of the official SDKs, and its section; the default is `default`.
    pub fn set_profile_credentials(&mut self, path: &Path, profile: Option<&str>) {
        let name = profile.unwrap_or(DEFAULT_PROFILE).to_owned();
        self.credentials = Some(Source::Profile { paths: vec![path.to_owned()], name });
    }

    /// A file of Tencent's command-line tool, such as `~/.tccli/default.credential`.
    pub fn set_tccli_credentials(&mut self, path: &Path) {
        self.credentials = Some(Source::Tccli { path: path.to_owned() });
    }

    /// The role bound to this CVM instance; without a name, the one that is bound.
    pub fn set_cvm_role_credentials(&mut self, role: Option<&str>) -> Result<()> {
        role.map_or(Ok(()), check_role_name)?;
        self.credentials = Some(Source::CvmRole { role: role.map(str::to_owned) });
        Ok(())
    }

    /// A role to assume with an OIDC token from a file, as in a pod of TKE.
    pub fn set_oidc_credentials(&mut self, provider_id: &str, token_file: &Path, role: Role) {
        let (provider_id, token_file) = (provider_id.to_owned(), token_file.to_owned());
        self.credentials = Some(Source::Oidc { region: None, provider_id, token_file, role });
    }

    /// A callback of the program.
    pub fn set_credentials_callback(&mut self, callback: Arc<CredentialsCallback>) {
        self.credentials = Some(Source::Callback(callback));
    }

    /// A role to assume with the credentials set so far, which then sign the calls of STS.
    /// Roles can be chained, up to 8.
    pub fn set_assume_role_credentials(&mut self, role: Role) -> Result<()> {
        let base = self.credentials.clone().ok_or_else(|| {
            Error::new(Status::NoCredentials, "the credentials that assume the role are missing; set them first")
        })?;
        self.credentials = Some(base.assuming(role)?);
        Ok(())
    }

    /// Adds the credentials of another configuration as a fallback if those set so far are not available. Fallbacks
    /// can have fallbacks, up to 8 deep.
    pub fn add_fallback_credentials(&mut self, other: &Self) -> Result<()> {
        let fallback = other.credentials.clone().ok_or_else(|| {
            Error::new(Status::NoCredentials, "the configuration that is to be the fallback has no credentials")
        })?;
        self.credentials = Some(match self.credentials.clone() {
            Some(first) => first.or(fallback)?,
            None => fallback,
        });
        Ok(())
    }

    /// Another endpoint of the metadata service, for tests.
    pub fn set_metadata_endpoint(&mut self, url: &str) -> Result<()> {
        self.metadata_endpoint = Some(Endpoint::parse(url)?);
        Ok(())
    }

    /// The endpoint of STS. The default corresponds to the endpoint of KMS.
    pub fn set_sts_endpoint(&mut self, url: &str) -> Result<()> {
        self.sts_endpoint = Some(Endpoint::parse(url)?);
        Ok(())
    }

    /// A file of trusted certificates in PEM form, instead of the system's. Read when the client is made.
    pub fn set_ca_file(&mut self, path: &Path) {
        self.ca_bundle = Some(CaBundle::File(path.to_owned()));
    }

    /// Trusted certificates in PEM form, instead of the system's.
    pub fn set_ca_pem(&mut self, pem: &[u8]) -> Result<()> {
        if pem.len() > CA_PEM_MAX {
            let message = format!("the pem has {} bytes, at most {CA_PEM_MAX} are allowed", pem.len());
            return Err(Error::new(Status::InvalidLength, message));
        }
        self.ca_bundle = Some(CaBundle::Pem(pem.into()));
        Ok(())
    }

    /// An HTTP proxy, `http://[user:password@]host[:port]`, used as a tunnel (`CONNECT`). No other proxy is ever
    /// used.
    pub fn set_proxy(&mut self, url: &str) -> Result<()> {
        self.proxy = Some(Proxy::parse(url)?);
        Ok(())
    }

    /// The timeout of connecting, including TLS. Default 3 s.
    pub fn set_connect_timeout(&mut self, timeout: Duration) -> Result<()> {
        self.connect_timeout = Some(checked_timeout("connect timeout", timeout)?);
        Ok(())
    }

    /// The maximum number of connections. Calls beyond that wait, in order of arrival. Default 32.
    pub fn set_max_connections(&mut self, connections: u32) -> Result<()> {
        check_range("max connections", connections, 1, MAX_CONNECTIONS_MAX)?;
        self.max_connections = Some(connections);
        Ok(())
    }

    /// The number of idle connections that are kept for the whole idle timeout; others are closed after 5 s.
    /// Default 8.
    pub fn set_max_idle_connections(&mut self, connections: u32) -> Result<()> {
        check_range("max idle connections", connections, 0, MAX_CONNECTIONS_MAX)?;
        self.max_idle_connections = Some(connections);
        Ok(())
    }

    /// How long an idle connection is kept. Default 60 s.
    pub fn set_idle_timeout(&mut self, timeout: Duration) -> Result<()> {
        self.idle_timeout = Some(checked_timeout("idle timeout", timeout)?);
        Ok(())
    }

    pub(crate) fn pool_limits(&self) -> PoolLimits {
        let defaults = PoolLimits::default();
        PoolLimits {
            max_connections: self.max_connections.map_or(defaults.max_connections, |number| number as usize),
            max_idle: self.max_idle_connections.map_or(defaults.max_idle, |number| number as usize),
            idle_timeout: self.idle_timeout.unwrap_or(defaults.idle_timeout),
        }
    }

    /// How long one attempt may take. Default 10 s.
    pub fn set_try_timeout(&mut self, timeout: Duration) -> Result<()> {
        self.limits.try_timeout = Some(checked_timeout("try timeout", timeout)?);
        Ok(())
    }

    /// How long a call may take, with all its attempts and waits. Default 30 s.
    pub fn set_total_timeout(&mut self, timeout: Duration) -> Result<()> {
        self.limits.total_timeout = Some(checked_timeout("total timeout", timeout)?);
        Ok(())
    }

    /// How many times a request is sent at most, including the first. Default 4; 1 means no retry.
    pub fn set_max_attempts(&mut self, attempts: u32) -> Result<()> {
        check_range("max attempts", attempts, 1, MAX_ATTEMPTS_MAX)?;
        self.limits.max_attempts = Some(attempts);
        Ok(())
    }

    /// Whether [`Client::call`](crate::Client::call) sends a request again that may already have been executed,
    /// for actions that are not known to be idempotent, such as CreateKey. Default no.
    pub fn set_retry_unsafe_actions(&mut self, allowed: bool) {
        self.limits.retry_unsafe = Some(allowed);
    }

    /// A rate limit of this client: `per_second` requests on average and `burst` at once; a burst of 0 means as
    /// many as in one second. 0 per second means no limit, the default.
    pub fn set_rate_limit(&mut self, per_second: u32, burst: u32) -> Result<()> {
        check_range("rate limit per second", per_second, 0, RATE_MAX)?;
        check_range("rate limit burst", burst, 0, RATE_MAX)?;
        let burst = if burst == 0 { per_second } else { burst };
        self.rate_limiter = (per_second > 0).then(|| Arc::new(RateLimiter::new(per_second, burst)));
        Ok(())
    }

    /// Text that follows the library's own name in `X-TC-RequestClient`: 1 to 128 letters, digits, blanks and
    /// `-_,;.`, as the official SDKs allow.
    pub fn set_user_agent_suffix(&mut self, suffix: &str) -> Result<()> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_,;. ".contains(&byte);
        if suffix.is_empty() || suffix.len() > USER_AGENT_SUFFIX_MAX || !suffix.bytes().all(allowed) {
            let message = "a user-agent suffix is 1 to 128 letters, digits, blanks and -_,;.";
            return Err(Error::new(Status::InvalidHeaderText, message));
        }
        self.user_agent_suffix = Some(suffix.to_owned());
        Ok(())
    }

    /// The language of the service's messages: `en-US` (default) or `zh-CN`.
    pub fn set_language(&mut self, language: &str) -> Result<()> {
        if !matches!(language, "en-US" | "zh-CN") {
            return Err(Error::new(Status::InvalidHeaderText, "the language is neither \"en-US\" nor \"zh-CN\""));
        }
        self.language = Some(language.to_owned());
        Ok(())
    }

    /// Installs a log callback, which runs on the thread that makes the call. Logging is off by default.
    pub fn set_log(&mut self, level: LogLevel, callback: Box<LogCallback>) {
        self.log = Some(Arc::new(Log::new(level, callback)));
    }

    /// Refuses a configuration that sets more for a derived client than timeouts and retries.
    pub(crate) fn check_derivable(&self) -> Result<()> {
        let fixed = [
            ("a region", self.region.is_some()),
            ("an endpoint", self.endpoint.is_some() || self.insecure_http_allowed),
            ("a site", self.site.is_some()),
            ("credentials", self.credentials.is_some()),
            ("a metadata endpoint", self.metadata_endpoint.is_some()),
            ("an STS endpoint", self.sts_endpoint.is_some()),
            ("a CA bundle", self.ca_bundle.is_some()),
            ("a proxy", self.proxy.is_some()),
            ("a connect timeout", self.connect_timeout.is_some()),
            ("a number of connections", self.max_connections.or(self.max_idle_connections).is_some()),
            ("an idle timeout", self.idle_timeout.is_some()),
            ("a rate limit", self.rate_limiter.is_some()),
            ("a user-agent suffix", self.user_agent_suffix.is_some()),
            ("a language", self.language.is_some()),
            ("a log", self.log.is_some()),
        ];
        match fixed.iter().find(|(_, set)| *set) {
            None => Ok(()),
            Some((what, _)) => {
                let message = format!("the configuration sets {what}, which a derived client shares with its parent");
                Err(Error::new(Status::NotDerivable, message))
            }
        }
    }
}

pub(crate) fn checked_timeout(what: &str, timeout: Duration) -> Result<Duration> {
    if timeout >= Duration::from_millis(1) && timeout <= TIMEOUT_MAX {
        return Ok(timeout);
    }
    let message = format!("the {what} is {} ms, 1 to {} are allowed", timeout.as_millis(), TIMEOUT_MAX.as_millis());
    Err(Error::new(Status::OutOfRange, message))
}

fn check_range(what: &str, value: u32, min: u32, max: u32) -> Result<()> {
    if (min..=max).contains(&value) {
        return Ok(());
    }
    Err(Error::new(Status::OutOfRange, format!("the {what} is {value}, {min} to {max} are allowed")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_have_ranges_that_the_error_names() {
        let mut config = Config::new();
        let too_long = TIMEOUT_MAX + Duration::from_millis(1);
        for error in [
            config.set_total_timeout(Duration::ZERO),
            config.set_try_timeout(too_long),
            config.set_connect_timeout(Duration::from_micros(999)),
            config.set_max_attempts(0),
            config.set_max_attempts(21),
            config.set_max_connections(0),
            config.set_max_connections(1025),
            config.set_max_idle_connections(1025),
            config.set_idle_timeout(Duration::ZERO),
            config.set_rate_limit(1_000_001, 1),
            config.set_rate_limit(10, 1_000_001),
        ] {
            let error = error.err().unwrap();
            assert_eq!(error.status(), Status::OutOfRange);
            assert!(error.message().contains("are allowed"), "{error}");
        }
    }

    #[test]
    fn a_derived_client_takes_timeouts_and_retries_only() {
        let mut config = Config::new();
        config.set_total_timeout(Duration::from_secs(1)).unwrap();
        config.check_derivable().unwrap();
        config.set_region("ap-guangzhou").unwrap();
        assert_eq!(config.check_derivable().err().unwrap().status(), Status::NotDerivable);
    }

    #[test]
    fn header_text_is_what_the_official_clients_allow() {
        let mut config = Config::new();
        config.set_user_agent_suffix("billing-daemon 2.1; blue").unwrap();
        for bad in ["", "a\nb", "密", "a/b", &"a".repeat(129)] {
            assert_eq!(config.set_user_agent_suffix(bad).err().unwrap().status(), Status::InvalidHeaderText);
        }
        assert_eq!(config.set_language("de-DE").err().unwrap().status(), Status::InvalidHeaderText);
    }
}
