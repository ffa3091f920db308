"""Arrays to pictures: radio maps, vehicles, transmitters, legends; the same input, the same bytes.

A grey level of :class:`rmtools.units.GreyScale` is the index into the colour table, so a picture
shows exactly what the image layouts store.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from rmtools.report.colours import gain_table

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rmtools.grid import Grid
    from rmtools.types import BoolArray, ByteArray, FloatArray
    from rmtools.units import GreyScale

Colour = tuple[int, int, int]
ColourAlpha = tuple[int, int, int, int]
Font = ImageFont.ImageFont | ImageFont.FreeTypeFont

BUILDING: Colour = (58, 61, 66)
NOT_COMPUTED: Colour = (150, 152, 156)
GROUND: Colour = (238, 239, 236)
ROAD: Colour = (252, 252, 251)
SCENE_BUILDING: Colour = (176, 179, 184)
INK: Colour = (32, 34, 38)
FAINT_INK: Colour = (96, 100, 108)
PAPER: Colour = (255, 255, 255)
TRANSMITTER: Colour = (214, 48, 49)
VEHICLE: Colour = (37, 99, 175)
TRAIL: Colour = (64, 140, 220)
VEHICLE_ON_MAP: ColourAlpha = (*PAPER, 90)

_SMOOTH = 3  # outlines are drawn this much larger and averaged down
_MAX_DRAWN_SIDE = 8192  # except where that would need too much memory


def paint_map(pathloss_db: FloatArray, buildings: BoolArray, scale: GreyScale) -> ByteArray:
    """Colours of a radio map.

    Parameters
    ----------
    pathloss_db
        Path loss in dB, NaN where not computed, shape (n, n).
    buildings
        Building mask, shape (n, n).
    scale
        Which losses the ends of the colour table stand for.

    Returns
    -------
    ndarray of uint8, shape (n, n, 3)
        Without a value buildings are dark grey, other pixels light grey.
    """
    rgb = gain_table()[scale.encode(pathloss_db)]
    missing = np.isnan(pathloss_db)
    rgb[missing] = NOT_COMPUTED
    rgb[missing & buildings] = BUILDING
    return rgb


def paint_scene(buildings: BoolArray, roads: BoolArray) -> ByteArray:
    """Colours of a scene's static layers, shape (n, n, 3)."""
    rgb = np.full((*buildings.shape, 3), GROUND, np.uint8)
    rgb[roads] = ROAD
    rgb[buildings] = SCENE_BUILDING
    return rgb


def paint_plan(layers: ByteArray) -> ByteArray:
    """Colours of a scene from 0 ground, 1 road and 2 building, shape (n, n) to (n, n, 3)."""
    return np.array([GROUND, ROAD, SCENE_BUILDING], np.uint8)[layers]


