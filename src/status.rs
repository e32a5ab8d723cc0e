//! The status codes, and the mapping of the service's error codes to them.
//!
//! The numbers are part of the ABI: blocks of one hundred by category, append-only, never renumbered.

use std::ffi::CStr;

/// How a call ended. 0 is the only success.
///
/// The block of a number is its category: 100 arguments, 200 credentials, 300 transport, 400 refused
/// because of the identity, 500 refused because of the request or the key, 600 the service is not
/// available now, 700 integrity, 800 the program's own descriptors and callbacks, 900 the library.
/// Later versions may add values: a `switch` needs a `default`.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Status {
    /// The call succeeded.
    Ok = 0,

    /// A required pointer is NULL, or NULL came with a length that is not 0.
    NullPointer = 101,
    /// A length or a count is outside its range.
    InvalidLength = 102,
    /// A string is not valid UTF-8.
    InvalidUtf8 = 103,
    /// A key id is empty, longer than 128 characters, or has characters other than letters, digits
    /// and `-_/:.`.
    MalformedKeyId = 104,
    /// A context is not a JSON object of strings without duplicate keys.
    InvalidContext = 105,
    /// A context is longer than 1024 characters.
    ContextTooLong = 106,
    /// A plaintext for Encrypt is longer than 4096 bytes.
    PlaintextTooLarge = 107,
    /// A plaintext for Encrypt is empty.
    EmptyPlaintext = 108,
    /// A CiphertextBlob is empty, too long, or not text.
    MalformedBlob = 109,
    /// A region is missing or is not of the form `ap-guangzhou`.
    InvalidRegion = 110,
    /// An endpoint is not a URL of the form `https://host[:port]`.
    InvalidEndpoint = 111,
    /// An endpoint says `http` and its host is not a loopback address.
    InsecureEndpoint = 112,
    /// A CA bundle cannot be read or has no certificate.
    InvalidCaBundle = 113,
    /// A proxy is not a URL of the form `http://[user:password@]host[:port]`.
    InvalidProxy = 114,
    /// A number is outside the range its setter allows.
    OutOfRange = 115,
    /// An action's name is malformed.
    MalformedAction = 116,
    /// A request body is not a JSON object, or is too long.
    InvalidRequestJson = 117,
    /// A user-agent suffix or a language cannot be sent in a header.
    InvalidHeaderText = 118,
    /// A configuration for a derived client sets something that only a new client can have.
    NotDerivable = 119,
    /// A structure sets a member that this version of the library does not know.
    UnknownOption = 120,
    /// A number is not an algorithm of this kind.
    UnknownAlgorithm = 123,
    /// The key does not have the algorithm: it has another type or usage.
    AlgorithmNotAllowed = 124,
    /// A context has a key that begins with `aws-crypto-`, or an empty one.
    ReservedContextKey = 130,
    /// A name of a wrapping key is empty, too long, or reserved by the format.
    InvalidKeyName = 131,
    /// A PEM text has no RSA key of the expected kind, of 2048 to 8192 bits.
    InvalidPem = 132,
    /// A keyring has no key that can seal, or none that can open.
    NoUsableKey = 133,
    /// The plaintext is longer or shorter than the size or bound that was set.
    PlaintextSize = 134,
    /// A message would have more than 4294967295 frames; a larger frame length helps.
    MessageTooLong = 135,
    /// A stream is used after its end or after an error, or an option is set too late.
    InvalidState = 136,
    /// Two arguments overlap in memory, and one of them is written.
    Overlap = 137,
    /// A branch id is not 1 to 64 letters, digits and characters of `._-`.
    InvalidBranchId = 140,
    /// A text is not one of branch records, or its records are of another format, region or CMK.
    InvalidBranchRecord = 141,

    /// A secret id, secret key or token is empty, has blanks around it, or has characters that are
    /// not allowed.
    MalformedCredentials = 201,
    /// No credentials were configured or found.
    NoCredentials = 202,
    /// The credentials are expired and could not be renewed.
    CredentialsExpired = 203,
    /// A file of credentials or of a token cannot be read, or its content is malformed.
    InvalidCredentialsFile = 204,
    /// A role's ARN or a session name is malformed.
    InvalidRole = 205,
    /// The program's credentials callback supplied no credentials.
    CredentialsCallbackFailed = 206,
    /// The metadata service of a CVM instance does not reply; this machine may not be a CVM
    /// instance.
    MetadataUnavailable = 207,

    /// The endpoint's host name cannot be resolved.
    ResolveFailed = 301,
    /// No connection to the endpoint or the proxy could be made.
    ConnectFailed = 302,
    /// The TLS handshake failed, or the server's certificate is not trusted.
    TlsFailed = 303,
    /// The try timeout or the total timeout has expired.
    TimedOut = 304,
    /// The connection broke before the reply was complete.
    ConnectionLost = 305,
    /// The reply has an HTTP status other than 200, and not one that means that the service is not
    /// available now.
    HttpStatus = 306,
    /// The reply is a redirect; the library never follows one.
    HttpRedirect = 307,
    /// The reply is longer than 1 MiB, or its head longer than 64 KiB.
    ResponseTooLarge = 308,
    /// The reply is not JSON.
    ResponseNotJson = 309,
    /// The reply is JSON without required fields, or with values that are not possible.
    ResponseMalformed = 310,
    /// The HTTP transport could not start or has stopped; the next call starts a new one.
    TransportUnavailable = 311,
    /// The proxy refused a tunnel to the service.
    ProxyRefused = 312,

    /// `UnauthorizedOperation`: the identity may not do this.
    UnauthorizedOperation = 401,
    /// `AuthFailure`: the service does not accept the identity, for a reason that has no separate
    /// status.
    AuthFailure = 402,
    /// `AuthFailure.SignatureFailure`: the secret key does not belong to the secret id.
    AuthSignatureFailure = 403,
    /// `AuthFailure.SignatureExpire`: the clock is more than 300 seconds off.
    AuthSignatureExpired = 404,
    /// `AuthFailure.SecretIdNotFound`: the secret id is unknown, disabled or deleted.
    AuthSecretIdNotFound = 405,
    /// `AuthFailure.TokenFailure`: the session token is wrong or expired.
    AuthTokenFailure = 406,
    /// `AuthFailure.InvalidSecretId`: the secret id is not that of an API key.
    InvalidSecretId = 407,
    /// `AuthFailure.MFAFailure`: multi-factor authentication failed.
    MfaFailure = 408,
    /// `AuthFailure.InvalidAuthorization`: the Authorization header was damaged in transit.
    InvalidAuthorization = 409,
    /// `AuthFailure.UnauthorizedOperation`: CAM denies this to the identity.
    CamDenied = 410,
    /// `IpInBlacklist`, `IpNotInWhitelist`: the caller's address is not allowed.
    AddressDenied = 411,

    /// `InvalidParameter`: a parameter is wrong.
    InvalidParameter = 501,
    /// `InvalidParameterValue.InvalidKeyId`: the service does not accept the key id.
    InvalidKeyId = 502,
    /// `InvalidParameterValue.InvalidPlaintext`: the service does not accept the plaintext.
    InvalidPlaintext = 503,
    /// `ResourceUnavailable.CmkArchived`: the CMK is archived, so it can only decrypt.
    CmkArchived = 504,
    /// `ResourceUnavailable.CmkDisabled`: the CMK is disabled.
    CmkDisabled = 505,
    /// `ResourceUnavailable.CmkNotFound`: there is no such CMK.
    CmkNotFound = 506,
    /// `InvalidParameterValue.InvalidCiphertext`: the service does not accept the CiphertextBlob or
    /// its context.
    InvalidCiphertext = 507,
    /// `InvalidParameterValue`: a parameter's value is wrong.
    InvalidParameterValue = 508,
    /// `MissingParameter`: a parameter is missing.
    MissingParameter = 509,
    /// `UnknownParameter`: a parameter is not defined.
    UnknownParameter = 510,
    /// `InvalidAction`, `ActionOffline`, `NoSuchVersion`, `NoSuchProduct`: there is no such API.
    InvalidAction = 511,
    /// `ResourceUnavailable.CmkStateNotSupport` and similar codes: the CMK's state does not allow
    /// this.
    CmkStateNotSupported = 512,
    /// `ResourceUnavailable`: the key or another resource is in a state that does not allow this.
    ResourceUnavailable = 513,
    /// `ResourceNotFound`: there is no such resource.
    ResourceNotFound = 514,
    /// `LimitExceeded`: a quota is used up.
    LimitExceeded = 515,
    /// `FailedOperation`: the operation failed.
    FailedOperation = 516,
    /// `UnsupportedOperation`: the service does not do this here.
    UnsupportedOperation = 517,
    /// `UnsupportedRegion`: the service is not in this region.
    UnsupportedRegion = 518,
    /// `RequestSizeLimitExceeded`, `ResponseSizeLimitExceeded`: too large for the service.
    SizeLimitExceeded = 519,
    /// `ResourceInUse`: the resource is in use.
    ResourceInUse = 520,
    /// `InvalidRequest`, `UnsupportedProtocol`: the gateway could not read the request.
    InvalidRequest = 521,
    /// `DryRunOperation`: the request was a dry run and would have succeeded.
    DryRunOperation = 522,
    /// `ResourceUnavailable.NotPurchased`: KMS is not enabled for this account.
    NotPurchased = 523,
    /// `FailedOperation.DecryptError`: the ciphertext cannot be decrypted with this key.
    DecryptionFailed = 524,
    /// `FailedOperation.SignError`: the service could not sign.
    SigningFailed = 525,
    /// `FailedOperation.VerifyError`: the service could not verify a signature.
    VerificationFailed = 526,
    /// `FailedOperation.EncryptionError`: the service could not encrypt or decrypt.
    EncryptionFailed = 527,
    /// `FailedOperation.RotateTaskRunning`: the key is being rotated already.
    RotationRunning = 528,
    /// `FailedOperation.TaggingError`: the tags could not be set.
    TaggingFailed = 529,
    /// `FailedOperation.CmkUsedByCloudProduct`: another cloud product uses the key.
    KeyUsedByProduct = 530,
    /// `InvalidParameterValue.InvalidAlias`: the alias is not valid.
    InvalidAlias = 531,
    /// `InvalidParameterValue.AliasAlreadyExists`: another key has this alias.
    AliasExists = 532,
    /// `InvalidParameterValue.InvalidKeyUsage`: the key usage does not exist, or does not allow the
    /// operation.
    InvalidKeyUsage = 533,
    /// `InvalidParameterValue.InvalidType`: the type is not valid.
    InvalidKeyType = 534,
    /// `InvalidParameterValue.InvalidHsmClusterId`: the HSM cluster does not exist.
    InvalidHsmCluster = 535,
    /// `InvalidParameterValue.TagKeysDuplicated`: two tags have the same key.
    TagKeysDuplicated = 536,
    /// `InvalidParameterValue.TagsNotExisted`: a tag does not exist.
    TagsNotFound = 537,
    /// `InvalidParameterValue.DuplicatedKeyId`: a key is named twice.
    DuplicatedKeyId = 538,
    /// `InvalidParameterValue.MaterialNotMatch`: the key material differs from the one that was
    /// imported first.
    MaterialMismatch = 539,
    /// `InvalidParameter.DecryptMaterialError`: the wrapped key material cannot be decrypted.
    MaterialNotDecrypted = 540,
    /// `InvalidParameter.InvalidPendingWindowInDays`: the days until deletion are not 7 to 30.
    InvalidDeletionWindow = 541,
    /// `ResourceUnavailable.TokenExpired`: the import token has expired.
    ImportTokenExpired = 542,
    /// `ResourceUnavailable.CmkShouldBeDisabled`: the key must be disabled first.
    KeyNotDisabled = 543,
    /// `ResourceUnavailable.CmkNotPendingDelete`: the key is not scheduled for deletion.
    KeyNotPendingDeletion = 544,
    /// `ResourceUnavailable.CloudResourceBindingNotFound`: the key is not bound to this cloud
    /// resource.
    BindingNotFound = 545,
    /// `UnsupportedOperation.RotateNotSupported`: the key cannot be rotated.
    RotationNotSupported = 546,
    /// `UnsupportedOperation.ExternalCmkCanNotRotate`: a key with imported material cannot be
    /// rotated.
    ExternalKeyNotRotatable = 547,
    /// `UnsupportedOperation.NotExternalCmk`: the key does not take imported material.
    KeyNotExternal = 548,
    /// `UnsupportedOperation.NotRoleOperation`: the role of the caller may not manage keys.
    RoleNotAllowed = 549,
    /// `UnsupportedOperation.NotUserCreatedCmk`: the key was created by a cloud product, and the
    /// operation needs a key that a user created.
    KeyNotUserCreated = 550,
    /// `UnsupportedOperation.UnsupportedKeyUsageInCurrentRegion`: the region has no keys of this
    /// usage.
    KeyUsageNotInRegion = 551,
    /// `UnsupportedOperation.UserVersionNotSupport`: the account's edition of KMS does not include
    /// this.
    EditionNotSupported = 552,
    /// `LimitExceeded.CmkLimitExceeded`: the account has reached its limit of keys.
    KeyLimitExceeded = 553,
    /// `RequestLimitExceeded.RotateRateLimited`: the key was rotated within the last 24 hours.
    RotationTooSoon = 554,
    /// `ResourceUnavailable.KeyDisabled`: the white-box key is disabled.
    WhiteBoxKeyDisabled = 555,
    /// `LimitExceeded.KeyLimitExceeded`: the account has reached its limit of white-box keys.
    WhiteBoxKeyLimitExceeded = 556,
    /// `LimitExceeded.FingerprintsLimitExceeded`: the white-box key has reached its limit of device
    /// fingerprints.
    FingerprintLimitExceeded = 557,
    /// The service refused with a code that this version of the library does not know.
    UnknownServiceCode = 599,

    /// `InternalError`: the service failed.
    ServiceInternalError = 601,
    /// `RequestLimitExceeded` and its subcodes: too many requests.
    RequestLimitExceeded = 602,
    /// `ServiceUnavailable`: the service is down now.
    ServiceUnavailable = 603,
    /// `UnsupportedOperation.ServiceTemporaryUnavailable`: the service is not ready now.
    ServiceTemporaryUnavailable = 604,
    /// HTTP 429, 502, 503 or 504 instead of a reply of the service.
    HttpUnavailable = 605,
    /// `ResourceInsufficient`: the service has no capacity for this.
    ResourceInsufficient = 606,
    /// Too many messages failed to open recently, so no request is sent for this one in time.
    OpenLimited = 607,

    /// The reply is about another CMK than the one the caller expects.
    KeyMismatch = 701,
    /// The data does not begin like a sealed message.
    NotAMessage = 702,
    /// The data is a sealed message in base64; decode it first.
    MessageIsBase64 = 703,
    /// The message names an algorithm suite that does not exist in its version of the format.
    UnsupportedSuite = 704,
    /// The message's suite does not commit to its key, and the keyring's policy requires that.
    SuiteNotAllowed = 705,
    /// The message is signed, and the stream does not allow that; tckms_open() does.
    SignedNotAllowed = 706,
    /// The message breaks a rule of the format.
    MalformedMessage = 707,
    /// The message has more wrapped data keys than the keyring allows.
    TooManyDataKeys = 708,
    /// The message's header is longer than the keyring allows.
    HeaderTooLong = 709,
    /// The message's frames, or its unframed body, are longer than the keyring allows.
    FrameTooLong = 710,
    /// The message's context lacks a pair that is expected, or has another value for it.
    ContextMismatch = 711,
    /// None of the message's data keys was wrapped by a key of the keyring.
    NoMatchingKey = 712,
    /// A data key has another length than the suite needs.
    DataKeyLength = 713,
    /// The data key is not the one that the message commits to.
    CommitmentMismatch = 714,
    /// The message's header was changed.
    HeaderNotAuthentic = 715,
    /// A frame is missing, repeated or in the wrong place.
    FrameSequence = 716,
    /// A frame was changed.
    FrameNotAuthentic = 717,
    /// A signature is not valid: that of a message, one to verify, or one that the service made.
    SignatureInvalid = 718,
    /// The message is truncated.
    Truncated = 719,
    /// There is data after the end of the message.
    TrailingData = 720,
    /// The message names a branch that the keyring does not allow for it.
    BranchNotAllowed = 725,
    /// The message only refers to its branch key, and no record of that key is known.
    BranchRecordMissing = 726,

    /// The program canceled the call.
    Canceled = 801,
    /// Reading from or writing to a descriptor of the program failed.
    DescriptorFailed = 802,
    /// A callback of a custom key failed without a status of this library, or returned no result.
    CustomKeyFailed = 803,
    /// A file of branch records cannot be read or written, or is not a file that can be trusted.
    BranchFileFailed = 810,
    /// A callback of a store of branch records failed, took too long, or returned no result.
    BranchStoreFailed = 811,
    /// A callback that names the branch of a context failed without a status of this library, or
    /// named none.
    BranchSupplierFailed = 812,
    /// A queue holds as many calls as it may. Take some that are done.
    QueueFull = 820,
    /// No call of a queue is done, at least not yet.
    Again = 821,
    /// No call with this id is outstanding in a queue: it is done, or there never was one.
    NotOutstanding = 822,

    /// A fault inside the library. Please report it with the error's message.
    Internal = 901,
    /// There is not enough memory for a block whose size depends on the caller's input.
    OutOfMemory = 902,

    /// Not a status: makes the C type as wide as `int` with every compiler option.
    ForceInt = 0x7fff_ffff,
}

