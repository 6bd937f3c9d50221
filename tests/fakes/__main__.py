# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Run one fake by itself: python3 tests/fakes VENDOR [options]."""
import importlib
import pathlib
import sys

VENDORS = ("azure", "cloudflare", "route53", "godaddy", "cloudns")

if not __package__:
    sys.path[0] = str(pathlib.Path(__file__).resolve().parent.parent)

if len(sys.argv) < 2 or sys.argv[1] not in VENDORS:
    sys.exit(f"usage: python3 tests/fakes {{{','.join(VENDORS)}}} [--help]")
base = importlib.import_module("fakes.base")
vendor = importlib.import_module("fakes." + sys.argv[1])
sys.exit(base.main(vendor.Fake, sys.argv[2:]))
