"""Has Coq and Gappa check every source, every registered statement and its axioms."""

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from ..entry import Entry
from . import conformance
from .record import COQ, GAPPA, PROOFS, digest, sources, statements

BUILD = PROOFS.parent / "build" / "proofs"

PACKAGES = (
    "coq",
    "gappa",
    "libcoq-coquelicot",
    "libcoq-flocq",
    "libcoq-gappa",
    "libcoq-interval",
)
SIZE = "1.1 GB"

AXIOMS: Mapping[str, str] = {
    "ClassicalDedekindReals.sig_forall_dec": "the real numbers: a predicate on numbers decides",
    "ClassicalDedekindReals.sig_not_dec": "the real numbers: a double negation decides",
    "FunctionalExtensionality.functional_extensionality_dep": "equal values make equal functions",
    "Classical_Prop.classic": "excluded middle",
}
"""Allowed axioms, and what they say; all are of Coq's own library."""

NOTATION = r"(?<!Local )(?:Notation|Infix|Coercion)\b"
"""What would change how the registered statements are read; a local one is gone where they are."""

FORBIDDEN = (
    "Admitted",
    "admit",
    "Axiom",
    "Axioms",
    "Parameter",
    "Parameters",
    "Conjecture",
    "Abort",
    "Unset",
    "bypass_check",
)
"""Words that no source may contain: what they leave unproved."""

SECONDS = 600
"""The longest any one command may take."""

FIELD = "From Coq Require Import Reals Field.\n"
HINT = r"""Lemma \1.
Proof.
unfold Float1 in *. intros.
match goal with H : (1 + ?q)%R <> 0%R |- _ => set (square := q) in *; clearbody square end.
field; repeat split; assumption.
Qed."""
"""What proves a rewriting that a source tells Gappa, and which its certificate only assumes."""

HERE = ("-Q", ".", "Subluminal")

IMPORTS = {
    "reals": "From Coq Require Import Reals.\nFrom Coquelicot Require Import Coquelicot.\n",
    "floats": "From Coq Require Import Reals ZArith List.\n"
    "From Flocq Require Import Core BinarySingleNaN.\n",
}
"""What a file of statements begins with; Coquelicot and Flocq have an `is_finite` each."""


def install() -> None:
    """Install the packages that are missing, after saying so.

    Raises
    ------
    FileNotFoundError
        If the system has no apt.
    """
    if all(map(shutil.which, ("coqc", "coqchk", "gappa"))):
        return
    if shutil.which("apt-get") is None:
        raise FileNotFoundError(f"no apt-get: expected {', '.join(PACKAGES)} to be installed")
    _say(f"Installing {', '.join(PACKAGES)} from the system's packages: about {SIZE}.")
    root = [] if os.geteuid() == 0 else ["sudo"]
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    for arguments in (["update"], ["install", "--yes", "--no-install-recommends", *PACKAGES]):
        command = [*root, "apt-get", "--quiet", *arguments]
        subprocess.run(command, check=True, env=environment, timeout=1800)


def run(entries: Iterable[Entry]) -> Mapping[str, Any]:
    """Check everything, and return the record of it.

    Raises
    ------
    subprocess.CalledProcessError, subprocess.TimeoutExpired
        If a source is wrong or takes too long.
    ValueError
        If a source leaves something unproved, a theorem rests on an axiom that is not allowed, or
        Gappa's formula is not the registered one.
    """
    start, entries = time.perf_counter(), list(entries)
    for path in sources():
        refuse_unproved(path)
    shutil.rmtree(BUILD, ignore_errors=True)
    shutil.copytree(COQ, BUILD, ignore=lambda _, names: [n for n in names if _is_made(n)])
    found = sorted(str(path.relative_to(BUILD)) for path in BUILD.rglob("*.v"))
    files = _output("coqdep", *HERE, "-sort", *found).split()
    seconds = {file: _coqc(file) for file in files}
    seconds |= {f"{entry.id}.g": _bound(entry) for entry in entries if entry.gappa}
    axioms: dict[str, list[str]] = {}
    for domain in ("reals", "floats"):
        modules = [Path(file).stem for file in files if Path(file).parts[0] == domain]
        axioms |= _registered(domain, modules, [e for e in entries if e.domain == domain])
    _written("Conformance.v", conformance.coq_source())
    seconds["Conformance.v"] = _coqc("Conformance.v")
    modules = [".".join(["Subluminal", *Path(file).with_suffix("").parts]) for file in files]
    seconds["coqchk"] = _timed("coqchk", "-silent", *HERE, *modules)
    return {
        "commit": _commit(),
        "digest": digest(),
        "versions": _versions(),
        "seconds": {**seconds, "all": round(time.perf_counter() - start, 1)},
        "axioms": axioms,
        "statements": {k: v for entry in entries for k, v in statements(entry).items()},
    }


