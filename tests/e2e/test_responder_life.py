# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""The responder's life: killed, flooded, in the way of another, removed."""

import os
import signal
import socket
import subprocess

import dns.flags
import dns.message
import dns.query
import pytest

import lab
import lab_responder as lr
from lab_net import SBIN, LabError, find_program, wait_for

MANY = 1500


def value_of(where, name, timeout=2):
    query = dns.message.make_query(name, "TXT")
    answer = dns.query.udp(query, where[0], port=where[1], timeout=timeout)
    return answer, [b"".join(r.strings).decode()
                    for rrset in answer.answer for r in rrset]


def many(n):
    return [lr.txt(f"_acme-challenge.n{i}.{lr.ZONE}", f"value-{i}")
            for i in range(n)]


def test_killed_and_refilled(placard):
    """From the first answer of its successor on, every record is there."""
    where = lr.responder(placard)
    with lr.Responder(placard, [lab.job(*many(MANY))]) as run:
        for _ in range(3):
            pid = run.worker()
            os.kill(pid, signal.SIGKILL)

            def again():
                try:
                    return value_of(where, f"_acme-challenge.n{MANY - 1}."
                                    f"{lr.ZONE}", 0.3)
                except (OSError, dns.exception.DNSException):
                    return None
            answer, texts = wait_for(again, "the responder is back")
            # Never a "no" before all of them are known.
            assert texts == [f"value-{MANY - 1}"], answer
            assert run.worker() != pid
        for i in range(0, MANY, 97):
            assert value_of(where, f"_acme-challenge.n{i}.{lr.ZONE}")[1] == [
                f"value-{i}"]
    assert placard.quiet_journal()


def test_placard_killed(placard):
    """What a killed command leaves in the journal can be cleaned up."""
    where = lr.responder(placard)
    run = lr.Responder(placard, [lab.job(*many(20))])
    run.__enter__()
    worker = run.worker()
    os.kill(run.proc.pid, signal.SIGKILL)
    run.proc.communicate()
    wait_for(lambda: not lab.alive(worker), "its worker has gone, too")
    assert len(placard.listed()) == 20
    placard.ok("cleanup", "--all")
    assert placard.quiet_journal()
    with pytest.raises((OSError, dns.exception.DNSException)):
        value_of(where, lr.ZONE, 0.3)


def test_port_taken(placard):
    where = lr.responder(placard)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind(where)
        done = placard.run("run", "-m", "dns-01", "-d", lr.ZONE, "--value",
                           lab.value(), "--", "true")
    assert done.status == 3, done
    assert f"listen: {where[0]}:{where[1]} (UDP port {where[1]})" in done.err
    assert placard.quiet_journal()
    # One run is in the way of another, and says so.
    with lr.Responder(placard, [lab.job(*many(1))]):
        done = placard.run("run", "-m", "dns-01", "-d", lr.ZONE, "--value",
                           lab.value(), "--", "true")
        assert done.status == 3 and "placard" in done.err, done
        assert value_of(where, f"_acme-challenge.n0.{lr.ZONE}")[1] == [
            "value-0"]


def test_one_after_the_other(placard):
    """The port is free again when the command has ended."""
    lr.responder(placard)
    for i in range(5):
        placard.ok("run", "-m", "dns-01", "-d", lr.ZONE, "--value",
                   lab.value(i), "--", "true")


def test_command_status_and_signal(placard):
    lr.responder(placard)
    args = ["run", "-m", "dns-01", "-d", lr.ZONE, "--value", lab.value()]
    assert placard.run(*args, "--", "sh", "-c", "exit 42").status == 42
    assert placard.run(*args, "--", "sh", "-c",
                       "kill -TERM $$").status == 128 + signal.SIGTERM
    proc = placard.popen(*args, "--", "sh", "-c",
                         "trap 'exit 9' TERM; echo up; while :; do sleep 1; "
                         "done", stdin=subprocess.PIPE)
    assert proc.stdout.readline() == "up\n"
    proc.terminate()
    assert placard.finish(proc, "").status == 9
    assert placard.quiet_journal()


def memory(pid):
    """Resident KiB."""
    with open(f"/proc/{pid}/status", encoding="ascii") as text:
        return next(int(line.split()[1]) for line in text
                    if line.startswith("VmRSS:"))


class Flood:
    """Programs that ask as fast as they can, until they are stopped."""

    def __init__(self, *commands):
        self.commands = commands
        self.procs = []

    def __enter__(self):
        for argv in self.commands:
            self.procs.append(subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL, env={"PATH": SBIN}))
        return self

    def running(self):
        return all(p.poll() is None for p in self.procs)

    def __exit__(self, *_):
        for proc in self.procs:
            if proc.poll() is None:
                proc.terminate()
            proc.wait(10)


