"""The command line: what it prints, where, and with which exit code."""

import csv
import io
import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import bundled
import click
import pytest
import samples
from pymatgen.io.cif import CifWriter

import xrdlib
from xrdlib import cli
from xrdlib.base.paths import ROOT
from xrdlib.cli import frame
from xrdlib.prediction.widgets import quartz
from xrdlib.structures import datasets, materials_project, registry
from xrdlib.symmetry import groups

ENV = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}


@pytest.fixture
def run(monkeypatch, capsys):
    """Run the command in this process: exit code, what it printed, and its complaints."""

    def call(*arguments):
        code = cli.main([str(a) for a in arguments])
        shown = capsys.readouterr()
        return code, shown.out, shown.err.splitlines()

    predictor = None

    def load(weights):
        assert weights is None
        return predictor or bundled.predictor()

    predictor = bundled.predictor()
    monkeypatch.setattr("xrdlib.prediction.predictor.load_predictor", load)
    return call


@pytest.fixture
def files(tmp_path):
    """Three patterns."""
    paths = []
    for seed, name in enumerate(("a.xy", "b.csv", "c d.txt")):
        sample = quartz(seed)
        separator = "," if name.endswith("csv") else " "
        rows = zip(sample.two_theta.round(2), sample.intensity, strict=True)
        (tmp_path / name).write_text("\n".join(f"{x:.2f}{separator}{y:g}" for x, y in rows))
        paths.append(tmp_path / name)
    return paths


def test_json_has_an_object_for_each_file(run, files):
    code, out, err = run("predict", *files, "--json", "--top", 3)
    answers = json.loads(out)
    assert code == 0 and err == [] and [a["file"] for a in answers] == list(map(str, files))
    for answer in answers:
        assert {"file", "predictions", "set", "flags"} <= set(answer)
        keys = {"group", "symbol", "crystal_system", "space_groups", "probability"}
        assert len(answer["predictions"]) == 3
        assert all(set(row) == keys for row in answer["predictions"])
        assert answer["predictions"][0]["group"] == answer["set"][0]


def test_csv_says_the_same_as_json(run, files):
    answers = json.loads(run("predict", *files, "--json")[1])
    rows = list(csv.DictReader(io.StringIO(run("predict", *files, "--csv")[1])))
    assert len(rows) == 15
    flat = [(a["file"], row) for a in answers for row in a["predictions"]]
    for row, (file, expected) in zip(rows, flat, strict=True):
        assert row["file"] == file and int(row["group"]) == expected["group"]
        assert float(row["probability"]) == pytest.approx(expected["probability"], rel=1e-5)
        assert [int(n) for n in row["space_groups"].split()] == expected["space_groups"]


def test_text_names_groups_in_order_with_their_space_groups(run, files):
    code, out, _ = run("predict", files[0])
    answer = json.loads(run("predict", files[0], "--json")[1])[0]
    assert code == 0
    at = [out.index(f"eg{row['group']:<3}  {row['symbol']} ") for row in answer["predictions"]]
    assert at == sorted(at)
    assert "CuKa is assumed" in out and "90 % set" in out


def test_a_bad_file_gets_one_sentence_and_the_others_an_answer(run, files, tmp_path):
    bad = tmp_path / "bad\n\x1b[31m.xy"
    bad.write_text("no numbers")
    (tmp_path / "empty folder").mkdir()
    names = (bad, tmp_path / "empty folder", tmp_path / "none")
    code, out, err = run("predict", files[0], *names, files[1], "--json")
    assert code == 2
    assert [a["file"] for a in json.loads(out)] == [str(files[0]), str(files[1])]
    assert len(err) == 3 and all(line.startswith("xrdlib: ") for line in err)
    assert "none: does not exist" in err[2] and "empty folder: there is no file" in err[0]
    assert all(character.isprintable() for line in err for character in line)


def test_folders_and_wildcards_name_files_and_processes_keep_their_order(run, files, tmp_path):
    expected = json.loads(run("predict", *sorted(files), "--json")[1])
    (tmp_path / ".hidden").write_text("no pattern")
    for named in (tmp_path, f"{tmp_path}/*.*", f"{tmp_path}/**/*[!.]*"):
        code, out, err = run("predict", named, "--json", "--jobs", 1)
        assert (code, err) == (0, []) and json.loads(out) == expected
    for _ in range(2):  # the second run meets what the first one wrote
        assert run("predict", tmp_path, "--jobs", 1, "--out", tmp_path / "a.json") == (0, "", [])
        assert json.loads((tmp_path / "a.json").read_text()) == expected
    (tmp_path / "a.json").unlink()
    code, out, err = run("predict", f"{tmp_path}/*.raw")
    assert code == 2 and "there is no file" in err[0]
    answers = json.loads(run("predict", tmp_path, "--json", "--jobs", 2)[1])
    for one, other in zip(answers, expected, strict=True):
        assert one["file"] == other["file"] and one["set"] == other["set"]


