"""The wheel: it builds, and the program in it starts in an environment of its own."""

from __future__ import annotations

import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from clarion import __version__

ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.real_process, pytest.mark.slow]


def test_wheel_holds_a_working_program(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path)]
    built = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False, timeout=100)
    if built.returncode != 0 and "No matching distribution" in built.stdout + built.stderr:
        pytest.skip("the package index is out of reach")
    assert built.returncode == 0, built.stdout + built.stderr
    (wheel,) = tmp_path.glob("*.whl")
    assert wheel.name == f"clarion_push-{__version__}-py3-none-any.whl"

    venv.create(tmp_path / "venv", with_pip=False)
    python = tmp_path / "venv" / "bin" / "python"
    install = [
        sys.executable,
        "-m",
        "pip",
        "--python",
        str(python),
        "install",
        "--no-deps",
        "--no-index",
        str(wheel),
    ]
    subprocess.run([*install, "--quiet", "--disable-pip-version-check"], check=True, timeout=60)
    # The dependencies are those of this environment; the program is the one of the wheel.
    site = next((tmp_path / "venv").glob("lib/*/site-packages"))
    (site / "dependencies.pth").write_text(sysconfig.get_path("purelib"))

    program = tmp_path / "venv" / "bin" / "clarion"
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert version.stdout == f"clarion {__version__}\n"
    data_dir = tmp_path / "data"
    listed = subprocess.run(
        [program, "app", "list", "--json", "--data-dir", data_dir],
        capture_output=True,
        text=True,
        check=True,
        cwd=tmp_path,
    )
    assert listed.stdout == "[]\n"  # the migrations came along
    where = subprocess.run(
        [python, "-c", "import clarion; print(clarion.__file__)"], capture_output=True, text=True, check=True
    )
    assert where.stdout.startswith(str(site))
