import pytest

from xrdlib.structures.bgmn import by_folded_name, mineral_name


@pytest.mark.parametrize(
    ("titles", "element", "name"),
    [
        (["ALBITE_LOW", "x"], False, "Albite"),
        (["PBO2_beta_Plattnerite"], False, "Plattnerite"),
        (["Muscovite_2M1"], False, "Muscovite-2M1"),
        (["Muscovite_1M"], False, "Muscovite"),
        (["Diamondsyn"], True, "Diamond"),
        (["Boehmite"], False, "Bohmite"),
        (["Cerianite"], False, "Cerianite-(Ce)"),
        (["Y2O3"], False, ""),
        (["NaCl", "Halite-x"], False, "Halite"),
        (["Copper-chromate"], False, ""),
        (["Copper"], True, "Copper"),
        (["Tobermorite_14A"], False, "Tobermorite"),
        (["PhillipsiteCa"], False, "Phillipsite"),
        (["BATIO3"], False, ""),
        (["Iceberg"], False, "Iceberg"),
        (["Apatite"], False, "Apatite"),  # two have the name
    ],
)
def test_minerals_are_named_as_in_the_other_collection(titles, element, name):
    names = ["Albite", "Plattnerite", "Muscovite", "Muscovite-2M1", "Diamond", "Bohmite"]
    names += ["Cerianite-(Ce)", "Halite", "Copper", "Ice", "Apatite-(CaF)", "Apatite-(CaOH)"]
    assert mineral_name(titles, by_folded_name(names), element) == name
