/* SPDX-License-Identifier: Apache-2.0 OR MIT */

#ifndef TCKMS_HPP
#define TCKMS_HPP

/*
 * tckms.hpp - tckms.h for C++17 and later, header-only
 *
 *     auto client = tckms::client::from_env();
 *     if (!client) {
 *       std::cerr << client.error().message() << '\n';
 *       return 1;
 *     }
 *     tckms::result<tckms::buffer> blob = client->encrypt(key_id, "secret", R"({"app":"billing"})");
 *
 * It adds ownership and types, and decides nothing: what a call does, its limits and its errors are in tckms.h.
 *
 * RESULTS
 *   What can fail returns a tckms::result, which the compiler does not let you ignore. It has a value() or an error().
 *   With exceptions on, value_or_throw() throws a tckms::error instead. Nothing else here throws, except that the
 *   standard library throws std::bad_alloc when there is no memory for a copy of a string. Everything but
 *   value_or_throw() and tckms::error is there under -fno-exceptions.
 *
 * STRINGS AND BYTES
 *   Text is a std::string_view and need not end with a NUL byte. A default-constructed one, std::string_view(), is the
 *   NULL of tckms.h; an empty string is not. Text with a NUL byte inside is refused with TCKMS_ERR_INVALID_UTF8, never
 *   cut short. Copies made on the way to C are wiped. Bytes are a tckms::byte_view.
 *
 * HANDLES
 *   client, config, keyring, stream and buffer own what they hold, can be moved and not copied. One that was moved from
 *   gives TCKMS_ERR_NULL_POINTER. Their threads are those of tckms.h: `const` member functions may run on any number of
 *   threads at once, others on one. get() lends the C handle.
 *
 * CALLBACKS
 *   They are std::functions, kept as long as anything can call them. An exception that leaves one ends there: a log
 *   line is lost, a credentials callback has supplied nothing, a custom key has failed, progress says to stop.
 */

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <functional>
#include <iterator>
#include <memory>
#include <new>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <utility>
#include <variant>
#include <vector>

#include "tckms.h"

#if defined(__cpp_exceptions) || defined(__EXCEPTIONS) || defined(_CPPUNWIND)
#define TCKMS_HPP_EXCEPTIONS 1
#include <exception>
#else
#define TCKMS_HPP_EXCEPTIONS 0
#endif

namespace tckms {

/** How a call ended: the numbers of tckms.h. */
using status = tckms_status;

/** What kind of trouble a status is: the numbers of tckms.h. */
using category = tckms_category;

/** What a client has done: the counters of tckms.h. */
using counters = tckms_stats;

/** How long and how much a cached data key serves: the limits of tckms.h. */
using cache_limits = tckms_cache_limits;

/** How much the log tells. */
enum class log_level : int {
  off = TCKMS_LOG_OFF,
  error = TCKMS_LOG_ERROR,
  warn = TCKMS_LOG_WARN,
  info = TCKMS_LOG_INFO,
  debug = TCKMS_LOG_DEBUG
};

/** Which messages are opened. */
enum class policy : int {
  require_encrypt_require_decrypt = TCKMS_POLICY_REQUIRE_ENCRYPT_REQUIRE_DECRYPT,
  require_encrypt_allow_decrypt = TCKMS_POLICY_REQUIRE_ENCRYPT_ALLOW_DECRYPT
};

/** No encryption context. */
inline constexpr std::string_view no_context{};

/** Any CMK, for client::decrypt(); the same CMK, for client::reencrypt(). */
inline constexpr std::string_view any_key{};

/** The name of a status, such as "TCKMS_ERR_CMK_DISABLED". */
inline std::string_view status_name(status number) noexcept { return tckms_status_name(number); }

/** One sentence about a status. */
inline std::string_view status_message(status number) noexcept { return tckms_status_message(number); }

/** The category of a status. */
inline category status_category(status number) noexcept { return tckms_status_category(number); }

/** The version of the library that runs. */
inline std::string_view version() noexcept { return tckms_version(); }

/** The version of the library that runs as one number, to compare with TCKMS_VERSION_NUMBER. */
inline unsigned int version_number() noexcept { return tckms_version_number(); }

/** The limits of the library that runs; the TCKMS_..._MAX of tckms.h are those of the header. */
inline std::size_t plaintext_max() noexcept { return tckms_plaintext_max(); }
inline std::size_t encryption_context_max() noexcept { return tckms_encryption_context_max(); }
inline std::size_t random_max() noexcept { return tckms_random_max(); }
inline std::size_t key_id_max() noexcept { return tckms_key_id_max(); }
inline std::size_t ciphertext_blob_max() noexcept { return tckms_ciphertext_blob_max(); }
inline unsigned threads_max() noexcept { return tckms_threads_max(); }

/** The service's id of the request of this thread's last successful call. */
inline std::string last_request_id() { return tckms_last_request_id(); }

/** The CMK that this thread's last successful call was about. */
inline std::string last_key_id() { return tckms_last_key_id(); }

namespace detail {

template <class T>
inline constexpr bool is_byte =
    std::is_same_v<T, char> || std::is_same_v<T, unsigned char> || std::is_same_v<T, signed char> ||
    std::is_same_v<T, std::byte>
#if defined(__cpp_char8_t)
    || std::is_same_v<T, char8_t>
#endif
    ;

/** What std::data() of a container points to. */
template <class Container>
using element = std::remove_cv_t<std::remove_pointer_t<decltype(std::declval<Container &>().data())>>;

template <class Container>
using sized = decltype(std::declval<Container &>().size());

}  // namespace detail

/**
 * Bytes that somebody else owns, to be read during a call: a pointer and a size.
 *
 * It is made from anything with data() and size() and elements of one byte (std::string, std::string_view, std::vector,
 * std::array, std::span, tckms::buffer), from an array of unsigned char or std::byte, and from text: a string literal or
 * a `const char *`, without the NUL byte at its end. An array of char that can be changed may be text or not, so it
 * has to be given with its size.
 */
class byte_view {
 public:
  constexpr byte_view() noexcept = default;

