# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""placard at Route 53: refusals, garbage, losses and races."""

import pytest

import lab
from lab_vendor import OWNER, STRANGER, CloudBed, scan_state
from lab_crash import JOURNAL, Strace
from fakes import route53


@pytest.fixture
def fake():
    with route53.Fake(limited=False) as one:
        yield one


@pytest.fixture
def bed(fake, tmp_path):
    return CloudBed(tmp_path, fake)


def batches(fake):
    return fake.calls("POST", "/rrset/$")


def as_key(bed, name, **options):
    key = bed.fake.keys[name]
    return bed.login({"access-key-id": key["id"], "secret-access-key":
                      key["secret"], "session-token": key["token"]},
                     **options)


def fails(bed, status, code, *args, text=None):
    """A present that must fail so, and leave all as it was."""
    done = bed.present(*(args or bed.one()), "--timeout", "6")
    assert done.status == status, done
    error = done.errors()[0]
    assert error["code"] == code, done
    assert text is None or text in error["text"], done
    scan_state(bed, bed.secrets, done)
    bed.unchanged()
    return error


# -- credentials

@pytest.mark.quick
def test_wrong_secret_is_tried_once(bed, fake):
    bed.login({**fake.credentials, "secret-access-key": "w" * 40})
    fails(bed, 4, "auth")
    assert len(fake.log) == 1


def test_unknown_key_is_tried_once(bed, fake):
    bed.login({**fake.credentials, "access-key-id": "AKIA" + "X" * 16})
    fails(bed, 4, "auth", *bed.job(*(lab.dns01(z) for z in (
        "example.com", "example.org", "example.net"))))
    assert len(fake.log) == 1


def test_expired_session(bed, fake):
    as_key(bed, "expired")
    fails(bed, 4, "auth", text="ExpiredToken")
    assert len(fake.log) == 1


def test_token_that_is_missing(bed, fake):
    key = fake.keys["temporary"]
    bed.login({"access-key-id": key["id"],
               "secret-access-key": key["secret"]})
    fails(bed, 4, "auth")


def test_signature_of_the_service_is_not_repeated(bed, fake):
    """Its text holds the session token, as the vendor's does."""
    as_key(bed, "temporary")
    token = fake.keys["temporary"]["token"]
    fake.fault("status", count=None, status=403, headers={
        "Content-Type": "text/xml"}, text=(
            "<ErrorResponse><Error><Type>Sender</Type><Code>"
            "SignatureDoesNotMatch</Code><Message>The Canonical String for "
            f"this request should have been x-amz-security-token:{token}"
            "</Message></Error></ErrorResponse>"))
    error = fails(bed, 4, "auth", text="SignatureDoesNotMatch")
    assert "Canonical" not in error["text"]


def test_no_right_to_write(bed, fake):
    as_key(bed, "reader")
    fails(bed, 4, "auth", text="AccessDenied")
    assert len(batches(fake)) == 1


def test_right_to_some_names(bed, fake):
    """One batch is denied; its parts that are allowed are done."""
    zone = fake.zone("example.org").id
    as_key(bed, "one-zone", hosted_zone_id=zone)
    fake.keys["one-zone"]["changes"] = ("TXT", r"_acme-challenge\.n.\..*")
    done = bed.present(*bed.job(*(lab.dns01(f"{n}.example.org") for n in (
        "n1", "n2", "other", "n3", "n4"))))
    assert done.status == 7, done
    assert [c["state"] for c in done.challenges] == [
        "published", "published", "failed", "published", "published"]
    assert done.challenges[2]["error"]["code"] == "refused"
    bed.clean()


def test_no_right_to_any_of_many(bed, fake):
    """Not as many refusals as names."""
    as_key(bed, "reader")
    fails(bed, 4, "auth", *bed.job(*(lab.dns01(f"n{i}.example.org")
                                     for i in range(100))))
    assert len(batches(fake)) <= 7


# -- zones

def test_no_such_zone(bed):
    fails(bed, 1, "no-zone", *bed.one("elsewhere.example"))


def test_name_that_only_ends_like_a_zone(bed):
    fails(bed, 1, "no-zone", *bed.one("badexample.com"))


def test_only_a_private_zone(bed):
    fails(bed, 1, "no-zone", *bed.one("private.example"))


