"""House rules about where code lives and who imports whom (see the import map in setup.cfg)."""

import ast
import configparser
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

# Which packages a package may import, besides itself. `paywindow` is app/ without its composition root, app/cli/,
# which may import all of them, but lazily.
MAY_IMPORT = {
    "paywindow": set(),
    "paywindow.models": {"paywindow"},
    "paywindow.actors": {"paywindow", "paywindow.models"},
    "paywindow.schedules": {"paywindow", "paywindow.models"},
    "paywindow.front": {"paywindow"},
    "paywindow.sandbox": set(),
}
COMPOSITION_ROOT = "paywindow.cli"


def _setup() -> configparser.ConfigParser:
    setup = configparser.ConfigParser(interpolation=None)
    setup.read(ROOT / "setup.cfg", encoding="utf-8")
    return setup


def _words(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]


def _import_map() -> dict[str, Path]:
    pairs = (line.split("=") for line in _words(_setup()["options"]["package_dir"]))
    return {name.strip(): ROOT / folder.strip() for name, folder in pairs}


IMPORT_MAP = _import_map()


def _modules() -> Iterator[tuple[str, Path]]:
    """Every module of the product: import name and file."""
    for root_name, folder in IMPORT_MAP.items():
        for path in sorted(folder.rglob("*.py")):
            parts = path.relative_to(folder).with_suffix("").parts
            yield ".".join((root_name, *(part for part in parts if part != "__init__"))), path


MODULES = dict(_modules())


def _home(module: str) -> str:
    """The package of the import map that a module belongs to."""
    return max((name for name in IMPORT_MAP if module == name or module.startswith(f"{name}.")), key=len)


def _imports(tree: ast.AST) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute here"
            yield node.module or ""
            # `from paywindow import models` names a package too.
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _ours(names: Iterator[str]) -> set[str]:
    return {name for name in names if name in MODULES}


def _at_import_time(tree: ast.Module) -> Iterator[str]:
    """What a module imports when it is itself imported: everything outside of functions and of TYPE_CHECKING blocks."""
    pending: list[ast.AST] = list(tree.body)
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
            pending.extend(node.orelse)
            continue
        if isinstance(node, ast.Import | ast.ImportFrom):
            yield from _imports(node)
        pending.extend(ast.iter_child_nodes(node))


def _parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def _is_below(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def test_http_is_a_folder_and_never_a_package() -> None:
    assert not (ROOT / "http" / "__init__.py").exists()


@pytest.mark.parametrize("switch", ["-c", "-m"])
def test_the_standard_librarys_http_is_found_in_the_repositorys_folder(switch: str) -> None:
    argv = {"-c": ["-c", "import http, http.client; print(http.__file__)"], "-m": ["-m", "http.server", "--help"]}[
        switch
    ]
    done = subprocess.run([sys.executable, *argv], cwd=ROOT, capture_output=True, text=True, check=True)
    assert str(ROOT) not in done.stdout


def test_no_folder_of_tests_is_a_package() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_every_folder_with_modules_is_a_package_that_setup_cfg_installs() -> None:
    found = {_package_of(path) for path in MODULES.values()}
    assert found == set(_words(_setup()["options"]["packages"]))


def _package_of(path: Path) -> str:
    name = next(module for module, file in MODULES.items() if file == path)
    return name if path.name == "__init__.py" else name.rpartition(".")[0]


def test_every_package_has_its_init_module() -> None:
    without = {path.parent for path in MODULES.values() if not (path.parent / "__init__.py").exists()}
    assert without == set()


@pytest.mark.parametrize("module", sorted(MODULES))
def test_modules_import_only_what_their_layer_may(module: str) -> None:
    if _is_below(module, COMPOSITION_ROOT):
        return
    home = _home(module)
    allowed = MAY_IMPORT[home] | {home}
    imported = _ours(_imports(_parse(MODULES[module])))
    assert {name for name in imported if _home(name) not in allowed} == set()


@pytest.mark.parametrize("module", sorted(MODULES))
def test_only_the_composition_root_imports_the_composition_root(module: str) -> None:
    if _is_below(module, COMPOSITION_ROOT):
        return
    imported = _ours(_imports(_parse(MODULES[module])))
    assert {name for name in imported if _is_below(name, COMPOSITION_ROOT)} == set()


@pytest.mark.parametrize("module", sorted(name for name in MODULES if _is_below(name, COMPOSITION_ROOT)))
def test_the_composition_root_imports_other_packages_only_when_a_command_needs_them(module: str) -> None:
    imported = _ours(_at_import_time(_parse(MODULES[module])))
    assert {name for name in imported if _home(name) != "paywindow"} == set()


@pytest.mark.parametrize("module", sorted(MODULES))
def test_only_the_gateway_and_the_sandbox_know_stripes_sdk(module: str) -> None:
    if module == "paywindow.gateway" or _home(module) == "paywindow.sandbox":
        return
    assert not [name for name in _imports(_parse(MODULES[module])) if _is_below(name, "stripe")]
