# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""A small internet in a namespace: a signed root, a top-level domain, leaves.

named has the root and most leaves, knotd the top-level domain `world`, nsd
the second copy of a leaf.  The test signs every zone itself, from the leaves
up, and the root's key is the only trust anchor.  Leaves differ in what is
wrong with them, and bear the names of their faults.
"""

import os
import re
import socket
import subprocess
import threading

import dns.exception
import dns.flags
import dns.message
import dns.query

import lab
from lab_net import SBIN, LabError, Service, find_program, wait_for

ROOT = "127.0.0.10"
TLD = "127.0.0.20"
ONE = "127.0.0.31"      # named: every leaf
ONE6 = "fd00::31"
TWO = "127.0.0.32"      # nsd: some of them
OLD = "127.0.0.33"      # knotd: lag.world as it was before
LAME = "127.0.0.34"     # named: a zone that did not load
SILENT = "127.0.0.35"
ODD = "127.0.0.36"      # a liar with an rcode of its own
SELF = "127.0.0.60"     # dcv.world is answered by whoever listens there
WEB = "127.0.0.80"
DOH = "127.0.0.57"      # doh.world: named, by HTTPS
FAR = "2001:db8::53"    # no route leads there
RESOLVER = "127.0.0.53"     # unbound, validates
LOGGED = "127.0.0.54"       # named, does not, and notes every question

VALUE = lab.value()
PAST = ("20200101000000", "20200201000000")
GOOD = ("-3600", "+864000")
SOON = ("-3600", "+1500")
PROOF = f'_acme-challenge TXT "{VALUE}"\n'
BOTH = "@ NS ns1.plain.world.\n@ NS ns2.plain.world.\n"
FIRST = "@ NS ns1.plain.world.\n"


def head(serial=1):
    return (f"$TTL 300\n@ SOA ns1.plain.world. h.plain.world. {serial} "
            "86400 3600 864000 60\n")


def plain():
    """Names, addresses, aliases and CAA of the zone without signatures."""
    chain = "".join(f"c{i} CNAME c{i + 1}\n" for i in range(1, 9))
    return (head() + "@ NS ns1\n@ NS ns2\n"
            f"ns1 A {ONE}\nns1 AAAA {ONE6}\nns2 A {TWO}\nold A {OLD}\n"
            f"lame A {LAME}\nsilent A {SILENT}\nodd A {ODD}\n"
            f"far AAAA {FAR}\n" + PROOF +
            # Aliases, good and bad.
            "moved DNAME good.world.\n"
            "_acme-challenge.cross CNAME _acme-challenge.www.good.world.\n"
            "_acme-challenge.loop CNAME _acme-challenge.loop.good.world.\n"
            "_acme-challenge.eight CNAME c2\n"
            "_acme-challenge.nine CNAME c1\n" + chain +
            f'c9 TXT "{VALUE}"\n'
            "_acme-challenge.dead CNAME x.nowhere.world.\n"
            "_acme-challenge.late CNAME _acme-challenge.expired.world.\n"
            f"*.wild CNAME lb\nlb A {WEB}\n"
            # CAA at several levels.
            '@ CAA 0 issue "ca.example"\n'
            'deny CAA 0 issue ";"\n'
            'crit CAA 128 tbs "x"\n'
            'wc CAA 0 issue "ca.example"\nwc CAA 0 issuewild ";"\n'
            'mine CAA 0 issue "ca.example; accounturi=https://ca.example/1; '
            'validationmethods=dns-01"\n'
            "via CNAME deny\n" + "".join(
                f'many CAA 0 issue "ca{i}.example"\n' for i in range(98)) +
            'many CAA 0 issue "ca.example"\n'
            f"_acme-challenge.a.b.deny 60 TXT \"{VALUE}\"\n"
            # Large sets: over 512, 1232 and 4096 octets.
            + "".join(f'_acme-challenge.{name} TXT "{VALUE}"\n' + "".join(
                f'_acme-challenge.{name} TXT "{lab.value(name + str(i))}"\n'
                for i in range(n))
                for name, n in (("k1", 10), ("k2", 25), ("k5", 90)))
            # The web.
            + f"www A {WEB}\nshut A {SILENT}\nrst A {ONE}\nfar6 AAAA {FAR}\n")


# name: (text, signatures or None, delegation)
LEAVES = {
    "good.world": (head() + BOTH + PROOF + f'_acme-challenge.www TXT "{VALUE}"'
                   "\n_acme-challenge.self CNAME _acme-challenge.self.dcv."
                   "world.\n_acme-challenge.loop CNAME "
                   f"_acme-challenge.loop.plain.world.\nwww A {WEB}\n",
                   GOOD, BOTH),
    "expired.world": (head() + FIRST + PROOF, PAST, FIRST),
    "soon.world": (head() + FIRST + PROOF, SOON, FIRST),
    "wrong.world": (head() + FIRST + PROOF, GOOD, FIRST),
    "plain.world": (plain(), None, "@ NS ns1.plain\n@ NS ns2.plain\n"),
    "lag.world": (head(2) + FIRST + "@ NS old.plain.world.\n" + PROOF, None,
                  FIRST + "@ NS old.plain.world.\n"),
    "absent.world": (head() + FIRST, None, FIRST),
    "refused.world": (head() + BOTH + PROOF, None, BOTH),
    "lame.world": (head() + FIRST + "@ NS lame.plain.world.\n" + PROOF, None,
                   FIRST + "@ NS lame.plain.world.\n"),
    "silent.world": (head() + FIRST + "@ NS silent.plain.world.\n" + PROOF,
                     None, FIRST + "@ NS silent.plain.world.\n"),
    "odd.world": (head() + FIRST + "@ NS odd.plain.world.\n" + PROOF, None,
                  FIRST + "@ NS odd.plain.world.\n"),
    "far.world": (head() + FIRST + "@ NS far.plain.world.\n" + PROOF, None,
                  FIRST + "@ NS far.plain.world.\n"),
    # Parent and child do not agree; the parent's other server is lame.
    "parent.world": (head() + FIRST + PROOF, None,
                     FIRST + "@ NS lame.plain.world.\n"),
}


def ask(server, name, kind="TXT", timeout=2, **flags):
    """The answer of a server, or None."""
    query = dns.message.make_query(name, kind, **flags)
    try:
        return dns.query.udp_with_fallback(query, server, timeout=timeout)[0]
    except (dns.exception.DNSException, OSError):
        return None


class Server(Service):
    """A name server with zone files."""

    def __init__(self, directory, ns, address, zones):
        super().__init__(directory, ns)
        self.address = address
        self.zones = zones      # name: file, "" is the root

    def ready(self):
        zone = next(iter(self.zones), "")
        answer = ask(self.address, zone or ".", "SOA", 0.3)
        return answer is not None

    def start(self):
        self.ns.add_address(self.address)
        self.spawn(self.configure())
        self.wait_ready()
        return self


class Bind(Server):
    name = "named"
    also = ()
    more = "recursion no;"
    top = ""

    def log(self):
        with open(self.path("queries"), errors="replace") as text:
            return text.read()

    def asked(self, name, kind="TXT"):
        """How often it was asked for that."""
        return len(re.findall(rf"query: {re.escape(name)} IN {kind} ",
                              self.log(), re.IGNORECASE))

    def configure(self):
        for one in self.also:
            self.ns.add_address(one)
        six = " ".join(f"{a};" for a in self.also if ":" in a)
        zones = "".join(
            f'zone "{zone or "."}" {{ type primary; file "{path}"; }};\n'
            for zone, path in self.zones.items())
        path = self.write("named.conf", f"""
