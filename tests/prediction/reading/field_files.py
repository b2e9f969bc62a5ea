"""Files as instruments and programs of the field write them: what each is, and what it says."""

import gzip
import re
import struct

import numpy as np
import pattern_files as files
from reading import SCAN, on_axis

from xrdlib.base.patterns import CU_KA1

X, Y = SCAN
COUNTS = [int(v) for v in Y]
ERRORS = np.sqrt(Y)
RANGE = "  10.000   0.050  17.500"
Q, D = (on_axis(kind, X, CU_KA1) for kind in ("q", "d"))
COBALT, IRON = 1.788996, 1.936041


def table(x=X, y=Y, header="", sep=" ", row="{0!r}{sep}{1!r}", footer=""):
    """Rows of positions and counts, any further text in `row`."""
    lines = (row.format(float(a), float(b), sep=sep) for a, b in zip(x, y, strict=True))
    return header + "\n".join(lines) + "\n" + footer


def block(values=None, per_line=10, row="{:8d}", end="\n", between=""):
    """Counts, so many a line."""
    values = COUNTS if values is None else values
    cells = [row.format(v) for v in values]
    lines = [between.join(cells[i : i + per_line]) for i in range(0, len(cells), per_line)]
    return "\n".join(lines) + end


def ras(start="*RAS_DATA_START\n", count='"151.0000000000"', end="*RAS_INT_END\n*RAS_DATA_END\n"):
    text = files.ras(SCAN).decode().replace('"151"', count)
    body = text.split("*RAS_DATA_START\n")[1].split("*RAS_INT_END")[0]
    return start + body + end


def rigaku(x, y, group=0):
    return (
        f"*BEGIN\n*GROUP\t\t=  {group}\n*START\t\t=  {x[0]:g}\n*STOP\t\t=  {x[-1]:g}\n"
        f"*STEP\t\t=  {x[1] - x[0]:g}\n*OFFSET\t\t=  0\n*COUNT\t\t=  {len(x)}\n"
        + block([int(v) for v in y], 4, "{:d}", between=", ")
        + "*END\n"
    )


RIGAKU = (
    "*TYPE\t\t=  Raw\n*CLASS\t\t=  ASCII CLASS\n*TARGET\t\t=  29\n*WAVE_LENGTH1\t=  1.54059\n"
    "*WAVE_LENGTH2\t=  1.54441\n*XUNIT\t\t=  deg.\n\n"
)
UDF = (
    "SampleIdent,S1 ,/\nTitle1,quartz ,/\nDiffrType,PW3710,/\nAnode,Co,/\nLabdaAlpha1, 1.78897,/\n"
    "LabdaAlpha2, 1.79285,/\nRatioAlpha21, 0.50000,/\nDataAngleRange,   10.0000,  17.5000,/\n"
    "ScanStepSize,    0.050,/\nScanType,CONTINUOUS,/\nScanStepTime,   1.00,/\nRawScan\n"
)
CPI = "SIETRONICS XRD SCAN\n10.00\n17.50\n0.050\nCo\n1.78897\n8-31-1992\n2.0\nquartz\nSCANDATA\n"
PSI = 'HRPT, NdNi4, N18\nlambda=  1.49400, T=   0.000, dT=  0.000\n{} 18000000., sample="S"\n'
PYFAI = "# == pyFAI calibration ==\n# Distance Sample to Detector: 0.2 m\n# PixelSize= 1.720e-04\n"
D1A = "D1A5 Title: 1.9114 A  LaNi2 13.9.01\n     Ident:  14113 to 14122\n1.9114 A LaNi2  2theta\n"


def psi(values=None):
    values = Y if values is None else values
    return PSI.format(RANGE) + block(values, row="{:8.0f}.") + block(ERRORS, row="{:8.1f}")


def raw3(kind, beside=0):
    content = bytearray(files.raw3(SCAN))
    struct.pack_into("<I", content, 712 + 196, kind)
    struct.pack_into("<I", content, 712 + 256, beside)
    return bytes(content[: 712 + 304]) + bytes(beside) + bytes(content[712 + 304 :])


