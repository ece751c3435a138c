"""The fonts that receipts are drawn with, and whether this machine has them.

Without its font, a script is drawn as empty boxes, and the renderer does not complain; ``paywindow doctor`` does.
"""

import os
import subprocess
from pathlib import Path

#: The preferences of the renderer; WebKit finds fonts by this file alone.
CONFIGURATION = Path(__file__).parent / "templates" / "fonts.conf"

#: Font family and the Debian package that brings it.
FAMILIES = {
    "Liberation Sans": "fonts-liberation",
    "Noto Sans Arabic UI": "fonts-noto-ui-core",
    "IPAPGothic": "fonts-ipafont-gothic",
    "DejaVu Sans": "fonts-dejavu-core",
}


def missing_fonts() -> dict[str, str]:
    """The families of :data:`FAMILIES` that are not installed, with their packages.

    Asks ``fc-list`` (Debian package ``fontconfig``). Raises :class:`OSError` when there is none, and
    :class:`subprocess.SubprocessError` when it fails.
    """
    answer = subprocess.run(
        ["fc-list", ":", "family"],
        env={**os.environ, "FONTCONFIG_FILE": str(CONFIGURATION)},
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    installed = {family.strip() for line in answer.stdout.splitlines() for family in line.split(",")}
    return {family: package for family, package in FAMILIES.items() if family not in installed}
