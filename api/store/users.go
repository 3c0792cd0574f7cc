package store

import "time"

// Role is what a user may do.
type Role string

// The roles: an admin may everything, duty may decide on alerts, a viewer looks.
const (
	RoleAdmin  Role = "admin"
	RoleDuty   Role = "duty"
	RoleViewer Role = "viewer"
)

// User is a person who may log in. Name is the login; Display is the name that
// the access register and the events show (Order 799 Art. 16 asks for it).
type User struct {
	Name         string // unique login, 1 to 64 characters
	Display      string
	Unit         string
	Post         string
	Role         Role
	PasswordHash string // opaque to the store
	MustChange   bool   // the password was given, not chosen
	Disabled     bool
	Created      time.Time
}

// MayTriage says whether the user may decide on alerts.
func (u User) MayTriage() bool {
	return !u.Disabled && (u.Role == RoleAdmin || u.Role == RoleDuty)
}

// Session is a login. The store knows the hash of the token, never the token.
type Session struct {
	TokenHash string
	CSRF      string
	User      User
	Created   time.Time
	Seen      time.Time
	Expires   time.Time
}
