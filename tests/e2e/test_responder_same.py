# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""The responder beside nsd: equal zones, ten thousand questions, equal answers."""

import random
import struct

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import pytest

import lab
import lab_responder as lr

TOTAL = 10000
HINFO = dns.rdatatype.HINFO
TYPES = (1, 2, 5, 6, 12, 13, 15, 16, 16, 16, 28, 33, 35, 39, 43, 46, 47, 48,
         50, 52, 64, 65, 99, 255, 256, 257, 32768, 65280)


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    """The responder and nsd with the same records; their addresses."""
    placard = lab.Placard(tmp_path_factory.mktemp("same"))
    where = lr.responder(placard)
    challenges, lines = lr.records()
    with lr.Responder(placard, [lab.job(*challenges)]):
        soa = lr.ask_udp(where, lr.question(
            [p.encode() for p in lr.ZONE.split(".")], 6, 1))
        serial = dns.message.from_wire(soa).answer[0][0].serial
        with lr.Nsd(tmp_path_factory.mktemp("nsd"), lr.ZONE,
                    lr.zone_file(lines, serial)) as nsd:
            yield where, (nsd.address, nsd.port), names_of(lines)


def names_of(lines):
    """Owner names, and everything between them and the zone."""
    found = {lr.ZONE, "ns1." + lr.ZONE}
    for line in lines:
        name = line.split()[0].rstrip(".")
        while name != lr.ZONE:
            found.add(name)
            name = name.split(".", 1)[1]
    return sorted(found)


class Dice:
    """Questions, the same ones for a seed."""

    def __init__(self, seed, names):
        self.rand = random.Random(seed)
        self.names = names

    def label(self):
        kind = self.rand.random()
        if kind < 0.1:
            return b"*"
        if kind < 0.2:
            return bytes(self.rand.randrange(256)
                         for _ in range(self.rand.randint(1, 63)))
        return bytes(self.rand.choice(b"abcxyz019-_")
                     for _ in range(self.rand.randint(1, 20)))

    def labels(self):
        labels = [p.encode() for p in
                  self.rand.choice(self.names).split(".")]
        kind = self.rand.random()
        if kind < 0.15:
            labels = [self.label() for _ in range(
                self.rand.randint(1, 4))] + labels
        elif kind < 0.25:
            labels[0] = self.label()
        elif kind < 0.30:
            labels = labels[self.rand.randint(1, len(labels)):]
        elif kind < 0.33:
            labels = [b"x" * 63] * 3 + labels
        elif kind < 0.35:
            labels = [b"y"] * self.rand.randint(50, 120) + labels
        elif kind < 0.38:
            labels = [self.label() for _ in range(self.rand.randint(0, 3))]
        while sum(len(p) + 1 for p in labels) > 254 or len(labels) > 127:
            labels.pop(0)
        return [self.case(p) for p in labels if p]

    def case(self, label):
        return bytes(c ^ 0x20 if 65 <= (c & ~0x20) <= 90 and
                     self.rand.random() < 0.5 else c for c in label)

    def edns(self):
        if self.rand.random() < 0.4:
            return None
        options = b""
        for _ in range(self.rand.choice((0, 0, 1, 2))):
            data = bytes(self.rand.randrange(256)
                         for _ in range(self.rand.randrange(20)))
            # From the range for local use: known to nobody.
            code = self.rand.randint(65001, 65534)
            options += code.to_bytes(2, "big") + len(data).to_bytes(
                2, "big") + data
        return (self.rand.choice((0, 512, 600, 1232, 1232, 4096, 65535)),
                self.rand.choice((0, 0, 0, 0, 0, 0, 0, 0, 1, 255)),
                self.rand.choice((0, 0, 0x8000)), options)

    def question(self, ident):
        qclass = 1 if self.rand.random() < 0.97 else self.rand.choice(
            (2, 4, 254, 1000))
        flags = self.rand.choice((0x0100, 0x0100, 0x0000))
        return lr.question(self.labels(), self.rand.choice(TYPES), ident,
                           qclass, flags, self.edns())


def rrsets(section):
    return sorted((r.name.to_text().lower(), r.rdtype, r.ttl,
                   sorted(d.to_text().lower() if r.rdtype != 16 else
                          d.to_text() for d in r)) for r in section)


def essence(data, asked):
    """What has to be equal in two answers to a question.

    Left out on purpose: NS records and addresses that nsd adds to positive
    answers, where they are of no use to who looks for a challenge.
    """
    if data is None:
        return None
    m = dns.message.from_wire(data, ignore_trailing=False)
    end = 12 + dns.name.from_wire(asked, 12)[1]
    seen = {
        "id": m.id, "rcode": dns.rcode.to_text(m.rcode()),
        "flags": dns.flags.to_text(m.flags), "opcode": m.opcode(),
        "edns": m.edns,
        "question": [(q.name.to_text(), q.rdtype, q.rdclass)
                     for q in m.question],
        "answer": rrsets(m.answer),
        "no": rrsets(r for r in m.authority if r.rdtype == 6),
    }
    if m.flags & dns.flags.TC:
        seen["answer"] = seen["no"] = "cut"
    # The question comes back octet by octet, with its letter case (0x20).
    if m.question:
        assert data[12:end] == asked[12:end]
    return seen


def explained(asked, ours, theirs):
    """Why a difference is meant; None where it is not."""
    if ours is None or theirs is None:
        return None
    end = 12 + dns.name.from_wire(asked, 12)[1]
    kind, qclass = struct.unpack("!HH", asked[end:end + 4])
    if qclass != 1 and ours | {"question": []} == theirs:
        return "nsd does not repeat questions of other classes"
    if kind == 50 and not theirs["answer"] and ours["answer"] and all(
            a[1] == dns.rdatatype.CNAME for a in ours["answer"]):
        return "nsd does not follow an alias for NSEC3"
    if kind == 255 and [a[1] for a in ours["answer"]] == [HINFO]:
        return "ANY is answered by one small record (RFC 8482)"
    return None


def compare(pair, questions, ask):
    """Ask both; the differences that nothing explains."""
    where, nsd, _ = pair
    bad, meant = [], {}
    ours, theirs = ask(where, questions), ask(nsd, questions)
    for one in questions:
        a, b = essence(ours[one], one), essence(theirs[one], one)
        if a == b:
            continue
        why = explained(one, a, b)
        if why is None:
            bad.append((one.hex(), a, b))
        else:
            meant[why] = meant.get(why, 0) + 1
    return bad, meant


def report(bad):
    return f"{len(bad)} differ\n" + "\n".join(
        f"{q}\n  ours   {a}\n  nsd's  {b}" for q, a, b in bad[:5])


def test_udp(pair):
    dice = Dice(1, pair[2])
    questions = [dice.question(i) for i in range(TOTAL * 3 // 4)]
    bad, meant = compare(pair, questions, lambda where, some: {
        q: lr.ask_udp(where, q) for q in some})
    assert not bad, report(bad)
    assert len(meant) == 3 and sum(meant.values()) < len(questions) / 12


def test_tcp_pipelined(pair):
    dice = Dice(2, pair[2])
    total = 0
    for burst in range(TOTAL // 4 // 50):
        questions = [dice.question(burst * 50 + i) for i in range(50)]

        def ask(where, some):
            found = lr.ask_tcp(where, some)
            return {q: found[int.from_bytes(q[:2], "big")] for q in some}
        bad, _ = compare(pair, questions, ask)
        assert not bad, report(bad)
        total += len(questions)
    assert total == TOTAL // 4
