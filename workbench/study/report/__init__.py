"""What is said of it: tables, figures, pictures and sentences in one page."""
