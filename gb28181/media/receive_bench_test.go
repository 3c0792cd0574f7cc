package media

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/bluenviron/gortsplib/v4"
	"github.com/bluenviron/gortsplib/v4/pkg/base"
	"github.com/bluenviron/gortsplib/v4/pkg/description"
	"github.com/bluenviron/gortsplib/v4/pkg/format"
	"github.com/bluenviron/gortsplib/v4/pkg/format/rtph264"
	"github.com/pion/rtp"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/gb28181/ps"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// The load: 200 streams of 2 Mbit/s, 25 pictures a second, a key frame each
// second.
const (
	benchStreams = 200
	benchGroups  = 8 // that send at different times
	benchBytes   = 2_000_000 / 8 / 25
	benchRun     = 4 * time.Second
	benchEnv     = "MEDIA_BENCH_SENDER"
)

// benchPicture returns a picture of the load, as NAL units.
func benchPicture(i int) [][]byte {
	slice := make([]byte, benchBytes)
	for k := range slice {
		slice[k] = byte(k*7+i) | 1 // no start code in it
	}
	if i%25 != 0 {
		slice[0], slice[1] = 0x41, 0x9a
		return [][]byte{slice}
	}
	slice[0], slice[1] = 0x65, 0x88
	return [][]byte{{0x67, 0x42, 0xc0, 0x1e, 0x95, 0xa0, 0x50, 0x7c, 0x84}, {0x68, 0xce, 0x3c, 0x80}, slice}
}

// BenchmarkReceive compares, in one run, the processor time of receiving and
// demultiplexing 200 streams of 2 Mbit/s by TCP with that of a gortsplib client
// for the same pictures by RTSP over TCP. The senders run in a process of their
// own. The figures are milliseconds of processor time per second.
func BenchmarkReceive(b *testing.B) {
	var ours, theirs time.Duration
	for b.Loop() {
		ours += benchGB(b)
		theirs += benchRTSP(b)
	}
	seconds := float64(b.N) * benchRun.Seconds()
	b.ReportMetric(float64(ours.Milliseconds())/seconds, "gb28181-ms/s")
	b.ReportMetric(float64(theirs.Milliseconds())/seconds, "rtsp-ms/s")
	b.ReportMetric(float64(ours)/float64(theirs), "ratio")
	b.ReportMetric(0, "ns/op")
}

// spawn starts this binary as a sender. What it says first goes to hear; stop
// ends it and waits.
func spawn(b *testing.B, args string) (said string, stop func()) {
	b.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), benchEnv+"="+args)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	require.NoError(b, err)
	in, err := cmd.StdinPipe()
	require.NoError(b, err)
	require.NoError(b, cmd.Start())
	line, err := bufio.NewReader(out).ReadString('\n')
	require.NoError(b, err)
	return line[:len(line)-1], func() {
		_ = in.Close() // it ends when its input does
		_ = cmd.Wait()
	}
}

// benchSender is the sender's process.
func benchSender(args string) error {
	if port, ok := strings.CutPrefix(args, "gb "); ok {
		n, err := strconv.Atoi(port)
		if err != nil {
			return err
		}
		fmt.Println("sending")
		sendGB(n)
		return nil
	}
	return sendRTSP(func(port string) { fmt.Println(port) })
}

// measure returns the processor time of a run, after a second to warm up, in
// which as many pictures must come as are sent.
func measure(b *testing.B, units *atomic.Uint64) time.Duration {
	b.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for units.Load() < benchStreams*25 && time.Now().Before(deadline) {
		<-time.After(10 * time.Millisecond)
	}
	used := func() time.Duration {
		var r syscall.Rusage
		require.NoError(b, syscall.Getrusage(syscall.RUSAGE_SELF, &r))
		return time.Duration(r.Utime.Nano() + r.Stime.Nano())
	}
	before, n := used(), units.Load()
	<-time.After(benchRun)
	after, got := used(), units.Load()-n
	want := float64(benchStreams * 25 * benchRun.Seconds())
	if float64(got) < 0.9*want {
		b.Logf("only %d of %.0f pictures came: the machine is too busy to compare", got, want)
	}
	return after - before
}

func benchGB(b *testing.B) time.Duration {
	r, err := Listen(Options{})
	require.NoError(b, err)
	var units atomic.Uint64
	for i := range benchStreams {
		s, err := r.Open(Expect{SSRC: uint32(i + 1), Transport: TCPPassive, Sink: counter{&units}})
		require.NoError(b, err)
		s.Answered(0, netip.AddrPort{})
	}
	_, stop := spawn(b, fmt.Sprintf("gb %d", r.Port()))
	used := measure(b, &units)
	r.Close() // the sender ends with its connections
	stop()
	return used
}

type counter struct{ units *atomic.Uint64 }

func (counter) Connected(string)          {}
func (c counter) Write(ingest.AccessUnit) { c.units.Add(1) }
func (counter) Lost(uint64)               {}

