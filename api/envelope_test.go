package api

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/detect/alert"
)

func TestParseEnvelope(t *testing.T) {
	for name, c := range map[string]struct {
		in string
		ok bool
	}{
		"alert":           {`{"v":1,"node":"e","seq":1,"alert":{"id":"a"}}`, true},
		"camera":          {`{"v":1,"node":"e","seq":1,"camera":{"removed":true}}`, true},
		"node":            {`{"v":1,"node":"e","seq":1,"node_state":{"cameras":3}}`, true},
		"a newer writer":  {`{"v":7,"node":"e","seq":1,"alert":{"id":"a","mood":1},"extra":{}}`, true},
		"no node":         {`{"v":1,"seq":1,"alert":{}}`, false},
		"no number":       {`{"v":1,"node":"e","alert":{}}`, false},
		"no body":         {`{"v":1,"node":"e","seq":1}`, false},
		"two bodies":      {`{"v":1,"node":"e","seq":1,"alert":{},"camera":{}}`, false},
		"body null":       {`{"v":1,"node":"e","seq":1,"alert":null}`, false},
		"negative number": {`{"v":1,"node":"e","seq":-1,"alert":{}}`, false},
		"not JSON":        {`{"v":1`, false},
		"empty":           {``, false},
		"null":            {`null`, false},
	} {
		t.Run(name, func(t *testing.T) {
			e, err := ParseEnvelope([]byte(c.in))
			if c.ok {
				require.NoError(t, err)
				require.Equal(t, "e", e.Node)
				return
			}
			require.ErrorIs(t, err, ErrEnvelope)
			require.Nil(t, e)
		})
	}
}

func TestJPEGTravelsBesideTheEnvelope(t *testing.T) {
	e := Envelope{V: 1, Node: "e", Seq: 1, Time: time.Unix(1, 0).UTC(), Alert: &alert.Alert{ID: "a", Picture: &alert.Picture{SHA256: "00", JPEG: []byte("secret")}}}
	b, err := json.Marshal(&e)
	require.NoError(t, err)
	require.NotContains(t, string(b), "c2VjcmV0")
	got, err := ParseEnvelope(b)
	require.NoError(t, err)
	require.Equal(t, "00", got.Alert.Picture.SHA256)
	require.Nil(t, got.Alert.Picture.JPEG)
}

func FuzzParseEnvelope(f *testing.F) {
	f.Add([]byte(`{"v":1,"node":"e","seq":1,"time":"2026-01-02T03:04:05+08:00","alert":{"id":"a","classes":{"person":2},"boxes":[{"class":"person","score":0.5,"box":{"x":0.1}}],"picture":{"sha256":"00"}}}`))
	f.Add([]byte(`{"v":1,"node":"e","seq":2,"camera":{"camera":{"id":"c","lon":1.5},"state":{"frames":{"value":"maybe"}}}}`))
	f.Add([]byte(`{"v":1,"node":"e","seq":3,"node_state":{"version":"x"}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		e, err := ParseEnvelope(b)
		if err != nil {
			return
		}
		again, err := json.Marshal(e)
		if err != nil {
			t.Skip() // a time of a year beyond 9999 has no JSON form
		}
		got, err := ParseEnvelope(again)
		if err != nil {
			t.Fatalf("accepted %q, refuses its own form %q: %v", b, again, err)
		}
		third, err := json.Marshal(got)
		if err != nil || !reflect.DeepEqual(again, third) {
			t.Fatalf("not stable: %q, then %q", again, third)
		}
	})
}
