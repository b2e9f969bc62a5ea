"""Writers of diffraction files, after the published formats: what the tests read back."""

import io
import struct
import zipfile

import numpy as np

WAVELENGTH = 0.7093
XRDML = """<?xml version="1.0" encoding="UTF-8"?>
<xrdMeasurements xmlns="http://www.xrdml.com/XRDMeasurement/1.3" status="Completed">
<sample type="To be analyzed"><id>salt</id></sample>
{scans}
</xrdMeasurements>"""
XRDML_SCAN = """<xrdMeasurement measurementType="Scan">
<usedWavelength intended="K-Alpha 1"><kAlpha1 unit="Angstrom">{wavelength}</kAlpha1>
<kAlpha2 unit="Angstrom">0.71359</kAlpha2><kBeta unit="Angstrom">0.63229</kBeta></usedWavelength>
<incidentBeamPath><xRayTube><anodeMaterial>Mo</anodeMaterial></xRayTube></incidentBeamPath>
<scan appendNumber="0" scanAxis="Gonio"><dataPoints>
<positions axis="2Theta" unit="deg"><startPosition>{start}</startPosition>
<endPosition>{stop}</endPosition></positions>
<positions axis="Omega" unit="deg"><startPosition>1</startPosition>
<endPosition>2</endPosition></positions>
<intensities unit="counts">{values}</intensities></dataPoints></scan></xrdMeasurement>"""
BRML_RAW = """<?xml version="1.0"?>
<RawData xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"><FixedInformation><Instrument>
<PrimaryTracks><TrackInfoData><MountedOptics><InfoData><Tube><TubeMaterial>Mo</TubeMaterial>
<WaveLengthAlpha1 Unit="A" Value="{wavelength}"/><WaveLengthAlpha2 Unit="A" Value="0.71359"/>
</Tube></InfoData></MountedOptics></TrackInfoData></PrimaryTracks></Instrument></FixedInformation>
<DataRoutes><DataRoute RouteFlag="Measured">
{rows}
<DataViews>
<RawDataView xsi:type="FixedRawDataView" Start="0" Length="1" LogicName="MeasuredTime"/>
<RawDataView xsi:type="FixedRawDataView" Start="1" Length="1" LogicName="AbsorptionFactor"/>
<RawDataView xsi:type="VaryingRawDataView" Start="2" Length="2"><Varying>
<FieldDefinitions AxisId="TwoTheta"/><FieldDefinitions AxisId="Theta"/></Varying></RawDataView>
<RawDataView xsi:type="RecordedRawDataView" Start="4" Length="1"><Recording/></RawDataView>
</DataViews></DataRoute></DataRoutes></RawData>"""
BRML_INDEX = "<DataContainer><RawDataReferenceList>{members}</RawDataReferenceList></DataContainer>"


def scan(n=151, start=10.0, step=0.05, seed=0):
    """Angles on a lattice of exact decimals, and whole counts with some lines."""
    rng = np.random.default_rng(seed)
    x = np.round(start + step * np.arange(n), 6)
    lines = 900 * np.exp(-(((x - x[[20, 70, 120]][:, None]) / 0.15) ** 2)).sum(0)
    return x, rng.poisson(40 + lines).astype(float)


def columns(x, y, sep=" ", header=""):
    rows = "\n".join(f"{a!r}{sep}{b!r}" for a, b in zip(x.tolist(), y.tolist(), strict=True))
    return (header + rows + "\n").encode()


def xrdml(*scans, wavelength=WAVELENGTH):
    parts = [
        XRDML_SCAN.format(
            wavelength=wavelength, start=x[0], stop=x[-1], values=" ".join(f"{v:.0f}" for v in y)
        )
        for x, y in scans
    ]
    return XRDML.format(scans="\n".join(parts)).encode()


def ras(*scans, attenuation=None):
    text = "*RAS_DATA_START\n"
    for x, y in scans:
        third = np.ones(len(x)) if attenuation is None else attenuation
        rows = "\n".join(f"{a:.6f} {b:.4f} {c:.4f}" for a, b, c in zip(x, y, third, strict=True))
        text += (
            f'*RAS_HEADER_START\n*FILE_SAMPLE "salt"\n*HW_XG_TARGET_NAME "Mo"\n'
            f'*HW_XG_WAVE_LENGTH_ALPHA1 "{WAVELENGTH}"\n*HW_XG_WAVE_LENGTH_ALPHA2 "0.71359"\n'
            f'*MEAS_SCAN_AXIS_X "TwoThetaTheta"\n*MEAS_SCAN_UNIT_X "deg"\n'
            f'*MEAS_SCAN_UNIT_Y "counts"\n*MEAS_DATA_COUNT "{len(x)}"\n*RAS_HEADER_END\n'
            f"*RAS_INT_START\n{rows}\n*RAS_INT_END\n"
        )
    return (text + "*RAS_DATA_END\n").encode()


