#!/usr/bin/env python3
"""Writes GGUF files with the shapes of real models, which the engine loads and prices.

  tools/shapes.py --list              names, architectures, types, sizes
  tools/shapes.py NAME OUT            one file: its header, and a hole where the tensors would be
  tools/shapes.py --all DIR           every shape, as DIR/NAME.gguf

  --type RECIPE    as llama-quantize names it (Q4_K_M, Q8_0, F16, ...), or flat-TYPE
  --random SEED    fill the tensors with valid random data instead of a hole
  --layers N       only the first N layers
  --small          the same architecture in a few MiB (width 256, 2048 tokens; 4 layers unless told)
  --vocabulary     a made-up tokenizer of the full size, which llama-server and llama-bench accept
"""

import argparse
import os
import sys
from pathlib import Path

sys.dont_write_bytecode = True
from shapes import architectures, gguf, projectors, recipes, vocabulary  # noqa: E402
from shapes.catalogue import SHAPES  # noqa: E402
from shapes.projectors import PROJECTORS  # noqa: E402
from shapes.values import Filler  # noqa: E402

SMALL_LAYERS = 4
NO_TOKENIZER = {"tokenizer.ggml.model": "none"}


def in_file_order(name):
    return recipes.layer_of(name), name


def lay_out(shape, recipe, with_vocabulary=False):
    """The file's metadata and its tensors, in order."""
    if shape.name in PROJECTORS:
        return projectors.lay_out(shape)
    draft = architectures.draft(shape)
    dims = {name: draft.dims[name] for name in sorted(draft.dims, key=in_file_order)}
    types = recipes.assign(recipe, shape, dims)
    tensors = [gguf.Tensor(name, dims[name], types[name]) for name in dims]
    tokenizer = vocabulary.keys(shape.vocabulary) if with_vocabulary else NO_TOKENIZER
    keys = {
        "general.architecture": shape.arch,
        "general.type": "model",
        "general.name": shape.about,
        "general.quantization_version": 2,
        "general.file_type": recipes.file_type(recipe),
        f"{shape.arch}.vocab_size": shape.vocabulary,
        **draft.keys,
        **tokenizer,
    }
    return keys, tensors


def write(path, shape, recipe, with_vocabulary=False, seed=None):
    """Writes the file under a temporary name first; gives its size."""
    keys, tensors = lay_out(shape, recipe, with_vocabulary)
    header = gguf.header(keys, tensors)
    size = len(header) + gguf.data_bytes(tensors)
    unfinished = path.with_name(path.name + ".part")
    try:
        with open(unfinished, "wb") as file:
            file.write(header)
            if seed is None:
                file.truncate(size)
            else:
                filler = Filler(seed)
                for tensor in tensors:
                    filler.write(file, tensor)
        os.replace(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
    return size


def list_shapes():
    for shape in SHAPES.values():
        _, tensors = lay_out(shape, shape.recipe)
        parameters = sum(tensor.elements for tensor in tensors)
        size = gguf.data_bytes(tensors)
        print(
            f"{shape.name:20} {shape.arch:14} {shape.recipe:10} {parameters / 1e9:7.2f} B"
            f" {size / 2**20:8.0f} MiB  {shape.about}"
        )
    for projector in PROJECTORS.values():
        size = gguf.data_bytes(lay_out(projector, projector.recipe)[1])
        print(f"{projector.name:20} clip {size / 2**20:34.0f} MiB  {projector.about}")


def main():
    parser = argparse.ArgumentParser(
        usage="%(prog)s [--list | NAME OUT | --all DIR] [options]",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("name", nargs="?", choices={**SHAPES, **PROJECTORS}, metavar="NAME")
    parser.add_argument("out", nargs="?", type=Path, metavar="OUT")
    parser.add_argument("--list", action="store_true", help="list the shapes")
    parser.add_argument("--all", type=Path, metavar="DIR", help="write every shape")
    parser.add_argument("--type", metavar="RECIPE", help="default: the shape's own")
    parser.add_argument("--random", metavar="SEED", help="fill with random data")
    parser.add_argument("--layers", type=int, metavar="N", help="only the first N layers")
    parser.add_argument("--small", action="store_true", help="a small version")
    parser.add_argument("--vocabulary", action="store_true", help="add a tokenizer")
    options = parser.parse_args()

    if options.list:
        list_shapes()
        return 0
    if options.all:
        jobs = [(shape, options.all / f"{shape.name}.gguf") for shape in SHAPES.values()]
        options.all.mkdir(parents=True, exist_ok=True)
    elif options.name and options.out:
        jobs = [({**SHAPES, **PROJECTORS}[options.name], options.out)]
    else:
        parser.error("give --list, NAME OUT or --all DIR")

    for shape, path in jobs:
        try:
            is_model = shape.name in SHAPES
            layers = options.layers or (min(shape.layers, SMALL_LAYERS) if options.small else None)
            shape = shape.small() if options.small else shape
            shape = shape.with_layers(layers) if layers and is_model else shape
            recipe = options.type or shape.recipe
            size = write(path, shape, recipe, options.vocabulary, options.random)
        except (ValueError, OSError) as error:
            print(f"{shape.name}: {error}", file=sys.stderr)
            return 1
        print(f"{path} {size}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
