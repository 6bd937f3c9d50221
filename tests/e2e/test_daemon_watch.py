# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""What can be seen of placardd: metrics, systemd's messages, the socket."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

import pytest

import lab
from lab_daemon import Daemon
from lab_net import wait_for

SAMPLE = re.compile(r'^placard_[a-z_]+(\{[a-z]+="[^"]*"(,[a-z]+="[^"]*")*\})?'
                    r" -?[0-9.e+]+$")


def job_of(bed, name, **more):
    return lab.job(lab.dns01(bed.zone, name), name=name, **more)


def samples(text):
    found = {}
    for line in text.splitlines():
        if not line.startswith("#"):
            assert SAMPLE.match(line), line
            name, number = line.rsplit(" ", 1)
            assert name not in found, line
            found[name] = float(number)
    return found


def get(url):
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(url, timeout=10) as answer:
        assert answer.headers["Content-Type"].startswith("text/plain")
        return answer.read().decode()


@pytest.mark.quick
def test_metrics(bed, tmp_path):
    port = lab.free_port("127.0.0.1")
    out = tmp_path / "placard.prom"
    service = {"metrics-listen": f"127.0.0.1:{port}",
               "metrics-file": str(out)}
    with Daemon(bed.placard, service) as daemon:
        daemon.submit(job_of(bed, "m"))
        daemon.wait("m")
        seen = samples(get(f"http://127.0.0.1:{port}/metrics"))
        assert seen['placard_challenges{state="visible"}'] == 1
        assert seen["placard_up"] == 1 and seen["placard_jobs"] == 1
        assert seen["placard_journal_bytes"] > 0
        assert seen["placard_oldest_record_seconds"] >= 0
        calls = ('placard_provider_calls_total{account="lab",op="add",'
                 'result="ok"}')
        assert seen[calls] == 1
        assert seen['placard_propagation_seconds_count{account="lab"}'] == 1
        with pytest.raises(urllib.error.HTTPError):
            get(f"http://127.0.0.1:{port}/")
        daemon.release("m")
        daemon.wait("m")
        os.kill(next(iter(daemon.workers())), signal.SIGKILL)
        wait_for(lambda: samples(get(f"http://127.0.0.1:{port}/metrics"))[
            "placard_worker_restarts_total"] >= 1, "counted")
        seen = samples(get(f"http://127.0.0.1:{port}/metrics"))
        assert seen['placard_challenges{state="visible"}'] == 0
        assert seen['placard_challenge_changes_total{state="removed"}'] == 1
        assert "placard_up" in samples(out.read_text())
    bed.unchanged()


def test_metrics_at_a_socket(bed, tmp_path):
    path = "/tmp/placard-m-%d.sock" % os.getpid()
    with Daemon(bed.placard, {"metrics-listen": "unix:" + path}) as daemon:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect(path)
            sock.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
            text = b""
            while chunk := sock.recv(65536):
                text += chunk
        daemon.stop()
    assert b"placard_up 1" in text
    assert not os.path.exists(path)


def test_metrics_clients_that_do_not_behave(bed):
    port = lab.free_port("127.0.0.1")
    with Daemon(bed.placard, {"metrics-listen": f"127.0.0.1:{port}"}):
        for data in (b"\0" * 8192, b"POST /metrics HTTP/1.0\r\n\r\n",
                     b"GET /metrics"):
            with socket.create_connection(("127.0.0.1", port)) as sock:
                sock.sendall(data)
        idle = [socket.create_connection(("127.0.0.1", port))
                for _ in range(12)]
        assert "placard_up" in get(f"http://127.0.0.1:{port}/metrics")
        for sock in idle:
            sock.close()


