"""One script for each question about speed; figures are ratios measured side by side in one run."""
