# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Ground of the lab: loopback addresses, free ports, namespaces, services.

Nothing here knows DNS or placard.  A Service is one child process that is
started, waited for, and stopped by its process id.  A Namespace is a private
network (and mount) namespace; a Service and a plain function can both be run
inside one.
"""

import ctypes
import os
import random
import shutil
import signal
import socket
import subprocess
import threading
import time

SBIN = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CLONE_NEWNET = 0x40000000


class LabError(Exception):
    """Something of the lab itself (not of placard) did not work."""


def find_program(name):
    """Absolute path of an installed program, sbin included."""
    path = shutil.which(name, path=SBIN)
    if path is None:
        raise LabError(f"{name}: not installed")
    return path


def wait_for(condition, what, seconds=20, gap=0.02):
    """Call condition() until it is true; what names it in the failure."""
    end = time.monotonic() + seconds
    while True:
        found = condition()
        if found:
            return found
        if time.monotonic() > end:
            raise LabError(f"{what}: not so after {seconds} s")
        time.sleep(gap)


def own_address():
    """A loopback address that nobody else on this host is likely to use."""
    rand = random.SystemRandom()
    return "127.%d.%d.%d" % (rand.randint(1, 254), rand.randint(0, 254),
                             rand.randint(2, 254))


def free_port(address, ns=None):
    """A port that is free at address for UDP and for TCP.

    It lies below the range from which the kernel takes ports for outgoing
    sockets, so that nobody comes by it by chance before its user does.
    """
    def look():
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        rand = random.SystemRandom()
        for _ in range(50):
            with socket.socket(family, socket.SOCK_DGRAM) as udp, \
                    socket.socket(family, socket.SOCK_STREAM) as tcp:
                port = rand.randint(10000, 32000)
                try:
                    udp.bind((address, port))
                    tcp.bind((address, port))
                except OSError:
                    continue
                return port
        raise LabError(f"{address}: no free port")
    return ns.call(look) if ns else look()


def closed_port(address="127.0.0.1"):
    """A port at which nobody listens (a refusal comes back at once)."""
    return free_port(address)


def descendants(pid):
    """Process ids of pid and everything below it that lives now."""
    children = {}
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        try:
            with open(f"/proc/{entry}/stat", "rb") as stat:
                parent = int(stat.read().rsplit(b")", 1)[1].split()[1])
        except (OSError, IndexError):
            continue
        children.setdefault(parent, []).append(int(entry))
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        todo.extend(children.get(one, ()))
    return found


def alive(pid):
    """Is pid a process that is not a zombie?"""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            return stat.read().rsplit(b")", 1)[1].split()[0] != b"Z"
    except OSError:
        return False


def kill_tree(pid, sig=signal.SIGKILL):
    """Send sig to pid and everything below it."""
    for one in descendants(pid):
        try:
            os.kill(one, sig)
        except ProcessLookupError:
            pass


class Service:
    """One server process with a directory of its own."""

    name = "service"

    def __init__(self, directory, ns=None):
        self.dir = str(directory)
        self.ns = ns
        self.proc = None
        os.makedirs(self.dir, exist_ok=True)
        os.chmod(self.dir, 0o755)

    def path(self, *parts):
        return os.path.join(self.dir, *parts)

    def write(self, name, text, mode=0o644):
        path = self.path(name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w", encoding="utf-8") as out:
            out.write(text)
        os.chmod(path, mode)
        return path

    def spawn(self, argv):
        """Start argv; its output goes to <name>.out in the directory."""
        prefix = self.ns.prefix() if self.ns else []
        with open(self.path(self.name + ".out"), "ab") as out:
            self.proc = subprocess.Popen(
                prefix + argv, stdin=subprocess.DEVNULL, stdout=out,
                stderr=out, cwd=self.dir, start_new_session=True,
                env={"PATH": SBIN, "LC_ALL": "C"})

    def output(self):
        with open(self.path(self.name + ".out"), errors="replace") as out:
            return out.read()

    def ready(self):
        """Does it answer?  A kind of service says how to find out."""
        raise NotImplementedError

    def wait_ready(self):
        def look():
            if self.proc.poll() is not None:
                raise LabError(f"{self.name}: ended at start: "
                               f"{self.output()[-2000:]}")
            return self.call(self.ready)
        wait_for(look, f"{self.name} answers")

    def call(self, function, *args):
        """Run function where the service's addresses can be reached."""
        return self.ns.call(function, *args) if self.ns else function(*args)

    def stop(self, sig=signal.SIGTERM):
        """Stop by process id; a process that will not go is killed."""
        if self.proc is None:
            return
        if self.proc.poll() is None:
            self.proc.send_signal(sig)
            try:
                self.proc.wait(10)
            except subprocess.TimeoutExpired:
                kill_tree(self.proc.pid)
                self.proc.wait(10)
        self.proc = None

    def pause(self):
        """Make it wholly silent, without an ICMP refusal."""
        for pid in descendants(self.proc.pid):
            os.kill(pid, signal.SIGSTOP)

    def resume(self):
        for pid in descendants(self.proc.pid):
            os.kill(pid, signal.SIGCONT)

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_):
        self.stop()


