# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""placard at Route 53: what works."""

import re

import pytest

import lab
from lab_vendor import OWNER, STRANGER, CloudBed, scan_processes, scan_state
from fakes import route53


@pytest.fixture
def fake():
    with route53.Fake(limited=False) as one:
        yield one


@pytest.fixture
def bed(fake, tmp_path):
    one = CloudBed(tmp_path, fake)
    yield one
    one.close()


def batches(fake):
    return fake.calls("POST", "/rrset/$")


def actions(request):
    return re.findall(r"<Action>(\w+)</Action>", request.body.decode())


def ttl_of(fake, name, kind="TXT"):
    return {s["ttl"] for z in fake.state()["zones"] for s in z["sets"]
            if (s["name"], s["type"]) == (name, kind)}


def one_name(number, zone):
    return lab.dns01(f"n{number:03}.{zone}", str(number))


@pytest.mark.quick
def test_present_and_clean_beside_a_stranger(bed, fake):
    done = bed.present_ok(*bed.one())
    assert bed.texts() == sorted([lab.value(), STRANGER])
    challenge = done.report["challenges"][0]
    assert challenge["scope"] == "example.com"
    assert [actions(r) for r in batches(fake)] == [["DELETE", "CREATE"]]
    # The stranger's TTL stays as it was.
    assert ttl_of(fake, OWNER) == {3600}
    bed.clean()
    assert "UPSERT" not in "".join(r.body.decode() for r in batches(fake))


def test_a_new_set_is_created_and_deleted(bed, fake):
    bed.present_ok(*bed.one("www.example.org"), "--ttl", "77")
    assert [actions(r) for r in batches(fake)] == [["CREATE"]]
    assert ttl_of(fake, "_acme-challenge.www.example.org") == {77}
    bed.clean()
    assert actions(batches(fake)[-1]) == ["DELETE"]


def test_two_values_at_one_name_in_one_batch(bed, fake):
    bed.present_ok(*bed.job(lab.dns01("example.com", "a"),
                            lab.dns01("*.example.com", "b")))
    assert bed.texts() == sorted([STRANGER, lab.value("a"), lab.value("b")])
    assert len(batches(fake)) == 1
    bed.placard.ok("cleanup", *bed.one("example.com", "a"))
    assert bed.texts() == sorted([STRANGER, lab.value("b")])
    bed.clean()


def test_apex_token_beside_spf(bed, fake):
    before = fake.values("example.com", "TXT", zone="example.com")
    bed.present_ok("-m", "dns-txt", "-d", "example.com", "--value",
                   "token-of-a-ca")
    assert sorted(before + ["token-of-a-ca"]) == fake.values(
        "example.com", "TXT", zone="example.com")
    bed.clean()


def test_value_that_was_there_is_a_strangers(bed, fake):
    fake.add_record("example.com", "_acme-challenge", "TXT", lab.value())
    bed.before = bed.zones()
    bed.present_ok(*bed.one())
    assert not batches(fake)
    bed.clean()


@pytest.mark.parametrize("quote", ['"', "&quot;", "&#34;"])
def test_long_and_odd_values(bed, fake, quote):
    """Values of others are put back byte for byte as they were read."""
    fake.configure({"xml_quote": quote})
    fake.add_set("example.org", "_acme-challenge.odd", "TXT",
                 [r'"a \"q\" \\ \050x" "b"', '"' + "y" * 255 + '" "z"'],
                 ttl=5)
    bed.before = bed.zones()
    value = "".join(chr(33 + i % 94) for i in range(600))
    bed.present_ok("-m", "dns-txt", "-d", "odd.example.org", "--name",
                   "_acme-challenge.odd.example.org", "--value", value)
    assert value in bed.texts("_acme-challenge.odd.example.org")
    assert len(bed.texts("_acme-challenge.odd.example.org")) == 3
    bed.clean()


