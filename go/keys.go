package tckms

// #include <stdlib.h>
// #include "shim.h"
import "C"

import (
	"context"
	"runtime/cgo"
	"sort"
	"time"
	"unsafe"
)

// Usages of keys; the service has more.
const (
	KeyUsageEncryptDecrypt = "ENCRYPT_DECRYPT"
	KeyUsageDecryptRSA2048 = "ASYMMETRIC_DECRYPT_RSA_2048"
	KeyUsageDecryptSM2     = "ASYMMETRIC_DECRYPT_SM2"
	KeyUsageSignECC        = "ASYMMETRIC_SIGN_VERIFY_ECC"
	KeyUsageSignECDSA384   = "ASYMMETRIC_SIGN_VERIFY_ECDSA384"
	KeyUsageSignRSA2048    = "ASYMMETRIC_SIGN_VERIFY_RSA_2048"
	KeyUsageSignSM2        = "ASYMMETRIC_SIGN_VERIFY_SM2"
)

// CreateKeyOptions are the options of a new CMK.
type CreateKeyOptions struct {
	// Alias has 1 to 60 letters, digits, '-' and '_', begins with a letter or digit, and not with "kms-".
	Alias string
	// Usage is one of the KeyUsage constants. Default KeyUsageEncryptDecrypt.
	Usage string
	// Description has at most 1024 bytes.
	Description string
	// Tags has at most 50 tags.
	Tags map[string]string
	// External means that the key's material is imported.
	External bool
}

// CreateKey creates a CMK and returns its id. tagFailure is the reason if the service created the key but could not set
// its tags, else "". The request is not sent again if it may have been executed, unless Options.RetryUnsafeActions
// allows it.
func (c *Client) CreateKey(ctx context.Context, o CreateKeyOptions) (keyID, tagFailure string, err error) {
	r := newRequest("CreateKey")
	alias, usage, description := r.text(o.Alias), r.optional(o.Usage), r.optional(o.Description)
	tags := r.tags(o.Tags)
	r.call = func(how C.tckms_go_how) C.tckms_go_outcome {
		return C.tckms_go_create_key(c.handle, how, alias, usage, description, tags, C.size_t(len(o.Tags)), truth(o.External))
	}
	id, failure, err := r.do(ctx, c)
	return string(id), string(failure), err
}

