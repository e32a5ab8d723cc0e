/* Growing strings, and printing untrusted text. */
#ifndef TEXT_H
#define TEXT_H

#include <stddef.h>
#include <stdio.h>

/* Appends `len` bytes to a string on the heap; *text may be NULL. Ends the program if there is no memory. */
void text_append(char **text, const char *more, size_t len);

/* Appends a string. */
void text_append_string(char **text, const char *more);

/*
 * Prints untrusted text, such as a file name. Escapes control characters, invisible characters, those that change the
 * direction of text, and bytes that are not UTF-8: a terminal may interpret each of them.
 */
void text_print(FILE *stream, const char *text);

#endif
