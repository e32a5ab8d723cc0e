package tckms

import (
	"crypto/tls"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// openssl runs OpenSSL, which has to succeed, and returns what it prints.
func openssl(t *testing.T, arguments ...string) string {
	t.Helper()
	output, err := exec.Command("openssl", arguments...).CombinedOutput()
	if err != nil {
		t.Fatalf("openssl %v: %v\n%s", arguments, err, output)
	}
	return string(output)
}

func write(t *testing.T, folder, name string, content []byte) string {
	t.Helper()
	path := filepath.Join(folder, name)
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// With each algorithm, as a whole and in pieces.
func TestOpenSSLVerifiesWhatIsSigned(t *testing.T) {
	client, folder, message := plain.client(t), t.TempDir(), content(5000)
	file := write(t, folder, "message", message)
	rsaKey := newKey(t, client, KeyUsageSignRSA2048)
	for name, test := range map[string]struct {
		keyID     string
		algorithm SignAlgorithm
		options   []string
	}{
		"P-256":   {newKey(t, client, KeyUsageSignECC), SignECDSAP256SHA256, []string{"-sha256"}},
		"P-384":   {newKey(t, client, KeyUsageSignECDSA384), SignECDSAP384SHA384, []string{"-sha384"}},
		"PSS":     {rsaKey, SignRSAPSSSHA256, []string{"-sha256", "-sigopt", "rsa_padding_mode:pss", "-sigopt", "rsa_pss_saltlen:32"}},
		"PKCS #1": {rsaKey, SignRSAPKCS1SHA256, []string{"-sha256"}},
		"SM2":     {newKey(t, client, KeyUsageSignSM2), SignSM2SM3, []string{"-sm3", "-sigopt", "distid:1234567812345678"}},
	} {
		pem, err := client.PublicKeyPEM(background, test.keyID)
		key := write(t, folder, "public.pem", good(t, pem, err))
		whole, err := client.Sign(background, test.keyID, test.algorithm, message)
		good(t, whole, err)
		signer, err := client.NewMessageSigner(background, test.keyID, test.algorithm, nil)
		if err != nil {
			t.Fatal(err)
		}
		for rest := message; len(rest) > 0; {
			n, err := signer.Write(rest[:min(len(rest), 999)])
			if err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		pieces, err := signer.Sign()
		good(t, pieces, err)
		for _, signature := range [][]byte{whole, pieces} {
			arguments := append([]string{"dgst"}, test.options...)
			arguments = append(arguments, "-verify", key, "-signature", write(t, folder, "signature", signature), file)
			if said := openssl(t, arguments...); said != "Verified OK\n" {
				t.Errorf("%s: %s", name, said)
			}
		}
	}
}

func min(a, b int) int {
	if a < b {
		return a
	}
	return b
}

// Clients that would rather have signatures that an RSA key of KMS does not make, or an ECDSA key makes too.
func TestASignerServesTLSToOpenSSLWhateverItPrefers(t *testing.T) {
	client := plain.client(t)
	for usage, schemes := range map[string][]tls.SignatureScheme{
		KeyUsageSignECC:      nil,
		KeyUsageSignECDSA384: nil,
		KeyUsageSignRSA2048:  {tls.PSSWithSHA256, tls.PKCS1WithSHA256},
	} {
		signer, err := client.NewSigner(background, newKey(t, client, usage))
		if err != nil {
			t.Fatal(err)
		}
		certificate, _ := selfSigned(t, signer)
		certificate.SupportedSignatureAlgorithms = schemes
		listener, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{certificate}})
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			for {
				connection, err := listener.Accept()
				if err != nil {
					return
				}
				connection.(*tls.Conn).Handshake()
				connection.Close()
			}
		}()
		for _, version := range []string{"-tls1_2", "-tls1_3"} {
			said := openssl(t, "s_client", "-connect", listener.Addr().String(), version, "-brief", "-sigalgs",
				"RSA+SHA512:RSA-PSS+SHA512:RSA-PSS+SHA384:RSA-PSS+SHA256:RSA+SHA256:ECDSA+SHA512:ECDSA+SHA384:ECDSA+SHA256")
			if !strings.Contains(said, "CONNECTION ESTABLISHED") {
				t.Errorf("%s %s: %s", usage, version, said)
			}
		}
		listener.Close()
	}
}

// With each padding, by the call and by the crypto.Decrypter.
func TestAKeyDecryptsWhatOpenSSLEncrypts(t *testing.T) {
	client, folder := plain.client(t), t.TempDir()
	plaintext := write(t, folder, "plaintext", []byte("a small secret"))
	encrypt := func(keyID string, options ...string) []byte {
		pem, err := client.PublicKeyPEM(background, keyID)
		key, out := write(t, folder, "public.pem", good(t, pem, err)), filepath.Join(folder, "ciphertext")
		openssl(t, append([]string{"pkeyutl", "-encrypt", "-pubin", "-inkey", key, "-in", plaintext, "-out", out}, options...)...)
		ciphertext, err := os.ReadFile(out)
		return good(t, ciphertext, err)
	}
	rsaKey, sm2Key := newKey(t, client, KeyUsageDecryptRSA2048), newKey(t, client, KeyUsageDecryptSM2)
	oaep := []string{"-pkeyopt", "rsa_padding_mode:oaep"}
	for padding, options := range map[RSAPadding][]string{
		RSAOAEPSHA256: append(oaep, "-pkeyopt", "rsa_oaep_md:sha256", "-pkeyopt", "rsa_mgf1_md:sha256"),
		RSAOAEPSHA1:   oaep,
		RSAPKCS1v15:   nil,
	} {
		ciphertext := encrypt(rsaKey, options...)
		decrypted, err := client.RSADecrypt(background, rsaKey, padding, ciphertext)
		if string(good(t, decrypted, err)) != "a small secret" {
			t.Errorf("%d: %q", padding, decrypted)
		}
		decrypter, err := client.NewDecrypter(background, rsaKey)
		if err != nil {
			t.Fatal(err)
		}
		decrypted, err = decrypter.Decrypt(nil, ciphertext, decrypterOptions[padding])
		if string(good(t, decrypted, err)) != "a small secret" {
			t.Errorf("%d: %q", padding, decrypted)
		}
	}
	decrypted, err := client.SM2Decrypt(background, sm2Key, encrypt(sm2Key))
	if string(good(t, decrypted, err)) != "a small secret" {
		t.Errorf("%q", decrypted)
	}
}
