#!/usr/bin/env python3
"""cuda_rules.py ENGINE_SOURCE OUT: the host-side memory rules of the pinned CUDA backend, as C++.

Which operations a card runs, how many bytes a tensor takes there, what is offloaded and what must
stay allocated: functions of ggml-cuda that compute on plain host data. They are cut out of the
engine's own sources when trimma is built, never retyped, so src/engine/phantom.cc answers as the
card's backend would. A function that is no longer there ends the build with its name.
"""

import re
import sys
from pathlib import Path

# file, beginning of the definition; the definition ends with the first line that starts with "}".
FUNCTIONS = [
    ("common.cuh", "static bool amd_mfma_available("),
    ("common.cuh", "static bool amd_wmma_available("),
    ("common.cuh", "static bool volta_mma_available("),
    ("common.cuh", "static bool turing_mma_available("),
    ("fattn.cu", "static fattn_vec_case_t ggml_cuda_get_fattn_vec_case("),
    ("fattn-common.cuh", "struct ggml_cuda_flash_attn_ext_f16_extra_data {"),
    ("fattn-common.cuh", "static inline ggml_cuda_flash_attn_ext_f16_extra_data "
                         "ggml_cuda_flash_attn_ext_get_f16_extra_data("),
    ("fattn-mma-f16.cuh", "static constexpr __host__ __device__ bool "
                          "ggml_cuda_flash_attn_ext_mma_f16_may_use_sparse("),
    ("fattn.cu", "bool ggml_cuda_flash_attn_ext_mma_f16_shall_use_sparse("),
    ("fattn.cu", "enum best_fattn_kernel {"),
    ("fattn.cu", "static bool ggml_cuda_fattn_kv_type_supported("),
    ("fattn.cu", "static best_fattn_kernel ggml_cuda_get_best_fattn_kernel("),
    ("fattn.cu", "size_t ggml_cuda_flash_attn_ext_get_alloc_size("),
    ("fattn.cu", "bool ggml_cuda_flash_attn_ext_supported("),
    ("lightning-indexer.cu", "bool ggml_cuda_lightning_indexer_supported("),
    ("ggml-cuda.cu", "static bool ggml_backend_buft_is_cuda("),
    ("ggml-cuda.cu", "static size_t ggml_backend_cuda_buffer_type_get_alignment("),
    ("ggml-cuda.cu", "static size_t ggml_backend_cuda_buffer_type_get_alloc_size("),
    ("ggml-cuda.cu", "static bool ggml_backend_buft_is_cuda_host("),
    ("ggml-cuda.cu", "static bool ggml_backend_cuda_device_supports_op("),
    ("ggml-cuda.cu", "static bool ggml_backend_cuda_device_supports_buft("),
    ("ggml-cuda.cu", "static int64_t get_op_batch_size("),
    ("ggml-cuda.cu", "static bool ggml_backend_cuda_device_offload_op("),
    ("topk-moe.cuh", "struct ggml_cuda_topk_moe_args {"),
    ("topk-moe.cu", "bool ggml_cuda_should_use_topk_moe("),
    ("ggml-cuda.cu", "static bool ggml_cuda_topk_moe_fusion("),
    ("ggml-cuda.cu", "struct ggml_cuda_moe_weighted_reduction_match {"),
    ("ggml-cuda.cu", "static bool ggml_cuda_match_moe_weighted_reduction("),
    ("ggml-cuda.cu", "static void ggml_backend_cuda_graph_optimize("),
]

# Lines of their own: file and a pattern; all lines that match are taken, at least one must.
LINES = [
    ("common.cuh", r"#define GGML_CUDA_CC_\w+.*"),
    ("common.cuh", r"#define MATRIX_ROW_PADDING .*"),
    ("fattn-common.cuh", r"#define FATTN_KQ_STRIDE .*"),
    ("../ggml-common.h", r"#define QK_K .*"),
    ("ggml-cuda.cu", r"static constexpr int MOE_WEIGHTED_REDUCTION_MAX_EXPERTS = .*"),
    ("fattn.cu", r"typedef void \(\* fattn_vec_case_t\).*"),
]

# What the backend's build defines, for a CUDA build with the engine's default options.
PREAMBLE = """\
// Made by cmake/cuda_rules.py from the engine's sources. Don't edit.
#pragma GCC system_header
#define FLASH_ATTN_AVAILABLE
#define GGML_CUDA_USE_CUB
"""


class Missing(Exception):
    pass


