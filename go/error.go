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

// Error is the detail of a failed call:
//
//	var failure *tckms.Error
//	if errors.As(err, &failure) && failure.Retryable { … }
//
// It never contains a secret, a plaintext or complete credentials. To test for a status, use errors.Is(err,
// tckms.ErrCMKDisabled).
type Error struct {
	// Status is the status of the call.
	Status Status
	// Message says what failed and why, with every cause.
	Message string
	// Code is the service's error code, such as "ResourceUnavailable.CmkDisabled"; "" if it did not reply.
	Code string
	// RequestID is the service's id of the request, for a support ticket.
	RequestID string
	// KeyID is the key that the call named; for ErrKeyMismatch the one that the reply named.
	KeyID string
	// Action is the KMS action, such as "Encrypt".
	Action string
	// HTTPStatus is that of the last reply; 0 when there was none.
	HTTPStatus int
	// Retryable reports whether the same call may succeed later without any change. The library has already retried.
	Retryable bool
	// RetryAfter is the wait that the service requested, or 0.
	RetryAfter time.Duration
	// Attempts is the number of attempts to send the request; 0 if the arguments were refused.
	Attempts int
	// Errno is the operating system's error number if one is the cause, else 0.
	Errno syscall.Errno

	cause error
}

// Error returns the status's name, the message, and the text of the wrapped error.
func (e *Error) Error() string {
	text := "tckms: " + e.Status.String() + ": " + e.Message
	if e.cause != nil {
		text += ": " + e.cause.Error()
	}
	return text
}

// Is makes errors.Is find a Status and the Errno: as a syscall.Errno such as syscall.ENOSPC, and as the corresponding
// error of os and io/fs, such as fs.ErrNotExist.
func (e *Error) Is(target error) bool {
	if status, ok := target.(Status); ok {
		return status == e.Status
	}
	return e.Errno != 0 && errors.Is(e.Errno, target)
}

// Unwrap returns the cause of the failure in Go: the error of a CredentialsFunc, a CustomKey or a progress function,
// or the context's if that ended the call. Else nil.
func (e *Error) Unwrap() error {
	return e.cause
}

// reasons are several causes of one error.
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

// Is makes errors.Is find each of them.
func (r reasons) Is(target error) bool {
	for _, err := range r {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// As makes errors.As find each of them.
func (r reasons) As(target any) bool {
	for _, err := range r {
		if errors.As(err, target) {
			return true
		}
	}
	return false
}

// newError copies an error, which the caller still has to free. It may be NULL.
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

// Status is the tckms_status of C. It is an error, so errors.Is(err, tckms.ErrCMKDisabled) works; calls return an
// *Error.
type Status int

// String returns the status's name in C, such as "TCKMS_ERR_CMK_DISABLED".
func (s Status) String() string {
	return C.GoString(C.tckms_status_name(C.int(s)))
}

// Error returns the name and one sentence about the status.
func (s Status) Error() string {
	return s.String() + ": " + C.GoString(C.tckms_status_message(C.int(s)))
}

// Retryable reports whether a call with this status may succeed later without any change. Error.Retryable does so
// for one failure, and takes more into account.
func (s Status) Retryable() bool { return C.tckms_status_retryable(C.int(s)) != 0 }

// Category returns the category of the status.
func (s Status) Category() Category {
	return Category(C.tckms_status_category(C.int(s)))
}

// Category is the category of a status: which side can correct the failure.
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
	// CategoryTransport is for the network, TLS, a proxy, or a reply that is not the service's.
	CategoryTransport Category = C.TCKMS_CATEGORY_TRANSPORT
	// CategoryIdentity is for operations that the service does not allow this identity.
	CategoryIdentity Category = C.TCKMS_CATEGORY_IDENTITY
	// CategoryRequest is for requests that the service refuses, also because of the key's state.
	CategoryRequest Category = C.TCKMS_CATEGORY_REQUEST
	// CategoryUnavailable is for a service that is not available now.
	CategoryUnavailable Category = C.TCKMS_CATEGORY_UNAVAILABLE
	// CategoryIntegrity is for data that is not authentic, or not the expected one.
	CategoryIntegrity Category = C.TCKMS_CATEGORY_INTEGRITY
	// CategoryLocal is for the program itself: it canceled the call, or one of its files or callbacks failed.
	CategoryLocal Category = C.TCKMS_CATEGORY_LOCAL
	// CategoryLibrary is for the library itself.
	CategoryLibrary Category = C.TCKMS_CATEGORY_LIBRARY
)
