package tckms

import (
	"fmt"
	"sort"
	"strings"
	"unicode/utf8"
)

// EncryptionContext is Pairs, a ContextJSON, or nil for none. Decrypt needs the context of Encrypt. It is not secret.
type EncryptionContext interface {
	// contextJSON returns the text to send, and false for none.
	contextJSON() (string, bool)
}

// Pairs are an encryption context. The service may compare contexts as text, so equal pairs always become the same
// text: a JSON object with sorted keys and no blanks. Empty pairs are the same as nil.
type Pairs map[string]string

// ContextJSON is an encryption context as the text of a JSON object whose values are strings, sent unchanged: for
// data that another program encrypted with a context of another form.
type ContextJSON string

func (p Pairs) contextJSON() (string, bool) {
	if len(p) == 0 {
		return "", false
	}
	for key, value := range p {
		if !utf8.ValidString(key) || !utf8.ValidString(value) {
			// JSON cannot represent them. The library refuses this text instead.
			return "\xff", true
		}
	}
	keys := make([]string, 0, len(p))
	for key := range p {
		keys = append(keys, key)
	}
	sort.Strings(keys)
	var text strings.Builder
	for number, key := range keys {
		if number == 0 {
			text.WriteByte('{')
		} else {
			text.WriteByte(',')
		}
		writeJSONString(&text, key)
		text.WriteByte(':')
		writeJSONString(&text, p[key])
	}
	text.WriteByte('}')
	return text.String(), true
}

// writeJSONString escapes only the characters that JSON requires, as the library does for the contexts of
// messages. The characters that encoding/json escapes differ between versions of Go.
func writeJSONString(text *strings.Builder, value string) {
	const short = "\bb\tt\nn\ff\rr\"\"\\\\"
	text.WriteByte('"')
	for i := 0; i < len(value); i++ {
		b := value[i]
		switch at := strings.IndexByte(short, b); {
		case b >= ' ' && b != '"' && b != '\\':
			text.WriteByte(b)
		case at >= 0 && at%2 == 0:
			text.WriteByte('\\')
			text.WriteByte(short[at+1])
		default:
			fmt.Fprintf(text, "\\u%04x", b)
		}
	}
	text.WriteByte('"')
}

func (c ContextJSON) contextJSON() (string, bool) {
	return string(c), true
}
