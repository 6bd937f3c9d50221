# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""An authoritative DNS server, UDP and TCP, for the zones of a fake.

Every write of a zone makes a new picture of it; an address answers from the
newest picture that is older than that address's delay.  So 'has it spread'
is a question with a real answer, and it may differ between name servers.
"""
import functools
import socket
import struct
import threading
import time

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.TXT
import dns.rrset

IN = dns.rdataclass.IN
MAX_CHAIN = 8


def rrset(owner, rtype, ttl, values):
    """Make an RRset; a TXT value is a tuple of strings, others are text."""
    rdtype = dns.rdatatype.from_text(rtype)
    found = dns.rrset.RRset(owner, IN, rdtype)
    for value in values:
        if rtype == "TXT":
            rdata = dns.rdtypes.ANY.TXT.TXT(
                IN, rdtype, [s.encode("utf-8") for s in value])
        else:
            rdata = dns.rdata.from_text(IN, rdtype, value, dns.name.root,
                                        relativize=False)
        found.add(rdata, ttl)
    return found


class Picture:
    """What a zone held at one moment."""

    def __init__(self, apex, serial, name_servers, rrsets):
        self.taken = time.monotonic()
        self.apex = dns.name.from_text(apex)
        soa = (f"{name_servers[0]}. hostmaster.{apex}. {serial} "
               "3600 600 604800 60")
        self._sets = [(apex, "SOA", 60, [soa]),
                      (apex, "NS", 3600, [ns + "." for ns in name_servers])]
        self._sets += [s for s in rrsets
                       if s[3] and s[:2] not in ((apex, "SOA"), (apex, "NS"))]

    @functools.cached_property
    def nodes(self):
        """Name to type to RRset; made when first asked for."""
        nodes = {}
        for one in self._sets:
            self._add(nodes, *one)
        return nodes

    @staticmethod
    def _add(nodes, owner, rtype, ttl, values):
        name = dns.name.from_text(owner).canonicalize()
        node = nodes.setdefault(name, {})
        new = rrset(name, rtype, ttl, values)
        if new.rdtype in node:
            node[new.rdtype].update(new)
        else:
            node[new.rdtype] = new

    def cut(self, name):
        """The NS set of a delegation at or above name, or None."""
        for depth in range(len(self.apex) + 1, len(name) + 1):
            above = name.split(depth)[1]
            found = self.nodes.get(above, {}).get(dns.rdatatype.NS)
            if found:
                return found
        return None

    def node(self, name):
        """The RRsets at name: its own, or a wildcard's; None if no name."""
        if name in self.nodes:
            return self.nodes[name]
        if any(other.is_subdomain(name) for other in self.nodes):
            return {}
        above = name
        while above != self.apex:
            above = above.parent()
            if any(other.is_subdomain(above) for other in self.nodes):
                break
        wild = self.nodes.get(dns.name.Name((b"*",) + above.labels))
        if wild is None:
            return None
        copy = {}
        for rdtype, found in wild.items():
            copy[rdtype] = dns.rrset.from_rdata_list(name, found.ttl, found)
        return copy


