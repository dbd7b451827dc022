"""`takean run`: three processes that live and die apart, and one that brings back whoever died.

The supervisor loads nothing of the program and holds nothing but the lock of the state folder: no port, no reading.
What it starts are commands of the same program; each says on a pipe when it is ready, and the kernel ends it when the
supervisor is no more.
"""

import ctypes
import faulthandler
import fcntl
import json
import logging
import os
import selectors
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

log = logging.getLogger(__name__)

ORDER = ("worker", "dispatch", "web")
"""In which they are started. They are stopped the other way round: the pages say that they end, then what is due is
sent, and the worker judges to the last."""
BESIDE = "mirror"
"""One more where there are mirrors. Nobody is warned by it: the others never wait for it, nor end with it."""
STOP_S_MAX: Mapping[str, float] = {BESIDE: 5.0, "web": 10.0, "dispatch": 15.0, "worker": 25.0}
"""Then it is killed: what is on disk is whole at any moment."""
STEADY_S = 30.0
"""Whoever ran so long is brought back at once; who dies sooner waits, twice as long each time."""
WAIT_S, WAIT_S_MAX = 0.5, 15.0
HUNG_S = 30.0
"""A worker that has not turned for so long ends itself, and is brought back."""
READERS = ("worker", "web", BESIDE)
"""Who of them reads stations and rules, and is brought back when these have changed."""
SECRETS: Mapping[str, str] = {"TAKEAN_BROKER_PASSWORD": "worker", "TAKEAN_MIRROR_TOKEN": BESIDE}
"""Who of them needs it; the others never have it in their environment."""
LOCK = "lock"
WRONG = 2
FAILED = 1
_PR_SET_PDEATHSIG = 1


@dataclass(slots=True)
class _Child:
    name: str
    process: subprocess.Popen[bytes] | None = None
    ready: Mapping[str, object] | None = None
    """What it said when it was ready, of its newest start."""
    was_ready: bool = False
    """Once, since the beginning."""
    pipe: int = -1
    received: bytes = b""
    started_s: float = 0.0
    deaths: int = 0
    """In a row, each after less than STEADY_S."""
    due_s: float = 0.0
    """When to start it, while it has no process."""
    renewed_by_s: float = 0.0
    """It was told to end, to be started again: when it is killed; 0 otherwise."""

    def is_beginning(self, now_s: float) -> bool:
        """Whether it will be there in a moment, with what it reads now."""
        if self.process is None:
            return self.due_s <= now_s
        return self.ready is None or bool(self.renewed_by_s)


