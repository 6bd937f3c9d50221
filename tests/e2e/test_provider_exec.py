# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""The exec provider: programs of other tools publish."""

import base64
import contextlib
import hashlib
import os
import pwd
import textwrap

import pytest

import lab
import lab_acme
from lab_daemon import Daemon

THUMB = "9jg46WB3rR_AHD-EBXdN7cBkH1WOu0tA3M9fm21mqTI"
KEYAUTH = f"tok.{THUMB}"
RECIPES = os.path.join(lab_acme.lab_placard.ROOT, "contrib", "exec")

# Logs how it was called, and publishes by nsupdate.
PROGRAM = """#!/bin/sh
{{ printf '<%s>' "$@"; echo; env; echo --; }} >> {dir}/calls
{body}
"""
CHANGE = """
case $1 in
present) word="add $2 60" ;;
cleanup) word="delete $2" ;;
esac
nsupdate -y {key} <<EOF
server {address} {port}
update $word TXT "$3"
send
EOF
"""


@pytest.fixture
def program(bed):
    """Installs a program and makes it the account of the zone."""
    def make(body=None, protocol=None, **options):
        path = os.path.join(bed.placard.dir, "program")
        if body is None:
            body = CHANGE.format(key=bed.primary.key.nsupdate(),
                                 address=bed.primary.address,
                                 port=bed.primary.port)
        with open(path, "w", encoding="ascii") as out:
            out.write(PROGRAM.format(dir=bed.placard.dir,
                                     body=textwrap.dedent(body)))
        os.chmod(path, 0o755)
        bed.placard.accounts.clear()
        bed.placard.account("lab", "exec", program=path, protocol=protocol,
                            **options)
        bed.placard.write()
        return path
    return make


def calls(bed):
    """[(words, environment)] of each call."""
    try:
        with open(os.path.join(bed.placard.dir, "calls"),
                  encoding="utf-8") as text:
            blocks = text.read().split("--\n")[:-1]
    except FileNotFoundError:
        return []
    found = []
    for block in blocks:
        first, *rest = block.splitlines()
        found.append((first[1:-1].split("><"),
                      dict(line.split("=", 1) for line in rest)))
    return found


def test_lego(bed, program):
    """A real server, changed by a program; by value."""
    program()
    bed.seed("a stranger's", ttl=60)    # nsupdate sets the set's
    for seed in "ab":
        done = bed.placard.run("present", *bed.dns01(seed))
        assert done.status == 0, done
    assert bed.texts() == sorted([lab.value("a"), lab.value("b"),
                                  "a stranger's"])
    assert bed.placard.run("cleanup", *bed.dns01("a")).status == 0
    assert bed.texts() == sorted([lab.value("b"), "a stranger's"])
    assert bed.placard.run("cleanup", "--all").status == 0
    bed.unchanged()
    assert bed.placard.quiet_journal()
    assert calls(bed)[0][0] == ["present", bed.owner + ".", lab.value("a")]


def test_environment_is_ours(bed, program):
    program("true")
    bed.placard.run("present", "--no-wait", *bed.dns01(),
                    env={"SECRET_OF_OURS": "x", "LD_LIBRARY_PATH": "/x"})
    (_, env), = calls(bed)
    known = {"PATH", "LANG", "HOME", "USER", "LOGNAME",
             "PWD", "SHLVL", "_", "OLDPWD"}    # the last four are sh's
    assert set(env) <= known and env["USER"] == pwd.getpwuid(
        os.geteuid()).pw_name


def test_arguments_are_never_parsed(bed, program):
    """No shell sees them."""
    words = ["a b", "$(touch x)", "`id`", "--", "*"]
    program("true", arguments=words)
    assert bed.placard.run("present", "--no-wait",
                           *bed.dns01()).status == 0
    assert calls(bed)[0][0][:5] == words
    assert not os.path.exists(os.path.join(bed.placard.dir, "x"))


