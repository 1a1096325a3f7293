"""The C++ of WKV-4 and WKV-7 under sanitizers: no byte outside, nothing undefined."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from engine import kernels, wkv4_native, wkv7_native
from engine.kernels import Library

DRIVER = Path(__file__).parent / "sanitize.cpp"
FLAGS = ("-std=c++17", "-O0", "-g1", "-pthread", "-march=native")
SANITIZERS = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")


def compiler() -> str:
    try:
        return kernels._compiler()
    except kernels._NoBuildError as error:
        pytest.skip(str(error))


def build(folder: Path, library: Library, driver: str, *defines: str) -> Path:
    """The driver with the library's own text, as a program. Skips where there is no sanitizer."""
    for name, text in library.source().items():
        (folder / name).write_bytes(text)
    (folder / "main.cpp").write_text(driver)
    program = folder / "main"
    command = [compiler(), *FLAGS, *SANITIZERS, *defines, str(folder / "main.cpp")]
    done = subprocess.run([*command, "-o", str(program)], capture_output=True, text=True)
    if "cannot find" in done.stderr and "asan" in done.stderr:
        pytest.skip("this compiler has no AddressSanitizer runtime")
    assert done.returncode == 0, done.stderr[-2000:]
    return program


@pytest.mark.parametrize("library", [wkv4_native.LIBRARY, wkv7_native.LIBRARY], ids=["4", "7"])
def test_sanitizers_find_nothing(library: Library, tmp_path: Path) -> None:
    define = f"-DWKV={library.name[-1]}"
    program = build(tmp_path, library, DRIVER.read_text(), define)
    done = subprocess.run([program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout == "clean\n"


def test_sanitizers_find_a_write_past_the_end(tmp_path: Path) -> None:
    """So that the test above means something: the same, with one write too many in WKV-4."""
    files = wkv4_native.LIBRARY.source()
    right = b"store<kWhole>(f.exp2 + state, s.exp, at.n);"
    assert files["wkv4_cpu.cpp"].count(right) == 1
    driver = DRIVER.read_text().replace('"wkv4_cpu.cpp"', '"wrong.cpp"')
    wrong = files["wkv4_cpu.cpp"].replace(right, right.replace(b"at.n", b"at.n + 1"))
    (tmp_path / "wrong.cpp").write_bytes(wrong)
    program = build(tmp_path, wkv4_native.LIBRARY, driver, "-DWKV=4")
    done = subprocess.run([program], capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode != 0
    assert "heap-buffer-overflow" in done.stderr
