/* A plug-in that contains libtckms. Its host uses one function of the plug-in, and does not know libtckms. */
#include <stdio.h>
#include <stdlib.h>

#include <tckms.h>

int plugin_use(int with_call);

/* Sets the last error of the calling thread and, by a call, starts a thread of the library. Returns 0. */
int plugin_use(int with_call) {
  tckms_client *client = NULL;
  tckms_buffer blob = TCKMS_BUFFER_INIT;
  tckms_status status = tckms_client_new_from_env(&client);
  if (status == TCKMS_OK && with_call) {
    status = tckms_encrypt(client, getenv("TEST_KEY_MAIN"), "secret", 6, NULL, &blob);
  }
  if (status != TCKMS_OK) {
    fprintf(stderr, "%s\n", tckms_error_message(tckms_last_error()));
    return 1;
  }
  status = tckms_encrypt(client, "", "secret", 6, NULL, &blob);
  tckms_buffer_free(&blob);
  tckms_client_free(client);
  return status == TCKMS_ERR_MALFORMED_KEY_ID ? 0 : 1;
}
