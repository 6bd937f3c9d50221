# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Certificates and requests for the fake store.

Authority signs what the store sells: an RSA root, an RSA intermediate, and
end-entity certificates over the key of a real request.  TlsAuthority makes
the certificate that the fake itself is served with.
"""

import base64
import datetime
import hashlib
import io
import ipaddress
import re
import secrets
import threading
import urllib.parse
import zipfile

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import pkcs7
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

_BEGIN = re.compile(r"-----BEGIN (?:NEW )?CERTIFICATE REQUEST-----")
_END = re.compile(r"-----END (?:NEW )?CERTIFICATE REQUEST-----")


class CsrError(Exception):
    """The request cannot be read or must not be signed."""


def moment(seconds):
    """Epoch seconds as the naive UTC time that the x509 module takes."""
    return datetime.datetime.utcfromtimestamp(int(seconds))


def pem(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def _armour(text):
    """(form, base64 text) of a request in one of the four spellings."""
    form = "pem"
    if re.search(r"-----BEGIN%20|%0A|%0D|%2B|%3D", text, re.I):
        form, text = "percent", urllib.parse.unquote(text)
    begin, end = _BEGIN.search(text), _END.search(text)
    if not begin:
        return "base64", text.strip()
    if not end or end.start() < begin.end():
        raise CsrError("The CSR cannot be decoded!")
    inner = text[begin.end():end.start()]
    if form == "pem" and "\n" not in inner:
        form = "oneline"
    return form, inner


class Request:
    """A request as it was sent, read and checked."""

    def __init__(self, text):
        self.form, body = _armour(text)
        body = re.sub(r"[\r\n]", "", body)
        try:
            self.der = base64.b64decode(body, validate=True)
            self.csr = x509.load_der_x509_csr(self.der)
            good = self.csr.is_signature_valid
            self.public_key = self.csr.public_key()
            self.san = self._names()
        except (ValueError, InvalidSignature, UnsupportedAlgorithm) as error:
            raise CsrError("The CSR cannot be decoded!") from error
        if not good:
            raise CsrError("The CSR's signature is wrong")
        if isinstance(self.public_key, rsa.RSAPublicKey):
            if self.public_key.key_size < 2048:
                raise CsrError("The CSR's key is too short")
        elif not isinstance(self.public_key, ec.EllipticCurvePublicKey):
            raise CsrError("The CSR's kind of key is not supported")

    def _names(self):
        try:
            found = self.csr.extensions.get_extension_for_class(
                x509.SubjectAlternativeName)
        except x509.ExtensionNotFound:
            return []
        return [n.lower() for n in
                found.value.get_values_for_type(x509.DNSName)]

    def subject(self, oid):
        found = self.csr.subject.get_attributes_for_oid(oid)
        return found[0].value if found else ""

    @property
    def common_name(self):
        return self.subject(NameOID.COMMON_NAME).strip()

    def digest(self, name):
        return hashlib.new(name, self.der).hexdigest()

    def describe(self):
        """The payload of /csr/ and /order/validate/."""
        name = self.common_name
        unit = self.subject(NameOID.ORGANIZATIONAL_UNIT_NAME)
        return {
            "DomainName": name, "DominName": name, "DNSNames": self.san,
            "Country": self.subject(NameOID.COUNTRY_NAME),
            "Email": self.subject(NameOID.EMAIL_ADDRESS),
            "Locality": self.subject(NameOID.LOCALITY_NAME),
            "Organization": self.subject(NameOID.ORGANIZATION_NAME),
            "OrganizationUnit": unit, "OrganisationUnit": unit,
            "State": self.subject(NameOID.STATE_OR_PROVINCE_NAME),
            "hasBadExtensions": False, "isValidDomainName": "." in name,
            "isWildcardCSR": name.startswith("*."),
            "MD5Hash": self.digest("md5").upper(),
            "SHA1Hash": self.digest("sha1"), "sha256": self.digest("sha256"),
            "SignatureAlgorithm":
                self.csr.signature_hash_algorithm.name,
            "RegionSpecificOrderIndicator": "",
        }


def _name(common, **fields):
    oids = {"C": NameOID.COUNTRY_NAME, "ST": NameOID.STATE_OR_PROVINCE_NAME,
            "L": NameOID.LOCALITY_NAME, "O": NameOID.ORGANIZATION_NAME}
    parts = [x509.NameAttribute(oids[k], v) for k, v in fields.items() if v]
    if common:
        parts.append(x509.NameAttribute(NameOID.COMMON_NAME, common[:64]))
    return x509.Name(parts)


def _usage(**wanted):
    names = ("digital_signature content_commitment key_encipherment "
             "data_encipherment key_agreement key_cert_sign crl_sign "
             "encipher_only decipher_only").split()
    return x509.KeyUsage(**{n: wanted.get(n, False) for n in names})


def _ca_certificate(subject, key, issuer, issuer_key, path_length):
    now = datetime.datetime.utcnow()
    builder = (
        x509.CertificateBuilder().subject_name(subject).issuer_name(issuer)
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=3650))
        .not_valid_after(now + datetime.timedelta(days=3650))
        .add_extension(x509.BasicConstraints(True, path_length), True)
        .add_extension(_usage(key_cert_sign=True, crl_sign=True), True)
        .add_extension(
            x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(
            issuer_key.public_key()), False))
    return builder.sign(issuer_key, hashes.SHA256())


_EKU = {
    "CODE_SIGNING": [ExtendedKeyUsageOID.CODE_SIGNING],
    "EV_CODE_SIGNING": [ExtendedKeyUsageOID.CODE_SIGNING],
    "CLIENT": [ExtendedKeyUsageOID.CLIENT_AUTH,
               ExtendedKeyUsageOID.EMAIL_PROTECTION],
    "DOCUMENT_SIGNING": [x509.ObjectIdentifier("1.3.6.1.5.5.7.3.36")],
}


class Authority:
    """Root and intermediate that issue what is ordered."""

    def __init__(self):
        self.root_key = rsa.generate_private_key(65537, 2048)
        self.key = rsa.generate_private_key(65537, 2048)
        root_name = _name("Test Store Root", O="Test Store", C="US")
        self.name = _name("Test Store Intermediate", O="Test Store", C="US")
        self.root = _ca_certificate(root_name, self.root_key, root_name,
                                    self.root_key, None)
        self.intermediate = _ca_certificate(self.name, self.key, root_name,
                                            self.root_key, 0)
        self._aki = x509.AuthorityKeyIdentifier.from_issuer_public_key(
            self.key.public_key())
        self._spare = None
        self._lock = threading.Lock()

    def spare_key(self):
        """Public key of orders that nobody sent a request for."""
        with self._lock:
            if self._spare is None:
                self._spare = ec.generate_private_key(ec.SECP256R1())
            return self._spare.public_key()

    def issue(self, public_key, common, names, start, end, serial,
              validation="DV", **organisation):
        """An end-entity certificate; start and end in epoch seconds."""
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(common, **organisation))
            .issuer_name(self.name).public_key(public_key)
            .serial_number(serial).not_valid_before(moment(start))
            .not_valid_after(moment(end))
            .add_extension(x509.BasicConstraints(False, None), True)
            .add_extension(_usage(digital_signature=True, key_encipherment=
                           isinstance(public_key, rsa.RSAPublicKey)), True)
            .add_extension(x509.ExtendedKeyUsage(_EKU.get(
                validation, [ExtendedKeyUsageOID.SERVER_AUTH])), False)
            .add_extension(self._aki, False)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(public_key), False))
        if validation in ("DV", "OV", "EV"):
            builder = builder.add_extension(x509.SubjectAlternativeName(
                [x509.DNSName(n) for n in names]), False)
        return builder.sign(self.key, hashes.SHA256())

    def zip_parts(self, parts):
        """Base64 of a zip of (file name, text) pairs."""
        return _zip([(name, text.encode()) for name, text in parts])

    def zip_pkcs7(self, certificate, stem):
        """Base64 of a zip that holds one .p7b with the whole chain."""
        data = pkcs7.serialize_certificates(
            [certificate, self.intermediate, self.root],
            serialization.Encoding.PEM)
        return _zip([(stem + ".p7b", data)])


def _zip(parts):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in parts:
            archive.writestr(name, data)
    return base64.b64encode(out.getvalue()).decode()


def new_serial():
    """A positive serial number of 16 bytes."""
    return (secrets.randbits(127) | (1 << 120))


class TlsAuthority:
    """A throw-away CA for the fake's own TLS certificate."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.name = _name("Test TLS Root")
        self.root = _ca_certificate(self.name, self.key, self.name, self.key,
                                    None)

    def server_pem(self, names):
        """Certificate and key, PEM, for the names and addresses given."""
        key = ec.generate_private_key(ec.SECP256R1())
        general = []
        for name in names:
            try:
                general.append(x509.IPAddress(ipaddress.ip_address(name)))
            except ValueError:
                general.append(x509.DNSName(name))
        now = datetime.datetime.utcnow()
        certificate = (
            x509.CertificateBuilder().subject_name(_name(names[0]))
            .issuer_name(self.name).public_key(key.public_key())
            .serial_number(new_serial())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.SubjectAlternativeName(general), False)
            .add_extension(x509.BasicConstraints(False, None), True)
            .add_extension(x509.ExtendedKeyUsage(
                [ExtendedKeyUsageOID.SERVER_AUTH]), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(
                self.key.public_key()), False)
            .sign(self.key, hashes.SHA256()))
        secret = key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption()).decode()
        return pem(certificate) + secret
