//! The checks that the API makes for every call.

use std::sync::Arc;

use axum::http::header::{AUTHORIZATION, CONTENT_TYPE};
use axum::http::{HeaderMap, Method, request};

use crate::api::actions;
use crate::api::answer::Answer;
use crate::api::params::Params;
use crate::api::sts;
use crate::emulator::Emulator;
use crate::error::ApiError;
use crate::http::{BodyError, header};
use crate::identity::auth::{self, Signed};

/// The value of Authorization in a request that is not signed (docs/kms-service.md, "Signing").
const SKIP: &str = "SKIP";

/// Longest query string of a GET (docs/kms-service.md, "Requests").
const MAX_QUERY: usize = 32 * 1024;

/// Checks a request and runs its action.
///
/// `body` and `params` are the results of reading them; their errors are reported in the order of the checks.
pub async fn answer(
    emulator: &Arc<Emulator>,
    head: &request::Parts,
    body: Result<&[u8], &BodyError>,
    params: Result<Params, ApiError>,
) -> Answer {
    let query = head.uri.query().unwrap_or_default();
    require_method(&head.method)?;
    require_query_length(query)?;
    let body = body.map_err(unreadable)?;
    let request = Signed { method: head.method.as_str(), query, headers: &head.headers, body };
    auth::refuse_version_1(request)?;
    let action = required_header(&head.headers, "X-TC-Action")?;
    let service = Service::of_version(required_header(&head.headers, "X-TC-Version")?)?;
    if service == Service::Sts {
        emulator.host_check.refusal(head, None).map_or(Ok(()), |reason| Err(refused_caller(reason)))?;
    }
    require_region(header(&head.headers, "x-tc-region"))?;
    if !service.is_unsigned(action, &head.headers) {
        auth::authenticate(&emulator.identities, service.name(), request, emulator.clock.now())?;
    }
    match service {
        Service::Kms => actions::run(emulator, action, params?).await,
        Service::Sts if emulator.loopback => sts::run(emulator, action, params?),
        Service::Sts => Err(ApiError::unsupported("STS is only emulated on a loopback address.")),
    }
}

/// The services at this address, each with the one version of its API (docs/kms-service.md, "API at a glance" and
/// "STS").
#[derive(Clone, Copy, PartialEq)]
enum Service {
    Kms,
    Sts,
}

impl Service {
    /// A user of the real service quoted the text for an unknown version (docs/kms-service.md, "Replies").
    fn of_version(version: &str) -> Result<Self, ApiError> {
        match version {
            "2019-01-18" => Ok(Self::Kms),
            "2018-08-13" => Ok(Self::Sts),
            other => Err(ApiError::new(
                "NoSuchVersion",
                format!("The specified api version=`{other}` does not exist in service=`kms`."),
            )),
        }
    }

    /// The service's name in credential scopes.
    fn name(self) -> &'static str {
        match self {
            Self::Kms => "kms",
            Self::Sts => "sts",
        }
    }

    fn is_unsigned(self, action: &str, headers: &HeaderMap) -> bool {
        self == Self::Sts && action == sts::UNSIGNED_ACTION && header(headers, AUTHORIZATION.as_str()) == Some(SKIP)
    }
}

/// Reads the parameters of a request, from its query string if it is a GET, else from its body.
pub fn params(head: &request::Parts, body: &[u8]) -> Result<Params, ApiError> {
    if head.method == Method::GET {
        return Params::from_query(head.uri.query().unwrap_or_default());
    }
    require_json(&head.headers)?;
    Params::from_body(body)
}

fn require_method(method: &Method) -> Result<(), ApiError> {
    if [Method::GET, Method::POST].contains(method) {
        return Ok(());
    }
    Err(ApiError::new("UnsupportedProtocol", format!("The method {method} is not supported, only GET and POST.")))
}

fn require_query_length(query: &str) -> Result<(), ApiError> {
    if query.len() <= MAX_QUERY { Ok(()) } else { Err(too_large("The query string is longer than 32 KB.")) }
}

/// Checks the form of a region, which is optional: the emulator serves the same keys in every region.
fn require_region(region: Option<&str>) -> Result<(), ApiError> {
    match region {
        Some(region) if !is_region(region) => {
            Err(ApiError::new("UnsupportedRegion", format!("`{region}` is not a region.")))
        }
        _ => Ok(()),
    }
}

/// Two letters for the continent, then at least one more label: `ap-guangzhou`, `ap-shenzhen-fsi` (docs/kms-service.md,
/// "Endpoints").
pub fn is_region(text: &str) -> bool {
    let mut labels = text.split('-');
    let is_label =
        |label: &str| !label.is_empty() && label.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit());
    let continent = labels.next().unwrap_or_default();
    let rest: Vec<_> = labels.collect();
    continent.len() == 2
        && continent.bytes().all(|byte| byte.is_ascii_lowercase())
        && (1..=3).contains(&rest.len())
        && rest.into_iter().all(is_label)
}

fn require_json(headers: &HeaderMap) -> Result<(), ApiError> {
    let content_type = header(headers, CONTENT_TYPE.as_str()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(ApiError::invalid_parameter(format!("The content type `{content_type}` is not application/json.")))
}

fn required_header<'a>(headers: &'a HeaderMap, name: &str) -> Result<&'a str, ApiError> {
    header(headers, name).filter(|value| !value.is_empty()).ok_or_else(|| ApiError::missing_parameter(name))
}

fn unreadable(error: &BodyError) -> ApiError {
    match error {
        BodyError::TooLarge => too_large("The request body is larger than 10 MB."),
        BodyError::Broken => ApiError::invalid_parameter("The request body is truncated."),
    }
}

fn refused_caller(reason: &str) -> ApiError {
    ApiError::new("UnauthorizedOperation", format!("STS is emulated for programs on this machine: {reason}."))
}

fn too_large(message: &str) -> ApiError {
    ApiError::new("RequestSizeLimitExceeded", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn regions_have_the_documented_form() {
        for good in ["ap-guangzhou", "ap-shenzhen-fsi", "na-siliconvalley", "eu-frankfurt"] {
            assert!(is_region(good), "{good}");
        }
        for bad in ["", "ap", "ap-", "guangzhou", "AP-guangzhou", "ap-guang zhou", "ap--x", "http://x", "a1-x"] {
            assert!(!is_region(bad), "{bad}");
        }
    }
}