class Systemd:
    """The receiving end of sd_notify(3)."""

    def __init__(self, path):
        self.path = str(path)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(self.path)
        self.sock.settimeout(20)
        self.seen = []

    def wait(self, word):
        while not any(word in m for m in self.seen):
            self.seen.append(self.sock.recv(4096).decode())
        self.seen = []

    def count(self, word, seconds):
        end = time.monotonic() + seconds
        n = 0
        while (left := end - time.monotonic()) > 0:
            self.sock.settimeout(left)
            try:
                n += word in self.sock.recv(4096).decode()
            except TimeoutError:
                break
        self.sock.settimeout(20)
        return n


def test_systemd_is_told(bed):
    path = "/tmp/placard-n-%d.sock" % os.getpid()
    systemd = Systemd(path)
    try:
        daemon = Daemon(bed.placard, env={"NOTIFY_SOCKET": path,
                                          "WATCHDOG_USEC": "400000"})
        with daemon:
            systemd.wait("READY=1")
            assert systemd.count("WATCHDOG=1", 2) >= 5
            daemon.hup()
            systemd.wait("READY=1")
            os.kill(daemon.proc.pid, signal.SIGSTOP)
            systemd.count("", 0.5)
            assert systemd.count("WATCHDOG=1", 1) == 0
            os.kill(daemon.proc.pid, signal.SIGCONT)
            daemon.proc.send_signal(signal.SIGTERM)
            systemd.wait("STOPPING=1")
            assert daemon.proc.wait(10) == 0
    finally:
        systemd.sock.close()
        os.unlink(path)


def ask(placard, *lines):
    """Raw lines to the control socket; the answers as objects."""
    here = os.getcwd()
    os.chdir(placard.state)     # a path of a socket must be short
    try:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.connect("placardd.sock")
            sock.settimeout(20)
            for line in lines:
                sock.sendall(line)
            sock.shutdown(socket.SHUT_WR)
            text = b""
            while chunk := sock.recv(65536):
                text += chunk
    finally:
        os.chdir(here)
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.quick
@pytest.mark.parametrize("line", [
    b"{\n", b"[]\n", b'{"request":"nonsense","id":"x"}\n', b"\0\0\0\n",
    b'{"request":"show"}\n', b'{"request":"show","id":7}\n',
    b'{"request":"show","id":"nobody"}\n',
    b'{"request":"list","more":1}\n', b'{"request":"submit"}\n',
    b'{"request":"submit","job":{"challenges":[]}}\n',
    b'{"request":"release","id":"nobody"}\n',
    b"[" * 4000 + b"\n"])
def test_the_socket_answers_nonsense(bed, line):
    with Daemon(bed.placard) as daemon:
        answers = ask(bed.placard, line)
        assert len(answers) == 1 and set(answers[0]) == {"error"}, answers
        lab.lab_schema.check_error(answers[0]["error"])
        assert daemon.answers()


def connect(placard):
    here = os.getcwd()
    os.chdir(placard.state)     # a path of a socket must be short
    try:
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(20)
        sock.connect("placardd.sock")
    finally:
        os.chdir(here)
    return sock


@pytest.mark.quick
def test_a_refused_client_may_go_on_writing(bed):
    """It hears why, even where it writes more than the socket holds."""
    with Daemon(bed.placard) as daemon:
        with connect(bed.placard) as sock:
            sock.sendall(b"{\n")
            time.sleep(0.2)
            for _ in range(16):
                sock.sendall(b"x" * 65536)
            time.sleep(0.2)
            answer = json.loads(sock.makefile().readline())
            assert set(answer) == {"error"}
            assert sock.recv(1) == b""
        assert daemon.answers()


def cpu_of(pid):
    with open(f"/proc/{pid}/stat", "rb") as stat:
        parts = stat.read().rsplit(b")", 1)[1].split()
    return int(parts[11]) + int(parts[12])


@pytest.mark.quick
def test_a_client_that_does_not_read_costs_nothing(bed):
    """It has said all and leaves its answers lying; then it takes them."""
    with Daemon(bed.placard) as daemon:
        with connect(bed.placard) as sock:
            for _ in range(8):
                sock.sendall(b'{"request":"status"}\n' * 1000)
            sock.shutdown(socket.SHUT_WR)
            assert daemon.answers()
            before = cpu_of(daemon.proc.pid)
            time.sleep(2)
            assert cpu_of(daemon.proc.pid) - before <= 40
            assert len(sock.makefile().readlines()) == 8000
        assert daemon.answers()