def prf(number=20, bracket="( 1 0 0)"):
    text = "quartz  CELL: 4.91 4.91 5.40\n  1 151 1.54056 1.54440 0\n"
    text += " 2Theta\tYobs\tYcal\tYobs-Ycal\tBackg\tPosr\t(hkl)\tK\n"
    for i, (a, b) in enumerate(zip(X, Y, strict=True)):
        text += f"  {a:9.4f}\t{b:9.1f}\t{b - 1:9.1f}\t{-100:7.1f}\t{20:7.1f}"
        text += f"\t{a + 0.01:9.4f}\t{bracket}\t0\t1\n" if i < number else "\n"
    return text


def gsas2_export():
    text = '"Histogram","PWDR a.xye"\n"Instparm: Lam",0.413263\n"Instparm: Zero",0.0\n'
    text += '"x","y_obs","weight","y_calc","y_bkg","Q"\n'
    for a, b, q in zip(X, Y, on_axis("q", X, 0.413263), strict=True):
        text += f"{a:.4f},{b},1.0,{b - 1},20.0,{q:.8f}\n"
    return text


def cif(loop, rows, before="", after=""):
    return f"data_s\n_diffrn_radiation_wavelength 1.5406\n{before}loop_\n{loop}\n{rows}{after}"


def stepped(inc, y=COUNTS, lo=10.0, hi=17.5, after=""):
    before = f"_pd_meas_2theta_range_min {lo}\n_pd_meas_2theta_range_max {hi}\n"
    before += f"_pd_meas_2theta_range_inc {inc}\n_pd_meas_number_of_points {len(y)}\n"
    return cif("_pd_meas_counts_total", "\n".join(map(str, y)) + "\n", before, after)


