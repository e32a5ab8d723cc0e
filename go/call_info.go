package tckms

import "context"

// CallInfo is what the service says of a request, also of one that succeeded.
type CallInfo struct {
	// RequestID is the service's id of the last request of the call; "" when the call made none.
	RequestID string
	// KeyID is the CMK that the request was about: as the service named it, or as the call did where the reply names none;
	// "" when there is no such CMK.
	KeyID string
}

type callInfoKey struct{}

// WithCallInfo returns a context whose calls fill info before they return, also when they fail:
//
//	var info tckms.CallInfo
//	blob, err := client.Encrypt(tckms.WithCallInfo(ctx, &info), keyID, secret, pairs)
//
// Use an info for one call at a time. A call that returns because its context ended leaves it as it was. A SealWriter and
// an OpenReader fill it with the request for their data key.
func WithCallInfo(ctx context.Context, info *CallInfo) context.Context {
	return context.WithValue(ctx, callInfoKey{}, info)
}

// infoOf is what a call is to fill, or nil.
func infoOf(ctx context.Context) *CallInfo {
	info, _ := ctx.Value(callInfoKey{}).(*CallInfo)
	return info
}
