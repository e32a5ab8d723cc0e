package tckms

// #include "shim.h"
import "C"

import (
	"context"
	"encoding/json"
	"time"
)

// UnauthenticatedInfo is the header of a message. It is not authenticated: anyone can have written it.
// Use it only to choose a key, or to find out why a message does not open.
type UnauthenticatedInfo struct {
	// Version is that of the format, 1 or 2.
	Version int `json:"version"`
	// Suite is the suite's number in hexadecimal, such as "0478".
	Suite string `json:"suite"`
	// Committing is whether the message commits to its data key.
	Committing bool `json:"committing"`
	// Signed is whether the message ends with a signature.
	Signed bool `json:"signed"`
	// MessageID is in hexadecimal.
	MessageID string `json:"message_id"`
	// Context is the message's context, with the public key of a signed message.
	Context Pairs `json:"context"`
	// WrappedKeys are the wrapped data keys, in the message's order.
	WrappedKeys []UnauthenticatedKey `json:"wrapped_keys"`
	// FrameLength is in bytes; 0 for a body without frames.
	FrameLength int `json:"frame_len"`
	// HeaderLength is in bytes.
	HeaderLength int `json:"header_len"`
}

// UnauthenticatedKey is a wrapped data key in the header of a message.
type UnauthenticatedKey struct {
	// ProviderID is the scheme's name: "tencent-kms" for a CMK.
	ProviderID string `json:"provider_id"`
	// Info identifies the key of the scheme: "<region>/<key id>" for a CMK. It is "" if it is not text.
	Info string `json:"provider_info"`
	// InfoHex is the info in hexadecimal if it is not text, else "".
	InfoHex string `json:"provider_info_hex"`
	// WrappedLength is in bytes.
	WrappedLength int `json:"wrapped_len"`
	// Branch is the branch key that wrapped it, nil if it was another kind of key.
	Branch *UnauthenticatedBranch `json:"branch"`
}

// UnauthenticatedBranch is a branch key in the header of a message.
type UnauthenticatedBranch struct {
	// ID is the branch.
	ID string `json:"id"`
	// Version is a UUID.
	Version string `json:"version"`
	// Embedded is whether the message carries the branch key along.
	Embedded bool `json:"embedded"`
}

// MessageInfo reads the header of a message, or of its beginning, without opening it. The error is
// ErrTruncated if the header is not complete.
func MessageInfo(message []byte) (UnauthenticatedInfo, error) {
	r := newRequest("MessageInfo")
	input, size := r.input(context.Background(), message)
	r.call = func(how C.tckms_go_how) C.tckms_go_outcome { return C.tckms_go_message_info(how, input, size) }
	text, _, err := r.do(context.Background(), noCaller{})
	if err != nil {
		return UnauthenticatedInfo{}, err
	}
	var info UnauthenticatedInfo
	err = json.Unmarshal(text, &info)
	return info, err
}

// noCaller is for calls without a handle.
type noCaller struct{}

func (noCaller) enter(context.Context) error                    { return nil }
func (noCaller) leave()                                         {}
func (noCaller) derive(context.Context) (*derivedClient, error) { return nil, nil }
func (noCaller) hasCallbacks() bool                             { return false }
func (noCaller) lastReports(time.Time) []report                 { return nil }
