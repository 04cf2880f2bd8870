"""Probes: sockets, signs of life, and messages that unjamd sends itself."""

import os
import time

from cases_messages import _poisons
from machine import check, check_equal, wait
from world import MAILDIR, SPOOL, Imc

# A server that greets by LMTP, beats by datagram and by a file, until /run/lmtpd/hang names what it is to leave off.
LMTPD = r"""
import os, socket, threading, time
SOCKET, HANG = "/run/lmtpd/socket", "/run/lmtpd/hang"
if os.path.exists(HANG):
    os.unlink(HANG)
if os.path.exists(SOCKET):
    os.unlink(SOCKET)

def off(what):
    try:
        with open(HANG) as f:
            return what in f.read().split()
    except FileNotFoundError:
        return False

def talk(connection):
    with connection:
        connection.sendall(b"220 lmtpd\r\n")
        for line in connection.makefile("rb"):
            while off("talk"):
                time.sleep(0.1)
            connection.sendall(b"221 bye\r\n" if line.startswith(b"QUIT") else b"250-x\r\n250 ok\r\n"
                               if line.startswith(b"LHLO") else b"250 ok\r\n")

def beat():
    out = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    while True:
        if not off("touch"):
            with open("/run/lmtpd/alive", "w"):
                pass
        if not off("beat"):
            try:
                out.sendto(b"WATCHDOG=1", "/run/unjamd/heartbeat/lmtpd")
            except OSError:
                pass
        time.sleep(0.1)

threading.Thread(target=beat, daemon=True).start()
server = socket.socket(socket.AF_UNIX)
server.bind(SOCKET)
os.chmod(SOCKET, 0o777)
server.listen(1)
while True:
    if off("accept"):
        time.sleep(0.1)
        continue
    connection, _ = server.accept()
    threading.Thread(target=talk, args=(connection,), daemon=True).start()
"""

LMTPD_UNIT = """\
[Service]
User=nobody
RuntimeDirectory=lmtpd
RuntimeDirectoryPreserve=yes
ExecStart=/usr/bin/python3 /usr/local/bin/lmtpd
"""

LMTPD_CONFIG = """\
mode = "act";
services = ( { name = "lmtpd"; unit = "lmtpd.service"; start_timeout = "5s"; stop_timeout = "5s";
    probes = ( { %s interval = "500ms"; timeout = "1s"; failures = 2; } );
    recovery = { settle = "2s"; verify = "2s"; }; } );
"""


def _hangs(context, probe, what, detail):
    """The probe is answered; when the server leaves off @what, it is not, and a restart helps."""
    imc = Imc(context)
    imc.m.write("/usr/local/bin/lmtpd", LMTPD)
    imc.m.write("/etc/systemd/system/lmtpd.service", LMTPD_UNIT)
    imc.m.write("/etc/unjamd/unjamd.conf", LMTPD_CONFIG % probe, 0o600)
    imc.m.boot()
    imc.m.run("systemctl", "start", "lmtpd.service")
    imc.m.run("systemctl", "enable", "--now", "unjamd.service")
    wait(lambda: imc.state() == "healthy", 20, "the service to be healthy")
    time.sleep(4)
    check_equal(imc.audit("symptom"), [], "symptoms of a service that is well")
    imc.m.run("sh", "-c", "echo %s >/run/lmtpd/hang" % what)
    closed = imc.closed()
    check_equal(closed["data"]["result"], "recovered", "result")
    symptom = imc.audit("symptom")[0]["data"]
    check_equal(symptom["symptom"], "unresponsive", "symptom")
    check(detail in symptom["detail"], "%r in %r" % (detail, symptom["detail"]))
    imc.check_verify()


def test_probe_lmtp_by_local_socket(context):
    _hangs(context, 'type = "lmtp"; path = "/run/lmtpd/socket";', "talk", "waiting for the answer to LHLO")


def test_probe_unix_with_a_full_queue(context):
    _hangs(context, 'type = "unix"; path = "/run/lmtpd/socket";', "accept", "waiting for the connection")


def test_probe_heartbeat_by_file(context):
    _hangs(context, 'type = "heartbeat"; path = "/run/lmtpd/alive";', "touch", "the last beat was ")


def test_probe_heartbeat_by_datagram(context):
    _hangs(context, 'type = "heartbeat";', "beat", "the last beat was ")


def test_probe_heartbeat_of_a_stranger(context):
    """Who is neither root nor of the service cannot keep a dead service looking alive."""
    imc = Imc(context)
    imc.m.write("/etc/systemd/system/lmtpd.service", "[Service]\nExecStart=/bin/sleep 1000\n")
    imc.m.write("/etc/unjamd/unjamd.conf", (LMTPD_CONFIG % 'type = "heartbeat";').replace('"act"', '"observe"'), 0o600)
    imc.m.boot()
    imc.m.run("systemctl", "start", "lmtpd.service")
    imc.m.run("systemctl", "enable", "--now", "unjamd.service")
    imc.m.spawn("setpriv", "--reuid=65534", "--clear-groups", "python3", "-c",
                "import socket,time\ns=socket.socket(socket.AF_UNIX,socket.SOCK_DGRAM)\n"
                "while True: s.sendto(b'WATCHDOG=1','/run/unjamd/heartbeat/lmtpd'); time.sleep(.1)")
    symptom = wait(lambda: imc.audit("symptom"), 30, "the symptom")[0]["data"]
    check_equal(symptom["symptom"], "unresponsive", "symptom")
    check("there has been no beat yet" in symptom["detail"], symptom["detail"])


