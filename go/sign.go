package tckms

// #include "shim.h"
import "C"

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rsa"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
)

// SignAlgorithm is a signature algorithm.
type SignAlgorithm int

// The algorithms.
const (
	// SignDefault is the algorithm of the key; PSS for RSA, which has two.
	SignDefault SignAlgorithm = C.TCKMS_SIGN_DEFAULT
	// SignECDSAP256SHA256 is ECDSA on P-256 with SHA-256.
	SignECDSAP256SHA256 SignAlgorithm = C.TCKMS_SIGN_ECDSA_P256_SHA256
	// SignECDSAP384SHA384 is ECDSA on P-384 with SHA-384.
	SignECDSAP384SHA384 SignAlgorithm = C.TCKMS_SIGN_ECDSA_P384_SHA384
	// SignRSAPSSSHA256 is RSASSA-PSS with SHA-256 and a salt of 32 bytes.
	SignRSAPSSSHA256 SignAlgorithm = C.TCKMS_SIGN_RSA_PSS_SHA256
	// SignRSAPKCS1SHA256 is RSASSA-PKCS1-v1_5 with SHA-256.
	SignRSAPKCS1SHA256 SignAlgorithm = C.TCKMS_SIGN_RSA_PKCS1_SHA256
	// SignSM2SM3 is SM2 with SM3.
	SignSM2SM3 SignAlgorithm = C.TCKMS_SIGN_SM2_SM3
)

// RSAPadding is a padding of RSA encryption.
type RSAPadding int

// The paddings.
const (
	// RSAOAEPSHA256 is OAEP with SHA-256 and an empty label.
	RSAOAEPSHA256 RSAPadding = C.TCKMS_RSA_OAEP_SHA256
	// RSAOAEPSHA1 is OAEP with SHA-1 and an empty label.
	RSAOAEPSHA1 RSAPadding = C.TCKMS_RSA_OAEP_SHA1
	// RSAPKCS1v15 is for peers that support nothing else. If a peer can find out whether decryption failed, from the
	// program's reply or its timing, it can decrypt messages.
	RSAPKCS1v15 RSAPadding = C.TCKMS_RSA_PKCS1_V1_5
)

// PublicKey returns the public key of an asymmetric CMK, as a SubjectPublicKeyInfo in DER, for x509.ParsePKIXPublicKey.
// A client fetches each key once and caches it.
func (c *Client) PublicKey(ctx context.Context, keyID string) ([]byte, error) {
	return c.publicKey(ctx, keyID, false)
}

// PublicKeyPEM returns the public key in PEM.
func (c *Client) PublicKeyPEM(ctx context.Context, keyID string) ([]byte, error) {
	return c.publicKey(ctx, keyID, true)
}

func (c *Client) publicKey(ctx context.Context, keyID string, pem bool) ([]byte, error) {
	r := newRequest("GetPublicKey")
	key := r.text(keyID)
	r.call = func(how C.tckms_go_how) C.tckms_go_outcome {
		return C.tckms_go_public_key(c.handle, how, key, truth(pem))
	}
	if !pem {
		r.submit = func(t terms) C.tckms_go_outcome { return C.tckms_go_submit_public_key(t, key) }
	}
	public, _, err := r.do(ctx, c)
	return public, err
}

// useKey runs an operation of an asymmetric key on some bytes.
func (c *Client) useKey(ctx context.Context, action string, use C.tckms_go_key_use, keyID string, algorithm int, input []byte) ([]byte, error) {
	r := newRequest(action)
	key := r.text(keyID)
	bytes, size := r.bytes(input)
	r.call = func(how C.tckms_go_how) C.tckms_go_outcome {
		return C.tckms_go_use_key(c.handle, how, use, key, C.int(algorithm), bytes, size)
	}
	if use == C.TCKMS_GO_SIGN_DIGEST || use == C.TCKMS_GO_RSA_DECRYPT {
		r.submit = func(t terms) C.tckms_go_outcome {
			return C.tckms_go_submit_use_key(t, use, key, C.int(algorithm), bytes, size)
		}
	}
	output, _, err := r.do(ctx, c)
	return output, err
}

// Sign signs a message of any size with a key that never leaves KMS. The message is hashed locally, and the signature
// is verified with the public key before it is returned. Signatures of ECDSA and SM2 are in DER.
func (c *Client) Sign(ctx context.Context, keyID string, algorithm SignAlgorithm, message []byte) ([]byte, error) {
	return c.useKey(ctx, "SignByAsymmetricKey", C.TCKMS_GO_SIGN, keyID, int(algorithm), message)
}

// SignDigest signs a digest of 32 bytes, 48 for P-384. For SM2, use SM2Digest to compute it. If the service accepts only
// digests of 32 bytes, as documented, then a P-384 key signs no digest of SHA-384: the error is ErrInvalidParameter and
// says so. Sign and MessageSigner then sign messages of up to 4096 bytes.
func (c *Client) SignDigest(ctx context.Context, keyID string, algorithm SignAlgorithm, digest []byte) ([]byte, error) {
	return c.useKey(ctx, "SignByAsymmetricKey", C.TCKMS_GO_SIGN_DIGEST, keyID, int(algorithm), digest)
}

