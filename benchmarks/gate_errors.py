"""How often does the gate promote a challenger that is no better, and how often does it see one that is?

A comparison errs high where its lower bound is above the true gain: with the truth as its margin, superiority would
promote. It errs low where its upper bound is below: non-inferiority with that margin would promote the worse of the two
in the better one's place. Each should happen in at most 1 - confidence of the comparisons.

- Simulated: the flights of a day have a shock in common, and models err by day and by flight. The champion's errors by
  flight are as much greater as the gain wants it. The shares of late flights, and the differences of two models'
  losses, vary within and between days as they do in truth; the benchmark prints both.
- Real: pairs of models of the first months on stretches of the later days, in a row or drawn. The truth is the gain
  over all of them. Stretches in a row overlap, and there are no more than twenty that do not.

The peers are in promotion_rules.py.
"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import cache
from multiprocessing import get_context
from typing import TYPE_CHECKING, Any

import numpy as np
from scipy.special import expit

from benchmarks import flights
from benchmarks.flights import Flights
from benchmarks.promotion_rules import CONFIDENCE, RULES, STRICTER, Pair, Rates, losses, rates
from include.figures import BLUE, GREEN, GREY, ORANGE
from include.resampling import Vector

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CORES = 2
ALPHA = 1 - CONFIDENCE
CHANCE = 2.7  # standard deviations that a share of errors may be too high: 5 % over fourteen shares (Bonferroni)
DAYS, ROWS = 14, 800
REPEATS = {"log_loss": 1000, "roc_auc": 400}
POWER = {  # the least share to promote, by days and gain in nats a flight; at most ALPHA without a gain
    (10, 0.0): ALPHA, (10, 0.01): 0.4,
    (14, 0.0): ALPHA, (14, 0.005): 0.2, (14, 0.01): 0.45, (14, 0.02): 0.75,
    (28, 0.0): ALPHA, (28, 0.01): 0.55,
}  # fmt: skip
SHOCK, BY_DAY, BY_FLIGHT = 0.95, 0.15, 0.18  # standard deviations of log-odds
LATER = date(2013, 4, 1)
STEP, DRAWN = 3, 120  # days between two stretches in a row; stretches of drawn days


def simulate(generator: np.random.Generator, days: int, noise: float, truth: float, rows: int = ROWS) -> Pair:
    """``noise``: by how much the variance of the champion's errors by flight is greater."""
    day = np.repeat(np.arange(days), rows)
    plan = generator.normal(-1.5, 0.7, day.size)
    labels = generator.random(day.size) < expit(plan + generator.normal(0, SHOCK, days)[day])

    def predict(more: float) -> Vector:
        error = generator.normal(0, BY_DAY, days)[day] + generator.normal(0, np.sqrt(BY_FLIGHT**2 + more), day.size)
        return np.asarray(expit(plan + error), dtype=np.float64)

    return Pair(labels.astype(np.float64), day, predict(0.0), predict(noise), truth)


@cache
def noise_of(gain: float) -> float:
    """The noise that costs the champion so much log-loss in the long run."""
    noises = np.linspace(0, 0.4, 5)
    costs = [simulate(np.random.default_rng(0), 50_000, noise, 0.0, rows=40).gains.mean() for noise in noises]
    return float(np.interp(gain, np.array(costs) - costs[0], noises))


def simulated(days: int, gain: float, metric: str) -> Rates:
    generator = np.random.default_rng([days, round(gain * 1e4), len(metric)])
    rules = RULES if metric == "log_loss" else {name: RULES[name] for name in ("gate", "usual")}
    noise = noise_of(gain)
    return rates((simulate(generator, days, noise, gain) for _ in range(REPEATS[metric])), rules, metric)


@dataclass(frozen=True)
class Fit:
    """What a model learned from: the flights that had landed by ``until``, of all days or of every second one."""

    until: date = LATER
    seed: int = 1
    parity: int | None = None


FITS = {
    "seed 1": Fit(),
    "seed 2": Fit(seed=2),
    "seed 3": Fit(seed=3),
    "every second day": Fit(parity=0),
    "the other days": Fit(parity=1),
    "Jan - Feb": Fit(until=date(2013, 3, 1)),
    "Jan": Fit(until=date(2013, 2, 1)),
}
ALIKE = (("seed 1", "seed 2"), ("seed 1", "seed 3"), ("seed 2", "seed 3"), ("every second day", "the other days"))
MORE = tuple(("seed 1", less) for less in ("every second day", "the other days", "Jan - Feb", "Jan"))


