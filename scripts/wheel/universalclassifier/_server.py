"""The child process ``uc serve-stdio``: requests out, answers in, one line of JSON each."""

from __future__ import annotations

import atexit
import collections
import json
import os
import subprocess
import sys
import threading
from typing import Any, Deque, Dict, List, Optional

from . import _binary

PROTOCOL = 1

# How long the child may take to end once its input is closed.
_PATIENCE_SECONDS = 5.0

# On Windows, waiting for an event cannot be interrupted; so it is done piece by piece.
_WAIT_SECONDS = 0.2 if sys.platform == "win32" else None


class ServerGone(Exception):
    """The child is no longer there."""


class Call:
    """A request under way."""

    def __init__(self, server: "Server", number: int) -> None:
        self.server = server
        self.number = number
        self.warnings: List[str] = []
        self.notes: List[str] = []
        self.result: Optional[Dict[str, Any]] = None
        self.error: Optional[Dict[str, str]] = None
        self.gone: Optional[ServerGone] = None
        self._done = threading.Event()

    def finish(self) -> None:
        self._done.set()

    def wait(self) -> None:
        """Wait for the answer; if the wait is interrupted, the request is cancelled."""
        try:
            while not self._done.wait(_WAIT_SECONDS):
                pass
        except BaseException:
            self.cancel()
            raise

    def cancel(self) -> None:
        self.server.cancel(self)


class Server:
    """A running ``uc serve-stdio``. It may be used by several threads."""

    def __init__(self) -> None:
        binary = _binary.path()
        self.pid = os.getpid()  # of this process: a fork of it must not use the pipes
        try:
            self.process = subprocess.Popen(
                [binary, "serve-stdio"],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                bufsize=0,  # raw files: they hold no lock that a fork could inherit
                cwd=os.path.dirname(binary),  # paths are absolute; no folder of the user's is kept busy
                creationflags=0x08000000 if sys.platform == "win32" else 0,  # CREATE_NO_WINDOW
            )
        except OSError as e:
            raise RuntimeError(f"{binary} does not start: {e}") from None
        self._lock = threading.Lock()
        self._writing = threading.Lock()
        self._calls: Dict[int, Call] = {}
        self._count = 0
        self._ended: Optional[str] = None
        self._said: Deque[bytes] = collections.deque(maxlen=40)  # last lines of the child's stderr
        self._stderr_reader = threading.Thread(target=self._read_stderr, name="uc-stderr", daemon=True)
        self._stderr_reader.start()
        threading.Thread(target=self._read_answers, name="uc-answers", daemon=True).start()

    def usable(self) -> bool:
        """Tell whether requests may be sent."""
        return self._ended is None and self.pid == os.getpid()

    def send(self, method: str, params: Dict[str, Any]) -> Call:
        """Send a request and return without waiting for the answer."""
        with self._lock:
            if self._ended is not None:
                raise ServerGone(self._ended)
            self._count += 1
            call = Call(self, self._count)
            self._calls[call.number] = call
        line = json.dumps({"id": call.number, "method": method, "params": params}) + "\n"
        try:
            with self._writing:
                self._write(line.encode("utf-8"))
        except (OSError, ValueError) as e:  # a broken pipe, or closed
            with self._lock:
                self._calls.pop(call.number, None)
            raise ServerGone(f"uc does not listen: {e}") from None
        return call

    def _write(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self.process.stdin.write(view):]  # type: ignore[union-attr]

    def cancel(self, call: Call) -> None:
        """Have the child give up a request; its answer is of no interest any more."""
        try:
            self.send("cancel", {"id": call.number})
        except ServerGone:
            pass

    def _read_answers(self) -> None:
        rest = b""
        ended = ""
        try:
            while True:
                data = os.read(self.process.stdout.fileno(), 1 << 16)  # type: ignore[union-attr]
                if not data:
                    break
                *lines, rest = (rest + data).split(b"\n")
                for line in lines:
                    self._take(json.loads(line))
        except Exception as e:  # nothing may leave callers waiting
            ended = f"the answers of uc cannot be read: {e!r}"
            self.process.kill()
        self._end(ended)

    def _take(self, message: Dict[str, Any]) -> None:
        if "id" not in message:
            if message.get("protocol") != PROTOCOL:
                raise RuntimeError(f"uc speaks protocol {message.get('protocol')}, this package {PROTOCOL}")
            return
        final = "result" in message or "error" in message
        with self._lock:
            call = self._calls.pop(message["id"], None) if final else self._calls.get(message["id"])
        if call is None:
            return
        if final:
            call.result, call.error = message.get("result"), message.get("error")
            call.finish()
        elif "warning" in message:
            call.warnings.append(message["warning"])
        elif "note" in message:
            call.notes.append(message["note"])

    def _read_stderr(self) -> None:
        rest = b""
        try:
            while True:
                data = os.read(self.process.stderr.fileno(), 1 << 16)  # type: ignore[union-attr]
                if not data:
                    break
                *lines, rest = (rest + data).split(b"\n")
                self._said.extend(lines)
                rest = rest[-4096:]
        except (OSError, ValueError):
            pass
        if rest:
            self._said.append(rest)
        self.process.stderr.close()  # type: ignore[union-attr]

    def _end(self, why: str) -> None:
        """Fail the requests under way: the child has ended."""
        code = self.process.wait()
        self._stderr_reader.join(1)
        with self._writing:
            self.process.stdin.close()  # type: ignore[union-attr]
        self.process.stdout.close()  # type: ignore[union-attr]
        if not why:
            how = f"was ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
            why = f"the uc process {how}"
            if code == -9:
                why += " (the system does that when memory runs out)"
        said = b"\n".join(self._said).decode("utf-8", "replace").strip()
        if said:
            why += ":\n" + said
        with self._lock:
            self._ended = why
            calls, self._calls = list(self._calls.values()), {}
        for call in calls:
            call.gone = ServerGone(why)
            call.finish()

    def close(self) -> None:
        """End the child."""
        try:
            self.process.stdin.close()  # type: ignore[union-attr]
        except OSError:
            pass
        try:
            self.process.wait(_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def forget(self) -> None:
        """Let go of the pipes in a fork of this process, so that the child still ends with its real parent."""
        self.process.returncode = 0  # it is not this process's child: there is nothing to wait for
        for pipe in (self.process.stdin, self.process.stdout, self.process.stderr):
            try:
                pipe.close()  # type: ignore[union-attr]
            except OSError:
                pass


_server: Optional[Server] = None
_starting = threading.Lock()


def get() -> Server:
    """Return the child of this process, starting it if there is none."""
    global _server
    with _starting:
        if _server is None or not _server.usable():
            _server = Server()
        return _server


def send(method: str, params: Dict[str, Any]) -> Call:
    """Send a request to the child; one that ended unnoticed since the last request is started again."""
    server = get()
    try:
        return server.send(method, params)
    except ServerGone:
        _drop(server)
    try:
        return get().send(method, params)
    except ServerGone as e:
        raise RuntimeError(str(e)) from None


def _drop(server: Server) -> None:
    """Make sure that a child that does not listen has ended, and is not asked again."""
    global _server
    with _starting:
        server.close()
        if _server is server:
            _server = None


def _at_exit() -> None:
    if _server is not None and _server.pid == os.getpid():
        _server.close()


def _after_fork() -> None:
    global _server, _starting
    _starting = threading.Lock()
    if _server is not None:
        _server.forget()
        _server = None


atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
