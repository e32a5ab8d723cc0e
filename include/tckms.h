/* SPDX-License-Identifier: Apache-2.0 OR MIT */

#ifndef TCKMS_H
#define TCKMS_H

/*
 * tckms.h - Tencent Cloud Key Management Service from C
 *
 * Encrypt a small secret under a customer master key (CMK), get it back, and work with data keys:
 *
 *     tckms_client *client = NULL;
 *     tckms_buffer blob = TCKMS_BUFFER_INIT;
 *     if (tckms_client_new_from_env(&client) != TCKMS_OK ||
 *         tckms_encrypt(client, key_id, "secret", 6, "{\"app\":\"billing\"}", &blob) != TCKMS_OK) {
 *         fprintf(stderr, "%s\n", tckms_error_message(tckms_last_error()));
 *     }
 *     tckms_buffer_free(&blob);
 *     tckms_client_free(client);
 *
 * This file is generated from the library's source. Its chapters hold for every function; a function's own comment
 * says only what is special about it.
 *
 * HANDLES
 *   tckms_client, tckms_config and tckms_error are opaque. A handle is valid from the function that made it to the one
 *   that frees it. `const T *` means borrowed and unchanged: any number of threads may pass the same one at once.
 *   `T *` means that no other thread may use it during the call. `T **out` means that the caller owns the result. Every
 *   function with "free" in its name takes NULL without harm, takes a handle once, and takes it from any thread.
 *
 * STRINGS AND BUFFERS
 *   Strings are NUL-terminated UTF-8. Bytes come as a pointer with a length beside it; {NULL, 0} is a valid empty
 *   input, NULL with another length is TCKMS_ERR_NULL_POINTER. What is handed in is only read during the call; what
 *   the library keeps, it copies. Memory must stay unchanged during the call.
 *
 * OUTPUTS
 *   An output is set to empty ({NULL, 0} or NULL) before anything else happens and filled only on success; what it
 *   held before is overwritten, not freed. A tckms_buffer belongs to the library: give it back with
 *   tckms_buffer_free(), which wipes it, never with free(). After its bytes there is always a NUL byte that `len`
 *   does not count, so text can be printed.
 *
 * THREADS
 *   Any thread may call anything, subject to HANDLES. A client needs no lock: share one among all threads. Calls block
 *   until they succeed, fail or reach the total timeout. The first call of a client starts one thread that does the
 *   network's work with all signals blocked; it ends when the client is freed. A caller's stack of 64 KiB is enough.
 *   No function is async-signal-safe, and the child of a vfork() must not call any.
 *
 * ERRORS
 *   Every function that can fail returns a tckms_status, and the compiler warns when it is not looked at. TCKMS_OK is 0.
 *   The hundreds of a number are its category (tckms_status_category()): 100 the caller's arguments, 200 credentials,
 *   300 the way to the service, 400 refused for the identity, 500 refused for the request or the key's state, 600 the
 *   service is unable now, 700 something is not what it claims to be, 900 the library. New numbers may come with new
 *   versions, so a switch needs a default.
 *   The detail of a thread's last failure is in tckms_last_error(): message, service code, request id, whether to
 *   retry. It is borrowed until the thread's next call; tckms_error_take() makes it the caller's own, for runtimes that
 *   move between threads. An outage is never reported as bad ciphertext, and no text ever holds a secret.
 *
 * PROCESSES
 *   The library has no global state to set up or tear down. It installs no signal handler and no atexit function,
 *   writes nothing to stdout or stderr, reads no environment variable except in functions with "env" or "default" in
 *   their name, and never changes the host's signal disposition, so a broken connection raises no SIGPIPE in the host. A client may
 *   be used before and after fork(): the child makes connections of its own. dlclose() leaves the library mapped.
 *
 * MEMORY AND SECRETS
 *   Secret keys, tokens, plaintexts, data keys and the messages that hold them are wiped before their memory is given
 *   back, and so is every other block that the library frees. Out of reach are copies that the program itself makes,
 *   the kernel's socket buffers, registers, swap and core dumps. Sizes are checked before memory is asked for; when
 *   there is none for a caller-sized block the call returns TCKMS_ERR_OUT_OF_MEMORY.
 */

#include <stddef.h>
#include <stdint.h>

/** The version of this header. tckms_version() tells the one of the library that runs. */
#define TCKMS_VERSION "0.1.0"
#define TCKMS_VERSION_MAJOR 0
#define TCKMS_VERSION_MINOR 1
#define TCKMS_VERSION_PATCH 0

/** The version as one number: major x 65536 + minor x 256 + patch. */
#define TCKMS_VERSION_NUMBER \
  (TCKMS_VERSION_MAJOR * 65536 + TCKMS_VERSION_MINOR * 256 + TCKMS_VERSION_PATCH)

/** True when this header is of version major.minor.patch or later; usable in #if. */
#define TCKMS_VERSION_AT_LEAST(major, minor, patch) \
  (TCKMS_VERSION_NUMBER >= (major) * 65536 + (minor) * 256 + (patch))

/** Marks functions whose result tells whether they failed. */
#if defined(__GNUC__) || defined(__clang__)
#define TCKMS_WARN_UNUSED __attribute__((warn_unused_result))
#else
#define TCKMS_WARN_UNUSED
#endif

/** An empty tckms_buffer, for its declaration. */
#define TCKMS_BUFFER_INIT {NULL, 0}


/**
 * Longest plaintext of tckms_encrypt(), in bytes (Encrypt page of the KMS API: "up to 4 KB").
 */
#define TCKMS_PLAINTEXT_MAX 4096

/**
 * Longest encryption context, in characters (Encrypt page of the KMS API: "up to 1,024 characters").
 */
#define TCKMS_ENCRYPTION_CONTEXT_MAX 1024

/**
 * Most bytes of tckms_generate_data_key() and tckms_generate_random() (GenerateRandom page of the KMS API).
 */
#define TCKMS_RANDOM_MAX 1024

/**
 * Longest key id, in characters. Those of the service have 36.
 */
#define TCKMS_KEY_ID_MAX 128

/**
 * Longest CiphertextBlob, in characters. That of a plaintext of 4096 bytes has about 5600.
 */
#define TCKMS_CIPHERTEXT_BLOB_MAX 65536

/**
 * Log level: nothing.
 */
#define TCKMS_LOG_OFF 0

/**
 * Log level: calls that failed.
 */
#define TCKMS_LOG_ERROR 1

/**
 * Log level: also attempts that failed, and corrections such as that of the clock.
 */
#define TCKMS_LOG_WARN 2

/**
 * Log level: also every attempt that succeeded.
 */
#define TCKMS_LOG_INFO 3

/**
 * Log level: also the waits between attempts.
 */
#define TCKMS_LOG_DEBUG 4

/**
 * What kind of trouble a status is, and so who can do something about it.
 */
typedef enum tckms_category {
  /**
   * The number is not one of this library's.
   */
  TCKMS_CATEGORY_UNKNOWN = -1,
  /**
   * Success.
   */
  TCKMS_CATEGORY_OK = 0,
  /**
   * The caller's arguments; nothing was sent.
   */
  TCKMS_CATEGORY_ARGUMENT = 100,
  /**
   * Credentials could not be had; nothing was sent.
   */
  TCKMS_CATEGORY_CREDENTIALS = 200,
  /**
   * The way to the service: the network, TLS, a proxy, or a reply that is not the service's.
   */
  TCKMS_CATEGORY_TRANSPORT = 300,
  /**
   * The service does not let this identity do it.
   */
  TCKMS_CATEGORY_IDENTITY = 400,
  /**
   * The service refuses the request, or the key's state forbids it.
   */
  TCKMS_CATEGORY_REQUEST = 500,
  /**
   * The service is unable now; the same call may succeed later.
   */
  TCKMS_CATEGORY_UNAVAILABLE = 600,
  /**
   * Something is not what it claims to be.
   */
  TCKMS_CATEGORY_INTEGRITY = 700,
  /**
   * The library itself.
   */
  TCKMS_CATEGORY_LIBRARY = 900,
} tckms_category;

