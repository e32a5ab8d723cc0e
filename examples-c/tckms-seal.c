/*
 * Seals files and pipes of any size under keys of Tencent Cloud KMS, and opens them.
 *
 *     tckms-seal [-d] [-k KEYID]... [-c NAME=VALUE]... [-o FILE] [FILE]
 *
 * `tckms-seal --help` says the rest. Who asks, and where, comes from the environment: TENCENTCLOUD_SECRET_ID,
 * TENCENTCLOUD_SECRET_KEY and TENCENTCLOUD_REGION; TCKMS_ENDPOINT for another site or the emulator.
 */
#define _XOPEN_SOURCE 700

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <tckms.h>

/* As many as a message may have without anybody who opens it allowing more. */
#define MOST_KEYS 8
/* Longer than any key in PEM. */
#define PEM_SIZE (64 * 1024)

enum {
  EXIT_USAGE = 2,
  /* The message was changed, cut off, or is not for these keys and this context. */
  EXIT_NOT_OPENED = 3,
  /* The service or the way to it; the same command may succeed later. */
  EXIT_LATER = 4,
  /* The service refuses the identity, the key or the request, or there is no identity. */
  EXIT_REFUSED = 5
};

static const char HELP[] =
    "usage: tckms-seal [-d] [-k KEYID]... [-c NAME=VALUE]... [-o FILE] [FILE]\n"
    "\n"
    "Seals FILE, or standard input, under a data key that each CMK wraps.\n"
    "\n"
    "  -d              open a sealed message instead\n"
    "  -k KEYID        a CMK, by its key id; again for each further one\n"
    "  -e NS:NAME:PEM  an RSA key in a PEM file: the public half to seal, the private half to open\n"
    "  -c NAME=VALUE   a pair of the context; to open, a pair that the message has to have\n"
    "  -o FILE         write to FILE, which appears only when it is complete; default: standard output\n"
    "  -s              sign the message; to open, take a signed one\n"
    "  -t THREADS      how many threads work; default: all cores\n"
    "  -q              no progress, even on a terminal\n"
    "  --info          print what a message says about itself, as JSON; nothing of it is authenticated\n"
    "  --version, --help\n"
    "\n"
    "TENCENTCLOUD_SECRET_ID, TENCENTCLOUD_SECRET_KEY and TENCENTCLOUD_REGION are needed for -k. TCKMS_ENDPOINT and\n"
    "TCKMS_CA_FILE are used when they are set.\n"
    "\n"
    "What is opened to standard output is only known to be complete when the exit status is 0.\n"
    "\n"
    "exit status: 0 done, 1 files and anything else, 2 usage, 3 the message cannot be opened or was changed,\n"
    "4 the service cannot be reached or is unable now, 5 the service refuses, or there are no credentials\n";

struct request {
  int open, sign, quiet, info;
  unsigned threads;
  const char *keys[MOST_KEYS];
  size_t key_count;
  const char *escrows[MOST_KEYS];
  size_t escrow_count;
  char *context;
  const char *output, *input;
};

/* The signal that asked for the end, or 0. */
static volatile sig_atomic_t interrupted;

static void interrupt(int number) { interrupted = number; }

static int complain(const char *what, const char *why) {
  fprintf(stderr, "tckms-seal: %s: %s\n", what, why);
  return EXIT_FAILURE;
}

/* What an exit status can say about a failure. */
static int exit_status(tckms_status status) {
  switch (tckms_status_category(status)) {
    case TCKMS_CATEGORY_INTEGRITY:
      return EXIT_NOT_OPENED;
    case TCKMS_CATEGORY_TRANSPORT:
    case TCKMS_CATEGORY_UNAVAILABLE:
      return EXIT_LATER;
    case TCKMS_CATEGORY_CREDENTIALS:
    case TCKMS_CATEGORY_IDENTITY:
    case TCKMS_CATEGORY_REQUEST:
      return EXIT_REFUSED;
    default:
      return EXIT_FAILURE;
  }
}

static int fail(const char *what) {
  const tckms_error *error = tckms_last_error();
  complain(what, tckms_error_message(error));
  return exit_status(tckms_error_status(error));
}

/* Appends `len` bytes to a string that grows. Without memory this program can do nothing. */
static void append(char **text, const char *more, size_t len) {
  size_t before = *text ? strlen(*text) : 0;
  char *longer = realloc(*text, before + len + 1);
  if (!longer) {
    complain("cannot go on", strerror(errno));
    exit(EXIT_FAILURE);
  }
  memcpy(longer + before, more, len);
  longer[before + len] = '\0';
  *text = longer;
}

