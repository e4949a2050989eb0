"""Reports: what people want to know besides the spend itself, each from its row in the catalog."""

from farthing.cli.door import noun
from farthing.cli.report_command import add_report
from farthing.reports.catalog import REPORTS

app = noun("report", "Reports: who spends what, on which models, for what, and what stands out.")
for one in REPORTS:
    add_report(app, one)