@pytest.mark.parametrize(
    ("name", "form"), [("a.json", "json"), ("a.csv", "csv"), ("a.txt", "text")]
)
def test_answers_go_to_a_file_in_the_form_that_its_name_says(run, files, tmp_path, name, form):
    code, out, _ = run("predict", files[0], "--out", tmp_path / name)
    assert code == 0 and out == ""
    options = [] if form == "text" else [f"--{form}"]
    assert (tmp_path / name).read_text() == run("predict", files[0], *options)[1]
    code, _, _ = run("predict", files[0], "--csv", "--out", tmp_path / "b.json")
    assert code == 0 and (tmp_path / "b.json").read_text().startswith("file,rank")


def test_the_meaning_of_a_prior_is_printed(run, files):
    _, out, err = run("predict", files[0], "--prior", "P2_1/n=3,15=1", "--json")
    assert len(json.loads(out)) == 1 and len(err) == 2
    assert "P2_1/n is space group 14, P21/c, in the setting P 1 21/n 1" in err[0]
    assert "15 is space group 15, C2/c" in err[1]


def test_nothing_but_bad_files_prints_no_answer(run, tmp_path):
    code, out, err = run("predict", tmp_path / "none", "--json")
    assert code == 2 and json.loads(out) == [] and len(err) == 1


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--prior", "rocks"), "is not available"),
        (("--prior", "system=cube"), "not a crystal system"),
        (("--wavelength", "CuKb"), "Unknown radiation"),
        (("--wavelength", "15"), "from 0.1 to 5"),
        (("--wavelength", "0.15406"), 'is Cu K-alpha in nanometres; give 1.5406, or "0.15406 A"'),
        (("--top", "100"), "1 to 99"),
        (("--coverage", "90"), "between 0 and 1"),
        (("--cell", "5,5,-5,90,90,90"), "is impossible"),
        (("--elements", "Si,Xx"), "'Xx' is not the symbol of an element"),
        (("--library", "no/such/folder"), "it has no CIF file"),
        (("--html", "no/such/folder/report.html"), "cannot be written"),
        (("--out", "no/such/folder/answers.json"), "cannot be written"),
    ],
)
def test_options_without_sense_get_one_sentence(run, files, options, message):
    code, _, err = run("predict", files[0], *options)
    assert code == 2 and len(err) == 1 and message in err[0]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is always full")
