/* SPDX-License-Identifier: Apache-2.0 OR MIT */

#ifndef TCKMS_H
#define TCKMS_H

/*
 * tckms.h - Tencent Cloud Key Management Service from C
 *
 * Encrypt and decrypt a small secret under a customer master key (CMK), seal data of any size under
 * a data key, and sign with a key that never leaves the service:
 *
 *     tckms_client *client = NULL;
 *     tckms_buffer blob = TCKMS_BUFFER_INIT;
 *     if (tckms_client_new_from_env(&client) != TCKMS_OK ||
 *         tckms_encrypt(client, key_id, "secret", 6, "{\"app\":\"x\"}", &blob) != TCKMS_OK) {
 *         fprintf(stderr, "%s\n", tckms_error_message(tckms_last_error()));
 *     }
 *     tckms_buffer_free(&blob);
 *     tckms_client_free(client);
 *
 * This file is generated from the library's source. The chapters below apply to every function; a
 * function's own comment has only what is specific to it. Types come first, then core calls,
 * asymmetric keys, sealing, clients, configuration, and errors.
 *
 * CONVENTIONS
 *   Every function exists since 0.1.0 unless its comment names a later version. Every function may
 *   be called from any thread, subject to HANDLES, unless its comment says otherwise under
 *   "Threads:". A parameter whose name ends in "_or_null" may be NULL; NULL for any other pointer
 *   is TCKMS_ERR_NULL_POINTER, except as described in HANDLES and STRINGS AND BUFFERS. Lengths are
 *   in bytes, milliseconds and seconds are int64_t, flags are int: 0 is off, anything else is on.
 *   The core calls send a key id to the service unchanged, so any form that the service may accept
 *   is allowed: 1 to 128 letters, digits and -_/:. characters. A keyring takes the CMK's key id
 *   only, 1 to 64 letters, digits and '-', and no alias: messages store it as the name of the key,
 *   and an alias could be moved to another key.
 *
 * HANDLES
 *   tckms_client, tckms_config, tckms_keyring, tckms_stream and all other types without members are
 *   opaque. A handle is valid from the function that makes it to the one that frees it. `const T *`
 *   means borrowed and unchanged: any number of threads may pass the same one at once. `T *` means
 *   that no other thread may use it during the call. `T **out` means that the caller owns the
 *   result. Every function with "free" in its name accepts NULL and does nothing then. Free a
 *   handle once, from any thread, and never while a call uses it, for example within a callback of
 *   that call. Functions that return a part of an error, a log event, a key's description, a
 *   completion, a wrapped key or the claims of a message also accept NULL. A debug build of the
 *   library ends a program that breaks these rules, with a message on stderr. Handles hold
 *   references to the objects that they need: a client may be freed before the keyrings and signers
 *   made with it, a keyring before its streams, and a configuration as soon as the client is made.
 *
 * STRINGS AND BUFFERS
 *   Strings are NUL-terminated UTF-8. Bytes and arrays are passed as a pointer followed by a length
 *   or count; {NULL, 0} is valid and empty, NULL with another length is TCKMS_ERR_NULL_POINTER. The
 *   library reads input only during the call and copies the parts that it keeps. Do not change the
 *   input during the call.
 *
 * OUTPUTS
 *   An output is first set to empty ({NULL, 0}, NULL or 0) and filled only on success; its previous
 *   content is overwritten, not freed. The memory of a tckms_buffer belongs to the library: free it
 *   with tckms_buffer_free(), which wipes it, never with free(). Its bytes are always followed by a
 *   NUL byte that `len` does not count, so text can be printed. An output may not overlap another
 *   argument in memory: TCKMS_ERR_OVERLAP.
 *
 * STRUCTURES THAT GROW
 *   A structure that is passed with its size may get more members at its end in later versions.
 *   Initialize it with its initializer, such as TCKMS_FD_OPTIONS_INIT, and pass its sizeof. Members
 *   that are 0 or NULL have their defaults. If a program sets a member that the running library
 *   does not know, the call returns TCKMS_ERR_UNKNOWN_OPTION; a size that no version of the
 *   structure has is TCKMS_ERR_INVALID_LENGTH.
 *
 * CALLBACKS
 *   A callback has userdata, and a callback that the library keeps also has a destructor. The
 *   userdata may be NULL, is passed unchanged, and must be safe to use from all threads that call
 *   the library.
 *   The destructor is called once, when the last configuration, client, keyring, stream and signer
 *   that can call the callback has been freed. The arguments of a callback are valid only during
 *   the callback. A callback may call the library, but must not change or free objects that the
 *   running call uses. It must return: do not leave it by longjmp() or a C++ exception. An
 *   exception that leaves it ends the process with SIGABRT.
 *
 * THREADS
 *   A client needs no lock: share one among all threads. Functions that send requests block until
 *   they succeed, fail or reach the total timeout. The first call of a client starts one network
 *   thread with all signals blocked; it ends when the client is freed. A store of branch records is
 *   called on a separate thread, which then ends. A calling thread needs at most 64 KiB of stack.
 *   No function is async-signal-safe, and the child of a vfork() must not call any.
 *
 * EVENT LOOPS
 *   A program with an event loop submits calls to a tckms_queue instead, polls its descriptor, and
 *   takes the completions on its own thread: tckms_submit_encrypt() and the other functions that
 *   submit copy their inputs and never block. Any number of threads may use a queue at once. Calls
 *   run on the network threads of their clients. Work that blocks by nature (callbacks for
 *   credentials, the metadata service, STS, the keys of keyrings) runs on threads of the queue, at
 *   most 8, which do not exist before there is such work. In a forked child all calls that were not
 *   taken are done, with TCKMS_ERR_TRANSPORT_UNAVAILABLE; ask it for its descriptor again.
 *
 * ERRORS
 *   Every function that can fail returns a tckms_status, and the compiler warns when it is ignored.
 *   TCKMS_OK is 0. The hundreds digit is the category (tckms_status_category()): 100 the caller's
 *   arguments, 200 credentials, 300 transport, 400 refused because of the identity, 500 refused
 *   because of the request or the key's state, 600 the service is not available now, 700 data that
 *   is not authentic or not the expected one, 800 the program's own descriptors and callbacks, 900
 *   the library. Later versions may add numbers, so a switch needs a default. tckms_last_error()
 *   returns the detail of a thread's last failure: message, service code, request id, whether to
 *   retry. It is borrowed until the thread's next call; tckms_last_error_take() transfers it to the
 *   caller, for runtimes that move between threads. An outage is never reported as bad ciphertext,
 *   and no text contains a secret.
 *
 * PROCESSES
 *   The library has no global state to set up or tear down. It installs no signal handler and no
 *   atexit function, writes nothing to stdout or stderr, and never changes the program's signal
 *   dispositions, so a broken connection raises no SIGPIPE. Only functions with "env" or "default"
 *   in their name read environment variables. The library's dependencies also read two:
 *   OPENSSL_ia32cap (CPU features, once when loaded; OPENSSL_armcap on ARM64) and
 *   TOKIO_UNSTABLE_SHARDED_BLOCKING_QUEUE (a queue of the network thread, once). In a
 *   program that runs with more privileges than its caller (setuid, setgid, file capabilities),
 *   those functions ignore the environment, including HOME. A client may be used before and after
 *   fork(): the child opens its own connections. dlclose() leaves the library mapped.
 *
 * MEMORY AND SECRETS
 *   Secret keys, tokens, plaintexts, data keys and the requests and replies that contain them are
 *   wiped before their memory is freed, and so is every other block that the library frees. The
 *   library cannot wipe copies that the program makes, the kernel's socket buffers, registers, swap
 *   and core dumps. Sizes are checked before memory is allocated; if there is none, the call
 *   returns an error such as TCKMS_ERR_OUT_OF_MEMORY, and the process continues.
 *
 * COMMON MISTAKES
 *   Passing a tckms_buffer that is still filled as an output leaks its content: free it first.
 *
 *   After a call that succeeded, tckms_last_error() returns an earlier failure. Check the status
 *   first.
 *
 *   Freeing a stream before tckms_stream_finish() sets `done` leaves a message without an end,
 *   which no reader opens.
 *
 *   Plaintext that a stream returns before tckms_stream_finish() sets `done` may be a prefix. Do
 *   not act on it until then, and discard it if the stream fails.
 *
 *   A context is checked only if you pass the pairs you expect to tckms_open(). Without them, a
 *   message that was sealed for another purpose opens as well.
 *
 *   Decoding or trimming a CiphertextBlob: it is opaque text. Store all `len` bytes of it.
 *
 *   Passing the sizeof a pointer for that of a structure is TCKMS_ERR_INVALID_LENGTH.
 *
 *   Creating a client for each call opens a connection for each call. Create one, and derive from
 *   it.
 */

#include <stddef.h>
#include <stdint.h>

/** The version of this header. tckms_version() returns that of the running library. */
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

/** Marks functions whose result must be checked. */
#if defined(__cplusplus) && __cplusplus >= 201703L
#define TCKMS_WARN_UNUSED [[nodiscard]]
#elif !defined(__cplusplus) && defined(__STDC_VERSION__) && __STDC_VERSION__ >= 202311L
#define TCKMS_WARN_UNUSED [[nodiscard]]
#elif defined(__GNUC__) || defined(__clang__)
#define TCKMS_WARN_UNUSED __attribute__((warn_unused_result))
#else
#define TCKMS_WARN_UNUSED
#endif

/** An empty tckms_buffer, for its declaration. */
#define TCKMS_BUFFER_INIT {NULL, 0}

/** Initializers of the structures that grow: all members are 0, their default. */
#define TCKMS_FD_OPTIONS_INIT {0, 0, NULL, NULL}
#define TCKMS_CREATE_KEY_OPTIONS_INIT {NULL, NULL, NULL, NULL, 0, 0, 0}
#define TCKMS_KEY_FILTER_INIT {NULL, NULL, NULL}
#define TCKMS_BRANCH_OPTIONS_INIT \
  {NULL, NULL, NULL, NULL, NULL, NULL, NULL, 0, 0, 0, NULL, 0, 0, 0, 0}
#define TCKMS_BRANCH_STATS_INIT {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}
#define TCKMS_CACHE_LIMITS_INIT {0, 0, 0, 0, 0}
#define TCKMS_CUSTOM_KEY_INIT {NULL, NULL, NULL, NULL, NULL, NULL}
#define TCKMS_ROLE_OPTIONS_INIT {NULL, NULL, NULL, NULL, 0}
#define TCKMS_QUEUE_OPTIONS_INIT {0}
#define TCKMS_STATS_INIT {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}

/* The usages of CMKs, by the service's names. */
/** Key usage: encryption under a symmetric key. */
#define TCKMS_KEY_USAGE_ENCRYPT_DECRYPT "ENCRYPT_DECRYPT"
/** Key usage: decryption with RSA-2048. */
#define TCKMS_KEY_USAGE_DECRYPT_RSA_2048 "ASYMMETRIC_DECRYPT_RSA_2048"
/** Key usage: decryption with SM2. */
#define TCKMS_KEY_USAGE_DECRYPT_SM2 "ASYMMETRIC_DECRYPT_SM2"
/** Key usage: signatures with ECDSA on P-256. */
#define TCKMS_KEY_USAGE_SIGN_ECC "ASYMMETRIC_SIGN_VERIFY_ECC"
/** Key usage: signatures with ECDSA on P-384. */
#define TCKMS_KEY_USAGE_SIGN_ECDSA384 "ASYMMETRIC_SIGN_VERIFY_ECDSA384"
/** Key usage: signatures with RSA-2048, by PSS and PKCS#1 v1.5. */
#define TCKMS_KEY_USAGE_SIGN_RSA_2048 "ASYMMETRIC_SIGN_VERIFY_RSA_2048"
/** Key usage: signatures with SM2. */
#define TCKMS_KEY_USAGE_SIGN_SM2 "ASYMMETRIC_SIGN_VERIFY_SM2"


/** Signature algorithm: the one of the key; for RSA keys, which have two, PSS. */
#define TCKMS_SIGN_DEFAULT 0

/** Signature algorithm: ECDSA on P-256 with SHA-256. */
#define TCKMS_SIGN_ECDSA_P256_SHA256 1

/**
 * Signature algorithm: ECDSA on P-384 with SHA-384. The service documents such keys, but not how
 * they sign. If it accepts only digests of 32 bytes, as documented, then messages of up to 4096
 * bytes can be signed, and longer ones and digests of SHA-384 are TCKMS_ERR_INVALID_PARAMETER.
 */
#define TCKMS_SIGN_ECDSA_P384_SHA384 2

/** Signature algorithm: RSASSA-PSS with SHA-256, MGF1 with SHA-256 and a salt of 32 bytes. */
#define TCKMS_SIGN_RSA_PSS_SHA256 3

/** Signature algorithm: RSASSA-PKCS1-v1_5 with SHA-256. */
#define TCKMS_SIGN_RSA_PKCS1_SHA256 4

/** Signature algorithm: SM2 with SM3 (GB/T 32918). */
#define TCKMS_SIGN_SM2_SM3 5

/** RSA padding: OAEP with SHA-256, MGF1 with SHA-256 and an empty label. */
#define TCKMS_RSA_OAEP_SHA256 1

/** RSA padding: OAEP with SHA-1, MGF1 with SHA-1 and an empty label. */
#define TCKMS_RSA_OAEP_SHA1 2

/**
 * RSA padding: PKCS#1 v1.5. Only for peers that support nothing else. If a peer can find out
 * whether decryption failed, from the program's reply or its timing, it can decrypt messages
 * (Bleichenbacher's attack).
 */
#define TCKMS_RSA_PKCS1_V1_5 3

/** Commitment policy: only messages that commit to one data key are opened. The default. */
#define TCKMS_COMMITMENT_REQUIRED 0

/**
 * Commitment policy: messages of version 1 of the format, which do not commit, are opened as well.
 * The library never writes them.
 */
#define TCKMS_COMMITMENT_NOT_REQUIRED_TO_OPEN 1

/** Longest message or plaintext of tckms_submit_seal() and tckms_submit_open(), in bytes. */
#define TCKMS_QUEUE_MESSAGE_MAX 262144

/** Site: cloud.tencent.com, the mainland one. */
#define TCKMS_SITE_MAINLAND 0

/** Site: tencentcloud.com, the international one. */
#define TCKMS_SITE_INTERNATIONAL 1

/** Log level: nothing. */
#define TCKMS_LOG_OFF 0

/** Log level: calls that failed. */
#define TCKMS_LOG_ERROR 1

/** Log level: also attempts that failed, and corrections such as that of the clock. */
#define TCKMS_LOG_WARN 2

/** Log level: also every attempt that succeeded. */
#define TCKMS_LOG_INFO 3

/** Log level: also the waits between attempts. */
#define TCKMS_LOG_DEBUG 4

/**
 * Maximum length of a plaintext for tckms_encrypt(), in bytes (Encrypt page of the KMS API: "up to
 * 4 KB").
 */
#define TCKMS_PLAINTEXT_MAX 4096

/**
 * Maximum length of an encryption context, in characters (Encrypt page of the KMS API: "up to 1,024
 * characters").
 */
#define TCKMS_ENCRYPTION_CONTEXT_MAX 1024

/**
 * Maximum number of bytes of tckms_generate_data_key() and tckms_generate_random() (GenerateRandom
 * page of the KMS API).
 */
#define TCKMS_RANDOM_MAX 1024

/** Maximum length of a key id, in characters. Those of the service have 36. */
#define TCKMS_KEY_ID_MAX 128

/**
 * Maximum length of a CiphertextBlob, in characters. That of a plaintext of 4096 bytes has about
 * 5600.
 */
#define TCKMS_CIPHERTEXT_BLOB_MAX 65536

/** Maximum number of threads of tckms_seal_fd() and tckms_open_fd(). */
#define TCKMS_THREADS_MAX 256

/**
 * How a call ended. 0 is the only success.
 *
 * The block of a number is its category: 100 arguments, 200 credentials, 300 transport, 400 refused
 * because of the identity, 500 refused because of the request or the key, 600 the service is not
 * available now, 700 integrity, 800 the program's own descriptors and callbacks, 900 the library.
 * Later versions may add values: a `switch` needs a `default`.
 */
