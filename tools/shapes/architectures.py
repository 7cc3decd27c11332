"""From a shape's numbers to the metadata keys and tensors that the engine asks for.

Names and dimensions are those of src/models/*.cpp at the pinned commit. A family is a function
that fills a Draft; dense and mixture-of-experts transformers share one, steered by FLAVOURS.
"""


class Draft:
    """The keys and tensors of one file, in the making."""

    def __init__(self, shape):
        self.shape = shape
        self.keys = {}
        self.dims = {}

    def key(self, **values):
        """Keys under the architecture's prefix; a double underscore stands for a dot."""
        for name, value in values.items():
            if value is not None:
                self.keys[f"{self.shape.arch}.{name.replace('__', '.')}"] = value

    def add(self, name, *dims):
        self.dims[name] = dims

    def layer(self, index):
        return lambda name, *dims: self.add(f"blk.{index}.{name}", *dims)

    def ends(self, norm="output_norm", norm_bias=False):
        """Embedding, final norm, and an output matrix unless the embedding serves as one."""
        s = self.shape
        self.add("token_embd.weight", s.width, s.vocabulary)
        self.add(f"{norm}.weight", s.width)
        if norm_bias:
            self.add(f"{norm}.bias", s.width)
        if not s.tied:
            self.add("output.weight", s.width, s.vocabulary)


def common_keys(draft):
    s = draft.shape
    draft.key(
        context_length=s.context,
        embedding_length=s.width,
        block_count=s.layers,
        feed_forward_length=s.ffn_per_layer or s.ffn,
        attention__head_count=s.heads,
        attention__head_count_kv=s.kv_heads_per_layer or s.kv_heads,
        attention__key_length=s.head or None,
        attention__value_length=s.head or None,
        attention__sliding_window=s.window,
        rope__freq_base=s.rope_base,
        rope__dimension_count=s.rope_dims or s.head or None,
    )
    if s.layer_norm:
        draft.key(attention__layer_norm_epsilon=s.epsilon)
    if not s.layer_norm or s.arch == "nemotron_h":
        draft.key(attention__layer_norm_rms_epsilon=s.epsilon)
    if s.experts:
        draft.key(
            expert_count=s.experts,
            expert_used_count=s.experts_used,
            expert_feed_forward_length=s.expert_ffn,
            expert_shared_feed_forward_length=s.shared_ffn,
        )
    if s.ssm_inner:
        draft.key(
            ssm__conv_kernel=s.ssm_conv,
            ssm__inner_size=s.ssm_inner,
            ssm__state_size=s.ssm_state,
            ssm__time_step_rank=s.ssm_rank,
            ssm__group_count=s.ssm_groups,
        )
    draft.key(**s.keys)


# --- parts of a layer


def attention(t, s, query_scale=1):
    queries, keys = s.heads * s.head * query_scale, s.kv_heads * s.head
    parts = {"attn_q": queries, "attn_k": keys, "attn_v": keys}
    if s.fused_qkv:
        parts = {"attn_qkv": queries + 2 * keys}
    for name, rows in parts.items():
        t(f"{name}.weight", s.width, rows)
        if s.qkv_bias:
            t(f"{name}.bias", rows)
    if s.qk_norm:
        for name, whole in (("attn_q_norm", queries), ("attn_k_norm", keys)):
            t(f"{name}.weight", s.head if s.qk_norm == "head" else whole)
    t("attn_output.weight", s.heads * s.head, s.width)
    if s.out_bias:
        t("attn_output.bias", s.width)


def feed_forward(t, s, hidden, suffix=""):
    matrices = {"ffn_up": (s.width, hidden), "ffn_down": (hidden, s.width)}
    if s.ffn_kind == "gated":
        matrices = {"ffn_gate": (s.width, hidden), **matrices}
    elif s.ffn_kind == "fused":
        matrices["ffn_up"] = (s.width, 2 * hidden)
    for name, dims in matrices.items():
        t(f"{name}{suffix}.weight", *dims)
        if s.ffn_bias:
            t(f"{name}{suffix}.bias", dims[1])


def experts(t, s, hidden):
    t("ffn_gate_inp.weight", s.width, s.experts)
    if s.ffn_bias:
        t("ffn_gate_inp.bias", s.experts)
    for name, dims in (
        ("ffn_gate_exps", (s.width, hidden)),
        ("ffn_up_exps", (s.width, hidden)),
        ("ffn_down_exps", (hidden, s.width)),
    ):
        t(f"{name}.weight", *dims, s.experts)
        if s.ffn_bias:
            t(f"{name}.bias", dims[1], s.experts)
    if s.shared_ffn:
        if s.shared_gate:
            t("ffn_gate_inp_shexp.weight", s.width)
        feed_forward(t, s, s.shared_ffn, "_shexp")


