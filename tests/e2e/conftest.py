# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Fixtures.  A test takes what it names: a bed, a web server, a namespace.

The build under test is $PLACARD_BUILD, or the top of the source tree.
"""

import os
import sys

import pytest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import lab  # noqa: E402

POOL = 200


def pytest_addoption(parser):
    parser.addoption("--soak", action="store_true",
                     help="every crash point, not every k-th")


def pytest_configure(config):
    config.addinivalue_line("markers", "crash: kills at system calls")
    config.addinivalue_line("markers", "big: thousands of names")
    config.addinivalue_line("markers", "quick: the subset for instrumented "
                            "builds")
    # A liar or a server's thread that dies would make a test say nothing.
    config.addinivalue_line(
        "filterwarnings",
        "error::pytest.PytestUnhandledThreadExceptionWarning")


def pytest_report_header():
    return f"placard: {lab.build_dir()}"


@pytest.fixture(scope="session")
def soak(request):
    return request.config.getoption("--soak")


@pytest.fixture(scope="session")
def pool(tmp_path_factory):
    """A primary and its secondary that many tests share, zone by zone."""
    base = tmp_path_factory.mktemp("pool")
    zones = [f"z{i:03d}.lab.test" for i in range(POOL)]
    address = "127.0.0.1"
    port = lab.free_port(address)
    with lab.Named(base / "primary", zones,
                   secondaries=[f"{address}:{port}"], second=address,
                   recursion=True) as primary:
        with lab.Named(base / "secondary", zones, keys=primary.keys,
                       primary=primary, address=address,
                       port=port) as secondary:
            primary.secondary = secondary
            primary.left = list(zones)
            yield primary


class Bed:
    """One zone for one test, and a placard that may change it."""

    def __init__(self, directory, primary, zone):
        self.primary = primary
        self.secondary = primary.secondary
        self.zone = zone
        self.placard = lab.Placard(directory)
        self.placard.rfc2136("lab", primary)
        self.placard.route(zone, "lab")
        self.placard.servers(primary.where(), self.secondary.where())
        self.owner = f"_acme-challenge.{zone}"
        self.before = self.dump()

    def dump(self):
        return self.primary.dump(self.zone)

    def texts(self, name=None):
        return self.primary.texts(name or self.owner)

    def seed(self, *values, name=None, ttl=77):
        """A stranger's values; from now on they belong to the zone."""
        self.primary.seed(self.zone, name or self.owner, *values, ttl=ttl)
        self.before = self.dump()

    def unchanged(self):
        after = self.dump()
        assert after == self.before, difference(self.before, after)

    def dns01(self, seed="x", domain=None):
        """The command line of one dns-01 challenge."""
        return ["-m", "dns-01", "-d", domain or self.zone, "--value",
                lab.value(seed)]


def difference(before, after):
    """What of a dump is new and what is gone."""
    old, new = set(before.splitlines()), set(after.splitlines())
    return ("zone changed:\n" +
            "".join(f"  + {line}\n" for line in sorted(new - old)) +
            "".join(f"  - {line}\n" for line in sorted(old - new)))


@pytest.fixture
def bed(pool, tmp_path):
    one = Bed(tmp_path, pool, pool.left.pop())
    first = one.before
    yield one
    # A zone that is as it was can serve another test.
    if one.dump() == first:
        pool.left.insert(0, one.zone)


@pytest.fixture(scope="session")
def knot_pool(tmp_path_factory):
    zones = [f"k{i:02d}.lab.test" for i in range(40)]
    with lab.Knotd(tmp_path_factory.mktemp("knot"), zones) as server:
        server.left = list(zones)
        server.secondary = server
        yield server


@pytest.fixture
def knot_bed(knot_pool, tmp_path):
    one = Bed(tmp_path, knot_pool, knot_pool.left.pop())
    one.placard.servers(knot_pool.where())
    return one


@pytest.fixture
def web(tmp_path):
    with lab.Nginx(tmp_path / "web") as server:
        yield server


@pytest.fixture
def placard(tmp_path):
    """A placard without any account."""
    return lab.Placard(tmp_path)


@pytest.fixture(scope="session")
def can_unshare():
    if not lab.namespaces_work():
        pytest.skip("this user may not make namespaces")


@pytest.fixture
def namespace(can_unshare, tmp_path):
    with lab.Namespace(resolver="127.0.0.1",
                       directory=str(tmp_path)) as one:
        yield one