// Verify verifies a signature of a message locally, with the public key. If it is not valid, the error is
// ErrSignatureInvalid. For a key that decrypts, the error is ErrInvalidKeyUsage; to find out, the first call for a key
// that works locally also fetches its usage.
func (c *Client) Verify(ctx context.Context, keyID string, algorithm SignAlgorithm, message, signature []byte) error {
	return c.verify(ctx, keyID, algorithm, message, signature, false)
}

// VerifyDigest verifies a signature of a digest.
func (c *Client) VerifyDigest(ctx context.Context, keyID string, algorithm SignAlgorithm, digest, signature []byte) error {
	return c.verify(ctx, keyID, algorithm, digest, signature, true)
}

func (c *Client) verify(ctx context.Context, keyID string, algorithm SignAlgorithm, input, signature []byte, digest bool) error {
	r := newRequest("Verify")
	key := r.text(keyID)
	bytes, size := r.bytes(input)
	sig, sigSize := r.bytes(signature)
	r.call = func(how C.tckms_go_how) C.tckms_go_outcome {
		return C.tckms_go_verify(c.handle, how, truth(digest), key, C.int(algorithm), bytes, size, sig, sigSize)
	}
	_, _, err := r.do(ctx, c)
	return err
}

// SM2Digest computes the digest that SM2 signs. A nil userID is "1234567812345678".
func (c *Client) SM2Digest(ctx context.Context, keyID string, userID, message []byte) ([]byte, error) {
	r := newRequest("SM2Digest")
	key := r.text(keyID)
	user, userSize := r.bytes(userID)
	bytes, size := r.bytes(message)
	r.call = func(how C.tckms_go_how) C.tckms_go_outcome {
		return C.tckms_go_sm2_digest(c.handle, how, key, user, userSize, bytes, size)
	}
	digest, _, err := r.do(ctx, c)
	return digest, err
}

// RSAEncrypt encrypts a small secret under an RSA key, locally: at most 190 bytes with RSAOAEPSHA256. For a key that
// signs, the error is ErrInvalidKeyUsage.
func (c *Client) RSAEncrypt(ctx context.Context, keyID string, padding RSAPadding, plaintext []byte) ([]byte, error) {
	return c.useKey(ctx, "RSAEncrypt", C.TCKMS_GO_RSA_ENCRYPT, keyID, int(padding), plaintext)
}

// RSADecrypt decrypts a ciphertext of an RSA key. Every failure to decrypt is ErrDecryptionFailed.
func (c *Client) RSADecrypt(ctx context.Context, keyID string, padding RSAPadding, ciphertext []byte) ([]byte, error) {
	return c.useKey(ctx, "AsymmetricRsaDecrypt", C.TCKMS_GO_RSA_DECRYPT, keyID, int(padding), ciphertext)
}

// SM2Decrypt decrypts a ciphertext of an SM2 key: C1, C3 and C2 in DER, at most 256 bytes.
func (c *Client) SM2Decrypt(ctx context.Context, keyID string, ciphertext []byte) ([]byte, error) {
	r := newRequest("AsymmetricSm2Decrypt")
	key := r.text(keyID)
	bytes, size := r.bytes(ciphertext)
	r.call = func(how C.tckms_go_how) C.tckms_go_outcome {
		return C.tckms_go_sm2_decrypt(c.handle, how, key, bytes, size)
	}
	plaintext, _, err := r.do(ctx, c)
	return plaintext, err
}

// SignatureToRaw converts a signature of ECDSA or SM2 from DER to r and s, concatenated, of size bytes together: 64 for
// P-256 and SM2, 96 for P-384. JWT uses this form.
func SignatureToRaw(signature []byte, size int) ([]byte, error) {
	r := newRequest("SignatureToRaw")
	bytes, len := r.bytes(signature)
	r.call = func(how C.tckms_go_how) C.tckms_go_outcome {
		return C.tckms_go_signature_to_raw(how, bytes, len, length(size))
	}
	raw, _, err := r.do(context.Background(), noCaller{})
	return raw, err
}

// SignatureFromRaw converts r and s, concatenated, to a signature in DER.
func SignatureFromRaw(raw []byte) ([]byte, error) {
	r := newRequest("SignatureFromRaw")
	bytes, len := r.bytes(raw)
	r.call = func(how C.tckms_go_how) C.tckms_go_outcome { return C.tckms_go_signature_from_raw(how, bytes, len) }
	signature, _, err := r.do(context.Background(), noCaller{})
	return signature, err
}

// Signer is a crypto.Signer with an ECDSA or RSA key of KMS, for crypto/tls, x509.CreateCertificate and similar
// functions.
//
// An RSA key signs only digests of SHA-256, which crypto/tls cannot know: it uses the first algorithm of the peer's list,
// so handshakes with peers that prefer SHA-512 or SHA-384 fail. Set SupportedSignatureAlgorithms of the tls.Certificate
// of an RSA key to tls.PSSWithSHA256 and tls.PKCS1WithSHA256.
type Signer struct {
	ctx    context.Context
	client *Client
	keyID  string
	public crypto.PublicKey
}

