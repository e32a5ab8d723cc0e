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
 * It adds ownership and types to tckms.h, which documents the calls, their limits and their errors.
 *
 * RESULTS
 *   Functions that can fail return a tckms::result, which the compiler does not let you ignore. Like std::expected, it
 *   has a value() or an error(). value() throws a tckms::exception if there is no value; with -fno-exceptions, and with
 *   `*` and `->` always, accessing a missing value ends the program with std::abort(). Nothing else here throws, except
 *   std::bad_alloc if there is no memory for the copy of a string. With -fno-exceptions everything but tckms::exception
 *   is available.
 *
 * STRINGS AND BYTES
 *   Text is a std::string_view and does not have to end with a NUL byte. Where tckms.h accepts NULL, the parameter is a
 *   std::optional<std::string_view>, and std::nullopt means NULL; an empty string does not. Text with a NUL byte inside
 *   is refused with TCKMS_ERR_INVALID_UTF8, never truncated. Copies made for C are wiped. Input bytes are a
 *   tckms::byte_view, and output memory is a tckms::mutable_byte_view.
 *
 * HANDLES
 *   client, config, keyring, stream, signer, message_info, queue, completion and buffer own a C handle or memory; they
 *   can be moved but not copied. Calls with a moved-from object return TCKMS_ERR_NULL_POINTER. The thread rules are
 *   those of tckms.h: `const` member functions may run on any number of threads at once, others on one. get() returns
 *   the C handle, borrowed.
 *
 * CALLBACKS
 *   Callbacks are std::functions, kept as long as they can be called. An exception must not cross C, so one that leaves
 *   a callback is caught: a log line is then lost, a credentials callback or a custom key counts as failed, and a
 *   progress callback cancels the call. The source and the sink of stream::pump() are not called through C, so their
 *   exceptions reach the caller.
 */

#if __cplusplus < 201703L && (!defined(_MSVC_LANG) || _MSVC_LANG < 201703L)
#error "tckms.hpp needs C++17 or later, such as -std=c++17; a program in older C++ includes tckms.h"
#else

#include <array>
#include <chrono>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
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

/** The version of this interface, in the names of its symbols: two of them can be in one program. */
inline namespace v0_1 {

/** How a call ended: the numbers of tckms.h. */
using status = tckms_status;

/** The category of a status: the numbers of tckms.h. */
using category = tckms_category;

/** Counters of a client, as in tckms.h. */
using counters = tckms_stats;

/** Limits for cached data keys, as in tckms.h. */
using cache_limits = tckms_cache_limits;

/** Text that may be absent: std::nullopt is the NULL of tckms.h. */
using optional_text = std::optional<std::string_view>;

/** A point in time, such as the expiry of credentials. */
using time_point = std::chrono::system_clock::time_point;

/** The level of the log. */
enum class log_level : int {
  off = TCKMS_LOG_OFF,
  error = TCKMS_LOG_ERROR,
  warn = TCKMS_LOG_WARN,
  info = TCKMS_LOG_INFO,
  debug = TCKMS_LOG_DEBUG
};

/** The site of Tencent Cloud. */
enum class site : int { mainland = TCKMS_SITE_MAINLAND, international = TCKMS_SITE_INTERNATIONAL };

/** A signature algorithm. */
enum class sign_algorithm : int {
  /** The algorithm of the key; PSS for RSA, which has two. */
  key_default = TCKMS_SIGN_DEFAULT,
  ecdsa_p256_sha256 = TCKMS_SIGN_ECDSA_P256_SHA256,
  ecdsa_p384_sha384 = TCKMS_SIGN_ECDSA_P384_SHA384,
  rsa_pss_sha256 = TCKMS_SIGN_RSA_PSS_SHA256,
  rsa_pkcs1_sha256 = TCKMS_SIGN_RSA_PKCS1_SHA256,
  sm2_sm3 = TCKMS_SIGN_SM2_SM3
};

/** The padding of RSA encryption. Read the warning at TCKMS_RSA_PKCS1_V1_5. */
enum class rsa_padding : int {
  oaep_sha256 = TCKMS_RSA_OAEP_SHA256,
  oaep_sha1 = TCKMS_RSA_OAEP_SHA1,
  pkcs1_v1_5 = TCKMS_RSA_PKCS1_V1_5
};

/** The commitment policy: which messages are opened. All written messages commit to their data key.
 * */
enum class commitment : int {
  /** Only messages that commit to one data key. The default. */
  required = TCKMS_COMMITMENT_REQUIRED,
  /** Also messages of version 1 of the format, which do not commit. */
  not_required_to_open = TCKMS_COMMITMENT_NOT_REQUIRED_TO_OPEN
};

/** No encryption context. */
inline constexpr std::nullopt_t no_context = std::nullopt;

/** Any CMK, for client::decrypt(); the same CMK, for client::reencrypt(). */
inline constexpr std::nullopt_t any_key = std::nullopt;

/** The name of a status, such as "TCKMS_ERR_CMK_DISABLED". */
inline std::string_view status_name(status number) noexcept { return tckms_status_name(number); }

/** One sentence about a status. */
inline std::string_view status_message(status number) noexcept { return tckms_status_message(number); }

/** The category of a status. */
inline category status_category(status number) noexcept { return tckms_status_category(number); }

/** Whether a call that ends with a status may succeed later without any change; error::retryable()
 * takes more into account. */
inline bool status_retryable(status number) noexcept { return tckms_status_retryable(number) != 0; }

/** The version of the running library. */
inline std::string_view version() noexcept { return tckms_version(); }

/** The version of the running library as one number, to compare with TCKMS_VERSION_NUMBER. */
inline unsigned int version_number() noexcept { return tckms_version_number(); }

/** The limits of the running library; the TCKMS_..._MAX of tckms.h are those of the header. */
inline std::size_t plaintext_max() noexcept { return tckms_plaintext_max(); }
inline std::size_t encryption_context_max() noexcept { return tckms_encryption_context_max(); }
inline std::size_t random_max() noexcept { return tckms_random_max(); }
inline std::size_t key_id_max() noexcept { return tckms_key_id_max(); }
inline std::size_t ciphertext_blob_max() noexcept { return tckms_ciphertext_blob_max(); }
inline unsigned threads_max() noexcept { return tckms_threads_max(); }

/** The service's id of the last request of this thread's last call, even if it failed; empty if it
 * made none. */
inline std::string last_request_id() { return tckms_last_request_id(); }

/** The CMK of that request; empty if there was none. */
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

/** The type of the elements of a container with data(). */
template <class Container>
using element = std::remove_pointer_t<decltype(std::declval<Container &>().data())>;

template <class Container>
using sized = decltype(std::declval<Container &>().size());

/** Ends the program if it accesses a missing value. */
inline void require(bool holds) noexcept {
  if (!holds) std::abort();
}

}  // namespace detail

/**
 * Borrowed bytes that a call reads: a pointer and a size.
 *
 * It converts from any type with data() and size() and elements of one byte (std::string, std::string_view,
 * std::vector, std::array, std::span, tckms::buffer), from an array of unsigned char or std::byte, and from text: a
 * string literal or a `const char *`, without the NUL byte at its end. A mutable array of char may or may not be text,
 * so pass it with its size.
 */
class byte_view {
 public:
  using value_type = std::byte;

  /** The rest, for subspan(). */
  static constexpr std::size_t npos = static_cast<std::size_t>(-1);

  constexpr byte_view() noexcept = default;

  /** `size` bytes at `data`. */
  constexpr byte_view(const void *data, std::size_t size) noexcept : data_(data), size_(size) {}

  template <class Container, class = detail::sized<const Container>,
            class = std::enable_if_t<detail::is_byte<std::remove_cv_t<detail::element<const Container>>>>>
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

  const std::byte *data() const noexcept { return static_cast<const std::byte *>(data_); }
  constexpr std::size_t size() const noexcept { return size_; }
  constexpr bool empty() const noexcept { return size_ == 0; }
  const std::byte *begin() const noexcept { return data(); }
  const std::byte *end() const noexcept { return data() + size_; }
  /** One byte; ends the program if `index` is out of range. */
  std::byte operator[](std::size_t index) const noexcept {
    detail::require(index < size_);
    return data()[index];
  }

  /** The bytes from `offset` on, at most `count`; ends the program if `offset` is out of range. */
  byte_view subspan(std::size_t offset, std::size_t count = npos) const noexcept {
    detail::require(offset <= size_);
    const std::size_t rest = size_ - offset;
    return byte_view(data() + offset, count < rest ? count : rest);
  }

 private:
  const void *data_ = nullptr;
  std::size_t size_ = 0;
};

/**
 * Borrowed memory that a call writes: a pointer and a size.
 *
 * It converts from any type with data() and size() and mutable elements of one byte, and from arrays of them.
 */
class mutable_byte_view {
 public:
  using value_type = std::byte;

  /** The rest, for subspan(). */
  static constexpr std::size_t npos = byte_view::npos;

  constexpr mutable_byte_view() noexcept = default;

  /** `size` bytes at `data`. */
  constexpr mutable_byte_view(void *data, std::size_t size) noexcept : data_(data), size_(size) {}

  template <class Container, class = detail::sized<Container>,
            class = std::enable_if_t<detail::is_byte<detail::element<Container>>>>
  constexpr mutable_byte_view(Container &&bytes) noexcept : data_(bytes.data()), size_(bytes.size()) {}

  template <class Byte, std::size_t Size, class = std::enable_if_t<detail::is_byte<Byte>>>
  constexpr mutable_byte_view(Byte (&bytes)[Size]) noexcept : data_(bytes), size_(Size) {}

  std::byte *data() const noexcept { return static_cast<std::byte *>(data_); }
  constexpr std::size_t size() const noexcept { return size_; }
  constexpr bool empty() const noexcept { return size_ == 0; }
  std::byte *begin() const noexcept { return data(); }
  std::byte *end() const noexcept { return data() + size_; }
  /** One byte; ends the program if `index` is out of range. */
  std::byte &operator[](std::size_t index) const noexcept {
    detail::require(index < size_);
    return data()[index];
  }

  /** The bytes from `offset` on, at most `count`; ends the program if `offset` is out of range. */
  mutable_byte_view subspan(std::size_t offset, std::size_t count = npos) const noexcept {
    detail::require(offset <= size_);
    const std::size_t rest = size_ - offset;
    return mutable_byte_view(data() + offset, count < rest ? count : rest);
  }

 private:
  void *data_ = nullptr;
  std::size_t size_ = 0;
};

/** Overwrites memory with zeros in a way that compilers do not optimise away. */
inline void wipe(mutable_byte_view memory) noexcept { tckms_wipe(memory.data(), memory.size()); }

/** Compares in a time that does not depend on the content. Different sizes are unequal. */
inline bool equal(byte_view a, byte_view b) noexcept {
  return a.size() == b.size() && tckms_equal(a.data(), b.data(), a.size()) == 1;
}

namespace detail {

/** Text with a terminating NUL byte, for C. Its copy is wiped. */
class c_string {
 public:
  explicit c_string(optional_text text) : null_(!text.has_value()) {
    if (null_) return;
    // In C the text would end at a NUL byte. Instead, the library gets text that it refuses with the same status, and
    // the error names the text.
    has_nul_ = text->find('\0') != std::string_view::npos;
    copy_ = has_nul_ ? std::string_view("\xff") : *text;
  }
  c_string(const c_string &) = delete;
  c_string &operator=(const c_string &) = delete;
  ~c_string() { tckms_wipe(copy_.data(), copy_.size()); }

