//! Access control for the services without signatures: the admin API, STS and the metadata service.
//!
//! A loopback address alone does not keep a web page out: its domain can resolve to 127.0.0.1 (DNS rebinding), or the
//! page can send a form there. The first kind of request has the page's domain in its Host header, the second has an
//! Origin header.

use std::net::{IpAddr, Ipv6Addr};

use axum::http::header::{CONTENT_TYPE, HOST, ORIGIN};
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method, Uri};

use crate::http::{header, without_port};

/// The names of this server in addition to those of the loopback interface.
pub struct HostCheck {
    names: Vec<String>,
}

impl HostCheck {
    pub fn new(names: Vec<String>) -> Self {
        Self { names }
    }

    /// The reason for refusing a request, if it names neither this server nor `other`, or comes from a web page.
    pub fn refusal(&self, head: &Parts, other: Option<&str>) -> Option<&'static str> {
        let is_own = |host: &str| {
            let name = without_port(host);
            is_loopback(name)
                || self.names.iter().map(String::as_str).chain(other).any(|own| own.eq_ignore_ascii_case(name))
        };
        let hosts = [header(&head.headers, HOST.as_str()), authority(&head.uri)];
        if head.headers.contains_key(ORIGIN) {
            Some("a web page may not use this; leave out the Origin header")
        } else if hosts[0].is_none() || !hosts.into_iter().flatten().all(is_own) {
            Some("the Host header names neither a loopback address nor a host of --tls-name")
        } else {
            None
        }
    }
}

/// Whether a request that changes something has a content type that a web page cannot send without a preflight
/// request.
pub fn is_json(method: &Method, headers: &HeaderMap) -> bool {
    let content_type = || header(headers, CONTENT_TYPE.as_str()).unwrap_or_default();
    let is_json =
        |text: &str| text.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
    ![Method::POST, Method::PUT].contains(method) || is_json(content_type())
}

/// The host of a request target in absolute form, which takes precedence over the Host header.
fn authority(uri: &Uri) -> Option<&str> {
    uri.authority().map(|authority| authority.as_str().rsplit('@').next().unwrap_or_default())
}

fn is_loopback(name: &str) -> bool {
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    let is_loopback_v6 =
        |address: Ipv6Addr| address.to_ipv4_mapped().map_or(address.is_loopback(), |v4| v4.is_loopback());
    match name.parse() {
        Ok(IpAddr::V4(address)) => address.is_loopback(),
        Ok(IpAddr::V6(address)) => is_loopback_v6(address),
        // RFC 6761: no resolver gives these another address, and they cannot be registered.
        Err(_) => {
            let name = name.to_ascii_lowercase();
            name == "localhost" || name.ends_with(".localhost")
        }
    }
}

#[cfg(test)]
mod tests {
    use axum::http::Request;

    use super::*;

    fn refusal(uri: &str, headers: &[(&str, &str)]) -> Option<&'static str> {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let (head, ()) = request.body(()).unwrap().into_parts();
        HostCheck::new(vec!["kms.test".to_owned()]).refusal(&head, Some("also.test"))
    }

    #[test]
    fn only_the_servers_own_names_are_accepted() {
        for own in
            ["127.0.0.1", "127.0.0.1:80", "127.9.9.9", "[::1]", "[::1]:80", "localhost", "LOCALHOST:80", "a.localhost"]
        {
            assert_eq!(refusal("/", &[("host", own)]), None, "{own}");
        }
        for own in ["kms.test", "KMS.test:8443", "also.test", "[::ffff:127.0.0.1]:80"] {
            assert_eq!(refusal("/", &[("host", own)]), None, "{own}");
        }
        for foreign in [
            "",
            "evil.test",
            "localhost.evil.test",
            "127.0.0.1.evil.test",
            "10.0.0.1",
            "x.kms.test",
            "[::2]",
            "0.0.0.0",
        ] {
            assert!(refusal("/", &[("host", foreign)]).is_some(), "{foreign}");
        }
        assert!(refusal("/", &[]).is_some());
        assert!(refusal("/", &[("host", "localhost"), ("host", "localhost")]).is_some());
        assert!(refusal("http://evil.test/", &[("host", "localhost")]).is_some());
        assert_eq!(refusal("http://localhost/", &[("host", "localhost")]), None);
    }

    #[test]
    fn no_origin_is_accepted() {
        for origin in ["http://evil.test", "null", "http://localhost"] {
            assert!(refusal("/", &[("host", "localhost"), ("origin", origin)]).is_some(), "{origin}");
        }
    }
}
