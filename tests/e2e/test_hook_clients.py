# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""The lines of placard-hooks(7), run as they are, with the real clients.

Each client gets its certificates from pebble, which looks at the secondary
name server and fetches from nginx; afterwards zone and document root must be
byte for byte what they were.
"""

import os
import re
import signal

import pytest

import lab
import lab_acme

MANUAL = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..",
                      "man", "placard-hooks.7")
APEX = ["*.example.com", "example.com"]
WWW = ["www.example.com"]

pytestmark = pytest.mark.usefixtures("can_unshare")


def displays(section):
    """(file name or None, text) of the section's literal displays."""
    with open(MANUAL, encoding="ascii") as text:
        manual = text.read()
    body = re.search(r"^\.Ss %s\n(.*?)(?=^\.S[sh] )" % re.escape(section),
                     manual, re.M | re.S).group(1)
    found = re.findall(r"(?:^\.\\\" file (\S+)\n)?^\.Bd [^\n]*\n(.*?)^\.Ed",
                       body, re.M | re.S)
    assert found, f"{section}: no displays"
    return [(name or None, text.replace("\\e", "\\"))
            for name, text in found]


def commands(section):
    """The command lines of a section, continuation lines and all."""
    lines = []
    for name, text in displays(section):
        if name is None and text.startswith("# "):
            lines += [line for line in
                      re.split(r"^# ", text, flags=re.M) if line]
    return lines


def need(*programs):
    absent = lab_acme.missing(*programs, "pebble", "named", "nginx")
    if absent:
        pytest.skip(f"{absent} is not installed")


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    need()
    if not lab.namespaces_work() or os.geteuid() != 0:
        pytest.skip("mounting needs root")
    with lab_acme.World(tmp_path_factory.mktemp("world")) as one:
        yield one


@pytest.fixture(scope="module")
def served(tmp_path_factory):
    need()
    if not lab.namespaces_work() or os.geteuid() != 0:
        pytest.skip("mounting needs root")
    with lab_acme.World(tmp_path_factory.mktemp("served"),
                        daemon=True) as one:
        yield one


@pytest.fixture(params=["alone", "placardd"])
def either(request):
    """Hooks that do it all by themselves, or that ask placardd."""
    name = "served" if request.param == "placardd" else "world"
    return request.getfixturevalue(name)


def went(world, tool, least=1):
    """Where there is a placardd, this tool's hook has used it."""
    if world.service:
        assert world.service.jobs(tool) >= least, world.service.output()


def follow(world, section):
    """Do what the section says."""
    for name, text in displays(section):
        if name:
            world.write(name, text)
    return [world.ok(line) for line in commands(section)]


def fetched(world):
    """How often the CA (or placard) fetched a challenge file."""
    with open(world.path("front", "access.log"), encoding="ascii") as text:
        return text.read().count("GET /.well-known/acme-challenge/")


def test_every_section_is_known():
    """A tool that the manual has gets a test of its lines here."""
    with open(MANUAL, encoding="ascii") as text:
        sections = re.findall(r"^\.Ss (.+)$", text.read(), re.M)
    assert tuple(sections) == lab_acme.TOOLS


def test_certbot(either):
    need("certbot")
    before = fetched(either)
    follow(either, "certbot")
    live = "/etc/letsencrypt/live"
    assert either.names(f"{live}/example.com/cert.pem") == APEX
    assert either.names(f"{live}/www.example.com/cert.pem") == WWW
    assert fetched(either) > before
    either.unchanged()
    went(either, "certbot", 3)


def test_certbot_renews_several(world):
    """One process, two certificates: the environment of the first cleanup
    is still there when the second one's auth hook runs."""
    need("certbot")
    if not os.path.exists(world.inside("/etc/letsencrypt/live")):
        follow(world, "certbot")
    done = world.ok("certbot renew --force-renewal "
                    "--no-random-sleep-on-renew")
    assert done.text.count("(success)") == 2, done
    world.unchanged()


def test_dehydrated(either):
    need("dehydrated")
    before = fetched(either)
    follow(either, "dehydrated")
    certs = "/var/lib/dehydrated/certs"
    assert either.names(f"{certs}/example/cert.pem") == APEX
    assert either.names(f"{certs}/www.example.com/cert.pem") == WWW
    assert fetched(either) > before
    either.unchanged()
    went(either, "dehydrated", 2)


@pytest.mark.parametrize("chain", ["yes", "no"])
def test_dehydrated_chain(world, chain):
    need("dehydrated")
    if not os.path.exists(world.inside("/var/lib/dehydrated/accounts")):
        world.ok("dehydrated --register --accept-terms")
    world.write("/etc/dehydrated/conf.d/placard.sh",
                'CHALLENGETYPE="dns-01"\nHOOK_CHAIN="%s"\n'
                'HOOK="/usr/libexec/placard/hook-dehydrated"\n' % chain)
    world.ok(f"dehydrated -c -x --alias c{chain} "
             "-d 'example.com *.example.com'")
    assert world.names(
        f"/var/lib/dehydrated/certs/c{chain}/cert.pem") == APEX
    world.unchanged()