def test_duplicate_zone_names_both(bed, fake):
    error = fails(bed, 3, "invalid", *bed.one("twice.example"),
                  )
    for zone in fake.zones:
        assert (zone.id in error["text"]) == (zone.name == "twice.example")


def test_zone_id_that_is_not_there(bed, fake):
    bed.login(fake.credentials, hosted_zone_id="Z0UNKNOWN")
    fails(bed, 3, "invalid", text="hosted-zone-id")


@pytest.mark.parametrize("options", [
    {"hosted_zone_id": "Z1/../Z2"}, {"access_key_id": "no good"},
    {"endpoint": "http://203.0.113.1"}, {"endpoint": "https://h/path"}])
def test_settings_that_cannot_be(bed, fake, options):
    bed.login(fake.credentials, **options)
    done = bed.present(*bed.one())
    assert done.status == 3, done
    assert next(iter(options)).replace("_", "-") in done.text()
    assert not fake.log


# -- sets that cannot be written

def test_set_of_a_routing_policy_is_refused(bed, fake):
    fails(bed, 1, "refused", *bed.one("routed.example"), text="policy")
    assert not batches(fake)


def test_cname_beside_others_spoils_nothing(bed, fake):
    """An A record is seen by the service only: it refuses the batch."""
    name = "_0123456789abcdef0123456789abcdef"
    fake.add_record("example.org", name, "A", "192.0.2.1")
    bed.before = bed.zones()
    done = bed.present(*bed.job(
        lab.dns01("a.example.org"),
        {"method": "dns-cname", "domain": "example.org",
         "name": f"{name}.example.org", "value": "x.ca.example.net"},
        lab.dns01("b.example.org")))
    assert done.status == 7, done
    assert [c["state"] for c in done.challenges] == [
        "published", "failed", "published"]
    assert done.challenges[1]["error"]["code"] == "refused"
    bed.clean()


def test_cname_beside_txt_and_another_cname(bed, fake):
    name = "_0123456789abcdef0123456789abcdef"
    for kind, value in (("TXT", "theirs"), ("CNAME", "other.example.net.")):
        fake.add_record("example.org", f"{name}.{kind}".lower(), kind, value)
        bed.before = bed.zones()
        fails(bed, 1, "refused", "-m", "dns-cname", "-d", "example.org",
              "--name", f"{name}.{kind.lower()}.example.org", "--value",
              "x.ca.example.net")


def test_set_that_is_full(bed, fake):
    fake.add_set("example.org", "_acme-challenge", "TXT",
                 [f'"v{i}"' for i in range(400)])
    bed.before = bed.zones()
    fails(bed, 1, "refused", *bed.one("example.org"), text="400")


def test_set_that_no_batch_can_hold(bed, fake):
    fake.add_set("example.org", "_acme-challenge", "TXT",
                 [f'"{i:03}{"v" * 200}"' for i in range(100)])
    bed.before = bed.zones()
    fails(bed, 1, "refused", *bed.one("example.org"), text="batch")


def test_batches_refused_without_a_word(bed, fake):
    """Taken apart for a while, and given up for all."""
    fake.fault("html", status=400, count=None, method="POST")
    fails(bed, 1, "refused", *bed.job(*(lab.dns01(f"n{i}.example.org")
                                        for i in range(100))))
    assert len(batches(fake)) == 7


def test_one_value_that_the_service_will_not_have(bed, fake):
    """Named by nothing but its value: found by halves."""
    fake.fault("status", status=400, count=None, body="bad-one", text=(
        "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidInput</Code>"
        "<Message>no</Message></Error></ErrorResponse>"))
    done = bed.present(*bed.job(*(
        {"method": "dns-txt", "domain": "example.org", "value":
         "bad-one" if i == 13 else f"v{i}",
         "name": f"_acme-challenge.n{i}.example.org"} for i in range(50))))
    assert done.status == 7, done
    assert [i for i, c in enumerate(done.challenges)
            if c["state"] != "published"] == [13]
    assert len(batches(fake)) <= 14
    bed.clean()


# -- races

def race(fake, times, name="_acme-challenge.example.com"):
    """Somebody adds a value between our look and our batch."""
    left, change, done = [times], fake.change, []

    def racing(zone, request, key):
        if left[0] > 0:
            left[0] -= 1
            done.append(f"racer-{left[0]}")
            fake.put_values(zone, name, "TXT", [done[-1]], 60)
        return change(zone, request, key)
    fake.change = racing
    return done