  const char *get() const noexcept { return null_ ? nullptr : copy_.c_str(); }
  bool has_nul() const noexcept { return has_nul_; }

 private:
  std::string copy_;
  bool null_;
  bool has_nul_ = false;
};

template <class Handle, void (*Free)(Handle *)>
struct freed_by {
  void operator()(Handle *handle) const noexcept { Free(handle); }
};

template <class Handle, void (*Free)(Handle *)>
using owned = std::unique_ptr<Handle, freed_by<Handle, Free>>;

/** Calls a user's function. An exception must not cross C, so it is caught here; its text is kept
 * for the error. */
template <class Function>
int guarded(Function &&function) noexcept {
#if TCKMS_HPP_EXCEPTIONS
  try {
    return function();
  } catch (const std::exception &exception) {
    // Text that the library refuses is dropped.
    return tckms_callback_set_error_text(exception.what()) == TCKMS_OK ? -1 : -2;
  } catch (...) {
    return -1;
  }
#else
  return function();
#endif
}

/** Converts a number for C. A number out of range stays out of range. */
template <class To, class From>
constexpr To saturated(From value) noexcept {
  static_assert(std::is_integral_v<To> && std::is_integral_v<From>);
  if constexpr (std::is_signed_v<From>) {
    if (value < 0) {
      if constexpr (std::is_signed_v<To>) {
        return static_cast<std::intmax_t>(value) < static_cast<std::intmax_t>(std::numeric_limits<To>::min())
                   ? std::numeric_limits<To>::min()
                   : static_cast<To>(value);
      } else {
        return std::numeric_limits<To>::max();
      }
    }
  }
  return static_cast<std::uintmax_t>(value) > static_cast<std::uintmax_t>(std::numeric_limits<To>::max())
             ? std::numeric_limits<To>::max()
             : static_cast<To>(value);
}

/** A duration in `Unit`s, rounded up, so that a microsecond does not become 0. A value out of range
 * stays out of range. */
template <class Unit, class Rep, class Period>
std::int64_t count_of(std::chrono::duration<Rep, Period> duration) noexcept {
  using exact = std::chrono::duration<long double, typename Unit::period>;
  const long double count = std::ceil(exact(duration).count());
  // With this comparison NaN counts as too large.
  if (!(count < 9223372036854775807.0L)) return std::numeric_limits<std::int64_t>::max();
  if (count <= -9223372036854775807.0L) return std::numeric_limits<std::int64_t>::min();
  return static_cast<std::int64_t>(count);
}

/** The seconds from the Unix epoch to a time; 0 for none. */
inline std::int64_t epoch_seconds(std::optional<time_point> time) noexcept {
  if (!time.has_value()) return 0;
  const auto seconds = std::chrono::floor<std::chrono::seconds>(time->time_since_epoch()).count();
  // 0 would mean no expiry; the epoch itself is in the past.
  return seconds == 0 ? 1 : static_cast<std::int64_t>(seconds);
}

/** Heap memory that is wiped before it is freed. */
class wiped_bytes {
 public:
  explicit wiped_bytes(std::size_t size) : bytes_(size) {}
  wiped_bytes(const wiped_bytes &) = delete;
  wiped_bytes &operator=(const wiped_bytes &) = delete;
  ~wiped_bytes() { tckms_wipe(bytes_.data(), bytes_.size()); }

  mutable_byte_view view() noexcept { return bytes_; }

 private:
  std::vector<std::byte> bytes_;
};

}  // namespace detail

/** The detail of a failed call. The caller owns it, it is immutable, copies share it, and any
 * thread may use it. */
class error {
 public:
  /** A failure outside the library's calls, such as that of a source or a sink of stream::pump().
   * */
  explicit error(tckms::status number) noexcept : status_(number) {}

  /** The detail of this thread's last failed call, taken from the thread. */
  static error take(tckms::status number) noexcept { return adopt(number, tckms_last_error_take()); }

  /** A detail that the caller owns, or NULL. */
  static error adopt(tckms::status number, tckms_error *found) noexcept {
    error adopted(number);
    if (found == nullptr) return adopted;
#if TCKMS_HPP_EXCEPTIONS
    // Without memory for the reference count, the detail is freed and only the status is kept.
    try {
      adopted.detail_.reset(found, tckms_error_free);
    } catch (...) {
    }
#else
    adopted.detail_.reset(found, tckms_error_free);
#endif
    return adopted;
  }

  tckms::status status() const noexcept { return status_; }
  tckms::category category() const noexcept { return tckms_status_category(status_); }
  /** What failed and why, with every cause. Like all text here, it is valid as long as this object
   * and its copies. */
  std::string_view message() const noexcept { return c_message(); }
  /** The same, with a NUL byte at its end. */
  const char *c_message() const noexcept {
    if (text_ != nullptr) return text_;
    return detail_ != nullptr ? tckms_error_message(get()) : tckms_status_message(status_);
  }
  /** The service's error code; empty if it did not reply. */
  std::string_view service_code() const noexcept { return tckms_error_service_code(get()); }
  std::string_view request_id() const noexcept { return tckms_error_request_id(get()); }
  std::string_view key_id() const noexcept { return tckms_error_key_id(get()); }
  std::string_view action() const noexcept { return tckms_error_action(get()); }
  /** 0 when there was no reply. */
  int http_status() const noexcept { return tckms_error_http_status(get()); }
  /** Whether the same call may succeed later without any change. */
  bool retryable() const noexcept { return tckms_error_retryable(get()) != 0; }
  /** The wait that the service requested, if any. */
  std::optional<std::chrono::milliseconds> retry_after() const noexcept {
    const std::int64_t ms = tckms_error_retry_after_ms(get());
    return ms < 0 ? std::nullopt : std::optional(std::chrono::milliseconds(ms));
  }
  int attempts() const noexcept { return tckms_error_attempts(get()); }
  /** A value of <cerrno>, or 0. */
  int os_errno() const noexcept { return tckms_error_os_errno(get()); }

  /** The same error with a text of static lifetime. */
  error with_text(const char *text) && noexcept {
    text_ = text;
    return std::move(*this);
  }

  /** The C handle; NULL for a failure that is not the library's. */
  const tckms_error *get() const noexcept { return detail_.get(); }

 private:
  tckms::status status_;
  const char *text_ = nullptr;
  std::shared_ptr<const tckms_error> detail_;
};

#if TCKMS_HPP_EXCEPTIONS
/** The exception that result::value() throws. */
class exception : public std::exception {
 public:
  explicit exception(tckms::error why) noexcept : why_(std::move(why)) {}

  /** The message of the error. */
  const char *what() const noexcept override { return why_.c_message(); }
  tckms::status status() const noexcept { return why_.status(); }
  const tckms::error &error() const noexcept { return why_; }

 private:
  tckms::error why_;
};
#endif

template <class T>
class result;

namespace detail {

/** Throws an exception because there is no value, or without exceptions ends the program. */
[[noreturn]] inline void no_value(const tckms::error &why) {
#if TCKMS_HPP_EXCEPTIONS
  throw tckms::exception(why);
#else
  static_cast<void>(why);
  std::abort();
#endif
}

template <class T>
struct is_result : std::false_type {};
template <class T>
struct is_result<result<T>> : std::true_type {};

/** The error of a result of any type; ends the program if there is none. */
template <class State>
const tckms::error &error_of(const State &state) noexcept {
  const tckms::error *found = std::get_if<1>(&state);
  require(found != nullptr);
  return *found;
}

}  // namespace detail

/** A value or an error.
 *
 * value() throws a tckms::exception when there is no value, or without exceptions ends the program. `*` and `->` always
 * end it, and so does error() when there is a value: check first.
 */
template <class T>
class [[nodiscard]] result {
 public:
  using value_type = T;
  using error_type = tckms::error;

  result(T value) : state_(std::in_place_index<0>, std::move(value)) {}
  result(tckms::error why) noexcept : state_(std::in_place_index<1>, std::move(why)) {}

  explicit operator bool() const noexcept { return has_value(); }
  bool has_value() const noexcept { return state_.index() == 0; }

  T &value() & { return checked(), **this; }
  const T &value() const & { return checked(), **this; }
  T &&value() && { return checked(), std::move(**this); }

  T *operator->() noexcept { return &**this; }
  const T *operator->() const noexcept { return &**this; }
  T &operator*() & noexcept { return detail::require(has_value()), *std::get_if<0>(&state_); }
  const T &operator*() const & noexcept { return detail::require(has_value()), *std::get_if<0>(&state_); }
  T &&operator*() && noexcept { return std::move(**this); }

  const tckms::error &error() const & noexcept { return detail::error_of(state_); }
  tckms::error error() && noexcept { return detail::error_of(state_); }

  /** The value, or `other` when there is none. */
  template <class U>
  T value_or(U &&other) const & {
    return has_value() ? **this : static_cast<T>(std::forward<U>(other));
  }
  template <class U>
  T value_or(U &&other) && {
    return has_value() ? std::move(**this) : static_cast<T>(std::forward<U>(other));
  }

  /** The result of `next`, called with the value; the error if there is no value. */
  template <class Next>
  auto and_then(Next &&next) const & -> std::invoke_result_t<Next, const T &> {
    static_assert(detail::is_result<std::invoke_result_t<Next, const T &>>::value, "it must return a tckms::result");
    if (!has_value()) return error();
    return std::invoke(std::forward<Next>(next), **this);
  }
  template <class Next>
  auto and_then(Next &&next) && -> std::invoke_result_t<Next, T &&> {
    static_assert(detail::is_result<std::invoke_result_t<Next, T &&>>::value, "it must return a tckms::result");
    if (!has_value()) return error();
    return std::invoke(std::forward<Next>(next), std::move(**this));
  }

  /** A result with the return value of `change`, called with the value; the error if there is no
   * value. */
  template <class Change>
  auto transform(Change &&change) const & -> result<std::invoke_result_t<Change, const T &>> {
    if (!has_value()) return error();
    return changed(std::forward<Change>(change), **this);
  }
  template <class Change>
  auto transform(Change &&change) && -> result<std::invoke_result_t<Change, T &&>> {
    if (!has_value()) return error();
    return changed(std::forward<Change>(change), std::move(**this));
  }

 private:
  void checked() const {
    if (!has_value()) detail::no_value(error());
  }

  template <class Change, class Value>
  static auto changed(Change &&change, Value &&value) -> result<std::invoke_result_t<Change, Value>> {
    if constexpr (std::is_void_v<std::invoke_result_t<Change, Value>>) {
      std::invoke(std::forward<Change>(change), std::forward<Value>(value));
      return {};
    } else {
      return std::invoke(std::forward<Change>(change), std::forward<Value>(value));
    }
  }

  std::variant<T, tckms::error> state_;
};

/** Success, or the error. */
template <>
class [[nodiscard]] result<void> {
 public:
  using value_type = void;
  using error_type = tckms::error;

  result() noexcept = default;
  result(tckms::error why) noexcept : state_(std::in_place_index<1>, std::move(why)) {}

  explicit operator bool() const noexcept { return has_value(); }
  bool has_value() const noexcept { return state_.index() == 0; }

  /** Throws a tckms::exception when the call failed, or without exceptions ends the program. */
  void value() const {
    if (!has_value()) detail::no_value(error());
  }

  const tckms::error &error() const & noexcept { return detail::error_of(state_); }
  tckms::error error() && noexcept { return detail::error_of(state_); }