REPLIES = "".join(
    f"vrf_PLAT{n}_quartz\n;\nPROBLEM: s.u. missing {n}\nRESPONSE: ... 3 lines are left.\n;\n"
    for n in (741, 742, 743)
)
DETECTORS = [f"{n:2d}{v:6d}" for n, v in zip([1, 2, 10] * 51, COUNTS, strict=False)]
STD = "t\nBANK 1 151 16 CONST 1000.0 5.0 0 0 STD\n"
PAIRS = [v for pair in zip(Y, ERRORS, strict=True) for v in pair]
SOME, ONE = np.arange(151) % 50 == 7, np.arange(151) == 7
TRIPLES = [*zip(X, np.round(D, 4), Y, strict=True)]
GLUED = [10_000_000 + v for v in COUNTS]
HEAD_WAVELENGTHS = {
    # header: wavelength in angstrom
    "# Ga K alpha\n": 1.340127,
    "# ID22 35.0 keV 0.35424 A\n": 0.35424,
    "# 35.0 keV, sample 2.0 A\n": None,
    "# anode: Gallium\n": 1.340127,
    "# Target: Indium\n": 0.512125,
    "# X-ray tube with tungsten filament\n": None,
    "# Target: Ag, measured in K-alpha geometry\n": 0.559407,
    "# wavelength 1.78897\n": 1.78897,
    "# Wavelength\t1.78897\n": 1.78897,
    "# wavelength_1.78897\n": 1.78897,
    "! lambda 1.936041\n": IRON,
    "# Lambda(1) = 1.78897\n# Lambda(2) = 1.79285\n": 1.78897,
    "Lambda1,1.78897\nLambda2,1.79285\n": 1.78897,
    "# wavelength: 4.066e-11 m\n": 0.4066,
    "# Wavelength: 4.066e-11\n": 0.4066,
    '# {"dist": 0.2, "wavelength": 4.066e-11, "poni1": 0.08}\n': 0.4066,
    '# {\n#   "wavelength": 4.066e-11,\n#   "rot1": 0.0\n# }\n': 0.4066,
    "# wavelength (nm) 0.04066\n": 0.4066,
    "# Wavelength in nm: 0.04066\n": 0.4066,
    "# wavelength_nm = 0.04066\n": 0.4066,
    "# wavelength = 40.66 pm\n": 0.4066,
    "# Wavelength [pm]: 70.93\n": 0.7093,
    "# wavelength: 1 A\n": 1.0,
    "# Wellenl\u00e4nge: Lambda = 1,78897\n": 1.78897,
    "# Energy: 30.0 keV\n": 0.413280661,
    "# Beam energy (keV): 60\n": 0.20664033,
    "# energy = 30000 eV\n": 0.413280661,
    "# X-ray energy 17.4\n": 0.71255286,
    "# Photon_energy_keV: 30\n": 0.413280661,
    "# E = 30 keV\n": 0.413280661,
    "# Energy threshold: 15 keV\n": None,
    "# Energy resolution: 0.3 keV\n": None,
    "# Target: COBALT\n": COBALT,
    "*TARGET = 27\n": COBALT,
    "# Anode: Fe\n": IRON,
    "# Tube: CU\n": CU_KA1,
    '*HW_XG_TARGET_NAME "Co"\n': COBALT,
    '*HW_XG_WAVE_LENGTH_ALPHA1 "1.788965"\n*HW_XG_WAVE_LENGTH_ALPHA2 "1.7928"\n': 1.788965,
    "# Cobalt radiation\n": COBALT,
    "# Sample: film, sputter target: Co\n# Tube: Cu\n": CU_KA1,
    "# Sample: film, sputter target: Co\n": None,
    "# target: Co\n# tube: Cu\n": None,
    "# Laser wavelength: 0.785 um\n": None,
    "# Cu K\u03b1 radiation (\u03bb = 1.5418 \u00c5)\n": CU_KA1,
    "# X-ray source: CuK\u03b11 (1.5406 \u00c5)\n": 1.5406,
    "# synchrotron beam, 0.4592 \u00c5\n": 0.4592,
    "Anode Cu    Alpha1  1.54056    Alpha2  1.54439    Ratio  0.50000\n": 1.54056,
    "# KAlpha2/KAlpha1 ratio: 0.5\n": None,
    "# UV lamp, wavelength 254 nm\n# Cu Ka\n": CU_KA1,
    "# detector LAMBDA 2.0M\n# wavelength 0.207\n": 0.207,
    "# Wavelength: 1.54056,1.54439\n": 1.54056,
    "# wavelength: 0.0\n# Anode: Co\n": COBALT,
    "# lambda = 1.54056(3) A\n": 1.54056,
    "# Ei = 25 meV\n": 1.8089136,
    "# Wavelength Kbeta = 1.39222\n# Kalpha1 = 1.78897\n": 1.78897,
    "# synchrotron 30 keV\n": 0.413280661,
    "# pixel size 0.172 mm, distance 1.25 m\n": None,
    "# filter thickness 0.02 mm, Ni\n": None,
    "##NAMES=Quartz\n##X-RAY WAVELENGTH=0.7093\n": 0.7093,
    "# Calibrated wavelength = 0.413909\n": 0.413909,
    "lambda=0.05 nm\n": 0.5,
    "K-Alpha2 wavelength,1.5444260\nK-Alpha1 wavelength,1.5405980\n": 1.540598,
    "_WL_UNIT='A'\n_WL2=1.54439\n_WL1=1.54060\n": 1.5406,
    "Wavelength (mean): 1.2345\nK-Alpha1: 1.2300\n": 1.23,
    "Anode material,Cu\n": CU_KA1,
    "# radiation: MoKa\n": 0.7093,
    "# X-ray Instruments Co. Ltd\n": None,
    "# tube current 40 mA\n": None,
    "Wavelength Range=15\n": None,
    "": None,
}
AXIS_NAMES = {
    # name of the column: (axis, positions)
    "q_nm^-1": ("q", 10 * Q),
    "q_A^-1": ("q", Q),
    "Q_A-1": ("q", Q),
    "Q (Inverse nanometres)": ("q", 10 * Q),
    "Q (Inverse Angstroms)": ("q", Q),
    "Q Space (\\305\\-\\1)": ("q", Q),
    "q(1/nm)": ("q", 10 * Q),
    "q / nm^{-1}": ("q", 10 * Q),
    "q [nm\u207b\u00b9]": ("q", 10 * Q),
    "Q (\u00c5\u207b\u00b9)": ("q", Q),
    "Q ($\\AA^{-1}$)": ("q", Q),
    "q_inv_nm": ("q", 10 * Q),
    "q_pm^-1": ("q", Q / 100),
    "momentum transfer (1/nm)": ("q", 10 * Q),
    "d_nm": ("d", D / 10),
    "d_A": ("d", D),
    "d (pm)": ("d", 100 * D),
    "d-spacing [nm]": ("d", D / 10),
    "D Space (\\305)": ("d", D),
    "d (angstroms)": ("d", D),
    "2th_rad": ("two_theta", np.radians(X)),
    "2th_deg": ("two_theta", X),
    "tth_rad": ("two_theta", np.radians(X)),
    "2-theta (radians)": ("two_theta", np.radians(X)),
    "2theta [mrad]": ("two_theta", 1000 * np.radians(X)),
    "2\u03b8 (\u00b0)": ("two_theta", X),
    "Degrees 2-Theta": ("two_theta", X),
    "Pos. [\u00b02Th.]": ("two_theta", X),
    "diffraction angle": ("two_theta", X),
    **dict.fromkeys(("2Theta", "TwoTheta", "2th", "Angle", "tth"), ("two_theta", X)),
    **dict.fromkeys(("d", "d-spacing", "d [\u00c5]", "d_spacing", "dspacing"), ("d", D)),
    **dict.fromkeys(("Q", "Q (1/A)", "q [\u00c5-1]", "q(A^-1)", "Q_vector"), ("q", Q)),
}
# Names of positions that are no angle, or in a unit that nobody knows.
AXES_REFUSED = (
    "r_mm,Radial distance (mm),chi_deg,Azimuth (degrees),log10(q.m)_None,d*2_A^-2,theta,omega,"
    "TOF (us),Energy (keV),channel,pixel,q (1/cm),d (um),1/d (1/A),2theta (mm),q_um^-1,sin(theta),"
    "time (s),Raman shift,x_mm"
).split(",")

