# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""The Route 53 fake, seen by boto3, the AWS command line and lexicon."""
import json
import pathlib
import sys
import types
import xml.etree.ElementTree as ET

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))
from fakes import base, clients, route53  # noqa: E402

boto3 = pytest.importorskip("boto3")
botocore = pytest.importorskip("botocore")
import botocore.config  # noqa: E402
import botocore.exceptions  # noqa: E402

NAME = "_acme-challenge.example.com."
STRANGER = "stranger-value-of-another-client"


@pytest.fixture
def fake():
    with route53.Fake(limited=False) as one:
        yield one


def client(fake, user="admin", **more):
    key = {**fake.keys[user], **more}
    session = boto3.session.Session()
    return session.client(
        "route53", endpoint_url=fake.url, verify=fake.ca_file,
        region_name="us-east-1", aws_access_key_id=key["id"],
        aws_secret_access_key=key["secret"], aws_session_token=key["token"],
        config=botocore.config.Config(retries={"max_attempts": 0,
                                               "mode": "standard"}))


def change(action, name, kind, values, ttl=3600, **more):
    return {"Action": action, "ResourceRecordSet": {
        "Name": name, "Type": kind, "TTL": ttl,
        "ResourceRecords": [{"Value": v} for v in values], **more}}


def submit(boto, zone, *changes):
    """Send a batch; (None, change id) or (code, message)."""
    try:
        done = boto.change_resource_record_sets(
            HostedZoneId=zone.id, ChangeBatch={"Changes": list(changes)})
    except botocore.exceptions.ClientError as error:
        return error.response["Error"]["Code"], str(
            error.response["Error"].get("Message") or error.response)
    return None, done["ChangeInfo"]["Id"]


def code_of(call, **arguments):
    with pytest.raises(botocore.exceptions.ClientError) as error:
        call(**arguments)
    return error.value.response["Error"]["Code"]


@pytest.fixture
def public(fake):
    return fake.zone("example.com", private=False)


def test_boto3_adds_and_removes_beside_a_stranger(fake, public):
    boto = client(fake)
    old, new = [f'"{STRANGER}"'], [f'"{STRANGER}"', '"mine"']
    got, change_id = submit(boto, public, change("DELETE", NAME, "TXT", old),
                            change("CREATE", NAME, "TXT", new))
    assert got is None and change_id.startswith("/change/C")
    assert boto.get_change(Id=change_id)["ChangeInfo"]["Status"] in (
        "PENDING", "INSYNC")
    assert fake.values(NAME, "TXT") == ["mine", STRANGER]
    read = boto.list_resource_record_sets(
        HostedZoneId=public.id, StartRecordName=NAME, StartRecordType="TXT",
        MaxItems="1")["ResourceRecordSets"][0]
    assert [r["Value"] for r in read["ResourceRecords"]] == new
    assert submit(boto, public, change("DELETE", NAME, "TXT", old))[0] == (
        "InvalidChangeBatch")
    assert submit(boto, public, change("DELETE", NAME, "TXT", new, ttl=60)
                  )[0] == "InvalidChangeBatch"
    assert submit(boto, public, {"Action": "DELETE",
                                 "ResourceRecordSet": read})[0] is None
    assert fake.values(NAME, "TXT") == []


def test_change_goes_from_pending_to_insync(fake, public):
    boto = client(fake)
    fake.insync_delay = 3600
    change_id = submit(boto, public, change(
        "CREATE", "a.example.com", "TXT", ['"x"']))[1]
    assert boto.get_change(Id=change_id)["ChangeInfo"]["Status"] == "PENDING"
    fake.insync_delay = 0
    assert boto.get_change(Id=change_id)["ChangeInfo"]["Status"] == "INSYNC"
    assert code_of(boto.get_change, Id="C0") == "NoSuchChange"


@pytest.mark.skipif(not clients.have("/usr/bin/aws"), reason="no awscli")
def test_awscli(fake, public):
    batch = json.dumps({"Changes": [change("CREATE", "*.example.com.", "TXT",
                                           ['"from \\"cli\\""'])]})
    status, out = clients.aws(
        fake, "change-resource-record-sets", "--hosted-zone-id", public.id,
        "--change-batch", batch)
    assert status == 0, out
    assert fake.values("*.example.com", "TXT") == ['from "cli"']
    status, out = clients.aws(fake, "list-hosted-zones", secret="x" * 40)
    assert status != 0 and "SignatureDoesNotMatch" in out