def test_lego_raw(bed, program):
    program("true", protocol="lego-raw")
    words = ["-m", "dns-01", "-d", bed.zone, "--key-authorization", KEYAUTH]
    assert bed.placard.run("present", "--no-wait", *words).status == 0
    assert bed.placard.run("cleanup", "--all").status == 0
    assert [one for one, _ in calls(bed)] == [
        [verb, "--", bed.zone, "tok", KEYAUTH]
        for verb in ("present", "cleanup")]
    done = bed.placard.run("present", "--no-wait", *bed.dns01())
    assert done.status != 0 and "key authorization" in done.err, done
    assert bed.placard.quiet_journal()


def test_lego_raw_after_a_crash(bed, program):
    """The journal knows the key authorization before the program runs."""
    program("test $1 = cleanup || exec sleep 60", protocol="lego-raw")
    proc = bed.placard.popen("present", "-m", "dns-01", "-d", bed.zone,
                             "--key-authorization", KEYAUTH)
    lab.wait_for(lambda: calls(bed), "the program runs")
    lab.kill_tree(proc.pid)
    bed.placard.finish(proc)
    assert bed.placard.run("cleanup", "--all").status == 0
    assert calls(bed)[-1][0] == ["cleanup", "--", bed.zone, "tok", KEYAUTH]
    assert bed.placard.quiet_journal()


@pytest.mark.parametrize("daemon", [False, True])
def test_hook_lego_to_exec_lego_raw(bed, program, daemon):
    """lego's RAW words go through placard and placardd unharmed."""
    program("true", protocol="lego-raw")
    words = ["--", bed.zone, "tok", KEYAUTH]
    with Daemon(bed.placard) if daemon else contextlib.nullcontext():
        for verb in ("present", "cleanup"):
            done = bed.placard.run("hook", "--no-wait", "lego", verb, *words)
            assert done.status == 0, done
    assert [one for one, _ in calls(bed)] == [
        [verb, *words] for verb in ("present", "cleanup")]


def test_uacme_dns(bed, program):
    program("true", protocol="uacme")
    digest = base64.urlsafe_b64encode(hashlib.sha256(
        KEYAUTH.encode()).digest()).rstrip(b"=").decode()
    for words in (["--key-authorization", KEYAUTH],
                  ["--value", lab.value("v")]):
        assert bed.placard.run("present", "--no-wait", "-m", "dns-01", "-d",
                               bed.zone, *words).status == 0
    assert bed.placard.run("cleanup", "--all").status == 0
    want = [["dns-01", bed.zone, "tok", digest],
            ["dns-01", bed.zone, "-", lab.value("v")]]
    assert [one for one, _ in calls(bed)] == [
        ["begin", *want[0]], ["begin", *want[1]],
        ["done", *want[0]], ["done", *want[1]]]
    env = calls(bed)[0][1]
    assert [env[f"UACME_{n}"] for n in ("METHOD", "TYPE", "IDENT", "TOKEN",
                                        "AUTH")] == ["begin", *want[0]]


def test_uacme_http(bed, program):
    program("true", protocol="uacme")
    words = ["-m", "http-01", "-d", bed.zone, "--token", "tok",
             "--key-authorization", KEYAUTH]
    assert bed.placard.run("present", "--no-wait", *words).status == 0
    assert bed.placard.run("cleanup", *words).status == 0
    assert [one for one, _ in calls(bed)] == [
        [verb, "http-01", bed.zone, "tok", KEYAUTH]
        for verb in ("begin", "done")]


def test_failure_says_the_last_line(bed, program):
    program('echo noise >&2; test $1 = cleanup || '
            '{ echo "zone is locked" >&2; exit 3; }')
    done = bed.placard.run("present", "--no-wait", *bed.dns01())
    assert done.status == 1, done
    assert "exit status 3: zone is locked" in done.err
    # lego, too, would call it for the cleanup
    assert [one[0] for one, _ in calls(bed)] == ["present", "cleanup"]
    assert bed.placard.quiet_journal()


def test_temporary_failure_is_tried_again(bed, program):
    program("test -e {0}/second || {{ touch {0}/second; exit 75; }}".format(
        bed.placard.dir))
    assert bed.placard.run("present", "--no-wait",
                           *bed.dns01()).status == 0
    assert len(calls(bed)) == 2


