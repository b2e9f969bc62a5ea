"""Sample crystals and their reflections."""

import pytest
import samples


@pytest.fixture(scope="module")
def computed():
    return samples.computed()


@pytest.fixture(scope="module")
def textbook():
    return samples.textbook()
