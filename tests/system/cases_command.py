"""manager = "command" with the real programs of OpenRC, runit, s6 and a sysvinit script, each on imcd.

Their services live in a control group of their own, that of imc-home.service: where a host has no systemd, nothing else
puts them below unjamd's. One message stops imcd; it must be the only one in quarantine, and all other mail delivered.
"""

import os

import world
from machine import check, check_equal, wait

IMCD = "/usr/local/bin/imcd --root /var/spool/imc --maildir /var/mail/imc --scan-ms 50 --log-stderr"

# What keeps the supervisor, or the service itself, out of the reach of whoever asks for it: one unit, started first.
HOME_UNIT = """\
[Unit]
Description=Where the service lives
[Service]
Type=%s
RemainAfterExit=%s
ExecStart=%s
KillMode=process
"""

CONFIG = """\
mode = "act";
services = (
  { name = "imc"; manager = "command"; %(manager)s
    start_timeout = "10s"; stop_timeout = "5s"; kill_timeout = "5s";
    probes = ( { type = "tcp"; address = "127.0.0.1:2525"; interval = "1s"; timeout = "1s"; failures = 3; } );
    stall = { after = "4s"; };
    stores = (
      { name = "imcdata"; layout = "flat"; dirs = [ "/var/spool/imc/In", "/var/spool/imc/Out" ];
        hold = "/var/spool/imc/.unjam"; rebuildable = [ "/var/spool/imc/queue.dat" ]; } );
    recovery = { settle = "2s"; verify = "4s"; max_time = "5min"; max_per_hour = 20; };
  } );
"""

RUN = """\
#!/bin/sh
exec 2>&1
. /etc/imcd.env
%sexec """ + IMCD + """ $LISTEN $SWITCHES
"""

# An init script as Debian's own are: start-stop-daemon and a pidfile, LSB exit codes.
SYSV = """\
#!/bin/sh
. /lib/lsb/init-functions
. /etc/imcd.env
pidfile=/run/imcd.pid
case $1 in
start) start-stop-daemon --start --quiet --background --make-pidfile --pidfile $pidfile --exec /usr/local/bin/imcd -- \\
        %s $LISTEN $SWITCHES ;;
stop)  start-stop-daemon --stop --quiet --oknodo --retry TERM/3 --remove-pidfile --pidfile $pidfile ;;
status) status_of_proc -p $pidfile /usr/local/bin/imcd imcd ;;
esac
""" % IMCD.split(" ", 1)[1]

OPENRC = """\
#!/usr/sbin/openrc-run
command=/usr/local/bin/imcd
command_args="%s ${LISTEN} ${SWITCHES}"
command_background=yes
pidfile=/run/imcd.pid
""" % IMCD.split(" ", 1)[1]


class Commanded(world.Imc):
    """imcd under programs of its own, where the other tests have a unit."""

    def __init__(self, context, manager, home):
        super().__init__(context, kind="supervisors")
        os.unlink(self.m.path("/etc/systemd/system/imc.service"))
        self.m.write("/etc/systemd/system/imc-home.service", HOME_UNIT % home)
        self.m.write("/etc/unjamd/unjamd.conf", CONFIG % {"manager": manager}, 0o600)

    def recovers(self, what):
        """@what: the poison's kind. A supervisor may restart the service itself; that must not be in the way."""
        [poison] = self.mail("In", 60, {23: what})
        before = world.entry_of(self.m.path(world.SPOOL + "/In/" + poison))
        self.m.run("systemctl", "start", "imc-home.service")
        closed = self.closed()
        data = closed["data"]
        check_equal(data["result"], "recovered", "result")
        check_equal([c["id"] for c in data["culprits"]], [poison], "culprits")
        ledger = self.check_ledger(closed)
        check_equal((ledger["quarantined"], ledger["held"]), (1, 0), "ledger")
        self.check_quarantine({poison: before}, "imcdata")
        wait(lambda: not self.left(), 30, "the rest of the mail, %s is left" % self.left()[:5])
        self.check_delivery(closed, {world.token_of(poison)})
        check_equal(self.state(), "healthy", "state")
        self.check_verify()
        print("outage_ms %(outage_ms)d trials %(trials)d crashes %(crashes)d" % data)


