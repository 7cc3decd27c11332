"""The shapes: the numbers of well-known models, as their publishers' configurations give them."""

from dataclasses import dataclass, field, replace

from .architectures import FLAVOURS


@dataclass(frozen=True)
class Shape:
    name: str
    about: str
    arch: str
    recipe: str = "Q4_K_M"
    layers: int = 0
    width: int = 0
    ffn: int = 0
    heads: int = 0
    kv_heads: int = 0
    head: int = 0  # its size; for latent attention without the rotary part
    vocabulary: int = 0
    context: int = 0
    tied: bool = False
    epsilon: float = 1e-5
    rope_base: float = None
    rope_dims: int = None
    rope_factors: tuple = ()
    window: int = None
    keys: dict = field(default_factory=dict)  # more metadata, as Draft.key() takes it

    norms: tuple = ()
    layer_norm: bool = False
    norm_bias: bool = False
    fused_qkv: bool = False
    qkv_bias: bool = False
    out_bias: bool = False
    qk_norm: str = None
    sinks: bool = False
    ffn_kind: str = "gated"
    ffn_bias: bool = False

    experts: int = 0
    experts_used: int = 0
    expert_ffn: int = None
    shared_ffn: int = None
    shared_gate: bool = False
    dense_layers: int = 0
    kv_rank: int = 0
    query_rank: int = 0

    ssm_conv: int = 4
    ssm_inner: int = 0
    ssm_state: int = 0
    ssm_rank: int = 0  # of the time step; in later kinds the number of heads
    ssm_groups: int = None
    ssm_norm: bool = True
    attention_layers: tuple = ()
    pattern: str = ""

    rwkv_head: int = 64
    decay_rank: int = 0
    rate_rank: int = 0
    value_rank: int = 0
    gate_rank: int = 0

    @property
    def kv_heads_per_layer(self):
        if self.pattern:
            return [self.kv_heads if kind == "*" else 0 for kind in self.pattern[: self.layers]]
        if self.attention_layers:
            return [self.kv_heads if i in self.attention_layers else 0 for i in range(self.layers)]
        return None

    @property
    def ffn_per_layer(self):
        if not self.pattern:
            return None
        return [self.ffn if kind == "-" else 0 for kind in self.pattern[: self.layers]]

    @property
    def first_kv_heads(self):
        return (self.kv_heads_per_layer or [self.kv_heads])[0]

    def with_layers(self, layers):
        if not 1 <= layers <= self.layers:
            raise ValueError(f"1 to {self.layers} layers")
        return replace(self, layers=layers)

    def small(self):
        """The same kind of model in a few MiB, which a test can load and run."""
        rope = 64 if self.rope_dims is None or self.rope_dims == self.head else 32
        return replace(
            self,
            name=f"{self.name}-small",
            width=256,
            ffn=512 if self.ffn else 0,
            heads=4 if self.heads else 0,
            kv_heads=min(self.kv_heads, 4 if self.kv_heads == self.heads else 2),
            head=64 if self.head else 0,
            vocabulary=2048,
            context=min(self.context, 4096),
            rope_dims=self.rope_dims and rope,
            window=self.window and min(self.window, 256),
            experts=min(self.experts, 8),
            experts_used=min(self.experts_used, 2),
            expert_ffn=self.expert_ffn and (512 if self.expert_ffn == self.ffn else 256),
            shared_ffn=self.shared_ffn and 256,
            kv_rank=self.kv_rank and 256,
            query_rank=self.query_rank and 256,
            ssm_inner=self.ssm_inner and 512,
            ssm_state=min(self.ssm_state, 64),
            ssm_rank=self.ssm_rank and 8,
            ssm_groups=self.ssm_groups and min(self.ssm_groups, 2),
            attention_layers=tuple(range(1, self.layers, 2)) if self.attention_layers else (),
            pattern=("M-M*" * self.layers)[: self.layers] if self.pattern else "",
            decay_rank=self.decay_rank and 32,
            rate_rank=self.rate_rank and 32,
            value_rank=self.value_rank and 32,
            gate_rank=self.gate_rank and 32,
        )


def _yarn(factor, original, **more):
    return dict(
        rope__scaling__type="yarn",
        rope__scaling__factor=factor,
        rope__scaling__original_context_length=original,
        **{f"rope__scaling__{name}": value for name, value in more.items()},
    )


