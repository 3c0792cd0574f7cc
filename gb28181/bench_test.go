package gb28181

import (
	"fmt"
	"net"
	"runtime"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/configs"
)

// crowdID is the n-th device of a crowd.
func crowdID(n int) string { return fmt.Sprintf("34020000001320%06d", n) }

// crowdConfig lets a crowd in by one prefix.
func crowdConfig() configs.GB28181 {
	return configs.GB28181{
		Listen: "127.0.0.1:0", ID: serverID,
		Devices: []configs.GB28181Device{{Prefix: "34020000001320", Password: configs.SecretValue(secret)}},
	}
}

// crowd registers n devices over one socket, as SIPp does, and reports how many
// were refused.
func crowd(t testing.TB, d *peer, from, n int) (refused int) {
	t.Helper()
	for i := from; i < from+n; i++ {
		one := &peer{t: t, conn: d.conn, in: d.in, id: crowdID(i), pass: secret}
		if status(one.register("c"+one.id, 3600)) != 200 {
			refused++
		}
	}
	return refused
}

// cpuTime is user and system time of this process.
func cpuTime() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkKeepalive measures what one keepalive costs: the platform and the far
// end in one process, and the far end alone against a socket that only echoes, so
// that the difference is the platform's, kernel included.
func BenchmarkKeepalive(b *testing.B) {
	p := start(b, Options{Config: crowdConfig()})
	d := dial(b, p, "udp", "127.0.0.1", crowdID(0), secret)
	require.Zero(b, crowd(b, d, 0, 1))
	echo, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(b, err)
	defer echo.Close()
	go func() {
		buf := make([]byte, 65536)
		for {
			n, from, err := echo.ReadFrom(buf)
			if err != nil {
				return
			}
			_, _ = echo.WriteTo(buf[:min(n, 400)], from)
		}
	}()
	mirror, err := net.Dial("udp", echo.LocalAddr().String())
	require.NoError(b, err)
	defer mirror.Close()
	messages := make([]string, b.N)
	for i := range messages {
		messages[i] = d.keepalive()
	}
	exchange := func(c net.Conn) time.Duration {
		buf := make([]byte, 65536)
		began := cpuTime()
		for _, m := range messages {
			if _, err := c.Write([]byte(m)); err != nil {
				b.Fatal(err)
			}
			if _, err := c.Read(buf); err != nil {
				b.Fatal(err)
			}
		}
		return cpuTime() - began
	}
	b.ReportAllocs()
	b.ResetTimer()
	with := exchange(d.conn)
	b.StopTimer()
	without := exchange(mirror)
	b.ReportMetric(float64(with.Microseconds())/float64(b.N), "cpu-both-µs/op")
	b.ReportMetric(float64((with-without).Microseconds())/float64(b.N), "cpu-over-echo-µs/op")
}

// BenchmarkRegister10000 registers ten thousand devices as fast as it goes, from
// 16 sockets, each device with its challenge, and reports rate and memory.
func BenchmarkRegister10000(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		p, err := New(Options{Config: crowdConfig()})
		require.NoError(b, err)
		stop := run(b, p)
		const n, sockets = 10000, 16
		peers := make([]*peer, sockets)
		for i := range peers {
			peers[i] = dial(b, p, "udp", "127.0.0.1", "", secret)
		}
		runtime.GC()
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		cpu := cpuTime()
		b.StartTimer()
		began := time.Now()
		var refused atomic.Int64
		var all sync.WaitGroup
		for i, d := range peers {
			all.Go(func() { refused.Add(int64(crowd(b, d, i*n/sockets, n/sockets))) })
		}
		all.Wait()
		took := time.Since(began)
		b.StopTimer()
		runtime.ReadMemStats(&after)
		require.Zero(b, refused.Load())
		require.Len(b, p.allDevices(), n)
		b.ReportMetric(n/took.Seconds(), "registrations/s")
		b.ReportMetric(float64((cpuTime()-cpu).Microseconds())/n, "cpu-both-µs/registration")
		b.ReportMetric(float64(after.Sys)/1e6, "MB-from-OS")
		b.ReportMetric(float64(after.HeapInuse)/1e6, "MB-heap")
		stop()
		b.StartTimer()
	}
}

// BenchmarkLook and BenchmarkParse show where the time of a message goes.
func BenchmarkLook(b *testing.B) {
	msg := []byte(sampleKeepalive)
	b.ReportAllocs()
	for b.Loop() {
		fixed, _ := repair(msg)
		look(fixed)
	}
}

func BenchmarkParse(b *testing.B) {
	parser := newParser()
	msg := []byte(sampleKeepalive)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := parseMessage(parser, msg); err != nil {
			b.Fatal(err)
		}
	}
}

const sampleKeepalive = "MESSAGE sip:34020000002000000001@3402000000 SIP/2.0\r\nVia: SIP/2.0/UDP 10.1.2.3:5060;rport;branch=z9hG4bK77\r\n" +
	"From: <sip:34020000001320000001@3402000000>;tag=t1\r\nTo: <sip:34020000002000000001@3402000000>\r\nCall-ID: k1\r\nCSeq: 20 MESSAGE\r\n" +
	"Content-Type: Application/MANSCDP+xml\r\nMax-Forwards: 70\r\nUser-Agent: IP Camera\r\nContent-Length: 150\r\n\r\n" +
	"<?xml version=\"1.0\" encoding=\"GB2312\"?>\r\n<Notify>\r\n<CmdType>Keepalive</CmdType>\r\n<SN>1</SN>\r\n<DeviceID>34020000001320000001</DeviceID>\r\n<Status>OK</Status>\r\n</Notify>\r\n"
