//! The destination of requests: the service's endpoint and the region.

use http::Uri;
use url::{Host, Url};

use crate::error::{Error, Result};
use crate::http::proxy::Proxy;
use crate::sanitize::{excerpt, quoted_up_to};
use crate::status::Status;

/// The mainland site; resolves to the nearest region (cloud.tencent.com/document/product/573, "Request structure").
pub const DEFAULT_ENDPOINT: &str = "https://kms.tencentcloudapi.com";
/// The international site (tencentcloud.com/document/product/1030/32174).
pub const INTERNATIONAL_ENDPOINT: &str = "https://kms.intl.tencentcloudapi.com";

/// A checked address of the service.
#[derive(Clone)]
pub(crate) struct Endpoint {
    url: Url,
    /// The endpoint in the type of the HTTP stack.
    uri: Uri,
    host_header: String,
}

impl Endpoint {
    /// Accepts `https://host[:port]` and `http://host[:port]`, optionally followed by a `/`.
    pub fn parse(text: &str) -> Result<Self> {
        let url = Url::parse(text).map_err(|error| invalid(text, &error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(invalid(text, "its scheme is neither https nor http"));
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(invalid(text, "it names a user"));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(invalid(text, "something follows the host and port"));
        }
        let host = url.host_str().ok_or_else(|| invalid(text, "it has no host"))?;
        let host_header = url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"));
        let uri = url.as_str().parse().map_err(|_| invalid(text, "its host cannot be part of a request"))?;
        Ok(Self { url, uri, host_header })
    }

    /// Whether requests leave this machine only over TLS: a proxy of an `http` endpoint must be on this machine too.
    pub fn is_protected(&self, proxy: Option<&Proxy>) -> bool {
        self.is_tls() || self.is_loopback() && proxy.is_none_or(Proxy::is_loopback)
    }

    pub fn is_tls(&self) -> bool {
        self.url.scheme() == "https"
    }

    fn is_loopback(&self) -> bool {
        match self.url.host() {
            Some(Host::Domain(name)) => name == "localhost",
            Some(Host::Ipv4(address)) => address.is_loopback(),
            Some(Host::Ipv6(address)) => address.is_loopback(),
            None => false,
        }
    }

    pub fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }

    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    /// The URI of `path`, which begins with a `/`, at this endpoint.
    pub fn uri_of(&self, path: &str) -> Result<Uri> {
        let with_path = || -> std::result::Result<Uri, http::Error> {
            let mut parts = self.uri.clone().into_parts();
            parts.path_and_query = Some(path.parse()?);
            Ok(Uri::from_parts(parts)?)
        };
        with_path().map_err(|_| invalid(path, "it cannot be part of a request"))
    }

    /// The `Host` header, which is sent and signed.
    pub fn host_header(&self) -> &str {
        &self.host_header
    }
}

fn invalid(text: &str, reason: &str) -> Error {
    // Before an @ there may be a password.
    let text = if text.contains('@') { "(not shown)" } else { text };
    let text = quoted_up_to(text, 64);
    let message = format!("endpoint {text} is not a URL like {DEFAULT_ENDPOINT} or http://127.0.0.1:8080: {reason}");
    Error::new(Status::InvalidEndpoint, message)
}

/// Checks a region's name: a letter, then lower-case letters, digits and `-`, at most 32 in all.
pub(crate) fn check_region(region: &str) -> Result<()> {
    let allowed = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let starts_with_letter = region.bytes().next().is_some_and(|byte| byte.is_ascii_lowercase());
    if starts_with_letter && region.len() <= 32 && region.bytes().all(allowed) {
        return Ok(());
    }
    let region = excerpt(region);
    let message = format!("region {region} is not 1 to 32 lower-case letters, digits and '-', like \"ap-guangzhou\"");
    Err(Error::new(Status::InvalidRegion, message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_header_has_the_port_only_when_the_url_needs_it() {
        let cases = [
            ("https://kms.tencentcloudapi.com", "kms.tencentcloudapi.com"),
            ("https://KMS.tencentcloudapi.com:443/", "kms.tencentcloudapi.com"),
            ("http://127.0.0.1:8080", "127.0.0.1:8080"),
            ("https://[::1]:9000", "[::1]:9000"),
        ];
        for (text, host) in cases {
            assert_eq!(Endpoint::parse(text).unwrap().host_header(), host);
        }
    }

    #[test]
    fn malformed_endpoints_are_refused() {
        for text in [
            "",
            "kms.tencentcloudapi.com",
            "ftp://host",
            "https://",
            "https://host/path",
            "https://host?x",
            "https://host#x",
            "https://user@host",
            "https://user:pass@host",
            "https://user:pass@host:99999",
            "ftp://user:pass@host",
            "https://host:99999",
            "http://ho st",
        ] {
            let error = Endpoint::parse(text).err().unwrap();
            assert_eq!(error.status(), Status::InvalidEndpoint, "{text}");
            assert!(!error.message().contains("pass"), "{error}");
        }
    }

    #[test]
    fn plain_http_is_protected_on_loopback_only() {
        for text in ["http://localhost", "http://127.8.9.1:1", "http://[::1]", "https://anywhere.example"] {
            assert!(Endpoint::parse(text).unwrap().is_protected(None), "{text}");
        }
        for text in ["http://10.0.0.1", "http://localhost.example", "http://[::2]", "http://127.0.0.1.example"] {
            assert!(!Endpoint::parse(text).unwrap().is_protected(None), "{text}");
        }
    }

    #[test]
    fn a_proxy_elsewhere_takes_plain_http_off_this_machine() {
        let local = Endpoint::parse("http://127.0.0.1:8080").unwrap();
        for (proxy, protected) in
            [("http://127.0.0.1:3128", true), ("http://[::1]:3128", true), ("http://proxy.example", false)]
        {
            assert_eq!(local.is_protected(Some(&Proxy::parse(proxy).unwrap())), protected, "{proxy}");
        }
        let tls = Endpoint::parse("https://anywhere.example").unwrap();
        assert!(tls.is_protected(Some(&Proxy::parse("http://proxy.example").unwrap())));
    }

    #[test]
    fn regions_have_a_shape() {
        for region in ["ap-guangzhou", "na-ashburn", "ap-shenzhen-fsi"] {
            check_region(region).unwrap();
        }
        for region in ["", "AP-Guangzhou", "ap guangzhou", "ap-guangzhou\n", "1a", "-a", &"a".repeat(33), "广州"] {
            assert_eq!(check_region(region).err().unwrap().status(), Status::InvalidRegion, "{region}");
        }
    }
}
