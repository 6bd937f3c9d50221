# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Keys, requests and what follows from them, with another library as the
judge."""

import hashlib
import os
import pathlib
import stat

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

import lab                              # noqa: F401

# The request and the figures that the facts about the store give.
VECTOR = """-----BEGIN CERTIFICATE REQUEST-----
MIIBHDCBwgIBADBgMQswCQYDVQQGEwJVUzENMAsGA1UECAwET2hpbzEOMAwGA1UE
BwwFQWtyb24xGDAWBgNVBAoMD0V4YW1wbGUgV2lkZ2V0czEYMBYGA1UEAwwPd3d3
LmV4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEOWmcmXykc0tb
uL8mDV5hVIkrijByNEmlFE1CslsjwkNX14KrdBVCHZb9G4Ieb9NzWYSc/AsbTmjV
D2e4HLKWwaAAMAoGCCqGSM49BAMCA0kAMEYCIQCbp06C5csP82LPdMIwXLGtqL19
wdFJa43X+3bGMNzdvQIhAMNvW6vJPI9TddzJ1pBJDRcBGkfdOmtRDQk7HUp/xZVn
-----END CERTIFICATE REQUEST-----
"""
MD5 = "33E7AEF9AFE28A34FE6C96DDEDF3F267"
SHA256 = "668c598327ef0ed0870e1227a780f2fe225605ee57909eebb6d61b8c48ed5e0c"
TARGET = SHA256[:32] + "." + SHA256[32:] + ".%ssectigo.com"


@pytest.fixture
def vector(tmp_path):
    path = tmp_path / "vector.csr"
    path.write_text(VECTOR)
    return str(path)


def new(placard, *args, name="www.example.com", files=("k.pem", "r.pem")):
    return placard.run(
        "csr", "new", "--cn", name, "--key-out",
        os.path.join(placard.dir, files[0]), "--out",
        os.path.join(placard.dir, files[1]), *args)


def both(placard, passphrase=None, files=("k.pem", "r.pem")):
    key = serialization.load_pem_private_key(
        pathlib.Path(placard.dir, files[0]).read_bytes(), passphrase)
    request = x509.load_pem_x509_csr(
        pathlib.Path(placard.dir, files[1]).read_bytes())
    assert request.is_signature_valid
    assert request.public_key().public_numbers() \
        == key.public_key().public_numbers()
    return key, request


@pytest.mark.parametrize("kind, check", [
    ("rsa2048", lambda k: isinstance(k, rsa.RSAPrivateKey)
     and k.key_size == 2048),
    ("rsa3072", lambda k: k.key_size == 3072),
    ("rsa4096", lambda k: k.key_size == 4096),
    ("p256", lambda k: isinstance(k.curve, ec.SECP256R1)),
    ("p384", lambda k: isinstance(k.curve, ec.SECP384R1)),
])
def test_new(placard, kind, check):
    done = new(placard, "--key", kind)
    assert done.status == 0, done
    key, request = both(placard)
    assert check(key)
    assert isinstance(request.signature_hash_algorithm,
                      hashes.SHA384 if kind == "p384" else hashes.SHA256)
    text = pathlib.Path(placard.dir, "k.pem").read_text(encoding="ascii")
    assert text.startswith("-----BEGIN PRIVATE KEY-----")
    mode = os.stat(os.path.join(placard.dir, "k.pem")).st_mode
    assert stat.S_IMODE(mode) == 0o600
    assert sorted(os.listdir(placard.dir)) == ["k.pem", "placard.conf",
                                               "r.pem", "state"]


def test_subject_and_names(placard):
    done = new(placard, "--key", "p256", "--san", "*.Example.ORG",
               "--san", "b\u00fccher.example", "--san", "www.example.com",
               "--organization", "Widgets \u00e0 la carte", "--unit", "Web",
               "--locality", "Akron", "--state", "Ohio", "--country", "US",
               "--email", "pki@example.com", name="WWW.example.com.")
    assert done.status == 0, done
    request = both(placard)[1]
    subject = {a.oid: a.value for a in request.subject}
    assert subject == {
        NameOID.COMMON_NAME: "www.example.com",
        NameOID.ORGANIZATION_NAME: "Widgets \u00e0 la carte",
        NameOID.ORGANIZATIONAL_UNIT_NAME: "Web",
        NameOID.LOCALITY_NAME: "Akron",
        NameOID.STATE_OR_PROVINCE_NAME: "Ohio",
        NameOID.COUNTRY_NAME: "US",
        NameOID.EMAIL_ADDRESS: "pki@example.com"}
    names = request.extensions.get_extension_for_class(
        x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)
    assert names == ["www.example.com", "*.example.org",
                     "xn--bcher-kva.example"]
    shown = placard.ok("--json", "csr", "show", os.path.join(
        placard.dir, "r.pem")).objects[0]
    assert shown["names"] == names and shown["cn"] == "www.example.com"
    assert shown["subject"]["organization"] == "Widgets \u00e0 la carte"
    assert shown["key"] == "EC P-256"
    der = request.public_bytes(serialization.Encoding.DER)
    assert shown["md5"] == hashlib.md5(der).hexdigest()
    assert shown["sha1"] == hashlib.sha1(der).hexdigest()
    assert shown["sha256"] == hashlib.sha256(der).hexdigest()
    spki = request.public_key().public_bytes(
        serialization.Encoding.DER,
        serialization.PublicFormat.SubjectPublicKeyInfo)
    assert shown["spki-sha256"] == hashlib.sha256(spki).hexdigest()


def test_long_and_plain_names(placard):
    """What does not fit into the common name stands in the list alone; a
    firm's name is no host."""
    name = "a" * 50 + "." + "b" * 50 + ".example"
    assert new(placard, "--key", "p256", name=name).status == 0
    request = both(placard)[1]
    assert list(request.subject) == []
    assert request.extensions.get_extension_for_class(
        x509.SubjectAlternativeName).value.get_values_for_type(
            x509.DNSName) == [name]
    assert new(placard, "--key", "p256", name="Example Widgets Ltd",
               files=("k2.pem", "r2.pem")).status == 0
    request = both(placard, files=("k2.pem", "r2.pem"))[1]
    assert len(request.extensions) == 0


