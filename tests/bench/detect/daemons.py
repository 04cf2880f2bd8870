"""The two watchdogs: unjamd as the parent of its services, and monit with a cycle of one second."""

import json
import os
import select
import signal
import socket
import subprocess
import tempfile
import time

PATIENCE = 60.0  # seconds after which something counts as not noticed


def sleeper():
    return subprocess.Popen(["/bin/sleep", "infinity"], stdin=subprocess.DEVNULL)


class Control:
    """unjamd's control socket, with `watch` on."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.socket.connect(path)
        self.socket.send(json.dumps({"id": 1, "verb": "watch"}).encode())

    def next(self, timeout):
        """(when it arrived, event); (now, None) after the timeout."""
        if not select.select([self.socket], [], [], max(0, timeout))[0]:
            return time.monotonic(), None
        packet = self.socket.recv(1 << 16)
        now = time.monotonic()
        return now, json.loads(json.loads(packet)["data"])["body"]

    def drain(self):
        while self.next(0)[1] is not None:
            pass

    def wait(self, service, start, wanted):
        """Seconds from @start to the first event of @service that is wanted; None if there was none."""
        while True:
            now, event = self.next(start + PATIENCE - time.monotonic())
            if event is None:
                return None
            if event.get("service") == service and wanted(event):
                return now - start

    def notice(self, service, start):
        return self.wait(service, start, lambda e: e.get("kind") == "incident_opened")

    def settle(self, service):
        return self.wait(service, time.monotonic(), lambda e: e.get("event") == "closed")


def wait_until(condition, what):
    end = time.monotonic() + PATIENCE
    while not condition():
        if time.monotonic() > end:
            raise RuntimeError("waited for " + what)
        time.sleep(0.02)


class Unjamd:
    """manager = "embedded", mode = "act": what is killed is started again. @more: further services, as configuration."""

    def __init__(self, build, n, more="", crashes=True):
        """@crashes: services are killed so often that it would be a loop."""
        self.directory = tempfile.mkdtemp(prefix="unjamd-bench.")
        self.run = self.directory + "/run"
        for name in ("state", "run"):
            os.mkdir("%s/%s" % (self.directory, name))
        service = ('{ name = "%s"; manager = "embedded"; command = [ "/bin/sleep", "infinity" ];'
                   + (' crash_windows = ( { count = 10000; within = "1s"; } );' if crashes else '')
                   + ' recovery = { settle = "20ms"; verify = "20ms"; max_per_hour = 1000; restarts = 100; }; }')
        self.names = ["s%03d" % i for i in range(n)]
        with open(self.directory + "/unjamd.conf", "w") as f:
            f.write('mode = "act"; state_dir = "%s/state"; run_dir = "%s";\n'
                    'audit = { path = "%s/audit.jsonl"; journal = false; };\nservices = (\n%s%s );\n'
                    % (self.directory, self.run, self.directory,
                       ",\n".join(service % name for name in self.names), more))
        self.process = subprocess.Popen([build + "/unjamd", "-c", self.directory + "/unjamd.conf"],
                                        stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=open(self.directory + "/log", "wb"))
        self.control = None
        wait_until(self._connected, "unjamd's control socket")
        wait_until(lambda: all(self.pid(name) for name in self.names), "all services to be started")
        time.sleep(3)  # they are healthy, and nobody is busy with the start any more

    def _connected(self):
        if self.process.poll() is not None:
            with open(self.directory + "/log") as f:
                raise RuntimeError("unjamd ended: " + f.read())
        try:
            self.control = Control(self.run + "/control")
        except OSError:
            return False
        return True

    def pid(self, name):
        try:
            with open("%s/embedded/%s.json" % (self.run, name)) as f:
                return json.load(f)["pid"]
        except (OSError, ValueError):
            return None

    def kill(self, name):
        self.control.drain()
        pid = self.pid(name)
        start = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        return self.control.notice(name, start)

    def close(self):
        self.process.terminate()
        self.process.wait()
        for name in os.listdir(self.run + "/embedded"):
            try:
                os.kill(self.pid(name[:-len(".json")]) or -1 << 30, signal.SIGKILL)
            except (OSError, OverflowError):
                pass
        subprocess.run(["rm", "-rf", self.directory])


class Monit:
    """Checks the processes of pidfiles. What is killed is started again here, not by monit. @more: further checks."""

    def __init__(self, n, more=""):
        self.directory = tempfile.mkdtemp(prefix="unjamd-bench.")
        self.names = ["s%03d" % i for i in range(n)]
        self.children = {name: sleeper() for name in self.names}
        for name in self.names:
            self._write_pid(name)
        config = self.directory + "/monitrc"
        with open(config, "w") as f:
            f.write("set daemon 1\nset pidfile %s/pid\nset idfile %s/id\nset statefile %s/state\n"
                    % ((self.directory,) * 3))
            for name in self.names:
                f.write('check process %s with pidfile "%s/%s.pid"\n  if not exist then exec "/bin/true"\n'
                        % (name, self.directory, name))
            f.write(more)
        os.chmod(config, 0o600)
        self.log = self.directory + "/log"
        self.process = subprocess.Popen(["monit", "-I", "-c", config, "-l", self.log], stdin=subprocess.DEVNULL,
                                        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(4)

    def _write_pid(self, name):
        path = "%s/%s.pid" % (self.directory, name)
        with open(path + ".new", "w") as f:
            f.write("%d\n" % self.children[name].pid)
        os.rename(path + ".new", path)

    def _wait_log(self, text, offset):
        """When the log has it; looked at 500 times a second, which is nothing beside monit's second."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            with open(self.log, errors="replace") as f:
                f.seek(offset)
                if text in f.read():
                    return time.monotonic()
            time.sleep(0.002)
        return None

    def kill(self, name):
        offset = os.path.getsize(self.log)
        start = time.monotonic()
        self.children[name].kill()
        self.children[name].wait()
        end = self._wait_log("'%s' process is not running" % name, offset)
        return end - start if end else None

    def again(self, name):
        offset = os.path.getsize(self.log)
        self.children[name] = sleeper()
        self._write_pid(name)
        self._wait_log("'%s' process is running" % name, offset)

    def close(self):
        self.process.terminate()
        self.process.wait()
        for child in self.children.values():
            child.kill()
            child.wait()
        subprocess.run(["rm", "-rf", self.directory])
