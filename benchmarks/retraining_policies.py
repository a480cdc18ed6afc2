"""When is a new model of the flights worth its training? The retraining policy replayed over a year, against others.

From Mar 1 to the end of the year the product's own ``policy.decide`` decides at every midnight on the evidence of the
monitor (see ``benchmarks/replay.py``), with the use case's monitoring and the history of decisions so far. Compared on
the same flights, predicted two hours before their departure, are

- never: the model of January and February, left as it is;
- the clock: every week, every four weeks;
- the rule of most tutorials: any feature with p < .05 (Kolmogorov-Smirnov or chi-square), from a week after the last
  training on;
- any drifted feature by the product's own test, with the default persistence, cooldown and budget;
- the defaults, and the defaults with new rows as a further cause.

A training is a false alarm where the new model's log-loss over the four weeks after it is not lower than that of the
model that it replaced.

``python -m benchmarks.retraining_policies --choose`` prints what the defaults were chosen from: persistence and
cooldown on the days until the end of July. No later day was used to choose.
"""

from __future__ import annotations

import argparse
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from benchmarks import flights
from benchmarks.replay import FIRST, Replay, Story, Watch, follow, paired, product, read
from benchmarks.staleness import difference
from include.contract.monitoring import RetrainingConfig
from include.figures import BLUE, GREEN, GREY, ORANGE
from include.gate.comparison import Comparison

if TYPE_CHECKING:
    from matplotlib.axes import Axes

CHOSEN = (date(2013, 8, 1) - FIRST).days  # no later day was used to choose
TOLERATED = 0.002  # nats a flight: a sixth of what is gained by retraining (benchmarks/staleness.py)
NEW_ROWS = 25_000  # the flights of a month
NEVER, WEEKLY, MONTHLY, TUTORIAL, OURS = "never", "every week", "every 4 weeks", "any p < .05", "defaults"
NOTHING: dict[str, Any] = {"on_quality_loss": False, "on_prediction_drift": False}
POLICIES = {
    NEVER: RetrainingConfig(**NOTHING),
    WEEKLY: RetrainingConfig(**NOTHING, every="1w", cooldown="1w", budget=5),
    MONTHLY: RetrainingConfig(**NOTHING, every="4w"),
    "feature drift": RetrainingConfig(**NOTHING, on_feature_drift=True),
    OURS: RetrainingConfig(),
    "defaults, new rows": RetrainingConfig(on_new_rows=NEW_ROWS),
}
ORDER = (NEVER, WEEKLY, MONTHLY, TUTORIAL, *list(POLICIES)[3:])
COLOURS = {NEVER: GREY, WEEKLY: GREEN, MONTHLY: ORANGE, OURS: BLUE}
PERSISTENCE, COOLDOWN = (1, 2, 3), ("7d", "14d", "28d")  # that were tried


def stories(replay: Replay) -> dict[str, Story]:
    watch = Watch(replay)
    told = {name: follow(replay, product(watch, config)) for name, config in POLICIES.items()}
    told[TUTORIAL] = follow(replay, watch.tutorial)
    return {name: told[name] for name in ORDER}


def run() -> list[dict[str, Any]]:
    told = stories(read())
    draw(told)
    return [*(entry(name, told) for name in ORDER), *goals(told)]


