# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""What all fakes share: faults, log, DNS, control by URL, running alone."""
import http.client
import json
import pathlib
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))
from fakes import (azure, base, cloudflare, cloudns,  # noqa: E402
                   godaddy, route53)

VENDORS = [azure, cloudflare, cloudns, godaddy, route53]
NAME = "_acme-challenge.example.com"


@pytest.fixture
def fake():
    with godaddy.Fake(limited=False) as one:
        yield one


def connect(fake, host="127.0.0.1"):
    context = ssl.create_default_context(cafile=fake.ca_file)
    return http.client.HTTPSConnection(host, fake.port, context=context,
                                       timeout=20)


def call(connection, fake, method="GET", path="/v1/domains/example.com/records"
         "/TXT/_acme-challenge", body=None):
    connection.request(method, path, body, {
        "Authorization": "sso-key {key}:{secret}".format(**fake.credentials),
        "Content-Type": "application/json"})
    return connection.getresponse()


def add(connection, fake, value):
    record = {"type": "TXT", "name": "_acme-challenge", "data": value,
              "ttl": 600}
    return call(connection, fake, "PATCH", "/v1/domains/example.com/records",
                json.dumps([record]))


def ask(fake, name, rtype, tcp=False, address=None):
    query = dns.message.make_query(name, rtype)
    send = dns.query.tcp if tcp else dns.query.udp
    return send(query, address or fake.dns[0], port=fake.dns[1], timeout=20)


def texts(reply):
    return sorted(b"".join(r.strings).decode() for s in reply.answer
                  if s.rdtype == dns.rdatatype.TXT for r in s)


def test_keep_alive_and_log(fake):
    connection = connect(fake)
    for _ in range(3):
        assert call(connection, fake).read()
    call(connect(fake), fake).read()
    assert [c.connection for c in fake.calls("GET", "records")] == [
        1, 1, 1, 2]
    assert fake.log[0].header("authorization").startswith("sso-key ")
    assert fake.log[0].status == 200


@pytest.mark.parametrize("fault,status,start", [
    ({"kind": "status", "status": 429, "retry_after": 5}, 429, b""),
    ({"kind": "status", "status": 503, "retry_after": "date:60"}, 503, b""),
    ({"kind": "status", "status": 400, "text": "why"}, 400, b"why"),
    ({"kind": "status", "status": 500, "value": [1]}, 500, b"[1]"),
    ({"kind": "html", "status": 502}, 502, b"<html>"),
    ({"kind": "html"}, 200, b"<html>"),
    ({"kind": "empty"}, 200, b""),
    ({"kind": "json", "value": {"a": [1]}}, 200, b'{"a": [1]}'),
    ({"kind": "redirect", "to": "https://other.invalid/x"}, 302, b""),
    ({"kind": "throttle", "retry_after": 9}, 429, b'{"code": "TOO_MANY'),
    ({"kind": "delay", "seconds": 0.01}, 200, b"["),
    ({"kind": "gzip"}, 200, b"\x1f\x8b"),
    ({"kind": "oversized"}, 200, b'{"pad":"x'),
])
def test_faults_that_answer(fake, fault, status, start):
    connection = connect(fake)
    fake.fault(**fault, skip=1)
    assert call(connection, fake).read().startswith(b"[{")
    reply = call(connection, fake)
    body = reply.read()
    assert reply.status == status and body.startswith(start)
    after = reply.getheader("Retry-After")
    if fault.get("retry_after") == 5:
        assert after == "5"
    if fault.get("retry_after") == "date:60":
        assert after.endswith(" GMT")
    if fault["kind"] == "redirect":
        assert reply.getheader("Location") == "https://other.invalid/x"
    if fault["kind"] == "oversized":
        assert len(body) > 2 * 1024 * 1024
    assert call(connection, fake).read().startswith(b"[{")
    assert [c.fault for c in fake.log] == [None, fault["kind"], None]


@pytest.mark.parametrize("kind,written", [
    ("cut-before", False), ("cut-after", True), ("truncated", True)])
def test_faults_that_cut(fake, kind, written):
    fake.fault(kind, method="PATCH")
    if kind == "truncated":
        fake.fault("truncated", method="GET")
        with pytest.raises(http.client.IncompleteRead):
            call(connect(fake), fake).read()
        assert add(connect(fake), fake, "mine").read() == b""
    else:
        with pytest.raises((http.client.RemoteDisconnected, OSError)):
            add(connect(fake), fake, "mine")
    assert ("mine" in fake.values(NAME, "TXT")) == written


def test_stall_ends_when_the_client_leaves(fake):
    fake.fault("stall")
    connection = connect(fake)
    connection.connect()
    connection.sock.settimeout(0.2)
    with pytest.raises(TimeoutError):
        call(connection, fake)
    connection.close()
    for done in (lambda: fake.log, lambda: not fake.open_connections()):
        for _ in range(400):
            if done():
                break
            time.sleep(0.05)
        assert done()
    assert fake.log[-1].fault == "stall" and fake.log[-1].status is None


