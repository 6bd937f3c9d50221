# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""placard with godaddy accounts, where things go wrong."""
import pytest

import lab
from lab_cloud import (STRANGER, Cloud, CloudErrorTests, cloud,  # noqa: F401
                       dns01)
from test_provider_godaddy import VENDOR


class TestGodaddyErrors(CloudErrorTests):
    vendor = VENDOR
    wrong = {"key": "dLfWrongKey", "secret": "canary-of-a-wrong-secret"}