# What somebody else does with the socket: connects, waits, asks, and reads.
OTHER = """
import json, os, socket, sys, time
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
with socket.socket(socket.AF_UNIX) as sock:
    sock.settimeout(20)
    sock.connect(sys.argv[1])
    time.sleep(float(sys.argv[2]))
    sock.sendall(b'{"request":"list"}\\n')
    print(sock.makefile().readline(), end="")
"""


@pytest.mark.quick
def test_the_socket_is_not_for_others(bed):
    if os.getuid() != 0:
        pytest.skip("only root can be somebody else")
    folder = tempfile.mkdtemp(prefix="placard-", dir="/tmp")
    os.chmod(folder, 0o755)
    path = os.path.join(folder, "s")
    with Daemon(bed.placard, {"socket": path}) as daemon:
        assert os.stat(path).st_mode & 0o777 in (0o600, 0o660)
        os.chmod(path, 0o666)
        # It is refused when it has connected, and may ask before or after.
        for wait in ("0", "0.3"):
            done = subprocess.run(
                [sys.executable, "-I", "-c", OTHER, path, wait], cwd="/",
                capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            assert json.loads(done.stdout)["error"]["code"] == "auth"
        assert daemon.answers()
        daemon.stop()
    os.rmdir(folder)


def test_idle_costs_nothing(bed):
    """No timer storm: nearly no CPU time while nothing is to be done."""
    with Daemon(bed.placard) as daemon:
        daemon.submit(job_of(bed, "i"))
        daemon.wait("i")
        time.sleep(0.5)
        before = cpu_of(daemon.proc.pid)
        time.sleep(5)
        assert cpu_of(daemon.proc.pid) - before <= 2
        daemon.release("i")
        daemon.wait("i")
    bed.unchanged()


def status_of(pid):
    with open(f"/proc/{pid}/status", encoding="ascii") as text:
        return dict(line.rstrip("\n").split(":\t", 1)
                    for line in text if ":\t" in line)


def test_workers_are_confined(bed, tmp_path):
    """What the kernel says of each worker, and what the log says."""
    root = tmp_path / "root"
    root.mkdir()
    bed.placard.account("web", "file", root=str(root))
    bed.placard.route("files.test", "web")
    with Daemon(bed.placard) as daemon:
        daemon.submit(job_of(bed, "c"), lab.job(
            {"method": "http-01", "domain": "www.files.test",
             "token": "token-0123456789abcdef",
             "key-authorization": "token-0123456789abcdef.x"}, name="f"))
        daemon.wait("c")
        wait_for(lambda: len(daemon.workers()) == 3, "three workers")
        for pid, program in daemon.workers().items():
            status = status_of(pid)
            assert status["NoNewPrivs"] == "1", program
            assert status["Seccomp"] == "2", program
            if program != "placard-local":
                assert int(status["CapEff"], 16) == 0, program
            # Nothing of the engine's is open in a worker.
            names = [os.readlink(f"/proc/{pid}/fd/{fd}")
                     for fd in os.listdir(f"/proc/{pid}/fd")]
            assert not [n for n in names if "journal" in n], names
            with open(f"/proc/{pid}/environ", "rb") as text:
                names = {v.split(b"=")[0]
                         for v in text.read().split(b"\0") if v}
            assert names <= {b"PATH", b"LANG", b"ASAN_OPTIONS", b"LISTEN_FDS"}, names
        log = daemon.log()
        for worker in ("lab", "check", "web"):
            assert re.search(rf"sandbox worker={worker} no-new-privs=yes "
                             r"landlock=\d+ seccomp=yes", log), log
        daemon.placard.run("job", "cancel", "f")
        daemon.release("c")
        daemon.wait("c")
        daemon.wait("f")
    bed.unchanged()
