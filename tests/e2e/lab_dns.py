# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Real name servers for the tests: named and knotd, with TSIG and UPDATE."""

import base64
import json
import os
import re
import signal
import urllib.request

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.tsig
import dns.update

from lab_net import LabError, Service, find_program, free_port
from lab_net import wait_for


class Key:
    """A TSIG key, as every party wants to have it."""

    def __init__(self, name="placard.", algorithm="hmac-sha256", secret=None):
        self.name = name
        self.algorithm = algorithm
        self.secret = secret or base64.b64encode(os.urandom(32)).decode()

    def keyring(self):
        return {dns.name.from_text(self.name): dns.tsig.Key(
            self.name, self.secret, self.algorithm)}

    def nsupdate(self):
        """The argument of nsupdate -y and knsupdate -y."""
        return f"{self.algorithm}:{self.name.rstrip('.')}:{self.secret}"

    def named(self):
        return (f'key "{self.name.rstrip(".")}" {{ algorithm '
                f'{self.algorithm}; secret "{self.secret}"; }};\n')


# What every zone of the lab starts with: some records of strangers that no
# test may find changed.  The CNAME and the two values at one name are there
# because a careless client would eat them.
ZONE = """$ORIGIN {zone}
$TTL 300
@ SOA ns1 hostmaster 1 86400 86400 864000 60
@ NS ns1
{second}ns1 A {primary}
@ TXT "v=spf1 -all"
@ CAA 0 issue "ca.test"
www A 127.0.0.80
_acme-challenge.decoy 77 TXT "keep-me-1"
_acme-challenge.decoy 77 TXT "keep-me-2"
_0123456789abcdef0123456789abcdef.decoy CNAME a.decoy-ca.test.
decoy TXT "two" "strings"
{extra}"""


def zone_text(zone, primary, secondary=None, extra=""):
    second = f"@ NS ns2\nns2 A {secondary}\n" if secondary else ""
    return ZONE.format(zone=zone.rstrip(".") + ".", primary=primary,
                       second=second, extra=extra)


class NameServer(Service):
    """What named and knotd have in common."""

    def __init__(self, directory, zones=(), keys=(), address=None, port=None,
                 ns=None, extra=""):
        super().__init__(directory, ns)
        self.address = address or "127.0.0.1"
        self.port = port or free_port(self.address, ns)
        self.zones = [z.rstrip(".") for z in zones]
        self.keys = list(keys) or [Key()]
        self.extra = extra
        self.zone_extra = {}

    @property
    def key(self):
        return self.keys[0]

    def where(self):
        """ADDR:PORT, as placard's configuration takes it."""
        return f"{self.address}:{self.port}"

    def ready(self):
        last = self.zones[-1] if self.zones else "."
        try:
            answer = self._ask(last, "SOA", 0.5)
        except (dns.exception.DNSException, OSError):
            return False
        return not self.zones or bool(answer.answer)

    def _ask(self, name, kind, timeout=5):
        query = dns.message.make_query(name, kind)
        answer, _ = dns.query.udp_with_fallback(
            query, self.address, port=self.port, timeout=timeout)
        return answer

    def ask(self, name, kind="TXT"):
        """One question; the answer message."""
        return self.call(self._ask, name, kind)

    def texts(self, name):
        """All TXT values at name, sorted, strings of one record joined."""
        found = []
        for rrset in self.ask(name, "TXT").answer:
            if rrset.rdtype == dns.rdatatype.TXT:
                found += [b"".join(r.strings).decode() for r in rrset]
        return sorted(found)

    def target(self, name):
        """The CNAME target at name, or None."""
        for rrset in self.ask(name, "CNAME").answer:
            if rrset.rdtype == dns.rdatatype.CNAME:
                return rrset[0].target.to_text()
        return None

    def ttl(self, name, kind="TXT"):
        for rrset in self.ask(name, kind).answer:
            if rrset.rdtype == dns.rdatatype.from_text(kind):
                return rrset.ttl
        return None

    def _transfer(self, zone):
        lines = set()
        for message in dns.query.xfr(self.address, zone, port=self.port,
                                     relativize=False, timeout=30,
                                     lifetime=60):
            for rrset in message.answer:
                for rdata in rrset:
                    text = rdata.to_text()
                    if rrset.rdtype == dns.rdatatype.SOA:
                        parts = text.split()
                        parts[2] = "SERIAL"
                        text = " ".join(parts)
                    lines.add(f"{rrset.name} {rrset.ttl} "
                              f"{dns.rdatatype.to_text(rrset.rdtype)} {text}")
        return "\n".join(sorted(lines)) + "\n"

    def dump(self, zone=None):
        """The zone as sorted text, by AXFR, without the SOA's serial."""
        return self.call(self._transfer, zone or self.zones[0])

    def serial(self, zone):
        for rrset in self.ask(zone, "SOA").answer:
            return rrset[0].serial
        raise LabError(f"{zone}: no SOA")

    def update(self, zone, add=(), delete=()):
        """Change a zone as a stranger would.

        add holds (name, ttl, type, text); delete (name, type, text), where
        text None is the whole set.
        """
        message = dns.update.UpdateMessage(
            zone, keyring=self.key.keyring(), keyname=self.key.name,
            keyalgorithm=self.key.algorithm)
        for name, kind, text in delete:
            parts = (name, kind) if text is None else (name, kind, text)
            message.delete(*parts)
        for name, ttl, kind, text in add:
            message.add(name, ttl, kind, text)
        answer = self.call(lambda: dns.query.tcp(
            message, self.address, port=self.port, timeout=10))
        if answer.rcode() != dns.rcode.NOERROR:
            raise LabError(f"{zone}: {dns.rcode.to_text(answer.rcode())}")

    def seed(self, zone, name, *values, ttl=77):
        """A stranger's TXT values at name (absolute, no final dot needed)."""
        self.update(zone, add=[(name.rstrip(".") + ".", ttl, "TXT",
                                f'"{value}"') for value in values])