  /** `size` bytes at `data`. */
  constexpr byte_view(const void *data, std::size_t size) noexcept : data_(data), size_(size) {}

  template <class Container, class = detail::sized<const Container>,
            class = std::enable_if_t<detail::is_byte<detail::element<const Container>>>>
  constexpr byte_view(const Container &bytes) noexcept : data_(bytes.data()), size_(bytes.size()) {}

  template <class Byte, std::size_t Size,
            class = std::enable_if_t<detail::is_byte<std::remove_cv_t<Byte>> &&
                                     !std::is_same_v<std::remove_cv_t<Byte>, char>>>
  constexpr byte_view(Byte (&bytes)[Size]) noexcept : data_(bytes), size_(Size) {}

  template <std::size_t Size>
  constexpr byte_view(const char (&text)[Size]) noexcept
      : data_(text), size_(text[Size - 1] == '\0' ? Size - 1 : Size) {}

  template <std::size_t Size>
  byte_view(char (&)[Size]) = delete;

  template <class Text,
            std::enable_if_t<std::is_same_v<Text, const char *> || std::is_same_v<Text, char *>, int> = 0>
  constexpr byte_view(const Text &text) noexcept
      : data_(text), size_(text == nullptr ? 0 : std::string_view(text).size()) {}

  constexpr const void *data() const noexcept { return data_; }
  constexpr std::size_t size() const noexcept { return size_; }

 private:
  const void *data_ = nullptr;
  std::size_t size_ = 0;
};

/** Overwrites memory with zeros in a way that no compiler leaves out. */
inline void wipe(void *memory, std::size_t size) noexcept { tckms_wipe(memory, size); }

/** Compares in a time that does not depend on the content. Different sizes are unequal. */
inline bool equal(byte_view a, byte_view b) noexcept {
  return a.size() == b.size() && tckms_equal(a.data(), b.data(), a.size()) == 1;
}

namespace detail {

/** A string_view as C takes it. Its copy is wiped. */
class c_string {
 public:
  explicit c_string(std::string_view text) : null_(text.data() == nullptr) {
    // C would see the text end at a NUL byte. Such text is handed on as what it is to the library: not valid UTF-8.
    copy_ = text.find('\0') == std::string_view::npos ? text : std::string_view("\xff");
  }
  c_string(const c_string &) = delete;
  c_string &operator=(const c_string &) = delete;
  ~c_string() { tckms_wipe(copy_.data(), copy_.size()); }

  const char *get() const noexcept { return null_ ? nullptr : copy_.c_str(); }

 private:
  std::string copy_;
  bool null_;
};

template <class Handle, void (*Free)(Handle *)>
struct freed_by {
  void operator()(Handle *handle) const noexcept { Free(handle); }
};

template <class Handle, void (*Free)(Handle *)>
using owned = std::unique_ptr<Handle, freed_by<Handle, Free>>;

/** Calls what a user wrote. An exception must not go through C, and so it ends here. */
template <class Function>
int guarded(Function &&function) noexcept {
#if TCKMS_HPP_EXCEPTIONS
  try {
    return function();
  } catch (...) {
    return -1;
  }
#else
  return function();
#endif
}

}  // namespace detail

/** Everything known about a failed call. It is the caller's own, whatever thread goes on to do what. */
class failure {
 public:
  /** The detail of this thread's last failed call, which is no longer the thread's. */
  static failure take(tckms::status number) noexcept { return failure(number, tckms_error_take()); }

