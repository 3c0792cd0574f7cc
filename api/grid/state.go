package grid

// State is where an event is in its life (domain reference §5.3).
type State string

// The states.
const (
	Reported           State = "reported"            // 上报
	Accepted           State = "accepted"            // 受理
	Rejected           State = "rejected"            // 不予受理
	Filed              State = "filed"               // 立案
	Dispatched         State = "dispatched"          // 派遣
	Returned           State = "returned"            // 回退
	Handling           State = "handling"            // 处置中
	ExtensionRequested State = "extension_requested" // 延期申请
	Suspended          State = "suspended"           // 挂账
	FedBack            State = "fed_back"            // 反馈
	Verifying          State = "verifying"           // 核查
	VerifyFailed       State = "verify_failed"       // 验证未通过
	Closed             State = "closed"              // 结案
	Evaluated          State = "evaluated"           // 评价
	Archived           State = "archived"            // 归档
)

// States returns all states in the order of an event's life.
func States() []State {
	return []State{
		Reported, Accepted, Rejected, Filed, Dispatched, Returned, Handling, ExtensionRequested,
		Suspended, FedBack, Verifying, VerifyFailed, Closed, Evaluated, Archived,
	}
}

// maxReturns is how often a unit may hand an event back before the centre must
// decide otherwise (ours; §5.3 leaves the number open).
const maxReturns = 3

// step is one allowed way from a state to another.
type step struct {
	from, to State
	note     bool  // a reason or result must be given
	notBy    State // who made the latest step into this state may not make this one
	times    int   // how often an event may go this way, 0 for any
}

// steps is the whole state machine. What is not here is refused.
func steps() []step {
	return []step{
		{from: Reported, to: Accepted},
		{from: Reported, to: Rejected, note: true},
		{from: Accepted, to: Filed},
		{from: Filed, to: Dispatched},
		{from: Filed, to: Suspended, note: true},
		{from: Dispatched, to: Handling},
		{from: Dispatched, to: Returned, note: true, times: maxReturns},
		{from: Dispatched, to: Suspended, note: true},
		{from: Returned, to: Dispatched},
		{from: Handling, to: ExtensionRequested, note: true},
		{from: ExtensionRequested, to: Handling, notBy: ExtensionRequested}, // approver ≠ handler
		{from: Handling, to: Suspended, note: true},
		{from: Suspended, to: Dispatched},
		{from: Suspended, to: Handling},
		{from: Handling, to: FedBack, note: true},
		{from: FedBack, to: Verifying, notBy: FedBack}, // verifier ≠ handler
		{from: Verifying, to: VerifyFailed, note: true, notBy: FedBack},
		{from: Verifying, to: Closed, notBy: FedBack},
		{from: VerifyFailed, to: Handling},
		{from: Closed, to: Evaluated, note: true},
		{from: Closed, to: Archived},
		{from: Evaluated, to: Archived},
		{from: Rejected, to: Archived},
	}
}

// Next returns the states an event may go to from s, in the order of steps.
func Next(s State) []State {
	var out []State
	for _, st := range steps() {
		if st.from == s {
			out = append(out, st.to)
		}
	}
	return out
}

func findStep(from, to State) (step, bool) {
	for _, s := range steps() {
		if s.from == from && s.to == to {
			return s, true
		}
	}
	return step{}, false
}
