# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""A real delegation: root, parents, resolvers, and the responder below."""

import os
import subprocess

import dns.exception
import dns.message
import dns.query
import dns.rcode
import pytest

import lab
import lab_pebble
import lab_responder as lr
from lab_net import SBIN, Service, find_program

ROOT = "127.0.0.10"
UNBOUND = "127.0.0.11"
BIND = "127.0.0.12"
SELF = "127.0.0.60"
SELF6 = "fd00::60"
NS = f"ns1.{lr.ZONE} {SELF} {SELF6}"
ALIAS = f"_acme-challenge.www.example.com.{lr.ZONE}"


class Tree(Service):
    """named with the root, example.com (which takes updates), example.net."""

    name = "tree"

    def __init__(self, directory, ns):
        super().__init__(directory, ns)
        self.key = lab.Key()

    def where(self):
        return ROOT

    def zone(self, name, lines, more=""):
        head = f"$TTL 60\n@ SOA ns.tree. root.tree. 1 600 600 600 5\n"
        self.write(f"{name or 'root'}.zone", head + lines)
        return (f'zone "{name or "."}" {{ type primary; '
                f'file "{name or "root"}.zone"; {more} }};\n')

    def start(self):
        below = "".join(f"{z}. NS ns.tree.\n" for z in (
            "tree", "example.com", "example.net", "example.org"))
        zones = self.zone("", f"@ NS ns.tree.\n{below}ns.tree. A {ROOT}\n")
        zones += self.zone("tree", f"@ NS ns\nns A {ROOT}\n")
        zones += self.zone(
            "example.com", f"@ NS ns.tree.\nwww A {SELF}\nother A {SELF}\n"
            f"ca A {SELF}\n",
            f'allow-update {{ key "{self.key.name.rstrip(".")}"; }};')
        zones += self.zone("example.org", "@ NS ns.tree.\n")
        zones += self.zone(
            "example.net", f"@ NS ns.tree.\n{lr.ZONE}. NS ns1.{lr.ZONE}.\n"
            f"ns1.{lr.ZONE}. A {SELF}\nns1.{lr.ZONE}. AAAA {SELF6}\n")
        path = self.write("named.conf", self.key.named() + f"""
options {{ directory "{self.dir}"; pid-file none; lock-file none;
  session-keyfile none; listen-on {{ {ROOT}; }}; listen-on-v6 {{ none; }};
  recursion no; notify no; dnssec-validation no; empty-zones-enable no; }};
controls {{ }};
""" + zones)
        self.ns.add_address(ROOT)
        self.spawn([find_program("named"), "-g", "-n", "1", "-c", path])
        self.wait_ready()
        return self

    def ready(self):
        return bool(ask(ROOT, "example.com", "SOA", timeout=0.2))


class Unbound(Service):
    name = "unbound"
    address = UNBOUND

    def start(self):
        self.write("hints", f". 60 NS ns.tree.\nns.tree. 60 A {ROOT}\n")
        path = self.write("unbound.conf", f"""
server:
  interface: {UNBOUND}
  directory: "{self.dir}"
  chroot: ""
  username: ""
  pidfile: ""
  use-syslog: no
  root-hints: "hints"
  module-config: "iterator"
  do-not-query-localhost: no
  access-control: 127.0.0.0/8 allow
  use-caps-for-id: yes
  num-threads: 1
remote-control:
  control-enable: no
""")
        self.ns.add_address(UNBOUND)
        self.spawn([find_program("unbound"), "-d", "-c", path])
        self.wait_ready()
        return self

    def ready(self):
        return bool(ask(self.address, "example.com", "SOA", timeout=0.2))


class Resolver(Unbound):
    """BIND's named in the same place."""

    name = "resolver"
    address = BIND

    def start(self):
        self.write("hints", f". 60 NS ns.tree.\nns.tree. 60 A {ROOT}\n")
        path = self.write("named.conf", f"""
options {{ directory "{self.dir}"; pid-file none; lock-file none;
  session-keyfile none; listen-on {{ {BIND}; }}; listen-on-v6 {{ none; }};
  recursion yes; allow-recursion {{ any; }}; dnssec-validation no;
  empty-zones-enable no; }};
controls {{ }};
zone "." {{ type hint; file "hints"; }};
""")
        self.ns.add_address(BIND)
        self.spawn([find_program("named"), "-g", "-n", "1", "-c", path])
        self.wait_ready()
        return self


