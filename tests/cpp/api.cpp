// tckms.hpp against the emulator, over HTTP or, when the harness names a CA file, over HTTPS. Also compiled without
// exceptions.
#include "check.h"

#include <tckms.hpp>

#include <algorithm>
#include <atomic>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <sys/wait.h>
#include <thread>
#if __has_include(<span>)
#include <span>
#endif

#include "fixture.h"

#define CHECK_VIEW(got, expected) CHECK_TEXT(std::string(got).c_str(), expected)

namespace {

constexpr std::string_view context = R"({"app":"billing"})";

// Fails with the library's message.
template <class T>
T good(tckms::result<T> result) {
  if (!result) check_failed(__FILE__, __LINE__, "%s", std::string(result.error().message()).c_str());
  return std::move(result).value();
}

void good(const tckms::result<void> &result) {
  if (!result) check_failed(__FILE__, __LINE__, "%s", std::string(result.error().message()).c_str());
  check_done();
}

template <class T>
void fails(const tckms::result<T> &result, tckms_status expected) {
  CHECK(!result);
  CHECK(!result.has_value());
  CHECK_TEXT(tckms_status_name(result.error().status()), tckms_status_name(expected));
  CHECK_INT(result.error().category(), tckms_status_category(expected));
  CHECK(!result.error().message().empty());
}

// A view that no NUL byte follows, such as "abc" of "abcdef".
std::string_view first(std::string_view text, std::size_t size) { return text.substr(0, size); }

tckms::config basic_config() {
  tckms::config config;
  good(config.set_region("ap-guangzhou"));
  good(config.set_endpoint(GIVEN_ENDPOINT));
  good(config.set_credentials(GIVEN_SECRET_ID, GIVEN_SECRET_KEY));
  if (given_ca_file() != nullptr) good(config.set_ca_file(given_ca_file()));
  good(config.set_connect_timeout(std::chrono::seconds(60)));
  good(config.set_try_timeout(std::chrono::seconds(60)));
  good(config.set_total_timeout(std::chrono::minutes(2)));
  return config;
}

tckms::client basic_client() { return good(tckms::client::make(basic_config())); }

void byte_views_come_from_many_types() {
  const std::string text = "text";
  const std::vector<std::uint8_t> vector{1, 2, 3};
  const std::array<std::byte, 2> array{};
  std::uint8_t raw[5] = {};
  char *pointer = const_cast<char *>("pointer");
  char buffer[8] = {'b'};
  const char no_end[] = {'a', 'b'};
  CHECK_INT(tckms::byte_view().size(), 0);
  CHECK(tckms::byte_view().data() == nullptr);
  CHECK_INT(tckms::byte_view(text).size(), 4);
  CHECK_INT(tckms::byte_view(std::string_view(text)).size(), 4);
  CHECK_INT(tckms::byte_view(vector).size(), 3);
  CHECK_INT(tckms::byte_view(array).size(), 2);
  CHECK_INT(tckms::byte_view(raw).size(), 5);
  CHECK_INT(tckms::byte_view("literal").size(), 7);
  CHECK_INT(tckms::byte_view("a\0b").size(), 3);
  CHECK_INT(tckms::byte_view(no_end).size(), 2);
  CHECK_INT(tckms::byte_view(pointer).size(), 7);
  CHECK_INT(tckms::byte_view(static_cast<const char *>(nullptr)).size(), 0);
  CHECK_INT(tckms::byte_view(buffer, sizeof buffer).size(), 8);
  static_assert(!std::is_constructible_v<tckms::byte_view, char (&)[8]>, "an array of char may be text or not");
  static_assert(!std::is_convertible_v<std::vector<int>, tckms::byte_view>, "elements are bytes");
#if defined(__cpp_lib_span)
  CHECK_INT(tckms::byte_view(std::span<const std::uint8_t>(vector)).size(), 3);
  CHECK_INT(tckms::byte_view(std::span<std::uint8_t, 5>(raw)).size(), 5);
#endif
  CHECK(tckms::equal("same", std::string("same")));
  CHECK(!tckms::equal("same", "sama"));
  CHECK(!tckms::equal("same", "same longer"));
  CHECK(tckms::equal({}, {}));
  tckms::wipe(buffer);
  CHECK_INT(buffer[0], 0);
}

void views_have_subspans() {
  std::vector<std::uint8_t> bytes{1, 2, 3, 4};
  const tckms::byte_view view = bytes;
  static_assert(std::is_same_v<decltype(view.data()), const std::byte *>);
  CHECK(view[3] == std::byte{4});
  CHECK_INT(view.end() - view.begin(), 4);
  CHECK(tckms::equal(view.subspan(1), std::string("\2\3\4")));
  CHECK(tckms::equal(view.subspan(1, 2), std::string("\2\3")));
  CHECK(tckms::equal(view.subspan(3, 100), std::string("\4")));
  CHECK(view.subspan(4).empty());

  const tckms::mutable_byte_view writable = bytes;
  static_assert(std::is_same_v<decltype(writable.data()), std::byte *>);
  writable.subspan(2)[0] = std::byte{9};
  CHECK_INT(bytes[2], 9);
  CHECK(tckms::equal(writable, view));
  char text[4] = {};
  std::array<std::byte, 2> array{};
  std::string string(3, 'x');
  CHECK_INT(tckms::mutable_byte_view(text).size(), 4);
  CHECK_INT(tckms::mutable_byte_view(array).size(), 2);
  CHECK_INT(tckms::mutable_byte_view(string).size(), 3);
  tckms::wipe(tckms::mutable_byte_view(string).subspan(1));
  CHECK(string == std::string("x\0\0", 3));
  static_assert(!std::is_constructible_v<tckms::mutable_byte_view, const std::vector<std::uint8_t> &>);
  static_assert(!std::is_constructible_v<tckms::mutable_byte_view, std::string_view>);
  static_assert(!std::is_constructible_v<tckms::mutable_byte_view, const char (&)[4]>);
#if defined(__cpp_lib_span)
  CHECK_INT(tckms::mutable_byte_view(std::span<std::uint8_t>(bytes)).size(), 4);
  static_assert(!std::is_constructible_v<tckms::mutable_byte_view, std::span<const std::uint8_t>>);
#endif
}

void handles_move_and_do_not_copy() {
  static_assert(!std::is_copy_constructible_v<tckms::buffer> && std::is_nothrow_move_constructible_v<tckms::buffer>);
  static_assert(!std::is_copy_constructible_v<tckms::client> && std::is_move_constructible_v<tckms::client>);
  static_assert(!std::is_copy_constructible_v<tckms::config> && std::is_move_constructible_v<tckms::config>);
  static_assert(!std::is_copy_constructible_v<tckms::keyring> && std::is_move_constructible_v<tckms::keyring>);
  static_assert(!std::is_copy_constructible_v<tckms::stream> && std::is_move_constructible_v<tckms::stream>);
  static_assert(!std::is_copy_constructible_v<tckms::result<tckms::buffer>> && std::is_nothrow_copy_constructible_v<tckms::error>);

  tckms::client one = basic_client();
  tckms::client two = std::move(one);
  CHECK(one.get() == nullptr);  // NOLINT: that is what is tested
  fails(one.encrypt(MAIN_KEY, "x", context), TCKMS_ERR_NULL_POINTER);
  tckms::buffer blob = good(two.encrypt(MAIN_KEY, "x", context));
  const std::uint8_t *data = blob.data();
  tckms::buffer moved = std::move(blob);
  CHECK(moved.data() == data);
  CHECK(blob.empty() && blob.data() == nullptr && blob.text().empty());  // NOLINT
  blob = std::move(moved);
  tckms::buffer &same = blob;
  blob = std::move(same);
  CHECK(blob.data() == data);
  CHECK_INT(std::distance(blob.begin(), blob.end()), blob.size());
  blob.clear();
  CHECK(blob.empty());
}

void core_calls() {
  const tckms::client client = basic_client();
  // None of these views ends with a NUL byte.
  const std::string padded_key = std::string(MAIN_KEY) + "garbage";
  const std::string_view key = first(padded_key, std::strlen(MAIN_KEY));
  const std::string padded_context = std::string(context) + "garbage";
  const std::string_view ctx = first(padded_context, context.size());

  const tckms::buffer blob = good(client.encrypt(key, "secret", ctx));
  CHECK_TEXT(tckms::last_key_id().c_str(), MAIN_KEY);
  CHECK_INT(tckms::last_request_id().size(), 36);
  CHECK_INT(blob.data()[blob.size()], 0);
  CHECK_VIEW(good(client.decrypt(key, blob, ctx)).text(), "secret");
  CHECK_VIEW(good(client.decrypt(tckms::any_key, blob.text(), ctx)).text(), "secret");
  fails(client.decrypt(OTHER_KEY, blob, ctx), TCKMS_ERR_KEY_MISMATCH);
  fails(client.decrypt(key, blob, tckms::no_context), TCKMS_ERR_INVALID_CIPHERTEXT);

  const tckms::buffer moved = good(client.reencrypt(OTHER_KEY, blob, ctx, R"({"app":"other"})"));
  CHECK_VIEW(good(client.decrypt(OTHER_KEY, moved, R"({"app":"other"})")).text(), "secret");
  const tckms::buffer again = good(client.reencrypt(tckms::any_key, blob, ctx, tckms::no_context));
  CHECK_VIEW(good(client.decrypt(key, again, tckms::no_context)).text(), "secret");

  const tckms::data_key data_key = good(client.generate_data_key(key, 32, ctx));
  CHECK_INT(data_key.plaintext.size(), 32);
  CHECK(tckms::equal(data_key.plaintext, good(client.decrypt(key, data_key.ciphertext, ctx))));

  std::array<std::uint8_t, 64> random{};
  good(client.generate_random(random));
  CHECK((random != std::array<std::uint8_t, 64>{}));

  CHECK(good(client.call("GetServiceStatus")).text().find("ServiceEnabled") != std::string_view::npos);
  const std::string request = R"({"KeyId":")" + std::string(key) + R"("})";
  CHECK(good(client.call("DescribeKey", request)).text().find(key) != std::string_view::npos);

  const tckms::counters counters = good(client.stats());
  CHECK_INT(counters.calls, 14);
  CHECK_INT(counters.failures_integrity, 1);
  CHECK_INT(counters.failures_request, 1);
}

void failures_are_owned() {
  const tckms::client client = basic_client();
  tckms::result<tckms::buffer> refused = client.encrypt("00000000-0000-0000-0000-000000000000", "x", context);
  fails(refused, TCKMS_ERR_CMK_NOT_FOUND);
  // The error outlives later failures, and may move to another thread.
  fails(client.encrypt("", "x", context), TCKMS_ERR_MALFORMED_KEY_ID);
  std::thread([moved = std::move(refused).error()] {
    CHECK_VIEW(moved.service_code(), "ResourceUnavailable.CmkNotFound");
    CHECK_VIEW(moved.action(), "Encrypt");
    CHECK_VIEW(moved.key_id(), "00000000-0000-0000-0000-000000000000");
    CHECK_INT(moved.request_id().size(), 36);
    CHECK_INT(moved.http_status(), 200);
    CHECK_INT(moved.attempts(), 1);
    CHECK_INT(moved.os_errno(), 0);
    CHECK(!moved.retryable());
    CHECK(!moved.retry_after().has_value());
  }).join();
  CHECK(tckms_last_error() == nullptr);

  // Text that contains a NUL byte is not truncated.
  fails(client.encrypt(std::string(MAIN_KEY) + std::string("\0x", 2), "x", context), TCKMS_ERR_INVALID_UTF8);
  fails(client.encrypt(MAIN_KEY, "x", std::string("{}\0", 3)), TCKMS_ERR_INVALID_UTF8);
  const tckms::error nul = client.encrypt(MAIN_KEY, "x", std::string("{}\0", 3)).error();
  CHECK_VIEW(nul.message(), "a text contains a NUL byte");
  CHECK_VIEW(client.reencrypt(tckms::any_key, "x", std::nullopt, std::string("{}\0", 3)).error().message(),
             "a text contains a NUL byte");
  const tckms::error copy = nul;
  CHECK_TEXT(copy.c_message(), nul.c_message());
  CHECK(client.encrypt(MAIN_KEY, "x", "\xff").error().message() != nul.message());
  // Empty text is not the same as none.
  fails(client.encrypt(MAIN_KEY, "x", ""), TCKMS_ERR_INVALID_CONTEXT);
  fails(client.encrypt(MAIN_KEY, "x", std::string_view()), TCKMS_ERR_INVALID_CONTEXT);
  fails(client.encrypt(std::string_view(), "x", context), TCKMS_ERR_MALFORMED_KEY_ID);
  fails(client.decrypt("", "blob", context), TCKMS_ERR_MALFORMED_KEY_ID);
  fails(client.encrypt(MAIN_KEY, {}, context), TCKMS_ERR_EMPTY_PLAINTEXT);
  fails(client.generate_random({nullptr, 8}), TCKMS_ERR_NULL_POINTER);
  fails(client.generate_data_key(MAIN_KEY, 0, context), TCKMS_ERR_INVALID_LENGTH);

  CHECK_VIEW(tckms::status_name(TCKMS_ERR_CMK_DISABLED), "TCKMS_ERR_CMK_DISABLED");
  CHECK(!tckms::status_message(TCKMS_ERR_CMK_DISABLED).empty());
  CHECK_INT(tckms::status_category(TCKMS_ERR_CMK_DISABLED), TCKMS_CATEGORY_REQUEST);
}

// With exceptions, the function throws one with this status. Without them it would end the program, which
// ends_the_program() checks.
template <class Function>
void has_no_value(tckms_status expected, Function &&function) {
#if TCKMS_HPP_EXCEPTIONS
  tckms_status caught = TCKMS_OK;
  try {
    function();
  } catch (const tckms::exception &exception) {
    caught = exception.status();
  }
  CHECK_INT(caught, expected);
#else
  static_cast<void>(expected);
  static_cast<void>(function);
#endif
}

template <class Function>
void ends_the_program(Function &&function) {
  const pid_t child = fork();
  CHECK(child >= 0);
  if (child == 0) {
    function();
    _exit(0);
  }
  int ended = 0;
  CHECK_INT(waitpid(child, &ended, 0), child);
  CHECK(WIFSIGNALED(ended) && WTERMSIG(ended) == SIGABRT);
}

void results_compose() {
  using number = tckms::result<int>;
  const tckms::error why(TCKMS_ERR_TRUNCATED);
  const auto half = [](int value) -> number {
    if (value % 2 == 0) return value / 2;
    return tckms::error(TCKMS_ERR_INVALID_LENGTH);
  };
  CHECK_INT(number(8).and_then(half).and_then(half).value(), 2);
  CHECK_INT(number(6).and_then(half).and_then(half).error().status(), TCKMS_ERR_INVALID_LENGTH);
  CHECK_INT(number(why).and_then(half).error().status(), TCKMS_ERR_TRUNCATED);
  CHECK_VIEW(number(8).transform([](int value) { return std::to_string(value); }).value(), "8");
  CHECK(!number(why).transform([](int value) { return std::to_string(value); }));
  int seen = 0;
  good(number(8).transform([&](int value) { seen = value; }));
  CHECK_INT(seen, 8);
  CHECK_INT(number(8).value_or(1), 8);
  CHECK_INT(number(why).value_or(1), 1);
  const number lent(8);
  CHECK_INT(lent.and_then(half).value(), 4);
  CHECK_INT(lent.transform([](int value) { return value + 1; }).value(), 9);
  CHECK_INT(lent.value_or(1), 8);
  // A value that only moves is moved along.
  using owner = std::unique_ptr<int>;
  tckms::result<owner> only(std::make_unique<int>(7));
  CHECK_INT(*std::move(only).transform([](owner value) { return value; }).value_or(nullptr), 7);

  const tckms::result<void> fine, failed(why);
  fine.value();
  CHECK_INT(fine.and_then([] { return number(3); }).value(), 3);
  CHECK_INT(fine.transform([] { return 3; }).value(), 3);
  CHECK_INT(failed.and_then([] { return number(3); }).error().status(), TCKMS_ERR_TRUNCATED);
  good(fine.transform([] {}));
  CHECK_VIEW(why.message(), tckms_status_message(TCKMS_ERR_TRUNCATED));
  CHECK(why.get() == nullptr && why.service_code().empty() && !why.retryable() && why.os_errno() == 0);

  has_no_value(TCKMS_ERR_TRUNCATED, [&] { static_cast<void>(number(why).value()); });
  has_no_value(TCKMS_ERR_TRUNCATED, [&] { failed.value(); });
  ends_the_program([&] { static_cast<void>(*number(why)); });
  ends_the_program([&] { static_cast<void>(tckms::result<std::string>(why)->size()); });
  ends_the_program([&] { static_cast<void>(number(8).error()); });
  ends_the_program([&] { static_cast<void>(fine.error()); });
  ends_the_program([&] { static_cast<void>(tckms::byte_view("abc").subspan(4)); });
#if !TCKMS_HPP_EXCEPTIONS
  ends_the_program([&] { static_cast<void>(number(why).value()); });
  ends_the_program([&] { failed.value(); });
#endif
}

void contexts_are_written_as_json() {
  const std::vector<std::pair<std::string, const char *>> pairs{{"tenant", "7"}, {"app", "\"x\""}};
  CHECK_VIEW(good(tckms::context_json(pairs)), R"({"app":"\"x\"","tenant":"7"})");
  CHECK_VIEW(good(tckms::context_json(std::vector<std::pair<std::string, std::string>>())), "{}");
  fails(tckms::context_json(std::vector<std::pair<std::string, std::string>>{{"a", "1"}, {"a", "2"}}),
        TCKMS_ERR_INVALID_CONTEXT);
  CHECK(tckms::status_retryable(TCKMS_ERR_SERVICE_UNAVAILABLE) && !tckms::status_retryable(TCKMS_ERR_CMK_DISABLED));
}

