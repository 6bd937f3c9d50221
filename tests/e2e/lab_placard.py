# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Run the placard of a build, with a configuration of its own."""

import base64
import fcntl
import hashlib
import json
import os
import pty
import select
import sqlite3
import struct
import subprocess
import termios
import time

import lab_schema
from lab_net import SBIN, LabError, find_program, kill_tree, wait_for

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
TIMEOUT = float(os.environ.get("PLACARD_TEST_TIMEOUT", "120"))


def build_dir():
    """Where the built programs are."""
    return os.path.abspath(os.environ.get("PLACARD_BUILD", ROOT))


def value(seed="x"):
    """A dns-01 value: 43 characters of base64url, the same for a seed."""
    digest = hashlib.sha256(f"value {seed}".encode()).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


class Result:
    """What one command did."""

    def __init__(self, argv, status, out, err):
        self.argv = argv
        self.status = status
        self.out = out
        self.err = err

    def __repr__(self):
        return (f"{' '.join(self.argv)}\n  status {self.status}\n"
                f"  stdout {self.out[-3000:]!r}\n"
                f"  stderr {self.err[-3000:]!r}")

    @property
    def lines(self):
        return [line for line in self.out.splitlines() if line.strip()]

    @property
    def objects(self):
        """Standard output as NDJSON; anything else on it fails."""
        return [lab_schema.loads(line) for line in self.lines]

    @property
    def reports(self):
        """Standard output as reports, each checked strictly."""
        return [lab_schema.check_report(one) for one in self.objects]

    @property
    def report(self):
        reports = self.reports
        assert len(reports) == 1, f"{len(reports)} reports instead of one"
        return reports[0]

    @property
    def challenges(self):
        return [c for report in self.reports for c in report["challenges"]]

    def errors(self):
        """All error objects of a --json run, wherever they were printed."""
        found = []
        for line in (self.out + "\n" + self.err).splitlines():
            if line.lstrip().startswith("{"):
                found += lab_schema.find_errors(lab_schema.loads(line))
        for error in found:
            lab_schema.check_error(error)
        return found

    def text(self):
        return self.out + self.err


