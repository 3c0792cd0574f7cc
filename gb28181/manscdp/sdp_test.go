package manscdp

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func lines(l ...string) []byte { return []byte(strings.Join(l, "\r\n") + "\r\n") }

// TestMarshalPlay fixes every byte of what a device is asked for: order and
// spelling are what strict devices look at.
func TestMarshalPlay(t *testing.T) {
	s := SDP{
		Owner: "34020000002000000001", Origin: netip.MustParseAddr("192.0.2.10"), Addr: netip.MustParseAddr("192.0.2.10"),
		Media: []Media{{Kind: "video", Port: 30000, TCP: true, Direction: "recvonly", Setup: SetupPassive, NewConnection: true,
			Payloads: []RTPMap{{96, "PS", 90000}, {98, "H264", 90000}}}},
		SSRC:   NewSSRC(false, "3402000000", 1),
		Format: &Format{Video: VideoH264, Resolution: "6", FrameRate: 25, RateType: 1, VideoRate: 2048, Audio: AudioG711, AudioRate: 8, SampleRate: 1},
	}
	want := lines("v=0", "o=34020000002000000001 0 0 IN IP4 192.0.2.10", "s=Play", "c=IN IP4 192.0.2.10", "t=0 0",
		"m=video 30000 TCP/RTP/AVP 96 98", "a=recvonly", "a=rtpmap:96 PS/90000", "a=rtpmap:98 H264/90000",
		"a=setup:passive", "a=connection:new", "y=0200000001", "f=v/2/6/25/1/2048a/1/8/1")
	assert.Equal(t, string(want), string(s.Marshal()))
}

func TestMarshalDownload(t *testing.T) {
	s := SDP{Session: SessionDownload, URI: "36092100001320000001:0", Start: 1700000000, Stop: 1700000600,
		Media: []Media{{Kind: "video", Port: 9, DownloadSpeed: 4, Payloads: []RTPMap{{Type: 96}}}}}
	want := lines("v=0", "o=- 0 0 IN IP4 0.0.0.0", "s=Download", "u=36092100001320000001:0", "t=1700000000 1700000600",
		"m=video 9 RTP/AVP 96", "a=downloadspeed:4")
	assert.Equal(t, string(want), string(s.Marshal()))
	start, stop := s.Times()
	assert.Equal(t, "2023-11-15 06:13:20 +0800 CST", start.String())
	assert.Equal(t, "2023-11-15 06:23:20 +0800 CST", stop.String())
}

func TestMarshalKeepsOneLine(t *testing.T) {
	s := SDP{Owner: "1\r\ny=0000000009", Media: []Media{{Kind: "video"}}}
	got, err := ParseSDP(s.Marshal())
	require.NoError(t, err)
	assert.Empty(t, got.SSRC, "a value smuggled in a line")
}

