# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""When it looks: gaps that grow, and a first look that was learnt.

What is measured is a least time between two requests at a server, which no
load of the machine makes shorter.
"""

import time

import dns.opcode
import dns.rdatatype

import lab

NAME = "_acme-challenge.late.test"
VALUE = lab.value()
ASK = ["-m", "dns-01", "-d", "late.test", "--value", VALUE]


def looks(liar):
    """When it was asked for the record."""
    return [at for at, opcode, kind in liar.heard
            if opcode == dns.opcode.QUERY and kind == dns.rdatatype.TXT]


def test_gaps_grow(tmp_path):
    """100 ms, and then half as much again each time."""
    with lab.Liar(["late.test"]) as liar:
        placard = lab.Placard(tmp_path)
        placard.servers(liar.where())
        proc = placard.popen("--json", "verify", *ASK, "--timeout", "60")
        lab.wait_for(lambda: len(looks(liar)) >= 6, "six looks", 60)
        times = looks(liar)[:6]
        liar.put(NAME, 60, "TXT", f'"{VALUE}"')
        done = placard.finish(proc)
        assert done.status == 0, done
        assert done.challenges[0]["attempts"] >= 6
    gaps = [b - a for a, b in zip(times, times[1:])]
    for i, gap in enumerate(gaps):
        assert gap >= 0.1 * 1.5 ** i - 0.005, gaps


def test_first_look_is_learnt(tmp_path):
    """An account whose records took two seconds is not asked at once."""
    with lab.Liar(["late.test"]) as primary, \
            lab.Liar(["late.test"]) as server:
        placard = lab.Placard(tmp_path)
        placard.rfc2136("lab", primary, zone="late.test")
        placard.route("late.test", "lab")
        placard.servers(server.where())

        def published():
            return [at for at, opcode, _ in primary.heard
                    if opcode == dns.opcode.UPDATE]
        proc = placard.popen("--json", "present", *ASK, "--timeout", "60")
        lab.wait_for(published, "it is published", 60)
        lab.wait_for(lambda: looks(server), "a look", 60)
        # Nothing is known of the account yet: it is looked for soon.
        eager = len(looks(server))
        time.sleep(2)
        assert len(looks(server)) > eager
        server.put(NAME, 60, "TXT", f'"{VALUE}"')
        done = placard.finish(proc)
        assert done.status == 0, done
        placard.ok("cleanup", "--all")
        # Once more, as another process: the journal has kept it.
        before, updates = len(looks(server)), len(published())
        done = placard.json("present", *ASK, "--timeout", "60")
        assert done.status == 0 and done.challenges[0]["attempts"] == 1, done
        first = looks(server)[before]
        assert first - published()[updates] >= 2 * 0.75 - 0.1
