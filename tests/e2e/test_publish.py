# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Records in real name servers: there, seen, gone, and nothing else moved."""

import base64
import hashlib
import subprocess

import pytest

import lab
from conftest import Bed, difference


@pytest.mark.quick
def test_one_record(bed):
    done = bed.placard.json("present", *bed.dns01("a"))
    assert done.status == 0, done
    assert bed.texts() == [lab.value("a")]
    one, = done.report["challenges"]
    assert done.report["state"] == one["state"] == "visible"
    assert one["method"] == "dns-01" and one["domain"] == bed.zone
    assert one["account"] == "lab" and one["scope"] == bed.zone
    assert one["record"] == bed.owner
    assert one["published"] and one["visible"] and one["error"] is None
    assert one["attempts"] >= 1
    assert [v["answer"] for v in one["verdicts"]] == ["present"] * 2
    done = bed.placard.json("cleanup", *bed.dns01("a"))
    assert done.status == 0, done
    assert done.report["state"] == "removed"
    bed.unchanged()
    assert bed.placard.quiet_journal()


@pytest.mark.quick
def test_one_record_on_knotd(knot_bed):
    bed = knot_bed
    bed.placard.ok("present", *bed.dns01("a"))
    assert bed.texts() == [lab.value("a")]
    bed.placard.ok("cleanup", *bed.dns01("a"))
    bed.unchanged()


@pytest.mark.quick
def test_apex_and_wildcard_share_a_set(bed):
    job = bed.placard.job_file(lab.job(
        lab.dns01(bed.zone, "apex"), lab.dns01("*." + bed.zone, "wild")))
    before = bed.primary.updates()
    done = bed.placard.json("present", "--jobs", job)
    assert done.status == 0, done
    assert bed.texts() == sorted([lab.value("apex"), lab.value("wild")])
    assert [c["domain"] for c in done.report["challenges"]] == [
        bed.zone, "*." + bed.zone]
    assert {c["record"] for c in done.report["challenges"]} == {bed.owner}
    # One scope, one call: both values go out in one message.
    assert bed.primary.updates() == before + 1
    bed.placard.ok("cleanup", *bed.dns01("wild", "*." + bed.zone))
    assert bed.texts() == [lab.value("apex")]
    bed.placard.ok("cleanup", *bed.dns01("apex"))
    bed.unchanged()


@pytest.mark.quick
@pytest.mark.parametrize("server", ["bed", "knot_bed"])
def test_stranger_survives(server, request):
    bed = request.getfixturevalue(server)
    bed.seed("stranger-one", "stranger two")
    bed.placard.ok("present", *bed.dns01("a"))
    assert bed.texts() == sorted(["stranger-one", "stranger two",
                                  lab.value("a")])
    bed.placard.ok("cleanup", *bed.dns01("a"))
    bed.unchanged()


def test_set_keeps_its_ttl(bed):
    bed.seed("stranger", ttl=77)
    bed.placard.ok("present", *bed.dns01("a"), "--ttl", "5")
    assert bed.primary.ttl(bed.owner) == 77
    bed.placard.ok("cleanup", "--all")
    bed.unchanged()


def test_ttl_of_a_new_set(bed):
    bed.placard.ok("present", *bed.dns01("a"), "--ttl", "123")
    assert bed.primary.ttl(bed.owner) == 123


@pytest.mark.quick
@pytest.mark.parametrize("server", ["bed", "knot_bed"])
def test_already_there_stays(server, request):
    bed = request.getfixturevalue(server)
    bed.seed(lab.value("a"), "stranger")
    bed.placard.ok("present", *bed.dns01("a"))
    assert bed.texts() == sorted([lab.value("a"), "stranger"])
    bed.placard.ok("cleanup", *bed.dns01("a"))
    bed.unchanged()
    assert bed.placard.quiet_journal()


def test_presented_twice_is_removed_once(bed):
    bed.placard.ok("present", *bed.dns01("a"))
    bed.placard.ok("present", *bed.dns01("a"))
    assert bed.texts() == [lab.value("a")]
    bed.placard.ok("cleanup", *bed.dns01("a"))
    bed.unchanged()
    assert bed.placard.quiet_journal()


def test_already_gone(bed):
    bed.placard.ok("present", *bed.dns01("a"))
    bed.primary.update(bed.zone, delete=[(bed.owner + ".", "TXT", None)])
    bed.placard.ok("cleanup", *bed.dns01("a"))
    bed.unchanged()
    assert bed.placard.quiet_journal()