static void append_json_string(char **json, const char *text, size_t len) {
  size_t i;
  append(json, "\"", 1);
  for (i = 0; i < len; i++) {
    unsigned char byte = (unsigned char)text[i];
    char escaped[7];
    if (byte >= 0x20 && byte != '"' && byte != '\\') {
      append(json, text + i, 1);
    } else {
      snprintf(escaped, sizeof escaped, "\\u%04x", byte);
      append(json, escaped, 6);
    }
  }
  append(json, "\"", 1);
}

/* Adds NAME=VALUE to the context, which stays without its closing brace until the end. */
static int add_pair(char **context, const char *pair) {
  const char *equals = strchr(pair, '=');
  if (!equals || equals == pair) {
    return 0;
  }
  append(context, *context ? "," : "{", 1);
  append_json_string(context, pair, (size_t)(equals - pair));
  append(context, ":", 1);
  append_json_string(context, equals + 1, strlen(equals + 1));
  return 1;
}

static int usage(const char *why) {
  fprintf(stderr, "tckms-seal: %s\ntckms-seal --help says more\n", why);
  return EXIT_USAGE;
}

static int parse_threads(const char *text, unsigned *threads) {
  char *end;
  unsigned long number = strtoul(text, &end, 10);
  if (text[0] < '0' || text[0] > '9' || *end != '\0' || number < 1 || number > TCKMS_THREADS_MAX) {
    return 0;
  }
  *threads = (unsigned)number;
  return 1;
}

static int parse(int argc, char **argv, struct request *request) {
  char why[64];
  int option;
  opterr = 0;
  while ((option = getopt(argc, argv, "dk:e:c:o:st:q")) != -1) {
    switch (option) {
      case 'd':
        request->open = 1;
        break;
      case 's':
        request->sign = 1;
        break;
      case 'q':
        request->quiet = 1;
        break;
      case 'o':
        request->output = optarg;
        break;
      case 't':
        if (!parse_threads(optarg, &request->threads)) {
          snprintf(why, sizeof why, "-t takes a number from 1 to %d", TCKMS_THREADS_MAX);
          return usage(why);
        }
        break;
      case 'k':
      case 'e':
        if (request->key_count + request->escrow_count == MOST_KEYS) {
          snprintf(why, sizeof why, "there are more than %d keys", MOST_KEYS);
          return usage(why);
        }
        if (option == 'k') {
          request->keys[request->key_count++] = optarg;
        } else {
          request->escrows[request->escrow_count++] = optarg;
        }
        break;
      case 'c':
        if (!add_pair(&request->context, optarg)) {
          return usage("-c takes NAME=VALUE");
        }
        break;
      default:
        return usage("an option is unknown or lacks its value");
    }
  }
  if (request->context) {
    append(&request->context, "}", 1);
  }
  if (argc - optind > 1) {
    return usage("there is more than one file");
  }
  if (optind < argc && strcmp(argv[optind], "-") != 0) {
    request->input = argv[optind];
  }
  if (!request->info && request->key_count + request->escrow_count == 0) {
    return usage("no key is given, with -k or -e");
  }
  return EXIT_SUCCESS;
}

/* A whole PEM file in memory that the caller wipes, without copies of it in the buffers of stdio. */
static int read_pem(const char *path, char *pem, size_t size, size_t *len) {
  int file = open(path, O_RDONLY | O_CLOEXEC);
  ssize_t got = file < 0 ? -1 : 1;
  *len = 0;
  while (got > 0 && *len < size) {
    got = read(file, pem + *len, size - *len);
    *len += got > 0 ? (size_t)got : 0;
  }
  if (got < 0) {
    complain(path, strerror(errno));
  } else if (*len == size) {
    complain(path, "this is too long for a key");
    got = -1;
  }
  if (file >= 0) {
    close(file);
  }
  return got < 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}

static int add_escrow(tckms_keyring *keyring, const char *escrow, int open) {
  static char pem[PEM_SIZE];
  char *text = NULL, *name, *path;
  size_t len;
  int result;
  append(&text, escrow, strlen(escrow));
  name = strchr(text, ':');
  path = name ? strchr(name + 1, ':') : NULL;
  if (!path) {
    free(text);
    return usage("-e takes NAMESPACE:NAME:FILE");
  }
  *name++ = *path++ = '\0';
  result = read_pem(path, pem, sizeof pem, &len);
  if (result == EXIT_SUCCESS) {
    tckms_status status = open ? tckms_keyring_add_rsa_private_pem(keyring, text, name, pem, len)
                               : tckms_keyring_add_rsa_public_pem(keyring, text, name, pem, len);
    result = status == TCKMS_OK ? EXIT_SUCCESS : fail(path);
  }
  tckms_wipe(pem, sizeof pem);
  free(text);
  return result;
}

