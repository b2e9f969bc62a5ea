"""Elements as minerals use them: how often, how much room they take, how close they come."""

from functools import cache

import numpy as np

# Symbol, atomic number, frequency, volume, radius. Frequency and volume were measured for this
# table on the 9,224 readable structures of the American Mineralogist Crystal Structure Database
# (the selection in xraylarch 0.9.80): per cent of its 1,702 minerals that contain the element
# (from 0.25 on; hydrogen, which X-rays hardly see, left out), and the cell volume an atom adds in
# cubic angstrom (linear least squares; 12 % residual). Radius: covalent, angstrom (B. Cordero et
# al., Dalton Trans. 2008, 2832).
_TABLE = """
Li  3  1.77 10.1 1.28  Be  4  1.86  7.5 0.96  B   5  3.12  6.9 0.84
C   6  6.94  6.1 0.73  N   7  1.63  9.9 0.71  O   8 64.24  9.4 0.66
F   9  6.20 11.0 0.57  Na 11  7.79 18.8 1.66  Mg 12  8.40  9.4 1.41
Al 13 10.87  9.6 1.21  Si 14 16.02 13.2 1.11  P  15  7.28 17.4 1.07
S  16 19.26 21.5 1.05  Cl 17  7.54 27.3 1.02  K  19  4.64 34.2 2.03
Ca 20 14.23 20.5 1.76  Sc 21  0.72 18.0 1.70  Ti 22  5.10 12.5 1.60
V  23  3.49 13.2 1.53  Cr 24  2.61 10.1 1.39  Mn 25  7.26 12.3 1.39
Fe 26 17.56 11.1 1.32  Co 27  2.39 10.7 1.26  Ni 28  4.67 10.5 1.24
Cu 29 12.58 12.1 1.32  Zn 30  5.15 16.0 1.22  Ge 32  0.80 17.4 1.20
As 33 10.34 20.7 1.19  Se 34  3.44 24.8 1.20  Br 35  0.54 32.0 1.20
Rb 37  0.27 40.5 2.20  Sr 38  1.61 24.5 1.95  Y  39  1.43 20.0 1.90
Zr 40  1.35 16.5 1.75  Nb 41  2.43 16.5 1.64  Mo 42  0.78 15.6 1.54
Ru 44  0.30 11.5 1.46  Rh 45  0.55 12.0 1.42  Pd 46  1.97 13.8 1.39
Ag 47  3.69 16.9 1.45  Cd 48  0.69 22.2 1.44  In 49  0.50 24.6 1.42
Sn 50  3.16 24.2 1.39  Sb 51  5.75 26.0 1.39  Te 52  4.45 31.8 1.38
I  53  0.71 42.0 1.39  Cs 55  0.60 49.2 2.44  Ba 56  3.11 30.3 2.15
La 57  1.07 24.3 2.07  Ce 58  1.78 28.3 2.04  Pr 59  0.34 25.0 2.03
Nd 60  0.58 23.9 2.01  Sm 62  0.38 25.3 1.98  Eu 63  0.26 26.5 1.98
Gd 64  0.25 26.6 1.96  Yb 70  0.38 20.9 1.87  Ta 73  2.40 18.0 1.70
W  74  1.15 17.3 1.62  Os 76  0.43 13.0 1.44  Ir 77  0.52 13.4 1.41
Pt 78  1.63 14.9 1.36  Au 79  1.11 17.3 1.36  Hg 80  2.65 26.3 1.32
Tl 81  1.18 28.5 1.45  Pb 82  8.15 28.7 1.46  Bi 83  4.95 29.1 1.48
Th 90  0.52 29.1 2.06  U  92  2.09 24.4 1.96
"""
_ANIONS = ("N", "O", "F", "S", "Cl", "Se", "Br", "Te", "I")


@cache
def table():
    """The elements that crystals are made of.

    Returns
    -------
    dict of ndarrays of one length
        symbol : str
        number : int64, atomic number
        frequency : float64, fraction of minerals that contain the element
        volume : float64, cubic angstrom an atom adds to the cell
        radius : float64, covalent radius in angstrom
        anion : bool, whether it usually is the most numerous element of its compounds
    """
    rows = np.array(_TABLE.split()).reshape(-1, 5)
    return {
        "symbol": rows[:, 0],
        "number": rows[:, 1].astype(np.int64),
        "frequency": rows[:, 2].astype(np.float64) / 100,
        "volume": rows[:, 3].astype(np.float64),
        "radius": rows[:, 4].astype(np.float64),
        "anion": np.isin(rows[:, 0], _ANIONS),
    }
