// Package coverage counts.
package coverage

import (
	"context"
	"errors"
	"io"
	"time"

	"github.com/sharpeyes/sharpeyes/api/store"
)

type Kind string

const (
	KindVillage   Kind = "village"
	KindCommunity Kind = "community"
	KindOther     Kind = "other"
)

type Division struct {
	Code string
	Name string
	Kind Kind // "" above the village level
}

type Divisions struct{}

func Builtin() (*Divisions, error)                         { return nil, errors.ErrUnsupported }
func LoadDivisions(r io.Reader) (*Divisions, error)        { return nil, errors.ErrUnsupported }
func (d *Divisions) Lookup(code string) ([]Division, bool) { return nil, false }
func (d *Divisions) Name(code string) string               { return "" }
func (d *Divisions) Known(code string) bool                { return false }
func (d *Divisions) Suggest(code string) string            { return "" }
func (d *Divisions) Check(code string) (bool, string)      { return false, "" }
func (d *Divisions) Villages(prefix string) []Division     { return nil }

var ErrUnknownDivision = errors.New("no such division")

type Options struct {
	MinPoints    int
	OfflineAfter time.Duration
	MaxRows      int
}

type Coverage struct{}

func New(st *store.Store, d *Divisions, opt Options) *Coverage { return nil }
func (c *Coverage) Report(ctx context.Context, prefix string, now time.Time) (*Report, error) {
	return nil, errors.ErrUnsupported
}
