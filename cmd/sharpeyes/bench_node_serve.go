package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"

	"github.com/sharpeyes/sharpeyes/ingest"
	"github.com/sharpeyes/sharpeyes/ingest/rtsp"
)

// The two processes that `bench node` starts talk JSON lines with it, orders on
// standard input and answers on standard output.

// serveOrder is what the cameras are to do.
type serveOrder struct {
	Cameras  int     `json:"cameras"`
	Activity float64 `json:"activity"` // share of time in which something moves, 0..1
}

// serveLine is what the cameras say: where they are, once, then each event that
// begins.
type serveLine struct {
	Base   string    `json:"base,omitempty"`
	Ready  int       `json:"ready,omitempty"` // so many cameras are there now
	Camera int       `json:"camera,omitempty"`
	Event  time.Time `json:"event,omitzero"`
}

func newBenchNodeServe() *cobra.Command {
	var scripted bool
	cmd := &cobra.Command{
		Use: "node-serve FILE", Hidden: true, Args: cobra.ExactArgs(1),
		Short: "the cameras of bench node, in a process of their own",
		RunE: func(cmd *cobra.Command, args []string) error {
			clip, err := readGOPs(cmd.Context(), args[0], scripted)
			if err != nil {
				return err
			}
			s := &nodeServer{clip: clip, out: json.NewEncoder(cmd.OutOrStdout())}
			return s.run(cmd.InOrStdin())
		},
	}
	cmd.Flags().BoolVar(&scripted, "scripted", false, "the file is a scene of bench node")
	return cmd
}

// nodeServer publishes cameras over RTSP.
type nodeServer struct {
	clip     *gops
	activity atomic.Uint64
	cameras  int

	mu  sync.Mutex // one line at a time
	out *json.Encoder
}

func (s *nodeServer) tell(l serveLine) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_ = s.out.Encode(l) // the parent is gone: standard input ends too
}

func (s *nodeServer) run(orders io.Reader) error {
	srv := rtsp.NewServer(rtsp.ServerOptions{Address: "127.0.0.1:0", Log: slog.New(slog.DiscardHandler)})
	if err := srv.Start(); err != nil {
		return err
	}
	defer srv.Close()
	s.tell(serveLine{Base: srv.URL("")})
	in := json.NewDecoder(orders)
	for {
		var o serveOrder
		if err := in.Decode(&o); err != nil {
			return endOfOrders(err)
		}
		s.activity.Store(math.Float64bits(o.Activity))
		for ; s.cameras < o.Cameras; s.cameras++ {
			i := s.cameras
			a := &actor{
				clip: s.clip, activity: &s.activity,
				phase: math.Mod(float64(i)*0.6180339887, 1), // any number of cameras stands evenly
				begin: func(at time.Time) { s.tell(serveLine{Camera: i, Event: at}) },
			}
			if err := srv.Publish(nodeCamera(i), func() (ingest.Source, error) { return a, nil }); err != nil {
				return err
			}
		}
		s.tell(serveLine{Ready: s.cameras})
	}
}

func endOfOrders(err error) error {
	if err == io.EOF {
		return nil
	}
	return err
}

// nodeCamera names camera i, in addresses and in the configuration.
func nodeCamera(i int) string { return "bench-" + strconv.Itoa(i) }

// partner is a process that bench node talks with.
type partner struct {
	orders io.WriteCloser
	lines  *bufio.Reader
	done   func() error
}

// startPartner starts this program with args on the given processors.
func startPartner(ctx context.Context, cpus []int, env []string, args ...string) (*partner, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	cmd := pinned(ctx, self, args)
	cmd.Env, cmd.Stderr = append(os.Environ(), env...), os.Stderr
	p := &partner{}
	if p.orders, err = cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	p.lines = bufio.NewReaderSize(out, 1<<20)
	if err := startOn(cpus, cmd); err != nil {
		return nil, fmt.Errorf("%s: %w", args[1], err)
	}
	p.done = cmd.Wait
	return p, nil
}

func (p *partner) order(o any) error { return json.NewEncoder(p.orders).Encode(o) }

func (p *partner) hear(to any) error {
	line, err := p.lines.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("the process ended early: %w", err)
	}
	return json.Unmarshal(line, to)
}
