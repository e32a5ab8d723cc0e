//go:build go1.20

package tckms

import (
	"crypto"
	"crypto/rsa"
)

// mgfHash is the hash function of MGF1, or 0 for that of OAEP.
func mgfHash(opts *rsa.OAEPOptions) crypto.Hash { return opts.MGFHash }