  /** The result of `next`; the error if the call failed. */
  template <class Next>
  auto and_then(Next &&next) const -> std::invoke_result_t<Next> {
    static_assert(detail::is_result<std::invoke_result_t<Next>>::value, "it must return a tckms::result");
    if (!has_value()) return error();
    return std::invoke(std::forward<Next>(next));
  }

  /** A result with the return value of `change`; the error if the call failed. */
  template <class Change>
  auto transform(Change &&change) const -> result<std::invoke_result_t<Change>> {
    if (!has_value()) return error();
    if constexpr (std::is_void_v<std::invoke_result_t<Change>>) {
      std::invoke(std::forward<Change>(change));
      return {};
    } else {
      return std::invoke(std::forward<Change>(change));
    }
  }

 private:
  std::variant<std::monostate, tckms::error> state_;
};

namespace detail {

/** The error of a call that returned `number` and got these texts. */
template <class... Texts>
tckms::error failed(status number, const Texts &...texts) noexcept {
  tckms::error why = tckms::error::take(number);
  if (number == TCKMS_ERR_INVALID_UTF8 && (texts.has_nul() || ... || false)) {
    return std::move(why).with_text("a text contains a NUL byte");
  }
  return why;
}

/** The result of a call that returned `number` and, if that is success, made `value`. */
template <class T, class... Texts>
result<T> made(status number, T &&value, const Texts &...texts) {
  if (number != TCKMS_OK) return failed(number, texts...);
  return std::move(value);
}

template <class... Texts>
result<void> done(status number, const Texts &...texts) {
  if (number != TCKMS_OK) return failed(number, texts...);
  return {};
}

}  // namespace detail

/** Bytes that the library returned. The destructor wipes them. A NUL byte follows them. */
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

  /** The bytes as text, borrowed from the buffer. */
  std::string_view text() const noexcept {
    return empty() ? std::string_view("") : std::string_view(reinterpret_cast<const char *>(held_.data), held_.len);
  }

  /** Wipes and frees the bytes now. */
  void clear() noexcept { tckms_buffer_free(&held_); }

  /** The output for a function of tckms.h; previous content is wiped and freed. */
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

/** Options for a new CMK, as tckms_create_key_options. The usage is a TCKMS_KEY_USAGE_ constant. */
struct create_key_options {
  std::string alias;
  std::optional<std::string> usage;
  std::optional<std::string> description;
  /** Keys and values. */
  std::vector<std::pair<std::string, std::string>> tags;
  /** Whether the key's material is imported. */
  bool external = false;
};

/** A new CMK. */
struct created_key {
  std::string key_id;
  /** The reason if the service created the key but could not set its tags; else empty. */
  std::string tag_failure;
};

/** Selects the keys of client::list_keys(); std::nullopt matches all keys. */
struct key_filter {
  std::optional<std::string> usage;
  /** "Enabled", "Disabled", "PendingDelete", "PendingImport" or "Archived". */
  std::optional<std::string> state;
  /** A part of the key id or of the alias. */
  std::optional<std::string> search;
};

/** The metadata of a CMK. */
struct key_info {
  std::string key_id;
  std::string alias;
  std::string description;
  std::string state;
  std::string usage;
  std::string origin;
  /** The interval in days at which the service rotates it; 0 if it does not. */
  std::int64_t rotation_days = 0;
  time_point created_at;
  std::optional<time_point> rotated_at;
  std::optional<time_point> rotates_at;
  std::optional<time_point> deleted_at;
  std::optional<time_point> material_expires_at;
};

/** The argument of a log callback. It is valid during the callback. */
class log_event {
 public:
  explicit log_event(const tckms_log_event *event) noexcept : event_(event) {}

  log_level level() const noexcept { return static_cast<log_level>(tckms_log_event_level(event_)); }
  /** One line of text. It may change in any version: use the functions for the other parts. */
  std::string_view message() const noexcept { return tckms_log_event_message(event_); }
  /** The action, such as "Encrypt"; empty if the event does not concern a request. */
  std::string_view action() const noexcept { return tckms_log_event_action(event_); }
  /** The result of the attempt or the call. */
  tckms::status status() const noexcept { return tckms_log_event_status(event_); }
  /** The number of the attempt; for a failed call, the number of its attempts; else 0. */
  int attempt() const noexcept { return tckms_log_event_attempt(event_); }
  /** The duration of the attempt, the call, or the wait before the next attempt. */
  std::optional<std::chrono::milliseconds> duration() const noexcept {
    const std::int64_t ms = tckms_log_event_ms(event_);
    return ms < 0 ? std::nullopt : std::optional(std::chrono::milliseconds(ms));
  }
  /** The service's id of the request; empty if it did not reply. */
  std::string_view request_id() const noexcept { return tckms_log_event_request_id(event_); }

 private:
  const tckms_log_event *event_;
};

/** Receives log events. It must be safe to call from several threads at once. */
using log_function = std::function<void(const log_event &)>;

/** The output of a credentials callback. */
class credentials_out {
 public:
  explicit credentials_out(tckms_credentials *out) noexcept : out_(out) {}

  /** Without `expires_at` they do not expire. It is counted in seconds, rounded down. */
  result<void> set(std::string_view secret_id, std::string_view secret_key, optional_text token = std::nullopt,
                   std::optional<time_point> expires_at = std::nullopt) {
    const detail::c_string id(secret_id), key(secret_key), session(token);
    return detail::done(
        tckms_credentials_set(out_, id.get(), key.get(), session.get(), detail::epoch_seconds(expires_at)), id, key,
        session);
  }

 private:
  tckms_credentials *out_;
};

/** Supplies credentials: sets them and returns TCKMS_OK, or returns the status for the call, such
 * as TCKMS_ERR_SERVICE_UNAVAILABLE for an outage, which counts as retryable, or TCKMS_ERR_CREDENTIALS_CALLBACK_FAILED.
 * */
using credentials_function = std::function<status(credentials_out &)>;

/** A role to assume, as tckms_role_options. */
struct role_options {
  std::string role_arn;
  std::optional<std::string> session_name;
  /** Counted in seconds, rounded up; 0 for the default. */
  std::chrono::seconds duration{};
  std::optional<std::string> external_id;
  /** A policy in JSON that restricts the role. */
  std::optional<std::string> policy;
};

/** The settings of clients. Every set_...() is the tckms_config_set_...() of tckms.h. */
class config {
 public:
  config() : handle_(tckms_config_new()) {}

  result<void> set_region(std::string_view region) { return text(tckms_config_set_region, region); }
  result<void> set_endpoint(std::string_view url) { return text(tckms_config_set_endpoint, url); }
  result<void> set_site(site where) { return detail::done(tckms_config_set_site(get(), static_cast<int>(where))); }
  result<void> set_insecure_http_allowed(bool allowed) {
    return detail::done(tckms_config_set_insecure_http_allowed(get(), allowed));
  }

  /** Fixed credentials. */
  result<void> set_credentials(std::string_view secret_id, std::string_view secret_key,
                               optional_text token = std::nullopt) {
    const detail::c_string id(secret_id), key(secret_key), session(token);
    return detail::done(tckms_config_set_credentials(get(), id.get(), key.get(), session.get()), id, key, session);
  }
  result<void> set_default_credentials() { return detail::done(tckms_config_set_default_credentials(get())); }
  result<void> set_env_credentials() { return detail::done(tckms_config_set_env_credentials(get())); }
  result<void> set_profile_credentials(std::string_view path, optional_text profile = std::nullopt) {
    const detail::c_string file(path), section(profile);
    return detail::done(tckms_config_set_profile_credentials(get(), file.get(), section.get()), file, section);
  }
  result<void> set_default_profile_credentials(optional_text profile = std::nullopt) {
    return text(tckms_config_set_default_profile_credentials, profile);
  }
  result<void> set_tccli_credentials(std::string_view path) { return text(tckms_config_set_tccli_credentials, path); }
  result<void> set_default_tccli_credentials(optional_text profile = std::nullopt) {
    return text(tckms_config_set_default_tccli_credentials, profile);
  }
  result<void> set_cvm_role_credentials(optional_text role = std::nullopt) {
    return text(tckms_config_set_cvm_role_credentials, role);
  }
  result<void> set_oidc_credentials(std::string_view provider_id, std::string_view token_file,
                                    std::string_view role_arn, optional_text session_name = std::nullopt,
                                    std::chrono::seconds duration = {}) {
    const detail::c_string provider(provider_id), file(token_file), role(role_arn), session(session_name);
    return detail::done(tckms_config_set_oidc_credentials(get(), provider.get(), file.get(), role.get(), session.get(),
                                                          duration.count()),
                        provider, file, role, session);
  }
  result<void> set_tke_env_credentials() { return detail::done(tckms_config_set_tke_env_credentials(get())); }
  /** Assumes a role with the credentials set so far. */
  result<void> set_assume_role_credentials(const role_options &options) {
    const detail::c_string role(options.role_arn), session(options.session_name), external(options.external_id),
        narrowed(options.policy);
    tckms_role_options given = TCKMS_ROLE_OPTIONS_INIT;
    given.role_arn = role.get();
    given.session_name_or_null = session.get();
    given.external_id_or_null = external.get();
    given.policy_or_null = narrowed.get();
    given.duration_seconds = options.duration.count();
    return detail::done(tckms_config_set_assume_role_credentials(get(), &given, sizeof given), role, session, external,
                        narrowed);
  }
  result<void> set_credentials_callback(credentials_function function) {
    auto kept = std::make_unique<credentials_function>(std::move(function));
    const auto number = tckms_config_set_credentials_callback(get(), *kept ? supply : nullptr, kept.get(),
                                                              destroy<credentials_function>);
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

  /** Timeouts are counted in milliseconds, rounded up. */
  template <class Rep, class Period>
  result<void> set_connect_timeout(std::chrono::duration<Rep, Period> timeout) {
    return milliseconds(tckms_config_set_connect_timeout_ms, timeout);
  }
  template <class Rep, class Period>
  result<void> set_try_timeout(std::chrono::duration<Rep, Period> timeout) {
    return milliseconds(tckms_config_set_try_timeout_ms, timeout);
  }
  template <class Rep, class Period>
  result<void> set_total_timeout(std::chrono::duration<Rep, Period> timeout) {
    return milliseconds(tckms_config_set_total_timeout_ms, timeout);
  }
  result<void> set_max_connections(int connections) { return number(tckms_config_set_max_connections, connections); }
  result<void> set_max_idle_connections(int connections) {
    return number(tckms_config_set_max_idle_connections, connections);
  }
  template <class Rep, class Period>
  result<void> set_idle_timeout(std::chrono::duration<Rep, Period> timeout) {
    return milliseconds(tckms_config_set_idle_timeout_ms, timeout);
  }
  result<void> set_max_attempts(int attempts) { return number(tckms_config_set_max_attempts, attempts); }
  result<void> set_retry_unsafe_actions(bool allowed) { return number(tckms_config_set_retry_unsafe_actions, allowed); }
  result<void> set_rate_limit(int per_second, int burst) {
    return detail::done(tckms_config_set_rate_limit(get(), per_second, burst));
  }

  result<void> set_user_agent_suffix(std::string_view suffix) {
    return text(tckms_config_set_user_agent_suffix, suffix);
  }
  result<void> set_language(std::string_view language) { return text(tckms_config_set_language, language); }

  /** The function is kept as long as it can be called. An empty one turns the log off. */
  result<void> set_log(log_level level, log_function function) {
    auto kept = function ? std::make_unique<log_function>(std::move(function)) : nullptr;
    const bool some = kept != nullptr;
    const auto number = tckms_config_set_log(get(), static_cast<int>(level), some ? on_log : nullptr, kept.get(),
                                             some ? destroy<log_function> : nullptr);
    if (number == TCKMS_OK) static_cast<void>(kept.release());
    return detail::done(number);
  }

  tckms_config *get() noexcept { return handle_.get(); }
  const tckms_config *get() const noexcept { return handle_.get(); }

 private:
  result<void> text(tckms_status (*setter)(tckms_config *, const char *), optional_text value) {
    const detail::c_string copy(value);
    return detail::done(setter(get(), copy.get()), copy);
  }
  template <class Number>
  result<void> number(tckms_status (*setter)(tckms_config *, Number), std::int64_t value) {
    return detail::done(setter(get(), detail::saturated<Number>(value)));
  }
  template <class Number, class Rep, class Period>
  result<void> milliseconds(tckms_status (*setter)(tckms_config *, Number), std::chrono::duration<Rep, Period> time) {
    return number(setter, detail::count_of<std::chrono::milliseconds>(time));
  }

  static void on_log(void *userdata, const tckms_log_event *event) noexcept {
    detail::guarded([=] { return (*static_cast<log_function *>(userdata))(log_event(event)), 0; });
  }
  static int supply(void *userdata, tckms_credentials *out) noexcept {
    return detail::guarded([=] {
      credentials_out filled(out);
      return static_cast<int>((*static_cast<credentials_function *>(userdata))(filled));
    });
  }
  template <class Function>
  static void destroy(void *userdata) noexcept {
    delete static_cast<Function *>(userdata);
  }

  detail::owned<tckms_config, tckms_config_free> handle_;
};

class signer;

/** A client of the key service. Any number of threads may use it at once.
 *
 * A context is a JSON object whose values are strings, or tckms::no_context.
 */
class client {
 public:
  /** Creates a client; the configuration is not needed afterwards. */
  static result<client> make(const config &from) {
    tckms_client *made = nullptr;
    const auto number = tckms_client_new(from.get(), &made);
    return detail::made(number, client(made));
  }

