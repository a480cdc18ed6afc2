"""``python -m include.team COMMAND``: what ``make team-up`` and its sisters do. Only the standard library."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from include.team.backup import backup, restore
from include.team.engine import EngineError
from include.team.secrets_file import SecretsError
from include.team.system import demo, down, join, leave, logs, status, up

COMMANDS: dict[str, Callable[[], int]] = {
    "up": up,
    "down": down,
    "demo": demo,
    "status": status,
    "logs": logs,
    "join": join,
    "leave": leave,
}
WITH_FOLDER: dict[str, Callable[[str], int]] = {"backup": backup, "restore": restore}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m include.team", description=__doc__)
    parser.add_argument("command", choices=[*COMMANDS, *WITH_FOLDER])
    parser.add_argument("folder", nargs="?", default="", help="of backup and restore")
    options = parser.parse_args()
    try:
        if options.command in WITH_FOLDER:
            return WITH_FOLDER[options.command](options.folder)
        return COMMANDS[options.command]()
    except (EngineError, SecretsError) as error:
        sys.stderr.write(f"team: {error}\n")
        return 1
    except KeyboardInterrupt:
        sys.stderr.write("team: interrupted; what was started goes on: make team-status, make team-down\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
