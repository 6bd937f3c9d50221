# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""placard hook TOOL by a user who can read no key: placardd does it."""

import datetime
import os
import shutil
import signal
import subprocess
import tempfile
import time

import pytest

import lab
import lab_net
from lab_daemon import Daemon
from test_hook_words import THUMB, names, value

USER, GROUP = 65534, 65534      # nobody, nogroup
STRANGER = 1                    # daemon


class Visitor:
    """The user of another ACME client, who knows placardd's socket only."""

    def __init__(self, bed):
        self.bed = bed
        # Where other users can go, which pytest's folders do not allow.
        self.dir = tempfile.mkdtemp(prefix="placard-", dir="/tmp")
        os.chmod(self.dir, 0o755)
        self.socket = os.path.join(self.dir, "s")
        self.program = shutil.copy(bed.placard.program(), self.dir)
        self.config = os.path.join(self.dir, "placard.conf")
        with open(self.config, "w", encoding="ascii") as out:
            out.write(f'state-directory = "{bed.placard.state}"\n'
                      f'service {{ socket = "{self.socket}" }}\n')
        os.chmod(self.config, 0o644)
        self.daemon = Daemon(bed.placard, {"socket": self.socket,
                                           "group": "nogroup"})

    def popen(self, *args, env=None, user=USER, group=GROUP):
        return subprocess.Popen(
            [self.program, "-c", self.config, "hook", *args],
            env=self.bed.placard.env(env), cwd="/", text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, user=user, group=group, extra_groups=[])

    def hook(self, *args, **more):
        return self.bed.placard.finish(self.popen(*args, **more))

    def ok(self, *args, **more):
        done = self.hook(*args, **more)
        assert done.status == 0, (done, self.daemon.log()[-3000:])
        return done

    def over(self):
        """Zone, journal and jobs are as if nothing had been."""
        self.bed.unchanged()
        assert self.bed.placard.quiet_journal()
        assert self.daemon.unfinished() == {}


@pytest.fixture
def visitor(bed):
    if os.geteuid() != 0:
        pytest.skip("only root can be somebody else")
    one = Visitor(bed)
    try:
        with one.daemon:
            yield one
    finally:
        shutil.rmtree(one.dir)


def certbot_env(bed, seed, left, domain=None, count=2, **more):
    return {"CERTBOT_DOMAIN": domain or bed.zone,
            "CERTBOT_VALIDATION": value(seed),
            "CERTBOT_ALL_DOMAINS": ",".join([bed.zone] * count),
            "CERTBOT_REMAINING_CHALLENGES": str(left), **more}


def certbot(visitor, seed, left, *words, **more):
    return visitor.hook("certbot", *words,
                        env=certbot_env(visitor.bed, seed, left, **more))


def blind(bed, daemon):
    """A name server more that never answers."""
    bed.placard.servers(bed.primary.where(),
                        "127.0.0.1:%d" % lab.closed_port())
    daemon.write()
    daemon.hup()


# -- each tool

@pytest.mark.quick
def test_certbot(bed, visitor):
    bed.seed("a stranger's")
    said = {}
    for seed, left in (("a", 2), ("b", 1), ("c", 0)):
        done = certbot(visitor, seed, left, count=3)
        assert done.status == 0, (done, visitor.daemon.log()[-3000:])
        said[seed] = done.out.strip()
    everywhere = sorted([value("a"), value("b"), value("c"),
                         "a stranger's"])
    assert names(bed) == everywhere
    assert sorted(bed.secondary.texts(bed.owner)) == everywhere
    for seed, left in (("a", 2), ("b", 1), ("c", 0)):
        done = certbot(visitor, seed, left, count=3,
                       CERTBOT_AUTH_OUTPUT=said[seed])
        assert done.status == 0 and done.out == "", done
        assert value(seed) not in names(bed)
    visitor.over()


