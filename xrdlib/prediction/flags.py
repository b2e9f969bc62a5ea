"""What there may be to doubt in a pattern and its answer: a sentence for each flag."""

from . import doubts

ASSUMED = "CuKa"  # radiation where neither the user nor the file names one

FLAGS = {
    "no_peaks": "No diffraction peak stands out, as with amorphous matter or a scan of the "
    "background: the pattern says nothing, and the ranking is the prior alone.",
    "few_peaks": f"Fewer than {doubts.FEW} peaks stand out, too few to tell groups apart: trust "
    "the ranking little.",
    "unlike": "No known structure resembles the pattern, so that the ranking rests on less: trust "
    "it little. Such patterns are complex structures, mixtures, or not minerals.",
    "left_over": "A mixture or a second phase is likely, or the lattice is wrong: one phase is "
    "assumed, and peaks are left over.",
    "k_beta": "Some peaks are not of the sample: another wavelength of the tube repeats its strong "
    "peaks, which a filter or monochromator removes.",
    "uneven": "Some peaks that should be one reflection are much wider than others: a splitting "
    "that is not resolved, as of a lower symmetry, strain, or a second phase.",
    "spikes": "Single points stand out where peaks are several points wide, as hot pixels, single "
    "crystallites or cosmic rays do: mask them, since they are read as peaks.",
    "coarse": "The steps are coarse, so that close peaks merge: 0.02 degrees or less is best.",
    "broad": "The peaks are broad, so that cells and absences are read less surely.",
    "wavelength_doubtful": "The wavelength is hardly right: state it with --wavelength.",
    "theta": "The angles are hardly 2theta: they are theta, and to be doubled.",
    "short_range": f"The scan begins above {doubts.LATEST:g} or ends below {doubts.EARLIEST:g} "
    "degrees (as with Cu radiation): reflections that decide may be missing.",
    "range_cut": "Of the few peaks some lie outside 5 to 90 degrees (as with Cu radiation), where "
    "nothing is used.",
    "wavelength_assumed": f"Neither you nor the file names the wavelength; {ASSUMED} is assumed.",
    "prior_contradicted": "The pattern contradicts the prior that you stated, which excludes what "
    "its peaks speak for.",
    "scans_averaged": "The file holds several scans of one range that agree: they were averaged; "
    "choose one with --scan.",
    "scans_joined": "The file holds several ranges: they were joined; choose one with --scan.",
    "scans_left": "The file holds further scans, which differ or cannot be read: they were left "
    "out; choose one with --scan.",
    "aborted": "The scan was aborted: the file says so, or holds fewer points than it should.",
    "neutrons": "The pattern was measured with neutrons, or at least not with X-rays, which the "
    "models know alone: the positions of its peaks count, their intensities mislead.",
}
