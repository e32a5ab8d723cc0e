/*
 * tckms.h - Tencent Cloud Key Management Service from C
 *
 * Encrypt a small secret under a customer master key (CMK), get it back, seal data of any size
 * under a data key, and sign with a key that never leaves the service:
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
 * This file is generated from the library's source. Its chapters hold for every function; a
 * function's own comment says only what differs. Types come first, then core calls, asymmetric
 * keys, sealing, clients, configuration, and errors.
 *
 * CONVENTIONS
 *   Every function exists since 0.1.0 unless its comment names a later version. Every function may
 *   be called from any thread, subject to HANDLES, unless its comment says more under "Threads:". A
 *   parameter whose name ends in "_or_null" may be NULL; NULL for any other pointer is
 *   TCKMS_ERR_NULL_POINTER, except where HANDLES and STRINGS AND BUFFERS say so. Lengths are in
 *   bytes, milliseconds and seconds are int64_t, flags are int: 0 is off, anything else is on.
 *   In the core calls a key id is sent to the service as it is, so any form that the service may
 *   accept is allowed: 1 to 128 letters, digits and -_/:. characters. A keyring takes the CMK's key
 *   id only, 1 to 64 letters, digits and '-', and no alias: messages store it as the name of the
 *   key, and an alias could be moved to another key.
 *
 * HANDLES
 *   tckms_client, tckms_config, tckms_keyring, tckms_stream and all other types without members are
 *   opaque. A handle is valid from the function that makes it to the one that frees it.
 *   `const T *` means borrowed and unchanged: any number of threads may pass the same one at once.
 *   `T *` means that no other thread may use it during the call. `T **out` means that the caller
 *   owns the result. Every function with "free" in its name takes NULL without harm, takes a handle
 *   once, from any thread, and never while a call uses the handle, such as within a callback of
 *   that call.
 *   Functions that return a part of an error, a log event, a key's description or the claims of a
 *   message take NULL too.
 *   A debug build of the library ends a program that breaks these rules, with a text on stderr.
 *   Handles hold on to what they need: a client may be freed before the keyrings and signers made
 *   with it, a keyring before its streams, and a configuration as soon as the client is made.
 *
 * STRINGS AND BUFFERS
 *   Strings are NUL-terminated UTF-8. Bytes are passed as a pointer with a length beside it; {NULL,
 *   0} is a valid empty input, NULL with another length is TCKMS_ERR_NULL_POINTER. Input is only
 *   read during the call; what the library keeps, it copies. Memory must stay unchanged during the
 *   call.
 *
 * OUTPUTS
 *   An output is set to empty ({NULL, 0}, NULL or 0) before anything else happens and filled only
 *   on success; what it held before is overwritten, not freed. A tckms_buffer belongs to the
 *   library: give it back with tckms_buffer_free(), which wipes it, never with free(). After its
 *   bytes there is always a NUL byte that `len` does not count, so text can be printed.
 *   An output may not overlap another argument in memory: TCKMS_ERR_OVERLAP.
 *
 * STRUCTURES THAT GROW
 *   A structure that is passed with its size may get more members at its end in later versions. Set
 *   it up with its initializer, such as TCKMS_FD_OPTIONS_INIT, and pass its sizeof. Members that
 *   are 0 or NULL have their defaults. A program that sets a member that the running library does
 *   not know gets TCKMS_ERR_UNKNOWN_OPTION; a size that no version of the structure has is
 *   TCKMS_ERR_INVALID_LENGTH.
 *
 * CALLBACKS
 *   A callback has userdata, and one that the library keeps has a destructor. The userdata is
 *   passed as it is and must be safe to use from all threads that call the library. The destructor
 *   frees it, once, when the last configuration, client, keyring, stream and signer that can call
 *   the callback is gone. What a callback is given exists only during the callback. A callback may
 *   call the library, but not change or free what the running call uses. It must return: longjmp()
 *   and C++ exceptions must not leave it. An exception that does ends the process with SIGABRT.
 *
 * THREADS
 *   A client needs no lock: share one among all threads. Functions that send requests block until
 *   they succeed, fail or reach the total timeout. The first call of a client starts one thread
 *   that does the network's work with all signals blocked; it ends when the client is freed. A
 *   caller's stack of 64 KiB is enough. No function is async-signal-safe, and the child of a
 *   vfork() must not call any.
 *
 * ERRORS
 *   Every function that can fail returns a tckms_status, and the compiler warns when it is ignored.
 *   TCKMS_OK is 0. The hundreds of a number are its category (tckms_status_category()): 100 the
 *   caller's arguments, 200 credentials, 300 the way to the service, 400 refused for the identity,
 *   500 refused for the request or the key's state, 600 the service is unable now, 700 something is
 *   not what it claims to be, 800 the program's own descriptors and callbacks, 900 the library. New
 *   numbers may come with new versions, so a switch needs a default.
 *   The detail of a thread's last failure is in tckms_last_error(): message, service code, request
 *   id, whether to retry. It is borrowed until the thread's next call; tckms_last_error_take()
 *   makes it the caller's own, for runtimes that move between threads. An outage is never reported
 *   as bad ciphertext, and no text ever holds a secret.
 *
 * PROCESSES
 *   The library has no global state to set up or tear down. It installs no signal handler and no
 *   atexit function, writes nothing to stdout or stderr, and never changes the program's signal
 *   dispositions, so a broken connection raises no SIGPIPE. Only functions with "env" or "default"
 *   in their name read environment variables; the libraries below read three by themselves:
 *   OPENSSL_ia32cap (CPU features, once when loaded), RUST_MIN_STACK and
 *   TOKIO_UNSTABLE_SHARDED_BLOCKING_QUEUE (the network thread's stack and a queue, once). In a
 *   program that runs with privileges which its caller does not have (setuid, setgid, file
 *   capabilities), those functions take nothing from the environment, HOME included. A client may
 *   be used before and after fork(): the child makes connections of its own. dlclose() leaves the
 *   library mapped.
 *
 * MEMORY AND SECRETS
 *   Secret keys, tokens, plaintexts, data keys and the messages that hold them are wiped before
 *   their memory is given back, and so is every other block that the library frees. Out of reach
 *   are copies that the program itself makes, the kernel's socket buffers, registers, swap and core
 *   dumps. Sizes are checked before memory is allocated; when there is none for a block whose size
 *   the caller decides, the call returns TCKMS_ERR_OUT_OF_MEMORY.
 *
 * COMMON MISTAKES
 *   Passing a tckms_buffer that is in use as an output leaks what it held: free it first.
 *
 *   Reading tckms_last_error() after a call that succeeded tells of an earlier failure. Look at the
 *   status first.
 *
 *   A stream that is freed before tckms_stream_finish() says done leaves a message without an end,
 *   which no reader opens.
 *
 *   Plaintext that a stream gives out before tckms_stream_finish() says done may be the beginning
 *   of something longer. Do not act on it before, and throw it away when the stream fails.
 *
 *   A context is checked only if tckms_open() is given the pairs that are expected. Without them a
 *   message that was sealed for another purpose opens as well.
 *
 *   Decoding or trimming a CiphertextBlob: it is opaque text. Store all `len` bytes of it.
 *
 *   Passing the sizeof a pointer for that of a structure is TCKMS_ERR_INVALID_LENGTH.
 *
 *   Making a client for each call opens a connection for each call. Make one, and derive from it.
 */

