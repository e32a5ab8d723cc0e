// Signs a message in one call and byte by byte, and writes the public key and both signatures to files:
// sign KEY_ID ALGORITHM MESSAGE FOLDER
#include <tckms.hpp>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <string>
#include <string_view>
#include <utility>

namespace {

template <class T>
T good(tckms::result<T> result) {
  if (!result) {
    std::fprintf(stderr, "%s\n", std::string(result.error().message()).c_str());
    std::exit(1);
  }
  return std::move(*result);
}

void write(const std::string &path, const tckms::buffer &bytes) {
  std::ofstream(path, std::ios::binary) << bytes.text();
}

}  // namespace

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  const tckms::client client = good(tckms::client::from_env());
  const tckms::asymmetric_key key(client, argv[1]);
  const auto algorithm = static_cast<tckms::sign_algorithm>(std::atoi(argv[2]));
  const std::string_view message = argv[3];
  const std::string folder = argv[4];
  write(folder + "/public.pem", good(key.public_key_pem()));
  write(folder + "/whole", good(key.sign(message, algorithm)));
  tckms::signer signer = good(key.new_signer(algorithm));
  for (const char &letter : message) {
    if (!signer.update(tckms::byte_view(&letter, 1))) return 1;
  }
  write(folder + "/pieces", good(signer.finish()));
  return 0;
}
