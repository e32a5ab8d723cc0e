#include "options.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tckms.h>

#include "report.h"
#include "text.h"

const char OPTIONS_HELP[] =
    "usage: tckms-seal [-d] [-k KEYID]... [-e NS:NAME:PEM]... [-c NAME=VALUE]... [-o FILE] [FILE]\n"
    "       tckms-seal --info [FILE]\n"
    "\n"
    "Seals FILE or standard input under CMKs and RSA keys; any one of them opens the message.\n"
    "\n"
    "  -d              open a sealed message instead\n"
    "  -k KEYID        the key id of a CMK; may be repeated\n"
    "  -e NS:NAME:PEM  an RSA key in a PEM file: the public key to seal, the private key to open\n"
    "  -c NAME=VALUE   a pair of the context; to open, a pair that the message must have\n"
    "  -o FILE         write to FILE, which is replaced only by a complete result; \"-\" is standard output, the default\n"
    "  -s              sign the message; to open, also write parts of a signed one before its signature is verified\n"
    "  -t THREADS      the number of threads, 1 to 256; default: all cores\n"
    "  -q              no progress, even on a terminal\n"
    "  --branch ID     seal under a branch key of this branch, which the CMKs wrap; to open, accept no other branch\n"
    "  --branch-file FILE  the records of branch keys from \"tckms branch\"; default: a new branch key\n"
    "  --by-reference  leave the branch key out of the message, which then opens only with --branch-file\n"
    "  --proxy URL     use this HTTP proxy\n"
    "  --overwrite-input   allow -o to name the input itself\n"
    "  --info          print the header of a message as JSON, without authenticating it\n"
    "  --version       print the version\n"
    "  --help          print this text\n"
    "\n"
    "-k needs TENCENTCLOUD_SECRET_ID, TENCENTCLOUD_SECRET_KEY and TENCENTCLOUD_REGION in the environment.\n"
    "TENCENTCLOUD_SESSION_TOKEN, TCKMS_ENDPOINT, TCKMS_CA_FILE and TCKMS_PROXY are optional.\n"
    "\n"
    "Output on standard output is complete only if the exit status is 0.\n"
    "\n"
    "exit status: 0 success; 1 a file could not be read or written, or another failure; 2 invalid command line;\n"
    "3 the message cannot be opened or was changed; 4 the service cannot be reached or is not available;\n"
    "5 the service refused the request, or there are no credentials\n";

/* The code of a short option is its character; options with only a long name have larger codes. */
enum { OPTION_BRANCH = 256, OPTION_BRANCH_FILE, OPTION_BY_REFERENCE, OPTION_PROXY, OPTION_OVERWRITE_INPUT, OPTION_INFO, OPTION_VERSION, OPTION_HELP };

static const struct {
  const char *name;
  int option, has_value;
} LONG_OPTIONS[] = {{"branch", OPTION_BRANCH, 1},
                    {"branch-file", OPTION_BRANCH_FILE, 1},
                    {"by-reference", OPTION_BY_REFERENCE, 0},
                    {"proxy", OPTION_PROXY, 1},
                    {"overwrite-input", OPTION_OVERWRITE_INPUT, 0},
                    {"info", OPTION_INFO, 0},
                    {"version", OPTION_VERSION, 0},
                    {"help", OPTION_HELP, 0}};

static const char SHORT_WITH_VALUE[] = "kecot";
static const char SHORT_WITHOUT_VALUE[] = "dsq";

static void append_json_string(char **json, const char *text, size_t len) {
  size_t i;
  text_append_string(json, "\"");
  for (i = 0; i < len; i++) {
    unsigned char byte = (unsigned char)text[i];
    char escaped[7];
    if (byte >= 0x20 && byte != '"' && byte != '\\') {
      text_append(json, text + i, 1);
    } else {
      snprintf(escaped, sizeof escaped, "\\u%04x", byte);
      text_append_string(json, escaped);
    }
  }
  text_append_string(json, "\"");
}

/* Adds NAME=VALUE to the context, whose closing brace is added at the end. */
static int add_pair(char **context, const char *pair) {
  const char *equals = strchr(pair, '=');
  if (!equals || equals == pair) {
    return report_usage("-c takes NAME=VALUE", NULL);
  }
  text_append_string(context, *context ? "," : "{");
  append_json_string(context, pair, (size_t)(equals - pair));
  text_append_string(context, ":");
  append_json_string(context, equals + 1, strlen(equals + 1));
  return EXIT_SUCCESS;
}

static int set_threads(struct options *options, const char *text) {
  char why[64];
  char *end;
  unsigned long number = strtoul(text, &end, 10);
  if (text[0] < '0' || text[0] > '9' || *end != '\0' || number < 1 || number > TCKMS_THREADS_MAX) {
    snprintf(why, sizeof why, "-t takes a number from 1 to %d", TCKMS_THREADS_MAX);
    return report_usage(why, NULL);
  }
  options->threads = (unsigned)number;
  return EXIT_SUCCESS;
}

static int add_key(struct options *options, const char **keys, size_t *count, const char *key) {
  char why[64];
  if (options->key_count + options->escrow_key_count == KEYS_MAX) {
    snprintf(why, sizeof why, "at most %d keys are allowed", KEYS_MAX);
    return report_usage(why, NULL);
  }
  keys[(*count)++] = key;
  return EXIT_SUCCESS;
}

