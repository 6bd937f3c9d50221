# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Independent clients, pointed at a fake.

Some have no endpoint options: they run in a child whose address look-up sends
the vendor's host names, and nothing else, to the fake; TLS still sees the
vendor's name and is verified with the test CA.
"""
import json
import os
import subprocess
import sys

PYTHON = "/usr/bin/python3"

LOOKUP = r"""
import contextlib, io, json, socket, sys
hosts, given = json.load(sys.stdin)
real = socket.getaddrinfo
def lookup(host, port, *rest, **more):
    if host not in hosts:
        raise socket.gaierror(socket.EAI_NONAME, "not in this test: %s" % host)
    return real("127.0.0.1", hosts[host], *rest, **more)
socket.getaddrinfo = lookup
"""

LEXICON = r"""
from lexicon.cli import main
for call in given:
    out = io.StringIO()
    sys.argv = ["lexicon"] + call
    try:
        with contextlib.redirect_stdout(out):
            main()
        result = {"ok": True}
    except (Exception, SystemExit) as error:
        result = {"ok": False, "error": "%s: %s" % (type(error).__name__,
                                                    error)}
    print(json.dumps(dict(result, out=out.getvalue())))
"""


def clean_env(fake, **more):
    """An environment with the test CA and nothing of the caller's."""
    env = {"PATH": "/usr/bin:/bin", "HOME": fake.ca.folder, "LANG": "C.UTF-8",
           "REQUESTS_CA_BUNDLE": fake.ca_file, "AWS_CA_BUNDLE": fake.ca_file,
           "SSL_CERT_FILE": fake.ca_file, "TZ": "UTC"}
    env.update(more)
    return env


def importable(module):
    return subprocess.run([PYTHON, "-c", "import " + module],
                          capture_output=True, check=False).returncode == 0


def have_lexicon():
    return importable("lexicon.cli")


def run_python(fake, script, given):
    """Run a script that finds fake under the vendor's names; its output."""
    hosts = {host: fake.port for host in fake.hosts}
    return subprocess.run(
        [PYTHON, "-c", LOOKUP + script], env=clean_env(fake), text=True,
        timeout=60, input=json.dumps([hosts, given]), stdout=subprocess.PIPE,
        stderr=sys.stderr, check=True).stdout


def lexicon(fake, *calls):
    """Run lexicon command lines one after another; a result for each.

    A result has ok, error, and, of `list`, rows (dicts)."""
    run = run_python(fake, LEXICON, [list(call) for call in calls])
    results = [json.loads(line) for line in run.splitlines()]
    for call, result in zip(calls, results):
        if result["ok"] and "list" in call[:2]:
            result["rows"] = json.loads(result["out"])
    return results


def aws(fake, *args, access_key=None, secret=None):
    """Run the AWS command line on a Route 53 fake: (exit status, JSON)."""
    env = clean_env(
        fake,
        AWS_ACCESS_KEY_ID=access_key or fake.credentials["access-key-id"],
        AWS_SECRET_ACCESS_KEY=secret or fake.credentials["secret-access-key"],
        AWS_DEFAULT_REGION="us-east-1", AWS_EC2_METADATA_DISABLED="true",
        AWS_MAX_ATTEMPTS="1", AWS_PAGER="")
    run = subprocess.run(
        ["/usr/bin/aws", "--endpoint-url", fake.url, "--output", "json",
         "route53", *args], env=env, text=True, timeout=60,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    return (run.returncode,
            json.loads(run.stdout) if run.stdout.strip() else run.stderr)


def have(program):
    return os.access(program, os.X_OK)
