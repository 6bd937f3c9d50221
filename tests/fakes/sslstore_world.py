# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""A client of the fake store that is not placard, and the world around it.

Plain requests, a DNS server of a few lines and http.server.  The tests of
the fake itself import the fixtures `made` and `world` from here.
"""

import http.server
import json
import os
import pathlib
import re
import socketserver
import ssl
import threading
import uuid

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
import requests
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.x509.oid import NameOID

import sslstore
import sslstore_ca

ROOT = pathlib.Path(__file__).resolve().parents[2]
PKI = "/.well-known/pki-validation/"
HEADERS = {"Content-Type": "application/json; charset=utf-8",
           "Accept": "application/json"}
PAIR = {"PartnerCode": "11112222", "AuthToken": "EXAMPLE-AUTH-TOKEN"}
ADA = {"FirstName": "Ada", "LastName": "Example", "Phone": "13305550100",
       "Email": "pki@example.com"}


def shared(name):
    """A file of vendor data beside the source tree (or in the folder that
    PLACARD_SHARED names); skips the test without it."""
    folder = os.environ.get("PLACARD_SHARED") or ROOT.parent / "shared"
    path = pathlib.Path(folder) / "specs" / name
    if not path.is_file():
        pytest.skip("no vendor data here: " + name)
    return path


# the world that the CA looks at

class Zone:
    """Records by (name, type); answers over UDP."""

    def __init__(self):
        self.records = {}
        zone = self

        class Answer(socketserver.BaseRequestHandler):
            def handle(self):
                data, link = self.request
                link.sendto(zone.answer(data), self.client_address)

        self.server = socketserver.ThreadingUDPServer(("127.0.0.1", 0),
                                                      Answer)
        self.server.daemon_threads = True
        self.address = "127.0.0.1:%d" % self.server.server_address[1]

    def put(self, name, kind, *values):
        self.records[(name.lower().rstrip("."), kind)] = values

    def answer(self, data):
        query = dns.message.from_wire(data)
        question = query.question[0]
        reply = dns.message.make_response(query)
        reply.flags |= dns.flags.AA
        name = question.name.to_text(True).lower()
        for kind in ("CNAME", dns.rdatatype.to_text(question.rdtype)):
            values = self.records.get((name, kind))
            if values:
                reply.answer.append(dns.rrset.from_text(
                    question.name, 5, "IN", kind, *values))
                break
        else:
            reply.set_rcode(dns.rcode.NXDOMAIN)
        return reply.to_wire()


class Web:
    """Files by (host, path), over http or https."""

    def __init__(self, pem_file=None):
        self.files = {}
        self.seen = []
        web = self

        class Get(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                host = self.headers["Host"].split(":")[0]
                web.seen.append((host, self.path))
                body = web.files.get((host, self.path))
                self.send_response(200 if body is not None else 404)
                self.end_headers()
                self.wfile.write(body or b"")

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Get)
        self.address = "127.0.0.1:%d" % self.server.server_address[1]
        if pem_file:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pem_file)
            self.server.socket = context.wrap_socket(self.server.socket,
                                                     server_side=True)

    def put(self, host, name, body):
        self.files[(host, PKI + name)] = body.encode()


class World:
    """Store, DNS and web, and the ways to talk to the store."""

    def __init__(self, folder):
        secret = folder / "web.pem"
        secret.write_text(sslstore_ca.TlsAuthority().server_pem(["web"]))
        self.zone, self.web, self.tls_web = Zone(), Web(), Web(str(secret))
        self.servers = [self.zone.server, self.web.server,
                        self.tls_web.server]
        for server in self.servers:
            threading.Thread(target=server.serve_forever, args=(0.1,),
                             daemon=True).start()
        self.store = sslstore.Store(
            [self.zone.address], self.web.address, self.tls_web.address,
            poll_interval=0, dns_timeout=5).start()
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = self.store.ca

    def stop(self):
        self.session.close()
        self.store.stop()
        for server in self.servers:
            server.shutdown()
            server.server_close()

    def raw(self, path, body, headers=None):
        return self.session.post(self.store.url + path, data=body,
                                 headers=headers or HEADERS, timeout=30)

    def post(self, path, members=None, **more):
        """The parsed answer of one call with good credentials."""
        body = {"AuthRequest": PAIR, **(members or {}), **more}
        answer = self.raw(path, json.dumps(body))
        assert answer.status_code == 200, answer.text
        return answer.json()

    def good(self, path, members=None, **more):
        answer = self.post(path, members, **more)
        auth = answer.get("AuthResponse", answer)
        assert auth["isError"] is False, auth
        return answer

    def bad(self, path, members=None, **more):
        """The text of the refusal."""
        answer = self.post(path, members, **more)
        auth = answer.get("AuthResponse", answer)
        assert auth["isError"] is True, answer
        return auth["Message"][0]

    def bad_query(self):
        return self.post("/order/query", AuthRequest=dict(
            PAIR, AuthToken="WRONG"))

    def order(self, members=None, **more):
        return self.good("/order/neworder/", dict(members or {}, **more))

    def status(self, number):
        return self.good("/order/status", TheSSLStoreOrderID=number)

    def publish(self, answer):
        """Do what the vetting entries ask for."""
        for entry in answer["OrderStatus"]["DomainAuthVettingStatus"]:
            host = entry["domain"].removeprefix("*.")
            if entry["FileName"] is not None:
                web = self.tls_web if entry["dcvMethod"].startswith(
                    "HTTPS") else self.web
                web.put(host, entry["FileName"], entry["FileContents"])
            elif entry["DNSName"] is not None:
                kind = "TXT" if entry["dcvMethod"] == "DNS" else "CNAME"
                dot = "" if kind == "TXT" else "."
                self.zone.put(entry["DNSName"], kind,
                              entry["DNSEntry"] + dot)

    def issue(self, answer):
        """Publish, let the CA look, give the status."""
        self.publish(answer)
        self.store.control("poll")
        return self.status(answer["TheSSLStoreOrderID"])


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    world = World(tmp_path_factory.mktemp("world"))
    yield world
    world.stop()


@pytest.fixture
def world(made):
    made.store.control("reset")
    made.zone.records.clear()
    for web in (made.web, made.tls_web):
        web.files.clear()
        web.seen.clear()
    return made


# requests for certificates and for orders

def make_csr(common="www.example.com", sans=(), key=None):
    key = key or ec.generate_private_key(ec.SECP256R1())
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common)]))
    if sans:
        builder = builder.add_extension(x509.SubjectAlternativeName(
            [x509.DNSName(s) for s in sans]), False)
    return builder.sign(key, hashes.SHA256()).public_bytes(
        serialization.Encoding.PEM).decode()


def dv(method=None, common="www.example.com", **more):
    """Members of an order as in the facts' first example."""
    body = {
        "CustomOrderID": str(uuid.uuid4()), "ProductCode": "positivessl",
        "ValidityPeriod": 12, "ServerCount": 1, "CSR": make_csr(common),
        "DomainName": common, "WebServerType": "Other", "DNSNames": [],
        "isCUOrder": False, "isRenewalOrder": False, "isTrialOrder": False,
        "AutoWWW": False, "AdminContact": ADA, "TechnicalContact": ADA,
        "ApproverEmail": "admin@example.com", "AddInstallationSupport": False,
        "EmailLanguageCode": "EN", "FileAuthDVIndicator": method == "file",
        "HTTPSFileAuthDVIndicator": method == "https",
        "CNAMEAuthDVIndicator": method == "dns",
        "SignatureHashAlgorithm": "PREFER_SHA2", "DateTimeCulture": "en-US",
        "CSRUniqueValue": "a1b2c3d4"}
    body.update(more)
    return body