# name: (content, wavelength, what the metadata or the pattern say beside)
READ = {
    "pyfai.dat": (table(10 * Q, header=PYFAI + "#       q_nm^-1             I\n"), CU_KA1),
    "pyfai.xy": (table(header=PYFAI + "# Wavelength: 4.132e-11\n# 2th_deg\tI\n"), 0.4132),
    "fit2d.chi": (table(10 * Q, header="a.tif: Azimuthal\nQ (1/nm)\nIntensity\n  151\n"), CU_KA1),
    "dash.xye": (table(header="0.4132\n", row="{0!r} {1!r} 1.5"), 0.4132),
    "dash_tube.xye": (table(header="1.54056\n", row="{0!r} {1!r} 1.5"), 1.54056),
    "prose.dat": (table(10 * Q, header="# data: q in nm^-1\n"), CU_KA1),
    "names.dat": (table(10 * Q, header="# columns: q(nm-1) I\n"), CU_KA1),
    "numbered_columns.dat": (table(10 * Q, header="# column 1: q [1/nm]\n# column 2: I\n"), CU_KA1),
    "titles.dat": (table(10 * Q, header="# x-axis: Q / nm-1\n# y-axis: I\n"), CU_KA1),
    "json_unit.dat": (
        table(10 * Q, header='# {"unit": "q_nm^-1", "wavelength": 1.540593e-10}\n'),
        CU_KA1,
    ),
    "units_below.csv": (table(10 * Q, header="Q,Intensity\n(1/nm),(a.u.)\n", sep=","), CU_KA1),
    "dioptas.chi": (table(Q, header="a.tif\nq_A^-1\n\n     151\n"), CU_KA1),
    # Step scans.
    "fullprof.dat": (f"{RANGE}  rutile Cu Ka\n{block()}", CU_KA1),
    "fullprof_comments.dat": (f"! one\n! two\n{RANGE}\n{block()}", None),
    "fullprof_free.dat": (f"10 .05 17.5\n{block(per_line=7, row='{:d} ')}", None),
    "fullprof_commas.dat": (f"10.0, 0.05, 17.5\n{block(row='{:d}, ')}", None),
    "fullprof_bare.dat": (f"10.0,0.05,17.5\n{block(row='{:d},')}", None),
    "fullprof_one.dat": (f"{RANGE}\n{block(per_line=1, row='{:d}')}", None),
    "fullprof_padded.dat": (f"{RANGE}\n{block(COUNTS + [0] * 9)}", None),
    "fullprof_off.dat": (f"  10.000   0.050  17.523\n{block()}", None),
    "dbws.dat": (f"{RANGE}  rutile CuKa\n{block(per_line=8, row='{:7d} ')}", CU_KA1),
    "dbws_decimals.dat": (f"{RANGE} 1.54\n{block(Y, 8, '{:8.1f}')}", None),
    "old_d1a.dat": (f"{RANGE}\n" + block(COUNTS, 10, " 1{:6d}"), None),
    "lhpm.dat": (
        "SampleIdent S1\nDiffrType PW3710\nAnode Cu    Alpha1  1.54056    Alpha2  1.54439\n"
        f"MonochromatorUsed YES\n{RANGE}\n{block()}",
        1.54056,
    ),
    "koalariet.xdd": (f"/* a\n comment */\n{RANGE}\n{block(per_line=1)}", None),
    "topas.xdd": (f"10.0 17.5 0.05\n{block()}", None),
    "psi.dat": (psi(), 1.494, {"probe": "neutron"}),
    "psi_files.dat": (psi() + "Filelist='HRPT/1999 1-5'\n", 1.494, {"probe": "neutron"}),
    "d1a5.dat": (
        D1A + f"  151   -1.000   100.018    1  100000.0       0.0\n{RANGE}\n"
        f"{block(Y, row='{:8.1f}')}{block(ERRORS, row='{:8.2f}')}   -1000\n",
        1.9114,
        {"probe": "neutron"},
    ),
    "beside.dat": (f"title\n{RANGE}\n" + block(PAIRS, row="{:9.2f}"), None),
    "d2b.dat": (
        "D2B title\n                   0.050\n  10.000\n  1000.   1000.\n"
        f"{block(COUNTS, 10, ' 1{:6d}')}   -1000\n",
        None,
        {"probe": "neutron"},
    ),
    "jade.mdi": (
        "01/01/2020  DIF  sample\n   10.000   0.050 1.0 CU 1.540562   17.500  151\n"
        + block(per_line=8),
        1.540562,
    ),
    "jade_end.mdi": (
        " 09/11/91 DIF Demo08: 10-173\n 10.000 0.0500  4.0 CU  1.540598 17.500   151\n"
        + block([*COUNTS, -1], 8, end="\n.\n"),
        1.540598,
    ),
    "jade_cobalt.mdi": (
        "01/01/20 sample\n 10.0 0.05 2.0 Co 1.788965 17.5 151.\n" + block(per_line=8),
        1.788965,
    ),
    "philips.udf": (UDF + block(per_line=8, row="{:7d},").rstrip(",\n") + "/\n", 1.78897),
    "philips_blanks.udf": (UDF + block(per_line=8).rstrip() + "/\n", 1.78897),
    "philips_rounded.udf": (
        UDF.replace("17.5000", "12.5064").replace("0.050", "0.017") + block(per_line=8, end="/\n"),
        1.78897,
        {"x": np.linspace(10, 12.5064, 151)},
    ),
    "sietronics.cpi": (CPI + block(per_line=1, row="{:d}"), 1.78897),
    "rigaku.asc": (RIGAKU + rigaku(X, Y) + "*EOF\n", 1.54059),
    "rigaku_target.asc": (
        RIGAKU.replace("29", "Co").replace("*WAVE", "*OLD").replace("1.5", "?") + rigaku(X, Y),
        COBALT,
    ),
    # GSAS.
    "zero.gsa": ("rutile \0\x13 CuKa\nBANK 1 151 16 CONST 1000.0 5.0 0 0 STD\n" + block(), CU_KA1),
    "no_type.gsa": ("t\nBANK 1 151 16 CONS 1000.0 5.0 0 0\n" + block(), None),
    "detectors.gsa": (STD + block(DETECTORS, row="{}"), None),
    "all_detectors.gsa": (STD + block(row="10{:6d}"), None),
    "glued.gsa": ("t\nBANK 1 151 16 CONST 1000 5 0 0 STD\n" + block(GLUED), None, {"y": GLUED}),
    "esd.gsa": (
        "t\n# note\nBANK 1 151 31 CONST 1000.0 5.0 0 0 ESD\n# more\n" + block(PAIRS, row="{:8.2f}"),
        None,
    ),
    "fxy.gsa": ("t\nBANK 1 151 151 CONS 1000 5 0 0 FXY\n" + table(100 * X), None),
    "padded.gsa": (
        "title".ljust(80)
        + "\r\nBANK 1 151 16 CONST 1000.0 5.0 0 0 STD".ljust(82)
        + "\r\n"
        + block(COUNTS + [0] * 9).replace("\n", "\r\n"),
        None,
    ),
    # Rigaku RAS.
    "smartlab.ras": (ras(), files.WAVELENGTH),
    "no_end.ras": (ras(end=""), files.WAVELENGTH),
    "no_start.ras": (ras(start=""), files.WAVELENGTH),
    "crlf.ras": (ras().replace("\n", "\r\n"), files.WAVELENGTH),
    "nm.ras": (
        ras().replace(f'"{files.WAVELENGTH}"', '"0.07093"\n*HW_XG_WAVE_LENGTH_UNIT "nm"'),
        files.WAVELENGTH,
    ),
    "ras_raw.txt": (
        table(
            header='*FILE_TYPE "RAS_RAW"\n*HW_XG_WAVE_LENGTH_ALPHA1 "1.540593"\n'
            '*MEAS_SCAN_AXIS_X "2Theta"\n#Intensity_unit=count\n'
        ),
        CU_KA1,
    ),
    # Bruker RAW 3.
    "psd_fixed.raw": (raw3(129), files.WAVELENGTH),
    "psd_fast.raw": (raw3(130), files.WAVELENGTH),
    "supplement.raw": (raw3(0, 40), files.WAVELENGTH),
    # CIF.
    "angle.cif": (cif("_pd_meas_angle_2theta\n_pd_meas_intensity_total", table()), 1.5406),
    "replies.cif": (stepped(0.05, after=REPLIES), 1.5406),
    "replies_two.cif": (
        cif("_pd_meas_2theta_scan\n_pd_meas_counts_total", table(), after=REPLIES),
        1.5406,
    ),
    "number.cif": (stepped(0.05, after=" 17 4 2020\n"), 1.5406),
    "rounded.cif": (stepped(0.02, lo=10, hi=12.5064), 1.5406, {"x": np.linspace(10, 12.5064, 151)}),
    "dictionary.cif": (
        stepped(0.05).replace("_wavelength 1.5406", "_wavelength.wavelength 1.5406"),
        1.5406,
    ),
    "target.cif": (
        stepped(0.05).replace("_diffrn_radiation_wavelength 1.5406", "_diffrn_source_target Co"),
        COBALT,
    ),
    "no_increment.cif": (stepped(0.05).replace("_pd_meas_2theta_range_inc 0.05\n", ""), 1.5406),
    "atoms_after.cif": (
        cif(
            "_pd_meas_2theta_scan\n_pd_meas_counts_total",
            table(),
            after="loop_\n_atom_site_label\n_atom_site_fract_x\nTi 0\nO 0.3\n",
        ),
        1.5406,
    ),
    "no_block.cif": (stepped(0.05).removeprefix("data_s\n"), 1.5406),
    "neutrons.cif": (
        stepped(0.05).replace("data_s\n", "data_s\n_diffrn_radiation_probe neutron\n"),
        1.5406,
        {"probe": "neutron"},
    ),
    # Tables.
    "topas.xy": (table(row="{0!r} {1!r}   ' point"), None),
    "thousands.csv": (table(y=Y + 1000, sep=",", row='{0!r},"{1:,.0f}"'), None, {"y": Y + 1000}),
    "millions.csv": (table(y=Y + 1e6, row='{0!r},"{1:,.1f}"'), None, {"y": Y + 1e6}),
    "swiss.csv": (table(y=Y + 1000, row="{0!r};{1:,.0f}").replace(",", "'"), None, {"y": Y + 1000}),
    "blank.txt": (table(y=Y + 900, row="{0!r}\t{1:,.0f}").replace(",", " "), None, {"y": Y + 900}),
    "german.csv": (
        table(y=Y + 900, row="{0:.2f};{1:,.0f}").translate(str.maketrans(",.", ".,")),
        None,
        {"y": Y + 900},
    ),
    "quoted.csv": (table(row='"{0!r}","{1!r}"').replace(".", ","), None),
    "panalytical.csv": (
        table(
            sep=",",
            header="[Measurement conditions]\nAnode material,Cu\nK-Alpha1 wavelength,1.5405980\n"
            "K-Alpha2 wavelength,1.5444260\n\n[Scan points]\nAngle,Intensity\n",
        ),
        1.540598,
    ),
    "trailing.csv": (table(header="2theta,intensity,,\n", row="{0!r},{1!r},,"), None),
    "trailing.tsv": (table(header="2theta\tI\t\t\n", row="{0!r}\t{1!r}\t\t"), None),
    "three.txt": ("".join(f"  {a:.3f}   {d:.4f}  {b:g}\n" for a, d, b in TRIPLES), 1.5406),
    "d_first.txt": ("".join(f"{d:.4f} {a:.3f} {b:g}\n" for a, d, b in TRIPLES), 1.5406),
    "blank_names.txt": (
        "2theta(deg) d(A) I(counts) err\n"
        + "".join(f"{a:.3f} {d:.4f} {b:g}\n" for a, d, b in TRIPLES),
        1.5406,
    ),
    "numbered.txt": (
        "".join(f"{i} {a:.3f} {b:g}\n" for i, (a, _, b) in enumerate(TRIPLES, 1)),
        None,
    ),
    "counts_first.txt": (table(row="{1:g} {0:.3f}"), None),
    "dated.dat": (
        table(
            header="imagenum twotheta intensity date time\n",
            row="0 {0:.5f} {1:g} 07/07/2022 19:15:30",
        ),
        None,
    ),
    "dated_first.csv": (
        table(header="time,2theta,counts\n", row="2022-07-07T19:15:30,{0!r},{1!r}"),
        None,
    ),
    "footer.txt": (table(footer="End of data\n"), None),
    "footer_lines.csv": (
        table(header="2theta,I\n", sep=",", footer="\nTotal,12345\nmeasured by A. B., 2020\n"),
        None,
    ),
    "gsas2.csv": (
        'used,"x, 2theta (deg)",obs,calc,bkg,diff,Phase1,tick-pos,Axis-limits\n'
        + table(X[:5], Y[:5], row="1,{0!r},{1!r},230.3,100.0,4.7,27.4,-200.5,10")
        + table(X[5:], Y[5:], row="1,{0!r},{1!r},230.3,100.0,4.7, ,,"),
        None,
    ),
    "gsas2_export.csv": (gsas2_export(), 0.413263),
    "fullprof.prf": (prf(), 1.54056),
    "fullprof_short.prf": (prf(3), 1.54056),
    "fullprof_hkl.prf": (prf(30, "(-1 0 10)"), 1.54056),
    "spec.dat": (table(header="#S 1 ascan\n#N 2\n#L Two Theta  Detector\n"), None),
    "pandas.csv": (
        ",2theta,I\n" + "".join(f"{i},{a},{b}\n" for i, (a, _, b) in enumerate(TRIPLES)),
        None,
    ),
    "utf16.txt": (table().encode("utf-16-le"), None),
    "utf16_be.txt": (table(header="2theta I\n").encode("utf-16-be"), None),
    "nul_end.xy": (table().encode() + bytes(300), None),
    "packed.xy.gz": (gzip.compress(table().encode()), None),
    "packed_brml.zip": (files.archive({"s.brml": files.brml(SCAN)}), files.WAVELENGTH),
    "packed.xy.gz.zip": (files.archive({"s.xy.gz": gzip.compress(table().encode())}), None),
    "packed_readme.zip": (files.archive({"README.txt": "Hello.", "s.xy": table()}), None),
    "packed.ras.gz": (gzip.compress(files.ras(SCAN)), files.WAVELENGTH),
    "packed.zip": (files.archive({"a/scan.xy": table(), "__MACOSX/._scan.xy": "x"}), None),
    "shimadzu.txt": (
        "< Group: Standard   Data: S1 >\n# Measurement Condition\n  target = Cu\n"
        + table(header="    <2Theta>   <  I  >\n"),
        CU_KA1,
    ),
    "start_step_stop.dat": (table(header="10.0 0.05 17.5\n"), None),
    # Points that are left out, averaged or cut.
    "nan.xy": (table(y=np.where(SOME, np.nan, Y)), None, {"masked": 3}),
    "nan_angle.xy": (table(x=np.where(ONE, np.nan, X)), None, {"masked": 1}),
    "dummy.xy": (table(y=np.where(SOME, -9999, Y)), None, {"masked": 3}),
    "minus.xy": (table(y=np.where(SOME, -1, Y)), None, {"masked": 3}),
    "dead.xy": (table(y=np.where(ONE, 2.0**32 - 1, Y)), None, {"masked": 1}),
    "empty.csv": (re.sub(r"\n10\.35,.*", "\n10.35,", table(sep=",")), None, {"masked": 1}),
    "words.csv": (
        table(sep=";", y=np.where(ONE, np.nan, Y)).replace("nan", "n/a"),
        None,
        {"masked": 1},
    ),
    "overflow.dat": (
        f"{RANGE}\n" + block([*COUNTS[:7], "*" * 8, *COUNTS[8:]], row="{:>8}"),
        None,
        {"masked": 1},
    ),
    "negative.dat": (
        "t\nBANK 1 361 17 CONST -50 5 0 0 STD\n" + block([5] * 210 + COUNTS),
        None,
        {"below": 10},
    ),
}
# name: (content, what the message says)
REFUSED = {
    "stoe.raw": (b"RAW_1.06Powdat" + bytes(3000), "STOE RAW .* export XY"),
    "rigaku.raw": (b"FI" + bytes(3000), "binary Rigaku RAW .* export RAS"),
    "philips.rd": (b"V3RD" + bytes(3000), "Philips RD .* export"),
    "maud.esg": (
        "_pd_block_id noTitle|#0\n_pd_meas_angle_eta 0.0\nloop_\n"
        "_pd_meas_position_x _pd_meas_position_y _pd_meas_intensity_total\n"
        + table(row="{0} 0 {1}"),
        "Maud file .* export",
    ),
    "packed.jdx": (
        "##TITLE=t\n##JCAMP-DX=4.24\n##FIRSTX=10\n##XYDATA=(X++(Y..Y))\n10 1 2 3\n##END=\n",
        "JCAMP-DX .* export",
    ),
    "infrared.jdx": (
        "##TITLE=t\n##XUNITS=1/CM\n##XYPOINTS=(XY..XY)\n" + table(sep=", ") + "##END=\n",
        "1/cm",
    ),
    "image.edf": ("{\nHeaderID = EH:000001;\nDim_1 = 2048;\n}\n", "frame of an area detector"),
    "long.dat": (f"{RANGE}\n{block(COUNTS * 3)}", "step scan as text with 453 counts"),
    "short.udf": (UDF + block(COUNTS[:90]), "Philips UDF file with 90 counts"),
    "pair.gr": (
        table(header="[DEFAULT]\n\noutputtype = gr\n#### start data\n#L r(A) G(r)\n"),
        "G.r.",
    ),
    "pattern.json": ('{"two_theta": [10, 10.05], "counts": [4, 5]}', "is JSON"),
    "seifert.nja": ("quartz\n#ScanTableParameter\n&Anode=Cu\n#Values\n" + table(), "Seifert NJA"),
    "omega.ras": (files.ras(SCAN).replace(b"TwoThetaTheta", b"Omega"), "RAS scan over Omega"),
    "unit.ras": (files.ras(SCAN).replace(b'_X "deg"', b'_X "mm"'), "angles in mm"),
    "rocking.raw": (raw3(3), "type 3"),
    "tof.gsa": ("t\nBANK 1 151 151 SLOG 10 20 0 0 FXYE\n" + table(), "GSAS.*time of flight"),
    "tof.cif": (cif("_pd_meas_time_of_flight\n_pd_meas_counts_total", table()), "time-of-flight"),
    "degrees.fxye": ("t\nBANK 1 151 151 CONS 10 .05 0 0 FXY\n" + table(), "run to 0.175 only"),
    "nested.zip": (
        files.archive({"s.zip": files.archive({"s.xy": table()})}),
        "archive within an archive",
    ),
    "two.zip": (files.archive({"a.xy": table(), "b.xy": table()}), "holds several scans .2 files"),
    "bomb.gz": (gzip.compress(bytes(70_000_000)), "unpacks to more than 64 MB"),
    "q_without_unit.csv": (table(10 * Q, header="q,I\n", sep=","), None),
    "d_without_unit.csv": (table(D / 10, header="d,I\n", sep=","), "no unit is given"),
    "radians_without_unit.csv": (
        table(np.radians(X), header="2theta,I\n", sep=","),
        "name its unit",
    ),
    "unnamed.xy": (table(Q), "are not named"),
    "masked.xy": (table(y=np.where(np.arange(151) < 60, np.nan, Y)), "91 points found besides 60"),
}
