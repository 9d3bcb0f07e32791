"""A wrong declaration fails at construction: the field, the value, and what to write instead."""

from datetime import timedelta

import pytest
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression

import rekindle as rk
from rekindle.errors import DeclarationError
from rekindle.loop import DEFAULT_PRICE, FIELDS
from rekindle.records import Act

SOURCE = rk.Parquet("churn/*.parquet", time="ts", label="churned", label_time="known_at", id="row_id")


def loop(name="churn", source=SOURCE, trainer=None, **fields):
    return rk.Loop(name, source, trainer or rk.Estimator(LogisticRegression()), **fields)


def refused(field, value, **given):
    with pytest.raises(DeclarationError) as caught:
        loop(**(given or {field: value}))
    assert caught.value.field == field
    assert str(caught.value).startswith(f"{field}=")
    assert len(caught.value.instead) > 5, "what to write instead"
    return str(caught.value)


def test_three_fields_are_enough():
    made = loop()
    assert [type(t).__name__ for t in made.triggers] == ["DataDrift", "PerformanceDecay"]
    assert made.policy == rk.SkiRental(DEFAULT_PRICE)
    assert made.price == rk.Price.ratio(0.02)
    assert made.window == rk.Weighted(6.0)
    assert made.gates == (rk.NotWorse(),)
    assert made.guards == (rk.MinRows(100),)
    assert (made.act, made.every, made.notify, made.features) == (Act.AUTO, None, (), ())
    assert made.task == "classification"
    assert repr(made) == "Loop('churn')"


def test_the_declaration_of_the_readme():
    made = loop(
        trainer=rk.Estimator(HistGradientBoostingClassifier()),
        metric="roc_auc",
        every="1d",
        triggers=[
            rk.DataDrift(),
            rk.PerformanceDecay(drop=0.05),
            rk.Schedule("7d"),
            rk.Volume(10_000),
        ],
        policy=rk.SkiRental(rk.Price(per_error=0.35, per_retrain=4.0)),
        window=rk.Rolling("90d"),
        gates=[rk.NotWorse(), rk.Floor(0.9)],
        guards=[rk.Cooldown("24h"), rk.MinPriority(3)],
        notify=[rk.env("CHURN_TELEGRAM")],
        act="approve",
    )
    assert made.metric.name == "roc_auc"
    assert made.every == timedelta(days=1)
    assert made.act is Act.APPROVE


class NoTime:
    """A source that does not say its time column."""

    label, label_time, id = "y", None, None

    def extent(self):
        pass

    def read(self, window):
        pass


class DecidesOnly:
    def decide(self, view):
        pass


def a_function(*args):
    return 0.0


WRONG = [
    *(("name", v) for v in ("", "a b", "-a", "a/b", "ä" * 3, "x" * 101, None, 5, "a\n")),
    *(("source", v) for v in ("churn.parquet", None, 5, rk.Parquet, NoTime(), a_function)),
    *(("trainer", v) for v in (LogisticRegression(), rk.Estimator, "model", None, a_function)),
    *(("metric", v) for v in ("auc", "", 5, a_function, rk.Metric, ["roc_auc"], "mae", "r2")),
    *(("loss", v) for v in (5, "zero_one", rk.NotWorse, [a_function])),
    *(
        ("every", v)
        for v in ("soon", "", 0, -1, 1.5, True, timedelta(0), timedelta(days=-1), "0d", ["1d"], "1 month")
    ),
    *(("triggers", v) for v in (rk.DataDrift(), "DataDrift", [rk.DataDrift], [5], [None], 5, [a_function])),
    *(("policy", v) for v in (5, rk.SkiRental, "ski", a_function, DecidesOnly(), [rk.Never()])),
    *(("window", v) for v in (5, "30d", rk.Weighted, [rk.Weighted()])),
    *(("gates", v) for v in (rk.NotWorse(), [rk.NotWorse], [5], "NotWorse", 5, [None])),
    *(("guards", v) for v in (rk.MinRows(), [rk.MinRows], ["24h"], 5)),
    *(("rollout", v) for v in ("immediate", rk.Immediate, 5)),
    *(("notify", v) for v in (rk.env("X"), "json://localhost", None, 5, [5], [rk.env], [None])),
    *(("act", v) for v in ("automatic", "AUTO", "", 5, [], True)),
    *(
        ("features", v)
        for v in ("x", 5, [5], ["x", "x"], ["x", None], ["churned"], ["ts"], ["known_at"], ["row_id"])
    ),
]


