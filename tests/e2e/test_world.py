# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""What a CA will see, in a small internet with everything that goes wrong."""

import os
import re
import time

import dns.flags
import pytest

import lab
import lab_responder as lr
import lab_world as lw

MANUAL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..",
                      "man", "placard.1")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    if not lab.namespaces_work():
        pytest.skip("this user may not make namespaces")
    missing = lw.programs_missing()
    if missing:
        pytest.skip(f"not installed: {', '.join(missing)}")
    base = tmp_path_factory.mktemp("world")
    with lab.Namespace(resolver=lw.RESOLVER, directory=str(base)) as ns, \
            lw.World(base / "w", ns) as one:
        yield one


@pytest.fixture
def placard(world, tmp_path):
    one = lab.Placard(tmp_path, ns=world.ns)
    one.verify = {"resolvers": [lw.LOGGED], "timeout": 20,
                  "trust-anchor": world.anchor, "site-local": True}
    return one


def verify(placard, domain, *more):
    """A look (one, unless --timeout is given) at a dns-01 record, the report's only challenge beside it."""
    done = placard.json("verify", "-m", "dns-01", "-d", domain, "--value",
                        lw.VALUE, *more)
    return done, done.challenges[0]


def answers(challenge):
    return {v["address"]: v["answer"] for v in challenge["verdicts"]}


def findings(placard, *args):
    """What the text form says beside the verdicts: (mark, topic, words)."""
    done = placard.run(*args)
    return done, re.findall(r"^ +(info|good|warn|bad), (\w+): (.*)$",
                            done.out, re.MULTILINE)


def said(found, mark, topic, words):
    assert any(m == mark and t == topic and words in w
               for m, t, w in found), (mark, topic, words, found)


# ---- every word that a verdict may be ------------------------------------------

# The zone that is looked at, the address that answers so, what is required.
WORDS = {
    "present": ("good.world", lw.TWO, {}),
    "absent": ("absent.world", lw.ONE, {}),
    "stale": ("lag.world", lw.OLD, {}),
    "refused": ("refused.world", lw.TWO, {}),
    "lame": ("lame.world", lw.LAME, {}),
    "timeout": ("silent.world", lw.SILENT, {}),
    "bogus": ("expired.world", lw.ONE, {"dnssec": "require"}),
    "error": ("odd.world", lw.ODD, {}),
    "unreachable": ("far.world", lw.FAR, {}),
}


def words_of_manual():
    with open(MANUAL, encoding="ascii") as text:
        part = re.search(r"^An answer is\n(.*?)\n\.Pp", text.read(),
                         re.MULTILINE | re.DOTALL).group(1)
    return [word for line in part.splitlines() if line.startswith(".Li ")
            for word in re.findall(r"[a-z]+", line[4:])]


def test_each_word_of_the_manual_has_its_case():
    words = words_of_manual()
    assert sorted(words) == sorted(WORDS) and len(set(words)) == len(words)


@pytest.mark.quick
@pytest.mark.parametrize("word", WORDS)
def test_word(placard, word):
    zone, address, more = WORDS[word]
    placard.verify |= more
    done, one = verify(placard, zone)
    assert answers(one)[address] == word, done
    # Nothing else is wrong with that zone.
    rest = {a: w for a, w in answers(one).items() if a != address}
    assert set(rest.values()) <= {"present", word}, done
    good = word in ("present", "unreachable")
    assert (one["state"] == "visible") == good, done
    # 5: published, not visible; 1: for good, as the settings have it.
    assert done.status == (0 if good else 1 if word == "bogus" else 5), done
    if not good:
        assert word in one["error"]["text"], done


def test_silence_costs_its_own_time_only(placard):
    """Each other server's verdict is there, though one says nothing."""
    placard.verify["quorum"] = 1
    done, one = verify(placard, "silent.world")
    assert done.status == 0 and answers(one)[lw.ONE] == "present", done


# ---- DNSSEC -------------------------------------------------------------------

