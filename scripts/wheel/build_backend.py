"""Builds the Python package: wheels with uc inside for every platform, and the source distribution.

  python3 build_backend.py [--out DIR] [--version VERSION] [--host]

writes them all to DIR (default dist), or with --host the wheel of this platform alone. It is also the build backend (PEP 517)
of the source distribution and of this folder, so that pip builds the same. Needs Go; only Python's standard library.
"""

from __future__ import annotations

import argparse
import base64
import gzip
import hashlib
import io
import os
import platform
import re
import stat
import subprocess
import sys
import tarfile
import tempfile
import time
import zipfile

NAME = "universalclassifier"
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))  # of the repository, or of the unpacked source distribution
PACKAGE = os.path.join(HERE, NAME)
VERSION_FILE = os.path.join(HERE, "VERSION")  # in the source distribution only
LINK_VERSION = "github.com/universal-classifier/uc/internal/cli.Version"

# Platform tags of the wheels. The Linux binary calls libc's and libdl's oldest symbols only; Go 1.26 wants macOS 12.
TAGS = {
    "linux/amd64": ["manylinux_2_17_x86_64", "manylinux2014_x86_64"],
    "linux/arm64": ["manylinux_2_17_aarch64", "manylinux2014_aarch64"],
    "darwin/arm64": ["macosx_12_0_arm64"],
    "darwin/amd64": ["macosx_12_0_x86_64"],
    "windows/amd64": ["win_amd64"],
}

# Folders that the source distribution takes from the repository, and single files.
SOURCE_FOLDERS = ("cmd", "internal", "pkg", "scripts/wheel")
SOURCE_FILES = ("go.mod", "go.sum", "LICENSE", "README.md")


def describe() -> str:
    """The version as git describes it, or as the source distribution records it; the binary says it of itself."""
    if os.path.exists(VERSION_FILE):
        return read(VERSION_FILE).decode().strip()
    try:
        return run("git", "describe", "--tags", "--always", "--dirty").strip() or "devel"
    except (OSError, subprocess.CalledProcessError):
        return "devel"


def pep440(described: str) -> str:
    """v1.2.3 -> 1.2.3, v1.2.3-4-gabc -> 1.2.3.post4+gabc, abc -> 0.0.0+gabc, each with .dirty where there are local changes."""
    dirty = described.endswith("-dirty")
    if dirty:
        described = described[:-len("-dirty")]
    release = re.match(r"^v?(\d+(?:\.\d+)*)(?:-?(rc|a|b)\.?(\d+))?(?:-(\d+)-(g[0-9a-f]+))?$", described)
    local = ["dirty"] if dirty else []
    if not release or re.match(r"^[0-9a-f]{7,40}$", described):  # a commit may be all digits
        name = "g" + described if re.match(r"^[0-9a-f]{7,40}$", described) else re.sub(r"[^a-zA-Z0-9]+", ".", described).strip(".").lower()
        return "0.0.0+" + ".".join([name or "devel"] + local)
    number, pre, pre_number, commits, commit = release.groups()
    version = number + (pre + pre_number if pre else "") + (".post" + commits if commits else "")
    local = ([commit] if commit else []) + local
    return version + ("+" + ".".join(local) if local else "")


def run(*command: str, **env: str) -> str:
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, env={**os.environ, **env}).stdout.decode()


def read(path: str) -> bytes:
    with open(path, "rb") as f:
        return f.read()


def timestamp() -> int:
    """Of every file in what is built, so that the same sources give the same bytes; zip knows nothing before 1980."""
    return max(int(os.environ.get("SOURCE_DATE_EPOCH", 0)), 315532800)


def metadata(version: str) -> str:
    return f"""Metadata-Version: 2.1
Name: {NAME}
Version: {version}
Summary: Predict classes of 3D medical images (CT, MRI, OCT) with a trained universal classifier
Home-page: https://github.com/universal-classifier/uc
License: Apache-2.0
Classifier: Development Status :: 4 - Beta
Classifier: Intended Audience :: Science/Research
Classifier: License :: OSI Approved :: Apache Software License
Classifier: Programming Language :: Go
Classifier: Programming Language :: Python :: 3
Classifier: Topic :: Scientific/Engineering :: Medical Science Apps.
Classifier: Typing :: Typed
Requires-Python: >=3.8
Description-Content-Type: text/markdown

{read(os.path.join(HERE, "README.md")).decode()}"""


def build_binary(target: str, version: str, out: str) -> None:
    goos, goarch = target.split("/")
    go = os.environ.get("GO", "go")
    run(go, "build", "-trimpath", "-buildvcs=false", "-ldflags", f"-s -w -X {LINK_VERSION}={version}", "-o", out, "./cmd/uc",
        CGO_ENABLED="0", GOOS=goos, GOARCH=goarch)


def package_files() -> list:
    """The Python files, as names within the wheel and contents."""
    names = sorted(n for n in os.listdir(PACKAGE) if n.endswith(".py") or n == "py.typed")
    return [(f"{NAME}/{n}", read(os.path.join(PACKAGE, n))) for n in names if n != "_version.py"]


