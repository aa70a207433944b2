"""The catalogue as a file gives it: products with their titles, categories and attributes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from service.contract.errors import ConfigError, DataError
from service.contract.text import MAX_TEXT_CHARACTERS, join_product_text, normalise
from training.data.column_map import KNOWN_COLUMNS, ColumnMap
from training.data.tables import Table, read_table

TITLE = "title"
CATEGORY = "category"


@dataclass(frozen=True, slots=True)
class Product:
    """One product of the catalogue; an attribute without a value is absent."""

    product_id: str
    title: str
    category: str | None
    attributes: Mapping[str, str]

    def value(self, column: str) -> str | None:
        """Return its entry in a column: ``title``, ``category`` or an attribute."""
        if column == TITLE:
            return self.title
        return self.category if column == CATEGORY else self.attributes.get(column)


@dataclass(frozen=True, slots=True)
class Products:
    """A catalogue in the order of its file.

    Attributes:
        items: the products; no two share an id.
        attribute_names: every column that is neither id nor title nor category.
    """

    items: tuple[Product, ...]
    attribute_names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.items)

    def product_ids(self) -> list[str]:
        """Return the id of each product."""
        return [product.product_id for product in self.items]

    def texts(self, columns: Sequence[str]) -> list[str]:
        """Return the text of each product: the chosen columns, joined.

        Raises:
            ConfigError: if a column is neither title nor category nor an attribute.
            DataError: if a joined text is longer than any text that is read.
        """
        there = (TITLE, CATEGORY, *self.attribute_names)
        for column in columns:
            if column not in there:
                message = f"products have no column {column!r}, only {', '.join(there)}"
                raise ConfigError(message)
        texts = [join_product_text(map(product.value, columns)) for product in self.items]
        for product, text in zip(self.items, texts, strict=True):
            if len(text) > MAX_TEXT_CHARACTERS:
                message = (
                    f"product {product.product_id!r}: {', '.join(columns)} are together "
                    f"{_too_long(text)}; shorten them or choose fewer columns"
                )
                raise DataError(message)
        return texts


def read_products(path: Path, column_map: ColumnMap | None = None) -> Products:
    """Read a file of products.

    Raises:
        DataError: if it is no such file; it names file, row and column.
    """
    table = (column_map or ColumnMap()).apply(read_table(path), "products")
    table.require("product_id", TITLE)
    if not len(table):
        message = f"{path} holds no product; give at least one row"
        raise DataError(message)
    product_ids = _checked_ids(table)
    titles = _checked_titles(table)
    categories = [category.strip() or None for category in table.optional(CATEGORY)]
    names = tuple(name for name in table.columns if name not in KNOWN_COLUMNS["products"])
    attributes = _attributes(table, names)
    items = map(Product, product_ids, titles, categories, attributes)
    return Products(tuple(items), names)


def _checked_ids(table: Table) -> list[str]:
    product_ids = [product_id.strip() for product_id in table.columns["product_id"]]
    first_index: dict[str, int] = {}
    for index, product_id in enumerate(product_ids):
        if not product_id:
            problem = "is blank; give every product an id"
            raise table.error(index, "product_id", problem)
        if (first := first_index.setdefault(product_id, index)) != index:
            problem = (
                f"{product_id!r} is the id of row {table.row_numbers[first]} as well; "
                "give every product its own id"
            )
            raise table.error(index, "product_id", problem)
    return product_ids


def _checked_titles(table: Table) -> list[str]:
    titles = table.columns[TITLE]
    for index, title in enumerate(titles):
        if len(title) > MAX_TEXT_CHARACTERS:
            raise table.error(index, TITLE, f"is {_too_long(title)}; shorten it")
        if not normalise(title):
            raise table.error(index, TITLE, "is blank; give every product a title")
    return titles


def _attributes(table: Table, names: Sequence[str]) -> list[dict[str, str]]:
    attributes: list[dict[str, str]] = [{} for _ in range(len(table))]
    for name in names:
        for own, value in zip(attributes, table.columns[name], strict=True):
            if value:
                own[name] = value
    return attributes


def _too_long(text: str) -> str:
    return f"{len(text)} characters long, at most {MAX_TEXT_CHARACTERS} are read"
