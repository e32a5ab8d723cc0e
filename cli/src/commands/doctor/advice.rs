//! The cause of a failure and what to do, by its status.

use tckms::{Error, Status};

pub struct Diagnosis {
    /// A name that does not change.
    pub cause: &'static str,
    pub advice: String,
}

pub fn of(error: &Error) -> Diagnosis {
    let (cause, advice) = of_status(error.status());
    Diagnosis { cause, advice: advice.to_owned() }
}

fn of_status(status: Status) -> (&'static str, &'static str) {
    use Status::*;
    match status {
        InvalidRegion => ("region_invalid", "set TENCENTCLOUD_REGION or --region to a region like ap-guangzhou"),
        InvalidEndpoint | InsecureEndpoint => (
            "endpoint_invalid",
            "correct TCKMS_ENDPOINT or --endpoint: a URL like https://kms.tencentcloudapi.com; http is for this machine only",
        ),
        InvalidProxy => ("proxy_invalid", "correct TCKMS_PROXY or --proxy: a URL like http://proxy.example:3128"),
        InvalidCaBundle => {
            ("ca_file_invalid", "correct TCKMS_CA_FILE or --ca-file, or install the package ca-certificates")
        }
        MalformedKeyId => ("key_id_malformed", "a key id is like 93866e69-9755-11ef-8e65-52540089bc41"),
        MalformedCredentials => {
            ("credentials_malformed", "copy secret id and secret key once more, without blanks and quotes")
        }
        NoCredentials => (
            "credentials_missing",
            "set TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY, write ~/.tencentcloud/credentials, or bind a role to this machine",
        ),
        CredentialsExpired => {
            ("credentials_expired", "get new temporary credentials; if they are new, set this machine's clock")
        }
        InvalidCredentialsFile => {
            ("credentials_file_invalid", "correct the file: a section with secret_id and secret_key")
        }
        InvalidRole => ("role_invalid", "correct the role's ARN: qcs::cam::uin/UIN:roleName/NAME"),
        MetadataUnavailable => {
            ("metadata_unavailable", "this machine is no CVM instance, or its metadata service is blocked")
        }
        ResolveFailed => ("dns", "check the name of the endpoint or the proxy, and /etc/resolv.conf"),
        ConnectFailed => (
            "connect",
            "check that the network lets this machine reach the address: firewall, security group, route, or a proxy by --proxy",
        ),
        ProxyRefused => {
            ("proxy_refused", "the proxy has to allow CONNECT to the service; user and password go into TCKMS_PROXY")
        }
        TlsFailed => (
            "tls",
            "trust the CA of the endpoint or of an inspecting proxy with --ca-file, check the endpoint's name and this machine's clock",
        ),
        TimedOut => (
            "timeout",
            "the service or something on the way to it is slow or drops packets; --timeout allows more time",
        ),
        ConnectionLost => (
            "connection_lost",
            "something on the way closes connections: a proxy, a firewall, a load balancer, or the service as it restarts",
        ),
        HttpRedirect => (
            "redirect",
            "something answers in place of the service, such as a captive portal; check the endpoint and the proxy",
        ),
        HttpStatus => ("http_status", "something answers in place of the service; check the endpoint and the proxy"),
        ResponseTooLarge => (
            "response_too_large",
            "something answers in place of the service, or changes its answers; check the endpoint and the proxy",
        ),
        ResponseNotJson => (
            "response_not_json",
            "something answers in place of the service, or changes its answers; check the endpoint and the proxy",
        ),
        ResponseMalformed => (
            "response_malformed",
            "something answers in place of the service, or changes its answers; check the endpoint and the proxy",
        ),
        TransportUnavailable => {
            ("no_thread", "the process may not start a thread; check its limits (ulimit -u, TasksMax)")
        }
        HttpUnavailable => {
            ("gateway", "a gateway before the service says that it is not available now; try again later")
        }
        AuthSignatureFailure => {
            ("secret_key_wrong", "the secret key does not belong to the secret id; copy both once more")
        }
        AuthSignatureExpired => {
            ("clock_off", "set this machine's clock: it is more than 5 minutes off (timedatectl set-ntp true)")
        }
        AuthSecretIdNotFound | InvalidSecretId => (
            "secret_id_unknown",
            "the secret id does not exist, is disabled, or belongs to the other site (--international)",
        ),
        AuthTokenFailure => (
            "token_wrong",
            "the session token is wrong or expired; set it together with the id and key that it came with",
        ),
        InvalidAuthorization => {
            ("authorization_damaged", "something on the way changes the request's headers; check the proxy")
        }
        AddressDenied => ("address_denied", "the account allows other addresses only; see its access control"),
        MfaFailure => ("mfa", "the account demands multi-factor authentication, which an API key cannot do"),
        AuthFailure => ("identity_refused", "the service does not accept this identity; see its message"),
        UnauthorizedOperation | CamDenied => {
            ("permission", "grant the identity the action on this key in CAM, such as kms:Encrypt")
        }
        CmkNotFound => (
            "key_not_found",
            "there is no such key in this region and account; `tckms keys list` shows those that are there",
        ),
        InvalidKeyId => {
            ("key_not_found", "the key id is not one of this service; `tckms keys list` shows those that are there")
        }
        CmkDisabled => (
            "key_disabled",
            "the key is disabled or pending deletion: `tckms keys enable KEYID`, or `tckms keys cancel-deletion KEYID` before",
        ),
        CmkArchived => ("key_archived", "the key is archived and only decrypts; cancel that in the console"),
        CmkStateNotSupported => (
            "key_state",
            "the key's state does not allow this; an external key needs its material: `tckms keys import`",
        ),
        InvalidKeyUsage => ("key_usage", "the key is made for something else; see its usage"),
        NotPurchased => ("not_purchased", "enable KMS for the account in the console"),
        UnsupportedRegion => (
            "region_unsupported",
            "the service is not in this region; `tckms call GetRegions` lists those that it is in",
        ),
        KeyUsageNotInRegion => ("region_unsupported", "the region has no keys of this usage"),
        InvalidAction | UnsupportedOperation => {
            ("action_unknown", "the endpoint is not KMS, or a private cloud of an older version")
        }
        RequestLimitExceeded => {
            ("throttled", "the account sends too many requests now; cache data keys, or ask for a higher limit")
        }
        ServiceInternalError => {
            ("service_error", "the service failed; try again, and quote the request id in a ticket")
        }
        ServiceUnavailable | ServiceTemporaryUnavailable | ResourceInsufficient => {
            ("service_unavailable", "the service is not available now; try again later")
        }
        LimitExceeded => ("quota", "a quota of the account is used up"),
        KeyMismatch => (
            "wrong_key_answered",
            "the answer is about another key: something answers in place of the service, or an alias was moved",
        ),
        InvalidCiphertext => (
            "ciphertext_refused",
            "the service does not accept its own ciphertext: something on the way changes requests or answers",
        ),
        SignatureInvalid => (
            "signature_invalid",
            "the service's signature does not verify: something on the way changes answers, or the key is not the one that it claims to be",
        ),
        InvalidParameter | InvalidParameterValue | MissingParameter | UnknownParameter | InvalidRequest => (
            "request_refused",
            "the service does not understand the request: something on the way changes it, or the service is another version",
        ),
        OutOfMemory => ("memory", "this machine has no more memory"),
        _ => ("other", "see the message; with the request id the support can look it up"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is not of the caller's making has a cause of its own.
    #[test]
    fn what_can_go_wrong_on_the_way_has_a_name() {
        for number in (200..=220).chain(300..=320).chain(400..=420).chain(600..=606) {
            let Some(status) = Status::from_number(number) else { continue };
            if status == Status::CredentialsCallbackFailed {
                continue;
            }
            let (cause, advice) = of_status(status);
            assert!(cause != "other" && !advice.ends_with('.'), "{status:?}");
        }
    }
}