  tckms::status status() const noexcept { return status_; }
  tckms::category category() const noexcept { return tckms_status_category(status_); }
  /** What went wrong and why, with every cause. Like all text here it lives as long as this object. */
  std::string_view message() const noexcept { return tckms_error_message(get()); }
  /** The service's error code; empty when it did not answer. */
  std::string_view service_code() const noexcept { return tckms_error_service_code(get()); }
  std::string_view request_id() const noexcept { return tckms_error_request_id(get()); }
  std::string_view key_id() const noexcept { return tckms_error_key_id(get()); }
  std::string_view action() const noexcept { return tckms_error_action(get()); }
  /** 0 when there was no reply. */
  int http_status() const noexcept { return tckms_error_http_status(get()); }
  /** Whether the same call may succeed later without any change. */
  bool retryable() const noexcept { return tckms_error_retryable(get()) != 0; }
  /** How long the service asked to wait, if it did. */
  std::optional<std::chrono::milliseconds> retry_after() const noexcept {
    const std::int64_t ms = tckms_error_retry_after_ms(get());
    return ms < 0 ? std::nullopt : std::optional(std::chrono::milliseconds(ms));
  }
  int attempts() const noexcept { return tckms_error_attempts(get()); }
  /** A value of <cerrno>, or 0. */
  int os_errno() const noexcept { return tckms_error_os_errno(get()); }

  const tckms_error *get() const noexcept { return error_.get(); }

 private:
  failure(tckms::status number, tckms_error *detail) noexcept : status_(number), error_(detail) {}

  tckms::status status_;
  detail::owned<tckms_error, tckms_error_free> error_;
};

#if TCKMS_HPP_EXCEPTIONS
/** What value_or_throw() throws. It owns the detail; copies share it. */
class error : public std::exception {
 public:
  explicit error(failure &&why) : failure_(std::make_shared<const failure>(std::move(why))) {}

  /** The message of the failure. */
  const char *what() const noexcept override { return tckms_error_message(failure_->get()); }
  tckms::status status() const noexcept { return failure_->status(); }
  const failure &detail() const noexcept { return *failure_; }

 private:
  std::shared_ptr<const failure> failure_;
};
#endif

/**
 * A value, or why there is none.
 *
 * Asking for the one that is not there is a mistake in the program, and ends it with std::abort().
 */
template <class T>
class [[nodiscard]] result {
 public:
  result(T &&value) : state_(std::in_place_index<0>, std::move(value)) {}
  result(failure &&why) noexcept : state_(std::in_place_index<1>, std::move(why)) {}

  explicit operator bool() const noexcept { return state_.index() == 0; }
  bool has_value() const noexcept { return state_.index() == 0; }

  T &value() & noexcept { return present<0>(state_); }
  const T &value() const & noexcept { return present<0>(state_); }
  T &&value() && noexcept { return std::move(present<0>(state_)); }

  T *operator->() noexcept { return &value(); }
  const T *operator->() const noexcept { return &value(); }
  T &operator*() & noexcept { return value(); }
  const T &operator*() const & noexcept { return value(); }
  T &&operator*() && noexcept { return std::move(*this).value(); }

  failure &error() & noexcept { return present<1>(state_); }
  const failure &error() const & noexcept { return present<1>(state_); }
  failure &&error() && noexcept { return std::move(present<1>(state_)); }

#if TCKMS_HPP_EXCEPTIONS
  /** The value, moved out; throws a tckms::error when there is none. */
  T value_or_throw() && {
    if (!has_value()) throw tckms::error(std::move(present<1>(state_)));
    return std::move(present<0>(state_));
  }
#endif

 private:
  template <std::size_t Index, class State>
  static auto &present(State &state) noexcept {
    auto *found = std::get_if<Index>(&state);
    if (found == nullptr) std::abort();
    return *found;
  }

  std::variant<T, failure> state_;
};

/** Success, or why not. */
template <>
class [[nodiscard]] result<void> {
 public:
  result() noexcept = default;
  result(failure &&why) noexcept : failure_(std::move(why)) {}

  explicit operator bool() const noexcept { return !failure_.has_value(); }
  bool has_value() const noexcept { return !failure_.has_value(); }

  failure &error() noexcept { return failure_.has_value() ? *failure_ : (std::abort(), *failure_); }
  const failure &error() const noexcept { return failure_.has_value() ? *failure_ : (std::abort(), *failure_); }

#if TCKMS_HPP_EXCEPTIONS
  /** Throws a tckms::error when the call failed. */
  void value_or_throw() && {
    if (failure_.has_value()) throw tckms::error(std::move(*failure_));
  }
#endif

 private:
  std::optional<failure> failure_;
};

namespace detail {

/** The result of a call that returned `number` and, if that is success, made `value`. */
template <class T>
result<T> made(status number, T &&value) {
  if (number != TCKMS_OK) return failure::take(number);
  return std::move(value);
}

inline result<void> done(status number) {
  if (number != TCKMS_OK) return failure::take(number);
  return {};
}

}  // namespace detail

/** Bytes that the library returned. They are wiped when the buffer goes. A NUL byte follows them. */
class buffer {
 public:
  buffer() noexcept = default;
  buffer(buffer &&other) noexcept : held_(std::exchange(other.held_, tckms_buffer TCKMS_BUFFER_INIT)) {}
  buffer &operator=(buffer &&other) noexcept {
    if (this != &other) {
      tckms_buffer_free(&held_);
      held_ = std::exchange(other.held_, tckms_buffer TCKMS_BUFFER_INIT);
    }
    return *this;
  }
  buffer(const buffer &) = delete;
  buffer &operator=(const buffer &) = delete;
  ~buffer() { tckms_buffer_free(&held_); }

