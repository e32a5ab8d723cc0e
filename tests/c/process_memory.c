/* If there is no memory for a call, the call fails and the process continues. */
#define _GNU_SOURCE
#include "check.h"

#include <malloc.h>
#include <sys/resource.h>

#include "process.h"

enum { REQUEST_SIZE = 9 * 1024 * 1024, ROOM = 4 * 1024 * 1024 };

/* JSON with much white space, as indentation produces it. */
static char *large_request(void) {
  static const char head[] = "{\"KeyId\":\"00000000-0000-0000-0000-000000000000\"";
  char *json = malloc(REQUEST_SIZE + 64);
  CHECK(json != NULL);
  memset(json, ' ', REQUEST_SIZE);
  memcpy(json, head, strlen(head));
  strcpy(json + REQUEST_SIZE, "}");
  return json;
}

static rlim_t address_space(void) {
  return (rlim_t)number_in_file("/proc/self/status", "VmSize:", 10) * 1024;
}

static void limit_address_space(rlim_t bytes) {
  struct rlimit limit;
  CHECK_INT(getrlimit(RLIMIT_AS, &limit), 0);
  limit.rlim_cur = bytes;
  CHECK_INT(setrlimit(RLIMIT_AS, &limit), 0);
}

static void run_out_of_memory(void *unused) {
  tckms_client *client = emulator_client();
  char *request = large_request();
  tckms_buffer reply = garbage();
  int i;
  (void)unused;
#ifdef __GLIBC__
  /* Otherwise the allocator would keep a block of this size for the next round. */
  CHECK_INT(mallopt(M_MMAP_THRESHOLD, 128 * 1024), 1);
#endif
  /* Allocates everything that is needed once per process. */
  encrypt_and_decrypt(client);
  for (i = 0; i < 10; i++) {
    limit_address_space(address_space() + ROOM);
    CHECK_STATUS(tckms_call(client, "DescribeKey", request, &reply), TCKMS_ERR_OUT_OF_MEMORY);
    CHECK_EMPTY(reply);
    CHECK_INT(tckms_status_category(TCKMS_ERR_OUT_OF_MEMORY), TCKMS_CATEGORY_LIBRARY);
    CHECK_INT(tckms_error_attempts(tckms_last_error()), 0);
    /* Small requests still work under the limit. */
    encrypt_and_decrypt(client);
    limit_address_space(RLIM_INFINITY);
    /* Without the limit, the request is sent and the service refuses it. */
    CHECK_STATUS(tckms_call(client, "DescribeKey", request, &reply), TCKMS_ERR_CMK_NOT_FOUND);
    encrypt_and_decrypt(client);
  }
  tckms_client_free(client);
  free(request);
}

static void a_request_without_memory_fails_and_the_process_continues(void) {
  in_a_child(run_out_of_memory, NULL);
}

int main(void) {
  a_request_without_memory_fails_and_the_process_continues();
  return checks_passed();
}