def learn(year: Flights) -> Iterator[tuple[str, Pair]]:
    """Pairs of models on all later days, the one that is better in truth as the challenger."""
    rows = flights.known(year)
    days = year.days(rows).to_numpy().astype("datetime64[D]")
    features, labels = rows.select(year.columns(rows)).to_pandas(), rows[year.label].to_numpy().astype(np.float64)
    later, training = days >= np.datetime64(LATER), year.use_case.config.training

    @cache
    def predict(name: str) -> Vector:
        fit = FITS[name]
        learned = (rows["known"] <= year.midnight(fit.until)).to_numpy()
        if fit.parity is not None:
            learned &= days.astype(np.int64) % 2 == fit.parity
        model = year.use_case.model.build({**training.params, "seed": fit.seed})
        found: Vector = model.fit(features[learned], labels[learned]).predict_proba(features[later])[:, 1]
        return found

    for names in (*ALIKE, *MORE):
        one, other = sorted(names, key=lambda name: losses(labels[later], predict(name)).mean())
        gain = (losses(labels[later], predict(other)) - losses(labels[later], predict(one))).mean()
        found = Pair(labels[later], days[later].astype(np.int64), predict(one), predict(other), float(gain))
        yield f"{one} - {other}", found


def in_a_row(pair: Pair) -> Rates:
    days = np.unique(pair.days)
    return rates((pair.on(days[i : i + DAYS]) for i in range(0, len(days) - DAYS + 1, STEP)), {**RULES, **STRICTER})


def drawn(pair: Pair) -> Rates:
    generator, days = np.random.default_rng(0), np.unique(pair.days)
    return rates((pair.on(generator.choice(days, DAYS, replace=False)) for _ in range(DRAWN)), RULES)


@dataclass(frozen=True)
class Real:
    """A pair on stretches of the later days."""

    truth: float
    in_a_row: Rates
    drawn: Rates


def run() -> list[dict[str, Any]]:
    cells = [*((*cell, "log_loss") for cell in POWER), (DAYS, 0.0, "roc_auc"), (DAYS, 0.01, "roc_auc")]
    with ProcessPoolExecutor(CORES, get_context("spawn")) as pool:
        made = {cell: pool.submit(simulated, *cell) for cell in cells}
        pairs = dict(learn(flights.read()))
        real = {name: (pool.submit(in_a_row, pair), pool.submit(drawn, pair)) for name, pair in pairs.items()}
        found = {cell: each.result() for cell, each in made.items()}
        compared = {name: Real(pairs[name].truth, *(each.result() for each in both)) for name, both in real.items()}
    draw_figure(found, compared)
    return [spreads(pairs), *simulated_entries(found), *real_entries(compared)]


def entry(name: str, ours: float, peer: float, note: str, **goal: Any) -> dict[str, Any]:
    common = {"limit": None, "ratio": ours / peer if peer else None, "goal": None, "met": None}
    return {"name": name, "ours": ours, "peer": peer, **common, "unit": "share of comparisons", "note": note, **goal}


def spreads(pairs: dict[str, Pair]) -> dict[str, Any]:
    """What the simulation took from the real days."""
    days, correlations = zip(*(pair.spread() for pair in pairs.values()), strict=True)
    by_day, within = simulate(np.random.default_rng(0), 2000, 0.0, 0.0).spread()
    note = f"peer: median of real pairs, {min(correlations):.3f} to {max(correlations):.3f}; "
    note += f"sd of the days' mean gains {by_day:.3f}, real {min(days):.3f} to {max(days):.3f}"
    found = entry("correlation of gains within a simulated day", within, float(np.median(correlations)), note)
    return {**found, "unit": "correlation"}