def test_chain_from_the_root(placard):
    placard.verify["dnssec"] = "require"
    for zone in ("good.world", "plain.world", "soon.world"):
        done, one = verify(placard, zone)
        assert done.status == 0, done
    ask = ["verify", "-m", "dns-01", "--value", lw.VALUE, "-d"]
    said(findings(placard, *ask, "good.world")[1], "good", "dnssec",
         "chain of trust holds")
    said(findings(placard, *ask, "plain.world")[1], "info", "dnssec",
         "not signed")
    said(findings(placard, *ask, "soon.world")[1], "warn", "dnssec",
         "_acme-challenge.soon.world: a signature ends in ")


@pytest.mark.parametrize("domain, name, why", [
    ("expired.world", "expired.world", "signature expired"),
    ("wrong.world", "wrong.world", "no keys have a DS"),
    # The alias stands in a zone without signatures.
    ("late.plain.world", "expired.world", "signature expired")])
def test_broken_chain_is_named(placard, domain, name, why):
    placard.verify["dnssec"] = "require"
    done, one = verify(placard, domain)
    assert done.status == 1 and one["state"] != "visible", done
    assert f"dnssec: {name} is bogus" in one["error"]["text"], done
    assert why in one["error"]["text"], done
    placard.verify["dnssec"] = "warn"
    placard.write()
    found = findings(placard, "verify", "-m", "dns-01", "-d", domain,
                     "--value", lw.VALUE)
    assert found[0].status == 0
    said(found[1], "warn", "dnssec", f"{name} is bogus")
    placard.verify["dnssec"] = "off"
    placard.write()
    done, one = verify(placard, domain)
    assert done.status == 0 and "dnssec" not in done.text(), done


def test_another_anchor_trusts_nothing(placard, tmp_path):
    """The chain ends at the root's key, not somewhere on the way."""
    other = tmp_path / "anchor"
    signer = lw.Signer(str(tmp_path / "keys"))
    with open(signer.key("") + ".key", encoding="ascii") as key:
        other.write_text("".join(k for k in key if k[0] != ";"))
    placard.verify |= {"dnssec": "require", "trust-anchor": str(other)}
    done, one = verify(placard, "good.world")
    assert done.status == 1 and "bogus" in one["error"]["text"], done


def test_no_validator_in_sight(placard):
    """Resolvers that say nothing: it is said, and blocks where required."""
    placard.verify |= {"dnssec": "require", "resolvers": [lw.SILENT],
                       "servers": [lw.ONE]}
    done, one = verify(placard, "good.world", "--timeout", "1")
    assert done.status == 6, done
    assert "visible, but DNSSEC could not be looked at" in one["error"][
        "text"], done


def test_validator_comes_back(world, placard):
    """A fault that passes is waited for, as long as there is time."""
    placard.verify |= {"dnssec": "require", "servers": [lw.ONE],
                       "resolvers": [lw.RESOLVER], "caa": "require"}
    # Freshly started: it has nothing in its cache.
    world.resolver.stop()
    asked = world.one.asked("_acme-challenge.good.world")
    proc = placard.popen("--json", "verify", "-m", "dns-01", "-d",
                         "good.world", "--value", lw.VALUE, "--timeout", "60",
                         "--ca", "tld-ca.example")
    try:
        lab.wait_for(lambda: world.one.asked("_acme-challenge.good.world") >
                     asked, "a look")
        # CAA and DNSSEC have failed once at least.
        time.sleep(0.3)
        assert proc.poll() is None
    finally:
        world.resolver.start()
    done = placard.finish(proc)
    assert done.status == 0, done


