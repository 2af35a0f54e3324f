// Package provenance records what a derived file was made from and finds what has changed since.
//
// One rule holds wherever it is used: a result is valid for what it was made from. Whoever writes a result records its
// sources next to it, whoever reads one compares them with the current ones, and what no longer fits is made again
// where that is cheap and refused where it is not. Sources are compared by content, never by time stamps.
package provenance

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"

	"github.com/universal-classifier/uc/internal/infile"
)

// digestPrefix marks a value of Sources that stands for content.
const digestPrefix = "sha256:"

// Sources are what something was made from, by name: a short text as it is, everything else as a digest.
type Sources map[string]string

// Changes says in words, in the order of the names, what differs between the sources that s records and the current
// ones. A name that either side does not have is not compared: earlier and later versions record fewer and more.
func (s Sources) Changes(now Sources) []string {
	var changes []string
	for _, name := range slices.Sorted(maps.Keys(s)) {
		before := s[name]
		after, known := now[name]
		switch {
		case !known || before == after:
		case strings.HasPrefix(before, digestPrefix) || strings.HasPrefix(after, digestPrefix):
			changes = append(changes, name)
		default:
			changes = append(changes, fmt.Sprintf("%s %s -> %s", name, shown(before), shown(after)))
		}
	}
	return changes
}

// shown is a text that is not empty.
func shown(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// Without returns the sources but for the given names.
func (s Sources) Without(names ...string) Sources {
	rest := maps.Clone(s)
	for _, name := range names {
		delete(rest, name)
	}
	return rest
}

// Digest identifies content.
func Digest(content []byte) string {
	sum := sha256.Sum256(content)
	return digestPrefix + hex.EncodeToString(sum[:])
}

// DigestOf identifies several texts in their order.
func DigestOf(texts ...string) string {
	h := sha256.New()
	for _, text := range texts {
		fmt.Fprintf(h, "%d:%s\n", len(text), text)
	}
	return digestPrefix + hex.EncodeToString(h.Sum(nil))
}

// DigestJSON identifies what v is as JSON.
func DigestJSON(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", err
	}
	return Digest(b), nil
}

// DigestFile identifies the content of a file.
func DigestFile(path string) (string, error) {
	f, err := infile.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.CopyBuffer(h, f, make([]byte, 1<<18)); err != nil {
		return "", err
	}
	return digestPrefix + hex.EncodeToString(h.Sum(nil)), nil
}

// DigestFiles identifies the content of several files in their order, as DigestOf does the digits of their digests.
func DigestFiles(paths ...string) (string, error) {
	digests := make([]string, len(paths))
	for i, path := range paths {
		digest, err := DigestFile(path)
		if err != nil {
			return "", err
		}
		digests[i] = Hex(digest)
	}
	return DigestOf(digests...), nil
}

// Hex is a digest without what marks it as one.
func Hex(digest string) string { return strings.TrimPrefix(digest, digestPrefix) }

// Settings turns a JSON object into sources, one per field. What is not an object has none.
func Settings(object json.RawMessage) Sources {
	var fields map[string]json.RawMessage
	if json.Unmarshal(object, &fields) != nil {
		return nil
	}
	s := Sources{}
	for name, value := range fields {
		const longest = 80 // characters that still read well in a message
		if s[name] = strings.Trim(string(value), `"`); len(value) > longest {
			s[name] = Digest(value)
		}
	}
	return s
}
