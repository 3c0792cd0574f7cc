//go:build cgo

package main

import (
	"bufio"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/sharpeyes/sharpeyes/api"
	"github.com/sharpeyes/sharpeyes/api/stream"
	"github.com/sharpeyes/sharpeyes/detect/alert"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// loadEnv holds a loadSpec when the test binary is to play an edge.
const loadEnv = "SHARPEYES_CHAOS_LOAD"

// loadSpec is an edge that raises alerts by a clock instead of by cameras. What
// it raises goes the whole real way from the outbox on.
type loadSpec struct {
	Node    string  `json:"node"`
	Redis   string  `json:"redis"`
	Stream  string  `json:"stream"`
	Dir     string  `json:"dir"`     // of the outbox
	Journal string  `json:"journal"` // file: "i ID" before an alert is put, "p ID" once it is promised
	Cameras int     `json:"cameras"`
	Rate    float64 `json:"rate"` // alerts a second
	Picture int     `json:"picture"`
}

// load is the process behind a loadSpec. It obeys lines on its standard input:
// pause, resume, clock SECONDS, depth; and answers "depth N" and "paused".
type load struct {
	cfg     loadSpec
	outbox  *stream.Outbox
	journal *os.File
	raising sync.RWMutex // read by cameras that raise an alert
	paused  bool         // written under it
	shift   atomic.Int64 // seconds by which the clock of the cameras is wrong
	busy    sync.WaitGroup
	out     sync.Mutex
}

// playLoad runs until standard input ends.
func playLoad() int {
	var cfg loadSpec
	if err := json.Unmarshal([]byte(os.Getenv(loadEnv)), &cfg); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 2
	}
	if err := (&load{cfg: cfg}).run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func (l *load) run() (err error) {
	log := slog.New(slog.NewTextHandler(os.Stderr, nil))
	stream.RouteClientLog(log)
	if l.outbox, err = stream.OpenOutbox(l.cfg.Dir, stream.OutboxOptions{Node: l.cfg.Node, MaxBytes: 64 << 20, Log: log}); err != nil {
		return err
	}
	if l.journal, err = os.OpenFile(l.cfg.Journal, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600); err != nil {
		return err
	}
	client := stream.NewClient(stream.ClientOptions{Addresses: []string{l.cfg.Redis}})
	producer := stream.NewProducer(stream.ProducerOptions{Outbox: l.outbox, Redis: client, Stream: l.cfg.Stream, Log: log, CheckEvery: time.Second, MaxWait: time.Second})
	ctx, cancel := context.WithCancel(context.Background())
	var parts sync.WaitGroup
	parts.Go(func() {
		if err := producer.Run(ctx); err != nil && !errors.Is(err, context.Canceled) {
			log.Error("producer", "err", err)
		}
	})
	for camera := range l.cfg.Cameras {
		parts.Go(func() { l.raise(ctx, camera) })
	}
	l.obey(os.Stdin)
	cancel()
	parts.Wait()
	return errors.Join(client.Close(), l.outbox.Close(), l.journal.Close())
}

func (l *load) say(format string, args ...any) {
	l.out.Lock()
	defer l.out.Unlock()
	fmt.Printf(format+"\n", args...)
}

// pause stops the cameras or lets them go on; what they began is in the outbox then.
func (l *load) pause(on bool) {
	l.raising.Lock()
	defer l.raising.Unlock()
	l.paused = on
}

func (l *load) obey(in io.Reader) {
	lines := bufio.NewScanner(in)
	for lines.Scan() {
		word, arg, _ := strings.Cut(lines.Text(), " ")
		switch word {
		case "pause":
			l.pause(true)
			l.say("paused")
		case "resume":
			l.pause(false)
		case "clock":
			n, _ := strconv.ParseInt(arg, 10, 64) // our own parent writes it
			l.shift.Store(n)
		case "depth":
			l.say("depth %d", l.outbox.Depth())
		}
	}
}

// raise opens, updates and closes one alert after the other for a camera.
func (l *load) raise(ctx context.Context, camera int) {
	every := time.Duration(float64(time.Second) * float64(l.cfg.Cameras) / l.cfg.Rate)
	tick := time.NewTicker(every)
	defer tick.Stop()
	id := ingest.CameraID(fmt.Sprintf("%s-c%d", l.cfg.Node, camera))
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		l.raising.RLock()
		if !l.paused {
			l.incident(id)
		}
		l.raising.RUnlock()
	}
}

