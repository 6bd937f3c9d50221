# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""placard at Azure DNS: what works."""

import json

import pytest

import lab
from lab_vendor import STRANGER, CloudBed, scan_processes, scan_state
from fakes import azure

SETS = "/(TXT|CNAME)/"


@pytest.fixture
def fake():
    with azure.Fake(limited=False) as one:
        yield one


@pytest.fixture
def bed(fake, tmp_path):
    one = CloudBed(tmp_path, fake)
    yield one
    one.close()


def logins(fake):
    return fake.calls("POST", "/oauth2/")


def as_user(bed, name, **options):
    return bed.login(bed.fake.credentials_of(name), **options)


def find(fake, zone, kind, name):
    return fake.find(fake.zone(zone), kind, name)


@pytest.mark.quick
def test_present_and_clean_beside_a_stranger(bed, fake):
    done = bed.present_ok(*bed.one())
    assert bed.texts() == sorted([lab.value(), STRANGER])
    assert done.report["challenges"][0]["scope"] == "example.com"
    assert [r.method for r in fake.calls(None, SETS)] == ["GET", "PUT"]
    written = fake.calls("PUT")[0]
    assert written.header("If-Match") and not written.header("If-None-Match")
    properties = json.loads(written.body)["properties"]
    # TTL and metadata are a stranger's, and stay; a record a value.
    assert properties["TTL"] == 3600
    assert properties["metadata"] == {"owner": "a stranger"}
    assert sorted(r["value"] for r in properties["TXTRecords"]) == sorted(
        [[STRANGER], [lab.value()]])
    bed.clean()
    assert find(fake, "example.com", "TXT", "_acme-challenge")[
        "properties"]["metadata"] == {"owner": "a stranger"}


def test_a_new_set_is_created_and_deleted(bed, fake):
    bed.present_ok(*bed.one("www.example.org"), "--ttl", "77")
    written = fake.calls("PUT")[0]
    assert written.header("If-None-Match") == "*"
    assert json.loads(written.body)["properties"]["TTL"] == 77
    bed.clean()
    gone = fake.calls("DELETE")
    assert len(gone) == 1 and gone[0].header("If-Match")


@pytest.mark.parametrize("quotes", [False, True])
def test_two_values_at_one_name_in_one_write(bed, fake, quotes):
    fake.configure({"etag_quotes": quotes})
    bed.present_ok(*bed.job(lab.dns01("example.com", "a"),
                            lab.dns01("*.example.com", "b")))
    assert bed.texts() == sorted([STRANGER, lab.value("a"), lab.value("b")])
    assert len(fake.calls("PUT")) == 1
    bed.placard.ok("cleanup", *bed.one("example.com", "a"))
    assert bed.texts() == sorted([STRANGER, lab.value("b")])
    bed.clean()


def test_apex_token_beside_spf(bed, fake):
    before = fake.values("example.com", "TXT")
    bed.present_ok("-m", "dns-txt", "-d", "example.com", "--value",
                   "token-of-a-ca")
    assert sorted(before + ["token-of-a-ca"]) == fake.values("example.com",
                                                             "TXT")
    bed.clean()


def test_value_that_was_there_is_a_strangers(bed, fake):
    fake.add_record("example.com", "_acme-challenge", "TXT", lab.value())
    bed.before = bed.zones()
    bed.present_ok(*bed.one())
    assert not fake.calls("PUT")
    bed.clean()


def test_long_values(bed, fake):
    """Strings of 255; those of others are put back as they were cut."""
    fake.add_record("example.org", "_acme-challenge.odd", "TXT", "y" * 300,
                    'q "uoted" \\ é', ttl=5)
    odd = find(fake, "example.org", "TXT", "_acme-challenge.odd")
    odd["properties"]["TXTRecords"].append({"value": ["a", "b", "", "c"]})
    bed.before = bed.zones()
    before = json.dumps(odd["properties"]["TXTRecords"])
    value = "".join(chr(33 + i % 94) for i in range(600))
    bed.present_ok("-m", "dns-txt", "-d", "odd.example.org", "--name",
                   "_acme-challenge.odd.example.org", "--value", value)
    rows = find(fake, "example.org", "TXT", "_acme-challenge.odd")[
        "properties"]["TXTRecords"]
    assert [len(s) for s in rows[-1]["value"]] == [255, 255, 90]
    assert json.dumps(rows[:-1]) == before
    bed.clean()