options {{ directory "{self.dir}"; pid-file none; lock-file none;
  session-keyfile none; listen-on {{ {self.address}; }};
  listen-on-v6 {{ {six or "none;"} }}; notify no; dnssec-validation no;
  empty-zones-enable no; querylog yes; {self.more} }};
controls {{ }};
logging {{ channel q {{ file "queries"; }};
  category queries {{ q; }}; }};
{self.top}{zones}""")
        return [find_program("named"), "-f", "-n", "1", "-c", path]


class Knot(Server):
    name = "knotd"

    def configure(self):
        os.makedirs(self.path("db"), exist_ok=True)
        zones = "".join(f"  - domain: {zone}.\n    file: {path}\n"
                        for zone, path in self.zones.items())
        path = self.write("knot.conf", f"""
server:
    rundir: {self.dir}
    listen: {self.address}@53
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: {self.path('db')}
    journal-db-max-size: 50M
    timer-db-max-size: 10M
    kasp-db-max-size: 10M
template:
  - id: default
    zonefile-sync: -1
    journal-content: none
zone:
{zones}""")
        return [find_program("knotd"), "-c", path]


class Nsd(Server):
    name = "nsd"

    def configure(self):
        zones = "".join(f'zone:\n    name: "{zone}"\n    zonefile: "{path}"\n'
                        for zone, path in self.zones.items())
        path = self.write("nsd.conf", f"""