def test_lego(either):
    need("lego")
    follow(either, "lego")
    assert either.names(
        "/var/lib/lego/certificates/example.com.crt") == APEX
    either.unchanged()
    went(either, "lego", 2)


def test_lego_default_mode(world):
    """Finished names, and lego's own look at every server."""
    need("lego")
    world.ok("EXEC_PATH=/usr/libexec/placard/hook-lego "
             "EXEC_SEQUENCE_INTERVAL=1 EXEC_POLLING_INTERVAL=1 lego "
             "--accept-tos --email hostmaster@example.com --path /var/lego2 "
             "--dns exec -d example.com -d '*.example.com' run")
    assert world.names("/var/lego2/certificates/example.com.crt") == APEX
    world.unchanged()


def test_uacme(either):
    need("uacme")
    follow(either, "uacme")
    assert either.names("/etc/ssl/uacme/example.com/cert.pem") == APEX
    assert either.names("/etc/ssl/uacme/www.example.com/cert.pem") == WWW
    either.unchanged()
    went(either, "uacme", 3)


@pytest.mark.parametrize("off,wanted", [("lab", "http-01"),
                                        ("web", "dns-01")])
def test_uacme_declines_what_no_account_serves(world, off, wanted):
    need("uacme")
    confdir = f"/etc/uacme-{off}"
    world.placard.accounts[off]["enabled"] = False
    world.configure()
    before = fetched(world)
    try:
        world.ok(f"uacme -c {confdir} -y new a@example.com")
        world.ok(f"uacme -c {confdir} -h /usr/libexec/placard/hook-uacme "
                 "issue www.example.com")
    finally:
        del world.placard.accounts[off]["enabled"]
        world.configure()
    assert world.names(f"{confdir}/www.example.com/cert.pem") == WWW
    assert (fetched(world) > before) == (wanted == "http-01")
    world.unchanged()


# A stand-in for acme.sh, which Debian does not have: as far as the DNS API
# goes it does what acme.sh does.
ACME_SH = """#!/bin/sh
while [ $# -gt 0 ]; do
    case $1 in
    --dns) api=$2; shift ;;
    -d) [ "$domains" ] && domains="$domains $2" || domains=$2; shift ;;
    --dnssleep) shift ;;
    esac
    shift
done
_info() { printf '%s\\n' "$*"; }
_err() { printf '%s\\n' "$*" >&2; }
set -f
n=0
for d in $domains; do
    n=$((n + 1))
    (. "$HOME/.acme.sh/dnsapi/$api.sh" && "${api}_add" \\
        "_acme-challenge.${d#\\*.}" "$(value $n)") || exit 1
done
kdig +short @127.0.0.2 TXT _acme-challenge.example.com | sort > "$HOME/seen"
n=0
for d in $domains; do
    n=$((n + 1))
    (. "$HOME/.acme.sh/dnsapi/$api.sh" && "${api}_rm" \\
        "_acme-challenge.${d#\\*.}" "$(value $n)") || exit 1
    kdig +short @127.0.0.1 TXT _acme-challenge.example.com \\
        > "$HOME/left$n"
done
"""


def test_acme_sh(either):
    need("kdig")
    values = [lab.value("one"), lab.value("two")]
    script = ACME_SH
    for i, one in enumerate(values):
        script = script.replace(
            "set -f", f"set -f\nv{i + 1}={one}", 1)
    script = script.replace("_info()", 'value() { eval "echo \\$v$1"; }\n'
                            "_info()", 1)
    either.write("/usr/bin/acme.sh", script, 0o755)
    os.makedirs(either.path("home", ".acme.sh", "dnsapi"), exist_ok=True)
    follow(either, "acme.sh")

    def read(name):
        with open(either.path("home", name), encoding="ascii") as text:
            return text.read().replace('"', "").split()
    assert read("seen") == sorted(values)
    assert read("left1") == [values[1]]
    assert read("left2") == []
    either.unchanged()
    went(either, "acme.sh", 2)


def mod_md_conf(world, version, group="www-data"):
    """The manual's lines in a server that needs them."""
    lines = displays("mod_md")[0][1]
    if version == 1:
        lines = lines.replace("Version 2", "Version 1")
    modules = "".join(
        f"LoadModule {m}_module /usr/lib/apache2/modules/mod_{m}.so\n"
        for m in ("mpm_event", "authz_core", "md", "ssl", "socache_shmcb"))
    return (f"ServerRoot {world.path('apache')}\nServerName example.com\n"
            f"{modules}PidFile {world.path('apache', 'pid')}\n"
            f"ErrorLog {world.path('apache', 'error.log')}\n"
            "LogLevel md:debug\nListen 127.0.0.90:443\n"
            f"User www-data\nGroup {group}\n"
            f"MDStoreDir {world.path('apache', 'md')}\n"
            "MDCertificateAgreement accepted\nMDRetryDelay 5s\n"
            f"MDContactEmail a@example.com\n{lines}"
            "<VirtualHost 127.0.0.90:443>\n  ServerName example.com\n"
            "  ServerAlias *.example.com\n  SSLEngine on\n</VirtualHost>\n")


