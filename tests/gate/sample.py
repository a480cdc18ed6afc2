"""A classification's evidence that passes every check, and the configuration it is judged by."""

from datetime import UTC, datetime, timedelta

from include.contract.gate import ChampionConfig, GateConfig, Limit
from include.gate.balance import Balance
from include.gate.behaviour import Outcome
from include.gate.comparison import Comparison, Outcomes
from include.gate.cost import Cost
from include.gate.documents import Documents
from include.gate.evidence import Evidence
from include.gate.freshness import Freshness
from include.gate.signature import Signature
from include.gate.skew import Skew
from include.gate.slices import Group, Slices, Small
from include.gate.stability import Stability
from include.gate.staging import Trial
from include.registry.model_input import Feature
from include.training.reliability import Calibration

CONFIG = GateConfig(
    limits={"log_loss": Limit(max=0.6), "roc_auc": Limit(min=0.7)},
    champion=ChampionConfig(metric="log_loss", margin=0.01, confidence=0.9),
    minimum_rows=200,
    minimum_blocks=7,
)
COMPARISON = Comparison(
    metric="log_loss",
    rule="superiority",
    champion_value=0.58,
    challenger_value=0.55,
    difference=0.03,
    interval=(0.02, 0.04),
    margin=0.01,
    confidence=0.9,
    probabilities=Outcomes(better=0.99, alike=0.01, worse=0.0),
    identical=False,
    rows=1000,
    blocks=14,
    resamples=2000,
)
TEST_START = datetime(2013, 3, 1, tzinfo=UTC)
FEATURES = (Feature("distance", "numeric"), Feature("carrier", "categorical"))
GOOD = Evidence(
    candidate="8",
    champion="7",
    rows=1000,
    blocks=14,
    positives=300,
    metrics={"log_loss": 0.55, "roc_auc": 0.75},
    comparison=COMPARISON,
    test_start=TEST_START,
    champion_learned_until=TEST_START - timedelta(days=7),
    balance=Balance(precision=0.5, recall=0.6, prevalence=0.3, selected=0.36),
    calibration=Calibration(error=0.05, chance=0.02, slope=0.9, intercept=0.1, bins=()),
    slices=Slices(
        metric="log_loss",
        challenger=0.55,
        champion=0.58,
        groups=tuple(
            Group("carrier", value, 500, 14, challenger=0.55, champion=0.58, interval=(-0.05, -0.01), fairness={})
            for value in ("AA", "UA")
        ),
        small=(Small("carrier", 0, 0),),
    ),
    stability=Stability(
        decisions=True,
        rows=1000,
        repeated=0.0,
        alone=0.0,
        reordered=0.0,
        noise_flipped=0.01,
        champion_flipped=0.1,
        champion_distance=0.1,
    ),
    behaviours=(Outcome("longer is later", "direction", rows=100, failed=0, least=0.9, worst=""),),
    trial=Trial(100, 0.0, (), Cost(2.0, 9.0, 1000, 40.0, 80.0, memory=300.0, file=2.0, requests=250)),
    signature=Signature(required=FEATURES, given=FEATURES, champion=FEATURES, row_requests=12),
    skew=Skew(entities=100, compared=2, skewed={}, late={"distance": 1}, examples=()),
    freshness=Freshness(learned_until=TEST_START + timedelta(days=14), newest=TEST_START + timedelta(days=15)),
    documents=Documents(card=True, owners=("flights@example.org",)),
)
