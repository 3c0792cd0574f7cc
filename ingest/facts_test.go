package ingest

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// happening is one thing that happens to a camera, at a second, and what the
// facts say then: transport, frames, picture as "yes", "no/reason", ….
type happening struct {
	at   float64
	do   func(*facts, time.Time) bool
	want string
}

func connected(f *facts, at time.Time) bool { return f.connected(at) }
func tick(f *facts, at time.Time) bool      { return f.tick(at) }
func unit(f *facts, at time.Time) bool      { return f.unit(false, 0, false, at) }
func jump(f *facts, at time.Time) bool      { return f.unit(false, 0, true, at) }
func key(sum uint64) func(*facts, time.Time) bool {
	return func(f *facts, at time.Time) bool { return f.unit(true, sum, false, at) }
}
func ended(r Reason) func(*facts, time.Time) bool {
	return func(f *facts, at time.Time) bool { return f.ended(r, "do this", at) }
}
func verdict(v Value, r Reason) func(*facts, time.Time) bool {
	return func(f *facts, at time.Time) bool { return f.picture(v, r, at) }
}

func brief(s State) string {
	one := func(f Fact) string {
		if f.Reason == ReasonNone {
			return f.Value.String()
		}
		return f.Value.String() + "/" + string(f.Reason)
	}
	return one(s.Transport) + " " + one(s.Frames) + " " + one(s.Picture)
}

func TestFacts(t *testing.T) {
	const start = "unknown/starting unknown/starting unknown/starting"
	for _, c := range []struct {
		name  string
		steps []happening
	}{
		{"comes up", []happening{
			{0, tick, start},
			{1, connected, "yes unknown/starting unknown/starting"},
			{2, key(1), "yes yes unknown"},
			{3, verdict(Yes, ""), "yes yes yes"},
			{4, unit, "yes yes yes"},
		}},
		{"never comes up", []happening{
			{1, ended(ReasonRefused), "no/refused no/refused unknown/refused"},
			{2, ended(ReasonAuthFailed), "no/auth_failed no/auth_failed unknown/auth_failed"},
			{9, connected, "yes no/auth_failed unknown/auth_failed"},
			{10, key(1), "yes yes unknown"},
		}},
		{"a short break is no outage of frames", []happening{
			{0, connected, "yes unknown/starting unknown/starting"},
			{1, key(1), "yes yes unknown"},
			{1, verdict(Yes, ""), "yes yes yes"},
			{5, ended(ReasonEnded), "no/ended yes yes"},
			{8, connected, "yes yes yes"},
			{9, key(2), "yes yes yes"},
		}},
		{"a long break is", []happening{
			{0, connected, "yes unknown/starting unknown/starting"},
			{1, key(1), "yes yes unknown"},
			{1, verdict(Yes, ""), "yes yes yes"},
			{5, ended(ReasonEnded), "no/ended yes yes"},
			{11, tick, "no/ended no/ended unknown/ended"},
			{12, ended(ReasonTimeout), "no/timeout no/timeout unknown/timeout"},
			{20, connected, "yes no/timeout unknown/timeout"},
			{21, unit, "yes yes unknown"},
			{22, key(2), "yes yes yes"}, // the verdict counts again; the analyser says when it changes
		}},
		{"stops while the session stands", []happening{
			{0, connected, "yes unknown/starting unknown/starting"},
			{1, key(1), "yes yes unknown"},
			{10.9, tick, "yes yes unknown"},
			{11, tick, "yes no/no_frames unknown/no_frames"},
			{12, unit, "yes yes unknown"},
		}},
		{"session without frames", []happening{
			{5, connected, "yes unknown/starting unknown/starting"},
			{14, tick, "yes unknown/starting unknown/starting"},
			{15, tick, "yes no/no_frames unknown/no_frames"},
		}},
		{"no key frame", []happening{
			{0, connected, "yes unknown/starting unknown/starting"},
			{1, unit, "yes yes unknown"},
			{10, unit, "yes yes unknown"},
			{19, unit, "yes yes unknown"},
			{20, unit, "yes yes no/no_key_frame"},
			{21, key(1), "yes yes unknown"},
		}},
		{"frozen, although the analyser is content", []happening{
			{0, connected, "yes unknown/starting unknown/starting"},
			{1, key(1), "yes yes unknown"},
			{1, verdict(Yes, ""), "yes yes yes"},
			{9, key(1), "yes yes yes"},
			{18, key(1), "yes yes yes"},
			{27, key(1), "yes yes yes"},
			{31, key(1), "yes yes no/frozen"},
			{32, unit, "yes yes no/frozen"},
			{33, key(2), "yes yes yes"},
		}},
		{"a key frame is not frozen because the next is late", []happening{
			{0, connected, "yes unknown/starting unknown/starting"},
			{1, key(1), "yes yes unknown"},
			{10, unit, "yes yes unknown"}, {19, unit, "yes yes unknown"}, {28, unit, "yes yes unknown"},
			{37, unit, "yes yes unknown"}, {38, key(2), "yes yes unknown"},
		}},
		{"the analyser's verdict", []happening{
			{0, connected, "yes unknown/starting unknown/starting"},
			{1, key(1), "yes yes unknown"},
			{2, verdict(No, ReasonUndecodable), "yes yes no/undecodable"},
			{3, verdict(Unknown, ""), "yes yes unknown"},
			{4, verdict(Yes, ""), "yes yes yes"},
			{5, verdict(Yes, ReasonSubstreamOnly), "yes yes yes/substream_only"},
		}},
		{"clock jumps", []happening{
			{0, connected, "yes unknown/starting unknown/starting"},
			{1, key(1), "yes yes unknown"},
			{2, jump, "yes yes/clock_jump unknown"},
			{3, jump, "yes yes/clock_jump unknown"},
			{4, jump, "yes no/clock_jump unknown"},
			{5, unit, "yes no/clock_jump unknown"},
			{63, unit, "yes yes/clock_jump unknown"},
			{65, key(2), "yes yes unknown"},
		}},
		{"switched off", []happening{
			{0, func(f *facts, at time.Time) bool { return f.off(ReasonForbidden, "", at) }, "unknown/forbidden unknown/forbidden unknown/forbidden"},
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			begin := time.Unix(1e9, 0)
			f := newFacts("c1", 10*time.Second, 30*time.Second, begin)
			was := brief(f.state)
			require.Equal(t, start, was)
			for _, s := range c.steps {
				changed := s.do(f, begin.Add(time.Duration(s.at*float64(time.Second))))
				require.Equal(t, s.want, brief(f.state), "at %g s", s.at)
				if s.want != was {
					require.True(t, changed, "at %g s", s.at)
				}
				was = s.want
			}
			require.Equal(t, ReasonNotOffered, f.state.Registered.Reason)
			require.Equal(t, ReasonNotOffered, f.state.Recording.Reason)
		})
	}
}

