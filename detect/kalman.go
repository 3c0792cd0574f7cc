package detect

// axis is a constant-velocity Kalman filter in one dimension: a place and a
// speed with their covariance. Units are shares of the picture and seconds.
type axis struct {
	p, v       float64
	pp, pv, vv float64
}

// newAxis starts at p with no speed. size is the object's extent along the
// axis; noise and speed are taken in proportion to it, since a near object
// moves over more of the picture than a far one.
func newAxis(p, size float64) axis {
	return axis{p: p, pp: sq(boxNoise * size), vv: sq(size)}
}

// What the filter expects, in extents of the object.
const (
	boxNoise = 0.05 // how far a box stands from the object, standard deviation
	agility  = 0.6  // how much the speed changes in a second, standard deviation
)

func sq(v float64) float64 { return v * v }

// predict moves on by dt seconds. The noise is that of a random acceleration.
func (a *axis) predict(dt, size float64) {
	q := sq(agility * size)
	a.p += a.v * dt
	a.pp += dt*(2*a.pv+dt*a.vv) + q*dt*dt*dt/3
	a.pv += dt*a.vv + q*dt*dt/2
	a.vv += q * dt
}

// correct takes in a measured place.
func (a *axis) correct(z, size float64) {
	s := a.pp + sq(boxNoise*size) + 1e-12
	kp, kv := a.pp/s, a.pv/s
	y := z - a.p
	a.p += kp * y
	a.v += kv * y
	a.vv -= kv * a.pv
	a.pv *= 1 - kp
	a.pp *= 1 - kp
}
