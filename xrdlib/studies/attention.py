"""Where attention goes: per pattern, per head, and what happens when it is moved.

They are computed again from the weights and the same inputs; values that are mixed with them
equal what the network makes of them.

A line at a place where the true group forbids one speaks against that group. A line where the cell
has no reflection is a foreign one, and a line upon an allowed one is nothing new: a reader of
absences would mind the first and not the others.
"""

import numpy as np
import torch

from ..base.patterns import CU_KA1, normalise
from ..identification.peaks import profile
from ..learning import decode, priors
from ..learning.statistics import compare
from ..prediction.attribution import integrated_gradients, log_odds
from ..simulation.diffraction import WAVELENGTHS
from ..symmetry import groups
from .absences import grid_of, places, regridded, swapped, tokens

SOURCES = ("class token", "all tokens")


def weights(block, x):
    """Attention weights of one block.

    Parameters
    ----------
    block : model.Block
    x : Tensor, (B, length, width)
        Its input.

    Returns
    -------
    Tensor, (B, heads, length, length)
        Row i says how much of each token token i takes; rows sum to one.
    """
    query, key, _ = _split(block, x)
    return ((query * query.shape[-1] ** -0.5) @ key.transpose(-2, -1)).softmax(-1)


def mixed(block, x):
    """What `model.Block.attend` gives for an input, from `weights`, (B, length, width)."""
    value = _split(block, x)[2]
    both = weights(block, x) @ value
    return block.out(both.transpose(1, 2).reshape(x.shape))


