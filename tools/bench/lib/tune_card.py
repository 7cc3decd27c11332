"""Tuning on a CUDA card of which only so much is free: against a grid, and beside llama-server's own fit.

What was measured is kept in --work, so that a run that was cut off, or whose --seconds were over, goes on
where it ended: each figure becomes rows as soon as its measurements are there.
"""

import random
import re
import shlex
import subprocess
import sys

from .card import GIB, MIB, Card, NoCard, free_by_nvidia_smi, shape_of_gemma
from .figures import ROOT, SKIPPED, BenchError, met, run, say
from .planner import DOES_NOT_FIT, Planner
from .rates import options_of
from .regret import ratio_row, regret_row
from .tuning import PHASES, Tuning

CARD_SHARE = 0.25
WOBBLE = 64 * MIB  # of the free memory: more is another program's
AS_FAST = 0.98  # as llama-server's own fit
GRID_FREE, FIT_FREE = (4.25,), (3.75, 4.0, 4.25, 4.5, 4.75, 5.0)
FEED_FORWARD = r"blk\.({})\.ffn_(up|down|gate|gate_up)\."  # as tune writes it
PLACEMENT = ("--gpu-layers", "--on-host")


def parts_of(words, whole):
    """Options of `trimma measure`: (their placement, all others)."""
    values = {name: [value for before, value in zip(words, words[1:]) if before == name] for name in PLACEMENT}
    layers = values["--gpu-layers"] or [str(whole)]
    others = [word for before, word in zip(["", *words], words) if not {before, word} & set(PLACEMENT)]
    return (*layers, *values["--on-host"]), others


