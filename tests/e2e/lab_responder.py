# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""The responder as `placard run` has it, and nsd with the very same zone."""

import os
import random
import socket
import struct
import subprocess

import dns.exception
import dns.message
import dns.query

import lab
from lab_net import Service, find_program

ZONE = "dcv.example.net"
HEX = "0123456789abcdef0123456789abcdef"


class Responder:
    """A placard run that publishes jobs and stays until it is left."""

    def __init__(self, placard, jobs, wrap=(), env=None, account="resp"):
        self.placard = placard
        self.account = account
        self.path = placard.job_file(*jobs) if jobs else None
        self.wrap = wrap
        self.env = env
        self.proc = None
        self.result = None

    def __enter__(self):
        self.proc = self.placard.popen(
            "run", "--jobs", self.path, "--", "/bin/sh", "-c",
            "echo up; cat", wrap=self.wrap, env=self.env,
            stdin=subprocess.PIPE)
        line = self.proc.stdout.readline()
        if line.strip() != "up":
            self.result = self.placard.finish(self.proc)
            raise AssertionError(f"run did not publish: {self.result}")
        return self

    def worker(self):
        """Process id of its worker."""
        found = [pid for pid, name in lab.workers_of(self.proc.pid).items()
                 if name == "placard-respond"]
        assert len(found) == 1, found
        return found[0]

    def end(self):
        if self.result is None:
            self.result = self.placard.finish(self.proc, "")
        return self.result

    def __exit__(self, kind, *_):
        done = self.end()
        if kind is None:
            assert done.status == 0, done


def responder(placard, address="127.0.0.1", ns=None, zones=(ZONE,), **more):
    """Add the account; its DNS address as (address, port)."""
    port = lab.free_port(address, ns)
    where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    options = {"zones": list(zones), "ns": [f"ns1.{zones[0]} {address}"],
               "hostmaster": "hostmaster@example.net", "listen": [where],
               "rate_limit": 0}
    placard.account("resp", "responder", **(options | more))
    placard.route("example.net", "resp")
    placard.servers(where)
    placard.verify["timeout"] = 20
    return address, port


def txt(name, value):
    return {"method": "dns-txt", "domain": ZONE, "name": name,
            "value": value}


def cname(name, target):
    return {"method": "dns-cname", "domain": ZONE, "name": name,
            "value": target}


def records():
    """Challenges, and the same as lines of a zone file."""
    rand = random.Random(7)
    found, lines = [], []

    def add_txt(name, value):
        found.append(txt(name, value))
        parts = [value[i:i + 255] for i in range(0, len(value), 255)]
        lines.append(f"{name}. 1 TXT " + " ".join(f'"{p}"' for p in parts))

    def add_cname(name, target):
        found.append(cname(name, target))
        lines.append(f"{name}. 1 CNAME {target}.")

    for i in range(40):
        name = f"_acme-challenge.www{i}.example{i % 7}.com.{ZONE}"
        for _ in range(rand.choice((1, 1, 2, 3))):
            add_txt(name, lab.value(rand.random()))
    for i in range(30):
        add_txt(f"_acme-challenge.many.{ZONE}", f"{lab.value(i)}")
    add_txt(f"_dnsauth.long.{ZONE}", "x" * 700)
    deep = ".".join(chr(97 + i % 26) for i in range(90))
    add_txt(f"_acme-challenge.{deep}.{ZONE}", "deep")
    wide = ".".join("w" * 60 for _ in range(3))
    add_txt(f"_acme-challenge.{wide}.{ZONE}", "wide")
    add_cname(f"_{HEX}.{ZONE}", f"_acme-challenge.www1.example1.com.{ZONE}")
    add_cname(f"_{HEX}a.{ZONE}", f"_{HEX}.{ZONE}")
    add_cname(f"_{HEX}b.{ZONE}", "target.elsewhere.example")
    add_cname(f"_{HEX}c.{ZONE}", f"nothing-here.{ZONE}")
    add_cname(f"_{HEX}d.{ZONE}", f"_{HEX}e.{ZONE}")
    add_cname(f"_{HEX}e.{ZONE}", f"_{HEX}d.{ZONE}")
    add_cname(f"_{HEX}f.{ZONE}", f"example1.com.{ZONE}")
    return found, lines


class Nsd(Service):
    """nsd with one zone."""

    name = "nsd"

    def __init__(self, directory, zone, text, address="127.0.0.1", port=None,
                 ns=None):
        super().__init__(directory, ns)
        self.zone = zone
        self.text = text
        self.address = address
        self.port = port or lab.free_port(address, ns)

    def start(self):
        self.write("zone", self.text)
        conf = self.write("nsd.conf", f"""
server:
    ip-address: {self.address}@{self.port}
    username: ""
    chroot: ""
    zonesdir: "{self.dir}"
    pidfile: "{self.path('pid')}"
    xfrdfile: "{self.path('xfrd')}"
    zonelistfile: "{self.path('list')}"
    xfrdir: "{self.dir}"
    database: ""
    server-count: 1
    rrl-ratelimit: 0
    rrl-whitelist-ratelimit: 0
    round-robin: no
remote-control:
    control-enable: no
zone:
    name: "{self.zone}"
    zonefile: "zone"
""")
        self.spawn([find_program("nsd"), "-d", "-c", conf])
        self.wait_ready()
        return self

    def ready(self):
        try:
            query = dns.message.make_query(self.zone, "SOA")
            return bool(dns.query.udp(query, self.address, port=self.port,
                                      timeout=0.5).answer)
        except (dns.exception.DNSException, OSError):
            return False


def zone_file(lines, serial=1, address="127.0.0.1"):
    """What the responder has by itself, and these lines."""
    kind = "AAAA" if ":" in address else "A"
    return (f"$ORIGIN {ZONE}.\n"
            f"@ 3600 SOA ns1 hostmaster.example.net. {serial} 86400 3600 "
            f"604800 1\n@ 3600 NS ns1\nns1 3600 {kind} {address}\n"
            + "\n".join(lines) + "\n")


def wire_name(labels):
    return b"".join(bytes([len(part)]) + part for part in labels) + b"\0"


def question(labels, kind, ident, qclass=1, flags=0x0100, edns=None):
    """A question as octets; edns: (size, version, ttl flags, options)."""
    head = struct.pack("!HHHHHH", ident, flags, 1, 0, 0,
                       1 if edns is not None else 0)
    body = wire_name(labels) + struct.pack("!HH", kind, qclass)
    if edns is not None:
        size, version, more, options = edns
        body += struct.pack("!BHHBBHH", 0, 41, size, 0, version, more,
                            len(options)) + options
    return head + body


def ask_udp(where, data, timeout=2.0):
    with socket.socket(socket.AF_INET6 if ":" in where[0] else
                       socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.settimeout(timeout)
        s.connect(where)
        s.send(data)
        try:
            return s.recv(65535)
        except OSError:
            return None


def exactly(sock, n):
    data = b""
    while len(data) < n:
        more = sock.recv(n - len(data))
        if not more:
            raise EOFError(f"{len(data)} of {n} octets")
        data += more
    return data


def ask_tcp(where, questions, timeout=5.0):
    """All questions at once on one connection; the answers, by id."""
    found = {}
    with socket.create_connection(where, timeout) as s:
        s.sendall(b"".join(struct.pack("!H", len(q)) + q for q in questions))
        for _ in questions:
            data = exactly(s, struct.unpack("!H", exactly(s, 2))[0])
            found[struct.unpack("!H", data[:2])[0]] = data
    return found


def where_of(pid):
    return os.readlink(f"/proc/{pid}/exe")
