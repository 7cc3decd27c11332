"""What the figures of tuning share: trimma called with a state of its own, and rates taken in turns."""

import json
import os
import random
import tempfile
import time
from pathlib import Path

from .figures import ROOT, SKIPPED, BenchError, Figures, Peers, run, say

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
        self.budget = wishes.budget or BUDGET  # seconds of a tune
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

    # ---- trimma ------------------------------------------------------------------------------

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

    def tune(self, model, seed, *options):
        """What it says, and the seconds that it took."""
        started = time.perf_counter()
        words = ["tune", model, "--seed", str(seed), "--prompt-tokens", self.wishes.prompt,
                 "--answer-tokens", ANSWER,
                 *self.cards, *options]
        if "--budget" not in options:
            words += ["--budget", f"{self.budget}s"]
        if "--max-kld" not in options:
            words += ["--max-kld", "100"]
        if self.wishes.text:
            words += ["--text", self.wishes.text]
        return self.call(*words), time.perf_counter() - started

    def tune_each(self, name, model, seeds, *options):
        """What each seed's tuning says. One that can't tell is a row; the others go on."""
        tunings = []
        for seed in seeds:
            tuned = self.attempt(f"tune {name}, seed {seed}", self.tune, model, seed, *options)
            if tuned is not None:
                tunings.append(tuned)
        if not tunings:
            raise BenchError("no tuning gave an answer")
        return tunings

    def rate(self, model, options):
        """Of each phase, one sample of a process of its own. Samples of one process are alike; processes
        are independent, so that more of one is time without news."""
        speed = self.measure(model, options, rounds=1)
        return {phase: speed[f"{phase}_tps"]["median"] for phase in PHASES}

    def interleaved(self, settings, rate, least=6):
        """Rates of each setting in `repeats` rounds of random order: {phase: [per setting: rates]}. `rate`
        measures one of them. Where the time is over, no further round is begun after `least` (an interval
        needs as many)."""
        rates = {phase: [[] for _ in settings] for phase in PHASES}
        dice = random.Random(5)
        for done in range(self.wishes.repeats):
            if done >= least and self.left() <= 0:
                say("the time is over: no further rounds")
                break
            say(f"measuring {len(settings)} settings again: {done + 1} of {self.wishes.repeats}")
            for i in dice.sample(range(len(settings)), len(settings)):
                for phase, value in rate(settings[i]).items():
                    rates[phase][i].append(value)
        return rates