def test_signed_parent_of_the_responder(world, placard):
    """An alias out of a signed zone, to one whose parent says "not signed"."""
    zone = "dcv.world"
    name = "_acme-challenge.self.good.world"
    world.ns.add_address(lw.SELF)
    placard.account("resp", "responder", zones=[zone],
                    ns=[f"ns1.{zone} {lw.SELF}"], listen=[lw.SELF])
    placard.route("world", "resp")
    placard.verify |= {"dnssec": "require", "resolvers": [lw.RESOLVER]}
    job = lab.job(lab.dns01("self.good.world", "one"),
                  lab.dns01("*.self.good.world", "two"))
    with lr.Responder(placard, [job]):
        # A validator takes it, and takes it for what it is.
        answer = world.ns.call(lw.ask, lw.RESOLVER, name, "TXT", 5)
        assert answer.rcode() == 0 and not answer.flags & dns.flags.AD
        texts = {t.to_text() for r in answer.answer if r.rdtype == 16
                 for t in r}
        assert texts == {f'"{lab.value(s)}"' for s in ("one", "two")}
        for kind in ("CAA", "A", "DS", "DNSKEY"):
            answer = world.ns.call(lw.ask, lw.RESOLVER,
                                   f"_acme-challenge.self.{zone}", kind, 5)
            assert answer.rcode() == 0 and not answer.answer, kind
        done, found = findings(placard, "verify", "-m", "dns-01", "-d",
                               "self.good.world", "--value",
                               lab.value("one"))
        assert done.status == 0, done
        said(found, "info", "dnssec", f"signed on the way, but {zone} is not")
        done, found = findings(placard, "check", "self.good.world")
        assert done.status == 0, done
        said(found, "info", "alias", f"leads to _acme-challenge.self.{zone}, "
             f"in {zone}")
    # The alias is there, the responder is not: at most a cache has it.
    done, found = findings(placard, "verify", "-m", "dns-01", "-d",
                           "self.good.world", "--value", lab.value("one"))
    if done.status not in (5, 6):
        said(found, "warn", "resolvers",
             f"no server of {zone} can be reached")


# ---- aliases --------------------------------------------------------------------

@pytest.mark.parametrize("name, end", [
    ("cross.plain.world", "_acme-challenge.www.good.world"),
    ("www.moved.plain.world", "_acme-challenge.www.good.world"),
    ("eight.plain.world", "c9.plain.world")])
def test_alias_is_followed(placard, name, end):
    done, one = verify(placard, name)
    assert done.status == 0, done
    found = findings(placard, "check", name)[1]
    said(found, "info", "alias", f" leads to {end}, in ")


@pytest.mark.parametrize("name, status, words", [
    ("loop.plain.world", 1, "alias loop: _acme-challenge.loop.good.world "
     "leads back to _acme-challenge.loop.plain.world"),
    ("nine.plain.world", 1, "a chain of more than 8 aliases"),
    ("dead.plain.world", 5, "dead end: its alias leads to a name that does "
     "not exist, x.nowhere.world"),
    ("x.wild.plain.world", 5, "not visible")])
def test_alias_that_does_not_end_well(placard, name, status, words):
    done, one = verify(placard, name)
    assert done.status == status, done
    assert one["error"]["text"].startswith(f"_acme-challenge.{name}: "), done
    assert words in one["error"]["text"], done
    # Who was not waited for has no verdict.
    assert "timeout" not in answers(one).values(), done
    if ".wild." in name:
        found = findings(placard, "verify", "-m", "dns-01", "-d", name,
                         "--value", lw.VALUE)[1]
        said(found, "info", "alias", "a wildcard leads to lb.plain.world")


def test_alias_into_a_zone_that_nobody_holds(world, placard):
    """By route or not, it is said where the alias leads."""
    end = "_acme-challenge.www.good.world"
    ask = ["run", "-m", "dns-01", "-d", "cross.plain.world", "--value",
           lw.VALUE, "--", "true"]
    world.ns.add_address(lw.SELF)
    placard.account("resp", "responder", zones=["dcv.world"],
                    ns=[f"ns1.dcv.world {lw.SELF}"], listen=[lw.SELF])
    done = placard.run(*ask)
    assert done.status == 1 and (
        "cross.plain.world: no route, and no account holds its zone, nor "
        f"that of {end}, where its alias leads") in done.err, done
    # Each account is asked twice; the second "no" is heard as well.
    done = placard.run("check", "cross.plain.world", "good.world")
    assert done.status == 1 and done.out.count(": not ready") == 2, done
    assert f"no account holds its zone, nor that of {end}\n" in done.out
    placard.route("plain.world", "resp").write()
    done = placard.run(*ask)
    assert done.status == 1 and (
        "_acme-challenge.cross.plain.world: its alias leads to another "
        f"zone: resp: {end}: ") in done.err, done
    assert placard.quiet_journal()
    # Published at the name itself, where that is wanted.
    placard.accounts["resp"]["follow"] = False
    placard.write()
    done = placard.run(*ask)
    assert done.status == 1 and (
        "resp: _acme-challenge.cross.plain.world: is in none of the zones"
        ) in done.err, done


# ---- CAA --------------------------------------------------------------------------

CA = ["--ca", "ca.example"]


