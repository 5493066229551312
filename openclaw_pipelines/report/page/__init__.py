"""What pages share: text, tables, plots."""
