package stream

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
)

// dictionary primes the deflater with what every envelope says, so that even one
// small envelope shrinks. Centers of all versions must have the same bytes: it
// is never changed, a better one would be a field of another name.
const dictionary = `"registered":{"value":"unknown","since":"0001-01-01T00:00:00Z"},"transport":{"value":"yes","since":"20` +
	`"frames":{"value":"yes","since":"20"picture":{"value":"yes","since":"20"recording":{"value":"unknown","since":"0001-01-01T00:00:00Z"}` +
	`"reason":"","hint":"","legal_basis":"A7.1","division":"36","in_use":true,"camera":{"camera":{"id":"","name":"` +
	`"picture":{"sha256":"","at":"20","width":640,"height":360,"bytes":,"blurred":true}` +
	`"classes":{"person":1},"boxes":[{"class":"person","score":0.,"box":{"x":0.,"y":0.,"w":0.,"h":0.}}]` +
	`{"v":1,"node":"edge-1","seq":,"time":"2026-01-01T00:00:00.000000+08:00","alert":{"id":"","camera":"","rule":"","rule_name":"","kind":"zone_entry","zone":"","level":3,"phase":"opened","start":"2026-","last":"2026-","received":"2026-"`

// maxInflated bounds what a compressed envelope may become.
const maxInflated = maxText

// deflate returns b compressed. The result is the caller's.
func deflate(b []byte) []byte {
	var out bytes.Buffer
	w, err := flate.NewWriterDict(&out, flate.DefaultCompression, []byte(dictionary))
	if err == nil {
		_, err = w.Write(b)
	}
	if err == nil {
		err = w.Close()
	}
	if err != nil {
		panic("stream: a buffer in memory refuses bytes: " + err.Error())
	}
	return out.Bytes()
}

// inflate is the opposite of deflate. It refuses what is damaged or becomes
// larger than an envelope may be.
func inflate(b []byte) ([]byte, error) {
	r := flate.NewReaderDict(bytes.NewReader(b), []byte(dictionary))
	out, err := io.ReadAll(io.LimitReader(r, maxInflated+1))
	if err == nil {
		err = r.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("inflate: %w", err)
	}
	if len(out) > maxInflated {
		return nil, fmt.Errorf("inflate: more than %d bytes", maxInflated)
	}
	return out, nil
}