func TestFactsSince(t *testing.T) {
	begin := time.Unix(1e9, 0)
	f := newFacts("c1", 10*time.Second, 30*time.Second, begin)
	f.ended(ReasonRefused, "", begin.Add(time.Second))
	f.ended(ReasonTimeout, "", begin.Add(9*time.Second))
	require.Equal(t, begin.Add(time.Second), f.state.Transport.Since, "the value did not change, only its reason")
	require.Equal(t, ReasonTimeout, f.state.Transport.Reason)
	require.False(t, f.ended(ReasonTimeout, "", begin.Add(10*time.Second)), "nothing new")
	require.Equal(t, No, f.state.Online())
}

// Only into and out of degraded is news; frames that fail take the knowledge away.
func TestFactsAnalysis(t *testing.T) {
	at := time.Now()
	f := newFacts("c", 10*time.Second, 30*time.Second, at)
	f.connected(at)
	f.unit(true, 1, false, at)
	require.False(t, f.analysis(Analysis{Level: LevelGated, Analysed: 10, Of: 10}))
	require.True(t, f.analysis(Analysis{Level: LevelDegraded, Analysed: 15, Of: 20}))
	require.False(t, f.analysis(Analysis{Level: LevelDegraded, Analysed: 15, Of: 30}))
	require.InDelta(t, 30, f.state.Analysis.Of, 0)
	require.True(t, f.analysis(Analysis{Level: LevelFull, Analysed: 25, Of: 40}))
	f.tick(at.Add(11 * time.Second))
	require.Equal(t, No, f.state.Frames.Value)
	require.Zero(t, f.state.Analysis)
}
