"""Warnings about a pattern and its answer: a sentence for each flag."""

from . import checks

ASSUMED = "CuKa"  # radiation where neither the user nor the file names one

FLAGS = {
    "no_peaks": "No diffraction peak stands out, as with amorphous matter or a scan of the "
    "background: the pattern gives no evidence, and the ranking is the prior alone.",
    "few_peaks": f"Fewer than {checks.FEW} peaks stand out, too few to tell groups apart: "
    "do not rely on the ranking.",
    "unlike": "No known structure resembles the pattern, so that the ranking is less reliable. "
    "Such patterns are complex structures, mixtures, or not minerals.",
    "left_over": "Peaks are left unindexed: a mixture or a second phase is likely, or the lattice "
    "is wrong. One phase is assumed.",
    "k_beta": "Some peaks are not of the specimen: another wavelength of the tube repeats its "
    "strong peaks; a filter or monochromator removes them.",
    "uneven": "Some peaks that should be one reflection are much wider than others: a splitting "
    "that is not resolved, as of a lower symmetry, strain, or a second phase.",
    "spikes": "Single points stand out where peaks are several points wide, as from hot pixels, "
    "single crystallites or cosmic rays: mask them, since they are read as peaks.",
    "coarse": "The steps are coarse, so that close peaks merge: use 0.02 degrees or less.",
    "broad": "The peaks are broad, so that cells and absences are less certain.",
    "wavelength_doubtful": "The wavelength is probably wrong: state it with --wavelength.",
    "theta": "The angles are probably theta, not 2theta: double them.",
    "short_range": f"The scan begins above {checks.LATEST:g} or ends below {checks.EARLIEST:g} "
    "degrees (as with Cu radiation): decisive reflections may be missing.",
    "range_cut": "Of the few peaks some lie outside 5 to 90 degrees (as with Cu radiation), where "
    "nothing is used.",
    "wavelength_assumed": f"Neither you nor the file names the wavelength; {ASSUMED} is assumed.",
    "prior_contradicted": "The pattern contradicts the prior that you stated, which excludes the "
    "groups that its peaks favour.",
    "scans_averaged": "The file holds several scans of one range that agree: they were averaged; "
    "choose one with --scan.",
    "scans_joined": "The file holds several ranges: they were joined; choose one with --scan.",
    "scans_left": "The file holds further scans, which differ or cannot be read: they were left "
    "out; choose one with --scan.",
    "aborted": "The scan was aborted: the file says so, or holds fewer points than it should.",
    "neutrons": "The pattern was not measured with X-rays, the only radiation that the models "
    "know: the positions of its peaks count, their intensities mislead.",
}
