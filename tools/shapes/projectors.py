"""Vision projectors (mmproj): the encoders that turn a picture into tokens of a model."""

from dataclasses import dataclass, field

from . import gguf


@dataclass(frozen=True)
class Projector:
    name: str
    about: str
    kind: str  # clip.projector_type
    layers: int
    width: int
    ffn: int
    heads: int
    image: int  # pixels a side
    patch: int
    model_width: int  # of the language model
    gated: bool = False
    layer_norm: bool = True
    bias: bool = True
    positions: bool = True
    rms_epsilon: float = 1e-6
    keys: dict = field(default_factory=dict)

    recipe = "F16"

    def small(self):
        """The same kind in a few MiB."""
        return Projector(
            **{
                **self.__dict__,
                "layers": 2,
                "width": 64,
                "ffn": 128,
                "heads": 2,
                "image": self.patch * 16,
                "model_width": 128,
            }
        )


PROJECTORS = {
    p.name: p
    for p in (
        Projector(
            name="gemma3-4b-mmproj",
            about="Gemma 3 4B's SigLIP encoder",
            kind="gemma3",
            layers=27,
            width=1152,
            ffn=4304,
            heads=16,
            image=896,
            patch=14,
            model_width=2560,
            keys={"clip.use_gelu": True},
        ),
        Projector(
            name="pixtral-12b-mmproj",
            about="Pixtral 12B's encoder",
            kind="pixtral",
            layers=24,
            width=1024,
            ffn=4096,
            heads=16,
            image=1024,
            patch=16,
            model_width=5120,
            gated=True,
            layer_norm=False,
            bias=False,
            positions=False,
            rms_epsilon=1e-5,
            keys={"clip.use_silu": True},
        ),
        Projector(
            name="llava-1.5-7b-mmproj",
            about="LLaVA 1.5 7B's CLIP encoder",
            kind="mlp",
            layers=23,
            width=1024,
            ffn=4096,
            heads=16,
            image=336,
            patch=14,
            model_width=4096,
            rms_epsilon=1e-5,
        ),
    )
}


def _blocks(p, add):
    matrices = {"attn_q": (p.width, p.width), "attn_k": (p.width, p.width)}
    matrices |= {"attn_v": (p.width, p.width), "attn_out": (p.width, p.width)}
    matrices |= {"ffn_up": (p.width, p.ffn), "ffn_down": (p.ffn, p.width)}
    if p.gated:
        matrices["ffn_gate"] = (p.width, p.ffn)
    for layer in range(p.layers):
        for name, dims in matrices.items():
            add(f"v.blk.{layer}.{name}.weight", dims, "F16")
            if p.bias:
                add(f"v.blk.{layer}.{name}.bias", (dims[1],))
        for norm in ("ln1", "ln2"):
            add(f"v.blk.{layer}.{norm}.weight", (p.width,))
            if p.layer_norm:
                add(f"v.blk.{layer}.{norm}.bias", (p.width,))


def _ends(p, add):
    add("v.patch_embd.weight", (p.patch, p.patch, 3, p.width))
    tokens = (p.image // p.patch) ** 2
    if p.kind == "gemma3":
        add("v.patch_embd.bias", (p.width,))
        add("v.position_embd.weight", (p.width, tokens))
        add("v.post_ln.weight", (p.width,))
        add("v.post_ln.bias", (p.width,))
        add("mm.soft_emb_norm.weight", (p.width,))
        add("mm.input_projection.weight", (p.model_width, p.width), "F16")
    elif p.kind == "pixtral":
        add("v.pre_ln.weight", (p.width,))
        add("mm.1.weight", (p.width, p.model_width), "F16")
        add("mm.1.bias", (p.model_width,))
        add("mm.2.weight", (p.model_width, p.model_width), "F16")
        add("mm.2.bias", (p.model_width,))
        add("v.token_embd.img_break", (p.model_width,))
    else:
        add("v.class_embd", (p.width,))
        add("v.position_embd.weight", (p.width, tokens + 1))
        add("v.pre_ln.weight", (p.width,))
        add("v.pre_ln.bias", (p.width,))
        for index, dims in ((0, (p.width, p.model_width)), (2, (p.model_width, p.model_width))):
            add(f"mm.{index}.weight", dims, "F16")
            add(f"mm.{index}.bias", (p.model_width,))


def lay_out(p):
    """The file's metadata and its tensors, in order."""
    tensors = []

    def add(name, dims, kind="F32"):
        tensors.append(gguf.Tensor(name, dims, kind))

    _ends(p, add)
    _blocks(p, add)
    keys = {
        "general.architecture": "clip",
        "general.type": "mmproj",
        "general.name": p.about,
        "clip.has_vision_encoder": True,
        "clip.projector_type": p.kind,
        "clip.vision.embedding_length": p.width,
        "clip.vision.feed_forward_length": p.ffn,
        "clip.vision.block_count": p.layers,
        "clip.vision.attention.head_count": p.heads,
        "clip.vision.attention.layer_norm_epsilon": p.rms_epsilon,
        "clip.vision.projection_dim": p.model_width,
        "clip.vision.image_size": p.image,
        "clip.vision.patch_size": p.patch,
        "clip.vision.image_mean": [0.5, 0.5, 0.5],
        "clip.vision.image_std": [0.5, 0.5, 0.5],
        **p.keys,
    }
    return keys, tensors
