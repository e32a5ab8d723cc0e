//! Diagnosis for a person when calls fail: which step to the service fails, which credentials there are, and whose
//! they are. For a tool; a program acts on the status of its calls.

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Deserialize;

use crate::api::caller::Auth;
use crate::api::limits::CallLimits;
use crate::api::request::{Fields, Request};
use crate::block_on::block_on;
use crate::client_builder::{self, Parts};
use crate::config::Config;
use crate::credentials::{CachedCredentials, ExpiringCredentials};
use crate::error::{Error, Result};
use crate::http::probe;
pub use crate::http::probe::{Answer, Reachability};
use crate::providers::ProviderContext;
use crate::status::Status;

/// A place where credentials may be.
pub struct CredentialsPlace {
    /// The kind of place.
    pub name: &'static str,
    /// Where it is, such as the name of a file or of variables.
    pub place: String,
    /// The result.
    pub outcome: Result<FoundCredentials>,
}

/// Credentials that were found, without their values.
#[derive(Clone, Copy, Debug)]
pub struct FoundCredentials {
    /// Whether they are temporary, with a token.
    pub has_token: bool,
    /// How long they are valid from now on, if they expire.
    pub lifetime: Option<Duration>,
}

/// Whose credentials they are.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub struct CallerIdentity {
    /// Such as `qcs::cam::uin/100000000001:uin/100000000002`.
    pub arn: String,
    /// The account.
    pub account_id: String,
    /// The user.
    #[serde(default)]
    pub user_id: String,
    /// The kind of identity, such as `CAMUser` or `CAMRole`.
    #[serde(default, rename = "Type")]
    pub kind: String,
}

impl Config {
    /// Connects to the service step by step, with at most `timeout` for each step.
    pub fn reach(&self, timeout: Duration) -> Result<Reachability> {
        let (endpoint, _) = client_builder::endpoints(self)?;
        let bundle = self.ca_bundle.clone().unwrap_or_default();
        Ok(probe::reach(&endpoint, self.proxy.as_ref(), &bundle, timeout))
    }

    /// The endpoint of the service for this configuration.
    pub fn service_url(&self) -> Result<String> {
        let (endpoint, _) = client_builder::endpoints(self)?;
        Ok(endpoint.uri().to_string().trim_end_matches('/').to_owned())
    }

    /// Tries each of the configured providers, even after the first one that has credentials. `timeout` applies to
    /// each of them.
    pub fn look_for_credentials(&self, timeout: Duration) -> Result<Vec<CredentialsPlace>> {
        let Parts { sts, transport, .. } = client_builder::parts(self)?;
        let context =
            ProviderContext { metadata: self.metadata_endpoint.clone(), sts, transport, log: self.log.clone() };
        let source = self.credentials.as_ref().ok_or_else(|| no_credentials("the configuration has no credentials"))?;
        Ok(source
            .links()
            .iter()
            .map(|link| {
                let provider = link.provider(&context);
                let fetched =
                    provider.and_then(|provider| provider.fetch(timeout).and_then(ExpiringCredentials::unexpired));
                CredentialsPlace {
                    name: link.name(),
                    place: link.place(),
                    outcome: fetched.map(|issued| found(&issued)),
                }
            })
            .collect())
    }

    /// Asks STS whose credentials these are.
    pub fn caller_identity(&self, timeout: Duration) -> Result<CallerIdentity> {
        let parts = client_builder::parts(self)?;
        let source = self.credentials.as_ref().ok_or_else(|| no_credentials("the configuration has no credentials"))?;
        let context = ProviderContext {
            metadata: self.metadata_endpoint.clone(),
            sts: parts.sts,
            transport: parts.transport,
            log: self.log.clone(),
        };
        let credentials = Arc::new(CachedCredentials::new(source.provider(&context)?));
        let region = self.region.as_deref().unwrap_or_default();
        let caller = context.sts(region, Auth::Signed(credentials))?;
        let limits = CallLimits { total_timeout: Some(timeout), ..self.limits.clone() };
        let request = Request::new("GetCallerIdentity", Fields::with_capacity(0)?)?;
        block_on(pin!(caller.call(&request, &limits, |_, reply| reply.fields())))
            .map_err(|error| error.in_action("GetCallerIdentity"))
    }
}

fn found(issued: &ExpiringCredentials) -> FoundCredentials {
    FoundCredentials { has_token: issued.credentials.token().is_some(), lifetime: issued.lifetime }
}

fn no_credentials(message: &str) -> Error {
    Error::new(Status::NoCredentials, message)
}
