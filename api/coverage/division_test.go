package coverage

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func builtin(t testing.TB) *Divisions {
	t.Helper()
	d, err := Builtin()
	require.NoError(t, err)
	return d
}

// TestBuiltinCounts holds the table that ships to the numbers counted from the
// package it was made of (domain reference §8.3).
func TestBuiltinCounts(t *testing.T) {
	d := builtin(t)
	for _, tc := range []struct {
		prefix                                   string
		all, village, community, other, counties int
	}{
		{"36", 22080, 16947, 4706, 427, 100},
		{"3609", 2794, 2201, 540, 53, 10},
		{"3602", 718, 474, 200, 44, 4},
		{"3601", 2263, -1, -1, -1, 9},
		{"360103", 172, 13, 150, 9, 1},
		{"360921", 201, -1, -1, -1, 1},
		{"360981", 609, -1, -1, -1, 1},
		{"11", 0, 0, 0, 0, 0},
	} {
		kinds, counties := map[Kind]int{}, map[string]bool{}
		all := d.Villages(tc.prefix)
		for _, v := range all {
			kinds[v.Kind]++
			counties[v.Code[:6]] = true
			require.Equal(t, KindOf(v.Name), v.Kind, v.Name)
			path, ok := d.Lookup(v.Code)
			require.True(t, ok)
			require.Len(t, path, 5, "every level of %s is there", v.Code)
		}
		require.Len(t, all, tc.all, tc.prefix)
		require.Len(t, counties, tc.counties, tc.prefix)
		if tc.village >= 0 {
			require.Equal(t, []int{tc.village, tc.community, tc.other}, []int{kinds[KindVillage], kinds[KindCommunity], kinds[KindOther]}, tc.prefix)
		}
	}
	require.Contains(t, d.Source(), "2023")
}

func TestLookup(t *testing.T) {
	d := builtin(t)
	path, ok := d.Lookup("360921100001")
	require.True(t, ok)
	require.Equal(t, []string{"江西省", "宜春市", "奉新县", "冯川镇", "蒋家堎社区居委会"}, []string{path[0].Name, path[1].Name, path[2].Name, path[3].Name, path[4].Name})
	require.Equal(t, KindCommunity, path[4].Kind)
	require.Equal(t, "宜春市 奉新县 冯川镇 蒋家堎社区居委会", d.Name("360921100001"))
	require.Equal(t, "宜春市", d.Name("3609"))
	require.Equal(t, "江西省", d.Name("36"))
	require.Empty(t, d.Name("360921100999"))
	require.True(t, d.Known("360921100001"))
	for _, no := range []string{"", "36", "360921", "360921100", "360921100999", "36092110000", "abc"} {
		require.False(t, d.Known(no), no)
	}
	known, hint := d.Check("360921100001")
	require.True(t, known)
	require.Empty(t, hint)
}

func TestKindOf(t *testing.T) {
	for name, want := range map[string]Kind{
		"下保村委会": KindVillage, "上村村民委员会": KindVillage, "陈垄村民委会": KindVillage,
		"蒋家堎社区居委会": KindCommunity, "建新社区居委员会": KindCommunity, "金御湾社区居民委会": KindCommunity, "城东居民委员会": KindCommunity,
		"麦园林场生活区": KindOther, "国营历居寺分场生活区": KindOther, "新田村": KindOther,
	} {
		require.Equal(t, want, KindOf(name), name)
	}
}

func TestSuggest(t *testing.T) {
	d := builtin(t)
	for _, tc := range []struct{ name, code, want string }{
		{"two digits swapped", "360921010001", "360921100001 (宜春市 奉新县 冯川镇 蒋家堎社区居委会)"},
		{"a digit too many", "3609211000001", "360921100001 ("},
		{"a digit missing", "36092110001", "360921100001 ("},
		{"a wrong last digit", "360921100999", "360921100"},
		{"unknown village", "360921100888", "a code below 360921100 (宜春市 奉新县 冯川镇), such as 360921100001"},
		{"unknown town", "360921888888", "a code below 360921 (宜春市 奉新县), such as 3609211"},
		{"another province", "110101001001", "center.divisions_file a table that has province 11"},
		{"a county", "360921", "12 digits of a village or community, such as 360921"},
		{"words", "奉新县", "12 digits"},
		{"nothing", "", "12 digits"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			known, got := d.Check(tc.code)
			require.False(t, known)
			require.Contains(t, got, tc.want)
		})
	}
	require.Empty(t, (&Divisions{}).Suggest("360921100001"))
}

const small = `code,name,kind
36,江西省,
3609,宜春市,
360921,奉新县,
360921100,冯川镇,
360921100001,蒋家堎社区居委会,
360921100201,甲村委会,village
360921100202,乙林场,village
`

