# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""A certificate authority for tests, in a folder of its own."""
import datetime
import ipaddress
import os
import pathlib
import shutil
import ssl
import tempfile

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Authority:
    """A test CA made on the fly; ca_file is its certificate."""

    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="placard-fake-ca-")
        self.ca_file = os.path.join(self.folder, "ca.pem")
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([
            x509.NameAttribute(NameOID.COMMON_NAME, "placard test CA")])
        self._cert = self._sign(self._name, self._key.public_key(), [
            (x509.BasicConstraints(ca=True, path_length=0), True)])
        pathlib.Path(self.ca_file).write_bytes(self._pem(self._cert))

    @staticmethod
    def _pem(cert):
        return cert.public_bytes(serialization.Encoding.PEM)

    def _sign(self, subject, public, extensions, days=30):
        now = datetime.datetime.utcnow()
        builder = (x509.CertificateBuilder()
                   .subject_name(subject).issuer_name(self._name)
                   .public_key(public)
                   .serial_number(x509.random_serial_number())
                   .not_valid_before(now - datetime.timedelta(days=60))
                   .not_valid_after(now + datetime.timedelta(days=days)))
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self._key, hashes.SHA256())

    def write(self, path, hosts, days=30):
        """Write a new certificate for hosts, and its key, to path."""
        names = []
        for host in hosts:
            try:
                names.append(x509.IPAddress(ipaddress.ip_address(host)))
            except ValueError:
                names.append(x509.DNSName(host))
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([
            x509.NameAttribute(NameOID.COMMON_NAME, hosts[0])])
        cert = self._sign(subject, key.public_key(), [
            (x509.SubjectAlternativeName(names), False)], days)
        pathlib.Path(path).write_bytes(self._pem(cert) + key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()))

    def context(self, hosts, days=30):
        """A server's TLS context with a new certificate for hosts."""
        handle, path = tempfile.mkstemp(dir=self.folder)
        os.close(handle)
        self.write(path, hosts, days)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        context.set_alpn_protocols(["http/1.1"])
        return context

    def close(self):
        shutil.rmtree(self.folder, ignore_errors=True)
