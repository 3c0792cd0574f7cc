package stream

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/sharpeyes/sharpeyes/api"
)

const childOutbox = "SHARPEYES_TEST_OUTBOX"

// copyDir is what a disk holds when the machine stops now.
func copyDir(t testing.TB, dir string) string {
	t.Helper()
	to := t.TempDir()
	require.NoError(t, os.CopyFS(filepath.Join(to, "copy"), os.DirFS(dir)))
	return filepath.Join(to, "copy")
}

func only(t testing.TB, dir, suffix string) string {
	t.Helper()
	files, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	require.NoError(t, err)
	require.Len(t, files, 1)
	return files[0]
}

func TestTornTailAtEveryByte(t *testing.T) {
	dir := t.TempDir()
	o := openBox(t, dir, OutboxOptions{})
	for i := range 3 {
		mustPut(t, o, alertEnvelope("cam-1", i, 0))
	}
	file := only(t, dir, textSuffix)
	before, err := os.Stat(file)
	require.NoError(t, err)
	mustPut(t, o, alertEnvelope("cam-1", 3, 0))
	whole, err := os.ReadFile(file)
	require.NoError(t, err)

	crashed := copyDir(t, dir)
	file = only(t, crashed, textSuffix)
	for size := int(before.Size()); size < len(whole); size++ {
		require.NoError(t, os.WriteFile(file, whole[:size], 0o600))
		reg := prometheus.NewRegistry()
		o := openBox(t, crashed, OutboxOptions{Registerer: reg})
		require.Equal(t, []uint64{1, 2, 3}, seqs(all(t, o)), "%d bytes", size)
		cut, err := os.Stat(file)
		require.NoError(t, err)
		require.Equal(t, before.Size(), cut.Size(), "the tail is cut off")
		torn := 1.0
		if size == int(before.Size()) {
			torn = 0
		}
		require.InDelta(t, torn, metric(t, reg, "sharpeyes_outbox_damaged_total", "what", "tail"), 0, "%d bytes", size)
		require.Zero(t, metric(t, reg, "sharpeyes_outbox_damaged_total", "what", "record"))
		seq := mustPut(t, o, alertEnvelope("cam-1", 9, 0))
		require.GreaterOrEqual(t, seq, uint64(4))
		require.Less(t, seq, uint64(30), "numbers are skipped for what was torn, not more")
		require.Equal(t, []uint64{1, 2, 3, seq}, seqs(all(t, o)))
		require.NoError(t, o.Close())
	}
}

func TestTailOfZeros(t *testing.T) {
	dir := t.TempDir()
	o := openBox(t, dir, OutboxOptions{})
	mustPut(t, o, alertEnvelope("cam-1", 0, 0))
	require.NoError(t, o.Close())
	f, err := os.OpenFile(only(t, dir, textSuffix), os.O_APPEND|os.O_WRONLY, 0)
	require.NoError(t, err)
	_, err = f.Write(make([]byte, 3000))
	require.NoError(t, err)
	require.NoError(t, f.Close())
	o = openBox(t, dir, OutboxOptions{})
	require.Equal(t, []uint64{1}, seqs(all(t, o)))
	require.Greater(t, mustPut(t, o, alertEnvelope("cam-1", 1, 0)), uint64(2))
}

func TestFlippedBitsLoseOneRecord(t *testing.T) {
	dir := t.TempDir()
	o := openBox(t, dir, OutboxOptions{})
	for i := range 3 {
		mustPut(t, o, alertEnvelope("cam-1", i, 0))
	}
	from, to := o.segs[0].refs[1].off, o.segs[0].refs[2].off
	require.NoError(t, o.Close())
	whole, err := os.ReadFile(only(t, dir, textSuffix))
	require.NoError(t, err)
	for at := from; at < to; at++ {
		bad := append([]byte(nil), whole...)
		bad[at] ^= 0x10
		require.NoError(t, os.WriteFile(only(t, dir, textSuffix), bad, 0o600))
		reg := prometheus.NewRegistry()
		o := openBox(t, dir, OutboxOptions{Registerer: reg})
		require.Equal(t, []uint64{1, 3}, seqs(all(t, o)), "byte %d", at)
		require.InDelta(t, 1, metric(t, reg, "sharpeyes_outbox_damaged_total", "what", "record"), 0, "byte %d", at)
		require.NoError(t, o.Close())
	}
}