func TestLoadDivisions(t *testing.T) {
	for name, in := range map[string]string{
		"as it is":        small,
		"byte order mark": "\uFEFF" + small,
		"Windows lines":   strings.ReplaceAll(small, "\n", "\r\n"),
		"children first":  "code,name,kind\n360921100201,甲村委会,\n360921100202,乙林场,village\n360921100001,蒋家堎社区居委会,\n360921100,冯川镇,\n360921,奉新县,\n3609,宜春市,\n36,江西省,\n",
		"quoted":          strings.ReplaceAll(small, "冯川镇", `"冯川镇"`),
	} {
		t.Run(name, func(t *testing.T) {
			d, err := LoadDivisions(strings.NewReader(in))
			require.NoError(t, err)
			require.Equal(t, []Division{{"360921100001", "蒋家堎社区居委会", KindCommunity}, {"360921100201", "甲村委会", KindVillage}, {"360921100202", "乙林场", KindVillage}}, d.Villages(""))
			require.Equal(t, "宜春市 奉新县 冯川镇 乙林场", d.Name("360921100202"), "the file's kind wins over the name's")
		})
	}
}

func TestLoadDivisionsRefuses(t *testing.T) {
	const head = "code,name,kind\n"
	for _, tc := range []struct{ name, in, want string }{
		{"empty", "", "line 1: empty"},
		{"another header", "code,name,parent\n", "line 1: header"},
		{"two columns", "code,name\n", "wrong number of fields"},
		{"nothing but a header", head, "line 2: no division"},
		{"three digits", head + "36,江西省,\n361,某,\n", "line 3: code \"361\": want 2, 4, 6, 9 or 12 digits"},
		{"letters", head + "3x,江西省,\n", "line 2: code"},
		{"full-width digits", head + "３６,江西省,\n", "line 2: code"},
		{"no name", head + "36,,\n", "line 2: name"},
		{"blank around", head + "36, 江西省,\n", "line 2: name"},
		{"control character", head + "36,\"江\n西\",\n", "line 2: name"},
		{"not UTF-8", head + "36,\xbd\xad\xce\xf7,\n", "line 2: name"}, // GBK, as spreadsheets write it
		{"long name", head + "36," + strings.Repeat("江", 65) + ",\n", "line 2: name"},
		{"kind above the village", head + "36,江西省,village\n", "line 2: kind"},
		{"unknown kind", small + "360921100203,丙,hamlet\n", "line 9: kind \"hamlet\""},
		{"twice", small + "36,江西省,\n", "line 9: code 36 stands in line 2 already"},
		{"no parent", head + "36,江西省,\n360921,奉新县,\n", "line 3: code 360921: its parent 3609 is not in the table"},
		{"broken quotes", small + "360921100203,\"丙,\n", "line 9"},
		{"too few columns", small + "360921100203,丙\n", "line 9"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			_, err := LoadDivisions(strings.NewReader(tc.in))
			require.ErrorContains(t, err, tc.want)
		})
	}
	t.Run("all at once", func(t *testing.T) {
		_, err := LoadDivisions(strings.NewReader(head + "1,a,\n36,,\n3609,宜春市,\n"))
		require.ErrorContains(t, err, "line 2:")
		require.ErrorContains(t, err, "line 3:")
		require.ErrorContains(t, err, "line 4:")
	})
	t.Run("not more than people read", func(t *testing.T) {
		_, err := LoadDivisions(strings.NewReader(head + strings.Repeat("1,a,\n", 1000)))
		require.Equal(t, maxProblems+1, strings.Count(err.Error(), "\n")+1)
		var orphans strings.Builder
		orphans.WriteString(head)
		for i := range 100 {
			fmt.Fprintf(&orphans, "%04d,x,\n", i)
		}
		_, err = LoadDivisions(strings.NewReader(orphans.String()))
		require.Equal(t, maxProblems, strings.Count(err.Error(), "\n")+1)
	})
	t.Run("the reader fails", func(t *testing.T) {
		_, err := LoadDivisions(io.MultiReader(strings.NewReader(small), iotest.ErrReader(io.ErrClosedPipe)))
		require.ErrorIs(t, err, io.ErrClosedPipe)
	})
}

func FuzzLoadDivisions(f *testing.F) {
	f.Add(small)
	f.Add("\uFEFFcode,name,kind\r\n36,\"江\"\"西\",\r\n")
	f.Add("code,name,kind\n36,江西省,\n36,江西省,\n3609,\xff,x\n")
	f.Add("code,name,kind\n360921100001,甲,other\n")
	f.Fuzz(func(t *testing.T, in string) {
		d, err := LoadDivisions(strings.NewReader(in))
		if err != nil {
			require.Regexp(t, `line \d+`, err.Error(), "an error says where")
			return
		}
		for _, r := range d.rows {
			path, ok := d.Lookup(r.Code)
			require.True(t, ok)
			require.Equal(t, r, path[len(path)-1])
			require.Len(t, path[0].Code, 2, "every division hangs under a province")
			require.Equal(t, len(r.Code) == 12, r.Kind != "")
			require.NotEmpty(t, d.Name(r.Code))
		}
		d.Suggest(in)
	})
}

func FuzzSuggest(f *testing.F) {
	d := builtin(f)
	for _, s := range []string{"", "36", "360921100001", "3609211000012", "999999999999", "３６", "-1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, code string) {
		known, hint := d.Check(code)
		require.Equal(t, known, hint == "", "who is not known is told what to write")
	})
}
