package tckms

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"context"
	"encoding/json"
	"runtime/cgo"
	"time"
	"unsafe"
)

// BranchStore is where the writers of a branch share its records. The functions run on a thread of the library, one at a
// time, and count as failed when they take longer than BranchOptions.StoreTimeout, which is also the limit of ctx.
type BranchStore interface {
	// Load returns the records that are kept under a key, each a line of text; none if there are none.
	Load(ctx context.Context, key string) ([]string, error)
	// PutIfAbsent keeps a record, unless there is one under this key and slot already, which is no error.
	PutIfAbsent(ctx context.Context, key string, slot int64, record string) error
}

// BranchOptions are branches and where their records come from. At most one of Records, File and Store is set; without
// any, each process makes its own branch keys. Times are rounded up to milliseconds.
type BranchOptions struct {
	// BranchID is the branch that seals and that is opened: 1 to 64 letters, digits and characters of "._-". "" if
	// Keyring.SetBranchSupplier names the branch of each message, or if the keyring only opens.
	BranchID string
	// Records are records as text, a line each. The one that was made last seals.
	Records string
	// File is the path of a file of records, which is read again when it changes.
	File string
	// Store is shared by all writers.
	Store BranchStore
	// Rotation is how often writers that share a store make a new branch key. At least a second; needed with a store.
	Rotation time.Duration
	// StoreTimeout limits a call of the store. Default 2 seconds, at most a minute.
	StoreTimeout time.Duration
	// TTL is how long a branch key is kept in memory, and how long a disabled CMK can go unnoticed. Default 1 hour, at most
	// 24 hours.
	TTL time.Duration
	// OpenBranchIDs are further branches that are opened.
	OpenBranchIDs []string
	// OpenAnyBranch opens every branch of the CMK, unless the keyring has a supplier.
	OpenAnyBranch bool
	// ByReference leaves the branch key out of messages: who deletes its record makes them unreadable.
	ByReference bool
	// MaxKeys limits the number of branch keys in memory. Default 1000, at most 100000.
	MaxKeys uint64
}

// BranchStats are what the branch keys of a keyring have done since they were added.
type BranchStats struct {
	// KeysMade and KeysUnwrapped count requests.
	KeysMade, KeysUnwrapped uint64
	// Wraps and Unwraps count data keys. OwnKeyWraps are those that were wrapped under a branch key of the process's own,
	// because no record was available.
	Wraps, OwnKeyWraps, Unwraps uint64
	// FileReads and FileFailures count looks at a file that changed.
	FileReads, FileFailures uint64
	// StoreCalls and StoreFailures count calls of the store.
	StoreCalls, StoreFailures uint64
	// RecordsRefused are records that are not used, RecordsGone those that disappeared from their source.
	RecordsRefused, RecordsGone uint64
}

// AddBranch adds a CMK that wraps data keys by way of branch keys: the number of requests follows branches and time, not
// contexts and messages. The client may be closed afterwards.
func (k *Keyring) AddBranch(client *Client, keyID string, o BranchOptions) error {
	return k.change(func(keyring *C.tckms_keyring) error {
		if err := client.retain(); err != nil {
			return err
		}
		k.clients = append(k.clients, client)
		var m memory
		defer m.free()
		options := (*C.tckms_branch_options)(C.calloc(1, C.sizeof_tckms_branch_options))
		defer C.free(unsafe.Pointer(options))
		o.toC(&m, options)
		var handle cgo.Handle
		if o.Store != nil {
			handle = cgo.NewHandle(&branchStore{o.Store, o.StoreTimeout})
		}
		err := m.checked(C.tckms_go_add_branch(keyring, client.handle, m.text(keyID), options, C.uintptr_t(handle)))
		if err != nil {
			if handle != 0 {
				handle.Delete()
			}
			return err
		}
		return nil
	})
}

func (o *BranchOptions) toC(m *memory, out *C.tckms_branch_options) {
	out.branch_id, out.records, out.file = m.optional(o.BranchID), m.optional(o.Records), m.optional(o.File)
	out.rotation_ms = C.int64_t(milliseconds(o.Rotation))
	out.store_timeout_ms = C.int64_t(milliseconds(o.StoreTimeout))
	out.ttl_ms = C.int64_t(milliseconds(o.TTL))
	out.open_any_branch = C.int64_t(truth(o.OpenAnyBranch))
	out.by_reference = C.int64_t(truth(o.ByReference))
	out.max_keys = C.uint64_t(o.MaxKeys)
	if len(o.OpenBranchIDs) > 0 {
		size := C.size_t(len(o.OpenBranchIDs)) * C.size_t(unsafe.Sizeof(uintptr(0)))
		ids := C.malloc(size)
		m.blocks = append(m.blocks, block{ids, size})
		for i, id := range o.OpenBranchIDs {
			unsafe.Slice((**C.char)(ids), len(o.OpenBranchIDs))[i] = m.text(id)
		}
		out.open_branch_ids, out.open_branch_ids_len = (**C.char)(ids), C.size_t(len(o.OpenBranchIDs))
	}
}

