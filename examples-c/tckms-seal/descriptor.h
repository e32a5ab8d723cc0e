/* Inherited descriptors. */
#ifndef DESCRIPTOR_H
#define DESCRIPTOR_H

/*
 * Opens a placeholder on each closed standard descriptor. Otherwise the next file would get its number, and a message on
 * standard error could end up in the output file.
 */
int descriptor_reserve_standard(void);

/* The number that a path such as /dev/stdout, /dev/fd/3 or /proc/self/fd/3 names, or -1 for another path. */
int descriptor_in_path(const char *path);

/* The number in a name of decimal digits, or -1. */
int descriptor_number(const char *digits);

/* Whether it is open for reading, or for writing. Sets errno when it is not. */
int descriptor_is_readable(int descriptor);
int descriptor_is_writable(int descriptor);

#endif
