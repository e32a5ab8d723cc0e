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
