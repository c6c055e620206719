"""What people read: one formatter, one sentence per incident, and the PDF. No database access."""
