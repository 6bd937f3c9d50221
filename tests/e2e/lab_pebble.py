# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""pebble, and an ACME client that is just enough to ask it for certificates."""

import base64
import datetime
import hashlib
import json
import os
import ssl
import time
import urllib.error
import urllib.request

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import NameOID

import lab
from lab_net import Service, find_program


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


class Pebble(Service):
    """The test CA of Let's Encrypt, which validates for real."""

    name = "pebble"

    def __init__(self, directory, resolver, ns=None, http_port=80):
        super().__init__(directory, ns)
        self.resolver = resolver
        self.http_port = http_port
        self.port = lab.free_port("127.0.0.1", ns)

    def start(self):
        self.certificate()
        self.write("pebble.json", json.dumps({"pebble": {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress":
                f"127.0.0.1:{lab.free_port('127.0.0.1', self.ns)}",
            "certificate": self.path("cert.pem"),
            "privateKey": self.path("key.pem"),
            "httpPort": self.http_port, "tlsPort": 443}}))
        self.spawn([find_program("env"), "PEBBLE_VA_NOSLEEP=1",
                    "PEBBLE_WFE_NONCEREJECT=0", "PEBBLE_AUTHZREUSE=0",
                    find_program("pebble"), "-config",
                    self.path("pebble.json"), "-dnsserver", self.resolver])
        self.wait_ready()
        return self

    def certificate(self):
        """Its own certificate; nobody checks it."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pebble")])
        now = datetime.datetime.utcnow()
        cert = (x509.CertificateBuilder().subject_name(name).issuer_name(name)
                .public_key(key.public_key()).serial_number(1)
                .not_valid_before(now - datetime.timedelta(days=1))
                .not_valid_after(now + datetime.timedelta(days=2))
                .sign(key, hashes.SHA256()))
        self.write("cert.pem", cert.public_bytes(
            serialization.Encoding.PEM).decode())
        self.write("key.pem", key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()).decode(), 0o600)

    def url(self):
        return f"https://127.0.0.1:{self.port}/dir"

    def ready(self):
        try:
            return Client(self).get(self.url()) is not None
        except OSError:
            return False


class Client:
    """An account at pebble.  Its functions run in pebble's namespace."""

    def __init__(self, pebble):
        self.pebble = pebble
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.kid = None
        self.directory = None
        self.nonce = None
        self.trust = ssl.create_default_context()
        self.trust.check_hostname = False
        self.trust.verify_mode = ssl.CERT_NONE

    def get(self, url, data=None):
        request = urllib.request.Request(
            url, data, {"Content-Type": "application/jose+json"})
        try:
            with urllib.request.urlopen(request, timeout=10,
                                        context=self.trust) as answer:
                self.nonce = answer.headers.get("Replay-Nonce", self.nonce)
                return answer.headers, answer.read()
        except urllib.error.HTTPError as error:
            raise AssertionError(f"{url}: {error.read()}") from error

    def jwk(self):
        n = self.key.public_key().public_numbers()
        return {"crv": "P-256", "kty": "EC", "x": b64(n.x.to_bytes(32, "big")),
                "y": b64(n.y.to_bytes(32, "big"))}

    def post(self, url, payload):
        if self.nonce is None:
            self.get(self.directory["newNonce"])
        head = {"alg": "ES256", "nonce": self.nonce, "url": url}
        head |= {"kid": self.kid} if self.kid else {"jwk": self.jwk()}
        body = "" if payload is None else b64(json.dumps(payload).encode())
        signed = f"{b64(json.dumps(head).encode())}.{body}"
        r, s = utils.decode_dss_signature(
            self.key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
        self.nonce = None
        headers, data = self.get(url, json.dumps({
            "protected": signed.split(".")[0], "payload": body,
            "signature": b64(r.to_bytes(32, "big") + s.to_bytes(32, "big")),
        }).encode())
        return headers, json.loads(data) if data[:1] == b"{" else data

    def start(self):
        self.directory = json.loads(self.get(self.pebble.url())[1])
        headers, _ = self.post(self.directory["newAccount"],
                               {"termsOfServiceAgreed": True})
        self.kid = headers["Location"]

    def order(self, names, kind):
        """Order; (order url, order, challenges as (domain, url, token))."""
        headers, order = self.post(self.directory["newOrder"], {
            "identifiers": [{"type": "dns", "value": n} for n in names]})
        found = []
        for url in order["authorizations"]:
            _, authz = self.post(url, None)
            # One time in a hundred pebble takes an earlier proof, whatever
            # it was told of that.
            if authz["status"] == "valid":
                continue
            one = next(c for c in authz["challenges"] if c["type"] == kind)
            domain = authz["identifier"]["value"]
            if authz.get("wildcard"):
                domain = "*." + domain
            found.append((domain, one["url"], one["token"]))
        return headers["Location"], order, found

    def key_authorization(self, token):
        text = json.dumps(self.jwk(), sort_keys=True, separators=(",", ":"))
        return f"{token}.{b64(hashlib.sha256(text.encode()).digest())}"

    def wait(self, url, wanted):
        for _ in range(200):
            _, thing = self.post(url, None)
            if thing["status"] in (*wanted, "invalid"):
                assert thing["status"] != "invalid", thing
                return thing
            time.sleep(0.05)
        raise AssertionError(f"{url}: {thing}")

    def finish(self, where, order, found, names):
        """Tell pebble that all is there; the certificate."""
        for _, url, _ in found:
            self.post(url, {})
        self.wait(where, ("ready", "valid"))
        key = ec.generate_private_key(ec.SECP256R1())
        csr = (x509.CertificateSigningRequestBuilder()
               .subject_name(x509.Name([]))
               .add_extension(x509.SubjectAlternativeName(
                   [x509.DNSName(n) for n in names]), False)
               .sign(key, hashes.SHA256()))
        self.post(order["finalize"], {"csr": b64(csr.public_bytes(
            serialization.Encoding.DER))})
        done = self.wait(where, ("valid",))
        _, pem = self.post(done["certificate"], None)
        return x509.load_pem_x509_certificate(pem)


def names_of(certificate):
    san = certificate.extensions.get_extension_for_class(
        x509.SubjectAlternativeName).value
    return sorted(san.get_values_for_type(x509.DNSName))


def installed():
    return os.access("/usr/bin/pebble", os.X_OK)