def digi(method=None, **more):
    return dv(method, **dict({"ProductCode": "digi_rapidssl",
                              "SignatureHashAlgorithm": "SHA2-256"}, **more))


def reissue_of(order, **more):
    return dict({
        "TheSSLStoreOrderID": order["TheSSLStoreOrderID"],
        "CSR": make_csr(order["CommonName"]), "WebServerType": "Other",
        "DNSNames": [], "isRenewalOrder": False, "EditSAN": [], "AddSAN": [],
        "DeleteSAN": [], "isWildCard": False,
        "ReissueEmail": "pki@example.com", "PreferEnrollmentLink": False,
        "SignatureHashAlgorithm": "PREFER_SHA2", "FileAuthDVIndicator": False,
        "HTTPSFileAuthDVIndicator": False, "CNAMEAuthDVIndicator": True,
        "CSRUniqueValue": "b2c3d4e5"}, **more)


def chain_of(files):
    """(leaf, all certificates) of a download; the signatures hold."""
    text = "".join(f["FileContent"] for f in files)
    found = [x509.load_pem_x509_certificate(p.encode()) for p in re.findall(
        r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----\r?\n",
        text, re.S)]
    by_subject = {c.subject: c for c in found}
    leaf = [c for c in found if not c.extensions.get_extension_for_class(
        x509.BasicConstraints).value.ca]
    assert len(leaf) == 1
    for certificate in found:
        issuer = by_subject[certificate.issuer]
        issuer.public_key().verify(
            certificate.signature, certificate.tbs_certificate_bytes,
            padding.PKCS1v15(), certificate.signature_hash_algorithm)
    return leaf[0], found


def names_of(certificate):
    return certificate.extensions.get_extension_for_class(
        x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName)


def active(world, **more):
    """A DV order that was issued; its status."""
    return world.issue(world.order(dv("dns", **more)))


def leaf_of(world, order):
    return chain_of(world.good(
        "/order/download", TheSSLStoreOrderID=order["TheSSLStoreOrderID"])
        ["Certificates"])[0]


def ms(seconds):
    return "/Date(%d)/" % int(seconds * 1000)


def number_of(answer):
    return answer["TheSSLStoreOrderID"]