/* `value` is NULL for an option without one. */
static int apply(struct options *options, int option, const char *value) {
  switch (option) {
    case 'd':
      options->action = ACTION_OPEN;
      break;
    case 's':
      options->sign = 1;
      break;
    case 'q':
      options->quiet = 1;
      break;
    case 'o':
      options->output = value;
      break;
    case 't':
      return set_threads(options, value);
    case 'k':
      return add_key(options, options->keys, &options->key_count, value);
    case 'e':
      return add_key(options, options->escrow_keys, &options->escrow_key_count, value);
    case 'c':
      return add_pair(&options->context, value);
    case OPTION_BRANCH:
      if (options->branch) {
        return report_usage("only one --branch is allowed", NULL);
      }
      options->branch = value;
      break;
    case OPTION_BRANCH_FILE:
      options->branch_file = value;
      break;
    case OPTION_BY_REFERENCE:
      options->by_reference = 1;
      break;
    case OPTION_PROXY:
      options->proxy = value;
      break;
    case OPTION_OVERWRITE_INPUT:
      options->overwrite_input = 1;
      break;
    case OPTION_INFO:
      options->action = ACTION_INFO;
      break;
    case OPTION_VERSION:
      options->action = ACTION_VERSION;
      break;
    case OPTION_HELP:
      options->action = ACTION_HELP;
      break;
  }
  return EXIT_SUCCESS;
}

/* Whether the program only prints, so that the other options do not matter. */
static int only_prints(const struct options *options) {
  return options->action == ACTION_HELP || options->action == ACTION_VERSION;
}

/* "--name", "--name=value" or "--name value". `next` is the word after it, or NULL; *used says whether it was taken. */
static int parse_long(struct options *options, const char *word, const char *next, int *used) {
  size_t len = strcspn(word + 2, "="), i;
  const char *value = word[2 + len] == '=' ? word + 2 + len + 1 : NULL;
  for (i = 0; i < sizeof LONG_OPTIONS / sizeof LONG_OPTIONS[0]; i++) {
    if (strlen(LONG_OPTIONS[i].name) != len || strncmp(LONG_OPTIONS[i].name, word + 2, len) != 0) {
      continue;
    }
    if (value && !LONG_OPTIONS[i].has_value) {
      return report_usage("this option takes no value", word);
    }
    if (!value && LONG_OPTIONS[i].has_value) {
      value = next;
      *used = 1;
      if (!value) {
        return report_usage("this option needs a value", word);
      }
    }
    return apply(options, LONG_OPTIONS[i].option, value);
  }
  return report_usage("unknown option", word);
}

/* "-d", "-dq", "-kKEYID" or "-k KEYID". */
static int parse_short(struct options *options, const char *word, const char *next, int *used) {
  const char *at;
  int result = EXIT_SUCCESS;
  for (at = word + 1; *at != '\0' && result == EXIT_SUCCESS; at++) {
    char name[3] = {'-', *at, '\0'};
    if (strchr(SHORT_WITHOUT_VALUE, *at)) {
      result = apply(options, *at, NULL);
      continue;
    }
    if (!strchr(SHORT_WITH_VALUE, *at)) {
      return report_usage("unknown option", (unsigned char)*at < 0x80 ? name : word);
    }
    *used = at[1] == '\0';
    if (*used && !next) {
      return report_usage("this option needs a value", name);
    }
    return apply(options, *at, *used ? next : at + 1);
  }
  return result;
}

static int parse_words(struct options *options, int argc, char **argv) {
  int i, options_end = 0, operands = 0, result = EXIT_SUCCESS;
  for (i = 1; i < argc && result == EXIT_SUCCESS && !only_prints(options); i++) {
    const char *word = argv[i], *next = i + 1 < argc ? argv[i + 1] : NULL;
    int used = 0;
    if (!options_end && strcmp(word, "--") == 0) {
      options_end = 1;
    } else if (!options_end && strncmp(word, "--", 2) == 0) {
      result = parse_long(options, word, next, &used);
    } else if (!options_end && word[0] == '-' && word[1] != '\0') {
      result = parse_short(options, word, next, &used);
    } else if (operands++ > 0) {
      result = report_usage("there is more than one file", word);
    } else if (strcmp(word, "-") != 0) {
      options->input = word;
    }
    i += used;
  }
  return result;
}

int options_parse(struct options *options, int argc, char **argv) {
  int result;
  memset(options, 0, sizeof *options);
  result = parse_words(options, argc, argv);
  if (options->context) {
    text_append_string(&options->context, "}");
  }
  if (result != EXIT_SUCCESS || only_prints(options)) {
    return result;
  }
  if (options->action == ACTION_INFO) {
    return options->output ? report_usage("--info prints to standard output and takes no -o", NULL) : EXIT_SUCCESS;
  }
  if ((options->branch || options->branch_file || options->by_reference) && options->key_count == 0) {
    return report_usage("a branch key needs a CMK; use -k", NULL);
  }
  if (options->action == ACTION_SEAL && !options->branch && (options->branch_file || options->by_reference)) {
    return report_usage("name the branch with --branch", NULL);
  }
  if (options->action == ACTION_SEAL && options->by_reference && !options->branch_file) {
    return report_usage("--by-reference needs the records of --branch-file", NULL);
  }
  if (options->key_count + options->escrow_key_count == 0) {
    return report_usage("no key is given; use -k or -e", NULL);
  }
  return EXIT_SUCCESS;
}

void options_free(struct options *options) { free(options->context); }
