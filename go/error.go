package tckms

// #include "shim.h"
import "C"

import (
	"errors"
	"strings"
	"syscall"
	"time"
)

// ErrClosed is returned by every call of a client, a keyring, a writer or a reader that was closed.
var ErrClosed = errors.New("tckms: closed")

// ErrAborted is returned by a SealWriter that was aborted.
var ErrAborted = errors.New("tckms: aborted")

// Error is everything known about a failed call:
//
//	var failure *tckms.Error
//	if errors.As(err, &failure) && failure.Retryable { … }
//
// It never holds a secret, a plaintext or a whole credential. To ask for one status, use errors.Is(err,
// tckms.ErrCMKDisabled).
type Error struct {
	// Status is how the call ended.
	Status Status
	// Message says what went wrong and why, with every cause.
	Message string
	// Code is the service's error code, such as "ResourceUnavailable.CmkDisabled"; "" when it did not answer.
	Code string
	// RequestID is the service's id of the request, to quote in a support ticket.
	RequestID string
	// KeyID is the key that the call named; for ErrKeyMismatch the one that the reply named.
	KeyID string
	// Action is the KMS action, such as "Encrypt".
	Action string
	// HTTPStatus is that of the last reply; 0 when there was none.
	HTTPStatus int
	// Retryable tells whether the same call may succeed later without any change. The library has tried again already.
	Retryable bool
	// RetryAfter is how long the service asked to wait; 0 when it did not say.
	RetryAfter time.Duration
	// Attempts is how often the request was sent or tried to be sent; 0 when the arguments were refused before.
	Attempts int
	// Errno is the operating system's error number where one is the cause, else 0.
	Errno syscall.Errno

	cause error
}

// Error returns the status' name, the message, and what Unwrap gives.
func (e *Error) Error() string {
	text := "tckms: " + e.Status.String() + ": " + e.Message
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Is lets errors.Is find a Status, and what Errno is: a syscall.Errno such as syscall.ENOSPC, and what that is to os and
// io/fs, such as fs.ErrNotExist.
func (e *Error) Is(target error) bool {
	if status, ok := target.(Status); ok {
		return status == e.Status
	}
	return e.Errno != 0 && errors.Is(e.Errno, target)
}

// Unwrap gives what the failure came from on the side of Go: the error of a CredentialsFunc, a CustomKey or a progress
// function, or the context's when it was that which ended the call. Else nil.
func (e *Error) Unwrap() error {
	return e.cause
}

// reasons are several errors that one came from.
type reasons []error

func join(all []error) error {
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	default:
		return reasons(all)
	}
}

func (r reasons) Error() string {
	texts := make([]string, len(r))
	for i, err := range r {
		texts[i] = err.Error()
	}
	return strings.Join(texts, "; ")
}

// Is lets errors.Is find each of them.
func (r reasons) Is(target error) bool {
	for _, err := range r {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// As lets errors.As find each of them.
func (r reasons) As(target any) bool {
	for _, err := range r {
		if errors.As(err, target) {
			return true
		}
	}
	return false
}

// newError copies an error; it stays the caller's to free. It may be NULL.
func newError(status C.int, e *C.tckms_error) *Error {
	failure := &Error{
		Status:     Status(status),
		Message:    C.GoString(C.tckms_error_message(e)),
		Code:       C.GoString(C.tckms_error_service_code(e)),
		RequestID:  C.GoString(C.tckms_error_request_id(e)),
		KeyID:      C.GoString(C.tckms_error_key_id(e)),
		Action:     C.GoString(C.tckms_error_action(e)),
		HTTPStatus: int(C.tckms_error_http_status(e)),
		Retryable:  C.tckms_error_retryable(e) != 0,
		Attempts:   int(C.tckms_error_attempts(e)),
		Errno:      syscall.Errno(C.tckms_error_os_errno(e)),
	}
	if ms := int64(C.tckms_error_retry_after_ms(e)); ms > 0 {
		failure.RetryAfter = time.Duration(ms) * time.Millisecond
	}
	return failure
}

// checked is for a call without texts.
func checked(outcome C.tckms_go_outcome) error {
	return new(memory).checked(outcome)
}

// Status is how a call ended: the tckms_status of C. It is an error, so that errors.Is(err, tckms.ErrCMKDisabled) works;
// what calls return is an *Error.
type Status int

// String returns the status' name in C, such as "TCKMS_ERR_CMK_DISABLED".
func (s Status) String() string {
	return C.GoString(C.tckms_status_name(C.int(s)))
}

// Error returns the name and one sentence about the status.
func (s Status) Error() string {
	return s.String() + ": " + C.GoString(C.tckms_status_message(C.int(s)))
}

// Retryable tells whether a call that ends so may succeed later without any change. Error.Retryable says it of a certain
// failure, and knows more.
func (s Status) Retryable() bool { return C.tckms_status_retryable(C.int(s)) != 0 }

// Category tells what kind of trouble the status is.
func (s Status) Category() Category {
	return Category(C.tckms_status_category(C.int(s)))
}

// Category is what kind of trouble a status is, and so who can do something about it.
type Category int

// String returns a word, such as "transport".
func (c Category) String() string {
	switch c {
	case CategoryOK:
		return "ok"
	case CategoryArgument:
		return "argument"
	case CategoryCredentials:
		return "credentials"
	case CategoryTransport:
		return "transport"
	case CategoryIdentity:
		return "identity"
	case CategoryRequest:
		return "request"
	case CategoryUnavailable:
		return "unavailable"
	case CategoryIntegrity:
		return "integrity"
	case CategoryLocal:
		return "local"
	case CategoryLibrary:
		return "library"
	default:
		return "unknown"
	}
}

// The categories.
const (
	// CategoryUnknown is for numbers that this version of the library does not know.
	CategoryUnknown Category = C.TCKMS_CATEGORY_UNKNOWN
	// CategoryOK is success.
	CategoryOK Category = C.TCKMS_CATEGORY_OK
	// CategoryArgument is for arguments that the library refused. Nothing was sent, except by a SealWriter that already had
	// its data key.
	CategoryArgument Category = C.TCKMS_CATEGORY_ARGUMENT
	// CategoryCredentials is for credentials that could not be obtained. No request to KMS was sent; requests may have been sent to STS or the metadata service.
	CategoryCredentials Category = C.TCKMS_CATEGORY_CREDENTIALS
	// CategoryTransport is for the way to the service.
	CategoryTransport Category = C.TCKMS_CATEGORY_TRANSPORT
	// CategoryIdentity is for what the service does not let this identity do.
	CategoryIdentity Category = C.TCKMS_CATEGORY_IDENTITY
	// CategoryRequest is for a request that the service refuses, and for the key's state.
	CategoryRequest Category = C.TCKMS_CATEGORY_REQUEST
	// CategoryUnavailable is for a service that is unable now.
	CategoryUnavailable Category = C.TCKMS_CATEGORY_UNAVAILABLE
	// CategoryIntegrity is for something that is not what it claims to be.
	CategoryIntegrity Category = C.TCKMS_CATEGORY_INTEGRITY
	// CategoryLocal is for the program's own side: it stopped the call, or a file or a callback of it failed.
	CategoryLocal Category = C.TCKMS_CATEGORY_LOCAL
	// CategoryLibrary is for the library itself.
	CategoryLibrary Category = C.TCKMS_CATEGORY_LIBRARY
)
