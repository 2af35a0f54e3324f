//go:build darwin || dragonfly || freebsd || linux || netbsd || openbsd

package cohort

import (
	"time"

	"golang.org/x/sys/unix"
)

// changeTime is when a file's content or description last changed; no program sets it. Zero if it is not known.
func changeTime(path string) time.Time {
	var st unix.Stat_t
	if unix.Stat(path, &st) != nil {
		return time.Time{}
	}
	return time.Unix(st.Ctim.Unix()).UTC()
}
