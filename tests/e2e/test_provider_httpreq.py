# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""The httpreq and acme-dns providers, with services that change a zone."""

import base64
import hashlib
import http.server
import json
import os
import threading

import pytest

import lab

THUMB = "9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"
KEYAUTH = f"tok.{THUMB}"
DIGEST = base64.urlsafe_b64encode(hashlib.sha256(
    KEYAUTH.encode()).digest()).rstrip(b"=").decode()


class Web:
    """One HTTP service; answer(method, path, headers, body) says how."""

    def __init__(self, answer):
        self.calls = []
        service = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def reply(self):
                size = int(self.headers.get("Content-Length", 0))
                body = self.rfile.read(size)
                body = json.loads(body) if body else None
                service.calls.append((self.command, self.path,
                                      dict(self.headers), body))
                status, text = answer(self.command, self.path, self.headers,
                                      body)
                text = text.encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(text)))
                self.end_headers()
                self.wfile.write(text)
            do_GET = do_POST = reply

            def log_message(self, *_):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0),
                                                      Handler)
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]
        self.thread = threading.Thread(target=self.server.serve_forever)

    def __enter__(self):
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()


# -- httpreq

@pytest.fixture
def bridge(bed):
    """lego's service: what it is told lands in the bed's zone."""
    def answer(_, path, headers, body):
        if headers.get("Authorization") != "Basic " + base64.b64encode(
                b"me:pass word").decode():
            return 401, "who are you\n"
        if "fqdn" in body:
            name, value = body["fqdn"], body["value"]
        else:
            name = f"_acme-challenge.{body['domain']}."
            value = base64.urlsafe_b64encode(hashlib.sha256(
                body["keyAuth"].encode()).digest()).rstrip(b"=").decode()
        if path == "/base/present":
            bed.primary.seed(bed.zone, name, value, ttl=60)
        elif path == "/base/cleanup":
            bed.primary.update(bed.zone, delete=[(name, "TXT", value)])
        else:
            return 404, "nothing here"
        return 200, "ok\n"
    with Web(answer) as web:
        bed.placard.accounts.clear()
        bed.placard.account(
            "lab", "httpreq", endpoint=web.url, path="/base", username="me",
            password_file=bed.placard.secret_file("pw", "pass word"))
        bed.placard.write()
        yield web


def test_httpreq(bed, bridge):
    bed.seed("a stranger's", ttl=60)
    for seed in "ab":
        assert bed.placard.run("present", *bed.dns01(seed)).status == 0
    assert bed.texts() == sorted([lab.value("a"), lab.value("b"),
                                  "a stranger's"])
    for seed in "ab":
        assert bed.placard.run("cleanup", *bed.dns01(seed)).status == 0
    bed.unchanged()
    method, path, headers, body = bridge.calls[0]
    assert (method, path) == ("POST", "/base/present")
    assert headers["Content-Type"] == "application/json"
    assert body == {"fqdn": bed.owner + ".", "value": lab.value("a")}
    assert bed.placard.quiet_journal()


def test_httpreq_raw(bed, bridge):
    bed.placard.accounts["lab"]["mode"] = "raw"
    bed.placard.write()
    words = ["-m", "dns-01", "-d", bed.zone, "--key-authorization", KEYAUTH]
    assert bed.placard.run("present", *words).status == 0
    assert bed.texts() == [DIGEST]
    assert bed.placard.run("cleanup", "--all").status == 0
    bed.unchanged()
    assert [call[3] for call in bridge.calls] == [
        {"domain": bed.zone, "token": "tok", "keyAuth": KEYAUTH}] * 2
    done = bed.placard.run("present", *bed.dns01())
    assert done.status == 3 or done.status == 1, done
    assert "key authorization" in done.err
    assert len(bridge.calls) == 2


def test_httpreq_refused(bed, bridge):
    bed.placard.secret_file("pw", "another")
    done = bed.placard.run("present", *bed.dns01())
    assert done.status == 4 and "who are you" in done.err, done
    bed.unchanged()
    bed.placard.secret_file("pw", "pass word")
    bed.placard.accounts["lab"]["path"] = "/elsewhere/"
    bed.placard.write()
    done = bed.placard.run("present", *bed.dns01())
    assert done.status == 1 and "HTTP 404: nothing here" in done.err, done
    assert bridge.calls[-1][1] == "/elsewhere/present"
    assert bed.placard.quiet_journal()


@pytest.mark.parametrize("options,said", [
    ({"endpoint": None}, "endpoint"), ({"username": None}, "username"),
    ({"path": "base"}, "path"), ({"path": "/a b"}, "path"),
    ({"mode": "RAW"}, "mode")])
def test_httpreq_options(bed, bridge, options, said):
    account = bed.placard.accounts["lab"]
    for name, value in options.items():
        account.pop(name)if value is None else account.update({name: value})
    bed.placard.write()
    done = bed.placard.run("account", "list")
    assert done.status == 3 and said in done.err, done


# -- acme-dns

class AcmeDns:
    """Two slots for each subdomain, the older one is overwritten."""

    def __init__(self, bed):
        self.bed = bed
        self.slots = ["", ""]
        self.full = f"d420c923.auth.{bed.zone}"

    def answer(self, method, path, headers, body):
        if (method, path) == ("GET", "/health"):
            return 200, ""
        if (method, path) != ("POST", "/update"):
            return 404, ""
        if (headers.get("X-Api-User"), headers.get("X-Api-Key"),
                body["subdomain"]) != ("user", "key", "d420c923"):
            return 401, '{"error":"forbidden"}'
        if len(body["txt"]) != 43:
            return 400, '{"error":"bad_txt"}'
        self.slots = [self.slots[1], body["txt"]]
        name = self.full + "."
        self.bed.primary.update(self.bed.zone, delete=[(name, "TXT", None)])
        self.bed.primary.seed(self.bed.zone, self.full,
                              *{s for s in self.slots if s}, ttl=1)
        return 200, json.dumps({"txt": body["txt"]})


