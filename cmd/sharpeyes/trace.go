package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/spf13/cobra"

	"github.com/sharpeyes/sharpeyes/detect"
	"github.com/sharpeyes/sharpeyes/ingest"
	"github.com/sharpeyes/sharpeyes/ingest/replay"
	"github.com/sharpeyes/sharpeyes/ingest/rtsp"
)

func newCameraTrace() *cobra.Command {
	var f probeFlags
	cmd := &cobra.Command{
		Use:   "trace URL",
		Short: "记录每帧的时间、类型、大小和量化参数（CSV，不含图像） / record time, type, size and quantiser of each picture as CSV, no picture in it",
		Long: "Writes one line for each access unit: what the gate of the camera sees of its stream. " +
			"The file holds no picture and no address, and may go with a report of a problem.",
		Example: "  sharpeyes camera trace rtsp://192.0.2.7/stream1 --username admin --for 5m > trace.csv\n" +
			"  sharpeyes camera trace file:clip.h264 > trace.csv",
		Args: cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error { return traceCamera(cmd, args[0], f) },
	}
	f.connection(cmd)
	cmd.Flags().DurationVarP(&f.seconds, "for", "d", time.Minute, "how long to record")
	return cmd
}

// traceCamera records until the time is over, the file ends or the user stops it.
func traceCamera(cmd *cobra.Command, address string, f probeFlags) error {
	src, err := traceSource(cmd, address, f)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), f.seconds)
	defer cancel()
	out := bufio.NewWriter(cmd.OutOrStdout())
	t := &tracer{out: out}
	if _, err := io.WriteString(out, "received_s,pts_s,codec,type,key,recovery,reference,temporal_id,qp,slices,bytes,lost\n"); err != nil {
		return err
	}
	err = src.Run(ctx, t)
	if ferr := out.Flush(); t.err == nil {
		t.err = ferr
	}
	switch {
	case t.err != nil:
		return fmt.Errorf("trace: %w", t.err)
	case errors.Is(err, context.DeadlineExceeded), ingest.ReasonOf(err) == ingest.ReasonEnded:
		return nil
	}
	return err
}

// traceSource opens a file as fast as it can be read, or a camera.
func traceSource(cmd *cobra.Command, address string, f probeFlags) (ingest.Source, error) {
	if replay.IsFile(address) {
		return replay.Open("trace", address+"?loop=false&realtime=false")
	}
	cam, err := probeCamera(cmd, address, f)
	if err != nil {
		return nil, err
	}
	return rtsp.New(cam, slog.New(slog.DiscardHandler), nil)
}

// tracer writes a line for each unit it is given.
type tracer struct {
	out     io.Writer
	codec   ingest.Codec
	headers *detect.HeaderReader
	first   time.Time
	err     error
}

// Connected implements ingest.Sink.
func (t *tracer) Connected(string) {}

// Lost implements ingest.Sink.
func (t *tracer) Lost(uint64) {}

// Write implements ingest.Sink.
func (t *tracer) Write(au ingest.AccessUnit) {
	if t.codec != au.Codec {
		t.codec, t.headers = au.Codec, detect.NewHeaderReader(au.Codec)
	}
	if t.first.IsZero() {
		t.first = au.Received
	}
	h := t.headers.Read(au.NALUs)
	qp := ""
	if h.OK {
		qp = fmt.Sprint(h.QP)
	}
	_, err := fmt.Fprintf(t.out, "%.3f,%.3f,%s,%s,%d,%d,%d,%d,%s,%d,%d,%d\n", au.Received.Sub(t.first).Seconds(), au.PTS.Seconds(), au.Codec,
		h.Type, digit(h.Key), digit(h.Recovery), digit(h.Reference), h.TemporalID, qp, h.Slices, h.Bytes, digit(au.Lost))
	if t.err == nil {
		t.err = err
	}
}

func digit(b bool) int {
	if b {
		return 1
	}
	return 0
}
