"""A theorem or a refutation, as the registry has it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Coq:
    """A theorem in proofs/coq.

    Attributes
    ----------
    name, type
        What it is called, and its statement.
    mutant, mutant_type
        The refutation of the same statement about something broken; empty for refutations.
    """

    name: str
    type: str
    mutant: str = ""
    mutant_type: str = ""

    @property
    def statements(self) -> dict[str, str]:
        """What Coq has to have: name → statement."""
        return {self.name: self.type, **({self.mutant: self.mutant_type} if self.mutant else {})}


@dataclass(frozen=True)
class Entry:
    """A theorem, or a refutation of what has been claimed.

    Attributes
    ----------
    id
        Its name everywhere: in tests, tables and the formulas.
    statement, latex
        What is stated, in words and as a formula.
    kind
        "theorem" or "refutation".
    domain
        What the numbers are: "reals" or "floats".
    methods
        What proves it: keys of `methods.METHODS`.
    test
        The test that samples it, as pytest names it.
    formats
        Of floats, the formats and rounding modes that it is about.
    law
        Key of the law it is about, empty for none.
    assumes
        What it takes for granted beside what its methods do.
    witness
        Of a refutation, where the claim fails, in words.
    mutant
        Of a theorem that its methods have none for, where a stronger claim fails, in words.
    coq
        What Coq checks of it.
    gappa
        The formula that Gappa proves, as it stands in proofs/gappa/<id>.g.
    """

    id: str
    statement: str
    latex: str
    kind: str
    domain: str
    methods: tuple[str, ...]
    test: str
    formats: str = ""
    law: str = ""
    assumes: str = ""
    witness: str = ""
    mutant: str = ""
    coq: Coq | None = None
    gappa: str = ""
