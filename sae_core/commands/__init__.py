"""The verbs of the command line, one file a family; a new family is a file and a line in `FAMILIES`."""

from sae_core.commands import chain, demo, grids, mapping, measuring, serving

FAMILIES = (chain, grids, mapping, serving, measuring, demo)
