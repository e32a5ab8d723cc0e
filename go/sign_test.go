package tckms

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"
)

// newKey makes a CMK with a new alias.
func newKey(t *testing.T, client *Client, usage string) string {
	t.Helper()
	alias := fmt.Sprintf("go-%d", time.Now().UnixNano())
	keyID, failure, err := client.CreateKey(background, CreateKeyOptions{Alias: alias, Usage: usage, Tags: map[string]string{"team": "billing"}})
	if err != nil || failure != "" || len(keyID) != 36 {
		t.Fatalf("%q, %q, %v", keyID, failure, err)
	}
	return keyID
}

func TestKeysSignAndVerify(t *testing.T) {
	client, message := plain.client(t), content(5000)
	cancellable, cancel := context.WithTimeout(background, time.Hour)
	defer cancel()
	for _, usage := range []string{KeyUsageSignECC, KeyUsageSignRSA2048, KeyUsageSignSM2} {
		keyID := newKey(t, client, usage)
		for _, ctx := range []context.Context{background, cancellable} {
			signature, err := client.Sign(ctx, keyID, SignDefault, message)
			good(t, signature, err)
			good(t, nil, client.Verify(ctx, keyID, SignDefault, message, signature))
			wantStatus(t, client.Verify(ctx, keyID, SignDefault, message[1:], signature), ErrSignatureInvalid)
			digest := sha256.Sum256(message)
			ofDigest, err := client.SignDigest(ctx, keyID, SignDefault, digest[:])
			good(t, ofDigest, err)
			good(t, nil, client.VerifyDigest(ctx, keyID, SignDefault, digest[:], ofDigest))
			if usage != KeyUsageSignRSA2048 {
				raw, err := SignatureToRaw(signature, 64)
				good(t, raw, err)
				der, err := SignatureFromRaw(raw)
				if !bytes.Equal(good(t, der, err), signature) {
					t.Errorf("%x is not %x", der, signature)
				}
			}
		}
		pem, err := client.PublicKeyPEM(background, keyID)
		if !bytes.HasPrefix(good(t, pem, err), []byte("-----BEGIN PUBLIC KEY-----")) {
			t.Errorf("%s", pem)
		}
	}
	sm2 := newKey(t, client, KeyUsageSignSM2)
	usual, err := client.SM2Digest(background, sm2, nil, message)
	good(t, usual, err)
	other, err := client.SM2Digest(background, sm2, []byte("somebody"), message)
	if good(t, other, err); len(usual) != 32 || bytes.Equal(usual, other) {
		t.Errorf("%x, %x", usual, other)
	}
	_, err = client.Sign(background, sm2, SignRSAPSSSHA256, message)
	wantStatus(t, err, ErrAlgorithmNotAllowed)
	_, err = SignatureToRaw([]byte("no signature"), 64)
	wantStatus(t, err, ErrSignatureInvalid)
}

func TestMessagesAreSignedInPieces(t *testing.T) {
	message := content(300000)
	cancellable, cancel := context.WithCancel(background)
	for _, usage := range []string{KeyUsageSignECC, KeyUsageSignSM2} {
		client := plain.client(t)
		keyID := newKey(t, client, usage)
		for _, ctx := range []context.Context{background, cancellable} {
			signer, err := client.NewMessageSigner(ctx, keyID, SignDefault, nil)
			if err != nil {
				t.Fatal(err)
			}
			if n, err := io.CopyBuffer(signer, struct{ io.Reader }{bytes.NewReader(message)}, make([]byte, 1000)); err != nil || n != int64(len(message)) {
				t.Errorf("%d, %v", n, err)
			}
			signature, err := signer.Sign()
			good(t, signature, err)
			good(t, nil, client.Verify(background, keyID, SignDefault, message, signature))
			if _, err := signer.Sign(); !errors.Is(err, ErrClosed) {
				t.Error(err)
			}
			if _, err := signer.Write(message); !errors.Is(err, ErrClosed) {
				t.Error(err)
			}
			good(t, nil, signer.Close())
		}
		// A closed client is freed by its last signer.
		signer, err := client.NewMessageSigner(background, keyID, SignDefault, nil)
		if err != nil {
			t.Fatal(err)
		}
		client.Close()
		signature, err := signer.Sign()
		if good(t, signature, err); client.handle != nil {
			t.Error("the client was not freed")
		}
	}
	client := plain.client(t)
	keyID := newKey(t, client, KeyUsageSignECC)
	signer, err := client.NewMessageSigner(cancellable, keyID, SignDefault, nil)
	if err != nil {
		t.Fatal(err)
	}
	cancel()
	if _, err := signer.Sign(); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err := client.NewMessageSigner(background, nobodysKey, SignDefault, nil); !errors.Is(err, ErrCMKNotFound) {
		t.Error(err)
	}
}