server:
    ip-address: {self.address}
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
remote-control:
    control-enable: no
{zones}""")
        return [find_program("nsd"), "-d", "-c", path]


class Unbound(Server):
    name = "unbound"
    anchor = ""

    def ready(self):
        answer = ask(self.address, "good.world", "SOA", 1)
        return answer is not None and bool(answer.answer)

    def configure(self):
        self.write("hints", f". 60 NS a.\na. 60 A {ROOT}\n")
        path = self.write("unbound.conf", f"""
server:
  interface: {self.address}
  directory: "{self.dir}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  root-hints: "hints"
  trust-anchor-file: "{self.anchor}"
  module-config: "validator iterator"
  do-not-query-localhost: no
  access-control: 127.0.0.0/8 allow
  num-threads: 1
remote-control:
  control-enable: no
""")
        return [find_program("unbound"), "-d", "-c", path]


class Silence:
    """Sockets that take everything and say nothing."""

    def __init__(self, ns, address):
        self.ns = ns
        self.address = address
        self.sockets = []

    def _open(self):
        for kind, port in ((socket.SOCK_DGRAM, 53), (socket.SOCK_STREAM, 53),
                           (socket.SOCK_STREAM, 80)):
            one = socket.socket(socket.AF_INET, kind)
            self.sockets.append(one)
            one.bind((self.address, port))
            if kind == socket.SOCK_STREAM:
                one.listen(64)

    def __enter__(self):
        self.ns.add_address(self.address)
        self.ns.call(self._open)
        return self

    def __exit__(self, *_):
        for one in self.sockets:
            one.close()


class Odd:
    """A server that answers every question with NOTIMP."""

    def __init__(self, ns, address):
        self.ns = ns
        self.address = address
        self.socket = self.thread = None

    def _open(self):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind((self.address, 53))

    def _serve(self):
        while True:
            query, peer = self.socket.recvfrom(4096)
            if len(query) < 12:
                return
            self.socket.sendto(query[:2] + bytes([query[2] | 0x80, 4]) +
                               query[4:], peer)

    def __enter__(self):
        self.ns.add_address(self.address)
        self.ns.call(self._open)
        self.thread = threading.Thread(target=self._serve)
        self.thread.start()
        return self

    def _end(self):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as last:
            last.sendto(b"", (self.address, 53))

    def __exit__(self, *_):
        self.ns.call(self._end)
        self.thread.join()
        self.socket.close()


class Signer:
    """Keys and signatures; the zones' files."""

    def __init__(self, directory):
        self.dir = directory
        os.makedirs(directory)

    def tool(self, *argv):
        done = subprocess.run([find_program(argv[0]), *argv[1:]],
                              cwd=self.dir, capture_output=True, text=True,
                              env={"PATH": SBIN}, check=False)
        if done.returncode != 0:
            raise LabError(f"{argv}: {done.stderr}")
        return done.stdout.strip()

    def write(self, zone, text, name=None):
        path = os.path.join(self.dir, name or (zone or "root") + ".zone")
        with open(path, "w", encoding="ascii") as out:
            out.write(f"$ORIGIN {zone}.\n{text}")
        return path

    def key(self, zone):
        return os.path.join(self.dir, self.tool(
            "dnssec-keygen", "-q", "-a", "ECDSAP256SHA256", "-f", "KSK",
            (zone or "") + "."))

    def sign(self, zone, text, when):
        """(file, DS lines, DNSKEY file) of the signed zone."""
        key = self.key(zone)
        with open(key + ".key", encoding="ascii") as own:
            path = self.write(zone, text + own.read())
        start, end = ("now" + t if t[0] in "+-" else t for t in when)
        self.tool("dnssec-signzone", "-q", "-z", "-P", "-o",
                  (zone or "") + ".", "-s", start, "-e", end, "-f",
                  path + ".signed", path, key)
        ds = self.tool("dnssec-dsfromkey", "-2", key + ".key")
        return path + ".signed", ds + "\n", key + ".key"


