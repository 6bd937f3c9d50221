# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Bad jobs and bad configurations are refused before anything happens."""

import json
import os
import re

import pytest

import lab

LONG = ".".join(["a" * 60] * 5)     # 304 octets


def challenge(**change):
    one = lab.dns01("ZONE") | change
    return {k: v for k, v in one.items() if v is not None}


def job(**change):
    return json.dumps({"job": "bad", "challenges": [challenge(**change)]},
                      ensure_ascii=False)


def http(**change):
    one = {"method": "http-01", "domain": "www.ZONE", "token":
           "tok_0123456789abcdef", "key-authorization":
           "tok_0123456789abcdef.x"} | change
    return json.dumps({"job": "bad", "challenges": [one]})


# what: (text of the job file, the member that the error must name)
BAD = {
    "unknown member of a job": (
        '{"job": "x", "color": 1, "challenges": []}', "color"),
    "unknown member of a challenge": (job(colour="red"), "colour"),
    "an endpoint": (job(endpoint="https://evil.test"), "endpoint"),
    "a credential": (job(**{"key-secret": "x"}), "key-secret"),
    "a zone": (job(zone="evil.test"), "zone"),
    "a server": (job(server="192.0.2.1"), "server"),
    "job twice": ('{"job": "a", "job": "b", "challenges": []}', "job"),
    "domain twice": (
        '{"job": "a", "challenges": [{"method": "dns-01", "domain": "ZONE", '
        '"domain": "ZONE", "value": "%s"}]}' % lab.value(), "domain"),
    "value twice": (
        '{"job": "a", "challenges": [{"method": "dns-01", "domain": "ZONE", '
        '"value": "x", "value": "%s"}]}' % lab.value(), "value"),
    "no challenges": ('{"job": "x"}', "challenges"),
    "empty challenges": ('{"job": "x", "challenges": []}', "challenges"),
    "challenges no list": ('{"job": "x", "challenges": {}}', "challenges"),
    "challenge no object": ('{"job": "x", "challenges": [1]}',
                            "challenges"),
    "no method": (job(method=None), "method"),
    "unknown method": (job(method="dns-02"), "method"),
    "method no string": (job(method=1), "method"),
    "no domain": (job(domain=None), "domain"),
    "empty domain": (job(domain=""), "domain"),
    "no value": (job(value=None), "value"),
    "value is null": ('{"job": "a", "challenges": [{"method": "dns-01", '
                      '"domain": "ZONE", "value": null}]}', "value"),
    "empty value": (job(value=""), "value"),
    "value no string": (job(value=["x"]), "value"),
    "CR in a value": (job(value="abc\rdef"), "value"),
    "LF in a value": (job(value="abc\ndef"), "value"),
    "NUL in a value": (job(value="abc\0def"), "value"),
    "CR in a domain": (job(domain="a\r.ZONE"), "domain"),
    "LF in a domain": (job(domain="ZONE\n"), "domain"),
    "NUL in a domain": (job(domain="a\0.ZONE"), "domain"),
    "blank in a domain": (job(domain="a b.ZONE"), "domain"),
    "at sign in a domain": (job(domain="a@b.ZONE"), "domain"),
    "quote in a domain": (job(domain='a".ZONE'), "domain"),
    "backslash in a domain": (job(domain="a\\.ZONE"), "domain"),
    "empty label": (job(domain="a..ZONE"), "domain"),
    "leading dot": (job(domain=".ZONE"), "domain"),
    "label of 64": (job(domain="a" * 64 + ".ZONE"), "domain"),
    "name of 300": (job(domain=LONG + ".ZONE"), "domain"),
    "hyphen first": (job(domain="-a.ZONE"), "domain"),
    "hyphen last": (job(domain="a-.ZONE"), "domain"),
    "U-label": (job(domain="b\u00fccher.ZONE"), "domain"),
    "bad A-label": (job(domain="xn--\u00fc.ZONE"), "domain"),
    "wildcard inside": (job(domain="a.*.ZONE"), "domain"),
    "two wildcards": (job(domain="*.*.ZONE"), "domain"),
    "half a wildcard": (job(domain="a*.ZONE"), "domain"),
    "an address": (job(domain="192.0.2.1"), "domain"),
    "name elsewhere": (job(method="dns-cname", name="_ab.other.test",
                           value="x.ca.test"), "name"),
    "no target": (job(method="dns-cname", name="_%s.ZONE" % ("ab" * 16),
                      value="a b"), "value"),
    "dots in a token": (http(token=".."), "token"),
    "slash in a token": (http(token="a/../b"), "token"),
    "NUL in a token": (http(token="a\0b"), "token"),
    "token of 300": (http(token="a" * 300), "token"),
    "empty token": (http(token=""), "token"),
    "CR in a key authorization": (http(**{"key-authorization": "a\rb"}),
                                  "key-authorization"),
    "wildcard and a file": (http(domain="*.ZONE"), "domain"),
    "path outside": (json.dumps({"job": "x", "challenges": [{
        "method": "http-file", "domain": "www.ZONE", "path": "/etc/passwd",
        "content": "x"}]}), "path"),
    "dots in a path": (json.dumps({"job": "x", "challenges": [{
        "method": "http-file", "domain": "www.ZONE", "path":
        "/.well-known/pki-validation/../../x", "content": "x"}]}), "path"),
    "no content": (json.dumps({"job": "x", "challenges": [{
        "method": "http-file", "domain": "www.ZONE", "path":
        "/.well-known/pki-validation/x.txt"}]}), "content"),
    "job no string": ('{"job": 1, "challenges": [%s]}' % json.dumps(
        challenge()), "job"),
    "LF in a job id": ('{"job": "a\\nb", "challenges": [%s]}' % json.dumps(
        challenge()), "job"),
    "bad deadline": ('{"job": "x", "deadline": "tomorrow", "challenges": '
                     '[%s]}' % json.dumps(challenge()), "deadline"),
    "bad hold": ('{"job": "x", "hold": "for ever", "challenges": [%s]}' %
                 json.dumps(challenge()), "hold"),
    "negative hold": ('{"job": "x", "hold": -1, "challenges": [%s]}' %
                      json.dumps(challenge()), "hold"),
    "account no string": (job(account=1), "account"),
}
NO_JSON = {
    "empty": "", "no JSON": "hello", "half": '{"job": "x", "chall',
    "a list": "[]", "a number": "1", "trailing": '{"job": "x"} trailing',
    "deep": "[" * 100 + "]" * 100, "bad utf-8": b'{"job": "\xff"}',
    "byte order mark": b"\xff\xfe{}", "nul bytes": b"\0" * 10,
}