func TestKeysDecrypt(t *testing.T) {
	client := plain.client(t)
	keyID := newKey(t, client, KeyUsageDecryptRSA2048)
	for _, padding := range []RSAPadding{RSAOAEPSHA256, RSAOAEPSHA1, RSAPKCS1v15} {
		ciphertext, err := client.RSAEncrypt(background, keyID, padding, []byte("secret"))
		good(t, ciphertext, err)
		plaintext, err := client.RSADecrypt(background, keyID, padding, ciphertext)
		if string(good(t, plaintext, err)) != "secret" {
			t.Errorf("%q", plaintext)
		}
	}
	_, err := client.SM2Decrypt(background, newKey(t, client, KeyUsageDecryptSM2), []byte("no ciphertext"))
	wantStatus(t, err, ErrDecryptionFailed)
}

var decrypterOptions = map[RSAPadding]crypto.DecrypterOpts{
	RSAOAEPSHA256: &rsa.OAEPOptions{Hash: crypto.SHA256},
	RSAOAEPSHA1:   &rsa.OAEPOptions{Hash: crypto.SHA1},
	RSAPKCS1v15:   nil,
}

// A Decrypter does what crypto/rsa does with a private key, for what crypto/rsa encrypts.
func TestADecrypterDecrypts(t *testing.T) {
	client := plain.client(t)
	decrypter, err := client.NewDecrypter(background, newKey(t, client, KeyUsageDecryptRSA2048))
	if err != nil {
		t.Fatal(err)
	}
	public := decrypter.Public().(*rsa.PublicKey)
	oaep, err := rsa.EncryptOAEP(sha256.New(), rand.Reader, public, []byte("secret"), nil)
	good(t, oaep, err)
	plaintext, err := decrypter.Decrypt(nil, oaep, decrypterOptions[RSAOAEPSHA256])
	if string(good(t, plaintext, err)) != "secret" {
		t.Errorf("%q", plaintext)
	}
	pkcs1, err := rsa.EncryptPKCS1v15(rand.Reader, public, content(48))
	good(t, pkcs1, err)
	plaintext, err = decrypter.Decrypt(nil, pkcs1, &rsa.PKCS1v15DecryptOptions{})
	if !bytes.Equal(good(t, plaintext, err), content(48)) {
		t.Errorf("%x", plaintext)
	}
	session := &rsa.PKCS1v15DecryptOptions{SessionKeyLen: 48}
	plaintext, err = decrypter.Decrypt(nil, pkcs1, session)
	if !bytes.Equal(good(t, plaintext, err), content(48)) {
		t.Errorf("%x", plaintext)
	}
	// What holds no session key of that length gives a random one, each time another.
	for _, wrong := range [][]byte{oaep, pkcs1} {
		session := &rsa.PKCS1v15DecryptOptions{SessionKeyLen: 47}
		one, err := decrypter.Decrypt(nil, wrong, session)
		good(t, one, err)
		other, err := decrypter.Decrypt(nil, wrong, session)
		if len(good(t, other, err)) != 47 || bytes.Equal(one, other) {
			t.Errorf("%x, %x", one, other)
		}
	}
	plain.fault(t, "AsymmetricRsaDecrypt", 1, `{"kind":"error","code":"ResourceUnavailable.CmkNotFound"}`)
	_, err = decrypter.Decrypt(nil, pkcs1, session)
	wantStatus(t, err, ErrCMKNotFound)
	_, err = decrypter.Decrypt(nil, oaep, decrypterOptions[RSAOAEPSHA1])
	wantStatus(t, err, ErrDecryptionFailed)
	for _, options := range []crypto.DecrypterOpts{
		&rsa.OAEPOptions{Hash: crypto.SHA512}, &rsa.OAEPOptions{Hash: crypto.SHA256, Label: []byte("label")}, "something else",
	} {
		if _, err := decrypter.Decrypt(nil, oaep, options); err == nil {
			t.Errorf("%v is accepted", options)
		}
	}
	if _, err := client.NewDecrypter(background, newKey(t, client, KeyUsageSignECC)); err == nil {
		t.Error("a key that signs decrypts")
	}
}