def test_cname(bed, fake):
    cname = ["-m", "dns-cname", "-d", "example.org", "--name",
             "_0123456789abcdef0123456789abcdef.example.org", "--value",
             "abc.ca.example.net"]
    bed.present_ok(*cname)
    assert fake.values("_0123456789abcdef0123456789abcdef.example.org",
                       "CNAME") == ["abc.ca.example.net."]
    bed.present_ok(*cname)
    assert len(batches(fake)) == 1
    bed.clean()


def test_alias_is_followed(bed):
    """_acme-challenge.aliased.example.com leads to example.net."""
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
    names = [one_name(i, zone) for i in range(34) for zone in (
        "example.com", "example.org", "example.net")][:100]
    bed.present_ok(*bed.job(*names))
    assert len(batches(fake)) == 3
    # Zones: a page has them.  A read of one page for each zone.
    assert len(fake.calls("GET", "hostedzonesbyname")) <= 3
    assert len(fake.calls("GET", "/rrset")) == 3
    assert len(fake.log) <= 9
    bed.restart_log()
    bed.clean()
    assert len(batches(fake)) == 3
    assert len(fake.log) <= 9


def test_batches_keep_to_the_limits(bed, fake):
    """Values of 2,000 characters: 15 of them fill a batch."""
    long = [{"method": "dns-txt", "domain": "example.org",
             "name": f"_acme-challenge.l{i}.example.org",
             "value": f"{i:04}" + "v" * 1996} for i in range(40)]
    bed.present_ok(*bed.job(*long))
    sizes = [sum(map(len, re.findall(r"<Value>(.*?)</Value>",
                                     r.body.decode().replace("&quot;", '"'))))
             for r in batches(fake)]
    assert max(sizes) <= 32000 and len(sizes) == 3
    bed.clean()


@pytest.mark.big
def test_more_than_a_thousand_records(bed, fake):
    bed.present_ok(*bed.job(*(
        {"method": "dns-txt", "domain": "example.org", "value": f"v{i}",
         "name": f"_acme-challenge.m{i}.example.org"} for i in range(1100))))
    assert [len(actions(r)) for r in batches(fake)] == [1000, 100]
    bed.clean()


@pytest.mark.big
def test_paging_beyond_a_hundred_zones(tmp_path):
    with route53.Fake(limited=False, bulk=250) as fake:
        bed = CloudBed(tmp_path, fake)
        names = [f"bulk{i:04}.example" for i in (0, 99, 100, 101, 180, 249)]
        bed.present_ok(*bed.job(*(lab.dns01(n) for n in names)))
        for name in names:
            assert bed.texts("_acme-challenge." + name) == [lab.value()]
        # Not one page a name.
        assert len(fake.calls("GET", "hostedzonesbyname")) <= 6
        done = bed.present(*bed.one("bulk0250.example"))
        assert done.status == 1, done
        assert done.errors()[0]["code"] == "no-zone"
        bed.clean()


@pytest.mark.parametrize("size", [1, 2, 7])
def test_small_pages_of_sets(bed, fake, size):
    """Names between, at and behind the ends of pages."""
    fake.configure({"page_size": size})
    for number in range(0, 30, 3):
        fake.add_record("example.org", f"_acme-challenge.n{number:03}", "TXT",
                        "theirs", f"of {number}", ttl=1000 + number)
        fake.add_record("example.org", f"_acme-challenge.n{number:03}x", "A",
                        "192.0.2.1")
    bed.before = bed.zones()
    bed.present_ok(*bed.job(*(one_name(i, "example.org")
                              for i in range(30))))
    assert len(batches(fake)) == 1
    for number in range(30):
        got = bed.texts(f"_acme-challenge.n{number:03}.example.org")
        assert lab.value(str(number)) in got
        assert len(got) == (1 if number % 3 else 3)
    bed.clean()