def _gemma3(name, about, **numbers):
    numbers = dict(vocabulary=262144, tied=True, epsilon=1e-6, rope_base=1e6, head=256) | numbers
    return _shape(name, about, "gemma3", **numbers)


def _shape(name, about, arch, **numbers):
    return Shape(name, about, arch, **(FLAVOURS.get(arch, {}) | numbers))


_LLAMA = dict(head=128, context=131072, rope_base=5e5)

_ALL = (
    # Those of the first table of truths, byte for byte.
    _gemma3("g4b", "Gemma 3 4B", layers=34, width=2560, ffn=10240, heads=8, kv_heads=4,
            context=131072, window=1024, keys=dict(rope__scaling__type="linear",
            rope__scaling__factor=8.0)),
    _gemma3("g270", "Gemma 3 270M", layers=18, width=640, ffn=2048, heads=4, kv_heads=1,
            context=32768, window=512),
    _shape("llama8b", "Llama 3 8B", "llama", recipe="flat-Q4_K", **_LLAMA, layers=32, width=4096,
           ffn=14336, heads=32, kv_heads=8, vocabulary=128256),
    _shape("llama_odd", "a llama with rows that 256 does not divide", "llama", recipe="flat-Q4_0",
           **_LLAMA | dict(head=64), layers=24, width=2880, ffn=7744, heads=45, kv_heads=9,
           vocabulary=32000),
    _shape("moe8x7b", "Mixtral 8x7B", "llama", recipe="flat-Q4_K", **_LLAMA, layers=32, width=4096,
           ffn=14336, heads=32, kv_heads=8, vocabulary=32000, experts=8, experts_used=2,
           expert_ffn=14336),
    _shape("qwen3moe", "Qwen3 30B-A3B with a small vocabulary", "qwen3moe", recipe="flat-Q4_K",
           **_LLAMA, layers=48, width=2048, ffn=6144, heads=32, kv_heads=4, vocabulary=32000,
           experts=128, experts_used=8, expert_ffn=768),
    # Transformers
    _shape("llama3.2-3b", "Llama 3.2 3B", "llama", **_LLAMA, layers=28, width=3072, ffn=8192,
           heads=24, kv_heads=8, vocabulary=128256, tied=True, rope_factors=("rope_freqs",)),
    _shape("mistral-7b", "Mistral 7B v0.3", "llama", layers=32, width=4096, ffn=14336, heads=32,
           kv_heads=8, head=128, vocabulary=32768, context=32768, rope_base=1e6),
    _shape("ministral3-8b", "Ministral 3 8B", "mistral3", layers=34, width=4096, ffn=14336,
           heads=32, kv_heads=8, head=128, vocabulary=131072, context=262144, rope_base=1e6,
           keys=_yarn(16.0, 16384, yarn_beta_fast=32.0, yarn_beta_slow=1.0, yarn_log_multiplier=1.0)
           | dict(attention__temperature_scale=0.1)),
    _shape("qwen2.5-7b", "Qwen2.5 7B", "qwen2", layers=28, width=3584, ffn=18944, heads=28,
           kv_heads=4, head=128, vocabulary=152064, context=32768, rope_base=1e6, epsilon=1e-6),
    _shape("qwen3-4b", "Qwen3 4B", "qwen3", layers=36, width=2560, ffn=9728, heads=32, kv_heads=8,
           head=128, vocabulary=151936, context=40960, rope_base=1e6, epsilon=1e-6, tied=True),
    _shape("phi3.5-mini", "Phi 3.5 mini 3.8B", "phi3", layers=32, width=3072, ffn=8192, heads=32,
           kv_heads=32, head=96, vocabulary=32064, context=131072, rope_base=1e4, window=262144,
           rope_factors=("rope_factors_long", "rope_factors_short"),
           keys=dict(rope__scaling__original_context_length=4096, rope__scaling__attn_factor=1.19)),
    _shape("gemma2-9b", "Gemma 2 9B", "gemma2", layers=42, width=3584, ffn=14336, heads=16,
           kv_heads=8, head=256, vocabulary=256000, context=8192, window=4096, epsilon=1e-6,
           tied=True, keys=dict(attn_logit_softcapping=50.0, final_logit_softcapping=30.0)),
    _gemma3("gemma3-1b", "Gemma 3 1B", layers=26, width=1152, ffn=6912, heads=4, kv_heads=1,
            context=32768, window=512),
    _shape("gemma3n-e2b", "Gemma 3n E2B", "gemma3n", layers=30, width=2048, ffn=8192, heads=8,
           kv_heads=2, head=256, vocabulary=262144, context=32768, window=512, rope_base=1e6,
           epsilon=1e-6, tied=True, qk_norm="head", keys=dict(embedding_length_per_layer_input=256,
           attention__shared_kv_layers=10)),
    _shape("command-r7b", "Command R7B", "cohere2", layers=32, width=4096, ffn=14336, heads=32,
           kv_heads=8, head=128, vocabulary=256000, context=8192, window=4096, rope_base=5e4,
           tied=True, keys=dict(logit_scale=0.25)),
    _shape("glm4-9b", "GLM-4 9B 0414", "glm4", layers=40, width=4096, ffn=13696, heads=32,
           kv_heads=2, head=128, vocabulary=151552, context=32768, rope_base=1e4, rope_dims=64),
    _shape("olmo2-7b", "OLMo 2 7B", "olmo2", layers=32, width=4096, ffn=11008, heads=32,
           kv_heads=32, head=128, vocabulary=100352, context=4096, rope_base=5e5, epsilon=1e-6),
    _shape("starcoder2-3b", "StarCoder2 3B", "starcoder2", layers=30, width=3072, ffn=12288,
           heads=24, kv_heads=2, head=128, vocabulary=49152, context=16384, rope_base=999999.4,
           tied=True),
    # Mixtures of experts
    _shape("qwen1.5-moe-a2.7b", "Qwen1.5 MoE A2.7B", "qwen2moe", layers=24, width=2048, ffn=5632,
           heads=16, kv_heads=16, head=128, vocabulary=151936, context=8192, rope_base=1e6,
           epsilon=1e-6, experts=60, experts_used=4, expert_ffn=1408, shared_ffn=5632),
    _shape("qwen3-30b-a3b", "Qwen3 30B-A3B", "qwen3moe", layers=48, width=2048, ffn=6144, heads=32,
           kv_heads=4, head=128, vocabulary=151936, context=40960, rope_base=1e6, epsilon=1e-6,
           experts=128, experts_used=8, expert_ffn=768),
    _shape("gpt-oss-20b", "gpt-oss 20B", "gpt-oss", recipe="MXFP4_MOE", layers=24, width=2880,
           ffn=2880, heads=64, kv_heads=8, head=64, vocabulary=201088, context=131072,
           rope_base=1.5e5, window=128, keys=_yarn(32.0, 4096), experts=32, experts_used=4,
           expert_ffn=2880),
    _shape("deepseek-v2-lite", "DeepSeek V2 Lite 16B", "deepseek2", layers=27, width=2048,
           ffn=10944, heads=16, kv_heads=1, head=128, vocabulary=102400, context=163840,
           rope_base=1e4, rope_dims=64, epsilon=1e-6, experts=64, experts_used=6, expert_ffn=1408,
           shared_ffn=2816, dense_layers=1, kv_rank=512, query_rank=1536, keys=_yarn(40.0, 4096,
           yarn_log_multiplier=0.0707) | dict(expert_weights_scale=1.0, expert_weights_norm=False,
           expert_gating_func=1)),
    _shape("llama4-scout", "Llama 4 Scout 109B", "llama4", layers=48, width=5120, ffn=16384,
           heads=40, kv_heads=8, head=128, vocabulary=202048, context=10485760, rope_base=5e5,
           rope_factors=("rope_freqs",), experts=16, experts_used=1, expert_ffn=8192,
           shared_ffn=8192, keys=dict(interleave_moe_layer_step=1)),
    # Recurrent, and hybrids of recurrent and attention layers
    _shape("mamba-2.8b", "Mamba 2.8B", "mamba", layers=64, width=2560, vocabulary=50280,
           context=1048576, tied=True, ssm_inner=5120, ssm_state=16, ssm_rank=160),
    _shape("mamba-codestral-7b", "Mamba Codestral 7B", "mamba2", layers=64, width=4096,
           vocabulary=32768, context=1048576, ssm_inner=8192, ssm_state=128, ssm_rank=128,
           ssm_groups=8),
    _shape("rwkv7-2.9b", "RWKV-7 World 2.9B", "rwkv7", layers=32, width=2560, ffn=10240,
           vocabulary=65536, context=1048576, layer_norm=True, norm_bias=True, decay_rank=96,
           rate_rank=96, value_rank=64, gate_rank=320),
    _shape("granite4-h-tiny", "Granite 4.0 H Tiny 7B-A1B", "granitehybrid", layers=40, width=1536,
           ffn=512, heads=12, kv_heads=4, head=128, vocabulary=100352, context=131072, tied=True,
           attention_layers=(5, 15, 25, 35), experts=64, experts_used=6, shared_ffn=1024,
           ssm_inner=3072, ssm_state=128, ssm_rank=48, ssm_groups=1, keys=dict(embedding_scale=12.0,
           residual_scale=0.22, attention__scale=0.0078125, logit_scale=6.0,
           rope__scaling__finetuned=False)),
    _shape("falcon-h1-1.5b", "Falcon H1 1.5B", "falcon-h1", layers=24, width=2048, ffn=4096,
           heads=8, kv_heads=2, head=128, vocabulary=65537, context=131072, rope_base=1e11,
           ssm_inner=3072, ssm_state=256, ssm_rank=48, ssm_groups=1, ssm_norm=False),
    _shape("lfm2-1.2b", "LFM2 1.2B", "lfm2", layers=16, width=2048, ffn=8192, heads=32, kv_heads=8,
           head=64, vocabulary=65536, context=128000, rope_base=1e6, tied=True, qk_norm="head",
           ssm_conv=3, attention_layers=(2, 5, 8, 10, 12, 14)),
    _shape("nemotron-h-8b", "Nemotron-H 8B", "nemotron_h", layers=52, width=4096, ffn=21504,
           heads=32, kv_heads=8, head=128, vocabulary=131072, context=8192, layer_norm=True,
           ffn_kind="plain", pattern="M-M-M-M*-" + 3 * "M-M-M-M-M*-" + "M-M-M-M-M-", ssm_inner=8192,
           ssm_state=128, ssm_rank=128, ssm_groups=8),
    _shape("jamba-1.5-mini", "Jamba 1.5 Mini 52B", "jamba", layers=32, width=4096, ffn=14336,
           heads=32, kv_heads=8, head=128, vocabulary=65536, context=262144, epsilon=1e-6,
           attention_layers=(4, 12, 20, 28), experts=16, experts_used=2, ssm_inner=8192,
           ssm_state=16, ssm_rank=256),
    _shape("qwen3-next-80b-a3b", "Qwen3 Next 80B-A3B", "qwen3next", layers=48, width=2048, ffn=5120,
           heads=16, kv_heads=2, head=256, vocabulary=151936, context=262144, rope_base=1e7,
           rope_dims=64, epsilon=1e-6, qk_norm="head", experts=512, experts_used=10, expert_ffn=512,
           shared_ffn=512, shared_gate=True, ssm_inner=4096, ssm_state=128, ssm_rank=32,
           ssm_groups=16),
    _shape("qwen3.5-4b", "Qwen3.5 4B", "qwen35", layers=32, width=2560, ffn=9216, heads=16,
           kv_heads=4, head=256, vocabulary=248320, context=262144, rope_base=1e7, rope_dims=64,
           epsilon=1e-6, tied=True, qk_norm="head", ssm_inner=4096, ssm_state=128, ssm_rank=32,
           ssm_groups=16, keys=dict(rope__dimension_sections=[11, 11, 10, 0])),
    # Embedding models
    _shape("bge-base", "BGE base en v1.5", "bert", recipe="F16", layers=12, width=768, ffn=3072,
           heads=12, kv_heads=12, head=64, vocabulary=30522, context=512, epsilon=1e-12,
           layer_norm=True, norm_bias=True, qkv_bias=True, out_bias=True, ffn_kind="plain",
           ffn_bias=True, tied=True, keys=dict(attention__causal=False, pooling_type=2)),
    _shape("nomic-embed", "nomic-embed-text v1.5", "nomic-bert", recipe="F16", layers=12, width=768,
           ffn=3072, heads=12, kv_heads=12, head=64, vocabulary=30522, context=2048, rope_base=1e3,
           epsilon=1e-12, layer_norm=True, norm_bias=True, fused_qkv=True, tied=True,
           keys=dict(attention__causal=False, pooling_type=1)),
)

SHAPES = {shape.name: shape for shape in _ALL}
FIRST_TABLE = ("g4b", "g270", "llama8b", "llama_odd", "moe8x7b", "qwen3moe")
