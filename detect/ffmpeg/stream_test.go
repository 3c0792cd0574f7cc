package ffmpeg

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// readUnits reads an Annex-B file of testdata and groups its NAL units into
// access units.
func readUnits(t testing.TB, name string) []ingest.AccessUnit {
	t.Helper()
	b, err := os.ReadFile(filepath.Join("testdata", name))
	require.NoError(t, err)
	codec := ingest.H264
	if strings.HasSuffix(name, ".h265") {
		codec = ingest.H265
	}
	units := splitUnits(codec, b)
	require.NotEmpty(t, units)
	return units
}

// splitUnits groups the NAL units of an Annex-B stream: an access unit starts at
// the first non-picture NAL unit after a picture, or at a first slice.
func splitUnits(codec ingest.Codec, b []byte) []ingest.AccessUnit {
	var units []ingest.AccessUnit
	now := ingest.AccessUnit{Codec: codec}
	pictured := false
	flush := func() {
		if len(now.NALUs) > 0 {
			units = append(units, now)
		}
		now, pictured = ingest.AccessUnit{Codec: codec}, false
	}
	for _, u := range splitNALUs(b) {
		slice, first, key := classify(codec, u)
		if pictured && (!slice || first) {
			flush()
		}
		now.NALUs = append(now.NALUs, u)
		pictured = pictured || slice
		now.Key = now.Key || key
	}
	flush()
	return units
}

// classify says what a NAL unit is: a slice, the first of its picture, of a
// picture that decoding can start from.
func classify(codec ingest.Codec, u []byte) (slice, first, key bool) {
	if len(u) < 3 {
		return false, false, false
	}
	if codec == ingest.H264 {
		typ := u[0] & 0x1F
		slice = typ >= 1 && typ <= 5
		return slice, slice && u[1]&0x80 != 0, typ == 5
	}
	typ := u[0] >> 1 & 0x3F
	slice = typ < 32
	return slice, slice && u[2]&0x80 != 0, typ >= 16 && typ <= 23
}

// splitNALUs cuts at start codes.
func splitNALUs(b []byte) [][]byte {
	var units [][]byte
	for _, part := range bytes.Split(b, []byte{0, 0, 1}) {
		if part = bytes.TrimRight(part, "\x00"); len(part) > 0 {
			units = append(units, part)
		}
	}
	return units
}