  const std::uint8_t *data() const noexcept { return held_.data; }
  std::size_t size() const noexcept { return held_.len; }
  bool empty() const noexcept { return held_.len == 0; }
  const std::uint8_t *begin() const noexcept { return held_.data; }
  const std::uint8_t *end() const noexcept { return held_.data + held_.len; }

  /** The bytes as text, lent. */
  std::string_view text() const noexcept {
    return empty() ? std::string_view("") : std::string_view(reinterpret_cast<const char *>(held_.data), held_.len);
  }

  /** Wipes and frees the bytes now. */
  void clear() noexcept { tckms_buffer_free(&held_); }

  /** Where a function of tckms.h puts its output; what was there is wiped and freed. */
  tckms_buffer *out() noexcept {
    clear();
    return &held_;
  }
  const tckms_buffer *get() const noexcept { return &held_; }

 private:
  tckms_buffer held_ TCKMS_BUFFER_INIT;
};

/** A data key in clear and wrapped. */
struct data_key {
  buffer plaintext;
  buffer ciphertext;
};

/** Hears what the library does: a level and one line of text. It must be safe to call from several threads at once. */
using log_function = std::function<void(log_level, std::string_view)>;

/** Where a credentials callback puts what it supplies. */
class credentials_out {
 public:
  explicit credentials_out(tckms_credentials *out) noexcept : out_(out) {}

  /** `token` may be std::string_view() for none; `expires_at` is in seconds since the Unix epoch, 0 for never. */
  result<void> set(std::string_view secret_id, std::string_view secret_key, std::string_view token = {},
                   std::int64_t expires_at = 0) {
    const detail::c_string id(secret_id), key(secret_key), session(token);
    return detail::done(tckms_credentials_set(out_, id.get(), key.get(), session.get(), expires_at));
  }

 private:
  tckms_credentials *out_;
};

/** Supplies credentials: sets them and returns true, or returns false when it has none now. */
using credentials_function = std::function<bool(credentials_out &)>;

/** What a client is made from. Every set_...() is the tckms_config_set_...() of tckms.h. */
class config {
 public:
  config() : handle_(tckms_config_new()) {}

  result<void> set_region(std::string_view region) { return text(tckms_config_set_region, region); }
  result<void> set_endpoint(std::string_view url) { return text(tckms_config_set_endpoint, url); }
  result<void> set_international_endpoint() {
    return detail::done(tckms_config_set_international_endpoint(get()));
  }
  result<void> set_plaintext_http_to_any_host_allowed(bool allowed) {
    return detail::done(tckms_config_set_plaintext_http_to_any_host_allowed(get(), allowed));
  }

  /** A fixed identity; `token` may be std::string_view() for none. */
  result<void> set_credentials(std::string_view secret_id, std::string_view secret_key, std::string_view token = {}) {
    const detail::c_string id(secret_id), key(secret_key), session(token);
    return detail::done(tckms_config_set_credentials(get(), id.get(), key.get(), session.get()));
  }
  result<void> set_default_credentials() { return detail::done(tckms_config_set_default_credentials(get())); }
  result<void> set_env_credentials() { return detail::done(tckms_config_set_env_credentials(get())); }
  result<void> set_profile_credentials(std::string_view path, std::string_view profile = {}) {
    const detail::c_string file(path), section(profile);
    return detail::done(tckms_config_set_profile_credentials(get(), file.get(), section.get()));
  }
  result<void> set_default_profile_credentials(std::string_view profile = {}) {
    return text(tckms_config_set_default_profile_credentials, profile);
  }
  result<void> set_tccli_credentials(std::string_view path) { return text(tckms_config_set_tccli_credentials, path); }
  result<void> set_default_tccli_credentials(std::string_view profile = {}) {
    return text(tckms_config_set_default_tccli_credentials, profile);
  }
  result<void> set_cvm_role_credentials(std::string_view role = {}) {
    return text(tckms_config_set_cvm_role_credentials, role);
  }
  result<void> set_oidc_credentials(std::string_view provider_id, std::string_view token_file,
                                    std::string_view role_arn, std::string_view session_name = {},
                                    std::chrono::duration<int> duration = {}) {
    const detail::c_string provider(provider_id), file(token_file), role(role_arn), session(session_name);
    return detail::done(tckms_config_set_oidc_credentials(get(), provider.get(), file.get(), role.get(), session.get(),
                                                          duration.count()));
  }
  result<void> set_tke_env_credentials() { return detail::done(tckms_config_set_tke_env_credentials(get())); }
  result<void> set_assume_role(std::string_view role_arn, std::string_view session_name = {},
                               std::chrono::duration<int> duration = {}, std::string_view external_id = {},
                               std::string_view policy_json = {}) {
    const detail::c_string role(role_arn), session(session_name), external(external_id), narrowed(policy_json);
    return detail::done(tckms_config_set_assume_role(get(), role.get(), session.get(), duration.count(),
                                                     external.get(), narrowed.get()));
  }
  result<void> set_credentials_callback(credentials_function function) {
    auto kept = std::make_unique<credentials_function>(std::move(function));
    const auto number = tckms_config_set_credentials_callback(get(), *kept ? supply : nullptr, kept.get(), forget);
    if (number == TCKMS_OK) static_cast<void>(kept.release());
    return detail::done(number);
  }
  result<void> add_fallback_credentials(const config &other) {
    return detail::done(tckms_config_add_fallback_credentials(get(), other.get()));
  }
  result<void> set_metadata_endpoint(std::string_view url) { return text(tckms_config_set_metadata_endpoint, url); }
  result<void> set_sts_endpoint(std::string_view url) { return text(tckms_config_set_sts_endpoint, url); }

