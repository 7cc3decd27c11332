"""Tuning's answer beside the peers': by llama-bench's measure, and FiTuna's answer end to end."""

import dataclasses
import json
import time

from . import fituna
from .figures import ROOT, SKIPPED, BenchError, met, run, say
from .rates import options_of
from .regret import ratio_row
from .tuning import ANSWER, DECODE, PHASES, PROMPT, Tuning

TIME_SHARE = 0.2  # of FiTuna's
AS_FAST = 0.98
UNQUANTISED = 15  # bits a weight; fewer: quantised
FASTER = 1.2  # what FiTuna is asked for of a file that it may quantise, beside the file as it is,
AS_IT_IS = 0.9  # and of one that it may not
KLD_CHUNKS = 32  # as FiTuna reads
TOO_SMALL = 2  # the exit status of tune where a budget holds no trial


def overrides_of(patterns):
    """The value of llama-bench's -ot: ";" joins the tensors of one test, "," begins another."""
    for pattern in patterns:
        if set(pattern) & set(",;="):
            raise BenchError(f"llama-bench can't be told the pattern {pattern}: it parts words at , ; and =")
    return ";".join(f"{pattern}=CPU" for pattern in patterns)


def without_by_llama_bench(settings):
    """What of the settings llama-bench has no option for, in words for a row."""
    return "" if settings.get("repack", True) else " (without its repacking: llama-bench repacks always)"


