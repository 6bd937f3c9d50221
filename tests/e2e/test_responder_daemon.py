# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""The responder below placardd: it answers for ever, and after everything."""

import os
import signal
import socket

import dns.exception
import dns.message
import dns.query

import lab
import lab_responder as lr
from lab_daemon import Daemon
from lab_net import wait_for

OWNER = f"_acme-challenge.{lr.ZONE}"


def texts(where, name=OWNER):
    """The values; None where nobody answers."""
    try:
        answer = dns.query.udp(dns.message.make_query(name, "TXT"), where[0],
                               port=where[1], timeout=0.3)
    except (OSError, dns.exception.DNSException):
        return None
    return sorted(b"".join(r.strings).decode() for rrset in answer.answer
                  for r in rrset)


def back(where):
    """What it says first, when somebody answers again."""
    box = []

    def look():
        found = texts(where)
        if found is not None:
            box.append(found)
        return bool(box)
    wait_for(look, "the responder is back")
    return box[0]


def test_for_ever(placard):
    where = lr.responder(placard)
    with Daemon(placard) as daemon:
        wait_for(lambda: texts(where) == [], "it answers before any job")
        daemon.submit(lab.job(lab.dns01(lr.ZONE, "a"),
                              lab.dns01("*." + lr.ZONE, "b"), name="one"))
        assert daemon.wait("one").status == 0
        both = sorted((lab.value("a"), lab.value("b")))
        assert texts(where) == both
        # Its worker dies, placardd dies with or without it, it is reloaded,
        # it is stopped and started: each time the first answer is whole.
        worker = next(pid for pid, name in daemon.workers().items()
                      if name == "placard-respond")
        os.kill(worker, signal.SIGKILL)
        assert back(where) == both
        daemon.kill()
        daemon.start()
        assert back(where) == both
        daemon.kill_engine()
        daemon.start()
        assert back(where) == both
        daemon.hup()
        assert back(where) == both
        daemon.stop()
        assert texts(where) is None
        daemon.start()
        assert back(where) == both
        # A command beside it is told to use it.
        done = placard.run("run", "-m", "dns-01", "-d", lr.ZONE, "--value",
                           lab.value("c"), "--", "true")
        assert done.status == 3 and "placardd" in done.err, done
        assert placard.run("check", lr.ZONE).status == 0
        daemon.release("one")
        wait_for(lambda: texts(where) == [], "released, and gone")
    assert placard.quiet_journal()


def test_its_port_is_taken_for_a_while(bed):
    """It is tried again, whatever else placardd has to do meanwhile."""
    where = lr.responder(bed.placard)
    bed.placard.servers(bed.primary.where(), bed.secondary.where())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(where)
        with Daemon(bed.placard) as daemon:
            wait_for(lambda: " responder account=" in daemon.log(), "it fails")
            for i in range(3):
                daemon.submit(lab.job(lab.dns01(bed.zone, f"m{i}"),
                                      name=f"m{i}", hold="until-visible"))
                daemon.wait(f"m{i}")
            taken.close()
            wait_for(lambda: texts(where) == [], "the responder answers", 60)
    bed.unchanged()
