package manscdp

import (
	"bytes"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestPTZ holds the bytes of annex A.3 against words written out by hand.
func TestPTZ(t *testing.T) {
	for want, got := range map[string]string{
		"A50F0100000000B5": PTZ{}.String(),
		"A50F0101200000D6": PTZ{Pan: 32}.String(),
		"A50F0102FF0000B6": PTZ{Pan: -300}.String(),
		"A50F0108004000FD": PTZ{Tilt: 64}.String(),
		"A50F0104004000F9": PTZ{Tilt: -64}.String(),
		"A50F01192040507E": PTZ{Pan: 32, Tilt: 64, Zoom: 5}.String(),
		"A50F01200000F0C5": PTZ{Zoom: -99}.String(),
		"A50F0140000000F5": Lens{}.String(),
		"A50F0146808000FB": Lens{Focus: 128, Iris: 128}.String(),
		"A50F0149808000FE": Lens{Focus: -128, Iris: -128}.String(),
		"A50F018100030039": PresetSet.PTZCmd(3),
		"A50F01820003003A": PresetCall.PTZCmd(3),
		"A50F018300FF0037": PresetDelete.PTZCmd(255),
	} {
		assert.Equal(t, want, got)
	}
}

func TestAnswered(t *testing.T) {
	for _, c := range []*DeviceControl{{RecordCmd: StartRecord}, {GuardCmd: SetGuard}, {AlarmCmd: ResetAlarm}, {HomePosition: &HomePosition{}}} {
		assert.True(t, c.Answered(), "%+v", c)
	}
	for _, c := range []*DeviceControl{{PTZCmd: "A5"}, {TeleBoot: Boot}, {KeyFrame: Send}} {
		assert.False(t, c.Answered(), "%+v", c)
	}
}

func TestRTSPMarshal(t *testing.T) {
	for _, c := range []struct {
		name string
		m    RTSP
		want string
	}{
		{"go on", RTSP{Method: RTSPPlay, CSeq: 2, From: NowFrom()}, "PLAY RTSP/1.0\r\nCSeq: 2\r\nRange: npt=now-\r\n\r\n"},
		{"seek", RTSP{Method: RTSPPlay, CSeq: 3, From: At(100 * time.Second), To: At(200500 * time.Millisecond)}, "PLAY RTSP/1.0\r\nCSeq: 3\r\nRange: npt=100-200.5\r\n\r\n"},
		{"speed", RTSP{Method: RTSPPlay, CSeq: 4, Scale: 2}, "PLAY RTSP/1.0\r\nCSeq: 4\r\nScale: 2.0\r\n\r\n"},
		{"backwards", RTSP{Method: RTSPPlay, CSeq: 4, Scale: -0.5}, "PLAY RTSP/1.0\r\nCSeq: 4\r\nScale: -0.5\r\n\r\n"},
		{"pause", RTSP{Method: RTSPPause, CSeq: 5}, "PAUSE RTSP/1.0\r\nCSeq: 5\r\nPauseTime: now\r\n\r\n"},
		{"end", RTSP{Method: RTSPTeardown, CSeq: 6}, "TEARDOWN RTSP/1.0\r\nCSeq: 6\r\n\r\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			assert.Equal(t, c.want, string(c.m.Marshal()))
			got, err := ParseRTSP([]byte(c.want))
			require.NoError(t, err)
			assert.Equal(t, c.m, got)
		})
	}
}

func TestParseRTSP(t *testing.T) {
	m, err := ParseRTSP([]byte("play MANSRTSP/1.0\ncseq:9\nScale:0.25\nRange: NPT=0:01:40-\n"))
	require.NoError(t, err)
	assert.Equal(t, RTSP{Method: RTSPPlay, CSeq: 9, Scale: 0.25, From: At(100 * time.Second)}, m)
	m, err = ParseRTSP([]byte("RTSP/1.0 200 OK\r\nCSeq: 9\r\nRTP-Info: seq=1;rtptime=2\r\n"))
	require.NoError(t, err)
	assert.Equal(t, RTSP{Status: 200, CSeq: 9, RTPInfo: "seq=1;rtptime=2"}, m)
	for name, body := range map[string]string{"empty": "", "xml": "<Notify>", "another method": "DESCRIBE RTSP/1.0", "another version": "PLAY HTTP/1.1", "status": "RTSP/1.0 abc", "long": "PLAY RTSP/1.0\r\n" + string(make([]byte, MaxRTSP))} {
		_, err := ParseRTSP([]byte(body))
		assert.ErrorIs(t, err, ErrNotRTSP, name)
	}
	m, err = ParseRTSP([]byte("PLAY RTSP/1.0\r\nScale: NaN\r\nRange: npt=1e300-9999999999\r\n"))
	require.NoError(t, err)
	assert.Equal(t, RTSP{Method: RTSPPlay}, m, "impossible values are left out")
}

// FuzzRTSP holds ParseRTSP to no panic and Marshal to writing what it reads back.
func FuzzRTSP(f *testing.F) {
	f.Add([]byte("PLAY MANSRTSP/1.0\r\nCSeq: 9\r\nScale: -0.25\r\nRange: npt=now-200.5\r\n\r\n"))
	f.Add([]byte("RTSP/1.0 200 OK\r\nCSeq: 9\r\nRTP-Info: seq=1\r\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		m, err := ParseRTSP(body)
		if err != nil || m.Method == "" {
			return
		}
		once := m.Marshal()
		again, err := ParseRTSP(once)
		if err != nil {
			t.Fatalf("own message refused: %v\n%q", err, once)
		}
		if twice := again.Marshal(); !bytes.Equal(once, twice) {
			t.Fatalf("not stable:\n%q\n%q", once, twice)
		}
	})
}
