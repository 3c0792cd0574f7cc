package configs

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/goccy/go-yaml/token"
)

// Options are what Load asks of the world beside the file.
type Options struct {
	// Division reports whether a 12-digit code is in the table of divisions, and
	// if not, a code that is and is near it, or "". nil: codes are checked by form
	// alone.
	Division func(code string) (known bool, suggestion string)
	// Dir is the folder that relative paths in the file count from. "": the
	// folder of the file.
	Dir string
	// Getenv returns the value of an environment variable. nil: os.Getenv.
	Getenv func(name string) string
}

// Load reads the configuration file at path, at most 16 MiB of YAML in UTF-8. It
// refuses what it does not know, fills the defaults, reads the secrets from where
// they stand and makes relative paths absolute, counted from the file's folder
// (data_dir: from the working directory; database: from data_dir).
//
// When something in the file is wrong the error is Problems, with everything
// that is wrong at once, and no Config is returned. When the file itself cannot
// be read the error wraps the one of the operating system. No error holds a
// secret.
func Load(path string, opt Options) (*Config, error) {
	data, err := readBounded(path, maxFileBytes)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("configuration: %w", err)
	}
	return load(data, path, cmp.Or(opt.Dir, filepath.Dir(absolute)), opt)
}

// load reads data as the file of that name; relative paths count from dir.
func load(data []byte, file, dir string, opt Options) (*Config, error) {
	if opt.Getenv == nil {
		opt.Getenv = os.Getenv
	}
	root, problem := parseYAML(data)
	if problem != nil {
		problem.File = file
		return nil, Problems{*problem}
	}
	l := &loader{
		doc:       newDocument(root),
		collector: &collector{file: file, seen: make(map[Problem]bool)},
		dir:       dir, opt: opt,
	}
	c := new(Config)
	d := &decoder{doc: l.doc, problems: l.collector, fields: make(map[reflect.Type]fieldSet)}
	d.value(root, reflect.ValueOf(c).Elem(), field{}, nil)
	if _, _, isMap := l.doc.entries(root); isMap && !d.spent {
		l.check(c)
	}
	if problems := l.collector.sorted(); len(problems) > 0 {
		return nil, problems
	}
	l.absolutePaths(c)
	c.applyDefaults(hostName())
	return c, nil
}

// loader holds what the checks of a decoded file need.
type loader struct {
	doc *document
	*collector
	dir string
	opt Options
}

// wrong notes a problem of what stands at p.
func (l *loader) wrong(p *place, what, remedy string) { l.add(l.doc.find(p), p, what, remedy) }

// collector keeps the problems of a file: each once, and not more than
// maxProblems.
type collector struct {
	file     string
	problems Problems
	seen     map[Problem]bool // without Path: an alias shows one mistake at many paths
	more     int
}

func (c *collector) add(tk *token.Token, p *place, what, remedy string) {
	found := *problemAt(tk, what, remedy)
	found.File = c.file
	if c.seen[found] {
		return
	}
	if len(c.problems) >= maxProblems {
		c.more++
		return
	}
	c.seen[found] = true
	found.Path = p.String()
	c.problems = append(c.problems, found)
}

// sorted returns the problems in the order of the file.
func (c *collector) sorted() Problems {
	slices.SortStableFunc(c.problems, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	if c.more > 0 {
		c.problems = append(c.problems, Problem{File: c.file, What: fmt.Sprintf("%d more problems", c.more), Remedy: "mend those above first"})
	}
	return c.problems
}

// readBounded reads the file at path, one byte more than limit at most, so that
// the caller sees that there is more.
func readBounded(path string, limit int64) (data []byte, err error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return io.ReadAll(io.LimitReader(f, limit+1))
}

// whyUnreadable says in words why a file cannot be read, without its name: the
// name may be a secret that was written in the wrong place.
func whyUnreadable(err error) string {
	switch {
	case errors.Is(err, os.ErrNotExist):
		return "there is no such file"
	case errors.Is(err, os.ErrPermission):
		return "this user may not read it"
	}
	var of *os.PathError
	if errors.As(err, &of) {
		return of.Err.Error()
	}
	return "reading it failed"
}

// maxSecretBytes bounds a secret; the longest password of a camera has 64.
const maxSecretBytes = 4096

// resolve reads the secret s, which stands at p, from where it is.
func (l *loader) resolve(s *Secret, p *place) {
	switch {
	case s.Env != "" && s.File != "":
		l.wrong(p, "names both an environment variable and a file", "keep one of env and file")
	case s.Env != "":
		// The name is not repeated in what follows: people write the secret there.
		value := l.opt.Getenv(s.Env)
		if value == "" {
			l.wrong(p.to("env"), "names an environment variable that is not set", "set it where the program starts, or name a file: {file: PATH}")
			return
		}
		l.keepSecret(s, p.to("env"), value)
	case s.File != "":
		path := resolvePath(s.File, l.dir)
		data, err := readBounded(path, maxSecretBytes)
		if err != nil {
			l.wrong(p.to("file"), "names a file that cannot be read: "+whyUnreadable(err), "write the path of a file that this user may read; a relative one counts from the configuration file")
			return
		}
		s.File = path
		text := strings.TrimSuffix(strings.TrimSuffix(string(data), "\n"), "\r")
		l.keepSecret(s, p.to("file"), text)
	}
}

// keepSecret takes value as what s resolves to if it can be one.
func (l *loader) keepSecret(s *Secret, p *place, value string) {
	const remedy = "write the secret alone, on one line"
	switch {
	case value == "":
		l.wrong(p, "leads to an empty secret", remedy)
	case len(value) > maxSecretBytes:
		l.wrong(p, fmt.Sprintf("leads to a secret of more than %d bytes", maxSecretBytes), remedy)
	case strings.ContainsAny(value, "\n\r\x00"):
		l.wrong(p, "leads to a secret of several lines", remedy)
	default:
		*s = s.With(value)
	}
}

// absolutePaths makes the paths of c absolute, counted from the file's folder.
func (l *loader) absolutePaths(c *Config) {
	if c.Edge != nil {
		d := &c.Edge.Detector
		if d.OwnModel() {
			d.Model = resolvePath(d.Model, l.dir)
		}
		d.LabelsFile, d.Library = resolvePath(d.LabelsFile, l.dir), resolvePath(d.Library, l.dir)
		if g := c.Edge.GB28181; g != nil {
			g.TLS.Cert, g.TLS.Key, g.TLS.ClientCA = resolvePath(g.TLS.Cert, l.dir), resolvePath(g.TLS.Key, l.dir), resolvePath(g.TLS.ClientCA, l.dir)
		}
		for i := range c.Edge.Cameras {
			cam := &c.Edge.Cameras[i]
			cam.TLS.CAFile = resolvePath(cam.TLS.CAFile, l.dir)
			cam.URL = absoluteFile(cam.URL, l.dir)
			cam.SubstreamURL = absoluteFile(cam.SubstreamURL, l.dir)
		}
	}
	if c.Center != nil {
		c.Center.TLSCert = resolvePath(c.Center.TLSCert, l.dir)
		c.Center.TLSKey = resolvePath(c.Center.TLSKey, l.dir)
		c.Center.DivisionsFile = resolvePath(c.Center.DivisionsFile, l.dir)
	}
}