class Supervisor:
    """Runs the three until a signal, or until one of them cannot begin.

    Parameters
    ----------
    command : starts a process by its name; `--ready FD --parent PID` is added
    announce : called once, with what each said when it was ready
    may_reload : whether what they would read is without mistakes; asked when it is said that it has changed
    lock : what `hold` returned: others learn from it whom to tell
    beside : whether BESIDE is one of them
    """

    def __init__(
        self,
        command: Callable[[str], Sequence[str]],
        *,
        announce: Callable[[Mapping[str, Mapping[str, object]]], None],
        may_reload: Callable[[], bool] = lambda: True,
        lock: int = -1,
        beside: bool = False,
    ) -> None:
        self._command = command
        self._announce = announce
        self._children = [_Child(name) for name in (*ORDER, *([BESIDE] if beside else []))]
        self._selector = selectors.DefaultSelector()
        self._may_reload = may_reload
        self._lock = lock
        self._stopping = False
        self._changed = False
        self._old: list[_Child] = []
        self._announced = False

    def run(self) -> int:
        """Until the end; returns the exit code."""
        wake, woken = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(woken, False)
        before = signal.set_wakeup_fd(woken)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            if number != signal.SIGHUP or signal.getsignal(number) is not signal.SIG_IGN:  # else it is of nohup
                signal.signal(number, self._stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGUSR1, self._reload)
        if self._lock >= 0:
            os.pwrite(self._lock, b"%d\n" % os.getpid(), 0)
        self._selector.register(wake, selectors.EVENT_READ)
        try:
            code = self._watch(wake)
        finally:
            killed = self._end()
            signal.set_wakeup_fd(before)
        return code or (FAILED if killed else 0)

    def _stop(self, *_: object) -> None:
        self._stopping = True

    def _reload(self, *_: object) -> None:
        self._changed = True

    def _renew(self) -> None:
        """Have those end that have read what is old; they are back at once."""
        self._changed = False
        if not self._may_reload():
            log.error("the configuration has mistakes; what runs goes on as it is")
            return
        self._old = [child for child in self._children if child.name in READERS]

    def _renew_next(self) -> None:
        """One after the other: who judges has the machine for itself while it begins."""
        now_s = time.monotonic()
        while self._old and not any(c.is_beginning(now_s) for c in self._children if c.name != BESIDE):
            child = self._old.pop(0)
            if child.process is not None:  # else it will read what is new anyway
                child.renewed_by_s = now_s + STOP_S_MAX[child.name]
                child.process.terminate()

    def _watch(self, wake: int) -> int:
        while not self._stopping:
            if self._changed:
                self._renew()
            self._renew_next()
            for child in self._children:
                if child.process is None:
                    if time.monotonic() >= child.due_s:
                        self._start(child)
                elif (code := child.process.poll()) is not None:
                    self._read(child)  # it may have been ready for a moment
                    if (end := self._died(child, code)) is not None:
                        return end
                elif child.renewed_by_s and time.monotonic() >= child.renewed_by_s:
                    child.process.kill()
            self._announce_once()
            waits = [
                (c.due_s if c.process is None else c.renewed_by_s) - time.monotonic()
                for c in self._children
                if c.process is None or c.renewed_by_s
            ]
            for key, _ in self._selector.select(max(0.0, min(waits)) if waits else None):
                if key.fileobj == wake:
                    with suppress(BlockingIOError):
                        os.read(wake, 4096)
                else:
                    self._read(key.data)
        return 0

    def _start(self, child: _Child) -> None:
        child.started_s, child.ready, child.received = time.monotonic(), None, b""
        try:
            child.pipe, theirs = os.pipe()
            try:
                os.set_blocking(child.pipe, False)
                self._selector.register(child.pipe, selectors.EVENT_READ, child)
                # A group of its own: Ctrl-C in a terminal is for the supervisor, which stops them in order.
                child.process = subprocess.Popen(  # noqa: S603  (our own program)
                    [*self._command(child.name), "--ready", str(theirs), "--parent", str(os.getpid())],
                    pass_fds=(theirs,),
                    process_group=0,
                    stdin=subprocess.DEVNULL,
                    env={k: v for k, v in os.environ.items() if SECRETS.get(k, child.name) == child.name},
                )
            finally:
                os.close(theirs)
        except OSError as error:  # no file, process or memory to be had just now: they that run go on
            self._again(child, f"could not be started: {error}")

    def _read(self, child: _Child) -> None:
        if child.pipe < 0:
            return
        try:
            data = os.read(child.pipe, 65_536)
        except BlockingIOError:
            return
        child.received += data
        if not data:
            self._close(child)
            with suppress(ValueError):
                child.ready = json.loads(child.received)
                child.was_ready = True

    def _close(self, child: _Child) -> None:
        if child.pipe >= 0:
            with suppress(KeyError):
                self._selector.unregister(child.pipe)
            os.close(child.pipe)
            child.pipe = -1

    def _died(self, child: _Child, code: int) -> int | None:
        """Bring it back, now or later; the exit code if it never could begin."""
        child.process = None
        if child.renewed_by_s:
            log.info("%s ended to read the configuration again", child.name)
            self._close(child)
            child.due_s = child.renewed_by_s = 0.0
            return None
        if code > 0 and not child.was_ready and child.name != BESIDE:
            # It has said why. Nothing is served by half.
            self._close(child)
            return WRONG if code == WRONG else FAILED
        self._again(child, f"died (signal {signal.Signals(-code).name})" if code < 0 else f"died (exit code {code})")
        return None

    def _again(self, child: _Child, what: str) -> None:
        self._close(child)
        lived_s = time.monotonic() - child.started_s
        child.deaths = 0 if lived_s >= STEADY_S else child.deaths + 1
        wait_s = 0.0 if child.deaths <= 1 else min(WAIT_S_MAX, WAIT_S * 2 ** (child.deaths - 2))
        child.due_s = time.monotonic() + wait_s
        log.error("%s %s after %.1f s; started again in %.1f s", child.name, what, lived_s, wait_s)

    def _announce_once(self) -> None:
        if not self._announced and all(child.ready is not None for child in self._children if child.name != BESIDE):
            self._announced = True
            self._announce({child.name: child.ready for child in self._children if child.ready is not None})

    def _end(self) -> bool:
        """Stop them in order; True if one had to be killed."""
        killed = False
        for child in reversed(self._children):
            if child.process is None:
                continue
            child.process.terminate()
            try:
                # One that was only beginning has not yet learned to answer the signal.
                killed |= child.process.wait(STOP_S_MAX[child.name]) not in (0, -signal.SIGTERM)
            except subprocess.TimeoutExpired:
                log.error("%s did not stop within %g s and was killed", child.name, STOP_S_MAX[child.name])
                child.process.kill()
                child.process.wait()
                killed = True
            self._close(child)
        return killed


def finished(command: Sequence[str]) -> int:
    """Run a command to its end; its exit code."""
    return subprocess.run(command, stdin=subprocess.DEVNULL, check=False).returncode  # noqa: S603  (our own program)


def hold(folder: Path) -> int:
    """Be the only one on a state folder until the file that is returned is closed, or this process ends, however it
    ends. What it starts does not hold it.

    Raises
    ------
    OSError : another one is
    """
    file = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(file)
        raise OSError(f"{folder}: another Takean runs on this state folder; stop it, or name another folder") from None
    os.ftruncate(file, 0)
    return file


def reload(folder: Path) -> bool:
    """Tell the supervisor of a state folder that the configuration has changed; False where none runs there.

    Raises
    ------
    OSError : it belongs to another user
    """
    try:
        file = os.open(folder / LOCK, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        pid = os.read(file, 32)  # nothing while it starts, or where a demonstration holds the folder
        if pid:
            os.kill(int(pid), signal.SIGUSR1)
        return bool(pid)
    finally:
        os.close(file)
    return False


def die_if_silent(seconds: float = HUNG_S) -> None:
    """End this process with exit code 1 and the stacks of its threads, unless this is called again in time.

    The interpreter need not work for that: one that hangs is just the case.
    """
    faulthandler.dump_traceback_later(seconds, exit=True)


def die_with(parent: int) -> None:
    """End this process at once when the supervisor ends, however it ends."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # it was quicker
        os.kill(os.getpid(), signal.SIGKILL)


def say_ready(pipe: int, **what: object) -> None:
    """Tell the supervisor."""
    with os.fdopen(pipe, "wb") as file, suppress(BrokenPipeError):
        file.write(json.dumps(what).encode())


def program(name: str) -> Sequence[str]:
    """A command of this program."""
    return (sys.executable, "-m", "takean", name)
