package tckms

// #include "shim.h"
import "C"

import (
	"runtime/cgo"
	"time"
)

// DefaultMaxConcurrentCalls is the default of Options.MaxConcurrentCalls.
const DefaultMaxConcurrentCalls = 64

// defaultTotalTimeout is the library's.
const defaultTotalTimeout = 30 * time.Second

// Site is a site of Tencent Cloud.
type Site int

// The sites.
const (
	// SiteMainland is the site of mainland China, tencentcloudapi.com. The default.
	SiteMainland Site = C.TCKMS_SITE_MAINLAND
	// SiteInternational is the international site, intl.tencentcloudapi.com.
	SiteInternational Site = C.TCKMS_SITE_INTERNATIONAL
)

// LogLevel is the level of the log.
type LogLevel int

// The levels.
const (
	LogOff   LogLevel = C.TCKMS_LOG_OFF
	LogError LogLevel = C.TCKMS_LOG_ERROR
	LogWarn  LogLevel = C.TCKMS_LOG_WARN
	LogInfo  LogLevel = C.TCKMS_LOG_INFO
	LogDebug LogLevel = C.TCKMS_LOG_DEBUG
)

// String returns the level's name, such as "warn".
func (l LogLevel) String() string {
	switch l {
	case LogOff:
		return "off"
	case LogError:
		return "error"
	case LogWarn:
		return "warn"
	case LogInfo:
		return "info"
	case LogDebug:
		return "debug"
	default:
		return "unknown"
	}
}

// LogEvent is one line of the log.
type LogEvent struct {
	Level LogLevel
	// Message is a text for people. It may change in any version: programs should use the other fields.
	Message string
	// Action is the action of the event, such as "Encrypt"; "" if it does not concern a request.
	Action string
	// Status is the result of the attempt or the call; OK also if the event reports neither.
	Status Status
	// Attempt is the number of the attempt, from 1; for a failed call, the number of its attempts; else 0.
	Attempt int
	// Duration is the duration of the attempt, the call, or the wait before the next attempt, in whole milliseconds.
	Duration time.Duration
	// RequestID is the service's id of the request; "" if it did not reply.
	RequestID string
}

// Options are the settings of a client. Region and Credentials are required; the zero value of every other field is
// the library's default.
type Options struct {
	// Region is the region of requests, such as "ap-guangzhou".
	Region string
	// Credentials is the provider of credentials.
	Credentials Credentials

	// Endpoint is the service's endpoint, "https://host[:port]". It overrides that of Site.
	Endpoint string
	// Site is the site of the account. It selects the endpoints of KMS and STS.
	Site Site
	// InsecureHTTPAllowed allows plain http to any host, not only loopback. Anyone on the network path can then read
	// plaintexts and data keys.
	InsecureHTTPAllowed bool
	// CAFile is a file of certificates to trust instead of the system's, in PEM form.
	CAFile string
	// CAPEM has the certificates in memory. It takes precedence over CAFile.
	CAPEM []byte
	// Proxy is "http://[user:password@]host[:port]". The environment's is never used.
	Proxy string

	// ConnectTimeout limits making a connection. Default 3 s.
	ConnectTimeout time.Duration
	// TryTimeout limits one attempt. Default 10 s.
	TryTimeout time.Duration
	// TotalTimeout limits a call with all its attempts and waits. Default 30 s. A context's deadline may be earlier.
	TotalTimeout time.Duration
	// MaxConnections limits the number of connections at the same time. Default 32.
	MaxConnections int
	// MaxIdleConnections limits the number of idle connections that are kept for IdleTimeout; further ones are closed
	// after 5 s. Default 8; -1 for none.
	MaxIdleConnections int
	// IdleTimeout limits how long an idle connection is kept. Default 60 s.
	IdleTimeout time.Duration
	// MaxAttempts limits how many times a request is sent. Default 4; 1 means no retry.
	MaxAttempts int
	// RetryUnsafeActions allows Call to retry actions that create something.
	RetryUnsafeActions bool
	// RatePerSecond limits the average rate of requests. 0 means no limit.
	RatePerSecond int
	// RateBurst is the number of requests that may be sent at once. 0 means as many as in one second.
	RateBurst int

	// MaxConcurrentCalls limits the number of calls in C at once, and so the number of threads that those calls block
	// which need one. Default 64. Further calls wait.
	MaxConcurrentCalls int

	// UserAgent is added to the header X-TC-RequestClient of requests.
	UserAgent string
	// Language is that of the service's own messages: "en-US" (default) or "zh-CN".
	Language string
	// Log receives log events, if LogLevel is not LogOff. It is called on several goroutines at once. A panic in it
	// is ignored.
	Log      func(LogEvent)
	LogLevel LogLevel

	// MetadataEndpoint is another endpoint of the CVM metadata service, for tests.
	MetadataEndpoint string
	// STSEndpoint is another endpoint of STS.
	STSEndpoint string
}

