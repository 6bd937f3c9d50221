# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Broken on purpose: rights that end at a zone."""

import lab


def test_a_zone_without_rights_does_not_take_the_account_along(tmp_path):
    """Nine zones at once, more than are called for at the same time."""
    zones = [f"z{i}.test" for i in range(9)]
    closed = ["z0.test", "z8.test"]
    with lab.Named(tmp_path / "s", zones, policy={
            zone: "grant nobody zonesub ANY;" for zone in closed},
            keys=[lab.Key("placard."), lab.Key("nobody.")]) as server:
        placard = lab.Placard(tmp_path / "p")
        placard.rfc2136("lab", server).servers(server.where())
        before = [server.dump(zone) for zone in zones]
        job = placard.job_file(lab.job(*[lab.dns01(zone) for zone in zones]))
        done = placard.json("present", "--jobs", job)
        assert done.status == 7, done
        for challenge in done.report["challenges"]:
            bad = challenge["domain"] in closed
            assert challenge["state"] == ("failed" if bad else "visible")
            if bad:
                text = challenge["error"]["text"]
                assert "REFUSED" in text and challenge["domain"] in text
        placard.ok("cleanup", "--all")
        assert [server.dump(zone) for zone in zones] == before


def test_check_of_many_names_that_nobody_holds(tmp_path):
    """An answer that is no ends a question: the worker is free again."""
    with lab.Named(tmp_path / "s", ["one.test"]) as server:
        placard = lab.Placard(tmp_path / "p")
        placard.rfc2136("lab", server).servers(server.where())
        names = [f"n{i}.no.such.example" for i in range(7)]
        done = placard.json("check", *names)
        assert done.status == 1, done
        for seen in done.objects:
            assert "no account holds" in seen["account-error"], seen
