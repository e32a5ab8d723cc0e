package tckms

import (
	"context"
	"errors"
	"strconv"
	"sync"
	"testing"
	"time"
)

// memoryStore is a store in memory, with faults.
type memoryStore struct {
	mu      sync.Mutex
	records map[string]map[int64]string
	err     error
	delay   time.Duration
}

func (s *memoryStore) Load(_ context.Context, key string) ([]string, error) {
	time.Sleep(s.delay)
	s.mu.Lock()
	defer s.mu.Unlock()
	var records []string
	for _, record := range s.records[key] {
		records = append(records, record)
	}
	return records, s.err
}

func (s *memoryStore) PutIfAbsent(_ context.Context, key string, slot int64, record string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.records == nil {
		s.records = map[string]map[int64]string{}
	}
	if s.records[key] == nil {
		s.records[key] = map[int64]string{}
	}
	if _, there := s.records[key][slot]; !there {
		s.records[key][slot] = record
	}
	return s.err
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func branchKeyring(t *testing.T, client *Client, keyID string, o BranchOptions) *Keyring {
	t.Helper()
	return keyringOf(t, KeyringOptions{}, func(k *Keyring) error { return k.AddBranch(client, keyID, o) })
}

func TestABranchKeySealsAllContextsAndAStoreSharesIt(t *testing.T) {
	client, ctx, key := plain.client(t), context.Background(), plain.Keys["main"]
	store := &memoryStore{}
	options := BranchOptions{BranchID: "orders", Store: store, Rotation: 20 * time.Second}
	var messages [][]byte
	for i := 0; i < 2; i++ {
		writer := branchKeyring(t, client, key, options)
		for row := 0; row < 5; row++ {
			messages = append(messages, must(writer.Seal(ctx, []byte("x"), Pairs{"row": strconv.Itoa(row)})))
		}
		if stats := must(writer.BranchStats()); stats.Wraps != 5 || stats.OwnKeyWraps != 0 {
			t.Fatalf("%+v", stats)
		}
	}
	if info := must(MessageInfo(messages[0])); info.WrappedKeys[0].Branch == nil || info.WrappedKeys[0].Branch.ID != "orders" {
		t.Fatalf("%+v", info)
	}
	reader := branchKeyring(t, client, key, BranchOptions{OpenBranchIDs: []string{"other", "orders"}})
	for _, message := range messages {
		if opened := must(reader.Open(ctx, message, nil)); string(opened) != "x" {
			t.Fatalf("%q", opened)
		}
	}
	if stats := must(reader.BranchStats()); stats.KeysUnwrapped > 2 {
		t.Fatalf("%+v", stats)
	}
}

func TestABranchStoreThatFailsOrHangsStopsNothing(t *testing.T) {
	client, key := plain.client(t), plain.Keys["main"]
	for _, store := range []*memoryStore{{err: errors.New("it is down")}, {delay: 3 * time.Second}} {
		options := BranchOptions{
			BranchID: "orders", Store: store, Rotation: time.Hour, StoreTimeout: 300 * time.Millisecond,
		}
		writer := branchKeyring(t, client, key, options)
		must(writer.Seal(context.Background(), []byte("x"), nil))
		if stats := must(writer.BranchStats()); stats.OwnKeyWraps != 1 || stats.StoreFailures == 0 {
			t.Fatalf("%+v", stats)
		}
	}
}

func TestABranchSupplierNamesTheBranchBothWays(t *testing.T) {
	client, ctx, key := plain.client(t), context.Background(), plain.Keys["main"]
	record := must(client.NewBranchRecord(ctx, key, "tenant-b"))
	if err := client.CheckBranchRecord(ctx, record); err != nil {
		t.Fatal(err)
	}
	keyring := branchKeyring(t, client, key, BranchOptions{})
	refused := errors.New("no tenant")
	err := keyring.SetBranchSupplier(func(pairs Pairs) (string, error) {
		if pairs["tenant"] == "" {
			return "", refused
		}
		return "tenant-" + pairs["tenant"], nil
	})
	if err != nil {
		t.Fatal(err)
	}
	message := must(keyring.Seal(ctx, []byte("x"), Pairs{"tenant": "a"}))
	must(keyring.Open(ctx, message, nil))
	if _, err := keyring.Seal(ctx, []byte("x"), nil); !errors.Is(err, ErrBranchSupplierFailed) {
		t.Fatal(err)
	}
	forged := must(branchKeyring(t, client, key, BranchOptions{BranchID: "tenant-b", Records: record}).
		Seal(ctx, []byte("x"), Pairs{"tenant": "a"}))
	if _, err := keyring.Open(ctx, forged, nil); !errors.Is(err, ErrBranchNotAllowed) {
		t.Fatal(err)
	}
	for _, o := range []BranchOptions{{BranchID: "a b"}, {BranchID: "x", Records: "junk"}, {BranchID: "x", Rotation: time.Hour}} {
		if err := must(NewKeyring(KeyringOptions{})).AddBranch(client, key, o); err == nil {
			t.Fatalf("%+v was taken", o)
		}
	}
}
