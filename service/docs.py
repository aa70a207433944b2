"""The page of ``/docs``: Swagger UI from files of this installation, so it needs no internet."""

import mimetypes
from importlib.resources import files

from fastapi import APIRouter, Request
from fastapi.openapi.docs import get_swagger_ui_html
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

SCRIPT = "swagger-ui-bundle.js"
STYLE = "swagger-ui.css"
ICON = "favicon-32x32.png"

router = APIRouter(include_in_schema=False)


@router.get("/openapi.json")
async def openapi(request: Request) -> JSONResponse:
    """Return the description of this interface."""
    return JSONResponse(request.app.openapi())


@router.get("/docs")
async def docs(request: Request) -> Response:
    """Return a page to read the interface and to try it."""
    return get_swagger_ui_html(
        openapi_url="openapi.json",
        title=request.app.title,
        swagger_js_url=f"docs/{SCRIPT}",
        swagger_css_url=f"docs/{STYLE}",
        swagger_favicon_url=f"docs/{ICON}",
        swagger_ui_parameters={"tryItOutEnabled": True, "validatorUrl": None},
    )


@router.get("/docs/{file}")
async def docs_file(file: str) -> Response:
    """Return one of the files that the page is made of."""
    if file not in (SCRIPT, STYLE, ICON):
        raise HTTPException(404)
    content = files("fastapi_swagger").joinpath("resources", file).read_bytes()
    return Response(content, media_type=mimetypes.guess_type(file)[0])
