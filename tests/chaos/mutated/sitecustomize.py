"""Takes a safeguard out of a process as it imports the code, for the tests of the tests (see ``chaos/safeguards.py``).

Python runs this at start where this folder is on ``PYTHONPATH``, which only those tests set. ``PAYWINDOW_TEST_MUTATION`` names
a file with the changes: module, text, and what stands in its place. The sources on disk stay as they are. A text that is not
found exactly once ends the import: then the code has moved on, and the table must follow.
"""

import json
import os
import sys
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from pathlib import Path

_FILE = Path(os.environ["PAYWINDOW_TEST_MUTATION"])
_CHANGES = {module: (old, new) for module, old, new in json.loads(_FILE.read_text())}


class _Changed(SourceFileLoader):
    """Loads a module with its change."""

    def get_data(self, path):
        data = super().get_data(path)
        if not path.endswith(".py"):
            return data
        old, new = _CHANGES[self.name]
        text = data.decode()
        if text.count(old) != 1:
            raise ImportError(f"what is to be changed in {self.name} stands there {text.count(old)} times")
        with _FILE.with_suffix(".applied").open("a") as applied:
            applied.write(f"{self.name}\n")
        return text.replace(old, new).encode()

    def get_code(self, fullname):
        # Never from the cache, which has the module as it is; nor into it.
        return self.source_to_code(self.get_data(self.path), self.path)


class _Finder:
    """Finds the modules that are changed, and leaves all others to Python."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name not in _CHANGES:
            return None
        found = PathFinder.find_spec(name, path, target)
        return ModuleSpec(name, _Changed(name, found.origin), origin=found.origin) if found else None


sys.meta_path.insert(0, _Finder)
