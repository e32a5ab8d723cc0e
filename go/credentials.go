package tckms

// #include "shim.h"
import "C"

import (
	"context"
	"runtime/cgo"
	"time"
)

// Credentials are a provider of credentials; the functions below create them.
type Credentials func(*config) error

// StaticCredentials are fixed credentials. They never expire: Expires has no effect.
func StaticCredentials(identity Identity) Credentials {
	return func(c *config) error {
		var m memory
		defer m.free()
		return m.checked(C.tckms_go_set_credentials(c.handle, m.text(identity.SecretID), m.text(identity.SecretKey),
			m.optional(identity.Token)))
	}
}

// DefaultCredentials use the default chain of the official SDKs: environment, profile file, CVM role, TKE pod.
func DefaultCredentials() Credentials { return number(C.TCKMS_GO_DEFAULT_CREDENTIALS, 0) }

// EnvCredentials are those of TENCENTCLOUD_SECRET_ID, TENCENTCLOUD_SECRET_KEY and TENCENTCLOUD_SESSION_TOKEN.
func EnvCredentials() Credentials { return number(C.TCKMS_GO_ENV_CREDENTIALS, 0) }

// ProfileCredentials are in a profile file of the official SDKs, in the section of that name; "" is "default".
func ProfileCredentials(path, profile string) Credentials {
	return func(c *config) error {
		var m memory
		defer m.free()
		return m.checked(C.tckms_go_set_profile(c.handle, m.text(path), m.optional(profile)))
	}
}

// DefaultProfileCredentials are in the file that TENCENTCLOUD_CREDENTIALS_FILE names, else in the user's file, else in
// the system's.
func DefaultProfileCredentials(profile string) Credentials {
	return optionalText(C.TCKMS_GO_DEFAULT_PROFILE, profile)
}

// TCCLICredentials are in a file of tccli.
func TCCLICredentials(path string) Credentials { return text(C.TCKMS_GO_TCCLI, path) }

// DefaultTCCLICredentials are in ~/.tccli; "" is the profile of TCCLI_PROFILE, else "default".
func DefaultTCCLICredentials(profile string) Credentials {
	return optionalText(C.TCKMS_GO_DEFAULT_TCCLI, profile)
}

// CVMRoleCredentials are those of the role that is bound to this CVM instance; "" selects the one that is bound.
func CVMRoleCredentials(role string) Credentials { return optionalText(C.TCKMS_GO_CVM_ROLE, role) }

// OIDC is a role that is assumed with a token in a file.
type OIDC struct {
	ProviderID string
	TokenFile  string
	RoleARN    string
	// SessionName may be "" for a generated one.
	SessionName string
	// Duration may be 0 for two hours.
	Duration time.Duration
}

// OIDCCredentials are those of a role, by AssumeRoleWithWebIdentity.
func OIDCCredentials(o OIDC) Credentials {
	return func(c *config) error {
		var m memory
		defer m.free()
		return m.checked(C.tckms_go_set_oidc(c.handle, m.text(o.ProviderID), m.text(o.TokenFile), m.text(o.RoleARN),
			m.optional(o.SessionName), seconds(o.Duration)))
	}
}

// TKEPodCredentials are those of the pod's role, from the variables that TKE sets.
func TKEPodCredentials() Credentials { return number(C.TCKMS_GO_TKE_CREDENTIALS, 0) }

// Role is a role that is assumed with other credentials.
type Role struct {
	ARN string
	// SessionName may be "" for a generated one.
	SessionName string
	// Duration may be 0 for two hours.
	Duration time.Duration
	// ExternalID is the one that the role's policy requires, or "".
	ExternalID string
	// Policy is a policy in JSON that restricts the role, or "".
	Policy string
}

// RoleCredentials are those of a role, by AssumeRole with other credentials.
func RoleCredentials(with Credentials, role Role) Credentials {
	return func(c *config) error {
		if err := with(c); err != nil {
			return err
		}
		var m memory
		defer m.free()
		return m.checked(C.tckms_go_set_assume_role(c.handle, m.text(role.ARN), m.optional(role.SessionName),
			seconds(role.Duration), m.optional(role.ExternalID), m.optional(role.Policy)))
	}
}

// FirstOf tries the providers in order until one has credentials.
func FirstOf(first Credentials, others ...Credentials) Credentials {
	return func(c *config) error {
		if err := first(c); err != nil {
			return err
		}
		for _, credentials := range others {
			other := newConfig()
			err := credentials(other)
			if err == nil {
				err = checked(C.tckms_go_add_fallback(c.handle, other.handle))
			}
			c.providers = append(c.providers, other.providers...)
			other.free()
			if err != nil {
				return err
			}
		}
		return nil
	}
}

// Identity is a secret id and secret key, with the token of temporary credentials.
type Identity struct {
	SecretID  string
	SecretKey string
	// Token is the token of temporary credentials, else "".
	Token string
	// Expires is the expiry; the zero time means never. A CredentialsFunc is called again before it.
	Expires time.Time
}

// CredentialsFunc calls a function of the program whenever new credentials are due, on one goroutine at a time for
// each client. ctx is that of the call that needs them; other calls that need the same credentials wait with it. The
// function must not use the client that waits for it. If it returns an error, calls fail, errors.Is and errors.As
// find the error in theirs, and the function is not called again for half a second. An error that is or wraps a
// Status or an *Error keeps its status: ErrServiceUnavailable for an outage, which counts as retryable. One that
// wraps context.DeadlineExceeded becomes ErrTimedOut, any other one and a panic ErrCredentialsCallbackFailed.
func CredentialsFunc(supply func(ctx context.Context) (Identity, error)) Credentials {
	return func(c *config) error {
		provider := &credentialsProvider{supply: supply}
		handle := cgo.NewHandle(provider)
		err := checked(C.tckms_go_set_credentials_callback(c.handle, C.uintptr_t(handle)))
		if err != nil {
			// C calls the destructor only after success.
			handle.Delete()
			return err
		}
		c.providers = append(c.providers, provider)
		return nil
	}
}

// credentialsProvider is a credentials function. Its last failure is also that of calls that do not call it
// themselves, because another one calls it or it failed less than half a second ago.
type credentialsProvider struct {
	supply func(context.Context) (Identity, error)
	last   lastReport
}

// seconds saturates, and rounds up so that a duration never becomes shorter.
func seconds(d time.Duration) C.int {
	s := (d + time.Second - 1) / time.Second
	if s > 1<<30 {
		s = 1 << 30
	}
	return C.int(s)
}