def make_wheel(target: str, out: str, described: str) -> str:
    """Write the wheel of a platform and return its file name."""
    version, tags = pep440(described), TAGS[target]
    file = f"{NAME}-{version}-py3-none-{'.'.join(tags)}.whl"
    info = f"{NAME}-{version}.dist-info"
    binary = "uc.exe" if target.startswith("windows/") else "uc"
    with tempfile.TemporaryDirectory() as tmp:
        build_binary(target, described, os.path.join(tmp, binary))
        program = read(os.path.join(tmp, binary))
    wheel = "Wheel-Version: 1.0\nGenerator: uc\nRoot-Is-Purelib: false\n" + "".join(f"Tag: py3-none-{tag}\n" for tag in tags)
    files = package_files() + [
        (f"{NAME}/_version.py", f'"""The version of this package."""\n\n__version__ = "{version}"\n'.encode()),
        (f"{NAME}/bin/{binary}", program),
        (f"{info}/METADATA", metadata(version).encode()),
        (f"{info}/WHEEL", wheel.encode()),
        (f"{info}/entry_points.txt", f"[console_scripts]\nuc = {NAME}._binary:main\n".encode()),
        (f"{info}/top_level.txt", f"{NAME}\n".encode()),
        (f"{info}/LICENSE", read(os.path.join(ROOT, "LICENSE"))),
    ]
    record = "".join(f"{name},sha256={digest(data)},{len(data)}\n" for name, data in files) + f"{info}/RECORD,,\n"
    files.append((f"{info}/RECORD", record.encode()))
    os.makedirs(out, exist_ok=True)
    with whole(os.path.join(out, file)) as f, zipfile.ZipFile(f, "w", zipfile.ZIP_DEFLATED) as z:
        for name, data in files:
            entry = zipfile.ZipInfo(name, time.gmtime(timestamp())[:6])
            mode = 0o755 if name.startswith(f"{NAME}/bin/") else 0o644
            entry.external_attr = (stat.S_IFREG | mode) << 16
            entry.create_system = 3  # Unix, whatever builds it: pip keeps the permissions of these only
            entry.compress_type = zipfile.ZIP_DEFLATED
            z.writestr(entry, data, compresslevel=9)
    return file


def digest(data: bytes) -> str:
    return base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")


class whole:
    """A file that appears when it is complete, or not at all."""

    def __init__(self, path: str) -> None:
        self.path = path

    def __enter__(self):
        self.file = open(self.path + ".tmp", "wb")
        return self.file

    def __exit__(self, failed, *_):
        self.file.close()
        if failed:
            os.remove(self.path + ".tmp")
        else:
            os.replace(self.path + ".tmp", self.path)


def source_names() -> list:
    """The files of the repository, or of the unpacked source distribution, that the source distribution holds."""
    if os.path.exists(VERSION_FILE):
        names = [os.path.relpath(os.path.join(d, f), ROOT).replace(os.sep, "/") for top in SOURCE_FOLDERS
                 for d, _, files in os.walk(os.path.join(ROOT, top)) for f in files] + list(SOURCE_FILES)
    else:
        names = run("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard", "--", *SOURCE_FOLDERS, *SOURCE_FILES).split("\0")
    dropped = re.compile(r"_test\.go$|(^|/)(testdata|_asm|__pycache__)/|^scripts/wheel/(VERSION|tests/)")
    return sorted({n for n in names if n and not dropped.search(n) and os.path.exists(os.path.join(ROOT, n))})


def make_sdist(out: str, described: str) -> str:
    """Write the source distribution and return its file name."""
    version = pep440(described)
    base = f"{NAME}-{version}"
    files = [(n, read(os.path.join(ROOT, n))) for n in source_names()]
    project = read(os.path.join(HERE, "pyproject.toml")).replace(b'backend-path = ["."]', b'backend-path = ["scripts/wheel"]')
    files += [("pyproject.toml", project), ("PKG-INFO", metadata(version).encode()), ("scripts/wheel/VERSION", described.encode() + b"\n")]
    os.makedirs(out, exist_ok=True)
    with whole(os.path.join(out, base + ".tar.gz")) as f, gzip.GzipFile(base + ".tar", "wb", 9, f, timestamp()) as z, \
            tarfile.open(fileobj=z, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in sorted(files):
            entry = tarfile.TarInfo(f"{base}/{name}")
            entry.size, entry.mtime, entry.mode = len(data), timestamp(), 0o644
            tar.addfile(entry, io.BytesIO(data))
    return base + ".tar.gz"


def host() -> str:
    """The platform that this Python runs on, as Go names it."""
    goos = {"win32": "windows"}.get(sys.platform, sys.platform)
    machine = platform.machine().lower()
    target = goos + "/" + {"x86_64": "amd64", "aarch64": "arm64"}.get(machine, machine)
    if target not in TAGS:
        raise SystemExit(f"no wheel for {target}; there are wheels for {', '.join(TAGS)}")
    return target


# The hooks of PEP 517.

def build_wheel(wheel_directory, config_settings=None, metadata_directory=None):
    return make_wheel(host(), wheel_directory, describe())


def build_sdist(sdist_directory, config_settings=None):
    return make_sdist(sdist_directory, describe())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", default=os.path.join(ROOT, "dist"), help="folder for what is built (default: dist)")
    parser.add_argument("--version", help="version instead of git's")
    parser.add_argument("--host", action="store_true", help="only the wheel of this platform")
    options = parser.parse_args()
    described = options.version or describe()
    files = [make_wheel(target, options.out, described) for target in ([host()] if options.host else TAGS)]
    if not options.host:
        files.append(make_sdist(options.out, described))
    for file in files:
        path = os.path.join(options.out, file)
        print(f"{path}  {os.path.getsize(path) / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
