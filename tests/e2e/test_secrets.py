# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""The key is nowhere but where it was put."""

import base64
import os

import pytest

import lab


def needles(secret):
    """The secret as it could turn up: base64, raw, hexadecimal, URL."""
    raw = base64.b64decode(secret)
    return [secret.encode(), raw, raw.hex().encode(),
            raw.hex().upper().encode(),
            base64.urlsafe_b64encode(raw).rstrip(b"=")]


def nowhere(secret, data, where):
    for needle in needles(secret):
        assert needle not in data, where


@pytest.mark.quick
def test_not_in_state_output_or_arguments(bed):
    """Looked for while workers run, in the loudest mode."""
    secret = bed.primary.key.secret
    bed.secondary.pause()
    proc = bed.placard.popen("-v", "--json", "present", *bed.dns01(),
                             "--timeout", "5")
    try:
        lab.wait_for(lambda: bed.texts(), "published")
        seen = lab.descendants(proc.pid)
        for pid in seen:
            for name in ("cmdline", "environ"):
                try:
                    with open(f"/proc/{pid}/{name}", "rb") as text:
                        nowhere(secret, text.read(), name)
                except OSError:
                    continue
    finally:
        bed.secondary.resume()
        done = bed.placard.finish(proc)
    assert len(seen) > 1
    nowhere(secret, done.text().encode(), "output")
    for folder, _, names in os.walk(bed.placard.state):
        for name in names:
            with open(os.path.join(folder, name), "rb") as text:
                nowhere(secret, text.read(), name)


def test_engine_and_check_worker_hold_no_secret(bed):
    """Only the worker of the account has it in its memory."""
    if os.geteuid() != 0:
        pytest.skip("reading another process's memory needs root")
    secret = bed.primary.key.secret
    bed.secondary.pause()
    proc = bed.placard.popen("present", *bed.dns01(), "--timeout", "8")
    try:
        lab.wait_for(lambda: bed.texts(), "published")
        checkers = lab.wait_for(
            lambda: lab.workers_of(proc.pid, "placard-check"), "it looks")
        for pid in [proc.pid, *checkers]:
            nowhere(secret, memory(pid), f"memory of {pid}")
    finally:
        bed.secondary.resume()
        bed.placard.finish(proc)


def memory(pid):
    """What pid has written into its memory."""
    data = b""
    with open(f"/proc/{pid}/maps", encoding="ascii") as maps, \
            open(f"/proc/{pid}/mem", "rb") as mem:
        for line in maps:
            place, rights = line.split()[:2]
            if not rights.startswith("rw"):
                continue
            start, end = (int(x, 16) for x in place.split("-"))
            if end - start > 256 << 20:     # a sanitizer's shadow
                continue
            try:
                mem.seek(start)
                data += mem.read(end - start)
            except (OSError, ValueError, OverflowError):
                continue
    return data


def test_secret_by_a_command(bed):
    options = bed.placard.accounts["lab"]
    path = options.pop("key-secret-file")
    options["key-secret-command"] = f"/bin/cat {path}"
    bed.placard.ok("present", *bed.dns01(), "--no-wait")
    bed.placard.ok("cleanup", "--all")
    bed.unchanged()


def test_secret_command_has_no_shell(bed, tmp_path):
    options = bed.placard.accounts["lab"]
    path = options.pop("key-secret-file")
    mark = tmp_path / "mark"
    options["key-secret-command"] = f"/bin/cat {path} ; /usr/bin/touch {mark}"
    bed.placard.run("present", *bed.dns01(), "--no-wait", "--timeout", "3")
    assert not mark.exists()


def test_secret_command_that_fails(bed):
    options = bed.placard.accounts["lab"]
    del options["key-secret-file"]
    options["key-secret-command"] = "/bin/false"
    done = bed.placard.run("present", *bed.dns01(), "--timeout", "3")
    assert done.status in (3, 4), done
    assert "key-secret-command" in done.err, done
    bed.unchanged()


def test_secret_from_systemd(bed, tmp_path):
    options = bed.placard.accounts["lab"]
    del options["key-secret-file"]
    options["key-secret-credential"] = "tsig"
    folder = tmp_path / "credentials"
    folder.mkdir(mode=0o700)
    (folder / "tsig").write_text(bed.primary.key.secret + "\n")
    os.chmod(folder / "tsig", 0o400)
    env = {"CREDENTIALS_DIRECTORY": str(folder)}
    bed.placard.ok("present", *bed.dns01(), "--no-wait", env=env)
    bed.placard.ok("cleanup", "--all", env=env)
    bed.unchanged()
    done = bed.placard.run("present", *bed.dns01(), "--timeout", "3")
    assert done.status in (3, 4), done


def test_environment_of_run_is_not_our_secret_store(bed):
    done = bed.placard.ok("run", *bed.dns01(), "--", "/usr/bin/env")
    nowhere(bed.primary.key.secret, done.out.encode(), "environment")
