// tckms_async.hpp against the emulator. Also compiled without exceptions.
#include "check.h"

#include <tckms_async.hpp>

#include <algorithm>
#include <poll.h>
#include <set>
#include <string>
#include <sys/wait.h>
#include <thread>

#include "admin.h"
#include "fixture.h"

namespace {

using namespace std::chrono_literals;

constexpr std::string_view context = R"({"app":"billing"})";
constexpr const char *slow = R"({"kind":"delay","ms":20000})";

template <class T>
T good(tckms::result<T> result) {
  if (!result) check_failed(__FILE__, __LINE__, "%s", std::string(result.error().message()).c_str());
  return std::move(result).value();
}

void good(const tckms::result<void> &result) {
  if (!result) check_failed(__FILE__, __LINE__, "%s", std::string(result.error().message()).c_str());
}

template <class T>
void fails(const tckms::result<T> &result, tckms_status expected) {
  CHECK(!result);
  CHECK_TEXT(tckms_status_name(result.error().status()), tckms_status_name(expected));
  CHECK(!result.error().message().empty());
}

// A coroutine that starts at once, and that its owner may destroy while it is suspended.
class task {
 public:
  struct promise_type {
    task get_return_object() { return task(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() {
#if TCKMS_HPP_EXCEPTIONS
      failure = std::current_exception();
#endif
    }
#if TCKMS_HPP_EXCEPTIONS
    std::exception_ptr failure;
#endif
  };

  task(task &&other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  ~task() {
    if (handle_) handle_.destroy();
  }

  bool done() const { return handle_.done(); }
#if TCKMS_HPP_EXCEPTIONS
  std::exception_ptr failure() const { return handle_.promise().failure; }
#endif

 private:
  explicit task(std::coroutine_handle<promise_type> handle) : handle_(handle) {}
  std::coroutine_handle<promise_type> handle_;
};

tckms::client basic_client() {
  tckms::config config;
  good(config.set_region("ap-guangzhou"));
  good(config.set_endpoint(GIVEN_ENDPOINT));
  good(config.set_credentials(GIVEN_SECRET_ID, GIVEN_SECRET_KEY));
  if (given_ca_file() != nullptr) good(config.set_ca_file(given_ca_file()));
  good(config.set_connect_timeout(60s));
  good(config.set_try_timeout(60s));
  good(config.set_total_timeout(2min));
  return good(tckms::client::make(config));
}

tckms::async_queue basic_queue(std::size_t depth = 0) { return good(tckms::async_queue::make(depth)); }

// Processes completions as an event loop does.
template <class Until>
void process_until(const tckms::async_queue &queue, Until until) {
  while (!until()) {
    pollfd polled{good(queue.fd()), POLLIN, 0};
    CHECK_INT(poll(&polled, 1, 60000), 1);
    CHECK(queue.process() > 0);
  }
}

void finish(const tckms::async_queue &queue, const task &running) {
  process_until(queue, [&] { return running.done(); });
#if TCKMS_HPP_EXCEPTIONS
  if (running.failure()) std::rethrow_exception(running.failure());
#endif
}

task core_calls_in_turn(const tckms::async_queue &queue, const tckms::client &client) {
  const tckms::buffer blob = good(co_await queue.encrypt(client, MAIN_KEY, std::string("secret"), context));
  CHECK(good(co_await queue.decrypt(client, MAIN_KEY, blob, context)).text() == "secret");
  CHECK(good(co_await queue.decrypt(client, tckms::any_key, blob, context, 30s)).text() == "secret");
  const tckms::buffer moved =
      good(co_await queue.reencrypt(client, OTHER_KEY, blob, context, tckms::no_context));
  CHECK(good(client.decrypt(OTHER_KEY, moved, tckms::no_context)).text() == "secret");
  const tckms::data_key key = good(co_await queue.generate_data_key(client, MAIN_KEY, 32, context));
  CHECK_INT(key.plaintext.size(), 32);
  CHECK(tckms::equal(key.plaintext, good(client.decrypt(MAIN_KEY, key.ciphertext, context))));
  CHECK_INT(good(co_await queue.generate_random(client, 64)).size(), 64);
  CHECK(good(co_await queue.call(client, "GetServiceStatus")).text().find("ServiceEnabled") != std::string_view::npos);

  auto call = queue.encrypt(client, MAIN_KEY, "x", context);
  CHECK(call.id() != 0);
  CHECK(call.request_id().empty() && call.key_id().empty());
  good(co_await call);
  CHECK(call.done());
  CHECK_INT(call.request_id().size(), 36);
  CHECK(call.key_id() == MAIN_KEY);
}

task asymmetric_calls(const tckms::async_queue &queue, const tckms::client &client) {
  const auto key_of = [&](const char *usage) {
    tckms::create_key_options options;
    options.alias = std::string("async-") + usage;
    std::replace(options.alias.begin(), options.alias.end(), '_', '-');
    options.usage = usage;
    return good(client.create_key(options)).key_id;
  };
  const std::string signing = key_of("ASYMMETRIC_SIGN_VERIFY_ECC"), decrypting = key_of("ASYMMETRIC_DECRYPT_RSA_2048");
  const std::string digest(32, 'd');
  const auto algorithm = tckms::sign_algorithm::ecdsa_p256_sha256;
  const tckms::buffer signature = good(co_await queue.sign_digest(client, signing, algorithm, digest));
  good(client.verify_digest(signing, algorithm, digest, signature));
  const tckms::buffer public_key = good(co_await queue.public_key(client, signing));
  CHECK(tckms::equal(public_key, good(client.public_key(signing))));
  const auto padding = tckms::rsa_padding::oaep_sha256;
  const tckms::buffer ciphertext = good(client.rsa_encrypt(decrypting, padding, "secret"));
  CHECK(good(co_await queue.rsa_decrypt(client, decrypting, padding, ciphertext)).text() == "secret");
}

task messages(const tckms::async_queue &queue, const tckms::client &client) {
  tckms::keyring keyring;
  good(keyring.add_kms(client, MAIN_KEY));
  const tckms::buffer message = good(co_await queue.seal(keyring, "a message", context));
  CHECK(good(co_await queue.open(keyring, message, context)).text() == "a message");
  fails(co_await queue.open(keyring, "not a message", context), TCKMS_ERR_NOT_A_MESSAGE);

  std::array<std::uint8_t, 4096> out{};
  tckms::stream sealer = good(co_await queue.seal_begin(good(tckms::stream::seal(keyring, context))));
  const auto begun = good(sealer.update("a stream", out));
  CHECK_INT(begun.consumed, 8);
  const std::size_t size =
      begun.produced + good(sealer.finish(tckms::mutable_byte_view(out).subspan(begun.produced))).produced;
  const tckms::byte_view sealed(out.data(), size);
  auto [opener, consumed] =
      good(co_await queue.open_begin(good(tckms::stream::open(keyring, context)), sealed));
  CHECK(consumed > 0 && consumed <= size);
  std::array<std::uint8_t, 4096> plain{};
  const auto rest = good(opener.update(sealed.subspan(consumed), plain));
  const auto ended = good(opener.finish(tckms::mutable_byte_view(plain).subspan(rest.produced)));
  CHECK(ended.done);
  CHECK(tckms::equal(tckms::byte_view(plain.data(), rest.produced + ended.produced), "a stream"));
  // A stream of the other direction is refused at once.
  fails(co_await queue.seal_begin(good(tckms::stream::open(keyring, context))), TCKMS_ERR_INVALID_STATE);
}

void every_call_can_be_awaited() {
  const tckms::client client = basic_client();
  const tckms::async_queue queue = basic_queue();
  finish(queue, core_calls_in_turn(queue, client));
  finish(queue, asymmetric_calls(queue, client));
  finish(queue, messages(queue, client));
  CHECK_INT(queue.outstanding(), 0);
  CHECK_INT(queue.process(), 0);
  fails(queue.wait(1ms), TCKMS_ERR_AGAIN);
}

task await_in_order(const tckms::async_queue &queue, const tckms::client &client, std::vector<std::string> *got) {
  std::vector<tckms::pending_call<tckms::buffer>> calls;
  for (int number = 0; number < 20; ++number) {
    calls.push_back(queue.encrypt(client, MAIN_KEY, std::to_string(number), context));
  }
  CHECK_INT(queue.outstanding(), 20);
  for (auto &call : calls) got->emplace_back(good(co_await call).text());
}

void calls_run_at_the_same_time() {
  const tckms::client client = basic_client();
  const tckms::async_queue queue = basic_queue();
  std::vector<std::string> got;
  finish(queue, await_in_order(queue, client, &got));
  for (int number = 0; number < 20; ++number) {
    CHECK(good(client.decrypt(MAIN_KEY, got[static_cast<std::size_t>(number)], context)).text() == std::to_string(number));
  }
}

task failures(const tckms::async_queue &queue, const tckms::client &client) {
  const auto missing = co_await queue.encrypt(client, "00000000-0000-0000-0000-000000000000", "x", context);
  fails(missing, TCKMS_ERR_CMK_NOT_FOUND);
  CHECK(missing.error().service_code() == "ResourceUnavailable.CmkNotFound");
  CHECK(missing.error().action() == "Encrypt");
  CHECK_INT(missing.error().request_id().size(), 36);
  auto refused = queue.encrypt(client, MAIN_KEY, "", context);
  CHECK(refused.done());
  CHECK_INT(refused.id(), 0);
  fails(co_await refused, TCKMS_ERR_EMPTY_PLAINTEXT);
  fails(co_await queue.encrypt(client, std::string_view("a\0b", 3), "x", context), TCKMS_ERR_INVALID_UTF8);
  fails(co_await queue.generate_random(client, 1, 0ms), TCKMS_ERR_OUT_OF_RANGE);
  fails(co_await queue.generate_random(client, 1, -1s), TCKMS_ERR_OUT_OF_RANGE);
}

task one_call(const tckms::async_queue &queue, const tckms::client &client, std::optional<tckms_status> *got) {
  const auto blob = co_await queue.encrypt(client, MAIN_KEY, "x", context);
  *got = blob ? TCKMS_OK : blob.error().status();
}

void failures_are_results() {
  const tckms::client client = basic_client();
  const tckms::async_queue queue = basic_queue();
  finish(queue, failures(queue, client));

  const tckms::async_queue small = basic_queue(1);
  std::optional<tckms_status> first, second;
  const task one = one_call(small, client, &first), other = one_call(small, client, &second);
  CHECK(other.done() && second == TCKMS_ERR_QUEUE_FULL);
  finish(small, one);
  CHECK(first == TCKMS_OK);
  set_fault("*", slow, 1);
  const auto late = small.generate_random(client, 1, 50ms);
  process_until(small, [&] { return late.done(); });
  clear_faults();
}

#if TCKMS_HPP_EXCEPTIONS
task throws(const tckms::async_queue &queue, const tckms::client &client) {
  static_cast<void>((co_await queue.decrypt(client, tckms::any_key, "x", context)).value());
}

void an_exception_reaches_the_coroutine() {
  const tckms::client client = basic_client();
  const tckms::async_queue queue = basic_queue();
  const task running = throws(queue, client);
  process_until(queue, [&] { return running.done(); });
  bool caught = false;
  try {
    std::rethrow_exception(running.failure());
  } catch (const tckms::exception &exception) {
    CHECK_INT(exception.status(), TCKMS_ERR_INVALID_CIPHERTEXT);
    caught = true;
  }
  CHECK(caught);
}

// A coroutine whose exceptions reach the code that resumes it.
struct escaping {
  struct promise_type {
    escaping get_return_object() { return escaping(std::coroutine_handle<promise_type>::from_promise(*this)); }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_always final_suspend() noexcept { return {}; }
    void return_void() noexcept {}
    void unhandled_exception() { throw; }
  };

  explicit escaping(std::coroutine_handle<> made) : handle(made) {}
  escaping(escaping &&other) noexcept : handle(std::exchange(other.handle, nullptr)) {}
  ~escaping() {
    if (handle) handle.destroy();
  }

  std::coroutine_handle<> handle;
};

escaping escapes(const tckms::async_queue &queue, const tckms::client &client) {
  good(co_await queue.generate_random(client, 1));
  throw 7;
}

void an_exception_that_leaves_a_coroutine_leaves_process() {
  const tckms::client client = basic_client();
  const tckms::async_queue queue = basic_queue();
  const escaping thrower = escapes(queue, client);
  std::optional<tckms_status> got;
  const task running = one_call(queue, client, &got);
  int caught = 0;
  while (!running.done() || caught == 0) {
    good(queue.wait(60s));
    try {
      queue.process();
    } catch (int number) {
      caught = number;
    }
  }
  CHECK_INT(caught, 7);
  CHECK(got == TCKMS_OK);
}

escaping value_of(const tckms::async_queue &queue, const tckms::client &client) {
  static_cast<void>((co_await queue.generate_random(client, 1)).value());
}

void an_exception_that_leaves_a_coroutine_ends_the_program_in_the_destructor() {
  const pid_t child = fork();
  if (child == 0) {
    std::set_terminate([] { _exit(42); });
    const tckms::client client = basic_client();
    set_fault("*", slow, 1);
    std::optional<tckms::async_queue> queue = basic_queue();
    const escaping thrower = value_of(*queue, client);
    queue.reset();
    _exit(0);
  }
  int status = -1;
  CHECK_INT(waitpid(child, &status, 0), child);
  CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 42);
  clear_faults();
}

void a_drained_queue_reports_exceptions_from_process() {
  const tckms::client client = basic_client();
  int caught = 0;
  set_fault("*", slow, 2);
  {
    const tckms::async_queue queue = basic_queue();
    const escaping first = value_of(queue, client), second = value_of(queue, client);
    queue.close();
    while (queue.outstanding() > 0) {
      good(queue.wait(60s));
      try {
        queue.process();
      } catch (const tckms::exception &exception) {
        CHECK_INT(exception.status(), TCKMS_ERR_CANCELED);
        ++caught;
      }
    }
  }
  CHECK_INT(caught, 2);
  clear_faults();
}
#endif

task canceled_call(const tckms::async_queue &queue, const tckms::client &client, std::uint64_t *id) {
  auto call = queue.encrypt(client, MAIN_KEY, "x", context);
  *id = call.id();
  fails(co_await call, TCKMS_ERR_CANCELED);
}

#if defined(__cpp_lib_jthread)
task stopped_call(const tckms::async_queue &queue, const tckms::client &client, std::stop_token token) {
  fails(co_await queue.encrypt(client, MAIN_KEY, "x", context).cancel_on(token), TCKMS_ERR_CANCELED);
  // The stop has been requested already.
  fails(co_await queue.encrypt(client, MAIN_KEY, "x", context).cancel_on(token), TCKMS_ERR_CANCELED);
  fails(co_await queue.encrypt(client, MAIN_KEY, "", context).cancel_on(token), TCKMS_ERR_EMPTY_PLAINTEXT);
}
#endif

void calls_can_be_canceled() {
  const tckms::client client = basic_client();
  const tckms::async_queue queue = basic_queue();
  set_fault("*", slow, 100);
  std::uint64_t id = 0;
  const task by_id = canceled_call(queue, client, &id);
  good(queue.cancel(id));
  finish(queue, by_id);
  fails(queue.cancel(id), TCKMS_ERR_NOT_OUTSTANDING);

  auto call = queue.encrypt(client, MAIN_KEY, "x", context);
  call.cancel();
  process_until(queue, [&] { return call.done(); });
  call.cancel();

#if defined(__cpp_lib_jthread)
  std::stop_source source;
  const task stopped = stopped_call(queue, client, source.get_token());
  CHECK(!stopped.done());
  source.request_stop();
  finish(queue, stopped);
#endif
  clear_faults();
}

void a_suspended_coroutine_can_be_destroyed() {
  const tckms::client client = basic_client();
  const tckms::async_queue queue = basic_queue();
  set_fault("*", slow, 100);
  std::optional<tckms_status> got;
  {
    const task running = one_call(queue, client, &got);
    CHECK(!running.done());
    // This call is never awaited.
    static_cast<void>(queue.encrypt(client, MAIN_KEY, "x", context));
  }
  CHECK_INT(queue.outstanding(), 2);
  process_until(queue, [&] { return queue.outstanding() == 0; });
  CHECK(!got);
  clear_faults();
}

task until_the_end(const tckms::async_queue &queue, const tckms::client &client, int *resumed) {
  fails(co_await queue.encrypt(client, MAIN_KEY, "x", context), TCKMS_ERR_CANCELED);
  fails(co_await queue.encrypt(client, MAIN_KEY, "x", context), TCKMS_ERR_CANCELED);
  ++*resumed;
}

void destroying_a_queue_resumes_suspended_coroutines() {
  const tckms::client client = basic_client();
  set_fault("*", slow, 100);
  int resumed = 0;
  std::vector<task> tasks;
  std::optional<tckms::pending_call<tckms::buffer>> outlives;
  std::future<tckms::result<tckms::buffer>> future;
  {
    std::optional<tckms::async_queue> queue = basic_queue();
    for (int count = 0; count < 10; ++count) tasks.push_back(until_the_end(*queue, client, &resumed));
    outlives.emplace(queue->encrypt(client, MAIN_KEY, "x", context));
    future = queue->encrypt(client, MAIN_KEY, "x", context).future();
    queue.reset();
  }
  CHECK_INT(resumed, 10);
  CHECK(outlives->done());
  fails(outlives->await_resume(), TCKMS_ERR_CANCELED);
  fails(future.get(), TCKMS_ERR_CANCELED);
  tckms::async_queue one = basic_queue();
  auto moved = one.encrypt(client, MAIN_KEY, "x", context);
  one = basic_queue();
  CHECK(moved.done());
  clear_faults();
}

task destroys(std::optional<tckms::async_queue> *queue, const tckms::client &client) {
  good(co_await (*queue)->generate_random(client, 1));
  queue->reset();
}

void a_coroutine_may_destroy_its_queue() {
  const tckms::client client = basic_client();
  std::optional<tckms::async_queue> queue = basic_queue();
  const task running = destroys(&queue, client);
  while (!running.done()) {
    good(queue->wait(60s));
    queue->process();
  }
  CHECK(!queue);
}

void futures_need_no_coroutine() {
  const tckms::client client = basic_client();
  const tckms::async_queue queue = basic_queue();
  std::thread loop([&] { queue.run(); });
  std::vector<std::future<tckms::result<tckms::buffer>>> futures;
  for (int count = 0; count < 50; ++count) {
    futures.push_back(queue.encrypt(client, MAIN_KEY, std::to_string(count), context).future());
  }
  for (int count = 0; count < 50; ++count) {
    const tckms::buffer blob = good(futures[static_cast<std::size_t>(count)].get());
    CHECK(good(queue.decrypt(client, MAIN_KEY, blob, context).future().get()).text() == std::to_string(count));
  }
  fails(queue.encrypt(client, MAIN_KEY, "", context).future().get(), TCKMS_ERR_EMPTY_PLAINTEXT);
  auto late = queue.generate_random(client, 8);
  while (!late.done()) std::this_thread::sleep_for(1ms);
  CHECK_INT(good(std::move(late).future().get()).size(), 8);
  set_fault("*", slow, 1);
  auto canceled = queue.generate_random(client, 8).future();
  queue.close();
  fails(canceled.get(), TCKMS_ERR_CANCELED);
  loop.join();
  fails(queue.generate_random(client, 8).future().get(), TCKMS_ERR_CANCELED);
  clear_faults();
}

task many_calls(const tckms::async_queue &queue, const tckms::client &client, std::atomic<int> *done) {
  for (int count = 0; count < 10; ++count) CHECK_INT(good(co_await queue.generate_random(client, 16)).size(), 16);
  ++*done;
}

void threads_may_share_a_queue() {
  const tckms::client client = basic_client();
  const tckms::async_queue queue = basic_queue();
  std::atomic<int> done = 0;
  std::vector<std::thread> threads;
  std::vector<std::vector<task>> tasks(4);
  for (std::size_t number = 0; number < 4; ++number) {
    threads.emplace_back([&, number] {
      for (int count = 0; count < 10; ++count) tasks[number].push_back(many_calls(queue, client, &done));
      while (done < 40) {
        if (queue.wait(10ms)) queue.process(3);
      }
    });
  }
  for (std::thread &thread : threads) thread.join();
  // A coroutine increments the counter before it has ended.
  for (const auto &some : tasks) {
    for (const task &running : some) CHECK(running.done());
  }
}

void a_child_resumes_without_success() {
  const tckms::client client = basic_client();
  const tckms::async_queue queue = basic_queue();
  set_fault("*", slow, 1);
  std::optional<tckms_status> got;
  const task running = one_call(queue, client, &got);
  const pid_t child = fork();
  if (child == 0) {
    finish(queue, running);
    CHECK(got == TCKMS_ERR_TRANSPORT_UNAVAILABLE);
    clear_faults();
    std::optional<tckms_status> again;
    finish(queue, one_call(queue, client, &again));
    CHECK(again == TCKMS_OK);
    _exit(0);
  }
  int status = -1;
  CHECK_INT(waitpid(child, &status, 0), child);
  CHECK_INT(status, 0);
}

void calls_can_be_submitted_without_coroutines() {
  const tckms::client client = basic_client();
  tckms::queue queue = good(tckms::queue::make());
  int userdata = 0;
  const std::uint64_t id = good(queue.submit_encrypt(client, MAIN_KEY, "secret", context, 1min, &userdata));
  good(queue.wait(1min));
  tckms::completion done = good(queue.next());
  CHECK_INT(done.id(), id);
  CHECK(done.userdata() == &userdata);
  good(done.outcome());
  CHECK(done.key_id() == MAIN_KEY);
  CHECK_INT(done.request_id().size(), 36);
  const std::size_t size = done.output().size();
  CHECK(size > 0);
  CHECK_INT(good(done.take_output()).size(), size);
  CHECK(done.output().empty() && done.ciphertext().empty());
  fails(done.take_stream(), TCKMS_ERR_INVALID_STATE);
  fails(queue.next(), TCKMS_ERR_AGAIN);
  fails(queue.cancel(id), TCKMS_ERR_NOT_OUTSTANDING);
  good(queue.cancel_all());

  good(queue.submit_decrypt(client, tckms::any_key, "x", context, 1min));
  good(queue.wait(1min));
  tckms::error why(TCKMS_OK);
  {
    const tckms::completion failed = good(queue.next());
    CHECK_INT(failed.status(), TCKMS_ERR_INVALID_CIPHERTEXT);
    why = failed.outcome().error();
  }
  CHECK(why.action() == "Decrypt" && why.request_id().size() == 36);
  tckms::stream kept = good(tckms::stream::open(tckms::keyring(), context));
  fails(queue.submit_seal_begin(kept, 1min), TCKMS_ERR_INVALID_STATE);
  CHECK(kept.get() != nullptr);
  const tckms::queue moved = std::move(queue);
  fails(queue.next(), TCKMS_ERR_NULL_POINTER);  // NOLINT: that is what is tested
  CHECK_INT(queue.outstanding(), 0);            // NOLINT
}

}  // namespace

int main() {
  calls_can_be_submitted_without_coroutines();
  every_call_can_be_awaited();
  calls_run_at_the_same_time();
  failures_are_results();
  calls_can_be_canceled();
  a_suspended_coroutine_can_be_destroyed();
  destroying_a_queue_resumes_suspended_coroutines();
  a_coroutine_may_destroy_its_queue();
  futures_need_no_coroutine();
  threads_may_share_a_queue();
  if (std::getenv("TEST_SANITIZED") == nullptr) a_child_resumes_without_success();
#if TCKMS_HPP_EXCEPTIONS
  an_exception_reaches_the_coroutine();
  an_exception_that_leaves_a_coroutine_leaves_process();
  a_drained_queue_reports_exceptions_from_process();
  if (std::getenv("TEST_SANITIZED") == nullptr) {
    an_exception_that_leaves_a_coroutine_ends_the_program_in_the_destructor();
  }
#endif
  return checks_passed();
}