/// The category of a status: which side can correct the failure.
#[repr(C)]
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Category {
    /// The number is not one of this library's.
    Unknown = -1,
    /// Success.
    Ok = 0,
    /// The caller's arguments. Nothing was sent, except by a stream that already requested a data
    /// key.
    Argument = 100,
    /// There are no usable credentials. No request to KMS was sent; requests may have been sent to
    /// STS or the metadata service.
    Credentials = 200,
    /// Transport: the network, TLS, a proxy, or a reply that is not the service's.
    Transport = 300,
    /// The service does not allow this to the identity.
    Identity = 400,
    /// The service refuses the request, or the key's state forbids it.
    Request = 500,
    /// The service is not available now; the same call may succeed later.
    Unavailable = 600,
    /// Data is not authentic, or not the expected one.
    Integrity = 700,
    /// The program itself: it canceled the call, or one of its descriptors or callbacks failed.
    Local = 800,
    /// The library itself.
    Library = 900,
    /// Not a category: makes the C type as wide as `int` with every compiler option.
    ForceInt = 0x7fff_ffff,
}

impl Status {
    /// The status with this number, if there is one.
    pub fn from_number(number: i32) -> Option<Self> {
        TEXTS.iter().map(|row| row.0).find(|status| *status as i32 == number)
    }

