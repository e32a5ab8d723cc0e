//! The HTTP proxy of a client.

use http::{HeaderValue, Uri};
use percent_encoding::percent_decode_str;
use url::Url;
use zeroize::Zeroizing;

use crate::encoding::base64_encode;
use crate::error::{Error, Result};
use crate::status::Status;

/// A checked proxy, through which every connection is a tunnel (`CONNECT`, RFC 9110, 9.3.6).
#[derive(Clone)]
pub(crate) struct Proxy {
    uri: Uri,
    authorization: Option<HeaderValue>,
}

impl Proxy {
    /// Accepts `http://[user:password@]host[:port]`, and the same with `https`. No error repeats the text, as it may hold a
    /// password.
    pub fn parse(text: &str) -> Result<Self> {
        let mut url = Url::parse(text).map_err(|error| invalid(&error.to_string()))?;
        if !matches!(url.scheme(), "http" | "https") {
            return Err(invalid("its scheme is neither http nor https"));
        }
        if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
            return Err(invalid("something follows the host and port"));
        }
        let authorization = authorization(&url)?;
        let hidden = url.set_username("").and_then(|()| url.set_password(None));
        hidden.map_err(|()| invalid("it has no host"))?;
        let uri = url.as_str().parse().map_err(|_| invalid("its host cannot be part of a request"))?;
        Ok(Self { uri, authorization })
    }

    pub fn is_tls(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }

    /// Whether it is on this machine.
    pub fn is_loopback(&self) -> bool {
        let host = self.uri.host().unwrap_or_default().trim_matches(['[', ']']);
        host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
    }

    pub fn uri(&self) -> &Uri {
        &self.uri
    }

    pub fn port(&self) -> u16 {
        self.uri.port_u16().unwrap_or(if self.is_tls() { 443 } else { 80 })
    }

    /// Its host and port.
    pub fn address(&self) -> String {
        format!("{}:{}", self.uri.host().unwrap_or_default(), self.port())
    }

    /// The error text for this HTTP status of the proxy's reply to `CONNECT`.
    pub fn refusal(&self, status: u16) -> String {
        let known = http::StatusCode::from_u16(status).ok().and_then(|status| status.canonical_reason());
        let named = known.map(|reason| format!(" ({reason})")).unwrap_or_default();
        let advice = match (status, &self.authorization) {
            (407, Some(_)) => "; it does not accept the user given in its URL",
            (407, None) => "; its URL has to name a user",
            _ => "",
        };
        format!("HTTP status {status}{named}{advice}")
    }

    /// The value of `Proxy-Authorization`, if the URL names a user.
    pub fn authorization(&self) -> Option<&HeaderValue> {
        self.authorization.as_ref()
    }
}

fn invalid(reason: &str) -> Error {
    let message = format!("the proxy is not a URL like http://proxy.example:3128: {reason}");
    Error::new(Status::InvalidProxy, message)
}

/// Basic authentication (RFC 7617): a URL has the two parts in percent-encoding, the header has them as they are.
fn authorization(url: &Url) -> Result<Option<HeaderValue>> {
    if url.username().is_empty() && url.password().is_none() {
        return Ok(None);
    }
    let decoded = |part| Zeroizing::new(percent_decode_str(part).collect::<Vec<u8>>());
    let (user, password) = (decoded(url.username()), decoded(url.password().unwrap_or_default()));
    let pair = Zeroizing::new([user.as_slice(), b":", &password].concat());
    let text = Zeroizing::new(format!("Basic {}", &*Zeroizing::new(base64_encode(&pair))));
    let mut value = HeaderValue::from_str(&text).map_err(|_| invalid("its user cannot be part of a request"))?;
    value.set_sensitive(true);
    Ok(Some(value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn user_and_password_become_a_header_and_leave_the_address() {
        let proxy = Proxy::parse("http://us%65r:p%40ss@proxy.example:3128").unwrap();
        assert_eq!(proxy.uri().to_string(), "http://proxy.example:3128/");
        assert_eq!(proxy.authorization().unwrap(), "Basic dXNlcjpwQHNz");
        assert!(Proxy::parse("http://proxy.example").unwrap().authorization().is_none());
    }

    #[test]
    fn an_error_does_not_repeat_the_password() {
        for text in ["socks5://user:hunter2@host", "http://user:hunter2@host/path", "http://user:hunter2@host:99999"] {
            let error = Proxy::parse(text).err().unwrap();
            assert_eq!(error.status(), Status::InvalidProxy);
            assert!(!error.message().contains("hunter2"), "{error}");
        }
    }
}
