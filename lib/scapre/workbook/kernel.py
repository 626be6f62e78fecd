"""A kernel of this very Python for executed notebooks, whatever other environments call ``python3``.

Started as ``python -m scapre.workbook.kernel`` it is IPython's own, which notes what it opens (``scapre.trail``).
"""

from __future__ import annotations

import json
import os
import runpy
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from scapre.trail import follow

KERNEL = "scapre"


@contextmanager
def own_kernel() -> Iterator[str]:
    """Announce a kernel that runs this Python, and name it; connection files of this process meet no other's."""
    names = ("JUPYTER_RUNTIME_DIR", "JUPYTER_PATH")
    before = {name: os.environ.get(name) for name in names}
    with TemporaryDirectory() as folder:
        place = Path(folder, "kernels", KERNEL)
        place.mkdir(parents=True)
        start = [sys.executable, "-m", "scapre.workbook.kernel", "-f", "{connection_file}"]
        about = {"argv": start, "display_name": KERNEL, "language": "python"}
        (place / "kernel.json").write_text(json.dumps(about), encoding="utf-8")
        os.environ["JUPYTER_RUNTIME_DIR"] = str(Path(folder, "runtime"))
        os.environ["JUPYTER_PATH"] = os.pathsep.join(filter(None, (folder, before["JUPYTER_PATH"])))
        Path(folder, "runtime").mkdir()
        try:
            yield KERNEL
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


if __name__ == "__main__":
    follow()
    runpy.run_module("ipykernel_launcher", run_name="__main__", alter_sys=True)