def test_cleanup_of_what_never_was(bed):
    bed.placard.ok("cleanup", *bed.dns01("a"))
    bed.unchanged()


def test_cleanup_without_the_journal(bed, tmp_path):
    """The value was said, so it goes, whoever put it there."""
    bed.placard.ok("present", *bed.dns01("a"))
    other = lab.Placard(tmp_path / "other")
    other.rfc2136("lab", bed.primary).route(bed.zone, "lab")
    other.ok("cleanup", *bed.dns01("a"))
    bed.unchanged()


@pytest.mark.parametrize("server", ["bed", "knot_bed"])
def test_cname(server, request):
    bed = request.getfixturevalue(server)
    name = f"_{'0f' * 16}.www.{bed.zone}"
    what = ["-m", "dns-cname", "-d", "www." + bed.zone, "--name", name,
            "--value", "abc.def.ca.test"]
    bed.placard.ok("present", *what)
    assert bed.primary.target(name) == "abc.def.ca.test."
    bed.placard.ok("present", *what)
    bed.placard.ok("cleanup", *what)
    bed.unchanged()


def test_txt_at_the_domain_itself(bed):
    what = ["-m", "dns-txt", "-d", bed.zone, "--value", "ca-token=0123456789"]
    bed.placard.ok("present", *what)
    assert bed.texts(bed.zone) == ["ca-token=0123456789", "v=spf1 -all"]
    bed.placard.ok("cleanup", *what)
    bed.unchanged()


def test_txt_at_a_name(bed):
    name = f"_dnsauth.www.{bed.zone}"
    what = ["-m", "dns-txt", "-d", "www." + bed.zone, "--name", name,
            "--value", "202611_token"]
    bed.placard.ok("present", *what)
    assert bed.texts(name) == ["202611_token"]
    bed.placard.ok("cleanup", *what)
    bed.unchanged()


def test_value_from_key_authorization(bed):
    authorization = "token-1234567890abcdef.thumbprint_0123456789"
    what = ["-m", "dns-01", "-d", bed.zone,
            "--key-authorization", authorization]
    bed.placard.ok("present", *what)
    digest = hashlib.sha256(authorization.encode()).digest()
    assert bed.texts() == [
        base64.urlsafe_b64encode(digest).rstrip(b"=").decode()]
    bed.placard.ok("cleanup", *what)
    bed.unchanged()


def test_account_label(bed):
    url = "https://ca.test/acct/42"
    label = base64.b32encode(hashlib.sha256(
        url.encode()).digest()[:10]).decode().lower()
    what = ["-m", "dns-account-01", "-d", bed.zone, "--account-url", url,
            "--value", lab.value("a")]
    bed.placard.ok("present", *what)
    assert bed.texts(f"_{label}._acme-challenge.{bed.zone}") == [
        lab.value("a")]
    bed.placard.ok("cleanup", *what)
    bed.unchanged()


def test_unicode_name_on_the_command_line(bed):
    bed.placard.ok("present", *bed.dns01("a", "bücher." + bed.zone))
    assert bed.texts(f"_acme-challenge.xn--bcher-kva.{bed.zone}") == [
        lab.value("a")]
    bed.placard.ok("cleanup", *bed.dns01("a", "bücher." + bed.zone))
    bed.unchanged()


def test_upper_case_is_the_same_name(bed):
    bed.placard.ok("present", *bed.dns01("a", bed.zone.upper()))
    assert bed.texts() == [lab.value("a")]
    bed.placard.ok("cleanup", *bed.dns01("a"))
    bed.unchanged()
    assert bed.placard.quiet_journal()


@pytest.mark.parametrize("algorithm", [
    "hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384", "hmac-sha512"])
def test_key_algorithms(tmp_path, algorithm):
    key = lab.Key("some.key.", algorithm)
    with lab.Named(tmp_path / "s", ["one.test"], keys=[key]) as server:
        placard = lab.Placard(tmp_path / "p")
        placard.rfc2136("lab", server).route("one.test", "lab")
        placard.ok("present", "-m", "dns-01", "-d", "one.test", "--value",
                   lab.value(), "--no-wait")
        assert server.texts("_acme-challenge.one.test") == [lab.value()]


