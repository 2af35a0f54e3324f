package driver

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/universal-classifier/uc/internal/env"
)

// A component is a library that the GPU needs, with the file names that it may have, best first.
type component struct {
	name  string
	files []string
}

// components for this system. The driver's own library comes with the driver and is only looked for where the loader
// looks.
func components() (cuda, nvrtc, cudnn component) {
	if runtime.GOOS == "windows" {
		return component{"driver", []string{"nvcuda.dll"}},
			component{"NVRTC", []string{"nvrtc64_130_0.dll", "nvrtc64_120_0.dll"}},
			component{"cuDNN", []string{"cudnn64_9.dll"}}
	}
	return component{"driver", []string{"libcuda.so.1", "/usr/lib/wsl/lib/libcuda.so.1"}},
		component{"NVRTC", []string{"libnvrtc.so.13", "libnvrtc.so.12"}},
		component{"cuDNN", []string{"libcudnn.so.9"}}
}

// Present reports whether the machine has an NVIDIA driver at all, without opening anything.
func Present() bool {
	files := []string{"/dev/nvidiactl", "/dev/nvidia0", "/proc/driver/nvidia/version", "/dev/dxg", "/dev/nvmap", "/dev/nvhost-gpu"}
	if runtime.GOOS == "windows" {
		system, _ := env.Windows()
		files = []string{filepath.Join(system, "System32", "nvcuda.dll")}
	}
	return slices.ContainsFunc(files, func(f string) bool {
		_, err := os.Stat(f)
		return err == nil
	})
}

// A place is a folder to look in, and why: the person reads it in `uc info`.
type place struct{ dir, why string }

const (
	// Given stands for the folder that the person named.
	Given = "the folder named"
	// loaderPath stands for wherever the system's loader looks.
	loaderPath = "loader path"
)

// places lists where NVIDIA's libraries may lie, in the order of preference. The folder given on the command line comes
// first, then the loader's own.
func places(given string) []place {
	var all []place
	add := func(why string, dirs ...string) {
		for _, d := range dirs {
			if !slices.ContainsFunc(all, func(p place) bool { return p.dir == d }) {
				all = append(all, place{d, why})
			}
		}
	}
	if given != "" {
		add(Given, given)
		add(Given, wheelDirs(given)...)
	}
	add(loaderPath, "")
	toolkits, pythons := env.Toolkits()
	for _, r := range toolkits {
		add(r.Variable, toolkitDirs(r.Dir)...)
	}
	for _, r := range pythons {
		for _, site := range sitePackages(r.Dir) {
			add(r.Variable, wheelDirs(site)...)
		}
		if r.Variable == "CONDA_PREFIX" {
			add(r.Variable, filepath.Join(r.Dir, "lib"), filepath.Join(r.Dir, "Library", "bin"))
		}
	}
	for _, site := range pythonSites() {
		add("python3 on PATH", wheelDirs(site)...)
	}
	if runtime.GOOS == "windows" {
		_, programs := env.Windows()
		found, _ := filepath.Glob(filepath.Join(programs, "NVIDIA", "CUDNN", "v9*", "bin", "*"))
		deeper, _ := filepath.Glob(filepath.Join(programs, "NVIDIA", "CUDNN", "v9*", "bin", "*", "x64"))
		add("installed", append(found, deeper...)...)
	} else {
		add("installed", toolkitDirs("/usr/local/cuda")...)
	}
	return all
}

// toolkitDirs are the folders of a CUDA toolkit that hold libraries.
func toolkitDirs(root string) []string {
	if runtime.GOOS == "windows" {
		return []string{filepath.Join(root, "bin"), filepath.Join(root, "bin", "x64")}
	}
	dirs := []string{filepath.Join(root, "lib64"), filepath.Join(root, "lib")}
	targets, _ := filepath.Glob(filepath.Join(root, "targets", "*-linux", "lib"))
	return append(dirs, targets...)
}

// sitePackages are the package folders of a Python environment.
func sitePackages(root string) []string {
	if runtime.GOOS == "windows" {
		return []string{filepath.Join(root, "Lib", "site-packages")}
	}
	found, _ := filepath.Glob(filepath.Join(root, "lib", "python3*", "site-packages"))
	return found
}

// wheelDirs are the library folders of NVIDIA's wheels in a package folder.
func wheelDirs(site string) []string {
	var dirs []string
	patterns := []string{"lib"}
	if runtime.GOOS == "windows" {
		patterns = []string{"bin", filepath.Join("bin", "x86_64"), filepath.Join("bin", "x64")}
	}
	for _, p := range patterns {
		found, _ := filepath.Glob(filepath.Join(site, "nvidia", "*", p))
		dirs = append(dirs, found...)
	}
	return dirs
}

// pythonTimeout is how long the Python on PATH may take to say where its packages are.
const pythonTimeout = 5 * time.Second

// pythonSites asks the Python on PATH for its package folders.
func pythonSites() []string {
	name := "python3"
	if runtime.GOOS == "windows" {
		name = "python"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), pythonTimeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, path, "-c", "import site, sys\nprint('\\n'.join(site.getsitepackages() + [site.getusersitepackages()]))")
	cmd.WaitDelay = time.Second
	out, err := cmd.Output()
	if err != nil {
		return nil
	}
	return strings.Fields(strings.ReplaceAll(string(out), "\r", ""))
}

// candidates lists the files a component may be opened by, with the reason of each. Only existing files are listed,
// but for the loader path, where a bare name stands for whatever the loader finds.
func candidates(c component, where []place) (paths []string, why []string) {
	for _, p := range where {
		for _, f := range c.files {
			path := f
			if p.dir != "" {
				path = filepath.Join(p.dir, f)
				if _, err := os.Stat(path); err != nil {
					continue
				}
			}
			paths, why = append(paths, path), append(why, p.why)
		}
	}
	return paths, why
}
