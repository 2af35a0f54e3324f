package serve

import "golang.org/x/sys/unix"

// userLimit is how many processes the user may have, 0 for any number.
func userLimit() int64 {
	var l unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NPROC, &l); err != nil || l.Cur == unix.RLIM_INFINITY || l.Cur > 1<<31 {
		return 0
	}
	return int64(l.Cur)
}
