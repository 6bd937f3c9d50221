# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""What a reader of the contracts tried first: jobs that are held, cleanup by
job file, aliases in the pre-flight."""

import json
import re
import signal
import subprocess
import sys
import time

import pytest

import lab
import lab_schema
from lab_vendor import CloudBed
from fakes import route53


def wait_text(bed, name, count=1):
    return lab.wait_for(lambda: len(bed.texts(name)) == count,
                        f"{count} at {name}", gap=0.05)


# -- hold

def test_a_signal_ends_the_hold_and_not_the_removal(bed):
    job = bed.placard.job_file(lab.job(lab.dns01(bed.zone), hold=600))
    proc = bed.placard.popen("--json", "present", "--jobs", job)
    # Visible is in the journal as soon as the waiting begins.
    lab.wait_for(lambda: any("visible" in line for line
                             in bed.placard.listed()), "held", gap=0.05)
    proc.send_signal(signal.SIGTERM)
    done = bed.placard.finish(proc)
    assert done.status == 6, done
    assert done.report["state"] == "removed", done
    assert bed.placard.quiet_journal()
    bed.unchanged()


def test_each_job_is_held_as_long_as_it_says(bed):
    """One that goes when it is visible does not wait for one that stays."""
    job = bed.placard.job_file(
        lab.job(lab.dns01("short." + bed.zone), hold="until-visible",
                name="short"),
        lab.job(lab.dns01("long." + bed.zone), hold=600, name="long"))
    proc = bed.placard.popen("--json", "present", "--jobs", job)
    wait_text(bed, "_acme-challenge.long." + bed.zone)
    wait_text(bed, "_acme-challenge.short." + bed.zone, 0)
    lab.wait_for(lambda: len(bed.placard.listed()) == 1, "one is left",
                 gap=0.05)
    assert bed.texts("_acme-challenge.long." + bed.zone)
    proc.send_signal(signal.SIGTERM)
    done = bed.placard.finish(proc)
    assert [r["state"] for r in done.objects] == ["removed", "removed"], done
    bed.unchanged()


def test_hold_of_a_second_ends_by_itself(bed):
    job = bed.placard.job_file(lab.job(lab.dns01(bed.zone), hold=1))
    start = time.monotonic()
    done = bed.placard.json("present", "--jobs", job)
    assert done.status == 0, done
    assert time.monotonic() - start >= 1
    assert done.report["state"] == "removed"
    bed.unchanged()


# -- deadlines

def test_a_deadline_that_has_passed(bed):
    job = bed.placard.job_file(lab.job(lab.dns01(bed.zone),
                                       deadline="2020-01-01T00:00:00Z"))
    done = bed.placard.json("present", "--jobs", job)
    assert done.status == 3, done
    assert "deadline" in done.err and "2020-01-01" in done.err, done
    assert bed.placard.quiet_journal()
    bed.unchanged()
    # What it may have left from better days can still be cleaned up.
    bed.placard.ok("cleanup", "--jobs", job)


# -- cleanup tells about the job that it was given

def pair(zone):
    """The apex and its wildcard, whose record and value are the same."""
    name = f"_{'ab' * 16}.{zone}"
    return [{"method": "dns-cname", "domain": domain, "name": name,
             "value": "x.ca.test"} for domain in (zone, "*." + zone)]


def test_the_report_of_a_cleanup_mirrors_the_job(bed):
    job = bed.placard.job_file(lab.job(*pair(bed.zone), lab.dns01(bed.zone),
                                       lab.dns01("never." + bed.zone),
                                       name="mirror"))
    only = bed.placard.job_file(lab.job(*pair(bed.zone), lab.dns01(bed.zone),
                                        name="mirror"), name="only.json")
    done = bed.placard.json("present", "--no-wait", "--jobs", only)
    assert done.status == 0, done
    done = bed.placard.json("cleanup", "--jobs", job)
    assert done.status == 0, done
    assert done.report["job"] == "mirror"
    assert [(c["domain"], c["state"]) for c in done.report["challenges"]] == [
        (bed.zone, "removed"), ("*." + bed.zone, "removed"),
        (bed.zone, "removed"), ("never." + bed.zone, "removed")]
    assert bed.placard.quiet_journal()
    bed.unchanged()


def test_one_of_a_pair_leaves_the_record_for_the_other(bed):
    """Each job owns its share; the record goes with the last."""
    one, two = pair(bed.zone)
    first = bed.placard.job_file(lab.job(one, name="one"), name="one.json")
    second = bed.placard.job_file(lab.job(two, name="two"), name="two.json")
    bed.placard.ok("present", "--no-wait", "--jobs", first)
    bed.placard.ok("present", "--no-wait", "--jobs", second)
    done = bed.placard.json("cleanup", "--job", "one")
    assert done.report["job"] == "one" and done.status == 0, done
    assert bed.primary.target(one["name"]) == "x.ca.test."
    bed.placard.ok("cleanup", "--job", "two")
    bed.unchanged()


# -- the pre-flight

def look(done):
    assert len(done.objects) == 1, done
    return done.objects[0]


def test_check_follows_an_alias_to_the_account_that_publishes(tmp_path):
    """Delegated to a zone that another account holds: its rights count."""
    keys = [lab.Key("here."), lab.Key("there.")]
    with lab.Named(tmp_path / "s", ["here.test", "there.test"], keys=keys,
                   policy={"here.test": "grant here zonesub ANY;",
                           "there.test": "grant there zonesub ANY;"}
                   ) as server:
        server.update("here.test", add=[
            ("_acme-challenge.here.test.", 60, "CNAME",
             "_acme-challenge.here.there.test.")])
        placard = lab.Placard(tmp_path / "p")
        placard.rfc2136("here", server, key=keys[0])
        placard.rfc2136("there", server, key=keys[1])
        placard.route("here.test", "here").route("there.test", "there")
        placard.servers(server.where())
        before = [server.dump(zone) for zone in server.zones]
        done = placard.json("check", "--write", "here.test")
        seen = look(done)
        assert done.status == 0 and seen["ready"], done
        assert seen["account"] == "there", done
        assert seen["scope"] == "there.test", done
        assert seen["wrote"] is True, done
        # Told not to follow, it says what the account of the name may.
        placard.routes = []
        placard.route("here.test", "here", follow=False)
        placard.route("there.test", "there")
        placard.write()
        seen = look(placard.json("check", "here.test"))
        assert (seen["account"], seen["scope"]) == ("here", "here.test")
        assert [server.dump(zone) for zone in server.zones] == before


def test_check_passes_over_a_disabled_account(bed):
    bed.placard.rfc2136("off", bed.primary, enabled=False)
    bed.placard.routes = []
    bed.placard.route(bed.zone, "off", "lab")
    seen = look(bed.placard.json("check", bed.zone))
    assert seen["account"] == "lab" and seen["ready"], seen
    bed.placard.routes = []
    bed.placard.route(bed.zone, "off").write()
    done = bed.placard.json("check", bed.zone)
    assert done.status == 3 and "disabled" in done.out, done
    bed.unchanged()


def test_check_of_a_server_that_is_gone_is_worth_another_try(tmp_path):
    """The account's server does not answer: 6, as of any passing fault."""
    gone = lab.closed_port("127.0.0.1")
    with lab.Named(tmp_path / "s", ["one.test"]) as server:
        placard = lab.Placard(tmp_path / "p")
        placard.rfc2136("lab", server, timeout=1)
        placard.accounts["lab"]["server"] = f"127.0.0.1:{gone}"
        placard.route("one.test", "lab").servers(server.where())
        done = placard.json("check", "one.test")
        assert done.status == 6, done
        assert look(done)["ready"] is False


