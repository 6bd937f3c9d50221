# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Domain control validation as the store's two kinds of CA do it.

make() gives the challenge of one domain, Checker goes and looks: DNS
questions to the servers it was given, files from the address it was given
(or the one that DNS names).
"""

import http.client
import secrets
import socket
import ssl
import string

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype

FOLDER = "/.well-known/pki-validation/"
MAILBOXES = ("admin", "administrator", "hostmaster", "postmaster",
             "webmaster")
_SECOND_LEVEL = frozenset(("co", "com", "org", "net", "ac", "gov", "edu"))

# How each family calls a method in dcvMethod.
WORDS = {
    ("sectigo", "email"): "EMAIL", ("sectigo", "file"): "HTTP_CSR_HASH",
    ("sectigo", "https"): "HTTPS_CSR_HASH",
    ("sectigo", "cname"): "CNAME_CSR_HASH",
    ("digicert", "email"): "email", ("digicert", "file"): "FILE",
    ("digicert", "cname"): "DNS_CNAME_TOKEN", ("digicert", "txt"): "DNS",
}


def strip(name):
    """The name that is proven for a name that is ordered."""
    name = name.lower().rstrip(".")
    return name[2:] if name.startswith("*.") else name


def registered(name):
    """The registered domain, well enough for tests."""
    labels = strip(name).split(".")
    if len(labels) > 2 and len(labels[-1]) == 2 \
            and labels[-2] in _SECOND_LEVEL:
        return ".".join(labels[-3:])
    return ".".join(labels[-2:])


def climb(name):
    """The name, then its parents, down to the registered domain."""
    name, base = strip(name), registered(name)
    out = [name]
    while name != base:
        name = name.split(".", 1)[1]
        out.append(name)
    return out


def approvers(name):
    """Constructed approver addresses, registered domain first."""
    return ["%s@%s" % (box, domain) for domain in reversed(climb(name))
            for box in MAILBOXES]


def random_value():
    alphabet = string.ascii_lowercase + string.digits
    return "".join(secrets.choice(alphabet) for _ in range(28))


def csr_hashes(md5, sha256, unique):
    """(file name, lines of the file, first CNAME label, target)."""
    md5, sha256 = md5.upper(), sha256.lower()
    lines = [sha256, "sectigo.com"] + ([unique] if unique else [])
    target = ".".join([sha256[:32], sha256[32:]]
                      + ([unique] if unique else []) + ["sectigo.com"])
    return md5 + ".txt", lines, "_" + md5, target


def make(family, method, domain, md5, sha256, unique, txt_owner=""):
    """The challenge of one domain: file, content lines, record, value.

    txt_owner is the first label of a TXT record, empty for the domain
    itself."""
    out = {"file": None, "lines": None, "record": None, "value": None,
           "type": None}
    name = strip(domain)
    if method == "email":
        return out
    if family == "sectigo":
        file, lines, label, target = csr_hashes(md5, sha256, unique)
        if method == "cname":
            out.update(record=label + "." + name, value=target, type="CNAME")
        else:
            out.update(file=file, lines=lines)
        return out
    value = random_value()
    if method == "file":
        out.update(file="fileauth.txt", lines=[value])
    elif method == "cname":
        out.update(record="_dnsauth." + name, type="CNAME",
                   value=value + ".dcv.digicert.com")
    else:
        owner = txt_owner + "." + name if txt_owner else name
        out.update(record=owner, value=value, type="TXT")
    return out


def address(text, port=None):
    """("host", port) of "host:port" or "[v6]:port"."""
    host, colon, number = text.rpartition(":")
    if not colon or host.endswith(":") and not host.startswith("["):
        host, number = text, port
    if number is None:
        raise ValueError("%s: no port" % text)
    return host.strip("[]"), int(number)


class Checker:
    """Looks at the world.  Its methods return (seen, what was found)."""

    def __init__(self, dns_servers=(), http=None, https=None, http_map=None,
                 timeout=3.0):
        """dns_servers: addresses asked in turn until one answers; http and
        https: where the files of every domain are fetched; http_map: the
        same for single domains, {"http://name": "addr:port"}.  Without
        them the domain's own addresses and ports 80 and 443 are used."""
        self.dns_servers = [address(s, 53) for s in dns_servers]
        self.http = {"http": http and address(http, 80),
                     "https": https and address(https, 443)}
        self.http_map = {k: address(v) for k, v in (http_map or {}).items()}
        self.timeout = timeout

    def ask(self, owner, rdtype):
        """Answer records as text, following the chain of CNAMEs."""
        if not self.dns_servers:
            return [], "no DNS server is configured"
        why = "no answer"
        for server in self.dns_servers:
            try:
                return self._follow(server, owner, rdtype)
            except (dns.exception.DNSException, OSError, EOFError) as error:
                why = "%s port %d: %s" % (server[0], server[1],
                                          error or type(error).__name__)
        return [], why

    def _query(self, server, owner, rdtype):
        query = dns.message.make_query(owner, rdtype, use_edns=0,
                                       payload=1232)
        answer, _ = dns.query.udp_with_fallback(
            query, server[0], port=server[1], timeout=self.timeout)
        if answer.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
            raise dns.exception.DNSException(
                dns.rcode.to_text(answer.rcode()))
        return answer

    def _follow(self, server, owner, rdtype):
        name, kind = dns.name.from_text(owner), dns.rdatatype.from_text(rdtype)
        for _ in range(9):
            answer = self._query(server, name, kind)
            for _ in range(9):
                found = answer.get_rrset(answer.answer, name, 1, kind)
                if found:
                    return [_text(rr) for rr in found], "found"
                alias = answer.get_rrset(answer.answer, name, 1,
                                         dns.rdatatype.CNAME)
                if not alias:
                    break
                name = alias[0].target
            else:
                return [], "CNAME loop"
            if not answer.answer:
                return [], dns.rcode.to_text(answer.rcode())
        return [], "CNAME chain too long"

    def record(self, owners, rdtype, value):
        """Is the value there, at the first owner or one of the others?"""
        seen = []
        for owner in owners:
            found, why = self.ask(owner, rdtype)
            if rdtype == "CNAME":
                found = [f.rstrip(".").lower() for f in found]
                good = value.rstrip(".").lower() in found
            else:
                good = value in found
            if good:
                return True, "%s %s" % (owner, rdtype)
            seen.append("%s %s: %s" % (owner, rdtype, found or why))
        return False, "; ".join(seen)

    def _place(self, scheme, domain):
        place = self.http_map.get("%s://%s" % (scheme, domain)) \
            or self.http[scheme]
        if place:
            return place
        for rdtype in ("A", "AAAA"):
            found, _ = self.ask(domain, rdtype)
            if found:
                return found[0], 443 if scheme == "https" else 80
        raise OSError("%s: no address" % domain)

    def fetch(self, scheme, domain, path):
        """(HTTP status, body); OSError or HTTPException when there is none."""
        host, port = self._place(scheme, domain)
        if scheme == "https":
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
            link = _Https(host, port, domain, context, self.timeout)
        else:
            link = http.client.HTTPConnection(host, port,
                                              timeout=self.timeout)
        try:
            link.request("GET", path, headers={
                "Host": domain, "User-Agent": "test-ca-dcv", "Accept": "*/*"})
            answer = link.getresponse()
            return answer.status, answer.read(4096)
        finally:
            link.close()

    def file(self, scheme, domain, name, lines):
        """Fetches exactly this scheme and path; line ends do not matter."""
        url = "%s://%s%s%s" % (scheme, domain, FOLDER, name)
        try:
            status, body = self.fetch(scheme, domain, FOLDER + name)
        except (OSError, http.client.HTTPException) as error:
            return False, "%s: %s" % (url, error)
        if status != 200:
            return False, "%s: HTTP %d" % (url, status)
        got = body.decode("latin-1").replace("\r\n", "\n").rstrip("\n")
        if got.split("\n") != lines:
            return False, "%s: other content: %r" % (url, body[:200])
        return True, "%s: %d bytes" % (url, len(body))

    def look(self, family, method, domain, challenge):
        """One domain, one challenge: (seen, what was found)."""
        name = strip(domain)
        if method in ("file", "https"):
            scheme = "https" if method == "https" else "http"
            return self.file(scheme, name, challenge["file"],
                             challenge["lines"])
        owners = [challenge["record"]]
        if family == "sectigo":
            label = owners[0].split(".", 1)[0]
            owners = [label + "." + up for up in climb(domain)]
        elif challenge["type"] == "TXT":
            owners = [name, "_dnsauth." + name]
        return self.record(owners, challenge["type"], challenge["value"])


class _Https(http.client.HTTPConnection):
    """TLS to one address with another name in the handshake."""

    def __init__(self, host, port, name, context, timeout):
        super().__init__(host, port, timeout=timeout)
        self._server_name, self._context = name, context

    def connect(self):
        plain = socket.create_connection((self.host, self.port), self.timeout)
        self.sock = self._context.wrap_socket(
            plain, server_hostname=self._server_name)


def _text(record):
    if record.rdtype == dns.rdatatype.TXT:
        return b"".join(record.strings).decode("latin-1")
    if record.rdtype == dns.rdatatype.CNAME:
        return record.target.to_text()
    return record.to_text()