def archive(members, compression=zipfile.ZIP_DEFLATED):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as file:
        for name, data in members.items():
            file.writestr(name, data)
    return stream.getvalue()


def rasx(*scans):
    groups = "".join(
        f'<Data{i}><ContentHashList Name="Profile{i}.txt"/>'
        f'<ContentHashList Name="MesurementConditions{i}.xml"/></Data{i}>'
        for i in range(len(scans))
    )
    members = {"root.xml": f"<Root>{groups}</Root>"}
    for i, (x, y) in enumerate(scans):
        rows = "\r\n".join(f"{a:.6f}\t{b:.4f}\t1" for a, b in zip(x, y, strict=True))
        members[f"Data{i}/Profile{i}.txt"] = "\ufeff" + rows
        members[f"Data{i}/MesurementConditions{i}.xml"] = (
            "<MeasurementConditions><HWConfigurations><XrayGenerator><TargetName>Mo</TargetName>"
            f"<WavelengthKalpha1>{WAVELENGTH}</WavelengthKalpha1></XrayGenerator>"
            "</HWConfigurations><ScanInformation><AxisName>TwoThetaTheta</AxisName>"
            "</ScanInformation></MeasurementConditions>"
        )
    return archive(members)


def brml(*scans, extra=()):
    names = [f"Experiment0/RawData{i}.xml" for i in range(len(scans))]
    index = BRML_INDEX.format(members="".join(f"<string>{name}</string>" for name in names))
    members = {"Experiment0/DataContainer.xml": index}
    for name, (x, y) in zip(names, scans, strict=True):
        rows = "\n".join(
            f"<Datum>0.5,1,{a:.6f},{a / 2:.6f},{b:.4f}</Datum>" for a, b in zip(x, y, strict=True)
        )
        members[name] = BRML_RAW.format(wavelength=WAVELENGTH, rows=rows)
    return archive(members | dict(extra))


def raw1(*scans):
    """DIFFRAC-AT version 1: a header of 156 bytes, the first four of them only once."""
    data = b"RAW "
    for i, (x, y) in enumerate(scans):
        data += struct.pack("<IffIIf", len(x), 1.0, x[1] - x[0], 0, 0, x[0])
        data += struct.pack("<fff", -1e6, -1e6, -1e6) + b"salt".ljust(32)
        data += struct.pack("<ff", WAVELENGTH, 0.71359) + bytes(72)
        data += struct.pack("<I", i + 1 < len(scans)) + y.astype("<f4").tobytes()
    return data


def raw2(*scans):
    """DIFFRAC-AT version 2: a file header of 256 bytes, 48 or more for each range."""
    head = b"RAW2" + struct.pack("<H", len(scans)) + bytes(162) + b"01-JAN-1990 00:00:00Mo"
    data = (head + struct.pack("<fff", WAVELENGTH, 0.71359, 0.5)).ljust(256, b"\0")
    for x, y in scans:
        ahead = struct.pack("<HHIfff", 60, len(x), 0, 1.0, x[1] - x[0], x[0])
        data += ahead.ljust(60, b"\0") + y.astype("<f4").tobytes()
    return data


def raw3(*scans):
    """DIFFRACplus version 3: a file header of 712 bytes, 304 for each range."""
    head = bytearray(712)
    head[:7] = b"RAW1.01"
    struct.pack_into("<II", head, 8, 1, len(scans))
    head[608:610] = b"Mo"
    struct.pack_into("<dd", head, 616, 0.7107, WAVELENGTH)
    data = bytes(head)
    for x, y in scans:
        ahead = bytearray(304)
        struct.pack_into("<II", ahead, 0, 304, len(x))
        struct.pack_into("<dd", ahead, 8, x[0] / 2, x[0])
        struct.pack_into("<d", ahead, 176, x[1] - x[0])
        struct.pack_into("<d", ahead, 240, WAVELENGTH)
        struct.pack_into("<I", ahead, 252, 4)
        data += bytes(ahead) + y.astype("<f4").tobytes()
    return data