/**
 * How a call ended. 0 is the only success.
 *
 * The block of a number is its category: 100 arguments, 200 credentials, 300 transport, 400 refused for the
 * identity, 500 refused for the request or the key, 600 the service is unable now, 700 integrity, 900 the library.
 * Values are only ever added: a `switch` needs a `default`.
 */
typedef enum tckms_status {
  /**
   * The call succeeded.
   */
  TCKMS_OK = 0,
  /**
   * A required pointer is NULL, or NULL came with a length that is not 0.
   */
  TCKMS_ERR_NULL_POINTER = 101,
  /**
   * A length or a count is outside its range.
   */
  TCKMS_ERR_INVALID_LENGTH = 102,
  /**
   * A string is not valid UTF-8.
   */
  TCKMS_ERR_INVALID_UTF8 = 103,
  /**
   * A key id is empty, longer than 128 characters, or has other characters than letters, digits and `-_/:.`.
   */
  TCKMS_ERR_MALFORMED_KEY_ID = 104,
  /**
   * A context is not a JSON object of strings without duplicate keys.
   */
  TCKMS_ERR_INVALID_CONTEXT = 105,
  /**
   * A context is longer than 1024 characters.
   */
  TCKMS_ERR_CONTEXT_TOO_LONG = 106,
  /**
   * A plaintext for Encrypt is longer than 4096 bytes.
   */
  TCKMS_ERR_PLAINTEXT_TOO_LARGE = 107,
  /**
   * A plaintext for Encrypt is empty.
   */
  TCKMS_ERR_EMPTY_PLAINTEXT = 108,
  /**
   * A CiphertextBlob is empty, too long, or not text.
   */
  TCKMS_ERR_MALFORMED_BLOB = 109,
  /**
   * A region is missing or is not of the form `ap-guangzhou`.
   */
  TCKMS_ERR_INVALID_REGION = 110,
  /**
   * An endpoint is not a URL of the form `https://host[:port]`.
   */
  TCKMS_ERR_INVALID_ENDPOINT = 111,
  /**
   * An endpoint says `http` and its host is not a loopback address.
   */
  TCKMS_ERR_INSECURE_ENDPOINT = 112,
  /**
   * A CA bundle cannot be read or holds no certificate.
   */
  TCKMS_ERR_INVALID_CA_BUNDLE = 113,
  /**
   * A proxy is not a URL of the form `http://[user:password@]host[:port]`.
   */
  TCKMS_ERR_INVALID_PROXY = 114,
  /**
   * A number is outside the range its setter allows.
   */
  TCKMS_ERR_OUT_OF_RANGE = 115,
  /**
   * An action's name is not one that KMS could have.
   */
  TCKMS_ERR_MALFORMED_ACTION = 116,
  /**
   * A request body is not a JSON object, or is too long.
   */
  TCKMS_ERR_INVALID_REQUEST_JSON = 117,
  /**
   * A user-agent suffix or a language is not one that a header can carry.
   */
  TCKMS_ERR_INVALID_HEADER_TEXT = 118,
  /**
   * A configuration for a derived client sets something that only a new client can have.
   */
  TCKMS_ERR_NOT_DERIVABLE = 119,
  /**
   * A secret id, secret key or token is empty, has blanks around it, or has characters no key has.
   */
  TCKMS_ERR_MALFORMED_CREDENTIALS = 201,
  /**
   * No credentials were configured or found.
   */
  TCKMS_ERR_NO_CREDENTIALS = 202,
  /**
   * The credentials are expired and new ones could not be had.
   */
  TCKMS_ERR_CREDENTIALS_EXPIRED = 203,
  /**
   * A file of credentials or of a token cannot be read, or its content is not what it should be.
   */
  TCKMS_ERR_INVALID_CREDENTIALS_FILE = 204,
  /**
   * A role's ARN or a session name is not one.
   */
  TCKMS_ERR_INVALID_ROLE = 205,
  /**
   * The program's own credentials callback supplied none.
   */
  TCKMS_ERR_CREDENTIALS_CALLBACK_FAILED = 206,
  /**
   * The metadata service of a CVM instance does not answer; this machine may be none.
   */
  TCKMS_ERR_METADATA_UNAVAILABLE = 207,
  /**
   * The endpoint's host name cannot be resolved.
   */
  TCKMS_ERR_RESOLVE_FAILED = 301,
  /**
   * No connection to the endpoint or the proxy could be made.
   */
  TCKMS_ERR_CONNECT_FAILED = 302,
  /**
   * TLS could not be agreed on, or the server's certificate is not trusted.
   */
  TCKMS_ERR_TLS_FAILED = 303,
  /**
   * The time allowed for a try or for the whole call is over.
   */
  TCKMS_ERR_TIMED_OUT = 304,
  /**
   * The connection broke before the reply was complete.
   */
  TCKMS_ERR_CONNECTION_LOST = 305,
  /**
   * The reply has an HTTP status other than 200, and not one that says "later".
   */
  TCKMS_ERR_HTTP_STATUS = 306,
  /**
   * The reply is a redirect; the library never follows one.
   */
  TCKMS_ERR_HTTP_REDIRECT = 307,
  /**
   * The reply is longer than 1 MiB.
   */
  TCKMS_ERR_RESPONSE_TOO_LARGE = 308,
  /**
   * The reply is not JSON.
   */
  TCKMS_ERR_RESPONSE_NOT_JSON = 309,
  /**
   * The reply is JSON without the fields that the API promises.
   */
  TCKMS_ERR_RESPONSE_MALFORMED = 310,
  /**
   * The HTTP transport could not start or has stopped; the next call starts a new one.
   */
  TCKMS_ERR_TRANSPORT_UNAVAILABLE = 311,
  /**
   * `UnauthorizedOperation`: the identity may not do this.
   */
  TCKMS_ERR_UNAUTHORIZED_OPERATION = 401,
  /**
   * `AuthFailure`: the service does not accept the identity, for a reason without a number of its own.
   */
  TCKMS_ERR_AUTH_FAILURE = 402,
  /**
   * `AuthFailure.SignatureFailure`: the secret key does not belong to the secret id.
   */
  TCKMS_ERR_SIGNATURE_FAILURE = 403,
  /**
   * `AuthFailure.SignatureExpire`: the clock is more than 300 seconds off.
   */
  TCKMS_ERR_SIGNATURE_EXPIRED = 404,
  /**
   * `AuthFailure.SecretIdNotFound`: the secret id is unknown, disabled or deleted.
   */
  TCKMS_ERR_SECRET_ID_NOT_FOUND = 405,
  /**
   * `AuthFailure.TokenFailure`: the session token is wrong or expired.
   */
  TCKMS_ERR_TOKEN_FAILURE = 406,
  /**
   * `AuthFailure.InvalidSecretId`: the secret id is not that of an API key.
   */
  TCKMS_ERR_INVALID_SECRET_ID = 407,
  /**
   * `AuthFailure.MFAFailure`: multi-factor authentication failed.
   */
  TCKMS_ERR_MFA_FAILURE = 408,
  /**
   * `AuthFailure.InvalidAuthorization`: the Authorization header was damaged on its way.
   */
  TCKMS_ERR_INVALID_AUTHORIZATION = 409,
  /**
   * `AuthFailure.UnauthorizedOperation`: CAM denies this to the identity.
   */
  TCKMS_ERR_CAM_DENIED = 410,
  /**
   * `IpInBlacklist`, `IpNotInWhitelist`: the caller's address is not allowed.
   */
  TCKMS_ERR_ADDRESS_DENIED = 411,
  /**
   * `InvalidParameter`: a parameter is wrong.
   */
  TCKMS_ERR_INVALID_PARAMETER = 501,
  /**
   * `InvalidParameterValue.InvalidKeyId`: the service does not accept the key id.
   */
  TCKMS_ERR_INVALID_KEY_ID = 502,
  /**
   * `InvalidParameterValue.InvalidPlaintext`: the service does not accept the plaintext.
   */
  TCKMS_ERR_INVALID_PLAINTEXT = 503,
  /**
   * `ResourceUnavailable.CmkArchived`: the CMK is archived, so it only decrypts.
   */
  TCKMS_ERR_CMK_ARCHIVED = 504,
  /**
   * `ResourceUnavailable.CmkDisabled`: the CMK is disabled.
   */
  TCKMS_ERR_CMK_DISABLED = 505,
  /**
   * `ResourceUnavailable.CmkNotFound`: there is no such CMK.
   */
  TCKMS_ERR_CMK_NOT_FOUND = 506,
  /**
   * `InvalidParameterValue.InvalidCiphertext`: the service does not accept the CiphertextBlob or its context.
   */
  TCKMS_ERR_INVALID_CIPHERTEXT = 507,
  /**
   * `InvalidParameterValue`: a parameter's value is wrong.
   */
  TCKMS_ERR_INVALID_PARAMETER_VALUE = 508,
  /**
   * `MissingParameter`: a parameter is missing.
   */
  TCKMS_ERR_MISSING_PARAMETER = 509,
  /**
   * `UnknownParameter`: a parameter is not defined.
   */
  TCKMS_ERR_UNKNOWN_PARAMETER = 510,
  /**
   * `InvalidAction`, `ActionOffline`, `NoSuchVersion`, `NoSuchProduct`: there is no such API.
   */
  TCKMS_ERR_INVALID_ACTION = 511,
  /**
   * `ResourceUnavailable.CmkStateNotSupport` and its kin: the CMK's state does not allow this.
   */
  TCKMS_ERR_CMK_STATE_NOT_SUPPORTED = 512,
  /**
   * `ResourceUnavailable`: the key or another resource is in a state that does not allow this.
   */
  TCKMS_ERR_RESOURCE_UNAVAILABLE = 513,
  /**
   * `ResourceNotFound`: there is no such resource.
   */
  TCKMS_ERR_RESOURCE_NOT_FOUND = 514,
  /**
   * `LimitExceeded`: a quota is used up.
   */
  TCKMS_ERR_LIMIT_EXCEEDED = 515,
  /**
   * `FailedOperation`: the operation failed.
   */
  TCKMS_ERR_FAILED_OPERATION = 516,
  /**
   * `UnsupportedOperation`: the service does not do this here.
   */
  TCKMS_ERR_UNSUPPORTED_OPERATION = 517,
  /**
   * `UnsupportedRegion`: the service is not in this region.
   */
  TCKMS_ERR_UNSUPPORTED_REGION = 518,
  /**
   * `RequestSizeLimitExceeded`, `ResponseSizeLimitExceeded`: too large for the service.
   */
  TCKMS_ERR_SIZE_LIMIT_EXCEEDED = 519,
  /**
   * `ResourceInUse`: the resource is in use.
   */
  TCKMS_ERR_RESOURCE_IN_USE = 520,
  /**
   * `InvalidRequest`, `UnsupportedProtocol`: the gateway could not read the request.
   */
  TCKMS_ERR_INVALID_REQUEST = 521,
  /**
   * `DryRunOperation`: the request would have succeeded, and was only tried.
   */
  TCKMS_ERR_DRY_RUN_OPERATION = 522,
  /**
   * `ResourceUnavailable.NotPurchased`: KMS is not enabled for this account.
   */
  TCKMS_ERR_NOT_PURCHASED = 523,
  /**
   * The service refused with a code that this version of the library does not know.
   */
  TCKMS_ERR_UNKNOWN_SERVICE_CODE = 599,
  /**
   * `InternalError`: the service failed.
   */
  TCKMS_ERR_SERVICE_INTERNAL_ERROR = 601,
  /**
   * `RequestLimitExceeded` in all its forms: too many requests.
   */
  TCKMS_ERR_REQUEST_LIMIT_EXCEEDED = 602,
  /**
   * `ServiceUnavailable`: the service is down now.
   */
  TCKMS_ERR_SERVICE_UNAVAILABLE = 603,
  /**
   * `UnsupportedOperation.ServiceTemporaryUnavailable`: the service is not ready now.
   */
  TCKMS_ERR_SERVICE_TEMPORARY_UNAVAILABLE = 604,
  /**
   * HTTP 429, 502, 503 or 504 instead of an answer of the service.
   */
  TCKMS_ERR_HTTP_UNAVAILABLE = 605,
  /**
   * `ResourceInsufficient`: the service has no capacity for this.
   */
  TCKMS_ERR_RESOURCE_INSUFFICIENT = 606,
  /**
   * The reply is about another CMK than the one the caller expects.
   */
  TCKMS_ERR_KEY_MISMATCH = 701,
  /**
   * A fault inside the library. Please report it with the error's message.
   */
  TCKMS_ERR_INTERNAL = 901,
  /**
   * There is no memory for a block of the size that the caller's input needs.
   */
  TCKMS_ERR_OUT_OF_MEMORY = 902,
  /**
   * Not a status: it keeps the C type as wide as `int` under every compiler option.
   */
  TCKMS_STATUS_FORCE_INT = 2147483647,
} tckms_status;

