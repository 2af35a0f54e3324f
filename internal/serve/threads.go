package serve

import (
	"os"
	"runtime"
	"strconv"
	"strings"
)

// processLimits are the files in which Linux says how many processes, which are threads too, a container may have.
var processLimits = []string{"/sys/fs/cgroup/pids.max", "/sys/fs/cgroup/pids/pids.max"}

// shareOfProcesses is the part of the allowed processes that the threads of this one may take. The rest is for the
// caller's.
const shareOfProcesses = 8

// limitThreads lowers the number of threads that compute where the number of processes is limited: containers are often
// allowed 256 on a machine with as many processors, and a program that cannot start a thread dies.
func limitThreads() {
	limit := userLimit()
	for _, path := range processLimits {
		b, err := os.ReadFile(path)
		if err != nil {
			continue
		}
		if n, err := strconv.ParseInt(strings.TrimSpace(string(b)), 10, 64); err == nil && (limit == 0 || n < limit) {
			limit = n
		}
	}
	if limit == 0 {
		return
	}
	if most := max(1, int(limit/shareOfProcesses)); runtime.GOMAXPROCS(0) > most {
		runtime.GOMAXPROCS(most)
	}
}
