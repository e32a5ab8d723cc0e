package tckms_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	"net/http"
	"os"
	"strings"
	"time"

	tckms "tckms.invalid/go"
)

// A client from the environment, a small secret encrypted and decrypted. KEY_ID is the id of a CMK.
func Example() {
	client, err := tckms.NewClientFromEnv()
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	keyID := os.Getenv("KEY_ID")
	pairs := tckms.Pairs{"app": "billing"}

	blob, err := client.Encrypt(ctx, keyID, []byte("a small secret"), pairs)
	if err != nil {
		log.Fatal(err)
	}
	plaintext, err := client.Decrypt(ctx, keyID, blob, pairs)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", plaintext)
	tckms.Wipe(plaintext)
	// Output: a small secret
}

// A TLS server whose key never leaves KMS. TLS_KEY_ID is the id of a CMK that signs, here of usage
// ASYMMETRIC_SIGN_VERIFY_ECC. Each handshake that is no resumption costs one signature: the service makes 100 a second for an
// account and region.
func ExampleClient_NewSigner() {
	client, err := tckms.NewClientFromEnv()
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	signer, err := client.NewSigner(context.Background(), os.Getenv("TLS_KEY_ID"))
	if err != nil {
		log.Fatal(err)
	}

	// A CA would get x509.CreateCertificateRequest(rand.Reader, template, signer). This certificate signs itself.
	template := &x509.Certificate{
		SerialNumber:          big.NewInt(time.Now().UnixNano()),
		DNSNames:              []string{"localhost"},
		NotAfter:              time.Now().Add(24 * time.Hour),
		IsCA:                  true,
		BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	if err != nil {
		log.Fatal(err)
	}
	served := tls.Certificate{Certificate: [][]byte{der}, PrivateKey: signer}
	if _, isRSA := signer.Public().(*rsa.PublicKey); isRSA {
		// RSA keys of KMS sign digests of SHA-256 only; without this, a client that prefers others cannot connect.
		served.SupportedSignatureAlgorithms = []tls.SignatureScheme{tls.PSSWithSHA256, tls.PKCS1WithSHA256}
	}
	listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{
		MinVersion:   tls.VersionTLS12,
		Certificates: []tls.Certificate{served},
	})
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprintln(w, "signed by KMS")
	})}
	go server.Serve(listener)
	defer server.Close()

	// A client that trusts the certificate.
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		log.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(certificate)
	browser := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, ServerName: "localhost"}}}
	reply, err := browser.Get("https://" + listener.Addr().String())
	if err != nil {
		log.Fatal(err)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	fmt.Printf("%s%v\n", text, err)
	// Output:
	// signed by KMS
	// <nil>
}

// What to do about an error depends on its category.
func ExampleError() {
	client, err := tckms.NewClientFromEnv()
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()

	_, err = client.Encrypt(context.Background(), "00000000-0000-0000-0000-000000000000", []byte("x"), nil)
	var failure *tckms.Error
	switch {
	case errors.Is(err, tckms.ErrCMKNotFound):
		errors.As(err, &failure)
		fmt.Println(failure.Code, "for", failure.KeyID)
	case errors.As(err, &failure) && failure.Retryable:
		fmt.Println("try again later")
	case err != nil:
		fmt.Println(err)
	}
	// Output: ResourceUnavailable.CmkNotFound for 00000000-0000-0000-0000-000000000000
}

// Credentials from a vault of the program's own, asked for again before they expire.
func ExampleCredentialsFunc() {
	client, err := tckms.NewClient(tckms.Options{
		Region:   "ap-guangzhou",
		Endpoint: os.Getenv("TCKMS_ENDPOINT"),
		Credentials: tckms.CredentialsFunc(func(context.Context) (tckms.Identity, error) {
			return tckms.Identity{
				SecretID:  os.Getenv("TENCENTCLOUD_SECRET_ID"),
				SecretKey: os.Getenv("TENCENTCLOUD_SECRET_KEY"),
				Expires:   time.Now().Add(time.Hour),
			}, nil
		}),
	})
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	key, wrapped, err := client.GenerateDataKey(context.Background(), os.Getenv("KEY_ID"), 32, nil)
	if err != nil {
		log.Fatal(err)
	}
	defer tckms.Wipe(key)
	fmt.Println(len(key), len(wrapped) > 0)
	// Output: 32 true
}

// Data of any size, sealed under a CMK. The cache lets messages share data keys, so that most need no request.
func ExampleKeyring() {
	client, err := tckms.NewClientFromEnv()
	if err != nil {
		log.Fatal(err)
	}
	defer client.Close()
	keyring, err := tckms.NewKeyring(tckms.KeyringOptions{Cache: &tckms.CacheLimits{SealMaxAge: 5 * time.Minute}})
	if err != nil {
		log.Fatal(err)
	}
	defer keyring.Close()
	if err := keyring.AddKMS(client, os.Getenv("KEY_ID")); err != nil {
		log.Fatal(err)
	}

	ctx := context.Background()
	message, err := keyring.Seal(ctx, []byte("a backup"), tckms.Pairs{"purpose": "backup", "tenant": "7"})
	if err != nil {
		log.Fatal(err)
	}
	plaintext, err := keyring.Open(ctx, message, tckms.Pairs{"tenant": "7"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("%s\n", plaintext)
	_, err = keyring.Open(ctx, message, tckms.Pairs{"tenant": "8"})
	fmt.Println(errors.Is(err, tckms.ErrContextMismatch))
	// Output:
	// a backup
	// true
}

// sealStream is what a program does between any reader and any writer.
func sealStream(ctx context.Context, keyring *tckms.Keyring, dst io.Writer, src io.Reader) error {
	w, err := keyring.NewSealWriter(ctx, dst, tckms.Pairs{"purpose": "backup"})
	if err != nil {
		return err
	}
	// Without it a message whose source failed would get an end. After Close it does nothing.
	defer w.Abort()
	if _, err := io.Copy(w, src); err != nil {
		return err
	}
	return w.Close()
}

// A stream, and an escrow key that opens without the service.
func ExampleKeyring_NewSealWriter() {
	private, public := escrowPair()
	sealing, err := tckms.NewKeyring(tckms.KeyringOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer sealing.Close()
	if err := sealing.AddRSAPublicPEM("escrow", "2026", public); err != nil {
		log.Fatal(err)
	}
	var message bytes.Buffer
	if err := sealStream(context.Background(), sealing, &message, strings.NewReader("a backup")); err != nil {
		log.Fatal(err)
	}

	opening, err := tckms.NewKeyring(tckms.KeyringOptions{})
	if err != nil {
		log.Fatal(err)
	}
	defer opening.Close()
	if err := opening.AddRSAPrivatePEM("escrow", "2026", private); err != nil {
		log.Fatal(err)
	}
	r, err := opening.NewOpenReader(context.Background(), &message, tckms.Pairs{"purpose": "backup"})
	if err != nil {
		log.Fatal(err)
	}
	defer r.Close()
	// ReadAll returns no error only for a message that is whole.
	plaintext, err := io.ReadAll(r)
	fmt.Printf("%s %v\n", plaintext, err)
	// Output: a backup <nil>
}

// escrowPair makes what openssl genpkey would, offline.
func escrowPair() (private, public []byte) {
	key, err := rsa.GenerateKey(rand.Reader, 3072)
	if err != nil {
		log.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		log.Fatal(err)
	}
	private = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	if der, err = x509.MarshalPKIXPublicKey(&key.PublicKey); err != nil {
		log.Fatal(err)
	}
	return private, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})
}