def test_certbot_last_call_tells_what_failed_before(bed, visitor):
    """The first call does not wait, so its failure shows at the last."""
    first = certbot(visitor, "a", 1, domain="no-zone.example")
    assert first.status == 0, first
    last = certbot(visitor, "b", 0)
    assert last.status == 7 and "no-zone.example" in last.err, last
    assert names(bed) == [value("b")]       # certbot cleans it up
    assert certbot(visitor, "a", 1, "cleanup",
                   domain="no-zone.example").status == 0
    assert certbot(visitor, "b", 0, "cleanup").status == 0
    visitor.over()
    # The next run is not blamed for it.
    for left, seed in ((1, "c"), (0, "d")):
        assert certbot(visitor, seed, left).status == 0
    for seed in "cd":
        assert certbot(visitor, seed, 0, "cleanup").status == 0
    visitor.over()


def test_dehydrated(bed, visitor):
    words = []
    for i in range(4):
        words += [f"n{i}.{bed.zone}", f"token{i}", value(i)]
    done = visitor.ok("dehydrated", "deploy_challenge", *words)
    assert done.out == "" and len(visitor.daemon.jobs()) == 1
    for i in range(4):
        assert bed.secondary.texts(
            f"_acme-challenge.n{i}.{bed.zone}") == [value(i)]
    visitor.ok("dehydrated", "clean_challenge", *words)
    visitor.over()
    visitor.ok("dehydrated", "exit_hook")


def test_uacme_dns_and_web(bed, web, visitor):
    os.chmod(web.root, 0o755)
    bed.placard.account("web", "file", root=web.root)
    bed.placard.routes.clear()
    bed.placard.route(bed.zone, "lab", method="dns-01")
    bed.placard.route(bed.zone, "web", method="http-01")
    bed.placard.verify.update({"http-servers": [web.site],
                               "site-local": True})
    visitor.daemon.write()
    visitor.daemon.hup()
    dns = ["dns-01", bed.zone, "tok", value("u")]
    http = ["http-01", f"www.{bed.zone}", "tok", f"tok.{THUMB}"]
    visitor.ok("uacme", "begin", *http)
    visitor.ok("uacme", "begin", *dns)
    assert web.fetch("/.well-known/acme-challenge/tok") == (
        200, f"tok.{THUMB}".encode())
    visitor.ok("uacme", "failed", *dns)
    visitor.ok("uacme", "done", *http)
    assert os.listdir(web.root) == []
    visitor.over()


def test_uacme_declines_what_nobody_serves(bed, visitor):
    done = visitor.hook("uacme", "begin", "dns-01", "no-zone.example",
                        "tok", value("u"))
    assert done.status > 0 and "no-zone.example" in done.err, done
    visitor.over()


def test_lego(bed, visitor):
    bed.placard.accounts["lab"]["allow-names"] = ["target"]
    visitor.daemon.write()
    visitor.daemon.hup()
    calls = [["--", bed.zone, "tok", f"tok.{THUMB}"],
             [bed.owner + ".", value("l")],
             [f"target.{bed.zone}.", value("t")]]
    for call in calls:
        visitor.ok("lego", "present", *call)
    assert len(names(bed)) == 2 and value("l") in names(bed)
    assert bed.texts(f"target.{bed.zone}") == [value("t")]
    for call in calls:
        visitor.ok("lego", "cleanup", *call)
    visitor.over()


@pytest.mark.parametrize("version", [1, 2])
def test_mod_md(bed, visitor, version):
    for seed in "ab":
        visitor.ok("mod_md", "setup", bed.zone, value(seed))
    visitor.ok("lego", "present", bed.owner, value("other"))
    if version == 2:
        visitor.ok("mod_md", "teardown", bed.zone, value("a"))
        assert names(bed) == sorted([value("b"), value("other")])
        visitor.ok("mod_md", "teardown", bed.zone, value("b"))
    else:
        visitor.ok("mod_md", "teardown", bed.zone)
    assert names(bed) == [value("other")]
    visitor.ok("lego", "cleanup", bed.owner, value("other"))
    visitor.over()