class Namespace:
    """A network and mount namespace of our own, kept by a sleeping child."""

    def __init__(self, resolver=None, directory=None):
        self.holder = None
        self.resolver = resolver
        self.dir = directory
        self.addresses = {"127.0.0.1", "::1"}
        self._libc = ctypes.CDLL(None, use_errno=True)

    def start(self):
        command = "set -e; mount --make-rprivate /; ip link set lo up; "
        if self.resolver:
            path = os.path.join(self.dir, "resolv.conf")
            with open(path, "w", encoding="ascii") as out:
                out.write(f"nameserver {self.resolver}\n")
            command += f"mount --bind '{path}' /etc/resolv.conf; "
        user = [] if os.geteuid() == 0 else ["-r"]
        self.holder = subprocess.Popen(
            [find_program("unshare")] + user + ["-n", "-m", "sh", "-c",
             command + "echo ready; exec cat"],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env={"PATH": SBIN})
        if self.holder.stdout.readline() != b"ready\n":
            why = self.holder.stderr.read().decode(errors="replace")
            self.stop()
            raise LabError(f"namespace: {why.strip()}")
        return self

    def stop(self):
        if self.holder is None:
            return
        self.holder.stdin.close()
        try:
            self.holder.wait(5)
        except subprocess.TimeoutExpired:
            self.holder.kill()
            self.holder.wait(5)
        self.holder.stdout.close()
        self.holder.stderr.close()
        self.holder = None

    def prefix(self):
        """What to put before a command so that it runs inside."""
        user = [] if os.geteuid() == 0 else ["-U", "--preserve-credentials"]
        return ([find_program("nsenter"), "-t", str(self.holder.pid)] + user +
                ["-n", "-m", "--"])

    def add_address(self, address):
        """Give the loopback interface one address more."""
        if address not in self.addresses:
            width = 128 if ":" in address else 8
            self.run("ip", "addr", "add", f"{address}/{width}", "dev", "lo",
                     *(["nodad"] if ":" in address else []))
            self.addresses.add(address)

    def run(self, *argv):
        """Run a tool inside; its output is the result, failure is an error."""
        done = subprocess.run(self.prefix() + list(argv), text=True,
                              capture_output=True, env={"PATH": SBIN},
                              check=False)
        if done.returncode != 0:
            raise LabError(f"{' '.join(argv)}: {done.stderr.strip()}")
        return done.stdout

    def inside(self, path):
        """The path by which this process sees a mount made inside."""
        return f"/proc/{self.holder.pid}/root{path}"

    def call(self, function, *args):
        """Run function in a thread whose new sockets live inside."""
        box = {}

        def body():
            try:
                with open(f"/proc/{self.holder.pid}/ns/net", "rb") as ref:
                    if self._libc.setns(ref.fileno(), CLONE_NEWNET) != 0:
                        raise OSError(ctypes.get_errno(), "setns")
                box["value"] = function(*args)
            except BaseException as error:  # handed to the caller below
                box["error"] = error
        thread = threading.Thread(target=body)
        thread.start()
        thread.join()
        if "error" in box:
            raise box["error"]
        return box.get("value")

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.stop()


def namespaces_work():
    """Can this user make a namespace at all?"""
    try:
        with Namespace():
            return True
    except (LabError, OSError):
        return False
