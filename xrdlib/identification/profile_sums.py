"""Compiled sums over the profiles of a pattern, each over a window of points around it."""

import numpy as np
from numba import njit

from ..base.patterns import CU_KA1, GRID
from ..simulation.diffraction import WAVELENGTHS

_STEP = GRID.step

_REACH, _TAIL = 60, 8.0  # points, widths: windows end at the nearer

_RATIO = WAVELENGTHS["CuKa2"] / CU_KA1

# Heights of profiles of area and width 1, and the exponent of the Gaussian one.
_LORENTZ, _GAUSS, _WIDTH = 2 / np.pi, 2 * np.sqrt(np.log(2) / np.pi), 4 * np.log(2)


@njit(cache=True)
def merged(angle, reach):
    """Number of the profile of each angle (ascending): it takes what lies within its reach."""
    profile = np.empty(len(angle), dtype=np.int64)
    start, number = angle[0], 0
    for i in range(len(angle)):
        if angle[i] - start > reach[i]:
            start = angle[i]
            number += 1
        profile[i] = number
    return profile


@njit(cache=True, fastmath=True)
def one_pass(y, under, weight, start, rows, fixed, parameters, shape, correction, intensity, sweeps,
          derive):  # fmt: skip
    """Intensities at a shape, and the normal equations of a better shape.

    Returns intensities, band, right side, misfit, normal matrix and gradient of (shape, parameters,
    background), and position and width of each profile.
    """
    n, k, p = len(y), len(rows), len(parameters)
    size = 2 * _REACH + 26  # the second line of the doublet is so many points off at most
    first = np.zeros(k, dtype=np.int64)
    count = np.zeros(k, dtype=np.int64)
    value = np.zeros((k, size))
    by_position = np.zeros((k, size))
    by_width = np.zeros((k, size))
    by_eta = np.zeros((k, size))
    by_ratio = np.zeros((k, size))
    position, width = np.empty(k), np.empty(k)
    to_square, cosine, tangent = np.zeros(k), np.zeros(k), np.zeros(k)
    eta, ratio = shape[4], shape[5]
    degrees = 180 / np.pi
    for j in range(k):
        if fixed[j] > 0:
            theta = fixed[j] / degrees / 2
            position[j] = fixed[j]
        else:
            square = 0.0
            for a in range(p):
                square += rows[j, a] * parameters[a]
            theta = np.arcsin(min(np.sqrt(max(square, 1e-9)) * CU_KA1 / 2, 0.999))
            cosine[j] = np.cos(theta)
            position[j] = 2 * theta * degrees + shape[0] + shape[1] * cosine[j]
            to_square[j] = degrees * CU_KA1**2 / (2 * np.sin(2 * theta))
        tangent[j] = np.tan(theta)
        width[j] = shape[2] + shape[3] * tangent[j]
        second = np.arcsin(min(np.sin(theta) * _RATIO, 0.9999)) - theta
        second *= 2 * degrees
        span = min(_REACH, int(_TAIL * width[j] / _STEP) + 2)
        centre = int(np.rint((position[j] - start) / _STEP))
        low = max(0, centre - span)
        high = min(n - 1, centre + span + int(second / _STEP) + 1)
        first[j] = low
        count[j] = max(0, min(high - low + 1, size))
        w = width[j]
        for part in range(2):
            amount = 1.0 if part == 0 else ratio
            middle = position[j] + (second if part else 0.0)
            for i in range(count[j]):
                u = (start + (low + i) * _STEP - middle) / w
                bell = 1 / (1 + 4 * u * u)
                lorentz = _LORENTZ / w * bell
                gauss = 0.0
                if u * u < 12:
                    gauss = _GAUSS / w * np.exp(-_WIDTH * u * u)
                v = eta * lorentz + (1 - eta) * gauss
                value[j, i] += amount * v
                if derive:
                    slope = eta * lorentz * 8 * u * bell
                    slope += (1 - eta) * gauss * 2 * _WIDTH * u
                    by_position[j, i] += amount * slope / w
                    by_width[j, i] += amount * (slope * u - v) / w
                    by_eta[j, i] += amount * (lorentz - gauss)
                    if part:
                        by_ratio[j, i] += v
    knots = len(correction)
    gap = (n - 1) / (knots - 1)
    net = np.empty(n)
    for i in range(n):
        t = min(int(i / gap), knots - 2)
        f = i / gap - t
        net[i] = y[i] - under[i] - correction[t] * (1 - f) - correction[t + 1] * f
    most = 1  # width of the band: how far apart in the list overlapping profiles are
    for j in range(k):
        for m in range(j + 1, k):
            if first[m] >= first[j] + count[j]:
                break
            most = max(most, m - j + 1)
    band, right = np.zeros((k, most)), np.zeros(k)
    weighted = np.empty(size)
    for j in range(k):
        total = 0.0
        for i in range(count[j]):
            weighted[i] = weight[first[j] + i] * value[j, i]
            total += weighted[i] * net[first[j] + i]
        right[j] = total
        for d in range(most):
            m = j + d
            if m >= k:
                break
            low = max(first[j], first[m])
            high = min(first[j] + count[j], first[m] + count[m])
            total = 0.0
            for i in range(low, high):
                total += weighted[i - first[j]] * value[m, i - first[m]]
            band[j, d] = total
        band[j, 0] += 1e-12
    # Gauss-Seidel steps that keep intensities at least zero.
    x = intensity.copy()
    for _ in range(sweeps):
        for j in range(k):
            total = right[j]
            for d in range(1, most):
                if j + d < k:
                    total -= band[j, d] * x[j + d]
                if j - d >= 0:
                    total -= band[j - d, d] * x[j - d]
            x[j] = max(0.0, total / band[j, 0])
    rest = net.copy()
    for j in range(k):
        for i in range(count[j]):
            rest[first[j] + i] -= x[j] * value[j, i]
    misfit = 0.0
    for i in range(n):
        misfit += weight[i] * rest[i] ** 2
    q = 6 + p + knots
    normal, gradient = np.zeros((q, q)), np.zeros(q)
    if derive:
        head = 6 + p
        jacobian = np.zeros((n, head))
        slopes = np.empty(head)  # of position and width over each parameter
        for j in range(k):
            if x[j] == 0.0:
                continue
            slopes[0] = 1.0 if fixed[j] == 0 else 0.0
            slopes[1] = cosine[j]
            slopes[2], slopes[3] = 1.0, tangent[j]
            for a in range(p):
                slopes[6 + a] = to_square[j] * rows[j, a]
            for i in range(count[j]):
                at = first[j] + i
                position_part, width_part = x[j] * by_position[j, i], x[j] * by_width[j, i]
                jacobian[at, 0] += slopes[0] * position_part
                jacobian[at, 1] += slopes[1] * position_part
                jacobian[at, 2] += width_part
                jacobian[at, 3] += slopes[3] * width_part
                jacobian[at, 4] += x[j] * by_eta[j, i]
                jacobian[at, 5] += x[j] * by_ratio[j, i]
                for a in range(p):
                    jacobian[at, 6 + a] += slopes[6 + a] * position_part
        for i in range(n):
            # Points far off count less, as in robust regression.
            w = weight[i] / np.sqrt(1 + weight[i] * rest[i] ** 2 / 16)
            t = min(int(i / gap), knots - 2)
            f = i / gap - t
            for a in range(head):
                v = w * jacobian[i, a]
                if v == 0.0:
                    continue
                gradient[a] += v * rest[i]
                for b in range(a + 1):
                    normal[a, b] += v * jacobian[i, b]
                normal[head + t, a] += v * (1 - f)
                normal[head + t + 1, a] += v * f
            gradient[head + t] += w * (1 - f) * rest[i]
            gradient[head + t + 1] += w * f * rest[i]
            normal[head + t, head + t] += w * (1 - f) ** 2
            normal[head + t + 1, head + t + 1] += w * f * f
            normal[head + t + 1, head + t] += w * f * (1 - f)
        for a in range(q):
            for b in range(a):
                normal[b, a] = normal[a, b]
    return x, band, right, misfit, normal, gradient, position, width
