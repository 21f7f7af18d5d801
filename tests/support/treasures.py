"""What there is to be got on a machine by a hostile package's script, and the script that goes for it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

SECRET_BEGINS = "canary-of-the-host-"

LEAST_ATTEMPTS = 60
"""Lines that the script's log has at least, when it came to its end."""


@dataclass(frozen=True)
class Treasures:
    """A secret file, a process, listening sockets."""

    folder: Path
    cache: Path
    """The composer's."""

    victim: subprocess.Popen[bytes]
    listeners: Mapping[str, socket.socket]
    mark: str = field(default_factory=lambda: uuid.uuid4().hex)
    secret: str = field(default_factory=lambda: SECRET_BEGINS + uuid.uuid4().hex)

    def script(self, packages: str) -> str:
        """Give the script, in perl; it does not know the secret, only where it is.

        Its lines in `/var/lib/hostile/log` begin with what dpkg calls the script that runs.

        Args:
            packages: what the names of packages end with where it runs.
        """
        disk = self.folder.stat().st_dev
        known = {
            "secret": self.folder / "secret",
            "secret_begins": SECRET_BEGINS,
            "folder": self.folder,
            "cache": self.cache,
            "workspaces": self.cache / "workspaces",
            "victim": self.victim.pid,
            "victim_line": f"victim-{self.mark}",
            "port": self.listeners["tcp"].getsockname()[1],
            "abstract": self.mark,
            "socket": self.folder / "socket",
            "daemon": f"daemon-{self.mark}",
            "disk": os.makedev(os.major(disk), os.minor(disk)),
        }
        table = "".join(f"    {key} => '{value}',\n" for key, value in known.items())
        attempts = Path(__file__).with_name("attempts.pl").read_text().replace("*.deb", f"*.{packages}")
        return f"our %at = (\n{table});\n{attempts}"

    def daemons(self) -> list[str]:
        """Give the processes that the script left running."""
        found = subprocess.run(["pgrep", "-f", f"daemon-{self.mark}"], capture_output=True, check=False)
        return found.stdout.decode().split()

    def visitors(self) -> list[str]:
        """Give the sockets that somebody connected to."""
        return [name for name, listener in self.listeners.items() if _accepts(listener)]


@contextmanager
def treasures(folder: Path, cache: Path) -> Iterator[Treasures]:
    """Lay out treasures in a folder, for as long as they are needed."""
    with ExitStack() as stack:
        mark = uuid.uuid4().hex
        sleep = [sys.executable, "-c", "import time; time.sleep(86400)", f"victim-{mark}"]
        victim = stack.enter_context(subprocess.Popen(sleep))
        stack.callback(victim.kill)
        listeners = {
            name: stack.enter_context(socket.socket(family))
            for name, family in (("tcp", socket.AF_INET), ("abstract", socket.AF_UNIX), ("path", socket.AF_UNIX))
        }
        listeners["tcp"].bind(("127.0.0.1", 0))
        listeners["abstract"].bind(f"\0{mark}")
        listeners["path"].bind(str(folder / "socket"))
        for listener in listeners.values():
            listener.listen()
            listener.setblocking(False)
        found = Treasures(folder, cache, victim, listeners, mark)
        (folder / "secret").write_text(found.secret)
        yield found


def _accepts(listener: socket.socket) -> bool:
    try:
        listener.accept()[0].close()
    except BlockingIOError:
        return False
    return True
