# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Where the chain of an issued certificate may end."""

import os

import pytest

from lab_order import counter, order_world  # noqa: F401


@pytest.fixture
def rootless(counter):
    """The store keeps its root to itself."""
    counter.control("moods", files="no-root")
    return counter


def certificates(counter):
    return counter.rows("SELECT count(*) FROM certificates")[0][0]


def test_root_in_the_answer(counter):
    """It will do, but nobody else trusts it."""
    order = counter.new("positivessl", None, "dns", "--wait")
    assert order["certificate"]["trusted"] is False
    counter.all_good()


def test_root_file(rootless):
    rootless.controller("store", root_file=rootless.store.issuer)
    order = rootless.new("positivessl", None, "dns", "--wait")
    assert order["state"] == "issued" and order["error"] is None
    assert order["certificate"]["trusted"] is True
    out = os.path.join(rootless.dir, "files")
    rootless.ok("order", "download", order["id"], "--out", out)
    assert sorted(os.listdir(out)) == ["cert.pem", "chain.pem",
                                       "fullchain.pem"]
    rootless.all_good()


@pytest.mark.parametrize("content", [None, "no certificate"])
def test_root_file_of_no_use(rootless, content):
    """Said by name, the order kept: once it is mended, it goes on."""
    path = os.path.join(rootless.dir, "roots.pem")
    if content is not None:
        with open(path, "w", encoding="ascii") as out:
            out.write(content)
    rootless.controller("store", root_file=path)
    done = rootless.json(*rootless.new_args("positivessl", None, "dns",
                                            "--wait"))
    assert done.status == 3, done
    assert 'controller store: root-file: %s' % path in done.err
    order = done.objects[0]
    assert order["state"] == "issued" and order["step"] == "fetch"
    assert certificates(rootless) == 0
    with open(path, "w", encoding="ascii") as out, \
            open(rootless.store.issuer, encoding="ascii") as root:
        out.write(root.read())
    done = rootless.json("order", "refresh", order["id"], "--wait")
    assert done.status == 0, done
    assert done.objects[0]["certificate"]["trusted"] is True
    rootless.all_good()


def test_sync_keeps_no_broken_chain(rootless):
    """The order comes into the book and says what is wrong with it."""
    rootless.control("seed", count=3)
    done = rootless.json("order", "sync")
    assert done.status == 0, done
    report = done.objects[0]
    assert report["new"] == 3 and report["certificates"] == 0
    held = [o for o in rootless.control("orders") if o["certificates"]]
    assert held and report["unreadable"] == len(held)
    assert certificates(rootless) == 0
    for one in held:
        shown = rootless.order("show", one["id"])
        assert "certificate chain: unable to get" in \
            shown["error"]["text"]
    rootless.controller("store", root_file=rootless.store.issuer)
    done = rootless.json("order", "sync", "--full")
    assert done.objects[0]["certificates"] == len(held)
    assert certificates(rootless) == len(held)
    assert not [o for o in rootless.json("order", "list").objects
                if o["error"]]