/**
 * A client of the key service.
 *
 * It never changes, and any number of threads may call with it at once. Making one opens no connection and starts no
 * thread; the first call does both.
 */
typedef struct tckms_client tckms_client;

/**
 * What a client is made from.
 *
 * A configuration may be changed by one thread at a time. It can be freed as soon as the client is made, and one
 * configuration can make many clients.
 */
typedef struct tckms_config tckms_config;

/**
 * Where a credentials callback puts what it supplies, with tckms_credentials_set(). It lives only during the callback.
 */
typedef struct tckms_credentials tckms_credentials;

/**
 * Everything known about a failure. It never changes, and any thread may read or free it.
 *
 * All functions that read one take NULL for "no error". A string that does not apply is empty, never NULL, and lives
 * as long as the error. No member ever holds a secret, a plaintext or a whole credential.
 */
typedef struct tckms_error tckms_error;

/**
 * Bytes that a function returns. The library owns the memory; tckms_buffer_free() wipes it and gives it back.
 *
 * After the `len` bytes there is always one NUL byte that `len` does not count, so text can be printed. Do not change
 * the members. A buffer may be moved and used by any thread, by one at a time if one of them frees it.
 */
typedef struct tckms_buffer {
  /**
   * The first byte, or NULL when the buffer is empty.
   */
  uint8_t *data;
  /**
   * The number of bytes, without the NUL byte that follows them.
   */
  size_t len;
} tckms_buffer;