  /** Creates a client from the environment. */
  static result<client> from_env() {
    tckms_client *made = nullptr;
    const auto number = tckms_client_new_from_env(&made);
    return detail::made(number, client(made));
  }

  /** A client with other timeouts or retries that shares connections, credentials and everything
   * else with this one. */
  result<client> derive(const config &different) const {
    tckms_client *made = nullptr;
    const auto number = tckms_client_derive(get(), different.get(), &made);
    return detail::made(number, client(made));
  }

  /** A client whose calls have another total timeout, for a call with its own deadline. */
  template <class Rep, class Period>
  result<client> derive_timeout(std::chrono::duration<Rep, Period> timeout) const {
    tckms_client *made = nullptr;
    const auto ms = detail::count_of<std::chrono::milliseconds>(timeout);
    const auto number = tckms_client_derive_timeout_ms(get(), ms, &made);
    return detail::made(number, client(made));
  }

  /** Cancels the running and later calls of this client with TCKMS_ERR_CANCELED. Any thread may
   * call it. */
  result<void> cancel() const { return detail::done(tckms_client_cancel(get())); }

  /** Encrypts 1 to 4096 bytes. The CiphertextBlob is text. */
  result<buffer> encrypt(std::string_view key_id, byte_view plaintext, optional_text context) const {
    const detail::c_string key(key_id), ctx(context);
    buffer out;
    const auto number = tckms_encrypt(get(), key.get(), plaintext.data(), plaintext.size(), ctx.get(), out.out());
    return detail::made(number, std::move(out), key, ctx);
  }

  /** Makes a branch key, and gives its record: a line of text with a newline. */
  result<buffer> make_branch_record(std::string_view key_id, std::string_view branch_id) const {
    const detail::c_string key(key_id), id(branch_id);
    buffer out;
    const auto number = tckms_branch_record_new(get(), key.get(), id.get(), out.out());
    return detail::made(number, std::move(out), key, id);
  }

  /** Asks the CMK whether it opens a record. */
  result<void> check_branch_record(std::string_view record) const {
    const detail::c_string line(record);
    return detail::done(tckms_branch_record_check(get(), line.get()), line);
  }

  /** Decrypts a CiphertextBlob of the CMK `key_id`, or of tckms::any_key. */
  result<buffer> decrypt(optional_text key_id, byte_view blob, optional_text context) const {
    const detail::c_string key(key_id), ctx(context);
    buffer out;
    const auto number = tckms_decrypt(get(), key.get(), blob.data(), blob.size(), ctx.get(), out.out());
    return detail::made(number, std::move(out), key, ctx);
  }

  /** Re-encrypts a CiphertextBlob under `key_id`, or under the same CMK with tckms::any_key. */
  result<buffer> reencrypt(optional_text key_id, byte_view blob, optional_text source_context,
                           optional_text destination_context) const {
    const detail::c_string key(key_id), source(source_context), destination(destination_context);
    buffer out;
    const auto number = tckms_reencrypt(get(), key.get(), blob.data(), blob.size(), source.get(), destination.get(),
                                        out.out());
    return detail::made(number, std::move(out), key, source, destination);
  }

  /** Generates a data key of 1 to 1024 bytes. */
  result<data_key> generate_data_key(std::string_view key_id, std::size_t size, optional_text context) const {
    const detail::c_string key(key_id), ctx(context);
    data_key out;
    const auto number =
        tckms_generate_data_key(get(), key.get(), size, ctx.get(), out.plaintext.out(), out.ciphertext.out());
    return detail::made(number, std::move(out), key, ctx);
  }

  /** Fills memory with 1 to 1024 random bytes from the service's hardware. */
  result<void> generate_random(mutable_byte_view memory) const {
    return detail::done(tckms_generate_random(get(), memory.data(), memory.size()));
  }

  /** Sends any action of the KMS API; returns the JSON object under "Response". */
  result<buffer> call(std::string_view action, optional_text request_json = std::nullopt) const {
    const detail::c_string name(action), request(request_json);
    buffer out;
    const auto number = tckms_call(get(), name.get(), request.get(), out.out());
    return detail::made(number, std::move(out), name, request);
  }

  /** The public key of an asymmetric CMK, as a SubjectPublicKeyInfo in DER. */
  result<buffer> public_key(std::string_view key_id) const {
    const detail::c_string key(key_id);
    buffer out;
    const auto number = tckms_public_key(get(), key.get(), out.out());
    return detail::made(number, std::move(out), key);
  }

  /** The public key in PEM. */
  result<buffer> public_key_pem(std::string_view key_id) const {
    const detail::c_string key(key_id);
    buffer out;
    const auto number = tckms_public_key_pem(get(), key.get(), out.out());
    return detail::made(number, std::move(out), key);
  }

  /** Signs a message of any size. */
  result<buffer> sign(std::string_view key_id, sign_algorithm algorithm, byte_view message) const {
    const detail::c_string key(key_id);
    buffer out;
    const auto number =
        tckms_sign(get(), key.get(), static_cast<int>(algorithm), message.data(), message.size(), out.out());
    return detail::made(number, std::move(out), key);
  }

  /** Signs a digest. */
  result<buffer> sign_digest(std::string_view key_id, sign_algorithm algorithm, byte_view digest) const {
    const detail::c_string key(key_id);
    buffer out;
    const auto number =
        tckms_sign_digest(get(), key.get(), static_cast<int>(algorithm), digest.data(), digest.size(), out.out());
    return detail::made(number, std::move(out), key);
  }

  /** Succeeds if the signature is valid; the error is TCKMS_ERR_SIGNATURE_INVALID if it is not,
   * TCKMS_ERR_INVALID_KEY_USAGE for a key that decrypts, or another one if that is not known. */
  result<void> verify(std::string_view key_id, sign_algorithm algorithm, byte_view message, byte_view signature) const {
    const detail::c_string key(key_id);
    return detail::done(tckms_verify(get(), key.get(), static_cast<int>(algorithm), message.data(), message.size(),
                                     signature.data(), signature.size()),
                        key);
  }

  /** As verify(), for a digest. */
  result<void> verify_digest(std::string_view key_id, sign_algorithm algorithm, byte_view digest,
                             byte_view signature) const {
    const detail::c_string key(key_id);
    return detail::done(tckms_verify_digest(get(), key.get(), static_cast<int>(algorithm), digest.data(), digest.size(),
                                            signature.data(), signature.size()),
                        key);
  }

  /** The digest that SM2 signs. Without a user id it is "1234567812345678". */
  result<buffer> sm2_digest(std::string_view key_id, byte_view message,
                            std::optional<byte_view> user_id = std::nullopt) const {
    const detail::c_string key(key_id);
    const byte_view user = user_id.value_or(byte_view());
    buffer out;
    const auto number = tckms_sm2_digest(get(), key.get(), user.data(), user.size(), message.data(), message.size(),
                                         out.out());
    return detail::made(number, std::move(out), key);
  }

  /** Creates a signer for a message that is passed in several chunks. The user id is for SM2. */
  result<signer> new_signer(std::string_view key_id, sign_algorithm algorithm,
                            std::optional<byte_view> sm2_user_id = std::nullopt) const;

  /** Encrypts a small secret under an RSA key, locally. The error is TCKMS_ERR_INVALID_KEY_USAGE for
   * a key that signs. */
  result<buffer> rsa_encrypt(std::string_view key_id, rsa_padding padding, byte_view plaintext) const {
    const detail::c_string key(key_id);
    buffer out;
    const auto number = tckms_rsa_encrypt(get(), key.get(), static_cast<int>(padding), plaintext.data(),
                                          plaintext.size(), out.out());
    return detail::made(number, std::move(out), key);
  }

  /** Decrypts a ciphertext of an RSA key. */
  result<buffer> rsa_decrypt(std::string_view key_id, rsa_padding padding, byte_view ciphertext) const {
    const detail::c_string key(key_id);
    buffer out;
    const auto number = tckms_rsa_decrypt(get(), key.get(), static_cast<int>(padding), ciphertext.data(),
                                          ciphertext.size(), out.out());
    return detail::made(number, std::move(out), key);
  }

  /** Decrypts a ciphertext of an SM2 key. */
  result<buffer> sm2_decrypt(std::string_view key_id, byte_view ciphertext) const {
    const detail::c_string key(key_id);
    buffer out;
    const auto number = tckms_sm2_decrypt(get(), key.get(), ciphertext.data(), ciphertext.size(), out.out());
    return detail::made(number, std::move(out), key);
  }

  /** Creates a CMK. */
  result<created_key> create_key(const create_key_options &options) const {
    const detail::c_string alias(options.alias), usage(options.usage), description(options.description);
    std::vector<tckms_tag> tags;
    std::vector<std::unique_ptr<const detail::c_string>> texts;
    struct nul_in_tags {
      bool found = false;
      bool has_nul() const noexcept { return found; }
    } in_tags;
    const auto text = [&](const std::string &value) {
      texts.push_back(std::make_unique<const detail::c_string>(value));
      in_tags.found = in_tags.found || texts.back()->has_nul();
      return texts.back()->get();
    };
    for (const auto &[name, value] : options.tags) {
      tckms_tag tag{};
      tag.key = text(name);
      tag.value = text(value);
      tags.push_back(tag);
    }
    tckms_create_key_options given = TCKMS_CREATE_KEY_OPTIONS_INIT;
    given.alias = alias.get();
    given.usage = usage.get();
    given.description = description.get();
    given.tags = tags.data();
    given.tag_count = tags.size();
    given.external = options.external ? 1 : 0;
    buffer key_id, tag_failure;
    const auto number = tckms_create_key(get(), &given, sizeof given, key_id.out(), tag_failure.out());
    if (number != TCKMS_OK) return detail::failed(number, alias, usage, description, in_tags);
    return created_key{std::string(key_id.text()), std::string(tag_failure.text())};
  }

