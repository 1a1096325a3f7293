"""The launcher and the compilers of CUDA code.

The launcher runs against a driver made here, which hands each launch to the emulator.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import os
import re
import shutil
import subprocess
import tempfile
import threading
import timeit
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import emulated
import pytest
import torch
from emulated import EXAMPLE, Example
from torch import Tensor

from engine import cubin, gpu, kernels
from engine.gpu import KernelError, Program

CUDA = torch.device("cuda", 0)

# ---- the launcher, on a driver made of the emulator -------------------------------------------

DRIVER = r"""
#include <dlfcn.h>
#include <cstdint>
#include <cstring>
#include <string>
typedef const char* (*Emulate)(void*, const unsigned*, unsigned, size_t, const uint64_t*, int,
                               uint64_t);
static std::string said;
static thread_local void* context;
static Emulate emulate;
static int next_code;
static void note(const std::string& what) { said += what + ";"; }
extern "C" {
const char* fake_said() { static std::string last; last = said; said.clear(); return last.c_str(); }
void fake_next(int code) { next_code = code; }
int cuInit(unsigned) { return 0; }
int cuGetErrorString(int code, const char** text) {
    *text = code == 1 ? "invalid argument" : code == 209 ? "no kernel image" : nullptr;
    return *text ? 0 : 1;
}
int cuDeviceGet(int* device, int index) { *device = index + 40; return 0; }
int cuDeviceGetAttribute(int* value, int which, int) { *value = which * 1000; return 0; }
int cuDevicePrimaryCtxRetain(void** c, int device) { *c = (void*)(intptr_t)device; return 0; }
int cuCtxSetCurrent(void* c) {
    note("context " + std::to_string((intptr_t)c));
    context = c;
    return 0;
}
int cuModuleLoadData(void** module, const char* image) {
    note("load");
    if (!context) return 201;
    *module = dlopen(image, RTLD_NOW);
    if (!*module) return 209;
    emulate = (Emulate)dlsym(*module, "emulate");
    return 0;
}
int cuModuleGetFunction(void** f, void* module, const char* name) {
    *f = dlsym(module, name);
    return *f ? 0 : 500;
}
int cuFuncSetAttribute(void*, int which, int value) {
    if (!context) return 201;
    note("attribute " + std::to_string(which) + "=" + std::to_string(value));
    return value > 240000 ? 1 : 0;
}
int cuLaunchKernel(void* f, unsigned x, unsigned y, unsigned z, unsigned block, unsigned, unsigned,
                   unsigned shared, void* stream, void** parameters, void** extra) {
    if (!context) return 201;
    if (next_code) { int code = next_code; next_code = 0; return code; }
    note("stream " + std::to_string((intptr_t)stream));
    const unsigned grid[3] = {x, y, z};
    uint64_t words[30];
    for (int i = 0; i < 30; ++i) memcpy(words + i, parameters[i], 8);
    return emulate(f, grid, block, shared, words, 0, 0) || extra ? 719 : 0;
}
}
"""
# Stands in for nvcc: "compiles" to the address of a library that the emulator can run.
NVCC = """#!/bin/sh
cd_out() { while [ $# -gt 0 ]; do [ "$1" = -o ] && printf %s "$2"; shift; done; }
[ "$1" = --version ] && { echo "a compiler for tests"; exit 0; }
echo "$@" >> "$FAKE/runs"
[ -e "$FAKE/error" ] && { echo "In file included:" >&2; cat "$FAKE/error" >&2; exit 2; }
cp "$FAKE/image" "$(cd_out "$@")"
"""


class Fake:
    """The folder of a false toolkit, and the false driver's memory."""

    def __init__(self, folder: Path, driver: Path, image: Path) -> None:
        self.folder = folder
        self.path = shutil.copy(driver, folder / "libcuda.so")  # its own memory for each test
        self.library = ctypes.CDLL(str(self.path))
        self.library.fake_said.restype = ctypes.c_char_p
        (folder / "image").write_text(str(image))
        nvcc = folder / "bin" / "nvcc"
        nvcc.parent.mkdir()
        nvcc.write_text(NVCC)
        nvcc.chmod(0o755)

    def said(self) -> list[str]:
        return self.library.fake_said().decode().split(";")[:-1]

    def runs(self) -> int:
        runs = self.folder / "runs"
        return len(runs.read_text().splitlines()) if runs.exists() else 0


def forget() -> None:
    for cached in (gpu._driver, gpu._trouble, gpu._most_shared, cubin.nvcc, cubin.nvrtc):
        cached.cache_clear()


@pytest.fixture(scope="module")
def driver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("driver")
    source, built = folder / "driver.cpp", folder / "driver.so"
    source.write_text(DRIVER)
    command = [emulated._compiler(), "-shared", "-fPIC", "-w", str(source), "-o", str(built)]
    subprocess.run(command, check=True)
    return built


@pytest.fixture
def fake(driver: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Fake]:
    fake = Fake(tmp_path, driver, emulated._build(EXAMPLE, False))
    for name, value in {
        "CUDA_HOME": str(tmp_path),
        "FAKE": str(tmp_path),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
        kernels.VARIABLE: "auto",
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(gpu, "DRIVER", str(fake.path))
    for name, stand_in in {
        "_built": lambda: True,
        "_available": lambda: True,
        "_capability": lambda index: (9, 0),
        "_current_device": lambda: 0,
        "_on_device": lambda index: nullcontext(),
        "_stream": lambda index: 70 + index,
        "_modules": {},
        "_failed": {},
    }.items():
        monkeypatch.setattr(gpu, name, stand_in)
    monkeypatch.setattr(cubin, "_nvrtc_paths", lambda: iter(()))
    forget()
    yield fake
    forget()


def scaled(n: int = 100, shared: int = 512, device: torch.device = CUDA) -> Tensor:
    x, y, add = torch.arange(float(n)), torch.zeros(n), torch.ones(n)
    module = gpu.module(EXAMPLE, device)
    module.launch("scale", (1, 1, 1), 128, shared, y, x, n, None)
    assert torch.equal(y, 2 * x)
    module.launch("scale", (1, 1, 1), 128, shared, y, x, n, add)
    return y


def test_a_program_is_built_loaded_and_launched(fake: Fake) -> None:
    assert gpu.why_not(CUDA) is None and gpu.usable(CUDA)
    assert torch.equal(scaled(), 2 * torch.arange(100.0) + 1)
    assert fake.said() == [
        "context 40",
        "load",
        "context 40",
        "context 40",
        "attribute 8=512",
        "stream 70",
        "stream 70",
    ]
    assert gpu.module(EXAMPLE, CUDA) is gpu.module(EXAMPLE, CUDA)
    assert gpu.most_shared(CUDA) == 97000
    scaled(shared=1024)
    scaled(shared=512)
    assert [x for x in fake.said() if x.startswith("attribute")] == ["attribute 8=1024"]
    ran = (fake.folder / "runs").read_text()
    assert "-arch=sm_90" in ran and "fast" not in ran


def test_binaries_are_kept_and_a_cut_one_is_made_anew(fake: Fake) -> None:
    def again(text: str | None = None) -> int:
        gpu._modules.clear()
        for path in (fake.folder / "cache").rglob("*.cubin"):
            path.write_text(path.read_text() if text is None else text)
        scaled()
        return fake.runs()

    scaled()
    assert fake.runs() == 1
    assert again() == 1
    assert again("cut") == 2
    assert again() == 2


def test_another_device_and_a_thread_without_context(fake: Fake) -> None:
    scaled(device=torch.device("cuda", 1))
    assert {"context 41", "stream 71"} <= set(fake.said())
    module, found = gpu.module(EXAMPLE, CUDA), torch.zeros(32)
    thread = threading.Thread(
        target=lambda: module.launch("scale", (1, 1, 1), 32, 128, found, torch.ones(32), 32, None)
    )
    thread.start()
    thread.join()
    assert (found == 2).all()


def test_what_the_driver_refuses_is_told_in_its_words(fake: Fake) -> None:
    module = gpu.module(EXAMPLE, CUDA)
    x = torch.zeros(32)
    fake.library.fake_next(1)
    with pytest.raises(
        KernelError,
        match=r"^example: cuLaunchKernel of scale failed: invalid argument \(CUDA error 1\)\.$",
    ):
        module.launch("scale", (1, 1, 1), 32, 128, x, x, 32, None)
    with pytest.raises(KernelError, match=r"cuFuncSetAttribute failed: invalid argument"):
        module.launch("scale", (1, 1, 1), 32, 250_000, x, x, 32, None)
    with pytest.raises(KernelError, match=r"cuModuleGetFunction failed: unknown error .*500"):
        module.launch("nothing", (1, 1, 1), 32, 0)
    module.launch("scale", (1, 1, 1), 32, 128, x, x, 32, None)  # and the next one goes on


def test_a_source_that_does_not_compile_is_one_sentence(fake: Fake) -> None:
    (fake.folder / "error").write_text('example.cu(3): error: identifier "q" is undefined\nmore\n')
    sentence = (
        r"^The CUDA kernel example can\'t be built for sm_90 \(example.cu\(3\): error: "
        r'identifier "q" is undefined\): set ADVENTURE_KERNEL=torch to do without\.$'
    )
    for _ in range(2):
        with pytest.raises(KernelError, match=sentence):
            gpu.module(EXAMPLE, CUDA)
    assert fake.runs() == 1  # not tried again
    assert "can't be built" in str(gpu.why_not(CUDA))


def test_a_binary_that_does_not_load_is_told(fake: Fake) -> None:
    (fake.folder / "image").write_text("/nowhere")
    with pytest.raises(KernelError, match=r"cuModuleLoadData failed: no kernel image"):
        gpu.module(EXAMPLE, CUDA)


@dataclass(frozen=True)
class Ready:
    """A compiler that has the binary already."""

    identity: str
    image: bytes

    def compile(self, program: Program, source: dict[str, bytes], arch: str) -> bytes:
        return self.image


def test_the_second_compiler_serves_where_the_firsts_binary_does_not_load(
    fake: Fake, monkeypatch: pytest.MonkeyPatch
) -> None:
    good = (fake.folder / "image").read_bytes()
    found = Ready("too new", b"/nowhere"), Ready("fitting", good)
    monkeypatch.setattr(cubin, "compilers", lambda: iter(found))
    scaled()
    assert gpu.why_not(CUDA) is None


def test_why_cuda_kernels_do_not_run(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    def why(**changes: object) -> str | None:
        with monkeypatch.context() as patch:
            for name, value in changes.items():
                patch.setattr(gpu, name, value)
            forget()
            return gpu.why_not(CUDA)

    assert why(_built=lambda: False) == "this torch is built without CUDA"
    assert why(_available=lambda: False) == "torch finds no GPU"
    assert why(_capability=lambda index: (7, 5)) == (
        "sm_75 has no TF32 tensor cores; compute capability 8.0 is needed"
    )
    assert str(why(DRIVER="libno.so.1")).startswith("no CUDA driver (libno.so.1")
    assert why() is None
    assert gpu.why_not(torch.device("cpu")) == "cpu is no CUDA device"
    monkeypatch.setattr(cubin, "compilers", lambda: iter(()))
    forget()
    assert gpu.why_not(CUDA) == "neither nvcc nor NVRTC is here"
    monkeypatch.setenv(kernels.VARIABLE, "native")
    with pytest.raises(
        KernelError, match=r"native, but CUDA kernels can't run here \(neither nvcc"
    ):
        gpu.usable(CUDA)
    assert not gpu.usable(torch.device("cpu"))
    monkeypatch.setenv(kernels.VARIABLE, "torch")
    assert gpu.why_not(CUDA) == "ADVENTURE_KERNEL=torch" and not gpu.usable(CUDA)
    monkeypatch.setenv(kernels.VARIABLE, "fast")
    with pytest.raises(KernelError, match="set it to one of auto, native, torch"):
        gpu.why_not(CUDA)


def test_without_a_gpu_torch_itself_is_asked() -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    assert gpu.why_not(torch.device("cuda")) in (
        "this torch is built without CUDA",
        "torch finds no GPU",
    )


def test_a_launch_costs_microseconds(fake: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    module = gpu.module(EXAMPLE, CUDA)
    tensors = [torch.zeros(32) for _ in range(3)]
    module.launch("scale", (1, 1, 1), 32, 128, *tensors[:2], 0, *tensors[2:])
    monkeypatch.setattr(module._driver, "launch", lambda *args: 0)
    args = tensors * 5
    best = min(
        timeit.repeat(
            lambda: module.launch("scale", (1, 1, 1), 32, 128, *args), number=500, repeat=5
        )
    )
    assert best / 500 < 20e-6  # about 3 where nothing else runs


# ---- the real compilers -----------------------------------------------------------------------

MODULES = ("engine.wkv7_cuda", "engine.wkv4_cuda", "engine.rwkv.v7_gpu")
ARCHS = os.environ.get("ADVENTURE_TEST_ARCHS", "sm_80,sm_90").split(",")
# Bytes that a kernel may spill out of its registers; those that aren't here may spill none.
SPILLS: dict[str, int] = {}


def programs() -> list[Program]:
    """Every specialisation that the engine can ask for, by the modules that ask; and ours."""
    asked = [x for name in MODULES for x in importlib.import_module(name).PROGRAMS]
    return [EXAMPLE, *asked]


@lru_cache(maxsize=1)
def toolkit() -> str:
    path = shutil.which("nvcc")
    if path is None:
        pytest.skip("nvcc is not here")
    return path


def said_by_ptxas(program: Program, arch: str) -> str:
    """What nvcc tells of registers and spills; kept, since it takes seconds."""
    sources = program.source()
    flags = [toolkit(), "-cubin", "-O3", "-Xptxas", "-v", *program.flags(arch)]
    parts = [*map(str.encode, (*flags, *sources)), *sources.values()]
    digest = hashlib.sha256(b"\0".join(parts)).hexdigest()[:24]
    kept = emulated._folder() / f"{program.name}-{arch}-{digest}.txt"
    if kept.exists():
        return kept.read_text()
    with tempfile.TemporaryDirectory() as folder:
        for file, text in sources.items():
            Path(folder, file).write_bytes(text)
        command = [*flags, "-o", "built.cubin", program.files[0]]
        run = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[:2000]
    kept.write_text(run.stderr)
    return run.stderr


@pytest.mark.parametrize("arch", ARCHS)
@pytest.mark.parametrize("program", programs(), ids=str)
def test_every_program_compiles_and_keeps_to_its_registers(program: Program, arch: str) -> None:
    text = said_by_ptxas(program, arch)
    found = re.findall(r"properties for (\w+)\n.*?(\d+) bytes spill stores", text)
    assert found
    for kernel, bytes_spilled in found:
        allowed = SPILLS.get(kernel, 0)
        assert int(bytes_spilled) <= allowed, f"{kernel} spills {bytes_spilled} > {allowed} bytes"


def test_nvcc_makes_binaries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    toolkit()
    check_binaries(cubin.nvcc(), monkeypatch, tmp_path)


def test_nvrtc_makes_binaries(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    if cubin.nvrtc() is None:
        pytest.skip("NVRTC is not here")
    check_binaries(cubin.nvrtc(), monkeypatch, tmp_path)


def check_binaries(
    compiler: cubin.Compiler | None, monkeypatch: pytest.MonkeyPatch, folder: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    assert compiler is not None
    data = cubin.binary(EXAMPLE, compiler, "sm_80")
    assert data.startswith(b"\x7fELF") and b"product_3xtf32" in data
    assert [path.read_bytes() for path in folder.rglob("*.cubin")] == [data]
    broken = Example("broken", EXAMPLE.files, (("three", "3x"),))
    with pytest.raises(cubin.CubinError, match="error"):
        cubin.binary(broken, compiler, "sm_80")
