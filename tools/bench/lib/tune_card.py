"""Tuning on a CUDA card of which only so much is free: against a grid, and beside llama-server's own fit.

What was measured is kept in --work, so that a run that was cut off, or whose --seconds were over, goes on
where it ended: each figure becomes rows as soon as its measurements are there.
"""

import json
import random
import re
import shlex
import statistics
import subprocess
import sys
import time

from .card import GIB, MIB, Card, NoCard, free_by_nvidia_smi
from .figures import MISSED, OK, ROOT, SKIPPED, UNCLEAR, BenchError, met, run, say
from .planner import Planner
from .rates import against_best, options_of, ratio_interval
from .tuning import PHASES, Tuning

REGRET, CARD_SHARE = 0.02, 0.25
GRID_FREE, FIT_FREE = (4.25,), (3.75, 4.0, 4.25, 4.5, 4.75, 5.0)
LEAST_ROUNDS = 6  # fewer give no interval
FEED_FORWARD = r"blk\.({})\.ffn_(up|gate|down|gate_up)\."


class TimeOver(BenchError):
    """What --seconds gave is used; what was measured is kept."""


class Kept:
    """What was measured, by what it is of; in a file, a line each."""

    def __init__(self, path):
        self.path = path
        self.values = {}
        if path.is_file():
            for line in path.read_text().splitlines():
                key, value = json.loads(line)
                self.values[json.dumps(key)] = value

    def __call__(self, key, make, left=float("inf")):
        """The value of `key`, made where it isn't there and there is time `left`."""
        word = json.dumps(key)
        if word not in self.values:
            if left <= 0:
                raise TimeOver("the time was over; run again to go on")
            value = make()
            with open(self.path, "a", encoding="utf-8") as file:
                file.write(json.dumps([key, value]) + "\n")
            self.values[word] = value
        return self.values[word]


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
        model = self.card_model()
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
                say(f"{free:g} GiB wished: the driver says {self.held.free() / GIB:.2f}"
                    + (f", nvidia-smi {by_smi / GIB:.2f}" if by_smi else ""))
                self.attempt(name, self.unless_over, name, part, model, free)
        finally:
            self.held.leave(0)

    def unless_over(self, name, part, model, free):
        try:
            part(model, free)
        except TimeOver as over:
            self.add(figure=name, verdict=f"{SKIPPED}: {over}")

    def card_model(self):
        if self.wishes.card_model:
            return self.wishes.card_model
        model = ROOT / "build/bench/plan_gpu/gemma3-4b-random.gguf"
        if not model.is_file():
            say("writing a random model of Gemma 3 4B's shape, 2.5 GB")
            model.parent.mkdir(parents=True, exist_ok=True)
            subprocess.run([sys.executable, ROOT / "tools/shapes.py", "g4b", model, "--random", "1",
                            "--vocabulary"], check=True, stdout=subprocess.DEVNULL)
        return model

    # ---- one measurement -----------------------------------------------------------------------

    def place(self):
        """What every measurement and every plan here has."""
        depth = ["--depth", str(self.wishes.depth)] if self.wishes.depth else []
        return ["--context", str(self.wishes.context), *depth]

    def rates_of(self, model, options, rounds):
        """Rates of both phases and the seconds they took; without rates where the setting failed."""
        began = time.perf_counter()
        try:
            speed = self.measure(model, [*options, *self.place()], rounds=rounds)
            rates = {phase: speed[f"{phase}_tps"]["median"] for phase in PHASES}
        except BenchError as error:
            if "status 2:" in str(error):
                raise  # a call that is wrong says nothing of the card
            say(f"failed: {' '.join(options)}: {error}")
            rates = {}
        return {**rates, "seconds": time.perf_counter() - began}

    def again(self, kept, model, settings):
        """The settings in turns, as Tuning.interleaved, each measurement kept: {phase: [rates of each]}.
        Those that fail once are measured no further, and have fewer rates."""
        dice = random.Random(5)
        rates = {phase: [[] for _ in settings] for phase in PHASES}
        failed = set()
        for done in range(self.wishes.repeats):
            if done >= LEAST_ROUNDS and self.left() <= 0:
                say("the time is over: no further rounds")
                break
            say(f"measuring {len(settings)} settings again: {done + 1} of {self.wishes.repeats}")
            for i in dice.sample(range(len(settings)), len(settings)):
                if i in failed:
                    continue
                left = self.left() if done < LEAST_ROUNDS else float("inf")
                found = kept(["again", done, settings[i]], lambda i=i: self.rates_of(model, settings[i], 1), left)
                if "decode" not in found:
                    failed.add(i)
                    continue
                for phase in PHASES:
                    rates[phase][i].append(found[phase])
        return rates, failed

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

    @staticmethod
    def feed_forward_of(layers):
        return FEED_FORWARD.format("|".join(map(str, range(layers))))

    def placements(self, model, free):
        """Options: layers near what fits, and all layers with the feed-forward matrices of the first ones on
        the host, near what fits."""
        names = [tensor["name"] for tensor in self.call("inspect", model)["tensors"]]
        # -ngl counts the output too.
        whole = 2 + max(int(name.split(".")[1]) for name in names if name.startswith("blk."))
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
            said, seconds = self.tune(model, seed, "--budget", f"{budget:.0f}s", "--max-kld", "100", "--fresh",
                                      *self.place())
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

    def kept(self, figure, model, free):
        return Kept(self.wishes.work / f"{figure}-{model.stem}-{free:g}-{self.wishes.context}-"
                                       f"{self.wishes.depth}.jsonl")

    def grid_of(self, model, free):
        kept = self.kept("grid", model, free)
        grid = kept("grid", lambda: self.grid(model, free))
        if self.wishes.grid and self.wishes.grid < len(grid):
            grid = random.Random(3).sample(grid, self.wishes.grid)
        measured = []
        for done, options in enumerate(grid):
            if done % 10 == 0:
                say(f"grid: {done} of {len(grid)}")
            measured.append(kept(["grid", options], lambda o=options: self.rates_of(model, o, 3), self.left()))
        grid_seconds = sum(one["seconds"] for one in measured)
        budget = max(20, min(self.budget, CARD_SHARE * grid_seconds - 5))
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
            self.add_regret(f"worst regret on a card, {phase}, {what}", rates[phase], [
                settings.index(words) for words in chosen], failed, f"best of {len(grid)}")
        seconds = max(tuning["seconds"] for tuning in tunings)
        self.add(figure=f"time on a card, {what}", ours=f"{seconds:.0f} s",
                 peer=f"grid of {len(grid)}: {grid_seconds:.0f} s", ratio=f"{seconds / grid_seconds:.1%}",
                 goal=f"<= {CARD_SHARE:.0%}", verdict=met(seconds <= CARD_SHARE * grid_seconds))
        bad = sum(settings.index(words) in failed for words in chosen)
        self.add(figure=f"choices that run out of memory, {what}", ours=f"{bad} of {len(chosen)}",
                 peer=f"grid {sum('decode' not in one for one in measured)} of {len(grid)}, trials "
                      f"{sum(len(tuning['failed']) for tuning in tunings)}", goal="none", verdict=met(bad == 0))

    def add_regret(self, figure, rates, chosen, failed, peer):
        """Of the worst of the chosen; the best of all is that of the largest median. 0: the default."""
        fine = [i for i in range(len(rates)) if i not in failed and len(rates[i]) >= LEAST_ROUNDS]
        if not fine or any(i in failed for i in chosen):
            self.add(figure=figure, peer=peer, goal=f"<= {REGRET:.0%}", verdict=MISSED, ours="failed")
            return
        best = max(fine, key=lambda i: statistics.median(rates[i]))
        regrets = []
        for i in chosen:
            ratio, low, high = ratio_interval(*against_best([rates[j] for j in fine], fine.index(i)))
            regrets.append((1 - ratio, 1 - high, 1 - low))
        worst = max(regrets)
        says = OK if worst[0] <= REGRET else MISSED if worst[1] > REGRET else UNCLEAR
        default = ("failed" if 0 in failed else
                   f"{statistics.median(rates[0]) / statistics.median(rates[best]):.3f}")
        self.add(figure=figure, ours=f"{worst[0]:.1%} [{worst[1]:.1%}, {worst[2]:.1%}]", peer=peer,
                 ratio=f"default {default}", goal=f"<= {REGRET:.0%}", verdict=says)

    def fit_of(self, model, free):
        """tune's choice beside placements near what fits, and beside llama-server's own fit."""
        kept = self.kept("fit", model, free)
        places = kept("places", lambda: self.placements(model, free))
        tuning = self.tuned(kept, model, 1, self.budget)
        try:
            theirs = kept("llama-server", lambda: self.by_llama_server(model))
        except (BenchError, OSError) as error:
            say(f"llama-fit-params: {error}")
            theirs = None
        settings = [tuning["default"]]
        for words in [tuning["best"], *([theirs] if theirs is not None else []), *places]:
            if words not in settings:
                settings.append(words)
        rates, failed = self.again(kept, model, settings)
        mine = settings.index(tuning["best"])
        what = f"{free:g} GiB free, context {self.wishes.context}"
        for phase in PHASES:
            self.add_regret(f"regret, {phase}, {what}", rates[phase], [mine], failed,
                            f"best of {len(settings)}: llama-server's, {len(places)} placements")
            if theirs is None or settings.index(theirs) in failed or mine in failed:
                self.add(figure=f"tune / llama-server's fit, {phase}, {what}",
                         verdict=f"{SKIPPED}: one of the two failed" if theirs is not None else SKIPPED)
                continue
            its = rates[phase][settings.index(theirs)]
            ratio, low, high = ratio_interval(rates[phase][mine], its)
            self.add(figure=f"tune / llama-server's fit, {phase}, {what}",
                     ours=f"{statistics.median(rates[phase][mine]):.1f} t/s",
                     peer=f"{statistics.median(its):.1f} t/s: {' '.join(theirs) or 'all'}",
                     ratio=f"{ratio:.3f} [{low:.3f}, {high:.3f}]", goal=">= 0.98",
                     verdict=OK if ratio >= 0.98 else MISSED if high < 0.98 else UNCLEAR)
        self.add(figure=f"choice runs out of memory, {what}", ours="yes" if mine in failed else "no",
                 peer=f"{len(failed)} of {len(settings)} settings", goal="no", verdict=met(mine not in failed))
