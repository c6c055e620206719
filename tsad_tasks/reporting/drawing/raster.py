"""Pictures of drawn pages, for who cannot open a PDF."""

from __future__ import annotations

import io
from threading import Lock

# PDFium is not made for several threads.
_DRAWING = Lock()


def page_png(
    pdf: bytes, width: int, *, shown: tuple[float, float] | None = None, n_colours: int = 0
) -> bytes:
    """The first page of a PDF as PNG, `width` pixels wide.

    Parameters
    ----------
    shown : width and height in points of what is shown, from the page's top left corner; None: all.
    n_colours : at most so many colours, which makes a drawing a third as large; 0: all.
    """
    import pypdfium2

    with _DRAWING:
        document = pypdfium2.PdfDocument(pdf)
        try:
            page = document[0]
            across, down = shown or (page.get_width(), page.get_height())
            cut = (0, page.get_height() - down, page.get_width() - across, 0)
            picture = page.render(scale=width / across, crop=cut).to_pil()
        finally:
            document.close()
    if n_colours:
        picture = picture.quantize(n_colours)
    stream = io.BytesIO()
    picture.save(stream, "PNG", optimize=True)
    return stream.getvalue()
