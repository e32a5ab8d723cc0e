package tckms

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/subtle"
	"errors"
	"fmt"
	"io"
)

// Decrypter is a crypto.Decrypter with an RSA key of KMS.
type Decrypter struct {
	ctx    context.Context
	client *Client
	keyID  string
	public *rsa.PublicKey
}

var _ crypto.Decrypter = (*Decrypter)(nil)

// NewDecrypter fetches the public key and checks that the key decrypts. Every decryption uses ctx, because
// crypto.Decrypter has no context, and the client must stay open. For SM2 keys, which crypto/x509 does not support, use Client.SM2Decrypt.
func (c *Client) NewDecrypter(ctx context.Context, keyID string) (*Decrypter, error) {
	public, err := c.parsedPublicKey(ctx, keyID)
	if err != nil {
		return nil, err
	}
	key, isRSA := public.(*rsa.PublicKey)
	if !isRSA {
		return nil, fmt.Errorf("tckms: the key %s is %T, only RSA keys decrypt this way", keyID, public)
	}
	// Encryption is local, and checks the usage of the key. The C library has no call that does only this.
	if _, err := c.RSAEncrypt(ctx, keyID, RSAOAEPSHA256, nil); err != nil {
		return nil, err
	}
	return &Decrypter{ctx, c, keyID, key}, nil
}

// Public returns an *rsa.PublicKey.
func (d *Decrypter) Public() crypto.PublicKey { return d.public }

// Decrypt decrypts as an *rsa.PrivateKey does: with OAEP for *rsa.OAEPOptions, with SHA-256 or SHA-1 and no label,
// and with PKCS #1 v1.5 for *rsa.PKCS1v15DecryptOptions or nil. With a SessionKeyLen, a ciphertext that cannot be
// decrypted returns a random key of that length and no error, so a peer cannot distinguish the two. The rand
// argument is not used.
func (d *Decrypter) Decrypt(_ io.Reader, ciphertext []byte, opts crypto.DecrypterOpts) ([]byte, error) {
	switch opts := opts.(type) {
	case nil:
		return d.client.RSADecrypt(d.ctx, d.keyID, RSAPKCS1v15, ciphertext)
	case *rsa.PKCS1v15DecryptOptions:
		if opts.SessionKeyLen > 0 {
			return d.sessionKey(ciphertext, opts.SessionKeyLen)
		}
		return d.client.RSADecrypt(d.ctx, d.keyID, RSAPKCS1v15, ciphertext)
	case *rsa.OAEPOptions:
		padding, err := oaepPadding(opts)
		if err != nil {
			return nil, err
		}
		return d.client.RSADecrypt(d.ctx, d.keyID, padding, ciphertext)
	default:
		return nil, fmt.Errorf("tckms: %T are not options of RSA decryption", opts)
	}
}

func oaepPadding(opts *rsa.OAEPOptions) (RSAPadding, error) {
	if len(opts.Label) != 0 {
		return 0, errors.New("tckms: KMS decrypts OAEP without a label only")
	}
	if mgf := mgfHash(opts); mgf != 0 && mgf != opts.Hash {
		return 0, errors.New("tckms: KMS decrypts OAEP only with the same hash function for MGF1")
	}
	switch opts.Hash {
	case crypto.SHA256:
		return RSAOAEPSHA256, nil
	case crypto.SHA1:
		return RSAOAEPSHA1, nil
	default:
		return 0, errors.New("tckms: KMS decrypts OAEP with SHA-256 or SHA-1")
	}
}

// sessionKey returns the decrypted key, or a random one if the ciphertext has no key of that length.
func (d *Decrypter) sessionKey(ciphertext []byte, size int) ([]byte, error) {
	key := make([]byte, size)
	if _, err := rand.Read(key); err != nil {
		return nil, err
	}
	plaintext, err := d.client.RSADecrypt(d.ctx, d.keyID, RSAPKCS1v15, ciphertext)
	if err != nil && !errors.Is(err, ErrDecryptionFailed) {
		return nil, err
	}
	if err == nil && len(plaintext) == size {
		subtle.ConstantTimeCopy(1, key, plaintext)
	}
	return key, nil
}
