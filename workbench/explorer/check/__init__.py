"""Quality control: one scan after another, a verdict each, and a table that other jobs honour."""