func TestDamageWhileOpenIsSkipped(t *testing.T) {
	reg := prometheus.NewRegistry()
	dir := t.TempDir()
	o := openBox(t, dir, OutboxOptions{Registerer: reg})
	for i := range 4 {
		mustPut(t, o, alertEnvelope("cam-1", i, 500))
	}
	flip(t, only(t, dir, textSuffix), int64(o.segs[0].refs[1].off)+60)
	flip(t, only(t, dir, pictureSuffix), segmentHeader+100) // the picture of the first
	require.Equal(t, []uint64{1, 3, 4}, seqs(lanePages(t, o, laneAlerts)))
	got := lanePages(t, o, lanePictures)
	require.Equal(t, []uint64{1, 3, 4}, seqs(got))
	require.Nil(t, got[0].jpeg)
	require.NotNil(t, got[1].jpeg)
	e, err := api.ParseEnvelope(got[0].json)
	require.NoError(t, err)
	require.True(t, e.Picture.Lost, "whoever waits for it is told")
	require.InDelta(t, 1, metric(t, reg, "sharpeyes_outbox_damaged_total", "what", "record"), 0)
	require.InDelta(t, 1, metric(t, reg, "sharpeyes_outbox_damaged_total", "what", "picture"), 0)
	require.Equal(t, 3, o.Depth())
}

func flip(t testing.TB, path string, at int64) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	require.NoError(t, err)
	var b [1]byte
	_, err = f.ReadAt(b[:], at)
	require.NoError(t, err)
	b[0] ^= 1
	_, err = f.WriteAt(b[:], at)
	require.NoError(t, err)
	require.NoError(t, f.Close())
}

func TestRemovedFilesAreCountedAndPassed(t *testing.T) {
	reg := prometheus.NewRegistry()
	dir := t.TempDir()
	o := openBox(t, dir, OutboxOptions{Registerer: reg, SegmentBytes: 1000})
	for i := range 10 {
		mustPut(t, o, alertEnvelope("cam-1", i, 0))
	}
	lost := len(o.segs[0].refs)
	require.NoError(t, os.Remove(o.segs[0].path))
	got := all(t, o)
	require.Len(t, got, 10-lost)
	require.InDelta(t, lost, metric(t, reg, "sharpeyes_outbox_damaged_total", "what", "record"), 0)
}

func TestNumbersAreNeverUsedTwice(t *testing.T) {
	remove := func(t *testing.T, dir string, patterns ...string) {
		for _, p := range patterns {
			files, err := filepath.Glob(filepath.Join(dir, p))
			require.NoError(t, err)
			for _, f := range files {
				require.NoError(t, os.Remove(f))
			}
		}
	}
	damage := func(t *testing.T, dir string) {
		flip(t, filepath.Join(dir, "cursor"), 20)
		flip(t, filepath.Join(dir, "cursor"), cursorSlot+20)
	}
	for name, harm := range map[string]func(t *testing.T, dir string){
		"nothing":                          func(*testing.T, string) {},
		"segments removed":                 func(t *testing.T, dir string) { remove(t, dir, "*.log", "*.pic") },
		"cursor removed":                   func(t *testing.T, dir string) { remove(t, dir, "cursor") },
		"one copy of the cursor damaged":   func(t *testing.T, dir string) { flip(t, filepath.Join(dir, "cursor"), 20) },
		"cursor damaged":                   damage,
		"cursor damaged, segments removed": func(t *testing.T, dir string) { damage(t, dir); remove(t, dir, "*.log") },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			o := openBox(t, dir, OutboxOptions{SegmentBytes: 1000})
			var last uint64
			for i := range 20 {
				last = mustPut(t, o, alertEnvelope("cam-1", i, 10))
			}
			crashed := copyDir(t, dir) // as after kill -9: no Close
			harm(t, crashed)
			o = openBox(t, crashed, OutboxOptions{})
			require.Greater(t, mustPut(t, o, alertEnvelope("cam-1", 30, 0)), last)
			require.NoError(t, o.Close())
		})
		t.Run(name+", all acked", func(t *testing.T) {
			dir := t.TempDir()
			o := openBox(t, dir, OutboxOptions{SegmentBytes: 1000})
			var last uint64
			for i := range 20 {
				last = mustPut(t, o, alertEnvelope("cam-1", i, 0))
				acked(t, o, last)
			}
			require.NoError(t, o.Close())
			harm(t, dir)
			o = openBox(t, dir, OutboxOptions{})
			require.Greater(t, mustPut(t, o, alertEnvelope("cam-1", 30, 0)), last)
		})
	}
}

