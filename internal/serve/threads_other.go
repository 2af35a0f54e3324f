//go:build !linux

package serve

func userLimit() int64 { return 0 }
