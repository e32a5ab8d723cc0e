//! Builds a client from its configuration.

use std::sync::Arc;

use crate::api::caller::{ApiCaller, Auth, KMS};
use crate::config::Config;
use crate::credentials::CachedCredentials;
use crate::error::{Error, Result};
use crate::http::endpoint::Endpoint;
use crate::http::proxy::Proxy;
use crate::http::settings::{DEFAULT_CONNECT_TIMEOUT, Settings};
use crate::http::tls::{self, CaBundle};
use crate::http::transport::Transport;
use crate::providers::{ProviderContext, Source};
use crate::status::Status;

/// The caller of the key service for a configuration. Credentials that need no network are fetched now.
pub(crate) fn kms_caller(config: &Config) -> Result<ApiCaller> {
    let region = config.region.as_deref().ok_or_else(|| {
        Error::new(Status::InvalidRegion, "the configuration has no region; set one like \"ap-guangzhou\"")
    })?;
    let Parts { endpoint, sts, transport } = parts(config)?;
    let auth = Auth::Signed(Arc::new(credentials(config, sts, &transport)?));
    let mut caller = ApiCaller::for_product(&KMS, endpoint, region, auth, transport, config.log.clone())?;
    caller.set_rate_limiter(config.rate_limiter.clone());
    caller.set_client_headers(config.user_agent_suffix.as_deref(), config.language.as_deref())?;
    Ok(caller)
}

/// The parts that calls of the service and of STS share.
pub(crate) struct Parts {
    pub endpoint: Endpoint,
    pub sts: Endpoint,
    pub transport: Arc<Transport>,
}

pub(crate) fn parts(config: &Config) -> Result<Parts> {
    let (endpoint, sts) = endpoints(config)?;
    let transport = Arc::new(Transport::new(transport_settings(config, &endpoint, &sts)?));
    Ok(Parts { endpoint, sts, transport })
}

/// The addresses of the service and of STS.
pub(crate) fn endpoints(config: &Config) -> Result<(Endpoint, Endpoint)> {
    let site = config.site.unwrap_or_default();
    let endpoint = config.endpoint.clone().map_or_else(|| site.kms(), Ok)?;
    let sts = config.sts_endpoint.clone().map_or_else(|| site.sts_beside(&endpoint), Ok)?;
    check_protected(config, [&endpoint, &sts])?;
    Ok((endpoint, sts))
}

fn check_protected(config: &Config, endpoints: [&Endpoint; 2]) -> Result<()> {
    let protected = endpoints.into_iter().all(|endpoint| endpoint.is_protected(config.proxy.as_ref()));
    if protected || config.insecure_http_allowed {
        return Ok(());
    }
    let message = "plain http is allowed to localhost, 127.0.0.0/8 and [::1] only, and not by way of a proxy \
                   elsewhere; use https";
    Err(Error::new(Status::InsecureEndpoint, message))
}

fn credentials(config: &Config, sts: Endpoint, transport: &Arc<Transport>) -> Result<CachedCredentials> {
    let source = config.credentials.as_ref().ok_or_else(|| {
        let message = "the configuration has no credentials; set a secret id and a secret key, or a provider";
        Error::new(Status::NoCredentials, message)
    })?;
    let context = ProviderContext {
        metadata: config.metadata_endpoint.clone(),
        sts,
        transport: Arc::clone(transport),
        log: config.log.clone(),
    };
    let credentials = CachedCredentials::new(source.provider(&context)?);
    credentials.preload()?;
    Ok(credentials)
}

fn transport_settings(config: &Config, endpoint: &Endpoint, sts: &Endpoint) -> Result<Settings> {
    let sts_over_tls = config.credentials.as_ref().is_some_and(Source::uses_sts) && sts.is_tls();
    let proxy_over_tls = config.proxy.as_ref().is_some_and(Proxy::is_tls);
    let tls = match &config.ca_bundle {
        // A configured file is read even if nothing needs it now, so that a mistake in it is reported early.
        Some(bundle) => tls::client_config(bundle)?,
        None if endpoint.is_tls() || sts_over_tls || proxy_over_tls => tls::client_config(&CaBundle::System)?,
        None => tls::client_config_without_trust()?,
    };
    Ok(Settings {
        proxy: config.proxy.clone(),
        connect_timeout: config.connect_timeout.unwrap_or(DEFAULT_CONNECT_TIMEOUT),
        pool: config.pool_limits(),
        ..Settings::new(tls)
    })
}
