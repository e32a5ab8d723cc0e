/* Sends the same request CALLS times over one connection of libcurl: curl_call URL BODY CALLS [CA_FILE]. It does not sign the
 * request or parse the reply, so the server refuses it; the measurement covers only the transfer in both directions. */
#include <stdio.h>
#include <stdlib.h>

#include <curl/curl.h>

static size_t ignore(char *bytes, size_t size, size_t count, void *unused) {
  (void)bytes;
  (void)unused;
  return size * count;
}

int main(int argc, char **argv) {
  CURL *curl;
  struct curl_slist *headers = NULL;
  int i;
  if (argc < 4) {
    return 2;
  }
  curl_global_init(CURL_GLOBAL_DEFAULT);
  curl = curl_easy_init();
  headers = curl_slist_append(headers, "Content-Type: application/json");
  headers = curl_slist_append(headers, "X-TC-Action: Encrypt");
  headers = curl_slist_append(headers, "X-TC-Version: 2019-01-18");
  headers = curl_slist_append(headers, "X-TC-Region: ap-guangzhou");
  headers = curl_slist_append(headers, "X-TC-Timestamp: 1700000000");
  headers = curl_slist_append(headers, "Authorization: TC3-HMAC-SHA256 Credential=AKIDz8krbsJ5yKBZQpn74WFkmLPx3EXAMPLE/"
                                       "2023-11-14/kms/tc3_request, SignedHeaders=content-type;host, Signature="
                                       "10b1a37a7301a02ca19a647ad722d5e43b4b3cff309d421d85b46093f6ab6c4f");
  curl_easy_setopt(curl, CURLOPT_URL, argv[1]);
  curl_easy_setopt(curl, CURLOPT_POSTFIELDS, argv[2]);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore);
  curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
  if (argc > 4) {
    curl_easy_setopt(curl, CURLOPT_CAINFO, argv[4]);
  }
  for (i = 0; i < atoi(argv[3]); i++) {
    CURLcode code = curl_easy_perform(curl);
    if (code != CURLE_OK) {
      fprintf(stderr, "curl_call: %s\n", curl_easy_strerror(code));
      return 1;
    }
  }
  curl_slist_free_all(headers);
  curl_easy_cleanup(curl);
  return 0;
}
