"""The pages as HTML. Pure: what is shown comes in, nothing is asked for."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from trainyard_api.meta import Condition
from trainyard_api.modelservice import HistoryEntry, RevisionStatus
from trainyard_api.rollout import CanaryStatus
from trainyard_operator.cluster.port import Manifest
from trainyard_operator.page.curves import MOST_LINES, Series, number, picture, sparkline
from trainyard_operator.page.histories import series
from trainyard_operator.page.markup import Child, Markup, element, together
from trainyard_operator.page.objects import Service, Training, age, differing, settings

_GOOD, _BAD = {"Succeeded", "Ready"}, {"Failed", "Degraded"}
_ACTIVE = {"Running", "Exporting", "Starting", "Progressing"}
_NUMBER_COLUMNS = frozenset(
    {"Progress", "Loss", "Time left", "Age", "Ago", "Next", "Canary", "Replicas", "Ready", "Exit code"}
)


@dataclass(frozen=True, slots=True)
class Frame:
    """What every page has around it."""

    user: str
    now: datetime


def overview(
    frame: Frame, trainings: Sequence[Training], services: Sequence[Service], chosen: str, namespaces: Sequence[str]
) -> Markup:
    """Return the first page: trainings and services in two tables."""
    several = len({*(each.namespace for each in trainings), *(each.namespace for each in services)}) > 1
    return document(
        frame,
        "Trainyard",
        element("h1", "Trainings and services"),
        _filter(chosen, namespaces),
        element(
            "div",
            _section("trainings", "Trainings", _trainings(frame, trainings, several)),
            _section("services", "Services", _services(frame, services, several)),
            class_="columns",
        ),
    )  # fmt: skip


def one_training(frame: Frame, training: Training, events: Sequence[Manifest] | None) -> Markup:
    """Return the story of a training, from its state to its events."""
    return document(
        frame,
        f"{training.name} · Trainyard",
        element("h1", training.sentence()),
        _problem(training.problem),
        element("h2", "Loss"),
        picture(lines_of(training), f"Loss of {training.name}"),
        _since(training),
        element("h2", "Numbers"),
        _pairs(_numbers(training)),
        _card(training),
        element("h2", "Attempts") if training.status.attempts else None,
        _attempts(training),
        element("h2", "Settings"),
        _pairs(settings(training.spec)),
        _conditions(training.status.conditions, frame),
        _events(events, frame),
    )


def _card(training: Training) -> Markup | None:
    if training.status.model is None:
        return None
    # The card lies in the store, which the operator never reads.
    command = f"trainyard card {training.name} --namespace {training.namespace}"
    return element("p", "Read the model card: ", element("code", command))


def one_service(frame: Frame, service: Service, events: Sequence[Manifest] | None) -> Markup:
    """Return the story of a service, from its state to its events."""
    status = service.status
    return document(
        frame,
        f"{service.name} · Trainyard",
        element("h1", service.sentence()),
        _problem(service.problem),
        element("h2", "Rollout"),
        _revisions(status.current, status.next),
        _pairs({"replicas that answer": status.ready, "REST": status.url or "-", "gRPC": status.grpc or "-"}),
        _canary(status.canary, frame),
        element("h2", "Versions"),
        _history(status.history, frame),
        element("h2", "Settings"),
        _pairs(settings(service.spec)),
        _conditions(status.conditions, frame),
        _events(events, frame),
    )


def comparison(frame: Frame, trainings: Sequence[Training]) -> Markup:
    """Return several trainings side by side: their curves on one pair of axes, what differs, and how they ended."""
    names = [each.name for each in trainings]
    metrics = sorted({name for each in trainings for name in each.metrics})
    rows = [(name, [each.metrics.get(name, "-") for each in trainings]) for name in metrics]
    best = [Series(each.name, series(each.curve.points, "loss") if each.curve else []) for each in trainings]
    return document(
        frame,
        "Comparison · Trainyard",
        element("h1", f"Comparison of {', '.join(names)}" if names else "Choose trainings to compare"),
        element("h2", "Training loss"),
        picture(best, "Training loss"),
        element("h2", "Metrics"),
        _beside("metric", names, rows),
        element("h2", "Settings that differ"),
        _beside("setting", names, differing([each.spec for each in trainings])),
    )


def sign_in(problem: str = "") -> Markup:
    """Return the form that takes a token."""
    return document(
        None,
        "Sign in · Trainyard",
        element("h1", "Sign in"),
        element("p", problem, class_="problem", role="alert") if problem else None,
        element("p", "You see here what your Kubernetes account may list. Paste a bearer token of it:"),
        element("pre", "kubectl create token NAME --namespace NAMESPACE --duration 8h"),
        element(
            "form",
            element("label", "Token", for_="token"),
            element("input", id="token", name="token", type="password", required=True, autocomplete="off"),
            element("button", "Sign in", type="submit"),
            method="post", action="/sign-in", class_="sign-in",
        ),
    )  # fmt: skip


def trouble(frame: Frame | None, title: str, advice: str) -> Markup:
    """Return a page that says what is wrong and what to do."""
    return document(frame, f"{title} · Trainyard", element("h1", title), element("p", advice))


def document(frame: Frame | None, title: str, *content: Child) -> Markup:
    """Return a whole page."""
    account = None
    if frame is not None:
        leave = element("button", "Sign out", type="submit", class_="link")
        account = element("form", element("span", frame.user, class_="quiet"), leave, method="post", action="/sign-out")
    head = element(
        "head",
        element("meta", charset="utf-8"),
        element("meta", name="viewport", content="width=device-width, initial-scale=1"),
        element("title", title),
        element("link", rel="icon", href="/icon.svg", type="image/svg+xml"),
        element("link", rel="stylesheet", href="/style.css"),
        element("script", src="/live.js", defer=True) if frame is not None else None,
    )
    skip = element("a", "To the content", href="#content", class_="skip")
    bar = element("header", element("a", "Trainyard", href="/", class_="home"), account)
    body = element("body", skip, bar, element("main", *content, id="content", tabindex="-1"))
    return together(Markup("<!doctype html>"), element("html", head, body, lang="en"))


def lines_of(training: Training) -> list[Series]:
    """Return the curves of one training."""
    if training.curve is None:
        return []
    points = training.curve.points
    return [Series("loss", series(points, "loss")), Series("val_loss", series(points, "val_loss"))]


def _section(id_: str, title: str, content: Markup) -> Markup:
    return element("section", element("h2", title, id=id_), content, aria_labelledby=id_)


def _filter(chosen: str, namespaces: Sequence[str]) -> Markup | None:
    if len(namespaces) < 2:
        return None
    options = [element("option", "all namespaces", value="")]
    options += [element("option", name, value=name, selected=name == chosen) for name in namespaces]
    return element(
        "form",
        element("label", "Namespace ", for_="namespace"),
        element("select", *options, id="namespace", name="namespace"),
        element("button", "Show", type="submit"),
        method="get", action="/", class_="filter",
    )  # fmt: skip


def _trainings(frame: Frame, trainings: Sequence[Training], several: bool) -> Markup:
    if not trainings:
        return element("p", "No training that you may see.", class_="quiet")
    heads = ["", "Name", *(["Namespace"] if several else []), "State", "Progress", "Curve", "Loss", "Time left", "Age"]
    rows = [element("tr", *_training_cells(frame, each, several)) for each in trainings]
    compare = element("p", element("button", f"Compare the chosen (up to {MOST_LINES})", type="submit"))
    return element("form", _table(heads, rows, id_="training-rows"), compare, method="get", action="/compare")


def _training_cells(frame: Frame, training: Training, several: bool) -> list[Markup]:
    progress = training.status.progress
    key = f"{training.namespace}/{training.name}"
    box = element(
        "input", type="checkbox", name="job", value=key, id=f"job/{key}", aria_label=f"compare {training.name}"
    )
    curve = series(training.curve.points, "loss") if training.curve else []
    cells = [
        element("td", box),
        element("th", element("a", training.name, href=training.path), scope="row"),
        element("td", training.namespace) if several else None,
        element("td", _state(training.status.phase), _reason(training)),
        element("td", f"{progress.percent} %" if progress else "-", class_="number"),
        element("td", sparkline(curve)),
        element("td", training.loss or "-", class_="number"),
        element(
            "td", (progress.eta if progress and training.status.phase == "Running" else None) or "-", class_="number"
        ),
        element("td", age(training.created, frame.now), class_="number"),
    ]
    return [cell for cell in cells if cell is not None]


def _reason(training: Training) -> Markup | None:
    """Return the one word beside the state that says why it is no better."""
    wrong = training.problem.partition(":")[0]
    return element("small", wrong) if wrong else None


def _services(frame: Frame, services: Sequence[Service], several: bool) -> Markup:
    if not services:
        return element("p", "No service that you may see.", class_="quiet")
    heads = ["Name", *(["Namespace"] if several else []), "State", "Version", "Next", "Canary", "Replicas", "Age"]
    rows = []
    for each in services:
        current, following = each.status.current, each.status.next
        cells = [
            element("th", element("a", each.name, href=each.path), scope="row"),
            element("td", each.namespace) if several else None,
            element("td", _state(each.status.phase)),
            element("td", current.model_version if current else "-"),
            element("td", following.model_version if following else "-", class_="number"),
            element("td", f"{canary.weight} %" if (canary := each.status.canary) else "-", class_="number"),
            element("td", each.status.ready, class_="number"),
            element("td", age(each.created, frame.now), class_="number"),
        ]
        rows.append(element("tr", *cells))
    return _table(heads, rows, id_="service-rows")


def _state(phase: str) -> Markup:
    tone = "good" if phase in _GOOD else "bad" if phase in _BAD else "active" if phase in _ACTIVE else "idle"
    return element("span", phase, class_=f"state {tone}")


def _problem(problem: str) -> Markup | None:
    return element("p", problem, class_="problem", id="problem") if problem else None


def _since(training: Training) -> Markup | None:
    if training.curve is None:
        return None
    told = f"As the operator has seen it since {training.curve.since:%Y-%m-%d %H:%M} UTC; "
    return element(
        "p", told, element("code", f"trainyard curve {training.name}"), " draws every epoch.", class_="quiet"
    )


def _numbers(training: Training) -> dict[str, str]:
    progress, model = training.status.progress, training.status.model
    found = {}
    if progress:
        found["epoch"] = progress.summary
        found["step"] = f"{progress.step:,} of {progress.steps:,}"
        if progress.samples_per_second is not None:
            found["rows a second"] = f"{progress.samples_per_second:,}"
    found |= {
        name: number(value) if (value := _float(text)) is not None else text
        for name, text in sorted(training.metrics.items())
    }
    if model:
        found |= {"model": f"{model.name} version {model.version}", "at": model.uri, "digest": model.digest}
    found["GPUs"] = str(training.status.gpus)
    return found


def _float(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _attempts(training: Training) -> Markup | None:
    if not training.status.attempts:
        return None
    rows = [
        element(
            "tr",
            element("th", one.n, scope="row"),
            element("td", _state(one.outcome)),
            element("td", one.started or "-"),
            element("td", one.ended or "-"),
            element("td", "-" if one.exit_code is None else one.exit_code, class_="number"),
            element("td", one.node or "-"),
        )
        for one in training.status.attempts[-20:]
    ]
    return _table(["Attempt", "Outcome", "Started", "Ended", "Exit code", "Node"], rows, id_="attempts")


def _revisions(current: RevisionStatus | None, following: RevisionStatus | None) -> Markup:
    rows = [
        element(
            "tr",
            element("th", role, scope="row"),
            element("td", one.model_version),
            element("td", one.ready, class_="number"),
            element("td", one.training_job or "-"),
            element("td", element("code", one.uri)),
        )
        for role, one in (("serves", current), ("comes up", following))
        if one is not None
    ]
    if not rows:
        return element("p", "No version yet.", class_="quiet")
    return _table(["", "Version", "Ready", "Trained by", "At"], rows, id_="revisions")


def _canary(canary: CanaryStatus | None, frame: Frame) -> Markup | None:
    """Return what is known of the version that is tried, its numbers beside those of the one that serves."""
    if canary is None:
        return None
    analysis = canary.analysis
    pairs = {
        "step": f"{canary.step} of {canary.steps}",
        "share of the requests": f"{canary.achieved} % (wanted: {canary.weight} %)",
        "replicas": f"{canary.ready}/{canary.replicas}",
        "at this step for": age(canary.since, frame.now),
    }
    if analysis is None:
        return together(element("h2", "Canary"), _pairs(pairs))
    samples = (analysis.stable, analysis.canary)
    rows = [
        ("requests", [f"{each.requests:,}" for each in samples]),
        ("errors", [f"{each.errors:,}" for each in samples]),
        ("error rate", [f"{each.errors / each.requests:.2%}" if each.requests > 0 else "-" for each in samples]),
        ("latency", [each.latency or "-" for each in samples]),
    ]
    verdict = element("p", f"{analysis.verdict}: {analysis.message}")
    return together(element("h2", "Canary"), _pairs(pairs), verdict, _beside("measure", ["stable", "canary"], rows))


def _history(entries: Sequence[HistoryEntry], frame: Frame) -> Markup:
    if not entries:
        return element("p", "None yet.", class_="quiet")
    rows = [
        element(
            "tr",
            element("th", one.model_version, scope="row"),
            element("td", one.outcome),
            element("td", one.training_job or "-"),
            element("td", one.message or "-", class_="words"),
            element("td", age(one.time, frame.now), class_="number"),
        )
        for one in entries
    ]
    return _table(["Version", "Outcome", "Trained by", "Why", "Age"], rows, id_="versions")


def _conditions(conditions: Sequence[Condition], frame: Frame) -> Markup | None:
    if not conditions:
        return None
    rows = [
        element(
            "tr",
            element("th", one.type, scope="row"),
            element("td", one.status),
            element("td", one.reason),
            element("td", one.message or "-", class_="words"),
            element("td", age(one.last_transition_time, frame.now), class_="number"),
        )
        for one in conditions
    ]
    return together(
        element("h2", "Conditions"), _table(["Type", "Status", "Reason", "Message", "Age"], rows, id_="conditions")
    )


def _events(events: Sequence[Manifest] | None, frame: Frame) -> Markup:
    title = element("h2", "Events")
    if events is None:
        return together(title, element("p", "You may not list events in this namespace.", class_="quiet"))
    if not events:
        return together(title, element("p", "None; Kubernetes keeps them for an hour.", class_="quiet"))
    rows = [
        element(
            "tr",
            element(
                "td", age(str(each.get("lastTimestamp") or each.get("eventTime") or ""), frame.now), class_="number"
            ),
            element("td", str(each.get("type", ""))),
            element("td", str(each.get("reason", ""))),
            element("td", str(each.get("message", "")), class_="words"),
        )
        for each in events
    ]
    return together(title, _table(["Ago", "Type", "Reason", "Message"], rows, id_="events"))


def _beside(what: str, names: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]]) -> Markup:
    written = [
        element("tr", element("th", name, scope="row"), *(element("td", value, class_="number") for value in values))
        for name, values in rows
    ]
    if not written:
        return element("p", "None.", class_="quiet")
    return _table([what, *names], written, id_=f"{what}-rows", numbers=names)


def _pairs(pairs: Mapping[str, str]) -> Markup:
    rows = [element("div", element("dt", name), element("dd", value)) for name, value in pairs.items()]
    return element("dl", *rows)


def _head(text: str, *, numbers: Collection[str]) -> Markup:
    if not text:
        return element("td")
    return element("th", text, scope="col", class_="number" if text in numbers else None)


def _table(
    heads: Sequence[str], rows: Sequence[Markup], *, id_: str, numbers: Collection[str] = _NUMBER_COLUMNS
) -> Markup:
    head = element("thead", element("tr", *(_head(each, numbers=numbers) for each in heads)))
    return element(
        "div",
        element("table", head, element("tbody", *rows, id=id_)),
        class_="wide",
        tabindex="0",
        role="region",
        aria_label=id_.replace("-", " "),
    )