#include <stddef.h>
#include <stdint.h>

/** The version of this header. tckms_version() tells the one of the library that runs. */
#define TCKMS_VERSION "@VERSION@"
#define TCKMS_VERSION_MAJOR @MAJOR@
#define TCKMS_VERSION_MINOR @MINOR@
#define TCKMS_VERSION_PATCH @PATCH@

/** The version as one number: major x 65536 + minor x 256 + patch. */
#define TCKMS_VERSION_NUMBER \
  (TCKMS_VERSION_MAJOR * 65536 + TCKMS_VERSION_MINOR * 256 + TCKMS_VERSION_PATCH)

/** True when this header is of version major.minor.patch or later; usable in #if. */
#define TCKMS_VERSION_AT_LEAST(major, minor, patch) \
  (TCKMS_VERSION_NUMBER >= (major) * 65536 + (minor) * 256 + (patch))

/** Marks functions whose result tells whether they failed. */
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

/** Initializers of the structures that grow: all members 0, which stands for their defaults. */
#define TCKMS_FD_OPTIONS_INIT {0, 0, NULL, NULL}
#define TCKMS_CREATE_KEY_OPTIONS_INIT {NULL, NULL, NULL, NULL, 0, 0, 0}
#define TCKMS_KEY_FILTER_INIT {NULL, NULL, NULL}
#define TCKMS_CACHE_LIMITS_INIT {0, 0, 0, 0, 0}
#define TCKMS_CUSTOM_KEY_INIT {NULL, NULL, NULL, NULL, NULL, NULL}
#define TCKMS_ROLE_OPTIONS_INIT {NULL, NULL, NULL, NULL, 0}
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