  result<void> set_ca_file(std::string_view path) { return text(tckms_config_set_ca_file, path); }
  result<void> set_ca_pem(byte_view pem) {
    return detail::done(tckms_config_set_ca_pem(get(), pem.data(), pem.size()));
  }
  result<void> set_proxy(std::string_view url) { return text(tckms_config_set_proxy, url); }

  result<void> set_connect_timeout(std::chrono::milliseconds timeout) {
    return detail::done(tckms_config_set_connect_timeout_ms(get(), timeout.count()));
  }
  result<void> set_try_timeout(std::chrono::milliseconds timeout) {
    return detail::done(tckms_config_set_try_timeout_ms(get(), timeout.count()));
  }
  result<void> set_total_timeout(std::chrono::milliseconds timeout) {
    return detail::done(tckms_config_set_total_timeout_ms(get(), timeout.count()));
  }
  result<void> set_max_attempts(int attempts) {
    return detail::done(tckms_config_set_max_attempts(get(), attempts));
  }
  result<void> set_retry_unsafe_actions(bool allowed) {
    return detail::done(tckms_config_set_retry_unsafe_actions(get(), allowed));
  }
  result<void> set_rate_limit(int per_second, int burst) {
    return detail::done(tckms_config_set_rate_limit(get(), per_second, burst));
  }

  result<void> set_user_agent_suffix(std::string_view suffix) {
    return text(tckms_config_set_user_agent_suffix, suffix);
  }
  result<void> set_language(std::string_view language) { return text(tckms_config_set_language, language); }

  /** The function lives as long as this configuration and every client made from it. An empty one is none. */
  result<void> set_log(log_level level, log_function function) {
    auto kept = function ? std::make_shared<log_function>(std::move(function)) : nullptr;
    const auto number =
        tckms_config_set_log(get(), static_cast<int>(level), kept != nullptr ? hear : nullptr, kept.get());
    if (number == TCKMS_OK) log_ = std::move(kept);
    return detail::done(number);
  }

  tckms_config *get() noexcept { return handle_.get(); }
  const tckms_config *get() const noexcept { return handle_.get(); }

 private:
  friend class client;

  result<void> text(tckms_status (*setter)(tckms_config *, const char *), std::string_view value) {
    const detail::c_string copy(value);
    return detail::done(setter(get(), copy.get()));
  }

  static void hear(void *userdata, int level, const char *message) noexcept {
    detail::guarded([=] { return (*static_cast<log_function *>(userdata))(static_cast<log_level>(level), message), 0; });
  }
  static int supply(void *userdata, tckms_credentials *out) noexcept {
    return detail::guarded([=] {
      credentials_out filled(out);
      return (*static_cast<credentials_function *>(userdata))(filled) ? 0 : -1;
    });
  }
  static void forget(void *userdata) noexcept { delete static_cast<credentials_function *>(userdata); }

  // Before the handle, so that it outlives it.
  std::shared_ptr<log_function> log_;
  detail::owned<tckms_config, tckms_config_free> handle_;
};

/**
 * A client of the key service. Any number of threads may call with it at once.
 *
 * A context is a JSON object whose values are strings, or tckms::no_context.
 */
class client {
 public:
  /** Makes a client; the configuration is not needed afterwards. */
  static result<client> make(const config &from) {
    tckms_client *made = nullptr;
    const auto number = tckms_client_new(from.get(), &made);
    return detail::made(number, client(from.log_, made));
  }

  /** Makes a client from the environment. */
  static result<client> from_env() {
    tckms_client *made = nullptr;
    const auto number = tckms_client_new_from_env(&made);
    return detail::made(number, client(nullptr, made));
  }

  /** A client with other timeouts or retries that shares connections, credentials and all else with this one. */
  result<client> derive(const config &different) const {
    tckms_client *made = nullptr;
    const auto number = tckms_client_derive(get(), different.get(), &made);
    return detail::made(number, client(log_, made));
  }

  /** Encrypts 1 to 4096 bytes. The CiphertextBlob is text. */
  result<buffer> encrypt(std::string_view key_id, byte_view plaintext, std::string_view context) const {
    const detail::c_string key(key_id), ctx(context);
    buffer out;
    const auto number = tckms_encrypt(get(), key.get(), plaintext.data(), plaintext.size(), ctx.get(), out.out());
    return detail::made(number, std::move(out));
  }