@pytest.mark.skipif(not clients.have_lexicon(), reason="no lexicon")
def test_lexicon(fake):
    auth = ["--auth-access-key", fake.credentials["access-key-id"],
            "--auth-access-secret", fake.credentials["secret-access-key"]]
    name = "_acme-challenge.example.org."
    verb = ["route53", "create", "example.org", "TXT", "--name", name]
    results = clients.lexicon(
        fake, [*verb, "--content", "one", *auth],
        ["route53", "list", "example.org", "TXT", *auth, "--output", "JSON"],
        ["route53", "delete", "example.org", "TXT", "--name", name,
         "--content", "one", *auth],
        [*verb, "--content", "two", "--auth-access-key", "AKIANOBODY",
         "--auth-access-secret", "wrong"])
    assert [r["ok"] for r in results] == [True, True, True, False], results
    assert [r["content"] for r in results[1]["rows"]] == ["one"]
    assert fake.values(name, "TXT") == []


def test_users(fake, public):
    org = fake.zone("example.org")
    assert code_of(client(fake, secret="x" * 40).list_hosted_zones) == (
        "SignatureDoesNotMatch")
    assert code_of(client(fake, id="AKIANOBODY").list_hosted_zones) == (
        "InvalidClientTokenId")
    assert client(fake, "temporary").list_hosted_zones()["HostedZones"]
    assert code_of(client(fake, "temporary", token=None).list_hosted_zones
                   ) == "InvalidClientTokenId"
    assert code_of(client(fake, "expired").list_hosted_zones) == (
        "ExpiredToken")
    one = client(fake, "one-zone")
    assert code_of(one.list_hosted_zones) == "AccessDenied"
    good = change("UPSERT", "_acme-challenge.a.example.org", "TXT", ['"x"'])
    assert submit(one, org, good)[0] is None
    assert submit(one, org, change("CREATE", "a.example.org", "TXT", ['"x"'])
                  )[0] == "AccessDenied"
    assert submit(client(fake, "reader"), org, good)[0] == "AccessDenied"


@pytest.mark.parametrize("offset", [-400, 400])
def test_clock(fake, offset):
    fake.clock_offset = offset
    assert code_of(client(fake).list_hosted_zones) == "SignatureDoesNotMatch"
    fake.clock_offset = offset / 2
    assert client(fake).list_hosted_zones()["HostedZones"]


def test_vectors():
    data = base.shared_spec("aws-sigv4/route53-vectors.json")
    if not data:
        pytest.skip("no vendor data: ../shared/specs/aws-sigv4")
    for case in data["cases"]:
        query = case["canonical_request"].split("\n")[2]
        headers = types.SimpleNamespace(get_all=lambda name, case=case: [
            v for n, v in case["headers"].items() if n.lower() == name])
        request = base.Request(
            case["method"], f"{case['path']}?{query}", headers,
            case["body"].encode(), 1)
        signed = case["canonical_request"].split("\n")[-2]
        scope = case["string_to_sign"].split("\n")[2]
        assert case["authorization"].endswith("Signature=" + route53.Fake.sign(
            request, data["secret_access_key"], data["timestamp"], scope,
            signed)), case["name"]


def test_zone_lists():
    with route53.Fake(bulk=150, limited=False) as fake:
        boto = client(fake)
        pages = list(boto.get_paginator("list_hosted_zones").paginate())
        found = [z["Id"] for p in pages for z in p["HostedZones"]]
        assert len(pages) == 2
        assert sorted(found) == sorted("/hostedzone/" + z.id
                                       for z in fake.zones)
        # An absent zone gives the next one, not nothing.
        after = boto.list_hosted_zones_by_name(
            DNSName="bulk0003a.example", MaxItems="1")
        assert after["HostedZones"][0]["Name"] == "bulk0004.example."
        assert after["NextDNSName"] == "bulk0005.example."
        both = boto.list_hosted_zones_by_name(DNSName="example.com",
                                              MaxItems="2")["HostedZones"]
        assert {(z["Name"], z["Config"]["PrivateZone"]) for z in both} == {
            ("example.com.", False), ("example.com.", True)}
        servers = boto.get_hosted_zone(Id=found[0]).get("DelegationSet")
        assert servers is None or len(servers["NameServers"]) > 1
        assert code_of(boto.get_hosted_zone, Id="Z0") == "NoSuchHostedZone"


def test_set_pages_and_order(fake, public):
    boto = client(fake)
    fake.page_size = 4
    pages = list(boto.get_paginator("list_resource_record_sets").paginate(
        HostedZoneId=public.id))
    names = [s["Name"] for p in pages for s in p["ResourceRecordSets"]]
    assert len(pages) > 2 and len(names) == 2 + len(public.records)
    assert names[0] == "example.com."
    assert names.index("_acme-challenge-not.example.com.") < names.index(NAME)
    assert names.index(NAME) < names.index("_dmarc.example.com.")
    routed = fake.zone("routed.example")
    both = boto.list_resource_record_sets(
        HostedZoneId=routed.id, StartRecordType="TXT",
        StartRecordName="_acme-challenge.routed.example")
    assert [s.get("SetIdentifier") for s in both["ResourceRecordSets"]] == [
        "one", "two", None]
    assert code_of(boto.list_resource_record_sets, HostedZoneId=public.id,
                   StartRecordType="TXT") == "InvalidInput"


