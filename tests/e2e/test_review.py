# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""What a reader of the contracts tried first: jobs that are held, cleanup by
job file, aliases in the pre-flight."""

import signal
import time

import lab


def wait_text(bed, name, count=1):
    return lab.wait_for(lambda: len(bed.texts(name)) == count,
                        f"{count} at {name}", gap=0.05)


# -- hold

def test_a_signal_ends_the_hold_and_not_the_removal(bed):
    job = bed.placard.job_file(lab.job(lab.dns01(bed.zone), hold=600))
    proc = bed.placard.popen("--json", "present", "--jobs", job)
    # Visible is in the journal as soon as the waiting begins.
    lab.wait_for(lambda: any("visible" in line for line
                             in bed.placard.listed()), "held", gap=0.05)
    proc.send_signal(signal.SIGTERM)
    done = bed.placard.finish(proc)
    assert done.status == 6, done
    assert done.report["state"] == "removed", done
    assert bed.placard.quiet_journal()
    bed.unchanged()


def test_each_job_is_held_as_long_as_it_says(bed):
    """One that goes when it is visible does not wait for one that stays."""
    job = bed.placard.job_file(
        lab.job(lab.dns01("short." + bed.zone), hold="until-visible",
                name="short"),
        lab.job(lab.dns01("long." + bed.zone), hold=600, name="long"))
    proc = bed.placard.popen("--json", "present", "--jobs", job)
    wait_text(bed, "_acme-challenge.long." + bed.zone)
    wait_text(bed, "_acme-challenge.short." + bed.zone, 0)
    lab.wait_for(lambda: len(bed.placard.listed()) == 1, "one is left",
                 gap=0.05)
    assert bed.texts("_acme-challenge.long." + bed.zone)
    proc.send_signal(signal.SIGTERM)
    done = bed.placard.finish(proc)
    assert [r["state"] for r in done.objects] == ["removed", "removed"], done
    bed.unchanged()


def test_hold_of_a_second_ends_by_itself(bed):
    job = bed.placard.job_file(lab.job(lab.dns01(bed.zone), hold=1))
    start = time.monotonic()
    done = bed.placard.json("present", "--jobs", job)
    assert done.status == 0, done
    assert time.monotonic() - start >= 1
    assert done.report["state"] == "removed"
    bed.unchanged()


# -- deadlines

def test_a_deadline_that_has_passed(bed):
    job = bed.placard.job_file(lab.job(lab.dns01(bed.zone),
                                       deadline="2020-01-01T00:00:00Z"))
    done = bed.placard.json("present", "--jobs", job)
    assert done.status == 3, done
    assert "deadline" in done.err and "2020-01-01" in done.err, done
    assert bed.placard.quiet_journal()
    bed.unchanged()
    # What it may have left from better days can still be cleaned up.
    bed.placard.ok("cleanup", "--jobs", job)


# -- cleanup tells about the job that it was given

def pair(zone):
    """The apex and its wildcard, whose record and value are the same."""
    name = f"_{'ab' * 16}.{zone}"
    return [{"method": "dns-cname", "domain": domain, "name": name,
             "value": "x.ca.test"} for domain in (zone, "*." + zone)]


def test_the_report_of_a_cleanup_mirrors_the_job(bed):
    job = bed.placard.job_file(lab.job(*pair(bed.zone), lab.dns01(bed.zone),
                                       lab.dns01("never." + bed.zone),
                                       name="mirror"))
    only = bed.placard.job_file(lab.job(*pair(bed.zone), lab.dns01(bed.zone),
                                        name="mirror"), name="only.json")
    done = bed.placard.json("present", "--no-wait", "--jobs", only)
    assert done.status == 0, done
    done = bed.placard.json("cleanup", "--jobs", job)
    assert done.status == 0, done
    assert done.report["job"] == "mirror"
    assert [(c["domain"], c["state"]) for c in done.report["challenges"]] == [
        (bed.zone, "removed"), ("*." + bed.zone, "removed"),
        (bed.zone, "removed"), ("never." + bed.zone, "removed")]
    assert bed.placard.quiet_journal()
    bed.unchanged()


def test_one_of_a_pair_leaves_the_record_for_the_other(bed):
    """Each job owns its share; the record goes with the last."""
    one, two = pair(bed.zone)
    first = bed.placard.job_file(lab.job(one, name="one"), name="one.json")
    second = bed.placard.job_file(lab.job(two, name="two"), name="two.json")
    bed.placard.ok("present", "--no-wait", "--jobs", first)
    bed.placard.ok("present", "--no-wait", "--jobs", second)
    done = bed.placard.json("cleanup", "--job", "one")
    assert done.report["job"] == "one" and done.status == 0, done
    assert bed.primary.target(one["name"]) == "x.ca.test."
    bed.placard.ok("cleanup", "--job", "two")
    bed.unchanged()
