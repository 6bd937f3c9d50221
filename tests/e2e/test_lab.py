# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""The lab proves itself, with the tools of others."""

import os
import socket
import subprocess

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.update
import pytest

import lab
import lab_schema


def tool(name, script, key, server, ns=None):
    """nsupdate or knsupdate with a script; its exit status."""
    text = f"server {server.address} {server.port}\n" + script + "send\n"
    prefix = ns.prefix() if ns else []
    return subprocess.run(
        prefix + [lab.find_program(name), "-y", key.nsupdate()], input=text,
        text=True, capture_output=True, check=False).returncode


@pytest.mark.parametrize("client", ["nsupdate", "knsupdate"])
@pytest.mark.parametrize("kind", [lab.Named, lab.Knotd])
def test_update_and_dump(tmp_path, kind, client):
    with kind(tmp_path / "s", ["one.test", "two.test"]) as server:
        before = server.dump("one.test")
        name = "_acme-challenge.one.test."
        add = f'zone one.test\nupdate add {name} 60 TXT "abc"\n'
        assert tool(client, add, lab.Key(), server) != 0
        assert server.dump("one.test") == before
        assert tool(client, add, server.key, server) == 0
        assert server.texts(name) == ["abc"]
        assert server.ttl(name) == 60
        assert server.dump("one.test") != before
        serial = server.serial("one.test")
        take = f'zone one.test\nupdate delete {name} 60 TXT "abc"\n'
        assert tool(client, take, server.key, server) == 0
        assert server.serial("one.test") != serial
        assert server.dump("one.test") == before
        assert "keep-me-2" in before and "SERIAL" in before


def test_algorithms(tmp_path):
    keys = [lab.Key(f"k-{a}.", a) for a in (
        "hmac-sha1", "hmac-sha224", "hmac-sha256", "hmac-sha384",
        "hmac-sha512")]
    with lab.Named(tmp_path / "s", ["one.test"], keys=keys) as server:
        for i, key in enumerate(keys):
            add = f'zone one.test\nupdate add t{i}.one.test. 60 TXT "a"\n'
            assert tool("nsupdate", add, key, server) == 0
            assert server.texts(f"t{i}.one.test") == ["a"]


def test_pool_secondary_follows(pool):
    zone = pool.left.pop()
    updates = pool.updates()
    pool.seed(zone, f"x.{zone}", "one", "two")
    assert pool.updates() == updates + 1
    assert pool.texts(f"x.{zone}") == ["one", "two"]
    lab.wait_for(lambda: pool.secondary.texts(f"x.{zone}") == ["one", "two"],
                 "secondary has it")
    assert pool.secondary.dump(zone) == pool.dump(zone)
    assert pool.questions(f"x.{zone}") >= 1


def test_added_zone(tmp_path):
    with lab.Named(tmp_path / "s", ["one.test"]) as server:
        server.seed("one.test", "a.one.test", "x")
        server.add_zone("two.test", extra="deep A 127.0.0.9\n")
        assert server.texts("a.one.test") == ["x"]
        server.seed("two.test", "b.two.test", "y")
        assert server.texts("b.two.test") == ["y"]
        assert server.ask("deep.two.test", "A").answer


def test_pause_is_silence(tmp_path):
    with lab.Named(tmp_path / "s", ["one.test"]) as server:
        server.pause()
        query = dns.message.make_query("one.test", "SOA")
        with pytest.raises(dns.exception.Timeout):
            dns.query.udp(query, server.address, port=server.port,
                          timeout=0.3)
        server.resume()
        assert server.texts("decoy.one.test") == ["twostrings"]


def test_nginx(web):
    os.makedirs(os.path.join(web.root, ".well-known"))
    path = os.path.join(web.root, ".well-known", "x")
    with open(path, "wb") as out:
        out.write(b"bytes\r\n\0")
    assert web.fetch("/.well-known/x") == (200, b"bytes\r\n\0")
    assert web.fetch("/none")[0] == 404
    done = subprocess.run(["curl", "-s", f"http://{web.site}/.well-known/x"],
                          capture_output=True, check=True)
    assert done.stdout == b"bytes\r\n\0"
    assert lab.tree(web.root) == {".well-known/x": b"bytes\r\n\0"}


