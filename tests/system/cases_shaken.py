"""What unjamd stands on is shaken while it recovers a service: its bus, systemd itself, the journal, its control socket.

All of it in one recovery, one thing after the other, each as soon as the record shows that it went on; the recovery comes
to what it comes to undisturbed.
"""

from cases_trouble import _story, _under_way
from machine import check_equal, wait

# A thousand clients at a time, three times: oversized, cut off, nonsense; who asks and goes, who watches and does not read.
FLOOD = r'''
import socket
WHAT = [b"", b"{", b'{"id":1,"verb":', b"\xff" * 70000, b"x" * 200000, b'{"id":1,"verb":"status"}', b"[" * 60000,
        b'{"id":1,"verb":"watch"}', b'{"id":-1}', b'{"id":7,"verb":"%s"}' % (b"v" * 50000)]
tried = refused = 0
for turn in range(3):
    clients = []
    for n in range(1000):
        s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        s.setblocking(False)
        try:
            s.connect("/run/unjamd/control")
            for _ in range(4):
                s.send(WHAT[n % len(WHAT)])
        except OSError:
            refused += 1
        clients.append(s)
        tried += 1
print(tried, refused)
'''


def _progress(imc, seen):
    """Until the record went on by some lines, or the incident has closed; the number of its lines."""
    wait(lambda: len(imc.audit()) > seen + 2 or imc.audit("incident.closed"), 120, "progress")
    return len(imc.audit())


def test_everything_is_shaken_in_the_middle(context):
    imc, poisons = _story(context, {77: "crash", 150: "exit 7"})
    _under_way(imc, ("diagnosing", "stopping", "killing", "restarting", "setting_aside", "purging", "baseline", "isolating"))
    pid = imc.m.property("unjamd.service", "MainPID")
    flood = imc.m.run("python3", "-c", FLOOD, timeout=300)
    check_equal(flood.stdout.split()[0], "3000", "clients tried")
    check_equal(imc.m.property("unjamd.service", "MainPID"), pid, "unjamd has outlived its clients")
    wait(lambda: imc.state() is not None, 60, "unjamd to answer")
    seen = _progress(imc, len(imc.audit()))
    imc.m.run("systemctl", "restart", "systemd-journald.service")
    seen = _progress(imc, seen)
    imc.m.run("systemctl", "daemon-reexec")
    _progress(imc, seen)
    # The connection is lost: it ends, and is started again.
    imc.m.run("systemctl", "restart", "dbus.service")
    wait(lambda: imc.m.property("unjamd.service", "MainPID") not in (pid, "0"), 120, "unjamd to be started again")
    print("state when the bus was back:", [r["to"] for r in imc.audit("state")][-1:])
    wait(lambda: imc.state() is not None, 120, "unjamd to answer")
    imc.check_recovered(poisons)
    check_equal(len(imc.audit("incident.opened")), 1, "incidents")
    check_equal(imc.m.property("unjamd.service", "ActiveState"), "active", "unjamd")
