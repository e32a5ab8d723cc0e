package tckms

// #include "shim.h"
import "C"

// The statuses, each with its text in tckms.h.
const (
	// OK: The call succeeded.
	OK Status = C.TCKMS_OK
	// ErrNullPointer: A required pointer is NULL, or NULL came with a length that is not 0.
	ErrNullPointer Status = C.TCKMS_ERR_NULL_POINTER
	// ErrInvalidLength: A length or a count is outside its range.
	ErrInvalidLength Status = C.TCKMS_ERR_INVALID_LENGTH
	// ErrInvalidUTF8: A string is not valid UTF-8.
	ErrInvalidUTF8 Status = C.TCKMS_ERR_INVALID_UTF8
	// ErrMalformedKeyID: A key id is empty, longer than 128 characters, or has characters other than letters, digits and -_/:..
	ErrMalformedKeyID Status = C.TCKMS_ERR_MALFORMED_KEY_ID
	// ErrInvalidContext: A context is not a JSON object of strings without duplicate keys.
	ErrInvalidContext Status = C.TCKMS_ERR_INVALID_CONTEXT
	// ErrContextTooLong: A context is longer than 1024 characters.
	ErrContextTooLong Status = C.TCKMS_ERR_CONTEXT_TOO_LONG
	// ErrPlaintextTooLarge: A plaintext for Encrypt is longer than 4096 bytes.
	ErrPlaintextTooLarge Status = C.TCKMS_ERR_PLAINTEXT_TOO_LARGE
	// ErrEmptyPlaintext: A plaintext for Encrypt is empty.
	ErrEmptyPlaintext Status = C.TCKMS_ERR_EMPTY_PLAINTEXT
	// ErrMalformedBlob: A CiphertextBlob is empty, too long, or not text.
	ErrMalformedBlob Status = C.TCKMS_ERR_MALFORMED_BLOB
	// ErrInvalidRegion: A region is missing or is not of the form ap-guangzhou.
	ErrInvalidRegion Status = C.TCKMS_ERR_INVALID_REGION
	// ErrInvalidEndpoint: An endpoint is not a URL of the form https://host[:port].
	ErrInvalidEndpoint Status = C.TCKMS_ERR_INVALID_ENDPOINT
	// ErrInsecureEndpoint: An endpoint says http and its host is not a loopback address.
	ErrInsecureEndpoint Status = C.TCKMS_ERR_INSECURE_ENDPOINT
	// ErrInvalidCABundle: A CA bundle cannot be read or has no certificate.
	ErrInvalidCABundle Status = C.TCKMS_ERR_INVALID_CA_BUNDLE
	// ErrInvalidProxy: A proxy is not a URL of the form http://[user:password@]host[:port].
	ErrInvalidProxy Status = C.TCKMS_ERR_INVALID_PROXY
	// ErrOutOfRange: A number is outside the range its setter allows.
	ErrOutOfRange Status = C.TCKMS_ERR_OUT_OF_RANGE
	// ErrMalformedAction: An action's name is malformed.
	ErrMalformedAction Status = C.TCKMS_ERR_MALFORMED_ACTION
	// ErrInvalidRequestJSON: A request body is not a JSON object, or is too long.
	ErrInvalidRequestJSON Status = C.TCKMS_ERR_INVALID_REQUEST_JSON
	// ErrInvalidHeaderText: A user-agent suffix or a language cannot be sent in a header.
	ErrInvalidHeaderText Status = C.TCKMS_ERR_INVALID_HEADER_TEXT
	// ErrUnknownOption: A structure sets a member that this version of the library does not know.
	ErrUnknownOption Status = C.TCKMS_ERR_UNKNOWN_OPTION
	// ErrNotDerivable: A configuration for a derived client sets something that only a new client can have.
	ErrNotDerivable Status = C.TCKMS_ERR_NOT_DERIVABLE
	// ErrUnknownAlgorithm: A number is not an algorithm of this kind.
	ErrUnknownAlgorithm Status = C.TCKMS_ERR_UNKNOWN_ALGORITHM
	// ErrAlgorithmNotAllowed: The key does not have the algorithm: it has another type or usage.
	ErrAlgorithmNotAllowed Status = C.TCKMS_ERR_ALGORITHM_NOT_ALLOWED
	// ErrReservedContextKey: A context has a key that begins with aws-crypto-, or an empty one.
	ErrReservedContextKey Status = C.TCKMS_ERR_RESERVED_CONTEXT_KEY
	// ErrInvalidKeyName: A name of a wrapping key is empty, too long, or reserved by the format.
	ErrInvalidKeyName Status = C.TCKMS_ERR_INVALID_KEY_NAME
	// ErrInvalidPEM: A PEM text has no RSA key of the expected kind, of 2048 to 8192 bits.
	ErrInvalidPEM Status = C.TCKMS_ERR_INVALID_PEM
	// ErrNoUsableKey: A keyring has no key that can seal, or none that can open.
	ErrNoUsableKey Status = C.TCKMS_ERR_NO_USABLE_KEY
	// ErrPlaintextSize: The plaintext is longer or shorter than the size or bound that was set.
	ErrPlaintextSize Status = C.TCKMS_ERR_PLAINTEXT_SIZE
	// ErrMessageTooLong: A message would have more than 4294967295 frames; a larger frame length helps.
	ErrMessageTooLong Status = C.TCKMS_ERR_MESSAGE_TOO_LONG
	// ErrInvalidState: A stream is used after its end or after an error, or an option is set too late.
	ErrInvalidState Status = C.TCKMS_ERR_INVALID_STATE
	// ErrOverlap: Two arguments overlap in memory, and one of them is written.
	ErrOverlap Status = C.TCKMS_ERR_OVERLAP
	// ErrInvalidBranchID: A branch id is not 1 to 64 letters, digits and characters of "._-".
	ErrInvalidBranchID Status = C.TCKMS_ERR_INVALID_BRANCH_ID
	// ErrInvalidBranchRecord: A text is not one of branch records, or its records are of another format, region or CMK.
	ErrInvalidBranchRecord Status = C.TCKMS_ERR_INVALID_BRANCH_RECORD
	// ErrCanceled: The program canceled the call.
	ErrCanceled Status = C.TCKMS_ERR_CANCELED
	// ErrDescriptorFailed: Reading from or writing to a descriptor failed.
	ErrDescriptorFailed Status = C.TCKMS_ERR_DESCRIPTOR_FAILED
	// ErrCustomKeyFailed: A callback of a custom key failed without a status of this library, or returned no result.
	ErrCustomKeyFailed Status = C.TCKMS_ERR_CUSTOM_KEY_FAILED
	// ErrBranchFileFailed: A file of branch records cannot be read or written, or is not a file that can be trusted.
	ErrBranchFileFailed Status = C.TCKMS_ERR_BRANCH_FILE_FAILED
	// ErrBranchStoreFailed: A callback of a store of branch records failed, took too long, or returned no result.
	ErrBranchStoreFailed Status = C.TCKMS_ERR_BRANCH_STORE_FAILED
	// ErrBranchSupplierFailed: A callback that names the branch of a context failed, or named none.
	ErrBranchSupplierFailed Status = C.TCKMS_ERR_BRANCH_SUPPLIER_FAILED
	// ErrQueueFull: A queue holds as many calls as it may. Take some that are done.
	ErrQueueFull Status = C.TCKMS_ERR_QUEUE_FULL
	// ErrAgain: No call of a queue is done, at least not yet.
	ErrAgain Status = C.TCKMS_ERR_AGAIN
	// ErrNotOutstanding: No call with this id is outstanding in a queue: it is done, or there never was one.
	ErrNotOutstanding Status = C.TCKMS_ERR_NOT_OUTSTANDING
	// ErrMalformedCredentials: A secret id, secret key or token is empty, has blanks around it, or has characters that are not allowed.
	ErrMalformedCredentials Status = C.TCKMS_ERR_MALFORMED_CREDENTIALS
	// ErrNoCredentials: No credentials were configured or found.
	ErrNoCredentials Status = C.TCKMS_ERR_NO_CREDENTIALS
	// ErrCredentialsExpired: The credentials are expired and could not be renewed.
	ErrCredentialsExpired Status = C.TCKMS_ERR_CREDENTIALS_EXPIRED
	// ErrInvalidCredentialsFile: A file of credentials or of a token cannot be read, or its content is malformed.
	ErrInvalidCredentialsFile Status = C.TCKMS_ERR_INVALID_CREDENTIALS_FILE
	// ErrInvalidRole: A role's ARN or a session name is malformed.
	ErrInvalidRole Status = C.TCKMS_ERR_INVALID_ROLE
	// ErrCredentialsCallbackFailed: The program's credentials callback supplied no credentials.
	ErrCredentialsCallbackFailed Status = C.TCKMS_ERR_CREDENTIALS_CALLBACK_FAILED
	// ErrMetadataUnavailable: The metadata service of a CVM instance does not reply; this machine may not be a CVM instance.
	ErrMetadataUnavailable Status = C.TCKMS_ERR_METADATA_UNAVAILABLE
	// ErrResolveFailed: The endpoint's host name cannot be resolved.
	ErrResolveFailed Status = C.TCKMS_ERR_RESOLVE_FAILED
	// ErrConnectFailed: No connection to the endpoint or the proxy could be made.
	ErrConnectFailed Status = C.TCKMS_ERR_CONNECT_FAILED
	// ErrTLSFailed: The TLS handshake failed, or the server's certificate is not trusted.
	ErrTLSFailed Status = C.TCKMS_ERR_TLS_FAILED
	// ErrTimedOut: The try timeout or the total timeout has expired.
	ErrTimedOut Status = C.TCKMS_ERR_TIMED_OUT
	// ErrConnectionLost: The connection broke before the reply was complete.
	ErrConnectionLost Status = C.TCKMS_ERR_CONNECTION_LOST
	// ErrHTTPStatus: The reply has an HTTP status other than 200, and not one that means that the service is not available now.
	ErrHTTPStatus Status = C.TCKMS_ERR_HTTP_STATUS
	// ErrHTTPRedirect: The reply is a redirect; the library never follows one.
	ErrHTTPRedirect Status = C.TCKMS_ERR_HTTP_REDIRECT
	// ErrResponseTooLarge: The reply is longer than 1 MiB, or its head longer than 64 KiB.
	ErrResponseTooLarge Status = C.TCKMS_ERR_RESPONSE_TOO_LARGE
	// ErrResponseNotJSON: The reply is not JSON.
	ErrResponseNotJSON Status = C.TCKMS_ERR_RESPONSE_NOT_JSON
	// ErrResponseMalformed: The reply is JSON without required fields, or with values that are not possible.
	ErrResponseMalformed Status = C.TCKMS_ERR_RESPONSE_MALFORMED
	// ErrTransportUnavailable: The HTTP transport could not start or has stopped; the next call starts a new one.
	ErrTransportUnavailable Status = C.TCKMS_ERR_TRANSPORT_UNAVAILABLE
	// ErrProxyRefused: The proxy refused a tunnel to the service.
	ErrProxyRefused Status = C.TCKMS_ERR_PROXY_REFUSED
	// ErrUnauthorizedOperation: UnauthorizedOperation: the identity may not do this.
	ErrUnauthorizedOperation Status = C.TCKMS_ERR_UNAUTHORIZED_OPERATION
	// ErrAuthFailure: AuthFailure: the service does not accept the identity, for a reason that has no separate status.
	ErrAuthFailure Status = C.TCKMS_ERR_AUTH_FAILURE
	// ErrAuthSignatureFailure: AuthFailure.SignatureFailure: the secret key does not belong to the secret id.
	ErrAuthSignatureFailure Status = C.TCKMS_ERR_AUTH_SIGNATURE_FAILURE
	// ErrAuthSignatureExpired: AuthFailure.SignatureExpire: the clock is more than 300 seconds off.
	ErrAuthSignatureExpired Status = C.TCKMS_ERR_AUTH_SIGNATURE_EXPIRED
	// ErrAuthSecretIDNotFound: AuthFailure.SecretIdNotFound: the secret id is unknown, disabled or deleted.
	ErrAuthSecretIDNotFound Status = C.TCKMS_ERR_AUTH_SECRET_ID_NOT_FOUND
	// ErrAuthTokenFailure: AuthFailure.TokenFailure: the session token is wrong or expired.
	ErrAuthTokenFailure Status = C.TCKMS_ERR_AUTH_TOKEN_FAILURE
	// ErrInvalidSecretID: AuthFailure.InvalidSecretId: the secret id is not that of an API key.
	ErrInvalidSecretID Status = C.TCKMS_ERR_INVALID_SECRET_ID
	// ErrMFAFailure: AuthFailure.MFAFailure: multi-factor authentication failed.
	ErrMFAFailure Status = C.TCKMS_ERR_MFA_FAILURE
	// ErrInvalidAuthorization: AuthFailure.InvalidAuthorization: the Authorization header was damaged in transit.
	ErrInvalidAuthorization Status = C.TCKMS_ERR_INVALID_AUTHORIZATION
	// ErrCAMDenied: AuthFailure.UnauthorizedOperation: CAM denies this to the identity.
	ErrCAMDenied Status = C.TCKMS_ERR_CAM_DENIED
	// ErrAddressDenied: IpInBlacklist, IpNotInWhitelist: the caller's address is not allowed.
	ErrAddressDenied Status = C.TCKMS_ERR_ADDRESS_DENIED
	// ErrInvalidParameter: InvalidParameter: a parameter is wrong.
	ErrInvalidParameter Status = C.TCKMS_ERR_INVALID_PARAMETER
	// ErrInvalidKeyID: InvalidParameterValue.InvalidKeyId: the service does not accept the key id.
	ErrInvalidKeyID Status = C.TCKMS_ERR_INVALID_KEY_ID
	// ErrInvalidPlaintext: InvalidParameterValue.InvalidPlaintext: the service does not accept the plaintext.
	ErrInvalidPlaintext Status = C.TCKMS_ERR_INVALID_PLAINTEXT
	// ErrCMKArchived: ResourceUnavailable.CmkArchived: the CMK is archived, so it can only decrypt.
	ErrCMKArchived Status = C.TCKMS_ERR_CMK_ARCHIVED
	// ErrCMKDisabled: ResourceUnavailable.CmkDisabled: the CMK is disabled.
	ErrCMKDisabled Status = C.TCKMS_ERR_CMK_DISABLED
	// ErrCMKNotFound: ResourceUnavailable.CmkNotFound: there is no such CMK.
	ErrCMKNotFound Status = C.TCKMS_ERR_CMK_NOT_FOUND
	// ErrInvalidCiphertext: InvalidParameterValue.InvalidCiphertext: the service does not accept the CiphertextBlob or its context.
	ErrInvalidCiphertext Status = C.TCKMS_ERR_INVALID_CIPHERTEXT
	// ErrInvalidParameterValue: InvalidParameterValue: a parameter's value is wrong.
	ErrInvalidParameterValue Status = C.TCKMS_ERR_INVALID_PARAMETER_VALUE
	// ErrMissingParameter: MissingParameter: a parameter is missing.
	ErrMissingParameter Status = C.TCKMS_ERR_MISSING_PARAMETER
	// ErrUnknownParameter: UnknownParameter: a parameter is not defined.
	ErrUnknownParameter Status = C.TCKMS_ERR_UNKNOWN_PARAMETER
	// ErrInvalidAction: InvalidAction, ActionOffline, NoSuchVersion, NoSuchProduct: there is no such API.
	ErrInvalidAction Status = C.TCKMS_ERR_INVALID_ACTION
	// ErrCMKStateNotSupported: ResourceUnavailable.CmkStateNotSupport and similar codes: the CMK's state does not allow this.
	ErrCMKStateNotSupported Status = C.TCKMS_ERR_CMK_STATE_NOT_SUPPORTED
	// ErrResourceUnavailable: ResourceUnavailable: the key or another resource is in a state that does not allow this.
	ErrResourceUnavailable Status = C.TCKMS_ERR_RESOURCE_UNAVAILABLE
	// ErrResourceNotFound: ResourceNotFound: there is no such resource.
	ErrResourceNotFound Status = C.TCKMS_ERR_RESOURCE_NOT_FOUND
	// ErrLimitExceeded: LimitExceeded: a quota is used up.
	ErrLimitExceeded Status = C.TCKMS_ERR_LIMIT_EXCEEDED
	// ErrFailedOperation: FailedOperation: the operation failed.
	ErrFailedOperation Status = C.TCKMS_ERR_FAILED_OPERATION
	// ErrUnsupportedOperation: UnsupportedOperation: the service does not do this here.
	ErrUnsupportedOperation Status = C.TCKMS_ERR_UNSUPPORTED_OPERATION
	// ErrUnsupportedRegion: UnsupportedRegion: the service is not in this region.
	ErrUnsupportedRegion Status = C.TCKMS_ERR_UNSUPPORTED_REGION
	// ErrSizeLimitExceeded: RequestSizeLimitExceeded, ResponseSizeLimitExceeded: too large for the service.
	ErrSizeLimitExceeded Status = C.TCKMS_ERR_SIZE_LIMIT_EXCEEDED
	// ErrResourceInUse: ResourceInUse: the resource is in use.
	ErrResourceInUse Status = C.TCKMS_ERR_RESOURCE_IN_USE
	// ErrInvalidRequest: InvalidRequest, UnsupportedProtocol: the gateway could not read the request.
	ErrInvalidRequest Status = C.TCKMS_ERR_INVALID_REQUEST
	// ErrDryRunOperation: DryRunOperation: the request was a dry run and would have succeeded.
	ErrDryRunOperation Status = C.TCKMS_ERR_DRY_RUN_OPERATION
	// ErrNotPurchased: ResourceUnavailable.NotPurchased: KMS is not enabled for this account.
	ErrNotPurchased Status = C.TCKMS_ERR_NOT_PURCHASED
	// ErrDecryptionFailed: FailedOperation.DecryptError: the ciphertext cannot be decrypted with this key.
	ErrDecryptionFailed Status = C.TCKMS_ERR_DECRYPTION_FAILED
	// ErrSigningFailed: FailedOperation.SignError: the service could not sign.
	ErrSigningFailed Status = C.TCKMS_ERR_SIGNING_FAILED
	// ErrVerificationFailed: FailedOperation.VerifyError: the service could not verify a signature.
	ErrVerificationFailed Status = C.TCKMS_ERR_VERIFICATION_FAILED
	// ErrEncryptionFailed: FailedOperation.EncryptionError: the service could not encrypt or decrypt.
	ErrEncryptionFailed Status = C.TCKMS_ERR_ENCRYPTION_FAILED
	// ErrRotationRunning: FailedOperation.RotateTaskRunning: the key is being rotated already.
	ErrRotationRunning Status = C.TCKMS_ERR_ROTATION_RUNNING
	// ErrTaggingFailed: FailedOperation.TaggingError: the tags could not be set.
	ErrTaggingFailed Status = C.TCKMS_ERR_TAGGING_FAILED
	// ErrKeyUsedByProduct: FailedOperation.CmkUsedByCloudProduct: another cloud product uses the key.
	ErrKeyUsedByProduct Status = C.TCKMS_ERR_KEY_USED_BY_PRODUCT
	// ErrInvalidAlias: InvalidParameterValue.InvalidAlias: the alias is not valid.
	ErrInvalidAlias Status = C.TCKMS_ERR_INVALID_ALIAS
	// ErrAliasExists: InvalidParameterValue.AliasAlreadyExists: another key has this alias.
	ErrAliasExists Status = C.TCKMS_ERR_ALIAS_EXISTS
	// ErrInvalidKeyUsage: InvalidParameterValue.InvalidKeyUsage: the key usage does not exist, or does not allow the operation.
	ErrInvalidKeyUsage Status = C.TCKMS_ERR_INVALID_KEY_USAGE
	// ErrInvalidKeyType: InvalidParameterValue.InvalidType: the type is not valid.
	ErrInvalidKeyType Status = C.TCKMS_ERR_INVALID_KEY_TYPE
	// ErrInvalidHsmCluster: InvalidParameterValue.InvalidHsmClusterId: the HSM cluster does not exist.
	ErrInvalidHsmCluster Status = C.TCKMS_ERR_INVALID_HSM_CLUSTER
	// ErrTagKeysDuplicated: InvalidParameterValue.TagKeysDuplicated: two tags have the same key.
	ErrTagKeysDuplicated Status = C.TCKMS_ERR_TAG_KEYS_DUPLICATED
	// ErrTagsNotFound: InvalidParameterValue.TagsNotExisted: a tag does not exist.
	ErrTagsNotFound Status = C.TCKMS_ERR_TAGS_NOT_FOUND
	// ErrDuplicatedKeyId: InvalidParameterValue.DuplicatedKeyId: a key is named twice.
	ErrDuplicatedKeyId Status = C.TCKMS_ERR_DUPLICATED_KEY_ID
	// ErrMaterialMismatch: InvalidParameterValue.MaterialNotMatch: the key material differs from the one that was imported first.
	ErrMaterialMismatch Status = C.TCKMS_ERR_MATERIAL_MISMATCH
	// ErrMaterialNotDecrypted: InvalidParameter.DecryptMaterialError: the wrapped key material cannot be decrypted.
	ErrMaterialNotDecrypted Status = C.TCKMS_ERR_MATERIAL_NOT_DECRYPTED
	// ErrInvalidDeletionWindow: InvalidParameter.InvalidPendingWindowInDays: the days until deletion are not 7 to 30.
	ErrInvalidDeletionWindow Status = C.TCKMS_ERR_INVALID_DELETION_WINDOW
	// ErrImportTokenExpired: ResourceUnavailable.TokenExpired: the import token has expired.
	ErrImportTokenExpired Status = C.TCKMS_ERR_IMPORT_TOKEN_EXPIRED
	// ErrKeyNotDisabled: ResourceUnavailable.CmkShouldBeDisabled: the key must be disabled first.
	ErrKeyNotDisabled Status = C.TCKMS_ERR_KEY_NOT_DISABLED
	// ErrKeyNotPendingDeletion: ResourceUnavailable.CmkNotPendingDelete: the key is not scheduled for deletion.
	ErrKeyNotPendingDeletion Status = C.TCKMS_ERR_KEY_NOT_PENDING_DELETION
	// ErrBindingNotFound: ResourceUnavailable.CloudResourceBindingNotFound: the key is not bound to this cloud resource.
	ErrBindingNotFound Status = C.TCKMS_ERR_BINDING_NOT_FOUND
	// ErrRotationNotSupported: UnsupportedOperation.RotateNotSupported: the key cannot be rotated.
	ErrRotationNotSupported Status = C.TCKMS_ERR_ROTATION_NOT_SUPPORTED
	// ErrExternalKeyNotRotatable: UnsupportedOperation.ExternalCmkCanNotRotate: a key with imported material cannot be rotated.
	ErrExternalKeyNotRotatable Status = C.TCKMS_ERR_EXTERNAL_KEY_NOT_ROTATABLE
	// ErrKeyNotExternal: UnsupportedOperation.NotExternalCmk: the key does not take imported material.
	ErrKeyNotExternal Status = C.TCKMS_ERR_KEY_NOT_EXTERNAL
	// ErrRoleNotAllowed: UnsupportedOperation.NotRoleOperation: the role of the caller may not manage keys.
	ErrRoleNotAllowed Status = C.TCKMS_ERR_ROLE_NOT_ALLOWED
	// ErrKeyNotUserCreated: UnsupportedOperation.NotUserCreatedCmk: the key was created by a cloud product, and the operation needs a key that a user created.
	ErrKeyNotUserCreated Status = C.TCKMS_ERR_KEY_NOT_USER_CREATED
	// ErrKeyUsageNotInRegion: UnsupportedOperation.UnsupportedKeyUsageInCurrentRegion: the region has no keys of this usage.
	ErrKeyUsageNotInRegion Status = C.TCKMS_ERR_KEY_USAGE_NOT_IN_REGION
	// ErrEditionNotSupported: UnsupportedOperation.UserVersionNotSupport: the account's edition of KMS does not include this.
	ErrEditionNotSupported Status = C.TCKMS_ERR_EDITION_NOT_SUPPORTED
	// ErrKeyLimitExceeded: LimitExceeded.CmkLimitExceeded: the account has reached its limit of keys.
	ErrKeyLimitExceeded Status = C.TCKMS_ERR_KEY_LIMIT_EXCEEDED
	// ErrRotationTooSoon: RequestLimitExceeded.RotateRateLimited: the key was rotated within the last 24 hours.
	ErrRotationTooSoon Status = C.TCKMS_ERR_ROTATION_TOO_SOON
	// ErrWhiteBoxKeyDisabled: ResourceUnavailable.KeyDisabled: the white-box key is disabled.
	ErrWhiteBoxKeyDisabled Status = C.TCKMS_ERR_WHITE_BOX_KEY_DISABLED
	// ErrWhiteBoxKeyLimitExceeded: LimitExceeded.KeyLimitExceeded: the account has reached its limit of white-box keys.
	ErrWhiteBoxKeyLimitExceeded Status = C.TCKMS_ERR_WHITE_BOX_KEY_LIMIT_EXCEEDED
	// ErrFingerprintLimitExceeded: LimitExceeded.FingerprintsLimitExceeded: the white-box key has reached its limit of device fingerprints.
	ErrFingerprintLimitExceeded Status = C.TCKMS_ERR_FINGERPRINT_LIMIT_EXCEEDED
	// ErrUnknownServiceCode: The service refused with a code that this version of the library does not know.
	ErrUnknownServiceCode Status = C.TCKMS_ERR_UNKNOWN_SERVICE_CODE
	// ErrServiceInternalError: InternalError: the service failed.
	ErrServiceInternalError Status = C.TCKMS_ERR_SERVICE_INTERNAL_ERROR
	// ErrRequestLimitExceeded: RequestLimitExceeded and its subcodes: too many requests.
	ErrRequestLimitExceeded Status = C.TCKMS_ERR_REQUEST_LIMIT_EXCEEDED
	// ErrServiceUnavailable: ServiceUnavailable: the service is down now.
	ErrServiceUnavailable Status = C.TCKMS_ERR_SERVICE_UNAVAILABLE
	// ErrServiceTemporaryUnavailable: UnsupportedOperation.ServiceTemporaryUnavailable: the service is not ready now.
	ErrServiceTemporaryUnavailable Status = C.TCKMS_ERR_SERVICE_TEMPORARY_UNAVAILABLE
	// ErrHTTPUnavailable: HTTP 429, 502, 503 or 504 instead of a reply of the service.
	ErrHTTPUnavailable Status = C.TCKMS_ERR_HTTP_UNAVAILABLE
	// ErrResourceInsufficient: ResourceInsufficient: the service has no capacity for this.
	ErrResourceInsufficient Status = C.TCKMS_ERR_RESOURCE_INSUFFICIENT
	// ErrOpenLimited: Too many messages failed to open recently, so no request is sent for this one in time.
	ErrOpenLimited Status = C.TCKMS_ERR_OPEN_LIMITED
	// ErrKeyMismatch: The reply is about another CMK than the one the caller expects.
	ErrKeyMismatch Status = C.TCKMS_ERR_KEY_MISMATCH
	// ErrNotAMessage: The data does not begin like a sealed message.
	ErrNotAMessage Status = C.TCKMS_ERR_NOT_A_MESSAGE
	// ErrMessageIsBase64: The data is a sealed message in base64; decode it first.
	ErrMessageIsBase64 Status = C.TCKMS_ERR_MESSAGE_IS_BASE64
	// ErrUnsupportedSuite: The message names an algorithm suite that does not exist in its version of the format.
	ErrUnsupportedSuite Status = C.TCKMS_ERR_UNSUPPORTED_SUITE
	// ErrSuiteNotAllowed: The message's suite does not commit to its key, and the keyring's policy requires that.
	ErrSuiteNotAllowed Status = C.TCKMS_ERR_SUITE_NOT_ALLOWED
	// ErrSignedNotAllowed: The message is signed, and the stream does not allow that; tckms_open() does.
	ErrSignedNotAllowed Status = C.TCKMS_ERR_SIGNED_NOT_ALLOWED
	// ErrMalformedMessage: The message breaks a rule of the format.
	ErrMalformedMessage Status = C.TCKMS_ERR_MALFORMED_MESSAGE
	// ErrTooManyDataKeys: The message has more wrapped data keys than the keyring allows.
	ErrTooManyDataKeys Status = C.TCKMS_ERR_TOO_MANY_DATA_KEYS
	// ErrHeaderTooLong: The message's header is longer than the keyring allows.
	ErrHeaderTooLong Status = C.TCKMS_ERR_HEADER_TOO_LONG
	// ErrFrameTooLong: The message's frames, or its unframed body, are longer than the keyring allows.
	ErrFrameTooLong Status = C.TCKMS_ERR_FRAME_TOO_LONG
	// ErrContextMismatch: The message's context lacks a pair that is expected, or has another value for it.
	ErrContextMismatch Status = C.TCKMS_ERR_CONTEXT_MISMATCH
	// ErrNoMatchingKey: None of the message's data keys was wrapped by a key of the keyring.
	ErrNoMatchingKey Status = C.TCKMS_ERR_NO_MATCHING_KEY
	// ErrDataKeyLength: A data key has another length than the suite needs.
	ErrDataKeyLength Status = C.TCKMS_ERR_DATA_KEY_LENGTH
	// ErrCommitmentMismatch: The data key is not the one that the message commits to.
	ErrCommitmentMismatch Status = C.TCKMS_ERR_COMMITMENT_MISMATCH
	// ErrHeaderNotAuthentic: The message's header was changed.
	ErrHeaderNotAuthentic Status = C.TCKMS_ERR_HEADER_NOT_AUTHENTIC
	// ErrFrameSequence: A frame is missing, repeated or in the wrong place.
	ErrFrameSequence Status = C.TCKMS_ERR_FRAME_SEQUENCE
	// ErrFrameNotAuthentic: A frame was changed.
	ErrFrameNotAuthentic Status = C.TCKMS_ERR_FRAME_NOT_AUTHENTIC
	// ErrSignatureInvalid: A signature is not valid: that of a message, one to verify, or one that the service made.
	ErrSignatureInvalid Status = C.TCKMS_ERR_SIGNATURE_INVALID
	// ErrTruncated: The message is truncated.
	ErrTruncated Status = C.TCKMS_ERR_TRUNCATED
	// ErrTrailingData: There is data after the end of the message.
	ErrTrailingData Status = C.TCKMS_ERR_TRAILING_DATA
	// ErrBranchNotAllowed: The message names a branch that the keyring does not allow for it.
	ErrBranchNotAllowed Status = C.TCKMS_ERR_BRANCH_NOT_ALLOWED
	// ErrBranchRecordMissing: The message only refers to its branch key, and no record of that key is known.
	ErrBranchRecordMissing Status = C.TCKMS_ERR_BRANCH_RECORD_MISSING
	// ErrInternal: A fault inside the library. Please report it with the error's message.
	ErrInternal Status = C.TCKMS_ERR_INTERNAL
	// ErrOutOfMemory: There is not enough memory for a block whose size depends on the caller's input.
	ErrOutOfMemory Status = C.TCKMS_ERR_OUT_OF_MEMORY
)
