//! The sites of Tencent Cloud, and the endpoints of their services.

use crate::error::Result;
use crate::http::endpoint::{DEFAULT_ENDPOINT, Endpoint, INTERNATIONAL_ENDPOINT};

const STS_MAINLAND: &str = "https://sts.tencentcloudapi.com";
const STS_INTERNATIONAL: &str = "https://sts.intl.tencentcloudapi.com";
/// The domains of the API; the last two are the official SDKs' backups for the first.
const API_DOMAINS: [&str; 3] = ["tencentcloudapi.com", "tencentcloudapi.com.cn", "tencentcloudapi.cn"];

/// A site of Tencent Cloud. Accounts, keys and credentials belong to one of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Site {
    /// cloud.tencent.com.
    #[default]
    Mainland,
    /// tencentcloud.com.
    International,
}

impl Site {
    pub(crate) fn kms(self) -> Result<Endpoint> {
        Endpoint::parse(match self {
            Self::Mainland => DEFAULT_ENDPOINT,
            Self::International => INTERNATIONAL_ENDPOINT,
        })
    }

    /// The endpoint of STS that corresponds to `kms`: of the same site, and internal if that of KMS is. For an
    /// endpoint of KMS that is not Tencent's, such as a gateway, it is that of this site.
    pub(crate) fn sts_beside(self, kms: &Endpoint) -> Result<Endpoint> {
        let default = match self {
            Self::Mainland => STS_MAINLAND,
            Self::International => STS_INTERNATIONAL,
        };
        Endpoint::parse(&sts_beside_host(kms.host()).unwrap_or_else(|| default.to_owned()))
    }
}

/// `kms.internal.tencentcloudapi.com` → `https://sts.internal.tencentcloudapi.com`. A region is dropped: one
/// endpoint of STS serves all regions.
fn sts_beside_host(kms: &str) -> Option<String> {
    let domain = API_DOMAINS.into_iter().find(|domain| kms.ends_with(&format!(".{domain}")))?;
    let mut labels = kms[..kms.len() - domain.len() - 1].split('.');
    if labels.next() != Some("kms") {
        return None;
    }
    let kept = labels.filter(|label| matches!(*label, "intl" | "internal"));
    let labels: Vec<_> = ["sts"].into_iter().chain(kept).chain([domain]).collect();
    Some(format!("https://{}", labels.join(".")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sts_is_on_the_site_of_kms_and_internal_where_that_is() {
        let cases = [
            ("https://kms.tencentcloudapi.com", "sts.tencentcloudapi.com"),
            ("https://kms.ap-guangzhou.tencentcloudapi.com", "sts.tencentcloudapi.com"),
            ("https://kms.intl.tencentcloudapi.com", "sts.intl.tencentcloudapi.com"),
            ("https://kms.internal.tencentcloudapi.com", "sts.internal.tencentcloudapi.com"),
            ("https://KMS.Internal.tencentcloudapi.com:443/", "sts.internal.tencentcloudapi.com"),
            ("https://kms.internal.intl.tencentcloudapi.com", "sts.internal.intl.tencentcloudapi.com"),
            ("https://kms.intl.internal.tencentcloudapi.com", "sts.intl.internal.tencentcloudapi.com"),
            ("https://kms.ap-guangzhou.internal.tencentcloudapi.com", "sts.internal.tencentcloudapi.com"),
            ("https://kms.tencentcloudapi.com.cn", "sts.tencentcloudapi.com.cn"),
            ("https://kms.internal.tencentcloudapi.cn", "sts.internal.tencentcloudapi.cn"),
        ];
        for (kms, sts) in cases {
            let kms = Endpoint::parse(kms).unwrap();
            for site in [Site::Mainland, Site::International] {
                assert_eq!(site.sts_beside(&kms).unwrap().host_header(), sts);
            }
        }
    }

    #[test]
    fn for_an_address_that_is_not_tencents_it_is_that_of_the_site() {
        for kms in [
            "http://127.0.0.1:8080",
            "https://kms.example",
            "https://kms.internal.tencentcloudapi.com.example",
            "https://kms.eviltencentcloudapi.com",
            "https://gateway.internal.tencentcloudapi.com",
        ] {
            let kms = Endpoint::parse(kms).unwrap();
            assert_eq!(Site::Mainland.sts_beside(&kms).unwrap().host_header(), "sts.tencentcloudapi.com");
            assert_eq!(Site::International.sts_beside(&kms).unwrap().host_header(), "sts.intl.tencentcloudapi.com");
        }
    }
}
