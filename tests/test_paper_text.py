"""The paper: its numbers come from results, what it names exists, and it is the same each time."""

import ast
import json
import re
from functools import cache
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import pytest

from analysis.forms import read_toml
from paper import __main__
from paper.figures import drawing as figures
from paper.manuscript import answers, claims, pdf, prose, published, typeset
from paper.manuscript.values import RESULTS, _span, values
from paper.questions import report
from proofs.registry import read as read_registry

ROOT = Path(__file__).parents[1]
REFERENCES = prose.TEXT / "references.bib"
SOFTWARE = prose.TEXT / "software.yml"

TEXTS = {path.name: path.read_text(encoding="utf-8") for path in prose.sources()}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with the paper's values, and pictures of usual shape for its figures."""
    out = tmp_path_factory.mktemp("paper")
    pdf.write_values(out)
    for name in pdf.FIGURES:
        figures.save(plt.figure(figsize=(8.5, 3.3)), out / "figures" / f"{name}.pdf")
    for file, _ in report.FIGURES.values():
        figures.save(plt.figure(figsize=(8.5, 4)), out / "figures" / file)
    pdf.draw_demo(out)
    return out


def copied(built: Path, out: Path, **changes: Any) -> Path:
    """Return a folder like the built one, with some of its values changed."""
    content = json.loads((built / "values.json").read_text(encoding="utf-8"))
    (out / "values.json").write_text(json.dumps({**content, **changes}), encoding="utf-8")
    (out / "figures").symlink_to(built / "figures")
    return out


def test_the_paper_compiles_to_the_same_bytes_anywhere(built: Path, tmp_path: Path) -> None:
    pictures = [pdf.typeset_pdf(out).read_bytes() for out in (built, copied(built, tmp_path))]
    assert pictures[0].startswith(b"%PDF")
    assert pictures[0] == pictures[1]
    assert not list(built.glob("*.part"))
    (count,) = re.findall(rb"/Type/Pages/Count (\d+)", pictures[0])
    assert 10 <= int(count) <= 16


def test_a_text_that_asks_for_what_is_not_there_does_not_compile(
    built: Path, tmp_path: Path
) -> None:
    out = copied(built, tmp_path, values={"version": "0"})
    with pytest.raises(ValueError, match=r"no value law\.published\.jump"):
        pdf.typeset_pdf(out)


