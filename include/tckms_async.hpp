/* SPDX-License-Identifier: Apache-2.0 OR MIT */

#ifndef TCKMS_ASYNC_HPP
#define TCKMS_ASYNC_HPP

/*
 * tckms_async.hpp - calls for coroutines and std::future, in C++20, header-only
 *
 *     tckms::async_queue queue = tckms::async_queue::make().value();
 *
 *     task serve(const tckms::client &client, request asked) {
 *       tckms::result<tckms::buffer> plain = co_await queue.decrypt(client, key_id, asked.blob, tckms::no_context);
 *       asked.reply(plain ? plain->text() : plain.error().message());
 *     }
 *
 *     // In the event loop, when queue.fd() is readable:
 *     queue.process();
 *
 * It adds no thread and no scheduler: a coroutine continues inside process(), on the thread that calls it. Programs
 * bring their own coroutine type. Results are those of tckms.hpp, with and without exceptions.
 *
 * CALLS
 *   A function such as encrypt() submits the call at once and copies its arguments, so they may be temporaries. It
 *   returns a pending_call, which a coroutine awaits: calls that are started one after the other and awaited later run
 *   at the same time. A call that is refused at once, for example because the queue is full, is done with that error.
 *   Without a timeout, the client's own timeouts limit the call.
 *
 * LIFETIMES
 *   A pending_call that is destroyed before its call is done cancels the call. So a coroutine that is suspended may be
 *   destroyed, by the thread that calls process() or while no other thread does.
 *   Destroying an async_queue cancels its calls and resumes the coroutines that await them with TCKMS_ERR_CANCELED,
 *   before the destructor returns and on its thread. Calls that they submit then are refused with the same status. A
 *   pending_call may outlive the queue.
 *   The destructor is noexcept: an exception that leaves a coroutine there ends the program. A promise type that keeps
 *   the exception, as most tasks do, is safe. With one that rethrows it in unhandled_exception(), catch inside the
 *   coroutine, or drain the queue first:
 *
 *     queue.close();
 *     while (queue.outstanding() > 0) {
 *       static_cast<void>(queue.wait(std::chrono::seconds(1)));
 *       queue.process();  // an exception that leaves a coroutine arrives here
 *     }
 *   A client, keyring or stream may be destroyed before the call is done.
 *
 * THREADS
 *   Any number of threads may use an async_queue at once; only its destructor must come last. A pending_call belongs to
 *   one thread at a time. If several threads call process(), each call is resumed by one of them.
 */

#include "tckms.hpp"

#if !defined(__cpp_impl_coroutine) && !defined(__cpp_coroutines)
#error "tckms_async.hpp needs coroutines: C++20 or later, such as -std=c++20; other programs use tckms::queue of tckms.hpp"
#else

#include <atomic>
#include <coroutine>
#include <future>
#include <version>
#if defined(__cpp_lib_jthread)
#include <stop_token>
#endif

