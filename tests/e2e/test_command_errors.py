# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Each exit status by the shortest way to it, and errors as JSON."""

import os

import pytest

import lab
import lab_schema


@pytest.mark.quick
def test_status_0(bed):
    assert bed.placard.run("present", *bed.dns01()).status == 0


@pytest.mark.quick
def test_status_1(bed):
    done = bed.placard.run("present", *bed.dns01(domain="no.such.example"),
                           "-a", "lab")
    assert done.status == 1, done
    assert "no.such.example" in done.err


@pytest.mark.quick
@pytest.mark.parametrize("args", [
    [], ["no-such-command"], ["--no-such-option"], ["present"],
    ["present", "-m", "dns-01"], ["present", "-d", "example.test"],
    ["present", "-m", "no-such-method", "-d", "example.test", "--value",
     "x"],
    ["present", "-m", "dns-01", "-d", "example.test"],
    ["present", "-m", "dns-01", "-d", "a.test", "--value", lab.value(),
     "--no-such-option"],
    ["present", "-m", "dns-01", "-d", "a.test", "--value", lab.value(),
     "--timeout", "soon"],
    ["present", "-m", "dns-01", "-d", "a.test", "--value", lab.value(),
     "--timeout", "-1"],
    ["present", "-m", "dns-01", "-d", "a.test", "--value", lab.value(),
     "--ttl", "99999999999"],
    ["present", "-m", "dns-01", "-d", "a.test", "--value", lab.value(),
     "left", "over"],
    ["present", "-m", "dns-01", "-d", "a.test", "--value", lab.value(),
     "--jobs", "-"],
    ["run", "-m", "dns-01", "-d", "a.test", "--value", lab.value()],
    ["run", "-m", "dns-01", "-d", "a.test", "--value", lab.value(), "--"],
    ["cleanup"], ["cleanup", "--older-than", "never"],
    ["account"], ["account", "show"],
    ["account", "burn", "x"], ["provider", "show"], ["provider", "show",
                                                     "no-such-provider"],
    ["list", "extra"]], ids=" ".join)
def test_status_2(bed, args):
    before = bed.primary.updates()
    done = bed.placard.run(*args)
    assert done.status == 2, done
    assert done.err.strip() and done.out == "", done
    assert bed.primary.updates() == before


@pytest.mark.parametrize("option", ["--server", "--resolver"])
@pytest.mark.parametrize("where", ["not an address", "127.0.0.1:99999", ""])
def test_status_2_no_address(bed, option, where):
    done = bed.placard.run("present", *bed.dns01(), option, where)
    assert done.status == 2, done
    bed.unchanged()


def test_usage_error_as_json(bed):
    done = bed.placard.json("present", "--no-such-option")
    assert done.status == 2, done
    errors = done.errors()
    assert errors and "no-such-option" in errors[0]["text"]


@pytest.mark.quick
def test_status_3_configuration(bed):
    bed.placard.write("account {\n")
    done = bed.placard.run("present", *bed.dns01())
    assert done.status == 3, done
    assert "placard.conf" in done.err


def test_status_3_no_configuration_file(bed):
    bed.placard.write()
    os.unlink(bed.placard.config)
    bed.placard.write = lambda text=None: None
    done = bed.placard.run("present", *bed.dns01())
    assert done.status == 3, done
    assert bed.placard.config in done.err


@pytest.mark.quick
def test_status_3_job(bed):
    job = bed.placard.job_file("{}")
    done = bed.placard.run("present", "--jobs", job)
    assert done.status == 3, done
    assert "job.json" in done.err and "challenges" in done.err


def test_status_3_no_job_file(bed):
    done = bed.placard.run("present", "--jobs", "/no/such/file")
    assert done.status == 3, done
    assert "/no/such/file" in done.err


def test_status_3_unknown_account(bed):
    done = bed.placard.run("present", *bed.dns01(), "-a", "nobody")
    assert done.status in (2, 3), done
    assert "nobody" in done.err


