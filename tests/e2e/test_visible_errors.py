# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Servers that lie, refuse or keep silent when asked for the record."""

import pytest

import lab

NAME = "_acme-challenge.liar.test"
ASK = ["-m", "dns-01", "-d", "liar.test", "--value", lab.value()]


def verify(tmp_path, *servers, seconds="3"):
    placard = lab.Placard(tmp_path)
    placard.servers(*(s if isinstance(s, str) else s.where()
                      for s in servers))
    return placard.json("verify", *ASK, "--timeout", seconds)


def holding(lie=None, value=lab.value()):
    liar = lab.Liar(["liar.test"], query_lie=lie)
    liar.put(NAME, 60, "TXT", f'"{value}"')
    return liar


@pytest.mark.quick
def test_the_liar_is_fine_when_honest(tmp_path):
    with holding() as liar:
        done = verify(tmp_path, liar)
        assert done.status == 0, done


@pytest.mark.quick
@pytest.mark.parametrize("lie", [
    "wrong-id", "wrong-port", "wrong-address", "wrong-question",
    "no-question", "not-a-response", "wrong-opcode", "garbage", "short",
    "silence", "truncated", "servfail", "refused", "notauth",
    "other-value"])
def test_lie_is_never_present(tmp_path, lie):
    with holding(lie) as liar:
        done = verify(tmp_path, liar)
        assert liar.told >= 1
        # Not visible; 6 where nobody gave an answer that counts.
        assert done.status in (5, 6), done
        one, = done.report["challenges"]
        assert one["state"] != "visible" and one["visible"] is None
        assert one["verdicts"]
        assert all(v["answer"] != "present" for v in one["verdicts"])
        if lie in ("silence", "wrong-id", "wrong-port", "wrong-address"):
            assert {v["answer"] for v in one["verdicts"]} == {"timeout"}
        if lie == "refused":
            assert {v["answer"] for v in one["verdicts"]} <= {"refused",
                                                              "lame"}
        if lie == "other-value":
            assert {v["answer"] for v in one["verdicts"]} == {"absent"}


@pytest.mark.parametrize("near", [
    lab.value()[:-1], lab.value() + "A", lab.value().swapcase(),
    " " + lab.value(), lab.value() + " "],
    ids=["shorter", "longer", "case", "blank first", "blank last"])
def test_almost_the_value_is_not_it(tmp_path, near):
    with holding(value=near) as liar:
        done = verify(tmp_path, liar, seconds="1")
        assert done.status == 5, done
        assert done.challenges[0]["verdicts"][0]["answer"] == "absent"


def test_value_in_two_strings_is_it(tmp_path):
    with lab.Liar(["liar.test"]) as liar:
        liar.put(NAME, 60, "TXT",
                 f'"{lab.value()[:20]}" "{lab.value()[20:]}"')
        done = verify(tmp_path, liar)
        assert done.status == 0, done


def test_value_in_two_records_is_not_it(tmp_path):
    with lab.Liar(["liar.test"]) as liar:
        liar.put(NAME, 60, "TXT", f'"{lab.value()[:20]}"')
        liar.put(NAME, 60, "TXT", f'"{lab.value()[20:]}"')
        done = verify(tmp_path, liar, seconds="1")
        assert done.status == 5, done


def test_one_liar_among_honest_ones(tmp_path):
    with holding() as good, holding("wrong-id") as bad:
        done = verify(tmp_path, good, bad)
        assert done.status in (5, 6), done
        assert sorted(v["answer"] for v in done.challenges[0]["verdicts"]
                      ) == ["present", "timeout"]


def test_dead_server(tmp_path):
    with holding() as good:
        done = verify(tmp_path, good, f"127.0.0.1:{lab.closed_port()}")
        assert done.status in (5, 6), done
        assert sorted(v["answer"] for v in done.challenges[0]["verdicts"]
                      )[0] == "present"


def test_cname_loop_is_said(tmp_path):
    with lab.Liar(["liar.test"]) as liar:
        liar.put(NAME, 60, "CNAME", "a.liar.test.")
        liar.put("a.liar.test", 60, "CNAME", "b.liar.test.")
        liar.put("b.liar.test", 60, "CNAME", "a.liar.test.")
        done = verify(tmp_path, liar)
        assert done.status in (1, 5), done
        texts = " ".join(e["text"] for e in done.errors()) + done.err
        assert "loop" in texts.lower(), done


def test_appears_later(tmp_path):
    """It is asked again until it is there."""
    with lab.Liar(["liar.test"]) as liar:
        placard = lab.Placard(tmp_path)
        placard.servers(liar.where())
        proc = placard.popen("--json", "verify", *ASK, "--timeout", "60")
        lab.wait_for(lambda: liar.queries >= 3, "three looks")
        liar.put(NAME, 60, "TXT", f'"{lab.value()}"')
        done = placard.finish(proc)
        assert done.status == 0, done


def test_questions_cannot_be_guessed(tmp_path):
    """Ids, source ports, and the case of letters (0x20) are all random."""
    with lab.Liar(["liar.test"]) as liar:
        names = [f"n{i}.liar.test" for i in range(200)]
        for name in names:
            liar.put(f"_acme-challenge.{name}", 60, "TXT",
                     f'"{lab.value()}"')
        placard = lab.Placard(tmp_path)
        placard.servers(liar.where())
        done = placard.run("verify", "--jobs", placard.job_file(lab.job(*(
            lab.dns01(name) for name in names))))
        assert done.status == 0, done
        asked = [(w, p) for w, p in liar.datagrams
                 if b"\x0f_acme-challenge" in w.lower()]
    assert len(asked) >= 200
    ids = [int.from_bytes(w[:2], "big") for w, _ in asked]
    assert len(set(ids)) > 190
    steps = {(b - a) % 65536 for a, b in zip(ids, ids[1:])}
    assert len(steps) > 190
    ports = [p[1] for _, p in asked]
    assert len(set(ports)) >= 4
    # "_acme-challenge" has 13 letters: hardly ever all of them alike.
    cased = {w[13:28] for w, _ in asked}
    assert len(cased) > 150
    upper = sum(chr(c).isupper() for word in cased for c in word)
    assert 0.4 < upper / (13 * len(cased)) < 0.6


def test_killed_check_worker_is_replaced(tmp_path):
    with lab.Liar(["liar.test"]) as liar:
        placard = lab.Placard(tmp_path)
        placard.servers(liar.where())
        proc = placard.popen("--json", "verify", *ASK, "--timeout", "60")
        lab.wait_for(lambda: liar.queries >= 2, "two looks")
        for pid in lab.workers_of(proc.pid, "placard-check"):
            lab.kill_tree(pid)
        liar.put(NAME, 60, "TXT", f'"{lab.value()}"')
        done = placard.finish(proc)
        assert done.status == 0, done


def test_published_where_no_web_server_answers(tmp_path):
    """Published, never seen: status 5, whatever kept it from being seen."""
    placard = lab.Placard(tmp_path / "placard")
    (tmp_path / "root").mkdir()
    placard.account("web", "file", root=str(tmp_path / "root"))
    placard.route("www.example.test", "web")
    placard.verify.update({
        "http-servers": [f"127.0.0.1:{lab.closed_port()}"],
        "site-local": True})
    challenge = ["-m", "http-01", "-d", "www.example.test", "--token", "abc",
                 "--key-authorization", "abc.def", "--timeout", "1"]
    done = placard.run("present", *challenge)
    assert done.status == 5 and "refused" in done.err, done
    assert len(placard.listed()) == 1
    placard.ok("cleanup", *challenge[:8])
    assert placard.quiet_journal()
