"""What results are of: processor, versions, commit, day."""

import datetime
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path


def processor() -> str:
    """Return the processor's name and how many cores there are."""
    file = Path("/proc/cpuinfo")
    text = file.read_text(encoding="utf-8") if file.exists() else ""
    found = re.search(r"model name\s*: (.*)", text)
    name = found[1] if found else platform.processor()
    return f"{name} ({platform.machine()}), {os.cpu_count()} cores"


def versions(packages: Iterable[str]) -> dict[str, str]:
    """Return the versions of Python and of those of the packages that are installed."""
    installed = {dist.name.lower().replace("_", "-") for dist in importlib.metadata.distributions()}
    return {"python": platform.python_version()} | {
        name: importlib.metadata.version(name) for name in packages if name in installed
    }


def commit(root: Path, places: Iterable[str]) -> str:
    """Return the commit of a tree, "with changes" where places in it differ from that."""
    git = shutil.which("git")
    if git is None or not (root / ".git").exists():
        return "unknown"

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [git, *arguments], cwd=root, check=False, capture_output=True, text=True
        )
        return done.stdout.strip() if done.returncode == 0 else ""

    found = run("rev-parse", "--short=12", "HEAD") or "unknown"
    return f"{found} with changes" if run("status", "--porcelain", "--", *places) else found


def day() -> str:
    """Return today's date, in UTC."""
    return datetime.datetime.now(datetime.UTC).date().isoformat()
