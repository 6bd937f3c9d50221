#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""Certificates from pebble by other clients: with their own means, through
placard, and through a placardd that runs beside it.  "nothing" is the client
alone: a hook that does nothing, and an authority that believes everything.

Two beds: one whose secondary follows at once, one whose secondary lags as
named's default NOTIFY makes it.  pebble asks the secondary in both, so that a
client that does not look fails where the secondary lags.

    tests/bench/hooks.py [--rounds N] [--names N]... [--lag-only|--fast-only]
                         [--placard-only] [--slow] [CLIENT]...

--slow adds the sleep that certbot's manual recommends.
"""

import argparse
import os
import signal
import statistics
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "e2e"))

import lab_acme  # noqa: E402

LIBEXEC = lab_acme.LIBEXEC
# The usual hook of uacme and dehydrated: nsupdate for one name, no look.
PLAIN = """#!/bin/sh
change() {
    printf 'server 127.0.0.1\\nupdate %s _acme-challenge.%s. %s\\nsend\\n' \\
        "$1" "$2" "$3" | nsupdate -k /etc/placard/bench.key
}
case $1 in
begin) [ "$2" = dns-01 ] || exit 1; change add "$3" "60 TXT $5" ;;
done|failed) change delete "$3" "TXT $5" ;;
deploy_challenge|clean_challenge)
    word=add ttl='60 '
    [ $1 = clean_challenge ] && word=delete ttl=
    shift
    while [ $# -ge 3 ]; do change $word "$1" "${ttl}TXT $3"; shift 3; done ;;
esac
"""


def flags(names):
    return " ".join(f"-d {name}" for name in names)


def certbot(names, means):
    hooks = ("--manual --preferred-challenges dns "
             "--manual-auth-hook 'placard hook certbot' "
             "--manual-cleanup-hook 'placard hook certbot' ")
    if means == "nothing":
        hooks = hooks.replace("placard hook certbot", "true")
    if means.startswith("sleep"):
        hooks = ("-a dns-rfc2136 --dns-rfc2136-credentials "
                 "/etc/placard/certbot.ini "
                 f"--dns-rfc2136-propagation-seconds {means[6:]} ")
    return ("certbot certonly -n --agree-tos -m a@example.com "
            f"--force-renewal --cert-name bench {hooks}{flags(names)}")


def lego(names, means):
    key = ("RFC2136_NAMESERVER=127.0.0.1 RFC2136_SEQUENCE_INTERVAL=0 "
           "RFC2136_POLLING_INTERVAL=1 RFC2136_TSIG_KEY=placard. "
           "RFC2136_TSIG_ALGORITHM=hmac-sha256. "
           "RFC2136_TSIG_SECRET=$(cat /etc/placard/bench.secret) ")
    how = "rfc2136"
    if means == "nothing":
        key, how = "EXEC_PATH=/bin/true EXEC_SEQUENCE_INTERVAL=0 ", "exec"
        how += " --dns.disable-cp"
    if means in OURS:
        key = (f"EXEC_PATH={LIBEXEC}/hook-lego EXEC_MODE=RAW "
               "EXEC_SEQUENCE_INTERVAL=0 EXEC_POLLING_INTERVAL=1 ")
        how = "exec --dns.disable-cp"
    return (f"{key} lego --accept-tos --email a@example.com "
            f"--path $(mktemp -d) --dns {how} {flags(names)} run")


def hook_of(tool, means):
    return (f"{LIBEXEC}/hook-{tool}" if means in OURS else
            "/bin/true" if means == "nothing" else "/etc/placard/plain")


def uacme(names, means):
    hook = hook_of("uacme", means)
    return ("test -d /etc/ssl/uacme || uacme -y new a@example.com; "
            f"uacme -f -h {hook} issue {' '.join(names)}")


def dehydrated(names, means):
    hook = hook_of("dehydrated", means)
    return ("test -d /var/lib/dehydrated/accounts || "
            "dehydrated --register --accept-terms; "
            "echo HOOK_CHAIN=yes > /etc/dehydrated/conf.d/bench.sh; "
            f"dehydrated -c -x -t dns-01 -k {hook} --alias bench "
            f"-d '{' '.join(names)}'")


OURS = ("placard", "placardd")
CLIENTS = {"certbot": (certbot, ["nothing", "sleep 0", "sleep 60", *OURS]),
           "lego": (lego, ["nothing", "its own look", *OURS]),
           "uacme": (uacme, ["nothing", "plain hook", *OURS]),
           "dehydrated": (dehydrated, ["nothing", "plain hook", *OURS])}


def prepare(world):
    key = world.primary.key
    world.write("/etc/placard/bench.key", key.named(), 0o600)
    world.write("/etc/placard/bench.secret", key.secret, 0o600)
    world.write("/etc/placard/plain", PLAIN, 0o755)
    world.write("/etc/placard/certbot.ini", (
        "dns_rfc2136_server = 127.0.0.1\ndns_rfc2136_port = 53\n"
        "dns_rfc2136_name = placard.\n"
        f"dns_rfc2136_secret = {key.secret}\n"
        "dns_rfc2136_algorithm = HMAC-SHA256\n"), 0o600)


def measure(world, client, means, count, rounds):
    make = CLIENTS[client][0]
    times, good = [], 0
    for turn in range(rounds):
        names = [f"b{turn}x{i}.example.com" for i in range(count)]
        start = time.monotonic()
        done = world.run(make(names, means), timeout=900)
        times.append(time.monotonic() - start)
        good += done.status == 0
        if done.status != 0 and means in OURS:
            print(done.text[-2000:], file=sys.stderr)
        if means in OURS:
            world.unchanged()
    print(f"| {client}, {means} | {count} | {statistics.median(times):.2f} "
          f"[{min(times):.2f}-{max(times):.2f}] | {good}/{rounds} |",
          flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--names", type=int, action="append")
    parser.add_argument("--lag-only", action="store_true")
    parser.add_argument("--fast-only", action="store_true")
    parser.add_argument("--placard-only", action="store_true")
    parser.add_argument("--slow", action="store_true")
    parser.add_argument("clients", nargs="*", metavar="CLIENT")
    args = parser.parse_args()
    # So that the servers are stopped, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    for notify, other in (("fast", args.lag_only), ("lag", args.fast_only)):
        if other:
            continue
        print(f"\n## {'a secondary that follows at once' if notify == 'fast' else 'a secondary that lags'}\n\n"
              "| client | N | wall s | ok |\n|---|--:|--:|--:|")
        for client in args.clients or CLIENTS:
            for means in CLIENTS[client][1]:
                if ((args.placard_only and means not in OURS) or
                        (means == "sleep 60" and not args.slow)):
                    continue
                # No files: uacme takes the first challenge that its hook
                # does not decline.
                with tempfile.TemporaryDirectory() as base, \
                        lab_acme.World(base, notify=notify, files=False,
                                       daemon=means == "placardd",
                                       trusting=means == "nothing") as world:
                    prepare(world)
                    for count in args.names or [10, 100]:
                        measure(world, client, means, count, args.rounds)


if __name__ == "__main__":
    main()