// config is a tckms_config with its credentials functions.
type config struct {
	handle    *C.tckms_config
	providers []*credentialsProvider
}

func newConfig() *config {
	return &config{handle: C.tckms_config_new()}
}

func (c *config) free() {
	C.tckms_config_free(c.handle)
	c.handle = nil
}

// setting is one setter and its value. Credentials are settings too.
type setting = func(*config) error

func text(setter C.tckms_go_text_setter, value string) setting {
	return func(c *config) error {
		var m memory
		defer m.free()
		return m.checked(C.tckms_go_set_text(c.handle, setter, m.text(value)))
	}
}

// optionalText passes "" as NULL.
func optionalText(setter C.tckms_go_text_setter, value string) setting {
	return func(c *config) error {
		var m memory
		defer m.free()
		return m.checked(C.tckms_go_set_text(c.handle, setter, m.optional(value)))
	}
}

func number(setter C.tckms_go_number_setter, value int64) setting {
	return func(c *config) error {
		return checked(C.tckms_go_set_number(c.handle, setter, C.int64_t(value)))
	}
}

// milliseconds rounds up, so a microsecond does not become 0.
func milliseconds(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}

// settings are the options that are not at their zero value, in the order in which they must be set.
func (o *Options) settings() []setting {
	var all []setting
	add := func(wanted bool, s setting) {
		if wanted {
			all = append(all, s)
		}
	}
	add(o.Region != "", text(C.TCKMS_GO_REGION, o.Region))
	add(o.Site != SiteMainland, number(C.TCKMS_GO_SITE, int64(o.Site)))
	add(o.Endpoint != "", text(C.TCKMS_GO_ENDPOINT, o.Endpoint))
	add(o.InsecureHTTPAllowed, number(C.TCKMS_GO_ANY_HOST, 1))
	add(o.Credentials != nil, setting(o.Credentials))
	add(o.MetadataEndpoint != "", text(C.TCKMS_GO_METADATA_ENDPOINT, o.MetadataEndpoint))
	add(o.STSEndpoint != "", text(C.TCKMS_GO_STS_ENDPOINT, o.STSEndpoint))
	add(o.CAFile != "", text(C.TCKMS_GO_CA_FILE, o.CAFile))
	add(o.CAPEM != nil, func(c *config) error {
		var m memory
		defer m.free()
		pem, size := m.bytes(o.CAPEM)
		return m.checked(C.tckms_go_set_ca_pem(c.handle, pem, size))
	})
	add(o.Proxy != "", text(C.TCKMS_GO_PROXY, o.Proxy))
	add(o.ConnectTimeout != 0, number(C.TCKMS_GO_CONNECT_TIMEOUT, milliseconds(o.ConnectTimeout)))
	add(o.TryTimeout != 0, number(C.TCKMS_GO_TRY_TIMEOUT, milliseconds(o.TryTimeout)))
	add(o.TotalTimeout != 0, number(C.TCKMS_GO_TOTAL_TIMEOUT, milliseconds(o.TotalTimeout)))
	add(o.MaxConnections != 0, number(C.TCKMS_GO_MAX_CONNECTIONS, int64(o.MaxConnections)))
	idle := int64(o.MaxIdleConnections)
	if idle == -1 {
		idle = 0
	}
	add(o.MaxIdleConnections != 0, number(C.TCKMS_GO_MAX_IDLE_CONNECTIONS, idle))
	add(o.IdleTimeout != 0, number(C.TCKMS_GO_IDLE_TIMEOUT, milliseconds(o.IdleTimeout)))
	add(o.MaxAttempts != 0, number(C.TCKMS_GO_MAX_ATTEMPTS, int64(o.MaxAttempts)))
	add(o.RetryUnsafeActions, number(C.TCKMS_GO_RETRY_UNSAFE, 1))
	add(o.RatePerSecond != 0, func(c *config) error {
		burst := o.RateBurst
		if burst == 0 {
			burst = o.RatePerSecond
		}
		return checked(C.tckms_go_set_rate_limit(c.handle, C.int64_t(o.RatePerSecond), C.int64_t(burst)))
	})
	add(o.UserAgent != "", text(C.TCKMS_GO_USER_AGENT_SUFFIX, o.UserAgent))
	add(o.Language != "", text(C.TCKMS_GO_LANGUAGE, o.Language))
	add(o.Log != nil && o.LogLevel != LogOff, func(c *config) error {
		handle := cgo.NewHandle(o.Log)
		err := checked(C.tckms_go_set_log(c.handle, C.int(o.LogLevel), C.uintptr_t(handle)))
		if err != nil {
			// C calls the destructor only after success.
			handle.Delete()
		}
		return err
	})
	return all
}
