"""What a process costs: time on a processor, wake-ups, memory."""

import os
import re
import subprocess
import time


def _tasks(pid):
    return ["/proc/%d/task/%s" % (pid, task) for task in os.listdir("/proc/%d/task" % pid)]


def cpu_seconds(pid):
    total = 0
    for task in _tasks(pid):
        with open(task + "/schedstat") as f:
            total += int(f.read().split()[0])
    return total / 1e9


def wakeups(pid):
    """How often its threads have gone to sleep."""
    total = 0
    for task in _tasks(pid):
        with open(task + "/status") as f:
            total += int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", f.read(), re.M).group(1))
    return total


def pss_kib(pid):
    with open("/proc/%d/smaps_rollup" % pid) as f:
        return int(re.search(r"^Pss:\s*(\d+)", f.read(), re.M).group(1))


def crowd(n):
    """Processes that sleep, until the host has @n."""
    have = sum(name.isdigit() for name in os.listdir("/proc"))
    return [subprocess.Popen(["/bin/sleep", "infinity"]) for _ in range(max(0, n - have))]


def idle(pids, seconds):
    """{pid: (percent of a core, wake-ups a minute)} while nothing happens, all in the same time."""
    before = {pid: (cpu_seconds(pid), wakeups(pid)) for pid in pids}
    start = time.monotonic()
    time.sleep(seconds)
    took = time.monotonic() - start
    return {pid: ((cpu_seconds(pid) - before[pid][0]) / took * 100, (wakeups(pid) - before[pid][1]) / took * 60)
            for pid in pids}
