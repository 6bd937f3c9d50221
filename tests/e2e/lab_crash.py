# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Kill, stop or starve placard at the N-th system call of a kind.

strace counts the calls of every process for itself.  So "sendto, 3" means the
third sendto of whichever process comes to its third first.
"""

import collections
import os
import re
import signal
import time

import lab
from lab_placard import TIMEOUT

JOURNAL = ["pwrite64", "fdatasync", "fsync", "ftruncate", "unlink"]
SEND = ["sendto", "sendmsg", "sendmmsg", "write", "writev"]
PLACE = ["openat2", "linkat", "renameat", "renameat2", "unlinkat", "mkdirat",
         "fsync", "fchmod"]
CALL = re.compile(r"^(\d+) +([a-z0-9_]+)\(")


class Strace:
    """One placard command line, and the ways to disturb it."""

    def __init__(self, placard, args):
        self.placard = placard
        self.args = args
        self.log = os.path.join(placard.dir, "strace.log")

    def _wrap(self, calls, inject=None):
        wrap = [lab.strace(), "-f", "-q", "-o", self.log, "-e",
                "trace=" + ",".join(calls)]
        return wrap + (["-e", "inject=" + inject] if inject else [])

    def _env(self):
        old = os.environ.get("ASAN_OPTIONS")
        # LeakSanitizer does not work under ptrace.
        return {"ASAN_OPTIONS": (old + ":" if old else "") +
                "detect_leaks=0"}

    def count(self, calls):
        """Run undisturbed; {call: the most that one process makes}."""
        done = self.placard.run(*self.args, wrap=self._wrap(calls),
                                env=self._env())
        assert done.status == 0, done
        seen = collections.Counter()
        with open(self.log, errors="replace") as log:
            for line in log:
                found = CALL.match(line)
                if found:
                    seen[found.groups()] += 1
        most = {}
        for (_, call), number in seen.items():
            most[call] = max(most.get(call, 0), number)
        return most

    def kill(self, call, number):
        """Whichever process makes the call dies before it takes effect.

        False if none came that far.
        """
        self.placard.run(
            *self.args, env=self._env(), wrap=self._wrap(
                [call], f"{call}:signal=KILL:when={number}"))
        with open(self.log, errors="replace") as log:
            return "+++ killed by SIGKILL +++" in log.read()

    def fail(self, call, number, error):
        """From the number-th on, the call fails with an errno."""
        return self.placard.run(
            *self.args, env=self._env(), wrap=self._wrap(
                [call], f"{call}:error={error}:when={number}+"))

    def cut_power(self, call, number):
        """After the call took effect, everything dies at once.

        The process is stopped on its way out of the call; then all of
        placard is killed, the engine first.  False if it ended before.
        """
        proc = self.placard.popen(
            *self.args, env=self._env(), start_new_session=True,
            wrap=self._wrap([call],
                            f"{call}:signal=STOP:when={number}"))
        stopped = self._wait_stopped(proc)
        if stopped:
            self._kill_all(proc)
        self.placard.finish(proc)
        return stopped

    @staticmethod
    def _tracees(proc):
        """All that strace follows; when the engine is gone, its workers are
        nobody's descendants any more."""
        below = [pid for pid in lab.descendants(proc.pid) if pid != proc.pid]
        return below or [pid for pid in map(int, filter(
            str.isdigit, os.listdir("/proc"))) if tracer(pid) == proc.pid]

    def _wait_stopped(self, proc):
        end = time.monotonic() + TIMEOUT
        while proc.poll() is None:
            assert time.monotonic() < end, "neither stopped nor done"
            for pid in self._tracees(proc):
                if held(pid):
                    return True
            time.sleep(0.005)
        return False

    def _kill_all(self, proc):
        for _ in range(3):      # what is born meanwhile dies as well
            for pid in self._tracees(proc):
                try:
                    os.kill(pid, signal.SIGKILL)
                except ProcessLookupError:
                    continue


def tracer(pid):
    try:
        with open(f"/proc/{pid}/status", encoding="ascii",
                  errors="replace") as status:
            return int(status.read().split("TracerPid:")[1].split()[0])
    except (OSError, IndexError):
        return 0


def held(pid):
    """Is a traced process in a group stop (SIGSTOP, not a system call)?

    A system call stop of strace is over within microseconds; a group stop
    stays, so it is looked at three times.
    """
    for _ in range(3):
        try:
            with open(f"/proc/{pid}/stat", "rb") as stat:
                state = stat.read().rsplit(b")", 1)[1].split()[0]
            with open(f"/proc/{pid}/syscall", "rb") as call:
                first = call.read()
        except OSError:
            return False
        if state not in (b"t", b"T"):
            return False
        time.sleep(0.03)
        try:
            with open(f"/proc/{pid}/syscall", "rb") as call:
                if call.read() != first:
                    return False
        except OSError:
            return False
    return True


def points(count, soak, few=5):
    """Numbers 1..count: all of them, or a few from first to last."""
    if soak or count <= few:
        return list(range(1, count + 1))
    step = (count - 1) / (few - 1)
    return sorted({1 + round(i * step) for i in range(few)})