void every_setter_sets() {
  tckms::config config;
  good(config.set_site(tckms::site::international));
  good(config.set_insecure_http_allowed(true));
  good(config.set_ca_pem("-----BEGIN CERTIFICATE-----"));
  good(config.set_proxy("http://127.0.0.1:3128"));
  good(config.set_max_attempts(2));
  good(config.set_max_connections(16));
  good(config.set_max_idle_connections(0));
  good(config.set_idle_timeout(std::chrono::minutes(1)));
  fails(config.set_max_connections(0), TCKMS_ERR_OUT_OF_RANGE);
  good(config.set_retry_unsafe_actions(true));
  good(config.set_rate_limit(100, 10));
  good(config.set_user_agent_suffix("cpp"));
  good(config.set_language("zh-CN"));
  good(config.set_metadata_endpoint("http://127.0.0.1:1"));
  good(config.set_sts_endpoint("http://127.0.0.1:1"));
  good(config.set_env_credentials());
  good(config.set_default_credentials());
  good(config.set_profile_credentials("/nonexistent", "section"));
  good(config.set_profile_credentials("/nonexistent"));
  good(config.set_default_profile_credentials());
  good(config.set_tccli_credentials("/nonexistent"));
  fails(config.set_default_tccli_credentials("a/b"), TCKMS_ERR_INVALID_CREDENTIALS_FILE);
  good(config.set_cvm_role_credentials());
  good(config.set_cvm_role_credentials("role"));
  good(config.set_oidc_credentials("provider", "/nonexistent", "qcs::cam::uin/1:roleName/r", "session",
                                   std::chrono::hours(1)));
  fails(config.set_tke_env_credentials(), TCKMS_ERR_NO_CREDENTIALS);
  tckms::role_options role;
  role.role_arn = "qcs::cam::uin/1:roleName/r";
  good(config.set_assume_role_credentials(role));
  role.session_name = "session";
  role.duration = std::chrono::minutes(30);
  role.external_id = "external";
  role.policy = "{}";
  good(config.set_assume_role_credentials(role));
  // A value that is too large for the type in C is out of range. It is not truncated to a small one.
  role.duration = std::chrono::seconds((std::int64_t{1} << 32) + 3600);
  fails(config.set_assume_role_credentials(role), TCKMS_ERR_OUT_OF_RANGE);
  role.duration = std::chrono::seconds::min();
  fails(config.set_assume_role_credentials(role), TCKMS_ERR_OUT_OF_RANGE);
  fails(config.set_oidc_credentials("provider", "/nonexistent", "qcs::cam::uin/1:roleName/r", "session",
                                    std::chrono::hours(1) + std::chrono::seconds(std::int64_t{1} << 32)),
        TCKMS_ERR_OUT_OF_RANGE);
  good(config.set_credentials("AKIDtest", "key", "token"));
  tckms::config other;
  fails(config.add_fallback_credentials(other), TCKMS_ERR_NO_CREDENTIALS);
  good(other.set_credentials("AKIDtest", "key"));
  good(config.add_fallback_credentials(other));

  fails(config.set_region("AP"), TCKMS_ERR_INVALID_REGION);
  fails(config.set_max_attempts(0), TCKMS_ERR_OUT_OF_RANGE);
  fails(config.set_connect_timeout(std::chrono::milliseconds(0)), TCKMS_ERR_OUT_OF_RANGE);
  good(config.set_connect_timeout(std::chrono::microseconds(1)));
  good(config.set_connect_timeout(std::chrono::duration<double>(0.5)));
  fails(config.set_try_timeout(std::chrono::hours::max()), TCKMS_ERR_OUT_OF_RANGE);
  fails(config.set_try_timeout(std::chrono::hours::min()), TCKMS_ERR_OUT_OF_RANGE);
  fails(config.set_total_timeout(std::chrono::duration<double>(std::numeric_limits<double>::quiet_NaN())),
        TCKMS_ERR_OUT_OF_RANGE);
  fails(config.set_total_timeout(std::chrono::duration<double>(std::numeric_limits<double>::infinity())),
        TCKMS_ERR_OUT_OF_RANGE);
  fails(config.set_credentials("AKID test", "key"), TCKMS_ERR_MALFORMED_CREDENTIALS);
  fails(config.set_log(static_cast<tckms::log_level>(77), nullptr), TCKMS_ERR_OUT_OF_RANGE);
  fails(tckms::client::make(tckms::config()), TCKMS_ERR_INVALID_REGION);
}