def test_deepest_zone_is_found(tmp_path):
    zones = ["a.test", "b.a.test", "d.c.b.a.test"]
    with lab.Named(tmp_path / "s", zones) as server:
        placard = lab.Placard(tmp_path / "p")
        placard.rfc2136("lab", server).route("a.test", "lab")
        placard.servers(server.where())
        for domain, zone in (("x.a.test", "a.test"),
                             ("y.b.a.test", "b.a.test"),
                             ("c.b.a.test", "b.a.test"),
                             ("d.c.b.a.test", "d.c.b.a.test")):
            done = placard.json("present", "-m", "dns-01", "-d", domain,
                                "--value", lab.value(domain))
            assert done.status == 0, done
            assert done.report["challenges"][0]["scope"] == zone
            assert f"_acme-challenge.{domain}. " in server.dump(zone)


@pytest.mark.parametrize("kind", ["named", "knotd"])
def test_zones_of_many_names(tmp_path, kind):
    """Found without a question each: exceptions among them are seen."""
    zones = ["many.test", "h7.many.test", "b.a.many.test", "other.test"]
    extra = ("h7 NS ns1.h7\nns1.h7 A 127.0.0.1\n"
             "b.a NS ns1.b.a\nns1.b.a A 127.0.0.1\n"
             "h9 DNAME h9.other.test.\nh11 A 127.0.0.11\n"
             f'_acme-challenge.h13 60 TXT "{lab.value("h13")}"\n'
             '_acme-challenge.h15 77 TXT "a stranger"\n')
    make = lab.Named if kind == "named" else lab.Knotd
    server = make(tmp_path / "s", zones)
    server.zone_extra = {"many.test": extra}
    hosts = [f"h{i}" for i in range(200)]
    hosts += [f"{host}.a" for host in hosts[:40]]
    hosts += [f"{host}.b.a" for host in hosts[:40]]
    with server:
        placard = lab.Placard(tmp_path / "p")
        placard.rfc2136("lab", server).route("many.test", "lab")
        placard.route("other.test", "lab")
        dumps = {zone: server.dump(zone) for zone in zones}
        job = placard.job_file(lab.job(*(
            lab.dns01(f"{host}.many.test", host) for host in hosts)))
        done = placard.json("present", "--jobs", job, "--no-wait")
        assert done.status == 0, done.err[-2000:]
        scopes = {"h7": "h7.many.test", "h9": "other.test"}
        for host, one in zip(hosts, done.challenges):
            zone = "b.a.many.test" if host.endswith(".b.a") else "many.test"
            assert one["scope"] == scopes.get(host, zone), one
            if host != "h9" and host != "h15":
                assert server.texts(one["record"]) == [lab.value(host)], one
        assert server.texts("_acme-challenge.h9.other.test") == [
            lab.value("h9")]
        assert server.texts("_acme-challenge.h15.many.test") == sorted(
            ["a stranger", lab.value("h15")])
        placard.ok("cleanup", "--all")
        for zone in zones:
            assert server.dump(zone) == dumps[zone], difference(
                dumps[zone], server.dump(zone))


def test_longest_route_wins(bed, tmp_path):
    placard = bed.placard
    placard.rfc2136("dead", bed.primary, server=(
        f"127.0.0.1:{lab.closed_port()}"))
    placard.routes.clear()
    placard.route("lab.test", "dead")
    placard.route(bed.zone, "lab")
    placard.route("xx." + bed.zone, "dead")
    placard.ok("present", *bed.dns01("a", "x." + bed.zone), "--no-wait")
    # A label border counts: axx is not below xx.
    placard.ok("present", *bed.dns01("b", "axx." + bed.zone), "--no-wait")
    # An account on the command line or in the challenge overrides routes.
    placard.ok("present", *bed.dns01("c", "xx." + bed.zone), "--no-wait",
               "-a", "lab")
    job = placard.job_file(lab.job(lab.dns01("xx." + bed.zone, "d",
                                             account="lab")))
    placard.ok("present", "--jobs", job, "--no-wait")
    assert bed.texts(f"_acme-challenge.xx.{bed.zone}") == sorted(
        [lab.value("c"), lab.value("d")])
    placard.ok("cleanup", "--all")
    bed.unchanged()


def test_no_route_asks_the_accounts(bed):
    bed.placard.routes.clear()
    done = bed.placard.json("present", *bed.dns01("a"))
    assert done.status == 0, done
    assert done.report["challenges"][0]["account"] == "lab"
    bed.placard.ok("cleanup", "--all")
    bed.unchanged()


def test_route_that_is_not_enabled(bed):
    bed.placard.rfc2136("dead", bed.primary, server=(
        f"127.0.0.1:{lab.closed_port()}"))
    bed.placard.route("www." + bed.zone, "dead", enabled=False)
    bed.placard.ok("present", *bed.dns01("a", "www." + bed.zone), "--no-wait")
    bed.placard.ok("cleanup", "--all")
    bed.unchanged()