@pytest.mark.parametrize("name, more, mark, words", [
    ("plain.world", CA, "good", 'allowed by issue "ca.example" at plain.world'),
    ("x.y.plain.world", CA, "good", "at plain.world"),
    ("good.world", CA, "bad", "forbidden at world by issue \"tld-ca.example\"; "
     'this would allow it: world. CAA 0 issue "ca.example"'),
    ("good.world", ["--ca", "tld-ca.example"], "good", "at world"),
    ("deny.plain.world", CA, "bad", "forbidden at deny.plain.world"),
    ("a.b.deny.plain.world", CA, "bad", "forbidden at deny.plain.world"),
    ("via.plain.world", CA, "bad", "forbidden at via.plain.world"),
    ("crit.plain.world", CA, "bad", "critical tag tbs"),
    ("many.plain.world", CA, "good", "at many.plain.world"),
    ("wc.plain.world", CA, "good", "at wc.plain.world"),
    ("*.wc.plain.world", CA, "bad", 'by issuewild ";"'),
    ("mine.plain.world", CA + ["--account-uri", "https://ca.example/1"],
     "good", "allowed"),
    ("mine.plain.world", CA + ["--account-uri", "https://ca.example/2"],
     "bad", "forbidden at mine.plain.world")])
def test_caa(placard, name, more, mark, words):
    placard.verify["caa"] = "require"
    done, found = findings(placard, "check", name, *more)
    said(found, mark, "caa", words)
    assert (done.status == 0) == (mark == "good"), done.out
    # The same as advice.
    placard.verify["caa"] = "warn"
    placard.write()
    done, found = findings(placard, "check", name, *more)
    said(found, {"bad": "warn"}.get(mark, mark), "caa", words)
    assert done.status == 0, done


def test_caa_servfail_is_a_failure(placard):
    """The CA's resolver validates: what it answers with SERVFAIL, counts."""
    placard.verify |= {"caa": "require", "resolvers": [lw.RESOLVER],
                       "servers": [lw.ONE], "dnssec": "off"}
    done = placard.run("check", "expired.world", *CA)
    assert done.status == 6 and "SERVFAIL" in done.out, done


# ---- delegation, sizes ------------------------------------------------------------

def test_parent_and_child(placard):
    done, found = findings(placard, "check", "good.world")
    said(found, "good", "delegation", "name the same 2 servers")
    done, found = findings(placard, "check", "parent.world")
    said(found, "warn", "delegation", "only its parent names lame.plain.world")


@pytest.mark.parametrize("name, mark, words", [
    ("k1", "info", "octets"), ("k2", "warn", "over 1232"),
    ("k5", "warn", "over 4096")])
def test_size_of_the_answer(placard, name, mark, words):
    done, found = findings(placard, "verify", "-m", "dns-01", "-d",
                           f"{name}.plain.world", "--value", lw.VALUE)
    assert done.status == 0
    said(found, mark, "size", words)
    assert not any(t == "size" for _, t, _ in findings(
        placard, "verify", "-m", "dns-01", "-d", "plain.world", "--value",
        lw.VALUE)[1])


# ---- resolvers --------------------------------------------------------------------

def test_no_resolver_is_asked_too_early(world, placard):
    """While one server has not answered, nobody's cache hears the name."""
    name = "_acme-challenge.good.world"
    before = world.logged.asked(name)
    world.two.pause()
    try:
        proc = placard.popen("--json", "verify", "-m", "dns-01", "-d",
                             "good.world", "--value", lw.VALUE, "--timeout",
                             "60")
        looked = world.one.asked(name)
        lab.wait_for(lambda: world.one.asked(name) > looked, "a look")
        # The silent one is asked twice, and by TCP, before it counts so.
        lab.wait_for(lambda: world.two.call(tcp_waits), "a try by TCP")
        assert world.logged.asked(name) == before
        # Of its zone, it was asked.
        assert world.logged.asked("good.world", "NS") > 0
    finally:
        world.two.resume()
    done = placard.finish(proc)
    assert done.status == 0, done
    assert set(answers(done.challenges[0]).values()) == {"present"}
    # The zone is signed: it is validated, now that all have it.
    assert world.logged.asked(name) > before


