"""Settings as options of `trimma measure`, and what rates that were taken in turns tell."""

import math
import statistics

LEAST_ROUNDS = 6  # fewer give no interval of 95 %


def options_of(settings):
    """The options of `trimma measure` for settings that tune or plan report. Where `use_gpu` is false, the
    cards are left out."""
    words = ["--flash-attention", settings["flash_attention"],
             "--kv", f"{settings['kv_k']}/{settings['kv_v']}", "--load-mode", settings["load_mode"],
             "--ubatch", str(settings["ubatch"]), "--batch", str(settings["batch"])]
    for key, option in (("threads", "--threads"), ("threads_batch", "--threads-batch"),
                        ("gpu_layers", "--gpu-layers")):
        if settings.get(key) is not None:
            words += [option, str(settings[key])]
    for pattern in settings.get("host_tensors", []):
        words += ["--on-host", pattern]
    if not settings.get("use_gpu", True):
        words += ["--gpu", "none"]
    return words + ([] if settings["repack"] else ["--no-repack"])


def wilson(hits, trials):
    """A 95 % interval of a share."""
    z = 1.96
    centre = (hits + z * z / 2) / (trials + z * z)
    half = z * math.sqrt(hits * (trials - hits) / trials + z * z / 4) / (trials + z * z)
    return centre - half, centre + half


def against_best(rates, mine):
    """Our rate beside the best setting's, round by round: (ours, theirs). Which setting is the best is told by the
    odd rounds for the even ones and the other way round: the best of several in the same rounds would be the
    luckiest, and its lead partly luck."""
    ours, theirs = [], []
    for half in (0, 1):
        best = max(range(len(rates)), key=lambda i, h=half: statistics.median(rates[i][h::2]))
        other = slice(1 - half, None, 2)
        ours += rates[mine][other]
        theirs += rates[best][other]
    return ours, theirs


def ratio_interval(ours, theirs):
    """Median of the rounds' ratios, and its 95 % interval by order statistics."""
    ratios = sorted(a / b for a, b in zip(ours, theirs))
    count, rank, below, term = len(ratios), 0, 0.0, 0.5 ** len(ratios)
    while below + term <= 0.025:
        below += term
        term *= (count - rank) / (rank + 1)
        rank += 1
    low, high = (ratios[rank - 1], ratios[count - rank]) if rank else (ratios[0], ratios[-1])
    return statistics.median(ratios), low, high