  /** The metadata of a CMK. */
  result<key_info> describe_key(std::string_view key_id) const {
    const detail::c_string key(key_id);
    tckms_key_info *found = nullptr;
    const auto number = tckms_describe_key(get(), key.get(), &found);
    const detail::owned<tckms_key_info, tckms_key_info_free> owned(found);
    if (number != TCKMS_OK) return detail::failed(number, key);
    return copied(found);
  }

  /** All CMKs of the account and region that match the filter, in the order of creation. */
  result<std::vector<key_info>> list_keys(const key_filter &filter = {}) const {
    const detail::c_string usage(filter.usage), state(filter.state), search(filter.search);
    tckms_key_filter given = TCKMS_KEY_FILTER_INIT;
    given.usage = usage.get();
    given.state = state.get();
    given.search = search.get();
    listing keys;
    const auto number = tckms_list_keys(get(), &given, sizeof given, collect, &keys);
    if (number != TCKMS_OK) return detail::failed(number, usage, state, search);
#if TCKMS_HPP_EXCEPTIONS
    if (!keys.complete) throw std::bad_alloc();
#endif
    return std::move(keys.found);
  }

  result<void> enable_key(std::string_view key_id) const { return about_key(tckms_enable_key, key_id); }
  result<void> disable_key(std::string_view key_id) const { return about_key(tckms_disable_key, key_id); }
  /** Cancels the deletion of a CMK, which is disabled afterwards. */
  result<void> cancel_key_deletion(std::string_view key_id) const {
    return about_key(tckms_cancel_key_deletion, key_id);
  }
  /** Starts a rotation of a symmetric CMK. */
  result<void> rotate_key(std::string_view key_id) const { return about_key(tckms_rotate_key, key_id); }

  /** Schedules a disabled CMK for deletion in 7 to 30 days, and returns when that is. */
  result<time_point> schedule_key_deletion(std::string_view key_id, int days) const {
    const detail::c_string key(key_id);
    std::int64_t seconds = 0;
    const auto number = tckms_schedule_key_deletion(get(), key.get(), days, &seconds);
    return detail::made(number, time_point(std::chrono::seconds(seconds)), key);
  }

  /** Turns the automatic rotation of a symmetric CMK on, every 7 to 365 days, or off with 0. */
  result<void> set_key_rotation(std::string_view key_id, int days) const {
    const detail::c_string key(key_id);
    return detail::done(tckms_set_key_rotation(get(), key.get(), days), key);
  }

  /** Imports the material of a CMK that was created with `external`. Without `valid_to` it never
   * expires. */
  result<void> import_key_material(std::string_view key_id, byte_view material,
                                   std::optional<time_point> valid_to = std::nullopt) const {
    const detail::c_string key(key_id);
    return detail::done(tckms_import_key_material(get(), key.get(), material.data(), material.size(),
                                                  detail::epoch_seconds(valid_to)),
                        key);
  }

  /** Counters of this client and of all clients that share its connections. */
  result<counters> stats() const {
    counters out{};
    const auto number = tckms_client_stats(get(), &out, sizeof out);
    return detail::made(number, std::move(out));
  }

  const tckms_client *get() const noexcept { return handle_.get(); }

 private:
  friend class keyring;

  /** The results of tckms_list_keys(), until memory runs out. */
  struct listing {
    std::vector<key_info> found;
    bool complete = true;
  };

  static int collect(void *userdata, const tckms_key_info *key) noexcept {
    listing *keys = static_cast<listing *>(userdata);
    keys->complete = detail::guarded([=] { return keys->found.push_back(copied(key)), 0; }) == 0;
    return keys->complete ? 0 : 1;
  }

  static key_info copied(const tckms_key_info *key) {
    const auto time = [](std::int64_t seconds) { return time_point(std::chrono::seconds(seconds)); };
    const auto optional_time = [=](std::int64_t seconds) {
      return seconds == 0 ? std::nullopt : std::optional(time(seconds));
    };
    key_info info;
    info.key_id = tckms_key_info_key_id(key);
    info.alias = tckms_key_info_alias(key);
    info.description = tckms_key_info_description(key);
    info.state = tckms_key_info_state(key);
    info.usage = tckms_key_info_usage(key);
    info.origin = tckms_key_info_origin(key);
    info.rotation_days = tckms_key_info_rotation_days(key);
    info.created_at = time(tckms_key_info_created_at_seconds(key));
    info.rotated_at = optional_time(tckms_key_info_rotated_at_seconds(key));
    info.rotates_at = optional_time(tckms_key_info_rotates_at_seconds(key));
    info.deleted_at = optional_time(tckms_key_info_deleted_at_seconds(key));
    info.material_expires_at = optional_time(tckms_key_info_material_expires_at_seconds(key));
    return info;
  }

  result<void> about_key(tckms_status (*action)(const tckms_client *, const char *), std::string_view key_id) const {
    const detail::c_string key(key_id);
    return detail::done(action(get(), key.get()), key);
  }

  explicit client(tckms_client *handle) noexcept : handle_(handle) {}

  detail::owned<tckms_client, tckms_client_free> handle_;
};

/** A wrapped data key of a message. It is not authenticated. Views of it are valid as long as the
 * message's claims. */
class wrapped_key {
 public:
  explicit wrapped_key(const tckms_wrapped_key *wrapped) noexcept : wrapped_(wrapped) {}

  std::string_view provider_id() const noexcept { return tckms_wrapped_key_provider_id(wrapped_); }
  /** Of a data key that a branch key wrapped, in the header of a message; empty otherwise. */
  std::string_view branch_id() const noexcept { return tckms_wrapped_key_branch_id(wrapped_); }
  std::string_view branch_version() const noexcept { return tckms_wrapped_key_branch_version(wrapped_); }
  /** Identifies the key of the scheme that wrapped it. */
  byte_view info() const noexcept {
    std::size_t size = 0;
    const auto *bytes = tckms_wrapped_key_info(wrapped_, &size);
    return byte_view(bytes, size);
  }
  /** The wrapped data key itself. */
  byte_view blob() const noexcept {
    std::size_t size = 0;
    const auto *bytes = tckms_wrapped_key_blob(wrapped_, &size);
    return byte_view(bytes, size);
  }

 private:
  const tckms_wrapped_key *wrapped_;
};

/** Sets the reason why a callback fails, in a few words without a secret, for the error of the
 * call. */
inline result<void> set_callback_error_text(std::string_view text) {
  const detail::c_string copy(text);
  return detail::done(tckms_callback_set_error_text(copy.get()), copy);
}

/** An encryption context as JSON, from a container of pairs of text such as a std::map. The same
 * pairs always produce the same text. */
template <class Pairs>
result<std::string> context_json(const Pairs &pairs) {
  std::vector<std::unique_ptr<const detail::c_string>> texts;
  std::vector<tckms_context_pair> given;
  for (const auto &[key, value] : pairs) {
    texts.push_back(std::make_unique<const detail::c_string>(std::string_view(key)));
    texts.push_back(std::make_unique<const detail::c_string>(std::string_view(value)));
    tckms_context_pair pair{};
    pair.key = texts[texts.size() - 2]->get();
    pair.value = texts[texts.size() - 1]->get();
    given.push_back(pair);
  }
  buffer out;
  const auto number = tckms_context_json(given.data(), given.size(), out.out());
  if (number != TCKMS_OK) return detail::failed(number);
  return std::string(out.text());
}

/** Signs a message that is passed in several chunks. */
class signer {
 public:
  /** Adds the next bytes of the message. */
  result<void> update(byte_view bytes) {
    return detail::done(tckms_signer_update(get(), bytes.data(), bytes.size()));
  }

  /** Signs all bytes added, once. */
  result<buffer> finish() {
    buffer out;
    const auto number = tckms_signer_finish(get(), out.out());
    return detail::made(number, std::move(out));
  }

  tckms_signer *get() noexcept { return handle_.get(); }

 private:
  friend class client;

  explicit signer(tckms_signer *handle) noexcept : handle_(handle) {}

  detail::owned<tckms_signer, tckms_signer_free> handle_;
};

inline result<signer> client::new_signer(std::string_view key_id, sign_algorithm algorithm,
                                         std::optional<byte_view> sm2_user_id) const {
  const detail::c_string key(key_id);
  const byte_view user = sm2_user_id.value_or(byte_view());
  tckms_signer *made = nullptr;
  const auto number = tckms_signer_new(get(), key.get(), static_cast<int>(algorithm), user.data(), user.size(), &made);
  return detail::made(number, signer(made), key);
}

/** An asymmetric CMK and its client, which must outlive it. Copies are cheap. */
class asymmetric_key {
 public:
  asymmetric_key(const client &owner, std::string key_id) : client_(&owner), id_(std::move(key_id)) {}

  const std::string &id() const noexcept { return id_; }

  /** The public key, as a SubjectPublicKeyInfo in DER. */
  result<buffer> public_key() const { return client_->public_key(id_); }

  /** The public key in PEM. */
  result<buffer> public_key_pem() const { return client_->public_key_pem(id_); }

  /** Signs a message of any size. */
  result<buffer> sign(byte_view message, sign_algorithm algorithm = sign_algorithm::key_default) const {
    return client_->sign(id_, algorithm, message);
  }

  /** Signs a digest. */
  result<buffer> sign_digest(byte_view digest, sign_algorithm algorithm = sign_algorithm::key_default) const {
    return client_->sign_digest(id_, algorithm, digest);
  }

  /** Succeeds when the signature of the message is valid. */
  result<void> verify(byte_view message, byte_view signature,
                      sign_algorithm algorithm = sign_algorithm::key_default) const {
    return client_->verify(id_, algorithm, message, signature);
  }

  /** As verify(), for a digest. */
  result<void> verify_digest(byte_view digest, byte_view signature,
                             sign_algorithm algorithm = sign_algorithm::key_default) const {
    return client_->verify_digest(id_, algorithm, digest, signature);
  }

  /** Creates a signer for a message that is passed in several chunks. The user id is for SM2. */
  result<signer> new_signer(sign_algorithm algorithm = sign_algorithm::key_default,
                            std::optional<byte_view> sm2_user_id = std::nullopt) const {
    return client_->new_signer(id_, algorithm, sm2_user_id);
  }

  /** Encrypts a small secret under an RSA key, locally. */
  result<buffer> rsa_encrypt(byte_view plaintext, rsa_padding padding = rsa_padding::oaep_sha256) const {
    return client_->rsa_encrypt(id_, padding, plaintext);
  }

  /** Decrypts a ciphertext of an RSA key. */
  result<buffer> rsa_decrypt(byte_view ciphertext, rsa_padding padding = rsa_padding::oaep_sha256) const {
    return client_->rsa_decrypt(id_, padding, ciphertext);
  }

  /** Decrypts a ciphertext of an SM2 key. */
  result<buffer> sm2_decrypt(byte_view ciphertext) const { return client_->sm2_decrypt(id_, ciphertext); }