def tcp_waits():
    """Is there a connection to the second server?"""
    with open("/proc/thread-self/net/tcp", encoding="ascii") as text:
        where = "%02X%02X%02X%02X:0035" % tuple(
            int(p) for p in reversed(lw.TWO.split(".")))
        return any(f" {where} " in line.split(":", 1)[1] and
                   line.split()[3] == "01" for line in text if ":" in line)


def test_absent_name_never_reaches_a_resolver(world, placard):
    name = "_acme-challenge.absent.world"
    done, one = verify(placard, "absent.world", "--timeout", "1")
    assert done.status == 5 and one["attempts"] > 2, done
    assert world.logged.asked(name) == 0
    done = placard.run("check", "absent.world")
    assert done.status == 0 and world.logged.asked(name) == 0, done


# ---- resolvers by HTTPS ----------------------------------------------------------

@pytest.fixture
def doh(world, tmp_path):
    """named with a certificate; the host's own CA file says who to trust."""
    signer = lw.Signer(str(tmp_path / "tls"))
    cert, key = str(tmp_path / "tls/crt"), str(tmp_path / "tls/key")
    signer.tool("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=doh",
                "-addext", f"subjectAltName=IP:{DOH},DNS:doh.world", "-days", "2",
                "-keyout", key, "-out", cert)
    hints = os.path.join(world.dir, "hints")
    named = lw.Bind(tmp_path / "doh", world.ns, DOH, {})
    named.more = ("recursion yes; allow-recursion { any; }; "
                  f"listen-on port 443 tls doh http doh {{ {DOH}; }};")
    named.top = (f'tls doh {{ key-file "{key}"; cert-file "{cert}"; }};\n'
                 'http doh { endpoints { "/dns-query"; }; };\n'
                 f'zone "." {{ type hint; file "{hints}"; }};\n')
    with named:
        yield named, cert


DOH = lw.DOH
STORE = "/etc/ssl/certs/ca-certificates.crt"


def test_resolver_by_https(world, placard, doh):
    named, cert = doh
    if not os.path.exists(STORE):
        pytest.skip(f"no {STORE}")
    url = f"https://{DOH}/dns-query"
    placard.verify |= {"resolvers": [url], "dnssec": "off"}
    ask = ["verify", "-m", "dns-01", "-d", "plain.world", "--value",
           lw.VALUE]
    # Nobody vouches for it: it is not used.
    done = placard.json(*ask)
    assert (done.status == 6 and
            "no resolver answers" in done.challenges[0]["error"]["text"]), done
    world.ns.run("mount", "--bind", cert, STORE)
    try:
        done = placard.json(*ask)
        assert done.status == 0, done
        assert answers(done.challenges[0]) == {
            lw.ONE: "present", lw.ONE6: "present", lw.TWO: "present"}
        assert named.asked("plain.world", "NS") > 0
        assert named.asked("_acme-challenge.plain.world") == 0
        # By option as well, and by name; and CAA goes the same way.
        del placard.verify["resolvers"]
        placard.verify["caa"] = "require"
        placard.write()
        done = placard.run("check", "deny.plain.world", "--resolver",
                           "https://doh.world/dns-query", *CA)
        assert done.status == 1 and "forbidden at deny" in done.out, done
        assert named.asked("deny.plain.world", "CAA") > 0
    finally:
        world.ns.run("umount", STORE)


def test_port_53_is_closed(world, placard, doh):
    """No server is to be reached: the resolver's word, with a warning."""
    _, cert = doh
    name = "_acme-challenge.plain.world"
    placard.verify |= {"resolvers": [f"https://{DOH}/dns-query"],
                       "dnssec": "off"}
    ns = world.ns
    ns.run("mount", "--bind", cert, STORE)
    # It has been asked by somebody else, or has a way that we have not.
    assert verify(placard, "plain.world")[0].status == 0
    assert ns.call(lw.ask, DOH, name).answer
    world.one.pause()
    world.two.pause()
    try:
        done, found = findings(placard, "verify", "-m", "dns-01", "-d",
                               "plain.world", "--value", lw.VALUE)
        assert done.status == 0, done
        said(found, "warn", "resolvers", "no server of plain.world can be "
             "reached from here: the resolvers were asked instead")
        assert f"{DOH}: present" in done.out, done
    finally:
        world.one.resume()
        world.two.resume()
        ns.run("umount", STORE)
