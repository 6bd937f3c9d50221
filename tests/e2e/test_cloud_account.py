# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""What holds for the accounts of all five vendors: how fast they are called,
what a test of them says, and what is done with a refused credential."""

import os
import sqlite3
import time

import pytest

import lab
from lab_vendor import CloudBed
from fakes import azure, cloudflare, cloudns, godaddy, route53

VENDORS = {module.__name__.rpartition(".")[2]: module for module in
           (azure, cloudflare, cloudns, godaddy, route53)}


def credentials(fake):
    """Cloudflare has two kinds; the narrower one."""
    if fake.vendor == "cloudflare":
        return {"api-token": fake.tokens["full"]["value"]}
    return dict(fake.credentials)


def at_rate(directory, fake, rate=None):
    bed = CloudBed(directory, fake)
    return bed.login(credentials(fake), rate=rate)


@pytest.fixture(params=sorted(VENDORS))
def bed(request, tmp_path):
    with VENDORS[request.param].Fake() as fake:
        yield at_rate(tmp_path, fake)


def tokens(bed):
    """What the journal says is in the account's bucket."""
    journal = sqlite3.connect(os.path.join(bed.placard.state, "journal.db"))
    try:
        return journal.execute("SELECT tokens FROM account").fetchone()[0]
    finally:
        journal.close()


# -- pacing

def test_a_call_costs_the_requests_that_it_made(bed):
    """66 a minute: twelve at once, then little more than one a second."""
    bed.login(credentials(bed.fake), rate=66)
    start = time.monotonic()
    bed.present_ok(*bed.one())
    took = time.monotonic() - start
    made = len(bed.fake.calls())
    assert 2 < made <= 12
    assert 12 - made - 0.01 <= tokens(bed) <= 12 - made + took * 66 / 60
    # The next command goes on from there, whatever it needs.
    bed.clean()
    took, made = time.monotonic() - start, len(bed.fake.calls())
    assert tokens(bed) <= 12 - made + took * 66 / 60


def test_what_is_owed_is_waited_for(tmp_path):
    """A second a request: three are owed, so it takes four until the next."""
    with cloudflare.Fake() as fake:
        bed = at_rate(tmp_path, fake, rate=60)
        bed.present_ok(*bed.one())
        bed.restart_log()
        journal = sqlite3.connect(os.path.join(bed.placard.state,
                                               "journal.db"))
        now = time.time()
        journal.execute("UPDATE account SET tokens = -3, stamp = ?",
                        [int(now * 1000)])
        journal.commit()
        journal.close()
        bed.clean()
        assert fake.calls()[0].time >= now + 3.9
