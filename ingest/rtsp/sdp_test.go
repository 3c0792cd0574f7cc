package rtsp

import (
	"encoding/base64"
	"fmt"
	"strings"
	"testing"

	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/sdp"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// Descriptions as cameras write them, some of them shortened.
const (
	sdpPlain = "v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=Media\r\nt=0 0\r\na=control:*\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\n" +
		"a=fmtp:96 packetization-mode=1;profile-level-id=64001E;sprop-parameter-sets=Z2QAHqw=,aO48gA==\r\na=control:trackID=1\r\na=framerate:25.0\r\n"
	// Hikvision: audio and ONVIF metadata beside the video.
	sdpThree = "v=0\no=- 1 1 IN IP4 10.0.0.1\ns=Media Presentation\ne=NONE\nb=AS:5100\nt=0 0\na=control:rtsp://10.0.0.1/Streaming/Channels/101/\n" +
		"m=audio 0 RTP/AVP 8\na=rtpmap:8 PCMA/8000\na=control:rtsp://10.0.0.1/Streaming/Channels/101/trackID=2\n" +
		"m=video 0 RTP/AVP 96\na=control:rtsp://10.0.0.1/Streaming/Channels/101/trackID=1\na=rtpmap:96 H265/90000\na=fmtp:96 sprop-sps=QgEB; sprop-pps=RAHA; sprop-vps=QAEM\na=appversion:1.0\n" +
		"m=application 0 RTP/AVP 107\na=rtpmap:107 vnd.onvif.metadata/90000\na=control:trackID=3\n"
	// An odd audio track, an origin of its own making, a loudspeaker.
	sdpOdd = "v=0\r\no=bla\r\ns=\r\nz=what\r\nm=audio 0 RTP/AVP 97\r\na=rtpmap:97 mpeg4-generic/16000\r\na=fmtp:97 config=zz\r\na=control:a\r\n" +
		"m=video 0 RTP/AVP 97\r\na=rtpmap:97 H264/90000\r\na=sendonly\r\na=control:back\r\n" +
		"m=video 0 RTP/AVP 26 98\r\na=rtpmap:98 h264/90000\r\na=fmtp:98 sprop-parameter-sets=????,\r\na=control:v\r\n"
	sdpAudio       = "v=0\r\ns=x\r\nm=audio 0 RTP/AVP 0\r\na=control:a\r\n"
	sdpMJPEG       = "v=0\r\ns=x\r\nm=video 0 RTP/AVP 26\r\na=control:a\r\n"
	sdpInterleaved = "v=0\r\ns=x\r\nm=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=2\r\na=control:a\r\n"
)

func TestSDP(t *testing.T) {
	for _, c := range []struct {
		name, sdp string
		codec     ingest.Codec
		control   string
		sets      int
		tracks    int
		reason    ingest.Reason
	}{
		{"plain", sdpPlain, ingest.H264, "trackID=1", 2, 1, ""},
		{"audio and metadata beside", sdpThree, ingest.H265, "rtsp://10.0.0.1/Streaming/Channels/101/trackID=1", 3, 3, ""},
		{"odd neighbours", sdpOdd, ingest.H264, "v", 0, 4, ""},
		{"audio only", sdpAudio, 0, "", 0, 1, ingest.ReasonNoVideo},
		{"mjpeg", sdpMJPEG, 0, "", 0, 1, ingest.ReasonUnsupportedCodec},
		{"interleaved mode", sdpInterleaved, 0, "", 0, 1, ingest.ReasonUnsupportedCodec},
		{"decoding order numbers", strings.Replace(sdpThree, "sprop-sps", "sprop-max-don-diff=1;sprop-sps", 1), 0, "", 0, 3, ingest.ReasonUnsupportedCodec},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := parseSDP([]byte(c.sdp))
			require.NoError(t, err)
			require.Len(t, d.tracks, c.tracks)
			track, err := d.choose()
			require.Equal(t, c.reason, ingest.ReasonOf(err))
			if err != nil {
				return
			}
			require.Equal(t, c.codec, track.codec())
			require.Equal(t, c.control, track.control)
			require.Len(t, track.parameterSets(), c.sets)

			// What the client gets is one track that it can read.
			var s sdp.SessionDescription
			require.NoError(t, s.Unmarshal(d.minimal(track)))
			var desc description.Session
			require.NoError(t, desc.Unmarshal(&s))
			require.Len(t, desc.Medias, 1)
			require.Equal(t, c.control, desc.Medias[0].Control)
			require.Equal(t, track.Payload, desc.Medias[0].Formats[0].PayloadType())
		})
	}
	d, err := parseSDP([]byte(sdpPlain))
	require.NoError(t, err)
	require.InDelta(t, 25, d.tracks[0].frameRate, 0)
	require.Equal(t, []byte{0x67, 0x64, 0, 0x1e, 0xac}, d.tracks[0].parameterSets()[0])
	require.Equal(t, Track{Kind: "audio", Codec: "PCMA", Payload: 8, ClockRate: 8000}, func() Track {
		d, err := parseSDP([]byte(sdpThree))
		require.NoError(t, err)
		x := d.tracks[0]
		return Track{Kind: x.Kind, Codec: x.Codec, Payload: x.Payload, ClockRate: x.ClockRate}
	}())
}