  /** Decrypts a CiphertextBlob of the CMK `key_id`, or of tckms::any_key. */
  result<buffer> decrypt(std::string_view key_id, byte_view blob, std::string_view context) const {
    const detail::c_string key(key_id), ctx(context);
    buffer out;
    const auto number = tckms_decrypt(get(), key.get(), blob.data(), blob.size(), ctx.get(), out.out());
    return detail::made(number, std::move(out));
  }

  /** Encrypts a CiphertextBlob anew under `key_id`, or under the same CMK with tckms::any_key. */
  result<buffer> reencrypt(std::string_view key_id, byte_view blob, std::string_view source_context,
                           std::string_view destination_context) const {
    const detail::c_string key(key_id), source(source_context), destination(destination_context);
    buffer out;
    const auto number = tckms_reencrypt(get(), key.get(), blob.data(), blob.size(), source.get(), destination.get(),
                                        out.out());
    return detail::made(number, std::move(out));
  }

  /** Makes a data key of 1 to 1024 bytes. */
  result<data_key> generate_data_key(std::string_view key_id, std::size_t size, std::string_view context) const {
    const detail::c_string key(key_id), ctx(context);
    data_key out;
    const auto number =
        tckms_generate_data_key(get(), key.get(), size, ctx.get(), out.plaintext.out(), out.ciphertext.out());
    return detail::made(number, std::move(out));
  }

  /** Fills memory with 1 to 1024 random bytes from the service's hardware. */
  result<void> generate_random(void *memory, std::size_t size) const {
    return detail::done(tckms_generate_random(get(), memory, size));
  }

  /** Sends any action of the KMS API; returns the JSON object under "Response". */
  result<buffer> call(std::string_view action, std::string_view request_json = {}) const {
    const detail::c_string name(action), request(request_json);
    buffer out;
    const auto number = tckms_call(get(), name.get(), request.get(), out.out());
    return detail::made(number, std::move(out));
  }

  /** Counters of this client and of all that share its connections. */
  result<counters> stats() const {
    counters out{};
    const auto number = tckms_client_stats(get(), &out, sizeof out);
    return detail::made(number, std::move(out));
  }

  const tckms_client *get() const noexcept { return handle_.get(); }

 private:
  friend class keyring;

  client(std::shared_ptr<log_function> log, tckms_client *handle) noexcept : log_(std::move(log)), handle_(handle) {}

  // Before the handle, so that it outlives it.
  std::shared_ptr<log_function> log_;
  detail::owned<tckms_client, tckms_client_free> handle_;
};

/** Where a custom key puts a wrapped data key. */
class wrapped_key_out {
 public:
  explicit wrapped_key_out(tckms_wrapped_key *out) noexcept : out_(out) {}

  /** `info` says which key of the scheme wrapped it, in a form of its own. */
  result<void> set(byte_view info, byte_view wrapped) {
    return detail::done(tckms_wrapped_key_set(out_, info.data(), info.size(), wrapped.data(), wrapped.size()));
  }

 private:
  tckms_wrapped_key *out_;
};

/**
 * A wrapping key of the program's own, as tckms_custom_key. A function that is empty is the NULL of tckms.h.
 *
 * They return 0 or a status of this library, and must be safe to call from several threads at once.
 */
struct custom_key {
  /** Empty for a key that seals nothing and is asked about every wrapped data key. */
  std::string provider_id;
  /** Fills `data_key`, all of it, and wraps it. */
  std::function<int(std::string_view context, std::uint8_t *data_key, std::size_t size, wrapped_key_out &out)> generate;
  /** Wraps a data key that another key of the keyring made. */
  std::function<int(std::string_view context, byte_view data_key, wrapped_key_out &out)> wrap;
  /** Fills `data_key`, all of it, from `wrapped`, which nobody has authenticated. */
  std::function<int(std::string_view provider_id, byte_view provider_info, byte_view wrapped, std::string_view context,
                    std::uint8_t *data_key, std::size_t size)>
      unwrap;
};

/** How keyring::seal_fd() and keyring::open_fd() work, as tckms_fd_options. */
struct fd_options {
  /** How many threads work; 0 for as many as the process may run at once. */
  std::uint32_t threads = 0;
  /** To open: whether signed messages are opened. */
  bool signed_allowed = false;
  /** Hears how many bytes of input are done, and of how many, UINT64_MAX where that is not known; false stops. */
  std::function<bool(std::uint64_t done, std::uint64_t total)> progress;
};

/** The keys that wrap the data keys of sealed messages. Every add_...() and set_...() is the one of tckms.h. */
class keyring {
 public:
  keyring() : handle_(tckms_keyring_new()) {}

