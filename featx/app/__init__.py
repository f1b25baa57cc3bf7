"""Pages on this machine for one person: `featx label` and `featx open`.

A server on the loopback address (`serving`), what it lets in (`guard`), pictures made once
(`thumbnails`), and the two pages (`labelling`, `finished`). Starlette and uvicorn are the extra
``app``, imported when a page is served.
"""