def test_a_full_disk_behind_standard_output_gets_one_sentence():
    with open("/dev/full", "w") as full:
        done = subprocess.run(
            [sys.executable, "-m", "xrdlib", "groups"], stdout=full, stderr=subprocess.PIPE,
            text=True, check=False,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "cannot be written" in done.stderr


@pytest.mark.parametrize(
    "arguments",
    [("predict",), ("predict", "x", "--json", "--csv"),
     ("predict", "x", "--out", "a.html", "--html", "a.html"), ("predict", "x", "--cell", "1,2,x"),
     ("predict", "x", "--cell", "1,2,3"), ("predict", "x", "--axis", "theta"),
     ("predict", "x", "--jsn"), ("unknown",)],
)  # fmt: skip
def test_wrong_usage_is_one_sentence_that_says_where_the_right_one_stands(arguments, capsys):
    assert cli.main(list(arguments)) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("xrdlib: ") and "--help`" in line
    assert all(word in line for word in arguments if word.startswith("--"))


def test_without_a_command_the_help_is_shown(capsys):
    assert cli.main([]) == 2
    shown = capsys.readouterr()
    assert "examples:" in shown.err and shown.out == ""


def test_an_interruption_leaves_no_traceback(run, monkeypatch):
    def interrupted(name):
        raise KeyboardInterrupt

    monkeypatch.setattr(datasets, "fetch", interrupted)
    assert run("fetch", "amcsd") == (130, "", [""])


def test_a_prior_changes_the_ranking(run, files):
    def first(prior):
        return json.loads(run("predict", files[0], "--prior", prior, "--json")[1])[0]["predictions"]

    for row in first("system=cubic"):
        assert row["crystal_system"] == "cubic"
    assert {row["group"] for row in first("sg=14,15")[:2]} == {4, 6}


def test_known_elements_and_structures_of_ones_own_are_used(run, files, tmp_path, caplog):
    code, out, _ = run("predict", files[0], "--elements", "Si,O", "--json")
    assert code == 0 and "Quartz" in json.loads(out)[0]["nearest"]["name"]
    code, out, _ = run("predict", files[0], "--elements", "Na Cl ...", "--json")
    assert code == 0 and "Quartz" not in json.loads(out)[0]["nearest"]["name"]
    folder = tmp_path / "own"
    folder.mkdir()
    oxide = samples.structures()["quartz"].copy()
    oxide.replace_species({"Si": "Ge"})
    CifWriter(oxide, symprec=0.01).write_file(folder / "my own.cif")
    (folder / "bad.cif").write_text("no CIF file")
    options = ("--library", folder, "--elements", "Ge,O", "--json")
    code, out, _ = run("predict", *files[:2], *options)
    nearest = [answer["nearest"] for answer in json.loads(out)]
    assert code == 0 and len(caplog.records) == 1 and "bad.cif cannot be used" in caplog.text
    assert {near["name"] for near in nearest} == {"my own.cif"}


def test_d_spacings_give_the_answer_of_their_angles(run, tmp_path):
    import numpy as np

    sample = quartz()
    d = sample.wavelength / 2 / np.sin(np.radians(sample.two_theta / 2))
    for name, x in (("d.xy", d[::-1]), ("two_theta.xy", sample.two_theta)):
        y = sample.intensity[::-1] if name == "d.xy" else sample.intensity
        rows = [f"{a:.7f} {b:g}" for a, b in zip(x, y, strict=True)]
        (tmp_path / name).write_text("\n".join(rows))
    one = run("predict", tmp_path / "two_theta.xy", "--wavelength", "CuKa1", "--json")
    other = run("predict", tmp_path / "d.xy", "--axis", "d", "--wavelength", "CuKa1", "--json")
    p, q = (
        {row["group"]: row["probability"] for row in json.loads(out)[0]["predictions"]}
        for _, out, _ in (one, other)
    )
    assert p.keys() == q.keys() and all(abs(p[k] - q[k]) < 0.01 for k in p)


def test_groups_lists_all_and_explains_each(run):
    code, out, _ = run("groups")
    assert code == 0 and len(out.splitlines()) == 100
    code, out, _ = run("groups", "P21/c")
    assert code == 0 and "h0l: l = 2n; 0k0: k = 2n" in out
    assert "group eg4: P 1 21/c 1 (in the paper P 21/b 1 1), monoclinic" in out
    for key in ("eg4", "14", "sg14", "P 1 21/n 1", "-P 2ybc"):
        assert run("groups", key)[1].splitlines()[1:] == out.splitlines()[1:]
    words = " ".join(run("groups", "eg78")[1].split())
    assert words.count("(eg72 P 31 - -, trigonal)") == 2  # neighbour, twin
    # Symbol and conditions are those of one setting, that of the space group asked for.
    assert "P n - a" in run("groups", "Pbnm")[1] and "P n a -" in run("groups", "Pna21")[1]


def test_cells_are_listed_with_figures_of_merit(run, files, tmp_path):
    hkl = tmp_path / "hkl.csv"
    code, out, err = run("index", files[0], "--top", 3, "--hkl", hkl)
    assert code == 0 and err == [] and "M20" in out and "CuKa is assumed" in out
    rows = list(csv.DictReader(io.StringIO(hkl.read_text())))
    names = "h k l two_theta_calc two_theta_obs difference intensity".split()
    assert list(rows[0]) == names and any(row["two_theta_obs"] for row in rows)
    answer = json.loads(run("index", files[0], "--top", 3, "--json")[1])
    assert answer["file"] == str(files[0]) and 1 <= len(answer["cells"]) <= 3
    best = answer["cells"][0]
    assert f"{best['a']:.4f}" in out and best["crystal_system"] in out
    assert {"a", "beta", "centring", "M20", "F20", "indexed", "unindexed"} <= set(best)


def test_what_cannot_be_indexed_gets_one_sentence(run, files, tmp_path):
    for arguments in ((tmp_path / "none",), (files[0], "--top", 0), (files[0], "--axis", "x")):
        code, out, err = run("index", *arguments)
        assert code == 2 and out == "" and len(err) == 1 and err[0].startswith("xrdlib: ")


@pytest.mark.parametrize("label", range(1, 100))
def test_every_group_is_explained(run, label):
    out = " ".join(run("groups", f"eg{label}")[1].split())
    row = groups.table()["extinction_groups"][label - 1]
    assert out.startswith(f"eg{label}: extinction group eg{label}, {row['symbol']}.")
    assert f"Extinction group eg{label}: " in out and row["symbol"] in out
    assert all(f"{groups.reference_symbol(n)} ({n})" in out for n in row["space_groups"])


@pytest.mark.parametrize("name", ["0", "231", "eg100", "P - - -", "quartz", "²"])
def test_an_unknown_group_gets_one_sentence(run, name):
    code, out, err = run("groups", name)
    assert code == 2 and out == "" and len(err) == 1 and "; use " in err[0]


def test_fetch_lists_and_fetches(run, monkeypatch, tmp_path):
    monkeypatch.setattr(datasets, "fetch", lambda name: tmp_path / name)
    assert run("fetch", "amcsd")[:2] == (0, f"amcsd: {tmp_path / 'amcsd'}\n")
    code, out, _ = run("fetch")
    assert code == 0 and all(name in out for name in registry.REGISTRY)


def test_a_set_is_made_from_a_clone(run, monkeypatch, tmp_path):
    monkeypatch.setattr(datasets, "fetch", lambda name: name)
    monkeypatch.setattr(materials_project, "collect", lambda clone, lists, _: len(clone + lists))
    monkeypatch.setenv("XRDLIB_DATA", str(tmp_path))
    code, out, _ = run("fetch", "materials-project", "--clone", "here")
    path = tmp_path / "mp_structures.parquet"
    assert code == 0 and out == f"materials-project: 18 structures in {path}\n"
    code, _, err = run("fetch", "amcsd", "--clone", "here")
    assert code == 2 and "--clone goes with materials-project alone" in err[0]


def test_an_unknown_data_set_gets_one_sentence(run):
    code, _, err = run("fetch", "nonsense")
    assert code == 2 and len(err) == 1 and "amcsd" in err[0]


@pytest.mark.parametrize("name", cli.commands.commands)
def test_every_command_has_a_short_help(name, capsys):
    assert cli.main([name, "--help"]) == 0
    shown = capsys.readouterr().out
    assert "Usage: xrdlib" in shown and max(map(len, shown.splitlines())) <= 100
    assert cli.main(["--help"]) == 0
    (line,) = (x for x in capsys.readouterr().out.splitlines() if x.startswith(f"  {name} "))
    assert len(line.split()) > 2 and "..." not in line


@pytest.mark.parametrize("command", [(), ("predict",), ("groups",), ("fetch",), ("train",)])
def test_help_shows_examples_that_parse(command, capsys):
    assert cli.main([*command, "--help"]) == 0
    shown = capsys.readouterr().out
    assert "examples:" in shown
    assert max(map(len, shown.splitlines())) <= 100
    examples = [line.strip() for line in shown.splitlines() if line.startswith("  xrdlib ")]
    for example in examples:
        typed = re.split(r"\s{2,}|[>|]", example)[0]
        _, name, *words = shlex.split(typed)
        assert isinstance(cli.commands.commands[name].make_context(name, words), click.Context)


def test_the_version_is_that_of_the_package(capsys):
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"xrdlib {xrdlib.__version__}\n"


def module(*arguments, code=0):
    command = [sys.executable, "-m", "xrdlib", *arguments]
    done = subprocess.run(command, env=ENV, capture_output=True, text=True)
    assert done.returncode == code, done.stderr
    return done


def test_it_runs_as_a_module_and_helps_without_heavy_libraries():
    assert "examples:" in module("--help").stdout
    code = "import sys, xrdlib.cli as c\nassert c.main(['--help']) == 0\n"
    code += "assert not {'torch', 'numpy', 'pandas', 'matplotlib'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], env=ENV, check=True, capture_output=True)


def test_a_reader_that_has_seen_enough_is_no_error():
    command = f"{sys.executable} -m xrdlib groups | head -n 1"
    done = subprocess.run(command, shell=True, env=ENV, capture_output=True, text=True)
    assert done.stdout.startswith("group") and done.stderr == ""


@pytest.mark.parametrize(
    ("problem", "shown"),
    [
        (
            "choose one with scan=1, scan=2 and so on",
            "choose one with --scan 1, --scan 2 and so on",
        ),
        ("say with axis= whether they are d", "say with --axis whether they are d"),
        ("give wavelength= yourself", "give --wavelength yourself"),
    ],
)
def test_options_are_called_as_they_are_typed(capsys, problem, shown):
    assert frame.complain(problem) == 2
    assert capsys.readouterr().err == f"xrdlib: {shown}\n"