SUBMIT = """\
#!/bin/sh
f=/var/spool/imc/.canary.$$
cat >"$f" && mv "$f" /var/spool/imc/In/canary$$.msg
"""

CANARY = ('{ type = "canary"; submit = [ "/usr/local/bin/submit" ]; arrives = "%s"; within = "%s"; interval = "300ms"; '
          'timeout = "5s"; failures = 2; }')


def _canaries(imc, arrives=MAILDIR, within="10s", submit=SUBMIT, **keys):
    imc.configure(**keys)
    imc.m.write("/usr/local/bin/submit", submit, 0o755)
    text = imc.m.read("/etc/unjamd/unjamd.conf")
    imc.m.write("/etc/unjamd/unjamd.conf",
                text.replace("probes = (", "probes = ( %s," % (CANARY % (arrives, within))), 0o600)


def _canaries_left(imc, root):
    r = imc.m.run("grep", "-rlI", "X-Unjamd-Canary", root, check=False)
    return r.stdout.split()


def _no_canary_stays(imc):
    """The last ones come out and are taken out, once none is sent any more."""
    text = imc.m.read("/etc/unjamd/unjamd.conf")
    imc.m.write("/etc/unjamd/unjamd.conf", text.replace('interval = "300ms"', 'interval = "10min"'), 0o600)
    imc.m.run("systemctl", "restart", "unjamd.service")
    wait(lambda: not _canaries_left(imc, MAILDIR) and not _canaries_left(imc, SPOOL), 30,
         "every canary to be gone: %s" % (_canaries_left(imc, MAILDIR) + _canaries_left(imc, SPOOL)))


def test_canary_arrives(context):
    imc = Imc(context)
    _canaries(imc)
    imc.boot()
    imc.start()
    wait(lambda: imc.state() == "healthy", 20, "healthy")
    imc.mail("In", 50)
    seen = set()
    end = time.monotonic() + 8
    while time.monotonic() < end:
        seen.update(n for n in os.listdir(imc.m.path(SPOOL + "/In")) if n.startswith("canary"))
    check(len(seen) > 3, "canaries seen on their way: %d" % len(seen))
    check_equal(imc.audit("symptom"), [], "symptoms")
    _no_canary_stays(imc)
    wait(lambda: len(imc.delivered()) == 50, 30, "the mail to be delivered, and nothing else")
    imc.check_verify()


def test_canary_does_not_arrive(context):
    imc = Imc(context)
    _canaries(imc, within="1s", submit="#!/bin/sh\ncat >/dev/null\n", mode="observe")
    imc.boot()
    imc.start()
    symptom = wait(lambda: imc.audit("symptom"), 60, "the symptom")[0]["data"]
    check_equal(symptom["symptom"], "unresponsive", "symptom")
    check("has not arrived within 1s" in symptom["detail"], symptom["detail"])


def test_canary_survives_kill_of_unjamd(context):
    """kill -9 at any moment: none is left behind for ever."""
    imc = Imc(context, "--delay-ms 200")
    _canaries(imc)
    imc.boot()
    imc.start()
    wait(lambda: imc.state() == "healthy", 20, "healthy")
    for k in range(6):
        time.sleep(0.4 + 0.13 * k)
        imc.m.run("systemctl", "kill", "-s", "KILL", "--kill-whom=main", "unjamd.service", check=False)
        imc.m.run("systemctl", "reset-failed", "unjamd.service", check=False)
        imc.m.run("systemctl", "start", "unjamd.service")
    _no_canary_stays(imc)
    check_equal(imc.audit("incident.opened"), [], "incidents")
    imc.check_verify()


def test_canary_in_flight_is_no_suspect(context):
    """The service dies of a message while canaries are in work beside it."""
    imc = Imc(context, "--concurrency 20 --delay-ms 300")
    _canaries(imc)
    imc.boot()
    imc.start()
    wait(lambda: imc.state() == "healthy", 20, "healthy")
    time.sleep(2)
    names = imc.mail("In", 60, {30: "crash"})
    poisons = _poisons(imc, names)
    closed = imc.closed()
    check_equal(closed["data"]["result"], "recovered", "result")
    check_equal(sorted(c["id"] for c in closed["data"]["culprits"] or []), sorted(poisons), "culprits")
    held = [r["data"]["id"] for r in imc.audit("message.held")]
    check(not [name for name in held if name.startswith("canary")], "held: %s" % held)
    imc.check_ledger(closed)
    _no_canary_stays(imc)
    wait(lambda: len(imc.delivered()) == 59, 30, "the mail to be delivered: %d" % len(imc.delivered()))
    imc.check_verify()