typedef enum tckms_status {
  /** The call succeeded. */
  TCKMS_OK = 0,
  /** A required pointer is NULL, or NULL came with a length that is not 0. */
  TCKMS_ERR_NULL_POINTER = 101,
  /** A length or a count is outside its range. */
  TCKMS_ERR_INVALID_LENGTH = 102,
  /** A string is not valid UTF-8. */
  TCKMS_ERR_INVALID_UTF8 = 103,
  /**
   * A key id is empty, longer than 128 characters, or has characters other than letters, digits
   * and `-_/:.`.
   */
  TCKMS_ERR_MALFORMED_KEY_ID = 104,
  /** A context is not a JSON object of strings without duplicate keys. */
  TCKMS_ERR_INVALID_CONTEXT = 105,
  /** A context is longer than 1024 characters. */
  TCKMS_ERR_CONTEXT_TOO_LONG = 106,
  /** A plaintext for Encrypt is longer than 4096 bytes. */
  TCKMS_ERR_PLAINTEXT_TOO_LARGE = 107,
  /** A plaintext for Encrypt is empty. */
  TCKMS_ERR_EMPTY_PLAINTEXT = 108,
  /** A CiphertextBlob is empty, too long, or not text. */
  TCKMS_ERR_MALFORMED_BLOB = 109,
  /** A region is missing or is not of the form `ap-guangzhou`. */
  TCKMS_ERR_INVALID_REGION = 110,
  /** An endpoint is not a URL of the form `https://host[:port]`. */
  TCKMS_ERR_INVALID_ENDPOINT = 111,
  /** An endpoint says `http` and its host is not a loopback address. */
  TCKMS_ERR_INSECURE_ENDPOINT = 112,
  /** A CA bundle cannot be read or has no certificate. */
  TCKMS_ERR_INVALID_CA_BUNDLE = 113,
  /** A proxy is not a URL of the form `http://[user:password@]host[:port]`. */
  TCKMS_ERR_INVALID_PROXY = 114,
  /** A number is outside the range its setter allows. */
  TCKMS_ERR_OUT_OF_RANGE = 115,
  /** An action's name is malformed. */
  TCKMS_ERR_MALFORMED_ACTION = 116,
  /** A request body is not a JSON object, or is too long. */
  TCKMS_ERR_INVALID_REQUEST_JSON = 117,
  /** A user-agent suffix or a language cannot be sent in a header. */
  TCKMS_ERR_INVALID_HEADER_TEXT = 118,
  /** A configuration for a derived client sets something that only a new client can have. */
  TCKMS_ERR_NOT_DERIVABLE = 119,
  /** A structure sets a member that this version of the library does not know. */
  TCKMS_ERR_UNKNOWN_OPTION = 120,
  /** A number is not an algorithm of this kind. */
  TCKMS_ERR_UNKNOWN_ALGORITHM = 123,
  /** The key does not have the algorithm: it has another type or usage. */
  TCKMS_ERR_ALGORITHM_NOT_ALLOWED = 124,
  /** A context has a key that begins with `aws-crypto-`, or an empty one. */
  TCKMS_ERR_RESERVED_CONTEXT_KEY = 130,
  /** A name of a wrapping key is empty, too long, or reserved by the format. */
  TCKMS_ERR_INVALID_KEY_NAME = 131,
  /** A PEM text has no RSA key of the expected kind, of 2048 to 8192 bits. */
  TCKMS_ERR_INVALID_PEM = 132,
  /** A keyring has no key that can seal, or none that can open. */
  TCKMS_ERR_NO_USABLE_KEY = 133,
  /** The plaintext is longer or shorter than the size or bound that was set. */
  TCKMS_ERR_PLAINTEXT_SIZE = 134,
  /** A message would have more than 4294967295 frames; a larger frame length helps. */
  TCKMS_ERR_MESSAGE_TOO_LONG = 135,
  /** A stream is used after its end or after an error, or an option is set too late. */
  TCKMS_ERR_INVALID_STATE = 136,
  /** Two arguments overlap in memory, and one of them is written. */
  TCKMS_ERR_OVERLAP = 137,
  /** A branch id is not 1 to 64 letters, digits and characters of `._-`. */
  TCKMS_ERR_INVALID_BRANCH_ID = 140,
  /** A text is not one of branch records, or its records are of another format, region or CMK. */
  TCKMS_ERR_INVALID_BRANCH_RECORD = 141,
  /**
   * A secret id, secret key or token is empty, has blanks around it, or has characters that are
   * not allowed.
   */
  TCKMS_ERR_MALFORMED_CREDENTIALS = 201,
  /** No credentials were configured or found. */
  TCKMS_ERR_NO_CREDENTIALS = 202,
  /** The credentials are expired and could not be renewed. */
  TCKMS_ERR_CREDENTIALS_EXPIRED = 203,
  /** A file of credentials or of a token cannot be read, or its content is malformed. */
  TCKMS_ERR_INVALID_CREDENTIALS_FILE = 204,
  /** A role's ARN or a session name is malformed. */
  TCKMS_ERR_INVALID_ROLE = 205,
  /** The program's credentials callback supplied no credentials. */
  TCKMS_ERR_CREDENTIALS_CALLBACK_FAILED = 206,
  /**
   * The metadata service of a CVM instance does not reply; this machine may not be a CVM
   * instance.
   */
  TCKMS_ERR_METADATA_UNAVAILABLE = 207,
  /** The endpoint's host name cannot be resolved. */
  TCKMS_ERR_RESOLVE_FAILED = 301,
  /** No connection to the endpoint or the proxy could be made. */
  TCKMS_ERR_CONNECT_FAILED = 302,
  /** The TLS handshake failed, or the server's certificate is not trusted. */
  TCKMS_ERR_TLS_FAILED = 303,
  /** The try timeout or the total timeout has expired. */
  TCKMS_ERR_TIMED_OUT = 304,
  /** The connection broke before the reply was complete. */
  TCKMS_ERR_CONNECTION_LOST = 305,
  /**
   * The reply has an HTTP status other than 200, and not one that means that the service is not
   * available now.
   */
  TCKMS_ERR_HTTP_STATUS = 306,
  /** The reply is a redirect; the library never follows one. */
  TCKMS_ERR_HTTP_REDIRECT = 307,
  /** The reply is longer than 1 MiB, or its head longer than 64 KiB. */
  TCKMS_ERR_RESPONSE_TOO_LARGE = 308,
  /** The reply is not JSON. */
  TCKMS_ERR_RESPONSE_NOT_JSON = 309,
  /** The reply is JSON without required fields, or with values that are not possible. */
  TCKMS_ERR_RESPONSE_MALFORMED = 310,
  /** The HTTP transport could not start or has stopped; the next call starts a new one. */
  TCKMS_ERR_TRANSPORT_UNAVAILABLE = 311,
  /** The proxy refused a tunnel to the service. */
  TCKMS_ERR_PROXY_REFUSED = 312,
  /** `UnauthorizedOperation`: the identity may not do this. */
  TCKMS_ERR_UNAUTHORIZED_OPERATION = 401,
  /**
   * `AuthFailure`: the service does not accept the identity, for a reason that has no separate
   * status.
   */
  TCKMS_ERR_AUTH_FAILURE = 402,
  /** `AuthFailure.SignatureFailure`: the secret key does not belong to the secret id. */
  TCKMS_ERR_AUTH_SIGNATURE_FAILURE = 403,
  /** `AuthFailure.SignatureExpire`: the clock is more than 300 seconds off. */
  TCKMS_ERR_AUTH_SIGNATURE_EXPIRED = 404,
  /** `AuthFailure.SecretIdNotFound`: the secret id is unknown, disabled or deleted. */
  TCKMS_ERR_AUTH_SECRET_ID_NOT_FOUND = 405,
  /** `AuthFailure.TokenFailure`: the session token is wrong or expired. */
  TCKMS_ERR_AUTH_TOKEN_FAILURE = 406,
  /** `AuthFailure.InvalidSecretId`: the secret id is not that of an API key. */
  TCKMS_ERR_INVALID_SECRET_ID = 407,
  /** `AuthFailure.MFAFailure`: multi-factor authentication failed. */
  TCKMS_ERR_MFA_FAILURE = 408,
  /** `AuthFailure.InvalidAuthorization`: the Authorization header was damaged in transit. */
  TCKMS_ERR_INVALID_AUTHORIZATION = 409,
  /** `AuthFailure.UnauthorizedOperation`: CAM denies this to the identity. */
  TCKMS_ERR_CAM_DENIED = 410,
  /** `IpInBlacklist`, `IpNotInWhitelist`: the caller's address is not allowed. */
  TCKMS_ERR_ADDRESS_DENIED = 411,
  /** `InvalidParameter`: a parameter is wrong. */
  TCKMS_ERR_INVALID_PARAMETER = 501,
  /** `InvalidParameterValue.InvalidKeyId`: the service does not accept the key id. */
  TCKMS_ERR_INVALID_KEY_ID = 502,
  /** `InvalidParameterValue.InvalidPlaintext`: the service does not accept the plaintext. */
  TCKMS_ERR_INVALID_PLAINTEXT = 503,
  /** `ResourceUnavailable.CmkArchived`: the CMK is archived, so it can only decrypt. */
  TCKMS_ERR_CMK_ARCHIVED = 504,
  /** `ResourceUnavailable.CmkDisabled`: the CMK is disabled. */
  TCKMS_ERR_CMK_DISABLED = 505,
  /** `ResourceUnavailable.CmkNotFound`: there is no such CMK. */
  TCKMS_ERR_CMK_NOT_FOUND = 506,
  /**
   * `InvalidParameterValue.InvalidCiphertext`: the service does not accept the CiphertextBlob or
   * its context.
   */
  TCKMS_ERR_INVALID_CIPHERTEXT = 507,
  /** `InvalidParameterValue`: a parameter's value is wrong. */
  TCKMS_ERR_INVALID_PARAMETER_VALUE = 508,
  /** `MissingParameter`: a parameter is missing. */
  TCKMS_ERR_MISSING_PARAMETER = 509,
  /** `UnknownParameter`: a parameter is not defined. */
  TCKMS_ERR_UNKNOWN_PARAMETER = 510,
  /** `InvalidAction`, `ActionOffline`, `NoSuchVersion`, `NoSuchProduct`: there is no such API. */
  TCKMS_ERR_INVALID_ACTION = 511,
  /**
   * `ResourceUnavailable.CmkStateNotSupport` and similar codes: the CMK's state does not allow
   * this.
   */
  TCKMS_ERR_CMK_STATE_NOT_SUPPORTED = 512,
  /** `ResourceUnavailable`: the key or another resource is in a state that does not allow this. */
  TCKMS_ERR_RESOURCE_UNAVAILABLE = 513,
  /** `ResourceNotFound`: there is no such resource. */
  TCKMS_ERR_RESOURCE_NOT_FOUND = 514,
  /** `LimitExceeded`: a quota is used up. */
  TCKMS_ERR_LIMIT_EXCEEDED = 515,
  /** `FailedOperation`: the operation failed. */
  TCKMS_ERR_FAILED_OPERATION = 516,
  /** `UnsupportedOperation`: the service does not do this here. */
  TCKMS_ERR_UNSUPPORTED_OPERATION = 517,
  /** `UnsupportedRegion`: the service is not in this region. */
  TCKMS_ERR_UNSUPPORTED_REGION = 518,
  /** `RequestSizeLimitExceeded`, `ResponseSizeLimitExceeded`: too large for the service. */
  TCKMS_ERR_SIZE_LIMIT_EXCEEDED = 519,
  /** `ResourceInUse`: the resource is in use. */
  TCKMS_ERR_RESOURCE_IN_USE = 520,
  /** `InvalidRequest`, `UnsupportedProtocol`: the gateway could not read the request. */
  TCKMS_ERR_INVALID_REQUEST = 521,
  /** `DryRunOperation`: the request was a dry run and would have succeeded. */
  TCKMS_ERR_DRY_RUN_OPERATION = 522,
  /** `ResourceUnavailable.NotPurchased`: KMS is not enabled for this account. */
  TCKMS_ERR_NOT_PURCHASED = 523,
  /** `FailedOperation.DecryptError`: the ciphertext cannot be decrypted with this key. */
  TCKMS_ERR_DECRYPTION_FAILED = 524,
  /** `FailedOperation.SignError`: the service could not sign. */
  TCKMS_ERR_SIGNING_FAILED = 525,
  /** `FailedOperation.VerifyError`: the service could not verify a signature. */
  TCKMS_ERR_VERIFICATION_FAILED = 526,
  /** `FailedOperation.EncryptionError`: the service could not encrypt or decrypt. */
  TCKMS_ERR_ENCRYPTION_FAILED = 527,
  /** `FailedOperation.RotateTaskRunning`: the key is being rotated already. */
  TCKMS_ERR_ROTATION_RUNNING = 528,
  /** `FailedOperation.TaggingError`: the tags could not be set. */
  TCKMS_ERR_TAGGING_FAILED = 529,
  /** `FailedOperation.CmkUsedByCloudProduct`: another cloud product uses the key. */
  TCKMS_ERR_KEY_USED_BY_PRODUCT = 530,
  /** `InvalidParameterValue.InvalidAlias`: the alias is not valid. */
  TCKMS_ERR_INVALID_ALIAS = 531,
  /** `InvalidParameterValue.AliasAlreadyExists`: another key has this alias. */
  TCKMS_ERR_ALIAS_EXISTS = 532,
  /**
   * `InvalidParameterValue.InvalidKeyUsage`: the key usage does not exist, or does not allow the
   * operation.
   */
  TCKMS_ERR_INVALID_KEY_USAGE = 533,
  /** `InvalidParameterValue.InvalidType`: the type is not valid. */
  TCKMS_ERR_INVALID_KEY_TYPE = 534,
  /** `InvalidParameterValue.InvalidHsmClusterId`: the HSM cluster does not exist. */
  TCKMS_ERR_INVALID_HSM_CLUSTER = 535,
  /** `InvalidParameterValue.TagKeysDuplicated`: two tags have the same key. */
  TCKMS_ERR_TAG_KEYS_DUPLICATED = 536,
  /** `InvalidParameterValue.TagsNotExisted`: a tag does not exist. */
  TCKMS_ERR_TAGS_NOT_FOUND = 537,
  /** `InvalidParameterValue.DuplicatedKeyId`: a key is named twice. */
  TCKMS_ERR_DUPLICATED_KEY_ID = 538,
  /**
   * `InvalidParameterValue.MaterialNotMatch`: the key material differs from the one that was
   * imported first.
   */
  TCKMS_ERR_MATERIAL_MISMATCH = 539,
  /** `InvalidParameter.DecryptMaterialError`: the wrapped key material cannot be decrypted. */
  TCKMS_ERR_MATERIAL_NOT_DECRYPTED = 540,
  /** `InvalidParameter.InvalidPendingWindowInDays`: the days until deletion are not 7 to 30. */
  TCKMS_ERR_INVALID_DELETION_WINDOW = 541,
  /** `ResourceUnavailable.TokenExpired`: the import token has expired. */
  TCKMS_ERR_IMPORT_TOKEN_EXPIRED = 542,
  /** `ResourceUnavailable.CmkShouldBeDisabled`: the key must be disabled first. */
  TCKMS_ERR_KEY_NOT_DISABLED = 543,
  /** `ResourceUnavailable.CmkNotPendingDelete`: the key is not scheduled for deletion. */
  TCKMS_ERR_KEY_NOT_PENDING_DELETION = 544,
  /**
   * `ResourceUnavailable.CloudResourceBindingNotFound`: the key is not bound to this cloud
   * resource.
   */
  TCKMS_ERR_BINDING_NOT_FOUND = 545,
  /** `UnsupportedOperation.RotateNotSupported`: the key cannot be rotated. */
  TCKMS_ERR_ROTATION_NOT_SUPPORTED = 546,
  /**
   * `UnsupportedOperation.ExternalCmkCanNotRotate`: a key with imported material cannot be
   * rotated.
   */
  TCKMS_ERR_EXTERNAL_KEY_NOT_ROTATABLE = 547,
  /** `UnsupportedOperation.NotExternalCmk`: the key does not take imported material. */
  TCKMS_ERR_KEY_NOT_EXTERNAL = 548,
  /** `UnsupportedOperation.NotRoleOperation`: the role of the caller may not manage keys. */
  TCKMS_ERR_ROLE_NOT_ALLOWED = 549,
  /**
   * `UnsupportedOperation.NotUserCreatedCmk`: the key was created by a cloud product, and the
   * operation needs a key that a user created.
   */
  TCKMS_ERR_KEY_NOT_USER_CREATED = 550,
  /**
   * `UnsupportedOperation.UnsupportedKeyUsageInCurrentRegion`: the region has no keys of this
   * usage.
   */
  TCKMS_ERR_KEY_USAGE_NOT_IN_REGION = 551,
  /**
   * `UnsupportedOperation.UserVersionNotSupport`: the account's edition of KMS does not include
   * this.
   */
  TCKMS_ERR_EDITION_NOT_SUPPORTED = 552,
  /** `LimitExceeded.CmkLimitExceeded`: the account has reached its limit of keys. */
  TCKMS_ERR_KEY_LIMIT_EXCEEDED = 553,
  /** `RequestLimitExceeded.RotateRateLimited`: the key was rotated within the last 24 hours. */
  TCKMS_ERR_ROTATION_TOO_SOON = 554,
  /** `ResourceUnavailable.KeyDisabled`: the white-box key is disabled. */
  TCKMS_ERR_WHITE_BOX_KEY_DISABLED = 555,
  /** `LimitExceeded.KeyLimitExceeded`: the account has reached its limit of white-box keys. */
  TCKMS_ERR_WHITE_BOX_KEY_LIMIT_EXCEEDED = 556,
  /**
   * `LimitExceeded.FingerprintsLimitExceeded`: the white-box key has reached its limit of device
   * fingerprints.
   */
  TCKMS_ERR_FINGERPRINT_LIMIT_EXCEEDED = 557,
  /** The service refused with a code that this version of the library does not know. */
  TCKMS_ERR_UNKNOWN_SERVICE_CODE = 599,
  /** `InternalError`: the service failed. */
  TCKMS_ERR_SERVICE_INTERNAL_ERROR = 601,
  /** `RequestLimitExceeded` and its subcodes: too many requests. */
  TCKMS_ERR_REQUEST_LIMIT_EXCEEDED = 602,
  /** `ServiceUnavailable`: the service is down now. */
  TCKMS_ERR_SERVICE_UNAVAILABLE = 603,
  /** `UnsupportedOperation.ServiceTemporaryUnavailable`: the service is not ready now. */
  TCKMS_ERR_SERVICE_TEMPORARY_UNAVAILABLE = 604,
  /** HTTP 429, 502, 503 or 504 instead of a reply of the service. */
  TCKMS_ERR_HTTP_UNAVAILABLE = 605,
  /** `ResourceInsufficient`: the service has no capacity for this. */
  TCKMS_ERR_RESOURCE_INSUFFICIENT = 606,
  /** Too many messages failed to open recently, so no request is sent for this one in time. */
  TCKMS_ERR_OPEN_LIMITED = 607,
  /** The reply is about another CMK than the one the caller expects. */
  TCKMS_ERR_KEY_MISMATCH = 701,
  /** The data does not begin like a sealed message. */
  TCKMS_ERR_NOT_A_MESSAGE = 702,
  /** The data is a sealed message in base64; decode it first. */
  TCKMS_ERR_MESSAGE_IS_BASE64 = 703,
  /** The message names an algorithm suite that does not exist in its version of the format. */
  TCKMS_ERR_UNSUPPORTED_SUITE = 704,
  /** The message's suite does not commit to its key, and the keyring's policy requires that. */
  TCKMS_ERR_SUITE_NOT_ALLOWED = 705,
  /** The message is signed, and the stream does not allow that; tckms_open() does. */
  TCKMS_ERR_SIGNED_NOT_ALLOWED = 706,
  /** The message breaks a rule of the format. */
  TCKMS_ERR_MALFORMED_MESSAGE = 707,
  /** The message has more wrapped data keys than the keyring allows. */
  TCKMS_ERR_TOO_MANY_DATA_KEYS = 708,
  /** The message's header is longer than the keyring allows. */
  TCKMS_ERR_HEADER_TOO_LONG = 709,
  /** The message's frames, or its unframed body, are longer than the keyring allows. */
  TCKMS_ERR_FRAME_TOO_LONG = 710,
  /** The message's context lacks a pair that is expected, or has another value for it. */
  TCKMS_ERR_CONTEXT_MISMATCH = 711,
  /** None of the message's data keys was wrapped by a key of the keyring. */
  TCKMS_ERR_NO_MATCHING_KEY = 712,
  /** A data key has another length than the suite needs. */
  TCKMS_ERR_DATA_KEY_LENGTH = 713,
  /** The data key is not the one that the message commits to. */
  TCKMS_ERR_COMMITMENT_MISMATCH = 714,
  /** The message's header was changed. */
  TCKMS_ERR_HEADER_NOT_AUTHENTIC = 715,
  /** A frame is missing, repeated or in the wrong place. */
  TCKMS_ERR_FRAME_SEQUENCE = 716,
  /** A frame was changed. */
  TCKMS_ERR_FRAME_NOT_AUTHENTIC = 717,
  /** A signature is not valid: that of a message, one to verify, or one that the service made. */
  TCKMS_ERR_SIGNATURE_INVALID = 718,
  /** The message is truncated. */
  TCKMS_ERR_TRUNCATED = 719,
  /** There is data after the end of the message. */
  TCKMS_ERR_TRAILING_DATA = 720,
  /** The message names a branch that the keyring does not allow for it. */
  TCKMS_ERR_BRANCH_NOT_ALLOWED = 725,
  /** The message only refers to its branch key, and no record of that key is known. */
  TCKMS_ERR_BRANCH_RECORD_MISSING = 726,
  /** The program canceled the call. */
  TCKMS_ERR_CANCELED = 801,
  /** Reading from or writing to a descriptor of the program failed. */
  TCKMS_ERR_DESCRIPTOR_FAILED = 802,
  /** A callback of a custom key failed without a status of this library, or returned no result. */
  TCKMS_ERR_CUSTOM_KEY_FAILED = 803,
  /** A file of branch records cannot be read or written, or is not a file that can be trusted. */
  TCKMS_ERR_BRANCH_FILE_FAILED = 810,
  /** A callback of a store of branch records failed, took too long, or returned no result. */
  TCKMS_ERR_BRANCH_STORE_FAILED = 811,
  /**
   * A callback that names the branch of a context failed without a status of this library, or
   * named none.
   */
  TCKMS_ERR_BRANCH_SUPPLIER_FAILED = 812,
  /** A queue holds as many calls as it may. Take some that are done. */
  TCKMS_ERR_QUEUE_FULL = 820,
  /** No call of a queue is done, at least not yet. */
  TCKMS_ERR_AGAIN = 821,
  /** No call with this id is outstanding in a queue: it is done, or there never was one. */
  TCKMS_ERR_NOT_OUTSTANDING = 822,
  /** A fault inside the library. Please report it with the error's message. */
  TCKMS_ERR_INTERNAL = 901,
  /** There is not enough memory for a block whose size depends on the caller's input. */
  TCKMS_ERR_OUT_OF_MEMORY = 902,
  /** Not a status: makes the C type as wide as `int` with every compiler option. */
  TCKMS_STATUS_FORCE_INT = 2147483647
} tckms_status;

/** The category of a status: which side can correct the failure. */
typedef enum tckms_category {
  /** The number is not one of this library's. */
  TCKMS_CATEGORY_UNKNOWN = -1,
  /** Success. */
  TCKMS_CATEGORY_OK = 0,
  /**
   * The caller's arguments. Nothing was sent, except by a stream that already requested a data
   * key.
   */
  TCKMS_CATEGORY_ARGUMENT = 100,
  /**
   * There are no usable credentials. No request to KMS was sent; requests may have been sent to
   * STS or the metadata service.
   */
  TCKMS_CATEGORY_CREDENTIALS = 200,
  /** Transport: the network, TLS, a proxy, or a reply that is not the service's. */
  TCKMS_CATEGORY_TRANSPORT = 300,
  /** The service does not allow this to the identity. */
  TCKMS_CATEGORY_IDENTITY = 400,
  /** The service refuses the request, or the key's state forbids it. */
  TCKMS_CATEGORY_REQUEST = 500,
  /** The service is not available now; the same call may succeed later. */
  TCKMS_CATEGORY_UNAVAILABLE = 600,
  /** Data is not authentic, or not the expected one. */
  TCKMS_CATEGORY_INTEGRITY = 700,
  /** The program itself: it canceled the call, or one of its descriptors or callbacks failed. */
  TCKMS_CATEGORY_LOCAL = 800,
  /** The library itself. */
  TCKMS_CATEGORY_LIBRARY = 900,
  /** Not a category: makes the C type as wide as `int` with every compiler option. */
  TCKMS_CATEGORY_FORCE_INT = 2147483647
} tckms_category;

/**
 * The output of a load callback, filled with tckms_branch_records_add(). It is valid only during
 * the callback.
 */
typedef struct tckms_branch_records tckms_branch_records;

/**
 * A client of the key service.
 *
 * It never changes, and any number of threads may use it at once. Creating one opens no connection
 * and starts no thread; the first call does both.
 */
typedef struct tckms_client tckms_client;

/** A call that is done. One thread may use it at a time. */
typedef struct tckms_completion tckms_completion;

/**
 * The settings of clients.
 *
 * A configuration may be changed by one thread at a time. It can be freed as soon as the client is
 * created, and can be used for many clients.
 */
typedef struct tckms_config tckms_config;

/**
 * The output of a credentials callback, filled with tckms_credentials_set(). It is valid only
 * during the callback.
 */
typedef struct tckms_credentials tckms_credentials;

/**
 * The detail of a failure. It never changes, and any thread may read or free it.
 *
 * All functions that read one accept NULL for "no error". A string that does not apply is empty,
 * never NULL, and is valid as long as the error. No member ever contains a secret, a plaintext or
 * complete credentials.
 */
typedef struct tckms_error tckms_error;

/** The metadata of a CMK. It never changes, and any number of threads may read it at once. */
typedef struct tckms_key_info tckms_key_info;

/**
 * The keys that wrap the data keys of sealed messages, in order, and the rules for writing and
 * reading messages.
 *
 * A keyring may be changed by one thread at a time. While no thread changes it, any number of
 * threads may seal and open with it at once. Streams copy it.
 */
typedef struct tckms_keyring tckms_keyring;

/**
 * One event of the log. It is valid only during the callback, and so are the strings that its
 * functions return.
 */
typedef struct tckms_log_event tckms_log_event;

/**
 * The header of a message. Its content is not authenticated: anyone can have written it. Use it to
 * choose a key, or to find out why a message does not open.
 *
 * It never changes, and any number of threads may use it at once.
 */
typedef struct tckms_message_info tckms_message_info;

/**
 * A queue of calls that were submitted and not taken yet.
 *
 * Any number of threads may use a queue at once, also to take completions. Creating one opens no
 * descriptor and starts no thread. A queue can have calls of several clients, and a client's calls
 * can be in several queues.
 */
typedef struct tckms_queue tckms_queue;

/**
 * A streaming signer: it signs a message that is passed in several chunks.
 *
 * A signer is used by one thread at a time. It keeps the client's connections and callbacks alive;
 * the client may be freed before it.
 */
typedef struct tckms_signer tckms_signer;

/**
 * A stream that seals or opens one message: it takes plaintext and returns a message, or the
 * reverse.
 *
 * A stream is used by one thread at a time. It holds one frame in memory. After a call fails, it is
 * empty and refuses all further calls. Without tckms_stream_finish() a message has no end. A forked
 * child cannot continue a message that its parent began to seal.
 */
typedef struct tckms_stream tckms_stream;

/**
 * A wrapped data key: the result of a wrap callback, set with tckms_wrapped_key_set(), or the input
 * of an unwrap callback. It is valid only during the callback, or as long as the tckms_message_info
 * that it is a part of.
 */
typedef struct tckms_wrapped_key tckms_wrapped_key;

/**
 * Bytes that a function returns. The library owns the memory; tckms_buffer_free() wipes and frees
 * it.
 *
 * The bytes are always followed by a NUL byte that `len` does not count, so text can be printed. Do
 * not change the members. Any thread may use or move a buffer; no other thread may use it while one
 * frees it.
 */
typedef struct tckms_buffer {
  /** The first byte, or NULL when the buffer is empty. */
  uint8_t *data;
  /** The number of bytes, without the NUL byte that follows them. */
  size_t len;
} tckms_buffer;

/** A tag: a name and a value, for finding keys and for billing. */
typedef struct tckms_tag {
  /** The name. */
  const char *key;
  /** The value. */
  const char *value;
} tckms_tag;

/**
 * Options for a new CMK. A member that is NULL or 0 has its default. Initialize it with
 * TCKMS_CREATE_KEY_OPTIONS_INIT.
 */