def test_matching(fake):
    fake.fault("status", status=500, method="PATCH", body="bad", count=None)
    fake.fault("status", status=501, path="/nothing")
    assert add(connect(fake), fake, "good").status == 200
    assert add(connect(fake), fake, "bad").status == 500
    assert add(connect(fake), fake, "bad").status == 500
    with pytest.raises(ValueError):
        fake.fault("no-such-kind")
    with pytest.raises(ValueError):
        fake.fault("status", stauts=500)
    fake.fault("status", status=500, work=True, body="kept")
    fake.faults.reverse()
    assert add(connect(fake), fake, "kept").status == 500
    assert "kept" in fake.values(NAME, "TXT")


def test_vendors_own_faults():
    with cloudns.Fake() as fake:
        fake.fault("failed", text="Something new")
        connection = connect(fake)
        connection.request("POST", "/dns/login.json")
        assert json.load(connection.getresponse()) == {
            "status": "Failed", "statusDescription": "Something new"}
    with godaddy.Fake() as fake:
        fake.fault("settling")
        assert call(connect(fake), fake).status == 409


def test_a_broken_fake_says_so(fake, capsys):
    fake.records = None
    assert call(connect(fake), fake).status == 599
    assert "TypeError" in capsys.readouterr().err


def test_control_by_url(fake):
    def control(method, what, body=None):
        connection = connect(fake)
        connection.request(method, "/__fake/" + what,
                           json.dumps(body) if body is not None else None)
        return json.load(connection.getresponse())

    assert control("POST", "zones", {"name": "new.example"})["id"]
    control("POST", "records", {"zone": "new.example", "name": "a", "type":
                                "TXT", "values": ["x", "y"], "ttl": 600})
    control("POST", "faults", {"kind": "status", "status": 418, "count": 2})
    assert control("GET", "faults")[0]["count"] == 2
    assert call(connect(fake), fake).status == 418
    assert control("DELETE", "faults") == {"ok": True}
    assert call(connect(fake), fake).status == 200
    assert [e["status"] for e in control("GET", "log")] == [418, 200]
    control("POST", "set", {"latency": 0.01})
    state = control("GET", "state")
    assert state["settings"]["latency"] == fake.latency == 0.01
    new = next(z for z in state["zones"] if z["name"] == "new.example")
    assert new["sets"] == [{"name": "a.new.example", "type": "TXT",
                            "ttl": 600, "values": ["x", "y"]}]
    assert "error" in control("POST", "set", {"nonsense": 1})
    assert "error" in control("GET", "nonsense")


def test_certificates():
    with cloudns.Fake(cert_hosts=["wrong.example"]) as fake, pytest.raises(
            ssl.SSLCertVerificationError, match="mismatch"):
        connect(fake).connect()
    with cloudns.Fake(cert_days=-1) as fake, pytest.raises(
            ssl.SSLCertVerificationError, match="expired"):
        connect(fake).connect()
    with cloudns.Fake() as fake, cloudns.Fake() as other, pytest.raises(
            ssl.SSLCertVerificationError):
        fake.ca_file = other.ca_file
        connect(fake).connect()


def test_addresses_and_plain_http():
    with cloudns.Fake(addresses=["127.0.0.1", "::1"]) as fake:
        for host in ("127.0.0.1", "::1"):
            connection = connect(fake, host)
            connection.request("GET", "/dns/login.json")
            assert b"Failed" in connection.getresponse().read()
    with cloudns.Fake(tls=False) as fake:
        assert fake.url.startswith("http://127.0.0.1:")
        opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with opener.open(fake.url + "/dns/login.json") as reply:
            assert b"Failed" in reply.read()


def test_chunked_body(fake):
    connection = connect(fake)
    body = json.dumps([{"type": "TXT", "name": "chunked", "data": "x",
                        "ttl": 600}]).encode()
    connection.request(
        "PATCH", "/v1/domains/example.com/records",
        iter([body[:20], body[20:]]), {
            "Authorization": "sso-key {key}:{secret}".format(
                **fake.credentials),
            "Content-Type": "application/json"}, encode_chunked=True)
    assert connection.getresponse().status == 200
    assert fake.values("chunked.example.com", "TXT") == ["x"]


@pytest.mark.parametrize("vendor", VENDORS, ids=lambda v: v.__name__)
def test_every_vendor_is_seeded_and_served(vendor):
    with vendor.Fake(bulk=3) as fake:
        assert texts(ask(fake, NAME, "TXT")) == fake.values(NAME, "TXT") == [
            "stranger-value-of-another-client"]
        assert len(texts(ask(fake, "example.com", "TXT"))) == 2
        fake.add_record("example.com", "_acme-challenge", "TXT", "y" * 300)
        assert "y" * 300 in texts(ask(fake, NAME, "TXT"))
        alias = ask(fake, "www.example.com", "A").answer
        assert [s.rdtype for s in alias] == [dns.rdatatype.CNAME,
                                             dns.rdatatype.A]
        mail = ask(fake, "example.com", "MX").answer[0][0]
        assert mail.to_text() == "10 mail.example.com."
        assert ask(fake, "bulk0002.example", "SOA").answer
        assert json.loads(json.dumps(fake.state()))["vendor"] == fake.vendor
        assert fake.credentials and not fake.calls()


