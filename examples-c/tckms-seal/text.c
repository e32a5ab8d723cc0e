#include "text.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "report.h"

void text_append(char **text, const char *more, size_t len) {
  size_t before = *text ? strlen(*text) : 0;
  char *longer = realloc(*text, before + len + 1);
  if (!longer) {
    exit(report("a string", strerror(errno)));
  }
  memcpy(longer + before, more, len);
  longer[before + len] = '\0';
  *text = longer;
}

void text_append_string(char **text, const char *more) { text_append(text, more, strlen(more)); }

/* Stores the code point of the UTF-8 character at `bytes`. Returns its length, or 0 if there is none. */
static size_t decode(const unsigned char *bytes, uint32_t *code) {
  static const uint32_t SMALLEST[] = {0, 0, 0x80, 0x800, 0x10000};
  size_t len = bytes[0] < 0x80 ? 1 : bytes[0] >= 0xF0 ? 4 : bytes[0] >= 0xE0 ? 3 : 2, i;
  if (bytes[0] >= 0xF8 || (bytes[0] >= 0x80 && bytes[0] < 0xC0)) {
    return 0;
  }
  *code = len == 1 ? bytes[0] : bytes[0] & (0x7Fu >> len);
  for (i = 1; i < len; i++) {
    if ((bytes[i] & 0xC0) != 0x80) {
      return 0;
    }
    *code = *code << 6 | (bytes[i] & 0x3Fu);
  }
  return *code < SMALLEST[len] || *code > 0x10FFFF || (*code >= 0xD800 && *code <= 0xDFFF) ? 0 : len;
}

/* The same characters that the library escapes. */
static int is_unsafe(uint32_t code) {
  static const struct {
    uint32_t first, last;
  } RANGES[] = {{0, 0x1F},         {0x7F, 0x9F},     {0xAD, 0xAD},     {0x34F, 0x34F},   {0x61C, 0x61C},     {0x180E, 0x180E},
                {0x200B, 0x200F},  {0x2028, 0x202E}, {0x2060, 0x206F}, {0xFEFF, 0xFEFF}, {0xFFF9, 0xFFFB}, {0xE0000, 0xE007F}};
  size_t i;
  for (i = 0; i < sizeof RANGES / sizeof RANGES[0]; i++) {
    if (code >= RANGES[i].first && code <= RANGES[i].last) {
      return 1;
    }
  }
  return 0;
}

void text_print(FILE *stream, const char *text) {
  const unsigned char *at = (const unsigned char *)text;
  while (*at != '\0') {
    uint32_t code = 0;
    size_t len = decode(at, &code);
    if (len == 0) {
      fprintf(stream, "\\x%02x", *at);
    } else if (is_unsafe(code)) {
      fprintf(stream, "\\u{%x}", (unsigned)code);
    } else {
      fwrite(at, 1, len, stream);
    }
    at += len == 0 ? 1 : len;
  }
}