@pytest.mark.parametrize(("field", "value"), WRONG, ids=lambda v: str(v)[:40])
def test_every_wrong_value_is_refused_by_name(field, value):
    if field in ("source", "trainer", "name"):
        with pytest.raises(DeclarationError) as caught:
            rk.Loop(
                **{
                    "name": "churn",
                    "source": SOURCE,
                    "trainer": rk.Estimator(LogisticRegression()),
                    field: value,
                }
            )
        assert caught.value.field == field
    else:
        refused(field, value)


def test_every_field_has_a_wrong_value():
    assert {field for field, _ in WRONG} == set(FIELDS)


@pytest.mark.parametrize(
    ("written", "meant"),
    [("evry", "every"), ("triger", "triggers"), ("gate", "gates"), ("polcy", "policy"), ("notfy", "notify"),
     ("feature", "features"), ("windw", "window"), ("metrics", "metric"), ("guard", "guards")],
)  # fmt: skip
def test_a_field_that_does_not_exist_names_the_nearest(written, meant):
    assert f"Did you mean '{meant}'?" in refused(written, 1, **{written: 1})


@pytest.mark.parametrize(
    ("written", "meant"), [("autom", "auto"), ("advice", "advise"), ("approved", "approve")]
)
def test_an_act_that_does_not_exist_names_the_nearest(written, meant):
    assert f"Did you mean '{meant}'?" in refused("act", written)


def test_a_metric_that_does_not_exist_names_the_nearest():
    assert "Did you mean 'roc_auc'?" in refused("metric", "rocauc")
    assert "rk.Metric.of" in refused("metric", a_function)


def test_a_metric_of_another_task_is_refused():
    assert "this trainer does classification; give accuracy or" in refused("metric", "mae")
    with pytest.raises(DeclarationError, match="this trainer does regression"):
        loop(trainer=rk.Estimator(LinearRegression()), metric="accuracy")
    assert loop(metric="directional_accuracy").metric.name == "directional_accuracy"


@pytest.mark.parametrize(
    "url",
    [
        "tgram://123456:T0K3N/chat",
        "https://hooks.slack.com/services/T0K3N",
        "mailto://me:T0K3N@example.org",
        "json://user:T0K3N@localhost",
        "json://localhost/?token=T0K3N",
        "discord://id/T0K3N",
        "T0K3N",
        "",
    ],
)
def test_a_literal_credential_is_refused_and_never_shown(url):
    said = refused("notify", [url])
    assert "T0K3N" not in said
    assert "rk.env" in said


@pytest.mark.parametrize("url", ["json://localhost:8000/events", "syslog://", "xml://localhost"])
def test_urls_without_a_secret_may_be_written(url):
    assert loop(notify=[url]).notify == (url,)


def test_a_secret_by_its_name_is_never_shown(monkeypatch):
    monkeypatch.setenv("CHURN_TELEGRAM", "tgram://T0K3N")
    made = loop(notify=[rk.env("CHURN_TELEGRAM")])
    for shown in (repr(made), str(made.notify), str(made.declaration()), repr(vars(made))):
        assert "T0K3N" not in shown
    assert made.declaration()["notify"] == [{"env": "CHURN_TELEGRAM"}]
    assert made.notify[0].value() == "tgram://T0K3N"


@pytest.mark.parametrize("name", ["https://hooks/T0K3N", "tgram://T0K3N", "", "A B", "1A", None, 5])
def test_a_secret_itself_is_no_name(name):
    with pytest.raises(DeclarationError, match="name a variable") as caught:
        rk.env(name)
    assert "T0K3N" not in str(caught.value)


def test_functions_may_be_told():
    assert loop(notify=[a_function, lambda event: None]).notify[0] is a_function


def test_generators_do_for_lists():
    made = loop(
        triggers=(t for t in [rk.DataDrift()]), gates=iter([rk.NotWorse()]), features=(f for f in ("x", "z"))
    )
    assert (len(made.triggers), len(made.gates), made.features) == (1, 1, ("x", "z"))


def test_nothing_is_a_choice_too():
    made = loop(triggers=[], gates=[], guards=[], notify=[])
    assert (made.triggers, made.gates, made.guards) == ((), (), ())


def test_a_metric_of_ones_own_is_taken():
    own = rk.Metric.of(lambda label, predicted: 1.0, name="own", higher_is_better=True)
    assert loop(metric=own).metric is own


def test_a_policy_without_a_price_has_none():
    assert loop(policy=rk.Every(7)).price is None