def test_acme_sh(bed, visitor):
    visitor.ok("acme.sh", "add", bed.owner, value("a"))
    assert bed.secondary.texts(bed.owner) == [value("a")]
    visitor.ok("acme.sh", "rm", bed.owner, value("a"))
    # Gone already is as good.
    visitor.ok("acme.sh", "rm", bed.owner, value("a"))
    visitor.over()


# -- who may

@pytest.mark.parametrize("mode", [0o660, 0o666])
def test_a_stranger_is_refused(bed, visitor, mode):
    """By the mode of the socket, or by placardd itself."""
    os.chmod(visitor.socket, mode)
    for word in ("present", "cleanup"):
        done = visitor.hook("lego", word, bed.owner, value("x"),
                            user=STRANGER, group=STRANGER)
        assert done.status == 4, done
        lines = done.err.splitlines()
        assert len(lines) == 1, done
        assert visitor.socket in lines[0] or "not in the group" in lines[0]
    visitor.over()


def test_which_way_it_went_is_said(bed):
    """Alone where nothing listens, even if a dead socket lies there."""
    call = ["hook", "lego", "present", bed.owner, value("x")]
    daemon = Daemon(bed.placard)
    with daemon:
        through = bed.placard.run("-v", *call)
        assert through.status == 0, through
        assert "placardd.sock job=lego-" in through.err
        assert len(daemon.jobs()) == 1
        bed.placard.ok("hook", "lego", "cleanup", *call[3:])
        daemon.kill()
    assert os.path.exists(os.path.join(bed.placard.state, "placardd.sock"))
    alone = bed.placard.run("-v", *call)
    assert alone.status == 0 and "placardd=no" in alone.err, alone
    bed.placard.ok("hook", "lego", "cleanup", *call[3:])
    bed.unchanged()


def test_options_of_this_process_go_alone(bed):
    """placardd has servers and resolvers of its own."""
    with Daemon(bed.placard) as daemon:
        done = bed.placard.run("hook", "--server", bed.primary.where(),
                               "lego", "present", bed.owner, value("x"))
        assert done.status == 0 and daemon.jobs() == {}, done
        bed.placard.ok("hook", "lego", "cleanup", bed.owner, value("x"))
    bed.unchanged()
    assert bed.placard.quiet_journal()


# -- what may go wrong

def test_begun_alone_and_ended_by_placardd(bed):
    call = ["mod_md", "setup", bed.zone, value("x")]
    daemon = Daemon(bed.placard)
    for rest in ([bed.zone], [bed.zone, value("x")]):
        bed.placard.ok("hook", *call)
        with daemon:
            bed.placard.ok("hook", "mod_md", "teardown", *rest)
            bed.unchanged()
            daemon.stop()
    assert bed.placard.quiet_journal()


def test_begun_by_placardd_and_ended_alone(bed):
    daemon = Daemon(bed.placard)
    with daemon:
        bed.placard.ok("hook", "lego", "present", bed.owner, value("x"))
        daemon.stop()
    bed.placard.ok("hook", "lego", "cleanup", bed.owner, value("x"))
    bed.unchanged()
    with daemon:
        assert bed.placard.quiet_journal()
        bed.placard.ok("hook", "lego", "cleanup", bed.owner, value("x"))
        assert daemon.unfinished() == {}
    bed.unchanged()


def test_not_visible_in_time(bed, visitor):
    """What a failing call has published is taken back, but for certbot,
    which cleans up by itself."""
    blind(bed, visitor.daemon)
    done = visitor.hook("--timeout", "1", "uacme", "begin", "dns-01",
                        bed.zone, "tok", value("x"))
    assert done.status == 5 and done.err, done
    visitor.over()
    env = certbot_env(bed, "c", 0, count=1)
    done = visitor.hook("--timeout", "1", "certbot", env=env)
    assert done.status == 5, done
    visitor.ok("certbot", "cleanup", env=env)
    visitor.over()


