package gb28181

import (
	"net/netip"

	"github.com/sharpeyes/sharpeyes/gb28181/manscdp"
	"github.com/sharpeyes/sharpeyes/gb28181/media"
)

// The payload types of GB/T 28181 annex C.2 that are understood. What comes is
// told by its bytes; devices look here for what they may send.
var payloads = []manscdp.RTPMap{{Type: 96, Encoding: "PS", Clock: 90000}, {Type: 98, Encoding: "H264", Clock: 90000}, {Type: 100, Encoding: "H265", Clock: 90000}}

// offer writes the SDP of an INVITE (GB/T 28181 annex G), with media to address
// at.
func (c *call) offer(at netip.Addr) []byte {
	m := manscdp.Media{Kind: "video", Port: int(c.stream.Port()), Payloads: payloads, Direction: "recvonly", NewConnection: true}
	switch c.transport {
	case media.TCPPassive:
		m.TCP, m.Setup = true, manscdp.SetupPassive
	case media.TCPActive:
		m.TCP, m.Setup = true, manscdp.SetupActive
	}
	s := manscdp.SDP{Owner: c.p.id, Origin: at, Session: c.kind.session(), Addr: at, SSRC: c.ssrc}
	switch c.kind {
	case live:
		if c.substream > 0 { // the main stream is what a device sends when it is not asked
			m.Attributes = []manscdp.Attribute{c.p.streamAttribute(c.dev, c.substream)}
		}
	default:
		s.URI = c.channel + ":0"
		s.Start, s.Stop = c.from.Unix(), c.to.Unix()
		if c.kind == download {
			m.DownloadSpeed = max(c.speed, 1)
		}
	}
	s.Media = []manscdp.Media{m}
	return s.Marshal()
}