def test_namespace(namespace, tmp_path):
    with lab.Named(tmp_path / "a", ["one.test"], ns=namespace,
                   address="127.0.0.2", port=53, recursion=True,
                   also_listen=["127.0.0.1"]) as server, \
            lab.Nginx(tmp_path / "w", {"127.0.0.11:80":
                                       str(tmp_path / "root11"),
                                       "127.0.0.12:80":
                                       str(tmp_path / "root12")},
                      ns=namespace) as web:
        server.seed("one.test", "n.one.test", "inside")
        assert server.texts("n.one.test") == ["inside"]
        assert namespace.run("dig", "+short", "n.one.test",
                             "TXT").strip() == '"inside"'
        assert tool("nsupdate", 'zone one.test\nupdate add m.one.test. 1 TXT '
                    '"m"\n', server.key, server, namespace) == 0
        (tmp_path / "root12" / "f").write_bytes(b"twelve")
        assert web.fetch("/f", where="127.0.0.12:80") == (200, b"twelve")
        assert web.fetch("/f", where="127.0.0.11:80")[0] == 404
        query = dns.message.make_query("one.test", "SOA")
        with pytest.raises((dns.exception.Timeout, OSError)):
            dns.query.tcp(query, "127.0.0.2", port=53, timeout=1)


def liar_update(liar):
    """A signed UPDATE; True when dnspython believes the answer."""
    message = dns.update.UpdateMessage(
        "liar.test", keyring=liar.key.keyring(), keyname=liar.key.name,
        keyalgorithm=liar.key.algorithm)
    message.add("_acme-challenge.liar.test.", 60, "TXT", '"v"')
    try:
        answer = dns.query.udp(message, liar.address, port=liar.port,
                               timeout=0.5)
    except (dns.exception.DNSException, ValueError):
        return False
    return answer.rcode() == dns.rcode.NOERROR and answer.had_tsig


def test_liar_can_be_honest():
    with lab.Liar(["liar.test"]) as liar:
        assert liar_update(liar)
        assert liar.texts("_acme-challenge.liar.test") == ["v"]
        for ask in (dns.query.udp, dns.query.tcp):
            query = dns.message.make_query("_acme-challenge.liar.test", "TXT")
            answer = ask(query, liar.address, port=liar.port, timeout=2)
            assert '"v"' in answer.answer[0].to_text()
        query = dns.message.make_query("no.liar.test", "TXT")
        answer = dns.query.udp(query, liar.address, port=liar.port, timeout=2)
        assert answer.rcode() == dns.rcode.NXDOMAIN
        assert liar.updates == 1 and liar.queries == 3 and liar.told == 0
        assert tool("nsupdate", 'zone liar.test\nupdate add m.liar.test. 1 '
                    'TXT "m"\n', liar.key, liar) == 0


@pytest.mark.parametrize("lie", [
    "wrong-id", "wrong-port", "wrong-address", "wrong-mac", "wrong-key",
    "wrong-keyname", "old-time", "future-time", "unsigned",
    "not-a-response", "garbage", "short", "silence", "refused"])
def test_liar_lies(lie):
    with lab.Liar(["liar.test"], update_lie=lie) as liar:
        assert not liar_update(liar)
        assert liar.told == liar.updates >= 1
        assert liar.texts("_acme-challenge.liar.test") == []


def test_liar_names_another_zone():
    """dnspython takes this one, so it is looked at by hand."""
    with lab.Liar(["liar.test"], update_lie="wrong-question") as liar:
        message = dns.update.UpdateMessage("liar.test")
        answer = dns.query.udp(message, liar.address, port=liar.port,
                               timeout=2)
        assert answer.question[0].name != dns.name.from_text("liar.test")


@pytest.mark.parametrize("lie", ["truncated", "other-value", "no-question",
                                 "wrong-opcode"])