void a_derived_client_outlives_its_origin() {
  tckms::config different;
  good(different.set_total_timeout(std::chrono::seconds(60)));
  tckms::client derived = [&different] { return good(basic_client().derive(different)); }();
  CHECK(!good(derived.encrypt(MAIN_KEY, "x", context)).empty());
  good(different.set_region("ap-beijing"));
  fails(derived.derive(different), TCKMS_ERR_NOT_DERIVABLE);
}

void a_derived_client_can_be_canceled() {
  const tckms::client client = basic_client();
  fails(client.derive_timeout(std::chrono::hours(2)), TCKMS_ERR_OUT_OF_RANGE);
  const tckms::client one = good(client.derive_timeout(std::chrono::seconds(30)));
  CHECK(!good(one.encrypt(MAIN_KEY, "x", context)).empty());
  good(one.cancel());
  fails(one.encrypt(MAIN_KEY, "x", context), TCKMS_ERR_CANCELED);
  CHECK(!good(client.encrypt(MAIN_KEY, "x", context)).empty());
}

void a_client_is_made_from_the_environment() {
  const tckms::client client = good(tckms::client::from_env());
  CHECK(!good(client.encrypt(MAIN_KEY, "x", context)).empty());
}

void the_log_callback_lives_as_long_as_a_client() {
  auto lines = std::make_shared<std::atomic<int>>(0);
  {
    tckms::client derived = [&lines] {
      tckms::config config = basic_config();
      good(config.set_log(tckms::log_level::debug, [lines](const tckms::log_event &event) {
        CHECK(event.level() >= tckms::log_level::error && event.level() <= tckms::log_level::debug);
        CHECK(!event.message().empty());
        CHECK(event.action() == "Encrypt" || event.action() == "GenerateDataKey");
        CHECK_INT(event.status(), TCKMS_OK);
        CHECK_INT(event.attempt(), 1);
        CHECK(event.duration().has_value() && *event.duration() < std::chrono::hours(1));
        CHECK_INT(event.request_id().size(), 36);
        ++*lines;
      }));
      const tckms::client client = good(tckms::client::make(config));
      // The client keeps its log callback; the configuration gets another one.
      good(config.set_log(tckms::log_level::off, nullptr));
      return good(client.derive(tckms::config()));
    }();
    CHECK(!good(derived.encrypt(MAIN_KEY, "x", context)).empty());
    CHECK(*lines > 0);
    CHECK_INT(lines.use_count(), 2);
    // A keyring still logs after the client is freed.
    tckms::keyring keyring;
    good(keyring.add_kms(derived, MAIN_KEY));
    derived = basic_client();
    const int before = *lines;
    CHECK(!good(keyring.seal("x", context)).empty());
    CHECK(*lines > before);
    CHECK_INT(lines.use_count(), 2);
  }
  CHECK_INT(lines.use_count(), 1);
}