 private:
  const client *client_;
  std::string id_;
};

/** Converts a signature of ECDSA or SM2 from DER to r followed by s, `raw_size` bytes together. */
inline result<buffer> signature_to_raw(byte_view signature, std::size_t raw_size) {
  buffer out;
  const auto number = tckms_signature_to_raw(signature.data(), signature.size(), raw_size, out.out());
  return detail::made(number, std::move(out));
}

/** Converts r followed by s to a signature in DER. */
inline result<buffer> signature_from_raw(byte_view raw) {
  buffer out;
  const auto number = tckms_signature_from_raw(raw.data(), raw.size(), out.out());
  return detail::made(number, std::move(out));
}

/** The output of a custom key that wraps a data key. */
class wrapped_key_out {
 public:
  explicit wrapped_key_out(tckms_wrapped_key *out) noexcept : out_(out) {}

  /** `info` identifies the key of the scheme that wrapped it, in the scheme's own form. */
  result<void> set(byte_view info, byte_view wrapped) {
    return detail::done(tckms_wrapped_key_set(out_, info.data(), info.size(), wrapped.data(), wrapped.size()));
  }

 private:
  tckms_wrapped_key *out_;
};

/** A wrapping key that the program implements, as tckms_custom_key. An empty function is the NULL
 * of tckms.h. The functions return 0 or a status of this library, and must be safe to call from several threads at
 * once. The context is JSON. */
struct custom_key {
  /** Empty for a key that does not seal and is tried for every wrapped data key. */
  std::string provider_id;
  /** Fills `data_key`, all of it, and wraps it. */
  std::function<int(std::string_view context, mutable_byte_view data_key, wrapped_key_out &out)> generate;
  /** Wraps a data key that another key of the keyring generated. */
  std::function<int(std::string_view context, byte_view data_key, wrapped_key_out &out)> wrap;
  /** Fills `data_key`, all of it, from `wrapped`. */
  std::function<int(std::string_view context, const wrapped_key &wrapped, mutable_byte_view data_key)> unwrap;
};

/** Where the load function of a branch_store puts records. It lives only during the call. */
class branch_records_out {
 public:
  explicit branch_records_out(tckms_branch_records *out) noexcept : out_(out) {}
  /** Adds a record, or several with a newline between them. */
  result<void> add(std::string_view text) {
    return detail::done(tckms_branch_records_add(out_, text.data(), text.size()));
  }

 private:
  tckms_branch_records *out_;
};

/** Where the writers of a branch share its records. The functions are those of tckms_branch_options: they return 0 or a
 * status of this library, and run on a thread of the library, one at a time. */
struct branch_store {
  /** Adds the records that are kept under `key`. */
  std::function<int(std::string_view key, branch_records_out &out)> load;
  /** Keeps a record, unless there is one under `key` and `slot` already. */
  std::function<int(std::string_view key, std::int64_t slot, std::string_view record)> put_if_absent;
};

/** Branches and where their records come from, as tckms_branch_options. Empty and 0 stand for the defaults. */
struct branch_options {
  std::string branch_id;
  /** At most one of these three. */
  std::string records;
  std::string file;
  std::optional<branch_store> store;
  std::chrono::milliseconds rotation{0};
  std::chrono::milliseconds store_timeout{0};
  std::chrono::milliseconds ttl{0};
  std::vector<std::string> open_branch_ids;
  bool open_any_branch = false;
  bool by_reference = false;
  std::uint64_t max_keys = 0;
};

/** Names the branch of a context, which is JSON; nothing where no branch is allowed. */
using branch_supplier = std::function<std::optional<std::string>(std::string_view context)>;

/** Reads one value of a context that is JSON; nothing if there is no such key. Values have at most 1023 bytes. */
inline std::optional<std::string> context_value(std::string_view context, std::string_view key) {
  const detail::c_string json(context), name(key);
  std::array<char, 1024> value{};
  if (tckms_context_value(json.get(), name.get(), value.data(), value.size()) != TCKMS_OK) return std::nullopt;
  return std::string(value.data());
}

/** Options of keyring::seal_fd() and keyring::open_fd(), as tckms_fd_options. */
struct fd_options {
  /** The number of threads; 0 for as many as the process can run in parallel. */
  std::uint32_t threads = 0;
  /** To open: whether signed messages are opened. */
  bool signed_allowed = false;
  /** Receives the bytes of input done and their total, UINT64_MAX while that is not known; false
   * cancels. In the last call before success they are equal, and the result is ignored. */
  std::function<bool(std::uint64_t done, std::uint64_t total)> progress;
};

/** The keys that wrap the data keys of sealed messages. Every add_...() and set_...() is the one of tckms.h. */
class keyring {
 public:
  keyring() : handle_(tckms_keyring_new()) {}

  result<void> add_kms(const client &with, std::string_view key_id) {
    const detail::c_string key(key_id);
    return detail::done(tckms_keyring_add_kms(get(), with.get(), key.get()), key);
  }
  result<void> add_rsa_public_pem(std::string_view key_namespace, std::string_view key_name, byte_view pem) {
    const detail::c_string space(key_namespace), name(key_name);
    return detail::done(tckms_keyring_add_rsa_public_pem(get(), space.get(), name.get(), pem.data(), pem.size()), space,
                        name);
  }
  result<void> add_rsa_private_pem(std::string_view key_namespace, std::string_view key_name, byte_view pem) {
    const detail::c_string space(key_namespace), name(key_name);
    return detail::done(tckms_keyring_add_rsa_private_pem(get(), space.get(), name.get(), pem.data(), pem.size()), space,
                        name);
  }
  result<void> add_custom(custom_key key) {
    auto kept = std::make_unique<custom_key>(std::move(key));
    const detail::c_string provider(kept->provider_id.empty() ? optional_text() : optional_text(kept->provider_id));
    tckms_custom_key callbacks{};
    callbacks.provider_id = provider.get();
    callbacks.generate = kept->generate ? generate : nullptr;
    callbacks.wrap = kept->wrap ? wrap : nullptr;
    callbacks.unwrap = kept->unwrap ? unwrap : nullptr;
    callbacks.userdata = kept.get();
    callbacks.destructor_or_null = forget;
    const auto number = tckms_keyring_add_custom(get(), &callbacks, sizeof callbacks);
    if (number == TCKMS_OK) static_cast<void>(kept.release());
    return detail::done(number, provider);
  }

  /** Adds a CMK that wraps data keys by way of branch keys, as tckms_keyring_add_branch(). */
  result<void> add_branch(const client &with, std::string_view key_id, branch_options options) {
    const detail::c_string key(key_id);
    const auto text = [](const std::string &value) { return value.empty() ? optional_text() : optional_text(value); };
    const detail::c_string id(text(options.branch_id)), records(text(options.records)), file(text(options.file));
    std::vector<const char *> opened;
    for (const auto &each : options.open_branch_ids) opened.push_back(each.c_str());
    auto kept = options.store ? std::make_unique<branch_store>(std::move(*options.store)) : nullptr;
    tckms_branch_options converted = TCKMS_BRANCH_OPTIONS_INIT;
    converted.branch_id = id.get();
    converted.records = records.get();
    converted.file = file.get();
    if (kept) {
      converted.load = load_branch;
      converted.put_if_absent = put_branch;
      converted.userdata = kept.get();
      converted.destructor_or_null = destroy<branch_store>;
    }
    converted.rotation_ms = options.rotation.count();
    converted.store_timeout_ms = options.store_timeout.count();
    converted.ttl_ms = options.ttl.count();
    converted.open_branch_ids = opened.data();
    converted.open_branch_ids_len = opened.size();
    converted.open_any_branch = options.open_any_branch;
    converted.by_reference = options.by_reference;
    converted.max_keys = options.max_keys;
    const auto number = tckms_keyring_add_branch(get(), with.get(), key.get(), &converted, sizeof converted);
    if (number == TCKMS_OK) static_cast<void>(kept.release());
    return detail::done(number, key, id, records, file);
  }

  /** Lets the branch of each message depend on its context, for sealing and for opening. An empty function: no longer. */
  result<void> set_branch_supplier(branch_supplier supplier) {
    auto kept = supplier ? std::make_unique<branch_supplier>(std::move(supplier)) : nullptr;
    const bool some = kept != nullptr;
    const auto number = tckms_keyring_set_branch_supplier(get(), some ? name_branch : nullptr, kept.get(),
                                                          some ? destroy<branch_supplier> : nullptr);
    if (number == TCKMS_OK) static_cast<void>(kept.release());
    return detail::done(number);
  }

  /** What the branch keys of the keyring have done. */
  result<tckms_branch_stats> branch_stats() const {
    tckms_branch_stats stats = TCKMS_BRANCH_STATS_INIT;
    const auto number = tckms_keyring_branch_stats(get(), &stats, sizeof stats);
    return detail::made(number, std::move(stats));
  }

  /** Turns on the cache with the default limits: a data key then serves more than one message. */
  result<void> set_cache() { return set_cache(cache_limits{}); }
  result<void> set_cache(const cache_limits &limits) {
    return detail::done(tckms_keyring_set_cache(get(), &limits, sizeof limits));
  }
  result<void> set_commitment_policy(commitment policy) {
    return detail::done(tckms_keyring_set_commitment_policy(get(), static_cast<int>(policy)));
  }
  result<void> set_signing(bool signing) { return detail::done(tckms_keyring_set_signing(get(), signing)); }
  result<void> set_frame_len(std::size_t size) { return detail::done(tckms_keyring_set_frame_len(get(), size)); }
  result<void> set_max_wrapped_keys(std::size_t count) {
    return detail::done(tckms_keyring_set_max_wrapped_keys(get(), count));
  }
  result<void> set_max_rsa_operations(std::size_t count) {
    return detail::done(tckms_keyring_set_max_rsa_operations(get(), count));
  }
  /** Counted in milliseconds, rounded up. */
  template <class Rep, class Period>
  result<void> set_total_timeout(std::chrono::duration<Rep, Period> timeout) {
    const auto ms = detail::count_of<std::chrono::milliseconds>(timeout);
    return detail::done(tckms_keyring_set_total_timeout_ms(get(), ms));
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
  result<void> set_reproduced_context(optional_text context) {
    const detail::c_string ctx(context);
    return detail::done(tckms_keyring_set_reproduced_context(get(), ctx.get()), ctx);
  }

  /** Seals data of any size. */
  result<buffer> seal(byte_view plaintext, optional_text context) const {
    const detail::c_string ctx(context);
    buffer out;
    const auto number = tckms_seal(get(), plaintext.data(), plaintext.size(), ctx.get(), out.out());
    return detail::made(number, std::move(out), ctx);
  }

  /** Opens a message whose context has at least the pairs of `expected_context`. */
  result<buffer> open(byte_view message, optional_text expected_context) const {
    const detail::c_string ctx(expected_context);
    buffer out;
    const auto number = tckms_open(get(), message.data(), message.size(), ctx.get(), out.out());
    return detail::made(number, std::move(out), ctx);
  }

  /** Seals everything that is read from a descriptor. */
  result<void> seal_fd(int in_fd, int out_fd, optional_text context, const fd_options &options = {}) const {
    const detail::c_string ctx(context);
    const tckms_fd_options converted = convert(options);
    return detail::done(tckms_seal_fd(get(), in_fd, out_fd, ctx.get(), &converted, sizeof converted), ctx);
  }

  /** Opens the message that is read from a descriptor. Discard the output after a failure. */
  result<void> open_fd(int in_fd, int out_fd, optional_text expected_context, const fd_options &options = {}) const {
    const detail::c_string ctx(expected_context);
    const tckms_fd_options converted = convert(options);
    return detail::done(tckms_open_fd(get(), in_fd, out_fd, ctx.get(), &converted, sizeof converted), ctx);
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
      return static_cast<custom_key *>(userdata)->generate(context, mutable_byte_view(data_key, size), filled);
    });
  }
  static int wrap(void *userdata, const char *context, const std::uint8_t *data_key, std::size_t size,
                  tckms_wrapped_key *out) noexcept {
    return detail::guarded([=] {
      wrapped_key_out filled(out);
      return static_cast<custom_key *>(userdata)->wrap(context, byte_view(data_key, size), filled);
    });
  }
  static int unwrap(void *userdata, const tckms_wrapped_key *wrapped, const char *context, std::uint8_t *data_key,
                    std::size_t size) noexcept {
    return detail::guarded([=] {
      return static_cast<custom_key *>(userdata)->unwrap(context, wrapped_key(wrapped),
                                                         mutable_byte_view(data_key, size));
    });
  }
  static void forget(void *userdata) noexcept { delete static_cast<custom_key *>(userdata); }