@pytest.fixture
def acmedns(bed):
    server = AcmeDns(bed)
    with Web(server.answer) as web:
        server.web = web
        bed.primary.update(bed.zone, add=[(
            bed.owner + ".", 60, "CNAME", server.full + ".")])
        server.entry = {"fulldomain": server.full, "subdomain": "d420c923",
                        "username": "user", "password": "key",
                        "server_url": web.url}
        server.path = bed.placard.secret_file(
            "acmedns.json", json.dumps({bed.zone: server.entry}))
        bed.placard.accounts.clear()
        bed.placard.account("lab", "acme-dns", accounts_file=server.path)
        bed.placard.write()
        yield server


def job(bed, *seeds, domains=None):
    domains = domains or [bed.zone, f"*.{bed.zone}", bed.zone]
    return bed.placard.job_file(lab.job(*(
        lab.dns01(d, s) for d, s in zip(domains, seeds))))


def test_acmedns_apex_and_wildcard(bed, acmedns):
    """Both slots, seen through the CNAME."""
    done = bed.placard.run("present", "--jobs", job(bed, "a", "b"))
    assert done.status == 0, done
    assert acmedns.slots == [lab.value("a"), lab.value("b")]
    assert bed.placard.run("cleanup", "--all").status == 0
    assert bed.placard.quiet_journal()
    assert len(acmedns.web.calls) == 2      # nothing to delete there


def test_acmedns_third_value_waits(bed, acmedns):
    """It would push the first one out: refused for now, not published."""
    done = bed.placard.json("present", "--timeout", "3", "--jobs",
                            job(bed, "a", "b", "c"))
    assert done.status in (6, 7), done
    states = [c["state"] for c in done.challenges]
    assert states == ["visible", "visible", "failed"]
    assert "in use" in done.challenges[2]["error"]["text"]
    assert acmedns.slots == [lab.value("a"), lab.value("b")]


def test_acmedns_processes_know_of_each_other(bed, acmedns):
    """As certbot's hooks do it: a process for each value."""
    run = bed.placard.run

    def cleanup(seed):
        assert run("cleanup", *bed.dns01(seed)).status == 0

    for seed in "ab":
        assert run("present", *bed.dns01(seed)).status == 0
    third = run("present", "--timeout", "2", *bed.dns01("c"))
    assert third.status == 6 and "in use" in third.err, third
    assert set(acmedns.slots) == {lab.value("a"), lab.value("b")}
    # b goes: c may have its place, and not that of a, which is older.
    cleanup("b")
    assert run("present", *bed.dns01("c")).status == 0
    assert set(acmedns.slots) == {lab.value("a"), lab.value("c")}
    cleanup("a")
    assert run("present", *bed.dns01("d")).status == 0
    assert set(acmedns.slots) == {lab.value("c"), lab.value("d")}
    assert run("cleanup", "--all").status == 0
    assert run("present", *bed.dns01("e")).status == 0


def test_acmedns_two_at_once(bed, acmedns):
    """Of three commands at once two win, and their values are there."""
    procs = [bed.placard.popen("present", "--timeout", "2",
                               *bed.dns01(seed)) for seed in "abc"]
    done = [bed.placard.finish(p) for p in procs]
    assert sorted(one.status for one in done) == [0, 0, 6], done
    assert set(acmedns.slots) == {
        lab.value(seed) for seed, one in zip("abc", done)
        if one.status == 0}


def test_acmedns_refusals(bed, acmedns):
    acmedns.entry["password"] = "other"
    bed.placard.secret_file("acmedns.json",
                            json.dumps({bed.zone: acmedns.entry}))
    done = bed.placard.run("present", *bed.dns01())
    assert done.status == 4 and "forbidden" in done.err, done
    assert "other" not in done.err.split()
    done = bed.placard.run("present", *bed.dns01(domain=f"x.{bed.zone}"))
    assert done.status != 0 and "no account for it" in done.err, done
    assert bed.placard.quiet_journal()


def test_acmedns_account_test(bed, acmedns):
    assert bed.placard.run("account", "test", "lab").status == 0
    assert [c[:2] for c in acmedns.web.calls] == [("GET", "/health")]


@pytest.mark.parametrize("text,mode,said", [
    ("{", 0o600, "is not JSON"), ("[]", 0o600, "object"),
    ('{"a.test": {"fulldomain": "b.test"}}', 0o600, "subdomain is missing"),
    ("{}", 0o644, "chmod")])
def test_acmedns_file(bed, acmedns, text, mode, said):
    bed.placard.secret_file("acmedns.json", text, mode)
    done = bed.placard.run("account", "test", "lab")
    assert done.status == 3 and said in done.err, done


def test_acmedns_no_server(bed, acmedns):
    del acmedns.entry["server_url"]
    bed.placard.secret_file("acmedns.json",
                            json.dumps({bed.zone: acmedns.entry}))
    done = bed.placard.run("present", *bed.dns01())
    assert done.status == 3 and "server_url" in done.err, done
    bed.placard.accounts["lab"]["endpoint"] = acmedns.web.url
    bed.placard.write()
    assert bed.placard.run("present", *bed.dns01()).status == 0
    assert os.path.exists(acmedns.path)