def test_several_jobs_a_line_each(bed):
    jobs = bed.placard.job_file(
        lab.job(lab.dns01("a." + bed.zone, "1"), name="first"),
        lab.job(lab.dns01("b." + bed.zone, "2"), name="second"),
        lab.job(lab.dns01("c." + bed.zone, "3"),
                lab.dns01("d." + bed.zone, "4"), name="third"))
    done = bed.placard.json("present", "--jobs", jobs)
    assert done.status == 0, done
    assert {r["job"]: len(r["challenges"]) for r in done.reports} == {
        "first": 1, "second": 1, "third": 2}
    bed.placard.ok("cleanup", "--job", "second")
    assert bed.texts(f"_acme-challenge.b.{bed.zone}") == []
    assert bed.texts(f"_acme-challenge.c.{bed.zone}") == [lab.value("3")]
    bed.placard.ok("cleanup", "--jobs", jobs)
    bed.unchanged()


def test_job_from_standard_input_over_several_lines(bed):
    text = ('{"job": "pretty",\n "challenges": [\n  {"method": "dns-01",\n'
            f'   "domain": "{bed.zone}",\n   "value": "{lab.value("a")}"}}\n'
            ' ]\n}\n')
    done = bed.placard.json("present", "--jobs", "-", data=text)
    assert done.status == 0, done
    assert done.report["job"] == "pretty"
    bed.placard.ok("cleanup", "--job", "pretty")
    bed.unchanged()


def test_hold_until_visible(bed):
    job = bed.placard.job_file(lab.job(lab.dns01(bed.zone),
                                       hold="until-visible"))
    done = bed.placard.json("present", "--jobs", job)
    assert done.status == 0, done
    one, = done.report["challenges"]
    assert one["state"] == "removed" and one["visible"]
    bed.unchanged()


def test_two_commands_at_once(bed):
    """Six commands, one name, one state directory."""
    bed.seed("stranger")
    bed.placard.write()
    for word in ("present", "cleanup"):
        running = [bed.placard.popen(word, *bed.dns01(str(i)))
                   for i in range(6)]
        for proc in running:
            done = bed.placard.finish(proc)
            assert done.status == 0, done
        if word == "present":
            assert bed.texts() == sorted(
                ["stranger"] + [lab.value(str(i)) for i in range(6)])
            assert len(bed.placard.listed()) == 6
    bed.unchanged()
    assert bed.placard.quiet_journal()


def test_two_installations_at_once(bed, tmp_path):
    other = lab.Placard(tmp_path / "other")
    other.rfc2136("lab", bed.primary).route(bed.zone, "lab")
    other.servers(bed.primary.where()).write()
    bed.placard.write()
    running = [(p, p.popen("run", *bed.dns01(name), "--", "/bin/sleep", "1"))
               for p, name in ((bed.placard, "a"), (other, "b"))]
    for placard, proc in running:
        done = placard.finish(proc)
        assert done.status == 0, done
    bed.unchanged()


def test_same_value_twice_at_once(bed):
    bed.placard.write()
    running = [bed.placard.popen("run", *bed.dns01("same"), "--",
                                 "/bin/true") for _ in range(2)]
    for proc in running:
        done = bed.placard.finish(proc)
        assert done.status == 0, done
    bed.placard.ok("cleanup", "--all")
    bed.unchanged()


@pytest.mark.parametrize("long", [256, 600, 2000])
def test_long_txt(bed, long):
    """Values over 255 octets become several strings of one record."""
    text = ("0123456789abcdef" * 200)[:long]
    what = ["-m", "dns-txt", "-d", bed.zone, "--name", "_dnsauth." + bed.zone,
            "--value", text]
    bed.placard.ok("present", *what)
    assert bed.texts("_dnsauth." + bed.zone) == [text]
    bed.placard.ok("cleanup", *what)
    bed.unchanged()


# -- CNAME at the challenge name

def delegated(pool, bed, tmp_path):
    other = Bed(tmp_path / "target", pool, pool.left.pop())
    bed.primary.update(bed.zone, add=[(
        bed.owner + ".", 60, "CNAME", f"_acme-challenge.proof.{other.zone}.")])
    bed.before = bed.dump()
    bed.placard.verify["resolvers"] = [bed.primary.where()]
    return other


