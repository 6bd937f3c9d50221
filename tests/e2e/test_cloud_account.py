# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""What holds for the accounts of all five vendors: how fast they are called,
what a test of them says, and what is done with a refused credential."""

import os
import sqlite3
import time

import pytest

import lab
import lab_daemon
from lab_vendor import CloudBed
from fakes import azure, cloudflare, cloudns, godaddy, route53

VENDORS = {module.__name__.rpartition(".")[2]: module for module in
           (azure, cloudflare, cloudns, godaddy, route53)}


def credentials(fake):
    """Cloudflare has two kinds; the narrower one."""
    if fake.vendor == "cloudflare":
        return {"api-token": fake.tokens["full"]["value"]}
    return dict(fake.credentials)


def at_rate(directory, fake, rate=None):
    bed = CloudBed(directory, fake)
    return bed.login(credentials(fake), rate=rate)


@pytest.fixture(params=sorted(VENDORS))
def bed(request, tmp_path):
    with VENDORS[request.param].Fake() as fake:
        yield at_rate(tmp_path, fake)


def tokens(bed):
    """What the journal says is in the account's bucket."""
    journal = sqlite3.connect(os.path.join(bed.placard.state, "journal.db"))
    try:
        return journal.execute("SELECT tokens FROM account").fetchone()[0]
    finally:
        journal.close()


# -- pacing

def test_a_call_costs_the_requests_that_it_made(bed):
    """66 a minute: twelve at once, then little more than one a second."""
    bed.login(credentials(bed.fake), rate=66)
    start = time.monotonic()
    bed.present_ok(*bed.one())
    took = time.monotonic() - start
    made = len(bed.fake.calls())
    assert 2 < made <= 12
    assert 12 - made - 0.01 <= tokens(bed) <= 12 - made + took * 66 / 60
    # The next command goes on from there, whatever it needs.
    bed.clean()
    took, made = time.monotonic() - start, len(bed.fake.calls())
    assert tokens(bed) <= 12 - made + took * 66 / 60


def test_what_is_owed_is_waited_for(tmp_path):
    """A second a request: three are owed, so it takes four until the next."""
    with cloudflare.Fake() as fake:
        bed = at_rate(tmp_path, fake, rate=60)
        bed.present_ok(*bed.one())
        bed.restart_log()
        journal = sqlite3.connect(os.path.join(bed.placard.state,
                                               "journal.db"))
        now = time.time()
        journal.execute("UPDATE account SET tokens = -3, stamp = ?",
                        [int(now * 1000)])
        journal.commit()
        journal.close()
        bed.clean()
        assert fake.calls()[0].time >= now + 3.9


# -- account test

# What each vendor lets on of rights that are not needed.
WIDE = {
    "azure": "Microsoft.Network/dnsZones/*, Microsoft.Support/*",
    "cloudns": "sub-user",
    "route53": "health checks",
}


def said_by_test(bed, status=0):
    """What a test says, as text and as JSON; nothing has been changed."""
    done = bed.placard.run("account", "test", "cloud")
    assert done.status == status, done
    again = bed.placard.json("account", "test", "cloud").objects[0]
    assert all(r.method == "GET" or bed.fake.vendor == "cloudns" or
               "/oauth2/" in r.target for r in bed.fake.calls())
    bed.unchanged()
    return done, again


def test_what_is_not_needed_is_said(bed):
    done, again = said_by_test(bed)
    assert again["works"] is True and again["zones"] > 2, again
    assert "example.com" in again["first"]
    assert done.out.startswith("account cloud: works, reaches "), done
    want = WIDE.get(bed.fake.vendor)
    if want is None:
        assert "warnings" not in again and done.err == "", done
        return
    assert len(again["warnings"]) == 1 and want in again["warnings"][0], again
    assert done.err.startswith("placard: account cloud: "), done
    assert want in done.err and "!" not in done.out


@pytest.mark.parametrize("vendor, who", [
    ("azure", "reader"), ("azure", "record-only"), ("cloudns", "sub"),
    ("cloudns", "named")])
def test_nothing_is_said_of_narrow_rights(tmp_path, vendor, who):
    with VENDORS[vendor].Fake() as fake:
        bed = CloudBed(tmp_path, fake)
        bed.login(fake.credentials_of(who))
        done, again = said_by_test(bed)
        assert "warnings" not in again and done.err == "", done


def test_nothing_is_said_of_the_policy_that_is_printed(tmp_path):
    with route53.Fake() as fake:
        fake.keys["admin"]["actions"] = {
            "ListHostedZonesByName", "ListResourceRecordSets", "GetChange",
            "ChangeResourceRecordSets"}
        bed = CloudBed(tmp_path, fake)
        done, again = said_by_test(bed)
        assert "warnings" not in again and done.err == "", done


def test_cloudflare_tells_what_its_credentials_may(tmp_path):
    with cloudflare.Fake() as fake:
        bed = CloudBed(tmp_path, fake)
        bed.login({"email": fake.email, "api-key": fake.key})
        done, again = said_by_test(bed)
        assert "global API key" in done.err, done
        plain = fake.zone_json
        fake.zone_json = lambda zone: plain(zone) | {"permissions": [
            "#zone:read", "#zone:edit", "#dns_records:edit", "#ssl:edit"]}
        bed.login(credentials(fake))
        done, again = said_by_test(bed)
        assert "#zone:edit, #ssl:edit" in again["warnings"][0], again
        assert "dns_records" not in again["warnings"][0]


# -- a refused credential

def wrong(fake):
    """Credentials as they should be, but for the secret."""
    given = credentials(fake)
    for name in ("client-secret", "api-token", "auth-password", "secret",
                 "secret-access-key"):
        if name in given:
            given[name] = "wrong" + given[name][5:]
    return given


def test_a_refused_credential_is_not_hammered(bed):
    """Many jobs, one try; the account pauses and says so, and a better
    credential makes all of them good."""
    bed.login(wrong(bed.fake))
    with lab_daemon.Daemon(bed.placard) as daemon:
        names = [f"job{n}" for n in range(8)]
        for n, name in enumerate(names):
            daemon.submit(lab.job(lab.dns01(f"w{n}.example.com"), name=name))
        lab.wait_for(lambda: "account-refused" in daemon.log(), "refused")
        calls = [f"{r.method} {r.target}" for r in bed.fake.calls()]
        tried = len(calls)
        assert tried == 1, calls
        # Later ones do not try again either.
        daemon.submit(lab.job(lab.dns01("late.example.com"), name="late"))
        time.sleep(1)
        assert len(bed.fake.calls()) == tried
        assert daemon.log().count("account-refused") == 1
        assert "pause=60s" in daemon.log()
        assert daemon.show("late")["state"] == "queued"
        bed.unchanged()
        bed.login(credentials(bed.fake))
        daemon.write()
        daemon.hup()
        for name in [*names, "late"]:
            assert daemon.wait(name).report["state"] == "visible"
            daemon.release(name)
        lab.wait_for(lambda: not daemon.unfinished(), "all gone", gap=0.1)
    bed.unchanged()
