"""Edge cases of pictures, made of an ordinary one: what preprocessing gets wrong."""

import io
from collections.abc import Iterator

import numpy as np
from PIL import Image

LARGE = 4_000
# Exif's tag of the orientation, and the value that asks for a quarter turn.
_ORIENTATION, _QUARTER_TURN = 0x0112, 6


def pictures(pixels: np.ndarray, max_pixels: int) -> dict[str, bytes]:
    """Encoded images by file name, none of more than `max_pixels`.

    Args:
      pixels: uint8 [H, W, 1 or 3], an ordinary example.
      max_pixels: of what is decoded.
    """
    grey = pixels.shape[-1] == 1
    picture = Image.fromarray(pixels[..., 0] if grey else pixels).convert("RGB")
    made = dict(_pictures(picture))
    if not grey:
        # TensorFlow, and so training, cannot decode it to grey.
        made["cmyk.jpg"] = _encoded(_middling(picture).convert("CMYK"), "JPEG")
    sizes = {name: Image.open(io.BytesIO(made[name])).size for name in made}
    return {
        name: contents
        for name, contents in made.items()
        if sizes[name][0] * sizes[name][1] <= max_pixels
    }


def _pictures(picture: Image.Image) -> Iterator[tuple[str, bytes]]:
    """(file name, contents) of pictures about as large as they come, and larger."""
    middling = _middling(picture)
    yield "grey.png", _encoded(middling.convert("L"), "PNG")
    yield "palette.png", _encoded(middling.quantize(16), "PNG")
    transparent = middling.copy()
    transparent.putalpha(middling.convert("L"))
    yield "transparent.png", _encoded(transparent, "PNG")
    yield "sixteen-bit.png", _encoded(_sixteen_bit(middling), "PNG")
    yield "grey.jpg", _encoded(middling.convert("L"), "JPEG", quality=90)
    yield "rotated-by-exif.jpg", _encoded(middling, "JPEG", exif=_rotated())
    yield "progressive.jpg", _encoded(middling, "JPEG", progressive=True)
    yield "colour.bmp", _encoded(middling, "BMP")
    yield "still.gif", _encoded(middling.quantize(64), "GIF")
    yield "animated.gif", _animation(middling)
    yield "one-pixel.png", _encoded(picture.resize((1, 1)), "PNG")
    yield "narrow.png", _encoded(picture.resize((3, 200)), "PNG")
    large = picture.resize((LARGE, LARGE // 4), Image.Resampling.BICUBIC)
    yield "large.jpg", _encoded(large, "JPEG", quality=60)


def _middling(picture: Image.Image) -> Image.Image:
    return picture.resize((97, 61), Image.Resampling.BICUBIC)


def _encoded(picture: Image.Image, format: str, **options: object) -> bytes:
    contents = io.BytesIO()
    picture.save(contents, format, **options)
    return contents.getvalue()


def _rotated() -> Image.Exif:
    exif = Image.Exif()
    exif[_ORIENTATION] = _QUARTER_TURN
    return exif


def _sixteen_bit(picture: Image.Image) -> Image.Image:
    values = np.asarray(picture.convert("L"), np.uint16) * 257
    return Image.fromarray(values)


def _animation(picture: Image.Image) -> bytes:
    frames = [
        picture.quantize(64),
        picture.transpose(Image.Transpose.ROTATE_180).quantize(64),
    ]
    return _encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
