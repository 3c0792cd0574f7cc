package gb28181_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/csv"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/sharpeyes/sharpeyes/configs"
	"github.com/sharpeyes/sharpeyes/gb28181"
	"github.com/sharpeyes/sharpeyes/ingest"
)

const (
	loadPlatform = "36112700002000000001"
	loadDomain   = "3611270000"
	loadPrefix   = "361127000013" // of the devices' IDs
	loadPassword = "Kang-7-li"
	loadVariable = "SHARPEYES_GB28181_LOAD" // set: this process is the platform alone

	loadAny       = "127.0.0.1:0" // value of loadVariable: where the platform listens
	bareSocket    = "bare"        // value of loadVariable: the yardstick instead
	askRegistered = "registered"  // line on standard input: count the devices too
)

// loadStats is what the platform's process tells of itself.
type loadStats struct {
	CPU        time.Duration `json:"cpu"` // user and kernel, of the whole process
	RSS        int64         `json:"rss"` // bytes, now
	Peak       int64         `json:"peak"`
	Registered int           `json:"registered"`
}

// TestPlatformAlone is the platform's process of the benchmarks below: they
// start the test binary once more with it, so that CPU time and memory are the
// platform's only. It answers each line on its standard input with its figures,
// and ends with it.
func TestPlatformAlone(t *testing.T) {
	listen := os.Getenv(loadVariable)
	switch listen {
	case "":
		t.Skip("runs as the platform of BenchmarkSIPp only")
	case bareSocket:
		answerBarely(t)
		return
	}
	p, err := gb28181.New(gb28181.Options{Config: configs.GB28181{
		Listen: listen, ID: loadPlatform, Realm: loadDomain, Transport: configs.GB28181TCP, Unknown: configs.GB28181Wait,
		Media:   configs.GB28181Media{Listen: "127.0.0.1", Ports: "0"},
		Devices: []configs.GB28181Device{{Prefix: loadPrefix, Password: configs.SecretValue(loadPassword)}},
	}})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.Run(ctx) }()
	addr, err := p.Addr(ctx)
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("load:", addr)
	tellStats(t, func() (registered int) {
		for _, d := range p.Devices() {
			if d.Registered.Value == ingest.Yes {
				registered++
			}
		}
		return registered
	})
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// answerBarely is the yardstick: a socket, and a 200 at once for whatever comes. At
// few messages a second it costs more than the platform, which lets keepalives wait
// for each other.
func answerBarely(t *testing.T) {
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println("load:", socket.LocalAddr())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		in, out := make([]byte, 65535), make([]byte, 0, 65535)
		for {
			n, from, err := socket.ReadFromUDPAddrPort(in)
			if err != nil {
				return
			}
			_, headers, _ := bytes.Cut(in[:n], []byte("\r\n"))
			headers, _, _ = bytes.Cut(headers, []byte("User-Agent"))
			out = append(append(append(out[:0], "SIP/2.0 200 OK\r\n"...), headers...), "Content-Length: 0\r\n\r\n"...)
			if _, err := socket.WriteToUDPAddrPort(out, from); err != nil {
				return
			}
		}
	}()
	tellStats(t, func() int { return 0 })
	socket.Close()
	<-ended
}

// tellStats answers each line on standard input.
func tellStats(t *testing.T, registered func() int) {
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		s, err := ownStats()
		if err != nil {
			t.Fatal(err)
		}
		if lines.Text() == askRegistered {
			s.Registered = registered()
		}
		out, err := json.Marshal(s)
		if err != nil {
			t.Fatal(err)
		}
		fmt.Println("load:", string(out))
	}
}

func ownStats() (s loadStats, err error) {
	var u unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &u); err != nil {
		return s, err
	}
	s.CPU = time.Duration(u.Utime.Nano() + u.Stime.Nano())
	s.Peak = u.Maxrss * 1024
	statm, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return s, err
	}
	if _, err := fmt.Sscanf(string(statm), "%d %d", new(int64), &s.RSS); err != nil {
		return s, err
	}
	s.RSS *= int64(os.Getpagesize())
	return s, nil
}

// loaded is the platform's process as the benchmarks hold it.
type loaded struct {
	addr string
	ask  io.Writer
	told *bufio.Scanner
}

func startLoaded(b *testing.B, listen string) *loaded {
	b.Helper()
	self, err := os.Executable()
	if err != nil {
		b.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run=^TestPlatformAlone$", "-test.timeout=30m")
	cmd.Env = append(os.Environ(), loadVariable+"="+listen)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		in.Close()
		if err := cmd.Wait(); err != nil {
			b.Error("the platform's process: ", err)
		}
	})
	p := &loaded{ask: in, told: bufio.NewScanner(out)}
	p.addr = p.next(b)
	return p
}

// next returns the next line that the platform's process says for us.
func (p *loaded) next(b *testing.B) string {
	b.Helper()
	for p.told.Scan() {
		if line, ok := strings.CutPrefix(p.told.Text(), "load: "); ok {
			return line
		}
	}
	b.Fatal("the platform's process ended")
	return ""
}

func (p *loaded) stats(b *testing.B, question string) (s loadStats) {
	b.Helper()
	if _, err := io.WriteString(p.ask, question+"\n"); err != nil {
		b.Fatal(err)
	}
	if err := json.Unmarshal([]byte(p.next(b)), &s); err != nil {
		b.Fatal(err)
	}
	return s
}

// sippRun is one run of SIPp with what it counted.
type sippRun struct {
	scenario           string
	calls, rate, devs  int
	failed, retransmit int
	took               time.Duration
}