def test_cname(bed, fake):
    name = "_0123456789abcdef0123456789abcdef.example.org"
    cname = ["-m", "dns-cname", "-d", "example.org", "--name", name,
             "--value", "abc.ca.example.net"]
    bed.present_ok(*cname)
    assert fake.values(name, "CNAME") == ["abc.ca.example.net."]
    bed.present_ok(*cname)
    assert len(fake.calls("PUT")) == 1
    bed.clean()


@pytest.mark.parametrize("status", [400, 409])
def test_alias_is_followed(bed, fake, status):
    """_acme-challenge.aliased.example.com leads to example.net."""
    fake.configure({"conflict_status": status})
    done = bed.present_ok(*bed.one("aliased.example.com"))
    assert done.report["challenges"][0]["scope"] == "example.net"
    assert bed.texts("_acme-challenge.example.net") == [lab.value()]
    bed.clean()


def test_child_zone_is_the_longer_match(bed):
    done = bed.present_ok(*bed.one("child.example.com"))
    assert done.report["challenges"][0]["scope"] == "child.example.com"
    bed.clean()


@pytest.mark.big
def test_a_hundred_names_in_three_zones(bed, fake):
    names = [lab.dns01(f"n{i:03}.{zone}", str(i)) for i in range(34)
             for zone in ("example.com", "example.org", "example.net")][:100]
    bed.present_ok(*bed.job(*names))
    assert len(fake.calls("GET", SETS)) == 100
    assert len(fake.calls("PUT", SETS)) == 100
    assert len({r.connection for r in fake.calls("PUT", SETS)}) > 3
    # Beside these only the list and the logins of three or four workers.
    assert len(fake.calls("GET", "/dnsZones\\?")) == 1
    assert len(fake.log) <= 205
    bed.restart_log()
    bed.clean()
    assert len(fake.calls("GET", SETS)) == 100
    assert len(fake.calls("DELETE", SETS)) == 100
    assert len(fake.log) <= 204


@pytest.mark.big
@pytest.mark.parametrize("group", ["rg-dns", "RG-DNS", None])
def test_paging_beyond_a_hundred_zones(tmp_path, group):
    with azure.Fake(limited=False, bulk=250) as fake:
        bed = CloudBed(tmp_path, fake, resource_group=group)
        names = [f"bulk{i:04}.example" for i in (0, 99, 100, 180, 249)]
        bed.present_ok(*bed.job(*(lab.dns01(n) for n in names)))
        for name in names:
            assert bed.texts("_acme-challenge." + name) == [lab.value()]
        done = bed.present(*bed.one("bulk0250.example"))
        assert done.status == 1, done
        assert done.errors()[0]["code"] == "no-zone"
        bed.clean()


def test_whole_subscription(bed, fake):
    as_user(bed, "admin", resource_group=None)
    bed.present_ok(*bed.job(lab.dns01("other.example"),
                            lab.dns01("example.org")))
    assert bed.texts("_acme-challenge.other.example") == [lab.value()]
    bed.clean()


def test_resource_group_settles_duplicates(bed, fake):
    for group, zone in (("rg-dns", 0), ("RG-Other", 1)):
        as_user(bed, "admin", resource_group=group)
        bed.present_ok(*bed.one("twice.example"))
        zones = [z for z in fake.zones if z.name == "twice.example"]
        assert bed.texts("_acme-challenge.twice.example",
                         zone=zones[zone]) == [lab.value()]
        bed.clean()


@pytest.mark.parametrize("user", ["record", "record-only"])
def test_rights_on_one_record_set(bed, fake, user):
    """No list of zones; "record-only" may not even read its zone."""
    as_user(bed, user)
    assert bed.placard.run("account", "test", "cloud").status == 0
    bed.present_ok(*bed.one())
    assert bed.texts() == sorted([lab.value(), STRANGER])
    bed.clean()