/**
 * A function that hears what the library does.
 *
 * @param userdata  The pointer given to tckms_config_set_log().
 * @param level     One of TCKMS_LOG_ERROR, TCKMS_LOG_WARN, TCKMS_LOG_INFO, TCKMS_LOG_DEBUG.
 * @param message   One line without a line end, borrowed for the time of the call. It never holds a secret, a
 *                  plaintext or an Authorization header.
 *
 * It runs on the thread that made the call, possibly on several threads at once. It must return: no longjmp() and no
 * C++ exception may leave it.
 */
typedef void (*tckms_log_callback)(void *userdata, int level, const char *message);

/**
 * A function that supplies credentials.
 *
 * @param userdata  The pointer given to tckms_config_set_credentials_callback().
 * @param out       To be filled with tckms_credentials_set().
 * @return          0 when it filled `out`; anything else when it has no credentials now.
 *
 * It runs on the thread whose call finds that new credentials are due, and on one thread at a time for each client
 * made with tckms_client_new(). It may take its time: others go on with credentials that are still good. It may call
 * the library, but not with a client that waits for it. It must return: no longjmp() and no C++ exception may leave it.
 */
typedef int (*tckms_credentials_callback)(void *userdata, struct tckms_credentials *out);

/**
 * A function that frees the userdata of a callback. It is called once, on any thread, when the last configuration and
 * client that use the callback are freed.
 *
 * @param userdata  The pointer given together with this function.
 */
typedef void (*tckms_destructor)(void *userdata);

/**
 * What a client, and all that share its connections, have done since it was made.
 *
 * Later versions may add members at the end; the size argument of tckms_client_stats() tells which ones a program
 * knows.
 */
typedef struct tckms_stats {
  /**
   * Calls that were made, whatever their end.
   */
  uint64_t calls;
  /**
   * Attempts after the first of a call.
   */
  uint64_t retries;
  /**
   * Replies with RequestLimitExceeded or HTTP 429.
   */
  uint64_t throttles;
  /**
   * Calls refused for their arguments.
   */
  uint64_t failures_argument;
  /**
   * Calls for which no credentials could be had.
   */
  uint64_t failures_credentials;
  /**
   * Calls that did not reach the service or got no answer of the service.
   */
  uint64_t failures_transport;
  /**
   * Calls refused for the identity.
   */
  uint64_t failures_identity;
  /**
   * Calls refused for the request or the key's state.
   */
  uint64_t failures_request;
  /**
   * Calls for which the service was unable.
   */
  uint64_t failures_unavailable;
  /**
   * Calls that met something that was not what it claimed to be.
   */
  uint64_t failures_integrity;
  /**
   * Calls that failed inside the library.
   */
  uint64_t failures_library;
  /**
   * Bytes of request bodies, without headers and TLS.
   */
  uint64_t bytes_sent;
  /**
   * Bytes of reply bodies, without headers and TLS.
   */
  uint64_t bytes_received;
  /**
   * Connections that were opened.
   */
  uint64_t connections_opened;
} tckms_stats;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * Wipes and frees what a buffer holds, and sets it to empty.
 *
 * @param buffer  NULL or a buffer that a function of this library filled or that is empty; both are harmless.
 *
 * Threads: from any thread, while no other uses the buffer.
 * Since 0.1.0.
 */
void tckms_buffer_free(tckms_buffer *buffer);

/**
 * Overwrites memory with zeros in a way that no compiler leaves out.
 *
 * @param memory  The first byte; NULL is harmless.
 * @param len     The number of bytes.
 *
 * Threads: from any thread, while no other uses the memory.
 * Since 0.1.0.
 */
void tckms_wipe(void *memory, size_t len);

/**
 * Compares memory in a time that does not depend on its content.
 *
 * @param a    The first bytes; may be NULL when `len` is 0.
 * @param b    The second bytes; may be NULL when `len` is 0.
 * @param len  The number of bytes in each.
 * @return     1 when they are equal, 0 when they differ or one of them is NULL while `len` is not 0.
 *
 * Threads: from any thread.
 * Since 0.1.0.
 */
int tckms_equal(const void *a,
                const void *b,
                size_t len);

/**
 * TCKMS_PLAINTEXT_MAX of the library that runs.
 *
 * @return  Bytes.
 *
 * Threads: from any thread.
 * Since 0.1.0.
 */
size_t tckms_plaintext_max(void);

/**
 * TCKMS_ENCRYPTION_CONTEXT_MAX of the library that runs.
 *
 * @return  Characters.
 *
 * Threads: from any thread.
 * Since 0.1.0.
 */
size_t tckms_encryption_context_max(void);

/**
 * TCKMS_RANDOM_MAX of the library that runs.
 *
 * @return  Bytes.
 *
 * Threads: from any thread.
 * Since 0.1.0.
 */
size_t tckms_random_max(void);

/**
 * TCKMS_KEY_ID_MAX of the library that runs.
 *
 * @return  Characters.
 *
 * Threads: from any thread.
 * Since 0.1.0.
 */
size_t tckms_key_id_max(void);

/**
 * TCKMS_CIPHERTEXT_BLOB_MAX of the library that runs.
 *
 * @return  Characters.
 *
 * Threads: from any thread.
 * Since 0.1.0.
 */
size_t tckms_ciphertext_blob_max(void);

/**
 * The version of the library that runs, such as "0.1.0". TCKMS_VERSION is the one of the header.
 *
 * @return  Text, valid for ever.
 *
 * Threads: from any thread.
 * Since 0.1.0.
 */
const char *tckms_version(void);

/**
 * The version of the library that runs as one number, to compare with TCKMS_VERSION_NUMBER of the header.
 *
 * @return  major x 65536 + minor x 256 + patch.
 *
 * Threads: from any thread.
 * Since 0.1.0.
 */
unsigned int tckms_version_number(void);

/**
 * The name of a status, such as "TCKMS_ERR_CMK_DISABLED".
 *
 * @param status  Any number.
 * @return        The name, valid for ever; "TCKMS_ERR_?" for a number that is not a status of this version.
 *
 * Threads: from any thread.
 * Since 0.1.0.
 */
const char *tckms_status_name(int status);

/**
 * One sentence about a status. tckms_error_message() tells more about a certain failure.
 *
 * @param status  Any number.
 * @return        Text for people, valid for ever.
 *
 * Threads: from any thread.
 * Since 0.1.0.
 */
const char *tckms_status_message(int status);

/**
 * The category of a status: what kind of trouble it is.
 *
 * @param status  Any number.
 * @return        The category; TCKMS_CATEGORY_UNKNOWN for a number that is not a status of this version.
 *
 * Threads: from any thread.
 * Since 0.1.0.
 */
tckms_category tckms_status_category(int status);

/**
 * The detail of this thread's last call that did not return TCKMS_OK.
 *
 * A call that succeeds leaves it as it is, and so do the functions that free something.
 *
 * @return  The error, borrowed: it lives until this thread's next call of a function of this library that returns a
 *          status. NULL when no call on this thread has failed or the error was taken.
 *
 * Threads: each thread has its own. In a runtime that moves work between threads use tckms_error_take() in the same C
 * function that made the call.
 * Since 0.1.0.
 */
const tckms_error *tckms_last_error(void);

/**
 * Takes the detail of this thread's last failed call away from the thread.
 *
 * @return  The error, owned by the caller, who frees it with tckms_error_free(). NULL when there is none.
 *
 * Threads: the result may be read and freed by any thread.
 * Since 0.1.0.
 */
tckms_error *tckms_error_take(void);