static int add_keys(tckms_keyring *keyring, const struct request *request) {
  tckms_client *client = NULL;
  size_t i;
  int result = EXIT_SUCCESS;
  if (request->key_count > 0 && tckms_client_new_from_env(&client) != TCKMS_OK) {
    return fail("cannot make a client");
  }
  for (i = 0; i < request->key_count && result == EXIT_SUCCESS; i++) {
    if (tckms_keyring_add_kms(keyring, client, request->keys[i]) != TCKMS_OK) {
      result = fail(request->keys[i]);
    }
  }
  for (i = 0; i < request->escrow_count && result == EXIT_SUCCESS; i++) {
    result = add_escrow(keyring, request->escrows[i], request->open);
  }
  if (result == EXIT_SUCCESS && tckms_keyring_set_signing(keyring, request->sign) != TCKMS_OK) {
    result = fail("cannot sign");
  }
  tckms_client_free(client);
  return result;
}

struct meter {
  int shown, wanted;
  struct timespec started;
};

static void megabytes(char *text, size_t size, uint64_t bytes) {
  snprintf(text, size, "%.1f MB", (double)bytes / 1e6);
}

/* The bar, and the place where an interrupt is noticed. */
static int on_progress(void *userdata, uint64_t done, uint64_t total) {
  struct meter *meter = userdata;
  struct timespec now;
  char amount[32], rate[32];
  double seconds;
  if (meter->wanted) {
    clock_gettime(CLOCK_MONOTONIC, &now);
    seconds = (double)(now.tv_sec - meter->started.tv_sec) + (double)(now.tv_nsec - meter->started.tv_nsec) / 1e9;
    megabytes(amount, sizeof amount, done);
    megabytes(rate, sizeof rate, seconds > 0 ? (uint64_t)((double)done / seconds) : 0);
    if (total != UINT64_MAX && total > 0) {
      unsigned filled = (unsigned)((double)done / (double)total * 30);
      fprintf(stderr, "\r[%-30.*s] %3.0f%% %s %s/s   ", (int)filled, "##############################",
              (double)done / (double)total * 100, amount, rate);
    } else {
      fprintf(stderr, "\r%s %s/s   ", amount, rate);
    }
    meter->shown = 1;
  }
  return interrupted != 0;
}

static int work(const tckms_keyring *keyring, const struct request *request, int in, int out) {
  struct meter meter = {0, 0, {0, 0}};
  tckms_fd_options options = TCKMS_FD_OPTIONS_INIT;
  tckms_status status;
  int result;
  meter.wanted = !request->quiet && isatty(STDERR_FILENO);
  clock_gettime(CLOCK_MONOTONIC, &meter.started);
  options.threads = request->threads;
  options.signed_allowed = (uint32_t)request->sign;
  options.progress = on_progress;
  options.userdata = &meter;
  status = (request->open ? tckms_open_fd : tckms_seal_fd)(keyring, in, out, request->context, &options, sizeof options);
  if (meter.shown) {
    fputc('\n', stderr);
  }
  if (status == TCKMS_OK) {
    return EXIT_SUCCESS;
  }
  result = fail(request->open ? "cannot open" : "cannot seal");
  return result;
}

/* The name that the output has until it is complete, in the same folder, so that it can be renamed at once. */
static char *unfinished_name(const char *output) {
  char *name = NULL;
  append(&name, output, strlen(output));
  append(&name, ".XXXXXX", 7);
  return name;
}

/* So that the name outlives a crash of the system. A folder that cannot be synced, or not be read, is no failure. */
static void sync_folder(const char *path) {
  const char *slash = strrchr(path, '/');
  char *folder = NULL;
  int file;
  append(&folder, slash ? path : ".", slash ? (size_t)(slash - path) + 1 : 1);
  file = open(folder, O_RDONLY | O_CLOEXEC);
  if (file >= 0) {
    fsync(file);
    close(file);
  }
  free(folder);
}

static int give_name(int out, const char *unfinished, const char *output, const struct request *request) {
  mode_t mask = umask(0);
  umask(mask);
  /* What was opened may be secret and stays readable for its owner only. */
  if ((!request->open && fchmod(out, 0666 & ~mask) != 0) || fsync(out) != 0 || rename(unfinished, output) != 0) {
    return complain(output, strerror(errno));
  }
  sync_folder(output);
  return EXIT_SUCCESS;
}

/* Whether there is something that cannot be replaced by a file: a device, a named pipe. */
static int is_special(const char *output) {
  struct stat there;
  return stat(output, &there) == 0 && !S_ISREG(there.st_mode);
}

static int work_to_special(const tckms_keyring *keyring, const struct request *request, int in) {
  int out = open(request->output, O_WRONLY | O_CLOEXEC);
  int result = out < 0 ? complain(request->output, strerror(errno)) : work(keyring, request, in, out);
  if (out >= 0 && close(out) != 0 && result == EXIT_SUCCESS) {
    result = complain(request->output, strerror(errno));
  }
  return result;
}