class World:
    """All of it, as a context manager: `with World(dir, ns) as world`."""

    def __init__(self, directory, ns):
        self.dir = str(directory)
        self.ns = ns
        self.open = []
        self.files = {}
        self.anchor = os.path.join(self.dir, "anchor")

    def sign(self):
        signer = Signer(os.path.join(self.dir, "zones"))
        tld = (head() + "@ NS a\n" + f"a A {TLD}\n"
               '@ CAA 0 issue "tld-ca.example"\n'
               f"ns1.plain A {ONE}\nns1.plain AAAA {ONE6}\n"
               f"ns2.plain A {TWO}\n"
               f"dcv NS ns1.dcv\nns1.dcv A {SELF}\ndoh A {DOH}\n")
        for zone, (text, when, cut) in LEAVES.items():
            tld += cut.replace("@", zone.split(".")[0])
            if when is None:
                self.files[zone] = signer.write(zone, text)
                continue
            self.files[zone], ds, _ = signer.sign(zone, text, when)
            if zone == "wrong.world":
                # The DS of a key that the zone does not have.
                ds = signer.tool("dnssec-dsfromkey", "-2",
                                 signer.key(zone) + ".key") + "\n"
            tld += ds
        self.files["world"], ds, _ = signer.sign("world", tld, GOOD)
        self.files[""], _, key = signer.sign(
            "", head() + f"@ NS a.\na. A {ROOT}\nworld. NS a.world.\n"
            f"a.world. A {TLD}\n" + ds, GOOD)
        self.files["old"] = signer.write(
            "lag.world", LEAVES["lag.world"][0].replace(PROOF, "").replace(
                " 2 86400", " 1 86400"), "old.zone")
        with open(key, encoding="ascii") as dnskey, \
                open(self.anchor, "w", encoding="ascii") as out:
            out.write("".join(line for line in dnskey
                              if not line.startswith(";")))

    def enter(self, thing):
        thing.__enter__()
        self.open.append(thing)
        return thing

    def server(self, kind, name, address, zones, **more):
        one = kind(os.path.join(self.dir, name), self.ns, address, zones)
        for key, value in more.items():
            setattr(one, key, value)
        return self.enter(one)

    def _start(self):
        self.sign()
        files = self.files
        leaves = {z: files[z] for z in LEAVES}
        self.root = self.server(Bind, "root", ROOT, {"": files[""]})
        self.tld = self.server(Knot, "tld", TLD, {"world": files["world"]})
        self.one = self.server(Bind, "one", ONE, leaves, also=[ONE6])
        self.two = self.server(Nsd, "two", TWO, {
            z: files[z] for z in ("good.world", "plain.world")})
        self.server(Knot, "old", OLD, {"lag.world": files["old"]})
        broken = os.path.join(self.dir, "missing.zone")
        self.lame = self.server(Bind, "lame", LAME, {
            "lame.world": broken, "parent.world": broken})
        self.enter(Silence(self.ns, SILENT))
        self.enter(Odd(self.ns, ODD))
        hints = os.path.join(self.dir, "hints")
        with open(hints, "w", encoding="ascii") as out:
            out.write(f". 60 NS a.\na. 60 A {ROOT}\n")
        self.logged = self.server(
            Bind, "logged", LOGGED, {},
            more="recursion yes; allow-recursion { any; };",
            top=f'zone "." {{ type hint; file "{hints}"; }};\n')
        self.resolver = self.server(Unbound, "resolver", RESOLVER, {},
                                    anchor=self.anchor)
        wait_for(lambda: self.ns.call(ask, LOGGED, "plain.world", "NS"),
                 "the logging resolver answers")

    def __enter__(self):
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        while self.open:
            self.open.pop().__exit__(None, None, None)


def programs_missing():
    """Which of the servers are not installed."""
    found = []
    for name in ("named", "knotd", "nsd", "unbound", "dnssec-signzone"):
        try:
            find_program(name)
        except LabError:
            found.append(name)
    return found