// What crypto/x509 makes with a key of KMS is what others verify.
func TestASignerMakesCertificates(t *testing.T) {
	client := plain.client(t)
	for _, usage := range []string{KeyUsageSignECC, KeyUsageSignRSA2048} {
		signer, err := client.NewSigner(background, newKey(t, client, usage))
		if err != nil {
			t.Fatal(err)
		}
		template := &x509.Certificate{
			SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "tckms"},
			NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
		}
		der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
		good(t, der, err)
		certificate, err := x509.ParseCertificate(der)
		if err != nil {
			t.Fatal(err)
		}
		good(t, nil, certificate.CheckSignatureFrom(certificate))
		digest := sha256.Sum256([]byte("x"))
		switch public := signer.Public().(type) {
		case *ecdsa.PublicKey:
			signature, err := signer.Sign(rand.Reader, digest[:], crypto.SHA256)
			if good(t, signature, err); !ecdsa.VerifyASN1(public, digest[:], signature) {
				t.Error("not valid")
			}
		case *rsa.PublicKey:
			options := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
			signature, err := signer.Sign(rand.Reader, digest[:], options)
			good(t, signature, err)
			good(t, nil, rsa.VerifyPSS(public, crypto.SHA256, digest[:], signature, options))
			if _, err := signer.Sign(rand.Reader, make([]byte, 64), crypto.SHA512); err == nil {
				t.Error("SHA-512 was signed")
			}
		}
	}
	if _, err := client.NewSigner(background, newKey(t, client, KeyUsageSignSM2)); err == nil {
		t.Error("crypto/x509 knows SM2 now")
	}
}

// From Go 1.25 on, crypto/tls and crypto/x509 give a signer whole messages.
func TestASignerSignsMessages(t *testing.T) {
	client := plain.client(t)
	message := content(500)
	pss := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	rsaKey := newKey(t, client, KeyUsageSignRSA2048)
	for _, test := range []struct {
		keyID   string
		options crypto.SignerOpts
	}{
		{newKey(t, client, KeyUsageSignECC), crypto.SHA256},
		{newKey(t, client, KeyUsageSignECC), crypto.SHA384},
		{newKey(t, client, KeyUsageSignECDSA384), crypto.SHA384},
		{newKey(t, client, KeyUsageSignECDSA384), crypto.SHA256},
		{rsaKey, crypto.SHA256},
		{rsaKey, pss},
	} {
		signer, err := client.NewSigner(background, test.keyID)
		if err != nil {
			t.Fatal(err)
		}
		signature, err := signer.SignMessage(nil, message, test.options)
		good(t, signature, err)
		hash := test.options.HashFunc().New()
		hash.Write(message)
		digest, valid := hash.Sum(nil), false
		switch public := signer.Public().(type) {
		case *ecdsa.PublicKey:
			valid = ecdsa.VerifyASN1(public, digest, signature)
		case *rsa.PublicKey:
			if test.options == crypto.SignerOpts(pss) {
				valid = rsa.VerifyPSS(public, crypto.SHA256, digest, signature, pss) == nil
			} else {
				valid = rsa.VerifyPKCS1v15(public, crypto.SHA256, digest, signature) == nil
			}
		}
		if !valid {
			t.Errorf("%s, %v: not valid", test.keyID, test.options)
		}
		for _, options := range []crypto.SignerOpts{nil, crypto.Hash(0)} {
			if _, err := signer.SignMessage(nil, message, options); err == nil {
				t.Errorf("%v is accepted", options)
			}
		}
	}
	// Where a digest has 32 bytes, a P-384 key signs messages, and digests that are not longer.
	signer, err := client.NewSigner(background, newKey(t, client, KeyUsageSignECDSA384))
	if err != nil {
		t.Fatal(err)
	}
	plain.behave(t, `{"strict_digests":true}`)
	public := signer.Public().(*ecdsa.PublicKey)
	digest := sha512.Sum384(message)
	signature, err := signer.SignMessage(nil, message, crypto.SHA384)
	if good(t, signature, err); !ecdsa.VerifyASN1(public, digest[:], signature) {
		t.Error("not valid")
	}
	short := sha256.Sum256(message)
	signature, err = signer.Sign(nil, short[:], crypto.SHA256)
	if good(t, signature, err); !ecdsa.VerifyASN1(public, short[:], signature) {
		t.Error("not valid")
	}
	_, err = signer.Sign(nil, digest[:], crypto.SHA384)
	wantStatus(t, err, ErrInvalidParameter)
}