@pytest.mark.parametrize("limit", (0, 200))
def test_flood(placard, tmp_path, limit):
    """Jobs go on while dnsperf and wrk ask; memory stays flat."""
    try:
        dnsperf, wrk = find_program("dnsperf"), find_program("wrk")
    except LabError as error:
        pytest.skip(str(error))
    web = lab.free_port("127.0.0.1")
    where = lr.responder(placard, rate_limit=limit,
                         http_listen=[f"127.0.0.1:{web}"])
    questions = tmp_path / "questions"
    questions.write_text("".join(
        f"_acme-challenge.n{i}.{lr.ZONE} TXT\nno{i}.{lr.ZONE} A\n"
        for i in range(200)))
    jobs = [lab.job(*many(50), name=f"j{i}") for i in range(1)]
    with lr.Responder(placard, jobs) as run:
        pid = run.worker()
        with Flood([dnsperf, "-s", where[0], "-p", str(where[1]), "-d",
                    str(questions), "-l", "60", "-q", "200"],
                   [wrk, "-t", "1", "-c", "80", "-d", "60s",
                    f"http://127.0.0.1:{web}/.well-known/x"]) as flood:
            wait_for(lambda: cpu(pid) > 20, "the flood has begun")
            # Its successor is refilled in the midst of it.
            os.kill(pid, signal.SIGKILL)
            wait_for(lambda: worker_or_none(run) not in (None, pid),
                     "a new worker")
            pid = run.worker()
            wait_for(lambda: cpu(pid) > 20, "it works")
            before = memory(pid)
            wait_for(lambda: cpu(pid) > 100, "it still works")
            assert flood.running()
            # A sanitizer keeps what is freed.
            if "ASAN_OPTIONS" not in os.environ:
                assert memory(pid) < before + 512
    assert placard.quiet_journal()


def worker_or_none(run):
    try:
        return run.worker()
    except AssertionError:
        return None


def cpu(pid):
    """Ticks of processor time."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as stat:
            fields = stat.read().rsplit(b")", 1)[1].split()
    except OSError:
        return 0
    return int(fields[11]) + int(fields[12])


def test_jobs_are_not_delayed(placard, tmp_path):
    """Removal and refilling of records by frames, during a flood."""
    try:
        dnsperf = find_program("dnsperf")
    except LabError as error:
        pytest.skip(str(error))
    where = lr.responder(placard)
    questions = tmp_path / "questions"
    questions.write_text(f"no.{lr.ZONE} A\n")
    flood = [dnsperf, "-s", where[0], "-p", str(where[1]), "-d",
             str(questions), "-l", "60", "-q", "500"]
    with Flood(flood) as running:
        # Publishing, looking and removing take some frames each; with a
        # worker that first empties its socket this would never end.
        for i in range(3):
            placard.ok("run", "--jobs", placard.job_file(
                lab.job(*many(100), name=f"t{i}")), "--", "true",
                timeout=60)
            assert running.running()


def test_slow_clients(placard):
    """Streams that say nothing do not keep others out."""
    web = lab.free_port("127.0.0.1")
    where = lr.responder(placard, http_listen=[f"127.0.0.1:{web}"])
    with lr.Responder(placard, [lab.job(*many(1))]) as run:
        idle = []
        for port, n in ((where[1], 400), (web, 100)):
            for _ in range(n):
                idle.append(socket.create_connection(("127.0.0.1", port)))
        query = dns.message.make_query(f"_acme-challenge.n0.{lr.ZONE}", "TXT")
        answer = dns.query.tcp(query, where[0], port=where[1], timeout=5)
        assert len(answer.answer) == 1
        with socket.create_connection(("127.0.0.1", web), 5) as s:
            s.sendall(b"GET / HTTP/1.0\r\n\r\n")
            assert s.recv(100).startswith(b"HTTP/1.1 404 ")
        held = len(os.listdir(f"/proc/{run.worker()}/fd"))
        assert held < 256 + 64 + 20, held
        for s in idle:
            s.close()


def test_pipelined_large_answers(placard):
    """Forty questions at once, whose answers are far more than buffers hold."""
    where = lr.responder(placard)
    name = f"_acme-challenge.big.{lr.ZONE}"
    job = lab.job(*(lr.txt(name, f"{i:04d}" + "x" * 1996) for i in range(27)))
    labels = [p.encode() for p in name.split(".")]
    with lr.Responder(placard, [job]):
        found = lr.ask_tcp(where, [lr.question(labels, 16, i)
                                   for i in range(40)])
        assert len(found) == 40
        assert {len(data) for data in found.values()} == {len(found[0])}
        assert len(found[0]) > 54000


def test_one_client_does_not_push_out_another(placard):
    """Streams of one address make room for each other only."""
    web = lab.free_port("127.0.0.1")
    where = lr.responder(placard, http_listen=[f"127.0.0.1:{web}"])
    request = b"GET / HTTP/1.0\r\n"
    question = lr.question([p.encode() for p in lr.ZONE.split(".")], 6, 1)
    framed = len(question).to_bytes(2, "big") + question
    with lr.Responder(placard, [lab.job(*many(1))]) as run:
        mine = [socket.create_connection(to, 5, ("127.0.0.7", 0))
                for to in (where, ("127.0.0.1", web))]
        # Half of a question, so that it is known to be accepted.
        for one, first in zip(mine, (framed[:20], request)):
            one.sendall(first)
        others = [socket.create_connection(("127.0.0.1", port), 5)
                  for port in (where[1], web) for _ in range(300)]
        # The last of them have been accepted: they are answered.
        assert dns.query.tcp(dns.message.from_wire(question), where[0],
                             port=where[1], timeout=5).answer
        with socket.create_connection(("127.0.0.1", web), 5) as s:
            s.sendall(request + b"\r\n")
            assert s.recv(100).startswith(b"HTTP/1.1 404 ")
        held = len(os.listdir(f"/proc/{run.worker()}/fd"))
        assert held < 64 + 32 + 30, held
        mine[0].sendall(framed[20:])
        assert mine[0].recv(1000)[2:4] == question[:2]
        mine[1].sendall(b"\r\n")
        assert mine[1].recv(100).startswith(b"HTTP/1.1 404 ")
        for s in others:
            s.close()


HAND_DOWN = """import os, socket, sys
keep = []
for kind, port in ((socket.SOCK_DGRAM, {dns}), (socket.SOCK_STREAM, {dns}),
                   (socket.SOCK_STREAM, {web})):
    s = socket.socket(socket.AF_INET6, kind)
    s.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    s.bind(("::", port))
    if kind == socket.SOCK_STREAM:
        s.listen(8)
    keep.append(s)
