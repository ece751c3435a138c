"""Make the Python environment of the image: ``python docker/environment.py dependencies|product FOLDER``.

``docker/Dockerfile`` runs it in two steps, so that a change of code installs no dependency again; ``make image`` runs both on a
plain machine. Standard library only, since nothing is installed yet. The working directory is the repository.

What runs is a part of what ``requirements.lock`` pins, which has the tools of development, too. So the lock is not what is
installed, but what constrains it: pip takes the dependencies that setup.cfg asks for (no extras), and each one, however deep,
must have its version and its hash in the lock, or nothing is installed. FOLDER gets no pip of its own: nothing is installed
there later.
"""

import shutil
import subprocess
import sys
import tempfile
import venv
from configparser import ConfigParser
from pathlib import Path

LOCK = ["--require-hashes", "--constraint", "requirements.lock"]


def dependencies(folder: Path, tools: Path) -> None:
    """A new environment with what the product needs to run."""
    venv.create(folder, clear=True, symlinks=True)
    setup = ConfigParser(interpolation=None)
    setup.read("setup.cfg", encoding="utf-8")
    wanted = tools / "runtime.txt"
    wanted.write_text(setup["options"]["install_requires"], encoding="utf-8")
    _pip(tools, "--python", str(folder), "install", *LOCK, "--requirement", str(wanted))


def product(folder: Path, tools: Path) -> None:
    """The product itself, from a wheel that is built with the lock's own setuptools."""
    _pip(tools, "install", *LOCK, "setuptools", "wheel")
    # setuptools would pack what an earlier build left there, modules that are gone included.
    shutil.rmtree("build/lib", ignore_errors=True)
    _pip(tools, "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", str(tools / "dist"), ".")
    (wheel,) = (tools / "dist").glob("*.whl")
    _pip(tools, "--python", str(folder), "install", "--no-deps", str(wheel))
    _pip(tools, "--python", str(folder), "check")


def _pip(tools: Path, *arguments: str) -> None:
    subprocess.run([tools / "bin" / "python", "-m", "pip", "--quiet", *arguments], check=True)


def main(step: str, folder: str) -> None:
    """Run a step with the pip of ``docker/pip.txt``."""
    with tempfile.TemporaryDirectory(prefix="paywindow-tools-") as name:
        tools = Path(name)
        venv.create(tools, with_pip=True)
        _pip(tools, "install", "--require-hashes", "--requirement", "docker/pip.txt")
        {"dependencies": dependencies, "product": product}[step](Path(folder), tools)


if __name__ == "__main__":
    main(*sys.argv[1:])