def httpd(world, version, group="www-data", **env):
    """Run a real httpd until it has its certificate and has cleaned up."""
    folder = world.path("apache")
    world.ns.run("rm", "-rf", folder)
    os.makedirs(folder)
    world.ns.add_address("127.0.0.90")
    for path in (world.dir, *(_parents(world.dir))):
        os.chmod(path, os.stat(path).st_mode | 0o011)
    with open(os.path.join(folder, "httpd.conf"), "w",
              encoding="ascii") as out:
        out.write(mod_md_conf(world, version, group))
    server = world.popen(
        f"exec apache2 -D FOREGROUND -f {folder}/httpd.conf", **env)
    staged = f"{folder}/md/staging/example.com/pubcert.pem"
    try:
        lab.wait_for(lambda: os.path.exists(staged) or
                     server.poll() is not None, "a certificate", 90)
        assert server.poll() is None, server.communicate()
        lab.wait_for(lambda: not world.primary.texts(
            "_acme-challenge.example.com"), "the teardown", 30)
    except lab.LabError:
        with open(f"{folder}/error.log", encoding="utf-8") as log:
            raise AssertionError(log.read()[-5000:]) from None
    finally:
        lab.kill_tree(server.pid, signal.SIGTERM)
        server.communicate(timeout=30)
    assert world.names(staged) == APEX
    world.unchanged()


@pytest.mark.parametrize("version", [2, 1])
def test_mod_md(world, version):
    """The hook is called by httpd's children, as www-data."""
    need("apache2")
    # They need placard's configuration, secret and state.
    config = world.inside("/var/placard-www")
    world.ns.run("rm", "-rf", "/var/placard-www")
    os.makedirs(config)
    secret = world.placard.accounts["lab"]["key-secret-file"]
    text = world.placard.text().replace(
        "/var/lib/placard", "/var/placard-www/state").replace(
            secret, "/var/placard-www/secret")
    with open(secret, encoding="ascii") as one:
        world.write("/var/placard-www/secret", one.read(), 0o600)
    world.write("/var/placard-www/placard.conf", text, 0o600)
    world.ns.run("chown", "-R", "www-data:", "/var/placard-www")
    httpd(world, version, PLACARD_CONFIG="/var/placard-www/placard.conf")
    left = world.ok("placard -c /var/placard-www/placard.conf list").text
    assert left == ""


@pytest.mark.parametrize("version", [2, 1])
def test_mod_md_through_placardd(served, version):
    """The children can read nothing of placard's; their group will do."""
    need("apache2")
    before = served.service.jobs("mod_md")
    httpd(served, version, group="placard")
    assert served.service.jobs("mod_md") >= before + 2


@pytest.mark.parametrize("group,status,said", [
    ("placard", 0, "placardd=/run/placard/placardd.sock"),
    ("www-data", 4, "placardd.sock: placardd cannot be reached")])
def test_user_without_configuration(served, group, status, said):
    line = (f"setpriv --reuid www-data --regid {group} --clear-groups "
            "placard -v hook lego %s _acme-challenge.example.com. "
            f"{lab.value('u')}")
    for word in ("present", "cleanup"):
        done = served.run(line % word, HOME="/nonexistent")
        assert done.status == status and said in done.text, done
    served.unchanged()


def test_user_without_configuration_and_placardd(world):
    done = world.run("setpriv --reuid www-data --regid www-data "
                     "--clear-groups placard hook lego present "
                     f"_acme-challenge.example.com. {lab.value('u')}",
                     HOME="/nonexistent")
    assert done.status == 3, done
    assert "not for this user to read" in done.text, done
    world.unchanged()


def _parents(path):
    while path != "/tmp" and path != "/":
        path = os.path.dirname(path)
        yield path


@pytest.mark.parametrize("tool", ["certbot", "uacme"])
def test_killed_hook_leaves_nothing_for_ever(world, tool):
    """The hook dies while it waits; a later cleanup finds what it left."""
    need(tool)
    if tool == "certbot":
        line = commands("certbot")[0].replace("example.com", "k.example.com"
                                              ).replace("@k.", "@")
    else:
        world.ok("uacme -c /etc/uacme-k -y new a@example.com")
        line = ("uacme -c /etc/uacme-k -h /usr/libexec/placard/hook-uacme "
                "issue '*.k.example.com'")    # by dns-01 only
    world.secondary.pause()
    try:
        client = world.popen(line)
        lab.wait_for(lambda: world.primary.texts(
            "_acme-challenge.k.example.com"), "published")
        # One worker publishes; the second one is there to look.
        lab.wait_for(lambda: len(lab.workers_of(client.pid)) == 2,
                     "the hook waits")
        lab.kill_tree(client.pid)
        client.communicate(timeout=30)
    finally:
        world.secondary.resume()
    assert world.primary.texts("_acme-challenge.k.example.com")
    world.ok("sleep 1.1; placard cleanup --older-than 1s")
    world.unchanged()
