//! What a configuration says about credentials, before a client turns it into a provider.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::assume_role::{AssumeRole, Role};
use super::callback::{Callback, CredentialsCallback};
use super::chain::Chain;
use super::cvm_role::{CvmRole, DEFAULT_METADATA_ENDPOINT};
use super::oidc::Oidc;
use super::profile::Profile;
use super::sts::{DEFAULT_STS_ENDPOINT, DEFAULT_STS_REGION};
use super::tccli::Tccli;
use super::{Credentials, Issued, Provider, Refreshing};
use crate::endpoint::Endpoint;
use crate::error::{Error, Result};
use crate::log::Log;
use crate::service::{Identity, STS, Service};
use crate::status::Status;
use crate::transport::Transport;

/// Where credentials come from.
#[derive(Clone)]
pub(crate) enum Source {
    Fixed(Arc<Credentials>),
    /// A place that was looked at while the configuration was made, and had none.
    Absent {
        name: &'static str,
        error: Error,
    },
    Profile {
        paths: Vec<PathBuf>,
        name: String,
    },
    Tccli {
        path: PathBuf,
    },
    CvmRole {
        role: Option<String>,
    },
    Oidc {
        region: Option<String>,
        provider_id: String,
        token_file: PathBuf,
        role: Role,
    },
    AssumeRole {
        base: Box<Source>,
        role: Role,
    },
    Callback(Arc<CredentialsCallback>),
    Chain(Vec<Source>),
}

/// What providers need beside their own settings.
#[derive(Clone)]
pub(crate) struct Places {
    pub metadata: Option<Endpoint>,
    pub sts: Option<Endpoint>,
    /// Shared with the client, so that STS costs no thread of its own.
    pub transport: Arc<Transport>,
    pub log: Option<Arc<Log>>,
}

impl Source {
    /// This source, with another one to ask when it has none.
    pub fn or(self, other: Self) -> Self {
        let links = |source| match source {
            Self::Chain(links) => links,
            single => vec![single],
        };
        Self::Chain([links(self), links(other)].concat())
    }

    /// This source, if it is one.
    pub fn present(self) -> Result<Self> {
        match self {
            Self::Absent { error, .. } => Err(error),
            source => Ok(source),
        }
    }

    /// Whether it may come to a call of STS.
    pub fn uses_sts(&self) -> bool {
        match self {
            Self::Oidc { .. } | Self::AssumeRole { .. } | Self::Tccli { .. } => true,
            Self::Chain(links) => links.iter().any(Self::uses_sts),
            _ => false,
        }
    }

    pub fn provider(&self, places: &Places) -> Result<Box<dyn Provider>> {
        Ok(match self.clone() {
            Self::Fixed(credentials) => Box::new(Fixed(credentials)),
            Self::Absent { name, error } => Box::new(Absent { name, error }),
            Self::Profile { paths, name } => Box::new(Profile { paths, name, log: places.log.clone() }),
            Self::Tccli { path } => Box::new(Tccli { path, places: places.clone() }),
            Self::CvmRole { role } => Box::new(CvmRole { endpoint: places.metadata()?, role }),
            Self::Oidc { region, provider_id, token_file, role } => {
                let region = region.as_deref().unwrap_or(DEFAULT_STS_REGION);
                let service = places.sts(region, Identity::Anonymous)?;
                Box::new(Oidc { service, provider_id, token_file, role, log: places.log.clone() })
            }
            Self::AssumeRole { base, role } => {
                let base = Arc::new(Refreshing::new(base.provider(places)?));
                let service = places.sts(DEFAULT_STS_REGION, Identity::Signed(Arc::clone(&base)))?;
                Box::new(AssumeRole { service, base, role })
            }
            Self::Callback(callback) => Box::new(Callback(callback)),
            Self::Chain(links) => {
                Box::new(Chain::new(links.iter().map(|link| link.provider(places)).collect::<Result<_>>()?))
            }
        })
    }
}

impl Places {
    fn metadata(&self) -> Result<Endpoint> {
        self.metadata.clone().map_or_else(|| Endpoint::parse(DEFAULT_METADATA_ENDPOINT), Ok)
    }

    fn sts(&self, region: &str, identity: Identity) -> Result<Service> {
        let endpoint = self.sts.clone().map_or_else(|| Endpoint::parse(DEFAULT_STS_ENDPOINT), Ok)?;
        Service::of_product(&STS, endpoint, region, identity, Arc::clone(&self.transport), self.log.clone())
    }
}

struct Fixed(Arc<Credentials>);

impl Provider for Fixed {
    fn name(&self) -> &'static str {
        "configuration"
    }

    fn can_renew(&self) -> bool {
        false
    }

    fn preload(&self) -> Option<Result<Issued>> {
        Some(self.fetch(Duration::ZERO))
    }

    fn fetch(&self, _: Duration) -> Result<Issued> {
        Ok(Issued { credentials: Arc::clone(&self.0), lifetime: None })
    }
}

struct Absent {
    name: &'static str,
    error: Error,
}

impl Provider for Absent {
    fn name(&self) -> &'static str {
        self.name
    }

    fn preload(&self) -> Option<Result<Issued>> {
        Some(self.fetch(Duration::ZERO))
    }

    fn fetch(&self, _: Duration) -> Result<Issued> {
        Err(Error::new(Status::NoCredentials, self.error.message()))
    }
}
