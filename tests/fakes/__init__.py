# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Strict, stateful stand-ins of the services that placard talks to."""
