package main

import (
	"crypto/rand"
	"crypto/subtle"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/sharpeyes/sharpeyes/api"
	"github.com/sharpeyes/sharpeyes/ingest"
)

// localPrefix begins the paths that the commands of this program on the same
// machine use.
const localPrefix = "/local/v1/"

// localFile is where a running edge says how it is reached, for whoever may
// read its data folder.
func localFile(dataDir string) string { return filepath.Join(dataDir, "local.json") }

// localAccess is the content of that file.
type localAccess struct {
	URL   string `json:"url"`
	Token string `json:"token"`
}

// local guards the interface for commands: only programs of this machine that
// can read the token are answered.
type local struct {
	token string
	mux   *http.ServeMux
}

func newLocal() *local {
	var b [32]byte
	_, _ = rand.Read(b[:]) // never fails
	return &local{token: hex.EncodeToString(b[:]), mux: http.NewServeMux()}
}

// ServeHTTP implements http.Handler.
func (l *local) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	from, err := netip.ParseAddrPort(r.RemoteAddr)
	token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if err != nil || !from.Addr().Unmap().IsLoopback() || subtle.ConstantTimeCompare([]byte(token), []byte(l.token)) != 1 {
		http.Error(w, "only for commands of this machine that can read data_dir/local.json", http.StatusForbidden)
		return
	}
	l.mux.ServeHTTP(w, r)
}

// publish writes where the listener is reached, and removes that at the end.
func (l *local) publish(p *process, listener net.Addr) error {
	tcp, ok := listener.(*net.TCPAddr)
	if !ok {
		return fmt.Errorf("local interface: %s is no TCP address", listener)
	}
	host := tcp.IP.String()
	if tcp.IP.IsUnspecified() {
		host = "127.0.0.1"
	}
	text, err := json.Marshal(localAccess{URL: "http://" + net.JoinHostPort(host, fmt.Sprint(tcp.Port)), Token: l.token})
	if err != nil {
		return fmt.Errorf("local interface: %w", err)
	}
	path := localFile(p.cfg.DataDir)
	// A file that is there keeps its mode: it goes first.
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("local interface: %w", err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		return fmt.Errorf("local interface: %w", err)
	}
	p.closers = append(p.closers, closer(func() { _ = os.Remove(path) })) // a stale one only names a token that nobody takes
	return nil
}

// answerLocal writes v as JSON.
func answerLocal(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(v) // the command went away
}

// refuseLocal writes an error as text.
func refuseLocal(w http.ResponseWriter, status int, err error) {
	text := err.Error()
	if f, ok := errors.AsType[*ingest.Fault](err); ok && f.Hint != "" && !strings.Contains(text, f.Hint) {
		text += " (" + f.Hint + ")"
	}
	http.Error(w, text, status)
}

// person is who does something at a device, as the command says; the register
// keeps it.
type person struct {
	Login  string `json:"login"`
	Name   string `json:"name"`
	Unit   string `json:"unit"`
	Reason string `json:"reason"`
	CaseNo string `json:"case_no"`
}

// operate tells the register of an operation, does it, and tells the register
// how it went. When the first cannot be kept, nothing is done.
func (e *edge) operate(op api.Operation, do func() error) error {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	op.ID, op.Time = hex.EncodeToString(b[:]), time.Now()
	if op.Login == "" || op.Unit == "" || op.Reason == "" {
		return errors.New("say who does it: user, unit and reason")
	}
	if _, err := e.outbox.Put(api.Envelope{V: api.Version, Node: e.cfg.Node, Time: op.Time, Operation: &op}); err != nil {
		return fmt.Errorf("nothing was done: the access register cannot be told: %w", err)
	}
	err := do()
	done := op
	done.Time, done.Result = time.Now(), "ok"
	if err != nil {
		done.Result = err.Error()
	}
	e.put(api.Envelope{Operation: &done})
	return err
}
