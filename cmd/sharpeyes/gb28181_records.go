package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"sync"
	"time"

	"github.com/spf13/cobra"

	"github.com/sharpeyes/sharpeyes/api/audit"
	"github.com/sharpeyes/sharpeyes/gb28181"
)

// deviceZone is the zone of every time that a device says or takes (GB/T 28181).
var deviceZone = time.FixedZone("CST", 8*3600)

// parseDeviceTime reads a time of the device's clock.
func parseDeviceTime(text string) (time.Time, error) {
	for _, form := range []string{time.DateTime, "2006-01-02T15:04:05", "2006-01-02 15:04", time.RFC3339} {
		if t, err := time.ParseInLocation(form, text, deviceZone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is not a time: write \"2026-05-01 08:00:00\", the device's (Beijing) time", text)
}

// spanFlags are the times of a record.
type spanFlags struct{ from, to string }

func (s *spanFlags) add(cmd *cobra.Command) {
	cmd.Flags().StringVar(&s.from, "from", "", `开始时间 / "2026-05-01 08:00:00", the device's time (required)`)
	cmd.Flags().StringVar(&s.to, "to", "", "结束时间 / end, as --from (required)")
	_ = cmd.MarkFlagRequired("from") // the flags are there
	_ = cmd.MarkFlagRequired("to")
}

func (s *spanFlags) query() (url.Values, error) {
	from, errFrom := parseDeviceTime(s.from)
	to, errTo := parseDeviceTime(s.to)
	if err := errors.Join(errFrom, errTo); err != nil {
		return nil, err
	}
	return url.Values{"from": {from.Format(time.RFC3339)}, "to": {to.Format(time.RFC3339)}}, nil
}

// span reads a request for a channel's records. Records of a camera that may not
// be connected are asked for by nobody, and those of a channel that is no camera
// have no legal basis.
func (e *edge) span(r *http.Request) (gb28181.Span, error) {
	s := gb28181.Span{Device: r.PathValue("device"), Channel: r.PathValue("channel")}
	from, errFrom := time.Parse(time.RFC3339, r.FormValue("from"))
	to, errTo := time.Parse(time.RFC3339, r.FormValue("to"))
	if err := errors.Join(errFrom, errTo); err != nil {
		return s, err
	}
	s.From, s.To = from.In(deviceZone), to.In(deviceZone)
	cam, ok := e.devices.find(s.Device, s.Channel)
	switch {
	case !ok:
		return s, fmt.Errorf("channel %s is no camera of the configuration: without a legal basis (legal_basis) nobody looks at its records", s.Channel)
	case !cam.connects:
		return s, fmt.Errorf("camera %s is disabled or no public place (A33): it is never connected", cam.id)
	}
	return s, nil
}

func (e *edge) localRecords(w http.ResponseWriter, r *http.Request) {
	span, err := e.span(r)
	if err != nil {
		refuseLocal(w, http.StatusBadRequest, err)
		return
	}
	records, err := e.devices.Records(r.Context(), span)
	if err != nil {
		refuseLocal(w, http.StatusBadGateway, err)
		return
	}
	answerLocal(w, records)
}

// The parts of a download on its way to the command: a byte that says what it
// is, four bytes of length, and so much.
const (
	partData     = 'd'
	partProgress = 'p' // gb28181.Download as JSON
	partEnd      = 'e' // the same, at the end
	partError    = 'x' // text
)

// parts writes a download in parts. Data may come from another goroutine than
// the progress, and none may come after the end: the answer is over then.
type parts struct {
	mu   sync.Mutex
	over bool
	w    http.ResponseWriter
}

func (p *parts) write(kind byte, b []byte) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.over {
		return http.ErrHandlerTimeout
	}
	p.over = kind == partEnd || kind == partError
	head := binary.BigEndian.AppendUint32([]byte{kind}, uint32(len(b)))
	if _, err := p.w.Write(append(head, b...)); err != nil {
		return err
	}
	if kind != partData {
		return http.NewResponseController(p.w).Flush()
	}
	return nil
}

// tell writes how far it is; a command that went away is noticed by the data.
func (p *parts) tell(kind byte, d gb28181.Download) {
	if b, err := json.Marshal(d); err == nil {
		_ = p.write(kind, b)
	}
}

// Write implements io.Writer.
func (p *parts) Write(b []byte) (int, error) {
	if err := p.write(partData, b); err != nil {
		return 0, err
	}
	return len(b), nil
}

// downloadRequest is what `gb28181 download` sends.
type downloadRequest struct {
	person
	Speed int `json:"speed"`
}

func (e *edge) localDownload(w http.ResponseWriter, r *http.Request) {
	span, err := e.span(r)
	var ask downloadRequest
	if err == nil {
		err = json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&ask)
	}
	if err != nil {
		refuseLocal(w, http.StatusBadRequest, err)
		return
	}
	op := ask.operation(string(audit.ActionDownload), span.Device, span.Channel,
		fmt.Sprintf("download %s - %s", span.From.Format(time.DateTime), span.To.Format(time.DateTime)))
	op.Camera, op.From, op.To = e.devices.camera(span.Device, span.Channel), span.From, span.To
	out := &parts{w: w}
	var done gb28181.Download
	err = e.operate(op, func() (err error) {
		done, err = e.devices.Download(r.Context(), span, out, gb28181.DownloadOptions{Speed: ask.Speed, Progress: func(d gb28181.Download) { out.tell(partProgress, d) }})
		return err
	})
	if err != nil {
		_ = out.write(partError, []byte(err.Error())) // the command may have gone away
		return
	}
	out.tell(partEnd, done)
}