def test_passphrase(placard):
    word = placard.secret_file("word", "open sesame")
    assert new(placard, "--key", "p256", "--key-passphrase-file",
               word).status == 0
    both(placard, b"open sesame")
    text = pathlib.Path(placard.dir, "k.pem").read_text(encoding="ascii")
    assert text.startswith("-----BEGIN ENCRYPTED PRIVATE KEY-----")
    with pytest.raises(ValueError):
        both(placard, b"wrong")


def test_out_to_standard_output(placard):
    done = placard.ok("csr", "new", "--cn", "a.example", "--key", "p256",
                      "--key-out", os.path.join(placard.dir, "k.pem"),
                      "--out", "-")
    x509.load_pem_x509_csr(done.out.encode())
    shown = placard.ok("csr", "show", "-", data=done.out)
    assert "name      a.example" in shown.lines


# derive

def test_vector(placard, vector):
    for unique, word in ((None, ""), ("a1b2c3d4", "a1b2c3d4.")):
        more = ("--unique", unique) if unique else ()
        found = placard.ok("--json", "derive", "--csr", vector, *more,
                           "www.example.com").objects
        assert found == [
            {"method": "dns-cname", "domain": "www.example.com",
             "name": "_%s.www.example.com" % MD5, "value": TARGET % word},
            {"method": "http-file", "domain": "www.example.com",
             "path": "/.well-known/pki-validation/%s.txt" % MD5,
             "content": "\n".join([SHA256, "sectigo.com"]
                                  + ([unique] if unique else []))}]