@pytest.mark.quick
def test_status_4(bed):
    bed.placard.rfc2136("lab", bed.primary, key=lab.Key("other."))
    done = bed.placard.run("present", *bed.dns01())
    assert done.status == 4, done
    assert "other" in done.err and done.err.startswith("placard")


@pytest.mark.quick
def test_status_5(bed):
    bed.placard.servers(bed.primary.where(),
                        f"127.0.0.1:{lab.closed_port()}")
    done = bed.placard.run("present", *bed.dns01(), "--timeout", "2")
    assert done.status == 5, done
    assert bed.texts() == [lab.value()]
    assert len(bed.placard.listed()) == 1
    bed.placard.ok("cleanup", "--all")
    bed.unchanged()


@pytest.mark.quick
def test_status_6(bed):
    bed.placard.rfc2136("lab", bed.primary, timeout=1, server=(
        f"127.0.0.1:{lab.closed_port()}"))
    done = bed.placard.run("present", *bed.dns01(), "--timeout", "2")
    assert done.status == 6, done


@pytest.mark.quick
def test_status_7(bed):
    job = bed.placard.job_file(lab.job(
        lab.dns01(bed.zone), lab.dns01("no.such.example", account="lab")))
    done = bed.placard.json("present", "--jobs", job)
    assert done.status == 7, done
    assert done.report["state"] == "partial"
    assert [c["state"] for c in done.report["challenges"]] == ["visible",
                                                               "failed"]
    bed.placard.ok("cleanup", "--all")
    bed.unchanged()


@pytest.mark.quick
def test_status_8(bed):
    """The state directory is a file."""
    os.rmdir(bed.placard.state)
    with open(bed.placard.state, "w", encoding="ascii") as out:
        out.write("not a directory")
    before = bed.primary.updates()
    done = bed.placard.run("present", *bed.dns01())
    assert done.status == 8, done
    assert bed.placard.state in done.err
    assert bed.primary.updates() == before
    bed.unchanged()


@pytest.mark.parametrize("fault,status", [
    ("usage", 2), ("config", 3), ("job", 3), ("auth", 4), ("dead", 6),
    ("state", 8)])
def test_errors_as_json(bed, fault, status):
    placard = bed.placard
    args = ["present", *bed.dns01(), "--timeout", "2"]
    if fault == "usage":
        args = ["present"]
    elif fault == "config":
        placard.write(placard.text() + "nonsense = 1\n")
    elif fault == "job":
        args = ["present", "--jobs", placard.job_file('{"job": 1}')]
    elif fault == "auth":
        placard.rfc2136("lab", bed.primary, key=lab.Key("other."))
    elif fault == "dead":
        placard.rfc2136("lab", bed.primary, timeout=1, server=(
            f"127.0.0.1:{lab.closed_port()}"))
    else:
        os.rmdir(placard.state)
        with open(placard.state, "w", encoding="ascii"):
            pass
    done = placard.json(*args)
    assert done.status == status, done
    assert done.errors(), done
    # With --json whatever stands on standard output is JSON.
    for line in done.lines:
        lab_schema.loads(line)


def test_error_text_is_one_lower_case_line(bed):
    done = bed.placard.run("present", *bed.dns01(domain="no.such.example"),
                           "-a", "lab")
    lines = done.err.strip().splitlines()
    assert len(lines) == 1, done
    assert not lines[0].endswith("."), done


def test_full_pipe_reader_gone(bed):
    """Nobody reads the results: no crash by SIGPIPE half way."""
    done = bed.placard.run("present", *bed.dns01(),
                           wrap=["/bin/sh", "-c", '"$@" >/dev/full', "sh"])
    assert done.status != 0, done
    bed.placard.ok("cleanup", "--all")
    bed.unchanged()


def test_closed_standard_descriptors(bed):
    done = bed.placard.run("present", *bed.dns01(), wrap=[
        "/bin/sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh"])
    assert done.status in (0, 8, 2, 1), done
    assert bed.placard.run("cleanup", "--all").status == 0
    bed.unchanged()
