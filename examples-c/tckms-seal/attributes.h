/* Who may do what with a file that takes the place of another one. */
#ifndef ATTRIBUTES_H
#define ATTRIBUTES_H

#include <sys/types.h>
#include <sys/stat.h>

/*
 * Gives `file` the owner, group, mode, access control list and SELinux label of `old`. `fresh` is the mode that it has as a
 * new file. What cannot be kept is said, with `name`, and the mode is then one that opens the file to no one who lacks
 * access by either rule. Returns an exit status; something not kept is no failure.
 */
int attributes_keep(int old, int file, mode_t fresh, const char *name);

/* Sets the mode. Some file systems have one mode for all files: that is said, and no failure. */
void attributes_set_mode(int file, mode_t mode, const char *name);

#endif