class Sources:
    def __init__(self, engine):
        self.ggml = engine / "ggml"
        self.texts = {}

    def lines(self, name):
        if name not in self.texts:
            path = self.ggml / "src/ggml-cuda" / name
            if not path.is_file():
                raise Missing(f"{path} is missing")
            self.texts[name] = path.read_text().splitlines()
        return self.texts[name]

    def definition(self, name, begin):
        taken = []
        for line in self.lines(name):
            if not taken and not (line.startswith(begin) and not line.rstrip().endswith(";")):
                continue
            taken.append(line)
            if line.startswith("}"):
                return taken
        raise Missing(f"ggml-cuda/{name} has no definition of \"{begin}\" any more")

    def matching(self, name, pattern):
        found = [line for line in self.lines(name) if re.fullmatch(pattern, line)]
        if not found:
            raise Missing(f"ggml-cuda/{name} has no line \"{pattern}\" any more")
        return found

    def macro(self, name, begin):
        """A #define with its continuation lines."""
        lines = self.lines(name)
        for at, line in enumerate(lines):
            if line.startswith(begin):
                end = at
                while lines[end].rstrip().endswith("\\"):
                    end += 1
                return lines[at:end + 1]
        raise Missing(f"ggml-cuda/{name} has no macro \"{begin}\" any more")

    def vector_kernels(self):
        """K and V types with a vector kernel: the build's default, GGML_CUDA_FA_QUANTS."""
        text = (self.ggml / "CMakeLists.txt").read_text()
        default = re.search(r'set\s*\(GGML_CUDA_FA_QUANTS\s+"([^"]+)"', text)
        if default is None:
            raise Missing("ggml/CMakeLists.txt has no GGML_CUDA_FA_QUANTS any more")
        pairs = {tuple(pair.upper().split("-")) for pair in default[1].split(";")}
        cases = re.findall(r"^    FATTN_VEC_CASES_ALL_D\((\w+),\s*(\w+)\)",
                           "\n".join(self.lines("fattn.cu")), re.MULTILINE)
        if not pairs <= set(cases):
            raise Missing(f"ggml-cuda/fattn.cu lacks vector kernels of {default[1]}")
        return [f"constexpr bool GGML_CUDA_FA_{k}_{v} = {str((k, v) in pairs).lower()};" for k, v in cases]


    def offload_batch(self):
        """From how many tokens on a card takes over products with weights that lie on the host."""
        found = re.search(r'getenv\("GGML_OP_OFFLOAD_MIN_BATCH"\)\) : (\d+);',
                          "\n".join(self.lines("ggml-cuda.cu")))
        if found is None:
            raise Missing("ggml-cuda/ggml-cuda.cu has no GGML_OP_OFFLOAD_MIN_BATCH any more")
        return [f"constexpr int kOffloadMinBatch = {found[1]};"]


def static(lines):
    """The function in our file alone, on the host."""
    first = lines[0].replace("__host__ __device__ ", "")
    if not first.startswith(("static", "struct", "enum")):
        first = "static " + first
    return [first, *lines[1:]]


def until_cuda_graphs(lines):
    """graph_optimize without its second half, which reorders for several streams and is off
    unless GGML_CUDA_GRAPH_OPT is set; it needs a live CUDA context."""
    end = next((i for i, line in enumerate(lines) if line.startswith("#ifdef USE_CUDA_GRAPH")), None)
    if end is None:
        raise Missing("graph_optimize has no USE_CUDA_GRAPH part any more")
    return [*lines[:end], "    GGML_UNUSED(cuda_ctx);", "}"]


def rules(engine):
    sources = Sources(engine)
    parts = [PREAMBLE]
    for name, pattern in LINES:
        parts += sources.matching(name, pattern)
    parts += sources.offload_batch()
    parts += sources.vector_kernels()
    parts.append("template <int D, ggml_type K, ggml_type V> void "
                 "ggml_cuda_flash_attn_ext_vec_case(ggml_backend_cuda_context &, ggml_tensor *) {}")
    parts += sources.macro("fattn.cu", "#define FATTN_VEC_CASE(")
    parts += sources.macro("fattn.cu", "#define FATTN_VEC_CASES_ALL_D(")
    for name, begin in FUNCTIONS:
        lines = static(sources.definition(name, begin))
        parts += until_cuda_graphs(lines) if "graph_optimize(" in begin else lines
        parts.append("")
    return "\n".join(parts)


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    try:
        text = rules(Path(sys.argv[1]))
    except Missing as error:
        sys.exit(f"cuda_rules.py: {error}: the pinned engine changed; see what took its place")
    out = Path(sys.argv[2])
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(text)


main()
