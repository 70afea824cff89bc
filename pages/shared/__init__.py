"""What several pages share: the visit and its address, words, tables, charts, and choices kept in the address."""
