"""`adventure convert`: a checkpoint in another form or type; knows nothing of games."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

from adventure.errors import UserError

# As engine.convert has them, but known without waiting for torch.
FORMS = ("safetensors", "pth", "huggingface")
DTYPES = ("float32", "float16", "bfloat16")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "source", metavar="IN", type=Path, help="a .safetensors or .pth file, or a folder"
    )
    parser.add_argument("target", metavar="OUT", type=Path, help="the file or folder to write")
    parser.add_argument(
        "--to", choices=FORMS, help="the form (default: what OUT's ending says; none: huggingface)"
    )
    parser.add_argument(
        "--dtype",
        choices=DTYPES,
        help="the weights' type (default: IN's own; float32 where IN has several)",
    )


def run(args: argparse.Namespace) -> int:
    """Write a checkpoint in another form; a folder gets IN's tokenizer.json. Raises UserError."""
    from engine.checkpoint import load_model
    from engine.convert import form_of, write_model
    from engine.tensorfiles import exact_dtype, read_tensors

    form = args.to or form_of(args.target)
    found = read_tensors(args.source)
    if args.target.exists() and any(args.target.samefile(file) for file in found.files):
        raise UserError(f"{args.target} is what is to be read; give OUT another name.")
    own = str(exact_dtype(list(found.tensors.values()))).removeprefix("torch.")
    dtype = args.dtype or own
    model = load_model(args.source, dtype=dtype)
    write_model(model, args.target, form, dtype, found.metadata)
    folder = args.source if args.source.is_dir() else args.source.parent
    if form == "huggingface" and (folder / "tokenizer.json").is_file():
        shutil.copyfile(folder / "tokenizer.json", args.target / "tokenizer.json")
    print(f"Wrote RWKV-{model.config.generation} to {args.target} ({form}, {dtype}).")
    return 0
