package media

import (
	"net/netip"

	"github.com/pion/rtcp"
)

// ownSSRC is what reports are sent as. Any number does that is not a
// device's; domains of devices begin with a province, so that theirs are not
// this small.
const ownSSRC = 1

// report sends a receiver report (RFC 3550 §6.4.2) to where the device's RTCP
// should be, one above its RTP port.
func (s *Stream) report() {
	s.mu.Lock()
	to := s.sender
	send := s.udp && !s.ended && to.IsValid() && to.Port() < 65535
	rr := rtcp.ReceiverReport{SSRC: ownSSRC, Reports: []rtcp.ReceptionReport{{
		SSRC: s.st.SSRC, TotalLost: uint32(min(s.st.Lost, 1<<24-1)), LastSequenceNumber: uint32(s.order.next - 1),
	}}}
	s.mu.Unlock()
	if !send {
		return
	}
	b, err := rr.Marshal()
	if err != nil {
		return // cannot be: the loss is cut to its 24 bits
	}
	from := s.port.rtcp
	if from == nil {
		from = s.port.udp
	}
	// A courtesy: what does not arrive costs at most a device that asks for it.
	_, _ = from.WriteToUDPAddrPort(b, netip.AddrPortFrom(to.Addr(), to.Port()+1))
}