# -- recipes for credentials

def recipe(placard, provider, *names):
    done = placard.bare("provider", "show", provider, "--for", *names)
    assert done.status == 0, done
    text = done.out.split("least privilege:\n", 1)
    assert len(text) == 2, done
    again = placard.bare("--json", "provider", "show", provider, "--for",
                         *names)
    assert again.objects[0]["recipe"] == text[1]
    return text[1]


def test_the_policy_for_route53_names_these_records_only(placard):
    text = recipe(placard, "route53", "example.com", "*.example.com",
                  "www.example.net", "_0a.example.org")
    policy = json.loads(text[text.index("{"):text.rindex("}") + 1])
    change = [s for s in policy["Statement"]
              if s["Action"] == "route53:ChangeResourceRecordSets"]
    assert len(change) == 1
    names = change[0]["Condition"]["ForAllValues:StringEquals"]
    prefix = "route53:ChangeResourceRecordSets"
    assert names[prefix + "NormalizedRecordNames"] == [
        "_acme-challenge.example.com", "_acme-challenge.www.example.net",
        "_0a.example.org"]
    assert names[prefix + "RecordTypes"] == ["TXT", "CNAME"]


def test_the_policy_for_route53_is_enough_and_no_more(tmp_path):
    """What is printed for a name is all that its proof takes."""
    with route53.Fake(limited=False) as fake:
        bed = CloudBed(tmp_path, fake)
        text = recipe(bed.placard, "route53", "example.com")
        policy = json.loads(text[text.index("{"):text.rindex("}") + 1])
        key = fake.keys["admin"]
        key["actions"] = {s["Action"].partition(":")[2]
                          for s in policy["Statement"]}
        key["changes"] = ("TXT", "|".join(map(re.escape, policy["Statement"][
            -1]["Condition"]["ForAllValues:StringEquals"][
                "route53:ChangeResourceRecordSetsNormalizedRecordNames"])))
        done = bed.placard.json("present", *bed.one())
        assert done.status == 0 and done.report["state"] == "visible", done
        refused = bed.present(*bed.one("www.example.com"))
        assert refused.status in (1, 4), refused
        assert "403" in refused.text(), refused
        assert {r.status for r in fake.calls()
                if "www.example.com" not in r.body.decode()} == {200}
        bed.clean()