    /// The name that C programs use, such as `TCKMS_ERR_CMK_DISABLED`.
    pub fn name(self) -> &'static CStr {
        self.text().1
    }

    /// One sentence about the status, without the detail of a call.
    pub fn message(self) -> &'static CStr {
        self.text().2
    }

    /// The category of the number's block.
    pub fn category(self) -> Category {
        match self as i32 / 100 {
            0 => Category::Ok,
            1 => Category::Argument,
            2 => Category::Credentials,
            3 => Category::Transport,
            4 => Category::Identity,
            5 => Category::Request,
            6 => Category::Unavailable,
            7 => Category::Integrity,
            8 => Category::Local,
            9 => Category::Library,
            _ => Category::Unknown,
        }
    }

    /// The status for an error code of the service.
    ///
    /// A code without an entry gets that of its longest known prefix, so a code that is newer than
    /// this library is still mapped to the right block; without a known prefix it is
    /// [`Status::UnknownServiceCode`].
    pub fn from_service_code(code: &str) -> Self {
        let mut prefix = code;
        loop {
            if let Some((_, status)) = SERVICE_CODES.iter().find(|(known, _)| *known == prefix) {
                return *status;
            }
            match prefix.rsplit_once('.') {
                Some((shorter, _)) => prefix = shorter,
                None => return Self::UnknownServiceCode,
            }
        }
    }

    /// Whether the same call may succeed later without any change. For a single failure,
    /// [`Error::is_retryable`] is more precise: it takes the cause into account.
    ///
    /// [`Error::is_retryable`]: crate::Error::is_retryable
    pub fn is_retryable(self) -> bool {
        self.text().3
    }

    fn text(self) -> &'static (Self, &'static CStr, &'static CStr, bool) {
        TEXTS.iter().find(|row| row.0 == self).unwrap_or(&TEXTS[0])
    }
}

/// The last column of [`TEXTS`]: the same call may succeed later without any change.
const RETRY: bool = true;
const FINAL: bool = false;

