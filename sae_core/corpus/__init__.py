"""From folders and tables to clips: layouts, labels, speakers, splits, and what each clip sounds like."""
