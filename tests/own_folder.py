"""A folder of a user's own as the working directory of a test."""

import os
import pathlib
import tempfile
import textwrap

from absl.testing import parameterized


class OwnFolderTestCase(parameterized.TestCase):
    """Each test runs in a folder of its own, which is the working directory."""

    def setUp(self) -> None:
        super().setUp()
        temporary = self.enterContext(tempfile.TemporaryDirectory())
        self.folder = pathlib.Path(temporary).resolve()
        before = pathlib.Path.cwd()
        os.chdir(self.folder)
        self.addCleanup(os.chdir, before)

    def write(self, name: str, text: str) -> pathlib.Path:
        """Writes a file of the user's."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
        return path