  static int load_branch(void *userdata, const char *key, tckms_branch_records *out) noexcept {
    return detail::guarded([=] {
      branch_records_out filled(out);
      return static_cast<branch_store *>(userdata)->load(key, filled);
    });
  }
  static int put_branch(void *userdata, const char *key, std::int64_t slot, const char *record) noexcept {
    return detail::guarded([=] { return static_cast<branch_store *>(userdata)->put_if_absent(key, slot, record); });
  }
  static int name_branch(void *userdata, const char *context, char *branch_id, std::size_t size) noexcept {
    return detail::guarded([=] {
      const auto named = (*static_cast<branch_supplier *>(userdata))(context);
      if (!named) return static_cast<int>(TCKMS_ERR_BRANCH_NOT_ALLOWED);
      // One that is too long is left without its NUL, which the library refuses.
      std::memcpy(branch_id, named->c_str(), named->size() + 1 < size ? named->size() + 1 : size);
      return 0;
    });
  }
  template <class Kept>
  static void destroy(void *userdata) noexcept {
    delete static_cast<Kept *>(userdata);
  }

  detail::owned<tckms_keyring, tckms_keyring_free> handle_;
};

/** The header of a message. It is not authenticated: anyone can have written it. */
class message_info {
 public:
  /** Reads the header of a message, or of its beginning, without opening it. */
  static result<message_info> read(byte_view message) {
    tckms_message_info *made = nullptr;
    const auto number = tckms_message_info_new(message.data(), message.size(), &made);
    return detail::made(number, message_info(made));
  }

  /** The version of the format, 1 or 2. */
  int version() const noexcept { return tckms_message_info_version(get()); }
  /** The number of the algorithm suite, such as 0x0478. */
  int suite() const noexcept { return tckms_message_info_suite(get()); }
  bool is_committing() const noexcept { return tckms_message_info_committing(get()) != 0; }
  bool is_signed() const noexcept { return tckms_message_info_signed(get()) != 0; }
  /** 0 for a body without frames. */
  std::size_t frame_len() const noexcept { return tckms_message_info_frame_len(get()); }
  std::size_t header_len() const noexcept { return tckms_message_info_header_len(get()); }
  byte_view message_id() const noexcept {
    std::size_t size = 0;
    const auto *bytes = tckms_message_info_message_id(get(), &size);
    return byte_view(bytes, size);
  }

  /** The number of pairs of the context. */
  std::size_t context_count() const noexcept { return tckms_message_info_context_count(get()); }
  /** The key and value of a pair; std::nullopt if there is no such pair, or if it contains a NUL
   * character, which json() shows. */
  optional_text context_key(std::size_t index) const noexcept {
    return optional(tckms_message_info_context_key(get(), index));
  }
  optional_text context_value(std::size_t index) const noexcept {
    return optional(tckms_message_info_context_value(get(), index));
  }

  std::size_t wrapped_key_count() const noexcept { return tckms_message_info_wrapped_key_count(get()); }
  /** A wrapped data key, in the order of the message; ends the program if `index` is out of range.
   * */
  wrapped_key wrapped_key_at(std::size_t index) const noexcept {
    const auto *wrapped = tckms_message_info_wrapped_key(get(), index);
    detail::require(wrapped != nullptr);
    return wrapped_key(wrapped);
  }

  /** All claims as JSON. */
  result<buffer> json() const {
    buffer out;
    const auto number = tckms_message_info_json(get(), out.out());
    return detail::made(number, std::move(out));
  }

  const tckms_message_info *get() const noexcept { return handle_.get(); }

 private:
  explicit message_info(tckms_message_info *handle) noexcept : handle_(handle) {}

  static optional_text optional(const char *text) noexcept {
    return text == nullptr ? std::nullopt : optional_text(text);
  }

  detail::owned<tckms_message_info, tckms_message_info_free> handle_;
};

namespace detail {

/** The return value of a source of stream::pump(): a number of bytes, or a result with one. */
template <class Source>
result<std::size_t> read_from(Source &source, mutable_byte_view in) {
  return source(in);
}

/** The return value of a sink of stream::pump(): nothing, whether to continue, or a result. */
template <class Sink>
result<void> write_to(Sink &sink, byte_view out) {
  using said = std::invoke_result_t<Sink &, byte_view>;
  if constexpr (std::is_void_v<said>) {
    sink(out);
    return {};
  } else if constexpr (is_result<said>::value) {
    return sink(out);
  } else {
    if (sink(out)) return {};
    return error(TCKMS_ERR_CANCELED).with_text("the sink stopped the stream");
  }
}

}  // namespace detail

/** A stream that seals or opens one message: it takes plaintext and returns a message, or the
 * reverse. */
class stream {
 public:
  /** The number of input bytes taken, and of output bytes filled. */
  struct progress {
    std::size_t consumed = 0;
    std::size_t produced = 0;
  };

  /** The number of output bytes filled, and whether the output is complete. */
  struct ending {
    std::size_t produced = 0;
    bool done = false;
  };

  /** Creates a stream that seals. The keyring is copied. */
  static result<stream> seal(const keyring &with, optional_text context) {
    const detail::c_string ctx(context);
    tckms_stream *made = nullptr;
    const auto number = tckms_stream_new_seal(with.get(), ctx.get(), &made);
    return detail::made(number, stream(made), ctx);
  }

  /** Creates a stream that opens. The keyring is copied. */
  static result<stream> open(const keyring &with, optional_text expected_context) {
    const detail::c_string ctx(expected_context);
    tckms_stream *made = nullptr;
    const auto number = tckms_stream_new_open(with.get(), ctx.get(), &made);
    return detail::made(number, stream(made), ctx);
  }

  result<void> set_plaintext_size(std::uint64_t size) {
    return detail::done(tckms_stream_set_plaintext_size(get(), size));
  }
  result<void> set_plaintext_bound(std::uint64_t bound) {
    return detail::done(tckms_stream_set_plaintext_bound(get(), bound));
  }
  result<void> set_signed_allowed(bool allowed) {
    return detail::done(tckms_stream_set_signed_allowed(get(), allowed));
  }

  /** Passes bytes to the stream and gets bytes from it; either count may be 0. */
  result<progress> update(byte_view in, mutable_byte_view out) {
    progress done;
    const auto number =
        tckms_stream_update(get(), in.data(), in.size(), &done.consumed, out.data(), out.size(), &done.produced);
    return detail::made(number, std::move(done));
  }

  /** Ends the stream. Call it until `done`: until then, a message has no end, and a plaintext may
   * be incomplete. */
  result<ending> finish(mutable_byte_view out) {
    ending ended;
    int done = 0;
    const auto number = tckms_stream_finish(get(), out.data(), out.size(), &ended.produced, &done);
    ended.done = done != 0;
    return detail::made(number, std::move(ended));
  }

  /** Moves everything from `source` to `sink`. Returns the number of bytes that the sink received.
   *
   * `source(mutable_byte_view)` fills part of the memory and returns the number of bytes, 0 at the end, or a
   * result<std::size_t>. `sink(byte_view)` returns nothing, or whether to continue, or a result<void>. Exceptions of
   * either reach the caller, and an error of either becomes that of pump(). Unless pump() succeeds, a message has no
   * end, so no reader takes it for a complete one, and an opened plaintext may be incomplete: discard it.
   */
  template <class Source, class Sink>
  result<std::uint64_t> pump(Source &&source, Sink &&sink) {
    constexpr std::size_t chunk = 65536;
    detail::wiped_bytes in(chunk), out(chunk);
    std::uint64_t written = 0;
    const auto write = [&](std::size_t size) -> result<void> {
      written += size;
      return size == 0 ? result<void>() : detail::write_to(sink, out.view().subspan(0, size));
    };
    for (;;) {
      const result<std::size_t> size = detail::read_from(source, in.view());
      if (!size) return size.error();
      if (*size == 0) break;
      detail::require(*size <= chunk);
      byte_view rest = in.view().subspan(0, *size);
      bool full = false;
      // Output is not held back: the source may wait for the reader of the output.
      while (!rest.empty() || full) {
        const result<progress> moved = update(rest, out.view());
        if (!moved) return moved.error();
        rest = rest.subspan(moved->consumed);
        full = moved->produced == chunk;
        if (const result<void> wrote = write(moved->produced); !wrote) return wrote.error();
      }
    }
    for (;;) {
      const result<ending> ended = finish(out.view());
      if (!ended) return ended.error();
      if (const result<void> wrote = write(ended->produced); !wrote) return wrote.error();
      if (ended->done) return written;
    }
  }

  /** The output size with which update() can take `in_size` bytes in one call and finish() can
   * return everything. */
  result<std::size_t> output_size(std::size_t in_size) {
    std::size_t size = 0;
    const auto number = tckms_stream_output_size(get(), in_size, &size);
    return detail::made(number, std::move(size));
  }

  /** The length of the complete message, after set_plaintext_size(). */
  result<std::uint64_t> message_size() {
    std::uint64_t size = 0;
    const auto number = tckms_stream_message_size(get(), &size);
    return detail::made(number, std::move(size));
  }

  tckms_stream *get() noexcept { return handle_.get(); }

 private:
  friend class completion;
  friend class queue;

  explicit stream(tckms_stream *handle) noexcept : handle_(handle) {}

  detail::owned<tckms_stream, tckms_stream_free> handle_;
};

/** A call of a queue that is done. */
class completion {
 public:
  /** The id that the call was submitted with. */
  std::uint64_t id() const noexcept { return tckms_completion_id(get()); }
  /** The pointer that the call was submitted with. */
  void *userdata() const noexcept { return tckms_completion_userdata(get()); }
  /** What the function that blocks would have returned. */
  tckms::status status() const noexcept { return tckms_completion_status(get()); }
  /** Success, or the error of the call. */
  result<void> outcome() const {
    if (why_) return *why_;
    return {};
  }

  /** The output, without a copy. Empty if it was taken. */
  result<buffer> take_output() {
    if (why_) return *why_;
    buffer out;
    const auto number = tckms_completion_take_output(get(), out.out());
    return detail::made(number, std::move(out));
  }

  /** The output of queue::submit_generate_data_key(). */
  result<data_key> take_data_key() {
    if (why_) return *why_;
    data_key out;
    auto number = tckms_completion_take_output(get(), out.plaintext.out());
    if (number == TCKMS_OK) number = tckms_completion_take_ciphertext(get(), out.ciphertext.out());
    return detail::made(number, std::move(out));
  }