def _split(block, x):
    """Queries, keys and values, each (B, heads, length, width / heads)."""
    batch, length, width = x.shape
    parts = block.qkv(block.norm1(x)).view(batch, length, 3, block.heads, width // block.heads)
    return parts.permute(2, 0, 3, 1, 4)


@torch.inference_mode()
def maps(model, x):
    """Attention of every head, and what reaches the class token through all blocks.

    Parameters
    ----------
    model : model.PhysicsTransformer
    x : Tensor, (B, size)
        Network input.

    Returns
    -------
    heads : Tensor, (B, depth, heads, 2, tokens)
        Weight that each token of the pattern receives in each head: from the class token, and
        from all tokens on average (`SOURCES`).
    rolled : Tensor, (B, tokens)
        Attention rollout: the product over blocks of half the mean over heads and half the
        identity, seen from the class token (Abnar & Zuidema, ACL 2020, section 3).
    """
    inputs = []
    hooks = [
        block.register_forward_pre_hook(lambda _, given: inputs.append(given[0]))
        for block in model.blocks
    ]
    try:
        model.eval()(x)
    finally:
        for hook in hooks:
            hook.remove()
    heads, rolled = [], None
    for block, given in zip(model.blocks, inputs, strict=True):
        found = weights(block, given)
        heads.append(torch.stack([found[:, :, 0, 1:], found[:, :, 1:, 1:].mean(2)], dim=2))
        step = (found.mean(1) + torch.eye(found.shape[-1])) / 2
        rolled = step if rolled is None else step @ rolled
    return torch.stack(heads, dim=1), rolled[:, 0, 1:]


FWHM = 0.12  # degrees

HEIGHTS = (0.02, 0.1)  # of the strongest line

MOST = 2  # absences of a pattern that are tried

PLACES = ("absence", "empty", "line")

_INTERVENED = 64


def reader(model, fusion, training_prior):
    """A function that gives the log-probabilities of a network, training prior divided out.

    Parameters
    ----------
    model : torch.nn.Module
    fusion : float
        Weight of the rule head, 0..1.
    training_prior : array_like, (99,)

    Returns
    -------
    callable
        Network input, Tensor (B, size), to ndarray (B, 99).
    """

    @torch.inference_mode()
    def read(x):
        parts = [decode.log_probs(model.eval()(part), fusion) for part in x.split(_INTERVENED)]
        return priors.divide_out(torch.cat(parts).numpy(), training_prior)

    return read


def line_profile(grid, angle, fwhm=FWHM):
    """A K-alpha doublet of unit height, half Gaussian and half Lorentzian.

    Parameters
    ----------
    grid : patterns.Grid
    angle : float
        2theta of the K-alpha1 line, degrees.
    fwhm : float
        Degrees.

    Returns
    -------
    ndarray, (grid.size,)
    """
    sine = np.sin(np.radians(angle / 2)) * WAVELENGTHS["CuKa2"] / CU_KA1
    second = 2 * np.degrees(np.arcsin(min(sine, 1.0)))
    x = (grid.two_theta - np.array([[angle], [second]])) / (fwhm / 2)
    shape = (np.exp(-np.log(2) * x**2) + 1 / (1 + x**2)) / 2
    shape = shape[0] + shape[1] / 2
    return shape / shape.max()


def effects(read, specimens, places, heights=HEIGHTS, most=MOST):
    """How added lines move the odds of the true group against its rivals.

    Parameters
    ----------
    read : callable
        As from `reader`.
    specimens : specimens.Specimens
    places : list of absences.Places
        Of each specimen, none of them None.
    heights : sequence of float
        Of the strongest line.
    most : int
        Absences of a pattern, spread evenly over its range.

    Returns
    -------
    change : ndarray, (k, len(heights), 3)
        Change of ln p(true) - ln p(rivals that allow the absent line), in nats, for a line at the
        absence, at empty places (weighted mean of the controls), and upon an allowed line.
    owner : ndarray, (k,) int64
        Specimen of each absence.
    right : ndarray, (k,) bool
        Whether the network named the true group before.
    """
    grid = specimens.grid
    plain = normalise(torch.from_numpy(specimens.intensity))
    before = read(plain)
    change, owner, right = [], [], []
    for i, here in enumerate(places):
        true = int(specimens.crystals.group[i]) - 1
        top = specimens.intensity[i].max()
        chosen = np.unique(np.linspace(0, len(here) - 1, min(most, len(here))).astype(int))
        for j in chosen:
            rivals = np.array(here.rivals[j]) - 1
            # The same place within the token, there and in the controls.
            shift = (here.controls[j] - here.diagnostic[j]) * here.width
            angles = [here.angle[j], *(here.angle[j] + shift), here.line_angle[j]]
            added = np.array([line_profile(grid, angle) for angle in angles]) * top
            raw = specimens.intensity[i] + np.array(heights)[:, None, None] * added
            x = normalise(torch.from_numpy(raw.reshape(-1, grid.size)))
            odds = _odds(read(x), true, rivals) - _odds(before[i : i + 1], true, rivals)
            odds = odds.reshape(len(heights), len(angles))
            empty = odds[:, 1:-1] @ here.weights[j]
            change.append(np.column_stack([odds[:, 0], empty, odds[:, -1]]))
            owner.append(i)
            right.append(before[i].argmax() == true)
    return np.array(change), np.array(owner), np.array(right)


def _odds(logp, true, rivals):
    return logp[:, true] - np.logaddexp.reduce(logp[:, rivals], axis=1)


_BATCH = 16

_EXPLAINED = 0.25  # degrees from an allowed line; other peaks are foreign

_PATH = 16  # points of the quadrature of integrated gradients


def located(subjects, model, prior, foreign_peaks=False):
    """The specimens that have diagnostic absences, with their places on a model's tokens.

    Parameters
    ----------
    subjects : specimens.Specimens
    model : model.PhysicsTransformer
    prior : array_like, (99,)
        How common each group is.
    foreign_peaks : bool
        Leave tokens out that hold a peak which no allowed line explains.

    Returns
    -------
    subjects : specimens.Specimens
        On the model's grid.
    found : list of absences.Places
    """
    grid = grid_of(model)
    subjects = regridded(subjects, grid)
    edges, width = tokens(model)
    found = []
    for i, intensity in enumerate(subjects.intensity):
        crystal = subjects.crystals.take([i])
        stop = grid.two_theta[np.flatnonzero(intensity)[-1]]
        here = places(crystal, edges, width, prior, stop)
        if here is not None and foreign_peaks:
            peaks = grid.two_theta[profile(intensity, grid.step).peaks]
            unexplained = np.abs(peaks[:, None] - here.allowed).min(axis=1) > _EXPLAINED
            here = places(crystal, edges, width, prior, stop, peaks[unexplained])
        found.append(here)
    kept = np.array([i for i, here in enumerate(found) if here is not None], dtype=np.int64)
    return subjects.take(kept), [found[i] for i in kept]


def exchanged(found, seed=0):
    """Places of absences exchanged among the patterns, a null for `looks`.

    Returns
    -------
    index : ndarray of int64
        Specimens that still have places.
    found : list of absences.Places
    """
    order = np.random.default_rng(seed).permutation(len(found))
    pairs = [(i, swapped(found[i], found[j])) for i, j in enumerate(order) if i != j]
    kept = [(i, here) for i, here in pairs if here is not None]
    return np.array([i for i, _ in kept], dtype=np.int64), [here for _, here in kept]


def looks(model, subjects, found):
    """Attention at absences and at lines against matched empty tokens.

    Parameters
    ----------
    model : model.PhysicsTransformer
    subjects, found
        As from `located`.

    Returns
    -------
    absences, lines : ndarray, (k, depth * heads * 2 + 1)
        Logarithm of the ratio of attention, a row an absence; columns by block, head and source
        (`attention.SOURCES`), and attention rollout last.
    owner : ndarray, (k,) int64
        Specimen of each absence.
    """
    x = normalise(torch.from_numpy(subjects.intensity))
    parts = []
    for part in x.split(_BATCH):
        heads, rolled = maps(model, part)
        parts.append(torch.cat([heads.flatten(1, 3), rolled[:, None]], dim=1).log())
    weight = torch.cat(parts).double().numpy()
    absences, lines, owner = [], [], []
    for i, here in enumerate(found):
        for j, token in enumerate(here.diagnostic):
            empty = weight[i][:, here.controls[j]] @ here.weights[j]
            absences.append(weight[i][:, token] - empty)
            lines.append(weight[i][:, here.line[j]] - empty)
            owner.append(i)
    return np.array(absences), np.array(lines), np.array(owner)


def attributed(model, fusion, training_prior, subjects, found, n_boot=1000, seed=0):
    """Attribution at absences and at lines against matched empty tokens.

    Integrated gradients of the log-odds between the true group and the rival that allows most of
    the absences, summed over the points of a token: their absolute values as a share of the whole
    pattern's, and the signed values, positive where they speak for the true group.

    Parameters
    ----------
    model : model.PhysicsTransformer
    fusion, training_prior
        As for `attribution.log_odds`.
    subjects, found
        As from `located`.

    Returns
    -------
    dict
        "absences" and "lines", each as `statistics.compare` gives it; the columns are the share in
        percent and the signed value in nats. Empty with fewer than two families.
    """
    x = normalise(torch.from_numpy(subjects.intensity))
    rows = {"absences": [], "lines": []}
    owner = []
    for i, here in enumerate(found):
        rival = _main_rival(here)
        function = log_odds(model, int(subjects.crystals.group[i]), rival, fusion, training_prior)
        value = integrated_gradients(function, x[i], steps=_PATH)
        value = torch.nn.functional.pad(value, (0, model.tokens * model.token_points - len(value)))
        value = value.view(model.tokens, -1).double().numpy()
        share = 100 * np.abs(value).sum(axis=1) / max(np.abs(value).sum(), 1e-12)
        both = np.column_stack([share, value.sum(axis=1)])
        for j, token in enumerate(here.diagnostic):
            if rival in here.rivals[j]:
                empty = here.weights[j] @ both[here.controls[j]]
                rows["absences"].append(both[token] - empty)
                rows["lines"].append(both[here.line[j]] - empty)
                owner.append(i)
    family = subjects.family[owner]
    if len(np.unique(family)) < 2:
        return {}
    return {name: compare(r, family, n_boot, seed=seed) for name, r in rows.items()}


def intervened(read, subjects, found, n_boot=1000, seed=0):
    """Effect of added lines, for all patterns and for those that the network names rightly.

    Parameters
    ----------
    read : callable
        As from `attention.reader`.
    subjects, found
        As from `located`.

    Returns
    -------
    list of dict
        "patterns" ("all" or "named rightly"), "height", "n", "n_families"; for each of
        `attention.PLACES` mean "change" of the log-odds in nats with "change_ci95", and the
        "difference" between absence and empty place with "difference_ci95" and "p".
    """
    change, owner, right = effects(read, subjects, found)
    family, rows = subjects.family[owner], []
    for name, mask in (("all", right | True), ("named rightly", right)):
        if len(np.unique(family[mask])) < 2:
            continue  # no interval
        for h, height in enumerate(HEIGHTS):
            here = change[mask, h]
            values = np.column_stack([here, here[:, 0] - here[:, 1]])
            seen = compare(values, family[mask], n_boot, seed=seed)
            rows.append(
                {
                    "patterns": name,
                    "height": height,
                    "n": seen["n"],
                    "n_families": seen["n_families"],
                    "change": dict(zip(PLACES, seen["mean"], strict=False)),
                    "change_ci95": dict(zip(PLACES, seen["ci95"], strict=False)),
                    "difference": seen["mean"][-1],
                    "difference_ci95": seen["ci95"][-1],
                    "p": seen["p"][-1],
                }
            )
    return rows


def example(model, subjects, found, i, every=10):
    """One pattern with its lines and the attention that it gets.

    Returns
    -------
    dict
        "title", "subset", "intensity" (network input, the highest of every few points), "start"
        and "step" of its angles (degrees), "first_edge" and "width" of the tokens (degrees),
        "rollout" (tokens,) and "blocks" (depth, tokens), of the class token and the mean over
        heads, both in multiples of an even share; "allowed" angles, and "absent" angles and "hkl"
        of the diagnostic ones.
    """
    x = normalise(torch.from_numpy(subjects.intensity[i : i + 1]))
    heads, rolled = maps(model, x)
    edges, width = tokens(model)
    own = heads[0, :, :, 0].mean(dim=1)
    even = model.tokens / own.sum(dim=1, keepdim=True), model.tokens / rolled[0].sum()
    here, group = found[i], int(subjects.crystals.group[i])
    blocks = x.shape[1] // every
    return {
        "title": f"{subjects.crystals.name[i]}, {groups.symbols()[group - 1]}",
        "subset": subjects.subset,
        "start": subjects.grid.start,
        "step": every * subjects.grid.step,
        "intensity": x[0, : blocks * every].view(blocks, every).amax(1).double().numpy().round(3),
        "first_edge": float(edges[0]),
        "width": width,
        "rollout": (rolled[0] * even[1]).double().numpy().round(2),
        "blocks": (own * even[0]).double().numpy().round(2),
        "allowed": here.allowed.round(2),
        "absent": here.angle.round(2),
        "hkl": here.hkl,
    }


def examples(model, subjects, prior, n=3, measured=True):
    """Examples of different crystal systems, those with most diagnostic absences.

    Parameters
    ----------
    model : model.PhysicsTransformer
    subjects : specimens.Specimens
    prior, measured
        As for `located`.
    n : int

    Returns
    -------
    list of dict
        As from `example`.
    """
    subjects, found = located(subjects, model, prior, measured)
    systems = np.array(groups.crystal_systems())[subjects.crystals.group.astype(int) - 1]
    order = np.argsort([-len(here) for here in found], kind="stable")
    first = np.unique(systems[order], return_index=True)[1]
    return [example(model, subjects, found, int(order[i])) for i in np.sort(first)[:n]]


def _main_rival(here):
    """The group that allows most of the absences; of equal ones the first."""
    names, counts = np.unique(np.concatenate(here.rivals), return_counts=True)
    return int(names[counts.argmax()])