func TestAcksSurviveAKill(t *testing.T) {
	dir := t.TempDir()
	o := openBox(t, dir, OutboxOptions{})
	for i := range 5 {
		mustPut(t, o, alertEnvelope("cam-1", i, 200))
	}
	acked(t, o, 1, 2, 3)
	o = openBox(t, copyDir(t, dir), OutboxOptions{})
	got := all(t, o)
	require.Equal(t, []uint64{4, 5}, seqs(got))
	require.Len(t, got[0].jpeg, 200)
}

func TestInterruptedRewriteIsForgotten(t *testing.T) {
	dir := t.TempDir()
	o := openBox(t, dir, OutboxOptions{})
	mustPut(t, o, alertEnvelope("cam-1", 1, 0))
	require.NoError(t, o.Close())
	tmp := only(t, dir, textSuffix) + tmpSuffix
	require.NoError(t, os.WriteFile(tmp, []byte("half"), 0o600))
	o = openBox(t, dir, OutboxOptions{})
	require.NoFileExists(t, tmp)
	require.Len(t, all(t, o), 1)
}

// putForEver is the child of TestKilledWhilePutting.
func putForEver(dir string) int {
	o, err := OpenOutbox(dir, OutboxOptions{Node: "edge-1", SegmentBytes: 20_000})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	var mu sync.Mutex
	var wg sync.WaitGroup
	for c := range 4 {
		wg.Go(func() {
			for i := 0; ; i++ {
				seq, err := o.Put(alertEnvelope(fmt.Sprint("cam-", c), i, 100*(i%3)))
				if err != nil {
					fmt.Fprintln(os.Stderr, err)
					os.Exit(1)
				}
				mu.Lock()
				fmt.Println(seq)
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	return 0
}

func TestKilledWhilePutting(t *testing.T) {
	dir := t.TempDir()
	promised := map[uint64]bool{}
	for round := range 12 {
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		cmd.Env = append(os.Environ(), childOutbox+"="+dir)
		cmd.Stderr = os.Stderr
		out, err := cmd.StdoutPipe()
		require.NoError(t, err)
		require.NoError(t, cmd.Start())
		lines := bufio.NewReader(out)
		for n := 0; ; n++ {
			if n == 20+37*round {
				require.NoError(t, cmd.Process.Kill())
			}
			var seq uint64
			line, err := lines.ReadString('\n')
			if err == io.EOF { // what was written before the kill is read to the end
				break
			}
			require.NoError(t, err)
			_, err = fmt.Sscan(line, &seq)
			require.NoError(t, err)
			require.False(t, promised[seq], "number %d twice", seq)
			promised[seq] = true
		}
		require.Error(t, cmd.Wait())
	}
	o := openBox(t, dir, OutboxOptions{})
	got := map[uint64]bool{}
	for _, e := range all(t, o) {
		require.False(t, got[e.seq])
		got[e.seq] = true
		env, err := api.ParseEnvelope(e.json)
		require.NoError(t, err)
		require.Equal(t, e.seq, env.Seq)
		if env.Alert.Picture != nil {
			require.Len(t, e.jpeg, env.Alert.Picture.Bytes)
		}
	}
	for seq := range promised {
		require.True(t, got[seq], "number %d was promised and is gone", seq)
	}
	require.Greater(t, len(promised), 1000)
}