def test_no_wait_is_published(bed, visitor):
    blind(bed, visitor.daemon)
    visitor.ok("--no-wait", "lego", "present", bed.owner, value("x"))
    assert names(bed) == [value("x")]
    visitor.ok("lego", "cleanup", bed.owner, value("x"))
    visitor.over()


def test_the_same_once_more(bed, visitor):
    """A tool that tries again, before and after it has cleaned up."""
    call = [bed.owner, value("x")]
    for _ in range(2):
        visitor.ok("lego", "present", *call)
    assert names(bed) == [value("x")]
    visitor.ok("lego", "cleanup", *call)
    visitor.over()
    visitor.ok("lego", "present", *call)
    assert names(bed) == [value("x")]
    visitor.ok("lego", "cleanup", *call)
    visitor.over()


def waiting(bed, visitor, *options):
    """A hook that waits for what will not come."""
    blind(bed, visitor.daemon)
    proc = visitor.popen(*options, "lego", "present", bed.owner, value("x"))
    lab_net.wait_for(lambda: names(bed) == [value("x")], "published")
    return proc


@pytest.mark.quick
def test_terminated_hook_takes_it_back(bed, visitor):
    proc = waiting(bed, visitor)
    proc.send_signal(signal.SIGTERM)
    done = bed.placard.finish(proc)
    assert done.status not in (0, -signal.SIGTERM) and done.err, done
    visitor.over()


def test_killed_hook_leaves_nothing_for_ever(bed, visitor):
    proc = waiting(bed, visitor, "--timeout", "3")
    proc.kill()
    bed.placard.finish(proc)
    assert names(bed) == [value("x")]
    time.sleep(1.1)
    bed.placard.ok("cleanup", "--older-than", "1s")
    bed.unchanged()
    assert bed.placard.quiet_journal()
    # placardd gives it up at its deadline, and ends it within a day.
    def held():
        return [one for one in visitor.daemon.jobs().values()
                if one["phase"] == "held"]
    lab_net.wait_for(held, "its deadline")
    bed.unchanged()
    created, due = (datetime.datetime.fromisoformat(held()[0][k])
                    for k in ("created", "due"))
    assert due - created <= datetime.timedelta(days=1, minutes=5)


def test_placardd_dies_while_the_hook_waits(bed, visitor):
    """The job is durable: the next placardd ends it, the hook hears it."""
    proc = waiting(bed, visitor)
    visitor.daemon.kill()
    bed.placard.servers(bed.primary.where(), bed.secondary.where())
    visitor.daemon.start(wait=False)
    done = bed.placard.finish(proc)
    assert done.status == 0, (done, visitor.daemon.log()[-3000:])
    visitor.ok("lego", "cleanup", bed.owner, value("x"))
    visitor.over()


def test_placardd_restarts_while_it_is_told(bed, visitor):
    """Asked while it stops: the next one takes the job."""
    # One that has stopped in the middle of everything answers nobody.
    os.kill(visitor.daemon.proc.pid, signal.SIGSTOP)
    proc = visitor.popen("lego", "present", bed.owner, value("x"))
    time.sleep(0.5)
    visitor.daemon.kill()
    visitor.daemon.start(wait=False)
    done = bed.placard.finish(proc)
    assert done.status == 0, (done, visitor.daemon.log()[-3000:])
    assert names(bed) == [value("x")]
    visitor.ok("lego", "cleanup", bed.owner, value("x"))
    visitor.over()


def test_interrupted_before_placardd_answers(bed, visitor):
    os.kill(visitor.daemon.proc.pid, signal.SIGSTOP)
    proc = visitor.popen("lego", "present", bed.owner, value("x"))
    time.sleep(0.5)
    proc.send_signal(signal.SIGTERM)
    os.kill(visitor.daemon.proc.pid, signal.SIGCONT)
    done = bed.placard.finish(proc)
    assert done.status not in (0, -signal.SIGTERM), done
    visitor.over()