def test_dns_answers(fake):
    reply = ask(fake, "none.example.com", "TXT")
    assert reply.rcode() == dns.rcode.NXDOMAIN
    assert reply.authority[0].rdtype == dns.rdatatype.SOA
    assert reply.flags & dns.flags.AA
    for name in ("example.com", "_acme-challenge.example.com",
                 "shop.example.com"):          # the last has only a child
        reply = ask(fake, name, "SRV")
        assert reply.rcode() == dns.rcode.NOERROR and not reply.answer
        assert reply.authority[0].rdtype == dns.rdatatype.SOA
    assert ask(fake, "a.invalid", "A").rcode() == dns.rcode.REFUSED
    assert ask(fake, "x.child.example.com", "A").authority[0].name.to_text(
        ) == "child.example.com."
    fake.add_record("example.com", "cut", "NS", "ns.elsewhere.example.")
    reply = ask(fake, "a.cut.example.com", "A")
    assert not reply.flags & dns.flags.AA and not reply.answer
    assert reply.authority[0].name.to_text() == "cut.example.com."
    fake.add_record("example.com", "*.wild", "TXT", "any")
    assert texts(ask(fake, "a.b.wild.example.com", "TXT")) == ["any"]
    assert ask(fake, "EXAMPLE.com", "NS").answer


def test_dns_truncates(fake):
    fake.add_record("example.com", "long", "TXT",
                    *[f"{n:03}" + "z" * 200 for n in range(30)])
    assert ask(fake, "long.example.com", "TXT").flags & dns.flags.TC
    assert len(texts(ask(fake, "long.example.com", "TXT", tcp=True))) == 30


def test_dns_delay():
    addresses = ("127.0.0.1", "127.0.0.2")
    with cloudns.Fake(dns_addresses=addresses) as fake:
        fake.dns_delay = {"127.0.0.2": 3600}
        fake.add_record("example.com", "new", "TXT", "x")
        assert texts(ask(fake, "new.example.com", "TXT")) == ["x"]
        late = ask(fake, "new.example.com", "TXT", address="127.0.0.2")
        assert late.rcode() == dns.rcode.REFUSED or not late.answer
        fake.dns_delay = 0
        assert texts(ask(fake, "new.example.com", "TXT",
                         address="127.0.0.2")) == ["x"]


def test_many_clients_at_once(fake):
    def work(number):
        statuses.append(add(connect(fake), fake, f"value-{number}").status)

    statuses = []
    threads = [threading.Thread(target=work, args=(n,)) for n in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert statuses == [200] * 16
    assert len(fake.values(NAME, "TXT")) == 17


def test_close_frees_the_ports():
    with cloudns.Fake() as fake:
        connection = connect(fake)
        connection.connect()
    for port in (fake.port, fake.dns[1]):
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port), 20)
    assert not pathlib.Path(fake.ca_file).exists()


def test_alone():
    run = subprocess.Popen(
        [sys.executable, str(TESTS / "fakes"), "cloudflare", "--bulk", "2",
         "--zone", "more.example", "--set", "has_batch=false", "--latency",
         "0.01"], stdout=subprocess.PIPE, text=True)
    try:
        ready = json.loads(run.stdout.readline())
        assert ready["pid"] == run.pid and ready["vendor"] == "cloudflare"
        context = ssl.create_default_context(cafile=ready["ca"])
        opener = urllib.request.build_opener(
            urllib.request.ProxyHandler({}),
            urllib.request.HTTPSHandler(context=context))
        with opener.open(ready["url"] + "/__fake/state") as reply:
            state = json.load(reply)
        assert state["settings"]["has_batch"] is False
        assert state["settings"]["latency"] == 0.01
        assert {"more.example", "bulk0001.example"} <= {
            z["name"] for z in state["zones"]}
        query = dns.message.make_query(NAME, "TXT")
        assert texts(dns.query.udp(query, ready["dns"][0],
                                   port=ready["dns"][1], timeout=20))
    finally:
        run.send_signal(signal.SIGTERM)
        assert run.wait(20) == 0
        run.stdout.close()
    assert not pathlib.Path(ready["ca"]).exists()


def test_vendor_data_is_marked():
    """With the vendor's data at hand, requests are held against it."""
    for vendor, name in [(azure, "azure-dns/dns.json"),
                         (cloudflare, "cloudflare/openapi-zones-dns-records"
                          ".json"),
                         (godaddy, "godaddy/domains-records.swagger.json")]:
        with vendor.Fake(seed="none") as fake:
            assert fake.state()["schema"] == bool(base.shared_spec(name))
