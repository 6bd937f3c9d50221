#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""How fast files come to other hosts, beside `sftp -b` doing the same.

One sshd for the first table; 20 of them, one of which is slow, for the second.
Contenders take turns; wall times are "median [least-most]".

    tests/bench/sftp.py [--rounds N] [--hosts N]
"""

import argparse
import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))

import lab  # noqa: E402
import lab_ssh  # noqa: E402

SLOW = 1.0      # seconds that the slow host takes longer


def clock(run):
    start = time.monotonic()
    done = run()
    wall = time.monotonic() - start
    if done.returncode != 0:
        sys.exit(f"bench: {done.args}: {done.stderr}")
    return wall


def command(argv, env=None):
    return subprocess.run([str(a) for a in argv], stdin=subprocess.DEVNULL,
                          capture_output=True, text=True, env=env,
                          check=False)


def show(what, count, walls, base=None):
    median = statistics.median(walls)
    ratio = f"{median / base:6.2f}" if base else "     1"
    print(f"{what:34} {count:5} {median:7.3f} "
          f"[{min(walls):.3f}-{max(walls):.3f}] {ratio}", flush=True)
    return median


def job_of(count):
    return lab.job(*(
        {"method": "http-01", "domain": f"h{i}.example.test",
         "token": f"token-{i:04d}-0123456789",
         "key-authorization": f"token-{i:04d}-0123456789.thumb"}
        for i in range(count)))


def batch_of(directory, server, count):
    """The same by hand: temporary name, mode, rename."""
    os.makedirs(os.path.join(directory, "files"))
    lines = ["-mkdir htdocs/.well-known",
             "-mkdir htdocs/.well-known/acme-challenge"]
    folder = "htdocs/.well-known/acme-challenge"
    for i in range(count):
        name = f"token-{i:04d}-0123456789"
        path = os.path.join(directory, "files", name)
        with open(path, "w", encoding="ascii") as out:
            out.write(name + ".thumb")
        lines += [f"put {path} {folder}/.tmp-{name}",
                  f"chmod 644 {folder}/.tmp-{name}",
                  f"rename {folder}/.tmp-{name} {folder}/{name}"]
    batch = os.path.join(directory, "batch")
    with open(batch, "w", encoding="ascii") as out:
        out.write("\n".join(lines) + "\n")
    return [lab.find_program("sftp"), "-q", "-b", batch, "-i",
            server.userkey, "-P", str(server.port), "-o",
            f"UserKnownHostsFile={server.known_hosts()}", "-o",
            "IdentitiesOnly=yes", "-F", "/dev/null",
            f"{lab_ssh.USER}@{server.address}"]


def empty(server):
    lab_ssh.remove_tree(os.path.join(server.root, ".well-known"))


def forget(site):
    shutil.rmtree(site.state)
    os.mkdir(site.state, 0o700)


def one_host(base, rounds, count=100):
    with lab_ssh.Sshd(os.path.join(base, "one")) as server:
        site = lab.Placard(os.path.join(base, "site"))
        site.account("web", "sftp", **server.options())
        site.route("example.test", "web")
        job = site.job_file(job_of(count))
        ours = site.argv(["-q", "present", "--jobs", job, "--no-wait"])
        theirs = batch_of(os.path.join(base, "batch"), server, count)
        plain = theirs[:1] + ["-o", "KexAlgorithms=curve25519-sha256"] + \
            theirs[1:]
        walls = {"sftp": [], "plain": [], "placard": []}
        for _ in range(rounds):
            for what, argv in (("sftp", theirs), ("plain", plain),
                               ("placard", ours)):
                empty(server)
                forget(site)
                walls[what].append(clock(lambda a=argv: command(
                    a, site.env())))
                found = lab.tree(server.root)
                assert len(found) == count, (what, len(found))
        first = show("sftp -b", count, walls["sftp"])
        show("sftp -b, curve25519-sha256 only", count, walls["plain"], first)
        show("placard present", count, walls["placard"], first)


class Slow(lab_ssh.Cutter):
    """A proxy that begins late."""

    def _carry(self, near):
        if not self.end.wait(SLOW):
            super()._carry(near)


def hosts_at_once(base, rounds, hosts):
    with contextlib.ExitStack() as stack:
        servers = [lab_ssh.Sshd(os.path.join(base, f"h{i}"))
                   for i in range(hosts)]
        threads = [threading.Thread(target=one.start) for one in servers]
        for one in threads:
            one.start()
        for one in threads:
            one.join()
        for one in servers:
            stack.callback(one.stop)
        slow = stack.enter_context(Slow(servers[0]))
        sites = {}
        for what, some in (("the slow one alone", 1), ("all", hosts)):
            site = sites[what] = lab.Placard(os.path.join(base, what))
            for i, one in enumerate(servers[:some]):
                site.account(f"w{i}", "sftp", **one.options(**(
                    {"host": slow.address, "port": slow.port,
                     "known_hosts_file": None,
                     "host_key": lab_ssh.fingerprint(
                         one.hostkeys["ed25519"])} if i == 0 else {})))
            site.route("example.test", *(f"w{i}" for i in range(some)))
            site.job_file(job_of(1))
        walls = {what: [] for what in sites}
        for _ in range(rounds):
            for what, site in sites.items():
                for one in servers:
                    empty(one)
                forget(site)
                argv = site.argv(["-q", "present", "--jobs", os.path.join(
                    site.dir, "job.json"), "--no-wait"])
                walls[what].append(clock(lambda a=argv, s=site: command(
                    a, s.env())))
        first = show("one slow host", 1, walls["the slow one alone"])
        show("that and others at once", hosts, walls["all"], first)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--hosts", type=int, default=20)
    args = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("bench: sshd and its users want root")
    base = tempfile.mkdtemp(prefix="placard-bench-")
    os.chmod(base, 0o755)
    try:
        print("contender                              N  wall s "
              "                     ratio")
        one_host(base, args.rounds)
        hosts_at_once(base, args.rounds, args.hosts)
    finally:
        shutil.rmtree(base, ignore_errors=True)


if __name__ == "__main__":
    main()
