"""Fetch pinned npm packages: the emoji sets, and the formulas' renderer of the site."""

from __future__ import annotations

import re
import shutil
import subprocess
import tarfile
from pathlib import Path


def fetch_package(package: str, version: str, folder: Path) -> Path:
    """Unpack one pinned npm tarball below ``folder`` and return its ``package`` directory.

    Raises:
        OSError: npm is not installed or cannot get that version.
    """
    if shutil.which("npm") is None:
        raise OSError(f"npm is not installed: it fetches {package} (install Node.js)")
    command = ["npm", "pack", "--silent", f"{package}@{version}"]
    got = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if got.returncode:
        raise OSError(f"npm could not fetch {package}@{version}: {got.stderr.strip()[-300:]}")
    target = folder / re.sub(r"\W+", "-", package)
    with tarfile.open(folder / got.stdout.strip().splitlines()[-1]) as archive:
        archive.extractall(target, filter="data")
    return target / "package"