void credentials_come_from_a_function() {
  auto calls = std::make_shared<int>(0);
  {
    tckms::config config = basic_config();
    good(config.set_credentials_callback([calls](tckms::credentials_out &out) {
      ++*calls;
      CHECK(!out.set("", "key"));
      const auto expiry = std::chrono::system_clock::now() + std::chrono::hours(1);
      good(out.set(GIVEN_SECRET_ID, GIVEN_SECRET_KEY, std::nullopt, expiry));
      return TCKMS_OK;
    }));
    const tckms::client client = good(tckms::client::make(config));
    CHECK(!good(client.encrypt(MAIN_KEY, "x", context)).empty());
    CHECK_INT(*calls, 1);
  }
  CHECK_INT(calls.use_count(), 1);

  tckms::config config = basic_config();
  for (const tckms::status own : {TCKMS_OK, TCKMS_ERR_CREDENTIALS_CALLBACK_FAILED}) {
    good(config.set_credentials_callback([own](tckms::credentials_out &) { return own; }));
    fails(good(tckms::client::make(config)).encrypt(MAIN_KEY, "x", context), TCKMS_ERR_CREDENTIALS_CALLBACK_FAILED);
  }
  good(config.set_credentials_callback([](tckms::credentials_out &) { return TCKMS_ERR_SERVICE_UNAVAILABLE; }));
  const auto outage = good(tckms::client::make(config)).encrypt(MAIN_KEY, "x", context);
  fails(outage, TCKMS_ERR_SERVICE_UNAVAILABLE);
  CHECK(outage.error().retryable());
  // A function that returns a bool would report success with false.
  static_assert(!std::is_constructible_v<tckms::credentials_function, bool (*)(tckms::credentials_out &)>);
}

