/* Strings that grow, and text that is safe to print. */
#ifndef TEXT_H
#define TEXT_H

#include <stddef.h>
#include <stdio.h>

/* Appends `len` bytes to a string on the heap; *text may be NULL. Ends the program when there is no memory. */
void text_append(char **text, const char *more, size_t len);

/* The same with a whole string. */
void text_append_string(char **text, const char *more);

/*
 * Prints a name that someone else may have chosen. Control characters, invisible ones and those that change the direction
 * of text are escaped, and so are bytes that are not UTF-8: a terminal may act on each of them.
 */
void text_print(FILE *stream, const char *text);

#endif