// ECDSA signs a digest of any length, as crypto/ecdsa does: TLS 1.2 has SHA-384 with keys on P-256 too.
func TestASignerSignsDigestsOfAnyHashFunction(t *testing.T) {
	client := plain.client(t)
	for _, usage := range []string{KeyUsageSignECC, KeyUsageSignECDSA384} {
		signer, err := client.NewSigner(background, newKey(t, client, usage))
		if err != nil {
			t.Fatal(err)
		}
		for _, hash := range []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512} {
			digest := content(hash.Size())
			signature, err := signer.Sign(rand.Reader, digest, hash)
			if good(t, signature, err); !ecdsa.VerifyASN1(signer.Public().(*ecdsa.PublicKey), digest, signature) {
				t.Errorf("%s, %v: not valid", usage, hash)
			}
		}
	}
}

// What is not a digest is not signed: an empty one would be the number 0.
func TestASignerRefusesDigestsOfAnotherLength(t *testing.T) {
	client := plain.client(t)
	for _, usage := range []string{KeyUsageSignECC, KeyUsageSignECDSA384, KeyUsageSignRSA2048} {
		signer, err := client.NewSigner(background, newKey(t, client, usage))
		if err != nil {
			t.Fatal(err)
		}
		for _, length := range []int{0, 1, 20, 31, 33, 48, 64} {
			signature, err := signer.Sign(rand.Reader, make([]byte, length), crypto.SHA256)
			if err == nil || signature != nil {
				t.Errorf("%s: a digest of %d bytes was signed", usage, length)
			}
		}
	}
	signer, err := client.NewSigner(background, newKey(t, client, KeyUsageSignECC))
	if err != nil {
		t.Fatal(err)
	}
	for _, opts := range []crypto.SignerOpts{nil, crypto.Hash(0)} {
		if _, err := signer.Sign(rand.Reader, nil, opts); err == nil {
			t.Errorf("%v: an empty digest was signed", opts)
		}
	}
}

// The public key does not show what a key is for.
func TestAKeyOfTheOtherUsageIsRefused(t *testing.T) {
	client := plain.client(t)
	signs, decrypts := newKey(t, client, KeyUsageSignRSA2048), newKey(t, client, KeyUsageDecryptRSA2048)
	sm2 := newKey(t, client, KeyUsageDecryptSM2)
	_, signerErr := client.NewSigner(background, decrypts)
	_, decrypterErr := client.NewDecrypter(background, signs)
	_, messageSignerErr := client.NewMessageSigner(background, sm2, SignDefault, nil)
	_, digestErr := client.SM2Digest(background, sm2, nil, []byte("m"))
	_, encryptErr := client.RSAEncrypt(background, signs, RSAOAEPSHA256, []byte("x"))
	_, signErr := client.Sign(background, decrypts, SignDefault, []byte("m"))
	_, decryptErr := client.RSADecrypt(background, signs, RSAOAEPSHA256, make([]byte, 256))
	for call, err := range map[string]error{
		"NewSigner": signerErr, "NewDecrypter": decrypterErr, "NewMessageSigner": messageSignerErr, "SM2Digest": digestErr,
		"RSAEncrypt": encryptErr, "Sign": signErr, "RSADecrypt": decryptErr,
		"Verify":       client.Verify(background, decrypts, SignDefault, []byte("m"), make([]byte, 256)),
		"VerifyDigest": client.VerifyDigest(background, decrypts, SignDefault, make([]byte, 32), make([]byte, 256)),
	} {
		if !errors.Is(err, ErrInvalidKeyUsage) {
			t.Errorf("%s: %v", call, err)
		}
	}
	if _, err := client.NewSigner(background, signs); err != nil {
		t.Error(err)
	}
	if _, err := client.NewDecrypter(background, decrypts); err != nil {
		t.Error(err)
	}
}