/// Each status with its C name, its message, and whether the call may be retried. The first row is
/// also used for numbers that are not a status.
const TEXTS: &[(Status, &CStr, &CStr, bool)] = &[
    (Status::Ok, c"TCKMS_OK", c"success", FINAL),
    (Status::NullPointer, c"TCKMS_ERR_NULL_POINTER", c"a required pointer is NULL", FINAL),
    (Status::InvalidLength, c"TCKMS_ERR_INVALID_LENGTH", c"a length or a count is outside its range", FINAL),
    (Status::InvalidUtf8, c"TCKMS_ERR_INVALID_UTF8", c"a string is not valid UTF-8", FINAL),
    (
        Status::MalformedKeyId,
        c"TCKMS_ERR_MALFORMED_KEY_ID",
        c"a key id is 1 to 128 letters, digits or characters of -_/:.",
        FINAL,
    ),
    (
        Status::InvalidContext,
        c"TCKMS_ERR_INVALID_CONTEXT",
        c"an encryption context is a JSON object of strings without duplicate keys",
        FINAL,
    ),
    (
        Status::ContextTooLong,
        c"TCKMS_ERR_CONTEXT_TOO_LONG",
        c"an encryption context has at most 1024 characters",
        FINAL,
    ),
    (Status::PlaintextTooLarge, c"TCKMS_ERR_PLAINTEXT_TOO_LARGE", c"Encrypt takes at most 4096 bytes", FINAL),
    (Status::EmptyPlaintext, c"TCKMS_ERR_EMPTY_PLAINTEXT", c"Encrypt needs at least 1 byte of plaintext", FINAL),
    (
        Status::MalformedBlob,
        c"TCKMS_ERR_MALFORMED_BLOB",
        c"a CiphertextBlob is 1 to 65536 printable ASCII characters",
        FINAL,
    ),
    (Status::InvalidRegion, c"TCKMS_ERR_INVALID_REGION", c"a region is a name like ap-guangzhou", FINAL),
    (
        Status::InvalidEndpoint,
        c"TCKMS_ERR_INVALID_ENDPOINT",
        c"an endpoint is a URL like https://kms.tencentcloudapi.com",
        FINAL,
    ),
    (
        Status::InsecureEndpoint,
        c"TCKMS_ERR_INSECURE_ENDPOINT",
        c"plain http is allowed to a loopback address only",
        FINAL,
    ),
    (
        Status::InvalidCaBundle,
        c"TCKMS_ERR_INVALID_CA_BUNDLE",
        c"the CA bundle cannot be read or has no certificate",
        FINAL,
    ),
    (Status::InvalidProxy, c"TCKMS_ERR_INVALID_PROXY", c"a proxy is a URL like http://proxy.example:3128", FINAL),
    (Status::OutOfRange, c"TCKMS_ERR_OUT_OF_RANGE", c"a number is outside its range", FINAL),
    (
        Status::MalformedAction,
        c"TCKMS_ERR_MALFORMED_ACTION",
        c"an action is the name of a KMS API such as DescribeKey",
        FINAL,
    ),
    (Status::InvalidRequestJson, c"TCKMS_ERR_INVALID_REQUEST_JSON", c"a request is a JSON object", FINAL),
    (Status::InvalidHeaderText, c"TCKMS_ERR_INVALID_HEADER_TEXT", c"the text cannot be sent in a header", FINAL),
    (Status::NotDerivable, c"TCKMS_ERR_NOT_DERIVABLE", c"a derived client can only change timeouts and retries", FINAL),
    (
        Status::UnknownOption,
        c"TCKMS_ERR_UNKNOWN_OPTION",
        c"a structure sets a member that this version does not know",
        FINAL,
    ),
    (Status::UnknownAlgorithm, c"TCKMS_ERR_UNKNOWN_ALGORITHM", c"the number names no algorithm", FINAL),
    (Status::AlgorithmNotAllowed, c"TCKMS_ERR_ALGORITHM_NOT_ALLOWED", c"the key does not have this algorithm", FINAL),
    (
        Status::ReservedContextKey,
        c"TCKMS_ERR_RESERVED_CONTEXT_KEY",
        c"a context key is not empty and does not begin with aws-crypto-",
        FINAL,
    ),
    (
        Status::InvalidKeyName,
        c"TCKMS_ERR_INVALID_KEY_NAME",
        c"a wrapping key's name is empty, too long or reserved",
        FINAL,
    ),
    (Status::InvalidPem, c"TCKMS_ERR_INVALID_PEM", c"the PEM text has no RSA key of the expected kind", FINAL),
    (Status::NoUsableKey, c"TCKMS_ERR_NO_USABLE_KEY", c"the keyring has no key for this", FINAL),
    (Status::PlaintextSize, c"TCKMS_ERR_PLAINTEXT_SIZE", c"the plaintext has another size than was set", FINAL),
    (Status::MessageTooLong, c"TCKMS_ERR_MESSAGE_TOO_LONG", c"a message has at most 4294967295 frames", FINAL),
    (Status::InvalidState, c"TCKMS_ERR_INVALID_STATE", c"the stream cannot do this any more", FINAL),
    (Status::Overlap, c"TCKMS_ERR_OVERLAP", c"two arguments overlap in memory, and one of them is written", FINAL),
    (
        Status::InvalidBranchId,
        c"TCKMS_ERR_INVALID_BRANCH_ID",
        c"a branch id is 1 to 64 letters, digits and characters of ._-",
        FINAL,
    ),
    (
        Status::InvalidBranchRecord,
        c"TCKMS_ERR_INVALID_BRANCH_RECORD",
        c"the text is not one of branch records that can be used here",
        FINAL,
    ),
    (
        Status::MalformedCredentials,
        c"TCKMS_ERR_MALFORMED_CREDENTIALS",
        c"a credential is empty, has blanks around it or is not printable ASCII",
        FINAL,
    ),
    (Status::NoCredentials, c"TCKMS_ERR_NO_CREDENTIALS", c"no credentials are configured or found", FINAL),
    (Status::CredentialsExpired, c"TCKMS_ERR_CREDENTIALS_EXPIRED", c"the credentials are expired", FINAL),
    (
        Status::InvalidCredentialsFile,
        c"TCKMS_ERR_INVALID_CREDENTIALS_FILE",
        c"a file of credentials cannot be used",
        FINAL,
    ),
    (Status::InvalidRole, c"TCKMS_ERR_INVALID_ROLE", c"a role's ARN or a session name is malformed", FINAL),
    (
        Status::CredentialsCallbackFailed,
        c"TCKMS_ERR_CREDENTIALS_CALLBACK_FAILED",
        c"the credentials callback supplied no credentials",
        FINAL,
    ),
    (
        Status::MetadataUnavailable,
        c"TCKMS_ERR_METADATA_UNAVAILABLE",
        c"the metadata service of a CVM instance does not reply",
        RETRY,
    ),
    (Status::ResolveFailed, c"TCKMS_ERR_RESOLVE_FAILED", c"the host name cannot be resolved", RETRY),
    (Status::ConnectFailed, c"TCKMS_ERR_CONNECT_FAILED", c"no connection could be made", RETRY),
    (Status::TlsFailed, c"TCKMS_ERR_TLS_FAILED", c"TLS failed or the certificate is not trusted", FINAL),
    (Status::TimedOut, c"TCKMS_ERR_TIMED_OUT", c"the timeout has expired", RETRY),
    (
        Status::ConnectionLost,
        c"TCKMS_ERR_CONNECTION_LOST",
        c"the connection broke before the reply was complete",
        RETRY,
    ),
    (Status::HttpStatus, c"TCKMS_ERR_HTTP_STATUS", c"the reply has an unexpected HTTP status", FINAL),
    (Status::HttpRedirect, c"TCKMS_ERR_HTTP_REDIRECT", c"the reply is a redirect, which is never followed", FINAL),
    (Status::ResponseTooLarge, c"TCKMS_ERR_RESPONSE_TOO_LARGE", c"the reply is longer than 1 MiB", FINAL),
    (Status::ResponseNotJson, c"TCKMS_ERR_RESPONSE_NOT_JSON", c"the reply is not JSON", FINAL),
    (
        Status::ResponseMalformed,
        c"TCKMS_ERR_RESPONSE_MALFORMED",
        c"the reply lacks required fields or has values that are not possible",
        FINAL,
    ),
    (
        Status::TransportUnavailable,
        c"TCKMS_ERR_TRANSPORT_UNAVAILABLE",
        c"the HTTP transport could not start or has stopped",
        RETRY,
    ),
    (Status::ProxyRefused, c"TCKMS_ERR_PROXY_REFUSED", c"the proxy refused a tunnel to the service", FINAL),
    (
        Status::UnauthorizedOperation,
        c"TCKMS_ERR_UNAUTHORIZED_OPERATION",
        c"the identity is not authorized for this operation",
        FINAL,
    ),
    (Status::AuthFailure, c"TCKMS_ERR_AUTH_FAILURE", c"the service does not accept the identity", FINAL),
    (
        Status::AuthSignatureFailure,
        c"TCKMS_ERR_AUTH_SIGNATURE_FAILURE",
        c"the service does not accept the signature",
        FINAL,
    ),
    (
        Status::AuthSignatureExpired,
        c"TCKMS_ERR_AUTH_SIGNATURE_EXPIRED",
        c"the clock differs too much from the service's",
        FINAL,
    ),
    (
        Status::AuthSecretIdNotFound,
        c"TCKMS_ERR_AUTH_SECRET_ID_NOT_FOUND",
        c"the service does not know the secret id",
        FINAL,
    ),
    (Status::AuthTokenFailure, c"TCKMS_ERR_AUTH_TOKEN_FAILURE", c"the session token is wrong or expired", FINAL),
    (Status::InvalidSecretId, c"TCKMS_ERR_INVALID_SECRET_ID", c"the secret id is not that of an API key", FINAL),
    (Status::MfaFailure, c"TCKMS_ERR_MFA_FAILURE", c"multi-factor authentication failed", FINAL),
    (
        Status::InvalidAuthorization,
        c"TCKMS_ERR_INVALID_AUTHORIZATION",
        c"the service could not read the Authorization header",
        FINAL,
    ),
    (Status::CamDenied, c"TCKMS_ERR_CAM_DENIED", c"CAM denies this operation to the identity", FINAL),
    (Status::AddressDenied, c"TCKMS_ERR_ADDRESS_DENIED", c"the service does not accept calls from this address", FINAL),
    (Status::InvalidParameter, c"TCKMS_ERR_INVALID_PARAMETER", c"the service says a parameter is invalid", FINAL),
    (Status::InvalidKeyId, c"TCKMS_ERR_INVALID_KEY_ID", c"the service says the key id is invalid", FINAL),
    (Status::InvalidPlaintext, c"TCKMS_ERR_INVALID_PLAINTEXT", c"the service says the plaintext is invalid", FINAL),
    (Status::CmkArchived, c"TCKMS_ERR_CMK_ARCHIVED", c"the CMK is archived", FINAL),
    (Status::CmkDisabled, c"TCKMS_ERR_CMK_DISABLED", c"the CMK is disabled", FINAL),
    (Status::CmkNotFound, c"TCKMS_ERR_CMK_NOT_FOUND", c"the CMK does not exist", FINAL),
    (
        Status::InvalidCiphertext,
        c"TCKMS_ERR_INVALID_CIPHERTEXT",
        c"the service says the ciphertext or its context is invalid",
        FINAL,
    ),
    (
        Status::InvalidParameterValue,
        c"TCKMS_ERR_INVALID_PARAMETER_VALUE",
        c"the service says a parameter's value is invalid",
        FINAL,
    ),
    (Status::MissingParameter, c"TCKMS_ERR_MISSING_PARAMETER", c"the service says a parameter is missing", FINAL),
    (Status::UnknownParameter, c"TCKMS_ERR_UNKNOWN_PARAMETER", c"the service says a parameter is unknown", FINAL),
    (Status::InvalidAction, c"TCKMS_ERR_INVALID_ACTION", c"the service has no such API", FINAL),
    (Status::CmkStateNotSupported, c"TCKMS_ERR_CMK_STATE_NOT_SUPPORTED", c"the CMK's state does not allow this", FINAL),
    (
        Status::ResourceUnavailable,
        c"TCKMS_ERR_RESOURCE_UNAVAILABLE",
        c"the resource's state does not allow this",
        FINAL,
    ),
    (Status::ResourceNotFound, c"TCKMS_ERR_RESOURCE_NOT_FOUND", c"the resource does not exist", FINAL),
    (Status::LimitExceeded, c"TCKMS_ERR_LIMIT_EXCEEDED", c"a quota is used up", FINAL),
    (Status::FailedOperation, c"TCKMS_ERR_FAILED_OPERATION", c"the operation failed", FINAL),
    (
        Status::UnsupportedOperation,
        c"TCKMS_ERR_UNSUPPORTED_OPERATION",
        c"the service does not support this operation",
        FINAL,
    ),
    (Status::UnsupportedRegion, c"TCKMS_ERR_UNSUPPORTED_REGION", c"the service is not available in this region", FINAL),
    (
        Status::SizeLimitExceeded,
        c"TCKMS_ERR_SIZE_LIMIT_EXCEEDED",
        c"the request or the reply is too large for the service",
        FINAL,
    ),
    (Status::ResourceInUse, c"TCKMS_ERR_RESOURCE_IN_USE", c"the resource is in use", FINAL),
    (Status::InvalidRequest, c"TCKMS_ERR_INVALID_REQUEST", c"the gateway could not read the request", FINAL),
    (
        Status::DryRunOperation,
        c"TCKMS_ERR_DRY_RUN_OPERATION",
        c"the request was a dry run and would have succeeded",
        FINAL,
    ),
    (Status::NotPurchased, c"TCKMS_ERR_NOT_PURCHASED", c"KMS is not enabled for this account", FINAL),
    (
        Status::DecryptionFailed,
        c"TCKMS_ERR_DECRYPTION_FAILED",
        c"the ciphertext cannot be decrypted with this key",
        FINAL,
    ),
    (Status::SigningFailed, c"TCKMS_ERR_SIGNING_FAILED", c"the service could not sign", FINAL),
    (
        Status::VerificationFailed,
        c"TCKMS_ERR_VERIFICATION_FAILED",
        c"the service could not verify the signature",
        FINAL,
    ),
    (Status::EncryptionFailed, c"TCKMS_ERR_ENCRYPTION_FAILED", c"the service could not encrypt or decrypt", FINAL),
    (Status::RotationRunning, c"TCKMS_ERR_ROTATION_RUNNING", c"the key is being rotated already", FINAL),
    (Status::TaggingFailed, c"TCKMS_ERR_TAGGING_FAILED", c"the tags could not be set", FINAL),
    (Status::KeyUsedByProduct, c"TCKMS_ERR_KEY_USED_BY_PRODUCT", c"another cloud product uses the key", FINAL),
    (Status::InvalidAlias, c"TCKMS_ERR_INVALID_ALIAS", c"the alias is not valid", FINAL),
    (Status::AliasExists, c"TCKMS_ERR_ALIAS_EXISTS", c"another key has this alias", FINAL),
    (
        Status::InvalidKeyUsage,
        c"TCKMS_ERR_INVALID_KEY_USAGE",
        c"the key usage does not exist or does not allow the operation",
        FINAL,
    ),
    (Status::InvalidKeyType, c"TCKMS_ERR_INVALID_KEY_TYPE", c"the type is not valid", FINAL),
    (Status::InvalidHsmCluster, c"TCKMS_ERR_INVALID_HSM_CLUSTER", c"the HSM cluster does not exist", FINAL),
    (Status::TagKeysDuplicated, c"TCKMS_ERR_TAG_KEYS_DUPLICATED", c"two tags have the same key", FINAL),
    (Status::TagsNotFound, c"TCKMS_ERR_TAGS_NOT_FOUND", c"a tag does not exist", FINAL),
    (Status::DuplicatedKeyId, c"TCKMS_ERR_DUPLICATED_KEY_ID", c"a key is named twice", FINAL),
    (
        Status::MaterialMismatch,
        c"TCKMS_ERR_MATERIAL_MISMATCH",
        c"the key material differs from the one that was imported first",
        FINAL,
    ),
    (
        Status::MaterialNotDecrypted,
        c"TCKMS_ERR_MATERIAL_NOT_DECRYPTED",
        c"the wrapped key material cannot be decrypted",
        FINAL,
    ),
    (
        Status::InvalidDeletionWindow,
        c"TCKMS_ERR_INVALID_DELETION_WINDOW",
        c"the days until deletion are not 7 to 30",
        FINAL,
    ),
    (Status::ImportTokenExpired, c"TCKMS_ERR_IMPORT_TOKEN_EXPIRED", c"the import token has expired", FINAL),
    (Status::KeyNotDisabled, c"TCKMS_ERR_KEY_NOT_DISABLED", c"the key must be disabled first", FINAL),
    (
        Status::KeyNotPendingDeletion,
        c"TCKMS_ERR_KEY_NOT_PENDING_DELETION",
        c"the key is not scheduled for deletion",
        FINAL,
    ),
    (Status::BindingNotFound, c"TCKMS_ERR_BINDING_NOT_FOUND", c"the key is not bound to this cloud resource", FINAL),
    (Status::RotationNotSupported, c"TCKMS_ERR_ROTATION_NOT_SUPPORTED", c"the key cannot be rotated", FINAL),
    (
        Status::ExternalKeyNotRotatable,
        c"TCKMS_ERR_EXTERNAL_KEY_NOT_ROTATABLE",
        c"a key with imported material cannot be rotated",
        FINAL,
    ),
    (Status::KeyNotExternal, c"TCKMS_ERR_KEY_NOT_EXTERNAL", c"the key does not take imported material", FINAL),
    (Status::RoleNotAllowed, c"TCKMS_ERR_ROLE_NOT_ALLOWED", c"the role of the caller may not manage keys", FINAL),
    (Status::KeyNotUserCreated, c"TCKMS_ERR_KEY_NOT_USER_CREATED", c"the key was not created by a user", FINAL),
    (Status::KeyUsageNotInRegion, c"TCKMS_ERR_KEY_USAGE_NOT_IN_REGION", c"the region has no keys of this usage", FINAL),
    (
        Status::EditionNotSupported,
        c"TCKMS_ERR_EDITION_NOT_SUPPORTED",
        c"the edition of KMS does not include this",
        FINAL,
    ),
    (Status::KeyLimitExceeded, c"TCKMS_ERR_KEY_LIMIT_EXCEEDED", c"the account has reached its limit of keys", FINAL),
    (Status::RotationTooSoon, c"TCKMS_ERR_ROTATION_TOO_SOON", c"the key was rotated within the last 24 hours", FINAL),
    (Status::WhiteBoxKeyDisabled, c"TCKMS_ERR_WHITE_BOX_KEY_DISABLED", c"the white-box key is disabled", FINAL),
    (
        Status::WhiteBoxKeyLimitExceeded,
        c"TCKMS_ERR_WHITE_BOX_KEY_LIMIT_EXCEEDED",
        c"the account has reached its limit of white-box keys",
        FINAL,
    ),
    (
        Status::FingerprintLimitExceeded,
        c"TCKMS_ERR_FINGERPRINT_LIMIT_EXCEEDED",
        c"the white-box key has reached its limit of device fingerprints",
        FINAL,
    ),
    (
        Status::UnknownServiceCode,
        c"TCKMS_ERR_UNKNOWN_SERVICE_CODE",
        c"the service refused with a code this version does not know",
        FINAL,
    ),
    (Status::ServiceInternalError, c"TCKMS_ERR_SERVICE_INTERNAL_ERROR", c"the service had an internal error", RETRY),
    (Status::RequestLimitExceeded, c"TCKMS_ERR_REQUEST_LIMIT_EXCEEDED", c"too many requests", RETRY),
    (Status::ServiceUnavailable, c"TCKMS_ERR_SERVICE_UNAVAILABLE", c"the service is unavailable now", RETRY),
    (
        Status::ServiceTemporaryUnavailable,
        c"TCKMS_ERR_SERVICE_TEMPORARY_UNAVAILABLE",
        c"the service is temporarily unavailable",
        RETRY,
    ),
    (
        Status::HttpUnavailable,
        c"TCKMS_ERR_HTTP_UNAVAILABLE",
        c"a gateway or proxy says that the service is unavailable now",
        RETRY,
    ),
    (
        Status::ResourceInsufficient,
        c"TCKMS_ERR_RESOURCE_INSUFFICIENT",
        c"the service has no capacity for this now",
        FINAL,
    ),
    (
        Status::OpenLimited,
        c"TCKMS_ERR_OPEN_LIMITED",
        c"too many messages failed to open recently, so no request is sent for this one in time",
        RETRY,
    ),
    (Status::KeyMismatch, c"TCKMS_ERR_KEY_MISMATCH", c"the reply is about another CMK than expected", FINAL),
    (Status::NotAMessage, c"TCKMS_ERR_NOT_A_MESSAGE", c"the data is not a sealed message", FINAL),
    (Status::MessageIsBase64, c"TCKMS_ERR_MESSAGE_IS_BASE64", c"the data is a sealed message in base64", FINAL),
    (
        Status::UnsupportedSuite,
        c"TCKMS_ERR_UNSUPPORTED_SUITE",
        c"the message's algorithm suite is not supported",
        FINAL,
    ),
    (Status::SuiteNotAllowed, c"TCKMS_ERR_SUITE_NOT_ALLOWED", c"the policy does not allow the message's suite", FINAL),
    (
        Status::SignedNotAllowed,
        c"TCKMS_ERR_SIGNED_NOT_ALLOWED",
        c"a stream opens signed messages only if that is allowed",
        FINAL,
    ),
    (Status::MalformedMessage, c"TCKMS_ERR_MALFORMED_MESSAGE", c"the message is malformed", FINAL),
    (Status::TooManyDataKeys, c"TCKMS_ERR_TOO_MANY_DATA_KEYS", c"the message has too many wrapped data keys", FINAL),
    (Status::HeaderTooLong, c"TCKMS_ERR_HEADER_TOO_LONG", c"the message's header is too long", FINAL),
    (Status::FrameTooLong, c"TCKMS_ERR_FRAME_TOO_LONG", c"the message's frames are too long", FINAL),
    (Status::ContextMismatch, c"TCKMS_ERR_CONTEXT_MISMATCH", c"the message has another context than expected", FINAL),
    (Status::NoMatchingKey, c"TCKMS_ERR_NO_MATCHING_KEY", c"no data key was wrapped by a key of the keyring", FINAL),
    (Status::DataKeyLength, c"TCKMS_ERR_DATA_KEY_LENGTH", c"the data key has the wrong length", FINAL),
    (Status::CommitmentMismatch, c"TCKMS_ERR_COMMITMENT_MISMATCH", c"the data key is not the message's", FINAL),
    (Status::HeaderNotAuthentic, c"TCKMS_ERR_HEADER_NOT_AUTHENTIC", c"the message's header is not authentic", FINAL),
    (Status::FrameSequence, c"TCKMS_ERR_FRAME_SEQUENCE", c"a frame is missing or in the wrong place", FINAL),
    (Status::FrameNotAuthentic, c"TCKMS_ERR_FRAME_NOT_AUTHENTIC", c"a frame is not authentic", FINAL),
    (Status::SignatureInvalid, c"TCKMS_ERR_SIGNATURE_INVALID", c"a signature is not valid", FINAL),
    (Status::Truncated, c"TCKMS_ERR_TRUNCATED", c"the message is truncated", FINAL),
    (Status::TrailingData, c"TCKMS_ERR_TRAILING_DATA", c"there is data after the message", FINAL),
    (
        Status::BranchNotAllowed,
        c"TCKMS_ERR_BRANCH_NOT_ALLOWED",
        c"the keyring does not allow the message's branch",
        FINAL,
    ),
    (
        Status::BranchRecordMissing,
        c"TCKMS_ERR_BRANCH_RECORD_MISSING",
        c"no record of the message's branch key is known",
        FINAL,
    ),
    (Status::Canceled, c"TCKMS_ERR_CANCELED", c"the program canceled the call", FINAL),
    (
        Status::DescriptorFailed,
        c"TCKMS_ERR_DESCRIPTOR_FAILED",
        c"reading from or writing to a descriptor failed",
        FINAL,
    ),
    (Status::CustomKeyFailed, c"TCKMS_ERR_CUSTOM_KEY_FAILED", c"a callback of a custom key failed", FINAL),
    (Status::BranchFileFailed, c"TCKMS_ERR_BRANCH_FILE_FAILED", c"a file of branch records cannot be used", FINAL),
    (Status::BranchStoreFailed, c"TCKMS_ERR_BRANCH_STORE_FAILED", c"a store of branch records failed", RETRY),
    (
        Status::BranchSupplierFailed,
        c"TCKMS_ERR_BRANCH_SUPPLIER_FAILED",
        c"a callback that names branches failed",
        FINAL,
    ),
    (Status::QueueFull, c"TCKMS_ERR_QUEUE_FULL", c"the queue holds as many calls as it may", RETRY),
    (Status::Again, c"TCKMS_ERR_AGAIN", c"no call of the queue is done yet", RETRY),
    (Status::NotOutstanding, c"TCKMS_ERR_NOT_OUTSTANDING", c"no such call is outstanding in the queue", FINAL),
    (Status::Internal, c"TCKMS_ERR_INTERNAL", c"a fault inside the library", FINAL),
    (Status::OutOfMemory, c"TCKMS_ERR_OUT_OF_MEMORY", c"no memory for a block of this size", FINAL),
];

