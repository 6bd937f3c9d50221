# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""placard at Azure DNS: refusals, garbage, losses and races."""

import json

import pytest

import lab
from lab_vendor import STRANGER, CloudBed, scan_state
from lab_crash import JOURNAL, Strace
from fakes import azure

LOGIN, ZONES, SET = "/oauth2/", "/dnsZones[?]", "/TXT/"


@pytest.fixture
def fake():
    with azure.Fake(limited=False) as one:
        yield one


@pytest.fixture
def bed(fake, tmp_path):
    return CloudBed(tmp_path, fake)


def logins(fake):
    return fake.calls("POST", LOGIN)


def as_user(bed, name, **options):
    return bed.login(bed.fake.credentials_of(name), **options)


def fails(bed, status, code, *args, text=None):
    """A present that must fail so, and leave all as it was."""
    done = bed.present(*(args or bed.one()), "--timeout", "6")
    assert done.status == status, done
    error = done.errors()[0]
    assert error["code"] == code, done
    assert text is None or text in error["text"], done
    scan_state(bed, bed.secrets + list(bed.fake.tokens), done)
    bed.unchanged()
    return error


# -- credentials

@pytest.mark.quick
def test_wrong_secret_is_tried_once(bed, fake):
    bed.login({**fake.credentials, "client-secret": "8Q~wrong+/=~x"})
    fails(bed, 4, "auth", *bed.job(*(lab.dns01(z) for z in (
        "example.com", "example.org", "example.net"))),
        text="AADSTS7000215")
    assert len(fake.log) == 1


def test_secret_that_has_expired(bed, fake):
    as_user(bed, "stale")
    fails(bed, 4, "auth", text="AADSTS7000222")
    assert len(fake.log) == 1


@pytest.mark.parametrize("option,number", [("client-id", "700016"),
                                           ("tenant-id", "90002")])
def test_unknown_application_or_tenant(bed, fake, option, number):
    bed.login({**fake.credentials,
               option: "00000000-0000-0000-0000-000000000000"})
    error = fails(bed, 4, "auth", text="AADSTS" + number)
    assert "\n" not in error["text"] and "Trace" not in error["text"]
    assert len(fake.log) == 1


def test_no_role_at_all(bed, fake):
    as_user(bed, "nobody")
    fails(bed, 4, "auth", text="AuthorizationFailed")
    assert len(logins(fake)) == 1


def test_no_right_to_write(bed, fake):
    as_user(bed, "reader")
    fails(bed, 4, "auth", text="AuthorizationFailed")
    assert len(fake.calls("PUT")) == 1


@pytest.mark.parametrize("user", ["record", "record-only"])
def test_rights_on_one_set_of_two(bed, user):
    as_user(bed, user)
    done = bed.present(*bed.job(lab.dns01("example.com"),
                                lab.dns01("www.example.com")))
    assert done.status == 7, done
    assert [c["state"] for c in done.challenges] == ["published", "failed"]
    bed.clean()


def test_list_without_group_needs_a_right(bed):
    as_user(bed, "record", resource_group=None)
    fails(bed, 4, "auth", text="resource-group")


def test_token_that_is_never_taken(bed, fake):
    """One refresh, and then the account is refused."""
    fake.fault("unauthenticated", count=None, path="/subscriptions/")
    fails(bed, 4, "auth", text="InvalidAuthenticationToken")
    assert len(logins(fake)) == 2
    assert len(fake.calls("GET", ZONES)) == 2


def test_token_refused_in_the_middle_and_no_new_one(bed, fake):
    fake.fault("token-expired", method="PUT")
    fake.fault("status", path=LOGIN, skip=1, count=None, status=401, value={
        "error": "invalid_client", "error_description":
        "AADSTS7000222: The provided client secret keys are expired.\r\nT"})
    fails(bed, 4, "auth", text="AADSTS7000222")


# -- zones

def test_no_such_zone(bed):
    fails(bed, 1, "no-zone", *bed.one("elsewhere.example"))


def test_name_that_only_ends_like_a_zone(bed):
    fails(bed, 1, "no-zone", *bed.one("badexample.com"))


def test_zone_of_another_group(bed):
    fails(bed, 1, "no-zone", *bed.one("other.example"))


def test_private_zone_is_no_zone(bed):
    as_user(bed, "admin", resource_group="rg-private")
    fails(bed, 1, "no-zone")


def test_duplicate_zone_names_both_groups(bed):
    as_user(bed, "admin", resource_group=None)
    error = fails(bed, 3, "invalid", *bed.one("twice.example"))
    assert "rg-dns" in error["text"] and "rg-other" in error["text"].lower()