  result<void> add_kms(const client &with, std::string_view key_id) {
    const detail::c_string key(key_id);
    // The library keeps the client, and so what it logs to has to be kept.
    logs_.push_back(with.log_);
    return detail::done(tckms_keyring_add_kms(get(), with.get(), key.get()));
  }
  result<void> add_rsa_public_pem(std::string_view key_namespace, std::string_view key_name, byte_view pem) {
    const detail::c_string space(key_namespace), name(key_name);
    return detail::done(tckms_keyring_add_rsa_public_pem(get(), space.get(), name.get(), pem.data(), pem.size()));
  }
  result<void> add_rsa_private_pem(std::string_view key_namespace, std::string_view key_name, byte_view pem) {
    const detail::c_string space(key_namespace), name(key_name);
    return detail::done(tckms_keyring_add_rsa_private_pem(get(), space.get(), name.get(), pem.data(), pem.size()));
  }
  result<void> add_custom(custom_key key) {
    auto kept = std::make_unique<custom_key>(std::move(key));
    const detail::c_string provider(kept->provider_id.empty() ? std::string_view() : kept->provider_id);
    tckms_custom_key callbacks{};
    callbacks.provider_id = provider.get();
    callbacks.generate = kept->generate ? generate : nullptr;
    callbacks.wrap = kept->wrap ? wrap : nullptr;
    callbacks.unwrap = kept->unwrap ? unwrap : nullptr;
    callbacks.userdata = kept.get();
    callbacks.destructor_or_null = forget;
    const auto number = tckms_keyring_add_custom(get(), &callbacks, sizeof callbacks);
    if (number == TCKMS_OK) static_cast<void>(kept.release());
    return detail::done(number);
  }

  /** Lets data keys serve more than one message, within the default limits. */
  result<void> set_cache() { return detail::done(tckms_keyring_set_cache(get(), nullptr, 0)); }
  result<void> set_cache(const cache_limits &limits) {
    return detail::done(tckms_keyring_set_cache(get(), &limits, sizeof limits));
  }
  result<void> set_policy(policy rule) {
    return detail::done(tckms_keyring_set_policy(get(), static_cast<int>(rule)));
  }
  result<void> set_signing(bool signing) { return detail::done(tckms_keyring_set_signing(get(), signing)); }
  result<void> set_frame_len(std::size_t size) { return detail::done(tckms_keyring_set_frame_len(get(), size)); }
  result<void> set_max_wrapped_keys(std::size_t count) {
    return detail::done(tckms_keyring_set_max_wrapped_keys(get(), count));
  }
  result<void> set_max_header_len(std::size_t size) {
    return detail::done(tckms_keyring_set_max_header_len(get(), size));
  }
  result<void> set_max_frame_len(std::size_t size) {
    return detail::done(tckms_keyring_set_max_frame_len(get(), size));
  }
  result<void> set_max_unframed_len(std::size_t size) {
    return detail::done(tckms_keyring_set_max_unframed_len(get(), size));
  }
  result<void> set_reproduced_context(std::string_view context) {
    const detail::c_string ctx(context);
    return detail::done(tckms_keyring_set_reproduced_context(get(), ctx.get()));
  }

  /** Seals data of any size. */
  result<buffer> seal(byte_view plaintext, std::string_view context) const {
    const detail::c_string ctx(context);
    buffer out;
    const auto number = tckms_seal(get(), plaintext.data(), plaintext.size(), ctx.get(), out.out());
    return detail::made(number, std::move(out));
  }

  /** Opens a message whose context has at least the pairs of `expected_context`. */
  result<buffer> open(byte_view message, std::string_view expected_context) const {
    const detail::c_string ctx(expected_context);
    buffer out;
    const auto number = tckms_open(get(), message.data(), message.size(), ctx.get(), out.out());
    return detail::made(number, std::move(out));
  }

  /** Seals everything that a descriptor gives. */
  result<void> seal_fd(int in_fd, int out_fd, std::string_view context, const fd_options &options = {}) const {
    const detail::c_string ctx(context);
    const tckms_fd_options converted = convert(options);
    return detail::done(tckms_seal_fd(get(), in_fd, out_fd, ctx.get(), &converted, sizeof converted));
  }

  /** Opens the message that a descriptor gives. What was written before a failure is to be thrown away. */
  result<void> open_fd(int in_fd, int out_fd, std::string_view expected_context, const fd_options &options = {}) const {
    const detail::c_string ctx(expected_context);
    const tckms_fd_options converted = convert(options);
    return detail::done(tckms_open_fd(get(), in_fd, out_fd, ctx.get(), &converted, sizeof converted));
  }

  tckms_keyring *get() noexcept { return handle_.get(); }
  const tckms_keyring *get() const noexcept { return handle_.get(); }

 private:
  friend class stream;

  static tckms_fd_options convert(const fd_options &options) noexcept {
    tckms_fd_options converted{};
    converted.threads = options.threads;
    converted.signed_allowed = options.signed_allowed;
    converted.progress = options.progress ? progress : nullptr;
    converted.userdata = const_cast<fd_options *>(&options);
    return converted;
  }
  static int progress(void *userdata, std::uint64_t done, std::uint64_t total) noexcept {
    return detail::guarded([=] { return static_cast<const fd_options *>(userdata)->progress(done, total) ? 0 : 1; });
  }

