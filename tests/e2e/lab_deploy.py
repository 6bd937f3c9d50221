# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Issued certificates in an order book, and servers that show them.

The book is filled by hand, so that hundreds of certificates cost nothing; what
the store would have given comes from a CA of the test's own.
"""

import datetime
import hashlib
import os
import sqlite3
import time

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

import lab

DAY = 86400
PEM = serialization.Encoding.PEM
DER = serialization.Encoding.DER
USAGE = dict(digital_signature=True, content_commitment=False,
             key_encipherment=False, data_encipherment=False,
             key_agreement=False, key_cert_sign=True, crl_sign=True,
             encipher_only=False, decipher_only=False)
LAB = "order_id, serial, leaf, chain, root, sha256, trusted, not_before, " \
      "not_after, stored"


def moment(seconds):
    return datetime.datetime.fromtimestamp(
        seconds, datetime.timezone.utc).replace(tzinfo=None)


def pem(cert):
    return cert.public_bytes(PEM).decode()


def spki(key):
    return hashlib.sha256(key.public_key().public_bytes(
        DER, serialization.PublicFormat.SubjectPublicKeyInfo)).digest()


class Authority:
    """A root and the intermediate that signs."""

    def __init__(self):
        self.root_key, self.root = self.make("Lab Root", None, None, 1)
        self.key, self.issuer = self.make("Lab Issuer", self.root_key,
                                          self.root, 0)

    @staticmethod
    def make(name, key, issuer, length):
        own = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        now = time.time()
        cert = (x509.CertificateBuilder().subject_name(subject)
                .issuer_name(issuer.subject if issuer else subject)
                .public_key(own.public_key())
                .serial_number(x509.random_serial_number())
                .not_valid_before(moment(now - 900 * DAY))
                .not_valid_after(moment(now + 900 * DAY))
                .add_extension(x509.BasicConstraints(True, length), True)
                .add_extension(x509.KeyUsage(**USAGE), True)
                .sign(key or own, hashes.SHA256()))
        return own, cert

    def leaf(self, names, key, begin, end):
        builder = (x509.CertificateBuilder()
                   .subject_name(x509.Name([x509.NameAttribute(
                       NameOID.COMMON_NAME, names[0])]))
                   .issuer_name(self.issuer.subject)
                   .public_key(key.public_key())
                   .serial_number(x509.random_serial_number())
                   .not_valid_before(moment(begin))
                   .not_valid_after(moment(end))
                   .add_extension(x509.BasicConstraints(False, None), True)
                   .add_extension(x509.SubjectAlternativeName(
                       [x509.DNSName(n) for n in names]), False))
        return builder.sign(self.key, hashes.SHA256())


class Issued:
    """One order with its certificate and key."""

    def __init__(self, number, cert, key, key_file, chain):
        self.id = f"L{number}"
        self.number = number
        self.cert = cert
        self.key = key
        self.key_file = key_file
        self.chain = chain
        self.sha256 = hashlib.sha256(cert.public_bytes(DER)).hexdigest()
        self.serial = f"{cert.serial_number:X}"


class Depot(lab.Placard):
    """placard with an order book that already holds certificates."""

    def __init__(self, directory):
        super().__init__(directory)
        self.ca = Authority()
        self.secret_file("token", "unused")
        self.head = ('controller "store" {\n  kind = "sslstore"\n'
                     '  url = "http://127.0.0.1:9"\n  partner-code = "1"\n'
                     '  auth-token-file = "token"\n}\n')
        self.sections = ""
        self.count = 0
        self.write()
        done = self.run("order", "refresh", "L1")   # makes the book
        assert done.status == 2, done

    def write(self, text=None):
        self.extra = self.head + self.sections
        return super().write(text)

    def deploy(self, title, **options):
        """A section without targets; reload=[...] and so on."""
        self.sections += (f'deploy "{title}" {{\n'
                          f'{self._options(options)}}}\n')
        return self.write()

    def targets(self, title, shared=None, **targets):
        """A section with targets: name={option: value}."""
        body = self._options(shared or {})
        for name, options in targets.items():
            body += (f'  target "{name.replace("_", "-")}" {{\n'
                     f'{self._options(options)}  }}\n')
        self.sections += f'deploy "{title}" {{\n{body}}}\n'
        return self.write()

    def book(self):
        link = sqlite3.connect(os.path.join(self.state, "orders.db"),
                               timeout=30)
        link.execute("PRAGMA foreign_keys = ON")
        return link

    def sql(self, text, *args):
        link = self.book()
        try:
            with link:
                return link.execute(text, args).fetchall()
        finally:
            link.close()

    def issue(self, *names, ordered=None, key=None, begin=None, days=90,
              key_file=None, chain=None, leaf=None, root=None, state=2,
              number=None):
        """Puts an issued order into the book (or, with its number, a new
        certificate into that order); its key lies in key_file."""
        self.count += 1
        begin = time.time() - 30 * DAY + self.count if begin is None \
            else begin
        key = key or ec.generate_private_key(ec.SECP256R1())
        cert = leaf or self.ca.leaf(names, key, begin, begin + days * DAY)
        key_file = key_file or os.path.join(self.dir, f"{self.count}.key")
        self.put_key(key, key_file)
        made = Issued(number or self.count, cert, key, key_file,
                      [self.ca.issuer] if chain is None else chain)
        self.write_rows(made, ordered or names, state, begin, days,
                        self.ca.root if root is None else root,
                        number is None)
        return made

    @staticmethod
    def put_key(key, path):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "wb") as out:
            out.write(key.private_bytes(
                PEM, serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption()))

    def write_rows(self, made, names, state, begin, days, root, fresh):
        link = self.book()
        now, ends = int(time.time() * 1000), int((begin + days * DAY) * 1000)
        with link:
            if fresh:
                link.execute(
                    "INSERT INTO orders (id, controller, state, step, "
                    "months, ours, revoked, generation, tries, sent, due, "
                    "rechecked, created, updated, purchased, expires, "
                    "not_before, not_after, serial, product) VALUES (?, "
                    "'store', ?, 0, 12, 1, 0, 1, 0, ?, 0, 0, ?, ?, ?, ?, ?, "
                    "?, ?, 'positivessl')",
                    (made.number, state, now, now, now, now, ends,
                     int(begin * 1000), ends, made.serial))
                link.executemany(
                    "INSERT INTO names (order_id, seq, name, method) VALUES "
                    "(?, ?, ?, 0)", [(made.number, i, n)
                                     for i, n in enumerate(names)])
            else:
                link.execute("UPDATE orders SET serial = ?, not_after = ? "
                             "WHERE id = ?", (made.serial, ends,
                                              made.number))
            link.execute(
                f"INSERT INTO certificates ({LAB}) VALUES (?, ?, ?, ?, ?, ?, "
                "0, ?, ?, ?)",
                (made.number, made.serial, pem(made.cert),
                 "".join(pem(c) for c in made.chain),
                 pem(root) if root else "", made.sha256, int(begin * 1000),
                 ends, now))
        link.close()

    def go(self, made, *args, status=0):
        """order deploy --json; the order's object."""
        done = self.json("order", "deploy", made.id, *args)
        assert done.status == status, done
        assert len(done.objects) == 1, done
        return done.objects[0]

    def one(self, made, *args, status=0):
        """The same with a single target; what became of it."""
        targets = self.go(made, *args, status=status)["targets"]
        assert len(targets) == 1, targets
        return targets[0]

    def rows(self, made):
        """{target: (state, due is set, error)} of the book."""
        words = ["pending", "deployed", "served", "failed", "replaced"]
        return {t: (words[s], due > 0, error) for t, s, due, error in self.sql(
            "SELECT target, state, due, error FROM targets WHERE "
            "order_id = ?", made.number)}

    def events(self, made):
        return [e for (e,) in self.sql("SELECT event FROM events WHERE "
                                       "order_id = ? ORDER BY id",
                                       made.number)]


def read(*path):
    with open(os.path.join(*path), "rb") as text:
        return text.read()


def pair(directory, cert="cert.pem", key="privkey.pem"):
    """The certificate that lies there with its key; its SHA-256."""
    found = x509.load_pem_x509_certificate(read(directory, cert))
    private = serialization.load_pem_private_key(read(directory, key), None)
    assert spki(private) == hashlib.sha256(found.public_key().public_bytes(
        DER, serialization.PublicFormat.SubjectPublicKeyInfo)).digest()
    return hashlib.sha256(found.public_bytes(DER)).hexdigest()


def mode(*path):
    return oct(os.stat(os.path.join(*path)).st_mode & 0o7777)


def generations(directory, base):
    folder = os.path.join(directory, ".placard", base)
    return sorted(int(n) for n in os.listdir(folder) if n.isdigit())


def leftovers(directory):
    """Temporary names that nobody took away."""
    return [n for _, dirs, files in os.walk(directory)
            for n in dirs + files if n.startswith(".placard-")]
