# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""lego gets a certificate from pebble, with its records in the fakes.

Debian's lego knows Route 53, GoDaddy and ClouDNS, not Azure or Cloudflare.
"""
import json
import os
import pathlib
import subprocess
import sys

import pytest

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path.insert(0, str(TESTS))
from fakes import clients  # noqa: E402


@pytest.fixture(scope="module")
def done():
    if not clients.have("/usr/bin/lego") or not clients.have(
            "/usr/bin/pebble"):
        pytest.skip("no lego or no pebble")
    alone = ["unshare", "--net", "--mount"]
    if os.geteuid() or subprocess.run([*alone, "true"], check=False,
                                      capture_output=True).returncode:
        pytest.skip("no right to make a network namespace")
    run = subprocess.run(
        [*alone, clients.PYTHON, str(TESTS / "fakes" / "lego_lab.py")],
        stdout=subprocess.PIPE, text=True, timeout=180, check=True)
    return json.loads(run.stdout)


@pytest.mark.parametrize("vendor", ["cloudns", "godaddy", "route53"])
def test_lego(done, vendor):
    result = done[vendor]
    assert result["status"] == 0, result["output"]
    assert result["most"] == 2      # the name and its wildcard, at once
    assert result["refused"] != 0
    if vendor == "godaddy":
        # This old lego cannot delete: it writes an empty record, which the
        # service refuses by now, and leaves its last value behind.
        assert len(result["after"]) == 1
        assert any(c.startswith("PUT") and c.endswith("422")
                   for c in result["calls"])
        assert "UNABLE_TO_AUTHENTICATE" in result["refusal"]
    else:
        assert result["after"] == []
    if vendor == "route53":
        assert "SignatureDoesNotMatch" in result["refusal"]