def test_deadline_ends_the_program(bed, program):
    program("echo $$ > {0}/pid; exec sleep 600".format(bed.placard.dir),
            timeout=1)
    done = bed.placard.run("present", "--no-wait", "--timeout", "3",
                           *bed.dns01())
    assert done.status == 6, done
    with open(os.path.join(bed.placard.dir, "pid"),
              encoding="ascii") as text:
        pid = int(text.read())
    lab.wait_for(lambda: not lab.alive(pid), "the program has ended")


def test_output_is_bounded(bed, program):
    program("head -c 50000000 /dev/zero | tr '\\0' x; "
            "head -c 50000000 /dev/zero | tr '\\0' x >&2; exit 1")
    done = bed.placard.run("present", "--no-wait", *bed.dns01())
    assert done.status == 1 and len(done.err) < 2000, done


@pytest.mark.skipif(os.geteuid() != 0, reason="changing the user needs root")
def test_user(bed, program):
    program("id -un > {0}/who; id -G >> {0}/who".format(bed.placard.dir),
            user="nobody")
    path = bed.placard.dir
    while path not in ("/", "/tmp"):
        os.chmod(path, 0o755)
        path = os.path.dirname(path)
    for name in ("who", "calls"):
        with open(os.path.join(bed.placard.dir, name), "wb") as out:
            os.fchmod(out.fileno(), 0o666)
    done = bed.placard.run("present", "--no-wait", *bed.dns01())
    assert done.status == 0, done
    with open(os.path.join(bed.placard.dir, "who"),
              encoding="ascii") as text:
        assert text.read().split() == [
            "nobody", str(pwd.getpwnam("nobody").pw_gid)]
    assert calls(bed)[0][1]["USER"] == "nobody"


def test_zones(bed, program):
    program("true", zones=["other.test"])
    done = bed.placard.run("present", "--no-wait", *bed.dns01())
    assert done.status != 0 and "none of the account's zones" in done.err
    program("true", zones=[bed.zone, "lab.test"])
    done = bed.placard.json("present", "--no-wait", *bed.dns01())
    assert done.challenges[0]["scope"] == bed.zone, done


@pytest.mark.parametrize("mode,said", [(0o644, "not executable"),
                                       (0o757, "chmod o-w")])
def test_program_is_looked_at(bed, program, mode, said):
    os.chmod(program("true"), mode)
    done = bed.placard.run("account", "test", "lab")
    assert done.status == 3 and said in done.err, done


def test_no_program(bed, program):
    os.unlink(program("true"))
    done = bed.placard.run("present", "--no-wait", *bed.dns01())
    assert done.status == 3 and "no such file" in done.err, done


# -- the recipes

@pytest.fixture(scope="module")
def world(tmp_path_factory):
    absent = lab_acme.missing("pebble", "named", "nginx")
    if absent:
        pytest.skip(f"{absent} is not installed")
    if not lab.namespaces_work() or os.geteuid() != 0:
        pytest.skip("mounting needs root")
    with lab_acme.World(tmp_path_factory.mktemp("world")) as one:
        one.keep = dict(one.placard.accounts)
        yield one


def with_account(world, **options):
    world.placard.accounts["lab"] = {"provider": "exec"} | options
    world.configure()


def both(world):
    """Apex and wildcard, there and back."""
    seeds = [lab.value("a"), "-" + lab.value("b")[1:]]
    for value in seeds:
        world.ok(f"placard present -m dns-01 -d example.com --value={value}")
    assert world.primary.texts(
        "_acme-challenge.example.com") == sorted(seeds)
    world.ok("placard cleanup -m dns-01 -d example.com "
             f"--value={seeds[0]}")
    assert world.primary.texts("_acme-challenge.example.com") == seeds[1:]
    world.ok("placard cleanup --all")
    world.unchanged()


def test_lexicon(world):
    """Its own ddns provider.  The zone is said, because lexicon would ask the
    internet for the list of public suffixes."""
    if lab_acme.missing("lexicon"):
        pytest.skip("lexicon is not installed")
    key = world.primary.key
    world.write("/etc/placard/lexicon/lexicon_ddns.yml",
                f"auth_token: {key.algorithm}:placard:{key.secret}\n"
                "ddns_server: 127.0.0.1\n", 0o600)
    with_account(world, program=os.path.join(RECIPES, "lexicon"), arguments=[
        "/etc/placard/lexicon", "ddns", "example.com"])
    both(world)


