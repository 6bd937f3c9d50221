# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""What can go wrong between us and the name server that takes UPDATEs."""

import pytest

import lab

NEVER_BELIEVED = ["wrong-id", "wrong-port", "wrong-address", "wrong-question",
                  "wrong-mac", "wrong-key", "wrong-keyname", "old-time",
                  "future-time", "unsigned", "not-a-response", "wrong-opcode",
                  "garbage", "short", "silence"]


def only_failed(done):
    """The report's one challenge, which failed, and its error."""
    one, = done.report["challenges"]
    assert one["state"] == "failed", one
    assert one["published"] is None and one["visible"] is None, one
    return one["error"]


@pytest.mark.quick
def test_wrong_secret(bed):
    bed.placard.rfc2136("lab", bed.primary, key=lab.Key(bed.primary.key.name))
    done = bed.placard.json("present", *bed.dns01())
    assert done.status == 4, done
    error = only_failed(done)
    assert error["code"] == "auth" and error["retry"] is False
    assert "BADSIG" in error["text"] and "key-secret" in error["text"]
    bed.unchanged()
    assert bed.placard.quiet_journal()


def test_unknown_key(bed):
    bed.placard.rfc2136("lab", bed.primary, key=lab.Key("stranger."))
    done = bed.placard.json("present", *bed.dns01())
    assert done.status == 4, done
    assert "BADKEY" in only_failed(done)["text"]
    bed.unchanged()


def test_wrong_algorithm(bed):
    key = bed.primary.key
    bed.placard.rfc2136("lab", bed.primary, key=lab.Key(
        key.name, "hmac-sha512", key.secret))
    done = bed.placard.json("present", *bed.dns01())
    assert done.status == 4, done
    assert only_failed(done)["code"] == "auth"
    bed.unchanged()


def test_wrong_secret_on_knotd(knot_bed):
    bed = knot_bed
    bed.placard.rfc2136("lab", bed.primary, key=lab.Key(bed.primary.key.name))
    done = bed.placard.json("present", *bed.dns01())
    assert done.status == 4, done
    bed.unchanged()


@pytest.mark.quick
def test_dead_server(bed):
    bed.placard.rfc2136("lab", bed.primary, server=(
        f"127.0.0.1:{lab.closed_port()}"))
    done = bed.placard.json("present", *bed.dns01(), "--timeout", "3")
    assert done.status == 6, done
    assert only_failed(done)["retry"] is True
    bed.unchanged()


def test_silent_server(tmp_path):
    with lab.Named(tmp_path / "s", ["one.test"]) as server:
        placard = lab.Placard(tmp_path / "p")
        placard.rfc2136("lab", server, timeout=1).route("one.test", "lab")
        server.pause()
        done = placard.json("present", "-m", "dns-01", "-d", "one.test",
                            "--value", lab.value(), "--timeout", "4")
        server.resume()
        assert done.status == 6, done
        assert only_failed(done)["retry"] is True
        placard.ok("cleanup", "--all")
        assert server.texts("_acme-challenge.one.test") == []


def test_server_that_comes_back(tmp_path):
    """A passing fault passes: the job is done once the server is there."""
    with lab.Named(tmp_path / "s", ["one.test"]) as server:
        placard = lab.Placard(tmp_path / "p")
        placard.rfc2136("lab", server, timeout=1).route("one.test", "lab")
        placard.servers(server.where())
        server.pause()
        proc = placard.popen("--json", "present", "-m", "dns-01", "-d",
                             "one.test", "--value", lab.value(), "--timeout",
                             "60")
        lab.wait_for(lambda: lab.workers_of(proc.pid, "placard-dns"),
                     "a worker is there")
        server.resume()
        done = placard.finish(proc)
        assert done.status == 0, done
        assert server.texts("_acme-challenge.one.test") == [lab.value()]


def test_zone_that_nobody_holds(bed):
    done = bed.placard.json("present", *bed.dns01(domain="no.such.example"),
                            "-a", "lab")
    assert done.status == 1, done
    error = only_failed(done)
    assert "no.such.example" in error["text"] and error["retry"] is False


def test_policy_refuses(tmp_path):
    """The key is right but may not write there."""
    with lab.Named(tmp_path / "s", ["one.test"], policy={
            "one.test": "grant placard name _acme-challenge.ok.one.test. "
                        "TXT;"}) as server:
        placard = lab.Placard(tmp_path / "p")
        placard.rfc2136("lab", server).route("one.test", "lab")
        ask = ["-m", "dns-01", "--value", lab.value(), "--no-wait", "-d"]
        placard.ok("present", *ask, "ok.one.test")
        done = placard.json("present", *ask, "bad.one.test")
        assert done.status in (1, 4), done
        assert "REFUSED" in only_failed(done)["text"]
        placard.ok("cleanup", "--all")
        assert server.texts("_acme-challenge.ok.one.test") == []


