package tckms

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// emulator is a local KMS.
type emulator struct {
	Endpoint  string            `json:"endpoint"`
	SecretID  string            `json:"secret_id"`
	SecretKey string            `json:"secret_key"`
	CAFile    string            `json:"ca_file"`
	Keys      map[string]string `json:"keys"`
	process   *exec.Cmd
}

// The ones that all tests share: plain HTTP, and HTTPS.
var plain, secure *emulator

// findEmulator looks where TCKMS_EMULATOR says, in PATH, and where `make build` puts it.
func findEmulator() (string, error) {
	if path := os.Getenv("TCKMS_EMULATOR"); path != "" {
		return path, nil
	}
	if path, err := exec.LookPath("tckms-emulator"); err == nil {
		return path, nil
	}
	path, err := filepath.Abs("../target/release/tckms-emulator")
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		return "", fmt.Errorf("tckms-emulator is neither in PATH nor built: run `make build`, or name it in TCKMS_EMULATOR")
	}
	return path, nil
}

func startEmulator(arguments ...string) (*emulator, error) {
	path, err := findEmulator()
	if err != nil {
		return nil, err
	}
	process := exec.Command(path, append(arguments, "--key", "main", "--key", "other")...)
	process.Stderr = os.Stderr
	// No emulator outlives its tests, whatever becomes of them.
	process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	stdout, err := process.StdoutPipe()
	if err == nil {
		err = process.Start()
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	e := &emulator{process: process}
	line, err := bufio.NewReader(stdout).ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, e)
	}
	if err != nil {
		e.stop()
		return nil, fmt.Errorf("%s printed %q: %w", path, line, err)
	}
	return e, nil
}

func (e *emulator) stop() {
	_ = e.process.Process.Signal(syscall.SIGTERM)
	_ = e.process.Wait()
}

func TestMain(m *testing.M) {
	os.Exit(withEmulators(m))
}

func withEmulators(m *testing.M) int {
	var err error
	for _, start := range []struct {
		into      **emulator
		arguments []string
	}{{&plain, nil}, {&secure, []string{"--tls"}}} {
		if *start.into, err = startEmulator(start.arguments...); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer (*start.into).stop()
	}
	os.Unsetenv("TENCENTCLOUD_SESSION_TOKEN")
	os.Unsetenv("TCKMS_CA_FILE")
	tlsKeyID, err := plain.signingKey()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	// For the examples, which have their client from the environment.
	for name, value := range map[string]string{
		"TENCENTCLOUD_SECRET_ID":  plain.SecretID,
		"TENCENTCLOUD_SECRET_KEY": plain.SecretKey,
		"TENCENTCLOUD_REGION":     "ap-guangzhou",
		"TCKMS_ENDPOINT":          plain.Endpoint,
		"KEY_ID":                  plain.Keys["main"],
		"TLS_KEY_ID":              tlsKeyID,
	} {
		os.Setenv(name, value)
	}
	return m.Run()
}

func (e *emulator) signingKey() (string, error) {
	client, err := NewClient(e.options())
	if err != nil {
		return "", err
	}
	defer client.Close()
	keyID, _, err := client.CreateKey(context.Background(), CreateKeyOptions{Alias: "tls", Usage: KeyUsageSignECC})
	return keyID, err
}

func (e *emulator) options() Options {
	return Options{
		Region:         "ap-guangzhou",
		Endpoint:       e.Endpoint,
		Credentials:    StaticCredentials(Identity{SecretID: e.SecretID, SecretKey: e.SecretKey}),
		CAFile:         e.CAFile,
		ConnectTimeout: time.Minute,
		TryTimeout:     time.Minute,
		TotalTimeout:   2 * time.Minute,
	}
}

// client makes one that is closed at the end of the test.
func (e *emulator) client(t testing.TB, change ...func(*Options)) *Client {
	t.Helper()
	options := e.options()
	for _, c := range change {
		c(&options)
	}
	client, err := NewClient(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

func (e *emulator) admin(t testing.TB, method, path string, body []byte) []byte {
	t.Helper()
	request, err := http.NewRequest(method, strings.Replace(e.Endpoint, "https:", "http:", 1)+"/_admin/"+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	reply, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer reply.Body.Close()
	text, err := io.ReadAll(reply.Body)
	if err != nil || reply.StatusCode/100 != 2 {
		t.Fatalf("%s %s: %s %s", method, path, reply.Status, text)
	}
	return text
}

// fault has the next requests for an action meet a fault. What is left of it is gone at the end of the test.
func (e *emulator) fault(t testing.TB, action string, times int, fault string) {
	t.Helper()
	e.admin(t, "PUT", "faults", []byte(fmt.Sprintf(`[{"action":%q,"times":%d,"fault":%s}]`, action, times, fault)))
	t.Cleanup(func() { e.admin(t, "DELETE", "faults", nil) })
}

// behave turns switches of the emulator's on until the end of the test.
func (e *emulator) behave(t testing.TB, switches string) {
	t.Helper()
	e.admin(t, "PUT", "behaviour", []byte(switches))
	t.Cleanup(func() { e.admin(t, "PUT", "behaviour", []byte("{}")) })
}