tckms::custom_key custom_key(std::shared_ptr<int> alive) {
  tckms::custom_key key;
  key.provider_id = "cpp";
  // A wrapping key for tests: it inverts all bits.
  key.wrap = [alive](std::string_view, tckms::byte_view data_key, tckms::wrapped_key_out &out) {
    std::vector<std::uint8_t> wrapped(data_key.size());
    std::memcpy(wrapped.data(), data_key.data(), data_key.size());
    for (std::uint8_t &byte : wrapped) byte = static_cast<std::uint8_t>(~byte);
    return out.set("info", wrapped) ? 0 : static_cast<int>(TCKMS_ERR_SERVICE_UNAVAILABLE);
  };
  key.unwrap = [](std::string_view ctx, const tckms::wrapped_key &given, tckms::mutable_byte_view data_key) {
    CHECK_VIEW(given.provider_id(), "cpp");
    CHECK(tckms::equal(given.info(), "info"));
    CHECK(!ctx.empty());
    CHECK_INT(given.blob().size(), data_key.size());
    for (std::size_t i = 0; i < data_key.size(); i++) data_key[i] = ~given.blob()[i];
    return 0;
  };
  return key;
}

void sealing() {
  auto alive = std::make_shared<int>(0);
  {
    tckms::keyring keyring;
    good(keyring.add_kms(basic_client(), MAIN_KEY));
    good(keyring.add_custom(custom_key(alive)));
    good(keyring.set_cache());
    tckms::cache_limits limits{};
    limits.max_messages = 10;
    good(keyring.set_cache(limits));
    good(keyring.set_commitment_policy(tckms::commitment::required));
    good(keyring.set_signing(false));
    good(keyring.set_frame_len(1024));
    good(keyring.set_max_wrapped_keys(4));
    good(keyring.set_max_rsa_operations(1));
    good(keyring.set_total_timeout(std::chrono::seconds(60)));
    fails(keyring.set_total_timeout(std::chrono::hours(2)), TCKMS_ERR_OUT_OF_RANGE);
    good(keyring.set_max_header_len(65536));
    good(keyring.set_max_frame_len(65536));
    good(keyring.set_max_unframed_len(65536));
    good(keyring.set_reproduced_context(tckms::no_context));
    fails(keyring.add_rsa_public_pem("space", "name", "no pem"), TCKMS_ERR_INVALID_PEM);
    fails(keyring.add_rsa_private_pem("space", "name", "no pem"), TCKMS_ERR_INVALID_PEM);

    const std::string plaintext(5000, 'p');
    const tckms::buffer message = good(keyring.seal(plaintext, context));
    const tckms::message_info info = good(tckms::message_info::read(message));
    CHECK(good(info.json()).text().find("billing") != std::string_view::npos);
    CHECK_INT(info.version(), 2);
    CHECK_INT(info.suite(), 0x0478);
    CHECK(info.is_committing() && !info.is_signed());
    CHECK_INT(info.frame_len(), 1024);
    CHECK_INT(info.header_len() % 1024 > 0, 1);
    CHECK_INT(info.message_id().size(), 32);
    CHECK_INT(info.context_count(), 1);
    CHECK(info.context_key(0) == "app" && info.context_value(0) == "billing" && !info.context_key(1));
    CHECK_INT(info.wrapped_key_count(), 2);
    CHECK_VIEW(info.wrapped_key_at(1).provider_id(), "cpp");
    CHECK(tckms::equal(info.wrapped_key_at(1).info(), "info") && !info.wrapped_key_at(1).blob().empty());
    fails(tckms::message_info::read("no message"), TCKMS_ERR_NOT_A_MESSAGE);
    CHECK(good(keyring.open(message, context)).text() == plaintext);
    fails(keyring.open(message, R"({"app":"other"})"), TCKMS_ERR_CONTEXT_MISMATCH);

    // The custom key alone opens it, by a stream that outlives its keyring.
    tckms::stream stream = [&alive] {
      tckms::keyring offline;
      good(offline.add_custom(custom_key(alive)));
      return good(tckms::stream::open(offline, context));
    }();
    std::vector<std::uint8_t> out(good(stream.output_size(message.size())));
    const auto progress = good(stream.update(message, out));
    CHECK_INT(progress.consumed, message.size());
    const auto ending = good(stream.finish(tckms::mutable_byte_view(out).subspan(progress.produced)));
    CHECK(ending.done);
    CHECK_INT(progress.produced + ending.produced, plaintext.size());
    CHECK(tckms::equal(plaintext, tckms::byte_view(out.data(), plaintext.size())));

    tckms::stream sealing = good(tckms::stream::seal(keyring, context));
    fails(sealing.set_signed_allowed(true), TCKMS_ERR_INVALID_STATE);
    good(sealing.set_plaintext_bound(100));
    good(sealing.set_plaintext_size(3));
    const std::uint64_t total = good(sealing.message_size());
    std::vector<std::uint8_t> sealed(static_cast<std::size_t>(total));
    const auto begun = good(sealing.update("abc", sealed));
    const auto ended = good(sealing.finish(tckms::mutable_byte_view(sealed).subspan(begun.produced)));
    CHECK(ended.done);
    CHECK_INT(begun.produced + ended.produced, total);
    CHECK_VIEW(good(keyring.open(sealed, context)).text(), "abc");
    CHECK(alive.use_count() > 1);

    std::FILE *clear = std::tmpfile();
    std::FILE *closed = std::tmpfile();
    std::FILE *opened = std::tmpfile();
    CHECK(clear != nullptr && closed != nullptr && opened != nullptr);
    CHECK_INT(write(fileno(clear), plaintext.data(), plaintext.size()), plaintext.size());
    CHECK_INT(lseek(fileno(clear), 0, SEEK_SET), 0);
    good(keyring.seal_fd(fileno(clear), fileno(closed), context));
    CHECK_INT(lseek(fileno(closed), 0, SEEK_SET), 0);
    tckms::fd_options options;
    options.threads = 1;
    options.progress = [](std::uint64_t, std::uint64_t) { return true; };
    good(keyring.open_fd(fileno(closed), fileno(opened), context, options));
    CHECK_INT(lseek(fileno(opened), 0, SEEK_END), plaintext.size());
    fails(keyring.open_fd(-1, fileno(opened), context), TCKMS_ERR_DESCRIPTOR_FAILED);
    options.threads = 100000;
    fails(keyring.seal_fd(fileno(clear), fileno(closed), context, options), TCKMS_ERR_OUT_OF_RANGE);
    std::fclose(clear);
    std::fclose(closed);
    std::fclose(opened);
  }
  CHECK_INT(alive.use_count(), 1);
}