/**
 * Frees an error that tckms_error_take() returned.
 *
 * @param error  NULL, which is harmless, or an error from tckms_error_take(). Never one from tckms_last_error().
 *
 * Threads: from any thread, while no other uses the error.
 * Since 0.1.0.
 */
void tckms_error_free(tckms_error *error);

/**
 * The status that the failed call returned.
 *
 * @param error  The error, or NULL.
 * @return       The status; TCKMS_OK for NULL.
 *
 * Threads: from any thread.
 * Since 0.1.0.
 */
tckms_status tckms_error_status(const tckms_error *error);

/**
 * What went wrong and why, with every cause, in English. The service's own words are in the language of
 * tckms_config_set_language().
 *
 * @param error  The error, or NULL.
 * @return       Text for people, borrowed from the error; "" for NULL.
 *
 * Threads: from any thread.
 * Since 0.1.0.
 */
const char *tckms_error_message(const tckms_error *error);

/**
 * The error code of the service, such as "ResourceUnavailable.CmkDisabled".
 *
 * @param error  The error, or NULL.
 * @return       The code as the service wrote it, borrowed from the error; "" when the service did not answer.
 *
 * Threads: from any thread.
 * Since 0.1.0.
 */
const char *tckms_error_service_code(const tckms_error *error);

/**
 * The id that the service gave the request, to quote in a support ticket.
 *
 * @param error  The error, or NULL.
 * @return       The id, borrowed from the error; "" when the service did not answer.
 *
 * Threads: from any thread.
 * Since 0.1.0.
 */
const char *tckms_error_request_id(const tckms_error *error);

/**
 * The key id that the call named; for TCKMS_ERR_KEY_MISMATCH the one that the reply named.
 *
 * @param error  The error, or NULL.
 * @return       The key id, borrowed from the error; "" when there is none.
 *
 * Threads: from any thread.
 * Since 0.1.0.
 */
const char *tckms_error_key_id(const tckms_error *error);

/**
 * The KMS action of the failed call, such as "Encrypt".
 *
 * @param error  The error, or NULL.
 * @return       The action, borrowed from the error; "" when the call has none.
 *
 * Threads: from any thread.
 * Since 0.1.0.
 */
const char *tckms_error_action(const tckms_error *error);

/**
 * The HTTP status of the last reply. The service answers its own errors with 200.
 *
 * @param error  The error, or NULL.
 * @return       100 to 599; 0 when there was no reply.
 *
 * Threads: from any thread.
 * Since 0.1.0.
 */
int tckms_error_http_status(const tckms_error *error);

/**
 * Whether the same call may succeed later without any change: after throttling, an outage or a lost connection.
 *
 * @param error  The error, or NULL.
 * @return       1 or 0.
 *
 * Threads: from any thread.
 * Since 0.1.0.
 */
int tckms_error_retryable(const tckms_error *error);

/**
 * How long the service asked to wait before the next try.
 *
 * @param error  The error, or NULL.
 * @return       Milliseconds; -1 when the service did not say.
 *
 * Threads: from any thread.
 * Since 0.1.0.
 */
int64_t tckms_error_retry_after_ms(const tckms_error *error);

/**
 * How often the request was sent or tried to be sent.
 *
 * @param error  The error, or NULL.
 * @return       The number; 0 when the arguments were refused before.
 *
 * Threads: from any thread.
 * Since 0.1.0.
 */
int tckms_error_attempts(const tckms_error *error);

/**
 * The operating system's error number, where one is the cause.
 *
 * @param error  The error, or NULL.
 * @return       A value of errno.h; 0 when there is none.
 *
 * Threads: from any thread.
 * Since 0.1.0.
 */
int tckms_error_os_errno(const tckms_error *error);

/**
 * The service's id of the request of this thread's last successful call.
 *
 * @return  The id, borrowed until this thread's next call that succeeds; "" when there was none or it had no id.
 *
 * Threads: each thread has its own.
 * Since 0.1.0.
 */
const char *tckms_last_request_id(void);

/**
 * The CMK that this thread's last successful call was about, as the service named it.
 *
 * @return  The key id, borrowed until this thread's next call that succeeds; "" when there was none or it was about no
 *          CMK, as for tckms_generate_random().
 *
 * Threads: each thread has its own.
 * Since 0.1.0.
 */
const char *tckms_last_key_id(void);

/**
 * Makes an empty configuration. Region and credentials have to be set before a client can be made from it.
 *
 * @return  The configuration, owned by the caller, who frees it with tckms_config_free(). Never NULL.
 *
 * Threads: from any thread.
 * Since 0.1.0.
 */
tckms_config *tckms_config_new(void);

/**
 * Frees a configuration and wipes the secrets in it.
 *
 * @param config  NULL, which is harmless, or a configuration from tckms_config_new().
 *
 * Threads: from any thread, while no other uses the configuration.
 * Since 0.1.0.
 */
void tckms_config_free(tckms_config *config);