class CardFigures(Tuning):
    def card(self):
        self.on_card("card", GRID_FREE, self.grid_of)

    def card_fit(self):
        self.on_card("card_fit", FIT_FREE, self.fit_of)

    def on_card(self, figure, usual, part):
        try:
            self.held = Card() if self.wishes.gpu == "auto" else NoCard()
        except BenchError as error:
            self.add(figure=figure, verdict=f"{SKIPPED}: {error}")
            return
        self.wishes.work.mkdir(parents=True, exist_ok=True)
        # What the card keeps for itself is learned once for all runs of this folder.
        self.state = self.wishes.work / "state"
        model = self.wishes.card_model or shape_of_gemma()
        try:
            if self.wishes.gpu == "auto" and not (self.wishes.work / "learned").is_file():
                run([self.trimma, "scan", "--learn", model, "--json"], env=self.environment())
                (self.wishes.work / "learned").touch()
            for free in self.wishes.free_gib or usual:
                name = f"{figure}, {free:g} GiB free"
                if self.left() <= 0:
                    self.add(figure=name, verdict=f"{SKIPPED}: no time is left; run again to go on")
                    continue
                self.held.leave(int(free * GIB))
                by_smi = free_by_nvidia_smi()
                self.free_before = self.held.free()
                say(f"{free:g} GiB wished: the driver says {self.free_before / GIB:.2f}"
                    + (f", nvidia-smi {by_smi / GIB:.2f}" if by_smi else ""))
                self.attempt(name, self.unless_over, name, part, model, free)
        finally:
            self.held.leave(0)

    # ---- one measurement -----------------------------------------------------------------------

    def place(self):
        """What every measurement and every plan here has."""
        depth = ["--depth", str(self.wishes.depth)] if self.wishes.depth else []
        return ["--context", str(self.wishes.context), *depth]

    def rates_of(self, model, options, rounds):
        """Rates of both phases; nothing where the memory doesn't hold the setting."""
        try:
            return self.rate(model, [*options, *self.place()], rounds)
        except BenchError as error:
            if error.status != DOES_NOT_FIT:
                raise  # whatever else it is says nothing of the memory
            taken = self.free_before - self.held.free()
            if taken > WOBBLE:
                raise BenchError(f"another program took {taken // MIB} MiB of the card meanwhile") from error
            say(f"doesn't fit: {' '.join(options)}: {error}")
            return {}

    def again(self, kept, model, settings):
        """The settings in turns, each whole round kept: rates, and the settings that run out of memory."""
        return self.interleaved(settings, lambda options: self.rates_of(model, options, 1), kept)

    # ---- placements ------------------------------------------------------------------------------

    def cell(self, model, free, **options):
        """What the planner says of this placement; by itself it takes as many layers as fit."""
        planner = Planner(self.trimma, self.state)
        if isinstance(self.held, NoCard):
            options |= {"gpu": "RTX 3060", "vram": f"{free:g}GiB"}
        said = planner.run(model, types="as-is", kv="f16", context=self.wishes.context, **options)
        if said is None:
            raise BenchError(f"trimma plan {model.name}: nothing fits, not even without a layer on the card")
        return said["cells"][0]

    def whole(self, model):
        """Layers as -ngl counts them: the output too."""
        names = [tensor["name"] for tensor in self.call("inspect", model)["tensors"]]
        return 2 + max(int(name.split(".")[1]) for name in names if name.startswith("blk."))

    @staticmethod
    def feed_forward_of(layers):
        return FEED_FORWARD.format("|".join(map(str, range(layers))))

    def placements(self, model, free):
        """Options: layers near what fits, and all layers with the feed-forward matrices of the first ones on
        the host, near what fits."""
        whole = self.whole(model)
        fitting = self.cell(model, free)["gpu_layers"]
        words = [["--gpu-layers", str(layers)] for layers in range(fitting - 2, fitting + 3) if 0 <= layers <= whole]
        low, high = 0, whole - 1  # of layers whose matrices are on the host: too few, enough
        while high - low > 1:
            half = (low + high) // 2
            fits = self.cell(model, free, gpu_layers=whole, on_host=self.feed_forward_of(half))["fits"]
            low, high = (low, half) if fits else (half, high)
        for hosted in (high - 1, high, high + 1, high + 2):
            if 1 <= hosted < whole:
                words.append(["--on-host", self.feed_forward_of(hosted)])
        say(f"the planner places {fitting} of {whole} layers, or {high} layers' feed-forward on the host")
        return words

    def grid(self, model, free):
        rest = [["--ubatch", str(ubatch), "--flash-attention", "auto", "--kv", "f16"] for ubatch in (256, 512, 1024, 2048)]
        rest += [["--ubatch", "512", "--flash-attention", flash, "--kv", kv]
                 for flash, kv in (("off", "f16"), ("auto", "q8_0"), ("auto", "q8_0/f16"))]
        return [[*place, *more] for place in self.placements(model, free) for more in rest]

    def tuned(self, kept, model, seed, budget):
        """A tuning's best and default settings, its seconds, and what failed in its trials."""
        def make():
            said, seconds = self.tune(model, seed, budget, "--fresh", *self.place())
            say(f"seed {seed}: {said['verdict']}")
            return {"best": options_of(said["best"]["settings"]),
                    "default": options_of(said["default"]["settings"]), "seconds": seconds,
                    "failed": [trial["what"] for trial in said["trials"] if trial.get("error")]}
        return kept(["tune", seed, round(budget)], make, self.left())

    def by_llama_server(self, model):
        """The placement that llama-server's default takes, as the engine's own tool tells it."""
        said = run([self.peer("llama-fit-params"), "-m", model, "-c", self.wishes.context])
        words = shlex.split(next(line for line in reversed(said.splitlines()) if "-ngl" in line))
        options = []
        for name, value in zip(words, words[1:]):
            if name == "-ngl" and int(value) >= 0:
                options += ["--gpu-layers", value]
            if name == "-ot":
                for pattern in re.findall(r"([^,=]+(?:\([^)]*\)[^,=]*)*)=CPU", value):
                    options += ["--on-host", pattern]
        return options

    # ---- the figures -------------------------------------------------------------------------------

    def kept_of(self, figure, model, free):
        return self.kept(figure, model, f"{free:g}", self.wishes.context, self.wishes.depth)

    def grid_of(self, model, free):
        kept = self.kept_of("grid", model, free)
        grid = kept("grid", lambda: self.grid(model, free))
        if self.wishes.grid and self.wishes.grid < len(grid):
            grid = random.Random(3).sample(grid, self.wishes.grid)
        measured = []
        for done, options in enumerate(grid):
            if done % 10 == 0:
                say(f"grid: {done} of {len(grid)}")
            measured.append(kept(["grid", options],
                                 lambda o=options: self.timed(self.rates_of, model, o, 3), self.left()))
        grid_seconds = sum(one["seconds"] for one in measured)
        budget = max(20, min(self.usual_budget, CARD_SHARE * grid_seconds - 5))
        tunings = [self.tuned(kept, model, seed, budget) for seed in range(1, min(3, self.wishes.seeds) + 1)]
        chosen = [tuning["best"] for tuning in tunings]
        settings = [tunings[0]["default"]]
        for phase in PHASES:
            fine = [i for i, one in enumerate(measured) if phase in one]
            settings += [grid[i] for i in sorted(fine, key=lambda i, p=phase: -measured[i][p])[:5]]
        settings = [words for i, words in enumerate(settings + chosen) if words not in (settings + chosen)[:i]]
        rates, failed = self.again(kept, model, settings)
        what = f"{free:g} GiB free, context {self.wishes.context}, depth {self.wishes.depth}"
        for phase in PHASES:
            self.add(figure=f"worst regret on a card, {phase}, {what}", peer=f"best of {len(grid)}",
                     **regret_row(rates[phase], [settings.index(words) for words in chosen], failed))
        seconds = max(tuning["seconds"] for tuning in tunings)
        self.add(figure=f"time on a card, {what}", ours=f"{seconds:.0f} s",
                 peer=f"grid of {len(grid)}: {grid_seconds:.0f} s", ratio=f"{seconds / grid_seconds:.1%}",
                 goal=f"<= {CARD_SHARE:.0%}", verdict=met(seconds <= CARD_SHARE * grid_seconds))
        bad = sum(settings.index(words) in failed for words in chosen)
        self.add(figure=f"choices that run out of memory, {what}", ours=f"{bad} of {len(chosen)}",
                 peer=f"grid {sum('decode' not in one for one in measured)} of {len(grid)}, trials "
                      f"{sum(len(tuning['failed']) for tuning in tunings)}", goal="none", verdict=met(bad == 0))

    def fit_of(self, model, free):
        """tune's choice beside placements near what fits, and beside llama-server's own fit."""
        kept = self.kept_of("fit", model, free)
        places = kept("places", lambda: self.placements(model, free))
        tuning = self.tuned(kept, model, 1, self.usual_budget)
        try:
            theirs = kept("llama-server", lambda: self.by_llama_server(model))
        except (BenchError, OSError) as error:
            say(f"llama-fit-params: {error}")
            theirs = None
        settings = [tuning["default"]]
        # Beside itself in other words a setting would be judged by noise alone.
        whole = self.whole(model)
        default, others = parts_of(tuning["default"], whole)
        best, its_others = parts_of(tuning["best"], whole)
        known = [default, best] if its_others == others else [default]
        places = [words for words in places if parts_of(words, whole)[0] not in known]
        for words in [tuning["best"], *([theirs] if theirs is not None else []), *places]:
            if words not in settings:
                settings.append(words)
        rates, failed = self.again(kept, model, settings)
        mine = settings.index(tuning["best"])
        what = f"{free:g} GiB free, context {self.wishes.context}"
        for phase in PHASES:
            self.add(figure=f"regret, {phase}, {what}",
                     peer=f"best of {len(settings)}: llama-server's, {len(places)} placements",
                     **regret_row(rates[phase], [mine], failed))
            if theirs is None or settings.index(theirs) in failed or mine in failed:
                self.add(figure=f"tune / llama-server's fit, {phase}, {what}",
                         verdict=f"{SKIPPED}: one of the two ran out of memory" if theirs is not None else SKIPPED)
                continue
            self.add(figure=f"tune / llama-server's fit, {phase}, {what}",
                     **ratio_row(rates[phase][mine], rates[phase][settings.index(theirs)], AS_FAST,
                                 f": {' '.join(theirs) or 'all'}"))
        self.add(figure=f"choice runs out of memory, {what}", ours="yes" if mine in failed else "no",
                 peer=f"{len(failed)} of {len(settings)} settings", goal="no", verdict=met(mine not in failed))