def refuse_unproved(path: Path) -> None:
    """Refuse a source in which something is left unproved.

    Raises
    ------
    ValueError
        Naming the word that leaves it so.
    """
    text = re.sub(r"\(\*.*?\*\)", "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
    found = sorted(set(re.findall(r"[A-Za-z_]+", text)) & set(FORBIDDEN))
    found += re.findall(NOTATION, text)
    if found:
        raise ValueError(f"{path.name} has {found}: expected nothing that is left unproved")


def refuse_axioms(name: str, axioms: Collection[str]) -> None:
    """Refuse axioms that are not in `AXIOMS`.

    Raises
    ------
    ValueError
        Naming the theorem and the axioms.
    """
    foreign = sorted(set(axioms) - set(AXIOMS))
    if foreign:
        raise ValueError(f"{name} rests on {foreign}: expected axioms among {sorted(AXIOMS)}")


def axioms_in(printed: str) -> list[list[str]]:
    """Return the axioms of each `Print Assumptions`, from what Coq printed.

    What else a theorem rests on, a check that was switched off for instance, is a line of its own.
    """
    blocks = re.split(r"^(?=Axioms:|Closed under the global context)", printed, flags=re.MULTILINE)
    lines = [re.findall(r"^\S.*$", b.partition("\n")[2], re.MULTILINE) for b in blocks[1:]]
    return [[re.sub(r"^([\w.']+)(?: :.*)?$", r"\1", line) for line in some] for some in lines]


def _registered(domain: str, modules: list[str], entries: list[Entry]) -> dict[str, list[str]]:
    """Have Coq compare every statement with the registered one; return the axioms of each."""
    stated = {k: v for entry in entries if entry.coq for k, v in entry.coq.statements.items()}
    head = f"{IMPORTS[domain]}From Subluminal.{domain} Require Import {' '.join(modules)}.\n"
    checks = [f"Check ({name} : {statement})." for name, statement in stated.items()]
    _written(f"Statements_{domain}.v", f"{head}Open Scope R_scope.\n" + "\n".join(checks))
    _coqc(f"Statements_{domain}.v")
    prints = [f"Print Assumptions {name}." for name in stated]
    _written(f"Axioms_{domain}.v", head + "\n".join(prints))
    printed = _output("coqc", "-q", *HERE, f"Axioms_{domain}.v")
    found = dict(zip(stated, axioms_in(printed), strict=True))
    for name, axioms in found.items():
        refuse_axioms(name, axioms)
    return {name: sorted(axioms) for name, axioms in found.items()}


def _bound(entry: Entry) -> float:
    """Have Gappa prove a bound and Coq check its certificate; return the seconds it took.

    Raises
    ------
    ValueError
        If the formula is not the registered one, or its certificate rests on other axioms.
    """
    start, source = time.perf_counter(), GAPPA / f"{entry.id}.g"
    text = re.sub(r"#.*", "", source.read_text(encoding="utf-8"))
    formula = re.search(r"\{(.*?)\}", text, flags=re.DOTALL)
    if formula is None or formula[1].split() != entry.gappa.split():
        raise ValueError(f"{entry.id}.g proves {formula and formula[1]}: expected {entry.gappa}")
    name = entry.id.replace("-", "_")
    certificate = _output("gappa", "-Bcoq", str(source))
    certificate = re.sub(r"(?m)^Hypothesis (\w+ : .*)\.$", HINT, certificate)
    theorem = re.findall(r"^(?:Lemma|Theorem) (\w+)", certificate, re.MULTILINE)[-1]
    _written(f"{name}.v", f"{FIELD}{certificate}\nPrint Assumptions {theorem}.\n")
    (axioms,) = axioms_in(_output("coqc", "-q", *HERE, f"{name}.v"))
    refuse_axioms(entry.id, axioms)
    return round(time.perf_counter() - start, 1)


def _is_made(name: str) -> bool:
    """Return whether a file's name is one that Coq has made."""
    return "." in name and not name.endswith(".v")


def _written(name: str, text: str) -> None:
    (BUILD / name).write_text(text, encoding="utf-8")


def _coqc(file: str) -> float:
    return _timed("coqc", "-q", *HERE, file)


def _timed(*command: str) -> float:
    start = time.perf_counter()
    _output(*command)
    return round(time.perf_counter() - start, 1)


def _output(*command: str) -> str:
    """Run a command in the folder of the build, and return what it prints."""
    _say(" ".join(command)[:100])
    done = subprocess.run(
        command, cwd=BUILD, capture_output=True, text=True, timeout=SECONDS, check=False
    )
    if done.returncode:
        _say(done.stdout + done.stderr)
        done.check_returncode()
    return done.stdout


def _versions() -> dict[str, str]:
    """Return the versions of the packages, as the system has them installed."""
    listed = _output("dpkg-query", "--show", "--showformat=${Package} ${Version}\n", *PACKAGES)
    return dict(line.split() for line in listed.splitlines())


def _commit() -> str:
    """Return the commit that is checked out, and whether the working tree differs from it."""
    command = ["git", "describe", "--always", "--dirty", "--abbrev=12"]
    done = subprocess.run(
        command, cwd=PROOFS, capture_output=True, text=True, timeout=60, check=False
    )
    return done.stdout.strip() or "unknown"


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
