#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""How fast 100 names of one zone are proven at each cloud, beside lego.

The clouds are tests/fakes, over TLS, and answer each request after 100 ms;
none of them limits how often it is asked, since lego would not get through.
lego gets one certificate for all names from pebble, which takes every proof
for good; it is told not to look for propagation, placard does look.  Debian's
lego can be pointed at three of the five.

What is timed is the work at the cloud: from the first request to the last,
publishing and removal together.  Octets are those of HTTP, both ways, without
TLS.  Needs root, for a network of its own, in which the clouds have their
real host names.

    tests/bench/cloud.py [--names N] [--rounds N] [--placard-only] [VENDOR]...
"""

import argparse
import os
import pathlib
import statistics
import subprocess
import sys
import tempfile

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "e2e")]

import lab  # noqa: E402
from lab_vendor import CloudBed  # noqa: E402
from fakes import (azure, base, cloudflare, cloudns, godaddy,  # noqa: E402
                   lego_lab, route53)

VENDORS = {"azure": azure, "cloudflare": cloudflare, "cloudns": cloudns,
           "godaddy": godaddy, "route53": route53}
LEGO = ("cloudns", "godaddy", "route53")
ZONE = "example.org"
LATENCY = 0.1


def names(count):
    return [f"n{number:03}.{ZONE}" for number in range(count)]


def size(request):
    """Octets of a request as HTTP/1.1 writes it."""
    return (len(request.method) + len(request.target) + 12 +
            sum(len(k) + len(v) + 4 for k, v in request.headers.items()) +
            2 + len(request.body))


def measure(fake, work):
    """Runs work; seconds at the cloud, requests, octets."""
    with fake.lock:
        fake.log.clear()
        fake.octets = 0
    work()
    calls = fake.calls()
    return (calls[-1].time - calls[0].time + fake.latency, len(calls),
            sum(map(size, calls)) + fake.octets)


def placard(folder, fake, count):
    bed = CloudBed(folder, fake)
    if fake.vendor == "cloudflare":
        bed.login({"api-token": fake.tokens["full"]["value"]})
    # By their real names, as for lego.
    for option in ("endpoint", "login-endpoint"):
        bed.placard.accounts["cloud"].pop(option, None)
    bed.placard.write()
    job = bed.placard.job_file(lab.job(*[
        lab.dns01(name, name) for name in names(count)], name="many"))

    def work():
        done = bed.placard.json("present", "--jobs", job)
        assert done.report["state"] == "visible", done
        bed.placard.ok("cleanup", "--job", "many")

    result = measure(fake, work)
    bed.unchanged()
    return result


def lego(folder, fake, count):
    def work():
        subprocess.run(
            ["/usr/bin/lego", "--server",
             f"https://{lego_lab.PEBBLE}:14000/dir", "--accept-tos",
             "--email", "a@example.net", "--path", folder, "--dns",
             fake.vendor, "--dns.disable-cp", "--dns.resolvers",
             fake.dns[0] + ":53",
             *[f"--domains={name}" for name in names(count)], "run"],
            env=lego_lab.environment(fake.vendor, fake, True),
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL, check=True)

    return measure(fake, work)


def one(vendor, address, who, count, authority):
    """One turn at a new cloud."""
    with tempfile.TemporaryDirectory(prefix="placard-bench-") as folder, \
            VENDORS[vendor].Fake(
                addresses=[address], port=443, dns_port=53,
                dns_addresses=[address], ca=authority,
                limited=False) as fake:
        fake.latency = LATENCY
        return who(folder, fake, count)


def show(vendor, what, count, results, than=None):
    took = statistics.median(r[0] for r in results)
    print(f"{vendor:11} {what:8} {count:5} {took:9.2f} s {results[0][1]:6} "
          f"{results[0][2] / 1024:9.0f} KiB"
          f"{f'  {than / took:6.1f}' if than else ''}", flush=True)
    return took


def inside(options):
    """In the new network."""
    subprocess.run(["/sbin/ip", "link", "set", "lo", "up"], check=True)
    authority = base.Authority()
    address = {v: f"127.0.0.{n}" for n, v in enumerate(VENDORS, 10)}
    hosts = pathlib.Path(authority.folder, "hosts")
    hosts.write_text("127.0.0.1 localhost\n" + "".join(
        f"{address[v]} {host}\n" for v, module in VENDORS.items()
        for host in module.Fake.hosts))
    subprocess.run(["/bin/mount", "--bind", str(hosts), "/etc/hosts"],
                   check=True)
    pebble = lego_lab.start_pebble(authority, authority.folder)
    print(f"{'vendor':11} {'client':8} {'names':>5} {'time':>11} "
          f"{'calls':>6} {'octets':>13}  times faster")
    try:
        for vendor in options.vendors or VENDORS:
            than = None
            if vendor in LEGO and not options.placard_only:
                than = show(vendor, "lego", options.names, [one(
                    vendor, address[vendor], lego, options.names, authority)])
            show(vendor, "placard", options.names, [
                one(vendor, address[vendor], placard, options.names,
                    authority) for _ in range(options.rounds)], than)
    finally:
        pebble.terminate()
        pebble.wait(20)
        authority.close()


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--names", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--placard-only", action="store_true",
                        help="leave lego out, which takes a quarter of an "
                        "hour")
    parser.add_argument("vendors", nargs="*", metavar="VENDOR",
                        help=", ".join(VENDORS))
    parser.add_argument("--inside", action="store_true",
                        help=argparse.SUPPRESS)
    options = parser.parse_args()
    for vendor in options.vendors:
        if vendor not in VENDORS:
            parser.error(f"no vendor {vendor}")
    if not options.inside:
        os.execvp("unshare", ["unshare", "--net", "--mount", sys.executable,
                              __file__, "--inside", *sys.argv[1:]])
    inside(options)


if __name__ == "__main__":
    main()