def refused(bed, path):
    before = bed.primary.updates()
    done = bed.placard.run("present", "--jobs", path, "--no-wait")
    assert done.status == 3, done
    assert "job.json" in done.err, done
    assert bed.primary.updates() == before
    bed.unchanged()
    assert bed.placard.quiet_journal()
    return done


@pytest.mark.quick
@pytest.mark.parametrize("what", BAD)
def test_bad_job(bed, what):
    text, member = BAD[what]
    path = bed.placard.job_file(text.replace("ZONE", bed.zone))
    done = refused(bed, path)
    assert re.search(rf"\b{re.escape(member)}\b", done.err.replace(
        path, "").replace('"job"', "job")), done


@pytest.mark.parametrize("name", ["www.ZONE", "ZONE", "mail._x.ZONE"])
def test_name_that_is_no_challenges(bed, name):
    """Known only with the account, whose settings may allow more."""
    before = bed.primary.updates()
    path = bed.placard.job_file(job(
        method="dns-cname", name=name, value="x.ca.test").replace(
            "ZONE", bed.zone))
    done = bed.placard.run("present", "--jobs", path, "--no-wait")
    assert done.status in (1, 3), done
    assert name.replace("ZONE", bed.zone) in done.err, done
    assert bed.primary.updates() == before
    bed.unchanged()


@pytest.mark.parametrize("what", NO_JSON)
def test_no_job_at_all(bed, what):
    text = NO_JSON[what]
    path = os.path.join(bed.placard.dir, "job.json")
    with open(path, "wb") as out:
        out.write(text if isinstance(text, bytes) else text.encode())
    refused(bed, path)


def test_one_bad_challenge_spoils_the_file(bed):
    """Nothing happens, not even the good ones, and the place is named."""
    path = bed.placard.job_file(
        lab.job(lab.dns01(bed.zone), name="good"),
        lab.job(lab.dns01(bed.zone, "1"), lab.dns01("a..b"), name="bad"))
    done = refused(bed, path)
    assert re.search(r"job\.json\D{1,8}2\b", done.err), done
    assert "domain" in done.err


def test_job_file_over_the_limit(bed):
    path = os.path.join(bed.placard.dir, "job.json")
    with open(path, "wb") as out:
        out.write(b'{"job": "' + b"x" * (17 << 20) + b'"}')
    refused(bed, path)


def test_bad_json_from_standard_input(bed):
    done = bed.placard.run("present", "--jobs", "-", data='{"job": }')
    assert done.status == 3, done
    bed.unchanged()


@pytest.mark.parametrize("domain", [
    "a b.test", "a..test", LONG, "a\nb.test", "*.*.test", "-a.test",
    "a" * 64 + ".test", ".", "*", "192.0.2.1", "a/b.test", "../etc"])
def test_bad_name_on_the_command_line(bed, domain):
    before = bed.primary.updates()
    done = bed.placard.run("present", *bed.dns01(domain=domain), "--no-wait",
                           "-a", "lab")
    assert done.status in (1, 2), done
    assert bed.primary.updates() == before
    assert bed.placard.quiet_journal()


@pytest.mark.parametrize("domain", ["com", "co.uk", "*.org"])
def test_public_suffix(bed, domain):
    before = bed.primary.updates()
    done = bed.placard.run("present", *bed.dns01(domain=domain), "--no-wait",
                           "-a", "lab")
    assert done.status in (1, 2), done
    assert "public suffix" in done.err, done
    assert bed.primary.updates() == before


# -- configuration