def raw4(*scans):
    """Version 4: a file header of 61 bytes, records of (type, length), 160 for each range."""
    hardware = bytearray(120)
    struct.pack_into("<II", hardware, 0, 30, 120)
    struct.pack_into("<dd", hardware, 72, 0.7107, WAVELENGTH)
    hardware[116:118] = b"Mo"
    data = b"RAW4.00".ljust(61, b"\0") + bytes(hardware)
    for x, y in scans:
        ahead = bytearray(160)
        ahead[32:46] = b"Locked Coupled"
        struct.pack_into("<dd", ahead, 72, x[0], x[1] - x[0])
        struct.pack_into("<I", ahead, 88, len(x))
        struct.pack_into("<II", ahead, 136, 4, 0)
        data += bytes(ahead) + y.astype("<f4").tobytes()
    return data


def uxd(*scans):
    text = f"; made for a test\n_FILEVERSION=2\n_SAMPLE='salt'\n_WL_UNIT='A'\n_WL1={WAVELENGTH}\n"
    text += "_WL2=0.71359\n_WLRATIO=0.5\n_ANODE='Mo'\n"
    for x, y in scans:
        rows = "\n".join(f"{a:.6f}\t{b:.0f}" for a, b in zip(x, y, strict=True))
        text += f"; (Data for Range)\n_DRIVE='COUPLED'\n_2THETACOUNTS\n{rows}\n"
    return text.encode()


def gsas(*scans, kind="FXYE"):
    """GSAS: FXYE lists centidegrees; STD and ESD have fixed fields on constant steps."""
    text = "salt, made for a test\n# Calibrated wavelength = 0.7093\n"
    for i, (x, y) in enumerate(scans, 1):
        start, step, n = 100 * x[0], 100 * (x[1] - x[0]), len(x)
        text += f"BANK {i} {n} {n} CONS {start:.6g} {step:.6g} 0 0 {kind}\n"
        if kind == "FXYE":
            rows = zip(x, y, strict=True)
            fields = [f"{100 * a:15.4f}{b:15.2f}{np.sqrt(b):12.2f}" for a, b in rows]
            per_line = 1
        elif kind == "STD":
            fields, per_line = [f"{b:8.0f}" for b in y], 10
        else:
            fields, per_line = [f"{b:8.0f}{np.sqrt(b):8.2f}" for b in y], 5
        lines = ["".join(fields[k : k + per_line]) for k in range(0, len(fields), per_line)]
        text += "\n".join(lines) + "\n"
    return text.encode()


def cif(*scans, stepped=False):
    text = "#\n"
    for i, (x, y) in enumerate(scans):
        text += f"data_scan_{i}\n_pd_block_id scan|{i}\n_diffrn_radiation_wavelength {WAVELENGTH}\n"
        if stepped:
            for tag, value in (("min", x[0]), ("max", x[-1]), ("inc", x[1] - x[0])):
                text += f"_pd_meas_2theta_range_{tag} {value:.6g}\n"
            text += "loop_\n_pd_meas_counts_total\n"
            text += "\n".join(f"{b:.0f}" for b in y) + "\n"
        else:
            text += (
                "loop_\n_pd_proc_point_id\n_pd_proc_2theta_corrected\n_pd_proc_intensity_total\n"
            )
            text += "_pd_calc_intensity_total\n"
            rows = zip(range(len(x)), x, y, strict=True)
            text += "\n".join(f"{k} {a:.6f}(3) {b:.0f}(12) ." for k, a, b in rows) + "\n"
    return text.encode()


# name -> (file name, writer of any number of scans)
FORMATS = {
    "XRDML": ("scan.xrdml", xrdml),
    "RAS": ("scan.ras", ras),
    "RASX": ("scan.rasx", rasx),
    "BRML": ("scan.brml", brml),
    "Bruker RAW 1": ("scan.raw", raw1),
    "Bruker RAW 2": ("scan.raw", raw2),
    "Bruker RAW 3": ("scan.raw", raw3),
    "Bruker RAW 4": ("scan.raw", raw4),
    "UXD": ("scan.uxd", uxd),
    "GSAS": ("scan.fxye", gsas),
    "CIF": ("scan.cif", cif),
}