# What a file of acme.sh's dnsapi looks like, and the least of acme.sh that it
# needs around it.
SAMPLE_API = """
dns_sample_info='Sample
Options:
 SAMPLE_Key the key
'
dns_sample_add() {
  SAMPLE_Key="${SAMPLE_Key:-$(_readaccountconf_mutable SAMPLE_Key)}"
  [ "$SAMPLE_Key" ] || { _err "no key"; return 1; }
  _info "adding $1"
  _change "update add $1. 60 TXT \\"$2\\""
}
dns_sample_rm() {
  SAMPLE_Key="${SAMPLE_Key:-$(_readaccountconf_mutable SAMPLE_Key)}"
  _change "update delete $1. TXT \\"$2\\""
}
_change() {
  printf 'server 127.0.0.1\\n%s\\nsend\\n' "$1" | nsupdate -y "$SAMPLE_Key"
}
"""
SAMPLE_ACME = """
_info() { echo "$@"; }
_err() { echo "$@" >&2; }
_readaccountconf_mutable() {
  sed -n "s/^SAVED_$1='\\(.*\\)'$/\\1/p" "$ACCOUNT_CONF_PATH"
}
_initpath() { ACCOUNT_CONF_PATH=$LE_WORKING_DIR/account.conf; }
showhelp() { echo "usage: acme.sh ..."; }
main() { [ -z "$1" ] && showhelp && return; "$@"; }
main "$@"
"""


def test_acme_sh_dnsapi(world):
    folder = "/etc/placard/acme.sh"
    world.write(f"{folder}/acme.sh", SAMPLE_ACME)
    world.write(f"{folder}/dnsapi/dns_sample.sh", SAMPLE_API)
    with_account(world, program=os.path.join(RECIPES, "acme.sh-dnsapi"),
                 arguments=[folder, "dns_sample"])
    done = world.run("placard present -m dns-01 -d example.com "
                     f"--value={lab.value('n')}")
    assert done.status == 1 and "no key" in done.text, done
    world.write(f"{folder}/account.conf",
                f"SAVED_SAMPLE_Key='{world.primary.key.nsupdate()}'\n", 0o600)
    both(world)


@pytest.mark.parametrize("words", [
    ["/etc", "dns_x;id"], ["/etc", "../x"], ["/etc"], []])
def test_acme_sh_dnsapi_refuses(placard, words):
    path = os.path.join(RECIPES, "acme.sh-dnsapi")
    placard.account("x", "exec", program=path, arguments=words)
    placard.route("example.com", "x")
    done = placard.run("present", "--no-wait", "-m", "dns-01", "-d",
                       "example.com", "--value", lab.value("x"))
    assert done.status == 1 and "exit status 2" in done.err, done


def test_uacme_own_hook(world):
    """The nsupdate.sh of the package, as it is."""
    if lab_acme.missing("uacme", "dig"):
        pytest.skip("uacme is not installed")
    key = world.primary.key
    world.write("/etc/placard/nsupdate.key", key.named(), 0o600)
    with open("/usr/share/uacme/nsupdate.sh", encoding="utf-8") as text:
        script = text.read()
    world.write("/etc/placard/nsupdate.sh", script, 0o755)
    world.write("/usr/bin/nsupdate-key", "#!/bin/sh\nexec /usr/bin/nsupdate "
                "-k /etc/placard/nsupdate.key \"$@\"\n", 0o755)
    world.write("/etc/placard/nsupdate.sh", script.replace(
        "NSUPDATE=nsupdate", "NSUPDATE=nsupdate-key").replace(
            "nsupdate $", "nsupdate-key $"), 0o755)
    if "nsupdate-key" not in open(world.inside(
            "/etc/placard/nsupdate.sh"), encoding="utf-8").read():
        pytest.skip("nsupdate.sh is another one than was known")
    with_account(world, program="/etc/placard/nsupdate.sh",
                 protocol="uacme", follow=False)
    value = lab.value("u")
    world.ok(f"placard present -m dns-01 -d example.com --value={value}")
    assert world.primary.texts("_acme-challenge.example.com") == [value]
    world.ok("placard cleanup --all")
    world.unchanged()
