package tckms_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"os"
	"time"

	"tckms"
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
	pairs := tckms.Context{"app": "billing"}

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
		Credentials: tckms.CredentialsFunc(func() (tckms.Identity, error) {
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
