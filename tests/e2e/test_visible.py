# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Who sees it: every server's verdict, found by ourselves or told."""

import pytest

import lab


def answers(challenge):
    """{address:port or address: answer} of a challenge."""
    return {v["address"]: v["answer"] for v in challenge["verdicts"]}


@pytest.mark.quick
def test_verify_needs_no_account(bed, tmp_path):
    bed.primary.seed(bed.zone, bed.owner, lab.value("a"))
    lab.wait_for(lambda: bed.secondary.texts(bed.owner), "secondary has it")
    other = lab.Placard(tmp_path / "other")
    other.servers(bed.primary.where(), bed.secondary.where())
    done = other.json("verify", *bed.dns01("a"))
    assert done.status == 0, done
    one, = done.report["challenges"]
    assert one["state"] == "visible" and one["published"] is None
    assert [v["answer"] for v in one["verdicts"]] == ["present"] * 2
    assert other.quiet_journal()


def test_verify_changes_nothing(bed):
    updates = bed.primary.updates()
    done = bed.placard.json("verify", *bed.dns01("a"), "--timeout", "1")
    assert done.status == 5, done
    one, = done.report["challenges"]
    assert {v["answer"] for v in one["verdicts"]} == {"absent"}
    assert bed.primary.updates() == updates
    bed.unchanged()


def test_server_option_replaces_discovery(bed):
    bed.placard.verify.clear()
    bed.placard.ok("present", *bed.dns01("a"), "--no-wait")
    asked = bed.secondary.questions(bed.owner)
    done = bed.placard.json("verify", *bed.dns01("a"), "--server",
                            bed.primary.where())
    assert done.status == 0, done
    assert len(done.report["challenges"][0]["verdicts"]) == 1
    assert bed.secondary.questions(bed.owner) == asked


def test_waits_for_a_lagging_secondary(tmp_path):
    where = f"127.0.0.1:{lab.free_port('127.0.0.1')}"
    port = int(where.rsplit(":", 1)[1])
    with lab.Named(tmp_path / "a", ["one.test"], secondaries=[where],
                   notify="lag") as primary, \
            lab.Named(tmp_path / "b", ["one.test"], keys=primary.keys,
                      primary=primary, port=port) as secondary:
        placard = lab.Placard(tmp_path / "p")
        placard.rfc2136("lab", primary).route("one.test", "lab")
        placard.servers(primary.where(), where)
        # Two changes in a row: named holds the second NOTIFY back.
        primary.seed("one.test", "x.one.test", "1")
        lab.wait_for(lambda: secondary.texts("x.one.test"), "told of x")
        done = placard.json("present", "-m", "dns-01", "-d", "one.test",
                            "--value", lab.value())
        assert done.status == 0, done
        assert secondary.texts("_acme-challenge.one.test") == [lab.value()]
        one, = done.report["challenges"]
        assert [v["answer"] for v in one["verdicts"]] == ["present"] * 2


def test_set_too_large_for_udp(bed):
    """Forty values at one name: truncated over UDP, so asked by TCP."""
    job = bed.placard.job_file(lab.job(*(
        lab.dns01(bed.zone, str(i)) for i in range(40))))
    done = bed.placard.json("present", "--jobs", job)
    assert done.status == 0, done
    assert len(bed.texts()) == 40
    bed.placard.ok("cleanup", "--jobs", job)
    bed.unchanged()


def test_cname_is_seen(bed):
    done = bed.placard.json(
        "present", "-m", "dns-cname", "-d", bed.zone, "--name",
        f"_{'0a' * 16}.{bed.zone}", "--value", "x.ca.test")
    assert done.status == 0, done
    assert [v["answer"] for v in done.challenges[0]["verdicts"]] == [
        "present"] * 2


def test_quorum(bed):
    bed.placard.servers(bed.primary.where(),
                        f"127.0.0.1:{lab.closed_port()}")
    done = bed.placard.json("present", *bed.dns01("a"), "--timeout", "3")
    assert done.status == 5, done
    bed.placard.verify["quorum"] = 1
    bed.placard.write()
    done = bed.placard.json("verify", *bed.dns01("a"), "--timeout", "10")
    assert done.status == 0, done


# -- in a namespace, on the real ports