@pytest.mark.parametrize("root", ["ErrorResponse", "InvalidChangeBatch"])
def test_a_race_is_read_again(bed, fake, root):
    fake.configure({"error_root": root})
    raced = race(fake, 1)
    bed.present_ok(*bed.one())
    assert bed.texts() == sorted([STRANGER, lab.value(), *raced])
    assert [r.status for r in batches(fake)] == [400, 200]
    bed.placard.ok("cleanup", "--all")
    assert bed.texts() == sorted([STRANGER, *raced])


@pytest.mark.parametrize("root", ["ErrorResponse", "InvalidChangeBatch"])
def test_races_spoil_only_their_own_name(bed, fake, root):
    """Lost twice in one call: the others are done, the loser tries on."""
    fake.configure({"error_root": root})
    raced = race(fake, 4)
    bed.present_ok(*bed.job(lab.dns01("example.com"), *(
        lab.dns01(f"n{i}.example.com") for i in range(5))))
    assert bed.texts() == sorted([STRANGER, lab.value(), *raced])
    for number in range(5):
        assert bed.texts(f"_acme-challenge.n{number}.example.com") == [
            lab.value()]
    bed.placard.ok("cleanup", "--all")
    assert bed.texts() == sorted([STRANGER, *raced])


def test_removal_of_a_value_that_moved_on(bed, fake):
    """A stranger rewrote the set meanwhile, without our value."""
    bed.present_ok(*bed.one())
    zone = fake.zone("example.com", private=False)
    one = next(r for r in zone.records if r["name"] == OWNER)
    one["values"], one["TTL"] = ['"only-theirs"'], 5
    bed.placard.ok("cleanup", "--all")
    assert bed.texts() == ["only-theirs"] and one["TTL"] == 5


# -- limits

@pytest.mark.parametrize("kind", ["throttle", "prior-request"])
def test_too_fast_is_a_passing_fault(bed, fake, kind):
    fake.fault(kind, count=2, method="POST")
    bed.present_ok(*bed.one())
    assert [r.status for r in batches(fake)] == [400, 400, 200]
    bed.clean()


def test_throttled_for_ever(bed, fake):
    fake.fault("throttle", count=None)
    fails(bed, 6, "limit")


def test_at_the_real_pace(tmp_path):
    """Five requests a second, and a zone that is busy after a change."""
    with route53.Fake(busy_time=0.3) as fake:
        bed = CloudBed(tmp_path, fake)
        bed.present_ok(*bed.job(*(lab.dns01(f"n{i}.{zone}")
                                  for i in range(20) for zone in (
                                      "example.com", "example.org",
                                      "example.net"))))
        bed.clean()


@pytest.mark.parametrize("path", ["hostedzonesbyname", "/rrset[?]",
                                  "/rrset/$"])
@pytest.mark.parametrize("status", [500, 503, 429])
def test_storms_pass(bed, fake, path, status):
    fake.fault("status", count=2, status=status, text="oops", path=path)
    bed.present_ok(*bed.one())
    bed.clean()


def test_storm_without_end(bed, fake):
    fake.fault("status", count=None, status=503, text="oops")
    fails(bed, 6, "network", text="HTTP 503")


# -- garbage

GARBAGE = [
    {"kind": "html"}, {"kind": "empty"}, {"kind": "oversized"},
    {"kind": "json", "value": {"HostedZones": []}},
    {"kind": "status", "status": 200, "text": "<A><B/></A>"},
    {"kind": "status", "status": 200, "text":
     '<!DOCTYPE L [<!ENTITY x SYSTEM "file:///etc/passwd">]>'
     "<ListHostedZonesByNameResponse>&x;</ListHostedZonesByNameResponse>"},
    {"kind": "status", "status": 200, "text":
     "<ListHostedZonesByNameResponse><HostedZones><HostedZone><Id>../x</Id>"
     "<Name>example.com.</Name></HostedZone></HostedZones>"
     "</ListHostedZonesByNameResponse>"},
    {"kind": "status", "status": 200, "text":
     "<ListResourceRecordSetsResponse><IsTruncated>true</IsTruncated>"
     "</ListResourceRecordSetsResponse>"},
    {"kind": "truncated"}, {"kind": "gzip"}]