def _lines(words):
    return "[ " + ", ".join('"%s"' % w for w in words.split()) + " ]"


def _manager(start, stop, status, pidfile):
    return "start = %s; stop = %s; status = %s; pidfile = \"%s\";" % (
        _lines(start), _lines(stop), _lines(status), pidfile)


def _sysv(context, what):
    script = "/etc/init.d/imc"
    imc = Commanded(context, _manager(script + " start", script + " stop", script + " status", "/run/imcd.pid"),
                    ("oneshot", "yes", script + " start"))
    imc.m.write(script, SYSV, 0o755)
    imc.boot()
    imc.recovers(what)


def test_command_sysv_hang(context):
    _sysv(context, "hang")


def test_command_sysv_crash(context):
    _sysv(context, "crash")


def test_command_openrc_hang(context):
    imc = Commanded(context, _manager("/usr/sbin/rc-service imc start", "/usr/sbin/rc-service imc stop",
                                      "/usr/sbin/rc-service imc status", "/run/imcd.pid"),
                    ("oneshot", "yes", "/usr/sbin/rc-service imc start"))
    imc.m.write("/etc/init.d/imc", OPENRC, 0o755)
    imc.m.write("/etc/conf.d/imc", imc.m.read("/etc/imcd.env"))
    # As if OpenRC had booted the host.
    parts = ["starting", "started", "stopping", "failed", "inactive", "wasinactive", "hotplugged", "daemons", "options",
             "exclusive", "scheduled", "init.d", "tmp"]
    imc.m.write("/etc/tmpfiles.d/openrc.conf", "".join("d /run/openrc/%s\n" % p for p in parts)
                + "f /run/openrc/softlevel\n")
    imc.boot()
    imc.recovers("hang")


# A service that has just died is started again a second later, and until then runsv reads no commands: `sv stop` answers
# that it is down, and a start right after it would be lost.
RUNIT_STOP = """\
#!/bin/sh
sv -w 4 stop imc
while sv status imc | grep -q 'want up'; do sleep 0.1; done
"""


def test_command_runit_crash(context):
    # sv is an init script with LSB exit codes where it bears the service's name.
    sv = "/etc/init.d/imc"
    imc = Commanded(context, _manager(sv + " start", "/usr/local/bin/imc-stop", sv + " status",
                                      "/etc/service/imc/supervise/pid"),
                    ("simple", "no", "/usr/bin/runsvdir -P /etc/service"))
    # On Debian /etc/service is a link that only the machine itself can follow.
    os.unlink(imc.m.path("/etc/service"))
    imc.m.write("/etc/service/imc/run", RUN % "", 0o755)
    imc.m.write("/usr/local/bin/imc-stop", RUNIT_STOP, 0o755)
    os.makedirs(imc.m.path("/etc/init.d"), exist_ok=True)
    os.symlink("/usr/bin/sv", imc.m.path(sv))
    imc.boot()
    imc.recovers("crash")


def test_command_s6_crash(context):
    imc = Commanded(context, _manager("/usr/bin/s6-svc -u /etc/s6/imc", "/usr/bin/s6-svc -wD -T 4000 -d /etc/s6/imc",
                                      "/usr/local/bin/imc-status", "/run/imcd.pid"),
                    ("simple", "no", "/usr/bin/s6-svscan /etc/s6"))
    imc.m.write("/etc/s6/imc/run", RUN % "echo $$ >/run/imcd.pid\n", 0o755)
    # s6-svstat says what is so, but not by its exit status.
    imc.m.write("/usr/local/bin/imc-status", '#!/bin/sh\n[ "$(s6-svstat -o up /etc/s6/imc)" = true ] || exit 3\n', 0o755)
    imc.boot()
    imc.recovers("crash")