  /** The stream of queue::submit_seal_begin() or queue::submit_open_begin(). */
  result<stream> take_stream() {
    if (why_) return *why_;
    tckms_stream *made = nullptr;
    const auto number = tckms_completion_take_stream(get(), &made);
    return detail::made(number, stream(made));
  }

  /** How many bytes of the message the stream of queue::submit_open_begin() has taken. */
  std::size_t consumed() const noexcept { return tckms_completion_consumed(get()); }

  /** The output and the CiphertextBlob of a data key, borrowed. */
  byte_view output() const noexcept { return view(tckms_completion_output(get())); }
  byte_view ciphertext() const noexcept { return view(tckms_completion_ciphertext(get())); }

  /** As last_request_id() and last_key_id() after a call that blocks. */
  std::string_view request_id() const noexcept { return tckms_completion_request_id(get()); }
  std::string_view key_id() const noexcept { return tckms_completion_key_id(get()); }

  tckms_completion *get() noexcept { return handle_.get(); }
  const tckms_completion *get() const noexcept { return handle_.get(); }

 private:
  friend class queue;

  explicit completion(tckms_completion *handle) noexcept : handle_(handle) {
    if (tckms_completion_error(handle) == nullptr) return;
    const auto number = tckms_completion_status(handle);
    why_.emplace(tckms::error::adopt(number, tckms_completion_take_error(handle)));
  }

  static byte_view view(const tckms_buffer *bytes) noexcept {
    return bytes == nullptr ? byte_view() : byte_view(bytes->data, bytes->len);
  }

  detail::owned<tckms_completion, tckms_completion_free> handle_;
  std::optional<tckms::error> why_;
};

/** Calls that do not block, for event loops: submitted here, and taken with next() when they are done.
 *
 * Any number of threads may use a queue at once. The functions that submit return the id of the call. Timeouts are
 * counted in milliseconds, rounded up. tckms_async.hpp has a queue for coroutines and std::future.
 */
class queue {
 public:
  /** A queue for `depth` calls; 0 for the default. */
  static result<queue> make(std::size_t depth = 0) {
    tckms_queue_options options = TCKMS_QUEUE_OPTIONS_INIT;
    options.depth = depth;
    tckms_queue *made = nullptr;
    const auto number = tckms_queue_new(&options, sizeof options, &made);
    return detail::made(number, queue(made));
  }

  /** The descriptor to poll, which is readable while completions wait. It belongs to the queue. */
  result<int> fd() const {
    int found = -1;
    const auto number = tckms_queue_fd(get(), &found);
    return detail::made(number, std::move(found));
  }

  /** The next completion; TCKMS_ERR_AGAIN if no call is done. It never blocks. */
  result<completion> next() const {
    tckms_completion *made = nullptr;
    const auto number = tckms_queue_next(get(), &made);
    return detail::made(number, completion(made));
  }

  /** Waits until a call is done; TCKMS_ERR_AGAIN if the timeout expires first. */
  template <class Rep, class Period>
  result<void> wait(std::chrono::duration<Rep, Period> timeout) const {
    return detail::done(tckms_queue_wait(get(), detail::count_of<std::chrono::milliseconds>(timeout)));
  }

  /** The number of calls that were submitted and not taken. */
  std::size_t outstanding() const noexcept { return tckms_queue_outstanding(get()); }

  /** Cancels a call; TCKMS_ERR_NOT_OUTSTANDING if it is done already. */
  result<void> cancel(std::uint64_t id) const { return detail::done(tckms_cancel(get(), id)); }

  /** Cancels all calls that are not done. */
  result<void> cancel_all() const { return detail::done(tckms_queue_cancel_all(get())); }

  template <class Rep, class Period>
  result<std::uint64_t> submit_encrypt(const client &with, std::string_view key_id, byte_view plaintext,
                                       optional_text context, std::chrono::duration<Rep, Period> timeout,
                                       void *userdata = nullptr) const {
    const detail::c_string key(key_id), ctx(context);
    std::uint64_t id = 0;
    const auto number = tckms_submit_encrypt(get(), with.get(), key.get(), plaintext.data(), plaintext.size(),
                                             ctx.get(), ms(timeout), userdata, &id);
    return detail::made(number, std::move(id), key, ctx);
  }

  template <class Rep, class Period>
  result<std::uint64_t> submit_decrypt(const client &with, optional_text key_id, byte_view blob, optional_text context,
                                       std::chrono::duration<Rep, Period> timeout, void *userdata = nullptr) const {
    const detail::c_string key(key_id), ctx(context);
    std::uint64_t id = 0;
    const auto number = tckms_submit_decrypt(get(), with.get(), key.get(), blob.data(), blob.size(), ctx.get(),
                                             ms(timeout), userdata, &id);
    return detail::made(number, std::move(id), key, ctx);
  }

  template <class Rep, class Period>
  result<std::uint64_t> submit_reencrypt(const client &with, optional_text key_id, byte_view blob,
                                         optional_text source_context, optional_text destination_context,
                                         std::chrono::duration<Rep, Period> timeout, void *userdata = nullptr) const {
    const detail::c_string key(key_id), source(source_context), destination(destination_context);
    std::uint64_t id = 0;
    const auto number = tckms_submit_reencrypt(get(), with.get(), key.get(), blob.data(), blob.size(), source.get(),
                                               destination.get(), ms(timeout), userdata, &id);
    return detail::made(number, std::move(id), key, source, destination);
  }

  template <class Rep, class Period>
  result<std::uint64_t> submit_generate_data_key(const client &with, std::string_view key_id, std::size_t size,
                                                 optional_text context, std::chrono::duration<Rep, Period> timeout,
                                                 void *userdata = nullptr) const {
    const detail::c_string key(key_id), ctx(context);
    std::uint64_t id = 0;
    const auto number = tckms_submit_generate_data_key(get(), with.get(), key.get(), size, ctx.get(), ms(timeout),
                                                       userdata, &id);
    return detail::made(number, std::move(id), key, ctx);
  }

  template <class Rep, class Period>
  result<std::uint64_t> submit_generate_random(const client &with, std::size_t size,
                                               std::chrono::duration<Rep, Period> timeout,
                                               void *userdata = nullptr) const {
    std::uint64_t id = 0;
    const auto number = tckms_submit_generate_random(get(), with.get(), size, ms(timeout), userdata, &id);
    return detail::made(number, std::move(id));
  }

  template <class Rep, class Period>
  result<std::uint64_t> submit_call(const client &with, std::string_view action, std::string_view request_json,
                                    std::chrono::duration<Rep, Period> timeout, void *userdata = nullptr) const {
    const detail::c_string name(action), request(request_json);
    std::uint64_t id = 0;
    const auto number =
        tckms_submit_call(get(), with.get(), name.get(), request.get(), ms(timeout), userdata, &id);
    return detail::made(number, std::move(id), name, request);
  }

  template <class Rep, class Period>
  result<std::uint64_t> submit_sign_digest(const client &with, std::string_view key_id, sign_algorithm algorithm,
                                           byte_view digest, std::chrono::duration<Rep, Period> timeout,
                                           void *userdata = nullptr) const {
    const detail::c_string key(key_id);
    std::uint64_t id = 0;
    const auto number = tckms_submit_sign_digest(get(), with.get(), key.get(), static_cast<int>(algorithm),
                                                 digest.data(), digest.size(), ms(timeout), userdata, &id);
    return detail::made(number, std::move(id), key);
  }

  template <class Rep, class Period>
  result<std::uint64_t> submit_rsa_decrypt(const client &with, std::string_view key_id, rsa_padding padding,
                                           byte_view ciphertext, std::chrono::duration<Rep, Period> timeout,
                                           void *userdata = nullptr) const {
    const detail::c_string key(key_id);
    std::uint64_t id = 0;
    const auto number = tckms_submit_rsa_decrypt(get(), with.get(), key.get(), static_cast<int>(padding),
                                                 ciphertext.data(), ciphertext.size(), ms(timeout), userdata, &id);
    return detail::made(number, std::move(id), key);
  }

  template <class Rep, class Period>
  result<std::uint64_t> submit_public_key(const client &with, std::string_view key_id,
                                          std::chrono::duration<Rep, Period> timeout, void *userdata = nullptr) const {
    const detail::c_string key(key_id);
    std::uint64_t id = 0;
    const auto number = tckms_submit_public_key(get(), with.get(), key.get(), ms(timeout), userdata, &id);
    return detail::made(number, std::move(id), key);
  }

  /** Seals a plaintext of up to TCKMS_QUEUE_MESSAGE_MAX bytes. */
  template <class Rep, class Period>
  result<std::uint64_t> submit_seal(const keyring &with, byte_view plaintext, optional_text context,
                                    std::chrono::duration<Rep, Period> timeout, void *userdata = nullptr) const {
    const detail::c_string ctx(context);
    std::uint64_t id = 0;
    const auto number = tckms_submit_seal(get(), with.get(), plaintext.data(), plaintext.size(), ctx.get(),
                                          ms(timeout), userdata, &id);
    return detail::made(number, std::move(id), ctx);
  }

  /** Opens a message of up to TCKMS_QUEUE_MESSAGE_MAX bytes. A message is longer than its plaintext: that of a
   * plaintext near the limit needs submit_open_begin(). */
  template <class Rep, class Period>
  result<std::uint64_t> submit_open(const keyring &with, byte_view message, optional_text expected_context,
                                    std::chrono::duration<Rep, Period> timeout, void *userdata = nullptr) const {
    const detail::c_string ctx(expected_context);
    std::uint64_t id = 0;
    const auto number = tckms_submit_open(get(), with.get(), message.data(), message.size(), ctx.get(), ms(timeout),
                                          userdata, &id);
    return detail::made(number, std::move(id), ctx);
  }

  /** The key phase of a stream that seals. The queue takes the stream; completion::take_stream() returns it. If the
   * call is refused at once, the stream is left as it was. */
  template <class Rep, class Period>
  result<std::uint64_t> submit_seal_begin(stream &begun, std::chrono::duration<Rep, Period> timeout,
                                          void *userdata = nullptr) const {
    std::uint64_t id = 0;
    tckms_stream *handle = begun.handle_.release();
    const auto number = tckms_submit_seal_begin(get(), &handle, ms(timeout), userdata, &id);
    begun.handle_.reset(handle);
    return detail::made(number, std::move(id));
  }

  /** The same for a stream that opens, with the beginning of the message: at least its whole header. */
  template <class Rep, class Period>
  result<std::uint64_t> submit_open_begin(stream &begun, byte_view header, std::chrono::duration<Rep, Period> timeout,
                                          void *userdata = nullptr) const {
    std::uint64_t id = 0;
    tckms_stream *handle = begun.handle_.release();
    const auto number =
        tckms_submit_open_begin(get(), &handle, header.data(), header.size(), ms(timeout), userdata, &id);
    begun.handle_.reset(handle);
    return detail::made(number, std::move(id));
  }

  const tckms_queue *get() const noexcept { return handle_.get(); }

 private:
  explicit queue(tckms_queue *handle) noexcept : handle_(handle) {}

  template <class Rep, class Period>
  static std::int64_t ms(std::chrono::duration<Rep, Period> timeout) noexcept {
    return detail::count_of<std::chrono::milliseconds>(timeout);
  }

  detail::owned<tckms_queue, tckms_queue_free> handle_;
};

}  // namespace v0_1
}  // namespace tckms

#endif /* C++17 */
#endif /* TCKMS_HPP */