class Placard:
    """A configuration, a state directory, and the command."""

    def __init__(self, directory, ns=None, build=None):
        self.dir = str(directory)
        self.ns = ns
        self.build = build or build_dir()
        self.accounts = {}
        self.routes = []
        self.verify = {}
        self.extra = ""
        self.state = os.path.join(self.dir, "state")
        self.config = os.path.join(self.dir, "placard.conf")
        self.environ = {}
        self.global_args = []
        os.makedirs(self.state, mode=0o700, exist_ok=True)

    # -- configuration

    def secret_file(self, name, text, mode=0o600):
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="ascii") as out:
            out.write(text + "\n")
        os.chmod(path, mode)
        return path

    def account(self, name, provider, **options):
        """An account; key_name becomes key-name, None leaves it out."""
        self.accounts[name] = {"provider": provider} | {
            k.replace("_", "-"): v for k, v in options.items()
            if v is not None}
        return self

    def rfc2136(self, name, peer, key=None, **options):
        """The account of a NameServer or Liar."""
        key = key or peer.key
        settings = {
            "server": peer.where(), "key_name": key.name,
            "key_algorithm": key.algorithm,
            "key_secret_file": self.secret_file(f"{name}.secret",
                                                key.secret)}
        return self.account(name, "rfc2136", **(settings | options))

    def route(self, suffix, *accounts, **options):
        self.routes.append((suffix, accounts, options))
        return self

    def servers(self, *where):
        """Name servers that verification asks, in place of discovery."""
        self.verify["servers"] = list(where)
        self.verify.setdefault("resolvers", list(where[:1]))
        return self

    @staticmethod
    def _literal(thing):
        if isinstance(thing, bool):
            return "true" if thing else "false"
        if isinstance(thing, int):
            return str(thing)
        if isinstance(thing, (list, tuple)):
            return "{ " + ", ".join(Placard._literal(t)
                                    for t in thing) + " }"
        return '"' + str(thing).replace("\\", "\\\\").replace(
            '"', '\\"') + '"'

    def _options(self, options):
        return "".join(f"  {k.replace('_', '-')} = {self._literal(v)}\n"
                       for k, v in options.items())

    def text(self):
        text = f"state-directory = {self._literal(self.state)}\n"
        for name, options in self.accounts.items():
            text += f'account "{name}" {{\n{self._options(options)}}}\n'
        for suffix, accounts, options in self.routes:
            body = self._options(options)
            if len(accounts) == 1:
                body += f"  account = {self._literal(accounts[0])}\n"
            elif accounts:
                body += f"  accounts = {self._literal(accounts)}\n"
            text += f'route "{suffix}" {{\n{body}}}\n'
        if self.verify:
            text += f"verify {{\n{self._options(self.verify)}}}\n"
        return text + self.extra

    def write(self, text=None):
        """Write the configuration (text: one made by hand)."""
        with open(self.config, "w", encoding="utf-8") as out:
            out.write(self.text() if text is None else text)
        os.chmod(self.config, 0o600)
        return self.config

    # -- running

    def program(self, name="placard"):
        path = os.path.join(self.build, name)
        if not os.access(path, os.X_OK):
            raise LabError(f"{path}: not built (PLACARD_BUILD names the "
                           "build directory)")
        return path

    def env(self, extra=None):
        env = {"PATH": SBIN, "HOME": self.dir, "LC_ALL": "C.UTF-8",
               "PLACARD_LIBEXEC": self.build}
        for name in ("ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS"):
            if name in os.environ:
                env[name] = os.environ[name]
        env.update(self.environ)
        env.update(extra or {})
        return env

    def argv(self, args, wrap=()):
        if not os.path.exists(self.config):
            self.write()
        prefix = self.ns.prefix() if self.ns else []
        return (prefix + list(wrap) +
                [self.program(), "-c", self.config] + self.global_args +
                [str(a) for a in args])

    def popen(self, *args, wrap=(), env=None, stdin=subprocess.DEVNULL,
              **more):
        """Start it and return the Popen, text mode, both outputs piped."""
        more.setdefault("stdout", subprocess.PIPE)
        more.setdefault("stderr", subprocess.PIPE)
        return subprocess.Popen(
            self.argv(args, wrap), env=self.env(env), stdin=stdin,
            text=True, cwd=self.dir, **more)

    def finish(self, proc, data=None, timeout=TIMEOUT):
        """Wait for a popen() and make a Result of it."""
        try:
            out, err = proc.communicate(data, timeout=timeout)
        except subprocess.TimeoutExpired:
            kill_tree(proc.pid)
            out, err = proc.communicate()
            raise AssertionError(
                f"{' '.join(proc.args)}: not done in {timeout} s\n"
                f"stdout {out[-2000:]!r}\nstderr {err[-2000:]!r}") from None
        return Result(proc.args, proc.returncode, out, err)

    def run(self, *args, data=None, timeout=TIMEOUT, wrap=(), env=None):
        """Run to the end; data is standard input."""
        stdin = subprocess.DEVNULL if data is None else subprocess.PIPE
        return self.finish(self.popen(*args, wrap=wrap, env=env,
                                      stdin=stdin), data, timeout)

    def bare(self, *args):
        """Run without -c, as somebody who has no configuration."""
        return self.finish(subprocess.Popen(
            [self.program(), *args], env=self.env(), text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, cwd=self.dir))

    def json(self, *args, **rest):
        """Run with --json."""
        return self.run("--json", *args, **rest)

    def ok(self, *args, **rest):
        """Run and insist on exit status 0."""
        done = self.run(*args, **rest)
        assert done.status == 0, done
        return done

    def tty(self, *args, timeout=TIMEOUT):
        """Run with standard error on a terminal; a Result."""
        leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ,
                    struct.pack("HHHH", 24, 100, 0, 0))
        proc = self.popen(*args, stderr=follower, env={"TERM": "xterm"})
        os.close(follower)
        err, out, end = b"", b"", time.monotonic() + timeout
        fds = {leader, proc.stdout.fileno()}
        while fds:
            if time.monotonic() > end:
                kill_tree(proc.pid)
                raise AssertionError(f"{proc.args}: not done: {err!r}")
            for fd in select.select(fds, [], [], 0.5)[0]:
                try:
                    data = os.read(fd, 65536)
                except OSError:     # the terminal's other side is closed
                    data = b""
                if not data:
                    fds.discard(fd)
                elif fd == leader:
                    err += data
                else:
                    out += data
        os.close(leader)
        proc.stdout.close()
        return Result(proc.args, proc.wait(), out.decode(), err.decode())

    # -- what tests ask for most

    def job_file(self, *jobs, name="job.json"):
        """Write jobs (objects or raw text), one a line; the path."""
        path = os.path.join(self.dir, name)
        with open(path, "w", encoding="utf-8", newline="") as out:
            for job in jobs:
                out.write(job if isinstance(job, str) else json.dumps(job))
                out.write("\n")
        return path

    def listed(self):
        """The lines of `placard list`."""
        return self.ok("list").lines

    def quiet_journal(self):
        """Is nothing of ours left, by placard's own word?"""
        done = self.ok("--json", "list")
        return not done.lines


    def fold_log(self):
        """Move the journal's log into the database, so that the next command
        begins a new one."""
        path = os.path.join(self.state, "journal.db")
        if os.path.exists(path):
            link = sqlite3.connect(path)
            link.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            link.close()


def mentions(text, server):
    """Is a server named as ADDR:PORT, or as dig writes it, ADDR#PORT?"""
    where = server.where()
    return where in text or where.replace(":", "#") in text


def dns01(domain, seed="x", **more):
    """A dns-01 challenge as a job's member."""
    return {"method": "dns-01", "domain": domain, "value": value(seed)} | more


def job(*challenges, name="t", **more):
    return {"job": name} | more | {"challenges": list(challenges)}


def strace():
    return find_program("strace")


def workers_of(pid, name="placard-"):
    """Worker processes below pid: {pid: program name}."""
    from lab_net import descendants
    found = {}
    for one in descendants(pid):
        try:
            program = os.path.basename(os.readlink(f"/proc/{one}/exe"))
        except OSError:
            continue
        if program.startswith(name):
            found[one] = program
    return found


def wait_listed(placard, count=1):
    """Wait until the journal lists count things."""
    return wait_for(lambda: len(placard.listed()) >= count,
                    f"{count} listed", gap=0.1)
