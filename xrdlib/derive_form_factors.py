"""Derive tables/form_factors.json: X-ray scattering factors of the neutral atoms.

The nine numbers an element (a1..a4, b1..b4, c) are those of International Tables for
Crystallography vol. C (1992), table 6.1.1.4, as gemmi carries them:
f(s) = sum a_i exp(-b_i s^2) + c with s = sin(theta) / lambda.
"""

import json

N_ELEMENTS = 98


def table():
    """Nested lists {"a": (98, 4), "b": (98, 4), "c": (98,)}, hydrogen first."""
    import gemmi

    factors = [gemmi.Element(z).it92 for z in range(1, N_ELEMENTS + 1)]
    return {
        "a": [list(f.a) for f in factors],
        "b": [list(f.b) for f in factors],
        "c": [f.c for f in factors],
    }


def derive():
    """The text of tables/form_factors.json."""
    return json.dumps(table(), separators=(",", ":")) + "\n"