  static int generate(void *userdata, const char *context, std::uint8_t *data_key, std::size_t size,
                      tckms_wrapped_key *out) noexcept {
    return detail::guarded([=] {
      wrapped_key_out filled(out);
      return static_cast<custom_key *>(userdata)->generate(context, data_key, size, filled);
    });
  }
  static int wrap(void *userdata, const char *context, const std::uint8_t *data_key, std::size_t size,
                  tckms_wrapped_key *out) noexcept {
    return detail::guarded([=] {
      wrapped_key_out filled(out);
      return static_cast<custom_key *>(userdata)->wrap(context, byte_view(data_key, size), filled);
    });
  }
  static int unwrap(void *userdata, const char *provider_id, const std::uint8_t *info, std::size_t info_size,
                    const std::uint8_t *wrapped, std::size_t wrapped_size, const char *context, std::uint8_t *data_key,
                    std::size_t size) noexcept {
    return detail::guarded([=] {
      return static_cast<custom_key *>(userdata)->unwrap(provider_id, byte_view(info, info_size),
                                                         byte_view(wrapped, wrapped_size), context, data_key, size);
    });
  }
  static void forget(void *userdata) noexcept { delete static_cast<custom_key *>(userdata); }

  // Before the handle, so that they outlive it.
  std::vector<std::shared_ptr<log_function>> logs_;
  detail::owned<tckms_keyring, tckms_keyring_free> handle_;
};

/** Reads what a message says about itself, as JSON, without opening it. Nothing of it is authenticated. */
inline result<buffer> message_info(byte_view message) {
  buffer out;
  const auto number = tckms_message_info(message.data(), message.size(), out.out());
  return detail::made(number, std::move(out));
}

/** A message on its way: plaintext goes in and a message comes out, or the other way round. */
class stream {
 public:
  /** How much of the input was taken, and how much of the output was filled. */
  struct progress {
    std::size_t consumed = 0;
    std::size_t produced = 0;
  };

  /** How much of the output was filled, and whether that was all. */
  struct ending {
    std::size_t produced = 0;
    bool done = false;
  };

  /** Begins to seal. The keyring is copied. */
  static result<stream> seal(const keyring &with, std::string_view context) {
    const detail::c_string ctx(context);
    tckms_stream *made = nullptr;
    const auto number = tckms_stream_seal_new(with.get(), ctx.get(), &made);
    return detail::made(number, stream(with.logs_, made));
  }

  /** Begins to open. The keyring is copied. */
  static result<stream> open(const keyring &with, std::string_view expected_context) {
    const detail::c_string ctx(expected_context);
    tckms_stream *made = nullptr;
    const auto number = tckms_stream_open_new(with.get(), ctx.get(), &made);
    return detail::made(number, stream(with.logs_, made));
  }

  result<void> set_message_size(std::uint64_t size) {
    return detail::done(tckms_stream_set_message_size(get(), size));
  }
  result<void> set_message_bound(std::uint64_t bound) {
    return detail::done(tckms_stream_set_message_bound(get(), bound));
  }
  result<void> set_signed_allowed(bool allowed) {
    return detail::done(tckms_stream_set_signed_allowed(get(), allowed));
  }

  /** Puts bytes in and takes bytes out; either may be none. */
  result<progress> update(byte_view in, void *out, std::size_t out_size) {
    progress done;
    const auto number =
        tckms_stream_update(get(), in.data(), in.size(), &done.consumed, out, out_size, &done.produced);
    return detail::made(number, std::move(done));
  }

  /** Ends the stream: to be called until `done`, or else the message has no end and the plaintext no proof. */
  result<ending> finish(void *out, std::size_t out_size) {
    ending ended;
    int done = 0;
    const auto number = tckms_stream_finish(get(), out, out_size, &ended.produced, &done);
    ended.done = done != 0;
    return detail::made(number, std::move(ended));
  }

  /** How much room lets update() take `in_size` bytes at once and finish() bring out everything. */
  result<std::size_t> output_size(std::size_t in_size) {
    std::size_t size = 0;
    const auto number = tckms_stream_output_size(get(), in_size, &size);
    return detail::made(number, std::move(size));
  }

  /** How long the whole message will be, once set_message_size() was called. */
  result<std::uint64_t> total_size() {
    std::uint64_t size = 0;
    const auto number = tckms_stream_total_size(get(), &size);
    return detail::made(number, std::move(size));
  }

  tckms_stream *get() noexcept { return handle_.get(); }

 private:
  stream(std::vector<std::shared_ptr<log_function>> logs, tckms_stream *handle)
      : logs_(std::move(logs)), handle_(handle) {}

  // Before the handle, so that they outlive it.
  std::vector<std::shared_ptr<log_function>> logs_;
  detail::owned<tckms_stream, tckms_stream_free> handle_;
};

}  // namespace tckms

#endif /* TCKMS_HPP */