class Named(NameServer):
    """BIND's named: primary, or secondary of another NameServer."""

    name = "named"

    def __init__(self, directory, zones=(), keys=(), primary=None,
                 secondaries=(), notify="fast", recursion=False,
                 log_queries=True, policy=None, also_listen=(), second=None,
                 **rest):
        super().__init__(directory, zones, keys, **rest)
        self.primary = primary
        self.secondaries = [s.rsplit(":", 1) for s in secondaries]
        self.notify = notify
        self.recursion = recursion
        self.log_queries = log_queries
        self.policy = policy or {}
        self.also_listen = also_listen
        self.second = second
        self.stats_port = free_port(self.address, self.ns)

    def _notify(self):
        """fast: at once; lag: named's own five seconds; off: never."""
        text = "  notify explicit;\n"
        if self.notify == "off" or not self.secondaries:
            return "  notify no;\n"
        text += "  also-notify { " + " ".join(
            f"{a} port {p};" for a, p in self.secondaries) + " };\n"
        text += "  startup-notify-rate 10000;\n"
        if self.notify == "fast":
            text += "  notify-delay 0;\n  notify-rate 10000;\n"
        return text

    def _zone(self, zone):
        name = zone.rstrip(".")
        if self.primary is not None:
            return (f'zone "{name}" {{ type secondary; file "s.{name}.zone"; '
                    f'primaries {{ {self.primary.address} port '
                    f'{self.primary.port}; }}; }};\n')
        path = self.path("zones", name + ".zone")
        if not os.path.exists(path):
            self.write(f"zones/{name}.zone", zone_text(
                name, self.address, self.second, self.zone_extra.get(
                    name, "") + self.extra))
        grant = "".join(f'key "{key.name.rstrip(".")}"; '
                        for key in self.keys)
        may = f"allow-update {{ {grant}}};"
        if name in self.policy:
            may = f"update-policy {{ {self.policy[name]} }};"
        return (f'zone "{name}" {{ type primary; file "zones/{name}.zone"; '
                f'{may} }};\n')

    def configuration(self):
        listen = "".join(f"{a}; " for a in (self.address, *self.also_listen))
        text = "".join(key.named() for key in self.keys)
        text += ("options {\n"
                 f'  directory "{self.dir}";\n'
                 f'  pid-file "{self.path("named.pid")}";\n'
                 f'  lock-file none;\n  session-keyfile none;\n'
                 f"  listen-on port {self.port} {{ {listen}}};\n"
                 "  listen-on-v6 { none; };\n"
                 "  allow-query { any; };\n  allow-transfer { any; };\n"
                 "  allow-notify { any; };\n"
                 "  empty-zones-enable no;\n  dnssec-validation no;\n"
                 "  tcp-clients 400;\n  serial-query-rate 10000;\n"
                 "  transfers-per-ns 100;\n  transfers-in 100;\n"
                 "  min-refresh-time 1;\n  max-retry-time 2;\n")
        if self.recursion:
            text += "  recursion yes;\n  allow-recursion { any; };\n"
        else:
            text += "  recursion no;\n"
        text += self._notify() + "};\ncontrols { };\n"
        text += (f"statistics-channels {{ inet {self.address} port "
                 f"{self.stats_port} allow {{ any; }}; }};\n")
        text += ('logging {\n  channel all { file "named.log"; '
                 "severity info; print-time yes; print-category yes; };\n"
                 "  category default { all; };\n")
        queries = "all" if self.log_queries else "null"
        text += (f"  category queries {{ {queries}; }};\n"
                 f"  category update {{ {queries}; }};\n"
                 f"  category query-errors {{ {queries}; }};\n}};\n")
        if self.recursion:
            # A recursive named without hints would ask the real root.
            text += 'zone "." { type hint; file "root.hints"; };\n'
            self.write("root.hints",
                       ". 3600 NS a.\na. 3600 A 127.0.0.254\n")
        return text + "".join(self._zone(zone) for zone in self.zones)

    def start(self):
        if self.ns:     # named listens on configured addresses only
            for address in (self.address, *self.also_listen):
                self.ns.add_address(address)
        self.write("named.conf", self.configuration())
        self.spawn([find_program("named"), "-f", "-n", "2", "-c",
                    self.path("named.conf")])
        self.wait_ready()
        return self

    def add_zone(self, zone, extra=""):
        """One zone more, while it runs."""
        self.zones.append(zone.rstrip("."))
        self.zone_extra[zone.rstrip(".")] = extra
        self.write("named.conf", self.configuration())
        for pid in self.server_pids():
            os.kill(pid, signal.SIGHUP)
        wait_for(lambda: self.call(self.ready), f"{zone} is served")

    def server_pids(self):
        with open(self.path("named.pid"), encoding="ascii") as text:
            return [int(text.read())]

    def log(self):
        with open(self.path("named.log"), errors="replace") as text:
            return text.read()

    def _stats(self):
        url = f"http://{self.address}:{self.stats_port}/json/v1/server"
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(url, timeout=10) as answer:
            return json.load(answer)

    def counters(self):
        """Messages that came in since the start, by opcode."""
        return self.call(self._stats)["opcodes"]

    def updates(self):
        """How many UPDATE messages have come in since the start."""
        return self.counters()["UPDATE"]

    def questions(self, name, kind="TXT"):
        """How often name was asked for, by the query log."""
        pattern = re.compile(r"query: %s IN %s " % (
            re.escape(name.rstrip(".")), kind), re.IGNORECASE)
        return len(pattern.findall(self.log()))