/**
 * Sets the region that requests name, such as "ap-guangzhou". Needed.
 *
 * @param config  The configuration.
 * @param region  1 to 32 lower-case letters, digits and '-', beginning with a letter. Copied.
 * @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8 or TCKMS_ERR_INVALID_REGION.
 *
 * Threads: one at a time per configuration.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_region(tckms_config *config,
                                     const char *region);

/**
 * Sets the service's address. Default "https://kms.tencentcloudapi.com", the mainland site.
 *
 * @param config  The configuration.
 * @param url     "https://host[:port]", or "http://host[:port]" for a loopback address. Copied.
 * @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8 or TCKMS_ERR_INVALID_ENDPOINT.
 *                tckms_client_new() says TCKMS_ERR_INSECURE_ENDPOINT for http to anything but loopback.
 *
 * Threads: one at a time per configuration.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_endpoint(tckms_config *config,
                                       const char *url);

/**
 * Sets the address of the international site: "https://kms.intl.tencentcloudapi.com".
 *
 * @param config  The configuration.
 * @return        TCKMS_OK or TCKMS_ERR_NULL_POINTER.
 *
 * Threads: one at a time per configuration.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_international_endpoint(tckms_config *config);

/**
 * Allows plain http to any host. Everybody on the way can then read plaintexts and data keys.
 *
 * @param config   The configuration.
 * @param allowed  0 (default): loopback addresses only. Anything else: any host.
 * @return         TCKMS_OK or TCKMS_ERR_NULL_POINTER.
 *
 * Threads: one at a time per configuration.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_plaintext_http_to_any_host_allowed(tckms_config *config,
                                                                 int allowed);

/**
 * Sets a fixed identity.
 *
 * @param config         The configuration.
 * @param secret_id      1 to 1024 printable ASCII characters without blanks. Copied.
 * @param secret_key     The same. Copied into memory that is wiped.
 * @param token_or_null  NULL, or the session token of a temporary identity: 1 to 4096 such characters. Copied into
 *                       memory that is wiped.
 * @return               TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8 or
 *                       TCKMS_ERR_MALFORMED_CREDENTIALS.
 *
 * Threads: one at a time per configuration.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_credentials(tckms_config *config,
                                          const char *secret_id,
                                          const char *secret_key,
                                          const char *token_or_null);

/**
 * Trusts the certificates in a file instead of the system's. The file is read by tckms_client_new().
 *
 * @param config  The configuration.
 * @param path    A file of certificates in PEM form. Copied.
 * @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_INVALID_UTF8. tckms_client_new() says
 *                TCKMS_ERR_INVALID_CA_BUNDLE when the file cannot be read or holds no certificate.
 *
 * Threads: one at a time per configuration.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_ca_file(tckms_config *config,
                                      const char *path);

/**
 * Trusts certificates in memory instead of the system's.
 *
 * @param config  The configuration.
 * @param pem     Certificates in PEM form. Copied.
 * @param len     At most 16777216 bytes.
 * @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_INVALID_LENGTH. tckms_client_new() says
 *                TCKMS_ERR_INVALID_CA_BUNDLE when there is no certificate in it.
 *
 * Threads: one at a time per configuration.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_ca_pem(tckms_config *config,
                                     const void *pem,
                                     size_t len);

/**
 * Sends everything through an HTTP proxy. Without this call none is used, whatever the environment says.
 *
 * @param config  The configuration.
 * @param url     "http://[user:password@]host[:port]". Copied.
 * @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8 or TCKMS_ERR_INVALID_PROXY.
 *
 * Threads: one at a time per configuration.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_proxy(tckms_config *config,
                                    const char *url);

/**
 * Limits how long making a connection may take, TLS included. Default 3000.
 *
 * @param config      The configuration.
 * @param timeout_ms  1 to 3600000 milliseconds.
 * @return            TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
 *
 * Threads: one at a time per configuration.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_connect_timeout_ms(tckms_config *config,
                                                 int64_t timeout_ms);

/**
 * Limits how long one attempt may take, from connecting to the last byte of the reply. Default 10000.
 *
 * @param config      The configuration.
 * @param timeout_ms  1 to 3600000 milliseconds.
 * @return            TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
 *
 * Threads: one at a time per configuration.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_try_timeout_ms(tckms_config *config,
                                             int64_t timeout_ms);

/**
 * Limits how long a call may take with all its attempts and waits. Default 30000.
 *
 * @param config      The configuration.
 * @param timeout_ms  1 to 3600000 milliseconds.
 * @return            TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
 *
 * Threads: one at a time per configuration.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_total_timeout_ms(tckms_config *config,
                                               int64_t timeout_ms);

/**
 * Limits how often a request is sent, the first time included. Default 4; 1 means no retry.
 *
 * @param config    The configuration.
 * @param attempts  1 to 20.
 * @return          TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
 *
 * Threads: one at a time per configuration.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_max_attempts(tckms_config *config,
                                           int attempts);

/**
 * Lets tckms_call() repeat actions that create something even when the first request may have been carried out.
 *
 * @param config   The configuration.
 * @param allowed  0 (default): such a call fails instead. Anything else: it is sent again.
 * @return         TCKMS_OK or TCKMS_ERR_NULL_POINTER.
 *
 * Threads: one at a time per configuration.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_retry_unsafe_actions(tckms_config *config,
                                                   int allowed);

/**
 * Keeps a client and all that are derived from it under a rate of requests, retries included.
 *
 * @param config      The configuration.
 * @param per_second  Requests per second on average, up to 1000000; 0 (default): no limit.
 * @param burst       Requests at once, 1 to 1000000; ignored when `per_second` is 0.
 * @return            TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
 *
 * Clients made from one configuration share the limit. A call waits for its turn; when that would exceed its total
 * timeout it returns TCKMS_ERR_TIMED_OUT at once.
 * Threads: one at a time per configuration.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_rate_limit(tckms_config *config,
                                         int per_second,
                                         int burst);

/**
 * Adds the program's name to the one that requests carry in X-TC-RequestClient, after "TCKMS_<version>; ".
 *
 * @param config  The configuration.
 * @param suffix  1 to 128 letters, digits, blanks and -_,;. characters. Copied.
 * @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8 or TCKMS_ERR_INVALID_HEADER_TEXT.
 *
 * Threads: one at a time per configuration.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_user_agent_suffix(tckms_config *config,
                                                const char *suffix);

/**
 * Sets the language of the service's own messages.
 *
 * @param config    The configuration.
 * @param language  "en-US" (default) or "zh-CN". Copied.
 * @return          TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8 or TCKMS_ERR_INVALID_HEADER_TEXT.
 *
 * Threads: one at a time per configuration.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_language(tckms_config *config,
                                       const char *language);

/**
 * Sets who hears what the library does. Without this call nobody does.
 *
 * @param config    The configuration.
 * @param level     TCKMS_LOG_OFF to TCKMS_LOG_DEBUG.
 * @param callback  The function; NULL for none.
 * @param userdata  Handed to the function as it is. It must live as long as every client made from the configuration,
 *                  and be safe to use from all threads that call the library.
 * @return          TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
 *
 * Threads: one at a time per configuration.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_log(tckms_config *config,
                                  int level,
                                  tckms_log_callback callback,
                                  void *userdata);

/**
 * Looks for credentials where the official SDKs do, in their order: the environment, the profile file, the role of the
 * CVM instance, the role of the TKE pod.
 *
 * Environment variables are read now (see tckms_config_set_env_credentials(), ..._set_default_profile_credentials() and
 * ..._set_tke_env_credentials()), files by tckms_client_new(), and the network is used by the first call that finds
 * nothing else. A place that had credentials is asked for all later ones. When none has any, the call's error names
 * each with its reason.
 *
 * @param config  The configuration. What was set before is replaced.
 * @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, or TCKMS_ERR_MALFORMED_CREDENTIALS, TCKMS_ERR_INVALID_ROLE or
 *                TCKMS_ERR_INVALID_UTF8 when a variable is there and malformed.
 *
 * Threads: one at a time per configuration, while no thread changes the environment.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_default_credentials(tckms_config *config);

/**
 * Takes credentials from TENCENTCLOUD_SECRET_ID, TENCENTCLOUD_SECRET_KEY and TENCENTCLOUD_SESSION_TOKEN, else
 * TENCENTCLOUD_TOKEN, now.
 *
 * @param config  The configuration. What was set before is replaced.
 * @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_NO_CREDENTIALS when one of the first two is not set or
 *                empty, TCKMS_ERR_MALFORMED_CREDENTIALS or TCKMS_ERR_INVALID_UTF8.
 *
 * Threads: one at a time per configuration, while no thread changes the environment.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_env_credentials(tckms_config *config);

/**
 * Takes credentials from a file as the official SDKs have it: INI, with secret_id, secret_key and possibly token.
 *
 * @param config           The configuration. What was set before is replaced.
 * @param path             The file: a regular one of at most 64 KiB. Copied. tckms_client_new() reads it.
 * @param profile_or_null  The section; NULL for "default". Copied.
 * @return                 TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_INVALID_UTF8. tckms_client_new() says
 *                         TCKMS_ERR_NO_CREDENTIALS when there is no such file, and
 *                         TCKMS_ERR_INVALID_CREDENTIALS_FILE when it cannot be used.
 *
 * Threads: one at a time per configuration.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_profile_credentials(tckms_config *config,
                                                  const char *path,
                                                  const char *profile_or_null);

/**
 * The same with the file that TENCENTCLOUD_CREDENTIALS_FILE names now, else ~/.tencentcloud/credentials, else
 * /etc/tencentcloud/credentials.
 *
 * @param config           The configuration. What was set before is replaced.
 * @param profile_or_null  The section; NULL for "default". Copied.
 * @return                 As for tckms_config_set_profile_credentials().
 *
 * Threads: one at a time per configuration, while no thread changes the environment.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_default_profile_credentials(tckms_config *config,
                                                          const char *profile_or_null);

/**
 * Takes credentials from a file of tccli, Tencent's command line: keys, a login with an expiry, a role to assume, or
 * the role of the CVM instance.
 *
 * @param config  The configuration. What was set before is replaced.
 * @param path    The file: a regular one of at most 64 KiB. Copied. tckms_client_new() reads it, and so does each
 *                renewal.
 * @return        As for tckms_config_set_profile_credentials().
 *
 * Threads: one at a time per configuration.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_tccli_credentials(tckms_config *config,
                                                const char *path);

/**
 * The same with ~/.tccli/<profile>.credential.
 *
 * @param config           The configuration. What was set before is replaced.
 * @param profile_or_null  The profile; NULL for that of TCCLI_PROFILE, else "default". Copied.
 * @return                 As for tckms_config_set_profile_credentials(), and TCKMS_ERR_INVALID_CREDENTIALS_FILE when
 *                         the profile's name has a '/' in it or the user has no home.
 *
 * Threads: one at a time per configuration, while no thread changes the environment.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_default_tccli_credentials(tckms_config *config,
                                                        const char *profile_or_null);

/**
 * Takes the role that is bound to this CVM instance, from the instance's metadata service.
 *
 * The service is asked without a proxy, for 2 seconds at most; TCKMS_ERR_METADATA_UNAVAILABLE of a call says that it
 * did not answer, as on a machine that is no CVM.
 *
 * @param config        The configuration. What was set before is replaced.
 * @param role_or_null  The role's name, 1 to 128 letters, digits and -_+=,.@; NULL for whichever is bound. Copied.
 * @return              TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8 or TCKMS_ERR_INVALID_ROLE.
 *
 * Threads: one at a time per configuration.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_cvm_role_credentials(tckms_config *config,
                                                   const char *role_or_null);

/**
 * Takes a role with an OIDC token from a file, by AssumeRoleWithWebIdentity of STS.
 *
 * @param config                The configuration. What was set before is replaced.
 * @param provider_id           The identity provider's id in CAM. Copied.
 * @param token_file            The file with the token. Copied. Read for each renewal.
 * @param role_arn              The role: "qcs::cam::uin/<uin>:roleName/<name>" or ":role/<id>". Copied.
 * @param session_name_or_null  2 to 128 letters, digits and _+=,.@-; NULL for one that is made. Copied.
 * @param duration_seconds      Lifetime of the session, up to 43200; 0 for 7200.
 * @return                      TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8, TCKMS_ERR_INVALID_ROLE or
 *                              TCKMS_ERR_OUT_OF_RANGE.
 *
 * Threads: one at a time per configuration.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_oidc_credentials(tckms_config *config,
                                               const char *provider_id,
                                               const char *token_file,
                                               const char *role_arn,
                                               const char *session_name_or_null,
                                               int duration_seconds);

/**
 * The same for the pod this process runs in, from what TKE puts into its environment: TKE_PROVIDER_ID,
 * TKE_WEB_IDENTITY_TOKEN_FILE, TKE_ROLE_ARN and TKE_REGION.
 *
 * @param config  The configuration. What was set before is replaced.
 * @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_NO_CREDENTIALS when one of the first three is not set or
 *                empty, TCKMS_ERR_INVALID_ROLE or TCKMS_ERR_INVALID_UTF8.
 *
 * Threads: one at a time per configuration, while no thread changes the environment.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_tke_env_credentials(tckms_config *config);

/**
 * Takes a role with the credentials set so far, by AssumeRole of STS. From now on those sign the calls of STS, and the
 * role's those of KMS.
 *
 * @param config                The configuration, with credentials of any kind.
 * @param role_arn              The role: "qcs::cam::uin/<uin>:roleName/<name>" or ":role/<id>". Copied.
 * @param session_name_or_null  2 to 128 letters, digits and _+=,.@-; NULL for one that is made. Copied.
 * @param duration_seconds      Lifetime of the session, up to 43200; 0 for 7200.
 * @param external_id_or_null   The external id that the role's policy asks for, or NULL. Copied.
 * @param policy_or_null        A policy in JSON that narrows what the role may do, or NULL. Copied.
 * @return                      TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8, TCKMS_ERR_INVALID_ROLE,
 *                              TCKMS_ERR_OUT_OF_RANGE, or TCKMS_ERR_NO_CREDENTIALS when none were set before.
 *
 * Threads: one at a time per configuration.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_assume_role(tckms_config *config,
                                          const char *role_arn,
                                          const char *session_name_or_null,
                                          int duration_seconds,
                                          const char *external_id_or_null,
                                          const char *policy_or_null);

/**
 * Takes credentials from a function of the program's own, whenever new ones are due.
 *
 * @param config              The configuration. What was set before is replaced.
 * @param callback            The function.
 * @param userdata            Handed to the function as it is.
 * @param destructor_or_null  Frees `userdata`: called once, when the last configuration and client that use the
 *                            callback are freed; not when this function fails. NULL for nothing to free.
 * @return                    TCKMS_OK or TCKMS_ERR_NULL_POINTER. A call says TCKMS_ERR_CREDENTIALS_CALLBACK_FAILED when
 *                            the function supplied none.
 *
 * Threads: one at a time per configuration. `userdata` must be safe to use from all threads that call the library.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_credentials_callback(tckms_config *config,
                                                   tckms_credentials_callback callback,
                                                   void *userdata,
                                                   tckms_destructor destructor_or_null);

/**
 * Supplies credentials; only inside a credentials callback.
 *
 * @param out            What the callback got.
 * @param secret_id      As for tckms_config_set_credentials(). Copied.
 * @param secret_key     The same. Copied into memory that is wiped.
 * @param token_or_null  NULL, or the session token. Copied into memory that is wiped.
 * @param expires_at     When they expire, in seconds since the Unix epoch; 0 for never. The callback is called again in
 *                       good time before.
 * @return               TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8 or TCKMS_ERR_MALFORMED_CREDENTIALS.
 *
 * Threads: on the thread that the callback runs on.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_credentials_set(tckms_credentials *out,
                                   const char *secret_id,
                                   const char *secret_key,
                                   const char *token_or_null,
                                   int64_t expires_at);

/**
 * Adds the credentials of another configuration, to be asked when those set so far cannot be had. Call it again for
 * more: the order of the calls is the order of asking.
 *
 * @param config  The configuration.
 * @param other   A configuration with credentials of any kind. Copied.
 * @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, or TCKMS_ERR_NO_CREDENTIALS when `other` has none.
 *
 * Threads: one at a time per configuration.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_add_fallback_credentials(tckms_config *config,
                                                   const tckms_config *other);

/**
 * Sets another address of the CVM metadata service, for tests.
 *
 * @param config  The configuration.
 * @param url     "http://host[:port]". Copied. Default "http://metadata.tencentyun.com".
 * @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8 or TCKMS_ERR_INVALID_ENDPOINT.
 *
 * Threads: one at a time per configuration.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_metadata_endpoint(tckms_config *config,
                                                const char *url);

/**
 * Sets another address of STS, such as that of a region or of the international site.
 *
 * @param config  The configuration.
 * @param url     "https://host[:port]", or "http://host[:port]" for a loopback address. Copied. Default
 *                "https://sts.tencentcloudapi.com".
 * @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8 or TCKMS_ERR_INVALID_ENDPOINT.
 *                tckms_client_new() says TCKMS_ERR_INSECURE_ENDPOINT for http to anything but loopback.
 *
 * Threads: one at a time per configuration.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_sts_endpoint(tckms_config *config,
                                           const char *url);

/**
 * Makes a client. Trusted certificates are loaded now, so a process may chroot() afterwards.
 *
 * @param config  The configuration, with a region and credentials. Copied.
 * @param out     The client, owned by the caller, who frees it with tckms_client_free(). NULL on failure.
 * @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_REGION, TCKMS_ERR_NO_CREDENTIALS,
 *                TCKMS_ERR_INSECURE_ENDPOINT, TCKMS_ERR_INVALID_CA_BUNDLE or TCKMS_ERR_INVALID_CREDENTIALS_FILE.
 *
 * Threads: from any thread, while no other changes the configuration.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_client_new(const tckms_config *config,
                              tckms_client **out);

/**
 * Makes a client from the environment.
 *
 * Credentials are those of tckms_config_set_default_credentials(). TENCENTCLOUD_REGION is needed; TCKMS_ENDPOINT and
 * TCKMS_CA_FILE are used when they are set. A variable that is empty counts as not set.
 *
 * @param out  The client, owned by the caller, who frees it with tckms_client_free(). NULL on failure.
 * @return     TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_REGION or what the setter of a value returns.
 *
 * Threads: from any thread, while no other changes the environment.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_client_new_from_env(tckms_client **out);

/**
 * Makes a client with other timeouts or retries that shares connections, credentials and all else with another one.
 *
 * It is cheap enough for one call: this is how a call gets a deadline of its own.
 *
 * @param client  The client to share with. It may be freed before the new one.
 * @param config  What is different: try timeout, total timeout, max attempts, retry of unsafe actions. Copied.
 * @param out     The new client, owned by the caller, who frees it with tckms_client_free(). NULL on failure.
 * @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, or TCKMS_ERR_NOT_DERIVABLE when `config` sets anything else.
 *
 * Threads: from any thread, while no other changes the configuration.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_client_derive(const tckms_client *client,
                                 const tckms_config *config,
                                 tckms_client **out);

/**
 * Frees a client. Connections are closed and credentials wiped when the last of the clients that share them is freed.
 *
 * @param client  NULL, which is harmless, or a client of this library.
 *
 * Threads: from any thread, while no other is inside a call with this client. Also in a forked child.
 * Since 0.1.0.
 */