def simulated_entries(found: dict[tuple[int, float, str], Rates]) -> Iterator[dict[str, Any]]:
    for (days, gain, metric), by_rule in found.items():
        where, (high, low, promoted) = f"{metric}, {days} simulated days", by_rule["gate"]
        limit = ALPHA + CHANCE * float(np.sqrt(ALPHA * CONFIDENCE / REPEATS[metric]))
        goal = f"at most {ALPHA:.2g} ({limit:.3f} by chance)"
        others = {name: shares for name, shares in by_rule.items() if name not in ("gate", "usual")}
        peer, note = by_rule["usual"], "; ".join(f"{name} {shares[2]:.3f}" for name, shares in others.items())
        if not gain:
            yield entry(f"promoted without a gain, {where}", promoted, peer[2], note, goal=goal, met=promoted <= limit)
            continue
        least = POWER[days, gain] if metric == "log_loss" else None
        wanted = {"goal": f"at least {least}", "met": promoted >= least} if least else {}
        yield entry(f"promoted with a gain of {gain:g}, {where}", promoted, peer[2], note, **wanted)
        if metric == "log_loss":
            note = "; ".join(f"{name} {shares[0]:.3f}, {shares[1]:.3f}" for name, shares in others.items())
            note = f"non-inferiority {low:.3f}; {note}"
            met = max(high, low) <= limit
            yield entry(f"promoted by a margin of the gain, {gain:g}, {where}", high, peer[0], note, goal=goal, met=met)


def real_entries(compared: dict[str, Real]) -> Iterator[dict[str, Any]]:
    """The errors of all pairs together, at either end, and what the gate does with each pair."""
    for kind, way in (("in a row", "in_a_row"), ("drawn", "drawn")):
        all_rates: list[Rates] = [getattr(real, way) for real in compared.values()]
        mean = {rule: float(np.mean([each[rule][:2] for each in all_rates])) for rule in all_rates[0]}
        worst = max(max(each["gate"][:2]) for each in all_rates)
        note = "; ".join(f"{rule} {share:.3f}" for rule, share in mean.items() if rule not in ("gate", "usual"))
        goal = {"goal": "at most half the peer's", "met": mean["gate"] <= mean["usual"] / 2}
        name = f"promoted by a margin of the gain, log_loss, {DAYS} real days {kind}"
        yield entry(name, mean["gate"], mean["usual"], f"{note}; at worst {worst:.3f}", **goal)
    for name, real in compared.items():
        high, low, promoted = real.in_a_row["gate"]
        note = f"the gain is {real.truth:.4f}; by a margin of it {high:.3f}, non-inferiority {low:.3f}"
        peer = real.in_a_row["usual"][2]
        yield entry(f"promoted, {DAYS} real days in a row, {name}", promoted, peer, note)


STYLES = {
    "gate": ("the gate", BLUE, "o-"),
    "rows": ("t-test of flights", ORANGE, "s--"),
    "usual": ("the better metric wins", GREY, "^--"),
}


def draw_figure(found: dict[tuple[int, float, str], Rates], compared: dict[str, Real]) -> None:
    with flights.picture("gate_power", (11, 4.2), (1, 1)) as (power, errors):
        gains = [gain for days, gain in POWER if days == DAYS]
        for rule, (label, colour, style) in STYLES.items():
            power.plot(gains, [found[DAYS, g, "log_loss"][rule][2] for g in gains], style, color=colour, label=label)
            wrong = [np.mean(real.in_a_row[rule][:2]) for real in compared.values()]
            errors.plot(wrong, range(len(wrong)), style[0], color=colour, label=label)
        for days in (10, 28):
            promoted = found[days, 0.01, "log_loss"]["gate"][2]
            power.plot([0.01], [promoted], "o", color=BLUE, mfc="white")
            power.annotate(f"{days} days", (0.01, promoted), (6, -4), textcoords="offset points", fontsize=8)
        power.axhline(ALPHA, color=GREEN, lw=1)
        errors.axvline(ALPHA, color=GREEN, lw=1, label=f"allowed: {ALPHA:.2g}")
        finish(power, errors, compared)


def finish(power: Axes, errors: Axes, compared: dict[str, Real]) -> None:
    power.set_title(f"Promoted, {DAYS} simulated days", loc="left", fontsize=11)
    power.set_xlabel("true gain, nats a flight")
    power.set_ylabel("share of comparisons")
    power.set_xticks([gain for days, gain in POWER if days == DAYS])
    power.set_ylim(0, 1)
    errors.set_title(f"Wrongly, {DAYS} real days in a row, margin at the true gain", loc="left", fontsize=11)
    errors.set_xlabel("share of comparisons, mean of both rules")
    errors.set_xlim(0, 0.6)
    errors.set_yticks(range(len(compared)), list(compared), fontsize=8)
    errors.legend(frameon=False, fontsize=8, ncols=4, loc="upper right", bbox_to_anchor=(1, -0.16))


if __name__ == "__main__":
    from benchmarks.__main__ import table

    print(table(run()))
