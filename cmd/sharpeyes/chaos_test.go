//go:build cgo

package main

import (
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// blow is one thing that goes wrong, on a way that is under load all the time.
type blow struct {
	name  string
	short bool   // in the short form too
	only  string // database, "" for both
	do    func(w *world)
	// settle is how long the way may take to be empty again; default 60 s.
	settle time.Duration
}

// outcome is a line of the table.
type outcome struct {
	blow     string
	database string
	promised int // alerts that an edge had made durable by the end of this case, of this case
	count    count
	took     time.Duration
}

// TestChaos runs real processes under load, hits them, and counts. It prints the
// table of the README. SHARPEYES_CHAOS=short runs the short form on SQLite, full
// everything on both databases.
func TestChaos(t *testing.T) {
	form := os.Getenv("SHARPEYES_CHAOS")
	if form == "" {
		t.Skip("needs the built binary and minutes: run make chaos")
	}
	only, err := regexp.Compile(os.Getenv("SHARPEYES_CHAOS_ONLY")) // some blows, by name
	require.NoError(t, err)
	var table []outcome
	databases := []string{"sqlite", "postgres"}
	if form == "short" {
		databases = databases[:1]
	}
	for _, database := range databases {
		t.Run(database, func(t *testing.T) {
			w := newWorld(t, database, 60)
			before := 0
			for _, b := range blows() {
				if (form == "short" && !b.short) || (b.only != "" && b.only != database) || !only.MatchString(b.name) {
					continue
				}
				w.run(time.Second)
				b.do(w)
				limit := b.settle
				if limit == 0 {
					limit = time.Minute
				}
				got, took := w.settle(limit)
				table = append(table, outcome{b.name, database, got.promised - before, got, took})
				before = got.promised
				fmt.Fprintf(os.Stderr, "%s, %s: %d promised, %d lost, empty after %.1f s\n", database, b.name, table[len(table)-1].promised, got.lost, took.Seconds())
				require.Zero(t, got.lost, "%s: promised alerts that are not in the store", b.name)
				require.Zero(t, got.doubled, "%s: alerts shown twice", b.name)
				require.Zero(t, got.strange, "%s: alerts in the store that nobody raised", b.name)
				require.Zero(t, got.open, "%s: a closed incident is open again", b.name)
				require.Zero(t, got.gaps, "%s: numbers of an edge that never came", b.name)
				require.Zero(t, got.coming, "%s: pictures that never came, without a word", b.name)
				require.Zero(t, got.orphans, "%s: pictures without an alert", b.name)
			}
		})
	}
	fmt.Println(chaosTable(table))
}

func chaosTable(rows []outcome) string {
	var b strings.Builder
	b.WriteString("\n| blow | database | alerts promised | in the store | lost | doubled | way empty again after |\n|---|---|---|---|---|---|---|\n")
	total := 0
	for _, r := range rows {
		total += r.promised
		fmt.Fprintf(&b, "| %s | %s | %d | %d | %d | %d | %.1f s |\n", r.blow, r.database, r.promised, r.promised-r.count.lost, r.count.lost, r.count.doubled, r.took.Seconds())
	}
	fmt.Fprintf(&b, "\n%d alerts, each of three phases and a picture, over %d blows.\n", total, len(rows))
	return b.String()
}

func blows() []blow {
	return []blow{
		{name: "nothing (yardstick)", short: true, do: func(w *world) { w.run(2 * time.Second) }},
		{name: "kill -9 of an edge", short: true, do: killLoad},
		{name: "kill -9 of the edge with cameras", do: killEdge},
		{name: "kill -9 of Redis", short: true, do: func(w *world) { w.must(w.redis.end(syscall.SIGKILL)); w.run(time.Second); w.startRedis() }},
		{name: "kill -9 of the center", short: true, do: func(w *world) { killCenter(w, syscall.SIGKILL) }},
		{name: "kill -9 of PostgreSQL", only: "postgres", do: func(w *world) { w.must(w.pg.Kill()); w.run(time.Second); w.must(w.pg.Start()) }},
		{name: "restart of the edge", do: restartLoad},
		{name: "restart of Redis", do: func(w *world) { w.must(w.redis.end(syscall.SIGTERM)); w.startRedis() }},
		{name: "restart of the center", do: func(w *world) { killCenter(w, syscall.SIGTERM) }},
		{name: "restart of PostgreSQL", only: "postgres", do: func(w *world) { w.must(w.pg.Stop()); w.must(w.pg.Start()) }},
		{name: "Redis without its last second", short: true, do: loseTail},
		{name: "FLUSHALL", short: true, do: flushAll},
		{name: "Redis out of memory for 3 s", short: true, do: outOfMemory},
		{name: "network cut for 5 s", short: true, do: func(w *world) {
			w.link.set(true, 0, 0)
			w.run(5 * time.Second)
			w.link.set(false, 0, 0)
		}},
		{name: "link of 500 ms and 5 % loss, for 10 s", do: func(w *world) {
			w.link.set(false, 250*time.Millisecond, 0.05)
			w.run(10 * time.Second)
			w.link.set(false, 0, 0)
		}},
		{name: "disk full at the edge", do: fullEdge},
		{name: "disk full at the center", do: fullCenter},
		{name: "camera clocks +1 h, then −1 h", short: true, do: func(w *world) {
			for _, order := range []string{"clock 3600", "clock -3600", "clock 0"} {
				for _, l := range w.loads {
					l.tell(order)
				}
				w.run(time.Second)
			}
		}},
		{name: "clock of Redis +1 h, then back", short: true, do: jumpRedis},
		{name: "slow center: stopped for 5 s", do: func(w *world) { freeze(w, "center-1", 5*time.Second) }},
		{name: "two centers, one killed", only: "postgres", do: func(w *world) {
			w.startCenter("center-2")
			w.run(2 * time.Second)
			killCenter(w, syscall.SIGKILL)
		}},
		{name: "two centers, one frozen for 75 s", only: "postgres", settle: 3 * time.Minute, do: func(w *world) { freeze(w, "center-2", 75*time.Second) }},
		{name: "a newer and an older edge", short: true, do: skew},
	}
}

func killLoad(w *world) {
	w.must(w.loads[0].kill())
	w.loads[0] = w.startLoad("load-1")
	w.run(time.Second)
	w.must(w.loads[1].kill())
	w.loads[1] = w.startLoad("load-2")
	w.run(time.Second)
}

func restartLoad(w *world) {
	w.must(w.loads[0].stop())
	w.loads[0] = w.startLoad("load-1")
	w.run(time.Second)
}

func killEdge(w *world) {
	w.must(w.edge.end(syscall.SIGKILL))
	w.startEdge()
	w.run(3 * time.Second)
}

func killCenter(w *world, sig syscall.Signal) {
	w.must(w.centers["center-1"].end(sig))
	w.run(time.Second)
	w.startCenter("center-1")
}

// loseTail kills Redis and cuts from its file what was written in the last
// second, as a loss of power would.
func loseTail(w *world) {
	sizes := func() map[string]int64 {
		files, err := filepath.Glob(w.path("redis", "appendonlydir", "*.aof"))
		w.must(err)
		got := map[string]int64{}
		for _, f := range files {
			info, err := os.Stat(f)
			w.must(err)
			got[f] = info.Size()
		}
		return got
	}
	// Nobody reads, so that what Redis loses is not at the center yet.
	w.must(w.centers["center-1"].signal(syscall.SIGSTOP))
	w.run(time.Second)
	before := sizes()
	w.run(time.Second)
	w.must(w.redis.end(syscall.SIGKILL))
	cut := int64(0)
	for f, now := range sizes() {
		if old, ok := before[f]; ok && now > old {
			cut += now - old
			w.must(os.Truncate(f, old))
		}
	}
	require.Positive(w.t, cut, "nothing was written in that second: the blow hits nothing")
	w.startRedis()
	w.must(w.centers["center-1"].signal(syscall.SIGCONT))
	w.run(time.Second)
}

func flushAll(w *world) {
	w.must(w.centers["center-1"].signal(syscall.SIGSTOP))
	w.run(time.Second)
	n, err := w.client.XLen(w.t.Context(), chaosStream).Result()
	w.must(err)
	require.Positive(w.t, n, "nothing waits: the blow hits nothing")
	w.must(w.client.FlushAll(w.t.Context()).Err())
	w.must(w.centers["center-1"].signal(syscall.SIGCONT))
	w.run(time.Second)
}

func outOfMemory(w *world) {
	w.must(w.client.ConfigSet(w.t.Context(), "maxmemory", "1mb").Err())
	w.run(3 * time.Second)
	w.must(w.client.ConfigSet(w.t.Context(), "maxmemory", "0").Err())
}

// freeze stops a center without its knowledge.
func freeze(w *world, node string, d time.Duration) {
	w.must(w.centers[node].signal(syscall.SIGSTOP))
	w.run(d)
	w.must(w.centers[node].signal(syscall.SIGCONT))
	w.run(time.Second)
}

// jumpRedis leaves what a clock of Redis that was an hour ahead and came back
// leaves: the newest entries of every stream have numbers of the future, and the
// next ones count on from there.
func jumpRedis(w *world) {
	ctx, ahead := w.t.Context(), fmt.Sprintf("%d-0", time.Now().Add(time.Hour).UnixMilli())
	keys, err := w.client.Keys(ctx, chaosStream+"*").Result()
	w.must(err)
	streams := 0
	for _, key := range keys {
		if kind, err := w.client.Type(ctx, key).Result(); err != nil || kind != "stream" || strings.HasSuffix(key, ":dead") {
			w.must(err)
			continue
		}
		streams++
		w.must(w.client.XAdd(ctx, &redis.XAddArgs{Stream: key, ID: ahead, Values: []any{"d", "", "node", "clock", "v", 1}}).Err())
	}
	require.GreaterOrEqual(w.t, streams, 3, "texts and the receipts of two edges")
	w.run(2 * time.Second)
}

// onSmallDisk moves a folder to a file system of its own with 16 MiB to spare,
// fills that, and gives room again after a while.
func onSmallDisk(w *world, dir string, fullFor time.Duration, stop, start func()) {
	stop()
	aside := dir + ".aside"
	w.must(os.Rename(dir, aside))
	w.must(os.Mkdir(dir, 0o700))
	used := int64(0)
	w.must(filepath.WalkDir(aside, func(_ string, d fs.DirEntry, err error) error {
		if info, fail := d.Info(); fail == nil {
			used += info.Size() + 4096
		}
		return err
	}))
	size := fmt.Sprintf("size=%d,mode=0700", used+16<<20)
	w.t.Cleanup(func() { _ = exec.Command("umount", "-l", dir).Run() }) // no more there unless the case failed
	if out, err := exec.Command("mount", "-t", "tmpfs", "-o", size, "tmpfs", dir).CombinedOutput(); err != nil {
		w.t.Logf("disk full: this machine does not let us mount (%s); the case runs on a disk with room", out)
		w.must(os.Remove(dir))
		w.must(os.Rename(aside, dir))
		start()
		return
	}
	w.must(exec.Command("cp", "-a", aside+"/.", dir).Run())
	start()
	filler := filepath.Join(dir, "filler")
	f, err := os.Create(filler)
	w.must(err)
	block := make([]byte, 64<<10)
	for err == nil {
		_, err = f.Write(block)
	}
	w.must(f.Close())
	w.run(fullFor)
	w.must(os.Remove(filler))
	w.run(time.Second)
	stop()
	w.must(os.RemoveAll(aside))
	w.must(exec.Command("cp", "-a", dir, aside).Run())
	w.must(exec.Command("umount", dir).Run())
	w.must(os.Remove(dir))
	w.must(os.Rename(aside, dir))
	start()
}

func fullEdge(w *world) {
	onSmallDisk(w, w.path("load-1"), 3*time.Second,
		func() { w.must(w.loads[0].stop()) }, func() { w.loads[0] = w.startLoad("load-1") })
}

func fullCenter(w *world) {
	onSmallDisk(w, w.centerDir(), 3*time.Second,
		func() { w.must(w.store.Close()); w.must(w.centers["center-1"].end(syscall.SIGTERM)) },
		func() { w.startCenter("center-1"); w.openStore() })
}

// skew speaks as an edge of a later version, with fields and a body that nobody
// here knows, and as one of before receipts, with the picture in its alert's
// entry.
func skew(w *world) {
	ctx := w.t.Context()
	newer := fmt.Sprintf("%032x", time.Now().UnixNano())
	for _, text := range []string{
		`{"v":9,"node":"newer","seq":1,"time":"2026-01-01T00:00:00Z","alert":{"id":"` + newer + `","camera":"n1","kind":"tidal_wave","phase":"rising","start":"2026-01-01T00:00:00Z","last":"2026-01-01T00:00:00Z","received":"2026-01-01T00:00:00Z","hologram":{}}}`,
		`{"v":9,"node":"newer","seq":2,"time":"2026-01-01T00:00:01Z","hologram":{}}`,
	} {
		w.must(w.client.XAdd(ctx, &redis.XAddArgs{Stream: chaosStream, Values: []any{"e", text, "v", 9, "node", "newer", "later", "x"}}).Err())
	}
	l := &load{cfg: loadSpec{Picture: 500}}
	p := l.picture(newer, time.Now())
	older := "0" + newer[1:31] + "f"
	w.must(w.client.XAdd(ctx, &redis.XAddArgs{Stream: chaosStream, Values: []any{"e",
		`{"v":1,"node":"older","seq":1,"time":"2026-01-01T00:00:00Z","alert":{"id":"` + older + `","camera":"o1","phase":"closed","start":"2026-01-01T00:00:00Z","last":"2026-01-01T00:00:00Z","received":"2026-01-01T00:00:00Z","picture":{"sha256":"` + p.SHA256 + `","blurred":true}}}`,
		"v", 1, "node", "older", "jpeg", p.JPEG}}).Err())
	for _, id := range []string{newer, older} {
		require.Eventually(w.t, func() bool { _, err := w.store.Alert(ctx, id); return err == nil }, 20*time.Second, 50*time.Millisecond, id)
	}
	row, err := w.store.Alert(ctx, older)
	w.must(err)
	require.Equal(w.t, "kept", string(row.Picture))
	require.Eventually(w.t, func() bool {
		dead, err := w.client.XRange(ctx, chaosStream+":dead", "-", "+").Result()
		return err == nil && slices.ContainsFunc(dead, func(m redis.XMessage) bool { return m.Values["node"] == "newer" })
	}, 20*time.Second, 50*time.Millisecond, "what a newer edge says is kept for a newer center")
}
