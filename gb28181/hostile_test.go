package gb28181

import (
	"crypto/rand"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// torture returns the messages of RFC 4475 that come with the SIP library.
func torture(t *testing.T) map[string][]byte {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/emiago/sipgo").Output()
	require.NoError(t, err)
	root := filepath.Join(strings.TrimSpace(string(out)), "sip", "testdata", "torture")
	messages := make(map[string][]byte)
	require.NoError(t, filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		messages[filepath.Base(filepath.Dir(path))+"/"+d.Name()], err = os.ReadFile(path)
		return err
	}))
	require.Greater(t, len(messages), 40)
	return messages
}

// TestTorture sends the messages of RFC 4475 by UDP and by TCP: nothing breaks,
// and a device among them is served.
func TestTorture(t *testing.T) {
	messages := torture(t)
	for _, network := range []string{"udp", "tcp"} {
		t.Run(network, func(t *testing.T) {
			p := start(t, Options{})
			d := dial(t, p, "udp", "127.0.0.1", cameraID, secret).mustRegister()
			for name, m := range messages {
				bad := dial(t, p, network, "127.0.0.6", "", "")
				bad.send(string(m))
				require.Equal(t, 200, status(d.ask(d.keepalive())), name)
				require.NoError(t, bad.conn.Close())
			}
			require.Len(t, p.allDevices(), 1, "nobody was let in")
			require.Equal(t, ingest.Yes, stateOf(p, cameraID).Registered.Value)
		})
	}
}

// TestTortureAnswers holds what RFC 4475 asks of a server for some of them, when
// they come from a device.
func TestTortureAnswers(t *testing.T) {
	messages := torture(t)
	p := start(t, Options{})
	for name, want := range map[string]int{
		"valid/intmeth.dat":      405, // §3.1.1.2: a method nobody knows
		"invalid/ncl.dat":        400, // §3.1.2.4: negative Content-Length
		"invalid/mcl01.dat":      400, // §3.3.9: two lengths that differ
		"invalid/mismatch01.dat": 400, // §3.1.2.17: CSeq names another method
		"invalid/scalar02.dat":   400, // §3.1.2.5: numbers that do not fit
		"invalid/insuf.dat":      0,   // §3.3.1: Call-ID, From and To are missing: no answer can be written
	} {
		t.Run(name, func(t *testing.T) {
			d := dial(t, p, "udp", "127.0.0.1", cameraID, secret)
			d.send(string(messages[name]))
			if want == 0 {
				require.Empty(t, d.receive(200*time.Millisecond))
				return
			}
			require.Equal(t, want, status(d.get()))
		})
	}
}

func TestHugeBodies(t *testing.T) {
	p := start(t, Options{})
	d := dial(t, p, "udp", "127.0.0.1", cameraID, secret).mustRegister()
	t.Run("ten megabytes of a stranger", func(t *testing.T) {
		s := dial(t, p, "tcp", "127.0.0.1", cameraID, "")
		head := fmt.Sprintf("MESSAGE sip:1@2 SIP/2.0\r\nContent-Type: x\r\nContent-Length: %d\r\n\r\n", 10<<20)
		s.send(head + strings.Repeat("x", 1000))
		_, err := s.in.ReadByte()
		require.Error(t, err, "the connection is closed at the announcement")
	})
	t.Run("ten megabytes of a device", func(t *testing.T) {
		s := dial(t, p, "tcp", "127.0.0.1", "34020000001320000002", secret).mustRegister()
		_, err := s.conn.Write([]byte(fmt.Sprintf("MESSAGE sip:1@2 SIP/2.0\r\nContent-Type: x\r\nContent-Length: %d\r\n\r\n", 10<<20)))
		require.NoError(t, err)
		_, err = s.in.ReadByte()
		require.Error(t, err)
	})
	t.Run("endless headers", func(t *testing.T) {
		s := dial(t, p, "tcp", "127.0.0.1", cameraID, "")
		_, _ = s.conn.Write([]byte("MESSAGE sip:1@2 SIP/2.0\r\n" + strings.Repeat("X-Header: value\r\n", 4096)))
		_, err := s.in.ReadByte()
		require.Error(t, err)
	})
	t.Run("a bomb of entities", func(t *testing.T) {
		bomb := `<?xml version="1.0"?><!DOCTYPE n [<!ENTITY a "aaaaaaaaaa">` + strings.Repeat(`<!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;">`, 50) + `]><Notify><CmdType>Alarm</CmdType><SN>1</SN><DeviceID>&b;</DeviceID></Notify>`
		require.Equal(t, 200, status(d.ask(d.message(bomb))))
	})
	require.Equal(t, 200, status(d.ask(d.keepalive())))
	require.Eventually(t, func() bool { return p.wire.large.Load() == 0 && p.inbox.bytes.Load() == 0 }, patience, time.Millisecond)
}

// TestRegisterFlood floods with unknown IDs, invented IDs of a known prefix and
// garbage, and holds memory and the service of a device meanwhile.
func TestRegisterFlood(t *testing.T) {
	p := start(t, Options{})
	d := dial(t, p, "udp", "127.0.0.1", cameraID, secret).mustRegister()
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	addr, err := p.Addr(t.Context())
	require.NoError(t, err)
	junk := make([]byte, 900)
	_, _ = rand.Read(junk)
	for i := range 30000 {
		c, err := net.DialUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, byte(i>>8), byte(1+i%250))}, net.UDPAddrFromAddrPort(addr))
		require.NoError(t, err)
		f := &peer{t: t, conn: c, id: fmt.Sprintf("99%018d", i)}
		switch i % 3 {
		case 1:
			f.id = fmt.Sprintf("34020000001320%06d", 100+i)
		case 2:
			_, _ = c.Write(junk)
		}
		_, _ = c.Write([]byte(f.request("REGISTER", fmt.Sprint(i), 1, "", "")))
		_ = c.Close()
		if i%1000 == 0 {
			require.Equal(t, 200, status(d.insist(d.keepalive())), "a device among the flood")
		}
	}
	require.Equal(t, 200, status(d.insist(d.keepalive())))
	require.Len(t, p.allDevices(), 1, "nobody without a password is a device")
	require.LessOrEqual(t, p.waiting.len(), maxWaiting)
	require.Greater(t, testutil.ToFloat64(p.met.dropped.WithLabelValues("stranger")), 1000.0, "most of it costs a glance")
	require.Less(t, int64(heap())-int64(before), int64(32<<20))
}

func TestDripsOfStrangersEnd(t *testing.T) {
	f := framer{}
	f.write([]byte("MESSAGE"))
	s := &stream{}
	opened := time.Now()
	require.WithinDuration(t, opened.Add(quietTimeout), deadline(&f, s, opened), time.Second)
	require.Equal(t, opened.Add(greetTimeout), deadline(&framer{}, s, opened), "whoever says nothing is not kept")
	s.trusted.Store(true)
	s.enter()
	require.WithinDuration(t, opened.Add(streamIdle), deadline(&framer{}, s, opened), time.Second)
}
