# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""placardd takes certificates to their targets by itself, and tries again."""

import os
import signal
import time

import pytest

import lab
import lab_deploy
import lab_tls
from lab_daemon import Daemon
from lab_deploy import Depot, pair
from lab_order import counter, order_world  # noqa: F401

WWW = "www.example.com"


@pytest.fixture
def depot(tmp_path):
    return Depot(tmp_path / "p")


@pytest.fixture
def out(tmp_path):
    return str(tmp_path / "out")


class Started(Daemon):
    """placardd over a depot, whose sections may change."""

    def write(self):
        self.extra = self.placard.head + self.placard.sections
        body = self.placard._options(self.service)
        self.placard.extra = self.extra + f"service {{\n{body}}}\n"
        lab.Placard.write(self.placard)


@pytest.fixture
def daemon(depot):
    one = Started(depot)
    yield one
    one.stop()


def state(depot, one, target=WWW):
    return depot.rows(one).get(target, ("none", False, None))


def wait_state(depot, one, wanted, target=WWW):
    lab.wait_for(lambda: state(depot, one, target)[0] == wanted,
                 f"{target} to be {wanted}", 60, gap=0.1)


@pytest.mark.quick
def test_takes_up_what_is_issued(depot, daemon, out, tmp_path):
    """What the book has at its start, and what comes into it later."""
    first = depot.issue(WWW)
    depot.deploy(WWW, directory=out, key_file=first.key_file)
    depot.go(first)
    with lab_tls.NginxTls(tmp_path / "nginx", out) as server:
        depot.sections = ""
        depot.deploy(WWW, directory=out, key_file=depot.dir + "/next.key",
                     **server.options())
        second = depot.issue(WWW, key_file=depot.dir + "/next.key")
        ended = depot.issue(WWW, begin=time.time() - 90 * lab_deploy.DAY,
                            days=60, key_file=depot.dir + "/old.key")
        daemon.start()
        wait_state(depot, second, "served")
        assert server.shown() == second.sha256
        assert state(depot, first)[0] == "replaced"
        assert depot.rows(ended) == {}
        daemon.stop()
    assert depot.events(second) == ["deployed", "served"]
    assert "reload target=www.example.com" in daemon.log()


@pytest.mark.quick
def test_tries_again(depot, daemon, out):
    """A reload that failed is repeated; the files were there all along."""
    one = depot.issue(WWW)
    flag = out + ".flag"
    depot.deploy(WWW, directory=out, key_file=one.key_file,
                 reload=["/usr/bin/test", "-e", flag])
    daemon.start()
    wait_state(depot, one, "failed")
    assert pair(out) == one.sha256
    rows = state(depot, one)
    assert rows[1] is True and "reload: exit status 1" in rows[2]
    open(flag, "w").close()
    wait_state(depot, one, "deployed")
    assert state(depot, one) == ("deployed", False, None)
    assert depot.events(one) == ["failed", "deployed"]


def test_key_that_comes_later(depot, daemon, out):
    """Refused for good is tried again, too, only not so soon."""
    one = depot.issue(WWW)
    os.rename(one.key_file, one.key_file + ".away")
    depot.deploy(WWW, directory=out, key_file=one.key_file)
    daemon.start()
    wait_state(depot, one, "failed")
    due = depot.sql("SELECT due FROM targets")[0][0] / 1000 - time.time()
    assert 800 < due < 1000
    daemon.stop()
    os.rename(one.key_file + ".away", one.key_file)
    depot.sql("UPDATE targets SET due = 1")
    daemon.start()
    wait_state(depot, one, "deployed")


def test_not_served_at_first(depot, daemon, out, tmp_path):
    """The server comes back an hour later."""
    one = depot.issue(WWW)
    server = lab_tls.NginxTls(tmp_path / "nginx", out)
    depot.deploy(WWW, directory=out, key_file=one.key_file,
                 served=server.where())
    daemon.start()
    wait_state(depot, one, "deployed")
    with server:
        wait_state(depot, one, "served")
    assert pair(out) == one.sha256


@pytest.mark.quick
def test_one_target_hangs(depot, daemon, out):
    """The others do not wait for it, and a restart goes on with it."""
    one = depot.issue(WWW)
    depot.targets(WWW, {"key_file": one.key_file},
                  slow={"directory": out,
                        "reload": ["/bin/sleep", "600"]},
                  quick={"directory": out + "2"})
    daemon.start()
    wait_state(depot, one, "deployed", f"{WWW}/quick")
    assert state(depot, one, f"{WWW}/slow")[:2] == ("pending", True)
    daemon.stop(signal.SIGKILL)
    depot.sections = ""
    depot.targets(WWW, {"key_file": one.key_file},
                  slow={"directory": out}, quick={"directory": out + "2"})
    daemon.start()
    wait_state(depot, one, "deployed", f"{WWW}/slow")
    assert pair(out) == pair(out + "2") == one.sha256
    assert depot.events(one).count("deployed") == 2


def test_next_certificate_of_an_order(depot, daemon, out):
    """A reissue: the same order has another certificate and key."""
    one = depot.issue(WWW, key_file=depot.dir + "/k.key")
    depot.deploy(WWW, directory=out, key_file=one.key_file)
    daemon.start()
    wait_state(depot, one, "deployed")
    daemon.stop()
    new = depot.issue(WWW, key_file=one.key_file, number=one.number)
    daemon.start()
    lab.wait_for(lambda: pair(out) == new.sha256, "the new one", 60, gap=0.1)
    wait_state(depot, new, "deployed")


def test_from_the_order_to_the_server(counter, tmp_path):  # noqa: F811
    """All of it: ordered, proven, issued, deployed, seen served."""
    out = tmp_path / "certs"
    csr = counter.csr("www.example.com")
    key = csr[:-4] + ".key"
    server = lab_tls.NginxTls(tmp_path / "tls", out)
    counter.extra += ('deploy "*.example.com" {\n%s}\n' % counter._options(
        {"directory": str(out), "key_file": key,
         "served": server.where()}))
    counter.write()
    daemon = Daemon(counter)
    order = counter.new("positivessl", csr)
    daemon.start()
    try:
        lab.wait_for(lambda: counter.rows(
            "SELECT 1 FROM targets WHERE state = 1"), "deployed", 90,
            gap=0.1)
        with server:
            lab.wait_for(lambda: counter.rows(
                "SELECT 1 FROM targets WHERE state = 2"), "served", 90,
                gap=0.1)
            shown = server.shown()
        order = counter.order("show", order["id"])
        assert order["certificate"]["sha256"] == shown
        assert [t["state"] for t in order["targets"]] == ["served"]
        events = [e["event"] for e in order["events"]]
        assert events.index("certificate") < events.index("deployed")
        assert events[-1] == "served"
    finally:
        daemon.stop()
    counter.all_good()
