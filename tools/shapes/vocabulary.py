"""A made-up byte-level BPE vocabulary of any size: as large in a header as a real one, and it
encodes and decodes any text."""

import itertools
import string

SPECIAL = ("<pad>", "<s>", "</s>", "<|im_start|>", "<|im_end|>")
NORMAL, CONTROL = 1, 3


def _byte_letters():
    """One printable letter for each byte, as GPT-2 chose them."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = (b for b in range(256) if b not in printable)
    return [chr(b) for b in printable] + [chr(256 + i) for i, _ in enumerate(others)]


def _words():
    """Words with what merges into each; the parts are bytes or words that came before."""
    space = chr(256 + 32)
    for length in itertools.count(1):
        for letters in itertools.product(string.ascii_lowercase, repeat=length):
            word = "".join(letters)
            yield space + word, f"{space}{word[:-1]} {word[-1]}"
            if length > 1:
                yield word, f"{word[:-1]} {word[-1]}"


def keys(size):
    """The tokenizer.* metadata of a vocabulary of that many tokens."""
    fixed = [*SPECIAL, *_byte_letters()]
    if size < len(fixed):
        raise ValueError(f"a vocabulary needs {len(fixed)} tokens or more")
    made = list(itertools.islice(_words(), size - len(fixed)))
    ids = {f"tokenizer.ggml.{name}_token_id": SPECIAL.index(token) for name, token in (
        ("bos", "<s>"), ("eos", "</s>"), ("padding", "<pad>"), ("eot", "<|im_end|>"))}
    return {
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "default",
        "tokenizer.ggml.tokens": fixed + [word for word, _ in made],
        "tokenizer.ggml.token_type": [CONTROL] * len(SPECIAL) + [NORMAL] * (size - len(SPECIAL)),
        "tokenizer.ggml.merges": [merge for _, merge in made] or ["t h"],
        "tokenizer.ggml.add_bos_token": True,
        **ids,
    }
