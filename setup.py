"""What pyproject.toml cannot say: the wheel carries params.yaml and paper_tables/, which lie at the root alone."""

from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

ROOT = Path(__file__).resolve().parent


class WithDefaults(build_py):
    """Copies them to where `repro.places` looks; an editable install reads them at the root."""

    def run(self) -> None:
        super().run()
        if self.editable_mode:
            return
        for source in (ROOT / "params.yaml", *sorted((ROOT / "paper_tables").glob("*.yaml"))):
            target = Path(self.build_lib) / "repro" / "defaults" / source.relative_to(ROOT)
            self.mkpath(str(target.parent))
            self.copy_file(str(source), str(target))


setup(cmdclass={"build_py": WithDefaults})