FAULTY = """state-directory = "STATE"
shoe-size = 42
account "one" {
  provider = "rfc2136"
  server = "127.0.0.1"
  key-name = "k."
  key-algorithm = "hmac-md17"
  key-secret-file = "SECRET"
  color = "red"
}
account "two" { provider = "carrier-pigeon" }
account "three" { provider = "file" }
account "one" { provider = "file"  root = "/tmp" }
route "example.com" { account = "nobody" }
route "exa mple.com" { account = "three" }
verify { timeout = "long"  quorum = "most"  dnssec = "maybe" }
"""
FAULTS = [(2, "shoe-size"), (7, "key-algorithm"), (9, "color"),
          (11, "provider"), (12, "root"), (13, "one"), (14, "nobody"),
          (15, "exa mple.com"), (16, "timeout"), (16, "quorum"),
          (16, "dnssec")]


def complains(err, line, key, name="placard.conf"):
    """Is there a line that names the file, the line and the key?"""
    where = re.compile(rf"{re.escape(name)}\D{{1,8}}{line}\b")
    return any(where.search(text) and key in text
               for text in err.splitlines())


@pytest.mark.quick
def test_all_faults_at_once(bed):
    secret = bed.placard.secret_file("s", bed.primary.key.secret)
    bed.placard.write(FAULTY.replace("STATE", bed.placard.state).replace(
        "SECRET", secret))
    done = bed.placard.run("present", *bed.dns01())
    assert done.status == 3, done
    missing = [fault for fault in FAULTS if not complains(done.err, *fault)]
    assert not missing, (missing, done)
    # What would be right is said where there is a list of it.
    assert "hmac-sha256" in done.err and "rfc2136" in done.err
    assert "require" in done.err


def test_all_faults_as_json(bed):
    secret = bed.placard.secret_file("s", bed.primary.key.secret)
    bed.placard.write(FAULTY.replace("STATE", bed.placard.state).replace(
        "SECRET", secret))
    done = bed.placard.json("present", *bed.dns01())
    assert done.status == 3, done
    text = "\n".join(error["text"] for error in done.errors())
    assert not [fault for fault in FAULTS if not complains(text, *fault)]


@pytest.mark.parametrize("change,key", [
    (lambda o: o.pop("server"), "server"),
    (lambda o: o.pop("key-secret-file"), "key-secret"),
    (lambda o: o.pop("key-name"), "key-name"),
    (lambda o: o.update(server="127.0.0.1:99999"), "server"),
    (lambda o: o.update(server=""), "server"),
    (lambda o: o.update({"timeout": -5}), "timeout"),
    (lambda o: o.update({"ttl": -5}), "ttl"),
    (lambda o: o.update({"provider": "RFC2136"}), "provider"),
    (lambda o: o.update({"root": "/tmp"}), "root")])
def test_one_fault_of_an_account(bed, change, key):
    change(bed.placard.accounts["lab"])
    done = bed.placard.run("present", *bed.dns01())
    assert done.status == 3, done
    assert key in done.err and "placard.conf" in done.err, done
    bed.unchanged()


def test_secret_file_that_is_not_there(bed):
    bed.placard.accounts["lab"]["key-secret-file"] = "/no/such"
    done = bed.placard.run("present", *bed.dns01(), "--timeout", "5")
    assert done.status == 3, done
    assert "key-secret-file" in done.err and "/no/such" in done.err, done
    bed.unchanged()


def test_fault_in_an_included_file(bed):
    path = os.path.join(bed.placard.dir, "more.conf")
    with open(path, "w", encoding="ascii") as out:
        out.write('\nroute "x.test" {\n  acount = "lab"\n}\n')
    bed.placard.extra = f'include("{path}")\n'
    done = bed.placard.run("account", "list")
    assert done.status == 3, done
    assert complains(done.err, 3, "acount", "more.conf"), done


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_secret_file_that_others_can_read(bed, mode):
    os.chmod(bed.placard.accounts["lab"]["key-secret-file"], mode)
    done = bed.placard.run("present", *bed.dns01())
    assert done.status == 3, done
    assert "chmod" in done.err and "lab.secret" in done.err, done
    bed.unchanged()


def test_inline_secret_in_a_file_that_others_can_read(bed):
    options = bed.placard.accounts["lab"]
    del options["key-secret-file"]
    options["key-secret"] = bed.primary.key.secret
    bed.placard.ok("present", *bed.dns01(), "--no-wait")
    bed.placard.ok("cleanup", "--all")
    os.chmod(bed.placard.config, 0o644)
    done = bed.placard.run("present", *bed.dns01())
    assert done.status == 3, done
    assert "chmod" in done.err
    assert bed.primary.key.secret not in done.text()


@pytest.mark.parametrize("secret", ["", "not base64!", "====", "QUJD" * 5000],
                         ids=["empty", "text", "padding", "20000"])
def test_secret_that_is_none(bed, secret):
    bed.placard.secret_file("lab.secret", secret)
    done = bed.placard.run("present", *bed.dns01())
    assert done.status in (3, 4), done
    assert re.search("key.secret", done.err), done
    if len(secret) > 4:
        assert secret not in done.text()
    bed.unchanged()
