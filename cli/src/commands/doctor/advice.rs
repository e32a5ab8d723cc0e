//! The cause of a failure and the advice, by its status.

use tckms::{Error, Status};

pub struct Diagnosis {
    /// A stable name.
    pub cause: &'static str,
    pub advice: String,
}

pub fn of(error: &Error) -> Diagnosis {
    let (cause, advice) = of_status(error.status());
    let advice = match (cause, error.action()) {
        ("permission", Some(action)) => format!("in CAM, grant the identity {}", permission(action)),
        _ => advice.to_owned(),
    };
    Diagnosis { cause, advice }
}

/// The name of an action in CAM.
fn permission(action: &str) -> String {
    match action {
        "GetCallerIdentity" => "sts:GetCallerIdentity; only this check needs it".to_owned(),
        "GenerateRandom" => "kms:GenerateRandom; only `tckms random` and this check need it".to_owned(),
        "DescribeKey" => "kms:DescribeKey on this key".to_owned(),
        _ => format!("kms:{action} on this key"),
    }
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
            ("credentials_malformed", "copy secret id and secret key again, without blanks and quotes")
        }
        NoCredentials => (
            "credentials_missing",
            "set TENCENTCLOUD_SECRET_ID and TENCENTCLOUD_SECRET_KEY, write ~/.tencentcloud/credentials, or bind a role to this machine",
        ),
        CredentialsExpired => {
            ("credentials_expired", "get new temporary credentials; if they are new, correct the clock of this machine")
        }
        InvalidCredentialsFile => {
            ("credentials_file_invalid", "correct the file: it needs a section with secret_id and secret_key")
        }
        InvalidRole => ("role_invalid", "correct the role's ARN: qcs::cam::uin/UIN:roleName/NAME"),
        MetadataUnavailable => {
            ("metadata_unavailable", "this machine is not a CVM instance, or its metadata service is blocked")
        }
        ResolveFailed => ("dns", "check the name of the endpoint or the proxy, and /etc/resolv.conf"),
        ConnectFailed => (
            "connect",
            "check that this machine can reach the address: firewall, security group, route; or use a proxy with --proxy",
        ),
        ProxyRefused => {
            ("proxy_refused", "the proxy must allow CONNECT to the service; set user and password in TCKMS_PROXY")
        }
        TlsFailed => (
            "tls",
            "trust the CA of the endpoint or of an inspecting proxy with --ca-file, check the name of the endpoint and the clock of this machine",
        ),
        TimedOut => ("timeout", "the service or the network is slow or drops packets; --timeout allows more time"),
        ConnectionLost => (
            "connection_lost",
            "the connection is closed by a proxy, a firewall, a load balancer, or the service while it restarts",
        ),
        HttpRedirect => (
            "redirect",
            "another server replies instead of the service, such as a captive portal; check the endpoint and the proxy",
        ),
        HttpStatus => {
            ("http_status", "another server replies instead of the service; check the endpoint and the proxy")
        }
        ResponseTooLarge => (
            "response_too_large",
            "another server replies instead of the service, or a proxy changes the replies; check the endpoint and the proxy",
        ),
        ResponseNotJson => (
            "response_not_json",
            "another server replies instead of the service, or a proxy changes the replies; check the endpoint and the proxy",
        ),
        ResponseMalformed => (
            "response_malformed",
            "another server replies instead of the service, or a proxy changes the replies; check the endpoint and the proxy",
        ),
        TransportUnavailable => {
            ("no_thread", "the process cannot start a thread; check its limits (ulimit -u, TasksMax)")
        }
        HttpUnavailable => ("gateway", "a gateway reports that the service is not available; try again later"),
        AuthSignatureFailure => {
            ("secret_key_wrong", "the secret key does not belong to the secret id; copy both again")
        }
        AuthSignatureExpired => (
            "clock_off",
            "correct the clock of this machine: it is off by more than 5 minutes (timedatectl set-ntp true)",
        ),
        AuthSecretIdNotFound | InvalidSecretId => (
            "secret_id_unknown",
            "the secret id does not exist, is disabled, or belongs to the other site (--international)",
        ),
        AuthTokenFailure => {
            ("token_wrong", "the session token is wrong or expired; set it together with its secret id and secret key")
        }
        InvalidAuthorization => {
            ("authorization_damaged", "the headers of the request are changed in transit; check the proxy")
        }
        AddressDenied => {
            ("address_denied", "the account does not allow the IP address of this machine; see its access control")
        }
        MfaFailure => {
            ("mfa", "the account requires multi-factor authentication, which is not possible with an API key")
        }
        AuthFailure => ("identity_refused", "the service does not accept this identity; see its message"),
        UnauthorizedOperation | CamDenied => ("permission", "in CAM, grant the identity the action that was refused"),
        CmkNotFound => (
            "key_not_found",
            "the key does not exist in this region and account; `tckms keys list` shows the existing keys",
        ),
        InvalidKeyId => {
            ("key_not_found", "the service does not know the key id; `tckms keys list` shows the existing keys")
        }
        CmkDisabled => (
            "key_disabled",
            "the key is disabled or pending deletion: `tckms keys enable KEYID`, after `tckms keys cancel-deletion KEYID` if it is pending deletion",
        ),
        CmkArchived => {
            ("key_archived", "the key is archived and can only decrypt; cancel the archiving in the console")
        }
        CmkStateNotSupported => (
            "key_state",
            "the key's state does not allow this; an external key needs its material: `tckms keys import`",
        ),
        InvalidKeyUsage => ("key_usage", "the key has another usage; `tckms keys describe KEYID` shows it"),
        NotPurchased => ("not_purchased", "enable KMS for the account in the console"),
        UnsupportedRegion => (
            "region_unsupported",
            "the service is not available in this region; `tckms call GetRegions` lists the regions that have it",
        ),
        KeyUsageNotInRegion => ("region_unsupported", "the region has no keys of this usage"),
        InvalidAction | UnsupportedOperation => {
            ("action_unknown", "the endpoint is not KMS, or it is a private cloud with an older version")
        }
        RequestLimitExceeded => {
            ("throttled", "the account sends too many requests; cache data keys, or request a higher limit")
        }
        ServiceInternalError => {
            ("service_error", "the service failed; try again, and report the request id to Tencent Cloud support")
        }
        ServiceUnavailable | ServiceTemporaryUnavailable | ResourceInsufficient => {
            ("service_unavailable", "the service is not available; try again later")
        }
        LimitExceeded => ("quota", "a quota of the account is used up"),
        KeyMismatch => (
            "wrong_key_answered",
            "the reply is about another key: another server replies instead of the service, or an alias was moved",
        ),
        InvalidCiphertext => (
            "ciphertext_refused",
            "the service does not accept its own ciphertext: a proxy changes requests or replies",
        ),
        SignatureInvalid => (
            "signature_invalid",
            "the signature of the service does not verify: a proxy changes replies, or the public key is that of another key",
        ),
        InvalidParameter | InvalidParameterValue | MissingParameter | UnknownParameter | InvalidRequest => (
            "request_refused",
            "the service does not understand the request: a proxy changes it, or the service has another version",
        ),
        OutOfMemory => ("memory", "this machine has no free memory"),
        _ => ("other", "see the message; Tencent Cloud support can look up the request id"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every failure that the caller did not cause has a specific cause.
    #[test]
    fn external_failures_have_a_cause() {
        let by_caller = [Status::CredentialsCallbackFailed, Status::OpenLimited];
        for number in (200..=299).chain(300..=399).chain(400..=499).chain(600..=699) {
            let Some(status) = Status::from_number(number) else { continue };
            if by_caller.contains(&status) {
                continue;
            }
            let (cause, advice) = of_status(status);
            assert!(cause != "other" && !advice.ends_with('.'), "{status:?}");
        }
    }
}