std::string create(const tckms::client &client, const char *alias, const char *usage) {
  tckms::create_key_options options;
  options.alias = alias + std::to_string(std::chrono::system_clock::now().time_since_epoch().count());
  options.usage = usage;
  options.tags = {{"team", "billing"}};
  const tckms::created_key key = good(client.create_key(options));
  CHECK(key.tag_failure.empty());
  return key.key_id;
}

void keys_sign_and_decrypt() {
  using algorithm = tckms::sign_algorithm;
  const tckms::client client = basic_client();
  for (const char *usage : {TCKMS_KEY_USAGE_SIGN_ECC, TCKMS_KEY_USAGE_SIGN_RSA_2048, TCKMS_KEY_USAGE_SIGN_SM2}) {
    const std::string key = create(client, "cpp-sign-", usage);
    CHECK(!good(client.public_key(key)).empty());
    CHECK(good(client.public_key_pem(key)).text().find("BEGIN PUBLIC KEY") != std::string_view::npos);
    const tckms::buffer signature = good(client.sign(key, algorithm::key_default, "a message"));
    good(client.verify(key, algorithm::key_default, "a message", signature));
    fails(client.verify(key, algorithm::key_default, "another", signature), TCKMS_ERR_SIGNATURE_INVALID);

    tckms::signer signer = good(client.new_signer(key, algorithm::key_default));
    good(signer.update("a "));
    good(signer.update("message"));
    good(client.verify(key, algorithm::key_default, "a message", good(signer.finish())));
    fails(signer.finish(), TCKMS_ERR_INVALID_STATE);

    const std::array<std::uint8_t, 32> digest{1, 2, 3};
    const tckms::buffer of_digest = good(client.sign_digest(key, algorithm::key_default, digest));
    good(client.verify_digest(key, algorithm::key_default, digest, of_digest));
    if (usage != std::string_view(TCKMS_KEY_USAGE_SIGN_RSA_2048)) {
      const tckms::buffer raw = good(tckms::signature_to_raw(signature, 64));
      CHECK_INT(raw.size(), 64);
      CHECK(tckms::equal(good(tckms::signature_from_raw(raw)), signature));
      good(client.verify(key, algorithm::key_default, "a message", raw));
    }
    if (usage == std::string_view(TCKMS_KEY_USAGE_SIGN_SM2)) {
      const tckms::buffer plain = good(client.sm2_digest(key, "a message"));
      CHECK_INT(plain.size(), 32);
      CHECK(!tckms::equal(plain, good(client.sm2_digest(key, "a message", tckms::byte_view("somebody")))));
      good(client.verify_digest(key, algorithm::sm2_sm3, plain, signature));
      fails(client.sign(key, algorithm::rsa_pss_sha256, "x"), TCKMS_ERR_ALGORITHM_NOT_ALLOWED);
    }
  }
  const tckms::asymmetric_key key(client, create(client, "cpp-key-", TCKMS_KEY_USAGE_SIGN_ECC));
  CHECK(tckms::equal(good(key.public_key()), good(client.public_key(key.id()))));
  CHECK(!good(key.public_key_pem()).empty());
  good(key.verify("a message", good(key.sign("a message"))));
  fails(key.sign("a message", algorithm::sm2_sm3), TCKMS_ERR_ALGORITHM_NOT_ALLOWED);
  const std::array<std::uint8_t, 32> some_digest{4, 5, 6};
  good(key.verify_digest(some_digest, good(key.sign_digest(some_digest))));
  good(good(key.new_signer()).update("in pieces"));
  const std::string rsa = create(client, "cpp-rsa-", TCKMS_KEY_USAGE_DECRYPT_RSA_2048);
  const tckms::asymmetric_key decrypting(client, rsa);
  CHECK_VIEW(good(decrypting.rsa_decrypt(good(decrypting.rsa_encrypt("secret")))).text(), "secret");
  fails(tckms::asymmetric_key(client, rsa).sm2_decrypt(""), TCKMS_ERR_INVALID_LENGTH);
  for (const auto padding :
       {tckms::rsa_padding::oaep_sha256, tckms::rsa_padding::oaep_sha1, tckms::rsa_padding::pkcs1_v1_5}) {
    const tckms::buffer ciphertext = good(client.rsa_encrypt(rsa, padding, "secret"));
    CHECK_VIEW(good(client.rsa_decrypt(rsa, padding, ciphertext)).text(), "secret");
  }
  const std::string sm2 = create(client, "cpp-sm2-", TCKMS_KEY_USAGE_DECRYPT_SM2);
  fails(decrypting.verify("m", "signature"), TCKMS_ERR_INVALID_KEY_USAGE);
  fails(decrypting.new_signer(), TCKMS_ERR_INVALID_KEY_USAGE);
  fails(client.sm2_digest(sm2, "m"), TCKMS_ERR_INVALID_KEY_USAGE);
  const std::string rsa_sign = create(client, "cpp-rsa-sign-", TCKMS_KEY_USAGE_SIGN_RSA_2048);
  fails(client.rsa_encrypt(rsa_sign, tckms::rsa_padding::oaep_sha256, "x"), TCKMS_ERR_INVALID_KEY_USAGE);
  fails(client.sm2_decrypt(sm2, "no ciphertext"), TCKMS_ERR_DECRYPTION_FAILED);
}

