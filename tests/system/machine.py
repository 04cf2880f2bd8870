"""A machine: one booted container with a systemd of its own.

Its / is an overlay on an image (or a copy, where overlays can't be stacked); its /var is a plain copy, because directories
of a lower layer can't be renamed. The host sees all its files below `root`, but for /run and /tmp. It gets a cgroup of its
own before it boots, and everything in that cgroup dies with it.
"""

import ctypes
import os
import re
import shutil
import signal
import subprocess
import time

import image

RUN = image.CACHE + "/machines"


class Failure(Exception):
    """A test's expectation did not come true."""


class Skip(Exception):
    """A test can't be made here."""


def tree_remove(directory):
    """Never across a mount: what is still mounted below stays, and goes with the mount namespace of the run."""
    with open("/proc/self/mountinfo") as f:
        if any(line.split()[4].startswith(directory + "/") for line in f):
            print("still mounted, not removed:", directory)
            return
    shutil.rmtree(directory, ignore_errors=True)


def die_with_parent():
    """For preexec_fn: a run that is killed leaves no machine behind."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


def cgroup_base():
    """Where cgroups may be made in the unified hierarchy (own-mounts mounts it if need be). None: there is none."""
    def find():
        with open("/proc/self/mountinfo") as f:
            for line in f:
                fields, _, rest = line.partition(" - ")
                if rest.split()[0] == "cgroup2":
                    return fields.split()[4]
        return None

    base = find()
    if not base:
        return None
    probe = "%s/unjamd-probe.%d" % (base, os.getpid())
    try:
        os.mkdir(probe)
        os.rmdir(probe)
    except OSError:
        return None
    return base


class Machine:
    def __init__(self, name, kind="base"):
        self.name = name
        self.directory = "%s/%d-%s" % (RUN, os.getpid(), name)  # two runs at a time must not meet
        self.root = self.directory + "/root"
        self.process = self.init = None
        self.cgroup = "%s/unjamd-test.%d.%s" % (cgroup_base(), os.getpid(), re.sub(r"\W", "", name))
        self._make(image.ensure(kind))

    def _make(self, lower):
        tree_remove(self.directory)
        for part in "upper", "work", "root", "var":
            os.makedirs("%s/%s" % (self.directory, part))
        option = "lowerdir=%s,upperdir=%s/upper,workdir=%s/work" % (lower, self.directory, self.directory)
        r = subprocess.run(["mount", "-t", "overlay", "overlay", "-o", option, self.root], capture_output=True)
        if r.returncode != 0:
            subprocess.run(["cp", "-a", lower + "/.", self.root], check=True)
            return
        subprocess.run(["cp", "-a", lower + "/var/.", self.directory + "/var"], check=True)
        subprocess.run(["mount", "--bind", self.directory + "/var", self.root + "/var"], check=True)

    def path(self, path):
        """Where the host sees a path of the machine."""
        return self.root + path

    def write(self, path, text, mode=0o644):
        os.makedirs(os.path.dirname(self.path(path)), exist_ok=True)
        with open(self.path(path), "wb" if isinstance(text, bytes) else "w") as f:
            f.write(text)
        os.chmod(self.path(path), mode)

    def read(self, path):
        with open(self.path(path)) as f:
            return f.read()

    def boot(self):
        os.makedirs(self.cgroup, exist_ok=True)

        def enter():
            die_with_parent()
            with open(self.cgroup + "/cgroup.procs", "w") as f:
                f.write(str(os.getpid()))

        with open(self.directory + "/console", "ab") as console:
            self.process = subprocess.Popen(
                ["systemd-nspawn", "-q", "-D", self.root, "--register=no", "--keep-unit", "--private-network", "-b",
                 # nspawn's own filter forbids what a real host allows: to see who has which message open.
                 "--system-call-filter=fanotify_init fanotify_mark open_by_handle_at name_to_handle_at",
                 "--machine=" + re.sub(r"[^a-z0-9-]", "-", "%d-%s" % (os.getpid(), self.name))[:60]],
                stdin=subprocess.DEVNULL, stdout=console, stderr=console, preexec_fn=enter,
                env=dict(os.environ, SYSTEMD_NSPAWN_UNIFIED_HIERARCHY="1"))
        wait(self._init_find, 60, "PID 1 of the machine")
        wait(self._is_up, 120, "the machine to boot")

    def _init_find(self):
        if self.process.poll() is not None:
            raise Failure("systemd-nspawn ended with %d, see %s/console" % (self.process.returncode, self.directory))
        todo = [self.process.pid]
        while todo:
            pid = todo.pop()
            try:
                with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
                    todo += [int(p) for p in f.read().split()]
                with open("/proc/%d/status" % pid) as f:
                    ns = re.search(r"^NSpid:\s*(.*)$", f.read(), re.M).group(1).split()
            except (OSError, AttributeError):
                continue
            if len(ns) > 1 and ns[-1] == "1":
                self.init = pid
                return True
        return False

    def _is_up(self):
        return self.run("systemctl", "is-system-running", check=False).stdout.strip() in ("running", "degraded")

    def _inside(self):
        # -r and -w: seen from a chroot, the root of the machine's mount namespace is not the machine's root.
        return ["nsenter", "-t", str(self.init), "-a", "-r", "-w", "--"]

    def run(self, *command, check=True, input=None, timeout=120):
        """Runs a command in the machine as root; the result has text in stdout and stderr."""
        r = subprocess.run(self._inside() + list(command), input=input, text=True,
                           errors="surrogateescape", capture_output=True, timeout=timeout, cwd="/",
                           stdin=subprocess.DEVNULL if input is None else None,
                           env={"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
                                "LC_ALL": "C.UTF-8"})
        if check and r.returncode != 0:
            raise Failure("%s: status %d: %s%s" % (" ".join(command), r.returncode, r.stdout, r.stderr))
        return r

    def spawn(self, *command):
        return subprocess.Popen(self._inside() + list(command), cwd="/",
                                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def property(self, unit, name):
        return self.run("systemctl", "show", "-P", name, unit).stdout.strip()

    def journal(self, *words):
        return self.run("journalctl", "--no-pager", "-o", "short-monotonic", *words, check=False).stdout

    def poweroff(self):
        """An orderly shutdown; what does not obey is killed after a minute."""
        if not self.process:
            return
        if self.init and self.process.poll() is None:
            subprocess.run(self._inside() + ["systemctl", "poweroff"],
                           capture_output=True, timeout=60)
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.power_cut()
        self.process = self.init = None

    def power_cut(self):
        """Everything in it dies at once; what was not on disk by then may be lost, or not."""
        if self.process and self.process.poll() is None:
            try:
                with open(self.cgroup + "/cgroup.kill", "w") as f:
                    f.write("1")
            except OSError:
                self.process.send_signal(signal.SIGKILL)
            self.process.wait(60)
        self.process = self.init = None

    def reboot(self):
        self.poweroff()
        self.boot()

    def remove(self, keep=False):
        self.power_cut()
        for _ in range(50):
            try:
                for path, _, _ in os.walk(self.cgroup, topdown=False):
                    os.rmdir(path)
                break
            except OSError:
                time.sleep(0.1)
        if keep:
            return
        for where in self.root + "/var", self.root:
            subprocess.run(["umount", where], capture_output=True)
        subprocess.run(["chattr", "-R", "-f", "-i", self.directory + "/var"], capture_output=True)
        tree_remove(self.directory)


def kill_of(pid):
    """Everything in the machines of the test process @pid dies."""
    base = cgroup_base()
    for name in os.listdir(base):
        if name.startswith("unjamd-test.%d." % pid):
            with open("%s/%s/cgroup.kill" % (base, name), "w") as f:
                f.write("1")


PATIENCE = 60  # seconds: on a machine that is busy with other things all that is waited for may take as long


def wait(condition, seconds, what):
    """Until condition() holds; its value. A failure after @seconds, and never before PATIENCE."""
    seconds = max(seconds, PATIENCE)
    end = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > end:
            raise Failure("waited %d s for %s" % (seconds, what))
        time.sleep(0.1)


def check(condition, what):
    if not condition:
        raise Failure(what)


def check_equal(found, wanted, what):
    if found != wanted:
        raise Failure("%s: %r, not %r" % (what, found, wanted))