class DnsServer:
    """Answers on one port of each of several addresses."""

    def __init__(self, addresses=("127.0.0.1",), port=0):
        self.addresses = list(addresses)
        self.delays = {}
        self.log = []
        self._pictures = {}
        self._lock = threading.Lock()
        self._sockets = []
        self.port = self._bind(port)
        for udp, tcp, address in self._sockets:
            self._start(self._serve_udp, udp, address)
            self._start(self._serve_tcp, tcp, address)

    @staticmethod
    def _start(target, *args):
        threading.Thread(target=target, args=args, daemon=True).start()

    def _bind(self, port):
        for _ in range(50):
            try:
                wanted = port
                for address in self.addresses:
                    wanted = self._bind_one(address, wanted)
                return wanted
            except OSError:
                self.close()
                if port:
                    raise
        raise OSError("dns: no port is free on all addresses")

    def _bind_one(self, address, port):
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        tcp = socket.socket(family, socket.SOCK_STREAM)
        udp = socket.socket(family, socket.SOCK_DGRAM)
        self._sockets.append((udp, tcp, address))
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        tcp.bind((address, port))
        port = tcp.getsockname()[1]
        udp.bind((address, port))
        tcp.listen(64)
        return port

    def close(self):
        for udp, tcp, _ in self._sockets:
            for sock in (udp, tcp):
                try:
                    sock.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass
                sock.close()
        self._sockets = []

    def publish(self, key, picture):
        """Show picture as zone key (None: drop the zone)."""
        with self._lock:
            if picture is None:
                self._pictures.pop(key, None)
            else:
                self._pictures.setdefault(key, []).append(picture)
                longest = max([0.0, *self.delays.values()])
                self._pictures[key] = self._keep(key, longest)

    def _keep(self, key, longest):
        pictures = self._pictures[key]
        old = [p for p in pictures
               if p.taken <= time.monotonic() - longest]
        return pictures[max(0, len(old) - 1):]

    def _zone(self, name, address, rdtype):
        """The picture of the closest enclosing zone at this address."""
        delay = self.delays.get(address, self.delays.get("*", 0.0))
        best = None
        with self._lock:
            for pictures in self._pictures.values():
                apex = pictures[0].apex
                if not name.is_subdomain(apex):
                    continue
                if rdtype == dns.rdatatype.DS and name == apex:
                    continue
                if best and len(best[0].apex) >= len(apex):
                    continue
                best = pictures
        if not best:
            return None
        seen = [p for p in best if p.taken <= time.monotonic() - delay]
        return seen[-1] if seen else best[0]

    def answer(self, wire, address, limit):
        """The answer to one question in wire form, or None."""
        try:
            query = dns.message.from_wire(wire, ignore_trailing=True)
        except (dns.exception.DNSException, ValueError):
            return None
        reply = dns.message.make_response(query)
        if query.opcode() != 0 or len(query.question) != 1:
            reply.set_rcode(dns.rcode.NOTIMP)
            return reply.to_wire()
        asked = query.question[0]
        self.log.append((address, asked.name.to_text(),
                         dns.rdatatype.to_text(asked.rdtype)))
        self._fill(reply, asked.name.canonicalize(), asked.rdtype, address)
        limit = min(limit, max(query.payload, 512)) if limit < 65535 else limit
        try:
            return reply.to_wire(max_size=limit)
        except dns.exception.TooBig:
            short = dns.message.make_response(query)
            short.flags |= dns.flags.TC | dns.flags.AA
            return short.to_wire()

    def _fill(self, reply, name, rdtype, address):
        zone = self._zone(name, address, rdtype)
        if zone is None:
            reply.set_rcode(dns.rcode.REFUSED)
            return
        reply.flags |= dns.flags.AA
        for _ in range(MAX_CHAIN):
            cut = zone.cut(name)
            if cut is not None and rdtype != dns.rdatatype.DS:
                if not reply.answer:
                    reply.flags &= ~dns.flags.AA
                    reply.authority.append(cut)
                return
            node = zone.node(name)
            if node is None:
                reply.set_rcode(dns.rcode.NXDOMAIN)
                break
            if rdtype in node:
                reply.answer.append(node[rdtype])
                return
            if dns.rdatatype.CNAME not in node:
                break
            alias = node[dns.rdatatype.CNAME]
            reply.answer.append(alias)
            name = alias[0].target.canonicalize()
            if self._zone(name, address, rdtype) is not zone:
                return
        reply.authority.append(zone.nodes[zone.apex][dns.rdatatype.SOA])

    def _serve_udp(self, sock, address):
        while True:
            try:
                wire, peer = sock.recvfrom(65535)
            except OSError:
                return
            reply = self.answer(wire, address, 1232) if peer else None
            if reply:
                try:
                    sock.sendto(reply, peer)
                except OSError:
                    return

    def _serve_tcp(self, listener, address):
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            self._start(self._tcp_client, sock, address)

    def _tcp_client(self, sock, address):
        sock.settimeout(10)
        with sock, sock.makefile("rb") as stream:
            try:
                while True:
                    head = stream.read(2)
                    if len(head) < 2:
                        return
                    wire = stream.read(struct.unpack("!H", head)[0])
                    reply = self.answer(wire, address, 65535)
                    if not reply:
                        return
                    sock.sendall(struct.pack("!H", len(reply)) + reply)
            except OSError:
                return
