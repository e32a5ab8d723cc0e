/*
 * tckms-seal: seals files and pipes of any size under keys of Tencent Cloud KMS, and opens them.
 *
 *     tckms-seal [-d] [-k KEYID]... [-c NAME=VALUE]... [-o FILE] [FILE]
 *
 * `tckms-seal --help` has all options. Credentials and region come from the environment: TENCENTCLOUD_SECRET_ID,
 * TENCENTCLOUD_SECRET_KEY and TENCENTCLOUD_REGION; TCKMS_ENDPOINT for another site or the emulator.
 *
 * One concept per file: options, keys (the keyring), input, output, resolve (the path of the output), attributes
 * (owner, mode, access control list), progress, interrupt (signals), descriptor, text and report (messages).
 */
#define _XOPEN_SOURCE 700

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <tckms.h>

#include "descriptor.h"
#include "input.h"
#include "interrupt.h"
#include "keys.h"
#include "options.h"
#include "output.h"
#include "progress.h"
#include "report.h"
#include "text.h"

/* Reports a failure: the error of the library, unless the progress callback stopped the transfer. */
static int explain(const struct options *options, const struct input *input, const struct output *output,
                   const struct progress *progress, tckms_status status) {
  char *what = NULL;
  int result;
  if (status == TCKMS_ERR_CANCELED && interrupt_signal()) {
    return report(output->name, output_is_atomic(output) ? interrupt_text() : "interrupted; it is incomplete");
  }
  if (status == TCKMS_ERR_CANCELED && progress->over_limit) {
    return report(input->name, "the file grew while it was read");
  }
  text_append_string(&what, options->action == ACTION_OPEN ? "cannot open " : "cannot seal ");
  text_append_string(&what, input->name);
  text_append_string(&what, " to ");
  text_append_string(&what, output->name);
  result = report_error(what);
  if (status == TCKMS_ERR_SIGNED_NOT_ALLOWED) {
    report("for a signed message",
           "use -o FILE, which writes nothing before the signature is verified, or -s, which does");
  }
  free(what);
  return result;
}

static int work(const tckms_keyring *keyring, const struct options *options, const struct input *input,
                const struct output *output) {
  struct progress progress;
  tckms_fd_options how = {0, 0, NULL, NULL};
  tckms_status status;
  int opens = options->action == ACTION_OPEN;
  /* A bar on the terminal that shows the data would overwrite them. */
  int shows_progress = !options->quiet && isatty(STDERR_FILENO) && !isatty(output->fd);
  progress_start(&progress, shows_progress, opens ? UINT64_MAX : input_size(input));
  how.threads = options->threads;
  how.signed_allowed = (uint32_t)(options->sign || output_is_atomic(output));
  how.progress = progress_show;
  how.userdata = &progress;
  status = (opens ? tckms_open_fd : tckms_seal_fd)(keyring, input->fd, output->fd, options->context, &how, sizeof how);
  progress_end(&progress);
  if (status != TCKMS_OK) {
    return explain(options, input, output, &progress, status);
  }
  /* Opened data is authentic in any case. A sealed file that changed may mix old and new content. */
  return opens ? EXIT_SUCCESS : input_check_unchanged(input);
}

static int deliver(const tckms_keyring *keyring, const struct options *options, const struct input *input,
                   struct output *output) {
  int result;
  if (output_is_input(output, input) && !(options->overwrite_input && output_is_atomic(output))) {
    return report(output->name, output_is_atomic(output)
                                    ? "this is the input file; use --overwrite-input to replace it"
                                    : "the input file is the output file");
  }
  result = output_open(output);
  if (result == EXIT_SUCCESS) {
    result = work(keyring, options, input, output);
  }
  return result == EXIT_SUCCESS ? output_finish(output) : result;
}

static int seal_or_open(const struct options *options) {
  tckms_keyring *keyring = NULL;
  struct input input = {-1, NULL, {0}};
  struct output output;
  int result;
  if (!options->output && options->action == ACTION_SEAL && isatty(STDOUT_FILENO)) {
    return report_usage("a sealed message is not written to a terminal; use -o FILE", NULL);
  }
  result = output_find(&output, options->output, options->action == ACTION_OPEN);
  if (result == EXIT_SUCCESS) {
    result = input_open(&input, options->input);
  }
  if (result == EXIT_SUCCESS) {
    keyring = tckms_keyring_new();
    result = keys_add(keyring, options);
  }
  if (result == EXIT_SUCCESS) {
    result = deliver(keyring, options, &input, &output);
  }
  tckms_keyring_free(keyring);
  input_close(&input);
  output_free(&output);
  return result;
}

static int print_info(const struct options *options) {
  struct input input = {-1, NULL, {0}};
  int result = input_open(&input, options->input);
  if (result == EXIT_SUCCESS) {
    result = input_print_info(&input);
  }
  input_close(&input);
  return result;
}

static int run(const struct options *options) {
  switch (options->action) {
    case ACTION_HELP:
      fputs(OPTIONS_HELP, stdout);
      return report_flush();
    case ACTION_VERSION:
      printf("tckms-seal %s\n", tckms_version());
      return report_flush();
    case ACTION_INFO:
      return print_info(options);
    default:
      return seal_or_open(options);
  }
}

int main(int argc, char **argv) {
  struct options options;
  int result = descriptor_reserve_standard();
  if (result == EXIT_SUCCESS) {
    result = options_parse(&options, argc, argv);
    if (result == EXIT_SUCCESS) {
      interrupt_catch();
      result = run(&options);
    }
    options_free(&options);
  }
  if (result != EXIT_SUCCESS) {
    interrupt_pass_on();
  }
  return result;
}
