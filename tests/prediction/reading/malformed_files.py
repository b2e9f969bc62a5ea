"""Files that are no powder pattern, and the message about each."""

import gzip
import struct
import zipfile

import numpy as np
import pattern_files as files

X, Y = files.scan()
SCAN = X, Y
LAUGHS = "".join(f'<!ENTITY l{i + 1} "{f"&l{i};" * 10}">' for i in range(9))
BOMB = f'<?xml version="1.0"?><!DOCTYPE x [<!ENTITY l0 "lol">{LAUGHS}]><xrdMeasurements>&l9;'
XXE = '<!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]><xrdMeasurements>&f;</xrdMeasurements>'


def table(x=X, y=Y, **options):
    return files.columns(np.asarray(x, float), np.asarray(y, float), **options)


def changed(values, index, value):
    values = np.array(values, float)
    values[index] = value
    return values


def zipped(name, content, mode="w", **members):
    return files.archive({"Experiment0/DataContainer.xml": "<a/>", name: content} | members)


def encrypted():
    content = bytearray(files.brml(SCAN))
    central = content.index(b"PK\x01\x02")
    content[central + 8] |= 1
    return bytes(content)


def lying_about_its_size():
    """An archive whose member unpacks to more than it declares."""
    content = files.archive({"Experiment0/DataContainer.xml": b"<a>" + b" " * 10_000_000})
    small = struct.pack("<I", 100)
    central = content.index(b"PK\x01\x02")
    return content[: central + 24] + small + content[central + 28 :]