def ask(server, name, kind="TXT", tcp=False, timeout=3):
    """The answer section as text lines; None where there is no answer."""
    query = dns.message.make_query(name, kind)
    try:
        function = dns.query.tcp if tcp else dns.query.udp
        answer = function(query, server, timeout=timeout)
    except (dns.exception.DNSException, OSError):
        return None
    return [line for r in answer.answer for line in r.to_text().split("\n")]


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    if not lab.namespaces_work():
        pytest.skip("this user may not make namespaces")
    for program in ("unbound", "named"):
        find_program(program)
    base = tmp_path_factory.mktemp("tree")
    with lab.Namespace(resolver=UNBOUND, directory=str(base)) as ns:
        ns.add_address(SELF)
        ns.add_address(SELF6)
        with Tree(base / "tree", ns) as tree, \
                Unbound(base / "unbound", ns), Resolver(base / "bind", ns):
            tree.space = ns
            yield tree


@pytest.fixture
def placard(world, tmp_path):
    one = lab.Placard(tmp_path, ns=world.space)
    one.rfc2136("parent", world, world.key, zone="example.com")
    one.account("self", "responder", zones=[lr.ZONE], ns=[NS],
                listen=[SELF, f"[{SELF6}]"], http_listen=[SELF])
    one.route("example.com", "self")
    one.verify |= {"timeout": 20, "site-local": True, "dnssec": "off",
                   "resolvers": [UNBOUND]}
    return one


def delegated(placard, name="www.example.com"):
    placard.ok("delegate", "--create", name)


def test_delegation_by_real_resolvers(world, placard):
    """An alias made once; then each resolver gets there by itself."""
    delegated(placard)
    text = placard.ok("delegate", "www.example.com").out
    assert f"_acme-challenge.www.example.com. 3600 IN CNAME {ALIAS}." in text
    assert f"{lr.ZONE}. 3600 IN NS ns1.{lr.ZONE}." in text
    assert f"ns1.{lr.ZONE}. 3600 IN AAAA {SELF6}" in text
    made = world.space.call(ask, ROOT, "_acme-challenge.www.example.com",
                            "CNAME")
    assert made == [f"_acme-challenge.www.example.com. 3600 IN CNAME {ALIAS}."]
    # Made twice is made once.
    delegated(placard)
    with lr.Responder(placard, [lab.job(
            lab.dns01("www.example.com", "one"),
            lab.dns01("*.www.example.com", "two"))]):
        for resolver in (UNBOUND, BIND):
            for tcp in (False, True):
                lines = world.space.call(
                    ask, resolver, "_acme-challenge.www.example.com", "TXT",
                    tcp)
                assert len(lines) == 3, (resolver, lines)
                assert sorted(line.split()[-1] for line in lines
                              if " TXT " in line) == sorted(
                    f'"{lab.value(s)}"' for s in ("one", "two"))
        # What a CA asks for on the way is NODATA, not an error.
        for resolver in (UNBOUND, BIND):
            assert world.space.call(ask, resolver, ALIAS, "CAA") == []
    assert placard.quiet_journal() or all(
        "delegate" in line for line in placard.listed())
    assert world.space.call(ask, SELF, ALIAS, "TXT", False, 0.5) is None


def test_report_tells_every_address(world, placard):
    delegated(placard)
    job = placard.job_file(lab.job(lab.dns01("www.example.com", "x"),
                                   hold="until-visible"))
    done = placard.json("present", "--jobs", job)
    assert done.status == 0, done
    one = done.report["challenges"][0]
    assert one["scope"] == lr.ZONE and one["account"] == "self"
    assert {v["address"] for v in one["verdicts"]} >= {SELF, SELF6}
    assert all(v["answer"] == "present" for v in one["verdicts"])


def test_route_of_the_zone_picks_the_account(world, placard):
    """example.com is the parent's by route; the alias leads to the zone."""
    delegated(placard)
    placard.routes = []
    placard.route("example.com", "parent")
    placard.route(lr.ZONE, "self")
    placard.write()
    with lr.Responder(placard, [lab.job(lab.dns01("www.example.com"))]):
        lines = world.space.call(ask, SELF, ALIAS)
        assert len(lines) == 1 and lab.value() in lines[0]


def test_no_route_finds_it(world, placard):
    delegated(placard)
    placard.routes = []
    placard.write()
    with lr.Responder(placard, [lab.job(lab.dns01("www.example.com"))]):
        assert lab.value() in world.space.call(ask, SELF, ALIAS)[0]