def test_one_refused_name_does_not_take_others_along(tmp_path):
    """One UPDATE for several names, one of which the server refuses."""
    with lab.Named(tmp_path / "s", ["one.test"], policy={
            "one.test": "grant placard name _acme-challenge.ok.one.test. "
                        "TXT;"}) as server:
        placard = lab.Placard(tmp_path / "p")
        placard.rfc2136("lab", server).route("one.test", "lab")
        job = placard.job_file(lab.job(lab.dns01("ok.one.test"),
                                       lab.dns01("bad.one.test")))
        done = placard.json("present", "--jobs", job, "--no-wait")
        assert done.status == 7, done
        assert done.report["state"] == "partial"
        assert [c["state"] for c in done.report["challenges"]] == [
            "published", "failed"]
        placard.ok("cleanup", "--all")
        assert server.texts("_acme-challenge.ok.one.test") == []


def test_cname_in_the_way_of_a_txt(bed):
    """named ignores such an add silently; placard must not."""
    bed.primary.update(bed.zone, add=[(
        f"{bed.owner}.", 60, "CNAME", f"_acme-challenge.{bed.zone[:-4]}x.")])
    bed.before = bed.dump()
    done = bed.placard.json("present", *bed.dns01(), "--timeout", "3")
    assert done.status != 0, done
    bed.placard.run("cleanup", "--all")
    bed.unchanged()


def test_txt_in_the_way_of_a_cname(bed):
    name = f"_{'ab' * 16}.{bed.zone}"
    bed.seed("stranger", name=name)
    done = bed.placard.json("present", "-m", "dns-cname", "-d", bed.zone,
                            "--name", name, "--value", "x.ca.test",
                            "--timeout", "3")
    assert done.status != 0, done
    bed.placard.run("cleanup", "--all")
    bed.unchanged()


def test_strangers_cname_is_not_replaced(bed):
    name = f"_{'cd' * 16}.{bed.zone}"
    bed.primary.update(bed.zone, add=[(name + ".", 60, "CNAME",
                                       "theirs.ca.test.")])
    bed.before = bed.dump()
    done = bed.placard.json("present", "-m", "dns-cname", "-d", bed.zone,
                            "--name", name, "--value", "ours.ca.test",
                            "--timeout", "3")
    assert done.status != 0, done
    bed.unchanged()
    bed.placard.run("cleanup", "--all")
    bed.unchanged()


def test_two_accounts_hold_the_zone(bed):
    bed.placard.routes.clear()
    bed.placard.rfc2136("twin", bed.primary)
    done = bed.placard.json("present", *bed.dns01())
    assert done.status in (1, 3), done
    text = " ".join(e["text"] for e in done.errors()) + done.err
    assert "lab" in text and "twin" in text
    bed.unchanged()


# -- lies

def liar_placard(tmp_path, liar):
    placard = lab.Placard(tmp_path)
    placard.rfc2136("lab", liar, timeout=1).route("liar.test", "lab")
    placard.servers(liar.where())
    return placard


ASK = ["-m", "dns-01", "-d", "liar.test", "--value", lab.value()]


@pytest.mark.quick
def test_the_liar_is_fine_when_honest(tmp_path):
    with lab.Liar(["liar.test"]) as liar:
        placard = liar_placard(tmp_path, liar)
        placard.ok("present", *ASK)
        assert liar.texts("_acme-challenge.liar.test") == [lab.value()]
        placard.ok("cleanup", *ASK)
        assert liar.texts("_acme-challenge.liar.test") == []


@pytest.mark.quick
@pytest.mark.parametrize("lie", NEVER_BELIEVED)
def test_lie_after_an_update(tmp_path, lie):
    with lab.Liar(["liar.test"], update_lie=lie) as liar:
        placard = liar_placard(tmp_path, liar)
        done = placard.json("present", *ASK, "--no-wait", "--timeout", "2")
        assert liar.told >= 1
        assert done.status in (1, 4, 6), done
        only_failed(done)
        # What may have been done is remembered, and taken back later.
        liar.update_lie = None
        liar.put("_acme-challenge.liar.test", 60, "TXT",
                 f'"{lab.value()}"')
        placard.ok("cleanup", *ASK)
        assert liar.texts("_acme-challenge.liar.test") == []
        assert placard.quiet_journal()