def test_liar_bends_queries(lie):
    with lab.Liar(["liar.test"], query_lie=lie) as liar:
        liar.put("a.liar.test", 60, "TXT", '"true"')
        query = dns.message.make_query("a.liar.test", "TXT")
        try:
            answer = dns.query.udp(query, liar.address, port=liar.port,
                                   timeout=0.3)
            seen = [r.to_text() for r in answer.answer]
        except (dns.exception.DNSException, ValueError):
            seen = []
        assert not any('"true"' in text for text in seen) or \
            lie == "no-question"
        assert liar.told == 1


def test_strace_counts_each_process_for_itself(tmp_path):
    """The crash tests rely on how strace counts with -f."""
    script = tmp_path / "s.py"
    script.write_text("import os\n"
                      "if os.fork() == 0:\n"
                      "    for i in range(3): os.pwrite(1, b'c', 0)\n"
                      "    os._exit(0)\n"
                      "os.wait()\n"
                      "for i in range(3): os.pwrite(1, b'p', 3 + i)\n")
    out = tmp_path / "out"
    with open(out, "wb") as sink:
        done = subprocess.run(
            [lab.strace(), "-f", "-o", tmp_path / "log", "-e",
             "inject=pwrite64:signal=KILL:when=3", "/usr/bin/python3",
             script], stdout=sink, check=False)
    # Both are killed at their own third call, before it has an effect.
    assert done.returncode == -9
    assert out.read_bytes() == b"c\0\0pp"


def good_report():
    return {"job": "j", "state": "visible", "challenges": [{
        "method": "dns-01", "domain": "*.example.com", "state": "visible",
        "account": "lab", "scope": "example.com",
        "record": "_acme-challenge.example.com",
        "published": "2026-11-21T12:00:00Z",
        "visible": "2026-11-21T12:00:00.123Z", "attempts": 3,
        "verdicts": [{"server": "ns1.example.com", "address": "192.0.2.1",
                      "answer": "present", "ms": 2}], "error": None}]}


def test_schema_takes_the_example():
    lab_schema.check_report(good_report())


@pytest.mark.parametrize("spoil", [
    lambda r: r.update(extra=1),
    lambda r: r.update(state="queued"),
    lambda r: r["challenges"][0].update(extra=1),
    lambda r: r["challenges"][0].pop("scope"),
    lambda r: r["challenges"][0].update(published="yesterday"),
    lambda r: r["challenges"][0].update(state="gone"),
    lambda r: r["challenges"][0].update(attempts=-1),
    lambda r: r["challenges"][0].update(error={"code": "x"}),
    lambda r: r["challenges"][0]["verdicts"][0].update(answer="maybe"),
    lambda r: r["challenges"][0]["verdicts"][0].update(address="ns1"),
])
def test_schema_refuses(spoil):
    report = good_report()
    spoil(report)
    with pytest.raises((AssertionError, ValueError)):
        lab_schema.check_report(report)


def test_schema_refuses_twins():
    with pytest.raises(AssertionError):
        lab_schema.loads('{"a": 1, "a": 2}')


def test_power_cut_comes_after_the_call(tmp_path):
    """lab_crash stops a process behind the call and kills all of it."""
    from lab_crash import Strace

    class Fake:
        dir = str(tmp_path)

        def popen(self, *args, wrap=(), env=None, **more):
            return subprocess.Popen(
                [*wrap, "/usr/bin/python3", "-c", *args], text=True,
                stdout=subprocess.PIPE, stderr=subprocess.PIPE, **more)

        def finish(self, proc):
            proc.communicate(timeout=20)

    code = ("import os, socket, time\n"
            "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
            "for i in range(5): s.sendto(b'%d' % i, ('127.0.0.1', PORT))\n")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sink:
        sink.bind(("127.0.0.1", 0))
        sink.settimeout(0.3)
        code = code.replace("PORT", str(sink.getsockname()[1]))
        assert Strace(Fake(), [code]).cut_power("sendto", 3)
        assert [sink.recv(9) for _ in range(3)] == [b"0", b"1", b"2"]
        with pytest.raises(TimeoutError):
            sink.recv(9)
        assert not Strace(Fake(), [code]).cut_power("sendto", 6)