def test_group_and_subscription_that_are_not_there(bed, fake):
    as_user(bed, "admin", resource_group="rg-nowhere")
    fails(bed, 3, "invalid", text="ResourceGroupNotFound")
    bed.login({**fake.credentials, "subscription-id":
               "00000000-0000-0000-0000-000000000000"})
    fails(bed, 3, "invalid", text="SubscriptionNotFound")


def test_zone_that_went_away(bed, fake):
    """A 404 that is not that of a set: no "nothing there" of it."""
    bed.present_ok(*bed.one("example.net"))
    zone = fake.zone("example.net")
    fake.zones.remove(zone)
    done = bed.placard.json("cleanup", "--all", "--timeout", "4")
    assert done.status != 0, done
    assert not bed.placard.quiet_journal()
    fake.zones.insert(2, zone)
    bed.clean()


@pytest.mark.parametrize("value", [
    {"code": "Odd", "message": "x"}, {"error": {"code": "Odd"}}, [], {}])
@pytest.mark.parametrize("there", [True, False])
def test_404_of_unknown_meaning_asks_for_the_zone(bed, fake, value, there):
    fake.fault("status", status=404, value=value, path=SET, count=None)
    if not there:
        fake.fault("status", status=404, count=None, value={"error": {
            "code": "ResourceNotFound", "message": "gone"}},
            path="/dnsZones/example.com[?]")
    fails(bed, 1, "refused" if there else "no-zone")
    assert fake.calls("GET", "/dnsZones/example.com[?]")


@pytest.mark.parametrize("options", [
    {"resource_group": "a/b"}, {"tenant_id": "../x"}, {"cloud": "germany"},
    {"login_endpoint": "http://203.0.113.1"}, {"client_id": "no good"}])
def test_settings_that_cannot_be(bed, fake, options):
    bed.login(fake.credentials, **options)
    done = bed.present(*bed.one())
    assert done.status == 3, done
    assert next(iter(options)).replace("_", "-") in done.text()
    assert not fake.log


@pytest.mark.parametrize("base", ["https://elsewhere.invalid",
                                  "http://127.0.0.1:1", "other"])
def test_page_link_that_leaves_the_host(tmp_path, base):
    """The token goes nowhere else."""
    with azure.Fake(limited=False, bulk=150) as fake, \
            azure.Fake(limited=False, ca=fake.ca) as other:
        fake.configure({"next_link_base": other.url if base == "other"
                        else base})
        bed = CloudBed(tmp_path, fake)
        fails(bed, 6, "protocol", text="another host")
        assert not other.log and not other.open_connections()


# -- sets

def test_cname_beside_others(bed, fake):
    name = "_0123456789abcdef0123456789abcdef"
    fake.add_record("example.org", name, "A", "192.0.2.1")
    fake.add_record("example.org", name + ".c", "CNAME", "x.example.net")
    bed.before = bed.zones()
    for owner in (name, name + ".c"):
        fails(bed, 1, "refused", "-m", "dns-cname", "-d", "example.org",
              "--name", owner + ".example.org", "--value",
              "y.ca.example.net")


@pytest.mark.parametrize("kind", ["records", "characters"])
def test_set_that_is_full(bed, fake, kind):
    values = [f"v{i}" for i in range(20)] if kind == "records" else [
        f"{i:02}" + "v" * 253 for i in range(16)]
    fake.add_record("example.org", "_acme-challenge", "TXT", *values)
    bed.before = bed.zones()
    fails(bed, 1, "refused", *bed.one("example.org"), text="HTTP 400")


def test_lost_races_without_end(bed, fake):
    put, count = fake.put, []

    def racing(request, zone, kind, name):
        count.append(1)
        fake.put_values(zone, zone.full(name), "TXT", [f"r{len(count)}"], 60)
        return put(request, zone, kind, name)
    fake.put = racing
    done = bed.present(*bed.one(), "--timeout", "3")
    assert done.status == 6, done
    assert done.errors()[0]["code"] == "conflict"
    fake.put = put
    bed.placard.ok("cleanup", "--all")
    assert lab.value() not in bed.texts()
    assert len(bed.texts()) == 1 + len(count)


def test_removal_of_a_value_that_moved_on(bed, fake):
    bed.present_ok(*bed.one())
    one = fake.find(fake.zone("example.com"), "TXT", "_acme-challenge")
    one["properties"].update(TTL=5, TXTRecords=[{"value": ["only-theirs"]}])
    one["etag"] = "new"
    bed.placard.ok("cleanup", "--all")
    assert bed.texts() == ["only-theirs"]
    assert not fake.calls("DELETE") and len(fake.calls("PUT")) == 1


def test_set_that_went_away(bed, fake):
    bed.present_ok(*bed.one("example.org"))
    zone = fake.zone("example.org")
    zone.records.clear()
    bed.clean()
    assert not fake.calls("DELETE")