XRDML = files.xrdml(SCAN)
MALFORMED = {
    # name: (content, what the message says)
    "empty.xy": (b"", "is empty"),
    "blank.txt": (b" \n\r\n\t\n", "nothing but zeros or blanks"),
    "zeros.xy": (bytes(5000), "nothing but zeros or blanks"),
    "noise.bin": (np.random.default_rng(0).bytes(5000), "is binary"),
    "noise.raw": (np.random.default_rng(1).bytes(5000), "is binary"),
    "prose.txt": (b"It was a dark and stormy night.\n" * 40, "no columns of numbers"),
    "page.html": (b"<!DOCTYPE html><html><body>404</body></html>", "is a web page"),
    "notes.json": (b'{"two_theta": [5, 6], "intensity": [1, 2]}', "is JSON"),
    "code.py": (b"import numpy as np\nprint(np.pi)\n", "no columns of numbers"),
    "cut16.txt": ("5 6\n".encode("utf-16") + b"\0", "damaged UTF-16"),
    "inf.xy": (table(y=changed(Y, 7, np.inf)), "point 8 of the scan is infinite"),
    "huge.xy": (table(y=changed(Y, 7, 1e40)), "point 8 of the scan is infinite"),
    "spacings.xy": (table(1 / np.linspace(0.06, 0.9, len(X))), "as uneven as those of d-spac"),
    "one_point.xy": (b"5.0 10\n", "1 point found"),
    "two_points.xy": (b"5.0 10\n5.1 12\n", "2 points found"),
    "peak_list.xy": (table(X[:30], Y[:30]), "not a peak list"),
    "duplicates.xy": (table(np.repeat(X[:90], 2), np.repeat(Y[:90], 2)), "90 points found"),
    "shuffled.xy": (table(np.random.default_rng(0).permutation(X)), "turn back"),
    "constant_angle.xy": (table(np.full_like(X, 20.0)), "1 point found"),
    "all_zero.xy": (table(y=0 * Y), "all intensities are zero"),
    "flat.xy": (table(y=0 * Y + 7), "all intensities are 7"),
    "negative.xy": (table(y=-Y), "no intensity is positive"),
    "deep_negative.xy": (table(y=changed(Y, 9, -1e6)), "intensities go down to"),
    "beyond_180.xy": (table(X + 170), "angles run from 180 to"),
    "below_zero.xy": (table(X - 20), "angles run from -10"),
    "channels.xy": (table(np.arange(len(X)) * 10), "angles run from 0 to 1500"),
    "negative_d.csv": (table(X - 20, sep=",", header="d (A),I\n"), "d-spacing of -10"),
    "q_out_of_reach.csv": (table(X, sep=",", header="Q (1/A),I\n"), "within reach"),
    "theta.csv": (table(X, sep=",", header="theta,counts\n"), "the first column is called 'theta'"),
    "tof.csv": (table(X, sep=",", header="TOF,counts\n"), "the first column is called 'tof'"),
    "one_column.txt": (b"\n".join(b"%d" % v for v in Y), "one column"),
    "ragged.csv": (table(sep=",").replace(b"12.0,", b"12.0,1,"), "line 41 has 3 columns"),
    "missing_cell.csv": (table(sep=",").replace(b"12.0,", b"12.0"), "line 41"),
    "word_inside.xy": (table().replace(b"\n12.0 ", b"\ntwelve "), "line 41 .* no row of numbers"),
    "decimal_comma.csv": (table(sep=",").replace(b".", b","), "comma both inside numbers"),
    "one_line.txt": (b"1 2 " * 5000, "a line of 19999 characters"),
    "many_lines.txt": (b"1 2\n" * 600_000, "more than 500000 lines"),
    "wide.txt": (b"1 2 3 4 5 6 7 8 9\n" * 400_000, "more than 2000000 numbers"),
    "wavelength_pm.xy": (b"# wavelength = 154.06\n" + table(), "wavelength of 154.06 angstrom"),
    "wavelength_unit.xy": (b"# wavelength = 15406\n" + table(), "wavelength of 15406 angstrom"),
    "wavelength_nm.xy": (b"# wavelength = 0.154056\n" + table(), "Cu K-alpha in nanometres"),
    "wavelength.xrdml": (files.xrdml(SCAN, wavelength=71.0), "wavelength of 71 angstrom"),
    "cut.xrdml": (XRDML[: len(XRDML) // 2], "cut-off XML"),
    "bomb.xrdml": (BOMB, "document type or entities"),
    "external.xrdml": (XXE, "document type or entities"),
    "other.xml": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "XML of another kind .*svg"),
    "encoding.xml": (b"<?xml version='1.0' encoding='klingon'?><a/>", "damaged or cut-off XML"),
    "deep.xml": (b"<xrdMeasurements>" + b"<a>" * 200_000, "damaged or cut-off XML"),
    "deep.xrdml": (
        b"<xrdMeasurements>" + b"<a>" * 50_000 + b"</a>" * 50_000 + b"</xrdMeasurements>",
        "nesting exceeds",
    ),
    "many.xml": (b"<xrdMeasurements>" + b"<a/>" * 600_000, "XML elements"),
    "empty.xrdml": (b"<xrdMeasurements></xrdMeasurements>", "holds no XRDML scan"),
    "words.xrdml": (XRDML.replace(b">10.0<", b">ten<"), "cannot be read as XRDML"),
    "omega.xrdml": (XRDML.replace(b'"Gonio"', b'"Omega"'), "Omega"),
    "cut.brml": (files.brml(SCAN)[:-200], "cut-off zip"),
    "cut_head.rasx": (files.rasx(SCAN)[:300], "cut-off zip"),
    "traversal.brml": (files.brml(SCAN, extra={"../../evil": "x"}), "files outside itself"),
    "absolute.brml": (files.brml(SCAN, extra={"/etc/evil": "x"}), "files outside itself"),
    "drive.brml": (files.brml(SCAN, extra={"C:\\evil": "x"}), "files outside itself"),
    "bomb.brml": (zipped("Experiment0/RawData0.xml", bytes(200 * 2**20)), "unpacks to more"),
    "many.rasx": (files.archive({f"{i}": "" for i in range(5001)}), "5000 files"),
    "liar.brml": (lying_about_its_size(), "damaged"),
    "entities.brml": (
        zipped(
            "Experiment0/RawData0.xml",
            BOMB,
            **{
                "Experiment0/DataContainer.xml": (
                    files.BRML_INDEX.format(members="<s>Experiment0/RawData0.xml</s>")
                )
            },
        ),
        "document type",
    ),
    "locked.brml": (encrypted(), "encrypted"),
    "packed.brml": (files.archive({"root.xml": "<a/>"}, zipfile.ZIP_LZMA), "unusual way"),
    "book.xlsx": (files.archive({"[Content_Types].xml": "<a/>"}), "Office document"),
    "arrays.npz": (files.archive({"a.npy": b"\x93NUMPY"}), "NumPy archive"),
    "other.zip": (files.archive({"notes.txt": "hello"}), "its member notes.txt holds no columns"),
    "no_members.brml": (files.archive({}), "cut-off zip|is binary"),
    "lonely.brml": (zipped("a.xml", "<a/>"), "holds no BRML scan"),
    "cut1.raw": (files.raw1(SCAN)[:400], "cut-off RAW"),
    "cut2.raw": (files.raw2(SCAN)[:400], "cut-off RAW"),
    "cut3.raw": (files.raw3(SCAN)[:1200], "cut-off RAW"),
    "cut4.raw": (files.raw4(SCAN)[:400], "cannot be read as RAW"),
    "large.raw": (b"RAW1.01" + bytes(17 * 2**20), "in an instrument's format"),
    "cut.ras": (files.ras(SCAN)[:2000], "68 points found"),
    "attenuated.ras": (files.ras(SCAN, attenuation=1.0 + (X > 12)), "attenuator moved"),
    "cut.fxye": (files.gsas(SCAN)[:3000], "cannot be read as GSAS|points? found"),
    "tof.gsa": (files.gsas(SCAN).replace(b"CONS", b"SLOG"), "cannot be read as GSAS"),
    "structure.cif": (b"data_salt\n_cell_length_a 5.64\n", "without a measured powder profile"),
    "calculated.cif": (
        files.cif(SCAN).replace(b"_pd_proc_intensity_total", b"_x_y").replace(b"_pd_meas", b"_x"),
        "without a measured powder profile",
    ),
    "cut.cif": (
        b"data_salt\nloop_\n_pd_meas_counts_total\n_pd_proc_2theta_corrected\n1 2 3",
        "CIF",
    ),
    "prose.cif": (b"This is not a CIF.\n", "cannot be read as CIF"),
    "twice.cif": (
        files.cif(SCAN) + b"loop_\n_pd_proc_2theta_corrected\n1\n2\n",
        "gives _pd_proc_2theta_corrected twice",
    ),
    "misfit.cif": (
        files.cif(SCAN, stepped=True).replace(b"range_inc 0.05", b"range_inc 0.5"),
        "do not fill the range",
    ),
    "scan.xy.gz": (gzip.compress(table())[:-400], "cut-off gzip"),
    "scan.bz2": (b"BZh91AY&SY" + bytes(50), "compressed with bzip2"),
    "picture.png": (b"\x89PNG\r\n\x1a\n" + bytes(99), "is an image"),
    "picture.jpg": (b"\xff\xd8\xff\xe0" + bytes(99), "is an image"),
    "paper.pdf": (b"%PDF-1.7\n%\xe2\xe3\n", "PDF document"),
    "frames.h5": (b"\x89HDF\r\n\x1a\n" + bytes(99), "HDF5"),
    "old.xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(99), "Office document"),
    "tool.exe": (b"MZ\x90\0" + bytes(99) + b"\1", "is binary"),
    "objects.pkl": (b"\x80\x04\x95\x10\0\0\0\0\0\0\0cos\nsystem\n.", "is binary"),
}