class PeerFigures(Tuning):
    assert (fituna.PROMPT, fituna.ANSWER) == (PROMPT, ANSWER)  # one exchange is asked about

    def by_llama_bench(self, model, settings, phase, depth=0, decode=DECODE, repeats=3):
        """Tokens a second of one phase."""
        threads = settings.get("threads") or self.own_threads
        if phase == "prefill":
            threads = settings.get("threads_batch") or threads
        command = [self.peer("llama-bench"), "-m", model, "-r", repeats, "-o", "json", "-t", threads,
                   "-d", depth, "-p", self.wishes.prompt if phase == "prefill" else 0,
                   "-n", decode if phase == "decode" else 0, "-b", settings.get("batch", 2048),
                   "-ub", settings.get("ubatch", 512), "-fa", settings.get("flash_attention", "auto"),
                   "-ctk", settings.get("kv_k", "f16"), "-ctv", settings.get("kv_v", "f16"),
                   "-lm", settings.get("load_mode", "auto")]
        if self.cards or not settings.get("use_gpu", True):
            command += ["-dev", "none"]
        elif settings.get("gpu_layers") is not None:
            command += ["-ngl", settings["gpu_layers"]]
        if settings.get("host_tensors"):
            command += ["-ot", overrides_of(settings["host_tensors"])]
        return json.loads(run(command))[0]["avg_ts"]

    def peers(self):
        for name, model in self.models.items():
            self.attempt(f"llama-bench, {name}", self.llama_bench_of, name, model)
            self.attempt(f"FiTuna, {name}", self.fituna_of, name, model)

    def llama_bench_of(self, name, model):
        if not self.chosen[name]:
            self.chosen[name] = [self.tune(model, 1, self.budget_of(name))[0]["best"]["settings"]]
        rates = {phase: ([], []) for phase in PHASES}
        for _ in range(max(7, self.wishes.repeats // 4)):
            for side, settings in enumerate(({}, self.chosen[name][0])):
                for phase in PHASES:
                    rates[phase][side].append(self.by_llama_bench(model, settings, phase))
        for phase in PHASES:
            self.add(figure=f"chosen / default by llama-bench, {phase}, {name}"
                            + without_by_llama_bench(self.chosen[name][0]),
                     **ratio_row(rates[phase][1], rates[phase][0], AS_FAST))

    # ---- FiTuna --------------------------------------------------------------------------------

    def text(self):
        """What perplexity and divergence are measured on, by both sides."""
        shared = ROOT.parent / "shared/corpus/calibration.txt"
        if self.wishes.text or shared.is_file():
            return self.wishes.text or shared
        # Where nothing else is here: what the project says of itself.
        joined = self.directory / "documents.txt"
        pages = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").glob("*.md"))]
        joined.write_text("\n".join(page.read_text() for page in pages))
        return joined

    def fituna_of(self, name, model):
        """Its own question with its own defaults, but for a file that is quantised already: its type is then
        the only candidate. Ours: settings for the file that it chose, within a fifth of its time."""
        header = self.call("inspect", model)
        is_quantised = header["bits_per_weight"] < UNQUANTISED
        context = min(fituna.CONTEXT, header["trained_context"] or fituna.CONTEXT)
        question = fituna.Question(model, self.text(), 0, types="COPY" if is_quantised else "", context=context,
                                   gpu="none" if self.cards else "")
        asked = AS_IT_IS if is_quantised else FASTER
        now = self.by_llama_bench(model, {}, "decode", question.depth, fituna.ANSWER, 5)
        question = dataclasses.replace(question, decode_tps=asked * now)
        limits = f"{asked:.1f} x as it is, loss <= {question.loss_percent:g} %"
        limits += ", its type alone" if is_quantised else ""
        limits += f", context {context}" if context != fituna.CONTEXT else ""
        say(f"FiTuna is asked for {question.decode_tps:.1f} tokens a second of {name}: {limits}")
        try:
            theirs = fituna.ask(question, self.wishes.fituna, self.peer, self.directory / f"fituna-{name}",
                                min(self.left(), self.wishes.fituna_seconds))
        except BenchError as error:
            self.add(figure=f"FiTuna, {name} ({limits})", verdict=f"{SKIPPED}: {error}")
            return
        tuned, our_seconds, fallback = self.tune_within(name, theirs, question)
        ours = tuned["best"]["settings"]
        say(f"FiTuna: {theirs.type}, {theirs.gpu_layers} layers on the card, {theirs.decode_tps:.1f} t/s; "
            f"tune: {tuned['verdict']}")
        share = our_seconds / theirs.seconds
        self.add(figure=f"tune / FiTuna, time, {name} ({limits})", ours=f"{our_seconds:.1f} s{fallback}",
                 peer=f"{theirs.seconds:.1f} s: {theirs.type}, {theirs.gpu_layers} layers"
                      + ("" if theirs.is_met else ", which isn't enough"),
                 ratio=f"{share:.2f}", goal=f"<= {TIME_SHARE}", verdict=met(share <= TIME_SHARE))
        self.speeds_of(name, question, theirs, ours)
        self.divergences_of(name, question, theirs, ours)

    def tune_within(self, name, theirs, question):
        """tune on FiTuna's file, its seconds, and words for the row. Where a fifth of FiTuna's time doesn't hold
        a tuning, the usual budget is given: the time is then that of both, and the row says so."""
        words = ["--depth", question.depth, "--context", question.context, "--max-kld", "0.01"]
        # Loading the program, printing and remembering the answer are not in a budget.
        budget = max(1, int(TIME_SHARE * theirs.seconds) - 1)
        began = time.perf_counter()
        try:
            return (*self.tune(theirs.file, 1, budget, *words), "")
        except BenchError as error:
            if error.status != TOO_SMALL:
                raise
            in_vain = time.perf_counter() - began
            usual = self.budget_of(name)
            say(f"with {budget} s: {error}; with {usual} s instead")
            tuned, seconds = self.tune(theirs.file, 1, usual, *words)
            return tuned, in_vain + seconds, (f", {in_vain:.1f} s of it in vain: {budget} s hold no trial, "
                                              f"{usual} s given")

    def speeds_of(self, name, question, theirs, ours):
        """Both answers again in turns, by llama-bench and by trimma."""
        their_settings = {} if self.cards else {"gpu_layers": theirs.gpu_layers}
        sides = (their_settings, ours)
        their_options = [] if self.cards else ["--gpu-layers", str(theirs.gpu_layers)]
        options = (their_options, options_of({**ours, "use_gpu": True} if self.cards else ours))

        depth = ["--depth", str(question.depth)] if question.depth else []

        def by_trimma(side):
            speed = self.measure(theirs.file, [*options[side], *depth], rounds=1, decode=fituna.ANSWER)
            return {phase: speed[f"{phase}_tps"]["median"] for phase in PHASES}

        def by_llama_bench(side):
            return {phase: self.by_llama_bench(theirs.file, sides[side], phase, question.depth, fituna.ANSWER,
                                               1)
                    for phase in PHASES}

        for measure, rate in (("llama-bench", by_llama_bench), ("trimma", by_trimma)):
            rates, _ = self.interleaved((0, 1), rate)
            for phase in PHASES:
                without = without_by_llama_bench(ours) if rate is by_llama_bench else ""
                self.add(figure=f"tune / FiTuna by {measure}, {phase}, {name}{without}",
                         **ratio_row(rates[phase][1], rates[phase][0], AS_FAST))

    def divergences_of(self, name, question, theirs, ours):
        """Of both answers from the file that FiTuna was given: the same weights, each with its cache."""
        found = []
        for kv in (f"{ours['kv_k']}/{ours['kv_v']}", "f16"):
            said = self.call("measure", theirs.file, "--against", question.model, "--quality", "--text",
                             question.text, "--chunks", KLD_CHUNKS, "--kv", kv, *self.cards)
            found.append(said["quality"])
        mine, its = found
        no_more = mine["mean_kld"] <= its["mean_kld_ci95"][1]
        self.add(figure=f"tune / FiTuna, divergence from what was given, {name}",
                 ours=f"{mine['mean_kld']:.5g}", peer=f"{its['mean_kld']:.5g}",
                 ratio=f"{mine['mean_kld'] / its['mean_kld']:.3f}" if its["mean_kld"] > 0 else "-",
                 goal="no more", verdict=met(no_more))
