package memory

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// available reads /proc/meminfo and the limits of the control groups, version 2 or 1.
func available() int64 {
	free := meminfo("/proc/meminfo")
	b, err := os.ReadFile("/proc/self/cgroup")
	if err != nil {
		return free
	}
	for _, line := range strings.Split(strings.TrimSpace(string(b)), "\n") {
		part := strings.SplitN(line, ":", 3)
		if len(part) != 3 {
			continue
		}
		var root, limit, usage, cache string
		switch {
		case part[0] == "0":
			root, limit, usage, cache = "/sys/fs/cgroup", "memory.max", "memory.current", "inactive_file"
		case strings.Contains(","+part[1]+",", ",memory,"):
			root, limit, usage, cache = "/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"
		default:
			continue
		}
		// Every group above has a say. Inside a container the group's own path may not exist, but the root does.
		for dir := filepath.Clean("/" + part[2]); ; dir = filepath.Dir(dir) {
			if left, ok := groupLeft(filepath.Join(root, dir), limit, usage, cache); ok && (free <= 0 || left < free) {
				free = left
			}
			if dir == "/" {
				break
			}
		}
	}
	return free
}

// meminfo is MemAvailable in bytes, or 0.
func meminfo(path string) int64 {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0
	}
	return field(string(b), "MemAvailable:") << 10
}

// groupLeft is what one control group may still take; page cache that can be dropped counts as free.
func groupLeft(dir, limit, usage, cache string) (int64, bool) {
	most, ok1 := number(filepath.Join(dir, limit))
	used, ok2 := number(filepath.Join(dir, usage))
	if !ok1 || !ok2 {
		return 0, false
	}
	if b, err := os.ReadFile(filepath.Join(dir, "memory.stat")); err == nil {
		used -= field(string(b), cache)
	}
	return max(most-max(used, 0), 1), true
}

func number(path string) (int64, bool) {
	b, err := os.ReadFile(path)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64)
	return n, err == nil
}

// field is the number behind the first line that starts with name and a space, or 0.
func field(text, name string) int64 {
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) >= 2 && f[0] == name {
			n, _ := strconv.ParseInt(f[1], 10, 64)
			return n
		}
	}
	return 0
}