var _ crypto.Signer = (*Signer)(nil)

// NewSigner fetches the public key and checks that the key signs. Every signature uses ctx, because crypto.Signer has no
// context, and the client must stay open. For SM2 keys, which crypto/x509 does not support, use Client.Sign.
func (c *Client) NewSigner(ctx context.Context, keyID string) (*Signer, error) {
	public, err := c.parsedPublicKey(ctx, keyID)
	if err != nil {
		return nil, err
	}
	// The C library has no call that only checks the usage.
	checked, err := c.NewMessageSigner(ctx, keyID, SignDefault, nil)
	if err != nil {
		return nil, err
	}
	checked.Close()
	return &Signer{ctx, c, keyID, public}, nil
}

// parsedPublicKey fetches a public key in the form of the standard library.
func (c *Client) parsedPublicKey(ctx context.Context, keyID string) (crypto.PublicKey, error) {
	der, err := c.PublicKey(ctx, keyID)
	if err != nil {
		return nil, err
	}
	public, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, fmt.Errorf("tckms: the public key of %s: %w", keyID, err)
	}
	return public, nil
}

// Public returns an *ecdsa.PublicKey or an *rsa.PublicKey.
func (s *Signer) Public() crypto.PublicKey { return s.public }

// Sign signs a digest. RSA signs only digests of SHA-256, with PSS for *rsa.PSSOptions, whose salt must be as long as
// the digest, and with PKCS #1 v1.5 otherwise. ECDSA signs a digest of any hash function. The rand argument is not
// used.
func (s *Signer) Sign(_ io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	algorithm, err := s.algorithm(opts)
	if err != nil {
		return nil, err
	}
	if key, isECDSA := s.public.(*ecdsa.PublicKey); isECDSA {
		if err := checkDigest(digest, opts); err != nil {
			return nil, err
		}
		digest = fit(digest, key.Curve.Params().BitSize/8)
	}
	return s.client.SignDigest(s.ctx, s.keyID, algorithm, digest)
}

// SignMessage hashes a message and signs it. From Go 1.25 on, crypto/tls and crypto/x509 call this instead of Sign,
// because it makes the signer a crypto.MessageSigner. With a P-384 key and SHA-384 it can sign messages of up to 4096
// bytes even if the service accepts only digests of 32 bytes.
func (s *Signer) SignMessage(random io.Reader, message []byte, opts crypto.SignerOpts) ([]byte, error) {
	if opts == nil || opts.HashFunc() == 0 || !opts.HashFunc().Available() {
		return nil, errors.New("tckms: the options name no hash function that is linked into the program")
	}
	if key, isECDSA := s.public.(*ecdsa.PublicKey); isECDSA && key.Curve == elliptic.P384() && opts.HashFunc() == crypto.SHA384 {
		return s.client.Sign(s.ctx, s.keyID, SignECDSAP384SHA384, message)
	}
	hash := opts.HashFunc().New()
	hash.Write(message)
	return s.Sign(random, hash.Sum(nil), opts)
}

// algorithm is the algorithm of the options, if keys of the service have it.
func (s *Signer) algorithm(opts crypto.SignerOpts) (SignAlgorithm, error) {
	if _, isRSA := s.public.(*rsa.PublicKey); !isRSA {
		return SignDefault, nil
	}
	if opts == nil || opts.HashFunc() != crypto.SHA256 {
		return 0, errors.New("tckms: RSA keys sign digests of SHA-256 only")
	}
	pss, isPSS := opts.(*rsa.PSSOptions)
	if !isPSS {
		return SignRSAPKCS1SHA256, nil
	}
	if pss.SaltLength != rsa.PSSSaltLengthAuto && pss.SaltLength != rsa.PSSSaltLengthEqualsHash && pss.SaltLength != 32 {
		return 0, errors.New("tckms: the salt of PSS has 32 bytes")
	}
	return SignRSAPSSSHA256, nil
}

// checkDigest refuses what is no digest of the hash function that the options name. Options without one, which
// crypto/ecdsa accepts, take a digest of any length but 0.
func checkDigest(digest []byte, opts crypto.SignerOpts) error {
	if opts != nil && opts.HashFunc() != 0 && len(digest) != opts.HashFunc().Size() {
		return fmt.Errorf("tckms: the digest has %d bytes, one of %v has %d", len(digest), opts.HashFunc(), opts.HashFunc().Size())
	}
	if len(digest) == 0 {
		return errors.New("tckms: the digest is empty")
	}
	return nil
}

// fit changes the length of a digest to the one that the service signs on a curve, without changing the number that
// ECDSA derives from it: ECDSA uses as many bytes from the left as the curve has, and leading zeros do not change a
// number.
func fit(digest []byte, size int) []byte {
	if len(digest) >= size {
		return digest[:size]
	}
	return append(make([]byte, size-len(digest)), digest...)
}
