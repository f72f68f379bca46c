"""A report on one entry of the selector as one file of HTML: facts from records and weights, plots, the page.

Nothing here decides anything: figures are those of the records, verdicts those that `verify` finds.
"""

from tinypylm_tools.report.facts import Facts, gather
from tinypylm_tools.report.page import page

__all__ = ["Facts", "gather", "page"]