func TestParseSDP(t *testing.T) {
	addr := netip.MustParseAddr("192.0.2.20")
	for _, c := range []struct {
		name string
		body []byte
		want func(t *testing.T, s SDP)
	}{
		{"an ordinary answer", lines("v=0", "o=36092100001320000001 0 0 IN IP4 192.0.2.20", "s=Play", "c=IN IP4 192.0.2.20", "t=0 0",
			"m=video 15060 RTP/AVP 96", "a=sendonly", "a=rtpmap:96 PS/90000", "y=0100000001", "f="), func(t *testing.T, s SDP) {
			v := s.Video()
			require.NotNil(t, v)
			assert.Equal(t, netip.AddrPortFrom(addr, 15060), s.Remote(v))
			assert.Equal(t, []RTPMap{{96, "PS", 90000}}, v.Payloads)
			assert.Equal(t, "sendonly", v.Direction)
			assert.False(t, v.TCP)
			n, ok := s.SSRCValue()
			assert.True(t, ok)
			assert.EqualValues(t, 100000001, n)
			assert.Nil(t, s.Format)
		}},
		{"lines ended by LF, y without its zero, y before the media", []byte("v=0\ny=100000001\nm=video 1 TCP/RTP/AVP 96\na=setup:ACTIVE\na=connection:new"), func(t *testing.T, s SDP) {
			n, ok := s.SSRCValue()
			assert.True(t, ok)
			assert.EqualValues(t, 100000001, n)
			assert.True(t, s.Video().TCP)
			assert.Equal(t, SetupActive, s.Video().Setup)
			assert.True(t, s.Video().NewConnection)
		}},
		{"lines ended by CR, blanks around, key in capitals", []byte(" V=0\r M=video 7 RTP/AVP/TCP 96\r A=recvonly\rA=recvonly\r"), func(t *testing.T, s SDP) {
			assert.True(t, s.Video().TCP)
			assert.Equal(t, "recvonly", s.Video().Direction)
			assert.Empty(t, s.Video().Attributes)
		}},
		{"address of the block overrides", lines("c=IN IP4 198.51.100.1", "m=video 2 RTP/AVP 96", "c=IN IP4 192.0.2.20/127"), func(t *testing.T, s SDP) {
			assert.Equal(t, addr, s.Remote(s.Video()).Addr())
		}},
		{"a name where an address belongs", lines("c=IN IP4 camera.local", "m=video 2 RTP/AVP 96"), func(t *testing.T, s SDP) {
			assert.False(t, s.Remote(s.Video()).IsValid())
		}},
		{"an SSRC that is none", lines("y=99999999999", "m=video 2 RTP/AVP 96"), func(t *testing.T, s SDP) {
			_, ok := s.SSRCValue()
			assert.False(t, ok)
		}},
		{"rtpmap of a payload that m= forgot", lines("m=video 2 RTP/AVP 96", "a=rtpmap:98 H264/90000"), func(t *testing.T, s SDP) {
			assert.Equal(t, []RTPMap{{Type: 96}, {98, "H264", 90000}}, s.Video().Payloads)
		}},
		{"sound only", lines("m=audio 8000 RTP/AVP 8", "a=rtpmap:8 PCMA/8000/1"), func(t *testing.T, s SDP) {
			assert.Nil(t, s.Video())
			assert.Equal(t, []RTPMap{{8, "PCMA", 8000}}, s.Audio().Payloads)
		}},
		{"port out of range", lines("m=video 70000 RTP/AVP 96"), func(t *testing.T, s SDP) {
			assert.Zero(t, s.Video().Port)
		}},
		{"playback with size and vendor attributes", lines("s=Playback", "u=1:0", "t=1700000000 1700000600", "m=video 2 RTP/AVP 96", "a=filesize:123456789", "a=streamnumber:1", "a=connection:existing"), func(t *testing.T, s SDP) {
			assert.EqualValues(t, 123456789, s.Video().FileSize)
			v, ok := s.Video().Attribute("StreamNumber")
			assert.True(t, ok)
			assert.Equal(t, "1", v)
			assert.False(t, s.Video().NewConnection)
			assert.Equal(t, "1:0", s.URI)
		}},
		{"f without audio", lines("m=video 2 RTP/AVP 96", "f=v/5/6/25/2/4096a///"), func(t *testing.T, s SDP) {
			require.NotNil(t, s.Format)
			assert.Equal(t, Format{Video: VideoH265, Resolution: "6", FrameRate: 25, RateType: 2, VideoRate: 4096}, *s.Format)
		}},
		{"f of a talk", lines("m=audio 2 RTP/AVP 8", "f=v/////a/1/8/1"), func(t *testing.T, s SDP) {
			assert.Equal(t, Format{Audio: AudioG711, AudioRate: 8, SampleRate: 1}, *s.Format)
			assert.Equal(t, "v/////a/1/8/1", s.Format.String())
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s, err := ParseSDP(c.body)
			require.NoError(t, err)
			c.want(t, s)
		})
	}
}

func TestParseSDPWithoutMedia(t *testing.T) {
	for name, body := range map[string]string{"empty": "", "garbage": "\x00\x01\xff=", "session only": "v=0\r\ny=0100000001\r\n"} {
		t.Run(name, func(t *testing.T) {
			_, err := ParseSDP([]byte(body))
			assert.ErrorIs(t, err, ErrNoMedia)
		})
	}
	s, _ := ParseSDP([]byte("y=0100000001"))
	assert.Equal(t, "0100000001", s.SSRC, "what could be read stands beside ErrNoMedia")
	_, err := ParseSDP(bytes.Repeat([]byte("a"), MaxSDP+1))
	assert.ErrorIs(t, err, ErrSDPTooLong)
}

func TestNewSSRC(t *testing.T) {
	assert.Equal(t, "0200000001", NewSSRC(false, "3402000000", 1))
	assert.Equal(t, "1921009999", NewSSRC(true, "36092100002000000001", 9999), "digits 4 to 8 of the domain")
	assert.Equal(t, "0000000003", NewSSRC(false, "short", 10003))
	assert.Equal(t, "0000009999", NewSSRC(false, "", -1))
}

func TestParseVersion(t *testing.T) {
	for header, want := range map[string]Version{"3.0": Version2022, " 3.0 ": Version2022, "4.0": Version2022, "2.0": Version2016, "1.1": Version2016, "": Version2016, "x": Version2016, "30": Version2016} {
		assert.Equal(t, want, ParseVersion(header), header)
	}
	assert.Equal(t, "2022", Version2022.String())
	assert.Equal(t, "2016", Version2016.String())
}

// FuzzSDP holds ParseSDP to its promise (no panic on any input) and Marshal to
// writing what ParseSDP reads back unchanged.
func FuzzSDP(f *testing.F) {
	f.Add([]byte("v=0\r\no=1 0 0 IN IP4 192.0.2.1\r\ns=Play\r\nc=IN IP4 192.0.2.1\r\nt=0 0\r\nm=video 1 TCP/RTP/AVP 96\r\na=rtpmap:96 PS/90000\r\na=setup:passive\r\ny=0100000001\r\nf=v/2/6/25/1/2048a/1/8/1\r\n"))
	f.Fuzz(func(t *testing.T, body []byte) {
		s, err := ParseSDP(body)
		if err != nil {
			return
		}
		once := s.Marshal()
		again, err := ParseSDP(once)
		if err != nil {
			t.Fatalf("own description refused: %v\n%s", err, once)
		}
		if twice := again.Marshal(); !bytes.Equal(once, twice) {
			t.Fatalf("not stable:\n%q\n%q", once, twice)
		}
	})
}