func TestSDPParameterSetsWithStartCode(t *testing.T) {
	coded := base64.StdEncoding.EncodeToString([]byte{0, 0, 0, 1, 0x67, 1, 2})
	d, err := parseSDP([]byte("m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=fmtp:96 sprop-parameter-sets=" + coded + "\n"))
	require.NoError(t, err)
	require.Equal(t, [][]byte{{0x67, 1, 2}}, d.tracks[0].parameterSets())
}

func TestSDPSecure(t *testing.T) {
	d, err := parseSDP([]byte("v=0\ns=x\na=key-mgmt:mikey AAA\nm=video 0 RTP/SAVP 96\na=rtpmap:96 H264/90000\na=key-mgmt:mikey BBB\n"))
	require.NoError(t, err)
	track, err := d.choose()
	require.NoError(t, err)
	out := string(d.minimal(track))
	require.Contains(t, out, "RTP/SAVP 96")
	require.Contains(t, out, "a=key-mgmt:mikey AAA")
	require.Contains(t, out, "a=key-mgmt:mikey BBB")
}

func TestSDPFromHell(t *testing.T) {
	for name, body := range map[string]string{
		"empty":      "",
		"html":       "<html><body>404</body></html>",
		"zeros":      strings.Repeat("\x00", 100000),
		"only v":     "v=0\r\n",
		"bad m":      "m=\r\nm=video\r\nm=video x\r\nm=video 0 RTP/AVP\r\nm=video 0 RTP/AVP zz 999 -1\r\n",
		"many lines": strings.Repeat("a=x\r\n", maxSDPLines+1) + sdpPlain,
	} {
		t.Run(name, func(t *testing.T) {
			_, err := parseSDP([]byte(body))
			require.Error(t, err)
		})
	}
	many := strings.Repeat("m=video 0 RTP/AVP "+strings.Repeat("96 ", 1000)+"\n", 100)
	d, err := parseSDP([]byte(many))
	require.NoError(t, err)
	require.Len(t, d.tracks, maxTracks)
	_, err = d.choose()
	require.Equal(t, ingest.ReasonUnsupportedCodec, ingest.ReasonOf(err))

	sets := strings.Repeat("Z2QAHqw=,", 1000)
	d, err = parseSDP([]byte("m=video 0 RTP/AVP 96\na=rtpmap:96 H264/90000\na=fmtp:96 sprop-parameter-sets=" + sets + "\n"))
	require.NoError(t, err)
	require.Len(t, d.tracks[0].parameterSets(), maxParamSets)
}

func FuzzSDP(f *testing.F) {
	for _, s := range []string{sdpPlain, sdpThree, sdpOdd, sdpAudio, sdpMJPEG, sdpInterleaved, "m=video 0 RTP/AVP 96"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		d, err := parseSDP(body)
		if err != nil {
			return
		}
		if len(d.tracks) == 0 || len(d.tracks) > maxTracks {
			t.Fatalf("%d tracks", len(d.tracks))
		}
		track, err := d.choose()
		if err != nil {
			if len(fmt.Sprint(err)) > 4096 {
				t.Fatal("an error as long as the description")
			}
			return
		}
		if n := len(track.parameterSets()); n > maxParamSets {
			t.Fatalf("%d parameter sets", n)
		}
		// Whatever stands in there, the client sees one media.
		var s sdp.SessionDescription
		if s.Unmarshal(d.minimal(track)) != nil {
			return
		}
		if len(s.MediaDescriptions) != 1 {
			t.Fatalf("%d media in %q", len(s.MediaDescriptions), d.minimal(track))
		}
	})
}
