# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""A small DNS server that lies on demand.

It holds zones in memory, answers queries and takes UPDATEs, over UDP and TCP,
with TSIG.  `query_lie` and `update_lie` name the lie it tells in answers of
that kind; None is the truth, so that a test can show that the very same set-up
works when nobody lies.

Lies:
  wrong-id        the id is not the one asked with
  wrong-port      sent from another port of the same address
  wrong-address   sent from another address
  wrong-question  another name in the question (or zone) section
  no-question     no question section at all
  wrong-mac       the TSIG MAC is off by one bit
  wrong-key       signed with another secret
  wrong-keyname   signed under another key's name
  old-time        correctly signed, twenty minutes ago
  future-time     correctly signed, twenty minutes ahead
  unsigned        a signed request gets an answer without TSIG
  not-a-response  the QR bit is clear
  wrong-opcode    the opcode of another kind of message
  garbage         bytes that are no DNS message
  short           the first eleven octets only
  silence         nothing at all
  refused, servfail, notauth, notzone   that rcode (signed where asked)
  truncated       TC set and no data, over UDP and TCP alike
  other-value     a true answer, but with another value in it (queries)
"""

import os
import random
import socket
import struct
import threading
import time

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rrset
import dns.tsig

from lab_dns import Key
from lab_net import free_port, own_address

TYPE_ANY = dns.rdatatype.ANY
RCODES = {"refused": dns.rcode.REFUSED, "servfail": dns.rcode.SERVFAIL,
          "notauth": dns.rcode.NOTAUTH, "notzone": dns.rcode.NOTZONE}


class Liar:
    """See the module's text; use as a context manager."""

    def __init__(self, zones=(), key=None, query_lie=None, update_lie=None,
                 address=None, port=None, ns=None, delay=0):
        self.ns = ns
        self.address = address or own_address()
        self.port = port or free_port(self.address, ns)
        self.key = key or Key()
        self.query_lie = query_lie
        self.update_lie = update_lie
        self.delay = delay
        self.sets = {}          # (name, type) -> (ttl, set of rdata)
        self.zones = []
        self.queries = 0
        self.updates = 0
        self.told = 0           # answers sent with a lie in them
        self.datagrams = []     # (octets, source) of each
        self.heard = []         # (monotonic, opcode, type) of each request
        self._stop = threading.Event()
        self._threads = []
        for zone in zones:
            self.add_zone(zone)

    def where(self):
        return f"{self.address}:{self.port}"

    def add_zone(self, zone):
        apex = dns.name.from_text(zone)
        self.zones.append(apex)
        self.put(apex, 300, "SOA", f"ns1.{apex} host.{apex} 1 3600 600 "
                 "86400 60")
        self.put(apex, 300, "NS", f"ns1.{apex}")
        self.put(dns.name.from_text("ns1", apex), 300, "A", self.address)

    def put(self, name, ttl, kind, text):
        """Hold one record (name: text or dns.name)."""
        if isinstance(name, str):
            name = dns.name.from_text(name)
        rdata = dns.rdata.from_text("IN", kind, text)
        _, values = self.sets.setdefault((name, rdata.rdtype), (ttl, set()))
        values.add(rdata)

    def texts(self, name):
        """TXT values held at name."""
        _, values = self.sets.get(
            (dns.name.from_text(name), dns.rdatatype.TXT), (0, set()))
        return sorted(b"".join(v.strings).decode() for v in values)

    # -- what it would say if it were honest

    def _zone_of(self, name):
        best = None
        for zone in self.zones:
            if name.is_subdomain(zone) and (
                    best is None or len(zone) > len(best)):
                best = zone
        return best

    def _answer(self, query):
        response = dns.message.make_response(query)
        response.tsig = None
        if not query.question:
            response.set_rcode(dns.rcode.FORMERR)
            return response
        asked = query.question[0]
        zone = self._zone_of(asked.name)
        if zone is None:
            response.set_rcode(dns.rcode.REFUSED)
            return response
        response.flags |= dns.flags.AA
        name = asked.name
        for _ in range(10):
            alias = self.sets.get((name, dns.rdatatype.CNAME))
            if alias is None or asked.rdtype == dns.rdatatype.CNAME:
                break
            response.answer.append(self._rrset(name, dns.rdatatype.CNAME))
            name = next(iter(alias[1])).target
        found = self._rrset(name, asked.rdtype)
        if found is not None:
            response.answer.append(found)
        else:
            if not any(n == name or n.is_subdomain(name)
                       for n, _ in self.sets):
                response.set_rcode(dns.rcode.NXDOMAIN)
            response.authority.append(self._rrset(zone, dns.rdatatype.SOA))
        return response

    def _rrset(self, name, rdtype):
        ttl, values = self.sets.get((name, rdtype), (0, set()))
        if not values:
            return None
        return dns.rrset.from_rdata_list(name, ttl, list(values))

    def _update(self, query):
        response = dns.message.make_response(query)
        response.tsig = None
        if self._zone_of(query.question[0].name) is None:
            response.set_rcode(dns.rcode.NOTAUTH)
            return response
        for rrset in query.sections[2]:
            slot = (rrset.name, rrset.rdtype)
            if rrset.deleting == dns.rdataclass.ANY:
                self.sets.pop(slot, None)
                continue
            for rdata in rrset:
                if rrset.deleting == dns.rdataclass.NONE:
                    _, values = self.sets.get(slot, (0, set()))
                    values.discard(rdata)
                else:
                    self.put(rrset.name, rrset.ttl, dns.rdatatype.to_text(
                        rrset.rdtype), rdata.to_text())
        return response

    # -- lies

    def _sign(self, wire, query, lie):
        """Append a TSIG record to wire, as honest as lie allows."""
        key = dns.tsig.Key(self.key.name, self.key.secret, self.key.algorithm)
        when = int(time.time())
        if lie == "wrong-key":
            key = dns.tsig.Key(key.name, os.urandom(32), key.algorithm)
        elif lie == "wrong-keyname":
            key = dns.tsig.Key("somebody-else.", key.secret, key.algorithm)
        elif lie == "old-time":
            when -= 1200
        elif lie == "future-time":
            when += 1200
        rdata = dns.rdata.from_text(
            "ANY", "TSIG", f"{key.algorithm} {when} 300 16 "
            f"AAAAAAAAAAAAAAAAAAAAAA== {query.id} NOERROR 0")
        rdata, _ = dns.tsig.sign(wire, key, rdata, when, query.mac)
        if lie == "wrong-mac":
            mac = bytearray(rdata.mac)
            mac[0] ^= 1
            rdata = rdata.replace(mac=bytes(mac))
        body = rdata.to_wire()
        count = struct.unpack("!H", wire[10:12])[0] + 1
        return (wire[:10] + struct.pack("!H", count) + wire[12:] +
                key.name.to_wire() + struct.pack(
                    "!HHIH", dns.rdatatype.TSIG, dns.rdataclass.ANY, 0,
                    len(body)) + body)

    def _bend(self, response, query, lie):
        """Change a message before it becomes octets."""
        if lie in RCODES:
            response.set_rcode(RCODES[lie])
            response.answer, response.authority = [], []
        elif lie == "wrong-id":
            response.id = (query.id + 1) & 0xffff
        elif lie == "wrong-question":
            old = response.question[0]
            response.question[0] = dns.rrset.RRset(
                dns.name.from_text("not-what-you-asked.test."), old.rdclass,
                old.rdtype)
        elif lie == "no-question":
            response.question = []
        elif lie == "not-a-response":
            response.flags &= ~dns.flags.QR
        elif lie == "truncated":
            response.flags |= dns.flags.TC
            response.answer, response.authority = [], []
        elif lie == "other-value":
            for rrset in response.answer:
                if rrset.rdtype == dns.rdatatype.TXT:
                    rrset.clear()
                    rrset.add(dns.rdata.from_text("IN", "TXT", '"liar"'))

    def _reply(self, wire):
        """(octets or None, lie) for one request's octets."""
        keyring = self.key.keyring()
        try:
            query = dns.message.from_wire(wire, keyring=keyring)
        except dns.exception.DNSException:
            return None, None
        is_update = query.opcode() == dns.opcode.UPDATE
        lie = self.update_lie if is_update else self.query_lie
        self.heard.append((time.monotonic(), query.opcode(),
                           query.question[0].rdtype if query.question
                           else None))
        if is_update:
            self.updates += 1
            # What it claims to have done, it has not done when it lies.
            response = (self._update(query) if lie is None else
                        dns.message.make_response(query))
            response.tsig = None
        else:
            self.queries += 1
            response = self._answer(query)
        if lie == "silence":
            self.told += 1
            return None, lie
        if lie == "garbage":
            self.told += 1
            return random.Random(query.id).randbytes(64), lie
        self._bend(response, query, lie)
        out = response.to_wire(max_size=65535)
        if lie == "wrong-opcode":
            out = out[:2] + bytes([out[2] ^ 0x08]) + out[3:]
        if query.had_tsig and lie != "unsigned":
            out = self._sign(out, query, lie)
        if lie == "short":
            out = out[:11]
        if lie is not None:
            self.told += 1
        return out, lie

    # -- sockets

    def _udp_answer(self, sock, wire, peer):
        out, lie = self._reply(wire)
        if self.delay:
            self._stop.wait(self.delay)
        if out is None:
            return
        if lie in ("wrong-port", "wrong-address"):
            self._elsewhere(lie, out, peer)
            return
        sock.sendto(out, peer)

    def _elsewhere(self, lie, out, peer):
        def send():
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
                other.bind((own_address() if lie == "wrong-address" else
                            self.address, self.port if
                            lie == "wrong-address" else 0))
                other.sendto(out, peer)
        if self.ns:
            self.ns.call(send)
        else:
            send()

    def _udp(self):
        while not self._stop.is_set():
            try:
                wire, peer = self.udp.recvfrom(65535)
            except socket.timeout:
                continue
            except OSError:
                return
            self.datagrams.append((wire, peer))
            if self.delay:
                threading.Thread(target=self._udp_answer, daemon=True,
                                 args=(self.udp, wire, peer)).start()
            else:
                self._udp_answer(self.udp, wire, peer)

    def _tcp(self):
        while not self._stop.is_set():
            try:
                link, _ = self.tcp.accept()
            except socket.timeout:
                continue
            except OSError:
                return
            threading.Thread(target=self._tcp_serve, args=(link,),
                             daemon=True).start()

    def _tcp_serve(self, link):
        link.settimeout(10)
        with link:
            try:
                while not self._stop.is_set():
                    head = self._exactly(link, 2)
                    if head is None:
                        return
                    wire = self._exactly(link, struct.unpack("!H", head)[0])
                    if wire is None:
                        return
                    out, lie = self._reply(wire)
                    if out is None:
                        continue
                    # TCP cannot come from elsewhere: those lies are silent.
                    if lie in ("wrong-port", "wrong-address"):
                        continue
                    link.sendall(struct.pack("!H", len(out)) + out)
            except OSError:
                return

    @staticmethod
    def _exactly(link, count):
        data = b""
        while len(data) < count:
            more = link.recv(count - len(data))
            if not more:
                return None
            data += more
        return data

    def _open(self):
        self.udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.udp.bind((self.address, self.port))
        self.udp.settimeout(0.2)
        self.tcp = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        self.tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.tcp.bind((self.address, self.port))
        self.tcp.listen(64)
        self.tcp.settimeout(0.2)

    def __enter__(self):
        if self.ns:
            self.ns.call(self._open)
        else:
            self._open()
        for body in (self._udp, self._tcp):
            thread = threading.Thread(target=body, daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, *_):
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self.udp.close()
        self.tcp.close()
