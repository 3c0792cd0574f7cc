package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A trace has a line for each unit and nothing that could be a picture.
func TestCameraTraceOfAFile(t *testing.T) {
	for _, name := range []string{"cbr.h264", "bframes.h265"} {
		cmd := newCamera()
		var out bytes.Buffer
		cmd.SetOut(&out)
		cmd.SetArgs([]string{"trace", "file:../../detect/testdata/headers/" + name})
		require.NoError(t, cmd.ExecuteContext(t.Context()))
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		require.Len(t, lines, 41)
		require.Equal(t, "received_s,pts_s,codec,type,key,recovery,reference,temporal_id,qp,slices,bytes,lost", lines[0])
		for _, l := range lines[1:] {
			require.Regexp(t, `^\d+\.\d{3},\d+\.\d{3},H26[45],[IPB],[01],[01],[01],[0-6],-?\d+,\d+,\d+,[01]$`, l)
		}
		require.Regexp(t, `^0\.000,0\.000,H26[45],I,1,`, lines[1])
	}
}

func TestCameraTraceSaysWhatIsWrong(t *testing.T) {
	for address, want := range map[string]string{
		"file:/no/such.h264": "no such file", "http://192.0.2.1/x": "rtsp://", "rtsp://a:b@192.0.2.1/": "leave user and password out",
	} {
		cmd := newCamera()
		cmd.SetOut(&bytes.Buffer{})
		cmd.SetErr(&bytes.Buffer{})
		cmd.SetArgs([]string{"trace", address})
		require.ErrorContains(t, cmd.ExecuteContext(t.Context()), want)
	}
}