void tckms_client_free(tckms_client *client);

/**
 * Encrypts a small secret under a CMK. The service does it; for more than 4096 bytes use envelope encryption.
 *
 * @param client    The client.
 * @param key_id    The CMK: 1 to 128 letters, digits and -_/:. characters.
 * @param buf       The plaintext.
 * @param len       1 to 4096 bytes.
 * @param ctx_json  NULL, or the encryption context: a JSON object whose values are strings, at most 1024 characters.
 *                  It is sent exactly as given, and tckms_decrypt() has to be given the same text. It is not secret.
 * @param out       The CiphertextBlob: opaque text, to be kept as it is. Free it with tckms_buffer_free().
 * @return          TCKMS_OK or any status; see the chapter on errors.
 *
 * tckms_last_key_id() and tckms_last_request_id() tell more about a success.
 * Threads: from any thread, any number at once. Blocks until the total timeout at most.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_encrypt(const tckms_client *client,
                           const char *key_id,
                           const void *buf,
                           size_t len,
                           const char *ctx_json,
                           tckms_buffer *out);

/**
 * Decrypts a CiphertextBlob of tckms_encrypt(), tckms_reencrypt() or tckms_generate_data_key().
 *
 * @param client    The client.
 * @param key_id    The CMK that the caller expects, or NULL for any. A reply about another CMK gives
 *                  TCKMS_ERR_KEY_MISMATCH and no plaintext.
 * @param blob      The CiphertextBlob, exactly as it was returned.
 * @param len       1 to 65536 characters.
 * @param ctx_json  The text that was given at encryption, or NULL if none was.
 * @param out       The plaintext. Free it with tckms_buffer_free(), which wipes it.
 * @return          TCKMS_OK or any status; see the chapter on errors. TCKMS_ERR_INVALID_CIPHERTEXT also means that the
 *                  context is not the right one.
 *
 * Threads: from any thread, any number at once. Blocks until the total timeout at most.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_decrypt(const tckms_client *client,
                           const char *key_id,
                           const void *blob,
                           size_t len,
                           const char *ctx_json,
                           tckms_buffer *out);

/**
 * Encrypts a CiphertextBlob anew without its plaintext leaving the service: after a rotation, under another CMK, or
 * with another context.
 *
 * @param client                The client.
 * @param key_id                The CMK to encrypt under, or NULL for the same.
 * @param blob                  The CiphertextBlob, exactly as it was returned.
 * @param len                   1 to 65536 characters.
 * @param source_ctx_json       The context of `blob`, or NULL.
 * @param destination_ctx_json  The context of the result, or NULL.
 * @param out                   The new CiphertextBlob. Free it with tckms_buffer_free(). The service may return the
 *                              old one when nothing would change.
 * @return                      TCKMS_OK or any status; see the chapter on errors.
 *
 * Threads: from any thread, any number at once. Blocks until the total timeout at most.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_reencrypt(const tckms_client *client,
                             const char *key_id,
                             const void *blob,
                             size_t len,
                             const char *source_ctx_json,
                             const char *destination_ctx_json,
                             tckms_buffer *out);

/**
 * Makes a data key: random bytes, in clear and wrapped by a CMK.
 *
 * @param client      The client.
 * @param key_id      The CMK.
 * @param key_len     1 to 1024 bytes.
 * @param ctx_json    The encryption context, as for tckms_encrypt(), or NULL.
 * @param plaintext   The key in clear. Free it with tckms_buffer_free(), which wipes it.
 * @param ciphertext  The key as a CiphertextBlob, to be kept beside the data and given to tckms_decrypt(). Free it with
 *                    tckms_buffer_free(). Another buffer than `plaintext`.
 * @return            TCKMS_OK or any status; see the chapter on errors.
 *
 * Threads: from any thread, any number at once. Blocks until the total timeout at most.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_generate_data_key(const tckms_client *client,
                                     const char *key_id,
                                     size_t key_len,
                                     const char *ctx_json,
                                     tckms_buffer *plaintext,
                                     tckms_buffer *ciphertext);

/**
 * Gets random bytes from the service's hardware.
 *
 * @param client  The client.
 * @param buf     Room for the bytes. Written only on success.
 * @param len     1 to 1024 bytes.
 * @return        TCKMS_OK or any status; see the chapter on errors.
 *
 * Threads: from any thread, any number at once. Blocks until the total timeout at most.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_generate_random(const tckms_client *client,
                                   void *buf,
                                   size_t len);

/**
 * Sends any action of the KMS API: signed, with retries, and with the same errors as every other call.
 *
 * @param client         The client.
 * @param action         The action's name, such as "DescribeKey".
 * @param request_json   Its parameters: a JSON object. NULL for none.
 * @param response_json  The JSON object under "Response", exactly as the service wrote it. Free it with
 *                       tckms_buffer_free(), which wipes it.
 * @return               TCKMS_OK or any status; see the chapter on errors.
 *
 * An action that creates something, such as CreateKey, is not sent again once it may have been carried out, unless
 * tckms_config_set_retry_unsafe_actions() allows it.
 * Threads: from any thread, any number at once. Blocks until the total timeout at most.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_call(const tckms_client *client,
                        const char *action,
                        const char *request_json,
                        tckms_buffer *response_json);

/**
 * Reads the counters of a client and of all that share its connections.
 *
 * @param client  The client.
 * @param out     Where to write them. What `size` has beyond the members of the running library is set to 0.
 * @param size    sizeof(tckms_stats) as the program was compiled: 1 to 4096 bytes.
 * @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_INVALID_LENGTH.
 *
 * Threads: from any thread. The counters are read one after the other while calls go on.
 * Since 0.1.0.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_client_stats(const tckms_client *client,
                                tckms_stats *out,
                                size_t size);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* TCKMS_H */
