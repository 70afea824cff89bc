"""The verbs of the command line, one file a family; a new family is a file and a line in `FAMILIES`."""

from sae_core.commands import chain, demo, mapping, serving

FAMILIES = (chain, mapping, serving, demo)
