"""unjamd under a systemd of its own, in a machine as the system tests boot it; observe mode, the shipped default."""

import os
import signal
import sys
import time

from daemons import Control, wait_until

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)) + "/../../system")
import machine  # noqa: E402
import world  # noqa: E402

UNIT = "[Unit]\nStartLimitIntervalSec=0\n[Service]\nExecStart=/bin/sleep infinity\n"
WINDOWS = ' crash_windows = ( { count = 10000; within = "1s"; } );'  # killed so often that it would be a loop
SERVICE = ('{ name = "%s"; manager = "systemd"; unit = "%s.service";%s'
           ' recovery = { settle = "20ms"; verify = "20ms"; max_per_hour = 1000; }; }')


class Boxed:
    def __init__(self, build, n, crashes=True):
        self.context = world.Context("bench", build)
        try:
            self._make(n, WINDOWS if crashes else "")
        except BaseException:
            self.close()
            raise

    def _make(self, n, windows):
        self.machine = self.context.machine()
        self.names = ["s%03d" % i for i in range(n)]
        units = [name + ".service" for name in self.names]
        for unit in units:
            self.machine.write("/etc/systemd/system/" + unit, UNIT)
        self.machine.write("/etc/unjamd/unjamd.conf", "services = ( %s );\n"
                           % ",\n".join(SERVICE % (name, name, windows) for name in self.names), 0o600)
        self.machine.boot()
        self.machine.run("systemctl", "start", *units)
        self.machine.run("systemctl", "start", "unjamd.service")
        # Seen from the host, so that no time goes by on the way into the machine.
        self.control = Control("/proc/%d/root/run/unjamd/control" % self.machine.init)
        wait_until(lambda: self.machine.run("unjamctl", "status").stdout.count(" healthy ") >= n, "all to be healthy")

    def pid(self, unit):
        for base, _, names in os.walk(self.machine.cgroup):
            if base.endswith("/" + unit) and "cgroup.procs" in names:
                with open(base + "/cgroup.procs") as f:
                    for line in f:
                        return int(line)
        return None

    def daemon(self):
        return self.pid("unjamd.service")

    def kill(self, name):
        self.control.drain()
        pid = self.pid(name + ".service")
        start = time.monotonic()
        os.kill(pid, signal.SIGKILL)
        return self.control.notice(name, start)

    def again(self, name):
        time.sleep(0.2)
        self.machine.run("systemctl", "start", name + ".service")
        wait_until(lambda: "healthy" in self.machine.run("unjamctl", "status", name).stdout, name + " to be healthy")

    def close(self):
        self.context.close(False)


def available():
    return os.geteuid() == 0 and machine.cgroup_base() is not None
