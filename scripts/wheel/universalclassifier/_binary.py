"""The program uc, which lies in this package."""

from __future__ import annotations

import os
import subprocess
import sys


def path() -> str:
    """Return the path of the program; RuntimeError if it is not there or cannot be run."""
    name = "uc.exe" if sys.platform == "win32" else "uc"
    binary = os.path.join(os.path.dirname(os.path.abspath(__file__)), "bin", name)
    if not os.path.isfile(binary):
        raise RuntimeError(f"{binary} is missing: install the universalclassifier wheel of this platform with pip")
    if not os.access(binary, os.X_OK):  # unpacked by something that drops the permissions
        try:
            os.chmod(binary, 0o755)
        except OSError as e:
            raise RuntimeError(f"{binary} may not be executed: {e.strerror}; run: chmod +x {binary}") from None
    return binary


def main() -> None:
    """Run uc in place of this process, with its arguments and exit code."""
    try:
        binary = path()
    except RuntimeError as e:
        sys.exit(f"uc: {e}")
    if sys.platform != "win32":
        os.execv(binary, [binary, *sys.argv[1:]])
    process = subprocess.Popen([binary, *sys.argv[1:]])
    while True:
        try:
            sys.exit(process.wait())
        except KeyboardInterrupt:  # uc gets it too, and ends the job cleanly
            pass
