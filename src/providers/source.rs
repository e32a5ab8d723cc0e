//! The source of credentials that a configuration names, from which a client makes a provider.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::assume_role::{AssumeRole, Role};
use super::callback::{Callback, CredentialsCallback};
use super::chain::Chain;
use super::cvm_role::{CvmRole, DEFAULT_METADATA_ENDPOINT};
use super::file::ExposureWarning;
use super::oidc::Oidc;
use super::profile::Profile;
use super::sts::DEFAULT_STS_REGION;
use super::tccli::{self, Contents};
use crate::api::caller::{ApiCaller, Auth, STS};
use crate::credentials::{CachedCredentials, Credentials, ExpiringCredentials, Provider};
use crate::error::{Error, Result};
use crate::http::endpoint::Endpoint;
use crate::http::transport::Transport;
use crate::log::Log;
use crate::status::Status;

/// A source of credentials.
#[derive(Clone)]
pub(crate) enum Source {
    Fixed(Arc<Credentials>),
    /// A source that was read while the configuration was built, and had none.
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
    Chain {
        links: Vec<Source>,
        /// The nesting depth of its fallbacks.
        depth: usize,
    },
}

/// The maximum nesting of roles and fallbacks. Each level of a role is a nested call.
const DEPTH_MAX: usize = 8;

/// Shared state that providers need besides their own settings.
#[derive(Clone)]
pub(crate) struct ProviderContext {
    pub metadata: Option<Endpoint>,
    pub sts: Endpoint,
    /// Shared with the client, so that STS needs no other thread.
    pub transport: Arc<Transport>,
    pub log: Option<Arc<Log>>,
}

impl Source {
    /// Several sources, each of which is tried if the ones before it have no credentials.
    pub fn chain(sources: impl IntoIterator<Item = Self>) -> Self {
        Self::Chain { links: sources.into_iter().collect(), depth: 0 }
    }

    /// This source, with another one as a fallback.
    pub fn or(self, other: Self) -> Result<Self> {
        let depth = self.depth().max(1 + other.depth());
        let links = |source| match source {
            Self::Chain { links, .. } => links,
            single => vec![single],
        };
        Self::Chain { links: [links(self), links(other)].concat(), depth }.checked()
    }

    /// A role that this source may assume.
    pub fn assuming(self, role: Role) -> Result<Self> {
        Self::AssumeRole { base: Box::new(self), role }.checked()
    }

    fn checked(self) -> Result<Self> {
        if self.depth() <= DEPTH_MAX {
            return Ok(self);
        }
        let message = format!("roles and fallbacks are nested more than {DEPTH_MAX} deep");
        Err(Error::new(Status::OutOfRange, message))
    }

    fn depth(&self) -> usize {
        match self {
            Self::AssumeRole { base, .. } => 1 + base.depth(),
            Self::Chain { links, depth } => links.iter().map(Self::depth).fold(*depth, usize::max),
            _ => 0,
        }
    }

    /// This source, unless it is known to have no credentials.
    pub fn present(self) -> Result<Self> {
        match self {
            Self::Absent { error, .. } => Err(error),
            source => Ok(source),
        }
    }

    /// Whether it may call STS.
    pub fn uses_sts(&self) -> bool {
        match self {
            Self::Oidc { .. } | Self::AssumeRole { .. } | Self::Tccli { .. } => true,
            Self::Chain { links, .. } => links.iter().any(Self::uses_sts),
            _ => false,
        }
    }

    /// The sources in the order in which they are tried.
    pub fn links(&self) -> &[Self] {
        match self {
            Self::Chain { links, .. } => links,
            single => std::slice::from_ref(single),
        }
    }

