// A second translation unit of the same program, which links only if every definition in the header is inline.
#include <tckms.hpp>
#include <tckms.hpp>

namespace second_unit {
tckms::result<tckms::buffer> encrypt(const tckms::client &client, std::string_view key_id) {
  return client.encrypt(key_id, "x", tckms::no_context);
}
}  // namespace second_unit