// tags returns keys and values alternately, for C.
func (m *memory) tags(tags map[string]string) **C.char {
	if len(tags) == 0 {
		return nil
	}
	keys := make([]string, 0, len(tags))
	for key := range tags {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	size := C.size_t(2*len(tags)) * C.size_t(unsafe.Sizeof((*C.char)(nil)))
	start := C.malloc(size)
	m.blocks = append(m.blocks, block{start, size})
	texts := unsafe.Slice((**C.char)(start), 2*len(tags))
	for i, key := range keys {
		texts[2*i], texts[2*i+1] = m.text(key), m.text(tags[key])
	}
	return (**C.char)(start)
}

// KeyInfo is the metadata of a CMK. A time that does not apply is the zero time.
type KeyInfo struct {
	KeyID, Alias, Description string
	// State is "Enabled", "Disabled", "PendingDelete", "PendingImport" or "Archived".
	State string
	// Usage is one of the KeyUsage constants, or the service's name of another.
	Usage string
	// Origin is "TENCENT_KMS", or "EXTERNAL" for imported material.
	Origin string
	// RotationDays is the interval in days at which the service rotates the key, or 0.
	RotationDays int
	// CreatedAt is when the key was created, RotatedAt when it was last rotated, RotatesAt when it will next be rotated,
	// DeletedAt when it will be deleted if that is scheduled, and MaterialExpiresAt when imported material expires.
	CreatedAt, RotatedAt, RotatesAt, DeletedAt, MaterialExpiresAt time.Time
}

//export tckmsGoKey
func tckmsGoKey(handle C.uintptr_t, key *C.tckms_key_info) {
	keys := cgo.Handle(handle).Value().(*[]KeyInfo)
	*keys = append(*keys, KeyInfo{
		KeyID:             C.GoString(C.tckms_key_info_key_id(key)),
		Alias:             C.GoString(C.tckms_key_info_alias(key)),
		Description:       C.GoString(C.tckms_key_info_description(key)),
		State:             C.GoString(C.tckms_key_info_state(key)),
		Usage:             C.GoString(C.tckms_key_info_usage(key)),
		Origin:            C.GoString(C.tckms_key_info_origin(key)),
		RotationDays:      int(C.tckms_key_info_rotation_days(key)),
		CreatedAt:         at(C.tckms_key_info_created_at_seconds(key)),
		RotatedAt:         at(C.tckms_key_info_rotated_at_seconds(key)),
		RotatesAt:         at(C.tckms_key_info_rotates_at_seconds(key)),
		DeletedAt:         at(C.tckms_key_info_deleted_at_seconds(key)),
		MaterialExpiresAt: at(C.tckms_key_info_material_expires_at_seconds(key)),
	})
}

// at is the zero time for 0.
func at(seconds C.int64_t) time.Time {
	if seconds == 0 {
		return time.Time{}
	}
	return time.Unix(int64(seconds), 0)
}

// collect makes a call that returns keys.
func (r *request) collect(ctx context.Context, c *Client, call func(how C.tckms_go_how, handle C.uintptr_t) C.tckms_go_outcome) ([]KeyInfo, error) {
	var keys []KeyInfo
	r.call = func(how C.tckms_go_how) C.tckms_go_outcome {
		handle := cgo.NewHandle(&keys)
		defer handle.Delete()
		return call(how, C.uintptr_t(handle))
	}
	if _, _, err := r.do(ctx, c); err != nil {
		return nil, err
	}
	return keys, nil
}

// DescribeKey gets the metadata of a CMK.
func (c *Client) DescribeKey(ctx context.Context, keyID string) (KeyInfo, error) {
	r := newRequest("DescribeKey")
	key := r.text(keyID)
	keys, err := r.collect(ctx, c, func(how C.tckms_go_how, handle C.uintptr_t) C.tckms_go_outcome {
		return C.tckms_go_describe_key(c.handle, how, key, handle)
	})
	if err != nil {
		return KeyInfo{}, err
	}
	return keys[0], nil
}

// KeyFilter selects the keys of ListKeys. A field that is "" matches all keys.
type KeyFilter struct {
	Usage, State string
	// Search is a part of the key id or of the alias.
	Search string
}

// ListKeys gets all CMKs of the account and region that match the filter, in the order of creation. It requests 200 at
// a time; the total timeout applies to each request.
func (c *Client) ListKeys(ctx context.Context, filter KeyFilter) ([]KeyInfo, error) {
	r := newRequest("ListKeyDetail")
	usage, state, search := r.optional(filter.Usage), r.optional(filter.State), r.optional(filter.Search)
	return r.collect(ctx, c, func(how C.tckms_go_how, handle C.uintptr_t) C.tckms_go_outcome {
		return C.tckms_go_list_keys(c.handle, how, usage, state, search, handle)
	})
}

// EnableKey enables a disabled CMK.
func (c *Client) EnableKey(ctx context.Context, keyID string) error {
	return c.changeKey(ctx, "EnableKey", C.TCKMS_GO_ENABLE, keyID)
}

// DisableKey disables a CMK: it cannot be used until EnableKey.
func (c *Client) DisableKey(ctx context.Context, keyID string) error {
	return c.changeKey(ctx, "DisableKey", C.TCKMS_GO_DISABLE, keyID)
}

// CancelKeyDeletion cancels the deletion of a CMK. The CMK is disabled afterwards.
func (c *Client) CancelKeyDeletion(ctx context.Context, keyID string) error {
	return c.changeKey(ctx, "CancelKeyDeletion", C.TCKMS_GO_CANCEL_DELETION, keyID)
}

// RotateKey starts a rotation of a symmetric CMK. The service completes it later: poll KeyInfo.RotatedAt.
func (c *Client) RotateKey(ctx context.Context, keyID string) error {
	return c.changeKey(ctx, "RotateKey", C.TCKMS_GO_ROTATE, keyID)
}

func (c *Client) changeKey(ctx context.Context, action string, change C.tckms_go_key_change, keyID string) error {
	r := newRequest(action)
	key := r.text(keyID)
	r.call = func(how C.tckms_go_how) C.tckms_go_outcome { return C.tckms_go_change_key(c.handle, how, change, key) }
	_, _, err := r.do(ctx, c)
	return err
}

// ScheduleKeyDeletion schedules a disabled CMK for deletion in 7 to 30 days, and returns that time. Data that was
// encrypted under it is lost then.
func (c *Client) ScheduleKeyDeletion(ctx context.Context, keyID string, days int) (time.Time, error) {
	r := newRequest("ScheduleKeyDeletion")
	key := r.text(keyID)
	var when C.int64_t
	r.call = func(how C.tckms_go_how) C.tckms_go_outcome {
		return C.tckms_go_schedule_key_deletion(c.handle, how, key, C.int64_t(days), &when)
	}
	if _, _, err := r.do(ctx, c); err != nil {
		return time.Time{}, err
	}
	return at(when), nil
}

// SetKeyRotation turns the automatic rotation of a symmetric CMK on, every 7 to 365 days, or off with 0.
func (c *Client) SetKeyRotation(ctx context.Context, keyID string, days int) error {
	r := newRequest("EnableKeyRotation")
	key := r.text(keyID)
	r.call = func(how C.tckms_go_how) C.tckms_go_outcome {
		return C.tckms_go_set_key_rotation(c.handle, how, key, C.int64_t(days))
	}
	_, _, err := r.do(ctx, c)
	return err
}

// ImportKeyMaterial imports the material of a CMK that was created with External: 32 bytes for AES-256, 16 for SM4. A
// repeated import needs the same material. The zero time for validTo means that it never expires.
func (c *Client) ImportKeyMaterial(ctx context.Context, keyID string, material []byte, validTo time.Time) error {
	r := newRequest("ImportKeyMaterial")
	key := r.text(keyID)
	bytes, size := r.bytes(material)
	var seconds C.int64_t
	if !validTo.IsZero() {
		seconds = C.int64_t(validTo.Unix())
	}
	r.call = func(how C.tckms_go_how) C.tckms_go_outcome {
		return C.tckms_go_import_key_material(c.handle, how, key, bytes, size, seconds)
	}
	_, _, err := r.do(ctx, c)
	return err
}