high = [os.dup2(s.fileno(), 40 + i) for i, s in enumerate(keep)]
for i, fd in enumerate(high):
    os.dup2(fd, 3 + i)
os.closerange(3 + len(high), 64)
os.environ.update(LISTEN_FDS=str(len(high)), LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[1], sys.argv[1:])
"""


@pytest.mark.parametrize("order", (1, -1))
def test_sockets_of_both_families(placard, tmp_path, order):
    """As systemd makes them of a bare port: one for IPv4 and IPv6."""
    dns_port, web = lab.free_port("::"), lab.free_port("::")
    anywhere = ["0.0.0.0", "[::]"][::order]
    placard.account("resp", "responder", zones=[lr.ZONE],
                    ns=[f"ns1.{lr.ZONE} 127.0.0.1"],
                    listen=[f"{a}:{dns_port}" for a in anywhere],
                    http_listen=[f"{a}:{web}" for a in anywhere])
    placard.route("example.net", "resp")
    placard.verify |= {"servers": [f"127.0.0.1:{dns_port}"],
                       "resolvers": [f"127.0.0.1:{dns_port}"]}
    placard.write()
    helper = tmp_path / "hand-down.py"
    helper.write_text(HAND_DOWN.format(dns=dns_port, web=web))
    query = dns.message.make_query(f"_acme-challenge.n0.{lr.ZONE}", "TXT")
    with lr.Responder(placard, [lab.job(*many(1))],
                      wrap=["/usr/bin/python3", str(helper)]):
        for address in ("127.0.0.1", "::1"):
            for ask in (dns.query.udp, dns.query.tcp):
                answer = ask(query, address, port=dns_port, timeout=5)
                assert answer.answer, (address, ask)
            with socket.create_connection((address, web), 5) as s:
                s.sendall(b"GET / HTTP/1.0\r\n\r\n")
                assert s.recv(100).startswith(b"HTTP/1.1 404 ")


def test_rate_limit(placard):
    """Beyond it half is cut, half is silence; TCP is not limited."""
    where = lr.responder(placard, rate_limit=20)
    with lr.Responder(placard, [lab.job(*many(1))]):
        query = dns.message.make_query(f"_acme-challenge.n0.{lr.ZONE}",
                                       "TXT").to_wire()
        cut = whole = 0
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
            s.connect(where)
            for _ in range(400):
                s.send(query)
            s.settimeout(0.5)
            try:
                while True:
                    answer = dns.message.from_wire(s.recv(2000))
                    if answer.flags & dns.flags.TC:
                        cut += 1
                        assert not answer.answer
                    else:
                        whole += 1
            except OSError:
                pass
        # The bucket holds one second's worth and fills meanwhile.
        assert whole < 100 and 140 < cut < 200, (whole, cut)
        for _ in range(30):
            assert dns.query.tcp(dns.message.from_wire(query), where[0],
                                 port=where[1], timeout=5).answer