func newGB28181Records() *cobra.Command {
	var f localFlags
	var s spanFlags
	cmd := &cobra.Command{
		Use:   "records DEVICE CHANNEL --from TIME --to TIME",
		Short: "设备上的录像列表 / what the device has recorded",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			query, err := s.query()
			if err != nil {
				return err
			}
			var a gb28181.Records
			if done, err := f.get(cmd, http.MethodGet, channelPath(args, "records"), query, nil, &a); done || err != nil {
				return err
			}
			for _, r := range a.Records {
				fmt.Fprintf(cmd.OutOrStdout(), "%s  %s  %-8s %12d  %s\n", r.StartTime.In(deviceZone).Format(time.DateTime), r.EndTime.In(deviceZone).Format(time.DateTime), r.Type, r.FileSize, r.Name)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "%d 段 / records", len(a.Records))
			if !a.Complete {
				fmt.Fprintf(cmd.OutOrStdout(), "，不完整，设备称有 %d 段 / incomplete, the device announced %d", a.Sum, a.Sum)
			}
			fmt.Fprintln(cmd.OutOrStdout())
			return nil
		},
	}
	f.add(cmd)
	s.add(cmd)
	return cmd
}

func channelPath(args []string, what string) string {
	return "devices/" + url.PathEscape(args[0]) + "/channels/" + url.PathEscape(args[1]) + "/" + what
}

func newGB28181Download() *cobra.Command {
	var f localFlags
	var s spanFlags
	var who personFlags
	var out string
	var speed int
	cmd := &cobra.Command{
		Use:   "download DEVICE CHANNEL --from TIME --to TIME --unit UNIT --reason REASON",
		Short: "下载设备上的录像（写入调用登记） / fetch a record from the device (access register)",
		Args:  cobra.ExactArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			query, err := s.query()
			if err != nil {
				return err
			}
			p, err := who.who()
			if err != nil {
				return err
			}
			if out == "" {
				out = args[1] + "_" + query.Get("from")[:19]
			}
			res, err := f.call(cmd.Context(), http.MethodPost, channelPath(args, "download"), query, downloadRequest{person: p, Speed: speed})
			if err != nil {
				return err
			}
			defer res.Body.Close() //nolint:errcheck // read only
			return fetchRecord(cmd, res.Body, out)
		},
	}
	f.add(cmd)
	s.add(cmd)
	who.add(cmd, "")
	cmd.Flags().StringVarP(&out, "out", "o", "", "文件名，不含扩展名 / file name without its ending; default: channel and time")
	cmd.Flags().IntVar(&speed, "speed", 4, "倍速 / as many times real time")
	return cmd
}

// fetchRecord writes what comes to a file that gets its name when it is whole.
func fetchRecord(cmd *cobra.Command, body io.Reader, out string) (err error) {
	file, err := os.OpenFile(out+".part", os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return fmt.Errorf("%w; an earlier download may have left it", err)
	}
	defer func() {
		if closed := file.Close(); err == nil {
			err = closed
		}
	}()
	in := bufio.NewReaderSize(body, 1<<20)
	for {
		var head [5]byte
		if _, err := io.ReadFull(in, head[:]); err != nil {
			return fmt.Errorf("the edge broke off, what came is in %s.part: %w", out, err)
		}
		n := int64(binary.BigEndian.Uint32(head[1:]))
		if head[0] == partData {
			if _, err := io.CopyN(file, in, n); err != nil {
				return fmt.Errorf("%s.part: %w", out, err)
			}
			continue
		}
		text, err := io.ReadAll(io.LimitReader(in, n))
		if err != nil {
			return err
		}
		if head[0] == partError {
			return fmt.Errorf("%s; what came is in %s.part", text, out)
		}
		var d gb28181.Download
		if err := json.Unmarshal(text, &d); err != nil {
			return fmt.Errorf("the edge's answer: %w", err)
		}
		fmt.Fprintf(cmd.ErrOrStderr(), "\r%s / %s, %.1f MB, %d 个包丢失 / lost ", d.Played.Round(time.Second), d.Total, float64(d.Bytes)/1e6, d.Lost)
		if head[0] == partEnd {
			fmt.Fprintln(cmd.ErrOrStderr())
			return nameRecord(cmd, out, d)
		}
	}
}

// nameRecord gives a whole file its name.
func nameRecord(cmd *cobra.Command, out string, d gb28181.Download) error {
	name := out + "." + d.Format
	if _, err := os.Lstat(name); err == nil {
		return fmt.Errorf("%s is there already: the record stays in %s.part", name, out)
	}
	if err := os.Rename(out+".part", name); err != nil {
		return err
	}
	if !d.Complete {
		fmt.Fprintln(cmd.ErrOrStderr(), "设备提前结束，录像不完整 / the device ended early, the record is not complete")
	}
	fmt.Fprintln(cmd.OutOrStdout(), name)
	return nil
}
