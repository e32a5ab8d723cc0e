// Decrypts a ciphertext of another program, with an RSA padding or, for 0, with SM2, and prints the plaintext:
// decrypt KEY_ID PADDING FILE
#include <tckms.hpp>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

int main(int argc, char **argv) {
  if (argc != 4) return 2;
  std::ifstream file(argv[3], std::ios::binary);
  const std::string ciphertext{std::istreambuf_iterator<char>(file), {}};
  const tckms::result<tckms::client> client = tckms::client::from_env();
  if (!client) return 1;
  const tckms::asymmetric_key key(*client, argv[1]);
  const int padding = std::atoi(argv[2]);
  const tckms::result<tckms::buffer> plaintext =
      padding == 0 ? key.sm2_decrypt(ciphertext) : key.rsa_decrypt(ciphertext, static_cast<tckms::rsa_padding>(padding));
  if (!plaintext) {
    std::fprintf(stderr, "%s\n", std::string(plaintext.error().message()).c_str());
    return 1;
  }
  std::printf("%s\n", std::string(plaintext->text()).c_str());
  return 0;
}
