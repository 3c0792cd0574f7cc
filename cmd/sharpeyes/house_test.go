package main

import (
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

const module = "github.com/sharpeyes/sharpeyes"

// rooms is the import table: which room may import which of ours. Imports run
// against the flow of the data, so the first stage knows nobody.
var rooms = map[string][]string{
	"cmd/sharpeyes": {"configs", "ingest", "ingest/rtsp", "ingest/replay", "gb28181", "gb28181/simulate", "detect", "detect/ffmpeg", "detect/model", "detect/onnx", "detect/opencv", "detect/alert", "api", "api/stream", "api/store", "api/grid", "api/coverage", "api/audit", "api/server", "api/web"},
	"configs":       {},
	"ingest":        {"configs"},
	"ingest/rtsp":   {"configs", "ingest"},
	"ingest/replay": {"ingest"},
	// GB/T 28181: pictures out of MPEG-PS, bodies out of SIP, streams out of RTP,
	// and the platform above them. The simulated device shares only the muxer.
	"gb28181":          {"configs", "ingest", "gb28181/manscdp", "gb28181/media"},
	"gb28181/manscdp":  {},
	"gb28181/media":    {"ingest", "gb28181/ps"},
	"gb28181/ps":       {},
	"gb28181/simulate": {"ingest", "ingest/replay", "gb28181/ps"},
	"detect":           {"configs", "ingest"},
	"detect/ffmpeg":    {"detect", "ingest"},
	"detect/model":     {"detect"},
	"detect/onnx":      {"detect", "detect/model"},
	"detect/opencv":    {"detect", "detect/model"},
	"detect/alert":     {"configs", "detect", "ingest"},
	// Small model files for tests.
	"detect/model/modeltest": {},
	// A private PostgreSQL server for tests.
	"api/store/pgtest": {},
	"api":              {"detect/alert", "ingest"},
	"api/stream":       {"api"},
	"api/store":        {"api"},
	"api/grid":         {"api", "api/store"},
	"api/coverage":     {"api", "api/store"},
	"api/audit":        {"api/store"},
	"api/server":       {"api", "api/stream", "api/store", "api/grid", "api/coverage", "api/audit"},
	"api/web":          {},
}

// foreign says in which rooms a library may be imported. Tests may import them
// anywhere: they stand in for the far end.
var foreign = map[string][]string{
	"gocv.io/x/gocv":                  {"detect/opencv"},
	"github.com/yalue/onnxruntime_go": {"detect/onnx"},
	"github.com/gin-gonic/gin":        {"api/server"},
	"github.com/redis/go-redis":       {"api/stream", "cmd/sharpeyes"},
	"github.com/bluenviron/gortsplib": {"ingest/rtsp"},
	"github.com/emiago/sipgo":         {"gb28181"},
	"github.com/jackc/pgx":            {"api/store", "api/store/pgtest"},
	"github.com/minio/minio-go":       {"api/store"},
	"modernc.org/sqlite":              {"api/store"},
	"C":                               {"detect/ffmpeg", "detect/opencv"},
}

// goFile is one file of the repository and what it imports.
type goFile struct {
	room, name string
	test       bool
	imports    []string
}

// repository parses the import clauses of every Go file.
func repository(t *testing.T) []goFile {
	t.Helper()
	root := filepath.Join("..", "..")
	var files []goFile
	err := fs.WalkDir(os.DirFS(root), ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == "testdata" || d.Name() == "node_modules" || d.Name() == "dist" || (p != "." && strings.HasPrefix(d.Name(), "."))):
			return fs.SkipDir
		case d.IsDir() || path.Ext(p) != ".go":
			return nil
		}
		f, err := parser.ParseFile(token.NewFileSet(), filepath.Join(root, p), nil, parser.ImportsOnly)
		if err != nil {
			return err
		}
		g := goFile{room: path.Dir(p), name: p, test: strings.HasSuffix(p, "_test.go")}
		for _, i := range f.Imports {
			s, err := strconv.Unquote(i.Path.Value)
			if err != nil {
				return err
			}
			g.imports = append(g.imports, s)
		}
		files = append(files, g)
		return nil
	})
	require.NoError(t, err)
	require.Greater(t, len(files), 30, "the walk did not find the repository")
	return files
}

// TestImportTable fails on an arrow that is not in the table and on a folder
// without a line in it.
func TestImportTable(t *testing.T) {
	for _, f := range repository(t) {
		allowed, known := rooms[f.room]
		if !known {
			t.Errorf("%s: the room %q has no line in the import table", f.name, f.room)
			continue
		}
		for _, imp := range f.imports {
			ours, ok := strings.CutPrefix(imp, module+"/")
			if !ok || f.test {
				continue
			}
			if !slices.Contains(allowed, ours) {
				t.Errorf("%s imports %s: not an arrow of the import table", f.name, ours)
			}
		}
	}
}

// TestForeignLibraries keeps each library that shapes a room inside that room.
func TestForeignLibraries(t *testing.T) {
	for _, f := range repository(t) {
		for _, imp := range f.imports {
			for lib, where := range foreign {
				if (imp == lib || strings.HasPrefix(imp, lib+"/")) && !f.test && !slices.Contains(where, f.room) {
					t.Errorf("%s imports %s: only %v may", f.name, imp, where)
				}
			}
		}
	}
}
