package ffmpeg

import (
	"testing"

	"github.com/stretchr/testify/require"
)

func TestAnnexB(t *testing.T) {
	for _, c := range []struct {
		name  string
		nalus [][]byte
		want  string
	}{
		{"none", nil, ""},
		{"one", [][]byte{{0x65, 1, 2}}, "\x00\x00\x00\x01\x65\x01\x02"},
		{"two", [][]byte{{0x67}, {0x68, 0}}, "\x00\x00\x00\x01\x67\x00\x00\x00\x01\x68\x00"},
		{"empty ones are left out", [][]byte{{}, {0x41}, nil}, "\x00\x00\x00\x01\x41"},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := annexBSize(c.nalus)
			require.Equal(t, len(c.want), n)
			dst := make([]byte, n+3)
			require.Equal(t, n, putAnnexB(dst, c.nalus))
			require.Equal(t, c.want, string(dst[:n]))
			require.Equal(t, []byte{0, 0, 0}, dst[n:], "nothing is written past the end")
		})
	}
}