class Sketch:
    """An enlarged raster with smooth outlines drawn over it in local metres.

    Parameters
    ----------
    rgb
        Colours, shape (n, n, 3).
    grid
        Their grid.
    factor
        Screen pixels per raster pixel; enlarged without smoothing, so pixels stay pixels.
    emphasis
        Enlarges marks, labels and lines (not vehicles) for pictures that are shown small.
    """

    def __init__(self, rgb: ByteArray, grid: Grid, factor: int, emphasis: float = 1.0) -> None:
        self._base = Image.fromarray(np.kron(rgb, np.ones((factor, factor, 1), np.uint8)))
        self._smooth = _SMOOTH if grid.n * factor * _SMOOTH <= _MAX_DRAWN_SIDE else 1
        side = grid.n * factor * self._smooth
        self._overlay = Image.new("RGBA", (side, side))
        self._draw = ImageDraw.Draw(self._overlay)
        self._grid = grid
        self._per_metre = factor * self._smooth / grid.resolution_m
        self._stroke = round(max(side / 256, self._smooth) * emphasis)

    def _points(self, metres: FloatArray) -> list[tuple[float, float]]:
        x, y = np.asarray(metres, float).T
        across, down = x * self._per_metre, (self._grid.size_m - y) * self._per_metre
        return list(zip(across.tolist(), down.tolist(), strict=True))

    def vehicles(self, outlines: FloatArray, fill: ColourAlpha, edge: Colour) -> None:
        """Boxes with an outline; `outlines` has shape (V, 4, 2), local metres."""
        for corners in outlines:
            width = max(round(self._stroke * 0.4), 1)
            self._draw.polygon(self._points(corners), fill=fill, outline=edge, width=width)

    def trail(self, metres: FloatArray, colour: ColourAlpha) -> None:
        """The way of one vehicle, shape (F, 2), local metres."""
        self._draw.line(self._points(metres), fill=colour, width=self._stroke, joint="curve")

    def way(self, metres: FloatArray, colour: Colour) -> None:
        """The way of a path, shape (P, 2), local metres; dark edges keep it visible on any map."""
        points = self._points(metres)
        for width, fill in ((1.1, INK), (0.6, colour)):
            self._draw.line(points, fill=fill, width=max(round(self._stroke * width), 1))

    def mark(self, x: float, y: float, shape: int) -> None:
        """A small mark, see :func:`draw_mark`."""
        ((across, down),) = self._points(np.array([[x, y]]))
        draw_mark(self._draw, (across, down), shape, 1.5 * self._stroke)

    def dot(self, x: float, y: float, colour: Colour) -> None:
        """The end of a path."""
        ((across, down),) = self._points(np.array([[x, y]]))
        reach = 1.1 * self._stroke
        box = (across - reach, down - reach, across + reach, down + reach)
        self._draw.ellipse(box, fill=colour, outline=INK, width=max(round(self._stroke * 0.4), 1))

    def transmitter(self, x: float, y: float, label: str = "") -> None:
        """A ringed disc, with a label to its right."""
        ((across, down),) = self._points(np.array([[x, y]]))
        ring = TRANSMITTER if label else INK
        for radius, colour in ((3.0, PAPER), (2.3, ring), (1.5, PAPER)):
            reach = radius * self._stroke * (0.8 if label else 1.0)
            box = (across - reach, down - reach, across + reach, down + reach)
            self._draw.ellipse(box, fill=colour)
        if label:
            self._draw.text(
                (across + 3.4 * self._stroke, down),
                label,
                fill=TRANSMITTER,
                font=font(round(5.0 * self._stroke)),
                anchor="lm",
                stroke_width=max(self._stroke // 2, 1),
                stroke_fill=PAPER,
            )

    def image(self) -> Image.Image:
        """The finished picture, RGB."""
        result = self._base.convert("RGBA")
        result.alpha_composite(self._overlay.reduce(self._smooth))
        return result.convert("RGB")


def draw_mark(draw: ImageDraw.ImageDraw, at: tuple[float, float], shape: int, reach: float) -> None:
    """A white mark with dark edges: 0 a ring, 1 a square, 2 a triangle."""
    x, y = at
    edge = max(round(reach / 4), 1)
    box = (x - reach, y - reach, x + reach, y + reach)
    if shape == 0:
        draw.ellipse(box, fill=PAPER, outline=INK, width=edge)
    elif shape == 1:
        draw.rectangle(box, fill=PAPER, outline=INK, width=edge)
    else:
        corners = [(x, y - 1.2 * reach), (x + 1.2 * reach, y + reach), (x - 1.2 * reach, y + reach)]
        draw.polygon(corners, fill=PAPER, outline=INK, width=edge)


def font(size: int) -> Font:
    """The font that comes with Pillow, so that pictures do not depend on the machine."""
    return ImageFont.load_default(max(size, 8))


def nice_ticks(low: float, high: float, about: int = 6) -> list[float]:
    """Round numbers (1, 2 or 5 times a power of ten apart) within [low, high]."""
    if not high > low:
        return [low]
    raw = (high - low) / max(about, 1)
    power = 10.0 ** np.floor(np.log10(raw))
    step = next(float(power * m) for m in (1, 2, 5, 10) if power * m >= raw * (1 - 1e-9))
    first, last = np.ceil(low / step - 1e-9), np.floor(high / step + 1e-9)
    return [round(float(i) * step, 10) + 0.0 for i in np.arange(first, last + 1)]


@dataclass(frozen=True)
class Caption:
    """Words around a picture: title above on the left, note above on the right."""

    title: str
    note: str = ""


def frame_picture(
    picture: Image.Image, caption: Caption, grid: Grid, scale: GreyScale | None = None
) -> Image.Image:
    """Put a square picture on white paper with caption, scale bar and colour legend.

    Parameters
    ----------
    picture
        Square, from :meth:`Sketch.image`.
    caption
        Title and note; a title too long for the picture is cut.
    grid
        For the scale bar.
    scale
        Draws the legend of path loss in dB when given.
    """
    side = picture.width
    unit = max(side / 512, 0.5)
    small, large = font(round(14 * unit)), font(round(17 * unit))
    margin, head, foot = round(18 * unit), round(44 * unit), round(40 * unit)
    legend = round(84 * unit) if scale else 0
    sheet = Image.new("RGB", (side + 2 * margin + legend, side + head + foot), PAPER)
    sheet.paste(picture, (margin, head))
    draw = ImageDraw.Draw(sheet)
    note_width = draw.textlength(caption.note, font=small)
    title = _fit(draw, caption.title, large, side - note_width - margin)
    draw.text((margin, head / 2), title, fill=INK, font=large, anchor="lm")
    draw.text((margin + side, head / 2), caption.note, fill=FAINT_INK, font=small, anchor="rm")
    _scale_bar(draw, (margin, head + side + foot / 2), side, grid)
    if scale:
        box = (side + margin + round(16 * unit), head, round(16 * unit), side)
        _legend(sheet, draw, box, scale, small)
    return sheet


def _fit(draw: ImageDraw.ImageDraw, text: str, with_font: Font, width: float) -> str:
    """`text`, shortened in the end until it fits."""
    text = text.replace("\n", " ")[:300]
    if draw.textlength(text, font=with_font) <= width:
        return text
    while text and draw.textlength(text + "…", font=with_font) > width:
        text = text[:-1]
    return text + "…"


def _scale_bar(
    draw: ImageDraw.ImageDraw, start: tuple[float, float], side: int, grid: Grid
) -> None:
    unit = max(side / 512, 0.5)
    metres = nice_ticks(0.0, grid.size_m / 4, 2)[1]
    length, tick, (x, y) = metres / grid.size_m * side, 4 * unit, start
    width = max(round(1.5 * unit), 1)
    draw.line((x, y, x + length, y), fill=INK, width=width)
    for end in (x, x + length):
        draw.line((end, y - tick, end, y + tick), fill=INK, width=width)
    text = f"{metres:g} m"
    draw.text((x + length + 8 * unit, y), text, fill=INK, font=font(round(14 * unit)), anchor="lm")
    north = "north is up"
    draw.text((x + side, y), north, fill=FAINT_INK, font=font(round(14 * unit)), anchor="rm")


def _legend(
    sheet: Image.Image,
    draw: ImageDraw.ImageDraw,
    box: tuple[int, int, int, int],
    scale: GreyScale,
    with_font: Font,
) -> None:
    """A bar of the colour table with ticks of path loss, small losses on top."""
    left, top, width, height = box
    ramp = gain_table()[np.linspace(255, 0, height).round().astype(int)]
    bar = np.repeat(ramp[:, None, :], width, axis=1)
    sheet.paste(Image.fromarray(bar), (left, top))
    low, high = -scale.gain_max_db, -scale.gain_min_db
    for loss in nice_ticks(low, high, 8):
        y = top + (loss - low) / (high - low) * (height - 1)
        draw.line((left + width, y, left + width + width // 4, y), fill=INK)
        at = (left + width * 1.45, min(max(y, top + width * 0.4), top + height - width * 0.4))
        draw.text(at, f"{loss:g}", fill=INK, font=with_font, anchor="lm")
    draw.text((left, top / 2), "path loss, dB", fill=FAINT_INK, font=with_font, anchor="lm")


def contact(pictures: Sequence[Sequence[Image.Image]], gap: int) -> Image.Image:
    """Pictures of equal size in rows, with white gaps."""
    width, height = pictures[0][0].size
    columns = max(len(row) for row in pictures)
    sheet = Image.new(
        "RGB",
        (columns * (width + gap) + gap, len(pictures) * (height + gap) + gap),
        PAPER,
    )
    for r, row in enumerate(pictures):
        for c, picture in enumerate(row):
            sheet.paste(picture, (gap + c * (width + gap), gap + r * (height + gap)))
    return sheet


def encode(image: Image.Image, suffix: str) -> bytes:
    """One picture as ``.png`` or lossless ``.webp``, without any metadata."""
    buffer = io.BytesIO()
    if suffix == ".webp":
        image.save(buffer, "WEBP", lossless=True, quality=100, method=4)
    else:
        image.save(buffer, "PNG", optimize=True)
    return buffer.getvalue()


def thumbnail(rgb: ByteArray, side: int) -> bytes:
    """A thumbnail as ``.webp``: nothing is read from it, so it may lose a little."""
    image = Image.fromarray(rgb)
    image.thumbnail((side, side), Image.Resampling.BOX)
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=70, method=4)
    return buffer.getvalue()


def encode_animation(frames: Iterable[Image.Image], suffix: str, frame_ms: int) -> bytes:
    """An endless animation as ``.gif`` (256 colours for all frames) or ``.webp``."""
    images = list(frames)
    options: dict[str, Any] = {"format": "WEBP", "quality": 90, "method": 4}
    if suffix == ".gif":
        # One palette for all frames, else colours flicker from frame to frame.
        palette = images[0].quantize(256, Image.Quantize.MEDIANCUT)
        images = [image.quantize(palette=palette, dither=Image.Dither.NONE) for image in images]
        options = {"format": "GIF", "optimize": False}
    buffer = io.BytesIO()
    images[0].save(
        buffer, save_all=True, append_images=images[1:], duration=frame_ms, loop=0, **options
    )
    return buffer.getvalue()