class Knotd(NameServer):
    """Knot DNS's knotd, a primary."""

    name = "knotd"

    def configuration(self):
        keys = "".join(
            f"  - id: {k.name.rstrip('.')}\n    algorithm: {k.algorithm}\n"
            f"    secret: {k.secret}\n" for k in self.keys)
        names = ", ".join(k.name.rstrip(".") for k in self.keys)
        text = (f"server:\n    rundir: {self.dir}\n"
                f"    listen: {self.address}@{self.port}\n"
                f"    pidfile: {self.path('knot.pid')}\n"
                "    udp-workers: 1\n    tcp-workers: 1\n"
                "    background-workers: 1\n"
                f"log:\n  - target: {self.path('knot.log')}\n    any: info\n"
                f"database:\n    storage: {self.path('db')}\n"
                "    journal-db-max-size: 200M\n"
                "    timer-db-max-size: 10M\n    kasp-db-max-size: 10M\n"
                f"key:\n{keys}"
                f"acl:\n  - id: change\n    key: [{names}]\n"
                "    action: update\n"
                "  - id: copy\n    action: transfer\n"
                "template:\n  - id: default\n"
                f"    storage: {self.path('zones')}\n"
                "    acl: [change, copy]\n    zonefile-sync: -1\n"
                "    zonefile-load: difference-no-serial\n"
                "    journal-content: all\n    serial-policy: increment\n"
                "zone:\n")
        for zone in self.zones:
            path = self.path("zones", zone + ".zone")
            if not os.path.exists(path):
                self.write(f"zones/{zone}.zone", zone_text(
                    zone, self.address, None,
                    self.zone_extra.get(zone.rstrip("."), "") + self.extra))
            text += f"  - domain: {zone}\n    file: {zone}.zone\n"
        return text

    def start(self):
        os.makedirs(self.path("db"), exist_ok=True)
        self.write("knot.conf", self.configuration())
        self.spawn([find_program("knotd"), "-c", self.path("knot.conf")])
        self.wait_ready()
        return self