// SetBranchSupplier lets the branch of each message depend on its context, for sealing and for opening: a message of
// another branch is refused with ErrBranchNotAllowed. The function runs on several goroutines at once, and names the same
// branch for the same context each time. An error refuses the message.
func (k *Keyring) SetBranchSupplier(supplier func(pairs Pairs) (string, error)) error {
	return k.change(func(keyring *C.tckms_keyring) error {
		var m memory
		defer m.free()
		handle := cgo.NewHandle(supplier)
		err := m.checked(C.tckms_go_set_branch_supplier(keyring, C.uintptr_t(handle)))
		if err != nil {
			handle.Delete()
		}
		return err
	})
}

// BranchStats returns the counters of all branch keys of the keyring.
func (k *Keyring) BranchStats() (BranchStats, error) {
	if err := k.use(); err != nil {
		return BranchStats{}, err
	}
	defer k.release(k.free)
	var s C.tckms_branch_stats
	if err := checked(C.tckms_go_branch_stats(k.handle, &s)); err != nil {
		return BranchStats{}, err
	}
	return BranchStats{
		KeysMade: uint64(s.keys_made), KeysUnwrapped: uint64(s.keys_unwrapped),
		Wraps: uint64(s.wraps), OwnKeyWraps: uint64(s.own_key_wraps), Unwraps: uint64(s.unwraps),
		FileReads: uint64(s.file_reads), FileFailures: uint64(s.file_failures),
		StoreCalls: uint64(s.store_calls), StoreFailures: uint64(s.store_failures),
		RecordsRefused: uint64(s.records_refused), RecordsGone: uint64(s.records_gone),
	}, nil
}

// NewBranchRecord makes a branch key with one request, and returns its record: a line of text with a newline, which is not
// secret.
func (c *Client) NewBranchRecord(ctx context.Context, keyID, branchID string) (string, error) {
	r := newRequest("NewBranchRecord")
	key, id := r.text(keyID), r.text(branchID)
	r.call = func(how C.tckms_go_how) C.tckms_go_outcome {
		return C.tckms_go_branch_record_new(c.handle, how, key, id)
	}
	record, _, err := r.do(ctx, c)
	return string(record), err
}

// CheckBranchRecord asks the CMK whether it opens a record.
func (c *Client) CheckBranchRecord(ctx context.Context, record string) error {
	r := newRequest("CheckBranchRecord")
	line := r.text(record)
	r.call = func(how C.tckms_go_how) C.tckms_go_outcome {
		return C.tckms_go_branch_record_check(c.handle, how, line)
	}
	_, _, err := r.do(ctx, c)
	return err
}

type branchStore struct {
	BranchStore
	timeout time.Duration
}

// call runs a function of the store and converts its result to a status.
func (s *branchStore) call(run func(ctx context.Context) error) C.int {
	timeout := s.timeout
	if timeout <= 0 {
		timeout = 2 * time.Second
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	return explained(recoverToError(func() error { return run(ctx) }), ErrBranchStoreFailed)
}

// explained leaves the text of an error for the library, and returns its status.
func explained(err error, otherwise Status) C.int {
	if err != nil {
		text := C.CString(err.Error())
		defer C.free(unsafe.Pointer(text))
		C.tckms_callback_set_error_text(text)
	}
	return C.int(statusOf(err, otherwise))
}

//export tckmsGoLoadBranch
func tckmsGoLoadBranch(handle C.uintptr_t, key *C.char, out *C.tckms_branch_records) C.int {
	store := cgo.Handle(handle).Value().(*branchStore)
	return store.call(func(ctx context.Context) error {
		records, err := store.Load(ctx, C.GoString(key))
		if err != nil {
			return err
		}
		for _, record := range records {
			var m memory
			text, size := m.bytes([]byte(record))
			err := m.checked(C.tckms_go_branch_records_add(out, text, size))
			m.free()
			if err != nil {
				return err
			}
		}
		return nil
	})
}

//export tckmsGoPutBranch
func tckmsGoPutBranch(handle C.uintptr_t, key *C.char, slot C.int64_t, record *C.char) C.int {
	store := cgo.Handle(handle).Value().(*branchStore)
	return store.call(func(ctx context.Context) error {
		return store.PutIfAbsent(ctx, C.GoString(key), int64(slot), C.GoString(record))
	})
}

//export tckmsGoNameBranch
func tckmsGoNameBranch(handle, _ C.uintptr_t, pairs *C.char, out *C.char, size C.size_t) C.int {
	supplier := cgo.Handle(handle).Value().(func(Pairs) (string, error))
	var named string
	err := recoverToError(func() error {
		decoded := Pairs{}
		err := json.Unmarshal([]byte(C.GoString(pairs)), &decoded)
		if err == nil {
			named, err = supplier(decoded)
		}
		return err
	})
	if err != nil {
		return explained(err, ErrBranchSupplierFailed)
	}
	// One that is too long is left without its NUL, which the library refuses.
	buffer := unsafe.Slice((*byte)(unsafe.Pointer(out)), int(size))
	for i := range buffer {
		buffer[i] = 0
	}
	if copy(buffer, named) == len(buffer) {
		buffer[len(buffer)-1] = 'x'
	}
	return 0
}
