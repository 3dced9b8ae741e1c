"""The paper's Tables 1 to 5: published values beside one's own, and what it takes to fill each row."""

from reports.paper.pricing import price
from reports.paper.protocols import protocol_table
from reports.paper.rows import Row, rows, with_models
from reports.paper.tables import paper_table

__all__ = ["Row", "paper_table", "price", "protocol_table", "rows", "with_models"]