// selfSigned makes a certificate for localhost.
func selfSigned(t *testing.T, signer crypto.Signer) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"},
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, signer.Public(), signer)
	good(t, der, err)
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(certificate)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: signer}, roots
}

// handshake lets a client and a server talk, and returns what either of them says.
func handshake(server, client *tls.Config) (serverErr, clientErr error) {
	serverEnd, clientEnd := net.Pipe()
	done := make(chan error)
	go func() {
		err := tls.Server(serverEnd, server).Handshake()
		if err != nil {
			serverEnd.Close()
		}
		done <- err
	}()
	clientErr = tls.Client(clientEnd, client).Handshake()
	if clientErr != nil {
		clientEnd.Close()
	}
	return <-done, clientErr
}

func TestASignerServesTLS(t *testing.T) {
	client := plain.client(t)
	for _, usage := range []string{KeyUsageSignECC, KeyUsageSignECDSA384, KeyUsageSignRSA2048} {
		signer, err := client.NewSigner(background, newKey(t, client, usage))
		if err != nil {
			t.Fatal(err)
		}
		certificate, roots := selfSigned(t, signer)
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			server := &tls.Config{Certificates: []tls.Certificate{certificate}, MinVersion: version, MaxVersion: version}
			server.SessionTicketsDisabled = true
			serverErr, clientErr := handshake(server, &tls.Config{RootCAs: roots, ServerName: "localhost"})
			if serverErr != nil || clientErr != nil {
				t.Errorf("%s, TLS %x: %v, %v", usage, version, serverErr, clientErr)
			}
		}
		// A client certificate with a key of KMS.
		server := &tls.Config{Certificates: []tls.Certificate{certificate}, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: roots}
		server.SessionTicketsDisabled, server.MaxVersion = true, tls.VersionTLS12
		serverErr, clientErr := handshake(server, &tls.Config{RootCAs: roots, ServerName: "localhost", Certificates: []tls.Certificate{certificate}})
		if serverErr != nil || clientErr != nil {
			t.Errorf("%s as a client: %v, %v", usage, serverErr, clientErr)
		}
	}
	// Without a signature there is no connection.
	signer, err := client.NewSigner(background, newKey(t, client, KeyUsageSignECC))
	if err != nil {
		t.Fatal(err)
	}
	certificate, roots := selfSigned(t, signer)
	plain.fault(t, "SignByAsymmetricKey", 1, `{"kind":"signature","flaw":"other_key"}`)
	serverErr, clientErr := handshake(&tls.Config{Certificates: []tls.Certificate{certificate}}, &tls.Config{RootCAs: roots, ServerName: "localhost"})
	// crypto/tls keeps the text of the error only.
	if serverErr == nil || !strings.Contains(serverErr.Error(), "TCKMS_ERR_SIGNATURE_INVALID") || clientErr == nil {
		t.Errorf("%v, %v", serverErr, clientErr)
	}
}

