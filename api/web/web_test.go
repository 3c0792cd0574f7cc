package web

import (
	"bufio"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// read returns all built files by name.
func read(t *testing.T) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := fs.WalkDir(Files(), ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := fs.ReadFile(Files(), name)
		files[name] = string(b)
		return err
	})
	require.NoError(t, err)
	return files
}

func TestFilesHoldThePageAndAllItNames(t *testing.T) {
	files := read(t)
	index, ok := files["index.html"]
	require.True(t, ok, "index.html")
	refs := regexp.MustCompile(`(?:src|href)="([^"]+)"`).FindAllStringSubmatch(index, -1)
	require.Len(t, refs, 3, "script, style sheet and icon")
	for _, r := range refs {
		name, rooted := strings.CutPrefix(r[1], "/")
		require.True(t, rooted, "%s: the page is served for deeper addresses too", r[1])
		require.Contains(t, files, name)
		require.Regexp(t, `^assets/[a-z]+-[0-9a-f]{10}\.(js|css|svg)$`, name)
	}
}

func TestAssetNamesAreTheirContent(t *testing.T) {
	for name, body := range read(t) {
		if !strings.HasPrefix(name, "assets/") {
			continue
		}
		sum := sha256.Sum256([]byte(body))
		require.Contains(t, path.Base(name), "-"+hex.EncodeToString(sum[:5])+".", "cached for ever, so a changed file needs another name")
	}
}

func TestPageIsSmall(t *testing.T) {
	total := 0
	for _, body := range read(t) {
		total += len(body)
	}
	require.Less(t, total, 250<<10, "bytes of the built page")
}

// The policy default-src 'self' refuses inline scripts and styles, data: and
// other hosts; and a video room's network has no internet.
func TestPageNeedsNothingFromOutside(t *testing.T) {
	inline := regexp.MustCompile(`(?i)<script(?:[^>]*)>[^<]|<style|\son[a-z]+=|\sstyle=`)
	outside := regexp.MustCompile(`(?i)(?:https?:|wss?:)?//[a-z0-9-]+(?:\.[a-z0-9-]+)+`)
	for name, body := range read(t) {
		switch path.Ext(name) {
		case ".html":
			require.Empty(t, inline.FindAllString(body, -1), name)
			require.Empty(t, outside.FindAllString(body, -1), name)
		case ".css":
			require.False(t, strings.Contains(body, "url(") || strings.Contains(body, "@import"), name)
		case ".js":
			for _, found := range outside.FindAllString(body, -1) {
				require.Equal(t, "http://www.w3.org", found, "%s: only XML namespaces, which nobody fetches", name)
			}
			require.False(t, strings.Contains(body, "eval("), name)
		}
	}
}

func TestSourcesWriteNoMarkup(t *testing.T) {
	err := filepath.WalkDir("ui/src", func(name string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(name)
		require.False(t, strings.Contains(string(b), "dangerouslySetInnerHTML"), name)
		return err
	})
	require.NoError(t, err)
}

// dist is committed, and building the program does not rebuild it. built.sum is
// written by the page's build and lists what was built from what.
func TestBuiltPageIsThatOfTheSources(t *testing.T) {
	f, err := os.Open("ui/built.sum")
	require.NoError(t, err)
	defer f.Close()
	listed := make(map[string]string)
	for sc := bufio.NewScanner(f); sc.Scan(); {
		sum, name, ok := strings.Cut(sc.Text(), "  ")
		require.True(t, ok, sc.Text())
		listed[name] = sum
	}
	const remedy = "run npm ci && npm run build in api/web/ui and commit dist and built.sum"
	for _, root := range []string{"ui/src", "dist"} {
		err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
			if err == nil && !d.IsDir() {
				require.Contains(t, listed, filepath.ToSlash(name), remedy)
			}
			return err
		})
		require.NoError(t, err)
	}
	for name, want := range listed {
		b, err := os.ReadFile(filepath.FromSlash(name))
		require.NoError(t, err, remedy)
		sum := sha256.Sum256(b)
		require.Equal(t, want, hex.EncodeToString(sum[:]), "%s: %s", name, remedy)
	}
}

func TestLockFileNamesNoRegistry(t *testing.T) {
	b, err := os.ReadFile("ui/package-lock.json")
	require.NoError(t, err)
	addresses := regexp.MustCompile(`"resolved".*|.*\.tgz.*`).FindAllString(string(b), -1)
	require.Empty(t, addresses, "a lock file with addresses works only where it was made; set omit-lockfile-registry-resolved")
	p, err := os.ReadFile("ui/package.json")
	require.NoError(t, err)
	var pkg struct{ Dependencies, DevDependencies map[string]string }
	require.NoError(t, json.Unmarshal(p, &pkg))
	require.NotEmpty(t, pkg.Dependencies)
	for _, group := range []map[string]string{pkg.Dependencies, pkg.DevDependencies} {
		for name, version := range group {
			require.Regexp(t, `^\d+\.\d+\.\d+$`, version, "%s is pinned exactly", name)
		}
	}
}