def entry(name: str, told: dict[str, Story]) -> dict[str, Any]:
    """A policy's mean weekly log-loss beside that of the model that is left alone."""
    story, never = told[name], told[NEVER]
    sure = sum(found.interval[0] > 0 for found in story.gains)
    later = story.weekly["log_loss"][-(-CHOSEN // 7) :].mean()
    note = (
        f"from August on {later:.4f}; AUC {story.weekly['roc_auc'].mean():.4f}; {story.trainings} trainings, "
        f"{story.false_alarms} false alarms, {sure} surely better; {story.rows / 1e6:.2f} million rows read"
    )
    if name != NEVER:
        note += f"; all flights lower than {NEVER} by {difference(against(story, never))}"
    return {
        "name": f"mean weekly log_loss, {name}",
        "ours": story.loss,
        "peer": never.loss,
        "limit": None,
        "ratio": story.loss / never.loss,
        "goal": None,
        "met": None,
        "unit": "nats a flight",
        "note": note,
    }


def against(ours: Story, other: Story) -> Comparison:
    return paired(ours.labels, ours.predictions, other.predictions, ours.replay.days[ours.replay.rows(0, ours.end)])


def goals(told: dict[str, Story]) -> list[dict[str, Any]]:
    """Of the defaults: surely better than doing nothing, and nearly as good as every week for fewer trainings."""
    ours, weekly = told[OURS], told[WEEKLY]
    common = {"limit": None, "ratio": None}
    gained, lost, rarer = against(ours, told[NEVER]), against(weekly, ours), against(ours, told[MONTHLY])
    return [
        {**common, "name": f"{OURS}: log_loss of all flights below {NEVER}", "ours": gained.difference, "peer": None}
        | {"unit": "nats a flight", "goal": "above 0, surely", "met": gained.interval[0] > 0}
        | {"note": difference(gained)},
        {**common, "name": f"{OURS}: log_loss of all flights above {WEEKLY}", "ours": lost.difference, "peer": None}
        | {"unit": "nats a flight", "goal": f"at most {TOLERATED}", "met": lost.difference <= TOLERATED}
        | {"note": difference(lost)},
        {**common, "name": f"{OURS}: log_loss of all flights below {MONTHLY}", "ours": rarer.difference, "peer": None}
        | {"unit": "nats a flight", "goal": None, "met": None, "note": difference(rarer)},
        {**common, "name": f"{OURS}: trainings", "ours": ours.trainings, "peer": weekly.trainings, "unit": "trainings"}
        | {"ratio": ours.trainings / weekly.trainings, "goal": "at most half of every week", "note": ""}
        | {"met": ours.trainings <= weekly.trainings / 2},
    ]


def draw(told: dict[str, Story]) -> None:
    with flights.picture("retraining_policies", (11, 4.4), (3, 2)) as (by_week, by_policy):
        draw_weeks(by_week, told)
        draw_trainings(by_policy, told)


def draw_weeks(axes: Axes, told: dict[str, Story]) -> None:
    for name, colour in COLOURS.items():
        story = told[name]
        begins: Any = [FIRST + timedelta(weeks=week) for week in range(len(story.weekly["log_loss"]))]
        axes.plot(begins, story.weekly["log_loss"], color=colour, lw=1.4, label=f"{name}: mean {story.loss:.4f}")
    for training in told[OURS].champions[1:]:
        day: Any = FIRST + timedelta(days=training.origin)
        axes.axvline(day, color=BLUE, lw=0.8, alpha=0.4)
    axes.set_title("The year, and the trainings of the defaults", loc="left", fontsize=11)
    axes.set_ylabel("log-loss of the week, nats a flight")
    axes.legend(frameon=False, fontsize=8, ncols=2, loc="upper left", bbox_to_anchor=(0, -0.1))
    dated(axes)


def draw_trainings(axes: Axes, told: dict[str, Story]) -> None:
    told = dict(reversed(told.items()))
    for row, story in enumerate(told.values()):
        for (_, new), gain in zip(story.replaced, story.gains, strict=True):
            day: Any = FIRST + timedelta(days=new.origin)
            better = gain.difference > 0
            axes.plot([day], [row], "o", ms=4, color=BLUE if better else ORANGE, mfc=BLUE if better else "white")
    axes.set_ylim(-0.6, len(told) - 0.4)
    axes.set_yticks(range(len(told)), [f"{name}: {story.trainings}" for name, story in told.items()])
    axes.set_title("Trainings; hollow: a false alarm", loc="left", fontsize=11)
    dated(axes)


def dated(axes: Axes) -> None:
    months: Any = [date(2013, month, 1) for month in range(3, 13, 3)]
    axes.set_xlim(FIRST - timedelta(days=4), date(2014, 1, 4))  # type: ignore[arg-type]
    axes.set_xticks(months, [f"{month:%b} 1" for month in months])


def choose() -> None:
    """Persistence and cooldown on the first months, beside a training every week and none."""
    replay = read()
    watch = Watch(replay)
    tried = {name: POLICIES[name] for name in (NEVER, WEEKLY)} | {
        f"persistence {persistence}, cooldown {cooldown}": RetrainingConfig(persistence=persistence, cooldown=cooldown)
        for persistence in PERSISTENCE
        for cooldown in COOLDOWN
    }
    for name, config in tried.items():
        story = follow(replay, product(watch, config), CHOSEN)
        print(
            f"{name:<30}  log_loss {story.loss:.4f}  {story.trainings:2} trainings  {story.false_alarms} false alarms",
            flush=True,
        )


if __name__ == "__main__":
    from benchmarks.__main__ import table

    parser = argparse.ArgumentParser(prog="python -m benchmarks.retraining_policies")
    parser.add_argument("--choose", action="store_true", help="only the choice of the defaults, on the first months")
    if parser.parse_args().choose:
        choose()
    else:
        print(table(run()))
