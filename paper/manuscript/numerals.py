"""How the paper writes numbers."""


def scientific(value: float, digits: int = 1) -> str:
    """Return a number as it is read: 0.0092, 6,552, 1.8·10¹⁸.

    Parameters
    ----------
    value
        Any finite number.
    digits
        Digits after the first where it is written with a power of ten; one more where it is not.
    """
    if value == 0 or 1e-3 <= abs(value) < 1e5:  # noqa: PLR2004
        return f"{value:.{digits + 2}g}" if abs(value) < 1e3 else f"{value:,.0f}"  # noqa: PLR2004
    mantissa, _, power = f"{value:.{digits}e}".partition("e")
    raised = str(int(power)).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))
    return f"10{raised}" if float(mantissa) == 1 else f"{mantissa}·10{raised}"
