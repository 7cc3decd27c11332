"""How much slower a chosen setting is than the best, and whether a claimed gain is there."""

import statistics

from .figures import MISSED, OK, SKIPPED, UNCLEAR
from .rates import LEAST_ROUNDS, against_best, ratio_interval

REGRET = 0.02
FELT = 1.01  # below a percent nobody feels it


def too_few(rounds):
    """The verdict of a row that has no interval."""
    return f"{SKIPPED}: {rounds} rounds, an interval needs {LEAST_ROUNDS}"


def regret_row(rates, chosen, failed=frozenset()):
    """The fields of a row: the worst of the `chosen`, and the default, which is the first. `rates` has each
    setting's, `failed` those that ran out of memory, which have fewer."""
    goal = f"<= {REGRET:.0%}"
    if any(i in failed for i in chosen):
        return {"ours": "out of memory", "goal": goal, "verdict": MISSED}
    fine = [i for i in range(len(rates)) if i not in failed]
    if len(rates[fine[0]]) < LEAST_ROUNDS:
        return {"goal": goal, "verdict": too_few(len(rates[fine[0]]))}
    others = [rates[i] for i in fine]
    regrets = []
    for i in chosen:
        ratio, low, high = ratio_interval(*against_best(others, fine.index(i)))
        regrets.append((1 - ratio, 1 - high, 1 - low))
    worst = max(regrets)
    default = ("out of memory" if 0 in failed else
               f"{ratio_interval(*against_best(others, fine.index(0)))[0]:.3f}")
    return {"ours": f"{worst[0]:.1%} [{worst[1]:.1%}, {worst[2]:.1%}]", "ratio": f"default {default}",
            "goal": goal, "verdict": OK if worst[0] <= REGRET else MISSED if worst[1] > REGRET else UNCLEAR}


def ratio_row(ours, theirs, goal, note=""):
    """The fields of a row of two sides' rates, which were taken in turns."""
    row = {"ours": f"{statistics.median(ours):.1f} t/s", "peer": f"{statistics.median(theirs):.1f} t/s{note}",
           "goal": f">= {goal}"}
    if len(ours) < LEAST_ROUNDS:
        return {**row, "verdict": too_few(len(ours))}
    ratio, low, high = ratio_interval(ours, theirs)
    return {**row, "ratio": f"{ratio:.3f} [{low:.3f}, {high:.3f}]",
            "verdict": OK if ratio >= goal else MISSED if high < goal else UNCLEAR}


def claim_of(low, high):
    """What the interval of a ratio, measured again, says of a gain that was claimed."""
    return "true" if low > 1 else "false" if high < FELT else "unclear"


def tuning_of(claims):
    """What a tuning's claims, one a phase, come to: as its worst."""
    return next((word for word in ("false", "unclear", "true") if word in claims), "unclaimed")


def false_gain_verdict(tunings):
    """Of 10 tunings 9 have to be without a false gain; an unclear one is for neither side."""
    good = sum(word in ("true", "unclaimed") for word in tunings)
    could_be = good + tunings.count("unclear")
    enough = 0.9 * len(tunings)
    return OK if good >= enough else MISSED if could_be < enough else UNCLEAR