/// The service's error codes: the 65 of the KMS API (2019-01-18) and the common codes of API 3.0.
const SERVICE_CODES: &[(&str, Status)] = &[
    ("AuthFailure", Status::AuthFailure),
    ("AuthFailure.InvalidAuthorization", Status::InvalidAuthorization),
    ("AuthFailure.InvalidSecretId", Status::InvalidSecretId),
    ("AuthFailure.MFAFailure", Status::MfaFailure),
    ("AuthFailure.SecretIdNotFound", Status::AuthSecretIdNotFound),
    ("AuthFailure.SignatureExpire", Status::AuthSignatureExpired),
    ("AuthFailure.SignatureFailure", Status::AuthSignatureFailure),
    ("AuthFailure.TokenFailure", Status::AuthTokenFailure),
    ("AuthFailure.UnauthorizedOperation", Status::CamDenied),
    ("ActionOffline", Status::InvalidAction),
    ("DryRunOperation", Status::DryRunOperation),
    ("FailedOperation", Status::FailedOperation),
    ("FailedOperation.CmkUsedByCloudProduct", Status::KeyUsedByProduct),
    ("FailedOperation.DecryptError", Status::DecryptionFailed),
    ("FailedOperation.EncryptionError", Status::EncryptionFailed),
    ("FailedOperation.RotateTaskRunning", Status::RotationRunning),
    ("FailedOperation.SignError", Status::SigningFailed),
    ("FailedOperation.TaggingError", Status::TaggingFailed),
    ("FailedOperation.VerifyError", Status::VerificationFailed),
    ("InternalError", Status::ServiceInternalError),
    ("InvalidAction", Status::InvalidAction),
    ("InvalidParameter", Status::InvalidParameter),
    ("InvalidParameter.DecryptMaterialError", Status::MaterialNotDecrypted),
    ("InvalidParameter.InvalidPendingWindowInDays", Status::InvalidDeletionWindow),
    ("InvalidParameterValue", Status::InvalidParameterValue),
    ("InvalidParameterValue.AliasAlreadyExists", Status::AliasExists),
    ("InvalidParameterValue.DataKeyNameAlreadyExists", Status::InvalidParameterValue),
    ("InvalidParameterValue.DuplicatedDataKeyId", Status::InvalidParameterValue),
    ("InvalidParameterValue.DuplicatedKeyId", Status::DuplicatedKeyId),
    ("InvalidParameterValue.InvalidAlias", Status::InvalidAlias),
    ("InvalidParameterValue.InvalidCiphertext", Status::InvalidCiphertext),
    ("InvalidParameterValue.InvalidDataKeyId", Status::InvalidParameterValue),
    ("InvalidParameterValue.InvalidDataKeyName", Status::InvalidParameterValue),
    ("InvalidParameterValue.InvalidHsmClusterId", Status::InvalidHsmCluster),
    ("InvalidParameterValue.InvalidImportKeyMaterial", Status::InvalidParameterValue),
    ("InvalidParameterValue.InvalidKeyId", Status::InvalidKeyId),
    ("InvalidParameterValue.InvalidKeyUsage", Status::InvalidKeyUsage),
    ("InvalidParameterValue.InvalidPlaintext", Status::InvalidPlaintext),
    ("InvalidParameterValue.InvalidType", Status::InvalidKeyType),
    ("InvalidParameterValue.MaterialNotMatch", Status::MaterialMismatch),
    ("InvalidParameterValue.TagKeysDuplicated", Status::TagKeysDuplicated),
    ("InvalidParameterValue.TagsNotExisted", Status::TagsNotFound),
    ("InvalidRequest", Status::InvalidRequest),
    ("IpInBlacklist", Status::AddressDenied),
    ("IpNotInWhitelist", Status::AddressDenied),
    ("LimitExceeded", Status::LimitExceeded),
    ("LimitExceeded.CmkLimitExceeded", Status::KeyLimitExceeded),
    ("LimitExceeded.DataKeyLimitExceeded", Status::LimitExceeded),
    ("LimitExceeded.FingerprintsLimitExceeded", Status::FingerprintLimitExceeded),
    ("LimitExceeded.KeyLimitExceeded", Status::WhiteBoxKeyLimitExceeded),
    ("MissingParameter", Status::MissingParameter),
    ("NoSuchProduct", Status::InvalidAction),
    ("NoSuchVersion", Status::InvalidAction),
    ("RequestLimitExceeded", Status::RequestLimitExceeded),
    ("RequestLimitExceeded.GlobalRegionUinLimitExceeded", Status::RequestLimitExceeded),
    ("RequestLimitExceeded.IPLimitExceeded", Status::RequestLimitExceeded),
    ("RequestLimitExceeded.RotateRateLimited", Status::RotationTooSoon),
    ("RequestLimitExceeded.UinLimitExceeded", Status::RequestLimitExceeded),
    ("RequestSizeLimitExceeded", Status::SizeLimitExceeded),
    ("ResourceInUse", Status::ResourceInUse),
    ("ResourceInsufficient", Status::ResourceInsufficient),
    ("ResourceNotFound", Status::ResourceNotFound),
    ("ResourceUnavailable", Status::ResourceUnavailable),
    ("ResourceUnavailable.CloudResourceBindingNotFound", Status::BindingNotFound),
    ("ResourceUnavailable.CmkArchived", Status::CmkArchived),
    ("ResourceUnavailable.CmkDisabled", Status::CmkDisabled),
    ("ResourceUnavailable.CmkNotFound", Status::CmkNotFound),
    ("ResourceUnavailable.CmkNotPendingDelete", Status::KeyNotPendingDeletion),
    ("ResourceUnavailable.CmkShouldBeDisabled", Status::KeyNotDisabled),
    ("ResourceUnavailable.CmkStateNotSupport", Status::CmkStateNotSupported),
    ("ResourceUnavailable.DataKeyDisabled", Status::ResourceUnavailable),
    ("ResourceUnavailable.DataKeyNotFound", Status::ResourceUnavailable),
    ("ResourceUnavailable.DataKeyNotPendingDelete", Status::ResourceUnavailable),
    ("ResourceUnavailable.DataKeyPendingDelete", Status::ResourceUnavailable),
    ("ResourceUnavailable.DataKeyStateNotSupport", Status::ResourceUnavailable),
    ("ResourceUnavailable.KeyDisabled", Status::WhiteBoxKeyDisabled),
    ("ResourceUnavailable.KeyPendingDelete", Status::ResourceUnavailable),
    ("ResourceUnavailable.NotPurchased", Status::NotPurchased),
    ("ResourceUnavailable.TokenExpired", Status::ImportTokenExpired),
    ("ResponseSizeLimitExceeded", Status::SizeLimitExceeded),
    ("ServiceUnavailable", Status::ServiceUnavailable),
    ("UnauthorizedOperation", Status::UnauthorizedOperation),
    ("UnknownParameter", Status::UnknownParameter),
    ("UnsupportedOperation", Status::UnsupportedOperation),
    ("UnsupportedOperation.ExternalCmkCanNotRotate", Status::ExternalKeyNotRotatable),
    ("UnsupportedOperation.NotExternalCmk", Status::KeyNotExternal),
    ("UnsupportedOperation.NotRoleOperation", Status::RoleNotAllowed),
    ("UnsupportedOperation.NotUserCreatedCmk", Status::KeyNotUserCreated),
    ("UnsupportedOperation.RotateNotSupported", Status::RotationNotSupported),
    ("UnsupportedOperation.ServiceTemporaryUnavailable", Status::ServiceTemporaryUnavailable),
    ("UnsupportedOperation.UnsupportedKeyUsageInCurrentRegion", Status::KeyUsageNotInRegion),
    ("UnsupportedOperation.UserVersionNotSupport", Status::EditionNotSupported),
    ("UnsupportedProtocol", Status::InvalidRequest),
    ("UnsupportedRegion", Status::UnsupportedRegion),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_names_are_unique_and_numbers_ascend() {
        for pair in TEXTS.windows(2) {
            assert!((pair[0].0 as i32) < pair[1].0 as i32, "{:?} and {:?}", pair[0].1, pair[1].1);
        }
        let mut names: Vec<_> = TEXTS.iter().map(|row| row.1).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), TEXTS.len());
    }

    #[test]
    fn each_code_of_the_encrypt_page_has_its_own_status() {
        let codes = [
            ("InternalError", Status::ServiceInternalError),
            ("InvalidParameter", Status::InvalidParameter),
            ("InvalidParameterValue.InvalidKeyId", Status::InvalidKeyId),
            ("InvalidParameterValue.InvalidPlaintext", Status::InvalidPlaintext),
            ("ResourceUnavailable.CmkArchived", Status::CmkArchived),
            ("ResourceUnavailable.CmkDisabled", Status::CmkDisabled),
            ("ResourceUnavailable.CmkNotFound", Status::CmkNotFound),
            ("UnauthorizedOperation", Status::UnauthorizedOperation),
        ];
        for (code, status) in codes {
            assert_eq!(Status::from_service_code(code), status);
            let others = SERVICE_CODES.iter().filter(|(other, mapped)| *other != code && *mapped == status);
            assert_eq!(others.count(), 0, "{code}");
        }
    }

    #[test]
    fn a_key_state_is_never_taken_for_an_outage() {
        for (code, status) in SERVICE_CODES.iter().filter(|(code, _)| code.starts_with("ResourceUnavailable")) {
            assert_eq!(status.category(), Category::Request, "{code}");
        }
    }

    #[test]
    fn an_unknown_code_lands_in_the_block_of_its_prefix() {
        let cases = [
            ("AuthFailure.Novel", Category::Identity),
            ("UnauthorizedOperation.Novel", Category::Identity),
            ("InvalidParameterValue.Novel.Deeper", Category::Request),
            ("ResourceUnavailable.Novel", Category::Request),
            ("RequestLimitExceeded.Novel", Category::Unavailable),
            ("InternalError.Novel", Category::Unavailable),
            ("ServiceUnavailable.Novel", Category::Unavailable),
            ("Novel", Category::Request),
            ("", Category::Request),
        ];
        for (code, category) in cases {
            assert_eq!(Status::from_service_code(code).category(), category, "{code}");
        }
    }

    #[test]
    fn the_table_holds_all_kms_codes_and_all_common_codes() {
        // 65 codes of the KMS API and 29 common ones that are not among them.
        assert_eq!(SERVICE_CODES.len(), 65 + 29);
    }
}