def test_no_route_and_nobody_holds_the_name(world, placard):
    """The parent is asked, does not hold it; its alias leads here."""
    placard.accounts["parent"]["zone"] = "elsewhere.example.com"
    placard.routes = []
    delegator = lab.Placard(os.path.join(placard.dir, "other"),
                            ns=world.space)
    delegator.rfc2136("parent", world, world.key, zone="example.com")
    delegator.accounts["self"] = placard.accounts["self"]
    delegator.verify = placard.verify
    delegated(delegator)
    with lr.Responder(placard, [lab.job(lab.dns01("www.example.com"))]):
        assert lab.value() in world.space.call(ask, SELF, ALIAS)[0]
    # Nor does anybody hold a name without an alias.
    done = placard.run("run", "-m", "dns-01", "-d", "other.example.com",
                       "--value", lab.value(), "--", "true")
    assert done.status == 1 and "no account holds its zone" in done.err, done


def test_check(world, placard):
    delegated(placard)
    good = placard.run("--json", "check", "www.example.com")
    assert good.status == 0, good
    assert good.objects[0]["ready"] and good.objects[0]["scope"] == lr.ZONE
    bad = placard.run("--json", "check", "other.example.com")
    assert bad.status == 1, bad
    assert "none of the zones" in bad.objects[0]["account-error"]
    # While somebody answers already (as placardd does), it is as good.
    with lr.Responder(placard, [lab.job(lab.dns01("www.example.com"))]):
        assert placard.run("check", "www.example.com").status == 0


def test_delegate_needs_somebody_who_holds_the_zone(placard):
    done = placard.run("delegate", "--create", "www.example.org")
    assert done.status == 1, done
    assert "by hand" in done.err


def test_pebble(world, placard, tmp_path):
    """A CA that validates dns-01 (with a wildcard) and http-01, and issues."""
    if not lab_pebble.installed():
        pytest.skip("pebble is not installed")
    # A name that no resolver has been asked for.
    delegated(placard, "ca.example.com")
    space = world.space
    with lab_pebble.Pebble(tmp_path / "pebble", f"{BIND}:53", space) as pebble:
        client = lab_pebble.Client(pebble)
        space.call(client.start)
        for kind, names in (
                ("dns-01", ["ca.example.com", "*.ca.example.com"]),
                ("http-01", ["ca.example.com", "other.example.com"])):
            where, order, found = space.call(client.order, names, kind)
            job = lab.job(*({
                "method": kind, "domain": domain, "token": token,
                "key-authorization": client.key_authorization(token)}
                for domain, _, token in found))
            with lr.Responder(placard, [job]):
                cert = space.call(client.finish, where, order, found, names)
            assert lab_pebble.names_of(cert) == sorted(names)


def test_present_says_that_it_would_be_gone(placard):
    delegated(placard)
    done = placard.run("present", "-m", "dns-01", "-d", "www.example.com",
                       "--value", lab.value())
    assert done.status == 3, done
    assert "placardd" in done.err and "placard run" in done.err


def test_sockets_are_handed_down(world, placard):
    """As systemd does it: descriptors from 3 on, LISTEN_FDS, LISTEN_PID."""
    delegated(placard)
    helper = os.path.join(placard.dir, "activate.py")
    with open(helper, "w", encoding="ascii") as out:
        out.write(f"""import os, socket, sys
keep = []
for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
    for family, where in ((socket.AF_INET, "{SELF}"),
                          (socket.AF_INET6, "{SELF6}")):
        s = socket.socket(family, kind)
        s.bind((where, 53))
        if kind == socket.SOCK_STREAM:
            s.listen(8)
        keep.append(s)
high = [os.dup2(s.fileno(), 40 + i) for i, s in enumerate(keep)]
for i, fd in enumerate(high):
    os.dup2(fd, 3 + i)
os.closerange(3 + len(high), 64)
os.environ.update(LISTEN_FDS=str(len(high)), LISTEN_PID=str(os.getpid()))
os.execv(sys.argv[1], sys.argv[1:])
""")
    with lr.Responder(placard, [lab.job(lab.dns01("www.example.com"))],
                      wrap=["/usr/bin/python3", helper]):
        for server in (SELF, SELF6):
            for tcp in (False, True):
                lines = world.space.call(ask, server, ALIAS, "TXT", tcp)
                assert lines and lab.value() in lines[0]
        # Bound by somebody else: nobody but who got them has them.
        again = subprocess.run(
            placard.argv(["account", "test", "self"]), env={"PATH": SBIN} |
            placard.env(), capture_output=True, text=True, check=False)
        assert again.returncode == 3
        assert f"{SELF} (UDP port 53)" in again.stderr, again.stderr