// Succeeds, unless the emulator does not have the action.
void emulated(const tckms::result<void> &result) {
  if (!result) CHECK_INT(result.error().status(), TCKMS_ERR_UNSUPPORTED_OPERATION);
}

void keys_are_managed() {
  const tckms::client client = basic_client();
  const std::string key = create(client, "cpp-managed-", TCKMS_KEY_USAGE_ENCRYPT_DECRYPT);
  tckms::key_info info = good(client.describe_key(key));
  CHECK_VIEW(info.key_id, key.c_str());
  CHECK_VIEW(info.state, "Enabled");
  CHECK_VIEW(info.usage, TCKMS_KEY_USAGE_ENCRYPT_DECRYPT);
  CHECK_VIEW(info.origin, "TENCENT_KMS");
  CHECK(std::chrono::system_clock::now() - info.created_at < std::chrono::hours(1));
  CHECK(!info.deleted_at.has_value() && !info.material_expires_at.has_value());

  good(client.set_key_rotation(key, 30));
  CHECK_INT(good(client.describe_key(key)).rotation_days, 30);
  good(client.set_key_rotation(key, 0));
  emulated(client.rotate_key(key));
  good(client.disable_key(key));
  const tckms::time_point when = good(client.schedule_key_deletion(key, 7));
  CHECK(when > std::chrono::system_clock::now() + std::chrono::hours(6 * 24));
  info = good(client.describe_key(key));
  CHECK(info.deleted_at == when);
  tckms::key_filter filter;
  filter.search = key;
  CHECK_INT(good(client.list_keys(filter)).size(), 1);
  filter.state = "Archived";
  CHECK(good(client.list_keys(filter)).empty());
  filter.state = "Drowsy";
  fails(client.list_keys(filter), TCKMS_ERR_OUT_OF_RANGE);
  CHECK(good(client.list_keys()).size() > 1);
  good(client.cancel_key_deletion(key));
  good(client.enable_key(key));
  fails(client.schedule_key_deletion(key, 7), TCKMS_ERR_KEY_NOT_DISABLED);

  tckms::create_key_options options;
  options.alias = "cpp-imported-" + std::to_string(std::chrono::system_clock::now().time_since_epoch().count());
  options.external = true;
  const std::string external = good(client.create_key(options)).key_id;
  const std::array<std::uint8_t, 32> material{1, 2, 3};
  emulated(client.import_key_material(external, material, std::chrono::system_clock::now() + std::chrono::hours(48)));
  fails(client.create_key(options), TCKMS_ERR_ALIAS_EXISTS);
  options.alias = std::string("a\0b", 3);
  fails(client.create_key(options), TCKMS_ERR_INVALID_UTF8);
  options.alias = "cpp-tagged";
  options.tags = {{"team", std::string("a\0b", 3)}};
  CHECK_VIEW(client.create_key(options).error().message(), "a text contains a NUL byte");
}

// A source that returns a text in portions of up to `most` bytes.
auto portions(const std::string &text, std::size_t most) {
  return [&text, most, given = std::size_t{0}](tckms::mutable_byte_view in) mutable {
    const std::size_t size = std::min({most, in.size(), text.size() - given});
    std::memcpy(in.data(), text.data() + given, size);
    given += size;
    return size;
  };
}

void append(std::string &to, tckms::byte_view from) {
  to.append(reinterpret_cast<const char *>(from.data()), from.size());
}

void streams_pump() {
  tckms::keyring keyring;
  good(keyring.add_custom(custom_key(nullptr)));
  good(keyring.set_frame_len(1000));
  tckms::keyring writer;
  good(writer.add_kms(basic_client(), MAIN_KEY));
  good(writer.add_custom(custom_key(nullptr)));
  good(writer.set_frame_len(1000));
  for (const std::size_t length : {0, 1, 999, 1000, 1001, 200000}) {
    const std::string plaintext(length, 'p');
    for (const std::size_t most : {std::size_t{7777}, std::size_t{1} << 20}) {
      std::string message, opened;
      tckms::stream sealing = good(tckms::stream::seal(writer, context));
      const std::uint64_t written =
          good(sealing.pump(portions(plaintext, most), [&](tckms::byte_view out) { append(message, out); }));
      CHECK_INT(written, message.size());
      tckms::stream opening = good(tckms::stream::open(keyring, context));
      CHECK_INT(good(opening.pump(portions(message, most),
                                  [&](tckms::byte_view out) -> tckms::result<void> {
                                    append(opened, out);
                                    return {};
                                  })),
                length);
      CHECK(opened == plaintext);

      tckms::stream truncated = good(tckms::stream::open(keyring, context));
      const std::string beginning = message.substr(0, message.size() - 1);
      fails(truncated.pump(portions(beginning, most), [](tckms::byte_view) { return true; }), TCKMS_ERR_TRUNCATED);
      tckms::stream stopped = good(tckms::stream::seal(writer, context));
      fails(stopped.pump(portions(plaintext, most), [](tckms::byte_view) { return false; }), TCKMS_ERR_CANCELED);
      tckms::stream failed = good(tckms::stream::seal(writer, context));
      fails(failed.pump(
                [](tckms::mutable_byte_view) -> tckms::result<std::size_t> {
                  return tckms::error(TCKMS_ERR_DESCRIPTOR_FAILED);
                },
                [](tckms::byte_view) {}),
            TCKMS_ERR_DESCRIPTOR_FAILED);
    }
  }
#if TCKMS_HPP_EXCEPTIONS
  bool caught = false;
  try {
    tckms::stream stream = good(tckms::stream::seal(writer, context));
    static_cast<void>(stream.pump([](tckms::mutable_byte_view) -> std::size_t { throw 7; }, [](tckms::byte_view) {}));
  } catch (int thrown) {
    caught = thrown == 7;
  }
  CHECK(caught);
#endif
}