static int work_to_file(const tckms_keyring *keyring, const struct request *request, int in) {
  /* Where a link points to, if there is such a file: that is replaced, not the link. */
  char *target = realpath(request->output, NULL);
  const char *output = target ? target : request->output;
  char *unfinished = unfinished_name(output);
  int out = mkstemp(unfinished);
  int result = out < 0 ? complain(output, strerror(errno)) : work(keyring, request, in, out);
  if (result == EXIT_SUCCESS) {
    result = give_name(out, unfinished, output, request);
  }
  if (out >= 0 && close(out) != 0 && result == EXIT_SUCCESS) {
    result = complain(output, strerror(errno));
  }
  if (out >= 0 && result != EXIT_SUCCESS) {
    unlink(unfinished);
  }
  free(unfinished);
  free(target);
  return result;
}

static int print_info(int in) {
  /* Honest headers have less than a kilobyte; those that the library reads at all have at most this. */
  static unsigned char beginning[512 * 1024];
  tckms_buffer json = TCKMS_BUFFER_INIT;
  size_t len = 0;
  ssize_t got = 1;
  while (len < sizeof beginning && got > 0) {
    got = read(in, beginning + len, sizeof beginning - len);
    if (got < 0) {
      return complain("cannot read", strerror(errno));
    }
    len += (size_t)got;
  }
  if (tckms_message_info(beginning, len, &json) != TCKMS_OK) {
    return fail("cannot tell");
  }
  printf("%s\n", (const char *)json.data);
  tckms_buffer_free(&json);
  return fflush(stdout) == 0 ? EXIT_SUCCESS : complain("cannot write", strerror(errno));
}

static int work_to_output(const tckms_keyring *keyring, const struct request *request, int in) {
  if (!request->output) {
    return work(keyring, request, in, STDOUT_FILENO);
  }
  return (is_special(request->output) ? work_to_special : work_to_file)(keyring, request, in);
}

static int seal_or_open(const struct request *request, int in) {
  tckms_keyring *keyring = tckms_keyring_new();
  int result = add_keys(keyring, request);
  if (result == EXIT_SUCCESS && !request->output && !request->open && isatty(STDOUT_FILENO)) {
    result = usage("a sealed message is not for a terminal; use -o");
  }
  if (result == EXIT_SUCCESS) {
    result = work_to_output(keyring, request, in);
  }
  tckms_keyring_free(keyring);
  return result;
}

/* Takes the long options out, which getopt() does not know. */
static int long_options(int *argc, char **argv, struct request *request) {
  int from, to = 1;
  for (from = 1; from < *argc; from++) {
    if (strcmp(argv[from], "--") == 0) {
      break;
    }
    if (strcmp(argv[from], "--help") == 0) {
      fputs(HELP, stdout);
      return 0;
    }
    if (strcmp(argv[from], "--version") == 0) {
      printf("tckms-seal %s\n", tckms_version());
      return 0;
    }
    if (strcmp(argv[from], "--info") == 0) {
      request->info = 1;
    } else {
      argv[to++] = argv[from];
    }
  }
  while (from < *argc) {
    argv[to++] = argv[from++];
  }
  argv[to] = NULL;
  *argc = to;
  return 1;
}

/*
 * So that an unfinished output file is removed; a second signal ends at once. What the caller had ignored, as nohup does,
 * stays ignored.
 */
static void end_in_order_on(int number) {
  struct sigaction action;
  if (sigaction(number, NULL, &action) == 0 && action.sa_handler != SIG_IGN) {
    memset(&action, 0, sizeof action);
    action.sa_handler = interrupt;
    action.sa_flags = (int)SA_RESETHAND;
    sigaction(number, &action, NULL);
  }
}

int main(int argc, char **argv) {
  struct request request;
  int in = STDIN_FILENO, result;
  memset(&request, 0, sizeof request);
  if (!long_options(&argc, argv, &request)) {
    return EXIT_SUCCESS;
  }
  result = parse(argc, argv, &request);
  if (result == EXIT_SUCCESS && request.input && (in = open(request.input, O_RDONLY | O_CLOEXEC)) < 0) {
    result = complain(request.input, strerror(errno));
  }
  if (result == EXIT_SUCCESS) {
    end_in_order_on(SIGINT);
    end_in_order_on(SIGTERM);
    end_in_order_on(SIGHUP);
    result = request.info ? print_info(in) : seal_or_open(&request, in);
  }
  free(request.context);
  if (interrupted && result != EXIT_SUCCESS) {
    /* So that the caller learns what ended this. The handler is gone since the first signal. */
    raise(interrupted);
  }
  return result;
}
