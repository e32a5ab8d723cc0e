/* The keyring that the command line describes. */
#ifndef KEYS_H
#define KEYS_H

#include <tckms.h>

#include "options.h"

/* Adds the CMKs and the escrow keys, in this order. Sends nothing. Returns an exit status. */
int keys_add(tckms_keyring *keyring, const struct options *options);

#endif