void branches_come_from_records_and_from_a_store() {
  const tckms::client client = good(tckms::client::make(basic_config()));
  const std::string record(good(client.make_branch_record(MAIN_KEY, "orders")).text());
  good(client.check_branch_record(record));
  fails(client.check_branch_record("tbk1"), TCKMS_ERR_INVALID_BRANCH_RECORD);
  tckms::branch_options options;
  options.branch_id = "orders";
  options.records = record;
  tckms::keyring from_records;
  good(from_records.add_branch(client, MAIN_KEY, options));
  const tckms::buffer message = good(from_records.seal("x", context));
  CHECK_VIEW(good(from_records.open(message, context)).text(), "x");
  CHECK_INT(good(from_records.branch_stats()).wraps, 1);

  auto kept = std::make_shared<std::vector<std::string>>();
  options = {};
  options.branch_id = "stored";
  options.rotation = std::chrono::hours(24 * 365);
  options.store = tckms::branch_store{
      [kept](std::string_view, tckms::branch_records_out &out) {
        for (const auto &each : *kept) good(out.add(each));
        return 0;
      },
      [kept](std::string_view, std::int64_t, std::string_view text) {
        if (kept->empty()) kept->emplace_back(text);
        return 0;
      }};
  {
    tckms::keyring stored;
    good(stored.add_branch(client, MAIN_KEY, options));
    CHECK(!good(stored.seal("x", context)).empty());
    CHECK_INT(kept->size(), 1);
    CHECK_INT(good(stored.branch_stats()).own_key_wraps, 0);
  }
  options.rotation = std::chrono::milliseconds(0);
  fails(tckms::keyring().add_branch(client, MAIN_KEY, options), TCKMS_ERR_OUT_OF_RANGE);
  options.store.reset();

  tckms::keyring supplied;
  options.branch_id.clear();
  good(supplied.add_branch(client, MAIN_KEY, options));
  good(supplied.set_branch_supplier([](std::string_view json) -> std::optional<std::string> {
    const auto tenant = tckms::context_value(json, "tenant");
    if (!tenant) return std::nullopt;
    return "tenant-" + *tenant;
  }));
  const tckms::buffer of_a = good(supplied.seal("x", "{\"tenant\":\"a\"}"));
  CHECK_VIEW(good(supplied.open(of_a, "{\"tenant\":\"a\"}")).text(), "x");
  fails(supplied.seal("x", "{}"), TCKMS_ERR_BRANCH_NOT_ALLOWED);
  fails(supplied.seal("x", "{\"tenant\":\"not allowed\"}"), TCKMS_ERR_INVALID_BRANCH_ID);
  good(supplied.set_branch_supplier(nullptr));
  fails(supplied.open(of_a, tckms::no_context), TCKMS_ERR_BRANCH_NOT_ALLOWED);
}

#if TCKMS_HPP_EXCEPTIONS
void value_throws_if_there_is_none() {
  const tckms::client client = tckms::client::make(basic_config()).value();
  const tckms::buffer blob = client.encrypt(MAIN_KEY, "secret", context).value();
  CHECK_VIEW(client.decrypt(MAIN_KEY, blob, context).value().text(), "secret");
  bool caught = false;
  try {
    static_cast<void>(client.encrypt("00000000-0000-0000-0000-000000000000", "x", context).value());
  } catch (const tckms::exception &exception) {
    const tckms::exception copy = exception;
    CHECK_INT(copy.status(), TCKMS_ERR_CMK_NOT_FOUND);
    CHECK_VIEW(copy.error().service_code(), "ResourceUnavailable.CmkNotFound");
    CHECK_HAS(copy.what(), "CmkNotFound");
    caught = true;
  }
  CHECK(caught);
  caught = false;
  try {
    tckms::config().set_region("?").value();
  } catch (const std::exception &exception) {
    CHECK(*exception.what() != '\0');
    caught = true;
  }
  CHECK(caught);
}

void exceptions_do_not_leave_a_callback() {
  tckms::config config = basic_config();
  good(config.set_log(tckms::log_level::debug, [](const tckms::log_event &) { throw 1; }));
  CHECK(!good(good(tckms::client::make(config)).encrypt(MAIN_KEY, "x", context)).empty());
  good(config.set_credentials_callback([](tckms::credentials_out &) -> tckms::status { throw std::bad_alloc(); }));
  fails(good(tckms::client::make(config)).encrypt(MAIN_KEY, "x", context), TCKMS_ERR_CREDENTIALS_CALLBACK_FAILED);

  tckms::custom_key key = custom_key(nullptr);
  key.wrap = [](std::string_view, tckms::byte_view, tckms::wrapped_key_out &) -> int { throw 1; };
  tckms::keyring keyring;
  good(keyring.add_custom(key));
  fails(keyring.seal("x", context), TCKMS_ERR_CUSTOM_KEY_FAILED);
  key.wrap = [](std::string_view, tckms::byte_view, tckms::wrapped_key_out &) -> int {
    throw std::runtime_error("the drawer is locked");
  };
  tckms::keyring other;
  good(other.add_custom(key));
  CHECK(other.seal("x", context).error().message().find("the drawer is locked") != std::string_view::npos);
}
#endif

}  // namespace

int main() {
  byte_views_come_from_many_types();
  views_have_subspans();
  handles_move_and_do_not_copy();
  results_compose();
  contexts_are_written_as_json();
  core_calls();
  failures_are_owned();
  every_setter_sets();
  a_derived_client_outlives_its_origin();
  a_derived_client_can_be_canceled();
  a_client_is_made_from_the_environment();
  the_log_callback_lives_as_long_as_a_client();
  credentials_come_from_a_function();
  sealing();
  streams_pump();
  keys_sign_and_decrypt();
  keys_are_managed();
  branches_come_from_records_and_from_a_store();
#if TCKMS_HPP_EXCEPTIONS
  value_throws_if_there_is_none();
  exceptions_do_not_leave_a_callback();
#endif
  CHECK_INT(tckms::version_number(), TCKMS_VERSION_NUMBER);
  CHECK_VIEW(tckms::version(), TCKMS_VERSION);
  CHECK_INT(tckms::plaintext_max(), TCKMS_PLAINTEXT_MAX);
  CHECK_INT(tckms::encryption_context_max(), TCKMS_ENCRYPTION_CONTEXT_MAX);
  CHECK_INT(tckms::random_max(), TCKMS_RANDOM_MAX);
  CHECK_INT(tckms::key_id_max(), TCKMS_KEY_ID_MAX);
  CHECK_INT(tckms::threads_max(), TCKMS_THREADS_MAX);
  CHECK_INT(tckms::ciphertext_blob_max(), TCKMS_CIPHERTEXT_BLOB_MAX);
  return checks_passed();
}