namespace tckms {
inline namespace v0_1 {

/** A stream whose keys are there, and how many bytes of the message it has taken: the message continues after them. */
struct opened_stream {
  tckms::stream stream;
  std::size_t consumed = 0;
};

namespace detail {

/** What all handles of an async_queue share. */
struct async_state {
  explicit async_state(queue made) noexcept : calls(std::move(made)) {}

  queue calls;
  std::atomic<bool> is_closed = false;
  /** The calls that were not taken, and one more in a closed queue: run() sleeps while it is 0. */
  std::atomic<int> work = 0;
};

/** Receives a completion in place of a coroutine. */
struct async_receiver {
  async_receiver() = default;
  async_receiver(const async_receiver &) = delete;
  async_receiver &operator=(const async_receiver &) = delete;
  virtual ~async_receiver() = default;
  virtual void receive(completion &done) = 0;
};

/** One call. It belongs to its pending_call and, until it is done, to its queue. */
class async_call {
 public:
  explicit async_call(std::shared_ptr<async_state> state) noexcept : state_(std::move(state)) {}
  async_call(const async_call &) = delete;
  async_call &operator=(const async_call &) = delete;

  /** Says with which id the call was submitted. */
  void submitted(std::uint64_t id) noexcept { id_ = id; }

  /** The call was refused: the queue does not know it. */
  void refused(error why) noexcept {
    refused_.emplace(std::move(why));
    waiter_.store(mark(is_done));
    owners_.store(1);
  }

  std::uint64_t id() const noexcept { return id_; }
  const std::optional<error> &refusal() const noexcept { return refused_; }
  completion *done() noexcept { return done_.has_value() ? &*done_ : nullptr; }
  bool has_ended() const noexcept { return waiter_.load(std::memory_order_acquire) == mark(is_done); }

  /** Has `waiter` resumed when the call is done; false if it is done already. */
  bool wait(std::coroutine_handle<> waiter) noexcept { return set_waiter(waiter.address()); }

  /** Has `receiver` called when the call is done; false if it is done already. */
  bool give_to(std::unique_ptr<async_receiver> receiver) noexcept {
    receiver_ = std::move(receiver);
    return set_waiter(mark(is_received));
  }
  async_receiver &receiver() noexcept { return *receiver_; }

  /** The queue's part ends. Returns the coroutine to be resumed, if one waits. */
  std::coroutine_handle<> finish(completion &&done) {
    done_.emplace(std::move(done));
    void *const waiter = waiter_.exchange(mark(is_done), std::memory_order_acq_rel);
    if (waiter == mark(is_received)) receiver_->receive(*done_);
    release();
    const bool waits = waiter != nullptr && waiter != mark(is_received) && waiter != mark(is_abandoned);
    return waits ? std::coroutine_handle<>::from_address(waiter) : std::coroutine_handle<>();
  }

  /** The pending_call's part ends without a result. */
  void abandon() noexcept {
    if (waiter_.exchange(mark(is_abandoned), std::memory_order_acq_rel) != mark(is_done)) cancel();
    release();
  }

  void release() noexcept {
    if (owners_.fetch_sub(1, std::memory_order_acq_rel) == 1) delete this;
  }

  void cancel() noexcept { static_cast<void>(state_->calls.cancel(id_)); }

#if defined(__cpp_lib_jthread)
  void cancel_on(std::stop_token token) {
    if (id_ != 0) stop_.emplace(std::move(token), canceler{state_, id_});
  }
#endif

 private:
  /** What stands in place of a waiting coroutine. Coroutines are at other addresses. */
  enum marks { is_done, is_received, is_abandoned };
  static void *mark(marks which) noexcept {
    static char addresses[3];
    return &addresses[which];
  }

  bool set_waiter(void *waiter) noexcept {
    void *found = nullptr;
    const bool is_set = waiter_.compare_exchange_strong(found, waiter, std::memory_order_acq_rel);
    // One coroutine at a time awaits a call.
    require(is_set || found == mark(is_done));
    return is_set;
  }

#if defined(__cpp_lib_jthread)
  struct canceler {
    std::shared_ptr<async_state> state;
    std::uint64_t id;
    void operator()() const noexcept { static_cast<void>(state->calls.cancel(id)); }
  };
#endif

  std::shared_ptr<async_state> state_;
  std::atomic<void *> waiter_ = nullptr;
  std::atomic<int> owners_ = 2;
  std::uint64_t id_ = 0;
  std::optional<completion> done_;
  std::optional<error> refused_;
  std::unique_ptr<async_receiver> receiver_;
#if defined(__cpp_lib_jthread)
  std::optional<std::stop_callback<canceler>> stop_;
#endif
};

/** Takes what a call gives out of its completion. */
template <class T>
result<T> take_from(completion &done) {
  if constexpr (std::is_same_v<T, buffer>) {
    return done.take_output();
  } else if constexpr (std::is_same_v<T, data_key>) {
    return done.take_data_key();
  } else if constexpr (std::is_same_v<T, stream>) {
    return done.take_stream();
  } else {
    static_assert(std::is_same_v<T, opened_stream>);
    return done.take_stream().transform([&](stream &&begun) { return T{std::move(begun), done.consumed()}; });
  }
}

/** Fulfils a promise. */
template <class T>
struct async_promise : async_receiver {
  void receive(completion &done) override { promise.set_value(take_from<T>(done)); }
  std::promise<result<T>> promise;
};

}  // namespace detail

/** A call that was submitted. Await it once: `co_await` gives a result<T>. */
template <class T>
class [[nodiscard]] pending_call {
 public:
  pending_call(pending_call &&other) noexcept : call_(std::exchange(other.call_, nullptr)) {}
  pending_call &operator=(pending_call &&other) noexcept {
    if (this != &other) {
      abandon();
      call_ = std::exchange(other.call_, nullptr);
    }
    return *this;
  }
  pending_call(const pending_call &) = delete;
  pending_call &operator=(const pending_call &) = delete;
  /** Cancels the call if it is not done. */
  ~pending_call() { abandon(); }

  /** For async_queue::cancel(); 0 if the call was refused at once. */
  std::uint64_t id() const noexcept { return call().id(); }
  /** Whether `co_await` gives the result without suspending. */
  bool done() const noexcept { return call().has_ended(); }
  /** Cancels the call. It is done soon, with TCKMS_ERR_CANCELED unless it was done before. */
  void cancel() noexcept {
    if (!done()) call().cancel();
  }

#if defined(__cpp_lib_jthread)
  /** Cancels the call when a stop is requested: `co_await queue.encrypt(...).cancel_on(token)`. */
  pending_call cancel_on(std::stop_token token) && {
    call().cancel_on(std::move(token));
    return std::move(*this);
  }
#endif

  /** The result for programs without coroutines. Some thread has to call async_queue::process() or async_queue::run(),
   * not the one that waits for the future. A call is not canceled by its future's destructor. */
  std::future<result<T>> future() && {
    auto receiver = std::make_unique<detail::async_promise<T>>();
    auto future = receiver->promise.get_future();
    auto *const kept = receiver.get();
    if (!call().give_to(std::move(receiver))) kept->promise.set_value(outcome());
    std::exchange(call_, nullptr)->release();
    return future;
  }

  /** As last_request_id() and last_key_id() after a call that blocks; empty while the call is not done. */
  std::string_view request_id() const noexcept {
    return finished() == nullptr ? std::string_view() : finished()->request_id();
  }
  std::string_view key_id() const noexcept { return finished() == nullptr ? std::string_view() : finished()->key_id(); }

  bool await_ready() const noexcept { return done(); }
  bool await_suspend(std::coroutine_handle<> waiter) noexcept { return call().wait(waiter); }
  result<T> await_resume() { return outcome(); }

 private:
  friend class async_queue;

  explicit pending_call(detail::async_call *call) noexcept : call_(call) {}

  /** Ends the program if the call was moved away. */
  detail::async_call &call() const noexcept { return detail::require(call_ != nullptr), *call_; }

  completion *finished() const noexcept { return done() ? call().done() : nullptr; }

  result<T> outcome() {
    if (call().refusal()) return *call().refusal();
    return detail::take_from<T>(*call().done());
  }

  void abandon() noexcept {
    if (call_ != nullptr) std::exchange(call_, nullptr)->abandon();
  }

  detail::async_call *call_;
};

/** A queue of calls whose results coroutines await.
 *
 * Its destructor, and the assignment of another queue to it, resume the coroutines that still await a call, with
 * TCKMS_ERR_CANCELED. Both are noexcept. So if `(co_await ...).value()` throws then, and the exception leaves the
 * coroutine because its promise rethrows it in unhandled_exception(), the program ends with std::terminate(). Catch
 * inside such coroutines, or drain the queue before you destroy it: LIFETIMES shows how. */
class async_queue {
 public:
  /** The longest timeout, for calls that only the client's own timeouts limit. */
  static constexpr std::chrono::milliseconds client_timeout{3600000};

  /** No limit, for process(). */
  static constexpr std::size_t npos = static_cast<std::size_t>(-1);

  /** A queue for `depth` calls; 0 for the default of tckms.h. */
  static result<async_queue> make(std::size_t depth = 0) {
    return queue::make(depth).transform(
        [](queue &&made) { return async_queue(std::make_shared<detail::async_state>(std::move(made))); });
  }

  async_queue(async_queue &&) noexcept = default;
  async_queue &operator=(async_queue &&other) noexcept {
    if (this != &other) {
      end();
      state_ = std::move(other.state_);
    }
    return *this;
  }
  async_queue(const async_queue &) = delete;
  async_queue &operator=(const async_queue &) = delete;
  /** Cancels all calls, and resumes the coroutines that await them. An exception that leaves one of them ends the
   * program: see LIFETIMES. */
  ~async_queue() { end(); }

  /** The descriptor to poll: readable while process() has something to do. It belongs to the queue. */
  result<int> fd() const { return state().calls.fd(); }

  /** Takes calls that are done, at most `limit`, and resumes their coroutines. It never waits. Returns the number of
   * calls. An exception that leaves a coroutine leaves process() too; call it again for the other calls. */
  std::size_t process(std::size_t limit = npos) const {
    // A coroutine may destroy the queue.
    const auto kept = shared();
    return process(*kept, limit);
  }

  /** Waits until a call is done, for programs without an event loop; TCKMS_ERR_AGAIN if the timeout expires first. */
  template <class Rep, class Period>
  result<void> wait(std::chrono::duration<Rep, Period> timeout) const {
    return state().calls.wait(timeout);
  }

  /** Processes until the queue is closed and all its calls are done, on a thread of the program, which sleeps
   * meanwhile. */
  void run() const {
    const auto kept = shared();
    while (!kept->is_closed.load() || kept->calls.outstanding() > 0) {
      kept->work.wait(0);
      // Another thread may take what is done.
      static_cast<void>(kept->calls.wait(std::chrono::seconds(1)));
      process(*kept, npos);
    }
  }

  /** Cancels all calls; later ones are refused with TCKMS_ERR_CANCELED. run() returns when they are done. */
  void close() const noexcept {
    if (state().is_closed.exchange(true)) return;
    static_cast<void>(state().calls.cancel_all());
    state().work.fetch_add(1);
    state().work.notify_all();
  }

  /** Cancels one call; TCKMS_ERR_NOT_OUTSTANDING if it is done already. */
  result<void> cancel(std::uint64_t id) const { return state().calls.cancel(id); }

  /** The number of calls that were submitted and not taken. */
  std::size_t outstanding() const noexcept { return state().calls.outstanding(); }

  pending_call<buffer> encrypt(const client &with, std::string_view key_id, byte_view plaintext, optional_text context,
                               std::chrono::milliseconds timeout = client_timeout) const {
    return start<buffer>([&](const queue &calls, void *call) {
      return calls.submit_encrypt(with, key_id, plaintext, context, timeout, call);
    });
  }

  pending_call<buffer> decrypt(const client &with, optional_text key_id, byte_view blob, optional_text context,
                               std::chrono::milliseconds timeout = client_timeout) const {
    return start<buffer>([&](const queue &calls, void *call) {
      return calls.submit_decrypt(with, key_id, blob, context, timeout, call);
    });
  }

  pending_call<buffer> reencrypt(const client &with, optional_text key_id, byte_view blob, optional_text source_context,
                                 optional_text destination_context,
                                 std::chrono::milliseconds timeout = client_timeout) const {
    return start<buffer>([&](const queue &calls, void *call) {
      return calls.submit_reencrypt(with, key_id, blob, source_context, destination_context, timeout, call);
    });
  }

  pending_call<data_key> generate_data_key(const client &with, std::string_view key_id, std::size_t size,
                                           optional_text context,
                                           std::chrono::milliseconds timeout = client_timeout) const {
    return start<data_key>([&](const queue &calls, void *call) {
      return calls.submit_generate_data_key(with, key_id, size, context, timeout, call);
    });
  }

  /** 1 to 1024 random bytes from the service's hardware. */
  pending_call<buffer> generate_random(const client &with, std::size_t size,
                                       std::chrono::milliseconds timeout = client_timeout) const {
    return start<buffer>(
        [&](const queue &calls, void *call) { return calls.submit_generate_random(with, size, timeout, call); });
  }

  /** Any action of the KMS API; gives the JSON object under "Response". */
  pending_call<buffer> call(const client &with, std::string_view action, std::string_view request_json = "{}",
                            std::chrono::milliseconds timeout = client_timeout) const {
    return start<buffer>([&](const queue &calls, void *call) {
      return calls.submit_call(with, action, request_json, timeout, call);
    });
  }

  pending_call<buffer> sign_digest(const client &with, std::string_view key_id, sign_algorithm algorithm,
                                   byte_view digest, std::chrono::milliseconds timeout = client_timeout) const {
    return start<buffer>([&](const queue &calls, void *call) {
      return calls.submit_sign_digest(with, key_id, algorithm, digest, timeout, call);
    });
  }

  pending_call<buffer> rsa_decrypt(const client &with, std::string_view key_id, rsa_padding padding,
                                   byte_view ciphertext, std::chrono::milliseconds timeout = client_timeout) const {
    return start<buffer>([&](const queue &calls, void *call) {
      return calls.submit_rsa_decrypt(with, key_id, padding, ciphertext, timeout, call);
    });
  }

  /** The public key as a SubjectPublicKeyInfo in DER. */
  pending_call<buffer> public_key(const client &with, std::string_view key_id,
                                  std::chrono::milliseconds timeout = client_timeout) const {
    return start<buffer>(
        [&](const queue &calls, void *call) { return calls.submit_public_key(with, key_id, timeout, call); });
  }

  /** Seals a plaintext of up to TCKMS_QUEUE_MESSAGE_MAX bytes. process() does the encryption. */
  pending_call<buffer> seal(const keyring &with, byte_view plaintext, optional_text context,
                            std::chrono::milliseconds timeout = client_timeout) const {
    return start<buffer>([&](const queue &calls, void *call) {
      return calls.submit_seal(with, plaintext, context, timeout, call);
    });
  }

  /** Opens a message of up to TCKMS_QUEUE_MESSAGE_MAX bytes. process() does the decryption. A message is longer than
   * its plaintext: that of a plaintext near the limit needs open_begin(). */
  pending_call<buffer> open(const keyring &with, byte_view message, optional_text expected_context,
                            std::chrono::milliseconds timeout = client_timeout) const {
    return start<buffer>([&](const queue &calls, void *call) {
      return calls.submit_open(with, message, expected_context, timeout, call);
    });
  }

  /** The key phase of a stream that seals: none of the functions of the stream that it gives waits for keys. */
  pending_call<stream> seal_begin(stream begun, std::chrono::milliseconds timeout = client_timeout) const {
    return start<stream>(
        [&](const queue &calls, void *call) { return calls.submit_seal_begin(begun, timeout, call); });
  }

  /** The same for a stream that opens, with the beginning of the message: at least its whole header. */
  pending_call<opened_stream> open_begin(stream begun, byte_view header,
                                         std::chrono::milliseconds timeout = client_timeout) const {
    return start<opened_stream>(
        [&](const queue &calls, void *call) { return calls.submit_open_begin(begun, header, timeout, call); });
  }

 private:
  explicit async_queue(std::shared_ptr<detail::async_state> state) noexcept : state_(std::move(state)) {}

  /** Ends the program if the queue was moved away. */
  const std::shared_ptr<detail::async_state> &shared() const noexcept {
    return detail::require(state_ != nullptr), state_;
  }
  detail::async_state &state() const noexcept { return *shared(); }

  template <class T, class Submit>
  pending_call<T> start(Submit &&submit) const {
    const auto kept = shared();
    auto call = std::make_unique<detail::async_call>(kept);
    if (kept->is_closed.load()) {
      call->refused(error(TCKMS_ERR_CANCELED).with_text("the queue is closed"));
      return pending_call<T>(call.release());
    }
    const result<std::uint64_t> id = submit(kept->calls, call.get());
    if (!id) {
      call->refused(id.error());
      return pending_call<T>(call.release());
    }
    call->submitted(*id);
    kept->work.fetch_add(1);
    kept->work.notify_one();
    // close() may have canceled all calls before this one was among them.
    if (kept->is_closed.load()) call->cancel();
    return pending_call<T>(call.release());
  }

  static std::size_t process(detail::async_state &state, std::size_t limit) {
    std::size_t taken = 0;
    for (std::coroutine_handle<> waiter; taken < limit && take(state, waiter); ++taken) {
      if (waiter) waiter.resume();
    }
    return taken;
  }

  /** Takes one call that is done; false if there is none. */
  static bool take(detail::async_state &state, std::coroutine_handle<> &waiter) {
    result<completion> done = state.calls.next();
    if (!done) return false;
    state.work.fetch_sub(1);
    waiter = static_cast<detail::async_call *>(done->userdata())->finish(std::move(*done));
    return true;
  }

  void end() noexcept {
    if (state_ == nullptr) return;
    close();
    while (outstanding() > 0 && wait(std::chrono::seconds(10))) process();
  }

  std::shared_ptr<detail::async_state> state_;
};

}  // namespace v0_1
}  // namespace tckms

#endif /* coroutines */
#endif /* TCKMS_ASYNC_HPP */
