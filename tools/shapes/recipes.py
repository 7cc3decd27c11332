"""Which type each tensor gets, as the converter and llama-quantize without an importance
matrix choose it (src/llama-quant.cpp at the pinned commit).

A recipe is a name of llama-quantize (Q4_K_M, Q8_0, F16, ...), or flat-TYPE: every matrix of one
type, and an output matrix of Q6_K if that is a K type.
"""

import re

from .gguf import TYPES

# recipe: (type of a matrix unless a rule says otherwise, general.file_type)
FILE_TYPES = {
    "F32": ("F32", 0),
    "F16": ("F16", 1),
    "BF16": ("BF16", 32),
    "Q4_0": ("Q4_0", 2),
    "Q4_1": ("Q4_1", 3),
    "Q5_0": ("Q5_0", 8),
    "Q5_1": ("Q5_1", 9),
    "Q8_0": ("Q8_0", 7),
    "Q2_K": ("Q2_K", 10),
    "Q3_K_S": ("Q3_K", 11),
    "Q3_K_M": ("Q3_K", 12),
    "Q3_K_L": ("Q3_K", 13),
    "Q4_K_S": ("Q4_K", 14),
    "Q4_K_M": ("Q4_K", 15),
    "Q5_K_S": ("Q5_K", 16),
    "Q5_K_M": ("Q5_K", 17),
    "Q6_K": ("Q6_K", 18),
    "IQ4_NL": ("IQ4_NL", 25),
    "IQ4_XS": ("IQ4_XS", 30),
    "MXFP4_MOE": ("MXFP4", 38),
}
FALLBACK = {
    "IQ4_XS": "IQ4_NL",
    "Q2_K": "Q4_0",
    "Q3_K": "Q4_0",
    "Q4_K": "Q5_0",
    "Q5_K": "Q5_1",
    "Q6_K": "Q8_0",
}

# Parts of names of tensors that the converter keeps in F32, and that stay as converted.
ALWAYS_F32 = re.compile(
    r"_norm\.weight$|ffn_gate_inp(_shexp)?\.weight|^position_embd|^token_types|ssm_conv1d|"
    r"shortconv\.conv\.|time_mix_(w1|w2|lerp_fused)\.|altup_(correct|predict)_coef"
)
NEVER_QUANTISED = re.compile(
    r"_norm\.weight$|ffn_gate_inp\.weight|altup|laurel|per_layer_model_proj|^position_embd|"
    r"^token_types|ssm_conv1d|shortconv\.conv\.weight|time_mix_([wva][012]|g[12]|lerp_fused)\."
)
CATEGORIES = (
    ("embedding", re.compile(r"^(per_layer_)?token_embd\.weight$")),
    ("output", re.compile(r"^output\.weight$")),
    ("qkv", re.compile(r"attn_qkv\.weight")),
    ("kv_b", re.compile(r"attn_kv_b\.weight")),
    ("v", re.compile(r"attn_v\.weight")),
    ("k", re.compile(r"attn_k\.weight")),
    ("attn_output", re.compile(r"attn_output\.weight")),
    ("down", re.compile(r"ffn_down")),
)
LIKE_V = ("v", "qkv", "kv_b")


def category(name):
    return next((kind for kind, pattern in CATEGORIES if pattern.search(name)), "other")


def layer_of(name):
    found = re.match(r"blk\.(\d+)\.", name)
    return int(found[1]) if found else -1


def _dimensions(dims):
    return max((i + 1 for i, n in enumerate(dims) if n > 1), default=1)


def _converted(name, dims, half):
    if len(dims) < 2 or not name.endswith(".weight") or ALWAYS_F32.search(name):
        return "F32"
    return half


def _fitting(kind, row):
    """The type itself, or what stands in where rows are no multiple of its block."""
    if row % TYPES[kind].block:
        kind = FALLBACK.get(kind, kind)
    return "F16" if row % TYPES[kind].block else kind


def _more_bits(layer, layers):
    return layer < layers // 8 or layer >= 7 * layers // 8 or (layer - layers // 8) % 3 == 2