@pytest.mark.parametrize("path", ["hostedzonesbyname", "/rrset[?]"])
@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda g: g["kind"] + str(
    len(g.get("text", ""))))
def test_garbage_changes_nothing(bed, fake, path, garbage):
    fake.fault(count=None, path=path, **garbage)
    done = bed.present(*bed.one(), "--timeout", "4")
    assert done.status == 6, done
    assert done.errors()[0]["code"] in ("protocol", "network"), done
    assert not batches(fake)
    bed.unchanged()


def test_document_type_is_named(bed, fake):
    fake.fault(count=None, **GARBAGE[5])
    fails(bed, 6, "protocol", text="document type declaration")


@pytest.mark.parametrize("garbage", [
    {"kind": "html"}, {"kind": "empty"}, {"kind": "oversized"},
    {"kind": "status", "status": 500}], ids=lambda g: g["kind"])
@pytest.mark.parametrize("work", [False, True])
def test_garbage_for_the_answer_to_a_write(bed, fake, garbage, work):
    """Done or not: found out, and not done twice."""
    fake.fault(method="POST", work=work, **garbage)
    bed.present_ok(*bed.one())
    assert bed.texts() == sorted([STRANGER, lab.value()])
    assert len(batches(fake)) == (1 if work else 2)
    bed.clean()


@pytest.mark.parametrize("kind", ["cut-after", "truncated", "cut-before"])
def test_lost_answer_is_adopted(bed, fake, kind):
    fake.fault(kind, method="POST")
    bed.present_ok(*bed.one())
    assert bed.texts() == sorted([STRANGER, lab.value()])
    assert len(batches(fake)) == (2 if kind == "cut-before" else 1)
    # It is ours, so it goes.
    bed.clean()


def test_lost_answer_to_a_removal(bed, fake):
    bed.present_ok(*bed.one())
    fake.fault("cut-after", method="POST")
    bed.clean()


def test_all_answers_to_writes_are_lost(bed, fake):
    """Given up, and yet nothing stays behind."""
    fake.fault("cut-after", count=None, path="/rrset")
    done = bed.present(*bed.one(), "--timeout", "4")
    assert done.status == 6, done
    fake.faults.clear()
    bed.clean()


@pytest.mark.parametrize("path", ["hostedzonesbyname", "/rrset[?]",
                                  "/rrset/$"])
def test_redirect_is_not_followed(bed, fake, path):
    with route53.Fake(limited=False, ca=fake.ca) as other:
        fake.fault("redirect", count=None, status=307, to=other.url +
                   "/2013-04-01/hostedzonesbyname", path=path)
        fails(bed, 6, "protocol", text="redirect")
        assert not other.log and not other.open_connections()


def test_certificate_of_nobody_we_trust(bed, fake, tmp_path):
    bed.login(fake.credentials, ca_file=None)
    fails(bed, 6, "network")
    assert not fake.log


# -- clock

def test_clock_a_day_off_is_for_people(bed, fake):
    fake.configure({"clock_offset": 30 * 3600})
    fails(bed, 4, "auth", text="clock")
    assert len(fake.log) == 1


def test_clock_that_jumps_again(bed, fake):
    """Corrected once a request, not over and over."""
    fake.configure({"skew_code": "RequestExpired"})
    real = fake.check_clock

    def jumping(stamp):
        fake.clock_offset += 7200
        real(stamp)
    fake.check_clock = jumping
    fails(bed, 4, "auth")
    assert len(fake.log) == 2


# -- the axe

@pytest.mark.crash
@pytest.mark.parametrize("how", ["kill", "cut_power"])
def test_killed_anywhere(bed, fake, how):
    job = bed.job(lab.dns01("example.com", "a"), lab.dns01("example.org"),
                  lab.dns01("*.example.com", "b"))
    args = ["present", *job, "--no-wait"]
    most = Strace(bed.placard, args).count(JOURNAL + ["sendto", "write"])
    bed.clean()
    tried = 0
    for call, count in sorted(most.items()):
        for number in sorted({1, (count + 1) // 2, count}):
            getattr(Strace(bed.placard, args), how)(call, number)
            bed.clean()
            tried += 1
    assert tried >= 6