func benchRTSP(b *testing.B) time.Duration {
	port, stop := spawn(b, "rtsp")
	var units atomic.Uint64
	var all []*gortsplib.Client
	for i := range benchStreams {
		u, err := base.ParseURL(fmt.Sprintf("rtsp://127.0.0.1:%s/s%d", port, i%benchGroups))
		require.NoError(b, err)
		tcp := gortsplib.TransportTCP
		c := &gortsplib.Client{Scheme: u.Scheme, Host: u.Host, Transport: &tcp}
		require.NoError(b, c.Start2())
		d, _, err := c.Describe(u)
		require.NoError(b, err)
		var f *format.H264
		m := d.FindFormat(&f)
		_, err = c.Setup(d.BaseURL, m, 0, 0)
		require.NoError(b, err)
		dec, err := f.CreateDecoder()
		require.NoError(b, err)
		c.OnPacketRTP(m, f, func(p *rtp.Packet) {
			if _, err := dec.Decode(p); err == nil {
				units.Add(1)
			}
		})
		_, err = c.Play(nil)
		require.NoError(b, err)
		all = append(all, c)
	}
	used := measure(b, &units)
	for _, c := range all {
		c.Close()
	}
	stop()
	return used
}

// sendGB is the sender's half of benchGB: a connection per stream.
func sendGB(port int) {
	var wg sync.WaitGroup
	for g := range benchGroups {
		wg.Go(func() {
			var conns []net.Conn
			for range benchStreams / benchGroups {
				c, err := net.Dial("tcp", netip.AddrPortFrom(loopback, uint16(port)).String())
				if err != nil {
					return
				}
				conns = append(conns, c)
			}
			mux := ps.NewMuxer(ps.TypeH264)
			seq := uint16(0)
			pace(g, func(i int) bool {
				var annex []byte
				for _, n := range benchPicture(i % 25) {
					annex = append(append(annex, 0, 0, 0, 1), n...)
				}
				parts := chunks(mux.Frame(nil, annex, int64(i)*3600, i%25 == 0), 1400)
				for k, c := range conns {
					var out []byte
					for j, p := range parts {
						h := make([]byte, 14)
						binary.BigEndian.PutUint16(h, uint16(12+len(p)))
						h[2], h[3] = 0x80, 96
						if j == len(parts)-1 {
							h[3] |= 0x80
						}
						binary.BigEndian.PutUint16(h[4:], seq+uint16(j))
						binary.BigEndian.PutUint32(h[6:], uint32(i)*3600)
						binary.BigEndian.PutUint32(h[10:], uint32(g*len(conns)+k+1))
						out = append(append(out, h...), p...)
					}
					if _, err := c.Write(out); err != nil {
						return false
					}
				}
				seq += uint16(len(parts))
				return true
			})
		})
	}
	wg.Wait()
}

// pace calls send 25 times a second until it returns false; each group at a
// time of its own.
func pace(group int, send func(i int) bool) {
	next := time.Now().Add(time.Duration(group) * 40 * time.Millisecond / benchGroups)
	for i := 0; ; i++ {
		<-time.After(time.Until(next))
		if !send(i) {
			return
		}
		next = next.Add(40 * time.Millisecond)
	}
}

// rtspHandler serves the load by RTSP.
type rtspHandler struct {
	streams map[string]*gortsplib.ServerStream
}

func (h *rtspHandler) OnDescribe(c *gortsplib.ServerHandlerOnDescribeCtx) (*base.Response, *gortsplib.ServerStream, error) {
	return &base.Response{StatusCode: base.StatusOK}, h.streams[c.Path], nil
}

func (h *rtspHandler) OnSetup(c *gortsplib.ServerHandlerOnSetupCtx) (*base.Response, *gortsplib.ServerStream, error) {
	return &base.Response{StatusCode: base.StatusOK}, h.streams[c.Path], nil
}

func (h *rtspHandler) OnPlay(*gortsplib.ServerHandlerOnPlayCtx) (*base.Response, error) {
	return &base.Response{StatusCode: base.StatusOK}, nil
}

// sendRTSP is the sender's half of benchRTSP.
func sendRTSP(ready func(addr string)) error {
	h := &rtspHandler{streams: make(map[string]*gortsplib.ServerStream)}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		return err
	}
	s := &gortsplib.Server{Handler: h, RTSPAddress: addr, WriteQueueSize: 1024}
	if err := s.Start(); err != nil {
		return err
	}
	defer s.Close()
	f := &format.H264{PayloadTyp: 96, PacketizationMode: 1, SPS: benchPicture(0)[0], PPS: benchPicture(0)[1]}
	m := &description.Media{Type: description.MediaTypeVideo, Formats: []format.Format{f}}
	for g := range benchGroups {
		st := &gortsplib.ServerStream{Server: s, Desc: &description.Session{Medias: []*description.Media{m}}}
		if err := st.Initialize(); err != nil {
			return err
		}
		defer st.Close()
		h.streams["/s"+strconv.Itoa(g)] = st
	}
	_, port, err := net.SplitHostPort(addr)
	if err != nil {
		return err
	}
	ready(port)
	over := make(chan struct{})
	go func() { // ends with the process's input
		_, _ = io.Copy(io.Discard, os.Stdin)
		close(over)
	}()
	var wg sync.WaitGroup
	for g := range benchGroups {
		wg.Go(func() {
			enc := &rtph264.Encoder{PayloadType: 96, PacketizationMode: 1, PayloadMaxSize: 1400}
			if enc.Init() != nil {
				return
			}
			st := h.streams["/s"+strconv.Itoa(g)]
			pace(g, func(i int) bool {
				select {
				case <-over:
					return false
				default:
				}
				packets, err := enc.Encode(benchPicture(i % 25))
				if err != nil {
					return false
				}
				for _, p := range packets {
					p.Timestamp = uint32(i) * 3600
					if st.WritePacketRTP(m, p) != nil {
						return false
					}
				}
				return true
			})
		})
	}
	wg.Wait()
	return nil
}