    /// The kind of source, for people.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Fixed(_) => "environment",
            Self::Absent { name, .. } => name,
            Self::Profile { .. } => "profile",
            Self::Tccli { .. } => "tccli",
            Self::CvmRole { .. } => "CVM role",
            Self::Oidc { .. } => "TKE OIDC",
            Self::AssumeRole { .. } => "AssumeRole",
            Self::Callback(_) => "callback",
            Self::Chain { .. } => "chain",
        }
    }

    /// The place of its credentials, for people.
    pub fn place(&self) -> String {
        let shown = |path: &PathBuf| path.display().to_string();
        match self {
            Self::Profile { paths, name } => {
                format!("section [{name}] of {}", paths.iter().map(shown).collect::<Vec<_>>().join(" or "))
            }
            Self::Tccli { path } => shown(path),
            Self::CvmRole { .. } => "the metadata service of this machine".to_owned(),
            Self::Oidc { token_file, .. } => format!("the token in {}", shown(token_file)),
            _ => String::new(),
        }
    }

    pub fn provider(&self, context: &ProviderContext) -> Result<Box<dyn Provider>> {
        Ok(match self.clone() {
            Self::Fixed(credentials) => Box::new(Fixed(credentials)),
            Self::Absent { name, error } => Box::new(Absent { name, error }),
            Self::Profile { paths, name } => Box::new(Profile { paths, name, warning: context.exposure_warning() }),
            Self::Tccli { path } => {
                Box::new(Tccli { path, warning: context.exposure_warning(), context: context.clone() })
            }
            Self::CvmRole { role } => Box::new(CvmRole { endpoint: context.metadata()?, role }),
            Self::Oidc { region, provider_id, token_file, role } => {
                let region = region.as_deref().unwrap_or(DEFAULT_STS_REGION);
                let sts = context.sts(region, Auth::Anonymous)?;
                Box::new(Oidc { sts, provider_id, token_file, role, warning: context.exposure_warning() })
            }
            Self::AssumeRole { base, role } => {
                let base = Arc::new(CachedCredentials::new(base.provider(context)?));
                let sts = context.sts(DEFAULT_STS_REGION, Auth::Signed(Arc::clone(&base)))?;
                Box::new(AssumeRole { sts, base, role })
            }
            Self::Callback(callback) => Box::new(Callback(callback)),
            Self::Chain { links, .. } => {
                Box::new(Chain::new(links.iter().map(|link| link.provider(context)).collect::<Result<_>>()?))
            }
        })
    }
}

impl ProviderContext {
    fn exposure_warning(&self) -> ExposureWarning {
        ExposureWarning::new(self.log.clone())
    }

    fn metadata(&self) -> Result<Endpoint> {
        self.metadata.clone().map_or_else(|| Endpoint::parse(DEFAULT_METADATA_ENDPOINT), Ok)
    }

    pub fn sts(&self, region: &str, auth: Auth) -> Result<ApiCaller> {
        ApiCaller::for_product(&STS, self.sts.clone(), region, auth, Arc::clone(&self.transport), self.log.clone())
    }
}

/// The file of tccli, which contains credentials or names another source of them.
struct Tccli {
    path: PathBuf,
    warning: ExposureWarning,
    context: ProviderContext,
}

impl Tccli {
    fn read(&self) -> Result<Contents> {
        tccli::read(&self.path, &self.warning)
    }
}

impl Provider for Tccli {
    fn name(&self) -> &'static str {
        "tccli"
    }

    fn preload(&self) -> Option<Result<ExpiringCredentials>> {
        match self.read() {
            Ok(Contents::Credentials(credentials)) => Some(Ok(credentials)),
            Ok(Contents::CvmRole | Contents::AssumeRole { .. }) => None,
            Err(error) => Some(Err(error)),
        }
    }

    fn is_local(&self) -> bool {
        matches!(self.read(), Ok(Contents::Credentials(_)))
    }

    fn fetch(&self, timeout: Duration) -> Result<ExpiringCredentials> {
        let source = match self.read()? {
            Contents::Credentials(credentials) => return Ok(credentials),
            Contents::CvmRole => Source::CvmRole { role: None },
            Contents::AssumeRole { base, role } => {
                Source::AssumeRole { base: Box::new(Source::Fixed(base)), role: *role }
            }
        };
        source.provider(&self.context)?.fetch(timeout)
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

    fn preload(&self) -> Option<Result<ExpiringCredentials>> {
        Some(self.fetch(Duration::ZERO))
    }

    fn fetch(&self, _: Duration) -> Result<ExpiringCredentials> {
        Ok(ExpiringCredentials { credentials: Arc::clone(&self.0), lifetime: None })
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

    fn preload(&self) -> Option<Result<ExpiringCredentials>> {
        Some(self.fetch(Duration::ZERO))
    }

    fn fetch(&self, _: Duration) -> Result<ExpiringCredentials> {
        Err(Error::new(Status::NoCredentials, self.error.message()))
    }
}
