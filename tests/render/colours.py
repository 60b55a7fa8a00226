"""How colours look, to all readers: contrast after WCAG 2, colour blindness after Machado 2009."""

from __future__ import annotations

import numpy as np

__all__ = ["SIGHTS", "contrast", "difference"]

SIGHTS = {
    "usual": np.eye(3),
    "protanopia": np.array(
        [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216],
         [-0.003882, -0.048116, 1.051998]]
    ),
    "deuteranopia": np.array(
        [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413],
         [-0.011820, 0.042940, 0.968881]]
    ),
    "tritanopia": np.array(
        [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602],
         [0.004733, 0.691367, 0.303900]]
    ),
}  # fmt: skip
"""What the three colour-blind see, as matrices of linear RGB (Machado, Oliveira, Fernandes)."""


def linear(colour: str) -> np.ndarray:
    """Return a hexadecimal triple as linear RGB."""
    channels = np.frombuffer(bytes.fromhex(colour[1:]), dtype=np.uint8) / 255
    low, high = channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4
    return np.where(channels <= 0.04045, low, high)


def luminance(colour: str) -> float:
    return float(linear(colour) @ [0.2126, 0.7152, 0.0722])


def contrast(one: str, other: str) -> float:
    """Return the contrast of two colours, from 1 to 21."""
    dark, light = sorted((luminance(one), luminance(other)))
    return (light + 0.05) / (dark + 0.05)


def lab(colour: str, sight: np.ndarray) -> np.ndarray:
    """Return a colour, as someone sees it, in CIELAB."""
    seen = np.clip(sight @ linear(colour), 0, 1)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    ratio = to_xyz @ seen / [0.9505, 1.0, 1.089]
    f = np.where(ratio > (6 / 29) ** 3, np.cbrt(ratio), ratio / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


def difference(one: str, other: str, sight: str = "usual") -> float:
    """Return how different two colours look to someone (CIE 1976; 2.3 can just be told apart)."""
    matrix = SIGHTS[sight]
    return float(np.linalg.norm(lab(one, matrix) - lab(other, matrix)))