@pytest.mark.parametrize("values,length", [(100, 100), (380, 20)])
def test_pages_that_are_too_large(bed, fake, values, length):
    """Sets of others that together pass the limits of one answer."""
    for number in range(40):
        fake.add_set("example.org", f"_acme-challenge.n{number:03}x", "TXT",
                     [f'"{i:03}{"v" * length}"' for i in range(values)])
    bed.before = bed.zones()
    bed.present_ok(*bed.job(*(one_name(i, "example.org")
                              for i in range(0, 40, 5))))
    assert len(batches(fake)) == 1
    bed.clean()


def test_private_zone_of_the_same_name_is_left_alone(bed, fake):
    private = fake.zone("example.com", private=True)
    bed.present_ok(*bed.one())
    assert private.records == []
    bed.clean()


def test_zone_by_id_settles_duplicates(bed, fake):
    zones = [z for z in fake.zones if z.name == "twice.example"]
    for zone in zones:
        bed.login(fake.credentials, hosted_zone_id=zone.id)
        bed.present_ok(*bed.one("twice.example"))
        assert bed.texts("_acme-challenge.twice.example", zone=zone) == [
            lab.value()]
        bed.clean()
    assert not fake.calls("GET", "hostedzonesbyname")


def test_least_privilege(bed, fake):
    """No right to list; TXT below one name of one zone, and no more."""
    key = fake.keys["one-zone"]
    bed.login({"access-key-id": key["id"], "secret-access-key":
               key["secret"]}, hosted_zone_id="/hostedzone/" + fake.zone(
                   "example.org").id)
    assert bed.placard.run("account", "test", "cloud").status == 0
    bed.present_ok(*bed.one("example.org"))
    assert bed.texts("_acme-challenge.example.org") == [lab.value()]
    bed.clean()


def test_temporary_key(bed, fake):
    key = fake.keys["temporary"]
    bed.login({"access-key-id": key["id"], "secret-access-key":
               key["secret"], "session-token": key["token"]})
    first = bed.placard.run("-v", "present", *bed.one(), "--no-wait")
    assert first.status == 0, first
    scan_state(bed, [key["secret"], key["token"]], first)
    bed.clean()


def test_account_test_changes_nothing(bed, fake):
    done = bed.placard.run("account", "test", "cloud")
    assert "zone" in done.out and "example.com" in done.out, done
    assert done.status == 0, done
    assert fake.calls("GET") and not batches(fake)
    bed.unchanged()


@pytest.mark.parametrize("hours", [-3, -0.2, 0.2, 20])
def test_clock_that_is_off_is_corrected_once(bed, fake, hours):
    fake.configure({"clock_offset": hours * 3600})
    bed.present_ok(*bed.one())
    assert [r.status for r in fake.log].count(403) == 1
    bed.clean()


@pytest.mark.parametrize("user", ["admin", "temporary"])
def test_signatures_are_those_of_botocore(bed, fake, user):
    """Every request signed again by the vendor's own code."""
    auth = pytest.importorskip("botocore.auth")
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    key = fake.keys[user]
    bed.login({"access-key-id": key["id"], "secret-access-key":
               key["secret"], "session-token": key["token"]})
    bed.present_ok(*bed.one())
    bed.clean()
    assert {r.method for r in fake.log} == {"GET", "POST"}
    for request in fake.log:
        ours = request.header("Authorization")
        signed = re.search("SignedHeaders=([a-z0-9;-]+)", ours).group(1)
        theirs = AWSRequest(
            request.method, fake.url + request.target, data=request.body,
            headers={n: request.header(n) for n in signed.split(";")})
        theirs.context["timestamp"] = request.header("X-Amz-Date")
        signer = auth.SigV4Auth(Credentials(key["id"], key["secret"]),
                                "route53", "us-east-1")
        text = signer.string_to_sign(theirs, signer.canonical_request(
            theirs))
        assert ours.endswith("Signature=" + signer.signature(text, theirs))


def test_visible_for_real(bed, fake):
    """Looked for in the fake's own DNS, which serves it late."""
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
    assert "method=POST" in done.err
    scan_state(bed, bed.secrets, done)
    fake.configure({"latency": 0})
    scan_state(bed, bed.secrets, bed.clean())
