// Package web holds the browser interface as built files. It serves nothing
// itself and imports nothing of ours: api/server puts the files behind its
// routes. The sources stand in ui/ (TypeScript, Preact); `npm run build` there
// writes dist/, which is committed so that building the program needs no Node.
package web

import (
	"embed"
	"io/fs"
)

//go:embed all:dist
var dist embed.FS

// Files returns the built page, rooted so that "index.html" opens. Everything
// under "assets/" carries a hash of its content in its name and may be cached
// for ever; every other file must be revalidated. The page loads no resource
// from outside and works under the policy default-src 'self'. The result is
// read-only and safe for concurrent use.
func Files() fs.FS {
	sub, err := fs.Sub(dist, "dist")
	if err != nil {
		// fs.Sub fails only for an invalid name, and "dist" is a constant
		// that the embed directive above has checked at compile time.
		panic(err)
	}
	return sub
}
