"""What the figures of tuning share: trimma called with a state of its own, and rates taken in turns."""

import functools
import json
import os
import random
import tempfile
import time
from pathlib import Path

from .card import names_by_nvidia_smi
from .figures import ROOT, SKIPPED, BenchError, Figures, Peers, machine, run, say
from .kept import Kept, TimeOver, digest_of, model_identity
from .rates import LEAST_ROUNDS

import fetch_model

PROMPT, ANSWER, DECODE, BUDGET = 512, 128, 48, 60
PHASES = ("prefill", "decode")


class Tuning(Figures):
    def __init__(self, wishes):
        super().__init__()
        self.wishes = wishes
        self.file = wishes.json
        self.trimma = wishes.trimma
        self.directory = Path(tempfile.mkdtemp(prefix="trimma-bench-"))
        self.cores = len(os.sched_getaffinity(0))
        self.cards = ["--gpu", "none"] if wishes.gpu == "none" else []
        self.peer = (lambda program: wishes.peers / program) if wishes.peers else Peers()
        self.state = self.directory / "state"
        self.begun = time.monotonic()
        self.usual_budget = wishes.budget or BUDGET  # seconds of a tune
        self.budgets = {}  # by the model's name, where its grid told what is allowed
        self._models = None
        self.chosen = {}

    # ---- models and time ---------------------------------------------------------------------

    @property
    def models(self):
        """The path by name, of those that are here; of each that isn't, a row."""
        if self._models is None:
            self._models = {}
            for word in self.wishes.models.split(","):
                name, _, path = word.partition("=")
                found = Path(path) if path else self._find(name)
                if found is None or not found.is_file():
                    self.add(figure=f"tune {name}", verdict=f"{SKIPPED}: no such model here")
                else:
                    self._models[name] = found
                    self.chosen[name] = []
        return self._models

    @staticmethod
    def _find(name):
        folder = Path(os.environ.get("TRIMMA_TEST_MODELS") or ROOT.parent / "shared" / "models")
        if (folder / f"{name}.gguf").is_file():
            return folder / f"{name}.gguf"
        if name not in fetch_model.MODELS:
            return None
        try:
            return Path(run(["python3", ROOT / "tools/fetch_model.py", name]).strip())
        except BenchError:
            return None

    def left(self):
        """Seconds that --seconds leaves; infinite without."""
        if self.wishes.seconds is None:
            return float("inf")
        return self.wishes.seconds - (time.monotonic() - self.begun)

    def budget_of(self, name):
        return self.budgets.get(name, self.usual_budget)

    # ---- what is kept ------------------------------------------------------------------------

    def kept(self, figure, model, *others):
        """What was measured for `figure` of this model; `others` and all that rates depend on name its file."""
        hardware = machine()
        identity = {"trimma": [run([self.trimma, "--version"]).strip(), digest_of(self.trimma)],
                    "machine": [hardware["cpu"], hardware["cores"]],
                    "cards": None if self.cards else names_by_nvidia_smi(), "gpu": self.wishes.gpu,
                    "model": model_identity(model), "prompt": self.wishes.prompt,
                    "text": digest_of(self.wishes.text) if self.wishes.text else None}
        return Kept.of(self.wishes.work, "-".join([figure, model.stem, *map(str, others)]), identity)

    def unless_over(self, name, part, *words):
        """Runs it; where the time ends before it, that is a row."""
        try:
            part(*words)
        except TimeOver as over:
            self.add(figure=name, verdict=f"{SKIPPED}: {over}")

    # ---- trimma ------------------------------------------------------------------------------

    @functools.cached_property
    def own_threads(self):
        """trimma's own number of threads, where no setting names one: the physical cores."""
        return self.call("scan")["cpu"]["cores"]

    def environment(self):
        """What is learned here is neither put into the user's own records nor taken from them."""
        return {**os.environ, "XDG_STATE_HOME": str(self.state)}

    def call(self, *words):
        return json.loads(run([self.trimma, *words, "--json", "--quiet"], env=self.environment()))

    def measure(self, model, options, rounds=3, processes=1, prompt=None, decode=DECODE):
        cards = [] if "--gpu" in options else self.cards
        return self.call("measure", model, "--speed", "--rounds", rounds, "--processes", processes,
                         "--loads", 0, "--prompt-tokens", prompt or self.wishes.prompt, "--decode-tokens", decode, *cards,
                         *options)["speed"]

    def tune(self, model, seed, budget, *options):
        """What it says within `budget` seconds, and the seconds that it took."""
        started = time.perf_counter()
        cards = [] if "--gpu" in options else self.cards
        words = ["tune", model, "--seed", str(seed), "--prompt-tokens", self.wishes.prompt,
                 "--answer-tokens", ANSWER, "--budget", f"{budget:.0f}s", *cards, *options]
        if "--max-kld" not in options:
            words += ["--max-kld", "100"]
        if self.wishes.text:
            words += ["--text", self.wishes.text]
        return self.call(*words), time.perf_counter() - started

    def tune_each(self, name, model, seeds, *options, kept=None):
        """What each seed's tuning says. One that can't tell is a row; the others go on."""
        kept = kept or Kept()
        budget = self.budget_of(name)

        def tuned(seed):
            return kept(["tune", seed, budget, *options],
                        lambda: self.tune(model, seed, budget, *options), left)

        tunings = []
        for seed in seeds:
            left = self.left() if kept.path else float("inf")
            found = self.attempt(f"tune {name}, seed {seed}", tuned, seed)
            if found is not None:
                tunings.append(found)
        if not tunings:
            raise BenchError("no tuning gave an answer")
        return tunings

    @staticmethod
    def timed(measure, *words):
        """Rates, and the seconds that they took."""
        began = time.perf_counter()
        rates = measure(*words)
        return {**rates, "seconds": time.perf_counter() - began}

    def rate(self, model, options, rounds=1):
        """Of each phase, one sample of a process of its own. Samples of one process are alike; processes
        are independent, so that more of one is time without news."""
        speed = self.measure(model, options, rounds=rounds)
        return {phase: speed[f"{phase}_tps"]["median"] for phase in PHASES}

    def interleaved(self, settings, rate, kept=None):
        """Rates of each setting in `repeats` rounds of random order: {phase: [per setting: rates]}, and which
        settings failed. `rate` measures one of them; where it gives nothing, that setting doesn't fit, is
        measured no further, and has fewer rates. Where the time is over, no further round is begun after
        those that an interval needs.

        Only whole rounds of these very settings are kept: rates that are compared are of one round, taken
        close together."""
        kept = kept or Kept()
        rates = {phase: [[] for _ in settings] for phase in PHASES}
        failed = set()
        dice = random.Random(5)
        for done in range(self.wishes.repeats):
            order = dice.sample(range(len(settings)), len(settings))

            def round_of(done=done, order=order):
                say(f"measuring {len(settings) - len(failed)} settings again: {done + 1} of {self.wishes.repeats}")
                found = {i: rate(settings[i]) for i in order if i not in failed}
                return [found.get(i) for i in range(len(settings))]

            try:
                found = kept(["round", done, settings], round_of,
                             self.left() if done >= LEAST_ROUNDS else float("inf"))
            except TimeOver:
                say("the time is over: no further rounds")
                break
            for i, one in enumerate(found):
                if not one:
                    failed.add(i)
                    continue
                for phase in PHASES:
                    rates[phase][i].append(one[phase])
        return rates, failed
