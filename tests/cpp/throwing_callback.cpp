// A callback throws, which the header forbids. The program tries to catch the exception.
#include <tckms.h>

#include <cstddef>
#include <cstdint>
#include <cstdio>

namespace {
int wrap(void *, const char *, const std::uint8_t *, std::size_t, tckms_wrapped_key *) { throw 1; }
}  // namespace

int main() {
  tckms_keyring *keyring = tckms_keyring_new();
  tckms_custom_key key = TCKMS_CUSTOM_KEY_INIT;
  tckms_buffer message = TCKMS_BUFFER_INIT;
  key.provider_id = "throwing";
  key.wrap = wrap;
  if (tckms_keyring_add_custom(keyring, &key, sizeof key) != TCKMS_OK) return 1;
  try {
    return tckms_seal(keyring, "x", 1, nullptr, &message) == TCKMS_OK ? 2 : 3;
  } catch (int) {
    std::puts("caught");
    return 4;
  }
}
