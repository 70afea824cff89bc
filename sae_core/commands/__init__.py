"""The verbs of the command line, one file a family; a new family is a file and a line in `FAMILIES`."""

from sae_core.commands import building, chain, demo, grids, mapping, measuring, noting, serving

FAMILIES = (chain, building, grids, mapping, serving, measuring, noting, demo)