// A JSON Web Token (RFC 7519) as the libraries for it make one, with the algorithms of RFC 7518.
func TestASignerMakesWebTokens(t *testing.T) {
	client := plain.client(t)
	ecc, rsaKey := newKey(t, client, KeyUsageSignECC), newKey(t, client, KeyUsageSignRSA2048)
	pss := &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}
	for _, test := range []struct {
		name, keyID string
		options     crypto.SignerOpts
		size        int
	}{
		{"ES256", ecc, crypto.SHA256, 64},
		{"ES384", newKey(t, client, KeyUsageSignECDSA384), crypto.SHA384, 96},
		{"RS256", rsaKey, crypto.SHA256, 0},
		{"PS256", rsaKey, pss, 0},
	} {
		signer, err := client.NewSigner(background, test.keyID)
		if err != nil {
			t.Fatal(err)
		}
		encode := base64.RawURLEncoding.EncodeToString
		token := encode([]byte(`{"alg":"`+test.name+`","typ":"JWT"}`)) + "." + encode([]byte(`{"sub":"somebody"}`))
		hash := test.options.HashFunc().New()
		hash.Write([]byte(token))
		digest := hash.Sum(nil)
		signature, err := signer.Sign(rand.Reader, digest, test.options)
		good(t, signature, err)
		if test.size != 0 {
			signature, err = SignatureToRaw(signature, test.size)
			good(t, signature, err)
		}
		token += "." + encode(signature)

		// As the one who gets it.
		signature, err = base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[2])
		good(t, signature, err)
		valid := false
		switch public := signer.Public().(type) {
		case *ecdsa.PublicKey:
			half := test.size / 2
			r, s := new(big.Int).SetBytes(signature[:half]), new(big.Int).SetBytes(signature[half:])
			valid = len(signature) == test.size && ecdsa.Verify(public, digest, r, s)
		case *rsa.PublicKey:
			if test.options == crypto.SignerOpts(pss) {
				valid = rsa.VerifyPSS(public, crypto.SHA256, digest, signature, pss) == nil
			} else {
				valid = rsa.VerifyPKCS1v15(public, crypto.SHA256, digest, signature) == nil
			}
		}
		if !valid {
			t.Errorf("%s: not valid", test.name)
		}
	}
}

func TestKeysAreManaged(t *testing.T) {
	client := plain.client(t)
	keyID := newKey(t, client, "")
	info, err := client.DescribeKey(background, keyID)
	if err != nil || info.KeyID != keyID || info.State != "Enabled" || info.Usage != KeyUsageEncryptDecrypt || info.Origin != "TENCENT_KMS" ||
		time.Since(info.CreatedAt) > time.Hour || !info.DeletedAt.IsZero() {
		t.Errorf("%+v, %v", info, err)
	}
	good(t, nil, client.SetKeyRotation(background, keyID, 30))
	info, err = client.DescribeKey(background, keyID)
	if good(t, nil, err); info.RotationDays != 30 || info.RotatesAt.IsZero() {
		t.Errorf("%+v", info)
	}
	good(t, nil, client.SetKeyRotation(background, keyID, 0))
	good(t, nil, client.RotateKey(background, keyID))
	_, err = client.ScheduleKeyDeletion(background, keyID, 7)
	wantStatus(t, err, ErrKeyNotDisabled)
	good(t, nil, client.DisableKey(background, keyID))
	when, err := client.ScheduleKeyDeletion(background, keyID, 7)
	if good(t, nil, err); time.Until(when) < 6*24*time.Hour {
		t.Error(when)
	}
	for _, test := range []struct {
		filter KeyFilter
		want   int
	}{{KeyFilter{Search: keyID}, 1}, {KeyFilter{Search: keyID, State: "PendingDelete"}, 1}, {KeyFilter{Search: keyID, State: "Archived"}, 0}} {
		keys, err := client.ListKeys(background, test.filter)
		if err != nil || len(keys) != test.want || test.want == 1 && !keys[0].DeletedAt.Equal(when) {
			t.Errorf("%+v: %+v, %v", test.filter, keys, err)
		}
	}
	_, err = client.ListKeys(background, KeyFilter{State: "Drowsy"})
	wantStatus(t, err, ErrOutOfRange)
	good(t, nil, client.CancelKeyDeletion(background, keyID))
	good(t, nil, client.EnableKey(background, keyID))

	external, _, err := client.CreateKey(background, CreateKeyOptions{Alias: fmt.Sprintf("go-%d", time.Now().UnixNano()), External: true})
	good(t, nil, err)
	good(t, nil, client.ImportKeyMaterial(background, external, content(32), time.Now().Add(48*time.Hour)))
	info, err = client.DescribeKey(background, external)
	if good(t, nil, err); info.State != "Enabled" || info.Origin != "EXTERNAL" || info.MaterialExpiresAt.IsZero() {
		t.Errorf("%+v", info)
	}
	_, _, err = client.CreateKey(background, CreateKeyOptions{Alias: info.Alias})
	wantStatus(t, err, ErrAliasExists)
	_, _, err = client.CreateKey(background, CreateKeyOptions{Alias: "a\x00b"})
	wantStatus(t, err, ErrInvalidUTF8)
	_, err = client.DescribeKey(background, nobodysKey)
	if !errors.Is(err, ErrCMKNotFound) {
		t.Error(err)
	}
}
