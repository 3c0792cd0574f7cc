package gb28181

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/sharpeyes/sharpeyes/ingest"
)

// saveEvery is the least time between two writes of the file.
const saveEvery = 10 * time.Second

// savedName is the file in Options.Dir.
const savedName = "gb28181-devices.json"

// savedDevice is what survives a restart: enough to reach a device that does not
// know that we were away.
type savedDevice struct {
	ID        string         `json:"id"`
	Network   string         `json:"network"`
	Address   netip.AddrPort `json:"address"`
	Expires   time.Time      `json:"expires"`
	Version   string         `json:"version,omitempty"`
	UserAgent string         `json:"user_agent,omitempty"`
	First     time.Time      `json:"first"`
	Interval  time.Duration  `json:"interval_ns,omitempty"`
}

// savedFile is the whole file.
type savedFile struct {
	Format  int           `json:"format"` // 1
	Devices []savedDevice `json:"devices"`
}

// saver writes where devices are, at most once in saveEvery.
type saver struct {
	dir   string
	dirty chan struct{}
}

func newSaver(dir string) *saver { return &saver{dir: dir, dirty: make(chan struct{}, 1)} }

// touch says that something changed.
func (s *saver) touch() {
	select {
	case s.dirty <- struct{}{}:
	default:
	}
}

// save writes the file when something changed, until ctx is done, and once more
// then.
func (p *Platform) save(ctx context.Context) {
	if p.saver.dir == "" {
		<-ctx.Done()
		return
	}
	pause := time.NewTimer(0)
	defer pause.Stop()
	<-pause.C
	for {
		select {
		case <-ctx.Done():
			p.write()
			return
		case <-p.saver.dirty:
		}
		p.write()
		pause.Reset(saveEvery)
		select {
		case <-ctx.Done():
			p.write()
			return
		case <-pause.C:
		}
	}
}

// write writes the file now. That it cannot is told and no more: it is a comfort
// for the next start.
func (p *Platform) write() {
	f := savedFile{Format: 1, Devices: []savedDevice{}}
	for _, d := range p.allDevices() {
		d.mu.Lock()
		if d.link.bound && d.route.addr.IsValid() {
			f.Devices = append(f.Devices, savedDevice{
				ID: d.id, Network: d.route.network, Address: d.route.addr, Expires: d.link.expires,
				Version: d.gbver, UserAgent: d.userAgent, First: d.first,
				Interval: map[bool]time.Duration{true: d.link.interval()}[d.link.gapped > 0],
			})
		}
		d.mu.Unlock()
	}
	if err := p.saver.replace(f); err != nil {
		p.log.Error("the addresses of devices are not kept: after a restart they are reached when they speak", "error", err)
	}
}

// replace writes the file anew.
func (s *saver) replace(f savedFile) error {
	data, err := json.Marshal(f)
	if err != nil {
		return err
	}
	return replaceFile(filepath.Join(s.dir, savedName), data)
}

// replaceFile puts a new file with this content in the place of the old one, so
// that a power cut leaves the one or the other.
func replaceFile(path string, data []byte) error {
	t, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	_, err = t.Write(data)
	err = errors.Join(err, t.Sync(), t.Close())
	if err == nil {
		err = os.Rename(t.Name(), path)
	}
	if err != nil {
		_ = os.Remove(t.Name())
	}
	return err
}

// restore reads the file of the last run. The devices in it are neither registered
// nor not until they are heard; those who came by UDP are reached at once.
func (p *Platform) restore() error {
	if p.saver.dir == "" {
		return nil
	}
	if err := os.MkdirAll(p.saver.dir, 0o700); err != nil {
		return fmt.Errorf("gb28181: folder for the addresses of devices: %w", err)
	}
	data, err := os.ReadFile(filepath.Join(p.saver.dir, savedName))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	var f savedFile
	if err == nil {
		err = json.Unmarshal(data, &f)
	}
	if err != nil || f.Format != 1 {
		p.log.Warn("the addresses of devices cannot be read: they are reached when they speak", "error", err)
		return nil
	}
	now := p.now()
	for _, s := range f.Devices {
		entry, known := p.book.find([]byte(s.ID))
		if !known || !s.Expires.After(now) || !s.Address.IsValid() || s.Expires.After(now.Add(expiresMax)) {
			continue
		}
		d := p.admitted(s.ID, entry, s.First)
		if d == nil {
			break
		}
		d.mu.Lock()
		d.route = route{network: s.Network, addr: s.Address}
		d.gbver, d.userAgent = cut(s.Version), cut(s.UserAgent)
		d.link.bound, d.link.expires, d.link.heard = true, s.Expires, now
		if s.Interval > 0 {
			for range 3 { // enough to be believed
				d.link.addGap(s.Interval)
			}
		}
		d.link.set(ingest.Unknown, ReasonRestored, now)
		d.mu.Unlock()
	}
	return nil
}
