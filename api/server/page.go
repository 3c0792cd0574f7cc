package server

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"mime"
	"net/http"
	"path"
	"strings"
	"time"

	"github.com/gin-gonic/gin"
)

// page serves the built browser page from memory. Files under assets/ carry a
// hash of their content in their names and are cached for ever; all others are
// asked for again each time and answered 304 while they are the same. Any path
// without a file extension is the page itself, so that its own addresses can be
// opened and reloaded.
type page struct {
	files map[string]pageFile // by path without leading slash
}

type pageFile struct {
	body        []byte
	contentType string
	etag        string
	immutable   bool
}

// contentTypes of what a built page consists of. They do not depend on the
// machine's own tables, which may call a script text/plain.
func contentType(name string) string {
	switch path.Ext(name) {
	case ".html":
		return "text/html; charset=utf-8"
	case ".js", ".mjs":
		return "text/javascript; charset=utf-8"
	case ".css":
		return "text/css; charset=utf-8"
	case ".json", ".map":
		return "application/json"
	case ".svg":
		return "image/svg+xml"
	case ".webmanifest":
		return "application/manifest+json"
	case ".woff2":
		return "font/woff2"
	case ".mp3":
		return "audio/mpeg"
	case ".wav":
		return "audio/wav"
	case ".ogg":
		return "audio/ogg"
	}
	if t := mime.TypeByExtension(path.Ext(name)); t != "" {
		return t
	}
	return "application/octet-stream"
}

// newPage reads all files once. A nil file system is a server without a page.
func newPage(web fs.FS) (*page, error) {
	p := &page{files: make(map[string]pageFile)}
	if web == nil {
		return p, nil
	}
	err := fs.WalkDir(web, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(web, name)
		if err != nil {
			return err
		}
		sum := sha256.Sum256(b)
		p.files[name] = pageFile{
			body: b, contentType: contentType(name), etag: `"` + hex.EncodeToString(sum[:16]) + `"`,
			immutable: strings.HasPrefix(name, "assets/"),
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("browser page: %w", err)
	}
	if _, ok := p.files["index.html"]; !ok {
		return nil, errors.New("browser page: index.html is missing; build the page with make web")
	}
	return p, nil
}

// servePage answers everything that is no route.
func (s *Server) servePage(c *gin.Context) {
	name := strings.TrimPrefix(path.Clean(c.Request.URL.Path), "/")
	if name == "api" || strings.HasPrefix(name, "api/") {
		s.fail(c, problem(codeNotFound))
		return
	}
	if c.Request.Method != http.MethodGet && c.Request.Method != http.MethodHead {
		s.fail(c, problem(codeMethod))
		return
	}
	f, ok := s.page.files[name]
	if !ok && path.Ext(name) == "" && !strings.HasPrefix(name, "assets/") {
		f, ok = s.page.files["index.html"]
	}
	if !ok {
		s.fail(c, problem(codeNotFound))
		return
	}
	h := c.Writer.Header()
	h.Set("Content-Type", f.contentType)
	h.Set("Cache-Control", "no-cache")
	if f.immutable {
		h.Set("Cache-Control", "public, max-age=31536000, immutable")
	}
	h.Set("Etag", f.etag)
	c.Status(http.StatusOK) // NoRoute starts from 404
	http.ServeContent(c.Writer, c.Request, "", time.Time{}, bytes.NewReader(f.body))
}
