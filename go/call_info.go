package tckms

import "context"

// CallInfo identifies a request, also a successful one.
type CallInfo struct {
	// RequestID is the service's id of the last request of the call; "" when the call made none.
	RequestID string
	// KeyID is the CMK of the request: from the reply, or from the call if the reply names none; "" if there is none.
	KeyID string
}

type callInfoKey struct{}

// WithCallInfo returns a context whose calls fill info before they return, even if they fail:
//
//	var info tckms.CallInfo
//	blob, err := client.Encrypt(tckms.WithCallInfo(ctx, &info), keyID, secret, pairs)
//
// Use an info for one call at a time. A call that returns because its context ended does not change it. A
// SealWriter and an OpenReader fill it with the request for their data key.
func WithCallInfo(ctx context.Context, info *CallInfo) context.Context {
	return context.WithValue(ctx, callInfoKey{}, info)
}

// infoOf returns the CallInfo to fill, or nil.
func infoOf(ctx context.Context) *CallInfo {
	info, _ := ctx.Value(callInfoKey{}).(*CallInfo)
	return info
}