@pytest.mark.parametrize("cloud", ["public", "usgovernment", "china"])
def test_token_is_for_the_cloud(bed, fake, cloud):
    as_user(bed, "admin", cloud=cloud)
    bed.present_ok(*bed.one())
    host = {"public": "management.azure.com",
            "usgovernment": "management.usgovcloudapi.net",
            "china": "management.chinacloudapi.cn"}[cloud]
    assert host in logins(fake)[0].body.decode()
    bed.clean()


def test_account_test_changes_nothing(bed, fake):
    done = bed.placard.run("account", "test", "cloud")
    assert "zone" in done.out and "example.com" in done.out, done
    assert done.status == 0, done
    assert fake.calls("GET") and not fake.calls("PUT")
    bed.unchanged()


def test_token_that_ends_in_the_middle(bed, fake):
    """Refused between the look and the write: one more login, no loss."""
    fake.fault("token-expired", method="PUT")
    bed.present_ok(*bed.one())
    assert len(logins(fake)) == 2
    bed.clean()


def test_token_of_many_ends_in_the_middle(bed, fake):
    fake.fault("token-expired", method="PUT", count=7, skip=3)
    bed.present_ok(*bed.job(*(lab.dns01(f"n{i}.example.org")
                              for i in range(20))))
    assert len(logins(fake)) == 2
    assert len(fake.calls("PUT")) == 27
    bed.clean()


def test_token_is_renewed_before_its_end(bed, fake):
    """A token of five minutes is not used for all of them, but is used."""
    fake.configure({"token_lifetime": 300})
    bed.present_ok(*bed.one())
    assert len(logins(fake)) == 1
    bed.clean()


def test_raced_writes_are_read_again(bed, fake):
    """Somebody changes the set between our look and our write, twice."""
    raced = []
    put = fake.put

    def racing(request, zone, kind, name):
        if len(raced) < 2:
            raced.append(f"racer {len(raced)}")
            fake.put_values(zone, zone.full(name), "TXT", [raced[-1]], 60)
        return put(request, zone, kind, name)
    fake.put = racing
    bed.present_ok(*bed.one())
    assert bed.texts() == sorted([STRANGER, lab.value(), *raced])
    assert [r.status for r in fake.calls("PUT")] == [412, 412, 200]
    fake.put = put
    done = bed.placard.run("cleanup", "--all")
    assert done.status == 0, done
    assert bed.texts() == sorted([STRANGER, *raced])


def test_set_that_appears_meanwhile(bed, fake):
    put = fake.put

    def racing(request, zone, kind, name):
        fake.put = put
        fake.put_values(zone, zone.full(name), "TXT", ["racer"], 60)
        return put(request, zone, kind, name)
    fake.put = racing
    bed.present_ok(*bed.one("example.org"))
    assert bed.texts("_acme-challenge.example.org") == sorted(
        [lab.value(), "racer"])
    bed.placard.ok("cleanup", "--all")
    assert bed.texts("_acme-challenge.example.org") == ["racer"]


def test_visible_for_real(bed, fake):
    fake.configure({"dns_delay": 0.5})
    bed.resolver("example.com")
    done = bed.placard.json("present", *bed.one(), "--timeout", "30")
    assert done.status == 0, done
    assert done.report["state"] == "visible"
    bed.clean()


def test_canaries_are_nowhere(bed, fake):
    fake.configure({"latency": 0.3})
    proc = bed.placard.popen("-v", "--json", "present", *bed.one(),
                             "--no-wait")
    lab.wait_for(lambda: fake.calls("GET"), "a request")
    assert scan_processes(proc.pid, bed.secrets) >= 4
    done = bed.placard.finish(proc)
    assert done.status == 0, done
    assert "method=PUT" in done.err
    secrets = bed.secrets + list(fake.tokens)
    scan_state(bed, secrets, done)
    fake.configure({"latency": 0})
    scan_state(bed, secrets, bed.clean())