def test_the_policy_for_named_is_one_that_named_takes(placard, tmp_path):
    text = recipe(placard, "rfc2136", "ok.one.test")
    grants = " ".join(line.strip() for line in text.splitlines()
                      if "grant" in line)
    with lab.Named(tmp_path / "s", ["one.test"],
                   policy={"one.test": grants}) as server:
        placard.rfc2136("lab", server).servers(server.where())
        ask = ["-m", "dns-01", "--value", lab.value(), "-d"]
        placard.ok("present", *ask, "ok.one.test")
        assert placard.run("present", *ask, "other.one.test").status == 1
        placard.ok("cleanup", "--all")


@pytest.mark.parametrize("provider", ["azure", "cloudflare", "cloudns",
                                      "file", "godaddy", "rfc2136"])
def test_every_recipe_tells_the_names(placard, provider):
    text = recipe(placard, provider, "a.example", "b.example")
    assert "a.example" in text and "b.example" in text
    assert not set("@") & set(text.replace("\n", ""))


def test_for_wants_names(placard):
    for bad in (["list", "--for", "a.example"], ["show", "azure", "x.test"],
                ["show", "azure", "--for", "a b"], ["show", "azure", "--for"]):
        assert placard.bare("provider", *bad).status == 2, bad


def test_an_account_for_one_zone_says_which(placard, tmp_path):
    """DNS lists no zones: more is said only where the account names one."""
    with lab.Named(tmp_path / "s", ["one.test"]) as server:
        placard.rfc2136("one", server, zone="one.test")
        placard.rfc2136("any", server)
        done = placard.json("account", "test", "one").objects[0]
        assert (done["zones"], done["first"]) == (1, ["one.test"]), done
        assert "reaches 1 zone: one.test" in placard.ok("account", "test",
                                                        "one").out
        done = placard.json("account", "test", "any").objects[0]
        assert done["works"] is True and "zones" not in done, done


# -- what ten thousand names cost

@pytest.mark.big
def test_the_report_of_many_names_is_not_the_biggest_thing(bed):
    """The report was once a tree of its own, and half of all memory."""
    job = bed.placard.job_file(lab.job(*[
        lab.dns01(f"n{i}.{bed.zone}", str(i)) for i in range(10000)]))
    # The peak of a process begins with that of who has forked it: a small one.
    measure = ("import resource, subprocess, sys\n"
               "done = subprocess.run(sys.argv[1:])\n"
               "used = resource.getrusage(resource.RUSAGE_CHILDREN)\n"
               "sys.stderr.write(f'\\nKiB {used.ru_maxrss}')\n"
               "sys.exit(done.returncode)")
    done = bed.placard.run("--json", "present", "--jobs", job, wrap=[
        sys.executable, "-I", "-S", "-c", measure])
    report = lab_schema.check_report(lab_schema.loads(done.out))
    assert done.status == 0, done.err
    peak = int(done.err.rsplit("KiB ", 1)[1])
    assert 4 * 1024 < peak < 64 * 1024, peak
    assert len(report["challenges"]) == 10000
    assert report["state"] == "visible"
    bed.placard.ok("-q", "cleanup", "--all")
    bed.unchanged()
