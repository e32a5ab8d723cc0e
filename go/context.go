package tckms

import (
	"bytes"
	"encoding/json"
	"unicode/utf8"
)

// EncryptionContext is a Context, a ContextJSON, or nil for none. Decrypt has to be given what Encrypt was given. It is
// not secret.
type EncryptionContext interface {
	// contextJSON returns the text to send, and false for none.
	contextJSON() (string, bool)
}

// Context is an encryption context as pairs. The service may compare text, so equal pairs always become the same text: a
// JSON object with sorted keys and no blanks. An empty one is the same as none.
type Context map[string]string

// ContextJSON is an encryption context as the text of a JSON object whose values are strings, sent exactly as it is: for
// data that another program encrypted with a text of its own.
type ContextJSON string

func (c Context) contextJSON() (string, bool) {
	if len(c) == 0 {
		return "", false
	}
	for key, value := range c {
		if !utf8.ValidString(key) || !utf8.ValidString(value) {
			// encoding/json would put other characters in their place. The library refuses this text instead.
			return "\xff", true
		}
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	// "<" stays "<", as every other writer of JSON has it.
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(map[string]string(c)); err != nil {
		return "\xff", true
	}
	return string(bytes.TrimSuffix(text.Bytes(), []byte("\n"))), true
}

func (c ContextJSON) contextJSON() (string, bool) {
	return string(c), true
}
