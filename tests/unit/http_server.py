# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""HTTPS servers for the unit tests of wire/'s calls, until stdin is closed.

Argument: a folder, which gets the file ca.pem.  Prints one line of ports:
good, expired certificate, other host's certificate, certificate of an unknown
authority, TLS 1.1 only, and plain HTTP.  GET /seen tells on any of them which
requests have come so far, one a line: method, target, credential.
"""
import datetime
import http.server
import ipaddress
import os
import ssl
import sys
import threading
import time
import warnings

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SEEN = []
PORTS = {}
DAY = datetime.timedelta(days=1)


def certificate(subject, names, issuer=None, days=(-2, 2), ca=False):
    """A key and a certificate: (key, certificate)."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    now = datetime.datetime.utcnow()
    builder = (x509.CertificateBuilder().subject_name(name)
               .issuer_name(issuer[1].subject if issuer else name)
               .public_key(key.public_key())
               .serial_number(x509.random_serial_number())
               .not_valid_before(now + days[0] * DAY)
               .not_valid_after(now + days[1] * DAY)
               .add_extension(x509.BasicConstraints(ca, None), True))
    if names:
        builder = builder.add_extension(x509.SubjectAlternativeName(
            [x509.IPAddress(ipaddress.ip_address(n)) if n[0].isdigit()
             else x509.DNSName(n) for n in names]), False)
    return key, builder.sign(issuer[0] if issuer else key, hashes.SHA256())


def write(path, key, cert):
    with open(path, "wb") as out:
        if key:
            out.write(key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption()))
        out.write(cert.public_bytes(serialization.Encoding.PEM))
    return path


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", *headers, length=None):
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length",
                         str(len(body) if length is None else length))
        self.end_headers()
        self.wfile.write(body)

    def do_any(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
        path, _, query = self.path.partition("?")
        if path == "/seen":
            return self.answer(200, "\n".join(SEEN).encode())
        SEEN.append(f"{self.command} {self.path} "
                    f"{self.headers.get('Authorization', '-')}")
        getattr(self, "on_" + path[1:].partition("/")[0])(query, body)

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = do_any

    def on_ok(self, query, body):
        self.answer(200, b'{"ok":true}', ("ETag", " one two "),
                    ("X-Twice", "first"), ("X-Twice", "second"))

    def on_echo(self, query, body):
        self.answer(200, f"{self.command} {self.path}\n{self.headers}"
                    .encode() + body)

    def on_status(self, query, body):
        self.answer(int(self.path.split("/")[2]), b"said so")

    def on_retry(self, query, body):
        """/retry/N seconds, /retry/date/N: N seconds on, by the Date."""
        what = self.path.split("/")[2:]
        if what[0] == "date":
            text = self.date_time_string(time.time() + int(what[1]))
        else:
            text = what[0]
        self.answer(429, b"", ("Retry-After", text))

    def on_redirect(self, query, body):
        self.answer(int(query), b"", (
            "Location", f"https://127.0.0.1:{PORTS['plain']}/stolen"))

    def on_stolen(self, query, body):
        self.answer(200, b"stolen")

    def on_big(self, query, body):
        self.answer(200, b"x" * 2 ** 21)

    def on_endless(self, query, body):
        self.send_response(200)
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for _ in range(64):
            self.wfile.write(b"10000\r\n" + b"x" * 65536 + b"\r\n")

    def on_headers(self, query, body):
        self.answer(200, b"", *[(f"X-{n}", "y" * 900) for n in range(90)])

    def on_truncated(self, query, body):
        self.answer(200, b"0123456789", length=100)
        self.close_connection = True

    def on_drop(self, query, body):
        self.close_connection = True

    def on_slow(self, query, body):
        self.answer(200, b"", length=1000)
        for _ in range(60):
            self.wfile.write(b"x")
            time.sleep(0.5)

    def on_silent(self, query, body):
        time.sleep(30)

    def on_interim(self, query, body):
        self.wfile.write(b"HTTP/1.1 103 Early Hints\r\nX-Early: yes\r\n\r\n")
        self.answer(200, b"late", ("X-Late", "yes"))

    def on_garbage(self, query, body):
        self.wfile.write(b"SSH-2.0-OpenSSH_9.2\r\n")
        self.close_connection = True


def serve(name, context=None, address="127.0.0.1"):
    class Server(http.server.ThreadingHTTPServer):
        daemon_threads = True

        def finish_request(self, request, client):
            try:
                if context:
                    request = context.wrap_socket(request, server_side=True)
                super().finish_request(request, client)
                request.close()
            except OSError:
                pass

        def handle_error(self, request, client):
            pass

    server = Server((address, 0), Handler)
    PORTS[name] = server.server_address[1]
    threading.Thread(target=server.serve_forever, daemon=True).start()


def main(folder):
    warnings.simplefilter("ignore")    # old TLS is what one test is about
    authority = certificate("test authority", [], ca=True)
    stranger = certificate("other authority", [], ca=True)
    write(os.path.join(folder, "ca.pem"), None, authority[1])
    here = ["localhost", "127.0.0.1"]
    for name, cert in [
            ("good", certificate("good", here, authority)),
            ("expired", certificate("expired", here, authority, (-9, -1))),
            ("wronghost", certificate("wrong", ["other.test"], authority)),
            ("unknown", certificate("unknown", here, stranger)),
            ("old", certificate("old", here, authority))]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        if name == "old":
            context.set_ciphers("ALL:@SECLEVEL=0")
            context.minimum_version = ssl.TLSVersion.TLSv1
            context.maximum_version = ssl.TLSVersion.TLSv1_1
        context.load_cert_chain(write(os.path.join(folder, name), *cert))
        serve(name, context)
    serve("plain")
    print(*PORTS.values(), flush=True)
    sys.stdin.read()


main(sys.argv[1])
