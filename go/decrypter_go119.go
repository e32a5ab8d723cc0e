//go:build !go1.20

package tckms

import (
	"crypto"
	"crypto/rsa"
)

// mgfHash is 0, the hash function of OAEP: the options of Go 1.19 have no separate one.
func mgfHash(*rsa.OAEPOptions) crypto.Hash { return 0 }