@pytest.mark.parametrize("lie", ["wrong-id", "wrong-port", "wrong-mac",
                                 "old-time", "unsigned", "silence"])
def test_lie_after_a_removal(tmp_path, lie):
    with lab.Liar(["liar.test"]) as liar:
        placard = liar_placard(tmp_path, liar)
        placard.ok("present", *ASK, "--no-wait")
        liar.update_lie = lie
        done = placard.run("cleanup", *ASK, "--timeout", "2")
        assert liar.told >= 1
        assert done.status in (1, 4, 6), done
        assert len(placard.listed()) == 1
        liar.update_lie = None
        placard.ok("cleanup", "--all")
        assert liar.texts("_acme-challenge.liar.test") == []
        assert placard.quiet_journal()


@pytest.mark.parametrize("lie", [
    "wrong-id", "wrong-port", "wrong-address", "wrong-question",
    "not-a-response", "garbage", "short", "silence", "servfail", "refused"])
def test_lie_while_looking_for_the_zone(tmp_path, lie):
    with lab.Liar(["liar.test"], query_lie=lie) as liar:
        placard = liar_placard(tmp_path, liar)
        done = placard.json("present", *ASK, "--no-wait", "--timeout", "2")
        assert liar.told >= 1
        assert done.status in (1, 4, 6), done
        assert liar.texts("_acme-challenge.liar.test") == []


@pytest.mark.parametrize("lie,word", [("notauth", "NOTAUTH"),
                                      ("refused", "REFUSED"),
                                      ("notzone", "NOTZONE"),
                                      ("servfail", "SERVFAIL")])
def test_each_rcode_is_a_sentence(tmp_path, lie, word):
    with lab.Liar(["liar.test"], update_lie=lie) as liar:
        placard = liar_placard(tmp_path, liar)
        done = placard.json("present", *ASK, "--no-wait", "--timeout", "2")
        text = only_failed(done)["text"]
        assert word in text and "liar.test" in text
        # More than the bare word: a sentence that says what to do.
        assert len(text) > len(word) + 30, text


def test_answers_after_the_deadline(tmp_path):
    with lab.Liar(["liar.test"], delay=6) as liar:
        placard = liar_placard(tmp_path, liar)
        done = placard.json("present", *ASK, "--no-wait", "--timeout", "3")
        assert done.status == 6, done
        liar.delay = 0
        placard.ok("cleanup", *ASK)
        assert liar.texts("_acme-challenge.liar.test") == []


# -- workers that die or hang

def slow_start(tmp_path, liar, *more):
    placard = liar_placard(tmp_path, liar)
    placard.accounts["lab"]["timeout"] = 5
    proc = placard.popen("--json", "present", *ASK, "--no-wait", *more)
    lab.wait_for(lambda: liar.queries + liar.updates, "a message is out")
    workers = lab.wait_for(lambda: lab.workers_of(proc.pid, "placard-dns"),
                           "a worker is there")
    return placard, proc, workers


def test_killed_worker_is_replaced(tmp_path):
    with lab.Liar(["liar.test"], delay=1) as liar:
        placard, proc, workers = slow_start(tmp_path, liar, "--timeout",
                                            "60")
        for pid in workers:
            lab.kill_tree(pid)
        done = placard.finish(proc)
        assert done.status == 0, done
        assert liar.texts("_acme-challenge.liar.test") == [lab.value()]
        liar.delay = 0
        placard.ok("cleanup", "--all")
        assert liar.texts("_acme-challenge.liar.test") == []


def test_hanging_worker_is_replaced(tmp_path):
    with lab.Liar(["liar.test"], delay=1) as liar:
        placard, proc, workers = slow_start(tmp_path, liar, "--timeout",
                                            "100")
        for pid in workers:
            lab.kill_tree(pid, 19)
        done = placard.finish(proc)
        assert done.status == 0, done
        assert not [pid for pid in workers if lab.alive(pid)]
        assert liar.texts("_acme-challenge.liar.test") == [lab.value()]


def test_missing_worker_program(bed, tmp_path):
    done = bed.placard.run("present", *bed.dns01(), "--timeout", "5", env={
        "PLACARD_LIBEXEC": str(tmp_path / "nothing")})
    assert done.status != 0, done
    assert "placard-dns" in done.err
    bed.unchanged()