def test_a_warning_is_an_error(built: Path, tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.mkdir()
    (text / "paper.typ").write_text('#set text(font: "Nothing of that name")\nA word.')
    with pytest.raises(ValueError, match="warnings"):
        pdf.typeset_pdf(copied(built, tmp_path / "text"), text=text)


def test_values_are_the_same_each_time() -> None:
    assert values() == values()


def test_a_range_of_ratios_is_of_those_that_were_judged() -> None:
    entries = [
        {"row": row, "ratio": ratio, "judged": judged}
        for row, ratio, judged in (
            ("a", 2.0, True),
            ("a", 1.0, True),
            ("a", 9.0, False),
            ("b", 5.0, True),
        )
    ]
    assert _span(entries, "a") == "1.00 to 2.00"
    assert _span(entries, "b") == "5.00"


def test_no_number_is_typed_into_the_text() -> None:
    prose.check()


@pytest.mark.parametrize(
    "planted",
    [
        "The accuracy was 0.87 in the end.",
        "It ran 3.1 times as long.",
        "In 7 of 9 runs it diverged.",
        "It was back after forty steps.",
        'Of #v("demo.seeds") seeds 12,345 steps.',
        '#fig("laws", caption: [A loss of 0.03.])',
        "The loss is $L = 0.031$.",
    ],
)
def test_a_measured_number_that_is_typed_is_found(planted: str) -> None:
    assert prose.stray_numbers(planted, prose.constants())


@pytest.mark.parametrize(
    "innocent",
    [
        'The gain is #v("law.published.jump").',
        "In binary32 and `float16 0.5` $r^2/2 <= 1/4$ @franca2020 <sec:2>.",
        "= 10 questions\n// 0.87",
        '#tab("steps", size: 7.5pt, columns: (2fr, 1.5fr))',
    ],
)
def test_names_and_mathematics_are_no_measured_numbers(innocent: str) -> None:
    assert prose.stray_numbers(innocent) == []


def test_mathematics_that_is_not_closed_is_an_error() -> None:
    with pytest.raises(ValueError, match="not closed"):
        prose.stray_numbers("One $x and 0.87.")


def test_every_constant_is_used_and_has_a_reason() -> None:
    rows = read_toml(prose.TEXT / "constants.toml", prose.FORM)["constant"]
    numbers = {number for text in TEXTS.values() for number in prose.stray_numbers(text)}
    assert {row["text"] for row in rows} <= numbers
    assert all(row["reason"] for row in rows)


def bibliography() -> set[str]:
    """Return the keys of everything that can be cited."""
    entries = re.findall(r"(?m)^@\w+\{([\w-]+),", REFERENCES.read_text(encoding="utf-8"))
    software = re.findall(r"(?m)^([\w-]+):$", SOFTWARE.read_text(encoding="utf-8"))
    assert len({*entries, *software}) == len(entries) + len(software)
    return {*entries, *software}


def test_every_work_is_cited_and_every_citation_is_a_work() -> None:
    keys = bibliography()
    cited = {key for text in TEXTS.values() for key in re.findall(r"@([\w-]+)(?![\w:-])", text)}
    cited |= {claim["source"] for claim in claims.read()}
    references = {"figure", "table", "question", "sec"}
    assert cited - references == keys


def test_works_that_have_to_be_cited_are() -> None:
    text = REFERENCES.read_text(encoding="utf-8")
    for number in (
        *("1903.04100", "2412.02291", "1609.04388", "2502.08532", "1809.05042", "2304.13013"),
        *("1804.04235", "1904.00962", "2102.06171", "2502.11034", "2504.02507", "2501.06842"),
        *("1905.11881", "1810.02263", "1810.13108", "2101.09192"),
    ):
        assert number in text


def functions_in(path: Path) -> set[str]:
    """Return the names of the functions in a file."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}


tables = cache(typeset.tables)


def exists(shown: str) -> bool:
    """Whether what is said to show a claim is there."""
    kind, _, name = shown.partition(":")
    if kind == "theorem":
        return name in read_registry()
    if kind == "test":
        path, _, function = name.partition("::")
        return (ROOT / path).exists() and function in functions_in(ROOT / path)
    if kind == "figure":
        return name in pdf.FIGURES
    if kind == "table":
        return name in tables()
    return name in answers.QUESTIONS


@pytest.mark.parametrize("claim", claims.read(), ids=lambda claim: str(claim["id"]))
def test_what_shows_a_published_sentence_exists(claim: dict[str, Any]) -> None:
    for shown in claim["by"]:
        assert exists(shown), shown


def test_what_does_not_exist_shows_nothing() -> None:
    assert not any(map(exists, ["theorem:no", "test:tests/no.py::no", "figure:no", "table:no"]))


def test_a_sentence_that_holds_is_not_shown_by_refutations_alone() -> None:
    entries = read_registry()
    for claim in claims.read():
        theorems = [
            name for kind, _, name in (s.partition(":") for s in claim["by"]) if kind == "theorem"
        ]
        kinds = {entries[name].kind for name in theorems}
        if claim["verdict"] == "holds" and len(theorems) == len(claim["by"]):
            assert "theorem" in kinds


def test_a_sentence_for_experiments_waits_for_them() -> None:
    asked = [claim for claim in claims.read() if claim["verdict"] == claims.ASKS]
    assert {c["verdict"] for c in claims.judged(asked, values(), {})} == {"not yet measured"}
    found = {claim["id"]: {"verdict": "holds", "because": "So it is."} for claim in asked}
    judged = claims.judged(asked, values(), found)
    assert {claim["verdict"] for claim in judged} == {"holds"}
    assert all(claim["because"].endswith("So it is.") for claim in judged)


def test_a_reason_or_a_verdict_about_nothing_is_refused() -> None:
    claim = {**claims.read()[0], "because": "It is {no.such.value}."}
    with pytest.raises(ValueError, match=r"no\.such\.value"):
        claims.judged([claim], values(), {})
    with pytest.raises(ValueError, match="no sentence"):
        claims.judged([claim], values(), {"no sentence": {"verdict": "holds", "because": ""}})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ('verdict = "fails"', "verdict='perhaps'"),
        ('by = ["theorem:', "by=\\['rumour:"),
        ('id = "maximum-update"', "an id twice"),
    ],
)
def test_claims_of_another_form_are_refused(change: str, message: str, tmp_path: Path) -> None:
    replaced = {
        'verdict = "fails"': 'verdict = "perhaps"',
        'by = ["theorem:': 'by = ["rumour:',
        'id = "maximum-update"': 'id = "similar-scaling"',
    }
    source = tmp_path / "claims.toml"
    text = claims.SOURCE.read_text(encoding="utf-8")
    source.write_text(text.replace(change, replaced[change]), encoding="utf-8")
    with pytest.raises(ValueError, match=message):
        claims.read(source)


def answered() -> dict[str, Any]:
    """Return answers to every question, one with a figure and a table."""
    questions: dict[str, Any] = {
        key: {
            **dict.fromkeys(("asked", "statistic"), "What, by what?"),
            "verdict": "wider",
            "answer": f"Answer to {key}: **0.5** [0.4, 0.6].",
            "table": [["method", "decades"], ["`Adam`", "1.5"]],
        }
        for key in answers.QUESTIONS
    }
    questions["windows"] |= {"figure": "laws.pdf", "caption": "A figure of 3 windows."}
    return {
        "environment": "Measured in 3 runs.",
        "abstract": "One setting suffices.",
        "questions": questions,
        "claims": {"rnns": {"verdict": "fails", "because": "It did not."}},
    }


def test_answers_stand_where_they_are_asked_for(built: Path, tmp_path: Path) -> None:
    results = tmp_path / "results"
    results.mkdir()
    (results / "answers.json").write_text(json.dumps(answered()), encoding="utf-8")
    found = answers.filled(answers.read(results))
    out = tmp_path / "out"
    out.mkdir()
    path = pdf.typeset_pdf(copied(built, out, answers=found))
    assert path.read_bytes() != pdf.typeset_pdf(built).read_bytes()


def test_answers_of_another_form_are_refused(tmp_path: Path) -> None:
    wrong = answered()
    del wrong["questions"]["spikes"]["verdict"]
    (tmp_path / "answers.json").write_text(json.dumps(wrong), encoding="utf-8")
    with pytest.raises(ValueError, match="spikes"):
        answers.read(tmp_path)
    assert answers.read(tmp_path / "nothing") is None


def test_a_question_without_an_answer_says_what_measures_it(tmp_path: Path) -> None:
    some = answered()
    del some["questions"]["spikes"]
    (tmp_path / "answers.json").write_text(json.dumps(some), encoding="utf-8")
    found = answers.filled(answers.read(tmp_path))["questions"]
    assert found["spikes"]["answer"] == answers.NOT_YET
    assert found["windows"]["answer"] != answers.NOT_YET


def test_every_figure_is_shown() -> None:
    shown = {name for text in TEXTS.values() for name in re.findall(r'#fig\("(\w+)"', text)}
    assert shown == {*pdf.FIGURES, "demo"}


def test_every_table_is_shown() -> None:
    shown = {name for text in TEXTS.values() for name in re.findall(r'#tab\("([\w-]+)"', text)}
    assert shown == set(tables())


def test_the_published_benchmark_is_the_authors() -> None:
    """Gravity wins 6 of 10 cells; CIFAR-100 fine on VGG19 is .491 against .316 for Adam."""
    found = published.read(RESULTS)
    assert published.wins(found) == 6
    last = {"data": "CIFAR-100, fine", "network": "VGG19", "RMSprop": 0.3584}
    assert found["runs"][-1] == {**last, "Gravity": 0.4910, "Adam": 0.3164}


def test_a_figure_for_print_has_no_date(tmp_path: Path) -> None:
    for name in ("one.pdf", "two.pdf"):
        figures.save(plt.figure(figsize=(4, 2)), tmp_path / name)
    assert (tmp_path / "one.pdf").read_bytes() == (tmp_path / "two.pdf").read_bytes()
    assert b"CreationDate" not in (tmp_path / "one.pdf").read_bytes()


def test_the_command_builds_everything(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def picture(path: Path) -> None:
        figures.save(plt.figure(figsize=(4, 2)), path)

    monkeypatch.setattr("paper.manuscript.pdf.FIGURES", dict.fromkeys(pdf.FIGURES, picture))
    __main__.main(["--out", str(tmp_path)])
    files = (
        path for path in tmp_path.rglob("*") if path.is_file() and "pytask" not in path.as_posix()
    )
    made = {path: path.stat().st_mtime_ns for path in files}
    assert tmp_path / "paper.pdf" in made
    assert "paper.pdf" in capsys.readouterr().out
    __main__.main(["--out", str(tmp_path)])
    assert {path: path.stat().st_mtime_ns for path in made} == made  # all is up to date


def test_a_gpus_table_is_of_kernels_and_empty_where_none_is_measured(tmp_path: Path) -> None:
    assert typeset.gpu_steps(tmp_path) == []
    head, *body = typeset.gpu_steps(RESULTS)
    assert head[0] == "a step with"
    assert len(body) == 4
    assert all(row[0].endswith(", fused") for row in body)
