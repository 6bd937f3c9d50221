# SPDX-License-Identifier: Apache-2.0
# Copyright The placard authors
"""placardd as a test has it: started, asked, reloaded, killed."""

import json
import os
import signal
import socket
import subprocess
import time

import lab
from lab_net import kill_tree, wait_for


class Daemon:
    """One placardd over the configuration of a Placard."""

    def __init__(self, placard, service=None, env=None):
        self.placard = placard
        self.service = {"deadline": "60s"} | (service or {})
        self.environ = env or {}
        self.proc = None
        self.log_path = os.path.join(placard.dir, "placardd.log")
        self.extra = placard.extra

    def write(self):
        body = self.placard._options(self.service)
        self.placard.extra = self.extra + f"service {{\n{body}}}\n"
        self.placard.write()

    def start(self, *args, wait=True):
        self.write()
        with open(self.log_path, "ab") as log:
            self.proc = subprocess.Popen(
                [*(self.placard.ns.prefix() if self.placard.ns else ()),
                 self.placard.program("placardd"), "-c", self.placard.config,
                 *args], env=self.placard.env(self.environ),
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                cwd=self.placard.dir, start_new_session=True)
        if wait:
            wait_for(self.answers, "placardd answers")
        return self

    def answers(self):
        assert self.proc.poll() is None, self.log()[-2000:]
        return self.placard.run("job", "list").status == 0

    def log(self):
        with open(self.log_path, errors="replace") as log:
            return log.read()

    def stop(self, sig=signal.SIGTERM):
        """Its exit status and how long it took."""
        if self.proc is None:
            return None, 0
        start = time.monotonic()
        if self.proc.poll() is None:
            self.proc.send_signal(sig)
        try:
            status = self.proc.wait(20)
        except subprocess.TimeoutExpired:
            self.kill()
            raise
        self.proc = None
        return status, time.monotonic() - start

    def kill(self):
        """kill -9 of it and of its workers."""
        if self.proc is not None:
            kill_tree(self.proc.pid)
            self.proc.wait(20)
            self.proc = None

    def kill_engine(self):
        """kill -9 of the engine alone."""
        os.kill(self.proc.pid, signal.SIGKILL)
        self.proc.wait(20)
        self.proc = None

    def hup(self):
        done = self.log().count(": reloaded") + self.log().count(
            ": reload kept")
        self.proc.send_signal(signal.SIGHUP)
        wait_for(lambda: self.log().count(": reloaded") + self.log().count(
            ": reload kept") > done, "reloaded")

    def workers(self):
        return lab.workers_of(self.proc.pid)

    # -- jobs

    def submit(self, *jobs, status=0):
        path = self.placard.job_file(*jobs, name="submit.json")
        done = self.placard.json("job", "submit", path)
        assert done.status == status, done
        return done

    def wait(self, name, timeout=60):
        return self.placard.json("job", "wait", name, "--timeout", timeout)

    def show(self, name):
        done = self.placard.json("job", "show", name)
        assert done.status == 0, done
        return done.report

    def release(self, *names):
        for name in names:
            done = self.placard.json("job", "release", name)
            assert done.status == 0, done

    def ask(self, *requests):
        """Raw requests over one connection; the answers in their order."""
        here = os.getcwd()
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(60)
            os.chdir(self.placard.state)    # a socket's path must be short
            try:
                sock.connect("placardd.sock")
            finally:
                os.chdir(here)
            answers = sock.makefile()
            found = []
            for request in requests:
                sock.sendall(json.dumps(request).encode() + b"\n")
                found.append(json.loads(answers.readline()))
        return found

    def jobs(self):
        done = self.placard.json("job", "list")
        assert done.status == 0, done
        return {one["job"]: one for one in done.objects}

    def unfinished(self):
        return {name: one for name, one in self.jobs().items()
                if one["phase"] != "done"}

    def incoming(self, *parts):
        return os.path.join(self.placard.state, "incoming", *parts)

    def rejected(self, *parts):
        return os.path.join(self.placard.state, "rejected", *parts)

    def drop(self, name, *jobs):
        """Put a job file into the spool as one should: by renaming it."""
        path = self.placard.job_file(*jobs, name=name)
        os.makedirs(self.incoming(), exist_ok=True)
        os.rename(path, self.incoming(name))

    def report(self, name):
        """The reports beside a spool file, or none yet."""
        try:
            with open(self.incoming(name + ".report"),
                      encoding="utf-8") as text:
                lines = text.read().splitlines()
        except FileNotFoundError:
            return []
        return [lab.lab_schema.check_report(lab.lab_schema.loads(line))
                for line in lines]

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.kill()