def norms(t, s, *names):
    for name in names:
        t(f"{name}.weight", s.width)
        if s.norm_bias:
            t(f"{name}.bias", s.width)


def mamba1(t, s):
    t("ssm_in.weight", s.width, 2 * s.ssm_inner)
    t("ssm_conv1d.weight", s.ssm_conv, s.ssm_inner)
    t("ssm_conv1d.bias", s.ssm_inner)
    t("ssm_x.weight", s.ssm_inner, s.ssm_rank + 2 * s.ssm_state)
    t("ssm_dt.weight", s.ssm_rank, s.ssm_inner)
    t("ssm_dt.bias", s.ssm_inner)
    t("ssm_a", s.ssm_state, s.ssm_inner)
    t("ssm_d", s.ssm_inner)
    t("ssm_out.weight", s.ssm_inner, s.width)


def mamba2(t, s):
    convolved = s.ssm_inner + 2 * s.ssm_groups * s.ssm_state
    t("ssm_in.weight", s.width, s.ssm_inner + convolved + s.ssm_rank)
    t("ssm_conv1d.weight", s.ssm_conv, convolved)
    t("ssm_conv1d.bias", convolved)
    t("ssm_dt.bias", s.ssm_rank)
    t("ssm_a", 1, s.ssm_rank)
    t("ssm_d", 1, s.ssm_rank)
    if s.ssm_norm:
        t("ssm_norm.weight", s.ssm_inner // s.ssm_groups, s.ssm_groups)
    t("ssm_out.weight", s.ssm_inner, s.width)


# --- families

BOTH = ("attn_norm", "ffn_norm")
AROUND = ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm")
FLAVOURS = {
    "llama": dict(norms=BOTH),
    "llama4": dict(norms=BOTH),
    "mistral3": dict(norms=BOTH),
    "qwen2": dict(norms=BOTH, qkv_bias=True),
    "qwen2moe": dict(norms=BOTH, qkv_bias=True, shared_gate=True),
    "qwen3": dict(norms=BOTH, qk_norm="head"),
    "qwen3moe": dict(norms=BOTH, qk_norm="head"),
    "gemma2": dict(norms=AROUND),
    "gemma3": dict(norms=AROUND, qk_norm="head"),
    "olmo2": dict(norms=("post_attention_norm", "post_ffw_norm"), qk_norm="all"),
    "cohere2": dict(norms=("attn_norm",), layer_norm=True),
    "glm4": dict(norms=AROUND, qkv_bias=True, ffn_kind="fused"),
    "phi3": dict(norms=BOTH, fused_qkv=True, ffn_kind="fused"),
    "starcoder2": dict(
        norms=BOTH,
        layer_norm=True,
        norm_bias=True,
        qkv_bias=True,
        out_bias=True,
        ffn_bias=True,
        ffn_kind="plain",
    ),
    "gpt-oss": dict(
        norms=("attn_norm", "post_attention_norm"),
        qkv_bias=True,
        out_bias=True,
        ffn_bias=True,
        sinks=True,
    ),
}


def transformer(draft):
    s = draft.shape
    draft.ends(norm_bias=s.norm_bias)
    for name in s.rope_factors:
        draft.add(f"{name}.weight", (s.rope_dims or s.head) // 2)
    for index in range(s.layers):
        t = draft.layer(index)
        norms(t, s, *s.norms)
        attention(t, s)
        if s.sinks:
            t("attn_sinks.weight", s.heads)
        if s.experts:
            experts(t, s, s.expert_ffn)
        else:
            feed_forward(t, s, s.ffn)


def deepseek2(draft):
    """Multi-head latent attention: one compressed K and V for all heads, kept as one KV head."""
    s = draft.shape
    # By its layers the engine knows a lite model, whose queries are not compressed.
    low_rank = 0 if s.layers in (26, 27) else s.query_rank
    draft.key(
        leading_dense_block_count=s.dense_layers,
        attention__q_lora_rank=low_rank or None,
        attention__kv_lora_rank=s.kv_rank,
        attention__key_length=s.kv_rank + s.rope_dims,
        attention__value_length=s.kv_rank,
        attention__key_length_mla=s.head + s.rope_dims,
        attention__value_length_mla=s.head,
        expert_shared_count=s.shared_ffn // s.expert_ffn,
    )
    draft.ends()
    for index in range(s.layers):
        t = draft.layer(index)
        norms(t, s, *BOTH)
        queries = s.heads * (s.head + s.rope_dims)
        if low_rank:
            t("attn_q_a.weight", s.width, low_rank)
            t("attn_q_a_norm.weight", low_rank)
            t("attn_q_b.weight", low_rank, queries)
        else:
            t("attn_q.weight", s.width, queries)
        t("attn_kv_a_mqa.weight", s.width, s.kv_rank + s.rope_dims)
        t("attn_kv_a_norm.weight", s.kv_rank)
        t("attn_k_b.weight", s.head, s.kv_rank, s.heads)
        t("attn_v_b.weight", s.kv_rank, s.head, s.heads)
        t("attn_output.weight", s.heads * s.head, s.width)
        if index < s.dense_layers:
            feed_forward(t, s, s.ffn)
        else:
            experts(t, s, s.expert_ffn)


def gemma3n(draft):
    """Four altered copies of the stream, a low-rank residual, an embedding for every layer."""
    s = draft.shape
    copies, low_rank, per_layer = 4, 64, 256  # the engine's own numbers
    draft.ends()
    draft.add("altup_proj.weight", s.width, s.width, copies - 1)
    draft.add("altup_unembd_proj.weight", s.width, s.width, copies - 1)
    draft.add("per_layer_token_embd.weight", per_layer * s.layers, s.vocabulary)
    draft.add("per_layer_model_proj.weight", s.width, per_layer * s.layers)
    draft.add("per_layer_proj_norm.weight", per_layer)
    for index in range(s.layers):
        t = draft.layer(index)
        norms(t, s, *AROUND, "post_norm", "altup_router_norm", "laurel_post_norm")
        attention(t, s)
        feed_forward(t, s, s.ffn)
        t("inp_gate.weight", s.width, per_layer)
        t("proj.weight", per_layer, s.width)
        t("altup_correct_coef.weight", copies, copies)
        t("altup_correct_scale.weight", s.width)
        t("altup_predict_coef.weight", copies, copies * copies)
        t("altup_router.weight", s.width, copies)
        t("laurel_l.weight", s.width, low_rank)
        t("laurel_r.weight", low_rank, s.width)


def bert(draft):
    s = draft.shape
    draft.keys["tokenizer.ggml.token_type_count"] = 2
    draft.add("token_embd.weight", s.width, s.vocabulary)
    draft.add("token_types.weight", s.width, 2)
    draft.add("token_embd_norm.weight", s.width)
    draft.add("token_embd_norm.bias", s.width)
    if s.arch == "bert":
        draft.add("position_embd.weight", s.width, s.context)
    for index in range(s.layers):
        t = draft.layer(index)
        attention(t, s)
        norms(t, s, "attn_output_norm", "layer_output_norm")
        feed_forward(t, s, s.ffn)


def mamba(draft):
    s = draft.shape
    draft.ends()
    for index in range(s.layers):
        t = draft.layer(index)
        norms(t, s, "attn_norm")
        (mamba1 if s.arch == "mamba" else mamba2)(t, s)


def rwkv7(draft):
    s = draft.shape
    draft.key(
        wkv__head_size=s.rwkv_head,
        attention__decay_lora_rank=s.decay_rank,
        attention__iclr_lora_rank=s.rate_rank,
        attention__value_residual_mix_lora_rank=s.value_rank,
        attention__gate_lora_rank=s.gate_rank,
    )
    draft.ends(norm_bias=True)
    draft.add("token_embd_norm.weight", s.width)
    draft.add("token_embd_norm.bias", s.width)
    for index in range(s.layers):
        t = draft.layer(index)
        norms(t, s, "attn_norm", "attn_norm_2", "time_mix_ln")
        ranks = {"w": s.decay_rank, "a": s.rate_rank, "v": s.value_rank if index else s.rate_rank}
        for letter, rank in ranks.items():
            t(f"time_mix_{letter}0.weight", s.width)
            t(f"time_mix_{letter}1.weight", s.width, rank)
            t(f"time_mix_{letter}2.weight", rank, s.width)
        t("time_mix_g1.weight", s.width, s.gate_rank)
        t("time_mix_g2.weight", s.gate_rank, s.width)
        t("time_mix_lerp_fused.weight", s.width, 1, 1, 6)
        for name in ("k_k", "k_a", "r_k"):
            t(f"time_mix_{name}.weight", s.width)
        for name in ("key", "value", "receptance", "output"):
            t(f"time_mix_{name}.weight", s.width, s.width)
        t("channel_mix_lerp_k.weight", s.width)
        t("channel_mix_key.weight", s.width, s.ffn)
        t("channel_mix_value.weight", s.ffn, s.width)


def granite_hybrid(draft):
    s = draft.shape
    draft.ends()
    for index in range(s.layers):
        t = draft.layer(index)
        norms(t, s, *BOTH)
        (attention if index in s.attention_layers else mamba2)(t, s)
        experts(t, s, s.ffn)


def falcon_h1(draft):
    """Attention and a state space side by side in every layer."""
    s = draft.shape
    draft.ends()
    for index in range(s.layers):
        t = draft.layer(index)
        norms(t, s, "attn_norm")
        t("ffn_norm", s.width)  # without a suffix, as the engine asks for it
        mamba2(t, s)
        attention(t, s)
        feed_forward(t, s, s.ffn)


def lfm2(draft):
    s = draft.shape
    draft.key(shortconv__l_cache=s.ssm_conv)
    draft.ends(norm="token_embd_norm")
    for index in range(s.layers):
        t = draft.layer(index)
        norms(t, s, *BOTH)
        if index in s.attention_layers:
            attention(t, s)
        else:
            t("shortconv.conv.weight", s.ssm_conv, s.width)
            t("shortconv.in_proj.weight", s.width, 3 * s.width)
            t("shortconv.out_proj.weight", s.width, s.width)
        feed_forward(t, s, s.ffn)


def nemotron_h(draft):
    """Each layer is one thing: M a state space, * attention, - a feed-forward."""
    s = draft.shape
    draft.ends()
    for index in range(s.layers):
        t = draft.layer(index)
        norms(t, s, "attn_norm")
        kind = s.pattern[index]
        if kind == "M":
            mamba2(t, s)
        elif kind == "*":
            attention(t, s)
        else:
            feed_forward(t, s, s.ffn)


def jamba(draft):
    s = draft.shape
    draft.ends()
    for index in range(s.layers):
        t = draft.layer(index)
        norms(t, s, *BOTH)
        if index in s.attention_layers:
            attention(t, s)
        else:
            mamba1(t, s)
            t("ssm_dt_norm.weight", s.ssm_rank)
            t("ssm_b_norm.weight", s.ssm_state)
            t("ssm_c_norm.weight", s.ssm_state)
        if index % 2:
            experts(t, s, s.ffn)
        else:
            feed_forward(t, s, s.ffn)


def delta_net(draft):
    """Three layers of linear attention (gated delta net), then one of gated full attention."""
    s = draft.shape
    keys, values = s.ssm_groups * s.ssm_state, s.ssm_rank * s.ssm_state
    draft.ends()
    for index in range(s.layers):
        t = draft.layer(index)
        norms(t, s, "attn_norm", "post_attention_norm")
        if (index + 1) % 4 == 0:
            attention(t, s, query_scale=2)
        else:
            t("attn_qkv.weight", s.width, 2 * keys + values)
            t("attn_gate.weight", s.width, values)
            t("ssm_conv1d.weight", s.ssm_conv, 2 * keys + values)
            t("ssm_dt.bias", s.ssm_rank)
            t("ssm_a", s.ssm_rank)
            if s.arch == "qwen3next":
                t("ssm_ba.weight", s.width, 2 * s.ssm_rank)
            else:
                t("ssm_beta.weight", s.width, s.ssm_rank)
                t("ssm_alpha.weight", s.width, s.ssm_rank)
            t("ssm_norm.weight", s.ssm_state)
            t("ssm_out.weight", values, s.width)
        if s.experts:
            experts(t, s, s.expert_ffn)
        else:
            feed_forward(t, s, s.ffn)


FAMILIES = {
    **dict.fromkeys(FLAVOURS, transformer),
    "deepseek2": deepseek2,
    "gemma3n": gemma3n,
    "bert": bert,
    "nomic-bert": bert,
    "mamba": mamba,
    "mamba2": mamba,
    "rwkv7": rwkv7,
    "granitehybrid": granite_hybrid,
    "falcon-h1": falcon_h1,
    "lfm2": lfm2,
    "nemotron_h": nemotron_h,
    "jamba": jamba,
    "qwen3next": delta_net,
    "qwen35": delta_net,
}


def draft(shape):
    made = Draft(shape)
    common_keys(made)
    FAMILIES[shape.arch](made)
    return made