// incident is promised once all its phases are durable.
func (l *load) incident(camera ingest.CameraID) {
	now := time.Now().Add(time.Duration(l.shift.Load()) * time.Second)
	a := alert.Alert{
		ID: alert.NewID(camera, "load", "z", now), Camera: camera, Rule: "load", Kind: alert.ZoneEntry, Zone: "z", Level: 3,
		Phase: alert.Opened, Start: now, Last: now, Received: now,
	}
	fmt.Fprintf(l.journal, "i %s\n", a.ID)
	a.Picture = l.picture(a.ID, now)
	for _, phase := range []alert.Phase{alert.Opened, alert.Updated, alert.Closed} {
		a.Phase = phase
		if phase == alert.Closed {
			a.End = &now
		}
		if _, err := l.outbox.Put(api.Envelope{Alert: &a}); err != nil {
			return // a full disk: not promised
		}
		a.Picture = nil
	}
	fmt.Fprintf(l.journal, "p %s\n", a.ID)
}

// picture has the first bytes of a JPEG; the rest is of its alert alone.
func (l *load) picture(id string, at time.Time) *alert.Picture {
	b := make([]byte, l.cfg.Picture)
	copy(b, "\xff\xd8\xff")
	copy(b[3:], id)
	sum := sha256.Sum256(b)
	return &alert.Picture{SHA256: hex.EncodeToString(sum[:]), At: at, Width: 640, Height: 360, Bytes: len(b), Blurred: true, JPEG: b}
}

// pictureOwner returns the alert of which a picture is, if a load made it.
func pictureOwner(b []byte) string {
	if len(b) < 3+32 {
		return ""
	}
	return string(b[3 : 3+32])
}

// readJournal returns what was begun and what was promised, over all lives.
func readJournal(path string) (begun, promised map[string]bool, err error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, nil, err
	}
	begun, promised = map[string]bool{}, map[string]bool{}
	for line := range strings.Lines(string(b)) {
		word, id, _ := strings.Cut(strings.TrimSuffix(line, "\n"), " ")
		if len(id) != 32 {
			continue // the last line of a life that was killed
		}
		begun[id] = true
		if word == "p" {
			promised[id] = true
		}
	}
	return begun, promised, nil
}

// loader is a load process as its parent sees it.
type loader struct {
	p       *proc
	journal string
	answers chan string
	stdin   io.WriteCloser
	cfg     loadSpec
	log     string
}

// startLoad starts it, again in the same folder if it was killed.
func startLoad(cfg loadSpec, dir string) (*loader, error) {
	cfg.Dir, cfg.Journal = filepath.Join(dir, "outbox"), filepath.Join(filepath.Dir(dir), filepath.Base(dir)+".journal")
	text, err := json.Marshal(cfg)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	l := &loader{journal: cfg.Journal, cfg: cfg, answers: make(chan string, 16), log: cfg.Journal + ".log"}
	p, stdin, stdout, err := startPiped(l.log, []string{loadEnv + "=" + string(text)}, self)
	if err != nil {
		return nil, err
	}
	l.p, l.stdin = p, stdin
	go func() {
		lines := bufio.NewScanner(stdout)
		for lines.Scan() {
			l.answers <- lines.Text()
		}
		close(l.answers)
	}()
	return l, nil
}

// tell gives an order; ask waits for the answer too.
func (l *loader) tell(order string) { _, _ = fmt.Fprintln(l.stdin, order) } // a dead one is noticed by ask

func (l *loader) ask(order string) (string, error) {
	l.tell(order)
	select {
	case a, ok := <-l.answers:
		if ok {
			return a, nil
		}
		return "", fmt.Errorf("%s is gone; see %s", l.cfg.Node, l.log)
	case <-time.After(20 * time.Second):
		return "", fmt.Errorf("%s does not answer", l.cfg.Node)
	}
}

func (l *loader) depth() (int, error) {
	a, err := l.ask("depth")
	if err != nil {
		return 0, err
	}
	return strconv.Atoi(strings.TrimPrefix(a, "depth "))
}

func (l *loader) kill() error { return l.p.end(syscall.SIGKILL) }

func (l *loader) stop() error {
	return errors.Join(l.stdin.Close(), l.p.wait(20*time.Second))
}
