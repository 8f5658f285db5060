"""The cohort page: scatter, table, pictures, neighbours."""