class _Chooser:
    """llama_tensor_get_type_impl: its counters go up tensor by tensor, in the file's order."""

    def __init__(self, recipe, shape, names):
        self.recipe = recipe
        self.default = FILE_TYPES[recipe][0]
        self.experts = shape.experts
        self.layers = shape.layers
        self.heads_per_kv = shape.heads // shape.first_kv_heads if shape.first_kv_heads else 0
        self.tied = "output.weight" not in names
        self.v_total = sum(category(name) in LIKE_V for name in names)
        self.v_seen = 0
        self.down_seen = 0

    def choose(self, name, dims):
        kind = category(name)
        if kind == "output" or (self.tied and kind == "embedding"):
            if self.recipe == "MXFP4_MOE" or dims[0] % TYPES[self.default].block:
                return "Q8_0"
            return "Q8_0" if self.default == "Q8_0" else "Q6_K"
        if self.recipe == "MXFP4_MOE":
            return "MXFP4" if len(dims) > 2 and dims[2] > 1 else "Q8_0"
        if kind == "embedding":
            return self.default
        if kind in LIKE_V:
            return self._like_v()
        if kind == "k" and self.experts == 8:
            return "Q8_0"
        if kind == "down":
            return self._down(name)
        if kind == "attn_output":
            return self._attn_output()
        return self.default

    def _like_v(self):
        recipe, seen, grouped = self.recipe, self.v_seen, self.heads_per_kv >= 4
        self.v_seen += 1
        if self.experts == 8:
            return "Q8_0"
        if recipe == "Q2_K":
            return "Q4_K" if grouped else "Q3_K"
        if recipe == "Q3_K_M":
            return "Q5_K" if seen < 2 else "Q4_K"
        if recipe == "Q3_K_L" or (recipe in ("IQ4_NL", "IQ4_XS") and grouped):
            return "Q5_K"
        if recipe in ("Q4_K_M", "Q5_K_M") and _more_bits(seen, self.v_total):
            return "Q6_K"
        return "Q5_K" if recipe == "Q4_K_S" and seen < 4 else self.default

    def _down(self, name):
        recipe, layers = self.recipe, self.layers
        layer = layer_of(name) if self.experts > 1 else self.down_seen
        self.down_seen += 1
        if recipe == "Q2_K":
            return "Q3_K"
        if recipe == "Q3_K_M":
            return "Q5_K" if layer < layers // 16 else "Q4_K"
        if recipe == "Q3_K_L":
            return "Q5_K"
        if recipe in ("Q4_K_M", "Q5_K_M"):
            return "Q6_K" if _more_bits(layer, layers) else self.default
        early = layer < layers // 8
        return "Q5_K" if early and recipe in ("Q4_K_S", "IQ4_NL", "IQ4_XS") else self.default

    def _attn_output(self):
        if self.experts == 8:
            sharpened = ("Q2_K", "Q3_K_S", "Q3_K_M", "Q4_K_S", "Q4_K_M", "IQ4_NL", "IQ4_XS")
            return "Q5_K" if self.recipe in sharpened else self.default
        return {"Q2_K": "Q3_K", "Q3_K_M": "Q4_K", "Q3_K_L": "Q5_K"}.get(self.recipe, self.default)


def file_type(recipe):
    if recipe.startswith("flat-"):
        return next(number for kind, number in FILE_TYPES.values() if kind == recipe[5:])
    return FILE_TYPES[recipe][1]


def check(recipe):
    if recipe not in FILE_TYPES and recipe.removeprefix("flat-") not in TYPES:
        raise ValueError(f"{recipe}: unknown; one of {', '.join(FILE_TYPES)} or flat-TYPE")


def assign(recipe, shape, dims_of):
    """The tensors' types by name; dims_of is in the file's order."""
    check(recipe)
    flat = recipe.removeprefix("flat-") if recipe.startswith("flat-") else None
    half = flat or recipe
    half = half if half in ("F32", "BF16") else "F16"
    chooser = None if flat or half == recipe else _Chooser(recipe, shape, dims_of)
    types = {}
    for name, dims in dims_of.items():
        kind = _converted(name, dims, half)
        quantised = name.endswith("weight") and _dimensions(dims) > 1
        quantised = quantised and not NEVER_QUANTISED.search(name)
        if quantised and flat:
            sharp = name == "output.weight" and flat.endswith("_K")
            kind = _fitting("Q6_K" if sharp else flat, dims[0])
        elif quantised and chooser:
            kind = _fitting(chooser.choose(name, dims), dims[0])
        types[name] = kind
    return types
