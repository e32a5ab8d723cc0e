/* The permissions of a file that replaces another one. */
#ifndef ATTRIBUTES_H
#define ATTRIBUTES_H

#include <sys/types.h>
#include <sys/stat.h>

/* Gives `file` the owner, group, mode, access control list and SELinux label of `old`. `new_mode` is the mode of a new
 * file. Attributes that cannot be preserved are reported with `name`, and the mode then allows only what both
 * rules allow. Returns an exit status; it is not a failure if an attribute is not preserved. */
int attributes_keep(int old, int file, mode_t new_mode, const char *name);

/* Sets the mode. Some file systems have one mode for all files: that is reported, but not a failure. */
void attributes_set_mode(int file, mode_t mode, const char *name);

#endif
