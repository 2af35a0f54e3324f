//go:build !linux && !noasm

package cpulevel

// tilesPermitted is for systems on which AMX has not been tried.
func tilesPermitted() bool { return false }