typedef struct tckms_create_key_options {
  /**
   * Required: 1 to 60 letters, digits, '-' and '_', beginning with a letter or digit, and not
   * with "kms-". Unique in an account and region.
   */
  const char *alias;
  /**
   * A TCKMS_KEY_USAGE_ constant, or the service's name of another. Default
   * TCKMS_KEY_USAGE_ENCRYPT_DECRYPT.
   */
  const char *usage;
  /** At most 1024 bytes. */
  const char *description;
  /** The tags. */
  const struct tckms_tag *tags;
  /** The number of tags, at most 50. */
  size_t tag_count;
  /** Not 0: the key's material is imported, see tckms_import_key_material(). */
  int external;
  /** Must be 0. */
  uint32_t reserved;
} tckms_create_key_options;

/**
 * Selects the keys of tckms_list_keys(). A member that is NULL matches all keys. Initialize it with
 * TCKMS_KEY_FILTER_INIT.
 */
typedef struct tckms_key_filter {
  /** A TCKMS_KEY_USAGE_ constant, or the service's name of another. */
  const char *usage;
  /** "Enabled", "Disabled", "PendingDelete", "PendingImport" or "Archived". */
  const char *state;
  /** A part of the key id or of the alias. */
  const char *search;
} tckms_key_filter;

/**
 * A function that tckms_list_keys() calls with each key.
 *
 * @param userdata  The pointer given to tckms_list_keys().
 * @param key       The key, valid during the callback.
 * @return          0 to continue; anything else to stop, which is not an error.
 *
 * It runs on the thread that called tckms_list_keys(). It must return: do not leave it by longjmp()
 * or a C++ exception.
 */
typedef int (*tckms_key_callback)(void *userdata, const struct tckms_key_info *key);

/** Options of tckms_seal_fd() and tckms_open_fd(). A member that is 0 or NULL has its default. */
typedef struct tckms_fd_options {
  /**
   * The maximum number of threads: 1 to TCKMS_THREADS_MAX. Default: as many as the process can
   * run in parallel. Each needs memory for two chunks of up to 1 MiB, all of them together 32
   * MiB: with many threads the chunks are shorter, with long frames fewer threads run. There is
   * always memory for one frame.
   */
  uint32_t threads;
  /** To open: not 0 allows signed messages, see tckms_stream_set_signed_allowed(). */
  int signed_allowed;
  /**
   * Called on the caller's thread about ten times a second with the number of input bytes done
   * and the total, UINT64_MAX while that is not known. Return 0 to continue; any other value ends
   * the call with TCKMS_ERR_CANCELED, at the latest after the keyring's total timeout. If the
   * call succeeds, the last callback has `done` equal to `total`; everything is written then, and
   * its result is ignored.
   */
  int (*progress)(void *userdata, uint64_t done, uint64_t total);
  /** Passed to `progress` unchanged. */
  void *userdata;
} tckms_fd_options;

/**
 * A function that frees the userdata of a callback.
 *
 * It is called once: when the last configuration, client, keyring, stream and signer that could
 * call the callback have been freed, or as soon as the callback is replaced or can never be called.
 * It runs on the thread that frees the last of them. It is not called if the setter of the callback
 * fails. It must return: do not leave it by longjmp() or a C++ exception.
 *
 * @param userdata  The pointer given together with this function.
 */
typedef void (*tckms_destructor)(void *userdata);

/**
 * A wrapping key that the program implements with callbacks that wrap and unwrap data keys.
 *
 * /// Callbacks return 0 for success or a status of this library, which becomes the status of the
 * call: TCKMS_ERR_SERVICE_UNAVAILABLE for an outage, which counts as retryable,
 * TCKMS_ERR_NO_MATCHING_KEY for a data key that is not theirs. Any other number becomes
 * TCKMS_ERR_CUSTOM_KEY_FAILED. They can set the reason with tckms_callback_set_error_text(). They
 * run on the threads that seal and open, possibly several at once, and must return: do not leave
 * them by longjmp() or a C++ exception. They may call this library, but not seal or open with the
 * same keyring.
 */
typedef struct tckms_custom_key {
  /**
   * The scheme's name in messages: 1 to 512 ASCII characters that do not begin with "aws-kms".
   * NULL for a key that seals nothing and is tried for every wrapped data key of a message.
   */
  const char *provider_id;
  /**
   * Generates a data key of exactly `data_key_len` bytes and wraps it. NULL: the library
   * generates it, and `wrap` wraps it.
   */
  int (*generate)(void *userdata,
                  const char *ctx_json,
                  uint8_t *data_key,
                  size_t data_key_len,
                  struct tckms_wrapped_key *out);
  /** Wraps a data key that another key of the keyring generated. NULL: this key seals nothing. */
  int (*wrap)(void *userdata,
              const char *ctx_json,
              const uint8_t *data_key,
              size_t data_key_len,
              struct tckms_wrapped_key *out);
  /**
   * Unwraps a data key, which must have exactly `data_key_len` bytes. The content of `wrapped` is
   * not authenticated. NULL: this key opens nothing.
   */
  int (*unwrap)(void *userdata,
                const struct tckms_wrapped_key *wrapped,
                const char *ctx_json,
                uint8_t *data_key,
                size_t data_key_len);
  /**
   * Passed to all callbacks unchanged. It must be safe to use from all threads that seal and
   * open.
   */
  void *userdata;
  /** Frees `userdata`; see tckms_destructor. NULL if there is nothing to free. */
  tckms_destructor destructor_or_null;
} tckms_custom_key;

/** Limits for cached data keys. A member that is 0 has its default. */
typedef struct tckms_cache_limits {
  /** Maximum age of a data key for sealing, in milliseconds. Default 300000, at most 86400000. */
  int64_t seal_max_age_ms;
  /** Maximum age of a data key for opening, in milliseconds. Default 3600000, at most 86400000. */
  int64_t open_max_age_ms;
  /** Maximum number of messages that a data key seals. Default 1048576, at most 4294967296. */
  uint64_t max_messages;
  /** Maximum number of plaintext bytes that a data key seals. Default 1099511627776. */
  uint64_t max_bytes;
  /**
   * Maximum number of data keys for sealing, and of data keys for opening; the least recently
   * used is evicted first. Default 1000, at most 100000.
   */
  uint64_t max_entries;
} tckms_cache_limits;

/**
 * A function that loads the records of a branch from a store.
 *
 * @param userdata  The pointer from tckms_branch_options.
 * @param key       The key of the records: "<region>/<key id>/<branch id>", at most 162 characters.
 * @param out       Fill it with tckms_branch_records_add(): all records under the key; nothing if
 *                  there are none. A record that is missing counts as deleted, and is not used
 *                  after `ttl_ms`.
 * @return          0, or a status of this library. Any other number becomes
 *                  TCKMS_ERR_BRANCH_STORE_FAILED.
 *
 * While the branch is in use, it is called at least twice in each `ttl_ms`, but about once a second
 * at most. If a message refers to an unknown record, it is called too, once a second at most.
 *
 * The callbacks of a store run on a thread that the library starts for them, one at a time for each
 * process and tckms_keyring_add_branch(), so a connection in the userdata of one such call needs no
 * lock. In a forked child they run on a thread of the child, which must open its own connection. A
 * callback that takes longer than `store_timeout_ms` counts as failed, and is not called again
 * before it returns. A callback can set the reason of a failure with
 * tckms_callback_set_error_text(). It must return: do not leave it by longjmp() or a C++ exception.
 * It must not seal or open with the same keyring.
 */
typedef int (*tckms_branch_load)(void *userdata, const char *key, struct tckms_branch_records *out);

/**
 * A function that stores a record, unless there is one already under the same key and slot: HSETNX,
 * INSERT … ON CONFLICT DO NOTHING, If-None-Match. It is called with a new record about once in each
 * rotation period.
 *
 * @param userdata  The pointer from tckms_branch_options.
 * @param key       The key of the records.
 * @param slot      The number of the rotation period. There is one record for a key and a slot.
 * @param record    The record, one line without a newline.
 * @return          0, also if there was one already. Otherwise as for tckms_branch_load.
 *
 * The library loads the records afterwards, and uses the one that it finds.
 */
typedef int (*tckms_branch_put)(void *userdata, const char *key, int64_t slot, const char *record);

/**
 * The source of branch key records, and options of branch keys. A member that is 0 or NULL has its
 * default. Set at most one of `records`, `file` and `load`; without any, each process generates its
 * own branch keys, which costs readers a request for each of them.
 */
typedef struct tckms_branch_options {
  /**
   * The branch for sealing and opening: 1 to 64 letters, digits and characters of "._-". NULL if
   * tckms_keyring_set_branch_supplier() names the branch of each message, or if the keyring only
   * opens.
   */
  const char *branch_id;
  /** Records as text, a line each, at most 1048576 bytes. The newest one seals. */
  const char *records;
  /**
   * The path of a file of such records. It is checked at most once a second while the keyring
   * seals or opens, and read if it changed. A file that cannot be used is then ignored. An empty
   * or missing file has no records: those known before are not used after `ttl_ms`. It must be a
   * regular file of at most 1048576 bytes that is not writable by every user. A relative path is
   * resolved when the key is added.
   */
  const char *file;
  /** Loads the records of a branch from a store that all writers share. */
  tckms_branch_load load;
  /** Stores a record if there is none. Required with `load`. */
  tckms_branch_put put_if_absent;
  /** Passed to both callbacks. */
  void *userdata;
  /**
   * Frees `userdata`; see tckms_destructor. NULL if there is nothing to free, or without `load`. A
   * forked child does not call it if a callback was running at the fork.
   */
  tckms_destructor destructor_or_null;
  /**
   * The interval at which writers that share a store generate a new branch key, in milliseconds,
   * rounded down to seconds. 1000 to 315360000000; required with `load`, and only allowed with
   * it. All writers of a branch must use the same value.
   */
  int64_t rotation_ms;
  /** How long a callback of the store may take, in milliseconds. Default 2000, at most 60000. */
  int64_t store_timeout_ms;
  /**
   * The maximum time that a branch key is kept in memory, in milliseconds, and so the time for
   * which a disabled CMK can go unnoticed. A key that expires is not used again, and is wiped at
   * the next use of the keyring, or when it is freed. Default 3600000, at most 86400000.
   */
  int64_t ttl_ms;
  /** Further branches for opening. */
  const char *const *open_branch_ids;
  /** The number of further branches. */
  size_t open_branch_ids_len;
  /** Not 0: every branch of the CMK is opened, unless the keyring has a branch supplier. */
  int64_t open_any_branch;
  /**
   * Not 0: messages refer to their branch key and do not contain it, so deleting its record makes
   * them unreadable. Opening then needs the records as well.
   */
  int64_t by_reference;
  /** The maximum number of branch keys in memory. Default 1000, at most 100000. */
  uint64_t max_keys;
} tckms_branch_options;

/**
 * A function that names the branch of a message.
 *
 * @param userdata   The pointer given to tckms_keyring_set_branch_supplier().
 * @param ctx_json   The message's context as canonical JSON, "{}" for none; tckms_context_value()
 *                   reads a value of it.
 * @param branch_id  Memory for the branch id, with a NUL after it.
 * @param size       The number of bytes: 65.
 * @return           0 when it named a branch. Otherwise a status of this library, which becomes the
 *                   status of the call, such as TCKMS_ERR_BRANCH_NOT_ALLOWED. Any other number
 *                   becomes TCKMS_ERR_BRANCH_SUPPLIER_FAILED.
 *
 * It runs on the threads that seal and open, possibly on several at once, for each message. It must
 * always name the same branch for the same context. It can set the reason of a failure with
 * tckms_callback_set_error_text(). It must return: do not leave it by longjmp() or a C++ exception.
 */
typedef int (*tckms_branch_supplier)(void *userdata,
                                     const char *ctx_json,
                                     char *branch_id,
                                     size_t size);

/** Counters of the branch keys of a keyring since they were added. */
typedef struct tckms_branch_stats {
  /** Requests that generated a branch key. */
  uint64_t keys_made;
  /** Requests that unwrapped a branch key. */
  uint64_t keys_unwrapped;
  /** Data keys that were wrapped. */
  uint64_t wraps;
  /**
   * Those of them that were wrapped under a branch key of the process itself, because no record
   * was available.
   */
  uint64_t own_key_wraps;
  /** Data keys that were unwrapped. */
  uint64_t unwraps;
  /** Files that were read because they changed. */
  uint64_t file_reads;
  /**
   * Files that could not be used, so that the records known before stayed in use, or that were
   * missing.
   */
  uint64_t file_failures;
  /** Calls of the store's callbacks. */
  uint64_t store_calls;
  /** Those of them that failed or took too long. */
  uint64_t store_failures;
  /** Records that are not used: of another branch or CMK, not readable, or refused by the CMK. */
  uint64_t records_refused;
  /** Records that disappeared from the file or the store. */
  uint64_t records_gone;
} tckms_branch_stats;

/** One pair of an encryption context. */
typedef struct tckms_context_pair {
  /** The key, unique in the context. */
  const char *key;
  /** The value. */
  const char *value;
} tckms_context_pair;

/** Options of a queue. */
typedef struct tckms_queue_options {
  /**
   * The maximum number of calls in the queue, including those that are done but were not taken: 1
   * to 1048576. 0 for 1024.
   */
  uint64_t depth;
} tckms_queue_options;

/**
 * A role to assume, for tckms_config_set_assume_role_credentials(). Initialize it with
 * TCKMS_ROLE_OPTIONS_INIT.
 */
typedef struct tckms_role_options {
  /** Required: "qcs::cam::uin/<uin>:roleName/<name>" or "qcs::cam::uin/<uin>:role/<id>". */
  const char *role_arn;
  /** 2 to 128 letters, digits and _+=,.@-; NULL for a generated one. */
  const char *session_name_or_null;
  /** The external id that the role's policy requires, or NULL. */
  const char *external_id_or_null;
  /** A policy in JSON that restricts the role, or NULL. */
  const char *policy_or_null;
  /** Lifetime of the session, up to 43200; 0 for 7200. */
  int64_t duration_seconds;
} tckms_role_options;

/**
 * A function that supplies credentials.
 *
 * @param userdata  The pointer given to tckms_config_set_credentials_callback().
 * @param out       To be filled with tckms_credentials_set().
 * @return          0 when it filled `out`. Otherwise a status of this library, which becomes the
 *                  status of the call: TCKMS_ERR_SERVICE_UNAVAILABLE for an outage, which counts as
 *                  retryable. Any other number becomes TCKMS_ERR_CREDENTIALS_CALLBACK_FAILED, which
 *                  does not.
 *
 * It runs on the thread of a call that finds that new credentials are due, or whose credentials the
 * service refuses (after a rotation), and on one thread at a time for each client made with
 * tckms_client_new(). It may block: other threads continue with credentials that are still valid.
 * When it fails, it is not called again for half a second, and calls return its status until then.
 * It may call the library, but not with a client that waits for it. It must return: do not leave it
 * by longjmp() or a C++ exception.
 */
typedef int (*tckms_credentials_callback)(void *userdata, struct tckms_credentials *out);

/**
 * A function that receives the events of the log.
 *
 * @param userdata  The pointer given to tckms_config_set_log().
 * @param event     The event, for the functions tckms_log_event_...().
 *
 * It runs on the thread that made the call, possibly on several threads at once, and may call this
 * library. It must return: do not leave it by longjmp() or a C++ exception.
 */
typedef void (*tckms_log_callback)(void *userdata, const struct tckms_log_event *event);

/** Counters of a client and all clients that share its connections, since it was created. */
typedef struct tckms_stats {
  /** Calls, successful or not. */
  uint64_t calls;
  /** Attempts after the first of a call. */
  uint64_t retries;
  /** Replies with RequestLimitExceeded or HTTP 429. */
  uint64_t throttles;
  /** Calls refused because of their arguments. */
  uint64_t failures_argument;
  /** Calls for which no credentials were available. */
  uint64_t failures_credentials;
  /** Calls that did not reach the service or got no reply from it. */
  uint64_t failures_transport;
  /** Calls refused because of the identity. */
  uint64_t failures_identity;
  /** Calls refused because of the request or the key's state. */
  uint64_t failures_request;
  /** Calls that failed because the service was not available. */
  uint64_t failures_unavailable;
  /** Calls that failed because data was not authentic or not the expected one. */
  uint64_t failures_integrity;
  /** Calls that the program canceled, or whose descriptors or callbacks failed. */
  uint64_t failures_local;
  /** Calls that failed inside the library. */
  uint64_t failures_library;
  /** Bytes of request bodies, without headers and TLS. */
  uint64_t bytes_sent;
  /** Bytes of reply bodies, without headers and TLS. */
  uint64_t bytes_received;
  /** Connections that were opened. */
  uint64_t connections_opened;
  /** Connections of this process that are open now, or being opened. */
  uint64_t connections_open;
  /** Those of them that no call uses now. */
  uint64_t connections_idle;
  /** Calls that wait for a connection now, see tckms_config_set_max_connections(). */
  uint64_t calls_waiting;
} tckms_stats;