def test_wildcard_and_own_names(placard, vector):
    found = placard.ok("--json", "derive", "--csr", vector,
                       "*.example.com").objects
    assert [o["method"] for o in found] == ["dns-cname"]
    assert found[0]["name"] == "_%s.example.com" % MD5
    found = placard.ok("--json", "derive", "--csr", vector).objects
    assert {o["domain"] for o in found} == {"www.example.com"}
    text = placard.ok("derive", "--csr", vector, "example.com").out
    assert "CNAME _%s.example.com" % MD5 in text
    assert SHA256 in text.split()


def test_derived_is_a_job(placard, vector):
    """What derive says is what a job takes."""
    one = placard.ok("--json", "derive", "--csr", vector,
                     "www.example.com").objects[0]
    path = placard.job_file(lab.job(one))
    done = placard.json("verify", "--jobs", path, "--server",
                        "127.0.0.1:%d" % lab.free_port("127.0.0.1"),
                        "--timeout", "1")
    assert done.status in (5, 6), done      # nobody answers there
    assert done.objects[0]["challenges"][0]["record"] == one["name"].lower()


# what goes wrong

@pytest.mark.parametrize("args, words", [
    (("csr",), "new OPTIONS | show FILE"), (("csr", "old"), "new or show"),
    (("csr", "show"), "one FILE"), (("csr", "new"), "--cn is missing"),
    (("csr", "new", "--cn", "a.example"), "--key-out is missing"),
    (("csr", "new", "--cn", "a.example", "--key-out", "k"),
     "--out is missing"),
    (("csr", "new", "--cn", "a.example", "--key-out", "k", "--out", "k"),
     "the same file"),
    (("csr", "new", "--cn", "-a.example", "--key-out", "k", "--out", "r"),
     "--cn: -a.example"),
    (("csr", "new", "--cn", "a.example", "--san", "a..b", "--key-out", "k",
      "--out", "r"), "--san: a..b"),
    (("csr", "new", "--cn", "a.example", "--key", "p521", "--key-out", "k",
      "--out", "r"), "none of rsa2048"),
    (("derive", "a.example"), "--csr is missing"),
    (("derive", "--csr", "r", "--unique", "a-b", "a.example"),
     "letters and digits"),
])
def test_usage(placard, args, words):
    done = placard.run(*args)
    assert done.status == 2 and words in done.err, done
    assert not {"k", "r"} & set(os.listdir(placard.dir))


def test_key_is_never_overwritten(placard):
    assert new(placard, "--key", "p256").status == 0
    before = both(placard)
    done = new(placard, "--key", "p256")
    assert done.status == 3 and "k.pem: File exists" in done.err, done
    assert both(placard)[0].private_numbers() == before[0].private_numbers()


def test_nothing_left_half(placard):
    """A request that cannot be written leaves no key behind."""
    done = new(placard, "--key", "p256", files=("k.pem", "none/r.pem"))
    assert done.status != 0
    assert "k.pem" not in os.listdir(placard.dir)


def test_passphrase_errors(placard):
    for name, text, mode, words in (
            ("open", "x", 0o644, "chmod"), ("empty", "", 0o600, "empty")):
        path = placard.secret_file(name, text, mode)
        done = new(placard, "--key", "p256", "--key-passphrase-file", path)
        assert done.status == 3 and words in done.err, done
        assert "k.pem" not in os.listdir(placard.dir)


@pytest.mark.parametrize("text, words", [
    ("", "empty"), ("nonsense", "neither PEM nor DER"),
    (VECTOR.replace("wdFJ", "wdFK"), "signature is wrong"),
    (VECTOR.replace("MIIBH", "MIIBI"), "malformed"),
    ("x" * 70000, ""),
])
def test_bad_requests(placard, text, words):
    path = os.path.join(placard.dir, "bad.csr")
    pathlib.Path(path).write_text(text, encoding="ascii")
    for args in (("csr", "show", path),
                 ("derive", "--csr", path, "a.example")):
        done = placard.json(*args)
        assert done.status == 3 and words in done.err, done
        assert done.errors()[0]["code"] == "invalid"


def test_no_such_file(placard):
    done = placard.run("csr", "show", "/nowhere/x.csr")
    assert done.status == 3 and "No such file" in done.err