@pytest.mark.parametrize("changes,text", [
    ([change("CREATE", NAME, "TXT", ['"x"'])], "already exists"),
    ([change("DELETE", "a.example.com", "TXT", ['"x"'])], "not found"),
    ([change("DELETE", NAME, "TXT", ['"x"'])], "do not match"),
    ([change("CREATE", "a.example.com", "TXT", ["x"])], "InvalidTXTRDATA"),
    ([change("CREATE", "a.example.com", "TXT", ['"%s"' % ("x" * 256)])],
     "CharacterStringTooLong"),
    ([change("CREATE", "a.example.com", "TXT", ['"x"', '"x"'])], "Duplicate"),
    ([change("CREATE", "a.example.org", "TXT", ['"x"'])], "not permitted in"),
    ([change("CREATE", "www.example.com", "TXT", ['"x"'])], "conflicts with"),
    ([change("CREATE", "mail.example.com", "CNAME", ["a.example."])],
     "conflicts with"),
    ([change("UPSERT", "example.com", "CNAME", ["a.example."])], "apex"),
    ([change("CREATE", "a.example.com", "CNAME", ["a.b.", "c.d."])], "one"),
    ([change("UPSERT", "a.example.com", "TXT", ['"x"']),
      change("CREATE", "a.example.com", "TXT", ['"x"'])], "invalid set"),
    ([change("CREATE", NAME, "TXT", ['"x"'], SetIdentifier="a",
             MultiValueAnswer=True)], "simple and a routed"),
    ([change("UPSERT", f"n{n}.example.com", "TXT",
             [f'"{i}"' for i in range(251)]) for n in (1, 2)], "1000"),
    ([change("CREATE", f"n{n}.example.com", "TXT", ['"%s"' % ("y" * 250)] +
             ['"%s%d"' % ("x" * 240, i) for i in range(66)])
      for n in (1, 2)], "32000"),
])
def test_refused_batches(fake, public, changes, text):
    before = fake.state()["zones"]
    good = change("CREATE", "good.example.com", "TXT", ['"x"'])
    code, message = submit(client(fake), public, good, *changes)
    assert code == "InvalidChangeBatch" and text in message
    assert fake.state()["zones"] == before


def test_the_other_error_root(fake, public):
    """The model's own shape, which boto3 cannot read."""
    fake.error_root = "InvalidChangeBatch"
    code, text = submit(client(fake), public, change(
        "CREATE", NAME, "TXT", ['"x"']))
    assert code == "" and "400" in text
    root = ET.fromstring(fake.bad_batch(["one", "two"]).body)
    space = {"r": route53.NAMESPACE}
    assert root.tag == "{%s}InvalidChangeBatch" % route53.NAMESPACE
    assert [m.text for m in root.findall("r:Messages/r:Message", space)] == [
        "one", "two"]


def test_names_and_quotes(fake, public):
    boto = client(fake)
    fake.xml_quote = "&#34;"
    assert submit(boto, public, change("CREATE", r"\052.w.example.com",
                                       "TXT", [r'"a\"b" "c"']))[0] is None
    assert fake.values("*.w.example.com", "TXT") == ['a"bc']
    read = boto.list_resource_record_sets(
        HostedZoneId=public.id, StartRecordName="*.w.example.com",
        StartRecordType="TXT", MaxItems="1")["ResourceRecordSets"][0]
    assert read["Name"] == r"\052.w.example.com."
    assert read["ResourceRecords"][0]["Value"] == r'"a\"b" "c"'


def test_throttling_is_400(fake, public):
    boto = client(fake)
    fake.fault("throttle")
    fake.fault("prior-request", method="POST")
    with pytest.raises(botocore.exceptions.ClientError) as error:
        boto.list_hosted_zones()
    assert error.value.response["Error"]["Code"] == "Throttling"
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400
    good = change("CREATE", "good.example.com", "TXT", ['"x"'])
    assert submit(boto, public, good)[0] == "PriorRequestNotComplete"
    fake.busy_time = 3600
    assert submit(boto, public, good)[0] is None
    assert submit(boto, public, good)[0] == "PriorRequestNotComplete"


def test_five_a_second():
    with route53.Fake() as fake:
        fake.bucket.window = 3600
        boto = client(fake)
        for _ in range(5):
            boto.list_hosted_zones()
        assert code_of(boto.list_hosted_zones) == "Throttling"