# -- limits

@pytest.mark.parametrize("kind", ["throttle", "busy"])
@pytest.mark.parametrize("path", [ZONES, SET])
def test_429_is_waited_out(bed, fake, kind, path):
    fake.fault(kind, path=path)
    bed.present_ok(*bed.one())
    first = next(r for r in fake.log if r.status == 429)
    again = next(r for r in fake.log if r.time > first.time)
    assert again.time - first.time >= 1     # Retry-After: 1
    bed.clean()


def test_429_of_some_of_many(bed, fake):
    fake.fault("throttle", method="PUT", count=5, skip=3)
    bed.present_ok(*bed.job(*(lab.dns01(f"n{i}.example.org")
                              for i in range(20))))
    assert len(fake.calls("PUT")) == 25
    bed.clean()


def test_throttled_for_ever(bed, fake):
    fake.fault("throttle", count=None, path="/subscriptions/")
    fails(bed, 6, "limit")


@pytest.mark.parametrize("path", [LOGIN, ZONES, SET])
@pytest.mark.parametrize("status", [500, 503, 408])
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
    {"kind": "json", "value": []}, {"kind": "json", "value": {}},
    {"kind": "json", "value": {"value": {}, "properties": {},
                               "access_token": 1, "expires_in": 1}},
    {"kind": "json", "value": {"value": [1], "etag": "e", "properties": {
        "TTL": "60"}, "access_token": "", "expires_in": -1}},
    {"kind": "json", "value": {"value": [{"name": "example.com"}],
                               "etag": "e", "properties": {
        "TTL": 60, "TXTRecords": [{"value": [1]}]}}},
    {"kind": "status", "status": 200, "text": '{"a":1,"a":2}'},
    {"kind": "status", "status": 200, "text": "[" * 5000},
    {"kind": "truncated"}, {"kind": "gzip"}]


@pytest.mark.parametrize("path", [LOGIN, ZONES, SET])
@pytest.mark.parametrize("garbage", GARBAGE, ids=lambda g: g["kind"] + str(
    len(json.dumps(g))))
def test_garbage_changes_nothing(bed, fake, path, garbage):
    fake.fault(count=None, path=path, **garbage)
    done = bed.present(*bed.one(), "--timeout", "4")
    assert done.status == 6, done
    assert done.errors()[0]["code"] in ("protocol", "network"), done
    assert not fake.calls("PUT")
    scan_state(bed, bed.secrets + list(fake.tokens), done)
    bed.unchanged()


@pytest.mark.parametrize("garbage", [
    {"kind": "html"}, {"kind": "empty"}, {"kind": "oversized"},
    {"kind": "status", "status": 500}], ids=lambda g: g["kind"])
def test_garbage_for_the_answer_to_a_write(bed, fake, garbage):
    """It was done, and is found to be."""
    fake.fault(method="PUT", work=True, **garbage)
    bed.present_ok(*bed.one())
    assert bed.texts() == sorted([STRANGER, lab.value()])
    assert len(fake.calls("PUT")) == 1
    bed.clean()


@pytest.mark.parametrize("kind", ["cut-after", "truncated", "cut-before"])
def test_lost_answer_is_adopted(bed, fake, kind):
    fake.fault(kind, method="PUT")
    bed.present_ok(*bed.one())
    assert bed.texts() == sorted([STRANGER, lab.value()])
    assert len(fake.calls("PUT")) == (2 if kind == "cut-before" else 1)
    # It is ours, so it goes.
    bed.clean()


@pytest.mark.parametrize("domain", ["example.com", "example.org"])
def test_lost_answer_to_a_removal(bed, fake, domain):
    bed.present_ok(*bed.one(domain))
    fake.fault("cut-after", method="PUT")
    fake.fault("cut-after", method="DELETE")
    bed.clean()


def test_all_answers_to_writes_are_lost(bed, fake):
    fake.fault("cut-after", count=None, path=SET)
    done = bed.present(*bed.one(), "--timeout", "4")
    assert done.status == 6, done
    fake.faults.clear()
    bed.clean()


@pytest.mark.parametrize("path", [LOGIN, ZONES, SET])
def test_redirect_is_not_followed(bed, fake, path):
    with azure.Fake(limited=False, ca=fake.ca) as other:
        fake.fault("redirect", count=None, status=307, to=other.url + "/x",
                   path=path)
        fails(bed, 6, "protocol", text="redirect")
        assert not other.log and not other.open_connections()


def test_certificate_of_nobody_we_trust(bed, fake):
    bed.login(fake.credentials, ca_file=None)
    fails(bed, 6, "network")
    assert not fake.log


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