// run lets SIPp make the calls from one UDP socket, as devices behind one
// router do, and waits until each has ended.
func (r *sippRun) run(b *testing.B, addr string) {
	b.Helper()
	dir := b.TempDir()
	stats := filepath.Join(dir, "stats.csv")
	ctx, cancel := context.WithTimeout(b.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "sipp", addr, "-sf", filepath.Join("testdata", "sipp", r.scenario+".xml"), "-inf", deviceList(b, dir, r.devs),
		"-i", "127.0.0.1", "-m", strconv.Itoa(r.calls), "-r", strconv.Itoa(r.rate), "-l", strconv.Itoa(r.calls),
		"-trace_stat", "-stf", stats, "-fd", "1", "-nostdin", "-buff_size", "16777216")
	start := time.Now()
	out, err := cmd.CombinedOutput()
	r.took = time.Since(start)
	r.count(b, stats)
	if err != nil && r.failed == 0 {
		b.Fatalf("sipp: %v: %s", err, out)
	}
}

// deviceList writes SIPp's table of n devices and their credentials.
func deviceList(b *testing.B, dir string, n int) string {
	b.Helper()
	var list strings.Builder
	list.WriteString("SEQUENTIAL\n")
	for i := range n {
		id := fmt.Sprintf("%s%08d", loadPrefix, i+1)
		fmt.Fprintf(&list, "%s;[authentication username=%s password=%s];%s;%s\n", id, id, loadPassword, loadPlatform, loadDomain)
	}
	path := filepath.Join(dir, "devices.csv")
	if err := os.WriteFile(path, []byte(list.String()), 0o600); err != nil {
		b.Fatal(err)
	}
	return path
}

// count reads the last line of SIPp's statistics.
func (r *sippRun) count(b *testing.B, path string) {
	b.Helper()
	f, err := os.Open(path)
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	table := csv.NewReader(f)
	table.Comma, table.FieldsPerRecord = ';', -1
	rows, err := table.ReadAll()
	if err != nil || len(rows) < 2 {
		b.Fatalf("SIPp's statistics: %d lines, %v", len(rows), err)
	}
	last := map[string]int{}
	for i, name := range rows[0] {
		last[name], _ = strconv.Atoi(rows[len(rows)-1][i]) // times are no numbers
	}
	r.failed, r.retransmit = last["FailedCall(C)"], last["Retransmissions(C)"]
	if done := last["SuccessfulCall(C)"]; done+r.failed != r.calls {
		b.Fatalf("SIPp made %d of %d calls", done+r.failed, r.calls)
	}
}

// BenchmarkSIPp loads the platform with SIPp, a program that nobody here wrote
// (make bench-gb28181). One iteration is one whole run.
func BenchmarkSIPp(b *testing.B) {
	if _, err := exec.LookPath("sipp"); err != nil {
		b.Skip("NOT MEASURED: sipp is not installed (Debian: sip-tester)")
	}
	for _, rate := range []int{1000, 2000, 3000, 4000} {
		b.Run(fmt.Sprintf("register/%d per second for 10 s", rate), func(b *testing.B) {
			for b.Loop() {
				p := startLoaded(b, loadAny)
				p.load(b, &sippRun{scenario: "register", calls: 10 * rate, rate: rate, devs: 10_000})
			}
		})
	}
	b.Run("register/10000 at once", func(b *testing.B) {
		for b.Loop() {
			p := startLoaded(b, loadAny)
			p.load(b, &sippRun{scenario: "register", calls: 10_000, rate: 10_000, devs: 10_000})
			if n := p.stats(b, askRegistered).Registered; n != 10_000 {
				b.Errorf("%d devices are registered", n)
			}
		}
	})
	for _, k := range []struct {
		name        string
		calls, rate int
	}{{"10000 devices each 60 s", 10_000, 167}, {"2000 per second for 10 s", 20_000, 2000}} {
		b.Run("keepalive/"+k.name, func(b *testing.B) {
			for b.Loop() {
				p := startLoaded(b, loadAny)
				(&sippRun{scenario: "register", calls: 10_000, rate: 1000, devs: 10_000}).run(b, p.addr)
				p.load(b, &sippRun{scenario: "keepalive", calls: k.calls, rate: k.rate, devs: 10_000})
			}
		})
		b.Run("yardstick bare socket/"+k.name, func(b *testing.B) {
			for b.Loop() {
				startLoaded(b, bareSocket).load(b, &sippRun{scenario: "keepalive", calls: k.calls, rate: k.rate, devs: 10_000})
			}
		})
	}
}

// load runs r and reports what it cost the platform.
func (p *loaded) load(b *testing.B, r *sippRun) {
	b.Helper()
	before := p.stats(b, "")
	r.run(b, p.addr)
	after := p.stats(b, "")
	cpu := after.CPU - before.CPU
	b.ReportMetric(0, "ns/op")
	b.ReportMetric(float64(r.calls)/r.took.Seconds(), "calls/s")
	b.ReportMetric(float64(r.failed), "failed")
	b.ReportMetric(float64(r.retransmit), "resent")
	b.ReportMetric(float64(cpu.Microseconds())/float64(r.calls), "cpu-µs/call")
	b.ReportMetric(100*cpu.Seconds()/r.took.Seconds(), "%core")
	b.ReportMetric(float64(after.RSS)/(1<<20), "MiB")
	b.ReportMetric(float64(after.Peak)/(1<<20), "MiB-peak")
}