def test_follows_a_cname_to_another_zone(pool, bed, tmp_path):
    other = delegated(pool, bed, tmp_path)
    bed.placard.route(other.zone, "lab")
    lab.wait_for(lambda: bed.secondary.target(bed.owner), "secondary has it")
    done = bed.placard.json("present", *bed.dns01("a"))
    assert done.status == 0, done
    assert other.texts(f"_acme-challenge.proof.{other.zone}") == [lab.value("a")]
    bed.unchanged()
    bed.placard.ok("cleanup", *bed.dns01("a"))
    other.unchanged()
    bed.unchanged()


def test_follows_two_cnames(pool, bed, tmp_path):
    other = delegated(pool, bed, tmp_path)
    other.primary.update(other.zone, add=[(
        f"_acme-challenge.proof.{other.zone}.", 60, "CNAME",
        f"_acme-challenge.deep.{other.zone}.")])
    other.before = other.dump()
    bed.placard.route(other.zone, "lab")
    bed.placard.ok("present", *bed.dns01("a"), "--no-wait")
    assert other.texts(f"_acme-challenge.deep.{other.zone}") == [lab.value("a")]
    bed.placard.ok("cleanup", "--all")
    other.unchanged()


# -- many

@pytest.mark.big
def test_ten_thousand_names(bed):
    challenges = [lab.dns01(f"h{i}.{bed.zone}", str(i)) for i in range(10000)]
    job = bed.placard.job_file(lab.job(*challenges))
    before = bed.primary.updates()
    done = bed.placard.json("present", "--jobs", job, "--timeout", "300",
                            timeout=400)
    assert done.status == 0, done.err[-2000:]
    report = done.report
    assert report["state"] == "visible"
    assert len(report["challenges"]) == 10000
    assert all(len(c["verdicts"]) == 2 for c in report["challenges"])
    # In batches: some 700 records fit one message.
    assert bed.primary.updates() - before <= 60
    after = bed.dump()
    for i in (0, 1, 777, 9999):
        assert f"_acme-challenge.h{i}.{bed.zone}. " in after
    assert after.count("_acme-challenge.h") == 10000
    assert len(bed.placard.listed()) == 10000
    bed.placard.ok("cleanup", "--job", "t", timeout=400)
    bed.unchanged()
    assert bed.placard.quiet_journal()


@pytest.mark.big
def test_two_hundred_zones(tmp_path):
    zones = [f"m{i:03d}.lab.test" for i in range(200)]
    with lab.Named(tmp_path / "s", zones) as server:
        placard = lab.Placard(tmp_path / "p")
        placard.rfc2136("lab", server).route("lab.test", "lab")
        placard.servers(server.where())
        dumps = {zone: server.dump(zone) for zone in zones}
        job = placard.job_file(lab.job(*(
            lab.dns01(f"{host}{zone}", host + zone) for zone in zones
            for host in ("", "*.", "a.", "b.", "c."))))
        before = server.updates()
        done = placard.json("present", "--jobs", job, timeout=400)
        assert done.status == 0, done.err[-2000:]
        assert {c["scope"] for c in done.challenges} == set(zones)
        assert server.updates() - before <= 2 * len(zones)
        assert server.texts("_acme-challenge.m123.lab.test") == sorted(
            lab.value(h + "m123.lab.test") for h in ("", "*."))
        placard.ok("cleanup", "--all", timeout=400)
        for zone in zones:
            assert server.dump(zone) == dumps[zone], difference(
                dumps[zone], server.dump(zone))


@pytest.mark.big
def test_more_updates_than_named_takes_at_once(tmp_path):
    """named drops UPDATEs above 100 in flight; none may get lost."""
    zones = [f"q{i:03d}.lab.test" for i in range(300)]
    with lab.Named(tmp_path / "s", zones) as server:
        placard = lab.Placard(tmp_path / "p")
        placard.rfc2136("lab", server).route("lab.test", "lab")
        job = placard.job_file(lab.job(*(lab.dns01(z, z) for z in zones)))
        done = placard.json("present", "--jobs", job, "--no-wait",
                            timeout=300)
        assert done.status == 0, done.err[-2000:]
        for zone in zones:
            assert server.texts(f"_acme-challenge.{zone}") == [
                lab.value(zone)]


def test_nsupdate_sees_what_we_did(bed):
    """A last word from somebody else's eyes: dig on both servers."""
    bed.placard.ok("present", *bed.dns01("a"))
    for server in (bed.primary, bed.secondary):
        done = subprocess.run(
            ["dig", "+short", f"@{server.address}", "-p", str(server.port),
             bed.owner, "TXT"], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == f'"{lab.value("a")}"'