@pytest.fixture
def world(namespace, tmp_path):
    """one.test on two name servers and two web servers, ports 53 and 80."""
    extra = "site A 127.0.0.11\nsite A 127.0.0.12\nsite6 AAAA ::1\n"
    with lab.Named(tmp_path / "a", ["one.test"], ns=namespace,
                   address="127.0.0.2", port=53, recursion=True,
                   also_listen=["127.0.0.1"], second="127.0.0.3",
                   secondaries=["127.0.0.3:53"], extra=extra) as primary:
        with lab.Named(tmp_path / "b", ["one.test"], ns=namespace,
                       keys=primary.keys, primary=primary,
                       address="127.0.0.3", port=53) as secondary, \
                lab.Nginx(tmp_path / "w", {
                    "127.0.0.11:80": str(tmp_path / "r11"),
                    "127.0.0.12:80": str(tmp_path / "r12"),
                    "[::1]:80": str(tmp_path / "r11")},
                    ns=namespace) as web:
            placard = lab.Placard(tmp_path / "p", ns=namespace)
            placard.rfc2136("lab", primary).route("one.test", "lab")
            placard.verify["resolvers"] = ["127.0.0.1"]
            placard.verify["site-local"] = True
            for name in ("11", "12"):
                placard.account("web" + name, "file",
                                root=str(tmp_path / ("r" + name)))
            placard.primary, placard.secondary = primary, secondary
            placard.web = web
            yield placard


DNS = ["-m", "dns-01", "-d", "one.test", "--value", lab.value()]


def test_finds_the_servers_by_itself(world):
    before = world.primary.dump()
    done = world.json("present", *DNS)
    assert done.status == 0, done
    one, = done.report["challenges"]
    assert answers(one) == {"127.0.0.2": "present", "127.0.0.3": "present"}
    assert {v["server"] for v in one["verdicts"]} == {"ns1.one.test",
                                                      "ns2.one.test"}
    world.ok("cleanup", "--all")
    assert world.primary.dump() == before


def test_names_the_silent_server(world):
    world.secondary.pause()
    done = world.json("present", *DNS, "--timeout", "4")
    world.secondary.resume()
    assert done.status == 5, done
    one, = done.report["challenges"]
    assert answers(one) == {"127.0.0.2": "present", "127.0.0.3": "timeout"}
    assert one["state"] == "published"


def test_names_the_lame_server(world, namespace, tmp_path):
    world.secondary.stop()
    with lab.Named(tmp_path / "c", ["other.test"], ns=namespace,
                   address="127.0.0.3", port=53):
        done = world.json("present", *DNS, "--timeout", "3")
        assert done.status == 5, done
        one, = done.report["challenges"]
        assert answers(one)["127.0.0.2"] == "present"
        assert answers(one)["127.0.0.3"] in ("refused", "lame")


@pytest.fixture
def http(world):
    world.route("site.one.test", "web11", "web12", method="http-01")
    return world


HTTP = ["-m", "http-01", "-d", "site.one.test", "--token",
        "tok-en_0123456789", "--key-authorization",
        "tok-en_0123456789.thumb"]


def test_file_on_every_address(http):
    done = http.json("present", *HTTP, "--timeout", "10")
    assert done.status == 0, done
    for where in ("127.0.0.11:80", "127.0.0.12:80"):
        assert http.web.fetch("/.well-known/acme-challenge/"
                              "tok-en_0123456789", where=where) == (
            200, b"tok-en_0123456789.thumb")
    done = http.json("verify", *HTTP, "--timeout", "10")
    assert done.status == 0, done
    assert set(answers(done.challenges[0])) == {"127.0.0.11", "127.0.0.12"}
    assert http.web.log().count("GET /.well-known/acme-challenge/") >= 4
    http.ok("cleanup", *HTTP)
    assert http.web.fetch("/.well-known/acme-challenge/tok-en_0123456789",
                          where="127.0.0.12:80")[0] == 404


def test_file_over_ipv6(world, tmp_path):
    world.route("site6.one.test", "web11", method="http-01")
    ask = [a.replace("site.one", "site6.one") for a in HTTP]
    done = world.json("present", *ask, "--timeout", "10")
    assert done.status == 0, done
    assert set(answers(done.challenges[0])) == {"::1"}


def test_file_on_one_of_two_addresses(world):
    world.route("site.one.test", "web11", method="http-01")
    done = world.json("present", *HTTP, "--timeout", "3")
    assert done.status == 5, done
    seen = answers(done.challenges[0])
    assert seen["127.0.0.11"] == "present"
    assert seen["127.0.0.12"] != "present"


def test_file_with_other_bytes_is_not_it(http, tmp_path):
    http.ok("present", *HTTP, "--timeout", "10")
    path = (tmp_path / "r12" / ".well-known" / "acme-challenge" /
            "tok-en_0123456789")
    path.write_bytes(b"tok-en_0123456789.thumb\n")
    done = http.json("verify", *HTTP, "--timeout", "2")
    assert done.status == 5, done
    seen = answers(done.challenges[0])
    assert seen["127.0.0.11"] == "present"
    assert seen["127.0.0.12"] != "present"


def test_run_with_a_file(http, tmp_path):
    done = http.run("run", *HTTP, "--timeout", "10", "--", "/usr/bin/curl",
                    "-sf", "http://site.one.test/.well-known/acme-challenge/"
                    "tok-en_0123456789")
    assert done.status == 0, done
    assert "tok-en_0123456789.thumb" in done.out
    assert lab.tree(tmp_path / "r11") == {} == lab.tree(tmp_path / "r12")