#ifdef __cplusplus
extern "C" {
#endif /* __cplusplus */

/* ---- Clients and core calls ------------------------------------------------------------------ */

/**
 * Creates a client. Trusted certificates are loaded now, so a process may chroot() afterwards.
 *
 * @param config  The configuration, with a region and credentials. Copied.
 * @param out     The client, owned by the caller, who frees it with tckms_client_free(). NULL on
 *                failure.
 * @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_REGION,
 *                TCKMS_ERR_NO_CREDENTIALS, TCKMS_ERR_CREDENTIALS_EXPIRED,
 *                TCKMS_ERR_INSECURE_ENDPOINT, TCKMS_ERR_INVALID_CA_BUNDLE or
 *                TCKMS_ERR_INVALID_CREDENTIALS_FILE.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_client_new(const tckms_config *config,
                              tckms_client **out);

/**
 * Creates a client from the environment.
 *
 * Credentials are those of tckms_config_set_default_credentials(). TENCENTCLOUD_REGION is required.
 * TCKMS_ENDPOINT, TCKMS_STS_ENDPOINT, TCKMS_CA_FILE and TCKMS_PROXY, if set, have the effect of the
 * setters with their names; TCKMS_INSECURE_HTTP_ALLOWED=1 has that of
 * tckms_config_set_insecure_http_allowed(). An empty variable counts as not set.
 *
 * In a program that runs with more privileges than its caller (setuid, setgid, file capabilities)
 * every variable counts as not set, including HOME: this function fails, and its error says so.
 *
 * @param out  The client, owned by the caller, who frees it with tckms_client_free(). NULL on
 *             failure.
 * @return     TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_REGION, or a status of
 *             tckms_client_new() or of a setter.
 *
 * Threads: while no thread changes the environment.
 */
TCKMS_WARN_UNUSED tckms_status tckms_client_new_from_env(tckms_client **out);

/**
 * Creates a client with other timeouts or retries that shares connections, credentials and
 * everything else with another one.
 *
 * It is cheap enough for a single call: use it to give a call its own deadline.
 *
 * @param client  The client to share with. It may be freed before the new one.
 * @param config  The settings that differ: try timeout, total timeout, max attempts, retry of
 *                unsafe actions. Copied.
 * @param out     The new client, owned by the caller, who frees it with tckms_client_free(). NULL
 *                on failure.
 * @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, or TCKMS_ERR_NOT_DERIVABLE when `config` sets
 *                anything else.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_client_derive(const tckms_client *client,
                                 const tckms_config *config,
                                 tckms_client **out);

/**
 * Creates a client whose calls have another total timeout, and that shares everything with another
 * client. Use it to give a call its own deadline.
 *
 * @param client      The client to share with. It may be freed before the new one.
 * @param timeout_ms  1 to 3600000 milliseconds, for each call with all its attempts and waits.
 * @param out         The new client, owned by the caller, who frees it with tckms_client_free().
 *                    NULL on failure.
 * @return            TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_client_derive_timeout_ms(const tckms_client *client,
                                            int64_t timeout_ms,
                                            tckms_client **out);

/**
 * Cancels the calls of a client: running calls return TCKMS_ERR_CANCELED at once, whatever they
 * wait for, and all later ones return it without sending anything. This cannot be undone.
 *
 * Cancel a client that was made for this purpose with tckms_client_derive() or
 * tckms_client_derive_timeout_ms(): the client that it was derived from is not affected. Clients
 * that were derived from the canceled one are canceled as well, and so are requests of keyrings and
 * streams to a CMK that was added with it.
 *
 * @param client  The client. Free it after its calls have returned.
 * @return        TCKMS_OK or TCKMS_ERR_NULL_POINTER.
 *
 * The service may have executed a canceled call. A running credentials callback or custom key's
 * callback is not interrupted: the call returns after it.
 * Threads: from any thread, while other threads are inside calls with the client. Not from a signal
 * handler.
 */
TCKMS_WARN_UNUSED tckms_status tckms_client_cancel(const tckms_client *client);

/**
 * Frees a client. Connections are closed and credentials wiped when the last of the clients that
 * share them is freed.
 *
 * @param client  NULL, which is harmless, or a client of this library.
 *
 * It may be called in a forked child.
 */
void tckms_client_free(tckms_client *client);

/**
 * Encrypts a small secret under a CMK. The service encrypts; for more than 4096 bytes use
 * tckms_seal().
 *
 * @param client            The client.
 * @param key_id            The CMK: 1 to 128 letters, digits and -_/:. characters. Sent unchanged;
 *                          keyrings accept fewer forms, see CONVENTIONS.
 * @param buf               The plaintext.
 * @param len               1 to 4096 bytes.
 * @param ctx_json_or_null  NULL, or the encryption context: a JSON object whose values are strings,
 *                          at most 1024 characters. It is sent exactly as given, and
 *                          tckms_decrypt() needs the same text. It is not secret.
 * @param out               The CiphertextBlob: opaque text; store it unchanged. Free it with
 *                          tckms_buffer_free().
 * @return                  TCKMS_OK or any status; see the chapter on errors.
 *
 * tckms_last_key_id() and tckms_last_request_id() return the ids of the request. Blocks until the
 * total timeout at most.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_encrypt(const tckms_client *client,
                           const char *key_id,
                           const void *buf,
                           size_t len,
                           const char *ctx_json_or_null,
                           tckms_buffer *out);

/**
 * Decrypts a CiphertextBlob of tckms_encrypt(), tckms_reencrypt() or tckms_generate_data_key().
 *
 * @param client            The client.
 * @param key_id_or_null    The CMK that the caller expects, or NULL for any. If the reply is about
 *                          another CMK, the call returns TCKMS_ERR_KEY_MISMATCH and no plaintext.
 * @param blob              The CiphertextBlob, exactly as it was returned.
 * @param len               1 to 65536 characters.
 * @param ctx_json_or_null  The context that was used to encrypt, or NULL if none was.
 * @param out               The plaintext. Free it with tckms_buffer_free(), which wipes it.
 * @return                  TCKMS_OK or any status; see the chapter on errors.
 *                          TCKMS_ERR_INVALID_CIPHERTEXT may also mean that the context is wrong.
 *
 * Blocks until the total timeout at most.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_decrypt(const tckms_client *client,
                           const char *key_id_or_null,
                           const void *blob,
                           size_t len,
                           const char *ctx_json_or_null,
                           tckms_buffer *out);

/**
 * Encrypts a CiphertextBlob again without its plaintext leaving the service: after a rotation,
 * under another CMK, or with another context.
 *
 * @param client                        The client.
 * @param key_id_or_null                The CMK to encrypt under, or NULL for the same.
 * @param blob                          The CiphertextBlob, exactly as it was returned.
 * @param len                           1 to 65536 characters.
 * @param source_ctx_json_or_null       The context of `blob`, or NULL.
 * @param destination_ctx_json_or_null  The context of the result, or NULL.
 * @param out                           The new CiphertextBlob. Free it with tckms_buffer_free().
 *                                      The service may return the old one when nothing would
 *                                      change.
 * @return                              TCKMS_OK or any status; see the chapter on errors.
 *
 * Blocks until the total timeout at most.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_reencrypt(const tckms_client *client,
                             const char *key_id_or_null,
                             const void *blob,
                             size_t len,
                             const char *source_ctx_json_or_null,
                             const char *destination_ctx_json_or_null,
                             tckms_buffer *out);

/**
 * Generates a data key: random bytes, in clear and wrapped by a CMK.
 *
 * @param client            The client.
 * @param key_id            The CMK.
 * @param key_len           1 to 1024 bytes.
 * @param ctx_json_or_null  The encryption context, as for tckms_encrypt(), or NULL.
 * @param plaintext         The key in clear. Free it with tckms_buffer_free(), which wipes it.
 * @param ciphertext        The key as a CiphertextBlob: store it with the data, and pass it to
 *                          tckms_decrypt(). Free it with tckms_buffer_free(). Must not be the same
 *                          buffer as `plaintext`.
 * @return                  TCKMS_OK or any status; see the chapter on errors.
 *
 * Blocks until the total timeout at most.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_generate_data_key(const tckms_client *client,
                                     const char *key_id,
                                     size_t key_len,
                                     const char *ctx_json_or_null,
                                     tckms_buffer *plaintext,
                                     tckms_buffer *ciphertext);

/**
 * Gets random bytes from the service's hardware.
 *
 * @param client  The client.
 * @param buf     Memory for the bytes. Written only on success.
 * @param len     1 to 1024 bytes.
 * @return        TCKMS_OK or any status; see the chapter on errors.
 *
 * Blocks until the total timeout at most.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_generate_random(const tckms_client *client,
                                   void *buf,
                                   size_t len);

/**
 * Sends any action of the KMS API: signed, with retries, and with the same errors as every other
 * call.
 *
 * @param client                The client.
 * @param action                The action's name, such as "DescribeKey".
 * @param request_json_or_null  Its parameters: a JSON object. NULL for none.
 * @param response_json         The JSON object under "Response", exactly as the service wrote it.
 *                              Free it with tckms_buffer_free(), which wipes it.
 * @return                      TCKMS_OK or any status; see the chapter on errors.
 *
 * An action that creates something, such as CreateKey, is not sent again if it may have been
 * executed, unless tckms_config_set_retry_unsafe_actions() allows it. Blocks until the total
 * timeout at most.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_call(const tckms_client *client,
                        const char *action,
                        const char *request_json_or_null,
                        tckms_buffer *response_json);

/* ---- Asymmetric keys ------------------------------------------------------------------------- */

/**
 * Gets the public key of an asymmetric CMK, as a SubjectPublicKeyInfo in DER (RFC 5280).
 *
 * A client fetches each key once and caches it, because a CMK's public key never changes. The
 * service returns it only while the CMK is enabled; a client that has it keeps it.
 *
 * @param client    The client.
 * @param key_id    An asymmetric CMK.
 * @param spki_der  The key. Free it with tckms_buffer_free().
 * @return          TCKMS_OK or any status; see the chapter on errors.
 *
 * Blocks until the total timeout at most.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_public_key(const tckms_client *client,
                              const char *key_id,
                              tckms_buffer *spki_der);

/**
 * Gets the public key of an asymmetric CMK in PEM (RFC 7468), as tckms_public_key() does in DER.
 *
 * @param client  The client.
 * @param key_id  An asymmetric CMK.
 * @param pem     The key, as text of several lines. Free it with tckms_buffer_free().
 * @return        TCKMS_OK or any status; see the chapter on errors.
 *
 * Blocks until the total timeout at most.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_public_key_pem(const tckms_client *client,
                                  const char *key_id,
                                  tckms_buffer *pem);

/**
 * Signs a message of any size with a key that never leaves KMS.
 *
 * The message is hashed locally, and only its digest is sent. The signature is verified with the
 * public key before it is returned; if it is wrong, the call returns TCKMS_ERR_SIGNATURE_INVALID.
 * The first call for a key also fetches its public key.
 *
 * @param client     The client.
 * @param key_id     An asymmetric CMK that signs.
 * @param algorithm  A TCKMS_SIGN_ constant, or 0 for the key's algorithm.
 * @param msg        The message. It may be empty.
 * @param len        Any number of bytes.
 * @param signature  DER for ECDSA and SM2, whichever encoding the service sends; 256 bytes for RSA.
 *                   Free it with tckms_buffer_free().
 * @return           TCKMS_OK, TCKMS_ERR_UNKNOWN_ALGORITHM, TCKMS_ERR_ALGORITHM_NOT_ALLOWED,
 *                   TCKMS_ERR_INVALID_KEY_USAGE, TCKMS_ERR_SIGNATURE_INVALID or any status; see the
 *                   chapter on errors.
 *
 * SM2 signs with the user id "1234567812345678"; for another one see tckms_signer_new(). Blocks
 * until the total timeout at most.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_sign(const tckms_client *client,
                        const char *key_id,
                        int algorithm,
                        const void *msg,
                        size_t len,
                        tckms_buffer *signature);

/**
 * Signs a digest that the program computed; otherwise like tckms_sign().
 *
 * @param client     The client.
 * @param key_id     An asymmetric CMK that signs.
 * @param algorithm  A TCKMS_SIGN_ constant, or 0 for the key's algorithm.
 * @param digest     The digest. For SM2 it is the one of tckms_sm2_digest(), not the plain SM3 of
 *                   the message.
 * @param len        32 bytes; 48 for TCKMS_SIGN_ECDSA_P384_SHA384.
 * @param signature  As for tckms_sign().
 * @return           As for tckms_sign(), and TCKMS_ERR_INVALID_LENGTH.
 *
 * Blocks until the total timeout at most.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_sign_digest(const tckms_client *client,
                               const char *key_id,
                               int algorithm,
                               const void *digest,
                               size_t len,
                               tckms_buffer *signature);

/**
 * Verifies a signature of a message locally, with the public key: no request is sent once that and
 * the usage of the CMK are known.
 *
 * The first call that works locally with a key also fetches its usage, with DescribeKey, because
 * only this shows that the key can sign; the client caches it. If the identity may not describe the
 * CMK, the call relies on the type of the public key alone: keys on P-256 and P-384 sign, and those
 * of RSA and SM2 are then accepted whatever they are for.
 *
 * @param client         The client.
 * @param key_id         An asymmetric CMK that signs.
 * @param algorithm      A TCKMS_SIGN_ constant, or 0 for the key's algorithm.
 * @param msg            The message.
 * @param len            Any number of bytes.
 * @param signature      The signature. For ECDSA and SM2, DER or r and s concatenated.
 * @param signature_len  Its length in bytes.
 * @return               TCKMS_OK when the signature is valid; TCKMS_ERR_SIGNATURE_INVALID when it
 *                       is not valid or malformed; TCKMS_ERR_INVALID_KEY_USAGE for a key that
 *                       decrypts; TCKMS_ERR_UNKNOWN_ALGORITHM, TCKMS_ERR_ALGORITHM_NOT_ALLOWED or
 *                       any status of tckms_public_key() and tckms_describe_key().
 *
 * Blocks until the total timeout at most.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_verify(const tckms_client *client,
                          const char *key_id,
                          int algorithm,
                          const void *msg,
                          size_t len,
                          const void *signature,
                          size_t signature_len);

/**
 * Verifies a signature of a digest; otherwise like tckms_verify().
 *
 * @param client         The client.
 * @param key_id         An asymmetric CMK that signs.
 * @param algorithm      A TCKMS_SIGN_ constant, or 0 for the key's algorithm.
 * @param digest         The digest, as for tckms_sign_digest().
 * @param len            32 bytes; 48 for TCKMS_SIGN_ECDSA_P384_SHA384.
 * @param signature      The signature, as for tckms_verify().
 * @param signature_len  Its length in bytes.
 * @return               As for tckms_verify(), and TCKMS_ERR_INVALID_LENGTH.
 *
 * Blocks until the total timeout at most.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_verify_digest(const tckms_client *client,
                                 const char *key_id,
                                 int algorithm,
                                 const void *digest,
                                 size_t len,
                                 const void *signature,
                                 size_t signature_len);

/**
 * Computes the digest that SM2 signs: SM3 over the hash of the signer's user id and public key, and
 * the message. The usage of the key is checked as by tckms_verify().
 *
 * @param client           The client.
 * @param key_id           An SM2 key that signs.
 * @param user_id_or_null  The signer's id, or NULL for "1234567812345678".
 * @param user_id_len      At most 8191 bytes; 0 with NULL.
 * @param msg              The message.
 * @param len              Any number of bytes.
 * @param digest           32 bytes. Free it with tckms_buffer_free().
 * @return                 TCKMS_OK, TCKMS_ERR_INVALID_LENGTH, TCKMS_ERR_ALGORITHM_NOT_ALLOWED,
 *                         TCKMS_ERR_INVALID_KEY_USAGE or any status of tckms_public_key() and
 *                         tckms_describe_key().
 *
 * Blocks until the total timeout at most.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_sm2_digest(const tckms_client *client,
                              const char *key_id,
                              const void *user_id_or_null,
                              size_t user_id_len,
                              const void *msg,
                              size_t len,
                              tckms_buffer *digest);

/**
 * Creates a signer for a message that is passed in several chunks. The usage of the key is checked
 * as by tckms_verify(), so that a key that decrypts is refused before the message is read.
 *
 * @param client               The client. It may be freed before the signer.
 * @param key_id               An asymmetric CMK that signs. Copied.
 * @param algorithm            A TCKMS_SIGN_ constant, or 0 for the key's algorithm.
 * @param sm2_user_id_or_null  For SM2: the signer's id, or NULL for "1234567812345678". Ignored for
 *                             other keys.
 * @param sm2_user_id_len      At most 8191 bytes; 0 with NULL.
 * @param out                  The signer, owned by the caller, who frees it with
 *                             tckms_signer_free(). NULL on failure.
 * @return                     TCKMS_OK, TCKMS_ERR_UNKNOWN_ALGORITHM,
 *                             TCKMS_ERR_ALGORITHM_NOT_ALLOWED, TCKMS_ERR_INVALID_LENGTH,
 *                             TCKMS_ERR_INVALID_KEY_USAGE or any status of tckms_public_key() and
 *                             tckms_describe_key().
 *
 * Blocks until the total timeout at most.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_signer_new(const tckms_client *client,
                              const char *key_id,
                              int algorithm,
                              const void *sm2_user_id_or_null,
                              size_t sm2_user_id_len,
                              tckms_signer **out);

/**
 * Adds the next bytes of the message.
 *
 * @param signer  The signer.
 * @param buf     The bytes.
 * @param len     Any number of bytes.
 * @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_LENGTH, or
 *                TCKMS_ERR_INVALID_STATE after tckms_signer_finish().
 *
 * Sends nothing.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_signer_update(tckms_signer *signer,
                                 const void *buf,
                                 size_t len);

/**
 * Signs all bytes added. Afterwards the signer can only be freed, even if this fails.
 *
 * @param signer     The signer.
 * @param signature  As for tckms_sign().
 * @return           As for tckms_sign(); TCKMS_ERR_INVALID_STATE for a second call.
 *
 * Blocks until the total timeout at most.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_signer_finish(tckms_signer *signer,
                                 tckms_buffer *signature);

/**
 * Frees a signer. Without tckms_signer_finish() there is no signature.
 *
 * @param signer  NULL, which is harmless, or a signer from tckms_signer_new().
 */
void tckms_signer_free(tckms_signer *signer);

/**
 * Converts a signature of ECDSA or SM2 from DER to r and s, concatenated, as JWT and PKCS#11 need
 * it.
 *
 * @param signature  The signature in DER.
 * @param len        Its length in bytes.
 * @param raw_len    The length of r and s together: 64 for P-256 and SM2, 96 for P-384.
 * @param raw        r and s, with leading zeros. Free it with tckms_buffer_free().
 * @return           TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_LENGTH for `raw_len`, or
 *                   TCKMS_ERR_SIGNATURE_INVALID when it is not the DER of two numbers of at most
 *                   that length.
 *
 * Sends nothing.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_signature_to_raw(const void *signature,
                                    size_t len,
                                    size_t raw_len,
                                    tckms_buffer *raw);

/**
 * Converts r and s, concatenated, to a signature in DER, the reverse of tckms_signature_to_raw().
 *
 * @param raw        r and s, each half of the length.
 * @param len        An even number of bytes, 2 to 132.
 * @param signature  The signature in DER. Free it with tckms_buffer_free().
 * @return           TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_INVALID_LENGTH.
 *
 * Sends nothing.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_signature_from_raw(const void *raw,
                                      size_t len,
                                      tckms_buffer *signature);

/**
 * Encrypts a small secret under an RSA key locally, with its public key: no request is sent once
 * that and the usage of the CMK are known. The usage is checked as by tckms_verify(), because
 * nothing can decrypt what is encrypted under a key that signs.
 *
 * @param client      The client.
 * @param key_id      An asymmetric CMK of usage ASYMMETRIC_DECRYPT_RSA_2048.
 * @param padding     A TCKMS_RSA_ constant.
 * @param buf         The plaintext.
 * @param len         At most 190 bytes with TCKMS_RSA_OAEP_SHA256, 214 with TCKMS_RSA_OAEP_SHA1,
 *                    245 with TCKMS_RSA_PKCS1_V1_5.
 * @param ciphertext  256 bytes. Free it with tckms_buffer_free().
 * @return            TCKMS_OK, TCKMS_ERR_UNKNOWN_ALGORITHM, TCKMS_ERR_ALGORITHM_NOT_ALLOWED,
 *                    TCKMS_ERR_INVALID_KEY_USAGE, TCKMS_ERR_PLAINTEXT_TOO_LARGE or any status of
 *                    tckms_public_key() and tckms_describe_key().
 *
 * Blocks until the total timeout at most.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_rsa_encrypt(const tckms_client *client,
                               const char *key_id,
                               int padding,
                               const void *buf,
                               size_t len,
                               tckms_buffer *ciphertext);

/**
 * Decrypts a ciphertext that was encrypted under an RSA key.
 *
 * Every failure to decrypt has the same status. Read the warning at TCKMS_RSA_PKCS1_V1_5 before you
 * use that padding.
 *
 * @param client      The client.
 * @param key_id      An asymmetric CMK of usage ASYMMETRIC_DECRYPT_RSA_2048.
 * @param padding     The TCKMS_RSA_ constant of the encryption.
 * @param ciphertext  The ciphertext.
 * @param len         256 bytes.
 * @param out         The plaintext, which may have no bytes. Free it with tckms_buffer_free(),
 *                    which wipes it.
 * @return            TCKMS_OK, TCKMS_ERR_UNKNOWN_ALGORITHM, TCKMS_ERR_INVALID_LENGTH,
 *                    TCKMS_ERR_DECRYPTION_FAILED or any status; see the chapter on errors.
 *
 * Blocks until the total timeout at most.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_rsa_decrypt(const tckms_client *client,
                               const char *key_id,
                               int padding,
                               const void *ciphertext,
                               size_t len,
                               tckms_buffer *out);

/**
 * Decrypts a ciphertext that was encrypted under an SM2 key.
 *
 * @param client      The client.
 * @param key_id      An asymmetric CMK of usage ASYMMETRIC_DECRYPT_SM2.
 * @param ciphertext  C1, C3 and C2 in ASN.1 DER (GB/T 35276).
 * @param len         1 to 256 bytes.
 * @param out         The plaintext. Free it with tckms_buffer_free(), which wipes it.
 * @return            TCKMS_OK, TCKMS_ERR_INVALID_LENGTH, TCKMS_ERR_DECRYPTION_FAILED or any status;
 *                    see the chapter on errors.
 *
 * Blocks until the total timeout at most.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_sm2_decrypt(const tckms_client *client,
                               const char *key_id,
                               const void *ciphertext,
                               size_t len,
                               tckms_buffer *out);

/* ---- Key management -------------------------------------------------------------------------- */

/**
 * Creates a CMK.
 *
 * The request is not sent again if it may have been executed, unless
 * tckms_config_set_retry_unsafe_actions() allows it.
 *
 * @param client               The client.
 * @param options              The options of the key.
 * @param size                 sizeof(tckms_create_key_options).
 * @param key_id               The id of the new key, as text. Free it with tckms_buffer_free().
 * @param tag_failure_or_null  The reason if the service created the key but could not set its tags;
 *                             else empty. Free it with tckms_buffer_free(). NULL if it is not
 *                             needed. Must not be the same buffer as `key_id`.
 * @return                     TCKMS_OK, TCKMS_ERR_UNKNOWN_OPTION, TCKMS_ERR_ALIAS_EXISTS,
 *                             TCKMS_ERR_INVALID_ALIAS, TCKMS_ERR_INVALID_KEY_USAGE,
 *                             TCKMS_ERR_KEY_USAGE_NOT_IN_REGION, TCKMS_ERR_KEY_LIMIT_EXCEEDED or
 *                             any status; see the chapter on errors.
 *
 * Blocks until the total timeout at most.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_create_key(const tckms_client *client,
                              const tckms_create_key_options *options,
                              size_t size,
                              tckms_buffer *key_id,
                              tckms_buffer *tag_failure_or_null);

/**
 * Gets the metadata of a CMK.
 *
 * @param client  The client.
 * @param key_id  The CMK.
 * @param out     The metadata, owned by the caller, who frees it with tckms_key_info_free(). NULL
 *                on failure.
 * @return        TCKMS_OK, TCKMS_ERR_KEY_MISMATCH for a reply about another CMK than the one whose
 *                id is `key_id`, TCKMS_ERR_RESPONSE_MALFORMED for a field that no CMK has, or any
 *                status; see the chapter on errors.
 *
 * Blocks until the total timeout at most.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_describe_key(const tckms_client *client,
                                const char *key_id,
                                tckms_key_info **out);

/**
 * Calls a function with each CMK of the account and region, in the order of creation.
 *
 * @param client          The client.
 * @param filter_or_null  Which keys, or NULL for all.
 * @param size            sizeof(tckms_key_filter); ignored with NULL.
 * @param callback        Called with each key.
 * @param userdata        Passed to the callback unchanged.
 * @return                TCKMS_OK, also when the callback stopped; TCKMS_ERR_UNKNOWN_OPTION,
 *                        TCKMS_ERR_OUT_OF_RANGE for a state that does not exist,
 *                        TCKMS_ERR_RESPONSE_MALFORMED if the service returns fewer keys than it
 *                        reports, or any status; see the chapter on errors. After a failure the
 *                        list is incomplete.
 *
 * It requests 200 keys at a time; the total timeout applies to each request. The callback may call
 * the library, also to change keys: each key that matches the filter is listed once, even if others
 * are created, deleted or changed meanwhile. A key can be missed only if between two requests
 * as many keys begin to match the filter as cease to.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_list_keys(const tckms_client *client,
                             const tckms_key_filter *filter_or_null,
                             size_t size,
                             tckms_key_callback callback,
                             void *userdata);

/**
 * Frees the metadata of a CMK.
 *
 * @param key  NULL, which is harmless, or a result of tckms_describe_key(). Never the argument of a
 *             callback of tckms_list_keys().
 */
void tckms_key_info_free(tckms_key_info *key);

/**
 * The id of a CMK.
 *
 * @param key  The key, or NULL.
 * @return     A text, borrowed from `key`; "" for NULL.
 */
const char *tckms_key_info_key_id(const tckms_key_info *key);

/**
 * The alias of a CMK.
 *
 * @param key  The key, or NULL.
 * @return     A text, borrowed from `key`; "" for NULL.
 */
const char *tckms_key_info_alias(const tckms_key_info *key);

/**
 * The description of a CMK.
 *
 * @param key  The key, or NULL.
 * @return     A text, borrowed from `key`; "" for NULL.
 */
const char *tckms_key_info_description(const tckms_key_info *key);

/**
 * The state of a CMK: "Enabled", "Disabled", "PendingDelete", "PendingImport" or "Archived".
 *
 * @param key  The key, or NULL.
 * @return     A text, borrowed from `key`; "" for NULL.
 */
const char *tckms_key_info_state(const tckms_key_info *key);

/**
 * The usage of a CMK: a TCKMS_KEY_USAGE_ constant, or the service's name of another.
 *
 * @param key  The key, or NULL.
 * @return     A text, borrowed from `key`; "" for NULL.
 */
const char *tckms_key_info_usage(const tckms_key_info *key);

/**
 * Where the material of a CMK comes from: "TENCENT_KMS", or "EXTERNAL" when it is imported.
 *
 * @param key  The key, or NULL.
 * @return     A text, borrowed from `key`; "" for NULL.
 */
const char *tckms_key_info_origin(const tckms_key_info *key);

/**
 * The interval in days at which the service rotates a CMK.
 *
 * @param key  The key, or NULL.
 * @return     Days; 0 when the CMK does not rotate, and for NULL.
 */
int64_t tckms_key_info_rotation_days(const tckms_key_info *key);

/**
 * When a CMK was created.
 *
 * @param key  The key, or NULL.
 * @return     Seconds since the Unix epoch; 0 for NULL.
 */
int64_t tckms_key_info_created_at_seconds(const tckms_key_info *key);

/**
 * When a CMK was last rotated.
 *
 * @param key  The key, or NULL.
 * @return     Seconds since the Unix epoch; 0 when it was never rotated, and for NULL.
 */
int64_t tckms_key_info_rotated_at_seconds(const tckms_key_info *key);

/**
 * When the service will next rotate a CMK.
 *
 * @param key  The key, or NULL.
 * @return     Seconds since the Unix epoch; 0 when the CMK does not rotate, and for NULL.
 */
int64_t tckms_key_info_rotates_at_seconds(const tckms_key_info *key);

/**
 * When a CMK that is scheduled for deletion will be deleted.
 *
 * @param key  The key, or NULL.
 * @return     Seconds since the Unix epoch; 0 when it is not scheduled, and for NULL.
 */
int64_t tckms_key_info_deleted_at_seconds(const tckms_key_info *key);

/**
 * When the imported material of a CMK expires.
 *
 * @param key  The key, or NULL.
 * @return     Seconds since the Unix epoch; 0 when it never expires, and for NULL.
 */
int64_t tckms_key_info_material_expires_at_seconds(const tckms_key_info *key);

/**
 * Enables a disabled CMK.
 *
 * @param client  The client.
 * @param key_id  The CMK.
 * @return        TCKMS_OK or any status; see the chapter on errors.
 *
 * Blocks until the total timeout at most.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_enable_key(const tckms_client *client,
                              const char *key_id);

/**
 * Disables a CMK: it cannot be used until tckms_enable_key().
 *
 * @param client  The client.
 * @param key_id  The CMK.
 * @return        TCKMS_OK, TCKMS_ERR_KEY_USED_BY_PRODUCT or any status; see the chapter on errors.
 *
 * Blocks until the total timeout at most.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_disable_key(const tckms_client *client,
                               const char *key_id);

/**
 * Schedules a disabled CMK for deletion. When it is deleted, data that was encrypted under it is
 * lost.
 *
 * @param client                      The client.
 * @param key_id                      The CMK.
 * @param days                        7 to 30 days from now.
 * @param deleted_at_seconds_or_null  When it will be deleted, in seconds since the Unix epoch. NULL
 *                                    if it is not needed.
 * @return                            TCKMS_OK, TCKMS_ERR_OUT_OF_RANGE, TCKMS_ERR_KEY_NOT_DISABLED
 *                                    or any status; see the chapter on errors.
 *
 * Blocks until the total timeout at most.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_schedule_key_deletion(const tckms_client *client,
                                         const char *key_id,
                                         int days,
                                         int64_t *deleted_at_seconds_or_null);

/**
 * Cancels the deletion of a CMK. The CMK is disabled afterwards.
 *
 * @param client  The client.
 * @param key_id  The CMK.
 * @return        TCKMS_OK, TCKMS_ERR_KEY_NOT_PENDING_DELETION or any status; see the chapter on
 *                errors.
 *
 * Blocks until the total timeout at most.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_cancel_key_deletion(const tckms_client *client,
                                       const char *key_id);

/**
 * Turns the automatic rotation of a symmetric CMK on or off.
 *
 * @param client  The client.
 * @param key_id  The CMK.
 * @param days    The interval, 7 to 365 days; 0 turns rotation off.
 * @return        TCKMS_OK, TCKMS_ERR_OUT_OF_RANGE, TCKMS_ERR_ROTATION_NOT_SUPPORTED,
 *                TCKMS_ERR_EXTERNAL_KEY_NOT_ROTATABLE or any status; see the chapter on errors.
 *
 * Blocks until the total timeout at most.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_set_key_rotation(const tckms_client *client,
                                    const char *key_id,
                                    int days);

/**
 * Starts a rotation of a symmetric CMK. The service completes it later: poll
 * tckms_key_info_rotated_at_seconds().
 *
 * @param client  The client.
 * @param key_id  The CMK.
 * @return        TCKMS_OK, TCKMS_ERR_ROTATION_TOO_SOON within 24 hours of the last one,
 *                TCKMS_ERR_ROTATION_RUNNING or any status; see the chapter on errors.
 *
 * The request is not sent again if it may have been executed, unless
 * tckms_config_set_retry_unsafe_actions() allows it. Blocks until the total timeout at most.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_rotate_key(const tckms_client *client,
                              const char *key_id);

/**
 * Imports the material of a CMK that was created with `external`. It is sent encrypted under a key
 * of the service.
 *
 * @param client            The client.
 * @param key_id            The CMK.
 * @param material          The material; a repeated import needs the same material. Wipe it
 *                          afterwards with tckms_wipe().
 * @param len               32 bytes for AES-256, 16 for SM4.
 * @param valid_to_seconds  When the material expires, in seconds since the Unix epoch, at most
 *                          2147443200; 0 for never.
 * @return                  TCKMS_OK, TCKMS_ERR_INVALID_LENGTH, TCKMS_ERR_OUT_OF_RANGE,
 *                          TCKMS_ERR_KEY_NOT_EXTERNAL, TCKMS_ERR_MATERIAL_MISMATCH or any status;
 *                          see the chapter on errors.
 *
 * Blocks until the total timeout at most.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_import_key_material(const tckms_client *client,
                                       const char *key_id,
                                       const void *material,
                                       size_t len,
                                       int64_t valid_to_seconds);

/* ---- Buffers and memory ---------------------------------------------------------------------- */

/**
 * Wipes and frees the memory of a buffer, and sets the buffer to empty.
 *
 * @param buffer  NULL or a buffer that a function of this library filled or that is empty; both are
 *                harmless.
 */
void tckms_buffer_free(tckms_buffer *buffer);

/**
 * Overwrites memory with zeros in a way that compilers do not optimise away.
 *
 * @param memory  The first byte; NULL is harmless.
 * @param len     The number of bytes.
 */
void tckms_wipe(void *memory, size_t len);

/**
 * Compares memory in a time that does not depend on its content.
 *
 * @param a    The first bytes; may be NULL when `len` is 0.
 * @param b    The second bytes; may be NULL when `len` is 0.
 * @param len  The number of bytes in each.
 * @return     1 when they are equal, 0 when they differ or one of them is NULL while `len` is not
 *             0.
 */
int tckms_equal(const void *a, const void *b, size_t len);

/* ---- Sealing in memory ----------------------------------------------------------------------- */

/**
 * Seals data of any size: encrypts it locally, under a data key that the keyring's keys wrap. The
 * message is in the format of the AWS Encryption SDK, version 2.
 *
 * @param keyring           The keyring, with at least one key that seals.
 * @param buf               The plaintext.
 * @param len               0 or more bytes.
 * @param ctx_json_or_null  NULL, or the context: a JSON object whose values are strings, at most
 *                          1024 bytes in its shortest form, without keys that begin with
 *                          "aws-crypto-". The message contains it in clear, and so does the
 *                          service's audit log. It cannot be changed in the message.
 * @param out               The message. Free it with tckms_buffer_free().
 * @return                  TCKMS_OK, TCKMS_ERR_NO_USABLE_KEY, TCKMS_ERR_RESERVED_CONTEXT_KEY or any
 *                          status; see the chapter on errors.
 *
 * Blocks while the keys generate a data key, at most for the time of
 * tckms_keyring_set_total_timeout_ms().
 */
TCKMS_WARN_UNUSED
tckms_status tckms_seal(const tckms_keyring *keyring,
                        const void *buf,
                        size_t len,
                        const char *ctx_json_or_null,
                        tckms_buffer *out);

/**
 * Opens a sealed message.
 *
 * @param keyring                    The keyring, with a key that wrapped the data key.
 * @param msg                        The complete message, without anything after it.
 * @param len                        The number of bytes.
 * @param expected_ctx_json_or_null  NULL, or pairs that the message's context must have, as a JSON
 *                                   object. They are compared before any key is used. The context
 *                                   is checked only if you pass the pairs you expect.
 * @param out                        The plaintext. Free it with tckms_buffer_free(), which wipes
 *                                   it. It is returned only if the whole message is authentic,
 *                                   including its signature if it has one.
 * @return                           TCKMS_OK, TCKMS_ERR_CONTEXT_MISMATCH,
 *                                   TCKMS_ERR_NO_MATCHING_KEY, another status of
 *                                   TCKMS_CATEGORY_INTEGRITY for a message that was changed, or any
 *                                   status; see the chapter on errors.
 *
 * Blocks while the keys unwrap the data key, at most for the time of
 * tckms_keyring_set_total_timeout_ms().
 */
TCKMS_WARN_UNUSED
tckms_status tckms_open(const tckms_keyring *keyring,
                        const void *msg,
                        size_t len,
                        const char *expected_ctx_json_or_null,
                        tckms_buffer *out);

/* ---- Sealing streams ------------------------------------------------------------------------- */

/**
 * Creates a stream that seals. The keys generate a data key in the first function that needs one:
 * tckms_stream_update(), tckms_stream_finish(), or one that returns a size.
 *
 * @param keyring           The keyring, copied: it may be freed before the stream.
 * @param ctx_json_or_null  NULL, or the context, as for tckms_seal(). Copied.
 * @param out               The stream, owned by the caller, who frees it with tckms_stream_free().
 *                          NULL on failure.
 * @return                  TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8,
 *                          TCKMS_ERR_INVALID_CONTEXT or TCKMS_ERR_RESERVED_CONTEXT_KEY.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_stream_new_seal(const tckms_keyring *keyring,
                                   const char *ctx_json_or_null,
                                   tckms_stream **out);

/**
 * Creates a stream that opens. It returns each frame's plaintext as soon as that frame is
 * authenticated. The message is known to be complete only when tckms_stream_finish() sets `done`:
 * until then, the plaintext may be a prefix.
 *
 * @param keyring                    The keyring, copied: it may be freed before the stream.
 * @param expected_ctx_json_or_null  NULL, or pairs that the message's context must have, as for
 *                                   tckms_open(). Copied.
 * @param out                        The stream, owned by the caller, who frees it with
 *                                   tckms_stream_free(). NULL on failure.
 * @return                           TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8 or
 *                                   TCKMS_ERR_INVALID_CONTEXT.
 *
 * A signed message is refused unless tckms_stream_set_signed_allowed() was called.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_stream_new_open(const tckms_keyring *keyring,
                                   const char *expected_ctx_json_or_null,
                                   tckms_stream **out);

/**
 * Frees a stream and wipes its memory. A message that was not finished has no end.
 *
 * @param stream  NULL, which is harmless, or a stream of this library.
 */
void tckms_stream_free(tckms_stream *stream);

/**
 * Sets the length of the plaintext. If the plaintext has another length, the stream fails. A stream
 * that seals can then use the keyring's cache and return the message's length.
 *
 * @param stream  The stream, before tckms_stream_update(), tckms_stream_finish() and the functions
 *                that return sizes.
 * @param size    Bytes of plaintext.
 * @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_INVALID_STATE.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_stream_set_plaintext_size(tckms_stream *stream,
                                             uint64_t size);

/**
 * Sets the maximum length of the plaintext. A stream with more plaintext fails as soon as it
 * exceeds this. A stream that seals can then use the keyring's cache; the whole length counts
 * against the limit of the data key.
 *
 * @param stream  The stream, before tckms_stream_update(), tckms_stream_finish() and the functions
 *                that return sizes.
 * @param bound   Bytes of plaintext.
 * @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_INVALID_STATE.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_stream_set_plaintext_bound(tckms_stream *stream,
                                              uint64_t bound);

/**
 * Allows a stream to open signed messages. It then returns plaintext, except the last frame, before
 * the signature is checked: it was sealed under the data key, but the sender is not known until
 * tckms_stream_finish() sets `done`. If the stream fails, discard all of it.
 *
 * @param stream   A stream that opens, before tckms_stream_update() and tckms_stream_finish().
 * @param allowed  0 (default): signed messages are refused. Anything else: they are opened.
 * @return         TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_INVALID_STATE, also for a stream
 *                 that seals.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_stream_set_signed_allowed(tckms_stream *stream,
                                             int allowed);

/**
 * Passes bytes to a stream and gets bytes from it. Either count may be 0: a stream whose output is
 * full takes no input, and an incomplete frame produces no output.
 *
 * @param stream    The stream.
 * @param in        The next bytes.
 * @param in_len    0 or more bytes.
 * @param consumed  How many of them were taken. Pass the rest again.
 * @param out       Memory for the output; may be NULL when `out_size` is 0. Must not overlap `in`.
 *                  Frames are decrypted in it: do not read it before the call returns. After a
 *                  failure it holds nothing that the call decrypted.
 * @param out_size  0 or more bytes.
 * @param produced  How many bytes of `out` were filled.
 * @return          TCKMS_OK or any status; see the chapter on errors. After a failure the stream
 *                  can only be freed.
 *
 * The first call blocks while the keys generate the data key; in a stream that opens, the call that
 * completes the header blocks while they unwrap it.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_stream_update(tckms_stream *stream,
                                 const void *in,
                                 size_t in_len,
                                 size_t *consumed,
                                 void *out,
                                 size_t out_size,
                                 size_t *produced);

/**
 * Ends a stream, which then takes no more input. Call it until `done` is 1, with new memory each
 * time.
 *
 * @param stream    The stream.
 * @param out       Memory for the output; may be NULL when `out_size` is 0.
 * @param out_size  0 or more bytes.
 * @param produced  How many bytes of `out` were filled.
 * @param done      1 when all output has been returned. Only then is a sealed message, or the
 *                  plaintext of an opened one, complete.
 * @return          TCKMS_OK, TCKMS_ERR_TRUNCATED when a message to be opened has not ended, or any
 *                  status; see the chapter on errors. After a failure the stream can only be freed.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_stream_finish(tckms_stream *stream,
                                 void *out,
                                 size_t out_size,
                                 size_t *produced,
                                 int *done);

/**
 * Returns the output size with which tckms_stream_update() can take `in_len` bytes in one call, and
 * tckms_stream_finish() can then return everything.
 *
 * @param stream    The stream.
 * @param in_len    0 or more bytes.
 * @param out_size  A sufficient number of bytes; for a stream that seals, not much more than
 *                  needed.
 * @return          TCKMS_OK, TCKMS_ERR_NULL_POINTER, or any status of the keys of a stream that
 *                  seals.
 *
 * In a stream that seals, the first call blocks while the keys generate a data key.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_stream_output_size(tckms_stream *stream,
                                      size_t in_len,
                                      size_t *out_size);

/**
 * Returns the exact length of the complete message before it is written.
 *
 * @param stream        A stream that seals, after tckms_stream_set_plaintext_size().
 * @param message_size  Bytes.
 * @return              TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_STATE when the size was
 *                      not set or the stream opens, or any status of the keys.
 *
 * The first call blocks while the keys make a data key.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_stream_message_size(tckms_stream *stream,
                                       uint64_t *message_size);

/* ---- Sealing between descriptors ------------------------------------------------------------- */

/**
 * Seals everything that can be read from a descriptor: a file, a pipe, a socket, of any size, in
 * bounded memory, on all cores.
 *
 * @param keyring           The keyring, with at least one key that seals. Its cache is not used.
 * @param in_fd             The descriptor to read the plaintext from, up to its end.
 * @param out_fd            The descriptor to write the message to. After a failure the output has
 *                          no end, and no reader takes it for a complete message.
 * @param ctx_json_or_null  NULL, or the context, as for tckms_seal().
 * @param options_or_null   NULL for the defaults.
 * @param size              sizeof(tckms_fd_options); ignored with NULL.
 * @return                  TCKMS_OK, TCKMS_ERR_DESCRIPTOR_FAILED with tckms_error_os_errno(),
 *                          TCKMS_ERR_CANCELED or any status; see the chapter on errors.
 *
 * Descriptors stay open and may be non-blocking. A pipe without a reader raises no SIGPIPE in the
 * program.
 * Threads: any number at once, each with its own descriptors. The function starts threads, with all
 * signals blocked, which end before it returns; callbacks of keys and of the log run on them.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_seal_fd(const tckms_keyring *keyring,
                           int in_fd,
                           int out_fd,
                           const char *ctx_json_or_null,
                           const tckms_fd_options *options_or_null,
                           size_t size);

/**
 * Opens the message that is read from a descriptor: a file, a pipe, a socket, of any size, in
 * bounded memory, on all cores.
 *
 * @param keyring                    The keyring, with a key that the data key is wrapped by.
 * @param in_fd                      The descriptor to read the message from; it must end with the
 *                                   message.
 * @param out_fd                     The descriptor to write the plaintext to, frame by frame, each
 *                                   after it is authenticated. The plaintext is known to be
 *                                   complete only when the call succeeds: write to a new file,
 *                                   rename it afterwards, and discard the output after a failure.
 * @param expected_ctx_json_or_null  NULL, or pairs that the message's context must have, as for
 *                                   tckms_open().
 * @param options_or_null            NULL for the defaults.
 * @param size                       sizeof(tckms_fd_options); ignored with NULL.
 * @return                           TCKMS_OK, TCKMS_ERR_TRUNCATED, TCKMS_ERR_DESCRIPTOR_FAILED with
 *                                   tckms_error_os_errno(), TCKMS_ERR_CANCELED or any status; see
 *                                   the chapter on errors.
 *
 * Descriptors and threads: as for tckms_seal_fd().
 * Threads: any number at once, each with its own descriptors.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_open_fd(const tckms_keyring *keyring,
                           int in_fd,
                           int out_fd,
                           const char *expected_ctx_json_or_null,
                           const tckms_fd_options *options_or_null,
                           size_t size);

/* ---- Keyrings -------------------------------------------------------------------------------- */

/**
 * Creates a keyring without keys.
 *
 * @return  The keyring, owned by the caller, who frees it with tckms_keyring_free(). NULL when
 *          there is no memory; every function accepts that and returns TCKMS_ERR_NULL_POINTER.
 */
tckms_keyring *tckms_keyring_new(void);

/**
 * Frees a keyring and wipes the data keys in its cache.
 *
 * @param keyring  NULL, which is harmless, or a keyring from tckms_keyring_new(). Streams made with
 *                 it continue to work.
 */
void tckms_keyring_free(tckms_keyring *keyring);

/**
 * Adds a CMK. The first key of a keyring generates the data key of a message, and every further one
 * wraps it as well: add one for each region or account that must be able to open the messages.
 *
 * @param keyring  The keyring.
 * @param client   The client to reach the CMK with, in the CMK's region. It may be freed
 *                 afterwards.
 * @param key_id   The CMK's key id, not an alias: 1 to 64 letters, digits and '-'. Messages store
 *                 it, and an alias could be moved to another key; see CONVENTIONS. Copied.
 * @return         TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8 or
 *                 TCKMS_ERR_MALFORMED_KEY_ID.
 *
 * Messages name the key as "<region>/<key id>". To open a message, only wrapped keys whose key was
 * added are sent to the service, to the client's endpoint and with its credentials, whatever else
 * the message contains.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_keyring_add_kms(tckms_keyring *keyring,
                                   const tckms_client *client,
                                   const char *key_id);

/**
 * Adds an RSA public key, which seals: the owner of the private key can open the messages without
 * the service. RSA-OAEP with SHA-256, as in the raw RSA keyring of the AWS Encryption SDK.
 *
 * @param keyring        The keyring.
 * @param key_namespace  1 to 512 ASCII characters that do not begin with "aws-kms". Copied.
 * @param key_name       1 to 512 bytes. A reader finds the key by its namespace and name. Copied.
 * @param pem            A "PUBLIC KEY" in PEM form, RSA with 2048 to 8192 bits. Copied.
 * @param len            The number of bytes.
 * @return               TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8,
 *                       TCKMS_ERR_INVALID_LENGTH, TCKMS_ERR_INVALID_KEY_NAME or
 *                       TCKMS_ERR_INVALID_PEM.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_keyring_add_rsa_public_pem(tckms_keyring *keyring,
                                              const char *key_namespace,
                                              const char *key_name,
                                              const void *pem,
                                              size_t len);

/**
 * Adds an RSA private key, which opens. It is not used for sealing.
 *
 * @param keyring        The keyring.
 * @param key_namespace  The namespace that the public key was added with. Copied.
 * @param key_name       The name that the public key was added with. Copied.
 * @param pem            A "PRIVATE KEY" or an "RSA PRIVATE KEY" in PEM form that is not encrypted,
 *                       with 2048 to 8192 bits. Copied into memory that is wiped.
 * @param len            The number of bytes.
 * @return               As for tckms_keyring_add_rsa_public_pem().
 */
TCKMS_WARN_UNUSED
tckms_status tckms_keyring_add_rsa_private_pem(tckms_keyring *keyring,
                                               const char *key_namespace,
                                               const char *key_name,
                                               const void *pem,
                                               size_t len);

/**
 * Adds a wrapping key that the program implements, for example with an HSM or another key service.
 *
 * @param keyring  The keyring.
 * @param key      The callbacks. The struct is copied, and `provider_id` with it.
 * @param size     sizeof(tckms_custom_key).
 * @return         TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_LENGTH,
 *                 TCKMS_ERR_INVALID_UTF8 or TCKMS_ERR_INVALID_KEY_NAME. Unless it is TCKMS_OK, the
 *                 destructor is not called.
 *
 * The callbacks run on the threads that seal and open; for calls of a queue, on its workers.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_keyring_add_custom(tckms_keyring *keyring,
                                      const tckms_custom_key *key,
                                      size_t size);

/**
 * Turns on the cache: a data key then serves more than one message, so most messages need no
 * request. Off by default.
 *
 * @param keyring         The keyring.
 * @param limits_or_null  The limits; a structure of zeros for the defaults. NULL turns the cache
 *                        off.
 * @param size            sizeof(tckms_cache_limits); ignored with NULL.
 * @return                TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_LENGTH,
 *                        TCKMS_ERR_UNKNOWN_OPTION or TCKMS_ERR_OUT_OF_RANGE.
 *
 * A data key serves only messages with the same context: a context with a different value for each
 * message makes the cache useless. Streams use the cache if their size or a bound was set. A key is
 * renewed before it reaches its maximum age; if the service is not available, the old key is used
 * until its maximum age, and never longer. A forked child starts with an empty cache.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_keyring_set_cache(tckms_keyring *keyring,
                                     const tckms_cache_limits *limits_or_null,
                                     size_t size);

/**
 * Sets which messages are opened. With either policy, messages are written with a suite that
 * commits to the data key.
 *
 * @param keyring  The keyring.
 * @param policy   TCKMS_COMMITMENT_REQUIRED (default) or TCKMS_COMMITMENT_NOT_REQUIRED_TO_OPEN.
 * @return         TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_keyring_set_commitment_policy(tckms_keyring *keyring,
                                                 int policy);

/**
 * Sets whether messages are signed, for readers who must not be able to forge messages that they
 * can open.
 *
 * @param keyring  The keyring.
 * @param signing  0 (default): not signed. Anything else: signed with ECDSA on P-384, which makes
 *                 sealing and opening much slower.
 * @return         TCKMS_OK or TCKMS_ERR_NULL_POINTER.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_keyring_set_signing(tckms_keyring *keyring,
                                       int signing);

/**
 * Sets the length of the frames of new messages. A reader needs memory for one frame. Default
 * 65536.
 *
 * @param keyring    The keyring.
 * @param frame_len  1 to 2147483647 bytes. All other software accepts multiples of 128; above
 *                   16777216 readers need tckms_keyring_set_max_frame_len().
 * @return           TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_keyring_set_frame_len(tckms_keyring *keyring,
                                         size_t frame_len);

/**
 * Limits the number of wrapped data keys of a message, and so the number of requests that a message
 * can cause. Default 8.
 *
 * @param keyring  The keyring.
 * @param count    1 to 65535.
 * @return         TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_keyring_set_max_wrapped_keys(tckms_keyring *keyring,
                                                size_t count);

/**
 * Limits the number of RSA private-key operations that opening a message can cause. Default 2.
 *
 * @param keyring  The keyring.
 * @param count    1 to 65535. Each takes a few milliseconds of a core, and more with longer keys.
 * @return         TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
 *
 * Only keys with the name of the wrapped data key are tried.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_keyring_set_max_rsa_operations(tckms_keyring *keyring,
                                                  size_t count);

/**
 * Limits the total time of all key requests of one call: of tckms_seal(), tckms_open(),
 * tckms_seal_fd(), tckms_open_fd(), or one function of a stream. Default 30000.
 *
 * @param keyring     The keyring.
 * @param timeout_ms  1 to 3600000 milliseconds.
 * @return            TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
 *
 * When a message is opened, each key that it names gets a part of the time, so a region that does
 * not reply leaves time for the next one. The total timeout of a CMK's client also limits each
 * request. The time of a custom key's callback counts, but the library cannot interrupt it.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_keyring_set_total_timeout_ms(tckms_keyring *keyring,
                                                int64_t timeout_ms);

/**
 * Limits the header length of messages to be opened. Default 524288.
 *
 * @param keyring  The keyring.
 * @param len      1 to 1073741824 bytes.
 * @return         TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_keyring_set_max_header_len(tckms_keyring *keyring,
                                              size_t len);

/**
 * Limits the frame length of messages to be opened, and so the memory of a stream. Default
 * 16777216.
 *
 * @param keyring  The keyring.
 * @param len      1 to 2147483647 bytes.
 * @return         TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_keyring_set_max_frame_len(tckms_keyring *keyring,
                                             size_t len);

/**
 * Limits the length of a body without frames in messages to be opened; the library never writes
 * one. Default 67108864.
 *
 * @param keyring  The keyring.
 * @param len      1 to 68719476704 bytes. It must fit into memory.
 * @return         TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_keyring_set_max_unframed_len(tckms_keyring *keyring,
                                                uint64_t len);

/**
 * Sets context pairs that messages to be opened are bound to but do not contain. Some other writers
 * of the format make such messages.
 *
 * @param keyring           The keyring.
 * @param ctx_json_or_null  A JSON object whose values are strings; NULL (default) for none. Copied.
 *                          A pair that a message does contain must be equal; the others must be
 *                          those that the message was sealed with.
 * @return                  TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8 or
 *                          TCKMS_ERR_INVALID_CONTEXT.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_keyring_set_reproduced_context(tckms_keyring *keyring,
                                                  const char *ctx_json_or_null);

/* ---- Branch keys ----------------------------------------------------------------------------- */

/**
 * Adds a CMK that wraps data keys through branch keys: the CMK wraps a branch key once, which then
 * wraps the data keys of any number of messages, each with its own data key. The number of requests
 * depends on branches and hours, not on the number of contexts and messages.
 *
 * @param keyring          The keyring.
 * @param client           The client to reach the CMK with, in the CMK's region. It may be freed
 *                         afterwards.
 * @param key_id           The CMK's key id, as for tckms_keyring_add_kms(). Copied.
 * @param options_or_null  The branch and the source of its records. Copied. NULL: the keyring only
 *                         opens, and needs a branch supplier.
 * @param size             sizeof(tckms_branch_options); ignored with NULL.
 * @return                 TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8,
 *                         TCKMS_ERR_INVALID_LENGTH, TCKMS_ERR_UNKNOWN_OPTION,
 *                         TCKMS_ERR_OUT_OF_RANGE, TCKMS_ERR_MALFORMED_KEY_ID,
 *                         TCKMS_ERR_INVALID_BRANCH_ID, TCKMS_ERR_INVALID_BRANCH_RECORD,
 *                         TCKMS_ERR_BRANCH_FILE_FAILED, or TCKMS_ERR_NO_USABLE_KEY for
 *                         `by_reference` without records. Unless it is TCKMS_OK, the destructor is
 *                         not called.
 *
 * Every CMK that is added wraps the data key of each message, as with tckms_keyring_add_kms(). A
 * process that has a branch key can open all messages of the branch: use one branch for each unit
 * that must not read another one's messages, such as a tenant. A branch key is renewed before it
 * reaches its maximum age; if the service is not available, the old one is used until then. If the
 * store is not available, sealing continues with the known branch key, and then with one of the
 * process itself, which the log and tckms_keyring_branch_stats() report; with `by_reference` it
 * fails instead. A forked child starts without branch keys.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_keyring_add_branch(tckms_keyring *keyring,
                                      const tckms_client *client,
                                      const char *key_id,
                                      const tckms_branch_options *options_or_null,
                                      size_t size);

/**
 * Sets a function that derives the branch of each message from its context, for example a branch
 * for each tenant. It applies to all branch keys of the keyring, for sealing and for opening: a
 * message of another branch is refused with TCKMS_ERR_BRANCH_NOT_ALLOWED before any request.
 *
 * @param keyring             The keyring.
 * @param callback_or_null    The function; NULL for none.
 * @param userdata            Passed to the callback.
 * @param destructor_or_null  Frees `userdata`; see tckms_destructor. NULL if there is nothing to
 *                            free.
 * @return                    TCKMS_OK or TCKMS_ERR_NULL_POINTER.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_keyring_set_branch_supplier(tckms_keyring *keyring,
                                               tckms_branch_supplier callback_or_null,
                                               void *userdata,
                                               tckms_destructor destructor_or_null);

/**
 * Generates a branch key with one request, and returns its record: a line of text with a newline.
 * The record is not secret, because only the CMK opens it.
 *
 * @param client     The client, in the CMK's region.
 * @param key_id     The CMK's key id, not an alias.
 * @param branch_id  The branch: 1 to 64 letters, digits and characters of "._-".
 * @param out        The line. Free it with tckms_buffer_free().
 * @return           TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8,
 *                   TCKMS_ERR_INVALID_BRANCH_ID, or what tckms_generate_data_key() returns.
 *
 * A file of records has one line for each version of each branch; adding a line rotates.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_branch_record_new(const tckms_client *client,
                                     const char *key_id,
                                     const char *branch_id,
                                     tckms_buffer *out);

/**
 * Verifies with one request that the CMK opens a record, and so that its branch and version are
 * those of the branch key.
 *
 * @param client  The client, in the region of the record's CMK.
 * @param record  A line, with or without a newline.
 * @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8,
 *                TCKMS_ERR_INVALID_BRANCH_RECORD, also for another region, or what tckms_decrypt()
 *                returns.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_branch_record_check(const tckms_client *client,
                                       const char *record);

/**
 * Reads the counters of all branch keys of a keyring.
 *
 * @param keyring  The keyring.
 * @param out      The structure to fill. Members that the running library does not have are set to
 *                 0.
 * @param size     sizeof(tckms_branch_stats).
 * @return         TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_INVALID_LENGTH.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_keyring_branch_stats(const tckms_keyring *keyring,
                                        tckms_branch_stats *out,
                                        size_t size);

/* ---- Stores of branch records ---------------------------------------------------------------- */

/**
 * Adds records of a store, within a load callback.
 *
 * @param out   The callback's `out`.
 * @param text  A record, or several with a newline between them. Copied.
 * @param len   The number of bytes; 1048576 at most for all that one callback adds.
 * @return      TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_LENGTH or
 *              TCKMS_ERR_INVALID_UTF8. The load then fails, whatever the callback returns.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_branch_records_add(tckms_branch_records *out,
                                      const void *text,
                                      size_t len);

/* ---- Keys of the program's own --------------------------------------------------------------- */

/**
 * Sets the wrapped data key, within a callback of tckms_custom_key.
 *
 * @param out       The callback's `out`.
 * @param info      Identifies the key of the scheme that wrapped it, in the scheme's own form.
 *                  Copied.
 * @param info_len  0 to 65535 bytes.
 * @param wrapped   The wrapped data key. Copied.
 * @param len       1 to 65535 bytes.
 * @return          TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_INVALID_LENGTH.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_wrapped_key_set(tckms_wrapped_key *out,
                                   const void *info,
                                   size_t info_len,
                                   const void *wrapped,
                                   size_t len);

/**
 * The scheme of a wrapped data key.
 *
 * @param wrapped  The argument of an unwrap callback, or a part of a tckms_message_info.
 * @return         The provider id, such as "tencent-kms"; "" for NULL. Borrowed from `wrapped`.
 */
const char *tckms_wrapped_key_provider_id(const tckms_wrapped_key *wrapped);

/**
 * Identifies the key of its scheme that wrapped a data key.
 *
 * @param wrapped      The argument of an unwrap callback, or a part of a tckms_message_info.
 * @param len_or_null  The number of bytes.
 * @return             The provider info, in the scheme's own form. Borrowed from `wrapped`. Never
 *                     NULL.
 */
const uint8_t *tckms_wrapped_key_info(const tckms_wrapped_key *wrapped, size_t *len_or_null);

/**
 * The bytes of a wrapped data key.
 *
 * @param wrapped      The argument of an unwrap callback, or a part of a tckms_message_info, or
 *                     NULL, which has 0 bytes.
 * @param len_or_null  The number of bytes.
 * @return             The wrapped data key itself. Borrowed from `wrapped`. Never NULL.
 */
const uint8_t *tckms_wrapped_key_blob(const tckms_wrapped_key *wrapped, size_t *len_or_null);

/**
 * The branch of a data key that a branch key wrapped.
 *
 * @param wrapped  A part of a tckms_message_info, or NULL.
 * @return         The branch id; "" for another kind of wrapped key and for NULL. Borrowed from
 *                 `wrapped`.
 */
const char *tckms_wrapped_key_branch_id(const tckms_wrapped_key *wrapped);

/**
 * The version of the branch key that wrapped a data key.
 *
 * @param wrapped  A part of a tckms_message_info, or NULL.
 * @return         The version, a UUID; "" for another kind of wrapped key and for NULL. Borrowed
 *                 from `wrapped`.
 */
const char *tckms_wrapped_key_branch_version(const tckms_wrapped_key *wrapped);

/* ---- Errors of callbacks --------------------------------------------------------------------- */

/**
 * Sets the reason why a callback of tckms_custom_key fails. It becomes a part of the message of the
 * call's error.
 *
 * @param text  The reason, in a few words: the first 512 bytes are used. Do not include a secret.
 *              Copied.
 * @return      TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_INVALID_UTF8.
 *
 * It applies to the callback that runs on this thread, if that returns a value other than 0.
 */
TCKMS_WARN_UNUSED tckms_status tckms_callback_set_error_text(const char *text);

/* ---- Contexts -------------------------------------------------------------------------------- */

/**
 * Writes an encryption context as JSON, for all parameters called `ctx_json`, and escapes keys and
 * values. The same pairs always produce the same text, whatever their order: sorted by the bytes of
 * their keys, without blanks. The service may compare contexts as text, so use this function for
 * both encryption and decryption.
 *
 * @param pairs  The pairs, in any order; may be NULL when `count` is 0.
 * @param count  The number of pairs.
 * @param out    The JSON object, "{}" for no pairs. Free it with tckms_buffer_free().
 * @return       TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_LENGTH, TCKMS_ERR_INVALID_UTF8,
 *               TCKMS_ERR_INVALID_CONTEXT for a duplicate key, or TCKMS_ERR_CONTEXT_TOO_LONG for
 *               more than 1024 characters.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_context_json(const tckms_context_pair *pairs,
                                size_t count,
                                tckms_buffer *out);

/**
 * Reads one value of a context, for callbacks that are given one as JSON.
 *
 * @param ctx_json  A JSON object whose values are strings, as tckms_context_json() writes it.
 * @param key       The key.
 * @param value     Where to write the value, with a NUL after it. "" on failure.
 * @param size      The number of bytes there, at least 1.
 * @return          TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8,
 *                  TCKMS_ERR_INVALID_CONTEXT, also for a value with a NUL in it,
 *                  TCKMS_ERR_CONTEXT_MISMATCH when there is no such key, or
 *                  TCKMS_ERR_INVALID_LENGTH when `size` is too small.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_context_value(const char *ctx_json,
                                 const char *key,
                                 char *value,
                                 size_t size);

/* ---- Looking into messages ------------------------------------------------------------------- */

/**
 * Reads the header of a message without opening it.
 *
 * @param msg  The message, or its beginning.
 * @param len  The number of bytes.
 * @param out  The claims, owned by the caller, who frees them with tckms_message_info_free(). NULL
 *             on failure.
 * @return     TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_LENGTH, TCKMS_ERR_TRUNCATED when
 *             the header is not complete, or a status of TCKMS_CATEGORY_INTEGRITY, also for a
 *             header that exceeds the default limits of a keyring.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_message_info_new(const void *msg,
                                    size_t len,
                                    tckms_message_info **out);

/**
 * Frees the claims of a message, including everything borrowed from them.
 *
 * @param info  NULL, which is harmless, or claims from tckms_message_info_new().
 */
void tckms_message_info_free(tckms_message_info *info);

/**
 * The version of the format.
 *
 * @param info  The claims, or NULL.
 * @return      1 or 2; 0 for NULL.
 */
int tckms_message_info_version(const tckms_message_info *info);

/**
 * The number of the algorithm suite, such as 0x0478.
 *
 * @param info  The claims, or NULL.
 * @return      1 to 65535; 0 for NULL.
 */
int tckms_message_info_suite(const tckms_message_info *info);

/**
 * Whether the header commits to one data key.
 *
 * @param info  The claims, or NULL.
 * @return      1 or 0; 0 for NULL.
 */
int tckms_message_info_committing(const tckms_message_info *info);

/**
 * Whether the message ends with a signature.
 *
 * @param info  The claims, or NULL.
 * @return      1 or 0; 0 for NULL.
 */
int tckms_message_info_signed(const tckms_message_info *info);

/**
 * The length of the message's frames.
 *
 * @param info  The claims, or NULL.
 * @return      Bytes; 0 for a body without frames and for NULL.
 */
size_t tckms_message_info_frame_len(const tckms_message_info *info);

/**
 * The length of the header.
 *
 * @param info  The claims, or NULL.
 * @return      Bytes; 0 for NULL.
 */
size_t tckms_message_info_header_len(const tckms_message_info *info);

/**
 * The message's id.
 *
 * @param info         The claims, or NULL.
 * @param len_or_null  The number of bytes: 16 or 32, 0 for NULL.
 * @return             The bytes, borrowed from `info`. Never NULL.
 */
const uint8_t *tckms_message_info_message_id(const tckms_message_info *info,
                                             size_t *len_or_null);

/**
 * The number of pairs of the context. They include the public key of a signed message,
 * "aws-crypto-public-key".
 *
 * @param info  The claims, or NULL.
 * @return      0 or more.
 */
size_t tckms_message_info_context_count(const tckms_message_info *info);

/**
 * The key of a pair of the context. Pairs are in the order of their keys' bytes.
 *
 * @param info   The claims, or NULL.
 * @param index  From 0 to tckms_message_info_context_count() - 1.
 * @return       The key, borrowed from `info`; NULL when there is no such pair, or when the key has
 *               a NUL character in it, which only the JSON shows.
 */
const char *tckms_message_info_context_key(const tckms_message_info *info, size_t index);

/**
 * The value of a pair of the context.
 *
 * @param info   The claims, or NULL.
 * @param index  From 0 to tckms_message_info_context_count() - 1.
 * @return       The value, borrowed from `info`; NULL when there is no such pair, or when the value
 *               has a NUL character in it, which only the JSON shows.
 */
const char *tckms_message_info_context_value(const tckms_message_info *info, size_t index);

/**
 * The number of wrapped data keys of the message.
 *
 * @param info  The claims, or NULL.
 * @return      1 or more; 0 for NULL.
 */
size_t tckms_message_info_wrapped_key_count(const tckms_message_info *info);

/**
 * A wrapped data key of the message.
 *
 * @param info   The claims, or NULL.
 * @param index  From 0 to tckms_message_info_wrapped_key_count() - 1, in the order of the message.
 * @return       The wrapped key, for tckms_wrapped_key_provider_id() and similar functions,
 *               borrowed from `info`; NULL when there is none.
 */
const tckms_wrapped_key *tckms_message_info_wrapped_key(const tckms_message_info *info,
                                                        size_t index);

/**
 * Writes the claims of a message as JSON.
 *
 * @param info  The claims.
 * @param json  A JSON object with "authenticated" (always false), "version", "suite" (such as
 *              "0478"), "committing", "signed", "message_id", "context", "wrapped_keys" (each with
 *              "provider_id", "provider_info" or "provider_info_hex", "wrapped_len"), "frame_len"
 *              (null without frames) and "header_len". It can be printed: characters that a
 *              terminal interprets are escaped. Free it with tckms_buffer_free().
 * @return      TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_MEMORY.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_message_info_json(const tckms_message_info *info,
                                     tckms_buffer *json);

/* ---- Queues ---------------------------------------------------------------------------------- */

/**
 * Creates a queue.
 *
 * @param options_or_null  NULL or a structure of zeros for the defaults.
 * @param size             sizeof(tckms_queue_options); ignored with NULL.
 * @param out              The queue, owned by the caller, who frees it with tckms_queue_free().
 *                         NULL on failure.
 * @return                 TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_LENGTH,
 *                         TCKMS_ERR_UNKNOWN_OPTION or TCKMS_ERR_OUT_OF_RANGE.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_queue_new(const tckms_queue_options *options_or_null,
                             size_t size,
                             tckms_queue **out);

/**
 * The descriptor to poll: readable exactly while there are completions to take, with poll(), epoll
 * (level- or edge-triggered), kqueue and any event loop.
 *
 * @param queue  The queue.
 * @param fd     The descriptor, above 2 and closed on exec. It belongs to the queue: never read it,
 *               and do not close it. -1 on failure.
 * @return       TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_TRANSPORT_UNAVAILABLE when the
 *               process has no descriptor left; the next call tries again.
 *
 * It does not change during the life of the queue in a process. A forked child, and a process that
 * closed all its descriptors, must call this function again to get another one.
 */
TCKMS_WARN_UNUSED tckms_status tckms_queue_fd(const tckms_queue *queue, int *fd);

/**
 * Takes the next completion. It never blocks, but it does the encryption and decryption of
 * tckms_submit_seal() and tckms_submit_open(), and calls the log callback for the events of the
 * call.
 *
 * @param queue  The queue.
 * @param out    The completion, owned by the caller, who frees it with tckms_completion_free().
 *               NULL on failure.
 * @return       TCKMS_OK whatever the status of the call is, TCKMS_ERR_NULL_POINTER, or
 *               TCKMS_ERR_AGAIN when no call is done.
 *
 * Each call that was submitted successfully has exactly one completion. Completions are in the
 * order in which the calls were done.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_queue_next(const tckms_queue *queue,
                              tckms_completion **out);

/**
 * Waits until a call is done, for programs without an event loop.
 *
 * @param queue       The queue.
 * @param timeout_ms  0 to 3600000 milliseconds. 0 only checks.
 * @return            TCKMS_OK when tckms_queue_next() would return a completion now,
 *                    TCKMS_ERR_AGAIN when the timeout expired, TCKMS_ERR_NULL_POINTER or
 *                    TCKMS_ERR_OUT_OF_RANGE.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_queue_wait(const tckms_queue *queue,
                              int64_t timeout_ms);

/**
 * The number of calls that were submitted and not taken.
 *
 * @param queue  The queue, or NULL.
 * @return       The number; 0 for NULL.
 */
size_t tckms_queue_outstanding(const tckms_queue *queue);

/**
 * Cancels a call. It is done soon, with TCKMS_ERR_CANCELED unless it was done before, and has a
 * completion like any other.
 *
 * @param queue  The queue.
 * @param id     The id that the call was submitted with.
 * @return       TCKMS_OK, TCKMS_ERR_NULL_POINTER, or TCKMS_ERR_NOT_OUTSTANDING when the call is
 *               done already or there never was one.
 *
 * The service may have executed a canceled call.
 */
TCKMS_WARN_UNUSED tckms_status tckms_cancel(const tckms_queue *queue, uint64_t id);

/**
 * Cancels all calls of a queue that are not done, as tckms_cancel() cancels one. All completions
 * can then be taken soon: a program does so to release what its userdata pointers refer to, before
 * it frees the queue.
 *
 * @param queue  The queue.
 * @return       TCKMS_OK or TCKMS_ERR_NULL_POINTER.
 */
TCKMS_WARN_UNUSED tckms_status tckms_queue_cancel_all(const tckms_queue *queue);

/**
 * Frees a queue. Its outstanding calls are canceled, and completions that were not taken are freed.
 *
 * @param queue  NULL, which is harmless, or a queue of this library.
 *
 * Waits until its calls have ended, and closes their connections, which takes about 40 microseconds
 * for each outstanding call. If a callback of the program is running in a worker, it waits up to
 * 2 seconds. It may be called in a forked child.
 */
void tckms_queue_free(tckms_queue *queue);

/**
 * Submits a call like tckms_encrypt().
 *
 * All functions that submit copy their inputs. Arguments that can be refused without a request are
 * refused at once: then there is no call. Otherwise there will be a completion.
 *
 * @param queue             The queue.
 * @param client            The client. It may be freed before the call is done.
 * @param key_id            As for tckms_encrypt().
 * @param buf               The plaintext. Copied into memory that is wiped.
 * @param len               1 to 4096 bytes.
 * @param ctx_json_or_null  As for tckms_encrypt().
 * @param timeout_ms        1 to 3600000 milliseconds until the call is done at the latest. The
 *                          client's own timeouts also apply.
 * @param userdata          Any pointer, for the completion. The library never dereferences it.
 * @param id_or_null        NULL, or the output for the id of the call, for tckms_cancel(). Never 0,
 *                          except on failure.
 * @return                  TCKMS_OK, TCKMS_ERR_QUEUE_FULL, a status of TCKMS_CATEGORY_ARGUMENT,
 *                          TCKMS_ERR_TRANSPORT_UNAVAILABLE when no thread can be started, or
 *                          TCKMS_ERR_OUT_OF_MEMORY.
 *
 * The completion's output is the CiphertextBlob.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_submit_encrypt(const tckms_queue *queue,
                                  const tckms_client *client,
                                  const char *key_id,
                                  const void *buf,
                                  size_t len,
                                  const char *ctx_json_or_null,
                                  int64_t timeout_ms,
                                  void *userdata,
                                  uint64_t *id_or_null);

/**
 * Submits a call like tckms_decrypt().
 *
 * @param queue             The queue.
 * @param client            The client. It may be freed before the call is done.
 * @param key_id_or_null    As for tckms_decrypt().
 * @param blob              The CiphertextBlob. Copied.
 * @param len               1 to 65536 characters.
 * @param ctx_json_or_null  As for tckms_decrypt().
 * @param timeout_ms        As for tckms_submit_encrypt().
 * @param userdata          As for tckms_submit_encrypt().
 * @param id_or_null        As for tckms_submit_encrypt().
 * @return                  As for tckms_submit_encrypt().
 *
 * The completion's output is the plaintext.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_submit_decrypt(const tckms_queue *queue,
                                  const tckms_client *client,
                                  const char *key_id_or_null,
                                  const void *blob,
                                  size_t len,
                                  const char *ctx_json_or_null,
                                  int64_t timeout_ms,
                                  void *userdata,
                                  uint64_t *id_or_null);

/**
 * Submits a call like tckms_reencrypt().
 *
 * @param queue                         The queue.
 * @param client                        The client. It may be freed before the call is done.
 * @param key_id_or_null                As for tckms_reencrypt().
 * @param blob                          The CiphertextBlob. Copied.
 * @param len                           1 to 65536 characters.
 * @param source_ctx_json_or_null       As for tckms_reencrypt().
 * @param destination_ctx_json_or_null  As for tckms_reencrypt().
 * @param timeout_ms                    As for tckms_submit_encrypt().
 * @param userdata                      As for tckms_submit_encrypt().
 * @param id_or_null                    As for tckms_submit_encrypt().
 * @return                              As for tckms_submit_encrypt().
 *
 * The completion's output is the new CiphertextBlob.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_submit_reencrypt(const tckms_queue *queue,
                                    const tckms_client *client,
                                    const char *key_id_or_null,
                                    const void *blob,
                                    size_t len,
                                    const char *source_ctx_json_or_null,
                                    const char *destination_ctx_json_or_null,
                                    int64_t timeout_ms,
                                    void *userdata,
                                    uint64_t *id_or_null);

/**
 * Submits a call like tckms_generate_data_key().
 *
 * @param queue             The queue.
 * @param client            The client. It may be freed before the call is done.
 * @param key_id            As for tckms_generate_data_key().
 * @param key_len           1 to 1024 bytes.
 * @param ctx_json_or_null  As for tckms_generate_data_key().
 * @param timeout_ms        As for tckms_submit_encrypt().
 * @param userdata          As for tckms_submit_encrypt().
 * @param id_or_null        As for tckms_submit_encrypt().
 * @return                  As for tckms_submit_encrypt().
 *
 * The completion's output is the key in clear; tckms_completion_ciphertext() has it as a
 * CiphertextBlob.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_submit_generate_data_key(const tckms_queue *queue,
                                            const tckms_client *client,
                                            const char *key_id,
                                            size_t key_len,
                                            const char *ctx_json_or_null,
                                            int64_t timeout_ms,
                                            void *userdata,
                                            uint64_t *id_or_null);

/**
 * Submits a call like tckms_generate_random().
 *
 * @param queue       The queue.
 * @param client      The client. It may be freed before the call is done.
 * @param len         1 to 1024 bytes.
 * @param timeout_ms  As for tckms_submit_encrypt().
 * @param userdata    As for tckms_submit_encrypt().
 * @param id_or_null  As for tckms_submit_encrypt().
 * @return            As for tckms_submit_encrypt().
 *
 * The completion's output is the random bytes.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_submit_generate_random(const tckms_queue *queue,
                                          const tckms_client *client,
                                          size_t len,
                                          int64_t timeout_ms,
                                          void *userdata,
                                          uint64_t *id_or_null);

/**
 * Submits a call like tckms_call().
 *
 * @param queue         The queue.
 * @param client        The client. It may be freed before the call is done.
 * @param action        As for tckms_call().
 * @param request_json  As for tckms_call(), but "{}" for none: NULL is refused. Copied into memory
 *                      that is wiped.
 * @param timeout_ms    As for tckms_submit_encrypt().
 * @param userdata      As for tckms_submit_encrypt().
 * @param id_or_null    As for tckms_submit_encrypt().
 * @return              As for tckms_submit_encrypt(). An `action` or a `request_json` that
 *                      tckms_call() refuses is refused at once, with the same status:
 *                      TCKMS_ERR_MALFORMED_ACTION or TCKMS_ERR_INVALID_REQUEST_JSON.
 *
 * The completion's output is the JSON object of the reply.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_submit_call(const tckms_queue *queue,
                               const tckms_client *client,
                               const char *action,
                               const char *request_json,
                               int64_t timeout_ms,
                               void *userdata,
                               uint64_t *id_or_null);

/**
 * Submits a call like tckms_sign_digest().
 *
 * @param queue       The queue.
 * @param client      The client. It may be freed before the call is done.
 * @param key_id      As for tckms_sign_digest().
 * @param algorithm   A TCKMS_SIGN_ constant, or 0 for the key's algorithm.
 * @param digest      The digest. Copied.
 * @param len         As for tckms_sign_digest(). Another length is TCKMS_ERR_INVALID_LENGTH: the
 *                    status of the completion up to 8192 bytes, refused at once above.
 * @param timeout_ms  As for tckms_submit_encrypt().
 * @param userdata    As for tckms_submit_encrypt().
 * @param id_or_null  As for tckms_submit_encrypt().
 * @return            As for tckms_submit_encrypt().
 *
 * The completion's output is the signature. It is verified on the network thread.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_submit_sign_digest(const tckms_queue *queue,
                                      const tckms_client *client,
                                      const char *key_id,
                                      int algorithm,
                                      const void *digest,
                                      size_t len,
                                      int64_t timeout_ms,
                                      void *userdata,
                                      uint64_t *id_or_null);

/**
 * Submits a call like tckms_rsa_decrypt().
 *
 * @param queue       The queue.
 * @param client      The client. It may be freed before the call is done.
 * @param key_id      As for tckms_rsa_decrypt().
 * @param padding     A TCKMS_RSA_ constant.
 * @param ciphertext  The ciphertext. Copied.
 * @param len         256 bytes. Another length is refused at once with TCKMS_ERR_INVALID_LENGTH.
 * @param timeout_ms  As for tckms_submit_encrypt().
 * @param userdata    As for tckms_submit_encrypt().
 * @param id_or_null  As for tckms_submit_encrypt().
 * @return            As for tckms_submit_encrypt().
 *
 * The completion's output is the plaintext.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_submit_rsa_decrypt(const tckms_queue *queue,
                                      const tckms_client *client,
                                      const char *key_id,
                                      int padding,
                                      const void *ciphertext,
                                      size_t len,
                                      int64_t timeout_ms,
                                      void *userdata,
                                      uint64_t *id_or_null);

/**
 * Submits a call like tckms_public_key().
 *
 * @param queue       The queue.
 * @param client      The client. It may be freed before the call is done.
 * @param key_id      As for tckms_public_key().
 * @param timeout_ms  As for tckms_submit_encrypt().
 * @param userdata    As for tckms_submit_encrypt().
 * @param id_or_null  As for tckms_submit_encrypt().
 * @return            As for tckms_submit_encrypt().
 *
 * The completion's output is the key as a SubjectPublicKeyInfo in DER.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_submit_public_key(const tckms_queue *queue,
                                     const tckms_client *client,
                                     const char *key_id,
                                     int64_t timeout_ms,
                                     void *userdata,
                                     uint64_t *id_or_null);

/**
 * Submits a call like tckms_seal(), for a small plaintext. The key requests run on a worker thread
 * of the queue; the thread that takes the completion encrypts.
 *
 * @param queue             The queue.
 * @param keyring           The keyring. Copied.
 * @param buf               The plaintext. Copied into memory that is wiped.
 * @param len               0 to TCKMS_QUEUE_MESSAGE_MAX bytes.
 * @param ctx_json_or_null  As for tckms_seal().
 * @param timeout_ms        As for tckms_submit_encrypt(). A custom key's callback is not
 *                          interrupted, but the call does not wait for it any longer.
 * @param userdata          As for tckms_submit_encrypt().
 * @param id_or_null        As for tckms_submit_encrypt().
 * @return                  As for tckms_submit_encrypt(). TCKMS_ERR_PLAINTEXT_TOO_LARGE when there
 *                          is more: tckms_submit_seal_begin() takes any size.
 *
 * The completion's output is the message. It is longer than the plaintext, by a few hundred bytes
 * and more under many keys or with a large context. tckms_submit_open() takes at most
 * TCKMS_QUEUE_MESSAGE_MAX bytes of message too, so the message of a plaintext that is near the
 * limit does not fit there: open it with tckms_submit_open_begin().
 */
TCKMS_WARN_UNUSED
tckms_status tckms_submit_seal(const tckms_queue *queue,
                               const tckms_keyring *keyring,
                               const void *buf,
                               size_t len,
                               const char *ctx_json_or_null,
                               int64_t timeout_ms,
                               void *userdata,
                               uint64_t *id_or_null);

/**
 * Submits a call like tckms_open(), for a small message. The key requests run on a worker thread of
 * the queue; the cipher work is done by the thread that takes the completion.
 *
 * @param queue                      The queue.
 * @param keyring                    The keyring. Copied.
 * @param msg                        The message. Copied.
 * @param len                        0 to TCKMS_QUEUE_MESSAGE_MAX bytes.
 * @param expected_ctx_json_or_null  As for tckms_open().
 * @param timeout_ms                 As for tckms_submit_seal().
 * @param userdata                   As for tckms_submit_encrypt().
 * @param id_or_null                 As for tckms_submit_encrypt().
 * @return                           As for tckms_submit_encrypt(). TCKMS_ERR_PLAINTEXT_TOO_LARGE
 *                                   when the message is longer: tckms_submit_open_begin() takes any
 *                                   size.
 *
 * The completion's output is the plaintext. The limit is one of the message, not of the plaintext:
 * what tckms_submit_seal() makes of TCKMS_QUEUE_MESSAGE_MAX bytes is longer and needs
 * tckms_submit_open_begin().
 */
TCKMS_WARN_UNUSED
tckms_status tckms_submit_open(const tckms_queue *queue,
                               const tckms_keyring *keyring,
                               const void *msg,
                               size_t len,
                               const char *expected_ctx_json_or_null,
                               int64_t timeout_ms,
                               void *userdata,
                               uint64_t *id_or_null);

/**
 * Submits the key phase of a stream that seals: afterwards none of its functions waits for keys.
 *
 * @param queue       The queue.
 * @param stream      A stream of tckms_stream_new_seal(), after its setters. The queue takes it and
 *                    sets this to NULL; the completion returns it. When it is not NULL after a
 *                    failure, it still belongs to the caller.
 * @param timeout_ms  As for tckms_submit_seal().
 * @param userdata    As for tckms_submit_encrypt().
 * @param id_or_null  As for tckms_submit_encrypt().
 * @return            As for tckms_submit_encrypt(); TCKMS_ERR_INVALID_STATE for a stream that
 *                    opens.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_submit_seal_begin(const tckms_queue *queue,
                                     tckms_stream **stream,
                                     int64_t timeout_ms,
                                     void *userdata,
                                     uint64_t *id_or_null);

/**
 * Submits the key phase of a stream that opens: afterwards none of its functions waits for keys.
 *
 * @param queue       The queue.
 * @param stream      A stream of tckms_stream_new_open(), after its setters. The queue takes it and
 *                    sets this to NULL; the completion returns it. When it is not NULL after a
 *                    failure, it still belongs to the caller.
 * @param header      The beginning of the message, with its whole header: a few hundred bytes,
 *                    seldom more than 4096. More than the header is harmless. Copied.
 * @param len         1 to 1048576 bytes; another length is refused at once with
 *                    TCKMS_ERR_INVALID_LENGTH. When the message's header is longer than `len`, the
 *                    status of the completion is TCKMS_ERR_TRUNCATED.
 * @param timeout_ms  As for tckms_submit_seal().
 * @param userdata    As for tckms_submit_encrypt().
 * @param id_or_null  As for tckms_submit_encrypt().
 * @return            As for tckms_submit_encrypt(); TCKMS_ERR_INVALID_STATE for a stream that
 *                    seals.
 *
 * tckms_completion_consumed() returns how many bytes the stream has taken; the message continues
 * after them.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_submit_open_begin(const tckms_queue *queue,
                                     tckms_stream **stream,
                                     const void *header,
                                     size_t len,
                                     int64_t timeout_ms,
                                     void *userdata,
                                     uint64_t *id_or_null);

/**
 * The id that the call was submitted with.
 *
 * @param completion  The completion, or NULL.
 * @return            The id; 0 for NULL.
 */
uint64_t tckms_completion_id(const tckms_completion *completion);

/**
 * The pointer that the call was submitted with.
 *
 * @param completion  The completion, or NULL.
 * @return            The pointer; NULL for NULL.
 */
void *tckms_completion_userdata(const tckms_completion *completion);

/**
 * How the call ended: what the function that blocks would have returned.
 *
 * @param completion  The completion, or NULL.
 * @return            The status; TCKMS_ERR_NULL_POINTER for NULL.
 */
tckms_status tckms_completion_status(const tckms_completion *completion);

/**
 * The detail of a call that failed.
 *
 * @param completion  The completion, or NULL.
 * @return            The error, borrowed from the completion. NULL when the call succeeded or the
 *                    error was taken.
 */
const tckms_error *tckms_completion_error(const tckms_completion *completion);

/**
 * Takes the detail of a call that failed.
 *
 * @param completion  The completion, or NULL. Its status remains.
 * @return            The error, owned by the caller, who frees it with tckms_error_free(), also
 *                    after the completion. NULL when the call succeeded or the error was taken.
 */
tckms_error *tckms_completion_take_error(tckms_completion *completion);

/**
 * What the call gave: the function that submitted it says what that is.
 *
 * @param completion  The completion, or NULL.
 * @return            The buffer, borrowed from the completion and empty when the call failed; NULL
 *                    for NULL.
 */
const tckms_buffer *tckms_completion_output(const tckms_completion *completion);

/**
 * The CiphertextBlob of tckms_submit_generate_data_key().
 *
 * @param completion  The completion, or NULL.
 * @return            The buffer, borrowed from the completion and empty for other calls; NULL for
 *                    NULL.
 */
const tckms_buffer *tckms_completion_ciphertext(const tckms_completion *completion);

/**
 * Takes what the call gave, without a copy.
 *
 * @param completion  The completion. Its output is empty afterwards.
 * @param out         The buffer. Free it with tckms_buffer_free(), which wipes it.
 * @return            TCKMS_OK, TCKMS_ERR_NULL_POINTER, or the status of the call when it failed.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_completion_take_output(tckms_completion *completion,
                                          tckms_buffer *out);

/**
 * Takes the CiphertextBlob of tckms_submit_generate_data_key(), without a copy.
 *
 * @param completion  The completion. It has none afterwards.
 * @param out         The buffer. Free it with tckms_buffer_free().
 * @return            TCKMS_OK, TCKMS_ERR_NULL_POINTER, or the status of the call when it failed.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_completion_take_ciphertext(tckms_completion *completion,
                                              tckms_buffer *out);

/**
 * Takes the stream of tckms_submit_seal_begin() and tckms_submit_open_begin().
 *
 * @param completion  The completion.
 * @param out         The stream, owned by the caller, who frees it with tckms_stream_free(). NULL
 *                    on failure.
 * @return            TCKMS_OK, TCKMS_ERR_NULL_POINTER, the status of the call when it failed, or
 *                    TCKMS_ERR_INVALID_STATE when there is no stream or it was taken.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_completion_take_stream(tckms_completion *completion,
                                          tckms_stream **out);

/**
 * How many bytes of the message the stream of tckms_submit_open_begin() has taken.
 *
 * @param completion  The completion, or NULL.
 * @return            Bytes; 0 for other calls and for NULL.
 */
size_t tckms_completion_consumed(const tckms_completion *completion);

/**
 * The service's id of the call's last request, as tckms_last_request_id() returns it for a call
 * that blocks.
 *
 * @param completion  The completion, or NULL.
 * @return            The id, borrowed from the completion; "" when there is none.
 */
const char *tckms_completion_request_id(const tckms_completion *completion);

/**
 * The CMK of the call's last request, as tckms_last_key_id() returns it for a call that blocks.
 *
 * @param completion  The completion, or NULL.
 * @return            The key id, borrowed from the completion; "" when there is none.
 */
const char *tckms_completion_key_id(const tckms_completion *completion);

/**
 * Frees a completion with all that was not taken from it. Secrets are wiped.
 *
 * @param completion  NULL, which is harmless, or a completion of this library.
 */
void tckms_completion_free(tckms_completion *completion);

/* ---- Configuration --------------------------------------------------------------------------- */

/**
 * Creates an empty configuration. Set region and credentials before you create a client from it.
 *
 * @return  The configuration, owned by the caller, who frees it with tckms_config_free(). NULL when
 *          there is no memory; every function accepts that and returns TCKMS_ERR_NULL_POINTER.
 */
tckms_config *tckms_config_new(void);

/**
 * Frees a configuration and wipes the secrets in it.
 *
 * @param config  NULL, which is harmless, or a configuration from tckms_config_new().
 */
void tckms_config_free(tckms_config *config);

/**
 * Sets the region that requests name, such as "ap-guangzhou". Required.
 *
 * @param config  The configuration.
 * @param region  1 to 32 lower-case letters, digits and '-', beginning with a letter. Copied.
 * @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8 or
 *                TCKMS_ERR_INVALID_REGION.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_region(tckms_config *config,
                                     const char *region);

/**
 * Sets the service's endpoint. Default "https://kms.tencentcloudapi.com", the mainland site.
 *
 * @param config  The configuration.
 * @param url     "https://host[:port]", or "http://host[:port]" for a loopback address. Copied.
 * @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8 or
 *                TCKMS_ERR_INVALID_ENDPOINT. tckms_client_new() returns TCKMS_ERR_INSECURE_ENDPOINT
 *                for http to a host that is not loopback.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_endpoint(tckms_config *config,
                                       const char *url);

/**
 * Selects the site of Tencent Cloud, and thereby the endpoints of KMS and STS.
 *
 * tckms_config_set_endpoint() and tckms_config_set_sts_endpoint() take precedence over the site, in
 * either order of the calls.
 *
 * @param config  The configuration.
 * @param site    TCKMS_SITE_MAINLAND (default) or TCKMS_SITE_INTERNATIONAL.
 * @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
 */
TCKMS_WARN_UNUSED tckms_status tckms_config_set_site(tckms_config *config, int site);

/**
 * Allows plain http to any host. Anyone on the network path can then read plaintexts and data keys.
 *
 * @param config   The configuration.
 * @param allowed  0 (default): loopback addresses only. Anything else: any host.
 * @return         TCKMS_OK or TCKMS_ERR_NULL_POINTER.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_insecure_http_allowed(tckms_config *config,
                                                    int allowed);

/**
 * Sets fixed credentials.
 *
 * @param config         The configuration.
 * @param secret_id      1 to 1024 printable ASCII characters without blanks. Copied.
 * @param secret_key     The same. Copied into memory that is wiped.
 * @param token_or_null  NULL, or the session token of temporary credentials: 1 to 4096 such
 *                       characters. Copied into memory that is wiped.
 * @return               TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8 or
 *                       TCKMS_ERR_MALFORMED_CREDENTIALS.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_credentials(tckms_config *config,
                                          const char *secret_id,
                                          const char *secret_key,
                                          const char *token_or_null);

/**
 * Trusts the certificates in a file instead of the system's. The file is read by
 * tckms_client_new().
 *
 * @param config  The configuration.
 * @param path    A file of certificates in PEM form. Copied.
 * @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_INVALID_UTF8. tckms_client_new()
 *                returns TCKMS_ERR_INVALID_CA_BUNDLE when the file cannot be read or has no
 *                certificate.
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
 * @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_INVALID_LENGTH. tckms_client_new()
 *                returns TCKMS_ERR_INVALID_CA_BUNDLE when it has no certificate.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_ca_pem(tckms_config *config,
                                     const void *pem,
                                     size_t len);

/**
 * Sends everything through a tunnel (CONNECT) of an HTTP proxy, also to an endpoint with plain
 * http. By default no proxy is used, whatever the environment says.
 *
 * If the proxy refuses the tunnel, the call ends after one attempt with TCKMS_ERR_PROXY_REFUSED and
 * the proxy's HTTP status, so a wrong password is not sent again. The certificate of an "https"
 * proxy is checked like that of the service.
 *
 * @param config  The configuration.
 * @param url     "http://[user:password@]host[:port]", or the same with "https". Copied.
 * @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8 or
 *                TCKMS_ERR_INVALID_PROXY.
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
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_connect_timeout_ms(tckms_config *config,
                                                 int64_t timeout_ms);

/**
 * Limits the number of connections at the same time. Default 32.
 *
 * A call beyond that waits, within its timeouts, until a connection is free. Calls get one in order
 * of arrival. Each process has its own connections, so a forked child may open as many again.
 *
 * @param config       The configuration.
 * @param connections  1 to 1024.
 * @return             TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_max_connections(tckms_config *config,
                                              int connections);

/**
 * Limits the number of idle connections that are kept for the idle timeout. Further idle
 * connections are closed after 5 seconds. Default 8.
 *
 * @param config       The configuration.
 * @param connections  0 to 1024.
 * @return             TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_max_idle_connections(tckms_config *config,
                                                   int connections);

/**
 * Limits how long an idle connection is kept. Default 60000.
 *
 * @param config      The configuration.
 * @param timeout_ms  1 to 3600000 milliseconds.
 * @return            TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_idle_timeout_ms(tckms_config *config,
                                              int64_t timeout_ms);

/**
 * Limits how long one attempt may take, from connecting to the last byte of the reply. Default
 * 10000.
 *
 * @param config      The configuration.
 * @param timeout_ms  1 to 3600000 milliseconds.
 * @return            TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
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
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_total_timeout_ms(tckms_config *config,
                                               int64_t timeout_ms);

/**
 * Limits how many times a request is sent, including the first. Default 4; 1 means no retry. A
 * request that is sent again after a correction of the clock or the token is not counted.
 *
 * @param config    The configuration.
 * @param attempts  1 to 20.
 * @return          TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_max_attempts(tckms_config *config,
                                           int attempts);

/**
 * Allows tckms_call() to retry actions that create something even if the first request may have
 * been executed.
 *
 * @param config   The configuration.
 * @param allowed  0 (default): such a call fails instead. Anything else: it is sent again.
 * @return         TCKMS_OK or TCKMS_ERR_NULL_POINTER.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_retry_unsafe_actions(tckms_config *config,
                                                   int allowed);

/**
 * Limits the rate of requests of a client and all clients derived from it, including retries.
 *
 * @param config      The configuration.
 * @param per_second  Requests per second on average, up to 1000000; 0 (default): no limit.
 * @param burst       Requests at once, up to 1000000; 0 for as many as in one second. Ignored when
 *                    `per_second` is 0.
 * @return            TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
 *
 * Clients made from one configuration share the limit. A call waits until the limit allows it; if
 * that would exceed its total timeout, it returns TCKMS_ERR_TIMED_OUT at once.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_rate_limit(tckms_config *config,
                                         int per_second,
                                         int burst);

/**
 * Adds the program's name to the header X-TC-RequestClient of requests, after "TCKMS_<version>; ".
 *
 * @param config  The configuration.
 * @param suffix  1 to 128 letters, digits, blanks and -_,;. characters. Copied.
 * @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8 or
 *                TCKMS_ERR_INVALID_HEADER_TEXT.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_user_agent_suffix(tckms_config *config,
                                                const char *suffix);

/**
 * Sets the language of the service's own messages.
 *
 * @param config    The configuration.
 * @param language  "en-US" (default) or "zh-CN". Copied.
 * @return          TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8 or
 *                  TCKMS_ERR_INVALID_HEADER_TEXT.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_language(tckms_config *config,
                                       const char *language);

/* ---- Credentials ----------------------------------------------------------------------------- */

/**
 * Uses the default chain of the official SDKs, in this order: the environment, the profile file,
 * the role of the CVM instance, the role of the TKE pod.
 *
 * Environment variables are read now (see tckms_config_set_env_credentials(),
 * ..._set_default_profile_credentials() and ..._set_tke_env_credentials()), files by
 * tckms_client_new(), and the network is used by the first call that finds no other credentials.
 * The first provider that has credentials is used from then on. If none has any, the call's error
 * names each with its reason.
 *
 * In a program that runs with more privileges than its caller (setuid, setgid, file capabilities)
 * every variable counts as not set, for this and all functions that read the environment, and the
 * home directory is not used.
 *
 * @param config  The configuration. Replaces the credentials set before.
 * @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, or TCKMS_ERR_MALFORMED_CREDENTIALS,
 *                TCKMS_ERR_INVALID_ROLE, TCKMS_ERR_INVALID_REGION or TCKMS_ERR_INVALID_UTF8 when a
 *                variable is set but malformed.
 *
 * Threads: while no thread changes the environment.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_default_credentials(tckms_config *config);

/**
 * Reads credentials from TENCENTCLOUD_SECRET_ID, TENCENTCLOUD_SECRET_KEY and
 * TENCENTCLOUD_SESSION_TOKEN, else TENCENTCLOUD_TOKEN, during this call.
 *
 * @param config  The configuration. Replaces the credentials set before.
 * @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_NO_CREDENTIALS when one of the first
 *                two is not set or empty, TCKMS_ERR_MALFORMED_CREDENTIALS or
 *                TCKMS_ERR_INVALID_UTF8.
 *
 * Threads: while no thread changes the environment.
 */
TCKMS_WARN_UNUSED tckms_status tckms_config_set_env_credentials(tckms_config *config);

/**
 * Uses credentials from a profile file of the official SDKs: INI, with secret_id, secret_key and
 * possibly token.
 *
 * @param config           The configuration. Replaces the credentials set before.
 * @param path             The file: a regular one of at most 64 KiB. Copied. tckms_client_new()
 *                         reads it.
 * @param profile_or_null  The section; NULL for "default". Copied.
 * @return                 TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_INVALID_UTF8.
 *                         tckms_client_new() returns TCKMS_ERR_NO_CREDENTIALS when there is no such
 *                         file, and TCKMS_ERR_INVALID_CREDENTIALS_FILE when it cannot be used.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_profile_credentials(tckms_config *config,
                                                  const char *path,
                                                  const char *profile_or_null);

/**
 * Uses credentials from the default profile file: the one that TENCENTCLOUD_CREDENTIALS_FILE names
 * during this call, else ~/.tencentcloud/credentials, else /etc/tencentcloud/credentials.
 *
 * @param config           The configuration. Replaces the credentials set before.
 * @param profile_or_null  The section; NULL for "default". Copied.
 * @return                 As for tckms_config_set_profile_credentials().
 *
 * Threads: while no thread changes the environment.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_default_profile_credentials(tckms_config *config,
                                                          const char *profile_or_null);

/**
 * Uses credentials from a file of tccli, Tencent's command-line tool: keys, a login with an expiry,
 * a role to assume, or the role of the CVM instance.
 *
 * @param config  The configuration. Replaces the credentials set before.
 * @param path    The file: a regular one of at most 64 KiB. Copied. tckms_client_new() reads it,
 *                and so does each renewal.
 * @return        As for tckms_config_set_profile_credentials().
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_tccli_credentials(tckms_config *config,
                                                const char *path);

/**
 * Uses credentials from the default file of tccli, ~/.tccli/<profile>.credential.
 *
 * @param config           The configuration. Replaces the credentials set before.
 * @param profile_or_null  The profile; NULL for that of TCCLI_PROFILE, else "default". Copied.
 * @return                 As for tckms_config_set_profile_credentials(), and
 *                         TCKMS_ERR_INVALID_CREDENTIALS_FILE when the profile's name contains a '/'
 *                         or the user has no home directory.
 *
 * Threads: while no thread changes the environment.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_default_tccli_credentials(tckms_config *config,
                                                        const char *profile_or_null);

/**
 * Uses the role that is bound to this CVM instance, from the instance's metadata service.
 *
 * Requests to the service use no proxy and take at most 2 seconds. A call returns
 * TCKMS_ERR_METADATA_UNAVAILABLE if the service does not reply, as on a machine that is not a CVM
 * instance.
 *
 * @param config        The configuration. Replaces the credentials set before.
 * @param role_or_null  The role's name, 1 to 128 letters, digits and -_+=,.@; NULL for the one that
 *                      is bound. Copied.
 * @return              TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8 or
 *                      TCKMS_ERR_INVALID_ROLE.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_cvm_role_credentials(tckms_config *config,
                                                   const char *role_or_null);

/**
 * Uses a role that is assumed with an OIDC token from a file, by AssumeRoleWithWebIdentity of STS.
 *
 * @param config                The configuration. Replaces the credentials set before.
 * @param provider_id           The identity provider's id in CAM. Copied.
 * @param token_file            The file with the token. Copied. Read for each renewal.
 * @param role_arn              The role: "qcs::cam::uin/<uin>:roleName/<name>" or ":role/<id>".
 *                              Copied.
 * @param session_name_or_null  2 to 128 letters, digits and _+=,.@-; NULL for a generated one.
 *                              Copied.
 * @param duration_seconds      Lifetime of the session, up to 43200; 0 for 7200.
 * @return                      TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8,
 *                              TCKMS_ERR_INVALID_ROLE or TCKMS_ERR_OUT_OF_RANGE.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_oidc_credentials(tckms_config *config,
                                               const char *provider_id,
                                               const char *token_file,
                                               const char *role_arn,
                                               const char *session_name_or_null,
                                               int64_t duration_seconds);

/**
 * Uses the role of the TKE pod in which this process runs, from the variables that TKE sets:
 * TKE_PROVIDER_ID, TKE_WEB_IDENTITY_TOKEN_FILE, TKE_ROLE_ARN and TKE_REGION.
 *
 * @param config  The configuration. Replaces the credentials set before.
 * @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_NO_CREDENTIALS when one of the first
 *                three is not set or empty, TCKMS_ERR_INVALID_ROLE, TCKMS_ERR_INVALID_REGION or
 *                TCKMS_ERR_INVALID_UTF8.
 *
 * Threads: while no thread changes the environment.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_tke_env_credentials(tckms_config *config);

/**
 * Uses a role that is assumed with the credentials set so far, by AssumeRole of STS. From now on,
 * those credentials sign the calls of STS, and the role's sign the calls of KMS. Call it again for
 * a role that this role may assume: up to 8 levels.
 *
 * @param config   The configuration, with credentials of any kind.
 * @param options  The role. Copied.
 * @param size     sizeof(tckms_role_options) of the program.
 * @return         TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_LENGTH,
 *                 TCKMS_ERR_UNKNOWN_OPTION, TCKMS_ERR_INVALID_UTF8, TCKMS_ERR_INVALID_ROLE,
 *                 TCKMS_ERR_OUT_OF_RANGE, or TCKMS_ERR_NO_CREDENTIALS when none were set before.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_assume_role_credentials(tckms_config *config,
                                                      const tckms_role_options *options,
                                                      size_t size);

/**
 * Uses credentials from a function of the program, which is called whenever new ones are due.
 *
 * @param config              The configuration. Replaces the credentials set before.
 * @param callback            The function.
 * @param userdata            Passed to the function unchanged. It must be safe to use from all
 *                            threads that call the library.
 * @param destructor_or_null  Frees `userdata`; see tckms_destructor.
 * @return                    TCKMS_OK or TCKMS_ERR_NULL_POINTER. If the function fails, a call
 *                            returns its status, or TCKMS_ERR_CREDENTIALS_CALLBACK_FAILED.
 *
 * The function runs on the thread of the call; for calls of a queue, on a worker of the queue.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_credentials_callback(tckms_config *config,
                                                   tckms_credentials_callback callback,
                                                   void *userdata,
                                                   tckms_destructor destructor_or_null);

/**
 * Supplies credentials; call it only in a credentials callback.
 *
 * @param out                 The callback's `out`.
 * @param secret_id           As for tckms_config_set_credentials(). Copied.
 * @param secret_key          The same. Copied into memory that is wiped.
 * @param token_or_null       NULL, or the session token. Copied into memory that is wiped.
 * @param expires_at_seconds  When they expire, in seconds (not milliseconds) since the Unix epoch,
 *                            before the year 10000; 0 for never. The callback is called again
 *                            before that.
 * @return                    TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8,
 *                            TCKMS_ERR_MALFORMED_CREDENTIALS or TCKMS_ERR_OUT_OF_RANGE.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_credentials_set(tckms_credentials *out,
                                   const char *secret_id,
                                   const char *secret_key,
                                   const char *token_or_null,
                                   int64_t expires_at_seconds);

/**
 * Adds the credentials of another configuration as a fallback if those set so far are not
 * available. Call it again for further fallbacks: they are tried in the order of the calls.
 *
 * @param config  The configuration.
 * @param other   Another configuration, with credentials of any kind. Copied.
 * @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_NO_CREDENTIALS when `other` has none,
 *                or TCKMS_ERR_OUT_OF_RANGE when it is `config` itself, or roles and fallbacks would
 *                be nested more than 8 deep.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_add_fallback_credentials(tckms_config *config,
                                                   const tckms_config *other);

/**
 * Sets another endpoint of the CVM metadata service, for tests.
 *
 * @param config  The configuration.
 * @param url     "http://host[:port]". Copied. Default "http://metadata.tencentyun.com".
 * @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8 or
 *                TCKMS_ERR_INVALID_ENDPOINT.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_metadata_endpoint(tckms_config *config,
                                                const char *url);

/**
 * Sets the endpoint of STS. The default corresponds to the endpoint of KMS:
 * "https://sts.tencentcloudapi.com", that of the international site, or the internal one of either.
 *
 * @param config  The configuration.
 * @param url     "https://host[:port]", or "http://host[:port]" for a loopback address. Copied.
 * @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER, TCKMS_ERR_INVALID_UTF8 or
 *                TCKMS_ERR_INVALID_ENDPOINT. tckms_client_new() returns TCKMS_ERR_INSECURE_ENDPOINT
 *                for http to a host that is not loopback.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_sts_endpoint(tckms_config *config,
                                           const char *url);

/* ---- Logging --------------------------------------------------------------------------------- */

/**
 * Installs a log callback. Logging is off by default.
 *
 * @param config              The configuration.
 * @param level               TCKMS_LOG_OFF to TCKMS_LOG_DEBUG.
 * @param callback_or_null    The function; NULL for none.
 * @param userdata            Passed to the function unchanged. It must be safe to use from all
 *                            threads that call the library.
 * @param destructor_or_null  Frees `userdata`; see tckms_destructor.
 * @return                    TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_OUT_OF_RANGE.
 *
 * Clients made from the configuration, keyrings and signers with such clients, and streams of such
 * keyrings call the function.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_config_set_log(tckms_config *config,
                                  int level,
                                  tckms_log_callback callback_or_null,
                                  void *userdata,
                                  tckms_destructor destructor_or_null);

/**
 * The level of an event.
 *
 * @param event  The event.
 * @return       TCKMS_LOG_ERROR to TCKMS_LOG_DEBUG.
 */
int tckms_log_event_level(const tckms_log_event *event);

/**
 * The text of an event. Texts may change in any version: read the other parts with their functions.
 *
 * @param event  The event.
 * @return       One line without a newline. It never contains a secret, a plaintext or an
 *               Authorization header.
 */
const char *tckms_log_event_message(const tckms_log_event *event);

/**
 * The action of an event, such as "Encrypt".
 *
 * @param event  The event.
 * @return       The action; "" when the event does not concern a request.
 */
const char *tckms_log_event_action(const tckms_log_event *event);

/**
 * The result of the attempt or call that an event reports.
 *
 * @param event  The event.
 * @return       The status; TCKMS_OK also when the event reports neither.
 */
tckms_status tckms_log_event_status(const tckms_log_event *event);

/**
 * The number of the attempt that an event reports.
 *
 * @param event  The event.
 * @return       The number, from 1; for a failed call, the number of its attempts; else 0.
 */
int tckms_log_event_attempt(const tckms_log_event *event);

/**
 * How long the attempt or the call took, or how long the library waits before the next attempt.
 *
 * @param event  The event.
 * @return       Milliseconds; -1 when the event has no duration.
 */
int64_t tckms_log_event_ms(const tckms_log_event *event);

/**
 * The service's id of the request that an event reports.
 *
 * @param event  The event.
 * @return       The id; "" when the service did not reply.
 */
const char *tckms_log_event_request_id(const tckms_log_event *event);

/* ---- Counters -------------------------------------------------------------------------------- */

/**
 * Reads the counters of a client and of all clients that share its connections.
 *
 * @param client  The client.
 * @param out     The structure to fill. Members that the running library does not have are set to
 *                0.
 * @param size    sizeof(tckms_stats).
 * @return        TCKMS_OK, TCKMS_ERR_NULL_POINTER or TCKMS_ERR_INVALID_LENGTH.
 *
 * The counters are read one after the other while calls run.
 */
TCKMS_WARN_UNUSED
tckms_status tckms_client_stats(const tckms_client *client,
                                tckms_stats *out,
                                size_t size);

/* ---- Errors ---------------------------------------------------------------------------------- */

/**
 * The detail of this thread's last call that did not return TCKMS_OK.
 *
 * A call that succeeds does not change it, and neither do functions that free an object.
 *
 * @return  The error, borrowed: it is valid until this thread's next call of a function of this
 *          library that returns a status. NULL when no call on this thread has failed or the error
 *          was taken.
 *
 * In a runtime that moves work between threads, use tckms_last_error_take() in the same C function
 * that made the call.
 */
const tckms_error *tckms_last_error(void);

/**
 * Transfers the detail of this thread's last failed call to the caller.
 *
 * @return  The error, owned by the caller, who frees it with tckms_error_free(). NULL when there is
 *          none.
 *
 * Threads: the result may be read and freed by any thread.
 */
tckms_error *tckms_last_error_take(void);

/**
 * Frees an error that tckms_last_error_take() returned.
 *
 * @param error  NULL, which is harmless, or an error from tckms_last_error_take(). Never one from
 *               tckms_last_error().
 */
void tckms_error_free(tckms_error *error);

/**
 * The status that the failed call returned.
 *
 * @param error  The error, or NULL.
 * @return       The status; TCKMS_OK for NULL.
 */
tckms_status tckms_error_status(const tckms_error *error);

/**
 * The category of the status that the failed call returned.
 *
 * @param error  The error, or NULL.
 * @return       The category; TCKMS_CATEGORY_OK for NULL.
 */
tckms_category tckms_error_category(const tckms_error *error);

/**
 * What failed and why, with every cause, in English. Text of the service is in the language of
 * tckms_config_set_language().
 *
 * @param error  The error, or NULL.
 * @return       A text, borrowed from the error; "" for NULL.
 */
const char *tckms_error_message(const tckms_error *error);

/**
 * The error code of the service, such as "ResourceUnavailable.CmkDisabled".
 *
 * @param error  The error, or NULL.
 * @return       The code as the service wrote it, borrowed from the error; "" when the service did
 *               not reply.
 */
const char *tckms_error_service_code(const tckms_error *error);

/**
 * The service's id of the request, for a support ticket.
 *
 * @param error  The error, or NULL.
 * @return       The id, borrowed from the error; "" when the service did not reply.
 */
const char *tckms_error_request_id(const tckms_error *error);

/**
 * The key id that the call named; for TCKMS_ERR_KEY_MISMATCH the one that the reply named. A
 * malformed key id is not included.
 *
 * @param error  The error, or NULL.
 * @return       The key id, borrowed from the error; "" when there is none.
 */
const char *tckms_error_key_id(const tckms_error *error);

/**
 * The KMS action of the failed call, such as "Encrypt".
 *
 * @param error  The error, or NULL.
 * @return       The action, borrowed from the error; "" when the call has none.
 */
const char *tckms_error_action(const tckms_error *error);

/**
 * The HTTP status of the last reply. The service answers its own errors with 200.
 *
 * @param error  The error, or NULL.
 * @return       100 to 599; 0 when there was no reply.
 */
int tckms_error_http_status(const tckms_error *error);

/**
 * Whether the same call may succeed later without any change: after throttling, an outage or a lost
 * connection.
 *
 * @param error  The error, or NULL.
 * @return       1 or 0.
 */
int tckms_error_retryable(const tckms_error *error);

/**
 * The wait before a retry that the service requested.
 *
 * @param error  The error, or NULL.
 * @return       Milliseconds; -1 when the service requested none.
 */
int64_t tckms_error_retry_after_ms(const tckms_error *error);

/**
 * The number of attempts to send the request.
 *
 * @param error  The error, or NULL.
 * @return       The number; 0 when the arguments were refused.
 */
int tckms_error_attempts(const tckms_error *error);

/**
 * The operating system's error number, if one is the cause.
 *
 * @param error  The error, or NULL.
 * @return       A value of errno.h; 0 when there is none.
 */
int tckms_error_os_errno(const tckms_error *error);

/**
 * The service's id of the last request that this thread's last call made, whether the call
 * succeeded or not.
 *
 * Every function that can send a request empties it first, so it is empty after a seal with a data
 * key from the cache.
 *
 * @return The id, borrowed until this thread's next call of a function
 * that can send a request; "" when the last such call made no request, or its last request got no
 * reply.
 */
const char *tckms_last_request_id(void);

/**
 * The CMK that the last request of this thread's last call was about, whether the call succeeded or
 * not.
 *
 * Every function that can send a request empties it first, so it is empty after a seal with a data
 * key from the cache.
 *
 * @return  The key id from the reply, or from the call if the reply names none; borrowed until this
 *          thread's next call of a function that can send a request. "" when the last such call
 *          made no request, or the request concerned no CMK, as for tckms_generate_random().
 */
const char *tckms_last_key_id(void);

/* ---- Statuses -------------------------------------------------------------------------------- */

/**
 * The name of a status, such as "TCKMS_ERR_CMK_DISABLED".
 *
 * @param status  Any number.
 * @return        The name, valid until the process ends; "TCKMS_ERR_?" for a number that is not a
 *                status of this version.
 */
const char *tckms_status_name(int status);

/**
 * One sentence about a status. tckms_error_message() describes one failure in detail.
 *
 * @param status  Any number.
 * @return        A text, valid until the process ends.
 */
const char *tckms_status_message(int status);

/**
 * The category of a status.
 *
 * @param status  Any number.
 * @return        The category; TCKMS_CATEGORY_UNKNOWN for a number that is not a status of this
 *                version.
 */
tckms_category tckms_status_category(int status);

/**
 * Whether a call that ends with this status may succeed later without any change.
 * tckms_error_retryable() says it for one failure, and takes into account what a callback, a chain
 * of providers or the service returned.
 *
 * @param status  Any number.
 * @return        1 or 0; 0 for a number that is not a status of this version.
 */
int tckms_status_retryable(int status);

/* ---- Limits ---------------------------------------------------------------------------------- */

/**
 * TCKMS_PLAINTEXT_MAX of the running library.
 *
 * @return  Bytes.
 */
size_t tckms_plaintext_max(void);

/**
 * TCKMS_ENCRYPTION_CONTEXT_MAX of the running library.
 *
 * @return  Characters.
 */
size_t tckms_encryption_context_max(void);

/**
 * TCKMS_RANDOM_MAX of the running library.
 *
 * @return  Bytes.
 */
size_t tckms_random_max(void);

/**
 * TCKMS_KEY_ID_MAX of the running library.
 *
 * @return  Characters.
 */
size_t tckms_key_id_max(void);

/**
 * TCKMS_CIPHERTEXT_BLOB_MAX of the running library.
 *
 * @return  Characters.
 */
size_t tckms_ciphertext_blob_max(void);

/**
 * TCKMS_THREADS_MAX of the running library.
 *
 * @return  Threads.
 */
uint32_t tckms_threads_max(void);

/* ---- Versions -------------------------------------------------------------------------------- */

/**
 * The version of the running library, such as "0.1.0". TCKMS_VERSION is the one of the header.
 *
 * @return  Text, valid until the process ends.
 */
const char *tckms_version(void);

/**
 * The version of the running library as one number, to compare with TCKMS_VERSION_NUMBER of the
 * header.
 *
 * @return  major x 65536 + minor x 256 + patch.
 */
unsigned int tckms_version_number(void);

#ifdef __cplusplus
}  /* extern "C" */
#endif  /* __cplusplus */

#endif  /* TCKMS_H */
